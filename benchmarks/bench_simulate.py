"""Speed of simulating dyads and groups, compared with the machine's ceiling in the same run.

    python benchmarks/bench_simulate.py [--frames 6000000] [--workers N] [--group-frames 400000]

The ceilings: writing a store's bytes from memory, and drawing as many normal numbers as the tracks have coordinates.
The last line of stdout is one JSON object.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from ssl_behavior.simulate import group_plans, simulate_calms21, simulate_store, write_plans

RECORDING_FRAMES = 20_000


def _written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _time_writing(folder: Path, num_bytes: int) -> float:
    """Seconds to write and sync as many bytes, in blocks of a recording's size."""
    block = np.random.default_rng(0).bytes(4 << 20)
    start = time.perf_counter()
    with (folder / "ceiling.bin").open("wb") as file:
        for _ in range(max(1, num_bytes // len(block))):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - start


def _time_normals(frames: int) -> float:
    """Seconds to draw 28 normal numbers per frame in one thread, float32."""
    generator = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(max(1, frames // RECORDING_FRAMES)):
        generator.standard_normal((min(frames, RECORDING_FRAMES), 28), dtype=np.float32)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=6_000_000)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--group-frames", type=int, default=400_000, help="frames of each number of mice")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench_simulate_"))
    try:
        result = measure(folder, arguments.frames, arguments.workers)
        result |= measure_groups(folder, arguments.group_frames, arguments.workers)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(result))


def measure(folder: Path, frames: int, workers: int | None) -> dict[str, object]:
    """Seconds and rates of both layouts and of the ceilings."""
    num_recordings = max(1, frames // RECORDING_FRAMES)
    start = time.perf_counter()
    store = simulate_store(folder / "store", num_recordings, min(frames, RECORDING_FRAMES), workers=workers)
    store_s = time.perf_counter() - start
    num_bytes = _written(folder / "store")
    writing_s, normals_s = _time_writing(folder, num_bytes), _time_normals(store.num_frames)
    shutil.rmtree(folder / "store")
    start = time.perf_counter()
    simulate_calms21(folder / "calms21", 0.02, unlabeled_frames=max(1, frames // 10), workers=workers)
    json_s = time.perf_counter() - start
    json_bytes = _written(folder / "calms21")
    return {
        "benchmark": "simulate",
        "frames": store.num_frames,
        "store_seconds": round(store_s, 2),
        "store_frames_per_s": round(store.num_frames / store_s),
        "store_bytes": num_bytes,
        "ceiling_writing_seconds": round(writing_s, 2),
        "ceiling_normals_seconds": round(normals_s, 2),
        "times_the_ceilings": round(store_s / (writing_s + normals_s), 2),
        "json_seconds": round(json_s, 2),
        "json_megabytes_per_s": round(json_bytes / json_s / 1e6, 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "workers": workers or min(4, os.cpu_count() or 1),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def measure_groups(folder: Path, frames: int, workers: int | None) -> dict[str, object]:
    """Rates of one to four mice, and what each mouse costs."""
    count, length = max(1, frames // RECORDING_FRAMES), min(frames, RECORDING_FRAMES)
    rates = {}
    for num_mice in range(1, 5):
        start = time.perf_counter()
        store = write_plans(folder / f"group{num_mice}", group_plans(count, length, (num_mice,)), 0, workers=workers)
        rates[num_mice] = store.num_frames / (time.perf_counter() - start)
    return {
        "group_frames_per_s": {num_mice: round(rate) for num_mice, rate in rates.items()},
        "group_us_per_frame_and_mouse": {n: round(1e6 / rate / n, 2) for n, rate in rates.items()},
    }


if __name__ == "__main__":
    main()
