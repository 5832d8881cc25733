"""`Recording`: tracks, confidence and label streams of one video.

`Labels`: a stream of one behavior per frame. `PairLabels`: a stream of bouts with an agent and a target.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ssl_behavior.errors import InputError
from ssl_behavior.labeled_arrays import pose_dataset
from ssl_behavior.reprs import Described
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.terminal import counted, listed

__all__ = [
    "CLOCK_DRIFT",
    "FPS_RANGE",
    "MAX_BYTES",
    "NOT_ANNOTATED",
    "ON_TIME_FRAMES",
    "FrameTimes",
    "Labels",
    "PairLabels",
    "Recording",
    "StreamFacts",
    "absent_individuals",
    "check_rate",
    "is_plausible_rate",
    "observed_points",
    "take_or_missing",
    "times_of_all_frames",
    "tracks_bytes",
]

NOT_ANNOTATED = -1
"""Label of a frame without annotation; it is no class."""
CLOCK_DRIFT = 0.01
"""Share by which a frame rate by measured times may differ from the stated one."""
ON_TIME_FRAMES = 0.05
"""Times that are this near, in frames, are equal: at 50 frames per second, rounding to whole ms is half of it."""
FPS_RANGE = "0.01 to 100,000 frames per second"
"""Frame rates that videos have, for messages; see `is_plausible_rate`."""
_ABSENCE_FRAMES = 4096
_MIN_FPS, _MAX_FPS = 0.01, 100_000.0
MAX_BYTES = 8 << 30
"""Largest recording that is read or made: 6 million frames of 4 animals with 27 keypoints."""


def tracks_bytes(num_frames: int | float, num_individuals: int, num_keypoints: int) -> float:
    """Memory of keypoints and confidences in float32, bytes."""
    return 12.0 * num_frames * num_individuals * num_keypoints


def is_plausible_rate(fps: float) -> bool:
    """Whether a number can be the frame rate of a video: between a time-lapse and a high-speed camera."""
    return _MIN_FPS <= fps <= _MAX_FPS


def check_rate(fps: float, argument: str = "fps") -> None:
    """Refuse a frame rate that no video has; `argument` is its name in the error.

    Raises
    ------
    InputError
        Naming the argument, its limits and its value.
    """
    if not is_plausible_rate(fps):
        raise InputError(f"`{argument}` must be a number from {FPS_RANGE}, got {fps:g}")


@dataclass(frozen=True, kw_only=True)
class StreamFacts:
    """Name and classes of a label stream; `background` is "" if there is none."""

    name: str
    classes: tuple[str, ...]
    background: str = ""

    @property
    def foreground(self) -> tuple[int, ...]:
        """Numbers of the classes that are not background."""
        return tuple(number for number, name in enumerate(self.classes) if name != self.background)


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """One behavior per frame, from one annotator.

    Parameters
    ----------
    vocabulary : behavior names; a label is an index into it.
    frames : one integer per frame, shape [time]; -1 is "not annotated".
    annotator : name of the annotator, "" if unknown. CalMS21's are "0" to "5".
    background : the behavior that means "nothing of interest", "" if there is none; left out of macro averages.

    Raises
    ------
    InputError
        If a label is outside the vocabulary, names repeat, or `background` is not in the vocabulary.
    """

    vocabulary: tuple[str, ...]
    frames: np.ndarray
    annotator: str = ""
    background: str = ""

    def __post_init__(self) -> None:
        frames = np.asarray(self.frames)
        if frames.ndim != 1 or (frames.size and not np.issubdtype(frames.dtype, np.integer)):
            raise InputError(f"labels must be whole numbers of shape [time], got {frames.dtype} {list(frames.shape)}")
        if len(set(self.vocabulary)) != len(self.vocabulary) or not self.vocabulary:
            raise InputError(f"labels need a vocabulary of different names, got {list(self.vocabulary)}")
        if frames.size and (frames.min() < NOT_ANNOTATED or frames.max() >= len(self.vocabulary)):
            where = int(np.flatnonzero((frames < NOT_ANNOTATED) | (frames >= len(self.vocabulary)))[0])
            raise InputError(
                f"frame {where} has the label {int(frames[where])}, outside the vocabulary "
                f"{dict(enumerate(self.vocabulary))}"
            )
        if self.background and self.background not in self.vocabulary:
            raise InputError(f"background {self.background!r} is not in the vocabulary {list(self.vocabulary)}")
        object.__setattr__(self, "frames", frames.astype(np.int16))


@dataclass(frozen=True, kw_only=True, eq=False)
class PairLabels:
    """Bouts with an agent and a target, from one annotator. Bouts may overlap.

    Parameters
    ----------
    vocabulary : behavior names.
    bouts : int64 [bout, (agent, target, behavior, start, stop)]: numbers of two individuals of the recording, equal in
        behaviors that an animal directs at itself; an index into the vocabulary; frames from `start` up to, not
        including, `stop`. Kept in order, without duplicates.
    looked_for : bool [agent, target, behavior]: what the annotator looked for. Frames of the rest are not annotated:
        neither the behavior nor its absence. None = everything.
    annotator : name of the annotator, "" if unknown.

    Raises
    ------
    InputError
        If names repeat, a bout has no frames, or its behavior is outside the vocabulary or was not looked for.
    """

    vocabulary: tuple[str, ...]
    bouts: np.ndarray
    looked_for: np.ndarray | None = None
    annotator: str = ""

    def __post_init__(self) -> None:
        if len(set(self.vocabulary)) != len(self.vocabulary) or not self.vocabulary:
            raise InputError(f"labels need a vocabulary of different names, got {list(self.vocabulary)}")
        bouts = np.asarray(self.bouts)
        if bouts.ndim != 2 or bouts.shape[1] != 5 or (bouts.size and bouts.dtype.kind not in "iu"):
            raise InputError(
                "bouts must be whole numbers of shape [bout, (agent, target, behavior, start, stop)], got "
                f"{bouts.dtype} {list(bouts.shape)}"
            )
        bouts = np.unique(bouts.astype(np.int64), axis=0)
        object.__setattr__(self, "bouts", bouts)
        agent, target, behavior, start, stop = bouts.T
        self._refuse((behavior < 0) | (behavior >= len(self.vocabulary)))
        self._refuse((agent < 0) | (target < 0) | (start < 0) | (stop <= start))
        if self.looked_for is not None:
            self._check_looked_for(np.asarray(self.looked_for))

    def _refuse(self, wrong: np.ndarray) -> None:
        """Refuse the first of these bouts, bool [bout]: its behavior is unknown, or its animals or frames are none."""
        if not wrong.any():
            return
        agent, target, behavior, start, stop = self.bouts[np.flatnonzero(wrong)[0]].tolist()
        if not 0 <= behavior < len(self.vocabulary):
            raise InputError(
                f"a bout has the behavior {behavior}, outside the vocabulary {dict(enumerate(self.vocabulary))}"
            )
        raise InputError(
            f"a bout of {self.vocabulary[behavior]!r} has agent {agent}, target {target}, frames {start} to "
            f"{stop}; expected numbers from 0 on, and stop after start"
        )

    def _check_looked_for(self, looked_for: np.ndarray) -> None:
        size = len(looked_for)
        if looked_for.dtype != bool or looked_for.shape != (size, size, len(self.vocabulary)):
            raise InputError(
                f"looked_for must be bool [agent, target, behavior={len(self.vocabulary)}], got {looked_for.dtype} "
                f"{list(looked_for.shape)}"
            )
        who = self.bouts[:, :3]
        outside = who[:, :2].max(axis=1, initial=0) >= size
        agents, targets, behaviors = np.where(outside[:, None], 0, who).T
        unwanted: np.ndarray = outside | ~looked_for[agents, targets, behaviors]
        if unwanted.any():
            agent, target, behavior = who[np.flatnonzero(unwanted)[0]].tolist()
            raise InputError(
                f"a bout of {self.vocabulary[behavior]!r} has agent {agent} and target {target}, a behavior that was "
                "not looked for in this pair"
            )
        object.__setattr__(self, "looked_for", looked_for)

    def frames(self, agent: int, target: int, behavior: int, num_frames: int) -> np.ndarray:
        """One behavior of one pair: int8 [time], 1 = shown, 0 = not shown, -1 = not looked for."""
        if self.looked_for is not None and not self.looked_for[agent, target, behavior]:
            return np.full(num_frames, NOT_ANNOTATED, dtype=np.int8)
        shown = np.zeros(num_frames, dtype=np.int8)
        for start, stop in self.bouts[(self.bouts[:, :3] == (agent, target, behavior)).all(axis=1), 3:].tolist():
            shown[start:stop] = 1
        return shown

    def looked_for_of(self, num_individuals: int) -> np.ndarray:
        """What was looked for among these individuals, bool [agent, target, behavior]; everything, if not stated."""
        if self.looked_for is not None:
            return self.looked_for
        return np.ones((num_individuals, num_individuals, len(self.vocabulary)), dtype=bool)

    def num_about_others(self, picks: Sequence[int]) -> int:
        """Number of bouts with an agent or a target that is not among these individuals."""
        return int((~np.isin(self.bouts[:, :2], list(picks))).any(axis=1).sum())

    def merged(self) -> "PairLabels":
        """Labels whose bouts of one behavior of one pair do not overlap; bouts that only touch stay apart."""
        kept: list[list[int]] = []
        for bout in self.bouts.tolist():
            if kept and kept[-1][:3] == bout[:3] and bout[3] < kept[-1][4]:
                kept[-1][4] = max(kept[-1][4], bout[4])
            else:
                kept.append(bout)
        return replace(self, bouts=np.array(kept, dtype=np.int64).reshape(-1, 5))

    def of_individuals(self, picks: Sequence[int], num_individuals: int) -> "PairLabels":
        """Labels of some individuals in another order; bouts about the others are left out.

        Parameters
        ----------
        picks : for each new individual its number so far; -1 = new, nothing was looked for in its pairs.
        num_individuals : number of individuals so far.
        """
        places = np.asarray(picks, dtype=np.int64)
        looked_for = np.pad(self.looked_for_of(num_individuals), ((0, 1), (0, 1), (0, 0)))
        looked_for = looked_for[np.ix_(places, places)] if len(places) else looked_for[:0, :0]
        known = np.isin(self.bouts[:, :2], places).all(axis=1)
        number = np.full(num_individuals, -1)
        number[places[places >= 0]] = np.flatnonzero(places >= 0)
        bouts = self.bouts[known].copy()
        bouts[:, :2] = number[bouts[:, :2]]
        return replace(self, bouts=bouts, looked_for=None if looked_for.all() else looked_for)


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameTimes:
    """Times of a video's frames: `fps` frames per second from 0 s on, or measured times.

    A frame lasts from its own time to that of the next one; the last of measured frames lasts 1 / fps.

    Parameters
    ----------
    fps : frames per second; where times are measured, the usual rate.
    num_frames : number of frames.
    measured : time of each frame, float64 [time], s, increasing from 0 s or later; None = frame i is at i / fps.

    Raises
    ------
    InputError
        If `measured` is no list of `num_frames` increasing numbers from 0 on.
    """

    fps: float
    num_frames: int
    measured: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.measured is None:
            return
        times = np.asarray(self.measured)
        if times.shape != (self.num_frames,) or times.dtype.kind not in "fiu":
            raise InputError(
                f"times must be one number for each frame, {self.num_frames} in all, got {times.dtype} "
                f"{list(times.shape)}"
            )
        times = times.astype(np.float64)
        wrong = ~np.isfinite(times) | (np.diff(times, prepend=-np.inf) <= 0) | (times < 0)
        if wrong.any():
            frame = int(np.flatnonzero(wrong)[0])
            raise InputError(f"times must increase from 0 s on, but frame {frame} is at {times[frame]:g} s")
        object.__setattr__(self, "measured", times)

    def seconds(self) -> np.ndarray:
        """Time of each frame, float64 [time], s."""
        return np.arange(self.num_frames) / self.fps if self.measured is None else self.measured

    def edges(self) -> np.ndarray:
        """Start of each frame and the end of the last, float64 [time + 1], s."""
        if self.measured is None:
            return np.arange(self.num_frames + 1) / self.fps
        return np.append(self.measured, self.measured[-1:] + 1 / self.fps)

    def nearest(self, seconds: np.ndarray) -> np.ndarray:
        """Number of the frame whose start is nearest to each time, float64; after the end also numbers of no frame."""
        if self.measured is None:
            return np.rint(seconds * self.fps)
        edges = self.edges()
        return np.searchsorted((edges[1:] + edges[:-1]) / 2, seconds, side="right").astype(np.float64)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Recording(Described):
    """Tracks of one video. The constructor validates them, so every Recording is usable.

    Parameters
    ----------
    id : unique name within a store; may contain slashes.
    keypoints : float32 [time, individual, keypoint, space], pixels; NaN = missing.
    fps : frames per second.
    skeleton : names of the keypoint axis.
    individuals : names of the individual axis; the skeleton's own by default.
    confidence : float32 [time, individual, keypoint] in [0, 1] or NaN, or None.
    labels : stream name -> Labels of the same number of frames.
    pair_labels : stream name -> bouts with agents and targets, inside the recording.
    subset : "train", "test", "unlabeled" ... or "" if unknown.
    source : the file it came from.
    resolution_px : (width, height) of the video, or None.
    px_per_cm : scale, or None.
    notes : notices of the reader about this recording, one sentence each.
    times : measured time of each frame, float64 [time], s, where frames are not 1 / fps apart; None = frame i is at
        i / fps. A store holds no such recordings: `ssl_behavior.resampling.resample` gives them one rate.
    in_file : frames that the file has, bool [time], if its reader numbers the frames; the others are missing, and their
        times are not the file's. None = all.
    resampled_from : times of the source's frames, if the recording was resampled; its own frame i is at i / fps
        seconds of the source. None = its frames are those of the source.

    Raises
    ------
    InputError
        Naming the recording, what was expected and what came.
    """

    id: str
    keypoints: np.ndarray
    fps: float
    skeleton: Skeleton
    individuals: tuple[str, ...] = ()
    confidence: np.ndarray | None = None
    labels: Mapping[str, Labels] = field(default_factory=dict)
    pair_labels: Mapping[str, PairLabels] = field(default_factory=dict)
    subset: str = ""
    source: str = ""
    resolution_px: tuple[float, float] | None = None
    px_per_cm: float | None = None
    notes: tuple[str, ...] = ()
    times: np.ndarray | None = None
    in_file: np.ndarray | None = None
    resampled_from: FrameTimes | None = None

    def __post_init__(self) -> None:
        if not self.id or not self.id.isprintable():
            raise InputError(f"a recording needs a printable id, got {self.id!r} (source {self.source or 'unknown'})")
        if not self.individuals:
            object.__setattr__(self, "individuals", self.skeleton.individuals)
        self._check_keypoints()
        self._check_confidence()
        self._check_scales()
        self._check_times()
        assert self.in_file is None or self.in_file.shape == (self.num_frames,)
        for stream, labels in self.labels.items():
            if len(labels.frames) != self.num_frames:
                raise InputError(
                    f"{self._name}: label stream {stream!r} has {counted(len(labels.frames), 'frame')}, "
                    f"the tracks have {self.num_frames:,}; they must be equal"
                )

        for stream, bouts in self.pair_labels.items():
            self._check_pair_labels(stream, bouts)

    def _check_pair_labels(self, stream: str, labels: PairLabels) -> None:
        if stream in self.labels:
            raise InputError(f"{self._name}: two label streams have the name {stream!r}; rename one")
        late = labels.bouts[:, 4] > self.num_frames
        if late.any():
            _, _, behavior, start, stop = labels.bouts[np.flatnonzero(late)[0]].tolist()
            raise InputError(
                f"{self._name}: label stream {stream!r}: a bout of {labels.vocabulary[behavior]!r} has the frames "
                f"{start} to {stop}, outside of the recording's {self.num_frames:,}"
            )
        known = len(self.individuals)
        size = known if labels.looked_for is None else len(labels.looked_for)
        if size != known or (labels.bouts[:, :2] >= known).any():
            most = max(size, int(labels.bouts[:, :2].max(initial=0)) + 1)
            raise InputError(
                f"{self._name}: label stream {stream!r} is about {most} animals, the tracks have {known} "
                f"({', '.join(self.individuals)})"
            )

    @property
    def absent(self) -> tuple[str, ...]:
        """Individuals of whom no point is observed in any frame."""
        return absent_individuals(self.keypoints, self.individuals)

    @property
    def _name(self) -> str:
        return f"recording {self.id!r}" + (f" ({self.source})" if self.source else "")

    def __repr__(self) -> str:
        return self._headline()

    def _headline(self) -> str:
        shape = f"{counted(len(self.individuals), 'animal')} x {counted(self.skeleton.num_keypoints, 'keypoint')}"
        return (
            f"Recording {self.id!r}: {counted(self.num_frames, 'frame')} ({self.seconds:,.1f} s) at {self.fps:.6g} per "
            f"second, {shape}"
        )

    def _facts(self) -> list[tuple[str, str]]:
        missing = ~observed_points(self.keypoints)
        return [
            ("animals", listed(self.individuals) + " (anonymous)" * self.skeleton.exchangeable),
            ("keypoints", listed(self.skeleton.keypoints)),
            ("missing", f"{missing.mean():.1%} of the points" if missing.size else "no frames"),
            ("labels", listed([*self.labels, *self.pair_labels]) or "none"),
            *([("source", self.source)] if self.source else []),
        ]

    @property
    def num_frames(self) -> int:
        return len(self.keypoints)

    @property
    def seconds(self) -> float:
        return self.num_frames / self.fps

    @property
    def frame_times(self) -> FrameTimes:
        """Times of its own frames."""
        return FrameTimes(fps=self.fps, num_frames=self.num_frames, measured=self.times)

    def _check_keypoints(self) -> None:
        expected = (len(self.individuals), self.skeleton.num_keypoints, 2)
        keypoints = np.asarray(self.keypoints)
        if keypoints.ndim != 4 or keypoints.shape[1:] != expected:
            raise InputError(
                f"{self._name}: keypoints must have shape [time, individual={expected[0]}, "
                f"keypoint={expected[1]}, space=2] for the skeleton {self.skeleton.name!r}, got {list(keypoints.shape)}"
            )
        if len(keypoints) == 0:
            raise InputError(f"{self._name}: it has no frames")
        if not np.issubdtype(keypoints.dtype, np.floating):
            raise InputError(f"{self._name}: keypoints must be floating point pixels, got {keypoints.dtype}")
        if np.isinf(keypoints).any():
            raise InputError(f"{self._name}: keypoints hold infinite values; a missing point is NaN")
        object.__setattr__(self, "keypoints", keypoints.astype(np.float32, copy=False))

    def _check_confidence(self) -> None:
        if self.confidence is None:
            return
        confidence = np.asarray(self.confidence)
        if confidence.shape != self.keypoints.shape[:3]:
            raise InputError(
                f"{self._name}: confidence must have shape {list(self.keypoints.shape[:3])} like the keypoints, "
                f"got {list(confidence.shape)}"
            )
        object.__setattr__(self, "confidence", confidence.astype(np.float32, copy=False))

    def _check_scales(self) -> None:
        if not (isinstance(self.fps, Real) and is_plausible_rate(float(self.fps))):
            slow = isinstance(self.fps, Real) and 0 < self.fps < _MIN_FPS
            raise InputError(
                f"{self._name}: fps must be a number from {FPS_RANGE}, got {self.fps!r}; pass it as `fps`"
                + (" (are its times milliseconds?)" if slow else "")
            )
        object.__setattr__(self, "fps", float(self.fps))
        if self.px_per_cm is not None and not self.px_per_cm > 0:
            raise InputError(f"{self._name}: px_per_cm must be above 0, got {self.px_per_cm}")
        size = self.resolution_px
        if size is not None and not (len(size) == 2 and size[0] > 0 and size[1] > 0):
            raise InputError(f"{self._name}: resolution_px must be width and height above 0, got {size}")

    def _check_times(self) -> None:
        if self.times is None:
            return
        try:
            times = FrameTimes(fps=self.fps, num_frames=self.num_frames, measured=self.times)
        except InputError as error:
            raise InputError(f"{self._name}: {error}") from None
        object.__setattr__(self, "times", times.measured)

    def to_xarray(self) -> Any:
        """Tracks as an xarray.Dataset with movement's names, which `sb.read` reads again from a netCDF file.

        Variables: `position` (time, space, keypoints, individuals) in pixels, and `confidence`. Times are in seconds.

        Raises
        ------
        InputError
            If xarray is not installed.
        """
        facts = {"fps": self.fps, "recording": self.id, "skeleton": self.skeleton.name, "source_file": self.source}
        return pose_dataset(
            self.keypoints,
            self.confidence,
            self.frame_times.seconds(),
            self.skeleton.keypoints,
            self.individuals,
            facts,
        )

    def content_hash(self) -> str:
        """SHA-256 of the tracks alone, equal for one video under two names."""
        return hashlib.sha256(np.ascontiguousarray(self.keypoints).data).hexdigest()


def observed_points(keypoints: np.ndarray) -> np.ndarray:
    """Mask of observed points, whose coordinates are both numbers. [..., space] -> bool [...]."""
    known = np.isfinite(keypoints)
    # Thirteen times as fast as `all` along so short an axis.
    return known[..., 0] & known[..., 1]


def absent_individuals(keypoints: np.ndarray, individuals: Sequence[str]) -> tuple[str, ...]:
    """Individuals of whom no point is observed in any frame; keypoints are [time, individual, keypoint, space].

    Reads until all are found.
    """
    unseen = set(range(len(individuals)))
    for start in range(0, len(keypoints), _ABSENCE_FRAMES):
        if not unseen:
            break
        part = keypoints[start : start + _ABSENCE_FRAMES]
        unseen -= {one for one in unseen if observed_points(part[:, one]).any()}
    return tuple(individuals[one] for one in sorted(unseen))


def take_or_missing(values: np.ndarray, places: ArrayLike, axis: int) -> np.ndarray:
    """`numpy.take` along an axis of tracks; NaN for places below 0.

    >>> take_or_missing(np.array([[1.0, 2.0]]), [1, -1], axis=1)
    array([[ 2., nan]])
    """
    places = np.asarray(places)
    taken = np.take(values, places, axis=axis)
    taken[(slice(None),) * axis + (places < 0,)] = np.nan
    return taken


def times_of_all_frames(numbers: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Time of each frame up to the last one that is known, float64 [time], s.

    Unknown frames lie evenly between their neighbors; before the first known frame, evenly from 0 s on.

    Parameters
    ----------
    numbers : int64 [known frame], increasing from 0 or later.
    times : of these frames, float64 [known frame], s, increasing.

    >>> times_of_all_frames(np.array([2, 3, 5]), np.array([0.5, 0.6, 1.0]))
    array([0.  , 0.25, 0.5 , 0.6 , 0.8 , 1.  ])
    """
    first = int(numbers[0])
    before = np.arange(first) * (times[0] / max(first, 1))
    return np.concatenate([before, np.interp(np.arange(first, int(numbers[-1]) + 1), numbers, times)])
