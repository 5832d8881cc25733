"""Reader of labels in `.npy`: int or text [frames], or 0/1 [frames, classes]; -1 and "" are "not annotated"."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import DEFAULT_STREAM, Annotation, AnnotationStream, stream_of_frames
from ssl_behavior.io.label_tables import labels_of_words, stream_of_columns
from ssl_behavior.io.reader_helpers import NPY_FAILURES, check_file, is_text, read_head
from ssl_behavior.recording import NOT_ANNOTATED, Labels

__all__ = ["read_label_array", "sniff_label_array"]

_MAGIC = b"\x93NUMPY"
_MOST_CLASSES = 1000


def sniff_label_array(path: Path) -> bool:
    """Whether the file is an array of whole numbers, truth values or text with one or two axes."""
    if not read_head(path, 6).startswith(_MAGIC):
        return False
    try:
        array = _mapped(path)
    except InputError:
        return False
    return array.dtype.kind in "iubUS" and array.ndim in (1, 2) and array.size > 0


def read_label_array(path: Path, columns_are_streams: bool = False) -> Annotation:
    """Labels of an array; whole numbers become behaviors of that name, since the file has no others.

    Two axes are [frames, classes] if all values are 0 and 1, and otherwise (or with `columns_are_streams`) one stream
    for each column.

    Raises
    ------
    InputError
        If the array is damaged, of another type or shape, or has too many classes.
    """
    check_file(path)
    array = _mapped(path)
    if array.dtype.kind not in "iubUS" or array.ndim not in (1, 2) or not array.size:
        raise InputError(
            f"{path}: expected whole numbers or text of shape [frames] or [frames, classes], got {array.dtype} "
            f"{list(array.shape)}"
        )
    array = np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array
    if array.dtype.kind == "U" and not is_text(array):
        raise InputError(f"{path}: damaged .npy (characters that do not exist): copy or export it again")
    return Annotation(path=path, streams=_streams(array, path, columns_are_streams))


def _mapped(path: Path) -> np.ndarray:
    """The array, mapped: a damaged header cannot claim more memory than the file has."""
    try:
        with warnings.catch_warnings(action="ignore"):
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
            return array
    except (*NPY_FAILURES, OSError) as error:
        raise InputError(f"{path}: damaged .npy ({error}): copy or export it again") from None


def _streams(array: np.ndarray, path: Path, columns_are_streams: bool) -> dict[str, AnnotationStream]:
    one_hot = array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "iub" and np.isin(array, (0, 1)).all()
    if one_hot and not columns_are_streams:
        names = [f"class_{number}" for number in range(array.shape[1])]
        return {DEFAULT_STREAM: stream_of_columns(names, array.astype(np.int8))}
    columns = array[:, None] if array.ndim == 1 else array
    names = [DEFAULT_STREAM] if columns.shape[1] == 1 else [f"stream_{i + 1}" for i in range(columns.shape[1])]
    return {name: _stream(column, path) for name, column in zip(names, columns.T, strict=True)}


def _stream(column: np.ndarray, path: Path) -> AnnotationStream:
    if column.dtype.kind == "U":
        labels = labels_of_words(column)
    else:
        numbers = column.astype(np.int64)
        if numbers.min() < NOT_ANNOTATED or numbers.max() >= _MOST_CLASSES:
            raise InputError(
                f"{path}: labels must be in -1 to {_MOST_CLASSES - 1}, got {numbers.min()} to {numbers.max()}; -1 is "
                "not annotated"
            )
        words = tuple(str(number) for number in range(max(1, int(numbers.max()) + 1)))
        labels = Labels(vocabulary=words, frames=numbers)
    return replace(stream_of_frames(labels), background=None)
