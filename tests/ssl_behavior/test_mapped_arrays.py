"""Pages of mapped arrays leave memory, and their values stay."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ssl_behavior.mapped_arrays import release_pages


def mapped_bytes():
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssFile:")) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="the system says no such number")
def test_pages_leave_memory_and_values_stay(tmp_path):
    values = np.arange(16_000_000, dtype=np.float32)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    assert mapped[::100].sum() == values[::100].sum()
    before = mapped_bytes()
    release_pages(mapped[5:].reshape(-1, 5))
    assert before - mapped_bytes() > 50_000_000
    np.testing.assert_array_equal(mapped, values)


def test_other_arrays_stay_as_they_are():
    values = np.arange(3)
    release_pages(values)
    assert values.tolist() == [0, 1, 2]
