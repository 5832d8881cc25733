"""`Trust`: how good the labels of a behavior are, estimated from random draws.

A random draw takes one of five bands of falling probability with the same chance, and in it a frame with the same
chance; its segment is shown. Draws are weighted back to all frames (importance sampling, as in Sawade et al. 2010,
"Active estimation of F-measures", and Marchant & Rubinstein 2017, OASIS). A draw is scored by a head that learned
nothing of its recording. With one recording that is impossible: the estimate is then too good, and `Trust` says so.

Intervals are Bayesian (Rubin 1981): weights of the draws of each band are resampled from their Dirichlet posterior. The
prior of a band is one draw that shows the behavior as often as the calibrated head says. Without it, a band in which
nothing was found yet would be certain to hold nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from probe.labeling.decisions import NO, YES, Decisions
from probe.labeling.learner import BANDS, Head, Learner, bands_of
from probe.labeling.project import Event
from ssl_behavior.seeds import numpy_generator

__all__ = [
    "Calibration",
    "CalibrationPoint",
    "Estimate",
    "Trust",
    "assess",
    "calibrate",
    "held_out_heads",
    "seconds_to_reach",
]

SAMPLES = 400
COVERAGE = 0.95
FOLDS = 5
FRAMES_PER_DRAW = 12
FEWEST_DRAWS, FEWEST_POSITIVE = 30, 8
WIDEST = 0.5
"""An interval of the average precision that is wider says nothing."""
RANDOM_EVERY = 4
"""One of so many answers is random."""
_PRIOR = 1.0
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


@dataclass(frozen=True, kw_only=True)
class Trust:
    """An estimate of how good labels are.

    Parameters
    ----------
    enough : there are draws enough to say something.
    message : what the estimate is worth, a sentence.
    answers : decided random draws; `positives` of them show the behavior.
    threshold : probability from which frames count as predicted.
    precision, recall, ap, share : of the frames of all recordings; None = no estimate. `share` is that of the frames
        that show the behavior.
    calibrated : map from logits of the head to probabilities.
    """

    enough: bool
    message: str
    answers: int
    positives: int
    threshold: float = 0.5
    precision: Estimate | None = None
    recall: Estimate | None = None
    ap: Estimate | None = None
    share: Estimate | None = None
    calibration: tuple[CalibrationPoint, ...] = ()
    calibrated: Calibration = field(default_factory=Calibration)


@dataclass(frozen=True, eq=False)
class _Draws:
    """Frames of the decided draws.

    Parameters
    ----------
    logits : of heads that did not learn the recording, float64 [frame].
    positive : bool [frame].
    draw : number of each frame's draw, int64 [frame].
    band, weight : of each draw, see `BANDS`; 1 over its chance, for each of its frames.
    frames : number of frames of each draw.
    """

    logits: np.ndarray
    positive: np.ndarray
    draw: np.ndarray
    band: np.ndarray
    weight: np.ndarray
    frames: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", np.bincount(self.draw, minlength=len(self.band)))

    @property
    def num_positive(self) -> int:
        return len(np.unique(self.draw[self.positive]))


def assess(learner: Learner, decisions: Decisions, threshold: float = 0.5, seed: int = 0) -> Trust:
    """The estimate of a behavior's labels.

    Parameters
    ----------
    learner : fitted; its head is the one that is assessed.
    threshold : probability from which frames count as predicted.
    """
    drawn = decisions.draws(learner.behavior)
    decided = [event for event in drawn if decisions.is_decided(event)]
    if learner.head is None:
        return Trust(
            enough=False,
            message="There is no positive yet, so nothing is predicted.",
            answers=len(decided),
            positives=0,
        )
    draws = _draws(learner, decisions, decided)
    if draws is None:
        return Trust(enough=False, message=_too_few(0, 0), answers=0, positives=0)
    calibration = calibrate(draws.logits, draws.positive, draws.weight[draws.draw])
    return _estimated(learner, draws, calibration, threshold, seed)


def _draws(learner: Learner, decisions: Decisions, events: Sequence[Event]) -> _Draws | None:
    heads = held_out_heads(learner)
    bands = learner.bands()
    logits, positive, draw, band, weight = [], [], [], list[int](), list[float]()
    for event in events:
        states = decisions.states(event.behavior, event.row)[event.start : event.stop]
        every = max(1, math.ceil(len(states) / FRAMES_PER_DRAW))
        known = np.flatnonzero((states == YES) | (states == NO))[::every]
        if not len(known):
            continue
        number = learner.numbers[event.row]
        head = heads[learner.candidates.rows[number].recording]
        logits.append(learner.frame_logits(head, event.row, event.start, event.stop)[known])
        positive.append(states[known] == YES)
        draw.append(np.full(len(known), len(band)))
        band.append(int(bands[learner.candidates.at(number, event.start, event.stop).start]))
        weight.append(event.weight or 1.0)
    if not band:
        return None
    return _Draws(
        np.concatenate(logits).astype(np.float64), np.concatenate(positive), np.concatenate(draw), np.array(band),
        np.array(weight, np.float64),
    )  # fmt: skip


def held_out_heads(learner: Learner) -> dict[str, Head]:
    """Recording -> a head that learned nothing of it, where there is one; else the head of all.

    Recordings are in five folds; each fold is left out by one head.
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


