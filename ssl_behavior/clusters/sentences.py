"""Sentences about clusters: their greatest differences from all frames in words, with the numbers behind them.

"Resident with the nose at intruder's tail base (nose to tail base 14 px, lowest 6 %), both moving fast (120 and
95 px/s, top 10 %); bouts of 0.8 s": the numbers are the cluster's medians, and "lowest 6 %" means that 6 % of all
frames have a smaller value. Anonymous animals have no identity: "one animal" in one phrase can be the other animal in
the next, and a number is compared with the greater (or the lesser) of the two values of all frames. Of three and more,
the other animal is the nearest one. Clusters of an embedding of animals speak of the animal, those of ordered pairs of
the agent and the target.

`WORDING` holds the words for high and low values of each program. A strong word ("facing") has a bound for the value,
in body lengths, radians, seconds or plain numbers; beyond the bound a comparative takes its place ("turned more
towards": more than usual), or no words. "{other}" stands for the other animal, "{others}" for its possessive form,
"{nose}" for the foremost keypoint.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ssl_behavior.clusters.distinctive import Difference
from ssl_behavior.clusters.frame_measures import (
    AGENT,
    ANIMAL,
    GREATER,
    GREATEST,
    GREATEST_OF_PAIRS,
    LEAST,
    LEAST_OF_PAIRS,
    LESSER,
    PAIR,
    SEEN,
    TARGET,
    Measures,
    with_nearest,
)
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.units import Actors, Unit

__all__ = [
    "SIZE_WORDING",
    "WORDING",
    "Concentration",
    "Phrase",
    "SentenceRules",
    "Subjects",
    "Wording",
    "generic_wording",
    "percent",
    "seconds",
    "sentence",
    "subjects_of",
    "values_with_units",
]

_EIGHTH, _THIRD = math.pi / 4, 2 * math.pi / 3


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """Words that hold for values from `least` to `most`."""

    words: str
    least: float = -math.inf
    most: float = math.inf

    @property
    def bounded(self) -> bool:
        """True if the words have a bound, and so imply the sign of the value."""
        return math.isfinite(self.least) or math.isfinite(self.most)

    def holds(self, value: float) -> bool:
        """True if the words hold for the value."""
        return self.least <= value <= self.most


@dataclass(frozen=True, kw_only=True)
class Wording:
    """Words for a program.

    Parameters
    ----------
    theme : a sentence uses the program of a theme that differs most.
    high, low : phrases for values above and below the usual; the first phrase that holds is used. Empty = no words.
    number : name of the number, where the words do not name it, e.g. "nose to tail base".
    """

    theme: str
    high: tuple[Phrase, ...]
    low: tuple[Phrase, ...]
    number: str = ""


def _wording(theme: str, high: tuple[str | Phrase, ...], low: tuple[str | Phrase, ...], number: str = "") -> Wording:
    def phrases(given: tuple[str | Phrase, ...]) -> tuple[Phrase, ...]:
        return tuple(one if isinstance(one, Phrase) else Phrase(words=one) for one in given)

    return Wording(theme=theme, high=phrases(high), low=phrases(low), number=number)


def _from(least: float, words: str) -> Phrase:
    return Phrase(words=words, least=least)


def _up_to(most: float, words: str) -> Phrase:
    return Phrase(words=words, most=most)


WORDING: Mapping[str, Wording] = {
    "speed": _wording("movement", ("moving fast",), (_up_to(0.2, "hardly moving"), "moving slowly")),
    "nose_movement": _wording(
        "movement",
        ("moving the {nose} fast",),
        (_up_to(0.1, "keeping the {nose} still"), "moving the {nose} slowly"),
    ),
    "acceleration": _wording("change of speed", (_from(0.5, "speeding up"),), (_up_to(-0.5, "slowing down"),)),
    "facing_angle": _wording(
        "facing",
        (_from(_THIRD, "facing away from {other}"), "turned further away from {other}"),
        (_up_to(_EIGHTH, "facing {other}"), "turned more towards {other}"),
    ),
    "relative_orientation": _wording(
        "orientation",
        (_from(3 * _EIGHTH, "headings opposed"), "headings more opposed"),
        (_up_to(_EIGHTH, "headings alike"), "headings more alike"),
        "angle",
    ),
    "nose_nose_distance": _wording(
        "distance",
        (_from(4.0, "{nose}s far apart"), "{nose}s further apart"),
        (_up_to(1.0, "{nose}s close together"), "{nose}s closer together"),
    ),
    "nose_tail_distance": _wording(
        "distance",
        (_from(4.0, "with the {nose} far from {others} tail base"), "with the {nose} further from {others} tail base"),
        (_up_to(0.5, "with the {nose} at {others} tail base"), "with the {nose} closer to {others} tail base"),
    ),
    "body_gap": _wording(
        "distance",
        (_from(3.0, "bodies far apart"), "bodies further apart"),
        (
            _up_to(0.25, "bodies against each other"),
            _up_to(1.0, "bodies close together"),
            "bodies closer together",
        ),
        "gap",
    ),
    "body_overlap": _wording("distance", (_from(0.3, "bodies on each other"),), (), "overlap"),
    "time_since_contact": _wording(
        "distance",
        (_from(4.9, "no contact for 5 s or longer"),),
        (_up_to(0.5, "in contact or just after it"),),
        "since contact",
    ),
    "approach_velocity": _wording(
        "approach", (_from(0.1, "moving towards {other}"),), (_up_to(-0.1, "moving away from {other}"),)
    ),
    "distance_change": _wording(
        "approach", (_from(0.1, "distance growing"),), (_up_to(-0.1, "distance shrinking"),)
    ),
    "following": _wording(
        "approach",
        (_from(0.2, "following {other}"), "more behind {other} on its path"),
        (_up_to(-0.2, "leading {other} on its path"), "more ahead of {other} on its path"),
        "following score",
    ),
    "elongation": _wording("posture", ("with a long body",), ("with a short body",), "tail base to {nose}"),
    "head_body_angle": _wording(
        "head",
        (_from(0.35, "with the head turned clockwise"),),
        (_up_to(-0.35, "with the head turned anticlockwise"),),
    ),
    "turning": _wording("turning", (_from(0.5, "turning clockwise"),), (_up_to(-0.5, "turning anticlockwise"),)),
    "wall_distance": _wording(
        "place",
        (_from(2.0, "far from the walls"), "further from the walls"),
        (_up_to(0.5, "at a wall"), "closer to a wall"),
    ),
    "corner_distance": _wording(
        "place",
        (_from(4.0, "far from the corners"), "further from the corners"),
        (_up_to(1.0, "in a corner"), "closer to a corner"),
    ),
    SEEN: _wording("tracking", (), ("poorly tracked",), "points seen"),
}  # fmt: skip
"""Words for the built-in programs, and for the share of observed points."""

SIZE_WORDING: Mapping[str, Wording] = {
    "turning": _wording(
        "turning", (_from(1.0, "turning fast"), "turning faster"), (_up_to(0.1, "not turning"), "turning less")
    ),
    "head_body_angle": _wording(
        "head",
        (_from(0.7, "with the head turned aside"), "with the head turned further aside"),
        (_up_to(0.2, "with the head straight"), "with the head straighter"),
    ),
}  # fmt: skip
"""Words for values without their sign."""


def generic_wording(program: str, size: bool, of_pair: bool) -> Wording:
    """Words for a user's program: its name with "high" or "low"."""
    what = f"size of {program}" if size else program
    before = "" if of_pair else "with "
    article = "" if of_pair else "a "
    return _wording(program, (f"{before}{article}high {what}",), (f"{before}{article}low {what}",))


