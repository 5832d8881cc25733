"""What is checked of any program, before anything is trained with it."""

from ssl_behavior.programs.table import Program
from ssl_behavior.skeleton import Skeleton

__all__ = ["check_program"]


def check_program(entry: Program, skeleton: Skeleton, fps: float) -> None:
    """Run a program on random scenes of a skeleton."""
