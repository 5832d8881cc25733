"""Base of methods on convolution stacks: features -> latents -> contexts -> one embedding per frame."""

import copy
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.augment import AugmentConfig
from ssl_behavior.errors import InputError
from ssl_behavior.features import Channels, FeatureConfig, Featurizer, session_time
from ssl_behavior.methods.base import Method
from ssl_behavior.nn import (
    Contexters,
    EncoderConfig,
    MixingEmbedder,
    make_embedder,
    pad_to_multiple,
    step_mean,
    to_frames,
    window_mean,
)
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.tensor_types import FrameMask, StepMask, Steps
from ssl_behavior.units import UNITS, Unit
from ssl_behavior.views import Pairs, Views, drawn_pairs
from ssl_behavior.window_statistics import NEVER_KNOWN
from ssl_behavior.windows import WindowBatch, WindowReader

_CODING_FRAMES = 200_000
_MIN_RANGE = 1e-6

__all__ = [
    "EXTRAS",
    "CodedPiece",
    "ConvConfig",
    "ConvMethod",
    "EmbeddingConfig",
    "Encoded",
    "extra_widths",
    "seen_steps",
]


def time_columns(
    batch: WindowBatch, exchangeable: bool, agents: Sequence[int] | None = None
) -> Float[Tensor, "batch time channel"]:
    """Time since the start and until the end of the recording, see `session_time`."""
    fps = batch.fps.unsqueeze(-1)
    return session_time(batch.frame / fps, (batch.length.unsqueeze(-1) - batch.frame) / fps)


def wall_columns(
    batch: WindowBatch, exchangeable: bool, agents: Sequence[int] | None = None
) -> Float[Tensor, "batch time channel"]:
    """Distance of each animal from the nearest walls: tanh(|(dx, dy)| / 465 px) where the arena is 1020 px wide.

    dx and dy are the distances of the middle of its observed points to the nearer wall left or right, above or below;
    0 where nothing was observed. Of anonymous animals the least and the greatest. The form of the MABe 2021 Task 1
    winner, for an arena of any size.

    Parameters
    ----------
    agents : animals of the unit; None = all. Of animals that are told apart, the others are 0.
    """
    weight = batch.observed.unsqueeze(-1).to(batch.keypoints.dtype)
    middle = (batch.keypoints * weight).sum(dim=3) / weight.sum(dim=3).clamp_min(1)
    low, high = (corners[:, None, None] for corners in (batch.arena[:, :2], batch.arena[:, 2:]))
    nearest = torch.minimum(middle - low, high - middle).clamp_min(0)
    unit = 465 / 1020 * (batch.arena[:, 2] - batch.arena[:, 0]).view(-1, 1, 1)
    away = torch.tanh(nearest.norm(dim=-1) / unit) * batch.observed.any(dim=3)
    meant = torch.zeros_like(batch.present)
    meant[:, slice(None) if agents is None else list(agents)] = True
    meant = (meant & batch.present)[:, None]
    if not exchangeable:
        return away * meant
    least, greatest = (
        away.masked_fill(~meant, torch.inf).amin(dim=-1),
        away.masked_fill(~meant, -torch.inf).amax(dim=-1),
    )
    return torch.stack([least, greatest], dim=-1).masked_fill(~meant.any(dim=-1, keepdim=True), 0.0)


EXTRAS: dict[str, Callable[[WindowBatch, bool, Sequence[int] | None], Tensor]] = {
    "time": time_columns,
    "walls": wall_columns,
}
"""Columns of an embedding that nothing learned."""


def extra_widths(names: Sequence[str], skeleton: Skeleton) -> dict[str, int]:
    """Name -> number of columns of `EXTRAS`."""
    named = {"walls": skeleton.num_individuals} if not skeleton.exchangeable else {}
    return {name: named.get(name, 2) for name in names}


