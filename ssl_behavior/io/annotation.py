"""Annotations as files state them: label streams as intervals of behaviors, and their conversion to labels.

Every reader of annotation files gives these, so that an import does not know the formats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ssl_behavior.bouts import runs
from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED, FrameTimes, Labels

__all__ = [
    "BACKGROUND",
    "DEFAULT_STREAM",
    "Annotation",
    "AnnotationSpan",
    "AnnotationStream",
    "Interval",
    "Triple",
    "frames_of_ends",
    "labels_from_annotation",
    "overlaps",
    "stream_of_frames",
]

BACKGROUND = "other"
"""Behavior of frames between bouts, in files that list bouts and do not name a background."""
DEFAULT_STREAM = "behavior"
"""Stream of behaviors in files that do not name streams."""

Interval = tuple[float | int, float | int, str]
"""Start, stop (not included) and behavior."""
Triple = tuple[str, str, str]
"""Agent, target and behavior; the target of behaviors that an animal directs at itself is the agent."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AnnotationStream:
    """A label stream of one recording as intervals.

    Parameters
    ----------
    vocabulary : behavior names, in order.
    start, stop : ends of the intervals, float64 [interval]; frames counted from 0, or seconds. `stop` is not included.
    label : behavior of each interval, a number in `vocabulary`, int64 [interval].
    subject : name of each interval's acting individual, "" = unknown; () = unknown for all.
    target : name of the individual that each interval is directed at, "" = none stated; () = none for all.
    directed : intervals have agents (`subject`) and targets, and may overlap: they become `PairLabels`.
    looked_for : (agent, target, behavior) of all that was looked for, of a directed stream; None = not stated.
    background : behavior of frames outside all intervals; "" = there is none, None = the file does not say.
    complete : the annotator looked at all frames, so that frames outside all intervals are background. Otherwise
        they are background only up to the end of the last interval.
    gaps : frames outside all intervals can be background; False = they are not annotated.
    not_annotated : stretches without annotation, (start, stop), in the units of the intervals, which win over them.
    seconds : times are seconds.
    seconds_of : ends of the intervals in seconds of the video, float64 [start and stop, interval], where a file states
        them beside frames; None = not stated.
    tolerance : overlaps up to this are slips of the pen; the interval that starts later wins.
    fps : frame rate of the annotated video, as the file states it; None = not stated.
    num_frames : number of frames that the file labels, None = not stated.
    annotator : name of the annotator, "" = unknown.
    """

    vocabulary: tuple[str, ...]
    start: np.ndarray
    stop: np.ndarray
    label: np.ndarray
    subject: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    directed: bool = False
    looked_for: tuple[Triple, ...] | None = None
    background: str | None = None
    complete: bool = False
    gaps: bool = True
    not_annotated: tuple[tuple[float | int, float | int], ...] = ()
    seconds: bool = False
    seconds_of: np.ndarray | None = None
    tolerance: float = 0.0
    fps: float | None = None
    num_frames: int | None = None
    annotator: str = ""

    @classmethod
    def of(cls, intervals: Sequence[Interval], vocabulary: Sequence[str] = (), **fields: object) -> "AnnotationStream":
        """Stream of (start, stop, behavior); the vocabulary is `vocabulary` and then new behaviors in order."""
        words = tuple(dict.fromkeys([*vocabulary, *(behavior for _, _, behavior in intervals)]))
        number = {word: i for i, word in enumerate(words)}
        ends = np.array([(start, stop) for start, stop, _ in intervals], dtype=np.float64).reshape(-1, 2)
        label = np.array([number[behavior] for _, _, behavior in intervals], dtype=np.int64)
        values = {"vocabulary": words, "start": ends[:, 0], "stop": ends[:, 1], "label": label, **fields}
        return cls(**values)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.start)

    def intervals(self) -> list[Interval]:
        """(start, stop, behavior) of all intervals, in the file's order."""
        words = [self.vocabulary[number] for number in self.label]
        return list(zip(self.start.tolist(), self.stop.tolist(), words, strict=True))

    def take(self, picks: np.ndarray, vocabulary: Sequence[str] | None = None) -> "AnnotationStream":
        """Stream of some intervals, chosen by a mask; `vocabulary` keeps these words and drops others."""
        words = self.vocabulary if vocabulary is None else tuple(vocabulary)
        number = {word: i for i, word in enumerate(words)}
        kept = np.array([number.get(word, NOT_ANNOTATED) for word in self.vocabulary], dtype=np.int64)
        picks = picks & (kept[self.label] >= 0) if len(self) else picks
        subject, target = (
            tuple(name for name, pick in zip(names, picks, strict=True) if pick) if names else ()
            for names in (self.subject, self.target)
        )
        seconds_of = None if self.seconds_of is None else self.seconds_of[:, picks]
        return replace(
            self, vocabulary=words, start=self.start[picks], stop=self.stop[picks], label=kept[self.label[picks]],
            subject=subject, target=target, background=self.background if self.background in words else None,
            seconds_of=seconds_of,
        )  # fmt: skip

    def in_seconds(self, fps: float | None = None) -> "AnnotationStream":
        """Stream whose times are seconds: those of the file or, with `fps`, frame / fps."""
        ends = self.seconds_of if fps is None else np.stack([self.start, self.stop]) / fps
        assert ends is not None
        rate = fps or self.fps or 1.0
        absent = tuple((start / rate, stop / rate) for start, stop in self.not_annotated)
        return replace(self, start=ends[0], stop=ends[1], not_annotated=absent, seconds=True, num_frames=None)


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """Annotation of one recording in a file.

    Parameters
    ----------
    path : the file.
    names : names of the recording in the file: observation, video; () = the file is named after the recording.
    streams : stream name -> stream.
    own_name : the file's own name may also be the recording's.
    recording : id of the recording, where this package wrote the file; "" = unknown.
    notices : sentences about the file.
    """

    path: Path
    streams: Mapping[str, AnnotationStream] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    own_name: bool = False
    recording: str = ""
    notices: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The file and, if it has several recordings, the recording's name in it."""
        return f"{self.path}: {self.names[0]}" if self.names else str(self.path)


