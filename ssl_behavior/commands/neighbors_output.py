"""Table of `ssl-behavior neighbors`, on the screen and in a file."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from ssl_behavior.embedding import Embeddings
from ssl_behavior.files import atomic_file
from ssl_behavior.retrieval import NearBout
from ssl_behavior.store import Store

__all__ = ["Line", "bouts_table", "line_of", "write_bouts"]


@dataclass(frozen=True)
class Line:
    """A row of the table: a bout and its labels.

    Parameters
    ----------
    labels : label stream -> (most common label of the bout's frames, share of the frames); "" = not annotated.
    """

    rank: int
    bout: NearBout
    fps: float
    labels: Mapping[str, tuple[str, float]]

    @property
    def start_s(self) -> float:
        return self.bout.start / self.fps

    @property
    def stop_s(self) -> float:
        return self.bout.stop / self.fps


def line_of(rank: int, bout: NearBout, embeddings: Embeddings, store: Store | None) -> Line:
    """A row for a bout, with labels from a store."""
    return Line(rank, bout, embeddings.row(bout.recording).fps, {} if store is None else _labels(bout, store))


def _labels(bout: NearBout, store: Store) -> dict[str, tuple[str, float]]:
    row, labels = store.row(bout.recording), {}
    for name, stream in store.streams.items():
        own = store.labels(name)[row.offset + bout.start : row.offset + bout.stop]
        values, counts = np.unique(own, return_counts=True)
        most = int(values[np.argmax(counts)])
        labels[name] = ("" if most < 0 else stream.vocabulary[most], float(counts.max() / len(own)))
    return labels


def bouts_table(lines: Sequence[Line]) -> Table:
    """A row per bout."""
    table = Table()
    for name in ("", "recording", "frames", "from", "lasts", "nearest", "distance"):
        table.add_column(name, justify="left" if name == "recording" else "right")
    # Text, not str: rich would read names in brackets as markup.
    for name in lines[0].labels if lines else ():
        table.add_column(Text(name))
    for line in lines:
        bout = line.bout
        cells = [str(line.rank), bout.recording, f"{bout.start}-{bout.stop}", _clock(line.start_s)]
        cells += [f"{line.stop_s - line.start_s:.1f} s", str(bout.frame), f"{bout.distance:.3f}"]
        cells += [f"{name} {share:.0%}" if name else "not annotated" for name, share in line.labels.values()]
        table.add_row(*map(Text, cells))
    return table


def _clock(seconds: float) -> str:
    """Minutes and seconds of a recording.

    >>> _clock(3725.26)
    '62:05.3'
    """
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def write_bouts(path: Path, lines: Sequence[Line]) -> None:
    """Write a line per bout, with two columns for each label stream; whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    names = ["rank", "recording", "start_frame", "stop_frame", "start_s", "stop_s", "nearest_frame", "distance"]
    streams = list(lines[0].labels) if lines else []
    with atomic_file(path, "csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, *(column for name in streams for column in (name, f"{name}_share"))])
        for line in lines:
            bout, seconds = line.bout, (f"{line.start_s:.3f}", f"{line.stop_s:.3f}")
            labels = [cell for name, share in line.labels.values() for cell in (name, f"{share:.4f}")]
            own = [line.rank, bout.recording, bout.start, bout.stop, *seconds, bout.frame, f"{bout.distance:.5f}"]
            writer.writerow([*own, *labels])
