"""Recordings that show the same moments: what must not lie on both sides of a split.

Some of CalMS21's tracks are said to be near-duplicates, annotated by several people for several tasks. Equal tracks
are found by their content hash; what was cut, shifted in time or in the picture, rounded, or is shared only in part is
found by its fingerprints (see `fingerprints`). Recordings whose fingerprints meet at one distance in time are then laid
upon each other, point by point, and only what agrees there is reported. The time grows as the number of frames, and as
that of pairs of recordings only where there are copies; the memory is a few bytes per frame.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.fingerprints import fingerprint, meetings
from ssl_behavior.splits import Split
from ssl_behavior.store import Store, StoreRow

__all__ = ["Overlap", "OverlapConfig", "check_split", "check_subsets", "find_overlaps", "leaks", "told_leaks"]

_LAG_SECONDS = 0.5
_SAME_SHARE = 0.9
"""Of the points seen in both, in a frame that counts as the same."""
_GLITCH_SECONDS = 0.1
_MOTION_PX = 3.0
_SEEN_SHARE, _MOVING_SHARE = 0.5, 0.1
"""Of the frames of the shortest stretch: how many must show points that agree, and how many points that move."""
_SHORT_SHARE = 0.8
_SHORTEST_SECONDS = 1.0
_CELLS = 1 << 24
_MOST_POINTS = 50_000
"""Among so many, those of ten seconds stand out."""

Progress = Callable[[int], None]
"""Called with the number of frames looked at since the last call."""
Source = Store | tuple[Store, Sequence[StoreRow]]


@dataclass(frozen=True, kw_only=True)
class OverlapConfig:
    """What counts as the same moments.

    Parameters
    ----------
    min_seconds : the shortest stretch that is reported; of a recording hardly longer than that, 80 % of it suffice.
    tolerance_px : how far a point may lie from its copy, in x and in y. Rounding to whole pixels moves it by 0.5.

    Raises
    ------
    InputError
        If one of them is not above 0.
    """

    min_seconds: float = 10.0
    tolerance_px: float = 0.75

    def __post_init__(self) -> None:
        for name in ("min_seconds", "tolerance_px"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """A stretch of time that two recordings share.

    Parameters
    ----------
    first, second : ids of the recordings, in the order they were given in.
    first_store, second_store : folders of their stores.
    is_copy : the tracks are equal to the last bit, from beginning to end.
    first_start, second_start : the frame at which the stretch begins in each.
    frames : its length.
    seconds : the same, by the first one's frame rate.
    shift_px : by how much the first's points lie further right and down in the picture.
    is_swapped : the two animals are numbered the other way round.
    """

    first: str
    second: str
    first_store: str
    second_store: str
    is_copy: bool
    first_start: int
    second_start: int
    frames: int
    seconds: float
    shift_px: tuple[float, float] = (0.0, 0.0)
    is_swapped: bool = False

    def reversed(self) -> "Overlap":
        """The same, told from the other side."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            first_store=self.second_store,
            second_store=self.first_store,
            first_start=self.second_start,
            second_start=self.first_start,
            shift_px=(-self.shift_px[0], -self.shift_px[1]),
        )

    def __str__(self) -> str:
        if self.is_copy:
            return f"{self.first!r} has the very tracks of {self.second!r}"
        return (
            f"{self.first!r} shows from frame {self.first_start:,} on what {self.second!r} shows from frame "
            f"{self.second_start:,} on, for {self.seconds:.0f} s ({self.frames:,} frames)"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"shift_px": list(self.shift_px)}


def find_overlaps(
    *sources: Source, config: OverlapConfig | None = None, progress: Progress | None = None
) -> list[Overlap]:
    """Every stretch of time that two recordings share, in the order of the recordings.

    Found whatever the distance in time, a shift in the picture, rounding to as little as whole pixels, missing points,
    and (of two animals) their order. Stretches in which nothing moves, such as tracking that froze, are no evidence and
    not reported. Copies that were scaled, mirrored, smoothed or resampled in time are not found.

    Parameters
    ----------
    sources : stores, or (store, some of its rows).

    Raises
    ------
    InputError
        If nothing was given, or the stores have other numbers of animals or keypoints.
    """
    items = _items(sources)
    config = config or OverlapConfig()
    equal: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        equal.setdefault(item.row.content_hash or f"unknown {number}", []).append(number)
    groups = list(equal.values())
    found = [(pair, _whole(items, pair)) for members in groups for pair in combinations(members, 2)]
    for (one, other), offsets in meetings([_prints(items[group[0]], progress) for group in groups]).items():
        for stretch in _shared(items[groups[one][0]], items[groups[other][0]], offsets, config):
            # What is true of one of several equal recordings is true of all.
            for a, b in product(groups[one], groups[other]):
                overlap = _part(items[a], items[b], stretch)
                found.append(((a, b), overlap) if a < b else ((b, a), overlap.reversed()))
    return [overlap for _, overlap in sorted(found, key=lambda entry: (entry[0], entry[1].first_start))]


