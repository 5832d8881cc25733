"""Annotation files of an import, the recording that each annotation belongs to, by name, and its labels."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import (
    DEFAULT_STREAM,
    Annotation,
    AnnotationSpan,
    AnnotationStream,
    Triple,
    labels_from_annotation,
)
from ssl_behavior.io.annotation_readers import read_annotations
from ssl_behavior.io.exclusive_streams import exclusive_streams, stream_name
from ssl_behavior.io.mabe25_annotations import looked_for
from ssl_behavior.io.pair_annotation import Animals, BehaviorKinds, behavior_kinds, pair_labels_from_annotation
from ssl_behavior.io.reader_helpers import id_from_name, stem
from ssl_behavior.recording import FrameTimes, Labels, PairLabels, Recording
from ssl_behavior.resampling import removed_bouts, removed_pair_bouts, resample_labels, resample_pair_labels

__all__ = ["AnnotationIndex", "RecordingLabels"]


_WORDS = r"(annot(ation)?s?|labels?|behaviou?rs?|boris|targets?|frames|tabular|events|aggregated)"
_ANNOTATION_WORDS = re.compile(rf"([_\-. ]*{_WORDS})+$", re.IGNORECASE)
_LEADING_WORDS = re.compile(rf"^[_\-. ]*({_WORDS}(?=[_\-. ]|$)[_\-. ]*)*", re.IGNORECASE)
_FILE_TYPES = re.compile(r"\.(boris|annot|parquet|tsv|mp4|avi|mov|mkv|mpg|mpeg|wmv|m4v|seq)$", re.IGNORECASE)

_STATED_DIGITS = 1e-4
"""Relative difference of frame rates that are written with fewer digits; 29.97 and 30 are ten times as far apart."""
_USUAL_RATE = 0.05
"""Relative difference of a stated frame rate from the usual one of measured times, up to which it may be that rate."""


@dataclass
class _Entry:
    """An annotation, its file's limit to a folder, and the recording that took it."""

    annotation: Annotation
    folder: Path | None
    named: bool
    taken: str = ""

    @cached_property
    def keys(self) -> set[str]:
        """Names of the recording that the annotation may belong to."""
        return _keys(self.annotation)


@dataclass(frozen=True)
class _Fit:
    """How well an annotation fits a recording, as (exact, letters in common), and the rest of the name: the rater."""

    entry: _Entry
    rank: tuple[int, int]
    rater: str = ""


