"""`Candidates`: segments of 1.5 s that partition all rows of the embeddings, each with its mean point.

A head's logit is linear, so that the logit of a segment's mean point is the mean of its frames' logits: a whole set of
embeddings is scored by one product of a matrix and a vector.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ssl_behavior.embedding_space import Space, SpaceConfig
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, sample_frames
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, read_json, write_json
from ssl_behavior.mapped_arrays import release_pages
from ssl_behavior.terminal import Progress, no_progress

__all__ = ["CandidateConfig", "Candidates", "find_candidates", "open_candidates"]

_MARKER = "candidates.json"
_BLOCK_FRAMES = 65_536
_SAMPLE_FRAMES, _BACKGROUND_EVERY = 20_000, 5


@dataclass(frozen=True, kw_only=True)
class CandidateConfig:
    """Options of the segments.

    Parameters
    ----------
    seconds : length; the last segment of a row is shorter.
    most_dims : see `SpaceConfig`.
    """

    seconds: float = 1.5
    most_dims: int = 128


@dataclass(frozen=True, eq=False)
class Candidates:
    """Segments of all rows, in order: row by row, and by time.

    Parameters
    ----------
    rows : rows of the embeddings.
    row : number of each segment's row, int32 [segment].
    start, stop : frames of the row, `stop` not included, int64 [segment].
    points : mean standardized embedding, float32 [segment, dim].
    sample : points of frames drawn at random from all rows, in their order, float32 [frame, dim].
    sample_row : number of each of these frames' row, int32 [frame].
    space : map from embeddings to points.
    """

    rows: tuple[EmbeddingRow, ...]
    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    points: np.ndarray
    sample: np.ndarray
    sample_row: np.ndarray
    space: Space

    def __len__(self) -> int:
        return len(self.row)

    @property
    def background(self) -> np.ndarray:
        """Every fifth frame of the sample, float32 [frame, dim]."""
        return self.sample[::_BACKGROUND_EVERY]

    @property
    def background_row(self) -> np.ndarray:
        """Number of the row of each frame of the background, int32 [frame]."""
        return self.sample_row[::_BACKGROUND_EVERY]

    @property
    def frames(self) -> np.ndarray:
        """Length of each segment, int64 [segment]."""
        return self.stop - self.start

    def of_row(self, number: int) -> slice:
        """The segments of a row."""
        first, last = np.searchsorted(self.row, [number, number + 1])
        return slice(int(first), int(last))

    def at(self, number: int, start: int, stop: int) -> slice:
        """The segments of a row that share frames with a span."""
        own = self.of_row(number)
        first = np.searchsorted(self.stop[own], start, side="right")
        last = np.searchsorted(self.start[own], stop, side="left")
        return slice(own.start + int(first), own.start + int(last))


def find_candidates(
    embeddings: Embeddings,
    folder: Path,
    rows: Sequence[EmbeddingRow] | None = None,
    config: CandidateConfig | None = None,
    progress: Progress = no_progress,
) -> Candidates:
    """Cut rows into segments and average them; kept in `folder`, to be opened by the next call.

    Parameters
    ----------
    rows : rows of the embeddings; None = all.

    Memory holds a block of frames and all segments: 6 million frames of 128 columns are 133,000 segments, 70 MB.

    Raises
    ------
    InputError
        If the embeddings hold numbers that are not finite, or the folder cannot be written.
    """
    config = config or CandidateConfig()
    rows = tuple(embeddings.rows if rows is None else rows)
    if found := open_candidates(embeddings, folder, rows, config):
        return found
    space = Space.fit(embeddings, SpaceConfig(most_dims=config.most_dims), rows=rows)
    parts, points, done = [], [], 0
    for number, row in enumerate(rows):
        edges = np.append(np.arange(0, row.frames, max(1, round(config.seconds * row.fps))), row.frames)
        own = np.stack([np.full(len(edges) - 1, number), edges[:-1], edges[1:]])
        parts.append(own[:, own[1] < own[2]])
        points.append(_means(embeddings, space, row, parts[-1][1], parts[-1][2]))
        done += row.frames
        progress("preparing segments", done, sum(row.frames for row in rows))
    row_number, start, stop = np.concatenate(parts, axis=1)
    found = Candidates(
        rows,
        row_number.astype(np.int32),
        start,
        stop,
        np.concatenate(points),
        *_sample(embeddings, rows, space),
        space,
    )
    _save(found, embeddings, folder, config)
    release_pages(embeddings.array)
    return found


def _means(embeddings: Embeddings, space: Space, row: EmbeddingRow, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Mean point of each of the adjacent segments of a row, float32 [segment, dim]."""
    found = np.empty((len(start), space.dim), np.float32)
    for part in _blocks_of(start, stop):
        first, last = int(start[part.start]), int(stop[part.stop - 1])
        frames = slice(row.offset + first, row.offset + last)
        points = np.concatenate([points for _, points in space.blocks(embeddings, frames)])
        sums = np.add.reduceat(points, start[part] - first, axis=0)
        found[part] = sums / (stop[part] - start[part])[:, None]
    return found


