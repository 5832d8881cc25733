"""Result tables of the benchmark: systems on a task beside the paper's scores, on the screen, in Markdown and JSON.

Predictions are cached, so that an interruption costs one seed of one system at most. Published scores are those of
Tables 1 to 4 of the CalMS21 paper (Sun et al. 2021, arXiv:2104.02710): macro F1 and macro AP without background, mean
over 5 seeds ± population standard deviation if published.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table as ScreenTable

from probe.calms21.prediction_cache import cached_predictions
from probe.calms21.system_registry import BenchmarkContext, SystemSpec, TaskPart
from probe.calms21.systems import Curve, Problem, draw_curves, label_curve, mean_of
from probe.experiment import Experiment, Predictions, split_parts
from probe.tables import ResultRow, markdown_text, number, row_name, score_parts, score_row
from probe.tasks import make_task, parse_macro, task_parts
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, write_json
from ssl_behavior.metrics import Summary
from ssl_behavior.store import Store
from ssl_behavior.terminal import make_table

__all__ = [
    "PUBLISHED",
    "SEEDS",
    "SIMULATED_NOTE",
    "TABLES",
    "BenchmarkTask",
    "PaperTable",
    "PublishedScores",
    "ResultTable",
    "SystemRow",
    "make_benchmark_task",
    "run_curves",
    "run_system_rows",
    "screen_table",
    "write_report",
]

SEEDS = 5
"""Number of seeds of the published means."""


@dataclass(frozen=True)
class PublishedScores:
    """Published mean and standard deviation of F1 and of AP; None = not published."""

    f1: float
    ap: float
    f1_std: float | None = None
    ap_std: float | None = None


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper: title, task, and sections of systems (`SystemSpec.section`)."""

    title: str
    task: str
    sections: tuple[str, ...]


TABLES: dict[int, PaperTable] = {
    1: PaperTable("Table 1: architectures on Task 1", "calms21_task1", ("architectures",)),
    2: PaperTable(
        "Table 2: classical classification (Task 1)", "calms21_task1", ("baseline", "features", "winner", "ours")
    ),
    3: PaperTable("Table 3: annotation styles (Task 2)", "calms21_task2", ("baseline", "features", "winner", "ours")),
    4: PaperTable("Table 4: new behaviors (Task 3)", "calms21_task3", ("baseline", "features", "winner", "ours")),
}

PUBLISHED: dict[tuple[int, str], PublishedScores] = {
    (1, "fully_connected"): PublishedScores(0.659, 0.726, 0.005, 0.005),
    (1, "lstm"): PublishedScores(0.675, 0.712, 0.011, 0.013),
    (1, "self_attention"): PublishedScores(0.610, 0.644, 0.028, 0.018),
    (1, "conv1d"): PublishedScores(0.793, 0.856, 0.011, 0.010),
    (1, "conv1d_causal"): PublishedScores(0.713, 0.753, 0.006, 0.005),
    (1, "single_frame"): PublishedScores(0.614, 0.663, 0.012, 0.005),
    (1, "conv1d_augmented"): PublishedScores(0.786, 0.861, 0.018, 0.005),
    (2, "conv1d"): PublishedScores(0.793, 0.856, 0.011, 0.010),
    (2, "conv1d_features"): PublishedScores(0.829, 0.889),
    (2, "joint_mabe2021"): PublishedScores(0.864, 0.914),
    (3, "task2_as_run"): PublishedScores(0.754, 0.813, 0.005, 0.003),
    (3, "task2_features"): PublishedScores(0.774, 0.835),
    (3, "joint_mabe2021"): PublishedScores(0.809, 0.857),
    (4, "task3_as_run"): PublishedScores(0.338, 0.317, 0.004, 0.005),
    (4, "task3_features"): PublishedScores(0.328, 0.320),
    (4, "msg3d"): PublishedScores(0.319, 0.352, 0.025, 0.023),
    (4, "msg3d_tuned"): PublishedScores(0.363, 0.352, 0.020, 0.023),
}
"""(table, system) -> published scores."""


@dataclass(frozen=True)
class BenchmarkTask:
    """A task of the benchmark.

    Parameters
    ----------
    name : name of the task.
    kind : "task1", "task2" or "task3", see `TaskPart`.
    parts : name -> part.
    """

    name: str
    kind: str
    parts: dict[str, TaskPart]


@dataclass(frozen=True)
class SystemRow:
    """A system's scores on a task, its published scores if there are any, and notes about ours."""

    spec: SystemSpec
    row: ResultRow
    published: PublishedScores | None
    notes: tuple[str, ...] = ()


