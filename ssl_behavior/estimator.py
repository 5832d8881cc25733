"""From Python: a trained encoder as an object, and pretraining as a scikit-learn style estimator."""

import importlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.device import choose_device
from ssl_behavior.embedding import Embeddings, embed_recording, embed_store, with_kept_groups
from ssl_behavior.errors import InputError
from ssl_behavior.methods import Method
from ssl_behavior.recording import Recording
from ssl_behavior.store import Store, write_store

__all__ = ["Encoder", "PoseEmbedder", "load"]


class Encoder:
    """A frozen encoder: recordings in, one embedding per frame out.

    Attributes
    ----------
    method : the network, in eval mode.
    groups : what the embedding's columns are: name -> number of columns.

    Parameters
    ----------
    without : names or globs of column groups to leave out, e.g. ("features_*", "time") for what was learned alone.
    only : names or globs of the column groups to have, also of those that are off by default, e.g. ("summary", "time").
    """

    def __init__(
        self, method: Method, device: str = "auto", without: Sequence[str] = (), only: Sequence[str] = ()
    ) -> None:
        self._chosen: dict[str, Any] = {"without": tuple(without), "only": tuple(only)}
        method, self.groups = with_kept_groups(method, without, only)
        self.method = method.to(choose_device(device)).eval()

    @property
    def dim(self) -> int:
        """Columns of an embedding."""
        return sum(self.groups.values())

    def embed(self, recording: Recording) -> np.ndarray:
        """float32 [frames, dim], a row for every frame.

        Raises
        ------
        InputError
            If keypoints, animals or frame rate are not those the encoder was made for.
        """
        return embed_recording(self.method, recording, **self._chosen)

    def embed_store(self, store: Store, out: str | Path, **options: Any) -> Embeddings:
        """Embed a whole store into a folder, in bounded memory; see `ssl_behavior.embedding.embed_store`."""
        return embed_store(self.method, store, out, **self._chosen | options)


def load(
    path: str | Path, device: str = "auto", best: bool = True, without: Sequence[str] = (), only: Sequence[str] = ()
) -> Encoder:
    """The encoder of a run or checkpoint folder; of a run, the best on validation (or, best=False, the newest).

    `without` and `only` choose groups of columns, see `Encoder`.

    Raises
    ------
    InputError
        If there is no checkpoint, it is damaged, or it has no such columns.
    """
    return Encoder(load_checkpoint(path, best=best), device, without, only)


class PoseEmbedder(TransformerMixin, BaseEstimator):
    """Pretrain on recordings (`fit`) and embed recordings (`transform`), as scikit-learn has it.

    Parameters
    ----------
    recipe : name of a pretraining recipe.
    steps : training steps, or None for the recipe's own number.
    seed : of everything random.
    out : keep the run in this folder; None trains in a temporary one.
    overrides : further fields of the run's configuration, e.g. {"precision": "float32"}.

    Attributes
    ----------
    encoder_ : the trained `Encoder`, after `fit`.
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
            If the recipe is unknown, there are no recordings, they differ in skeleton, or the training diverges.
        """
        # The job stands above the library, so it is named, not imported, as in the table of verbs.
        recipes: Mapping[str, Callable[[], Any]] = importlib.import_module("pretrain.recipes").RECIPES
        if self.recipe not in recipes:
            raise InputError(f"unknown recipe {self.recipe!r}; known: {sorted(recipes)}")
        recipe = recipes[self.recipe]()
        changes = dict(self.overrides or {}) | {"seed": self.seed}
        known = {field.name for field in fields(recipe)}
        if unknown := sorted(set(changes) - known):
            raise InputError(f"unknown settings {unknown} in overrides; a run has {sorted(known)}")
        config = replace(recipe, **changes | ({} if self.steps is None else {"steps": self.steps}))
        pretrain = importlib.import_module("pretrain.run").pretrain
        with tempfile.TemporaryDirectory() as scratch:
            store, run = Path(scratch) / "store", Path(self.out or Path(scratch) / "run")
            write_store(store, recordings)
            if pretrain([store], run, config):
                raise KeyboardInterrupt
            self.encoder_ = load(run, device=config.device)
        return self

    def transform(self, recordings: Sequence[Recording]) -> list[np.ndarray]:
        """Embeddings of each recording, float32 [frames, dim], as many rows as it has frames.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        encoder = self._fitted()
        return [encoder.embed(recording) for recording in recordings]

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Names of the columns: group and number; a NotFittedError before `fit`."""
        names = [f"{group}_{i}" for group, width in self._fitted().groups.items() for i in range(width)]
        return np.asarray(names, dtype=object)

    def _fitted(self) -> Encoder:
        if not hasattr(self, "encoder_"):
            raise NotFittedError("call fit first, or use ssl_behavior.load on a run that is there")
        return self.encoder_
