import errno
import json
import math
import re
import tracemalloc
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from ssl_behavior import growing_array
from ssl_behavior import store as store_module
from ssl_behavior.errors import InputError
from ssl_behavior.individuals import IndividualsByName
from ssl_behavior.recording import NOT_ANNOTATED, Labels, Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton
from ssl_behavior.store import Store, create_store, write_store


def labels(num_frames, vocabulary=("a", "b"), **fields):
    values = np.arange(num_frames) % (len(vocabulary) + 1) - 1
    return Labels(vocabulary=vocabulary, frames=values, **fields)


@pytest.fixture
def recordings(dyad):
    """Growing vocabularies, and recordings that lack a stream, a confidence, or both."""
    confidence = np.linspace(0, 1, 13 * 2 * 7, dtype=np.float32).reshape(13, 2, 7)
    one = dyad("one", 11, missing=0.2, subset="train", source="1.csv")
    two = dyad("two/b", 13, missing=0.1, fps=25.0, resolution_px=(640.0, 480.0), px_per_cm=8.5)
    three = dyad("three", 17, subset="test")
    return [
        replace(one, labels={"S1": labels(11, annotator="x")}),
        replace(two, confidence=confidence, labels={"S2": labels(13, ("q", "r", "s"), background="s")}),
        replace(three, labels={"S1": labels(17, ("c", "b"), annotator="y")}),
    ]


@pytest.fixture
def folder(tmp_path, recordings):
    write_store(tmp_path / "store", recordings)
    return tmp_path / "store"


def names(labels):
    return [None if label == NOT_ANNOTATED else labels.vocabulary[label] for label in labels.frames]


def test_what_is_written_is_read_back(folder, recordings):
    store = Store(folder)
    assert len(store) == 3 and store.num_frames == 41
    for got, expected in zip(store, recordings, strict=True):
        np.testing.assert_array_equal(got.keypoints, expected.keypoints)
        for field in ("id", "fps", "skeleton", "individuals", "subset", "source", "resolution_px", "px_per_cm"):
            assert getattr(got, field) == getattr(expected, field), field
        assert got.labels.keys() == expected.labels.keys()
        for stream, there in got.labels.items():
            here = expected.labels[stream]
            assert names(there) == names(here) and there.annotator == here.annotator
            assert there.background == here.background


def test_a_vocabulary_grows_at_its_end(folder):
    store = Store(folder)
    assert store.stream("S1").vocabulary == ("a", "b", "c") and store.stream("S2").background == "s"
    assert set(store.labels("S1")[24:].tolist()) == {-1, 1, 2}


def test_missing_confidence_and_labels_are_filled_as_unknown(folder, recordings):
    store = Store(folder)
    assert (store.labels("S2")[:11] == NOT_ANNOTATED).all() and (store.labels("S2")[24:] == NOT_ANNOTATED).all()
    assert (store.labels("S1")[11:24] == NOT_ANNOTATED).all()
    assert np.isnan(store.confidence[:11]).all() and np.isnan(store.confidence[24:]).all()
    np.testing.assert_array_equal(store.confidence[11:24], recordings[1].confidence)


def test_opening_maps_and_reads_nothing(tmp_path, dyad):
    write_store(tmp_path / "store", [dyad("one", 11)])
    frames = 300_000_000
    contents = json.loads((tmp_path / "store" / "store.json").read_text())
    contents["recordings"][0]["frames"] = frames
    (tmp_path / "store" / "store.json").write_text(json.dumps(contents))
    # A hole of 33 GB: it takes no disk, and could not be read into this test's memory.
    np.lib.format.open_memmap(
        tmp_path / "store" / "keypoints.npy", mode="w+", dtype=np.float32, shape=(frames, 2, 7, 2)
    )
    store = Store(tmp_path / "store")
    assert isinstance(store.keypoints, np.memmap) and store.keypoints.shape == (frames, 2, 7, 2)
    assert store.keypoints[frames - 1, 1, 6, 1] == 0


def test_an_error_in_the_block_leaves_nothing(tmp_path, recordings):
    def write(error):
        with create_store(tmp_path / "store", recordings[0].skeleton) as writer:
            writer.append(recordings[0])
            raise error

    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            write(error)
    assert not list(tmp_path.iterdir())


