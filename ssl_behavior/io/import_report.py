"""Import report: its data and tables."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from ssl_behavior.io.import_findings import findings
from ssl_behavior.io.track_quality import Cleaned, Quality
from ssl_behavior.recording import Recording
from ssl_behavior.terminal import counted, make_table

__all__ = ["ImportReport", "RecordingReport", "StreamReport", "findings", "render"]


if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


_MAX_ROWS = 40
_FEW_ROWS = 20
"""Rows of each of the two tables of recordings, where there are more than `_MAX_ROWS`."""
_MAX_STREAM_COLUMNS = 3
_MAX_KEYPOINT_COLUMNS = 8


@dataclass(frozen=True, kw_only=True)
class StreamReport:
    """One label stream of one recording: annotated frames, in total and per behavior, and fit of intervals to tracks.

    `clipped` : annotated frames after the end of the tracks, dropped; `uncovered` : frames between intervals;
    `after_end` : frames of the tracks after the last interval, taken as not annotated.
    """

    annotated: int
    counts: Mapping[str, int]
    annotator: str = ""
    clipped: int = 0
    uncovered: int = 0
    after_end: int = 0


@dataclass(frozen=True, kw_only=True)
class RecordingReport:
    """One imported recording."""

    id: str
    source: str
    frames: int
    seconds: float
    fps: float
    subset: str
    individuals: tuple[str, ...]
    quality: Quality
    cleaned: Cleaned
    labels: Mapping[str, StreamReport]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, recording: Recording, quality: Quality, cleaned: Cleaned, labels: Mapping[str, StreamReport]
    ) -> "RecordingReport":
        """The report on `recording` after cleaning."""
        return cls(
            id=recording.id,
            source=recording.source,
            frames=recording.num_frames,
            seconds=recording.seconds,
            fps=float(recording.fps),
            subset=recording.subset,
            individuals=recording.individuals,
            quality=quality,
            cleaned=cleaned,
            labels=labels,
            notes=recording.notes,
        )


@dataclass(kw_only=True)
class ImportReport:
    """Result of an import: `notices` about files, and `recordings` in store order."""

    recordings: list[RecordingReport] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    backgrounds: dict[str, str] = field(default_factory=dict)

    @property
    def num_frames(self) -> int:
        return sum(r.frames for r in self.recordings)


def render(report: ImportReport, store: Path, translate: Callable[[str], str] = str) -> Iterator["RenderableType"]:
    """Tables and findings for a terminal.

    Parameters
    ----------
    store : folder of the store, named in the last line.
    translate : applied to each finding, which names arguments of `ImportOptions` in backticks.
    """
    from rich.text import Text

    whole = store / "import.json"
    yield _recordings_table(report, whole)
    yield _missing_table(report, whole)
    if report.backgrounds:
        yield _labels_table(report, whole)
    yield Text("What to look at", style="bold")
    for sentence in findings(report) or ["nothing stands out"]:
        yield Text(f"  - {translate(sentence)}")
    seconds = sum(row.seconds for row in report.recordings)
    yield Text(
        f"{store}: {counted(len(report.recordings), 'recording')}, {report.num_frames:,} frames, "
        f"{seconds / 3600:.2f} hours. "
        f"All of this per recording: {whole}"
    )


def _table(title: str, columns: Iterable[str], rows: list[list[str]], whole: Path, left: int = 1) -> "Table":
    """Table of at most `_MAX_ROWS` rows; `whole` names the file with all rows."""
    # Headings of several words stand below each other, so that more columns fit.
    headings = [column if number < left else column.replace(" ", "\n") for number, column in enumerate(columns)]
    listed = rows if len(rows) <= _MAX_ROWS else rows[:_FEW_ROWS]
    more = f"and {len(rows) - len(listed)} more, all of them in {whole}" if len(listed) < len(rows) else ""
    return make_table(headings, listed, title, text=headings[:left], caption=more)


def _recordings_table(report: ImportReport, whole: Path) -> "Table":
    streams = list(report.backgrounds)
    columns = ["recording", "frames", "seconds", "fps", "missing %", "sentinels", "jumps", "swaps", "same point", "far"]
    rows = []
    for r in report.recordings:
        q = r.quality
        numbers = [r.frames, f"{r.seconds:.1f}", f"{r.fps:g}", f"{100 * q.missing_share:.1f}"]
        numbers += [_sentinels(r), q.jumps, q.swapped_frames, q.coinciding_frames, q.far_points]
        rows.append([r.id, *map(str, numbers), *_covered(r, streams)])
    labels = [f"{s} %" for s in streams] if len(streams) <= _MAX_STREAM_COLUMNS else ["labels"]
    return _table("Recordings", [*columns, *labels], rows, whole)


def _sentinels(recording: RecordingReport) -> int:
    """Points at the places that trackers write for a point they did not find, kept or set to missing."""
    cleaned, kept = recording.cleaned, recording.quality
    return cleaned.zeros + cleaned.minus_ones + cleaned.negative_confidence + kept.zeros + kept.minus_ones


def _covered(recording: RecordingReport, streams: list[str]) -> list[str]:
    """Annotated share of each stream; with many streams, the names of the recording's streams."""
    labels = recording.labels
    if len(streams) <= _MAX_STREAM_COLUMNS:
        return [f"{100 * labels[s].annotated / recording.frames:.0f}" if s in labels else "none" for s in streams]
    return [next(iter(labels), "none") if len(labels) < 2 else f"{len(labels)} streams"]


def _missing_table(report: ImportReport, whole: Path) -> "Table":
    """Missing points per recording and keypoint; with too many keypoints for columns, one row per keypoint."""
    keypoints = list(report.recordings[0].quality.missing)
    title = "Missing share per keypoint, %"
    if len(keypoints) <= _MAX_KEYPOINT_COLUMNS:
        rows = [[r.id, *(f"{100 * r.quality.missing[k]:.1f}" for k in keypoints)] for r in report.recordings]
        return _table(title, ["recording", *keypoints], rows, whole)
    shares = {k: [100 * r.quality.missing[k] for r in report.recordings] for k in keypoints}
    rows = [[k, *(f"{value:.1f}" for value in (min(s), median(s), max(s)))] for k, s in shares.items()]
    title = "Missing share per keypoint over the recordings, %"
    return _table(title, ["keypoint", "least", "median", "most"], rows, whole)


def _labels_table(report: ImportReport, whole: Path) -> "Table":
    rows = []
    for stream, background in report.backgrounds.items():
        frames: Counter[str] = Counter()
        recordings: Counter[str] = Counter()
        for row in report.recordings:
            if stream in row.labels:
                counts = row.labels[stream].counts
                frames.update(counts)
                recordings.update(name for name, count in counts.items() if count)
        for name, count in frames.items():
            share = f"{100 * count / max(1, frames.total()):.2f}"
            label = f"{name} (background)" if name == background else name
            rows.append([stream, label, str(count), share, str(recordings[name])])
    return _table("Labels", ["stream", "behavior", "frames", "%", "recordings"], rows, whole, left=2)
