"""Channels that color the points of a map: programs, and the quality of tracking."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.recording import observed_points
from ssl_behavior.reports.contents import Channel
from ssl_behavior.store import Store, StoreRow, common_fps
from ssl_behavior.units import Actors, Unit
from ssl_behavior.views import Pairs, pairs_of
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["named", "program_channels", "tracking_channels"]


_CHUNK_FRAMES = 32_768
_MARGIN_SECONDS = 10.0
"""Margin read before and after a chunk: programs look back by up to five seconds."""


def tracking_channels(store: Store, frames: np.ndarray) -> tuple[Channel, ...]:
    """Share of observed points and, where the store has it, their mean confidence.

    Parameters
    ----------
    frames : rows of the store, ascending.
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
    store: Store,
    rows: Sequence[StoreRow],
    names: Sequence[str],
    recording: np.ndarray,
    frame: np.ndarray,
    actors: Sequence[Actors] | None = None,
) -> tuple[tuple[Channel, ...], tuple[str, ...]]:
    """A channel for every attribute of the programs, and notices about those left out.

    Parameters
    ----------
    rows : the report's recordings; those of animals and pairs come once for each.
    names : names or globs of programs.
    recording, frame : number of the row and frame of each point.
    actors : the animals of each row, all of one unit; None = scenes.

    Raises
    ------
    InputError
        If a name matches no program.
    """
    actors = actors or [Actors()] * len(rows)
    config = ProgramsConfig(names=tuple(names)) if names else None
    if config is None:
        return (), ()
    try:
        fps = common_fps(rows, "so no program was measured")
        skeleton = replace(store.skeleton, individuals=store.individuals)
        programs = ProgramSet(config, skeleton, fps, _unit_of(actors, store))
    except InputError as error:
        return (), (f"The map cannot be colored by programs: {error}.",)
    # Only programs that cannot run are left out; training also leaves out constant ones.
    notices = programs.notices
    recordings = {row.id: row for row in rows}
    reader = WindowReader([(store, row) for row in recordings.values()], 1)
    programs.fit(reader)
    values = np.empty((len(frame), programs.num_attributes), np.float32)
    picks = {id: pick for pick, id in enumerate(recordings)}
    for i, (row, own) in enumerate(zip(rows, actors, strict=True)):
        values[recording == i] = _values(programs, reader, picks[row.id], own, frame[recording == i])
    table = zip(programs.names, programs.units, programs.attribute_facts, values.T, strict=True)
    channels = tuple(
        Channel(name=named(name), units="" if units == "1" else units, values=own, about=facts.description)
        for name, units, facts, own in table
        if np.isfinite(own).any()
    )
    return channels, notices


def named(attribute: str) -> str:
    """Name of an attribute in the report.

    >>> named("nose_tail_distance.greater")
    'nose tail distance, greater'
    """
    return attribute.replace("_", " ").replace(".", ", ")


def _unit_of(actors: Sequence[Actors], store: Store) -> Unit:
    """What the programs measure; a single animal paired with itself is an animal."""
    unit = actors[0].unit
    return "animal" if unit == "pair" and len(store.individuals) == 1 else unit


def _pairs(batch: WindowBatch, individuals: Sequence[str], actors: Actors) -> Pairs | None:
    """Pairs of animals that count in a row; None for a scene, which all animals that are there make."""
    if not actors.agent:
        return None
    agent, target = individuals.index(actors.agent), individuals.index(actors.target or actors.agent)
    if actors.target == actors.agent:
        return torch.diag(torch.eye(len(individuals), dtype=torch.bool)[agent]).unsqueeze(0)
    return pairs_of(batch.present, agent, target if actors.target else None)


def _values(programs: ProgramSet, reader: WindowReader, pick: int, actors: Actors, frame: np.ndarray) -> np.ndarray:
    """float32 [frame, attribute] of some frames of a recording or its animals, a chunk of it at a time."""
    individuals = reader.sources[pick][0].individuals
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
            batch = reader.read([(pick, first, stop - first)])
            measured = programs.measure(batch, _pairs(batch, individuals, actors))
            out[mine] = measured[0, frame[mine] - first].numpy()
    return out
