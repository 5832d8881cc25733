"""Names of attributes in sentences: for each name that a sentence may use, the attributes of every row.

Beside the attributes of the unit there are: a program without animal ("speed"), which is of any animal of a scene and
of the agent of a pair; an animal by name ("speed.resident") in rows of animals and pairs, which is known in the rows
with this animal alone; and a value toward one animal ("facing_angle.m1.m2") beside those toward the nearest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from typing import Literal

from ssl_behavior.programs.config import ProgramsConfig
from ssl_behavior.programs.layout import Subject
from ssl_behavior.programs.program import ProgramFacts
from ssl_behavior.programs.program_set import ProgramSet
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.units import Actors, Unit

__all__ = ["AttributeNames", "Reference"]

Others = Literal["nearest", "each"]


@dataclass(frozen=True)
class _Place:
    """A column of one of the sets; it describes rows with this agent and target alone, where they are given."""

    number: int
    column: int
    agent: str = ""
    target: str = ""

    def describes(self, actors: Actors) -> bool:
        return self.agent in ("", actors.agent) and self.target in ("", actors.target)


@dataclass(frozen=True)
class Reference:
    """What a name in a sentence is about.

    Parameters
    ----------
    facts : the program.
    words : the attribute in words, such as "speed of resident".
    places : columns; of several, any one may fulfill a condition.
    """

    facts: ProgramFacts
    words: str
    places: tuple[_Place, ...]

    def columns(self, actors: Actors) -> list[tuple[int, int]]:
        """(number of the set, column) that describe the row of these animals; none = unknown."""
        return [(place.number, place.column) for place in self.places if place.describes(actors)]


class AttributeNames:
    """Names of attributes, and the program sets that compute them.

    Parameters
    ----------
    config : which programs; `others` decides toward whom animals of larger groups are measured.
    skeleton : of the recordings, with the names of the animals.
    unit : what a row describes.

    Raises
    ------
    InputError
        If none of the programs can run on this skeleton and this number of animals.
    """

    def __init__(self, config: ProgramsConfig, skeleton: Skeleton, unit: Unit) -> None:
        self.config, self.skeleton = config, skeleton
        # A pair of a single animal with itself is an animal.
        self.unit: Unit = "animal" if unit == "pair" and skeleton.num_individuals == 1 else unit
        self.sets = self.sets_at(30.0)

    @property
    def _anonymous(self) -> bool:
        return self.skeleton.exchangeable and self.skeleton.num_individuals > 1

    def sets_at(self, fps: float) -> tuple[ProgramSet, ...]:
        """Programs at a frame rate: of the unit and, of scenes of more animals, of each animal or toward each."""
        sets = [ProgramSet(self.config, self.skeleton, fps, self.unit)]
        if self.unit == "scene" and self._anonymous:
            sets.append(ProgramSet(self.config, replace(self.skeleton, exchangeable=False), fps))
        elif self.unit == "scene" and self.skeleton.num_individuals > 2 and self.config.others == "nearest":
            sets.append(ProgramSet(replace(self.config, others="each"), self.skeleton, fps))
        return tuple(sets)

    def restricted(self, programs: Sequence[str]) -> "AttributeNames":
        """The names of some programs alone."""
        return AttributeNames(replace(self.config, names=tuple(programs)), self.skeleton, self.unit)

    @cached_property
    def references(self) -> dict[str, Reference]:
        """Name -> what it is about, for every name that a sentence may use."""
        found = dict(self._of_the_unit())
        if self._anonymous:
            return {name: found.get(name) or reference for name, reference in [*self._of_any(), *found.items()]}
        more = [*self._of_any(), *self._toward_each(), *self._of_named_rows()]
        for name, reference in more:
            found.setdefault(name, reference)
        return found

    def _of_the_unit(self) -> Iterator[tuple[str, Reference]]:
        own = self.sets[0]
        for column, (name, facts, subject) in enumerate(zip(own.names, own.attribute_facts, own.subjects, strict=True)):
            yield name, Reference(facts, self._words(facts, subject, self.config.others), (_Place(0, column),))

    def _of_any(self) -> Iterator[tuple[str, Reference]]:
        """Programs without animal: of any animal of a scene, of the agent of a pair."""
        number = 1 if self.unit == "scene" and self._anonymous else 0
        own = self.sets[number]
        for facts in own.facts:
            columns = [column for column, other in enumerate(own.attribute_facts) if other.name == facts.name]
            if self.unit == "pair" and len(columns) == 2:
                words, columns = self._words(facts, ("agent",), self.config.others), columns[:1]
            else:
                words = f"{facts.name} of any {'animal' if self._of_one(facts) else 'pair of animals'}"
            yield facts.name, Reference(facts, words, tuple(_Place(number, column) for column in columns))

    def _toward_each(self) -> Iterator[tuple[str, Reference]]:
        for number, own in enumerate(self.sets[1:], 1):
            for column, (name, facts, subject) in enumerate(
                zip(own.names, own.attribute_facts, own.subjects, strict=True)
            ):
                yield name, Reference(facts, self._words(facts, subject, "each"), (_Place(number, column),))

    def _of_named_rows(self) -> Iterator[tuple[str, Reference]]:
        """Animals by name, of rows that are about them."""
        if self.unit == "scene":
            return
        own = self.sets[0]
        animals = self.skeleton.individuals
        for facts in own.facts:
            columns = {
                subject: column
                for column, (other, subject) in enumerate(zip(own.attribute_facts, own.subjects, strict=True))
                if other.name == facts.name
            }
            if self.unit == "animal":
                for name in animals:
                    words = self._words(facts, (name,), self.config.others)
                    yield f"{facts.name}.{name}", Reference(facts, words, (_Place(0, columns[()], name),))
                continue
            agent, target = (columns.get((side,), columns.get(())) for side in ("agent", "target"))
            assert agent is not None and target is not None
            if () not in columns:
                for name in animals:
                    sides = (_Place(0, agent, agent=name), _Place(0, target, target=name))
                    words = f"{facts.name} of {name}" + " in the pair" * facts.needs_other
                    yield f"{facts.name}.{name}", Reference(facts, words, sides)
            if facts.needs_other:
                for one, other in permutations(animals, 2):
                    sides = (_Place(0, agent, one, other), _Place(0, target, other, one))
                    words = self._words(facts, (one, other), "each")
                    yield f"{facts.name}.{one}.{other}", Reference(facts, words, sides)

    def _words(self, facts: ProgramFacts, subject: Subject, others: Others) -> str:
        """An attribute in words."""
        if subject in (("greater",), ("lesser",), ("greatest",), ("least",)) and self._anonymous:
            of = "of the two animals" if subject[0] in ("greater", "lesser") else "in the group"
            return f"the {subject[0]} {facts.name} {of}"
        return f"{facts.name} {self._of(facts, subject, others)}"

    def _of(self, facts: ProgramFacts, subject: Subject, others: Others) -> str:
        joined = "toward" if self._of_one(facts) else "and"
        if self.unit == "pair" and subject in ((), ("agent",), ("target",)):
            one, other = ("target", "agent") if subject == ("target",) else ("agent", "target")
            return f"of the {one} {joined} the {other}" if facts.needs_other else f"of the {one}"
        if len(subject) == 2:
            return f"of {subject[0]} {joined} {subject[1]}"
        if not subject and self.unit == "scene":
            return "of the two animals"
        own = f"of {subject[0]}" if subject else "of the animal"
        if not facts.needs_other or self.skeleton.num_individuals == 1:
            return own
        return f"{own} {joined} {'the other' if self.skeleton.num_individuals == 2 else 'its nearest'}"

    def _of_one(self, facts: ProgramFacts) -> bool:
        return facts.each_animal or "swap" not in facts.invariant
