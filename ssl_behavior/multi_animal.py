"""Animals that a tracker keeps in the names of body parts (`Nose_1`, `mouse2_nose`), or in a file of their own.

Both are recognized by name and offered; `ImportOptions.animals_from` takes the offer.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ssl_behavior.body_parts import animal_and_rest, animals_in_names, same_name
from ssl_behavior.errors import InputError
from ssl_behavior.recording import (
    CLOCK_DRIFT,
    NOT_ANNOTATED,
    ON_TIME_FRAMES,
    Labels,
    PairLabels,
    Recording,
    take_or_missing,
    times_of_all_frames,
)
from ssl_behavior.skeleton import choose_skeleton
from ssl_behavior.terminal import counted

__all__ = ["AnimalFile", "animals_in_files", "joined", "split_by_names"]

_SAME_RATE = 5e-4
"""Relative distance of equal frame rates that two files measured: 29.97 and 30 differ."""


def split_by_names(recording: Recording) -> Recording:
    """The recording of one flat animal as one of several, by the names of its keypoints.

    Raises
    ------
    InputError
        If the names name no animals, or the roles of the body parts are not known.
    """
    animals = animals_in_names(recording.skeleton.keypoints, fewest=1)
    if not animals:
        raise InputError(
            f"{recording.source or recording.id}: the body parts {list(recording.skeleton.keypoints)} name no animals; "
            "expected names such as nose_1 and nose_2, or mouse1_nose and mouse2_nose; leave `animals_from` out"
        )
    parts = list(dict.fromkeys(part for found in animals.values() for part in found))
    skeleton, order = choose_skeleton(parts, None, recording.source or recording.id)
    parts = [parts[i] for i in order]
    own = recording.skeleton.keypoints
    places = [[own.index(found[p]) if p in found else -1 for p in parts] for found in animals.values()]
    known = recording.confidence
    return replace(
        recording,
        keypoints=take_or_missing(recording.keypoints[:, 0], places, axis=1),
        confidence=known if known is None else take_or_missing(known[:, 0], places, axis=1),
        skeleton=skeleton,
        individuals=tuple(animals),
    )


@dataclass(frozen=True)
class AnimalFile:
    """The recording that a file of one animal belongs to, and the animal's name."""

    recording: str
    animal: str


def animals_in_files(ids: Sequence[str]) -> dict[str, AnimalFile]:
    """Id -> recording and animal, of ids that are equal but for the name of an animal.

    An id without such a partner is one of them if it names an animal that another recording has, too.

    >>> animals_in_files(["cage3_mouse1", "cage3_mouse2", "cage4"])
    {'cage3_mouse1': AnimalFile(recording='cage3', animal='mouse1'), \
'cage3_mouse2': AnimalFile(recording='cage3', animal='mouse2')}
    """
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for id in ids:
        folder, slash, name = id.rpartition("/")
        if (found := animal_and_rest(name)) is not None:
            groups[folder + slash + found[1]].append((id, found[0]))
    known = {animal for members in groups.values() if len(members) > 1 for _, animal in members}
    return {
        id: AnimalFile(recording, animal)
        for recording, members in groups.items()
        if (len(members) > 1 or members[0][1] in known) and recording not in ids
        for id, animal in members
    }


def joined(recordings: Sequence[Recording], id: str, animals: Sequence[str]) -> Recording:
    """One recording of several animals from recordings of one animal each, of one video.

    A file with frame numbers may end before the video does: its animal is missing from there on. The measured time of
    each frame is that of a file which has the frame. Label streams of all files are kept: they are about the video.

    Raises
    ------
    InputError
        If one has several animals, or they differ in length, frame rate, frame times, body parts, labels of one stream,
        size of the video, scale or subset.
    """
    first, longest = recordings[0], max(recordings, key=lambda one: one.num_frames)
    recordings = [_with_body_parts(one, first) for one in recordings]
    for one in recordings:
        _check_length(one, longest)
    num_frames = longest.num_frames
    known = [_padded(one.confidence, num_frames) for one in recordings if one.confidence is not None]
    notes = dict.fromkeys(note for one in recordings for note in one.notes)
    return replace(
        first,
        id=id,
        keypoints=np.concatenate([_padded(one.keypoints, num_frames) for one in recordings], axis=1),
        confidence=np.concatenate(known, axis=1) if len(known) == len(recordings) else None,
        fps=max(recordings, key=lambda one: len(_own_frames(one))).fps,
        individuals=tuple(animals),
        labels=_joined_labels(recordings, num_frames),
        pair_labels=_joined_pair_labels(recordings),
        subset=_common(recordings, "subset", ""),
        source=", ".join(one.source for one in recordings),
        resolution_px=_common(recordings, "resolution_px", None),
        px_per_cm=_common(recordings, "px_per_cm", None),
        notes=(*notes, *_early_ends(recordings, animals, num_frames)),
        times=_joined_times(recordings, num_frames),
        in_file=None,
    )


