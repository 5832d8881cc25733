"""One run of the benchmark: import, look for leaks, run the systems, write the tables."""

import difflib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from probe.calms21.effort import Effort, effort_of
from probe.calms21.job import BenchmarkConfig
from probe.calms21.plan import SYSTEMS, Bench, Entry
from probe.calms21.representations import RepresentationCache
from probe.calms21.run import (
    SIMULATED_NOTE,
    TABLES,
    FilledTable,
    TableRow,
    TaskPlan,
    leave_out,
    plan_task,
    run_curves,
    run_entry,
    screen_table,
    write_report,
)
from probe.calms21.systems.curves import check_figure
from ssl_behavior.checkpoint import find_checkpoint, read_checkpoint_config
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.embedding import Embeddings, store_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import read_json, write_json
from ssl_behavior.importer import import_release
from ssl_behavior.io.calms21 import SIMULATED
from ssl_behavior.io.calms21_release import Release, check_release, find_release, release_features
from ssl_behavior.overlap import Overlap, check_split, check_subsets, find_overlaps, leaks
from ssl_behavior.store import Store, StoreRow

__all__ = ["run_benchmark"]

MARKER = "benchmark.json"
ENCODERS = ("summaries", "cpc", "task_programming", "task_programming_conv", "cpc_programs")
"""What is pretrained, by recipe."""

WRITE_EVERY_SECONDS = 10.0
"""The results so far are written no more often: found rows come by the dozen."""

_KINDS = {"calms21_task1": "task1", "calms21_task2": "task2", "calms21_task3": "task3"}


@dataclass(frozen=True, eq=False)
class _Session:
    """What a run of the benchmark is about.

    Parameters
    ----------
    say : tells whoever waits.
    plans : name of a task -> what is learned and scored.
    release : what the store was made of; None where a store was given.
    notes : what a reader of the results has to know; grows while systems are run.
    """

    config: BenchmarkConfig
    effort: Effort
    say: Callable[[str], None]
    store: Store
    plans: dict[str, TaskPlan]
    release: Release | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def simulated(self) -> bool:
        animals = all(row.source.startswith("simulated") for row in self.store.rows)
        return animals or (self.config.source / SIMULATED).exists()

    def seeds_of(self, entry: Entry) -> int:
        return dict(self.config.own_seeds).get(entry.name, self.effort.seeds)

    def note(self, text: str) -> None:
        """Tell it now, and in the results; once."""
        if text not in self.notes:
            self.notes.append(text)
            self.say(text)


def run_benchmark(config: BenchmarkConfig, console: Console) -> dict[str, Any]:
    """Fill the tables; `results.md` and `results.json` in `config.out` are written anew every few rows.

    Returns
    -------
    Facts of the run, as in `results.json`.

    Raises
    ------
    InputError
        If the source, a task, a system or the split cannot be used. A system that cannot be run on these data is
        named in the notes, and the others go on.
    """
    entries, drawn = _chosen(config.systems, "--systems"), _chosen(config.curves, "--curves") if config.curves else []
    if drawn:
        check_figure(Path("curves.png"))
    effort = effort_of(config.effort)
    effort = replace(effort, seeds=config.seeds or effort.seeds)
    _chosen([name for name, _ in config.own_seeds], "--seeds")
    choose_precision(config.precision, choose_device(config.device))
    _check_pretrained(config)
    session = _opened(config, effort, _speaker(console))
    session.say("looking for recordings that show the same moments")
    overlaps = find_overlaps(session.store)
    _warn(session, overlaps)
    bench = _bench(session, overlaps)
    session.notes[:0] = _facts_in_words(session, bench, entries)
    facts = {
        "effort": config.effort,
        "seeds": effort.seeds,
        "store": session.store.fingerprint(),
        "device": describe_device(bench.device, bench.precision),
    }
    tables = _filled(session, bench, entries, facts)
    for plan in session.plans.values() if drawn else ():
        for figure in run_curves(bench, plan, drawn, config.curve_recordings, session.seeds_of, session.say):
            session.say(f"curves: {figure}")
    _show(session, tables, console)
    return facts


def _show(session: _Session, tables: Sequence[FilledTable], console: Console) -> None:
    for table in tables:
        console.print(screen_table(table))
    for note in ([SIMULATED_NOTE] if session.simulated else []) + session.notes:
        console.print(Text(note, style="dim"))
    console.print(f"results: {session.config.out / 'results.md'}")


def _check_pretrained(config: BenchmarkConfig) -> None:
    """Encoders that were given are what they are said to be, and learned no labels."""
    for recipe, runs in config.pretrained:
        if recipe not in ENCODERS:
            raise InputError(f"--pretrained {recipe}=...: the encoders of this benchmark are {list(ENCODERS)}")
        for run in runs:
            method = read_checkpoint_config(find_checkpoint(run, best=True))["method"]
            if method != recipe:
                raise InputError(f"--pretrained {recipe}={run}: this run was trained with {method}, not with {recipe}")