def make_benchmark_task(
    store: Store, name: str, kind: str, macros: Sequence[str] = ("all",), split: Path | None = None
) -> BenchmarkTask:
    """A task with its parts and splits.

    Parameters
    ----------
    kind : "task3" makes every class binary.
    macros : see `probe.tasks.parse_macro`; only "all" for a task of several parts.
    split : split file; None = the store's subsets.

    Raises
    ------
    InputError
        If the store has no such labels, or a part of the task has no training or no scored recording.
    """
    task = make_task(store, name, "binary" if kind == "task3" else None)
    splits = split_parts(store, task, split)
    parts = {}
    for part_name, part in task_parts(task).items():
        chosen, own = tuple(parse_macro(part, text) for text in macros), splits[part_name]
        parts[part_name] = TaskPart(Problem(store, part, chosen[0]), own, chosen, kind)
    return BenchmarkTask(name, kind, parts)


def run_system_rows(
    context: BenchmarkContext,
    spec: SystemSpec,
    benchmark_task: BenchmarkTask,
    table: int,
    seeds: int,
    log: Callable[[str], None],
) -> list[SystemRow]:
    """The rows of one system: its scores over the seeds, and the ensemble of all seeds if `context.ensembles`.

    Raises
    ------
    InputError
        If the system cannot be made or trained.
    """
    rows: dict[str, ResultRow] = {}
    ensembles: dict[str, ResultRow] = {}
    notes: list[str] = []
    for name, part in benchmark_task.parts.items():
        seed_predictions = _seed_predictions(context, spec, part, name, seeds, log)
        rows[name] = _scored(part, spec.title, seed_predictions)
        notes += _notes(seed_predictions)
        if context.ensembles and seeds > 1:
            both = mean_of(seed_predictions, part.problem.task.kind)
            ensembles[name] = _scored(part, f"{spec.title}, mean of {seeds} seeds", [both])
    row_notes = tuple(f"{spec.title}, {benchmark_task.name}: {note}" for note in dict.fromkeys(notes))
    made = [SystemRow(spec, score_parts(rows), PUBLISHED.get((table, spec.name)), row_notes)]
    return made + ([SystemRow(spec, score_parts(ensembles), None)] if ensembles else [])


def _seed_predictions(
    context: BenchmarkContext, spec: SystemSpec, part: TaskPart, name: str, seeds: int, log: Callable[[str], None]
) -> list[Predictions]:
    system, seed_predictions, kept = spec.make(context, part), [], context.folder / "predictions"
    postprocessing = context.effort.limit_folds(spec.postprocessing)
    for seed in range(seeds):
        report = partial(_log_seed, log, f"{spec.title}: {name}, seed {seed}")
        seed_predictions.append(
            cached_predictions(kept, system, part.problem, part.split, seed, postprocessing, on_lookup=report)
        )
    return seed_predictions


def _log_seed(log: Callable[[str], None], what: str, found: bool) -> None:
    log(f"{what}, found" if found else what)


def _notes(seed_predictions: Sequence[Predictions]) -> list[str]:
    """Notes of the fitted systems about their predictions."""
    return [
        note
        for predictions in seed_predictions
        for model in predictions.facts.get("models", [])
        for note in model.get("notes", [])
    ]


def _scored(part: TaskPart, title: str, seed_predictions: Sequence[Predictions]) -> ResultRow:
    problem = part.problem
    experiment = Experiment(problem.store, problem.task, part.split, problem.selection)
    dim = max(
        int(model.get("num_parameters", 0)) for one in seed_predictions for model in one.facts.get("models", [{}])
    )
    return score_row(
        experiment,
        part.macros,
        title,
        dim,
        100.0,
        seed_predictions,
        postprocessed=bool(seed_predictions[0].postprocessed),
    )


def left_out_note(error: InputError, spec: SystemSpec) -> str:
    """The note about a system that raised an error."""
    return f"{spec.title}: left out, {error}"


@dataclass(frozen=True)
class ResultTable:
    """A table with its finished rows."""

    title: str
    rows: tuple[SystemRow, ...]


SIMULATED_NOTE = "The animals are simulated: these numbers say nothing about real animals."


def _published(value: float, std: float | None) -> str:
    return number(Summary(value, std, 1 if std is None else SEEDS))


def _columns(table: ResultTable) -> dict[str, list[str]]:
    """Heading -> cells: the headline with published scores if there are any, then the other means."""
    columns: dict[str, list[str]] = defaultdict(list)
    published = any(row.published for row in table.rows)
    for row in table.rows:
        columns["system"].append(row_name(row.row) + (" †" if row.row.undefined else ""))
        for place, macro in enumerate(row.row.macros):
            prefix = f"{macro.name} " if place else ""
            columns[f"{prefix}F1"].append(number(macro.f1))
            if published and not place:
                known = row.published
                columns["F1 published"].append(_published(known.f1, known.f1_std) if known else "")
            columns[f"{prefix}AP"].append(number(macro.ap))
            if published and not place:
                columns["AP published"].append(_published(known.ap, known.ap_std) if known else "")
            columns[f"{prefix}F1 balanced"].append(number(macro.f1_balanced))
        columns["parameters"].append(f"{row.row.dim:,}" if row.row.dim else "")
    return columns


