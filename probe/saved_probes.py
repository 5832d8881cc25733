"""Saved probes, linear or of annotators: `probe.safetensors` and `probe.json`. `annotate` labels recordings by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from probe.annotators.annotator_probe import OUTPUT, AnnotatorProbe
from probe.experiment import DECISION, FITS, PLAIN, Experiment, FittedHead, Predictions, expand_classes
from probe.pair_store import PairStore
from probe.postprocessing import smooth
from probe.representations import Matrix, all_frames, standardized_blocks
from probe.tasks import Task
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, make_folder, read_contents, write_json
from ssl_behavior.logistic import LinearHead
from ssl_behavior.nn import AnnotatorHead
from ssl_behavior.numerics import Standardizer
from ssl_behavior.store import StoreRow
from ssl_behavior.units import Unit, check_unit

__all__ = [
    "ANNOTATORS",
    "FORMAT_VERSION",
    "LINEAR",
    "SavedAnnotatorProbe",
    "SavedProbe",
    "damaged",
    "load_annotators",
    "load_heads",
    "read_probe",
    "save_annotators",
    "save_heads",
    "write_probe",
]

FORMAT_VERSION = 1
LINEAR = "linear"


@dataclass(frozen=True)
class SavedProbe:
    """A saved probe: its task, its heads, and the encoder of its embeddings.

    Parameters
    ----------
    streams, classes, background, kind : of the task.
    checkpoint : fingerprint of the encoder.
    heads : fit name ("plain", "balanced") -> head.
    windows : fit name -> smoothing window of each class in seconds; empty without smoothing.
    without : column groups of the embedding that the heads do not read.
    unit : what the embedding describes.
    toward_self, toward_others : of pairs: behaviors that animals direct at themselves, and at others.
    thresholds : probability of the plain fit from which a frame shows each class, of binary classes; empty = above one
        half.
    """

    streams: tuple[str, ...]
    classes: tuple[str, ...]
    background: str
    kind: str
    checkpoint: str
    heads: dict[str, FittedHead]
    windows: dict[str, tuple[float, ...]]
    without: tuple[str, ...]
    unit: Unit = "scene"
    toward_self: tuple[str, ...] = ()
    toward_others: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

    @property
    def thresholds_by_class(self) -> dict[str, float]:
        """Class -> probability from which a frame shows it; empty where that is one half."""
        return dict(zip(self.classes, self.thresholds, strict=True)) if self.thresholds else {}

    @property
    def dim(self) -> int:
        """Columns of the embedding that the heads read."""
        return len(self.heads[PLAIN].head.weights)

    def probabilities(self, array: Matrix, row: StoreRow, use: str = PLAIN) -> np.ndarray:
        """Float32 [time, classes] of one recording, smoothed by the saved windows; NaN for classes not learned.

        `use` is "plain" to rank frames, "plain decision" to decide on classes, or "balanced" to decide with equal
        weight for all classes.
        """
        fitted, frames = self.heads[PLAIN if use == DECISION else use], all_frames([row])
        parts = [
            fitted.head.probabilities(block).numpy() for _, block in standardized_blocks(array, frames, fitted.scaling)
        ]
        probability = expand_classes(np.concatenate(parts), fitted.learned, len(self.classes))
        return smooth(probability, frames.slices, [row.fps], self.windows[use]) if use in self.windows else probability


def save_heads(
    out: Path, experiment: Experiment, predictions: Predictions, checkpoint: str, without: Sequence[str] = ()
) -> None:
    """Write the heads of the first seed's predictions into the folder `out`; `without` as in `SavedProbe`."""
    tensors: dict[str, Tensor] = {}
    for fit, fitted in predictions.heads.items():
        tensors[f"{fit}.weights"], tensors[f"{fit}.bias"] = fitted.head.weights, fitted.head.bias
        # Both fits have the same training frames, so there is one scaling.
        tensors["mean"], tensors["std"] = fitted.scaling.mean, fitted.scaling.std
    contents: dict[str, Any] = {
        "heads": LINEAR,
        "task": experiment.task.to_dict(),
        "checkpoint": checkpoint,
        "without": list(without),
        "learned": {fit: list(fitted.learned) for fit, fitted in predictions.heads.items()},
        "penalty": {fit: list(fitted.penalty) for fit, fitted in predictions.heads.items()},
        "smoothing_seconds": {fit: list(windows) for fit, windows in predictions.windows.items()},
    }
    if isinstance(experiment.store, PairStore):
        pairs = experiment.store
        contents |= {
            "unit": "pair",
            "toward_self": list(pairs.toward_self),
            "toward_others": list(pairs.toward_others),
        }
    write_probe(out, tensors, contents)


