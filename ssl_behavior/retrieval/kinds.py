"""Kinds of index: what faiss builds for each, the memory it takes, and which one serves so many frames."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ssl_behavior.errors import InputError

__all__ = ["FLAT_FRAMES", "KINDS", "Kind", "choose_kind", "index_gb", "num_lists"]

FLAT_FRAMES = 500_000
"""As many are compared one by one, a tenth of a second for a query; more are sorted into lists."""

_FEWEST_PER_LIST = 39
_PQ_CENTROIDS = 256
_LINKS = 32
_GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of index.

    Parameters
    ----------
    factory : (frames, dim) -> the text that `faiss.index_factory` takes.
    frame_bytes : dim -> memory that a frame takes.
    breadths : what to try for the number of lists (nprobe) or of candidates (efSearch) that a search looks at.
    fewest_frames : it cannot be built of fewer.
    compared : what is found is compared once more by the embeddings, for the index holds them too coarsely.
    """

    factory: Callable[[int, int], str]
    frame_bytes: Callable[[int], int]
    breadths: tuple[int, ...] = ()
    fewest_frames: int = 1
    compared: bool = False


def num_lists(frames: int) -> int:
    """Lists of an inverted file: a power of 2 up to twice the root of the frames, none of them too short to learn.

    >>> num_lists(6_000_000), num_lists(545_000), num_lists(50)
    (4096, 1024, 1)
    """
    most = min(2 * math.sqrt(frames), frames / _FEWEST_PER_LIST)
    return 1 << max(0, math.floor(math.log2(max(most, 1))))


def _code_bytes(dim: int) -> int:
    """Length of a product quantiser's codes: a divisor of `dim` between a quarter and a half of it, else `dim`."""
    return next((size for size in range(dim // 2, dim // 4, -1) if dim % size == 0), dim)


# Lists and graphs hold float16, as embeddings do on disk: half the memory, and no neighbour is lost by it.
KINDS: dict[str, Kind] = {
    "flat": Kind(factory=lambda frames, dim: "Flat", frame_bytes=lambda dim: 4 * dim),
    "ivf": Kind(
        factory=lambda frames, dim: f"IVF{num_lists(frames)},SQfp16",
        frame_bytes=lambda dim: 2 * dim + 8,
        breadths=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    ),
    "ivfpq": Kind(
        # np: no polysemous codes, which no search here uses and which take seconds to train.
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
    """Memory that an index takes, in GB (10^9 bytes).

    >>> index_gb("flat", 500_000, 128)
    0.256
    """
    return frames * KINDS[kind].frame_bytes(dim) / _GB


def choose_kind(kind: str, frames: int, dim: int, memory_gb: float) -> str:
    """`kind` if it fits; of "auto" the first of flat (up to `FLAT_FRAMES`), ivf and ivfpq that does.

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
        raise InputError(f"an index of kind {kind} needs {least} frames or more, and these are {frames}: use flat")
    for name in able:
        if index_gb(name, frames, dim) <= memory_gb:
            return name
    needed = index_gb(able[-1], frames, dim)
    raise InputError(
        f"an index of kind {able[-1]} of {frames:,} frames x {dim} takes {needed:.2g} GB, more than --memory-gb "
        f"{memory_gb:g}: index every second frame (--stride 2), fewer columns (--dims), or another kind"
    )
