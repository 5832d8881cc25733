"""Quality over the number of labeled recordings: a frozen encoder beside trees, fine-tuning and training from scratch.

    python benchmarks/quality_few_labels.py STORE RUN [RUN ...] --out DIR [--split FILE]
        [--stream S1=aggression,social] [--stream S2=lateralthreat,keepdown,clinch,uprightposture]
        [--rows frozen means trees finetuned scratch] [--recordings 1,2,4,8,16] [--draws 5] [--draws-of scratch=2]
        [--without time] [--effort full] [--score ap]

STORE holds the labels, each RUN is a pretrained encoder (several are several pretraining seeds: draw d reads run d
modulo their number). Each draw takes its own recordings of the training part that hold the classes of the stream's
mean, fewer being among more; all of them are tried besides. Every model chooses its settings within those it is
given, and is scored on the evaluated recordings of the split, frames pooled. The rows:

- frozen: a linear probe on the frozen embedding; means: the same on window means of the encoder's inputs, not learned;
- trees: gradient-boosted trees on windowed hand features;
- finetuned: the encoder trained on, with heads; scratch: the same network from random weights (both expensive).

Predictions are kept in DIR: what is there already is not made again, so that rows and draws can be added later. The
figure is DIR/few_labels.png (it needs matplotlib), all numbers are in DIR/few_labels.json. The last line of stdout is
one JSON object.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from probe.calms21.effort_presets import EFFORTS, get_effort
from probe.calms21.learning_curves import Curve, draw_streams, label_counts, label_curve
from probe.calms21.prediction_cache import cached_predictions
from probe.calms21.representation_cache import RepresentationCache
from probe.calms21.system_registry import OURS, BenchmarkContext, TaskPart
from probe.calms21.systems import BoostedTrees, FrozenProbe, System
from probe.calms21.task_runs import make_benchmark_task
from probe.references import add_session_time, cached_hand_features, input_means
from probe.representations import Representation
from ssl_behavior.device import choose_device, choose_precision
from ssl_behavior.errors import InputError
from ssl_behavior.files import write_json
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import make_console

STREAMS = ("S1=aggression,social", "S2=lateralthreat,keepdown,clinch,uprightposture")
RECIPE = "given"


def frozen(context: BenchmarkContext, without: Sequence[str]) -> System:
    return FrozenProbe(context.representations.encoder(RECIPE, without), "linear", context.effort.stride)


def means(context: BenchmarkContext, without: Sequence[str]) -> System:
    representations = context.representations
    representations.log("computing window means of the inputs")
    made = input_means(representations.store, representations.train, representations.folder / "features")
    return FrozenProbe(timed(made, representations.store, without), "linear", context.effort.stride)


def trees(context: BenchmarkContext, without: Sequence[str]) -> System:
    cache = context.representations
    said = partial(cache.log, "computing hand features")
    made = cached_hand_features(cache.store, cache.train, cache.store.rows, cache.folder / "features", said)
    return BoostedTrees(timed(made, cache.store, without), context.effort.boosting)


def timed(made: Representation, store: Store, without: Sequence[str]) -> Representation:
    """The time columns that the embedding has, too."""
    return made if "time" in without else add_session_time(made, store.rows)


def finetuned(context: BenchmarkContext, without: Sequence[str]) -> System:
    return context.trained("finetuned", OURS, "finetune", context.representations.runs(RECIPE))


def scratch(context: BenchmarkContext, without: Sequence[str]) -> System:
    return context.trained("scratch", OURS, "finetune")


ROWS: Mapping[str, tuple[str, Callable[[BenchmarkContext, Sequence[str]], System]]] = {
    "frozen": ("frozen, linear", frozen),
    "means": ("input means, linear", means),
    "trees": ("hand features, trees", trees),
    "finetuned": ("fine-tuned", finetuned),
    "scratch": ("from scratch", scratch),
}


def parts_of(store: Store, streams: Sequence[str], split: Path | None) -> dict[str, TaskPart]:
    """Label stream -> what is learned and scored; the first of its means is that of the classes named."""
    parts = {}
    for text in streams:
        name, _, classes = text.partition("=")
        macros = (classes, "all") if classes else ("all",)
        benchmark_task = make_benchmark_task(store, name, "task1", macros, split)
        if len(benchmark_task.parts) > 1:
            raise InputError(f"--stream {name}: a task of several parts has no single curve; name one label stream")
        parts[name] = next(iter(benchmark_task.parts.values()))
    return parts


def make_bench(options: argparse.Namespace, store: Store, parts: Mapping[str, TaskPart]) -> BenchmarkContext:
    console = make_console(stderr=True)
    scored = {row.id for part in parts.values() for row in part.split.evaluate}
    learned = {row.id for part in parts.values() for row in part.split.train} - scored
    train: tuple[StoreRow, ...] = tuple(row for row in store.rows if row.id in learned)
    effort = get_effort(options.effort)
    effort = replace(effort, stride=options.stride or effort.stride)
    representations = RepresentationCache(
        store, options.out, effort, train, device=options.device, precision=options.precision,
        given={RECIPE: tuple(options.runs)}, log=lambda text: console.print(text, soft_wrap=True),
    )  # fmt: skip
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    return BenchmarkContext(options.out, effort, representations, train, device=device, precision=precision)


def curve_of(context: BenchmarkContext, name: str, part: TaskPart, options: argparse.Namespace) -> Curve:
    title, make = ROWS[name]
    most = len(part.split.train)
    counts = sorted({count for count in options.recordings if count < most} | {most})
    draws = options.draws_of.get(name, options.draws)
    context.representations.log(f"{title}: {part.problem.task.name}, {counts} recordings, {draws} draws")
    run = partial(cached_predictions, context.folder / "predictions")
    curve = label_curve(
        make(context, options.without), part.problem, part.split, part.macros, range(draws), counts=counts, run=run,
        covering=True,
    )  # fmt: skip
    return replace(curve, system=title)


def summary(curve: Curve) -> list[dict[str, Any]]:
    """The first mean over classes at each number of recordings: mean, spread over draws, and every draw."""
    found = []
    for point in curve.points:
        macro, scores = point.row.macros[0], dict[str, Any]()
        for score in ("ap", "f1", "f1_balanced"):
            over_draws = getattr(macro, score)
            scores[score] = {"mean": over_draws.mean, "std": over_draws.std, "by_draw": macro.by_seed[score]}
        found.append({"recordings": point.num_recordings, "undefined": list(point.row.undefined), **scores})
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("store", type=Path)
    add("runs", type=Path, nargs="+", metavar="RUN")
    add("--out", type=Path, required=True)
    add("--split", type=Path)
    add("--stream", action="append", metavar="STREAM=CLASSES", help="label stream and the classes of its mean; repeat")
    add("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    add("--recordings", default="", help="numbers joined by commas; all of them are added (1, 2, 4, 8 ...)")
    add("--draws", type=int, default=5, help="draws, and seeds, of each number of recordings")
    add("--draws-of", nargs="+", default=[], metavar="ROW=N", help="other numbers of draws of expensive rows")
    add("--without", nargs="+", default=[], metavar="GROUP", help="column groups of the embedding to leave out")
    add("--stride", type=int, default=0, help="learn linear heads from every Nth frame; 0: as --effort says")
    add("--effort", default="full", choices=list(EFFORTS))
    add("--score", default="ap", choices=("ap", "f1", "f1_balanced"), help="drawn in the figure")
    add("--device", default="auto")
    add("--precision", default="auto")
    options = parser.parse_args()
    pairs = [text.partition("=") for text in options.draws_of]
    if wrong := [name for name, _, number in pairs if name not in ROWS or not number.isdigit()]:
        parser.error(f"--draws-of {wrong[0]}: write ROW=N, with a row of {list(ROWS)}")
    options.draws_of = {name: int(number) for name, _, number in pairs}
    if min([options.draws, *options.draws_of.values()]) < 1:
        parser.error("--draws and --draws-of must be at least 1")
    options.recordings = [int(count) for count in options.recordings.split(",") if count]
    return options


def main() -> None:
    options = parsed()
    store = Store(options.store)
    parts = parts_of(store, options.stream or STREAMS, options.split)
    options.recordings = options.recordings or label_counts(max(len(part.split.train) for part in parts.values()))
    options.out.mkdir(parents=True, exist_ok=True)
    context, panels = make_bench(options, store, parts), dict[str, list[Curve]]()
    for stream, part in parts.items():
        panels[stream] = []
        for name in options.rows:
            panels[stream].append(curve_of(context, name, part, options))
            write_json(options.out / "few_labels.json", {
                stream: [curve.to_dict() for curve in curves] for stream, curves in panels.items()
            })  # fmt: skip
            if find_spec("matplotlib") is not None:
                draw_streams(panels, options.out / "few_labels.png", score=options.score)
    print(json.dumps({
        "benchmark": "quality_few_labels", "draws": options.draws, "draws_of": options.draws_of,
        "without": options.without, "effort": options.effort, "runs": [str(run) for run in options.runs],
        "evaluated_on": {stream: part.split.evaluated_on for stream, part in parts.items()},
        "streams": {
            stream: {curve.system: summary(curve) for curve in curves} for stream, curves in panels.items()
        },
    }))  # fmt: skip


if __name__ == "__main__":
    main()
