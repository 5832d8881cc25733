"""Probes from Python in one call."""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from probe.command import REFERENCE_NAMES, ProbeConfig
from probe.run import run_probe
from ssl_behavior.arguments import check_number, one_or_more, opened, several, whole_number
from ssl_behavior.embedding import Encoder
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import in_temporary_folder
from ssl_behavior.hub import downloaded
from ssl_behavior.plots import annotator_matrix, bout_scores, calibration, confusion, few_label_curve
from ssl_behavior.plots.probe_contents import stored
from ssl_behavior.reprs import Described, data_frame
from ssl_behavior.store import Store, open_store
from ssl_behavior.terminal import Progress, listed, make_console, progress_if, quoted

__all__ = ["ProbeResults", "probe", "run_folder"]

_NAMED = ("runs", "store", "task", "out", "split", "seeds", "references")
"""Fields of the configuration that are arguments of their own."""
_SCORES = ("ap", "f1", "f1_balanced", "precision", "recall")
_SHARED = ("representation", "percent", "smoothed")
_BOUTS = "scores of bouts"
_HEADLINES = {"ap": "macro AP", "f1": "macro F1", "f1_balanced": "macro F1 balanced"}


PLOTS: dict[str, Callable[..., Any]] = {
    "few_label_curve": few_label_curve,
    "confusion": confusion,
    "calibration": calibration,
    "bouts": bout_scores,
    "annotator_matrix": annotator_matrix,
}
"""Plots of a probe's results."""


class ProbeResults(Described):
    """Scores of a probe on held-out recordings.

    Attributes
    ----------
    results : contents of `results.json`.
    folder : results folder, with the fitted heads; a temporary one lasts as long as this object.
    """

    def __init__(self, results: Mapping[str, Any], folder: Path) -> None:
        self.results, self.folder = dict(results), folder

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per representation, label share and class; scores are means over seeds.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        records = [
            {name: row[name] for name in _SHARED}
            | {"class": behavior}
            | {title: _number(scores[score][part]) for score in _SCORES for title, part in _columns_of(score)}
            | {"support": scores["support"]}
            for row in self.results["rows"]
            for behavior, scores in row["classes"].items()
        ]
        return data_frame({name: [record[name] for record in records] for name in records[0]})

    def bouts_to_frame(self, *, by_recording: bool = False) -> Any:
        """A pandas DataFrame of bout scores, with a row per representation, label share and class.

        The columns are Brier score and the scores of `ssl_behavior.bout_metrics.BOUT_SCORES`, means over seeds, with
        standard deviation ("_std") and ends of the 95 % bootstrap interval over recordings ("_low", "_high"). NaN =
        undefined. The background has no bouts.

        Parameters
        ----------
        by_recording : a row for each scored recording in which the class is annotated, with the scores that results
            hold of each recording.

        Raises
        ------
        InputError
            If the results are of an older version, or pandas is not installed.
        """
        records: list[dict[str, Any]] = []
        for row in self.results["rows"]:
            shared = {name: row[name] for name in _SHARED}
            recordings, bouts = stored(row, "recordings", _BOUTS), stored(row, "bouts", _BOUTS)
            for name, scores in bouts.items():
                if by_recording:
                    records += [shared | {"class": name} | one for one in _recordings(recordings[name])]
                else:
                    of_class = {"brier": row["brier"][name]} | scores
                    records.append(shared | {"class": name} | _with_intervals(of_class))
        return data_frame({name: [record[name] for record in records] for name in records[0]} if records else {})

    def plot(self, kind: str | None = None, **options: Any) -> Any:
        """Draw the results, see the function of the same name in `ssl_behavior.plots` ("bouts": `bout_scores`).

        Parameters
        ----------
        kind : "few_label_curve", "confusion", "calibration", "bouts" or "annotator_matrix"; None = the first that the
            results hold: scores for several shares of the labels, agreement of annotators, a confusion matrix,
            calibration.
        options : further arguments of that function, such as `representation` and `ax`.

        Raises
        ------
        InputError
            If the results do not hold what `kind` draws, or matplotlib is not installed.
        """
        if kind is not None and kind not in PLOTS:
            raise InputError(f"`kind` must be one of {quoted(list(PLOTS))}, got {kind!r}")
        return PLOTS[kind or self._first_kind()](self, **options)

    def _first_kind(self) -> str:
        rows = self.results["rows"]
        if len({row["percent"] for row in rows}) > 1:
            return "few_label_curve"
        if self.results.get("annotators"):
            return "annotator_matrix"
        return "confusion" if self.results["task"]["kind"] == "multinomial" else "calibration"

    def _headline(self) -> str:
        task, seeds = self.results["task"], self.results["seeds"]
        return f"Probe of {task['name']!r} ({listed(task['classes'])}), seeds: {seeds}"

    def _facts(self) -> list[tuple[str, str]]:
        facts = []
        for row in self.results["rows"]:
            scores = [f"{title} {_shown(row['macros'][0][name])}" for name, title in _HEADLINES.items()]
            facts.append((f"{row['representation']}, {row['percent']:g} %", ", ".join(scores)))
        return facts


