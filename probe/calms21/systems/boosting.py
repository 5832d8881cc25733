"""A strong reference without a network: gradient-boosted trees on windowed hand features."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from probe.calms21.systems.base import Advance, FittedSystem, System, with_balanced
from probe.calms21.systems.frozen import matrix_digest
from probe.experiment import BALANCED, FITS, PLAIN, Problem, expand_classes
from probe.labeled_frames import learned_classes
from probe.representations import Frames, Matrix, Representation, all_frames, gather, sampled_frames
from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import derive_seed, numpy_generator
from ssl_behavior.store import StoreRow

__all__ = ["BoostedTrees", "BoostingConfig"]

PREDICTED_FRAMES = 65_536
MOST_BINS = 255


@dataclass(frozen=True, kw_only=True)
class BoostingConfig:
    """Gradient boosting on histograms.

    Parameters
    ----------
    iterations : number of trees per class.
    lr : learning rate.
    leaves, min_leaf_frames : maximum leaves of a tree, and minimum frames of a leaf. Adjacent frames are similar, so
        small leaves overfit.
    l2 : penalty of leaf values.
    bins : bins per feature.
    stride : trees are fitted to every `stride`-th annotated frame.
    most_columns : maximum number of features, drawn at random; 0 = all.
    separate_balanced : fit trees for balanced classes too; False = plain probabilities by Bayes' rule, in half the
        time.

    Raises
    ------
    InputError
        If a number is too small, or there are more than 255 bins.
    """

    iterations: int = 150
    lr: float = 0.1
    leaves: int = 31
    min_leaf_frames: int = 50
    l2: float = 1.0
    bins: int = 127
    stride: int = 5
    most_columns: int = 0
    separate_balanced: bool = True

    def __post_init__(self) -> None:
        leasts = {"iterations": 1, "leaves": 2, "min_leaf_frames": 1, "bins": 2, "stride": 1, "most_columns": 0}
        for name, least in leasts.items():
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.bins > MOST_BINS:
            raise InputError(f"bins must be at most {MOST_BINS}, got {self.bins}")
        if not self.lr > 0 or self.l2 < 0:
            raise InputError(f"lr must be above 0 and l2 at least 0, got lr {self.lr}, l2 {self.l2}")


class BoostedTrees(System):
    """scikit-learn's `HistGradientBoostingClassifier` on windowed hand features (`probe.references.hand_features`).

    The recipe of the strongest published results without a network on CalMS21 Task 1 (the vassi package, 2025:
    speeds, projected velocities, angles and distances at several lags, boosted trees, balanced classes, about 103,000
    training frames: macro F1 .804, with smoothing .838, with thresholds .840), here with the hand features of this
    package and the trees of scikit-learn. `crossfit` adds smoothing and thresholds. Trees split on ranks, so features
    need no scaling; missing features are 0, with a visibility column.

    An iteration (four classes, 600 columns) took .33 s on 10,000 frames and .48 s on 40,000, on one core: 100,000
    frames take some two minutes of one core for each of the two fits, and 1 GB. Expected on the rats (train 01-30,
    scored 31-38, S1, aggression and social) with an eighth of the frames and 40 iterations: .587 AP, .532 balanced F1.

    Parameters
    ----------
    representation : one matrix per pretraining seed, as in `FrozenProbe`.
    """

    source = "hand features over windows and gradient boosting (after vassi, 2025)"

    def __init__(self, representation: Representation, config: BoostingConfig | None = None) -> None:
        self.representation, self.config = representation, config or BoostingConfig()
        self.name = f"{representation.name}, boosted trees"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "system": "boosted trees",
            **asdict(self.config),
            "dim": self.representation.dim,
            "checkpoints": list(self.representation.checkpoints),
            "matrix": matrix_digest(self.representation.arrays),
        }

    def _fit(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> FittedSystem:
        array = self.representation.array(seed)
        frames = sampled_frames(rows, self.config.stride, seed)
        target = frames.take(problem.targets(rows))
        known = (target != NOT_ANNOTATED).any(axis=1)
        columns = _drawn(array.shape[1], self.config.most_columns, seed)
        values, target = gather(array, frames.where(known)).numpy()[:, columns], target[known]
        fits = FITS if self.config.separate_balanced else (PLAIN,)
        grown = {}
        for fit in fits:
            grown[fit] = [
                self._grow(values[labels >= 0], labels[labels >= 0], fit, seed) for labels in _labels(target, problem)
            ]
            advance(len(values) // len(fits))
        learned = learned_classes(target, problem.task.kind)
        return _FittedTrees(problem, tuple(rows), array, columns, grown, learned, len(values))

    def _grow(self, values: np.ndarray, labels: np.ndarray, fit: str, seed: int) -> HistGradientBoostingClassifier:
        config = self.config
        trees = HistGradientBoostingClassifier(
            max_iter=config.iterations,
            learning_rate=config.lr,
            max_leaf_nodes=config.leaves,
            min_samples_leaf=config.min_leaf_frames,
            l2_regularization=config.l2,
            max_bins=config.bins,
            # Random validation frames adjoin training frames, so their loss would never trigger early stopping.
            early_stopping=False,
            class_weight="balanced" if fit == BALANCED else None,
            random_state=derive_seed(seed, "trees") % 2**32,
        )
        return trees.fit(values, labels)


def _drawn(dim: int, most: int, seed: int) -> slice | np.ndarray:
    if not 0 < most < dim:
        return slice(None)
    return np.sort(numpy_generator(seed, "columns").choice(dim, most, replace=False))


def _labels(target: np.ndarray, problem: Problem) -> list[np.ndarray]:
    """Labels int [frames] of each classifier, -1 = not annotated: exclusive classes, or yes and no of each class."""
    if problem.task.kind == "multinomial":
        return [target.argmax(axis=1)]
    return [target[:, column] for column in learned_classes(target, "binary")]


class _FittedTrees(FittedSystem):
    def __init__(
        self,
        problem: Problem,
        rows: tuple[StoreRow, ...],
        array: Matrix,
        columns: slice | np.ndarray,
        grown: dict[str, list[HistGradientBoostingClassifier]],
        learned: tuple[int, ...],
        num_frames: int,
    ) -> None:
        self.problem, self.rows, self.array, self.columns = problem, rows, array, columns
        self.grown, self.learned, self.num_frames = grown, learned, num_frames

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        blocks: dict[str, list[np.ndarray]] = {fit: [] for fit in self.grown}
        for some in _blocks(rows):
            values = gather(self.array, some).numpy()[:, self.columns]
            for fit, trees in self.grown.items():
                blocks[fit].append(self._probabilities(trees, values))
        made = {
            fit: expand_classes(np.concatenate(parts), self.learned, self.problem.num_classes)
            for fit, parts in blocks.items()
        }
        return made if BALANCED in made else with_balanced(self.problem, self.rows, made[PLAIN])

    def _probabilities(self, trees: list[HistGradientBoostingClassifier], values: np.ndarray) -> np.ndarray:
        """float32 [frames, learned class]; the columns of a multinomial classifier are the learned classes in order."""
        if self.problem.task.kind == "multinomial":
            return trees[0].predict_proba(values).astype(np.float32)
        return np.stack([one.predict_proba(values)[:, 1] for one in trees], axis=1).astype(np.float32)

    @property
    def facts(self) -> dict[str, Any]:
        trees = [one for many in self.grown.values() for one in many]
        return {"num_trees": sum(one.n_iter_ * one.n_trees_per_iteration_ for one in trees)} | {
            "sampled_frames": self.num_frames,
        }


def _blocks(rows: Sequence[StoreRow]) -> list[Frames]:
    """All frames of the recordings in blocks, because trees read them in double precision."""
    every = all_frames(rows)
    return [
        Frames((row,), (pick[start : start + PREDICTED_FRAMES],))
        for row, pick in zip(every.rows, every.picks, strict=True)
        for start in range(0, len(pick), PREDICTED_FRAMES)
    ]
