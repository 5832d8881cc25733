"""Speed and memory of the labeling application on six million frames, beside the bare products of matrices.

    python benchmarks/bench_label.py [--frames 6000000] [--dim 128] [--answers 60] [--folder DIR] [--threads 2]

Simulated embeddings (`simulated_embeddings.py`, float16) and a store of two mice are written to disk. The server is
`ssl-behavior label` in a process of its own; every number is wall time over HTTP, as the page sees it:

- first page: from the start of the process until the page and its scripts are there; project: until its recordings are;
  at the first start, and at a later one;
- ready: until the first proposals are there, with the segments made anew, and with those of the first start;
- answer: from an answer (yes and no in turn) until the next six proposals are there, median and 95th percentile; the
  mean time of the processor, too, which other programs on the machine change less;
- search: similar bouts of a bout; trust: the estimates; timeline of a recording;
- sentence: a rule over two task programs that no frame fulfills, so that the search looks at all frames; wall time and
  the mean time of the processor. The first one comes before any program is evaluated; then one has a new program, and
  later ones have other numbers or other programs. Also the time until all programs are evaluated in the background.

Bare operations are measured in the same run while the server waits:

- search: one product of all segments' points and a vector;
- answer: seven such products (one to score, six for the diversity of six proposals), thirty pairs of products with the
  frames that a head is fitted to, and one second moment of these frames;
- sentence: two arrays of all frames are compared with numbers, and the runs in which both comparisons hold are found;
- sentence with a new program: one copy of all keypoints.

Memory is the peak of the server, with and without mapped files. The last line of stdout is one JSON object.
"""

import argparse
import atexit
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from simulated_embeddings import simulate_embeddings
from timing import seconds

from probe.labeling.sentences import PAUSE_SECONDS
from ssl_behavior.device import choose_device, describe_device
from ssl_behavior.recording import Recording
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store

BEHAVIOR = {"name": "chase", "definition": "One mouse runs after the other.", "annotator": "bench"}
SEGMENT_SECONDS, FPS = 1.5, 30.0
BACKGROUND_FRAMES, FRAMES_PER_ANSWER = 4_000, 12
SCORED, FITTED = 7, 30
"""Products of an answer: with all segments, and pairs with the fitted frames."""
SENTENCE, OTHER_PROGRAMS = "following > {} and speed.resident > {} px/s", "{}.resident > {} and {}.intruder > {}"
NEVER = 1e4
PROGRAMS = ("facing_angle", "nose_movement", "approach_velocity", "elongation", "turning", "acceleration")
IDLE_SECONDS = 2 * PAUSE_SECONDS
GB = 1e9


def recordings(rows: list[Any], seed: int) -> Iterator[Recording]:
    """Two mice that wander, as long as the embeddings' recordings."""
    skeleton = SKELETONS["calms21"]
    body = numpy_generator(seed, "body").normal(0, 20, (1, 1, skeleton.num_keypoints, 2))
    for number, row in enumerate(rows):
        generator = numpy_generator(seed, "mice", number)
        walk = 400 + np.cumsum(generator.standard_normal((row.frames, 2, 1, 2), dtype=np.float32), axis=0) / 4
        yield Recording(id=row.id, keypoints=(walk + body).astype(np.float32), fps=row.fps, skeleton=skeleton)


def prepare(folder: Path, frames: int, dim: int) -> tuple[Path, Path]:
    """Store and embeddings, or those that an earlier call has written."""
    embeddings = simulate_embeddings(folder / f"{frames}x{dim}", frames, dim)
    place = folder / f"store-{frames}"
    store = Store(place) if place.exists() else write_store(place, recordings(embeddings.rows, 0))
    table = embeddings.path / "embeddings.json"
    contents = json.loads(table.read_text(encoding="utf-8")) | {"store": store.fingerprint()}
    table.write_text(json.dumps(contents), encoding="utf-8")
    return place, embeddings.path


