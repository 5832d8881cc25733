"""Changes of a store's label streams without a new import: add, rename, merge, drop, undo.

A change writes new arrays beside the old ones and then replaces `store.json`, which names every stream's array: a
killed command leaves the store as it was or as it should be. `store.json` also holds the journal of changes, with what
`undo_change` restores; old arrays stay until their change is undone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, read_json, write_errors_explained, write_json
from ssl_behavior.io.annotation import AnnotationSpan
from ssl_behavior.io.annotation_index import AnnotationIndex
from ssl_behavior.io.discovery import index_annotations
from ssl_behavior.io.dlc import DOCUMENTED_BACKGROUND
from ssl_behavior.io.import_report import about_removed_bouts, about_spans
from ssl_behavior.recording import NOT_ANNOTATED, Labels
from ssl_behavior.store import STREAM_NAME, Store, StoreRow
from ssl_behavior.terminal import counted, listed

__all__ = [
    "LabelChange",
    "add_labels",
    "drop_streams",
    "label_changes",
    "merge_behaviors",
    "rename_behavior",
    "rename_stream",
    "undo_change",
]

_JOURNAL = "label_changes"


@dataclass(frozen=True)
class LabelChange:
    """A change that was made: a sentence about it, and notices about files."""

    sentence: str
    notices: list[str] = field(default_factory=list)


class _Draft:
    """A store's contents while they change; nothing is visible before `commit`."""

    def __init__(self, path: str | Path) -> None:
        self.store = Store(path)
        self.path = self.store.path
        self.contents: dict[str, Any] = read_json(self.path / "store.json", "a store")
        self.journal: list[dict[str, Any]] = self.contents.get(_JOURNAL, [])
        self.streams: dict[str, dict[str, Any]] = self.contents["streams"]
        self.rows: dict[str, dict[str, Any]] = {row["id"]: row for row in self.contents["recordings"]}
        self.before = {
            "streams": {name: dict(stream) for name, stream in self.streams.items()},
            "annotators": {id: dict(row["annotators"]) for id, row in self.rows.items()},
        }
        self._arrays: dict[str, np.ndarray] = {}

    def array(self, stream: str) -> np.ndarray:
        """A stream's labels to write into, int16 [frames]; a new stream is not annotated."""
        if stream not in self._arrays:
            known = stream in self.before["streams"]
            frames = self.store.labels(stream) if known else np.full(self.store.num_frames, NOT_ANNOTATED)
            self._arrays[stream] = np.array(frames, dtype=np.int16)
        return self._arrays[stream]

    def new_stream(self, name: str, vocabulary: Sequence[str] = (), background: str = "") -> None:
        if not STREAM_NAME.fullmatch(name):
            raise InputError(f"label stream {name!r}: use letters, digits, '_', '-' and '.' only")
        self.streams[name] = {"vocabulary": list(vocabulary), "background": background}

    def commit(self, sentence: str) -> None:
        """Write arrays, then the contents with a new entry of the journal."""
        number = 1 + max((entry["number"] for entry in self.journal), default=0)
        with write_errors_explained(self.path / "labels", "store"):
            self._remove_unused(self.before["streams"])
            for name, frames in self._arrays.items():
                file = f"labels/{name}.{number}.npy"
                with atomic_file(self.path / file, "store") as partial, partial.open("wb") as out:
                    np.save(out, frames)
                self.streams[name]["file"] = file
            changed = {id: own for id, own in self.before["annotators"].items() if own != self.rows[id]["annotators"]}
            before = {"streams": self.before["streams"], "annotators": changed}
            entry = {"number": number, "change": sentence, "before": before}
            write_json(self.path / "store.json", self.contents | {_JOURNAL: [*self.journal, entry]})

    def undo(self) -> str:
        """Take the newest change back; returns its sentence."""
        entry = self.journal[-1]
        self.contents["streams"] = entry["before"]["streams"]
        for id, annotators in entry["before"]["annotators"].items():
            self.rows[id]["annotators"] = annotators
        self.journal = self.journal[:-1]
        write_json(self.path / "store.json", self.contents | {_JOURNAL: self.journal})
        self.streams = self.contents["streams"]
        self._remove_unused({})
        return str(entry["change"])

    def forget(self, stream: str) -> None:
        """Take a stream out."""
        del self.streams[stream]
        self._arrays.pop(stream, None)

    def _remove_unused(self, before: Mapping[str, Mapping[str, Any]]) -> None:
        """Remove arrays that neither the store nor its journal names: of killed commands and undone changes."""
        versions = [before, self.streams]
        versions += [entry["before"]["streams"] for entry in self.journal]
        used = {one.get("file") or f"labels/{name}.npy" for streams in versions for name, one in streams.items()}
        for file in sorted((self.path / "labels").rglob("*.npy")):
            if file.relative_to(self.path).as_posix() not in used:
                file.unlink()


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
    removed: dict[str, dict[str, dict[str, tuple[int, int]]]] = {}
    for row in draft.store.rows:
        source = draft.store.resampled_from(row)
        own = row.frame_times
        found = index.labels_of(row.id, source or own, _tracks(row), chosen, None if source is None else own)
        notices += [notice for notice in found.notices if notice not in notices]
        removed[row.id] = found.removed_bouts
        for stream, labels in found.labels.items():
            if stream in row.annotators and not overwrite:
                raise InputError(
                    f"{draft.path}: recording {row.id!r} has labels {stream!r} already; pass `overwrite` to replace "
                    "them, or drop or rename the stream first"
                )
            _put(draft, row, stream, labels)
            spans.setdefault(stream, {})[row.id] = found.spans[stream]
    if unused := index.unused():
        files = listed(list(map(str, unused)), 1)
        raise InputError(f"{files}: no recording of {draft.path} has this name; see `ssl-behavior info`")
    if not spans:
        raise InputError(f"{draft.path}: there are no labels in {', '.join(map(str, annotations))}")
    notices[:0] = about_removed_bouts(removed)
    for stream, of in spans.items():
        notices += about_spans(stream, of, draft.streams[stream]["background"])
    sentence = "added " + ", ".join(f"{stream} ({counted(len(of), 'recording')})" for stream, of in spans.items())
    draft.commit(sentence)
    return LabelChange(sentence, [*index.notices, *notices, *index.left_out()])


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
    vocabulary = list(draft.store.stream(stream).vocabulary)
    _check_behaviors(draft, stream, [old])
    if not new.strip():
        raise InputError(f"{draft.path}: the new name of {old!r} of {stream} is empty; expected a behavior's name")
    if new == old:
        raise InputError(f"{draft.path}: nothing to rename; {old!r} of {stream} has this name already")
    if new in vocabulary:
        raise InputError(f"{draft.path}: {stream} has a behavior {new!r} already; merge the two instead")
    one = draft.streams[stream]
    one["vocabulary"] = [new if word == old else word for word in vocabulary]
    one["background"] = new if one["background"] == old else one["background"]
    sentence = f"renamed {old} of {stream} to {new}"
    draft.commit(sentence)
    return LabelChange(sentence)


