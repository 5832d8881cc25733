"""Changes of a store's label streams without a new import: add, rename, merge, drop, undo.

A change writes new arrays beside the old ones and then replaces `store.json`, which names every stream's array: a
killed command leaves the store as it was or as it should be. `store.json` also holds the journal of changes, with what
`undo_change` restores; old arrays stay until their change is undone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, check_names, discard, read_json, write_errors_explained, write_json
from ssl_behavior.io.annotation import AnnotationSpan
from ssl_behavior.io.annotation_index import AnnotationIndex
from ssl_behavior.io.discovery import index_annotations
from ssl_behavior.io.dlc import DOCUMENTED_BACKGROUND
from ssl_behavior.io.import_report import about_removed_bouts, about_spans
from ssl_behavior.io.pair_annotation import Animals, without_absent
from ssl_behavior.pair_label_files import pair_stream_contents, write_pair_stream
from ssl_behavior.recording import NOT_ANNOTATED, Labels, PairLabels
from ssl_behavior.store import STREAM_NAME, Store, StoreRow
from ssl_behavior.terminal import counted, listed

__all__ = [
    "LabelChange",
    "add_labels",
    "drop_streams",
    "label_changes",
    "merge_behaviors",
    "put_labels",
    "rename_behavior",
    "rename_stream",
    "undo_change",
]

_JOURNAL = "label_changes"
_PAIRS = "pair_streams"
_PAIR_FILES = ("bouts", "looked_for")


@dataclass(frozen=True)
class LabelChange:
    """A change that was made: a sentence about it, and notices about files."""

    sentence: str
    notices: list[str] = field(default_factory=list)


def _bad_name(stream: str) -> str:
    return f"label stream {stream!r}: use letters, digits, '_', '-' and '.' only"


class _Draft:
    """A store's contents while they change; nothing is visible before `commit`."""

    def __init__(self, path: str | Path) -> None:
        self.store = Store(path)
        self.path = self.store.path
        self._text = (self.path / "store.json").read_bytes()
        self.contents: dict[str, Any] = read_json(self.path / "store.json", "a store")
        self.journal: list[dict[str, Any]] = self.contents.get(_JOURNAL, [])
        self.streams: dict[str, dict[str, Any]] = self.contents["streams"]
        self.rows: dict[str, dict[str, Any]] = {row["id"]: row for row in self.contents["recordings"]}
        self.pair_streams: dict[str, dict[str, Any]] = dict(self.contents.get(_PAIRS, {}))
        self._pair_labels: dict[str, dict[str, PairLabels]] = {}
        self.before = {
            "streams": {name: dict(stream) for name, stream in self.streams.items()},
            "annotators": {id: dict(row["annotators"]) for id, row in self.rows.items()},
        }
        self._arrays: dict[str, np.ndarray] = {}
        if self.pair_streams:
            self.before[_PAIRS] = dict(self.pair_streams)

    def pair_labels(self, stream: str) -> dict[str, PairLabels]:
        """Recording -> bouts of a stream with agents and targets, to change; a new stream has none."""
        if stream not in self._pair_labels:
            known = self.store.pair_streams.get(stream)
            rows = [self.store.row(id) for id in known.recordings] if known is not None else []
            self._pair_labels[stream] = {row.id: self.store.pair_labels(stream, row) for row in rows}
        return self._pair_labels[stream]

    def array(self, stream: str) -> np.ndarray:
        """A stream's labels to write into, int16 [frames]; a new stream is not annotated."""
        if stream not in self._arrays:
            known = stream in self.before["streams"]
            frames = self.store.labels(stream) if known else np.full(self.store.num_frames, NOT_ANNOTATED)
            self._arrays[stream] = np.array(frames, dtype=np.int16)
        return self._arrays[stream]

    def new_stream(self, name: str, vocabulary: Sequence[str] = (), background: str = "") -> None:
        if not STREAM_NAME.fullmatch(name):
            raise InputError(_bad_name(name))
        self.streams[name] = {"vocabulary": list(vocabulary), "background": background}

    def commit(self, sentence: str) -> None:
        """Write arrays, then the contents with a new entry of the journal."""
        paired = {name for name in self.pair_streams if name not in self._pair_labels}
        paired |= {name for name, labels in self._pair_labels.items() if labels}
        if both := next((name for name in self.streams if name in paired), ""):
            raise InputError(
                f"{self.path}: label stream {both!r} would have agents and targets in some recordings and none in "
                "others; rename one of the two first"
            )
        check_names({*self.streams, *paired}, "label stream")
        number = 1 + max((entry["number"] for entry in self.journal), default=0)
        with write_errors_explained(self.path / "labels", "store"):
            self._remove_unused(self.before)
            for name, frames in self._arrays.items():
                file = f"labels/{name}.{number}.npy"
                with atomic_file(self.path / file, "store") as partial, partial.open("wb") as out:
                    np.save(out, frames)
                self.streams[name]["file"] = file
            self._write_pair_labels(number)
            changed = {id: own for id, own in self.before["annotators"].items() if own != self.rows[id]["annotators"]}
            before = self.before | {"annotators": changed}
            entry = {"number": number, "change": sentence, "before": before}
            if (self.path / "store.json").read_bytes() != self._text:
                raise InputError(
                    f"{self.path} was changed by another program meanwhile, and this change was not made: repeat it"
                )
            write_json(self.path / "store.json", self._contents() | {_JOURNAL: [*self.journal, entry]})

    def _write_pair_labels(self, number: int) -> None:
        for name, labels in self._pair_labels.items():
            self.pair_streams.pop(name, None)
            if labels:
                made = write_pair_stream(self.path, name, labels, len(self.store.individuals), f".{number}")
                self.pair_streams[name] = pair_stream_contents(made)

    def _contents(self) -> dict[str, Any]:
        """The contents with the streams of agents and targets, if there are any."""
        rest = {name: value for name, value in self.contents.items() if name != _PAIRS}
        return rest | ({_PAIRS: self.pair_streams} if self.pair_streams else {})

    def undo(self) -> str:
        """Take the newest change back; returns its sentence."""
        entry = self.journal[-1]
        self.contents["streams"] = entry["before"]["streams"]
        for id, annotators in entry["before"]["annotators"].items():
            self.rows[id]["annotators"] = annotators
        self.journal = self.journal[:-1]
        self.pair_streams = dict(entry["before"].get(_PAIRS, {}))
        write_json(self.path / "store.json", self._contents() | {_JOURNAL: self.journal})
        self.streams = self.contents["streams"]
        self._remove_unused({})
        return str(entry["change"])

    def forget(self, stream: str) -> None:
        """Take a stream out."""
        if stream in self.pair_streams:
            self._pair_labels[stream] = {}
            return
        del self.streams[stream]
        self._arrays.pop(stream, None)

    def _remove_unused(self, before: Mapping[str, Any]) -> None:
        """Remove arrays that neither the store nor its journal names: of killed commands and undone changes."""
        versions = [before, {"streams": self.streams, _PAIRS: self.pair_streams}]
        versions += [entry["before"] for entry in self.journal]
        used = {
            one.get("file") or f"labels/{name}.npy"
            for version in versions
            for name, one in version.get("streams", {}).items()
        }
        used |= {one[key] for version in versions for one in version.get(_PAIRS, {}).values() for key in _PAIR_FILES}
        for folder in ("labels", "pair_labels"):
            for file in sorted((self.path / folder).rglob("*.npy")):
                if file.relative_to(self.path).as_posix() not in used:
                    discard(file)


