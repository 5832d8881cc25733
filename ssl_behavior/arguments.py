"""Checks of arguments that users pass in Python."""

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

from ssl_behavior.errors import InputError

__all__ = ["check_number", "one_or_more", "opened", "several", "whole_number"]

Kind = TypeVar("Kind")
Opened = TypeVar("Opened")


def opened(value: Any, kind: type[Kind], argument: str, read: Callable[[str | Path], Opened]) -> Kind | Opened:
    """An object, given as such, or read from its folder.

    Raises
    ------
    InputError
        If it is neither, or the folder holds something else.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, str | Path):
        raise InputError(
            f"`{argument}` must be of the class {kind.__name__}, or its folder, got {type(value).__name__}"
        )
    return read(value)


def one_or_more(values: Any, *single: type) -> list[Any]:
    """A list of objects; what is of one of the types `single`, or cannot be iterated, is a list of one."""
    return [values] if isinstance(values, single) or not isinstance(values, Iterable) else list(values)


def several(values: Any, argument: str) -> tuple[str, ...]:
    """One name or path, or a list of them, as a tuple of text.

    >>> several("r0", "recordings"), several(["r0", "r1"], "recordings")
    (('r0',), ('r0', 'r1'))

    Raises
    ------
    InputError
        If it is neither.
    """
    names = one_or_more(values, str, Path, Mapping)
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
