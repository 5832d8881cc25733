"""`Project`: the SQLite file of a labeling project, a log of decisions that only grows.

`labels.sqlite` has three tables: `facts` (which store and embeddings the project is of), `behaviors` (name and
definition) and `events`. An event is one span of one row with a decision. Events of one action share its key: they are
written together, and undone together. Undo and redo are events, too; nothing is ever changed or removed.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any, Literal, get_args

from ssl_behavior.errors import InputError
from ssl_behavior.files import make_folder
from ssl_behavior.store import STREAM_NAME

__all__ = ["DECISIONS", "FILE_NAME", "Behavior", "Decision", "Event", "NotStoredError", "Project", "SpanDecision"]

FILE_NAME = "labels.sqlite"
FORMAT_VERSION = 1
OTHER = "other"
"""Name of the frames without a behavior, in written labels."""
_LONGEST_NAME = 60
_CHECKPOINT_EVERY = 20
"""Events after which the writes of `labels.sqlite-wal` go into the file itself."""
PATIENCE_SECONDS = 10.0
"""How long a write waits for another process that writes."""

Decision = Literal["yes", "no", "unsure"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE behaviors (
    name TEXT PRIMARY KEY, definition TEXT NOT NULL, annotator TEXT NOT NULL, time TEXT NOT NULL
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    annotator TEXT NOT NULL,
    behavior TEXT NOT NULL REFERENCES behaviors (name),
    "action" TEXT NOT NULL,
    kind TEXT NOT NULL,
    "row" TEXT NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    decision TEXT NOT NULL,
    source TEXT NOT NULL,
    model INTEGER NOT NULL,
    probability REAL,
    weight REAL,
    seconds REAL
);
CREATE INDEX events_of_action ON events ("action");
CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_remain BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;
"""


@dataclass(frozen=True, kw_only=True)
class Behavior:
    """A behavior of a project, with its definition in one sentence."""

    name: str
    definition: str


def check_behavior(name: str, definition: str, known: Collection[str]) -> None:
    """Refuse names that cannot be a label stream's, or stand beside those of `known`, and empty definitions."""
    if not STREAM_NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise InputError(
            f"behavior {name[: 2 * _LONGEST_NAME]!r}: use letters, digits, '_', '-' and '.' only, at most "
            f"{_LONGEST_NAME}, because it names a label stream"
        )
    if name.casefold() == OTHER:
        raise InputError(f"behavior {name!r}: this word stands for all other behaviors; choose another name")
    if not definition:
        raise InputError(f"behavior {name!r} needs a definition: one sentence, so that others label the same")
    if near := [one for one in known if one != name and one.casefold() == name.casefold()]:
        raise InputError(f"behavior {name!r} and {near[0]!r} differ in capital letters alone: choose another name")


@dataclass(frozen=True, kw_only=True)
class SpanDecision:
    """A decision about frames `start` up to, not including, `stop` of a row; "" = none, a random draw alone."""

    behavior: str
    row: str
    start: int
    stop: int
    decision: str


@dataclass(frozen=True, kw_only=True)
class Event(SpanDecision):
    """A row of the log.

    Parameters
    ----------
    id : number; events of one file are in order.
    time : UTC, ISO 8601.
    action : key of the action that the event is part of; of "undo" and "redo", the action that they are about.
    kind : "answer", "draw" (a random draw of a span that was answered before), "edit", "undo", "redo", or "threshold"
        (of no row).
    source : why the span was shown, or which edit it was.
    model : number of the last event that the head knew when the span was shown; 0 = no head.
    probability : what that head said of the span, None = no head; or the chosen threshold, None = the best one.
    weight : of a random draw, 1 over its chance; None = not drawn at random.
    seconds : that the answer took; None = not measured.
    """

    id: int
    time: str
    annotator: str
    action: str
    kind: str
    source: str = ""
    model: int = 0
    probability: float | None = None
    weight: float | None = None
    seconds: float | None = None


