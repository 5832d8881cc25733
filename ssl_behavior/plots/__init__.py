"""Plots for talks and papers: each function draws on given axes or a new figure, and returns the axes.

All share one style (`ssl_behavior.plots.style`). Install matplotlib with `pip install 'ssl-behavior[plots]'`.
"""

from ssl_behavior.plots.cluster_profiles import cluster_profile
from ssl_behavior.plots.heat_maps import annotator_matrix, confusion
from ssl_behavior.plots.label_curves import few_label_curve
from ssl_behavior.plots.reliability import calibration
from ssl_behavior.plots.scatter_maps import embedding_map
from ssl_behavior.plots.timelines import ethogram, search_hits

__all__ = [
    "annotator_matrix",
    "calibration",
    "cluster_profile",
    "confusion",
    "embedding_map",
    "ethogram",
    "few_label_curve",
    "search_hits",
]
