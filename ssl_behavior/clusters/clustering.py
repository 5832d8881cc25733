"""A fitted clustering: fit it on embeddings, label frames with it.

`clusters.json` describes the clustering. `labels.npy` (int32 [frames], -1 = of no cluster) holds the labels as bouts;
`raw_labels.npy` the model's own label of each frame, before clusters are joined and bouts are made; `centroids.npy`
(float32 [cluster, dim]) the middle of each cluster. The other files label new frames: the space, for k-means
`kmeans_centroids.npy` and `hierarchy.npy`, for HDBSCAN its sample and the radii of its clusters.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.clusters.algorithms import (
    DensityConfig,
    DensityModel,
    KMeansConfig,
    KMeansModel,
    fit_centroids,
    fit_density,
    nearest,
)
from ssl_behavior.clusters.frame_clusters import FrameClusters, SmoothingConfig
from ssl_behavior.embedding_space import Space, SpaceConfig, sample_frames
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, array_of_rows, bout_columns, rows_of_recording
from ssl_behavior.errors import InputError
from ssl_behavior.plots import ethogram
from ssl_behavior.plots.style import class_colors
from ssl_behavior.processes import Processes, joined
from ssl_behavior.recording import NOT_ANNOTATED, Labels
from ssl_behavior.reprs import Described, data_frame, described_columns
from ssl_behavior.row_labels import stream_labels
from ssl_behavior.store import Store, open_store
from ssl_behavior.terminal import Progress, counted, listed, no_progress

__all__ = [
    "DENSITY_DIMS",
    "Clustering",
    "FittedOn",
    "bouts_of_frames",
    "fit_clusters",
    "fit_model",
    "predict_frames",
    "table_fingerprint",
]


_NO_CLUSTER = "none"


def table_fingerprint(rows: Sequence[EmbeddingRow]) -> str:
    """SHA-256 of a recordings table: ids, lengths and frame rates, in order."""
    return hashlib.sha256(json.dumps([[row.id, row.frames, row.fps] for row in rows]).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class FittedOn:
    """Data that a clustering was fitted on.

    Parameters
    ----------
    checkpoint, store, table : fingerprints of the encoder, of the embedded store, and of the recordings table.
    recordings : ids of the recordings used.
    frames : their number of frames.
    """

    checkpoint: str
    store: str
    table: str
    recordings: tuple[str, ...]
    frames: int

    @classmethod
    def of(cls, embeddings: Embeddings, rows: Sequence[EmbeddingRow]) -> "FittedOn":
        return cls(
            checkpoint=embeddings.checkpoint, store=embeddings.store, table=table_fingerprint(embeddings.rows),
            recordings=tuple(row.id for row in rows), frames=sum(row.frames for row in rows),
        )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Clustering(Described):
    """A fitted model, and its labels of some recordings.

    Parameters
    ----------
    model : fitted k-means or HDBSCAN.
    config, seed : settings of the fit.
    space : the space that it was fitted in.
    smoothing : how labels become bouts.
    fitted : the data it was fitted on.
    store : fingerprint of the store whose recordings are labeled.
    frames : the labels, as bouts.
    raw_labels : int32 [frames], the model's own label of each frame (see above).
    """

    model: KMeansModel | DensityModel
    config: KMeansConfig | DensityConfig
    seed: int
    space: Space
    smoothing: SmoothingConfig
    fitted: FittedOn
    store: str
    frames: FrameClusters
    raw_labels: np.ndarray

    @property
    def num_clusters(self) -> int:
        return self.frames.num_clusters

    def to_frame(self) -> Any:
        """Bouts as a pandas DataFrame: recording, agent and target where rows have them, frames, seconds, cluster.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        table, rows = self.frames.table, self.frames.rows
        columns = bout_columns([rows[number] for number in table.recording], table.start.tolist(), table.stop.tolist())
        return data_frame(columns | {"cluster": table.label.tolist()})

    def to_xarray(self, recording: str) -> Any:
        """Clusters of a recording as an xarray.DataArray (time), int32, -1 = of no cluster.

        `time` is in seconds. Of a recording with rows for its animals or pairs, the first dimension is `animal` or
        `pair`, with coordinates `agent` and `target`.

        Parameters
        ----------
        recording : id of a recording, or of one row of it.

        Raises
        ------
        InputError
            If there is no such recording, or xarray is not installed.
        """
        rows = rows_of_recording(self.frames.rows, recording, "the clustering")
        values = [np.array(self.frames.of(row)) for row in rows]
        return array_of_rows(rows, values, (), {}, "cluster", {"clusters": self.num_clusters})

    def plot(
        self,
        recording: str | None = None,
        *,
        store: Store | str | Path | None = None,
        rows: str = "classes",
        **options: Any,
    ) -> Any:
        """Draw an ethogram of the clusters in a recording, see `ssl_behavior.plots.ethogram`.

        For a map of the frames, see `Embeddings.plot`.

        Parameters
        ----------
        recording : id of a recording, or of one row of it; None = the first.
        store : store with the recording, whose label streams are drawn above the clusters; None = clusters alone.
        rows : "classes" = a row for each cluster; "streams" = one row, and a legend.
        options : further arguments of `ethogram`: frames, time, colors, title, ax.

        Raises
        ------
        InputError
            If there is no such recording, or matplotlib is not installed.
        """
        if not self.frames.rows:
            raise InputError("the clustering has no recordings to draw")
        own = rows_of_recording(self.frames.rows, recording or self.frames.rows[0].id, "the clustering")
        streams = _streams_of(store, own) if store is not None else {}
        for row in own:
            streams[f"clusters, {row.actors}" if row.agent else "clusters"] = self._as_labels(row)
        # A cluster has one color in all plots, whatever streams are above it.
        found = [streams[title] for title in reversed(streams)]
        colors = class_colors([name for one in found for name in one.vocabulary], [one.background for one in found])
        options = {"title": own[0].title if len(own) == 1 else own[0].recording, "colors": colors} | options
        return ethogram(streams if len(streams) > 1 else streams.popitem()[1], fps=own[0].fps, rows=rows, **options)

    def _as_labels(self, row: EmbeddingRow) -> Labels:
        """Clusters of a row as labels; frames of no cluster are background."""
        names, frames = tuple(map(str, range(self.num_clusters))), self.frames.of(row)
        if (frames >= 0).all():
            return Labels(vocabulary=names, frames=frames)
        return Labels(
            vocabulary=(*names, _NO_CLUSTER), frames=np.where(frames < 0, len(names), frames), background=_NO_CLUSTER
        )

    def _headline(self) -> str:
        frames, bouts = counted(len(self.frames.labels), "frame"), counted(len(self.frames.table), "bout")
        return f"Clustering: {counted(self.num_clusters, 'cluster')} of {frames}, {bouts}"

    def _facts(self) -> list[tuple[str, str]]:
        shares = self.sizes / max(1, len(self.frames.labels))
        return [
            ("shares", listed([f"{number}: {share:.1%}" for number, share in enumerate(shares)], 8)),
            ("columns", described_columns(self.space.config.kept(self.space.groups))),
            ("settings", ", ".join(f"{name} {value}" for name, value in asdict(self.config).items())),
        ]

    @property
    def sizes(self) -> np.ndarray:
        """int64 [cluster], frames with each label."""
        labels = self.frames.labels
        return np.bincount(labels[labels >= 0], minlength=self.num_clusters)

    def assign(
        self,
        embeddings: Embeddings,
        num_clusters: int | None = None,
        progress: Progress = no_progress,
    ) -> "Clustering":
        """Labels of other recordings of the same encoder; recordings that were fitted on get the same labels again.

        A recording's labels depend on its own frames alone. Under torchrun every process calls this method; they share
        the recordings, and all get all labels.

        Parameters
        ----------
        num_clusters : join the clusters to this number by their hierarchy; None = keep their number.

        Raises
        ------
        InputError
            If the embeddings come from another encoder, have other columns or non-finite numbers, or as in `cut`.
        """
        self.space.check(embeddings, "the clustering")
        model = self.model if num_clusters is None else self._cut_model(num_clusters)
        with joined() as processes:
            raw_labels = predict_frames(model, self.space, embeddings, progress, processes)
        return self._with_labels(model, embeddings.rows, raw_labels, embeddings.store)

    def cut(self, num_clusters: int) -> "Clustering":
        """The same frames with the clusters joined to `num_clusters` by their hierarchy.

        Raises
        ------
        InputError
            If there are fewer clusters, or the model is HDBSCAN, which has no centroids.
        """
        return self._with_labels(self._cut_model(num_clusters), self.frames.rows, self.raw_labels, self.store)

    def _with_labels(
        self, model: KMeansModel | DensityModel, rows: Sequence[EmbeddingRow], raw_labels: np.ndarray, store: str
    ) -> "Clustering":
        frames = bouts_of_frames(model, self.smoothing, rows, raw_labels)
        return replace(self, model=model, store=store, frames=frames, raw_labels=raw_labels)

    def _cut_model(self, num_clusters: int) -> KMeansModel:
        if not isinstance(self.model, KMeansModel):
            raise InputError("clusters of HDBSCAN cannot be joined to a smaller number; only clusters of k-means can")
        return self.model.cut(num_clusters)

    def check_labeled(self, embeddings: Embeddings) -> None:
        """Check that embeddings are those of the labeled frames.

        Raises
        ------
        InputError
            If the embeddings come from another encoder, have other columns or other recordings.
        """
        self.space.check(embeddings, "the clustering")
        if table_fingerprint(embeddings.rows) != table_fingerprint(self.frames.rows):
            ours, theirs = (
                {row.id: (row.frames, row.fps) for row in rows} for rows in (self.frames.rows, embeddings.rows)
            )
            other = next((name for name in [*ours, *theirs] if ours.get(name) != theirs.get(name)), None)
            differs = "their order differs" if other is None else f"recording {other!r} differs"
            raise InputError(
                f"the recordings of {embeddings.path} are not those that the clustering labels ({differs}): give the "
                "embeddings that were clustered, or label these with Clustering.assign (ssl-behavior assign)"
            )


