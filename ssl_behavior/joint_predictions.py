"""Label predictions of a model trained with labels, for whole recordings in bounded memory."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.embedding import check_fits, chunked, reader_for
from ssl_behavior.errors import InputError
from ssl_behavior.labeled_windows import LabelFacts
from ssl_behavior.methods import Joint, Method
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.windows import WindowBatch

__all__ = ["Style", "predict_row", "style_of", "with_labels"]


@dataclass(frozen=True)
class Style:
    """Annotator whose style is used for a recording.

    Parameters
    ----------
    annotator : a learned annotator; "" = unknown.
    warning : a sentence if another annotator's style is used than that of the recording's own annotator, else "".
    """

    annotator: str
    warning: str = ""


def style_of(facts: LabelFacts, row: StoreRow, annotator: str = "", stream: str = "") -> Style:
    """Style of the named annotator; else of the recording's annotator; else of the first learned one.

    Parameters
    ----------
    facts : label streams and annotators of the model.
    stream : use the annotator of this stream of the recording; "" = of any learned stream.

    Raises
    ------
    InputError
        If an annotator is named and was not learned.
    """
    known = facts.annotators
    if annotator:
        if annotator not in known:
            raise InputError(f"annotator {annotator!r} was not learned; the model knows {list(known)}")
        return Style(annotator)
    streams = [stream] if stream else [one.name for one in facts.streams]
    own = [row.annotators[name] for name in streams if name in row.annotators]
    if learned := [name for name in own if name in known]:
        return Style(learned[0])
    others = ", ".join(repr(name) for name in dict.fromkeys(own) if name)
    if not others and len(known) == 1:
        return Style(known[0])
    reason = f"annotator {others} was not learned" if others else "no annotator is named"
    among = f"the first of {list(known)}" if len(known) > 1 else "the only learned one"
    taken = f"annotator {known[0]!r}, {among}," if known[0] else "an unknown annotator"
    return Style(known[0], f"labels {', '.join(streams)}: {reason}, so frames are labeled as {taken} would")


def with_labels(method: Method, where: str) -> Joint:
    """Return the method if it learned from labels; `where` names it in the error.

    Raises
    ------
    InputError
        If it did not.
    """
    if not isinstance(method, Joint):
        raise InputError(
            f"{where} was not trained with labels and predicts none: give a probe of it (`probe`, a folder that "
            "ssl-behavior probe makes), or train with the recipe joint or finetune"
        )
    return method


def predict_row(
    method: Joint, store: Store, row: StoreRow, annotator: str | Style = "", precision: torch.dtype = torch.float32
) -> dict[str, np.ndarray]:
    """Probabilities of every frame of a recording: stream -> float32 [frames, classes].

    Parameters
    ----------
    annotator : style by name or from `style_of`; "" = the recording's annotator, or, with a warning, another one.

    Raises
    ------
    InputError
        If the recording does not fit the encoder, the annotator is unknown, or the values are not finite.
    """
    check_fits(method, row, store.skeleton.keypoints, store.individuals)
    if isinstance(annotator, Style):
        style = annotator
    else:
        style = style_of(method.config.labels, row, annotator)
        if style.warning:
            warnings.warn(style.warning, stacklevel=2)
    reader = reader_for(method, store, row)

    def read(start: int, frames: int) -> WindowBatch:
        return reader.read([(0, start, frames)])

    def compute(batch: WindowBatch) -> Float[Tensor, "batch time class"]:
        batch = batch.to(batch.keypoints.device, next(method.parameters()).dtype)
        return torch.cat(list(method.label_probabilities(batch, style.annotator).values()), dim=-1)

    parts = [values[0] for _, values in chunked(method, compute, read, row.frames, precision=precision)]
    together = np.concatenate(parts)
    if not np.isfinite(together).all():
        raise InputError(f"recording {row.id!r}: the model gives values that are not finite; is it damaged?")
    streams = method.config.labels.streams
    stops = np.cumsum([len(stream.classes) for stream in streams])
    return dict(zip((stream.name for stream in streams), np.split(together, stops[:-1], axis=1), strict=True))
