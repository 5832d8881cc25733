"""Heads of task programming on an encoder: program attributes from latents, and decoded trajectories.

Counterpart of the trajectory VAE of task programming (Sun et al., CVPR 2021, arXiv:2011.13917). The posterior is a
function of the encoder's latent. The decoder gets the animals' poses at the middle of a window and predicts their
keypoints over the whole window, each animal in its own frame.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ssl_behavior.collectives import all_sum, gather, rank
from ssl_behavior.errors import InputError
from ssl_behavior.features import squash
from ssl_behavior.methods.base import LossTerms, mean_of
from ssl_behavior.objectives import (
    Sums,
    attribute_classification,
    attribute_regression,
    full_precision,
    gaussian_nll,
    kl_to_standard_normal,
    supervised_contrastive,
)
from ssl_behavior.pose_geometry import Scene, by_frame, rotate_into
from ssl_behavior.programs import ProgramSet
from ssl_behavior.skeleton import Skeleton

__all__ = [
    "AttributeTargets",
    "HeadsConfig",
    "LocalWindows",
    "ProgramHeads",
    "TrajectoryConfig",
    "TrajectoryHead",
    "consistency_of",
    "local_windows",
]

Points = Float[Tensor, "point latent"]


@dataclass(frozen=True, kw_only=True)
class HeadsConfig:
    """Weights of the losses; 0 turns one off.

    Parameters
    ----------
    regression : Huber loss of standardized attributes read off linearly.
    classification : cross-entropy of their classes read off linearly.
    contrastive : supervised contrast of their classes, one projection per program.
    projection_dim : width of those projections.
    temperature : of the contrast.
    """

    regression: float = 1.0
    classification: float = 1.0
    contrastive: float = 0.0
    projection_dim: int = 32
    temperature: float = 0.07

    def __post_init__(self) -> None:
        weights = (self.regression, self.classification, self.contrastive)
        if min(weights) < 0:
            raise InputError(f"programs: weights of losses must be 0 or more, got {weights}")
        if self.projection_dim < 1 or self.temperature <= 0:
            raise InputError(
                f"programs: projection_dim must be at least 1 and temperature above 0, got {self.projection_dim} "
                f"and {self.temperature}"
            )


@dataclass(frozen=True)
class AttributeTargets:
    """Program attributes of points: values, masks and classes."""

    values: Float[Tensor, "*any attribute"]
    """Standardized."""
    known: Bool[Tensor, "*any attribute"]
    classes: Int[Tensor, "*any attribute"]

    def each(self, change: Callable[[Tensor], Tensor]) -> "AttributeTargets":
        """Apply the same function to values, masks and classes."""
        return AttributeTargets(change(self.values), change(self.known), change(self.classes))


class ProgramHeads(nn.Module):
    """Linear heads and projections on points of `dim` latents; heads with loss weight 0 do not exist."""

    def __init__(self, config: HeadsConfig, dim: int, programs: ProgramSet) -> None:
        super().__init__()
        self.config, self.num_classes = config, programs.num_classes
        attributes, width = programs.num_attributes, config.projection_dim
        if config.regression:
            self.regression = nn.Linear(dim, attributes)
        if config.classification:
            self.classification = nn.Linear(dim, attributes * programs.num_classes)
        if config.contrastive:
            self.hidden = nn.Linear(dim, attributes * width)
            self.projection = nn.Parameter(torch.randn(attributes, width, width) * width**-0.5)

    def decode(self, points: Points, targets: AttributeTargets) -> LossTerms:
        """Regression and classification, the mean over attributes of the mean over their known points."""
        terms, metrics = {}, {}
        if self.config.regression:
            predicted = self.regression(points)
            sums = attribute_regression(predicted, targets.values, targets.known)
            terms["regression"] = self.config.regression * mean_of(sums, self.training)
            metrics["attribute_r2"] = _explained(predicted.detach(), targets)
        if self.config.classification:
            logits = self.classification(points).unflatten(-1, (-1, self.num_classes))
            sums = attribute_classification(logits, targets.classes, targets.known)
            terms["classification"] = self.config.classification * mean_of(sums, self.training)
            metrics["class_accuracy"] = _accuracy(logits.detach(), targets)
        return LossTerms(terms, metrics)

    def contrast(self, points: Points, targets: AttributeTargets) -> LossTerms:
        """Supervised contrastive loss among the points of all processes, averaged over anchors, then over programs."""
        if not self.config.contrastive:
            return LossTerms({})
        hidden = F.leaky_relu(self.hidden(points).unflatten(-1, (len(self.projection), -1)))
        projected = einsum(hidden, self.projection, "point program hidden, program hidden k -> point program k")
        projected = F.normalize(projected, dim=-1)
        classes = torch.where(targets.known, targets.classes, -1)
        own = rank() * len(points) + torch.arange(len(points), device=points.device)
        sums = supervised_contrastive(
            projected.transpose(0, 1), gather(projected).transpose(0, 1), classes.T, gather(classes).T, own,
            self.config.temperature,
        )  # fmt: skip
        return LossTerms({"contrastive": self.config.contrastive * mean_of(sums, self.training)})


def consistency_of(
    programs: ProgramSet,
    predicted: Float[Tensor, "*any attribute"],
    target: Float[Tensor, "*any attribute"],
    known: Bool[Tensor, "*any attribute"],
    training: bool,
) -> Float[Tensor, ""]:
    """Huber loss between attributes of decoded trajectories (NaN = unknown) and true standardized attributes."""
    known = known & predicted.isfinite()
    # Only after the mask: a missing attribute is NaN, and so would be 0 times it.
    predicted = programs.standardized(torch.where(known, predicted, 0.0))
    return mean_of(attribute_regression(predicted, target, known), training)


def _explained(predicted: Tensor, targets: AttributeTargets) -> Float[Tensor, ""]:
    """Explained variance (R²), mean over attributes."""
    predicted = full_precision(predicted)
    known, values = targets.known.to(predicted.dtype), targets.values.to(predicted.dtype)
    count = all_sum(known.sum(0)).clamp_min(1)
    mean = all_sum((values * known).sum(0)) / count
    left, spread = (all_sum((diff.square() * known).sum(0)) for diff in (predicted - values, values - mean))
    varied = spread > 0
    shares = 1 - left / torch.where(varied, spread, 1.0)
    return (shares * varied).sum() / varied.sum().clamp_min(1)


def _accuracy(logits: Tensor, targets: AttributeTargets) -> Float[Tensor, ""]:
    right = (logits.argmax(-1) == targets.classes) & targets.known
    hits, total = (all_sum(flags.sum().to(targets.values.dtype)) for flags in (right, targets.known))
    return hits / total.clamp_min(1)


_FARTHEST = 4.0
_LOG_VARIANCE = (-8.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class TrajectoryConfig:
    """Trajectory code, decoder and loss weights. A loss with weight 0 is not computed.

    Parameters
    ----------
    likelihood : weight of the Gaussian likelihood of the keypoints, in nats per coordinate of a window.
    kl : weight of the divergence from the prior beside the likelihood: 1 is the variational bound.
    consistency : weight of the programs' consistency: what they say of the decoded trajectories is what they say of
        the true ones (Huber, standardized).
    latent_dim : width of the code.
    free_bits : nats per latent that cost nothing.
    frames : length of the decoded windows, odd.
    steps_per_window : how many steps of every training window are decoded.
    hidden_dim : width of the decoder.
    """

    likelihood: float = 0.0
    kl: float = 1.0
    consistency: float = 0.0
    latent_dim: int = 32
    free_bits: float = 1 / 32
    frames: int = 21
    steps_per_window: int = 8
    hidden_dim: int = 256

    def __post_init__(self) -> None:
        if min(self.likelihood, self.kl, self.consistency, self.free_bits) < 0:
            raise InputError(f"trajectory: weights and free bits must be 0 or more, got {self}")
        if min(self.latent_dim, self.steps_per_window, self.hidden_dim) < 1:
            raise InputError(f"trajectory: widths and steps_per_window must be at least 1, got {self}")
        if self.frames < 1 or self.frames % 2 == 0:
            raise InputError(f"trajectory: frames must be odd (as many before as after the middle), got {self.frames}")

    @property
    def judged_frames(self) -> tuple[int, int]:
        """Frames of a window where programs are evaluated: far from its ends, because of lags, and from its middle."""
        return self.frames // 4, self.frames - 1 - self.frames // 4

    @property
    def used(self) -> bool:
        return bool(self.likelihood or self.consistency)


@dataclass(frozen=True)
class LocalWindows:
    """Windows around chosen frames, every animal in its own frame at the middle, in body lengths."""

    points: Float[Tensor, "window time individual keypoint space"]
    known: Bool[Tensor, "window time individual keypoint"]
    anchor: Float[Tensor, "window individual channel"]
    """Anchor of the decoder: own pose at the middle and its mask, position and heading of the other."""
    center: Float[Tensor, "window individual space"]
    heading: Float[Tensor, "window individual space"]
    placed: Bool[Tensor, "window individual"]
    """Center and heading at the middle are known."""

    def to_scene(
        self, local: Float[Tensor, "window time individual keypoint space"]
    ) -> Float[Tensor, "window time individual keypoint space"]:
        """Own-frame coordinates -> the scene's, in body lengths."""
        # Rotating into the mirrored heading undoes a rotation into the heading.
        back = self.heading * self.heading.new_tensor([1.0, -1.0])
        return rotate_into(local, back[:, None, :, None]) + self.center[:, None, :, None]