def percent(share: float) -> str:
    """A share in percent.

    >>> percent(0.062), percent(0.004), percent(0.0), percent(0.998)
    ('6 %', '<1 %', '0 %', '>99 %')
    """
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def seconds(value: float) -> str:
    """A duration.

    >>> seconds(0.8333), seconds(0.033), seconds(12.4)
    ('0.8 s', '0.03 s', '12 s')
    """
    if value < 0.1:
        return f"{value:.2f} s"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def values_with_units(values: Sequence[float], units: str, signed: bool = True) -> str:
    """Values with their units; angles in degrees, shares in percent.

    Parameters
    ----------
    signed : False = leave out the minus, because the words imply it.

    >>> values_with_units([0.5], "rad"), values_with_units([183.4, 62.6], "px/s")
    ('29°', '183 and 63 px/s')
    >>> values_with_units([-51.7], "px/s", signed=False), values_with_units([0.42], "1")
    ('52 px/s', '0.42')
    """
    if not signed:
        values = [abs(value) for value in values]
    if units == "share":
        return _enumerated([percent(value) for value in values])
    if units.startswith("rad"):
        values, unit = [math.degrees(value) for value in values], "°" + units.removeprefix("rad")
    else:
        unit = "" if units == "1" else f" {units}"
    return _enumerated([_number(value, units) for value in values]) + unit


