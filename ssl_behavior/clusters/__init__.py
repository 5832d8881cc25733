"""Clusters of embedded frames: found, kept, given to new recordings, described and compared."""

from ssl_behavior.clusters.clustering import Clustering
from ssl_behavior.clusters.density import DensityConfig
from ssl_behavior.clusters.fitting import fit_clusters
from ssl_behavior.clusters.folder import load_clustering, load_frames, save_clustering
from ssl_behavior.clusters.kmeans import KMeansConfig
from ssl_behavior.clusters.labels import FrameClusters
from ssl_behavior.clusters.smoothing import SmoothingConfig

__all__ = [
    "Clustering",
    "DensityConfig",
    "FrameClusters",
    "KMeansConfig",
    "SmoothingConfig",
    "fit_clusters",
    "load_clustering",
    "load_frames",
    "save_clustering",
]
