"""Values of task programs over whole recordings of any length, block by block.

Programs look back in time (5 s since a contact) and a little ahead (half the lag of a velocity), so each block is read
with a margin on both sides; its values are then those of the whole recording. A user's program that looks further back
than the margin sees the margin alone.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ssl_behavior.programs.layout import PairMask
from ssl_behavior.programs.program_set import ProgramSet
from ssl_behavior.units import Actors
from ssl_behavior.views import pairs_of
from ssl_behavior.windows import WindowReader

__all__ = ["AFTER_SECONDS", "BEFORE_SECONDS", "pairs_of_actors", "recording_blocks"]

BEFORE_SECONDS, AFTER_SECONDS = 6.0, 1.0
"""Margin before and after a block."""

_BLOCK_FRAMES = 65_536
# The time since a contact is known 5 s after an animal was first seen. After a loss of tracking, a margin that shows
# nobody would begin this time again.
_LOST_SECONDS = 24.0


def pairs_of_actors(
    present: Bool[Tensor, "batch individual"], individuals: Sequence[str], actors: Actors
) -> PairMask | None:
    """The pairs of an animal with all others, or of one pair; None for the scene.

    An animal with itself has no other one.
    """
    if not actors.agent:
        return None
    agent = individuals.index(actors.agent)
    if actors.target == actors.agent:
        return torch.eye(len(individuals), dtype=torch.bool)[agent].diag().unsqueeze(0)
    return pairs_of(present, agent, individuals.index(actors.target) if actors.target else None)


@torch.no_grad()
def recording_blocks(
    sets: Sequence[ProgramSet], reader: WindowReader, pick: int, rows: Sequence[Actors]
) -> Iterator[tuple[int, list[list[Float[Tensor, "time attribute"]]]]]:
    """(first frame, values of each row by each set) of the blocks of a recording in order; NaN = unknown.

    Parameters
    ----------
    pick : number of the recording in the reader.
    rows : animals of each row, all of the unit of the sets.
    """
    row = reader.sources[pick][1]
    individuals = reader.skeleton.individuals
    before, after = round((BEFORE_SECONDS + _LOST_SECONDS) * row.fps), round(AFTER_SECONDS * row.fps)
    for start in range(0, row.frames, _BLOCK_FRAMES):
        stop = min(start + _BLOCK_FRAMES, row.frames)
        first, last = max(0, start - before), min(row.frames, stop + after)
        batch = reader.read([(pick, first, last - first)])
        inside = slice(start - first, stop - first)
        masks = [pairs_of_actors(batch.present, individuals, actors) for actors in rows]
        yield start, [[own.measure(batch, pairs)[0][inside] for own in sets] for pairs in masks]
