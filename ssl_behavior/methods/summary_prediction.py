"""Summary prediction: an encoder predicts histograms of features and task programs in windows of time.

The encoder computes a latent for every step. From it, a linear layer predicts the distribution of every input feature
and program value in windows around, before and after that step (`ssl_behavior.window_statistics`), one second to half a
minute long. Programs are only targets: embeddings need none. In training the encoder sees a few seconds at a time,
and some features and time spans may be hidden. There is no contrast with other recordings, so identifying the
recording does not help.

Histograms of features as targets: Azabou et al. 2023 (BAMS, arXiv:2303.08811). Programs as targets: Sun et al. 2021
(task programming, arXiv:2011.13917). Prediction from corrupted input: Vincent et al. 2010 (denoising autoencoders).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ssl_behavior.augment import moved
from ssl_behavior.collectives import all_sum, own_share
from ssl_behavior.errors import InputError
from ssl_behavior.methods.base import LossTerms, mean_of
from ssl_behavior.methods.conv_base import CodedPiece, ConvConfig, ConvMethod, EmbeddingConfig, Encoded, seen_steps
from ssl_behavior.nn import EncoderConfig, MixerConfig, MixingEmbedder, pad_to_multiple
from ssl_behavior.numerics import equal_variance_rotation
from ssl_behavior.objectives import summary_error
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.tensor_types import StepMask, Steps
from ssl_behavior.views import Pairs, Views
from ssl_behavior.window_statistics import QUANTILES, Moments, QuantileCodes, Summaries, SummariesConfig, scene_moments
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["Readout", "SummaryPrediction", "SummaryPredictionConfig", "SummaryTargets", "SummaryTargetsConfig"]

Readings = tuple[Tensor, Tensor, Tensor]
"""Moments of every view, codes of the scene, and the mask of steps inside the recording."""

_READOUT_FRAMES = 200_000
_READ_FRAMES = 16_384
"""Frames of views read at a time."""
_MIN_STD = 1e-6


@dataclass(frozen=True, kw_only=True)
class SummaryTargetsConfig:
    """Targets of summary prediction, and weights of their errors.

    Parameters
    ----------
    summaries : windows and components of the targets.
    programs : task programs that are summed up beside the features; those that the skeleton has no points for are left
        out. In cm, they say nothing of recordings without a scale.
    program_weight : standard deviation of all program codes together, where that of the feature codes is 1; 0 =
        features alone.
    program_codes : length of the code that says which programs' values lie above which quantiles.
    every_steps : interval of the steps at which summaries are predicted.
    whitening : exponent of the components' weights in the loss, from 0 (weights follow the variances: weak components
        are learned late) to 1 (equal weights). The embedding's geometry does not depend on it.
    """

    summaries: SummariesConfig = field(default_factory=SummariesConfig)
    programs: ProgramsConfig = field(default_factory=ProgramsConfig)
    program_weight: float = 0.5
    program_codes: int = 64
    every_steps: int = 4
    whitening: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.whitening <= 1:
            raise InputError(f"summaries: whitening must be between 0 and 1, got {self.whitening}")
        if self.program_weight < 0 or self.program_codes < 1:
            raise InputError(
                "summaries: program_weight must be 0 or more and program_codes at least 1, got "
                f"{self.program_weight} and {self.program_codes}"
            )
        if self.every_steps < 1:
            raise InputError(f"summaries: every_steps must be at least 1, got {self.every_steps}")


@dataclass(frozen=True, kw_only=True)
class SummaryPredictionConfig(SummaryTargetsConfig, ConvConfig):
    """The encoder (`ConvConfig`), its targets, and the corruption of its inputs.

    Parameters
    ----------
    drop_channels : mean share of the features hidden in all of a window; of one window uniform from 0 to twice this.
    drop_spans : mean share of the time in which all features are hidden; of one window uniform from 0 to twice this.
    span_frames : length of the spans of time that are hidden.
    part_frames : in training the encoder sees a window in parts of about so many frames (whole steps), each by itself,
        and predicts summaries of the whole window; 0 = the window at once.
    """

    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(directions="none", mixer=MixerConfig()))
    embedding: EmbeddingConfig = field(default_factory=lambda: EmbeddingConfig(feature_window_frames=(), extras=()))
    drop_channels: float = 0.0
    drop_spans: float = 0.0
    span_frames: int = 48
    part_frames: int = 192

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("drop_channels", "drop_spans"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise InputError(f"summaries: {name} must be between 0 and 0.5, got {getattr(self, name)}")
        if self.encoder.mixer is None or self.encoder.directions != "none":
            raise InputError("summaries: the encoder has a mixer and no contexts (encoder.directions none)")
        if self.span_frames < 1:
            raise InputError(f"summaries: span_frames must be at least 1, got {self.span_frames}")
        if self.part_frames < 0:
            raise InputError(f"summaries: part_frames must be 0 or more, got {self.part_frames}")


def _joined(parts: Sequence[Readings]) -> Readings:
    moments, codes, inside = (torch.cat(column) for column in zip(*parts, strict=True))
    return moments, codes, inside


class Readout(nn.Module):
    """Linear map of latents whose output distances equal distances between predicted summaries.

    Fitted once, at the end of the training; before, it is the identity. All its columns have the same variance
    (`equal_variance_rotation`), so heads, neighbors and clusters that standardize columns keep the geometry.
    """

    offset: Float[Tensor, " latent"]
    weight: Float[Tensor, "latent column"]

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(dim))
        self.register_buffer("weight", torch.eye(dim))

    def forward(self, latents: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch column"]:
        return (latents - self.offset) @ self.weight

    @torch.no_grad()
    def fit(self, latents: Float[Tensor, "row latent"], head: Float[Tensor, "component latent"]) -> None:
        """Fit on latents of the training recordings; `head` is the linear map from latents to summaries."""
        # On the CPU: some accelerators have no float64.
        values, head = latents.cpu().double(), head.detach().cpu().double()
        offset = values.mean(dim=0)
        strength, axes = torch.linalg.eigh(head.T @ head)
        # The root of the head's metric: |root z| is the length of the summary predicted from z.
        root = axes * strength.clamp_min(0).sqrt() @ axes.T
        centered = (values - offset) @ root
        covariance = centered.T @ centered / max(1, len(centered))
        weight = root @ equal_variance_rotation(covariance)
        std = (covariance.diagonal().mean()).sqrt()
        self.offset.copy_(offset)
        self.weight.copy_(weight / std if std > _MIN_STD else weight)


class ProgramCodes(nn.Module):
    """Quantile codes of task programs for each step: the targets that are no inputs of the encoder.

    Attributes
    ----------
    programs : those that can run; None where none can, or none are asked for, and there are no codes.
    num_codes : of a step.

    Raises
    ------
    InputError
        If user programs are configured and none can run.
    """

    scale: Float[Tensor, ""]

    def __init__(self, config: SummaryTargetsConfig, stride: int, skeleton: Skeleton, fps: float) -> None:
        super().__init__()
        self.config, self.stride, self.num_codes = config, stride, 0
        self.register_buffer("scale", torch.zeros(()))
        self.programs: ProgramSet | None = None
        self._refused = ""
        if not config.program_weight:
            return
        try:
            self.programs = ProgramSet(config.programs, skeleton, fps)
        except InputError as error:
            if config.programs.file:
                raise
            self._refused = str(error)
            return
        self.coding = QuantileCodes(QUANTILES, config.program_codes, 2 * self.programs.num_attributes)
        self.num_codes = self.coding.num_codes

    def forward(self, batch: WindowBatch, pairs: Pairs | None = None) -> Float[Tensor, "batch step code"]:
        """Codes of scenes, or of the units of `pairs`; 0 where unknown. See `SummaryTargetsConfig.program_weight`."""
        with torch.autocast(batch.keypoints.device.type, enabled=False):
            return self.scale * self.coding(*self._moments(batch, pairs))

    def _moments(self, batch: WindowBatch, pairs: Pairs | None) -> Moments:
        """Mean and standard deviation of every program's value over each step, and the mask of known ones."""
        assert self.programs is not None
        has_scale = (
            batch.px_per_cm > 0 if self.programs.unit == "cm" else torch.ones_like(batch.px_per_cm, dtype=torch.bool)
        )
        batch = replace(batch, px_per_cm=torch.where(has_scale, batch.px_per_cm, 1.0))
        values, known = self.programs.attributes(batch, pairs)
        known = known & has_scale[:, None, None]
        values, known, valid = (
            pad_to_multiple(part, self.stride) for part in (self.programs.standardized(values), known, batch.valid)
        )
        return scene_moments(values.unsqueeze(2), known.unsqueeze(2), valid, self.stride, pooled=False)

    @torch.no_grad()
    def fit(self, reader: WindowReader, pieces: Sequence[CodedPiece]) -> list[str]:
        """Fit programs, codes and scale; codes stay 0 if no program has known values. Returns notices."""
        if self.programs is None:
            return [f"summaries are of features alone: {self._refused}"] if self._refused else []
        try:
            self.programs.fit(reader)
        except InputError as error:
            if self.config.programs.file:
                raise
            return [f"summaries are of features alone: {error}"]
        moments = [self._moments(piece.batch, piece.pairs) for piece in pieces]
        self.coding.fit(moments)
        of_features, of_programs = (
            torch.cat([one[0] for one in side]).var(dim=0, correction=0).sum().sqrt()
            for side in ([piece.codes for piece in pieces], [self.coding(*one) for one in moments])
        )
        self.scale.copy_(self.config.program_weight * of_features / of_programs.clamp_min(_MIN_STD))
        return list(self.programs.notices)


