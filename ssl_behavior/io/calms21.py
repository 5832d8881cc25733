"""CalMS21 files (Sun et al. 2021, arXiv:2104.02710): the release's JSON, and `.npy` of its converter and of AIcrowd.

Axes of the files are frame, mouse (0 resident, 1 intruder), (x, y), keypoint; a Recording has keypoint before space.

JSON, plain or inside the release's zip files, read one sequence at a time, and the official converter's `.npy`:
{group: {sequence: {"keypoints": [T][2][2][7], "scores": [T][2][7], "annotations": [T], "metadata": {...}}}}.
AIcrowd Tasks 1, 2 and test: {"vocabulary": [...], "sequences": {id: {"keypoints", "annotations", "annotator_id"}}}.
AIcrowd Task 3: {"vocabulary", behavior: {id: ...}} and {behavior: {"sequences": {id: ...}}} both occur.
An `.npy` file is one pickle and is read whole: memory is the file's size.
"""

import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import simdjson

from ssl_behavior.errors import InputError
from ssl_behavior.io.json_streams import iterate_file
from ssl_behavior.io.pickled_npy import load_pickled_npy
from ssl_behavior.io.reader_helpers import (
    ZIP_FAILURES,
    ReadOptions,
    UnknownFormatError,
    check_file,
    json_members,
    member_head,
    open_zip,
    read_head,
    to_float32,
)
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton

__all__ = [
    "FPS",
    "RESOLUTION_PX",
    "SIMULATED",
    "VOCABULARY",
    "decode_fast",
    "decode_sequence",
    "first_key",
    "nested",
    "read_calms21_json",
    "read_calms21_npy",
    "read_calms21_zip",
    "read_numbers",
    "sequence_groups",
    "sequence_to_recording",
    "sniff_json",
    "sniff_npy",
    "sniff_zip",
    "subset_of",
]

_TAILS: dict[str, tuple[int, ...]] = {"keypoints": (2, 2, 7), "scores": (2, 7)}
_KEYS = ("keypoints", "scores", "annotations", "metadata", "features")
_NAME = rb'"(?:[^"\\]|\\.)*"'
_OBJECT = rb"\s*\{\s*"
_START = re.compile(_OBJECT + (_NAME + rb"\s*:" + _OBJECT) * 2 + rb'"(' + "|".join(_KEYS).encode() + rb')"', re.DOTALL)
_NO_DIGITS = b"0123456789.eE+- \n\r\t"


def first_key(head: bytes) -> str:
    """The first key of the first sequence, if a file begins like CalMS21's JSON: three nested objects; else "".

    >>> first_key(b'{"annotator-id_0": {"task1/train/mouse001": {"features": [[0.5')
    'features'
    """
    match = _START.match(head)
    return match.group(1).decode() if match else ""


def decode_sequence(content: bytes, where: str) -> dict[str, Any]:
    """Decode one sequence: regular arrays by `decode_fast`, all others by `json`.

    Raises
    ------
    InputError
        Beginning with `where`, if it is not JSON.
    """
    try:
        return decode_fast(content)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError):
        pass
    try:
        values = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{where} is not well-formed JSON ({error}): copy or download the file again") from None
    assert isinstance(values, dict)
    return values


def decode_fast(content: bytes) -> dict[str, Any]:
    """Decode one sequence with regular arrays; irregular input raises an exception of any type."""
    document: Any = simdjson.Parser().parse(content)
    structure = content.translate(None, _NO_DIGITS)
    values: dict[str, Any] = {}
    for key in document:
        value: Any = document[key]
        if key in _TAILS:
            values[key] = _decode_array(value, structure, _TAILS[key])
        elif key == "features":
            values[key] = _decode_array(value, structure, (len(value[0]),))
        elif key == "annotations":
            values[key] = np.frombuffer(value.as_buffer(of_type="i"), dtype=np.int64)
            if nested((len(values[key]),)) not in structure:
                raise ValueError("nested annotations")
        else:
            values[key] = _plain(value)
    return values


def _decode_array(value: Any, structure: bytes, tail: tuple[int, ...]) -> np.ndarray:
    shape = (len(value), *tail)
    # as_buffer flattens any nesting; that the nesting is the expected one is read off the brackets.
    if nested(shape) not in structure:
        raise ValueError("uneven nesting")
    return np.frombuffer(value.as_buffer(of_type="d"), dtype=np.float64).reshape(shape)