def local_windows(scene: Scene, middle: Int[Tensor, "batch pick"], frames: int) -> LocalWindows:
    """Windows of `frames` frames around the frames `middle` of every window of the batch, one after the other."""
    num_frames = scene.valid.shape[1]
    row = torch.arange(len(middle), device=middle.device).view(-1, 1)
    span = middle.unsqueeze(-1) + torch.arange(frames, device=middle.device) - frames // 2
    inside = ((span >= 0) & (span < num_frames)).flatten(0, 1)
    around = row.unsqueeze(-1), span.clamp(0, num_frames - 1)
    placed = scene.has_center & scene.has_heading
    center, heading, placed = (
        by_frame(values)[row, middle].flatten(0, 1) for values in (scene.center, scene.heading, placed)
    )
    points, known = (by_frame(values)[around].flatten(0, 1) for values in (scene.points, scene.known))
    local = rotate_into(points - center[:, None, :, None], heading[:, None, :, None])
    known = known & inside[..., None, None] & placed[:, None, :, None]
    # What the tracker threw far away is no pose.
    known = known & (local.abs().amax(dim=-1) < _FARTHEST)
    local = local.masked_fill(~known.unsqueeze(-1), 0.0)
    now = frames // 2
    anchor = torch.cat(
        [local[:, now].flatten(-2), known[:, now].to(local.dtype), _toward_other(center, heading, placed)], dim=-1
    )
    return LocalWindows(local, known, anchor, center, heading, placed)