def _with_body_parts(one: Recording, first: Recording) -> Recording:
    """A recording of one animal with the body parts in the order of the first.

    Raises
    ------
    InputError
        If it has several animals, or other body parts.
    """
    if len(one.individuals) != 1:
        raise InputError(
            f"{one.source}: it has {len(one.individuals)} animals; `animals_from=files` joins files of one animal"
        )
    own, wanted = one.skeleton.keypoints, first.skeleton.keypoints
    places = [next((i for i, name in enumerate(own) if same_name(name, part)), -1) for part in wanted]
    if sorted(places) != list(range(len(own))):
        raise InputError(
            f"{one.source} has the body parts {list(own)}, {first.source} has {list(wanted)}; animals of one video "
            "need the same"
        )
    if places == list(range(len(own))):
        return one
    confidence = None if one.confidence is None else one.confidence[:, :, places]
    return replace(one, keypoints=one.keypoints[:, :, places], confidence=confidence, skeleton=first.skeleton)


def _check_length(one: Recording, longest: Recording) -> None:
    """Refuse another frame rate, and fewer frames without frame numbers.

    Rates that come from the clocks of two files differ a little; measured times are compared one by one.
    """
    numbered = one.in_file is not None and longest.in_file is not None
    measured = one.times is not None or longest.times is not None
    tolerance = CLOCK_DRIFT if measured else _SAME_RATE if numbered else 0.0
    shorter = one.num_frames < longest.num_frames and one.in_file is None
    if shorter or abs(one.fps / longest.fps - 1) > tolerance:
        raise InputError(
            f"{one.source} has {counted(one.num_frames, 'frame')} at {one.fps:g} per second, {longest.source} has "
            f"{longest.num_frames:,} at {longest.fps:g}: they are not of one video, or one is cut off; tracks of one "
            "video need the same frames (an animal that is not seen is empty there) and the same rate"
        )


def _early_ends(recordings: Sequence[Recording], animals: Sequence[str], num_frames: int) -> list[str]:
    ends = [(animal, num_frames - one.num_frames) for animal, one in zip(animals, recordings, strict=True)]
    return [
        f"the file of {animal} ends {early} of {num_frames} frames before the video: missing"
        for animal, early in ends
        if early
    ]


def _common(recordings: Sequence[Recording], name: str, unknown: Any) -> Any:
    """A fact of the video that some of its files state.

    Raises
    ------
    InputError
        If two files differ in it.
    """
    stated = [(one, getattr(one, name)) for one in recordings if getattr(one, name) != unknown]
    for one, value in stated[1:]:
        first, known = stated[0]
        if not (value == known if isinstance(value, str) else np.allclose(value, known, rtol=_SAME_RATE, atol=0)):
            raise InputError(
                f"{one.source} has {name} {value}, {first.source} has {known}; files of one video need the same: "
                "correct it in one of them, or leave it out"
            )
    return stated[0][1] if stated else unknown


def _joined_labels(recordings: Sequence[Recording], num_frames: int) -> dict[str, Labels]:
    """Label streams of all files; frames after a file's end are not annotated.

    Raises
    ------
    InputError
        If two files have one stream with different labels.
    """
    longest: dict[str, tuple[Recording, Labels]] = {}
    for one in recordings:
        for name, labels in one.labels.items():
            other, known = longest.setdefault(name, (one, labels))
            if difference := _difference(known, labels):
                raise InputError(
                    f"label stream {name!r}: {one.source} and {other.source} differ in {difference}. The video has one "
                    f"behavior per frame and stream: rename the streams by animal, such as {name}_1 and {name}_2, or "
                    "leave labels out of one of the files"
                )
            if len(labels.frames) > len(known.frames):
                longest[name] = one, labels
    return {
        name: replace(
            labels,
            frames=np.pad(labels.frames, (0, num_frames - len(labels.frames)), constant_values=NOT_ANNOTATED),
        )
        for name, (_, labels) in longest.items()
    }


