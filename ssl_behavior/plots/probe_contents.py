"""Contents of `results.json`, which plots of a probe draw."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_behavior.arguments import several
from ssl_behavior.errors import InputError
from ssl_behavior.files import read_json
from ssl_behavior.terminal import quoted

__all__ = ["chosen_classes", "results_of", "row_of", "stored"]

_FORMAT = "ssl-behavior results"


def results_of(results: Any) -> Mapping[str, Any]:
    """Contents of `results.json` of a `ProbeResults`, of a probe's folder or file, or given as such.

    Raises
    ------
    InputError
        If they are no results of a probe.
    """
    found = getattr(results, "results", results)
    if isinstance(found, str | Path):
        path = Path(found)
        found = read_json(path / "results.json" if path.is_dir() else path, "a results folder of `probe`")
    if not isinstance(found, Mapping) or found.get("format") != _FORMAT or not found.get("rows"):
        what = f"{results}" if isinstance(results, str | Path) else type(results).__name__
        raise InputError(
            f"`results` must be what `probe` returns, its folder, or the contents of results.json; got {what}"
        )
    return found


def row_of(
    results: Mapping[str, Any], representation: str | None, percent: float, smoothed: bool = False
) -> Mapping[str, Any]:
    """The row of a representation (None = the first) and share of the labels.

    Raises
    ------
    InputError
        If there is none.
    """
    rows = results["rows"]
    name = rows[0]["representation"] if representation is None else representation
    known = list(dict.fromkeys(row["representation"] for row in rows))
    if name not in known:
        raise InputError(f"`representation` {name!r}: the results have {quoted(known)}")
    own = [row for row in rows if row["representation"] == name]
    for row in own:
        if row["percent"] == percent and bool(row.get("smoothed")) == smoothed:
            return dict(row)
    shares = ", ".join(f"{row['percent']:g}{' smoothed' if row.get('smoothed') else ''}" for row in own)
    raise InputError(f"`percent={percent:g}`{', smoothed' if smoothed else ''}: {name!r} has the percents {shares}")


def stored(row: Mapping[str, Any], name: str, what: str) -> Any:
    """A part of a row that older versions did not store; None where this task has none.

    Raises
    ------
    InputError
        If the results are older.
    """
    if name not in row:
        raise InputError(
            f"these results were written before `probe` stored {what}: run `probe` again with the same arguments (it "
            "uses the embeddings in its folder again)"
        )
    return row[name]


def chosen_classes(classes: str | Sequence[str], known: Mapping[str, Any], what: str) -> list[str]:
    """The classes to draw, by default all that have a part of a row.

    Parameters
    ----------
    classes : argument of the plot.
    known : the part of each class.
    what : the parts, for the error.

    Raises
    ------
    InputError
        If a class has none.
    """
    names = list(several(classes, "classes")) or list(known)
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"`classes`: no {what} of {unknown[0]!r}; the results have {quoted(list(known))}")
    return names
