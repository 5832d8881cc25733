"""Ctrl-C and SIGTERM ask a run to finish its step and save; the second time they end it at once."""

import signal
from types import FrameType, TracebackType

__all__ = ["StopSignals"]


class StopSignals:
    """While this context is open, the first SIGINT or SIGTERM is noted in `received` instead of raised."""

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, object] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}

    def __enter__(self) -> "StopSignals":
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
