"""`Opening`: a session that opens in the background, so that the page is there while the libraries load."""

from collections.abc import Callable, Mapping
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from probe.labeling.project import NotStoredError
from ssl_behavior.errors import InputError

if TYPE_CHECKING:
    from probe.labeling.session import LabelSession

__all__ = ["NotReadyError", "Opening"]

_GRACE_SECONDS = 3.0
"""Time in which a page can still ask why the project did not open, before the application ends."""


class NotReadyError(InputError):
    """It is too early for a request.

    Parameters
    ----------
    preparing : what is being prepared ("stage"), and which share of it is done ("share", 0 to 1).
    message : one sentence.
    """

    def __init__(
        self, preparing: Mapping[str, Any], message: str = "the recordings are still being prepared; this is done once"
    ) -> None:
        super().__init__(message)
        self.preparing = dict(preparing)


class Opening:
    """Stands for a session: has its attributes once it is open, and refuses until then.

    Parameters
    ----------
    make : opens the session.

    Attributes
    ----------
    failure : error that `make` raised; None = none so far. Every request is then answered with its message, and with
        status 503: a page that sends answers of before keeps them.
    """

    def __init__(self, make: "Callable[[], LabelSession]") -> None:
        self.failure: Exception | None = None
        self._make = make
        self._session: LabelSession | None = None
        self._failed: Callable[[], object] = bool
        self._lock = Lock()
        self._has_page = False
        self._failure_shown = Event()
        self._thread = Thread(target=self._open, daemon=True, name="open the labeling project")

    def start(self, failed: Callable[[], object]) -> None:
        """Begin; `failed` is called if there is no session to wait for."""
        self._failed = failed
        self._thread.start()

    def _open(self) -> None:
        try:
            self._session = self._make()
        except Exception as error:  # noqa: BLE001 - requests raise it, and so does the command after `close`
            with self._lock:
                self.failure, has_page = error, self._has_page
            if has_page:
                self._failure_shown.wait(_GRACE_SECONDS)
            self._failed()

    def __getattr__(self, name: str) -> Any:
        """Attribute of the session.

        Raises
        ------
        NotReadyError
            If the session is not open yet.
        NotStoredError
            If it could not be opened, for a reason that the user can remove.
        Exception
            The failure, if it is any other one.
        """
        if name.startswith("_"):
            raise AttributeError(name)
        with self._lock:
            self._has_page = True
        if self.failure is not None:
            self._failure_shown.set()
            if isinstance(self.failure, InputError):
                raise NotStoredError(str(self.failure), is_full=False) from self.failure
            raise self.failure
        if self._session is None:
            raise NotReadyError({"stage": "opening the project", "share": 0.0}, "the project is being opened")
        return getattr(self._session, name)

    def close(self) -> None:
        """Wait for the session, and close it."""
        if self._thread.ident is not None:
            self._thread.join()
        if self._session is not None:
            self._session.close()
