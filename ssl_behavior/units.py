"""Units of an embedding: a row describes a scene, one animal among the others, or an ordered pair of animals."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ssl_behavior.errors import InputError

__all__ = ["UNITS", "Actors", "OfActors", "Unit", "actors_of", "check_unit"]

Unit = Literal["scene", "animal", "pair"]
UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True, kw_only=True)
class Actors:
    """Animals that a row, a label or a prediction is about.

    Parameters
    ----------
    agent : the animal that acts, or whose life it is; "" = all animals of the scene.
    target : the animal that it acts on, itself in behaviors such as grooming; "" = no animal in particular.
    """

    agent: str = ""
    target: str = ""

    @property
    def unit(self) -> Unit:
        """Unit of an embedding of these animals."""
        return "pair" if self.target else "animal" if self.agent else "scene"

    def __str__(self) -> str:
        """
        >>> str(Actors(agent="m1", target="m2")), str(Actors(agent="m1"))
        ('m1 → m2', 'm1')
        """
        return f"{self.agent} → {self.target}" if self.target else self.agent

    def row_id(self, recording: str) -> str:
        """Id of these animals' row of a recording; never parsed, the table of rows states the animals.

        >>> Actors(agent="m1", target="m2").row_id("cage3"), Actors().row_id("cage3")
        ('cage3@m1,m2', 'cage3')
        """
        names = [name for name in (self.agent, self.target) if name]
        return f"{recording}@{','.join(names)}" if names else recording


class OfActors:
    """What the fields of a row of a scene, an animal or a pair say together."""

    recording: str
    agent: str
    target: str

    @property
    def actors(self) -> Actors:
        """Animals that the row is about."""
        return Actors(agent=self.agent, target=self.target)

    @property
    def title(self) -> str:
        """Words for people, such as "cage3, m1 → m2"."""
        return f"{self.recording}, {self.actors}" if self.agent else self.recording


def check_unit(unit: str) -> Unit:
    """The unit itself.

    Raises
    ------
    InputError
        If it is not one of `UNITS`.
    """
    for known in UNITS:
        if unit == known:
            return known
    raise InputError(f"`unit` must be one of {list(UNITS)}, got {unit!r}")


def actors_of(
    unit: Unit, individuals: Sequence[str], with_self: bool = False, absent: Collection[str] = ()
) -> list[Actors]:
    """Rows of a recording with these animals: one scene, every animal, or every ordered pair of two animals.

    Parameters
    ----------
    individuals : animals of the store, in its order.
    absent : those that the recording does not have.
    with_self : pairs include each animal with itself; those of a single animal always do.

    >>> [str(actors) for actors in actors_of("pair", ["m1", "m2"])]
    ['m1 → m2', 'm2 → m1']
    """
    if unit == "scene":
        return [Actors()]
    individuals = [name for name in individuals if name not in absent]
    if unit == "animal":
        return [Actors(agent=name) for name in individuals]
    with_self = with_self or len(individuals) == 1
    return [Actors(agent=a, target=b) for a in individuals for b in individuals if with_self or a != b]
