"""Export to other tools: clusters and labels as annotations, embeddings as tables."""

from ssl_behavior.clusters.cluster_names import cluster_names, read_names
from ssl_behavior.exports.embeddings import (
    EMBEDDING_FORMATS,
    FrameColumn,
    cluster_column,
    export_embeddings,
    label_columns,
)
from ssl_behavior.exports.label_sources import clustered_recordings, stored_recordings

__all__ = [
    "EMBEDDING_FORMATS",
    "FrameColumn",
    "cluster_column",
    "cluster_names",
    "clustered_recordings",
    "export_embeddings",
    "label_columns",
    "read_names",
    "stored_recordings",
]
