"""`Trust`: how good the labels of a behavior are, estimated from random draws.

A random draw takes one of four bands of falling probability with the same chance, and in it a frame with the same
chance; its segment is shown. Draws are weighted back to all frames (importance sampling, as in Sawade et al. 2010,
"Active estimation of F-measures", and Marchant & Rubinstein 2017, OASIS). Frames are scored by heads that learned
nothing of their recordings. Where only one recording has a "yes", that is impossible: the estimate is then too good,
and `Trust` says so.

A calibration curve (Platt 1999) is fitted to the draws, and corrected in each band by a factor. Precision, recall and
average precision follow from the corrected curve over a sample of all frames. Intervals are those of the factors: the
weights of a band's draws are sampled from their Dirichlet posterior (Rubin 1981). The prior of a band is three draws
that agree with the curve, of which at least .08 show the behavior: a band in which nothing was found yet may still hold
something. `benchmarks/quality_labeling.py` counts how often the intervals hold the truth.

A frame counts as the behavior from the probability with the best expected F1, unless an annotator chose another. Of a
rare behavior it is far below one half: at best it is half of the F1 (Lipton, Elkan & Naryanaswamy 2014).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from probe.labeling.decisions import NO, YES, Decisions
from probe.labeling.learner import BANDS, Head, Learner
from probe.labeling.project import Event
from ssl_behavior.seeds import numpy_generator

__all__ = [
    "Calibration",
    "CalibrationPoint",
    "Estimate",
    "Estimates",
    "Trust",
    "assess",
    "best_threshold",
    "calibrate",
    "held_out_heads",
    "seconds_to_reach",
]

SAMPLES = 400
FRAMES_PER_DRAW = 12
COVERAGE = 0.95
THRESHOLD = 0.5
"""Probability from which frames count as predicted, before there is an estimate."""
THRESHOLDS = (0.01, 0.99)
FOLDS = 5
FEWEST_DRAWS, FEWEST_POSITIVE = 40, 10
WIDEST = 0.5
"""An interval of the average precision that is wider says nothing."""
RANDOM_EVERY = 4
"""One of so many answers is random."""
_PRIOR, _LEAST = 3.0, 0.08
_TOWARD_ONE = np.array([0.1, 0.02])
"""Strength that keeps slope and offset of a calibration near 1 and 0."""
_BINS = 8


@dataclass(frozen=True)
class Estimate:
    """A value with the limits of a 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Map from a head's logit to a probability: logistic of slope x logit + offset."""

    slope: float = 1.0
    offset: float = 0.0

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities, in the shape of `logits`."""
        return 1 / (1 + np.exp(-(self.slope * logits + self.offset)))


@dataclass(frozen=True)
class CalibrationPoint:
    """Frames of similar probability: their mean probability, the share of them that shows the behavior with its
    interval, and their share of all frames."""

    probability: float
    share: float
    low: float
    high: float
    weight: float


@dataclass(frozen=True)
class Trust:
    """An estimate of how good labels are.

    Parameters
    ----------
    enough : there are draws enough to say something.
    message : what the estimate is worth, a sentence.
    answers : decided random draws; `positives` of them show the behavior.
    threshold : probability from which frames count as predicted.
    best_threshold : the one with the best expected F1; None = no estimate.
    precision, recall, f1, ap, share : of the frames of all recordings; None = no estimate. `share` is that of the
        frames that show the behavior.
    calibrated : map from logits of the head to probabilities.
    """

    enough: bool
    message: str
    answers: int
    positives: int
    threshold: float = THRESHOLD
    best_threshold: float | None = None
    precision: Estimate | None = None
    recall: Estimate | None = None
    f1: Estimate | None = None
    ap: Estimate | None = None
    share: Estimate | None = None
    calibration: tuple[CalibrationPoint, ...] = ()
    calibrated: Calibration = field(default_factory=Calibration)


@dataclass(frozen=True, eq=False)
class _Draws:
    """Frames of the decided draws.

    Parameters
    ----------
    logits : of heads that learned nothing of the recording, float64 [frame].
    shows : 1 = the behavior, 0 = not, float64 [frame].
    draw : number of each frame's draw, int64 [frame].
    weight : of each frame: 1 over the chance of its draw, shared by the draw's frames, float64 [frame].
    """

    logits: np.ndarray
    shows: np.ndarray
    draw: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(np.unique(self.draw))

    @property
    def positives(self) -> int:
        """Draws that show the behavior."""
        return len(np.unique(self.draw[self.shows > 0]))


def assess(learner: Learner, decisions: Decisions, seed: int = 0) -> Trust:
    """The estimate of a behavior's labels.

    Parameters
    ----------
    learner : fitted; its head is the one that is assessed.
    """
    chosen = decisions.threshold(learner.behavior)
    decided = [event for event in decisions.draws(learner.behavior) if decisions.is_decided(event)]
    if learner.head is None:
        message = "There is no positive yet, so nothing is predicted."
        return Trust(False, message, len(decided), 0, chosen or THRESHOLD)
    if decided:
        heads = held_out_heads(learner)
        draws = _draws(learner, decisions, decided, heads)
        if draws is not None:
            return _estimated(learner, draws, heads, chosen, seed)
    return Trust(False, _too_few(0, 0), 0, 0, chosen or THRESHOLD)


class _Known(NamedTuple):
    """An estimate, the number of the last event that it knows, and the threshold chosen then."""

    version: int
    chosen: float | None
    trust: Trust


class Estimates:
    """Estimates of the behaviors of a project, kept until answers make them stale.

    Parameters
    ----------
    decisions : of the project.
    seed : of the samples of intervals.
    """

    def __init__(self, decisions: Decisions, seed: int = 0) -> None:
        self._decisions, self._seed = decisions, seed
        self._known: dict[str, _Known] = {}
        self._histories: dict[str, dict[int, float]] = {}

    def of(self, learner: Learner, stale: int = 0) -> Trust:
        """The estimate of a learner that knows all answers, made anew if more than `stale` events came since."""
        behavior = learner.behavior
        version, chosen = self._decisions.version(behavior), self._decisions.threshold(behavior)
        known = self._known.get(behavior)
        if known is not None and known.chosen == chosen and version - known.version <= stale:
            return known.trust
        found = assess(learner, self._decisions, seed=self._seed)
        self._known[behavior] = _Known(version, chosen, found)
        if found.enough and found.ap is not None:
            answers = self._decisions.counts(behavior).answers
            self._histories.setdefault(behavior, {})[answers] = found.ap.value
        return found

    def calibration(self, behavior: str) -> Calibration:
        """Map from logits to probabilities of the last estimate; before the first, the head's own."""
        known = self._known.get(behavior)
        return Calibration() if known is None else known.trust.calibrated

    def threshold(self, behavior: str) -> float:
        """Probability from which frames count as the behavior, of the last estimate or as chosen."""
        known = self._known.get(behavior)
        return (self._decisions.threshold(behavior) or THRESHOLD) if known is None else known.trust.threshold

    def history(self, behavior: str) -> list[dict[str, float | int]]:
        """Average precision of the estimates of this session, by number of answers."""
        known = self._histories.get(behavior, {})
        return [{"answers": answers, "ap": ap} for answers, ap in sorted(known.items())]

    def facts(self, learner: Learner, target: float) -> dict[str, Any]:
        """The estimate of a behavior as JSON, with the time that a wanted precision may take."""
        found = self.of(learner)
        answers = self._decisions.standing(learner.behavior, "answer")
        taken = [event.seconds for event in answers if event.seconds]
        each = float(np.median(taken)) if taken else None
        needed, sentence = seconds_to_reach(found, target, each)
        values = asdict(found)
        del values["calibrated"]
        return values | {
            "seconds_per_answer": each, "target": target, "seconds_to_target": needed, "target_message": sentence,
            "history": self.history(learner.behavior),
        }  # fmt: skip


