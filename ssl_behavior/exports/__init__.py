"""Export to other tools: clusters and labels as annotations, embeddings as tables."""

from ssl_behavior.exports.annotated_recordings import cluster_names, clustered_recordings, read_names, stored_recordings
from ssl_behavior.exports.embeddings import (
    EMBEDDING_FORMATS,
    FrameColumn,
    cluster_column,
    export_embeddings,
    label_columns,
)

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
