"""Reference representations: raw keypoints, hand features over windows and their PCA, window means and histograms.

Hand features are the encoder's inputs (egocentric poses, distances, motion over several lags, visibility) and the
walls, with mean and standard deviation over centered windows. The views of exchangeable animals are pooled, so
that exchanging the animals changes nothing.

Window means and the principal components of windowed histograms come from the encoder's inputs. They learn no more than
quantiles and a rotation, yet they are strong: an encoder must beat them to add anything to averages of its inputs.
All references are fitted on the training recordings only.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from probe.pair_store import PairRow, PairStore
from probe.representations import BLOCK_FRAMES, Columns, Frames, Matrix, Representation, all_frames, gather
from ssl_behavior.features import FeatureConfig, Featurizer, session_time
from ssl_behavior.files import make_folder, read_json, write_json
from ssl_behavior.nn import MixerConfig, pad_to_multiple, to_frames
from ssl_behavior.numerics import RunningCovariance, Standardizer, equal_variance_rotation, principal_components
from ssl_behavior.recording import observed_points
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.views import join_views
from ssl_behavior.window_statistics import (
    QUANTILES,
    Piece,
    QuantileCodes,
    Summaries,
    SummariesConfig,
    WindowsConfig,
    joined_moments,
    sliding_means,
    step_moments,
)
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = [
    "AROUND_SECONDS",
    "PCA_DIM",
    "WINDOW_SECONDS",
    "add_session_time",
    "cached_hand_features",
    "hand_features",
    "histogram_components",
    "histogram_windows",
    "input_means",
    "new_array",
    "pair_input_means",
    "pca_reference",
    "raw_keypoints",
    "window_moments",
]

WINDOW_SECONDS = (1.0, 2.0)
PCA_DIM = 64
PCA_FRAMES = 50_000
_HAND = "hand features, windowed"
_FEATURES = FeatureConfig(blocks=(*FeatureConfig().blocks, "walls"))

Channels = Float[Tensor, "time channel"]
Known = Bool[Tensor, "time channel"]


def raw_keypoints(store: Store, train: Sequence[StoreRow], folder: Path) -> Representation:
    """Coordinates relative to the recording's median point in pixels, 0 where missing, and the observed mask."""
    num_points = int(np.prod(store.keypoints.shape[1:3]))
    array = new_array(folder / "raw.npy", store.num_frames, 3 * num_points, np.float32)
    for row in store.rows:
        keypoints = store.keypoints[row.slice].reshape(row.frames, num_points, 2)
        seen = observed_points(keypoints)
        points = keypoints[seen]
        middle = np.median(points, axis=0) if len(points) else np.zeros(2)
        centered = np.where(seen[..., None], keypoints - middle, 0.0)
        array[row.slice] = np.concatenate([centered.reshape(row.frames, -1), seen], axis=1)
    return Representation("raw keypoints", (array,))


def hand_features(
    store: Store,
    train: Sequence[StoreRow],
    folder: Path,
    advance: Callable[[int], None] | None = None,
    rows: Sequence[StoreRow] | None = None,
) -> Representation:
    """Per-frame features with lags, and their mean and standard deviation over 1 s and 2 s, float16 [frames, dim].

    Body length, mean and standard deviation of each feature come from the training recordings.

    Parameters
    ----------
    advance : called with 1 after every recording.
    rows : recordings of the result, concatenated; all of the store by default.

    Raises
    ------
    InputError
        If the skeleton lacks the roles of the features.
    """
    featurizer = Featurizer(_FEATURES, store.skeleton).float()
    featurizer.fit(WindowReader([(store, row) for row in train], 1))
    rows = store.rows if rows is None else rows
    reader = WindowReader([(store, row) for row in rows], 1)
    array: np.memmap | None = None
    for pick, (row, part) in enumerate(zip(rows, all_frames(rows).slices, strict=True)):
        batch = reader.read([(pick, 0, row.frames)])
        values = _windowed(featurizer, batch, row.fps, store.skeleton)
        if array is None:
            num_frames = sum(row.frames for row in rows)
            array = new_array(folder / "hand.npy", num_frames, values.shape[1], np.float16)
        array[part] = values.numpy()
        if advance is not None:
            advance(1)
    assert array is not None
    array.flush()
    return Representation(_HAND, (array,))