def _take_folder(config: BenchmarkConfig) -> None:
    """Make the benchmark's folder, or find it again; somebody else's, or one of another source, is not touched."""
    out, source = config.out, {"layout": config.layout, "source": str(config.source.resolve())}
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, not a folder; choose another --out")
    marker = out / MARKER
    if marker.exists():
        found = read_json(marker, "a benchmark folder")
        if found != source:
            raise InputError(f"{out} holds a benchmark of {found.get('source')}; choose another --out")
        return
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} exists and holds no benchmark; choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(marker, source)


def _speaker(console: Console) -> Callable[[str], None]:
    start = time.monotonic()

    def say(text: str) -> None:
        console.print(Text(f"[{time.monotonic() - start:6.0f} s] {text}"), soft_wrap=True)

    return say


def _chosen(names: Sequence[str], option: str) -> list[Entry]:
    """The systems of these names, in the order of the tables; all of them if none is named."""
    for name in names:
        if name not in SYSTEMS:
            near = difflib.get_close_matches(name, SYSTEMS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(SYSTEMS)}"
            raise InputError(f"{option}: there is no system {name!r}; {hint}")
    return [entry for name, entry in SYSTEMS.items() if not names or name in names]


def _opened(config: BenchmarkConfig, effort: Effort, say: Callable[[str], None]) -> _Session:
    """Source and folder, each looked at before anything is written."""
    if config.layout == "store":
        store = Store(config.source)
        session = _Session(config, effort, say, store, _plans(config, store))
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
            say("checking sizes and sums of the release")
            notes += check_release(release)
        say(f"importing {', '.join(release.whole)}")
        import_release(release, folder, release.whole)
    store = Store(folder)
    return _Session(config, effort, say, store, _plans(config, store), release, notes)


def _plans(config: BenchmarkConfig, store: Store) -> dict[str, TaskPlan]:
    if config.layout == "calms21":
        there = _tasks_in(store)
        wanted = {TABLES[number].task for number in _numbers(config)}
        # Task 1 is also what the baselines of the others start from, and joint models learn all there are.
        plans = {name: plan_task(store, name, kind) for name, kind in _KINDS.items() if name in there}
        if missing := sorted(wanted - set(plans)):
            raise InputError(f"{config.source}: no recordings of {missing[0]}; leave its table out with --tables")
        return plans
    macros = dict(config.macros)
    if twice := sorted(set(config.tasks) & set(config.new_tasks)):
        raise InputError(f"{twice[0]!r} is given as --task and as --new-task; give it as one of them")
    kinds = dict.fromkeys(config.tasks, "task1") | dict.fromkeys(config.new_tasks, "task3")
    if unknown := sorted(set(macros) - set(kinds)):
        raise InputError(f"--macro {unknown[0]}=...: it is no --task or --new-task of this benchmark")
    return {
        name: plan_task(store, name, kind, macros.get(name, ("all",)), config.split) for name, kind in kinds.items()
    }


def _tasks_in(store: Store) -> set[str]:
    annotators = {row.annotators["behavior"] for row in store.rows if "behavior" in row.annotators}
    found = {"calms21_task1"} if "0" in annotators else set()
    found |= {"calms21_task2"} if annotators - {"0", ""} else set()
    return found | ({"calms21_task3"} if set(store.streams) - {"behavior"} else set())


def _warn(session: _Session, overlaps: Sequence[Overlap]) -> None:
    """What recordings are on both sides of a split, told before anything is trained."""
    parts = [part for plan in session.plans.values() for part in plan.parts.values()]
    told = {sentence for part in parts for sentence in check_split(overlaps, part.split)}
    for sentence in sorted(told | set(check_subsets(overlaps, session.store.rows))):
        session.note(f"Warning: {sentence}")


