"""Losses as pure functions that know no network."""

from ssl_behavior.objectives.info_nce import InfoNCE, dense_info_nce

__all__ = ["InfoNCE", "dense_info_nce"]
