"""Frames with a label, and with who gave it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.representations import Matrix, Scaling, gather, sampled_frames
from probe.tasks import Task, targets
from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import Store, StoreRow

__all__ = ["AnnotatedFrames", "annotated_frames", "annotators_of", "rows_of"]


@dataclass(frozen=True)
class AnnotatedFrames:
    """Annotated frames of some recordings, standardised.

    Parameters
    ----------
    target : the class of each frame.
    annotator : the number of who annotated it, in the order of a list of names.
    """

    embedded: Float[Tensor, "frames latent"]
    target: Int[Tensor, " frames"]
    annotator: Int[Tensor, " frames"]
    scaling: Scaling

    def __len__(self) -> int:
        return len(self.embedded)

    def counts(self, num_annotators: int, num_classes: int) -> Float[Tensor, "annotator class"]:
        """Frames of each annotator and class."""
        index = self.annotator * num_classes + self.target
        counts = torch.bincount(index, minlength=num_annotators * num_classes)
        return counts.view(num_annotators, num_classes).to(self.embedded.dtype)


def annotators_of(store: Store, task: Task, rows: Sequence[StoreRow] | None = None) -> tuple[str, ...]:
    """Who annotated the task in some recordings (all of the store by default): the task's annotators, or all there are.

    Raises
    ------
    InputError
        If the task has several streams or binary classes, or the store does not say who annotated.
    """
    if len(task.streams) != 1 or task.kind != "multinomial":
        raise InputError(
            f"task {task.name!r}: annotators are told apart in one label stream with one class per frame; this task is "
            f"{task.kind}, with {len(task.streams)} streams"
        )
    (stream,) = task.streams
    found = {row.annotators[stream] for row in rows or store.rows if stream in row.annotators}
    found = {name for name in found if name in task.annotators} if task.annotators else found
    if not found - {""}:
        raise InputError(f"{store.path} does not say who annotated the stream {stream!r}: there is no style to learn")
    # "10" comes after "9".
    return tuple(sorted(found - {""}, key=lambda name: (len(name), name) if name.isdigit() else (1 << 30, name)))


def rows_of(rows: Sequence[StoreRow], task: Task, annotator: str) -> list[StoreRow]:
    """The recordings that this annotator labeled."""
    return [row for row in rows if row.annotators.get(task.streams[0]) == annotator]


def annotated_frames(
    store: Store,
    task: Task,
    array: Matrix,
    rows: Sequence[StoreRow],
    annotators: Sequence[str],
    stride: int = 4,
    seed: int = 0,
    scaling: Scaling | None = None,
) -> AnnotatedFrames:
    """Every `stride`-th annotated frame of recordings, standardised by itself unless a scaling is given.

    Parameters
    ----------
    array : embeddings [frames of the store, dim].
    annotators : names in the order of their numbers.

    Raises
    ------
    InputError
        If somebody else labeled a recording, nobody annotated a frame, or an embedding is NaN.
    """
    who = np.array([_number(row, task, annotators) for row in rows], dtype=np.int64)
    frames = sampled_frames(rows, stride, seed)
    target = frames.take(targets(store, task, rows))
    known = (target != NOT_ANNOTATED).any(axis=1)
    if not known.any():
        raise InputError(f"task {task.name!r}: no annotated frame in {[row.id for row in rows][:5]}")
    embedded = gather(array, frames.where(known))
    scaling = scaling or Scaling.of(embedded)
    return AnnotatedFrames(
        embedded=scaling.apply_(embedded),
        target=torch.from_numpy(target[known].argmax(axis=1)),
        annotator=torch.from_numpy(who[frames.recording][known]),
        scaling=scaling,
    )


def _number(row: StoreRow, task: Task, annotators: Sequence[str]) -> int:
    name = row.annotators.get(task.streams[0], "")
    if name not in annotators:
        raise InputError(
            f"recording {row.id!r} was labeled by {repr(name) if name else 'nobody known'}; the annotators are "
            f"{list(annotators)}"
        )
    return list(annotators).index(name)
