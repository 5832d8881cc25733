"""`Sentences`: the search for sentences of a session. Task programs are evaluated ahead of the first sentence."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread

from probe.labeling.state import WatchedLock
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval import FoundBouts, SentenceSearch
from ssl_behavior.retrieval.calls_under_way import CallsUnderWay
from ssl_behavior.store import Store

__all__ = ["PAUSE_SECONDS", "Sentences"]

PAUSE_SECONDS = 1.0
"""Most annotators look longer at a proposal: programs are evaluated in the meantime."""


class Sentences:
    """Search for sentences, made when it is first needed.

    Parameters
    ----------
    store : the recordings.
    rows : rows to search.
    programs : Python file with programs of the user's own.
    lock : the session holds it while it answers a request. Programs are evaluated in the background once it was free
        for `PAUSE_SECONDS`.
    """

    def __init__(
        self,
        store: Store,
        rows: Sequence[EmbeddingRow],
        programs: str | Path | None,
        lock: WatchedLock,
    ) -> None:
        self._store, self._rows, self._programs, self._others = store, rows, programs, lock
        self._search: SentenceSearch | None = None
        self._lock, self._closed = Lock(), Event()
        self._searches = CallsUnderWay()
        self._thread = Thread(target=self._prepare, daemon=True, name="prepare sentences")

    def _made(self) -> SentenceSearch:
        with self._lock:
            if self._search is None:
                self._search = SentenceSearch(self._store, self._rows, programs=self._programs)
            return self._search

    def find(self, text: str, k: int) -> FoundBouts:
        """The bouts that a sentence describes; errors as of `SentenceSearch`, and an `InputError` after `close`."""
        with self._searches:
            self._check_open()
            return self._made().find(text, k, progress=self._check_open)

    def _check_open(self, *progress: object) -> None:
        if self._closed.is_set():
            raise InputError("the project was closed")

    def prepare(self) -> None:
        """Evaluate the programs in the background."""
        self._thread.start()

    def _prepare(self) -> None:
        if not self._going():
            return
        # A sentence that needs what fails here raises the error again.
        with suppress(InputError):
            self._made().prepare(self._going)

    def _going(self) -> bool:
        while self._others.idle_seconds() < PAUSE_SECONDS and not self._closed.wait(0.1):
            pass
        return not self._closed.is_set()

    def close(self) -> None:
        """Stop evaluating and searching. A thread in the middle of a tensor would end the process with an error."""
        self._closed.set()
        self._searches.wait_for_none()
        if self._thread.ident is not None:
            self._thread.join()
