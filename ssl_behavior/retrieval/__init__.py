"""Neighbors: faiss indexes of embedded frames, and search for the bouts nearest to examples."""

from ssl_behavior.retrieval.find import Neighbors, index_beside, neighbors
from ssl_behavior.retrieval.frame_index import FrameIndex, IndexConfig, build_index
from ssl_behavior.retrieval.search import NearBout, Query, example_of, nearest_bouts, searchable

__all__ = [
    "FrameIndex", "IndexConfig", "NearBout", "Neighbors", "Query", "build_index", "example_of", "index_beside",
    "nearest_bouts", "neighbors", "searchable",
]  # fmt: skip
