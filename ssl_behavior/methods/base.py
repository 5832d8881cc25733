"""Base class of pretraining methods (network plus objective), and `LossTerms`."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ssl_behavior.collectives import all_sum, world_size
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig, spans
from ssl_behavior.objectives import Sums
from ssl_behavior.programs import ProgramSet
from ssl_behavior.seeds import derive_seed
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import StoreRow
from ssl_behavior.units import Unit
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["LossTerms", "Method", "behavior_groups", "group_slices", "kept_groups", "mean_of"]


def group_slices(groups: Mapping[str, int]) -> dict[str, slice]:
    """Column slice of each channel group of an embedding.

    >>> group_slices({"latent": 128, "time": 2})
    {'latent': slice(0, 128, None), 'time': slice(128, 130, None)}
    """
    return spans(groups, groups.values())


def kept_groups(
    groups: Mapping[str, int], without: Sequence[str] = (), only: Sequence[str] = (), more: Sequence[str] = ()
) -> dict[str, int]:
    """Channel groups (name -> number of columns) that a name or glob of `only` matches (all if there is none), less
    those that one of `without` matches.

    >>> kept_groups({"latent": 128, "features_30_frames": 250, "time": 2}, ["features_*", "time"])
    {'latent': 128}
    >>> kept_groups({"latent": 128, "features_30_frames": 250, "time": 2}, only=["features_*"])
    {'features_30_frames': 250}

    Parameters
    ----------
    more : groups that `only` can add, for the error.

    Raises
    ------
    InputError
        If a pattern matches no group, or nothing is left.
    """
    for argument, patterns in (("without", without), ("only", only)):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in groups):
                known = f"it has {list(groups)}" + (f", and `only` adds any of {list(more)}" if more else "")
                raise InputError(f"`{argument}`: the embedding has no columns {pattern!r}; {known}")
    kept = {
        name: width
        for name, width in groups.items()
        if (not only or any(fnmatchcase(name, pattern) for pattern in only))
        and not any(fnmatchcase(name, pattern) for pattern in without)
    }
    if not kept:
        raise InputError(f"`without` {' '.join(without)} leaves nothing of the embedding's {list(groups)}")
    return kept


def behavior_groups(groups: Mapping[str, int], without: Sequence[str] = (), only: Sequence[str] = ()) -> dict[str, int]:
    """As `kept_groups`; with neither `without` nor `only`, all groups but "time".

    The time of a frame in its recording is no similarity of behavior.
    """
    unnamed = not only and not without and "time" in groups and len(groups) > 1
    return kept_groups(groups, ("time",) if unnamed else without, only)


def mean_of(sums: Sums, training: bool) -> Float[Tensor, ""]:
    """Mean of the terms' means, over the items of all processes, without terms that counted nothing.

    Without any, validation has nothing to say (NaN, not a perfect 0), and a training step nothing to learn from.
    """
    count = all_sum(sums.count)
    used = (count > 0).sum()
    return (sums.total * world_size() / count.clamp_min(1)).sum() / (used.clamp_min(1) if training else used)


@dataclass(frozen=True)
class LossTerms:
    """Named loss terms, already weighted, and diagnostics without gradient."""

    terms: dict[str, Tensor]
    metrics: dict[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        return torch.stack(list(self.terms.values())).sum()

    def weighted(self, weight: float) -> "LossTerms":
        """The same diagnostics, every term times `weight`."""
        return LossTerms({name: weight * term for name, term in self.terms.items()}, self.metrics)

    def __or__(self, other: "LossTerms") -> "LossTerms":
        return LossTerms(self.terms | other.terms, self.metrics | other.metrics)


class Method(nn.Module, ABC):
    """Network plus objective. A checkpoint holds exactly its `config`, `skeleton`, `fps` and state dict.

    Parameters
    ----------
    config : the method's frozen configuration, an instance of `Config`; subclasses declare its type.
    skeleton : of the recordings it is for.
    fps : frames per second of the recordings it is for.
    """

    Config: ClassVar[type]
    config: object
    fitted_modules: ClassVar[tuple[str, ...]] = ("featurizer",)
    """Submodules fitted to the inputs; each has `fit(reader)` and `notices`."""

    def __init__(self, config: object, skeleton: Skeleton, fps: float) -> None:
        super().__init__()
        self.config, self.skeleton, self.fps = config, skeleton, float(fps)

    def fit_inputs(self, reader: WindowReader, but: Collection[str] = ()) -> list[str]:
        """Fit the normalization of the inputs (scale, mean, std, PCA) on the training recordings, once.

        Parameters
        ----------
        but : names of submodules that are fitted already.

        Returns
        -------
        Notices for the user, in sentences.
        """
        modules = [getattr(self, name) for name in self.fitted_modules if name not in but]
        for module in modules:
            module.fit(reader)
        return [notice for module in modules for notice in module.notices]

    @property
    def fitted_states(self) -> tuple[str, ...]:
        """Submodules whose state is fitted, not learned by gradient."""
        return self.fitted_modules

    def finish(self, reader: WindowReader) -> None:
        """Fit parts that depend on the trained weights, once after training; most methods have none."""

    def check_recording(self, row: StoreRow) -> None:
        """Refuse a recording that the objective cannot judge.

        Raises
        ------
        InputError
            If programs in cm would judge it and its scale is not known.
        """
        programs = self.supervision
        if programs is not None and programs.unit == "cm" and not row.px_per_cm:
            raise InputError(
                f"programs are in cm, as every training recording's scale is known, but that of {row.id!r} is not; "
                "import it with `px_per_cm`, or choose `method.programs.units=px`"
            )

    @abstractmethod
    def loss(self, batch: WindowBatch, generator: torch.Generator | None) -> LossTerms:
        """Loss of a batch; with a generator the batch is augmented, with None (validation) it is not."""

    @abstractmethod
    def embed(self, batch: WindowBatch) -> Float[Tensor, "batch time latent"]:
        """One embedding per frame, in eval mode and without augmentation. Rows in padding are meaningless."""

    def embed_units(self, batch: WindowBatch, actors: Sequence[tuple[int, int]]) -> Float[Tensor, "unit time latent"]:
        """Embeddings of animals or pairs of one window, as `embed` those of scenes.

        Parameters
        ----------
        actors : places of agent and target on the individual axis; target -1, or the agent itself = the animal among
            all others.
        """
        raise InputError(f"this encoder ({type(self).__name__}) describes scenes, no single animals or pairs")

    @property
    def units(self) -> tuple[Unit, ...]:
        """Units that an embedding can describe, see `ssl_behavior.units`."""
        return ("scene",)

    @property
    def num_animals(self) -> int | None:
        """Number of animals that a recording must have; None = any."""
        return self.skeleton.num_individuals

    @property
    @abstractmethod
    def embedding_dim(self) -> int:
        """Width of `embed`'s output."""

    @property
    @abstractmethod
    def receptive_field(self) -> tuple[int, int]:
        """(before, after): frames around the current one that its embedding depends on."""

    @property
    def features(self) -> FeatureConfig | None:
        """Features that the network reads; None for methods without features."""
        return None

    @property
    def supervision(self) -> ProgramSet | None:
        """Programs that the objective learns from; None for methods without programs of their own."""
        return None

    @property
    def alignment(self) -> int:
        """Windows must start at a multiple of this many frames to give a recording's own embeddings."""
        return 1

    def fingerprint(self) -> str:
        """SHA-256 over configuration, weights and buffers."""
        digest = hashlib.sha256(repr(self.config).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    def channel_groups(self) -> dict[str, int]:
        """Groups of the embedding's columns in order: name -> number of columns."""
        return {"embedding": self.embedding_dim}

    @property
    def learned_groups(self) -> tuple[str, ...]:
        """Channel groups that training changes; the others are functions of the inputs alone."""
        return tuple(self.channel_groups)

    @property
    def more_groups(self) -> tuple[str, ...]:
        """Channel groups that `with_groups` adds; N stands for any number."""
        return ()

    def with_groups(self, names: Sequence[str]) -> "Method":
        """The same network with further groups of `more_groups` in its embedding; other names are ignored."""
        return self

    @property
    def learned_dim(self) -> int:
        """Number of columns of the learned groups."""
        return sum(self.channel_groups[name] for name in self.learned_groups)

    def learned(self, embedded: Float[Tensor, "*any latent"]) -> Float[Tensor, "*any learned"]:
        """The columns of the learned groups."""
        columns = group_slices(self.channel_groups)
        return torch.cat([embedded[..., columns[name]] for name in self.learned_groups], dim=-1)

    def fresh(self, seed: int) -> "Method":
        """The same method untrained: weights drawn anew from `seed`, the fitted inputs kept."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "init"))
            other = type(self)(self.config, self.skeleton, self.fps)
        for name in self.fitted_states:
            other.get_submodule(name).load_state_dict(self.get_submodule(name).state_dict())
        return other.to(next(self.parameters()).device).train(self.training)
