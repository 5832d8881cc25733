"""What gives labels for any recording: the heads that a run learned, or a saved probe on an encoder's embedding."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from probe.annotators.saved import ANNOTATORS, SavedAnnotators, load_annotators
from probe.heads import SavedProbe, load_heads, read_probe
from probe.representations import Columns, Matrix, check_alignment, columns_without
from probe.trial import BALANCED, DECISION
from probe.trial import balanced as as_if_balanced
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.embedding import Embeddings, check_fits, embed_row, kept_groups
from ssl_behavior.errors import InputError
from ssl_behavior.labeled import LabelFacts, StreamFacts
from ssl_behavior.methods import Method
from ssl_behavior.objectives import class_prior
from ssl_behavior.prediction import Style, predict_row, style_of, with_labels
from ssl_behavior.store import Store, StoreRow

__all__ = ["Labeler", "ProbeLabeler", "RunLabeler"]

_OTHER = ("other", "none")
"""What a binary class's own stream calls the frames that do not show it."""


class Labeler(ABC):
    """Gives labels for the recordings of a store.

    Attributes
    ----------
    source : the folder that knows the labels, for messages.
    facts : the label streams it gives, and the annotators whose styles it has learned ("" = nobody in particular).
    method : the encoder; None where embeddings are read.
    checkpoint : the encoder's fingerprint.
    always_balanced : its classes weighed the same in training, so there are no other labels than balanced ones.
    """

    store: Store
    source: Path
    facts: LabelFacts
    method: Method | None
    checkpoint: str
    always_balanced = False

    @abstractmethod
    def probabilities(self, row: StoreRow, annotator: str = "", balanced: bool = False) -> Mapping[str, np.ndarray]:
        """Stream -> float32 [time, classes] of one recording, made to be decided by; NaN for classes not learned.

        Parameters
        ----------
        annotator : in whose style, as `style` says.
        balanced : as if all classes were equally frequent.
        """

    def check(self, rows: Sequence[StoreRow]) -> None:
        """Refuse recordings that the encoder was not made for, see `check_fits`."""
        if self.method is not None:
            for row in rows:
                check_fits(self.method, row, self.store.skeleton.keypoints, len(self.store.individuals))

    def streams(self, names: Sequence[str] = ()) -> tuple[StreamFacts, ...]:
        """The streams of these names, in the order they were learned; all of them by default.

        Raises
        ------
        InputError
            If one was not learned.
        """
        known = [stream.name for stream in self.facts.streams]
        if missing := [name for name in names if name not in known]:
            raise InputError(f"--streams {missing[0]}: {self.source} gives no such labels; it gives {known}")
        return tuple(stream for stream in self.facts.streams if not names or stream.name in names)

    def style(self, row: StoreRow, annotator: str = "", streams: Sequence[StreamFacts] = ()) -> Style:
        """In whose style a recording is labeled, see `style_of`; "" where no styles are known.

        Parameters
        ----------
        streams : look who labeled one of these; none = all there are.

        Raises
        ------
        InputError
            If an annotator is named and was not learned.
        """
        if any(self.facts.annotators):
            chosen = LabelFacts(streams=tuple(streams) or self.facts.streams, annotators=self.facts.annotators)
            return style_of(chosen, row, annotator)
        if annotator:
            raise InputError(
                f"--annotator {annotator}: {self.source} tells no annotators apart; leave the option out, or learn "
                "styles from recordings that say who labeled them (ssl-behavior probe --mode annotators)"
            )
        return Style("")


class RunLabeler(Labeler):
    """The heads that a run learned together with its encoder (recipes joint, finetune, joint_mabe2021).

    Balanced probabilities are made by Bayes' rule of the shares that the classes have in the training labels.

    Parameters
    ----------
    run : run or checkpoint folder.
    last : the newest checkpoint of a run, not the best.

    Raises
    ------
    InputError
        If the run learned from no labels.
    """

    method: Method

    def __init__(
        self, run: Path, store: Path, device: torch.device, precision: torch.dtype, last: bool = False
    ) -> None:
        if (run / "embeddings.json").exists():
            raise InputError(f"{run} holds embeddings and no labels: give a probe of them (--probe DIR)")
        self.store, self.source, self.precision = Store(store), run, precision
        self.method = self._joint = with_labels(load_checkpoint(run, best=not last).to(device), str(run))
        labels = self._joint.config.labels
        self.facts = LabelFacts(streams=labels.streams, annotators=labels.annotators)
        self.checkpoint, self.always_balanced = self.method.fingerprint(), labels.balanced

    def probabilities(self, row: StoreRow, annotator: str = "", balanced: bool = False) -> Mapping[str, np.ndarray]:
        said = predict_row(self._joint, self.store, row, Style(annotator), self.precision)
        if not balanced or self.always_balanced:
            return said
        shares = [class_prior(self._joint.label_counts.of(number)).cpu().numpy() for number in range(len(said))]
        return {
            name: as_if_balanced(values, share, "multinomial")
            for (name, values), share in zip(said.items(), shares, strict=True)
        }


class ProbeLabeler(Labeler):
    """A saved probe, with the encoder or the embeddings it was fitted to.

    A binary class is a stream of its own, for a frame may show several.

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
        self.store, self.source, self.saved = Store(store), probe, _load(probe)
        known = self.saved.probe.annotators if isinstance(self.saved, SavedAnnotators) else ("",)
        self.facts = LabelFacts(streams=_streams_of(self.saved), annotators=known)
        self.method = None
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

    @property
    def annotators(self) -> SavedAnnotators:
        """The saved probe, if it knows annotators.

        Raises
        ------
        InputError
            If it does not.
        """
        if not isinstance(self.saved, SavedAnnotators):
            raise InputError(
                f"{self.source} tells no annotators apart: make a probe with ssl-behavior probe --mode annotators"
            )
        return self.saved

    def probabilities(self, row: StoreRow, annotator: str = "", balanced: bool = False) -> Mapping[str, np.ndarray]:
        use = BALANCED if balanced else DECISION
        if isinstance(self.saved, SavedAnnotators):
            said = self.saved.probabilities(self.array, row, use, annotator)
        else:
            said = self.saved.probabilities(self.array, row, use)
        if self.saved.kind == "multinomial":
            return {self.facts.streams[0].name: said}
        return {
            stream.name: np.stack([1 - yes, yes], axis=1)
            for stream, yes in zip(self.facts.streams, said.T, strict=True)
        }


def _load(folder: Path) -> SavedProbe | SavedAnnotators:
    contents, _ = read_probe(folder)
    return load_annotators(folder) if contents.get("heads") == ANNOTATORS else load_heads(folder)


def _streams_of(saved: SavedProbe | SavedAnnotators) -> tuple[StreamFacts, ...]:
    if saved.kind == "multinomial":
        return (StreamFacts(name=saved.streams[0], classes=saved.classes, background=saved.background),)
    free = [name for name in _OTHER if name not in saved.classes]
    others = {name: free[0] if free else f"not {name}" for name in saved.classes}
    return tuple(StreamFacts(name=name, classes=(other, name), background=other) for name, other in others.items())


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
