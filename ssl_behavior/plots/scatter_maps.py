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
    array = _checked(points if isinstance(points, np.ndarray) else np.asarray(points), map)
    rows = numpy_generator(seed, "points of a map").permutation(len(array))[: whole_number(most, "most", 1)]
    own = _labels_or_values(labels, values, array, rows)
    classes, known = _classes(own, names) if own is not None and labels is not None else ([], [])
    xy, (first, second), about = _mapped(array, rows, map, seed)
    ax = axes_for(ax, 6.6, 5.0)
    if own is None:
        _scatter(ax, xy, c=PALETTE[0])
    elif labels is None:
        _scatter_values(ax, xy, own, legend)
    else:
        _scatter_classes(
            ax, xy, classes, class_colors([*known, _NONE], [background, _NONE], colors), background, legend
        )
    ax.set(xticks=[], yticks=[], xlabel=first, ylabel=second)
    ax.set_title(literal(title) or about, loc="left")
    ax.set_aspect("equal", adjustable="datalim")
    return ax


def _scatter(ax: Any, xy: np.ndarray, **colors: Any) -> Any:
    """Draw the points [row, 2], smaller ones where there are many."""
    size = 8 if len(xy) > 1000 else 16
    return ax.scatter(*xy.T, s=size, linewidths=0, alpha=0.75, rasterized=True, **colors)


def _scatter_values(ax: Any, xy: np.ndarray, values: np.ndarray, legend: str) -> None:
    """Draw the points [row, 2] with colors of their values [row], and the scale beside them."""
    shown = np.ma.masked_invalid(values.astype(np.float64))
    drawn = _scatter(ax, xy, c=shown, cmap=values_map(), plotnonfinite=True)
    ax.figure.colorbar(drawn, ax=ax, label=literal(legend)).solids.set_alpha(1.0)


def _scatter_classes(
    ax: Any, xy: np.ndarray, classes: Sequence[str], shades: Mapping[str, Any], background: str, legend: str
) -> None:
    """Draw the points [row, 2] with colors of their classes [row], and the legend."""
    _scatter(ax, xy, c=[shades[name] for name in classes])
    _legend(ax, classes, shades, background, legend)


def _checked(points: np.ndarray, kind: str) -> np.ndarray:
    if points.ndim != 2 or not len(points) or points.dtype.kind not in "fiu":
        raise InputError(f"`points` must be numbers [row, dim], got {points.dtype} {list(points.shape)}")
    if kind != "given":
        check_map(kind)
    elif points.shape[1] != 2:
        raise InputError(f"`map=given` needs points [row, 2], got {list(points.shape)}")
    return points


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


def _labels_or_values(labels: Any, values: Any, points: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """Those of the rows, from the one that is given; None = neither."""
    if labels is not None and values is not None:
        raise InputError("give `labels` or `values`, not both")
    if labels is not None:
        return _of_rows(np.asarray(labels), points, "labels")[rows]
    return None if values is None else _of_rows(np.asarray(values), points, "values")[rows]


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
