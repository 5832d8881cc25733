"""`Store`: many recordings as one memory-mapped folder, and its writer.

`store.json` is the table of contents; `keypoints.npy` (float32 [frames, individual, keypoint, space]),
`confidence.npy` and `labels/<stream>.npy` (int16, -1 = not annotated) are plain numpy files, so that
`numpy.load(mmap_mode="r")` reads a store without this package. Frame i of a recording is at i / fps seconds of its
video. Of resampled recordings the rows also state the source's frame rate and number of frames; `times.npy` (float64,
seconds) has the times of the source's frames where these were measured. Label streams with agents and targets are in
`pair_labels/`, see `ssl_behavior.pair_label_files`.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ssl_behavior.arguments import opened
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, check_names, read_contents, write_json
from ssl_behavior.growing_array import GrowingArray
from ssl_behavior.individuals import IndividualsByName
from ssl_behavior.pair_label_files import (
    PairStream,
    pair_stream_contents,
    pair_streams_of,
    read_pair_labels,
    write_pair_stream,
)
from ssl_behavior.recording import (
    FPS_RANGE,
    NOT_ANNOTATED,
    FrameTimes,
    Labels,
    PairLabels,
    Recording,
    is_plausible_rate,
)
from ssl_behavior.reprs import Described
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.terminal import counted, listed, quoted

__all__ = [
    "FORMAT_VERSION",
    "FPS_TOLERANCE",
    "STREAM_NAME",
    "FrameRow",
    "Store",
    "StoreRow",
    "StoreWriter",
    "Stream",
    "check_numbers",
    "common_fps",
    "create_store",
    "write_store",
]

FORMAT_VERSION = 1
FPS_TOLERANCE = 0.01
"""Relative difference of frame rates up to which jobs take recordings together; each has its own rate in times."""
STREAM_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class FrameRow:
    """Row of a table of recordings: the place of its frames in an array of all frames, and their rate."""

    id: str
    offset: int
    frames: int
    fps: float

    @property
    def slice(self) -> slice:
        return slice(self.offset, self.offset + self.frames)

    @property
    def recording(self) -> str:
        """Id of the recording, which rows of its animals or pairs share."""
        return self.id

    @property
    def frame_times(self) -> FrameTimes:
        """Times of the recording's frames in its video."""
        return FrameTimes(fps=self.fps, num_frames=self.frames)


@dataclass(frozen=True, kw_only=True)
class StoreRow(FrameRow):
    """Row of a store's table: place and facts of a recording."""

    subset: str = ""
    source: str = ""
    annotators: Mapping[str, str] = field(default_factory=dict)
    """Label stream -> annotator, for the streams this recording has."""
    resolution_px: tuple[float, float] | None = None
    px_per_cm: float | None = None
    content_hash: str = ""
    absent: tuple[str, ...] = ()
    """Individuals of the store that this recording does not have: no point of them is observed in any frame."""
    source_fps: float | None = None
    """Frame rate of the source of a resampled recording; None = not resampled."""
    source_frames: int | None = None
    """Number of frames of the source of a resampled recording."""
    source_times: int | None = None
    """Where the times of the source's frames start in `times.npy`; None = source frame i is at i / source_fps."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Vocabulary and background of a label stream; `background` is "" if there is none.

    `file` : the stream's array, if it is not `labels/<stream>.npy` (after changes, see `ssl_behavior.label_changes`).
    """

    vocabulary: tuple[str, ...]
    background: str = ""
    file: str = field(default="", compare=False)


def common_fps(rows: Sequence[StoreRow], remedy: str) -> float:
    """Common frame rate of recordings: the first one's; all must agree to within 1 %.

    Parameters
    ----------
    remedy : advice for the error, how to choose recordings of one rate.

    Raises
    ------
    InputError
        If the rates differ by more than 1 %.
    """
    slowest, fastest = (choose(rows, key=lambda row: row.fps) for choose in (min, max))
    if fastest.fps > slowest.fps * (1 + FPS_TOLERANCE):
        raise InputError(
            f"the recordings have different frame rates: {slowest.id!r} {slowest.fps:g}, {fastest.id!r} "
            f"{fastest.fps:g} per second; {remedy} (`ssl-behavior resample` gives them one rate)"
        )
    return rows[0].fps


