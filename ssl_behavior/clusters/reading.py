"""Read a clustering from its folder, and check that it goes with what it is used with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.clusters.labels import FrameClusters
from ssl_behavior.embedding import EmbeddingRow, Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import read_json
from ssl_behavior.space import Space

__all__ = ["SavedClusters", "check_embeddings", "read_clusters"]


@dataclass(frozen=True, eq=False)
class SavedClusters:
    """A clustering on disk.

    Parameters
    ----------
    path : its folder.
    frames : the cluster of each frame.
    centroids : float32 [cluster, dim].
    space : in which they are.
    """

    path: Path
    frames: FrameClusters
    centroids: np.ndarray
    space: Space


def read_clusters(folder: str | Path) -> SavedClusters:
    """The clustering in a folder: `clusters.json`, `labels.npy`, `centroids.npy` and a space.

    Raises
    ------
    InputError
        If the folder holds none, or it is damaged.
    """
    folder = Path(folder)
    facts: dict[str, Any] = read_json(folder / "clusters.json", "a clustering")
    try:
        rows = [_row(row) for row in facts["recordings"]]
        number = int(facts["num_clusters"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}/clusters.json is damaged ({error!r}); cluster again") from None
    labels, centroids = _array(folder / "labels.npy", "r"), _array(folder / "centroids.npy", None)
    space = Space.load(folder)
    frames = sum(row.frames for row in rows)
    wanted = {"labels.npy": ((frames,), labels), "centroids.npy": ((number, space.dim), centroids)}
    for name, (shape, array) in wanted.items():
        if array.shape != shape:
            raise InputError(
                f"{folder} is damaged: {name} should have shape {list(shape)}, got {list(array.shape)}; cluster again"
            )
    if len(labels) and not (labels.min() >= -1 and labels.max() < number):
        raise InputError(f"{folder} is damaged: labels.npy holds clusters that are not -1 to {number - 1}")
    return SavedClusters(folder, FrameClusters(rows, labels, number), centroids, space)


def _row(values: dict[str, Any]) -> EmbeddingRow:
    return EmbeddingRow(
        id=str(values["id"]), offset=int(values["offset"]), frames=int(values["frames"]), fps=float(values["fps"])
    )


def _array(path: Path, mode: Any) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode=mode, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path.parent} is damaged: {path.name} cannot be read ({error}); cluster again") from None
    return array


def check_embeddings(saved: SavedClusters, embeddings: Embeddings) -> None:
    """Refuse embeddings other than those that were clustered.

    Raises
    ------
    InputError
        If they are of another encoder, have other columns, or are of other recordings.
    """
    saved.space.check(embeddings, f"the clustering {saved.path}")
    ours = {row.id: row.frames for row in saved.frames.rows}
    theirs = {row.id: row.frames for row in embeddings.rows}
    if list(ours.items()) != list(theirs.items()):
        other = next((id for id in [*ours, *theirs] if ours.get(id) != theirs.get(id)), "")
        what = f"recording {other!r} differs" if other else "their order differs"
        raise InputError(
            f"{embeddings.path} and {saved.path} are of different recordings ({what}): give the embeddings that these "
            "clusters were found in"
        )
