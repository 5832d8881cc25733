"""A job and the machine's ceiling, timed in turn."""

import statistics
import time
from collections.abc import Callable

__all__ = ["in_turn", "seconds"]


def seconds(job: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def in_turn(job: Callable[[], object], ceiling: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the pairwise ratios job / ceiling; one uncounted round first."""
    job(), ceiling()
    pairs = [(seconds(job), seconds(ceiling)) for _ in range(repeats)]
    own, best = (statistics.median(times) for times in zip(*pairs, strict=True))
    return own, best, statistics.median(j / c for j, c in pairs)
