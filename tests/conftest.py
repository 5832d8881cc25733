"""Fixtures shared by all tests."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.windows import WindowBatch, recording_window

BODIES = {
    "calms21": [(50, 0), (36, 12), (37, -13), (25, 0), (-20, 14), (-21, -15), (-35, 0)],
    "rat_dyads": [(45, 2), (3, 0), (-40, -1), (-71, 3), (-103, -2)],
}
"""Keypoints of an animal that looks along x, in pixels."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def pytest_runtest_setup(item):
    if sys.platform == "win32" and item.get_closest_marker("posix"):
        pytest.skip("Windows has no such signals or files")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Small tensors gain nothing from more threads, and tests that run beside each other lose by them."""
    torch.set_num_threads(1)


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


@pytest.fixture(scope="session")
def dyad():
    """Recordings of two animals that walk and turn smoothly, some of their points missing."""

    def make(name="walk", frames=101, skeleton="calms21", seed=0, missing=0.0, **fields) -> Recording:
        generator = np.random.default_rng([seed, frames])
        heading = np.cumsum(generator.normal(0, 0.1, (frames, 2)), axis=0) + generator.uniform(0, 6, 2)
        place = np.cumsum(generator.normal(0, 2, (frames, 2, 2)), axis=0) + np.array([[300, 200], [390, 260]])
        body = np.array(BODIES[skeleton], float) + generator.normal(0, 1.5, (frames, 2, len(BODIES[skeleton]), 2))
        cos, sin = np.cos(heading)[..., None], np.sin(heading)[..., None]
        turned = np.stack([body[..., 0] * cos - body[..., 1] * sin, body[..., 0] * sin + body[..., 1] * cos], -1)
        keypoints = (turned + place[:, :, None]).astype(np.float32)
        keypoints[generator.random(keypoints.shape[:3]) < missing] = np.nan
        return Recording(id=name, keypoints=keypoints, skeleton=SKELETONS[skeleton], **{"fps": 30.0} | fields)

    return make


@pytest.fixture(scope="session")
def batch_of():
    """Whole recordings of equal length as one batch of windows, in float64."""

    def make(*recordings: Recording) -> WindowBatch:
        parts = [
            recording_window(recording, 0, recording.num_frames).to("cpu", torch.float64) for recording in recordings
        ]
        fields = WindowBatch.__dataclass_fields__
        return WindowBatch(**{name: torch.cat([getattr(part, name) for part in parts]) for name in fields})

    return make


@pytest.fixture(scope="module")
def browser():
    """A running Chromium, or a skip; it ends with its module, because playwright starts only once at a time."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = str(own) if own.exists() else next(filter(None, map(shutil.which, BROWSERS)), None)
        if found is None:
            pytest.skip(f"no browser: none of {BROWSERS} is on the path, and playwright has none of its own")
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


def fingerprint(path, best=False):
    """Of the model in a checkpoint or run folder."""
    return load_checkpoint(path, best=best).fingerprint()
