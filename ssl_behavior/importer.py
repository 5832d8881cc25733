"""Import of tracks and annotations into a store, with an import report."""

import math
import zipfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.arguments import check_number, several
from ssl_behavior.body_parts import animals_in_names
from ssl_behavior.errors import InputError
from ssl_behavior.files import check_free, in_temporary_folder, write_json
from ssl_behavior.individuals import IndividualsByName
from ssl_behavior.io import ReadOptions, format_titles
from ssl_behavior.io.annotation import AnnotationSpan
from ssl_behavior.io.annotation_index import AnnotationIndex
from ssl_behavior.io.calms21_release import PARTS, Release
from ssl_behavior.io.discovery import TrackFile, discover
from ssl_behavior.io.dlc import DOCUMENTED_BACKGROUND
from ssl_behavior.io.import_report import (
    ImportReport,
    RecordingReport,
    StreamReport,
    absent_animals,
    render,
    without_heading,
)
from ssl_behavior.io.pair_annotation import without_absent
from ssl_behavior.io.reader_helpers import id_from_name
from ssl_behavior.io.track_quality import clean, inspect_quality
from ssl_behavior.multi_animal import animals_in_files, joined, split_by_names
from ssl_behavior.recording import NOT_ANNOTATED, PairLabels, Recording, check_rate
from ssl_behavior.resampling import removed_bouts, removed_pair_bouts, resample
from ssl_behavior.skeleton import FLAT, Skeleton, load_skeleton
from ssl_behavior.store import FPS_TOLERANCE, Store, StoreWriter, create_store
from ssl_behavior.terminal import Progress, counted, listed, make_console, no_progress, progress_if

__all__ = ["ANIMALS_FROM", "ImportOptions", "import_recordings", "import_release", "read"]

ANIMALS_FROM = ("columns", "names", "files")
_SAME_SCALE = 1e-4
_SLOW_FPS = 1.0
"""Frames per second below which the times of a file may be milliseconds; time-lapse videos have such rates, too."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of an import.

    Parameters
    ----------
    format : a name of `ssl_behavior.io.FORMATS`, or "auto" to detect each file's format from its content.
    fps : frames per second of all recordings, or None for the files' or documented rates.
    px_per_cm : scale of all recordings, or None for the files' scales; a file with another scale is refused.
    skeleton : None to recognize it by the names of the keypoints.
    individuals : name in the store -> name in the files, of the animals to import; empty = all.
    animals_from : where the animals are: "columns" of the tables, "names" of body parts (nose_1, nose_2), or "files" of
        one animal each (cage3_mouse1, cage3_mouse2).
    exchangeable : whether the tracker may swap the animals; None to decide by their names, which the report states.
    annotations : annotation files, or folders of them, beside those found next to the tracks.
    backgrounds : label stream -> the behavior that means "nothing of interest".
    variant : which of several DeepLabCut files of one video to take, such as "raw" or "el+csv"; "" for the best.
    keep_sentinels : keep points at exactly (0, 0) or (-1, -1) instead of setting them to missing.
    min_confidence : set points below it to missing; None keeps all.
    resample : frames per second that all recordings are brought to, see `ssl_behavior.resampling.resample`; None keeps
        the files' rates.
    overwrite : replace a store that is there already.

    Raises
    ------
    InputError
        If fps or resample is no rate that videos have, px_per_cm is not above 0, min_confidence not within 0 to 1,
        animals_from unknown, or two individuals have one name in the files.
    """

    format: str = "auto"
    fps: float | None = None
    px_per_cm: float | None = None
    skeleton: Skeleton | None = None
    individuals: Mapping[str, str] = field(default_factory=dict)
    exchangeable: bool | None = None
    animals_from: str = "columns"
    annotations: tuple[Path, ...] = ()
    backgrounds: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""
    keep_sentinels: bool = False
    min_confidence: float | None = None
    resample: float | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name in ("fps", "px_per_cm", "min_confidence", "resample"):
            if getattr(self, name) is not None:
                check_number(getattr(self, name), name)
        if not isinstance(self.backgrounds, Mapping):
            raise InputError(f"`backgrounds` must map label streams to behaviors, got {self.backgrounds!r:.80}")
        for name, rate in (("fps", self.fps), ("resample", self.resample)):
            if rate is not None:
                check_rate(rate, name)
        if self.px_per_cm is not None and not (math.isfinite(self.px_per_cm) and self.px_per_cm > 0):
            raise InputError(f"`px_per_cm` must be a number above 0, got {self.px_per_cm:g}")
        own = list(self.individuals.values())
        if repeated := sorted({name for name in own if own.count(name) > 1}):
            raise InputError(f"`individuals` takes {listed(repeated)} for two animals; name each animal once")
        if self.animals_from not in ANIMALS_FROM:
            raise InputError(f"`animals_from` must be one of {list(ANIMALS_FROM)}, got {self.animals_from!r}")
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise InputError(f"`min_confidence` must be in [0, 1], got {self.min_confidence:g}")


