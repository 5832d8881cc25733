"""Scores of predicted bouts: matches, edges, fragments, and the measures of BANOS.

Scores of frames do not tell whether a behavior was found once or in ten pieces, nor when it began. Here one bout is the
unit. All scores are of one behavior, from its true and its predicted bouts in the same recordings.

Two bouts overlap if they share a frame. Their intersection over union (IoU) is the number of shared frames over the
number of frames of either. Matching is one to one: the overlapping pair with the greatest IoU is matched first, then
the next one whose two bouts are still free, and so on (the earlier pair first among equals). Sources of definitions:

- F1 at IoU thresholds is the score of temporal action segmentation (Lea et al. 2017, arXiv:1611.05267): a match
  counts if its IoU reaches the threshold, and all other bouts are errors. JABS counts a true bout as found if the IoU
  with any predicted one exceeds the threshold (github.com/KumarLabJax/JABS-postprocess). Below one half, one long
  prediction can then find several bouts; here it finds one. From one half on both agree, but for an IoU exactly at the
  threshold, which JABS counts neither as found nor as missed.
- BANOS (Chindemi, Bellone and Girard 2025, arXiv:2508.04255; github.com/BelloneLab/BANOS) has four measures: detection
  accuracy (precision, recall, F1 of bouts that overlap at all), segment overlap, temporal precision and intra-bout
  continuity. BANOS scores each file and takes the mean; a file without the behavior has 1 if none was predicted, else
  0. Here bouts of all recordings are pooled, and such a recording adds its false bouts only.

Frames without annotation never count. They cut a bout, true or predicted, as an end of the recording does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from ssl_behavior.errors import InputError
from ssl_behavior.metrics import PooledCount, PooledMedian, PooledRatio, PooledScore

__all__ = [
    "BOUT_SCORES",
    "IOU_THRESHOLDS",
    "BoutComparison",
    "BoutSpans",
    "bout_scores",
    "bout_spans",
    "compare_bouts",
    "pooled_bout_scores",
]

IOU_THRESHOLDS = (0.1, 0.25, 0.5, 0.75)
"""Least intersection over union of a match, from lenient to strict."""

BOUT_SCORES = (
    *(f"{score}_{round(100 * least)}" for score in ("f1", "precision", "recall") for least in IOU_THRESHOLDS),
    "onset", "onset_absolute", "offset", "offset_absolute", "fragments", "merged", "true_bouts", "predicted_bouts",
    "true_duration", "predicted_duration", "detection_precision", "detection_recall", "detection_f1",
    "segment_overlap", "temporal_precision", "continuity",
)  # fmt: skip
"""Names of all scores; None or NaN = undefined. A number in a name is the least IoU in percent.

- f1_50, precision_50, recall_50: of bouts, with the matches of this IoU or more. F1 is undefined without a true bout,
  and 0 if there are true bouts and no predicted ones.
- onset, offset: median of predicted minus true onset (offset) over all matched bouts, in seconds; positive = too late.
  The ending `absolute`: median of the size of the error. Edges where the recording or its annotation begins or ends
  are unknown and left out.
- fragments: number of predicted bouts that overlap a true bout, mean over the true bouts that any overlaps.
- merged: number of true bouts that overlap a predicted bout, mean over the predicted bouts that any overlaps.
- true_bouts, predicted_bouts: number of bouts. true_duration, predicted_duration: their median length in seconds.
- detection_f1, detection_precision, detection_recall: BANOS' detection accuracy, with as many one-to-one matches of
  overlapping bouts as possible, of any IoU.
- segment_overlap: BANOS' mean IoU of all overlapping pairs.
- temporal_precision: BANOS' mean of 1 / (1 + a + b) over all overlapping pairs, where a and b are the sizes of the
  onset error and the offset error in frames, so that it depends on the frame rate.
- continuity: BANOS' mean of 1 - switches / (frames - 1) over the true bouts of two frames or more. A switch is a change
  of the prediction between two frames of the bout, so a bout that is missed altogether has continuity 1.
