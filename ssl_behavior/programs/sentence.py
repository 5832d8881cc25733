"""Sentences over attributes of task programs: what they mean, and the bouts in which they are fulfilled.

A comparison has a margin at every frame: by how much the value is beyond the limit, in body lengths (per second), rad,
s or whatever the program counts; positive = fulfilled, negative = not, NaN = unknown. "and" takes the least, "or" the
greatest, "not" the opposite. What is unknown stays unknown unless the other conditions decide, and is not fulfilled.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Literal

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.programs.attribute_names import AttributeNames, Reference
from ssl_behavior.programs.program_set import natural_size
from ssl_behavior.programs.sentence_syntax import (
    All,
    Comparison,
    Lasting,
    Node,
    Not,
    Quantity,
    comparisons,
    fail_at,
    parse,
)
from ssl_behavior.programs.sentence_units import Converter, converter
from ssl_behavior.store import StoreRow
from ssl_behavior.terminal import listed, quoted

__all__ = ["GAP_SECONDS", "LEAST_SECONDS", "Sentence", "read_sentence"]

GAP_SECONDS = 0.2
"""Gaps up to this length do not end a bout."""
LEAST_SECONDS = 0.2
"""Length of the shortest bouts of a sentence that says no duration."""

_EMPTY_RANGE = 'the first number of "between" must be less than the second'
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class Sentence:
    """A sentence that was read.

    Parameters
    ----------
    text : as written.
    tree : its conditions; the outermost has the least duration of a bout.
    names : the programs it needs.
    unit : of lengths, where a number has no unit.
    gap_seconds : longest gap that does not end a bout.
    """

    text: str
    tree: Lasting
    names: AttributeNames
    unit: Literal["px", "cm"]
    gap_seconds: float

    @cached_property
    def conditions(self) -> tuple[Comparison, ...]:
        """The comparisons, each once."""
        return tuple(dict.fromkeys(comparisons(self.tree)))

    @cached_property
    def meaning(self) -> str:
        """How the sentence was read, in one line."""
        text = f"{self._words(self.tree.part)}, for at least {self.tree.seconds:g} s"
        if self.gap_seconds:
            text += f" (gaps of up to {self.gap_seconds:g} s are bridged)"
        several = [leaf for leaf in self.conditions if len(self.reference(leaf).places) > 1]
        if self.names.unit == "scene" and len(several) > 1:
            text += "; each condition may be fulfilled by another animal"
        return text

    def reference(self, condition: Comparison) -> Reference:
        """What a condition is about."""
        return self.names.references[condition.name]

    def check_scales(self, rows: Iterable[StoreRow]) -> None:
        """Check that every recording has the scale that the units of the sentence need.

        Raises
        ------
        InputError
            Naming the unit, its place and a recording; or the place of a range in px and cm that is empty in all.
        """
        rows = list(rows)
        without = [row.id for row in rows if not row.px_per_cm]
        for condition in self.conditions if without else ():
            for quantity, given in zip(condition.numbers, self._converters(condition), strict=True):
                if given.needs_scale(self.unit):
                    in_px, has = self.reference(condition).facts.units_in("px"), "has" if len(without) == 1 else "have"
                    problem = f"{quantity.unit!r} needs the px per cm of every recording, and {listed(without, 3)} "
                    problem += f"{has} none: write {in_px}, or import with `px_per_cm`"
                    fail_at(self.text, quantity.place, problem)
        for condition in self.conditions if rows else ():
            limits = [self._limits(condition, scale) for scale in dict.fromkeys(row.px_per_cm for row in rows)]
            if all(low >= high for low, *others in limits for high in others or [np.inf]):
                fail_at(self.text, condition.numbers[0].place, _EMPTY_RANGE)

    def margin(
        self, condition: Comparison, values: Sequence[np.ndarray], px_per_cm: float | None, body_length: float
    ) -> np.ndarray:
        """Margin of one condition, float32 [frames].

        Parameters
        ----------
        values : of each attribute that may fulfill it, [frames]; at least one.
        px_per_cm : of the recording.
        body_length : in `unit`; NaN = unknown.
        """
        limits = self._limits(condition, px_per_cm)
        size = natural_size(self.reference(condition).facts.units, body_length)
        size = max(map(abs, limits)) if size is None else size
        size = size if size > 0 else 1.0
        return reduce(_either, [_compared(own, condition.operator, limits, size) for own in values])

    def spacing(self, fps: float) -> int:
        """Unknown frames to put between rows that `bouts` takes as one: no bout is then in two of them."""
        return self._frames(self.tree.seconds, fps)[1] + 1

    def bouts(self, margins: dict[Comparison, np.ndarray], fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First frame, frame after the last, and mean margin of the bouts of a row, each [bout].

        Parameters
        ----------
        margins : of every condition, float32 [frames] of the whole recording, or of several with `spacing` after each.
        """
        found = self._margins(self.tree.part, margins, fps)
        start, stop = _spans(found > 0, *self._frames(self.tree.seconds, fps))
        if not len(start):
            return start, stop, np.zeros(0)
        # The sum of each bout's own frames: it does not depend on what comes before.
        exceeded = np.append(np.fmax(found, 0.0), np.float32(0.0)).astype(np.float64)
        total = np.add.reduceat(exceeded, np.stack([start, stop], axis=1).ravel())[::2]
        return start, stop, total / (stop - start)

    def _margins(self, node: Node, margins: dict[Comparison, np.ndarray], fps: float) -> np.ndarray:
        if isinstance(node, Comparison):
            return margins[node]
        if isinstance(node, Not):
            return -self._margins(node.part, margins, fps)
        if isinstance(node, Lasting):
            part = self._margins(node.part, margins, fps)
            return _lasting(part, *_spans(part > 0, *self._frames(node.seconds, fps)))
        return reduce(_all if isinstance(node, All) else _either, (self._margins(p, margins, fps) for p in node.parts))

    def _frames(self, seconds: float, fps: float) -> tuple[int, int]:
        """Fewest frames of a bout, and most frames of a gap in it."""
        return max(1, int(np.ceil(seconds * fps - 1e-6))), int(self.gap_seconds * fps + 1e-6)

    def _limits(self, condition: Comparison, px_per_cm: float | None) -> list[float]:
        """Numbers of a condition in the units of its program."""
        return [given.value_in(self.unit, px_per_cm) for given in self._converters(condition)]

    def _converters(self, condition: Comparison) -> list[Converter]:
        facts = self.reference(condition).facts
        return [converter(quantity, facts) for quantity in condition.numbers]

    def _words(self, node: Node) -> str:
        if isinstance(node, Comparison):
            words, numbers = self.reference(node).words, [self._number(node, one) for one in node.numbers]
            return f"{words} {node.operator} {' and '.join(numbers)}"
        if isinstance(node, Lasting):
            return f"{self._part(node.part)} for at least {node.seconds:g} s"
        if isinstance(node, Not):
            return f"not {self._part(node.part)}"
        return (" and " if isinstance(node, All) else " or ").join(map(self._part, node.parts))

    def _part(self, node: Node) -> str:
        """Words of a part, in parentheses where it has parts itself."""
        words = self._words(node)
        return words if isinstance(node, Comparison | Not) else f"({words})"

    def _number(self, condition: Comparison, quantity: Quantity) -> str:
        unit = quantity.unit or self.reference(condition).facts.units_in(self.unit)
        return f"{quantity.value:g}" if unit == "1" else f"{quantity.value:g}{'' if unit in '%°' else ' '}{unit}"