@dataclass(frozen=True)
class AnnotationSpan:
    """Differences between a stream and its tracks: frames clipped at the end, gaps inside, frames after its end."""

    clipped: int
    uncovered: int
    after_end: int


def stream_of_frames(labels: Labels) -> AnnotationStream:
    """Labels [time] as intervals, one for each run of equal labels."""
    bouts = [run for run in runs(labels.frames) if run[2] != NOT_ANNOTATED]
    table = np.array(bouts, dtype=np.int64).reshape(-1, 3)
    return AnnotationStream(
        vocabulary=labels.vocabulary, start=table[:, 0].astype(np.float64), stop=table[:, 1].astype(np.float64),
        label=table[:, 2], background=labels.background, gaps=False, num_frames=len(labels.frames),
        annotator=labels.annotator,
    )  # fmt: skip


def labels_from_annotation(
    annotation: Annotation,
    stream: str,
    num_frames: int,
    background: str = "",
    fps: float | None = None,
    times: FrameTimes | None = None,
) -> tuple[Labels, AnnotationSpan]:
    """One stream as labels for tracks of `num_frames` frames.

    Seconds are rounded to the nearest frame; every interval keeps at least one frame, so that point events are seen.
    Where intervals overlap, the later one wins. Intervals that run past the tracks are clipped.

    Parameters
    ----------
    background : behavior of frames outside all intervals, instead of the file's.
    fps : frame rate of the tracks, for files in seconds that do not state the video's.
    times : measured times of the tracks' frames, by which seconds are read, whatever rate a file states; None = not
        measured.

    Raises
    ------
    InputError
        If the annotation is in seconds and no frame rate is known.
    """
    one = annotation.streams[stream]
    start, stop = frames_of_ends(one, np.stack([one.start, one.stop]), annotation, fps, times)
    stop = np.maximum(stop, start + 1)
    vocabulary, background = _with_background(one, background)
    end = int(stop.max()) if len(stop) else 0
    frames = np.full(num_frames, NOT_ANNOTATED, dtype=np.int16)
    covered = np.zeros(num_frames, dtype=bool)
    if background and one.gaps:
        frames[: num_frames if one.complete else end] = vocabulary.index(background)
    for first, last in frames_of_ends(one, np.array(one.not_annotated).reshape(-1, 2), annotation, fps, times).tolist():
        frames[first:last] = NOT_ANNOTATED
        covered[first:last] = True
    for number in np.argsort(start, kind="stable").tolist():
        frames[start[number] : stop[number]] = one.label[number]
        covered[start[number] : stop[number]] = True
    stated = one.num_frames or end
    span = AnnotationSpan(
        clipped=max(0, max(end, stated) - num_frames),
        uncovered=0 if one.complete or not one.gaps else int((~covered[:end]).sum()),
        after_end=max(0, num_frames - stated) if one.num_frames or not one.complete else 0,
    )
    return Labels(vocabulary=vocabulary, frames=frames, background=background, annotator=one.annotator), span


_MOST_FRAMES = 2**40


def frames_of_ends(
    one: AnnotationStream, ends: np.ndarray, annotation: Annotation, fps: float | None, times: FrameTimes | None
) -> np.ndarray:
    """Ends of intervals as frames, int64; seconds are rounded to the nearest frame.

    Parameters
    ----------
    fps, times : see `labels_from_annotation`.

    Raises
    ------
    InputError
        If the annotation is in seconds and no frame rate is known.
    """
    if one.seconds and times is not None:
        ends = times.nearest(ends)
    elif one.seconds:
        rate = one.fps or fps
        if rate is None:
            raise InputError(f"{annotation.where}: times are in seconds, and no frame rate is known: pass `fps`")
        ends = np.rint(ends * rate)
    return np.clip(ends, 0, _MOST_FRAMES).astype(np.int64)


def _with_background(one: AnnotationStream, background: str) -> tuple[tuple[str, ...], str]:
    """Vocabulary and background: the given one, the file's, or else a behavior called "other".

    A stream that was looked at completely and does not say its background gets "other" as a further behavior.
    """
    stated = [BACKGROUND] if one.background is None else [one.background]
    chosen = next((word for word in (background, *stated) if word in one.vocabulary), "")
    if one.complete and not chosen and (background or stated != [""]):
        chosen = background or stated[0]
        return (*one.vocabulary, chosen), chosen
    return one.vocabulary, chosen


def overlaps(one: AnnotationStream) -> set[frozenset[str]]:
    """Pairs of different behaviors that share more than the stream's tolerance; a point event shares its moment."""
    order = np.argsort(one.start, kind="stable")
    found: set[frozenset[str]] = set()
    open_until: dict[int, float] = {}
    for start, stop, label in zip(one.start[order], one.stop[order], one.label[order].tolist(), strict=True):
        for other, end in list(open_until.items()):
            if end <= start:
                del open_until[other]
                continue
            shared = end - start if stop <= start else min(end, stop) - start
            if other != label and shared > one.tolerance:
                found.add(frozenset((one.vocabulary[other], one.vocabulary[label])))
        open_until[label] = max(stop, open_until.get(label, stop))
    return found
