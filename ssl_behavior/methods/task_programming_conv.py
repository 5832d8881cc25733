"""Task programming on residual convolution stacks, causal or not, with any context length.

Objectives of Sun et al., CVPR 2021 (arXiv:2011.13917): linear heads predict program attributes from the encoder's
latents (and future ones from its contexts), latents of one class are similar, and trajectories decoded from a code are
likely and keep the programs' values. Alone, or together with contrastive prediction on the same encoder.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssl_behavior.augment import hidden, moved
from ssl_behavior.collectives import own_share
from ssl_behavior.errors import InputError
from ssl_behavior.methods.base import LossTerms
from ssl_behavior.methods.conv_base import ConvConfig, ConvMethod, Encoded
from ssl_behavior.methods.cpc import ContrastivePrediction, PredictionConfig
from ssl_behavior.methods.task_programming_heads import (
    AttributeTargets,
    HeadsConfig,
    ProgramHeads,
    TrajectoryConfig,
    TrajectoryHead,
    local_windows,
)
from ssl_behavior.nn import pad_to_multiple
from ssl_behavior.pose_geometry import build_scene
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.tensor_types import Steps
from ssl_behavior.windows import WindowBatch

__all__ = ["CPCPrograms", "CPCProgramsConfig", "TaskProgrammingConv", "TaskProgrammingConvConfig"]


@dataclass(frozen=True, kw_only=True)
class TaskProgrammingConvConfig(ConvConfig):
    """The encoder (`ConvConfig`), the programs, and the losses.

    Parameters
    ----------
    programs : choice of programs, and classes of their values.
    heads : decoding of attributes and contrast of classes.
    context_horizons_frames : contexts predict attributes this many frames ahead (future contexts: behind); 0 is now.
        Multiples of the encoder's stride.
    trajectory : the variational code and its decoder.
    """

    programs: ProgramsConfig = field(default_factory=ProgramsConfig)
    heads: HeadsConfig = field(default_factory=HeadsConfig)
    context_horizons_frames: tuple[int, ...] = (0, 30)
    trajectory: TrajectoryConfig = field(default_factory=TrajectoryConfig)

    def __post_init__(self) -> None:
        self.check_programs()
        if not (self.context_horizons_frames and (self.heads.regression or self.heads.classification)):
            raise InputError(
                "programs: no loss trains the contexts; give heads.regression or heads.classification a weight, "
                "and context_horizons_frames at least one horizon"
            )

    def check_programs(self) -> None:
        """Refuse invalid horizons."""
        stride, horizons = self.encoder.stride, self.context_horizons_frames
        if any(h < 0 or h % stride for h in horizons) or len(set(horizons)) < len(horizons):
            raise InputError(
                f"programs: context_horizons_frames must be different multiples of the encoder's stride ({stride} "
                f"frames), 0 or more, got {horizons}"
            )


class TaskProgrammingConv(ConvMethod):
    """Convolutional encoder trained with programs."""

    Config = TaskProgrammingConvConfig
    config: TaskProgrammingConvConfig
    fitted_modules = ("featurizer", "programs")

    def __init__(self, config: TaskProgrammingConvConfig, skeleton: Skeleton, fps: float) -> None:
        super().__init__(config, skeleton, fps)
        encoder = config.encoder
        self.programs = ProgramSet(config.programs, skeleton, fps)
        self.heads = ProgramHeads(config.heads, encoder.latent_dim, self.programs)
        # Contexts are read off only; the classes' contrast is the latents'.
        reading = replace(config.heads, contrastive=0.0)
        self.context_heads = nn.ModuleDict(
            {
                f"{name}_{horizon}": ProgramHeads(reading, encoder.contexter_dim, self.programs)
                for name in encoder.contexts
                for horizon in config.context_horizons_frames
                if reading.regression or reading.classification
            }
        )
        if config.trajectory.used:
            self.trajectory = TrajectoryHead(config.trajectory, skeleton, encoder.latent_dim)

    @property
    def supervision(self) -> ProgramSet:
        return self.programs

    def codes(self, latents: Steps) -> dict[str, Float[Tensor, "batch step code"]]:
        return {"posterior": self.trajectory.code(latents)} if self.config.trajectory.used else {}

    @property
    def code_widths(self) -> dict[str, int]:
        return {"posterior": self.config.trajectory.latent_dim} if self.config.trajectory.used else {}

    def loss(self, batch: WindowBatch, generator: torch.Generator | None) -> LossTerms:
        """All configured terms, each the mean over its known values in all processes."""
        return self._taught(*self._views(batch, generator), generator)

    def _views(self, batch: WindowBatch, generator: torch.Generator | None) -> tuple[WindowBatch, Encoded]:
        """The scene for the programs, and its encoding with some points hidden."""
        if generator is None:
            return batch, self.encode(batch)
        view = moved(batch, self.config.augment, self.skeleton, generator)
        return view, self.encode(hidden(view, self.config.augment, generator))

    def _taught(self, view: WindowBatch, encoded: Encoded, generator: torch.Generator | None) -> LossTerms:
        with torch.no_grad(), torch.autocast(view.keypoints.device.type, enabled=False):
            values, known = self.programs.attributes(view)
            targets = self._step_targets(values, known, encoded)
        terms = self._read(encoded, targets)
        steps = _picked_steps(encoded, self.config.trajectory.steps_per_window, generator)
        terms |= self.heads.contrast(_at(encoded.latents, steps), targets.each(lambda x: _at(x, steps)))
        if self.config.trajectory.used:
            terms |= self._decoded(view, encoded, steps, (values, known), generator)
        return terms

    def _step_targets(self, values: Tensor, known: Tensor, encoded: Encoded) -> AttributeTargets:
        """Attributes of steps, the mean over known frames; [batch step attribute] each."""
        stride = self.config.encoder.stride
        pattern = "batch (step stride) attribute -> batch step stride attribute"
        steps, there = (rearrange(pad_to_multiple(x, stride), pattern, stride=stride) for x in (values, known))
        mean = (steps * there).sum(dim=2) / there.sum(dim=2).clamp_min(1)
        picked_known = there.any(dim=2) & encoded.inside.unsqueeze(-1)
        return AttributeTargets(self.programs.standardized(mean), picked_known, self.programs.classes(mean))

    def _read(self, encoded: Encoded, targets: AttributeTargets) -> LossTerms:
        """Decoding losses on latents and contexts, averaged over these places."""
        parts = [self.heads.decode(_flat(encoded.latents), targets.each(_flat))]
        names = [""]
        for name, context in encoded.contexts.items():
            for horizon in self.config.context_horizons_frames:
                ahead = horizon // self.config.encoder.stride
                key = f"{name}_{horizon}"
                if key not in self.context_heads:
                    continue
                if ahead >= context.shape[1]:
                    frames = context.shape[1] * self.config.encoder.stride
                    raise InputError(
                        f"programs: windows of {frames} frames are not longer than the context horizon {horizon}; "
                        "choose longer data.window_frames, or another horizon"
                    )
                early, late = slice(0, context.shape[1] - ahead), slice(ahead, None)
                here, there = (early, late) if name == "past" else (late, early)
                picked_known = targets.each(partial(_flat, steps=there))
                parts.append(self._context_head(key).decode(_flat(context, here), picked_known))
                names.append(f"/{key}")
        terms = {name: torch.stack([part.terms[name] for part in parts]).mean() for name in parts[0].terms}
        metrics = {
            f"{key}{name}": v for part, name in zip(parts, names, strict=True) for key, v in part.metrics.items()
        }
        return LossTerms(terms, metrics)

    def _context_head(self, key: str) -> ProgramHeads:
        head = self.context_heads[key]
        assert isinstance(head, ProgramHeads)
        return head

    def _decoded(
        self,
        view: WindowBatch,
        encoded: Encoded,
        steps: Int[Tensor, "batch pick"],
        attributes: tuple[Tensor, Tensor],
        generator: torch.Generator | None,
    ) -> LossTerms:
        """Likelihood, divergence and consistency of the trajectories around the picked steps."""
        stride, trajectory = self.config.encoder.stride, self.config.trajectory
        middle = (steps * stride + stride // 2).clamp_max(view.valid.shape[1] - 1)
        with torch.no_grad(), torch.autocast(view.keypoints.device.type, enabled=False):
            scene = build_scene(view, self.skeleton, self.featurizer.scale_px, self.config.features.scene)
            windows = local_windows(scene, middle, trajectory.frames)
        noise = None
        if generator is not None:
            noise = own_share(torch.randn, generator, [*steps.shape, trajectory.latent_dim]).flatten(0, 1)
            noise = noise.to(encoded.latents.device)
        terms, decoded = self.trajectory(_at(encoded.latents, steps), windows, noise)
        if trajectory.consistency:
            target = self._judged(attributes, middle)
            place = [x.repeat_interleave(steps.shape[1], dim=0) for x in (view.arena, view.px_per_cm)]
            with torch.autocast(view.keypoints.device.type, enabled=False):
                terms |= self.trajectory.consistency(
                    decoded, windows, self.programs, self.featurizer.scale_px, (place[0], place[1]),
                    target,
                )  # fmt: skip
        return LossTerms(terms)

    def _judged(self, attributes: tuple[Tensor, Tensor], middle: Int[Tensor, "batch pick"]) -> tuple[Tensor, Tensor]:
        """Standardized attributes at the frames where decoded trajectories are judged, and their mask."""
        trajectory = self.config.trajectory
        offsets = torch.tensor(trajectory.judged_frames, device=middle.device) - trajectory.frames // 2
        frames = (middle.unsqueeze(-1) + offsets).flatten(1)
        values, known = attributes
        inside = (frames >= 0) & (frames < values.shape[1])
        frames = frames.clamp(0, values.shape[1] - 1)
        picked = _at(values, frames), _at(known, frames) & inside.flatten().unsqueeze(-1)
        picked_values, picked_known = (x.unflatten(0, (-1, len(offsets))) for x in picked)
        return self.programs.standardized(picked_values), picked_known


@dataclass(frozen=True, kw_only=True)
class CPCProgramsConfig(PredictionConfig, TaskProgrammingConvConfig):
    """Task programming and contrastive prediction on one encoder.

    Parameters
    ----------
    cpc : weight of the contrastive prediction; those of task programming are in `heads` and `trajectory`.
    """

    cpc: float = 1.0

    def __post_init__(self) -> None:
        self.check_programs()
        self.check_prediction(self.encoder)
        if not (self.heads.regression or self.heads.classification or self.heads.contrastive or self.trajectory.used):
            raise InputError("programs: all their losses have weight 0; give one a weight, or use cpc")
        if self.cpc <= 0:
            raise InputError(f"cpc: its weight must be above 0 (without it, use task_programming_conv), got {self.cpc}")


class CPCPrograms(TaskProgrammingConv):
    """Convolutional encoder trained with programs and contrastive prediction."""

    Config = CPCProgramsConfig
    config: CPCProgramsConfig

    def __init__(self, config: CPCProgramsConfig, skeleton: Skeleton, fps: float) -> None:
        super().__init__(config, skeleton, fps)
        self.prediction = ContrastivePrediction(config, config.encoder)

    def loss(self, batch: WindowBatch, generator: torch.Generator | None) -> LossTerms:
        """The terms of task programming and `ContrastivePrediction`."""
        view, encoded = self._views(batch, generator)
        predicted: LossTerms = self.prediction(encoded)
        return predicted.weighted(self.config.cpc) | self._taught(view, encoded, generator)


def _flat(values: Tensor, steps: slice = slice(None)) -> Tensor:
    """[batch step channel] -> [(batch step) channel], of some steps."""
    return values[:, steps].flatten(0, 1)


def _at(values: Tensor, index: Int[Tensor, "batch pick"]) -> Tensor:
    """values[batch, index]: [batch time channel] -> [(batch pick) channel]"""
    row = torch.arange(len(index), device=index.device).view(-1, 1)
    return values[row, index].flatten(0, 1)


def _picked_steps(encoded: Encoded, number: int, generator: torch.Generator | None) -> Int[Tensor, "batch pick"]:
    """Steps of every window, spread evenly over it and, in training, moved by chance within their part of it."""
    batch, num_steps = encoded.inside.shape
    number = min(number, num_steps)
    shift = torch.full((batch, number), 0.5) if generator is None else own_share(torch.rand, generator, [batch, number])
    start = torch.arange(number, dtype=shift.dtype)
    return ((start + shift) * (num_steps / number)).long().clamp_max(num_steps - 1).to(encoded.inside.device)
