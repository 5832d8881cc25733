"""The benchmark's systems: name, section of a table, and factory function of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from probe.calms21.baselines import BASELINES, BaselineConfig
from probe.calms21.baselines.configs import TASK3_WEIGHTS, TRANSFERS, task3_baseline
from probe.calms21.effort_presets import Effort
from probe.calms21.representation_cache import RepresentationCache
from probe.calms21.systems import (
    AnnotatorProbes,
    BoostedTrees,
    EndToEnd,
    EndToEndConfig,
    FrozenAnnotatorProbe,
    FrozenProbe,
    ParentNetwork,
    PostprocessingConfig,
    Problem,
    System,
    WindowClassifier,
)
from probe.tasks import MacroAverage
from ssl_behavior.splits import Split
from ssl_behavior.store import StoreRow

__all__ = ["OURS", "SYSTEMS", "BenchmarkContext", "SystemSpec", "TaskPart"]

PLAIN = PostprocessingConfig()


@dataclass(frozen=True)
class TaskPart:
    """One part of a benchmark task, trained and scored on its own.

    Parameters
    ----------
    macros : means over classes to report; the first is the headline.
    kind : "task1" (exclusive classes), "task2" (the same classes in one annotator's style) or "task3" (new behaviors
        with few labels). The kind decides which systems apply.
    """

    problem: Problem
    split: Split
    macros: tuple[MacroAverage, ...]
    kind: str

    @property
    def rows(self) -> tuple[StoreRow, ...]:
        """Training recordings."""
        return self.split.train


@dataclass(frozen=True, eq=False)
class BenchmarkContext:
    """Shared inputs and settings of all systems of a benchmark.

    Parameters
    ----------
    folder : folder of the benchmark with its runs and parent networks.
    representations : cache of embeddings and features.
    all_rows : training recordings of every task, for joint systems.
    ensembles : also score the mean of all seeds of every system.
    annotator_probes : cache of the heads of all annotators.
    parent : the Task 1 part whose network the Task 2 and Task 3 baselines start from; None = no such part.
    """

    folder: Path
    effort: Effort
    representations: RepresentationCache
    all_rows: tuple[StoreRow, ...]
    ensembles: bool = False
    annotator_probes: AnnotatorProbes = field(default_factory=dict)
    parent: TaskPart | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: torch.dtype = torch.float32

    def windows(
        self,
        name: str,
        config: BaselineConfig,
        features: bool = False,
        parent: ParentNetwork | None = None,
        folder: Path | None = None,
    ) -> WindowClassifier:
        """A window classifier with this benchmark's effort, device and precision, cached in `folder` if given."""
        read = self.representations.task_programming if features else None
        return WindowClassifier(
            name, "the CalMS21 paper", self.effort.baseline(config), read, parent, self.device, self.precision, folder
        )

    def augmented(self, features: bool = False) -> WindowClassifier:
        """The augmented network of Table 1, which is also the parent of the Task 2 and Task 3 baselines."""
        return self.windows("conv1d_augmented", BASELINES["conv1d_augmented"], features, folder=self.folder / "parents")

    def with_parent(self, name: str, config: BaselineConfig, features: bool = False) -> WindowClassifier:
        """A window classifier initialized from the augmented network of Task 1."""
        assert self.parent is not None and config.transfer is not None
        parent = ParentNetwork(self.augmented(features), self.parent.problem, self.parent.rows)
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
        """A system that the pretraining job trains; the effort's settings override `settings`."""
        config = EndToEndConfig(
            recipe=recipe,
            settings={**settings, **self.effort.settings(recipe), **self.representations.machine},
            init=tuple(init),
            tracks=self.representations.tracks,
            labeled_only=recipe == "finetune",
            all_tasks=all_tasks,
            best=best,
        )
        extra_rows = self.all_rows if all_tasks else ()
        runs = self.folder / "runs"
        return EndToEnd(name, source, config, runs, self.representations.store, extra_rows, self.device, self.precision)


@dataclass(frozen=True)
class SystemSpec:
    """A system of the benchmark.

    Parameters
    ----------
    name : short name, for --systems and for published scores.
    title : name in tables.
    section : section of the tables.
    make : context, part of the task -> the system.
    kinds : kinds of task that the system applies to, see `TaskPart`.
    postprocessing : folds, smoothing and thresholds.
    needs_parent : the system starts from a network trained on Task 1.
    """

    name: str
    title: str
    section: str
    make: Callable[[BenchmarkContext, TaskPart], System]
    kinds: tuple[str, ...] = ("task1", "task2", "task3")
    postprocessing: PostprocessingConfig = PLAIN
    needs_parent: bool = False


