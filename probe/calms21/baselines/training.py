"""Training of baselines from random weights or from a parent network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from probe.calms21.baselines.augmentation import augment
from probe.calms21.baselines.configs import Adam, BaselineConfig, Sgd
from probe.calms21.baselines.inputs import Inputs
from probe.calms21.baselines.layers import HEAD, FrameClassifier
from probe.calms21.baselines.trained_baseline import TrainedBaseline, class_logits
from probe.experiment import BALANCED, PLAIN, Predictions
from probe.labeled_frames import check_learnable, learned_classes, recording_names
from probe.representations import Frames, sampled_frames
from probe.tasks import Task, targets
from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import derive_seed, numpy_generator, torch_generator
from ssl_behavior.splits import Split
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "check_parent",
    "copy_parent_weights",
    "fit_baseline",
    "frame_loss",
    "inherited_classes",
    "loss_weights",
    "make_optimizer",
    "optimizer_tensors",
    "run_baseline",
    "set_training",
]


_STEP = "step"


def check_parent(config: BaselineConfig, inputs: Inputs, parent: TrainedBaseline | None) -> None:
    """Refuse a missing, superfluous or different parent.

    Raises
    ------
    InputError
        Naming the difference.
    """
    if (config.transfer is None) != (parent is None):
        wanted = "has no transfer, and a parent was given" if parent else "needs a parent, and none was given"
        raise InputError(f"the baseline {wanted}: change its transfer, or the parent")
    if config.transfer is None or parent is None:
        return
    same = ["network", "window"]
    same += ["paired_logits"] if config.transfer.head == "kept" else []
    same += ["optimizer"] if config.transfer.optimizer else []
    for name in same:
        if getattr(parent.config, name) != getattr(config, name):
            raise InputError(f"the parent's {name} is {getattr(parent.config, name)}, not {getattr(config, name)}")
    parent.check_layout(inputs)


def inherited_classes(task: Task, parent: TrainedBaseline, learned: Sequence[int]) -> tuple[int, ...]:
    """Indices of the task's classes for the logits of a parent's last layer.

    Parameters
    ----------
    learned : indices of the classes in the training frames.

    Raises
    ------
    InputError
        If parent and task have different classes.
    """
    names = [parent.classes[index] for index in parent.learned]
    unknown = [task.classes[index] for index in learned if task.classes[index] not in names]
    absent = [name for name in names if name not in task.classes]
    if unknown or absent or parent.kind != task.kind:
        raise InputError(
            f"the parent has the classes {names} ({parent.kind}), the task {task.name!r} has {list(task.classes)} "
            f"({task.kind}): its last layer cannot be kept; use a transfer with a new head"
        )
    return tuple(task.classes.index(name) for name in names)


def copy_parent_weights(network: FrameClassifier, parent: TrainedBaseline, head: Literal["kept", "new"]) -> None:
    """Copy the parent's weights and moving statistics, those of the last layer only if it is kept."""
    with torch.no_grad():
        for (name, own), theirs in zip(network.state_dict().items(), parent.network.state_dict().values(), strict=True):
            if head == "kept" or not _is_head(name):
                own.copy_(theirs)


def set_training(network: FrameClassifier, trains: Literal["all", "head"]) -> None:
    """Set training modes and gradients for a phase, see `Phase.trains`."""
    network.train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(trains == "all" or _is_head(name))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and trains == "head":
            module.eval()


def make_optimizer(
    network: FrameClassifier, config: Adam | Sgd, lr: float, tensors: Mapping[str, Tensor] | None = None
) -> torch.optim.Optimizer:
    """The optimizer of all parameters, initialized with `optimizer_tensors` of another one."""
    parameters = network.parameters()
    optimizer: torch.optim.Optimizer
    if isinstance(config, Adam):
        optimizer = torch.optim.Adam(parameters, lr=lr, eps=config.epsilon)
    else:
        optimizer = torch.optim.SGD(
            parameters, lr=lr, momentum=config.momentum, weight_decay=config.weight_decay, nesterov=config.momentum > 0
        )
    named = dict(network.named_parameters())
    for key, tensor in (tensors or {}).items():
        name, _, what = key.rpartition(".")
        # torch keeps the number of steps on the CPU.
        optimizer.state[named[name]][what] = tensor.clone() if what == _STEP else tensor.to(named[name], copy=True)
    return optimizer


