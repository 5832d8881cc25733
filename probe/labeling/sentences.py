"""`Sentences`: the search for sentences of a session, which evaluates the task programs before the first one."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import Lock, Thread

from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval import FoundBouts, SentenceSearch
from ssl_behavior.store import Store

__all__ = ["Sentences"]


class Sentences:
    """Search for sentences, made when it is first needed.

    Parameters
    ----------
    store : the recordings.
    rows : rows to search.
    programs : Python file with programs of the user's own.
    busy : lock that others hold while somebody waits for them: nothing is evaluated in the background meanwhile.
    """

    def __init__(
        self,
        store: Store,
        rows: Sequence[EmbeddingRow],
        programs: str | Path | None,
        busy: AbstractContextManager[object],
    ) -> None:
        self._store, self._rows, self._programs, self._busy = store, rows, programs, busy
        self._search: SentenceSearch | None = None
        self._lock = Lock()
        self._closed = False

    def _made(self) -> SentenceSearch:
        with self._lock:
            if self._search is None:
                self._search = SentenceSearch(self._store, self._rows, programs=self._programs)
            return self._search

    def find(self, text: str, k: int) -> FoundBouts:
        """The bouts that a sentence describes; errors as of `SentenceSearch`."""
        return self._made().find(text, k)

    def prepare(self) -> None:
        """Evaluate the programs in the background."""
        Thread(target=self._prepare, daemon=True, name="prepare sentences").start()

    def _prepare(self) -> None:
        # A sentence that needs what fails here raises the error again.
        with suppress(InputError):
            self._made().prepare(self._going)

    def _going(self) -> bool:
        with self._busy:
            return not self._closed

    def close(self) -> None:
        """Stop evaluating."""
        self._closed = True
