"""Trained baselines on disk: `baseline.json` says what they are, `baseline.safetensors` holds all their numbers."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from probe.baselines.config import BaselineConfig
from probe.baselines.layout import Layout
from probe.baselines.network import HEAD, FrameClassifier
from probe.baselines.trained import TrainedBaseline
from probe.representations import Scaling
from ssl_behavior.configs import config_from_dict
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, read_contents, write_json
from ssl_behavior.skeleton import Skeleton

__all__ = ["FORMAT_VERSION", "load_baseline", "save_baseline"]

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
        scaling=Scaling(tensors[_MEAN], tensors[_STD]) if _MEAN in tensors else None,
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
