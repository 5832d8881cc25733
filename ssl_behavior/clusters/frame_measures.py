"""Quantities of every frame that describe clusters: values of task programs, and the share of observed keypoints.

A program with a left and a right (turning clockwise) is measured twice, with its sign and by its size alone, because a
cluster of turns to both sides has a mean of zero.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.programs.program import ProgramFacts
from ssl_behavior.programs.program_set import robust_spread
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import Store, StoreRow, common_fps
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["GREATER", "LESSER", "PAIR", "SEEN", "Measure", "Measures", "fit_measures"]

GREATER, LESSER, PAIR = "greater", "lesser", ""
"""Subject of a measure: the greater or lesser value of two anonymous animals, the pair, or an animal's name."""

SEEN = "points_seen"
_BLOCK_FRAMES = 16_384
# Programs look back (5 s since a contact) and a little ahead (half the lag of a velocity).
_BEFORE_SECONDS, _AFTER_SECONDS = 6.0, 1.0
_BINS = 512
_CLIP = 4.0


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure, a column of values.

    Parameters
    ----------
    name : e.g. "speed.resident", "turning.size.greater", "body_gap".
    program : name of the program; `SEEN` is no program but the share of observed keypoints.
    of : subject, see `GREATER`.
    units : e.g. "px/s".
    description : the program's description.
    size : True for the value without its sign.
    """

    name: str
    program: str
    of: str
    units: str
    description: str
    size: bool = False


_SEEN = Measure(
    name=SEEN, program=SEEN, of=PAIR, units="share", description="The share of all keypoints that the tracker gives."
)


@dataclass(frozen=True, eq=False)
class Measures:
    """Measures fitted to some recordings.

    Parameters
    ----------
    reader : reader of the recordings, in the order of the clustering.
    programs : the fitted programs, or None where they cannot be measured.
    measures : the columns that are not constant.
    columns : their numbers among all columns.
    center, spread : median over the recordings, and standard deviation estimated from quantiles, of each measure.
    edges : edges of histogram bins, float64 [measure, 513]; infinite at both ends.
    notes : measures left out and reasons, a sentence each.
    """

    reader: WindowReader
    programs: ProgramSet | None
    measures: tuple[Measure, ...]
    columns: Int[Tensor, " measure"]
    center: np.ndarray
    spread: np.ndarray
    edges: np.ndarray
    notes: tuple[str, ...]

    @property
    def unit(self) -> str:
        """px or cm."""
        return "px" if self.programs is None else self.programs.unit

    @property
    def body_length(self) -> float:
        """Distance from the tail base to the neck or center, in the unit; NaN where it was not measured."""
        return float("nan") if self.programs is None else float(self.programs.body_length)

    def standardized(self, values: np.ndarray) -> np.ndarray:
        """(value - center) / spread, clipped to ±4, so that tracking errors do not dominate a mean. NaN stays."""
        return np.clip((values - self.center) / self.spread, -_CLIP, _CLIP)

    def blocks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """(recording number, first frame, values float64 [frames, measure]) of all frames in order; NaN = missing.

        Each block is read with a margin of some seconds on both sides, which built-in programs look back at.
        """
        for pick, (_, row) in enumerate(self.reader.sources):
            before, after = round(_BEFORE_SECONDS * row.fps), round(_AFTER_SECONDS * row.fps)
            for start in range(0, row.frames, _BLOCK_FRAMES):
                stop = min(start + _BLOCK_FRAMES, row.frames)
                first, last = max(0, start - before), min(row.frames, stop + after)
                batch = self.reader.read([(pick, first, last - first)])
                values = _all_values(self.programs, batch)[start - first : stop - first, self.columns]
                yield pick, start, values.numpy().astype(np.float64)


def fit_measures(store: Store, rows: Sequence[StoreRow], config: ProgramsConfig | None = None) -> Measures:
    """Fit the programs and the statistics of their values to some recordings of a store.

    Where the built-in programs cannot be measured (one animal, no tail base, everything missing), `notes` says why.

    Raises
    ------
    InputError
        If there is no recording, or a user's program is not acceptable.
    """
    config = config or ProgramsConfig()
    reader = WindowReader([(store, row) for row in rows], 1)
    programs, notes = _fitted(config, reader, store.skeleton)
    known = _columns(programs, store.individuals, store.skeleton)
    values = torch.cat([_all_values(programs, batch) for batch in reader.pieces()])
    fits = [
        (column, measure, fit)
        for column, measure in enumerate(known)
        if measure is not None and (fit := _fit_column(values[:, column])) is not None
    ]
    return Measures(
        reader=reader,
        programs=programs,
        measures=tuple(measure for _, measure, _ in fits),
        columns=torch.tensor([column for column, _, _ in fits], dtype=torch.int64),
        center=np.array([center for _, _, (center, _, _) in fits]),
        spread=np.array([spread for _, _, (_, spread, _) in fits]),
        edges=np.array([edges for _, _, (_, _, edges) in fits]).reshape(len(fits), _BINS + 1),
        notes=notes,
    )


def _fit_column(values: Float[Tensor, " frames"]) -> tuple[float, float, np.ndarray] | None:
    """Median, spread and bin edges; None for values that are always missing or constant."""
    ordered = values[values.isfinite()].double().sort().values
    spread = robust_spread(ordered) if len(ordered) else 0.0
    if spread <= 0:
        return None
    return float(ordered[(len(ordered) - 1) // 2]), spread, _edges(ordered)


def _fitted(
    config: ProgramsConfig, reader: WindowReader, skeleton: Skeleton
) -> tuple[ProgramSet | None, tuple[str, ...]]:
    rows = [row for _, row in reader.sources]
    try:
        fps = common_fps(rows, "cluster the recordings of each frame rate separately")
        programs = ProgramSet(config, skeleton, fps)
        programs.fit(reader)
    except InputError as error:
        if config.file:
            raise
        return None, (f"no program is measured: {error}",)
    return programs, tuple(programs.notices)


def _columns(programs: ProgramSet | None, individuals: Sequence[str], skeleton: Skeleton) -> list[Measure | None]:
    """Measures of the columns of `_all_values`; None for uninformative columns."""
    if programs is None:
        return [_SEEN]
    names = dict(zip(skeleton.individuals, individuals, strict=True))
    columns: list[Measure | None] = []
    for name, facts, units in zip(programs.names, programs.attribute_facts, programs.units, strict=True):
        of = name.removeprefix(facts.name).removeprefix(".")
        of = of if skeleton.exchangeable else names.get(of, of)
        columns.append(
            Measure(
                name=f"{facts.name}.{of}" if of else facts.name, program=facts.name, of=of, units=units,
                description=facts.description,
            )
        )  # fmt: skip
    informative = programs.informative.tolist()
    columns = [column if varies else None for column, varies in zip(columns, informative, strict=True)]
    return [*columns, *(_size_of(columns[column]) for column in _handed(programs)), _SEEN]


def _size_of(measure: Measure | None) -> Measure | None:
    if measure is None:
        return None
    name = f"{measure.program}.size" + (f".{measure.of}" if measure.of else "")
    return Measure(
        name=name, program=measure.program, of=measure.of, units=measure.units, description=measure.description,
        size=True,
    )  # fmt: skip


def _handed(programs: ProgramSet) -> list[int]:
    """Columns of angles that a reflection changes: they have a left and a right."""
    return [
        column
        for column, facts in enumerate(programs.attribute_facts)
        if "reflection" not in facts.invariant and facts.units.startswith("rad")
    ]


def _all_values(programs: ProgramSet | None, batch: WindowBatch) -> Float[Tensor, "time column"]:
    """All columns of a batch of one: programs, sizes of columns with a left and a right, share of observed points."""
    seen = batch.observed[0].flatten(1).to(batch.keypoints.dtype).mean(dim=1, keepdim=True)
    if programs is None:
        return seen
    values = programs.measure(batch)[0]
    handed = _handed(programs)
    sizes = values[:, handed].abs()
    if programs.skeleton.exchangeable:
        sizes = _ordered(sizes, [programs.attribute_facts[column] for column in handed])
    return torch.cat([values, sizes, seen], dim=1)


def _ordered(sizes: Float[Tensor, "time column"], facts: Sequence[ProgramFacts]) -> Float[Tensor, "time column"]:
    """Sizes of two anonymous animals, the greater first; it can belong to the lesser value."""
    columns, place = [], 0
    while place < len(facts):
        if facts[place].each_animal:
            pair = sizes[:, place : place + 2]
            columns += [pair.amax(dim=1), pair.amin(dim=1)]
            place += 2
        else:
            columns.append(sizes[:, place])
            place += 1
    return torch.stack(columns, dim=1) if columns else sizes


def _edges(ordered: Float[Tensor, " frames"]) -> np.ndarray:
    """Quantiles that split the values into bins of about equal counts, infinite at both ends."""
    places = torch.linspace(0, len(ordered) - 1, _BINS + 1)[1:-1].round().long()
    return np.concatenate([[-np.inf], ordered[places].numpy(), [np.inf]])
