"""Choice of task programs and of their classes, and loading of a user's own program file.

The user's programs are a Python file, which is executed. Its SHA-256 identifies it later.
"""

import difflib
import hashlib
import importlib.util
import math
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from importlib.abc import InspectLoader
from itertools import pairwise
from pathlib import Path
from types import CodeType, ModuleType
from typing import Literal

from ssl_behavior.errors import InputError
from ssl_behavior.programs.builtin import PROGRAMS
from ssl_behavior.programs.program import Program, ProgramFacts, collected

__all__ = ["ProgramsConfig", "custom_programs", "line_in", "load_programs", "programs_with_hash", "with_programs_of"]


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

    Raises
    ------
    InputError
        As `load_programs`.
    """
    programs, digest = load_programs(path)
    return tuple(value.facts for value in programs.values()), digest


@dataclass(frozen=True, kw_only=True)
class ProgramsConfig:
    """Choice of programs, and classes of their values.

    Parameters
    ----------
    names : names or globs of programs, built-in or custom; they are expanded, so that a saved configuration names
        the same programs for ever.
    file : the user's own programs, "" for none.
    file_sha256 : of that file.
    custom : facts of its programs, see `custom_programs`.
    units : "auto" is cm where every training recording's scale is known, px otherwise.
    num_classes : by quantiles of the training recordings, for programs without given thresholds.
    thresholds : program -> rising thresholds in its units; for those of lengths, `units` has to be px or cm.

    Raises
    ------
    InputError
        If a name matches nothing, thresholds do not rise or are of a length whose unit is left open, or the facts
        about a file are not complete.
    """

    names: tuple[str, ...] = ("*",)
    file: str = field(default="", repr=False)
    file_sha256: str = ""
    custom: tuple[ProgramFacts, ...] = ()
    units: Literal["auto", "px", "cm"] = "auto"
    num_classes: int = 3
    thresholds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.file) != bool(self.file_sha256) or bool(self.file) != bool(self.custom):
            raise InputError(
                "programs: file, file_sha256 and custom go together (see ssl_behavior.programs.custom_programs), "
                f"got file {self.file!r} with {len(self.custom)} programs"
            )
        if twice := [facts.name for facts in self.custom if facts.name in PROGRAMS]:
            raise InputError(f"programs: {self.file} defines {twice[0]!r}, which is built in")
        if self.num_classes < 2:
            raise InputError(f"programs: num_classes must be at least 2, got {self.num_classes}")
        for name, values in self.thresholds.items():
            self._check_thresholds(name, values)
        object.__setattr__(self, "names", self._expanded())

    @property
    def known(self) -> dict[str, ProgramFacts]:
        """Facts of all built-in and user programs, by name."""
        return {name: entry.facts for name, entry in PROGRAMS.items()} | {facts.name: facts for facts in self.custom}

    @property
    def facts(self) -> tuple[ProgramFacts, ...]:
        """Facts of the chosen programs, in order."""
        return tuple(self.known[name] for name in self.names)

    def _expanded(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for pattern in self.names:
            matches = [name for name in self.known if fnmatchcase(name, pattern)]
            if not matches:
                raise InputError(f"programs: no program matches {pattern!r}{self._nearest(pattern)}")
            found |= dict.fromkeys(matches)
        if not found:
            raise InputError(f"programs: none is chosen; known: {sorted(self.known)}")
        return tuple(found)

    def _nearest(self, name: str) -> str:
        near = difflib.get_close_matches(name.strip("*"), self.known, n=1, cutoff=0.4)
        return f"; did you mean {near[0]!r}?" if near else f"; known: {sorted(self.known)}"

    def _check_thresholds(self, name: str, values: tuple[float, ...]) -> None:
        if name not in self.known:
            raise InputError(f"programs: thresholds are given for {name!r}, which is no program{self._nearest(name)}")
        rising = all(low < high for low, high in pairwise(values))
        if not values or not rising or not all(math.isfinite(value) for value in values):
            raise InputError(
                f"programs: the thresholds of {name!r} must be finite numbers that rise, got {list(values)}"
            )
        if self.units == "auto" and self.known[name].of_length:
            facts = self.known[name]
            raise InputError(
                f"programs: the thresholds {list(values)} of {name!r} are {facts.units_in('px')} or "
                f"{facts.units_in('cm')}, as the recordings decide while units is auto; set units to px or cm"
            )


def with_programs_of(config: ProgramsConfig, path: str | Path) -> ProgramsConfig:
    """Configuration with all programs of a user's file added; they replace those of an earlier file.

    Raises
    ------
    InputError
        If the file cannot be read, is not acceptable, or thresholds are given for a program it no longer has.
    """
    custom, digest = custom_programs(path)
    before = {facts.name for facts in config.custom}
    kept = [name for name in config.names if name not in before]
    names = (*kept, *(facts.name for facts in custom))
    return replace(config, file=str(Path(path).absolute()), file_sha256=digest, custom=custom, names=names)
