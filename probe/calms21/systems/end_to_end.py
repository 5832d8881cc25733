"""End-to-end systems: encoders trained with their heads by the pretraining job, joint, fine-tuned or from scratch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pretrain.config import RunConfig, run_config_from
from pretrain.recipes import RECIPES
from probe.calms21.encoder_cache import config_digest, trained_run
from probe.calms21.systems.base import Advance, CrossFitFold, FittedSystem, Problem, System, with_balanced
from probe.experiment import BALANCED, PLAIN, expand_classes
from probe.folds import assign_folds
from probe.labeled_frames import learned_classes
from ssl_behavior.checkpoint import best_streams, find_checkpoint, load_checkpoint
from ssl_behavior.device import choose_device
from ssl_behavior.errors import InputError
from ssl_behavior.joint_predictions import Style, predict_row, style_of, with_labels
from ssl_behavior.labeled_windows import labels_fingerprint
from ssl_behavior.methods import Joint
from ssl_behavior.store import Store, StoreRow

__all__ = ["EndToEnd", "EndToEndConfig"]


@dataclass(frozen=True, kw_only=True)
class EndToEndConfig:
    """A training of the pretraining job.

    Parameters
    ----------
    recipe : "joint", "joint_mabe2021" or "finetune".
    settings : changes of the recipe, dotted keys of a `RunConfig` and their values, such as {"steps": 400}.
    init : initial runs; seed s starts from run s modulo their number.
    tracks : ids or globs of the training tracks; none = all of the store.
    labeled_only : the training tracks are those of the labeled training recordings, and `tracks` is ignored.
    all_tasks : train on every label stream of the recordings; False = on the problem's stream.
    best : use the checkpoint with the best labels of the problem's stream on the run's held-out recordings, as the MABe
        2021 winner did, or with the best validation loss if they lack the stream. False = use the last checkpoint and
        train on all recordings: on the rats, holding out 3 of 30 recordings cost more than it gained.

    Raises
    ------
    InputError
        If rare classes are sampled more often: balanced probabilities assume the class shares of the labels.
    """

    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    init: tuple[Path, ...] = ()
    tracks: tuple[str, ...] = ()
    labeled_only: bool = False
    all_tasks: bool = False
    best: bool = False

    def __post_init__(self) -> None:
        if "data.sampling.rare_share" in self.settings:
            raise InputError(
                "data.sampling.rare_share: F1 balanced assumes the class shares of the labels, so rare classes cannot "
                "be sampled more often; leave it out"
            )


class EndToEnd(System):
    """An encoder and its label heads, trained on labels by the pretraining job.

    Problems with the same training recordings and settings share one run: a joint model of several tasks is trained
    once. Its validation recordings are drawn from the training recordings.

    Parameters
    ----------
    name, source : see `System`.
    runs : folder for the runs and their logs; an interrupted run continues.
    store : of `extra_rows`.
    extra_rows : training recordings of other tasks for a joint model; never an evaluated recording.
    device, precision : of predictions; the settings of `config` have those of the training.
    """

    def __init__(
        self,
        name: str,
        source: str,
        config: EndToEndConfig,
        runs: Path,
        store: Store,
        extra_rows: Sequence[StoreRow] = (),
        device: torch.device | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.name, self.source, self.config, self.runs, self.extra_rows = name, source, config, runs, tuple(extra_rows)
        self.device, self.precision = device or choose_device(), precision
        self._store = store
        self._init = [load_checkpoint(path).fingerprint() for path in config.init]
        self._extra_labels = labels_fingerprint([(store, row) for row in extra_rows])

    @property
    def settings(self) -> dict[str, Any]:
        config = asdict(self.config) | {"init": self._init}
        if self.config.labeled_only:
            del config["tracks"]
        return {
            "system": "end to end",
            **config,
            "configuration": config_digest(self._configured({})),
            "also": [row.id for row in self.extra_rows],
            "labels": self._extra_labels,
        }

    @property
    def extra_training_rows(self) -> tuple[StoreRow, ...]:
        return self.extra_rows

    def folds(self, problem: Problem, rows: Sequence[StoreRow], num_folds: int, seed: int) -> list[CrossFitFold]:
        """Folds over the recordings of all tasks, so that the tasks share the runs of a joint model.

        If the problem would get fewer folds than on its own, its recordings are split alone.
        """
        alone = super().folds(problem, rows, num_folds, seed)
        all_rows = sorted({row.id: row for row in (*rows, *self.extra_rows)}.values(), key=lambda row: row.offset)
        if not self.config.all_tasks:
            return alone
        positive, frames = _class_frames(self._store, all_rows), np.array([row.frames for row in all_rows])
        fold_of = assign_folds(positive, frames, min(num_folds, len(all_rows)), seed)
        folds = []
        for fold in range(max(fold_of) + 1):
            left_out = {row.id for row, own in zip(all_rows, fold_of, strict=True) if own == fold}
            if held_out := tuple(row for row in rows if row.id in left_out):
                folds.append(CrossFitFold(self._without(left_out), held_out))
        return folds if len(folds) >= len(alone) else alone

    def _without(self, left_out: Collection[str]) -> "EndToEnd":
        extra_rows = [row for row in self.extra_rows if row.id not in left_out]
        return EndToEnd(
            self.name, self.source, self.config, self.runs, self._store, extra_rows, self.device, self.precision
        )

    def _fit(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> FittedSystem:
        """Train, or continue or reuse a run of the same inputs.

        Raises
        ------
        InputError
            As the pretraining job.
        """
        run = self._trained(problem, rows, seed)
        checkpoint = self._chosen(problem, run)
        method = with_labels(load_checkpoint(checkpoint), str(run))
        advance(sum(row.frames for row in rows))
        return _FittedEncoder(problem, method.to(self.device), rows, checkpoint, self.precision)

    def _chosen(self, problem: Problem, run: Path) -> Path:
        if not self.config.best:
            return find_checkpoint(run)
        (stream,) = problem.task.streams
        return find_checkpoint(run, best=stream if stream in best_streams(run) else True)

    def _trained(self, problem: Problem, rows: Sequence[StoreRow], seed: int) -> Path:
        labels = labels_fingerprint([(problem.store, row) for row in self._labeled(problem, rows)])
        config = self._configured(self._settings(problem, rows, seed))
        return trained_run(self.runs, problem.store, self.config.recipe, config, [labels, self._init])

    def _configured(self, settings: Mapping[str, Any]) -> RunConfig:
        return run_config_from(RECIPES[self.config.recipe](), self.config.settings, settings, where="settings")

    def _settings(self, problem: Problem, rows: Sequence[StoreRow], seed: int) -> dict[str, Any]:
        """Changes of the recipe for these recordings and this seed."""
        config = self.config
        labeled = tuple(row.id for row in self._labeled(problem, rows))
        settings: dict[str, Any] = {
            "seed": seed,
            "data.labeled": labeled,
            "data.streams": tuple(self._streams(problem, rows)),
            "data.recordings": labeled if config.labeled_only else config.tracks,
        }
        if not config.best:
            settings["data.validation_share"] = 0.0
        if config.init:
            settings["init"] = str(config.init[seed % len(config.init)])
        return settings

    def _labeled(self, problem: Problem, rows: Sequence[StoreRow]) -> list[StoreRow]:
        """The training recordings: `rows`, and the recordings of other tasks.

        In a fold, `extra_rows` has held-out recordings of the problem, which are excluded.
        """
        given = {row.id for row in rows}
        others = [row for row in self.extra_rows if row.id not in given and not _belongs(row, problem)]
        return sorted([*rows, *others], key=lambda row: row.offset)

    def _streams(self, problem: Problem, rows: Sequence[StoreRow]) -> list[str]:
        if not self.config.all_tasks:
            return list(problem.task.streams)
        there = {name for row in self._labeled(problem, rows) for name in row.annotators}
        return [name for name in problem.store.streams if name in there]


def _class_frames(store: Store, rows: Sequence[StoreRow]) -> np.ndarray:
    """Number of frames of each class of each annotator of each stream, int64 [recording, class]."""
    columns = []
    for name, stream in store.streams.items():
        own = [store.labels(name)[row.slice] for row in rows]
        classes = len(stream.vocabulary)
        counts = np.array([np.bincount(labels[labels >= 0], minlength=classes) for labels in own])
        annotators = np.array([row.annotators.get(name, "") for row in rows])
        columns += [np.where((annotators == one)[:, None], counts, 0) for one in np.unique(annotators)]
    return np.concatenate(columns, axis=1)


def _belongs(row: StoreRow, problem: Problem) -> bool:
    """Whether the recording has labels of the problem."""
    task = problem.task
    annotators = [row.annotators[stream] for stream in task.streams if stream in row.annotators]
    return bool(annotators) and (not task.annotators or any(name in task.annotators for name in annotators))


def _without_absent_classes(problem: Problem, rows: Sequence[StoreRow], probability: np.ndarray) -> np.ndarray:
    """Probabilities with NaN for classes without training frames; the other exclusive classes sum to 1."""
    learned = list(learned_classes(problem.targets(rows), problem.task.kind))
    values = probability[:, learned]
    if problem.task.kind == "multinomial":
        values = values / values.sum(axis=1, keepdims=True)
    return expand_classes(values, learned, problem.num_classes)


class _FittedEncoder(FittedSystem):
    def __init__(
        self, problem: Problem, method: Joint, rows: Sequence[StoreRow], checkpoint: Path, precision: torch.dtype
    ) -> None:
        self.problem, self.method, self.rows, self.checkpoint = problem, method, tuple(rows), checkpoint
        self.precision = precision
        self.styles: dict[str, Style] = {}

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        parts = [self._predict(row) for row in rows]
        plain = np.concatenate(parts) if parts else np.empty((0, self.problem.num_classes), np.float32)
        plain = _without_absent_classes(self.problem, self.rows, plain)
        if self.method.config.labels.balanced:
            # Classes had equal weight in training, as in the published entry.
            return {PLAIN: plain, BALANCED: plain}
        return with_balanced(self.problem, self.rows, plain)

    def _predict(self, row: StoreRow) -> np.ndarray:
        (stream,) = self.problem.task.streams
        facts = self.method.config.labels
        classes = next(one.classes for one in facts.streams if one.name == stream)
        style = self.styles[row.annotators.get(stream, "")] = style_of(facts, row, stream=stream)
        probability = predict_row(self.method, self.problem.store, row, style, self.precision)[stream]
        return probability[:, [classes.index(name) for name in self.problem.task.classes]].astype(np.float32)

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "num_parameters": sum(parameter.numel() for parameter in self.method.parameters()),
            "run": str(self.checkpoint.parent.parent),
            "checkpoint": self.checkpoint.name,
            "styles": {own: style.annotator for own, style in self.styles.items()},
            "notes": [style.warning for style in self.styles.values() if style.warning],
        }