"""


@dataclass(frozen=True, eq=False)
class BoutSpans:
    """Bouts of one behavior in order of time, none touching the next; recordings lie one after the other.

    Parameters
    ----------
    start, stop : frames, `stop` not included, int64 [bout].
    recording : number of the recording, int64 [bout].
    start_seen, stop_seen : bool [bout]; False = an end of the recording, or a frame without annotation, cuts the bout
        there.
    """

    start: np.ndarray
    stop: np.ndarray
    recording: np.ndarray
    start_seen: np.ndarray
    stop_seen: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    @property
    def frames(self) -> np.ndarray:
        """Length of each bout, int64 [bout]."""
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class BoutComparison:
    """True and predicted bouts, and all pairs that overlap, in order of time.

    Parameters
    ----------
    pairs : a true and a predicted bout, int64 [pair, 2].
    iou : intersection over union, float64 [pair], above 0.
    matched : bool [pair]; each bout is in one matched pair at most.
    """

    true: BoutSpans
    predicted: BoutSpans
    pairs: np.ndarray
    iou: np.ndarray
    matched: np.ndarray


def bout_spans(shown: np.ndarray, known: np.ndarray | None = None, lengths: Sequence[int] | None = None) -> BoutSpans:
    """The bouts of a behavior, from frames.

    >>> bout_spans(np.array([1, 1, 0, 1, 1, 1]) > 0, known=np.array([1, 1, 1, 1, 0, 1]) > 0).start.tolist()
    [0, 3, 5]

    Parameters
    ----------
    shown : bool [frames], the behavior is shown; recordings one after the other.
    known : bool [frames], the frame is annotated; None = all are.
    lengths : frames of each recording; None = a single recording.

    Raises
    ------
    InputError
        If `known` or `lengths` do not fit the frames.
    """
    lengths = [len(shown)] if lengths is None else lengths
    known = np.ones(len(shown), bool) if known is None else known
    if len(known) != len(shown) or sum(lengths) != len(shown):
        raise InputError(
            f"`shown` has {len(shown)} frames, `known` {len(known)} and `lengths` {sum(lengths)}; all must agree"
        )
    states = np.where(known, shown.astype(np.int8), np.int8(-1))
    firsts = np.cumsum([0, *lengths])
    begins = np.ones(len(states) + 1, bool)
    begins[1:-1] = states[1:] != states[:-1]
    begins[firsts] = True
    edges = np.flatnonzero(begins)
    starts, stops = edges[:-1], edges[1:]
    recording = np.searchsorted(firsts, starts, side="right") - 1
    plain = states[starts] == 0
    # A neighboring run without the behavior, in the same recording, shows where a bout begins or ends.
    same = recording[1:] == recording[:-1]
    before, after = np.zeros((2, len(starts)), bool)
    before[1:], after[:-1] = plain[:-1] & same, plain[1:] & same
    bouts = states[starts] == 1
    return BoutSpans(starts[bouts], stops[bouts], recording[bouts], before[bouts], after[bouts])


def compare_bouts(true: BoutSpans, predicted: BoutSpans) -> BoutComparison:
    """All overlapping pairs of true and predicted bouts, and the one-to-one matching of the module's docstring."""
    first = np.searchsorted(predicted.stop, true.start, side="right")
    count = np.maximum(np.searchsorted(predicted.start, true.stop, side="left") - first, 0)
    ours = np.repeat(np.arange(len(true)), count)
    theirs = np.arange(len(ours)) + np.repeat(first - (np.cumsum(count) - count), count)
    shared = np.minimum(true.stop[ours], predicted.stop[theirs]) - np.maximum(true.start[ours], predicted.start[theirs])
    iou = shared / (true.frames[ours] + predicted.frames[theirs] - shared)
    pairs = np.stack([ours, theirs], axis=1)
    return BoutComparison(true, predicted, pairs, iou, _best_first(pairs, iou))


