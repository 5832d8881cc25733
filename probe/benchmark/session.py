"""One run of the benchmark: import, look for leaks, run the systems, write the tables."""

import difflib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from probe.benchmark.effort import Effort, effort_of
from probe.benchmark.few_labels import run_curves
from probe.benchmark.job import BenchmarkConfig
from probe.benchmark.plan import SYSTEMS, Bench, Entry
from probe.benchmark.published import TABLES
from probe.benchmark.report import FilledTable, screen_table, write_report
from probe.benchmark.representations import Shelf
from probe.benchmark.run import TaskPlan, leave_out, plan_task, run_entry
from probe.systems.curves import check_figure
from ssl_behavior.checkpoint import find_checkpoint, read_checkpoint_config
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.embedding import Embeddings, store_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import read_json, write_json
from ssl_behavior.importer import import_release
from ssl_behavior.io.calms21_release import Release, check_release, find_release, release_features
from ssl_behavior.overlap import Overlap, check_split, check_subsets, find_overlaps, leaks
from ssl_behavior.simulate.write import SIMULATED
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import counted

__all__ = ["run_benchmark"]

MARKER = "benchmark.json"
ENCODERS = ("cpc", "task_programming", "task_programming_conv", "cpc_programs")
"""What is pretrained, by recipe."""

_KINDS = {"calms21_task1": "task1", "calms21_task2": "task2", "calms21_task3": "task3"}


def run_benchmark(config: BenchmarkConfig, console: Console) -> dict[str, Any]:
    """Fill the tables; `results.md` and `results.json` in `config.out` are written anew after every row.

    Returns
    -------
    Facts of the run, as in `results.json`.

    Raises
    ------
    InputError
        If the source, a task, a system or the split cannot be used. A system that cannot be run on these data is
        named in the notes, and the others go on.
    """
    entries = _chosen(config.systems)
    drawn = _chosen(config.curves) if config.curves else []
    if drawn:
        check_figure(Path("curves.png"))
    effort = effort_of(config.effort)
    effort = replace(effort, seeds=config.seeds or effort.seeds)
    _check_pretrained(config)
    _take_folder(config)
    say = _speaker(console)
    store, release, notes = _opened(config, say)
    plans = _plans(config, store)
    say("looking for recordings that show the same moments")
    overlaps = find_overlaps(store)
    notes += _warnings(store, plans, overlaps, say)
    bench, released = _bench(config, store, plans, effort, release, overlaps, say)
    notes += _facts_in_words(config, effort, bench, released)
    facts = {
        "effort": config.effort,
        "seeds": effort.seeds,
        "store": store.fingerprint(),
        "device": describe_device(bench.device, bench.precision),
    }
    simulated = all(row.source.startswith("simulated") for row in store.rows) or _is_simulated(config.source)
    tables = _filled(config, bench, plans, entries, notes, facts, simulated, say)
    for plan in plans.values() if drawn else ():
        for figure in run_curves(bench, plan, drawn, effort.seeds, say):
            say(f"curves: {figure}")
    for table in tables:
        console.print(screen_table(table, simulated))
    for note in notes:
        console.print(Text(note, style="dim"))
    console.print(f"results: {config.out / 'results.md'}")
    return facts


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


def _speaker(console: Console) -> Any:
    start = time.monotonic()

    def say(text: str) -> None:
        console.print(Text(f"[{time.monotonic() - start:6.0f} s] {text}"), soft_wrap=True)

    return say


def _chosen(names: Sequence[str]) -> list[Entry]:
    for name in names:
        if name not in SYSTEMS:
            near = difflib.get_close_matches(name, SYSTEMS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(SYSTEMS)}"
            raise InputError(f"--systems: there is no system {name!r}; {hint}")
    return [entry for name, entry in SYSTEMS.items() if not names or name in names]


def _opened(config: BenchmarkConfig, say: Any) -> tuple[Store, Release | None, list[str]]:
    if config.layout == "store":
        return Store(config.source), None, []
    release = find_release(config.source)
    if not release.whole:
        raise InputError("; ".join(release.told_missing()))
    notes = [*release.notes, *release.told_missing()]
    folder = config.out / "store"
    if not folder.exists():
        if config.hashes:
            say("checking sizes and sums of the release")
            notes += check_release(release)
        say(f"importing {', '.join(release.whole)}")
        import_release(release, folder, release.whole)
    return Store(folder), release, notes


def _plans(config: BenchmarkConfig, store: Store) -> dict[str, TaskPlan]:
    if config.layout == "calms21":
        there = _tasks_in(store)
        wanted = {TABLES[number].task for number in config.tables}
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


def _warnings(store: Store, plans: dict[str, TaskPlan], overlaps: Sequence[Overlap], say: Any) -> list[str]:
    """What recordings are on both sides of a split, told before anything is trained."""
    told = {
        sentence
        for plan in plans.values()
        for part in plan.parts.values()
        for sentence in check_split(overlaps, part.split)
    }
    told |= set(check_subsets(overlaps, store.rows))
    for sentence in sorted(told):
        say(f"warning: {sentence}")
    return [f"Warning: {sentence}" for sentence in sorted(told)]