class Server:
    """The application as a process, and a browser with its cookie."""

    def __init__(self, store: Path, embeddings: Path, project: Path, threads: int) -> None:
        self.started = time.perf_counter()
        words = [sys.executable, "-m", "ssl_behavior", "label", store, embeddings, "--out", project, "--no-browser"]
        own = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True, env=own)
        atexit.register(self.process.kill)
        address = next(line for line in self.process.stdout if line.startswith("http")).strip()
        origin = address.partition("/?")[0]
        self.client = httpx.Client(base_url=origin, headers={"origin": origin}, timeout=600, trust_env=False)
        page = self.client.get(address, follow_redirects=True).raise_for_status().text
        for asset in re.findall(r"/assets/[\w.-]+", page):
            self.client.get(asset).raise_for_status()
        self.first_page_s = time.perf_counter() - self.started
        self.get("/api/project")
        self.project_s = time.perf_counter() - self.started
        self.own_bytes = 0
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self._watch.start()

    def _watch_memory(self) -> None:
        while not self._done.wait(0.05):
            self.own_bytes = max(self.own_bytes, self.memory("RssAnon"))

    def memory(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024

    def processor_s(self) -> float:
        """Time of the processor that the server took until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path: str, **query: object) -> Any:
        return self._checked(lambda: self.client.get(path, params=query))

    def post(self, path: str, **body: object) -> Any:
        return self._checked(lambda: self.client.post(path, json=body))

    def _checked(self, ask: Any) -> Any:
        while (answer := ask()).status_code == 503:
            time.sleep(0.02)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def proposals(self) -> list[dict[str, Any]]:
        return self.post("/api/proposals", behavior=BEHAVIOR["name"], annotator="bench", k=6)["proposals"]

    def answer(self, hit: dict[str, Any], decision: str) -> None:
        self.post(
            "/api/answers", key=str(uuid.uuid4()), behavior=BEHAVIOR["name"], annotator="bench", row=hit["row"],
            start=hit["start"], stop=hit["stop"], shown_start=hit["start"], shown_stop=hit["stop"], decision=decision,
            source=hit["source"], ticket=hit["ticket"], seconds=2.0,
        )  # fmt: skip

    def ready_s(self) -> float:
        self.post("/api/behaviors", **BEHAVIOR)
        self.proposals()
        return time.perf_counter() - self.started

    def end(self) -> dict[str, float]:
        self._done.set()
        self._watch.join()
        peak = {"peak_gb": self.memory("VmHWM") / GB, "peak_own_gb": self.own_bytes / GB}
        self.client.close()
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        return peak


@contextmanager
def timed(times: list[float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    times.append(time.perf_counter() - start)


def answered(server: Server, count: int) -> dict[str, float]:
    """Times from an answer to the next proposals, the first answers included, which change a head most."""
    times: list[float] = []
    ahead, before = server.proposals(), server.processor_s()
    for number in range(count):
        with timed(times):
            server.answer(ahead[0], "no" if number % 2 else "yes")
            ahead = server.proposals()
    ordered = sorted(times)
    processor = (server.processor_s() - before) / count
    middle, late = statistics.median(times), ordered[int(0.95 * len(ordered))]
    return {"answer_s": middle, "answer_95_s": late, "answer_processor_s": processor}


def searched(server: Server, repeats: int = 15) -> dict[str, float]:
    """Median times of the other requests of the page, and the time of the first request of each kind."""
    rows = [row["id"] for one in server.get("/api/project")["recordings"] for row in one["rows"]]
    chosen = numpy_generator(0, "searches").choice(len(rows), repeats + 1)
    name = BEHAVIOR["name"]
    jobs = {
        "search": lambda row: server.post("/api/search", behavior=name, row=row, start=300, stop=360, k=20),
        "timeline": lambda row: server.get("/api/timeline", behavior=name, row=row),
        "trust": lambda row: server.get("/api/trust", behavior=name),
    }
    result: dict[str, float] = {}
    for kind, job in jobs.items():
        own: list[float] = []
        for number in chosen:
            with timed(own):
                job(rows[number])
        result |= {f"{kind}_first_s": own[0], f"{kind}_s": statistics.median(own[1:])}
    return result


def sentences(server: Server, name: str, texts: list[str]) -> dict[str, float]:
    """Median time of sentences that nothing fulfills, and the mean time of the processor."""
    times: list[float] = []
    before = server.processor_s()
    for text in texts:
        with timed(times):
            found = server.post("/api/sentence", behavior=BEHAVIOR["name"], text=text, k=20)
        assert not found["hits"], f"{text!r} is fulfilled: not all frames were looked at"
    processor = (server.processor_s() - before) / len(texts)
    return {f"{name}_s": statistics.median(times), f"{name}_processor_s": processor}


def first_sentences(server: Server) -> dict[str, float]:
    """Times of sentences before the programs are evaluated, and of the evaluation that goes on in the background."""
    result = sentences(server, "sentence_first", [SENTENCE.format(0.7, 20)])
    result |= sentences(server, "sentence_new_program", [f"body_overlap > {NEVER}"])
    start = time.perf_counter()
    while True:
        before = server.processor_s()
        time.sleep(IDLE_SECONDS)
        if server.processor_s() - before < IDLE_SECONDS / 20:
            prepared = time.perf_counter() - start - IDLE_SECONDS
            return result | {"sentences_prepared_s": prepared}


def later_sentences(server: Server) -> dict[str, float]:
    """Median times with the programs of the first sentence and other numbers, and with all other programs in turn."""
    same = [SENTENCE.format(0.6 + number / 100, 30 - number) for number in range(9)]
    pairs = [(one, two) for one in PROGRAMS for two in PROGRAMS if one != two]
    other = [OTHER_PROGRAMS.format(one, NEVER, two, NEVER) for one, two in pairs]
    return sentences(server, "sentence", same) | sentences(server, "sentence_other_programs", other)


def bare_sentences(store: Store) -> dict[str, float]:
    """Seconds of comparisons and runs over two arrays of all frames, and of a copy of the keypoints."""
    one, two = np.random.default_rng(0).random((2, store.num_frames), dtype=np.float32)

    def compared() -> np.ndarray:
        return np.flatnonzero(np.diff((one > 0.999) & (two > 0.999)))

    def copied() -> None:
        for row in store.rows:
            np.array(store.keypoints[row.slice])

    return {
        name: statistics.median(seconds(job) for _ in range(5))
        for name, job in (("comparisons_s", compared), ("keypoints_copy_s", copied))
    }


def bare_products(frames: int, dim: int, answers: int) -> dict[str, float]:
    """Seconds of the products that nothing can do without, in float32."""
    points = torch.rand(round(frames / FPS / SEGMENT_SECONDS), dim)
    fitted = torch.rand(BACKGROUND_FRAMES + FRAMES_PER_ANSWER * answers, dim)
    weights, outcome = torch.rand(dim, 1), torch.rand(len(fitted), 1)
    scored = statistics.median(seconds(lambda: points @ weights) for _ in range(50))
    pair = statistics.median(seconds(lambda: (fitted @ weights, fitted.T @ outcome)) for _ in range(50))
    moment = statistics.median(seconds(lambda: fitted.T @ fitted) for _ in range(50))
    return {"segments_product_s": scored, "answer_products_s": SCORED * scored + FITTED * pair + moment}


def measure(options: argparse.Namespace, folder: Path, project: Path) -> dict[str, Any]:
    store, embeddings = prepare(folder, options.frames, options.dim)
    server = Server(store, embeddings, project, options.threads)
    result: dict[str, Any] = {
        "first_page_s": server.first_page_s, "project_s": server.project_s, "ready_s": server.ready_s(),
    }  # fmt: skip
    result |= first_sentences(server)
    result |= {f"making_{name}": value for name, value in server.end().items()}
    server = Server(store, embeddings, project, options.threads)
    result |= {"next_first_page_s": server.first_page_s, "next_project_s": server.project_s}
    result["next_ready_s"] = server.ready_s()
    result |= answered(server, options.answers)
    bare = bare_products(options.frames, options.dim, options.answers) | bare_sentences(Store(store))
    result |= searched(server) | later_sentences(server) | bare | server.end()
    result["answer_ratio"] = result["answer_s"] / bare["answer_products_s"]
    result["search_ratio"] = result["search_s"] / bare["segments_product_s"]
    result["sentence_ratio"] = result["sentence_s"] / bare["comparisons_s"]
    result["sentence_new_program_ratio"] = result["sentence_new_program_s"] / bare["keypoints_copy_s"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=6_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--answers", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where store and embeddings are kept; a temporary one by default")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(options, options.folder or Path(scratch), Path(scratch) / "project")
    facts = {
        "benchmark": "label", "machine": describe_device(choose_device("cpu"), torch.float32),
        "torch": torch.__version__, "threads": options.threads, "frames": options.frames, "dim": options.dim,
        "answers": options.answers,
    }  # fmt: skip
    print(json.dumps(facts | result))


if __name__ == "__main__":
    main()
