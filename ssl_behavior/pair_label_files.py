"""Label streams with agents and targets in a store: `pair_labels/<stream>/bouts.npy` and `looked_for.npy`.

Bouts are int64 [bout, (agent, target, behavior, start, stop)], the recordings one after the other; `looked_for.npy` is
bool [recording of the stream, agent, target, behavior]. `store.json` has the vocabulary and each recording's place.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import PairLabels

__all__ = [
    "PairPlace",
    "PairStream",
    "pair_stream_contents",
    "pair_streams_of",
    "read_pair_labels",
    "write_pair_stream",
]

_FOLDER = "pair_labels"


@dataclass(frozen=True, kw_only=True)
class PairPlace:
    """Place of a recording's bouts in the array of a stream."""

    start: int
    count: int
    annotator: str = ""


@dataclass(frozen=True, kw_only=True)
class PairStream:
    """Vocabulary of a stream with agents and targets, and the recordings that have it.

    Parameters
    ----------
    recordings : id -> place of its bouts; `looked_for` has a row for each, in this order.
    bouts_file, looked_for_file : arrays within the store.
    """

    vocabulary: tuple[str, ...]
    recordings: Mapping[str, PairPlace]
    bouts_file: str = field(compare=False)
    looked_for_file: str = field(compare=False)

    @property
    def num_bouts(self) -> int:
        return sum(place.count for place in self.recordings.values())


def pair_streams_of(contents: Mapping[str, Any], file: Path) -> dict[str, PairStream]:
    """Streams with agents and targets that a `store.json` lists; {} in stores without them.

    Raises
    ------
    InputError
        Naming the stream and the recording whose place is damaged.
    """
    streams = {}
    for name, own in contents.get("pair_streams", {}).items():
        places = {id: PairPlace(**place) for id, place in own["recordings"].items()}
        for id, place in places.items():
            if not (_is_count(place.start) and _is_count(place.count)):
                raise InputError(
                    f"{file} is damaged: label stream {name!r}, recording {id!r} has the bouts {place.start!r} and "
                    f"{place.count!r} more; expected whole numbers from 0 on"
                )
        streams[name] = PairStream(
            vocabulary=tuple(own["vocabulary"]), recordings=places, bouts_file=own["bouts"],
            looked_for_file=own["looked_for"],
        )  # fmt: skip
    return streams


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def pair_stream_contents(stream: PairStream) -> dict[str, Any]:
    """Entry of a stream in `store.json`."""
    return {
        "vocabulary": list(stream.vocabulary),
        "bouts": stream.bouts_file,
        "looked_for": stream.looked_for_file,
        "recordings": {id: asdict(place) for id, place in stream.recordings.items()},
    }


def write_pair_stream(
    folder: Path, name: str, labels: Mapping[str, PairLabels], num_individuals: int, version: str = ""
) -> PairStream:
    """Write the labels of all recordings as the arrays of one stream.

    Parameters
    ----------
    folder : of the store.
    labels : recording -> labels; their vocabularies are merged in order, and what is not in a recording's own was not
        looked for in it.
    num_individuals : of the store.
    version : part of the file names that keeps older arrays; "" = none.
    """
    vocabulary = tuple(dict.fromkeys(word for one in labels.values() for word in one.vocabulary))
    looked_for = np.zeros((len(labels), num_individuals, num_individuals, len(vocabulary)), dtype=bool)
    parts, places, start = [np.empty((0, 5), dtype=np.int64)], {}, 0
    for number, (id, one) in enumerate(labels.items()):
        table = np.array([vocabulary.index(word) for word in one.vocabulary])
        own = one.looked_for_of(num_individuals)
        looked_for[number, : len(own), : len(own), table] = own.transpose(2, 0, 1)
        bouts = one.bouts.copy()
        bouts[:, 2] = table[bouts[:, 2]]
        parts.append(np.unique(bouts, axis=0))
        places[id] = PairPlace(start=start, count=len(bouts), annotator=one.annotator)
        start += len(bouts)
    stream = PairStream(
        vocabulary=vocabulary, recordings=places, bouts_file=f"{_FOLDER}/{name}/bouts{version}.npy",
        looked_for_file=f"{_FOLDER}/{name}/looked_for{version}.npy",
    )  # fmt: skip
    (folder / _FOLDER / name).mkdir(parents=True, exist_ok=True)
    np.save(folder / stream.bouts_file, np.concatenate(parts))
    np.save(folder / stream.looked_for_file, looked_for)
    return stream


def read_pair_labels(
    folder: Path, stream: PairStream, recording: str, num_frames: int, num_individuals: int
) -> PairLabels:
    """Labels of a recording that has the stream.

    Raises
    ------
    InputError
        Naming the array that is missing or damaged, and what was expected in it.
    """
    place = stream.recordings[recording]
    size = (len(stream.recordings), num_individuals, num_individuals, len(stream.vocabulary))
    bouts = _array(folder, stream.bouts_file, np.int64, (stream.num_bouts, 5))
    number = list(stream.recordings).index(recording)
    looked_for = np.array(_array(folder, stream.looked_for_file, np.bool_, size)[number])
    own = np.array(bouts[place.start : place.start + place.count])
    where = f"{folder} is damaged: {stream.bouts_file}, recording {recording!r}"
    wrong = own[(own[:, 4] > num_frames) | (own[:, :2] >= num_individuals).any(axis=1)]
    if len(own) != place.count or len(wrong):
        found = wrong[0].tolist() if len(wrong) else f"{len(own)} bouts of {place.count}"
        raise InputError(
            f"{where}: expected bouts of {num_individuals} animals in {num_frames} frames, got {found}; import the "
            "recordings again"
        )
    try:
        return PairLabels(
            vocabulary=stream.vocabulary, bouts=own, looked_for=None if looked_for.all() else looked_for,
            annotator=place.annotator,
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"{where}: {error}; import the recordings again") from None


def _array(folder: Path, name: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """Memory-mapped array of a stream, checked."""
    try:
        array: np.ndarray = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{folder} is damaged: {name} is missing") from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{folder} is damaged: {name} cannot be read ({error})") from None
    if array.shape != shape or array.dtype != dtype:
        raise InputError(
            f"{folder} is damaged: {name} should be {np.dtype(dtype)} {list(shape)}, as store.json says, got "
            f"{array.dtype} {list(array.shape)}; import the recordings again"
        )
    return array
