"""A person's own programs: what is in their file becomes part of the configuration, and a copy part of the run."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file
from ssl_behavior.methods.joint import JointConfig
from ssl_behavior.programs import ProgramsConfig, with_programs_of

__all__ = ["COPY_NAME", "keep_own_programs", "programs_of", "with_kept_programs", "with_own_programs"]

COPY_NAME = "programs.py"


def with_own_programs(method: Any, path: Path) -> Any:
    """The method's configuration with the programs of a file added to those it has.

    Raises
    ------
    InputError
        If the method learns from no programs, or the file cannot be read or holds none.
    """
    programs = programs_of(method)
    if programs is None:
        raise InputError("--programs: this recipe learns from no programs; choose another --recipe, e.g. cpc_programs")
    return _with(method, with_programs_of(programs, path))


def programs_of(method: Any) -> ProgramsConfig | None:
    """The programs that a method's configuration learns from; None if it learns from none."""
    if isinstance(method, JointConfig):
        return method.targets.programs if method.summary else None
    found: ProgramsConfig | None = getattr(method, "programs", None)
    return found


def _with(method: Any, programs: ProgramsConfig) -> Any:
    if isinstance(method, JointConfig):
        return replace(method, targets=replace(method.targets, programs=programs))
    return replace(method, programs=programs)


def with_kept_programs(method: Any, run: Path) -> Any:
    """The method's configuration as it is, or with the run's own copy of the programs file if the original is gone."""
    programs = programs_of(method)
    if programs is None or not programs.file or Path(programs.file).is_file() or not (run / COPY_NAME).is_file():
        return method
    return _with(method, replace(programs, file=str((run / COPY_NAME).absolute())))


def keep_own_programs(method: Any, run: Path) -> None:
    """Copy the programs file into the run's folder, where it stays whatever becomes of the original.

    Raises
    ------
    InputError
        If the file is gone, or is not the one the configuration was made with.
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
            f"{programs.file_sha256[:12]}...); name it with --programs to train with what it is now"
        )
    with atomic_file(run / COPY_NAME) as partial:
        partial.write_bytes(content)
