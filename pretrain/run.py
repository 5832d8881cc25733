"""A pretraining run from stores to a run folder.

Before it begins, label streams are taken from the stores, and an encoder from an earlier run (`init`).
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from pretrain.config import RunConfig, label_settings
from pretrain.data import Data, check_batch_size, chosen_sources, labeled_sources, open_data
from pretrain.distributed import in_main, process_group, wrap
from pretrain.loop import Losses, Trainer
from pretrain.progress import RunLog
from pretrain.runfolder import (
    RunFolder,
    keep_own_programs,
    only_process,
    open_run,
    recorded_config,
    recorded_init,
    with_kept_programs,
)
from ssl_behavior import parallel
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.errors import InputError
from ssl_behavior.labeled import LabeledReader, LabelFacts, label_facts
from ssl_behavior.methods import METHODS, Method, MethodConfig, method_name
from ssl_behavior.methods.conv import ConvConfig
from ssl_behavior.methods.cpc import PredictionConfig
from ssl_behavior.methods.joint import JointConfig
from ssl_behavior.methods.summaries import SummaryTargetsConfig
from ssl_behavior.seeds import derive_seed
from ssl_behavior.terminal import counted, make_console

__all__ = ["ENCODER_MODULES", "complete_config", "facts_of", "init_fingerprint", "settle_init", "take_encoder", "train"]

ENCODER_MODULES = ("featurizer", "embedder", "contexters", "prediction", "targets")
"""What `take_encoder` takes over, as far as both sides have it."""


def settle_init(config: RunConfig, out: Path, begun: RunConfig | None) -> RunConfig:
    """The configuration with the encoder to start from as the run `out` records it, by its whole path.

    Parameters
    ----------
    begun : of a run that goes on, its configuration: it keeps what it has started from, whether it is named or not.
        The same encoder under another path is the same.

    Raises
    ------
    InputError
        If a run that goes on is asked to start from something else.
    """
    if begun is None:
        return replace(config, init=str(Path(config.init).absolute())) if config.init else config
    if config.init and not _is_init_of(config.init, out, begun):
        raise InputError(
            f"{out} cannot be resumed with --init {config.init}: it has started from {begun.init or 'random weights'}; "
            "leave --init out to continue it, or choose another --out for a new run"
        )
    return replace(config, init=begun.init)


def _is_init_of(path: str, out: Path, begun: RunConfig) -> bool:
    if begun.init and Path(path).resolve() == Path(begun.init).resolve():
        return True
    known = recorded_init(out)
    return bool(known) and Path(path).is_dir() and init_fingerprint(path) == known


def init_fingerprint(path: str) -> str:
    """Of the model to start from, "" if there is none."""
    return load_checkpoint(path).fingerprint() if path else ""


def complete_config(config: RunConfig, stores: Sequence[Path], begun: RunConfig | None = None) -> RunConfig:
    """The configuration with what only the data and the encoder to start from can tell written in.

    Parameters
    ----------
    begun : of a run that has a checkpoint, its configuration: it has the encoder that the run started from, which need
        not be there any more.

    Raises
    ------
    InputError
        If labels are to be learned and there are none, they are others than the configuration was made with, options
        for labels are given to a method that learns none, or the run to start from has another kind of encoder.
    """
    if config.init:
        other = begun.method if begun is not None else load_checkpoint(config.init).config
        if not isinstance(other, ConvConfig):
            raise InputError(f"--init {config.init}: it has no convolutional encoder to start from")
        config = replace(config, method=with_kept_programs(_with_encoder_of(config.method, other), Path(config.init)))
    if not isinstance(config.method, JointConfig):
        if config.data.labeled or config.data.streams:
            raise InputError("--labeled, --split and --streams: this recipe learns from no labels; choose joint")
        return config
    if config.data.recordings_per_batch:
        raise InputError("data.recordings_per_batch: windows with labels are drawn by data.sampling; leave it at 0")
    labels = config.method.labels
    sources = labeled_sources(chosen_sources(stores, config.data), config.data)
    facts = label_facts(sources, config.data.streams or [stream.name for stream in labels.streams])
    if labels.streams:
        _check_same_labels(labels, facts)
        return config
    labels = replace(labels, streams=facts.streams, annotators=facts.annotators)
    return replace(config, method=replace(config.method, labels=labels))


def _check_same_labels(configured: LabelFacts, found: LabelFacts) -> None:
    """A configuration names classes by number: another order would teach other behaviours under their names."""
    if configured.streams != found.streams:
        raise InputError(
            f"the configuration learns the labels {_told(configured)}, these recordings have {_told(found)}; start "
            "from a recipe instead of another run's configuration"
        )


def _told(facts: LabelFacts) -> str:
    return "; ".join(f"{stream.name}: {', '.join(stream.classes)}" for stream in facts.streams)


def facts_of(config: RunConfig) -> LabelFacts | None:
    """The labels that the run learns, if it learns any."""
    return label_settings(config.method)


def _with_encoder_of(method: MethodConfig, other: ConvConfig) -> MethodConfig:
    """The configuration with the features, the encoder and what it predicts of another one.

    Learning from labels and tracks at once, an encoder without contexts goes on with summaries, whether it has learned
    them or not.
    """
    if not isinstance(method, ConvConfig):
        raise InputError("--init: only recipes on convolution stacks can start from another run's encoder")
    taken: dict[str, Any] = {"features": other.features, "encoder": other.encoder, "embedding": other.embedding}
    if isinstance(method, PredictionConfig) and isinstance(other, PredictionConfig):
        taken |= {"horizons_frames": other.horizons_frames, "key_dim": other.key_dim}
    targets = targets_of(other)
    if isinstance(method, JointConfig) and targets is not None and (method.summary or method.cpc):
        taken |= {"cpc": 0.0, "summary": method.summary or method.cpc, "targets": targets}
    return replace(method, **taken)


def targets_of(method: ConvConfig | MethodConfig) -> SummaryTargetsConfig | None:
    """The summaries that an encoder predicts, or could predict; None of one that has contexts for the future."""
    if isinstance(method, JointConfig):
        return method.targets if method.encoder.mixer is not None else None
    if not isinstance(method, SummaryTargetsConfig):
        return None
    return SummaryTargetsConfig(**{one.name: getattr(method, one.name) for one in fields(SummaryTargetsConfig)})


def take_encoder(method: Method, path: str) -> tuple[str, ...]:
    """Give `method` the weights of another run's encoder; the names of the modules that were taken over.

    Raises
    ------
    InputError
        If it was made for other keypoints or another frame rate.
    """
    other = load_checkpoint(path)
    if other.skeleton.keypoints != method.skeleton.keypoints or abs(other.fps / method.fps - 1) > 0.01:
        raise InputError(
            f"--init {path}: its encoder was made for {list(other.skeleton.keypoints)} at {other.fps:g} frames per "
            f"second, these recordings have {list(method.skeleton.keypoints)} at {method.fps:g}"
        )
    modules, others = dict(method.named_children()), dict(other.named_children())
    taken = [name for name in ENCODER_MODULES if name in modules and name in others]
    if "targets" in taken and targets_of(method.config) != targets_of(other.config):
        # Other summaries than the encoder has learned: fitted anew.
        taken.remove("targets")
    for name in taken:
        modules[name].load_state_dict(others[name].state_dict())
    return tuple(taken)


def train(
    config: RunConfig, stores: Sequence[Path], out: Path, resume: bool = False, console: Console | None = None
) -> RunFolder:
    """Train a method on the recordings of `stores` into the run folder `out`.

    Under torchrun every process calls this, and the main one alone writes. With `resume`, a run that is there
    continues bit for bit as if it had not been interrupted; where there is none yet, it begins.

    Raises
    ------
    InputError
        If stores, settings or the folder do not allow it, the training diverges, or the disk is full.
    SystemExit
        If SIGINT or SIGTERM stopped the run, after saving; its code is 128 + the signal's number.
    """
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    # Resuming promises equal bits, which the fastest convolutions of a GPU do not give.
    torch.backends.cudnn.deterministic = True
    with process_group(device), ExitStack() as held:
        check_batch_size(config.data)
        run = RunFolder(out)
        begun = recorded_config(out) if resume and run.exists() else None
        config = settle_init(config, out, begun)
        config = complete_config(config, stores, begun if run.newest() is not None else None)
        data = open_data(stores, config.data, config.seed, facts_of(config))

        def take_folder() -> None:
            facts = {"data_fingerprint": data.fingerprint, "computed_in": str(precision).removeprefix("torch.")}
            places = [str(Path(store).absolute()) for store in stores]
            open_run(out, config, facts, resume, places, init_fingerprint(config.init) if begun is None else "")
            held.enter_context(only_process(out))

        in_main(take_folder)
        console = console or make_console()
        say, trainer = _speaker(console), None
        try:
            in_main(lambda: keep_own_programs(config.method, out))
            trainer = _trainer(config, data, run, device, precision, say)
            received = _train(trainer, run, console, say)
        except InputError:
            if trainer is None or not trainer.steps_done:
                in_main(run.remove_unbegun)
            raise
    if received:
        raise SystemExit(128 + received)
    return run


def _speaker(console: Console) -> Callable[[str], None]:
    """Prints a line; only the main process is heard."""

    def say(text: str) -> None:
        if parallel.is_main():
            console.print(text, highlight=False, markup=False, soft_wrap=True)

    return say


def _trainer(
    config: RunConfig,
    data: Data,
    run: RunFolder,
    device: torch.device,
    precision: torch.dtype,
    say: Callable[[str], None],
) -> Trainer:
    """A method with fitted inputs, as at step 0 or as in the newest checkpoint."""
    newest = run.newest()
    method = new_method(config, data)
    _introduce(method, data, describe_device(device, precision), say)
    if newest is None:
        taken = take_encoder(method, config.init) if config.init else ()
        say("fitting scale, mean and spread of the inputs on the training recordings")
        for notice in method.fit_inputs(data.train, but=taken):
            say(notice)
        for _, row in data.validation.sources if data.validation else ():
            method.check_recording(row)
    method.to(device)
    trainer = Trainer(config, data, method, wrap(Losses(method)), device, precision)
    if newest is not None:
        trainer.load(newest)
        say(f"resumed after step {trainer.steps_done:,} of {config.steps:,}")
    return trainer


def new_method(config: RunConfig, data: Data) -> Method:
    """The method with the first weights of the run's seed."""
    torch.manual_seed(derive_seed(config.seed, "init"))
    return METHODS[method_name(config.method)](config.method, data.train.skeleton, data.fps)