def import_recordings(
    sources: Sequence[str | Path],
    out: str | Path,
    options: ImportOptions | None = None,
    progress: Progress = no_progress,
) -> ImportReport:
    """Read every recording of `sources` into one store at `out`, atomically.

    Memory is bounded by the largest recording (for `.npy` files: by the file). The report is also in the store,
    as `import.json`.

    Raises
    ------
    InputError
        If a named file is missing, damaged or of no known format, two recordings have one id, an annotation file
        fits no recording, or `out` exists and may not be replaced.
    """
    return _import(
        [Path(source) for source in sources], Path(out), options or ImportOptions(), ImportReport(), progress
    )


def read(
    paths: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    fps: float | None = None,
    skeleton: str | Path | Skeleton | None = None,
    individuals: str | Sequence[str] | Mapping[str, str] = (),
    annotations: str | Path | Sequence[str | Path] = (),
    verbose: bool = True,
    **options: Any,
) -> Store:
    """Read track files, or folders of them, of any known format into a store.

    Parameters
    ----------
    paths : files or folders. The content of a file decides its format.
    out : folder of the store; None = a temporary one, which is removed when the store is no longer used.
    fps : frames per second, for files that do not hold it.
    skeleton : name of a built-in skeleton, TOML file, or Skeleton; None to recognize it by the names of the keypoints.
    individuals : animals to take, by their names in the files; or new name -> name in the files. Empty = all.
    annotations : annotation files, or folders of them, beside those found next to the tracks.
    verbose : print what was read and what to look at; the store has it all in `import.json`.
    options : further fields of `ImportOptions`, such as px_per_cm, exchangeable, min_confidence, resample, overwrite.

    Raises
    ------
    InputError
        As `import_recordings`; or if an argument is unknown.
    """
    known = [one.name for one in fields(ImportOptions)]
    if unknown := [name for name in options if name not in known]:
        raise InputError(f"`read` has no argument {unknown[0]!r}; it has {listed(known, len(known))}")
    if not isinstance(individuals, Mapping):
        individuals = {name: name for name in several(individuals, "individuals")}
    sources = several(paths, "paths")
    if not sources:
        raise InputError("`paths` is empty; expected files or folders")
    asked = ImportOptions(
        fps=fps,
        skeleton=skeleton if skeleton is None or isinstance(skeleton, Skeleton) else load_skeleton(str(skeleton)),
        individuals=individuals,
        annotations=tuple(map(Path, several(annotations, "annotations"))),
        **options,
    )
    if out is not None:
        return _read_into(Path(out), sources, asked, verbose)
    return in_temporary_folder(lambda folder: _read_into(folder / "store", sources, asked, verbose))


