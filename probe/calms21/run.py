"""One run of the benchmark: import, search for leaks, run the systems, write the tables."""

import difflib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from probe.calms21.command import BenchmarkConfig
from probe.calms21.effort_presets import Effort, get_effort
from probe.calms21.paper_tables import TABLES
from probe.calms21.representation_cache import RepresentationCache
from probe.calms21.result_tables import SIMULATED_NOTE, ResultTable, screen_table, write_report
from probe.calms21.system_registry import SYSTEMS, BenchmarkContext, SystemSpec
from probe.calms21.task_runs import (
    BenchmarkTask,
    SystemRow,
    left_out_note,
    make_benchmark_task,
    run_curves,
    run_system_rows,
)
from ssl_behavior.checkpoint import find_checkpoint, read_checkpoint_config
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.duplicates import Overlap, check_split, check_subsets, find_overlaps, leaks
from ssl_behavior.embeddings_folder import Embeddings, store_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import make_folder, read_json, write_json
from ssl_behavior.importer import import_release
from ssl_behavior.io.calms21 import SIMULATED
from ssl_behavior.io.calms21_release import Release, check_release, find_release, release_features
from ssl_behavior.plots.style import check_matplotlib
from ssl_behavior.store import Store, StoreRow

__all__ = ["run_benchmark"]

MARKER = "benchmark.json"
ENCODERS = ("summaries", "cpc", "task_programming", "task_programming_conv", "cpc_programs")
"""Recipes of pretrained encoders."""

WRITE_EVERY_SECONDS = 10.0
"""Minimum time between writes of the results: cached rows arrive by the dozen."""

_KINDS = {"calms21_task1": "task1", "calms21_task2": "task2", "calms21_task3": "task3"}


@dataclass(frozen=True, eq=False)
class _Session:
    """Inputs and notes of one run of the benchmark.

    Parameters
    ----------
    log : prints a line of text.
    benchmark_tasks : task name -> task.
    release : the imported release; None for a given store.
    notes : notes for the reader of the results, extended while systems run.
    """

    config: BenchmarkConfig
    effort: Effort
    log: Callable[[str], None]
    store: Store
    benchmark_tasks: dict[str, BenchmarkTask]
    release: Release | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def simulated(self) -> bool:
        animals = all(row.source.startswith("simulated") for row in self.store.rows)
        return animals or (self.config.source / SIMULATED).exists()

    def seeds_of(self, spec: SystemSpec) -> int:
        return dict(self.config.own_seeds).get(spec.name, self.effort.seeds)

    def note(self, text: str) -> None:
        """Print a note now and add it to the results, once."""
        if text not in self.notes:
            self.notes.append(text)
            self.log(text)


def run_benchmark(config: BenchmarkConfig, console: Console, wording: Callable[[str], str] = str) -> dict[str, Any]:
    """Fill the tables, and write `results.md` and `results.json` in `config.out` after every few rows.

    Parameters
    ----------
    wording : translation of printed lines, which name arguments in backticks.

    Returns
    -------
    Facts about the run, as in `results.json`.

    Raises
    ------
    InputError
        If the source, a task, a system or the split cannot be used. A system that fails on these data is named in the
        notes, and the other systems run.
    """
    specs, drawn = _chosen(config.systems, "systems"), _chosen(config.curves, "curves") if config.curves else []
    if drawn:
        check_matplotlib("figures of label curves need")
    effort = get_effort(config.effort)
    effort = replace(effort, seeds=config.seeds or effort.seeds)
    _chosen([name for name, _ in config.own_seeds], "own_seeds")
    choose_precision(config.precision, choose_device(config.device))
    _check_pretrained(config)
    session = _opened(config, effort, _make_log(console, wording))
    session.log("looking for recordings that show the same moments")
    overlaps = find_overlaps(session.store)
    _warn(session, overlaps)
    context = _make_context(session, overlaps)
    session.notes[:0] = _facts_in_words(session, context, specs)
    facts = {
        "effort": config.effort,
        "seeds": effort.seeds,
        "store": session.store.fingerprint(),
        "device": describe_device(context.device, context.precision),
    }
    tables = _filled(session, context, specs, facts)
    for benchmark_task in session.benchmark_tasks.values() if drawn else ():
        for figure in run_curves(
            context, benchmark_task, drawn, config.curve_recordings, session.seeds_of, session.log
        ):
            session.log(f"curves: {figure}")
    _show(session, tables, console, wording)
    return facts