def _network(name: str, features: bool = False) -> Callable[[BenchmarkContext, TaskPart], System]:
    return lambda context, part: context.windows(name, BASELINES[name], features)


def _transfer(name: str, features: bool = False) -> Callable[[BenchmarkContext, TaskPart], System]:
    return lambda context, part: context.with_parent(name, _with_published_weights(name, part), features)


def _with_published_weights(name: str, part: TaskPart) -> BaselineConfig:
    """The published class weight if there is one; else equal weights."""
    classes = part.problem.task.classes
    if part.kind == "task3" and len(classes) == 1 and classes[0] in TASK3_WEIGHTS:
        return task3_baseline(classes[0], name)
    return TRANSFERS[name]


def _msg3d(context: BenchmarkContext, part: TaskPart) -> System:
    config = BASELINES["msg3d"]
    return context.windows("msg3d", replace(config, class_weights="balanced") if part.kind == "task3" else config)


def _frozen(recipe: str, mode: str = "linear") -> Callable[[BenchmarkContext, TaskPart], System]:
    return lambda context, part: FrozenProbe(context.representations.encoder(recipe), mode, context.effort.stride)


_LONG_WINDOWS = {"data.window_frames": 1536, "data.batch_size": 12}
"""Windows of twice the length at the same frames per step, for encoders with a receptive field of half a minute."""


def _finetuned(
    name: str, recipe: str, settings: Mapping[str, Any] = MappingProxyType({})
) -> Callable[[BenchmarkContext, TaskPart], System]:
    return lambda context, part: context.trained(
        name, OURS, "finetune", context.representations.runs(recipe), settings=settings
    )


def _styles(context: BenchmarkContext, part: TaskPart) -> System:
    cpc, store = context.representations.encoder("cpc"), context.representations.store
    return FrozenAnnotatorProbe(
        cpc, store, context.all_rows, context.effort.stride, context.effort.annotators, context.annotator_probes
    )


def _boosted(context: BenchmarkContext, part: TaskPart) -> System:
    return BoostedTrees(context.representations.hand, context.effort.boosting)


def _hand(context: BenchmarkContext, part: TaskPart) -> System:
    return FrozenProbe(context.representations.hand, "linear", context.effort.stride)


def _joint(context: BenchmarkContext, part: TaskPart) -> System:
    return context.trained("joint", OURS, "joint", context.representations.runs("cpc"), all_tasks=True)


OURS, WINNER = "this package", "the MABe 2021 winner (B. Wild), arXiv:2104.02710"
TUNED = PostprocessingConfig(folds=4, smooth=True, thresholds=True)

