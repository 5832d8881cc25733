"""Which systems fill which table: names, where they come from, and how each is made when its turn comes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from probe.calms21.baselines import BASELINES, BaselineConfig
from probe.calms21.baselines.config import TASK3_WEIGHTS, TRANSFERS, task3_baseline
from probe.calms21.effort import Effort
from probe.calms21.representations import RepresentationCache
from probe.calms21.systems import (
    BoostedTrees,
    EndToEnd,
    EndToEndConfig,
    FrozenProbe,
    FrozenStyles,
    Heads,
    Parent,
    PostprocessingConfig,
    Problem,
    System,
    WindowClassifier,
)
from ssl_behavior.store import StoreRow

__all__ = ["OURS", "SYSTEMS", "Bench", "Entry", "TaskRole"]

PLAIN = PostprocessingConfig()


@dataclass(frozen=True)
class TaskRole:
    """One part of a task in the benchmark.

    Parameters
    ----------
    problem : what is learned.
    rows : recordings to learn from.
    kind : "task1" (classes told apart), "task2" (the same in an annotator's style) or "task3" (new behaviours, few
        labels): it decides which of the paper's systems make sense.
    """

    problem: Problem
    rows: tuple[StoreRow, ...]
    kind: str


@dataclass(frozen=True, eq=False)
class Bench:
    """What all systems of a benchmark share.

    Parameters
    ----------
    folder : of the benchmark; runs and parents are kept in it.
    ensembles : score the mean of all seeds of every system, too.
    styles : heads of all annotators that were learned already.
    parent : Task 1, from whose network the Task 2 and Task 3 baselines start; None if there is none.
    all_rows : training recordings of every task, for the joint systems.
    representations : embeddings and features, made when they are asked for first.
    """

    folder: Path
    effort: Effort
    representations: RepresentationCache
    all_rows: tuple[StoreRow, ...]
    ensembles: bool = False
    styles: Heads = field(default_factory=dict)
    parent: TaskRole | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: torch.dtype = torch.float32

    def windows(
        self,
        name: str,
        config: BaselineConfig,
        features: bool = False,
        parent: Parent | None = None,
        folder: Path | None = None,
    ) -> WindowClassifier:
        """A window classifier with this benchmark's effort, device and precision; kept in `folder`, if there is one."""
        read = self.representations.task_programming if features else None
        return WindowClassifier(
            name, "the CalMS21 paper", self.effort.baseline(config), read, parent, self.device, self.precision, folder
        )

    def augmented(self, features: bool = False) -> WindowClassifier:
        """A row of Table 1, and what the Task 2 and Task 3 baselines start from: trained once for both."""
        return self.windows("conv1d_augmented", BASELINES["conv1d_augmented"], features, folder=self.folder / "parents")

    def with_parent(self, name: str, config: BaselineConfig, features: bool = False) -> WindowClassifier:
        """A window classifier that starts from the augmented network of Task 1."""
        assert self.parent is not None and config.transfer is not None
        parent = Parent(self.augmented(features), self.parent.problem, self.parent.rows)
        return self.windows(name, config, features, parent)

    def trained(
        self,
        name: str,
        source: str,
        recipe: str,
        init: Sequence[Path] = (),
        all_tasks: bool = False,
        best: bool = False,
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> EndToEnd:
        """A system of the pretraining job; the effort's settings win over `settings`."""
        config = EndToEndConfig(
            recipe=recipe,
            settings={**settings, **self.effort.settings(recipe), **self.representations.machine},
            init=tuple(init),
            tracks=self.representations.tracks,
            labeled_only=recipe == "finetune",
            all_tasks=all_tasks,
            best=best,
        )
        also = self.all_rows if all_tasks else ()
        runs = self.folder / "runs"
        return EndToEnd(name, source, config, runs, self.representations.store, also, self.device, self.precision)


@dataclass(frozen=True)
class Entry:
    """A row of a table.

    Parameters
    ----------
    name : short, for --systems and for the published numbers.
    title : what the table calls it.
    section : where in the table it stands.
    kinds : the kinds of task it is for.
    make : bench, part of the task -> the system.
    after : folds, smoothing and thresholds.
    needs_parent : it starts from a network trained on Task 1.
    """

    name: str
    title: str
    section: str
    make: Callable[[Bench, TaskRole], System]
    kinds: tuple[str, ...] = ("task1", "task2", "task3")
    after: PostprocessingConfig = PLAIN
    needs_parent: bool = False


def _network(name: str, features: bool = False) -> Callable[[Bench, TaskRole], System]:
    return lambda bench, role: bench.windows(name, BASELINES[name], features)


def _transfer(name: str, features: bool = False) -> Callable[[Bench, TaskRole], System]:
    return lambda bench, role: bench.with_parent(name, _with_published_weights(name, role), features)


def _with_published_weights(name: str, role: TaskRole) -> BaselineConfig:
    """The published class weight where there is one; elsewhere classes weigh alike."""
    classes = role.problem.task.classes
    if role.kind == "task3" and len(classes) == 1 and classes[0] in TASK3_WEIGHTS:
        return task3_baseline(classes[0], name)
    return TRANSFERS[name]


def _msg3d(bench: Bench, role: TaskRole) -> System:
    config = BASELINES["msg3d"]
    return bench.windows("msg3d", replace(config, class_weights="balanced") if role.kind == "task3" else config)


def _frozen(recipe: str, mode: str = "linear") -> Callable[[Bench, TaskRole], System]:
    return lambda bench, role: FrozenProbe(bench.representations.encoder(recipe), mode, bench.effort.stride)


_LONG_WINDOWS = {"data.window_frames": 1536, "data.batch_size": 12}
"""For encoders that look half a minute far: as many frames a step, in windows twice as long."""


def _finetuned(
    name: str, recipe: str, settings: Mapping[str, Any] = MappingProxyType({})
) -> Callable[[Bench, TaskRole], System]:
    return lambda bench, role: bench.trained(
        name, OURS, "finetune", bench.representations.runs(recipe), settings=settings
    )


def _styles(bench: Bench, role: TaskRole) -> System:
    cpc, store = bench.representations.encoder("cpc"), bench.representations.store
    return FrozenStyles(cpc, store, bench.all_rows, bench.effort.stride, bench.effort.styles, bench.styles)


def _boosted(bench: Bench, role: TaskRole) -> System:
    return BoostedTrees(bench.representations.hand, bench.effort.boosting)


def _hand(bench: Bench, role: TaskRole) -> System:
    return FrozenProbe(bench.representations.hand, "linear", bench.effort.stride)


def _joint(bench: Bench, role: TaskRole) -> System:
    return bench.trained("joint", OURS, "joint", bench.representations.runs("cpc"), all_tasks=True)


OURS, WINNER = "this package", "the MABe 2021 winner (B. Wild), arXiv:2104.02710"
TUNED = PostprocessingConfig(folds=4, smooth=True, thresholds=True)

_ENTRIES = [
    Entry("fully_connected", "fully connected", "architectures", _network("fully_connected"), ("task1",)),
    Entry("lstm", "LSTM", "architectures", _network("lstm"), ("task1",)),
    Entry("self_attention", "self-attention", "architectures", _network("self_attention"), ("task1",)),
    Entry("single_frame", "single frame", "architectures", _network("single_frame"), ("task1",)),
    Entry("conv1d_causal", "1-D convolution, causal", "architectures", _network("conv1d_causal"), ("task1",)),
    Entry("conv1d_augmented", "1-D convolution, augmented", "architectures", lambda bench, role: bench.augmented(),
          ("task1",)),
    Entry("conv1d", "1-D convolution", "baseline", _network("conv1d"), ("task1", "task3")),
    Entry("task2_as_run", "1-D convolution, all layers fine-tuned (as it was run)", "baseline",
          _transfer("task2_as_run"), ("task2",), needs_parent=True),
    Entry("task2_as_described", "1-D convolution, head first (as it is described)", "baseline",
          _transfer("task2_as_described"), ("task2",), needs_parent=True),
    Entry("task3_as_run", "1-D convolution, all layers fine-tuned (as it was run)", "baseline",
          _transfer("task3_as_run"), ("task3",), needs_parent=True),
    Entry("task3_as_described", "1-D convolution, head first (as it is described)", "baseline",
          _transfer("task3_as_described"), ("task3",), needs_parent=True),
    Entry("conv1d_features", "1-D convolution with task-programming features", "features",
          _network("conv1d", features=True), ("task1",)),
    Entry("task2_features", "the same, fine-tuned, with task-programming features", "features",
          _transfer("task2_as_run", features=True), ("task2",), needs_parent=True),
    Entry("task3_features", "the same, fine-tuned, with task-programming features", "features",
          _transfer("task3_as_run", features=True), ("task3",), needs_parent=True),
    Entry("joint_mabe2021", "MABe 2021 Task 1 and 2 winner", "winner",
          lambda bench, role: bench.trained("joint_mabe2021", WINNER, "joint_mabe2021", all_tasks=True, best=True)),
    Entry("msg3d", "MS-G3D (Task 3 winner)", "winner", _msg3d, ("task3",)),
    Entry("msg3d_tuned", "MS-G3D (Task 3 winner)", "winner", _msg3d, ("task3",),
          PostprocessingConfig(folds=2, thresholds=True)),
    Entry("boosting", "boosted trees on hand features", "ours", _boosted),
    Entry("boosting_tuned", "boosted trees on hand features", "ours", _boosted, after=TUNED),
    Entry("hand_linear", "hand features, linear", "ours", _hand),
    Entry("summaries_linear", "Summaries, frozen, linear", "ours", _frozen("summaries")),
    Entry("summaries_linear_tuned", "Summaries, frozen, linear", "ours", _frozen("summaries"), after=TUNED),
    Entry("summaries_knn", "Summaries, frozen, nearest neighbors", "ours", _frozen("summaries", "knn")),
    Entry("summaries_finetuned", "Summaries, fine-tuned", "ours",
          _finetuned("summaries_finetuned", "summaries", _LONG_WINDOWS)),
    Entry("summaries_joint", "Summaries, joint, all tasks and tracks", "ours",
          lambda bench, role: bench.trained("summaries_joint", OURS, "joint", bench.representations.runs("summaries"),
                                            all_tasks=True, settings=_LONG_WINDOWS)),
    Entry("cpc_linear", "CPC, frozen, linear", "ours", _frozen("cpc")),
    Entry("cpc_linear_tuned", "CPC, frozen, linear", "ours", _frozen("cpc"), after=TUNED),
    Entry("cpc_styles", "CPC, frozen, one head for all annotators", "ours", _styles, ("task2",)),
    Entry("cpc_knn", "CPC, frozen, nearest neighbours", "ours", _frozen("cpc", "knn")),
    Entry("cpc_finetuned", "CPC, fine-tuned", "ours", _finetuned("cpc_finetuned", "cpc")),
    Entry("programs_linear", "task programming, frozen, linear", "ours", _frozen("task_programming_conv")),
    Entry("programs_knn", "task programming, frozen, nearest neighbours", "ours",
          _frozen("task_programming_conv", "knn")),
    Entry("programs_finetuned", "task programming, fine-tuned", "ours",
          _finetuned("programs_finetuned", "task_programming_conv")),
    Entry("both_linear", "CPC and task programming, frozen, linear", "ours", _frozen("cpc_programs")),
    Entry("both_knn", "CPC and task programming, frozen, nearest neighbours", "ours", _frozen("cpc_programs", "knn")),
    Entry("both_finetuned", "CPC and task programming, fine-tuned", "ours",
          _finetuned("both_finetuned", "cpc_programs")),
    Entry("scratch", "the same network, from scratch", "ours",
          lambda bench, role: bench.trained("scratch", OURS, "finetune")),
    Entry("joint", "joint, all tasks and tracks", "ours", _joint),
    Entry("joint_tuned", "joint, all tasks and tracks", "ours", _joint, after=TUNED),
]  # fmt: skip

SYSTEMS: Mapping[str, Entry] = {entry.name: entry for entry in _ENTRIES}
"""Every row that the benchmark knows, in the order of the tables."""
