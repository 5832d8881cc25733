"""Task programs: expert measurements of an animal, or of one toward another, as functions of their pose.

Sun et al. 2021 (Task Programming, CVPR). A program is pure and vectorized: a `Pose` -> one value per frame, NaN where a
point it needs is missing. `PROGRAMS` are the built-in ones; a `ProgramSet` makes attributes of them. Your own are
functions in a Python file, `mine.py`:

    from ssl_behavior.programs import Pose, cross, program


    @program(units="length/s", invariant="translation rotation reflection", each_animal=True)
    def sidling(pose: Pose):
        '''How fast the animal moves sideways.'''
        return cross(pose.own.heading, pose.own.velocity).abs()

`pose.own` and `pose.other` have `part("nose", "head")` (the first role the skeleton has), `center`, `heading`, `axis`,
`velocity`, `speed`, `displacement(before, after)` and `points`; `pose` has `offset` (to the other), `gap`, `fps`,
`arena` and `body_length`. They are tensors `[*batch time space]` or `[*batch time]`, in px or cm as in `pose.unit`;
"length" in `units` stands for either. A program with `each_animal=True` describes `pose.own` and is computed for every
animal. One that asks for `pose.other`, or for what depends on it, needs another animal: of a single one it is left out,
and in groups of three and more `ProgramsConfig.others` says toward which other one it is computed. `check_program`
tests a program on random scenes before any training with it.
"""

from ssl_behavior.programs.builtin import PAPER_THRESHOLDS, PROGRAMS, TASK_PROGRAMMING_2021
from ssl_behavior.programs.config import ProgramsConfig, with_programs_of
from ssl_behavior.programs.contract_checks import check_program
from ssl_behavior.programs.pose import Animal, MissingOther, MissingRole, Pose
from ssl_behavior.programs.program import TRANSFORMATIONS, Program, ProgramFacts, program
from ssl_behavior.programs.program_set import Attributes, ProgramSet
from ssl_behavior.programs.user_file import custom_programs, load_programs
from ssl_behavior.programs.vectors import angle_between, cross, dot, length, turn, unit

__all__ = [
    "PAPER_THRESHOLDS",
    "PROGRAMS",
    "TASK_PROGRAMMING_2021",
    "TRANSFORMATIONS",
    "Animal",
    "Attributes",
    "MissingOther",
    "MissingRole",
    "Pose",
    "Program",
    "ProgramFacts",
    "ProgramSet",
    "ProgramsConfig",
    "angle_between",
    "check_program",
    "cross",
    "custom_programs",
    "dot",
    "length",
    "load_programs",
    "program",
    "turn",
    "unit",
    "with_programs_of",
]
