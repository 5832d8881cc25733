"""Do features help the CalMS21 paper's 1-D convolution baseline? Keypoints alone against keypoints and an embedding.

    python benchmarks/quality_conv1d.py STORE --task S1 --macro aggression,social --split FILE --out DIR
        [--embeddings EMB ...] [--name features] [--without GROUP ...] [--skip-keypoints] [--seeds 3]
        [--train-stride 8] [--epochs N]

The network is trained from scratch on the training recordings, once for each seed and input, and scored on all frames
of the evaluated ones, pooled. Several EMB are several pretraining seeds of one encoder: seed s reads folder s modulo
their number. What is in DIR already is not made again, so a run that died goes on, and a second one with other
embeddings and another --name shares the results on keypoints alone. Two cores are used best by two such runs side by
side with OMP_NUM_THREADS=1, one without embeddings and one with --skip-keypoints; the whole command then has only to
print the table.
The last line of stdout is one JSON object.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from probe.calms21.baselines import BASELINES, BaselineConfig, TrainedBaseline, assemble_inputs, run_baseline
from probe.experiment import Experiment, Predictions
from probe.representations import Matrix, check_alignment, columns_without
from probe.scores import ResultRow, score_row
from probe.tables import csv_text, markdown_text, rich_table
from probe.tasks import annotated_rows, make_task, parse_macro, targets
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.embedding import kept_groups
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, read_json, write_json
from ssl_behavior.splits import make_split
from ssl_behavior.store import Store
from ssl_behavior.terminal import make_console

KEYPOINTS = "keypoints"
NOTES = [
    "± is the population standard deviation over seeds, [low, high] the 95 % bootstrap interval over recordings.",
    "F1 is of the likeliest class; F1 balanced after dividing probabilities by the classes' shares in training.",
]


@dataclass(frozen=True)
class Input:
    """What the network reads: keypoints, and the columns of an embeddings folder if there are any."""

    name: str
    folders: tuple[Embeddings, ...] = ()
    without: tuple[str, ...] = ()

    def embeddings(self, seed: int) -> Embeddings | None:
        return self.folders[seed % len(self.folders)] if self.folders else None

    def features(self, seed: int) -> Matrix | None:
        embeddings = self.embeddings(seed)
        return None if embeddings is None else columns_without(embeddings, self.without)

    def describe(self, seed: int) -> dict[str, Any]:
        embeddings = self.embeddings(seed)
        if embeddings is None:
            return {"name": self.name}
        kept = kept_groups(embeddings.groups, self.without)
        return {"name": self.name, "checkpoint": embeddings.checkpoint, "groups": kept}


class Comparison:
    """One task, one split, one baseline: results by input and seed, each made once and kept in `out`."""

    def __init__(self, options: argparse.Namespace, config: BaselineConfig) -> None:
        self.options, self.config, self.out = options, config, options.out
        self.store = Store(options.store)
        self.task = make_task(self.store, options.task)
        self.macros = [parse_macro(self.task, text) for text in options.macro or ["all"]]
        split = make_split(self.store, options.split, annotated=annotated_rows(self.store, self.task))
        self.experiment = Experiment(self.store, self.task, split, self.macros[0], stride=config.train_stride)
        self.device = choose_device(options.device)
        self.precision = choose_precision(options.precision, self.device)
        self.console = make_console(stderr=True)

    @cached_property
    def rows(self) -> tuple[Any, ...]:
        return (*self.experiment.split.train, *self.experiment.split.evaluate)

    @cached_property
    def labels(self) -> str:
        return hashlib.sha256(targets(self.store, self.task, self.rows).tobytes()).hexdigest()

    def settings(self, chosen: Input, seed: int) -> dict[str, Any]:
        """All that a result depends on: an older one with others is not this one."""
        split = self.experiment.split
        settings = {
            "baseline": self.options.baseline,
            "config": asdict(self.config),
            "task": self.task.to_dict(),
            "train": [row.id for row in split.train],
            "evaluated": [row.id for row in split.evaluate],
            "store": self.store.fingerprint(),
            "labels": self.labels,
            "input": chosen.describe(seed),
            "seed": seed,
            "precision": str(self.precision).removeprefix("torch."),
        }
        return json.loads(json.dumps(settings))

    def result(self, chosen: Input, seed: int) -> tuple[dict[str, Any], Predictions]:
        """How the training went, and its predictions: found, or made now."""
        file = self.out / f"{chosen.name}-{seed}.json"
        settings = self.settings(chosen, seed)
        if not file.exists():
            self._make(file, chosen, seed, settings)
        about = read_json(file, "a result")
        if about["settings"] != settings:
            raise InputError(f"{file} holds a result of other settings: choose another --out or another --name")
        with np.load(file.with_suffix(".npz")) as arrays:
            return about, Predictions(dict(arrays), {}, {}, {}, {}, about["num_train_frames"])

    def _make(self, file: Path, chosen: Input, seed: int, settings: dict[str, Any]) -> None:
        start = time.perf_counter()
        split = self.experiment.split
        inputs = assemble_inputs(
            self.store, self.rows, split.train, self.config.window, chosen.features(seed)
        ).to(self.device)  # fmt: skip
        frames = sum(row.frames for row in split.train) * self.config.epochs // self.config.train_stride
        with Progress(console=self.console, transient=True) as progress:
            line = progress.add_task(f"{chosen.name}, seed {seed}", total=frames)
            trained, predictions = run_baseline(
                self.store, self.task, split, self.config, inputs, seed, self.precision,
                lambda count: progress.advance(line, count),
            )  # fmt: skip
        seconds = time.perf_counter() - start
        about = {"settings": settings, "groups": dict(inputs.groups), "seconds": seconds}
        self._write(file, trained, predictions, about)
        self.console.print(
            f"{chosen.name}, seed {seed}: {trained.samples_seen:,} samples in {seconds:.0f} s, "
            f"loss {trained.losses[0]:.3f} -> {trained.losses[-1]:.3f}"
        )

    def _write(self, file: Path, trained: TrainedBaseline, predictions: Predictions, about: dict[str, Any]) -> None:
        """Predictions first: where the table of contents is, they are too."""
        with atomic_file(file.with_suffix(".npz")) as partial, partial.open("wb") as handle:
            np.savez(handle, **predictions.probability)
        about["machine"] = describe_device(self.device, self.precision)
        about["num_train_frames"] = trained.num_train_frames
        about["samples_seen"], about["losses"] = trained.samples_seen, list(trained.losses)
        write_json(file, about)

    def row(self, chosen: Input) -> tuple[ResultRow, list[dict[str, Any]]]:
        """The scores over the seeds, and how each training went."""
        found = [self.result(chosen, seed) for seed in range(self.options.seeds)]
        abouts, seed_predictions = [about for about, _ in found], [predictions for _, predictions in found]
        dim = sum(abouts[0]["groups"].values())
        return score_row(self.experiment, self.macros, chosen.name, dim, 100.0, seed_predictions), abouts


def chosen_inputs(options: argparse.Namespace, store: Store) -> list[Input]:
    """Keypoints alone, and with the embedding if one was given."""
    folders = tuple(Embeddings(path) for path in options.embeddings)
    for one in folders:
        check_alignment(one, store)
    if len({tuple(one.groups.items()) for one in folders}) > 1:
        raise InputError(f"--embeddings have different columns: {[one.groups for one in folders]}; compare them apart")
    together = Input(f"{KEYPOINTS}+{options.name}", folders, tuple(options.without))
    return [*([] if folders and options.skip_keypoints else [Input(KEYPOINTS)]), *([together] if folders else [])]


def report(comparison: Comparison, results: Sequence[tuple[ResultRow, list[dict[str, Any]]]]) -> dict[str, Any]:
    """Print the table, write it beside the results, and return it for the last line."""
    rows = [row for row, _ in results]
    split, config = comparison.experiment.split, comparison.config
    title = (
        f"{comparison.task.name}, {comparison.options.baseline}, {len(split.evaluate)} {split.evaluated_on} recordings"
    )
    seen = {about["samples_seen"] for _, abouts in results for about in abouts}
    notes = [*NOTES, f"Each network learned from {'/'.join(f'{count:,}' for count in sorted(seen))} samples."]
    make_console().print(rich_table(rows, title))
    with atomic_file(comparison.out / f"{rows[-1].representation}.md") as file:
        file.write_text(markdown_text(rows, title, notes), encoding="utf-8")
    with atomic_file(comparison.out / f"{rows[-1].representation}.csv") as file:
        file.write_text(csv_text(rows), encoding="utf-8")
    return {
        "benchmark": "quality_conv1d",
        "baseline": comparison.options.baseline,
        "task": comparison.task.name,
        "split": split.to_dict()["source"],
        "evaluated_on": split.evaluated_on,
        "seeds": comparison.options.seeds,
        "config": asdict(config),
        "torch": torch.__version__,
        "inputs": {row.representation: summary(row, abouts) for row, abouts in results},
    }


def summary(row: ResultRow, abouts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One input's scores, and what its trainings took."""
    values = row.to_dict()
    return {
        "groups": abouts[0]["groups"],
        "machines": sorted({about["machine"] for about in abouts}),
        "samples_seen": [about["samples_seen"] for about in abouts],
        "seconds": [round(about["seconds"], 1) for about in abouts],
        "losses": [about["losses"][-1] for about in abouts],
        "macros": {macro["name"]: {k: v for k, v in macro.items() if k != "name"} for macro in values["macros"]},
        "classes": values["classes"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument(
        "--macro", action="append", metavar="CLASSES", help="repeat for more; the first is the headline"
    )
    parser.add_argument("--split", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--baseline", default="conv1d", choices=sorted(BASELINES))
    parser.add_argument("--embeddings", type=Path, nargs="+", default=[], metavar="EMB")
    parser.add_argument("--name", default="features", help="of the embedding, in the table and in file names")
    parser.add_argument("--without", nargs="+", action="extend", default=[], metavar="GROUP")
    parser.add_argument("--skip-keypoints", action="store_true", help="only with the embedding; see above")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train-stride", type=int, default=1, metavar="N", help="an epoch is every Nth frame")
    parser.add_argument("--epochs", type=int, help="the baseline's own by default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    config = BASELINES[options.baseline]
    config = replace(config, train_stride=options.train_stride).with_epochs(options.epochs or config.epochs)
    try:
        comparison = Comparison(options, config)
        results = [comparison.row(chosen) for chosen in chosen_inputs(options, comparison.store)]
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
    print(json.dumps(report(comparison, results)))


if __name__ == "__main__":
    main()