def _joined_pair_labels(recordings: Sequence[Recording]) -> dict[str, PairLabels]:
    """Bouts of each file about its own animal; in pairs of two animals nothing was looked for.

    Raises
    ------
    InputError
        If two files of a stream have different annotators.
    """
    joined = {}
    for name in dict.fromkeys(name for one in recordings for name in one.pair_labels):
        having = [(number, one) for number, one in enumerate(recordings) if name in one.pair_labels]
        words = tuple(dict.fromkeys(word for _, one in having for word in one.pair_labels[name].vocabulary))
        looked_for = np.zeros((len(recordings), len(recordings), len(words)), dtype=bool)
        bouts = []
        for number, one in having:
            labels = one.pair_labels[name]
            table = np.array([words.index(word) for word in labels.vocabulary])
            looked_for[number, number, table] = labels.looked_for_of(1)[0, 0]
            renumbered = labels.bouts.copy()
            renumbered[:, :2] = number
            renumbered[:, 2] = table[labels.bouts[:, 2]]
            bouts.append(renumbered)
        annotators = {one.pair_labels[name].annotator for _, one in having}
        if len(annotators) > 1:
            raise InputError(
                f"label stream {name!r}: {having[0][1].source} and {having[1][1].source} differ in their annotator: "
                f"{', '.join(sorted(annotators))}; rename the streams by annotator, or leave one out"
            )
        joined[name] = PairLabels(
            vocabulary=words, bouts=np.concatenate(bouts), looked_for=looked_for, annotator=annotators.pop()
        )
    return joined


def _difference(one: Labels, other: Labels) -> str:
    """What two streams differ in, "" for nothing; frames after the end of the shorter one are left out."""
    for name in ("vocabulary", "annotator", "background"):
        if getattr(one, name) != getattr(other, name):
            return f"their {name}: {getattr(other, name)!r} and {getattr(one, name)!r}"
    together = min(len(one.frames), len(other.frames))
    differing = np.flatnonzero(one.frames[:together] != other.frames[:together])
    return f"{len(differing)} of {together} frames, the first is {differing[0]}" if len(differing) else ""


def _padded(values: np.ndarray, num_frames: int) -> np.ndarray:
    """Tracks with this many frames, NaN at the end."""
    padding = np.full((num_frames - len(values), *values.shape[1:]), np.nan, dtype=values.dtype)
    return np.concatenate([values, padding]) if len(padding) else values


def _own_frames(one: Recording) -> np.ndarray:
    """Numbers of the frames that its file has, int64 [own frame]."""
    return np.arange(one.num_frames) if one.in_file is None else np.flatnonzero(one.in_file)


def _joined_times(recordings: Sequence[Recording], num_frames: int) -> np.ndarray | None:
    """Time of each frame, float64 [time], s, from files that have it; None if no file has measured times.

    Raises
    ------
    InputError
        If two files have different times of one frame.
    """
    if all(one.times is None for one in recordings):
        return None
    ordered = sorted(recordings, key=lambda one: (_own_frames(one)[0], one.times is None))
    times = np.full(num_frames, np.nan)
    for one in ordered:
        own = _own_frames(one)
        seconds = one.frame_times.seconds()[own]
        shared = np.isfinite(times[own])
        if shared.any() and own[0] > 0:
            # Where the clock does not start at 0 s, a file without frame 0 is late by a constant.
            seconds = seconds - np.median((seconds - times[own])[shared])
        together = np.where(shared, times[own], seconds)
        times[own] = together
        known = times[np.isfinite(times)]
        if (np.abs(together - seconds) * one.fps > ON_TIME_FRAMES).any() or (np.diff(known) <= 0).any():
            raise InputError(
                f"{one.source} and {ordered[0].source} have different times of the same frames: they are not of one "
                "video"
            )
    known = np.flatnonzero(np.isfinite(times))
    return times_of_all_frames(known, times[known])
