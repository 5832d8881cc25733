"""Results for people: a table on the screen, in Markdown and in CSV."""

import csv
import io
from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from probe.scoring import MacroScores, ResultRow
from ssl_behavior.metrics import Interval, Summary

__all__ = ["csv_text", "markdown_text", "rich_table", "table_cells"]

UNDEFINED = "undefined"
_SIDE_BY_SIDE = 5


def _number(summary: Summary) -> str:
    if summary.mean is None:
        return UNDEFINED
    spread = f" ± {summary.std:.3f}" if summary.num_defined > 1 else ""
    return f"{summary.mean:.3f}{spread}"


def _with_interval(summary: Summary, between: Interval | None) -> str:
    if summary.mean is None or between is None:
        return _number(summary)
    return f"{_number(summary)} [{between.low:.3f}, {between.high:.3f}]"


def _row_name(row: ResultRow, several_fractions: bool) -> str:
    name = row.representation + (", smoothed" if row.smoothed else "")
    if not several_fractions:
        return name
    frames = sum(row.num_train_frames) // len(row.num_train_frames)
    return f"{name}, {row.percent:g} % of the labels ({frames:,} frames)"


def table_cells(rows: Sequence[ResultRow]) -> tuple[list[str], list[list[str]]]:
    """Header and cells: each macro's AP, balanced F1 and F1, then AP per class. † marks undefined classes in a mean."""
    first = rows[0]
    header = ["representation", "dim"]
    for macro in first.macros:
        mean = "macro" if macro.name == "all" else macro.name
        header += [f"{mean} AP", f"{mean} F1 balanced", f"{mean} F1"]
    header += [f"AP {name}" for name in first.classes]
    several = len({row.percent for row in rows}) > 1
    cells = []
    for row in rows:
        mark = " †" if row.undefined else ""
        line = [_row_name(row, several) + mark, str(row.dim)]
        for macro in row.macros:
            line += _macro_cells(macro)
        line += [_number(scores["ap"]) for scores in row.classes.values()]
        cells.append(line)
    return header, cells


def _macro_cells(macro: MacroScores) -> list[str]:
    return [_with_interval(macro.ap, macro.ap_interval), _number(macro.f1_balanced), _number(macro.f1)]


def rich_table(rows: Sequence[ResultRow], title: str) -> Group:
    """The table for the screen: a line for each score, a column for each representation, at most five side by side."""
    header, cells = table_cells(rows)
    tables = []
    for start in range(0, len(cells), _SIDE_BY_SIDE):
        table = Table(title="" if start else title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("", no_wrap=True)
        shown = cells[start : start + _SIDE_BY_SIDE]
        for line in shown:
            table.add_column(Text(line[0]), justify="right")
        for index, name in enumerate(header[1:], start=1):
            # The interval stands below its value.
            table.add_row(Text(name), *(Text(line[index].replace(" [", "\n[")) for line in shown))
        tables.append(table)
    return Group(*tables)


def markdown_text(rows: Sequence[ResultRow], title: str, notes: Sequence[str]) -> str:
    """The table as Markdown, with what one has to know to read it."""
    header, cells = table_cells(rows)
    lines = [f"# {title}", "", "| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    lines += ["| " + " | ".join(line) + " |" for line in cells]
    lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def csv_text(rows: Sequence[ResultRow]) -> str:
    """One line per row, class and score, with mean, standard deviation and number of seeds; undefined is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["representation", "dim", "percent", "smoothed", "class", "score", "mean", "std", "seeds", "low", "high"]
    )
    for row in rows:
        start = [row.representation, row.dim, f"{row.percent:g}", row.smoothed]
        for macro in row.macros:
            for score in ("ap", "f1", "f1_balanced"):
                summary: Summary = getattr(macro, score)
                writer.writerow(
                    [*start, f"macro:{macro.name}", score, *_csv(summary, getattr(macro, f"{score}_interval"))]
                )
        for name, scores in row.classes.items():
            for score, summary in scores.items():
                writer.writerow([*start, name, score, *_csv(summary, None)])
    return text.getvalue()


def _csv(summary: Summary, between: Interval | None) -> list[str]:
    mean, std = ("" if value is None else f"{value:.6f}" for value in (summary.mean, summary.std))
    low, high = ("", "") if between is None else (f"{between.low:.6f}", f"{between.high:.6f}")
    return [mean, std, str(summary.num_defined), low, high]
