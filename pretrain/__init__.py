"""The pretraining job: `train(config, stores, out)`, and the recipes it starts from."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pretrain.config import RunConfig
    from pretrain.recipes import RECIPES
    from pretrain.run import train

__all__ = ["RECIPES", "RunConfig", "train"]

_HOME = {"RECIPES": "recipes", "RunConfig": "config", "train": "run"}


def __getattr__(name: str) -> Any:
    # Import on first use: `ssl-behavior pretrain --help` must not wait for torch.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