def _draws(learner: Learner, decisions: Decisions, events: Sequence[Event], heads: Mapping[str, Head]) -> _Draws | None:
    logits, shows, draws, weights = [], [], [], []
    for number, event in enumerate(events):
        states = decisions.states(event.behavior, event.row)[event.start : event.stop]
        # Of "not sure", nothing is known.
        known = np.flatnonzero(np.isin(states, (YES, NO)))[:: max(1, math.ceil(len(states) / FRAMES_PER_DRAW))]
        if len(known):
            head = heads[learner.candidates.rows[learner.numbers[event.row]].recording]
            logits.append(learner.frame_logits(head, event.row, event.start, event.stop)[known])
            shows.append(states[known] == YES)
            draws.append(np.full(len(known), number))
            weights.append(np.full(len(known), (event.weight or 1.0) / len(known)))
    if not logits:
        return None
    return _Draws(
        np.concatenate(logits).astype(np.float64), np.concatenate(shows).astype(np.float64), np.concatenate(draws),
        np.concatenate(weights),
    )  # fmt: skip


def held_out_heads(learner: Learner) -> dict[str, Head]:
    """Recording -> a head that learned nothing of it, where there is one; else the head of all.

    Recordings are in five folds; each fold is left out by one head. There is none if no other recording has a "yes".
    """
    assert learner.head is not None
    recordings = sorted({row.recording for row in learner.candidates.rows})
    found = dict.fromkeys(recordings, learner.head)
    if len(recordings) < 2:
        return found
    shuffled = numpy_generator(0, "folds of labeling").permutation(recordings).tolist()
    for fold in range(min(FOLDS, len(recordings))):
        own = shuffled[fold::FOLDS]
        head = learner.fit(leave_out=own)
        found |= dict.fromkeys(own, head) if head is not None else {}
    return found


