"""Imports of recordings with other numbers of animals: formats, orders, names, choices, and what the report says."""

import json
from itertools import permutations

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.errors import InputError
from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.io.import_report import findings
from ssl_behavior.io.npz import write_npz
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton
from ssl_behavior.store import Store

from .track_files import write_jabs, write_sleap_h5, write_slp

RATS = SKELETONS["rat_dyads"].keypoints
FPS = ImportOptions(fps=30.0)


def named(prefix):
    return [f"{prefix}{n}" for n in (1, 2, 3, 4)]


def write_jabs_group(path, values, names):
    ids = np.broadcast_to(np.arange(1, len(names) + 1), values.shape[:2])
    return write_jabs(path, values.round(), 4, ids, mask=np.zeros(values.shape[:2], dtype=bool))


def write_npz_group(path, values, names):
    skeleton = Skeleton(name="s", keypoints=RATS)
    recording = Recording(
        id=path.stem, keypoints=values[..., :2], fps=30.0, skeleton=skeleton, individuals=tuple(names)
    )
    write_npz(path, recording)
    return path


def write_simba(path, values, names):
    """One header row; the animals in the names of the body parts."""
    columns = [f"{part}_{name[-1]}_{c}" for name in names for part in RATS for c in ("x", "y", "p")]
    lines = [",".join(columns), *(",".join(f"{v:.3f}" for v in row.ravel()) for row in values)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_mabe25(path, values, names):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    time, animal, part = np.nonzero(np.isfinite(values[..., 0]))
    ids = np.array([int(name[-1]) for name in names], np.int8)
    table = {"video_frame": time.astype(np.int32), "mouse_id": ids[animal], "bodypart": np.array(RATS)[part],
             "x": values[time, animal, part, 0], "y": values[time, animal, part, 1]}  # fmt: skip
    parquet.write_table(arrow.table(table), path)
    return path


KINDS = ("dlc_csv", "dlc_h5", "dlc_h5_table", "slp", "sleap_h5", "jabs", "npz", "simba", "names", "mabe25")


@pytest.fixture(params=KINDS)
def kind(request, make):
    """(ending of files, write, names of animals, number of keypoints, options) of a format."""

    def write_names(path, values, names):
        flat = values.reshape(len(values), 1, -1, 3)
        return make.write_dlc_csv(path, flat, individuals=("",), parts=[f"{n}_{part}" for n in names for part in RATS])

    return {
        "dlc_csv": (".csv", lambda p, v, n: make.write_dlc_csv(p, v, individuals=tuple(n)), named("ind"), 5, FPS),
        "dlc_h5": (".h5", lambda p, v, n: make.write_dlc_h5_fixed(p, v, tuple(n)), named("ind"), 5, FPS),
        "dlc_h5_table": (".h5", lambda p, v, n: make.write_dlc_h5_table(p, v, tuple(n)), named("ind"), 5, FPS),
        "slp": (".slp", lambda p, v, n: write_slp(p, v, names=list(n)), named("track_"), 5, ImportOptions()),
        "sleap_h5": (".h5", lambda p, v, n: write_sleap_h5(p, v, names=list(n)), named("track_"), 5, FPS),
        "jabs": (".h5", write_jabs_group, named("mouse"), 12, FPS),
        "npz": (".npz", write_npz_group, named("m"), 5, ImportOptions()),
        "simba": (".csv", write_simba, named("animal"), 5, FPS),
        "names": (".csv", write_names, named("mouse"), 5, ImportOptions(fps=30.0, animals_from="names")),
        "mabe25": (".parquet", write_mabe25, named("mouse"), 5, FPS),
    }[request.param]


def test_groups_are_imported_by_name_in_every_order(tmp_path, make, kind):
    ending, write, names, num_keypoints, options = kind
    sizes = {"three": 3, "two": 2, "four": 4, "one": 1}
    values = {id: make.tracks(13, size, num_keypoints, seed=size) for id, size in sizes.items()}
    files = {id: write(tmp_path / f"{id}{ending}", values[id], names[: sizes[id]]) for id in sizes}
    stores = []
    for number, order in enumerate([list(sizes), list(sizes)[::-1], ["two", "one", "four", "three"]]):
        report = import_recordings([files[id] for id in order], tmp_path / f"st{number}", options)
        store = Store(tmp_path / f"st{number}")
        stores.append(store)
        assert set(store.individuals) == set(names) and store.skeleton.exchangeable
        assert [row.id for row in store.rows] == order
        (line,) = [line for line in findings(report) if line.startswith("absent animals")]
        assert {row.id for row in store.rows if row.absent} == {"three", "two", "one"}
        for row in store.rows:
            assert set(row.absent) == set(names[sizes[row.id] :])
            assert not row.absent or f"{', '.join(row.absent)} in {row.id}" in line
    for id, size in sizes.items():
        for number, name in enumerate(names):
            tracks = [store.recording(id).keypoints[:, store.individuals.index(name)] for store in stores]
            expected = values[id][:, number, :, :2] if number < size else np.nan
            if ending == ".h5" and num_keypoints == 12:
                expected = np.round(expected)
            for one in tracks:
                np.testing.assert_array_equal(one, tracks[0])
                np.testing.assert_allclose(one, np.broadcast_to(expected, one.shape), atol=1e-3)


def test_one_file_per_animal_of_videos_with_other_numbers_of_animals(tmp_path, make):
    """Also where a body part comes earlier in one file, and where a video has one animal only."""
    values = make.tracks(13, 3)
    wanted = {"cage1": [1, 2], "cage2": [3, 1, 2], "cage3": [2]}
    swapped = (RATS[1], RATS[0], *RATS[2:])
    for cage, animals in wanted.items():
        for animal in animals:
            own = values[:, [animal - 1]]
            own, parts = (own[:, :, [1, 0, 2, 3, 4]], swapped) if animal == 2 else (own, RATS)
            path = tmp_path / "tracks" / f"{cage}_mouse{animal}.csv"
            path.parent.mkdir(exist_ok=True)
            make.write_dlc_csv(path, own, individuals=("",), parts=parts)
    options = ImportOptions(fps=30.0, animals_from="files")
    report = import_recordings([tmp_path / "tracks"], tmp_path / "st", options)
    store = Store(tmp_path / "st")
    assert [row.id for row in store.rows] == list(wanted) and store.individuals == ("mouse1", "mouse2", "mouse3")
    for recording in store:
        numbers = [int(name[-1]) for name in recording.individuals if name not in recording.absent]
        assert sorted(numbers) == sorted(wanted[recording.id])
        for number in numbers:
            np.testing.assert_allclose(recording.keypoints[:, number - 1], values[:, number - 1, :, :2], atol=1e-3)
    (line,) = [line for line in findings(report) if line.startswith("absent animals")]
    assert line.endswith("mouse3 in cage1; mouse1, mouse3 in cage3")
    # Without the option each file is a recording of one animal, and the files of one video are offered.
    report = import_recordings([tmp_path / "tracks"], tmp_path / "apart", FPS)
    assert len(Store(tmp_path / "apart").rows) == 6 and Store(tmp_path / "apart").individuals == ("animal0",)
    offers = [line for line in findings(report) if "`animals_from=files`" in line]
    assert len(offers) == 2 and not any("cage3" in line for line in offers)


def test_body_parts_of_no_animal_become_one(tmp_path, make):
    """A mouse and a cricket of other body parts, and a recording without the cricket, in both orders."""
    mouse, cricket = make.tracks(40, 1, 5), make.tracks(40, 1, 2, seed=1)
    both = np.full((40, 2, 7, 3), np.nan)
    both[:, 0, :5], both[:, 1, 5:] = mouse[:, 0], cricket[:, 0]
    parts = ("nose", "left_ear", "right_ear", "neck", "tail_base", "anterior", "posterior")
    hunt = make.write_dlc_csv(tmp_path / "hunt.csv", both, individuals=("mouse", "single"), parts=parts)
    alone = make.write_dlc_csv(tmp_path / "alone.csv", mouse, individuals=("mouse",), parts=parts[:5])
    options = ImportOptions(fps=30.0, individuals={"mouse": "mouse", "cricket": "single"})
    report = import_recordings([hunt, alone], tmp_path / "st", options)
    store = Store(tmp_path / "st")
    assert store.individuals == ("mouse", "cricket") and not store.skeleton.exchangeable
    assert [row.absent for row in store.rows] == [(), ("cricket",)]
    np.testing.assert_allclose(store.recording("hunt").keypoints[:, 1, 5:], cricket[:, 0, :, :2], atol=1e-3)
    text = "\n".join(findings(report))
    assert "absent animals, of which these recordings have no point: cricket in alone" in text
    assert "no heading can be computed for cricket (neck, tail_base never seen)" in text
    assert "missing in 50%" not in text
    with pytest.raises(InputError, match=r"hunt.csv: recording 'hunt': the body parts of single are unknown"):
        import_recordings([alone, hunt], tmp_path / "other", options)
    whole = Skeleton(name="s", keypoints=parts, roles={"neck": "neck", "tail_base": "tail_base"})
    with_all = ImportOptions(fps=30.0, individuals=options.individuals, skeleton=whole)
    assert not (tmp_path / "other").exists()
    with pytest.raises(InputError, match="the skeleton 's' names"):
        import_recordings([alone, hunt], tmp_path / "other", with_all)
    # Left out, the body parts of no animal leave a store of one animal.
    report = import_recordings([hunt], tmp_path / "one", FPS)
    assert Store(tmp_path / "one").individuals == ("mouse",)
    assert any("belong to no animal" in line for line in findings(report))


def test_padded_slots_are_absent_animals(tmp_path, make, capsys):
    """SuperAnimal's five slots, of which two recordings fill two and three."""
    paths = []
    for number, fill in ((2, np.nan), (3, -1.0)):
        values = np.full((90, 5, 5, 3), fill)
        values[:, :number] = make.tracks(90, number, seed=number)
        slots = tuple(f"animal{n}" for n in range(5))
        paths.append(make.write_dlc_csv(tmp_path / f"v{number}.csv", values, individuals=slots))
    assert main(["import", *map(str, paths), "--fps", "30", "--out", str(tmp_path / "st")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "animal2, animal3, animal4 in v2; animal3, animal4 in v3; --individuals with the names of the others" in out
    assert "(animal0, animal1, animal2) leaves out those that no recording has" in out
    assert "never seen" not in out and "no heading" not in out and "recording animals frames" in out
    store = Store(tmp_path / "st")
    assert [row.absent for row in store.rows] == [slots[2:], slots[3:]]
    assert main(["info", str(tmp_path / "st")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "animals per recording 2 in 1 recording, 3 in 1 recording" in out
    assert "absent animals animal2, animal3, animal4 in v2; animal3, animal4 in v3" in out
    chosen = ["--individuals", "animal0", "animal1", "--out", str(tmp_path / "two")]
    assert main(["import", *map(str, paths), "--fps", "30", *chosen]) == 0
    assert Store(tmp_path / "two").individuals == ("animal0", "animal1")
    capsys.readouterr()
    assert main(["info", str(tmp_path / "two")]) == 0
    assert "absent animals" not in capsys.readouterr().out


def test_told_apart_animals_of_which_a_recording_has_one(tmp_path, make):
    values = make.tracks(40, 2)
    both = make.write_dlc_csv(tmp_path / "both.csv", values, individuals=("resident", "intruder"))
    alone = make.write_dlc_csv(tmp_path / "alone.csv", values[:, :1], individuals=("intruder",))
    for paths in permutations([both, alone]):
        report = import_recordings(paths, tmp_path / "st", ImportOptions(fps=30.0, overwrite=True))
        store = Store(tmp_path / "st")
        assert store.row("alone").absent == ("resident",) and not store.skeleton.exchangeable
        assert any(line.endswith("no point: resident in alone") for line in findings(report))
        assert any("taken as identified" in line for line in findings(report))


def test_copies_are_found_before_and_after_the_store_was_widened(tmp_path, make):
    values = make.tracks(40, 3)
    paths = [make.write_dlc_csv(tmp_path / f"{id}.csv", values[:, :n], individuals=("m1", "m2", "m3")[:n])
             for id, n in (("a", 2), ("b", 3), ("c", 2))]  # fmt: skip
    report = import_recordings(paths, tmp_path / "st", FPS)
    assert "'c' has the same tracks as 'a': keep them on one side of a split" in findings(report)


def test_a_recording_without_any_animal_is_imported_as_before(tmp_path, make):
    values = make.tracks(40, 3)
    paths = [make.write_dlc_csv(tmp_path / "three.csv", values, individuals=("m1", "m2", "m3")),
             make.write_dlc_csv(tmp_path / "blank.csv", values[:, :2] * np.nan, individuals=("m1", "m2"))]  # fmt: skip
    report = import_recordings(paths, tmp_path / "st", FPS)
    assert Store(tmp_path / "st").row("blank").absent == ("m1", "m2", "m3")
    assert any(line.startswith("blank: never seen at all: m1/top, body") for line in findings(report))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"individuals": {"a": "m1", "b": "m1"}}, "`individuals` takes m1 for two animals; name each animal once"),
        (
            {"individuals": {"m1": "m1", "m9": "m9", "m2": "m2", "m3": "m3"}},
            "`individuals` names m9, which no recording",
        ),
        ({"individuals": {"m1": "m1", "m9": "m9"}}, "m9, which is not among them, and leaves out m2, m3: name m2, m3"),
        ({}, r"y.csv: recording 'y' has 2 animals \(m3, m4\).*name all of them \(`individuals=m1 m2 m3 m4`\)"),
    ],
)
def test_wrong_names_are_refused_in_one_sentence(tmp_path, make, options, message):
    values = make.tracks(13, 3)
    paths = [make.write_dlc_csv(tmp_path / "x.csv", values, individuals=("m1", "m2", "m3"))]
    if not options:
        paths.append(make.write_dlc_csv(tmp_path / "y.csv", values[:, :2], individuals=("m3", "m4")))
    with pytest.raises(InputError, match=message) as error:
        import_recordings(paths, tmp_path / "st", ImportOptions(fps=30.0, **options))
    assert "\n" not in str(error.value) and not (tmp_path / "st").exists()


def test_facts_of_two_animals_are_written_as_before(tmp_path, make):
    path = make.write_dlc_csv(tmp_path / "x.csv", make.tracks(40, 2))
    import_recordings([path], tmp_path / "st", FPS)
    facts = json.loads((tmp_path / "st" / "import.json").read_text())
    assert "by_animal" not in facts["recordings"][0]["quality"]
    assert "absent" not in json.loads((tmp_path / "st" / "store.json").read_text())["recordings"][0]