def _rows(store: Store, recordings: Sequence[str]) -> list[StoreRow]:
    return store.select(recordings) if recordings else list(store.rows)


def add_labels(
    store: str | Path,
    annotations: Sequence[Path],
    backgrounds: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> LabelChange:
    """Add the labels of annotation files to the recordings of a store, matched by name as in an import.

    Of resampled recordings, files count the frames of the source, unless they state the resampled rate or length; their
    labels are resampled, so that they are those of an import with these files. The notices state what an import reports
    of annotations that do not cover the tracks exactly: frames that were dropped, and frames that are not annotated;
    and bouts that resampling removed.

    Parameters
    ----------
    annotations : files or folders of them.
    backgrounds : label stream -> the behavior that means "nothing of interest".
    overwrite : replace labels of streams that a recording has already.

    Raises
    ------
    InputError
        If a file is damaged or fits no recording, a recording has the stream already, or a file has as many frames as
        neither a resampled recording nor its source.
    """
    draft = _Draft(store)
    notices: list[str] = []
    index = AnnotationIndex()
    index_annotations(annotations, index, notices.append)
    index.know([_tracks(row) for row in draft.store.rows])
    known = {name: one.background for name, one in draft.store.streams.items() if one.background}
    chosen = {**DOCUMENTED_BACKGROUND.get(draft.store.skeleton.name, {}), **known, **(backgrounds or {})}
    spans: dict[str, dict[str, AnnotationSpan]] = {}
    paired: dict[str, list[str]] = {}
    removed: dict[str, dict[str, dict[str, tuple[int, int]]]] = {}
    for row in draft.store.rows:
        source, own = draft.store.resampled_from(row), row.frame_times
        animals = Animals(individuals=draft.store.individuals)
        found = index.labels_of(row.id, source or own, _tracks(row), chosen, animals, None if source is None else own)
        notices += [notice for notice in found.notices if notice not in notices]
        removed[row.id] = found.removed_bouts
        for stream, labels in found.labels.items():
            if stream in row.annotators and not overwrite:
                raise InputError(_has_already(draft, row, stream))
            _put(draft, row, stream, labels)
            spans.setdefault(stream, {})[row.id] = found.spans[stream]
        for stream, bouts in found.pair_labels.items():
            notices += _add_bouts(draft, row, stream, bouts, overwrite)
            paired[stream] = [*paired.get(stream, []), row.id]
    if unused := index.unused():
        files = listed(list(map(str, unused)), 1)
        raise InputError(f"{files}: no recording of {draft.path} has this name; see `ssl-behavior info`")
    if not spans and not paired:
        raise InputError(f"{draft.path}: there are no labels in {', '.join(map(str, annotations))}")
    notices[:0] = about_removed_bouts(removed)
    for stream, of in spans.items():
        notices += about_spans(stream, of, draft.streams[stream]["background"])
    sentence = _added({stream: len(of) for stream, of in (*spans.items(), *paired.items())})
    draft.commit(sentence)
    return LabelChange(sentence, [*index.notices, *notices, *index.left_out()])


def put_labels(
    store: str | Path,
    labels: Mapping[str, Mapping[str, Labels]],
    pair_labels: Mapping[str, Mapping[str, PairLabels]] | None = None,
    overwrite: bool = False,
    clear: Sequence[str] = (),
) -> LabelChange:
    """Add labels in memory to the recordings of a store.

    Parameters
    ----------
    labels, pair_labels : recording -> stream -> labels of its frames, or of its pairs of animals.
    overwrite : replace labels of streams that a recording has already.
    clear : streams that these recordings lose first.

    Raises
    ------
    InputError
        If a recording is unknown, or has the stream already.
    """
    draft, counts, notices = _Draft(store), dict[str, int](), list[str]()
    for stream in clear:
        for recording in {*labels, *(pair_labels or {})}:
            _clear(draft, draft.store.row(recording), stream)
    for recording, streams in labels.items():
        row = draft.store.row(recording)
        for stream, own in streams.items():
            if stream in draft.rows[row.id]["annotators"] and not overwrite:
                raise InputError(_has_already(draft, row, stream))
            _put(draft, row, stream, own)
            counts[stream] = counts.get(stream, 0) + 1
    for recording, bouts in (pair_labels or {}).items():
        for stream, paired in bouts.items():
            notices += _add_bouts(draft, draft.store.row(recording), stream, paired, overwrite)
            counts[stream] = counts.get(stream, 0) + 1
    sentence = _added(counts) if counts else f"emptied {listed(clear)}"
    draft.commit(sentence)
    return LabelChange(sentence, notices)


def _clear(draft: _Draft, row: StoreRow, stream: str) -> None:
    """Take a recording out of a stream, if it has it."""
    if draft.rows[row.id]["annotators"].pop(stream, None) is not None:
        draft.array(stream)[row.slice] = NOT_ANNOTATED
    if stream in draft.pair_streams:
        draft.pair_labels(stream).pop(row.id, None)


def _added(streams: Mapping[str, int]) -> str:
    """Sentence about streams, and the number of recordings of each."""
    return "added " + ", ".join(f"{stream} ({counted(number, 'recording')})" for stream, number in streams.items())


def _has_already(draft: _Draft, row: StoreRow, stream: str) -> str:
    return (
        f"{draft.path}: recording {row.id!r} has labels {stream!r} already; pass `overwrite` to replace "
        "them, or drop or rename the stream first"
    )


def _add_bouts(draft: _Draft, row: StoreRow, stream: str, labels: PairLabels, overwrite: bool) -> list[str]:
    """Put bouts with agents and targets into a stream; returns sentences about absent animals."""
    if not STREAM_NAME.fullmatch(stream):
        raise InputError(_bad_name(stream))
    own = draft.pair_labels(stream)
    if row.id in own and not overwrite:
        raise InputError(_has_already(draft, row, stream))
    where = f"{draft.path}: recording {row.id!r}, label stream {stream!r}"
    own[row.id], said = without_absent(labels, draft.store.individuals, row.absent, where)
    return [f"{row.id}: {sentence}" for sentence in said]


def _tracks(row: StoreRow) -> Path:
    return Path(row.source or row.id)


def _put(draft: _Draft, row: StoreRow, stream: str, labels: Labels) -> None:
    """Write labels of one recording into a stream; new behaviors are appended, so that others keep their numbers."""
    if stream not in draft.streams:
        draft.new_stream(stream, labels.vocabulary, labels.background)
    one = draft.streams[stream]
    one["vocabulary"] = list(dict.fromkeys([*one["vocabulary"], *labels.vocabulary]))
    one["background"] = one["background"] or labels.background
    numbers = [one["vocabulary"].index(word) for word in labels.vocabulary]
    draft.array(stream)[row.slice] = np.array([*numbers, NOT_ANNOTATED], dtype=np.int16)[labels.frames]
    draft.rows[row.id]["annotators"][stream] = labels.annotator


def rename_stream(store: str | Path, old: str, new: str, recordings: Sequence[str] = ()) -> LabelChange:
    """Rename a label stream, of all recordings or of some (ids or globs).

    The new name may be a stream that these recordings do not have: raters' streams become one stream with one annotator
    for each recording.

    Raises
    ------
    InputError
        If there is no such stream, the name cannot be a stream's, or a recording has the new stream already.
    """
    draft = _Draft(store)
    if old in draft.pair_streams:
        return _rename_pair_stream(draft, old, new, recordings)
    draft.store.stream(old)
    rows = [row for row in _rows(draft.store, recordings) if old in row.annotators]
    if old == new or not rows:
        raise InputError(f"{draft.path}: nothing to rename; {old!r} is the name already, or no recording has it")
    if has := next((row for row in rows if new in row.annotators), None):
        raise InputError(
            f"{draft.path}: recording {has.id!r} has labels {new!r} already; drop or rename that stream first"
        )
    whole = all(row in rows for row in draft.store.rows if old in row.annotators)
    if whole and new not in draft.streams:
        draft.new_stream(new)
        file = draft.streams[old].get("file") or f"labels/{old}.npy"
        draft.streams[new] = draft.streams.pop(old) | {"file": file}
    else:
        for row in rows:
            _put(draft, row, new, _labels_of(draft.store, row, old))
            draft.array(old)[row.slice] = NOT_ANNOTATED
    for row in rows:
        annotators = draft.rows[row.id]["annotators"]
        annotators[new] = annotators.pop(old)
    if whole and old in draft.streams:
        draft.forget(old)
    sentence = f"renamed stream {old} to {new}" + ("" if whole else f" in {counted(len(rows), 'recording')}")
    draft.commit(sentence)
    return LabelChange(sentence)


def _rename_pair_stream(draft: _Draft, old: str, new: str, recordings: Sequence[str]) -> LabelChange:
    own, other = draft.pair_labels(old), draft.pair_labels(new)
    ids = [row.id for row in _rows(draft.store, recordings) if row.id in own]
    if old == new or not ids:
        raise InputError(f"{draft.path}: nothing to rename; {old!r} is the name already, or no recording has it")
    if not STREAM_NAME.fullmatch(new):
        raise InputError(_bad_name(new))
    if has := next((id for id in ids if id in other), None):
        raise InputError(
            f"{draft.path}: recording {has!r} has labels {new!r} already; drop or rename that stream first"
        )
    for id in ids:
        other[id] = own.pop(id)
    sentence = f"renamed stream {old} to {new}" + (f" in {counted(len(ids), 'recording')}" if own else "")
    draft.commit(sentence)
    return LabelChange(sentence)


def _labels_of(store: Store, row: StoreRow, stream: str) -> Labels:
    one = store.stream(stream)
    return Labels(
        vocabulary=one.vocabulary, frames=store.labels(stream)[row.slice], annotator=row.annotators[stream],
        background=one.background,
    )  # fmt: skip


def rename_behavior(store: str | Path, stream: str, old: str, new: str) -> LabelChange:
    """Rename a behavior of a stream.

    Raises
    ------
    InputError
        If there is no such stream or behavior, or the new name is empty or a behavior's already.
    """
    draft = _Draft(store)
    vocabulary = _vocabulary(draft, stream)
    _check_behaviors(draft, stream, [old])
    if not new.strip():
        raise InputError(f"{draft.path}: the new name of {old!r} of {stream} is empty; expected a behavior's name")
    if new == old:
        raise InputError(f"{draft.path}: nothing to rename; {old!r} of {stream} has this name already")
    if new in vocabulary:
        raise InputError(f"{draft.path}: {stream} has a behavior {new!r} already; merge the two instead")
    words = [new if word == old else word for word in vocabulary]
    if stream in draft.pair_streams:
        own = draft.pair_labels(stream)
        own.update({id: replace(labels, vocabulary=tuple(words)) for id, labels in own.items()})
    else:
        one = draft.streams[stream]
        one["vocabulary"], one["background"] = words, new if one["background"] == old else one["background"]
    sentence = f"renamed {old} of {stream} to {new}"
    draft.commit(sentence)
    return LabelChange(sentence)


def _check_behaviors(draft: _Draft, stream: str, behaviors: Sequence[str]) -> None:
    vocabulary = _vocabulary(draft, stream)
    if unknown := [word for word in behaviors if word not in vocabulary]:
        raise InputError(f"{draft.path}: {stream} has no behavior {unknown[0]!r}; it has {vocabulary}")


def _vocabulary(draft: _Draft, stream: str) -> list[str]:
    """Behaviors of a stream; an unknown one raises InputError with the known ones."""
    if stream in draft.pair_streams:
        return list(draft.store.pair_stream(stream).vocabulary)
    if stream not in draft.streams:
        known = sorted([*draft.streams, *draft.pair_streams])
        raise InputError(f"{draft.path} has no label stream {stream!r}; it has {known or 'none'}")
    return list(draft.store.stream(stream).vocabulary)


def merge_behaviors(store: str | Path, stream: str, behaviors: Sequence[str], into: str) -> LabelChange:
    """Make several behaviors of a stream one, at the place of the first; with the background, it is the background.

    Raises
    ------
    InputError
        If there is no such stream or behavior, fewer than two, or `into` is empty.
    """
    draft, behaviors = _Draft(store), list(dict.fromkeys(behaviors))
    vocabulary = _vocabulary(draft, stream)
    _check_behaviors(draft, stream, behaviors)
    if not into.strip():
        raise InputError(f"{draft.path}: the name of the merged behavior of {stream} is empty; pass it as `into`")
    if len({*behaviors, into} & set(vocabulary)) < 2:
        raise InputError(f"{draft.path}: name at least two behaviors of {stream} to merge; it has {vocabulary}")
    merged = {*behaviors, into}
    words = list(dict.fromkeys(into if word in merged else word for word in vocabulary))
    numbers = [words.index(into if word in merged else word) for word in vocabulary]
    sentence = f"merged {', '.join(word for word in vocabulary if word in merged)} of {stream} into {into}"
    if stream in draft.pair_streams:
        own = draft.pair_labels(stream)
        own.update({id: _merged(labels, words, numbers) for id, labels in own.items()})
        draft.commit(sentence)
        return LabelChange(sentence, [_ABOUT_MERGED])
    frames = draft.array(stream)
    frames[:] = np.array([*numbers, NOT_ANNOTATED], dtype=np.int16)[frames]
    one = draft.streams[stream]
    one["vocabulary"], one["background"] = words, into if one["background"] in merged else one["background"]
    draft.commit(sentence)
    return LabelChange(sentence)


_ABOUT_MERGED = "in pairs in which one of the merged behaviors was looked for, all of them count as looked for"


def _merged(labels: PairLabels, words: Sequence[str], numbers: Sequence[int]) -> PairLabels:
    """Labels whose behavior i is behavior `numbers[i]` of `words`; what was looked for in one, was in all."""
    bouts, looked_for = labels.bouts.copy(), labels.looked_for
    bouts[:, 2] = np.array(numbers)[bouts[:, 2]]
    if looked_for is not None:
        old = looked_for
        looked_for = np.zeros((*old.shape[:2], len(words)), dtype=bool)
        for number, place in enumerate(numbers):
            looked_for[..., place] |= old[..., number]
    return replace(labels, vocabulary=tuple(words), bouts=bouts, looked_for=looked_for)


def drop_streams(store: str | Path, streams: Sequence[str]) -> LabelChange:
    """Take label streams out of a store; `undo_change` brings them back."""
    draft = _Draft(store)
    for name in dict.fromkeys(streams):
        _vocabulary(draft, name)
        draft.forget(name)
        for row in draft.rows.values():
            row["annotators"].pop(name, None)
    sentence = f"dropped {', '.join(dict.fromkeys(streams))}"
    draft.commit(sentence)
    return LabelChange(sentence)


def label_changes(store: str | Path) -> list[str]:
    """Sentences of the changes that can be undone, oldest first.

    Raises
    ------
    InputError
        If the folder is not a store, or its journal is damaged.
    """
    contents = read_json(Path(store) / "store.json", "a store")
    try:
        return [str(entry["change"]) for entry in contents.get(_JOURNAL, [])]
    except (TypeError, KeyError, AttributeError):
        raise InputError(
            f"{store}/store.json is damaged: expected a list of changes as {_JOURNAL!r}; import the recordings again"
        ) from None


def undo_change(store: str | Path) -> LabelChange:
    """Take the newest change back.

    Raises
    ------
    InputError
        If there is none.
    """
    draft = _Draft(store)
    if not draft.journal:
        raise InputError(f"{draft.path}: its labels have not been changed since the import; there is nothing to undo")
    return LabelChange(f"undone: {draft.undo()}")
