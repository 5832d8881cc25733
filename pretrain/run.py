"""Pretraining runs: `train` reads stores, trains a method and writes a run folder."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from pretrain.config import RunConfig
from pretrain.data import Data, check_batch_size, chosen_sources, labeled_sources, open_data
from pretrain.distributed import wrap
from pretrain.loop import Losses, Trainer
from pretrain.run_folder import (
    RunFolder,
    keep_own_programs,
    only_process,
    open_run,
    recorded_config,
    with_kept_programs,
)
from pretrain.run_log import RunLog
from pretrain.warm_start import init_fingerprint, settle_init, take_encoder, with_encoder_of
from ssl_behavior import collectives
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.errors import InputError
from ssl_behavior.labeled_windows import LabeledReader, LabelFacts, label_facts
from ssl_behavior.methods import METHODS, Method, method_name
from ssl_behavior.methods.conv_base import ConvConfig
from ssl_behavior.methods.joint import JointConfig
from ssl_behavior.processes import joined, process_group
from ssl_behavior.seeds import derive_seed
from ssl_behavior.terminal import counted, make_console

__all__ = ["complete_config", "train"]


def complete_config(config: RunConfig, stores: Sequence[Path], begun: RunConfig | None = None) -> RunConfig:
    """The configuration with label streams filled in from the stores, and encoder settings from the run `init`.

    Parameters
    ----------
    begun : recorded configuration of a run that has a checkpoint. It contains the encoder settings, so the run `init`
        may be gone.

    Raises
    ------
    InputError
        If the stores have no labels to learn or other ones than the configuration lists, a method without labels has
        options for labels, or the encoder of `init` is of another kind.
    """
    if config.init:
        other = begun.method if begun is not None else load_checkpoint(config.init).config
        if not isinstance(other, ConvConfig):
            raise InputError(f"`init={config.init}`: it has no convolutional encoder to start from")
        config = replace(config, method=with_kept_programs(with_encoder_of(config.method, other), Path(config.init)))
    if not isinstance(config.method, JointConfig):
        if config.data.labeled or config.data.streams:
            raise InputError(
                "`data.labeled` (which a split sets, too) and `data.streams`: this recipe learns from no labels; "
                "choose joint"
            )
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
    """Refuse other classes or another order: the heads know classes by number."""
    if configured.streams != found.streams:
        raise InputError(
            f"the configuration learns the labels {_listed(configured)}, these recordings have {_listed(found)}; "
            "start from a recipe instead of another run's configuration"
        )


def _listed(facts: LabelFacts) -> str:
    return "; ".join(f"{stream.name}: {', '.join(stream.classes)}" for stream in facts.streams)


def train(
    config: RunConfig,
    stores: Sequence[Path],
    out: Path,
    resume: bool = False,
    console: Console | None = None,
    wording: Callable[[str], str] = str,
    name_folder: bool = True,
) -> RunFolder:
    """Train a method on the recordings of `stores` into the run folder `out`.

    Under torchrun every process calls this function, and only the main process writes. With `resume`, an existing run
    continues bit for bit as if it had never stopped; if there is no run yet, it starts one.

    Parameters
    ----------
    wording : translation of printed lines, which name arguments in backticks.
    name_folder : print where the run is; False where it is temporary.

    Raises
    ------
    InputError
        If stores, configuration or folder do not fit, the training diverges, or the disk is full.
    SystemExit
        If SIGINT or SIGTERM stopped the run, after a checkpoint; the code is 128 + the number of the signal.
    """
    # A resumed run must have equal bits; the fastest convolutions of a GPU are not deterministic.
    torch.backends.cudnn.deterministic = True
    with joined() as processes, ExitStack() as held:
        device = choose_device(config.device)
        precision = choose_precision(config.precision, device)
        held.enter_context(process_group(device))
        check_batch_size(config.data)
        run = RunFolder(out)
        begun = recorded_config(out) if resume and run.exists() else None
        config = settle_init(config, out, begun)
        config = complete_config(config, stores, begun if run.newest() is not None else None)
        data = open_data(stores, config.data, config.seed, config.labels)

        def take_folder() -> None:
            facts = {"data_fingerprint": data.fingerprint, "computed_in": str(precision).removeprefix("torch.")}
            places = [str(Path(store).absolute()) for store in stores]
            open_run(out, config, facts, resume, places, init_fingerprint(config.init) if begun is None else "")
            held.enter_context(only_process(out))

        processes.from_main(take_folder)
        console = console or make_console()
        say, trainer = _speaker(console, wording), None
        try:
            processes.from_main(lambda: keep_own_programs(config.method, out))
            trainer = _trainer(config, data, run, device, precision, say)
            received = _train(trainer, run, console, say, name_folder)
        except InputError:
            if processes.is_main and (trainer is None or not trainer.steps_done):
                run.remove_unbegun()
            raise
    if received:
        raise SystemExit(128 + received)
    return run


def _speaker(console: Console, wording: Callable[[str], str]) -> Callable[[str], None]:
    """A function that prints a line in the main process, in the given wording."""

    def say(text: str) -> None:
        if collectives.is_main():
            console.print(wording(text), highlight=False, markup=False, soft_wrap=True)

    return say


def _trainer(
    config: RunConfig,
    data: Data,
    run: RunFolder,
    device: torch.device,
    precision: torch.dtype,
    say: Callable[[str], None],
) -> Trainer:
    """Trainer with fitted inputs, at step 0 or at the newest checkpoint."""
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
    """The method with initial weights from the seed of the run."""
    torch.manual_seed(derive_seed(config.seed, "init"))
    return METHODS[method_name(config.method)](config.method, data.train.skeleton, data.fps)


def _introduce(method: Method, data: Data, machine: str, say: Callable[[str], None]) -> None:
    parameters = sum(parameter.numel() for parameter in method.parameters())
    processes = f" x {collectives.world_size()} processes" if collectives.world_size() > 1 else ""
    held_out = len(data.validation.sources) if data.validation else 0
    say(f"{method_name(method.config)}, {parameters:,} parameters, on {machine}{processes}")
    say(
        f"{counted(len(data.train.sources), 'recording')}, {counted(data.train.num_frames, 'frame')} at {data.fps:g} "
        f"per second; {counted(held_out, 'recording')} held out for validation"
    )
    if isinstance(data.train, LabeledReader):
        streams = ", ".join(f"{s.name} ({len(s.classes)} classes)" for s in data.train.facts.streams)
        say(f"labels of {counted(len(data.train.labeled), 'recording')} are learned: {streams}")


def _train(trainer: Trainer, run: RunFolder, console: Console, say: Callable[[str], None], name_folder: bool) -> int:
    if not collectives.is_main():
        return trainer.train(run, None)
    config = trainer.config
    run.forget_after(trainer.steps_done)
    run.point_to_best(trainer.best)
    frames_per_step = config.data.batch_size * config.data.window_frames
    with RunLog(run.path, console, config.steps, trainer.steps_done, frames_per_step) as log:
        received = trainer.train(run, log)
    if received:
        kept = f"saved. Continue with `resume` and `out={run.path}`"
        lost = "not saved: pass `out` to keep what is learned"
        say(f"stopped after step {trainer.steps_done:,}; {kept if name_folder else lost}")
    else:
        loss = (trainer.best or {}).get("validation_loss")
        best = "" if loss is None else f", best validation loss {loss:.4f}"
        where = f"; the model is in {run.path}" if name_folder else ""
        say(f"done: {trainer.steps_done:,} steps{best}{where}")
    return received
