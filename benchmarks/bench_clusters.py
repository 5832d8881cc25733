"""Speed of k-means on many embedded frames, compared with plain faiss calls and with the machine's ceiling.

    python benchmarks/bench_clusters.py [--frames 6000000] [--dim 128] [--clusters 100] [--repeats 2] [--folder DIR]

Embeddings are simulated (states that take turns, moving slowly within) and written in blocks to a scratch folder, as
float16. Ours is `fit_clusters` with its defaults: a space, the best of three starts on 100,000 frames, a label for
every frame, bouts. Plain is direct use of faiss: the same number of sampled frames, starts and iterations in float32,
then `index.search(block, 1)` block by block, without scaling, checks or smoothing. Each runs in its own process, in
turn. Ratios are of CPU seconds, which a busy machine affects less; wall-clock seconds are also given. Peak memory is
the process's high-water mark, the pages of the mapped file that it read among it (Linux). The ceiling is the time to
read and cast the array once, and that of bare products of matrices of the sizes that training and labeling need. The
last line of stdout is one JSON object.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import lfilter

from ssl_behavior.clusters import KMeansConfig, fit_clusters
from ssl_behavior.device import describe_device
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.files import write_json
from ssl_behavior.seeds import numpy_generator

RECORDING_FRAMES = 18_000
SEEDS, ITERATIONS, SAMPLE, BLOCK = 3, 25, 100_000, 65_536


def ours(embeddings: Embeddings, clusters: int, stages: dict[str, float]) -> np.ndarray:
    """Labels of `fit_clusters`; the CPU seconds of each stage go into `stages`."""
    last: list[tuple[str, float]] = [("space", time.process_time())]

    def told(what: str, done: int, total: int) -> None:
        now = time.process_time()
        stages[last[0][0]] = stages.get(last[0][0], 0.0) + now - last[0][1]
        last[0] = (what, now)

    config = KMeansConfig(clusters=clusters, n_init=SEEDS, iterations=ITERATIONS, sample=SAMPLE)
    labels = fit_clusters(embeddings, config, progress=told).frames.labels
    stages["bouts"] = time.process_time() - last[0][1]
    return labels


def plain(embeddings: Embeddings, clusters: int, stages: dict[str, float]) -> np.ndarray:
    """Labels by faiss alone."""
    faiss, array = load_faiss("this benchmark"), embeddings.array
    drawn = np.sort(np.random.default_rng(0).choice(len(array), min(SAMPLE, len(array)), replace=False))
    kmeans = faiss.Kmeans(
        array.shape[1], clusters, niter=ITERATIONS, nredo=SEEDS, seed=1, min_points_per_centroid=1,
        max_points_per_centroid=SAMPLE,
    )  # fmt: skip
    start = time.process_time()
    kmeans.train(array[drawn].astype(np.float32))
    stages["k-means"] = time.process_time() - start
    labels = np.empty(len(array), np.int32)
    for at in range(0, len(array), BLOCK):
        labels[at : at + BLOCK] = kmeans.index.search(array[at : at + BLOCK].astype(np.float32), 1)[1][:, 0]
    stages["labels"] = time.process_time() - start - stages["k-means"]
    return labels


def within(array: np.ndarray, labels: np.ndarray, clusters: int) -> float:
    """Sum of squared distances to the clusters' means, of every twentieth block."""
    sums, counts, squares = torch.zeros(clusters, array.shape[1]), torch.zeros(clusters), 0.0
    for at in range(0, len(array), 20 * BLOCK):
        part = torch.from_numpy(np.asarray(array[at : at + BLOCK], np.float32))
        own = torch.from_numpy(labels[at : at + BLOCK]).long()
        sums.index_add_(0, own, part)
        counts += torch.bincount(own, minlength=clusters)
        squares += float(part.square().sum())
    return squares - float((sums.square().sum(dim=1) / counts.clamp_min(1)).sum())


def run_alone(what: str, folder: Path, clusters: int) -> dict[str, Any]:
    """Measurement in a child process, as JSON."""
    embeddings, stages = Embeddings(folder), {}
    load_faiss("this benchmark").omp_set_num_threads(torch.get_num_threads())
    wall, cpu = time.perf_counter(), time.process_time()
    labels = {"ours": ours, "plain": plain}[what](embeddings, clusters, stages)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    return {
        "seconds": wall,
        "cpu_seconds": cpu,
        "peak_mb": int(status[status.index("VmHWM:") + 1]) / 1024,
        "within": within(embeddings.array, labels, clusters),
        "stages": {name: round(value, 2) for name, value in stages.items()},
    }


