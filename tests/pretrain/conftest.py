"""A small store of two animals that move, and configurations small enough to train in a second."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain.config import DataConfig, LoopConfig, OptimConfig, RunConfig
from ssl_behavior.augment import AugmentConfig
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods.cpc import CPCConfig
from ssl_behavior.methods.summary_prediction import SummaryPredictionConfig
from ssl_behavior.nn import EncoderConfig, MixerConfig
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.window_statistics import SummariesConfig, WindowsConfig


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    """Training is tested as it runs, in float32, with every thread's number the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_num_threads(before)


def two_animals(name: str, frames: int, seed: int = 0, fps: float = 30.0, subset: str = "") -> Recording:
    """Two rigid animals on smooth random walks, with noise and a few missing points."""
    rng = np.random.default_rng([seed, frames, *name.encode()])
    skeleton = SKELETONS["calms21"]
    body = rng.normal(0, 15, (1, 2, skeleton.num_keypoints, 2)) + np.linspace(-30, 30, skeleton.num_keypoints)[:, None]
    walk = np.cumsum(rng.normal(0, 3, (frames, 2, 1, 2)), axis=0) + 300
    keypoints = (body + walk + rng.normal(0, 1, (frames, 2, skeleton.num_keypoints, 2))).astype(np.float32)
    keypoints[rng.random(keypoints.shape[:3]) < 0.02] = np.nan
    return Recording(id=name, keypoints=keypoints, fps=fps, skeleton=skeleton, individuals=("a", "b"), subset=subset)


@pytest.fixture
def make_recording() -> Callable[..., Recording]:
    """(name, frames, seed, fps, subset) -> a recording of two animals."""
    return two_animals


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five recordings of different lengths, one of them shorter than a window."""
    path = tmp_path_factory.mktemp("stores") / "store"
    lengths = (211, 307, 29, 401, 157)
    write_store(path, [two_animals(f"rec{i}", n, subset="ab"[i % 2]) for i, n in enumerate(lengths)])
    return path


@pytest.fixture(scope="session")
def tiny() -> RunConfig:
    """A CPC of a few thousand parameters: 12 steps."""
    encoder = EncoderConfig(
        stride=2, latent_dim=5, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1, 2)
    )
    method = CPCConfig(
        features=FeatureConfig(blocks=("pose", "relation"), lags_frames=(1,), speed_lags_frames=(1,)),
        encoder=encoder,
        augment=AugmentConfig(reflect=0.5, swap=0.3, drop_keypoints=0.1, drop_frames=4, jitter_px=0.5),
        horizons_frames=(2, 6),
        key_dim=3,
    )
    return RunConfig(
        method=method,
        data=DataConfig(window_frames=41, batch_size=6, validation_batches=2),
        optim=OptimConfig(lr=3e-3, warmup_steps=3),
        loop=LoopConfig(log_every=1, validate_every=5, checkpoint_every_steps=4, checkpoint_every_seconds=0.0),
        steps=12,
        device="cpu",
        precision="float32",
    )


@pytest.fixture(scope="session")
def tiny_summaries(tiny: RunConfig) -> RunConfig:
    """A summary prediction of a few thousand parameters on the same inputs and batches."""
    windows = WindowsConfig(around_frames=(6, 18), past_frames=(8,), future_frames=(8,))
    mixer = MixerConfig(view_dim=7, dim=6, windows_dim=4, windows=windows, quantiles=(0.25, 0.75), codes=9)
    method = SummaryPredictionConfig(
        features=tiny.method.features,
        encoder=EncoderConfig(stride=2, latent_dim=5, directions="none", mixer=mixer),
        summaries=SummariesConfig(windows=windows, components=8),
        span_frames=6,
        part_frames=15,
    )
    return replace(tiny, method=method, optim=replace(tiny.optim, optimizer="muon"))