def nested(shape: tuple[int, ...]) -> bytes:
    """Brackets and commas of an array of the given shape.

    >>> nested((2, 3))
    b'[[,,],[,,]]'
    """
    inner = nested(shape[1:]) if len(shape) > 1 else b""
    return b"[" + b",".join([inner] * shape[0]) + b"]"


def _plain(value: Any) -> Any:
    if isinstance(value, simdjson.Object):
        return value.as_dict()
    return value.as_list() if isinstance(value, simdjson.Array) else value


FPS = 30.0
RESOLUTION_PX = (1024.0, 570.0)
VOCABULARY = {"attack": 0, "investigation": 1, "mount": 2, "other": 3}
SIMULATED = "simulated.json"
"""A file that only simulated releases have."""
_BACKGROUND = "other"
_ANNOTATOR_GROUP = re.compile(r"annotator-id_(\d+)")
_SUBSETS = ("train", "test", "unlabeled")


def subset_of(sequence: str, file_name: str) -> str:
    """Subset (train, test or unlabeled) from the sequence's path, else from the file's name; "" if neither has one.

    >>> subset_of("task2/annotator3/test/mouse071_task2_annotator3", "calms21_task2_test.json")
    'test'
    >>> subset_of("001", "calms21_unlabeled_videos_part1.json")
    'unlabeled'
    """
    for words in (sequence.lower().split("/"), re.split(r"[^a-z]+", file_name.lower())):
        for subset in _SUBSETS:
            if subset in words or f"{subset}_videos" in words:
                return subset
    return ""


def sequence_to_recording(
    values: Mapping[str, Any], *, group: str, sequence: str, source: str, file_name: str, options: ReadOptions
) -> Recording:
    """One sequence of a CalMS21 file, its arrays decoded, as a Recording.

    Parameters
    ----------
    values : "keypoints" [time, mouse, xy, keypoint]; "scores" [time, mouse, keypoint], "annotations" [time],
        "metadata" (or "annotator_id" and "vocab" beside them) where the file has them.
    group : the name one level up: "annotator-id_3", "unlabeled_videos", or a Task 3 behavior.

    Raises
    ------
    InputError
        Naming the sequence, if an array has another shape or a label is outside the vocabulary.
    """
    where = f"{source}: sequence {sequence!r}"
    skeleton = options.skeleton or SKELETONS["calms21"]
    keypoints = read_numbers(values, "keypoints", (2, 2, skeleton.num_keypoints), where)
    scores = read_numbers(values, "scores", (2, skeleton.num_keypoints), where) if "scores" in values else None
    if scores is not None and len(scores) != len(keypoints):
        raise InputError(f"{where}: {len(keypoints)} frames of keypoints but {len(scores)} of scores")
    return Recording(
        id=sequence,
        keypoints=to_float32(np.swapaxes(keypoints, 2, 3)),
        confidence=None if scores is None else to_float32(scores),
        fps=FPS if options.fps is None else options.fps,
        skeleton=skeleton,
        individuals=_individuals(skeleton),
        labels=_labels(values, group, len(keypoints), where),
        subset=subset_of(sequence, file_name),
        source=source,
        resolution_px=RESOLUTION_PX,
        notes=(f"fps {FPS:g} assumed: CalMS21's documented rate; `fps` changes it",) if options.fps is None else (),
    )


def _individuals(skeleton: Skeleton) -> tuple[str, ...]:
    return skeleton.individuals if skeleton.num_individuals == 2 else SKELETONS["calms21"].individuals


def read_numbers(values: Mapping[str, Any], key: str, tail: tuple[int | None, ...], where: str) -> np.ndarray:
    """A sequence's array [time, *tail] as floating point numbers; None in `tail` admits any size.

    Raises
    ------
    InputError
        If the key is missing or has another content; the message begins with `where`.
    """
    if key not in values:
        raise InputError(f'{where} has no "{key}"; it has {sorted(map(str, values))[:8]}')
    axes = ", ".join("any" if size is None else str(size) for size in tail)
    expected = f"{key} must be numbers of shape [time, {axes}]"
    try:
        # Checked first: text that spells a number would be converted without a word.
        array = np.asarray(values[key])
        array = array.astype(np.float64) if array.dtype.kind in "fiuO" else array
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{where}: {expected}, got uneven nesting or values that are not numbers") from None
    fits = array.ndim == len(tail) + 1 and all(
        wanted in (None, size) for wanted, size in zip(tail, array.shape[1:], strict=True)
    )
    if array.dtype.kind != "f" or not fits:
        raise InputError(f"{where}: {expected}, got {array.dtype} {list(array.shape)}")
    if _holds_booleans(values[key], array.ndim):
        raise InputError(f"{where}: {expected}, got true or false among them")
    return array


