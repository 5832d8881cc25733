"""Effort presets of the benchmark: the published settings, or reduced ones that a laptop finishes."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from probe.annotators import AnnotatorConfig
from probe.calms21.baselines import BaselineConfig
from probe.calms21.systems import BoostingConfig, PostprocessingConfig
from ssl_behavior.errors import InputError

__all__ = ["EFFORTS", "Effort", "get_effort"]

_SMALL_ENCODER = {
    "method.encoder.embedder_dim": 48,
    "method.encoder.embedder_kernels": (3,),
    "method.encoder.latent_dim": 32,
    "method.encoder.contexter_dim": 64,
}
_SMALL: dict[str, Mapping[str, Any]] = {
    "task_programming": {},
    "summaries": {
        "method.encoder.latent_dim": 32,
        "method.encoder.mixer.view_dim": 64,
        "method.encoder.mixer.dim": 64,
        "method.encoder.mixer.windows_dim": 32,
    },
}
"""Recipe -> settings of a small encoder, for recipes that `_SMALL_ENCODER` does not fit."""


@dataclass(frozen=True)
class Training:
    """Steps, windows per batch and frames per window; 0 = the recipe's value."""

    steps: int
    windows: int = 0
    frames: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """Dotted keys of a `RunConfig` and their values."""
        # The warmup scales with the steps: its fixed length would be half of a short training.
        values = {"steps": self.steps, "optim.warmup_steps": min(50, self.steps // 10)}
        sizes = {"data.batch_size": self.windows, "data.window_frames": self.frames}
        return values | {key: size for key, size in sizes.items() if size}


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Settings that trade quality for time.

    Parameters
    ----------
    seeds : default number of seeds.
    stride : frozen probes are fitted to every `stride`-th frame.
    boosting : configuration of the boosted trees.
    annotators : configuration of the head of all annotators.
    epochs : maximum epochs of a window classifier; 0 = the paper's.
    train_stride : an epoch of a window classifier has every `train_stride`-th frame.
    predict_stride : slow window classifiers predict every `predict_stride`-th frame and interpolate.
    trainings : pretraining recipe -> steps and batches; the recipe's own if absent.
    max_folds : maximum number of models of systems that choose smoothing and thresholds.
    small_encoders : use encoders with a few ten thousand parameters.
    """

    seeds: int = 5
    stride: int = 4
    boosting: BoostingConfig = field(default_factory=BoostingConfig)
    annotators: AnnotatorConfig = field(default_factory=AnnotatorConfig)
    epochs: int = 0
    train_stride: int = 1
    predict_stride: int = 1
    trainings: Mapping[str, Training] = field(default_factory=dict)
    max_folds: int = 4
    small_encoders: bool = False

    def baseline(self, config: BaselineConfig) -> BaselineConfig:
        """The configuration of a window classifier with this effort."""
        if self.epochs and config.epochs > self.epochs:
            config = config.with_epochs(self.epochs)
        return replace(
            config,
            train_stride=max(config.train_stride, self.train_stride),
            predict_stride=max(config.predict_stride, self.predict_stride),
        )

    def limit_folds(self, config: PostprocessingConfig) -> PostprocessingConfig:
        """The postprocessing with at most `max_folds` folds."""
        return replace(config, folds=min(config.folds, self.max_folds))

    def settings(self, recipe: str) -> dict[str, Any]:
        """Changes of a recipe, as dotted keys of a `RunConfig` and their values."""
        training = self.trainings[recipe].settings if recipe in self.trainings else {}
        return training | dict(_SMALL.get(recipe, _SMALL_ENCODER) if self.small_encoders else {})


_MINUTES = {
    "summaries": Training(40, 12, 384),
    "cpc": Training(40, 12, 384),
    "task_programming": Training(8, 26, 105),
    "task_programming_conv": Training(12, 12, 384),
    "cpc_programs": Training(12, 12, 384),
    "finetune": Training(4, 4, 384),
    "joint": Training(12, 16, 384),
    "joint_mabe2021": Training(10, 8, 512),
}

EFFORTS: dict[str, Effort] = {
    "full": Effort(),
    "laptop": Effort(
        seeds=3, stride=16, boosting=BoostingConfig(iterations=60, bins=31, stride=30, separate_balanced=False),
        train_stride=8, predict_stride=4,
        trainings={"joint_mabe2021": Training(150)},
    ),
    "minutes": Effort(
        seeds=1, stride=16,
        boosting=BoostingConfig(iterations=8, bins=31, stride=20, most_columns=300, separate_balanced=False),
        annotators=AnnotatorConfig(steps=50), epochs=1, train_stride=32, predict_stride=8,
        trainings=_MINUTES,
        max_folds=2, small_encoders=True,
    ),
}  # fmt: skip
"""full: settings of papers and recipes; laptop: two cores and a night; minutes: a trial of the whole benchmark."""


def get_effort(name: str) -> Effort:
    """The effort called `name`; for an unknown name, an InputError with the nearest or all known names."""
    if name not in EFFORTS:
        near = difflib.get_close_matches(name, EFFORTS, n=1)
        raise InputError(f"`effort={name}`: " + (f"did you mean {near[0]}?" if near else f"known are {list(EFFORTS)}"))
    return EFFORTS[name]
