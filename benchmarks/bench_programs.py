"""Speed of task programs, all and the paper's, compared with reading and writing the same keypoints once.

    python benchmarks/bench_programs.py [--frames 1000000] [--repeats 9] [--threads 1] [--missing 0.0]

Two mice of seven keypoints: simulated, tiled to the length asked, and read as training reads them, in batches of 64
windows. Programs and the memory ceiling are timed in turn, and ratios are taken pair by pair, so drift of the
machine's speed cancels. The ceiling reads all keypoints and writes as many numbers into memory that is
already there. The seconds of a single program include reading the keypoints, and the quantities (velocities, headings,
gaps) that it shares with others when they run together. One thread by default: a core's work beside the same core's
memory. With more threads than idle cores, the threads of every single operation wait for each other, and the figures
mean nothing: look at `load`. The last line of stdout is one JSON object.
"""

import argparse
import json
import os
from collections.abc import Callable

import torch
from timing import in_turn, seconds

from ssl_behavior.device import describe_device
from ssl_behavior.programs import PROGRAMS, TASK_PROGRAMMING_2021, ProgramsConfig, ProgramSet
from ssl_behavior.simulate import simulate_recording
from ssl_behavior.skeleton import SKELETONS

_SIMULATED_FRAMES = 20_000
_BATCH_WINDOWS = 64


def mice(frames: int, missing: float) -> torch.Tensor:
    """[window time individual keypoint space] in px, as one window of all frames."""
    recording = torch.from_numpy(simulate_recording(0, min(frames, _SIMULATED_FRAMES)).keypoints)
    tiled = recording.repeat(-(-frames // len(recording)), 1, 1, 1)[:frames].contiguous()
    hidden = torch.rand(tiled.shape[:3], generator=torch.Generator().manual_seed(0)) < missing
    return tiled.masked_fill(hidden.unsqueeze(-1), torch.nan)


def windows(keypoints: torch.Tensor, window_frames: int) -> torch.Tensor:
    """Cut into windows of equal length; what is left over is dropped."""
    whole = len(keypoints) // window_frames
    return keypoints[: whole * window_frames].unflatten(0, (whole, window_frames))


def evaluation(names: tuple[str, ...], keypoints: torch.Tensor) -> Callable[[], None]:
    programs = ProgramSet(ProgramsConfig(names=names), SKELETONS["calms21"], 30.0)
    programs.body_length.fill_(60.0)
    arena, px_per_cm = torch.tensor([0.0, 0.0, 1024.0, 570.0]), torch.zeros(())

    def job() -> None:
        with torch.inference_mode():
            for batch in keypoints.split(_BATCH_WINDOWS):
                programs.evaluate(batch, arena.expand(len(batch), 4), px_per_cm.expand(len(batch)))

    return job


def bench_sets(keypoints: torch.Tensor, there: torch.Tensor, repeats: int) -> dict[str, dict[str, float]]:
    """All programs, and the paper's, beside the ceiling."""
    results = {}
    for label, names in (("all", tuple(PROGRAMS)), ("task_programming_2021", TASK_PROGRAMMING_2021)):
        own, best, ratio = in_turn(evaluation(names, keypoints), lambda: torch.add(keypoints, 1.0, out=there), repeats)
        results[label] = {
            "frames_per_s": round(keypoints[..., 0, 0, 0].numel() / own),
            "seconds": round(own, 4),
            "read_write_seconds": round(best, 5),
            "ratio_to_read_write": round(ratio, 2),
        }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--window-frames", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--missing", type=float, default=0.0, help="share of the keypoints that are missing")
    options = parser.parse_args()
    keypoints = windows(mice(options.frames, options.missing), options.window_frames)
    there = torch.empty_like(keypoints)
    result: dict[str, object] = {"benchmark": "programs", "torch": torch.__version__}
    for threads in options.threads:
        torch.set_num_threads(threads)
        result[f"threads_{threads}"] = bench_sets(keypoints, there, options.repeats)
    single = {name: evaluation((name,), keypoints) for name in PROGRAMS}
    result |= {
        "machine": describe_device(torch.device("cpu"), torch.float32),
        "load": [round(load, 1) for load in os.getloadavg()],
        "frames": keypoints.shape[0] * keypoints.shape[1],
        "missing": options.missing,
        "seconds_per_program": {name: round(min(seconds(job) for _ in range(3)), 4) for name, job in single.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
