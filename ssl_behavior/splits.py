"""Splits of recordings into train, validation and test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_behavior.errors import InputError
from ssl_behavior.files import read_json
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import Store, StoreRow

__all__ = ["PARTS", "Split", "fraction_of", "make_split", "split_patterns"]

PARTS = ("train", "validation", "test")
TUNING_SHARE = 0.2
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """Recordings by use.

    Parameters
    ----------
    fit : training recordings of the heads while smoothing windows (and, with many recordings, settings) are chosen.
    tune : recordings by which smoothing windows are chosen; penalty and k too where they are validation recordings, or
        a share of many training recordings (`probe.folds`). Never those that are scored.
    evaluate : recordings that are scored.
    evaluated_on : "test", or "validation" where the split has no test part.
    tune_from_train : True if `tune` was taken from the training recordings: the final heads then learn from both.
    source : origin of the split, in words.
    """

    fit: tuple[StoreRow, ...]
    tune: tuple[StoreRow, ...]
    evaluate: tuple[StoreRow, ...]
    evaluated_on: str
    tune_from_train: bool
    source: str

    @property
    def copies(self) -> list[tuple[str, str]]:
        """(scored recording, recording of the same tracks that the heads learned from): a leak between the parts."""
        learned = {row.content_hash: row.id for row in self.fit + self.tune}
        return [(row.id, learned[row.content_hash]) for row in self.evaluate if row.content_hash in learned]

    @property
    def train(self) -> tuple[StoreRow, ...]:
        """Training recordings of the final heads: `fit`, and `tune` if it was taken from the training recordings."""
        if not self.tune_from_train:
            return self.fit
        return tuple(sorted(self.fit + self.tune, key=lambda row: row.offset))

    def to_dict(self) -> dict[str, Any]:
        """Ids by use, for results.json."""
        return {
            "source": self.source,
            "evaluated_on": self.evaluated_on,
            "train": [row.id for row in self.train],
            "chosen_on": [row.id for row in self.tune],
            "evaluated": [row.id for row in self.evaluate],
            "copies": [list(pair) for pair in self.copies],
        }


def make_split(
    store: Store, file: Path | Mapping[str, Any] | None = None, seed: int = 0, annotated: Sequence[StoreRow] = ()
) -> Split:
    """Split from a file, else from the store's subsets, else seeded by recording.

    Where there is no test part the validation part is scored, and settings are chosen on a fifth of the training
    recordings instead; so they are where there is no validation part.

    Parameters
    ----------
    file : JSON `{"train": [ids or globs], "validation": [...], "test": [...]}`, or such a mapping; validation or test
        may be absent.
    seed : seed of random choices.
    annotated : the recordings with labels of the task; others are left out. All by default.

    Raises
    ------
    InputError
        If the file is not a split, a pattern matches no recording, a recording is in two parts, a part is empty, or
        there are too few recordings.
    """
    usable = {row.id for row in annotated or store.rows}
    if file is not None:
        parts = _from_file(store, file)
        source = "the argument `split`" if isinstance(file, Mapping) else f"file {file}"
    elif any(row.subset == "train" for row in store.rows):
        parts, source = _from_subsets(store), "the store's own subsets"
    else:
        parts, source = _drawn([row for row in store.rows if row.id in usable], seed), f"drawn with seed {seed}"
    kept = {part: [row for row in rows if row.id in usable] for part, rows in parts.items()}
    for part, rows in kept.items():
        if not rows:
            raise InputError(f"{source}: none of the {len(parts[part])} {part} recordings has labels of this task")
    return _assign(kept, source, seed)


def split_patterns(file: Path) -> tuple[list[str], list[str]]:
    """Ids and globs of a split file's part "train", and those of its other parts.

    Raises
    ------
    InputError
        If the file is not a split, or has no such part.
    """
    values = _read(Path(file))
    if "train" not in values:
        raise InputError(f"{file}: there is no part 'train' to learn from")
    others = [pattern for part in PARTS[1:] if part in values for pattern in _checked(values[part], part, str(file))]
    return _checked(values["train"], "train", str(file)), others


def _read(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        state = "is a folder, not a JSON file" if file.is_dir() else "there is no such file"
        raise InputError(f"`split` {file}: {state}")
    return _with_known_parts(read_json(file, "a split"), str(file))


def _with_known_parts(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping) or not values:
        raise InputError(f"{where}: a split is a JSON object with the keys {list(PARTS)}, got {type(values).__name__}")
    unknown = sorted(set(values) - set(PARTS))
    if unknown:
        raise InputError(f"{where}: unknown parts {unknown}; a split has {list(PARTS)}")
    return values


def _from_file(store: Store, file: Path | Mapping[str, Any]) -> dict[str, list[StoreRow]]:
    where = "`split`" if isinstance(file, Mapping) else str(file)
    values = _with_known_parts(file, where) if isinstance(file, Mapping) else _read(Path(file))
    parts = {part: _selected(store, values[part], part, where) for part in PARTS if part in values}
    _check_disjoint(parts, where)
    return parts


def _checked(patterns: Any, part: str, where: str) -> list[str]:
    if not isinstance(patterns, list | tuple) or not all(isinstance(pattern, str) for pattern in patterns):
        raise InputError(f"{where}: {part!r} must be a list of recording ids or patterns, got {patterns!r:.80}")
    if not patterns:
        raise InputError(f"{where}: the part {part!r} is empty; name recordings, or leave the key out")
    return list(patterns)


def _selected(store: Store, patterns: Any, part: str, where: str) -> list[StoreRow]:
    patterns = _checked(patterns, part, where)
    try:
        return store.select(patterns)
    except InputError as error:
        raise InputError(f"{where}, part {part!r}: {error}") from None


def _check_disjoint(parts: Mapping[str, Sequence[StoreRow]], where: str) -> None:
    seen: dict[str, str] = {}
    for part, rows in parts.items():
        for row in rows:
            if row.id in seen:
                raise InputError(f"{where}: the recording {row.id!r} is in both {seen[row.id]!r} and {part!r}")
            seen[row.id] = part


def _from_subsets(store: Store) -> dict[str, list[StoreRow]]:
    """Split from the store's subsets; "val" means validation, and others ("unlabeled") are left out."""
    names = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
    parts: dict[str, list[StoreRow]] = {}
    for row in store.rows:
        if row.subset in names:
            parts.setdefault(names[row.subset], []).append(row)
    return parts


