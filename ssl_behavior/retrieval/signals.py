"""`Signals`: values of attributes over all rows of a search, kept in memory up to a limit."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.programs.program_set import ProgramSet
from ssl_behavior.programs.recording_blocks import recording_blocks
from ssl_behavior.windows import WindowReader

__all__ = ["Signal", "Signals"]


@dataclass(frozen=True)
class Signal:
    """An attribute of a program, by its name in the program set of this number."""

    number: int
    name: str
    program: str


@dataclass(frozen=True, eq=False)
class _Kept:
    """Values of all rows, one after the other, and which rows are evaluated."""

    values: np.ndarray
    known: np.ndarray


class Signals:
    """Values of attributes, evaluated when they are asked for. Safe to use from several threads.

    Parameters
    ----------
    reader : reads the recordings.
    rows : all rows.
    make_sets : programs and a frame rate -> fitted sets of these programs, by the numbers of `Signal`.
    most_bytes : memory for values that are kept; those not used for longest go first. 0 = none are kept.
    """

    def __init__(
        self,
        reader: WindowReader,
        rows: Sequence[EmbeddingRow],
        make_sets: Callable[[tuple[str, ...], float], Sequence[ProgramSet]],
        most_bytes: int = 0,
    ) -> None:
        self._reader, self._make_sets = reader, make_sets
        self._picks = {row.id: pick for pick, (_, row) in enumerate(reader.sources)}
        self._places = {row.id: place for place, row in enumerate(rows)}
        self._offsets = np.cumsum([0, *(row.frames for row in rows)])
        self._most = most_bytes // (4 * max(1, int(self._offsets[-1])))
        self._kept: OrderedDict[Signal, _Kept] = OrderedDict()
        self._lock = Lock()

    def of(self, rows: Sequence[EmbeddingRow], wanted: Collection[Signal]) -> dict[Signal, list[np.ndarray]]:
        """Values of rows of one recording, float32 [frames] of each; NaN = unknown. Do not change them.

        Raises
        ------
        InputError
            If a program of the user's file fails, or the file has changed.
        """
        places = [self._places[row.id] for row in rows]
        found: dict[Signal, list[np.ndarray]] = {}
        missing: dict[Signal, _Kept | None] = {}
        for signal in wanted:
            kept = self._place_of(signal, wanted)
            if kept is None:
                found[signal] = [np.empty(row.frames, np.float32) for row in rows]
            else:
                found[signal] = [kept.values[self._offsets[place] : self._offsets[place + 1]] for place in places]
            if kept is None or not kept.known[places].all():
                missing[signal] = kept
        if missing:
            self._evaluate(rows, {signal: found[signal] for signal in missing})
        for kept in missing.values():
            if kept is not None:
                kept.known[places] = True
        return found

    def prepare(self, rows: Sequence[EmbeddingRow], wanted: Sequence[Signal]) -> None:
        """Evaluate rows of one recording for later, as many of the signals as can be kept beside those that are."""
        with self._lock:
            others = [signal for signal in wanted if signal not in self._kept]
            room = max(0, self._most - len(self._kept))
            some = [signal for signal in wanted if signal in self._kept] + others[:room]
        self.of(rows, some)

    def _place_of(self, signal: Signal, wanted: Collection[Signal]) -> _Kept | None:
        """Where a signal is kept; None if there is no room beside the others that are wanted."""
        with self._lock:
            if signal not in self._kept:
                old = [one for one in self._kept if one not in wanted]
                while len(self._kept) >= self._most and old:
                    del self._kept[old.pop(0)]
                if len(self._kept) >= self._most:
                    return None
                # Memory is taken where values are written.
                values = np.empty(self._offsets[-1], np.float32)
                self._kept[signal] = _Kept(values, np.zeros(len(self._places), bool))
            self._kept.move_to_end(signal)
            return self._kept[signal]

    def _evaluate(self, rows: Sequence[EmbeddingRow], into: dict[Signal, list[np.ndarray]]) -> None:
        """Write values of rows of one recording."""
        sets = self._make_sets(tuple(dict.fromkeys(signal.program for signal in into)), rows[0].fps)
        used = sorted({signal.number for signal in into})
        columns = {signal: sets[signal.number].names.index(signal.name) for signal in into}
        pick = self._picks[rows[0].recording]
        blocks = recording_blocks([sets[number] for number in used], self._reader, pick, [row.actors for row in rows])
        for start, block in blocks:
            for place, values in enumerate(block):
                for signal, column in columns.items():
                    some = values[used.index(signal.number)][:, column].numpy()
                    into[signal][place][start : start + len(some)] = some
