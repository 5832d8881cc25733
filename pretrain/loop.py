"""The training loop: steps, validation, collapse warnings, checkpoints. An interrupted run resumes to the same weights.

The first Ctrl-C or SIGTERM finishes the step and saves; a second Ctrl-C ends the run at once.
"""

import math
import signal
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pretrain.config import RunConfig
from pretrain.data import Data, batch_recordings, training_batches, validation_batches
from pretrain.distributed import averaged, stop_signal
from pretrain.optim import WeightAverage, learning_rate, make_optimizer, set_learning_rate
from pretrain.run_folder import RunFolder, checkpoint_name
from pretrain.run_log import RunLog, finite_or_none
from ssl_behavior import collectives
from ssl_behavior.checkpoint import load_training_state, load_weights, read_checkpoint_config
from ssl_behavior.errors import InputError
from ssl_behavior.joint_predictions import predict_row
from ssl_behavior.labeled_windows import LabeledReader, StreamFacts
from ssl_behavior.methods import Joint, Method
from ssl_behavior.methods.base import LossTerms
from ssl_behavior.metrics import class_scores, macro
from ssl_behavior.numerics import effective_rank, uniformity
from ssl_behavior.seeds import derive_seed, torch_generator
from ssl_behavior.terminal import listed
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = [
    "Losses",
    "StopSignals",
    "Trainer",
    "batch_rank",
    "collapse_warning",
    "label_scores",
    "rank_limit",
    "to_model",
    "train_step",
    "validate",
]


def rank_limit(num_columns: int) -> float:
    """Threshold of the collapse warning: an eighth of the number of columns, between 2 and 16."""
    return min(16.0, max(2.0, num_columns / 8))


def collapse_warning(rank: float, num_columns: int) -> str | None:
    """Warning that the embeddings collapsed: the effective rank is below `rank_limit` or not a number; else None."""
    limit = rank_limit(num_columns)
    if rank >= limit:
        return None
    return (
        f"the embeddings may be collapsing: their effective rank is {rank:.1f} of {num_columns} columns, and below "
        f"{limit:.3g} little can be read from them; try a lower optim.lr or a larger data.batch_size, and look at "
        "the recordings (ssl-behavior import reports their missing points)"
    )


_MAX_POINTS = 2048