def screen_table(table: ResultTable) -> ScreenTable:
    """The table for the screen."""
    columns = _columns(table)
    return make_table(list(columns), zip(*columns.values(), strict=True), table.title)


def write_report(
    out: Path, tables: Sequence[ResultTable], notes: Sequence[str], facts: Mapping[str, Any], simulated: bool
) -> None:
    """Write `results.md` and `results.json`, each atomically."""
    with atomic_file(out / "results.md") as file:
        file.write_text(_markdown(tables, notes, simulated), encoding="utf-8")
    contents = {
        "format": "ssl-behavior benchmark",
        "version": 1,
        **facts,
        "simulated": simulated,
        "notes": list(notes),
        "tables": [
            {
                "title": table.title,
                "rows": [
                    {
                        "system": row.spec.name,
                        "published": asdict(row.published) if row.published else None,
                        **row.row.to_dict(),
                    }
                    for row in table.rows
                ],
            }
            for table in tables
        ],
    }
    write_json(out / "results.json", json.loads(json.dumps(contents, default=str)))


def _markdown(tables: Sequence[ResultTable], notes: Sequence[str], simulated: bool) -> str:
    lines = ["# Benchmark", ""]
    if simulated:
        lines += [SIMULATED_NOTE, ""]
    lines += [f"- {note}" for note in notes] + [""]
    for table in tables:
        columns = _columns(table)
        lines += [f"## {table.title}", "", f"| {' | '.join(columns)} |", "|---" + "|---:" * (len(columns) - 1) + "|"]
        lines += [f"| {' | '.join(cells)} |" for cells in zip(*columns.values(), strict=True)] + [""]
    for table in tables:
        rows = [row.row for row in table.rows]
        lines += [markdown_text(rows, f"{table.title}, in full", level=2, names=("system", "parameters"))]
    return "\n".join(lines)


def run_curves(
    context: BenchmarkContext,
    benchmark_task: BenchmarkTask,
    specs: Sequence[SystemSpec],
    counts: Sequence[int],
    seeds: Callable[[SystemSpec], int],
    log: Callable[[str], None],
) -> list[Path]:
    """Label curves of a task's parts: one figure per part under `curves`, and the numbers as JSON.

    Parameters
    ----------
    counts : numbers of labeled recordings, at most all of them; none = 1, 2, 4, 8 ... and all.

    Returns
    -------
    The figures.

    Raises
    ------
    InputError
        If matplotlib is not installed.
    """
    figures = []
    for name, part in benchmark_task.parts.items():
        made = [_curve(context, spec, benchmark_task, part, counts, seeds(spec), log) for spec in specs]
        curves = [curve for curve in made if curve is not None]
        if not curves:
            continue
        title = benchmark_task.name if len(benchmark_task.parts) == 1 else f"{benchmark_task.name}, {name}"
        figure = context.folder / "curves" / f"{title.replace(', ', '-').replace(' ', '-')}.png"
        figure.parent.mkdir(parents=True, exist_ok=True)
        draw_curves(curves, figure, title)
        contents: dict[str, Any] = {"format": "ssl-behavior curves", "version": 1, "task": title}
        write_json(figure.with_suffix(".json"), contents | {"curves": [curve.to_dict() for curve in curves]})
        figures.append(figure)
    return figures


def _curve(
    context: BenchmarkContext,
    spec: SystemSpec,
    benchmark_task: BenchmarkTask,
    part: TaskPart,
    counts: Sequence[int],
    seeds: int,
    log: Callable[[str], None],
) -> Curve | None:
    """A system's curve; None if the system does not fit the task or raises an error, which is logged."""
    if benchmark_task.kind not in spec.kinds or (spec.needs_parent and context.parent is None):
        return None
    log(f"{spec.title}: {benchmark_task.name}, over labeled recordings")
    try:
        system, problem = spec.make(context, part), part.problem
        run = partial(cached_predictions, context.folder / "predictions")
        postprocessing, tried = (
            context.effort.limit_folds(spec.postprocessing),
            {min(count, len(part.split.train)) for count in counts},
        )
        curve = label_curve(
            system, problem, part.split, part.macros, range(seeds), postprocessing, sorted(tried) or None, run=run
        )
        return replace(curve, system=spec.title)
    except InputError as error:
        log(f"{spec.title}: no curve, {error}")
        return None
