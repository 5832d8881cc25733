"""Representations shared by the systems of a benchmark: trained encoders, embeddings and features, computed once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from pretrain.config import run_config_from
from pretrain.recipes import RECIPES
from probe.calms21.effort_presets import Effort
from probe.calms21.encoder_cache import trained_run
from probe.references import add_session_time, cached_hand_features
from probe.representations import Matrix, PartialMatrix, Representation, check_alignment, columns_without
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.device import choose_device, choose_precision
from ssl_behavior.embedding import Embeddings, embed_store
from ssl_behavior.errors import InputError
from ssl_behavior.store import Store, StoreRow

__all__ = ["RepresentationCache"]


@dataclass(eq=False)
class RepresentationCache:
    """Representations in the folder of a benchmark, reused by a second benchmark in the same folder.

    Parameters
    ----------
    folder : folder of the benchmark.
    train : labeled training recordings, which also scale hand features.
    tracks : ids of the recordings for pretraining; none = all.
    device, precision : values of the options `--device` and `--precision`.
    given : recipe -> existing runs, one per pretraining seed.
    released : embeddings folder of released task-programming features, in place of our own.
    log : called with a line of text before each computation.
    """

    store: Store
    folder: Path
    effort: Effort
    train: Sequence[StoreRow]
    tracks: tuple[str, ...] = ()
    device: str = "auto"
    precision: str = "auto"
    given: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    released: Path | None = None
    log: Callable[[str], None] = print
    _runs: dict[str, tuple[Path, ...]] = field(default_factory=dict, repr=False)
    _made: dict[str, Representation] = field(default_factory=dict, repr=False)

    @property
    def machine(self) -> dict[str, str]:
        """Device and precision of a `RunConfig`."""
        return {"device": self.device, "precision": self.precision}

    def runs(self, recipe: str) -> tuple[Path, ...]:
        """Pretrained runs of a recipe, one per seed."""
        if recipe not in self._runs:
            made = (self._pretrained(recipe, seed) for seed in range(self.effort.seeds))
            self._runs[recipe] = self.given[recipe] if recipe in self.given else tuple(made)
        return self._runs[recipe]

    def _pretrained(self, recipe: str, seed: int) -> Path:
        self.log(f"pretraining {recipe}, seed {seed}, unless it is cached")
        settings = {"seed": seed, "data.validation_share": 0.0, "data.recordings": self.tracks}
        settings |= self.effort.settings(recipe) | self.machine
        return trained_run(
            self.folder / "pretrained",
            self.store,
            recipe,
            run_config_from(RECIPES[recipe](), settings, where="settings"),
        )

    def encoder(self, recipe: str, without: Sequence[str] = ()) -> Representation:
        """The frozen embedding of a recipe."""
        name = recipe + "".join(f" without {group}" for group in without)
        if name not in self._made:
            folders = [self._embedded(recipe, seed, run) for seed, run in enumerate(self.runs(recipe))]
            arrays = tuple(self._array(one, without) for one in folders)
            self._made[name] = Representation(name, arrays, tuple(one.checkpoint for one in folders))
        return self._made[name]

    def _embedded(self, recipe: str, seed: int, run: Path) -> Embeddings:
        out, method = self.folder / "embeddings" / f"{recipe}-{seed}", load_checkpoint(run)
        device = choose_device(self.device)
        precision = choose_precision(self.precision, device)
        if (out / "embeddings.json").exists():
            found = Embeddings(out)
            if self._matches(found, method.fingerprint(), precision):
                return found
        self.log(f"embedding {recipe}, seed {seed}: {out}")
        rows = self._labeled
        return embed_store(method.to(device), self.store, out, rows=rows, overwrite=True, precision=precision)

    @property
    def _labeled(self) -> list[StoreRow]:
        """The labeled recordings, whose embeddings systems read; most frames of a release have no label."""
        return [row for row in self.store.rows if row.annotators]

    def _array(self, embeddings: Embeddings, without: Sequence[str]) -> Matrix:
        return self._of_some(columns_without(embeddings, without), [row.id for row in embeddings.rows])

    def _of_some(self, array: Matrix, ids: Sequence[str]) -> Matrix:
        """A matrix of these recordings, indexed by the frames of the whole store."""
        return array if len(array) == self.store.num_frames else PartialMatrix(array, ids, self.store)

    def _matches(self, found: Embeddings, checkpoint: str, precision: torch.dtype) -> bool:
        # Embeddings in the precision that "auto" chose on another machine are valid.
        same = self.precision == "auto" or found.precision == str(precision).removeprefix("torch.")
        same &= {row.id for row in self._labeled} <= {row.id for row in found.rows}
        return same and (found.checkpoint, found.store) == (checkpoint, self.store.fingerprint())

    @property
    def hand(self) -> Representation:
        """Hand features over windows, with the session-time columns that the encoders have too."""
        if "hand" not in self._made:
            folder = self.folder / "features"
            rows = self._labeled
            report = partial(self.log, "computing hand features")
            made = add_session_time(cached_hand_features(self.store, self.train, rows, folder, report), rows)
            arrays = tuple(self._of_some(array, [row.id for row in rows]) for array in made.arrays)
            self._made["hand"] = replace(made, arrays=arrays)
        return self._made["hand"]

    @property
    def task_programming(self) -> Representation:
        """The 32 task-programming columns of the paper's baselines: the released ones, or our autoencoder's."""
        if self.released is None:
            return self._posterior()
        if "released" not in self._made:
            found = Embeddings(self.released)
            check_alignment(found, self.store)
            self._made["released"] = Representation("released features", (found.array,), (found.checkpoint,))
        return self._made["released"]

    def _posterior(self) -> Representation:
        groups = load_checkpoint(self.runs("task_programming")[0]).channel_groups
        if "posterior" not in groups:
            raise InputError("task-programming features: the runs given for task_programming have no posterior columns")
        return self.encoder("task_programming", without=[name for name in groups if name != "posterior"])
