"""The log of a project: what is written stays, in order, whoever writes."""

import sqlite3
import threading

import pytest

from probe.labeling.project import FILE_NAME, NotStoredError, Project, SpanDecision
from ssl_behavior.errors import InputError

FACTS = {"store": "a" * 64, "unit of embeddings": "scene"}


def span(start=0, stop=10, decision="yes", row="r0", behavior="chase"):
    return SpanDecision(behavior=behavior, row=row, start=start, stop=stop, decision=decision)


@pytest.fixture
def project(tmp_path):
    opened = Project(tmp_path / "labels", FACTS)
    opened.add_behavior("chase", "One runs after the other.", "Ann")
    yield opened
    opened.close()


def test_events_come_back_as_they_were_written(project):
    details = {"source": "random", "model": 3, "probability": 0.25, "seconds": 1.5}
    first = project.write("k1", "answer", "Ann", [span(), span(10, 20, "no")], **details)
    second = project.write("k2", "edit", "Ben", [span(5, 8, "unsure")], source="move")
    assert (first, second) == (2, 3)
    events = project.events()
    assert [(one.id, one.action, one.decision, one.start, one.stop) for one in events] == [
        (1, "k1", "yes", 0, 10), (2, "k1", "no", 10, 20), (3, "k2", "unsure", 5, 8),
    ]  # fmt: skip
    assert [(one.source, one.model, one.probability, one.seconds) for one in events[:2]] == [
        ("random", 3, 0.25, 1.5)
    ] * 2
    assert events[2].probability is None and events[2].annotator == "Ben"
    assert [one.id for one in project.events(after=2)] == [3]


def test_a_key_is_written_once(project):
    assert project.write("k1", "answer", "Ann", [span()]) == project.write("k1", "answer", "Ann", [span()]) == 1
    with pytest.raises(InputError, match="belongs to another answer"):
        project.write("k1", "answer", "Ann", [span(3, 4)])
    assert len(project.events()) == 1


def test_a_write_after_an_event_waits_for_no_other(project):
    last = project.write("k1", "answer", "Ann", [span()])
    assert project.write("k2", "draw", "", [span(decision="")], after=last - 1) == 0
    assert project.write("k2", "draw", "", [span(decision="")], after=last) == last + 1


def test_what_was_written_is_soon_in_the_file_itself(project, tmp_path):
    for number in range(30):
        project.write(f"k{number}", "answer", "Ann", [span()])
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / FILE_NAME).write_bytes(project.path.read_bytes())
    other = Project(copy, FACTS)
    assert len(other.events()) >= 20 and len(other.behaviors()) == 1
    other.close()


def test_nothing_is_changed_or_removed(project):
    project.write("k1", "answer", "Ann", [span()])
    for statement in ("UPDATE events SET decision = 'no'", "DELETE FROM events"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            project._connection.execute(statement)


def test_an_action_is_written_whole_or_not_at_all(project):
    broken = span()
    object.__setattr__(broken, "decision", None)
    with pytest.raises(InputError):
        project.write("k1", "answer", "Ann", [span(), broken])
    assert project.events() == []


def test_behaviors_keep_their_meaning(project):
    same = project.add_behavior("chase", "One runs after the other.", "Ben")
    assert [one.name for one in project.behaviors()] == [same.name]
    with pytest.raises(InputError, match=r"another definition: 'One runs after the other.'"):
        project.add_behavior("chase", "Any fast walk.", "Ben")


def test_a_project_of_another_store_is_refused(project):
    with pytest.raises(InputError, match="labeling project of another store"):
        Project(project.folder, FACTS | {"store": "b" * 64})


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one" * 40, None])
def test_other_files_are_refused(tmp_path, content):
    folder = tmp_path / "labels"
    folder.mkdir()
    if content is None:
        with sqlite3.connect(folder / FILE_NAME) as other:
            other.execute("CREATE TABLE mine (x)")
        other.close()
    else:
        (folder / FILE_NAME).write_bytes(content)
    with pytest.raises(InputError, match=r"damaged|another program"):
        Project(folder, FACTS)


def test_a_locked_project_says_so(project, monkeypatch):
    other = sqlite3.connect(project.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    project._connection.execute("PRAGMA busy_timeout = 20")
    with pytest.raises(NotStoredError, match="is locked: another program"):
        project.write("k1", "answer", "Ann", [span()])
    other.execute("ROLLBACK")
    other.close()
    assert project.write("k1", "answer", "Ann", [span()]) == 1


def test_a_full_disk_says_so_and_keeps_what_was_there(project):
    project.write("k1", "answer", "Ann", [span()])
    pages = project._connection.execute("PRAGMA page_count").fetchone()[0]
    project._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NotStoredError, match="disk is full"):
        for number in range(2, 500):
            project.write(f"k{number}", "answer", "Ann", [span()])
    project._connection.execute(f"PRAGMA max_page_count = {1000 * pages}")
    kept = [one.action for one in project.events()]
    assert kept == [f"k{number}" for number in range(1, len(kept) + 1)] and kept


def test_two_writers_are_served_in_order(project):
    other = Project(project.folder, FACTS)

    def write(who, name):
        for number in range(40):
            who.write(f"{name}{number}", "answer", name, [span(number, number + 1)])

    threads = [threading.Thread(target=write, args=pair) for pair in ((project, "Ann"), (other, "Ben"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = other.events()
    other.close()
    assert [one.id for one in events] == list(range(1, 81))
    for name in ("Ann", "Ben"):
        assert [one.start for one in events if one.annotator == name] == list(range(40))


def test_threads_of_one_project_do_not_stop_each_other(project):
    """Writes, reads and the moves of written events into the file."""
    failures = []

    def work(name):
        try:
            for number in range(60):
                project.write(f"{name}{number}", "answer", name, [span(number, number + 1)])
                project.events(after=number)
                project.behaviors()
        except InputError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("Ann", "Ben", "Cleo", "Dan")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(project.events()) == 240