def _sampled_logits(learner: Learner, heads: Mapping[str, Head]) -> np.ndarray:
    """Logits of the frames that stand for all, each by a head that learned nothing of its recording."""
    candidates = learner.candidates
    recordings = np.array([candidates.rows[number].recording for number in candidates.sample_row])
    logits = np.empty(len(recordings))
    for head in {id(one): one for one in heads.values()}.values():
        own = np.isin(recordings, [name for name, one in heads.items() if one is head])
        logits[own] = head.logits_of(candidates.sample[own])
    return logits


def calibrate(logits: np.ndarray, shows: np.ndarray, weight: np.ndarray) -> Calibration:
    """Slope and offset that fit weighted draws best (Platt 1999); few draws leave the slope near 1.

    Parameters
    ----------
    logits, shows, weight : of frames.
    """
    # One frame in `FRAMES_PER_DRAW` counts: frames of a draw agree.
    weight = weight / (FRAMES_PER_DRAW * max(float(weight.mean()), 1e-12))
    parameters = np.array([1.0, 0.0])
    columns = np.stack([logits, np.ones(len(logits))], axis=1)
    for _ in range(60):
        probability = 1 / (1 + np.exp(-np.clip(columns @ parameters, -30, 30)))
        gradient = columns.T @ (weight * (probability - shows)) + _TOWARD_ONE * (parameters - (1.0, 0.0))
        curve = weight * probability * (1 - probability)
        hessian = (columns * curve[:, None]).T @ columns + np.diag(_TOWARD_ONE)
        step = np.clip(np.linalg.solve(hessian, gradient), -1, 1)
        parameters -= step
        if abs(step).max() < 1e-6:
            break
    return Calibration(float(max(parameters[0], 0.05)), float(parameters[1]))


