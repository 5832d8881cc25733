"""Import report: its data, its tables, and its findings: one sentence each, what endangers a result first."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ssl_behavior.io.annotation import AnnotationSpan
from ssl_behavior.io.track_quality import Cleaned, Quality
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import FRONT_ROLES, Skeleton
from ssl_behavior.terminal import counted, listed, make_table

__all__ = [
    "CONCERNS",
    "ImportReport",
    "RecordingReport",
    "StreamReport",
    "about_removed_bouts",
    "about_spans",
    "absent_animals",
    "findings",
    "render",
    "without_heading",
]


CONCERNS: tuple[tuple[str, str], ...] = (
    (
        "identity",
        r"swap|two animals on the same|exchangeable|as identified|assign the animals|matched by|names? its animals",
    ),
    (
        "number of animals",
        r"absent animals|animals left out|animals of one video|belong to no animal|number of animals|no heading",
    ),
    ("copies", r"has the same tracks as|several track files of one video"),
    ("removed bouts", r"^resampling removed"),
    ("missing points", r"missing|never seen|no point of any animal"),
    ("doubtful points", r"points? |bod(y|ies) "),
    ("labels", r"annotat|annotator|label|background|behavior"),
    ("assumptions", r"assumed|taken as|read as|separated by|shorter than"),
    ("files", r"^left out [\d,]+ file|it is a store already"),
)
"""Order of the findings, and the words by which the sentences of readers are sorted into it; the rest comes last.

