"""Pretraining methods by name."""

from ssl_behavior.methods.base import LossTerms, Method
from ssl_behavior.methods.cpc import CPC, CPCConfig

__all__ = ["CPC", "METHODS", "CPCConfig", "LossTerms", "Method"]

METHODS: dict[str, type[Method]] = {"cpc": CPC}