def cached_hand_features(
    store: Store,
    train: Sequence[StoreRow],
    rows: Sequence[StoreRow],
    folder: Path,
    log: Callable[[], None] = lambda: None,
) -> Representation:
    """`hand_features`, cached in `folder` for this store and these recordings.

    Parameters
    ----------
    log : called before a computation.
    """
    record, file = folder / "hand.json", folder / "hand.npy"
    known = {"store": store.fingerprint(), "train": [row.id for row in train], "rows": [row.id for row in rows]}
    if record.exists() and file.exists() and read_json(record, "hand features") == known:
        return Representation(_HAND, (np.load(file, mmap_mode="r"),))
    log()
    record.unlink(missing_ok=True)
    features = hand_features(store, train, folder, rows=rows)
    write_json(record, known)
    return features


@torch.no_grad()
def _windowed(featurizer: Featurizer, batch: WindowBatch, fps: float, skeleton: Skeleton) -> Channels:
    """One recording's features: values per frame, and moments over each window."""
    values, known = featurizer.raw_channels(batch)
    clip = featurizer.config.clip
    values = ((values - featurizer.mean) / featurizer.std).clamp(-clip, clip)
    if skeleton.exchangeable:
        joined, seen = _mean_and_half_range(values[0], known[0])
    else:
        moments = joined_moments(values, known, False, featurizer.views(batch), skeleton.num_individuals)
        joined, seen = (part[0] for part in moments)
    parts = [joined.masked_fill(~seen, 0.0)]
    for seconds in WINDOW_SECONDS:
        parts += window_moments(joined, seen, 2 * round(seconds * fps / 2) + 1)
    return torch.cat(parts, dim=1)


def _mean_and_half_range(
    values: Float[Tensor, "time view channel"], known: Bool[Tensor, "time view channel"]
) -> tuple[Float[Tensor, "time joined"], Bool[Tensor, "time joined"]]:
    """Views of exchangeable animals: their mean, and half of the largest less the smallest known value."""
    count = known.sum(dim=1)
    total = values.masked_fill(~known, 0.0).sum(dim=1)
    largest, smallest = (values.masked_fill(~known, sign * torch.inf) for sign in (-1, 1))
    half = (largest.amax(dim=1) - smallest.amin(dim=1)).masked_fill(count < 2, 0.0) / 2
    return torch.cat([total / count.clamp_min(1), half], dim=1), torch.cat([count > 0, count > 1], dim=1)


