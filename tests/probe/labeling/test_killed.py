"""Answers survive: servers that are killed at any moment, and two servers on one project."""

import sqlite3
import sys
import threading
import time
from contextlib import closing

import httpx
import numpy as np
import pytest

from tests.probe.labeling.server_process import BEHAVIOR, ServerProcess, answer_to, asked, make_data, proposals

DECISIONS = ("yes", "no", "unsure")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("labeled"))


class Annotator(threading.Thread):
    """A browser that answers proposals as fast as it can, until the server does not answer any more.

    `stored` has the keys of answers that the server acknowledged, `pending` the answer that it may have lost.
    """

    def __init__(self, server, name, most=10_000):
        super().__init__()
        self.server, self.annotator, self.most = server, name, most
        self.stored, self.pending, self.numbers, self.error, self.killed = [], [], [], None, False

    def run(self):
        try:
            with self.server.browser() as client:
                self._answer(client)
        except httpx.TransportError:
            self.killed = True
        except BaseException as error:
            self.error = error
            raise

    def _answer(self, client):
        generator = np.random.default_rng(len(self.annotator))
        while True:
            for hit in proposals(client, self.annotator):
                if len(self.stored) == self.most:
                    return
                body = answer_to(hit, self.annotator, str(generator.choice(DECISIONS)))
                self.pending = [body]
                self.numbers.append(asked(client, "/api/answers", **body)["event"])
                self.stored.append(body["key"])
                self.pending = []


def actions_of(project):
    """Keys of the answers in the file, each once, in the order of the file; the file must be sound."""
    with closing(sqlite3.connect(project / "labels.sqlite")) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = file.execute("""SELECT "action", MIN(id) FROM events WHERE kind = 'answer' GROUP BY 1 ORDER BY 2""")
        return [action for action, _ in found]


def killed_again_and_again(data, project, repetitions, seed):
    generator, acknowledged = np.random.default_rng(seed), []
    pending = []
    for _ in range(repetitions):
        with ServerProcess(*data, "--out", project) as server:
            with server.browser() as client:
                asked(client, "/api/behaviors", **BEHAVIOR)
                for body in pending:  # as the page does with answers that were not acknowledged
                    asked(client, "/api/answers", **body)
                    acknowledged.append(body["key"])
            annotators = [Annotator(server, name) for name in ("Anna", "Bert")]
            for one in annotators:
                one.start()
            while not any(one.stored or one.error for one in annotators):
                time.sleep(0.01)
            time.sleep(generator.uniform(0.0, 1.0))
            server.kill()
        for one in annotators:
            one.join()
            assert one.error is None
        acknowledged += [key for one in annotators for key in one.stored]
        pending = [body for one in annotators for body in one.pending]
        found = actions_of(project)
        assert len(found) == len(set(found)) and set(acknowledged) <= set(found)
        assert set(found) - set(acknowledged) <= {body["key"] for body in pending}
    return acknowledged


@pytest.mark.posix
def test_no_acknowledged_answer_is_lost(data, tmp_path):
    assert len(killed_again_and_again(data, tmp_path / "project", 3, seed=0)) >= 3


@pytest.mark.posix
@pytest.mark.slow
def test_no_acknowledged_answer_is_lost_in_fifty_kills(data, tmp_path):
    answers = killed_again_and_again(data, tmp_path / "project", 50, seed=1)
    assert len(answers) > 50
    sys.stdout.write(f"{len(answers)} answers acknowledged\n")


def test_two_servers_on_one_project_take_turns(data, tmp_path):
    project = tmp_path / "project"
    with ServerProcess(*data, "--out", project) as one, ServerProcess(*data, "--out", project) as other:
        with one.browser() as client:
            asked(client, "/api/behaviors", **BEHAVIOR)
        annotators = [Annotator(server, name, most=15) for server, name in ((one, "Anna"), (other, "Bert"))]
        for annotator in annotators:
            annotator.start()
        for annotator in annotators:
            annotator.join()
            assert annotator.error is None and len(annotator.stored) == 15
            # Later answers have later numbers.
            assert annotator.numbers == sorted(set(annotator.numbers))
        assert set(actions_of(project)) == {key for annotator in annotators for key in annotator.stored}
        for server in (one, other):  # each knows the answers of the other one
            with server.browser() as client:
                (behavior,) = asked(client, "/api/project")["behaviors"]
                assert sum(behavior[decision] for decision in DECISIONS) == 30