def _check_behaviors(draft: _Draft, stream: str, behaviors: Sequence[str]) -> None:
    vocabulary = draft.store.stream(stream).vocabulary
    if unknown := [word for word in behaviors if word not in vocabulary]:
        raise InputError(f"{draft.path}: {stream} has no behavior {unknown[0]!r}; it has {list(vocabulary)}")


def merge_behaviors(store: str | Path, stream: str, behaviors: Sequence[str], into: str) -> LabelChange:
    """Make several behaviors of a stream one, at the place of the first; with the background, it is the background.

    Raises
    ------
    InputError
        If there is no such stream or behavior, fewer than two, or `into` is empty.
    """
    draft, behaviors = _Draft(store), list(dict.fromkeys(behaviors))
    vocabulary = list(draft.store.stream(stream).vocabulary)
    _check_behaviors(draft, stream, behaviors)
    if not into.strip():
        raise InputError(f"{draft.path}: the name of the merged behavior of {stream} is empty; pass it as `into`")
    if len({*behaviors, into} & set(vocabulary)) < 2:
        raise InputError(f"{draft.path}: name at least two behaviors of {stream} to merge; it has {vocabulary}")
    merged = {*behaviors, into}
    words = list(dict.fromkeys(into if word in merged else word for word in vocabulary))
    numbers = [words.index(into if word in merged else word) for word in vocabulary]
    frames = draft.array(stream)
    frames[:] = np.array([*numbers, NOT_ANNOTATED], dtype=np.int16)[frames]
    one = draft.streams[stream]
    one["vocabulary"], one["background"] = words, into if one["background"] in merged else one["background"]
    sentence = f"merged {', '.join(word for word in vocabulary if word in merged)} of {stream} into {into}"
    draft.commit(sentence)
    return LabelChange(sentence)


def drop_streams(store: str | Path, streams: Sequence[str]) -> LabelChange:
    """Take label streams out of a store; `undo_change` brings them back."""
    draft = _Draft(store)
    for name in dict.fromkeys(streams):
        draft.store.stream(name)
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