@dataclass
class RecordingLabels:
    """Label streams of a recording, their fit to the tracks, and sentences about them."""

    labels: dict[str, Labels] = field(default_factory=dict)
    pair_labels: dict[str, PairLabels] = field(default_factory=dict)
    spans: dict[str, AnnotationSpan] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    removed_bouts: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Stream -> behavior -> (bouts that resampling removed, all bouts)."""


class AnnotationIndex:
    """Annotations by name. One belongs to the recording whose track file starts with the same name.

    `07_annot.txt` belongs to `07_dlc_tracks.csv.gz` and to `07.csv`, not to `071.csv`. `07_anna.txt` and `07_ben.txt`
    are two raters' of recording 07. Projects and tables with several recordings name them: by id or by video.
    """

    def __init__(self) -> None:
        self._files: list[tuple[Path, Path | None, bool]] = []
        self._added: set[Path] = set()
        self._looked_for: dict[str, tuple[Triple, ...]] = {}
        self._kinds: dict[str, BehaviorKinds] = {}
        self._tracks: list[set[str]] = []
        self._read: list[_Entry] | None = None
        self._raters: set[str] = set()
        self.notices: list[str] = []

    def add(self, path: Path, folder: Path | None, named: bool = True) -> None:
        """Add a file; `folder` limits it to recordings of that folder, None to none. `named`: by the user."""
        if path.resolve() not in self._added:
            self._added.add(path.resolve())
            self._files.append((path, folder, named))

    def add_looked_for(self, path: Path) -> None:
        """Add a table of the behaviors that were looked for in each video, see `looked_for`."""
        self._looked_for |= looked_for(path)

    def know(self, tracks: Iterable[Path]) -> None:
        """Tell the index all track files, so that raters are the same in all recordings."""
        self._tracks = [_names(id_from_name(path), path) for path in tracks]

    def take(self, recording: str, tracks: Path) -> list[tuple[Annotation, str]]:
        """Annotations of a recording, each with its rater ("" = the only one).

        Raises
        ------
        InputError
            If a file is damaged, several fit equally well, or one that fits belongs to another recording already.
        """
        fits = self._fits(_names(recording, tracks), tracks.parent)
        for fit in fits:
            path = fit.entry.annotation.path
            if fit.entry.taken:
                raise InputError(
                    f"{path} fits two recordings, {fit.entry.taken!r} and {recording!r}; rename it after one"
                )
            fit.entry.taken = recording
        return [(fit.entry.annotation, fit.rater) for fit in fits]

    def label(
        self,
        recording: Recording,
        tracks: Path,
        backgrounds: Mapping[str, str],
        aliases: Mapping[str, str] | None = None,
    ) -> RecordingLabels:
        """Label streams of a recording from its annotations, beside those that it has.

        Parameters
        ----------
        backgrounds : stream -> behavior of the frames between bouts, instead of the files'.
        aliases : further names of animals in annotations -> names in the recording.

        Raises
        ------
        InputError
            As `take`; or if two files label a stream differently.
        """
        animals = Animals(individuals=recording.individuals, aliases=aliases or {})
        found = self.labels_of(recording.id, recording.frame_times, tracks, backgrounds, animals)
        known = {*recording.labels, *recording.pair_labels}
        if twice := next((stream for stream in (*found.labels, *found.pair_labels) if stream in known), None):
            raise InputError(f"{tracks}: recording {recording.id!r} has a label stream {twice!r} already")
        return replace(
            found,
            labels={**recording.labels, **found.labels},
            pair_labels={**recording.pair_labels, **found.pair_labels},
        )

    def labels_of(
        self,
        recording: str,
        times: FrameTimes,
        tracks: Path,
        backgrounds: Mapping[str, str],
        animals: Animals,
        resampled: FrameTimes | None = None,
    ) -> RecordingLabels:
        """Label streams of the recording with this id from its annotations, see `label`.

        Parameters
        ----------
        animals : of the recording, for labels with agents and targets.
        times : of the frames that the annotations count: those of the recording or, if it was resampled, its source.
        resampled : times of the frames of a resampled recording, which the labels are for. Annotations that state its
            frame rate or its number of frames count these.

        Raises
        ------
        InputError
            As `label`; or if the recording was resampled and an annotation has the length of neither.
        """
        found = RecordingLabels()
        annotations = self.take(recording, tracks)
        for stream, own in _streams(annotations, self._raters, found.notices).items():
            found.notices += _about_rate(own[0][0], own[0][0].streams[own[0][1]], recording, times, resampled)
            if own[0][0].streams[own[0][1]].directed:
                self._label_pairs(found, stream, own, recording, times, animals, resampled)
                continue
            background = backgrounds.get(stream, backgrounds.get(own[0][1], ""))
            made = [_labels(a, name, recording, times, background, resampled) for a, name in own]
            _check_same(recording, stream, own, [labels for labels, _, _ in made])
            found.labels[stream], found.spans[stream], found.removed_bouts[stream] = made[0]
        found.notices += [sentence for annotation, _ in annotations for sentence in annotation.notices]
        return found

    def _label_pairs(
        self,
        found: RecordingLabels,
        stream: str,
        own: Sequence[tuple[Annotation, str]],
        recording: str,
        times: FrameTimes,
        animals: Animals,
        resampled: FrameTimes | None,
    ) -> None:
        """Add a stream with agents and targets to the labels that were found."""
        made = []
        for annotation, name in own:
            kinds = self._kinds.get(name, {})
            annotation, counted = _annotation_in_frames(annotation, name, recording, times, resampled)
            measured = None if counted.measured is None else counted
            labels, notices = pair_labels_from_annotation(
                annotation, name, animals, counted.num_frames, kinds, counted.fps, measured
            )
            found.notices += notices
            made.append(labels)
            if len(made) == 1 and resampled is not None and counted is times:
                found.removed_bouts[stream] = removed_pair_bouts(labels, times, resampled)
                labels = resample_pair_labels(labels, times, resampled)
            found.pair_labels.setdefault(stream, labels)
        _check_same_bouts(recording, stream, own, made)

    def unused(self) -> list[Path]:
        """Files that the user named (or of which nothing else is known), none of whose annotations has a recording."""
        return self._without(True)

    def left_out(self) -> list[str]:
        """Sentences about annotations that were found and fit no recording."""
        read = self._read or []
        damaged = [path for path in self._without(False) if all(path != entry.annotation.path for entry in read)]
        said = [f"left out {one}: its labels fit no recording" for one in self._without(False) if one not in damaged]
        used = {entry.annotation.path for entry in read if entry.taken}
        rest = [entry.annotation for entry in read if not entry.taken and entry.annotation.path in used]
        return said + [f"left out {one.where}: no recording has this name" for one in rest]

    def _without(self, named: bool) -> list[Path]:
        used = {entry.annotation.path for entry in self._read or [] if entry.taken}
        return [path for path, _, by_user in self._files if path not in used and by_user == named]

    def _entries(self) -> list[_Entry]:
        if self._read is None:
            limits, annotations = [], []
            for path, folder, named in self._files:
                for one in self._annotations(path, named):
                    limits.append((folder, named))
                    annotations.append(_looked_for(one, self._looked_for))
            annotations = _directed_alike(annotations)
            self._kinds = _kinds_of_streams(annotations)
            annotations = exclusive_streams(annotations, self.notices.append)
            self._read = [_Entry(one, *limit) for one, limit in zip(annotations, limits, strict=True)]
            self._raters = self._known_raters()
        return self._read

    def _annotations(self, path: Path, named: bool) -> list[Annotation]:
        """Annotations of a file; a damaged file that was only found is left out with a notice."""
        try:
            return read_annotations(path)
        except InputError as error:
            if named:
                raise
            self.notices.append(f"left out {error}")
            return []

    def _known_raters(self) -> set[str]:
        """Raters of all recordings that have several."""
        found: set[str] = set()
        for names in self._tracks:
            fits = self._fits(names, None)
            raters = {fit.rater for fit in fits if fit.rater}
            shared = [name for fit in fits for name in fit.entry.annotation.streams]
            if len(raters) > 1 and len(set(shared)) < len(shared):
                found |= raters
        return found

    def _fits(self, names: set[str], folder: Path | None) -> list[_Fit]:
        """The annotations that fit best: of one rank, or raters'."""
        fits = [fit for entry in self._entries() if (fit := _fit(entry, names, folder)) is not None]
        fits = [fit for fit in fits if fit.rank[0] > 0 or not self._fits_better(fit, names)]
        best = max((fit.rank for fit in fits if fit.rank[0] > 0), default=None)
        return [fit for fit in fits if fit.rank[0] == 0 or fit.rank == best]

    def _fits_better(self, fit: _Fit, names: set[str]) -> bool:
        """Whether an annotation with a rater's name fits another recording better."""
        others = (_fit(fit.entry, own, None) for own in self._tracks if not own & names)
        return any(other is not None and other.rank > fit.rank for other in others)