First what makes a result wrong without a trace (identities, the number of animals, copies on both sides of a split),
then what is missing or doubtful, then labels, assumptions, and files.
"""

_MAX_NAMED = 40
_MANY_IDS = 8
_MANY_MISSING = 0.2
_SHORT_SECONDS = 1.0
_VARYING = re.compile(r"'[^']*'|\S*/\S*|\d[\d,.]*\d|\d")
"""Parts in which sentences about different files and recordings differ: quoted names, paths, numbers."""
_BY_ANIMAL: dict[str, Callable[["RecordingReport"], int]] = {
    "swapped_frames": lambda r: r.quality.swapped_frames,
    "coinciding_frames": lambda r: r.quality.coinciding_frames,
    "frozen_points": lambda r: r.quality.frozen_points,
    "collapsed_bodies": lambda r: r.quality.collapsed_bodies,
    "jumps": lambda r: r.quality.jumps,
    "far_points": lambda r: r.quality.far_points,
}
"""Counts that `Quality.by_animal` divides."""
_POINT_COUNTS: tuple[tuple[str, Callable[["RecordingReport"], int], str], ...] = (
    ("identity", _BY_ANIMAL["swapped_frames"], "frames look as if two animals were swapped there"),
    ("identity", _BY_ANIMAL["coinciding_frames"], "frames have two animals on the same points"),
    ("missing points", lambda r: r.quality.no_animal_frames, "frames show no point of any animal"),
    (
        "missing points",
        lambda r: r.cleaned.zeros,
        "points at exactly (0, 0) were set to missing (tracking failures, not positions)",
    ),
    (
        "missing points",
        lambda r: r.cleaned.minus_ones,
        "points at exactly (-1, -1) were set to missing (padding of absent animals, not positions)",
    ),
    (
        "missing points",
        lambda r: r.cleaned.negative_confidence,
        "points with a negative confidence were set to missing",
    ),
    (
        "missing points",
        lambda r: r.cleaned.low_confidence,
        "points below the minimum confidence were set to missing",
    ),
    (
        "missing points",
        lambda r: r.quality.half_missing,
        "points have one coordinate only and count as missing",
    ),
    ("doubtful points", lambda r: r.quality.zeros, "points at exactly (0, 0) were kept"),
    ("doubtful points", lambda r: r.quality.minus_ones, "points at exactly (-1, -1) were kept"),
    (
        "doubtful points",
        _BY_ANIMAL["frozen_points"],
        "points stand at exactly one place for more than 2 s while others move",
    ),
    (
        "doubtful points",
        _BY_ANIMAL["collapsed_bodies"],
        "bodies (an animal in a frame) are collapsed to one point",
    ),
    (
        "doubtful points",
        _BY_ANIMAL["jumps"],
        "points jump by more than half a body length from one frame to the next",
    ),
    (
        "doubtful points",
        _BY_ANIMAL["far_points"],
        "points lie far outside of where the animals otherwise are",
    ),
    ("doubtful points", lambda r: r.quality.unknown_confidence, "points have no confidence, unlike others"),
)
"""Concern, count, and sentence of each finding about points."""


def findings(report: "ImportReport") -> list[str]:
    """Findings that need attention, one sentence each, with recordings and counts, in the order of `CONCERNS`."""
    found = [*_about_points(report), *_about_missing(report.recordings)]
    found += [("labels", sentence) for sentence in _about_labels(report)]
    removed = {row.id: {name: own.removed_bouts for name, own in row.labels.items()} for row in report.recordings}
    found += [("removed bouts", sentence) for sentence in about_removed_bouts(removed)]
    others = [*_about_notes(report), *_grouped(report.notices)]
    found += [(concern_of(sentence), sentence) for sentence in others]
    order = [name for name, _ in CONCERNS] + [""]
    return [sentence for _, sentence in sorted(found, key=lambda item: order.index(item[0]))]


def concern_of(sentence: str) -> str:
    """The first of `CONCERNS` that a reader's sentence is about; "" if none.

    Sentences about files list all kinds of them, so these are known first.
    """
    return next((name for name, words in (CONCERNS[-1], *CONCERNS[:-1]) if re.search(words, sentence)), "")


def _about_points(report: "ImportReport") -> Iterator[tuple[str, str]]:
    for concern, count, sentence in _POINT_COUNTS:
        concerned = Counter({r.id: count(r) for r in report.recordings if count(r)})
        if concerned:
            yield concern, _counted(sentence, concerned) + _whose(report, count)


def _whose(report: "ImportReport", count: Callable[["RecordingReport"], int]) -> str:
    """Animals, or pairs of them, that a finding about more than two animals is about, the most frequent first."""
    whose: Counter[str] = Counter()
    for row in report.recordings:
        for name, counts in row.quality.by_animal.items():
            if count is _BY_ANIMAL.get(name):
                whose.update(counts)
    named = [f"{who} ({number})" for who, number in whose.most_common()]
    return f"; of {listed(named, _MANY_IDS)}" if named else ""


def _counted(sentence: str, concerned: Counter[str], limit: int = _MANY_IDS) -> str:
    """A sentence with the recordings it is true of, and their counts."""
    total = f", {concerned.total():,} in all" if len(concerned) > 1 else ""
    return f"{sentence}{total}: {_most(concerned, limit)}"


def _about_missing(rows: Sequence["RecordingReport"]) -> Iterator[tuple[str, str]]:
    unseen: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in rows:
        if points := _unseen_points(row):
            unseen[points].append(row.id)
    for points, ids in unseen.items():
        animals = _by_animal(points)
        whole = [animal for animal, names in animals.items() if len(names) == len(rows[0].quality.missing)]
        parts = [
            # The keypoints of animals that are never seen are listed once.
            (animal if animal in whole[1:] else f"{animal}/{', '.join(names)}")
            + (f" (all {len(names)} keypoints)" if animal in whole else "")
            for animal, names in animals.items()
        ]
        concern = "number of animals" if whole else "missing points"
        yield concern, f"{listed(ids, _MANY_IDS)}: never seen at all: {listed(parts, 6, '; ')}"
    yield from (("missing points", sentence) for sentence in _missing_keypoints(rows))
    short = [row.id for row in rows if row.seconds < _SHORT_SECONDS]
    if short:
        yield "assumptions", f"shorter than a second: {listed(short, _MANY_IDS)}"


def _unseen_points(row: "RecordingReport") -> tuple[str, ...]:
    """Points that are never seen, less those of absent animals; all of them where no animal is ever seen."""
    points = tuple(row.quality.never_seen)
    if not row.present:
        return points
    return tuple(point for point in points if _animal_of(point) in row.present)


def absent_animals(rows: Sequence["RecordingReport"], individuals: Sequence[str]) -> Iterator[str]:
    """One sentence about the animals that only some recordings have, or none; `individuals` are those of the store."""
    lacking: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in rows:
        if row.present and (absent := tuple(name for name in individuals if name not in row.present)):
            lacking[absent].append(row.id)
    parts = [
        f"{listed(absent, _MANY_IDS)} in {'all recordings' if len(ids) == len(rows) else listed(ids, _MANY_IDS)}"
        for absent, ids in lacking.items()
    ]
    if not parts:
        return
    seen = [name for name in individuals if any(name in row.present for row in rows)]
    advice = ""
    if len(seen) < len(individuals):
        advice = f"; `individuals` with the names of the others ({listed(seen)}) leaves out those that no recording has"
    yield f"absent animals, of which these recordings have no point: {listed(parts, _MANY_IDS, '; ')}{advice}"


def without_heading(rows: Sequence["RecordingReport"], skeleton: Skeleton) -> Iterator[str]:
    """One sentence about the animals whose front or tail base is never seen in any recording."""
    ends = [next((skeleton.roles[role] for role in roles if role in skeleton.roles), "") for roles in _AXIS]
    found = {}
    for animal in skeleton.individuals:
        unseen = [row.quality.never_seen for row in rows if animal in row.present]
        found[animal] = [end for end in ends if unseen and all(f"{animal}/{end}" in points for points in unseen)]
    lacking = [f"{animal} ({', '.join(names)} never seen)" for animal, names in found.items() if names]
    if lacking:
        yield (
            f"no heading can be computed for {listed(lacking, 6)}: features and task programs that need one are "
            "unknown at every frame, and the encoder learns from the others"
        )


_AXIS = (FRONT_ROLES, ("tail_base",))


def _animal_of(point: str) -> str:
    return point.partition("/")[0]


def _by_animal(points: Iterable[str]) -> dict[str, list[str]]:
    """Animal -> keypoints, from "animal/keypoint"."""
    animals: dict[str, list[str]] = defaultdict(list)
    for point in points:
        animals[_animal_of(point)].append(point.partition("/")[2])
    return animals


def _missing_keypoints(rows: Sequence["RecordingReport"]) -> Iterator[str]:
    """One sentence about all keypoints that a recording misses often; those with the same shares together."""
    shares: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for keypoint, share in row.quality.missing.items():
            shares[keypoint].append(_share_of_owners(row, keypoint, share))
    alike: dict[str, list[str]] = defaultdict(list)
    for keypoint, values in sorted(shares.items(), key=lambda item: -max(item[1])):
        if max(values) > _MANY_MISSING:
            least, most = f"{min(values):.0%}", f"{max(values):.0%}"
            alike[most if least == most else f"{least} to {most}"].append(keypoint)
    count = sum(map(len, alike.values()))
    if count == 0:
        return
    which = f"{count} of {len(shares)} keypoints are" if len(shares) > 1 else "the keypoint is"
    if len(alike) == 1:
        ((text, names),) = alike.items()
        yield f"{which} missing in {text} of a recording's points: {', '.join(names)}"
        return
    words = "; ".join(f"{', '.join(names)} in {text}" for text, names in alike.items())
    yield f"{which} missing in more than {_MANY_MISSING:.0%} of a recording's points: {words}"


def _share_of_owners(row: "RecordingReport", keypoint: str, share: float) -> float:
    """Missing share of a keypoint among the animals that ever show it: that the others never do is said elsewhere."""
    never = sum(f"{animal}/{keypoint}" in row.quality.never_seen for animal in row.present)
    count = len(row.present)
    return share if never in (0, count) else 1 - (1 - share) * count / (count - never)


def _about_labels(report: "ImportReport") -> Iterator[str]:
    streams = list(dict.fromkeys(name for row in report.recordings for name in row.labels))
    # A few recordings are all named, since the user has to look at them.
    limit = _MAX_NAMED if len(report.recordings) <= _MAX_NAMED else _MANY_IDS
    for stream in streams:
        without = [row.id for row in report.recordings if stream not in row.labels]
        if without:
            named = listed(without, limit)
            if len(without) > limit:
                named = f"{len(without)} of {len(report.recordings)} recordings: {listed(without, 3)}"
            yield f"{stream} is not annotated (which is not the same as background) in {named}"
        spans = {row.id: row.labels[stream].span for row in report.recordings if stream in row.labels}
        yield from about_spans(stream, spans, report.backgrounds.get(stream, ""), limit)


def about_spans(
    stream: str, spans: Mapping[str, AnnotationSpan], background: str, limit: int = _MANY_IDS
) -> Iterator[str]:
    """Sentences about annotations of one stream that do not cover the tracks exactly, with recordings and frames.

    Parameters
    ----------
    spans : recording -> fit of its annotation to its tracks.
    background : of the stream, "" = none.
    limit : number of recordings that are named.
    """
    kinds: tuple[tuple[Callable[[AnnotationSpan], int], str], ...] = (
        (lambda span: span.clipped, "annotated frames lie after the end of the tracks and were dropped"),
        (lambda span: span.after_end, "frames after the last annotation are taken as not annotated"),
        (lambda span: span.uncovered, f"frames between annotations are taken as {background or 'not annotated'}"),
    )
    for count, sentence in kinds:
        concerned = Counter({id: count(span) for id, span in spans.items() if count(span)})
        if concerned:
            yield f"{stream}: {_counted(sentence, concerned, limit)}"


def about_removed_bouts(removed: Mapping[str, Mapping[str, Mapping[str, tuple[int, int]]]]) -> Iterator[str]:
    """One sentence about the bouts that resampling removed, if there are any; what lost the largest share comes first.

    Parameters
    ----------
    removed : recording -> stream -> behavior -> (removed bouts, all bouts), see `resampling.removed_bouts`.
    """
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    ids = []
    for id, streams in removed.items():
        for stream, behaviors in streams.items():
            for behavior, (gone, total) in behaviors.items():
                before = counts.get((stream, behavior), (0, 0))
                counts[stream, behavior] = before[0] + gone, before[1] + total
                ids += [id] if gone else []
    several = len({stream for stream, _ in counts}) > 1
    parts = [
        f"{gone:,} of {total:,} bouts of {f'{stream}:' if several else ''}{behavior}"
        for (stream, behavior), (gone, total) in sorted(counts.items(), key=lambda item: -item[1][0] / item[1][1])
        if gone
    ]
    if parts:
        yield (
            f"resampling removed {listed(parts, _MANY_IDS)}: none of the new frames is mostly theirs; a higher rate "
            f"keeps them ({listed(list(dict.fromkeys(ids)), _MANY_IDS)})"
        )


def _about_notes(report: "ImportReport") -> Iterator[str]:
    """Notes of recordings; those that differ in numbers alone are one sentence, with the first one's numbers."""
    kinds: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in report.recordings:
        for note in row.notes:
            kinds[re.sub(r"\d+", "#", note)].append((note, row.id))
    for notes in kinds.values():
        first, ids = notes[0][0], [id for _, id in notes]
        if any(note != first for note, _ in notes):
            others = f"; and alike, with other numbers: {listed(ids[1:], _MANY_IDS)}"
            yield f"{first} ({ids[0]}){others}"
        else:
            yield (
                f"{first} ({listed(ids, _MANY_IDS)})"
                if len(ids) < len(report.recordings)
                else f"{first} (all recordings)"
            )


