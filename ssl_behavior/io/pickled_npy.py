"""Pickled `.npy` files: recognition from their first words, and a reader that runs no code.

A pickle is a program. This reader replaces the few globals that arrays need (numpy's array, dtype and scalar
constructors) by its own stand-ins, so the file never calls numpy's constructors. It refuses all other globals by name.
"""

import pickle
import pickletools
import re
import struct
import warnings
from collections.abc import Callable
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.reader_helpers import (
    NPY_FAILURES,
    check_file,
    read_head,
)

__all__ = ["load_pickled_npy", "load_plain_pickle", "pickle_start"]

_MAGIC = b"\x93NUMPY"
_OPCODES = 600
_STARTED_BY = 1 << 26
"""Bytes of the file in which the layout must show."""


def pickle_start(path: Path) -> list[Any]:
    """Texts and whole numbers that a pickled `.npy` begins with, in order; [] for any other file.

    The pickle is only taken apart, never run. An array's shape comes before its content.
    """
    if read_head(path, len(_MAGIC)) != _MAGIC:
        return []
    found: list[Any] = []
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            if not read(file)[2].hasobject:
                return []
            for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if isinstance(argument, (str, int)) and not isinstance(argument, bool) and "PUT" not in opcode.name:
                    found.append(argument)
                if number > _OPCODES or file.tell() > _STARTED_BY:
                    break
    except NPY_FAILURES:
        return found
    return found


_DTYPE_NAME = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[US]\d{1,4}|O8?)")
_FAILURES = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
    MemoryError, RecursionError, struct.error, NotImplementedError,
)  # fmt: skip
"""What Python's own unpickler raises on damaged input, all of it."""


class _Dtype:
    """Stand-in for numpy.dtype: a name and a byte order, checked against the plain kinds."""

    def __init__(self, name: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(name, str) or not _DTYPE_NAME.fullmatch(name):
            raise pickle.UnpicklingError(f"the array type {str(name)[:40]!r} is not plain")
        self.numpy = np.dtype(name)

    def set_state(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.numpy = self.numpy.newbyteorder(state[1])


class _Array:
    """Stand-in for an array until its state is set."""

    value: Any = None

    def set_state(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _from_buffer(data, dtype, shape, "F" if fortran else "C")


def _from_buffer(data: Any, dtype: _Dtype, shape: Any, order: str) -> Any:
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("an array without a plain type")
    if dtype.numpy.hasobject:
        if not isinstance(data, list):
            raise pickle.UnpicklingError("an object array whose content is not a list")
        return data[0] if shape == () and len(data) == 1 else data
    array = np.frombuffer(bytes(data), dtype=dtype.numpy)
    return array.reshape(tuple(shape), order="F" if order == "F" else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    return _from_buffer(data, dtype, (1,), "C")[0].item()


def _frombuffer(data: Any, dtype: _Dtype, shape: Any, order: str) -> _Array:
    array = _Array()
    array.value = _from_buffer(data, dtype, shape, order)
    return array


def _latin1(text: str, encoding: str) -> bytes:
    """Stand-in for `_codecs.encode`, which protocol 2 uses for bytes written as text."""
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Stand-in for the empty buffer of protocol 2."""
    return b""


def _ndarray(*_: Any) -> _Array:
    return _Array()


_WORDS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _ndarray,
    "numpy.dtype": _Dtype,
    "numpy.multiarray._reconstruct": _reconstruct,
    "numpy.multiarray.scalar": _scalar,
    "numpy.numeric._frombuffer": _frombuffer,
    "_codecs.encode": _latin1,
    "__builtin__.bytes": _no_bytes,
    "builtins.bytes": _no_bytes,
}


class _Unpickler(pickle._Unpickler):
    # Python's own implementation, not the C one: damaged input ends in an exception, never in a huge allocation.
    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        plain = re.sub(r"^numpy\.(_core|core)\.", "numpy.", f"{module}.{name}")
        if plain not in _WORDS:
            raise InputError(
                f"it asks to run {f'{module}.{name}'[:120]!r}; only numpy arrays, numbers, text, lists and "
                "dictionaries are admitted, because a pickle can run any program. Nothing of it was run"
            )
        return _WORDS[plain]

    def load_build(self) -> None:
        # The inherited method sets attributes on any object that the pickle names; this one allows only these two.
        state = self.stack.pop()
        if not isinstance(self.stack[-1], (_Array, _Dtype)):
            raise pickle.UnpicklingError("it sets the state of something that is no array")
        self.stack[-1].set_state(state)

    dispatch[pickle.BUILD[0]] = load_build


def load_plain_pickle(file: BytesIO | BufferedReader, source: str) -> Any:
    """Load a pickle of numpy arrays, numbers, text, lists, tuples and dictionaries.

    Arrays are read from numpy 1 and numpy 2 alike; object arrays of shape () give their one element, others a list.

    Raises
    ------
    InputError
        With the name of any other global that the pickle needs, or if the pickle is damaged.
    """
    try:
        value = _Unpickler(file, encoding="latin1").load()
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except _FAILURES as error:
        raise InputError(f"{source}: damaged pickle ({type(error).__name__}: {error})"[:400]) from None
    return _resolved(value, {})


def _resolved(value: Any, seen: dict[int, Any]) -> Any:
    """Replace stand-ins in `value` by their content; shared dictionaries stay shared, so cycles end."""
    for _ in range(4):
        value = value.value if isinstance(value, _Array) else value
    if not isinstance(value, dict):
        return value
    if id(value) not in seen:
        seen[id(value)] = copy = {}
        copy.update({key: _resolved(item, seen) for key, item in value.items()})
    return seen[id(value)]


def load_pickled_npy(path: Path, layouts: str) -> Any:
    """Content of a pickled `.npy`, read without running code (see `load_plain_pickle`).

    Raises
    ------
    InputError
        If it is damaged, needs anything but plain data, or is a plain array; `layouts` describes the expected content.
    """
    check_file(path)
    with path.open("rb") as file, warnings.catch_warnings():
        # numpy warns of headers that Python 2 wrote, or that damage made look so.
        warnings.simplefilter("ignore", UserWarning)
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
        except NPY_FAILURES as error:
            raise InputError(f"{path}: damaged .npy header ({error})"[:300]) from None
        if not dtype.hasobject:
            raise InputError(f"{path}: a plain {dtype} array of shape {list(shape)}; {layouts}")
        return load_plain_pickle(file, str(path))