class SummaryTargets(nn.Module):
    """Summaries of features and programs, and the linear layer that predicts them from latents.

    Parameters
    ----------
    num_codes : feature codes of a step.
    """

    def __init__(
        self, config: SummaryTargetsConfig, encoder: EncoderConfig, num_codes: int, skeleton: Skeleton, fps: float
    ) -> None:
        super().__init__()
        self.config, self.stride, self.fps = config, encoder.stride, fps
        self.program_codes = ProgramCodes(config, encoder.stride, skeleton, fps)
        self.summaries = Summaries(config.summaries, num_codes + self.program_codes.num_codes, encoder.stride)
        self.head = nn.Linear(encoder.latent_dim, self.summaries.components)

    @torch.no_grad()
    def fit(self, reader: WindowReader, pieces: Sequence[CodedPiece]) -> list[str]:
        """Fit programs and components, see `ProgramCodes.fit`."""
        notices = self.program_codes.fit(reader, pieces)
        self.summaries.fit([self.codes(piece.batch, piece.codes, piece.pairs) for piece in pieces])
        if abs(self.fps / 30 - 1) > 0.2:
            lengths = ", ".join(f"{n / self.fps:.3g}" for n in self.config.summaries.windows.around_frames)
            notices.append(f"summaries: at {self.fps:g} frames per second the windows around a frame last {lengths} s")
        return notices

    @torch.no_grad()
    def codes(
        self, batch: WindowBatch, codes: Float[Tensor, "batch step code"], pairs: Pairs | None = None
    ) -> Float[Tensor, "batch step target_code"]:
        """Codes of the features and programs of scenes, or of units; summaries are computed from them."""
        return torch.cat([codes, self.program_codes(batch, pairs)], dim=-1) if self.program_codes.num_codes else codes

    @property
    def scale(self) -> Float[Tensor, " component"]:
        """Divisors of the predicted components: (variance + .1 of the tenth's)^(whitening / 2)."""
        variance = self.summaries.spread.square()
        floor = 0.1 * variance[min(10, len(variance) - 1)]
        divisor = (variance + floor).clamp_min(_MIN_STD) ** (self.config.whitening / 2)
        # What is predicted has a mean square of 1, whatever the whitening.
        return divisor * (self.summaries.spread / divisor).square().mean().sqrt().clamp_min(_MIN_STD)

    @property
    def metric(self) -> Float[Tensor, "component latent"]:
        """The linear map from latents to summaries in their own scale."""
        return self.head.weight * self.scale[:, None]

    def forward(
        self,
        batch: WindowBatch,
        codes: Float[Tensor, "batch step code"],
        latents: Steps,
        inside: StepMask,
        generator: torch.Generator | None,
        pairs: Pairs | None = None,
    ) -> LossTerms:
        """Mean squared error of the predicted components, over steps in which anything was observed.

        Parameters
        ----------
        batch, codes : the scene before anything of it is hidden, and its feature codes.
        latents, inside : of the same windows, as the encoder gives them.
        pairs : of the windows' units; None = scenes.
        """
        every = self._anchors(generator)
        seen = (inside & seen_steps(batch, self.stride))[:, every]
        with torch.no_grad(), torch.autocast(codes.device.type, enabled=False):
            target = self.summaries(self.codes(batch, codes, pairs), inside, every) / self.scale
        sums = summary_error(self.head(latents[:, every]), target, seen)
        around = summary_error(torch.zeros_like(target), target, seen)
        explained = 1 - all_sum(sums.total.detach()) / all_sum(around.total).clamp_min(_MIN_STD)
        return LossTerms({"summaries": mean_of(sums, self.training)}, {"explained": explained.sum()})

    def _anchors(self, generator: torch.Generator | None) -> slice:
        """Every `every_steps`-th step, with a random start in training."""
        every = self.config.every_steps
        first = 0 if generator is None else int(torch.randint(every, (), generator=generator))
        return slice(first, None, every)


