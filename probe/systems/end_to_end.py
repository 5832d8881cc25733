"""Encoders trained together with their heads, by the pretraining job: joint, fine-tuned and from scratch."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probe.systems.base import Advance, Model, Problem, System, with_balanced
from probe.trial import BALANCED, PLAIN
from ssl_behavior.checkpoint import find_checkpoint, load_checkpoint
from ssl_behavior.device import choose_device
from ssl_behavior.methods import Joint
from ssl_behavior.prediction import predict_row, with_labels
from ssl_behavior.store import StoreRow
from ssl_behavior.verbs import run_verb

__all__ = ["EndToEnd", "EndToEndConfig"]


@dataclass(frozen=True, kw_only=True)
class EndToEndConfig:
    """What `ssl-behavior pretrain` is asked for.

    Parameters
    ----------
    recipe : "joint", "joint_mabe2021" or "finetune".
    options : further words of the command line, such as ("--steps", "400").
    init : runs to start from; seed s starts from run s modulo their number.
    tracks : ids or globs of the recordings whose tracks are learned from; none = all of the store.
    all_tasks : learn every label stream of the recordings at once; False = the problem's own alone.
    best : take the checkpoint that labeled the run's held-out recordings best in the problem's own stream, as the MABe
        2021 winner did; False = the last, whose averaged weights were the better choice where few are held out.
    """

    recipe: str
    options: tuple[str, ...] = ()
    init: tuple[Path, ...] = ()
    tracks: tuple[str, ...] = ()
    all_tasks: bool = False
    best: bool = False


class EndToEnd(System):
    """An encoder and the heads that read it, trained on labels by the pretraining job in a folder of its own.

    Problems that learn from the same recordings with the same settings share one run: a joint model of several tasks is
    trained once. Recordings held out in it are drawn from those learned from.

    Parameters
    ----------
    name, source : see `System`.
    runs : folder for the runs and their logs; an interrupted one is continued.
    also : recordings of other tasks that a joint model learns from; never one that is evaluated.
    """

    def __init__(
        self, name: str, source: str, config: EndToEndConfig, runs: Path, also: Sequence[StoreRow] = ()
    ) -> None:
        self.name, self.source, self.config, self.runs, self.also = name, source, config, runs, tuple(also)

    @property
    def settings(self) -> dict[str, Any]:
        config = asdict(self.config) | {"init": [_known_by(path) for path in self.config.init]}
        return {"system": "end to end", **config, "also": [row.id for row in self.also]}

    @property
    def elsewhere(self) -> tuple[StoreRow, ...]:
        return self.also

    def learn(self, problem: Problem, rows: Sequence[StoreRow], seed: int, advance: Advance) -> Model:
        """Train, or take up a training of exactly this.

        Raises
        ------
        InputError
            As the pretraining job does.
        """
        run = self._trained(problem, rows, seed)
        chosen = problem.task.streams[0] if self.config.best else False
        method = with_labels(load_checkpoint(run, best=chosen), str(run))
        advance(sum(row.frames for row in rows))
        return _EndToEndModel(problem, method.to(choose_device("auto")), rows, find_checkpoint(run))

    def _trained(self, problem: Problem, rows: Sequence[StoreRow], seed: int) -> Path:
        words = self._words(problem, rows, seed)
        known = json.dumps([problem.store.fingerprint(), self.settings, words])
        run = self.runs / f"{self.config.recipe}-{hashlib.sha256(known.encode()).hexdigest()[:16]}"
        self.runs.mkdir(parents=True, exist_ok=True)
        with run.with_suffix(".log").open("a", encoding="utf-8") as log, redirect_stdout(log):
            code = run_verb("pretrain", [str(problem.store.path), "--out", str(run), "--resume", *words])
        if code:
            # Stopped by a signal, after saving: what was asked for next is not to begin.
            raise SystemExit(code)
        return run

    def _words(self, problem: Problem, rows: Sequence[StoreRow], seed: int) -> list[str]:
        config = self.config
        streams = self._streams(problem, rows)
        words = ["--recipe", config.recipe, "--seed", str(seed), *config.options]
        words += ["--labeled", *(row.id for row in self._labeled(problem, rows)), "--streams", *streams]
        if config.tracks:
            words += ["--recordings", *config.tracks]
        if config.init:
            words += ["--init", str(config.init[seed % len(config.init)])]
        return words

    def _labeled(self, problem: Problem, rows: Sequence[StoreRow]) -> list[StoreRow]:
        """What is learned from: `rows`, and of other tasks' recordings those that are none of this problem's own.

        In a fold, `also` holds recordings of the problem that are held out.
        """
        given = {row.id for row in rows}
        others = [row for row in self.also if row.id not in given and not _belongs(row, problem)]
        return sorted([*rows, *others], key=lambda row: row.offset)

    def _streams(self, problem: Problem, rows: Sequence[StoreRow]) -> list[str]:
        if not self.config.all_tasks:
            return list(problem.task.streams)
        there = {name for row in self._labeled(problem, rows) for name in row.annotators}
        return [name for name in problem.store.streams if name in there]


def _belongs(row: StoreRow, problem: Problem) -> bool:
    """Whether a recording's labels are some of the problem's."""
    task = problem.task
    who = [row.annotators[stream] for stream in task.streams if stream in row.annotators]
    return bool(who) and (not task.annotators or any(name in task.annotators for name in who))


def _known_by(run: Path) -> str:
    return load_checkpoint(run).fingerprint()


class _EndToEndModel(Model):
    def __init__(self, problem: Problem, method: Joint, rows: Sequence[StoreRow], checkpoint: Path) -> None:
        self.problem, self.method, self.rows, self.checkpoint = problem, method, tuple(rows), checkpoint

    def predict(self, rows: Sequence[StoreRow]) -> dict[str, np.ndarray]:
        parts = [self._predict(row) for row in rows]
        plain = np.concatenate(parts) if parts else np.empty((0, self.problem.num_classes), np.float32)
        if self.method.config.labels.balanced:
            # Every class weighed the same in training: this is how the published entry decided, too.
            return {PLAIN: plain, BALANCED: plain}
        return with_balanced(self.problem, self.rows, plain)

    def _predict(self, row: StoreRow) -> np.ndarray:
        (stream,) = self.problem.task.streams
        facts = self.method.config.labels
        classes = next(one.classes for one in facts.streams if one.name == stream)
        who = row.annotators.get(stream, "")
        style = who if who in facts.annotators else ""
        said = predict_row(self.method, self.problem.store, row, style)[stream]
        return said[:, [classes.index(name) for name in self.problem.task.classes]].astype(np.float32)

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "num_parameters": sum(parameter.numel() for parameter in self.method.parameters()),
            "run": str(self.checkpoint.parent.parent),
        }
