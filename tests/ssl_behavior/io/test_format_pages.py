"""The examples of the pages about formats run, and the files that they write are read."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from ssl_behavior.io import FORMATS, ReadOptions, detect_format, read_recordings
from ssl_behavior.io.annotation_readers import ANNOTATION_READERS, annotation_reader, read_annotations
from ssl_behavior.io.reader_helpers import NPZ_PAGE
from ssl_behavior.label_changes import rename_behavior
from ssl_behavior.recording import FrameTimes, Labels, PairLabels
from ssl_behavior.store import Store, write_store

DOCS = Path(__file__).parents[3] / "docs"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_LINES = 6


def sections(page):
    """Heading -> text below it."""
    parts = re.split(r"^## (.+)$", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


TRACKS, LABELS = sections("formats.md"), sections("label-formats.md")
START = "What every reader checks"
WITH_LIBRARY = {"import pandas": "pandas", "import xarray": "xarray"}


def run(code, folder, monkeypatch):
    """The files that an example writes."""
    for words, module in WITH_LIBRARY.items():
        if words in code:
            pytest.importorskip(module)
    monkeypatch.chdir(folder)
    before = set(folder.iterdir())
    exec(PYTHON.search(TRACKS[START])[1] + code, {})
    return sorted(set(folder.iterdir()) - before)


@pytest.mark.parametrize("title", [title for title in TRACKS if title not in (START, "Store")])
def test_examples_of_tracks_are_read(tmp_path, monkeypatch, title):
    names = set(re.findall(r"`(?:--format )?(\w+)`", TRACKS[title].strip().partition("\n\n")[0]))
    assert names & set(FORMATS)
    for code in PYTHON.findall(TRACKS[title]):
        files = run(code, tmp_path, monkeypatch)
        assert files
        for path in files:
            assert detect_format(path).name in names
            (recording,) = read_recordings(path, ReadOptions(fps=30.0))
            assert recording.num_frames == 90 and np.isfinite(recording.keypoints).any()
            if title == "idtracker.ai":
                assert f"The example below is `{recording.id}`" in TRACKS[title]
            if recording.skeleton.keypoints == ("nose", "neck", "tail_base"):
                np.testing.assert_allclose(recording.keypoints[5, 0, 1], (320.0, 305.0))


@pytest.mark.parametrize("title", ["NWB", "movement netCDF", "EthoVision", "TRex"])
def test_formats_with_times_name_the_option_for_irregular_ones(title):
    assert "`--resample`" in TRACKS[title]


def test_every_format_of_tracks_has_a_section():
    named = re.findall(r"`(?:--format )?(\w+)`", "".join(TRACKS.values()))
    assert set(FORMATS) <= set(named)


def test_the_store_is_as_described(tmp_path, monkeypatch, dyad):
    source = FrameTimes(fps=30.0, num_frames=40, measured=np.linspace(0, 1, 40) ** 1.1)
    labels = {"S1": Labels(vocabulary=("x",), frames=np.zeros(31, dtype=int))}
    bouts = {"S2": PairLabels(vocabulary=("x",), bouts=np.array([[0, 1, 0, 2, 5]]))}
    write_store(tmp_path / "store", [dyad("a", 31, resampled_from=source, labels=labels, pair_labels=bouts)])
    rename_behavior(tmp_path / "store", "S1", "x", "y")
    assert run(PYTHON.search(TRACKS["Store"])[1], tmp_path, monkeypatch) == []
    files = {path.relative_to(tmp_path / "store").as_posix() for path in (tmp_path / "store").rglob("*.*")}
    named = set(re.findall(r"`([\w./]+)`", TRACKS["Store"]))
    assert "times.npy" in files and {re.sub("S[12]", "STREAM", file) for file in files} <= named
    contents = json.loads((tmp_path / "store" / "store.json").read_text())
    (journal,) = contents["label_changes"]
    keys = {*contents["pair_streams"]["S2"], *contents["pair_streams"]["S2"]["recordings"]["a"]}
    keys |= {*contents, *contents["recordings"][0], *contents["streams"]["S1"], *journal, *journal["before"]}
    assert {"source_fps", "source_frames", "source_times"} <= keys <= named
    assert {"import", "simulate", "resample", "labels"} <= named
    assert Store(tmp_path / "store").num_frames == 31


@pytest.mark.parametrize("title", [title for title in LABELS if title != START])
def test_examples_of_labels_are_read(tmp_path, monkeypatch, title):
    for code in PYTHON.findall(LABELS[title]):
        for path in run(code, tmp_path, monkeypatch):
            assert annotation_reader(path) is not None
            (annotation,) = read_annotations(path)
            assert annotation.streams and any(len(one) for one in annotation.streams.values())


def test_every_format_of_labels_has_a_section():
    starts = {"caltech": "Caltech", "bento": "Bento", "boris": "BORIS project", "boris_table": "BORIS event tables",
              "mabe": "MABe 2025", "csv": "Bouts", "frames": "Frames", "columns": "Columns", "npy": "npy"}  # fmt: skip
    assert set(starts) == set(ANNOTATION_READERS)
    assert all(any(title.startswith(start) for title in LABELS) for start in starts.values())


@pytest.mark.parametrize("page", ["formats.md", "label-formats.md"])
def test_examples_are_short(page):
    for code in PYTHON.findall((DOCS / page).read_text(encoding="utf-8")):
        assert len([line for line in code.splitlines() if line.strip()]) <= MOST_LINES


def test_messages_name_the_page_of_npz():
    page, _, anchor = NPZ_PAGE.partition("#")
    assert (DOCS.parent / page).is_file() and anchor in TRACKS


def test_the_table_of_npz_lists_every_array():
    from ssl_behavior.io.npz import _KEYS, _STREAM_KEYS

    text = TRACKS["npz"]
    assert all(f"`{key}`" in text for key in _KEYS) and all(f"`{key}__STREAM`" in text for key in _STREAM_KEYS)
