"""References made of the encoder's inputs around each frame: their means, and principal components of their histograms.

Neither learns more than quantiles and a rotation, yet both are strong: an encoder that is not ahead of them has learned
nothing about behavior that averages of its inputs do not say. Both are computed here, whatever groups an embedding has,
and fitted on the training recordings alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.references import new_array
from probe.representations import Frames, Representation
from ssl_behavior.features import FeatureConfig, Featurizer
from ssl_behavior.histograms import bin_edges, shares_above, windowed_mean
from ssl_behavior.seeds import torch_generator
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["MEAN_SECONDS", "histogram_components", "input_means", "windowed_shares"]

MEAN_SECONDS = (1.0, 3.0, 10.0)

EDGE_FRAMES = 50_000
"""Training frames, evenly spread, from which the quantiles are taken."""

COMPONENT_FRAMES = 8_000
"""Training frames, evenly spread, from which the components are taken; 4 for each component where that is more."""

STEPS_PER_SECOND = 5
"""Histograms of a second and more change slowly: components are computed so often, and interpolated between."""

BLOCK_STEPS = 512
_POWER_STEPS = 3
_SMALLEST_VARIANCE = 1e-12

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Inputs:
    """The encoder's inputs of some recordings, one row for every frame of the store.

    Parameters
    ----------
    array : [frames, channel]; NaN where not observed, 0 in recordings that were not asked for.
    rows : the recordings.
    """

    array: np.ndarray
    rows: tuple[StoreRow, ...]


def input_means(
    store: Store,
    train: Sequence[StoreRow],
    folder: Path,
    config: FeatureConfig | None = None,
    rows: Sequence[StoreRow] | None = None,
    advance: Advance | None = None,
) -> Representation:
    """Means of the encoder's standardized inputs over 1, 3 and 10 s around each frame, float16 [frames, dim].

    Of exchangeable animals the mean and the maximum over the two points of view are averaged, else both points of view
    side by side. A missing input is 0, the mean of the training recordings, as the encoder sees it.

    Parameters
    ----------
    train : recordings that scale, mean and standard deviation are taken from.
    config : of the inputs; the recipes' own by default.
    rows : recordings to compute, all of the store by default; frames of others are 0.
    advance : called with 1 after every recording.

    Raises
    ------
    InputError
        If the skeleton has not two animals, or lacks the roles that the inputs ask for.
    """
    featurizer, rows = _fitted(store, train, config), tuple(store.rows if rows is None else rows)
    width = featurizer.num_channels * store.skeleton.num_individuals
    array = new_array(folder / "input_means.npy", store.num_frames, len(MEAN_SECONDS) * width, np.float16)
    for row, batch in _whole(store, rows):
        with torch.no_grad():
            views = featurizer(batch)
        if store.skeleton.exchangeable:
            joined = torch.cat([views.mean(dim=2), views.amax(dim=2)], dim=-1)
        else:
            joined = views.flatten(2)
        weight = torch.ones_like(joined)
        halves = [_half(seconds, row.fps) for seconds in MEAN_SECONDS]
        means = [windowed_mean(joined, weight, -half, half)[0][0] for half in halves]
        array[row.slice] = torch.cat(means, dim=-1).numpy()
        if advance is not None:
            advance(1)
    return Representation("window means of the inputs", (array,))


def histogram_components(
    store: Store,
    train: Sequence[StoreRow],
    folder: Path,
    num_columns: int,
    config: FeatureConfig | None = None,
    rows: Sequence[StoreRow] | None = None,
    advance: Advance | None = None,
) -> Representation:
    """Principal components of windowed histograms of the encoder's inputs, float32 [frames, dim].

    Every input (of exchangeable animals mean and maximum over the points of view, else both side by side) is cut at
    its quantiles; the shares of frames above each, in the second before, the second after, and 1, 3 and 10 s around
    the frame, are centered, and the five windows' blocks scaled to the same total variance. A window in which an input
    is never observed counts as the mean share. Components keep their own variances.

    Parameters
    ----------
    num_columns : components; fewer if there are fewer training frames or shares.
    train, config, rows, advance : as of `input_means`; quantiles and components are of the training recordings.

    Raises
    ------
    InputError
        As `input_means` does.
    """
    rows = tuple(store.rows if rows is None else rows)
    wanted = {row.id for row in (*rows, *train)}
    inputs = _observed_inputs(
        store, train, folder, config, tuple(row for row in store.rows if row.id in wanted), advance
    )
    edges = _edges(inputs, train)
    projection = _fitted_projection(inputs, train, edges, num_columns)
    dim = projection.components.shape[1]
    array = new_array(folder / "histograms.npy", store.num_frames, dim, np.float32)
    for row in rows:
        steps = [projection.apply(shares) for _, shares in _blocks(inputs.array, row, edges)]
        array[row.slice] = _interpolated(torch.cat(steps), row.frames, _step(row)).numpy()
        if advance is not None:
            advance(1)
    return Representation(f"PCA-{dim} of windowed histograms", (array,))


def _fitted(store: Store, train: Sequence[StoreRow], config: FeatureConfig | None) -> Featurizer:
    featurizer = Featurizer(config or FeatureConfig(), store.skeleton).float()
    return featurizer.fit(WindowReader([(store, row) for row in train], 1))


def _whole(store: Store, rows: Sequence[StoreRow]) -> Iterator[tuple[StoreRow, WindowBatch]]:
    """Every recording as a batch of one window."""
    reader = WindowReader([(store, row) for row in rows], 1)
    return ((row, reader.read([(pick, 0, row.frames)])) for pick, row in enumerate(rows))


def _half(seconds: float, fps: float) -> int:
    """Frames before and after the middle one of a centered window."""
    return round(seconds * fps / 2)


def _observed_inputs(
    store: Store,
    train: Sequence[StoreRow],
    folder: Path,
    config: FeatureConfig | None,
    rows: tuple[StoreRow, ...],
    advance: Advance | None,
) -> Inputs:
    """Inputs of one frame, float32 [frames, channel], NaN where not observed; kept on disk."""
    featurizer, array = _fitted(store, train, config), np.empty((0, 0), dtype=np.float32)
    for number, (row, batch) in enumerate(_whole(store, rows)):
        with torch.no_grad():
            values, known = (part[0] for part in featurizer.raw_channels(batch))
        if store.skeleton.exchangeable:
            mean = torch.where(known, values, torch.nan).nanmean(dim=1)
            largest = values.masked_fill(~known, -torch.inf).amax(dim=1)
            joined = torch.cat([mean, largest.masked_fill(~known.any(dim=1), torch.nan)], dim=-1)
        else:
            joined = torch.where(known, values, torch.nan).flatten(1)
        if not number:
            array = new_array(folder / "inputs.npy", store.num_frames, joined.shape[1], np.float32)
        array[row.slice] = joined.numpy()
        if advance is not None:
            advance(1)
    return Inputs(array, rows)


def _evenly(rows: Sequence[StoreRow], num_frames: int) -> Frames:
    """About so many frames of the recordings, evenly spread; all of them if there are no more."""
    stride = max(1, sum(row.frames for row in rows) // num_frames)
    return Frames(tuple(rows), tuple(np.arange(min(stride, row.frames) // 2, row.frames, stride) for row in rows))


def _edges(inputs: Inputs, train: Sequence[StoreRow]) -> Float[Tensor, "quantile channel"]:
    frames = _evenly(train, EDGE_FRAMES)
    picked = [inputs.array[row.slice][pick] for row, pick in zip(frames.rows, frames.picks, strict=True)]
    values = torch.from_numpy(np.concatenate(picked))
    return bin_edges(values, ~values.isnan())


def windowed_shares(
    values: Float[Tensor, "time channel"], edges: Float[Tensor, "quantile channel"], fps: float, step: int = 1
) -> Float[Tensor, "window step share"]:
    """Shares of known values above each edge: 1 s before, 1 s after, 1, 3 and 10 s around; NaN where none is known.

    Parameters
    ----------
    values : NaN where not known.
    fps : frames per second of the windows.
    step : every `step`-th frame has a row.
    """
    second = round(fps)
    around = [(-_half(seconds, fps), _half(seconds, fps)) for seconds in MEAN_SECONDS]
    known = (~values.isnan())[None].to(values.dtype)
    above = shares_above(values, edges).movedim(1, 0)
    parts = []
    for first, last in ((-second, -1), (1, second), *around):
        mean, seen = windowed_mean(above, known, first, last, step)
        parts.append(mean.masked_fill(~seen, torch.nan).movedim(0, 1).flatten(1))
    return torch.stack(parts)


def _step(row: StoreRow) -> int:
    return max(1, round(row.fps / STEPS_PER_SECOND))


def _blocks(
    array: np.ndarray, row: StoreRow, edges: Float[Tensor, "quantile channel"]
) -> Iterator[tuple[slice, Float[Tensor, "window step share"]]]:
    """(steps of the recording, their shares), some at a time, each read with all that its windows reach."""
    step, whole = _step(row), array[row.slice]
    num_steps = -(-row.frames // step)
    reach = -(-max(_half(MEAN_SECONDS[-1], row.fps), round(row.fps)) // step)
    for start in range(0, num_steps, BLOCK_STEPS):
        stop, low = min(start + BLOCK_STEPS, num_steps), max(0, start - reach)
        values = torch.from_numpy(np.array(whole[low * step : (stop + reach) * step]))
        yield slice(start, stop), windowed_shares(values, edges, row.fps, step)[:, start - low : stop - low]


def _interpolated(
    steps: Float[Tensor, "step component"], num_frames: int, step: int
) -> Float[Tensor, "frame component"]:
    """Linear between the steps; after the last one it stays."""
    frame = torch.arange(num_frames)
    before = frame // step
    after = (before + 1).clamp_max(len(steps) - 1)
    return torch.lerp(steps[before], steps[after], ((frame % step) / step)[:, None].to(steps.dtype))


@dataclass(frozen=True)
class _Projection:
    """Centering, scaling and rotation of shares."""

    mean: Float[Tensor, "window share"]
    scale: Float[Tensor, " window"]
    components: Float[Tensor, "column component"]

    def standardized(self, shares: Float[Tensor, "window step share"]) -> Float[Tensor, "step column"]:
        """Windows side by side, a mean share where nothing was known."""
        centered = (shares - self.mean[:, None]).nan_to_num(0.0) * self.scale[:, None, None]
        return centered.movedim(0, 1).flatten(1)

    def apply(self, shares: Float[Tensor, "window step share"]) -> Float[Tensor, "step component"]:
        return self.standardized(shares) @ self.components


def _fitted_projection(
    inputs: Inputs, train: Sequence[StoreRow], edges: Float[Tensor, "quantile channel"], num_columns: int
) -> _Projection:
    frames = _evenly(train, max(COMPONENT_FRAMES, 4 * num_columns))
    picked = []
    for row, pick in zip(frames.rows, frames.picks, strict=True):
        for part, shares in _blocks(inputs.array, row, edges):
            steps = np.unique(pick // _step(row))
            inside = steps[(steps >= part.start) & (steps < part.stop)] - part.start
            picked.append(shares[:, torch.from_numpy(inside)])
    sampled = torch.cat(picked, dim=1)
    mean = sampled.nanmean(dim=1).nan_to_num(0.0)
    variance = (sampled - mean[:, None]).nan_to_num_(0.0).square_().mean(dim=1).sum(dim=1)
    scale = torch.where(variance > _SMALLEST_VARIANCE, variance, torch.inf).rsqrt()
    unrotated = _Projection(mean, scale, mean.new_empty(mean.numel(), 0))
    standardized = unrotated.standardized(sampled)
    return _Projection(mean, scale, _leading_components(standardized, num_columns))


def _leading_components(
    values: Float[Tensor, "frame column"], num_components: int
) -> Float[Tensor, "column component"]:
    """Directions of largest variance of centered values, largest first, by subspace iteration from a fixed start."""
    count = min(num_components, *values.shape)
    size = min(count + max(16, count // 4), *values.shape)
    basis = torch.randn(values.shape[1], size, generator=torch_generator(0, "histogram components"), dtype=values.dtype)
    for _ in range(_POWER_STEPS):
        basis = torch.linalg.qr(values.T @ (values @ basis)).Q
    projected = values @ basis
    _, vectors = torch.linalg.eigh((projected.T @ projected).double())
    components = basis @ vectors[:, -count:].flip(1).to(values.dtype)
    # The sign of a component is arbitrary: its largest weight is positive.
    largest = components.gather(0, components.abs().argmax(dim=0, keepdim=True))
    return components * largest.sign()