def _read_into(out: Path, paths: Sequence[str], options: ImportOptions, verbose: bool) -> Store:
    with progress_if(verbose) as progress:
        report = import_recordings(paths, out, options, progress)
    if verbose:
        console = make_console()
        for part in render(report, out):
            console.print(part)
    return Store(out)


def import_release(
    release: Release,
    out: str | Path,
    parts: Collection[str] = tuple(PARTS),
    options: ImportOptions | None = None,
    progress: Progress = no_progress,
) -> ImportReport:
    """Import the CalMS21 release as one store: all tasks and unlabeled videos, with their paths as ids.

    Subsets are "train", "test" and "unlabeled"; the label streams are `behavior` (annotators "0" to "5") and the seven
    of Task 3. Parts that the folder lacks are left out; `Release.require` refuses that.

    Parameters
    ----------
    release : from `find_release`.
    parts : "task1", "task2", "task3", "unlabeled".

    Raises
    ------
    InputError
        As `import_recordings`, or if a part is unknown or none is there.
    """
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise InputError(f"the CalMS21 release has no parts {unknown}; it has {list(PARTS)}")
    sources = release.sources(parts)
    if not sources:
        raise InputError(f"{release.folder} has none of the parts {list(parts)}; it has {list(release.whole)}")
    report = ImportReport(notices=list(release.notes))
    return _import(sources, Path(out), options or ImportOptions(), report, progress)


def _import(
    paths: Sequence[Path], out: Path, options: ImportOptions, report: ImportReport, progress: Progress
) -> ImportReport:
    _check_out(out, paths, options.overwrite)
    tracks, annotations = discover(paths, options.annotations, options.format, report.notices.append, options.variant)
    individuals = IndividualsByName(options.individuals, options.exchangeable, options.skeleton)
    stream = _recordings(tracks, annotations, individuals, options, report, progress)
    first = next(stream, None)
    if first is None:
        seen = " ".join(report.notices[:5]) or "There is no file in it."
        raise InputError(
            f"no recordings in {', '.join(map(str, paths))}. {seen} Formats that are read: {format_titles()}"
        )
    with create_store(out, first.skeleton, first.individuals, options.overwrite) as writer:
        for recording in chain([first], stream):
            writer.widen(recording.skeleton)
            writer.append(recording)
        individuals.check_found()
        _check_unused(annotations, [row.id for row in report.recordings])
        report.notices += [*annotations.notices, *annotations.left_out()]
        _finish(report, writer, options)
        report.notices[:0] = individuals.sentences()
        write_json(writer.folder / "import.json", report.to_dict())
    return report


def _check_out(out: Path, sources: Sequence[Path], overwrite: bool) -> None:
    check_free(out, overwrite)
    if out.exists() and not (out.is_dir() and ((out / "store.json").exists() or not any(out.iterdir()))):
        raise InputError(f"{out} is no store, and `overwrite` replaces only stores; choose another `out`")
    for source in sources:
        if source.resolve().is_relative_to(out.resolve()):
            where = "is `out` itself" if source.resolve() == out.resolve() else f"lies in {out}"
            raise InputError(f"{source} {where}, which would be replaced; choose another `out`")


def _recordings(
    tracks: list[TrackFile],
    annotations: AnnotationIndex,
    individuals: IndividualsByName,
    options: ImportOptions,
    report: ImportReport,
    progress: Progress,
) -> Iterator[Recording]:
    """Label, clean and inspect the recordings one by one, and add each to the report."""
    for file, recording in _joined(_read(tracks, options, report, progress), tracks, options, report):
        # Labels of agents and targets name the animals of the file, so they come before these are chosen and renamed.
        skeleton = individuals.skeleton or recording.skeleton
        labeled, spans = _labeled(recording, annotations, file.path, skeleton, options, report)
        recording = _scaled(individuals.matched(labeled), options.px_per_cm)
        cleaned, counts = clean(recording, options.keep_sentinels, options.min_confidence)
        cleaned = _without_absent(cleaned)
        # The tracker's faults are looked for in its own frames: between slower ones every movement would be a jump.
        quality = inspect_quality(cleaned)
        made = cleaned if options.resample is None else resample(cleaned, options.resample)
        report.recordings.append(RecordingReport.of(made, quality, counts, _stream_reports(made, cleaned, spans)))
        yield individuals.completed(made)


