"""A small store with two behaviors, embeddings that tell them apart, and an open session."""

import uuid
from dataclasses import fields
from itertools import groupby

import numpy as np
import pytest

from probe.labeling.project import Event, SpanDecision
from probe.labeling.session import LabelSession
from ssl_behavior.store import write_store
from tests.probe.conftest import make_recording

FRAMES = (1203, 1501, 907, 1351)


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "store", [make_recording(f"r{number}", n) for number, n in enumerate(FRAMES)])


@pytest.fixture
def array(store):
    """Seven columns that follow the behaviors, with noise."""
    generator = np.random.default_rng(0)
    centers = np.array([[2.0, 0, 0, 1, 0, 0, 0], [0, 1.5, 0, 0, 1, 0, 0], [-1, 0, 0.5, 0, 0, 0, 0]])
    noise = generator.normal(0, 0.8, (store.num_frames, 7))
    return (centers[store.labels("behavior")] + noise).astype(np.float32)


@pytest.fixture
def session(store, embeddings, tmp_path):
    opened = LabelSession(store, embeddings, tmp_path / "project", wait=True)
    opened.add_behavior("strike", "One attacks the other.", "Ann")
    yield opened
    opened.close()


@pytest.fixture
def shown(store):
    """Frames of a recording that show an attack, bool [time]."""

    def of(recording):
        row = store.row(recording)
        return np.asarray(store.labels("behavior")[row.slice]) == 0

    return of


@pytest.fixture
def reply(session, shown):
    """Answer a hit by the true labels, trimmed to the behavior."""

    def answer(hit, decision=None, annotator="Ann"):
        on = np.flatnonzero(shown(hit["recording"])[hit["start"] : hit["stop"]])
        start, stop, found = hit["start"], hit["stop"], "no"
        if len(on) > 2:
            start, stop, found = hit["start"] + int(on[0]), hit["start"] + int(on[-1]) + 1, "yes"
        return session.answer(
            key=str(uuid.uuid4()), behavior="strike", annotator=annotator, row=hit["row"], start=start, stop=stop,
            shown_start=hit["start"], shown_stop=hit["stop"], decision=decision or found, source=hit["source"],
            ticket=hit["ticket"], seconds=2.0,
        )  # fmt: skip

    return answer


_LESSON: list[list[Event]] = []
"""Actions of the first `taught` session of a process; those after it repeat them."""


@pytest.fixture
def taught(session, reply, shown):
    """The session after a search and some answers."""
    if _LESSON:
        for events in _LESSON:
            first, names = events[0], [one.name for one in fields(SpanDecision)]
            spans = [SpanDecision(**{name: getattr(event, name) for name in names}) for event in events]
            details = {name: getattr(first, name) for name in ("source", "model", "probability", "weight", "seconds")}
            session.log.write(first.action, first.kind, first.annotator, spans, **details)
        return session
    frame = int(np.flatnonzero(shown("r0"))[0])
    for hit in session.search(behavior="strike", row="r0", start=frame, stop=frame + 10, k=6)["hits"]:
        reply(hit)
    for _ in range(60):
        reply(session.proposals(behavior="strike", k=1)["proposals"][0])
    for _, events in groupby(session.log.events(), key=lambda event: event.action):
        _LESSON.append(list(events))
    return session