class SummaryPrediction(ConvMethod):
    """A convolutional encoder trained by summary prediction."""

    Config = SummaryPredictionConfig
    config: SummaryPredictionConfig
    embedder: MixingEmbedder

    def __init__(self, config: SummaryPredictionConfig, skeleton: Skeleton, fps: float) -> None:
        super().__init__(config, skeleton, fps)
        self.targets = SummaryTargets(config, config.encoder, self.embedder.coding.num_codes, skeleton, fps)
        self.readout = Readout(config.encoder.latent_dim)

    @property
    def fitted_states(self) -> tuple[str, ...]:
        return (*super().fitted_states, "targets.program_codes", "targets.summaries")

    def _fit_targets(self, reader: WindowReader, pieces: Sequence[CodedPiece]) -> list[str]:
        return self.targets.fit(reader, pieces)

    def loss(self, batch: WindowBatch, generator: torch.Generator | None) -> LossTerms:
        """Loss of `SummaryTargets`; with a generator, inputs are augmented and partly hidden."""
        config, embedder = self.config, self.embedder
        if generator is not None:
            batch = moved(batch, config.augment, self.skeleton, generator)
        pairs = self._unit_pairs(batch, generator)
        views = self.featurizer.views(batch, pairs)
        kept = None
        if generator is not None and (config.drop_channels or config.drop_spans):
            kept = self._kept(batch, generator)
        (_, codes, inside), seen = self._readings(batch, views, kept)
        parted = generator is not None and config.part_frames
        latents = self._by_parts(*seen, views) if parted else embedder.latents(*seen, views)
        terms: LossTerms = self.targets(batch, codes, latents, inside, generator, pairs)
        return terms

    def _readings(
        self, batch: WindowBatch, views: Views, kept: Float[Tensor, "batch time 1 channel"] | None = None
    ) -> tuple[Readings, Readings]:
        """`MixingEmbedder.readings` of a batch, and of what the encoder sees of it; a few windows at a time.

        Parameters
        ----------
        kept : factors of the features that the encoder sees; None = it sees all.
        """
        stride, together = self.targets.stride, max(1, _READ_FRAMES // (views.number * batch.valid.shape[1]))
        whole, seen = [], []
        for start in range(0, len(batch), together):
            part, own = batch.part(start, start + together), views.part(start, start + together)
            features, valid = self.featurizer(part, own), pad_to_multiple(part.valid, stride)
            whole.append(self.embedder.readings(pad_to_multiple(features, stride), valid, own))
            if kept is not None:
                features = features * kept[start : start + together]
                seen.append(self.embedder.readings(pad_to_multiple(features, stride), valid, own))
        readings = _joined(whole)
        return readings, _joined(seen) if seen else readings

    def _by_parts(
        self, moments: Float[Tensor, "batch step view moment"], codes: Float[Tensor, "batch step code"],
        inside: StepMask, views: Views | None = None,
    ) -> Steps:  # fmt: skip
        """Latents of window parts that are encoded separately, concatenated."""
        (windows, steps), length = inside.shape, -(-self.config.part_frames // self.targets.stride)
        moments, codes, inside = (
            pad_to_multiple(values, length).unflatten(1, (-1, length)).flatten(0, 1)
            for values in (moments, codes, inside)
        )
        views = None if views is None else views.repeated(len(inside) // windows)
        latents = self.embedder.latents(moments, codes, inside, views)
        return latents.unflatten(0, (windows, -1)).flatten(1, 2)[:, :steps]

    def _kept(self, batch: WindowBatch, generator: torch.Generator) -> Float[Tensor, "batch time 1 channel"]:
        """Factors that set features to their mean of 0: some channels, and all channels in some time spans."""
        config, (windows, frames) = self.config, batch.valid.shape
        spans, like = -(-frames // config.span_frames), self.featurizer.mean

        def keep(share: float, *shape: int) -> Tensor:
            rate = 2 * share * own_share(torch.rand, generator, [windows, *[1] * len(shape)])
            return (own_share(torch.rand, generator, [windows, *shape]) >= rate).to(like)

        kept_spans = keep(config.drop_spans, spans, 1, 1).repeat_interleave(config.span_frames, dim=1)
        return keep(config.drop_channels, 1, 1, self.featurizer.num_channels) * kept_spans[:, :frames]

    def finish(self, reader: WindowReader) -> None:
        """Fit the readout on the training recordings."""
        training = self.training
        self.eval()
        with torch.no_grad():
            pieces = (self._own(batch) for batch in reader.pieces(_READOUT_FRAMES))
            units = (self.encode(batch, self._unit_pairs(batch, None, number)) for number, batch in enumerate(pieces))
            latents = torch.cat([encoded.latents[encoded.inside] for encoded in units])
            self.readout.fit(latents, self.targets.metric)
        self.train(training)

    def learned_steps(self, encoded: Encoded) -> list[Steps]:
        return [self.readout(encoded.latents)]

    @property
    def learned_widths(self) -> dict[str, int]:
        return {"summary": self.config.encoder.latent_dim}
