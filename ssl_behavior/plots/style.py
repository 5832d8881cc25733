"""Style that all figures share: palette, fonts, axes, legends, and files.

matplotlib is imported inside functions, so that this module can be imported without it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file

__all__ = [
    "ANIMAL_COLORS",
    "BACKGROUND",
    "FIGURE_FORMATS",
    "MARKERS",
    "PALETTE",
    "STYLE",
    "axes_for",
    "check_figure",
    "check_matplotlib",
    "class_colors",
    "has_matplotlib",
    "legend_beside",
    "legend_inches",
    "legend_line",
    "line_style",
    "literal",
    "save_figure",
    "styled",
    "tidy",
    "values_map",
]

FIGURE_FORMATS = (".png", ".svg", ".pdf")

PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
    "#8700F0", "#5A2D00", "#001E87", "#5A4B5A", "#A5F078", "#9678FF", "#3C004B", "#A5A55A",
    "#5AF0A5", "#A54B3C", "#1E2D1E", "#5A4BC3", "#692D78", "#D2A5A5", "#A5C3E1", "#875A87",
)  # fmt: skip
"""Colors of classes. The first eight are those of Okabe and Ito, which color-blind people distinguish. Each of the
other sixteen is the color farthest in CIELAB from all before it, from white and from the gray of the background: the
least distance of normal vision, protanopia, deuteranopia and tritanopia (Machado et al. 2009,
doi:10.1109/TVCG.2009.113) counts. Any two are at least 15 apart in all four."""

ANIMAL_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#332288", "#7f6000")
"""Colors of the animals in reports and movies; more animals share them."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
"""Markers of lines, so that no line is known by its color alone."""

_LINES = tuple(color for color in PALETTE if color != "#F0E442")

BACKGROUND = "#DDDDDD"
"""Color of the background behavior, and of frames of no cluster."""

STYLE: dict[Any, Any] = {
    "font.size": 10.0, "axes.titlesize": 11.0, "axes.labelsize": 10.0, "xtick.labelsize": 9.0, "ytick.labelsize": 9.0,
    "legend.fontsize": 9.0, "legend.frameon": False, "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "grid.color": "#E5E5E5", "grid.linewidth": 0.6, "figure.facecolor": "white",
    "axes.facecolor": "white", "lines.linewidth": 1.6, "lines.markersize": 5.0,
}  # fmt: skip
"""matplotlib settings while a figure is drawn."""

_INSTALL = "matplotlib: pip install 'ssl-behavior[plots]'"
_LEGEND_ROWS, _ENTRY_INCHES = 14, 0.205

Given = ParamSpec("Given")
Drawn = TypeVar("Drawn")


def has_matplotlib() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def check_matplotlib(needing: str = "plots need") -> None:
    """Check that matplotlib is installed.

    Raises
    ------
    InputError
        If it is not: "plots need matplotlib", and how to install it.
    """
    if not has_matplotlib():
        raise InputError(f"{needing} {_INSTALL}")


def check_figure(path: Path, argument: str = "figure") -> None:
    """Check that a figure can be drawn into a file, before any work for it.

    Parameters
    ----------
    argument : name of the caller's argument, for the error.

    Raises
    ------
    InputError
        If the file has no ending of a picture or is a folder, or matplotlib is not installed.
    """
    if path.suffix.lower() not in FIGURE_FORMATS:
        raise InputError(f"`{argument}` {path}: expected a file that ends in one of {list(FIGURE_FORMATS)}")
    if path.is_dir():
        raise InputError(f"`{argument}` {path} is a folder: name a file to draw")
    check_matplotlib(f"`{argument}` needs")