def write_probe(out: Path, tensors: Mapping[str, Tensor], contents: Mapping[str, Any]) -> None:
    """Write `probe.safetensors` and, last, `probe.json`: if it exists, the tensors belong to it."""
    (out / "probe.json").unlink(missing_ok=True)
    with atomic_file(out / "probe.safetensors") as file:
        file.write_bytes(safetensors.torch.save({name: t.contiguous() for name, t in tensors.items()}))
    write_json(out / "probe.json", {"format": "ssl-behavior probe", "version": FORMAT_VERSION, **contents})


def read_probe(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Contents and tensors that `write_probe` wrote.

    Raises
    ------
    InputError
        If the folder holds no probe, it is damaged, or was written by a newer version.
    """
    parts = sorted(file.parent.name for file in folder.glob("parts/*/probe.json"))
    if parts and not (folder / "probe.json").exists():
        raise InputError(f"{folder} holds a probe for each part of its task: give one of {folder / 'parts'}: {parts}")
    contents = read_contents(folder, "probe.json", "probe", FORMAT_VERSION, ", or probe again")
    try:
        return contents, safetensors.torch.load_file(folder / "probe.safetensors")
    except (OSError, safetensors.SafetensorError) as error:
        raise damaged(folder, error) from None


def damaged(folder: Path, error: Exception) -> InputError:
    """The error for contents and tensors that contradict each other."""
    return InputError(f"{folder} is damaged: probe.json and probe.safetensors do not fit ({error})")


def load_heads(folder: Path) -> SavedProbe:
    """The probe that `save_heads` wrote.

    Raises
    ------
    InputError
        If the folder holds no linear probe, it is damaged, or was written by a newer version.
    """
    contents, tensors = read_probe(folder)
    kind = contents.get("heads", LINEAR)
    if kind != LINEAR:
        raise InputError(f"{folder} holds a probe of the kind {kind!r}, expected {LINEAR!r}")
    try:
        task = contents["task"]
        return SavedProbe(
            streams=tuple(task["streams"]),
            classes=tuple(task["classes"]),
            background=task["background"],
            kind=task["kind"],
            checkpoint=contents["checkpoint"],
            heads={fit: _head(fit, tensors, contents) for fit in FITS},
            without=tuple(contents["without"]),
            windows={fit: tuple(windows) for fit, windows in contents["smoothing_seconds"].items()},
            unit=check_unit(contents.get("unit", "scene")),
            toward_self=tuple(contents.get("toward_self", ())),
            toward_others=tuple(contents.get("toward_others", ())),
            thresholds=_thresholds(contents),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(folder, error) from None


def _thresholds(contents: dict[str, Any]) -> tuple[float, ...]:
    found, classes = tuple(float(one) for one in contents.get("thresholds", ())), contents["task"]["classes"]
    if found and len(found) != len(classes):
        raise ValueError(f"{len(classes)} classes, {len(found)} thresholds")
    if wrong := [one for one in found if not 0 < one < 1]:
        raise ValueError(f"a threshold of {wrong[0]:g} is no probability between 0 and 1")
    return found


def _head(fit: str, tensors: dict[str, Tensor], contents: dict[str, Any]) -> FittedHead:
    learned = tuple(int(index) for index in contents["learned"][fit])
    head = LinearHead(tensors[f"{fit}.weights"], tensors[f"{fit}.bias"], str(contents["task"]["kind"]))
    if head.weights.shape[1:] != torch.Size([len(learned)]) or head.bias.shape != torch.Size([len(learned)]):
        raise KeyError(f"{fit}: {len(learned)} classes, weights {list(head.weights.shape)}")
    scaling = Standardizer(tensors["mean"], tensors["std"])
    return FittedHead(head, scaling, learned, tuple(contents["penalty"][fit]))


ANNOTATORS = "annotators"


@dataclass(frozen=True)
class SavedAnnotatorProbe:
    """A saved annotator probe: its task, and the encoder of its embeddings.

    Parameters
    ----------
    task : with one stream, and the annotators.
    checkpoint : fingerprint of the encoder.
    windows : fit name -> smoothing window of each class in seconds; empty without smoothing.
    without : column groups of the embedding that the heads do not read.
    """

    probe: AnnotatorProbe
    task: Task
    checkpoint: str
    windows: Mapping[str, tuple[float, ...]]
    without: tuple[str, ...]

    @property
    def streams(self) -> tuple[str, ...]:
        return self.task.streams

    @property
    def classes(self) -> tuple[str, ...]:
        return self.task.classes

    @property
    def background(self) -> str:
        return self.task.background

    @property
    def kind(self) -> str:
        return self.task.kind

    @property
    def dim(self) -> int:
        """Columns of the embedding that the heads read."""
        return len(self.probe.scaling.mean)

    def probabilities(self, array: Matrix, row: StoreRow, use: str = PLAIN, annotator: str = "") -> np.ndarray:
        """Float32 [time, classes] of one recording in the annotator's style; see `SavedProbe.probabilities`.

        Raises
        ------
        InputError
            If the annotator was not learned.
        """
        probability = self.probe.probabilities(array, [row], annotator, PLAIN if use == DECISION else use)
        if use not in self.windows:
            return probability
        return smooth(probability, all_frames([row]).slices, [row.fps], self.windows[use])

    def extended(self, probe: AnnotatorProbe) -> "SavedAnnotatorProbe":
        """This probe with other heads, for example with one more annotator."""
        return replace(self, probe=probe, task=replace(self.task, annotators=probe.annotators))


def save_annotators(
    out: Path,
    probe: AnnotatorProbe,
    task: Task,
    checkpoint: str,
    without: Sequence[str] = (),
    windows: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Write an annotator probe into the folder `out`; arguments as in `SavedAnnotatorProbe`."""
    tensors: dict[str, Tensor] = {"mean": probe.scaling.mean, "std": probe.scaling.std}
    for fit, head in probe.heads.items():
        tensors |= {f"{fit}.{name}": tensor.detach() for name, tensor in head.state_dict().items()}
    contents = {
        "heads": ANNOTATORS,
        "task": replace(task, annotators=probe.annotators).to_dict(),
        "checkpoint": checkpoint,
        "without": list(without),
        "learned": list(probe.learned),
        "fits": list(probe.heads),
        "smoothing_seconds": {fit: list(seconds) for fit, seconds in (windows or {}).items()},
    }
    make_folder(out)
    write_probe(out, tensors, contents)


def load_annotators(folder: Path) -> SavedAnnotatorProbe:
    """The probe that `save_annotators` wrote.

    Raises
    ------
    InputError
        If the folder holds no annotator probe, it is damaged, or was written by a newer version.
    """
    contents, tensors = read_probe(folder)
    kind = contents.get("heads")
    if kind != ANNOTATORS:
        raise InputError(f"{folder} holds a probe of the kind {kind!r}, expected {ANNOTATORS!r}")
    try:
        values = contents["task"]
        task = Task(
            name=values["name"],
            streams=tuple(values["streams"]),
            classes=tuple(values["classes"]),
            background=values["background"],
            kind=values["kind"],
            annotators=tuple(values["annotators"]),
        )
        learned = tuple(int(index) for index in contents["learned"])
        heads = {fit: _annotator_head(fit, tensors, len(learned), len(task.annotators)) for fit in contents["fits"]}
        probe = AnnotatorProbe(
            task.annotators, task.classes, learned, heads, Standardizer(tensors["mean"], tensors["std"])
        )
        windows = {fit: tuple(seconds) for fit, seconds in contents["smoothing_seconds"].items()}
        return SavedAnnotatorProbe(probe, task, contents["checkpoint"], windows, tuple(contents["without"]))
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise damaged(folder, error) from None


def _annotator_head(fit: str, tensors: Mapping[str, Tensor], num_classes: int, num_annotators: int) -> AnnotatorHead:
    """A head with the sizes and values of its tensors."""
    state: dict[str, Any] = {
        name.removeprefix(f"{fit}."): tensor for name, tensor in tensors.items() if name.startswith(f"{fit}.")
    }
    matrix, hidden_dim = state["annotator_matrix"], len(state["layers.0.bias"])
    if len(matrix) != num_annotators:
        raise KeyError(f"{fit}: {num_annotators} annotators, a matrix of {len(matrix)} rows")
    # The initial weights are overwritten; the fork leaves the caller's random numbers unchanged.
    with torch.random.fork_rng(devices=[]):
        head = AnnotatorHead(len(state["norm.bias"]), {OUTPUT: num_classes}, matrix.shape[1], hidden_dim)
    # Annotators added later have a row but no column: a row is as long as the number of first annotators.
    for _ in range(matrix.shape[1], num_annotators):
        head.add_annotator()
    head.to(matrix.dtype).load_state_dict(state)
    return head.eval().requires_grad_(False)
