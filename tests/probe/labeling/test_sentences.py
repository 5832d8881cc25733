"""The session's search for sentences: programs are evaluated in the background, while nobody waits."""

from threading import Event, RLock

import pytest

from probe.labeling import sentences
from probe.labeling.sentences import Sentences
from ssl_behavior.embeddings_folder import unit_rows
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval import SentenceSearch
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
    store = write_store(tmp_path / "store", [dyad(f"r{n}", 200, seed=n) for n in range(3)])
    monkeypatch.setattr(sentences, "SentenceSearch", Watched)
    monkeypatch.setattr(Watched, "done", Event())
    return lambda programs=None, busy=None: Sentences(
        store, unit_rows(store.rows, "scene", store.individuals), programs, busy or RLock()
    )


def test_programs_are_evaluated_in_the_background(make):
    search = make()
    search.prepare()
    assert Watched.done.wait(60)
    assert search._made().went == [True] * 3
    assert len(search.find("speed > 1", 2)) == 2


def test_nothing_is_evaluated_while_somebody_waits_or_after_the_end(make):
    busy = RLock()
    search = make(busy=busy)
    with busy:
        search.prepare()
        assert len(search.find("speed > 1", 2)) == 2
        assert not Watched.done.wait(0.2)
        search.close()
    assert Watched.done.wait(60)
    assert search._made().went == [False]


def test_errors_of_programs_are_those_of_the_first_sentence(make, tmp_path):
    search = make(tmp_path / "none.py")
    search._prepare()
    with pytest.raises(InputError, match=r"none\.py"):
        search.find("speed > 1", 2)
