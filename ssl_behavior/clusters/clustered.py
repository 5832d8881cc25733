"""A clustering together with the recordings it is of."""

from collections.abc import Sequence
from dataclasses import dataclass

from ssl_behavior.clusters.bout_table import BoutTable, bout_table
from ssl_behavior.clusters.labels import FrameClusters
from ssl_behavior.embedding import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.store import Store, StoreRow

__all__ = ["ClusteredStore"]

_FPS_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class ClusteredStore:
    """Recordings whose frames have clusters. Build it with `of`.

    Parameters
    ----------
    frames : the cluster of each frame.
    store : where the recordings are.
    rows : the clustered ones in the store, in the clustering's order.
    table : their bouts.
    """

    frames: FrameClusters
    store: Store
    rows: Sequence[StoreRow]
    table: BoutTable

    @classmethod
    def of(cls, frames: FrameClusters, store: Store) -> "ClusteredStore":
        """Find the clustered recordings in a store.

        Raises
        ------
        InputError
            If the store lacks one, or has it with another number of frames or another frame rate.
        """
        return cls(frames, store, [_same(row, store) for row in frames.rows], bout_table(frames))

    @property
    def num_clusters(self) -> int:
        return self.frames.num_clusters


def _same(row: EmbeddingRow, store: Store) -> StoreRow:
    found = store.row(row.id)
    if found.frames != row.frames or abs(found.fps / row.fps - 1) > _FPS_TOLERANCE:
        raise InputError(
            f"{store.path}: recording {row.id!r} has {found.frames} frames at {found.fps:g} per second, the clustered "
            f"one {row.frames} at {row.fps:g}: give the store that was embedded"
        )
    return found
