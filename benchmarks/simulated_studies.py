"""Simulated studies: groups of animals whose use of clusters differs, or does not; to test, and to plan a study.

Each recording is a row of bouts. Which cluster comes next is drawn by the animal's own weights (a bout may go on),
which are log-normal around those of its group; bout lengths are exponential. Where a difference is planted, the two
clusters it is in exchange their weights in the second group: all others are used exactly alike.
"""

from dataclasses import dataclass

import numpy as np

from ssl_behavior.clusters.frame_clusters import FrameClusters
from ssl_behavior.clusters.groups import Groups
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.seeds import numpy_generator

__all__ = ["PLANTED", "StudyConfig", "simulate_study"]

PLANTED = (0, 1)
"""The clusters in which a difference is planted."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """A study of two groups.

    Parameters
    ----------
    animals : in each group.
    recordings : of each animal.
    minutes, fps : of each recording.
    num_clusters : how many there are.
    ratio : how much more often than the second cluster the first begins, in the first group; in the second group it is
        the other way round. 1 = nothing is planted.
    spread : standard deviation of the logarithm of an animal's weights, cluster by cluster.
    bout_seconds : mean length of a bout.

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    animals: int = 8
    recordings: int = 2
    minutes: float = 10.0
    fps: float = 10.0
    num_clusters: int = 20
    ratio: float = 1.0
    spread: float = 0.25
    bout_seconds: float = 1.0

    def __post_init__(self) -> None:
        if min(self.animals, self.recordings) < 1 or self.num_clusters < len(PLANTED):
            raise InputError(f"a study needs animals, recordings and at least two clusters, got {self}")
        if min(self.minutes, self.fps, self.ratio, self.bout_seconds) <= 0 or self.spread < 0:
            raise InputError(f"a study's minutes, fps, ratio and bout_seconds must be above 0, got {self}")


def simulate_study(config: StudyConfig, seed: int) -> tuple[FrameClusters, Groups]:
    """The clusters of all recordings, and who was treated: groups "control" and "treated"."""
    generator = numpy_generator(seed, "study")
    usual = np.ones(config.num_clusters)
    usual[list(PLANTED)] = np.sqrt(config.ratio), 1 / np.sqrt(config.ratio)
    rows: list[EmbeddingRow] = []
    labels: list[np.ndarray] = []
    group: dict[str, str] = {}
    animal: dict[str, str] = {}
    frames = round(config.minutes * 60 * config.fps)
    for name, base in (("control", usual), ("treated", _exchanged(usual))):
        for number in range(config.animals):
            weights = base * np.exp(config.spread * generator.standard_normal(config.num_clusters))
            for _ in range(config.recordings):
                id = f"recording{len(rows) + 1:03d}"
                rows.append(EmbeddingRow(id=id, offset=len(rows) * frames, frames=frames, fps=config.fps))
                labels.append(_sequence(generator, weights / weights.sum(), frames, config))
                group[id], animal[id] = name, f"{name}{number + 1:02d}"
    clusters = FrameClusters(rows, np.concatenate(labels), config.num_clusters)
    names = ("control", "treated")
    return clusters, Groups(factor="treatment", names=names, group=group, animal=animal, within=False)


def _exchanged(weights: np.ndarray) -> np.ndarray:
    exchanged = weights.copy()
    exchanged[list(PLANTED)] = weights[list(PLANTED)[::-1]]
    return exchanged


def _sequence(generator: np.random.Generator, probability: np.ndarray, frames: int, config: StudyConfig) -> np.ndarray:
    """The cluster of each frame of a recording, int32 [time]."""
    mean = config.bout_seconds * config.fps
    number = int(2 * frames / mean) + 20
    lengths = np.ceil(generator.exponential(mean, number)).astype(np.int64)
    clusters = generator.choice(len(probability), number, p=probability)
    return np.resize(np.repeat(clusters, lengths), frames).astype(np.int32)
