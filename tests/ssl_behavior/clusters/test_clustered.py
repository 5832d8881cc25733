"""Clusters and the recordings that they are of."""

import pytest

from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.errors import InputError
from ssl_behavior.store import write_store


def test_another_store_is_refused(clusters, dyad, tmp_path):
    def store(name, *recordings):
        return write_store(tmp_path / name, recordings)

    with pytest.raises(InputError, match="has no recording 'r0'"):
        ClusteredStore.of(clusters, store("others", dyad("x", 101)))
    with pytest.raises(InputError, match="'r0' has 97 frames at 30 per second, but was clustered with 101 at 30"):
        ClusteredStore.of(clusters, store("shorter", dyad("r0", 97), dyad("r1", 53), dyad("r2", 211)))
    with pytest.raises(InputError, match="at 25 per second"):
        ClusteredStore.of(
            clusters, store("slower", *(dyad(f"r{n}", f, fps=25.0) for n, f in enumerate((101, 53, 211))))
        )
    # The order of the store's recordings does not matter.
    mixed = store("mixed", dyad("r2", 211), dyad("r0", 101), dyad("more", 7), dyad("r1", 53))
    assert [row.id for row in ClusteredStore.of(clusters, mixed).rows] == ["r0", "r1", "r2"]
