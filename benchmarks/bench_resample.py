"""Speed and peak memory of resampling: a million frames of two mice, with confidences and a label stream.

    python benchmarks/bench_resample.py [--frames 1000000] [--repeats 3] [--folder DIR]

Each pair of rates is timed in turn with the ceiling, a copy of the same arrays in memory; frames are those of the
source or the result, whichever are more. The verb `resample` runs on a store in a process of its own. Peak memory is
from /proc (Linux). The last line of stdout is one JSON object.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import in_turn

from ssl_behavior.recording import Labels, Recording
from ssl_behavior.resampling import resample
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store

REPOSITORY = Path(__file__).resolve().parents[1]
RATES = {
    "60 to 30": (60.0, 30.0),
    "30 to 25": (30.0, 25.0),
    "29.97 to 30": (30_000 / 1001, 30.0),
    "25 to 30": (25.0, 30.0),
}
BOUT_FRAMES = 40


def mice(num_frames: int, fps: float, measured: bool = False) -> Recording:
    """Two mice that drift, a tenth of their points missing; a bout begins every `BOUT_FRAMES` frames."""
    rng = np.random.default_rng(0)
    shape = (num_frames, 2, SKELETONS["calms21"].num_keypoints)
    center = 400 + np.cumsum(rng.normal(size=(num_frames, 2, 1, 2)).astype(np.float32), axis=0)
    keypoints = center + rng.normal(size=(*shape, 2)).astype(np.float32) * 40
    keypoints[rng.random(shape) < 0.1] = np.nan
    behaviors = rng.integers(-1, 4, num_frames // BOUT_FRAMES + 1)
    labels = Labels(vocabulary=tuple("abcd"), frames=np.repeat(behaviors, BOUT_FRAMES)[:num_frames])
    return Recording(
        id=f"{fps:g}", keypoints=keypoints, confidence=rng.random(shape, dtype=np.float32), fps=fps,
        skeleton=SKELETONS["calms21"], labels={"S1": labels},
        times=np.cumsum(rng.uniform(0.5, 1.5, num_frames)) / fps if measured else None,
    )  # fmt: skip


def copied(recording: Recording) -> list[np.ndarray]:
    """The ceiling: what is read and written, with no arithmetic."""
    assert recording.confidence is not None
    return [recording.keypoints.copy(), recording.confidence.copy(), recording.labels["S1"].frames.copy()]


def of_pair(recording: Recording, fps: float, repeats: int) -> dict[str, float]:
    made, best, ratio = in_turn(lambda: resample(recording, fps), lambda: copied(recording), repeats)
    frames = max(recording.num_frames, resample(recording, fps).num_frames)
    return {
        "frames_per_second": round(frames / made),
        "copied_frames_per_second": round(recording.num_frames / best),
        "times_a_copy": round(ratio, 1),
    }


CHILD = """
import json, sys, time
from pathlib import Path
from ssl_behavior.cli import main

def peak_mb():
    # Not ru_maxrss: that one starts at the parent's peak.
    status = Path("/proc/self/status").read_text().split()
    return round(int(status[status.index("VmHWM:") + 1]) / 1024)

base, cpu = peak_mb(), time.process_time()
assert main(["resample", sys.argv[1], "--fps", "30", "--out", sys.argv[2]]) == 0
print(json.dumps({"cpu_seconds": round(time.process_time() - cpu, 2), "peak_mb": peak_mb(), "imports_mb": base}))
"""


def of_verb(num_frames: int, folder: Path) -> dict[str, float]:
    """CPU seconds and peak memory of the verb on a store of one recording, and of copying its arrays."""
    long = mice(num_frames, 60.0)
    store = write_store(folder / "store", [long])
    start = time.process_time()
    for file in store.path.rglob("*.npy"):
        (folder / file.name).write_bytes(file.read_bytes())
    copying = time.process_time() - start
    command = [sys.executable, "-c", CHILD, str(store.path), str(folder / "new")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return json.loads(result.stdout.splitlines()[-1]) | {"copying_files_cpu_seconds": round(copying, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="folder for temporary stores")
    options = parser.parse_args()
    measured = {
        name: of_pair(mice(options.frames, source), target, options.repeats) for name, (source, target) in RATES.items()
    }
    measured["measured times, usually 25, to 30"] = of_pair(
        mice(options.frames, 25.0, measured=True), 30.0, options.repeats
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        verb = of_verb(options.frames, Path(folder))
    for name, values in measured.items():
        print(f"{name:<34} {values['frames_per_second'] / 1e6:5.2f} million frames/s, {values['times_a_copy']} copies")
    print(f"verb, {options.frames:,} frames from 60 to 30: {verb['cpu_seconds']} CPU s, {verb['peak_mb']} MB")
    print(
        json.dumps(
            {
                "benchmark": "resample",
                "frames": options.frames,
                "machine": platform.machine(),
                "resample": measured,
                "verb": verb,
            }
        )
    )


if __name__ == "__main__":
    main()