_Read = tuple[TrackFile, Recording]


def _read(tracks: list[TrackFile], options: ImportOptions, report: ImportReport, progress: Progress) -> Iterator[_Read]:
    """Read the recordings of all files, with animals that are in the names of body parts."""
    sizes = [_unpacked_size(file.path) for file in tracks]
    for number, file in enumerate(tracks):
        meter = _Meter(sizes[number], sum(sizes), progress)
        read_options = ReadOptions(
            fps=options.fps,
            skeleton=options.skeleton,
            individuals=tuple(options.individuals.values()),
            prefix=file.prefix,
            notice=report.notices.append,
            advance=meter.advance,
            keep_times=options.resample is not None,
        )
        for recording in file.format.read(file.path, read_options):
            yield file, _divided(recording, options)
        meter.finish()


def _divided(recording: Recording, options: ImportOptions) -> Recording:
    """The recording with the animals that its body parts name, if it was asked for."""
    if options.animals_from == "names":
        return split_by_names(recording)
    if recording.skeleton.name == FLAT:
        animals = list(animals_in_names(recording.skeleton.keypoints, fewest=1))
        whose = (
            f"several animals ({', '.join(animals)})" if len(animals) > 1 else f"an animal that they name {animals[0]}"
        )
        raise InputError(
            f"{recording.source}: its {recording.skeleton.num_keypoints} body parts are those of {whose}: pass "
            "`animals_from=names` to read them as such, or a `skeleton` to read them as one animal"
        )
    return recording


def _joined(
    read: Iterator[_Read], tracks: list[TrackFile], options: ImportOptions, report: ImportReport
) -> Iterator[_Read]:
    """Recordings of one animal each as one recording, if it was asked for; otherwise a notice that offers it."""
    groups = animals_in_files([id_from_name(file.path, file.prefix) for file in tracks])
    sizes = Counter(place.recording for place in groups.values())
    waiting: dict[str, list[tuple[TrackFile, Recording, str]]] = defaultdict(list)
    offered: dict[str, list[str]] = defaultdict(list)
    for file, recording in read:
        key = id_from_name(file.path, file.prefix)
        place = groups.get(key)
        # TRex's ids have the animal behind a slash.
        own = place is not None and recording.id in (key, f"{place.recording}/{place.animal}")
        if place is None or not own or len(recording.individuals) != 1:
            yield file, recording
        elif options.animals_from != "files":
            if sizes[place.recording] > 1:
                offered[place.recording].append(recording.id)
            yield file, recording
        else:
            group = waiting[place.recording]
            group.append((file, recording, place.animal))
            if len(group) == sizes[place.recording]:
                animals = [animal for _, _, animal in group]
                yield group[0][0], joined([one for _, one, _ in group], place.recording, animals)
    for name, group in waiting.items():
        if len(group) < sizes[name]:
            ids = [id for id, place in groups.items() if place.recording == name]
            raise InputError(
                f"{group[0][0].path}: `animals_from=files` joins {', '.join(ids)} to {name}, but only "
                f"{', '.join(one.id for _, one, _ in group)} of them is a recording of one animal; import it by itself"
            )
    for name, ids in offered.items():
        report.notices.append(
            f"{' and '.join(ids)} look like animals of one video, {name}: `animals_from=files` joins such files"
        )


