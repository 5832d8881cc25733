"""CalMS21 as `.npy`: the official converter's output, and the files of the AIcrowd challenge.

Official: {group: {sequence: {"keypoints", "scores", "annotations", "metadata"}}}, as in the JSON.
AIcrowd Tasks 1, 2 and test: {"vocabulary": [...], "sequences": {id: {"keypoints", "annotations", "annotator_id"}}}.
AIcrowd Task 3: {"vocabulary", behaviour: {id: ...}} and {behaviour: {"sequences": {id: ...}}} both occur.
Such a file is one pickle and is read whole: memory is the file's size.
"""

import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.calms21 import sequence_to_recording
from ssl_behavior.io.options import ReadOptions
from ssl_behavior.io.source import check_file, read_head
from ssl_behavior.io.unpickle import load_plain_pickle
from ssl_behavior.recording import Recording

__all__ = ["load_pickled_npy", "read_calms21_npy", "sequence_groups", "sniff_npy"]

_MAGIC = b"\x93NUMPY"
_HEADER_FAILURES = (ValueError, EOFError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError, OverflowError,
                    tokenize.TokenError)  # fmt: skip
"""What numpy raises on a damaged header, which it reads as a piece of Python."""
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
        raise InputError(f"{path}: holds a {type(contents).__name__}; {_LAYOUTS}")
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


def load_pickled_npy(path: Path, layouts: str) -> Any:
    """What is pickled in a `.npy`, read without running anything (see `load_plain_pickle`).

    Raises
    ------
    InputError
        If it is damaged, asks for anything but plain data, or holds a plain array; `layouts` says what was expected.
    """
    check_file(path)
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
        except _HEADER_FAILURES as error:
            raise InputError(f"{path}: damaged .npy header ({error})"[:300]) from None
        if not dtype.hasobject:
            raise InputError(f"{path}: a .npy holding a plain {dtype} array of shape {list(shape)}; {layouts}")
        return load_plain_pickle(file, str(path))


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
    """AIcrowd lists the names once for all sequences; CalMS21 repeats name -> number in every sequence."""
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
            f'{path}: holds task-programming features ("features"), not keypoints: it was written by the official '
            "converter with --parse_treba; convert without that flag, or import the release's JSON"
        )
