"""The folder of a run: `config.json`, `metrics.jsonl`, TensorBoard events and `checkpoints/`.

A killed process never leaves a damaged run: checkpoints are written under another name and then renamed, `best.json`
is replaced in one move, and a resumed run removes metrics after the newest checkpoint. The configuration lists the
user's own programs, and the folder keeps a copy of their file.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pretrain.config import RunConfig, run_config_from, run_config_to_dict
from ssl_behavior.checkpoint import list_checkpoints, package_versions, save_checkpoint
from ssl_behavior.configs import differing_keys
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, check_free, make_folder, read_contents, write_json, write_text
from ssl_behavior.methods import Method, MethodConfig
from ssl_behavior.methods.joint import JointConfig
from ssl_behavior.methods.summary_prediction import SummaryPredictionConfig
from ssl_behavior.methods.task_programming import TaskProgrammingConfig
from ssl_behavior.methods.task_programming_conv import CPCProgramsConfig, TaskProgrammingConvConfig
from ssl_behavior.programs import ProgramsConfig, with_programs_of

__all__ = [
    "COPY_NAME",
    "RunFolder",
    "checkpoint_name",
    "git_commit",
    "keep_own_programs",
    "only_process",
    "open_run",
    "programs_of",
    "recorded_config",
    "recorded_init",
    "recorded_stores",
    "with_kept_programs",
    "with_own_programs",
]

COPY_NAME = "programs.py"
_LEARN_PROGRAMS = (SummaryPredictionConfig, TaskProgrammingConfig, TaskProgrammingConvConfig, CPCProgramsConfig)


def with_own_programs(method: MethodConfig, path: Path) -> MethodConfig:
    """The configuration of a method with the programs of a file added.

    Raises
    ------
    InputError
        If the method learns from no programs, the file cannot be read, or it has no programs.
    """
    programs = programs_of(method)
    if programs is None:
        raise InputError("`programs`: this recipe learns from no programs; choose another `recipe`, e.g. cpc_programs")
    return _with(method, with_programs_of(programs, path))


def programs_of(method: MethodConfig) -> ProgramsConfig | None:
    """The programs that a method learns from; None for methods without programs."""
    if isinstance(method, JointConfig):
        return method.targets.programs if method.summary else None
    return method.programs if isinstance(method, _LEARN_PROGRAMS) else None


def _with(method: MethodConfig, programs: ProgramsConfig) -> MethodConfig:
    if isinstance(method, JointConfig):
        return replace(method, targets=replace(method.targets, programs=programs))
    assert isinstance(method, _LEARN_PROGRAMS)
    return replace(method, programs=programs)


def with_kept_programs(method: MethodConfig, run: Path) -> MethodConfig:
    """The configuration of a method; if the programs file is gone, with the copy that the run keeps."""
    programs = programs_of(method)
    if programs is None or not programs.file or Path(programs.file).is_file() or not (run / COPY_NAME).is_file():
        return method
    return _with(method, replace(programs, file=str((run / COPY_NAME).absolute())))


def keep_own_programs(method: MethodConfig, run: Path) -> None:
    """Copy the programs file into the folder of the run, which no longer needs the original then.

    Raises
    ------
    InputError
        If the file is gone, or has changed since the configuration was made.
    """
    programs = programs_of(method)
    if programs is None or not programs.file or (run / COPY_NAME).exists():
        return
    try:
        content = Path(programs.file).read_bytes()
    except OSError as error:
        raise InputError(f"{programs.file}: the file of programs cannot be read ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != programs.file_sha256:
        raise InputError(
            f"{programs.file} is not the file of programs that this configuration was made with (its SHA-256 was "
            f"{programs.file_sha256[:12]}...); pass it as `programs` to train with its present content"
        )
    with atomic_file(run / COPY_NAME) as partial:
        partial.write_bytes(content)


try:
    import fcntl
except ModuleNotFoundError:  # Windows has no such locks: two processes can then train one run
    fcntl = None  # type: ignore[assignment]


FORMAT_VERSION = 1
_FORMAT = "ssl-behavior run"
_KEPT = 2
_FREE_ON_RESUME = (
    "device", "precision", "loop.*", "method.programs.file", "method.targets.programs.file", "method.programs.custom",
    "method.targets.programs.custom",
)  # fmt: skip
"""Keys (or globs) that may change in a resumed run: they change no number, or their effect is compared instead."""


def checkpoint_name(steps_done: int) -> str:
    """Name of the checkpoint after `steps_done` steps; names sort like numbers."""
    return f"step-{steps_done:09d}"


class RunFolder:
    """Path of a run, and its checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def exists(self) -> bool:
        """Whether the folder has a run."""
        return (self.path / "config.json").exists()

    def remove_unbegun(self) -> None:
        """Remove a run without checkpoints: a refused run leaves nothing behind."""
        if self.newest() is not None:
            return
        for name in ("config.json", "metrics.jsonl", COPY_NAME, ".lock"):
            (self.path / name).unlink(missing_ok=True)
        if (self.path / "tensorboard").is_dir():
            _remove(self.path / "tensorboard")
        for folder in (self.checkpoints, self.path):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def newest(self) -> Path | None:
        """The newest complete checkpoint."""
        return next(reversed(list_checkpoints(self.path)), None)

    def save(self, method: Method, steps_done: int, extra: Mapping[str, Any], training: Mapping[str, Any]) -> None:
        """Write a checkpoint, then remove all but the last two and the best.

        `extra["best"]` is {"checkpoint": name, "validation_loss": number} of the best so far, or None. In runs that
        learn labels, its key "streams" names the best checkpoint of each label stream; this is the only key if no
        validation loss was finite.

        Raises
        ------
        InputError
            If the disk is full or not writable; earlier checkpoints stay.
        """
        save_checkpoint(self.checkpoints / checkpoint_name(steps_done), method, extra, training)
        self.point_to_best(extra["best"])
        best = extra["best"] or {}
        kept = {best.get("checkpoint"), *(one["checkpoint"] for one in best.get("streams", {}).values())}
        for old in list_checkpoints(self.path)[:-_KEPT]:
            if old.name not in kept:
                _remove(old)

    def point_to_best(self, best: Mapping[str, Any] | None) -> None:
        """Replace `best.json` in one move."""
        if best is not None:
            write_json(self.checkpoints / "best.json", dict(best))

    def forget_after(self, step: int) -> None:
        """Remove leftovers of a killed process: partial files, and metrics of steps after `step`."""
        for leftover in [*self.path.glob(".*.partial-*"), *self.checkpoints.glob(".*")]:
            _remove(leftover)
        if not self.metrics.exists():
            return
        lines = [line for line in self.metrics.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
        with atomic_file(self.metrics) as partial:
            write_text(partial, "".join(f"{line}\n" for line in lines))


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink()
        return
    # A half-removed folder must not look like a checkpoint, so it is renamed first.
    doomed = path.with_name(f".{path.name.lstrip('.')}.doomed")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed)


