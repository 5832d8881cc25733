"""Tables of scores: on the screen, in Markdown and in CSV."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Group

from probe.bout_scores import BRIER, SeedScore
from probe.scores import SCORES, MacroScores, ResultRow
from ssl_behavior.metrics import Interval, Summary
from ssl_behavior.terminal import make_table

__all__ = [
    "bout_cells",
    "bout_summary",
    "class_cells",
    "csv_text",
    "markdown_text",
    "number",
    "rich_table",
    "row_name",
    "table_cells",
]


UNDEFINED = "undefined"
_CSV_HEADER = (
    "representation", "dim", "percent", "smoothed", "tuned", "part", "class", "score", "mean", "std", "seeds", "low",
    "high",
)  # fmt: skip
_SIDE_BY_SIDE = 5
_BY_CLASS = {"f1": "F1", "ap": "AP", "precision": "precision", "recall": "recall", "f1_balanced": "F1 balanced"}
_OF_BOUTS = {
    "f1_10": "F1 at IoU 0.1", "f1_25": "at 0.25", "f1_50": "at 0.5", "f1_75": "at 0.75", "onset": "onset bias (s)",
    "onset_absolute": "onset error (s)", "offset": "offset bias (s)", "offset_absolute": "offset error (s)",
    "fragments": "fragments", "merged": "merged", "true_bouts": "true bouts", "predicted_bouts": "predicted bouts",
}  # fmt: skip
_BOUT_SUMMARY = {
    "f1_50": "F1 at IoU 0.5", "onset_absolute": "onset error (s)", "offset_absolute": "offset error (s)",
    "fragments": "fragments",
}  # fmt: skip


def number(summary: Summary, digits: int = 3) -> str:
    """A mean, with its standard deviation if there are several seeds.

    >>> number(Summary(0.5, 0.25, 2))
    '0.500 ± 0.250'
    """
    if summary.mean is None:
        return UNDEFINED
    spread = f" ± {summary.std:.{digits}f}" if summary.num_defined > 1 else ""
    return f"{summary.mean:.{digits}f}{spread}"


def _with_interval(summary: Summary, between: Interval | None) -> str:
    if summary.mean is None or between is None:
        return number(summary)
    return f"{number(summary)} [{between.low:.3f}, {between.high:.3f}]"


def row_name(row: ResultRow, several_fractions: bool = False) -> str:
    """Representation, postprocessing, and label fraction of a row."""
    name = row.representation + (", smoothed" if row.smoothed else "") + (", tuned" if row.tuned else "")
    if not several_fractions:
        return name
    frames = sum(row.num_train_frames) // len(row.num_train_frames)
    return f"{name}, {row.percent:g} % of the labels ({frames:,} frames)"


def table_cells(rows: Sequence[ResultRow]) -> tuple[list[str], list[list[str]]]:
    """Header and cells: each macro's AP, balanced F1 and F1, AP per class, AP and F1 per annotator.

    † marks undefined classes in a mean.
    """
    first = rows[0]
    header = ["representation", "dim"]
    for average in first.macros:
        mean = "macro" if average.name == "all" else average.name
        header += [f"{mean} AP", f"{mean} F1 balanced", f"{mean} F1"]
    header += [f"AP {name}" for name in first.classes]
    header += [f"{score} {part}" for part in _many_classes(first) for score in ("AP", "F1")]
    several = len({row.percent for row in rows}) > 1
    cells = []
    for row in rows:
        mark = " †" if row.undefined else ""
        line = [row_name(row, several) + mark, str(row.dim or "")]
        for average in row.macros:
            line += _macro_cells(average)
        line += [number(scores["ap"]) for scores in row.classes.values()]
        for part in _many_classes(row).values():
            line += [number(part.macros[0].ap), number(part.macros[0].f1)]
        cells.append(line)
    return header, cells


def _many_classes(row: ResultRow) -> dict[str, ResultRow]:
    """The parts with several classes; parts of one class have the column of that class."""
    return {name: part for name, part in row.parts.items() if len(part.classes) > 1}


def class_cells(rows: Sequence[ResultRow]) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table by class: every score of every class, and its positive frames."""
    several = len({row.percent for row in rows}) > 1
    cells = [
        [row_name(row, several), name, *(number(scores[score]) for score in _BY_CLASS), str(row.support[name])]
        for row in rows
        for name, scores in row.classes.items()
    ]
    return ["representation", "class", *_BY_CLASS.values(), "frames"], cells


def bout_cells(rows: Sequence[ResultRow]) -> tuple[list[str], list[list[str]]]:
    """Header and cells of the table of bouts: scores of the bouts of every class without the background."""
    several = len({row.percent for row in rows}) > 1
    cells = [
        [row_name(row, several), name, *_bout_numbers(scores, _OF_BOUTS), _brier(row, name)]
        for row in rows
        for name, scores in row.bouts.classes.items()
    ]
    return ["representation", "class", *_OF_BOUTS.values(), "Brier score"], cells


