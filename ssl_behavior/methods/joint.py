"""Joint learning from few labels and many tracks, after the MABe 2021 Task 1 and 2 winner.

One encoder learns from every window without labels (`ContrastivePrediction` of its future, or `SummaryTargets` of
windows of time), and from the labels of labeled windows: one softmax per label stream over a shared head that gets the
annotator as input. Sun et al. 2021 (arXiv:2104.02710), the winning entry by B. Wild. With `cpc` and `summary` 0 it is
supervised learning, from scratch or, with another run's encoder as the start, fine-tuning.

Each label stream also has a linear readout. Logistic regression on a frozen embedding and a trained head make different
mistakes, so the mean of both is better than either (`benchmarks/results/benchmark_rats.md`). The readout is fitted
before the first step, so that every checkpoint has one, and again on the final encoder, with a chosen penalty.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssl_behavior.augment import hidden, moved
from ssl_behavior.collectives import all_sum
from ssl_behavior.errors import InputError
from ssl_behavior.labeled_windows import LabeledBatch, LabeledReader, LabelFacts, StreamFacts
from ssl_behavior.logistic import Design, class_weights, fit_head, no_longer_better
from ssl_behavior.methods.base import LossTerms, mean_of
from ssl_behavior.methods.conv_base import CodedPiece, ConvConfig, ConvMethod, Encoded, extra_widths
from ssl_behavior.methods.cpc import ContrastivePrediction, PredictionConfig
from ssl_behavior.methods.summary_prediction import SummaryTargets, SummaryTargetsConfig
from ssl_behavior.nn import AnnotatorHead, MixingEmbedder, pad_to_multiple, step_mean, to_frames
from ssl_behavior.numerics import RunningMoments, Standardizer
from ssl_behavior.objectives import balanced_class_weights, class_prior, label_cross_entropy
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.tensor_types import Steps
from ssl_behavior.windows import WindowBatch, WindowReader

__all__ = ["Joint", "JointConfig", "LabelCounts", "LabeledPoints", "LabelsConfig", "LinearReadings", "ReadScale"]

PENALTIES = (0.1, 0.03, 0.01, 3e-3, 1e-3)
"""Tried from strong to weak, per frame."""

MIDDLE_PENALTY = PENALTIES[len(PENALTIES) // 2]

TOLERANCE, ROUGH_TOLERANCE = 1e-7, 1e-5
"""A fit ends when the loss per point falls by less."""

HELD_OUT_EVERY = 5
"""One labeled recording in this many chooses the penalty."""

ABSENT_LOGIT = -6.0
"""Of a class that no frame shows, where others are shown."""

MIN_STD = 1e-4


@dataclass(frozen=True)
class LabeledPoints:
    """Inputs of the readout at sampled steps, and their labels; on the CPU.

    Parameters
    ----------
    labels : class in each stream, -1 = not known.
    annotator : number of the annotator of each point.
    recording : the number of each step's recording.
    """

    read: Float[Tensor, "point latent"]
    labels: Int[Tensor, "point stream"]
    annotator: Int[Tensor, " point"]
    recording: Int[Tensor, " point"]


class LinearReadings(nn.Module):
    """Linear readout: logits of each stream from the columns and the annotator; fitted, not trained by gradient.

    Parameters
    ----------
    in_dim : number of input columns.
    class_counts : number of classes of each stream.
    num_annotators : each has a bias of its own.
    """

    def __init__(self, in_dim: int, class_counts: Sequence[int], num_annotators: int) -> None:
        super().__init__()
        self.num_annotators, self.num_streams = num_annotators, len(class_counts)
        for number, count in enumerate(class_counts):
            self.register_buffer(f"weight_{number}", torch.zeros(in_dim + num_annotators, count))
            self.register_buffer(f"bias_{number}", torch.zeros(count))

    def forward(
        self, read: Float[Tensor, "*batch latent"], annotator: Int[Tensor, "*batch"]
    ) -> list[Float[Tensor, "*batch class"]]:
        """Logits of every stream, in float32 or higher."""
        with torch.autocast(read.device.type, enabled=False):
            x = self._beside_annotators(read.to(self._of("weight", 0).dtype), annotator)
            return [x @ self._of("weight", number) + self._of("bias", number) for number in range(self.num_streams)]

    def _of(self, what: str, number: int) -> Tensor:
        tensor: Tensor = getattr(self, f"{what}_{number}")
        return tensor

    def _beside_annotators(
        self, read: Float[Tensor, "*batch latent"], annotator: Int[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch column"]:
        return torch.cat([read, F.one_hot(annotator, self.num_annotators).to(read)], dim=-1)

    @torch.no_grad()
    def fit(self, points: LabeledPoints, balanced: bool, choose: bool) -> None:
        """Logistic regressions on standardized columns.

        On the processor, wherever the readings are: in double precision, and with the same result on every machine.

        Parameters
        ----------
        balanced : give the classes equal weights.
        choose : the penalty by every fifth recording's cross-entropy; False = a rough fit with the middle one, in a
            tenth of the time.
        """
        columns = self._beside_annotators(points.read, points.annotator)
        mean, std = columns.mean(dim=0), columns.std(dim=0, correction=0)
        scaling = Standardizer.from_moments(mean, std, atol=MIN_STD, rtol=0.0)
        mean, std, columns = scaling.mean, scaling.std, scaling.transform_(columns)
        for number in range(self.num_streams):
            weight, bias = self._of("weight", number), self._of("bias", number)
            known = points.labels[:, number] >= 0
            labels, recording = points.labels[known, number], points.recording[known]
            learned = labels.unique()
            weight.zero_()
            bias.fill_(ABSENT_LOGIT if len(learned) else 0.0)
            bias[learned] = 0.0
            if len(learned) < 2:
                continue
            values, target = columns[known], F.one_hot(torch.searchsorted(learned, labels))
            penalty = _chosen_penalty(values, target, recording, balanced) if choose else MIDDLE_PENALTY
            design = Design(values, target, "multinomial", balanced)
            fitted = fit_head(design, penalty, tolerance=TOLERANCE if choose else ROUGH_TOLERANCE)
            weight[:, learned] = (fitted.weights / std[:, None]).to(weight)
            bias[learned] = (fitted.bias - (mean / std) @ fitted.weights).to(bias)


def _chosen_penalty(
    values: Float[Tensor, "point latent"],
    target: Int[Tensor, "point class"],
    recording: Int[Tensor, " point"],
    balanced: bool,
) -> float:
    """Penalty with the lowest held-out cross-entropy; the middle one if too few recordings or classes remain."""
    held_out = torch.isin(recording, recording.unique()[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY])
    if not held_out.any() or not target[~held_out].any(dim=0).all():
        return MIDDLE_PENALTY
    design = Design(values[~held_out], target[~held_out], "multinomial", balanced)
    weight = class_weights(target[held_out], "multinomial")[:, 0] if balanced else torch.ones(int(held_out.sum()))
    losses: dict[float, float] = {}
    head = None
    for penalty in PENALTIES:
        head = fit_head(design, penalty, head)
        log_probability = head.probabilities(values[held_out]).clamp_min(1e-12).log()
        each = F.nll_loss(log_probability, target[held_out].argmax(dim=1), reduction="none")
        losses[penalty] = ((each * weight).sum() / weight.sum()).item()
        if no_longer_better([-loss for loss in losses.values()]):
            break
    return min(losses, key=losses.__getitem__)


_SCALE_FRAMES = 100_000
_PIECE_FRAMES = 2048
_MOST_POINTS = 60_000
_CHUNK_FRAMES = 8192
_SMALLEST_STD = 1e-4


@dataclass(frozen=True, kw_only=True)
class LabelsConfig(LabelFacts):
    """Heads, losses and weights of learning from labels.

    Parameters
    ----------
    streams, annotators : label streams and annotators, see `LabelFacts`; the training job fills them in.
    weight, binary_weight : of the mean cross-entropy of a stream of several classes, and of one of two.
    weights : stream -> weight, in place of these.
    balanced : give the classes of a stream equal weights, n / (k n_c).
    smoothing : share of a label that goes to the classes as frequent as they are.
    reads : "embedding": the head reads all columns of the embedding; "contexts": the contexts and the extras alone.
    hidden_dim : width of the head's middle layer; 0 = width of its input.
    scale : give every column that the head reads mean 0 and spread 1, as measured before the first step.
    linear : share in the probabilities of a linear reading (`LinearReadings`); the rest is the head's.
    dropout : in the head.
    input_dropout : share of the columns it reads that the head does without in a training step.
    """

    weight: float = 1.0
    binary_weight: float = 1.0
    weights: Mapping[str, float] = field(default_factory=dict)
    balanced: bool = True
    smoothing: float = 0.2
    reads: Literal["embedding", "contexts"] = "embedding"
    hidden_dim: int = 256
    scale: bool = True
    linear: float = 0.0
    dropout: float = 0.0
    input_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = [self.weight, self.binary_weight, *self.weights.values()]
        if min(weights) < 0:
            raise InputError(f"labels: weights must be 0 or more, got {weights}")
        known = [stream.name for stream in self.streams]
        if known and (unknown := sorted(set(self.weights) - set(known))):
            raise InputError(f"labels: a weight is given for {unknown[0]!r}; the label streams are {known}")
        if not 0 <= self.linear <= 1:
            raise InputError(f"labels: linear is a share from 0 to 1, got {self.linear}")
        for name in ("smoothing", "dropout", "input_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"labels: {name} must be in [0, 1), got {getattr(self, name)}")
        if self.hidden_dim < 0:
            raise InputError(f"labels: hidden_dim must be 0 or more, got {self.hidden_dim}")

    def weight_of(self, stream: StreamFacts) -> float:
        return self.weights.get(stream.name, self.weight if len(stream.classes) > 2 else self.binary_weight)


@dataclass(frozen=True, kw_only=True)
class JointConfig(PredictionConfig, ConvConfig):
    """Configuration of encoder, prediction and labels.

    Parameters
    ----------
    cpc : weight of the contrastive prediction; 0 = without.
    summary : weight of the prediction of summaries; 0 = without.
    targets : targets of `summary`.
    """

    labels: LabelsConfig = field(default_factory=LabelsConfig)
    cpc: float = 1.0
    summary: float = 0.0
    targets: SummaryTargetsConfig = field(default_factory=SummaryTargetsConfig)

    def __post_init__(self) -> None:
        if self.cpc:
            self.check_prediction(self.encoder)
        if self.labels.reads == "contexts" and not self.encoder.contexts:
            raise InputError("joint: labels.reads is contexts, and encoder.directions none leaves none to read")
        if min(self.cpc, self.summary) < 0:
            raise InputError(f"joint: the weights cpc and summary must be 0 or more, got {self.cpc} and {self.summary}")


class LabelCounts(nn.Module):
    """Training frames of each class of each stream, from which weights and priors follow.

    Fitted once on the training recordings and saved with the model.
    """

    def __init__(self, facts: LabelFacts) -> None:
        super().__init__()
        self.facts = facts
        self.notices: tuple[str, ...] = ()
        for number, stream in enumerate(facts.streams):
            self.register_buffer(f"stream_{number}", torch.zeros(len(stream.classes)))

    def of(self, number: int) -> Float[Tensor, " class"]:
        """Labeled training frames of each class of stream `number`."""
        counts: Tensor = getattr(self, f"stream_{number}")
        return counts

    def fit(self, reader: WindowReader) -> None:
        """Count.

        Raises
        ------
        InputError
            If the reader gives no labels, or no stream shows two classes.
        """
        if not isinstance(reader, LabeledReader):
            raise InputError("learning from labels needs recordings whose labels may be used: name them in `labeled`")
        notices, learnable = [], False
        for number, stream in enumerate(self.facts.streams):
            counts = reader.counts[stream.name]
            self.of(number).copy_(torch.from_numpy(counts))
            labeled_classes = [name for name, count in zip(stream.classes, counts, strict=True) if count]
            learnable |= len(labeled_classes) >= 2
            if missing := [name for name in stream.classes if name not in labeled_classes]:
                notices.append(f"labels {stream.name}: no training frame shows {', '.join(missing)}")
        if not learnable:
            raise InputError(f"{'; '.join(notices)}: learning needs two classes; name more recordings in `labeled`")
        self.notices = tuple(notices)


class ReadScale(nn.Module):
    """Mean and standard deviation of the head's inputs at the start of training.

    Without it columns of small spread, the time above all, take thousands of steps to be heard.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    @torch.no_grad()
    def fit(self, blocks: Iterable[Float[Tensor, "point latent"]]) -> None:
        """Fit mean and standard deviation of points, in one pass."""
        moments = RunningMoments(len(self.mean), self.mean.device)
        for block in blocks:
            moments.add(block)
        scaling = moments.standardizer(atol=_SMALLEST_STD, rtol=0.0, constant_std=1.0)
        self.mean.copy_(scaling.mean)
        self.std.copy_(scaling.std)

    def forward(self, x: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch latent"]:
        return (x - self.mean) / self.std


class Joint(ConvMethod):
    """Encoder that learns from its own future and from labels, with heads that predict labels."""

    Config = JointConfig
    config: JointConfig
    fitted_modules = ("featurizer", "label_counts")

    def __init__(self, config: JointConfig, skeleton: Skeleton, fps: float) -> None:
        super().__init__(config, skeleton, fps)
        if not config.labels.streams:
            raise InputError("joint: there are no label streams to learn; the store has to have labels")
        if config.cpc:
            self.prediction = ContrastivePrediction(config, config.encoder)
        if config.summary:
            if not isinstance(self.embedder, MixingEmbedder):
                raise InputError(
                    "joint: summary needs an encoder with a mixer; start from a run of recipe summaries (`init`)"
                )
            num_codes = self.embedder.coding.num_codes
            self.targets = SummaryTargets(config.targets, config.encoder, num_codes, skeleton, fps)
        self.label_counts = LabelCounts(config.labels)
        extra_dim = self._extras_dim
        read_dim = self._columns_dim + extra_dim
        self.read_scale = ReadScale(read_dim)
        self.input_dropout = nn.Dropout1d(config.labels.input_dropout)
        self.label_heads = AnnotatorHead(
            read_dim,
            {_output(number): len(stream.classes) for number, stream in enumerate(config.labels.streams)},
            len(config.labels.annotators),
            hidden_dim=config.labels.hidden_dim or None,
            dropout=config.labels.dropout,
            extra_dim=extra_dim,
        )
        if config.labels.linear:
            class_counts = [len(stream.classes) for stream in config.labels.streams]
            self.linear_readings = LinearReadings(read_dim, class_counts, len(config.labels.annotators))

    @property
    def _extras_dim(self) -> int:
        return sum(extra_widths(self.config.embedding.extras, self.skeleton).values())

    @property
    def _columns_dim(self) -> int:
        """Number of columns that the head reads, without extras."""
        if self.config.labels.reads == "embedding":
            return self.embedding_dim - self._extras_dim
        return self.config.encoder.contexter_dim * len(self.config.encoder.contexts)

    @property
    def fitted_states(self) -> tuple[str, ...]:
        targets = ("targets.program_codes", "targets.summaries") if self.config.summary else ()
        return (*super().fitted_states, "read_scale", *targets)

    def fit_inputs(self, reader: WindowReader, but: Collection[str] = ()) -> list[str]:
        notices = super().fit_inputs(reader, but)
        if self.config.labels.scale:
            with self._looking():
                read = (self._unscaled(self._own(batch)) for batch in reader.pieces(_SCALE_FRAMES, _PIECE_FRAMES))
                self.read_scale.fit(steps[encoded.inside] for encoded, steps in read)
        self._fit_readings(reader, choose=False)
        return notices

    def _fit_targets(self, reader: WindowReader, pieces: Sequence[CodedPiece]) -> list[str]:
        return self.targets.fit(reader, pieces) if self.config.summary else []

    def finish(self, reader: WindowReader) -> None:
        """Fit the linear readout, if configured, on the current encoder, with a chosen penalty."""
        self._fit_readings(reader, choose=True)

    def _fit_readings(self, reader: WindowReader, choose: bool) -> None:
        if self.config.labels.linear:
            assert isinstance(reader, LabeledReader)
            with self._looking():
                points = self._labeled_points(reader)
                if points is not None:
                    self.linear_readings.fit(points, self.config.labels.balanced, choose)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Context in eval mode without gradients."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.train(training)

    def _own(self, batch: WindowBatch) -> WindowBatch:
        return batch.to(self.read_scale.mean.device, self.read_scale.mean.dtype)

    def _labeled_points(self, reader: LabeledReader) -> LabeledPoints | None:
        """Head inputs at evenly spread labeled steps, and labels of their middle frames; None without labels."""
        stride = self.config.encoder.stride
        spans = [(span, _step_labels(reader, span, stride)) for span in reader.labeled_spans(_CHUNK_FRAMES)]
        every = 1 + sum(int((labels >= 0).any(1).sum()) for _, labels in spans) // _MOST_POINTS
        read, seen, picks = [], [], list[int]()
        for span, labels in spans:
            steps = torch.from_numpy(np.flatnonzero((labels >= 0).any(axis=1))[::every])
            if not len(steps):
                continue
            columns = self.read_scale(self._unscaled(self._own(reader.read([span])))[1])[0]
            read.append(columns.cpu()[steps])
            seen.append(torch.from_numpy(labels)[steps])
            picks += [span[0]] * len(steps)
        if not picks:
            return None
        annotator = torch.tensor([reader.annotator(pick) for pick in picks])
        return LabeledPoints(torch.cat(read), torch.cat(seen), annotator, torch.tensor(picks))

    def loss(self, batch: WindowBatch, generator: torch.Generator | None) -> LossTerms:
        """Cross-entropy of each label stream ("label/S1"), and the losses without labels on every window.

        Raises
        ------
        InputError
            If the batch has no labels, or its windows are shorter than every horizon.
        """
        if not isinstance(batch, LabeledBatch):
            raise InputError("joint: windows without labels were given; read them with a LabeledReader")
        scene: WindowBatch = batch
        if generator is not None:
            scene = moved(batch, self.config.augment, self.skeleton, generator)
            batch = hidden(scene, self.config.augment, generator)
            assert isinstance(batch, LabeledBatch)
        encoded, read = self._read(batch)
        terms = self._label_terms(self._logits(batch, encoded, read, batch.annotator), batch)
        if self.config.summary:
            terms = self._summary_terms(scene, encoded, generator).weighted(self.config.summary) | terms
        if self.config.cpc:
            predicted: LossTerms = self.prediction(encoded)
            terms = predicted.weighted(self.config.cpc) | terms
        return terms

    def _summary_terms(self, scene: WindowBatch, encoded: Encoded, generator: torch.Generator | None) -> LossTerms:
        """`SummaryTargets` of the full scene, even if parts were hidden from the encoder."""
        assert isinstance(self.embedder, MixingEmbedder)
        _, codes, _ = self.embedder.readings(*self._inputs(scene))
        terms: LossTerms = self.targets(scene, codes, encoded.latents, encoded.inside, generator)
        return terms

    def _label_terms(self, logits: dict[str, Float[Tensor, "batch time class"]], batch: LabeledBatch) -> LossTerms:
        terms, metrics = {}, {}
        for number, stream in enumerate(self.config.labels.streams):
            values, target = logits[stream.name], batch.labels[..., number].masked_fill(~batch.valid, -1)
            counts = self.label_counts.of(number)
            weights = balanced_class_weights(counts) if self.config.labels.balanced else torch.ones_like(counts)
            known = target >= 0
            if not self.training and not all_sum(known.sum()):
                continue
            sums = label_cross_entropy(values, target, weights, class_prior(counts), self.config.labels.smoothing)
            # A batch may hold no label of a stream: nothing to learn from, and in validation nothing to say.
            mean = mean_of(sums, self.training)
            terms[f"label/{stream.name}"] = self.config.labels.weight_of(stream) * mean
            right = (values.argmax(dim=-1) == target) & known
            metrics[f"label_accuracy/{stream.name}"] = all_sum(right.sum()) / all_sum(known.sum()).clamp_min(1)
        # Validation of windows without any label says nothing, which is not a perfect 0.
        return LossTerms(terms or {"label": torch.full((), torch.nan)}, metrics)

    def _logits(
        self, batch: WindowBatch, encoded: Encoded, read: Steps, annotator: Int[Tensor, " batch"]
    ) -> dict[str, Float[Tensor, "batch time class"]]:
        """Stream -> logits of every frame: the head runs once per step, and its logits are interpolated."""
        stride, num_frames = self.config.encoder.stride, batch.valid.shape[1]
        outputs = self.label_heads(read, annotator.unsqueeze(1).expand(read.shape[:2]))
        streams = enumerate(self.config.labels.streams)
        return {s.name: to_frames(outputs[_output(n)], encoded.inside, stride, num_frames) for n, s in streams}

    def _read(self, batch: WindowBatch) -> tuple[Encoded, Steps]:
        """Encoded batch, and the scaled head inputs of each step."""
        encoded, columns = self._unscaled(batch)
        # Dropout hides a column in the whole window: neighboring frames would reveal it otherwise.
        scaled = self.read_scale(columns)
        return encoded, self.input_dropout(scaled.transpose(1, 2)).transpose(1, 2)

    def _unscaled(self, batch: WindowBatch) -> tuple[Encoded, Steps]:
        """Encoded batch, and the head inputs of each step before scaling, extras last."""
        features, valid, views = self._inputs(batch)
        encoded = self._encoded(batch, features, valid, views)
        if self.config.labels.reads == "embedding":
            columns = self.step_columns(encoded, features, valid, views)
        else:
            columns = torch.cat(list(encoded.contexts.values()), dim=-1)
        stride = self.config.encoder.stride
        extras = [
            step_mean(pad_to_multiple(extra, stride).unsqueeze(2), valid, stride).squeeze(2)
            for extra in self._extras(batch, columns.dtype)
        ]
        return encoded, torch.cat([columns, *extras], dim=-1)

    def label_probabilities(
        self, batch: WindowBatch, annotator: str = ""
    ) -> dict[str, Float[Tensor, "batch time class"]]:
        """Class probabilities of each frame in the style of `annotator` ("" = the first): stream -> probabilities.

        In eval mode and without augmentation, as `embed`.

        Raises
        ------
        InputError
            If the annotator is not known.
        """
        known = self.config.labels.annotators
        if annotator and annotator not in known:
            raise InputError(f"annotator {annotator!r}: the model knows {list(known)}")
        number = known.index(annotator) if annotator else 0
        encoded, read = self._read(batch)
        annotators = torch.full((len(batch),), number, device=read.device)
        probabilities = {
            name: _probabilities(logits) for name, logits in self._logits(batch, encoded, read, annotators).items()
        }
        share = self.config.labels.linear
        if not share:
            return probabilities
        stride, num_frames = self.config.encoder.stride, batch.valid.shape[1]
        readings = self.linear_readings(read, annotators.unsqueeze(1).expand(read.shape[:2]))
        linear = (_probabilities(to_frames(logits, encoded.inside, stride, num_frames)) for logits in readings)
        return {
            name: (1 - share) * head + share * own
            for (name, head), own in zip(probabilities.items(), linear, strict=True)
        }


def _step_labels(reader: LabeledReader, span: tuple[int, int, int], stride: int) -> np.ndarray:
    """Labels of the middle frame of every step, int64 [step, stream]; of a truncated step, the last frame."""
    labels = reader.labels(*span)
    return labels[np.minimum(np.arange(0, len(labels), stride) + stride // 2, len(labels) - 1)]


def _probabilities(logits: Float[Tensor, "batch time class"]) -> Float[Tensor, "batch time class"]:
    return logits.float().softmax(dim=-1)


def _output(number: int) -> str:
    """A head's output for stream `number`: streams may have dots in their names, which modules may not."""
    return f"stream_{number}"