def save_figure(figure: Any, path: Path, dpi: int = 150) -> None:
    """Write a matplotlib figure, atomically; the file's ending sets the format.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with atomic_file(path, "figure") as partial:
        figure.savefig(partial, format=path.suffix[1:].lower(), dpi=dpi)


def styled(draw: Callable[Given, Drawn]) -> Callable[Given, Drawn]:
    """Decorator of drawing functions: they check for matplotlib, and draw in `STYLE` without changing settings."""

    @wraps(draw)
    def drawn(*args: Given.args, **kwargs: Given.kwargs) -> Drawn:
        check_matplotlib()
        from matplotlib import rcParams

        # Not `rc_context`: it would also take back what a notebook's backend sets when the first figure loads it.
        before = {name: rcParams[name] for name in STYLE}
        rcParams.update(STYLE)
        try:
            return draw(*args, **kwargs)
        finally:
            rcParams.update(before)

    return drawn


def axes_for(ax: Any, width: float, height: float) -> Any:
    """The axes to draw on: the given ones, or those of a new pyplot figure, which notebooks show.

    Parameters
    ----------
    ax : matplotlib Axes, or None.
    width, height : size of a new figure in inches.

    Raises
    ------
    InputError
        If `ax` is something else.
    """
    from matplotlib.axes import Axes

    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=(width, height), layout="constrained")
    elif not isinstance(ax, Axes):
        raise InputError(f"`ax` must be the axes of a matplotlib figure, got {type(ax).__name__}")
    return ax


def tidy(ax: Any, grid: str = "") -> None:
    """Leave out the frame's top and right, and add a light grid.

    Parameters
    ----------
    grid : "x", "y", "both", or "" for none.
    """
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.set_axisbelow(True)
        ax.grid(axis=grid, color=STYLE["grid.color"], linewidth=STYLE["grid.linewidth"])


def class_colors(
    names: Iterable[str], background: Iterable[str] = (), colors: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Color of every class; gray for the background. More classes than `PALETTE` has colors share them.

    >>> class_colors(["other", "attack", "mount"], ["other"])
    {'other': '#DDDDDD', 'attack': '#0072B2', 'mount': '#D55E00'}

    Parameters
    ----------
    colors : colors of some classes, any that matplotlib knows, in place of those of the palette.
    """
    names, gray = list(dict.fromkeys(names)), set(background)
    places = {name: place for place, name in enumerate(name for name in names if name not in gray)}
    found = {name: BACKGROUND if name in gray else PALETTE[places[name] % len(PALETTE)] for name in names}
    return found | {name: color for name, color in (colors or {}).items() if name in found}


def line_style(place: int) -> tuple[str, str]:
    """Color and marker of the line with this number; without yellow, which is faint as a line on white."""
    return _LINES[place % len(_LINES)], MARKERS[place % len(MARKERS)]


def values_map() -> Any:
    """Color map of values: cividis, which looks the same to color-blind people; light gray where there is no value."""
    from matplotlib import colormaps

    return colormaps["cividis"].with_extremes(bad="#E8E8E8")


def legend_beside(ax: Any, handles: Sequence[Any], title: str = "") -> None:
    """Add a legend to the right of the axes, in as many columns as its entries need; none without entries."""
    if not handles:
        return
    inches = ax.get_window_extent().height / ax.figure.dpi
    rows = min(max(int(inches / _ENTRY_INCHES), 5), _LEGEND_ROWS)
    columns = -(-len(handles) // rows)
    ax.legend(
        handles=list(handles), title=title or None, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0,
        ncols=columns, fontsize=STYLE["legend.fontsize"], frameon=False, alignment="left",
    )  # fmt: skip


def legend_inches(entries: int) -> float:
    """Height of a legend beside the axes, in inches."""
    return 0.3 + _ENTRY_INCHES * min(entries, _LEGEND_ROWS)


def legend_line(label: str, **style: Any) -> Any:
    """Entry of a legend: a line, its marker, or both."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=literal(label), **style)


def literal(text: str) -> str:
    """Text with escaped dollars, which matplotlib would read as a formula."""
    return text.replace("$", r"\$")
