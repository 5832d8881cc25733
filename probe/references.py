"""What a learned embedding has to beat: raw keypoints, hand features over windows, PCA of those, an untrained encoder.

Two more are made of the encoder's own inputs: window means and windowed histograms.

All of them are meant to be strong. Hand features are the encoder's own inputs (egocentric poses, distances, motion over
several lags, visibility) and the walls, which the encoder does without, with mean and standard deviation over centred
windows; where the animals are anonymous both points of view are pooled, so that exchanging them changes nothing.

References made of the encoder's inputs around each frame: their means, and principal components of their histograms.

Neither learns more than quantiles and a rotation, yet both are strong: an encoder that is not ahead of them has learned
nothing about behavior that averages of its inputs do not say. Both are computed here, whatever groups an embedding has,
and fitted on the training recordings alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from probe.representations import BLOCK_FRAMES, Columns, Frames, Matrix, Representation, all_frames, gather
from ssl_behavior.features import FeatureConfig, Featurizer, session_time
from ssl_behavior.files import read_json, write_json
from ssl_behavior.nn import MixerConfig, pad_to_multiple, to_frames
from ssl_behavior.numerics import RunningCovariance, Standardizer, equal_variance_rotation, principal_components
from ssl_behavior.recording import observed_points
from ssl_behavior.sliding import WindowsConfig, sliding_means
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.summaries import QUANTILES, Piece, QuantileCodes, Summaries, SummariesConfig, scene_moments
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
    """Coordinates from the middle of the recording's range in pixels, 0 where missing, and what was observed."""
    num_points = int(np.prod(store.keypoints.shape[1:3]))
    array = new_array(folder / "raw.npy", store.num_frames, 3 * num_points, np.float32)
    for row in store.rows:
        keypoints = store.keypoints[row.slice].reshape(row.frames, num_points, 2)
        seen = observed_points(keypoints)
        points = keypoints[seen]
        middle = np.median(points, axis=0) if len(points) else np.zeros(2)
        centred = np.where(seen[..., None], keypoints - middle, 0.0)
        array[row.slice] = np.concatenate([centred.reshape(row.frames, -1), seen], axis=1)
    return Representation("raw keypoints", (array,))


def hand_features(
    store: Store,
    train: Sequence[StoreRow],
    folder: Path,
    advance: Callable[[int], None] | None = None,
    rows: Sequence[StoreRow] | None = None,
) -> Representation:
    """Per-frame features with lags, and their mean and standard deviation over 1 s and 2 s, float16 [frames, dim].

    Body length, mean and standard deviation of each feature are the training recordings'. `advance` is told of every
    recording done. `rows` are the recordings wanted, one after the other; all of the store by default.

    Raises
    ------
    InputError
        If the skeleton has not two animals, or lacks the roles that the features ask for.
    """
    featurizer = Featurizer(_FEATURES, store.skeleton).float()
    featurizer.fit(WindowReader([(store, row) for row in train], 1))
    rows = store.rows if rows is None else rows
    reader = WindowReader([(store, row) for row in rows], 1)
    array: np.memmap | None = None
    for pick, (row, part) in enumerate(zip(rows, all_frames(rows).slices, strict=True)):
        batch = reader.read([(pick, 0, row.frames)])
        values = _windowed(featurizer, batch, row.fps, store.skeleton.exchangeable)
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
    """`hand_features`, computed once: those that `folder` holds of this store and these recordings are taken.

    Parameters
    ----------
    log : called before they are computed.
    """
    record, file = folder / "hand.json", folder / "hand.npy"
    known = {"store": store.fingerprint(), "train": [row.id for row in train], "rows": [row.id for row in rows]}
    if record.exists() and file.exists() and read_json(record, "hand features") == known:
        return Representation(_HAND, (np.load(file, mmap_mode="r"),))
    log()
    record.unlink(missing_ok=True)
    made = hand_features(store, train, folder, rows=rows)
    write_json(record, known)
    return made


@torch.no_grad()
def _windowed(featurizer: Featurizer, batch: WindowBatch, fps: float, exchangeable: bool) -> Channels:
    """One recording's features: now, and moments over each window."""
    values, known = featurizer.raw_channels(batch)
    clip = featurizer.config.clip
    values = ((values - featurizer.mean) / featurizer.std).clamp(-clip, clip)[0]
    joined, seen = _joined(values, known[0], exchangeable)
    parts = [joined.masked_fill(~seen, 0.0)]
    for seconds in WINDOW_SECONDS:
        parts += window_moments(joined, seen, 2 * round(seconds * fps / 2) + 1)
    return torch.cat(parts, dim=1)


def _joined(
    values: Float[Tensor, "time individual channel"], known: Bool[Tensor, "time individual channel"], exchangeable: bool
) -> tuple[Float[Tensor, "time joined"], Bool[Tensor, "time joined"]]:
    """Both points of view side by side; or, of anonymous animals, their mean and half difference."""
    if not exchangeable:
        return values.flatten(1), known.flatten(1)
    count = known.sum(dim=1)
    total = values.masked_fill(~known, 0.0).sum(dim=1)
    both = known.all(dim=1)
    half = (values[:, 0] - values[:, 1]).abs() / 2
    return torch.cat([total / count.clamp_min(1), half], dim=1), torch.cat([count > 0, both], dim=1)


def window_moments(values: Channels, known: Known, window: int) -> tuple[Channels, Channels]:
    """Mean and standard deviation over the known values of a centred window of an odd number of frames.

    At the ends of the recording the window holds the frames that exist; where it knows no value both are 0.
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
    """The same reference and two columns more, that say how far the frame is from start and end of the recording.

    Parameters
    ----------
    reference : of these recordings, one after the other.
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
    """A `.npy` on disk: references of long stores do not fit into memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(num_frames, dim))


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
        context = max(halves) + max(featurizer.receptive_field)
        for part, own, batch in _chunks(store, row, context, CHUNK_FRAMES):
            with torch.no_grad():
                joined = _joined_views(featurizer(batch), store.skeleton.exchangeable)
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


def _joined_views(
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
    context = (max(histograms.summaries.receptive_field) + 1) * stride + -(
        -max(featurizer.receptive_field) // stride
    ) * stride
    for part, own, batch in _chunks(store, row, context, -(-CHUNK_FRAMES // stride) * stride):
        piece = _step_moments(batch, featurizer)
        inside = torch.ones(piece[0].shape[:2], dtype=torch.bool)
        steps = histograms(piece, inside)
        yield part, to_frames(steps, inside, stride, batch.valid.shape[1])[0, own]
