"""One sequence of CalMS21's JSON: how a file of them begins, and its arrays decoded at memory speed.

`{"keypoints": [T][2][2][7], "scores": [T][2][7], "annotations": [T], "metadata": {...}}`, or, in the files of
task-programming features, `{"features": [T][D]}`.
"""

import json
import re
from typing import Any

import numpy as np
import simdjson

from ssl_behavior.errors import InputError

__all__ = ["decode_fast", "decode_sequence", "first_key", "nested"]

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
    """One sequence object. The fast way takes only what is exactly regular; all else goes through `json`.

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
    """One sequence object whose arrays are regular; anything else is an error of whatever kind."""
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
    """The brackets and commas of an array of this shape.

    >>> nested((2, 3))
    b'[[,,],[,,]]'
    """
    inner = nested(shape[1:]) if len(shape) > 1 else b""
    return b"[" + b",".join([inner] * shape[0]) + b"]"


def _plain(value: Any) -> Any:
    if isinstance(value, simdjson.Object):
        return value.as_dict()
    return value.as_list() if isinstance(value, simdjson.Array) else value
