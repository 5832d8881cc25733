"""Typical bouts of clusters, as cells of a grid movie."""

from collections.abc import Collection, Sequence

import numpy as np

from ssl_behavior.bouts import BoutTable, Span
from ssl_behavior.clusters import Clustering
from ssl_behavior.clusters.bout_distances import medoid_bouts, place_bouts
from ssl_behavior.embeddings_folder import Embeddings, recording_numbers

__all__ = ["TypicalBouts"]


class TypicalBouts:
    """Chooser of the bouts that show what a cluster is, the same as on the cards of `ssl-behavior describe`.

    They are the bouts nearest to the cluster's middle, of at least its median length, from as many recordings as
    possible. Without embeddings, those whose length is nearest to the median.

    Parameters
    ----------
    clustering : the clusters.
    embeddings : that were clustered; None = choose by length.
    recordings : ids of the recordings to take bouts from.

    Raises
    ------
    InputError
        If the embeddings are not those that were clustered.
    """

    def __init__(self, clustering: Clustering, embeddings: Embeddings | None, recordings: Collection[str]) -> None:
        frames = clustering.frames
        self._rows, table = frames.rows, frames.table
        self._recordings = recording_numbers(frames.rows)
        if embeddings is None:
            distance = _gaps_to_median(table, clustering.num_clusters)
        else:
            clustering.check_labeled(embeddings)
            blocks = clustering.space.blocks(embeddings)
            distance = place_bouts(blocks, frames, clustering.model.centers, clustering.space.config.unit).distance
        wanted = np.array([row.recording in recordings for row in frames.rows], bool)
        inside = wanted[table.recording] if len(table) else np.zeros(0, bool)
        self._table, self._distance = table.take(inside), distance[inside]

    def of(self, cluster: int, most: int) -> list[Span]:
        """At most `most` bouts of a cluster, the most typical first; `recording` is the id of the clustering's row."""
        picks: Sequence[int] = medoid_bouts(self._table, self._distance, cluster, most, self._recordings).tolist()
        table = self._table
        return [
            Span(self._rows[int(table.recording[one])].id, int(table.start[one]), int(table.stop[one])) for one in picks
        ]

    def number_of(self, cluster: int) -> int:
        """Number of bouts to choose from."""
        return int((self._table.label == cluster).sum())


def _gaps_to_median(table: BoutTable, num_clusters: int) -> np.ndarray:
    """How far the length of each bout is from the median of its cluster, float64 [bout], s."""
    gaps = np.zeros(len(table))
    for cluster in range(num_clusters):
        own = table.label == cluster
        if own.any():
            gaps[own] = np.abs(table.seconds[own] - np.median(table.seconds[own]))
    return gaps
