"""Plots for talks and papers: each function draws on given axes or a new figure, and returns the axes.

All share one style (`ssl_behavior.plots.style`). Install matplotlib with `pip install 'ssl-behavior[plots]'`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl_behavior.plots.bout_curves import bout_scores
    from ssl_behavior.plots.cluster_profiles import cluster_profile
    from ssl_behavior.plots.heat_maps import annotator_matrix, confusion
    from ssl_behavior.plots.label_curves import few_label_curve
    from ssl_behavior.plots.reliability import calibration
    from ssl_behavior.plots.scatter_maps import embedding_map
    from ssl_behavior.plots.timelines import ethogram, search_hits

__all__ = [
    "annotator_matrix",
    "bout_scores",
    "calibration",
    "cluster_profile",
    "confusion",
    "embedding_map",
    "ethogram",
    "few_label_curve",
    "search_hits",
]

_HOME = {
    "annotator_matrix": "heat_maps",
    "bout_scores": "bout_curves",
    "calibration": "reliability",
    "cluster_profile": "cluster_profiles",
    "confusion": "heat_maps",
    "embedding_map": "scatter_maps",
    "ethogram": "timelines",
    "few_label_curve": "label_curves",
    "search_hits": "timelines",
}


def __getattr__(name: str) -> Any:
    # Commands need the style for their figures, and their help texts wait neither for numpy nor for torch.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
