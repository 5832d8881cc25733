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
from jaxtyping import Bool, Float
from torch import Tensor

from probe.references import new_array
from probe.representations import BLOCK_FRAMES, Representation
from ssl_behavior.features import FeatureConfig, Featurizer
from ssl_behavior.nn import MixerConfig, pad_to_multiple, to_frames
from ssl_behavior.numerics import equal_variance_rotation
from ssl_behavior.sliding import WindowsConfig, sliding_means
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.summaries import QUANTILES, Piece, QuantileCodes, Summaries, SummariesConfig, scene_moments
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["AROUND_SECONDS", "histogram_components", "histogram_windows", "input_means"]

AROUND_SECONDS = (1.0, 3.0, 10.0)
"""Lengths of the windows around a frame."""

BESIDE_SECONDS = 1.0
"""Length of the windows before and after a frame, of histograms alone."""

STEPS_PER_SECOND = 5
"""Histograms of a second and more change slowly: components are computed so often, and interpolated between."""

CHUNK_FRAMES = 6144
_FITTING_FRAMES = 200_000
_CODES = MixerConfig().codes

Advance = Callable[[int], None]


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
    array = new_array(folder / "input_means.npy", store.num_frames, len(AROUND_SECONDS) * width, np.float16)
    for row in rows:
        halves = [round(seconds * row.fps / 2) for seconds in AROUND_SECONDS]
        context = max(halves) + max(featurizer.reach)
        for part, own, batch in _chunks(store, row, context, CHUNK_FRAMES):
            with torch.no_grad():
                joined = _joined(featurizer(batch), store.skeleton.exchangeable)
                weight = torch.ones_like(joined[..., :1])
                means = sliding_means(joined, weight, [(-half, half) for half in halves])
            array[part] = torch.cat([mean[0, own] for mean, _ in means], dim=-1).numpy()
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
) -> tuple[Representation, Representation]:
    """Principal components of windowed histograms of the encoder's inputs, and the same rotated; float32 [frames, dim].

    The histograms are those of `ssl_behavior.summaries`: of mean and standard deviation of every input in steps of a
    fifth of a second, in the second before, the second after, and 1, 3 and 10 s around the frame. The five windows have
    the same total variance, principal components keep their own.

    Heads standardize columns, after which weak components count as much as strong ones. The second representation is a
    rotation of the first in which all columns have one variance on the training frames: standardizing changes no
    distance in it.

    Parameters
    ----------
    num_columns : components; columns beyond the rank of the training frames are 0.
    train, config, advance : as of `input_means`; `advance` is called twice for every recording.
    rows : as of `input_means`; the training recordings are computed in any case.

    Raises
    ------
    InputError
        As `input_means` does, and if nothing was observed in the training recordings.
    """
    rows = tuple(store.rows if rows is None else rows)
    wanted, training = {row.id for row in rows}, {row.id for row in train}
    featurizer = _fitted(store, train, config)
    histograms = _fitted_histograms(store, train, featurizer, num_columns)
    num_components = histograms.summaries.components
    plain, rotated = (
        new_array(folder / f"{name}.npy", store.num_frames, num_components, np.float32)
        for name in ("histograms", "histograms_rotated")
    )
    moments = _RowMoments(num_components)
    for row in (row for row in store.rows if row.id in wanted | training):
        for part, components in _components(store, row, featurizer, histograms):
            if row.id in training:
                moments.add(components)
            if row.id in wanted:
                plain[part] = components.numpy()
        if advance is not None and row.id in wanted:
            advance(1)
    rotation = equal_variance_rotation(moments.covariance).float()
    for row in rows:
        for start in range(row.offset, row.offset + row.frames, BLOCK_FRAMES):
            part = slice(start, min(start + BLOCK_FRAMES, row.offset + row.frames))
            rotated[part] = (torch.from_numpy(np.array(plain[part])) @ rotation).numpy()
        if advance is not None:
            advance(1)
    name = f"PCA-{num_components} of windowed histograms"
    return Representation(name, (plain,)), Representation(f"{name}, equal variances", (rotated,))


def histogram_windows(fps: float) -> WindowsConfig:
    """1, 3 and 10 s around a frame, 1 s before it and 1 s after it.

    >>> histogram_windows(30.0)
    WindowsConfig(around_frames=(30, 90, 300), past_frames=(30,), future_frames=(30,))
    """
    # At less than a frame per second some windows are the same.
    around = dict.fromkeys(max(1, round(seconds * fps)) for seconds in AROUND_SECONDS)
    beside = (max(1, round(BESIDE_SECONDS * fps)),)
    return WindowsConfig(around_frames=tuple(around), past_frames=beside, future_frames=beside)


