"""Probes from Python in one call."""

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from probe.command import REFERENCE_NAMES, ProbeConfig
from probe.run import run_probe
from ssl_behavior.embedding import Encoder
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.reprs import Described, data_frame
from ssl_behavior.store import Store
from ssl_behavior.terminal import listed, make_console

__all__ = ["ProbeResults", "probe"]

_SCORES = ("ap", "f1", "f1_balanced", "precision", "recall")
_HEADLINES = {"ap": "macro AP", "f1": "macro F1", "f1_balanced": "macro F1 balanced"}


class ProbeResults(Described):
    """Scores of a probe on held-out recordings.

    Attributes
    ----------
    results : contents of `results.json`.
    folder : results folder; None if it was temporary.
    """

    def __init__(self, results: Mapping[str, Any], folder: Path | None) -> None:
        self.results, self.folder = dict(results), folder

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per representation, label share and class; scores are means over seeds.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        columns: dict[str, list[Any]] = {name: [] for name in ("representation", "percent", "smoothed", "class")}
        columns |= {name: [] for score in _SCORES for name in (score, f"{score}_std")} | {"support": []}
        for row in self.results["rows"]:
            for name, scores in row["classes"].items():
                cells = [row["representation"], row["percent"], row["smoothed"], name]
                cells += [_number(scores[score][part]) for score in _SCORES for part in ("mean", "std")]
                for column, cell in zip(columns.values(), [*cells, scores["support"]], strict=True):
                    column.append(cell)
        return data_frame(columns)

    def _headline(self) -> str:
        task, seeds = self.results["task"], self.results["seeds"]
        return f"Probe of {task['name']!r} ({listed(task['classes'])}), seeds: {seeds}"

    def _facts(self) -> list[tuple[str, str]]:
        facts = []
        for row in self.results["rows"]:
            scores = [f"{title} {_shown(row['macros'][0][name])}" for name, title in _HEADLINES.items()]
            facts.append((f"{row['representation']}, {row['percent']:g} %", ", ".join(scores)))
        return facts


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
    runs : an encoder, embeddings, or the folder of a run or of either; several are pretraining seeds of one encoder.
    store : with the labels, or its folder.
    task : a label stream of the store, or calms21_task1, calms21_task2, calms21_task3.
    seeds : number of probe seeds.
    references : "all", "none", or names of baselines: raw, hand, pca, input_means, histograms, untrained.
    split : {"train": [recording ids or globs], "validation": [...], "test": [...]}, or a JSON file of it; None = the
        store's own subsets, or a seeded split by recording.
    out : folder for results and heads; None = a temporary one, of which the scores are kept.
    verbose : print the tables.
    options : further fields of `ProbeConfig`: mode, fractions, smooth, macros, kind, background, train_stride, without,
        device, precision, embeddings, overwrite.

    Raises
    ------
    InputError
        If runs, store, task and split do not fit together, or an argument is unknown.
    """
    names = [references] if isinstance(references, str) else list(references)
    if names in (["all"], ["none"]):
        names = list(REFERENCE_NAMES) if names == ["all"] else []
    several = [runs] if isinstance(runs, Encoder | Embeddings | str | Path) else list(runs)
    if not several:
        raise InputError("`runs` is empty; expected an encoder, embeddings, a folder, or a list of them")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ssl-behavior-")))
        if isinstance(split, Mapping):
            (scratch / "split.json").write_text(json.dumps({name: list(ids) for name, ids in split.items()}))
            split = scratch / "split.json"
        given: dict[str, Any] = {
            "runs": tuple(_folder(run, scratch / f"run-{number}") for number, run in enumerate(several)),
            "store": store.path if isinstance(store, Store) else Path(store),
            "task": task,
            "out": Path(out) if out is not None else scratch / "results",
            "split": None if split is None else Path(split),
            "seeds": seeds,
            "references": tuple(names),
        }
        known = [one.name for one in fields(ProbeConfig)]
        if unknown := [name for name in options if name not in known]:
            raise InputError(f"`probe` has no argument {unknown[0]!r}; it has {listed(known, len(known))}")
        config = ProbeConfig(**(given | options))
        results = run_probe(config, make_console() if verbose else Console(quiet=True))
    return ProbeResults(results, config.out if out is not None else None)


def _folder(run: Encoder | Embeddings | str | Path, scratch: Path) -> Path:
    """Folder of an encoder or of embeddings; encoders in memory are saved to `scratch`."""
    if isinstance(run, Embeddings):
        return run.path
    return run.save_pretrained(scratch) if isinstance(run, Encoder) else Path(run)
