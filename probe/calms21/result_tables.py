"""Result tables of the benchmark beside the paper's scores: on the screen, in Markdown and in JSON."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table as ScreenTable

from probe.calms21.paper_tables import SEEDS
from probe.calms21.task_runs import SystemRow
from probe.tables import markdown_text, number, row_name
from ssl_behavior.files import atomic_file, write_json, write_text
from ssl_behavior.metrics import Summary
from ssl_behavior.terminal import make_table

__all__ = ["SIMULATED_NOTE", "ResultTable", "screen_table", "write_report"]


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
        write_text(file, _markdown(tables, notes, simulated))
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