def _names(recording: str, tracks: Path) -> set[str]:
    return {recording, recording.rpartition("/")[2], stem(tracks)}


def _key(path: Path) -> str:
    name = _FILE_TYPES.sub("", stem(path))
    return _ANNOTATION_WORDS.sub("", name) or name


def _keys(annotation: Annotation) -> set[str]:
    named = {name for name in (annotation.recording, *annotation.names) if name}
    named |= {id_from_name(Path(name)) for name in annotation.names} | {name.rpartition("/")[2] for name in named}
    if not named or annotation.own_name:
        named.add(_key(annotation.path))
    return named


def _fit(entry: _Entry, names: Iterable[str], folder: Path | None) -> _Fit | None:
    """Fit of an annotation to a recording with these names; `folder` has its tracks, None = do not ask."""
    if entry.folder is not None and folder is not None and entry.folder != folder:
        return None
    keys = entry.keys
    starts = [len(key) for key in keys if any(_begins(name, key) for name in names)]
    if starts:
        return _Fit(entry, (1, max(starts)), _observer(entry.annotation))
    longer = [(len(name), key[len(name) :]) for key in keys for name in names if _begins(key, name)]
    if not longer:
        return None
    length, rest = max(longer)
    return _Fit(entry, (0, length), _observer(entry.annotation) or stream_name(_LEADING_WORDS.sub("", rest)))