def _toward_other(center: Tensor, heading: Tensor, placed: Tensor) -> Float[Tensor, "window individual 5"]:
    """The other animal's position (logarithmic) and heading in the own frame, and whether both are known."""
    both = placed.all(dim=-1, keepdim=True).expand_as(placed).unsqueeze(-1)
    place = squash(rotate_into(center.flip(1) - center, heading))
    return torch.cat([place, rotate_into(heading.flip(1), heading), torch.ones_like(place[..., :1])], dim=-1) * both


class TrajectoryHead(nn.Module):
    """Posterior and decoder."""

    def __init__(self, config: TrajectoryConfig, skeleton: Skeleton, in_dim: int) -> None:
        super().__init__()
        self.config, self.num_keypoints = config, skeleton.num_keypoints
        hidden, anchor = config.hidden_dim, 3 * skeleton.num_keypoints + 5
        self.posterior = nn.Linear(in_dim, 2 * config.latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(config.latent_dim + anchor, hidden),
            nn.LeakyReLU(0.01),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.01),
            nn.Linear(hidden, config.frames * skeleton.num_keypoints * 4),
        )

    def code(self, latents: Float[Tensor, "*any latent"]) -> Float[Tensor, "*any code"]:
        """The posterior mean."""
        mean: Tensor = self.posterior(latents).chunk(2, dim=-1)[0]
        return mean

    def forward(
        self,
        latents: Float[Tensor, "window latent"],
        windows: LocalWindows,
        noise: Float[Tensor, "window code"] | None,
    ) -> tuple[dict[str, Tensor], Float[Tensor, "window time individual keypoint space"]]:
        """(weighted terms, decoded mean trajectories in the own frames); with `noise` the code is drawn, else its mean.

        Parameters
        ----------
        latents : the encoder's, of the step in the middle of each window.
        """
        mean, log_variance = self.posterior(latents).chunk(2, dim=-1)
        log_variance = log_variance.clamp(*_LOG_VARIANCE)
        code = mean if noise is None else mean + noise * (0.5 * log_variance).exp()
        place, spread = self._decode(code, windows)
        terms = {}
        if self.config.likelihood:
            known = windows.known.unsqueeze(-1).expand_as(place)
            sums = gaussian_nll(place, spread, windows.points, known)
            usable = windows.known.flatten(1).any(dim=1)
            divergence = kl_to_standard_normal(mean, log_variance, self.config.free_bits, usable)
            coordinates = place[0].numel()
            # Both per window, divided by the same number: with a weight of 1 they are the bound, whatever is missing.
            per_window = Sums(sums.total, divergence.count)
            terms["likelihood"] = self.config.likelihood / coordinates * mean_of(per_window, self.training)
            terms["kl"] = self.config.likelihood * self.config.kl / coordinates * mean_of(divergence, self.training)
        return terms, place

    def _decode(self, code: Tensor, windows: LocalWindows) -> tuple[Tensor, Tensor]:
        """Mean and log variance of every coordinate of every animal."""
        individuals = windows.anchor.shape[1]
        decoder_input = torch.cat([code.unsqueeze(1).expand(-1, individuals, -1), windows.anchor], dim=-1)
        pattern = "window individual (moment time keypoint space) -> moment window time individual keypoint space"
        decoded = rearrange(self.decoder(decoder_input), pattern, moment=2, keypoint=self.num_keypoints, space=2)
        move, spread = (full_precision(moment) for moment in decoded.unbind(0))
        now = windows.points[:, windows.points.shape[1] // 2].unsqueeze(1)
        return now + move, spread.clamp(*_LOG_VARIANCE)

    def consistency(
        self,
        decoded: Float[Tensor, "window time individual keypoint space"],
        windows: LocalWindows,
        programs: ProgramSet,
        scale_px: Float[Tensor, ""],
        place: tuple[Float[Tensor, "window corner"], Float[Tensor, " window"]],
        target: tuple[Float[Tensor, "window judged attribute"], Bool[Tensor, "window judged attribute"]],
    ) -> dict[str, Tensor]:
        """Huber loss of the attributes of decoded trajectories at `judged_frames`, standardized.

        The programs are differentiable, so no network has to approximate them. (A program without gradient, such as
        time_since_contact, adds a constant.) The middle frame is no judged frame: there the decoder gets the pose.

        Parameters
        ----------
        place : arena in pixels and pixels per cm of every window.
        target : standardized attributes at the judged frames, and which are known.
        """
        keypoints = windows.to_scene(decoded) * scale_px
        predicted = programs.evaluate(keypoints, *place)[:, list(self.config.judged_frames)]
        known = target[1] & windows.placed.all(dim=1).view(-1, 1, 1)
        loss = consistency_of(programs, predicted, target[0], known, self.training)
        return {"consistency": self.config.consistency * loss}
