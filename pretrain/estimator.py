"""Pretraining as a scikit-learn estimator."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from pretrain.config import run_config_from
from pretrain.recipes import RECIPES
from pretrain.run import train
from ssl_behavior.embedding import Encoder, load
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording
from ssl_behavior.store import write_store

__all__ = ["PoseEmbedder"]


class PoseEmbedder(TransformerMixin, BaseEstimator):
    """Pretrain on recordings (`fit`) and embed recordings (`transform`), with the interface of scikit-learn.

    Parameters
    ----------
    recipe : name of a pretraining recipe.
    steps : training steps; None for the number in the recipe.
    seed : seed of all random numbers.
    out : folder of the run; None trains in a temporary folder.
    overrides : further keys of the run's configuration, e.g. {"precision": "float32", "optim.lr": 1e-3}.

    Attributes
    ----------
    encoder_ : the trained `Encoder`, set by `fit`.
    """

    def __init__(
        self,
        recipe: str = "summaries",
        steps: int | None = None,
        seed: int = 0,
        out: str | Path | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self.recipe, self.steps, self.seed, self.out, self.overrides = recipe, steps, seed, out, overrides

    def fit(self, recordings: Sequence[Recording], y: object = None) -> "PoseEmbedder":
        """Pretrain on recordings of one skeleton; `y` is ignored.

        Raises
        ------
        InputError
            If the recipe or a key of `overrides` is unknown, there are no recordings, their skeletons differ, or the
            training diverges.
        """
        if self.recipe not in RECIPES:
            raise InputError(f"unknown recipe {self.recipe!r}; known: {sorted(RECIPES)}")
        own = {"seed": self.seed} | ({} if self.steps is None else {"steps": self.steps})
        config = run_config_from(RECIPES[self.recipe](), self.overrides or {}, own, where="overrides")
        with tempfile.TemporaryDirectory() as scratch:
            store, run = Path(scratch) / "store", Path(self.out or Path(scratch) / "run")
            write_store(store, recordings)
            try:
                train(config, [store], run)
            except SystemExit:
                raise KeyboardInterrupt from None
            self.encoder_ = load(run, device=config.device)
        return self

    def transform(self, recordings: Sequence[Recording]) -> list[np.ndarray]:
        """Embeddings of each recording, float32 [frames, dim], one row per frame.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        encoder = self._fitted()
        return [encoder.embed(recording) for recording in recordings]

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Column names (group and number); raises NotFittedError before `fit`."""
        names = [f"{group}_{i}" for group, width in self._fitted().groups.items() for i in range(width)]
        return np.asarray(names, dtype=object)

    def _fitted(self) -> Encoder:
        if not hasattr(self, "encoder_"):
            raise NotFittedError("call fit first, or load an existing run with ssl_behavior.load")
        return self.encoder_