def _enumerated(parts: Sequence[str]) -> str:
    """
    >>> _enumerated(["m1", "m2"]), _enumerated(["m1", "m2", "m3"])
    ('m1 and m2', 'm1, m2 and m3')
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _number(value: float, units: str) -> str:
    # Tracks do not support three digits; values below 10 have one decimal.
    whole = abs(value) >= 10 or units.startswith("rad")
    text = f"{value:.2f}" if units == "1" else f"{value:.0f}" if whole else f"{value:.1f}"
    return text.removeprefix("-") if not float(text) else text


_ONE, _OTHER, _BOTH = "one animal", "the other", "both"
_SOME, _ANOTHER, _ALL = "one of the animals", "another", "all"
_NEAREST = "the nearest animal"


@dataclass(frozen=True, kw_only=True)
class SentenceRules:
    """Thresholds for putting a difference into words.

    Parameters
    ----------
    least_difference : minimum difference of the means, in overall spreads; 0.5 is Cohen's "medium".
    least_errors : minimum difference in standard errors over bouts; 3, because there are many measures.
    least_bouts, least_known : minimum bouts, and minimum share of the cluster's frames, with known values.
    most_tail : the cluster's median must lie among this share of the lowest or highest frames.
    often_known : the sentence gives the share of frames with known values if it is lower.
    most_themes : maximum number of themes in a sentence.
    most_in_one : the sentence names a recording that holds a higher share of the cluster's frames.
    """

    least_difference: float = 0.5
    least_errors: float = 3.0
    least_bouts: int = 10
    least_known: float = 0.1
    most_tail: float = 0.35
    often_known: float = 0.25
    most_themes: int = 4
    most_in_one: float = 0.5

    def enough(self, one: Difference) -> bool:
        """True if there are enough known values for any statement."""
        return one.bouts >= self.least_bouts and one.share_known >= self.least_known

    def direction(self, one: Difference | None) -> int:
        """1 = higher than usual, -1 = lower, 0 = no statement."""
        if one is None or not self.enough(one):
            return 0
        size = abs(one.difference)
        if one.error is None or size < max(self.least_difference, self.least_errors * one.error):
            return 0
        direction = 1 if one.difference > 0 else -1
        return direction if tail(one, direction) <= self.most_tail else 0


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """Subjects of sentences.

    Parameters
    ----------
    individuals : names of the animals.
    anonymous : the animals are exchangeable.
    body_length : body length in the unit of the measures; NaN if unknown.
    nose : name of the foremost keypoint, "nose" or "head".
    unit : whom the clusters are about: scenes, animals or ordered pairs.
    actors : the animal, or the pair, where all clusters are about the same one.
    toward_each : measures toward another animal are toward each of several, not toward the nearest.
    """

    individuals: tuple[str, ...]
    anonymous: bool
    body_length: float
    nose: str = "nose"
    unit: Unit = "scene"
    actors: Actors = field(default_factory=Actors)
    toward_each: bool = False

    @property
    def named(self) -> tuple[str, ...]:
        """Subjects of measures of one animal, in order; () where measures name none."""
        if self.unit == "animal":
            return (ANIMAL,)
        if self.unit == "pair":
            return AGENT, TARGET
        return () if self.anonymous and len(self.individuals) > 1 else self.individuals

    @property
    def directed(self) -> dict[str, tuple[str, str]]:
        """Subject of a measure of one animal toward another -> their names."""
        return {str(Actors(agent=a, target=b)): (a, b) for a in self.individuals for b in self.individuals}

    def name(self, of: str) -> str:
        """The subject of a measure in words: the animal's own name, where there is one."""
        return {ANIMAL: self.actors.agent, AGENT: self.actors.agent, TARGET: self.actors.target}.get(of) or of

    def other(self, of: str) -> str:
        """Words for the animal that the subject of a measure is seen toward."""
        if self.unit == "pair" and of in self.named:
            return self.name(TARGET if of == AGENT else AGENT)
        if len(self.individuals) > 2:
            return "another" if self.toward_each else _NEAREST
        own = self.name(of)
        if of in self.named and own in self.individuals and len(self.individuals) == 2:
            return self.individuals[1 - self.individuals.index(own)]
        return "the other"


