"""Contents of a report, validated on construction: all input of the page. Only the recordings are required."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ssl_behavior.bouts import Span
from ssl_behavior.clusters.cards import Card
from ssl_behavior.clusters.unexplained import Discovery
from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import Skeleton, front_and_back
from ssl_behavior.units import OfActors, Unit

__all__ = [
    "MOST_POINTS",
    "AnimalProfiles",
    "Channel",
    "Ethogram",
    "ExampleBout",
    "FrameMap",
    "Neighbor",
    "ProfileTest",
    "Report",
    "ReportRecording",
    "Scores",
    "front_and_back",
]

MOST_POINTS = 100_000
"""Maximum of a map: the page draws it smoothly, and TensorBoard's projector shows no more."""


@dataclass(frozen=True, kw_only=True)
class ReportRecording(OfActors):
    """Name, length and frame rate of a recording, or of an animal or a pair of it.

    Parameters
    ----------
    id : unique in the report.
    recording : id of the recording; given only where it is not `id`.
    agent, target : animals of an animal's or a pair's row; "" = none.
    """

    id: str
    frames: int
    fps: float
    subset: str = ""
    recording: str = ""
    agent: str = ""
    target: str = ""

    def __post_init__(self) -> None:
        if not self.recording:
            object.__setattr__(self, "recording", self.id)
        if self.frames < 1 or not self.fps > 0:
            raise InputError(
                f"recording {self.id!r}: frames and fps must be above 0, got {self.frames} and {self.fps:g}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Ethogram:
    """Words over time: a label stream, or the clusters.

    Parameters
    ----------
    name : of the stream.
    words : names of the values, in order.
    frames : whole numbers [time] of each recording of the report, -1 = none; None for a recording without the stream.
    background : the word that means "nothing of interest"; "" if there is none.
    of_recording : all animals and pairs of a recording have the same frames.
    """

    name: str
    words: tuple[str, ...]
    frames: Sequence[np.ndarray | None]
    background: str = ""
    of_recording: bool = False

    def __post_init__(self) -> None:
        if self.background and self.background not in self.words:
            raise InputError(f"ethogram {self.name!r}: background {self.background!r} is not in {list(self.words)}")
        for number, own in enumerate(self.frames):
            if own is not None and len(own) and not -1 <= own.min() <= own.max() < len(self.words):
                raise InputError(
                    f"ethogram {self.name!r}, recording {number}: values must be -1 to {len(self.words) - 1}, got "
                    f"{own.min()} to {own.max()}"
                )

    def at(self, recording: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Values at frames, int64; -1 for none."""
        out = np.full(len(frame), -1, np.int64)
        for number, own in enumerate(self.frames):
            mine = np.flatnonzero(recording == number)
            if own is not None and len(mine):
                out[mine] = own[frame[mine]]
        return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Channel:
    """Numbers that color the points of the map.

    Parameters
    ----------
    values : float [point], NaN = not known.
    """

    name: str
    values: np.ndarray
    units: str = ""
    about: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameMap:
    """Sampled frames in two dimensions.

    Parameters
    ----------
    method : description of the projection.
    xy : float [point, 2].
    recording, frame : recording and frame of each point, in ascending order.
    channels : numbers to color by.
    poses : float [point, individual, keypoint, 2], NaN = missing: the pose of each point, or None.
    nearest : number of the example bout nearest to each point, or None.
    """

    method: str
    xy: np.ndarray
    recording: np.ndarray
    frame: np.ndarray
    channels: tuple[Channel, ...] = ()
    poses: np.ndarray | None = None
    nearest: np.ndarray | None = None

    def __post_init__(self) -> None:
        points = len(self.xy)
        if not 1 <= points <= MOST_POINTS:
            raise InputError(f"a map has 1 to {MOST_POINTS:,} points, got {points:,}: set `points` lower")
        if self.xy.shape != (points, 2) or not np.isfinite(self.xy).all():
            raise InputError(f"a map needs finite numbers of shape [point, 2], got shape {list(self.xy.shape)}")
        others = {channel.name: channel.values for channel in self.channels}
        others |= {"recording": self.recording, "frame": self.frame}
        others |= {} if self.poses is None else {"poses": self.poses}
        others |= {} if self.nearest is None else {"nearest": self.nearest}
        for name, values in others.items():
            if len(values) != points:
                raise InputError(f"the map has {points} points, but {len(values)} values of {name!r}")
        order = np.lexsort((self.frame, self.recording))
        if not np.array_equal(order, np.arange(points)):
            raise InputError("the points of a map must be in order of recordings and frames")


@dataclass(frozen=True, kw_only=True)
class Neighbor:
    """Similar bout: its number among the example bouts, and its distance."""

    bout: int
    distance: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ExampleBout(Span):
    """A bout that the page plays.

    Parameters
    ----------
    ethogram : name of the ethogram that has the bout, "" for none.
    value : number of its word in the ethogram.
    first : first frame of the track, which may be before the start of the bout.
    track : float [time, individual, keypoint, 2] from `first` on, NaN = missing.
    neighbors : nearest first; empty if they were not searched.
    among_examples : True if only the example bouts were searched, not all.
    """

    ethogram: str
    value: int
    first: int
    track: np.ndarray
    neighbors: tuple[Neighbor, ...] = ()
    among_examples: bool = False


@dataclass(frozen=True, kw_only=True)
class ProfileTest:
    """A cluster's use in two groups: effect size (second less first), p, and q after Benjamini-Hochberg."""

    cluster: int
    effect: float
    p: float
    q: float
    between: tuple[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class AnimalProfiles:
    """Cluster use per animal and group.

    Parameters
    ----------
    name : name of the factor, e.g. "treatment".
    animals, groups : names of the animals, and the group of each.
    shares : float [animal, cluster], of the animal's frames.
    level : the q up to which a difference is called found.
    effect : name of the effect size.
    notes : remarks for the reader, a sentence each.
    """

    name: str
    animals: tuple[str, ...]
    groups: tuple[str, ...]
    shares: np.ndarray
    tests: tuple[ProfileTest, ...] = ()
    level: float = 0.05
    effect: str = "effect size"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.animals) == len(self.groups) == len(self.shares) or self.shares.ndim != 2:
            raise InputError(
                f"profile {self.name!r} needs a group and shares [animal, cluster] for each of its "
                f"{len(self.animals)} animals, got {len(self.groups)} groups and shape {list(self.shares.shape)}"
            )


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Results of a probe or benchmark: a table, and the numbers of its chart.

    Parameters
    ----------
    bars : (row, mean, spread over seeds, low, high) of the headline score; None where not known.
    score : name of the score.
    """

    title: str
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    score: str = ""
    bars: tuple[tuple[str, float, float, float | None, float | None], ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in self.cells:
            if len(line) != len(self.header):
                raise InputError(f"table {self.title!r}: {len(line)} cells under {len(self.header)} headings")


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """All contents of a page.

    Parameters
    ----------
    recordings : the recordings or, of an embedding of animals or pairs, one entry for each of these; those of one
        recording follow each other.
    facts : (what, value) lines for the head of the page.
    skeleton, individuals : of the tracks.
    clusters : the ethogram of clusters, None where there are none; cards, transitions and profiles refer to it.
    labels : the ethograms of label streams.
    cards : of the clusters, as they were described, or counted.
    discovery : clusters and bouts that known labels explain least, or None.
    transitions : counts [from cluster, to cluster] of successive bouts.
    notes : remarks for the reader, a sentence each.
    """

    title: str
    recordings: tuple[ReportRecording, ...]
    skeleton: Skeleton
    individuals: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    clusters: Ethogram | None = None
    labels: tuple[Ethogram, ...] = ()
    map: FrameMap | None = None
    bouts: tuple[ExampleBout, ...] = ()
    cards: tuple[Card, ...] = ()
    transitions: np.ndarray | None = None
    discovery: Discovery | None = None
    profiles: tuple[AnimalProfiles, ...] = ()
    scores: tuple[Scores, ...] = ()
    notes: tuple[str, ...] = ()
    _ethograms: Mapping[str, Ethogram] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.recordings:
            raise InputError(f"report {self.title!r}: there are no recordings to show")
        every = (*((self.clusters,) if self.clusters else ()), *self.labels)
        object.__setattr__(self, "_ethograms", {ethogram.name: ethogram for ethogram in every})
        if len(self._ethograms) != len(every):
            raise InputError(f"report {self.title!r}: two ethograms have the same name, {[one.name for one in every]}")
        self._check_actors()
        for ethogram in every:
            self._check_ethogram(ethogram)
        self._check_clusters()
        self._check_bouts()
        if self.map is not None:
            self._check_map(self.map)

    @property
    def num_clusters(self) -> int:
        return len(self.clusters.words) if self.clusters else 0

    @property
    def unit(self) -> Unit:
        """What an entry of `recordings` is about."""
        return self.recordings[0].actors.unit

    @cached_property
    def groups(self) -> tuple[ReportRecording, ...]:
        """The first entry of each recording."""
        first: dict[str, ReportRecording] = {}
        for one in self.recordings:
            first.setdefault(one.recording, one)
        return tuple(first.values())

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each recording, by id."""
        return {recording.id: number for number, recording in enumerate(self.recordings)}

    def _check_actors(self) -> None:
        for one in self.recordings:
            if one.actors.unit != self.unit:
                raise InputError(
                    f"report {self.title!r}: {one.title!r} is a {one.actors.unit}, but {self.recordings[0].title!r} a "
                    f"{self.unit}; a report is of one unit"
                )
            for name in (one.agent, one.target):
                if name and name not in self.individuals:
                    raise InputError(f"{one.title!r}: {name!r} is none of the animals {list(self.individuals)}")

    def _check_ethogram(self, ethogram: Ethogram) -> None:
        if len(ethogram.frames) != len(self.recordings):
            raise InputError(
                f"ethogram {ethogram.name!r} has {len(ethogram.frames)} recordings, but the report has "
                f"{len(self.recordings)}"
            )
        for recording, own in zip(self.recordings, ethogram.frames, strict=True):
            if own is not None and len(own) != recording.frames:
                raise InputError(
                    f"ethogram {ethogram.name!r}: recording {recording.id!r} has {recording.frames} frames, but "
                    f"{len(own)} values"
                )

    def _check_clusters(self) -> None:
        number = self.num_clusters
        spoken = {card.cluster for card in self.cards}
        spoken |= {one.cluster for one in self.discovery.clusters} if self.discovery else set()
        spoken |= {test.cluster for profile in self.profiles for test in profile.tests}
        if unknown := sorted(cluster for cluster in spoken if not 0 <= cluster < number):
            raise InputError(
                f"cards or profiles refer to cluster {unknown[0]}, but the report has clusters 0 to {number - 1}"
            )
        tables = [(f"profile {profile.name!r}", profile.shares) for profile in self.profiles]
        tables += [("transitions", self.transitions)] if self.transitions is not None else []
        for name, table in tables:
            if table.shape[1] != number:
                raise InputError(f"{name}: shape {list(table.shape)} does not fit {number} clusters")

    def _check_bouts(self) -> None:
        shape = (len(self.individuals), self.skeleton.num_keypoints, 2)
        frames = {recording.id: recording.frames for recording in self.recordings}
        for bout in self.bouts:
            if bout.stop > frames.get(bout.recording, 0):
                raise InputError(f"bout {bout} is outside of the report's recordings")
        for number, bout in enumerate(self.bouts):
            if bout.track.ndim != 4 or bout.track.shape[1:] != shape or not len(bout.track):
                raise InputError(f"bout {number}: its track must have shape [time, *{shape}], got {bout.track.shape}")
            if bout.ethogram and bout.ethogram not in self._ethograms:
                raise InputError(f"bout {number}: unknown ethogram {bout.ethogram!r}; known: {[*self._ethograms]}")
            if any(not 0 <= neighbor.bout < len(self.bouts) for neighbor in bout.neighbors):
                raise InputError(f"bout {number}: its neighbors must be among the {len(self.bouts)} example bouts")

    def _check_map(self, frames: FrameMap) -> None:
        counts = np.array([recording.frames for recording in self.recordings])
        inside = (frames.recording >= 0) & (frames.recording < len(counts))
        if not inside.all() or (frames.frame < 0).any() or (frames.frame >= counts[frames.recording]).any():
            raise InputError("the map shows frames that the report's recordings do not have")
        if frames.nearest is not None and not (-1 <= frames.nearest.min() <= frames.nearest.max() < len(self.bouts)):
            raise InputError(f"the map's nearest bouts must be among the {len(self.bouts)} example bouts")