def _grouped(notices: Sequence[str]) -> Iterator[str]:
    """Notices; those that differ in names and numbers alone are one sentence, followed by the other names."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for notice in notices:
        kinds[_VARYING.sub("#", notice)].append(notice)
    for alike in kinds.values():
        first = _VARYING.findall(alike[0])
        differing = []
        for notice in alike[1:]:
            parts = [part for part, usual in zip(_VARYING.findall(notice), first, strict=True) if part != usual]
            differing.append(" / ".join(part.strip(":;,'") for part in parts))
        differing = [words for words in dict.fromkeys(differing) if words]
        yield alike[0] + (f"; and alike: {listed(differing, _MANY_IDS)}" if differing else "")


def _most(concerned: Counter[str], limit: int = _MANY_IDS) -> str:
    if len(concerned) > limit:
        first = ", ".join(f"{id} ({count})" for id, count in concerned.most_common(limit))
        return f"{len(concerned)} recordings, most in {first}"
    return ", ".join(f"{id} ({count})" for id, count in concerned.items())


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
    `after_end` : frames of the tracks after the last interval, taken as not annotated; `removed_bouts` : behavior ->
    (bouts that resampling removed, all bouts).
    """

    annotated: int
    counts: Mapping[str, int]
    annotator: str = ""
    clipped: int = 0
    uncovered: int = 0
    after_end: int = 0
    removed_bouts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def span(self) -> AnnotationSpan:
        """Fit of the annotation to the tracks."""
        return AnnotationSpan(clipped=self.clipped, uncovered=self.uncovered, after_end=self.after_end)


