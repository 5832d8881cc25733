"""Nearest-neighbour probe: what do the most similar training frames show?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.faiss_library import load_faiss

__all__ = ["K_GRID", "NeighborIndex", "Neighbors", "vote"]

K_GRID = (5.0, 20.0, 50.0, 200.0)
"""Numbers of neighbours tried."""

TEMPERATURE = 0.07
"""Votes weigh exp(cosine / temperature), Wu et al. 2018 (arXiv:1805.01978)."""

QUERY_FRAMES = 4096


@dataclass(frozen=True)
class Neighbors:
    """The most similar training frames of each query, most similar first."""

    similarity: np.ndarray
    """Cosine, float32 [query, neighbour]."""
    index: np.ndarray
    """Training frame, int64 [query, neighbour]."""


class NeighborIndex:
    """An exact faiss index of unit vectors; faiss is loaded here and not before.

    Raises
    ------
    InputError
        If faiss is not installed.
    """

    def __init__(self, embedded: Float[Tensor, "frames latent"]) -> None:
        self._index = load_faiss("--mode knn").IndexFlatIP(embedded.shape[1])
        for block in embedded.split(QUERY_FRAMES):
            self._index.add(_unit(block))

    def search(self, queries: Float[Tensor, "frames latent"], num_neighbors: int) -> Iterator[Neighbors]:
        """The nearest training frames by cosine (all of them if there are fewer), a few thousand queries at a time."""
        for block in queries.split(QUERY_FRAMES):
            similarity, index = self._index.search(_unit(block), min(num_neighbors, self._index.ntotal))
            yield Neighbors(similarity, index)


def _unit(embedded: Float[Tensor, "frames latent"]) -> np.ndarray:
    return torch.nn.functional.normalize(embedded.float(), dim=1).numpy()


def vote(neighbors: Neighbors, target: np.ndarray, num_neighbors: int, prior: np.ndarray | None = None) -> np.ndarray:
    """Share of the votes for each class, float32 [query, classes].

    Parameters
    ----------
    target : int [training frames, classes], 1 yes, 0 no, -1 not annotated (no vote in this class).
    num_neighbors : how many of the neighbours vote.
    prior : [classes] shares by which the votes for yes, and 1 - prior by which those for no, are divided, so that
        frequent classes have no advantage. None = votes as they are.
    """
    similarity = neighbors.similarity[:, :num_neighbors]
    # Relative to the nearest: exp() cannot overflow, and the shares stay the same.
    weight = np.exp((similarity - similarity[:, :1]) / TEMPERATURE)
    shown = target[neighbors.index[:, :num_neighbors]]
    yes = (weight[..., None] * (shown == 1)).sum(axis=1)
    no = (weight[..., None] * (shown == 0)).sum(axis=1)
    if prior is not None:
        yes, no = yes / np.clip(prior, 1e-12, None), no / np.clip(1 - prior, 1e-12, None)
    return (yes / np.maximum(yes + no, 1e-12)).astype(np.float32)