def _fitted(store: Store, train: Sequence[StoreRow], config: FeatureConfig | None) -> Featurizer:
    featurizer = Featurizer(config or FeatureConfig(), store.skeleton).float()
    return featurizer.fit(WindowReader([(store, row) for row in train], 1))


def _chunks(store: Store, row: StoreRow, context: int, chunk_frames: int) -> Iterator[tuple[slice, slice, WindowBatch]]:
    """A recording, read in pieces with up to `context` frames more on either side.

    Yields (frames of the store, the same frames in the batch, batch of one window).
    """
    reader = WindowReader([(store, row)], 1)
    for start in range(0, row.frames, chunk_frames):
        stop = min(start + chunk_frames, row.frames)
        first, last = max(0, start - context), min(row.frames, stop + context)
        part = slice(row.offset + start, row.offset + stop)
        yield part, slice(start - first, stop - first), reader.read([(0, first, last - first)])


def _joined(
    views: Float[Tensor, "batch time individual channel"], exchangeable: bool
) -> Float[Tensor, "batch time joined"]:
    return torch.cat([views.mean(dim=2), views.amax(dim=2)], dim=-1) if exchangeable else views.flatten(2)


def _stride(fps: float) -> int:
    """Frames of a step."""
    return max(1, round(fps / STEPS_PER_SECOND))


@dataclass(frozen=True)
class _Histograms:
    """Quantile codes of steps, and summaries of them."""

    coding: QuantileCodes
    summaries: Summaries

    def __call__(self, piece: Piece, inside: Bool[Tensor, "batch step"]) -> Float[Tensor, "batch step component"]:
        return self.summaries(self.coding(*piece), inside)


def _fitted_histograms(
    store: Store, train: Sequence[StoreRow], featurizer: Featurizer, num_columns: int
) -> _Histograms:
    fps = train[0].fps
    config = SummariesConfig(windows=histogram_windows(fps), components=num_columns)
    reader = WindowReader([(store, row) for row in train], 1)
    with torch.no_grad():
        pieces = [_step_moments(batch, featurizer) for batch in reader.pieces(_FITTING_FRAMES)]
        # Enough codes of every window for so many components of all of them.
        coding = QuantileCodes(QUANTILES, max(_CODES, -(-num_columns // 2)), pieces[0][0].shape[-1]).float().fit(pieces)
        codes = [coding(*piece) for piece in pieces]
    return _Histograms(coding, Summaries(config, coding.num_codes, _stride(fps)).float().fit(codes))


def _step_moments(batch: WindowBatch, featurizer: Featurizer) -> Piece:
    """What histograms are made of: moments of the inputs in every step, and which of them are known."""
    stride = _stride(float(batch.fps[0]))
    features, known = (pad_to_multiple(values, stride) for values in featurizer.with_known(batch))
    valid = pad_to_multiple(batch.valid, stride)
    return scene_moments(features, known, valid, stride, featurizer.skeleton.exchangeable)


@torch.no_grad()
def _components(
    store: Store, row: StoreRow, featurizer: Featurizer, histograms: _Histograms
) -> Iterator[tuple[slice, Float[Tensor, "frame component"]]]:
    """(frames of the store, their components), chunk by chunk of a recording."""
    stride = _stride(row.fps)
    # One step more than is reached: frames lie between the middles of two steps.
    context = (max(histograms.summaries.reach) + 1) * stride + -(-max(featurizer.reach) // stride) * stride
    for part, own, batch in _chunks(store, row, context, -(-CHUNK_FRAMES // stride) * stride):
        piece = _step_moments(batch, featurizer)
        inside = torch.ones(piece[0].shape[:2], dtype=torch.bool)
        steps = histograms(piece, inside)
        yield part, to_frames(steps, inside, stride, batch.valid.shape[1])[0, own]


class _RowMoments:
    """Mean and covariance of rows that are seen some at a time."""

    def __init__(self, dim: int) -> None:
        self.count, self.total = 0, torch.zeros(dim, dtype=torch.float64)
        self.square = torch.zeros(dim, dim, dtype=torch.float64)

    def add(self, rows: Float[Tensor, "row column"]) -> None:
        values = rows.double()
        self.count += len(values)
        self.total += values.sum(dim=0)
        self.square += values.T @ values

    @property
    def covariance(self) -> Float[Tensor, "column column"]:
        mean = self.total / self.count
        return self.square / self.count - torch.outer(mean, mean)
