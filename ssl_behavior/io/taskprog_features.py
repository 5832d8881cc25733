"""Reader and writer of CalMS21's task-programming features, `taskprog_features_X.json` beside `calms21_X.json`.

{group: {sequence: {"features": [T][D]}}} with the groups and sequences of the tracks. The released ones have D = 32,
the posterior mean of a trajectory autoencoder (Sun et al. 2021, arXiv:2011.13917 and arXiv:2104.02710). The official
converter with --parse_treba makes `X_features.npy` of the two files: the same nesting pickled, "features" [T, 60] = 28
keypoint numbers in the order mouse, (x, y), keypoint, then the 32.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.calms21 import decode_sequence, first_key, read_numbers, sequence_groups, sniff_npy
from ssl_behavior.io.json_streams import iterate_file
from ssl_behavior.io.pickled_npy import load_pickled_npy
from ssl_behavior.io.reader_helpers import (
    HEAD_BYTES,
    check_file,
    describe_start,
    json_members,
    member_head,
    open_zip,
    to_float32,
)

__all__ = [
    "NO_GROUP",
    "RELEASED_DIM",
    "FeatureFile",
    "Place",
    "TaskprogFeatures",
    "is_taskprog",
    "release_place",
    "write_taskprog",
]

RELEASED_DIM = 32
_CONVERTED_DIM = 28 + RELEASED_DIM
_PREFIX = "taskprog_features_"
NO_GROUP = "recordings"
_IN_ID = re.compile(r"task1/(?P<task1>)|task2/annotator(?P<task2>\d+)/|task3/(?P<task3>[^/]+)/")
_MAX_LISTED = 3
_BLOCK_NUMBERS = 1 << 18
_ZIP = b"PK"
_LAYOUT = '{group: {sequence: {"features": [time][dim]}}}'


@dataclass(frozen=True)
class Place:
    """Location of a recording's features in the release: file name and group."""

    file: str
    group: str


def release_place(
    recording: str, source: str, subset: str, annotators: Mapping[str, str], task3: Collection[str] = ()
) -> Place:
    """Location of a recording, derived from its row in a store.

    The file is named after the CalMS21 file the recording came from. The group is the annotator's (Tasks 1 and 2), the
    behavior's (Task 3) or "unlabeled_videos"; without labels, an id of the release gives the group. Recordings
    that come from other files, or have no group, go to "recordings".

    Parameters
    ----------
    source : the file the recording was read from, or zip:member.
    annotators : label stream -> annotator, for the streams it has.
    task3 : label streams with one behavior and "other".

    >>> release_place("task1/train/mouse001_task1_annotator1", "calms21_task1_train.json", "train", {"behavior": "0"})
    Place(file='taskprog_features_task1_train.json', group='annotator-id_0')
    """
    name = re.split(r"[/\\:]", source)[-1]
    is_calms21 = name.lower().endswith((".json", ".npy"))
    stem = name.rpartition(".")[0].removeprefix("calms21_") if is_calms21 else NO_GROUP
    return Place(f"{_PREFIX}{stem}.json", _group(recording, subset, annotators, task3))


def _group(recording: str, subset: str, annotators: Mapping[str, str], task3: Collection[str]) -> str:
    annotator = annotators.get("behavior", "")
    behaviors = [stream for stream in annotators if stream in task3]
    if annotator.isdecimal():
        return f"annotator-id_{annotator}"
    if len(behaviors) == 1:
        return behaviors[0]
    if subset == "unlabeled":
        return "unlabeled_videos"
    match = _IN_ID.match(recording)
    if match is None:
        return NO_GROUP
    # Task 1 has one annotator, number 0, which ids call annotator1.
    return match["task3"] or f"annotator-id_{match['task2'] or 0}"


def write_taskprog(
    write: Callable[[bytes], object], sequences: Iterable[tuple[str, str, Iterable[np.ndarray]]]
) -> None:
    """Write (group, sequence, its features in pieces float32 [frames, dim]) with a file's `write`.

    The members of a group must follow each other. Memory is one piece's. Numbers have nine digits, so that reading
    gives the very same float32.
    """
    write(b"{")
    for number, (group, members) in enumerate(groupby(sequences, key=lambda item: item[0])):
        write(b"," * (number > 0) + json.dumps(group).encode() + b":{")
        for position, (_, sequence, pieces) in enumerate(members):
            write(b"," * (position > 0) + json.dumps(sequence).encode() + b':{"features":[')
            for index, block in enumerate(_blocks(pieces)):
                write(b"," * (index > 0) + _rows(block))
            write(b"]}")
        write(b"}")
    write(b"}")