_SPECS = [
    SystemSpec("fully_connected", "fully connected", "architectures", _network("fully_connected"), ("task1",)),
    SystemSpec("lstm", "LSTM", "architectures", _network("lstm"), ("task1",)),
    SystemSpec("self_attention", "self-attention", "architectures", _network("self_attention"), ("task1",)),
    SystemSpec("single_frame", "single frame", "architectures", _network("single_frame"), ("task1",)),
    SystemSpec("conv1d_causal", "1-D convolution, causal", "architectures", _network("conv1d_causal"), ("task1",)),
    SystemSpec("conv1d_augmented", "1-D convolution, augmented", "architectures",
               lambda context, part: context.augmented(), ("task1",)),
    SystemSpec("conv1d", "1-D convolution", "baseline", _network("conv1d"), ("task1", "task3")),
    SystemSpec("task2_as_run", "1-D convolution, all layers fine-tuned (as it was run)", "baseline",
               _transfer("task2_as_run"), ("task2",), needs_parent=True),
    SystemSpec("task2_as_described", "1-D convolution, head first (as it is described)", "baseline",
               _transfer("task2_as_described"), ("task2",), needs_parent=True),
    SystemSpec("task3_as_run", "1-D convolution, all layers fine-tuned (as it was run)", "baseline",
               _transfer("task3_as_run"), ("task3",), needs_parent=True),
    SystemSpec("task3_as_described", "1-D convolution, head first (as it is described)", "baseline",
               _transfer("task3_as_described"), ("task3",), needs_parent=True),
    SystemSpec("conv1d_features", "1-D convolution with task-programming features", "features",
               _network("conv1d", features=True), ("task1",)),
    SystemSpec("task2_features", "the same, fine-tuned, with task-programming features", "features",
               _transfer("task2_as_run", features=True), ("task2",), needs_parent=True),
    SystemSpec("task3_features", "the same, fine-tuned, with task-programming features", "features",
               _transfer("task3_as_run", features=True), ("task3",), needs_parent=True),
    SystemSpec("joint_mabe2021", "MABe 2021 Task 1 and 2 winner", "winner",
               lambda context, part: context.trained(
                   "joint_mabe2021", WINNER, "joint_mabe2021", all_tasks=True, best=True)),
    SystemSpec("msg3d", "MS-G3D (Task 3 winner)", "winner", _msg3d, ("task3",)),
    SystemSpec("msg3d_tuned", "MS-G3D (Task 3 winner)", "winner", _msg3d, ("task3",),
               PostprocessingConfig(folds=2, thresholds=True)),
    SystemSpec("boosting", "boosted trees on hand features", "ours", _boosted),
    SystemSpec("boosting_tuned", "boosted trees on hand features", "ours", _boosted, postprocessing=TUNED),
    SystemSpec("hand_linear", "hand features, linear", "ours", _hand),
    SystemSpec("summaries_linear", "Summaries, frozen, linear", "ours", _frozen("summaries")),
    SystemSpec("summaries_linear_tuned", "Summaries, frozen, linear", "ours", _frozen("summaries"),
               postprocessing=TUNED),
    SystemSpec("summaries_knn", "Summaries, frozen, nearest neighbors", "ours", _frozen("summaries", "knn")),
    SystemSpec("summaries_finetuned", "Summaries, fine-tuned", "ours",
               _finetuned("summaries_finetuned", "summaries", _LONG_WINDOWS)),
    SystemSpec("summaries_joint", "Summaries, joint, all tasks and tracks", "ours",
               lambda context, part: context.trained(
                   "summaries_joint", OURS, "joint", context.representations.runs("summaries"), all_tasks=True,
                   settings=_LONG_WINDOWS)),
    SystemSpec("cpc_linear", "CPC, frozen, linear", "ours", _frozen("cpc")),
    SystemSpec("cpc_linear_tuned", "CPC, frozen, linear", "ours", _frozen("cpc"), postprocessing=TUNED),
    SystemSpec("cpc_styles", "CPC, frozen, one head for all annotators", "ours", _styles, ("task2",)),
    SystemSpec("cpc_knn", "CPC, frozen, nearest neighbors", "ours", _frozen("cpc", "knn")),
    SystemSpec("cpc_finetuned", "CPC, fine-tuned", "ours", _finetuned("cpc_finetuned", "cpc")),
    SystemSpec("programs_linear", "task programming, frozen, linear", "ours", _frozen("task_programming_conv")),
    SystemSpec("programs_knn", "task programming, frozen, nearest neighbors", "ours",
               _frozen("task_programming_conv", "knn")),
    SystemSpec("programs_finetuned", "task programming, fine-tuned", "ours",
               _finetuned("programs_finetuned", "task_programming_conv")),
    SystemSpec("both_linear", "CPC and task programming, frozen, linear", "ours", _frozen("cpc_programs")),
    SystemSpec("both_knn", "CPC and task programming, frozen, nearest neighbors", "ours",
               _frozen("cpc_programs", "knn")),
    SystemSpec("both_finetuned", "CPC and task programming, fine-tuned", "ours",
               _finetuned("both_finetuned", "cpc_programs")),
    SystemSpec("scratch", "the same network, from scratch", "ours",
               lambda context, part: context.trained("scratch", OURS, "finetune")),
    SystemSpec("joint", "joint, all tasks and tracks", "ours", _joint),
    SystemSpec("joint_tuned", "joint, all tasks and tracks", "ours", _joint, postprocessing=TUNED),
]  # fmt: skip

SYSTEMS: Mapping[str, SystemSpec] = {spec.name: spec for spec in _SPECS}
"""All systems of the benchmark, in the order of the tables."""
