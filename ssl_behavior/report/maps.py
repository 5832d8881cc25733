"""Points in many dimensions as points in two."""

from importlib.util import find_spec

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.seeds import derive_seed

__all__ = ["MAPS", "check_map", "draw_map"]

MAPS = {"pca": "", "tsne": "openTSNE", "umap": "umap"}
"""Map -> the package that draws it."""

_FEWEST_POINTS = 10


def check_map(kind: str) -> None:
    """Refuse a map that cannot be drawn, before anything is computed.

    Raises
    ------
    InputError
        If there is no such map, or its package is not installed.
    """
    if kind not in MAPS:
        raise InputError(f"--map {kind!r}: known are {list(MAPS)}")
    if MAPS[kind] and find_spec(MAPS[kind]) is None:
        raise InputError(f"--map {kind} needs {MAPS[kind]}: pip install 'ssl-behavior[maps]'; --map pca needs nothing")


def draw_map(points: np.ndarray, kind: str = "pca", seed: int = 0) -> tuple[np.ndarray, str]:
    """(float32 [point, 2], what it is in words). t-SNE and UMAP start from the principal components.

    Parameters
    ----------
    points : float [point, dim].
    kind : one of `MAPS`.

    Raises
    ------
    InputError
        If `kind` cannot be drawn, or there are fewer than ten points for t-SNE or UMAP.
    """
    check_map(kind)
    components, shares = _principal(points)
    if kind == "pca":
        return components, f"PCA: {shares[0]:.0%} and {shares[1]:.0%} of the variance"
    if len(points) < _FEWEST_POINTS:
        raise InputError(f"--map {kind} needs at least {_FEWEST_POINTS} frames, got {len(points)}: use --map pca")
    # A spread of 1e-4 is what t-SNE is started from (Kobak & Berens 2019, doi:10.1038/s41467-019-13056-x).
    start = (components / max(float(components[:, 0].std()), 1e-12) * 1e-4).astype(np.float64)
    number = derive_seed(seed, "map", kind) % 2**31
    return (_tsne if kind == "tsne" else _umap)(points, start, number)


def _principal(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the first two principal components, their shares of the variance); of one column, the second is 0."""
    mean = points.mean(axis=0, dtype=np.float64)
    centred = points - mean.astype(points.dtype)
    covariance = (centred.T @ centred).astype(np.float64) / max(1, len(points))
    values, vectors = np.linalg.eigh(covariance)
    axes = np.zeros((points.shape[1], 2))
    axes[:, : min(2, points.shape[1])] = vectors[:, ::-1][:, :2]
    # An eigenvector's sign is chance; its largest entry shall be positive.
    axes *= np.where(np.take_along_axis(axes, np.abs(axes).argmax(0)[None], 0) < 0, -1.0, 1.0)
    shares = np.zeros(2)
    shares[: min(2, len(values))] = np.maximum(values[::-1][:2], 0) / max(float(values.sum()), 1e-12)
    return (centred @ axes.astype(points.dtype)).astype(np.float32), shares


def _tsne(points: np.ndarray, start: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    import openTSNE

    perplexity = min(30.0, (len(points) - 1) / 3)
    drawn = openTSNE.TSNE(perplexity=perplexity, initialization=start, random_state=seed, n_jobs=1).fit(points)
    return np.asarray(drawn, np.float32), f"t-SNE, perplexity {perplexity:.0f}"


def _umap(points: np.ndarray, start: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    import umap

    neighbors = min(15, len(points) - 1)
    # UMAP starts from a square of side 10, and runs on one thread where it is seeded.
    init = (start * 1e4).astype(np.float32)
    drawn = umap.UMAP(n_neighbors=neighbors, init=init, random_state=seed, n_jobs=1).fit_transform(points)
    return np.asarray(drawn, np.float32), f"UMAP, {neighbors} neighbours"