@dataclass(frozen=True, kw_only=True)
class EmbeddingConfig:
    """Column groups that an embedding has by default besides the learned ones.

    `ConvMethod.with_groups` adds any other `features_N_frames` and any of `EXTRAS` later.

    Parameters
    ----------
    latent_window_frames : means of the latents over centered windows about this long.
    feature_window_frames : means of the encoder's inputs over centered windows about this long: what the animals did
        on average, in columns a linear head reads well and no bottleneck has thinned out. Not learned.
    extras : other columns that are not learned; "time" says how far the frame is from start and end of the recording,
        "walls" how far each animal is from the nearest walls.
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
                raise InputError(f"embedding: {name} has a duplicate: {getattr(self, name)}")
        for name in ("latent_window_frames", "feature_window_frames"):
            if any(frames < 1 for frames in getattr(self, name)):
                raise InputError(f"embedding: {name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class ConvConfig:
    """Encoder, inputs and augmentation, common to all methods on convolution stacks.

    Parameters
    ----------
    units : what the encoder learns to describe: scenes, animals among the others, ordered pairs. Training windows take
        turns; of a window, an animal or a pair is drawn.
    """

    features: FeatureConfig = field(default_factory=FeatureConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    # Not in the text of a configuration that fingerprints are made of: those of scenes alone are as they were.
    units: tuple[Unit, ...] = field(default=("scene",), repr=False)


@dataclass(frozen=True)
class Encoded:
    """Encoded batch, one row per step of `stride` frames."""

    latents: Steps
    contexts: dict[str, Float[Tensor, "batch step context"]]
    """"past" and "future", as far as the encoder has them."""
    inside: StepMask
    """Steps inside the recording."""
    seen: StepMask
    """Steps in which at least one keypoint of any animal was observed."""


@dataclass(frozen=True)
class CodedPiece:
    """A stretch of a training recording, as a batch of one window, and the feature codes of a unit of it."""

    batch: WindowBatch
    codes: Float[Tensor, "batch step code"]
    pairs: Pairs | None
    """Pairs of the unit; None = the scene."""


class ConvMethod(Method):
    """Featurizer -> embedder -> contexters; subclasses add the objective."""

    config: ConvConfig

    def __init__(self, config: ConvConfig, skeleton: Skeleton, fps: float) -> None:
        super().__init__(config, skeleton, fps)
        encoder = config.encoder
        self.embedding: EmbeddingConfig = config.embedding
        self.featurizer = Featurizer(config.features, skeleton, first_only=encoder.animals == "first")
        self.embedder = make_embedder(
            encoder, self.featurizer.num_channels, skeleton.num_individuals, skeleton.exchangeable
        )
        self.contexters = Contexters(encoder)

    def fit_inputs(self, reader: WindowReader, but: Collection[str] = ()) -> list[str]:
        notices = super().fit_inputs(reader, but)
        if isinstance(self.embedder, MixingEmbedder) and not {"embedder", "targets"} <= {*but}:
            notices += self._fit_codes(self.embedder, reader, but)
        return notices

    @torch.no_grad()
    def _fit_codes(self, embedder: MixingEmbedder, reader: WindowReader, but: Collection[str]) -> list[str]:
        """Fit the quantile codes and the targets computed from them, on pieces of the recordings. Returns notices."""
        pieces = [self._own(batch) for batch in reader.pieces(_CODING_FRAMES)]
        units = [self._unit_pairs(batch, None, number) for number, batch in enumerate(pieces)]
        moments = [
            embedder.moments_to_code(*self._inputs(batch, pairs)) for batch, pairs in zip(pieces, units, strict=True)
        ]
        notices = []
        if "embedder" not in but:
            embedder.coding.fit(moments)
            notices += _coding_notices(embedder.coding.edges)
        if "targets" not in but:
            codes = [embedder.coding(*pair) for pair in moments]
            notices += self._fit_targets(reader, [CodedPiece(*one) for one in zip(pieces, codes, units, strict=True)])
        return notices

    def _fit_targets(self, reader: WindowReader, pieces: Sequence[CodedPiece]) -> list[str]:
        """Fit targets on pieces of the recordings. Returns notices."""
        return []

    @property
    def fitted_states(self) -> tuple[str, ...]:
        coding = ("embedder.coding",) if isinstance(self.embedder, MixingEmbedder) else ()
        return (*super().fitted_states, *coding)

    def _own(self, batch: WindowBatch) -> WindowBatch:
        """The batch on the method's device, in the type of the fitted buffers."""
        return batch.to(self.featurizer.mean.device, self.featurizer.mean.dtype)

    def encode(self, batch: WindowBatch, pairs: Pairs | None = None) -> Encoded:
        """Latents and contexts of a batch, without augmentation; of scenes, or of the units that `pairs` say."""
        return self._encoded(batch, *self._inputs(batch, pairs))

    def _encoded(self, batch: WindowBatch, features: Channels, valid: FrameMask, views: Views) -> Encoded:
        latents, inside = self.embedder(features, valid, views)
        seen = inside & seen_steps(batch, self.config.encoder.stride)
        return Encoded(latents, self.contexters(latents, inside), inside, seen)

    def _inputs(self, batch: WindowBatch, pairs: Pairs | None = None) -> tuple[Channels, FrameMask, Views]:
        """Features and valid frames, padded to whole steps, and the views of the features."""
        stride, views = self.config.encoder.stride, self.featurizer.views(batch, pairs)
        return pad_to_multiple(self.featurizer(batch, views), stride), pad_to_multiple(batch.valid, stride), views

    def _unit_pairs(self, batch: WindowBatch, generator: torch.Generator | None, first: int = 0) -> Pairs | None:
        """Pairs of the unit of each window, see `drawn_pairs`; None = scenes."""
        return drawn_pairs(batch.present, self.config.units, generator, first)

    def codes(self, latents: Steps) -> dict[str, Float[Tensor, "batch step code"]]:
        """Further learned column groups computed from the latents; widths as in `code_widths`."""
        return {}

    @property
    def code_widths(self) -> dict[str, int]:
        """Name -> width of the groups of `codes`."""
        return {}

    def embed(self, batch: WindowBatch) -> Float[Tensor, "batch time latent"]:
        return self._embedded(batch, *self._inputs(batch))

    def embed_units(self, batch: WindowBatch, actors: Sequence[tuple[int, int]]) -> Float[Tensor, "unit time latent"]:
        features, valid, views = self._inputs(batch)
        embedded = []
        for agent, target in actors:
            kept, own = views.of_agent(agent, None if target in (agent, -1) else target)
            embedded.append(self._embedded(batch, features[:, :, kept], valid, own)[0])
        return torch.stack(embedded)

    def _embedded(
        self, batch: WindowBatch, features: Channels, valid: FrameMask, views: Views
    ) -> Float[Tensor, "batch frame latent"]:
        encoded = self._encoded(batch, features, valid, views)
        steps = self.step_columns(encoded, features, valid, views)
        frames = to_frames(steps, encoded.inside, self.config.encoder.stride, batch.valid.shape[1])
        return torch.cat([frames, *self._extras(batch, frames.dtype, views)], dim=-1)

    def step_columns(self, encoded: Encoded, features: Channels, valid: FrameMask, views: Views) -> Steps:
        """The embedding's columns without extras, one row per step."""
        stride, embedding, inside = self.config.encoder.stride, self.embedding, encoded.inside
        parts = self.learned_steps(encoded)
        if embedding.feature_window_frames:
            scene = self.embedder.joined(step_mean(features, valid, stride), views)
            parts += _window_means(scene, inside, embedding.feature_window_frames, stride)
        return torch.cat(parts, dim=-1).to(encoded.latents.dtype)

    def learned_steps(self, encoded: Encoded) -> list[Steps]:
        """Learned column groups, one row per step."""
        latents, windows = encoded.latents, self.embedding.latent_window_frames
        means = _window_means(latents, encoded.inside, windows, self.config.encoder.stride)
        return [*encoded.contexts.values(), latents, *self.codes(latents).values(), *means]

    def _extras(
        self, batch: WindowBatch, dtype: torch.dtype, views: Views | None = None
    ) -> list[Float[Tensor, "batch time channel"]]:
        agents, exchangeable = None if views is None else views.agents, self.skeleton.exchangeable
        return [EXTRAS[name](batch, exchangeable, agents).to(dtype) for name in self.embedding.extras]

    @property
    def units(self) -> tuple[Unit, ...]:
        return ("scene",) if self.config.encoder.animals == "first" else UNITS

    @property
    def num_animals(self) -> int | None:
        return None

    @property
    def channel_groups(self) -> dict[str, int]:
        embedding = self.embedding
        width = self.embedder.num_views * self.featurizer.num_channels
        features = {f"features_{frames}_frames": width for frames in embedding.feature_window_frames}
        return self.learned_widths | features | extra_widths(embedding.extras, self.skeleton)

    @property
    def more_groups(self) -> tuple[str, ...]:
        return ("features_N_frames", *EXTRAS)

    def with_groups(self, names: Sequence[str]) -> "ConvMethod":
        """The same network, with shared weights, and further means of inputs and extras in the embedding.

        Configuration and fingerprint stay as they are: the columns that were there keep their numbers.
        """
        windows = [int(match[1]) for name in names if (match := re.fullmatch(r"features_(\d+)_frames", name))]
        windows = [*dict.fromkeys((*self.embedding.feature_window_frames, *windows))]
        extras = dict.fromkeys((*self.embedding.extras, *(name for name in names if name in EXTRAS)))
        other = copy.copy(self)
        other.embedding = replace(self.embedding, feature_window_frames=tuple(windows), extras=tuple(extras))
        return other

    @property
    def learned_groups(self) -> tuple[str, ...]:
        return tuple(self.learned_widths)

    @property
    def learned_widths(self) -> dict[str, int]:
        """Name -> width of the groups of `learned_steps`."""
        encoder = self.config.encoder
        windows = [f"latent_{frames}_frames" for frames in self.embedding.latent_window_frames]
        contexts = {f"{name}_context": encoder.contexter_dim for name in encoder.contexts}
        latent = {"latent": encoder.latent_dim}
        return contexts | latent | self.code_widths | dict.fromkeys(windows, encoder.latent_dim)

    @property
    def embedding_dim(self) -> int:
        return sum(self.channel_groups.values())

    @property
    def receptive_field(self) -> tuple[int, int]:
        encoder, embedding = self.config.encoder, self.embedding
        latent, feature = (
            max((_odd_steps(frames, encoder.stride) // 2 for frames in windows), default=0)
            for windows in (embedding.latent_window_frames, embedding.feature_window_frames)
        )
        sides = zip(self.embedder.receptive_field, self.contexters.receptive_field, strict=True)
        steps = [max(embedder + max(contexter, latent), feature) for embedder, contexter in sides]
        # Stacking and interpolation: a frame's two steps span up to 2 * stride - 1 frames to either side.
        own = 2 * encoder.stride - 1 if encoder.stride > 1 else 0
        before, after = self.featurizer.receptive_field
        return before + steps[0] * encoder.stride + own, after + steps[1] * encoder.stride + own

    @property
    def features(self) -> FeatureConfig:
        return self.config.features

    @property
    def alignment(self) -> int:
        return self.config.encoder.stride


def _coding_notices(edges: Float[Tensor, "quantile channel"]) -> list[str]:
    never = (edges >= NEVER_KNOWN).all(dim=0)
    flat = ~never & (edges[-1] - edges[0] <= _MIN_RANGE)
    found = []
    if never.any():
        found.append(f"{int(never.sum())} of {len(never)} features of the scene were never observed: not coded")
    if flat.any():
        found.append(f"{int(flat.sum())} of {len(flat)} features of the scene hardly change: they have no histogram")
    return found


def _window_means(steps: Steps, inside: StepMask, windows_frames: tuple[int, ...], stride: int) -> list[Steps]:
    return [window_mean(steps, inside, _odd_steps(frames, stride)) for frames in windows_frames]


def _odd_steps(frames: int, stride: int) -> int:
    return 2 * (frames // stride // 2) + 1


def seen_steps(batch: WindowBatch, stride: int) -> StepMask:
    """Steps in which at least one keypoint of any animal was observed."""
    observed = pad_to_multiple(batch.observed.any(dim=(2, 3)), stride)
    return rearrange(observed, "batch (step stride) -> batch step stride", stride=stride).any(-1)
