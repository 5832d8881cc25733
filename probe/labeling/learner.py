"""`Learner`: the head of a behavior, refitted after every answer, and the segments that it wants to see next.

**Head.** Logistic regression on standardized embeddings. Yes and no have equal weight. Besides answered frames, frames
drawn at random from all rows count as "no", together as much as all answers: a behavior worth searching is rare. The
penalty of a frame falls with the answers, 30 / seconds answered, within .1 and 3.

**Proposals.** Of eight, three are uncertain, two confident, one is confident in a recording with few answers, and two
are random. Uncertain: 4 p (1 - p) x diversity x length, where p is the probability, diversity is 1 less the largest
cosine to an answered segment, and length is the square root of the seconds, at most 1. Confident: p x diversity^¼ x
length. Random: see `probe.labeling.trust`; they alone say how good the labels are.

Values were chosen on the rats' recordings 01 to 20, scored on 21 to 30 (`benchmarks/quality_labeling.py`).
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.labeling.candidates import Candidates, row_numbers
from probe.labeling.decisions import NO, OPEN, YES, Decisions, spans_of
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.logistic import Design, LinearHead, fit_head

__all__ = ["BANDS", "Head", "Learner", "Pick", "Strategy", "warm_up"]

FRAMES_PER_SECOND = 8
"""Frames of a span that are learned from."""
MOST_SECONDS = 10.0
"""Weight of a long span: as much as one of this length."""
PENALTY_SECONDS = 30.0
PENALTY_RANGE = (0.1, 3.0)
BANDS = (0.01, 0.04, 0.15, 0.8)
"""Shares of all frames in bands of falling probability. A random draw takes each band with the same chance.