def subjects_of(measures: Measures, skeleton: Skeleton) -> Subjects:
    """Subjects of sentences about these measures."""
    every = {actors for _, actors in measures.rows}
    actors = next(iter(every)) if len(every) == 1 else Actors()
    programs = measures.programs
    individuals = measures.meter.individuals
    unit: Unit = programs.layout.unit if programs is not None else "scene"
    return Subjects(
        individuals=individuals,
        anonymous=skeleton.exchangeable,
        body_length=measures.body_length,
        nose="nose" if "nose" in skeleton.roles else "head",
        unit=unit,
        actors=actors,
        toward_each=programs is not None and programs.config.others == "each",
    )


@dataclass(frozen=True, kw_only=True)
class Concentration:
    """The recording that holds most of a cluster, and its share of the cluster's frames."""

    recording: str
    share: float


@dataclass(frozen=True, kw_only=True)
class _Statement:
    """A statement; `subject` is "" for the pair, and `words` still hold placeholders of names.

    `other` stands for the animal that the subject is seen toward.
    """

    theme: str
    program: str
    size: bool
    subject: str
    other: str
    words: str
    numbers: str
    known: float
    weight: float


def tail(one: Difference, direction: int) -> float:
    """Share of all frames further out than the cluster's median."""
    return one.below if direction < 0 else 1.0 - one.below


def sentence(
    differences: Sequence[Difference],
    subjects: Subjects,
    median_seconds: float,
    concentration: Concentration | None = None,
    rules: SentenceRules | None = None,
) -> str:
    """Sentence about what sets a cluster apart.

    Parameters
    ----------
    differences : differences in all measures.
    median_seconds : median length of the cluster's bouts.
    concentration : recording with most of the cluster; None where there is only one recording.
    """
    rules = rules or SentenceRules()
    statements = _chosen(_statements(differences, subjects, rules), rules)
    seen = [one for one in statements if one.theme == WORDING[SEEN].theme]
    others = _by_subject([one for one in statements if one not in seen])
    rare = [one for one in others if one.known < rules.often_known]
    everywhere = len(rare) == len(others) > 1
    parts = _phrases(others, subjects, [] if everywhere else rare) or [_nothing(differences, rules, bool(seen))]
    text = ", ".join(parts)
    more = [f"bouts of {seconds(median_seconds)}", *(f"{one.words} ({one.numbers})" for one in seen)]
    if everywhere:
        more.append(
            f"what is said of the animals is known at {_from_to([one.known for one in rare])} of its frames only"
        )
    if concentration is not None and concentration.share > rules.most_in_one:
        more.append(f"{percent(concentration.share)} of it in recording {concentration.recording}")
    return "; ".join([f"{text[0].upper()}{text[1:]}", *more])


def _from_to(shares: Sequence[float]) -> str:
    low, high = percent(min(shares)), percent(max(shares))
    return high if low == high else f"{low.removesuffix(' %')} to {high}"


def _nothing(differences: Sequence[Difference], rules: SentenceRules, poorly_seen: bool) -> str:
    """Words for a cluster without outstanding programs."""
    of_programs = [one for one in differences if one.program != SEEN]
    if sum(rules.enough(one) for one in of_programs) < len(of_programs) / 2:
        return "too little is known to say what it is"
    if not of_programs:
        return "nothing but tracking is measured"
    else_ = "else " if poorly_seen else ""
    if any(rules.enough(one) and abs(one.difference) >= rules.least_difference for one in of_programs):
        # Differences exist, but they are uncertain or have no words.
        return f"different in nothing {else_}that can be said in words and for sure"
    return f"usual in everything {else_}measured"


def _statements(differences: Sequence[Difference], subjects: Subjects, rules: SentenceRules) -> list[_Statement]:
    by_program: dict[tuple[str, bool], dict[str, Difference]] = {}
    for one in differences:
        by_program.setdefault((one.program, one.size), {})[one.of] = one
    statements: list[_Statement] = []
    for (program, size), of in by_program.items():
        of_one = of.keys() & {*subjects.named, *subjects.directed, GREATER, LESSER, GREATEST, LEAST}
        known = SIZE_WORDING if size else WORDING
        wording = known.get(program) or generic_wording(program, size, not of_one)
        statements += _Speaker(wording, subjects, rules).statements(of)
    return statements


