"""Encoders trained together with their heads, by the pretraining job: joint, fine-tuned and from scratch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pretrain.config import RunConfig, with_values
from pretrain.recipes import RECIPES
from probe.calms21.pretraining import config_digest, trained_run
from probe.calms21.systems.base import Advance, Fold, Model, Problem, System, with_balanced
from probe.folds import dealt
from probe.trial import BALANCED, PLAIN, learned_classes, spread
from ssl_behavior.checkpoint import best_streams, find_checkpoint, load_checkpoint
from ssl_behavior.device import choose_device
from ssl_behavior.errors import InputError
from ssl_behavior.labeled import labels_fingerprint
from ssl_behavior.methods import Joint
from ssl_behavior.prediction import Style, predict_row, style_of, with_labels
from ssl_behavior.store import Store, StoreRow

__all__ = ["EndToEnd", "EndToEndConfig"]


@dataclass(frozen=True, kw_only=True)
class EndToEndConfig:
    """A training of the pretraining job.

    Parameters
    ----------
    recipe : "joint", "joint_mabe2021" or "finetune".
    settings : changes of the recipe, dotted keys of a `RunConfig` and their values, such as {"steps": 400}.
    init : runs to start from; seed s starts from run s modulo their number.
    tracks : ids or globs of the recordings whose tracks are learned from; none = all of the store.
    labeled_only : no other tracks than those with labels to learn from are seen, whatever `tracks` says.
    all_tasks : learn every label stream of the recordings at once; False = the problem's own alone.
    best : take the checkpoint that labeled the run's held-out recordings best in the problem's own stream, as the MABe
        2021 winner did, or that of the best validation loss where they show nothing of it; False = the last,
        and all recordings are learned from: on the rats 3 of 30 held out cost more than choosing by them gave.

    Raises
    ------
    InputError
        If rare classes are to be drawn more often, which balanced probabilities cannot know of: they are made of the
        shares of the labels.
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
                "data.sampling.rare_share: F1 balanced is made of the shares of the labels, and would not know that "
                "rare classes were drawn more often; leave it out"
            )


