"""`LabelState`: the rows of a project, what its log says of them, and the heads that know all of it."""

import time
from collections.abc import Mapping
from threading import RLock
from typing import Any

import numpy as np

from probe.labeling.candidates import Candidates
from probe.labeling.decisions import Decisions
from probe.labeling.learner import Learner
from probe.labeling.opening import NotReadyError
from probe.labeling.project import Project
from probe.labeling.trust import Estimates
from probe.postprocessing import moving_average, window_frames
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.terminal import quoted

__all__ = ["SMOOTHING_SECONDS", "STALE_EVENTS", "LabelState", "WatchedLock"]

SMOOTHING_SECONDS = 0.2
"""Predicted probabilities are averaged over this time, here and in the saved probe."""
STALE_EVENTS = 10
"""Events after which the calibration is made anew."""
_LONG_ROW = 300_000
"""Frames of a row up to which each frame has its own probability; in longer rows, the frames of a segment share one."""


class WatchedLock:
    """Reentrant lock that knows for how long nobody has held it."""

    def __init__(self) -> None:
        self._lock, self._released = RLock(), time.monotonic()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._released = time.monotonic()
        self._lock.release()

    def idle_seconds(self) -> float:
        """Seconds since it was released; 0 while another thread holds it."""
        if not self._lock.acquire(blocking=False):
            return 0.0
        self._lock.release()
        return time.monotonic() - self._released


class LabelState:
    """State of a labeling project. Whoever uses more than one of its methods in a row holds `lock`.

    Parameters
    ----------
    log : the project's file.
    rows : rows of the embeddings that are labeled, by id.
    seed : of the samples of intervals.

    Attributes
    ----------
    preparing : what is being prepared, and which share of it is done; None = nothing.
    failure : error of the preparation; None = none.
    """

    def __init__(self, log: Project, embeddings: Embeddings, rows: Mapping[str, EmbeddingRow], seed: int) -> None:
        self.log, self.embeddings, self.rows, self.seed = log, embeddings, rows, seed
        self.lock = WatchedLock()
        self.decisions = Decisions({name: row.frames for name, row in rows.items()})
        self.estimates = Estimates(self.decisions, seed)
        self.preparing: dict[str, Any] | None = {"stage": "opening", "share": 0.0}
        self.failure: Exception | None = None
        self._candidates: Candidates | None = None
        self._learners: dict[str, Learner] = {}
        self._fitted: dict[str, int] = {}

    # --- what is ready

    def set_candidates(self, candidates: Candidates) -> None:
        """Segments are found: from now on, heads are learned."""
        self._candidates = candidates

    @property
    def is_ready(self) -> bool:
        """Whether the segments are found."""
        return self._candidates is not None

    def candidates(self) -> Candidates:
        """The segments.

        Raises
        ------
        NotReadyError
            If they are still being prepared.
        Exception
            The failure of their preparation.
        """
        if self.failure is not None:
            raise self.failure
        if self._candidates is None:
            raise NotReadyError(self.preparing or {"stage": "opening", "share": 0.0})
        return self._candidates

    # --- names and spans

    def row(self, name: str) -> EmbeddingRow:
        """The row of this id.

        Raises
        ------
        InputError
            If there is none.
        """
        if name not in self.rows:
            raise InputError(f"{self.embeddings.path} has no row {name!r}; it has {quoted(self.rows)}")
        return self.rows[name]

    def check_behavior(self, name: str) -> str:
        """The name of a behavior of the project.

        Raises
        ------
        InputError
            If the project has no such behavior.
        """
        known = [one.name for one in self.log.behaviors()]
        if name not in known:
            raise InputError(f"the project has no behavior {name!r}; it has {quoted(known) or 'none yet: add one'}")
        return name

    def check_span(self, row: str, start: int, stop: int) -> None:
        """Refuse spans that are empty or outside of their row."""
        frames = self.row(row).frames
        if not 0 <= start < stop <= frames:
            raise InputError(
                f"row {row!r} has {frames:,} frames: expected 0 <= start < stop <= {frames}, got {start} to {stop}"
            )

    # --- the log, and the heads

    def follow(self) -> None:
        """Take in what was written since."""
        self.decisions.follow(self.log.events(after=self.decisions.last))

    def learner(self, behavior: str) -> Learner:
        """The learner with a head that knows all events."""
        candidates = self.candidates()
        self.follow()
        learner = self._learners.get(behavior)
        if learner is None:
            learner = self._learners[behavior] = Learner(
                self.check_behavior(behavior), self.embeddings, candidates, self.decisions
            )
        version = self.decisions.version(behavior)
        if self._fitted.get(behavior) != version:
            learner.fit()
            self._fitted[behavior] = version
        return learner

    def model(self, behavior: str) -> int:
        """Number of the last event that the head of a behavior knows; 0 = there is no head."""
        return self._fitted.get(behavior, 0)

    def model_facts(self, behavior: str) -> dict[str, Any]:
        """The model of a behavior as JSON, with what it lacks."""
        counts, learner = self.decisions.counts(behavior), self._learners.get(behavior)
        ready = learner is not None and learner.head is not None
        message = ""
        if not ready:
            message = "There is no positive yet: search for a first example, and answer yes."
        elif counts.no == 0:
            message = "There is no negative yet: answer no where a proposal does not show the behavior."
        return {
            "version": self.model(behavior), "answers": counts.answers, "positives": counts.yes, "ready": ready,
            "message": message,
        }  # fmt: skip

    def probability(self, learner: Learner, row: str) -> np.ndarray | None:
        """Smoothed, calibrated probability of each frame of a row, float64 [time]; None without a head."""
        if learner.head is None:
            return None
        own = self.row(row)
        if own.frames > _LONG_ROW:
            segments = learner.candidates.of_row(learner.numbers[row])
            logits = np.repeat(learner.head.logits[segments], learner.candidates.frames[segments])
        else:
            logits = learner.frame_logits(learner.head, row, 0, own.frames)
        found = self.estimates.calibration(learner.behavior).probability(logits.astype(np.float64))
        return np.asarray(moving_average(found, window_frames(SMOOTHING_SECONDS, own.fps)))
