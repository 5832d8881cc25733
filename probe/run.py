"""One run of the probing job: embed, prepare references, fit, score, write."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.text import Text

from probe.annotators import describe_annotators, find_annotators, run_annotator_experiments, write_annotators
from probe.annotators.annotator_probe import AnnotatorProbe
from probe.annotators.comparison import AnnotatorMatrix
from probe.command import ProbeConfig
from probe.experiment import Experiment, Predictions, split_parts
from probe.folds import describe_held_out
from probe.frozen_probes import run_experiment
from probe.labeled_frames import can_learn
from probe.pair_scores import score_pairs
from probe.pair_store import PairRow, PairStore
from probe.references import (
    add_session_time,
    hand_features,
    histogram_components,
    input_means,
    pair_input_means,
    pca_reference,
    raw_keypoints,
)
from probe.representations import Representation, check_alignment, columns_without
from probe.saved_probes import save_annotators, save_heads
from probe.scores import ResultRow, score_parts, score_row
from probe.tables import bout_summary, csv_text, markdown_text, rich_table
from probe.tasks import MacroAverage, Task, make_task, parse_macro, targets, task_parts
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.embedding import embed_store, kept_groups
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig
from ssl_behavior.files import atomic_file, check_free, write_json, write_text
from ssl_behavior.methods import Method
from ssl_behavior.seeds import derive_seed
from ssl_behavior.splits import Split
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import Progress, counted, progress_bars

__all__ = ["PROTOCOL", "run_probe"]

PROTOCOL = {"name": "frozen probe, frames pooled, mean over parts", "version": 4}
"""The version increases when new numbers are no longer comparable with old ones."""

ANNOTATORS = "annotators"
"""The mode with one head for all parts of a task."""

PARTS = "parts"
"""Folder of the heads of a task with several parts, one subfolder per part."""


def run_probe(
    config: ProbeConfig, console: Console, wording: Callable[[str], str] = str, name_folder: bool = True
) -> dict[str, Any]:
    """Probe, write `results.json`, `results.md`, `results.csv` and the heads under `config.out`, print the table.

    Embeddings are cached under `config.out/embeddings` for later runs.

    Parameters
    ----------
    wording : translation of printed lines, which name arguments in backticks.
    name_folder : print where the results are; False where they are temporary.

    Raises
    ------
    InputError
        If store, runs, task or split do not match, or `config.out` already holds results.
    """
    _check_out(config)
    store = Store(config.store)
    if config.task in store.pair_streams:
        store = PairStore(store, config.task)
    task = make_task(store, config.task, config.kind, config.background)
    if config.mode == ANNOTATORS and isinstance(store, PairStore):
        raise InputError("`mode=annotators` learns from labels of scenes; these labels have agents and targets")
    if config.mode == ANNOTATORS:
        task = replace(task, annotators=find_annotators(store, task))
    plan = _Plan(config, store, task, [parse_macro(task, text) for text in config.macros])
    console.print(plan.opening)
    with progress_bars(console, transient=True) as progress, TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        session = _Session(config, plan, progress)
        trained, *others = session.representations(Path(scratch), lambda text: console.print(wording(text)))
        rows, first = session.score(trained, keep=True)
        rows += [row for reference in others for row in session.score(reference)[0]]
    results, notes = _results(session, trained, rows), _notes(session, rows)
    if isinstance(store, PairStore):
        results, notes = _with_mabe25_score(plan, first, results, notes)
    matrices = list[AnnotatorMatrix]()
    if session.annotators:
        scored = plan.rows("evaluate")
        matrices = describe_annotators(session.annotators, trained.array(0), store, task, scored)
        results["annotators"] = [matrix.to_dict() for matrix in matrices]
    _write(config.out, plan, trained, first, results, rows, notes, session.annotators, matrices)
    console.print(rich_table(rows, plan.title))
    console.print(bout_summary(rows))
    for note in notes:
        console.print(Text(wording(note), style="dim"))
    if name_folder:
        console.print(f"results: {config.out / 'results.md'}")
    return results


def _check_out(config: ProbeConfig) -> None:
    """Refuse to replace results, or to write among unrelated files; an unfinished run continues."""
    out = config.out
    ours = (
        out.is_dir()
        and not (out / "results.json").exists()
        and all(p.name in ("embeddings", PARTS) for p in out.iterdir())
    )
    check_free(out, config.overwrite or ours, "" if ours else "results.json")
    if out.is_file():
        raise InputError(f"{out} is a file, not a folder; choose another `out`")


class _Plan:
    """An experiment and its reported means for every part of the task."""

    def __init__(self, config: ProbeConfig, store: Store, task: Task, macros: Sequence[MacroAverage]) -> None:
        self.store, self.task, self.macros = store, task, macros
        splits, parts = split_parts(store, task, config.split), task_parts(task)
        self.part_macros = {name: _own(macros, part) for name, part in parts.items()}
        self.experiments = {
            name: Experiment(
                store, part, splits[name], self.part_macros[name][0], config.mode, config.train_stride, config.smooth
            )
            for name, part in parts.items()
        }
        self.mode = config.mode

    @property
    def splits(self) -> list[Split]:
        return [experiment.split for experiment in self.experiments.values()]

    @cached_property
    def allow_undefined(self) -> bool:
        """Whether a part with too few classes is undefined; if all parts have too few, that is an error."""
        return len(self.experiments) > 1 and any(
            _can_learn_part(experiment) for experiment in self.experiments.values()
        )

    def rows(self, use: str) -> tuple[StoreRow, ...]:
        """Recordings of one use ("train", "tune", "evaluate") in any part, in store order."""
        ids = {row.id for split in self.splits for row in getattr(split, use)}
        return tuple(row for row in self.store.rows if row.id in ids)

    @property
    def used_rows(self) -> tuple[StoreRow, ...]:
        """Recordings of any use in any part, in store order."""
        used = {row.id for use in ("train", "tune", "evaluate") for row in self.rows(use)}
        return tuple(row for row in self.store.rows if row.id in used)

    @property
    def opening(self) -> str:
        split, several = self.splits[0], len(self.experiments)
        parts = f" in {several} parts" if several > 1 else ""
        return (
            f"task {self.task.name}: {len(self.task.classes)} classes, {self.task.kind}{parts}; "
            f"{_count_rows(self.rows('train'))} for training, {_count_rows(self.rows('evaluate'))} for scoring "
            f"({split.evaluated_on}; {split.source})"
        )

    @property
    def title(self) -> str:
        scored = _count_rows(self.rows("evaluate"), self.splits[0].evaluated_on)
        return f"{self.task.name}, {self.mode} probe, {scored}"


def _count_rows(rows: Sequence[StoreRow], use: str = "") -> str:
    """Number of recordings, and of their pairs of animals."""
    recordings = counted(len({row.recording for row in rows}), f"{use} recording".strip())
    pairs = [row for row in rows if isinstance(row, PairRow)]
    return f"{counted(len(pairs), 'pair')} of {recordings}" if pairs else recordings


def _own(macros: Sequence[MacroAverage], part: Task) -> list[MacroAverage]:
    """The means over the classes of one part; a part outside the first mean selects settings by all its classes."""
    own = [(macro, tuple(name for name in macro.classes if name in part.classes)) for macro in macros]
    kept = [MacroAverage(macro.name, classes) for macro, classes in own if classes]
    return kept if kept and own[0][1] else [parse_macro(part), *kept]


def _can_learn_part(experiment: Experiment) -> bool:
    task = experiment.task
    return can_learn(targets(experiment.store, task, experiment.split.fit), task.kind)


class _Session:
    """State of one run: representations, column groups and annotator probes."""

    def __init__(self, config: ProbeConfig, plan: _Plan, progress: Progress) -> None:
        self.config, self.plan, self.progress = config, plan, progress
        self.methods: list[Method] = []
        self.groups: dict[str, int] = {}
        self.left_out: tuple[str, ...] = ()
        self.annotators: list[AnnotatorProbe] = []

    def representations(self, scratch: Path, say: Callable[[str], None]) -> list[Representation]:
        """The trained encoder first, then the requested references; a reference that fails is named and left out."""
        representations = [self._trained()]
        names = self.config.references
        if "untrained" in names:
            if self.methods:
                representations.append(self._untrained())
            else:
                say("no untrained encoder: it needs a run, and embeddings were given")
        store, train = self.plan.store, self.plan.rows("train")
        if isinstance(store, PairStore):
            others = [name for name in names if name not in ("untrained", "input_means")]
            if others:
                say(f"no references {', '.join(others)}: they describe scenes, and these labels are of pairs")
            if "input_means" in names:
                advance = self._advance("window means of the inputs", len(store.scene_rows))
                representations.append(pair_input_means(store, train, scratch, self._features, advance))
            return representations
        if "raw" in names:
            representations.append(raw_keypoints(store, train, scratch))
        try:
            representations += self._from_features(scratch, representations[0].dim)
        except InputError as error:
            say(f"no references from features: {error}")
        if "time" not in self.groups:
            return representations
        return [one if one.checkpoints else add_session_time(one, store.rows) for one in representations]

    def _from_features(self, scratch: Path, dim: int) -> list[Representation]:
        """Requested references from the features of two animals.

        Parameters
        ----------
        dim : columns of the embedding; the histograms get as many components, without the time columns.
        """
        store, train, names = self.plan.store, self.plan.rows("train"), set(self.config.references)
        rows, config, made = self.plan.used_rows, self._features, list[Representation]()
        if {"hand", "pca"} & names:
            hand = hand_features(store, train, scratch, self._advance("hand features", len(store.rows)))
            made += [hand] if "hand" in names else []
            made += [pca_reference(hand, train, scratch)] if "pca" in names else []
        if "input_means" in names:
            advance = self._advance("window means of the inputs", len(rows))
            made.append(input_means(store, train, scratch, config, rows, advance))
        if "histograms" in names:
            num_columns = dim - self.groups.get("time", 0)
            advance = self._advance("windowed histograms", 2 * len(rows))
            made += histogram_components(store, train, scratch, num_columns, config, rows, advance)
        return made

    @property
    def _features(self) -> FeatureConfig:
        """The encoder's features; the default features for given embeddings and encoders without features."""
        found = (method.features for method in self.methods)
        return next((features for features in found if features is not None), FeatureConfig())

    def _trained(self) -> Representation:
        embeddings = []
        for run in self.config.runs:
            if (run / "embeddings.json").exists():
                embeddings.append(Embeddings(run))
            else:
                method = load_checkpoint(run)
                self.methods.append(method)
                embeddings.append(self._embedded(method, f"run-{len(embeddings)}"))
        for one in embeddings:
            check_alignment(one, self.plan.store)
        if len({tuple(one.groups.items()) for one in embeddings}) > 1:
            raise InputError(
                "the runs' embeddings have different columns: "
                f"{[one.groups for one in embeddings]}; probe each run alone"
            )
        groups = embeddings[0].groups
        self.groups = kept_groups(groups, self.config.without)
        self.left_out = tuple(name for name in groups if name not in self.groups)
        name = "trained encoder" + (f" ({len(embeddings)} runs)" if len(embeddings) > 1 else "")
        return self._representation(name, embeddings)

    def _representation(self, name: str, embeddings: Sequence[Embeddings]) -> Representation:
        arrays = tuple(columns_without(one, self.config.without) for one in embeddings)
        return Representation(name, arrays, tuple(e.checkpoint for e in embeddings))

    def _untrained(self) -> Representation:
        embeddings = []
        for index, method in enumerate(self.methods):
            fresh = method.fresh(derive_seed(index, "untrained reference"))
            embeddings.append(self._embedded(fresh, f"untrained-{index}"))
        return self._representation("untrained encoder", embeddings)

    def _embedded(self, method: Method, name: str) -> Embeddings:
        """Embeddings of the whole store, computed now or cached by an earlier run."""
        out, store = (self.config.embeddings or self.config.out / "embeddings") / name, self.plan.store
        if (out / "embeddings.json").exists():
            found = Embeddings(out)
            made = (found.checkpoint, found.store, found.groups, len(found.array))
            if made == (method.fingerprint(), store.fingerprint(), method.channel_groups, store.num_frames):
                return found
        device = choose_device(self.config.device)
        precision = choose_precision(self.config.precision, device)
        method.to(device)
        stage = f"embedding {name} on {describe_device(device)}"
        unit: dict[str, Any] = {}
        if isinstance(store, PairStore):
            unit = {"unit": "pair", "with_self": store.with_self}
            store = store.scenes
        return embed_store(
            method, store, out, overwrite=True, precision=precision,
            progress=lambda _, done, total: self.progress(stage, done, total), **unit,
        )  # fmt: skip

    def _advance(self, stage: str, total: int) -> Callable[[int], None]:
        """Callback with the number of units just done of a stage."""
        return lambda done: self.progress(stage, done, total)

    def score(
        self, representation: Representation, keep: bool = False
    ) -> tuple[list[ResultRow], dict[str, Predictions]]:
        """One row per label fraction, and one more if smoothed; the first seed's predictions at 100 % if `keep`."""
        rows, kept = list[ResultRow](), dict[str, Predictions]()
        for percent in sorted(self.config.fractions, reverse=True):
            seed_predictions = self._seed_predictions(representation, percent)
            kept = kept or {part: seeds[0] for part, seeds in seed_predictions.items()}
            rows.append(self._row(representation, percent, seed_predictions, postprocessed=False))
            if any(one.postprocessed for seeds in seed_predictions.values() for one in seeds):
                rows.append(self._row(representation, percent, seed_predictions, postprocessed=True))
        return rows, kept if keep else {}

    def _row(
        self,
        representation: Representation,
        percent: float,
        seed_predictions: Mapping[str, Sequence[Predictions]],
        postprocessed: bool,
    ) -> ResultRow:
        name, dim = representation.name, representation.dim
        return score_parts(
            {
                part: score_row(
                    experiment, self.plan.part_macros[part], name, dim, percent, seed_predictions[part], postprocessed
                )
                for part, experiment in self.plan.experiments.items()
            }
        )

    def seeds(self, representation: Representation, percent: float) -> range:
        """Probe seeds; without random draws, one seed per array."""
        drawn = self.config.train_stride > 1 or percent < 100
        return range(self.config.seeds if drawn else min(self.config.seeds, len(representation.arrays)))

    def _seed_predictions(self, representation: Representation, percent: float) -> dict[str, list[Predictions]]:
        """Part -> predictions of each seed."""
        if self.config.mode == ANNOTATORS:
            return self._joint_seed_predictions(representation, percent)
        seeds, seed_predictions = self.seeds(representation, percent), dict[str, list[Predictions]]()
        advance = self._advance(f"{representation.name}, {percent:g} %", len(seeds) * len(self.plan.experiments))
        advance(0)
        for part, experiment in self.plan.experiments.items():
            seed_predictions[part] = []
            for seed in seeds:
                made = run_experiment(experiment, representation.array(seed), seed, percent, self.plan.allow_undefined)
                seed_predictions[part].append(made)
                advance(1)
        return seed_predictions

    def _joint_seed_predictions(self, representation: Representation, percent: float) -> dict[str, list[Predictions]]:
        """As `_seed_predictions`, with one head for all parts."""
        seeds, seed_predictions = (
            self.seeds(representation, percent),
            {part: list[Predictions]() for part in self.plan.experiments},
        )
        probes = list[AnnotatorProbe]()
        advance = self._advance(f"{representation.name}, {percent:g} %", len(seeds))
        advance(0)
        for seed in seeds:
            made, probe = run_annotator_experiments(self.plan.experiments, representation.array(seed), seed, percent)
            probes.append(probe)
            for part, predictions in made.items():
                seed_predictions[part].append(predictions)
            advance(1)
        # The first call is for the trained encoder with all labels.
        self.annotators = self.annotators or probes
        return seed_predictions


