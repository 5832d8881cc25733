"""Annotator probes: one head for all annotators of a label stream, and new annotators on a trained head.

Labeled frames with their annotators, the probe, its training, and its experiments (`probe --mode annotators`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from probe.experiment import BALANCED, FITS, PLAIN, Experiment, Predictions, expand_classes
from probe.labeled_frames import MIN_CLASSES
from probe.postprocessing import Postprocessing, choose_postprocessing
from probe.representations import Matrix, all_frames, gather, sampled_frames, standardized_blocks
from probe.tasks import Task, targets
from ssl_behavior.errors import InputError
from ssl_behavior.nn import AnnotatorHead
from ssl_behavior.numerics import Standardizer
from ssl_behavior.objectives import balanced_class_weights, class_prior, label_cross_entropy
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import derive_seed, torch_generator
from ssl_behavior.splits import fraction_of
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "OUTPUT",
    "AnnotatedFrames",
    "AnnotatorConfig",
    "AnnotatorProbe",
    "add_annotator",
    "annotated_frames",
    "find_annotators",
    "fit_annotators",
    "recordings_labeled_by",
    "run_annotator_experiments",
]


@dataclass(frozen=True)
class AnnotatedFrames:
    """Annotated frames of some recordings, standardized.

    Parameters
    ----------
    target : class of each frame.
    annotator : number of each frame's annotator, in the order of a list of names.
    """

    embedded: Float[Tensor, "frames latent"]
    target: Int[Tensor, " frames"]
    annotator: Int[Tensor, " frames"]
    scaling: Standardizer

    def __len__(self) -> int:
        return len(self.embedded)

    def counts(self, num_annotators: int, num_classes: int) -> Float[Tensor, "annotator class"]:
        """Number of frames of each annotator and class."""
        index = self.annotator * num_classes + self.target
        counts = torch.bincount(index, minlength=num_annotators * num_classes)
        return counts.view(num_annotators, num_classes).to(self.embedded.dtype)


def find_annotators(store: Store, task: Task, rows: Sequence[StoreRow] | None = None) -> tuple[str, ...]:
    """The annotators of the task in some recordings (all of the store by default).

    Raises
    ------
    InputError
        If the task has several streams or binary classes, or the store names no annotators.
    """
    if len(task.streams) != 1 or task.kind != "multinomial":
        raise InputError(
            f"task {task.name!r}: annotator styles need one label stream with one class per frame; this task is "
            f"{task.kind}, with {len(task.streams)} streams"
        )
    (stream,) = task.streams
    found = {row.annotators[stream] for row in rows or store.rows if stream in row.annotators}
    found = {name for name in found if name in task.annotators} if task.annotators else found
    if not found - {""}:
        raise InputError(f"{store.path} names no annotators of the stream {stream!r}: there is no style to learn")
    # Numbers sort by value: "10" comes after "9".
    return tuple(sorted(found - {""}, key=lambda name: (len(name), name) if name.isdigit() else (1 << 30, name)))


def recordings_labeled_by(rows: Sequence[StoreRow], task: Task, annotator: str) -> list[StoreRow]:
    """The recordings labeled by this annotator."""
    return [row for row in rows if row.annotators.get(task.streams[0]) == annotator]


def annotated_frames(
    store: Store,
    task: Task,
    array: Matrix,
    rows: Sequence[StoreRow],
    annotators: Sequence[str],
    stride: int = 4,
    seed: int = 0,
    scaling: Standardizer | None = None,
) -> AnnotatedFrames:
    """Every `stride`-th annotated frame, standardized with `scaling` or with their own mean and std.

    Parameters
    ----------
    array : embeddings [frames of the store, dim].
    annotators : names in the order of their numbers.

    Raises
    ------
    InputError
        If another annotator labeled a recording, no frame is annotated, or an embedding is NaN.
    """
    numbers = np.array([_number(row, task, annotators) for row in rows], dtype=np.int64)
    frames = sampled_frames(rows, stride, seed)
    target = frames.take(targets(store, task, rows))
    known = (target != NOT_ANNOTATED).any(axis=1)
    if not known.any():
        raise InputError(f"task {task.name!r}: no annotated frame in {[row.id for row in rows][:5]}")
    embedded = gather(array, frames.where(known))
    scaling = scaling or Standardizer.fit(embedded)
    return AnnotatedFrames(
        embedded=scaling.transform_(embedded),
        target=torch.from_numpy(target[known].argmax(axis=1)),
        annotator=torch.from_numpy(numbers[frames.recording][known]),
        scaling=scaling,
    )


def _number(row: StoreRow, task: Task, annotators: Sequence[str]) -> int:
    name = row.annotators.get(task.streams[0], "")
    if name not in annotators:
        raise InputError(
            f"recording {row.id!r} has the annotator {repr(name) if name else 'unknown'}; the annotators are "
            f"{list(annotators)}"
        )
    return list(annotators).index(name)


OUTPUT = "labels"
"""The name of the head's only output."""