def _bench(session: _Session, overlaps: Sequence[Overlap]) -> Bench:
    config, store, effort = session.config, session.store, session.effort
    parts = [part for plan in session.plans.values() for part in plan.parts.values()]
    scored = {row.id for part in parts for row in part.split.evaluate}
    # What shows the moments of a scored recording is no other recording: neither tracks nor labels of it are learned
    # across tasks. Within a task its own split stands, and the notes say so.
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
        say=session.say,
    )
    parent = next(
        (next(iter(plan.parts.values())).role for plan in session.plans.values() if plan.kind == "task1"), None
    )
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    return Bench(
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
    """The release's own task-programming features as embeddings, if it has them for every recording."""
    release, store = session.release, session.store
    folder = session.config.out / "released_features"
    if (folder / "embeddings.json").exists():
        return Embeddings(folder).path
    if release is None or not all(release.features.get(part) for part in release.whole):
        return None
    session.say("reading the released task-programming features")
    features = release_features(release, release.whole)
    read = features.read({row.id: row.frames for row in store.rows})
    return store_embeddings(folder, store, store.rows, read, "features", features.fingerprint).path


def _facts_in_words(session: _Session, bench: Bench, entries: Sequence[Entry]) -> list[str]:
    config, seeds = session.config, session.effort.seeds
    over = f"Mean ± population standard deviation over {seeds} seeds" if seeds > 1 else "One seed"
    if own := [f"{entry.name} {session.seeds_of(entry)}" for entry in entries if session.seeds_of(entry) != seeds]:
        over += f" ({', '.join(own)})"
    notes = [
        f"{over}; frames of all scored recordings pooled, means without background. F1 balanced decides as if all "
        "classes were equally frequent; parameters are those that learn from labels.",
        "† a class that the scored recordings do not show, or those learned from do not, is undefined and left out of "
        "the means.",
        f"Effort {config.effort}, on {describe_device(bench.device, bench.precision)}.",
    ]
    if config.effort != "full":
        small = ", and encoders are small" if session.effort.small_encoders else ""
        notes.append(f"Less work than the papers': trainings are shorter or see fewer frames than published{small}.")
    if config.transductive:
        notes.append("Encoders saw the tracks, not the labels, of the scored recordings.")
    if config.pretrained:
        notes.append("Given encoders, which may have seen tracks of scored recordings: " + ", ".join(
            name for name, _ in config.pretrained))  # fmt: skip
    if any(entry.section == "features" for entry in entries):
        made = "our own autoencoder's" if bench.representations.released is None else "the released ones"
        notes.append(f"Task-programming features: {made}.")
    return notes


def _filled(session: _Session, bench: Bench, entries: Sequence[Entry], facts: dict[str, Any]) -> list[FilledTable]:
    """The tables that have rows; written as they fill, and in the end, also if that is a Ctrl-C."""
    tables: dict[str, FilledTable] = {}
    told, written = len(session.notes), -math.inf
    try:
        for title, rows in _found(session, bench, entries):
            before = tables[title].rows if title in tables else ()
            tables[title] = FilledTable(title, (*before, *rows))
            if time.monotonic() - written >= WRITE_EVERY_SECONDS:
                _write(session, tables, facts)
                written = time.monotonic()
    finally:
        if tables:
            _write(session, tables, facts)
    if not tables:
        raise InputError("; ".join(["no system could be run on these tasks", *session.notes[told:][-3:]]))
    return list(tables.values())


def _found(session: _Session, bench: Bench, entries: Sequence[Entry]) -> Iterator[tuple[str, list[TableRow]]]:
    """(title of a table, rows of a system) one system after the other; what is left out is noted."""
    placed: set[str] = set()
    for number, title, plan, sections in _tables(session):
        fitting = [entry for entry in entries if _is_for(entry, plan, number, sections)]
        placed |= {entry.name for entry in fitting}
        if not fitting:
            session.note(f"{title}: left out, none of the systems that were asked for is for it")
            continue
        session.say(title)
        for entry in fitting:
            if rows := _rows(session, bench, entry, plan, number):
                yield title, rows
    for entry in entries if session.config.systems else ():
        if entry.name not in placed:
            session.note(f"{entry.title} ({entry.name}): left out, it is for none of these tables")


def _write(session: _Session, tables: dict[str, FilledTable], facts: dict[str, Any]) -> None:
    write_report(session.config.out, list(tables.values()), session.notes, facts, session.simulated)


def _rows(session: _Session, bench: Bench, entry: Entry, plan: TaskPlan, number: int) -> list[TableRow]:
    """A system's rows; none where it cannot be run, which is noted."""
    if entry.needs_parent and bench.parent is None:
        if session.config.systems:
            session.note(f"{entry.title}: left out, it starts from a network of Task 1; name one with --task")
        return []
    try:
        rows = run_entry(bench, entry, plan, number, session.seeds_of(entry), session.say)
    except InputError as error:
        session.note(leave_out(error, entry))
        return []
    for row in rows:
        for note in row.notes:
            session.note(note)
    return rows


def _is_for(entry: Entry, plan: TaskPlan, number: int, sections: Sequence[str]) -> bool:
    if plan.kind not in entry.kinds or not sections:
        return plan.kind in entry.kinds
    # The paper's Table 1 compares architectures, and repeats the convolutions of Table 2.
    if number == 1:
        return entry.section in sections or entry.name == "conv1d"
    return entry.section in sections and not (number == 4 and entry.name == "conv1d")


def _numbers(config: BenchmarkConfig) -> tuple[int, ...]:
    return config.tables or tuple(TABLES)


def _tables(session: _Session) -> list[tuple[int, str, TaskPlan, tuple[str, ...]]]:
    """Number, title, task and sections of each table; a store's tables have no number, and every section."""
    if session.config.layout == "calms21":
        chosen = [(number, TABLES[number]) for number in _numbers(session.config)]
        return [(number, table.title, session.plans[table.task], table.sections) for number, table in chosen]
    return [(0, name, plan, ()) for name, plan in session.plans.items()]