def read_sentence(
    text: str,
    names: AttributeNames,
    unit: Literal["px", "cm"],
    *,
    gap_seconds: float = GAP_SECONDS,
    least_seconds: float = LEAST_SECONDS,
) -> Sentence:
    """Read a sentence over these attributes.

    Parameters
    ----------
    unit : of lengths, for numbers without unit.
    gap_seconds : longest gap that does not end a bout.
    least_seconds : shortest bout, where the sentence says no duration.

    Raises
    ------
    InputError
        If the text is no sentence, names an attribute that there is not, or a unit that does not fit.
    """
    tree = parse(text, names.references, _advice(names))
    programs = dict.fromkeys(names.references[condition.name].facts.name for condition in comparisons(tree))
    tree = tree if isinstance(tree, Lasting) else Lasting(tree, least_seconds)
    sentence = Sentence(text, tree, names.restricted(tuple(programs)), unit, gap_seconds)
    for condition in sentence.conditions:
        _check_numbers(sentence, condition)
    return sentence


def _advice(names: AttributeNames) -> str:
    """Names to choose from, and the reasons why others are left out."""
    programs = [facts.name for facts in names.sets[0].facts]
    examples = [name for name in names.references if name not in programs]
    advice = f"the programs are {', '.join(programs)}"
    advice += f"; with animals, such as {quoted(examples[:3])}" if examples else ""
    return advice + "".join(f"; {notice}" for notice in names.sets[0].notices)


