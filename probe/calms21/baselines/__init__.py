"""Supervised classifiers of frames from the window around each: the baselines of self-supervised systems.

Networks and training follow the CalMS21 paper (Sun et al. 2021, arXiv:2104.02710). `inputs` assembles and augments
inputs, `network` has layouts, windows and shared layers, `networks` and `msg3d` the networks, `training` the training
and transfer. A new network is a class with a config in `config.Network` and a function in `config.BASELINES`.
"""

from probe.calms21.baselines.augmentation import Augmentation, augment
from probe.calms21.baselines.configs import (
    AUGMENTED,
    BASELINES,
    ROTATED,
    TASK3_WEIGHTS,
    TRANSFERS,
    Adam,
    BaselineConfig,
    Phase,
    Sgd,
    Transfer,
    task3_baseline,
)
from probe.calms21.baselines.inputs import Inputs, assemble_inputs
from probe.calms21.baselines.layers import FrameClassifier, Layout, WindowSpan
from probe.calms21.baselines.msg3d import MsG3d, MsG3dConfig
from probe.calms21.baselines.networks import (
    Attention,
    AttentionConfig,
    Conv1d,
    Conv1dConfig,
    FullyConnected,
    FullyConnectedConfig,
    Lstm,
    LstmConfig,
)
from probe.calms21.baselines.trained_baseline import TrainedBaseline, load_baseline, save_baseline
from probe.calms21.baselines.training import fit_baseline, run_baseline

__all__ = [
    "AUGMENTED",
    "BASELINES",
    "ROTATED",
    "TASK3_WEIGHTS",
    "TRANSFERS",
    "Adam",
    "Attention",
    "AttentionConfig",
    "Augmentation",
    "BaselineConfig",
    "Conv1d",
    "Conv1dConfig",
    "FrameClassifier",
    "FullyConnected",
    "FullyConnectedConfig",
    "Inputs",
    "Layout",
    "Lstm",
    "LstmConfig",
    "MsG3d",
    "MsG3dConfig",
    "Phase",
    "Sgd",
    "TrainedBaseline",
    "Transfer",
    "WindowSpan",
    "assemble_inputs",
    "augment",
    "fit_baseline",
    "load_baseline",
    "run_baseline",
    "save_baseline",
    "task3_baseline",
]