class _Meter:
    """Progress in bytes: a file has `size` of the `total` bytes, however many its reader reports."""

    def __init__(self, size: int, total: int, progress: Progress) -> None:
        self.left, self.total, self.progress = size, total, progress

    def advance(self, count: int) -> None:
        count = min(self.left, count)
        self.left -= count
        self.progress("importing", count, self.total)

    def finish(self) -> None:
        self.advance(self.left)


def _unpacked_size(path: Path) -> int:
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.stat().st_size


def _scaled(recording: Recording, px_per_cm: float | None) -> Recording:
    """The recording with the given scale, unless it has its own."""
    own = recording.px_per_cm
    if px_per_cm is None:
        return recording
    if own is not None:
        if not math.isclose(own, px_per_cm, rel_tol=_SAME_SCALE):
            raise InputError(
                f"{recording.source}: recording {recording.id!r} has {own:g} px per cm, `px_per_cm` is "
                f"{px_per_cm:g}; leave it out, or import recordings of another scale by themselves"
            )
        return recording
    return replace(recording, px_per_cm=px_per_cm)


def _labeled(
    recording: Recording,
    annotations: AnnotationIndex,
    tracks: Path,
    skeleton: Skeleton,
    options: ImportOptions,
    report: ImportReport,
) -> tuple[Recording, dict[str, AnnotationSpan]]:
    """The recording with the label streams of its annotation files, if any."""
    backgrounds = {**DOCUMENTED_BACKGROUND.get(skeleton.name, {}), **options.backgrounds}
    found = annotations.label(recording, tracks, backgrounds, options.individuals)
    report.notices += [sentence for sentence in found.notices if sentence not in report.notices]
    return replace(recording, labels=found.labels, pair_labels=found.pair_labels), found.spans


def _without_absent(recording: Recording) -> Recording:
    """The recording with labels that were looked for only in animals that it has."""
    absent = recording.absent if recording.pair_labels else ()
    labels, notes = {}, list(recording.notes)
    for name, own in recording.pair_labels.items():
        where = f"{recording.source}: recording {recording.id!r}, label stream {name!r}"
        labels[name], said = without_absent(own, recording.individuals, absent, where)
        notes += [note for note in said if note not in notes]
    return replace(recording, pair_labels=labels, notes=tuple(notes))


def _stream_reports(
    recording: Recording, source: Recording, spans: Mapping[str, AnnotationSpan]
) -> dict[str, StreamReport]:
    """Reports on the label streams of a recording, which was resampled from `source` or is the same."""
    reports = {}
    for name, labels in recording.labels.items():
        span = spans.get(name, AnnotationSpan(0, 0, 0))
        counts = np.bincount(labels.frames[labels.frames != NOT_ANNOTATED], minlength=len(labels.vocabulary))
        reports[name] = StreamReport(
            annotated=int(counts.sum()),
            counts=dict(zip(labels.vocabulary, counts.tolist(), strict=True)),
            annotator=labels.annotator,
            clipped=span.clipped,
            uncovered=span.uncovered,
            after_end=span.after_end,
            removed_bouts={}
            if recording is source
            else removed_bouts(source.labels[name], source.frame_times, labels, recording.frame_times),
        )
    pairs = {name: _pair_report(name, labels, recording, source) for name, labels in recording.pair_labels.items()}
    return reports | pairs


def _pair_report(name: str, labels: PairLabels, recording: Recording, source: Recording) -> StreamReport:
    """Report on a stream with agents and targets; frames of a behavior are those of all pairs together."""
    lengths = labels.bouts[:, 4] - labels.bouts[:, 3]
    counts = np.bincount(labels.bouts[:, 2], lengths, minlength=len(labels.vocabulary)).astype(np.int64)
    return StreamReport(
        annotated=recording.num_frames,
        counts=dict(zip(labels.vocabulary, counts.tolist(), strict=True)),
        annotator=labels.annotator,
        clipped=0,
        uncovered=0,
        after_end=0,
        removed_bouts={}
        if recording is source
        else removed_pair_bouts(source.pair_labels[name], source.frame_times, recording.frame_times),
    )