@dataclass(frozen=True)
class _Speaker:
    """Statements about one program."""

    wording: Wording
    subjects: Subjects
    rules: SentenceRules

    def statements(self, of: Mapping[str, Difference]) -> list[_Statement]:
        """Statements about the subjects of the program's measures."""
        if PAIR in of:
            return self.of_pair(of[PAIR])
        if of.keys() & {GREATER, LESSER}:
            return self.of_anonymous(of.get(GREATER), of.get(LESSER))
        if of.keys() & {GREATEST, LEAST}:
            return self.of_group(of.get(GREATEST), of.get(LEAST), pairs=False)
        if of.keys() & {GREATEST_OF_PAIRS, LEAST_OF_PAIRS}:
            return self.of_group(of.get(GREATEST_OF_PAIRS), of.get(LEAST_OF_PAIRS), pairs=True)
        if of.keys() & set(self.subjects.named):
            return self.of_named([of.get(name) for name in self.subjects.named])
        return [made for one in of.values() for made in self.of_two(one)]

    def of_pair(self, one: Difference) -> list[_Statement]:
        direction = self.rules.direction(one)
        return self._made("", direction, one, [one])

    def of_anonymous(self, greater: Difference | None, lesser: Difference | None) -> list[_Statement]:
        """A low greater value, or a high lesser value, is a statement about both animals."""
        if greater is None or lesser is None:
            return []
        up, down = self.rules.direction(greater), self.rules.direction(lesser)
        if down > 0 and not (up < 0 and abs(greater.difference) > abs(lesser.difference)):
            return self._made(_BOTH, 1, lesser, [greater, lesser] if up > 0 else [lesser])
        if up < 0:
            return self._made(_BOTH, -1, greater, [greater, lesser] if down < 0 else [greater])
        made = self._made(_ONE, 1, greater, [greater]) if up > 0 else []
        if down < 0:
            made += self._made(_OTHER if made else _ONE, -1, lesser, [lesser])
        return made

    def of_group(self, greatest: Difference | None, least: Difference | None, pairs: bool) -> list[_Statement]:
        """As `of_anonymous`, of three animals or more: one or all of the animals, or of their pairs."""
        if greatest is None or least is None:
            return []
        up, down = self.rules.direction(greatest), self.rules.direction(least)
        if down > 0 and not (up < 0 and abs(greatest.difference) > abs(least.difference)):
            return self._in_group(_ALL, 1, least, pairs)
        if up < 0:
            return self._in_group(_ALL, -1, greatest, pairs)
        made = self._in_group(_SOME, 1, greatest, pairs) if up > 0 else []
        if down < 0:
            made += self._in_group(_ANOTHER if made else _SOME, -1, least, pairs)
        return made

    def _in_group(self, subject: str, direction: int, one: Difference, pairs: bool) -> list[_Statement]:
        if not pairs:
            return self._made(subject, direction, one, [one])
        if self.subjects.toward_each:
            about = {_SOME: "one of the pairs", _ANOTHER: "another pair", _ALL: "all pairs"}[subject]
        else:
            about = "all animals and their nearest" if subject == _ALL else with_nearest(subject)
        return self._made("", direction, one, [one], about)

    def of_named(self, every: Sequence[Difference | None]) -> list[_Statement]:
        """Statements about animals by name; one about all of them where the same holds for all."""
        known = [one for one in every if one is not None]
        directions = [self.rules.direction(one) for one in known]
        if len(known) == len(every) > 1 and len(set(directions)) == 1 and directions[0]:
            words = {self._phrase(directions[0], one) for one in known}
            if len(words) == 1:
                weaker = min(known, key=lambda one: abs(one.difference))
                return self._made(_BOTH if len(known) == 2 else _ALL, directions[0], weaker, known)
        return [
            statement
            for one, direction in zip(known, directions, strict=True)
            for statement in self._made(one.of, direction, one, [one])
        ]

    def of_two(self, one: Difference) -> list[_Statement]:
        """A statement about one animal toward another by name, about two of them, or one and its nearest."""
        direction = self.rules.direction(one)
        if one.of in self.subjects.directed:
            agent, target = self.subjects.directed[one.of]
            return [replace(made, other=target) for made in self._made(agent, direction, one, [one])]
        about = with_nearest(self.subjects.name(ANIMAL)) if one.of == with_nearest(ANIMAL) else one.of
        return self._made("", direction, one, [one], about)

    def _phrase(self, direction: int, one: Difference) -> Phrase | None:
        """The first phrase that holds for the value, if any."""
        value = one.median
        if "px" in one.units or "cm" in one.units:
            value /= self.subjects.body_length
        phrases = {1: self.wording.high, -1: self.wording.low}.get(direction, ())
        return next((phrase for phrase in phrases if phrase.holds(value)), None)

    def _made(
        self, subject: str, direction: int, deciding: Difference, listed: Sequence[Difference], about: str = ""
    ) -> list[_Statement]:
        """A statement, if there are words for it; `about` names two animals where the words have no subject."""
        phrase = self._phrase(direction, deciding)
        if phrase is None:
            return []
        statement = _Statement(
            theme=self.wording.theme,
            program=deciding.program,
            size=deciding.size,
            subject=self.subjects.name(subject),
            other=self.subjects.other(subject),
            words=phrase.words,
            numbers=(f"{about}: " if about else "") + self._numbers(subject, direction, listed, not phrase.bounded),
            known=min(one.share_known for one in listed),
            weight=max(abs(one.difference) for one in listed),
        )
        return [statement]

    def _numbers(self, subject: str, direction: int, listed: Sequence[Difference], signed: bool) -> str:
        values = values_with_units([one.median for one in listed], listed[0].units, signed)
        number = self.wording.number.replace("{nose}", self.subjects.nose)
        of_all = subject in (_BOTH, _ALL)
        if of_all and not self.subjects.named and len(listed) == 1:
            names = ("the lesser", "the greater") if subject == _BOTH else ("the least", "the greatest")
            which = names[direction < 0]
            number = f"{number}, {which}" if number else which
        elif of_all and self.subjects.named:
            values += f" of {_enumerated([self.subjects.name(one.of) for one in listed])}"
        share = max(tail(one, direction) for one in listed)
        return f"{number} {values}".strip() + f", {'top' if direction > 0 else 'lowest'} {percent(share)}"


