"""Views: points of view of an agent toward a target, and their pooling to animals and scenes.

A batch has a view for every ordered pair of its animals; features have a view axis. An animal pools the views toward
its targets, a scene pools its animals. A subset of the pairs gives a smaller unit: one animal among the others, or one
pair. The number of views, and with it the cost, is N (N - 1) for N animals; a single animal has one view, without a
target. Of two animals every view is one animal's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from ssl_behavior.collectives import own_share
from ssl_behavior.units import Unit

__all__ = [
    "Pairs",
    "Views",
    "drawn_pairs",
    "join_views",
    "mean_and_maximum",
    "pairs_of",
    "place_animals",
    "present_pairs",
    "views_of",
]

Pairs = Bool[Tensor, "batch agent target"]
"""Ordered pairs of animals that count; the diagonal stands for an animal without a target."""


@dataclass(frozen=True)
class Views:
    """Agents and targets of the view axis, agent by agent; every agent has equally many targets.

    Parameters
    ----------
    agents : animal of each group of views, as a place on the individual axis.
    targets : place of each view's target, int [agent * target]; -1 = none.
    animals : places of the animals that any window of the batch has.
    used : views that count; None = all. The others are 0 in features.
    """

    agents: tuple[int, ...]
    targets: tuple[int, ...]
    animals: tuple[int, ...]
    used: Bool[Tensor, "batch view"] | None = None

    @property
    def number(self) -> int:
        """Number of views."""
        return len(self.targets)

    @property
    def num_targets(self) -> int:
        """Number of views of each agent."""
        return len(self.targets) // len(self.agents)

    @property
    def view_agents(self) -> list[int]:
        """Agent of each view."""
        return [agent for agent in self.agents for _ in range(self.num_targets)]

    def part(self, start: int, stop: int) -> "Views":
        """Views of some windows of the batch."""
        return self if self.used is None else replace(self, used=self.used[start:stop])

    def repeated(self, times: int) -> "Views":
        """Views of a batch in which every window occurs several times, one after the other."""
        return self if self.used is None else replace(self, used=self.used.repeat_interleave(times, dim=0))

    def of_agent(self, agent: int, target: int | None = None) -> tuple[list[int], "Views"]:
        """Places of the views of one agent, or of its view toward one target, and these views as a whole."""
        kept = [
            place
            for place, (own, other) in enumerate(zip(self.view_agents, self.targets, strict=True))
            if own == agent and target in (None, other)
        ]
        used = None if self.used is None else self.used[:, kept]
        return kept, replace(self, agents=(agent,), targets=tuple(self.targets[place] for place in kept), used=used)

    def over_targets(
        self, values: Float[Tensor, "batch step view channel"], seen: Bool[Tensor, "batch _step view _channel"] | None
    ) -> tuple[Float[Tensor, "batch step agent channel"], Bool[Tensor, "batch _step agent _channel"] | None]:
        """Mean of mean and maximum over each agent's targets, and agents of whom something was seen (None = all).

        Of a single target this is its own value, to the last bit. Unseen values count nothing; agents without a seen
        value are 0.

        Parameters
        ----------
        seen : values that count; None = all.
        """
        if self.num_targets == 1:
            return values if seen is None else values.masked_fill(~seen, 0.0), seen
        values = values.unflatten(2, (len(self.agents), -1))
        if seen is None:
            return (values.mean(dim=3) + values.amax(dim=3)) / 2, None
        mean, largest, any_seen = mean_and_maximum(values, seen.unflatten(2, (len(self.agents), -1)), dim=3)
        return (mean + largest) / 2, any_seen

    def seen(self) -> Bool[Tensor, "batch 1 view 1"] | None:
        """Mask of the views that count, for `over_targets`; None = all."""
        return None if self.used is None else self.used[:, None, :, None]


def mean_and_maximum(values: Tensor, seen: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and maximum of the seen values along a dimension (0 where none is), and where any is seen."""
    any_seen = seen.any(dim=dim)
    mean = (values * seen).sum(dim=dim) / seen.sum(dim=dim).clamp_min(1)
    largest = values.masked_fill(~seen, -torch.inf).amax(dim=dim).masked_fill(~any_seen, 0.0)
    return mean, largest, any_seen


def join_views(
    values: Float[Tensor, "batch step view channel"], views: Views, pooled: bool, num_individuals: int
) -> Float[Tensor, "batch step joined"]:
    """All views as one: over the targets of each animal, then mean and maximum over the animals, or side by side.

    Parameters
    ----------
    pooled : of anonymous animals; False = animals side by side, 0 for those without a view that counts.
    num_individuals : animals that stand side by side.
    """
    values, seen = views.over_targets(values, views.seen())
    if not pooled:
        return place_animals(values, views.agents, num_individuals).flatten(2)
    if seen is None:
        return torch.cat([values.mean(dim=2), values.amax(dim=2)], dim=-1)
    return torch.cat(mean_and_maximum(values, seen.expand(values.shape), dim=2)[:2], dim=-1)