@dataclass(frozen=True, eq=False)
class _Grid:
    """Frames that stand for all, by falling logit.

    Parameters
    ----------
    logits, probability : float64 [frame]; the probability is calibrated.
    band : see `BANDS`, int64 [frame].
    """

    logits: np.ndarray
    probability: np.ndarray
    band: np.ndarray

    @classmethod
    def of(cls, logits: np.ndarray, calibration: Calibration) -> "_Grid":
        falling = -np.sort(-logits)
        rank = (np.arange(len(falling)) + 0.5) / len(falling)
        band = np.searchsorted(np.cumsum(BANDS)[:-1], rank, side="right")
        return cls(falling, calibration.probability(falling), band)

    def band_of(self, logits: np.ndarray) -> np.ndarray:
        """Bands of frames, int64 [frame]."""
        place = np.searchsorted(-self.logits, -logits)
        return self.band[np.minimum(place, len(self.band) - 1)]


def _estimated(learner: Learner, draws: _Draws, heads: Mapping[str, Head], chosen: float | None, seed: int) -> Trust:
    calibration = calibrate(draws.logits, draws.shows, draws.weight)
    grid = _Grid.of(_sampled_logits(learner, heads), calibration)
    shares = _posterior(grid, draws, seed)
    best = best_threshold(grid.probability, shares.mean(axis=0))
    threshold = chosen or best
    predicted, total = grid.probability >= threshold, shares.sum(axis=1)
    claimed, hits = int(predicted.sum()), shares[:, predicted].sum(axis=1)
    found = {
        "precision": _interval(hits / claimed) if claimed else None,
        "recall": _interval(hits / total),
        "f1": _interval(2 * hits / (claimed + total)),
        "ap": _interval(_average_precisions(shares)),
        "share": _interval(shares.mean(axis=1)),
    }
    answers, positives = len(draws), draws.positives
    enough = answers >= FEWEST_DRAWS and positives >= FEWEST_POSITIVE
    wide = found["ap"] is None or found["ap"].high - found["ap"].low > WIDEST
    alone = any(head is learner.head for head in heads.values())
    return Trust(
        enough=enough and not wide,
        message=_message(answers, positives, wide, alone, found["precision"]),
        answers=answers,
        positives=positives,
        threshold=threshold,
        best_threshold=best,
        calibration=_calibration_points(grid, shares),
        calibrated=calibration,
        **found,
    )


def _message(answers: int, positives: int, wide: bool, alone: bool, precision: Estimate | None) -> str:
    if answers < FEWEST_DRAWS or positives < FEWEST_POSITIVE:
        return _too_few(answers, positives)
    if wide:
        return "The interval is so wide that the estimate is worth nothing yet: answer more."
    if alone:
        return (
            "Too few recordings have a yes: a part of the estimate is about recordings that the model learned from. "
            "Expect less of others."
        )
    about = "It is about the recordings of this project, from the random share of your answers."
    if precision is None or precision.high - precision.low > WIDEST:
        return f"{about} The precision is not known yet: the model calls too few frames the behavior."
    return about


def _too_few(answers: int, positives: int) -> str:
    return (
        f"The estimate is worth nothing yet: it needs {FEWEST_DRAWS} random answers, {FEWEST_POSITIVE} of them with "
        f"the behavior, and has {answers} with {positives}."
    )


def _posterior(grid: _Grid, draws: _Draws, seed: int) -> np.ndarray:
    """Samples of the probability that a frame of the grid shows the behavior, float64 [sample, frame].

    It is the calibrated probability, times a factor for each band.
    """
    generator = numpy_generator(seed, "posterior of labeling")
    found, bands = np.empty((SAMPLES, len(grid.band))), grid.band_of(draws.logits)
    for band in np.unique(grid.band):
        inside, own = grid.band == band, bands == band
        expected = float(grid.probability[inside].mean())
        # The frames of a draw in a band are one observation.
        _, item = np.unique(draws.draw[own], return_inverse=True)
        weight = np.bincount(item, draws.weight[own])
        shows = np.bincount(item, draws.weight[own] * draws.shows[own]) / weight
        prior = np.array([max(_PRIOR * expected, _LEAST), _PRIOR * (1 - expected)])
        drawn = generator.standard_gamma(np.concatenate([_strength(weight), prior]), (SAMPLES, len(weight) + 2))
        share = drawn @ np.concatenate([shows, [1.0, 0.0]]) / np.maximum(drawn.sum(axis=1), 1e-300)
        factor = share / max(expected, 1e-12)
        found[:, inside] = np.minimum(1.0, grid.probability[inside] * factor[:, None])
    return found


