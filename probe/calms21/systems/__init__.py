"""Whatever can be benchmarked, behind one interface, and all that happens to predictions after a system made them.

A `System` learns a `Problem` (a store, one part of a task, the mean that steers) from labeled recordings and predicts
others; `run_system` runs it on a split, in folds if smoothing windows and thresholds are to be chosen. Another system
is one more file with one more class.
"""

from probe.calms21.systems.base import (
    AnnotatorProbes,
    FittedSystem,
    FrozenAnnotatorProbe,
    FrozenProbe,
    Problem,
    System,
    TimedSystem,
    with_balanced,
)
from probe.calms21.systems.boosting import BoostedTrees, BoostingConfig
from probe.calms21.systems.crossfit import PostprocessingConfig, mean_of, run_system
from probe.calms21.systems.curves import Curve, CurvePoint, draw_curves, draw_streams, label_curve
from probe.calms21.systems.end_to_end import EndToEnd, EndToEndConfig
from probe.calms21.systems.windows import ParentNetwork, WindowClassifier
from probe.folds import stratified_folds

__all__ = [
    "AnnotatorProbes",
    "BoostedTrees",
    "BoostingConfig",
    "Curve",
    "CurvePoint",
    "EndToEnd",
    "EndToEndConfig",
    "FittedSystem",
    "FrozenAnnotatorProbe",
    "FrozenProbe",
    "ParentNetwork",
    "PostprocessingConfig",
    "Problem",
    "System",
    "TimedSystem",
    "WindowClassifier",
    "draw_curves",
    "draw_streams",
    "label_curve",
    "mean_of",
    "run_system",
    "stratified_folds",
    "with_balanced",
]