class Losses(nn.Module):
    """A method's loss as a forward pass, for DistributedDataParallel."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: WindowBatch, generator: torch.Generator) -> LossTerms:
        return self.method.loss(batch, generator)


def train_step(
    losses: nn.Module,
    optimizer: Optimizer,
    batch: WindowBatch,
    seed: int,
    step: int,
    precision: torch.dtype,
    clip: float,
) -> dict[str, Tensor]:
    """Forward, backward, clip, update; returns the terms, diagnostics, their total and the gradient's norm.

    All randomness depends on (seed, step) alone, so a resumed run needs no generator's state.

    Raises
    ------
    FloatingPointError
        If the loss or the gradient is not finite; the weights are then as before the step.
    """
    torch.manual_seed(derive_seed(seed, "dropout", step, collectives.rank()))
    with autocast(batch, precision):
        loss = losses(batch, torch_generator(seed, "loss", step))
    optimizer.zero_grad(set_to_none=True)
    loss.total.backward()
    grad_norm = nn.utils.clip_grad_norm_(losses.parameters(), clip or float("inf"))
    for name, value in (("loss", loss.total), ("gradient", grad_norm)):
        if not torch.isfinite(value):
            raise FloatingPointError(f"the {name} is {value.item()}")
    optimizer.step()
    return {"loss": loss.total.detach(), **_plain(loss), "grad_norm": grad_norm}


def autocast(batch: WindowBatch, precision: torch.dtype) -> torch.autocast:
    """Mixed precision for `precision` bfloat16, nothing for float32."""
    device = batch.keypoints.device.type
    return torch.autocast(device, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)


def _plain(loss: LossTerms) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in {**loss.terms, **loss.metrics}.items()}


@torch.no_grad()
def validate(
    method: Method, batches: Iterable[WindowBatch], device: torch.device, precision: torch.dtype
) -> dict[str, float]:
    """Means over batches of the loss, its terms and diagnostics, and measures of collapse of the learned columns.

    A term that a batch has nothing to say of (a label stream it shows no label of) is the mean over the other batches.
    """
    method.eval()
    values: list[dict[str, Tensor]] = []
    points: list[Tensor] = []
    for batch in batches:
        batch = to_model(batch, method, device)
        with autocast(batch, precision):
            loss = method.loss(batch, None)
            embeddings = method.embed(batch)
        values.append({"loss": loss.total, **_plain(loss)})
        points.append(method.learned(embeddings[batch.valid]).float().cpu())
    method.train()
    names = dict.fromkeys(name for value in values for name in value)
    means = {name: torch.stack([v[name].float() for v in values if name in v]).mean().item() for name in names}
    return means | _spread(torch.cat(points))


@torch.no_grad()
def batch_rank(method: Method, batch: WindowBatch, precision: torch.dtype) -> float:
    """Effective rank of the learned columns on the frames of one batch."""
    method.eval()
    with autocast(batch, precision):
        points = method.learned(method.embed(batch)[batch.valid]).float().cpu()
    method.train()
    return _spread(points)["effective_rank"]


def _spread(points: Tensor) -> dict[str, float]:
    if not torch.isfinite(points).all():
        return {"effective_rank": float("nan"), "uniformity": float("nan")}
    points = points[:: max(1, len(points) // _MAX_POINTS)]
    return {"effective_rank": effective_rank(points).item(), "uniformity": uniformity(points).item()}


def to_model(batch: WindowBatch, method: Method, device: torch.device) -> WindowBatch:
    """The batch on the method's device, in the type of its weights."""
    return batch.to(device, next(method.parameters()).dtype)


