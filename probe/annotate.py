"""Labels for recordings, from Python in one call."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from probe.label_predictors import (
    LabelOptions,
    Predictor,
    ProbePredictor,
    RunPredictor,
    label_facts,
    predicted_labels,
)
from probe.pair_predictor import PairPredictor, is_pair_probe
from probe.results import ProbeResults, run_folder
from ssl_behavior.arguments import opened, several, whole_number
from ssl_behavior.bouts import Bout
from ssl_behavior.device import choose_device, choose_precision
from ssl_behavior.embedding import Encoder
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.files import check_free
from ssl_behavior.io.annotated_recording import AnnotatedRecording
from ssl_behavior.io.annotation_writers import ANNOTATION_FORMATS, LABELS_FILE, write_annotations
from ssl_behavior.plots import ethogram
from ssl_behavior.recording import StreamFacts
from ssl_behavior.reprs import Described, data_frame
from ssl_behavior.store import Store, StoreRow, open_store
from ssl_behavior.terminal import counted, listed, progress_if

__all__ = ["Annotations", "annotate", "open_predictor"]


class Annotations(Described):
    """Labels that were predicted for recordings. `annotations["mouse001"]` has those of one recording.

    Attributes
    ----------
    recordings : labels and bouts of each recording, in frames of its video.
    streams : label streams, with their behaviors.
    notes : what to know about the labels.
    folder : folder with the label files; None if none was asked for.
    """

    def __init__(
        self,
        recordings: Sequence[AnnotatedRecording],
        streams: Sequence[StreamFacts],
        notes: Sequence[str] = (),
        folder: Path | None = None,
    ) -> None:
        self.recordings, self.streams = tuple(recordings), tuple(streams)
        self.notes, self.folder = tuple(notes), folder

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, recording: str) -> AnnotatedRecording:
        for one in self.recordings:
            if one.id == recording:
                return one
        raise InputError(f"there are no labels of a recording {recording!r}; there are some of {listed(self._ids, 12)}")

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per bout: recording, stream, behavior, agent, target, frames, seconds, mean
        probability.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        found = [(one, bout) for one in self.recordings for bout in one.bouts]
        columns: dict[str, list[Any]] = {"recording": [one.id for one, _ in found]}
        columns |= {name: [getattr(bout, name) for _, bout in found] for name in ("stream", "behavior")}
        columns |= {
            name: animals for name in ("agent", "target") if any(animals := [getattr(bout, name) for _, bout in found])
        }
        columns |= {f"{name}_frame": [getattr(bout, name) for _, bout in found] for name in ("start", "stop")}
        columns |= {f"{name}_s": [getattr(bout, name) / one.fps for one, bout in found] for name in ("start", "stop")}
        columns["probability"] = [_number(bout) for _, bout in found]
        return data_frame(columns)

    def plot(self, recording: str | None = None, **options: Any) -> Any:
        """Draw an ethogram of a recording, see `ssl_behavior.plots.ethogram`; None = the first recording.

        Parameters
        ----------
        options : further arguments of `ethogram`: rows, frames, time, colors, title, ax.

        Raises
        ------
        InputError
            If there is no such recording, or matplotlib is not installed.
        """
        if not self.recordings:
            raise InputError("there are no labels to draw")
        own = self[recording] if recording is not None else self.recordings[0]
        streams: dict[str, Any] = dict(own.labels)
        for name in own.pair_labels:
            streams[name] = [bout for bout in own.bouts if bout.stream == name]
        return ethogram(streams, fps=own.fps, **{"title": own.id} | options)

    @property
    def _ids(self) -> list[str]:
        return [one.id for one in self.recordings]

    def _headline(self) -> str:
        bouts = sum(len(one.bouts) for one in self.recordings)
        return f"Labels of {counted(len(self), 'recording')}: {counted(bouts, 'bout')}"

    def _facts(self) -> list[tuple[str, str]]:
        streams = [(stream.name, listed(stream.classes, 12)) for stream in self.streams]
        return [*streams, ("recordings", listed(self._ids, 6)), *(("note", note) for note in self.notes)]


def _number(bout: Bout) -> float:
    return float("nan") if bout.probability is None else bout.probability


def open_predictor(
    run: Path, store: Path, probe: Path | None, device: torch.device, precision: torch.dtype, last: bool = False
) -> Predictor:
    """Predictor of a saved probe, or without one of the label heads that a run trained with its encoder.

    Raises
    ------
    InputError
        As `RunPredictor`, `ProbePredictor` and `PairPredictor`.
    """
    if probe is None:
        return RunPredictor(run, store, device, precision, last)
    if is_pair_probe(probe):
        return PairPredictor(run, store, probe, device, precision, last)
    return ProbePredictor(run, store, probe, device, precision, last)


def annotate(
    run: Encoder | Embeddings | str | Path,
    store: Store | str | Path,
    probe: ProbeResults | str | Path | None = None,
    *,
    recordings: str | Sequence[str] = (),
    streams: str | Sequence[str] = (),
    annotator: str = "",
    balanced: bool = False,
    minimum_bout_frames: int = 1,
    out: str | Path | None = None,
    format: str | Sequence[str] = (),
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "float32",
    verbose: bool = True,
) -> Annotations:
    """Label the frames of recordings with a probe, or with the label heads of a run.

    Parameters
    ----------
    run : the encoder that was probed, its run, or its embeddings of the store; without `probe`, a run that learned
        labels (recipes joint, finetune).
    store : the recordings to label, or their folder; they need no labels.
    probe : results of `ssl_behavior.probe`, or their folder; None = the label heads of the run.
    recordings : ids or globs of recordings to label; none = all.
    streams : label streams to predict; none = all.
    annotator : label in the style of this annotator; "" = the recording's annotator, else the first learned one.
    balanced : assume equally frequent classes, to find more bouts of rare ones.
    minimum_bout_frames : leave out bouts of fewer frames.
    out : folder for label files; None = none.
    format : formats of the files: csv (default), frames, boris, bento, simba, caltech, mabe or npy.
    overwrite : replace a folder of labels.
    device : "auto", "cpu", "cuda" or "mps".
    precision : of the encoder: "float32", "bfloat16" or "auto".
    verbose : print the progress.

    Raises
    ------
    InputError
        If probe, encoder and store do not fit together, or an argument is unknown.
    """
    formats = _checked_formats(several(format, "format"), out, overwrite)
    options = LabelOptions(
        streams=several(streams, "streams"), annotator=annotator, balanced=balanced,
        min_bout_frames=whole_number(minimum_bout_frames, "minimum_bout_frames", 1),
    )  # fmt: skip
    recorded = open_store(store)
    rows = _chosen_rows(recorded, several(recordings, "recordings"))
    folder = None if probe is None else _probe_folder(probe)
    machine = choose_device(device)
    with tempfile.TemporaryDirectory(prefix="ssl-behavior-") as scratch, progress_if(verbose) as progress:
        source = run_folder(run, recorded, Path(scratch) / "run", "run", progress)
        predictor = open_predictor(source, recorded.path, folder, machine, choose_precision(precision, machine))
        summary, found = predicted_labels(predictor, rows, options, formats, progress)
        labeled = list(found)
    if out is not None:
        facts, ids = label_facts(predictor, options, summary), [row.id for row in rows]
        write_annotations(Path(out), labeled, ids, summary.streams, formats, facts, overwrite)
    return Annotations(labeled, summary.streams, summary.notes, None if out is None else Path(out))


def _probe_folder(probe: ProbeResults | str | Path) -> Path | None:
    heads = opened(probe, ProbeResults, "probe", Path)
    return heads.folder if isinstance(heads, ProbeResults) else heads


def _chosen_rows(store: Store, ids: Sequence[str]) -> list[StoreRow]:
    """Rows of the recordings with these ids or globs; without any, all rows."""
    return list(store.select(list(ids)) if ids else store.rows)


def _checked_formats(formats: Sequence[str], out: str | Path | None, overwrite: bool) -> Sequence[str]:
    """The formats of the files, which can be written to `out`; without any, CSV."""
    if formats and out is None:
        raise InputError("`format` needs `out`, the folder for the files")
    if unknown := [name for name in formats if name not in ANNOTATION_FORMATS]:
        raise InputError(f"`format`: unknown format {unknown[0]!r}; known: {listed(list(ANNOTATION_FORMATS), 12)}")
    if out is not None:
        check_free(Path(out), overwrite, LABELS_FILE)
    return formats or ("csv",)
