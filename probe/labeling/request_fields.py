"""Fields of the page's requests: their types, and sentences about what is missing or wrong."""

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssl_behavior.errors import InputError
from ssl_behavior.terminal import listed

__all__ = [
    "Field",
    "as_page_words",
    "fields_from_json",
    "fields_from_query",
    "flag",
    "items",
    "number",
    "text",
    "whole",
]

_REQUIRED = object()
_LARGEST = 2**53
"""Above it, the numbers of a browser skip whole numbers."""
_LONGEST_TEXT = 10_000
_MOST_ITEMS = 10_000


@dataclass(frozen=True)
class Field:
    """Field of a request.

    Parameters
    ----------
    check : takes the field's name and its value as JSON gave it, and returns the value for Python.
    parse : the same value from the text of an address; None = the field cannot be in an address.
    default : value where the request lacks the field; without one, the field is required.
    """

    check: Callable[[str, Any], Any]
    parse: Callable[[str], Any] | None = None
    default: Any = _REQUIRED

    @property
    def is_required(self) -> bool:
        """True if a request without the field is refused."""
        return self.default is _REQUIRED


def _wrong(name: str, expected: str, value: object) -> InputError:
    shown = json.dumps(value, ensure_ascii=True)
    return InputError(f"`{name}` must be {expected}, got {shown if len(shown) <= 60 else shown[:60] + ' ...'}")


def _check_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "text", value)
    if len(value) > _LONGEST_TEXT:
        raise InputError(f"`{name}` is too long: {len(value):,} characters, and at most {_LONGEST_TEXT:,} are allowed")
    if re.search("[\x00\ud800-\udfff]", value):
        raise InputError(f"`{name}` holds a character that cannot be stored: remove it")
    return value


def _check_number(name: str, value: Any) -> int | float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A whole number may be too large for `isfinite`.
    if not is_number or (isinstance(value, float) and not math.isfinite(value)):
        raise _wrong(name, "a number", value)
    return value


def _check_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def text(default: Any = _REQUIRED, choices: Collection[str] = ()) -> Field:
    """Text of at most 10,000 characters; with `choices`, one of these."""

    def check(name: str, value: Any) -> str:
        found = _check_text(name, value)
        if choices and found not in choices:
            raise _wrong(name, f"one of {listed(sorted(choices))}", value)
        return found

    return Field(check, str, default)


def whole(default: Any = _REQUIRED, lowest: int = 0, highest: int = _LARGEST) -> Field:
    """Whole number between two bounds, both included."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(name, "a whole number", value)
        if not lowest <= value <= highest:
            raise _wrong(name, f"between {lowest:,} and {highest:,}", value)
        return value

    return Field(check, _number_in, default)


def number(default: Any = _REQUIRED, lowest: float = 0.0, highest: float = float(_LARGEST)) -> Field:
    """Finite number between two bounds, both included."""

    def check(name: str, value: Any) -> float:
        found = _check_number(name, value)
        if not lowest <= found <= highest:
            raise _wrong(name, f"between {lowest:g} and {highest:g}", value)
        return float(found)

    return Field(check, _number_in, default)


def flag(default: Any = _REQUIRED) -> Field:
    """True or false."""
    return Field(_check_flag, None, default)


def items(of: Field | Mapping[str, Field], default: Any = _REQUIRED) -> Field:
    """List of at most 10,000 values of one kind, or of objects with these fields."""

    def check(name: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong(name, "a list", value)
        if len(value) > _MOST_ITEMS:
            raise InputError(f"`{name}` has {len(value):,} entries, and at most {_MOST_ITEMS:,} are allowed")
        if isinstance(of, Field):
            return [of.check(name, one) for one in value]
        return [fields_from_json(one, of, f"an entry of `{name}`") for one in value]

    return Field(check, None, default)


def _number_in(words: str) -> int | float:
    return int(words) if re.fullmatch(r"-?\d{1,18}", words) else float(words)


def fields_from_json(contents: Any, fields: Mapping[str, Field], where: str = "the request") -> dict[str, Any]:
    """Checked fields of a JSON object.

    Parameters
    ----------
    where : the object, in words.

    Raises
    ------
    InputError
        If `contents` is no object, or a field is missing, unknown or of another type.
    """
    if not isinstance(contents, dict):
        raise InputError(f"{where} must be an object with fields")
    return _checked({name: contents[name] for name in contents}, fields, where)


def fields_from_query(pairs: Sequence[tuple[str, str]], fields: Mapping[str, Field]) -> dict[str, Any]:
    """Checked fields of an address, `?name=value&name=value`.

    Raises
    ------
    InputError
        If a field is missing, unknown, given twice or of another type.
    """
    values: dict[str, Any] = {}
    for name, words in pairs:
        if name in values:
            raise InputError(f"the address gives {name} twice")
        parse = fields[name].parse if name in fields else str
        try:
            values[name] = words if parse is None else parse(words)
        except ValueError:
            values[name] = words  # the check below says what was expected
    return _checked(values, fields, "the address")


def _checked(values: Mapping[str, Any], fields: Mapping[str, Field], where: str) -> dict[str, Any]:
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise InputError(f"{where} has the unknown field {unknown[0][:60]!r}: known are {listed(sorted(fields))}")
    missing = [name for name, field in fields.items() if field.is_required and name not in values]
    if missing:
        raise InputError(f"{where} lacks the field `{missing[0]}`")
    return {
        name: field.check(name, values[name]) if name in values else field.default for name, field in fields.items()
    }


_CONTROLS = {
    "k": "number of bouts",
    "annotator": "your name",
    "behaviors": "behaviors",
    "out": "project folder",
    "overwrite": "replace",
    "p": "probability",
    "sentence": "rule",
    "text": "rule",
    "what": "what to take away",
}
"""Arguments of the session whose controls on the page have other names."""


def as_page_words(message: str) -> str:
    """A message with the words of the page in place of the library's arguments in backticks.

    >>> as_page_words("the stream exists already: pass `overwrite` to replace it")
    'the stream exists already: pass “replace” to replace it'
    >>> as_page_words("`minimum_frames` must be at least 1; try `min_confidence=0.5`")
    '“minimum frames” must be at least 1; try “min confidence” 0.5'
    >>> as_page_words("`ssl-behavior resample` gives them one rate")
    '“ssl-behavior resample” gives them one rate'
    """

    def words(match: re.Match[str]) -> str:
        name, _, value = match[1].partition("=")
        if not re.fullmatch(r"[a-z][a-z_]*", name):
            return f"“{match[1]}”"
        chosen = _CONTROLS.get(name, name.replace("_", " "))
        return f"“{chosen}”" + (f" {value}" if value and value != "True" else "")

    return re.sub(r"`([^`]*)`", words, message)
