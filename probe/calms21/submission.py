"""Submissions to the AIcrowd challenge on CalMS21 (MABe 2021): writing, checks against the test file, and scores.

A submission is one pickled dictionary in a `.npy`: {sequence: [label] * frames} for Tasks 1 and 2, with the numbers of
attack, investigation, mount, other from 0; {"behavior-k": {sequence: [0 or 1] * frames}} for Task 3, where behavior-k
is the k-th behavior in alphabetical order. Labels are integers, one for each frame of each sequence of the test file.
The score is the macro F1 over all classes except "other", and macro precision breaks ties; Task 2 is averaged over
annotators and Task 3 over behaviors (Sun et al. 2021, arXiv:2104.02710, and the challenge's page on Task 3).
"""

import argparse
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, check_free, write_json
from ssl_behavior.io import read_recordings
from ssl_behavior.io.calms21 import VOCABULARY
from ssl_behavior.io.calms21_release import PARTS
from ssl_behavior.io.pickled_npy import load_pickled_npy
from ssl_behavior.io.reader_helpers import ZIP_FAILURES, check_file
from ssl_behavior.metrics import ClassScores, class_scores, macro
from ssl_behavior.recording import NOT_ANNOTATED, Labels, Recording
from ssl_behavior.store import Store
from ssl_behavior.terminal import counted, make_console, make_table

__all__ = [
    "BACKGROUND",
    "BEHAVIORS",
    "CLASSES",
    "LAYOUTS",
    "SubmissionScore",
    "TestSet",
    "check_submission",
    "check_task",
    "main",
    "read_predictions",
    "read_submission",
    "read_test_set",
    "score_submission",
    "write_submission",
]

CLASSES = tuple(sorted(VOCABULARY, key=lambda name: VOCABULARY[name]))
BACKGROUND = "other"
BEHAVIORS = PARTS["task3"].groups
"""In alphabetical order: behavior-0 is approach, behavior-6 is whiterearing."""
ANNOTATORS = {1: ("0", ""), 2: ("1", "2", "3", "4", "5")}
"""Task -> annotators of its labels; "" for files without annotators."""
LAYOUTS = {
    1: "{sequence: [0 to 3] * frames}",
    2: "{sequence: [0 to 3] * frames}",
    3: '{"behavior-0" to "behavior-6": {sequence: [0 or 1] * frames}}',
}


@dataclass(frozen=True)
class TestSet:
    """The test sequences of the challenge.

    Parameters
    ----------
    source : test file or store.
    task : 1, 2 or 3.
    frames : sequence -> number of frames.
    labels : annotator or behavior -> sequence -> int64 [frames], in the challenge's numbers, -1 = not annotated; empty
        for a test file without labels.
    """

    __test__ = False  # The class name starts with "Test", but pytest must not collect it.

    source: Path
    task: int
    frames: Mapping[str, int]
    labels: Mapping[str, Mapping[str, np.ndarray]]

    def required(self, group: str) -> list[str]:
        """The required sequences: all, or with labels those that can be scored."""
        if not self.labels:
            return list(self.frames)
        parts = [self.labels.get(group, {})] if self.task == 3 else list(self.labels.values())
        return [sequence for sequence in self.frames if any(sequence in part for part in parts)]


def check_task(task: int) -> None:
    """Check that `task` is a task of the challenge."""
    if task not in LAYOUTS:
        raise InputError(f"the challenge has the tasks {list(LAYOUTS)}, got {task}")


def read_test_set(path: str | Path, task: int) -> TestSet:
    """The test sequences of a store, of the challenge's `.npy`, or of a JSON or zip file of the release.

    If some recordings belong to the test subset, the others are left out.

    Raises
    ------
    InputError
        If the file cannot be read, or has a label that the challenge does not have.
    """
    check_task(task)
    path = Path(path)
    recordings: Iterator[Recording] = iter(Store(path)) if path.is_dir() else read_recordings(path)
    # Only labels stay in memory, a few bytes per frame.
    entries = [(r.id, r.num_frames, r.subset, _own_labels(r, task)) for r in recordings]
    if any(subset == "test" for _, _, subset, _ in entries):
        entries = [entry for entry in entries if entry[2] == "test"]
    labels: dict[str, dict[str, np.ndarray]] = {}
    for sequence, _, _, own in entries:
        for part, values in own.items():
            labels.setdefault(part, {})[sequence] = values
    return TestSet(path, task, {sequence: frames for sequence, frames, _, _ in entries}, labels)


