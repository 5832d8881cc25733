import numpy as np

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.embedding import EmbeddingRow


def test_bouts_and_shares_are_by_recording():
    rows = [EmbeddingRow(id="a", offset=0, frames=5, fps=30.0), EmbeddingRow(id="b", offset=5, frames=2, fps=30.0)]
    clusters = FrameClusters(rows, np.array([0, 0, 2, -1, 2, 2, 1], np.int32), 4)
    assert clusters.bouts(rows[0]) == [(0, 2, 0), (2, 3, 2), (4, 5, 2)]
    assert clusters.bouts(rows[1]) == [(0, 1, 2), (1, 2, 1)]
    np.testing.assert_allclose(clusters.shares(), [[0.4, 0, 0.4, 0], [0, 0.5, 0.5, 0]])


def test_a_recording_without_frames_has_no_share():
    rows = [EmbeddingRow(id="a", offset=0, frames=2, fps=30.0), EmbeddingRow(id="b", offset=2, frames=0, fps=30.0)]
    clusters = FrameClusters(rows, np.array([0, 1], np.int32), 2)
    assert clusters.shares().tolist() == [[0.5, 0.5], [0, 0]] and clusters.bouts(rows[1]) == []
