"""Random scenes of any skeleton, and what can be done to them: for checking programs, never for training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.programs.pose import Pose
from ssl_behavior.skeleton import Skeleton

__all__ = ["TRANSFORMED_BY", "RandomScene", "random_scene", "transformed"]

_BODY_PX = {
    "nose": (48.0, 0.0), "head": (40.0, 1.0), "left_ear": (34.0, 12.0), "right_ear": (35.0, -13.0),
    "neck": (25.0, 1.0), "center": (0.0, -1.0), "left_hip": (-20.0, 14.0), "right_hip": (-21.0, -15.0),
    "tail_base": (-35.0, 0.0), "tail_middle": (-70.0, 3.0), "tail_tip": (-103.0, -2.0),
}  # fmt: skip
_BODY_LENGTH = 60.0
_ARENA = (13.0, 7.0, 653.0, 487.0)
_SHIFT, _TURN, _FACTOR = (31.0, -17.0), 1.3, 1.7

TRANSFORMED_BY = {
    "translation": f"moving the animals by {_SHIFT}",
    "rotation": f"turning the animals by {_TURN} rad",
    "reflection": "mirroring the animals",
    "scale": f"enlarging the picture {_FACTOR} times",
    "swap": "exchanging the animals",
}
"""What `transformed` does, in words."""


@dataclass(frozen=True)
class RandomScene:
    """Keypoints in an arena, from which poses are made."""

    keypoints: Float[Tensor, "*batch time individual keypoint space"]
    arena: Float[Tensor, "*batch corner"]
    skeleton: Skeleton
    fps: float

    def pose(self) -> Pose:
        """The scene as the first animal lives it; each call makes a new one, with nothing computed yet."""
        return Pose.of(self.keypoints, self.skeleton, self.fps, self.arena, _BODY_LENGTH)

    def to(self, dtype: torch.dtype) -> "RandomScene":
        """The scene in another precision."""
        return replace(self, keypoints=self.keypoints.to(dtype), arena=self.arena.to(dtype))


def random_scene(
    skeleton: Skeleton, fps: float, batch: Sequence[int], frames: int, generator: torch.Generator
) -> RandomScene:
    """Two animals that walk, turn, bend, and meet now and then; complete, in double precision."""
    shape = (*batch, frames, 2)

    def noise(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator, dtype=torch.float64)

    heading = (noise(*shape) * 0.1).cumsum(-2) + noise(*batch, 1, 2) * 3
    body = torch.tensor([_BODY_PX.get(role, (0.0, 0.0)) for role in _roles(skeleton)], dtype=torch.float64)
    body = body + noise(*shape, skeleton.num_keypoints, 2) * 2
    cos, sin = heading.cos().unsqueeze(-1), heading.sin().unsqueeze(-1)
    x, y = body.unbind(-1)
    turned = torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)
    place = torch.tensor([300.0, 250.0], dtype=torch.float64) + (noise(*shape, 2) * 2).cumsum(-3)
    # The second animal is somewhere around the first, now on it and now apart.
    phase = torch.arange(frames, dtype=torch.float64) / fps * 4 + noise(*batch, 1)
    apart = 90 * (1 - phase.cos()) + 5
    around = torch.stack([apart * (phase / 3).cos(), apart * (phase / 3).sin()], dim=-1)
    place = torch.stack([place[..., 0, :], place[..., 0, :] + around], dim=-2)
    arena = torch.tensor(_ARENA, dtype=torch.float64).expand(*batch, 4)
    return RandomScene(turned + place.unsqueeze(-2), arena, skeleton, fps)


def transformed(scene: RandomScene, name: str) -> RandomScene:
    """The scene after one of the `TRANSFORMATIONS` of programs."""
    keypoints, arena = scene.keypoints, scene.arena[..., None, None, None, :]
    middle = (arena[..., :2] + arena[..., 2:]) / 2
    if name == "translation":
        return replace(scene, keypoints=keypoints + keypoints.new_tensor(_SHIFT))
    if name == "rotation":
        cos, sin = math.cos(_TURN), math.sin(_TURN)
        turn = keypoints.new_tensor([[cos, sin], [-sin, cos]])
        return replace(scene, keypoints=middle + (keypoints - middle) @ turn)
    if name == "reflection":
        mirrored = torch.stack([2 * middle[..., 0] - keypoints[..., 0], keypoints[..., 1]], dim=-1)
        return replace(scene, keypoints=mirrored[..., scene.skeleton.mirror_order(), :])
    if name == "scale":
        return replace(scene, keypoints=keypoints * _FACTOR, arena=scene.arena * _FACTOR)
    assert name == "swap", name
    return replace(scene, keypoints=keypoints.flip(-3))


def _roles(skeleton: Skeleton) -> list[str]:
    roles = {keypoint: role for role, keypoint in skeleton.roles.items()}
    return [roles.get(keypoint, "") for keypoint in skeleton.keypoints]
