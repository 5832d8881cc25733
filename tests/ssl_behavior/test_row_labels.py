"""Labels of the rows of scenes, animals and pairs, from streams with and without agents and targets."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.embeddings_folder import store_embeddings
from ssl_behavior.recording import Labels, PairLabels, Recording
from ssl_behavior.row_labels import behavior_labels, stream_labels
from ssl_behavior.skeleton import SKELETONS, with_individuals
from ssl_behavior.store import write_store
from ssl_behavior.units import actors_of

FRAMES = {"a": 37, "b": 23}
NAMES = ("m1", "m2", "m3")
BOUTS = [(0, 1, 0, 3, 9), (0, 1, 1, 6, 12), (1, 0, 0, 20, 30), (2, 2, 2, 5, 8), (0, 2, 1, 30, 37)]
WORDS = ("chase", "sniff", "groom")


def asked(*pairs):
    """Looked for: (agent, target, behavior) of each."""
    looked_for = np.zeros((3, 3, 3), bool)
    for one in pairs:
        looked_for[one] = True
    return looked_for


DIRECTED = [(a, t, b) for a in range(3) for t in range(3) for b in (0, 1) if a != t]
LOOKED_FOR = asked(*(one for one in DIRECTED if one[:2] != (2, 1)), (2, 2, 2))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    rng, made = np.random.default_rng(0), []
    for id, frames in FRAMES.items():
        skeleton = with_individuals(SKELETONS["rat_dyads"], NAMES, exchangeable=True)
        points = rng.normal(size=(frames, 3, 5, 2)).astype(np.float32)
        states = Labels(vocabulary=("day", "night"), frames=(np.arange(frames) > 11).astype(np.int16))
        made.append(
            Recording(
                id=id, keypoints=points, skeleton=skeleton, individuals=NAMES, fps=30.0, labels={"light": states},
                pair_labels={} if id == "b" else {
                    "acts": PairLabels(vocabulary=WORDS, bouts=np.array(BOUTS), looked_for=LOOKED_FOR)
                },
            )
        )  # fmt: skip
    return write_store(tmp_path_factory.mktemp("rows") / "store", made)


@pytest.fixture
def rows_of(store, tmp_path):
    def make(unit):
        ids = {actors.row_id(row.id): row.frames for row in store.rows for actors in actors_of(unit, NAMES)}
        values = ((id, np.zeros((frames, 2))) for id, frames in ids.items())
        made = store_embeddings(tmp_path / unit, store, store.rows, values, "x", lambda: "c", unit=unit)
        return made.rows

    return make


def reference(row, behavior, frame):
    """1, 0 or -1 as the rule says, for one frame."""
    if row.recording == "b":
        return -1
    agents = [NAMES.index(row.agent)] if row.agent else range(3)
    targets = [NAMES.index(row.target)] if row.target else range(3)
    values = [-1]
    for agent in agents:
        for target in targets:
            if LOOKED_FOR[agent, target, behavior]:
                shown = any(
                    (a, t, b) == (agent, target, behavior) and start <= frame < stop for a, t, b, start, stop in BOUTS
                )
                values.append(int(shown))
    return max(values)


@pytest.mark.parametrize("unit", ["scene", "animal", "pair"])
def test_behaviors_are_those_of_the_rows_animals(store, rows_of, unit):
    rows = rows_of(unit)
    light, *behaviors = behavior_labels(store, rows)
    assert light.stream == "light" and light.of_recording
    assert [one.classes[0] for one in behaviors] == list(WORDS) and {one.stream for one in behaviors} == {"acts"}
    for row in rows:
        np.testing.assert_array_equal(light.of(row), store.labels("light")[store.row(row.recording).slice])
        for number, one in enumerate(behaviors):
            wanted = [{1: 0, 0: 1, -1: -1}[reference(row, number, frame)] for frame in range(row.frames)]
            assert one.of(row).tolist() == wanted and one.classes[1] == one.background == "other"
            assert not one.of_recording


@pytest.mark.parametrize("unit", ["scene", "animal", "pair"])
def test_behaviors_at_the_same_time_are_one_class(store, rows_of, unit):
    rows = rows_of(unit)
    _, acts = stream_labels(store, rows)
    assert acts.classes[:3] == WORDS and acts.classes[-1] == acts.background == "other"
    for row in rows:
        own = acts.of(row)
        for frame in range(row.frames):
            values = [reference(row, behavior, frame) for behavior in range(3)]
            shown = [word for word, value in zip(WORDS, values, strict=True) if value == 1]
            if max(values) < 0:
                assert own[frame] == -1
            else:
                assert acts.classes[own[frame]] == (" + ".join(shown) or "other")
    assert ("chase + sniff" in acts.classes) and (unit != "pair" or len(acts.classes) == 5)


def test_the_background_is_no_behavior(store, rows_of, tmp_path):
    labels = PairLabels(vocabulary=("other", "chase"), bouts=np.array([(0, 1, 0, 2, 5)]))
    recording = replace(store.recording("a"), pair_labels={"acts": labels})
    other = write_store(tmp_path / "other", [recording])
    (acts,) = [one for one in stream_labels(other, rows_of("pair")[:6]) if one.stream == "acts"]
    assert acts.classes == ("other", "chase", "other_") and acts.background == "other_"