def window_moments(values: Channels, known: Known, window: int) -> tuple[Channels, Channels]:
    """Mean and standard deviation over the known values of a centered window of an odd number of frames.

    At the ends of the recording the window is shorter. A window without known values has 0 for both.
    """
    assert window % 2 == 1

    def total(x: Channels) -> Float[Tensor, "channel time"]:
        columns = x.T.contiguous()
        return window * F.avg_pool1d(columns, window, stride=1, padding=window // 2)

    filled = values.masked_fill(~known, 0.0)
    count = total(known.to(values.dtype)).clamp_min(1)
    mean = total(filled) / count
    variance = (total(filled.square()) / count - mean.square()).clamp_min(0)
    return mean.T, variance.sqrt().T


def pca_reference(hand: Representation, train: Sequence[StoreRow], folder: Path) -> Representation:
    """The first 64 principal components of the standardized hand features of the training recordings."""
    (array,) = hand.arrays
    stride = max(1, sum(row.frames for row in train) // PCA_FRAMES)
    sampled = gather(array, Frames(tuple(train), tuple(np.arange(0, row.frames, stride) for row in train)))
    scaling = Standardizer.fit(sampled)
    standardized = scaling.transform_(sampled)
    axes, _ = principal_components(standardized.T @ standardized, PCA_DIM)
    components = axes.to(sampled.dtype)
    projected = new_array(folder / "pca.npy", len(array), components.shape[1], np.float32)
    for start in range(0, len(array), BLOCK_FRAMES):
        block = torch.from_numpy(np.asarray(array[start : start + BLOCK_FRAMES], dtype=np.float32))
        projected[start : start + BLOCK_FRAMES] = (scaling.transform_(block) @ components).numpy()
    return Representation(f"PCA-{components.shape[1]} of hand features", (projected,))


def add_session_time(reference: Representation, rows: Sequence[StoreRow]) -> Representation:
    """The reference with two more columns: the time from the start and to the end of the recording.

    Parameters
    ----------
    reference : rows of these recordings, concatenated.
    """
    frames = all_frames(rows)
    columns = np.empty((len(frames), 2), dtype=np.float32)
    for row, part in zip(rows, frames.slices, strict=True):
        frame = torch.arange(row.frames, dtype=torch.float32)[None]
        columns[part] = session_time(frame / row.fps, (row.frames - frame) / row.fps)[0].numpy()
    return replace(reference, arrays=tuple(_beside(array, columns) for array in reference.arrays))


def _beside(array: Matrix, columns: np.ndarray) -> Columns:
    assert isinstance(array, np.ndarray)
    return Columns((array, slice(None)), (columns, slice(None)))


def new_array(path: Path, num_frames: int, dim: int, dtype: type) -> np.memmap:
    """A new `.npy` on disk: references of long stores do not fit into memory."""
    make_folder(path.parent)
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(num_frames, dim))


AROUND_SECONDS = (1.0, 3.0, 10.0)
"""Lengths of the windows around a frame."""

BESIDE_SECONDS = 1.0
"""Length of the windows before and after a frame, for histograms only."""

STEPS_PER_SECOND = 5
"""Rate of the histogram components, interpolated between steps: histograms over 1 s and more change slowly."""

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

    The mean and the maximum over exchangeable animals are averaged; else the animals stand side by side, see
    `ssl_behavior.views.join_views`. A missing input is 0, the mean of the training recordings, as in the encoder.

    Parameters
    ----------
    train : recordings for body length, mean and standard deviation.
    config : of the inputs; the recipes' default by default.
    rows : recordings to compute, all of the store by default; frames of other recordings are 0.
    advance : called with 1 after every recording.

    Raises
    ------
    InputError
        If the skeleton lacks the roles of the inputs.
    """
    featurizer, rows = _fitted(store, train, config), tuple(store.rows if rows is None else rows)
    pooled, individuals = store.skeleton.exchangeable, store.skeleton.num_individuals
    width = featurizer.num_channels * (2 if pooled else individuals)
    array = new_array(folder / "input_means.npy", store.num_frames, len(AROUND_SECONDS) * width, np.float16)
    for row in rows:
        halves = [round(seconds * row.fps / 2) for seconds in AROUND_SECONDS]
        context = max(halves) + max(featurizer.receptive_field)
        for part, own, batch in _chunks(store, row, context, CHUNK_FRAMES):
            with torch.no_grad():
                joined = join_views(featurizer(batch), featurizer.views(batch), pooled, individuals)
                weight = torch.ones_like(joined[..., :1])
                means = sliding_means(joined, weight, [(-half, half) for half in halves])
            array[part] = torch.cat([mean[0, own] for mean, _ in means], dim=-1).numpy()
        if advance is not None:
            advance(1)
    return Representation("window means of the inputs", (array,))


def pair_input_means(
    store: PairStore, train: Sequence[StoreRow], folder: Path, config: FeatureConfig | None, advance: Advance
) -> Representation:
    """As `input_means`, of ordered pairs: the inputs of the agent's view toward the target.

    Of an animal with itself its views of all others, pooled as in an encoder.
    """
    recordings = {row.recording for row in train}
    featurizer = _fitted(store.scenes, [row for row in store.scene_rows if row.id in recordings], config)
    width = len(AROUND_SECONDS) * featurizer.num_channels
    array = new_array(folder / "pair_input_means.npy", store.num_frames, width, np.float16)
    for row in store.scene_rows:
        pairs = [pair for pair in store.rows if pair.recording == row.id]
        halves = [round(seconds * row.fps / 2) for seconds in AROUND_SECONDS]
        context = max(halves) + max(featurizer.receptive_field)
        for part, own, batch in _chunks(store.scenes, row, context, CHUNK_FRAMES):
            with torch.no_grad():
                features, views = featurizer(batch), featurizer.views(batch)
                for pair in pairs:
                    assert isinstance(pair, PairRow)
                    agent, target = (store.individuals.index(name) for name in (pair.agent, pair.target))
                    kept, view = views.of_agent(agent, None if agent == target else target)
                    values = view.over_targets(features[:, :, kept], view.seen())[0][:, :, 0]
                    means = sliding_means(values, torch.ones_like(values[..., :1]), [(-half, half) for half in halves])
                    here = slice(pair.offset + part.start - row.offset, pair.offset + part.stop - row.offset)
                    array[here] = torch.cat([mean[0, own] for mean, _ in means], dim=-1).numpy()
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
    """Principal components of windowed histograms of the encoder's inputs, and their rotation; float32 [frames, dim].

    The histograms of `ssl_behavior.window_statistics` count mean and standard deviation of every input in steps of
    0.2 s over five windows: the second before, the second after, and 1, 3 and 10 s around the frame. The windows have
    equal total variance; the principal components have unequal variances.

    Heads standardize columns, which makes weak components as large as strong ones. The second representation rotates
    the first to equal variances on the training frames: standardizing changes no distance in it.

    Parameters
    ----------
    num_columns : number of components; columns beyond the rank of the training frames are 0.
    train, config, advance : see `input_means`; `advance` is called twice for every recording.
    rows : see `input_means`; the training recordings are always computed.

    Raises
    ------
    InputError
        As `input_means`, and if the training recordings have no observed keypoint.
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
    moments = RunningCovariance(num_components)
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
    # Below 1 frame per second some windows coincide.
    around = dict.fromkeys(max(1, round(seconds * fps)) for seconds in AROUND_SECONDS)
    beside = (max(1, round(BESIDE_SECONDS * fps)),)
    return WindowsConfig(around_frames=tuple(around), past_frames=beside, future_frames=beside)


def _fitted(store: Store, train: Sequence[StoreRow], config: FeatureConfig | None) -> Featurizer:
    featurizer = Featurizer(config or FeatureConfig(), store.skeleton).float()
    return featurizer.fit(WindowReader([(store, row) for row in train], 1))


def _chunks(store: Store, row: StoreRow, context: int, chunk_frames: int) -> Iterator[tuple[slice, slice, WindowBatch]]:
    """A recording in chunks with up to `context` additional frames on either side.

    Yields (frames of the store, the same frames in the batch, batch of one window).
    """
    reader = WindowReader([(store, row)], 1)
    for start in range(0, row.frames, chunk_frames):
        stop = min(start + chunk_frames, row.frames)
        first, last = max(0, start - context), min(row.frames, stop + context)
        part = slice(row.offset + start, row.offset + stop)
        yield part, slice(start - first, stop - first), reader.read([(0, first, last - first)])


def _stride(fps: float) -> int:
    """Number of frames in a step."""
    return max(1, round(fps / STEPS_PER_SECOND))


@dataclass(frozen=True)
class _Histograms:
    """Quantile codes of steps, and their summaries."""

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
        # Each window needs enough codes for `num_columns` components of all windows.
        coding = QuantileCodes(QUANTILES, max(_CODES, -(-num_columns // 2)), pieces[0][0].shape[-1]).float().fit(pieces)
        codes = [coding(*piece) for piece in pieces]
    return _Histograms(coding, Summaries(config, coding.num_codes, _stride(fps)).float().fit(codes))


def _step_moments(batch: WindowBatch, featurizer: Featurizer) -> Piece:
    """Inputs of the histograms: moments of the features in every step, and masks of known moments."""
    stride = _stride(float(batch.fps[0]))
    features, known = (pad_to_multiple(values, stride) for values in featurizer.with_known(batch))
    valid = pad_to_multiple(batch.valid, stride)
    skeleton = featurizer.skeleton
    moments = step_moments(features, known, valid, stride)
    return joined_moments(*moments, skeleton.exchangeable, featurizer.views(batch), skeleton.num_individuals)


@torch.no_grad()
def _components(
    store: Store, row: StoreRow, featurizer: Featurizer, histograms: _Histograms
) -> Iterator[tuple[slice, Float[Tensor, "frame component"]]]:
    """(frames of the store, their components) of each chunk of a recording."""
    stride = _stride(row.fps)
    # One additional step: frames lie between the centers of two steps.
    context = (max(histograms.summaries.receptive_field) + 1) * stride + -(
        -max(featurizer.receptive_field) // stride
    ) * stride
    for part, own, batch in _chunks(store, row, context, -(-CHUNK_FRAMES // stride) * stride):
        piece = _step_moments(batch, featurizer)
        inside = torch.ones(piece[0].shape[:2], dtype=torch.bool)
        steps = histograms(piece, inside)
        yield part, to_frames(steps, inside, stride, batch.valid.shape[1])[0, own]
