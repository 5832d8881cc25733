"""Attributes of programs: for whom a program has a value, and its computation from the poses of a scene.

A program is of one animal ("own"), of one toward another ("toward"), or of two whatever their order ("both"). In groups
of three and more, a value toward another animal is taken toward the nearest one at every frame, or toward each.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations, permutations
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ssl_behavior.programs.pose import Pose
from ssl_behavior.programs.program import ProgramFacts
from ssl_behavior.programs.vectors import length
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.units import Unit
from ssl_behavior.views import pairs_of

__all__ = ["Layout", "PairMask", "Poses", "Subject", "unit_pairs"]

PairMask = Bool[Tensor, "*batch agent target"]
"""Ordered pairs that count in each window; the diagonal stands for an animal without a target."""

Plane = Float[Tensor, "batch time"]
Measured = Callable[[Pose], Plane]
Subject = tuple[str, ...]
"""What follows a program's name in that of an attribute, such as ("m1",), ("greater",) or ()."""


def unit_pairs(unit: Unit, present: Bool[Tensor, "1 individual"]) -> list[PairMask | None]:
    """Pairs of every animal, or of every ordered pair, that a window has; None for the scene."""
    if unit == "scene":
        return [None]
    there = present[0].nonzero().flatten().tolist()
    if unit == "animal" or len(there) == 1:
        return [pairs_of(present, agent) for agent in there]
    return [pairs_of(present, agent, target) for agent, target in permutations(there, 2)]


class Poses:
    """Poses of some windows: of every animal that counts in them, alone and toward each of the others that count.

    A pose, and the quantities that programs share in it, is made once. There are as many poses as pairs.

    Parameters
    ----------
    lone : the pose of each animal alone.
    pairs : ordered pairs that count in each window; None = those of `some` in all windows.
    some : the pairs that count in any window.
    poses : of pairs, where some are made already.
    """

    def __init__(
        self,
        lone: Sequence[Pose],
        pairs: Bool[Tensor, "batch agent target"] | None,
        some: Collection[tuple[int, int]],
        poses: dict[tuple[int, int], Pose] | None = None,
    ) -> None:
        self.lone, self.pairs, self.some = lone, pairs, sorted(some)
        self.agents = sorted({agent for agent, _ in some})
        self._poses = {} if poses is None else poses
        self._choices: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def unknown(self) -> Plane:
        """NaN at every frame."""
        return torch.full_like(self.lone[0].own.points[..., 0, 0], torch.nan, requires_grad=False)

    def of_targets(self) -> "Poses":
        """The same pairs with agents and targets exchanged."""
        pairs = None if self.pairs is None else self.pairs.transpose(1, 2)
        return Poses(self.lone, pairs, [(target, agent) for agent, target in self.some], self._poses)

    def pose(self, agent: int, target: int) -> Pose:
        """The pose of one animal toward another."""
        if (agent, target) not in self._poses:
            self._poses[agent, target] = replace(self.lone[agent], partner=self.lone[target].own)
        return self._poses[agent, target]

    def own(self, program: Measured) -> dict[int, Plane]:
        """Agent -> values of a program of one animal, NaN in windows in which it has no pair."""
        return {agent: _where(program(self.lone[agent]), self._counts(agent)) for agent in self.agents}

    def toward(self, program: Measured, symmetric: bool) -> dict[tuple[int, int], Plane]:
        """(agent, target) -> values of a program of two animals, NaN in windows in which the pair does not count.

        A symmetric program is computed once for both orders.
        """
        made: dict[tuple[int, int], Plane] = {}
        values = {}
        for agent, target in self.some:
            if agent == target:
                continue
            seen = (min(agent, target), max(agent, target)) if symmetric else (agent, target)
            if seen not in made:
                made[seen] = program(self.pose(*seen))
            counts = None if self.pairs is None else self.pairs[:, agent, target]
            values[agent, target] = _where(made[seen], counts)
        return values

    def nearest(self, values: Mapping[tuple[int, int], Plane]) -> dict[int, Plane]:
        """Agent -> its values toward the nearest of its targets; NaN where no distance is known.

        The distance is that of the centers. An only target is the nearest one, wherever it is.
        """
        return {agent: self._nearest(agent, values) for agent in self.agents}

    def either(self, values: Mapping[tuple[int, int], Plane]) -> Plane:
        """The one value of each window, for windows with one pair, or with both orders of it."""
        planes = list(values.values())
        return planes[0] if planes and self.pairs is None else reduce(torch.fmax, planes, self.unknown)

    def both_count(self) -> Bool[Tensor, "batch 1"] | None:
        """Whether both of two agents have a pair; None = in all windows."""
        return None if self.pairs is None else self.pairs.any(-1).all(-1, keepdim=True)

    def _counts(self, agent: int) -> Bool[Tensor, " batch"] | None:
        return None if self.pairs is None else self.pairs[:, agent].any(-1)

    def _nearest(self, agent: int, values: Mapping[tuple[int, int], Plane]) -> Plane:
        targets = [target for one, target in self.some if one == agent != target]
        if not targets:
            return self.unknown
        if len(targets) == 1:
            return values[agent, targets[0]]
        if agent not in self._choices:
            far = self._distances(agent, targets)
            self._choices[agent] = far.argmin(0, keepdim=True), far.amin(0).isinf()
        number, nowhere = self._choices[agent]
        toward_each = torch.stack([values[agent, target] for target in targets])
        return toward_each.gather(0, number).squeeze(0).masked_fill(nowhere, torch.nan)

    @torch.no_grad()
    def _distances(self, agent: int, targets: Sequence[int]) -> Float[Tensor, "target batch time"]:
        """Distances of the centers, infinite where one is not known or the pair does not count."""
        far = torch.stack([length(self.pose(agent, target).offset.detach()) for target in targets])
        far = far.nan_to_num(nan=torch.inf)
        if self.pairs is None:
            return far
        counts = self.pairs[:, agent, list(targets)].T.unsqueeze(-1)
        only = counts & (counts.sum(0) == 1)
        return far.masked_fill(only, 0.0).masked_fill(~counts, torch.inf)


