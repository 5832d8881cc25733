"""Search for the bouts that a sentence over task programs describes, such as "following > .7 and speed > 20 cm/s"."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby, pairwise
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from ssl_behavior.arguments import check_number, several, whole_number
from ssl_behavior.bouts import Span
from ssl_behavior.embeddings_folder import EmbeddingRow, rows_by_recording, unit_rows
from ssl_behavior.errors import InputError
from ssl_behavior.mapped_arrays import release_pages
from ssl_behavior.programs import ProgramsConfig, ProgramSet, with_programs_of
from ssl_behavior.programs.attribute_names import AttributeNames
from ssl_behavior.programs.sentence import GAP_SECONDS, LEAST_SECONDS, Sentence, read_sentence
from ssl_behavior.retrieval.bout_list import BoutList
from ssl_behavior.retrieval.calls_under_way import CallsUnderWay
from ssl_behavior.retrieval.signals import Signal, Signals
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store, open_store
from ssl_behavior.terminal import Progress, counted, no_progress, progress_if
from ssl_behavior.units import Unit, check_unit
from ssl_behavior.windows import WindowReader

__all__ = ["FoundBout", "FoundBouts", "SentenceSearch", "find_bouts"]

_SPREAD = 8
"""Recordings that eight bouts and more come from, at least, if the search stops early."""
_TOGETHER = 8_000_000
"""Numbers of one attribute that are evaluated at once, over the rows of a recording."""
_AT_ONCE = 65_536
"""Frames of several rows that are searched at once."""
KEPT_BYTES = 1_000_000_000
"""Memory for values of programs. Those of two animals in 6 million frames take 720 MB."""
_MOST_SETS = 64
"""Sets of programs, each of a frame rate, that are not made again."""
_STAGE = "Searching"


@dataclass(frozen=True, kw_only=True)
class FoundBout(Span):
    """A bout in which a sentence is fulfilled; `recording` is the id of its row.

    Parameters
    ----------
    margin : mean over its frames of how far the tightest condition is exceeded: in body lengths (per second), rad, s,
        or 1 for numbers without unit.
    """

    margin: float


class FoundBouts(BoutList[FoundBout]):
    """Bouts that a sentence describes, the clearest first.

    Parameters
    ----------
    bouts : the bouts.
    rows : row of each bout.
    meaning : how the sentence was read, in one line.
    frames : frames that were looked at, those of each animal or pair counted once for each.
    fulfilled : those of them in a bout.
    recordings, all_recordings : recordings that were looked at, and all.
    """

    def __init__(
        self,
        bouts: Sequence[FoundBout],
        rows: Sequence[EmbeddingRow],
        meaning: str,
        frames: int,
        fulfilled: int,
        recordings: int,
        all_recordings: int,
    ) -> None:
        super().__init__(bouts, rows)
        self.meaning, self.frames, self.fulfilled = meaning, frames, fulfilled
        self.recordings, self.all_recordings = recordings, all_recordings

    @property
    def share(self) -> float:
        """Share of the frames looked at that are in a bout, also in bouts that are not among `bouts`."""
        return self.fulfilled / self.frames if self.frames else 0.0

    def to_frame(self) -> Any:
        """A pandas DataFrame: recording, agent and target where rows have them, frames, seconds, margin.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return self._frame_with(margin="margin")

    def _headline(self) -> str:
        return f"FoundBouts: {counted(len(self), 'bout')} of {self.meaning}"

    def _facts(self) -> list[tuple[str, str]]:
        seen = f"{self.share:.2%} of the frames of {self.recordings:,} of {counted(self.all_recordings, 'recording')}"
        return [("share", seen), *((str(bout), f"{bout.margin:.3f}") for bout in self)]


_Hit = tuple[FoundBout, EmbeddingRow]
_Spans = tuple[np.ndarray, np.ndarray, np.ndarray]
"""First frame, frame after the last, and margin of the bouts of a row, each [bout]."""


