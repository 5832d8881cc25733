"""Search for the bouts that a sentence over task programs describes, such as "following > .7 and speed > 20 cm/s"."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from ssl_behavior.arguments import check_number, several, whole_number
from ssl_behavior.bouts import Span
from ssl_behavior.embeddings_folder import EmbeddingRow, bout_columns, rows_by_recording, unit_rows
from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, ProgramSet, with_programs_of
from ssl_behavior.programs.attribute_names import AttributeNames
from ssl_behavior.programs.recording_blocks import recording_blocks
from ssl_behavior.programs.sentence import GAP_SECONDS, LEAST_SECONDS, Sentence, read_sentence
from ssl_behavior.programs.sentence_syntax import Comparison
from ssl_behavior.reprs import Described, data_frame
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store, open_store
from ssl_behavior.terminal import Progress, counted, no_progress, progress_if
from ssl_behavior.units import Unit, check_unit
from ssl_behavior.windows import WindowReader

__all__ = ["FoundBout", "FoundBouts", "SentenceSearch", "find_bouts"]

_SPREAD = 8
"""Recordings that eight bouts and more come from, at least, if the search stops early."""
_TOGETHER = 8_000_000
"""Numbers of one condition that are held in memory, over the rows of a recording."""
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


class FoundBouts(Described, Sequence[FoundBout]):
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
        self.bouts, self.rows, self.meaning = tuple(bouts), tuple(rows), meaning
        self.frames, self.fulfilled, self.recordings, self.all_recordings = (
            frames,
            fulfilled,
            recordings,
            all_recordings,
        )

    @property
    def share(self) -> float:
        """Share of the frames looked at that are in a bout, also in bouts that are not among `bouts`."""
        return self.fulfilled / self.frames if self.frames else 0.0

    def __len__(self) -> int:
        return len(self.bouts)

    def __getitem__(self, place: Any) -> Any:
        return self.bouts[place]

    def to_frame(self) -> Any:
        """A pandas DataFrame: recording, agent and target where rows have them, frames, seconds, margin.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        columns = bout_columns(self.rows, [bout.start for bout in self.bouts], [bout.stop for bout in self.bouts])
        return data_frame(columns | {"margin": [bout.margin for bout in self.bouts]})

    def _headline(self) -> str:
        return f"FoundBouts: {counted(len(self), 'bout')} of {self.meaning}"

    def _facts(self) -> list[tuple[str, str]]:
        seen = f"{self.share:.2%} of the frames of {self.recordings:,} of {counted(self.all_recordings, 'recording')}"
        return [("share", seen), *((str(bout), f"{bout.margin:.3f}") for bout in self)]


_Hit = tuple[FoundBout, EmbeddingRow]