def _show(session: _Session, tables: Sequence[ResultTable], console: Console, wording: Callable[[str], str]) -> None:
    for table in tables:
        console.print(screen_table(table))
    for note in ([SIMULATED_NOTE] if session.simulated else []) + session.notes:
        console.print(Text(wording(note), style="dim"))
    console.print(f"results: {session.config.out / 'results.md'}")


def _check_pretrained(config: BenchmarkConfig) -> None:
    """Check that each given run was trained with the named recipe, and without labels."""
    for recipe, runs in config.pretrained:
        if recipe not in ENCODERS:
            raise InputError(f"`pretrained` names {recipe}: the encoders of this benchmark are {list(ENCODERS)}")
        for run in runs:
            method = read_checkpoint_config(find_checkpoint(run, best=True))["method"]
            if method != recipe:
                raise InputError(f"`pretrained` names {run} for {recipe}: this run was trained with {method}")


def _take_folder(config: BenchmarkConfig) -> None:
    """Make the benchmark's folder or reuse it; a folder with other contents or of another source is an error."""
    out, source = config.out, {"layout": config.layout, "source": str(config.source.resolve())}
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, not a folder; choose another `out`")
    marker = out / MARKER
    if marker.exists():
        found = read_json(marker, "a benchmark folder")
        if found != source:
            raise InputError(f"{out} holds a benchmark of {found.get('source')}; choose another `out`")
        return
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} exists and holds no benchmark; choose another `out`")
    make_folder(out)
    write_json(marker, source)


def _make_log(console: Console, wording: Callable[[str], str]) -> Callable[[str], None]:
    start = time.monotonic()

    def log(text: str) -> None:
        console.print(Text(f"[{time.monotonic() - start:6.0f} s] {wording(text)}"), soft_wrap=True)

    return log


def _chosen(names: Sequence[str], argument: str) -> list[SystemSpec]:
    """The named systems in the order of the tables; all systems without names."""
    for name in names:
        if name not in SYSTEMS:
            near = difflib.get_close_matches(name, SYSTEMS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(SYSTEMS)}"
            raise InputError(f"`{argument}`: there is no system {name!r}; {hint}")
    return [spec for name, spec in SYSTEMS.items() if not names or name in names]


def _opened(config: BenchmarkConfig, effort: Effort, log: Callable[[str], None]) -> _Session:
    """The session, after checks of source and folder."""
    if config.layout == "store":
        store = Store(config.source)
        session = _Session(config, effort, log, store, _make_benchmark_tasks(config, store))
        _take_folder(config)
        return session
    release = find_release(config.source)
    if not release.whole:
        raise InputError("; ".join(release.missing_part_notices()))
    _take_folder(config)
    notes = [*release.notes, *release.missing_part_notices()]
    folder = config.out / "store"
    if not folder.exists():
        if config.hashes:
            log("checking sizes and sums of the release")
            notes += check_release(release)
        log(f"importing {', '.join(release.whole)}")
        import_release(release, folder, release.whole)
    store = Store(folder)
    return _Session(config, effort, log, store, _make_benchmark_tasks(config, store), release, notes)


def _make_benchmark_tasks(config: BenchmarkConfig, store: Store) -> dict[str, BenchmarkTask]:
    if config.layout == "calms21":
        there = _tasks_in(store)
        wanted = {TABLES[number].task for number in _numbers(config)}
        # Task 1 trains the parents of other baselines, and joint models train on all tasks.
        benchmark_tasks = {
            name: make_benchmark_task(store, name, kind) for name, kind in _KINDS.items() if name in there
        }
        if missing := sorted(wanted - set(benchmark_tasks)):
            raise InputError(f"{config.source}: no recordings of {missing[0]}; leave its table out of `tables`")
        return benchmark_tasks
    macros = dict(config.macros)
    if twice := sorted(set(config.tasks) & set(config.new_tasks)):
        raise InputError(f"{twice[0]!r} is given in `tasks` and in `new_tasks`; give it in one of them")
    kinds = dict.fromkeys(config.tasks, "task1") | dict.fromkeys(config.new_tasks, "task3")
    if unknown := sorted(set(macros) - set(kinds)):
        raise InputError(f"`macros` names {unknown[0]}: `tasks` and `new_tasks` have no task of that name")
    return {
        name: make_benchmark_task(store, name, kind, macros.get(name, ("all",)), config.split)
        for name, kind in kinds.items()
    }


