"""Quality on real recordings: pretraining on the rats' tracks, probes of S1 and S2, and references.

    python benchmarks/quality_rats.py RAT_DYADS --out DIR [--seeds 3] [--recipe cpc] [--steps N] [--stride 8]

RAT_DYADS is the folder of 38 recordings (figshare 30393298). One encoder a seed is pretrained on all tracks, without
labels; heads are fitted and scored under two protocols, both by recording: "later" trains on 01-30 and scores 31-38;
"halves" trains on the odd recordings and scores the even ones, then the other way round. S1 is scored on all four
classes and on {aggression, social}; S2 on the four classes that are not very rare. Each probe runs with and without
the two time columns, and with the columns alone that were learned, or that were not. Everything goes through the
command line, so any row can be run by hand.
Existing results are reused. The last line of stdout is one JSON object.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from ssl_behavior.cli import main as ssl_behavior

S1 = ["--task", "S1", "--macro", "all", "--macro", "aggression,social"]
S2 = ["--task", "S2", "--macro", "lateralthreat,keepdown,clinch,uprightposture"]
NO_TIME = ["--without", "time"]
LEARNED = [*NO_TIME, "features_*", "--references", "untrained"]
INPUTS = [*NO_TIME, "*_context", "latent*", "--references", "none"]
TASKS = {
    "S1": S1,
    "S1 without time": [*S1, *NO_TIME],
    "S1 learned alone": [*S1, *LEARNED],
    "S1 inputs alone": [*S1, *INPUTS],
    "S2": S2,
    "S2 without time": [*S2, *NO_TIME],
    "S2 learned alone": [*S2, *LEARNED],
    "S2 inputs alone": [*S2, *INPUTS],
}


def run(*arguments: object) -> None:
    code = ssl_behavior([str(argument) for argument in arguments])
    if code:
        raise SystemExit(code)


def splits(folder: Path) -> dict[str, list[Path]]:
    """Protocol -> split files."""
    ids = [f"{number:02d}" for number in range(1, 39)]
    odd, even = ids[::2], ids[1::2]
    wanted = {
        "later": [(ids[:30], ids[30:])],
        "halves": [(odd, even), (even, odd)],
    }
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[Path]] = {}
    for name, parts in wanted.items():
        for number, (train, held_out) in enumerate(parts):
            file = folder / f"{name}-{number}.json"
            file.write_text(json.dumps({"train": train, "validation": held_out}))
            files.setdefault(name, []).append(file)
    return files


def table(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a protocol: representation -> the means over classes of every fold."""
    rows = []
    for number, row in enumerate(results[0]["rows"]):
        same = [result["rows"][number] for result in results]
        rows.append({"representation": row["representation"], "folds": [fold["macros"] for fold in same]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", default="cpc")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--stride", type=int, default=8, help="learn from every Nth frame")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--protocols", nargs="+", default=["later", "halves"], choices=["later", "halves"])
    options = parser.parse_args()
    store = options.out / "rats"
    if not store.exists():
        run("import", options.recordings, "--out", store)
    steps = ["--steps", options.steps] if options.steps else []
    runs = [options.out / f"{options.recipe}-{seed}" for seed in range(options.seeds)]
    for seed, folder in enumerate(runs):
        run("pretrain", store, "--out", folder, "--recipe", options.recipe, "--seed", seed,
            "--validation-share", 0, "--resume", *steps)  # fmt: skip
    summary: dict[str, Any] = {"benchmark": "quality_rats", "recipe": options.recipe, "seeds": options.seeds}
    files_of = splits(options.out / "splits")
    for protocol in options.protocols:
        for task in options.tasks:
            results = []
            for file in files_of[protocol]:
                out = options.out / "results" / f"{task.replace(' ', '-')}-{file.stem}"
                if not (out / "results.json").exists():
                    run("probe", *runs, store, *TASKS[task], "--split", file, "--out", out, "--seeds", options.seeds,
                        "--train-stride", options.stride, "--embeddings", options.out / "embeddings")  # fmt: skip
                results.append(json.loads((out / "results.json").read_text()))
            summary[f"{protocol}: {task}"] = table(results)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
