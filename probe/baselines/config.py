"""A baseline is a network, the window it looks at, and how it is trained. The known ones, by name."""

from dataclasses import dataclass

from probe.baselines.conv1d import Conv1dConfig
from probe.baselines.span import WindowSpan
from ssl_behavior.errors import InputError

__all__ = ["BASELINES", "BaselineConfig"]


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """A baseline and its training: Adam on the cross-entropy of all training frames, shuffled, to the last epoch.

    Parameters
    ----------
    network : of the classifier.
    window : which frames around a frame it looks at.
    lr, batch_size, epochs : of the training.
    train_stride : an epoch learns from every so-manieth frame, from other ones each time; 1 is the paper's.

    Raises
    ------
    InputError
        If a number is too small.
    """

    network: Conv1dConfig
    window: WindowSpan
    lr: float
    epochs: int
    batch_size: int = 128
    train_stride: int = 1

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise InputError(f"lr must be above 0, got {self.lr}")
        for name in ("epochs", "batch_size", "train_stride"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")


BASELINES: dict[str, BaselineConfig] = {
    "conv1d": BaselineConfig(network=Conv1dConfig(), window=WindowSpan(), lr=1e-3, epochs=15),
}
"""The paper's baselines with the paper's settings."""
