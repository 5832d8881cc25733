"""Supervised classifiers of single frames, from the frames around each: what self-supervision has to beat, or to help.

The networks and their training are those of the CalMS21 paper (Sun et al. 2021, arXiv:2104.02710). Input assembly
(`inputs`), the window of a frame (`span`), training (`training`) and networks (one file each) know each other only by
their signatures, so another network is one more file and one more line in `BASELINES`.
"""

from probe.baselines.config import BASELINES, BaselineConfig
from probe.baselines.conv1d import Conv1d, Conv1dConfig
from probe.baselines.inputs import Inputs, assemble_inputs
from probe.baselines.network import FrameClassifier
from probe.baselines.span import WindowSpan
from probe.baselines.training import TrainedBaseline, run_baseline

__all__ = [
    "BASELINES",
    "BaselineConfig",
    "Conv1d",
    "Conv1dConfig",
    "FrameClassifier",
    "Inputs",
    "TrainedBaseline",
    "WindowSpan",
    "assemble_inputs",
    "run_baseline",
]