def leaks(overlaps: Sequence[Overlap], scored: Collection[str], learned: Collection[str]) -> list[Overlap]:
    """The overlaps between a recording that is scored and one that is learned from; `first` is the scored one.

    Parameters
    ----------
    scored, learned : ids of recordings, of whatever task. What is learned from without labels is learned from.
    """
    told = [overlap if overlap.first in scored else overlap.reversed() for overlap in overlaps]
    return [overlap for overlap in told if overlap.first in scored and overlap.second in learned]


def told_leaks(found: Sequence[Overlap]) -> list[str]:
    """One sentence for each pair of recordings of `leaks`, about the longest stretch they share."""
    longest: dict[tuple[str, str], Overlap] = {}
    for overlap in found:
        pair = (overlap.first, overlap.second)
        if pair not in longest or overlap.frames > longest[pair].frames:
            longest[pair] = overlap
    return [
        f"{overlap}: the first is scored and the second is learned from, so the scores would be too good; leave one "
        "of the two out"
        for overlap in longest.values()
    ]


def check_split(overlaps: Sequence[Overlap], split: Split) -> list[str]:
    """A sentence for each pair of a recording the split scores and one it learns from or chooses by."""
    scored = {row.id for row in split.evaluate}
    return told_leaks(leaks(overlaps, scored, {row.id for row in (*split.fit, *split.tune)} - scored))


def check_subsets(overlaps: Sequence[Overlap], rows: Sequence[StoreRow]) -> list[str]:
    """A sentence for each pair of a test recording of any task and one that is no test recording.

    For several tasks in one store, as CalMS21's: a test recording of one task may be a training or unlabeled recording
    of another, and who learns from all of them has seen it.
    """
    scored = {row.id for row in rows if row.subset == "test"}
    return told_leaks(leaks(overlaps, scored, {row.id for row in rows} - scored))


@dataclass(frozen=True)
class _Item:
    """One recording among all that are compared."""

    store: Store
    row: StoreRow

    def keypoints(self, start: int, stop: int) -> np.ndarray:
        return self.store.keypoints[self.row.offset + start : self.row.offset + stop]

    @property
    def lag(self) -> int:
        return max(1, round(_LAG_SECONDS * self.row.fps))


@dataclass(frozen=True)
class _Stretch:
    """Where two recordings agree."""

    first_start: int
    second_start: int
    frames: int
    shift_px: tuple[float, float]
    is_swapped: bool

    def meets(self, other: "_Stretch") -> bool:
        """Whether both tell of the same frames of both recordings."""
        return all(
            start < stop_of and start_of < stop
            for start, stop, start_of, stop_of in (
                (self.first_start, self.first_start + self.frames, other.first_start, other.first_start + other.frames),
                (
                    self.second_start, self.second_start + self.frames,
                    other.second_start, other.second_start + other.frames,
                ),
            )
        )  # fmt: skip


def _items(sources: Sequence[Source]) -> list[_Item]:
    items = []
    for source in sources:
        store, rows = (source, source.rows) if isinstance(source, Store) else source
        items += [_Item(store, row) for row in rows]
    if not items:
        raise InputError("no recordings to look for overlaps in; give a store and recordings of it")
    first = items[0].store
    for store in (item.store for item in items):
        if store.keypoints.shape[1:] != first.keypoints.shape[1:]:
            raise InputError(
                f"{store.path} has {store.keypoints.shape[1]} animals of {store.keypoints.shape[2]} keypoints, "
                f"{first.path} has {first.keypoints.shape[1]} of {first.keypoints.shape[2]}: overlaps are looked for "
                "among recordings of one kind"
            )
    return items


def _prints(item: _Item, progress: Progress | None) -> tuple[np.ndarray, np.ndarray]:
    prints = fingerprint(item.keypoints(0, item.row.frames), item.lag)
    if progress is not None:
        progress(item.row.frames)
    return prints


def _whole(items: Sequence[_Item], pair: tuple[int, int]) -> Overlap:
    """Equal recordings."""
    one, other = items[pair[0]], items[pair[1]]
    stretch = _Stretch(0, 0, one.row.frames, (0.0, 0.0), False)
    return replace(_part(one, other, stretch), is_copy=True)


