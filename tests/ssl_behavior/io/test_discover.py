import pickle

import h5py
import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions
from ssl_behavior.io.discovery import discover


def find(sources, annotations=(), format="auto"):
    notices = []
    tracks, index = discover(list(sources), list(annotations), format, notices.append)
    return tracks, index, notices


@pytest.fixture
def lab(tmp_path, make):
    for folder in ("week1", "week2"):
        (tmp_path / folder).mkdir()
        make.write_dlc_csv(tmp_path / folder / "07_dlc_tracks.csv", make.tracks(5))
        make.write_dlc_csv(tmp_path / folder / "071_dlc_tracks.csv", make.tracks(5, seed=1))
        (tmp_path / folder / "07_annot.txt").write_text(make.caltech_text({"S1": [(1, 5, "base")]}))
    (tmp_path / "week1" / "notes.md").write_text("hello")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.csv").write_text("junk")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text("{}")
    return tmp_path


def test_folders_are_walked_in_order_and_give_prefixes(lab):
    tracks, index, notices = find([lab])
    assert [(t.prefix, t.path.name) for t in tracks] == [
        ("week1/", "071_dlc_tracks.csv"), ("week1/", "07_dlc_tracks.csv"),
        ("week2/", "071_dlc_tracks.csv"), ("week2/", "07_dlc_tracks.csv"),
    ]  # fmt: skip
    assert len(notices) == 2 and "store already" in " ".join(notices) and "notes.md" in " ".join(notices)
    for track in tracks:
        found = [annotation.path for annotation, _ in index.take(track.prefix + "x", track.path)]
        assert found == [track.path.parent / "07_annot.txt"] * track.path.name.startswith("07_")
    assert index.unused() == []


def test_one_annotation_for_two_recordings(lab):
    _, index, _ = find([lab / "week1"])
    index.take("07", lab / "week1" / "07_dlc_tracks.csv")
    with pytest.raises(InputError, match="fits two recordings"):
        index.take("07b", lab / "week1" / "07_other.csv")


def test_two_annotations_for_one_recording(lab, make, dyad):
    (lab / "week1" / "07_labels.txt").write_text(make.caltech_text({"S1": [(1, 4, "base")]}))
    _, index, _ = find([lab / "week1"])
    with pytest.raises(InputError, match="two annotation files"):
        index.label(dyad("07", 5), lab / "week1" / "07_dlc_tracks.csv", {})


def test_the_longest_name_wins(lab, make):
    (lab / "week1" / "07_dlc_annot.txt").write_text(make.caltech_text({"S1": [(1, 5, "base")]}))
    _, index, _ = find([lab / "week1"])
    ((annotation, _),) = index.take("07", lab / "week1" / "07_dlc_tracks.csv")
    assert annotation.path.name == "07_dlc_annot.txt"


def test_annotations_from_elsewhere(lab):
    track = lab / "week1" / "07_dlc_tracks.csv"
    for given in (lab / "week2", lab / "week2" / "07_annot.txt"):
        tracks, index, _ = find([track], [given])
        assert [t.path for t in tracks] == [track]
        assert [one.path for one, _ in index.take("07", track)] == [lab / "week2" / "07_annot.txt"]
    with pytest.raises(InputError, match="not an annotation file"):
        find([track], [track])


def test_named_files_must_be_known_but_folders_may_hold_others(lab):
    with pytest.raises(InputError, match="not a known format"):
        find([lab / "week1" / "notes.md"])
    (lab / "week1" / "empty.csv").touch()
    with pytest.raises(InputError, match="is empty"):
        find([lab / "week1" / "empty.csv"])
    assert len(find([lab / "week1"])[0]) == 2


def test_format_can_be_forced(lab):
    assert find([lab / "week1"], format="npz")[0] == []
    (track,), _, _ = find([lab / "week1" / "notes.md"], format="npz")
    assert track.format.name == "npz"
    with pytest.raises(InputError, match="unknown `format`"):
        find([lab], format="excel")