@dataclass
class _Found:
    """What the recordings looked at gave: bouts of each, the clearest first, and counts of frames.

    Parameters
    ----------
    k : number of bouts that are wanted; None = all.
    """

    k: int | None
    of_recordings: list[list[_Hit]] = field(default_factory=list)
    frames: int = 0
    fulfilled: int = 0
    usable: int = 0
    """Bouts to choose from, if recordings share them out."""

    def add(self, rows: Iterable[tuple[EmbeddingRow, _Spans]]) -> None:
        """Add the rows of a recording. With `k`, of bouts that overlap in several of them the clearest counts."""
        hits: list[_Hit] = []
        for row, (start, stop, margin) in rows:
            self.frames += row.frames
            self.fulfilled += int((stop - start).sum())
            for one, two, clear in zip(start.tolist(), stop.tolist(), margin.tolist(), strict=True):
                hits.append((FoundBout(row.id, one, two, margin=clear), row))
        hits.sort(key=lambda hit: (-hit[0].margin, hit[0].start))
        self.of_recordings.append(hits if self.k is None else _apart(hits))
        self.usable += min(max(1, (self.k or 0) // _SPREAD), len(self.of_recordings[-1]))

    @property
    def enough(self) -> bool:
        """Whether `k` bouts can be chosen without many from one recording."""
        return self.k is not None and self.usable >= self.k

    def chosen(self) -> list[_Hit]:
        """The clearest of each recording, then the second of each, and so on; the clearest first."""
        ranked = [(place, -one[0].margin, one) for own in self.of_recordings for place, one in enumerate(own)]
        picked = sorted(ranked, key=lambda entry: entry[:2])[: self.k]
        return [one for _, _, one in sorted(picked, key=lambda entry: entry[1])]


def _apart(ranked: list[_Hit]) -> list[_Hit]:
    """Hits of a recording that do not overlap with one before."""
    kept: list[_Hit] = []
    taken: list[Span] = []  # by start; they do not overlap
    for hit in ranked:
        place = bisect_left(taken, hit[0].start, key=lambda span: span.start)
        before, after = taken[max(0, place - 1) : place], taken[place : place + 1]
        if all(one.stop <= hit[0].start for one in before) and all(hit[0].stop <= one.start for one in after):
            taken.insert(place, hit[0])
            kept.append(hit)
    return kept


class SentenceSearch:
    """Search of a store for sentences. The first search fits the body length; later ones begin at once.

    Values of programs are kept: a later sentence over the same programs compares them with its numbers alone.

    Safe to use from several threads.

    Parameters
    ----------
    store : the store.
    rows : rows to search, such as those of embeddings of the store; None = of `unit`, of all recordings.
    unit : what a row describes, where no rows are given.
    programs : Python file with programs of your own.
    others : of three animals or more, toward which other one programs are measured, see `ProgramsConfig`.
    most_bytes : memory for values of programs, which make later sentences over them fast; 0 = none are kept.

    Raises
    ------
    InputError
        If there is no row, a program of the file is not acceptable, or none can run on the skeleton.
    """

    def __init__(
        self,
        store: Store,
        rows: Sequence[EmbeddingRow] | None = None,
        *,
        unit: Unit = "scene",
        programs: str | Path | None = None,
        others: Literal["nearest", "each"] = "nearest",
        most_bytes: int = KEPT_BYTES,
    ) -> None:
        self.store = store
        self.rows = unit_rows(store.rows, unit, store.individuals) if rows is None else list(rows)
        if not self.rows:
            raise InputError(f"{store.path} has no recording to search")
        config = ProgramsConfig() if programs is None else with_programs_of(ProgramsConfig(), programs)
        skeleton = replace(store.skeleton, individuals=store.individuals)
        self.names = AttributeNames(replace(config, others=others), skeleton, self.rows[0].actors.unit)
        self._reader = WindowReader([(store, row) for row in store.rows], 1)
        self._recordings = rows_by_recording(self.rows)
        self._signals = Signals(self._reader, self.rows, self._sets, most_bytes)
        # Checks of the user's programs come before a search.
        self._not_able = self.names.sets[0].check_custom()
        self.names.sets[0].choose_unit(self._reader)
        self._fitting = Lock()
        self._restricted: dict[tuple[tuple[str, ...], float], tuple[ProgramSet, ...]] = {}
        self._searches = CallsUnderWay()

    @property
    def unit(self) -> Literal["px", "cm"]:
        """Unit of lengths in numbers without unit: cm where the scale of every recording is known."""
        return self.names.sets[0].unit

    @cached_property
    def _fitted_length(self) -> float:
        """Body length; NaN where it cannot be measured: programs that need it are then unknown."""
        own = self.names.sets[0]
        try:
            own.fit_body_length(self._reader)
        except InputError:
            return float("nan")
        return float(own.body_length)

    @property
    def body_length(self) -> float:
        """Body length in `unit`, from tail base to neck or center; NaN where it cannot be measured."""
        with self._fitting:
            return self._fitted_length

    def read(self, text: str, *, gap_seconds: float = GAP_SECONDS, least_seconds: float = LEAST_SECONDS) -> Sentence:
        """Read a sentence; nothing is searched. Arguments and errors as for `find`."""
        for argument, value in (("gap_seconds", gap_seconds), ("least_seconds", least_seconds)):
            check_number(value, argument)
            if not (isfinite(value) and value >= 0):
                raise InputError(f"`{argument}` must be a number of seconds from 0, got {value!r}")
        sentence = read_sentence(
            text, self.names, self.unit, gap_seconds=float(gap_seconds), least_seconds=float(least_seconds)
        )
        for condition in sentence.conditions:
            if (name := sentence.reference(condition).facts.name) in self._not_able:
                raise InputError(f"`sentence` {text!r}: {self._not_able[name]}")
        sentence.check_scales([self.store.row(name) for name in self._recordings])
        return sentence

    def find(
        self,
        text: str,
        k: int | None = 10,
        *,
        gap_seconds: float = GAP_SECONDS,
        least_seconds: float = LEAST_SECONDS,
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> FoundBouts:
        """Find the bouts that a sentence describes.

        Recordings are looked at in random order, each as a whole. With `k`, the search stops once so many bouts are
        found in at least eight recordings (or as many as bouts, or in all); each recording gives its clearest bout
        before another gives its second. Of bouts that overlap in the rows of several animals or pairs, the clearest
        counts.

        Parameters
        ----------
        text : the sentence.
        k : number of bouts; None = all, of all recordings.
        gap_seconds : longest gap that does not end a bout.
        least_seconds : shortest bout, where the sentence says no duration ("for .5 s").
        seed : of the order of the recordings.

        Raises
        ------
        InputError
            If the sentence cannot be read, its units need a scale that a recording lacks, or `k` is no number.
        """
        sentence = self.read(text, gap_seconds=gap_seconds, least_seconds=least_seconds)
        if k is not None:
            whole_number(k, "k", 1)
        found, names = _Found(k), self._order(seed)
        with self._searches:
            spans = groupby(self._spans(sentence, names), key=lambda one: one[0].recording)
            for _, of_rows in spans:
                found.add(of_rows)
                progress(_STAGE, 1, len(names))
                if found.enough:
                    progress(_STAGE, len(names) - len(found.of_recordings), len(names))
                    break
        chosen = found.chosen()
        return FoundBouts(
            [bout for bout, _ in chosen], [row for _, row in chosen], sentence.meaning, found.frames, found.fulfilled,
            len(found.of_recordings), len(names),
        )  # fmt: skip

    def prepare(self, going: Callable[[], bool] = lambda: True) -> None:
        """Evaluate programs ahead of the first sentence, as many as are kept; searches go first.

        Parameters
        ----------
        going : False = stop.

        Raises
        ------
        InputError
            If a program of the user's file fails, or the file has changed.
        """
        places = (place for reference in self.names.references.values() for place in reference.places)
        signals = [self._signal(self.names, place.number, place.column) for place in places]
        for rows in self._parts(self._order(0)):
            self._searches.wait_for_none()
            if not going():
                break
            self._signals.prepare(rows, list(dict.fromkeys(signals)))
        release_pages(self.store.keypoints)

    def _order(self, seed: int) -> list[str]:
        names = list(self._recordings)
        return [names[place] for place in numpy_generator(seed, "sentence search").permutation(len(names))]

    def _sets(self, programs: tuple[str, ...], fps: float) -> tuple[ProgramSet, ...]:
        """Sets of some programs at a frame rate, with the fitted numbers."""
        sets = self._restricted.get((programs, fps))
        if sets is None:
            sets = self.names.restricted(programs).sets_at(fps)
            for own in sets:
                own.in_cm.fill_(self.unit == "cm")
                own.body_length.fill_(self.body_length)
            if len(self._restricted) >= _MOST_SETS:
                self._restricted.clear()
            self._restricted[programs, fps] = sets
        return sets

    @staticmethod
    def _signal(names: AttributeNames, number: int, column: int) -> Signal:
        own = names.sets[number]
        return Signal(number, own.names[column], own.attribute_facts[column].name)

    def _parts(self, names: Iterable[str]) -> Iterator[list[EmbeddingRow]]:
        """Rows of one recording each, as many as are evaluated together."""
        for name in names:
            rows = self._recordings[name]
            together = max(1, _TOGETHER // max(1, rows[0].frames))
            yield from (rows[first : first + together] for first in range(0, len(rows), together))

    def _spans(self, sentence: Sentence, names: Iterable[str]) -> Iterator[tuple[EmbeddingRow, _Spans]]:
        """The rows of recordings in order, with their bouts."""
        for rows in _several(self._valued(sentence, names)):
            yield from zip((own.row for own in rows), self._bouts(sentence, rows), strict=True)

    def _valued(self, sentence: Sentence, names: Iterable[str]) -> Iterator["_Valued"]:
        for rows in self._parts(names):
            signals = [self._signals_of(sentence, row) for row in rows]
            wanted = dict.fromkeys(signal for own in signals for some in own for signal in some)
            values = self._signals.of(rows, wanted)
            scale = self.store.row(rows[0].recording).px_per_cm
            for place, (row, own) in enumerate(zip(rows, signals, strict=True)):
                yield _Valued(row, scale, [[values[signal][place] for signal in some] for some in own])

    def _signals_of(self, sentence: Sentence, row: EmbeddingRow) -> list[list[Signal]]:
        """Of each condition those that may fulfill it in a row; none = unknown."""
        references = map(sentence.reference, sentence.conditions)
        return [[self._signal(sentence.names, *place) for place in one.columns(row.actors)] for one in references]

    def _bouts(self, sentence: Sentence, rows: Sequence["_Valued"]) -> Iterator[_Spans]:
        """Bouts of each row, found in all of them at once."""
        first, space = rows[0], sentence.spacing(rows[0].row.fps) if len(rows) > 1 else 0
        stops = np.cumsum([own.row.frames + space for own in rows])
        margins = {}
        for number, condition in enumerate(sentence.conditions):
            planes = [_joined(some, space) for some in zip(*(own.values[number] for own in rows), strict=True)]
            planes = planes or [np.full(stops[-1], np.nan, np.float32)]
            margins[condition] = sentence.margin(condition, planes, first.px_per_cm, self.body_length)
        start, stop, margin = sentence.bouts(margins, first.row.fps)
        edges = np.searchsorted(start, [0, *stops])
        for place, (one, two) in enumerate(pairwise(edges)):
            offset = stops[place] - rows[place].row.frames - space
            yield start[one:two] - offset, stop[one:two] - offset, margin[one:two]


@dataclass(frozen=True, eq=False)
class _Valued:
    """A row with the values that each condition of a sentence needs."""

    row: EmbeddingRow
    px_per_cm: float | None
    values: list[list[np.ndarray]]

    @property
    def kind(self) -> tuple[object, ...]:
        """Rows in which a sentence means the same have the same kind."""
        return self.row.fps, self.px_per_cm, tuple(map(len, self.values))


def _several(rows: Iterable[_Valued]) -> Iterator[list[_Valued]]:
    """Neighboring rows of one kind, as many as are searched at once: of short ones, the calls cost most."""
    some: list[_Valued] = []
    frames = 0
    for own in rows:
        frames += own.row.frames
        if some and (own.kind != some[0].kind or frames > _AT_ONCE):
            yield some
            some, frames = [], own.row.frames
        some.append(own)
    if some:
        yield some


def _joined(values: Sequence[np.ndarray], space: int) -> np.ndarray:
    """Values of several rows, with so many unknown frames after each."""
    if len(values) == 1:
        return values[0]
    gap = np.full(space, np.nan, np.float32)
    return np.concatenate([part for own in values for part in (own, gap)])


def find_bouts(
    store: Store | str | Path,
    sentence: str,
    k: int | None = 10,
    *,
    unit: str = "scene",
    recordings: str | Sequence[str] = (),
    programs: str | Path | None = None,
    others: str = "nearest",
    gap_seconds: float = GAP_SECONDS,
    least_seconds: float = LEAST_SECONDS,
    seed: int = 0,
    verbose: bool = True,
) -> FoundBouts:
    """Find the bouts that a sentence over task programs describes.

    Parameters
    ----------
    store : a store, or its folder.
    sentence : such as "following > .7 and speed.resident > 20 cm/s for .5 s": comparisons (>, <, >=, <=,
        between A and B) of task programs with numbers, joined by and, or, not and parentheses. A program without animal
        is of any animal of a scene, or of the agent of a pair.
    k : number of bouts, spread over recordings; the search stops when it has them. None = all, of all recordings.
    unit : look for bouts of scenes, of each animal ("speed"), or of each ordered pair ("speed.agent").
    recordings : search these recordings alone (ids or globs); empty = all.
    programs : Python file with programs of your own.
    others : of three animals or more, toward which other one programs are measured, see `ProgramsConfig`.
    gap_seconds : longest gap that does not end a bout.
    least_seconds : shortest bout, where the sentence says no duration.
    seed : of the order in which recordings are looked at.
    verbose : print the progress.

    Raises
    ------
    InputError
        If the sentence cannot be read (the message says where), its units need a scale that a recording lacks, or
        another argument does not fit.
    """
    opened = open_store(store)
    ids = several(recordings, "recordings")
    rows = unit_rows(opened.select(ids) if ids else opened.rows, check_unit(unit), opened.individuals)
    if others not in ("nearest", "each"):
        raise InputError(f"`others` must be nearest or each, got {others!r}")
    search = SentenceSearch(
        opened, rows, programs=programs, others="each" if others == "each" else "nearest", most_bytes=0
    )
    with progress_if(verbose) as progress:
        return search.find(
            sentence, k, gap_seconds=gap_seconds, least_seconds=least_seconds, seed=seed, progress=progress
        )
