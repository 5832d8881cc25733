"""Annotator probes on disk, in the two files of any saved probe (`probe.safetensors`, `probe.json`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probe.annotators.learning import OUTPUT, AnnotatorProbe
from probe.experiment import DECISION, PLAIN
from probe.postprocessing import smooth
from probe.representations import Matrix, all_frames
from probe.saved_probes import damaged, read_probe, write_probe
from probe.tasks import Task
from ssl_behavior.errors import InputError
from ssl_behavior.nn import AnnotatorHead
from ssl_behavior.numerics import Standardizer
from ssl_behavior.store import StoreRow

__all__ = ["ANNOTATORS", "SavedAnnotatorProbe", "load_annotators", "save_annotators"]

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
    out.mkdir(parents=True, exist_ok=True)
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
        heads = {fit: _head(fit, tensors, len(learned), len(task.annotators)) for fit in contents["fits"]}
        probe = AnnotatorProbe(
            task.annotators, task.classes, learned, heads, Standardizer(tensors["mean"], tensors["std"])
        )
        windows = {fit: tuple(seconds) for fit, seconds in contents["smoothing_seconds"].items()}
        return SavedAnnotatorProbe(probe, task, contents["checkpoint"], windows, tuple(contents["without"]))
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise damaged(folder, error) from None


def _head(fit: str, tensors: Mapping[str, Tensor], num_classes: int, num_annotators: int) -> AnnotatorHead:
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
