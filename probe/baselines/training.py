"""Training a baseline, and what it then says of recordings it has not seen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from probe.baselines.config import BaselineConfig
from probe.baselines.inputs import Inputs
from probe.baselines.network import FrameClassifier
from probe.representations import Frames, Scaling, sampled_frames
from probe.tasks import Task, macro_of, targets
from probe.trial import BALANCED, PLAIN, Data, Outcome, Trial, check_learnable, spread
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import derive_seed, numpy_generator, torch_generator
from ssl_behavior.splits import Split
from ssl_behavior.store import Store, StoreRow

__all__ = ["TrainedBaseline", "balanced", "frame_loss", "run_baseline"]

PREDICTED_FRAMES = 16_384


@dataclass(frozen=True, eq=False)
class TrainedBaseline:
    """A trained baseline and how it went.

    Parameters
    ----------
    network : after the last epoch, ready to predict.
    outcome : probabilities of all frames of the evaluated recordings, as `probe.scoring.score_row` takes them: "plain"
        as the network gives them, "balanced" divided by the classes' shares of the annotated training frames.
    samples_seen : frames learned from, counted each time.
    losses : mean of each epoch, dropout included.
    """

    network: FrameClassifier
    outcome: Outcome
    samples_seen: int
    losses: tuple[float, ...]


@dataclass(frozen=True)
class _Training:
    """What stays the same throughout a training."""

    config: BaselineConfig
    inputs: Inputs
    rows: tuple[StoreRow, ...]
    target: np.ndarray
    """int8 [frames of `rows`, learned class]."""
    kind: str
    seed: int
    precision: torch.dtype

    def frames(self, epoch: int) -> tuple[Frames, np.ndarray]:
        """The annotated frames that an epoch learns from, and what they show."""
        frames = sampled_frames(self.rows, self.config.train_stride, derive_seed(self.seed, "frames", epoch))
        target = frames.take(self.target)
        known = (target != NOT_ANNOTATED).any(axis=1)
        return frames.where(known), target[known]


def run_baseline(
    store: Store,
    task: Task,
    split: Split,
    config: BaselineConfig,
    inputs: Inputs,
    seed: int,
    precision: torch.dtype = torch.float32,
    advance: Callable[[int], None] | None = None,
) -> TrainedBaseline:
    """Learn from the training recordings, on the device of the inputs, and predict the evaluated ones.

    Everything drawn comes from `seed`: on one processor with one number of threads two runs agree in every bit.

    Parameters
    ----------
    inputs : of the training and the evaluated recordings.
    precision : of the heavy operations in training; predictions are float32.
    advance : told after each step how many frames it learned from.

    Raises
    ------
    InputError
        If the training recordings show one kind of frame only, or the window is too short for the network.
    """
    target = targets(store, task, split.train)
    data = _labels_alone(target, task.kind)
    check_learnable(Trial(store, task, split, macro_of(task), stride=config.train_stride), data)
    learned = list(data.learned)
    training = _Training(config, inputs, split.train, target[:, learned], task.kind, seed, precision)
    network = config.network.build(
        inputs.num_channels, config.window.num_samples, len(learned), torch_generator(seed, "init")
    )
    network.to(inputs.values.device, inputs.values.dtype)
    samples_seen, losses = _learn(network, training, advance)
    probability = spread(_predict(network, training, split.evaluate), learned, len(task.classes))
    both = {PLAIN: probability, BALANCED: balanced(probability, _shares(target), task.kind)}
    outcome = Outcome(both, {}, {}, {}, {}, len(data))
    return TrainedBaseline(network, outcome, samples_seen, losses)


def _labels_alone(target: np.ndarray, kind: str) -> Data:
    """The annotated frames as a probe knows them, but without an embedding."""
    known = torch.from_numpy(target[(target != NOT_ANNOTATED).any(axis=1)])
    return Data(torch.empty(len(known), 0), known, Scaling(torch.empty(0), torch.empty(0)), kind)


def _learn(
    network: FrameClassifier, training: _Training, advance: Callable[[int], None] | None
) -> tuple[int, tuple[float, ...]]:
    config = training.config
    optimizer = torch.optim.Adam(network.parameters(), lr=config.lr, eps=1e-7)
    device = training.inputs.values.device
    generator = torch_generator(training.seed, "dropout", device=str(device))
    samples_seen, losses = 0, []
    network.train()
    for epoch in range(config.epochs):
        frames, target = training.frames(epoch)
        order = torch.from_numpy(numpy_generator(training.seed, "order", epoch).permutation(len(frames)))
        places, shown = (x[order].to(device) for x in (training.inputs.places(frames), torch.from_numpy(target)))
        total = torch.zeros((), device=device)
        for some, wanted in zip(places.split(config.batch_size), shown.split(config.batch_size), strict=True):
            total += len(some) * _step(network, optimizer, training, some, wanted, generator)
            if advance is not None:
                advance(len(some))
        samples_seen += len(frames)
        losses.append(float(total) / len(frames))
    network.eval()
    return samples_seen, tuple(losses)


def _step(
    network: FrameClassifier,
    optimizer: torch.optim.Optimizer,
    training: _Training,
    places: Int[Tensor, " batch"],
    target: Int[Tensor, "batch class"],
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    windows = training.config.window.gather(training.inputs.values, places)
    with torch.autocast(windows.device.type, training.precision, enabled=training.precision != torch.float32):
        logits = network(windows, generator)
    loss = frame_loss(logits.to(windows.dtype), target, training.kind)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def frame_loss(
    logits: Float[Tensor, "batch class"], target: Int[Tensor, "batch class"], kind: str
) -> Float[Tensor, ""]:
    """Mean cross-entropy; `target` is 1 where a frame shows a class, 0 where it does not, -1 where nobody looked.

    "multinomial" frames show one class each; the classes of "binary" ones are told apart one by one, and those that
    nobody looked at do not count.
    """
    if kind == "multinomial":
        return F.cross_entropy(logits, target.argmax(dim=1))
    known = target != NOT_ANNOTATED
    return F.binary_cross_entropy_with_logits(logits[known], (target[known] == 1).to(logits.dtype))


@torch.inference_mode()
def _predict(network: FrameClassifier, training: _Training, rows: tuple[StoreRow, ...]) -> np.ndarray:
    """Probabilities of every frame of `rows`, float32 [frames, learned class]."""
    inputs, span = training.inputs, training.config.window
    before, after = span.reach
    parts = []
    for row in rows:
        for start in range(0, row.frames, PREDICTED_FRAMES):
            first = inputs.starts[row.id] + start
            stop = inputs.starts[row.id] + min(start + PREDICTED_FRAMES, row.frames)
            logits = network.slide(inputs.values[first - before : stop + after], span)
            parts.append(logits.softmax(dim=1) if training.kind == "multinomial" else logits.sigmoid())
    return torch.cat(parts).float().cpu().numpy()


def _shares(target: np.ndarray) -> np.ndarray:
    """[class]: how many of the frames that somebody looked at show it."""
    return (target == 1).sum(axis=0) / np.maximum((target != NOT_ANNOTATED).sum(axis=0), 1)


def balanced(probability: np.ndarray, share: np.ndarray, kind: str) -> np.ndarray:
    """Probabilities as if all classes (of binary ones: yes and no) were equally frequent, by Bayes' rule.

    Parameters
    ----------
    probability : float32 [frames, class], NaN for classes not learned.
    share : [class], each class's share of the training frames; above 0 for learned ones.

    >>> balanced(np.array([[0.2, 0.8]]), np.array([0.1, 0.9]), "multinomial").round(3).tolist()
    [[0.692, 0.308]]
    """
    weighed = probability / np.where(share > 0, share, 1.0)
    rest = (1 - probability) / np.where(share < 1, 1 - share, 1.0)
    total = np.nansum(weighed, axis=1, keepdims=True) if kind == "multinomial" else weighed + rest
    return (weighed / total).astype(probability.dtype)