def _columns_of(score: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Columns of a score, and the part of its summary that each shows."""
    return (score, "mean"), (f"{score}_std", "std")


def _with_intervals(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Columns of scores, with standard deviations and intervals."""
    columns: dict[str, float] = {}
    for name, score in scores.items():
        between = score["interval"] or {"low": None, "high": None}
        values = {"": score["mean"], "_std": score["std"], "_low": between["low"], "_high": between["high"]}
        columns |= {f"{name}{ending}": _number(value) for ending, value in values.items()}
    return columns


def _recordings(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """A record for each recording."""
    return [
        {name: value if name == "recording" else _number(value) for name, value in zip(columns, values, strict=True)}
        for values in zip(*columns.values(), strict=True)
    ]


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _shown(summary: Mapping[str, float | None]) -> str:
    mean, std = _number(summary["mean"]), _number(summary["std"])
    return "undefined" if math.isnan(mean) else f"{mean:.3f} ± {std:.3f}"


def probe(
    runs: Encoder | Embeddings | str | Path | Sequence[Encoder | Embeddings | str | Path],
    store: Store | str | Path,
    task: str,
    *,
    seeds: int = 5,
    references: str | Sequence[str] = "all",
    split: str | Path | Mapping[str, Sequence[str]] | None = None,
    out: str | Path | None = None,
    verbose: bool = True,
    **options: Any,
) -> ProbeResults:
    """Fit linear heads on frozen embeddings, and score them on held-out recordings, beside references.

    Parameters
    ----------
    runs : an encoder, embeddings, or the folder of a run or of either; several are pretraining seeds of one encoder. An
        encoder that gives some of its columns has no untrained reference.
    store : with the labels, or its folder.
    task : a label stream of the store, or calms21_task1, calms21_task2, calms21_task3.
    seeds : number of probe seeds.
    references : "all", "none", or names of baselines: raw, hand, pca, input_means, histograms, untrained.
    split : {"train": [recording ids or globs], "validation": [...], "test": [...]}, or a JSON file of it; None = the
        store's own subsets, or a seeded split by recording.
    out : folder for results and heads; None = a temporary one, which lasts as long as the results.
    verbose : print the tables.
    options : further fields of `ProbeConfig`: mode, fractions, smooth, macros, kind, background, train_stride, without,
        device, precision, embeddings, overwrite.

    Raises
    ------
    InputError
        If runs, store, task and split do not fit together, or an argument is unknown.
    """
    names = several(references, "references")
    if names in (("all",), ("none",)):
        names = REFERENCE_NAMES if names == ("all",) else ()
    recorded, asked = open_store(store), _asked(options)
    seeds = whole_number(seeds, "seeds", 1)

    def scores(folder: Path) -> ProbeResults:
        with tempfile.TemporaryDirectory(prefix="ssl-behavior-", ignore_cleanup_errors=True) as scratch:
            config = ProbeConfig(
                runs=tuple(_folders(runs, recorded, Path(scratch), verbose)),
                store=recorded.path,
                task=task,
                out=folder,
                split=split if isinstance(split, Mapping | None) else Path(opened(split, Path, "split", Path)),
                seeds=seeds,
                references=names,
                **asked,
            )
            console = make_console() if verbose else Console(quiet=True)
            return ProbeResults(run_probe(config, console, name_folder=out is not None), folder)

    return scores(Path(out)) if out is not None else in_temporary_folder(lambda folder: scores(folder / "results"))


def _asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Further fields of the configuration, checked."""
    known = [one.name for one in fields(ProbeConfig) if one.name not in _NAMED]
    if unknown := [name for name in options if name not in known]:
        raise InputError(f"`probe` has no argument {unknown[0]!r}; further options are {listed(known, len(known))}")
    asked = dict(options)
    asked |= {name: several(asked[name], name) for name in ("macros", "without") if name in asked}
    if "train_stride" in asked:
        asked["train_stride"] = whole_number(asked["train_stride"], "train_stride", 1)
    if asked.get("embeddings") is not None:
        asked["embeddings"] = opened(asked["embeddings"], Path, "embeddings", Path)
    if "fractions" in asked:
        shares = one_or_more(asked["fractions"], str)
        for share in shares:
            check_number(share, "fractions")
        asked["fractions"] = tuple(shares)
    return asked


def _folders(runs: Any, store: Store, scratch: Path, verbose: bool) -> Iterator[Path]:
    """Folders of encoders or embeddings; encoders in memory are written to `scratch`."""
    each = one_or_more(runs, Encoder, Embeddings, str, Path)
    if not each:
        raise InputError("`runs` is empty; expected an encoder, embeddings, a folder, or a list of them")
    for number, run in enumerate(each):
        with progress_if(verbose) as progress:
            yield run_folder(run, store, scratch / f"run-{number}", "runs", progress)


def run_folder(run: Any, store: Store, scratch: Path, argument: str, progress: Progress) -> Path:
    """Folder of a run or of embeddings; an encoder in memory is written to `scratch`, or its embeddings are.

    Raises
    ------
    InputError
        If `run` is neither.
    """
    if isinstance(run, Embeddings):
        return run.path
    if isinstance(run, Encoder) and run.chooses_columns:
        return run.embed_store(store, scratch, dtype="float32", progress=progress).path
    if isinstance(run, Encoder):
        return run.save_pretrained(scratch)
    if isinstance(run, str | Path):
        return Path(downloaded(run))
    raise InputError(f"`{argument}` must be an Encoder, Embeddings or a folder, got {type(run).__name__}")
