"""One run of the probing job: embed, prepare references, fit, score, write."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from probe.heads import save_heads
from probe.job import ProbeConfig
from probe.learners import run_trial
from probe.references import hand_features, pca_reference, raw_keypoints, with_time
from probe.representations import Representation, check_alignment, columns_without
from probe.scoring import ResultRow, score_row
from probe.tables import csv_text, markdown_text, rich_table
from probe.tasks import Macro, annotated_rows, macro_of, make_task
from probe.trial import Outcome, Trial
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.embedding import Embeddings, embed_store, kept_groups
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, check_free, write_json
from ssl_behavior.methods import Method
from ssl_behavior.seeds import derive_seed
from ssl_behavior.splits import make_split
from ssl_behavior.store import Store
from ssl_behavior.terminal import counted

__all__ = ["PROTOCOL", "run_probe"]

PROTOCOL = {"name": "frozen probe, frames pooled", "version": 1}
"""Raised when a change makes new numbers incomparable with old ones."""


def run_probe(config: ProbeConfig, console: Console) -> dict[str, Any]:
    """Probe, write `results.json`, `results.md`, `results.csv` and the heads under `config.out`, print the table.

    Embeddings are made once under `config.out/embeddings` and found there again by a later run.

    Raises
    ------
    InputError
        If store, runs, task or split do not go together, or `config.out` holds results already.
    """
    _check_out(config)
    store = Store(config.store)
    task = make_task(store, config.task, config.kind, config.background)
    macros = [macro_of(task, text) for text in config.macros]
    split = make_split(store, config.split, annotated=annotated_rows(store, task))
    trial = Trial(store, task, split, macros[0], config.mode, config.train_stride, config.smooth)
    console.print(_opening(trial))
    with Progress(*_columns(), console=console, transient=True) as progress, TemporaryDirectory() as scratch:
        session = _Session(config, trial, macros, progress)
        trained, *others = session.representations(Path(scratch), console)
        rows, first = session.score(trained, keep=True)
        rows += [row for reference in others for row in session.score(reference)[0]]
    results = _results(session, trained, rows)
    assert first is not None
    notes = _notes(session, rows)
    _write(config.out, trial, trained, first, results, rows, notes)
    console.print(rich_table(rows, _title(trial)))
    for note in notes:
        console.print(Text(note, style="dim"))
    console.print(f"results: {config.out / 'results.md'}")
    return results


def _check_out(config: ProbeConfig) -> None:
    """Refuse to replace results, or to write among files that are not ours; unfinished work is taken up again."""
    out = config.out
    ours = out.is_dir() and not (out / "results.json").exists() and all(p.name == "embeddings" for p in out.iterdir())
    check_free(out, config.overwrite or ours, "" if ours else "results.json")
    if out.is_file():
        raise InputError(f"{out} is a file, not a folder; choose another --out")


def _columns() -> tuple[Any, ...]:
    return (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip


def _opening(trial: Trial) -> str:
    split = trial.split
    return (
        f"task {trial.task.name}: {len(trial.task.classes)} classes, {trial.task.kind}; "
        f"{counted(len(split.train), 'recording')} to learn from, {len(split.evaluate)} of {split.evaluated_on} to be "
        f"scored on ({split.source})"
    )


class _Session:
    """The parts of a run that share its configuration."""

    def __init__(self, config: ProbeConfig, trial: Trial, macros: Sequence[Macro], progress: Progress) -> None:
        self.config, self.trial, self.macros, self.progress = config, trial, macros, progress
        self.methods: list[Method] = []
        self.groups: dict[str, int] = {}
        self.left_out: tuple[str, ...] = ()

    def representations(self, scratch: Path, console: Console) -> list[Representation]:
        """The trained encoder first, then the references asked for; one that cannot be made is named and left out."""
        made = [self._trained()]
        names = self.config.references
        if "untrained" in names:
            if self.methods:
                made.append(self._untrained())
            else:
                console.print("no untrained encoder: embeddings were given, not a run")
        store, train = self.trial.store, self.trial.split.train
        if "raw" in names:
            made.append(raw_keypoints(store, train, scratch))
        if {"hand", "pca"} & set(names):
            try:
                with self._working("hand features", len(store.rows)) as advance:
                    hand = hand_features(store, train, scratch, advance)
            except InputError as error:
                console.print(f"no hand features: {error}")
            else:
                made += [hand] if "hand" in names else []
                made += [pca_reference(hand, train, scratch)] if "pca" in names else []
        return [with_time(one, store) if "time" in self.groups and not one.checkpoints else one for one in made]

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
            check_alignment(one, self.trial.store)
        if len({tuple(one.groups.items()) for one in embeddings}) > 1:
            raise InputError(
                f"the runs' embeddings have different columns: {[one.groups for one in embeddings]}; probe them apart"
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
        """Embeddings of the whole store, made now or found where an earlier run left them."""
        out, store = (self.config.embeddings or self.config.out / "embeddings") / name, self.trial.store
        if (out / "embeddings.json").exists():
            found = Embeddings(out)
            made = (found.checkpoint, found.store, found.groups)
            if made == (method.fingerprint(), store.fingerprint(), method.channel_groups):
                return found
        device = choose_device(self.config.device)
        precision = choose_precision(self.config.precision, device)
        method.to(device)
        with self._working(f"embedding {name} on {describe_device(device)}", store.num_frames) as advance:
            return embed_store(method, store, out, overwrite=True, precision=precision, progress=advance)

    def _working(self, what: str, total: int) -> "_Working":
        return _Working(self.progress, what, total)

    def score(self, representation: Representation, keep: bool = False) -> tuple[list[ResultRow], Outcome | None]:
        """One row per label fraction, and one more each if smoothed; the first seed's outcome at 100 % if kept."""
        rows, kept = [], None
        for percent in sorted(self.config.fractions, reverse=True):
            outcomes = list(self._outcomes(representation, percent))
            kept = kept or outcomes[0]
            score = partial(
                score_row, self.trial, self.macros, representation.name, representation.dim, percent, outcomes
            )
            rows += [score(), *([score(smoothed=True)] if outcomes[0].smoothed else [])]
        return rows, kept if keep else None

    def seeds(self, representation: Representation, percent: float) -> range:
        """Where nothing is drawn, a second seed of one array would repeat the first."""
        drawn = self.trial.stride > 1 or percent < 100
        return range(self.config.seeds if drawn else min(self.config.seeds, len(representation.arrays)))

    def _outcomes(self, representation: Representation, percent: float) -> Iterator[Outcome]:
        seeds = self.seeds(representation, percent)
        with self._working(f"{representation.name}, {percent:g} %", len(seeds)) as advance:
            for seed in seeds:
                yield run_trial(self.trial, representation.array(seed), seed, percent)
                advance(1)