def _where(values: Plane, counts: Bool[Tensor, " batch"] | None) -> Plane:
    """NaN in the windows that do not count."""
    return values if counts is None else values.masked_fill(~counts.unsqueeze(-1), torch.nan)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Attributes of programs: for whom each has a value, and how the poses give it.

    Parameters
    ----------
    skeleton : names of the animals, and whether they are exchangeable.
    unit : what attributes describe: the scene, one animal, or an ordered pair.
    others : of three animals or more, toward which other one, see `ProgramsConfig`.
    """

    skeleton: Skeleton
    unit: Unit
    others: Literal["nearest", "each"]

    @property
    def number(self) -> int:
        """Number of the animals."""
        return self.skeleton.num_individuals

    @property
    def anonymous(self) -> bool:
        """Whether attributes of the scene name no animals. A single one is always itself."""
        return self.skeleton.exchangeable and self.number > 1

    def subjects(self, facts: ProgramFacts) -> tuple[Subject, ...]:
        """Subjects of the attributes of a program, in order."""
        if self.unit == "animal" or self._of_a_dyad(facts):
            return ((),)
        if self.unit == "pair":
            return ((),) if _symmetric(facts) else (("agent",), ("target",))
        if self.anonymous:
            return (("greater",), ("lesser",)) if self.number == 2 else (("greatest",), ("least",))
        names = self.skeleton.individuals
        if self._toward_each(facts):
            return tuple((names[agent], names[target]) for agent, target in self._every_pair(facts))
        return tuple((name,) for name in names)

    def values(self, facts: ProgramFacts, program: Measured, poses: Poses) -> list[Plane]:
        """Values of the attributes of a program, a plane for each of `subjects`."""
        if self.unit == "animal":
            return [reduce(torch.fmax, self._of_agents(facts, program, poses).values(), poses.unknown)]
        if self._of_a_dyad(facts):
            return [poses.either(poses.toward(program, symmetric=True))]
        if self.unit == "pair":
            return self._of_pair(facts, program, poses)
        if self._toward_each(facts):
            of_pairs = poses.toward(program, _symmetric(facts))
            return _extremes(of_pairs, poses) if self.anonymous else self._of_every_pair(facts, of_pairs, poses)
        of_agents = self._of_agents(facts, program, poses)
        if self.anonymous:
            return _greater_and_lesser(of_agents, poses) if self.number == 2 else _extremes(of_agents, poses)
        return [of_agents.get(agent, poses.unknown) for agent in range(self.number)]

    def _of_a_dyad(self, facts: ProgramFacts) -> bool:
        """Whether a program has one value in a scene of two animals, that of the first one's view."""
        return self.unit == "scene" and self.number == 2 and not facts.each_animal

    def _toward_each(self, facts: ProgramFacts) -> bool:
        return self.number > 2 and self.others == "each" and facts.needs_other

    def _every_pair(self, facts: ProgramFacts) -> list[tuple[int, int]]:
        return list((combinations if _symmetric(facts) else permutations)(range(self.number), 2))

    def _of_agents(self, facts: ProgramFacts, program: Measured, poses: Poses) -> dict[int, Plane]:
        """The own values of each agent, or those toward its nearest target."""
        # Alone, a program that needs another animal says so itself.
        if self.number == 1 or not facts.needs_other:
            return poses.own(program)
        return poses.nearest(poses.toward(program, _symmetric(facts)))

    def _of_pair(self, facts: ProgramFacts, program: Measured, poses: Poses) -> list[Plane]:
        if _symmetric(facts):
            return [poses.either(poses.toward(program, symmetric=True))]
        sides = (poses, poses.of_targets())
        if facts.needs_other:
            return [side.either(side.toward(program, symmetric=False)) for side in sides]
        return [reduce(torch.fmax, side.own(program).values(), poses.unknown) for side in sides]

    def _of_every_pair(
        self, facts: ProgramFacts, of_pairs: Mapping[tuple[int, int], Plane], poses: Poses
    ) -> list[Plane]:
        """Values of all pairs of names; those of a symmetric program where either order counts."""
        orders = [(pair, pair[::-1]) if _symmetric(facts) else (pair,) for pair in self._every_pair(facts)]
        return [poses.either({pair: of_pairs[pair] for pair in some if pair in of_pairs}) for some in orders]


def _symmetric(facts: ProgramFacts) -> bool:
    return not facts.each_animal and "swap" in facts.invariant


def _greater_and_lesser(of_agents: Mapping[int, Plane], poses: Poses) -> list[Plane]:
    """Of two anonymous animals; unknown where one of two is, and both that of the only agent of a window."""
    if len(of_agents) < 2:
        return [*of_agents.values(), poses.unknown][:1] * 2
    ordered = [torch.maximum(*of_agents.values()), torch.minimum(*of_agents.values())]
    both = poses.both_count()
    if both is None:
        return ordered
    only = torch.fmax(*of_agents.values())
    return [torch.where(both, values, only) for values in ordered]


def _extremes(members: Mapping[Any, Plane], poses: Poses) -> list[Plane]:
    """The greatest and the least of the values that are known."""
    planes = list(members.values()) or [poses.unknown]
    return [reduce(torch.fmax, planes), reduce(torch.fmin, planes)]
