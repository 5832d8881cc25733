from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.body_parts import animals_in_names
from ssl_behavior.errors import InputError
from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.io.npz import write_npz
from ssl_behavior.multi_animal import animals_in_files, joined, split_by_names
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import Store

PARTS = ("nose", "neck", "tail_base")


def single(id, names, offset=0.0, frames=40, fps=30.0):
    keypoints = np.arange(len(names), dtype=np.float32)[None, None, :, None] + np.zeros((frames, 1, 1, 2), np.float32)
    keypoints = keypoints + offset + np.arange(frames, dtype=np.float32)[:, None, None, None]
    return Recording(
        id=id, keypoints=keypoints, fps=fps, skeleton=Skeleton(name="s", keypoints=tuple(names)), individuals=("x",),
        source=f"{id}.csv",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("names", "animals"),
    [
        (["nose_1", "tail_1", "nose_2", "tail_2"], ["1", "2"]),
        (["mouse1_nose", "mouse1_tail", "mouse2_nose", "mouse2_tail"], ["mouse1", "mouse2"]),
        (["leftear_mice1", "leftear_mice2"], ["mice1", "mice2"]),
        (["resident_nose", "intruder_nose"], ["resident", "intruder"]),
        (["nose", "tail_1", "tail_2"], []),
        (["nose_1", "tail_2"], []),
        (["nose", "neck"], []),
        (["nose_1", "tail_1"], []),
    ],
)
def test_animals_in_names(names, animals):
    assert list(animals_in_names(names)) == animals


def test_flat_recording_is_divided_by_names():
    flat = single("v", [f"{part}_{who}" for who in (1, 2) for part in PARTS])
    found = split_by_names(flat)
    assert found.individuals == ("1", "2") and found.skeleton.keypoints == PARTS
    assert found.skeleton.roles == {"nose": "nose", "neck": "neck", "tail_base": "tail_base"}
    np.testing.assert_array_equal(found.keypoints[0, :, :, 0], [[0, 1, 2], [3, 4, 5]])
    # The second animal lacks its neck.
    partly = split_by_names(single("v", ["nose_1", "neck_1", "tail_base_1", "nose_2", "tail_base_2"]))
    assert np.isnan(partly.keypoints[:, 1, 1]).all() and not np.isnan(partly.keypoints[:, 1, [0, 2]]).any()
    with pytest.raises(InputError, match="name no animals"):
        split_by_names(single("v", PARTS))


@pytest.mark.parametrize(
    ("ids", "recordings"),
    [
        (["cage3_mouse1", "cage3_mouse2"], {"cage3"}),
        (["a/day1_ind1", "a/day1_ind2", "b/day1_ind1"], {"a/day1", "b/day1"}),
        (["a/day1_ind1", "a/day1_ind2", "b/day1_ind3"], {"a/day1"}),
        (["a/day1_ind1", "a/day1_ind2", "b/day1", "b/day1_ind1"], {"a/day1"}),
        (["cage3", "cage3_mouse1", "cage3_mouse2"], set()),
        (["01", "02"], set()),
        (["pair_resident", "pair_intruder"], {"pair"}),
    ],
)
def test_animals_in_files(ids, recordings):
    assert {place.recording for place in animals_in_files(ids).values()} == recordings


def test_files_of_one_video_are_joined():
    found = joined([single("c_m1", PARTS), single("c_m2", PARTS, offset=100.0)], "c", ["m1", "m2"])
    assert found.individuals == ("m1", "m2") and found.id == "c"
    np.testing.assert_array_equal(found.keypoints[0, :, 0, 0], [0, 100])
    late = replace(single("c_m2", PARTS), times=0.1 + np.arange(len(found.keypoints)) / 30)
    for other in (single("c_m2", PARTS, frames=39), single("c_m2", PARTS, fps=25.0), late):
        with pytest.raises(InputError, match="not of one video"):
            joined([single("c_m1", PARTS), other], "c", ["m1", "m2"])
    with pytest.raises(InputError, match="need the same"):
        joined([single("c_m1", PARTS), single("c_m2", PARTS[:2])], "c", ["m1", "m2"])


