"""Units of numbers in sentences, and their conversion to the units of a program."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from ssl_behavior.errors import InputError
from ssl_behavior.programs.program import ProgramFacts
from ssl_behavior.programs.sentence_syntax import Quantity

__all__ = ["Converter", "converter"]

_KNOWN = {
    "px": ("px", 1.0), "pixel": ("px", 1.0), "pixels": ("px", 1.0),
    "mm": ("cm", 0.1), "cm": ("cm", 1.0), "m": ("cm", 100.0), "length": ("length", 1.0),
    "rad": ("rad", 1.0), "radians": ("rad", 1.0),
    "deg": ("rad", math.pi / 180), "degree": ("rad", math.pi / 180), "degrees": ("rad", math.pi / 180),
    "°": ("rad", math.pi / 180),
    "ms": ("s", 0.001), "s": ("s", 1.0), "sec": ("s", 1.0), "second": ("s", 1.0), "seconds": ("s", 1.0),
    "min": ("s", 60.0), "%": ("1", 0.01), "1": ("1", 1.0),
}  # fmt: skip
"""Unit -> what it measures (px and cm apart), and its size."""
_LENGTHS = ("px", "cm", "length")
_POWERS = {"²": "2", "³": "3"}


@dataclass(frozen=True)
class _Parsed:
    """A unit such as cm/s: its size in cm or px, rad and s, the powers of what it measures, and cm or px."""

    size: float
    powers: dict[str, int]
    length: str


def _parsed(unit: str) -> _Parsed | None:
    """None if it is no unit that is known."""
    size, powers, length = 1.0, dict[str, int](), ""
    above, *below = unit.split("/")
    for text, sign in ((above or "1", 1), *((part, -1) for part in below)):
        found = re.fullmatch(r"(1|[^\^0-9²³]+)\^?([0-9²³])?", text)
        if not found or found[1] not in _KNOWN:
            return None
        kind, factor = _KNOWN[found[1]]
        power = sign * int(_POWERS.get(found[2] or "1", found[2] or "1"))
        size *= factor**power
        if kind in _LENGTHS:
            length, kind = kind, "length"
        if kind != "1":
            powers[kind] = powers.get(kind, 0) + power
    return _Parsed(size, powers, length)


@dataclass(frozen=True)
class Converter:
    """Conversion of one written number to a program's units, in a recording.

    Parameters
    ----------
    value : the number in px or cm, rad and s.
    length : unit of the length in it, "px" or "cm"; "" = none, or the program's own.
    power : of the length.
    """

    value: float
    length: str
    power: int

    def needs_scale(self, unit: Literal["px", "cm"]) -> bool:
        """Whether the px per cm of a recording are needed where programs measure in `unit`."""
        return self.length not in ("", unit)

    def value_in(self, unit: Literal["px", "cm"], px_per_cm: float | None) -> float:
        """The number with lengths in px or cm."""
        if not self.needs_scale(unit):
            return self.value
        assert px_per_cm, "the scale is checked before"
        factor = px_per_cm if unit == "px" else 1 / px_per_cm
        return float(self.value * factor**self.power)


def converter(quantity: Quantity, facts: ProgramFacts) -> Converter:
    """How to convert a written number to the units of a program. A number without unit is in these already.

    Raises
    ------
    InputError
        If the unit is unknown, or measures something else than the program.
    """
    wanted = _parsed(facts.units)
    if not quantity.unit or quantity.unit == facts.units:
        return Converter(quantity.value, "", 0)
    given = _parsed(quantity.unit)
    if wanted is None or given is None or given.powers != wanted.powers or given.length == "length":
        raise InputError(f"{facts.name} is no measure in {quantity.unit!r}: {_expected(facts)}")
    size = given.size / wanted.size
    return Converter(quantity.value * size, given.length, given.powers.get("length", 0))


def _expected(facts: ProgramFacts) -> str:
    """Units to write."""
    if facts.units == "1":
        return "write a number without unit"
    examples = [facts.units]
    if facts.of_length:
        examples = [facts.units_in("cm"), facts.units_in("px")]
    elif re.search(r"\brad\b", facts.units):
        examples = [re.sub(r"\brad\b", "deg", facts.units), facts.units]
    return f"write a number in {' or '.join(examples)}"
