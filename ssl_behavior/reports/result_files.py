"""Readers of the results that a report shows.

`results.json` of a probe or a benchmark gives tables, `profiles.json` of `ssl-behavior describe` the cluster use of
groups of animals.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.files import read_contents, read_json
from ssl_behavior.reports.contents import AnimalProfiles, ProfileTest, Scores

__all__ = ["read_profiles", "read_scores"]


_PROFILES, _VERSION = "profiles.json", 1
_UNDEFINED = "undefined"


def read_scores(folder: Path) -> tuple[Scores, ...]:
    """The tables of a results folder: one for a probe, one for each problem of a benchmark.

    Raises
    ------
    InputError
        If it has no results, or they are damaged.
    """
    contents = read_json(folder / "results.json", "a results folder")
    kind = contents.get("format") if isinstance(contents, dict) else None
    try:
        if kind == "ssl-behavior results":
            return (_table(_probe_title(contents), contents["rows"], _probe_notes(contents)),)
        if kind == "ssl-behavior benchmark":
            return tuple(_table(str(one["title"]), one["rows"], ()) for one in contents["tables"] if one["rows"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{folder}/results.json is damaged: {error!r}") from None
    raise InputError(f"{folder}/results.json has results of neither a probe nor a benchmark")


def _probe_title(contents: Mapping[str, Any]) -> str:
    task = contents["task"]
    return f"{task['name']}, {contents['mode']} probe"


def _probe_notes(contents: Mapping[str, Any]) -> tuple[str, ...]:
    split, seeds = contents["split"], len(contents["seeds"])
    return (
        f"Learned from {len(split['train'])} recordings, scored on {len(split['evaluated'])} others; mean and "
        f"population standard deviation over {seeds} seed{'s' * (seeds != 1)}, intervals by bootstrap over recordings.",
    )


def _table(title: str, rows: Sequence[Mapping[str, Any]], notes: tuple[str, ...]) -> Scores:
    """Table of average precision: the first macro mean, which the chart shows, and every class."""
    first = rows[0]
    macros = [str(macro["name"]) for macro in first["macros"]]
    classes = list(first["classes"])
    means = ["mean" if name == "all" else name.replace("+", " + ") for name in macros]
    header = (
        "",
        *(f"{name} AP" for name in means),
        *(f"{name} F1" for name in means),
        *(f"AP {one}" for one in classes),
    )
    cells = [
        (
            _name(row),
            *(_score_cell(macro["ap"], macro.get("ap_interval")) for macro in row["macros"]),
            *(_score_cell(macro["f1"], macro.get("f1_interval")) for macro in row["macros"]),
            *(_score_cell(row["classes"][one]["ap"]) for one in classes),
        )
        for row in rows
    ]
    bars = [(_name(row), row["macros"][0]) for row in rows if row["macros"][0]["ap"]["mean"] is not None]
    return Scores(
        title=title, header=header, cells=tuple(cells), score=f"average precision, {means[0]} over classes"
        if means[0] == "mean" else f"average precision, {means[0]}",
        bars=tuple(_bar(name, macro) for name, macro in bars), notes=notes,
    )  # fmt: skip


def _name(row: Mapping[str, Any]) -> str:
    words = [str(row["representation"])]
    words += [word for word in ("smoothed", "tuned") if row.get(word)]
    words += [f"{row['percent']:g} % of the labels"] if row.get("percent", 100) != 100 else []
    return ", ".join(words)


def _bar(name: str, macro: Mapping[str, Any]) -> tuple[str, float, float, float | None, float | None]:
    between = macro.get("ap_interval") or {}
    return name, float(macro["ap"]["mean"]), float(macro["ap"]["std"] or 0.0), between.get("low"), between.get("high")


def _score_cell(summary: Mapping[str, Any], between: Mapping[str, Any] | None = None) -> str:
    """Mean, with the standard deviation over several seeds and the interval if given."""
    if summary["mean"] is None:
        return _UNDEFINED
    spread = f" ± {summary['std']:.3f}" if summary.get("num_defined", 1) > 1 else ""
    interval = f" [{between['low']:.3f}, {between['high']:.3f}]" if between else ""
    return f"{summary['mean']:.3f}{spread}{interval}"


def read_profiles(folder: Path) -> tuple[AnimalProfiles, ...]:
    """Profiles of a description folder; empty without compared groups.

    Raises
    ------
    InputError
        If `profiles.json` is damaged or has missing or wrong fields.
    """
    if not (folder / _PROFILES).exists():
        return ()
    again = ", or describe the clusters again"
    contents = read_contents(folder, _PROFILES, "profiles", _VERSION, again, "a description of clusters")
    try:
        return (_profile(contents),)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{folder}/{_PROFILES} is not as expected ({error!r}); describe the clusters again") from None


def _profile(contents: Mapping[str, Any]) -> AnimalProfiles:
    animals = contents["animals"]
    tests = [
        ProfileTest(
            cluster=int(one["cluster"]), effect=float(one["hedges_g"]), p=float(one["p"]), q=float(one["q"]),
            between=(str(one["first"]), str(one["second"])),
        )
        for one in contents["comparisons"]
        if one["measure"] == "share" and None not in (one["hedges_g"], one["p"], one["q"])
    ]  # fmt: skip
    return AnimalProfiles(
        name=str(contents["factor"]),
        animals=tuple(str(one["animal"]) for one in animals),
        groups=tuple(str(one["group"]) for one in animals),
        shares=np.array([one["share"] for one in animals], np.float64),
        tests=tuple(tests),
        level=float(contents["level"]),
        effect="Hedges' g",
        notes=tuple(map(str, contents["notes"])),
    )
