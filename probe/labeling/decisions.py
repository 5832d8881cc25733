"""`Decisions`: what the log of a project says about every frame, kept up to date with new events."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from probe.labeling.project import Event
from ssl_behavior.bouts import runs

__all__ = ["NO", "OPEN", "UNSURE", "YES", "Counts", "Decisions", "spans_of"]

OPEN, NO, YES, UNSURE = -1, 0, 1, 2
"""State of a frame: no decision, or the latest one."""

_STATES = {"no": NO, "yes": YES, "unsure": UNSURE}
_ANSWERS = ("answer", "edit")


@dataclass(frozen=True)
class Counts:
    """Numbers of answers about a behavior, and of random draws that were answered yes or no."""

    yes: int = 0
    no: int = 0
    unsure: int = 0
    random: int = 0

    @property
    def answers(self) -> int:
        """All answers."""
        return self.yes + self.no + self.unsure


@dataclass
class _History:
    """Actions of one annotator about one behavior, in order: those that count, and those that were undone last."""

    done: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)

    def follow(self, event: Event) -> None:
        if event.kind == "undo":
            if event.action in self.done:
                self.done.remove(event.action)
                self.undone.append(event.action)
        elif event.kind == "redo":
            if event.action in self.undone:
                self.undone.remove(event.action)
                self.done.append(event.action)
        elif event.action not in self.done:
            self.done.append(event.action)
            self.undone.clear()


class Decisions:
    """State of every frame: the latest decision that covers it and was not undone.

    Parameters
    ----------
    frames : row of the embeddings -> its number of frames.

    Attributes
    ----------
    last : number of the last event that is in.
    """

    def __init__(self, frames: Mapping[str, int]) -> None:
        self._frames = dict(frames)
        self._events: list[Event] = []
        self._draws: dict[str, list[Event]] = {}
        self._undone: set[str] = set()
        self._states: dict[tuple[str, str], np.ndarray] = {}
        self._histories: dict[tuple[str, str], _History] = {}
        self._versions: dict[str, int] = {}
        self._thresholds: dict[str, float | None] = {}
        self.last = 0

    def follow(self, events: Iterable[Event]) -> None:
        """Take in new events, in order."""
        changed: set[str] = set()
        for event in events:
            self.last = event.id
            if event.kind == "threshold":
                self._thresholds[event.behavior] = event.probability
                continue
            if event.row not in self._frames:
                continue
            if event.kind == "draw":
                self._draws.setdefault(event.behavior, []).append(event)
                continue
            self._versions[event.behavior] = event.id
            self._histories.setdefault((event.annotator, event.behavior), _History()).follow(event)
            if event.kind in _ANSWERS:
                self._events.append(event)
                self._paint(event)
            else:
                (self._undone.add if event.kind == "undo" else self._undone.discard)(event.action)
                changed.add(event.action)
        if changed:
            self._repaint({one.row for one in self._events if one.action in changed})

    def _paint(self, event: Event) -> None:
        if event.decision in _STATES:
            states = self._states.get((event.behavior, event.row))
            if states is None:
                states = np.full(self._frames[event.row], OPEN, np.int8)
                self._states[event.behavior, event.row] = states
            states[event.start : event.stop] = _STATES[event.decision]

    def _repaint(self, rows: set[str]) -> None:
        for behavior, row in list(self._states):
            if row in rows:
                del self._states[behavior, row]
        for event in self._events:
            if event.row in rows and event.action not in self._undone:
                self._paint(event)

    def version(self, behavior: str) -> int:
        """Number of the last event that changed frames of a behavior, which random draws do not; 0 = there is none."""
        return self._versions.get(behavior, 0)

    def threshold(self, behavior: str) -> float | None:
        """Probability from which frames count as the behavior, where an annotator chose one."""
        return self._thresholds.get(behavior)

    def states(self, behavior: str, row: str) -> np.ndarray:
        """State of each frame of a row, int8 [time]: OPEN, NO, YES or UNSURE."""
        found = self._states.get((behavior, row))
        return np.full(self._frames[row], OPEN, np.int8) if found is None else found

    def rows(self, behavior: str) -> list[str]:
        """Rows with a decision about a behavior."""
        return [row for known, row in self._states if known == behavior]

    def standing(self, behavior: str, *kinds: str) -> list[Event]:
        """Events of these kinds ("answer", "edit"; none = both) that were not undone, in order."""
        return [
            event
            for event in self._events
            if event.behavior == behavior and event.action not in self._undone and (not kinds or event.kind in kinds)
        ]

    def draws(self, behavior: str) -> list[Event]:
        """Random draws of spans, in order, decided or not."""
        return list(self._draws.get(behavior, []))

    def is_decided(self, event: Event) -> bool:
        """Whether half of a span's frames or more have a decision."""
        states = self.states(event.behavior, event.row)[event.start : event.stop]
        return bool(2 * (states != OPEN).sum() >= len(states))

    def is_clear(self, event: Event) -> bool:
        """Whether a decided span has a frame with a yes or no."""
        states = self.states(event.behavior, event.row)[event.start : event.stop]
        return self.is_decided(event) and bool(np.isin(states, (YES, NO)).any())

    def counts(self, behavior: str) -> Counts:
        """Numbers of answers: one for each action; "yes" if a part of the span is."""
        answers: dict[str, set[str]] = {}
        for event in self.standing(behavior, "answer"):
            answers.setdefault(event.action, set()).add(event.decision)
        kinds = ["yes" if "yes" in one else "unsure" if "unsure" in one else "no" for one in answers.values()]
        random = sum(map(self.is_clear, self.draws(behavior)))
        return Counts(kinds.count("yes"), kinds.count("no"), kinds.count("unsure"), random)

    def annotators(self, behavior: str = "", row: str = "") -> list[str]:
        """Annotators with an answer or edit that stands, in order of appearance; "" = of all behaviors, of all rows."""
        found = [
            event.annotator
            for event in self._events
            if event.action not in self._undone and behavior in ("", event.behavior) and row in ("", event.row)
        ]
        return list(dict.fromkeys(found))

    def to_undo(self, annotator: str, behavior: str) -> list[Event]:
        """Events of the annotator's last action about a behavior that stands; empty if there is none."""
        history = self._histories.get((annotator, behavior), _History())
        return self._of_action(history.done[-1]) if history.done else []

    def to_redo(self, annotator: str, behavior: str) -> list[Event]:
        """Events of the action that the annotator undid last; empty after a new action."""
        history = self._histories.get((annotator, behavior), _History())
        return self._of_action(history.undone[-1]) if history.undone else []

    def _of_action(self, key: str) -> list[Event]:
        return [event for event in self._events if event.action == key]


def spans_of(states: np.ndarray, of: Sequence[int]) -> list[tuple[int, int, int]]:
    """(start, stop, state) of the runs of equal states, of these states alone.

    >>> spans_of(np.array([-1, 1, 1, 0]), [YES])
    [(1, 3, 1)]
    """
    return [run for run in runs(states) if run[2] in of]