def test_full_disk_raises_and_leaves_nothing(tmp_path, recordings, monkeypatch):
    append = store_module.GrowingArray.append
    written = []

    def full(self, values):
        written.append(len(values))
        if len(written) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, values)

    monkeypatch.setattr(store_module.GrowingArray, "append", full)
    with pytest.raises(InputError, match="the disk is full"):
        write_store(tmp_path / "store", recordings)
    assert len(written) > 3 and not list(tmp_path.iterdir())


def test_nothing_is_replaced_unless_asked(folder, recordings):
    before = Store(folder).fingerprint()
    with pytest.raises(InputError, match="exists already"):
        write_store(folder, recordings[:1])
    assert Store(folder).fingerprint() == before
    assert len(write_store(folder, recordings[:1], overwrite=True)) == 1


def test_recordings_that_do_not_belong_together_are_refused(tmp_path, recordings, dyad):
    one = recordings[0]
    others = {
        "two recordings have the id 'one': 1.csv and 2.csv": replace(one, source="2.csv"),
        "one store has one skeleton": dyad("rat", 7, "rat_dyads"),
        r"has 1 animal \(x\), the recordings before have 2": replace(
            one, id="o", keypoints=one.keypoints[:, :1], individuals=("x",)
        ),
        "label stream 'a/b'": replace(one, id="o", labels={"a/b": labels(11)}),
    }
    for message, other in others.items():
        with pytest.raises(InputError, match=message):
            write_store(tmp_path / "store", [one, other])
    with pytest.raises(InputError, match="no recordings"):
        write_store(tmp_path / "store", [])
    with pytest.raises(InputError, match="at least one recording"), create_store(tmp_path / "store", one.skeleton):
        pass
    assert not list(tmp_path.iterdir())


def test_a_refused_recording_leaves_the_others_as_they_were(tmp_path, recordings):
    one, two, three = recordings
    with create_store(tmp_path / "store", one.skeleton) as writer:
        for recording in (one, replace(two, labels={"../up": labels(13)}), three):
            try:
                writer.append(recording)
            except InputError:
                assert recording.id == two.id
    for got, expected in zip(Store(tmp_path / "store"), (one, three), strict=True):
        np.testing.assert_array_equal(got.keypoints, expected.keypoints)


def edit(folder, **changes):
    contents = json.loads((folder / "store.json").read_text())
    (folder / "store.json").write_text(json.dumps(contents | changes))


def edit_row(folder, **changes):
    contents = json.loads((folder / "store.json").read_text())
    contents["recordings"][1] |= changes
    (folder / "store.json").write_text(json.dumps(contents))


def edit_stream(folder, **changes):
    contents = json.loads((folder / "store.json").read_text())
    contents["streams"]["S1"] |= changes
    (folder / "store.json").write_text(json.dumps(contents))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-5])


def save(path, array):
    np.save(path, array)


