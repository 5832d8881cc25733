"""Choice of the training recordings, and training batches: batch k of a run depends on its seed and k alone."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.config import DataConfig
from ssl_behavior import collectives
from ssl_behavior.errors import InputError
from ssl_behavior.labeled_windows import LabeledReader, LabelFacts, labels_fingerprint
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store, StoreRow, common_fps
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = [
    "Data", "batch_recordings", "check_batch_size", "chosen_sources", "labeled_sources", "open_data",
    "training_batches", "validation_batches",
]  # fmt: skip

Source = tuple[Store, StoreRow]
_HASHED_FRAMES = 1 << 16


@dataclass(frozen=True)
class Data:
    """Training and held-out recordings; no recording is in both."""

    train: WindowReader
    validation: WindowReader | None
    fps: float
    fingerprint: str
    """SHA-256 over the contents of the stores and the ids of the recordings on either side."""


def open_data(stores: Sequence[Path], config: DataConfig, seed: int, facts: LabelFacts | None = None) -> Data:
    """Open the stores, choose the recordings and split them.

    Parameters
    ----------
    facts : the labels to be learned, if any. The recordings held out are then some of those with labels.

    Raises
    ------
    InputError
        If a store cannot be read, a pattern matches nothing, nothing is left to train on, or frame rates differ.
    """
    sources = chosen_sources(stores, config)
    labeled = _with_streams(labeled_sources(sources, config), facts) if facts is not None else []
    held_out = _with_copies(_held_out(labeled or sources, config, seed, facts), sources)
    train = [source for source in sources if _key(source) not in held_out]
    validation = [source for source in sources if _key(source) in held_out]
    if not train or (labeled and all(_key(source) in held_out for source in labeled)):
        what = "recordings with labels" if labeled else "recordings"
        raise InputError(f"all {len(labeled or sources)} {what} are held out for validation: none is left to train on")
    labeled_keys = {_key(source) for source in labeled}
    individuals = _individuals(_stores_of(sources))

    def reader(side: Sequence[Source]) -> WindowReader:
        if facts is None:
            return WindowReader(side, config.window_frames, config.recordings_per_batch, individuals)
        return LabeledReader(side, config.window_frames, labeled_keys, facts, config.sampling, individuals)

    return Data(
        train=reader(train),
        validation=reader(validation) if validation else None,
        fps=common_fps([row for _, row in sources], "choose those of one rate with `recordings`"),
        fingerprint=_fingerprint(train, validation, labeled),
    )


def chosen_sources(stores: Sequence[Path], config: DataConfig) -> list[Source]:
    """The recordings that the configuration chooses from the stores.

    Raises
    ------
    InputError
        If a store cannot be read or is named twice, or a pattern or subset matches nothing.
    """
    paths = [Path(path).resolve() for path in stores]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise InputError(f"{twice[0]} is named twice: its recordings would be on both sides of the split")
    return _chosen([Store(path) for path in stores], config)


def labeled_sources(sources: Sequence[Source], config: DataConfig) -> list[Source]:
    """The recordings whose labels may be learned from: those named, else those of the subset "train".

    Raises
    ------
    InputError
        If a pattern matches nothing, or nothing was named and there is no such subset.
    """
    if config.labeled:
        matching = _matching(_stores_of(sources), config.labeled, "labeled")
        named = [source for source in sources if _key(source) in matching]
        _check_unseen(named, config)
        return named
    found = [source for source in sources if source[1].subset == "train"]
    if not found:
        raise InputError(
            "no recording has the subset 'train': name the recordings whose labels may be used with `labeled` (ids or "
            "globs, '*' for all), or give a split file with `split`"
        )
    return found


def _check_unseen(labeled: Sequence[Source], config: DataConfig) -> None:
    """Refuse a split whose training recordings, or copies of them, are also in another part."""
    for _, row in labeled:
        if any(row.id == pattern or fnmatchcase(row.id, pattern) for pattern in config.not_labeled):
            raise InputError(f"recording {row.id!r} is in the training part of the split and in another part")


def _with_streams(sources: Sequence[Source], facts: LabelFacts) -> list[Source]:
    return [source for source in sources if any(stream.name in source[1].annotators for stream in facts.streams)]


def _stores_of(sources: Sequence[Source]) -> list[Store]:
    return list({id(store): store for store, _ in sources}.values())


def _individuals(stores: Sequence[Store]) -> tuple[str, ...] | None:
    """Animals of the largest store, where stores differ in number and animals are told apart; else None."""
    largest = max(stores, key=lambda store: len(store.individuals))
    smaller = min(stores, key=lambda store: len(store.individuals))
    varied = len(largest.individuals) > len(smaller.individuals)
    return largest.individuals if varied and not stores[0].skeleton.exchangeable else None


def _with_copies(held_out: set[tuple[str, str]], sources: Sequence[Source]) -> set[tuple[str, str]]:
    """The held-out recordings and their copies: a recording with the same tracks is not a new one."""
    if not held_out:
        return set()
    same_animals = len({store.individuals for store, _ in sources}) == 1
    contents = {
        _key((store, row)): row.content_hash if same_animals else _present_hash(store, row) for store, row in sources
    }
    copied = {contents[key] for key in held_out}
    return {key for key, content in contents.items() if content in copied}


def _present_hash(store: Store, row: StoreRow) -> str:
    """SHA-256 of the tracks of the animals that a recording has, by name; equal in stores with more animals."""
    digest = hashlib.sha256()
    names = sorted(name for name in store.individuals if name not in row.absent)
    places = [store.individuals.index(name) for name in names]
    for start in range(row.offset, row.offset + row.frames, _HASHED_FRAMES):
        part = store.keypoints[start : min(start + _HASHED_FRAMES, row.offset + row.frames)]
        digest.update(np.ascontiguousarray(part[:, places]).data)
    return digest.hexdigest()


def _key(source: Source) -> tuple[str, str]:
    return str(source[0].path), source[1].id


def _matching(stores: Sequence[Store], patterns: Sequence[str], argument: str) -> set[tuple[str, str]]:
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
            raise InputError(f"`{argument}`: {refusal}")
        found |= matches
    return found


def _chosen(stores: Sequence[Store], config: DataConfig) -> list[Source]:
    sources = [(store, row) for store in stores for row in store.rows]
    if config.recordings:
        matching = _matching(stores, config.recordings, "recordings")
        sources = [source for source in sources if _key(source) in matching]
    if config.subsets:
        there = sorted({row.subset for _, row in sources})
        if unknown := sorted(set(config.subsets) - set(there)):
            raise InputError(f"`subsets`: no recording has the subset {unknown[0]!r}; there are {there}")
        sources = [source for source in sources if source[1].subset in config.subsets]
    return sources


def _held_out(
    sources: Sequence[Source], config: DataConfig, seed: int, learned: LabelFacts | None
) -> set[tuple[str, str]]:
    if config.validation:
        return _matching(_stores_of(sources), config.validation, "validation")
    if config.validation_share == 0 or len(sources) < 2:
        return set()
    number = max(1, round(config.validation_share * len(sources)))
    order = [sources[pick] for pick in numpy_generator(seed, "split").permutation(len(sources))]
    if learned is None:
        return {_key(source) for source in order[:number]}
    return _spared(order, number, learned)


def _spared(order: Sequence[Source], number: int, facts: LabelFacts) -> set[tuple[str, str]]:
    """About `number` recordings to hold out, in the given order; at least one of every stream that can spare one.

    A stream's or an annotator's last recording is never taken.
    """
    learned = [stream.name for stream in facts.streams]
    kinds = {_key(source): {pair for pair in source[1].annotators.items() if pair[0] in learned} for source in order}
    left = Counter(pair for pairs in kinds.values() for pair in pairs)
    held_out: set[tuple[str, str]] = set()

    def take(stream: str, most: int) -> None:
        """Recordings of a stream ("" = any), until `most` are taken."""
        for key, pairs in kinds.items():
            fits = not stream or any(name == stream for name, _ in pairs)
            if len(held_out) < most and key not in held_out and fits and all(left[pair] > 1 for pair in pairs):
                held_out.add(key)
                left.subtract(pairs)

    for name in learned:
        if not any(stream == name for key in held_out for stream, _ in kinds[key]):
            take(name, len(held_out) + 1)
    take("", number)
    return held_out


def _fingerprint(train: Sequence[Source], validation: Sequence[Source], labeled: Sequence[Source]) -> str:
    sides: list[Any] = [[[row.id, row.frames, row.content_hash] for _, row in side] for side in (train, validation)]
    if labeled:
        sides.append(labels_fingerprint(labeled))
    skeleton = train[0][0].skeleton.to_dict()
    return hashlib.sha256(json.dumps([skeleton, *sides]).encode()).hexdigest()


def check_batch_size(config: DataConfig) -> None:
    """Refuse a batch that the processes cannot share evenly."""
    if config.batch_size % collectives.world_size():
        raise InputError(
            f"data.batch_size {config.batch_size} cannot be shared evenly by {collectives.world_size()} processes; "
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
    share = batch_size // collectives.world_size()
    batch = reader.sample(batch_size, numpy_generator(seed, "batch", step))
    return batch.part(collectives.rank() * share, (collectives.rank() + 1) * share)


def validation_batches(reader: WindowReader, config: DataConfig, seed: int) -> Iterator[WindowBatch]:
    """The same windows at every call."""
    for number in range(config.validation_batches):
        yield reader.sample(config.batch_size, numpy_generator(seed, "validation", number))


def batch_recordings(reader: WindowReader, batch_size: int, seed: int, step: int) -> list[str]:
    """Ids of the recordings in the batch of a step (for messages: it draws the batch anew)."""
    spans = reader.draw(batch_size, numpy_generator(seed, "batch", step))
    return sorted({reader.sources[pick][1].id for pick, _, _ in spans})
