"""Grammar of sentences over attributes of task programs, such as "following > .7 and speed.resident > 20 cm/s".

    sentence   = either [duration]
    either     = all {"or" all}
    all        = single {"and" single}
    single     = "not" single | ("(" sentence ")" | comparison) [duration]
    comparison = name (">" | "<" | ">=" | "<=") number [unit] | name "between" number [unit] "and" number [unit]
    duration   = "for" ["at least"] number unit

A unit beside one number of "between" is of both.
A duration at the end of a sentence, or of parentheses, is of all that comes before it there, unless another condition
in it has a duration of its own: then it is of the last condition.
"""

import difflib
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NoReturn

from ssl_behavior.errors import InputError
from ssl_behavior.terminal import listed, quoted

__all__ = ["All", "Comparison", "Either", "Lasting", "Node", "Not", "Quantity", "comparisons", "fail_at", "parse"]

_LONGEST = 2000
_DEEPEST = 50
_NUMBER = re.compile(r"[+\-−]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WORD = r"(?:%|°|[^\W\d_]+)(?:\^?[0-9]|²|³)?"
_UNIT = re.compile(rf"(?!(?:and|or|not|for|between)\b)(?:{_WORD}(?:\s*/\s*{_WORD})?|/\s*{_WORD})", re.IGNORECASE)
_COMPARED = re.compile(r">=|<=|=>|=<|≥|≤|>|<")
_OPERATORS = {"=>": ">=", "≥": ">=", "=<": "<=", "≤": "<="}
_DURATIONS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "min": 60.0, "minutes": 60.0}
_GOT = re.compile(r"[^\s()<>=≥≤]+|[<>=≥≤]+|\S")


@dataclass(frozen=True)
class Quantity:
    """A number and its unit as written ("" = none), at a character of the sentence."""

    value: float
    unit: str
    place: int


@dataclass(frozen=True)
class Comparison:
    """An attribute compared with one number, or with the two of "between"; `place` is the character of the name."""

    name: str
    operator: str
    numbers: tuple[Quantity, ...]
    place: int


@dataclass(frozen=True)
class All:
    """Conditions joined by "and"."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Either:
    """Conditions joined by "or"."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    part: "Node"


@dataclass(frozen=True)
class Lasting:
    """A condition that holds for at least some seconds."""

    part: "Node"
    seconds: float


Node = Comparison | All | Either | Not | Lasting


def comparisons(node: Node) -> Iterator[Comparison]:
    """All comparisons of a sentence, in order."""
    if isinstance(node, Comparison):
        yield node
    elif isinstance(node, All | Either):
        for part in node.parts:
            yield from comparisons(part)
    else:
        yield from comparisons(node.part)


def fail_at(text: str, place: int, problem: str) -> NoReturn:
    """Raise InputError that names a character of the sentence, counted from 1."""
    raise InputError(f"`sentence` {text!r}, at character {place + 1}: {problem}")