def _holds_booleans(values: Any, depth: int) -> bool:
    """Whether a nested list of numbers holds booleans, which numpy would convert to 1 and 0."""
    if isinstance(values, np.ndarray):
        return values.dtype.kind == "b"
    if depth == 0:
        return isinstance(values, (bool, np.bool_))
    return any(_holds_booleans(part, depth - 1) for part in values)


def _labels(values: Mapping[str, Any], group: str, num_frames: int, where: str) -> dict[str, Labels]:
    if values.get("annotations") is None:
        return {}
    try:
        frames = np.asarray(values["annotations"])
        if frames.ndim == 1 and _holds_booleans(values["annotations"], 1):
            raise InputError("expected whole numbers of shape [time], got true or false among them")
        if frames.ndim != 1 or frames.dtype.kind not in "iu":
            raise InputError(f"expected whole numbers of shape [time], got {frames.dtype} {list(frames.shape)}")
        if len(frames) != num_frames:
            raise InputError(
                f"{len(frames)} values for {num_frames} frames of keypoints; one of the two is cut off: "
                "download or convert the file again"
            )
        return _streams(frames.astype(np.int64), values, group)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{where}: annotations: {error}") from None


def _streams(frames: np.ndarray, values: Mapping[str, Any], group: str) -> dict[str, Labels]:
    metadata = values.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    match = _ANNOTATOR_GROUP.fullmatch(group)
    annotator = metadata.get("annotator-id", values.get("annotator_id", match.group(1) if match else ""))
    is_task3 = bool(group) and match is None and not group.startswith("unlabeled")
    vocabulary = _vocabulary(metadata.get("vocab"), group, is_task3)
    if is_task3 and vocabulary[0] != _BACKGROUND:
        # Task 3 says 1 for its behavior; should a file have it the other way round, its own vocabulary decides.
        vocabulary, frames = vocabulary[::-1], np.where((frames == 0) | (frames == 1), 1 - frames, frames)
    background = _BACKGROUND if _BACKGROUND in vocabulary else ""
    if frames.size and (frames.min() < -1 or frames.max() >= len(vocabulary)):
        where = int(np.flatnonzero((frames < -1) | (frames >= len(vocabulary)))[0])
        known = dict(enumerate(vocabulary))
        raise InputError(f"frame {where} has the label {frames[where]}, outside the vocabulary {known}")
    labels = Labels(vocabulary=vocabulary, frames=frames, annotator=str(annotator), background=background)
    return {group if is_task3 else "behavior": labels}


def _vocabulary(vocab: Any, group: str, is_task3: bool) -> tuple[str, ...]:
    """Behavior names by number. Default: the release's four, or for Task 3 (other, the behavior)."""
    if is_task3 and (not isinstance(vocab, Mapping) or set(vocab) != {_BACKGROUND, group}):
        return (_BACKGROUND, group)
    numbers = vocab if isinstance(vocab, Mapping) and vocab else VOCABULARY
    if sorted(numbers.values()) != list(range(len(numbers))):
        raise InputError(f"the vocabulary must number its names 0, 1, 2 ..., got {dict(numbers)}"[:300])
    return tuple(sorted(numbers, key=lambda name: numbers[name]))


def sniff_json(path: Path) -> bool:
    """Whether the file begins like CalMS21's JSON: three nested objects, and in the third one of its keys."""
    return first_key(read_head(path)) != ""


def sniff_zip(path: Path) -> bool:
    """Whether the file is a zip with a JSON member that begins like CalMS21's."""
    check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return any(first_key(member_head(archive, member)) for member in json_members(archive))
    except ZIP_FAILURES:
        return False


