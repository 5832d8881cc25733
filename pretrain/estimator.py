"""Pretraining from Python: a function, and a scikit-learn estimator."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from pretrain.config import RunConfig, run_config_from
from pretrain.recipes import RECIPES
from pretrain.run import train
from pretrain.run_folder import with_own_programs
from ssl_behavior.arguments import one_or_more, opened, whole_number
from ssl_behavior.device import choose_device
from ssl_behavior.embedding import Encoder, checked_recordings, load
from ssl_behavior.errors import InputError
from ssl_behavior.methods import method_name
from ssl_behavior.recording import Recording
from ssl_behavior.store import Store, open_store, write_store
from ssl_behavior.terminal import listed

__all__ = ["PoseEmbedder", "pretrain"]

ROWS = ("frames", "recordings")


def pretrain(
    stores: Store | str | Path | Sequence[Store | str | Path],
    recipe: str | None = None,
    steps: int | None = None,
    *,
    seed: int = 0,
    init: Encoder | str | Path | None = None,
    programs: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    overrides: Mapping[str, Any] | None = None,
    verbose: bool = True,
) -> Encoder:
    """Pretrain an encoder on the recordings of one or several stores.

    Parameters
    ----------
    stores : a store or its folder, or several.
    recipe : name of a pretraining recipe; None = the settings of `init`, or "summaries".
    steps : training steps; None for the number in the recipe.
    seed : seed of all random numbers.
    init : encoder to start from, or its folder; None = random weights.
    programs : Python file with your own task programs to learn from, too.
    out : folder of the run; None trains in a temporary folder (`Encoder.save_pretrained` keeps the result).
    resume : continue the run in `out`, if there is one.
    device : "auto", "cpu", "cuda" or "mps".
    overrides : further keys of the run's configuration, e.g. {"precision": "float32", "optim.lr": 1e-3}.
    verbose : print the progress.

    Raises
    ------
    InputError
        If the recipe or a key of `overrides` is unknown, a store does not exist, the recordings do not fit, or the
        training diverges.
    KeyboardInterrupt
        After Ctrl-C; a run in `out` has saved a checkpoint.
    """
    start = None if init is None else opened(init, Encoder, "init", load)
    config = _config(recipe, steps, seed, device, overrides, start)
    if programs is not None:
        file = Path(opened(programs, Path, "programs", Path))
        config = replace(config, method=with_own_programs(config.method, file))
    if resume and out is None:
        raise InputError("`resume` needs `out`, the folder of the run to continue")
    folders = [open_store(store, "stores").path for store in _stores(stores)]
    console = None if verbose else Console(quiet=True)
    with tempfile.TemporaryDirectory(prefix="ssl-behavior-", ignore_cleanup_errors=True) as scratch:
        run = Path(out) if out is not None else Path(scratch) / "run"
        if start is not None:
            of_folder = isinstance(init, str | Path) and Path(init).exists()
            folder = init if of_folder else start.save_pretrained(Path(scratch) / "init")
            config = replace(config, init=str(folder))
        try:
            train(config, folders, run, resume, console, name_folder=out is not None)
        except SystemExit:
            raise KeyboardInterrupt from None
        return load(run, device=config.device)


def _config(
    recipe: str | None,
    steps: int | None,
    seed: int,
    device: str,
    overrides: Mapping[str, Any] | None,
    init: Encoder | None = None,
) -> RunConfig:
    """The run's configuration; errors name the argument."""
    if recipe is not None and (not isinstance(recipe, str) or recipe not in RECIPES):
        raise InputError(f"`recipe`: unknown recipe {recipe!r}; known: {sorted(RECIPES)}")
    choose_device(device)
    own: dict[str, Any] = {"seed": whole_number(seed, "seed"), "device": device}
    own |= {} if steps is None else {"steps": whole_number(steps, "steps", 1)}
    if not isinstance(overrides, Mapping | None):
        raise InputError(f"`overrides` must map keys of the configuration to values, got {overrides!r:.80}")
    given = dict(overrides or {})
    if twice := sorted({"seed", "device", "steps"} & given.keys()):
        raise InputError(f"`overrides` has {listed(twice)}: pass {'it' if len(twice) == 1 else 'them'} as an argument")
    base = _settings_of(init) if recipe is None and init is not None else RECIPES[recipe or "summaries"]()
    return run_config_from(base, given, own, where="overrides")


