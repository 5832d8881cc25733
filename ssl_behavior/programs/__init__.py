"""Task programs: what an expert would measure of two animals, as functions of their pose."""

from ssl_behavior.programs.attributes import Attributes, ProgramSet
from ssl_behavior.programs.builtin import PROGRAMS, TASK_PROGRAMMING_2021
from ssl_behavior.programs.config import ProgramsConfig
from ssl_behavior.programs.contract import check_program
from ssl_behavior.programs.paper import PAPER_THRESHOLDS
from ssl_behavior.programs.pose import Animal, MissingRole, Pose
from ssl_behavior.programs.table import TRANSFORMATIONS, Program, ProgramFacts, program
from ssl_behavior.programs.user import custom_programs, load_programs
from ssl_behavior.programs.vectors import angle_between, cross, dot, length, turn, unit

__all__ = [
    "PAPER_THRESHOLDS",
    "PROGRAMS",
    "TASK_PROGRAMMING_2021",
    "TRANSFORMATIONS",
    "Animal",
    "Attributes",
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
]
