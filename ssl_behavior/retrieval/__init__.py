"""Neighbors: faiss indexes of embedded frames, and search for the bouts nearest to examples."""

from ssl_behavior.retrieval.frame_index import FrameIndex, IndexConfig, build_index
from ssl_behavior.retrieval.search import NearBout, Query, example_of, nearest_bouts, searchable

__all__ = [
    "FrameIndex", "IndexConfig", "NearBout", "Query", "build_index", "example_of", "nearest_bouts", "searchable",
]  # fmt: skip
