"""The frames of an embedding as every format gets them: chosen recordings and columns, block by block."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ssl_behavior.embedding import EmbeddingRow, Embeddings
from ssl_behavior.exports.columns import FrameColumn
from ssl_behavior.methods import group_slices

__all__ = ["FRAME", "RECORDING", "SECONDS", "ExportedFrames"]

RECORDING, FRAME, SECONDS = "recording", "frame", "seconds"
_BLOCK_BYTES = 1 << 26
_SMALLEST_BLOCK_FRAMES = 1024


@dataclass(frozen=True, eq=False)
class ExportedFrames:
    """Some recordings and columns of an embedding.

    Parameters
    ----------
    groups : the columns that are written: name -> number of columns.
    columns : what else is known of every frame.
    """

    embeddings: Embeddings
    rows: Sequence[EmbeddingRow]
    groups: Mapping[str, int]
    columns: Sequence[FrameColumn] = ()

    @property
    def dim(self) -> int:
        return sum(self.groups.values())

    @property
    def num_frames(self) -> int:
        return sum(row.frames for row in self.rows)

    @property
    def names(self) -> list[str]:
        """Of the embedding's columns: the group's, and a number from 0 in it."""
        return [f"{group}_{number}" for group, width in self.groups.items() for number in range(width)]

    @cached_property
    def _spans(self) -> list[slice]:
        return [span for name, span in group_slices(self.embeddings.groups).items() if name in self.groups]

    def blocks(self) -> Iterator[tuple[EmbeddingRow, slice, np.ndarray]]:
        """(recording, which of its frames, their numbers [frames, dim] as they are stored), a block at a time."""
        most = max(_SMALLEST_BLOCK_FRAMES, _BLOCK_BYTES // (4 * self.dim))
        for row in self.rows:
            for start in range(0, row.frames, most):
                span = slice(start, min(start + most, row.frames))
                block = self.embeddings.array[row.offset + span.start : row.offset + span.stop]
                yield row, span, np.concatenate([block[:, columns] for columns in self._spans], axis=1)

    def facts(self) -> dict[str, Any]:
        """Where the numbers come from, for whoever finds the file."""
        return {
            "checkpoint": self.embeddings.checkpoint,
            "store": self.embeddings.store,
            "channel_groups": dict(self.groups),
        }
