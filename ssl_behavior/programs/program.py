"""`Program` and the decorator `program`: a function of a pose with its units, invariances and description."""

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from types import FunctionType
from typing import TypeVar

import torch

from ssl_behavior.errors import InputError
from ssl_behavior.programs.pose import Pose
from ssl_behavior.programs.vectors import Scalars
from ssl_behavior.skeleton import ROLES, Skeleton

__all__ = ["TRANSFORMATIONS", "Program", "ProgramFacts", "collected", "program"]

TRANSFORMATIONS = ("translation", "rotation", "reflection", "scale", "swap")
"""What can be done to a scene. The arena stays where it is, but for `scale`, which is that of the whole picture;
`reflection` exchanges left and right keypoints, `swap` the own and the other animal."""

_LENGTH = r"\blength\b"
_Kind = TypeVar("_Kind")
_HOW = "write @program(units=..., invariant=..., each_animal=...) above a function of a pose"
# Of a file that is being run: a name that is given twice leaves no other trace.
_COLLECTED: ContextVar[list["Program"] | None] = ContextVar("programs being collected", default=None)


@dataclass(frozen=True, kw_only=True)
class ProgramFacts:
    """Facts of a program: all but its code.

    Parameters
    ----------
    name : of the program.
    units : "length", "length/s", "rad" ...; "length" stands for px or cm, as the recordings decide.
    invariant : the `TRANSFORMATIONS` that change no value.
    each_animal : it says something of one animal, and is computed for every one; otherwise of the pair.
    description : one line in words.
    needs_other : it needs another animal, see `Program.needs_other`; True where this was never found out.
    """

    name: str
    units: str
    invariant: tuple[str, ...]
    each_animal: bool
    description: str
    # Found out from the function, which file_sha256 identifies: no part of a model's fingerprint.
    needs_other: bool = field(default=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.invariant) - set(TRANSFORMATIONS)):
            raise InputError(
                f"program {self.name!r}: unknown transformation {unknown[0]!r}; known: {list(TRANSFORMATIONS)}"
            )
        if not self.units or not self.description:
            missing = "units" if not self.units else "a docstring that says in one line what it measures"
            raise InputError(f"program {self.name!r}: it needs {missing}")

    @property
    def of_length(self) -> bool:
        """Whether the units contain "length"."""
        return bool(re.search(_LENGTH, self.units))

    def units_in(self, unit: str) -> str:
        """Units with px or cm in place of "length".

        >>> speed = ProgramFacts(name="v", units="length/s", invariant=(), each_animal=True, description="Fast.")
        >>> speed.units_in("cm")
        'cm/s'
        """
        return re.sub(_LENGTH, unit, self.units)


@dataclass(frozen=True, eq=False)
class Program:
    """A function of a pose, and its facts."""

    facts: ProgramFacts
    function: Callable[[Pose], Scalars]

    def __call__(self, pose: Pose) -> Scalars:
        """Value at every frame, NaN where unknown."""
        return self.function(pose)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.facts.name

    @cached_property
    def needs_other(self) -> bool:
        """Whether the program needs another animal, found out by running it on an animal alone that has every role.

        True where it fails for another reason, such as a keypoint that it takes by number.
        """
        skeleton = Skeleton(name="every role", keypoints=ROLES, roles=dict(zip(ROLES, ROLES, strict=True)))
        pose = Pose.of(torch.zeros(3, 1, len(ROLES), 2), skeleton, 30.0, torch.tensor([0.0, 0.0, 1.0, 1.0]), 1.0)
        try:
            self.function(pose)
        except Exception:  # noqa: BLE001 - its own fault, which `check_program` names on the skeleton that is used
            return True
        return False

    @property
    def file(self) -> str:
        """File of the function."""
        return inspect.unwrap(self.function).__code__.co_filename

    @property
    def line(self) -> int:
        """Line of the function in its file."""
        return inspect.unwrap(self.function).__code__.co_firstlineno


def program(
    *misplaced: object, units: object = None, invariant: object = None, each_animal: object = None
) -> Callable[[Callable[[Pose], Scalars]], Program]:
    """Decorator that makes a function of a pose a `Program`.

    Parameters
    ----------
    units : str, of its values; "length" stands for px or cm.
    invariant : str, the `TRANSFORMATIONS` that change no value, with spaces between.
    each_animal : True if it says something of `pose.own` and is computed for every animal; False if of the pair.

    Raises
    ------
    InputError
        If an argument is missing or of another type, a transformation is unknown, the function takes something else
        than a pose, or has no docstring.
    """
    # Any arguments are accepted here, so that an error can name the program.
    if misplaced:
        above = getattr(misplaced[0], "__name__", repr(misplaced[0]))
        raise InputError(f"program {above!r}: @program needs its arguments by name; {_HOW}")

    def made(function: Callable[[Pose], Scalars]) -> Program:
        _check_function(function)
        name = function.__name__
        lines = (function.__doc__ or "").strip().splitlines() or [""]
        names = _typed(name, "invariant", invariant, str, 'a string of transformations, e.g. "translation rotation"')
        facts = ProgramFacts(
            name=name,
            units=_typed(name, "units", units, str, 'a string, e.g. "length/s"'),
            invariant=tuple(names.split()),
            each_animal=_typed(name, "each_animal", each_animal, bool, "True or False"),
            description=lines[0],
        )
        entry = Program(facts, function)
        collection = _COLLECTED.get()
        if collection is not None:
            collection.append(entry)
        return entry

    return made


@contextmanager
def collected() -> Iterator[list[Program]]:
    """Context that collects every program created within it, in order."""
    programs: list[Program] = []
    token = _COLLECTED.set(programs)
    try:
        yield programs
    finally:
        _COLLECTED.reset(token)


def _check_function(function: object) -> None:
    if not isinstance(function, FunctionType):
        raise InputError(f"@program(...) is above {function!r}, which is no function; {_HOW}")
    signature = inspect.signature(function)
    try:
        signature.bind(None)
    except TypeError:
        raise InputError(
            f"program {function.__name__!r}: it must take one argument, the pose, not {signature}"
        ) from None


def _typed(name: str, argument: str, value: object, kind: type[_Kind], wanted: str) -> _Kind:
    if not isinstance(value, kind):
        got = "nothing" if value is None else repr(value)
        raise InputError(f"program {name!r}: {argument} must be {wanted}, got {got}")
    return value
