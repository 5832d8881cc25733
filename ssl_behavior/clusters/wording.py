"""What programs are called in sentences, for high values and for low ones.

A strong word ("facing") has a bound that the number itself must keep, in body lengths, radians, seconds or as it is;
where it does not, a comparative is all that is said ("turned more towards": more than usual), or nothing.
"{other}" is who the other animal is, "{others}" whose, "{nose}" the foremost keypoint.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ssl_behavior.clusters.measures import SEEN

__all__ = ["SIZE_WORDING", "WORDING", "Phrase", "Wording", "generic_wording"]

_EIGHTH, _THIRD = math.pi / 4, 2 * math.pi / 3


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """Words that hold for values from `least` to `most`."""

    words: str
    least: float = -math.inf
    most: float = math.inf

    @property
    def bounded(self) -> bool:
        """The words hold for some values only, so that they say on which side of zero the value is."""
        return math.isfinite(self.least) or math.isfinite(self.most)

    def holds(self, value: float) -> bool:
        """Whether the value allows these words."""
        return self.least <= value <= self.most


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How to speak of a program.

    Parameters
    ----------
    theme : of several programs of one theme, a sentence uses the one that differs most.
    high, low : the words for more and for less than usual; the first phrase whose bounds the value keeps is said.
        None = that it is so is not worth saying.
    number : what the number is, where the words do not say it, e.g. "nose to tail base".
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
"""Of the built-in programs, and of the share of points that is seen."""

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
"""Of values without their sign."""


def generic_wording(program: str, size: bool, of_pair: bool) -> Wording:
    """For programs of one's own: their names, and nothing that they do not say."""
    what = f"size of {program}" if size else program
    before = "" if of_pair else "with "
    article = "" if of_pair else "a "
    return _wording(program, (f"{before}{article}high {what}",), (f"{before}{article}low {what}",))
