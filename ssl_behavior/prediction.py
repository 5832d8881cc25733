"""Labels as a model trained with labels gives them, for whole recordings in bounded memory."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.chunks import chunked
from ssl_behavior.embedding import check_fits
from ssl_behavior.errors import InputError
from ssl_behavior.methods import Joint, Method
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["predict_row", "with_labels"]


def with_labels(method: Method, where: str) -> Joint:
    """The method, if it learned from labels; `where` names it in the error.

    Raises
    ------
    InputError
        If it did not.
    """
    if not isinstance(method, Joint):
        raise InputError(f"{where} learned from no labels and gives none: train one with the recipe joint, or probe it")
    return method


def predict_row(
    method: Joint, store: Store, row: StoreRow, annotator: str = "", precision: torch.dtype = torch.float32
) -> dict[str, np.ndarray]:
    """Probabilities of every frame of a recording: stream -> float32 [frames, classes].

    Parameters
    ----------
    annotator : in whose style; "" = the first that the model knows.

    Raises
    ------
    InputError
        If the recording does not fit the encoder, the annotator is unknown, or the values are not finite.
    """
    check_fits(method, row, store.skeleton.keypoints, len(store.individuals))
    reader = WindowReader([(store, row)], 1)

    def read(start: int, frames: int) -> WindowBatch:
        return reader.read([(0, start, frames)])

    def compute(batch: WindowBatch) -> Float[Tensor, "batch time class"]:
        batch = batch.to(batch.keypoints.device, next(method.parameters()).dtype)
        return torch.cat(list(method.label_probabilities(batch, annotator).values()), dim=-1)

    parts = [values for _, values in chunked(method, compute, read, row.frames, precision=precision)]
    together = np.concatenate(parts)
    if not np.isfinite(together).all():
        raise InputError(f"recording {row.id!r}: the model gives values that are not finite; is it damaged?")
    streams = method.config.labels.streams
    stops = np.cumsum([len(stream.classes) for stream in streams])
    return dict(zip((stream.name for stream in streams), np.split(together, stops[:-1], axis=1), strict=True))
