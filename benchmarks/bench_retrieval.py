"""Speed and recall of neighbor search in six million frames, compared with plain faiss calls.

    python benchmarks/bench_retrieval.py [--frames 6000000] [--dim 128] [--queries 10000] [--folder DIR] [--threads N]

Simulated embeddings (`simulated_embeddings.py`) are written to disk as float16. Ours is what `ssl-behavior neighbors`
does: scale the columns, build in blocks, measure the recall, save, open, search. Plain faiss trains the same kind of
index on as many frames of the same array, adds the array in the same blocks, saves, reads, and searches as many
lists. Both have a process of their own, so that each has its own peak of memory. Recall is of the ten nearest frames
more than 2 s away from the query, and of the ten nearest of all, on queries that the index was not tuned on. The
ceilings, measured before and after: products of matrices for building, reading memory for searching. The last line of
stdout is one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from simulated_embeddings import simulate_embeddings
from timing import seconds

from ssl_behavior.device import choose_device, describe_device
from ssl_behavior.embedding_space import BLOCK_FRAMES, SpaceConfig
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.faiss_library import load_faiss
from ssl_behavior.retrieval import FrameIndex, IndexConfig, build_index
from ssl_behavior.retrieval.frame_index import RECALL_AT, RecallSample
from ssl_behavior.seeds import numpy_generator

EXACT_QUERIES = 500
SEARCHED_AT_ONCE = 1_000
GB = 1e9


def memory(name: str) -> float:
    """Peak memory of this process, in GB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / GB


@contextmanager
def own_memory(result: dict[str, Any]) -> Iterator[None]:
    """Peak private memory of the process, without mapped files, which the system can reclaim."""
    done, most = threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.1):
            most[0] = max(most[0], memory("RssAnon"))

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    done.set()
    thread.join()
    result |= {"peak_gb": memory("VmHWM"), "peak_own_gb": most[0]}


def chosen_frames(options: argparse.Namespace) -> np.ndarray:
    drawn = numpy_generator(1, "queries of the benchmark").choice(options.frames, options.queries, replace=False)
    return np.sort(drawn)


def ours(options: argparse.Namespace, embeddings: Embeddings, out: Path) -> dict[str, Any]:
    """Built, opened, searched; and what the search found."""
    result: dict[str, Any] = {}
    config = IndexConfig(kind=options.kind, memory_gb=options.memory_gb)
    with own_memory(result):
        started = time.perf_counter()
        build_index(embeddings, out, SpaceConfig(unit=True), config, overwrite=True)
        result["build_s"] = time.perf_counter() - started
        started = time.perf_counter()
        index = FrameIndex.open(out, embeddings)
        result["open_s"] = time.perf_counter() - started
        points = index.space.gather(embeddings, chosen_frames(options))
        parts = [points[start : start + SEARCHED_AT_ONCE] for start in range(0, len(points), SEARCHED_AT_ONCE)]
        result["search_s"] = seconds(lambda: [index.search(part, options.k) for part in parts])
    facts = index.facts
    told = {"kind": facts.kind, "factory": facts.factory, "nprobe": facts.breadth, "recall_told": facts.recall}
    return result | told | recalls(index, embeddings, options)


def recalls(index: FrameIndex, embeddings: Embeddings, options: argparse.Namespace) -> dict[str, float]:
    """Against exact search, on queries that nothing was tuned on."""
    most = min(EXACT_QUERIES, options.queries)
    chosen = np.sort(numpy_generator(2, "exact queries").choice(options.frames, most, replace=False))
    sample = RecallSample(embeddings.rows, index.frames, chosen, index.space.gather(embeddings, chosen))
    for span, points in index.space.blocks(embeddings):
        sample.exact.add(span.start, points)
    away = sample.recall(
        lambda points, k: index.search(points, k)[1], lambda frames: index.space.gather(embeddings, frames)
    )
    found, true = index.search(sample.points, options.k)[1], sample.exact.positions[:, :RECALL_AT]
    every = [np.isin(best, got[:RECALL_AT]).mean() for got, best in zip(found, true, strict=True)]
    return {"recall_at_10": float(np.nanmean(away)), "recall_at_10_of_all_frames": float(np.mean(every))}


