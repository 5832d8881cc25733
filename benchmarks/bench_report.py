"""Time, peak memory and size of a store's report, and frame times of its page in a browser.

    python benchmarks/bench_report.py [--frames 500000] [--dim 1300] [--points 100000] [--folder DIR] [--no-browser]

Simulated mice, whose recordings are repeated to the length asked; clusters in runs of about a second; and as embeddings
the mean of the frame's cluster plus noise, in float16. `ssl-behavior report` runs in a process of its own with one
thread: `seconds` is from its start to its end, imports included, and `peak_gb` the most memory that it held, pages of
mapped files included. The ceiling, measured before and after it, is what a report cannot do without: reading the rows
of the embeddings that it samples, and the exact searches among bouts and points, by numpy and faiss alone. `stages` are
the program's own.

With playwright and Chromium the page is opened, too: seconds until it answers, and how long the screen waits for the
next picture while 100,000 points are moved, zoomed and pointed at (median and 95th percentile, in ms; 17 is what a
screen shows). Look at `load`: with other work on the same cores all figures are worse. The last line of stdout is one
JSON object.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from timing import seconds

from ssl_behavior.device import describe_device
from ssl_behavior.embeddings_folder import Embeddings, store_embeddings
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.simulate import simulate_recording
from ssl_behavior.store import Store, create_store

_RECORDING_FRAMES, _SIMULATED = 18_000, 4
_NUM_CLUSTERS, _MEAN_RUN = 20, 30
_FITTED, _BOUTS, _SHOWN, _SPACE_DIM = 50_000, 50_000, 1_500, 128


def make_store(folder: Path, frames: int) -> Store:
    simulated = [simulate_recording(seed, _RECORDING_FRAMES) for seed in range(_SIMULATED)]
    with create_store(folder, simulated[0].skeleton) as writer:
        for number in range(-(-frames // _RECORDING_FRAMES)):
            writer.append(replace(simulated[number % _SIMULATED], id=f"mouse{number:03d}"))
    return Store(folder)


def runs(frames: int, generator: np.random.Generator) -> np.ndarray:
    lengths = generator.geometric(1 / _MEAN_RUN, frames // 5) + 5
    return np.repeat(generator.integers(0, _NUM_CLUSTERS, len(lengths)), lengths)[:frames].astype(np.int32)


def make_embeddings(folder: Path, store: Store, dim: int) -> Embeddings:
    """The embeddings, and a clusters folder of the clusters they are made of."""
    generator = np.random.default_rng(0)
    centers = generator.normal(0, 1, (_NUM_CLUSTERS, dim)).astype(np.float32)
    labels = [runs(row.frames, generator) for row in store.rows]

    def sequences():
        for row, own in zip(store.rows, labels, strict=True):
            yield row.id, centers[own] + generator.standard_normal((len(own), dim), dtype=np.float32)

    embeddings = store_embeddings(folder / "embeddings", store, store.rows, sequences(), "latent", lambda: "0" * 64)
    (folder / "clusters").mkdir()
    np.save(folder / "clusters" / "labels.npy", np.concatenate(labels))
    contents = {"format": "ssl-behavior clusters", "version": 2, "num_clusters": _NUM_CLUSTERS}
    contents["recordings"] = [asdict(row) for row in embeddings.rows]
    (folder / "clusters" / "clusters.json").write_text(json.dumps(contents))
    return embeddings


def make_report(folder: Path, points: int) -> dict[str, object]:
    command = [sys.executable, "-m", "ssl_behavior", "report", folder / "store", folder / "embeddings"]
    command += ["--clusters", folder / "clusters", "--out", folder / "report.html", "--points", points, "--overwrite"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    stages = [
        line.rsplit(maxsplit=1) for line in done.stdout.splitlines() if line.rstrip()[-8:-7].isdigit() or ":0" in line
    ]
    return {
        "seconds": round(whole, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gb": round(usage.ru_maxrss / 1e6, 2),
        "page_mb": round((folder / "report.html").stat().st_size / 1e6, 2),
        "stages": {" ".join(parts[0].split()): parts[1] for parts in stages if len(parts) == 2},
    }


def ceiling(embeddings: Embeddings, points: int) -> None:
    """The rows that a report reads, and the searches it makes."""
    faiss = load_faiss("the benchmark")
    faiss.omp_set_num_threads(1)
    generator, frames = np.random.default_rng(0), len(embeddings.array)
    for many in (_FITTED, points, 4 * min(_BOUTS, frames // _MEAN_RUN)):
        rows = np.sort(generator.integers(0, frames, min(many, frames)))
        for start in range(0, len(rows), 1 << 16):
            embeddings.array[rows[start : start + (1 << 16)]].astype(np.float32)
    drawn = generator.normal(size=(max(points, _BOUTS), _SPACE_DIM)).astype(np.float32)
    for added, queries, k in ((drawn[: frames // _MEAN_RUN], drawn[:_SHOWN], 13), (drawn[:_SHOWN], drawn[:points], 1)):
        index = faiss.IndexFlatL2(_SPACE_DIM)
        index.add(added)
        index.search(queries, k)


def browse(page_file: Path) -> dict[str, object] | None:
    """How the page behaves in Chromium; None where there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        start = time.perf_counter()
        page.goto(page_file.resolve().as_uri())
        page.wait_for_selector("html[data-ready]", timeout=120_000)
        ready = time.perf_counter() - start
        page.evaluate(
            "window.gaps = []; let last = 0; "
            "(function tick(now) { if (last) gaps.push(now - last); last = now; requestAnimationFrame(tick); })(0)"
        )
        page.wait_for_timeout(1000)
        box = page.locator("#map .stage").bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        waits = {name: _waits(page, lambda act=act: act(page, *middle)) for name, act in _ACTS.items()}
        browser.close()
    return {"ready_s": round(ready, 2), "waits_ms": waits}


def _drag(page, x, y):
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(x + 2 * step, y + step)
    page.mouse.up()


def _zoom(page, x, y):
    page.mouse.move(x, y)
    for step in range(40):
        page.mouse.wheel(0, -60 if step < 20 else 60)
        page.wait_for_timeout(16)


def _point(page, x, y):
    for step in range(60):
        page.mouse.move(x - 120 + 4 * step, y - 60 + 2 * step)


_ACTS = {"drag": _drag, "zoom": _zoom, "point": _point}


def _waits(page, act) -> list[float]:
    page.evaluate("gaps.length = 0")
    act()
    gaps = sorted(page.evaluate("gaps"))
    return [round(statistics.median(gaps), 1), round(gaps[int(0.95 * len(gaps))], 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=500_000)
    parser.add_argument("--dim", type=int, default=1_300)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep everything here (a temporary folder otherwise)")
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        store = make_store(folder / "store", options.frames)
        embeddings = make_embeddings(folder, store, options.dim)
        before = seconds(lambda: ceiling(embeddings, options.points))
        report = make_report(folder, options.points)
        best = min(before, seconds(lambda: ceiling(embeddings, options.points)))
        browser = None if options.no_browser else browse(folder / "report.html")
    import torch

    result = {
        "benchmark": "report",
        "machine": describe_device(torch.device("cpu"), torch.float32),
        "load": [round(load, 1) for load in os.getloadavg()],
        "frames": store.num_frames,
        "dim": options.dim,
        "points": options.points,
        **report,
        "ceiling_seconds": round(best, 1),
        "ratio_to_ceiling": round(report["seconds"] / best, 1),
        "browser": browser,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
