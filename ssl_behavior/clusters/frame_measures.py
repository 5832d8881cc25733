"""Quantities of every frame that describe clusters: values of task programs, and the share of observed keypoints.

A program with a left and a right (turning clockwise) is measured twice, with its sign and by its size alone, because a
cluster of turns to both sides has a mean of zero. Embeddings of animals and of ordered pairs are measured for each of
their rows: an animal by itself and toward its nearest, a pair as agent and target.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.programs.program import ProgramFacts
from ssl_behavior.programs.program_set import FITTING_FRAMES, robust_spread
from ssl_behavior.programs.recording_blocks import AFTER_SECONDS, BEFORE_SECONDS, pairs_of_actors
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import Store, StoreRow, common_fps
from ssl_behavior.units import Actors, Unit, actors_of
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = [
    "AGENT",
    "ANIMAL",
    "GREATER",
    "GREATEST",
    "GREATEST_OF_PAIRS",
    "LEAST",
    "LEAST_OF_PAIRS",
    "LESSER",
    "PAIR",
    "SEEN",
    "TARGET",
    "Measure",
    "Measures",
    "fit_measures",
    "with_nearest",
]

GREATER, LESSER, PAIR = "greater", "lesser", ""
"""Subject of a measure: the greater or lesser value of two anonymous animals, the pair, or an animal's name."""

GREATEST, LEAST, GREATEST_OF_PAIRS, LEAST_OF_PAIRS = "greatest", "least", "greatest of pairs", "least of pairs"
"""The same of three anonymous animals or more, where a value is of an animal, or of two together."""

ANIMAL, AGENT, TARGET = "the animal", "the agent", "the target"
"""The same of an embedding of animals, and of ordered pairs."""

