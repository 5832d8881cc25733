"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def _double_precision():
    """Numerics are tested in float64 unless a test says otherwise."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("SSL_BEHAVIOR_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "rat_dyads").is_dir():
        pytest.skip(f"no real recordings at {folder}; name their folder in SSL_BEHAVIOR_DATA")
    return folder
