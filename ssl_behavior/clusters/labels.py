"""A cluster for every frame of some recordings: what cards, profiles, files and the report are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssl_behavior.bouts import runs
from ssl_behavior.embedding import EmbeddingRow

__all__ = ["FrameClusters"]


@dataclass(frozen=True, eq=False)
class FrameClusters:
    """The cluster of each frame.

    Parameters
    ----------
    rows : the recordings, one after the other; their offsets are into `labels`.
    labels : int32 [frames], from 0 to `num_clusters` - 1; -1 = of no cluster.
    num_clusters : how many there are, seen in these recordings or not.
    """

    rows: Sequence[EmbeddingRow]
    labels: np.ndarray
    num_clusters: int

    def __post_init__(self) -> None:
        assert len(self.labels) == sum(row.frames for row in self.rows)
        assert not len(self.labels) or (self.labels.min() >= -1 and self.labels.max() < self.num_clusters)

    def of(self, row: EmbeddingRow) -> np.ndarray:
        """int32 [time] of a recording."""
        return self.labels[row.slice]

    def bouts(self, row: EmbeddingRow) -> list[tuple[int, int, int]]:
        """(start, stop, cluster) of a recording, in frames of it; frames of no cluster are no bout."""
        return [bout for bout in runs(self.of(row)) if bout[2] >= 0]

    def shares(self) -> np.ndarray:
        """Each cluster's share of each recording's frames, float64 [recording, cluster]; 0 where there are none."""
        counts = [np.bincount(own[own >= 0], minlength=self.num_clusters) for own in map(self.of, self.rows)]
        frames = np.array([row.frames for row in self.rows])
        shares = np.array(counts, dtype=np.float64).reshape(len(self.rows), self.num_clusters)
        return shares / np.maximum(frames, 1)[:, None]