def _best_first(pairs: np.ndarray, iou: np.ndarray) -> np.ndarray:
    """Bool [pair]: pairs matched in descending order of IoU, each bout once.

    Each round matches, at once, all pairs that precede every other open pair of their two bouts.
    """
    matched, open_pairs = np.zeros(len(pairs), bool), np.arange(len(pairs))
    rank = np.empty(len(pairs), np.int64)
    rank[np.lexsort((open_pairs, -iou))] = open_pairs
    while len(open_pairs):
        ours, theirs, own = *pairs[open_pairs].T, rank[open_pairs]
        best = [np.full(side.max() + 1, len(pairs)) for side in (ours, theirs)]
        for lowest, side in zip(best, (ours, theirs), strict=True):
            np.minimum.at(lowest, side, own)
        chosen = (best[0][ours] == own) & (best[1][theirs] == own)
        matched[open_pairs[chosen]] = True
        taken = np.isin(ours, ours[chosen]) | np.isin(theirs, theirs[chosen])
        open_pairs = open_pairs[~taken]
    return matched


@dataclass(frozen=True, eq=False)
class _Pool:
    """Sums over the bouts of a group of recordings.

    Parameters
    ----------
    fps : float64 [recording].
    group : int64 [recording].
    """

    fps: np.ndarray
    group: np.ndarray

    @property
    def size(self) -> int:
        return int(self.group.max(initial=-1)) + 1

    def count(self, recording: np.ndarray) -> np.ndarray:
        """Number of bouts of each group, float64 [group], from the recording of each bout."""
        return np.bincount(self.group[recording], minlength=self.size).astype(np.float64)

    def mean(self, values: np.ndarray, recording: np.ndarray) -> PooledRatio:
        return PooledRatio(np.bincount(self.group[recording], values, self.size), self.count(recording))

    def median_seconds(self, frames: np.ndarray, recording: np.ndarray) -> PooledMedian:
        return PooledMedian(frames / self.fps[recording], self.group[recording], self.size)


def pooled_bout_scores(
    comparison: BoutComparison, fps: np.ndarray, group: np.ndarray | None = None
) -> dict[str, PooledScore]:
    """All scores by the names of `BOUT_SCORES`, which says what they are, pooled over recordings.

    Parameters
    ----------
    fps : frame rate of each recording, float64 [recording].
    group : what is resampled and listed, such as the video of each pair of animals: numbers from 0, int64 [recording];
        None = recordings.
    """
    pool = _Pool(fps, np.arange(len(fps)) if group is None else group)
    scores = _accuracies(comparison, pool) | _edge_errors(comparison, pool) | _pieces(comparison, pool)
    scores |= _banos_scores(comparison, pool)
    return {name: scores[name] for name in BOUT_SCORES}


def _accuracies(comparison: BoutComparison, pool: _Pool) -> dict[str, PooledScore]:
    """F1, precision and recall of matches at each threshold, and of as many matches as possible."""
    true = comparison.true.recording
    first = comparison.pairs[:, 0]
    found = {
        f"{{}}_{round(100 * least)}": pool.count(true[first[comparison.matched & (comparison.iou >= least)]])
        for least in IOU_THRESHOLDS
    }
    found["detection_{}"] = pool.count(true[_most_matches(comparison)])
    num_true, num_predicted = pool.count(true), pool.count(comparison.predicted.recording)
    scores: dict[str, PooledScore] = {}
    for name, hits in found.items():
        scores[name.format("f1")] = PooledRatio(2 * hits, num_true + num_predicted, num_true)
        scores[name.format("precision")] = PooledRatio(hits, num_predicted)
        scores[name.format("recall")] = PooledRatio(hits, num_true)
    return scores


def _most_matches(comparison: BoutComparison) -> np.ndarray:
    """True bouts in a one-to-one matching of as many overlapping bouts as possible, int64 [match]."""
    if not len(comparison.pairs):
        return np.empty(0, np.int64)
    shape = len(comparison.true), len(comparison.predicted)
    graph = csr_matrix((np.ones(len(comparison.pairs), np.int8), tuple(comparison.pairs.T)), shape)
    return np.flatnonzero(maximum_bipartite_matching(graph, perm_type="column") >= 0)


