"""Submissions to the AIcrowd challenge on CalMS21 (MABe 2021): written, checked against the test file, and scored.

A submission is one pickled dictionary in a `.npy`: {sequence: [label] * frames} for Tasks 1 and 2, with the numbers of
attack, investigation, mount, other; {"behavior-k": {sequence: [0 or 1] * frames}} for Task 3, k the place of the
behaviour in the alphabet. Labels are plain whole numbers, one for each frame of each sequence of the test file. The
score is the macro F1 over the classes that are not "other", and macro precision breaks ties; Task 2 is averaged over
annotators and Task 3 over behaviours (Sun et al. 2021, arXiv:2104.02710, and the challenge's page on Task 3).

The AIcrowd challenge on CalMS21 (MABe 2021): its numbers for behaviours, and the sequences of its test files.

Tasks 1 and 2 number attack, investigation, mount, other from 0; in Task 3 every behaviour is 0 or 1, and behavior-k is
the k-th of the alphabet.
"""

import argparse
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, check_free, write_json
from ssl_behavior.io import read_recordings
from ssl_behavior.io.calms21 import VOCABULARY, load_pickled_npy
from ssl_behavior.io.calms21_release import PARTS
from ssl_behavior.io.source import ZIP_FAILURES, check_file
from ssl_behavior.metrics import ClassScores, class_scores, macro
from ssl_behavior.recording import NOT_ANNOTATED, Labels, Recording
from ssl_behavior.store import Store
from ssl_behavior.terminal import counted, make_console

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


Labelings = Mapping[str, Mapping[str, Any]]
"""Behaviour, or "" in Tasks 1 and 2 -> sequence -> a label for each frame."""


def _groups(task: int) -> tuple[str, ...]:
    return BEHAVIORS if task == 3 else ("",)


def write_submission(
    path: str | Path, predictions: Mapping[str, Any], task: int, test: TestSet | None = None, overwrite: bool = False
) -> Path:
    """Write a submission; equal predictions give equal files, whatever order they come in.

    Parameters
    ----------
    predictions : Tasks 1 and 2: recording id -> int [frames]; Task 3: behaviour -> recording id -> 0 or 1 [frames].
    test : checked against it first, see `check_submission`.

    Raises
    ------
    InputError
        If the name does not end in .npy, the file exists and `overwrite` is False, or the check finds something.
    """
    check_task(task)
    path = Path(path)
    if path.suffix != ".npy":
        raise InputError(f"{path}: a submission is a .npy file; choose a name that ends so")
    check_free(path, overwrite)
    labelings = predictions if task == 3 else {"": predictions}
    _refuse(str(path), check_submission(labelings, test) if test is not None else _own_faults(labelings, task))
    # One object for each name: a pickle tells equal and identical texts apart, and must not depend on it.
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
    """What a submission says, without running anything of the pickle; not checked yet.

    Raises
    ------
    InputError
        If it is no pickled dictionary, asks to run something, or is of another task's layout.
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
        raise InputError(f"{path}: {flat[0]!r} is no dictionary; a submission to Task 3 is {LAYOUTS[3]}")
    behaviors = {f"behavior-{number}": name for number, name in enumerate(BEHAVIORS)}
    return {behaviors.get(name, str(name)): value for name, value in content.items()}


def check_submission(labelings: Labelings, test: TestSet) -> list[str]:
    """What is wrong with a submission, a sentence for each kind of fault; none if it is right.

    Parameters
    ----------
    labelings : from `read_submission`; or behaviour ("" in Tasks 1 and 2) -> recording id -> int [frames].
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
        *_told(missing, f"of {test.source} missing: label all of them"),
        *_told(unknown, f"not in {test.source}: leave out what is no test sequence"),
        *_told(lengths, "of a wrong length: every frame has one label"),
        *faults,
    ]


def _own_faults(labelings: Labelings, task: int) -> list[str]:
    """What can be told without the test file."""
    groups = _groups(task)
    faults = []
    absent = [f"{_number_of(group)} ({group})" for group in groups if group not in labelings] if task == 3 else []
    extra = [str(group) for group in labelings if group not in groups]
    if absent:
        faults.append(f"no predictions of {', '.join(absent)}: a submission to Task 3 has all {len(BEHAVIORS)}")
    if extra:
        faults.append(f"{', '.join(extra)}: no behaviour of Task 3, which are behavior-0 to behavior-6")
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
        *_told(kinds, "with labels that are no whole numbers: convert them to int"),
        *_told(outside, f"with labels outside the vocabulary: use {names}"),
    ]