def _part(one: _Item, other: _Item, stretch: _Stretch) -> Overlap:
    return Overlap(
        first=one.row.id,
        second=other.row.id,
        first_store=str(one.store.path),
        second_store=str(other.store.path),
        is_copy=False,
        seconds=stretch.frames / one.row.fps,
        **vars(stretch),
    )


def _shared(one: _Item, other: _Item, offsets: Sequence[int], config: OverlapConfig) -> list[_Stretch]:
    """The stretches two recordings share at any of the offsets; of those about the same frames, the longest."""
    found = [stretch for offset in offsets for stretch in _compare(one, other, offset, config)]
    kept: list[_Stretch] = []
    # Slow animals look nearly the same a frame later: the true offset gives the longest stretch.
    for stretch in sorted(found, key=lambda stretch: -stretch.frames):
        if not any(stretch.meets(longer) for longer in kept):
            kept.append(stretch)
    return kept


def _compare(one: _Item, other: _Item, offset: int, config: OverlapConfig) -> list[_Stretch]:
    """Lay frame t of the one upon frame t - offset of the other, for all t, and say where they agree."""
    start, stop = max(0, offset), min(one.row.frames, other.row.frames + offset)
    first, second = one.keypoints(start, stop), other.keypoints(start - offset, stop - offset)
    fps, shorter = one.row.fps, min(one.row.frames, other.row.frames)
    wanted = max(_SHORTEST_SECONDS * fps, min(config.min_seconds * fps, _SHORT_SHARE * shorter))
    for is_swapped in (False, True) if first.shape[1] == 2 else (False,):
        laid = second[:, ::-1] if is_swapped else second
        shift, close, seen = _laid_upon(first, laid, config.tolerance_px)
        agrees = (seen > 0) & (close.sum(axis=(1, 2)) >= _SAME_SHARE * seen)
        moves = agrees & _moving(first, close, one.lag)
        runs = (_trimmed(agrees, *run) for run in _unbroken((seen > 0) & ~agrees, round(_GLITCH_SECONDS * fps)))
        stretches = [
            _Stretch(start + begin, start + begin - offset, end - begin, shift, is_swapped)
            for begin, end in runs
            if end - begin >= wanted
            and agrees[begin:end].sum() >= _SEEN_SHARE * wanted
            and moves[begin:end].sum() >= _MOVING_SHARE * wanted
        ]
        if stretches:
            return stretches
    return []


def _laid_upon(
    first: np.ndarray, second: np.ndarray, tolerance_px: float
) -> tuple[tuple[float, float], np.ndarray, np.ndarray]:
    """The shift in the picture at which most points agree; which do, [time, individual, keypoint]; how many both show.

    The commonest difference is taken: it stands out however little of the time the two have in common.
    """
    difference = first - second
    seen = np.isfinite(difference).all(axis=-1)
    points = difference[seen]
    shift = np.zeros(2)
    if len(points):
        points = points[:: 1 + len(points) // _MOST_POINTS]
        cells = np.round(points / tolerance_px).astype(np.int64) @ np.array([_CELLS, 1])
        values, counts = np.unique(cells, return_counts=True)
        likeliest = points[cells == values[counts.argmax()]].mean(axis=0, dtype=np.float64)
        near = (np.abs(points - likeliest) <= 2 * tolerance_px).all(axis=1)
        shift = np.median(points[near], axis=0).astype(np.float64)
    with np.errstate(invalid="ignore"):
        close = (np.abs(difference - shift) <= tolerance_px).all(axis=-1)
    return (float(shift[0]), float(shift[1])), close, seen.sum(axis=(1, 2))


def _moving(keypoints: np.ndarray, close: np.ndarray, lag: int) -> np.ndarray:
    """Frames in which a point that agrees now, and did a lag before, has moved meanwhile."""
    moving = np.zeros(len(keypoints), bool)
    with np.errstate(invalid="ignore"):
        far = (np.abs(keypoints[lag:] - keypoints[:-lag]) > _MOTION_PX).any(axis=-1)
    moving[lag:] = (far & close[lag:] & close[:-lag]).any(axis=(1, 2))
    return moving


def _unbroken(broken: np.ndarray, longest_glitch: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of what lies between breaks longer than a glitch."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], broken, [0]])))
    begin = 0
    for start, stop in edges.reshape(-1, 2).tolist():
        if stop - start > longest_glitch:
            yield begin, start
            begin = stop
    yield begin, len(broken)


def _trimmed(agrees: np.ndarray, begin: int, end: int) -> tuple[int, int]:
    """A run from its first to its last frame that agrees."""
    frames = np.flatnonzero(agrees[begin:end])
    return (begin + int(frames[0]), begin + int(frames[-1]) + 1) if len(frames) else (begin, begin)