def _begins(name: str, key: str) -> bool:
    return name == key or (name.startswith(key) and not name[len(key)].isalnum())


def _observer(annotation: Annotation) -> str:
    return next((stream_name(one.annotator) for one in annotation.streams.values() if one.annotator), "")


def _looked_for(annotation: Annotation, lists: Mapping[str, tuple[Triple, ...]]) -> Annotation:
    """Annotation whose stream with agents and targets states what was looked for in its video."""
    one = annotation.streams.get(DEFAULT_STREAM)
    key = next((key for key in (*_keys(annotation), _key(annotation.path)) if key in lists), None)
    if one is None or not one.directed or key is None:
        return annotation
    return replace(annotation, streams={**annotation.streams, DEFAULT_STREAM: replace(one, looked_for=lists[key])})


def _directed_alike(annotations: Sequence[Annotation]) -> list[Annotation]:
    """Annotations in which a stream of agents has targets, if it has targets in one of them."""
    directed = {name for one in annotations for name, stream in one.streams.items() if stream.directed}
    return [
        replace(
            one,
            streams={
                name: replace(stream, directed=stream.directed or (name in directed and any(stream.subject)))
                for name, stream in one.streams.items()
            },
        )
        for one in annotations
    ]


def _kinds_of_streams(annotations: Sequence[Annotation]) -> dict[str, BehaviorKinds]:
    """Stream with agents and targets -> kinds of its behaviors in all files."""
    own: dict[str, list[AnnotationStream]] = defaultdict(list)
    for annotation in annotations:
        for name, one in annotation.streams.items():
            if one.directed:
                own[name].append(one)
    return {name: behavior_kinds(streams) for name, streams in own.items()}


def _streams(
    annotations: Sequence[tuple[Annotation, str]], raters: set[str], notices: list[str]
) -> dict[str, list[tuple[Annotation, str]]]:
    """Stream in the store -> the annotations that have it, and its name there. Raters have a stream each."""
    found: dict[str, list[tuple[Annotation, str]]] = {}
    names = dict.fromkeys(name for annotation, _ in annotations for name in annotation.streams)
    for name in names:
        own = [(annotation, rater) for annotation, rater in annotations if name in annotation.streams]
        own = [(a, r) for a, r in own if _says_something(a.streams[name])]
        if not own:
            notices.append(f"{annotations[0][0].where}: the stream {name} is empty; taken as not annotated")
            continue
        several = {rater for _, rater in own}
        named_apart = len(own) > 1 and len(several) == len(own) and "" not in several
        if named_apart or several <= raters:
            for annotation, rater in own:
                one = replace(annotation.streams[name], annotator=rater)
                found[f"{name}.{rater}"] = [(replace(annotation, streams={name: one}), name)]
            notices.append(_about_raters(name, sorted(raters or several)))
        else:
            found[name] = [(annotation, name) for annotation, _ in own]
    return found


