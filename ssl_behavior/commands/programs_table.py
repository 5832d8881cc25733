"""The tables of `ssl-behavior programs`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssl_behavior.programs import (
    PROGRAMS,
    MissingRole,
    Program,
    ProgramsConfig,
    ProgramSet,
    check_program,
    load_programs,
    with_programs_of,
)
from ssl_behavior.skeleton import Skeleton, load_skeleton
from ssl_behavior.store import Store, common_fps
from ssl_behavior.terminal import counted
from ssl_behavior.windows import WindowReader

__all__ = ["Measured", "list_programs", "measure_programs"]

_FPS = 30.0
_SHOWN_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Measured:
    """Programs fitted to a store."""

    store: Store
    programs: ProgramSet


def list_programs(names: Sequence[str], file: Path | None, skeleton: str, console: Console) -> None:
    """Every program that `names` choose in a line; those of `file` among them are checked first.

    Raises
    ------
    InputError
        If a name matches nothing, or the file or one of its programs is not acceptable.
    """
    config = _config(names, file)
    own = load_programs(file)[0] if file else {}
    chosen = {name: (PROGRAMS | own)[name] for name in config.names}
    checked, unable = _checked([entry for name, entry in chosen.items() if name in own], load_skeleton(skeleton))
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("program", "of", "units", "unchanged by", "what it measures"):
        table.add_column(heading, overflow="fold")
    for entry in chosen.values():
        table.add_row(*(Text(cell) for cell in _described(entry)))
    console.print(table)
    for name, reason in unable.items():
        console.print(f"{name} cannot run on {skeleton}, and was not checked: {reason}", markup=False, soft_wrap=True)
    if own:
        told = f"{file}: {counted(len(checked), 'program')} of your own passed all checks"
        told += f"; {len(unable)} cannot run on {skeleton} (--skeleton names another)" if unable else ""
        others = len(own) - len(checked) - len(unable)
        told += f"; {others} not chosen by --names" if others else ""
        console.print(told, markup=False, soft_wrap=True)


def _checked(entries: Sequence[Program], skeleton: Skeleton) -> tuple[list[str], dict[str, MissingRole]]:
    """The programs that passed all checks, and those that ask for what the skeleton lacks."""
    checked: list[str] = []
    unable: dict[str, MissingRole] = {}
    for entry in entries:
        try:
            check_program(entry, skeleton, _FPS)
        except MissingRole as error:
            unable[entry.name] = error
        else:
            checked.append(entry.name)
    return checked, unable


def _described(entry: Program) -> tuple[str, ...]:
    facts = entry.facts
    of = "each animal" if facts.each_animal else "the pair"
    return facts.name, of, facts.units, ", ".join(facts.invariant) or "nothing", facts.description


def measure_programs(store: Store, names: Sequence[str], file: Path | None, console: Console) -> Measured:
    """Fit the programs to all recordings of a store, and print what they measured.

    Raises
    ------
    InputError
        If the store is damaged, its recordings differ in frame rate, a name matches nothing, or a program of one's own
        is not acceptable.
    """
    reader = WindowReader([(store, row) for row in store.rows], 1)
    fps = common_fps(store.rows, "import those of each rate into a store of its own")
    programs = ProgramSet(_config(names, file), store.skeleton, fps)
    programs.fit(reader)
    for notice in programs.notices:
        console.print(notice, markup=False, soft_wrap=True)
    table = Table(show_edge=False, pad_edge=False, title=counted(len(store), "recording"), title_justify="left")
    table.add_column("attribute", overflow="fold")
    for heading in ("known", "5 %", "median", "95 %", "classes split at", "units"):
        table.add_column(heading, justify="right")
    for cells in _measured_rows(programs, reader):
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    return Measured(store, programs)


def _config(names: Sequence[str], file: Path | None) -> ProgramsConfig:
    known = with_programs_of(ProgramsConfig(), file) if file else ProgramsConfig()
    return replace(known, names=tuple(names))


def _measured_rows(programs: ProgramSet, reader: WindowReader) -> list[tuple[str, ...]]:
    """One row per attribute: share of frames known, quantiles over at most some 400,000 frames, thresholds, units."""
    values = torch.cat([programs.measure(batch)[0] for batch in reader.pieces()])
    rows = []
    for column, (name, units) in enumerate(zip(programs.names, programs.units, strict=True)):
        known = values[:, column][values[:, column].isfinite()]
        # Of an attribute that is known nowhere there are no quantiles.
        levels = ["-"] * len(_SHOWN_QUANTILES)
        if len(known):
            some = known[:: max(1, len(known) // 100_000)]
            levels = [f"{level:.3g}" for level in some.quantile(known.new_tensor(_SHOWN_QUANTILES)).tolist()]
        splits = [edge for edge in programs.thresholds[column].tolist() if edge < torch.finfo(torch.float32).max]
        if not programs.informative[column]:
            splits = []
        shares = f"{len(known) / len(values):.0%}"
        rows.append((name, shares, *levels, ", ".join(f"{edge:.3g}" for edge in splits), units))
    return rows