def _bout_numbers(scores: Mapping[str, SeedScore], names: Iterable[str]) -> list[str]:
    return [number(scores[name].summary, 0 if name.endswith("_bouts") else 3) for name in names]


def _brier(row: ResultRow, name: str) -> str:
    return number(row.bouts.brier[name].summary) if name in row.bouts.brier else UNDEFINED


def bout_summary(rows: Sequence[ResultRow]) -> Group:
    """The table of bouts for the screen: a line per representation, with means over the classes of the first mean.

    Empty if nothing was learned.
    """
    several = len({row.percent for row in rows}) > 1
    lines = []
    for row in rows:
        scores = row.bouts.macros.get(row.macros[0].name, {})
        if scores:
            lines.append([row_name(row, several), *_bout_numbers(scores, _BOUT_SUMMARY)])
    title = "bouts, mean over classes"
    return Group(make_table(["", *_BOUT_SUMMARY.values()], lines, title)) if lines else Group()


def _macro_cells(macro: MacroScores) -> list[str]:
    return [_with_interval(macro.ap, macro.ap_interval), number(macro.f1_balanced), number(macro.f1)]


def rich_table(rows: Sequence[ResultRow], title: str) -> Group:
    """The table for the screen: a line per score and a column per representation, at most five side by side."""
    header, cells = table_cells(rows)
    tables = []
    for start in range(0, len(cells), _SIDE_BY_SIDE):
        block = cells[start : start + _SIDE_BY_SIDE]
        # The interval stands below its value.
        lines = [
            [name, *(line[index].replace(" [", "\n[") for line in block)] for index, name in enumerate(header[1:], 1)
        ]
        tables.append(make_table(["", *(line[0] for line in block)], lines, "" if start else title))
    return Group(*tables)


def markdown_text(
    rows: Sequence[ResultRow],
    title: str,
    notes: Sequence[str] = (),
    level: int = 1,
    names: tuple[str, str] = ("representation", "dim"),
) -> str:
    """The table as Markdown, with notes for the reader.

    Parameters
    ----------
    level : level of the title; tables below it are one level deeper.
    names : headers of the first two columns.
    """
    above, below = "#" * level, "#" * (level + 1)
    header, cells = table_cells(rows)
    lines = [f"{above} {title}", "", *_markdown_table([*names, *header[2:]], cells), ""]
    lines += [*(f"- {note}" for note in notes), ""] if notes else []
    for name, some in {
        "By class": rows,
        **{name: [row.parts[name] for row in rows] for name in _many_classes(rows[0])},
    }.items():
        header, cells = class_cells(some)
        lines += [f"{below} {name}", "", *_markdown_table([names[0], *header[1:]], cells), ""]
    header, cells = bout_cells(rows)
    if cells:
        lines += [f"{below} Bouts", "", *_markdown_table([names[0], *header[1:]], cells), ""]
    return "\n".join(lines[:-1]) + "\n"


def _markdown_table(header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return lines + ["| " + " | ".join(line) + " |" for line in cells]


def csv_text(rows: Sequence[ResultRow]) -> str:
    """One line per row, part, class and score, with mean, standard deviation and number of seeds.

    Names of bout scores begin with "bout_". Undefined values are empty, and so is the part in lines of the whole task.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_HEADER)
    for row in rows:
        for part, of_part in {"": row, **row.parts}.items():
            writer.writerows(_csv_lines(of_part, part))
    return text.getvalue()


def _csv_lines(row: ResultRow, part: str) -> Iterator[list[object]]:
    start = [row.representation, row.dim, f"{row.percent:g}", row.smoothed, row.tuned, part]
    for average in row.macros:
        for score in SCORES:
            between = getattr(average, f"{score}_interval", None)
            yield [*start, f"macro:{average.name}", score, *_csv(getattr(average, score), between)]
    for name, scores in row.classes.items():
        for score, summary in scores.items():
            yield [*start, name, score, *_csv(summary, None)]
    for name, one in row.bouts.brier.items():
        yield [*start, name, BRIER, *_csv(one.summary, one.interval)]
    macros = {f"macro:{name}": scores for name, scores in row.bouts.macros.items()}
    for name, of_bouts in (macros | dict(row.bouts.classes)).items():
        for score, one in of_bouts.items():
            yield [*start, name, f"bout_{score}", *_csv(one.summary, one.interval)]


def _csv(summary: Summary, between: Interval | None) -> list[str]:
    mean, std = ("" if value is None else f"{value:.6f}" for value in (summary.mean, summary.std))
    low, high = ("", "") if between is None else (f"{between.low:.6f}", f"{between.high:.6f}")
    return [mean, std, str(summary.num_defined), low, high]