def _drawn(rows: Sequence[StoreRow], seed: int) -> dict[str, list[StoreRow]]:
    recordings = {row.recording for row in rows}
    if len(recordings) < 2:
        raise InputError(
            f"{len(recordings)} recording(s) with labels of this task: at least 2 are needed to learn from one and be "
            "scored on another"
        )
    test = _share(rows, TEST_SHARE, seed, "test")
    return {"train": [row for row in rows if row not in test], "test": test}


def _assign(parts: Mapping[str, list[StoreRow]], source: str, seed: int) -> Split:
    if "train" not in parts:
        raise InputError(f"{source}: there is no part 'train' to learn from")
    evaluated_on = "test" if "test" in parts else "validation"
    if evaluated_on not in parts:
        raise InputError(f"{source}: there is neither a part 'test' nor 'validation' to be scored on")
    train = parts["train"]
    if "test" in parts and "validation" in parts:
        tune, tune_from_train = parts["validation"], False
    else:
        several = len({row.recording for row in train}) > 1
        tune, tune_from_train = _share(train, TUNING_SHARE, seed, "tune") if several else [], True
    return Split(
        fit=tuple(row for row in train if row not in tune),
        tune=tuple(tune),
        evaluate=tuple(parts[evaluated_on]),
        evaluated_on=evaluated_on,
        tune_from_train=tune_from_train,
        source=source,
    )


def _share(rows: Sequence[StoreRow], share: float, seed: int, name: str) -> list[StoreRow]:
    """Rows of a seeded share of the recordings, at least one, in store order."""
    recordings = list(dict.fromkeys(row.recording for row in rows))
    count = max(1, round(share * len(recordings)))
    chosen = numpy_generator(seed, "split", name).permutation(len(recordings))[:count]
    kept = {recordings[index] for index in chosen}
    return [row for row in rows if row.recording in kept]


def fraction_of(rows: Sequence[StoreRow], percent: float, seed: int) -> list[StoreRow]:
    """A seeded `percent` of the recordings, at least one; a smaller fraction of one seed is part of a larger one."""
    if percent >= 100:
        return list(rows)
    return _share(rows, percent / 100, seed, "fraction")