def _edge_errors(comparison: BoutComparison, pool: _Pool) -> dict[str, PooledScore]:
    """Onset and offset errors of matched bouts, where both edges are seen."""
    true, predicted, (ours, theirs) = comparison.true, comparison.predicted, comparison.pairs[comparison.matched].T
    scores: dict[str, PooledScore] = {}
    for name, late, seen in (
        ("onset", predicted.start[theirs] - true.start[ours], true.start_seen[ours] & predicted.start_seen[theirs]),
        ("offset", predicted.stop[theirs] - true.stop[ours], true.stop_seen[ours] & predicted.stop_seen[theirs]),
    ):
        recording = true.recording[ours[seen]]
        scores[name] = pool.median_seconds(late[seen], recording)
        scores[f"{name}_absolute"] = pool.median_seconds(np.abs(late[seen]), recording)
    return scores


def _pieces(comparison: BoutComparison, pool: _Pool) -> dict[str, PooledScore]:
    """Fragments and mergers, numbers and durations of bouts."""
    true, predicted, (ours, theirs) = comparison.true, comparison.predicted, comparison.pairs.T
    num_pairs = pool.count(true.recording[ours])
    return {
        "fragments": PooledRatio(num_pairs, pool.count(true.recording[np.unique(ours)])),
        "merged": PooledRatio(num_pairs, pool.count(predicted.recording[np.unique(theirs)])),
        "true_bouts": PooledCount(pool.count(true.recording)),
        "predicted_bouts": PooledCount(pool.count(predicted.recording)),
        "true_duration": pool.median_seconds(true.frames, true.recording),
        "predicted_duration": pool.median_seconds(predicted.frames, predicted.recording),
    }


def _banos_scores(comparison: BoutComparison, pool: _Pool) -> dict[str, PooledScore]:
    """Segment overlap, temporal precision and intra-bout continuity."""
    true, predicted, (ours, theirs) = comparison.true, comparison.predicted, comparison.pairs.T
    frames_off = np.abs(predicted.start[theirs] - true.start[ours]) + np.abs(predicted.stop[theirs] - true.stop[ours])
    switches = np.sort(np.concatenate([predicted.start, predicted.stop]))
    inside = np.searchsorted(switches, true.stop, side="left") - np.searchsorted(switches, true.start, side="right")
    several = true.frames > 1
    return {
        "segment_overlap": pool.mean(comparison.iou, true.recording[ours]),
        "temporal_precision": pool.mean(1 / (1 + frames_off), true.recording[ours]),
        "continuity": pool.mean(1 - inside[several] / (true.frames[several] - 1), true.recording[several]),
    }


def bout_scores(
    target: np.ndarray, predicted: np.ndarray, fps: float, lengths: Sequence[int] | None = None
) -> dict[str, float | None]:
    """All scores of one behavior, by the names of `BOUT_SCORES`; None = undefined.

    >>> scores = bout_scores(np.array([0, 1, 1, 1, 1, 0]), np.array([0, 0, 1, 1, 1, 0]) > 0, fps=10.0)
    >>> scores["f1_50"], scores["onset"], scores["fragments"]
    (1.0, 0.1, 1.0)

    Parameters
    ----------
    target : whole numbers [frames]: 1 = the behavior is shown, 0 = it is not, -1 = not annotated.
    predicted : bool [frames], the decision.
    fps : frame rate.
    lengths : frames of each recording, which lie one after the other; None = a single recording.

    Raises
    ------
    InputError
        If numbers of frames differ.
    """
    if len(predicted) != len(target):
        raise InputError(f"`target` has {len(target)} frames, `predicted` {len(predicted)}; expected equal numbers")
    known = target >= 0
    true, claimed = (bout_spans(shown, known, lengths) for shown in (target == 1, predicted))
    rates = np.full(1 if lengths is None else len(lengths), fps, np.float64)
    return {name: score.value() for name, score in pooled_bout_scores(compare_bouts(true, claimed), rates).items()}
