"""Labels for recordings from a run and a saved probe, in files for people and programs."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from probe.annotators import AnnotatorConfig, add_annotator, annotated_frames
from probe.annotators.frames import rows_of
from probe.annotators.saved import ANNOTATORS, SavedAnnotators, load_annotators, save_annotators
from probe.bouts import Bout, bouts_csv, bouts_of, decided_labels, runs, without_short_bouts
from probe.heads import SavedProbe, load_heads, read_probe
from probe.representations import Columns, Matrix, check_alignment, columns_without
from probe.trial import BALANCED, DECISION
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.embedding import Embeddings, check_fits, embed_row, kept_groups
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, write_json
from ssl_behavior.io.caltech_text import caltech_text
from ssl_behavior.methods import Method
from ssl_behavior.recording import Labels
from ssl_behavior.store import Store, StoreRow

__all__ = ["FORMAT_VERSION", "Labeling", "Told", "add_from_store", "write_labels"]

FORMAT_VERSION = 1
LABELS_FILE = "labels.json"
_SUFFIXES = {"csv": ".csv", "caltech": ".txt", "npy": ".npy"}

Progress = Callable[[int], None]


class Told:
    """What was written, for a person: bouts and seconds of each behaviour."""

    def __init__(self) -> None:
        self.bouts: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)
        self.total_seconds = 0.0

    def add(self, bouts: Sequence[Bout], row: StoreRow) -> None:
        self.total_seconds += row.frames / row.fps
        for bout in bouts:
            self.bouts[bout.behavior] += 1
            self.seconds[bout.behavior] += (bout.stop - bout.start) / row.fps

    def table(self) -> Table:
        table = Table("behaviour", "bouts", "seconds", "% of the time", box=SIMPLE)
        for name in sorted(self.bouts):
            seconds = self.seconds[name]
            share = 100 * seconds / self.total_seconds
            table.add_row(Text(name), f"{self.bouts[name]:,}", f"{seconds:,.1f}", f"{share:.1f}")
        return table


class _EmbeddedWhenAsked(Columns):
    """The embedding of a store, made recording by recording where it is read; the last one is kept."""

    def __init__(self, method: Method, store: Store, kept: Mapping[str, int], precision: torch.dtype) -> None:
        self.method, self.store, self.kept, self.precision = method, store, kept, precision
        self.shape = (store.num_frames, sum(kept.values()))
        self._rows = {row.offset: row for row in store.rows}
        self._last: tuple[StoreRow, np.ndarray] | None = None

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Only slices that are a recording's."""
        row = self._rows[rows.start]
        assert rows == row.slice
        if self._last is None or self._last[0] is not row:
            chunks = embed_row(self.method, self.store, row, self.kept, precision=self.precision)
            self._last = row, np.concatenate([values for _, values in chunks])
        return self._last[1]


