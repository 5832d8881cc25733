"""A pretraining run from stores to a run folder."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from rich.console import Console

from pretrain.config import RunConfig
from pretrain.data import Data, check_batch_size, open_data
from pretrain.distributed import in_main, process_group, wrap
from pretrain.loop import Trainer
from pretrain.own_programs import keep_own_programs
from pretrain.progress import RunLog
from pretrain.runfolder import RunFolder, only_process, open_run, recorded_config
from pretrain.start import complete_config, facts_of, init_fingerprint, settle_init, take_encoder
from pretrain.step import Losses
from ssl_behavior import parallel
from ssl_behavior.checkpoint import method_name
from ssl_behavior.device import choose_device, choose_precision, describe_device
from ssl_behavior.errors import InputError
from ssl_behavior.labeled import LabeledReader
from ssl_behavior.methods import METHODS
from ssl_behavior.methods.base import Method
from ssl_behavior.seeds import derive_seed
from ssl_behavior.terminal import counted, make_console

__all__ = ["train"]


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
