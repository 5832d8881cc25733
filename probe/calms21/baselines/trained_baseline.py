"""`TrainedBaseline`: a baseline after training, its predictions, and its files.

`baseline.json` describes a baseline, `baseline.safetensors` has its tensors.
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

from probe.calms21.baselines.configs import BaselineConfig
from probe.calms21.baselines.inputs import Inputs
from probe.calms21.baselines.layers import HEAD, OBSERVED, FrameClassifier, Layout
from probe.experiment import balance_probabilities, expand_classes
from ssl_behavior.configs import config_from_dict
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, read_contents, write_json
from ssl_behavior.numerics import Standardizer
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import StoreRow

__all__ = ["FORMAT_VERSION", "TrainedBaseline", "class_logits", "load_baseline", "save_baseline"]


PREDICTED_FRAMES = 16_384


@dataclass(frozen=True, eq=False)
class TrainedBaseline:
    """A trained baseline with everything that predictions and transfers need, and facts about its training.

    Parameters
    ----------
    network : network after the last epoch, in evaluation mode.
    layout, scaling : of its inputs, see `Inputs`.
    classes, kind : of the task.
    learned : indices of the classes of its logits, in order.
    shares : share of each class in the annotated training frames.
    optimizer : tensors of the optimizer after the last step, "<parameter>.<name>", for transfers.
    num_train_frames : annotated frames of the training recordings.
    samples_seen : number of training samples over all epochs.
    losses : mean training loss of each epoch, with dropout and class weights.
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
        """Probabilities of every frame of `rows`, concatenated.

        Parameters
        ----------
        inputs : inputs of these recordings, on any device; features have the scaling of the training.

        Returns
        -------
        float32 [frames, classes]; NaN for classes that were not learned. Exclusive classes sum to 1.

        Raises
        ------
        InputError
            If the inputs lack a recording, have other channels than in training, or too narrow margins.
        """
        inputs.check(rows, self.config.window)
        self.check_layout(inputs)
        parts = [self._probabilities(inputs, row) for row in rows]
        found = np.concatenate(parts) if parts else np.empty((0, len(self.learned)), np.float32)
        return expand_classes(found, self.learned, len(self.classes))

    def balanced(self, probability: np.ndarray) -> np.ndarray:
        """Probabilities of `predict` for equally frequent classes."""
        return balance_probabilities(probability, np.array(self.shares), self.kind)

    def check_layout(self, inputs: Inputs) -> None:
        """Raise an InputError if the channels or the scaling of `inputs` differ from those of the training."""
        if inputs.layout != self.layout:
            raise InputError(
                f"the network reads {dict(self.layout.groups)} of {self.layout.skeleton.name!r}, the inputs hold "
                f"{dict(inputs.layout.groups)} of {inputs.layout.skeleton.name!r}: assemble them as in its training "
                f"(observed={OBSERVED in self.layout.groups}, and the same features)"
            )
        if (self.scaling is None) != (inputs.scaling is None) or (
            self.scaling is not None and inputs.scaling is not None and not _same_scaling(self.scaling, inputs.scaling)
        ):
            raise InputError(
                "the inputs' features are standardized differently than in training: assemble them with its scaling"
            )

    @torch.inference_mode()
    def _probabilities(self, inputs: Inputs, row: StoreRow) -> np.ndarray:
        """Probabilities of the learned classes, float32 [time, learned class]."""
        logits = [
            self._logits(inputs, inputs.starts[row.id] + start, min(PREDICTED_FRAMES, row.frames - start))
            for start in range(0, row.frames, PREDICTED_FRAMES)
        ]
        by_class = class_logits(torch.cat(logits), self.config.paired_logits)
        probability = by_class.softmax(dim=1) if self.kind == "multinomial" else by_class.sigmoid()
        return probability.float().cpu().numpy()

    def _logits(self, inputs: Inputs, first: int, count: int) -> Float[Tensor, "frame class"]:
        """Logits of `count` frames from the place `first` on."""
        span, every = self.config.window, self.config.predict_stride
        before, after = span.receptive_field
        device = self.network.dense.weight.device
        values = inputs.values[first - before : first + count + after].to(device)
        if every == 1:
            return self.network.slide(values, span)
        known = _strided_frames(count, every).to(device)
        return _interpolated(self.network.at(before + known, values, span), known, count)


def _strided_frames(count: int, every: int) -> Int[Tensor, " known"]:
    """Every `every`-th of `count` frames, and the last one."""
    known = torch.arange(0, count, every)
    return known if known[-1] == count - 1 else torch.cat([known, torch.tensor([count - 1])])


def _interpolated(
    logits: Float[Tensor, "known class"], known: Int[Tensor, " known"], count: int
) -> Float[Tensor, "frame class"]:
    """Logits of all frames, interpolated linearly between known frames."""
    frames = torch.arange(count, device=known.device)
    left = (torch.searchsorted(known, frames, right=True) - 1).clamp(max=max(0, len(known) - 2))
    right = (left + 1).clamp(max=len(known) - 1)
    share = ((frames - known[left]) / (known[right] - known[left]).clamp(min=1)).to(logits.dtype)
    return torch.lerp(logits[left], logits[right], share[:, None])


def class_logits(logits: Float[Tensor, "batch out"], pairs: bool) -> Float[Tensor, "batch class"]:
    """The logit of each class; for pairs (no, yes) their difference, whose sigmoid is the softmax of the pair."""
    return logits[:, 1::2] - logits[:, ::2] if pairs else logits


def _same_scaling(first: Standardizer, second: Standardizer) -> bool:
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
    """The trained baseline that `save_baseline` wrote, on the CPU.

    Raises
    ------
    InputError
        If the folder holds no baseline, is damaged, or was written by another version.
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
    config = config_from_dict(BaselineConfig, contents["config"], where, "config")
    skeleton = Skeleton.from_dict(contents["skeleton"], source=where)
    groups = {str(name): int(count) for name, count in contents["groups"].items()}
    layout = Layout(groups, skeleton, int(contents["num_individuals"]))
    learned = tuple(int(index) for index in contents["learned"])
    return TrainedBaseline(
        config=config,
        network=_stored_network(config, layout, len(learned), _with_prefix(_NETWORK, tensors)),
        layout=layout,
        scaling=Standardizer(tensors[_MEAN], tensors[_STD]) if _MEAN in tensors else None,
        classes=tuple(str(name) for name in contents["classes"]),
        kind=str(contents["kind"]),
        learned=learned,
        shares=tuple(float(share) for share in contents["shares"]),
        optimizer=_with_prefix(_OPTIMIZER, tensors),
        seed=int(contents["seed"]),
        num_train_frames=int(contents["num_train_frames"]),
        samples_seen=int(contents["samples_seen"]),
        losses=tuple(float(loss) for loss in contents["losses"]),
    )


def _stored_network(
    config: BaselineConfig, layout: Layout, num_classes: int, tensors: dict[str, Tensor]
) -> FrameClassifier:
    num_logits = num_classes * (2 if config.paired_logits else 1)
    # The random initial weights are overwritten.
    network = config.network.build(layout, config.window.num_samples, num_logits, torch.Generator())
    network.to(tensors[f"{HEAD}.weight"].dtype)
    network.load_state_dict(tensors)
    return network.eval()


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
