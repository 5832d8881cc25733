import numpy as np
import pytest
import torch

from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.files import write_json

FRAMES = {"a:1/x": 701, "b": 389, "c": 547}
DIM = 13


@pytest.fixture(autouse=True)
def _single():
    torch.set_default_dtype(torch.float32)


def _write(folder, array, frames=FRAMES, groups=None, checkpoint="c" * 64, store="s" * 64, fps=10.0):
    """An embeddings folder of an array."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "embeddings.npy", array)
    offsets = np.cumsum([0, *frames.values()])
    rows = [
        {"id": id, "offset": int(offset), "frames": many, "fps": fps}
        for (id, many), offset in zip(frames.items(), offsets, strict=False)
    ]
    contents = {
        "format": "ssl-behavior embeddings", "version": 1, "channel_groups": groups or {"latent": array.shape[1]},
        "checkpoint": checkpoint, "store": store, "recordings": rows,
    }  # fmt: skip
    write_json(folder / "embeddings.json", contents)
    return Embeddings(folder)


@pytest.fixture
def array():
    """Slow walks around seven places, as embeddings go: float16 [frames, 13]."""
    rng = np.random.default_rng(0)
    frames = sum(FRAMES.values())
    places = rng.normal(size=(7, DIM)) * 3
    shown = np.repeat(rng.integers(0, 7, frames), 23)[:frames]
    return (places[shown] + 0.3 * np.cumsum(rng.normal(size=(frames, DIM)), 0) % 3).astype(np.float16)


@pytest.fixture
def written(tmp_path):
    """(name, array, what else it says) -> an embeddings folder."""
    return lambda name, array, **facts: _write(tmp_path / name, array, **facts)


@pytest.fixture
def embeddings(written, array):
    return written("e", array)