def calibrate(logits: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> Calibration:
    """Slope and offset that fit weighted frames best (Platt 1999), kept near 1 and to the weighted share by few.

    Parameters
    ----------
    logits, positive, weight : of frames.
    """
    weight = weight / weight.mean()
    # One frame in `FRAMES_PER_DRAW` is independent: frames of a draw agree.
    weight = weight / FRAMES_PER_DRAW
    slope, offset = 1.0, 0.0
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(slope * logits + offset, -30, 30)))
        wrong = weight * (probability - positive)
        curve = weight * probability * (1 - probability)
        gradient = np.array([wrong @ logits + 2 * (slope - 1), wrong.sum() + 0.02 * offset])
        hessian = np.array([[curve @ logits**2 + 2, curve @ logits], [curve @ logits, curve.sum() + 0.02]])
        step = np.linalg.solve(hessian, gradient)
        step = np.clip(step, -1, 1)
        slope, offset = slope - step[0], offset - step[1]
        if abs(step).max() < 1e-6:
            break
    return Calibration(float(max(slope, 0.05)), float(offset))


def _estimated(learner: Learner, draws: _Draws, calibration: Calibration, threshold: float, seed: int) -> Trust:
    assert learner.head is not None
    masses, logits, positive = _posterior(learner, draws, calibration, seed)
    predicted = calibration.probability(logits) >= threshold
    total = masses.sum(axis=1)
    hits = masses[:, predicted & positive].sum(axis=1)
    shown = masses[:, positive].sum(axis=1)
    claimed = masses[:, predicted].sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / claimed, hits / shown
    average = _average_precisions(logits, positive, masses)
    found = {name: _interval(values) for name, values in (
        ("precision", precision), ("recall", recall), ("ap", average), ("share", shown / total),
    )}  # fmt: skip
    answers, positives = len(draws.band), draws.num_positive
    enough = answers >= FEWEST_DRAWS and positives >= FEWEST_POSITIVE
    ap = found["ap"]
    wide = ap is None or ap.high - ap.low > WIDEST
    alone = len({row.recording for row in learner.candidates.rows}) < 2
    return Trust(
        enough=enough and not wide,
        message=_message(answers, positives, wide, alone),
        answers=answers,
        positives=positives,
        threshold=threshold,
        calibration=_calibration_points(calibration, logits, positive, masses),
        calibrated=calibration,
        **found,
    )


def _message(answers: int, positives: int, wide: bool, alone: bool) -> str:
    if answers < FEWEST_DRAWS or positives < FEWEST_POSITIVE:
        return _too_few(answers, positives)
    if wide:
        return "The interval is so wide that the estimate is worth nothing yet: answer more."
    if alone:
        return (
            "There is one recording, so that the estimate is about frames beside those that were answered: expect less "
            "of other recordings."
        )
    return "An estimate for recordings without answers, from the random share of your answers."


def _too_few(answers: int, positives: int) -> str:
    return (
        f"The estimate is worth nothing yet: it needs {FEWEST_DRAWS} random answers, {FEWEST_POSITIVE} of them with "
        f"the behavior, and has {answers} with {positives}."
    )