class StopSignals:
    """While this context is open, the first SIGINT or SIGTERM is noted in `received` instead of raised.

    A second SIGINT is raised. Further SIGTERMs change nothing: torchrun and a scheduler each send one.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, object] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or number
        self._restore(signal.SIGINT)

    def _restore(self, *numbers: int) -> None:
        for number in numbers:
            if number in self._before:
                signal.signal(number, self._before.pop(number))  # type: ignore[arg-type]

    def __enter__(self) -> "StopSignals":
        # Other threads receive no signals, and may not handle them.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore(*list(self._before))


def label_scores(method: Method, reader: WindowReader, precision: torch.dtype) -> dict[str, float]:
    """Macro average precision ("ap/S1") and macro F1 ("f1/S1") of each stream, without background, frames pooled.

    Classes that the held-out recordings do not show have no average precision and are left out of both means; a stream
    of which they show nothing is not named. Empty for a method that learns no labels.
    """
    if not isinstance(method, Joint) or not isinstance(reader, LabeledReader) or not reader.labeled:
        return {}
    known = method.config.labels.annotators
    probability: dict[str, list[np.ndarray]] = {stream.name: [] for stream in reader.facts.streams}
    target: dict[str, list[np.ndarray]] = {stream.name: [] for stream in reader.facts.streams}
    for pick in reader.labeled:
        store, row = reader.sources[pick]
        labels = reader.labels(pick, 0, row.frames)
        predicted = predict_row(method, store, row, known[reader.annotator(pick)], precision)
        for column, stream in enumerate(reader.facts.streams):
            probability[stream.name].append(predicted[stream.name])
            target[stream.name].append(labels[:, column])
    scores: dict[str, float] = {}
    for stream in reader.facts.streams:
        found = _scores(np.concatenate(probability[stream.name]), np.concatenate(target[stream.name]), stream)
        scores |= {f"{score}/{stream.name}": value for score, value in found.items()}
    return scores


def _scores(probability: np.ndarray, target: np.ndarray, stream: StreamFacts) -> dict[str, float]:
    known = target >= 0
    probability, target = probability[known], target[known]
    claimed = probability.argmax(axis=1) if len(target) else target
    present = [number for number in stream.foreground if (target == number).any()]
    if not present:
        return {}
    scores = [class_scores(target == number, probability[:, number], claimed == number) for number in present]
    means = {name: macro([getattr(one, name) for one in scores]) for name in ("ap", "f1")}
    return {name: mean for name, mean in means.items() if mean is not None}


_FIRST_LOOK_STEPS = 50
"""Step of the first collapse check, early in a run that may take hours."""


class Trainer:
    """Training loop of one run: model, optimizer, schedule and counters, with saving and resuming.

    Randomness is no part of the state: that of step k is derived from the run's seed and k.
    """

    def __init__(
        self,
        config: RunConfig,
        data: Data,
        method: Method,
        losses: nn.Module,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        self.config, self.data, self.method, self.losses = config, data, method, losses
        self.device, self.precision = device, precision
        self.optimizer = make_optimizer(config.optim, method)
        self.average = WeightAverage(method, config.optim.ema_decay)
        self.steps_done = 0
        self.best: dict[str, Any] | None = None
        self.validation: dict[str, float] = {}
        self.saved_at, self.saved_step = time.monotonic(), -1

    def load(self, checkpoint: Path) -> None:
        """Resume training from `checkpoint`.

        Raises
        ------
        InputError
            If the checkpoint is damaged or has no training state.
        """
        load_weights(checkpoint, self.method)
        state, extra = load_training_state(checkpoint), read_checkpoint_config(checkpoint)["extra"]
        try:
            self.optimizer.load_state_dict(state["optimizer"])
            self.average.restore(state["raw_weights"])
            self.steps_done, self.best = int(state["step"]), extra["best"]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{checkpoint} cannot be resumed: its training state is damaged ({error!r})") from None
        self.saved_step = self.steps_done

    def save(self, run: RunFolder) -> None:
        """Write a checkpoint of the (averaged) weights."""
        training = {
            "step": self.steps_done,
            "optimizer": self.optimizer.state_dict(),
            "raw_weights": self.average.raw_weights(),
        }
        extra = {
            "step": self.steps_done,
            "validation": finite_or_none(self.validation),
            "best": self.best,
            "data_fingerprint": self.data.fingerprint,
        }
        with self.average.in_place():
            run.save(self.method, self.steps_done, extra, training)
        self.saved_at, self.saved_step = time.monotonic(), self.steps_done

    def train(self, run: RunFolder, log: RunLog | None) -> int:
        """Run the remaining steps; returns the number of the signal that ended them early, or 0.

        `log` is None in all processes but the main one, which alone writes.

        Raises
        ------
        InputError
            If a step's loss or gradient is not finite, or the disk is full; the last checkpoint is kept.
        """
        config = self.config
        self.method.train()
        steps = range(self.steps_done, config.steps)
        with StopSignals() as stop:
            for step, batch in training_batches(self.data.train, config.data.batch_size, config.seed, steps):
                batch = to_model(batch, self.method, self.device)
                self._step(step, batch, log)
                received = stop_signal(stop.received, self.device)
                if log:
                    if self._collapse_check_due():
                        self._check_collapse(batch, log)
                    if self.steps_done == config.steps:
                        self._finish()
                    improved = self._validate(log) if self._due(config.loop.validate_every) else False
                    if improved or received or self._save_due():
                        self.save(run)
                if received and self.steps_done < config.steps:
                    return received
        return 0

    def _step(self, step: int, batch: Any, log: RunLog | None) -> None:
        config, optim = self.config, self.config.optim
        rate = learning_rate(optim, config.steps, step)
        set_learning_rate(self.optimizer, rate)
        try:
            values = train_step(self.losses, self.optimizer, batch, config.seed, step, self.precision, optim.clip_norm)
        except FloatingPointError as error:
            raise self._diverged(step, str(error)) from None
        self.average.update(step)
        self.steps_done = step + 1
        if self._due(config.loop.log_every) or step == 0:
            numbers = averaged(values)
            if log:
                log.training(self.steps_done, {**numbers, "lr": rate})

    def _finish(self) -> None:
        """Call `method.finish` in the main process, which also saves the result."""
        with collectives.alone(), self.average.in_place():
            self.method.finish(self.data.train)

    def _due(self, every: int) -> bool:
        return self.steps_done % every == 0 or self.steps_done == self.config.steps

    def _save_due(self) -> bool:
        loop = self.config.loop
        if loop.checkpoint_every_seconds and time.monotonic() - self.saved_at >= loop.checkpoint_every_seconds:
            return True
        return self._due(loop.checkpoint_every_steps or self.config.steps)

    def _collapse_check_due(self) -> bool:
        """Whether to check for collapse: once early, then, without held-out recordings, at the validation interval."""
        early = self.steps_done == _FIRST_LOOK_STEPS
        return early or (self.data.validation is None and self._due(self.config.loop.validate_every))

    def _check_collapse(self, batch: WindowBatch, log: RunLog) -> None:
        """Warn if the embeddings of a training batch have collapsed."""
        with collectives.alone():
            rank = batch_rank(self.method, batch, self.precision)
        if warning := collapse_warning(rank, self.method.learned_dim):
            log.say(f"warning: step {self.steps_done}: {warning}")

    def _validate(self, log: RunLog) -> bool:
        """Validate in the main process; True if this is the best result so far."""
        reader, config = self.data.validation, self.config
        if reader is None:
            return False
        with collectives.alone(), self.average.in_place():
            batches = validation_batches(reader, config.data, config.seed)
            self.validation = validate(self.method, batches, self.device, self.precision)
            self.validation |= label_scores(self.method, reader, self.precision)
        log.validation(self.steps_done, self.validation)
        if warning := collapse_warning(self.validation["effective_rank"], self.method.learned_dim):
            log.say(f"warning: {warning}")
        if not math.isfinite(self.validation["loss"]):
            log.say(f"warning: {_no_loss(self.validation)}")
        return self._compare()

    def _compare(self) -> bool:
        """Whether the last validation was the best so far, by loss or by a stream's labels; records it if so.

        Either may be undefined: the one does not wait for the other.
        """
        here, loss = checkpoint_name(self.steps_done), self.validation["loss"]
        best = dict(self.best or {})
        better = math.isfinite(loss) and loss < best.get("validation_loss", math.inf)
        if better:
            best |= {"checkpoint": here, "validation_loss": loss}
        streams = self._best_streams(here)
        if not better and all(one["checkpoint"] != here for one in streams.values()):
            return False
        self.best = best | ({"streams": streams} if streams else {})
        return True

    def _best_streams(self, here: str) -> dict[str, Any]:
        """For each label stream, the checkpoint with the best held-out labels and its score."""
        streams = dict((self.best or {}).get("streams", {}))
        for name, score in self.validation.items():
            if name.startswith("ap/") and score > streams.get(name[3:], {"ap": -1.0})["ap"]:
                streams[name[3:]] = {"checkpoint": here, "ap": score}
        return streams

    def _diverged(self, step: int, what: str) -> InputError:
        data, config = self.data, self.config
        names = batch_recordings(data.train, config.data.batch_size, config.seed, step)
        target = listed(names, 5)
        kept = (
            "no checkpoint was saved yet"
            if self.saved_step < 0
            else f"the checkpoint of step {self.saved_step} is kept"
        )
        return InputError(
            f"training stopped in step {step + 1}: {what} (recordings of this batch: {target}); {kept}. "
            "Try a lower `optim.lr`, more `optim.warmup_steps` or `precision=float32`, and look at these recordings"
        )


def _no_loss(validation: Mapping[str, float]) -> str:
    reason = "the held-out recordings are too short, or too little was seen in them,"
    if any(name.startswith("ap/") for name in validation):
        return f"{reason} for a validation loss; the labels alone choose the best checkpoint"
    return f"{reason} to validate on"
