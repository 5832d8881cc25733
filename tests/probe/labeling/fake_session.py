"""A session that notes its calls, and how browsers reach it."""

TOKEN, HOST, ORIGIN = "secret-token", "127.0.0.1:8000", "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"
ANSWER = {
    "key": "k1", "behavior": "following", "annotator": "Anna", "row": "r1@m1,m2", "start": 3, "stop": 9,
    "shown_start": 0, "shown_stop": 12, "decision": "yes", "source": "random", "ticket": "t", "seconds": 1.5,
}  # fmt: skip


class Session:
    """A session that notes its calls, and answers or raises what a test says."""

    def __init__(self):
        self.calls, self.answers, self.errors = [], {}, {}

    def __getattr__(self, method):
        def call(*arguments, **fields):
            self.calls.append((method, fields or arguments))
            if method in self.errors:
                raise self.errors[method]
            return self.answers.get(method, {})

        return call


def error_of(answer, status):
    assert answer.status_code == status, answer.text
    assert set(answer.json()) >= {"error"}
    return answer.json()["error"]
