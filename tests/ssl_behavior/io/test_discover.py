import pytest

from ssl_behavior.errors import InputError
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
        find([lab / "week1"])


def test_format_can_be_forced(lab):
    assert find([lab / "week1"], format="npz")[0] == []
    (track,), _, _ = find([lab / "week1" / "notes.md"], format="npz")
    assert track.format.name == "npz"
    with pytest.raises(InputError, match="unknown `format`"):
        find([lab], format="excel")
