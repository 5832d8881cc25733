"""`Space`: column selection, standardization and PCA of an embedding, for neighbors, clusters and maps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, sample_frames
from ssl_behavior.errors import InputError
from ssl_behavior.files import write_json
from ssl_behavior.methods import behavior_groups, group_slices
from ssl_behavior.numerics import Standardizer, principal_components

__all__ = ["Space", "SpaceConfig", "sample_frames"]

BLOCK_FRAMES = 65_536
"""Read at a time."""

FITTING_FRAMES = 50_000


@dataclass(frozen=True, kw_only=True)
class SpaceConfig:
    """Options of a space.

    Parameters
    ----------
    only, without : column groups, names or globs, see `behavior_groups`. With neither, all but "time".
    most_dims : maximal number of columns; more are projected on as many principal components. 0 = no PCA.
    unit : points have length 1, so that nearness is the cosine.

    Raises
    ------
    InputError
        If `most_dims` is negative.
    """

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    most_dims: int = 128
    unit: bool = False

    def __post_init__(self) -> None:
        if self.most_dims < 0:
            raise InputError(f"`most_dims` must be 0 (all columns) or more, got {self.most_dims}")

    def kept(self, groups: Mapping[str, int]) -> dict[str, int]:
        """Selected column groups, name -> number of columns."""
        return behavior_groups(groups, self.without, self.only)


@dataclass(frozen=True, eq=False)
class Space:
    """Fitted map from embeddings to points, saved with the index or clusters that use it.

    Parameters
    ----------
    groups : the embedding's columns, all of them.
    checkpoint : fingerprint of the encoder whose embeddings these are.
    mean, std : of the columns that count; infinite spread for a column that never changes.
    axes : principal components, float32 [column, dim]; None = the columns themselves.
    """

    config: SpaceConfig
    groups: Mapping[str, int]
    checkpoint: str
    mean: Float[Tensor, " column"]
    std: Float[Tensor, " column"]
    axes: Float[Tensor, "column dim"] | None = None

    @classmethod
    def fit(
        cls,
        embeddings: Embeddings,
        config: SpaceConfig | None = None,
        seed: int = 0,
        rows: Sequence[EmbeddingRow] | None = None,
    ) -> "Space":
        """Fit mean, standard deviation and principal components on a sample of the frames.

        Parameters
        ----------
        rows : recordings that the sample is drawn from; None = all.

        Raises
        ------
        InputError
            If a column group is unknown, a number is not finite, or all numbers are the same in every frame.
        """
        config = config or SpaceConfig()
        width = sum(config.kept(embeddings.groups).values())
        frames = sample_frames(embeddings.rows if rows is None else rows, FITTING_FRAMES, seed)
        raw = cls(config, embeddings.groups, embeddings.checkpoint, torch.zeros(width), torch.ones(width))
        values = torch.cat([raw._columns(block) for _, block in _blocks(embeddings, frames)])
        _check_finite(embeddings, frames, values)
        scaling = Standardizer.fit(values, rtol=0.0)
        if scaling.std.isinf().all():
            raise InputError(f"{embeddings.path}: all numbers are the same in every frame; there is nothing to compare")
        space = replace(raw, mean=scaling.mean, std=scaling.std)
        if not config.most_dims or width <= config.most_dims:
            return space
        points = scaling.transform_(values)
        axes, _ = principal_components(points.T @ points, config.most_dims)
        return replace(space, axes=axes.float().contiguous())

    @property
    def dim(self) -> int:
        return len(self.mean) if self.axes is None else self.axes.shape[1]

    @cached_property
    def _slices(self) -> list[slice]:
        """Slices of the selected columns; adjacent groups are merged."""
        kept = self.config.kept(self.groups)
        merged: list[slice] = []
        for name, span in group_slices(self.groups).items():
            if name not in kept:
                continue
            if merged and merged[-1].stop == span.start:
                merged[-1] = slice(merged[-1].start, span.stop)
            else:
                merged.append(span)
        return merged

    def _columns(self, block: np.ndarray) -> Float[Tensor, "frames column"]:
        # Copies, since the memory map is read-only.
        parts = [torch.from_numpy(np.array(block[:, span])) for span in self._slices]
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).float()

    def points(self, block: np.ndarray) -> np.ndarray:
        """float32 [frames, dim] of rows of an embeddings array [frames, all columns]."""
        values = self._columns(block).sub_(self.mean).div_(self.std)
        if self.axes is not None:
            values = values @ self.axes
        if self.config.unit:
            values = torch.nn.functional.normalize(values, dim=1)
        return values.numpy()

    def check(self, embeddings: Embeddings, built: str) -> None:
        """Refuse embeddings of another encoder, or with other columns.

        Parameters
        ----------
        built : name of the object built in this space, for the error.
        """
        if embeddings.checkpoint != self.checkpoint:
            raise InputError(
                f"{embeddings.path} was made by another checkpoint ({embeddings.checkpoint[:12]}) than the embeddings "
                f"that {built} was built on ({self.checkpoint[:12]}): embed these recordings with that one"
            )
        if dict(embeddings.groups) != dict(self.groups):
            raise InputError(
                f"{embeddings.path} has the columns {dict(embeddings.groups)}; {built} was built on "
                f"{dict(self.groups)}: embed with the same `only` and `without`"
            )

    def blocks(
        self, embeddings: Embeddings, frames: np.ndarray | slice | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of (frames, points), in the memory of a block.

        Parameters
        ----------
        frames : rising rows of the array, or a stretch of it; None = all of it.

        Raises
        ------
        InputError
            If a number is not finite.
        """
        for span, block in _blocks(embeddings, frames):
            points = self.points(block)
            if not np.isfinite(points).all():
                whole = np.arange(len(embeddings.array))[slice(None) if frames is None else frames][span]
                _check_finite(embeddings, whole, torch.from_numpy(points))
            yield span, points

    def gather(self, embeddings: Embeddings, frames: np.ndarray) -> np.ndarray:
        """Points of the given frames, float32 [frames, dim], in their order."""
        order = np.argsort(frames, kind="stable")
        out = np.empty((len(frames), self.dim), np.float32)
        for span, points in self.blocks(embeddings, frames[order]):
            out[order[span]] = points
        return out

    def save(self, folder: Path) -> None:
        """Write `space.json` and `space.safetensors` into a folder."""
        from safetensors.torch import save

        tensors = {"mean": self.mean, "std": self.std} | ({} if self.axes is None else {"axes": self.axes})
        # Not by save_file, whose files only their owner may read: folders are shared in a lab.
        contents = save({name: tensor.contiguous() for name, tensor in tensors.items()})
        (folder / "space.safetensors").write_bytes(contents)
        config = {"config": asdict(self.config), "groups": dict(self.groups), "checkpoint": self.checkpoint}
        write_json(folder / "space.json", config)

    @classmethod
    def load(cls, folder: Path) -> "Space":
        """Load a space that `save` wrote.

        Raises
        ------
        InputError
            If it is not there, or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from ssl_behavior.files import read_json

        try:
            facts: dict[str, Any] = read_json(folder / "space.json", "a space")
            tensors = load_file(folder / "space.safetensors")
            config: dict[str, Any] = {
                name: tuple(v) if isinstance(v, list) else v for name, v in facts["config"].items()
            }
            return cls(
                SpaceConfig(**config), dict(facts["groups"]), str(facts["checkpoint"]), tensors["mean"],
                tensors["std"], tensors.get("axes"),
            )  # fmt: skip
        except (OSError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise InputError(f"{folder} is damaged: its space cannot be read ({error!r}); make it again") from None


def _blocks(embeddings: Embeddings, frames: np.ndarray | slice | None) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of (frames, rows of the array)."""
    whole = embeddings.array if frames is None or isinstance(frames, np.ndarray) else embeddings.array[frames]
    count = len(frames) if isinstance(frames, np.ndarray) else len(whole)
    for start in range(0, count, BLOCK_FRAMES):
        span = slice(start, min(start + BLOCK_FRAMES, count))
        yield span, whole[frames[span] if isinstance(frames, np.ndarray) else span]


def _check_finite(embeddings: Embeddings, frames: np.ndarray, values: Tensor) -> None:
    wrong = ~torch.isfinite(values).all(dim=1)
    if not wrong.any():
        return
    frame = int(frames[int(wrong.nonzero()[0, 0])])
    row = next(row for row in embeddings.rows if row.offset <= frame < row.offset + row.frames)
    raise InputError(
        f"{embeddings.path}: recording {row.id!r}, frame {frame - row.offset}, has numbers that are not finite; "
        "embed again"
    )