def _says_something(one: AnnotationStream) -> bool:
    return len(one) > 0 or one.complete or bool(one.looked_for)


def _about_raters(name: str, raters: Sequence[str]) -> str:
    streams = ", ".join(f"{name}.{rater}" for rater in raters)
    return (
        f"{', '.join(raters)} are raters of one stream, {name}: each has a stream of its own ({streams}). Annotator "
        "tasks of ssl-behavior probe learn from one stream with one annotator per recording: make "
        f"{name}.{raters[0]} the stream {name} of some recordings, and so on (`ssl-behavior labels rename STORE "
        f"{name}.{raters[0]} {name}`, with `recordings`)"
    )


def _check_same(recording: str, stream: str, own: Sequence[tuple[Annotation, str]], made: Sequence[Labels]) -> None:
    words = [np.array([*labels.vocabulary, ""])[labels.frames] for labels in made]
    for (annotation, _), other in zip(own[1:], words[1:], strict=True):
        if (other != words[0]).any():
            raise InputError(_two_files(recording, stream, own[0][0].path, annotation.path))


def _check_same_bouts(
    recording: str, stream: str, own: Sequence[tuple[Annotation, str]], made: Sequence[PairLabels]
) -> None:
    first = {(*one[:2], made[0].vocabulary[one[2]], *one[3:]) for one in made[0].bouts.tolist()}
    for (annotation, _), other in zip(own[1:], made[1:], strict=True):
        if {(*one[:2], other.vocabulary[one[2]], *one[3:]) for one in other.bouts.tolist()} != first:
            raise InputError(_two_files(recording, stream, own[0][0].path, annotation.path))


def _two_files(recording: str, stream: str, one: Path, other: Path) -> str:
    return (
        f"recording {recording!r} has two annotation files, {one} and {other}, which "
        f"differ in the stream {stream!r}; keep one, or end their names with the raters' (07_anna, 07_ben)"
    )


def _labels(
    annotation: Annotation,
    stream: str,
    recording: str,
    times: FrameTimes,
    background: str,
    resampled: FrameTimes | None,
) -> tuple[Labels, AnnotationSpan, dict[str, tuple[int, int]]]:
    """Labels of a recording, of its source's frames and then resampled, or of its own frames; removed bouts."""
    annotation, counted = _annotation_in_frames(annotation, stream, recording, times, resampled)
    measured = None if counted.measured is None else counted
    labels, span = labels_from_annotation(annotation, stream, counted.num_frames, background, counted.fps, measured)
    if resampled is None or counted is not times:
        return labels, span, {}
    made = resample_labels(labels, times, resampled)
    return made, span, removed_bouts(labels, times, made, resampled)


def _annotation_in_frames(
    annotation: Annotation, stream: str, recording: str, times: FrameTimes, resampled: FrameTimes | None
) -> tuple[Annotation, FrameTimes]:
    """The annotation, in seconds where these are read, and times of the frames that it counts."""
    one = annotation.streams[stream]
    if times.measured is None or one.seconds:
        return annotation, _counted(annotation, one, recording, times, resampled)
    one, counted = _counted_irregular(annotation, one, recording, times, resampled)
    return replace(annotation, streams={stream: one}), counted


def _counted(
    annotation: Annotation, one: AnnotationStream, recording: str, times: FrameTimes, resampled: FrameTimes | None
) -> FrameTimes:
    """Times of the frames that a file counts: the source's, unless it states the rate or length of resampled frames."""
    if resampled is None:
        return times
    if one.fps is not None and not _stated_alike(times.fps, resampled.fps):
        return resampled if _stated_alike(one.fps, resampled.fps) else times
    if one.num_frames == resampled.num_frames and one.num_frames != times.num_frames:
        return resampled
    if one.fps is None and one.num_frames not in (None, times.num_frames):
        raise InputError(
            f"{annotation.where}: it labels {one.num_frames} frames, but recording {recording!r} has "
            f"{resampled.num_frames}, resampled from {times.num_frames} frames of its source; expected one of the two"
        )
    return times