def _own_labels(recording: Recording, task: int) -> dict[str, np.ndarray]:
    """Annotator or behavior -> labels of the task."""
    if task == 3:
        # The release names the behaviors, the files of the challenge number them.
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


Labelings = Mapping[str, Mapping[str, Any]]
"""Behavior, or "" in Tasks 1 and 2 -> sequence -> a label for each frame."""


def _groups(task: int) -> tuple[str, ...]:
    return BEHAVIORS if task == 3 else ("",)


def write_submission(
    path: str | Path, predictions: Mapping[str, Any], task: int, test: TestSet | None = None, overwrite: bool = False
) -> Path:
    """Write a submission; equal predictions give equal files, in any order.

    Parameters
    ----------
    predictions : Tasks 1 and 2: recording id -> int [frames]; Task 3: behavior -> recording id -> 0 or 1 [frames].
    test : test set for `check_submission`.

    Raises
    ------
    InputError
        If the name does not end in .npy, the file exists and `overwrite` is False, or the check finds faults.
    """
    check_task(task)
    path = Path(path)
    if path.suffix != ".npy":
        raise InputError(f"{path}: a submission is a .npy file; choose a name that ends in .npy")
    check_free(path, overwrite)
    labelings = predictions if task == 3 else {"": predictions}
    _refuse(str(path), check_submission(labelings, test) if test is not None else _own_faults(labelings, task))
    # One object per name: pickles of equal and of identical strings differ, and the file must not depend on that.
    names = {sequence: sequence for group in labelings.values() for sequence in group}
    groups = {
        group: {
            names[sequence]: np.asarray(labelings[group][sequence]).tolist() for sequence in sorted(labelings[group])
        }
        for group in sorted(labelings)
    }
    content: dict[str, Any] = groups[""] if task != 3 else {_number_of(group): groups[group] for group in groups}
    with atomic_file(path) as partial, partial.open("wb") as file:
        np.save(file, np.array(content, dtype=object))
    return path


def _number_of(behavior: str) -> str:
    return f"behavior-{BEHAVIORS.index(behavior)}"


def read_submission(path: str | Path, task: int) -> Labelings:
    """The labels of a submission, read without running code of the pickle and not yet checked.

    Raises
    ------
    InputError
        If the file is not a pickled dictionary, runs code, or has the layout of another task.
    """
    check_task(task)
    path = Path(path)
    content = load_pickled_npy(path, f"a submission to Task {task} is a pickled dictionary {LAYOUTS[task]}")
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}; a submission to Task {task} is {LAYOUTS[task]}")
    nested = [name for name, value in content.items() if isinstance(value, Mapping)]
    if task != 3:
        if nested:
            raise InputError(f"{path}: {nested[0]!r} is a dictionary; a submission to Task {task} is {LAYOUTS[task]}")
        return {"": content}
    flat = [name for name in content if name not in nested]
    if flat:
        raise InputError(f"{path}: {flat[0]!r} is not a dictionary; a submission to Task 3 is {LAYOUTS[3]}")
    behaviors = {f"behavior-{number}": name for number, name in enumerate(BEHAVIORS)}
    return {behaviors.get(name, str(name)): value for name, value in content.items()}


def check_submission(labelings: Labelings, test: TestSet) -> list[str]:
    """Faults of a submission, one sentence per kind of fault; empty for a valid submission.

    Parameters
    ----------
    labelings : from `read_submission`; or behavior ("" in Tasks 1 and 2) -> recording id -> int [frames].
    """
    faults = _own_faults(labelings, test.task)
    missing, unknown, lengths = [], [], []
    for group in _groups(test.task):
        there = labelings.get(group, {})
        missing += [_named(group, sequence) for sequence in test.required(group) if sequence not in there]
        unknown += [_named(group, sequence) for sequence in there if sequence not in test.frames]
        lengths += [
            f"{_named(group, sequence)} with {counted(len(values), 'label')} for {counted(frames, 'frame')}"
            for sequence, values in there.items()
            if (frames := test.frames.get(str(sequence))) is not None and _is_sequence(values) and len(values) != frames
        ]
    return [
        *_summarized(missing, f"of {test.source} missing: label all of them"),
        *_summarized(unknown, f"not in {test.source}: leave out all but test sequences"),
        *_summarized(lengths, "of a wrong length: every frame has one label"),
        *faults,
    ]