SOURCE = {"source_fps": 60.0, "source_frames": 30}
DAMAGES = {
    "no table": (lambda f: (f / "store.json").unlink(), r"is not a store: it has no store\.json"),
    "not JSON": (lambda f: (f / "store.json").write_text("{"), r"store\.json is damaged"),
    "a list": (lambda f: (f / "store.json").write_text("[]"), "is not a store"),
    "another format": (lambda f: edit(f, format="zarr"), "is not a store"),
    "newer": (lambda f: edit(f, version=2), "format version 2; this program reads version 1: update"),
    "no skeleton": (lambda f: edit(f, skeleton=None), r"store\.json is damaged"),
    "streams a list": (lambda f: edit(f, streams=[]), r"store\.json is damaged"),
    "unknown key of a row": (lambda f: edit_row(f, color=1), r"store\.json is damaged"),
    "offset text": (lambda f: edit_row(f, offset="0"), r"store\.json is damaged"),
    "overlapping rows": (lambda f: edit_row(f, offset=3), r"store\.json is damaged"),
    "negative frames": (lambda f: edit_row(f, frames=-2), r"store\.json is damaged"),
    "no frames": (lambda f: edit_row(f, frames=0), r"store\.json is damaged"),
    "fps 0": (lambda f: edit_row(f, fps=0), r"store\.json is damaged"),
    **{
        f"{name} {str(value)[:5]}": (
            lambda f, name=name, value=value: edit_row(f, **{**SOURCE, name: value}),
            rf"store\.json is damaged: recording 'two/b' has {name} {re.escape(repr(value))}; expected ",
        )
        for name, value in (
            ("frames", 13.0),
            ("frames", True),
            ("offset", 1.5),
            ("fps", math.inf),
            ("fps", math.nan),
            ("fps", "30"),
            ("fps", 10**400),
            ("source_fps", math.inf),
            ("source_fps", -1.0),
            ("source_frames", 1.5),
            ("source_frames", 0),
            ("source_times", 1.5),
            ("source_times", -1),
            ("source_times", "0"),
        )
    },
    "source frames without a rate": (lambda f: edit_row(f, source_frames=3), "has only a part of source_fps"),
    "source times without a rate": (lambda f: edit_row(f, source_times=0), "has only a part of source_fps"),
    "two of one id": (lambda f: edit_row(f, id="one"), r"store\.json is damaged"),
    "no keypoints": (lambda f: (f / "keypoints.npy").unlink(), r"keypoints\.npy is missing"),
    "keypoints cut": (lambda f: truncate(f / "keypoints.npy"), r"keypoints\.npy cannot be read"),
    "keypoints empty": (lambda f: (f / "keypoints.npy").write_bytes(b""), r"keypoints\.npy cannot be read"),
    "keypoints shorter": (lambda f: save(f / "keypoints.npy", np.zeros((40, 2, 7, 2), "f4")), "lists 41 frames"),
    "keypoints of another shape": (lambda f: save(f / "keypoints.npy", np.zeros((41, 2, 5, 2), "f4")), "damaged"),
    "keypoints a number": (lambda f: save(f / "keypoints.npy", np.float32(3)), "damaged"),
    "keypoints of objects": (lambda f: np.save(f / "keypoints.npy", np.array([{}]), allow_pickle=True), "cannot be"),
    "labels missing": (lambda f: (f / "labels" / "S1.npy").unlink(), r"S1\.npy is missing"),
    "labels cut": (lambda f: truncate(f / "labels" / "S1.npy"), r"S1\.npy cannot be read"),
    "labels shorter": (lambda f: save(f / "labels" / "S1.npy", np.zeros(40, "i2")), r"S1\.npy"),
    "a label without name": (lambda f: save(f / "labels" / "S1.npy", np.full(41, 9, "i2")), "9, outside the voc"),
    "labels with a point": (lambda f: save(f / "labels" / "S1.npy", np.full(41, 0.5)), r"S1\.npy.*whole numbers"),
    "behaviors of one name": (lambda f: edit_stream(f, vocabulary=["a", "a", "c"]), "vocabulary of different names"),
    "background of no stream": (lambda f: edit_stream(f, background="z"), r"S1\.npy.*background 'z' is not in"),
    "confidence missing": (lambda f: (f / "confidence.npy").unlink(), r"confidence\.npy is missing"),
    "confidence shorter": (lambda f: save(f / "confidence.npy", np.zeros((40, 2, 7), "f4")), r"confidence\.npy"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_store_raises(folder, damage):
    change, message = DAMAGES[damage]
    change(folder)
    with pytest.raises(InputError, match=message) as caught:
        list(Store(folder))
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_other_places_are_no_stores(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(InputError, match="is not a store"):
            Store(path)


def test_recordings_are_chosen_by_id_or_glob(folder):
    store = Store(folder)

    def chosen(*patterns):
        return [row.id for row in store.select(patterns)]

    assert chosen("t*") == ["two/b", "three"] and chosen("three", "one", "o*") == ["one", "three"]
    for wrong in ("T*", "four", ""):
        with pytest.raises(InputError, match=f"no recording matches '{wrong[:1]}"):
            chosen("one", wrong)
    with pytest.raises(InputError, match="no recording 'four'; it has 'one', 'two/b', 'three'"):
        store.row("four")
    with pytest.raises(InputError, match=r"no label stream 'S3'; it has \['S1', 'S2'\]"):
        store.labels("S3")


def test_an_id_with_brackets_means_itself(tmp_path, dyad):
    store = write_store(tmp_path / "store", [dyad("a[1]", 3), dyad("a1", 5)])
    assert store.select(["a[1]"])[0].id == "a[1]"


def test_the_fingerprint_is_of_the_tracks(tmp_path, recordings):
    def fingerprint(name, changed):
        return write_store(tmp_path / name, changed).fingerprint()

    one, two, three = recordings
    first = fingerprint("first", recordings)
    assert fingerprint("again", recordings) == first
    assert fingerprint("elsewhere", [replace(one, source="/other/1.csv", labels={}), two, three]) == first
    moved = one.keypoints.copy()
    moved[0, 0, 0, 0] += 1
    changes = {
        "order": [two, one, three],
        "fewer": [one, two],
        "id": [replace(one, id="eins"), two, three],
        "fps": [replace(one, fps=31.0), two, three],
        "moved": [replace(one, keypoints=moved), two, three],
        "skeleton": [replace(r, skeleton=replace(SKELETONS["calms21"], name="mine")) for r in recordings],
    }
    prints = [fingerprint(name, changed) for name, changed in changes.items()]
    assert len({first, *prints}) == len(prints) + 1


MICE = Skeleton(name="mice", keypoints=("nose", "neck", "tail"), roles={"nose": "nose", "tail_base": "tail"})


def mice(id, names, frames, confidence=True):
    """Animals of these names; an animal's coordinates in a recording follow from its name, not from its column."""
    tracks = [np.random.default_rng([ord(name[-1]), ord(id)]).normal(size=(frames, 3, 2)) for name in names]
    keypoints = np.stack(tracks, axis=1).astype(np.float32)
    return Recording(
        id=id, keypoints=keypoints, fps=30.0, skeleton=MICE, individuals=tuple(names), source=f"{id}.csv",
        confidence=keypoints[..., 0] if confidence else None,
    )  # fmt: skip


def groups():
    return [
        mice("a", ["m1", "m2"], 13),
        replace(mice("b", ["m3", "m1", "m2"], 7), labels={"S1": labels(7)}),
        mice("c", ["m2"], 5, confidence=False),
        mice("d", ["m1", "m2", "m4"][::-1], 11),
    ]


def test_a_widened_store_is_that_of_all_animals_from_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(growing_array, "_PART_FRAMES", 3)
    named = ("m1", "m2", "m3", "m4")
    recordings = groups()
    recordings[3] = mice("d", named, 11)
    write_store(tmp_path / "widened", recordings)
    individuals = IndividualsByName({name: name for name in named}, exchangeable=True)
    whole = [individuals.completed(individuals.matched(recording)) for recording in recordings]
    with create_store(tmp_path / "whole", whole[0].skeleton) as writer:
        for recording in whole:
            writer.append(recording)
    files = sorted(path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.*"))
    assert files == sorted(path.relative_to(tmp_path / "widened") for path in (tmp_path / "widened").rglob("*.*"))
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "widened" / file).read_bytes(), file


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_groups_come_back_by_name_in_every_order(tmp_path, order):
    recordings = [groups()[pick] for pick in order]
    store = write_store(tmp_path / "store", recordings)
    assert set(store.individuals) == {"m1", "m2", "m3"}
    for got, expected in zip(store, recordings, strict=True):
        assert set(got.absent) == set(store.row(got.id).absent) == set(store.individuals) - set(expected.individuals)
        assert got.content_hash() == store.row(got.id).content_hash
        for number, name in enumerate(expected.individuals):
            place = store.individuals.index(name)
            np.testing.assert_array_equal(got.keypoints[:, place], expected.keypoints[:, number])
            known = (
                np.full((got.num_frames, 3), np.nan) if expected.confidence is None else expected.confidence[:, number]
            )
            np.testing.assert_array_equal(got.confidence[:, place], known)


def test_a_full_disk_while_widening_leaves_nothing(tmp_path, monkeypatch):
    def full(self, places):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module.GrowingArray, "widened", full)
    with pytest.raises(InputError, match="full"):
        write_store(tmp_path / "store", groups())
    assert not list(tmp_path.iterdir())


def test_a_store_is_widened_in_bounded_memory(tmp_path):
    """Hundreds of megabytes of tracks, of which a part at a time is held."""
    tracemalloc.start()
    frames = 400_000
    with create_store(tmp_path / "store", MICE, ["m1", "m2"]) as writer:
        part = np.zeros((frames // 8, 2, 3, 2), dtype=np.float32)
        for number in range(8):
            writer.append(Recording(id=str(number), keypoints=part, fps=30.0, skeleton=MICE, individuals=("m1", "m2")))
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        writer.widen(replace(MICE, individuals=("m1", "m2", "m3", "m4")))
        peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert Store(tmp_path / "store").keypoints.shape == (frames, 4, 3, 2) and peak < 8e6
    assert {row.absent for row in Store(tmp_path / "store").rows} == {("m3", "m4")}


def test_a_store_is_asked_by_id(folder, recordings):
    store = Store(folder)
    for recording in recordings:
        np.testing.assert_array_equal(store[recording.id].keypoints, recording.keypoints)
        assert recording.id in store
    assert "nobody" not in store
    with pytest.raises(InputError, match="has no recording 'nobody'; it has 'one', 'two/b', 'three'"):
        store["nobody"]
