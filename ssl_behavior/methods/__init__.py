"""Pretraining methods by name."""

from ssl_behavior.methods.base import LossTerms, Method, group_slices
from ssl_behavior.methods.cpc import CPC, CPCConfig
from ssl_behavior.methods.joint import Joint
from ssl_behavior.methods.summaries import SummaryPrediction
from ssl_behavior.methods.task_programming import TaskProgramming
from ssl_behavior.methods.task_programming_conv import CPCPrograms, TaskProgrammingConv

__all__ = ["CPC", "METHODS", "CPCConfig", "Joint", "LossTerms", "Method", "group_slices"]

METHODS: dict[str, type[Method]] = {
    "cpc": CPC,
    "task_programming": TaskProgramming,
    "task_programming_conv": TaskProgrammingConv,
    "cpc_programs": CPCPrograms,
    "summaries": SummaryPrediction,
    "joint": Joint,
}
