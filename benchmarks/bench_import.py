"""Import speed and peak memory on a synthesized CalMS21 part: 1.5 million frames, about 900 MB of JSON.

    python benchmarks/bench_import.py [--frames 1500000] [--folder DIR]

The same run measures the ceilings (reading the raw bytes, decompressing, parsing with simdjson alone) and Python's
`json` on one sequence. Ratios are of CPU seconds, which a busy machine affects less.
Peak memory is read from /proc (Linux). The last line of stdout is one JSON object.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
SEQUENCE_FRAMES = 18_000


def write_part(path: Path, num_frames: int) -> int:
    """A part like the release's: full float precision in x and y, scores, no labels. Returns its size in bytes."""
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        file.write('{"unlabeled_videos":{')
        for number, start in enumerate(range(0, num_frames, SEQUENCE_FRAMES)):
            length = min(SEQUENCE_FRAMES, num_frames - start)
            walk = np.cumsum(rng.normal(size=(length, 2, 2, 1)), axis=0) + 400 + rng.normal(size=(length, 2, 2, 7)) * 40
            values = {"keypoints": walk.tolist(), "scores": rng.random((length, 2, 7)).tolist()}
            name = f"unlabeled_videos/part1/mouse{number:03}"
            file.write("," * bool(number) + json.dumps(name) + ":" + json.dumps(values, separators=(",", ":")))
        file.write("}}")
    return path.stat().st_size


def child(*arguments: str) -> dict:
    """Read or import in a fresh process, so that its peak memory is its own."""
    command = [sys.executable, "-c", CHILD, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return json.loads(result.stdout.splitlines()[-1])


CHILD = """
import json, sys, time
from pathlib import Path
from ssl_behavior.importer import import_recordings
from ssl_behavior.io import read_recordings

def peak_mb():
    # Not ru_maxrss: that one starts at the parent's peak.
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) / 1024

base, wall, cpu = peak_mb(), time.perf_counter(), time.process_time()
if sys.argv[1] == "read":
    frames = sum(r.num_frames for r in read_recordings(Path(sys.argv[2])))
else:
    frames = import_recordings([sys.argv[2]], sys.argv[3]).num_frames
print(json.dumps({"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu,
                  "peak_mb": peak_mb(), "imports_mb": base, "frames": frames}))
"""


def raw_read_seconds(path: Path) -> float:
    """Reading every byte from the page cache."""
    start = time.process_time()
    with path.open("rb") as file:
        while file.read(1 << 18):
            pass
    return time.process_time() - start


def unzip_seconds(path: Path) -> float:
    """Decompressing the one member and nothing else."""
    start = time.process_time()
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        while file.read(1 << 18):
            pass
    return time.process_time() - start


def sequence_rates(path: Path) -> dict[str, float]:
    """MB/s of three parsers on the first sequence of the part."""
    import simdjson

    with path.open("rb") as file:
        head = file.read(40 << 20)
    start = head.index(b'{"keypoints"')
    text = head[start : head.index(b"}", start) + 1]
    rates = {}
    for name, parse in (
        ("json", json.loads),
        ("json_to_numpy", lambda t: {k: np.array(v) for k, v in json.loads(t).items()}),
        ("simdjson_parse_only", lambda t: simdjson.Parser().parse(t)),
    ):
        before = time.process_time()
        parse(text)
        rates[f"{name}_mb_per_cpu_s"] = len(text) / 1e6 / (time.process_time() - before)
    return rates


def measure(folder: Path, num_frames: int) -> dict:
    part = folder / "calms21_unlabeled_videos_part1.json"
    size = write_part(part, num_frames) / 1e6
    raw_read_seconds(part)
    result = {
        "benchmark": "import",
        "frames": num_frames,
        "json_mb": size,
        "raw_read_mb_per_cpu_s": size / raw_read_seconds(part),
        **sequence_rates(part),
    }
    archive = folder / "unlabeled_videos.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.write(part, f"unlabeled_videos/{part.name}")
    result["unzip_only_mb_per_cpu_s"] = size / unzip_seconds(archive)
    for name, verb, source in (
        ("read_json", "read", part),
        ("import_json", "import", part),
        ("import_zip", "import", archive),
    ):
        values = child(verb, str(source), str(folder / f"store_{name}"))
        assert values["frames"] == num_frames
        result[f"{name}_seconds"] = values["seconds"]
        result[f"{name}_mb_per_s"] = size / values["seconds"]
        result[f"{name}_mb_per_cpu_s"] = size / values["cpu_seconds"]
        result[f"{name}_frames_per_s"] = num_frames / values["seconds"]
        result[f"{name}_peak_mb"] = values["peak_mb"]
        result["interpreter_and_imports_mb"] = values["imports_mb"]
    result["read_over_json_to_numpy"] = result["read_json_mb_per_cpu_s"] / result["json_to_numpy_mb_per_cpu_s"]
    result["read_over_simdjson_ceiling"] = result["read_json_mb_per_cpu_s"] / result["simdjson_parse_only_mb_per_cpu_s"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_500_000)
    parser.add_argument("--folder", type=Path, help="where the temporary files go; needs about 2.5 GB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = measure(Path(folder), arguments.frames)
    result |= {"python": platform.python_version(), "machine": platform.machine(), "numpy": np.__version__}
    print(json.dumps({key: round(v, 3) if isinstance(v, float) else v for key, v in result.items()}))


if __name__ == "__main__":
    main()