class NotStoredError(InputError):
    """Nothing was stored, and another try may succeed: the file is locked, or the disk is full or fails.

    Parameters
    ----------
    message : one sentence.
    is_full : the disk has no space left.
    """

    def __init__(self, message: str, *, is_full: bool) -> None:
        super().__init__(message)
        self.is_full = is_full


_COLUMNS = tuple(one.name for one in fields(Event))
_SELECT = ", ".join(f'"{name}"' for name in _COLUMNS)
_SPAN = tuple(one.name for one in fields(SpanDecision))
_SELECT_SPAN = ", ".join(f'"{name}"' for name in _SPAN)


class Project:
    """The file of a labeling project. Several threads and processes may read and write it.

    A write returns when it is on disk: a process that is killed loses at most the write that had not returned. The
    newest writes are in `labels.sqlite-wal` until the project is closed.

    Parameters
    ----------
    folder : of the project; it is made if it does not exist.
    facts : what the project belongs to, name -> value, such as the fingerprints of store and embeddings.

    Raises
    ------
    InputError
        If the file is damaged, locked, no project, or belongs to another store or other embeddings.
    """

    def __init__(self, folder: str | Path, facts: Mapping[str, str]) -> None:
        self.folder = Path(folder)
        self.path = self.folder / FILE_NAME
        self._lock = RLock()
        make_folder(self.folder)
        with self._explained():
            self._connection = sqlite3.connect(
                self.path, timeout=PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
            )
        try:
            with self._explained():
                self._open(facts)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, facts: Mapping[str, str]) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        # An acknowledged answer outlives a power failure, too.
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA fullfsync = 1")
        with self._write() as cursor:
            tables = {name for (name,) in cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                for statement in _statements(_SCHEMA):
                    cursor.execute(statement)
                values = {"format": "ssl-behavior labels", "version": str(FORMAT_VERSION), **facts}
                cursor.executemany("INSERT INTO facts VALUES (?, ?)", list(values.items()))
            elif "facts" not in tables:
                raise InputError(f"{self.path} is an SQLite file of another program; choose another `out`")
            self._check(dict(cursor.execute("SELECT name, value FROM facts").fetchall()), facts)
        self._checkpoint("TRUNCATE")

    def _check(self, found: Mapping[str, str], facts: Mapping[str, str]) -> None:
        if found.get("format") != "ssl-behavior labels":
            raise InputError(f"{self.path} is an SQLite file of another program; choose another `out`")
        if found.get("version") != str(FORMAT_VERSION):
            raise InputError(
                f"{self.path} is a project of format version {found.get('version')}; this program reads version "
                f"{FORMAT_VERSION}: update ssl-behavior"
            )
        for name, value in facts.items():
            if found.get(name) != value:
                raise InputError(
                    f"{self.folder} is a labeling project of another {name} ({str(found.get(name))[:12]} instead of "
                    f"{value[:12]}), or the {name} changed since: open it with the {name} it was made with, or choose "
                    "another `out`"
                )

    def close(self) -> None:
        """Close the file; what is written stays written."""
        with self._lock:
            self._connection.close()

    # --- behaviors

    def behaviors(self) -> list[Behavior]:
        """The behaviors, oldest first."""
        with self._lock, self._explained():
            found = self._connection.execute("SELECT name, definition FROM behaviors ORDER BY rowid").fetchall()
        return [Behavior(name=name, definition=definition) for name, definition in found]

    def add_behavior(self, name: str, definition: str, annotator: str) -> Behavior:
        """Add a behavior; the same name with the same definition is the behavior that exists.

        Raises
        ------
        InputError
            If the name is in use with another definition.
        """
        with self._write() as cursor:
            known = cursor.execute("SELECT definition FROM behaviors WHERE name = ?", (name,)).fetchone()
            if known is None:
                cursor.execute("INSERT INTO behaviors VALUES (?, ?, ?, ?)", (name, definition, annotator, _now()))
            elif known[0] != definition:
                raise InputError(
                    f"the project has a behavior {name!r} with another definition: {known[0]!r}. Choose another name, "
                    "or use that behavior"
                )
        return Behavior(name=name, definition=definition)

    # --- events

    def events(self, after: int = 0) -> list[Event]:
        """Events with a number greater than `after`, in order."""
        query = f"SELECT {_SELECT} FROM events WHERE id > ? ORDER BY id"
        with self._lock, self._explained():
            found = self._connection.execute(query, (after,)).fetchall()
        return [Event(**dict(zip(_COLUMNS, values, strict=True))) for values in found]

    def write(
        self,
        key: str,
        kind: str,
        annotator: str,
        spans: Sequence[SpanDecision],
        after: int | None = None,
        **details: Any,
    ) -> int:
        """Write the events of one action; returns the number of the last.

        Parameters
        ----------
        key : of the action; a key that is in the file already was written before, and nothing is written again.
        after : write only if this is the number of the last event of the file; otherwise return 0.
        details : further values of `Event`: source, model, probability, weight, seconds.

        Raises
        ------
        InputError
            If the disk is full, another process does not let go of the file, or the key belongs to another action.
        """
        values = [
            dict.fromkeys(_COLUMNS) | {"source": "", "model": 0, "time": _now()} | details
            | {name: getattr(span, name) for name in _SPAN}
            | {"annotator": annotator, "action": key, "kind": kind}
            for span in spans
        ]  # fmt: skip
        names = ", ".join(f":{name}" for name in _COLUMNS)
        with self._write() as cursor:
            repeats = kind in ("undo", "redo")
            if not repeats and (known := self._written(cursor, key, spans)):
                return known
            if after is not None and cursor.execute("SELECT MAX(id) FROM events").fetchone()[0] not in (after, None):
                return 0
            for one in values:
                cursor.execute(f"INSERT INTO events ({_SELECT}) VALUES ({names})", one)
            last = int(cursor.lastrowid or 0)
        if last % _CHECKPOINT_EVERY < len(values):
            self._checkpoint("PASSIVE")
        return last

    def _checkpoint(self, how: str) -> None:
        """Move what is written from the log beside the file into the file."""
        with self._lock, self._explained():
            self._connection.execute(f"PRAGMA wal_checkpoint({how})").fetchall()

    def _written(self, cursor: sqlite3.Cursor, key: str, spans: Sequence[SpanDecision]) -> int:
        """Number of the last event of an action that was written before; 0 = there is none."""
        query = f'SELECT id, {_SELECT_SPAN} FROM events WHERE "action" = ? ORDER BY id'
        found = cursor.execute(query, (key,)).fetchall()
        same = [tuple(getattr(span, name) for name in _SPAN) for span in spans]
        if found and [tuple(one[1:]) for one in found[: len(same)]] != same:
            raise InputError(f"`key` {key!r} belongs to another answer, and nothing was stored: use a new key")
        return int(found[-1][0]) if found else 0

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Cursor]:
        """One transaction: all of it is on disk at the end, or nothing."""
        with self._lock, self._explained():
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            message, reason = self._sentence(error), str(error)
            if any(words in reason for words in ("locked", "busy", "full", "disk I/O")):
                raise NotStoredError(message, is_full="full" in reason) from error
            raise InputError(message) from error

    def _sentence(self, error: sqlite3.Error) -> str:
        reason = str(error)
        if "locked" in reason or "busy" in reason:
            return (
                f"{self.path} is locked: another program has kept it for more than {PATIENCE_SECONDS:g} s. Nothing was "
                "stored: close that program"
            )
        if "full" in reason:
            return f"{self.path}: the disk is full. Nothing was stored: free some space"
        if "disk I/O" in reason:
            return f"{self.path}: the disk fails ({reason}). Nothing was stored: check the disk"
        if "readonly" in reason or "unable to open" in reason:
            return f"{self.path} cannot be written ({reason}); choose another `out`"
        if "malformed" in reason or "not a database" in reason:
            return f"{self.path} is damaged ({reason}): bring back a copy of it, or choose another `out`"
        return f"{self.path}: {reason}"


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; those of triggers contain semicolons."""
    statement = ""
    for line in script.strip().splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
