"""What a learned embedding has to beat: raw keypoints, hand features over windows, PCA of those, an untrained encoder.

`probe.windowed_inputs` has more, made of the encoder's own inputs.

All of them are meant to be strong. Hand features are the encoder's own inputs (egocentric poses, distances, motion over
several lags, visibility) and the walls, which the encoder does without, with mean and standard deviation over centred
windows; where the animals are anonymous both points of view are pooled, so that exchanging them changes nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from probe.representations import BLOCK_FRAMES, Columns, Frames, Matrix, Representation, Scaling, all_frames, gather
from ssl_behavior.features import FeatureConfig, Featurizer, session_time
from ssl_behavior.files import read_json, write_json
from ssl_behavior.recording import observed_points
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = [
    "PCA_DIM",
    "WINDOW_SECONDS",
    "hand_features",
    "kept_hand_features",
    "new_array",
    "pca_reference",
    "raw_keypoints",
    "window_moments",
    "with_time",
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


def kept_hand_features(
    store: Store,
    train: Sequence[StoreRow],
    rows: Sequence[StoreRow],
    folder: Path,
    say: Callable[[], None] = lambda: None,
) -> Representation:
    """`hand_features`, computed once: those that `folder` holds of this store and these recordings are taken.

    Parameters
    ----------
    say : called before they are computed.
    """
    record, file = folder / "hand.json", folder / "hand.npy"
    known = {"store": store.fingerprint(), "train": [row.id for row in train], "rows": [row.id for row in rows]}
    if record.exists() and file.exists() and read_json(record, "hand features") == known:
        return Representation(_HAND, (np.load(file, mmap_mode="r"),))
    say()
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
    """The first 64 principal components of the standardised hand features of the training recordings."""
    (array,) = hand.arrays
    stride = max(1, sum(row.frames for row in train) // PCA_FRAMES)
    sampled = gather(array, Frames(tuple(train), tuple(np.arange(0, row.frames, stride) for row in train)))
    scaling = Scaling.of(sampled)
    standardised = scaling.apply_(sampled)
    _, vectors = torch.linalg.eigh((standardised.T @ standardised).double())
    components = vectors[:, -PCA_DIM:].flip(1).to(sampled.dtype)
    projected = new_array(folder / "pca.npy", len(array), components.shape[1], np.float32)
    for start in range(0, len(array), BLOCK_FRAMES):
        block = torch.from_numpy(np.asarray(array[start : start + BLOCK_FRAMES], dtype=np.float32))
        projected[start : start + BLOCK_FRAMES] = (scaling.apply_(block) @ components).numpy()
    return Representation(f"PCA-{components.shape[1]} of hand features", (projected,))


def with_time(reference: Representation, rows: Sequence[StoreRow]) -> Representation:
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
