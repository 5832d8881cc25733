"""Numbers to colour a map by: what task programs say of its frames, and how well the animals were seen."""

from collections.abc import Sequence

import numpy as np
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.recording import observed_points
from ssl_behavior.report.contents import Channel
from ssl_behavior.store import Store, StoreRow, common_fps
from ssl_behavior.windows import WindowReader

__all__ = ["named", "program_channels", "tracking_channels"]

_CHUNK_FRAMES = 32_768
_MARGIN_SECONDS = 10.0
"""Read before and after a chunk: programs look back, at most five seconds."""


def tracking_channels(store: Store, frames: np.ndarray) -> tuple[Channel, ...]:
    """Share of the points that were seen and, where the store has it, the mean confidence of those.

    Parameters
    ----------
    frames : rising rows of the store.
    """
    seen = observed_points(store.keypoints[frames])
    share = Channel(
        name="points seen", units="%", values=seen.mean(axis=(1, 2)) * 100.0, about="Share of the keypoints observed."
    )
    if store.confidence is None:
        return (share,)
    confidence = store.confidence[frames]
    usable = seen & np.isfinite(confidence)
    count = usable.sum(axis=(1, 2))
    total = np.where(usable, confidence, 0.0).sum(axis=(1, 2), dtype=np.float64)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return share, Channel(name="confidence", values=mean, about="The tracker's confidence, mean of the points seen.")


def program_channels(
    store: Store, rows: Sequence[StoreRow], names: Sequence[str], recording: np.ndarray, frame: np.ndarray
) -> tuple[tuple[Channel, ...], tuple[str, ...]]:
    """(a channel for every attribute of the programs, what to tell about those left out).

    Parameters
    ----------
    rows : the report's recordings.
    names : names or globs of programs.
    recording, frame : of each point, rising.

    Raises
    ------
    InputError
        If a name matches no program.
    """
    config = ProgramsConfig(names=tuple(names)) if names else None
    if config is None:
        return (), ()
    try:
        fps = common_fps(rows, "so no program was measured")
        programs = ProgramSet(config, store.skeleton, fps)
    except InputError as error:
        return (), (f"The map cannot be coloured by programs: {error}.",)
    # Those that cannot run. What never changes is left out of training, not of a map.
    notices = programs.notices
    reader = WindowReader([(store, row) for row in rows], 1)
    programs.fit(reader)
    values = np.concatenate([_values(programs, reader, i, frame[recording == i]) for i in range(len(rows))])
    table = zip(programs.names, programs.units, programs.attribute_facts, values.T, strict=True)
    channels = tuple(
        Channel(name=named(name), units="" if units == "1" else units, values=own, about=facts.description)
        for name, units, facts, own in table
        if np.isfinite(own).any()
    )
    return channels, notices


def named(attribute: str) -> str:
    """An attribute's name for people.

    >>> named("nose_tail_distance.greater")
    'nose tail distance, greater'
    """
    return attribute.replace("_", " ").replace(".", ", ")


def _values(programs: ProgramSet, reader: WindowReader, pick: int, frame: np.ndarray) -> np.ndarray:
    """float32 [frame, attribute] of some frames of a recording, a chunk of it at a time."""
    row = reader.sources[pick][1]
    margin = int(_MARGIN_SECONDS * row.fps)
    out = np.empty((len(frame), programs.num_attributes), np.float32)
    for start in range(0, row.frames, _CHUNK_FRAMES):
        mine = np.flatnonzero((frame >= start) & (frame < start + _CHUNK_FRAMES))
        if not len(mine):
            continue
        first = max(0, start - margin)
        stop = min(row.frames, start + _CHUNK_FRAMES + margin)
        with torch.inference_mode():
            out[mine] = programs.measure(reader.read([(pick, first, stop - first)]))[0, frame[mine] - first].numpy()
    return out
