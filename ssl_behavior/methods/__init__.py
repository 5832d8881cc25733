"""Pretraining methods by name."""

from ssl_behavior.methods.base import LossTerms, Method, group_slices
from ssl_behavior.methods.cpc import CPC, CPCConfig

__all__ = ["CPC", "METHODS", "CPCConfig", "LossTerms", "Method", "group_slices"]

METHODS: dict[str, type[Method]] = {"cpc": CPC}
