"""Contrastive predictive coding on pose: from its context, each step predicts the latents of steps ahead or behind.

van den Oord et al. 2018 (arXiv:1807.03748), in the form of the MABe 2021 Task 1 winner (residual convolutions,
cosine scores, negatives from other sequences), with every time step an anchor and, by default, a second context
that runs against time.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ssl_behavior.augment import augment
from ssl_behavior.collectives import all_sum, gather, rank, world_size
from ssl_behavior.errors import InputError
from ssl_behavior.methods.base import LossTerms
from ssl_behavior.methods.conv_base import ConvConfig, ConvMethod, Encoded
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.objectives import InfoNCE, dense_info_nce
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.tensor_types import Steps
from ssl_behavior.windows import WindowBatch

__all__ = ["CPC", "CPCConfig", "ContrastivePrediction", "PredictionConfig"]


@dataclass(frozen=True, kw_only=True)
class PredictionConfig:
    """Horizons, negatives and temperature of contrastive prediction.

    Parameters
    ----------
    horizons_frames : how far ahead (and, backward, behind) is predicted; multiples of the encoder's stride.
    key_dim : width in which predictions and targets are compared.
    temperature : of the cosine scores.
    own_negatives_every : every n-th step of the own window is a negative too; 0: only other sequences are.
    own_guard_frames : steps this close to the target are not negatives.
    """

    horizons_frames: tuple[int, ...] = (24, 48, 72, 96, 144)
    key_dim: int = 64
    temperature: float = 0.1
    own_negatives_every: int = 0
    own_guard_frames: int = 18

    def check_prediction(self, encoder: EncoderConfig) -> None:
        """Refuse settings that do not fit the encoder."""
        stride = encoder.stride
        if not encoder.contexts:
            raise InputError(
                "cpc: contrastive prediction needs contexts, and this encoder has none (encoder.directions is none, as "
                "in recipe summaries); with labels choose recipe finetune, which learns from them alone"
            )
        if self.temperature <= 0:
            raise InputError(f"cpc: temperature must be above 0, got {self.temperature}")
        wrong = [h for h in self.horizons_frames if h < 1 or h % stride]
        if wrong or not self.horizons_frames:
            raise InputError(
                f"cpc: horizons_frames must be multiples of the encoder's stride ({stride} frames) above 0, "
                f"got {self.horizons_frames}"
            )
        if self.key_dim < 1 or self.own_negatives_every < 0 or self.own_guard_frames < 0:
            raise InputError(f"cpc: key_dim must be at least 1, own_* 0 or more, got {self}")


@dataclass(frozen=True, kw_only=True)
class CPCConfig(PredictionConfig, ConvConfig):
    """CPC model: the encoder (`ConvConfig`) and its prediction (`PredictionConfig`)."""

    def __post_init__(self) -> None:
        self.check_prediction(self.encoder)


class ContrastivePrediction(nn.Module):
    """Linear predictors per direction and horizon, and InfoNCE between predictions and true latents."""

    def __init__(self, config: PredictionConfig, encoder: EncoderConfig) -> None:
        super().__init__()
        self.config, self.stride = config, encoder.stride
        self.key = nn.Linear(encoder.latent_dim, config.key_dim, bias=False)
        width = config.key_dim * len(config.horizons_frames)
        self.predictors = nn.ModuleDict(
            {name: nn.Linear(encoder.contexter_dim, width, bias=False) for name in encoder.contexts}
        )

    def forward(self, encoded: Encoded) -> LossTerms:
        """Mean InfoNCE over directions and horizons, on steps where something was observed.

        Across processes, the negatives are all processes' sequences, and the mean is over all anchors.

        Raises
        ------
        InputError
            If the windows are shorter than every horizon.
        """
        predictions = {
            name: self._predicted(self.predictors[name](context)) for name, context in encoded.contexts.items()
        }
        return self._loss_terms(predictions, F.normalize(self.key(encoded.latents), dim=-1), encoded)

    def _predicted(self, projections: Steps) -> list[Tensor]:
        """Unit vectors [step batch key], one tensor per horizon."""
        pattern = "batch step (horizon key) -> horizon step batch key"
        predicted = rearrange(projections, pattern, key=self.config.key_dim)
        return list(F.normalize(predicted, dim=-1).unbind(0))

    def _loss_terms(self, predictions: dict[str, list[Tensor]], keys: Steps, encoded: Encoded) -> LossTerms:
        stride, num_steps = self.stride, keys.shape[1]
        # Each horizon with the index of its own predictor: a short window may lack any of them.
        horizons = [(i, h // stride) for i, h in enumerate(self.config.horizons_frames) if h // stride < num_steps]
        if not horizons:
            raise InputError(f"cpc: windows of {num_steps * stride} frames are shorter than every horizon")
        sequences = _Sequences(
            keys=gather(keys).transpose(0, 1),
            seen=gather(encoded.seen).T,
            inside=encoded.inside.T,
            own=keys,
            own_seen=encoded.seen,
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
            guard = max(1, self.config.own_guard_frames // self.stride)
            far_enough = (picked - steps[target].unsqueeze(1)).abs() >= guard
            negatives = sequences.own[:, picked]
            usable = far_enough.unsqueeze(1) & sequences.own_seen[:, picked]
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


class CPC(ConvMethod):
    """An encoder on convolution stacks that learns by `ContrastivePrediction`."""

    Config = CPCConfig
    config: CPCConfig

    def __init__(self, config: CPCConfig, skeleton: Skeleton, fps: float) -> None:
        super().__init__(config, skeleton, fps)
        self.prediction = ContrastivePrediction(config, config.encoder)

    def loss(self, batch: WindowBatch, generator: torch.Generator | None) -> LossTerms:
        """See `ContrastivePrediction.forward`."""
        if generator is not None:
            batch = augment(batch, self.config.augment, self.skeleton, generator)
        terms: LossTerms = self.prediction(self.encode(batch, self._unit_pairs(batch, generator)))
        return terms


@dataclass(frozen=True)
class _Sequences:
    """Queries and keys of one batch; `keys` and `seen` are those of all processes, time first."""

    keys: Float[Tensor, "time key latent"]
    seen: Bool[Tensor, "time key"]
    inside: Bool[Tensor, "time query"]
    own: Float[Tensor, "query time latent"]
    own_seen: Bool[Tensor, "query time"]