def _notes(session: _Session, rows: Sequence[ResultRow]) -> list[str]:
    plan = session.plan
    split = plan.splits[0]
    notes = [
        "± is the population standard deviation over seeds, [low, high] the 95 % bootstrap interval over recordings.",
        "AP and F1 weigh all frames equally in training; F1 balanced weighs all classes equally.",
        f"Settings were chosen on {_chosen_on(plan)}.",
        "Bouts: F1 counts a true and a predicted bout as a match if their intersection over union (IoU) is large "
        "enough; bias and error of onset and offset are medians over matched bouts, with and without the sign; "
        "fragments are predicted bouts for each bout that is found. Means leave out classes without such bouts.",
    ]
    if split.evaluated_on == "validation":
        notes.append("The split has no test part: these are results on the validation recordings.")
    if len(plan.experiments) > 1:
        notes.append(
            f"Means are taken over the parts of the task first ({', '.join(plan.experiments)}); each part is trained "
            "and scored alone."
        )
    if len({row.percent for row in rows}) > 1:
        notes.append(
            "Fractions of the labels are whole recordings, at least one; "
            + (
                "settings were chosen within them."
                if split.tune_from_train
                else "settings were chosen on all of validation."
            )
        )
    if "time" in session.groups:
        notes.append("The embedding has two columns for the time in the recording; so have the references.")
    copies = sorted({pair for one in plan.splits for pair in one.copies})
    if copies:
        pairs = ", ".join(f"{scored} of {learned}" for scored, learned in copies[:5])
        notes.append(
            f"Warning: {len(copies)} scored recordings have the same tracks as a training recording "
            f"({pairs}): the scores are too high."
        )
    if session.left_out:
        notes.append(f"Left out of the embedding: {', '.join(session.left_out)}.")
    undefined = sorted({name for row in rows for name in row.undefined})
    if undefined:
        notes.append(
            f"† undefined for {', '.join(undefined)} (no positive frame in training, or in scoring); "
            "means are over the other classes."
        )
    return notes


