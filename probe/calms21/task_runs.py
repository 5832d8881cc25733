"""Runs of the benchmark: the systems of a task over seeds, and their learning curves.

Predictions are cached, so that an interruption costs one seed of one system at most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from probe.calms21.learning_curves import Curve, draw_curves, label_curve
from probe.calms21.paper_tables import PUBLISHED, PublishedScores
from probe.calms21.prediction_cache import cached_predictions
from probe.calms21.system_registry import BenchmarkContext, SystemSpec, TaskPart
from probe.calms21.systems import Problem, mean_of
from probe.experiment import Experiment, Predictions, split_parts
from probe.scores import ResultRow, score_parts, score_row
from probe.tasks import make_task, parse_macro, task_parts
from ssl_behavior.errors import InputError
from ssl_behavior.files import make_folder, write_json
from ssl_behavior.store import Store

__all__ = ["BenchmarkTask", "SystemRow", "make_benchmark_task", "run_curves", "run_system_rows"]


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
        make_folder(figure.parent)
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
