"""The figure of `ssl-behavior cluster --choose`: what speaks for each number of clusters."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ssl_behavior.clusters.choosing import NumberScores
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, check_free

__all__ = ["check_figure", "draw_choice"]

_FORMATS = (".png", ".svg", ".pdf")
_LINE, _MARK = "#1b4f72", "#b9770e"
_PANELS = {
    "stability": "stability: adjusted Rand index\nof two halves of the recordings",
    "silhouette": "silhouette: how far clusters\nare from each other",
    "explained": "explained variance",
    "bout_seconds": "median bout [s]",
}


def check_figure(path: Path) -> None:
    """Refuse a figure that cannot be drawn, before anything is measured.

    Raises
    ------
    InputError
        If the file's ending is not that of a picture, it is a folder or in a file, or matplotlib is not installed.
    """
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"--figure {path}: expected a file that ends in one of {list(_FORMATS)}")
    check_free(path, True, option="--figure")
    if path.is_dir():
        raise InputError(f"--figure {path} is a folder: name a file to draw")
    if find_spec("matplotlib") is None:
        raise InputError("--figure needs matplotlib: pip install 'ssl-behavior[plots]'")


def draw_choice(scores: Sequence[NumberScores], suggested: int | None, path: Path) -> None:
    """Draw every measure against the number of clusters.

    Raises
    ------
    InputError
        If the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    for axis, (name, title) in zip(figure.subplots(2, 2, sharex=True).flat, _PANELS.items(), strict=True):
        _draw(axis, scores, name, suggested)
        axis.set_title(title, fontsize=10)
    figure.supxlabel("number of clusters", fontsize=10)
    if suggested is not None:
        figure.suptitle(f"suggested: {suggested} clusters", fontsize=11)
    with atomic_file(path, "--figure") as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=130)


def _draw(axis: Any, scores: Sequence[NumberScores], name: str, suggested: int | None) -> None:
    known = [(one.clusters, getattr(one, name), one) for one in scores if getattr(one, name) is not None]
    numbers, values = [number for number, _, _ in known], [value for _, value, _ in known]
    spread = [one.stability_std for _, _, one in known] if name == "stability" else None
    axis.errorbar(numbers, values, yerr=spread, color=_LINE, marker="o", markersize=4, linewidth=1.4, capsize=3)
    if not known:
        axis.text(0.5, 0.5, "unknown: one recording", transform=axis.transAxes, ha="center", va="center")
    if suggested is not None:
        axis.axvline(suggested, color=_MARK, linewidth=1.2, linestyle="--")
    if name != "silhouette":
        axis.set_ylim(bottom=0)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
