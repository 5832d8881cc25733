"""A faiss index of the frames of an embeddings folder: built in bounded memory, kept on disk, searched.

The kind of index follows from the number of frames and the memory. Its recall, the share of the true nearest neighbors
that it finds, is measured against exact search on a sample of queries.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.embedding_space import Space, SpaceConfig
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, recording_numbers
from ssl_behavior.errors import InputError
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.files import atomic_folder, read_contents, write_json
from ssl_behavior.seeds import derive_seed, numpy_generator
from ssl_behavior.terminal import Progress, no_progress

__all__ = [
    "FLAT_FRAMES",
    "KINDS",
    "MARKER",
    "RECALL_AT",
    "ExactSearch",
    "FrameIndex",
    "IndexConfig",
    "IndexFacts",
    "Kind",
    "RecallSample",
    "build_index",
    "choose_kind",
    "index_gb",
    "num_lists",
    "read_facts",
]

RECALL_AT = 10
AWAY_SECONDS = 2.0
"""Frames nearer to the query in time do not count as neighbors: they are trivial, and the easiest to find."""

_TIE = 1e-5


class ExactSearch:
    """Exact nearest points by Euclidean distance; points come in blocks, and memory holds one block.

    Parameters
    ----------
    queries : float32 [query, dim].
    k : number of neighbors.
    """

    def __init__(self, queries: np.ndarray, k: int) -> None:
        self._knn = load_faiss("search").knn
        self._queries, self._k = queries, k
        self.distances = np.empty((len(queries), 0), np.float32)
        self.positions = np.empty((len(queries), 0), np.int64)

    def add(self, start: int, points: np.ndarray) -> None:
        """Add points at the positions `start`, `start` + 1 ..."""
        squared, positions = self._knn(self._queries, points, min(self._k, len(points)))
        distances = np.concatenate([self.distances, np.sqrt(np.maximum(squared, 0))], axis=1)
        positions = np.concatenate([self.positions, positions + start], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, : self._k]
        self.distances = np.take_along_axis(distances, order, axis=1)
        self.positions = np.take_along_axis(positions, order, axis=1)


class RecallSample:
    """Indexed frames as queries, and their true neighbors more than 2 s away in time, in any row of the recording.

    Parameters
    ----------
    rows : the recordings.
    frames : indexed rows of the array, ascending.
    chosen : positions of the queries in `frames`, ascending.
    points : points of the queries, float32 [query, dim].
    """

    def __init__(
        self, rows: Sequence[EmbeddingRow], frames: np.ndarray, chosen: np.ndarray, points: np.ndarray
    ) -> None:
        self._offsets, self._recordings = np.array([row.offset for row in rows]), recording_numbers(rows)
        self._frames, self._queries, self.points = frames, frames[chosen], points
        away = np.array([round(AWAY_SECONDS * row.fps) for row in rows])
        own = self._row(self._queries)
        self._own, self._away_frames = self._recordings[own], away[own]
        self._times = self._queries - self._offsets[own]
        around = np.searchsorted(frames, self._queries + self._away_frames) - np.searchsorted(
            frames, self._queries - self._away_frames
        )
        at_once = int(np.bincount(self._recordings).max())
        self.k = min(len(frames), RECALL_AT + at_once * int(around.max()) + 1)
        self.exact = ExactSearch(points, self.k)

    def _row(self, frames: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._offsets, frames, side="right") - 1

    def _away(self, query: int, found: np.ndarray) -> np.ndarray:
        """Mask of the found frames (-1 = none) that count as neighbors."""
        row = self._row(found)
        near = np.abs(found - self._offsets[row] - self._times[query]) <= self._away_frames[query]
        return (found >= 0) & ~(near & (self._recordings[row] == self._own[query]))

    def recall(
        self, search: Callable[[np.ndarray, int], np.ndarray], gather: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Recall@10 of each query, float64 [query]; ties with the tenth neighbor count as found; NaN = no neighbors.

        Parameters
        ----------
        search : (points, k) -> frames found, int64 [query, k], -1 = none.
        gather : frames -> their points.
        """
        found = search(self.points, self.k)
        true = [self._first(query, self._frames[self.exact.positions[query]]) for query in range(len(found))]
        got = [self._first(query, frames, len(true[query])) for query, frames in enumerate(found)]
        # A frame as near as the last true neighbor is as good an answer: frames with equal embeddings are common.
        others = [np.append(mine[~np.isin(mine, best)], best[-1:]) for mine, best in zip(got, true, strict=True)]
        distances = self._distances(others, gather)
        recall = np.full(len(found), np.nan)
        for query in np.flatnonzero([len(best) for best in true]):
            *other, last = distances[query]
            tied = np.count_nonzero(np.array(other) <= last * (1 + _TIE))
            recall[query] = (len(got[query]) - len(other) + tied) / len(true[query])
        return recall

    def _first(self, query: int, frames: np.ndarray, most: int = RECALL_AT) -> np.ndarray:
        """The first frames that count as neighbors."""
        return frames[self._away(query, frames)][:most]

    def _distances(self, frames: list[np.ndarray], gather: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """Distances of each query to its own frames; every frame is read once."""
        every, where = np.unique(np.concatenate(frames), return_inverse=True)
        values, stops = gather(every), np.cumsum([len(own) for own in frames])
        return [
            np.linalg.norm(values[own] - point, axis=1)
            for own, point in zip(np.split(where, stops[:-1]), self.points, strict=True)
        ]


FLAT_FRAMES = 500_000
"""Up to this number, frames are compared one by one (a tenth of a second a query); more are sorted into lists."""

_FEWEST_PER_LIST = 39
_PQ_CENTROIDS = 256
_LINKS = 32
_GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of index.

    Parameters
    ----------
    factory : (frames, dim) -> description for `faiss.index_factory`.
    frame_bytes : dim -> memory of a frame.
    breadths : candidate numbers of lists (nprobe) or candidates (efSearch) that a search visits.
    fewest_frames : minimum number of frames to build it.
    compared : results are ranked again by the embeddings, because the index holds them too coarsely.
    """

    factory: Callable[[int, int], str]
    frame_bytes: Callable[[int], int]
    breadths: tuple[int, ...] = ()
    fewest_frames: int = 1
    compared: bool = False


def num_lists(frames: int) -> int:
    """Lists of an inverted file: a power of 2 up to twice the root of the frames, with enough frames each.

    >>> num_lists(6_000_000), num_lists(545_000), num_lists(50)
    (4096, 1024, 1)
    """
    most = min(2 * math.sqrt(frames), frames / _FEWEST_PER_LIST)
    return 1 << max(0, math.floor(math.log2(max(most, 1))))


def _code_bytes(dim: int) -> int:
    """Length of a product quantizer's codes: a divisor of `dim` between a quarter and a half of it, else `dim`."""
    return next((size for size in range(dim // 2, dim // 4, -1) if dim % size == 0), dim)


# Lists and graphs hold float16, as embeddings do on disk: half the memory, and no neighbor is lost.
KINDS: dict[str, Kind] = {
    "flat": Kind(factory=lambda frames, dim: "Flat", frame_bytes=lambda dim: 4 * dim),
    "ivf": Kind(
        factory=lambda frames, dim: f"IVF{num_lists(frames)},SQfp16",
        frame_bytes=lambda dim: 2 * dim + 8,
        breadths=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    ),
    "ivfpq": Kind(
        # np: without polysemous codes, which no search here uses and which take seconds to train.
        factory=lambda frames, dim: f"IVF{num_lists(frames)},PQ{_code_bytes(dim)}np",
        frame_bytes=lambda dim: _code_bytes(dim) + 8,
        breadths=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        fewest_frames=_PQ_CENTROIDS,
        compared=True,
    ),
    "hnsw": Kind(
        factory=lambda frames, dim: f"HNSW{_LINKS},SQfp16",
        frame_bytes=lambda dim: 2 * dim + 2 * 4 * _LINKS + 16,
        breadths=(16, 32, 64, 128, 256, 512, 1024),
    ),
}


def index_gb(kind: str, frames: int, dim: int) -> float:
    """Memory of an index in GB (10^9 bytes).

    >>> index_gb("flat", 500_000, 128)
    0.256
    """
    return frames * KINDS[kind].frame_bytes(dim) / _GB


def choose_kind(kind: str, frames: int, dim: int, memory_gb: float) -> str:
    """`kind` if it fits; for "auto" the first of flat (up to `FLAT_FRAMES`), ivf and ivfpq that fits.

    Raises
    ------
    InputError
        If the memory is too small, or the frames are too few.
    """
    automatic = ["flat", "ivf", "ivfpq"] if frames <= FLAT_FRAMES else ["ivf", "ivfpq"]
    wanted = automatic if kind == "auto" else [kind]
    able = [name for name in wanted if frames >= KINDS[name].fewest_frames]
    if not able:
        least = KINDS[kind].fewest_frames
        raise InputError(f"an index of kind {kind} needs {least} frames or more, got {frames}: use `kind=flat`")
    for name in able:
        if index_gb(name, frames, dim) <= memory_gb:
            return name
    needed = index_gb(able[-1], frames, dim)
    raise InputError(
        f"an index of kind {able[-1]} of {frames:,} frames x {dim} takes {needed:.2g} GB, more than "
        f"`memory_gb={memory_gb:g}`: index every second frame (`stride=2`), fewer columns (`most_dims`), or use "
        "another `kind`"
    )


FORMAT_VERSION = 1
MARKER = "index.json"
_FAISS_FILE = "index.faiss"
_TRAINING_PER_LIST = 64
_RECALL_QUERIES = 512
_FEWEST_COMPARED = 100
_COMPARED_QUERIES = 64
_PQ_ITERATIONS = 10


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """Settings of an index.

    Parameters
    ----------
    kind : "auto" or one of `KINDS`, see `choose_kind`.
    memory_gb : maximum memory of the index, in 10^9 bytes.
    stride : every `stride`-th frame of a recording is indexed.
    recall : share of the true ten nearest neighbors that a search should find.
    seed : seed of the training frames and of the queries that measure recall.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    kind: str = "auto"
    memory_gb: float = 4.0
    stride: int = 1
    recall: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind != "auto" and self.kind not in KINDS:
            raise InputError(f"`kind` must be auto or one of {list(KINDS)}, got {self.kind!r}")
        if not self.memory_gb > 0:
            raise InputError(f"`memory_gb` must be more than 0, got {self.memory_gb:g}")
        if self.stride < 1:
            raise InputError(f"`stride` must be 1 or more, got {self.stride}")
        if not 0 < self.recall <= 1:
            raise InputError(f"`recall` must be more than 0 and at most 1, got {self.recall:g}")


@dataclass(frozen=True, kw_only=True)
class IndexFacts:
    """Facts about an index besides its space.

    Parameters
    ----------
    frames : number of indexed frames.
    breadth : lists (nprobe) or candidates (efSearch) that a search visits; 0 = all frames.
    recall : share found of the ten nearest frames more than 2 s away from a query; 1 for an exact index.
    recall_by_breadth : recall measured for every breadth tried, on other queries than `recall`.
    store : fingerprint of the embedded store.
    recordings : (id, frames) of all recordings.
    """

    kind: str
    factory: str
    frames: int
    stride: int
    seed: int
    breadth: int = 0
    recall: float = 1.0
    recall_wanted: float = 1.0
    recall_queries: int = 0
    recall_by_breadth: dict[str, float] = field(default_factory=dict)
    store: str
    recordings: tuple[tuple[str, int], ...]


def _indexed(rows: Sequence[EmbeddingRow], stride: int) -> np.ndarray:
    """Indexed rows of the array, int64, ascending."""
    return np.concatenate([np.arange(row.offset, row.offset + row.frames, stride) for row in rows])


def read_facts(folder: Path) -> IndexFacts:
    """Facts about the index in a folder, without opening it.

    Raises
    ------
    InputError
        If there is no index, or its table is damaged.
    """
    contents = read_contents(folder, MARKER, "index", FORMAT_VERSION, ", or build it again", "an index folder")
    try:
        known = {name: value for name, value in contents.items() if name not in ("format", "version")}
        known["recordings"] = tuple((str(id), int(frames)) for id, frames in known["recordings"])
        facts = IndexFacts(**known)
        _check_facts(facts)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder} is damaged: the index cannot be read ({error}); build it again") from None
    return facts


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Index of embedded frames, searched by their distance in a space.

    Parameters
    ----------
    library : a faiss index of the frames, in their order.
    """

    embeddings: Embeddings
    space: Space
    library: Any
    facts: IndexFacts

    @classmethod
    def build(
        cls,
        embeddings: Embeddings,
        space: Space,
        config: IndexConfig | None = None,
        progress: Progress = no_progress,
    ) -> "FrameIndex":
        """Build an index in memory, which holds the index, its training frames, and a block of frames.

        Raises
        ------
        InputError
            If faiss is not installed, the memory is too small, or numbers are not finite.
        """
        config = config or IndexConfig()
        frames = _indexed(embeddings.rows, config.stride)
        kind = choose_kind(config.kind, len(frames), space.dim, config.memory_gb)
        facts = IndexFacts(
            kind=kind, factory=KINDS[kind].factory(len(frames), space.dim), frames=len(frames), stride=config.stride,
            seed=config.seed, store=embeddings.store, recordings=tuple((row.id, row.frames) for row in embeddings.rows),
        )  # fmt: skip
        progress("training the index", 0, 0)
        made = cls(embeddings, space, _trained(embeddings, space, facts, frames), facts)
        sample = made._recall_sample()
        for span, points in space.blocks(embeddings, None if config.stride == 1 else frames):
            made.library.add(points)
            if sample is not None:
                sample.exact.add(span.start, points)
            progress("indexing", len(points), len(frames))
        return made if sample is None else made._tuned(sample, config.recall)

    @classmethod
    def open(cls, folder: Path, embeddings: Embeddings) -> "FrameIndex":
        """Open a folder that `write` wrote; its numbers stay on disk until they are searched.

        Raises
        ------
        InputError
            If it is not an index folder, is damaged, or was built on other embeddings.
        """
        faiss, folder = load_faiss("an index"), Path(folder)
        facts, space = read_facts(folder), Space.load(folder)
        try:
            # Maps the whole file; older versions of faiss map inverted lists alone.
            flag = getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP)
            library = faiss.read_index(str(folder / _FAISS_FILE), flag)
        except RuntimeError as error:
            raise InputError(f"{folder} is damaged: the index cannot be read ({error}); build it again") from None
        if (library.ntotal, library.d) != (facts.frames, space.dim):
            raise InputError(
                f"{folder} is damaged: its table gives {facts.frames} frames x {space.dim}, {_FAISS_FILE} has "
                f"{library.ntotal} x {library.d}; build it again"
            )
        _check_same(folder, space, facts, embeddings)
        return cls(embeddings, space, library, facts)

    def write(self, folder: Path) -> None:
        """Write the index into an existing, empty folder."""
        self.space.save(folder)
        try:
            load_faiss("an index").write_index(self.library, str(folder / _FAISS_FILE))
        except RuntimeError as error:
            reason = "the disk is full" if "No space left" in str(error) else str(error)
            raise InputError(f"{folder}: the index cannot be written: {reason}") from None
        write_json(folder / MARKER, {"format": "ssl-behavior index", "version": FORMAT_VERSION, **asdict(self.facts)})

    def search(
        self, points: np.ndarray, k: int, allowed: np.ndarray | None = None, breadth: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest frames of points of the space, nearest first.

        Parameters
        ----------
        points : float32 [query, dim].
        allowed : bool [rows of the array], frames that may be found; None = all.
        breadth : overrides that of the index; 0 = keep it.

        Returns
        -------
        distances float32 [query, k] and rows of the array int64 [query, k]; infinity and -1 for missing hits.
        """
        compared = KINDS[self.facts.kind].compared
        wanted = min(max(2 * k, _FEWEST_COMPARED) if compared else k, self.facts.frames)
        squared, positions = self.library.search(points, wanted, params=self._parameters(allowed, wanted, breadth))
        distances = np.where(positions < 0, np.inf, np.sqrt(np.maximum(squared, 0)))
        frames = np.where(positions < 0, -1, self.frames[positions])
        if compared:
            distances, frames = self._compared(points, frames)
        short = max(0, k - wanted)
        widths = ((0, 0), (0, short))
        distances = np.pad(distances[:, :k], widths, constant_values=np.inf)
        return distances.astype(np.float32), np.pad(frames[:, :k], widths, constant_values=-1)

    @cached_property
    def frames(self) -> np.ndarray:
        """Indexed rows of the array, ascending, int64."""
        return _indexed(self.embeddings.rows, self.facts.stride)

    @property
    def widest(self) -> int:
        """Breadth of a search that visits all frames; 0 = every search does."""
        if self.facts.kind == "flat":
            return 0
        return self.facts.frames if self.facts.kind == "hnsw" else int(self.library.nlist)

    def _parameters(self, allowed: np.ndarray | None, wanted: int, breadth: int) -> Any:
        faiss, breadth = load_faiss("search"), breadth or self.facts.breadth
        bits = None if allowed is None else np.packbits(allowed[self.frames], bitorder="little")
        chosen = {} if bits is None else {"sel": faiss.IDSelectorBitmap(bits)}
        if self.facts.kind == "flat":
            return faiss.SearchParameters(**chosen)
        if self.facts.kind == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=max(breadth, wanted), **chosen)
        return faiss.SearchParametersIVF(nprobe=breadth, **chosen)

    def _compared(self, points: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Exact distances, ascending, and the frames in that order."""
        distances = np.empty(frames.shape)
        for start in range(0, len(points), _COMPARED_QUERIES):
            part = slice(start, start + _COMPARED_QUERIES)
            found, where = np.unique(frames[part], return_inverse=True)
            values = self.space.gather(self.embeddings, np.maximum(found, 0))
            for query, own in enumerate(where.reshape(frames[part].shape), start):
                distances[query] = np.linalg.norm(values[own] - points[query], axis=1)
        distances[frames < 0] = np.inf
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, axis=1), np.take_along_axis(frames, order, axis=1)

    def _recall_sample(self) -> RecallSample | None:
        """Queries that measure recall; None if every search is exact."""
        if not KINDS[self.facts.kind].breadths:
            return None
        generator = numpy_generator(self.facts.seed, "queries of the recall")
        most = min(_RECALL_QUERIES, self.facts.frames)
        chosen = np.sort(generator.choice(self.facts.frames, most, replace=False))
        points = self.space.gather(self.embeddings, self.frames[chosen])
        return RecallSample(self.embeddings.rows, self.frames, chosen, points)

    def _found(self, points: np.ndarray, k: int, breadth: int) -> np.ndarray:
        return self.search(points, k, breadth=breadth)[1]

    def _tuned(self, sample: RecallSample, wanted: float) -> "FrameIndex":
        """The index with the lowest breadth that reaches the wanted recall on even queries; odd ones measure it."""
        tried: dict[str, float] = {}
        breadths = KINDS[self.facts.kind].breadths
        for breadth in (one for one in breadths if one <= max(self.widest, breadths[0])):
            search = partial(self._found, breadth=breadth)
            each = sample.recall(search, partial(self.space.gather, self.embeddings))
            tried[str(breadth)] = _mean(each[::2])
            if tried[str(breadth)] >= wanted:
                break
        facts = replace(
            self.facts, breadth=breadth, recall=_mean(each[1::2]), recall_wanted=wanted,
            recall_queries=len(each), recall_by_breadth=tried,
        )  # fmt: skip
        return replace(self, facts=facts)


def _mean(recall: np.ndarray) -> float:
    known = recall[~np.isnan(recall)]
    return float(known.mean()) if len(known) else 1.0


def _trained(embeddings: Embeddings, space: Space, facts: IndexFacts, frames: np.ndarray) -> Any:
    """A trained index without frames; it is trained on a sample of them."""
    faiss = load_faiss("an index")
    library = faiss.index_factory(space.dim, facts.factory)
    quantizer = getattr(library, "pq", None)
    for part in (getattr(library, "cp", None), getattr(quantizer, "cp", None)):
        if part is not None:
            part.seed = derive_seed(facts.seed, "faiss") % (1 << 31)
            part.min_points_per_centroid, part.max_points_per_centroid = 1, _TRAINING_PER_LIST
    if quantizer is not None:
        quantizer.cp.niter = _PQ_ITERATIONS
    if not library.is_trained:
        lists = getattr(library, "nlist", 0)
        most = _TRAINING_PER_LIST * max(lists, _PQ_CENTROIDS if quantizer is not None else 1)
        generator = numpy_generator(facts.seed, "training frames")
        chosen = generator.choice(len(frames), min(most, len(frames)), replace=False, shuffle=False)
        library.train(space.gather(embeddings, frames[np.sort(chosen)]))
    return library


def _check_facts(facts: IndexFacts) -> None:
    """Check facts from a file; raises ValueError, or the error of a wrong type."""
    frames = sum(len(range(0, frames, facts.stride)) for _, frames in facts.recordings)
    tuned = str(facts.breadth) in facts.recall_by_breadth
    if facts.kind not in KINDS or tuned != bool(KINDS[facts.kind].breadths):
        raise ValueError(f"kind {facts.kind!r} of breadth {facts.breadth!r}")
    if frames != facts.frames:
        raise ValueError(f"{facts.frames} frames, but its recordings have {frames} at stride {facts.stride}")


def _check_same(folder: Path, space: Space, facts: IndexFacts, embeddings: Embeddings) -> None:
    """Check that an index is of these embeddings."""
    rows = tuple((row.id, row.frames) for row in embeddings.rows)
    other = sorted(set(rows) ^ set(facts.recordings))
    differences = {
        f"are of another checkpoint ({embeddings.checkpoint[:12]}": (embeddings.checkpoint, space.checkpoint),
        f"have the columns ({_listed(embeddings.groups)}": (dict(embeddings.groups), dict(space.groups)),
        f"are of another store ({embeddings.store[:12]}": (embeddings.store, facts.store),
        f"have other recordings ({repr(other[0][0]) if other else 'in another order'}": (rows, facts.recordings),
    }
    for what, (own, indexed) in differences.items():
        if own != indexed:
            known = f", not {_listed(space.groups)}" if isinstance(indexed, dict) else ""
            known = f", not {indexed[:12]}" if isinstance(indexed, str) else known
            raise InputError(
                f"the index {folder} was not built on {embeddings.path}: the embeddings {what}{known}); build the "
                "index again (`overwrite`), or build one in another `index`"
            )


def _listed(groups: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {width}" for name, width in groups.items())


def build_index(
    embeddings: Embeddings,
    index: str | Path,
    space: SpaceConfig | None = None,
    config: IndexConfig | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> FrameIndex:
    """Build an index into a folder, whole or not at all, and open it; see `FrameIndex.build`.

    Parameters
    ----------
    index : the folder.
    space : space of the comparison; by default cosine similarity of all columns but time.

    Raises
    ------
    InputError
        If `index` exists and is not to be overwritten, or the index cannot be built.
    """
    folder, config = Path(index), config or IndexConfig()
    with atomic_folder(folder, overwrite, MARKER, "index") as partial:
        fitted = Space.fit(embeddings, space or SpaceConfig(unit=True), config.seed)
        FrameIndex.build(embeddings, fitted, config, progress).write(partial)
    return FrameIndex.open(folder, embeddings)