def _tasks_in(store: Store) -> set[str]:
    annotators = {row.annotators["behavior"] for row in store.rows if "behavior" in row.annotators}
    found = {"calms21_task1"} if "0" in annotators else set()
    found |= {"calms21_task2"} if annotators - {"0", ""} else set()
    return found | ({"calms21_task3"} if set(store.streams) - {"behavior"} else set())


def _warn(session: _Session, overlaps: Sequence[Overlap]) -> None:
    """Note recordings on both sides of a split, before any training."""
    parts = [part for benchmark_task in session.benchmark_tasks.values() for part in benchmark_task.parts.values()]
    warnings = {sentence for part in parts for sentence in check_split(overlaps, part.split)}
    for sentence in sorted(warnings | set(check_subsets(overlaps, session.store.rows))):
        session.note(f"Warning: {sentence}")


def _make_context(session: _Session, overlaps: Sequence[Overlap]) -> BenchmarkContext:
    config, store, effort = session.config, session.store, session.effort
    parts = [part for benchmark_task in session.benchmark_tasks.values() for part in benchmark_task.parts.values()]
    scored = {row.id for part in parts for row in part.split.evaluate}
    # A recording with the same moments as a scored recording counts as scored: other tasks train on neither its tracks
    # nor its labels. Within its own task the split stays as it is, and the notes have a warning.
    scored |= {leak.second for leak in leaks(overlaps, scored, {row.id for row in store.rows} - scored)}
    train = _ordered([row for part in parts for row in part.split.train if row.id not in scored])
    representations = RepresentationCache(
        store,
        config.out,
        effort,
        train,
        tracks=() if config.transductive else tuple(row.id for row in store.rows if row.id not in scored),
        device=config.device,
        precision=config.precision,
        given=dict(config.pretrained),
        released=_released(session),
        log=session.log,
    )
    parent = next(
        (
            next(iter(benchmark_task.parts.values()))
            for benchmark_task in session.benchmark_tasks.values()
            if benchmark_task.kind == "task1"
        ),
        None,
    )
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    return BenchmarkContext(
        config.out,
        effort,
        representations,
        train,
        ensembles=config.ensembles,
        parent=parent,
        device=device,
        precision=precision,
    )


def _ordered(rows: Sequence[StoreRow]) -> tuple[StoreRow, ...]:
    return tuple(sorted({row.id: row for row in rows}.values(), key=lambda row: row.offset))


def _released(session: _Session) -> Path | None:
    """The release's task-programming features as embeddings, if all recordings have them."""
    release, store = session.release, session.store
    folder = session.config.out / "released_features"
    if (folder / "embeddings.json").exists():
        return Embeddings(folder).path
    if release is None or not all(release.features.get(part) for part in release.whole):
        return None
    session.log("reading the released task-programming features")
    features = release_features(release, release.whole)
    read = features.read({row.id: row.frames for row in store.rows})
    return store_embeddings(folder, store, store.rows, read, "features", features.fingerprint).path


def _facts_in_words(session: _Session, context: BenchmarkContext, specs: Sequence[SystemSpec]) -> list[str]:
    config, seeds = session.config, session.effort.seeds
    over = f"Mean ± population standard deviation over {seeds} seeds" if seeds > 1 else "One seed"
    if own := [f"{spec.name} {session.seeds_of(spec)}" for spec in specs if session.seeds_of(spec) != seeds]:
        over += f" ({', '.join(own)})"
    notes = [
        f"{over}; frames of all scored recordings pooled, means without background. F1 balanced assumes equally "
        "frequent classes; parameters are those trained on labels.",
        "† a class without positive frames in the scored or in the training recordings is undefined and left out of "
        "the means.",
        f"Effort {config.effort}, on {describe_device(context.device, context.precision)}.",
    ]
    if config.effort != "full":
        small = ", and encoders are small" if session.effort.small_encoders else ""
        notes.append(f"Less effort than published: trainings are shorter or use fewer frames{small}.")
    if config.transductive:
        notes.append("Encoders saw the tracks, not the labels, of the scored recordings.")
    if config.pretrained:
        notes.append("Given encoders, which may have seen tracks of scored recordings: " + ", ".join(
            name for name, _ in config.pretrained))  # fmt: skip
    if any(spec.section == "features" for spec in specs):
        made = "our own autoencoder's" if context.representations.released is None else "the released ones"
        notes.append(f"Task-programming features: {made}.")
    return notes


