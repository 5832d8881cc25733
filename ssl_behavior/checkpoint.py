"""Checkpoints: folders with the configuration of a method (`config.json`) and its weights (`model.safetensors`).

The weights include the buffers (Standardizer, PCA), so a loaded method normalizes its inputs as in training.
`training.pt` (optimizer and counters; read with weights_only=True) is for resuming only. The checkpoints of a run are
`checkpoints/step-<steps done>`, and `checkpoints/best.json` names the best of them.
"""

import io
import pickle
import platform
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ssl_behavior.configs import config_from_dict
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, read_contents, read_json, write_json, write_text
from ssl_behavior.methods import METHODS, Method, MethodConfig, method_name
from ssl_behavior.skeleton import Skeleton

__all__ = [
    "FORMAT_VERSION", "best_streams", "find_checkpoint", "list_checkpoints", "load_checkpoint", "load_training_state",
    "load_weights", "package_versions", "read_checkpoint_config", "save_checkpoint",
]  # fmt: skip

FORMAT_VERSION = 1
_FORMAT = "ssl-behavior checkpoint"
_WEIGHTS = "model.safetensors"
_TRAINING = "training.pt"
_BEST = "best.json"


def save_checkpoint(
    folder: Path,
    method: Method,
    extra: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    card: str = "",
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write `method` as a checkpoint, complete or not at all.

    Parameters
    ----------
    extra : JSON-ready values to keep beside the configuration (step, metrics, data fingerprint).
    training : state for resuming, tensors and plain containers only; None writes no `training.pt`.
    card : model card, written as `README.md`; "" = none.
    versions : of the packages that trained it; None = those of this process.

    Raises
    ------
    InputError
        If `folder` exists and `overwrite` is False, the disk is full, or the place is not writable.
    """
    config = method.config
    assert is_dataclass(config) and not isinstance(config, type)
    contents = {
        "format": _FORMAT,
        "version": FORMAT_VERSION,
        "method": method_name(config),
        "config": asdict(config),
        "skeleton": method.skeleton.to_dict(),
        "fps": method.fps,
        "versions": dict(versions) if versions is not None else package_versions(),
        "extra": dict(extra or {}),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in method.state_dict().items()}
    with atomic_folder(Path(folder), overwrite, _WEIGHTS) as partial:
        # Python writes the bytes, so a full disk is an OSError and not an error of each library.
        (partial / _WEIGHTS).write_bytes(safetensors.torch.save(tensors))
        if training is not None:
            buffer = io.BytesIO()
            torch.save(dict(training), buffer)
            (partial / _TRAINING).write_bytes(buffer.getbuffer())
        if card:
            write_text(partial / "README.md", card)
        write_json(partial / "config.json", contents)


def load_checkpoint(path: str | Path, best: bool | str = True) -> Method:
    """The trained method, in eval mode on the CPU, from a checkpoint or run folder (see `find_checkpoint`).

    Raises
    ------
    InputError
        If there is no checkpoint, its format is newer, or its weights are damaged: tensors missing, unknown, of
        another shape, or not finite.
    """
    folder = find_checkpoint(path, best)
    contents = read_checkpoint_config(folder)
    method = _build(folder, contents)
    load_weights(folder, method)
    return method.eval()


def read_checkpoint_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint: method, config, skeleton, fps, versions, extra. Reads no weights.

    Raises
    ------
    InputError
        If it belongs to no checkpoint, lacks a key, or its format is newer.
    """
    contents = read_contents(Path(folder), "config.json", "checkpoint", FORMAT_VERSION)
    if missing := sorted({"method", "config", "skeleton", "fps", "extra"} - set(contents)):
        raise InputError(f"{folder}/config.json is damaged: the key {missing[0]!r} is missing")
    return contents


def _build(folder: Path, contents: Mapping[str, Any]) -> Method:
    name, where, fps = contents["method"], f"{folder}/config.json", contents["fps"]
    if name not in list(METHODS):
        raise InputError(f"{where}: unknown method {name!r}; this program knows {sorted(METHODS)}")
    config: MethodConfig = config_from_dict(METHODS[name].Config, contents["config"], where, "config")
    try:
        skeleton = Skeleton.from_dict(contents["skeleton"], source=where)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where} is damaged: {error!r}") from None
    if not isinstance(fps, int | float) or not fps > 0:
        raise InputError(f"{where} is damaged: fps is {fps!r}")
    # These initial weights are overwritten: keep the random state of the caller.
    with torch.random.fork_rng(devices=[]):
        return METHODS[name](config, skeleton, float(fps))


