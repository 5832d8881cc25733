"""Checks of arguments that users pass in Python."""

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from ssl_behavior.errors import InputError

__all__ = ["check_number", "several", "whole_number"]


def several(values: Any, argument: str) -> tuple[str, ...]:
    """One name or path, or a list of them, as a tuple of text.

    >>> several("r0", "recordings"), several(["r0", "r1"], "recordings")
    (('r0',), ('r0', 'r1'))

    Raises
    ------
    InputError
        If it is neither.
    """
    one_by_one = [values] if isinstance(values, str | Path) else values
    listed = isinstance(one_by_one, Iterable) and not isinstance(one_by_one, Mapping)
    names = list(one_by_one) if listed else [None]
    if not all(isinstance(name, str | Path) for name in names):
        raise InputError(f"`{argument}` must be a name or a list of names, got {values!r:.80}")
    return tuple(map(str, names))


def whole_number(value: Any, argument: str, least: int = 0) -> int:
    """A whole number of at least `least`.

    Raises
    ------
    InputError
        If it is no whole number, or too small.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"`{argument}` must be a whole number of {least} or more, got {value!r:.80}")
    return int(value)


def check_number(value: Any, argument: str) -> None:
    """Refuse what is no number.

    Raises
    ------
    InputError
        Naming the argument and its value.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputError(f"`{argument}` must be a number, got {value!r:.80}")