def _blocks_of(start: np.ndarray, stop: np.ndarray) -> Iterator[slice]:
    """Slices of segments with about `_BLOCK_FRAMES` frames."""
    begin = 0
    while begin < len(start):
        end = max(begin + 1, int(np.searchsorted(stop, start[begin] + _BLOCK_FRAMES, side="right")))
        yield slice(begin, end)
        begin = end


def _sample(embeddings: Embeddings, rows: Sequence[EmbeddingRow], space: Space) -> tuple[np.ndarray, np.ndarray]:
    frames = sample_frames(rows, _SAMPLE_FRAMES, 0)
    order = np.argsort([row.offset for row in rows])
    offsets = np.array([row.offset for row in rows])[order]
    number = order[np.searchsorted(offsets, frames, side="right") - 1]
    return space.gather(embeddings, frames), number.astype(np.int32)


def _facts(embeddings: Embeddings, rows: Sequence[EmbeddingRow], config: CandidateConfig) -> dict[str, object]:
    return {
        "format": "ssl-behavior candidates", "version": 1, "checkpoint": embeddings.checkpoint,
        "store": embeddings.store, "groups": dict(embeddings.groups), "rows": [[row.id, row.frames] for row in rows],
        **asdict(config),
    }  # fmt: skip


_ARRAYS = ("row", "start", "stop", "points", "sample", "sample_row")


def _save(found: Candidates, embeddings: Embeddings, folder: Path, config: CandidateConfig) -> None:
    with atomic_folder(folder, overwrite=True, marker=_MARKER) as partial:
        found.space.save(partial)
        for name in _ARRAYS:
            np.save(partial / f"{name}.npy", getattr(found, name))
        write_json(partial / _MARKER, _facts(embeddings, found.rows, config))


def open_candidates(
    embeddings: Embeddings, folder: Path, rows: Sequence[EmbeddingRow], config: CandidateConfig | None = None
) -> Candidates | None:
    """The segments that `find_candidates` kept; None if there are none, or they are of other embeddings or options."""
    config = config or CandidateConfig()
    if not (folder / _MARKER).exists():
        return None
    try:
        if read_json(folder / _MARKER, "candidates of labeling") != _facts(embeddings, rows, config):
            return None
        row, start, stop, points, sample, sample_row = (np.load(folder / f"{name}.npy") for name in _ARRAYS)
        space = Space.load(folder)
        segments = (len(row),)
        fits = start.shape == stop.shape == segments and points.shape == (*segments, space.dim)
        if not fits or sample.shape != (len(sample_row), space.dim):
            return None
        return Candidates(tuple(rows), row, start, stop, points, sample, sample_row, space)
    except (OSError, EOFError, ValueError, InputError):
        # Made anew from the embeddings.
        return None


def row_numbers(rows: Sequence[EmbeddingRow]) -> dict[str, int]:
    """Id -> number of each row."""
    return {row.id: number for number, row in enumerate(rows)}