def _counted_irregular(
    annotation: Annotation, one: AnnotationStream, recording: str, times: FrameTimes, resampled: FrameTimes | None
) -> tuple[AnnotationStream, FrameTimes]:
    """The stream, in seconds where the file has them, and the times of the frames that it counts.

    Frames of a source with measured times are not the resampled ones, even at one rate, and exports count the latter.
    Without seconds, the length or the rate decides; `labels add` refuses a file that has neither.
    """
    own = resampled is not None and one.fps is not None and _stated_alike(one.fps, resampled.fps)
    exported = bool(annotation.recording) and one.fps is not None
    fitting = [known for known in (times, resampled) if known is not None and known.num_frames == one.num_frames]
    if len(fitting) == 1:
        return one, fitting[0]
    if resampled is not None and own and (exported or one.seconds_of is not None or not _near_rate(one, times)):
        return one, resampled
    if exported or one.seconds_of is not None:
        return one.in_seconds(one.fps if exported else None), times
    if resampled is None or (_near_rate(one, times) and not _near_rate(one, resampled)):
        return one, times
    length = "" if one.num_frames is None else f"it labels {one.num_frames} frames, and "
    raise InputError(
        f"{annotation.where}: {length}its frames may be those of recording {recording!r}, {resampled.num_frames} at "
        f"{resampled.fps:.6g} per second, or those of its source, {times.num_frames} at irregular times. Add the "
        "columns start_s and stop_s (seconds of the video) to a table of bouts, keep the labels.json of an export "
        "beside it, or import the tracks again with `annotations`, which count frames of the source"
    )


def _near_rate(one: AnnotationStream, times: FrameTimes) -> bool:
    """Whether a file states about the frame rate of these times; that of measured times is only the usual one."""
    return one.fps is not None and abs(one.fps / times.fps - 1) < _USUAL_RATE


def _stated_alike(one: float, other: float) -> bool:
    """Whether two frame rates differ by no more than digits that a file leaves out."""
    return abs(one - other) <= _STATED_DIGITS * other


def _about_rate(
    annotation: Annotation, one: AnnotationStream, recording: str, times: FrameTimes, resampled: FrameTimes | None
) -> list[str]:
    if times.measured is not None and not one.seconds:
        return _about_irregular(annotation, one, recording, times, resampled)
    if resampled is not None and not one.seconds and one.fps is None and one.num_frames is None:
        return [f"{annotation.path}: read as frames of the source, {times.fps:.6g} per second"]
    lengths = [known.num_frames for known in (times, resampled) if known is not None]
    if one.fps is None or times.measured is not None or (not one.seconds and one.num_frames in lengths):
        return []
    if any(_stated_alike(one.fps, known.fps) for known in (times, resampled) if known is not None):
        return []
    read = f"times are read at {one.fps:.6g}" if one.seconds else "frame numbers are read as frames of the tracks"
    return [
        f"{annotation.path}: the annotated video has {one.fps:.6g} frames per second, the tracks of {recording!r} "
        f"have {times.fps:.6g}; its {read}"
    ]


def _about_irregular(
    annotation: Annotation, one: AnnotationStream, recording: str, times: FrameTimes, resampled: FrameTimes | None
) -> list[str]:
    """Notice about the frames that a file counts of a video with measured times, unless its length says it."""
    read, counted = _counted_irregular(annotation, one, recording, times, resampled)
    if annotation.recording or (not read.seconds and one.num_frames == counted.num_frames):
        return []
    if read.seconds:
        return [f"{annotation.path}: its seconds are read, because the frame times of the source are irregular"]
    frames = "frames of the source, whose times are irregular, usually" if counted is times else "resampled frames,"
    return [f"{annotation.path}: read as {frames} {counted.fps:.6g} per second"]