def test_labels_and_facts_of_all_files_are_joined():
    def stream(*frames, **more):
        return Labels(**{"vocabulary": ("o", "a"), "frames": np.array(frames)} | more)

    one = replace(single("c_m1", PARTS, frames=3), labels={"A": stream(0, 1, 0), "B": stream(1, 1, -1)})
    two = replace(single("c_m2", PARTS, frames=5), labels={"A": stream(0, 1, 0, 0, 1), "C": stream(*[1] * 5)})
    one = replace(one, in_file=np.ones(3, dtype=bool))
    two = replace(two, px_per_cm=12.0, subset="test", resolution_px=(640.0, 480.0))
    for pair in ((one, two), (two, one)):
        found = joined(pair, "c", ["m1", "m2"])
        expected = {"A": [0, 1, 0, 0, 1], "B": [1, 1, -1, -1, -1], "C": [1, 1, 1, 1, 1]}
        assert {name: labels.frames.tolist() for name, labels in found.labels.items()} == expected
        assert found.labels["A"].vocabulary == ("o", "a")
        assert (found.px_per_cm, found.subset, found.resolution_px) == (12, "test", (640.0, 480.0))
    for other, message in (
        ({"labels": {"A": stream(0, 0, 0)}}, "'A': c_m1.csv and c_m2.csv differ in 1 of 3 frames, the first is 1"),
        ({"labels": {"A": stream(0, 1, 0, vocabulary=("o", "b"))}}, r"their vocabulary: \('o', 'b'\) and \('o', 'a'\)"),
        ({"labels": {"A": stream(0, 1, 0, annotator="x")}}, "their annotator: 'x' and ''"),
        ({"labels": {"A": stream(0, 1, 0, background="o")}}, "their background"),
        ({"px_per_cm": 6.0}, "c_m1.csv has px_per_cm 6.0, c_m2.csv has 12.0"),
        ({"subset": "train"}, "c_m1.csv has subset train"),
        ({"resolution_px": (640.0, 481.0)}, "has resolution_px"),
    ):
        with pytest.raises(InputError, match=message):
            joined([two, replace(one, **other)], "c", ["m2", "m1"])


def test_import_offers_and_takes_animals_of_files(tmp_path):
    for number in (1, 2):
        write_npz(tmp_path / f"cage_mouse{number}.npz", single(f"cage_mouse{number}", PARTS, offset=100.0 * number))
    report = import_recordings([tmp_path], tmp_path / "apart")
    assert any("`animals_from=files`" in notice for notice in report.notices)
    assert not any("need two" in notice for notice in report.notices)
    import_recordings(
        [tmp_path / f"cage_mouse{n}.npz" for n in (1, 2)], tmp_path / "st", ImportOptions(animals_from="files")
    )
    store = Store(tmp_path / "st")
    assert [row.id for row in store.rows] == ["cage"] and store.individuals == ("mouse1", "mouse2")


def test_import_offers_and_takes_animals_in_names(tmp_path):
    path = tmp_path / "flat.npz"
    recording = single("flat", [f"{part}_{who}" for who in (1, 2) for part in PARTS])
    arrays = {"keypoints": recording.keypoints, "keypoint_names": np.array(recording.skeleton.keypoints), "fps": 30.0}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match="`animals_from=names`"):
        import_recordings([path], tmp_path / "st")
    assert not (tmp_path / "st").exists()
    import_recordings([path], tmp_path / "st", ImportOptions(animals_from="names"))
    assert Store(tmp_path / "st").keypoints.shape == (40, 2, 3, 2)
    with pytest.raises(InputError, match="animals_from"):
        ImportOptions(animals_from="columns and names")


def test_import_loses_no_animal_whose_partner_has_another_id(tmp_path):
    write_npz(tmp_path / "cage_mouse1.npz", single("cage_mouse1", PARTS))
    write_npz(tmp_path / "cage_mouse2.npz", single("other", PARTS))
    files = [tmp_path / f"cage_mouse{number}.npz" for number in (1, 2)]
    with pytest.raises(InputError, match="only cage_mouse1 of them"):
        import_recordings(files, tmp_path / "st", ImportOptions(animals_from="files"))
    assert not (tmp_path / "st").exists()
