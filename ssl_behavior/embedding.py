"""Embeddings of whole recordings by a frozen encoder: one row per frame, in bounded memory.

A row describes the scene; or there is one for every animal of a frame, or for every ordered pair. Long recordings go
through the encoder in chunks that give the numbers of one pass. Python interface to a trained encoder: `load` and
`Encoder`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.arguments import one_or_more, several
from ssl_behavior.checkpoint import find_checkpoint, load_checkpoint, read_checkpoint_config, save_checkpoint
from ssl_behavior.device import choose_device
from ssl_behavior.embeddings_folder import Embeddings, EmbeddingsWriter, check_dtype
from ssl_behavior.errors import InputError
from ssl_behavior.files import check_free, write_errors_explained
from ssl_behavior.hub import downloaded, upload
from ssl_behavior.individuals import advise_individuals
from ssl_behavior.methods import Method, group_slices, kept_groups, method_name
from ssl_behavior.model_card import model_card
from ssl_behavior.processes import Processes, joined
from ssl_behavior.recording import Recording, take_or_missing
from ssl_behavior.reprs import Described, described_columns
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import Store, StoreRow, open_store
from ssl_behavior.terminal import Progress, counted, listed, no_progress
from ssl_behavior.units import Actors, Unit
from ssl_behavior.windows import WindowBatch, WindowReader, arena_of, recording_window

__all__ = [
    "CHUNK_FRAMES",
    "Encoder",
    "check_fits",
    "check_gives",
    "checked_recordings",
    "chunked",
    "embed_actors",
    "embed_recording",
    "embed_row",
    "embed_store",
    "kept_groups",
    "load",
    "reader_for",
    "with_kept_groups",
]


CHUNK_FRAMES = 6144


def chunked(
    method: Method,
    compute: Callable[[WindowBatch], Float[Tensor, "unit time latent"]],
    read: Callable[[int, int], WindowBatch],
    num_frames: int,
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Output of `method` for every frame of a recording, chunk by chunk: (frames, float32 [unit, time, latent]).

    Each chunk is read with as many frames more as the encoder reaches to either side, so the numbers are those of one
    pass over the whole recording.

    Parameters
    ----------
    compute : from one window to one row per frame of a scene, or of several units, in eval mode, without gradients.
    read : (first frame, number of frames) -> a batch of one window.
    """
    device = next(method.parameters()).device
    before, after = (-(-side // method.alignment) * method.alignment for side in method.receptive_field)
    chunk_frames = -(-chunk_frames // method.alignment) * method.alignment
    training = method.training
    method.eval()
    try:
        for start in range(0, num_frames, chunk_frames):
            stop = min(start + chunk_frames, num_frames)
            first, last = max(0, start - before), min(num_frames, stop + after)
            with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
                values = compute(read(first, last - first).to(device))[:, start - first : stop - first]
            yield slice(start, stop), values.float().cpu().numpy()
    finally:
        method.train(training)


_FPS_TOLERANCE = 0.01
_OTHER_UNITS = "pretrain with `method.units=[scene,animal,pair]` for an encoder that describes animals and pairs, too"


def check_fits(
    method: Method, recording: Recording | StoreRow, keypoints: tuple[str, ...], individuals: tuple[str, ...]
) -> None:
    """Refuse recordings whose animals, keypoints or frame rate do not fit the encoder.

    Raises
    ------
    InputError
        If keypoints or frame rate differ; if the encoder tells its animals apart and does not know one of the
        recording; if it takes two animals, and the recording has another number.
    """
    skeleton = method.skeleton
    if keypoints != skeleton.keypoints:
        raise InputError(
            f"recording {recording.id!r} has the keypoints {list(keypoints)}; the encoder was made for "
            f"{list(skeleton.keypoints)}"
        )
    present = [name for name in individuals if name not in recording.absent]
    if method.num_animals is not None and len(individuals) != method.num_animals:
        raise InputError(
            f"recording {recording.id!r} has {counted(len(individuals), 'animal')} ({listed(individuals)}); this "
            f"encoder takes {method.num_animals}, no more and no fewer"
        )
    if not skeleton.exchangeable and not set(present) <= set(skeleton.individuals):
        raise InputError(
            f"recording {recording.id!r} has the animals {', '.join(individuals)}; the encoder knows "
            f"{', '.join(skeleton.individuals)} apart. {advise_individuals(skeleton.individuals, individuals)}"
        )
    if abs(recording.fps / method.fps - 1) > _FPS_TOLERANCE:
        raise InputError(
            f"recording {recording.id!r} has {recording.fps:g} frames per second, the encoder was made for "
            f"{method.fps:g}: resample it (`ssl-behavior resample`), or pretrain on recordings of that rate"
        )


def check_gives(method: Method, unit: Unit) -> None:
    """Refuse a unit that the encoder does not describe.

    Raises
    ------
    InputError
        Naming the units that it does describe.
    """
    if unit not in method.units:
        raise InputError(f"`unit` {unit!r}: this encoder describes {listed(method.units)} only; {_OTHER_UNITS}")


def with_kept_groups(
    method: Method, without: Sequence[str] = (), only: Sequence[str] = ()
) -> tuple[Method, dict[str, int]]:
    """The method with the additional groups of `only` (`Method.with_groups`), and the result of `kept_groups`.

    Raises
    ------
    InputError
        If a pattern matches no group, or nothing is left.
    """
    method = method.with_groups(only)
    return method, kept_groups(method.channel_groups, without, only, method.more_groups)


def embed_recording(
    method: Method,
    recording: Recording,
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
    without: Sequence[str] = (),
    only: Sequence[str] = (),
    actors: Actors | None = None,
) -> np.ndarray:
    """One embedding per frame of a recording: float32 [frames, dim], of the column groups of `with_kept_groups`.

    Parameters
    ----------
    actors : the animal, or the ordered pair, to describe; None = the scene.

    Raises
    ------
    InputError
        If the recording does not fit the encoder, see `check_fits`, has no such animals, or there are no such groups.
    """
    method, kept = with_kept_groups(method, without, only)
    check_fits(method, recording, recording.skeleton.keypoints, recording.individuals)
    recording = in_order_of(recording, method.skeleton)
    actors = actors or Actors()
    check_gives(method, actors.unit)
    arena, absent = arena_of(recording.keypoints, recording.resolution_px), recording.absent
    known = [name for name in recording.individuals if name not in absent]
    for name in (actors.agent, actors.target):
        if name and name not in known:
            raise InputError(f"recording {recording.id!r} has no animal {name!r}; it has {listed(known)}")
    out = np.empty((recording.num_frames, sum(kept.values())), dtype=np.float32)

    def read(start: int, frames: int) -> WindowBatch:
        return recording_window(recording, start, frames, arena, absent)

    places = _places([actors], recording.individuals)
    for span, values in _chunks(method, read, recording.num_frames, chunk_frames, precision, kept, places):
        out[span] = values[0]
    return out


def in_order_of(recording: Recording, skeleton: Skeleton) -> Recording:
    """The recording with the animals that a skeleton tells apart, in its order; those that it lacks are missing."""
    if skeleton.exchangeable or recording.individuals == skeleton.individuals:
        return recording
    own = recording.individuals
    places = [own.index(name) if name in own else -1 for name in skeleton.individuals]
    keypoints = take_or_missing(recording.keypoints, places, axis=1)
    return replace(
        recording, keypoints=keypoints, confidence=None, labels={}, pair_labels={}, individuals=skeleton.individuals
    )


def reader_for(method: Method, store: Store, row: StoreRow) -> WindowReader:
    """Reader of a recording, with the animals that the method tells apart in the method's order."""
    individuals = None if method.skeleton.exchangeable else method.skeleton.individuals
    return WindowReader([(store, row)], 1, individuals=individuals)


def _places(actors: Sequence[Actors], individuals: Sequence[str]) -> list[tuple[int, int]] | None:
    """Places of agents and targets on the individual axis, -1 = none; None for a scene."""
    if actors[0].unit == "scene":
        return None
    return [(individuals.index(one.agent), individuals.index(one.target) if one.target else -1) for one in actors]


def _chunks(
    method: Method,
    read: Callable[[int, int], WindowBatch],
    num_frames: int,
    chunk_frames: int,
    precision: torch.dtype,
    kept: Collection[str],
    places: Sequence[tuple[int, int]] | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Kept columns, chunk by chunk: float32 [unit, frames, dim]; `places` as in `_places`."""
    columns = [span for name, span in group_slices(method.channel_groups).items() if name in kept]

    def embed(batch: WindowBatch) -> torch.Tensor:
        values = method.embed(batch) if places is None else method.embed_units(batch, places)
        return torch.cat([values[..., span] for span in columns], dim=-1)

    return chunked(method, embed, read, num_frames, chunk_frames, precision)


def embed_store(
    method: Method,
    store: Store,
    out: str | Path,
    dtype: str = "float16",
    rows: list[StoreRow] | None = None,
    overwrite: bool = False,
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
    progress: Progress = no_progress,
    without: Sequence[str] = (),
    only: Sequence[str] = (),
    unit: Unit = "scene",
    with_self: bool = False,
) -> Embeddings:
    """Embed every frame of a store (or of some of its rows) into the folder `out`.

    `without` and `only` choose column groups, see `with_kept_groups`. An interrupted export goes on where it stopped
    when it is asked for again; `out` appears when it is whole. Time grows with the number of pairs of animals, the
    folder with the number of units.

    Under torchrun every process calls this function. They share the recordings, and write one folder, the same as that
    of a single process. `progress` then shows the frames of all.

    Parameters
    ----------
    unit : what a row describes: the scene, each animal, or each ordered pair; see `ssl_behavior.units`.
    with_self : pairs include each animal with itself, which is described as the animal among all others.

    Raises
    ------
    InputError
        If `out` exists, the disk is full, a recording does not fit the encoder, or a value cannot be held in float16.
    """
    check_dtype(dtype)
    rows, out = list(store.rows if rows is None else rows), Path(out)
    with joined() as processes, write_errors_explained(out):
        processes.from_main(lambda: check_free(out, overwrite, "embeddings.json"))
        method, kept = with_kept_groups(method, without, only)
        check_gives(method, unit)
        for row in rows:
            check_fits(method, row, store.skeleton.keypoints, store.individuals)
        export = EmbeddingsWriter(method, store, rows, out, dtype, precision, kept, unit, with_self)
        processes.check_same(export.contents)
        finished = processes.from_main(export.begin)
        export.open(processes.rank, processes.size)
        with closing(export):

            def embed(row: StoreRow, actors: Sequence[Actors]) -> Iterator[tuple[slice, np.ndarray]]:
                return embed_actors(method, store, row, actors, kept, chunk_frames, precision)

            _write_rows(export, embed, {row.id: row for row in rows}, set(finished), processes, progress)
        processes.from_main(export.publish)
    return Embeddings(out)


def _write_rows(
    export: EmbeddingsWriter,
    embed: Callable[[StoreRow, Sequence[Actors]], Iterator[tuple[slice, np.ndarray]]],
    by_id: Mapping[str, StoreRow],
    finished: Collection[int],
    processes: Processes,
    progress: Progress,
) -> None:
    """Embed the rows that are not finished, a recording at a time; returns when all processes have done their share."""
    table = export.rows
    total = sum(row.frames for row in table)
    if finished:
        progress("embedding", sum(table[pick].frames for pick in finished), total)
    left = [pick for pick in range(len(table)) if pick not in finished]
    recordings = [list(picks) for _, picks in groupby(left, lambda pick: table[pick].recording)]
    work = processes.share([sum(table[pick].frames for pick in own) for own in recordings])
    for own in map(recordings.__getitem__, work):
        for span, values in embed(by_id[table[own[0]].recording], [table[pick].actors for pick in own]):
            for pick, one in zip(own, values, strict=True):
                export.write(pick, span, one)
            progress("embedding", work.advance(len(own) * values.shape[1]), total)
        export.finish_rows(own)
    work.finish(lambda frames: progress("embedding", frames, total))


def embed_row(
    method: Method,
    store: Store,
    row: StoreRow,
    kept: Collection[str],
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
) -> Iterator[tuple[slice, np.ndarray]]:
    """A recording's embedding chunk by chunk: (which frames, float32 [frames, dim]) of the column groups in `kept`.

    Raises
    ------
    InputError
        If the encoder gives values that are not finite.
    """
    for span, values in embed_actors(method, store, row, [Actors()], kept, chunk_frames, precision):
        yield span, values[0]


def embed_actors(
    method: Method,
    store: Store,
    row: StoreRow,
    actors: Sequence[Actors],
    kept: Collection[str],
    chunk_frames: int = CHUNK_FRAMES,
    precision: torch.dtype = torch.float32,
) -> Iterator[tuple[slice, np.ndarray]]:
    """As `embed_row`, of several animals or pairs at once: (which frames, float32 [unit, frames, dim]).

    Features are computed once for all of them.

    Raises
    ------
    InputError
        If the encoder gives values that are not finite.
    """
    reader = reader_for(method, store, row)

    def read(start: int, frames: int) -> WindowBatch:
        return reader.read([(0, start, frames)])

    exchangeable = method.skeleton.exchangeable
    places = _places(actors, store.individuals if exchangeable else method.skeleton.individuals)
    for span, values in _chunks(method, read, row.frames, chunk_frames, precision, kept, places):
        if not np.isfinite(values).all():
            raise InputError(f"recording {row.id!r}: the encoder gives values that are not finite; is it damaged?")
        yield span, values


class Encoder(Described):
    """A frozen encoder: recordings in, one embedding per frame out.

    Attributes
    ----------
    method : the network, in eval mode.
    groups : column groups of the embedding: name -> number of columns.
    origin : `config.json` of the checkpoint that it was loaded from; empty if there is none.

    Parameters
    ----------
    without : names or globs of column groups to leave out, e.g. ("features_*", "time") for learned columns alone.
    only : names or globs of column groups to keep, also of groups that are off by default, e.g. ("summary", "time").
    """

    def __init__(
        self,
        method: Method,
        device: str = "auto",
        without: str | Sequence[str] = (),
        only: str | Sequence[str] = (),
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        without, only = several(without, "without"), several(only, "only")
        self._chosen: dict[str, Any] = {"without": without, "only": only}
        self.origin = dict(origin or {})
        method, self.groups = with_kept_groups(method, without, only)
        self.method = method.to(choose_device(device)).eval()

    @classmethod
    def from_pretrained(cls, path: str | Path, device: str = "auto", **options: Any) -> "Encoder":
        """Load a folder of `save_pretrained`, a run or a checkpoint, or a model of the Hugging Face Hub.

        Parameters
        ----------
        path : folder, or hf://OWNER/NAME (needs the extra `hub`).
        options : as in `ssl_behavior.load`.
        """
        return load(path, device, **options)

    def fit(self, stores: "Store | str | Path | Sequence[Store | str | Path]", **options: Any) -> "Encoder":
        """Train further on the recordings of one or several stores, from the present weights; returns the encoder.

        Parameters
        ----------
        options : as in `ssl_behavior.pretrain`, such as steps, out and verbose.

        Raises
        ------
        InputError
            As `ssl_behavior.pretrain`. The encoder is then as before.
        """
        import ssl_behavior

        trained = ssl_behavior.pretrain(stores, init=self, **options)
        device = str(next(self.method.parameters()).device)
        self.__init__(trained.method, device, **self._chosen, origin=trained.origin)  # type: ignore[misc]
        return self

    def save_pretrained(
        self, path: str | Path, license: str = "", description: str = "", overwrite: bool = False
    ) -> Path:
        """Write the encoder as a folder with `model.safetensors`, `config.json` and a model card, `README.md`.

        Parameters
        ----------
        license : license of the weights, such as "cc-by-4.0"; "" = not stated.
        description : what the animals were and did, and where the recordings come from, for the card.
        overwrite : replace a folder that is there already.

        Raises
        ------
        InputError
            If the folder exists, the disk is full, the place is not writable, or the license is no identifier.
        """
        folder = Path(path)
        check_free(folder, overwrite, "model.safetensors", "path")
        card = model_card(self.method, self.groups, self.origin, license, description, folder.name)
        extra = dict(self.origin.get("extra", {}))
        if self.chooses_columns:
            extra["columns"] = {name: list(own) for name, own in self._chosen.items()}
        save_checkpoint(folder, self.method, extra, None, overwrite, card, self.origin.get("versions"))
        return folder

    def push_to_hub(
        self, repo_id: str, license: str = "", description: str = "", private: bool = True, token: str | None = None
    ) -> str:
        """Publish the encoder and its model card on the Hugging Face Hub, and return its address there.

        Parameters
        ----------
        repo_id : OWNER/NAME on the hub.
        license, description : as in `save_pretrained`.
        private : whether a new repository is private.
        token : access token; None = that of `hf auth login`.

        Raises
        ------
        InputError
            If the extra `hub` is not installed, `repo_id` is no such name, or the hub refuses.
        """
        return upload(self.save_pretrained, repo_id, license, description, private, token)

    def _headline(self) -> str:
        name, fps = method_name(self.method.config), self.method.fps
        return f"Encoder ({name}): {counted(self.dim, 'column')} at {fps:g} frames per second"

    def _facts(self) -> list[tuple[str, str]]:
        skeleton, (before, after) = self.method.skeleton, self.method.receptive_field
        return [
            ("columns", described_columns(self.groups)),
            ("units", listed(self.method.units)),
            ("animals", "any, anonymous" if skeleton.exchangeable else listed(skeleton.individuals)),
            ("keypoints", listed(skeleton.keypoints)),
            ("context", f"{before:,} frames before, {after:,} after"),
            ("device", str(next(self.method.parameters()).device)),
        ]

    @property
    def dim(self) -> int:
        """Columns of an embedding."""
        return sum(self.groups.values())

    def embed(self, recording: Recording, agent: str = "", target: str = "") -> np.ndarray:
        """Embedding of a recording: float32 [frames, dim], one row per frame.

        Parameters
        ----------
        agent, target : names of an animal, or of an ordered pair, to describe; "" = the scene.

        Raises
        ------
        InputError
            If keypoints, animals or frame rate are not those the encoder was made for, or the recording has no such
            animals.
        """
        return embed_recording(self.method, recording, actors=Actors(agent=agent, target=target), **self._chosen)

    @property
    def chooses_columns(self) -> bool:
        """Whether it gives some of the columns, not the method's own ones."""
        return any(self._chosen.values())

    def transform(self, recordings: Store | str | Path | Iterable[Recording]) -> list[np.ndarray]:
        """Embeddings of recordings, of a store, or of a store's folder: float32 [frames, dim] for each recording.

        Raises
        ------
        InputError
            As `embed`, or if `recordings` is something else. For a single recording, there is `embed`.
        """
        given = open_store(recordings) if isinstance(recordings, str | Path) else recordings
        return [self.embed(recording) for recording in checked_recordings(given)]

    def embed_store(self, store: Store | str | Path, out: str | Path, **options: Any) -> Embeddings:
        """Embed a store into a folder, in bounded memory; see `ssl_behavior.embedding.embed_store`."""
        return embed_store(self.method, open_store(store), out, **self._chosen | options)


def load(
    path: str | Path,
    device: str = "auto",
    best: bool = True,
    without: str | Sequence[str] = (),
    only: str | Sequence[str] = (),
) -> Encoder:
    """Load the encoder of a run or checkpoint folder, or of hf://OWNER/NAME (`Encoder.from_pretrained`).

    Of a run, it is the best on validation, or with best=False the newest.

    `without` and `only` choose groups of columns, see `Encoder`; without them, an encoder of `save_pretrained` has the
    columns that it was saved with.

    Raises
    ------
    InputError
        If there is no checkpoint, it is damaged, or it has no such columns.
    """
    folder = find_checkpoint(downloaded(path), best)
    origin = read_checkpoint_config(folder)
    chosen = {"without": several(without, "without"), "only": several(only, "only")}
    if not any(chosen.values()):
        chosen |= origin["extra"].get("columns", {})
    return Encoder(load_checkpoint(folder), device, **chosen, origin=origin)


def checked_recordings(recordings: Any) -> list[Recording]:
    """Recordings as a list.

    Raises
    ------
    InputError
        If this is one recording, or anything but recordings.
    """
    if isinstance(recordings, Recording):
        raise InputError("`recordings` is one recording: pass a list of them or a store")
    found = one_or_more(recordings)
    for one in found:
        if not isinstance(one, Recording):
            raise InputError(f"`recordings` must be a Store or a list of Recordings, got {type(one).__name__}")
    return found