def _strength(weight: np.ndarray) -> np.ndarray:
    """Parameters of the draws' Dirichlet distribution: in proportion to weights, in sum their effective number."""
    if not len(weight):
        return weight
    return weight / weight.sum() * (weight.sum() ** 2 / (weight**2).sum())


def best_threshold(probability: np.ndarray, shares: np.ndarray) -> float:
    """The probability from which frames must count for the best expected F1, within `THRESHOLDS`.

    Parameters
    ----------
    probability : of frames, falling, float64 [frame].
    shares : expected share of such frames that shows the behavior, float64 [frame].

    >>> best_threshold(np.array([0.9, 0.6, 0.3, 0.1]), np.array([0.9, 0.6, 0.3, 0.1]))
    0.6
    """
    hits, claimed = np.cumsum(shares), np.arange(1, len(shares) + 1)
    expected = 2 * hits / (claimed + hits[-1])
    return float(np.clip(probability[expected.argmax()], *THRESHOLDS))


def _average_precisions(shares: np.ndarray) -> np.ndarray:
    """Expected average precision of each sample, float64 [sample].

    Parameters
    ----------
    shares : probability that a frame shows the behavior, by falling rank, float64 [sample, frame].
    """
    hits, claimed = np.cumsum(shares, axis=1), np.arange(1, shares.shape[1] + 1)
    # A positive frame counts whole among those before it, the others by their probability.
    precision = (hits - shares + 1) / claimed
    return np.asarray((precision * shares).sum(axis=1) / np.maximum(hits[:, -1], 1e-300))


def _interval(values: np.ndarray) -> Estimate | None:
    """Median and interval of the samples that are defined; None if fewer than half are."""
    known = values[np.isfinite(values)]
    if 2 * len(known) < len(values):
        return None
    rest = (1 - COVERAGE) / 2
    low, middle, high = np.quantile(known, [rest, 0.5, 1 - rest])
    return Estimate(float(middle), float(low), float(high))


def _calibration_points(grid: _Grid, shares: np.ndarray) -> tuple[CalibrationPoint, ...]:
    place = np.minimum((grid.probability * _BINS).astype(int), _BINS - 1)
    found = []
    for number in np.unique(place):
        own = place == number
        share = _interval(shares[:, own].mean(axis=1))
        if share is not None:
            mean, weight = float(grid.probability[own].mean()), float(own.mean())
            found.append(CalibrationPoint(mean, share.value, share.low, share.high, weight))
    return tuple(found)


def seconds_to_reach(trust: Trust, target: float, seconds_per_answer: float | None) -> tuple[float | None, str]:
    """Expected annotation time until the interval of the precision lies above `target`, and a sentence about it.

    Intervals shrink with the root of the number of random answers, a quarter of all. Where the precision itself is
    below the target, no time is known: answers may raise it.
    """
    if not trust.enough or trust.precision is None:
        return None, "There is no estimate yet."
    now = trust.precision
    if now.low >= target:
        return 0.0, f"The precision is {target:.0%} or more already."
    if now.value <= target:
        return None, (
            f"The precision is about {now.value:.0%}, below {target:.0%}. More answers may raise it; a higher "
            "threshold raises it at once, and finds less."
        )
    if seconds_per_answer is None:
        return None, "The time of an answer is not known yet."
    more = trust.answers * (((now.value - now.low) / (now.value - target)) ** 2 - 1)
    seconds = more * RANDOM_EVERY * seconds_per_answer
    return seconds, f"About {math.ceil(more * RANDOM_EVERY):,} more answers, of which {math.ceil(more):,} are random."