def simulate(folder: Path, frames: int, dim: int) -> Path:
    """Recordings of 150 states that last two seconds in the middle, and of slow movement within them."""
    folder.mkdir(parents=True)
    generator = numpy_generator(0, "states")
    places = generator.normal(0, 1, (150, dim)).astype(np.float32)
    share, mixing = generator.dirichlet(np.ones(150)), generator.normal(0, 0.15, (20, dim)).astype(np.float32)
    array = np.lib.format.open_memmap(folder / "embeddings.npy", mode="w+", dtype=np.float16, shape=(frames, dim))
    rows = []
    for number, offset in enumerate(range(0, frames, RECORDING_FRAMES)):
        count, own = min(RECORDING_FRAMES, frames - offset), numpy_generator(0, "recording", number)
        lengths = 1 + own.geometric(1 / 60, count)
        state = np.repeat(own.choice(150, count, p=share), lengths)[:count]
        drawn = own.standard_normal((count, 20), np.float32)
        slow = lfilter([0.3], [1, -0.95], drawn, axis=0).astype(np.float32)
        noise = own.standard_normal((count, dim), np.float32)
        array[offset : offset + count] = places[state] + slow @ mixing + 0.1 * noise
        rows.append({"id": f"{number:04}", "offset": offset, "frames": count, "fps": 30.0})
    array.flush()
    contents = {"format": "ssl-behavior embeddings", "version": 1, "channel_groups": {"latent": dim}}
    write_json(folder / "embeddings.json", contents | {"checkpoint": "c", "store": "s", "recordings": rows})
    return folder


def child(what: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """`run_alone` in a process of its own."""
    command = [sys.executable, __file__, "--alone", what, "--folder", str(folder)]
    command += ["--clusters", str(options.clusters), "--threads", str(options.threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def reading_seconds(folder: Path) -> float:
    """CPU seconds to read the array once and cast it to float32."""
    array, start = np.load(folder / "embeddings.npy", mmap_mode="r"), time.process_time()
    for at in range(0, len(array), BLOCK):
        np.asarray(array[at : at + BLOCK], np.float32)
    return time.process_time() - start


def products_seconds(frames: int, dim: int, clusters: int) -> float:
    """CPU seconds of the bare products of points and centroids."""
    points, centroids = torch.randn(BLOCK, dim), torch.randn(dim, clusters)
    out, best = torch.empty(BLOCK, clusters), float("inf")
    for _ in range(9):
        start = time.process_time()
        torch.mm(points, centroids, out=out)
        best = min(best, time.process_time() - start)
    return best / BLOCK * (frames + SEEDS * ITERATIONS * min(SAMPLE, frames))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    embeddings = simulate(folder / "embeddings", options.frames, options.dim)
    reading, products = reading_seconds(embeddings), products_seconds(options.frames, options.dim, options.clusters)
    pairs = []
    for _ in range(options.repeats):
        pairs.append([child(what, embeddings, options) for what in ("ours", "plain")])
        print(json.dumps(pairs[-1]), file=sys.stderr)

    def median(which: int, key: str) -> float:
        return statistics.median(pair[which][key] for pair in pairs)

    ceiling = reading + products
    return {
        "cpu_seconds": median(0, "cpu_seconds"),
        "plain_cpu_seconds": median(1, "cpu_seconds"),
        "ratio_to_plain": statistics.median(own["cpu_seconds"] / plain["cpu_seconds"] for own, plain in pairs),
        "seconds": median(0, "seconds"),
        "plain_seconds": median(1, "seconds"),
        "ratio_to_plain_on_the_clock": statistics.median(own["seconds"] / plain["seconds"] for own, plain in pairs),
        "ceiling_cpu_seconds": ceiling,
        "ceiling_reading_cpu_seconds": reading,
        "times_the_ceiling": median(0, "cpu_seconds") / ceiling,
        "peak_mb": max(own["peak_mb"] for own, _ in pairs),
        "plain_peak_mb": max(plain["peak_mb"] for _, plain in pairs),
        "within_squares_over_plain": statistics.median(o["within"] / p["within"] for o, p in pairs),
        "stages_cpu_seconds": pairs[0][0]["stages"],
        "plain_stages_cpu_seconds": pairs[0][1]["stages"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=6_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--clusters", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the embeddings go for a while; needs 1.6 GB")
    parser.add_argument("--alone", choices=("ours", "plain"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.alone:
        print(json.dumps(run_alone(options.alone, options.folder, options.clusters)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = measure(Path(folder), options)
    result = {
        "benchmark": "clusters", "frames": options.frames, "dim": options.dim, "clusters": options.clusters,
        "threads": options.threads, **result, "machine": describe_device(torch.device("cpu"), torch.float32),
        "load": [round(load, 1) for load in os.getloadavg()],
    }  # fmt: skip
    print(json.dumps({key: round(v, 3) if isinstance(v, float) else v for key, v in result.items()}))


if __name__ == "__main__":
    main()
