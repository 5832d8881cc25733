"""Running the systems of a table, each prediction kept on disk, so that an interruption costs one of them at most."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from probe.benchmark.plan import Bench, Entry, TaskRole
from probe.benchmark.published import PUBLISHED, Published
from probe.predictions import remembered
from probe.scoring import ResultRow, score_parts, score_row
from probe.systems import Problem, mean_of
from probe.tasks import Macro, macro_of, make_task, task_parts
from probe.trial import Outcome, Trial, split_parts
from ssl_behavior.errors import InputError
from ssl_behavior.splits import Split
from ssl_behavior.store import Store

__all__ = ["Part", "TableRow", "TaskPlan", "plan_task", "run_entry"]


@dataclass(frozen=True)
class Part:
    """A part of a task, as it is learned and scored: the first of `macros` is the headline."""

    role: TaskRole
    split: Split
    macros: tuple[Macro, ...]


@dataclass(frozen=True)
class TaskPlan:
    """A task of the benchmark.

    Parameters
    ----------
    name : of the task.
    kind : "task1", "task2" or "task3", see `TaskRole`.
    parts : name -> part.
    """

    name: str
    kind: str
    parts: dict[str, Part]


@dataclass(frozen=True)
class TableRow:
    """A system's results on a task, the published ones if there are any, and what a reader has to know of ours."""

    entry: Entry
    row: ResultRow
    published: Published | None
    notes: tuple[str, ...] = ()


def plan_task(
    store: Store, name: str, kind: str, macros: Sequence[str] = ("all",), split: Path | None = None
) -> TaskPlan:
    """A task with its parts and splits.

    Parameters
    ----------
    kind : "task3" makes every class a binary one.
    macros : see `probe.tasks.macro_of`; only "all" for a task of several parts.
    split : file; None = the store's subsets.

    Raises
    ------
    InputError
        If the store has no such labels, or a part of the task has nothing to learn from or be scored on.
    """
    task = make_task(store, name, "binary" if kind == "task3" else None)
    splits = split_parts(store, task, split)
    parts = {}
    for part_name, part in task_parts(task).items():
        chosen, own = tuple(macro_of(part, text) for text in macros), splits[part_name]
        parts[part_name] = Part(TaskRole(Problem(store, part, chosen[0]), own.train, kind), own, chosen)
    return TaskPlan(name, kind, parts)


def run_entry(
    bench: Bench, entry: Entry, plan: TaskPlan, table: int, seeds: int, say: Callable[[str], None]
) -> list[TableRow]:
    """The rows of one system: the seeds' mean and spread, and the ensemble of all seeds if they are asked for.

    Raises
    ------
    InputError
        If the system cannot be made or cannot learn.
    """
    rows: dict[str, ResultRow] = {}
    ensembles: dict[str, ResultRow] = {}
    notes: list[str] = []
    for name, part in plan.parts.items():
        outcomes = _outcomes(bench, entry, part, name, seeds, say)
        rows[name] = _scored(part, entry.title, outcomes)
        notes += _notes(outcomes)
        if bench.ensembles and seeds > 1:
            both = mean_of(outcomes, part.role.problem.task.kind)
            ensembles[name] = _scored(part, f"{entry.title}, mean of {seeds} seeds", [both])
    told = tuple(f"{entry.title}, {plan.name}: {note}" for note in dict.fromkeys(notes))
    made = [TableRow(entry, score_parts(rows), PUBLISHED.get((table, entry.name)), told)]
    return made + ([TableRow(entry, score_parts(ensembles), None)] if ensembles else [])


def _outcomes(
    bench: Bench, entry: Entry, part: Part, name: str, seeds: int, say: Callable[[str], None]
) -> list[Outcome]:
    system, outcomes, kept = entry.make(bench, part.role), [], bench.folder / "predictions"
    after = bench.effort.after(entry.after)
    for seed in range(seeds):
        told = partial(_say_seed, say, f"{entry.title}: {name}, seed {seed}")
        outcomes.append(remembered(kept, system, part.role.problem, part.split, seed, after, told=told))
    return outcomes


def _say_seed(say: Callable[[str], None], what: str, found: bool) -> None:
    say(f"{what}, found" if found else what)


def _notes(outcomes: Sequence[Outcome]) -> list[str]:
    """What the models of a system have to say of their predictions."""
    return [
        note for outcome in outcomes for model in outcome.facts.get("models", []) for note in model.get("notes", [])
    ]


def _scored(part: Part, title: str, outcomes: Sequence[Outcome]) -> ResultRow:
    problem = part.role.problem
    trial = Trial(problem.store, problem.task, part.split, problem.steer)
    dim = max(int(model.get("num_parameters", 0)) for one in outcomes for model in one.facts.get("models", [{}]))
    return score_row(trial, part.macros, title, dim, 100.0, outcomes, treated=bool(outcomes[0].treated))


def leave_out(error: InputError, entry: Entry) -> str:
    """The sentence for a row that could not be made."""
    return f"{entry.title}: left out, {error}"
