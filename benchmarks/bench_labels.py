"""CPU seconds and peak memory of `labels` verbs on a store of six million frames.

    python benchmarks/bench_labels.py [--frames 6000000] [--folder DIR]

Each verb runs as a command of its own, so that its start counts; "undo" is little more than that. The keypoints are
zeros: no verb reads them. The last line of stdout is one JSON object.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import FORMAT_VERSION, StoreRow

RECORDING_FRAMES = 100_000
BOUTS = 500


def write_store(folder: Path, num_frames: int) -> list[StoreRow]:
    """A store of zeros with one label stream; its files of keypoints are sparse."""
    skeleton = SKELETONS["calms21"]
    rows = [
        StoreRow(id=f"r{start}", offset=start, frames=min(RECORDING_FRAMES, num_frames - start), fps=30.0,
                 annotators={"S1": ""})
        for start in range(0, num_frames, RECORDING_FRAMES)
    ]  # fmt: skip
    (folder / "labels").mkdir(parents=True)
    open_memmap(folder / "keypoints.npy", "w+", np.float32, (num_frames, 2, skeleton.num_keypoints, 2))
    np.save(folder / "labels" / "S1.npy", np.zeros(num_frames, np.int16))
    contents = {
        "format": "ssl-behavior store", "version": FORMAT_VERSION, "skeleton": skeleton.to_dict(),
        "individuals": ["resident", "intruder"], "confidence": False,
        "streams": {"S1": {"vocabulary": ["x", "y"], "background": ""}}, "recordings": [asdict(row) for row in rows],
    }  # fmt: skip
    (folder / "store.json").write_text(json.dumps(contents))
    return rows


def write_bouts(folder: Path, rows: list[StoreRow]) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for row in rows:
        ends = np.sort(rng.choice(row.frames, min(2 * BOUTS, row.frames // 2 * 2), replace=False)).reshape(-1, 2)
        lines = [f"S2,{'abc'[number % 3]},{start},{stop}" for number, (start, stop) in enumerate(ends)]
        (folder / f"{row.id}.csv").write_text("\n".join(["stream,behavior,start_frame,stop_frame", *lines, ""]))


def seconds(*words: object) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "ssl_behavior", "labels", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=6_000_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        store, bouts = Path(place) / "store", Path(place) / "bouts"
        rows = write_store(store, options.frames)
        write_bouts(bouts, rows)
        measured = {
            "add": seconds("add", store, bouts),
            "merge": seconds("merge", store, "S2", "a", "b", "--into", "ab"),
            "rename stream": seconds("rename", store, "S1", "T"),
            "rename behavior": seconds("rename", store, "T:x", "z"),
            "drop": seconds("drop", store, "S2"),
            "undo": seconds("undo", store),
        }
    facts = {"frames": options.frames, "recordings": len(rows), "machine": platform.machine(), "cpu_seconds": measured}
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    for name, value in measured.items():
        print(f"labels {name:<16} {value:6.2f} s")
    print(json.dumps(facts | {"peak_mb": round(peak_mb)}))


if __name__ == "__main__":
    main()
