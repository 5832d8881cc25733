"""Pretraining methods by name."""

from ssl_behavior.methods.base import LossTerms, Method, behavior_groups, group_slices, kept_groups
from ssl_behavior.methods.cpc import CPC, CPCConfig
from ssl_behavior.methods.joint import Joint, JointConfig
from ssl_behavior.methods.summary_prediction import SummaryPrediction, SummaryPredictionConfig
from ssl_behavior.methods.task_programming import TaskProgramming, TaskProgrammingConfig
from ssl_behavior.methods.task_programming_conv import (
    CPCPrograms,
    CPCProgramsConfig,
    TaskProgrammingConv,
    TaskProgrammingConvConfig,
)

__all__ = [
    "CPC", "METHODS", "CPCConfig", "Joint", "LossTerms", "Method", "MethodConfig", "behavior_groups", "group_slices",
    "kept_groups", "method_name",
]  # fmt: skip

METHODS: dict[str, type[Method]] = {
    "cpc": CPC,
    "task_programming": TaskProgramming,
    "task_programming_conv": TaskProgrammingConv,
    "cpc_programs": CPCPrograms,
    "summaries": SummaryPrediction,
    "joint": Joint,
}

MethodConfig = (
    CPCConfig
    | TaskProgrammingConfig
    | TaskProgrammingConvConfig
    | CPCProgramsConfig
    | SummaryPredictionConfig
    | JointConfig
)
"""Tagged union: the name in METHODS is the tag, and `Config` of the method there is the class."""


def method_name(config: object) -> str:
    """The name in METHODS of the method that `config` (a `MethodConfig`) configures."""
    return next(name for name, method in METHODS.items() if method.Config is type(config))