def optimizer_tensors(network: FrameClassifier, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state of each parameter, as copies on the CPU, "<parameter>.<name>"."""
    return {
        f"{name}.{what}": tensor.detach().cpu().clone()
        for name, parameter in network.named_parameters()
        for what, tensor in optimizer.state.get(parameter, {}).items()
        if isinstance(tensor, Tensor)
    }


def _is_head(name: str) -> bool:
    return name.startswith(f"{HEAD}.")


Advance = Callable[[int], None]
Weights = Float[Tensor, "2 class"]


@dataclass(frozen=True)
class _Training:
    """Constant inputs of a training."""

    config: BaselineConfig
    inputs: Inputs
    rows: tuple[StoreRow, ...]
    target: np.ndarray
    """int8 [frames of `rows`, learned class]."""
    kind: str
    weights: Weights | None
    seed: int
    precision: torch.dtype
    advance: Advance | None

    def frames(self, epoch: int) -> tuple[Frames, np.ndarray]:
        """The annotated training frames of an epoch, and their labels."""
        frames = sampled_frames(self.rows, self.config.train_stride, derive_seed(self.seed, "frames", epoch))
        target = frames.take(self.target)
        known = (target != NOT_ANNOTATED).any(axis=1)
        return frames.where(known), target[known]


def fit_baseline(
    store: Store,
    task: Task,
    rows: Sequence[StoreRow],
    config: BaselineConfig,
    inputs: Inputs,
    seed: int,
    precision: torch.dtype = torch.float32,
    parent: TrainedBaseline | None = None,
    advance: Advance | None = None,
) -> TrainedBaseline:
    """Train a baseline on the device of the inputs.

    `seed` determines all random draws: two runs on one machine with the same number of threads are bit-identical.

    Parameters
    ----------
    rows : training recordings.
    inputs : inputs of these recordings, and possibly of others.
    precision : of the heavy operations in training; predictions are float32.
    parent : parent of `config.transfer`.
    advance : called after each step with its number of frames.

    Raises
    ------
    InputError
        If the recordings show too few classes or are absent from the inputs, the window is too short for the network,
        the parent does not fit, class weights name an unknown class, logits of exclusive classes are paired, or the
        loss is not finite.
    """
    inputs.check(rows, config.window)
    if config.paired_logits and task.kind != "binary":
        raise InputError(f"paired_logits are for binary tasks; {task.name!r} is {task.kind}")
    check_parent(config, inputs, parent)
    target = targets(store, task, rows)
    known = target != NOT_ANNOTATED
    learned = _learned_classes(task, rows, target, config, parent)
    weights = loss_weights(config.class_weights, task, target)
    if weights is not None:
        weights = weights[:, list(learned)].to(inputs.values)
    training = _Training(
        config, inputs, tuple(rows), target[:, list(learned)], task.kind, weights, seed, precision, advance
    )
    network = _network(training, parent)
    optimizer, samples_seen, losses = _learn(network, training, parent)
    return TrainedBaseline(
        config=config,
        network=network,
        layout=inputs.layout,
        scaling=inputs.scaling,
        classes=task.classes,
        kind=task.kind,
        learned=learned,
        shares=tuple(((target == 1).sum(axis=0) / np.maximum(known.sum(axis=0), 1)).tolist()),
        optimizer=optimizer_tensors(network, optimizer),
        seed=seed,
        num_train_frames=int(known.any(axis=1).sum()),
        samples_seen=samples_seen,
        losses=losses,
    )


def run_baseline(
    store: Store,
    task: Task,
    split: Split,
    config: BaselineConfig,
    inputs: Inputs,
    seed: int,
    precision: torch.dtype = torch.float32,
    advance: Advance | None = None,
) -> tuple[TrainedBaseline, Predictions]:
    """`fit_baseline` on the training recordings of a split, and predictions of the evaluated recordings.

    Returns
    -------
    The trained baseline, and its predictions for `probe.tables.score_row`: "plain" from the network, "balanced" divided
    by the class shares of the annotated training frames.
    """
    trained = fit_baseline(store, task, split.train, config, inputs, seed, precision, advance=advance)
    plain = trained.predict(inputs, split.evaluate)
    both = {PLAIN: plain, BALANCED: trained.balanced(plain)}
    return trained, Predictions(both, {}, {}, {}, {}, trained.num_train_frames)


def _learned_classes(
    task: Task, rows: Sequence[StoreRow], target: np.ndarray, config: BaselineConfig, parent: TrainedBaseline | None
) -> tuple[int, ...]:
    """Indices of the classes that the training frames show; a kept head has those of its parent."""
    check_learnable(task, target, recording_names(rows))
    learned = learned_classes(target, task.kind)
    if parent is not None and config.transfer is not None and config.transfer.head == "kept":
        return inherited_classes(task, parent, learned)
    return learned


def loss_weights(
    class_weights: Mapping[str, float] | Literal["balanced"] | None, task: Task, target: np.ndarray
) -> Weights | None:
    """Factors of a frame's loss, for negative and for positive frames of each class.

    Multinomial tasks use the factors of positive frames only. As in Keras, the loss is a mean over frames, not over
    weights.

    Parameters
    ----------
    class_weights : see `BaselineConfig.class_weights`.
    target : int8 [frames, class].

    Raises
    ------
    InputError
        If a named class does not belong to the task.
    """
    if class_weights is None:
        return None
    if isinstance(class_weights, Mapping):
        unknown = sorted(set(class_weights) - set(task.classes))
        if unknown:
            raise InputError(f"class_weights name {unknown}; the task {task.name!r} has {list(task.classes)}")
        named = torch.tensor([float(class_weights.get(name, 1.0)) for name in task.classes])
        return torch.stack([torch.ones_like(named), named])
    counts = torch.from_numpy(np.stack([(target == 0).sum(axis=0), (target == 1).sum(axis=0)]))
    counts = counts.to(torch.get_default_dtype())
    if task.kind == "multinomial":
        # Multinomial tasks use the second row only.
        return (counts[1].sum() / ((counts[1] > 0).sum() * counts[1].clamp(min=1))).expand(2, -1)
    return counts.sum(dim=0) / (2 * counts.clamp(min=1))


def _network(training: _Training, parent: TrainedBaseline | None) -> FrameClassifier:
    config, values = training.config, training.inputs.values
    num_logits = training.target.shape[1] * (2 if config.paired_logits else 1)
    generator = torch_generator(training.seed, "init")
    network = config.network.build(training.inputs.layout, config.window.num_samples, num_logits, generator)
    network.to(values.device, values.dtype)
    if parent is not None and config.transfer is not None:
        copy_parent_weights(network, parent, config.transfer.head)
    return network


def _learn(
    network: FrameClassifier, training: _Training, parent: TrainedBaseline | None
) -> tuple[torch.optim.Optimizer, int, tuple[float, ...]]:
    config = training.config
    kept = parent.optimizer if parent and config.transfer and config.transfer.optimizer else None
    optimizer = make_optimizer(network, config.optimizer, config.phases[0].lr, kept)
    generator = torch_generator(training.seed, "dropout", device=str(training.inputs.values.device))
    samples_seen, losses = 0, list[float]()
    for phase in config.phases:
        set_training(network, phase.trains)
        for group in optimizer.param_groups:
            group["lr"] = phase.lr
        for _ in range(phase.epochs):
            count, loss = _epoch(network, optimizer, training, len(losses), generator)
            samples_seen += count
            losses.append(loss)
    set_training(network, "all")
    network.eval()
    return optimizer, samples_seen, tuple(losses)


def _epoch(
    network: FrameClassifier,
    optimizer: torch.optim.Optimizer,
    training: _Training,
    epoch: int,
    generator: torch.Generator,
) -> tuple[int, float]:
    """Train one epoch; its number of frames, and their mean loss."""
    frames, target = training.frames(epoch)
    device = training.inputs.values.device
    order = torch.from_numpy(numpy_generator(training.seed, "order", epoch).permutation(len(frames)))
    places, labels = (x[order].to(device) for x in (training.inputs.places(frames), torch.from_numpy(target)))
    total = torch.zeros((), device=device)
    for batch in _batches(len(frames), training.config.batch_size):
        total += (batch.stop - batch.start) * _step(
            network, optimizer, training, places[batch], labels[batch], generator
        )
        if training.advance is not None:
            training.advance(batch.stop - batch.start)
    loss = float(total) / len(frames)
    if not np.isfinite(loss):
        raise InputError(f"the loss of epoch {epoch + 1} is not finite: lower lr")
    return len(frames), loss


def _batches(count: int, size: int) -> list[slice]:
    """Batches of `size` frames; a single last frame, which has no variance, joins the batch before it.

    Raises
    ------
    InputError
        If there are fewer than two frames.
    """
    if count < 2:
        raise InputError(f"an epoch has {count} annotated frame(s): lower train_stride, or annotate more")
    starts = list(range(0, count, size))
    if count - starts[-1] == 1 and len(starts) > 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], count], strict=True)]


def _step(
    network: FrameClassifier,
    optimizer: torch.optim.Optimizer,
    training: _Training,
    places: Int[Tensor, " batch"],
    target: Int[Tensor, "batch class"],
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    config, inputs = training.config, training.inputs
    windows = config.window.gather(inputs.values, places)
    if config.augment is not None:
        windows = augment(windows, inputs.layout, config.augment, inputs.sizes_at(places), generator)
    with torch.autocast(windows.device.type, training.precision, enabled=training.precision != torch.float32):
        logits = network(windows, generator)
    logits = class_logits(logits.to(windows.dtype), config.paired_logits)
    loss = frame_loss(logits, target, training.kind, training.weights)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def frame_loss(
    logits: Float[Tensor, "batch class"], target: Int[Tensor, "batch class"], kind: str, weights: Weights | None = None
) -> Float[Tensor, ""]:
    """Mean cross-entropy; `target` is 1 for positive, 0 for negative and -1 for unannotated frames of a class.

    "multinomial" frames have exactly one class; unannotated "binary" classes do not count. `weights` come from
    `loss_weights`.
    """
    if kind == "multinomial":
        labels = target.argmax(dim=1)
        losses = F.cross_entropy(logits, labels, reduction="none")
        return (losses if weights is None else losses * weights[1, labels]).mean()
    known = target != NOT_ANNOTATED
    losses = F.binary_cross_entropy_with_logits(logits, (target == 1).to(logits.dtype), reduction="none")
    if weights is not None:
        losses = losses * torch.where(target == 1, weights[1], weights[0])
    return losses[known].mean()
