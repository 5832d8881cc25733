"""Distribution of simulated recordings over subsets."""

from collections.abc import Iterator, Mapping

from ssl_behavior.errors import InputError

__all__ = ["DEFAULT_SUBSETS", "check_shares", "shared_out"]

DEFAULT_SUBSETS: Mapping[str, float] = {"train": 0.6, "validation": 0.2, "test": 0.2}


def shared_out(count: int, subsets: Mapping[str, float]) -> Iterator[tuple[str, int]]:
    """Subset of each recording, and its number within the subset; neither depends on how many follow."""
    made, total = dict.fromkeys(subsets, 0), sum(subsets.values())
    for index in range(count):
        subset = max(subsets, key=lambda name: subsets[name] / total * (index + 1) - made[name])
        yield subset, made[subset]
        made[subset] += 1


def check_shares(num_recordings: int, subsets: Mapping[str, float]) -> None:
    """Refuse no recordings, or shares of subsets that are none.

    Raises
    ------
    InputError
        Naming what was expected and what came.
    """
    if num_recordings < 1:
        raise InputError(f"a simulation needs at least 1 recording, got {num_recordings}")
    if not subsets or min(subsets.values()) < 0 or sum(subsets.values()) <= 0:
        raise InputError(f"the subsets' shares must be 0 or more and not all 0, got {dict(subsets)}")
