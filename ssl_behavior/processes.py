"""Processes of a torchrun that share one job: shared work, common progress, and one end for all.

They talk through torchrun's key-value store, not through collective operations: a process that waits still answers
signals, and it learns at once that another one has failed.
"""

import itertools
import json
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from ssl_behavior.errors import InputError

__all__ = ["Processes", "Work", "joined", "process_group"]

T = TypeVar("T")
_POLL_SECONDS = 0.05
_STALLED_SECONDS = 1800.0
_ANSWER_SECONDS = 60.0
"""Time that a failed process gives the main one to notice, which is busy for as long as a chunk takes."""
_OTHERS_SECONDS = 5.0
_PRINT_SECONDS = 0.5
"""Time that the main process has to print the reason: torchrun ends it soon after the first other process."""


class Processes:
    """The processes of one job, as each of them sees them; by default a single one.

    All processes call the same methods in the same order.

    Attributes
    ----------
    rank, size : number of this process, 0 .. size - 1, and the number of all.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: "dist.Store | None" = None) -> None:
        self.rank, self.size, self._store = rank, size, store
        self._names = itertools.count()

    @property
    def is_main(self) -> bool:
        """True in the one process that makes folders and prints messages."""
        return self.rank == 0

    def from_main(self, compute: Callable[[], T]) -> T:
        """Result of a function that the main process calls while the others wait; of JSON's types."""
        if self._store is None:
            return compute()
        name = self._new_name()
        if self.is_main:
            value = compute()
            self._store.set(name, json.dumps(value))
            return value
        self._wait_until(lambda: self._ask("check", [name]))
        return json.loads(self._ask("get", name))

    def share(self, costs: Sequence[int]) -> "Work":
        """Items of work with these costs, for all processes together."""
        return Work(self, costs)

    def wait(self) -> None:
        """Wait until all processes have come this far."""
        if self._store is None:
            return
        name = self._new_name()
        self._ask("add", name, 1)
        self._wait_until(lambda: self._ask("add", name, 0) == self.size)

    def check_same(self, facts: dict[str, Any]) -> None:
        """Refuse facts that differ from those of the main process.

        Raises
        ------
        InputError
            Naming the keys that differ.
        """
        own, main = json.loads(json.dumps(facts)), self.from_main(lambda: facts)
        differing = [key for key in own if self._store is not None and not self.is_main and own[key] != main[key]]
        if differing:
            raise InputError(
                f"this process has another {', '.join(differing)} than the main process: give all processes the same "
                "files, options and version of ssl-behavior"
            )
        self.wait()

    def summed(self, array: np.ndarray) -> np.ndarray:
        """Sum of the processes' arrays, which have one shape; overwrites `array`."""
        if self._store is not None:
            with process_group(torch.device("cpu")):
                dist.all_reduce(torch.from_numpy(array))
        return array

    def check(self) -> None:
        """End this process if another one has failed.

        Raises
        ------
        InputError
            In the main process: the message of the process that failed.
        SystemExit
            In the others, or if no message is to be printed.
        """
        if self._store is not None and self._ask("check", ["failed"]):
            raise self._outcome(json.loads(self._ask("get", "failed")))

    def record_failure(self, error: BaseException) -> None:
        """Tell the others that this process has failed; the first failure of all decides how they end."""
        if self._store is not None:
            self._record(error)

    def _record(self, error: BaseException) -> dict[str, Any]:
        own = {"rank": self.rank, "code": _exit_code(error), "message": ""}
        if isinstance(error, InputError):
            where = f" (process {self.rank} of {self.size}, on {platform.node()})" if self.rank else ""
            own["message"] = f"{error}{where}"
        # An empty expected value: set it where there is none yet.
        return json.loads(self._ask("compare_set", "failed", "", json.dumps(own)))

    def _outcome(self, first: dict[str, Any]) -> BaseException:
        return InputError(first["message"]) if self.is_main and first["message"] else SystemExit(first["code"])

    def _ending(self, error: BaseException) -> BaseException:
        """The exception that leaves the job in this process.

        The exit code is that of the first process that failed, and only the main process raises a message.
        """
        try:
            first = self._record(error)
            told = self._tell_others() if self.is_main else self._main_knows()
        except InputError as lost:
            return error if isinstance(error, InputError) or _is_signal(error) else lost
        own = first["rank"] == self.rank
        if isinstance(error, InputError) and (self.is_main or not told):
            return error
        if own and not isinstance(error, InputError):
            return error
        # A signal from outside while another process failed: torchrun ends the rest, and has the reason already.
        return SystemExit(first["code"]) if _is_signal(error) else self._outcome(first)

    def _tell_others(self) -> bool:
        """Let the others end, and wait a little for them: this process may host the store that they ask."""
        self._ask("set", "main knows", "")
        with suppress(SystemExit, KeyboardInterrupt):  # torchrun ends all as soon as one has gone
            _wait_at_most(_OTHERS_SECONDS, lambda: self._ask("add", "left", 0) == self.size - 1)
        return True

    def _main_knows(self) -> bool:
        """Wait for the main process to notice that the job has failed, and to print the reason."""
        told = True
        with suppress(SystemExit, KeyboardInterrupt):  # as above
            told = _wait_at_most(_ANSWER_SECONDS, lambda: self._ask("check", ["main knows"]))
            self._ask("add", "left", 1)
            time.sleep(_PRINT_SECONDS if told else 0.0)
        return told

    def _leave(self) -> None:
        self.wait()
        if self.is_main:
            # The main process may host the store, which the others ask until they leave.
            _wait_at_most(_OTHERS_SECONDS, lambda: self._ask("add", "gone", 0) == self.size - 1)
        else:
            self._ask("add", "gone", 1)

    def _new_name(self) -> str:
        return f"step {next(self._names)}"

    def _ask(self, operation: str, *values: Any) -> Any:
        try:
            return getattr(self._store, operation)(*values)
        except dist.DistError as error:
            raise InputError(
                f"process {self.rank} of {self.size} lost contact with the others: {str(error).splitlines()[0]}"
            ) from None

    def _wait_until(self, condition: Callable[[], bool], alive: Callable[[], Any] = lambda: None) -> None:
        """Wait, unless another process fails or `alive` keeps its value for half an hour."""
        since, last = time.monotonic(), alive()
        while not condition():
            self.check()
            if (now := alive()) != last:
                since, last = time.monotonic(), now
            if time.monotonic() - since > _STALLED_SECONDS:
                raise InputError(
                    f"process {self.rank} of {self.size} waited {_STALLED_SECONDS / 60:.0f} minutes for the others: "
                    "one of them has stopped or died"
                )
            time.sleep(_POLL_SECONDS)