def _chosen(statements: Sequence[_Statement], rules: SentenceRules) -> list[_Statement]:
    """The program of each theme that differs most, for the themes that differ most, and the share of observed points.

    Statements with known values in few frames come last.
    """

    def order(one: _Statement) -> tuple[bool, float]:
        return one.known < rules.often_known, -one.weight

    ordered = sorted(statements, key=order)
    first: dict[str, _Statement] = {}
    for one in ordered:
        first.setdefault(one.theme, one)
    seen = first.pop(WORDING[SEEN].theme, None)
    themes = list(first.values())[: rules.most_themes]
    kept = {(one.theme, one.program, one.size) for one in [*themes, *([seen] if seen else [])]}
    return [one for one in ordered if (one.theme, one.program, one.size) in kept]


def _by_subject(statements: Sequence[_Statement]) -> list[_Statement]:
    """Statements grouped by subject, in the order of first mention; "the other" stays after its "one animal"."""
    order = list(dict.fromkeys(one.subject for one in statements))
    return sorted(statements, key=lambda one: order.index(one.subject))


def _phrases(statements: Sequence[_Statement], subjects: Subjects, rare: Sequence[_Statement]) -> list[str]:
    """Phrases with names filled in; `rare` statements give the share of frames with known values.

    A repeated subject is not named again, and the other animal becomes "it" after its first mention.
    """
    parts: list[str] = []
    before, other_named = "", ""
    for one in statements:
        again = one.subject == before and one.subject not in ("", _ONE, _OTHER, _SOME, _ANOTHER)
        words = _filled(one, subjects, again and other_named == one.other)
        other_named = one.other if "{other" in one.words else other_named if again else ""
        numbers = one.numbers + (f", known at {percent(one.known)} of its frames" if one in rare else "")
        parts.append((words if again or not one.subject else f"{one.subject} {words}") + f" ({numbers})")
        before = one.subject
    return parts


def _filled(one: _Statement, subjects: Subjects, other_named: bool) -> str:
    """Words with names in place of placeholders; `other_named`: the other animal was named just before."""
    if one.subject == _BOTH:
        other, others = "each other", "the other's"
    elif other_named or one.subject == _OTHER:
        other, others = "it", "its"
    else:
        other, others = one.other, f"{one.other}'s"
    words = one.words.replace("{nose}", subjects.nose)
    return words.replace("{others}", others).replace("{other}", other)
