"""Folders of clusterings: writing, reading, and the clustered recordings of a store."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.clusters.algorithms import DensityConfig, DensityModel, KMeansConfig, KMeansModel
from ssl_behavior.clusters.clustering import Clustering, FittedOn, table_fingerprint
from ssl_behavior.clusters.frame_clusters import FrameClusters, SmoothingConfig
from ssl_behavior.configs import config_from_dict
from ssl_behavior.embedding_space import Space
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, read_contents, write_json
from ssl_behavior.store import Store, StoreRow

__all__ = ["MARKER", "ClusteredStore", "load_clustering", "load_frames", "save_clustering"]

FORMAT_VERSION = 2
MARKER = "clusters.json"
_METHODS: Mapping[str, type[KMeansConfig] | type[DensityConfig]] = {"kmeans": KMeansConfig, "hdbscan": DensityConfig}


def save_clustering(
    clustering: Clustering, out: str | Path, overwrite: bool = False, extra: Mapping[str, Any] | None = None
) -> None:
    """Write the folder `out`, whole or not at all.

    Parameters
    ----------
    extra : file name -> further contents, written as JSON.

    Raises
    ------
    InputError
        If `out` exists, or cannot be written.
    """
    with atomic_folder(Path(out), overwrite, MARKER) as folder:
        np.save(folder / "labels.npy", clustering.frames.labels)
        np.save(folder / "raw_labels.npy", clustering.raw_labels)
        np.save(folder / "centroids.npy", clustering.model.centers)
        for name, array in _arrays(clustering.model).items():
            np.save(folder / f"{name}.npy", array)
        clustering.space.save(folder)
        for name, value in (extra or {}).items():
            write_json(folder / name, value)
        write_json(folder / MARKER, _contents(clustering))


def _arrays(model: KMeansModel | DensityModel) -> dict[str, np.ndarray]:
    if isinstance(model, KMeansModel):
        return {"kmeans_centroids": model.centroids, "kmeans_sizes": model.sizes, "hierarchy": model.hierarchy}
    return {"sample": model.points, "sample_labels": model.labels, "radii": model.radii}


def _contents(clustering: Clustering) -> dict[str, Any]:
    rows = clustering.frames.rows
    method = next(name for name, config in _METHODS.items() if isinstance(clustering.config, config))
    return {
        "format": "ssl-behavior clusters",
        "version": FORMAT_VERSION,
        "method": method,
        "settings": asdict(clustering.config),
        "seed": clustering.seed,
        "smoothing": asdict(clustering.smoothing),
        "num_clusters": clustering.num_clusters,
        "sizes": clustering.sizes.tolist(),
        "of_no_cluster": int(np.count_nonzero(clustering.frames.labels < 0)),
        "checkpoint": clustering.space.checkpoint,
        "fitted": asdict(clustering.fitted),
        "store": clustering.store,
        "table": table_fingerprint(rows),
        "recordings": [row.facts() for row in rows],
    }


def load_clustering(path: str | Path) -> Clustering:
    """Read a folder that `save_clustering` wrote.

    Raises
    ------
    InputError
        If the folder holds no clustering, is damaged, or has another format version.
    """
    path = Path(path)
    with _damage_named(path):
        contents = _read_contents(path)
        clustering = _loaded(path, contents)
    if clustering.num_clusters != contents["num_clusters"] or clustering.sizes.tolist() != contents["sizes"]:
        raise _damaged(path, f"labels.npy does not match {MARKER}")
    return clustering


def load_frames(path: str | Path) -> FrameClusters:
    """Read the labels alone of a folder that `save_clustering` wrote; they are mapped from disk.

    Raises
    ------
    InputError
        See `load_clustering`.
    """
    path = Path(path)
    with _damage_named(path):
        return _frames(path, _read_contents(path), mapped=True)


def _read_contents(path: Path) -> dict[str, Any]:
    return read_contents(path, MARKER, "clusters", FORMAT_VERSION, ", or cluster again", "a clusters folder")


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn errors about missing or wrong fields of the JSON into an InputError that names the file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path, f"{MARKER} has missing or wrong fields ({error!r})") from None


def _frames(path: Path, contents: Mapping[str, Any], mapped: bool = False) -> FrameClusters:
    rows = [EmbeddingRow(**row) for row in contents["recordings"]]
    number = int(contents["num_clusters"])
    labels = _array(path, "labels", np.int32, (sum(row.frames for row in rows),), mapped)
    if len(labels) and not (labels.min() >= -1 and labels.max() < number):
        raise _damaged(path, f"labels.npy has clusters outside -1 to {number - 1}")
    return FrameClusters(rows, labels, number)


def _loaded(path: Path, contents: dict[str, Any]) -> Clustering:
    frames, space = _frames(path, contents), Space.load(path)
    model = _model(path, contents, space.dim)
    if not isinstance(model, KMeansModel) and model.num_clusters != frames.num_clusters:
        raise _damaged(path, f"{MARKER} gives {frames.num_clusters} clusters, but its sample has {model.num_clusters}")
    return Clustering(
        model=model,
        config=config_from_dict(_METHODS[contents["method"]], contents["settings"], f"{path}/{MARKER}", "settings"),
        seed=int(contents["seed"]),
        space=space,
        smoothing=config_from_dict(SmoothingConfig, contents["smoothing"], f"{path}/{MARKER}", "smoothing"),
        fitted=config_from_dict(FittedOn, contents["fitted"], f"{path}/{MARKER}", "fitted"),
        store=str(contents["store"]),
        frames=frames,
        raw_labels=_array(path, "raw_labels", np.int32, frames.labels.shape),
    )


def _model(path: Path, contents: dict[str, Any], dim: int) -> KMeansModel | DensityModel:
    if contents["method"] == "kmeans":
        centroids = _array(path, "kmeans_centroids", np.float32, (-1, dim))
        sizes = _array(path, "kmeans_sizes", np.int64, (len(centroids),))
        hierarchy = _array(path, "hierarchy", np.float64, (len(centroids) - 1, 4))
        model = KMeansModel(centroids, sizes, hierarchy, int(contents["num_clusters"]))
        if not 1 <= model.num_clusters <= len(centroids):
            raise _damaged(path, f"{MARKER} gives {model.num_clusters} clusters for {len(centroids)} centroids")
        return model
    points = _array(path, "sample", np.float32, (-1, dim))
    radii = _array(path, "radii", np.float64, (-1,))
    labels = _array(path, "sample_labels", np.int32, (len(points),))
    if not len(points) or labels.min() < -1 or labels.max() >= len(radii):
        raise _damaged(path, "the clusters of sample_labels.npy do not match radii.npy")
    return DensityModel(points, labels, radii)


def _array(folder: Path, name: str, dtype: type, shape: tuple[int, ...], mapped: bool = False) -> np.ndarray:
    """Read an array of the folder; -1 in `shape` is any length."""
    try:
        array: np.ndarray = np.load(folder / f"{name}.npy", "r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(folder, f"{name}.npy cannot be read ({error})") from None
    fits = len(array.shape) == len(shape) and all(
        want in (-1, have) for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        raise _damaged(
            folder, f"{name}.npy should be {np.dtype(dtype)} {list(shape)}, got {array.dtype} {list(array.shape)}"
        )
    return array


def _damaged(folder: Path, why: str) -> InputError:
    return InputError(f"{folder} is damaged: {why}; cluster again")


_FPS_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class ClusteredStore:
    """Clustered recordings and their rows in a store.

    Parameters
    ----------
    frames : the cluster of each frame.
    store : the store of the recordings.
    rows : the recording in the store of each row of the clustering, in its order.
    """

    frames: FrameClusters
    store: Store
    rows: Sequence[StoreRow]

    @classmethod
    def of(cls, frames: FrameClusters, store: Store) -> "ClusteredStore":
        """Find the clustered recordings in a store.

        Raises
        ------
        InputError
            If the store lacks one, or has it with another number of frames or another frame rate.
        """
        return cls(frames, store, [_same(row, store) for row in frames.rows])

    @property
    def num_clusters(self) -> int:
        return self.frames.num_clusters


def _same(row: EmbeddingRow, store: Store) -> StoreRow:
    found = store.row(row.recording)
    if found.frames != row.frames or abs(found.fps / row.fps - 1) > _FPS_TOLERANCE:
        raise InputError(
            f"{store.path}: recording {row.recording!r} has {found.frames} frames at {found.fps:g} per second, but was "
            f"clustered with {row.frames} at {row.fps:g}: give the store that was embedded"
        )
    return found