def _check_unused(annotations: AnnotationIndex, recordings: Sequence[str]) -> None:
    unused = annotations.unused()
    if unused:
        example = _name_that_fits(unused[0].name, [Path(one).name for one in recordings])
        named = ", ".join(recordings[:3]) + (" ..." if len(recordings) > 3 else "")
        raise InputError(
            f"{listed(list(map(str, unused)), 1)}: annotations that fit no "
            f"recording ({named}); an annotation file's name "
            f"must begin like its tracks', for example {example}, and projects name recordings by id or video"
        )


def _name_that_fits(name: str, recordings: Sequence[str]) -> str:
    """A name of an annotation file that fits a recording, if possible the one whose name differs in case only."""
    for recording in recordings:
        if name.casefold().startswith(recording.casefold()):
            return recording + name[len(recording) :]
    return f"{recordings[0]}_{name}" if recordings else "07_annot.txt"


def _finish(report: ImportReport, writer: StoreWriter, options: ImportOptions) -> None:
    """Complete the report with facts about all recordings together: backgrounds and copies."""
    for stream, background in options.backgrounds.items():
        if stream not in writer.streams or writer.streams[stream].background != background:
            known = {name: list(s.vocabulary) for name, s in writer.streams.items()}
            raise InputError(f"`backgrounds` {stream}={background}: no such stream or behavior; there are {known}")
    for stream, background in DOCUMENTED_BACKGROUND.get(writer.skeleton.name, {}).items():
        if stream in writer.streams and stream not in options.backgrounds:
            report.notices.append(
                f"{stream}: {background!r} is taken as the background, as documented for the {writer.skeleton.name} "
                "recordings; `backgrounds` changes it"
            )
    report.notices += absent_animals(report.recordings, writer.individuals)
    report.notices += _about_pair_labels(writer)
    report.notices += without_heading(report.recordings, writer.skeleton)
    _note_rates(report, writer, options)
    report.backgrounds.update({name: stream.background for name, stream in writer.streams.items()})
    first_with: dict[str, str] = {}
    for row in writer.rows:
        same = first_with.setdefault(row.content_hash, row.id)
        if same != row.id:
            report.notices.append(f"{row.id!r} has the same tracks as {same!r}: keep them on one side of a split")


def _about_pair_labels(writer: StoreWriter) -> Iterator[str]:
    """One sentence about each label stream with agents and targets."""
    for name, own in writer.pair_labels.items():
        words = dict.fromkeys(word for labels in own.values() for word in labels.vocabulary)
        bouts = sum(len(labels.bouts) for labels in own.values())
        yield (
            f"label stream {name}: {counted(bouts, 'bout')} with agent and target ({listed(list(words))}), in "
            f"{counted(len(own), 'recording')}"
        )


def _note_rates(report: ImportReport, writer: StoreWriter, options: ImportOptions) -> None:
    rates = {row.id: row.source_fps or row.fps for row in writer.rows}
    slow = [id for id, fps in rates.items() if fps < _SLOW_FPS and options.fps is None]
    if slow:
        report.notices.append(
            f"fewer than {_SLOW_FPS:g} frame per second is assumed, {rates[slow[0]]:.3g} in {listed(slow)}: if times "
            "of the file are milliseconds, pass the frame rate as `fps`"
        )
    resampled = options.resample
    if resampled is not None and all(row.source_fps is None for row in writer.rows):
        report.notices.append(
            f"all recordings have {resampled:.6g} frames per second already: `resample` changes nothing"
        )
    slowest, fastest = (choose(row.fps for row in writer.rows) for choose in (min, max))
    if fastest > slowest * (1 + FPS_TOLERANCE):
        report.notices.append(
            f"the recordings have {slowest:.6g} to {fastest:.6g} frames per second, and most jobs need one rate: "
            f"`resample={slowest:.6g}` gives them one"
        )
