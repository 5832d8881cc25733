"""Maps of embeddings: a point per frame, with the color of its class or value."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssl_behavior.arguments import whole_number
from ssl_behavior.errors import InputError
from ssl_behavior.map_coordinates import check_map, map_coordinates
from ssl_behavior.plots.style import (
    PALETTE,
    axes_for,
    class_colors,
    legend_beside,
    legend_line,
    literal,
    styled,
    values_map,
)
from ssl_behavior.seeds import numpy_generator

__all__ = ["embedding_map"]

_AXES = {"pca": "PC", "tsne": "t-SNE", "umap": "UMAP"}
_NONE = "none"


@styled
def embedding_map(
    points: Any,
    labels: Any = None,
    values: Any = None,
    *,
    names: Sequence[str] | None = None,
    background: str = "",
    colors: Mapping[str, Any] | None = None,
    map: str = "pca",
    most: int = 5000,
    seed: int = 0,
    legend: str = "",
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw a map of frames in two dimensions, each frame a point with the color of its class or value.

    Columns are standardized first. The axes of t-SNE and UMAP have no scale, so no map has ticks.

    Parameters
    ----------
    points : float [row, dim].
    labels : whole numbers [row] (-1 = none, gray) or names [row]; None = without classes.
    values : float [row], shown on a color scale (NaN = gray), in place of `labels`.
    names : classes of `labels` that are whole numbers; None = the numbers themselves.
    background : class drawn in gray.
    colors : class -> color; None = `ssl_behavior.plots.style.PALETTE`.
    map : "pca", "tsne", "umap", or "given" for points [row, 2] that are a map already.
    most : number of points; of more rows, a random sample is mapped.
    seed : seed of the sample and of the map.
    legend : title of the legend, or label of the color scale.
    ax : axes to draw on; None = a new figure.

    Returns
    -------
    The axes; points are in random order, so that no class covers the others.

    Raises
    ------
    InputError
        If shapes do not fit, numbers are not finite, or `map` is unknown or needs a package.
    """
    if labels is not None and values is not None:
        raise InputError("give `labels` or `values`, not both")
    array = points if isinstance(points, np.ndarray) else np.asarray(points)
    _check(array, map)
    rows = numpy_generator(seed, "points of a map").permutation(len(array))[: whole_number(most, "most", 1)]
    given = labels if labels is not None else values
    own = None if given is None else _of_rows(np.asarray(given), array, "values" if labels is None else "labels")[rows]
    classes, known = _classes(own, names) if own is not None and labels is not None else ([], [])
    xy, (first, second), about = _mapped(array, rows, map, seed)
    ax = axes_for(ax, 6.6, 5.0)
    style = {"s": 8 if len(rows) > 1000 else 16, "linewidths": 0, "alpha": 0.75, "rasterized": True}
    if own is None:
        ax.scatter(*xy.T, c=PALETTE[0], **style)
    elif labels is None:
        shown = np.ma.masked_invalid(own.astype(np.float64))
        drawn = ax.scatter(*xy.T, c=shown, cmap=values_map(), plotnonfinite=True, **style)
        ax.figure.colorbar(drawn, ax=ax, label=literal(legend)).solids.set_alpha(1.0)
    else:
        shades = class_colors([*known, _NONE], [background, _NONE], colors)
        ax.scatter(*xy.T, c=[shades[name] for name in classes], **style)
        _legend(ax, classes, shades, background, legend)
    ax.set(xticks=[], yticks=[], xlabel=first, ylabel=second)
    ax.set_title(literal(title) or about, loc="left")
    ax.set_aspect("equal", adjustable="datalim")
    return ax


def _check(points: np.ndarray, kind: str) -> None:
    if points.ndim != 2 or not len(points) or points.dtype.kind not in "fiu":
        raise InputError(f"`points` must be numbers [row, dim], got {points.dtype} {list(points.shape)}")
    if kind != "given":
        check_map(kind)
    elif points.shape[1] != 2:
        raise InputError(f"`map=given` needs points [row, 2], got {list(points.shape)}")


def _mapped(points: np.ndarray, rows: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, tuple[str, str], str]:
    """Coordinates of rows, words of the two axes, and what the map is."""
    order = np.argsort(rows)
    # Memory-mapped arrays are read in ascending order.
    chosen = np.empty((len(rows), points.shape[1]), np.float32)
    chosen[order] = points[rows[order]]
    if not np.isfinite(chosen).all():
        raise InputError("`points` must be finite numbers")
    if kind == "given":
        return chosen, ("", ""), ""
    spread = chosen.std(axis=0, dtype=np.float64)
    scaled = ((chosen - chosen.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).astype(np.float32)
    mapped = map_coordinates(scaled, kind, seed)
    shares = [f" ({share:.0%} of the variance)" for share in mapped.shares] or ["", ""]
    axes = tuple(f"{_AXES[kind]} {number + 1}{share}" for number, share in enumerate(shares))
    return mapped.xy, (axes[0], axes[1]), "" if kind == "pca" else mapped.about


def _of_rows(values: np.ndarray, points: np.ndarray, argument: str) -> np.ndarray:
    if values.shape != points.shape[:1]:
        raise InputError(f"`{argument}` must be one for each of the {len(points):,} points, got {list(values.shape)}")
    return values


def _classes(labels: np.ndarray, names: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """The class of each point, and all classes in order."""
    if labels.dtype.kind not in "iu":
        classes = [str(label) for label in labels.tolist()]
        return classes, sorted(set(classes))
    most = int(labels.max(initial=-1)) + 1
    if names is not None and most > len(names):
        raise InputError(f"`names` has {len(names)} classes, but there is a label {most - 1}")
    known = [str(number) for number in range(most)] if names is None else [str(name) for name in names]
    return [known[label] if label >= 0 else _NONE for label in labels.tolist()], known


def _legend(ax: Any, classes: Sequence[str], shades: Mapping[str, Any], background: str, title: str) -> None:
    """One entry for each class that is drawn, gray ones last."""
    seen = set(classes)
    names = sorted((name for name in shades if name in seen), key=lambda name: name in (background, _NONE))
    style = {"linestyle": "", "marker": "o", "markersize": 6.0}
    legend_beside(ax, [legend_line(name, color=shades[name], **style) for name in names], title)
