"""Which recordings a run learns from, and its batches: batch k of a run depends on its seed and k alone."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pretrain.config import DataConfig
from ssl_behavior import parallel
from ssl_behavior.errors import InputError
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store, StoreRow, common_fps
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["Data", "batch_recordings", "check_batch_size", "open_data", "training_batches", "validation_batches"]

Source = tuple[Store, StoreRow]


@dataclass(frozen=True)
class Data:
    """Training and held-out recordings; no recording is in both."""

    train: WindowReader
    validation: WindowReader | None
    fps: float
    fingerprint: str
    """SHA-256 over the contents of the stores and the ids of the recordings on either side."""


def open_data(stores: Sequence[Path], config: DataConfig, seed: int) -> Data:
    """Open the stores, choose the recordings and split them.

    Raises
    ------
    InputError
        If a store cannot be read, a pattern matches nothing, nothing is left to train on, or frame rates differ.
    """
    paths = [Path(path).resolve() for path in stores]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise InputError(f"{twice[0]} is named twice: its recordings would be on both sides of the split")
    sources = _chosen([Store(path) for path in stores], config)
    held_out = _with_copies(_held_out(sources, config, seed), sources)
    train = [source for source in sources if _key(source) not in held_out]
    validation = [source for source in sources if _key(source) in held_out]
    if not train:
        raise InputError(f"all {len(sources)} recordings are held out for validation: nothing is left to train on")
    return Data(
        train=WindowReader(train, config.window_frames, config.recordings_per_batch),
        validation=WindowReader(validation, config.window_frames, config.recordings_per_batch) if validation else None,
        fps=common_fps([row for _, row in sources], "choose those of one rate with --recordings"),
        fingerprint=_fingerprint(train, validation),
    )


def _with_copies(held_out: set[tuple[str, str]], sources: Sequence[Source]) -> set[tuple[str, str]]:
    """Those held out and every recording with the same tracks: a copy under another name is no new recording."""
    contents = {source[1].content_hash for source in sources if _key(source) in held_out}
    return {_key(source) for source in sources if source[1].content_hash in contents}


def _key(source: Source) -> tuple[str, str]:
    return str(source[0].path), source[1].id


def _matching(stores: Sequence[Store], patterns: Sequence[str], option: str) -> set[tuple[str, str]]:
    """Recordings that match any pattern; each pattern has to match in some store."""
    found: set[tuple[str, str]] = set()
    for pattern in patterns:
        matches, refusal = set(), None
        for store in stores:
            try:
                matches |= {_key((store, row)) for row in store.select([pattern])}
            except InputError as error:
                refusal = error
        if not matches:
            raise InputError(f"{option}: {refusal}")
        found |= matches
    return found


def _chosen(stores: Sequence[Store], config: DataConfig) -> list[Source]:
    sources = [(store, row) for store in stores for row in store.rows]
    if config.recordings:
        wanted = _matching(stores, config.recordings, "--recordings")
        sources = [source for source in sources if _key(source) in wanted]
    if config.subsets:
        there = sorted({row.subset for _, row in sources})
        if unknown := sorted(set(config.subsets) - set(there)):
            raise InputError(f"--subset: no recording has the subset {unknown[0]!r}; there are {there}")
        sources = [source for source in sources if source[1].subset in config.subsets]
    return sources


def _held_out(sources: Sequence[Source], config: DataConfig, seed: int) -> set[tuple[str, str]]:
    if config.validation:
        stores = list({id(store): store for store, _ in sources}.values())
        return _matching(stores, config.validation, "--validation")
    if config.validation_share == 0 or len(sources) < 2:
        return set()
    number = max(1, round(config.validation_share * len(sources)))
    picks = numpy_generator(seed, "split").permutation(len(sources))[:number]
    return {_key(sources[pick]) for pick in picks}


def _fingerprint(train: Sequence[Source], validation: Sequence[Source]) -> str:
    sides = [[[row.id, row.frames, row.content_hash] for _, row in side] for side in (train, validation)]
    skeleton = train[0][0].skeleton.to_dict()
    return hashlib.sha256(json.dumps([skeleton, *sides]).encode()).hexdigest()


def check_batch_size(config: DataConfig) -> None:
    """Refuse a batch that the processes cannot share evenly."""
    if config.batch_size % parallel.world_size():
        raise InputError(
            f"data.batch_size {config.batch_size} cannot be shared evenly by {parallel.world_size()} processes; "
            "choose a multiple"
        )


def training_batches(
    reader: WindowReader, batch_size: int, seed: int, steps: range
) -> Iterator[tuple[int, WindowBatch]]:
    """(step, this process's share of the step's batch); the next one is read while the caller computes."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        coming = None
        for step in steps:
            batch = (coming or pool.submit(_share, reader, batch_size, seed, step)).result()
            if step + 1 < steps.stop:
                coming = pool.submit(_share, reader, batch_size, seed, step + 1)
            yield step, batch


def _share(reader: WindowReader, batch_size: int, seed: int, step: int) -> WindowBatch:
    share = batch_size // parallel.world_size()
    batch = reader.sample(batch_size, numpy_generator(seed, "batch", step))
    return batch.part(parallel.rank() * share, (parallel.rank() + 1) * share)


def validation_batches(reader: WindowReader, config: DataConfig, seed: int) -> Iterator[WindowBatch]:
    """The same windows at every call."""
    for number in range(config.validation_batches):
        yield reader.sample(config.batch_size, numpy_generator(seed, "validation", number))


def batch_recordings(reader: WindowReader, batch_size: int, seed: int, step: int) -> list[str]:
    """Ids of the recordings in the batch of a step (for messages: it draws the batch anew)."""
    spans = reader.draw(batch_size, numpy_generator(seed, "batch", step))
    return sorted({reader.sources[pick][1].id for pick, _, _ in spans})
