"""Ablation of the pretraining objectives: contrastive prediction, task programming, both, and each part left out.

    python benchmarks/ablation_programs.py RAT_DYADS --out DIR [--seeds 3] [--variants NAME ...] [--steps N]

Every variant is a recipe and options of the command line, so any row can be run by hand. One encoder a seed is
pretrained on all tracks of the 38 rat recordings, without labels; heads are fitted on recordings 01-30 and scored on
31-38, S1 (all four classes; {aggression, social}) and S2 (the four classes that are not very rare): once on whole
embeddings, once on the learned columns alone. Existing results are reused, so several
calls can fill the table, also in parallel with different --variants. Embeddings are deleted after probing.
The last line of stdout is one JSON object.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from quality_rats import S1, S2, run, splits

from ssl_behavior.programs import PROGRAMS, TASK_PROGRAMMING_2021

PROGRAM_GROUPS = {
    "speeds": ["speed", "nose_movement", "acceleration", "turning", "elongation"],
    "angles": ["facing_angle", "head_body_angle", "relative_orientation", "following"],
    "distances": ["nose_nose_distance", "nose_tail_distance", "distance_change", "approach_velocity"],
    "contact": ["body_gap", "body_overlap", "time_since_contact"],
    "arena": ["wall_distance", "corner_distance"],
}
"""What is left out together."""
assert sorted(name for names in PROGRAM_GROUPS.values() for name in names) == sorted(PROGRAMS)


def only(names: list[str]) -> list[str]:
    return ["--method.programs.names", ",".join(names)]


def without(group: str) -> list[str]:
    return only([name for other, names in PROGRAM_GROUPS.items() if other != group for name in names])


VARIANTS: dict[str, list[str]] = {
    "cpc": ["--recipe", "cpc"],
    "task_programming": ["--recipe", "task_programming"],
    "task_programming_conv": ["--recipe", "task_programming_conv"],
    "cpc_programs": ["--recipe", "cpc_programs"],
}
LOSSES = {
    "regression": ["--method.heads.regression", "0"],
    "classification": ["--method.heads.classification", "0"],
    "contrast": ["--method.heads.contrastive", "0"],
    "trajectories": ["--method.trajectory.likelihood", "0"],
    "consistency": ["--method.trajectory.consistency", "0"],
    "decoding ahead": ["--method.context_horizons_frames", "0"],
}
OWN = ["--programs", str(Path(__file__).with_name("example_programs.py"))]
for base in ("task_programming_conv", "cpc_programs"):
    for loss, options in LOSSES.items():
        VARIANTS[f"{base} less {loss}"] = [*VARIANTS[base], *options]
    for group in PROGRAM_GROUPS:
        VARIANTS[f"{base} less {group}"] = [*VARIANTS[base], *without(group)]
    VARIANTS[f"{base}, the paper's programs"] = [*VARIANTS[base], *only(list(TASK_PROGRAMMING_2021))]
    VARIANTS[f"{base} and one of one's own"] = [*VARIANTS[base], *OWN]
RECURRENT_LOSSES = {
    "contrast": ["--method.heads.contrastive", "0"],
    "consistency": ["--method.consistency", "0"],
    "likelihood": ["--method.likelihood", "0", "--method.kl", "0"],
}
for loss, options in RECURRENT_LOSSES.items():
    VARIANTS[f"task_programming less {loss}"] = [*VARIANTS["task_programming"], *options]
VARIANTS["task_programming, all programs"] = [*VARIANTS["task_programming"], *only(list(PROGRAMS))]
PROBES = {
    "S1": S1,
    "S2": S2,
    "S1 learned alone": [*S1, "--without", "features_*", "time"],
    "S2 learned alone": [*S2, "--without", "features_*", "time"],
}


def _recurrent(name: str) -> bool:
    return "task_programming" in VARIANTS[name]


def probe(name: str, runs: list[Path], store: Path, split: Path, options: argparse.Namespace) -> dict[str, Any]:
    results = {}
    for label in options.probes:
        out = options.out / "results" / name / label.replace(" ", "-")
        if not (out / "results.json").exists():
            references = "untrained" if name in options.untrained else "none"
            # The recurrent encoder's embedding holds no means of its inputs.
            wanted = [word for word in PROBES[label] if word != "features_*" or not _recurrent(name)]
            run("probe", *runs, store, *wanted, "--split", split, "--out", out, "--seeds", len(runs),
                "--train-stride", options.stride, "--embeddings", options.out / "embeddings" / name,
                "--precision", "auto", "--references", references)  # fmt: skip
        results[label] = json.loads((out / "results.json").read_text())["rows"]
    return {label: {row["representation"]: row["macros"] for row in rows} for label, rows in results.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    parser.add_argument("--probes", nargs="+", default=list(PROBES), choices=list(PROBES), metavar="NAME")
    parser.add_argument("--untrained", nargs="*", default=[], metavar="NAME", help="variants probed untrained, too")
    parser.add_argument("--steps", type=int, help="in place of the recipes' own")
    parser.add_argument("--stride", type=int, default=16, help="learn heads from every Nth frame")
    options = parser.parse_args()
    store = options.out / "rats"
    if not store.exists():
        run("import", options.recordings, "--out", store)
    (split,) = splits(options.out / "splits")["later"]
    summary: dict[str, Any] = {"benchmark": "ablation_programs", "seeds": options.seeds, "variants": {}}
    for name in options.variants:
        runs = [options.out / "runs" / f"{name.replace(' ', '-')}-{seed}" for seed in range(options.seeds)]
        steps = ["--steps", options.steps] if options.steps else []
        for seed, folder in enumerate(runs):
            run("pretrain", store, "--out", folder, *VARIANTS[name], "--seed", seed, "--validation-share", 0,
                "--resume", *steps)  # fmt: skip
        summary["variants"][name] = probe(name, runs, store, split, options)
        shutil.rmtree(options.out / "embeddings" / name, ignore_errors=True)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
