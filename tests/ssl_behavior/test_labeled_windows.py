"""Windows with labels: only named recordings give labels, and every kind of window gets its share."""

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.labeled_windows import LabeledReader, LabelFacts, Sampling, StreamFacts, label_facts
from ssl_behavior.recording import Labels
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader

WINDOW = 13
CLASSES = ("attack", "mount", "other")


def behavior(frames, annotator="0", rare=()):
    """ "other", but for one frame of attack and the rare ones of mount."""
    frames_of_stream = np.full(frames, 2)
    frames_of_stream[:3] = -1
    frames_of_stream[frames // 2] = 0
    frames_of_stream[list(rare)] = 1
    return Labels(vocabulary=CLASSES, frames=frames_of_stream, annotator=annotator, background="other")


def groom(frames):
    return Labels(vocabulary=("other", "groom"), frames=np.arange(frames) // 17 % 2, annotator="2", background="other")


@pytest.fixture
def store(tmp_path, dyad):
    recordings = [
        dyad("a", 211, labels={"behavior": behavior(211, rare=[5, 200])}),
        dyad("b", 307, labels={"behavior": behavior(307, "1")}),
        dyad("c", 101, labels={"groom": groom(101)}),
        dyad("d", 401),
        dyad("short", 7, labels={"behavior": behavior(7)}),
    ]
    return write_store(tmp_path / "s", recordings)


def sources(store, ids="abcd"):
    return [(store, store.row(name)) for name in ids]


def reader_of(store, labeled="abc", ids="abcd", **sampling):
    facts = label_facts(sources(store, list(labeled)))
    keys = {(str(store.path), name) for name in labeled}
    return LabeledReader(sources(store, ids), WINDOW, keys, facts, Sampling(**sampling))


def test_streams_and_annotators_are_those_of_the_recordings(store):
    facts = label_facts(sources(store, "abc"))
    assert facts.streams == (
        StreamFacts(name="behavior", classes=CLASSES, background="other"),
        StreamFacts(name="groom", classes=("other", "groom"), background="other"),
    )
    assert facts.annotators == ("0", "1", "2") and facts.streams[0].foreground == (0, 1)
    assert [stream.name for stream in label_facts(sources(store, "abc"), ["groom"]).streams] == ["groom"]


@pytest.mark.parametrize(
    ("ids", "streams", "message"),
    [("d", (), "no recording to learn from has labels"), ("ab", ("groom",), "labels called 'groom'.*'behavior'")],
)
def test_missing_labels_raise(store, ids, streams, message):
    with pytest.raises(InputError, match=message):
        label_facts(sources(store, ids), streams)


def test_stores_with_different_classes_raise(tmp_path, store, dyad):
    other = Labels(vocabulary=("mount", "attack", "other"), frames=np.zeros(19, int))
    second = write_store(tmp_path / "t", [dyad("e", 19, labels={"behavior": other})])
    with pytest.raises(InputError, match=r"'behavior' of .* have other classes"):
        label_facts([*sources(store, "a"), (second, second.rows[0])])


def test_only_named_recordings_show_labels(store):
    reader = reader_of(store, labeled="a")
    assert reader.labeled == [0]
    batch = reader.read([(pick, 100, WINDOW) for pick in range(4)])
    assert (batch.labels[1:] == -1).all() and (batch.labels[0, :, 0] >= 0).all()
    assert reader.counts["behavior"].tolist() == [1, 2, 211 - 3 - 3]


def test_labels_stand_beside_their_frames_and_padding_has_none(store):
    reader = reader_of(store)
    batch = reader.read([(0, -4, WINDOW), (1, 300, WINDOW), (2, 10, WINDOW)])
    plain = WindowReader(sources(store), WINDOW).read([(0, -4, WINDOW), (1, 300, WINDOW), (2, 10, WINDOW)])
    assert (batch.keypoints == plain.keypoints).all() and (batch.valid == plain.valid).all()
    frames_of_stream = store.labels("behavior")
    assert batch.labels[0, :, 0].tolist() == [-1] * 4 + frames_of_stream[: WINDOW - 4].tolist()
    assert batch.labels[1, :, 0].tolist() == frames_of_stream[211 + 300 : 211 + 307].tolist() + [-1] * 6
    assert (batch.labels[:2, :, 1] == -1).all() and (batch.labels[2, :, 0] == -1).all()
    assert batch.labels[2, :, 1].tolist() == (np.arange(10, 10 + WINDOW) // 17 % 2).tolist()
    assert [reader.facts.annotators[number] for number in batch.annotator] == ["0", "1", "2"]


def test_batch_has_the_configured_shares(store):
    reader = reader_of(store, labeled="ac", labeled_share=0.5, per_stream=2)
    for step in range(20):
        spans = reader.draw(12, numpy_generator(step, "draw"))
        assert len(spans) == 12 and spans == reader.draw(12, numpy_generator(step, "draw"))
        picks = [pick for pick, _, _ in spans]
        assert picks.count(2) >= 2, "the stream of few frames has its two windows"
        assert sum(pick in (0, 2) for pick in picks) >= 6
        assert all(0 <= start <= reader.sources[pick][1].frames - WINDOW for pick, start, _ in spans)
    everywhere = {pick for step in range(20) for pick, _, _ in reader.draw(12, numpy_generator(step, "draw"))}
    assert everywhere == {0, 1, 2, 3}


def test_more_streams_than_windows_take_turns(store):
    reader = reader_of(store, labeled="ac", labeled_share=1.0, per_stream=3)
    picks = {pick for step in range(20) for pick, _, _ in reader.draw(2, numpy_generator(step, "draw"))}
    assert picks == {0, 2}


def test_windows_around_rare_classes_hold_them(store):
    reader = reader_of(store, labeled="a", labeled_share=1.0, rare_share=1.0)
    batch = reader.sample(60, numpy_generator(0, "rare"))
    attack, mount = ((batch.labels[..., 0] == number).any(dim=1) for number in (0, 1))
    assert (attack | mount).all()
    assert 15 <= int(attack.sum()) <= 45, "classes are drawn evenly, whatever their frames"
    places = (batch.labels[..., 0] == 0).nonzero()[:, 1]
    assert len(set(places.tolist())) > 5, "anywhere in the window"


def test_a_recording_shorter_than_the_window_is_padded(store):
    reader = reader_of(store, labeled=["short"], ids=["short"], labeled_share=1.0, rare_share=0.5)
    batch = reader.sample(5, numpy_generator(0, "short"))
    assert batch.valid.sum(dim=1).tolist() == [7] * 5 and (batch.labels[~batch.valid] == -1).all()


def test_unknown_annotator_raises(store):
    facts = LabelFacts(streams=label_facts(sources(store, "a")).streams, annotators=("0",))
    with pytest.raises(InputError, match=r"recording 'b' was labeled by '1', which is none of .*\['0'\]"):
        LabeledReader(sources(store), WINDOW, {(str(store.path), "b")}, facts, Sampling())


@pytest.mark.parametrize("values", [{"labeled_share": 1.1}, {"rare_share": -0.1}, {"per_stream": -1}])
def test_invalid_shares_raise(values):
    with pytest.raises(InputError, match="sampling: "):
        Sampling(**values)
