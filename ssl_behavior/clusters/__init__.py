"""Clusters of embedded frames: found, kept, given to new recordings, described and compared."""

from ssl_behavior.clusters.labels import FrameClusters

__all__ = ["FrameClusters"]
