"""Import report: its data, tables and findings, quality checks, and the two optional repairs of tracks.

This module changes no file.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording, observed_points
from ssl_behavior.terminal import counted, make_table

__all__ = [
    "Cleaned",
    "ImportReport",
    "Quality",
    "RecordingReport",
    "StreamReport",
    "body_length",
    "clean",
    "findings",
    "inspect_quality",
    "render",
]

_JUMP_BODY_LENGTHS = 0.5
"""Per frame; at 30 frames/s that is 15 body lengths a second, more than a mouse or rat runs."""
_SWAP_RATIO = 3.0
_SAME_POINT_PX = 1.0
_FAR_SPANS = 0.5


@dataclass(frozen=True)
class Cleaned:
    """Number of points set to missing: exact zeros, and points below the minimum confidence."""

    zeros: int = 0
    low_confidence: int = 0


def clean(
    recording: Recording, keep_zeros: bool = False, min_confidence: float | None = None
) -> tuple[Recording, Cleaned]:
    """Set exact (0, 0) points to missing: trackers write the image corner for points they did not find.

    Confidence masks points only if `min_confidence` is given; a point whose confidence is not known stays.

    Raises
    ------
    InputError
        If `min_confidence` is given for a recording without confidence.
    """
    zeros = (recording.keypoints == 0).all(axis=-1) & (not keep_zeros)
    low = np.zeros_like(zeros)
    if min_confidence is not None:
        if recording.confidence is None:
            raise InputError(
                f"{recording.source}: recording {recording.id!r} has no confidence; leave out `min_confidence`"
            )
        with np.errstate(invalid="ignore"):
            low = (recording.confidence < min_confidence) & observed_points(recording.keypoints) & ~zeros
    drop = zeros | low
    if not drop.any():
        return recording, Cleaned()
    keypoints = np.where(drop[..., None], np.float32(np.nan), recording.keypoints)
    return replace(recording, keypoints=keypoints), Cleaned(int(zeros.sum()), int(low.sum()))


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Counts over one recording.

    Parameters
    ----------
    missing : keypoint -> share of its points (all animals, all frames) that are missing.
    never_seen : "individual/keypoint" that has no point in any frame.
    half_missing : points with one coordinate only; they count as missing.
    zeros : points at exactly (0, 0) that are still in the recording.
    no_animal_frames : frames without a single point.
    body_length_px : median over frames of an animal's largest extent; None if unknown.
    jump_px : the displacement from one frame to the next beyond which a point counts as a jump.
    jumps : points that moved more than `jump_px` since the frame before.
    swapped_frames : frames at which exchanging two animals would make the movement much smaller.
    coinciding_frames : frames in which every point that two animals share lies within a pixel (at least two points).
    far_points : points farther outside the middle 98 % of their recording than half of that range's width.
    """

    missing: dict[str, float]
    never_seen: list[str]
    half_missing: int
    zeros: int
    no_animal_frames: int
    body_length_px: float | None
    jump_px: float | None
    jumps: int
    swapped_frames: int
    coinciding_frames: int
    far_points: int

    @property
    def missing_share(self) -> float:
        return float(np.mean(list(self.missing.values())))


def inspect_quality(recording: Recording) -> Quality:
    """Quality counts of one recording; vectorized, with memory of a few copies of its tracks."""
    keypoints = recording.keypoints
    observed = observed_points(keypoints)
    length = body_length(keypoints, observed)
    jump_px = None if length is None else _JUMP_BODY_LENGTHS * length
    never = np.argwhere(~observed.any(axis=0))
    names = recording.skeleton.keypoints
    return Quality(
        missing={name: float(1 - observed[:, :, k].mean()) for k, name in enumerate(names)},
        never_seen=[f"{recording.individuals[i]}/{names[k]}" for i, k in never],
        half_missing=int(np.isfinite(keypoints).any(axis=-1).sum() - observed.sum()),
        zeros=int((keypoints == 0).all(axis=-1).sum()),
        no_animal_frames=int((~observed.any(axis=(1, 2))).sum()),
        body_length_px=length,
        jump_px=jump_px,
        jumps=0 if jump_px is None else _jumps(keypoints, jump_px),
        swapped_frames=0 if jump_px is None else _swapped(keypoints, observed, jump_px),
        coinciding_frames=_coinciding(keypoints, observed),
        far_points=_far(keypoints, observed),
    )