@dataclass(frozen=True, kw_only=True)
class RecordingReport:
    """One imported recording; `individuals` are those of the store that its file has."""

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

    @cached_property
    def present(self) -> tuple[str, ...]:
        """The individuals of whom some point is seen."""
        unseen = Counter(map(_animal_of, self.quality.never_seen))
        return tuple(name for name in self.individuals if unseen[name] < len(self.quality.missing))

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

    def to_dict(self) -> dict[str, Any]:
        """Dictionary for JSON; counts by animal are left out where there are none."""
        contents = asdict(self)
        for row in contents["recordings"]:
            if not row["quality"]["by_animal"]:
                del row["quality"]["by_animal"]
        return contents


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
        f"{store}: {counted(len(report.recordings), 'recording')}, {counted(report.num_frames, 'frame')}, "
        f"{seconds / 3600:.2f} hours. "
        f"All of this per recording: {whole}"
    )


def _table(title: str, columns: Iterable[str], rows: list[list[str]], whole: Path, left: int = 1) -> "Table":
    """Table of at most `_MAX_ROWS` rows; `whole` names the file with all rows."""
    # Headings of several words stand below each other, so that more columns fit.
    headings = [column if number < left else column.replace(" ", "\n") for number, column in enumerate(columns)]
    first = rows if len(rows) <= _MAX_ROWS else rows[:_FEW_ROWS]
    more = f"and {len(rows) - len(first)} more, all of them in {whole}" if len(first) < len(rows) else ""
    return make_table(headings, first, title, text=headings[:left], caption=more)


def _recordings_table(report: ImportReport, whole: Path) -> "Table":
    streams = list(report.backgrounds)
    varied = len({len(r.present) for r in report.recordings}) > 1
    columns = ["recording", *["animals"] * varied, "frames", "seconds", "fps", "missing %", "sentinels", "jumps"]
    columns += ["swaps", "same point", "far"]
    rows = []
    for r in report.recordings:
        q = r.quality
        numbers: list[object] = [len(r.present)] * varied
        numbers += [r.frames, f"{r.seconds:.1f}", f"{r.fps:g}", f"{100 * q.missing_share:.1f}"]
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
