"""`Finder`: bouts to look at: those like an example, those that a sentence describes, and proposals."""

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from probe.labeling.decisions import OPEN, UNSURE, YES
from probe.labeling.learner import Learner, Pick
from probe.labeling.project import SpanDecision
from probe.labeling.sentences import Sentences
from probe.labeling.state import STALE_EVENTS, LabelState
from ssl_behavior.errors import InputError
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store

__all__ = ["Finder", "read_ticket"]

_MOST_DRAWS = 20
"""Random draws that may meet answered segments before a turn goes to another proposal."""
_RESERVED_SECONDS = 60.0
"""A proposal that one annotator sees is not shown to another for this time."""
_REASONS = {
    "uncertain": "between your yes and your no answers",
    "confident": "most like your yes answers",
    "unseen": "like your yes answers, in a recording with few answers",
    "diverse": "unlike everything answered so far",
    "random": "drawn at random, for the estimate",
    "search": "similar to the example",
    "sentence": "fits the sentence",
}


class Finder:
    """Bouts of a project to look at, as JSON for the page.

    Parameters
    ----------
    programs : Python file with task programs of your own, for sentences; None = there is none.
    """

    def __init__(self, state: LabelState, store: Store, programs: str | Path | None) -> None:
        self._state = state
        self._sentences = Sentences(store, list(state.rows.values()), programs, state.lock)
        self._shown: dict[tuple[str, int], tuple[str, float]] = {}

    def prepare(self) -> None:
        """Evaluate task programs for sentences, in the background."""
        self._sentences.prepare()

    def close(self) -> None:
        """Stop evaluating."""
        self._sentences.close()

    def search(self, *, behavior: str, row: str, start: int, stop: int, k: int) -> dict[str, Any]:
        """The segments most similar to a bout: by the cosine between mean standardized embeddings.

        Segments that touch the bout or a better hit are left out, in all rows of the recording.
        """
        self._state.check_behavior(behavior)
        self._state.check_span(row, start, stop)
        with self._state.lock:
            learner = self._state.learner(behavior)
            similarity = learner.similarity(row, start, stop)
            hits: list[dict[str, Any]] = []
            taken = [(self._state.row(row).recording, start, stop)]
            for segment in _falling(similarity):
                first, last = int(learner.candidates.start[segment]), int(learner.candidates.stop[segment])
                own = learner.candidates.rows[learner.candidates.row[segment]]
                if any(own.recording == name and first <= b and a <= last for name, a, b in taken):
                    continue
                taken.append((own.recording, first, last))
                hits.append(self._hit(learner, segment, "search", distance=float(1 - similarity[segment])))
                if len(hits) == k:
                    break
            return {"hits": hits}

    def sentence(self, *, behavior: str, text: str, k: int) -> dict[str, Any]:
        """The bouts that a sentence over task programs describes.

        Raises
        ------
        InputError
            If the sentence cannot be read; it says where.
        """
        self._state.check_behavior(behavior)
        self._state.candidates()
        found = self._sentences.find(text, k)
        with self._state.lock:
            learner = self._state.learner(behavior)
            hits = [self._hit_of_span(learner, bout.recording, bout.start, bout.stop, "sentence") for bout in found]
        return {"hits": hits, "meaning": found.meaning, "share": found.share}

    def proposals(self, *, behavior: str, annotator: str = "", k: int = 6) -> dict[str, Any]:
        """What to look at next. What another annotator was shown within a minute is left out."""
        with self._state.lock:
            learner = self._state.learner(behavior)
            now = time.monotonic()
            busy = {
                segment
                for (name, segment), (who, when) in self._shown.items()
                if name == behavior and who != annotator and now - when < _RESERVED_SECONDS
            }
            used: set[int] = set()
            answers = self._state.decisions.counts(behavior).answers
            picks = learner.propose(k, answers, lambda free: self._draw(learner, free, used), busy)
            self._shown |= {(behavior, pick.segment): (annotator, now) for pick in picks}
            hits = [self._hit(learner, pick.segment, pick.source) for pick in picks]
            return {"proposals": hits, "model": self._state.model_facts(behavior)}

    def _draw(self, learner: Learner, free: np.ndarray, used: set[int]) -> Pick | None:
        """A random segment without decision: one that was drawn before and waits, or a new one.

        A draw is in the log before it is shown: whether it is answered has no influence on it.
        """
        for _ in range(_MOST_DRAWS):
            drawn = self._state.decisions.draws(learner.behavior)
            for event in drawn:
                segment = learner.candidates.at(learner.numbers[event.row], event.start, event.stop).start
                if free[segment] and event.id not in used:
                    used.add(event.id)
                    return Pick(segment, "random", event.weight)
            if not free.any():
                return None
            pick = learner.draw(numpy_generator(self._state.seed, "draws", learner.behavior, len(drawn)))
            # Not beside a draw of another process: both would be the same one.
            self._state.log.write(
                f"draw-{uuid.uuid4()}", "draw", "", [self._span_of_segment(learner, pick.segment)],
                after=self._state.decisions.last, source="random", model=self._state.model(learner.behavior),
                weight=pick.weight,
            )  # fmt: skip
            self._state.follow()
        return None

    def _span_of_segment(self, learner: Learner, segment: int) -> SpanDecision:
        candidates = learner.candidates
        return SpanDecision(
            behavior=learner.behavior, row=candidates.rows[candidates.row[segment]].id,
            start=int(candidates.start[segment]), stop=int(candidates.stop[segment]), decision="",
        )  # fmt: skip

    def _hit(self, learner: Learner, segment: int, source: str, distance: float | None = None) -> dict[str, Any]:
        span = self._span_of_segment(learner, segment)
        return self._hit_of_span(learner, span.row, span.start, span.stop, source, distance)

    def _hit_of_span(
        self, learner: Learner, name: str, start: int, stop: int, source: str, distance: float | None = None
    ) -> dict[str, Any]:
        row, probability = self._state.row(name), None
        if learner.head is not None:
            trust = self._state.estimates.of(learner, stale=STALE_EVENTS)
            segments = learner.candidates.at(learner.numbers[name], start, stop)
            probability = float(trust.calibrated.probability(learner.head.logits[segments]).mean())
        model = self._state.model(learner.behavior)
        return {
            "row": name, "recording": row.recording, "agent": row.agent, "target": row.target, "title": row.title,
            "start": start, "stop": stop, "probability": probability, "distance": distance, "source": source,
            "reason": _REASONS[source], "decision": self._decision(learner.behavior, name, start, stop),
            "ticket": json.dumps({"model": model, "probability": probability}),
        }  # fmt: skip

    def _decision(self, behavior: str, row: str, start: int, stop: int) -> str | None:
        states = self._state.decisions.states(behavior, row)[start:stop]
        if 2 * (states != OPEN).sum() < len(states):
            return None
        return "yes" if (states == YES).any() else "unsure" if (states == UNSURE).any() else "no"


def read_ticket(ticket: str) -> dict[str, Any]:
    """Model and probability that a hit was shown with.

    Raises
    ------
    InputError
        If this application did not give out the ticket.
    """
    try:
        found = json.loads(ticket or "{}")
        model, probability = int(found.get("model", 0)), found.get("probability")
        if probability is not None:
            probability = float(probability)
        # The log holds integers of 64 bits.
        if not 0 <= model < 2**63 or not (probability is None or 0 <= probability <= 1):
            raise ValueError(ticket)
        return {"model": model, "probability": probability}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InputError("`ticket` is not one that this application gave out: load the page again") from None


def _falling(values: np.ndarray) -> Iterator[int]:
    """Indices by falling value, the first ones without sorting all."""
    most = min(len(values), 4096)
    first = np.argpartition(-values, most - 1)[:most]
    yield from first[np.argsort(-values[first], kind="stable")].tolist()
    rest = np.setdiff1d(np.arange(len(values)), first)
    yield from rest[np.argsort(-values[rest], kind="stable")].tolist()