def _with_mabe25_score(
    plan: _Plan, first: Mapping[str, Predictions], results: dict[str, Any], notes: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """Results and notes with MABe 2025's score of the trained encoder's first seed."""
    ((part, predictions),) = first.items()
    score = score_pairs(plan.experiments[part], predictions)
    if score is None:
        return results, notes
    (actions,) = score.actions.values()
    note = (
        f"MABe 2025's score, first seed: {score.score:.3f}, the mean of F over {counted(len(actions), 'behavior')}, "
        "with one behavior of a pair in a frame."
    )
    return results | {"mabe25": {"score": score.score, "f": dict(actions)}}, [*notes, note]


def _chosen_on(plan: _Plan) -> str:
    if not plan.splits[0].tune_from_train:
        return f"{len(plan.rows('tune'))} validation recordings"
    if plan.mode == ANNOTATORS:
        return f"{len(plan.rows('tune'))} recordings taken from train"
    held_out = {describe_held_out(len(split.train)) for split in plan.splits}
    return "; ".join(sorted(held_out)) + (" (in each part)" if len(plan.splits) > 1 else "")


def _results(session: _Session, trained: Representation, rows: Sequence[ResultRow]) -> dict[str, Any]:
    """Contents of `results.json`: the trained encoder's scores, then every row of the table."""
    config, plan = session.config, session.plan
    headline = rows[0].to_dict()
    main = headline["macros"][0]
    return {
        "format": "ssl-behavior results",
        "version": 1,
        "protocol": PROTOCOL,
        "task": plan.task.to_dict(),
        "mode": config.mode,
        "seeds": max((list(session.seeds(trained, percent)) for percent in config.fractions), key=len),
        "train_stride": config.train_stride,
        "groups": session.groups,
        "without": list(session.left_out),
        "split": _split_dict(plan),
        "store": plan.store.fingerprint(),
        "checkpoints": list(trained.checkpoints),
        "macros": [asdict(macro) for macro in plan.macros],
        "classes": headline["classes"],
        "macro_ap": main["ap"] | {"interval": main["ap_interval"]},
        "macro_f1": main["f1"] | {"interval": main["f1_interval"]},
        "macro_f1_balanced": main["f1_balanced"] | {"interval": main["f1_balanced_interval"]},
        "rows": [row.to_dict() for row in rows],
    }


def _split_dict(plan: _Plan) -> dict[str, Any]:
    """The recordings of each use in any part; for several parts also those of each part."""
    uses = {"train": "train", "chosen_on": "tune", "evaluated": "evaluate"}
    whole = {key: [row.id for row in plan.rows(use)] for key, use in uses.items()}
    copies = sorted({pair for split in plan.splits for pair in split.copies})
    merged = plan.splits[0].to_dict() | whole | {"copies": [list(pair) for pair in copies]}
    if len(plan.experiments) == 1:
        return merged
    return merged | {"parts": {name: experiment.split.to_dict() for name, experiment in plan.experiments.items()}}


def _write(
    out: Path,
    plan: _Plan,
    trained: Representation,
    first: Mapping[str, Predictions],
    results: dict[str, Any],
    rows: Sequence[ResultRow],
    notes: Sequence[str],
    annotators: Sequence[AnnotatorProbe],
    matrices: Sequence[AnnotatorMatrix],
) -> None:
    """Write all files, `results.json` last: if it exists, the others do too."""
    (out / "results.json").unlink(missing_ok=True)
    for old in (out, *(out / PARTS).glob("*")):
        for name in ("probe.json", "probe.safetensors", "annotators.md", "annotators.png"):
            (old / name).unlink(missing_ok=True)
    for part, predictions in first.items():
        if predictions.heads:
            folder = out if len(first) == 1 else out / PARTS / re.sub(r"[^\w.-]+", "-", part)
            save_heads(folder, plan.experiments[part], predictions, trained.checkpoints[0], results["without"])
    if annotators:
        # Annotators may differ in their smoothing windows, so the head is saved without windows.
        save_annotators(out, annotators[0], plan.task, trained.checkpoints[0], results["without"])
        write_annotators(out, matrices)
    for name, text in (
        ("results.md", markdown_text(rows, plan.title, notes)),
        ("results.csv", csv_text(rows)),
    ):
        with atomic_file(out / name) as file:
            write_text(file, text)
    write_json(out / "results.json", results)