class Work:
    """Items of work, each done by whichever process is free next; the largest come first.

    A single process does them in order.

    Parameters
    ----------
    costs : effort of each item, in any unit.
    """

    def __init__(self, processes: Processes, costs: Sequence[int]) -> None:
        self._processes, self._costs, self._name = processes, costs, processes._new_name()
        self._seen = 0

    def __iter__(self) -> Iterator[int]:
        """Numbers of the items that this process does."""
        if self._processes.size == 1:
            yield from range(len(self._costs))
            return
        order = sorted(range(len(self._costs)), key=lambda item: -self._costs[item])
        while (place := self._add("next", 1) - 1) < len(order):
            yield order[place]

    def advance(self, amount: int) -> int:
        """Add to the progress of all; returns what all processes did since the last call.

        Raises
        ------
        InputError, SystemExit
            If another process has failed, see `Processes.check`.
        """
        if self._processes.size == 1:
            return amount
        self._processes.check()
        before, self._seen = self._seen, self._add("done", amount)
        return self._seen - before

    def finish(self, report: Callable[[int], None]) -> None:
        """Wait until all processes have finished their items.

        Parameters
        ----------
        report : called with what the others did meanwhile.
        """
        if self._processes.size == 1:
            return
        self._add("finished", 1)

        def all_finished() -> bool:
            if (done := self.advance(0)) > 0:
                report(done)
            return self._add("finished", 0) == self._processes.size

        self._processes._wait_until(all_finished, lambda: self._seen)
        if (rest := self.advance(0)) > 0:
            report(rest)

    def _add(self, counter: str, amount: int) -> int:
        return int(self._processes._ask("add", f"{self._name}/{counter}", amount))


_CURRENT: ContextVar[Processes | None] = ContextVar("processes", default=None)
_JOBS = itertools.count()


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes of this torchrun for a job; without torchrun, or with one process, there is only this one.

    Within the block of another `joined`, these are the same processes. If the job fails in one process, it ends in all.

    Raises
    ------
    InputError
        In the main process, if the job raised it in any process.
    SystemExit
        In the other processes, with the exit code of the first that failed: 2 for InputError, 130 and 143 for SIGINT
        and SIGTERM, 1 for other errors.
    """
    current = _CURRENT.get()
    if current is not None or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield current or Processes()
        return
    store, rank, size = next(dist.rendezvous("env://"))
    processes = Processes(rank, size, dist.PrefixStore(f"job {next(_JOBS)}", store))
    token = _CURRENT.set(processes)
    try:
        yield processes
        processes._leave()
    except BaseException as error:
        ending = processes._ending(error)
        if ending is error:
            raise
        raise ending from None
    finally:
        _CURRENT.reset(token)


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Process group of torch (nccl on CUDA, else gloo) for the joined processes; does nothing for a single one."""
    with joined() as processes:
        if processes._store is None or dist.is_initialized():
            yield
            return
        # torch waits in C for processes that failed on the way here, and answers no signal.
        processes.wait()
        own: dict[str, Any] = {}
        if device.type == "cuda":
            torch.cuda.set_device(device)
            own["device_id"] = device
        store = dist.PrefixStore(processes._new_name(), processes._store)
        dist.init_process_group(
            "nccl" if own else "gloo", store=store, rank=processes.rank, world_size=processes.size, **own
        )
        try:
            yield
        except BaseException as error:
            # Before the group ends: others that wait for this process then fail, and ask for the reason.
            processes.record_failure(error)
            raise
        finally:
            dist.destroy_process_group()


def _wait_at_most(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    return met


def _is_signal(error: BaseException) -> bool:
    return isinstance(error, SystemExit | KeyboardInterrupt)


def _exit_code(error: BaseException) -> int:
    """Exit code of the command for an error, as in `ssl_behavior.cli`."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 2 * (error.code is not None)
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return 2 if isinstance(error, InputError) else 1
