"""A linear reading of every label stream beside the heads of a joint model: fitted, not trained.

Logistic regression on a frozen embedding makes few mistakes that a trained head makes, and the other way round, so the
mean of both is better than either (`benchmarks/results/benchmark_rats.md`). It is fitted before the first step, so that
every checkpoint has one, and once more, with a penalty chosen for it, on the encoder as it is in the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssl_behavior.logistic import Design, class_weights, fit_head, no_longer_better
from ssl_behavior.numerics import Standardizer

__all__ = ["LabeledPoints", "LinearReadings"]

PENALTIES = (0.1, 0.03, 0.01, 3e-3, 1e-3)
"""Tried from strong to weak, per frame."""

MIDDLE_PENALTY = PENALTIES[len(PENALTIES) // 2]

TOLERANCE, ROUGH_TOLERANCE = 1e-7, 1e-5
"""A fit ends when the loss per point falls by less."""

HELD_OUT_EVERY = 5
"""Every so-manieth labeled recording chooses the penalty."""

ABSENT_LOGIT = -6.0
"""Of a class that no frame shows, where others are shown."""

SMALLEST_STD = 1e-4


@dataclass(frozen=True)
class LabeledPoints:
    """What is read at some steps, and what they show; on the processor.

    Parameters
    ----------
    shown : class in each stream, -1 = not known.
    annotator : whose labels they are.
    recording : the number of each step's recording.
    """

    read: Float[Tensor, "point latent"]
    shown: Int[Tensor, "point stream"]
    annotator: Int[Tensor, " point"]
    recording: Int[Tensor, " point"]


class LinearReadings(nn.Module):
    """Logits of each stream, linear in what is read and in who annotates; nothing of it is trained.

    Parameters
    ----------
    in_dim : columns of what is read.
    class_counts : number of classes of each stream.
    num_annotators : each has a bias of its own.
    """

    def __init__(self, in_dim: int, class_counts: Sequence[int], num_annotators: int) -> None:
        super().__init__()
        self.num_annotators, self.num_streams = num_annotators, len(class_counts)
        for number, count in enumerate(class_counts):
            self.register_buffer(f"weight_{number}", torch.zeros(in_dim + num_annotators, count))
            self.register_buffer(f"bias_{number}", torch.zeros(count))

    def forward(
        self, read: Float[Tensor, "*batch latent"], annotator: Int[Tensor, "*batch"]
    ) -> list[Float[Tensor, "*batch class"]]:
        """Logits of every stream, in full precision whatever the encoder's is."""
        with torch.autocast(read.device.type, enabled=False):
            x = self._beside_annotators(read.to(self._of("weight", 0).dtype), annotator)
            return [x @ self._of("weight", number) + self._of("bias", number) for number in range(self.num_streams)]

    def _of(self, what: str, number: int) -> Tensor:
        tensor: Tensor = getattr(self, f"{what}_{number}")
        return tensor

    def _beside_annotators(
        self, read: Float[Tensor, "*batch latent"], annotator: Int[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch column"]:
        return torch.cat([read, F.one_hot(annotator, self.num_annotators).to(read)], dim=-1)

    @torch.no_grad()
    def fit(self, points: LabeledPoints, balanced: bool, choose: bool) -> None:
        """Logistic regressions on standardised columns.

        On the processor, wherever the readings are: in double precision, and with the same result on every machine.

        Parameters
        ----------
        balanced : classes weigh alike.
        choose : the penalty by every fifth recording's cross-entropy; False = a rough fit with the middle one, in a
            tenth of the time.
        """
        columns = self._beside_annotators(points.read, points.annotator)
        mean, std = columns.mean(dim=0), columns.std(dim=0, correction=0)
        scaling = Standardizer.from_moments(mean, std, atol=SMALLEST_STD, rtol=0.0)
        mean, std, columns = scaling.mean, scaling.std, scaling.transform_(columns)
        for number in range(self.num_streams):
            weight, bias = self._of("weight", number), self._of("bias", number)
            known = points.shown[:, number] >= 0
            shown, recording = points.shown[known, number], points.recording[known]
            learned = shown.unique()
            weight.zero_()
            bias.fill_(ABSENT_LOGIT if len(learned) else 0.0)
            bias[learned] = 0.0
            if len(learned) < 2:
                continue
            values, target = columns[known], F.one_hot(torch.searchsorted(learned, shown))
            penalty = _chosen_penalty(values, target, recording, balanced) if choose else MIDDLE_PENALTY
            design = Design(values, target, "multinomial", balanced)
            fitted = fit_head(design, penalty, tolerance=TOLERANCE if choose else ROUGH_TOLERANCE)
            weight[:, learned] = (fitted.weights / std[:, None]).to(weight)
            bias[learned] = (fitted.bias - (mean / std) @ fitted.weights).to(bias)


def _chosen_penalty(
    values: Float[Tensor, "point latent"],
    target: Int[Tensor, "point class"],
    recording: Int[Tensor, " point"],
    balanced: bool,
) -> float:
    """The middle penalty where there is nothing to choose it by, or the rest shows too few classes."""
    held_out = torch.isin(recording, recording.unique()[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
    if not held_out.any() or not target[~held_out].any(dim=0).all():
        return MIDDLE_PENALTY
    design = Design(values[~held_out], target[~held_out], "multinomial", balanced)
    weight = class_weights(target[held_out], "multinomial")[:, 0] if balanced else torch.ones(int(held_out.sum()))
    losses: dict[float, float] = {}
    head = None
    for penalty in PENALTIES:
        head = fit_head(design, penalty, head)
        log_probability = head.probabilities(values[held_out]).clamp_min(1e-12).log()
        each = F.nll_loss(log_probability, target[held_out].argmax(dim=1), reduction="none")
        losses[penalty] = ((each * weight).sum() / weight.sum()).item()
        if no_longer_better([-loss for loss in losses.values()]):
            break
    return min(losses, key=losses.__getitem__)