@dataclass(frozen=True)
class AnnotatorProbe:
    """Heads with the annotator as an input, and the scaling of their inputs.

    Parameters
    ----------
    annotators : names, in the order of the rows of the heads' matrices.
    classes : classes of the task.
    learned : indices of the classes that the heads predict.
    heads : fit name ("plain", "balanced") -> head with the single output `OUTPUT`.
    """

    annotators: tuple[str, ...]
    classes: tuple[str, ...]
    learned: tuple[int, ...]
    heads: Mapping[str, AnnotatorHead]
    scaling: Standardizer

    def number(self, annotator: str) -> int:
        """The row of an annotator.

        Raises
        ------
        InputError
            If the annotator was not learned.
        """
        if annotator not in self.annotators:
            raise InputError(f"there is no annotator {annotator!r}; known: {', '.join(self.annotators)}")
        return self.annotators.index(annotator)

    def predict(
        self, embedded: Float[Tensor, "frames latent"], annotator: str, fit: str = PLAIN
    ) -> Float[Tensor, "frames learned"]:
        """Probabilities of the learned classes of standardized frames in the annotator's style."""
        return self.log_probabilities(embedded, annotator, fit).exp()

    @torch.no_grad()
    def log_probabilities(
        self, embedded: Float[Tensor, "frames latent"], annotator: str, fit: str = PLAIN
    ) -> Float[Tensor, "frames learned"]:
        """The logarithm of `predict`, finite for probabilities of 0."""
        number = torch.full((len(embedded),), self.number(annotator))
        return self.heads[fit](embedded, number)[OUTPUT].log_softmax(dim=-1)

    def probabilities(self, array: Matrix, rows: Sequence[StoreRow], annotator: str, fit: str = PLAIN) -> np.ndarray:
        """Float32 [frames, classes], all frames of the recordings; NaN for classes that were not learned.

        Parameters
        ----------
        array : embeddings [frames of the store, dim].
        """
        blocks = standardized_blocks(array, all_frames(rows), self.scaling)
        parts = [self.predict(block, annotator, fit).numpy() for _, block in blocks]
        return expand_classes(np.concatenate(parts), self.learned, len(self.classes))


@dataclass(frozen=True, kw_only=True)
class AnnotatorConfig:
    """Training of the head of all annotators. No setting is chosen by scores.

    Parameters
    ----------
    hidden_dim, dropout : of `AnnotatorHead`.
    smoothing : label smoothing toward the class prior.
    per_annotator : compute balanced weights and prior per annotator instead of over all annotators.
    steps, batch_frames : number of Adam steps, and frames per step.
    learning_rate : peak after `warmup_steps`, then a cosine to 0.
    weight_decay : decoupled (AdamW), for all parameters except the annotators' matrix.
    newcomer_rate, newcomer_steps : learning rate and steps for the row of an added annotator.
    """

    hidden_dim: int = 128
    dropout: float = 0.5
    smoothing: float = 0.0
    per_annotator: bool = False
    steps: int = 200
    batch_frames: int = 1024
    learning_rate: float = 4e-3
    weight_decay: float = 0.1
    warmup_steps: int = 20
    newcomer_rate: float = 0.05
    newcomer_steps: int = 100

    def __post_init__(self) -> None:
        whole = {name: getattr(self, name) for name in ("hidden_dim", "steps", "batch_frames", "newcomer_steps")}
        rates = {name: getattr(self, name) for name in ("learning_rate", "newcomer_rate")}
        if wrong := {name: value for name, value in whole.items() if value < 1}:
            raise InputError(f"annotators: these settings must be at least 1, got {wrong}")
        if wrong := {name: value for name, value in rates.items() if not 0 < value < math.inf}:
            raise InputError(f"annotators: rates must be above 0, got {wrong}")
        if not (0 <= self.dropout < 1 and 0 <= self.smoothing <= 1):
            raise InputError(
                f"annotators: dropout {self.dropout} and smoothing {self.smoothing} must be between 0 and 1"
            )
        if self.weight_decay < 0 or self.warmup_steps < 0:
            raise InputError(
                f"annotators: weight_decay {self.weight_decay} and warmup_steps {self.warmup_steps} must not be below 0"
            )


