"""Loading of a user's own program file, a Python file that is executed. Its SHA-256 identifies it later."""

import hashlib
import importlib.util
import sys
import traceback
from dataclasses import replace
from importlib.abc import InspectLoader
from pathlib import Path
from types import CodeType, ModuleType

from ssl_behavior.errors import InputError
from ssl_behavior.programs.builtin import PROGRAMS
from ssl_behavior.programs.program import Program, ProgramFacts, collected

__all__ = ["custom_programs", "line_in", "load_programs", "programs_with_hash"]


class _BytesLoader(InspectLoader):
    """Loader that runs exactly the hashed bytes and writes no compiled copy beside the user's file."""

    def __init__(self, content: bytes, path: Path) -> None:
        self.content, self.path = content, path

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self.content)

    def get_filename(self, fullname: str) -> str:
        """Path for tracebacks."""
        return str(self.path)

    def get_code(self, fullname: str) -> CodeType:
        """Compile the bytes; ignore __pycache__."""
        return self.source_to_code(self.get_source(fullname), str(self.path))


def load_programs(path: str | Path) -> tuple[dict[str, Program], str]:
    """Run a Python file; returns its programs by name, and its SHA-256.

    Raises
    ------
    InputError
        If the file cannot be read or is not Python, raises when run, defines no program, or one that exists already.
    """
    path = Path(path).absolute()
    content, digest = _read(path)
    return _programs_in(path, content, digest), digest


def _read(path: Path) -> tuple[bytes, str]:
    """A file's content and its SHA-256."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the file of programs cannot be read ({error.strerror})") from None
    return content, hashlib.sha256(content).hexdigest()


def _programs_in(path: Path, content: bytes, digest: str) -> dict[str, Program]:
    with collected() as made:
        module = _run(content, path, f"ssl_behavior_programs_{digest[:16]}")
    own = [value for value in made if value.function.__module__ == module.__name__]
    programs: dict[str, Program] = {}
    for value in own:
        if value.name in programs:
            raise InputError(
                f"{path}:{value.line}: a program {value.name!r} is in line {programs[value.name].line} already; give "
                "one of the two another name"
            )
        if value.name in PROGRAMS:
            raise InputError(
                f"{path}:{value.line}: a program {value.name!r} is built in already; give yours another name"
            )
        programs[value.name] = value
    if not programs:
        raise InputError(f"{path}: it defines no program; put @program(...) above a function of a pose")
    return programs


def _run(content: bytes, path: Path, name: str) -> ModuleType:
    loader = _BytesLoader(content, path)
    spec = importlib.util.spec_from_loader(name, loader, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    # Dataclasses look their module up by name.
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(f"{path}{_what_went_wrong(path, error)}") from error
    return module


def _what_went_wrong(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}: not Python ({error.msg})"
    if isinstance(error, UnicodeDecodeError):
        return f": not a text file in UTF-8 ({error.reason})"
    line = line_in(path, error)
    # An InputError is shown unchanged.
    kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
    return f"{f':{line}' if line else ''}: {kind}{error}"


def line_in(path: str | Path, error: BaseException) -> int:
    """Last line of a file in an exception's traceback; 0 if none."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 0 for frame in reversed(frames) if frame.filename == str(path)), 0)


def programs_with_hash(path: str, sha256: str) -> dict[str, Program]:
    """Load programs from a file and check that its SHA-256 is the one in the model.

    Raises
    ------
    InputError
        If the file is gone, or is another one now.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: the file of programs that this model was trained with is not there any more")
    file = Path(path).absolute()
    # The hashed bytes run, even if the file changes meanwhile.
    content, now = _read(file)
    if now != sha256:
        raise InputError(
            f"{path}: the file of programs has changed since this model was trained (its SHA-256 was {sha256[:12]}..., "
            f"now it is {now[:12]}...); put the old one back, or train anew"
        )
    return _programs_in(file, content, now)


def custom_programs(path: str | Path) -> tuple[tuple[ProgramFacts, ...], str]:
    """Fields of the configuration for a user's file: facts of its programs, and its SHA-256.

    Every program runs once, to find out whether it needs another animal.

    Raises
    ------
    InputError
        As `load_programs`.
    """
    programs, digest = load_programs(path)
    facts = (replace(value.facts, needs_other=value.needs_other) for value in programs.values())
    return tuple(facts), digest
