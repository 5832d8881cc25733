"""Contrastive predictive coding on pose: contexts predict latents of their own sequence at true horizons.

van den Oord et al. 2018 (arXiv:1807.03748), in the form of the MABe 2021 Task 1 winner (residual convolutions,
cosine scores, negatives from other sequences), with every time step an anchor and, by default, a second context
that runs against time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ssl_behavior.augment import AugmentConfig, augment
from ssl_behavior.errors import InputError
from ssl_behavior.features import Channels, FeatureConfig, Featurizer, session_time
from ssl_behavior.methods.base import LossTerms, Method
from ssl_behavior.nn import Contexters, Embedder, EncoderConfig, pad_to_multiple, step_mean, to_frames, window_mean
from ssl_behavior.objectives import InfoNCE, dense_info_nce
from ssl_behavior.parallel import all_sum, gather, rank, world_size
from ssl_behavior.shapes import FrameMask, StepMask, Steps
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.windows import WindowBatch

__all__ = ["CPC", "EXTRAS", "CPCConfig", "EmbeddingConfig"]


def time_columns(batch: WindowBatch) -> Float[Tensor, "batch time channel"]:
    """How far a frame is from the start and the end of its recording, see `session_time`."""
    fps = batch.fps.unsqueeze(-1)
    return session_time(batch.frame / fps, (batch.length.unsqueeze(-1) - batch.frame) / fps)


EXTRAS: dict[str, Callable[[WindowBatch], Tensor]] = {"time": time_columns}
"""Columns of an embedding that nothing learned, two each."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingConfig:
    """What an embedding holds besides contexts and latent, one group of columns each.

    Parameters
    ----------
    latent_window_frames : means of the latents over centred windows about this long.
    feature_window_frames : means of the encoder's inputs over centred windows about this long: what the animals did
        on average, in columns a linear head reads well and no bottleneck has thinned out. Not learned.
    extras : other columns that are not learned; "time" says how far the frame is from start and end of the recording.
    """

    latent_window_frames: tuple[int, ...] = ()
    feature_window_frames: tuple[int, ...] = (30, 90, 300)
    extras: tuple[str, ...] = ("time",)

    def __post_init__(self) -> None:
        unknown = [name for name in self.extras if name not in EXTRAS]
        if unknown:
            raise InputError(f"embedding: unknown extras {unknown}; known: {sorted(EXTRAS)}")
        for name in ("latent_window_frames", "feature_window_frames", "extras"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise InputError(f"embedding: {name} names one twice: {getattr(self, name)}")
        for name in ("latent_window_frames", "feature_window_frames"):
            if any(frames < 1 for frames in getattr(self, name)):
                raise InputError(f"embedding: {name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class CPCConfig:
    """Everything that makes a CPC model.

    Parameters
    ----------
    horizons_frames : how far ahead (and, backward, behind) is predicted; multiples of the encoder's stride.
    key_dim : width in which predictions and targets are compared.
    temperature : of the cosine scores.
    own_negatives_every : every n-th step of the own window is a negative too; 0: only other sequences are.
    own_guard_frames : steps this close to the target are not negatives.
    """

    features: FeatureConfig = field(default_factory=FeatureConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    horizons_frames: tuple[int, ...] = (24, 48, 72, 96, 144)
    key_dim: int = 64
    temperature: float = 0.1
    own_negatives_every: int = 0
    own_guard_frames: int = 18

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise InputError(f"cpc: temperature must be above 0, got {self.temperature}")
        stride = self.encoder.stride
        wrong = [h for h in self.horizons_frames if h < 1 or h % stride]
        if wrong or not self.horizons_frames:
            raise InputError(
                f"cpc: horizons_frames must be multiples of the encoder's stride ({stride} frames) above 0, "
                f"got {self.horizons_frames}"
            )
        if self.key_dim < 1 or self.own_negatives_every < 0 or self.own_guard_frames < 0:
            raise InputError(f"cpc: key_dim must be at least 1, own_* 0 or more, got {self}")


class CPC(Method):
    """Featurizer -> embedder -> contexters; a linear predictor per direction and horizon; InfoNCE."""

    Config = CPCConfig
    config: CPCConfig

    def __init__(self, config: CPCConfig, skeleton: Skeleton, fps: float) -> None:
        super().__init__(config, skeleton, fps)
        encoder = config.encoder
        self.featurizer = Featurizer(config.features, skeleton, first_only=encoder.animals == "first")
        self.embedder = Embedder(encoder, self.featurizer.num_channels, skeleton.num_individuals, skeleton.exchangeable)
        self.contexters = Contexters(encoder)
        self.key = nn.Linear(encoder.latent_dim, config.key_dim, bias=False)
        width = config.key_dim * len(config.horizons_frames)
        self.predictors = nn.ModuleDict(
            {name: nn.Linear(encoder.contexter_dim, width, bias=False) for name in encoder.contexts}
        )

    def latents(self, batch: WindowBatch) -> tuple[Steps, StepMask]:
        """One latent per step, and which steps lie inside the recording."""
        return self.embedder(*self._inputs(batch))

    def _inputs(self, batch: WindowBatch) -> tuple[Channels, FrameMask]:
        """Features and which frames are valid, of whole steps."""
        stride = self.config.encoder.stride
        return pad_to_multiple(self.featurizer(batch), stride), pad_to_multiple(batch.valid, stride)

    def loss(self, batch: WindowBatch, generator: torch.Generator | None) -> LossTerms:
        """Mean InfoNCE over directions and horizons, on steps where something was observed.

        Across processes, the negatives are all processes' sequences, and the mean is over all anchors.
        """
        if generator is not None:
            batch = augment(batch, self.config.augment, self.skeleton, generator)
        latents, inside = self.latents(batch)
        seen = inside & _seen_steps(batch, self.config.encoder.stride)
        predictions = {
            name: self._predicted(self.predictors[name](context))
            for name, context in self.contexters(latents, inside).items()
        }
        return self._loss_terms(predictions, F.normalize(self.key(latents), dim=-1), inside, seen)

    def _predicted(self, projections: Steps) -> list[Tensor]:
        """Unit vectors [step batch key], one tensor per horizon."""
        pattern = "batch step (horizon key) -> horizon step batch key"
        predicted = rearrange(projections, pattern, key=self.config.key_dim)
        return list(F.normalize(predicted, dim=-1).unbind(0))

    def _loss_terms(
        self, predictions: dict[str, list[Tensor]], keys: Steps, inside: StepMask, seen: StepMask
    ) -> LossTerms:
        stride, num_steps = self.config.encoder.stride, keys.shape[1]
        # Each horizon with the index of its own predictor: a short window may lack any of them.
        horizons = [(i, h // stride) for i, h in enumerate(self.config.horizons_frames) if h // stride < num_steps]
        if not horizons:
            raise InputError(f"cpc: windows of {num_steps * stride} frames are shorter than every horizon")
        sequences = _Sequences(
            keys=gather(keys).transpose(0, 1),
            seen=gather(seen).T,
            inside=inside.T,
            own=keys,
            own_seen=seen,
        )
        terms: list[Tensor] = []
        used = torch.zeros((), device=keys.device)
        metrics: dict[str, Tensor] = {}
        for name, per_horizon in predictions.items():
            for i, ahead in horizons:
                parts = self._compare(per_horizon[i], sequences, ahead if name == "past" else -ahead)
                used += all_sum(parts.count) > 0
                count = all_sum(parts.count).clamp_min(1)
                terms.append(parts.loss * world_size() / count)
                label = f"{name}_{ahead * stride}"
                metrics[f"info_nce/{label}"] = all_sum(parts.loss.detach()) / count
                metrics[f"accuracy/{label}"] = all_sum(parts.correct) / count
        # The mean is over horizons that had an anchor. Without any, validation has nothing to say (NaN, not a perfect
        # 0), and a training step nothing to learn from.
        return LossTerms(
            terms={"info_nce": torch.stack(terms).sum() / (used.clamp_min(1) if self.training else used)},
            metrics=metrics,
        )

    def _compare(self, query: Tensor, sequences: "_Sequences", ahead: int) -> InfoNCE:
        """The context at step t against the key at step t + `ahead`, which is negative looking back from the future."""
        num_steps = len(query)
        anchor = slice(0, num_steps - ahead) if ahead > 0 else slice(-ahead, num_steps)
        target = slice(ahead, num_steps) if ahead > 0 else slice(0, num_steps + ahead)
        negatives = usable = None
        if self.config.own_negatives_every:
            steps = torch.arange(num_steps, device=query.device)
            picked = steps[:: self.config.own_negatives_every]
            guard = max(1, self.config.own_guard_frames // self.config.encoder.stride)
            apart = (picked - steps[target].unsqueeze(1)).abs() >= guard
            negatives = sequences.own[:, picked]
            usable = apart.unsqueeze(1) & sequences.own_seen[:, picked]
        return dense_info_nce(
            query[anchor],
            sequences.keys[target],
            sequences.inside[anchor],
            sequences.seen[target],
            self.config.temperature,
            first=rank() * len(sequences.own),
            negatives=negatives,
            usable_negatives=usable,
        )

    def embed(self, batch: WindowBatch) -> Float[Tensor, "batch time latent"]:
        stride, embedding = self.config.encoder.stride, self.config.embedding
        features, valid = self._inputs(batch)
        latents, inside = self.embedder(features, valid)
        parts = [*self.contexters(latents, inside).values(), latents]
        parts += _window_means(latents, inside, embedding.latent_window_frames, stride)
        if embedding.feature_window_frames:
            scene = self.embedder.joined(step_mean(features, valid, stride))
            parts += _window_means(scene, inside, embedding.feature_window_frames, stride)
        columns = [to_frames(torch.cat(parts, dim=-1).to(latents.dtype), inside, stride, batch.valid.shape[1])]
        columns += [EXTRAS[name](batch).to(latents.dtype) for name in embedding.extras]
        return torch.cat(columns, dim=-1)

    @property
    def channel_groups(self) -> dict[str, int]:
        embedding = self.config.embedding
        width = self.embedder.num_views * self.featurizer.num_channels
        features = {f"features_{frames}_frames": width for frames in embedding.feature_window_frames}
        return self._learned_widths | features | dict.fromkeys(embedding.extras, 2)

    @property
    def learned_groups(self) -> tuple[str, ...]:
        return tuple(self._learned_widths)

    @property
    def _learned_widths(self) -> dict[str, int]:
        encoder = self.config.encoder
        windows = [f"latent_{frames}_frames" for frames in self.config.embedding.latent_window_frames]
        contexts = {f"{name}_context": encoder.contexter_dim for name in encoder.contexts}
        return contexts | dict.fromkeys(["latent", *windows], encoder.latent_dim)

    @property
    def embedding_dim(self) -> int:
        return sum(self.channel_groups.values())

    @property
    def reach(self) -> tuple[int, int]:
        encoder, embedding = self.config.encoder, self.config.embedding
        latent, feature = (
            max((_odd_steps(frames, encoder.stride) // 2 for frames in windows), default=0)
            for windows in (embedding.latent_window_frames, embedding.feature_window_frames)
        )
        sides = zip(self.embedder.reach, self.contexters.reach, strict=True)
        steps = [max(embedder + max(contexter, latent), feature) for embedder, contexter in sides]
        # Stacking and interpolation: a frame's two steps span up to 2 * stride - 1 frames to either side.
        own = 2 * encoder.stride - 1 if encoder.stride > 1 else 0
        before, after = self.featurizer.reach
        return before + steps[0] * encoder.stride + own, after + steps[1] * encoder.stride + own

    @property
    def alignment(self) -> int:
        return self.config.encoder.stride


@dataclass(frozen=True)
class _Sequences:
    """The sides of all comparisons of one batch; `keys` and `seen` are those of all processes, time first."""

    keys: Float[Tensor, "time key latent"]
    seen: Bool[Tensor, "time key"]
    inside: Bool[Tensor, "time query"]
    own: Float[Tensor, "query time latent"]
    own_seen: Bool[Tensor, "query time"]


def _window_means(steps: Steps, inside: StepMask, windows_frames: tuple[int, ...], stride: int) -> list[Steps]:
    return [window_mean(steps, inside, _odd_steps(frames, stride)) for frames in windows_frames]


def _odd_steps(frames: int, stride: int) -> int:
    return 2 * (frames // stride // 2) + 1


def _seen_steps(batch: WindowBatch, stride: int) -> StepMask:
    """Steps in which at least one keypoint of any animal was observed."""
    observed = pad_to_multiple(batch.observed.any(dim=(2, 3)), stride)
    return rearrange(observed, "batch (step stride) -> batch step stride", stride=stride).any(-1)