def _settings_of(encoder: Encoder) -> RunConfig:
    """The recipe of an encoder's method, with the encoder's own settings."""
    method: Any = encoder.method.config
    name = method_name(method)
    if name not in RECIPES:
        raise InputError(f"`init`: no recipe trains an encoder of {name!r} further; name one of {sorted(RECIPES)}")
    return replace(RECIPES[name](), method=method)


def _stores(stores: Any) -> list[Any]:
    found = one_or_more(stores, Store, str, Path)
    if not found:
        raise InputError("`stores` is empty; expected a store, its folder, or a list of them")
    if any(isinstance(one, Recording) for one in found):
        raise InputError("`stores` has recordings: write them with `ssl_behavior.write_store`, and pass the store")
    return found


class PoseEmbedder(TransformerMixin, BaseEstimator):
    """Pretrain on recordings (`fit`) and embed recordings (`transform`), with the interface of scikit-learn.

    In a Pipeline, rows="recordings" gives a classifier one row for each recording, so that `cross_val_score` divides
    recordings; rows="frames" gives one row for each frame, and labels are those of all frames one after the other.

    Parameters
    ----------
    recipe : name of a pretraining recipe.
    steps : training steps; None for the number in the recipe.
    seed : seed of all random numbers.
    out : folder of the run; None trains in a temporary folder, as cross-validation needs.
    overrides : further keys of the run's configuration, e.g. {"precision": "float32", "optim.lr": 1e-3}.
    rows : "frames" (default), or "recordings": mean and standard deviation of each column over a recording's frames.
    device : "auto", "cpu", "cuda" or "mps".
    verbose : print the progress.

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
        rows: str = "frames",
        device: str = "auto",
        verbose: bool = True,
    ) -> None:
        self.recipe, self.steps, self.seed, self.out, self.overrides = recipe, steps, seed, out, overrides
        self.rows, self.device, self.verbose = rows, device, verbose

    def fit(self, recordings: Sequence[Recording], y: object = None) -> "PoseEmbedder":
        """Pretrain on recordings of one skeleton; `y` is ignored.

        Raises
        ------
        InputError
            If the recipe or a key of `overrides` is unknown, there are no recordings, their skeletons differ, or the
            training diverges.
        """
        if self.rows not in ROWS:
            raise InputError(f"`rows` must be one of {list(ROWS)}, got {self.rows!r}")
        found = checked_recordings(recordings)
        with tempfile.TemporaryDirectory(prefix="ssl-behavior-", ignore_cleanup_errors=True) as scratch:
            store = write_store(Path(scratch) / "store", found)
            self.encoder_ = pretrain(
                store, self.recipe, self.steps, seed=self.seed, out=self.out, device=self.device,
                overrides=self.overrides, verbose=self.verbose,
            )  # fmt: skip
        return self

    def transform(self, recordings: Sequence[Recording]) -> np.ndarray:
        """Embeddings, float32 [frames of all recordings, dim] or, with rows="recordings", [recordings, 2 dim].

        `encoder_.transform` gives an array for each recording.

        Raises
        ------
        NotFittedError
            Before `fit`.
        InputError
            If recordings do not fit the encoder, or one without frames is asked for its mean.
        """
        encoder = self._fitted()
        found = checked_recordings(recordings)
        embedded = encoder.transform(found)
        if self.rows == "recordings":
            if empty := [one.id for one in found if not one.num_frames]:
                raise InputError(f"recording {empty[0]!r} has no frames, and rows='recordings' takes their mean")
            embedded = [_mean_and_std(one) for one in embedded]
        width = encoder.dim * (2 if self.rows == "recordings" else 1)
        return np.concatenate([np.empty((0, width), np.float32), *embedded])

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Column names (group and number); raises NotFittedError before `fit`."""
        names = [f"{group}_{i}" for group, width in self._fitted().groups.items() for i in range(width)]
        if self.rows == "recordings":
            names = [f"{name}_{what}" for what in ("mean", "std") for name in names]
        return np.asarray(names, dtype=object)

    def _fitted(self) -> Encoder:
        if not hasattr(self, "encoder_"):
            raise NotFittedError("call fit first, or load an existing run with ssl_behavior.load")
        return self.encoder_


def _mean_and_std(embedded: np.ndarray) -> np.ndarray:
    """[1, 2 dim] over the frames, summed in float64: constant columns have no deviation."""
    statistics = [embedded.mean(axis=0, dtype=np.float64), embedded.std(axis=0, dtype=np.float64)]
    return np.concatenate(statistics)[None].astype(np.float32)