def fit_annotators(
    frames: AnnotatedFrames,
    annotators: Sequence[str],
    classes: Sequence[str],
    config: AnnotatorConfig,
    seed: int,
    fits: Sequence[str] = FITS,
) -> AnnotatorProbe:
    """One head for all annotators, with equal weight for frames ("plain") and for classes ("balanced").

    The head is `ssl_behavior.nn.AnnotatorHead`; the loss is `label_cross_entropy`.

    Raises
    ------
    InputError
        If an annotator has no frame, or all frames show one class.
    """
    counts = frames.counts(len(annotators), len(classes))
    if absent := [name for name, none in zip(annotators, counts.sum(dim=1) == 0, strict=True) if none]:
        raise InputError(f"annotators {absent} have no annotated training frame; leave them out")
    learned = tuple(int(index) for index in counts.sum(dim=0).nonzero()[:, 0])
    if len(learned) < MIN_CLASSES["multinomial"]:
        raise InputError(f"all annotated frames show {classes[learned[0]]!r}: training needs at least two classes")
    heads = {}
    for fit in fits:
        objective = _Objective(frames, counts[:, list(learned)], learned, config, fit == BALANCED)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "annotators", "init"))
            head = AnnotatorHead(
                frames.embedded.shape[1], {OUTPUT: len(learned)}, len(annotators), config.hidden_dim, config.dropout
            ).to(frames.embedded.dtype)
            optimizer = torch.optim.AdamW(_groups(head, config), lr=config.learning_rate)
            _minimize(head, objective, optimizer, config.steps, config.warmup_steps, seed)
        heads[fit] = head.eval().requires_grad_(False)
    return AnnotatorProbe(tuple(annotators), tuple(classes), learned, heads, frames.scaling)


def add_annotator(
    probe: AnnotatorProbe, name: str, frames: AnnotatedFrames, config: AnnotatorConfig, seed: int
) -> AnnotatorProbe:
    """The probe with one more annotator; predictions of the other annotators stay bit-identical.

    Training changes only the new row of the matrix, which starts from the mean of the other rows. The row is short, so
    a few recordings suffice. The encoder and the shared head stay fixed.

    Parameters
    ----------
    frames : frames of the new annotator, standardized with the probe's scaling.

    Raises
    ------
    InputError
        If the name is taken, or a frame shows a class that the head did not learn.
    """
    if name in probe.annotators:
        raise InputError(f"the probe has an annotator {name!r} already; known: {', '.join(probe.annotators)}")
    if unknown := sorted(set(frames.target.unique().tolist()) - set(probe.learned)):
        raise InputError(
            f"annotator {name!r} has frames of {[probe.classes[index] for index in unknown]}, classes that the "
            "head did not learn; fit all annotators again"
        )
    heads = {fit: deepcopy(head) for fit, head in probe.heads.items()}
    for fit, head in heads.items():
        number = head.add_annotator()
        own = replace(frames, annotator=torch.full_like(frames.annotator, number))
        counts = own.counts(number + 1, len(probe.classes))[:, list(probe.learned)]
        objective = _Objective(own, counts, probe.learned, config, fit == BALANCED)
        # The other rows have no frames here and no gradient, so Adam does not move them.
        optimizer = torch.optim.Adam([head.annotator_matrix], lr=config.newcomer_rate)
        _minimize(head, objective, optimizer, config.newcomer_steps, 0, seed)
        head.requires_grad_(False)
    return replace(probe, annotators=(*probe.annotators, name), heads=heads)


class _Objective:
    """The loss of a head on a batch of frames."""

    def __init__(
        self,
        frames: AnnotatedFrames,
        counts: Float[Tensor, "annotator class"],
        learned: Sequence[int],
        config: AnnotatorConfig,
        balanced: bool,
    ) -> None:
        counts = counts if config.per_annotator else counts.sum(dim=0, keepdim=True).expand_as(counts)
        self.frames, self.config = frames, config
        self.target = torch.searchsorted(torch.tensor(learned), frames.target)
        self.weights = balanced_class_weights(counts) if balanced else torch.ones_like(counts)
        self.prior = class_prior(counts)

    def __call__(self, head: AnnotatorHead, chosen: Tensor) -> Tensor:
        annotator = self.frames.annotator[chosen]
        logits = head(self.frames.embedded[chosen], annotator)[OUTPUT]
        sums = label_cross_entropy(
            logits, self.target[chosen], self.weights[annotator], self.prior[annotator], self.config.smoothing
        )
        return (sums.total / sums.count).sum()


def _groups(head: AnnotatorHead, config: AnnotatorConfig) -> Iterable[dict[str, object]]:
    """Parameter groups: the annotators' matrix has no weight decay, because it starts from the identity."""
    shared: list[nn.Parameter] = [p for name, p in head.named_parameters() if name != "annotator_matrix"]
    return (
        {"params": shared, "weight_decay": config.weight_decay},
        {"params": [head.annotator_matrix], "weight_decay": 0.0},
    )


