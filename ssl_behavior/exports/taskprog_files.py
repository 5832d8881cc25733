"""Conversion between embeddings and CalMS21's files of task-programming features."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from ssl_behavior.embedding import check_fits, embed_row
from ssl_behavior.embeddings_folder import Embeddings, store_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_file, atomic_folder, check_free
from ssl_behavior.io.taskprog_features import TaskprogFeatures, is_taskprog, release_place, write_taskprog
from ssl_behavior.methods import Method
from ssl_behavior.store import Store, StoreRow
from ssl_behavior.terminal import Progress, no_progress

__all__ = ["GROUP", "import_taskprog", "plan_taskprog", "write_taskprog_files"]

GROUP = "taskprog"
"""What the columns are called in an embeddings folder made of features."""
_Plan = dict[Path, dict[str, list[StoreRow]]]


def plan_taskprog(store: Store, rows: Sequence[StoreRow], out: Path, overwrite: bool = False) -> _Plan:
    """Destination of every recording: file -> group -> recordings.

    Where `out` ends in .json, all go there; else it is a folder (that of the tracks, for instance), with a file for
    each file of CalMS21 that the recordings came from, named as the release names them, and
    `taskprog_features_recordings.json` for recordings of other origin. See `release_place` for the groups.

    Raises
    ------
    InputError
        If one of the files is there already and `overwrite` is False, or it holds anything but features.
    """
    task3 = {name for name, stream in store.streams.items() if set(stream.vocabulary) == {"other", name}}
    single = out.suffix.lower() == ".json" and not out.is_dir()
    plan: _Plan = {}
    for row in rows:
        place = release_place(row.id, row.source, row.subset, row.annotators, task3)
        groups = plan.setdefault(out if single else out / place.file, {})
        groups.setdefault(place.group, []).append(row)
    for path in plan:
        check_free(path, overwrite)
        if path.exists() and not (path.is_file() and is_taskprog(path)):
            raise InputError(
                f"{path} holds something else than task-programming features, so `overwrite` leaves it alone: "
                "choose another `out`"
            )
    return plan


def write_taskprog_files(
    method: Method,
    store: Store,
    plan: _Plan,
    kept: Mapping[str, int],
    precision: torch.dtype = torch.float32,
    progress: Progress = no_progress,
) -> None:
    """Embed recording by recording into the files of `plan_taskprog`; all of them appear at the end, or none.

    Memory is that of a chunk of frames. Numbers are float32, with as many digits as give them back exactly.

    Parameters
    ----------
    kept : the column groups that make the features, see `kept_groups`.

    Raises
    ------
    InputError
        If a recording does not fit the encoder, its values are not finite, or the disk is full.
    """
    rows = [row for groups in plan.values() for members in groups.values() for row in members]
    total = sum(row.frames for row in rows)
    for row in rows:
        check_fits(method, row, store.skeleton.keypoints, store.individuals)

    def pieces(row: StoreRow) -> Iterator[np.ndarray]:
        for _, values in embed_row(method, store, row, kept, precision=precision):
            yield values
            progress("embedding", len(values), total)

    with ExitStack() as whole:
        folders = {path.parent: path.parent for path in plan}
        for folder in folders:
            if not folder.exists():
                folders[folder] = whole.enter_context(atomic_folder(folder))
        for path, groups in plan.items():
            partial = whole.enter_context(atomic_file(folders[path.parent] / path.name))
            with partial.open("wb") as file:
                write_taskprog(
                    file.write, ((group, row.id, pieces(row)) for group, members in groups.items() for row in members)
                )


def import_taskprog(
    features: TaskprogFeatures,
    store: Store,
    out: str | Path,
    dtype: str = "float16",
    rows: Sequence[StoreRow] | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Embeddings:
    """Write features as an embeddings folder with one column group `taskprog`, atomically.

    Where others name their checkpoint it has `features:<SHA-256>`, see `TaskprogFeatures.fingerprint`.

    Raises
    ------
    InputError
        If the features do not fit the store's recordings or are damaged (see `TaskprogFeatures.read`), `out` exists,
        the disk is full, or a value cannot be held in float16.
    """
    rows = list(store.rows if rows is None else rows)
    total = sum(row.frames for row in rows)

    def sequences() -> Iterator[tuple[str, np.ndarray]]:
        for recording, values in features.read({row.id: row.frames for row in rows}):
            yield recording, values
            progress("reading", len(values), total)

    return store_embeddings(out, store, rows, sequences(), GROUP, features.fingerprint, dtype, overwrite)
