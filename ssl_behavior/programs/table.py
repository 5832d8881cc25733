"""What a program is: a function of a pose, with its name, units, invariances and a line of words."""

from collections.abc import Callable
from dataclasses import dataclass

from ssl_behavior.errors import InputError
from ssl_behavior.programs.pose import Pose
from ssl_behavior.programs.vectors import Scalars

__all__ = ["TRANSFORMATIONS", "Program", "ProgramFacts", "program"]

TRANSFORMATIONS = ("translation", "rotation", "reflection", "scale", "swap")
"""What can be done to a scene. The arena stays where it is, but for `scale`, which is that of the whole picture;
`reflection` exchanges left and right keypoints, `swap` the animals."""


@dataclass(frozen=True, kw_only=True)
class ProgramFacts:
    """Everything about a program but its code.

    Parameters
    ----------
    name : of the program.
    units : "length", "length/s", "rad" ...; "length" stands for px or cm, as the recordings decide.
    invariant : the `TRANSFORMATIONS` that change no value.
    each_animal : it says something of one animal, and is computed for both; otherwise of the pair.
    description : one line in words.
    """

    name: str
    units: str
    invariant: tuple[str, ...]
    each_animal: bool
    description: str

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.invariant) - set(TRANSFORMATIONS)):
            raise InputError(
                f"program {self.name!r}: unknown transformation {unknown[0]!r}; known: {list(TRANSFORMATIONS)}"
            )
        if not self.units or not self.description:
            missing = "units" if not self.units else "a docstring that says in one line what it measures"
            raise InputError(f"program {self.name!r}: it needs {missing}")


@dataclass(frozen=True, eq=False)
class Program:
    """A function of a pose, and what is known about it."""

    facts: ProgramFacts
    function: Callable[[Pose], Scalars]

    def __call__(self, pose: Pose) -> Scalars:
        """The value at every frame, NaN where it is not known."""
        return self.function(pose)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.facts.name


def program(*, units: str, invariant: str, each_animal: bool) -> Callable[[Callable[[Pose], Scalars]], Program]:
    """Makes a function of a pose a program.

    Parameters
    ----------
    units : of its values; "length" stands for px or cm.
    invariant : the `TRANSFORMATIONS` that change no value, with spaces between.
    each_animal : True if it says something of `pose.own` and is computed for both animals; False if of the pair.

    Raises
    ------
    InputError
        If a transformation is unknown, or the function has no docstring.
    """

    def made(function: Callable[[Pose], Scalars]) -> Program:
        lines = (function.__doc__ or "").strip().splitlines() or [""]
        facts = ProgramFacts(
            name=function.__name__,
            units=units,
            invariant=tuple(invariant.split()),
            each_animal=each_animal,
            description=lines[0],
        )
        return Program(facts, function)

    return made
