"""Axis names of tensor annotations. Every public signature uses these words.

`batch`, `time` (frames), `step` (a few frames stacked), `individual`, `keypoint`, `space` (x, y in pixels), `channel`
(features), `latent` (learned), `query` and `key` (the two sides of a similarity), `attribute` (a program's value),
`class` (of an attribute or a behavior), `state` (an animal's place, heading and pose), `window` (many of them, each
with its own `frame`s), `term` (of a loss). `*batch` is any number of leading axes. A mask is True where the value is
usable.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = [
    "Features",
    "FrameLabels",
    "FrameMask",
    "Keypoints",
    "Latents",
    "Observed",
    "Similarities",
    "StepMask",
    "Steps",
]

Keypoints = Float[Tensor, "*batch time individual keypoint space"]
Observed = Bool[Tensor, "*batch time individual keypoint"]
Features = Float[Tensor, "*batch time channel"]
Latents = Float[Tensor, "batch time latent"]
Steps = Float[Tensor, "batch step latent"]
StepMask = Bool[Tensor, "batch step"]
Similarities = Float[Tensor, "query key"]
FrameLabels = Int[Tensor, "*batch time"]
FrameMask = Bool[Tensor, "*batch time"]
