"""The pretraining job: `train(config, stores, out)`, and the recipes it starts from."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pretrain.config import RunConfig
    from pretrain.recipes import RECIPES
    from pretrain.run import train

__all__ = ["RECIPES", "RunConfig", "train"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `ssl-behavior pretrain --help` must not wait for torch.
    if name == "train":
        from pretrain.run import train

        return train
    if name == "RECIPES":
        from pretrain.recipes import RECIPES

        return RECIPES
    if name == "RunConfig":
        from pretrain.config import RunConfig

        return RunConfig
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
