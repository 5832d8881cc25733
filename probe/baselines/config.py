"""A baseline is a network, the window it looks at, and how it is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from probe.baselines.attention import AttentionConfig
from probe.baselines.augmentation import Augmentation
from probe.baselines.conv1d import Conv1dConfig
from probe.baselines.fully_connected import FullyConnectedConfig
from probe.baselines.lstm import LstmConfig
from probe.baselines.msg3d import MsG3dConfig
from probe.baselines.span import WindowSpan
from ssl_behavior.errors import InputError

__all__ = ["Adam", "BaselineConfig", "Network", "Phase", "Sgd", "Transfer"]

Network = Conv1dConfig | FullyConnectedConfig | LstmConfig | AttentionConfig | MsG3dConfig


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam (Kingma and Ba 2015), its epsilon Keras's."""

    epsilon: float = 1e-7


@dataclass(frozen=True, kw_only=True)
class Sgd:
    """Gradient descent with Nesterov's momentum.

    Parameters
    ----------
    weight_decay : of all parameters.
    """

    momentum: float = 0.9
    weight_decay: float = 5e-4


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Some epochs at one learning rate.

    Parameters
    ----------
    trains : "all", or "head": the last layer alone. What does not train keeps its normalisation's moving statistics and
        normalises by them; its dropout goes on, as in Keras.

    Raises
    ------
    InputError
        If a number is too small.
    """

    epochs: int
    lr: float
    trains: Literal["all", "head"] = "all"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"epochs must be at least 1, got {self.epochs}")
        if not self.lr > 0:
            raise InputError(f"lr must be above 0, got {self.lr}")


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What is taken over from another trained network of the same kind.

    Parameters
    ----------
    head : "kept" if the last layer is taken over too, for the same classes; "new" if it is drawn anew.
    optimizer : True if the optimizer goes on with the moments it had.
    """

    head: Literal["kept", "new"]
    optimizer: bool = False


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """A baseline and its training on the cross-entropy of all training frames, shuffled, to the last epoch.

    Parameters
    ----------
    network : of the classifier.
    window : which frames around a frame it looks at.
    phases : of the training, one after the other with one optimizer.
    batch_size : frames per step.
    train_stride : an epoch learns from every so-manieth frame, from other ones each time; 1 is the paper's.
    predict_stride : so-manieth frames are predicted, and logits between them interpolated; 1 is the paper's.
    augment : of the training windows.
    class_weights : what a frame's loss is multiplied by: weights by class name (of a class told apart from the rest:
        where it is shown), 1 where not named; or "balanced": in inverse proportion to the classes' frames, 1 in the
        mean over frames.
    paired_logits : of a binary task: every class has a logit for yes and one for no, as the paper's Task 3 models.
    transfer : what is taken over from a parent; None = nothing, there is no parent.

    Raises
    ------
    InputError
        If a number is too small.
    """

    network: Network
    window: WindowSpan
    phases: tuple[Phase, ...]
    optimizer: Adam | Sgd = Adam()
    batch_size: int = 128
    train_stride: int = 1
    predict_stride: int = 1
    augment: Augmentation | None = None
    class_weights: Mapping[str, float] | Literal["balanced"] | None = None
    paired_logits: bool = False
    transfer: Transfer | None = None

    def __post_init__(self) -> None:
        if not self.phases:
            raise InputError("a baseline is trained in at least one phase, got none")
        for name in ("batch_size", "train_stride", "predict_stride"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        if isinstance(self.class_weights, Mapping) and not all(w > 0 for w in self.class_weights.values()):
            raise InputError(f"class_weights must be above 0, got {dict(self.class_weights)}")

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    def lasting(self, epochs: int) -> "BaselineConfig":
        """The same in about so many epochs, all phases shortened or lengthened alike, each at least one."""
        share = epochs / self.epochs
        return replace(self, phases=tuple(replace(p, epochs=max(1, round(share * p.epochs))) for p in self.phases))