class Store(Described):
    """Folder of recordings. Opening takes milliseconds; arrays are read on access.

    `store["id"]` is a recording, `"id" in store` says whether there is one, and `for recording in store` goes through
    all of them.

    Raises
    ------
    InputError
        If the folder is not a store, is damaged, or was written by a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        again = ", or import the recordings again"
        contents = read_contents(self.path, "store.json", "store", FORMAT_VERSION, again)
        try:
            self.skeleton = Skeleton.from_dict(contents["skeleton"], source=f"{self.path}/store.json")
            self.individuals: tuple[str, ...] = tuple(contents["individuals"])
            self.streams = {name: _stream(values) for name, values in contents["streams"].items()}
            self.pair_streams = pair_streams_of(contents, self.path / "store.json")
            self.rows = [_row(values, self.path / "store.json") for values in contents["recordings"]]
            self._by_id = {row.id: row for row in self.rows}
            self._checked_streams: set[str] = set()
            self.has_confidence = bool(contents["confidence"])
            self._check_rows()
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{self.path}/store.json is damaged: {error!r}") from None
        # Mapped now, so that a store that opens is one whose tracks are there; nothing is read.
        assert self.keypoints is not None

    def _check_rows(self) -> None:
        offset = 0
        for row in self.rows:
            if (row.source_fps is None) != (row.source_frames is None) or (
                row.source_times is not None and row.source_fps is None
            ):
                raise InputError(
                    f"{self.path}/store.json is damaged: recording {row.id!r} has only a part of source_fps, "
                    "source_frames and source_times; expected the first two of every resampled recording"
                )
            if row.offset != offset:
                raise InputError(
                    f"{self.path}/store.json is damaged: recording {row.id!r} does not follow the one before"
                )
            offset += row.frames
        if len(self._by_id) != len(self.rows):
            raise InputError(f"{self.path}/store.json is damaged: two recordings have one id")

    @property
    def num_frames(self) -> int:
        return self.rows[-1].offset + self.rows[-1].frames if self.rows else 0

    @cached_property
    def keypoints(self) -> np.ndarray:
        """float32 [frames, individual, keypoint, space], memory-mapped; NaN = missing."""
        return self._map("keypoints.npy", (*self._points, 2))

    @cached_property
    def confidence(self) -> np.ndarray | None:
        """float32 [frames, individual, keypoint], memory-mapped, or None if no recording has it."""
        return self._map("confidence.npy", self._points) if self.has_confidence else None

    def labels(self, stream: str) -> np.ndarray:
        """int16 [frames] of a stream, memory-mapped; -1 = not annotated.

        Raises
        ------
        InputError
            If the store has no such stream, or its array or vocabulary is damaged.
        """
        facts = self.stream(stream)
        file = facts.file or f"labels/{stream}.npy"
        frames = self._map(file, ())
        if stream not in self._checked_streams:
            self._check_labels(file, facts, frames)
            self._checked_streams.add(stream)
        return frames

    def _check_labels(self, file: str, facts: Stream, frames: np.ndarray) -> None:
        for row in self.rows:
            try:
                Labels(vocabulary=facts.vocabulary, frames=frames[row.slice], background=facts.background)
            except InputError as error:
                raise InputError(
                    f"{self.path} is damaged: {file}, recording {row.id!r}: {error}; import the recordings again"
                ) from None

    def stream(self, name: str) -> Stream:
        """Vocabulary and background of a label stream; an unknown name raises InputError with the known ones."""
        if name not in self.streams:
            raise InputError(f"{self.path} has no label stream {name!r}; it has {sorted(self.streams) or 'none'}")
        return self.streams[name]

    def pair_stream(self, name: str) -> PairStream:
        """Vocabulary and recordings of a stream with agents and targets; an unknown name raises InputError."""
        if name not in self.pair_streams:
            raise InputError(
                f"{self.path} has no label stream {name!r} with agents and targets; it has "
                f"{sorted(self.pair_streams) or 'none'}"
            )
        return self.pair_streams[name]

    def pair_labels(self, stream: str, row: StoreRow) -> PairLabels:
        """Bouts of a recording with agents and targets, numbers of the store's individuals.

        Raises
        ------
        InputError
            If the store has no such stream, the recording does not have it, or its arrays are damaged.
        """
        facts = self.pair_stream(stream)
        if row.id not in facts.recordings:
            raise InputError(f"{self.path}: recording {row.id!r} has no labels {stream!r}")
        return read_pair_labels(self.path, facts, row.id, row.frames, len(self.individuals))

    def resampled_from(self, row: StoreRow) -> FrameTimes | None:
        """Times of the source's frames of a resampled recording; None for any other.

        Raises
        ------
        InputError
            If `times.npy` is missing or damaged.
        """
        if row.source_fps is None or row.source_frames is None:
            return None
        measured = None
        if row.source_times is not None:
            measured = np.array(self._times[row.source_times : row.source_times + row.source_frames])
        try:
            return FrameTimes(fps=row.source_fps, num_frames=row.source_frames, measured=measured)
        except InputError as error:
            raise InputError(f"{self.path} is damaged: times.npy, recording {row.id!r}: {error}") from None

    def file_times(self, row: StoreRow) -> FrameTimes:
        """Times of the frames that written label files count, so that their frame numbers are those of the video.

        These are the source's frames of a resampled recording, and else its own; also its own where the source's times
        were measured: files compute seconds as frame / fps.
        """
        source = None if row.source_times is not None else self.resampled_from(row)
        return source or row.frame_times

    @cached_property
    def _times(self) -> np.ndarray:
        """float64 [source frames], memory-mapped: measured times of the sources of resampled recordings."""
        count = sum(row.source_frames or 0 for row in self.rows if row.source_times is not None)
        return self._map("times.npy", (), count)

    @property
    def _points(self) -> tuple[int, int]:
        return len(self.individuals), self.skeleton.num_keypoints

    def _map(self, name: str, tail: tuple[int, ...], count: int | None = None) -> np.ndarray:
        count = self.num_frames if count is None else count
        try:
            array: np.ndarray = np.load(self.path / name, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise InputError(f"{self.path} is damaged: {name} is missing") from None
        except (ValueError, EOFError, OSError) as error:
            raise InputError(f"{self.path} is damaged: {name} cannot be read ({error})") from None
        if getattr(array, "shape", None) != (count, *tail):
            raise InputError(
                f"{self.path} is damaged: store.json lists {count} frames, so {name} should have shape {[count, *tail]}"
            )
        return array

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, recording: object) -> bool:
        return recording in self._by_id

    def __getitem__(self, recording: str) -> Recording:
        """The recording with this id; an unknown id raises InputError."""
        return self.recording(recording)

    def _headline(self) -> str:
        seconds = sum(row.frames / row.fps for row in self.rows)
        rates = " and ".join(f"{fps:.6g}" for fps in sorted({row.fps for row in self.rows}))
        size = f"{counted(len(self), 'recording')}, {counted(self.num_frames, 'frame')}"
        return f"Store {str(self.path)!r}: {size} ({seconds / 3600:.2f} h) at {rates} per second"

    def _facts(self) -> list[tuple[str, str]]:
        streams = [f"{name}: {listed(stream.vocabulary)}" for name, stream in self.streams.items()]
        pairs = self.pair_streams.items()
        streams += [f"{name}: {listed(stream.vocabulary)}, of agents and targets" for name, stream in pairs]
        return [
            ("animals", listed(self.individuals) + " (anonymous)" * self.skeleton.exchangeable),
            ("keypoints", listed(self.skeleton.keypoints)),
            ("labels", listed(streams, separator="; ") or "none"),
            ("recordings", listed(list(self._by_id), 6)),
        ]

    def row(self, recording: str) -> StoreRow:
        """Row of a recording; an unknown id raises InputError."""
        if recording not in self._by_id:
            raise InputError(f"{self.path} has no recording {recording!r}; it has {quoted(self._by_id)}")
        return self._by_id[recording]

    def recording(self, recording: str) -> Recording:
        """A Recording whose arrays are slices of the memory map."""
        row = self.row(recording)
        labels = {
            name: Labels(
                vocabulary=self.streams[name].vocabulary,
                frames=self.labels(name)[row.slice],
                annotator=annotator,
                background=self.streams[name].background,
            )
            for name, annotator in row.annotators.items()
        }
        return Recording(
            id=row.id,
            keypoints=self.keypoints[row.slice],
            confidence=None if self.confidence is None else self.confidence[row.slice],
            fps=row.fps,
            skeleton=self.skeleton,
            individuals=self.individuals,
            labels=labels,
            pair_labels={
                name: self.pair_labels(name, row) for name, one in self.pair_streams.items() if row.id in one.recordings
            },
            subset=row.subset,
            source=row.source,
            resolution_px=row.resolution_px,
            px_per_cm=row.px_per_cm,
            resampled_from=self.resampled_from(row),
        )

    def __iter__(self) -> Iterator[Recording]:
        return (self.recording(row.id) for row in self.rows)

    def select(self, patterns: Sequence[str]) -> list[StoreRow]:
        """Rows whose id equals or matches (as a glob) any of `patterns`, in store order.

        Raises
        ------
        InputError
            If a pattern matches nothing.
        """
        for pattern in patterns:
            if pattern not in self._by_id and not any(fnmatchcase(id, pattern) for id in self._by_id):
                raise InputError(f"{self.path}: no recording matches {pattern!r}; it has {quoted(self._by_id)}")
        wanted = set(patterns)
        return [row for row in self.rows if row.id in wanted or any(fnmatchcase(row.id, p) for p in patterns)]

    def fingerprint(self) -> str:
        """SHA-256 over the skeleton and the recordings' ids and tracks."""
        rows = [[row.id, row.frames, row.fps, row.content_hash] for row in self.rows]
        return hashlib.sha256(json.dumps([self.skeleton.to_dict(), rows]).encode()).hexdigest()