def _filled(
    session: _Session, context: BenchmarkContext, specs: Sequence[SystemSpec], facts: dict[str, Any]
) -> list[ResultTable]:
    """The tables with rows, written while they fill and at the end, even after Ctrl-C."""
    tables: dict[str, ResultTable] = {}
    num_notes, written = len(session.notes), -math.inf
    try:
        for title, rows in _found(session, context, specs):
            before = tables[title].rows if title in tables else ()
            tables[title] = ResultTable(title, (*before, *rows))
            if time.monotonic() - written >= WRITE_EVERY_SECONDS:
                _write(session, tables, facts)
                written = time.monotonic()
    finally:
        if tables:
            _write(session, tables, facts)
    if not tables:
        raise InputError("; ".join(["no system could be run on these tasks", *session.notes[num_notes:][-3:]]))
    return list(tables.values())


def _found(
    session: _Session, context: BenchmarkContext, specs: Sequence[SystemSpec]
) -> Iterator[tuple[str, list[SystemRow]]]:
    """(table title, rows) of each system; systems that are left out get a note."""
    placed: set[str] = set()
    for number, title, benchmark_task, sections in _tables(session):
        fitting = [spec for spec in specs if _is_for(spec, benchmark_task, number, sections)]
        placed |= {spec.name for spec in fitting}
        if not fitting:
            session.note(f"{title}: left out, no requested system fits it")
            continue
        session.log(title)
        for spec in fitting:
            if rows := _rows(session, context, spec, benchmark_task, number):
                yield title, rows
    for spec in specs if session.config.systems else ():
        if spec.name not in placed:
            session.note(f"{spec.title} ({spec.name}): left out, it fits none of these tables")


def _write(session: _Session, tables: dict[str, ResultTable], facts: dict[str, Any]) -> None:
    write_report(session.config.out, list(tables.values()), session.notes, facts, session.simulated)


def _rows(
    session: _Session, context: BenchmarkContext, spec: SystemSpec, benchmark_task: BenchmarkTask, number: int
) -> list[SystemRow]:
    """A system's rows; none if the system fails, which is noted."""
    if spec.needs_parent and context.parent is None:
        if session.config.systems:
            session.note(f"{spec.title}: left out, it starts from a network of Task 1; name one in `tasks`")
        return []
    try:
        rows = run_system_rows(context, spec, benchmark_task, number, session.seeds_of(spec), session.log)
    except InputError as error:
        session.note(left_out_note(error, spec))
        return []
    for row in rows:
        for note in row.notes:
            session.note(note)
    return rows


def _is_for(spec: SystemSpec, benchmark_task: BenchmarkTask, number: int, sections: Sequence[str]) -> bool:
    if benchmark_task.kind not in spec.kinds or not sections:
        return benchmark_task.kind in spec.kinds
    # The paper's Table 1 compares architectures and repeats the convolutions of Table 2.
    if number == 1:
        return spec.section in sections or spec.name == "conv1d"
    return spec.section in sections and not (number == 4 and spec.name == "conv1d")


def _numbers(config: BenchmarkConfig) -> tuple[int, ...]:
    return config.tables or tuple(TABLES)


def _tables(session: _Session) -> list[tuple[int, str, BenchmarkTask, tuple[str, ...]]]:
    """Number, title, task and sections of each table; tables of a store have number 0 and all sections."""
    if session.config.layout == "calms21":
        chosen = [(number, TABLES[number]) for number in _numbers(session.config)]
        return [(number, table.title, session.benchmark_tasks[table.task], table.sections) for number, table in chosen]
    return [(0, name, benchmark_task, ()) for name, benchmark_task in session.benchmark_tasks.items()]
