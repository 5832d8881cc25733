"""Poses as states of few numbers (position, heading, body shape), and keypoints from such states.

The state of the trajectory VAE of task programming (Sun et al., CVPR 2021, arXiv:2011.13917): place and heading of
every animal, and the principal components of its keypoints in its own frame (front of the body axis at the origin,
heading along x). Moving or turning a scene changes only the numbers of place and heading.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ssl_behavior.errors import InputError
from ssl_behavior.numerics import principal_components
from ssl_behavior.pose_geometry import SceneConfig, build_scene, by_frame, rotate_into, scale_of
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["StateConfig", "StateMask", "States", "TrajectoryCoder"]

States = Float[Tensor, "*batch time individual state"]
StateMask = Bool[Tensor, "*batch time individual state"]

_FARTHEST = 6.0
_DETERMINED = 0.5
_EPSILON = 1e-6
_MIN_NOISE = 1e-4
_MOST_KEYPOINTS = 62
_PLACE, _HEADING = slice(0, 2), slice(2, 4)
_NUM_PLACE = 4


@dataclass(frozen=True, kw_only=True)
class StateConfig:
    """Options of the state.

    Parameters
    ----------
    pose_components : principal components of an animal's keypoints in its own frame.
    scene : gaps, outliers, and for how long a heading is held (here no longer than while it counts as fresh).
    """

    pose_components: int = 5
    scene: SceneConfig = field(default_factory=SceneConfig)

    def __post_init__(self) -> None:
        if self.pose_components < 1:
            raise InputError(f"trajectory: pose_components must be at least 1, got {self.pose_components}")


class TrajectoryCoder(nn.Module):
    """Windows <-> states: per animal [x, y, sin, cos, components...], in body lengths from the arena's center.

    Mean pose, components and scales are fitted once, both animals pooled, and travel with the weights. Where points
    are missing, the components' coefficients are their expectation given the points that are known, under the normal
    distribution that probabilistic PCA fits (Tipping & Bishop 1999); without missing points they are plain PCA.

    Attributes
    ----------
    state_spread, action_spread : root mean square of each number and of its change from frame to frame.

    Raises
    ------
    InputError
        If the skeleton's poses have fewer degrees of freedom than `pose_components`.
    """

    notices: tuple[str, ...] = ()
    scale_px: Tensor
    mean_pose: Tensor
    components: Tensor
    variances: Tensor
    noise: Tensor
    explained_variance: Tensor
    state_spread: Tensor
    action_spread: Tensor

    def __init__(self, config: StateConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        # The front is the origin and the back lies on the axis: three coordinates of every pose are 0.
        freedom = 2 * skeleton.num_keypoints - 3
        if freedom < 1:
            raise InputError(f"poses need two or more points of each animal, these have one: {skeleton.keypoints[0]}")
        if config.pose_components > freedom or skeleton.num_keypoints > _MOST_KEYPOINTS:
            raise InputError(
                f"trajectory: poses of skeleton {skeleton.name!r} with {skeleton.num_keypoints} keypoints (at most "
                f"{_MOST_KEYPOINTS}) have {freedom} degrees of freedom, but pose_components is {config.pose_components}"
            )
        self.num_states = _NUM_PLACE + config.pose_components
        pose_dim = 2 * skeleton.num_keypoints
        self.register_buffer("scale_px", torch.ones(()))
        self.register_buffer("mean_pose", torch.zeros(pose_dim))
        self.register_buffer("components", torch.zeros(config.pose_components, pose_dim))
        self.register_buffer("variances", torch.ones(config.pose_components))
        self.register_buffer("noise", torch.ones(()))
        self.register_buffer("explained_variance", torch.zeros(()))
        self.register_buffer("state_spread", torch.ones(self.num_states))
        self.register_buffer("action_spread", torch.ones(self.num_states))

    def states(self, batch: WindowBatch) -> tuple[States, StateMask]:
        """States of every animal at every frame, 0 where unknown, and the mask of known numbers.

        A coefficient counts as known where the known points leave less than half of its variance open.
        """
        with torch.autocast(batch.keypoints.device.type, enabled=False):
            local = self._local(batch)
            coefficients, determined = self._coefficients(local.pose, local.seen)
        pairs = torch.stack([local.has_front, local.has_heading], dim=-1).repeat_interleave(2, dim=-1)
        known = torch.cat([pairs, determined & (local.has_front & local.has_heading).unsqueeze(-1)], dim=-1)
        values = torch.cat([local.place, local.heading.flip(-1), coefficients], dim=-1)
        return values.masked_fill(~known, 0.0), known

    def keypoints(
        self, states: States, arena: Float[Tensor, "*batch corner"]
    ) -> Float[Tensor, "*batch time individual keypoint space"]:
        """States -> keypoints in pixels; sine and cosine need not be of length 1."""
        pose = (self.mean_pose + states[..., _NUM_PLACE:] @ self.components).unflatten(-1, (-1, 2))
        sin, cos = F.normalize(states[..., _HEADING], dim=-1).unbind(-1)
        points = states[..., None, _PLACE] + rotate_into(pose, torch.stack([cos, -sin], dim=-1).unsqueeze(-2))
        return points * self.scale_px + _middle(arena)[..., None, None, None, :]

    def actions(
        self, states: Float[Tensor, "*batch time individual state"], known: StateMask
    ) -> tuple[Float[Tensor, "*batch step individual state"], Bool[Tensor, "*batch step individual state"]]:
        """Differences of states between consecutive frames, 0 where unknown.

        A step longer than the scene's `max_jump` is no movement but an exchange of the animals by the tracker: not
        known.
        """
        step = states[..., 1:, :, :] - states[..., :-1, :, :]
        both = known[..., 1:, :, :] & known[..., :-1, :, :]
        if self.config.scene.max_jump:
            length = torch.linalg.vector_norm(step[..., _PLACE], dim=-1, keepdim=True)
            both = both & ~(both[..., :1] & (length > self.config.scene.max_jump))
        return step.masked_fill(~both, 0.0), both

    def placed(self, known: Bool[Tensor, "*batch individual state"]) -> Bool[Tensor, "*batch"]:
        """Mask of known position and heading of every animal: enough for keypoints of the mean shape."""
        return known[..., :_NUM_PLACE].all(dim=-1).all(dim=-1)

    @torch.no_grad()
    def fit(self, reader: WindowReader) -> "TrajectoryCoder":
        """Fit the scale, then mean pose and components, then the spreads, on the recordings of `reader`.

        Mean and covariance use the known values of each point and of each pair of points, in frames that show both ends
        of the body axis. Of more than 400,000 frames, some pieces drawn by a fixed seed.

        Raises
        ------
        InputError
            If the skeleton has no body axis, or no frame shows both its ends.
        """
        self.scale_px.fill_(scale_of(reader, self.skeleton))
        self._fit_components(reader)
        sums = torch.zeros(4, self.num_states, dtype=torch.float64, device=self.noise.device)
        for batch in self._pieces(reader):
            states, known = self.states(batch)
            actions, moved = self.actions(states, known)
            parts = (states.double().square(), known, actions.double().square(), moved)
            sums += torch.stack([part.flatten(0, 2).sum(0) for part in parts])
        self.state_spread.copy_(_spread(sums[0], sums[1]))
        self.action_spread.copy_(_spread(sums[2], sums[3]))
        return self

    def _local(self, batch: WindowBatch) -> "_Local":
        scene = build_scene(batch, self.skeleton, self.scale_px, self.config.scene)
        points, known, front, has_front = map(by_frame, (scene.points, scene.known, scene.front, scene.has_front))
        exact = has_front & by_frame(scene.has_back)
        heading = torch.where(exact.unsqueeze(-1), F.normalize(by_frame(scene.axis), dim=-1), by_frame(scene.heading))
        has_heading = by_frame(scene.fresh_heading) & (torch.linalg.vector_norm(heading, dim=-1) > 0.5)
        offsets = points - front.unsqueeze(-2)
        near = torch.linalg.vector_norm(offsets, dim=-1) < _FARTHEST
        return _Local(
            place=front - _middle(scene.arena)[:, None, None],
            has_front=has_front,
            heading=heading,
            has_heading=has_heading,
            exact=exact & has_heading,
            pose=rotate_into(offsets, heading.unsqueeze(-2)).flatten(-2),
            seen=known & near & (has_front & has_heading).unsqueeze(-1),
        )

    def _coefficients(
        self, pose: Float[Tensor, "*batch pose"], seen: Bool[Tensor, "*batch keypoint"]
    ) -> tuple[Float[Tensor, "*batch coefficient"], Bool[Tensor, "*batch coefficient"]]:
        """Expected coefficients given the known points, and whether these explain more than half of the variance."""
        offset = (pose - self.mean_pose).masked_fill(~_twice(seen), 0.0)
        # What there is to solve depends only on which points are known, and few combinations occur.
        weight = 2 ** torch.arange(seen.shape[-1], device=seen.device)
        patterns, index = torch.unique((seen * weight).sum(-1), return_inverse=True)
        correction, determined = self._solved((patterns.unsqueeze(-1) & weight) > 0)
        projected = offset @ self.components.T
        coefficients = (correction[index] @ projected.unsqueeze(-1)).squeeze(-1)
        return coefficients, determined[index]

    def _solved(self, seen: Bool[Tensor, "pattern keypoint"]) -> tuple[Tensor, Tensor]:
        """Matrix from the projection of known points to the expected coefficients, for each set of known points.

        With B the components at the known points, G = B B', and latents w of variance v and noise s, the posterior of w
        is N(P B x, s P), P = (G + s / v)^-1. The points not known are expected at their share of w, so the
        coefficients are (1 + (1 - G) P) B x: of complete poses, where G = 1, plain PCA.
        """
        known = _twice(seen).to(self.components.dtype)
        eye = torch.eye(len(self.components), dtype=known.dtype, device=known.device)
        gram = (self.components * known.unsqueeze(1)) @ self.components.T
        latent = (self.variances - self.noise).clamp_min(self.noise)
        posterior = torch.linalg.inv(gram + torch.diag(self.noise / latent))
        open_ = eye - gram
        left = self.noise * (open_ @ posterior @ open_ + open_).diagonal(dim1=1, dim2=2)
        return eye + open_ @ posterior, left < (1 - _DETERMINED) * self.variances

    def _fit_components(self, reader: WindowReader) -> None:
        size = len(self.mean_pose)
        sums = torch.zeros(3, size, size, dtype=torch.float64, device=self.noise.device)
        for batch in self._pieces(reader):
            local = self._local(batch)
            known = _twice(local.seen & local.exact.unsqueeze(-1)).double().flatten(0, 2)
            pose = local.pose.double().flatten(0, 2) * known
            sums += torch.stack([pose.T @ pose, pose.T @ known, known.T @ known])
        products, totals, counts = sums[0], sums[1], sums[2].clamp_min(1)
        mean = totals.diagonal() / counts.diagonal()
        products = products - mean * totals - mean.unsqueeze(-1) * totals.T + torch.outer(mean, mean) * sums[2]
        axes, variances = principal_components(products / counts)
        self._keep(mean, variances, axes.T)

    def _keep(self, mean: Tensor, variances: Tensor, vectors: Tensor) -> None:
        """Store mean, leading components, and the noise: the mean variance of other components that can vary."""
        kept, freedom = self.config.pose_components, 2 * self.skeleton.num_keypoints - 3
        noise = variances[kept:].sum() / max(1, freedom - kept)
        # A floor, so that nothing depends on the last digits of a variance that is all but 0.
        floor = (_MIN_NOISE * variances[0]).clamp_min(_EPSILON)
        self.mean_pose.copy_(mean)
        self.components.copy_(vectors[:kept])
        self.variances.copy_(variances[:kept].clamp_min(floor))
        self.noise.copy_(noise.clamp_min(floor))
        self.explained_variance.copy_(variances[:kept].sum() / variances.sum().clamp_min(_EPSILON))

    def _pieces(self, reader: WindowReader) -> Iterator[WindowBatch]:
        return (batch.to(self.noise.device, self.noise.dtype) for batch in reader.pieces())


@dataclass(frozen=True)
class _Local:
    """Animals in their own frames, in body lengths."""

    place: Float[Tensor, "batch time individual space"]
    has_front: Bool[Tensor, "batch time individual"]
    heading: Float[Tensor, "batch time individual space"]
    has_heading: Bool[Tensor, "batch time individual"]
    exact: Bool[Tensor, "batch time individual"]
    """Both ends of the body axis are known, so the heading is that of the axis itself."""
    pose: Float[Tensor, "batch time individual pose"]
    seen: Bool[Tensor, "batch time individual keypoint"]


def _middle(arena: Float[Tensor, "*batch corner"]) -> Float[Tensor, "*batch space"]:
    return (arena[..., :2] + arena[..., 2:]) / 2


def _twice(seen: Bool[Tensor, "*batch keypoint"]) -> Bool[Tensor, "*batch pose"]:
    """A point's mask for its x and its y."""
    return seen.repeat_interleave(2, dim=-1)


def _spread(squares: Tensor, counts: Tensor) -> Tensor:
    """Root mean squares; x and y, and sine and cosine, share one, so that a rotation stays a rotation."""
    squares, counts = squares.clone(), counts.clone()
    for pair in (_PLACE, _HEADING):
        squares[pair], counts[pair] = squares[pair].mean(), counts[pair].mean()
    spread = (squares / counts.clamp_min(1)).sqrt()
    return torch.where(spread > _EPSILON, spread, 1.0)
