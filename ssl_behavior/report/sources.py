"""The recordings of a report: where they are in the store, and where in the embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ssl_behavior.embedding import EmbeddingRow, Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.report.contents import ReportRecording
from ssl_behavior.store import Store, StoreRow

__all__ = ["Source"]


@dataclass(frozen=True, eq=False)
class Source:
    """Recordings of a store and of its embeddings.

    Parameters
    ----------
    rows : the recordings in the embeddings, in their order.
    """

    store: Store
    embeddings: Embeddings
    rows: tuple[EmbeddingRow, ...]

    @classmethod
    def of(cls, store: Store, embeddings: Embeddings, wanted: Sequence[StoreRow] | None = None) -> "Source":
        """The wanted recordings, or all that are embedded.

        Raises
        ------
        InputError
            If one of them is not in both, or not as long in both.
        """
        ids = {row.id for row in (embeddings.rows if wanted is None else wanted)}
        rows = tuple(row for row in embeddings.rows if row.id in ids)
        if missing := sorted(ids - {row.id for row in rows}):
            raise InputError(f"{embeddings.path} has no recording {missing[0]!r}: embed it, or leave it out")
        if not rows:
            raise InputError(f"{embeddings.path} has no recordings to report on")
        for row in rows:
            frames = store.row(row.id).frames
            if frames != row.frames:
                raise InputError(
                    f"recording {row.id!r} has {frames} frames in {store.path} and {row.frames} in {embeddings.path}: "
                    "embed this store again"
                )
        return cls(store, embeddings, rows)

    @cached_property
    def store_rows(self) -> tuple[StoreRow, ...]:
        return tuple(self.store.row(row.id) for row in self.rows)

    @cached_property
    def recordings(self) -> tuple[ReportRecording, ...]:
        return tuple(
            ReportRecording(id=row.id, frames=row.frames, fps=row.fps, subset=row.subset) for row in self.store_rows
        )

    @cached_property
    def offsets(self) -> np.ndarray:
        """The row of the embeddings at which each recording begins."""
        return np.array([row.offset for row in self.rows])

    @cached_property
    def store_offsets(self) -> np.ndarray:
        """The frame of the store at which each recording begins."""
        return np.array([row.offset for row in self.store_rows])