def _numbered_classes() -> Iterator[tuple[str, str]]:
    return ((str(number), name) for number, name in enumerate(CLASSES))


def _named(group: str, sequence: Any) -> str:
    return f"{sequence!r}" + (f" of {group}" if group else "")


def _told(faults: Sequence[str], what: str) -> list[str]:
    """One sentence about faults of one kind: how many, and the first."""
    return [f"{counted(len(faults), 'sequence')} {what} (the first is {faults[0]})"] if faults else []


def _is_sequence(values: Any) -> bool:
    return isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.ndim > 0)


def _label_fault(values: Any, top: int) -> tuple[str, bool]:
    """What is wrong with one sequence's labels, "" if nothing, and whether it is only that one is out of range."""
    if not _is_sequence(values):
        return f"a {type(values).__name__} instead of a list", False
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "iu":
            return f"{values.dtype} of shape {list(values.shape)}", False
    else:
        for frame, value in enumerate(values):
            # True is an int to Python, and no label.
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
    """Scores for one annotator or behaviour, all its frames pooled. None = undefined.

    Parameters
    ----------
    classes : behaviour -> its scores; those of "other" are not looked at.
    f1, precision : means over the classes that have a positive frame.
    """

    classes: Mapping[str, ClassScores]
    f1: float | None
    precision: float | None


@dataclass(frozen=True)
class SubmissionScore:
    """What the challenge ranks by: `f1`, and `precision` where two submissions tie.

    Parameters
    ----------
    parts : annotator or behaviour -> its scores; `f1` and `precision` are their means.
    undefined : classes, with their part, without a positive frame in the labels; they are in no mean.
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
    """Score a submission as the challenge does.

    F1 of a class that the labels never show is undefined and in no mean. A class that is shown and never predicted has
    an F1 and a precision of 0: nobody shall gain by not naming it.

    Raises
    ------
    InputError
        If the test recordings have no labels of the task, or the check finds something.
    """
    if not test.labels:
        raise InputError(f"{test.source} has no labels of Task {test.task}; give a store or file that has them")
    # The challenge's test file has sequences of other tasks too: what is no test sequence here is not looked at.
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
    shown = [score for score in scores.values() if score.f1 is not None]
    return PartScore(scores, macro([score.f1 for score in shown]), macro([score.precision or 0.0 for score in shown]))


def read_predictions(path: str | Path, task: int) -> dict[str, Any]:
    """Predictions for `write_submission` from an `.npz` with an array of whole numbers for each recording.

    Arrays are named by the recording's id; in Task 3 by the behaviour, a slash, and the id.

    Raises
    ------
    InputError
        If the file is no such `.npz`, or a name of Task 3 begins with no behaviour.
    """
    check_task(task)
    path = Path(path)
    check_file(path)
    wrong = f"{path} is no .npz with an array of whole numbers for each recording, as numpy.savez makes it"
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
                f"{path}: the array {name!r} is not named behaviour/recording, with one of the behaviours "
                f"{list(BEHAVIORS)}"
            )
        groups.setdefault(behavior, {})[sequence] = values
    return groups


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ssl-behavior submission", description="Submissions to the AIcrowd challenge on CalMS21 (MABe 2021)."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    write = actions.add_parser("write", help="make a submission of predictions, checked against the test file")
    write.add_argument(
        "predictions", type=Path, metavar="PREDICTIONS",
        help=".npz with whole numbers for each recording id (Task 3: behaviour/id), as numpy.savez makes it",
    )  # fmt: skip
    check = actions.add_parser("check", help="say what is wrong with a submission")
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
        f"{path}: {counted(len(test.frames), 'test sequence')} of Task {args.task}, nothing wrong", soft_wrap=True
    )
    return 0


def _table(score: SubmissionScore) -> Table:
    def shown(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.4f}"

    table = Table("", "behaviour", "F1", "precision", "recall", "frames", box=SIMPLE)
    for name, part in score.parts.items():
        for kind, one in part.classes.items():
            precision = 0.0 if one.f1 is not None and one.precision is None else one.precision
            table.add_row(name, kind, shown(one.f1), shown(precision), shown(one.recall), f"{one.support:,}")
    table.add_section()
    table.add_row(f"Task {score.task}", "mean", shown(score.f1), shown(score.precision))
    return table