class Labeling:
    """An encoder or its embeddings, a store and a saved probe that go together.

    Parameters
    ----------
    run : run or checkpoint folder, or an embeddings folder.
    last : the newest checkpoint of a run, not the best.

    Raises
    ------
    InputError
        If the probe was fitted to another encoder or to other columns, or store and encoder do not fit.
    """

    def __init__(
        self, run: Path, store: Path, probe: Path, device: torch.device, precision: torch.dtype, last: bool = False
    ) -> None:
        self.store, self.saved = Store(store), _load(probe)
        self.method: Method | None = None
        if (run / "embeddings.json").exists():
            embeddings = Embeddings(run)
            check_alignment(embeddings, self.store)
            self.checkpoint, groups = embeddings.checkpoint, embeddings.groups
        else:
            self.method = load_checkpoint(run, best=not last).to(device)
            self.checkpoint, groups = self.method.fingerprint(), self.method.channel_groups
        if self.checkpoint != self.saved.checkpoint:
            raise InputError(
                f"{probe} was fitted to another encoder than {run} (fingerprints {self.saved.checkpoint[:12]} and "
                f"{self.checkpoint[:12]}): give the run that was probed, or probe this one"
            )
        without = [name for name in self.saved.without if name in groups]
        kept = kept_groups(groups, without)
        if sum(kept.values()) != self.saved.dim:
            raise InputError(
                f"{probe} reads {self.saved.dim} columns of an embedding, {run} gives {sum(kept.values())} "
                f"({', '.join(kept)}): give the embeddings folder that was probed, or probe again"
            )
        self.array: Matrix = (
            _EmbeddedWhenAsked(self.method, self.store, kept, precision)
            if self.method is not None
            else columns_without(embeddings, without)
        )

    def rows(self, patterns: Sequence[str] | None, learn: str | None = None) -> list[StoreRow]:
        """The recordings asked for; to learn from, those that this annotator has labeled.

        Raises
        ------
        InputError
            If a pattern matches nothing, a recording does not fit the encoder, or nobody of that name has labeled one.
        """
        rows = self.store.select(patterns) if patterns else list(self.store.rows)
        if learn is not None:
            task = self.annotators.task
            own = rows_of(rows, task, learn)
            if not own:
                names = {row.annotators.get(task.streams[0], "") for row in rows} - {""}
                raise InputError(
                    f"--learn {learn}: nobody of that name has labeled {task.streams[0]!r} in these recordings; they "
                    f"were labeled by {sorted(names) or 'nobody'}"
                )
            rows = own
        if self.method is not None:
            for row in rows:
                check_fits(self.method, row, self.store.skeleton.keypoints, len(self.store.individuals))
        return rows

    @property
    def annotators(self) -> SavedAnnotators:
        """The saved probe, if it knows annotators.

        Raises
        ------
        InputError
            If it does not.
        """
        if not isinstance(self.saved, SavedAnnotators):
            raise InputError("the probe tells no annotators apart: make one with ssl-behavior probe --mode annotators")
        return self.saved

    def reader(self, annotator: str | None, use: str) -> Callable[[Matrix, StoreRow], np.ndarray]:
        """Embedding -> probabilities [time, classes], in a style if the probe knows styles.

        Raises
        ------
        InputError
            If an annotator is needed, unknown, or makes no sense.
        """
        if annotator is None and not isinstance(self.saved, SavedAnnotators):
            return partial(self.saved.probabilities, use=use)
        saved, known = self.annotators, ", ".join(self.annotators.probe.annotators)
        if annotator is None:
            raise InputError(f"the probe knows several styles; choose one with --annotator: {known}")
        saved.probe.number(annotator)
        return partial(saved.probabilities, use=use, annotator=annotator)


def _load(folder: Path) -> SavedProbe | SavedAnnotators:
    contents, _ = read_probe(folder)
    return load_annotators(folder) if contents.get("heads") == ANNOTATORS else load_heads(folder)


def write_labels(
    labeling: Labeling,
    rows: Sequence[StoreRow],
    out: Path,
    *,
    formats: Sequence[str] = ("csv",),
    annotator: str | None = None,
    balanced: bool = False,
    fewest_frames: int = 1,
    overwrite: bool = False,
    progress: Progress = lambda _: None,
) -> Told:
    """A folder with a file per recording and format, and `labels.json`; whole or not at all.

    A recording `a/b` becomes `a/b.csv` (bouts of all that is not background), `a/b.txt` (Caltech Behavior Annotator) or
    `a/b.npy` (int16 [time], numbers of the classes; of binary classes [time, class], 1 yes, 0 no).

    Parameters
    ----------
    balanced : decide by the fit in which all classes weigh the same.
    fewest_frames : shorter bouts are left out, see `without_short_bouts`.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, an annotator is unknown, or a recording's id cannot be a file's name.
    """
    saved, told = labeling.saved, Told()
    read = labeling.reader(annotator, BALANCED if balanced else DECISION)
    files = {row.id: {name: _file_name(row.id, _SUFFIXES[name]) for name in dict.fromkeys(formats)} for row in rows}
    with atomic_folder(out, overwrite, LABELS_FILE) as folder:
        for row in rows:
            probability = read(labeling.array, row)
            labels = decided_labels(probability, saved.streams[0], saved.classes, saved.background, saved.kind)
            labels = {name: without_short_bouts(one, fewest_frames) for name, one in labels.items()}
            bouts = bouts_of(labels, saved.classes, probability)
            for name, file in files[row.id].items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                _WRITERS[name](folder / file, _Written(labels, bouts, row.fps, saved.kind))
            told.add(bouts, row)
            progress(row.frames)
        choices = {"annotator": annotator, "balanced": balanced, "minimum_bout_frames": fewest_frames}
        write_json(folder / LABELS_FILE, _contents(labeling, rows, files, choices))
    return told


