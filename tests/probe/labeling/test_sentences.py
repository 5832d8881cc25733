"""The session's search for sentences: programs are evaluated in the background, while nobody waits."""

import threading
from threading import Event

import pytest

from probe.labeling import sentences
from probe.labeling.sentences import Sentences
from probe.labeling.state import WatchedLock
from ssl_behavior.embeddings_folder import unit_rows
from ssl_behavior.errors import InputError
from ssl_behavior.programs.recording_blocks import recording_blocks
from ssl_behavior.retrieval import SentenceSearch, sentence_search, signals
from ssl_behavior.store import write_store


class Watched(SentenceSearch):
    """A search that says when its programs were prepared, or were not."""

    done = Event()

    def prepare(self, going=lambda: True):
        self.went = []
        super().prepare(lambda: self.went.append(going()) or self.went[-1])
        self.done.set()


@pytest.fixture
def make(dyad, tmp_path, monkeypatch):
    store = write_store(tmp_path / "store", [dyad(f"r{n}", 200, seed=n) for n in range(5)])
    monkeypatch.setattr(sentences, "SentenceSearch", Watched)
    monkeypatch.setattr(sentences, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(Watched, "done", Event())
    return lambda programs=None, lock=None: Sentences(
        store, unit_rows(store.rows, "scene", store.individuals), programs, lock or WatchedLock()
    )


def test_programs_are_evaluated_in_the_background(make):
    search = make()
    search.prepare()
    assert Watched.done.wait(60)
    assert search._made().went == [True] * 5
    assert len(search.find("speed > 1", 2)) == 2


def test_nothing_is_evaluated_while_somebody_waits_or_after_the_end(make):
    lock = WatchedLock()
    search = make(lock=lock)
    with lock:
        search.prepare()
        assert len(search.find("speed > 1", 2)) == 2
        assert not Watched.done.wait(0.3)
        search.close()
    assert not Watched.done.is_set() and not search._thread.is_alive()


def test_the_end_stops_a_search_and_waits_for_it(make, monkeypatch):
    """A search that went on while Python ends would abort the process."""
    began, may_go_on, evaluated, errors = Event(), Event(), [], []

    def blocks(*arguments):
        evaluated.append(1)
        began.set()
        assert may_go_on.wait(10)
        return recording_blocks(*arguments)

    monkeypatch.setattr(signals, "recording_blocks", blocks)
    monkeypatch.setattr(sentence_search, "_AT_ONCE", 1)
    search = make()

    def find():
        try:
            search.find("speed > 1", 1000)
        except InputError as error:
            errors.append(str(error))

    finding, closing = threading.Thread(target=find), threading.Thread(target=search.close)
    finding.start()
    assert began.wait(10)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    may_go_on.set()
    closing.join(10)
    assert not closing.is_alive() and len(evaluated) < 5
    finding.join(10)
    find()
    assert errors == ["the project was closed"] * 2


def test_a_lock_knows_how_long_it_was_free():
    lock, held, done = WatchedLock(), Event(), Event()

    def hold():
        with lock, lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10) and lock.idle_seconds() == 0.0
    done.set()
    thread.join()
    first = lock.idle_seconds()
    assert 0.0 < first < 5 and lock.idle_seconds() > first


def test_errors_of_programs_are_those_of_the_first_sentence(make, tmp_path):
    search = make(tmp_path / "none.py")
    search._prepare()
    with pytest.raises(InputError, match=r"none\.py"):
        search.find("speed > 1", 2)