def _introduce(method: Method, data: Data, machine: str, say: Callable[[str], None]) -> None:
    parameters = sum(parameter.numel() for parameter in method.parameters())
    processes = f" x {parallel.world_size()} processes" if parallel.world_size() > 1 else ""
    held_out = len(data.validation.sources) if data.validation else 0
    say(f"{method_name(method.config)}, {parameters:,} parameters, on {machine}{processes}")
    say(
        f"{counted(len(data.train.sources), 'recording')}, {counted(data.train.num_frames, 'frame')} at {data.fps:g} "
        f"per second; {counted(held_out, 'recording')} held out for validation"
    )
    if isinstance(data.train, LabeledReader):
        streams = ", ".join(f"{s.name} ({len(s.classes)} classes)" for s in data.train.facts.streams)
        say(f"labels of {counted(len(data.train.labeled), 'recording')} are learned: {streams}")


def _train(trainer: Trainer, run: RunFolder, console: Console, say: Callable[[str], None]) -> int:
    if not parallel.is_main():
        return trainer.train(run, None)
    config = trainer.config
    run.forget_after(trainer.steps_done)
    run.point_to_best(trainer.best)
    frames_per_step = config.data.batch_size * config.data.window_frames
    with RunLog(run.path, console, config.steps, trainer.steps_done, frames_per_step) as log:
        received = trainer.train(run, log)
    if received:
        say(f"stopped after step {trainer.steps_done:,}; saved. Continue with --resume --out {run.path}")
    else:
        loss = (trainer.best or {}).get("validation_loss")
        best = "" if loss is None else f", best validation loss {loss:.4f}"
        say(f"done: {trainer.steps_done:,} steps{best}; the model is in {run.path}")
    return received