class _Working:
    """A line of the progress display for as long as the block lasts."""

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self.progress, self.what, self.total = progress, what, total

    def __enter__(self) -> Any:
        self.line = self.progress.add_task(self.what, total=self.total)
        return lambda count: self.progress.advance(self.line, count)

    def __exit__(self, *_: object) -> None:
        self.progress.remove_task(self.line)


def _title(trial: Trial) -> str:
    task, split = trial.task, trial.split
    return f"{task.name}, {trial.mode} probe, {counted(len(split.evaluate), f'{split.evaluated_on} recording')}"


def _notes(session: _Session, rows: Sequence[ResultRow]) -> list[str]:
    split = session.trial.split
    notes = [
        "± is the population standard deviation over seeds, [low, high] the 95 % bootstrap interval over recordings.",
        "AP and F1 are of the fit with equal frames; F1 balanced is of the fit with equal classes.",
        f"Settings were chosen on {len(split.tune)} "
        + ("recordings taken from train." if split.tune_from_train else "validation recordings."),
    ]
    if split.evaluated_on == "validation":
        notes.append("There is no test part: these are results on the validation recordings.")
    if len({row.percent for row in rows}) > 1:
        notes.append(
            "Fractions of the labels are whole recordings, at least one; settings were chosen with all labels of the "
            "recordings they were chosen on."
        )
    if "time" in session.groups:
        notes.append("The embedding has two columns that tell the time in the recording; so have the references.")
    if split.copies:
        pairs = ", ".join(f"{scored} of {learned}" for scored, learned in split.copies[:5])
        notes.append(
            f"Warning: {len(split.copies)} scored recordings have the very tracks of one that was learned from "
            f"({pairs}): the scores are too good."
        )
    if session.left_out:
        notes.append(f"Left out of the embedding: {', '.join(session.left_out)}.")
    undefined = sorted({name for row in rows for name in row.undefined})
    if undefined:
        notes.append(
            f"† undefined for {', '.join(undefined)} (no positive frame to learn from, or to be scored on); "
            "means are over the other classes."
        )
    return notes


def _results(session: _Session, trained: Representation, rows: Sequence[ResultRow]) -> dict[str, Any]:
    """DESIGN's results: the trained encoder's scores at the top, every row of the table below."""
    config, trial = session.config, session.trial
    headline = rows[0].to_dict()
    main = headline["macros"][0]
    return {
        "format": "ssl-behavior results",
        "version": 1,
        "protocol": PROTOCOL,
        "task": trial.task.to_dict(),
        "mode": config.mode,
        "seeds": max((list(session.seeds(trained, percent)) for percent in config.fractions), key=len),
        "train_stride": config.train_stride,
        "groups": session.groups,
        "without": list(session.left_out),
        "split": trial.split.to_dict(),
        "store": trial.store.fingerprint(),
        "checkpoints": list(trained.checkpoints),
        "macros": [asdict(macro) for macro in session.macros],
        "classes": headline["classes"],
        "macro_ap": main["ap"] | {"interval": main["ap_interval"]},
        "macro_f1": main["f1"] | {"interval": main["f1_interval"]},
        "macro_f1_balanced": main["f1_balanced"] | {"interval": main["f1_balanced_interval"]},
        "rows": [row.to_dict() for row in rows],
    }


def _write(
    out: Path,
    trial: Trial,
    trained: Representation,
    first: Outcome,
    results: dict[str, Any],
    rows: Sequence[ResultRow],
    notes: Sequence[str],
) -> None:
    """Everything else first, `results.json` last: where it is, the rest is too."""
    (out / "results.json").unlink(missing_ok=True)
    for name in ("probe.json", "probe.safetensors"):
        (out / name).unlink(missing_ok=True)
    if first.heads:
        save_heads(out, trial, first, trained.checkpoints[0], results["without"])
    for name, text in (
        ("results.md", markdown_text(rows, _title(trial), notes)),
        ("results.csv", csv_text(rows)),
    ):
        with atomic_file(out / name) as file:
            file.write_text(text, encoding="utf-8")
    write_json(out / "results.json", results)