def _file_name(recording: str, suffix: str) -> str:
    """A recording's id as a path inside a folder."""
    parts = recording.split("/")
    if any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise InputError(f"recording {recording!r}: its id cannot be a file's name; import it under another id")
    return str(PurePosixPath(*parts)) + suffix


class _Written(NamedTuple):
    """What there is to write of a recording."""

    labels: Mapping[str, Labels]
    bouts: Sequence[Bout]
    fps: float
    kind: str


def _write_csv(path: Path, written: _Written) -> None:
    path.write_text(bouts_csv(written.bouts, written.fps), encoding="utf-8")


def _write_npy(path: Path, written: _Written) -> None:
    columns = [one.frames for one in written.labels.values()]
    with path.open("wb") as file:
        np.save(file, columns[0] if written.kind == "multinomial" else np.stack(columns, axis=1))


def _write_caltech(path: Path, written: _Written) -> None:
    """A stream S1, S2 ... for each of ours; every frame lies in an interval, so that none counts as not annotated."""
    labels = written.labels.values()
    streams = [[(start, stop, one.vocabulary[label]) for start, stop, label in runs(one.frames)] for one in labels]
    text = caltech_text(list(dict.fromkeys(name for one in labels for name in one.vocabulary)), streams)
    path.write_text(text, encoding="utf-8", newline="")


_WRITERS = {"csv": _write_csv, "caltech": _write_caltech, "npy": _write_npy}


def _contents(
    labeling: Labeling,
    rows: Sequence[StoreRow],
    files: Mapping[str, Mapping[str, str]],
    choices: Mapping[str, object],
) -> dict[str, object]:
    saved = labeling.saved
    return {
        "format": "ssl-behavior labels",
        "version": FORMAT_VERSION,
        "streams": list(saved.streams),
        "classes": list(saved.classes),
        "background": saved.background,
        "kind": saved.kind,
        **choices,
        "checkpoint": labeling.checkpoint,
        "store": labeling.store.fingerprint(),
        "recordings": [{"id": row.id, "frames": row.frames, "fps": row.fps, "files": files[row.id]} for row in rows],
    }


def add_from_store(
    labeling: Labeling,
    rows: Sequence[StoreRow],
    name: str,
    out: Path,
    overwrite: bool = False,
    seed: int = 0,
) -> None:
    """A probe in `out` that has one annotator more, learned from recordings that annotator has labeled.

    Raises
    ------
    InputError
        As `add_annotator`; or if `out` exists, or the store's classes are not the probe's.
    """
    saved, store = labeling.annotators, labeling.store
    (stream,) = saved.streams
    vocabulary = store.stream(stream).vocabulary
    if foreign := [word for word in vocabulary if word not in saved.classes]:
        raise InputError(
            f"{store.path}: the stream {stream!r} has the classes {foreign}, which the probe does not know"
        )
    frames = annotated_frames(store, saved.task, labeling.array, rows, [name], seed=seed, scaling=saved.probe.scaling)
    probe = add_annotator(saved.probe, name, frames, AnnotatorConfig(), seed)
    with atomic_folder(out, overwrite, "probe.json") as folder:
        extended = saved.extended(probe)
        save_annotators(folder, probe, extended.task, saved.checkpoint, saved.without, saved.windows)