def plain(options: argparse.Namespace, embeddings: Embeddings, out: Path) -> dict[str, Any]:
    """The same calls of faiss without anything around them."""
    faiss, array, result = load_faiss("the benchmark"), embeddings.array, {}
    file = str(out.with_suffix(".faiss"))
    with own_memory(result):
        started = time.perf_counter()
        library = faiss.index_factory(options.dim, options.factory)
        if not library.is_trained:
            most = min(options.frames, 64 * getattr(library, "nlist", 1))
            drawn = np.sort(numpy_generator(1, "training").choice(options.frames, most, replace=False))
            library.train(array[drawn].astype(np.float32))
        for start in range(0, options.frames, BLOCK_FRAMES):
            library.add(array[start : start + BLOCK_FRAMES].astype(np.float32))
        faiss.write_index(library, file)
        result["build_s"] = time.perf_counter() - started
        del library
        library = faiss.read_index(file, getattr(faiss, "IO_FLAG_MMAP_IFC", faiss.IO_FLAG_MMAP))
        if hasattr(library, "nprobe"):
            library.nprobe = options.nprobe
        points = array[chosen_frames(options)].astype(np.float32)
        parts = [points[start : start + SEARCHED_AT_ONCE] for start in range(0, len(points), SEARCHED_AT_ONCE)]
        result["search_s"] = seconds(lambda: [library.search(part, options.k) for part in parts])
    Path(file).unlink()
    return result


def ceilings(dim: int, lists: int) -> dict[str, float]:
    """GFLOP/s of the products that assign frames to lists, and GB/s of reading."""
    block, centers = torch.rand(BLOCK_FRAMES, dim), torch.rand(dim, lists)
    numbers = np.ones(1 << 27, np.float32)
    products = min(seconds(lambda: block @ centers) for _ in range(5))
    reading = min(seconds(numbers.max) for _ in range(5))
    return {"gflops": 2 * BLOCK_FRAMES * dim * lists / products / 1e9, "read_gb_s": numbers.nbytes / reading / GB}


def in_a_process(job: str, options: argparse.Namespace, folder: Path, *more: object) -> dict[str, Any]:
    words = [sys.executable, __file__, "--job", job, "--folder", folder]
    for name in ("frames", "dim", "queries", "k", "kind", "memory_gb", "threads"):
        words += [f"--{name.replace('_', '-')}", getattr(options, name)]
    done = subprocess.run([str(word) for word in (*words, *more)], check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{job}: {json.dumps(result)}", flush=True)
    return result


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both, each in a process of its own, between two measurements of the ceilings."""
    before = ceilings(options.dim, 4096)
    own = in_a_process("ours", options, folder)
    other = in_a_process("plain", options, folder, "--factory", own["factory"], "--nprobe", own["nprobe"])
    after = ceilings(options.dim, 4096)
    ceiling = {name: (before[name] + after[name]) / 2 for name in before}
    ratios = {f"{name}_ratio": own[f"{name}_s"] / other[f"{name}_s"] for name in ("build", "search")}
    both = own["build_s"] + own["search_s"], other["build_s"] + other["search_s"]
    result = {"ours": own, "plain": other, "ceiling": ceiling, **ratios, "ratio": both[0] / both[1]}
    if "IVF" not in own["factory"]:
        return result
    lists = int(own["factory"].split(",")[0].removeprefix("IVF"))
    # Ten passes of k-means over 64 frames a list, then every frame to its list; recall's queries are compared with all.
    products = 2 * options.dim * (lists * (10 * 64 * lists + options.frames) + 512 * options.frames)
    scanned = options.queries * own["nprobe"] / lists * options.frames * 2 * options.dim / GB
    return result | {
        "build_share_of_products": products / 1e9 / ceiling["gflops"] / own["build_s"],
        "search_share_of_reading": scanned / ceiling["read_gb_s"] / own["search_s"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=6_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("-k", "--k", type=int, default=50)
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--memory-gb", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--folder", type=Path, help="where embeddings are kept; a temporary one by default")
    for name in ("--job", "--factory", "--nprobe"):
        parser.add_argument(name, help=argparse.SUPPRESS, type=int if name == "--nprobe" else str)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    load_faiss("the benchmark").omp_set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        embeddings = simulate_embeddings(folder / f"{options.frames}x{options.dim}", options.frames, options.dim)
        if options.job:
            job = {"ours": ours, "plain": plain}[options.job]
            print(json.dumps(job(options, embeddings, folder / "index")))
            return
        facts = {
            "benchmark": "retrieval", "machine": describe_device(choose_device("cpu"), torch.float32),
            "faiss": load_faiss("the benchmark").__version__, "torch": torch.__version__, "threads": options.threads,
            "frames": options.frames, "dim": options.dim, "queries": options.queries, "k": options.k,
        }  # fmt: skip
        print(json.dumps(facts | compare(options, folder)))


if __name__ == "__main__":
    main()
