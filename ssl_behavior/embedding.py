"""Embeddings of whole recordings by a frozen encoder: one row per frame, in bounded memory.

Long recordings go through the encoder in chunks that give the numbers of one pass. Python interface to a trained
encoder: `load` and `Encoder`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.device import choose_device
from ssl_behavior.embeddings_folder import Embeddings, EmbeddingsWriter, check_dtype
from ssl_behavior.errors import InputError
from ssl_behavior.files import (
    check_free,
    write_errors_explained,
)
from ssl_behavior.individuals import advise_individuals
from ssl_behavior.methods import Method, group_slices
from ssl_behavior.recording import Recording
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import Progress, no_progress
from ssl_behavior.windows import WindowBatch, WindowReader, arena_of, recording_window

__all__ = [
    "CHUNK_FRAMES",
    "Encoder",
    "check_fits",
    "chunked",
    "embed_recording",
    "embed_row",
    "embed_store",
    "kept_groups",
    "load",
    "with_kept_groups",
]


CHUNK_FRAMES = 6144


def chunked(
    method: Method,
    compute: Callable[[WindowBatch], Float[Tensor, "batch time latent"]],
    read: Callable[[int, int], WindowBatch],
    num_frames: int,
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Output of `method` for every frame of a recording, chunk by chunk: (frames, float32 [time, latent]).

    Each chunk is read with as many frames more as the encoder reaches to either side, so the numbers are those of one
    pass over the whole recording.

    Parameters
    ----------
    compute : from windows to one row per frame, in eval mode and without gradients.
    read : (first frame, number of frames) -> a batch of one window.
    """
    device = next(method.parameters()).device
    before, after = (-(-side // method.alignment) * method.alignment for side in method.receptive_field)
    chunk_frames = -(-chunk_frames // method.alignment) * method.alignment
    training = method.training
    method.eval()
    try:
        for start in range(0, num_frames, chunk_frames):
            stop = min(start + chunk_frames, num_frames)
            first, last = max(0, start - before), min(num_frames, stop + after)
            with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
                values = compute(read(first, last - first).to(device))[0, start - first : stop - first]
            yield slice(start, stop), values.float().cpu().numpy()
    finally:
        method.train(training)


_FPS_TOLERANCE = 0.01


def check_fits(
    method: Method, recording: Recording | StoreRow, keypoints: tuple[str, ...], individuals: tuple[str, ...]
) -> None:
    """Refuse recordings whose animals, keypoints or frame rate do not fit the encoder.

    Raises
    ------
    InputError
        If keypoints, number of animals or frame rate differ; or, unless the animals are exchangeable, their names or
        order.
    """
    skeleton = method.skeleton
    if keypoints != skeleton.keypoints or len(individuals) != skeleton.num_individuals:
        raise InputError(
            f"recording {recording.id!r} has {len(individuals)} animals with keypoints {list(keypoints)}; the encoder "
            f"was made for {skeleton.num_individuals} with {list(skeleton.keypoints)}"
        )
    if individuals != skeleton.individuals and not skeleton.exchangeable:
        raise InputError(
            f"recording {recording.id!r} has the animals {', '.join(individuals)}, in this order; the encoder knows "
            f"{', '.join(skeleton.individuals)} apart. {advise_individuals(skeleton.individuals, individuals)}"
        )
    if abs(recording.fps / method.fps - 1) > _FPS_TOLERANCE:
        raise InputError(
            f"recording {recording.id!r} has {recording.fps:g} frames per second, the encoder was made for "
            f"{method.fps:g}: resample it (`ssl-behavior resample`), or pretrain on recordings of that rate"
        )


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


def with_kept_groups(
    method: Method, without: Sequence[str] = (), only: Sequence[str] = ()
) -> tuple[Method, dict[str, int]]:
    """The method with the additional groups of `only` (`Method.with_groups`), and the result of `kept_groups`.

    Raises
    ------
    InputError
        If a pattern matches no group, or nothing is left.
    """
    method = method.with_groups(only)
    return method, kept_groups(method.channel_groups, without, only, method.more_groups)


def embed_recording(
    method: Method,
    recording: Recording,
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
    without: Sequence[str] = (),
    only: Sequence[str] = (),
) -> np.ndarray:
    """One embedding per frame of a recording: float32 [frames, dim], of the column groups of `with_kept_groups`.

    Raises
    ------
    InputError
        If the recording does not fit the encoder, see `check_fits`, or there are no such groups.
    """
    method, kept = with_kept_groups(method, without, only)
    check_fits(method, recording, recording.skeleton.keypoints, recording.individuals)
    arena = arena_of(recording.keypoints, recording.resolution_px)
    out = np.empty((recording.num_frames, sum(kept.values())), dtype=np.float32)

    def read(start: int, frames: int) -> WindowBatch:
        return recording_window(recording, start, frames, arena)

    for span, values in _chunks(method, read, recording.num_frames, chunk_frames, precision, kept):
        out[span] = values
    return out


def _chunks(
    method: Method,
    read: Callable[[int, int], WindowBatch],
    num_frames: int,
    chunk_frames: int,
    precision: torch.dtype,
    kept: Collection[str],
) -> Iterator[tuple[slice, np.ndarray]]:
    """Kept columns, chunk by chunk."""
    columns = [span for name, span in group_slices(method.channel_groups).items() if name in kept]

    def embed(batch: WindowBatch) -> torch.Tensor:
        values = method.embed(batch)
        return torch.cat([values[..., span] for span in columns], dim=-1)

    return chunked(method, embed, read, num_frames, chunk_frames, precision)


def embed_store(
    method: Method,
    store: Store,
    out: str | Path,
    dtype: str = "float16",
    rows: list[StoreRow] | None = None,
    overwrite: bool = False,
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
    progress: Progress = no_progress,
    without: Sequence[str] = (),
    only: Sequence[str] = (),
) -> Embeddings:
    """Embed every frame of a store (or of some of its rows) into the folder `out`.

    `without` and `only` choose column groups, see `with_kept_groups`. An interrupted export goes on where it stopped
    when it is asked for again; `out` appears when it is whole.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, a recording does not fit the encoder, or a value cannot be held in float16.
    """
    check_dtype(dtype)
    rows, out = list(store.rows if rows is None else rows), Path(out)
    check_free(out, overwrite, "embeddings.json")
    method, kept = with_kept_groups(method, without, only)
    for row in rows:
        check_fits(method, row, store.skeleton.keypoints, store.individuals)
    with write_errors_explained(out):
        export = EmbeddingsWriter(method, store, rows, out, dtype, precision, kept)
        total = sum(row.frames for row in rows)
        if export.done:
            progress("embedding", sum(row.frames for row in rows[: export.done]), total)
        for pick in range(export.done, len(rows)):
            for span, values in embed_row(method, store, rows[pick], kept, chunk_frames, precision):
                export.write(pick, span, values)
                progress("embedding", len(values), total)
            export.finish_row(pick)
        export.finish()
    return Embeddings(out)


def embed_row(
    method: Method,
    store: Store,
    row: StoreRow,
    kept: Collection[str],
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
) -> Iterator[tuple[slice, np.ndarray]]:
    """A recording's embedding chunk by chunk: (which frames, float32 [frames, dim]) of the column groups in `kept`.

    Raises
    ------
    InputError
        If the encoder gives values that are not finite.
    """
    reader = WindowReader([(store, row)], 1)

    def read(start: int, frames: int) -> WindowBatch:
        return reader.read([(0, start, frames)])

    for span, values in _chunks(method, read, row.frames, chunk_frames, precision, kept):
        if not np.isfinite(values).all():
            raise InputError(f"recording {row.id!r}: the encoder gives values that are not finite; is it damaged?")
        yield span, values


class Encoder:
    """A frozen encoder: recordings in, one embedding per frame out.

    Attributes
    ----------
    method : the network, in eval mode.
    groups : column groups of the embedding: name -> number of columns.

    Parameters
    ----------
    without : names or globs of column groups to leave out, e.g. ("features_*", "time") for learned columns alone.
    only : names or globs of column groups to keep, also of groups that are off by default, e.g. ("summary", "time").
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
        """Embedding of a recording: float32 [frames, dim], one row per frame.

        Raises
        ------
        InputError
            If keypoints, animals or frame rate are not those the encoder was made for.
        """
        return embed_recording(self.method, recording, **self._chosen)

    def embed_store(self, store: Store, out: str | Path, **options: Any) -> Embeddings:
        """Embed a store into a folder, in bounded memory; see `ssl_behavior.embedding.embed_store`."""
        return embed_store(self.method, store, out, **self._chosen | options)


def load(
    path: str | Path, device: str = "auto", best: bool = True, without: Sequence[str] = (), only: Sequence[str] = ()
) -> Encoder:
    """Load the encoder of a run or checkpoint folder; of a run, the best on validation, or with best=False the newest.

    `without` and `only` choose groups of columns, see `Encoder`.

    Raises
    ------
    InputError
        If there is no checkpoint, it is damaged, or it has no such columns.
    """
    return Encoder(load_checkpoint(path, best=best), device, without, only)