def _minimize(
    head: AnnotatorHead,
    objective: _Objective,
    optimizer: torch.optim.Optimizer,
    steps: int,
    warmup_steps: int,
    seed: int,
) -> None:
    """Minimize the loss on frames drawn with replacement; warm-up, then a cosine to 0."""
    generator = torch_generator(seed, "annotators", "batches")
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / (warmup_steps + 1)) * (1 + math.cos(math.pi * step / steps)) / 2
    )
    num_frames = len(objective.frames)
    size = min(objective.config.batch_frames, num_frames)
    for _ in range(steps):
        loss = objective(head, torch.randint(num_frames, (size,), generator=generator))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()


def run_annotator_experiments(
    experiments: Mapping[str, Experiment],
    array: Matrix,
    seed: int,
    percent: float = 100.0,
    config: AnnotatorConfig | None = None,
) -> tuple[dict[str, Predictions], AnnotatorProbe]:
    """Fit one head to a seeded `percent` of the training recordings of all parts; each part has one annotator.

    The only chosen settings are smoothing windows (`Experiment.smooth`), on tuning recordings that are held out from a
    first head. At 100 % the final head is fitted to those recordings too, if they are training recordings.

    Parameters
    ----------
    experiments : part name -> experiment whose task has one annotator.

    Returns
    -------
    Part name -> predictions; and the probe.

    Raises
    ------
    InputError
        If a part does not have exactly one annotator, or the recordings show too few classes.
    """
    config, annotators = config or AnnotatorConfig(), _annotators(experiments)
    fitted = {part: fraction_of(experiment.split.fit, percent, seed) for part, experiment in experiments.items()}
    postprocessing = dict.fromkeys(experiments, Postprocessing())
    if any(experiment.smooth and experiment.split.tune for experiment in experiments.values()):
        probe = _learned(experiments, annotators, fitted, array, seed, config)[0]
        postprocessing = {part: _postprocessing(experiment, probe, array) for part, experiment in experiments.items()}
    if percent >= 100:
        fitted = {part: list(experiment.split.train) for part, experiment in experiments.items()}
    probe, frames = _learned(experiments, annotators, fitted, array, seed, config)
    counts = frames.counts(len(annotators), len(probe.classes)).sum(dim=1)
    seed_predictions = {
        part: _predict_evaluated(experiment, probe, array, postprocessing[part], int(count))
        for (part, experiment), count in zip(experiments.items(), counts, strict=True)
    }
    return seed_predictions, probe


def _annotators(experiments: Mapping[str, Experiment]) -> tuple[str, ...]:
    names = [experiment.task.annotators for experiment in experiments.values()]
    if len(names) < 2 or any(len(one) != 1 for one in names):
        raise InputError(
            f"`mode=annotators` learns the styles of several annotators of one label stream; this task has the parts "
            f"{list(experiments)}"
        )
    return tuple(chain.from_iterable(names))


def _learned(
    experiments: Mapping[str, Experiment],
    annotators: tuple[str, ...],
    fitted: Mapping[str, list[StoreRow]],
    array: Matrix,
    seed: int,
    config: AnnotatorConfig,
) -> tuple[AnnotatorProbe, AnnotatedFrames]:
    experiment = next(iter(experiments.values()))
    rows = list(chain.from_iterable(fitted.values()))
    frames = annotated_frames(experiment.store, experiment.task, array, rows, annotators, experiment.stride, seed)
    return fit_annotators(frames, annotators, experiment.task.classes, config, seed), frames


def _predicted(
    experiment: Experiment, probe: AnnotatorProbe, array: Matrix, rows: tuple[StoreRow, ...]
) -> dict[str, np.ndarray]:
    (annotator,) = experiment.task.annotators
    return {fit: probe.probabilities(array, rows, annotator, fit) for fit in FITS}


def _postprocessing(experiment: Experiment, probe: AnnotatorProbe, array: Matrix) -> Postprocessing:
    rows = experiment.split.tune
    if not experiment.smooth or not rows:
        return Postprocessing()
    return choose_postprocessing(experiment.problem, rows, _predicted(experiment, probe, array, rows), smooth=True)


def _predict_evaluated(
    experiment: Experiment, probe: AnnotatorProbe, array: Matrix, postprocessing: Postprocessing, num_train_frames: int
) -> Predictions:
    rows = experiment.split.evaluate
    probability = _predicted(experiment, probe, array, rows)
    postprocessed = postprocessing.apply(probability, rows, experiment.task.kind)
    return Predictions(probability, postprocessed, {}, postprocessing.windows, {}, num_train_frames)