def _own_faults(labelings: Labelings, task: int) -> list[str]:
    """Faults that are found without the test file."""
    groups = _groups(task)
    faults = []
    absent = [f"{_number_of(group)} ({group})" for group in groups if group not in labelings] if task == 3 else []
    extra = [str(group) for group in labelings if group not in groups]
    if absent:
        faults.append(f"no predictions of {', '.join(absent)}: a submission to Task 3 has all {len(BEHAVIORS)}")
    if extra:
        faults.append(f"{', '.join(extra)}: not a behavior of Task 3, which are behavior-0 to behavior-6")
    top = 1 if task == 3 else len(CLASSES) - 1
    kinds: list[str] = []
    outside: list[str] = []
    for group in groups:
        for sequence, values in labelings.get(group, {}).items():
            fault, is_outside = _label_fault(values, top)
            if fault:
                (outside if is_outside else kinds).append(f"{_named(group, sequence)}, {fault}")
    names = "0 (it does not show) or 1 (it shows)" if task == 3 else ", ".join(map(" ".join, _numbered_classes()))
    return [
        *faults,
        *_summarized(kinds, "with labels that are not integers: convert them to int"),
        *_summarized(outside, f"with labels outside the vocabulary: use {names}"),
    ]


def _numbered_classes() -> Iterator[tuple[str, str]]:
    return ((str(number), name) for number, name in enumerate(CLASSES))


def _named(group: str, sequence: Any) -> str:
    return f"{sequence!r}" + (f" of {group}" if group else "")


def _summarized(faults: Sequence[str], what: str) -> list[str]:
    """One sentence about faults of one kind: their number, and the first."""
    return [f"{counted(len(faults), 'sequence')} {what} (the first is {faults[0]})"] if faults else []


def _is_sequence(values: Any) -> bool:
    return isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.ndim > 0)


def _label_fault(values: Any, top: int) -> tuple[str, bool]:
    """The fault of one sequence's labels ("" = none), and whether it is a label out of range."""
    if not _is_sequence(values):
        return f"a {type(values).__name__} instead of a list", False
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "iu":
            return f"{values.dtype} of shape {list(values.shape)}", False
    else:
        for frame, value in enumerate(values):
            # True is an int in Python, but not a label.
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                return f"frame {frame} is {value!r:.40}", False
    array = np.asarray(values)
    wrong = np.flatnonzero((array < 0) | (array > top))
    return (f"frame {wrong[0]} is {array[wrong[0]]}", True) if len(wrong) else ("", False)


def _refuse(where: str, faults: Sequence[str]) -> None:
    if faults:
        raise InputError(f"{where}: {'; '.join(faults)}")


@dataclass(frozen=True)
class PartScore:
    """Scores of one annotator or behavior, all its frames pooled. None = undefined.

    Parameters
    ----------
    classes : behavior -> scores; without "other".
    f1, precision : means over the classes with a positive frame.
    """

    classes: Mapping[str, ClassScores]
    f1: float | None
    precision: float | None


@dataclass(frozen=True)
class SubmissionScore:
    """The ranking scores of the challenge: `f1`, and `precision` for ties.

    Parameters
    ----------
    parts : annotator or behavior -> scores; `f1` and `precision` are their means.
    undefined : classes, with their part, without a positive frame in the labels; the means leave them out.
    """

    task: int
    f1: float | None
    precision: float | None
    parts: Mapping[str, PartScore]
    undefined: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"undefined": list(self.undefined)}


def score_submission(labelings: Labelings, test: TestSet) -> SubmissionScore:
    """Score a submission by the rules of the challenge.

    F1 of a class without positive labels is undefined, and the means leave it out. A class with positive labels that is
    never predicted has an F1 and a precision of 0.

    Raises
    ------
    InputError
        If the test recordings have no labels of the task, or the check finds faults.
    """
    if not test.labels:
        raise InputError(f"{test.source} has no labels of Task {test.task}; give a store or file that has them")
    # The test file of the challenge has sequences of other tasks too: they are ignored.
    own = {group: {s: v for s, v in values.items() if s in test.frames} for group, values in labelings.items()}
    _refuse(f"scored on {test.source}", check_submission(own, test))
    parts = {name: _score_part(own, test, name) for name in sorted(test.labels)}
    undefined = tuple(
        kind if kind == name else f"{name}: {kind}"
        for name, part in parts.items()
        for kind, score in part.classes.items()
        if score.f1 is None
    )
    f1, precision = macro([part.f1 for part in parts.values()]), macro([part.precision for part in parts.values()])
    return SubmissionScore(test.task, f1, precision, parts, undefined)