def parse(text: str, names: Collection[str], advice: str = "") -> Node:
    """Parse a sentence.

    Parameters
    ----------
    names : attributes that it may name; capital and small letters are the same where that leaves one name.
    advice : words for the error about an unknown name, after the names like it.

    Raises
    ------
    InputError
        If it is no such sentence; the message says at which character, counted from 1.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError('`sentence` is empty: write a condition such as "speed > 20"')
    if len(text) > _LONGEST:
        raise InputError(f"`sentence` has {len(text):,} characters, more than {_LONGEST:,}: write a shorter one")
    return _Parser(text, names, advice).sentence()


class _Parser:
    """Recursive descent over the text."""

    def __init__(self, text: str, names: Collection[str], advice: str) -> None:
        self.text, self.at, self.advice = text, 0, advice
        self.names = tuple(names)
        longest_first = sorted(self.names, key=len, reverse=True)
        # A name may hold spaces; it ends where a longer word could not go on.
        self.known = re.compile(rf"(?:{'|'.join(map(re.escape, longest_first))})(?!\w|\.\w)", re.IGNORECASE)
        self.depth = 0
        self.durations = [0]

    def sentence(self) -> Node:
        node = self._group()
        self._take(re.compile(r"\."))
        if self.at < len(self.text):
            self._fail('expected "and", "or", "for" or the end')
        return node

    def _group(self) -> Node:
        """A sentence, or what is in parentheses."""
        self.durations.append(0)
        node = self._either()
        if self._word("for"):
            node = Lasting(node, self._duration())
        self.durations.pop()
        return node

    def _either(self) -> Node:
        parts = [self._all()]
        while self._word("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self) -> Node:
        parts = [self._single()]
        while self._word("and"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _single(self) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._fail(f'more than {_DEEPEST} parentheses and words "not" lie within each other')
        node = Not(self._single()) if self._word("not") else self._condition()
        self.depth -= 1
        return node

    def _condition(self) -> Node:
        opened = self.at
        if self._take(re.compile(r"\(")):
            node = self._group()
            if not self._take(re.compile(r"\)")):
                self._fail(f'expected "and", "or", "for", or the ")" of the "(" at character {opened + 1}')
        else:
            node = self._comparison()
        start = self.at
        if self._word("for"):
            seconds = self._duration()
            if self._ends() and not self.durations[-1]:
                self.at = start  # it is of the whole group
            else:
                self.durations[-1] += 1
                node = Lasting(node, seconds)
        return node

    def _ends(self) -> bool:
        """Whether nothing more comes in this sentence, or in these parentheses."""
        return self.text[self.at :].strip() in ("", ".") or self.text[self.at] == ")"

    def _comparison(self) -> Node:
        self._skip()
        place, name = self.at, self._name()
        self._word("is")
        if self._word("between"):
            first = self._quantity()
            if not self._word("and"):
                self._fail('expected "and" and the second number of "between"')
            second = self._quantity()
            # A unit beside one of the two numbers is of both.
            numbers = tuple(Quantity(n.value, n.unit or first.unit or second.unit, n.place) for n in (first, second))
            return Comparison(name, "between", numbers, place)
        operator = self._take(_COMPARED)
        if not operator or self.text[self.at : self.at + 1] == "=":
            self._fail(f'expected >, <, >=, <= or "between A and B" after {name!r}')
        return Comparison(name, _OPERATORS.get(operator, operator), (self._quantity(),), place)

    def _name(self) -> str:
        quote = self._take(re.compile("[\"'`]"))
        found = self.known.match(self.text, self.at) if self.names else None
        if not found:
            self._unknown_name()
        same = [name for name in self.names if name == found[0]]
        same = same or [name for name in self.names if name.lower() == found[0].lower()]
        if len(same) > 1:
            self._fail(f"{found[0]!r} can be {quoted(same)}: write it with the same capital letters")
        self.at = found.end()
        if quote and not self._take(re.compile(quote)):
            self._fail(f"expected the closing {quote}")
        self._skip()
        return same[0]

    def _unknown_name(self) -> NoReturn:
        word = re.compile(r"[^\W\d][\w.\-]*").match(self.text, self.at)
        if not word or word[0].lower() in ("and", "or", "not", "for", "between"):
            self._fail('expected the name of a program, such as "speed"')
        near = difflib.get_close_matches(word[0], self.names, n=3, cutoff=0.7)
        hint = f"; did you mean {listed([repr(name) for name in near], separator=' or ')}?" if near else ""
        fail_at(self.text, self.at, f"there is no {word[0]!r}{hint}{'; ' * (not hint) + ' ' * bool(hint)}{self.advice}")

    def _quantity(self) -> Quantity:
        self._skip()
        place, number = self.at, self._number()
        # A name after a number is the beginning of another condition, before which a word is missing.
        unit = "" if self.known.match(self.text, self.at) else self._take(_UNIT)
        return Quantity(number, re.sub(r"\s", "", unit), place)

    def _number(self) -> float:
        self._skip()
        place, text = self.at, self._take(_NUMBER)
        if not text:
            self._fail("expected a number")
        if self.text[self.at : self.at + 1] == "," and self.text[self.at + 1 : self.at + 2].isdecimal():
            fail_at(self.text, self.at, 'a comma in a number: write the decimal point, such as "0.5"')
        value = float(text.replace("−", "-"))
        if not math.isfinite(value):
            fail_at(self.text, place, f"the number {text} is too large")
        return value

    def _duration(self) -> float:
        if self._word("at") and not self._word("least"):
            self._fail('expected "least" after "for at"')
        place, number = self.at, self._number()
        unit_place, unit = self.at, self._take(_UNIT)
        if unit not in _DURATIONS:
            self.at = unit_place
            self._fail('expected a unit of time after "for" and its number, such as "for 0.5 s"')
        if number < 0:
            fail_at(self.text, place, "a duration cannot be negative")
        return number * _DURATIONS[unit]

    def _word(self, word: str) -> bool:
        return bool(self._take(re.compile(rf"{word}\b", re.IGNORECASE)))

    def _take(self, pattern: re.Pattern[str]) -> str:
        """What matches here, and the spaces after it; "" if nothing does."""
        self._skip()
        found = pattern.match(self.text, self.at)
        if not found:
            return ""
        self.at = found.end()
        self._skip()
        return found[0]

    def _skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _fail(self, problem: str) -> NoReturn:
        got = _GOT.match(self.text, self.at)
        fail_at(self.text, self.at, f"{problem}, got {repr(got[0]) if got else 'the end'}")
