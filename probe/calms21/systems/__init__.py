"""Systems of the benchmark behind one interface, and the postprocessing of their predictions.

A `System` fits a `Problem` (a store, one part of a task, the mean that selects settings) and predicts recordings.
`run_system` runs it on a split, in folds to choose smoothing windows and thresholds. A new system is a new subclass in
a file of its own.
"""

from probe.calms21.systems.base import FittedSystem, Problem, System, TimedSystem, with_balanced
from probe.calms21.systems.boosting import BoostedTrees, BoostingConfig
from probe.calms21.systems.end_to_end import EndToEnd, EndToEndConfig
from probe.calms21.systems.frozen import AnnotatorProbes, FrozenAnnotatorProbe, FrozenProbe
from probe.calms21.systems.system_runs import PostprocessingConfig, mean_of, run_system
from probe.calms21.systems.window_classifiers import ParentNetwork, WindowClassifier
from probe.folds import stratified_folds

__all__ = [
    "AnnotatorProbes",
    "BoostedTrees",
    "BoostingConfig",
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
    "mean_of",
    "run_system",
    "stratified_folds",
    "with_balanced",
]