def _score_part(labelings: Labelings, test: TestSet, part: str) -> PartScore:
    group, names = (part, {part: 1}) if test.task == 3 else ("", {name: CLASSES.index(name) for name in CLASSES})
    truth = np.concatenate(list(test.labels[part].values()))
    predicted = np.concatenate([np.asarray(labelings[group][sequence]) for sequence in test.labels[part]])
    known = truth != NOT_ANNOTATED
    truth, predicted = truth[known], predicted[known]
    scores = {
        # Decisions have no average precision.
        name: replace(class_scores(truth == number, (predicted == number).astype(float), predicted == number), ap=None)
        for name, number in names.items()
        if name != BACKGROUND
    }
    defined = [score for score in scores.values() if score.f1 is not None]
    precision = macro([score.precision or 0.0 for score in defined])
    return PartScore(scores, macro([score.f1 for score in defined]), precision)


def read_predictions(path: str | Path, task: int) -> dict[str, Any]:
    """Predictions for `write_submission` from an `.npz` with an integer array per recording.

    Arrays have the recording's id as name; in Task 3 the behavior, a slash, and the id.

    Raises
    ------
    InputError
        If the file is not such an `.npz`, or a name of Task 3 does not start with a behavior.
    """
    check_task(task)
    path = Path(path)
    check_file(path)
    wrong = f"{path} is not an .npz with an integer array for each recording, as written by numpy.savez"
    if not zipfile.is_zipfile(path):
        raise InputError(wrong)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (*ZIP_FAILURES, KeyError) as error:
        raise InputError(f"{wrong} ({error})") from None
    if task != 3:
        return arrays
    groups: dict[str, Any] = {}
    for name, values in arrays.items():
        behavior, _, sequence = name.partition("/")
        if behavior not in BEHAVIORS or not sequence:
            raise InputError(
                f"{path}: the array {name!r} is not named behavior/recording, with one of the behaviors "
                f"{list(BEHAVIORS)}"
            )
        groups.setdefault(behavior, {})[sequence] = values
    return groups


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior submission", description="Submissions to the AIcrowd challenge on CalMS21 (MABe 2021)."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    write = actions.add_parser("write", help="write a submission from predictions, checked against the test file")
    write.add_argument(
        "predictions", type=Path, metavar="PREDICTIONS",
        help=".npz with an integer array per recording id (Task 3: behavior/id), as written by numpy.savez",
    )  # fmt: skip
    check = actions.add_parser("check", help="list the faults of a submission")
    score = actions.add_parser("score", help="macro F1 without 'other', and macro precision, which breaks ties")
    for action in (check, score):
        action.add_argument("submission", type=Path, metavar="SUBMISSION", help="a .npy file")
    for action in (write, check, score):
        action.add_argument("--task", type=int, choices=tuple(LAYOUTS), required=True)
    for action in (write, check):
        action.add_argument("--test", type=Path, required=True, metavar="TEST", help="the test file, or a store")
    score.add_argument("--labels", type=Path, required=True, metavar="LABELS", help="a store or file with the labels")
    write.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .npy to write")
    score.add_argument("--out", type=Path, metavar="FILE", help="write the scores as JSON too")
    for action in (write, score):
        action.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    return parser


def main(argv: list[str]) -> int:
    """Run `ssl-behavior submission`; returns the exit code."""
    args = _parser().parse_args(argv)
    console = make_console()
    if args.action == "score":
        if args.out is not None:
            check_free(args.out, args.overwrite)
        score = score_submission(read_submission(args.submission, args.task), read_test_set(args.labels, args.task))
        console.print(_table(score))
        if args.out is not None:
            write_json(args.out, score.to_dict())
        return 0
    test = read_test_set(args.test, args.task)
    if args.action == "write":
        write_submission(args.out, read_predictions(args.predictions, args.task), args.task, test, args.overwrite)
    else:
        _refuse(str(args.submission), check_submission(read_submission(args.submission, args.task), test))
    path = args.out if args.action == "write" else args.submission
    console.print(
        f"{path}: {counted(len(test.frames), 'test sequence')} of Task {args.task}, no faults", soft_wrap=True
    )
    return 0


def _table(score: SubmissionScore) -> Table:
    def text(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.4f}"

    rows = []
    for name, part in score.parts.items():
        for kind, one in part.classes.items():
            precision = 0.0 if one.f1 is not None and one.precision is None else one.precision
            rows.append([name, kind, text(one.f1), text(precision), text(one.recall), f"{one.support:,}"])
    rows.append([f"Task {score.task}", "mean", text(score.f1), text(score.precision)])
    columns = ["part", "behavior", "F1", "precision", "recall", "frames"]
    return make_table(columns, rows, text=columns[:2])