def _step_of(line: str) -> float:
    """The step of a line of metrics; infinity for the partial line of a killed process."""
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")


def open_run(
    path: Path, config: RunConfig, facts: Mapping[str, Any], resume: bool, stores: list[str], init: str = ""
) -> RunFolder:
    """Make the folder of a run, or check that the existing run fits this configuration and these data.

    Parameters
    ----------
    facts : further values that must be equal for a resumed run to be the same computation.
    init : fingerprint of the model with the encoder that a new run starts from.

    Raises
    ------
    InputError
        If there is a run and `resume` is False, or its settings differ (the message lists them).
    """
    path = Path(path)
    record = path / "config.json"
    if record.exists():
        if not resume:
            raise InputError(
                f"{path} holds a run already: pass `resume` to continue it, or choose another `out` for a new run"
            )
        _check_same(path, _read_record(path), config, facts)
        return RunFolder(path)
    if path.exists() and (not path.is_dir() or any(not child.name.startswith(".") for child in path.iterdir())):
        raise InputError(f"{path} exists and is not a run: choose another `out`")
    check_free(path, overwrite=True)
    contents = {
        "format": _FORMAT,
        "version": FORMAT_VERSION,
        "config": run_config_to_dict(config),
        **facts,
        **({"init_fingerprint": init} if init else {}),
        "stores": stores,
        "seed": config.seed,
        "versions": package_versions(),
        "git_commit": git_commit(),
    }
    write_json(record, contents)
    return RunFolder(path)


def _check_same(path: Path, record: Mapping[str, Any], config: RunConfig, facts: Mapping[str, Any]) -> None:
    new = json.loads(json.dumps({**run_config_to_dict(config), **facts}))
    # Keys that are newer than the record had their defaults.
    begun = run_config_to_dict(run_config_from(record["config"], where=f"{path}/config.json"))
    old = json.loads(json.dumps({**begun, **{name: record.get(name) for name in facts}}))
    changed = {key: pair for key, pair in differing_keys(old, new).items() if not _free_on_resume(key)}
    if changed:
        named = "; ".join(f"{key} was {old!r}, is now {new!r}" for key, (old, new) in changed.items())
        raise InputError(
            f"{path} cannot be resumed with other settings: {named}. Leave them out to keep the run's own, "
            "or choose another `out` for a new run"
        )


def _free_on_resume(key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in _FREE_ON_RESUME)


def _read_record(path: Path) -> dict[str, Any]:
    record = read_contents(Path(path), "config.json", "run", FORMAT_VERSION)
    if not isinstance(record.get("config"), dict):
        raise InputError(f"{path} is not a run: its config.json has no configuration")
    return record


def recorded_config(path: Path) -> RunConfig:
    """The configuration at the start of a run.

    Raises
    ------
    InputError
        If `path` is not a run, or its format is newer.
    """
    return run_config_from(_read_record(path)["config"], where=f"{path}/config.json")


def recorded_stores(path: Path) -> list[Path]:
    """The stores at the start of a run."""
    return [Path(store) for store in _read_record(path).get("stores", [])]


def recorded_init(path: Path) -> str:
    """Fingerprint of the model with the encoder that a run started from; "" if unknown or none."""
    return str(_read_record(path).get("init_fingerprint") or "")


@contextmanager
def only_process(path: Path) -> Iterator[None]:
    """Lock the folder of a run: two processes that train one run would mix their checkpoints.

    Raises
    ------
    InputError
        If another process has the lock.
    """
    if fcntl is None:
        yield
        return
    make_folder(path)
    with (path / ".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{path}: another process is training this run; wait for it, or choose another `out`"
            ) from None
        yield


def git_commit() -> str:
    """The commit of this program, with "-dirty" after local changes; "" outside a repository."""
    here = Path(__file__)
    commands = (
        ["git", "ls-files", "--error-unmatch", here.name],
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
    )
    answer = ""
    for command in commands:
        try:
            done = subprocess.run(command, cwd=here.parent, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return ""
        answer = done.stdout.strip()
    return answer
