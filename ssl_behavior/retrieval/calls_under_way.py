"""`CallsUnderWay`: calls of several threads, counted."""

from threading import Condition

__all__ = ["CallsUnderWay"]


class CallsUnderWay:
    """Counts the calls that run, each in a `with` of this object; others can wait until none does."""

    def __init__(self) -> None:
        self._count, self._changed = 0, Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_for_none(self) -> None:
        """Return once no call runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count)
