"""Trained baselines: their predictions, and their files.

`baseline.json` describes a baseline, `baseline.safetensors` holds all its numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.calms21.baselines.config import BaselineConfig
from probe.calms21.baselines.inputs import Inputs
from probe.calms21.baselines.network import HEAD, OBSERVED, FrameClassifier, Layout
from probe.trial import balanced, spread
from ssl_behavior.configs import config_from_dict
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, read_contents, write_json
from ssl_behavior.numerics import Standardizer
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import StoreRow

__all__ = ["FORMAT_VERSION", "TrainedBaseline", "load_baseline", "paired", "save_baseline"]

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
    scaling: Standardizer | None
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
        before, after = span.receptive_field
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


def _alike(first: Standardizer, second: Standardizer) -> bool:
    return torch.equal(first.mean, second.mean) and torch.equal(first.std, second.std)


FORMAT_VERSION = 1
_CONTENTS, _TENSORS = "baseline.json", "baseline.safetensors"
_DAMAGE = (OSError, safetensors.SafetensorError, LookupError, TypeError, AttributeError, ValueError, RuntimeError)
_NETWORK, _OPTIMIZER, _MEAN, _STD = "network.", "optimizer.", "scaling.mean", "scaling.std"


def save_baseline(folder: Path, trained: TrainedBaseline, overwrite: bool = False) -> None:
    """Write a trained baseline as a folder that exists whole or not at all.

    Raises
    ------
    InputError
        If `folder` exists and `overwrite` is False, the disk is full, or the place is not writable.
    """
    tensors = {_NETWORK + name: tensor for name, tensor in trained.network.state_dict().items()}
    tensors |= {_OPTIMIZER + name: tensor for name, tensor in trained.optimizer.items()}
    if trained.scaling is not None:
        tensors |= {_MEAN: trained.scaling.mean, _STD: trained.scaling.std}
    contents = {
        "format": "ssl-behavior baseline",
        "version": FORMAT_VERSION,
        "config": asdict(trained.config),
        "groups": dict(trained.layout.groups),
        "skeleton": trained.layout.skeleton.to_dict(),
        "num_individuals": trained.layout.num_individuals,
        "classes": list(trained.classes),
        "kind": trained.kind,
        "learned": list(trained.learned),
        "shares": list(trained.shares),
        "seed": trained.seed,
        "num_train_frames": trained.num_train_frames,
        "samples_seen": trained.samples_seen,
        "losses": list(trained.losses),
    }
    with atomic_folder(Path(folder), overwrite, _CONTENTS) as partial:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        (partial / _TENSORS).write_bytes(safetensors.torch.save(whole))
        write_json(partial / _CONTENTS, contents)


def load_baseline(folder: Path) -> TrainedBaseline:
    """The trained baseline that `save_baseline` wrote, on the processor.

    Raises
    ------
    InputError
        If the folder holds none, it is damaged, or was written by another version.
    """
    folder = Path(folder)
    contents = read_contents(folder, _CONTENTS, "baseline", FORMAT_VERSION, ", or train it again")
    try:
        tensors = safetensors.torch.load_file(folder / _TENSORS)
        return _trained(contents, tensors, f"{folder / _CONTENTS}")
    except InputError:
        raise
    except _DAMAGE as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise InputError(f"{folder} is damaged: {_CONTENTS} and {_TENSORS} do not fit ({reason})") from None


def _trained(contents: dict[str, Any], tensors: dict[str, Tensor], where: str) -> TrainedBaseline:
    config = config_from_dict(BaselineConfig, contents["config"], f"{where}: config")
    skeleton = Skeleton.from_dict(contents["skeleton"], source=where)
    groups = {str(name): int(count) for name, count in contents["groups"].items()}
    layout = Layout(groups, skeleton, int(contents["num_individuals"]))
    learned = tuple(int(index) for index in contents["learned"])
    return TrainedBaseline(
        config=config,
        network=_network(config, layout, len(learned), _under(_NETWORK, tensors)),
        layout=layout,
        scaling=Standardizer(tensors[_MEAN], tensors[_STD]) if _MEAN in tensors else None,
        classes=tuple(str(name) for name in contents["classes"]),
        kind=str(contents["kind"]),
        learned=learned,
        shares=tuple(float(share) for share in contents["shares"]),
        optimizer=_under(_OPTIMIZER, tensors),
        seed=int(contents["seed"]),
        num_train_frames=int(contents["num_train_frames"]),
        samples_seen=int(contents["samples_seen"]),
        losses=tuple(float(loss) for loss in contents["losses"]),
    )


def _network(config: BaselineConfig, layout: Layout, num_classes: int, tensors: dict[str, Tensor]) -> FrameClassifier:
    num_logits = num_classes * (2 if config.paired_logits else 1)
    # The first weights are drawn only to be overwritten.
    network = config.network.build(layout, config.window.num_samples, num_logits, torch.Generator())
    network.to(tensors[f"{HEAD}.weight"].dtype)
    network.load_state_dict(tensors)
    return network.eval()


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