def _bench(
    config: BenchmarkConfig,
    store: Store,
    plans: dict[str, TaskPlan],
    effort: Effort,
    release: Release | None,
    overlaps: Sequence[Overlap],
    say: Any,
) -> tuple[Bench, bool]:
    parts = [part for plan in plans.values() for part in plan.parts.values()]
    scored = {row.id for part in parts for row in part.split.evaluate}
    # What shows the moments of a scored recording is no other recording: neither tracks nor labels of it are learned
    # across tasks. Within a task its own split stands, and the notes say so.
    scored |= {leak.second for leak in leaks(overlaps, scored, {row.id for row in store.rows} - scored)}
    train = _ordered([row for part in parts for row in part.split.train if row.id not in scored])
    seen = () if config.transductive else tuple(row.id for row in store.rows if row.id not in scored)
    released = _released(config.out, store, release, say)
    machine = ("--device", config.device, "--precision", config.precision)
    shelf = Shelf(
        store,
        config.out,
        effort,
        effort.seeds,
        train,
        seen,
        machine,
        dict(config.pretrained),
        released,
        say,
    )
    parent = next((plan for plan in plans.values() if plan.kind == "task1"), None)
    device = choose_device(config.device)
    bench = Bench(
        config.out, effort, shelf, train, next(iter(parent.parts.values())).role if parent else None, device,
        choose_precision(config.precision, device),
    )  # fmt: skip
    return bench, released is not None


def _ordered(rows: Sequence[StoreRow]) -> tuple[StoreRow, ...]:
    return tuple(sorted({row.id: row for row in rows}.values(), key=lambda row: row.offset))


def _released(out: Path, store: Store, release: Release | None, say: Any) -> Path | None:
    """The release's own task-programming features as embeddings, if it has them for every recording."""
    folder = out / "released_features"
    if (folder / "embeddings.json").exists():
        return Embeddings(folder).path
    if release is None or not all(release.features.get(part) for part in release.whole):
        return None
    say("reading the released task-programming features")
    features = release_features(release, release.whole)
    read = features.read({row.id: row.frames for row in store.rows})
    return store_embeddings(folder, store, store.rows, read, "features", features.fingerprint).path


def _facts_in_words(config: BenchmarkConfig, effort: Effort, bench: Bench, released: bool) -> list[str]:
    notes = [
        f"Mean ± population standard deviation over {counted(effort.seeds, 'seed')}; frames of all scored recordings "
        "pooled, means without background; † a class without positive frames is undefined and left out.",
        f"Effort {config.effort}, on {describe_device(bench.device, bench.precision)}.",
    ]
    if config.effort != "full":
        notes.append("Less work than the papers': trainings are shorter or see fewer frames than published.")
    if config.transductive:
        notes.append("Encoders saw the tracks, not the labels, of the scored recordings.")
    if config.pretrained:
        notes.append("Given encoders, which may have seen tracks of scored recordings: " + ", ".join(
            name for name, _ in config.pretrained))  # fmt: skip
    notes.append(f"Task-programming features: {'released' if released else 'our own autoencoder'}.")
    return notes


def _is_simulated(folder: Path) -> bool:
    return (folder / SIMULATED).exists()


def _filled(
    config: BenchmarkConfig,
    bench: Bench,
    plans: dict[str, TaskPlan],
    entries: Sequence[Entry],
    notes: list[str],
    facts: dict[str, Any],
    simulated: bool,
    say: Any,
) -> list[FilledTable]:
    tables: list[FilledTable] = []
    for number, title, plan, sections in _tables(config, plans):
        tables.append(FilledTable(title, ()))
        for entry in entries:
            if plan.kind not in entry.kinds or (sections and not _in_table(entry, number, sections)):
                continue
            if entry.needs_parent and bench.parent is None:
                if config.systems:
                    notes.append(f"{entry.title}: left out, it starts from a network of Task 1; name one with --task")
                continue
            try:
                rows = run_entry(bench, entry, plan, number, bench.effort.seeds, say)
            except InputError as error:
                notes.append(leave_out(error, entry))
                say(notes[-1])
                continue
            for note in (note for row in rows for note in row.notes if note not in notes):
                notes.append(note)
                say(note)
            tables[-1] = FilledTable(title, (*tables[-1].rows, *rows))
            write_report(config.out, tables, notes, facts, simulated)
    if not any(table.rows for table in tables):
        raise InputError("; ".join(["no system could be run on these tasks", *notes[-3:]]))
    write_report(config.out, tables, notes, facts, simulated)
    return tables


def _in_table(entry: Entry, number: int, sections: Sequence[str]) -> bool:
    # The paper's Table 1 compares architectures, and repeats the convolutions of Table 2.
    if number == 1:
        return entry.section in sections or entry.name == "conv1d"
    return entry.section in sections and not (number == 4 and entry.name == "conv1d")


def _tables(config: BenchmarkConfig, plans: dict[str, TaskPlan]) -> list[tuple[int, str, TaskPlan, tuple[str, ...]]]:
    if config.layout == "calms21":
        chosen = [(number, TABLES[number]) for number in config.tables]
        return [(number, table.title, plans[table.task], table.sections) for number, table in chosen]
    return [(0, name, plan, ()) for name, plan in plans.items()]