def _streams_of(store: Store | str | Path, rows: Sequence[EmbeddingRow]) -> dict[str, Labels]:
    """Label streams of a recording: title -> labels; those of each of its animals or pairs where they differ."""
    found: dict[str, Labels] = {}
    for stream in stream_labels(open_store(store), rows):
        for row in rows[:1] if stream.of_recording else rows:
            title = stream.stream if stream.of_recording or not row.agent else f"{stream.stream}, {row.actors}"
            frames = np.asarray(stream.of(row))
            if (frames != NOT_ANNOTATED).any():
                found[title] = Labels(vocabulary=stream.classes, frames=frames, background=stream.background)
    return found


def predict_frames(
    model: KMeansModel | DensityModel,
    space: Space,
    embeddings: Embeddings,
    progress: Progress = no_progress,
    processes: Processes | None = None,
) -> np.ndarray:
    """Raw labels of all frames, int32 [frames], a block of a recording at a time.

    Blocks begin where a recording does, so that a recording's labels are the same, to the last bit, in any folder.

    Parameters
    ----------
    processes : those that share the recordings; None = this one alone.
    """
    processes = processes or Processes()
    out, rows = np.zeros(len(embeddings.array), np.int32), embeddings.rows
    work = processes.share([row.frames for row in rows])
    for row in map(rows.__getitem__, work):
        for span, points in space.blocks(embeddings, row.slice):
            out[row.slice][span] = model.predict(points)
            progress("labels", work.advance(len(points)), len(out))
    work.finish(lambda frames: progress("labels", frames, len(out)))
    return processes.summed(out)