def read_calms21_json(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """Every sequence of a CalMS21 JSON file, in the file's order; memory is one sequence's.

    A file of task-programming features is left out with a notice.

    Raises
    ------
    InputError
        If the file is cut off, not JSON, of another schema, or a sequence is damaged.
    """
    check_file(path)
    with path.open("rb") as file:
        yield from _read_stream(file.read, str(path), path.name, options)


def read_calms21_zip(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """Every sequence of every CalMS21 JSON in a zip, streamed: nothing is written to disk.

    Raises
    ------
    InputError
        If the zip is damaged, encrypted, or has members with absolute or `../` names; and as for the JSON.
    """
    with open_zip(path) as archive:
        members = [m for m in json_members(archive) if first_key(member_head(archive, m))]
        for member in archive.infolist():
            if member not in members and not member.is_dir():
                options.notice(f"{path}: left out {member.filename}, which is not CalMS21 JSON")
        for member in members:
            with archive.open(member) as file:
                name = PurePosixPath(member.filename).name
                yield from _read_stream(file.read, f"{path}:{member.filename}", name, options)


def _read_stream(
    read: Callable[[int], bytes], source: str, file_name: str, options: ReadOptions
) -> Iterator[Recording]:
    found = False
    try:
        for group, sequence, content in iterate_file(read, source, lambda chunk: options.advance(len(chunk))):
            values = decode_sequence(content, f"{source}: sequence {sequence!r}")
            if "features" in values and "keypoints" not in values:
                options.notice(
                    f"{source}: left out, because it has task-programming features and no keypoints; ssl-behavior "
                    "embed makes embeddings of them"
                )
                return
            found = True
            yield sequence_to_recording(
                values, group=group, sequence=sequence, source=source, file_name=file_name, options=options
            )
    except InputError as error:
        raise error if source in str(error) else InputError(f"{source}: {error}") from None
    if not found:
        raise UnknownFormatError(f"{source}: JSON without any sequence")


_MAGIC = b"\x93NUMPY"
_LAYOUTS = (
    'expected CalMS21\'s {group: {sequence: {"keypoints": ...}}} or AIcrowd\'s {"sequences": {id: {"keypoints": ...}}}'
)


def sniff_npy(path: Path) -> bool:
    """Whether the file is a `.npy`."""
    return read_head(path, len(_MAGIC)) == _MAGIC


def read_calms21_npy(path: Path, options: ReadOptions) -> Iterator[Recording]:
    """Every sequence of a CalMS21 or AIcrowd `.npy`, in the file's order.

    Raises
    ------
    InputError
        If the pickle holds anything but arrays and plain containers, is damaged, or is of another layout.
    """
    contents = load_pickled_npy(path, _LAYOUTS)
    if not isinstance(contents, Mapping):
        raise InputError(f"{path}: contains a {type(contents).__name__}; {_LAYOUTS}")
    vocabulary = contents.get("vocabulary")
    found = False
    for group, sequences in sequence_groups(contents):
        for sequence, values in sequences.items():
            if not isinstance(values, Mapping):
                raise InputError(f"{path}: {group!r}/{sequence!r} is a {type(values).__name__}; {_LAYOUTS}")
            found = True
            _refuse_features(values, path)
            yield sequence_to_recording(
                _with_vocabulary(values, vocabulary if group in ("", "sequences") else None),
                group=str(group), sequence=str(sequence), source=str(path), file_name=path.name, options=options,
            )  # fmt: skip
    if not found:
        raise InputError(f"{path}: no sequences in it; {_LAYOUTS}")


def sequence_groups(contents: Mapping[Any, Any]) -> Iterator[tuple[Any, Mapping[Any, Any]]]:
    """Group name -> sequences, for all four nestings; AIcrowd's one unnamed group is ""."""
    for name, value in contents.items():
        if name == "vocabulary" or not isinstance(value, Mapping):
            continue
        if name == "sequences":
            yield "", value
        else:
            inner = value.get("sequences")
            yield name, inner if isinstance(inner, Mapping) else {k: v for k, v in value.items() if k != "vocabulary"}


def _with_vocabulary(values: Mapping[str, Any], vocabulary: Any) -> Mapping[str, Any]:
    """Sequence with its vocabulary: AIcrowd lists the names once per file, CalMS21 in every sequence."""
    if "metadata" in values or not isinstance(vocabulary, (list, tuple, np.ndarray)):
        return values
    names = [str(name) for name in vocabulary]
    metadata = {"vocab": {name: number for number, name in enumerate(names)}}
    if "annotator_id" in values:
        metadata["annotator-id"] = values["annotator_id"]
    return {**values, "metadata": metadata}


def _refuse_features(values: Mapping[str, Any], path: Path) -> None:
    if "features" in values and "keypoints" not in values:
        raise InputError(
            f'{path}: contains task-programming features ("features"), not keypoints: it was written by the official '
            "converter with --parse_treba; convert without that flag, or import the release's JSON"
        )