def place_animals(
    values: Shaped[Tensor, "batch step agent channel"], agents: Sequence[int], num_individuals: int
) -> Shaped[Tensor, "batch step individual channel"]:
    """Values or masks of some animals on the axis of all, 0 for the others."""
    if tuple(agents) == tuple(range(num_individuals)):
        return values
    placed = values.new_zeros(*values.shape[:2], num_individuals, values.shape[-1])
    placed[:, :, list(agents)] = values
    return placed


def present_pairs(present: Bool[Tensor, "batch individual"]) -> Pairs:
    """All ordered pairs of two present animals; a present animal without another has a view without a target."""
    apart = ~torch.eye(present.shape[1], dtype=torch.bool, device=present.device)
    pairs = present.unsqueeze(2) & present.unsqueeze(1) & apart
    alone = present & (present.sum(dim=1, keepdim=True) == 1)
    return pairs | torch.diag_embed(alone)


def pairs_of(present: Bool[Tensor, "batch individual"], agent: int, target: int | None = None) -> Pairs:
    """Pairs of the unit of one animal, or of an ordered pair; an animal with itself is the animal's unit."""
    pairs = present_pairs(present)
    kept = torch.zeros_like(pairs)
    kept[:, agent, :] = True
    if target is not None and target != agent:
        kept[:, agent, :] = False
        kept[:, agent, target] = True
    return pairs & kept


def drawn_pairs(
    present: Bool[Tensor, "batch individual"],
    units: Sequence[Unit],
    generator: torch.Generator | None,
    first: int = 0,
) -> Pairs | None:
    """Pairs of a unit for every window; None = scenes alone. Windows take turns in the units.

    Parameters
    ----------
    generator : chooses the animal or the pair of a window; None = the windows take turns in these, too.
    first : number of the first window.
    """
    if set(units) <= {"scene"}:
        return None
    pairs = present_pairs(present)
    windows, size = present.shape
    turn = torch.arange(first, first + windows) // len(units)
    if generator is None:
        possible = pairs.flatten(1).cpu()
        wanted = turn % possible.sum(dim=1).clamp_min(1)
        order = ((possible.cumsum(dim=1) - 1) == wanted.unsqueeze(1)).double()
    else:
        order = own_share(torch.rand, generator, [windows, size * size])
    # Possible pairs in an order; the last one is taken.
    order = order.to(present.device).masked_fill(~pairs.flatten(1), -1.0)
    pair = torch.zeros_like(pairs).flatten(1).scatter(1, order.argmax(dim=1, keepdim=True), True).view_as(pairs)
    kept = {"scene": torch.ones_like(pairs), "animal": pair.any(dim=2, keepdim=True).expand_as(pairs), "pair": pair}
    kinds = [units[(first + number) % len(units)] for number in range(windows)]
    return torch.stack([pairs[number] & kept[kind][number] for number, kind in enumerate(kinds)])


def views_of(present: Bool[Tensor, "batch individual"], pairs: Pairs | None = None, first_only: bool = False) -> Views:
    """Views among the animals that any window of a batch has.

    Agents, and targets other than -1, are places on the individual axis of the batch. Where one animal is left, its
    view has the target -1.

    Parameters
    ----------
    pairs : those that count; None = all of present animals.
    first_only : only the views of the first animal.
    """
    size = present.shape[1]
    everyone = bool(present.all())
    animals = list(range(size)) if everyone else present.any(dim=0).nonzero().flatten().tolist() or [0]
    agents = animals[:1] if first_only else animals
    targets = [[other for other in animals if other != agent] or [-1] for agent in agents]
    flat = tuple(other for own in targets for other in own)
    if everyone and pairs is None:
        return Views(tuple(agents), flat, tuple(animals))
    wanted = present_pairs(present) if pairs is None else pairs
    alone = wanted.diagonal(dim1=1, dim2=2)
    columns = []
    for agent, own in zip(agents, targets, strict=True):
        for place, other in enumerate(own):
            used = wanted[:, agent, other] if other >= 0 else alone[:, agent]
            # An animal without a target is seen in its first view, whose target is absent.
            columns.append(used | alone[:, agent] if place == 0 else used)
    return Views(tuple(agents), flat, tuple(animals), torch.stack(columns, dim=1))
