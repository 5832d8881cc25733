"""Windows of recordings: `WindowReader` cuts them, `WindowBatch` holds them. A window never spans two recordings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ssl_behavior.errors import InputError
from ssl_behavior.individuals import advise_individuals
from ssl_behavior.recording import Recording, observed_points, take_or_missing
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import listed

__all__ = ["WindowBatch", "WindowReader", "arena_of", "recording_window"]

_ARENA_SAMPLE_FRAMES = 20_000
_ARENA_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class WindowBatch:
    """A batch of windows of equal length, cut from recordings.

    Where a point is not observed its coordinates are 0 and `observed` is False: NaN ends here.
    """

    keypoints: Float[Tensor, "batch time individual keypoint space"]
    """Pixels; 0 where not observed."""
    observed: Bool[Tensor, "batch time individual keypoint"]
    valid: Bool[Tensor, "batch time"]
    """False = padding: a frame before the start or after the end of the recording."""
    arena: Float[Tensor, "batch corner"]
    """x0, y0, x1, y1 in pixels: where the animals of this recording can go."""
    frame: Int[Tensor, "batch time"]
    """Frame number in the recording (negative or too large in padding)."""
    length: Int[Tensor, " batch"]
    """Frames of the whole recording."""
    fps: Float[Tensor, " batch"]
    px_per_cm: Float[Tensor, " batch"]
    """The recording's scale; 0 where it is not known."""
    present: Bool[Tensor, "batch individual"]
    """False = an animal that the recording does not have, and that is masked everywhere."""

    def __len__(self) -> int:
        return len(self.keypoints)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "WindowBatch":
        """The same windows on another device; `dtype` applies to the floating point fields."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            moved[field.name] = value.to(device, dtype if value.is_floating_point() else None)
        return replace(self, **moved)

    def part(self, start: int, stop: int) -> "WindowBatch":
        """Windows start..stop of the batch, e.g. the share of one process."""
        return replace(self, **{field.name: getattr(self, field.name)[start:stop] for field in fields(self)})

    def swapped(self) -> "WindowBatch":
        """The same windows with the order of the animals reversed."""
        return replace(
            self, keypoints=self.keypoints.flip(2), observed=self.observed.flip(2), present=self.present.flip(1)
        )


class WindowReader:
    """Cuts windows out of the recordings of one or several stores.

    Parameters
    ----------
    sources : (store, row) of every recording to read; all stores have the same keypoints.
    window_frames : length of the windows `sample` draws.
    recordings_per_batch : above 0, the windows of a batch come from this many draws of a recording. Negatives are
        then mostly other times of the same recording, which identity and place do not reveal.
    individuals : names of animals that are told apart, in the order of the windows; those that a store lacks are
        absent. None = of the first store, if its animals are told apart. Exchangeable ones have the order of their
        store, and any number: a batch has as many as the largest store in it, the others' last ones absent.

    Attributes
    ----------
    skeleton : of the windows; `individuals` are those of the largest store, or given.
    num_individuals : largest number of animals in a window.

    Raises
    ------
    InputError
        If there is no recording, the stores differ in keypoints, or one has an animal that is not among `individuals`.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Store, StoreRow]],
        window_frames: int,
        recordings_per_batch: int = 0,
        individuals: Sequence[str] | None = None,
    ) -> None:
        if not sources:
            raise InputError("there are no recordings to read windows from")
        if window_frames < 1:
            raise InputError(f"window_frames must be at least 1, got {window_frames}")
        first = sources[0][0]
        stores = list({id(store): store for store, _ in sources}.values())
        for store in stores:
            if store.skeleton.keypoints != first.skeleton.keypoints:
                raise InputError(
                    f"{store.path} and {first.path} cannot be read together: they have different keypoints"
                )
        self._columns: dict[int, list[int] | None] = dict.fromkeys(map(id, stores))
        largest = max(stores, key=lambda store: len(store.individuals))
        self.skeleton = replace(first.skeleton, individuals=largest.individuals)
        self.num_individuals = len(largest.individuals)
        if individuals is not None or not first.skeleton.exchangeable:
            known = tuple(first.individuals if individuals is None else individuals)
            who = str(first.path) if individuals is None else "the encoder"
            self._columns = {id(store): _columns_of(store, known, who) for store in stores}
            self.skeleton = replace(first.skeleton, individuals=known)
            self.num_individuals = len(known)
        self.sources = list(sources)
        self.window_frames, self.recordings_per_batch = window_frames, recordings_per_batch
        self._arenas: dict[int, np.ndarray] = {}

    @cached_property
    def _shares(self) -> np.ndarray:
        frames = np.array([row.frames for _, row in self.sources], dtype=np.float64)
        return np.cumsum(frames / frames.sum())

    @property
    def num_frames(self) -> int:
        return sum(row.frames for _, row in self.sources)

    def sample(self, batch_size: int, generator: np.random.Generator) -> WindowBatch:
        """Random windows, see `draw`."""
        return self.read(self.draw(batch_size, generator))

    def draw(self, batch_size: int, generator: np.random.Generator) -> list[tuple[int, int, int]]:
        """Random spans for `read`: recordings in proportion to their length, starts uniform; short ones padded."""
        draws = min(self.recordings_per_batch or batch_size, batch_size)
        drawn = np.searchsorted(self._shares, generator.random(draws), side="right")
        picks = np.minimum(drawn, len(self.sources) - 1)[np.arange(batch_size) % draws]
        return [self._anywhere_in(int(pick), generator) for pick in picks]

    def _anywhere_in(self, pick: int, generator: np.random.Generator) -> tuple[int, int, int]:
        """Random span of a recording with uniform start; the whole of a short recording."""
        return pick, int(generator.integers(0, self._room(pick) + 1)), self.window_frames

    def _room(self, pick: int) -> int:
        """Last frame of a recording at which a window may start."""
        return max(0, self.sources[pick][1].frames - self.window_frames)

    def read(self, spans: Sequence[tuple[int, int, int]]) -> WindowBatch:
        """Windows given as (index into `sources`, first frame, number of frames), all of one length."""
        parts = []
        for pick, start, frames in spans:
            store, row = self.sources[pick]
            inside = slice(row.offset + max(start, 0), row.offset + max(0, min(start + frames, row.frames)))
            scale = (row.fps, row.px_per_cm)
            keypoints, present = store.keypoints[inside], [name not in row.absent for name in store.individuals]
            if (columns := self._columns[id(store)]) is not None:
                keypoints = take_or_missing(keypoints, columns, axis=1)
                present = [column >= 0 and present[column] for column in columns]
            arena = self.arena(pick)
            parts.append(_window(keypoints, start, frames, row.frames, scale, arena, np.array(present)))
        return _stack(parts)

    def arena(self, pick: int) -> np.ndarray:
        """x0, y0, x1, y1 of the recording `sources[pick]`, see `arena_of`."""
        if pick not in self._arenas:
            store, row = self.sources[pick]
            self._arenas[pick] = arena_of(store.keypoints[row.slice], row.resolution_px)
        return self._arenas[pick]

    def chunks(self, frames: int) -> Iterator[WindowBatch]:
        """Every frame of every recording once, as batches of one window of at most `frames` frames."""
        return (self.read([span]) for span in self._chunk_spans(frames))

    def pieces(self, most_frames: int = 400_000, frames: int = 8192) -> Iterator[WindowBatch]:
        """Chunks for fitting: all, or of long recordings about `most_frames` frames drawn by a fixed seed.

        Every so-manieth would not do: of recordings of equal length that can be the beginnings alone.
        """
        spans = list(self._chunk_spans(frames))
        every = max(1, self.num_frames // most_frames)
        drawn = numpy_generator(0, "pieces").permutation(len(spans))[: -(-len(spans) // every)]
        return (self.read([spans[place]]) for place in sorted(drawn))

    def _chunk_spans(self, frames: int) -> Iterator[tuple[int, int, int]]:
        for pick, (_, row) in enumerate(self.sources):
            for start in range(0, row.frames, frames):
                yield pick, start, min(frames, row.frames - start)


def _columns_of(store: Store, individuals: tuple[str, ...], who: str) -> list[int] | None:
    """Column of each individual in a store, -1 = it has no such animal; None = all as they are.

    Parameters
    ----------
    who : what tells the individuals apart, for the error.

    Raises
    ------
    InputError
        If the store has an animal that is not among the individuals.
    """
    own = store.individuals
    if unknown := [name for name in own if name not in individuals]:
        raise InputError(
            f"{store.path} has the animals {listed(own)}, but {who} tells "
            f"{listed(individuals)} apart and does not know {listed(unknown)}. {advise_individuals(individuals, own)}"
        )
    return None if own == individuals else [own.index(name) if name in own else -1 for name in individuals]


def recording_window(
    recording: Recording,
    start: int,
    frames: int,
    arena: np.ndarray | None = None,
    absent: Sequence[str] | None = None,
) -> WindowBatch:
    """Frames start .. start + frames of a recording as a batch of one; what lies outside it is padding.

    Parameters
    ----------
    arena, absent : of the recording, where they are known already; see `arena_of` and `Recording.absent`.
    """
    if arena is None:
        arena = arena_of(recording.keypoints, recording.resolution_px)
    inside = recording.keypoints[max(start, 0) : max(0, start + frames)]
    scale = (recording.fps, recording.px_per_cm)
    absent = recording.absent if absent is None else absent
    present = np.array([name not in absent for name in recording.individuals])
    return _stack([_window(inside, start, frames, recording.num_frames, scale, arena, present)])


def arena_of(keypoints: np.ndarray, resolution_px: tuple[float, float] | None) -> np.ndarray:
    """x0, y0, x1, y1 in pixels: the video's size where it is known, else the range the animals used.

    The range is the 0.5th to 99.5th percentile of the observed coordinates, so that outliers do not widen it;
    where nothing was observed it is the unit square.
    """
    if resolution_px is not None:
        return np.array([0.0, 0.0, *resolution_px], dtype=np.float32)
    sample = keypoints[:: max(1, len(keypoints) // _ARENA_SAMPLE_FRAMES)].reshape(-1, 2)
    observed = observed_points(sample)
    sample = sample if observed.all() else sample[observed]
    if not len(sample):
        return np.array([0.0, 0.0, 1.0, 1.0], dtype=np.float32)
    low, high = ([_percentile(column, percent) for column in sample.T] for percent in _ARENA_PERCENTILES)
    return np.concatenate([low, np.maximum(high, np.add(low, 1.0))]).astype(np.float32)


def _percentile(values: np.ndarray, percent: float) -> float:
    """`np.percentile` of one column, in a fraction of its time: numpy is fast where it partitions at one place alone.

    >>> _percentile(np.array([4.0, 1.0, 2.0]), 75.0), _percentile(np.array([4.0, 1.0, 2.0]), 100.0)
    (3.0, 4.0)
    """
    place = (len(values) - 1) * (percent / 100)
    above = min(int(place) + 1, len(values) - 1)
    ordered = np.partition(values, above)
    low, high = ordered[: max(above, 1)].max(), ordered[above]
    share, step = place - max(above - 1, 0), np.float64(high - low)
    return float(low + step * share if share < 0.5 else high - step * (1 - share))


def _window(
    inside: np.ndarray,
    start: int,
    frames: int,
    length: int,
    scale: tuple[float, float | None],
    arena: np.ndarray,
    present: np.ndarray,
) -> dict[str, np.ndarray]:
    """One window; `scale` is frames per second and pixels per cm."""
    fps, px_per_cm = scale
    if len(inside) == frames:
        keypoints = np.array(inside, dtype=np.float32)
    else:
        keypoints = np.full((frames, *inside.shape[1:]), np.nan, dtype=np.float32)
        before = max(0, -start)
        keypoints[before : before + len(inside)] = inside
    observed = observed_points(keypoints)
    if not observed.all():
        keypoints[~observed] = 0.0
    frame = np.arange(start, start + frames)
    return {
        "keypoints": keypoints,
        "observed": observed,
        "valid": (frame >= 0) & (frame < length),
        "arena": arena,
        "frame": frame,
        "length": np.array(length),
        "fps": np.array(fps, dtype=np.float32),
        "px_per_cm": np.array(px_per_cm or 0.0, dtype=np.float32),
        "present": present,
    }


_INDIVIDUAL_AXIS = {"keypoints": 1, "observed": 1, "present": 0}


def _padded(part: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """A window with this many animals; the last ones are absent."""
    lacking = number - len(part["present"])
    if not lacking:
        return part
    padded = {}
    for name, axis in _INDIVIDUAL_AXIS.items():
        widths = [(0, lacking * (one == axis)) for one in range(part[name].ndim)]
        padded[name] = np.pad(part[name], widths)
    return part | padded


def _stack(parts: Sequence[dict[str, np.ndarray]]) -> WindowBatch:
    most = max(len(part["present"]) for part in parts)
    parts = [_padded(part, most) for part in parts]
    return WindowBatch(**{name: torch.from_numpy(np.stack([part[name] for part in parts])) for name in parts[0]})