def open_store(store: Store | str | Path, argument: str = "store") -> Store:
    """A store, given as such or as its folder; raises InputError for anything else."""
    return opened(store, Store, argument, Store)


_WHOLE = {"offset": 0, "frames": 1, "source_frames": 1, "source_times": 0}
"""Whole numbers of a row, and the least that each may be."""


def _is_rate(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and is_plausible_rate(float(value))
    except OverflowError:
        return False


def check_numbers(row: Mapping[str, Any], file: Path, min_frames: int = 1) -> None:
    """Refuse a row of a table of recordings whose frames or rates are none.

    Parameters
    ----------
    row : id, offset, frames, fps and, of resampled recordings, facts about the source.
    file : the table, for the error.
    min_frames : least number of frames of a recording.

    Raises
    ------
    InputError
        Naming the file, the recording, the fact, its value and what is expected.
    """
    known = [name for name, value in row.items() if value is not None] + ["offset", "frames", "fps"]
    wrong = [
        (name, f"a whole number, {least} or more")
        for name, least in (_WHOLE | {"frames": min_frames}).items()
        if name in known and (not isinstance(row[name], int) or isinstance(row[name], bool) or row[name] < least)
    ]
    wrong += [(name, FPS_RANGE) for name in ("fps", "source_fps") if name in known and not _is_rate(row[name])]
    if wrong:
        name, expected = wrong[0]
        raise InputError(f"{file} is damaged: recording {row['id']!r} has {name} {row[name]!r}; expected {expected}")


def _row(values: Mapping[str, Any], file: Path) -> StoreRow:
    check_numbers(values, file)
    size = values.get("resolution_px")
    absent = tuple(values.get("absent", ()))
    return StoreRow(**{**values, "resolution_px": tuple(size) if size else None, "absent": absent})


def _facts(row: StoreRow) -> dict[str, Any]:
    """A row of store.json; only resampled recordings have facts about a source, and few have absent animals."""
    kept = {name: value for name, value in asdict(row).items() if name != "absent" or value}
    return {name: value for name, value in kept.items() if value is not None or not name.startswith("source_")}


def _stream(values: Mapping[str, Any]) -> Stream:
    return Stream(vocabulary=tuple(values["vocabulary"]), background=values["background"], file=values.get("file", ""))


class StoreWriter:
    """Writer that appends recordings one at a time, in bounded memory. Use through `create_store`."""

    def __init__(self, folder: Path, skeleton: Skeleton, individuals: Sequence[str] | None = None) -> None:
        self.folder, self.individuals = folder, tuple(individuals or skeleton.individuals)
        self.skeleton = replace(skeleton, individuals=self.individuals)
        self.rows: list[StoreRow] = []
        self.streams: dict[str, Stream] = {}
        self.num_frames = 0
        shape = (len(self.individuals), skeleton.num_keypoints)
        self._keypoints = GrowingArray(folder / "keypoints.npy", np.float32, (*shape, 2))
        self._confidence: GrowingArray | None = None
        self._times: GrowingArray | None = None
        self._labels: dict[str, GrowingArray] = {}
        self.pair_labels: dict[str, dict[str, PairLabels]] = {}

    def append(self, recording: Recording) -> StoreRow:
        """Add a recording.

        Raises
        ------
        InputError
            If its id is there already, its skeleton or animals differ from the store's, or a label stream's name
            cannot be a file's. The store is then as it was before.
        """
        self._check(recording)
        self._keypoints.append(recording.keypoints)
        self._append_confidence(recording)
        self._append_labels(recording)
        for name, bouts in recording.pair_labels.items():
            # Stated here, because a store that is widened later has animals of which nobody knew.
            asked = bouts.looked_for_of(len(self.individuals))
            self.pair_labels.setdefault(name, {})[recording.id] = replace(bouts, looked_for=asked)
        row = StoreRow(
            id=recording.id,
            offset=self.num_frames,
            frames=recording.num_frames,
            fps=float(recording.fps),
            subset=recording.subset,
            source=recording.source,
            annotators={name: labels.annotator for name, labels in recording.labels.items()},
            resolution_px=recording.resolution_px,
            px_per_cm=recording.px_per_cm,
            content_hash=recording.content_hash(),
            absent=recording.absent,
            **self._append_source(recording.resampled_from),
        )
        self.rows.append(row)
        self.num_frames += recording.num_frames
        return row

    def widen(self, skeleton: Skeleton) -> None:
        """Give the store more animals, after those it has; they are absent in the recordings so far.

        Rewrites the tracks so far, part by part; nothing happens if the store has these animals.

        Parameters
        ----------
        skeleton : of the next recording, with all animals of the store.
        """
        known, names = self.individuals, skeleton.individuals
        if names == known:
            return
        assert names[: len(known)] == known and skeleton.keypoints == self.skeleton.keypoints
        self.individuals, self.skeleton = names, skeleton
        places = [*range(len(known)), *[-1] * (len(names) - len(known))]
        self._keypoints = self._keypoints.widened(places)
        if self._confidence is not None:
            self._confidence = self._confidence.widened(places)
        self.rows = [
            replace(row, absent=(*row.absent, *names[len(known) :]), content_hash=self._hash(row)) for row in self.rows
        ]

    def _hash(self, row: StoreRow) -> str:
        """SHA-256 of a recording's tracks, as `Recording.content_hash`."""
        digest = hashlib.sha256()
        for part in self._keypoints.parts(row.offset, row.offset + row.frames):
            digest.update(part.data)
        return digest.hexdigest()

    def _check(self, recording: Recording) -> None:
        same = next((row for row in self.rows if row.id == recording.id), None)
        if same is not None:
            raise InputError(
                f"two recordings have the id {recording.id!r}: {same.source or 'unknown source'} and "
                f"{recording.source or 'unknown source'}; rename a file, or import them into two stores"
            )
        if recording.skeleton.keypoints != self.skeleton.keypoints:
            raise InputError(
                f"recording {recording.id!r} ({recording.source}) has the keypoints "
                f"{list(recording.skeleton.keypoints)}, the store has {list(self.skeleton.keypoints)}; "
                "one store holds one skeleton"
            )
        if recording.individuals != self.individuals:
            raise InputError(
                f"recording {recording.id!r} ({recording.source}) has the animals {', '.join(recording.individuals)}, "
                f"the store has {', '.join(self.individuals)}; `import_recordings` and `write_store` match them by name"
            )
        if recording.times is not None:
            raise InputError(
                f"recording {recording.id!r} ({recording.source}) has measured frame times, and a store holds frames "
                "of one rate: give it one with `ssl_behavior.resampling.resample`, or leave the times out"
            )
        check_names({*self._labels, *self.pair_labels, *recording.labels, *recording.pair_labels}, "label stream")
        for name in (*recording.labels, *recording.pair_labels):
            if not STREAM_NAME.fullmatch(name):
                raise InputError(
                    f"recording {recording.id!r}: label stream {name!r}: use letters, digits, '_', '-' and '.' only"
                )
            if (name in recording.labels and name in self.pair_labels) or (
                name in recording.pair_labels and name in self._labels
            ):
                raise InputError(
                    f"label stream {name!r} has agents and targets in some recordings and none in others, such as "
                    f"{recording.id!r}; give the streams different names, or import the recordings into two stores"
                )

    def _append_source(self, source: FrameTimes | None) -> dict[str, Any]:
        """Facts of a row about the source of a resampled recording; its measured times go into `times.npy`."""
        if source is None:
            return {}
        facts: dict[str, Any] = {"source_fps": float(source.fps), "source_frames": source.num_frames}
        if source.measured is None:
            return facts
        if self._times is None:
            self._times = GrowingArray(self.folder / "times.npy", np.float64, ())
        start = self._times.length
        self._times.append(source.measured)
        return facts | {"source_times": start}

    def _append_confidence(self, recording: Recording) -> None:
        if recording.confidence is not None and self._confidence is None:
            tail = (len(self.individuals), self.skeleton.num_keypoints)
            self._confidence = GrowingArray(self.folder / "confidence.npy", np.float32, tail)
            self._confidence.fill(np.nan, self.num_frames)
        if self._confidence is None:
            return
        if recording.confidence is None:
            self._confidence.fill(np.nan, recording.num_frames)
        else:
            self._confidence.append(recording.confidence)

    def _append_labels(self, recording: Recording) -> None:
        for name, labels in recording.labels.items():
            if name not in self._labels:
                self._labels[name] = GrowingArray(self.folder / "labels" / f"{name}.npy", np.int16, ())
                self._labels[name].fill(NOT_ANNOTATED, self.num_frames)
                self.streams[name] = Stream(vocabulary=labels.vocabulary, background=labels.background)
            self._labels[name].append(self._translated(name, labels))
        for name in self._labels.keys() - recording.labels.keys():
            self._labels[name].fill(NOT_ANNOTATED, recording.num_frames)

    def _translated(self, name: str, labels: Labels) -> np.ndarray:
        """Labels in the store's vocabulary; new names are appended, so earlier labels keep their numbers."""
        stream = self.streams[name]
        vocabulary = stream.vocabulary + tuple(v for v in labels.vocabulary if v not in stream.vocabulary)
        self.streams[name] = Stream(vocabulary=vocabulary, background=stream.background or labels.background)
        table = np.array([*(vocabulary.index(v) for v in labels.vocabulary), NOT_ANNOTATED], dtype=np.int16)
        return table[labels.frames]

    def close(self) -> None:
        """Write store.json, which completes the store."""
        self._close_arrays()
        if not self.rows:
            raise InputError("a store needs at least one recording, and none was found")
        contents = {
            "format": "ssl-behavior store",
            "version": FORMAT_VERSION,
            "skeleton": self.skeleton.to_dict(),
            "individuals": list(self.individuals),
            "confidence": self._confidence is not None,
            "streams": {
                name: {"vocabulary": one.vocabulary, "background": one.background} for name, one in self.streams.items()
            },
            "recordings": [_facts(row) for row in self.rows],
        }
        animals = len(self.individuals)
        pairs = [(name, write_pair_stream(self.folder, name, own, animals)) for name, own in self.pair_labels.items()]
        if pairs:
            contents["pair_streams"] = {name: pair_stream_contents(one) for name, one in pairs}
        write_json(self.folder / "store.json", contents)

    def _close_arrays(self) -> None:
        for array in (self._keypoints, self._confidence, self._times, *self._labels.values()):
            if array is not None:
                array.close()

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._close_arrays()


@contextmanager
def create_store(
    path: str | Path, skeleton: Skeleton, individuals: Sequence[str] | None = None, overwrite: bool = False
) -> Iterator[StoreWriter]:
    """Context with a StoreWriter; the store appears at `path` if the block ends without an error.

    Raises
    ------
    InputError
        If `path` exists and `overwrite` is False, the disk is full, or no recording was appended.
    """
    with (
        atomic_folder(Path(path), overwrite, "store.json") as folder,
        StoreWriter(folder, skeleton, individuals) as writer,
    ):
        yield writer


def write_store(path: str | Path, recordings: Iterable[Recording], overwrite: bool = False) -> Store:
    """Write recordings as a store and open it; keypoints and animals are matched to the first recording's by name.

    Recordings may have more animals or fewer, see `IndividualsByName`.

    Raises
    ------
    InputError
        As `create_store`, or if a recording has other animals or keypoints than the first.
    """
    individuals = IndividualsByName({})
    completed = (individuals.completed(individuals.matched(recording)) for recording in recordings)
    first = next(completed, None)
    if first is None:
        raise InputError(f"{path}: no recordings to write")
    with create_store(path, first.skeleton, first.individuals, overwrite) as writer:
        for recording in chain([first], completed):
            writer.widen(recording.skeleton)
            writer.append(recording)
    return Store(path)
