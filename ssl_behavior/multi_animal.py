"""Animals that a tracker keeps in the names of body parts (`Nose_1`, `mouse2_nose`), or in a file of their own.

Both are recognized by name and offered; `ImportOptions.animals_from` takes the offer.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssl_behavior.body_parts import animal_and_rest, animals_in_names, same_name
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Recording, take_or_missing
from ssl_behavior.skeleton import choose_skeleton

__all__ = ["AnimalFile", "animals_in_files", "joined", "split_by_names"]


def split_by_names(recording: Recording) -> Recording:
    """The recording of one flat animal as one of several, by the names of its keypoints.

    Raises
    ------
    InputError
        If the names name no animals, or the roles of the body parts are not known.
    """
    animals = animals_in_names(recording.skeleton.keypoints)
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

    >>> animals_in_files(["cage3_mouse1", "cage3_mouse2", "cage4"])
    {'cage3_mouse1': AnimalFile(recording='cage3', animal='mouse1'), \
'cage3_mouse2': AnimalFile(recording='cage3', animal='mouse2')}
    """
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for id in ids:
        folder, slash, name = id.rpartition("/")
        if (found := animal_and_rest(name)) is not None:
            groups[folder + slash + found[1]].append((id, found[0]))
    return {
        id: AnimalFile(recording, animal)
        for recording, members in groups.items()
        if len(members) > 1 and recording not in ids
        for id, animal in members
    }


def joined(recordings: Sequence[Recording], id: str, animals: Sequence[str]) -> Recording:
    """One recording of several animals from recordings of one animal each, of one video.

    Raises
    ------
    InputError
        If one has several animals, or they differ in length, frame rate or body parts.
    """
    first = recordings[0]
    for one in recordings:
        same = [same_name(a, b) for a, b in zip(one.skeleton.keypoints, first.skeleton.keypoints, strict=False)]
        if len(one.individuals) != 1:
            raise InputError(
                f"{one.source}: it has {len(one.individuals)} animals; `animals_from=files` joins files of one animal"
            )
        if (one.num_frames, one.fps) != (first.num_frames, first.fps):
            raise InputError(
                f"{one.source} has {one.num_frames} frames at {one.fps:g} per second, {first.source} has "
                f"{first.num_frames} at {first.fps:g}: they are not of one video"
            )
        if not np.array_equal(one.frame_times.seconds(), first.frame_times.seconds()):
            raise InputError(f"{one.source} and {first.source} have different frame times: they are not of one video")
        if not all(same) or one.skeleton.num_keypoints != first.skeleton.num_keypoints:
            raise InputError(
                f"{one.source} has the body parts {list(one.skeleton.keypoints)}, {first.source} has "
                f"{list(first.skeleton.keypoints)}; animals of one video need the same"
            )
    known = [one.confidence for one in recordings if one.confidence is not None]
    return replace(
        first,
        id=id,
        keypoints=np.concatenate([one.keypoints for one in recordings], axis=1),
        confidence=np.concatenate(known, axis=1) if len(known) == len(recordings) else None,
        individuals=tuple(animals),
        source=", ".join(one.source for one in recordings),
        notes=tuple(dict.fromkeys(note for one in recordings for note in one.notes)),
    )
