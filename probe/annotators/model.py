"""Learned annotators: what each of them would call a frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.representations import Matrix, Scaling, all_frames, standardised_blocks
from probe.trial import PLAIN, spread
from ssl_behavior.errors import InputError
from ssl_behavior.nn import AnnotatorHead
from ssl_behavior.store import StoreRow

__all__ = ["OUTPUT", "AnnotatorProbe"]

OUTPUT = "labels"
"""The name of the head's only output."""


@dataclass(frozen=True)
class AnnotatorProbe:
    """Heads that are told who annotates, and all they need to read an embedding.

    Parameters
    ----------
    annotators : names, in the order of the rows of the heads' matrices.
    classes : the task's.
    learned : the classes, by index, that the heads have logits for.
    heads : fit name ("plain", "balanced") -> head with the single output `OUTPUT`.
    """

    annotators: tuple[str, ...]
    classes: tuple[str, ...]
    learned: tuple[int, ...]
    heads: Mapping[str, AnnotatorHead]
    scaling: Scaling

    def number(self, annotator: str) -> int:
        """The row of an annotator.

        Raises
        ------
        InputError
            If nobody of that name was learned.
        """
        if annotator not in self.annotators:
            raise InputError(f"there is no annotator {annotator!r}; known: {', '.join(self.annotators)}")
        return self.annotators.index(annotator)

    def predict(
        self, embedded: Float[Tensor, "frames latent"], annotator: str, fit: str = PLAIN
    ) -> Float[Tensor, "frames learned"]:
        """Probabilities of the learned classes of standardised frames, as this annotator would label them."""
        return self.log_probabilities(embedded, annotator, fit).exp()

    @torch.no_grad()
    def log_probabilities(
        self, embedded: Float[Tensor, "frames latent"], annotator: str, fit: str = PLAIN
    ) -> Float[Tensor, "frames learned"]:
        """The logarithm of `predict`, finite where that is 0."""
        number = torch.full((len(embedded),), self.number(annotator))
        return self.heads[fit](embedded, number)[OUTPUT].log_softmax(dim=-1)

    def probabilities(self, array: Matrix, rows: Sequence[StoreRow], annotator: str, fit: str = PLAIN) -> np.ndarray:
        """Float32 [frames, classes] over all frames of the recordings; NaN for classes not learned.

        Parameters
        ----------
        array : embeddings [frames of the store, dim].
        """
        blocks = standardised_blocks(array, all_frames(rows), self.scaling)
        parts = [self.predict(block, annotator, fit).numpy() for _, block in blocks]
        return spread(np.concatenate(parts), self.learned, len(self.classes))
