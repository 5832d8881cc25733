"""Running the systems of a table, and the tables on the screen, in Markdown and in JSON.

Each prediction is kept on disk, so that an interruption costs one of them at most. Published numbers are those of the
CalMS21 paper's Tables 1 to 4 (Sun et al. 2021, arXiv:2104.02710): macro F1 and macro AP without background, mean over 5
seeds ± population standard deviation where it is known.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table as ScreenTable
from rich.text import Text

from probe.calms21.plan import Bench, Entry, TaskRole
from probe.calms21.predictions import remembered
from probe.calms21.systems import Curve, Problem, draw_curves, label_curve, mean_of
from probe.tables import ResultRow, markdown_text, number, row_name, score_parts, score_row
from probe.tasks import Macro, macro_of, make_task, task_parts
from probe.trial import Outcome, Trial, split_parts
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, write_json
from ssl_behavior.metrics import Summary
from ssl_behavior.splits import Split
from ssl_behavior.store import Store

__all__ = [
    "PUBLISHED",
    "SEEDS",
    "SIMULATED_NOTE",
    "TABLES",
    "FilledTable",
    "Part",
    "Published",
    "Table",
    "TableRow",
    "TaskPlan",
    "plan_task",
    "run_curves",
    "run_entry",
    "screen_table",
    "write_report",
]

SEEDS = 5
"""Over which the paper's numbers are means."""


@dataclass(frozen=True)
class Published:
    """A row of the paper: mean and standard deviation of F1 and of AP; None where not given."""

    f1: float
    ap: float
    f1_std: float | None = None
    ap_std: float | None = None


@dataclass(frozen=True)
class Table:
    """A table of the paper: its title, the task it is of, and the sections of the plan that fill it."""

    title: str
    task: str
    sections: tuple[str, ...]


TABLES: dict[int, Table] = {
    1: Table("Table 1: architectures on Task 1", "calms21_task1", ("architectures",)),
    2: Table("Table 2: classical classification (Task 1)", "calms21_task1", ("baseline", "features", "winner", "ours")),
    3: Table("Table 3: annotation styles (Task 2)", "calms21_task2", ("baseline", "features", "winner", "ours")),
    4: Table("Table 4: new behaviours (Task 3)", "calms21_task3", ("baseline", "features", "winner", "ours")),
}

PUBLISHED: dict[tuple[int, str], Published] = {
    (1, "fully_connected"): Published(0.659, 0.726, 0.005, 0.005),
    (1, "lstm"): Published(0.675, 0.712, 0.011, 0.013),
    (1, "self_attention"): Published(0.610, 0.644, 0.028, 0.018),
    (1, "conv1d"): Published(0.793, 0.856, 0.011, 0.010),
    (1, "conv1d_causal"): Published(0.713, 0.753, 0.006, 0.005),
    (1, "single_frame"): Published(0.614, 0.663, 0.012, 0.005),
    (1, "conv1d_augmented"): Published(0.786, 0.861, 0.018, 0.005),
    (2, "conv1d"): Published(0.793, 0.856, 0.011, 0.010),
    (2, "conv1d_features"): Published(0.829, 0.889),
    (2, "joint_mabe2021"): Published(0.864, 0.914),
    (3, "task2_as_run"): Published(0.754, 0.813, 0.005, 0.003),
    (3, "task2_features"): Published(0.774, 0.835),
    (3, "joint_mabe2021"): Published(0.809, 0.857),
    (4, "task3_as_run"): Published(0.338, 0.317, 0.004, 0.005),
    (4, "task3_features"): Published(0.328, 0.320),
    (4, "msg3d"): Published(0.319, 0.352, 0.025, 0.023),
    (4, "msg3d_tuned"): Published(0.363, 0.352, 0.020, 0.023),
}
"""(table, system) -> the published row."""


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


@dataclass(frozen=True)
class FilledTable:
    """A table with the rows that are done."""

    title: str
    rows: tuple[TableRow, ...]


SIMULATED_NOTE = "The animals are simulated: these numbers say nothing about real ones."


def _published(value: float, std: float | None) -> str:
    return number(Summary(value, std, 1 if std is None else SEEDS))


def _columns(table: FilledTable) -> dict[str, list[str]]:
    """Heading -> a cell of each row: the headline, beside what was published if anything was, then the other means."""
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


def screen_table(table: FilledTable) -> ScreenTable:
    """The table for the screen."""
    screen = ScreenTable(title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    columns = _columns(table)
    for name in columns:
        screen.add_column(name, justify="left" if name == "system" else "right")
    for cells in zip(*columns.values(), strict=True):
        screen.add_row(*map(Text, cells))
    return screen


def write_report(
    out: Path, tables: Sequence[FilledTable], notes: Sequence[str], facts: Mapping[str, Any], simulated: bool
) -> None:
    """`results.md` and `results.json`, each whole."""
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
                        "system": row.entry.name,
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


def _markdown(tables: Sequence[FilledTable], notes: Sequence[str], simulated: bool) -> str:
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
    bench: Bench,
    plan: TaskPlan,
    entries: Sequence[Entry],
    counts: Sequence[int],
    seeds: Callable[[Entry], int],
    say: Callable[[str], None],
) -> list[Path]:
    """Curves of a task's parts: a figure each under `curves`, and the numbers as JSON. Predictions are kept.

    Parameters
    ----------
    counts : numbers of labeled recordings, all there are in place of more; none = 1, 2, 4, 8 ... and all.

    Returns
    -------
    The figures.

    Raises
    ------
    InputError
        If matplotlib is not there.
    """
    figures = []
    for name, part in plan.parts.items():
        made = [_curve(bench, entry, plan, part, counts, seeds(entry), say) for entry in entries]
        curves = [curve for curve in made if curve is not None]
        if not curves:
            continue
        title = plan.name if len(plan.parts) == 1 else f"{plan.name}, {name}"
        figure = bench.folder / "curves" / f"{title.replace(', ', '-').replace(' ', '-')}.png"
        figure.parent.mkdir(parents=True, exist_ok=True)
        draw_curves(curves, figure, title)
        contents: dict[str, Any] = {"format": "ssl-behavior curves", "version": 1, "task": title}
        write_json(figure.with_suffix(".json"), contents | {"curves": [curve.to_dict() for curve in curves]})
        figures.append(figure)
    return figures


def _curve(
    bench: Bench,
    entry: Entry,
    plan: TaskPlan,
    part: Part,
    counts: Sequence[int],
    seeds: int,
    say: Callable[[str], None],
) -> Curve | None:
    """A system's curve, or None where it is not for this kind of task or cannot learn it (which is said)."""
    if plan.kind not in entry.kinds or (entry.needs_parent and bench.parent is None):
        return None
    say(f"{entry.title}: {plan.name}, over labeled recordings")
    try:
        system, problem = entry.make(bench, part.role), part.role.problem
        run = partial(remembered, bench.folder / "predictions")
        after, tried = bench.effort.after(entry.after), {min(count, len(part.split.train)) for count in counts}
        curve = label_curve(
            system, problem, part.split, part.macros, range(seeds), after, sorted(tried) or None, run=run
        )
        return replace(curve, system=entry.title)
    except InputError as error:
        say(f"{entry.title}: no curve, {error}")
        return None
