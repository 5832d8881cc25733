"""Embeddings as an Apache Parquet table: a row per frame, a column per number; needs pyarrow."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.embedding import EmbeddingRow
from ssl_behavior.exports.frames import FRAME, RECORDING, SECONDS, ExportedFrames
from ssl_behavior.files import atomic_file

__all__ = ["write_parquet"]


def write_parquet(path: Path, frames: ExportedFrames, progress: Callable[[int], None]) -> None:
    """Columns: recording, frame, seconds, words (labels, clusters; null = none), then the embedding as float32.

    A row group holds frames of one recording. Where the numbers come from is said in the schema's metadata.
    """
    import pyarrow.parquet

    words = [RECORDING, *(column.name for column in frames.columns)]
    schema = _schema(frames)
    with atomic_file(path) as partial:
        options = {"compression": "zstd", "use_dictionary": words, "write_statistics": [*words, FRAME, SECONDS]}
        with pyarrow.parquet.ParquetWriter(partial, schema, **options) as writer:
            for row, span, block in frames.blocks():
                arrays = [*_known(frames, row, span), *_numbers(block)]
                writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), row_group_size=len(block))
                progress(len(block))


def _schema(frames: ExportedFrames) -> Any:
    import pyarrow as pa

    word = pa.dictionary(pa.int32(), pa.string())
    fields = [(RECORDING, word), (FRAME, pa.int32()), (SECONDS, pa.float64())]
    fields += [(column.name, word) for column in frames.columns]
    fields += [(name, pa.float32()) for name in frames.names]
    return pa.schema(fields, metadata={"ssl_behavior": json.dumps(frames.facts())})


def _known(frames: ExportedFrames, row: EmbeddingRow, span: slice) -> Iterator[Any]:
    """The arrays before the numbers."""
    import pyarrow as pa

    numbers = np.arange(span.start, span.stop, dtype=np.int32)
    yield _words(np.zeros(len(numbers), np.int32), (row.id,))
    yield pa.array(numbers)
    yield pa.array(numbers / row.fps)
    for column in frames.columns:
        yield _words(column.codes(row)[span], column.words)


def _words(codes: np.ndarray, words: tuple[str, ...]) -> Any:
    import pyarrow as pa

    indices = pa.array(np.asarray(codes, dtype=np.int32), mask=np.asarray(codes) < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def _numbers(block: np.ndarray) -> Iterator[Any]:
    import pyarrow as pa

    return (pa.array(column) for column in np.ascontiguousarray(block.T, dtype=np.float32))