SCORER = "DLC_dlcrnetms5_socialMar9shuffle1_100000"


def names(tracks):
    return [track.path.name for track in tracks]


@pytest.fixture
def twins(tmp_path, make):
    """Two videos as DeepLabCut leaves them: three variants each, as CSV and H5."""
    for video in ("m1", "m2"):
        for end in ("_el", "_el_filtered", "_sk"):
            make.write_dlc_csv(tmp_path / f"{video}{SCORER}{end}.csv", make.tracks(5))
            make.write_dlc_h5_table(tmp_path / f"{video}{SCORER}{end}.h5", make.tracks(5))
    return tmp_path


def test_twins_are_one_recording_and_the_best_is_taken_aloud(twins):
    tracks, _, notices = find([twins])
    assert names(tracks) == [f"m1{SCORER}_el_filtered.h5", f"m2{SCORER}_el_filtered.h5"]
    (notice,) = notices
    assert "m1, m2" in notice and "took el filtered h5" in notice and "sk raw csv" in notice and "`variant`" in notice
    # Named files are twins, too; files of other folders are not.
    assert names(find(sorted(twins.glob("m1*")))[0]) == [f"m1{SCORER}_el_filtered.h5"]


@pytest.mark.parametrize(
    ("variant", "end"),
    [
        ("raw", "_el.h5"), ("sk", "_sk.h5"), ("filtered", "_el_filtered.h5"), ("csv", "_el_filtered.csv"),
        ("el+raw+csv", "_el.csv"), ("SK, csv", "_sk.csv"), ("shuffle1", "_el_filtered.h5"),
    ],
)  # fmt: skip
def test_variant_chooses(twins, variant, end):
    notices = []
    tracks, _ = discover([twins], [], "auto", notices.append, variant)
    assert names(tracks) == [f"m1{SCORER}{end}", f"m2{SCORER}{end}"] and len(notices) == 1


def test_a_video_without_the_variant_is_refused(twins):
    for path in twins.glob("m2*_sk.*"):
        path.unlink()
    with pytest.raises(InputError, match=r"`variant` sk: no track file of .*m2 .*there are: raw csv; raw h5"):
        discover([twins], [], "auto", print, "sk")


def test_networks_and_snapshots_of_one_video(tmp_path, make):
    ends = ["shuffle1_50000", "shuffle1_200000", "shuffle2_200000", "shuffle2_snapshot_best-90"]
    for end in ends:
        make.write_dlc_csv(tmp_path / f"cage DLC_7DLC_Resnet50_pMay1{end}.csv", make.tracks(5))
    tracks, _, (notice,) = find([tmp_path])
    assert names(tracks) == [f"cage DLC_7DLC_Resnet50_pMay1{ends[2]}.csv"] and "shuffle1_50000" in notice
    assert names(discover([tmp_path], [], "auto", print, "snapshot_best")[0])[0].endswith("best-90.csv")


def test_plain_names_are_twins_only_of_their_own_name(tmp_path, make):
    for name in ("a.csv", "b.csv", "b_filtered.csv", "A.csv", "day_dlc_1.csv", "day_dlc_2.csv"):
        make.write_dlc_csv(tmp_path / name, make.tracks(5))
    make.write_dlc_h5_fixed(tmp_path / "a.h5", make.tracks(5))
    expected = ["A.csv", "a.h5", "b_filtered.csv", "day_dlc_1.csv", "day_dlc_2.csv"]
    assert names(find([tmp_path])[0]) == expected
    # Where names do not say the variant, there is nothing to choose.
    assert "A.csv" in names(discover([tmp_path], [], "auto", print, "raw")[0])


def labeled_frames(text):
    """DeepLabCut's table of hand-placed points: rows named by images."""
    lines = text.splitlines()
    rows = [f"labeled-data/cage/img{line.partition(',')[0]}.png,{line.partition(',')[2]}" for line in lines[4:]]
    return "\n".join([*lines[:4], *rows]) + "\n"


