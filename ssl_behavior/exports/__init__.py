"""Out to other tools: clusters and labels as annotations, embeddings as tables."""

from ssl_behavior.exports.clustered import cluster_names, clustered_recordings, read_names
from ssl_behavior.exports.columns import FrameColumn, cluster_column, label_columns
from ssl_behavior.exports.embedding_formats import EMBEDDING_FORMATS, export_embeddings
from ssl_behavior.exports.stored import stored_recordings

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