def _check_numbers(sentence: Sentence, condition: Comparison) -> None:
    for quantity in condition.numbers:
        try:
            converter(quantity, sentence.reference(condition).facts)
        except InputError as error:
            fail_at(sentence.text, quantity.place, str(error))
    low, high = condition.numbers[0], condition.numbers[-1]
    if len(condition.numbers) == 2:
        facts = sentence.reference(condition).facts
        one, other = (converter(quantity, facts) for quantity in (low, high))
        if one.length == other.length and one.value >= other.value:
            fail_at(sentence.text, low.place, _EMPTY_RANGE)


def _compared(values: np.ndarray, operator: str, limits: Sequence[float], size: float) -> np.ndarray:
    """Margin of values [frames] against one limit, or two; what is not finite is unknown."""
    values = np.where(np.isfinite(values), values, np.float32(np.nan)).astype(np.float32, copy=False)
    low, high = np.float32(limits[0]), np.float32(limits[-1])
    if operator == "between":
        margin = np.minimum(values - low, high - values)
    else:
        margin = values - low if operator[0] == ">" else low - values
    margin /= np.float32(size)
    margin[margin == 0] = -_TINY if operator in ("<", ">") else _TINY
    return margin


def _all(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The least; unknown where one is unknown and the other fulfilled."""
    least = np.fmin(one, other)
    return np.where((np.isnan(one) | np.isnan(other)) & (least > 0), np.float32(np.nan), least)


def _either(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The greatest; unknown where one is unknown and the other not fulfilled."""
    greatest = np.fmax(one, other)
    return np.where((np.isnan(one) | np.isnan(other)) & (greatest < 0), np.float32(np.nan), greatest)


def _lasting(margin: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Margins that are fulfilled in these spans alone."""
    edges = np.zeros(len(margin) + 1, np.int8)
    edges[start], edges[stop] = 1, -1
    inside = np.cumsum(edges[:-1], dtype=np.int8) > 0
    known = np.where(inside, np.fmax(margin, _TINY), np.fmin(margin, -_TINY))
    return np.where(np.isnan(margin) & ~inside, margin, known).astype(np.float32)


def _spans(fulfilled: np.ndarray, fewest: int, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Start and stop of runs of True, gaps of so many frames bridged, that are then long enough."""
    change = np.flatnonzero(np.diff(fulfilled, prepend=False, append=False))
    start, stop = change[::2], change[1::2]
    if len(start):
        apart = start[1:] - stop[:-1] > gap
        start, stop = start[np.append(True, apart)], stop[np.append(apart, True)]
    long = stop - start >= fewest
    return start[long], stop[long]
