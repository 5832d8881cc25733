"""Search for bouts: nearest to examples, by faiss indexes of embedded frames, or those that a sentence describes."""

from ssl_behavior.retrieval.find import Neighbors, index_beside, neighbors
from ssl_behavior.retrieval.frame_index import FrameIndex, IndexConfig, build_index
from ssl_behavior.retrieval.search import NearBout, Query, example_of, nearest_bouts, searchable
from ssl_behavior.retrieval.sentence_search import FoundBout, FoundBouts, SentenceSearch, find_bouts

__all__ = [
    "FoundBout", "FoundBouts", "FrameIndex", "IndexConfig", "NearBout", "Neighbors", "Query", "SentenceSearch",
    "build_index", "example_of", "find_bouts", "index_beside", "nearest_bouts", "neighbors", "searchable",
]  # fmt: skip