SEEN = "points_seen"
_BLOCK_FRAMES = 16_384
_BINS = 512
_CLIP = 4.0


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure, a column of values.

    Parameters
    ----------
    name : e.g. "speed.resident", "turning.size.greater", "body_gap".
    program : name of the program; `SEEN` is no program but the share of observed keypoints.
    of : subject, see `GREATER`; of two named animals "m1 and m2", and of one toward another "m1 → m2".
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
    reader : reader of the recordings.
    rows : for each row of the clustering, the number of its recording in the reader, and its animals.
    meter : what computes all columns.
    measures : the columns that are not constant.
    columns : their numbers among all columns.
    center, spread : median over the recordings, and standard deviation estimated from quantiles, of each measure.
    edges : edges of histogram bins, float64 [measure, 513]; infinite at both ends.
    notes : measures left out and reasons, a sentence each.
    """

    reader: WindowReader
    rows: tuple[tuple[int, Actors], ...]
    meter: "_Meter"
    measures: tuple[Measure, ...]
    columns: Int[Tensor, " measure"]
    center: np.ndarray
    spread: np.ndarray
    edges: np.ndarray
    notes: tuple[str, ...]

    @property
    def programs(self) -> ProgramSet | None:
        """The fitted programs; None where they cannot be measured."""
        return self.meter.programs

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
        """(row number, first frame, values float64 [frames, measure]) of all frames in order; NaN = missing.

        Each block is read with a margin of some seconds on both sides, which built-in programs look back at.
        """
        for number, (pick, actors) in enumerate(self.rows):
            row = self.reader.sources[pick][1]
            before, after = round(BEFORE_SECONDS * row.fps), round(AFTER_SECONDS * row.fps)
            for start in range(0, row.frames, _BLOCK_FRAMES):
                stop = min(start + _BLOCK_FRAMES, row.frames)
                first, last = max(0, start - before), min(row.frames, stop + after)
                batch = self.reader.read([(pick, first, last - first)])
                values = self.meter.values(batch, actors)[start - first : stop - first, self.columns]
                yield number, start, values.numpy().astype(np.float64)


def fit_measures(
    store: Store,
    rows: Sequence[StoreRow],
    config: ProgramsConfig | None = None,
    actors: Sequence[Actors] | None = None,
) -> Measures:
    """Fit the programs and the statistics of their values to some recordings of a store.

    Where the built-in programs cannot be measured (no tail base, everything missing), `notes` says why.

    Parameters
    ----------
    rows : recordings; those of animals or pairs come once for each.
    actors : the animals of each row, all of one unit; None = scenes.

    Raises
    ------
    InputError
        If there is no recording, or a user's program is not acceptable.
    """
    config = config or ProgramsConfig()
    actors = actors or [Actors()] * len(rows)
    unit = _unit(actors, store)
    recordings = {row.id: row for row in rows}
    reader = WindowReader([(store, row) for row in recordings.values()], 1)
    programs, notes = _fitted(config, reader, replace(store.skeleton, individuals=store.individuals), unit)
    meter = _Meter(programs, _of_each_animal(programs), store.individuals)
    known = _columns(programs)
    values = _fitting_values(meter, reader, unit)
    fits = [
        (column, measure, fit)
        for column, measure in enumerate(known)
        if measure is not None and (fit := _fit_column(values[:, column])) is not None
    ]
    return Measures(
        reader=reader,
        rows=tuple((list(recordings).index(row.id), own) for row, own in zip(rows, actors, strict=True)),
        meter=meter,
        measures=tuple(measure for _, measure, _ in fits),
        columns=torch.tensor([column for column, _, _ in fits], dtype=torch.int64),
        center=np.array([center for _, _, (center, _, _) in fits]),
        spread=np.array([spread for _, _, (_, spread, _) in fits]),
        edges=np.array([edges for _, _, (_, _, edges) in fits]).reshape(len(fits), _BINS + 1),
        notes=notes,
    )


def _unit(actors: Sequence[Actors], store: Store) -> Unit:
    """What the measures describe. A pair of a single animal with itself is an animal."""
    unit = actors[0].unit if actors else "scene"
    assert all(own.unit == unit for own in actors)
    return "animal" if unit == "pair" and len(store.individuals) == 1 else unit


def _fitting_values(meter: "_Meter", reader: WindowReader, unit: Unit) -> Float[Tensor, "frames column"]:
    """Values of pieces of the recordings, of every animal or pair of the unit."""
    return torch.cat(
        [
            meter.values(batch, actors)
            for batch in reader.pieces(FITTING_FRAMES // len(actors_of(unit, meter.individuals)))
            for actors in meter.actors_in(batch, unit)
        ]
    )


def _fit_column(values: Float[Tensor, " frames"]) -> tuple[float, float, np.ndarray] | None:
    """Median, spread and bin edges; None for values that are always missing or constant."""
    ordered = values[values.isfinite()].double().sort().values
    spread = robust_spread(ordered) if len(ordered) else 0.0
    if spread <= 0:
        return None
    return float(ordered[(len(ordered) - 1) // 2]), spread, _edges(ordered)


def _fitted(
    config: ProgramsConfig, reader: WindowReader, skeleton: Skeleton, unit: Unit
) -> tuple[ProgramSet | None, tuple[str, ...]]:
    rows = [row for _, row in reader.sources]
    try:
        fps = common_fps(rows, "cluster the recordings of each frame rate separately")
        programs = ProgramSet(config, skeleton, fps, unit)
        programs.fit(reader)
    except InputError as error:
        if config.file:
            raise
        return None, (f"no program is measured: {error}",)
    return programs, tuple(programs.notices)


def _of_each_animal(programs: ProgramSet | None) -> ProgramSet | None:
    """The programs with a left and a right, of each of three anonymous animals or more."""
    if programs is None or programs.layout.unit != "scene" or programs.skeleton.num_individuals < 3:
        return None
    names = dict.fromkeys(programs.attribute_facts[column].name for column in _handed(programs))
    if not programs.skeleton.exchangeable or not names:
        return None
    config, skeleton = replace(programs.config, names=tuple(names)), replace(programs.skeleton, exchangeable=False)
    each = ProgramSet(config, skeleton, programs.fps)
    each.body_length.copy_(programs.body_length)
    each.in_cm.copy_(programs.in_cm)
    return each


def _columns(programs: ProgramSet | None) -> list[Measure | None]:
    """Measures of the columns of `_all_values`; None for uninformative columns."""
    if programs is None:
        return [_SEEN]
    columns: list[Measure | None] = [
        Measure(
            name=name, program=facts.name, of=_subject_of(programs, facts, subject), units=units,
            description=facts.description,
        )
        for name, facts, subject, units in zip(
            programs.names, programs.attribute_facts, programs.subjects, programs.units, strict=True
        )
    ]  # fmt: skip
    informative = programs.informative.tolist()
    columns = [column if varies else None for column, varies in zip(columns, informative, strict=True)]
    return [*columns, *(_size_of(columns[column]) for column in _handed(programs)), _SEEN]


def _subject_of(programs: ProgramSet, facts: ProgramFacts, subject: tuple[str, ...]) -> str:
    """Subject of a measure, see `Measure.of`."""
    layout = programs.layout
    of_two = not facts.each_animal and facts.needs_other
    if layout.unit == "pair":
        return {(): PAIR, ("agent",): AGENT, ("target",): TARGET}[subject]
    if layout.unit == "animal":
        return ANIMAL if not of_two else PAIR if layout.number == 2 else with_nearest(ANIMAL)
    if layout.number > 2 and layout.anonymous:
        greatest, least = (GREATEST_OF_PAIRS, LEAST_OF_PAIRS) if of_two else (GREATEST, LEAST)
        return greatest if subject == ("greatest",) else least
    if len(subject) == 2:
        return f"{subject[0]} and {subject[1]}" if of_two else str(Actors(agent=subject[0], target=subject[1]))
    name = "".join(subject)
    return with_nearest(name) if of_two and layout.number > 2 else name


def with_nearest(name: str) -> str:
    """Subject of a measure of an animal together with its nearest.

    >>> with_nearest("m1")
    'm1 and its nearest'
    """
    return f"{name} and its nearest"


def _size_of(measure: Measure | None) -> Measure | None:
    if measure is None:
        return None
    name = f"{measure.program}.size{measure.name.removeprefix(measure.program)}"
    return replace(measure, name=name, size=True)


def _handed(programs: ProgramSet) -> list[int]:
    """Columns of angles that a reflection changes: they have a left and a right."""
    return [
        column
        for column, facts in enumerate(programs.attribute_facts)
        if "reflection" not in facts.invariant and facts.units.startswith("rad")
    ]


@dataclass(frozen=True, eq=False)
class _Meter:
    """Computes all columns.

    Parameters
    ----------
    programs : the fitted programs, None where they cannot be measured.
    each : see `_of_each_animal`.
    individuals : names of the animals in the store.
    """

    programs: ProgramSet | None
    each: ProgramSet | None
    individuals: tuple[str, ...]

    def values(self, batch: WindowBatch, actors: Actors) -> Float[Tensor, "time column"]:
        """Programs, sizes of columns with a left and a right, and the share of observed points, of a batch of one."""
        seen = batch.observed[0][:, self._described(batch, actors)]
        share = seen.flatten(1).to(batch.keypoints.dtype).mean(dim=1, keepdim=True)
        if self.programs is None:
            return share
        pairs = pairs_of_actors(batch.present, self.individuals, actors)
        values = self.programs.measure(batch, pairs)[0]
        return torch.cat([values, self._sizes(self.programs, values, batch), share], dim=1)

    def actors_in(self, batch: WindowBatch, unit: Unit) -> list[Actors]:
        """The rows that a recording has in an embedding of this unit."""
        there = zip(self.individuals, batch.present[0].tolist(), strict=True)
        return actors_of(unit, [name for name, present in there if present])

    def _described(self, batch: WindowBatch, actors: Actors) -> Bool[Tensor, " individual"]:
        if not actors.agent:
            return batch.present[0]
        return torch.tensor([name in (actors.agent, actors.target) for name in self.individuals])

    def _sizes(
        self, programs: ProgramSet, values: Float[Tensor, "time attribute"], batch: WindowBatch
    ) -> Float[Tensor, "time size"]:
        if self.each is not None:
            return _extreme_sizes(self.each, batch)
        handed = _handed(programs)
        sizes = values[:, handed].abs()
        if programs.layout.unit == "scene" and programs.layout.anonymous:
            return _ordered(sizes, [programs.attribute_facts[column] for column in handed])
        return sizes


def _extreme_sizes(each: ProgramSet, batch: WindowBatch) -> Float[Tensor, "time size"]:
    """The greatest and the least size of every program, over the animals or pairs for which it is known."""
    sizes, columns = each.measure(batch)[0].abs(), []
    for name in each.config.names:
        own = [sizes[:, column] for column, facts in enumerate(each.attribute_facts) if facts.name == name]
        columns += [reduce(torch.fmax, own), reduce(torch.fmin, own)]
    return torch.stack(columns, dim=1)


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
