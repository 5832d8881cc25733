import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.exports.label_sources import chosen_streams, labeled_rows, stored_recordings
from ssl_behavior.recording import StreamFacts
from ssl_behavior.store import Store, write_store

S1 = StreamFacts(name="S1", classes=("chase", "rest", "resident bites"), background="rest")


def test_recordings_carry_only_their_own_label_streams(place):
    store = Store(place / "store")
    streams = chosen_streams(store)
    assert streams == (S1, StreamFacts(name="S2", classes=("rear",)))
    made = list(stored_recordings(store, store.rows, streams, actor="intruder"))
    for row, recording in zip(store.rows, made, strict=True):
        assert recording.annotator == "ann" and recording.individuals == ("resident", "intruder")
        for name in ("S1", "S2"):
            np.testing.assert_array_equal(recording.labels[name].frames, store.labels(name)[row.slice])
    actors = {(bout.behavior, bout.agent) for recording in made for bout in recording.bouts}
    assert actors == {("chase", "intruder"), ("resident bites", "resident"), ("rear", "intruder")}
    assert (made[2].labels["S2"].frames == -1).all()


def test_short_bouts_are_left_out(place):
    store = Store(place / "store")
    (recording,) = stored_recordings(store, store.rows[:1], [S1], minimum_seconds=0.6)
    assert recording.bouts and all(bout.stop - bout.start >= 15 for bout in recording.bouts)


def test_missing_streams_or_labels_raise(place, dyad, tmp_path):
    store = Store(place / "store")
    assert [row.id for row in labeled_rows(store, store.rows, chosen_streams(store, ["S2"]))] == ["a/r1", "r2"]
    with pytest.raises(InputError, match="none of the recordings has labels 'S2'"):
        labeled_rows(store, store.rows[2:], chosen_streams(store, ["S2"]))
    with pytest.raises(InputError, match="no label stream 'S9'"):
        chosen_streams(store, ["S9"])
    with pytest.raises(InputError, match="has no labels"):
        chosen_streams(write_store(tmp_path / "bare", [dyad("r", 11)]))
