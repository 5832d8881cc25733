"""An embeddings folder of any length, written in blocks: what a benchmark searches and clusters.

Not white noise: behaviors (clusters of different size and spread) take turns in bouts, and within a bout the embedding
moves slowly, as a real one does. Recordings of ten minutes at 30 frames per second.
"""

from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.files import write_json
from ssl_behavior.seeds import numpy_generator

RECORDING_FRAMES = 18_000
BOUT_FRAMES = 60
NUM_BEHAVIORS = 200
FACTORS = 24
NOISE = 0.1
MEMORY = 0.95
"""Of the slow movement, from frame to frame."""


def _behaviors(dim: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Center, spread and share of each behavior, and the directions in which all of them vary."""
    generator = numpy_generator(seed, "behaviours")
    centers = generator.normal(0, 1, (NUM_BEHAVIORS, dim)) / np.arange(1, dim + 1) ** 0.25
    spread = generator.uniform(0.3, 0.9, NUM_BEHAVIORS)
    share = generator.dirichlet(np.ones(NUM_BEHAVIORS))
    directions = generator.normal(0, 1, (FACTORS, dim)) / np.sqrt(FACTORS)
    return centers.astype(np.float32), spread.astype(np.float32), share, directions.astype(np.float32)


def _recording(generator: np.random.Generator, frames: int, parts: tuple[np.ndarray, ...]) -> np.ndarray:
    """float16 [frames, dim]: bouts, slow movement around their centers, and noise."""
    centers, spread, share, directions = parts
    lengths = 1 + generator.geometric(1 / BOUT_FRAMES, 1 + 3 * frames // BOUT_FRAMES)
    shown = np.repeat(generator.choice(NUM_BEHAVIORS, len(lengths), p=share), lengths)[:frames]
    drawn = generator.standard_normal((frames, FACTORS), dtype=np.float32)
    moved = lfilter([np.sqrt(1 - MEMORY**2)], [1, -MEMORY], drawn, axis=0).astype(np.float32)
    values = moved @ directions * spread[shown, None] + centers[shown]
    return (values + NOISE * generator.standard_normal(values.shape, dtype=np.float32)).astype(np.float16)


def simulate_embeddings(folder: Path, frames: int, dim: int, seed: int = 0) -> Embeddings:
    """Write them, or find those that an earlier call has written."""
    if (folder / "embeddings.json").exists():
        found = Embeddings(folder)
        if found.array.shape == (frames, dim):
            return found
    folder.mkdir(parents=True, exist_ok=True)
    array = np.lib.format.open_memmap(folder / "embeddings.npy", mode="w+", dtype=np.float16, shape=(frames, dim))
    parts, rows = _behaviors(dim, seed), []
    for number, offset in enumerate(range(0, frames, RECORDING_FRAMES)):
        count = min(RECORDING_FRAMES, frames - offset)
        array[offset : offset + count] = _recording(numpy_generator(seed, "recording", number), count, parts)
        rows.append({"id": f"{number:04d}", "offset": offset, "frames": count, "fps": 30.0})
    array.flush()
    contents = {
        "format": "ssl-behavior embeddings", "version": 1, "channel_groups": {"latent": dim}, "checkpoint": "simulated",
        "store": "simulated", "recordings": rows,
    }  # fmt: skip
    write_json(folder / "embeddings.json", contents)
    return Embeddings(folder)
