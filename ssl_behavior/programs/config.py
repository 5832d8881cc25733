"""Choice of task programs and of their classes."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Literal

from ssl_behavior.errors import InputError
from ssl_behavior.programs.builtin import PROGRAMS
from ssl_behavior.programs.program import ProgramFacts
from ssl_behavior.programs.user_file import custom_programs

__all__ = ["ProgramsConfig", "with_programs_of"]


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
    others : of three animals or more, a program that needs another animal is computed toward the "nearest" one at every
        frame, or toward "each" one.

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
    # Not in the representation, which a model's fingerprint covers: fingerprints of earlier models stay. Of one or two
    # animals it changes nothing, and of more the fitted numbers, which the fingerprint covers, too.
    others: Literal["nearest", "each"] = field(default="nearest", repr=False)

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
