"""Window classifiers of `probe.calms21.baselines` as systems, from scratch or from a parent network."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from probe.calms21.baselines import BaselineConfig, Inputs, TrainedBaseline, assemble_inputs, fit_baseline
from probe.calms21.baselines.layers import OBSERVED
from probe.calms21.baselines.trained_baseline import load_baseline, save_baseline
from probe.calms21.baselines.training import loss_weights
from probe.calms21.systems.base import Advance, FittedSystem, Problem, System, labels_digest
from probe.calms21.systems.frozen import matrix_digest
from probe.experiment import BALANCED, PLAIN, balance_probabilities
from probe.representations import Matrix, Representation
from ssl_behavior.store import StoreRow

__all__ = ["ParentNetwork", "WindowClassifier"]


@dataclass(frozen=True, eq=False)
class ParentNetwork:
    """The initial network of a classifier, trained once per seed on recordings of its own.

    Parameters
    ----------
    system : the parent's system, which has no parent itself; with a folder its networks are cached.
    problem : the parent's problem, such as Task 1 before Task 2.
    rows : training recordings of the parent, which must not be evaluated later.
    """

    system: "WindowClassifier"
    problem: Problem
    rows: tuple[StoreRow, ...]
    _trained: dict[int, TrainedBaseline] = field(default_factory=dict, repr=False)

    @property
    def settings(self) -> dict[str, Any]:
        return self.system.training_inputs(self.problem, self.rows)

    def trained(self, seed: int, advance: Advance) -> TrainedBaseline:
        """The parent of a seed, trained on first use."""
        if seed not in self._trained:
            self._trained[seed] = self.system.train(self.problem, self.rows, seed, advance)
        return self._trained[seed]


class WindowClassifier(System):
    """A network on the window around each frame.

    Parameters
    ----------
    name, source : see `System`.
    config : network, window and training (`probe.calms21.baselines.configs` has the published configurations).
    features : additional inputs, such as an embedding; seed s reads array s modulo their number.
    parent : the parent network, if `config.transfer` needs one.
    device, precision : of the training; predictions are float32.
    folder : cache of trained networks; None = no cache.
    """

    def __init__(
        self,
        name: str,
        source: str,
        config: BaselineConfig,
        features: Representation | None = None,
        parent: ParentNetwork | None = None,
        device: torch.device | None = None,
        precision: torch.dtype = torch.float32,
        folder: Path | None = None,
    ) -> None:
        self.name, self.source, self.config, self.features, self.parent = name, source, config, features, parent
        self.folder = folder
        self.device, self.precision = device or torch.device("cpu"), precision

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "system": "windows",
            "network": type(self.config.network).__name__,
            "config": asdict(self.config),
            "features": matrix_digest(self.features.arrays) if self.features else None,
            "parent": self.parent.settings if self.parent else None,
            "precision": str(self.precision).removeprefix("torch."),
        }

    @property
    def extra_training_rows(self) -> tuple[StoreRow, ...]:
        return self.parent.rows if self.parent else ()

    def _fit(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> FittedSystem:
        trained = self.train(problem, rows, seed, advance)
        weights = loss_weights(self.config.class_weights, problem.task, problem.targets(rows))
        return _FittedWindowClassifier(problem, trained, self._array(seed), _weighted_shares(trained, weights))

    def training_inputs(self, problem: Problem, rows: Sequence[StoreRow]) -> dict[str, Any]:
        """All inputs of a trained network besides tracks and seed, JSON-ready."""
        return {
            "system": self.settings,
            "task": problem.task.to_dict(),
            "rows": [row.id for row in rows],
            "labels": labels_digest(problem, rows),
        }

    def train(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> TrainedBaseline:
        """The trained network, from the cache if there is one.

        Raises
        ------
        InputError
            As `probe.calms21.baselines.fit_baseline`.
        """
        if self.folder is None:
            return self._train(problem, rows, seed, advance)
        known = json.dumps([self.training_inputs(problem, rows), problem.store.fingerprint(), seed], sort_keys=True)
        place = self.folder / f"network-{hashlib.sha256(known.encode()).hexdigest()[:32]}"
        if place.exists():
            found = load_baseline(place)
            found.network.to(self.device)
            return found
        trained = self._train(problem, rows, seed, advance)
        save_baseline(place, trained)
        return trained

    def _train(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> TrainedBaseline:
        parent = self.parent.trained(seed, advance) if self.parent else None
        inputs = _inputs(problem, rows, self.config, self._array(seed), parent).to(self.device)
        return fit_baseline(
            problem.store, problem.task, rows, self.config, inputs, seed, self.precision, parent, advance
        )  # fmt: skip

    def _array(self, seed: int) -> Matrix | None:
        return self.features.array(seed) if self.features else None


def _inputs(
    problem: Problem,
    rows: Sequence[StoreRow],
    config: BaselineConfig,
    features: Matrix | None,
    like: TrainedBaseline | None,
) -> Inputs:
    """Inputs of `rows`, assembled as in the training of `like`."""
    scaling, observed = (like.scaling, OBSERVED in like.layout.groups) if like else (None, None)
    return assemble_inputs(problem.store, rows, rows, config.window, features, scaling, observed)


def _weighted_shares(trained: TrainedBaseline, weights: torch.Tensor | None) -> np.ndarray:
    """[class]: weighted share of every class in the training frames, the prior of the trained network.

    Division by the unweighted shares would count the class weights of the training twice.
    """
    share = np.array(trained.shares)
    if weights is None:
        return share
    negative, positive = weights.double().numpy()
    weighed = share * positive
    total = weighed.sum() if trained.kind == "multinomial" else weighed + (1 - share) * negative
    return weighed / np.maximum(total, 1e-12)


class _FittedWindowClassifier(FittedSystem):
    def __init__(self, problem: Problem, trained: TrainedBaseline, features: Matrix | None, share: np.ndarray) -> None:
        self.problem, self.trained, self.features, self.share = problem, trained, features, share

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        # One recording at a time, because the inputs of all recordings may not fit into memory.
        parts = [self._predict(row) for row in rows]
        plain = np.concatenate(parts) if parts else np.empty((0, self.problem.num_classes), np.float32)
        return {PLAIN: plain, BALANCED: balance_probabilities(plain, self.share, self.trained.kind)}

    def _predict(self, row: StoreRow) -> np.ndarray:
        return self.trained.predict(
            _inputs(self.problem, [row], self.trained.config, self.features, self.trained), [row]
        )

    @property
    def facts(self) -> dict[str, Any]:
        trained = self.trained
        return {
            "num_parameters": sum(p.numel() for p in trained.network.parameters()),
            "samples_seen": trained.samples_seen,
            "losses": [round(loss, 5) for loss in trained.losses],
        }
