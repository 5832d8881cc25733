"""Clusters of embedded frames: found, kept, given to new recordings, described and compared."""

from ssl_behavior.clusters.algorithms import DensityConfig, KMeansConfig
from ssl_behavior.clusters.clustering import Clustering, fit_clusters
from ssl_behavior.clusters.find import cluster, compare, describe
from ssl_behavior.clusters.folder import load_clustering, load_frames, save_clustering
from ssl_behavior.clusters.frame_clusters import FrameClusters, SmoothingConfig

__all__ = [
    "Clustering",
    "DensityConfig",
    "FrameClusters",
    "KMeansConfig",
    "SmoothingConfig",
    "cluster",
    "compare",
    "describe",
    "fit_clusters",
    "load_clustering",
    "load_frames",
    "save_clustering",
]
