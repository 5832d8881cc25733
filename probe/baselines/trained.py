"""A trained baseline, and what it says of recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.baselines.config import BaselineConfig
from probe.baselines.inputs import Inputs
from probe.baselines.layout import OBSERVED, Layout
from probe.baselines.network import FrameClassifier
from probe.representations import Scaling
from probe.trial import spread
from ssl_behavior.errors import InputError
from ssl_behavior.store import StoreRow

__all__ = ["TrainedBaseline", "balanced", "paired"]

PREDICTED_FRAMES = 16_384


@dataclass(frozen=True, eq=False)
class TrainedBaseline:
    """A trained baseline, all that a prediction or a transfer needs of it, and how its training went.

    Parameters
    ----------
    network : after the last epoch, ready to predict.
    layout, scaling : of the inputs it reads; see `Inputs`.
    classes, kind : of the task.
    learned : the classes, by index, that its logits stand for, in their order.
    shares : of every class, how many of the annotated training frames show it.
    optimizer : the optimizer's tensors after the last step, "<parameter>.<what>"; a transfer may go on with them.
    num_train_frames : annotated frames of the training recordings.
    samples_seen : frames learned from, counted each time.
    losses : mean of each epoch, dropout and class weights included.
    """

    config: BaselineConfig
    network: FrameClassifier
    layout: Layout
    scaling: Scaling | None
    classes: tuple[str, ...]
    kind: str
    learned: tuple[int, ...]
    shares: tuple[float, ...]
    optimizer: Mapping[str, Tensor]
    seed: int
    num_train_frames: int
    samples_seen: int
    losses: tuple[float, ...]

    def predict(self, inputs: Inputs, rows: Sequence[StoreRow]) -> np.ndarray:
        """Probabilities of every frame of `rows`, one recording after the other.

        Parameters
        ----------
        inputs : of these recordings, on any device; with the scaling of the training, if there are features.

        Returns
        -------
        float32 [frames, classes]; NaN for classes not learned. Those of a multinomial task sum to 1.

        Raises
        ------
        InputError
            If the inputs lack a recording, have other channels than those of the training, or too narrow margins.
        """
        inputs.check(rows, self.config.window)
        self.check_layout(inputs)
        parts = [self._probabilities(inputs, row) for row in rows]
        found = np.concatenate(parts) if parts else np.empty((0, len(self.learned)), np.float32)
        return spread(found, self.learned, len(self.classes))

    def balanced(self, probability: np.ndarray) -> np.ndarray:
        """Probabilities of `predict` as if all classes had been equally frequent in training."""
        return balanced(probability, np.array(self.shares), self.kind)

    def check_layout(self, inputs: Inputs) -> None:
        """Raise an InputError if `inputs` are not what the network reads."""
        if inputs.layout != self.layout:
            raise InputError(
                f"the network reads {dict(self.layout.groups)} of {self.layout.skeleton.name!r}, the inputs hold "
                f"{dict(inputs.layout.groups)} of {inputs.layout.skeleton.name!r}: assemble them as for its training "
                f"(observed={OBSERVED in self.layout.groups}, and the same features)"
            )
        if (self.scaling is None) != (inputs.scaling is None) or (
            self.scaling is not None and inputs.scaling is not None and not _alike(self.scaling, inputs.scaling)
        ):
            raise InputError(
                "the inputs' features are standardised otherwise than in training: assemble them with its scaling"
            )

    @torch.inference_mode()
    def _probabilities(self, inputs: Inputs, row: StoreRow) -> np.ndarray:
        """Of the learned classes, float32 [time, learned class]."""
        logits = [
            self._logits(inputs, inputs.starts[row.id] + start, min(PREDICTED_FRAMES, row.frames - start))
            for start in range(0, row.frames, PREDICTED_FRAMES)
        ]
        together = paired(torch.cat(logits), self.config.paired_logits)
        probability = together.softmax(dim=1) if self.kind == "multinomial" else together.sigmoid()
        return probability.float().cpu().numpy()

    def _logits(self, inputs: Inputs, first: int, count: int) -> Float[Tensor, "frame class"]:
        """Of `count` frames from the place `first` on."""
        span, every = self.config.window, self.config.predict_stride
        before, after = span.reach
        device = self.network.dense.weight.device
        values = inputs.values[first - before : first + count + after].to(device)
        if every == 1:
            return self.network.slide(values, span)
        known = _some(count, every).to(device)
        return _between(self.network.at(before + known, values, span), known, count)


def _some(count: int, every: int) -> Int[Tensor, " known"]:
    """Every so-manieth of `count` frames, and the last one."""
    known = torch.arange(0, count, every)
    return known if known[-1] == count - 1 else torch.cat([known, torch.tensor([count - 1])])


def _between(
    logits: Float[Tensor, "known class"], known: Int[Tensor, " known"], count: int
) -> Float[Tensor, "frame class"]:
    """Logits of all frames from those of known ones, linear between them."""
    frames = torch.arange(count, device=known.device)
    left = (torch.searchsorted(known, frames, right=True) - 1).clamp(max=max(0, len(known) - 2))
    right = (left + 1).clamp(max=len(known) - 1)
    share = ((frames - known[left]) / (known[right] - known[left]).clamp(min=1)).to(logits.dtype)
    return torch.lerp(logits[left], logits[right], share[:, None])


def paired(logits: Float[Tensor, "batch out"], pairs: bool) -> Float[Tensor, "batch class"]:
    """The logit of each class; of pairs (no, yes) their difference, whose sigmoid is the softmax of the pair."""
    return logits[:, 1::2] - logits[:, ::2] if pairs else logits


def _alike(first: Scaling, second: Scaling) -> bool:
    return torch.equal(first.mean, second.mean) and torch.equal(first.std, second.std)


def balanced(probability: np.ndarray, share: np.ndarray, kind: str) -> np.ndarray:
    """Probabilities as if all classes (of binary ones: yes and no) were equally frequent, by Bayes' rule.

    Parameters
    ----------
    probability : float32 [frames, class], NaN for classes not learned.
    share : [class], each class's share of the training frames; above 0 for learned ones.

    >>> balanced(np.array([[0.2, 0.8]]), np.array([0.1, 0.9]), "multinomial").round(3).tolist()
    [[0.692, 0.308]]
    """
    weighed = probability / np.where(share > 0, share, 1.0)
    rest = (1 - probability) / np.where(share < 1, 1 - share, 1.0)
    total = np.nansum(weighed, axis=1, keepdims=True) if kind == "multinomial" else weighed + rest
    return (weighed / total).astype(probability.dtype)