@dataclass
class _Found:
    """What the recordings looked at gave: bouts of each, the clearest first, and counts of frames."""

    of_recordings: list[list[_Hit]]
    frames: int = 0
    fulfilled: int = 0

    def add(self, hits: list[_Hit], one_a_moment: bool) -> None:
        """Add the bouts of a recording.

        Parameters
        ----------
        one_a_moment : of bouts that overlap in the rows of several animals or pairs, keep the clearest.
        """
        ranked = sorted(hits, key=lambda hit: (-hit[0].margin, hit[0].start))
        self.of_recordings.append(_apart(ranked) if one_a_moment else ranked)

    def enough(self, k: int | None) -> bool:
        """Whether `k` bouts can be chosen without many from one recording."""
        if k is None:
            return False
        from_each = max(1, k // _SPREAD)
        return sum(min(from_each, len(own)) for own in self.of_recordings) >= k

    def chosen(self, k: int | None) -> list[_Hit]:
        """The clearest of each recording, then the second of each, and so on; the clearest first."""
        ranked = [(place, -one[0].margin, one) for own in self.of_recordings for place, one in enumerate(own)]
        picked = sorted(ranked, key=lambda entry: entry[:2])[:k]
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

    Safe to use from several threads.

    Parameters
    ----------
    store : the store.
    rows : rows to search, such as those of embeddings of the store; None = of `unit`, of all recordings.
    unit : what a row describes, where no rows are given.
    programs : Python file with programs of your own.
    others : of three animals or more, toward which other one programs are measured, see `ProgramsConfig`.

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
    ) -> None:
        self.store = store
        self.rows = unit_rows(store.rows, unit, store.individuals) if rows is None else list(rows)
        if not self.rows:
            raise InputError(f"{store.path} has no recording to search")
        config = ProgramsConfig() if programs is None else with_programs_of(ProgramsConfig(), programs)
        skeleton = replace(store.skeleton, individuals=store.individuals)
        self.names = AttributeNames(replace(config, others=others), skeleton, self.rows[0].actors.unit)
        self._reader = WindowReader([(store, row) for row in store.rows], 1)
        self._picks = {row.id: pick for pick, row in enumerate(store.rows)}
        # Checks of the user's programs come before a search.
        self._not_able = self.names.sets[0].check_custom()
        self.names.sets[0].choose_unit(self._reader)
        self._fitting = Lock()

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
        sentence.check_scales([self.store.row(name) for name in dict.fromkeys(row.recording for row in self.rows)])
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
        recordings = rows_by_recording(self.rows)
        names, found, sets = list(recordings), _Found([]), dict[float, tuple[ProgramSet, ...]]()
        for place in numpy_generator(seed, "sentence search").permutation(len(names)):
            rows = recordings[names[place]]
            if (fps := rows[0].fps) not in sets:
                sets[fps] = self._sets(sentence, fps)
            found.add(self._search(sentence, sets[fps], rows, found), one_a_moment=k is not None)
            progress(_STAGE, 1, len(names))
            if found.enough(k):
                progress(_STAGE, len(names) - len(found.of_recordings), len(names))
                break
        chosen, looked = found.chosen(k), len(found.of_recordings)
        return FoundBouts(
            [bout for bout, _ in chosen], [row for _, row in chosen], sentence.meaning, found.frames, found.fulfilled,
            looked, len(names),
        )  # fmt: skip

    def _sets(self, sentence: Sentence, fps: float) -> tuple[ProgramSet, ...]:
        """Program sets of a sentence at a frame rate, with the fitted numbers."""
        sets = sentence.names.sets_at(fps)
        for own in sets:
            own.in_cm.fill_(self.unit == "cm")
            own.body_length.fill_(self.body_length)
        return sets

    def _search(
        self, sentence: Sentence, sets: Sequence[ProgramSet], rows: Sequence[EmbeddingRow], found: _Found
    ) -> list[_Hit]:
        """The bouts of a recording; its frames are counted."""
        own: list[_Hit] = []
        together = max(1, _TOGETHER // max(1, rows[0].frames))
        for first in range(0, len(rows), together):
            for row, margins in self._margins(sentence, sets, rows[first : first + together]):
                start, stop, margin = sentence.bouts(margins, row.fps)
                own += [
                    (FoundBout(row.id, int(one), int(two), margin=float(clear)), row)
                    for one, two, clear in zip(start, stop, margin, strict=True)
                ]
                found.frames += row.frames
                found.fulfilled += int((stop - start).sum())
        return own

    def _margins(
        self, sentence: Sentence, sets: Sequence[ProgramSet], rows: Sequence[EmbeddingRow]
    ) -> Iterator[tuple[EmbeddingRow, dict[Comparison, np.ndarray]]]:
        """Margins of each condition, float32 [frames], for rows of one recording."""
        pick = self._picks[rows[0].recording]
        px_per_cm = self.store.rows[pick].px_per_cm
        places = [
            {condition: sentence.reference(condition).columns(row.actors) for condition in sentence.conditions}
            for row in rows
        ]
        # Sets that no condition of these rows needs are not computed.
        used = sorted({number for own in places for columns in own.values() for number, _ in columns})
        made = [
            {condition: np.full(row.frames, np.nan, np.float32) for condition in sentence.conditions} for row in rows
        ]
        blocks = recording_blocks([sets[number] for number in used], self._reader, pick, [row.actors for row in rows])
        for start, block in blocks if used else ():
            for own, columns_of, values in zip(made, places, block, strict=True):
                for condition, columns in columns_of.items():
                    planes = [values[used.index(number)][:, column].numpy() for number, column in columns]
                    if planes:
                        margin = sentence.margin(condition, planes, px_per_cm, self.body_length)
                        own[condition][start : start + len(margin)] = margin
        return iter(zip(rows, made, strict=True))


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
    search = SentenceSearch(opened, rows, programs=programs, others="each" if others == "each" else "nearest")
    with progress_if(verbose) as progress:
        return search.find(
            sentence, k, gap_seconds=gap_seconds, least_seconds=least_seconds, seed=seed, progress=progress
        )
