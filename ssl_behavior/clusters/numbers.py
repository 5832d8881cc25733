"""Numbers as a person reads them."""

import math
from collections.abc import Sequence

__all__ = ["percent", "seconds", "values_with_units"]


def percent(share: float) -> str:
    """A share of something.

    >>> percent(0.062), percent(0.004), percent(0.0), percent(0.998)
    ('6 %', '<1 %', '0 %', '>99 %')
    """
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def seconds(value: float) -> str:
    """How long something lasts.

    >>> seconds(0.8333), seconds(0.033), seconds(12.4)
    ('0.8 s', '0.03 s', '12 s')
    """
    if value < 0.1:
        return f"{value:.2f} s"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def values_with_units(values: Sequence[float], units: str, signed: bool = True) -> str:
    """One or two values with their units; angles in degrees, shares in percent.

    Parameters
    ----------
    signed : False = a minus is left out, for the words say which way.

    >>> values_with_units([0.5], "rad"), values_with_units([183.4, 62.6], "px/s")
    ('29°', '183 and 63 px/s')
    >>> values_with_units([-51.7], "px/s", signed=False), values_with_units([0.42], "1")
    ('52 px/s', '0.42')
    """
    if not signed:
        values = [abs(value) for value in values]
    if units == "share":
        return " and ".join(percent(value) for value in values)
    if units.startswith("rad"):
        values, unit = [math.degrees(value) for value in values], "°" + units.removeprefix("rad")
    else:
        unit = "" if units == "1" else f" {units}"
    return " and ".join(_number(value, units) for value in values) + unit


def _number(value: float, units: str) -> str:
    # Three digits are more than tracks can tell; a decimal where there is but one digit before it.
    whole = abs(value) >= 10 or units.startswith("rad")
    text = f"{value:.2f}" if units == "1" else f"{value:.0f}" if whole else f"{value:.1f}"
    return text.removeprefix("-") if not float(text) else text
