"""Detection of overlapping recordings: copies and near-copies that must not be on both sides of a split.

CalMS21 has near-duplicate tracks, annotated by several people for several tasks. Content hashes find equal tracks.
Fingerprints find tracks that were cut, shifted in time or in the image, rounded, or shared only in part. If two
recordings have several equal fingerprints at one time offset, they are compared point by point; only agreeing stretches
are reported. Time grows linearly with the number of frames, and with pairs of recordings only if there are copies.
Memory is a few bytes per frame.

A fingerprint is a hash of the positions of a few points now and half a second later, relative to one of them and
rounded to a few pixels. It is independent of frame number, position in the image and last digits. The hash itself
decides whether a fingerprint is kept (winnowing, Schleimer et al. 2003, doi:10.1145/872757.872770), so two copies keep
the same fingerprints, wherever they begin.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io.track_quality import body_length
from ssl_behavior.recording import observed_points
from ssl_behavior.splits import Split
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import Progress, no_progress

__all__ = [
    "Overlap",
    "OverlapConfig",
    "check_split",
    "check_subsets",
    "find_overlaps",
    "fingerprint",
    "leak_messages",
    "leaks",
    "meetings",
]

_PIXELS_OF_A_BODY = 16.0
"""An animal shorter than this is not measured in pixels (but in cm, or as a share of the picture's width)."""
_ASSUMED_BODY_PX = 100.0
_MEASURED_FRAMES = 2000
"""Frames of a recording, evenly spaced, that give its body length."""
_QUANTUM_PX = 4.0
_PHASE = 0.31
"""CalMS21's points differ by whole pixels within an animal: cells must not end where such differences lie."""
_PRINTS_PER_FRAME = 1.5
"""At most, about. Few are needed: two copies of ten seconds meet hundreds of times where all points are seen."""
_MOST_SEGMENTS = 7
_ALONE = 1 << 32
_MOST_REPEATS = 3
"""A fingerprint that one recording has more often is that of a posture, not of a moment."""
_MOST_COPIES = 64
"""How many recordings may share one moment and be found all."""
_FEWEST_VOTES = 3
_MOST_OFFSETS = 16
_CHUNK_FRAMES = 1 << 16
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def fingerprint(keypoints: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The fingerprints of a recording: hash uint64 [print] and frame int32 [print].

    Memory is that of a chunk of frames. A copy whose points moved by less than a pixel has most of them too; so has one
    shifted in the picture, or with its animals in another order.

    Parameters
    ----------
    keypoints : float32 [time, individual, keypoint, space], pixels; NaN = missing.
    lag : how many frames later the points are looked at again.
    """
    hashes: list[np.ndarray] = [np.empty(0, np.uint64)]
    frames: list[np.ndarray] = [np.empty(0, np.int32)]
    for start in range(0, len(keypoints) - 2 * lag, _CHUNK_FRAMES):
        # Time last: every coordinate of every point is then one stretch of memory.
        points = np.ascontiguousarray(np.moveaxis(keypoints[start : start + _CHUNK_FRAMES + 2 * lag], 0, -1))
        found, at = (np.concatenate(column) for column in zip(*_in_chunk(points, lag), strict=True))
        # Rates are powers of two: a copy with the higher rate then keeps a subset of the fingerprints of the other.
        rate = 2 ** math.ceil(math.log2(max(1, len(found) / (_PRINTS_PER_FRAME * (points.shape[-1] - 2 * lag)))))
        kept = found % np.uint64(rate) == 0
        hashes.append(found[kept])
        frames.append((at[kept] + start).astype(np.int32))
    return np.concatenate(hashes), np.concatenate(frames)


def _in_chunk(points: np.ndarray, lag: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Hashes and their frames, for each choice of one or two animals and two points of each."""
    num_individuals, num_keypoints = points.shape[:2]
    # Fingerprints of one animal use a third time; those of two animals use the other animal instead.
    choices: list[tuple[tuple[int, int], tuple[int, ...]]]
    choices = [((i, i), (0, lag, 2 * lag)) for i in range(num_individuals)]
    choices += [((i, i + 1), (0, lag)) for i in range(num_individuals - 1)]
    segments = [(k, k + step) for step in (1, 2) for k in range(num_keypoints - step)][:_MOST_SEGMENTS] or [(0, 0)]
    for (animals, lags), segment in product(choices, segments):
        looks = [points[..., look : points.shape[-1] - 2 * lag + look] for look in lags]
        hashes, usable = _hash(looks, animals, segment)
        # A scene at rest gives one hash again and again: the first of them is enough.
        usable[1:] &= hashes[1:] != hashes[:-1]
        frames = np.flatnonzero(usable)
        yield hashes[frames], frames


def _hash(
    looks: Sequence[np.ndarray], animals: tuple[int, int], segment: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Hash uint64 [time] of point positions relative to the left animal's first point at the first time.

    And whether all of them are there, bool [time].

    Parameters
    ----------
    looks : points [individual, keypoint, space, time], at several lags.
    segment : the two points of each animal.
    """
    first, (one, other) = looks[0], animals
    turned = first[other, segment[0], 0] < first[one, segment[0], 0]
    origin = np.where(turned, first[other, segment[0]], first[one, segment[0]])
    # Other points have other hashes; which animals they are of plays no part, so that their order does not.
    number = segment[0] * looks[0].shape[1] + segment[1]
    hashes = np.full(first.shape[-1], number + (_ALONE if one == other else 0), np.uint64)
    total = np.zeros(first.shape[-1], np.float32)
    orders = ((one, other), (other, one)) if one != other else ((one, one),)
    for look, (near, far), keypoint, axis in product(looks, orders, segment, (0, 1)):
        value = look[near, keypoint, axis]
        value = (value if one == other else np.where(turned, look[far, keypoint, axis], value)) - origin[axis]
        total += value
        with np.errstate(invalid="ignore"):
            cells = np.floor(value / _QUANTUM_PX + _PHASE).astype(np.int64)
        hashes ^= cells.view(np.uint64)
        hashes *= _MULTIPLIER
        hashes ^= hashes >> _SHIFT
    return hashes, np.isfinite(total)


def meetings(prints: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[tuple[int, int], list[int]]:
    """Candidate pairs: (recording, later recording) -> time offsets with several equal fingerprints, likeliest first.

    At an offset, frame t of the one shows what frame t - offset of the other shows.

    Parameters
    ----------
    prints : hashes and frames of each recording, from `fingerprint`.
    """
    sizes = [len(hashes) for hashes, _ in prints]
    hashes, frames = (np.concatenate(column) for column in zip(*prints, strict=True))
    recordings = np.repeat(np.arange(len(prints), dtype=np.int32), sizes)
    # Stable: prints of one hash stay in the order of the recordings.
    order = np.argsort(hashes, kind="stable")
    hashes, recordings, frames = hashes[order], recordings[order], frames[order]
    rare = _rare(hashes, recordings)
    return _likeliest(hashes[rare], recordings[rare], frames[rare].astype(np.int64), len(prints))


def _rare(hashes: np.ndarray, recordings: np.ndarray) -> np.ndarray:
    """Mask of sorted fingerprints that do not recur often within their recording."""
    begins = np.ones(len(hashes), bool)
    begins[1:] = (hashes[1:] != hashes[:-1]) | (recordings[1:] != recordings[:-1])
    sizes = np.diff(np.append(np.flatnonzero(begins), len(hashes)))
    return np.repeat(sizes <= _MOST_REPEATS, sizes)


def _likeliest(
    hashes: np.ndarray, recordings: np.ndarray, frames: np.ndarray, num_recordings: int
) -> dict[tuple[int, int], list[int]]:
    span = 1 + int(frames.max(initial=0))
    codes, votes = _votes(hashes, recordings, frames, num_recordings, span)
    pairs, offsets = np.divmod(codes, 2 * span)
    order = np.lexsort((-votes, pairs))
    found: dict[tuple[int, int], list[int]] = {}
    for pair, offset in zip(pairs[order].tolist(), (offsets[order] - span).tolist(), strict=True):
        likeliest = found.setdefault(divmod(pair, num_recordings), [])
        if len(likeliest) < _MOST_OFFSETS:
            likeliest.append(offset)
    return found


def _votes(
    hashes: np.ndarray, recordings: np.ndarray, frames: np.ndarray, num_recordings: int, span: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frequent (pair of recordings, offset + span), encoded as one number, and their numbers of equal fingerprints."""
    codes: list[np.ndarray] = [np.empty(0, np.int64)]
    votes: list[np.ndarray] = [np.empty(0, np.int64)]
    for step in range(1, _MOST_COPIES * _MOST_REPEATS):
        same = hashes[step:] == hashes[:-step]
        if not same.any():
            break
        same &= recordings[step:] != recordings[:-step]
        pair = recordings[:-step][same].astype(np.int64) * num_recordings + recordings[step:][same]
        offset = frames[:-step][same] - frames[step:][same]
        code, count = np.unique(pair * (2 * span) + offset + span, return_counts=True)
        codes.append(code)
        votes.append(count)
    code, place = np.unique(np.concatenate(codes), return_inverse=True)
    count = np.bincount(place, weights=np.concatenate(votes), minlength=len(code)).astype(np.int64)
    return code[count >= _FEWEST_VOTES], count[count >= _FEWEST_VOTES]


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
"""Maximum number of sampled points per comparison; overlaps of ten seconds still stand out."""

Source = Store | tuple[Store, Sequence[StoreRow]]


@dataclass(frozen=True, kw_only=True)
class OverlapConfig:
    """Thresholds of an overlap.

    Parameters
    ----------
    min_seconds : the shortest stretch that is reported; of a recording hardly longer than that, 80 % of it suffice.
    tolerance_px : how far a point may lie from its copy, in x and in y. Rounding to whole pixels moves it by 0.5. Where
        coordinates are no pixels, an animal counts as 100 pixels long.

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
    seconds : length in seconds, at the first recording's frame rate.
    shift_px : by how much the first's points lie further right and down in the picture, in the tracks' own unit.
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
        """The same overlap with first and second recording exchanged."""
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
        """Dictionary for JSON."""
        return asdict(self) | {"shift_px": list(self.shift_px)}


def find_overlaps(
    *sources: Source, config: OverlapConfig | None = None, progress: Progress = no_progress
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
    read, total = [items[members[0]] for members in groups], sum(items[members[0]].row.frames for members in groups)
    for (one, other), offsets in meetings([_prints(item, total, progress) for item in read]).items():
        for stretch in _shared(items[groups[one][0]], items[groups[other][0]], offsets, config):
            # What is true of one of several equal recordings is true of all.
            for a, b in product(groups[one], groups[other]):
                overlap = _part(items[a], items[b], stretch)
                found.append(((a, b), overlap) if a < b else ((b, a), overlap.reversed()))
    return [overlap for _, overlap in sorted(found, key=lambda entry: (entry[0], entry[1].first_start))]


def leaks(overlaps: Sequence[Overlap], scored: Collection[str], learned: Collection[str]) -> list[Overlap]:
    """Overlaps between a scored recording and one that is learned from; `first` is the scored one.

    Parameters
    ----------
    scored, learned : ids of recordings of any task. Training without labels counts as learning.
    """
    ordered = [overlap if overlap.first in scored else overlap.reversed() for overlap in overlaps]
    return [overlap for overlap in ordered if overlap.first in scored and overlap.second in learned]


def leak_messages(found: Sequence[Overlap]) -> list[str]:
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
    """Warnings about copies across a split: one sentence per pair of a scored recording and one of the other parts."""
    scored = {row.id for row in split.evaluate}
    return leak_messages(leaks(overlaps, scored, {row.id for row in (*split.fit, *split.tune)} - scored))


def check_subsets(overlaps: Sequence[Overlap], rows: Sequence[StoreRow]) -> list[str]:
    """Warnings about copies across subsets: one sentence per pair of a test recording and another recording.

    For several tasks in one store, as CalMS21's: a test recording of one task may be a training or unlabeled recording
    of another, and who learns from all of them has seen it.
    """
    scored = {row.id for row in rows if row.subset == "test"}
    return leak_messages(leaks(overlaps, scored, {row.id for row in rows} - scored))


@dataclass(frozen=True)
class _Item:
    """One of the compared recordings."""

    store: Store
    row: StoreRow
    unit: float = 1.0
    """What counts as a pixel, in the unit of the tracks."""

    def keypoints(self, start: int, stop: int) -> np.ndarray:
        keypoints = self.store.keypoints[self.row.offset + start : self.row.offset + stop]
        return keypoints if self.unit == 1 else keypoints / np.float32(self.unit)

    @property
    def lag(self) -> int:
        return max(1, round(_LAG_SECONDS * self.row.fps))


@dataclass(frozen=True)
class _Stretch:
    """Stretch in which two recordings agree."""

    first_start: int
    second_start: int
    frames: int
    shift_px: tuple[float, float]
    is_swapped: bool

    def meets(self, other: "_Stretch") -> bool:
        """Whether both stretches concern the same frames of both recordings."""
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
    unit = _unit(items)
    return [replace(item, unit=unit) for item in items]


def _unit(items: Sequence[_Item]) -> float:
    """What counts as a pixel in these recordings: 1, or a hundredth of the body length where that is below 16.

    One unit for all: copies in different units are not found.
    """
    lengths = []
    for item in items:
        keypoints = item.keypoints(0, item.row.frames)[:: 1 + item.row.frames // _MEASURED_FRAMES]
        lengths.append(body_length(keypoints, observed_points(keypoints)))
    known = [length for length in lengths if length is not None]
    typical = float(np.median(known)) if known else _ASSUMED_BODY_PX
    return 1.0 if typical >= _PIXELS_OF_A_BODY else typical / _ASSUMED_BODY_PX


def _prints(item: _Item, total: int, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    prints = fingerprint(item.keypoints(0, item.row.frames), item.lag)
    progress("reading tracks", item.row.frames, total)
    return prints


def _whole(items: Sequence[_Item], pair: tuple[int, int]) -> Overlap:
    """Overlaps of recordings with equal content."""
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
        **vars(stretch) | {"shift_px": (stretch.shift_px[0] * one.unit, stretch.shift_px[1] * one.unit)},
    )


def _shared(one: _Item, other: _Item, offsets: Sequence[int], config: OverlapConfig) -> list[_Stretch]:
    """Shared stretches of two recordings at any of the offsets; of those about the same frames, the longest."""
    found = [stretch for offset in offsets for stretch in _compare(one, other, offset, config)]
    kept: list[_Stretch] = []
    # Slow animals look nearly the same a frame later: the true offset gives the longest stretch.
    for stretch in sorted(found, key=lambda stretch: -stretch.frames):
        if not any(stretch.meets(longer) for longer in kept):
            kept.append(stretch)
    return kept


def _compare(one: _Item, other: _Item, offset: int, config: OverlapConfig) -> list[_Stretch]:
    """Stretches in which frame t of one recording agrees with frame t - offset of the other."""
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
    """Image shift with the most agreeing points; mask [time, individual, keypoint] of these; number of shared points.

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
    """(start, stop) of runs between breaks longer than a glitch."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], broken, [0]])))
    begin = 0
    for start, stop in edges.reshape(-1, 2).tolist():
        if stop - start > longest_glitch:
            yield begin, start
            begin = stop
    yield begin, len(broken)


def _trimmed(agrees: np.ndarray, begin: int, end: int) -> tuple[int, int]:
    """Run cut to its first and last agreeing frame."""
    frames = np.flatnonzero(agrees[begin:end])
    return (begin + int(frames[0]), begin + int(frames[-1]) + 1) if len(frames) else (begin, begin)