def write_labeled_h5(path, table):
    """Rows named by three words, as pandas writes them in either layout."""
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs.update({"pandas_type": b"frame", "nblocks": 1})
        if table:
            kinds = [("index", "<i8"), ("values_block_0", "<f8", (2,)), ("values_block_1", "S20", (3,))]
            group["table"] = np.array([(0, [1, 2], [b"labeled-data", b"cage", b"img0.png"])], dtype=kinds)
        else:
            for level, word in enumerate((b"labeled-data", b"cage", b"img0.png")):
                group[f"axis1_level{level}"] = np.array([word])
            group["block0_values"] = np.ones((1, 2))


@pytest.fixture
def mixed(tmp_path, make):
    """A track file among files of all other kinds."""
    make.write_dlc_csv(tmp_path / f"m1{SCORER}.csv", make.tracks(5))
    (tmp_path / "CollectedData_anna.csv").write_text(labeled_frames(make.dlc_csv_text(make.tracks(5))))
    write_labeled_h5(tmp_path / "CollectedData_anna.h5", table=False)
    write_labeled_h5(tmp_path / "machinelabels.h5", table=True)
    np.savez(tmp_path / "timestamps.npz", t=np.arange(3))
    np.save(tmp_path / "features.npy", np.ones((3, 2)))
    with h5py.File(tmp_path / "photometry.h5", "w") as file:
        file["signal"] = np.arange(3.0)
    with h5py.File(tmp_path / "features.h5", "w") as file:
        group = file.create_group("df")
        group.attrs.update({"pandas_type": b"frame", "nblocks": 1, "block0_items_variety": b"regular"})
        group["axis1"], group["block0_values"], group["block0_items"] = np.arange(3), np.ones((3, 1)), [b"speed"]
    (tmp_path / "meta.pickle").write_bytes(pickle.dumps({"a": 1}))
    for name in ("a.mp4", "b.AVI", "c.mp4", "d.mp4"):
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypmp42")
    for name, text in {"empty.csv": "", "roi.csv": "name,x,y\nnest,1,2\n", "config.yaml": "a: 1", "n.txt": "x"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "old.csv.gz").write_bytes(b"\x1f\x8b broken")
    return tmp_path


def test_foreign_files_are_left_out_of_a_folder_in_one_notice(mixed):
    tracks, _, (notice,) = find([mixed])
    assert names(tracks) == [f"m1{SCORER}.csv"]
    assert notice.startswith("left out 17 files without tracks: 4 videos (a.mp4, b.AVI, c.mp4, ...)")
    for words in (
        "3 labeled-frames tables (CollectedData_anna.csv, CollectedData_anna.h5, machinelabels.h5)", "1 pickle",
        "2 HDF5 files (features.h5, photometry.h5)", "1 NumPy array (features.npy)", "1 NumPy archive (timestamps.npz)",
        "1 empty file (empty.csv)", "1 table (roi.csv)", "1 damaged gzip file (old.csv.gz)", "1 text file (n.txt)",
    ):  # fmt: skip
        assert words in notice, words


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CollectedData_anna.csv", "labeled frames"),
        ("CollectedData_anna.h5", "labeled frames"),
        ("machinelabels.h5", "labeled frames"),
        ("timestamps.npz", "'t'"),
        ("features.npy", "plain float64 array"),
        ("photometry.h5", "not a known format"),
        ("features.h5", "expected columns"),
        ("a.mp4", "not a known format"),
        ("empty.csv", "is empty"),
        ("old.csv.gz", "damaged gzip"),
    ],
)
def test_a_foreign_file_that_is_named_is_refused(mixed, name, message):
    with pytest.raises(InputError, match=message) as error:
        for track in find([mixed / name])[0]:
            list(track.format.read(track.path, ReadOptions(fps=30.0)))
    assert ("damaged" in str(error.value)) == (name == "old.csv.gz")
