"""Two-dimensional maps of points: PCA, t-SNE and UMAP."""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.numerics import oriented, principal_components
from ssl_behavior.seeds import derive_seed

__all__ = ["MAPS", "MapCoordinates", "check_map", "map_coordinates"]


MAPS = {"pca": "", "tsne": "openTSNE", "umap": "umap"}
"""Map -> the package that computes it."""

_FEWEST_POINTS = 10


def check_map(kind: str) -> None:
    """Check that a map can be drawn, before it is computed.

    Raises
    ------
    InputError
        If there is no such map, or its package is not installed.
    """
    if kind not in MAPS:
        raise InputError(f"unknown `map` {kind!r}; known: {list(MAPS)}")
    if MAPS[kind] and find_spec(MAPS[kind]) is None:
        raise InputError(
            f"`map={kind}` needs {MAPS[kind]}: pip install 'ssl-behavior[maps]'; `map=pca` needs no package"
        )


@dataclass(frozen=True, eq=False)
class MapCoordinates:
    """Points of a map.

    Parameters
    ----------
    xy : float32 [point, 2].
    about : description of the map.
    shares : shares of the variance along the two axes of a PCA; empty for other maps.
    """

    xy: np.ndarray
    about: str
    shares: tuple[float, ...] = ()


def map_coordinates(points: np.ndarray, kind: str = "pca", seed: int = 0) -> MapCoordinates:
    """Compute a map. t-SNE and UMAP start from the principal components.

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
        about = f"PCA: {shares[0]:.0%} and {shares[1]:.0%} of the variance"
        return MapCoordinates(components, about, tuple(shares.tolist()))
    if len(points) < _FEWEST_POINTS:
        raise InputError(f"`map={kind}` needs at least {_FEWEST_POINTS} frames, got {len(points)}: use `map=pca`")
    # The recommended initial spread of t-SNE is 1e-4 (Kobak & Berens 2019, doi:10.1038/s41467-019-13056-x).
    start = (components / max(float(components[:, 0].std()), 1e-12) * 1e-4).astype(np.float64)
    number = derive_seed(seed, "map", kind) % 2**31
    return (_tsne if kind == "tsne" else _umap)(points, start, number)


def _principal(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the first two principal components, their shares of the variance); of one column, the second is 0."""
    mean = points.mean(axis=0, dtype=np.float64)
    centered = points - mean.astype(points.dtype)
    covariance = (centered.T @ centered).astype(np.float64) / max(1, len(points))
    found, variances = principal_components(torch.from_numpy(covariance), 2)
    axes, shares = np.zeros((points.shape[1], 2)), np.zeros(2)
    axes[:, : len(variances)] = oriented(found).numpy()
    shares[: len(variances)] = variances.numpy() / max(float(covariance.trace()), 1e-12)
    return (centered @ axes.astype(points.dtype)).astype(np.float32), shares


def _tsne(points: np.ndarray, start: np.ndarray, seed: int) -> MapCoordinates:
    import openTSNE

    perplexity = min(30.0, (len(points) - 1) / 3)
    drawn = openTSNE.TSNE(perplexity=perplexity, initialization=start, random_state=seed, n_jobs=1).fit(points)
    return MapCoordinates(np.asarray(drawn, np.float32), f"t-SNE, perplexity {perplexity:.0f}")


def _umap(points: np.ndarray, start: np.ndarray, seed: int) -> MapCoordinates:
    import umap

    neighbors = min(15, len(points) - 1)
    # UMAP starts from a square of side 10, and seeded runs use one thread.
    init = (start * 1e4).astype(np.float32)
    drawn = umap.UMAP(n_neighbors=neighbors, init=init, random_state=seed, n_jobs=1).fit_transform(points)
    return MapCoordinates(np.asarray(drawn, np.float32), f"UMAP, {neighbors} neighbors")
