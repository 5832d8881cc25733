"""The verb `demo`: simulated mice from tracks to report, in minutes, on a laptop."""

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from ssl_behavior.commands import run_verb
from ssl_behavior.files import check_free, make_folder

__all__ = ["demo_acts", "main"]

_STEPS = 300
_MARKER = ".ssl-behavior-demo"
_MADE = ("mice", "store", "run", "task1", "benchmark", "embeddings", "clusters", "described", "report.html")
_SCALE = 0.03
_SYSTEMS = (
    "fully_connected", "conv1d", "task2_as_run", "task3_as_run", "joint_mabe2021", "boosting", "summaries_linear",
    "summaries_finetuned",
)  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Run every verb once on small data and print what it made.

    Raises
    ------
    InputError
        If the folder is there already and --overwrite is not given.
    """
    parser = argparse.ArgumentParser(
        prog="ssl-behavior demo",
        description="Simulate mice, pretrain an encoder, probe it, fill the tables of the CalMS21 paper, embed the "
        "recordings, find clusters and write a report, in a few minutes.",
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write (default: demo)")
    parser.add_argument("--steps", type=int, default=_STEPS, help=f"training steps (default: {_STEPS})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    options = parser.parse_args(argv)
    out: Path = options.out
    check_free(out, options.overwrite, _MARKER)
    for name in _MADE:
        if (out / name).is_file():
            (out / name).unlink()
        else:
            shutil.rmtree(out / name, ignore_errors=True)
    make_folder(out)
    (out / _MARKER).touch()
    start = time.monotonic()
    for title, verb, arguments in demo_acts(out, options.steps, options.seed):
        command = " ".join([verb, *arguments])
        print(f"\n== {title}\n   ssl-behavior {command}\n", flush=True)
        if code := run_verb(verb, arguments):
            return code
    _print_next_steps(out, time.monotonic() - start)
    return 0


def demo_acts(out: Path, steps: int = _STEPS, seed: int = 0) -> list[tuple[str, str, list[str]]]:
    """Steps of the demo in order: (title, verb, arguments)."""
    mice, store, run, embeddings = (str(out / name) for name in ("mice", "store", "run", "embeddings"))
    clusters, described = str(out / "clusters"), str(out / "described")
    seeds = ["--seed", str(seed)]
    return [
        ("Simulated mice in the layout of CalMS21, because real ones cannot be shipped", "simulate", [
            "--layout", "calms21", "--scale", str(_SCALE), "--out", mice, *seeds]),
        ("One store of all of them: three tasks, and tracks without labels", "import", [mice, "--out", store]),
        ("An encoder learned from their tracks, without labels", "pretrain", [
            store, "--out", run, "--recipe", "summaries_tiny", "--steps", str(steps), *seeds]),
        ("Task 1: does a linear head on it predict behaviors, and better than on averages of its inputs?", "probe", [
            run, store, "--task", "calms21_task1", "--out", str(out / "task1"), "--seeds", "2",
            "--references", "untrained,input_means,histograms", "--train-stride", "12"]),
        ("Tasks 1 to 3: the systems of the paper and ours, in very little time each", "benchmark", [
            "calms21", mice, "--out", str(out / "benchmark"), "--effort", "minutes", "--systems", ",".join(_SYSTEMS),
            "--pretrained", f"summaries={run}"]),
        ("One embedding per frame, for clustering and everything else", "embed", [
            run, store, "--out", embeddings]),
        ("Clusters of frames, as bouts", "cluster", [embeddings, "--out", clusters, "--clusters", "12", *seeds]),
        ("Descriptions of the clusters, and findings beyond known labels", "describe", [
            clusters, embeddings, store, "--out", described, *seeds]),
        ("All of it to look at: map, ethograms, skeletons beside their neighbors, clusters, results", "report", [
            store, embeddings, "--out", str(out / "report.html"), "--clusters", clusters, "--description", described,
            "--probe", str(out / "task1"), "--title", "Simulated mice", *seeds]),
    ]  # fmt: skip


def _print_next_steps(out: Path, seconds: float) -> None:
    made = [
        ("mice", "simulated recordings, as the files of CalMS21"),
        ("store", "the same as a store"),
        ("run", "the pretrained encoder; TensorBoard: tensorboard --logdir"),
        ("task1/results.md", "the probe of Task 1 beside its references"),
        ("benchmark/results.md", "Tables 1 to 4 beside the published numbers"),
        ("embeddings", "one row per frame; numpy.load('embeddings/embeddings.npy', mmap_mode='r')"),
        ("clusters", "a cluster for every frame, as bouts"),
        ("described/cards.md", "each cluster in numbers and words"),
    ]
    print(f"\nDone in {seconds / 60:.1f} minutes. These mice are simulated: the numbers say nothing about real ones.")
    print("What it made:")
    for name, meaning in made:
        print(f"  {out / name!s:<26} {meaning}")
    print(f"Open this in a browser:\n  {out / 'report.html'}")