class EndToEnd(System):
    """An encoder and the heads that read it, trained on labels by the pretraining job in a folder of its own.

    Problems that learn from the same recordings with the same settings share one run: a joint model of several tasks is
    trained once. What it holds out to choose by is drawn from those learned from.

    Parameters
    ----------
    name, source : see `System`.
    runs : folder for the runs and their logs; an interrupted one is continued.
    store : of `also`.
    also : recordings of other tasks that a joint model learns from; never one that is evaluated.
    device, precision : of predictions; trainings are told theirs by the configuration's options.
    """

    def __init__(
        self,
        name: str,
        source: str,
        config: EndToEndConfig,
        runs: Path,
        store: Store,
        also: Sequence[StoreRow] = (),
        device: torch.device | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.name, self.source, self.config, self.runs, self.also = name, source, config, runs, tuple(also)
        self.device, self.precision = device or choose_device(), precision
        self._store = store
        self._init = [load_checkpoint(path).fingerprint() for path in config.init]
        self._also_labels = labels_fingerprint([(store, row) for row in also])

    @property
    def settings(self) -> dict[str, Any]:
        config = asdict(self.config) | {"init": self._init}
        if self.config.labeled_only:
            del config["tracks"]
        return {
            "system": "end to end",
            **config,
            "configuration": config_digest(self._configured({})),
            "also": [row.id for row in self.also],
            "labels": self._also_labels,
        }

    @property
    def elsewhere(self) -> tuple[StoreRow, ...]:
        return self.also

    def folds(self, problem: Problem, rows: Sequence[StoreRow], num_folds: int, seed: int) -> list[Fold]:
        """A model of all tasks leaves out a part of all their recordings at once, so that the tasks share its runs.

        Where that would leave the problem fewer parts than it can have by itself, its recordings are dealt out alone.
        """
        alone = super().folds(problem, rows, num_folds, seed)
        together = sorted({row.id: row for row in (*rows, *self.also)}.values(), key=lambda row: row.offset)
        if not self.config.all_tasks:
            return alone
        positive, frames = _shown_frames(self._store, together), np.array([row.frames for row in together])
        part_of = dealt(positive, frames, min(num_folds, len(together)), seed)
        folds = []
        for part in range(max(part_of) + 1):
            left_out = {row.id for row, its in zip(together, part_of, strict=True) if its == part}
            if held_out := tuple(row for row in rows if row.id in left_out):
                folds.append(Fold(self._without(left_out), held_out))
        return folds if len(folds) >= len(alone) else alone

    def _without(self, left_out: Collection[str]) -> "EndToEnd":
        also = [row for row in self.also if row.id not in left_out]
        return EndToEnd(self.name, self.source, self.config, self.runs, self._store, also, self.device, self.precision)

    def learn(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> Model:
        """Train, or take up a training of exactly this.

        Raises
        ------
        InputError
            As the pretraining job does.
        """
        run = self._trained(problem, rows, seed)
        checkpoint = self._chosen(problem, run)
        method = with_labels(load_checkpoint(checkpoint), str(run))
        advance(sum(row.frames for row in rows))
        return _EndToEndModel(problem, method.to(self.device), rows, checkpoint, self.precision)

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
        return with_values(RECIPES[self.config.recipe](), {**self.config.settings, **settings})

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
        """What is learned from: `rows`, and of other tasks' recordings those that are none of this problem's own.

        In a fold, `also` holds recordings of the problem that are held out.
        """
        given = {row.id for row in rows}
        others = [row for row in self.also if row.id not in given and not _belongs(row, problem)]
        return sorted([*rows, *others], key=lambda row: row.offset)

    def _streams(self, problem: Problem, rows: Sequence[StoreRow]) -> list[str]:
        if not self.config.all_tasks:
            return list(problem.task.streams)
        there = {name for row in self._labeled(problem, rows) for name in row.annotators}
        return [name for name in problem.store.streams if name in there]


def _shown_frames(store: Store, rows: Sequence[StoreRow]) -> np.ndarray:
    """Frames of each recording that show each class of each annotator of each stream, int64 [recording, class]."""
    columns = []
    for name, stream in store.streams.items():
        own = [store.labels(name)[row.slice] for row in rows]
        classes = len(stream.vocabulary)
        counts = np.array([np.bincount(labels[labels >= 0], minlength=classes) for labels in own])
        who = np.array([row.annotators.get(name, "") for row in rows])
        columns += [np.where((who == one)[:, None], counts, 0) for one in np.unique(who)]
    return np.concatenate(columns, axis=1)


def _belongs(row: StoreRow, problem: Problem) -> bool:
    """Whether a recording's labels are some of the problem's."""
    task = problem.task
    who = [row.annotators[stream] for stream in task.streams if stream in row.annotators]
    return bool(who) and (not task.annotators or any(name in task.annotators for name in who))


def _of_shown_classes(problem: Problem, rows: Sequence[StoreRow], probability: np.ndarray) -> np.ndarray:
    """NaN for classes that no frame learned from shows; the others of a frame share what these had."""
    learned = list(learned_classes(problem.targets(rows), problem.task.kind))
    values = probability[:, learned]
    if problem.task.kind == "multinomial":
        values = values / values.sum(axis=1, keepdims=True)
    return spread(values, learned, problem.num_classes)


class _EndToEndModel(Model):
    def __init__(
        self, problem: Problem, method: Joint, rows: Sequence[StoreRow], checkpoint: Path, precision: torch.dtype
    ) -> None:
        self.problem, self.method, self.rows, self.checkpoint = problem, method, tuple(rows), checkpoint
        self.precision = precision
        self.styles: dict[str, Style] = {}

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        parts = [self._predict(row) for row in rows]
        plain = np.concatenate(parts) if parts else np.empty((0, self.problem.num_classes), np.float32)
        plain = _of_shown_classes(self.problem, self.rows, plain)
        if self.method.config.labels.balanced:
            # Every class weighed the same in training: this is how the published entry decided, too.
            return {PLAIN: plain, BALANCED: plain}
        return with_balanced(self.problem, self.rows, plain)

    def _predict(self, row: StoreRow) -> np.ndarray:
        (stream,) = self.problem.task.streams
        facts = self.method.config.labels
        classes = next(one.classes for one in facts.streams if one.name == stream)
        style = self.styles[row.annotators.get(stream, "")] = style_of(facts, row, stream=stream)
        said = predict_row(self.method, self.problem.store, row, style, self.precision)[stream]
        return said[:, [classes.index(name) for name in self.problem.task.classes]].astype(np.float32)

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "num_parameters": sum(parameter.numel() for parameter in self.method.parameters()),
            "run": str(self.checkpoint.parent.parent),
            "checkpoint": self.checkpoint.name,
            "styles": {own: style.annotator for own, style in self.styles.items()},
            "notes": [style.warning for style in self.styles.values() if style.warning],
        }