def body_length(keypoints: np.ndarray, observed: np.ndarray) -> float | None:
    """Median over frames and animals of the diagonal of the box around an animal's points, in pixels.

    Only frames with at least half of the keypoints (and two) count; None if there is no such frame, or no extent.
    """
    enough = observed.sum(axis=2) >= max(2, (observed.shape[2] + 1) // 2)
    if not enough.any():
        return None
    points = keypoints[enough].astype(np.float64)
    seen = observed[enough][..., None]
    high = np.where(seen, points, -np.inf).max(axis=1)
    low = np.where(seen, points, np.inf).min(axis=1)
    length = float(np.median(np.linalg.norm(high - low, axis=-1)))
    return length if length > 0 else None


def _displacement(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Euclidean distance in pixels; NaN where either is missing."""
    with np.errstate(invalid="ignore"):
        return np.linalg.norm(now.astype(np.float64) - before, axis=-1)


def _jumps(keypoints: np.ndarray, jump_px: float) -> int:
    with np.errstate(invalid="ignore"):
        return int((_displacement(keypoints[1:], keypoints[:-1]) > jump_px).sum())


def _swapped(keypoints: np.ndarray, observed: np.ndarray, jump_px: float) -> int:
    """Number of possible identity swaps, compared over keypoints that both animals show in both frames."""
    found = np.zeros(max(0, len(keypoints) - 1), dtype=bool)
    for i, j in combinations(range(keypoints.shape[1]), 2):
        shared = observed[:, i] & observed[:, j]
        shared = shared[1:] & shared[:-1]
        a, b = keypoints[:, i], keypoints[:, j]
        stay = _displacement(a[1:], a[:-1]) + _displacement(b[1:], b[:-1])
        swap = _displacement(a[1:], b[:-1]) + _displacement(b[1:], a[:-1])
        count = np.maximum(shared.sum(axis=1), 1)
        stay = np.where(shared, stay, 0).sum(axis=1) / count
        swap = np.where(shared, swap, 0).sum(axis=1) / count
        found |= (stay > jump_px) & (stay > _SWAP_RATIO * swap)
    return int(found.sum())


def _coinciding(keypoints: np.ndarray, observed: np.ndarray) -> int:
    found = np.zeros(len(keypoints), dtype=bool)
    for i, j in combinations(range(keypoints.shape[1]), 2):
        shared = observed[:, i] & observed[:, j]
        with np.errstate(invalid="ignore"):
            distinct = _displacement(keypoints[:, i], keypoints[:, j]) > _SAME_POINT_PX
        found |= (shared.sum(axis=1) >= min(2, shared.shape[1])) & ~(distinct & shared).any(axis=1)
    return int(found.sum())


def _far(keypoints: np.ndarray, observed: np.ndarray) -> int:
    points = keypoints[observed].astype(np.float64)
    if not len(points):
        return 0
    low, high = np.percentile(points, [1, 99], axis=0)
    margin = _FAR_SPANS * (high - low).max()
    return int(((points < low - margin) | (points > high + margin)).any(axis=1).sum())


if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


_MAX_ROWS = 40
_FEW_ROWS = 20
"""Rows of each of the two tables of recordings, where there are more than `_MAX_ROWS`."""
_MANY_IDS = 8
_MAX_STREAM_COLUMNS = 3
_MAX_KEYPOINT_COLUMNS = 8
_MANY_MISSING = 0.2
_SHORT_SECONDS = 1.0


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


def findings(report: ImportReport) -> list[str]:
    """Findings that need attention, one sentence each, with recordings and counts."""
    return [*_about_points(report), *_about_labels(report), *_about_notes(report), *report.notices]


def _about_points(report: ImportReport) -> Iterator[str]:
    rows = report.recordings
    # Each: a count, and the sentence around "{n} ... : recordings".
    counts: tuple[tuple[Callable[[RecordingReport], int], str], ...] = (
        (lambda r: r.cleaned.zeros, "points at exactly (0, 0) were set to missing (tracking failures, not positions)"),
        (lambda r: r.quality.zeros, "points at exactly (0, 0) were kept"),
        (lambda r: r.cleaned.low_confidence, "points below the minimum confidence were set to missing"),
        (lambda r: r.quality.half_missing, "points have one coordinate only and count as missing"),
        (lambda r: r.quality.no_animal_frames, "frames show no point of any animal"),
        (lambda r: r.quality.jumps, "points jump by more than half a body length from one frame to the next"),
        (lambda r: r.quality.swapped_frames, "frames look as if two animals were swapped there"),
        (lambda r: r.quality.coinciding_frames, "frames have two animals on the same points"),
        (lambda r: r.quality.far_points, "points lie far outside of where the animals otherwise are"),
    )
    for count, sentence in counts:
        concerned = Counter({r.id: count(r) for r in rows if count(r)})
        if concerned:
            yield f"{sum(concerned.values())} {sentence}: {_most(concerned)}"
    yield from _about_missing(rows)


def _about_missing(rows: list[RecordingReport]) -> Iterator[str]:
    shares: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for keypoint, share in row.quality.missing.items():
            shares[keypoint].append(share)
    for keypoint, values in shares.items():
        if max(values) > _MANY_MISSING:
            yield f"{keypoint} is missing in {min(values):.0%} to {max(values):.0%} of a recording's points"
    for row in rows:
        if row.quality.never_seen:
            yield f"{row.id}: never seen at all: {', '.join(row.quality.never_seen[:8])}"
    short = [row.id for row in rows if row.seconds < _SHORT_SECONDS]
    if short:
        yield f"shorter than a second: {_some(short)}"


def _about_labels(report: ImportReport) -> Iterator[str]:
    streams = list(dict.fromkeys(name for row in report.recordings for name in row.labels))
    # A few recordings are all named, since the user has to look at them.
    limit = _MAX_ROWS if len(report.recordings) <= _MAX_ROWS else _MANY_IDS
    for stream in streams:
        without = [row.id for row in report.recordings if stream not in row.labels]
        if without:
            named = _some(without, limit)
            if len(without) > limit:
                named = f"{len(without)} of {len(report.recordings)} recordings: {_some(without, 3)}"
            yield f"{stream} is not annotated (which is not the same as background) in {named}"
        having = {row.id: row.labels[stream] for row in report.recordings if stream in row.labels}
        kinds: tuple[tuple[Callable[[StreamReport], int], str], ...] = (
            (lambda s: s.clipped, "annotated frames lie after the end of the tracks and were dropped"),
            (lambda s: s.after_end, "frames after the last annotation are taken as not annotated"),
            (
                lambda s: s.uncovered,
                f"frames between annotations are taken as {report.backgrounds.get(stream) or 'not annotated'}",
            ),
        )
        for count, sentence in kinds:
            concerned = Counter({id: count(s) for id, s in having.items() if count(s)})
            if concerned:
                yield f"{stream}: {sum(concerned.values())} {sentence}: {_most(concerned, limit)}"


def _about_notes(report: ImportReport) -> Iterator[str]:
    concerned: dict[str, list[str]] = defaultdict(list)
    for row in report.recordings:
        for note in row.notes:
            concerned[note].append(row.id)
    for note, ids in concerned.items():
        yield f"{note} ({_some(ids)})" if len(ids) < len(report.recordings) else f"{note} (all recordings)"


def _most(concerned: Counter[str], limit: int = _MANY_IDS) -> str:
    if len(concerned) > limit:
        listed = ", ".join(f"{id} ({count})" for id, count in concerned.most_common(limit))
        return f"{len(concerned)} recordings, most in {listed}"
    return ", ".join(f"{id} ({count})" for id, count in concerned.items())


def _some(ids: list[str], limit: int = _MANY_IDS) -> str:
    return ", ".join(ids[:limit]) + (f" and {len(ids) - limit} more" if len(ids) > limit else "")


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
    columns = ["recording", "frames", "seconds", "fps", "missing %", "zeros", "jumps", "swaps", "same point", "far"]
    rows = []
    for r in report.recordings:
        q = r.quality
        numbers = [r.frames, f"{r.seconds:.1f}", f"{r.fps:g}", f"{100 * q.missing_share:.1f}"]
        numbers += [r.cleaned.zeros + q.zeros, q.jumps, q.swapped_frames, q.coinciding_frames, q.far_points]
        rows.append([r.id, *map(str, numbers), *_covered(r, streams)])
    labels = [f"{s} %" for s in streams] if len(streams) <= _MAX_STREAM_COLUMNS else ["labels"]
    return _table("Recordings", [*columns, *labels], rows, whole)


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