def _posterior(
    learner: Learner, draws: _Draws, calibration: Calibration, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples of the mass of frames, float64 [sample, frame], and their logits and states.

    Of each band, two frames come last that nobody saw: the prior, one that shows the behavior and one that does not.
    """
    assert learner.head is not None
    generator = numpy_generator(seed, "posterior of labeling")
    scores, frames = learner.head.logits, learner.candidates.frames
    bands = bands_of(scores, frames)
    masses, logits, positive = [], [draws.logits], [draws.positive]
    whole = np.zeros((SAMPLES, len(draws.band)))
    for band in range(len(BANDS)):
        own, inside = draws.band == band, bands == band
        if not inside.any():
            continue
        share = frames[inside].sum() / frames.sum()
        expected = float(np.average(calibration.probability(scores[inside]), weights=frames[inside]))
        strength = _strength(draws.weight[own])
        prior = _PRIOR * np.array([expected, 1 - expected])
        drawn = generator.standard_gamma(np.concatenate([strength, prior]), (SAMPLES, len(strength) + 2))
        drawn *= share / np.maximum(drawn.sum(axis=1, keepdims=True), 1e-300)
        whole[:, own] = drawn[:, :-2]
        masses.append(drawn[:, -2:])
        typical = float(np.median(scores[inside]))
        logits.append(np.array([typical, typical]))
        positive.append(np.array([True, False]))
    seen = whole[:, draws.draw] / draws.frames[draws.draw]
    return np.concatenate([seen, *masses], axis=1), np.concatenate(logits), np.concatenate(positive)


def _strength(weight: np.ndarray) -> np.ndarray:
    """Parameters of the draws' Dirichlet distribution: in proportion to weights, in sum their effective number."""
    if not len(weight):
        return weight
    return weight / weight.sum() * (weight.sum() ** 2 / (weight**2).sum())


def _average_precisions(logits: np.ndarray, positive: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Average precision of each sample of masses, float64 [sample]; equal logits share one threshold."""
    order = np.argsort(-logits, kind="stable")
    last = np.append(np.diff(logits[order]) != 0, True)
    mass, shows = masses[:, order], positive[order]
    claimed = np.cumsum(mass, axis=1)[:, last]
    hits = np.cumsum(mass * shows, axis=1)[:, last]
    gained = np.diff(hits, axis=1, prepend=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(claimed > 0, hits / claimed, 0.0)
        return (precision * gained).sum(axis=1) / hits[:, -1]


def _interval(values: np.ndarray) -> Estimate | None:
    """Median and interval of the samples that are defined; None if fewer than half are."""
    known = values[np.isfinite(values)]
    if 2 * len(known) < len(values):
        return None
    rest = (1 - COVERAGE) / 2
    low, middle, high = np.quantile(known, [rest, 0.5, 1 - rest])
    return Estimate(float(middle), float(low), float(high))


def _calibration_points(
    calibration: Calibration, logits: np.ndarray, positive: np.ndarray, masses: np.ndarray
) -> tuple[CalibrationPoint, ...]:
    probability = calibration.probability(logits)
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    found = []
    for number in range(_BINS):
        own = place == number
        mass = masses[:, own].sum(axis=1)
        if not own.any() or not (mass > 0).any():
            continue
        share = _interval(masses[:, own & positive].sum(axis=1) / np.maximum(mass, 1e-300))
        if share is not None:
            mean = float((masses[:, own] @ probability[own]).mean() / mass.mean())
            found.append(CalibrationPoint(mean, share.value, share.low, share.high, float(mass.mean())))
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
            f"The precision is about {now.value:.0%}, below {target:.0%}. More answers may raise it; a higher limit of "
            "the probability raises it at once, and finds less."
        )
    if seconds_per_answer is None:
        return None, "The time of an answer is not known yet."
    more = trust.answers * (((now.value - now.low) / (now.value - target)) ** 2 - 1)
    seconds = more * RANDOM_EVERY * seconds_per_answer
    return seconds, f"About {math.ceil(more * RANDOM_EVERY):,} more answers, of which {math.ceil(more):,} are random."