Even draws from all frames would hardly meet a rare behavior, nor any frame where a head says yes."""
_TOGETHER = 64
"""Answered segments that all others are compared with in one product."""

_Span = tuple[str, int, int, int]
"""Row, start, stop and state of a run of decided frames."""


@dataclass(frozen=True, eq=False)
class Head:
    """A head and what it says of all segments.

    Parameters
    ----------
    version : number of the last event that it knows; the answers up to there, in their order, make it again.
    linear : on standardized embeddings.
    points : mean points of all segments, float32 [segment, dim].
    """

    version: int
    linear: LinearHead
    points: np.ndarray

    @cached_property
    def logits(self) -> np.ndarray:
        """Logits of all segments, float32 [segment]."""
        return self.logits_of(self.points)

    def logits_of(self, points: np.ndarray) -> np.ndarray:
        """Logits of points [point, dim], float32 [point]."""
        return self.linear.logits(torch.from_numpy(points)).numpy()[:, 0]

    @cached_property
    def probability(self) -> np.ndarray:
        """Probability of all segments if yes and no were equally frequent, float32 [segment]."""
        return 1 / (1 + np.exp(-self.logits))


@dataclass(frozen=True)
class Pick:
    """A segment to show, and why: "uncertain", "confident", "unseen", "diverse" or "random".

    Parameters
    ----------
    weight : 1 over the chance with which it was drawn, for random ones.
    """

    segment: int
    source: str
    weight: float | None = None


@dataclass(frozen=True)
class Strategy:
    """Which kinds of proposals take turns, and the exponents of diversity in them."""

    turns: tuple[str, ...] = (
        "uncertain", "confident", "random", "uncertain", "unseen", "uncertain", "confident", "random",
    )  # fmt: skip
    uncertain_diversity: float = 1.0
    confident_diversity: float = 0.25


@dataclass
class Learner:
    """Heads of one behavior.

    Parameters
    ----------
    decisions : of the project; the learner reads them at each fit.
    strategy : of proposals.

    Attributes
    ----------
    head : of the last fit; None before the first "yes".
    numbers : id -> number of each row.
    """

    behavior: str
    embeddings: Embeddings
    candidates: Candidates
    decisions: Decisions
    strategy: Strategy = field(default_factory=Strategy)
    head: Head | None = None

    def __post_init__(self) -> None:
        self.numbers = row_numbers(self.candidates.rows)
        self._points: dict[tuple[str, int, int], np.ndarray] = {}
        norms = np.linalg.norm(self.candidates.points, axis=1)
        self._norms = np.maximum(norms, 1e-12)
        rates = np.array([row.fps for row in self.candidates.rows])
        self._length = np.sqrt(np.minimum(1.0, self.candidates.frames / rates[self.candidates.row]))
        self._nearest = np.full(len(self.candidates), -1.0, np.float32)
        self._compared: set[int] = set()

    # --- learning

    def fit(self, leave_out: Iterable[str] = ()) -> Head | None:
        """The head of all decisions, from the last one on; None without a "yes".

        Parameters
        ----------
        leave_out : recordings whose decisions are not learned; the head is then not kept.
        """
        left_out = set(leave_out)
        spans = list(self._spans(left_out))
        points, target, weight = self._examples(spans, left_out)
        if not (target == 1).any():
            if not left_out:
                self.head = None
            return None
        design = Design(points, target[:, None], "binary", balanced=False, weights=weight)
        start = self.head.linear if self.head is not None else None
        penalty = float(np.clip(PENALTY_SECONDS / sum(map(self._seconds, spans)), *PENALTY_RANGE))
        linear = fit_head(design, penalty, start)
        head = Head(self.decisions.last, linear, self.candidates.points)
        if not left_out:
            self.head = head
            self._points = {span[:3]: self._points[span[:3]] for span in spans}
        return head

    def _examples(
        self, spans: Sequence["_Span"], left_out: set[str]
    ) -> tuple[Float[Tensor, "frames latent"], Int[Tensor, " frames"], Float[Tensor, " frames"]]:
        """Points, 1 = yes or 0 = no, and weights of the frames to learn from; weights have the mean 1."""
        points = [self._span_points(*span[:3]) for span in spans]
        weights = [np.full(len(one), self._seconds(span) / len(one)) for one, span in zip(points, spans, strict=True)]
        background = self._background(left_out)
        total = sum(map(self._seconds, spans))
        weights.append(np.full(len(background), total / len(background)))
        state = [np.full(len(one), int(span[3] == YES)) for one, span in zip(points, spans, strict=True)]
        target = torch.from_numpy(np.concatenate([*state, np.zeros(len(background), np.int64)]).astype(np.int64))
        weight = torch.from_numpy(np.concatenate(weights))
        for value in (0, 1):
            own = target == value
            weight = torch.where(own, weight / weight[own].sum().clamp_min(1e-12), weight)
        weight = (weight / weight.mean()).float()
        return torch.from_numpy(np.concatenate([*points, background])), target, weight

    def _background(self, left_out: set[str]) -> np.ndarray:
        """Random frames, without those of the recordings left out."""
        if not left_out:
            return self.candidates.background
        inside = [number for number, row in enumerate(self.candidates.rows) if row.recording not in left_out]
        return self.candidates.background[np.isin(self.candidates.background_row, inside)]

    def _spans(self, left_out: set[str]) -> Iterable["_Span"]:
        for row in self.decisions.rows(self.behavior):
            if self.candidates.rows[self.numbers[row]].recording in left_out:
                continue
            for start, stop, state in spans_of(self.decisions.states(self.behavior, row), (YES, NO)):
                yield row, start, stop, state

    def _seconds(self, span: "_Span") -> float:
        row, start, stop, _ = span
        return min((stop - start) / self.candidates.rows[self.numbers[row]].fps, MOST_SECONDS)

    def _span_points(self, name: str, start: int, stop: int) -> np.ndarray:
        """Points of some frames of a span, float32 [frame, dim]."""
        if (name, start, stop) not in self._points:
            row = self.candidates.rows[self.numbers[name]]
            most = round(MOST_SECONDS * FRAMES_PER_SECOND)
            step = max(1, round(row.fps / FRAMES_PER_SECOND), math.ceil((stop - start) / most))
            frames = row.offset + np.arange(start, stop, step)
            self._points[name, start, stop] = self.candidates.space.gather(self.embeddings, frames)
        return self._points[name, start, stop]

    def frame_logits(self, head: Head, name: str, start: int, stop: int) -> np.ndarray:
        """Logits of the frames of a span, float32 [frame]."""
        return np.concatenate([head.logits_of(points) for points in self._blocks(name, start, stop)])

    def similarity(self, name: str, start: int, stop: int) -> np.ndarray:
        """Cosine between the mean points of all segments and of a span, float32 [segment]."""
        sums = [points.sum(axis=0, dtype=np.float64) for points in self._blocks(name, start, stop)]
        point = np.sum(sums, axis=0)
        point = (point / max(float(np.linalg.norm(point)), 1e-12)).astype(np.float32)
        return self.candidates.points @ point / self._norms

    def _blocks(self, name: str, start: int, stop: int) -> Iterator[np.ndarray]:
        """Points of all frames of a span, in blocks, float32 [frame, dim]."""
        row = self.candidates.rows[self.numbers[name]]
        blocks = self.candidates.space.blocks(self.embeddings, slice(row.offset + start, row.offset + stop))
        return (points for _, points in blocks)

    # --- proposing

    def answered(self) -> np.ndarray:
        """Segments that are decided by half or more, bool [segment]."""
        found = np.zeros(len(self.candidates), bool)
        for row in self.decisions.rows(self.behavior):
            states = self.decisions.states(self.behavior, row)
            own = self.candidates.of_row(self.numbers[row])
            decided = np.concatenate([[0], np.cumsum(states != OPEN)])
            start, stop = self.candidates.start[own], self.candidates.stop[own]
            found[own] = 2 * (decided[stop] - decided[start]) >= stop - start
        return found

    def propose(
        self, count: int, turn: int, draw: Callable[[np.ndarray], Pick | None], busy: Collection[int] = ()
    ) -> list[Pick]:
        """Segments to show next; fewer where there are fewer.

        Parameters
        ----------
        turn : number of proposals before, which decides whose turn it is.
        draw : gives a random segment of the free ones, bool [segment], or None.
        busy : segments that are not shown now.
        """
        answered = self.answered()
        self._compare(answered)
        free = ~answered
        free[list(busy)] = False
        picks: list[Pick] = []
        nearest = self._nearest.copy()
        for place in range(turn, turn + count):
            kind = self.strategy.turns[place % len(self.strategy.turns)]
            pick = draw(free) if kind == "random" else None
            if not free.any():
                break
            pick = pick or self._pick(kind if kind != "random" else "uncertain", free, nearest)
            picks.append(pick)
            free[pick.segment] = False
        return picks

    def _pick(self, kind: str, free: np.ndarray, nearest: np.ndarray) -> Pick:
        if self.head is None:
            # Nothing is known yet: what is least like all that was answered.
            return Pick(self._best(np.ones(len(free), np.float32), 1.0, free, nearest), "diverse")
        probability = self.head.probability
        if kind == "uncertain":
            value, power = 4 * probability * (1 - probability), self.strategy.uncertain_diversity
        else:
            value, power = probability, self.strategy.confident_diversity
            if kind == "unseen":
                value = value * self._in_few_answers()
        return Pick(self._best(value, power, free, nearest), kind)

    def _best(self, value: np.ndarray, power: float, free: np.ndarray, nearest: np.ndarray) -> int:
        """The free segment with the largest value x diversity x length. It then counts as answered in `nearest`."""
        diversity = np.clip(1 - nearest, 1e-3, 1.0) ** power
        best = int(np.argmax(np.where(free, value * diversity * self._length, -1.0)))
        self._nearer(best, nearest)
        return best

    def _nearer(self, segment: int, nearest: np.ndarray) -> None:
        points = self.candidates.points
        cosine = points @ (points[segment] / self._norms[segment]) / self._norms
        np.maximum(nearest, cosine, out=nearest)

    def _compare(self, answered: np.ndarray) -> None:
        """Keep the largest cosine of each segment to an answered one; answers that were undone begin anew."""
        now = set(np.flatnonzero(answered).tolist())
        if self._compared - now:
            self._nearest[:] = -1.0
            self._compared = set()
        new = np.array(sorted(now - self._compared), np.int64)
        for part in np.array_split(new, math.ceil(len(new) / _TOGETHER) or 1):
            if len(part):
                unit = self.candidates.points[part] / self._norms[part, None]
                cosine = (self.candidates.points @ unit.T).max(axis=1) / self._norms
                np.maximum(self._nearest, cosine, out=self._nearest)
        self._compared = now

    def _in_few_answers(self) -> np.ndarray:
        """1 for segments of recordings with the fewest answers, .05 for the others, float64 [segment]."""
        rows = self.candidates.rows
        answers = dict.fromkeys([row.recording for row in rows], 0)
        for event in self.decisions.standing(self.behavior, "answer"):
            answers[rows[self.numbers[event.row]].recording] += 1
        fewest = min(answers.values())
        return np.array([1.0 if answers[row.recording] == fewest else 0.05 for row in rows])[self.candidates.row]

    # --- random draws

    def bands(self) -> np.ndarray:
        """Band of each segment by falling probability, see `BANDS`; without a head, all are in one, int64 [segment]."""
        if self.head is None:
            return np.zeros(len(self.candidates), np.int64)
        return bands_of(self.head.logits, self.candidates.frames)

    def draw(self, generator: np.random.Generator) -> Pick:
        """A random segment, answered or not: every band has the same chance, in a band every frame."""
        bands, frames = self.bands(), self.candidates.frames
        used = np.unique(bands)
        own = np.flatnonzero(bands == generator.choice(used))
        share = np.cumsum(frames[own])
        segment = int(own[np.searchsorted(share, generator.integers(share[-1]), side="right")])
        # The chance of each of its frames, relative to an even draw from all frames.
        return Pick(segment, "random", float(len(used) * share[-1] / frames.sum()))


def bands_of(logits: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Band of each segment by falling logit, int64 [segment].

    Parameters
    ----------
    frames : length of each segment.

    >>> bands_of(np.array([3.0, 1.0, 2.0]), np.array([1, 98, 1]))
    array([0, 3, 1])
    """
    order = np.argsort(-logits, kind="stable")
    middle = (np.cumsum(frames[order]) - frames[order] / 2) / frames.sum()
    found = np.empty(len(logits), np.int64)
    found[order] = np.searchsorted(np.cumsum(BANDS)[:-1], middle, side="right")
    return found


def warm_up(candidates: Candidates) -> None:
    """Fit a head to nothing in particular: the first fit of a process loads parts of torch for seconds."""
    points = torch.from_numpy(candidates.sample[:64])
    target = (torch.arange(len(points)) % 2)[:, None]
    if len(points) > 1:
        fit_head(Design(points, target, "binary", balanced=False), 1.0, max_steps=2)
