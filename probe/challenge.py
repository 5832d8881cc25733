"""The AIcrowd challenge on CalMS21 (MABe 2021): its numbers for behaviours, and the sequences of its test files.

Tasks 1 and 2 number attack, investigation, mount, other from 0; in Task 3 every behaviour is 0 or 1, and behavior-k is
the k-th of the alphabet.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.io import read_recordings
from ssl_behavior.io.calms21 import VOCABULARY
from ssl_behavior.io.calms21_release import PARTS
from ssl_behavior.recording import NOT_ANNOTATED, Labels, Recording
from ssl_behavior.store import Store

__all__ = ["BACKGROUND", "BEHAVIORS", "CLASSES", "LAYOUTS", "TestSet", "check_task", "read_test_set"]

CLASSES = tuple(sorted(VOCABULARY, key=lambda name: VOCABULARY[name]))
BACKGROUND = "other"
BEHAVIORS = PARTS["task3"].groups
"""In the order of the alphabet: behavior-0 is approach, behavior-6 is whiterearing."""
ANNOTATORS = {1: ("0", ""), 2: ("1", "2", "3", "4", "5")}
"""Whose labels are the task's; "" where a file does not say who."""
LAYOUTS = {
    1: "{sequence: [0 to 3] * frames}",
    2: "{sequence: [0 to 3] * frames}",
    3: '{"behavior-0" to "behavior-6": {sequence: [0 or 1] * frames}}',
}


@dataclass(frozen=True)
class TestSet:
    """The sequences a submission is about.

    Parameters
    ----------
    source : the file or store they are from.
    task : 1, 2 or 3.
    frames : sequence -> number of frames.
    labels : annotator or behaviour -> sequence -> int64 [frames], in the challenge's numbers, -1 = not annotated;
        empty where the test file has none.
    """

    __test__ = False  # No test of ours, whatever its name makes pytest think.

    source: Path
    task: int
    frames: Mapping[str, int]
    labels: Mapping[str, Mapping[str, np.ndarray]]

    def required(self, group: str) -> list[str]:
        """The sequences that must be there: all, or, where there are labels, those that can be scored."""
        if not self.labels:
            return list(self.frames)
        parts = [self.labels.get(group, {})] if self.task == 3 else list(self.labels.values())
        return [sequence for sequence in self.frames if any(sequence in part for part in parts)]


def check_task(task: int) -> None:
    """Refuse a number that is no task of the challenge."""
    if task not in LAYOUTS:
        raise InputError(f"the challenge has the tasks {list(LAYOUTS)}, got {task}")


def read_test_set(path: str | Path, task: int) -> TestSet:
    """The test sequences of a store, of the challenge's `.npy`, or of a JSON or zip file of the release.

    Where some recordings are said to be test recordings, the others are left out.

    Raises
    ------
    InputError
        If the file cannot be read, or a label is none of the challenge's.
    """
    check_task(task)
    path = Path(path)
    recordings: Iterator[Recording] = iter(Store(path)) if path.is_dir() else read_recordings(path)
    # Keypoints are let go of one by one; what is kept is a few bytes per frame.
    entries = [(r.id, r.num_frames, r.subset, _own_labels(r, task)) for r in recordings]
    if any(subset == "test" for _, _, subset, _ in entries):
        entries = [entry for entry in entries if entry[2] == "test"]
    labels: dict[str, dict[str, np.ndarray]] = {}
    for sequence, _, _, own in entries:
        for part, values in own.items():
            labels.setdefault(part, {})[sequence] = values
    return TestSet(path, task, {sequence: frames for sequence, frames, _, _ in entries}, labels)


def _own_labels(recording: Recording, task: int) -> dict[str, np.ndarray]:
    """Annotator or behaviour -> labels, of those that are the task's."""
    if task == 3:
        # The release has the behaviours' names, the challenge's own files their numbers.
        names = {stream: name for n, name in enumerate(BEHAVIORS) for stream in (name, f"behavior-{n}")}
        return {
            names[stream]: _numbered(recording, labels, (BACKGROUND, stream))
            for stream, labels in recording.labels.items()
            if stream in names
        }
    labels = recording.labels.get("behavior")
    if labels is None or labels.annotator not in ANNOTATORS[task]:
        return {}
    return {f"annotator {labels.annotator}".strip(): _numbered(recording, labels, CLASSES)}


def _numbered(recording: Recording, labels: Labels, classes: Sequence[str]) -> np.ndarray:
    """Labels in the challenge's numbers."""
    used = [labels.vocabulary[number] for number in np.unique(labels.frames) if number != NOT_ANNOTATED]
    unknown = [name for name in used if name not in classes]
    if unknown:
        raise InputError(
            f"{recording.source}: recording {recording.id!r} has the labels {unknown}; the task has {list(classes)}"
        )
    table = [classes.index(name) if name in classes else NOT_ANNOTATED for name in labels.vocabulary]
    return np.array([*table, NOT_ANNOTATED])[labels.frames]