def load_weights(folder: Path, method: Method) -> None:
    """Load the weights of a checkpoint into `method`; names and shapes must be those of the file.

    Raises
    ------
    InputError
        If the file is missing or damaged, or names or shapes differ.
    """
    file = Path(folder) / _WEIGHTS
    try:
        found = safetensors.torch.load_file(file)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{file} is missing or damaged ({error}); use another checkpoint") from None
    wanted = method.state_dict()
    missing, unknown = sorted(wanted.keys() - found), sorted(found.keys() - wanted)
    for problem, names in (("lacks the tensor", missing), ("has the unknown tensor", unknown)):
        if names:
            raise InputError(f"{file} {problem} {names[0]!r}: it does not belong to its config.json")
    for name, tensor in found.items():
        _check_tensor(file, name, tensor, wanted[name])
    method.load_state_dict(found)


def _check_tensor(file: Path, name: str, tensor: Tensor, wanted: Tensor) -> None:
    if tensor.shape != wanted.shape:
        raise InputError(
            f"{file}: tensor {name!r} has shape {list(tensor.shape)}, its config.json asks for {list(wanted.shape)}"
        )
    if not torch.isfinite(tensor).all():
        raise InputError(f"{file}: tensor {name!r} has values that are not finite; use another checkpoint")


def load_training_state(folder: Path) -> dict[str, Any]:
    """The argument `training` of `save_checkpoint`, on the CPU.

    Raises
    ------
    InputError
        If the checkpoint has no `training.pt`, or the file is damaged.
    """
    file = Path(folder) / _TRAINING
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{folder} cannot be resumed: it has no {_TRAINING}") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise InputError(f"{file} is damaged ({reason}); delete {folder} to resume from the one before") from None


def list_checkpoints(run: Path) -> list[Path]:
    """Checkpoints of a run, oldest first, without the partial folders of killed processes."""
    return sorted(folder for folder in (Path(run) / "checkpoints").glob("step-*") if folder.is_dir())


def find_checkpoint(path: str | Path, best: bool | str = False) -> Path:
    """The checkpoint folder of `path`: `path` itself, or the newest checkpoint of a run.

    Parameters
    ----------
    best : True for the checkpoint with the best validation loss (the newest, in runs without validation); the name of
        a label stream for the checkpoint with its best labels, see `best_streams`.

    Raises
    ------
    InputError
        If there is no checkpoint, or none for this label stream.
    """
    path = Path(path)
    if (path / _WEIGHTS).is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path}: there is no such run or checkpoint folder")
    checkpoints = list_checkpoints(path)
    if not checkpoints:
        raise InputError(
            f"{path} is neither a checkpoint nor a run with checkpoints; train one with ssl-behavior pretrain"
        )
    name = _best_of(path, best) if best else None
    return next((folder for folder in checkpoints if folder.name == name), checkpoints[-1])


def best_streams(run: Path) -> dict[str, str]:
    """Label stream -> name of the checkpoint with its best labels, in a run that learned labels.

    Streams without labels in the validation recordings are missing.
    """
    return {name: one["checkpoint"] for name, one in _best_found(run).get("streams", {}).items()}


def _best_of(run: Path, best: bool | str) -> str | None:
    if not isinstance(best, str):
        return _best_found(run).get("checkpoint")
    streams = best_streams(run)
    if best not in streams:
        there = f"it has those for {sorted(streams)}" if streams else "it was validated on no labels"
        raise InputError(f"{run} has no best weights for labels {best!r}: {there}")
    return streams[best]


def _best_found(run: Path) -> dict[str, Any]:
    pointer = Path(run) / "checkpoints" / _BEST
    found: dict[str, Any] = read_json(pointer, "a run") if pointer.exists() else {}
    return found


def package_versions() -> dict[str, str]:
    """Versions of the packages that the numbers depend on."""
    try:
        own = version("ssl-behavior")
    except PackageNotFoundError:
        own = "unknown"
    return {
        "ssl-behavior": own,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "safetensors": version("safetensors"),
    }
