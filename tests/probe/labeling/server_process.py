"""A labeling server in a process of its own, and a browser's part of the conversation with it."""

import json
import queue
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from ssl_behavior.store import Store, write_store
from tests.probe.conftest import make_recording

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 120
BEHAVIOR = {"name": "mounting", "definition": "One mouse is on the other.", "annotator": "Anna"}


def make_data(folder, recordings=4, frames=1500):
    """A store, and embeddings of it that separate its behaviors; returns the two folders."""
    store = write_store(folder / "store", [make_recording(f"r{n}", frames + n) for n in range(recordings)])
    generator = np.random.default_rng(0)
    centers = generator.normal(0, 1, (3, 8))
    array = centers[store.labels("behavior")] + generator.normal(0, 0.5, (store.num_frames, 8))
    write_embeddings(store, folder / "embeddings", array.astype(np.float32))
    return folder / "store", folder / "embeddings"


def write_embeddings(store: Store, path, array):
    path.mkdir()
    np.save(path / "embeddings.npy", array)
    contents = {
        "format": "ssl-behavior embeddings", "version": 1, "dim": array.shape[1], "dtype": str(array.dtype),
        "channel_groups": {"embedding": array.shape[1]}, "checkpoint": "c0ffee", "store": store.fingerprint(),
        "recordings": [{"id": r.id, "offset": r.offset, "frames": r.frames, "fps": r.fps} for r in store.rows],
    }  # fmt: skip
    (path / "embeddings.json").write_text(json.dumps(contents), encoding="utf-8")


class ServerProcess:
    """`ssl-behavior label` as a process; `lines` are what it printed until it listened."""

    def __init__(self, *words):
        command = [sys.executable, "-m", "ssl_behavior", "label", *map(str, words), "--no-browser"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "encoding": "utf-8"}
        self.process = subprocess.Popen(command, cwd=ROOT, **pipes)
        self._output, self.lines = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()
        while not any("Ctrl-C" in line for line in self.lines):
            line = self._output.get(timeout=PATIENCE_SECONDS)
            if line is None:
                raise AssertionError("".join(self.lines))
            self.lines.append(line)
        self.address = next(line.strip() for line in self.lines if line.startswith("http"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def _read(self):
        for line in self.process.stdout:
            self._output.put(line)
        self._output.put(None)

    @contextmanager
    def browser(self):
        """A client with the cookie of the page."""
        origin = self.address.partition("/?")[0]
        with httpx.Client(base_url=origin, headers={"origin": origin}, timeout=30, trust_env=False) as client:
            client.get(self.address, follow_redirects=True).raise_for_status()
            yield client

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def end(self, signal_number):
        """Exit code after a signal, and what was printed since the start."""
        self.process.send_signal(signal_number)
        code = self.process.wait(PATIENCE_SECONDS)
        return code, "".join(iter(lambda: self._output.get(timeout=10), None))


def asked(client, path, **body):
    """Answer to a request, repeated while the session prepares; POST where there is a body."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = client.post(path, json=body) if body else client.get(path)
        if answer.status_code != 503 or time.monotonic() > end:
            assert answer.status_code == 200, answer.text
            return answer.json()
        time.sleep(0.05)


def proposals(client, annotator, k=6):
    return asked(client, "/api/proposals", behavior=BEHAVIOR["name"], annotator=annotator, k=k)["proposals"]


def answer_to(hit, annotator, decision, seconds=0.5):
    """Body of an answer to a proposal."""
    return {
        "key": str(uuid.uuid4()), "behavior": BEHAVIOR["name"], "annotator": annotator, "row": hit["row"],
        "start": hit["start"], "stop": hit["stop"], "shown_start": hit["start"], "shown_stop": hit["stop"],
        "decision": decision, "source": hit["source"], "ticket": hit["ticket"], "seconds": seconds,
    }  # fmt: skip