def _blocks(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Pieces small enough to convert to Python numbers."""
    for piece in pieces:
        step = max(1, _BLOCK_NUMBERS // piece.shape[1])
        yield from (piece[start : start + step] for start in range(0, len(piece), step))


def _rows(values: np.ndarray) -> bytes:
    assert values.dtype == np.float32 and np.isfinite(values).all()
    row = "[" + ",".join(["%.9g"] * values.shape[1]) + "]"
    return (",".join([row] * len(values)) % tuple(values.ravel().tolist())).encode()


@dataclass(frozen=True)
class FeatureFile:
    """A file of features: the release's JSON, on disk or in a zip, or the converter's `.npy`."""

    path: Path
    member: str = ""
    is_npy: bool = False

    @property
    def name(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)


def is_taskprog(path: Path) -> bool:
    """Whether the first bytes of a file look like a JSON file of features."""
    return first_key(_head(path)) == "features"


def _head(path: Path) -> bytes:
    check_file(path)
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


class TaskprogFeatures:
    """Features in a file, in a zip, or in all such files below a folder.

    Attributes
    ----------
    files : files found by their first bytes. A folder may have none.
    digests : SHA-256 of each file that `read` took features from, by name; a zip's member counts as a file.
    unused : number of sequences that `read` skipped.

    Raises
    ------
    InputError
        If the file is missing, or has tracks or other content instead.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            self.files = [found for file in _candidates(self.path) for found in _in_file(file)]
        else:
            self.files = _in_file(self.path)
            if not self.files:
                raise InputError(_wrong_kind_message(self.path))
        self.digests: dict[str, str] = {}
        self.unused = 0

    def read(self, lengths: Mapping[str, int]) -> Iterator[tuple[str, np.ndarray]]:
        """(sequence, float32 [time, dim]) for each sequence of `lengths` (its number of frames), in the files' order.

        Memory is one sequence's; of a `.npy`, the file's.

        Raises
        ------
        InputError
            If a sequence has no features, is in two files, has another number of frames, or its features are ragged,
            no finite numbers, or of another width than those before; or if a file is damaged.
        """
        where_found: dict[str, str] = {}
        first: tuple[str, int] | None = None
        self.digests, self.unused = {}, 0
        for file in self.files:
            digest = hashlib.sha256()
            for sequence, values in _sequences(file, lengths, digest.update):
                features = None if values is None else _checked(values, file, sequence)
                if features is None or sequence not in lengths:
                    self.unused += 1
                    continue
                if sequence in where_found:
                    raise InputError(_duplicate_message(sequence, where_found[sequence], file.name))
                first = first or (sequence, features.shape[1])
                _check_shape(features, file, sequence, lengths[sequence], first)
                where_found[sequence] = file.name
                yield sequence, features
            if file.name in where_found.values():
                self.digests[file.name] = digest.hexdigest()
        self._check_complete(lengths, where_found)

    def _check_complete(self, lengths: Mapping[str, int], found: Collection[str]) -> None:
        missing = [sequence for sequence in lengths if sequence not in found]
        if missing:
            names = ", ".join(file.name for file in self.files[:_MAX_LISTED])
            names += f" and {len(self.files) - _MAX_LISTED} more files" if len(self.files) > _MAX_LISTED else ""
            which = f"{len(missing)} recordings, the first {missing[0]!r}," if len(missing) > 1 else repr(missing[0])
            raise InputError(
                f"no features of {which} in {names}; give a folder with files for all recordings, or choose "
                "recordings with `recordings`"
            )

    def fingerprint(self) -> str:
        """ "features:" and the SHA-256 of the file; for several files, the SHA-256 of their sorted sums, one a line."""
        digests = sorted(self.digests.values())
        if len(digests) == 1:
            return f"features:{digests[0]}"
        lines = "".join(f"{digest}\n" for digest in digests)
        return f"features:{hashlib.sha256(lines.encode()).hexdigest()}"


def _candidates(folder: Path) -> list[Path]:
    """Files below a folder that may hold features, by name; the converter's files end in _features.npy."""
    files = [
        file for file in sorted(folder.rglob("*")) if file.name.lower().endswith((".json", ".zip", "_features.npy"))
    ]
    hidden = (any(part.startswith(".") for part in file.relative_to(folder).parts) for file in files)
    return [
        file for file, hide in zip(files, hidden, strict=True) if not hide and file.is_file() and file.stat().st_size
    ]


def _in_file(path: Path) -> list[FeatureFile]:
    head = _head(path)
    if head.startswith(_ZIP):
        with open_zip(path) as archive:
            members = [m for m in json_members(archive) if first_key(member_head(archive, m)) == "features"]
            return [FeatureFile(path, member.filename) for member in members]
    if sniff_npy(path):
        return [FeatureFile(path, is_npy=True)]
    return [FeatureFile(path)] if first_key(head) == "features" else []


def _wrong_kind_message(path: Path) -> str:
    if first_key(_head(path)):
        return (
            f"{path}: contains tracks, not task-programming features {_LAYOUT}; in the release, the features "
            f"of calms21_X.json are in {_PREFIX}X.json"
        )
    return (
        f"{path}: neither a run or checkpoint folder nor task-programming features {_LAYOUT}; it begins with "
        f"{describe_start(path)}"
    )


def _duplicate_message(sequence: str, first: str, second: str) -> str:
    where = f"twice in {first}" if first == second else f"in two files, {first} and {second}"
    return f"the features of {sequence!r} are {where}; keep only one of them"


def _sequences(
    file: FeatureFile, wanted: Collection[str], seen: Callable[[bytes], object]
) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Every sequence of a file, with its content if requested; the first always has it, to identify the file."""
    if file.member:
        with open_zip(file.path) as archive, archive.open(file.member) as stream:
            yield from _json_sequences(stream.read, file.name, wanted, seen)
    elif file.is_npy:
        yield from _npy_sequences(file.path, seen)
    else:
        with file.path.open("rb") as stream:
            yield from _json_sequences(stream.read, file.name, wanted, seen)


def _json_sequences(
    read: Callable[[int], bytes], source: str, wanted: Collection[str], seen: Callable[[bytes], object]
) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    for number, (_, sequence, content) in enumerate(iterate_file(read, source, seen)):
        needed = number == 0 or sequence in wanted
        yield sequence, decode_sequence(content, f"{source}: sequence {sequence!r}") if needed else None


def _npy_sequences(path: Path, seen: Callable[[bytes], object]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            seen(chunk)
    contents = load_pickled_npy(path, f"expected {_LAYOUT} as the official converter writes it with --parse_treba")
    for _, sequences in sequence_groups(contents) if isinstance(contents, Mapping) else ():
        for sequence, values in sequences.items():
            yield str(sequence), values if isinstance(values, Mapping) else {}


def _checked(values: Mapping[str, Any], file: FeatureFile, sequence: str) -> np.ndarray:
    """A sequence's features, float32 [time, dim], all finite."""
    where = f"{file.name}: sequence {sequence!r}"
    if "features" not in values and "keypoints" in values:
        raise InputError(f"{where} has tracks (keypoints), not task-programming features")
    if file.is_npy:
        # The converter puts the keypoints in front.
        features = to_float32(read_numbers(values, "features", (_CONVERTED_DIM,), where)[:, -RELEASED_DIM:])
    else:
        features = to_float32(read_numbers(values, "features", (None,), where))
    usable = np.isfinite(features).all(axis=1)
    if not usable.all():
        raise InputError(f"{where}: the features of frame {int(np.argmin(usable))} are not all finite numbers")
    return features


def _check_shape(
    features: np.ndarray, file: FeatureFile, sequence: str, num_frames: int, first: tuple[str, int]
) -> None:
    if len(features) != num_frames:
        raise InputError(
            f"{file.name}: sequence {sequence!r} has features of {len(features)} frames, but its recording has "
            f"{num_frames}; they belong to other tracks"
        )
    if features.shape[1] != first[1] or not features.shape[1]:
        raise InputError(
            f"{file.name}: sequence {sequence!r} has {features.shape[1]} features a frame, but {first[0]!r} "
            f"has {first[1]}; expected the same number above 0 in all sequences"
        )