def bouts_of_frames(
    model: KMeansModel | DensityModel, smoothing: SmoothingConfig, rows: Sequence[EmbeddingRow], raw_labels: np.ndarray
) -> FrameClusters:
    """Clusters of frames as bouts.

    Parameters
    ----------
    rows : the recordings, one after the other.
    raw_labels : int32 [frames], the model's own labels of these frames, see `predict_frames`.
    """
    clusters = model.clusters(raw_labels)
    labels = np.empty(len(clusters), np.int32)
    for row in rows:
        labels[row.slice] = smoothing.without_short(clusters[row.slice], row.fps)
    return FrameClusters(rows, labels, model.num_clusters)


DENSITY_DIMS = 5
"""Principal components for HDBSCAN: with many, all frames are about equally far from each other."""


def fit_clusters(
    embeddings: Embeddings,
    config: KMeansConfig | DensityConfig,
    space: SpaceConfig | None = None,
    smoothing: SmoothingConfig | None = None,
    rows: Sequence[EmbeddingRow] | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Clustering:
    """Find clusters, and label all frames of all recordings. Memory holds a sample and a block of frames.

    Cluster 0 has the most frames in `rows`, before bouts are made, cluster 1 the next most, and so on.

    Parameters
    ----------
    space : its `unit` makes k-means spherical; by default 128 dimensions for k-means, 5 for HDBSCAN.
    rows : recordings to fit space and clusters on; None = all.
    progress : called in the stages "k-means" or "HDBSCAN", and "labels".

    Raises
    ------
    InputError
        If numbers are not finite or all the same, there are fewer (distinct) frames than clusters, or HDBSCAN finds
        no cluster.
    """
    smoothing = smoothing or SmoothingConfig()
    if space is None:
        space = SpaceConfig(most_dims=DENSITY_DIMS) if isinstance(config, DensityConfig) else SpaceConfig()
    rows = embeddings.rows if rows is None else rows
    fitted = Space.fit(embeddings, space, seed, rows)
    sample = fitted.gather(embeddings, sample_frames(rows, config.sample, seed))
    model = fit_model(sample, config, fitted.config.unit, seed, progress)
    raw_labels = predict_frames(model, fitted, embeddings, progress)
    model, raw_labels = _by_size(model, raw_labels, rows)
    return Clustering(
        model=model, config=config, seed=seed, space=fitted, smoothing=smoothing,
        fitted=FittedOn.of(embeddings, rows), store=embeddings.store,
        frames=bouts_of_frames(model, smoothing, embeddings.rows, raw_labels), raw_labels=raw_labels,
    )  # fmt: skip


def fit_model(
    sample: np.ndarray,
    config: KMeansConfig | DensityConfig,
    spherical: bool,
    seed: int,
    progress: Progress = no_progress,
) -> KMeansModel | DensityModel:
    """Fit a model to points float32 [frames, dim]; the sizes of its clusters are those in the sample.

    Raises
    ------
    InputError
        If there are fewer (distinct) points than clusters, or HDBSCAN finds no cluster.
    """
    if isinstance(config, DensityConfig):
        progress("HDBSCAN", 0, 0)
        return fit_density(sample, config)

    centroids = fit_centroids(sample, config, spherical, seed, progress)
    sizes = np.bincount(nearest(sample, centroids), minlength=len(centroids))
    order = np.argsort(-sizes, kind="stable")
    return KMeansModel.of(centroids[order], sizes[order], config.clusters)


def _by_size(
    model: KMeansModel | DensityModel, raw_labels: np.ndarray, rows: Sequence[EmbeddingRow]
) -> tuple[KMeansModel | DensityModel, np.ndarray]:
    """The model with its clusters in the order of their frames in `rows`, and its labels renumbered."""
    sizes = np.zeros(model.num_clusters, np.int64)
    for own in (raw_labels[row.slice] for row in rows):
        sizes += np.bincount(own[own >= 0], minlength=len(sizes))
    order = np.argsort(-sizes, kind="stable")
    number = np.append(np.empty(len(sizes), np.int32), np.int32(-1))
    number[order] = np.arange(len(sizes))
    if isinstance(model, KMeansModel):
        # Every centroid has a frame of the sample, but rounding may give that frame to an equally near neighbor.
        counts = np.maximum(sizes[order], 1)
        ordered: KMeansModel | DensityModel = KMeansModel.of(model.centroids[order], counts, model.num_clusters)
    else:
        ordered = model.renumbered(order)
    return ordered, number[raw_labels]
