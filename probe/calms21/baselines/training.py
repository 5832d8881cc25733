"""Baselines trained from random weights or a parent network, their predictions, and their files.

`baseline.json` describes a baseline, `baseline.safetensors` holds all its numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from probe.calms21.baselines.config import Adam, BaselineConfig, Sgd
from probe.calms21.baselines.inputs import Inputs, augment
from probe.calms21.baselines.network import HEAD, OBSERVED, FrameClassifier, Layout
from probe.experiment import (
    BALANCED,
    PLAIN,
    Predictions,
    balance_probabilities,
    check_learnable,
    expand_classes,
    learned_classes,
    recording_names,
)
from probe.representations import Frames, sampled_frames
from probe.tasks import Task, targets
from ssl_behavior.configs import config_from_dict
from ssl_behavior.errors import InputError
from ssl_behavior.files import atomic_folder, read_contents, write_json
from ssl_behavior.numerics import Standardizer
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.seeds import derive_seed, numpy_generator, torch_generator
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.splits import Split
from ssl_behavior.store import Store, StoreRow

__all__ = [
    "FORMAT_VERSION",
    "TrainedBaseline",
    "check_parent",
    "class_logits",
    "copy_parent_weights",
    "fit_baseline",
    "frame_loss",
    "inherited_classes",
    "load_baseline",
    "loss_weights",
    "make_optimizer",
    "optimizer_tensors",
    "run_baseline",
    "save_baseline",
    "set_training",
]

PREDICTED_FRAMES = 16_384


@dataclass(frozen=True, eq=False)
class TrainedBaseline:
    """A trained baseline, all that a prediction or a transfer needs of it, and how its training went.

    Parameters
    ----------
    network : after the last epoch, ready to predict.
    layout, scaling : of the inputs it reads; see `Inputs`.
    classes, kind : of the task.
    learned : the classes, by index, that its logits stand for, in their order.
    shares : of every class, how many of the annotated training frames show it.
    optimizer : the optimizer's tensors after the last step, "<parameter>.<what>"; a transfer may go on with them.
    num_train_frames : annotated frames of the training recordings.
    samples_seen : frames learned from, counted each time.
    losses : mean of each epoch, dropout and class weights included.
    """

    config: BaselineConfig
    network: FrameClassifier
    layout: Layout
    scaling: Standardizer | None
    classes: tuple[str, ...]
    kind: str
    learned: tuple[int, ...]
    shares: tuple[float, ...]
    optimizer: Mapping[str, Tensor]
    seed: int
    num_train_frames: int
    samples_seen: int
    losses: tuple[float, ...]

    def predict(self, inputs: Inputs, rows: Sequence[StoreRow]) -> np.ndarray:
        """Probabilities of every frame of `rows`, one recording after the other.

        Parameters
        ----------
        inputs : of these recordings, on any device; with the scaling of the training, if there are features.

        Returns
        -------
        float32 [frames, classes]; NaN for classes not learned. Those of a multinomial task sum to 1.

        Raises
        ------
        InputError
            If the inputs lack a recording, have other channels than those of the training, or too narrow margins.
        """
        inputs.check(rows, self.config.window)
        self.check_layout(inputs)
        parts = [self._probabilities(inputs, row) for row in rows]
        found = np.concatenate(parts) if parts else np.empty((0, len(self.learned)), np.float32)
        return expand_classes(found, self.learned, len(self.classes))

    def balanced(self, probability: np.ndarray) -> np.ndarray:
        """Probabilities of `predict` as if all classes had been equally frequent in training."""
        return balance_probabilities(probability, np.array(self.shares), self.kind)

    def check_layout(self, inputs: Inputs) -> None:
        """Raise an InputError if `inputs` are not what the network reads."""
        if inputs.layout != self.layout:
            raise InputError(
                f"the network reads {dict(self.layout.groups)} of {self.layout.skeleton.name!r}, the inputs hold "
                f"{dict(inputs.layout.groups)} of {inputs.layout.skeleton.name!r}: assemble them as for its training "
                f"(observed={OBSERVED in self.layout.groups}, and the same features)"
            )
        if (self.scaling is None) != (inputs.scaling is None) or (
            self.scaling is not None and inputs.scaling is not None and not _same_scaling(self.scaling, inputs.scaling)
        ):
            raise InputError(
                "the inputs' features are standardised otherwise than in training: assemble them with its scaling"
            )

    @torch.inference_mode()
    def _probabilities(self, inputs: Inputs, row: StoreRow) -> np.ndarray:
        """Of the learned classes, float32 [time, learned class]."""
        logits = [
            self._logits(inputs, inputs.starts[row.id] + start, min(PREDICTED_FRAMES, row.frames - start))
            for start in range(0, row.frames, PREDICTED_FRAMES)
        ]
        together = class_logits(torch.cat(logits), self.config.paired_logits)
        probability = together.softmax(dim=1) if self.kind == "multinomial" else together.sigmoid()
        return probability.float().cpu().numpy()

    def _logits(self, inputs: Inputs, first: int, count: int) -> Float[Tensor, "frame class"]:
        """Of `count` frames from the place `first` on."""
        span, every = self.config.window, self.config.predict_stride
        before, after = span.receptive_field
        device = self.network.dense.weight.device
        values = inputs.values[first - before : first + count + after].to(device)
        if every == 1:
            return self.network.slide(values, span)
        known = _some(count, every).to(device)
        return _between(self.network.at(before + known, values, span), known, count)


def _some(count: int, every: int) -> Int[Tensor, " known"]:
    """Every so-manieth of `count` frames, and the last one."""
    known = torch.arange(0, count, every)
    return known if known[-1] == count - 1 else torch.cat([known, torch.tensor([count - 1])])


def _between(
    logits: Float[Tensor, "known class"], known: Int[Tensor, " known"], count: int
) -> Float[Tensor, "frame class"]:
    """Logits of all frames from those of known ones, linear between them."""
    frames = torch.arange(count, device=known.device)
    left = (torch.searchsorted(known, frames, right=True) - 1).clamp(max=max(0, len(known) - 2))
    right = (left + 1).clamp(max=len(known) - 1)
    share = ((frames - known[left]) / (known[right] - known[left]).clamp(min=1)).to(logits.dtype)
    return torch.lerp(logits[left], logits[right], share[:, None])


def class_logits(logits: Float[Tensor, "batch out"], pairs: bool) -> Float[Tensor, "batch class"]:
    """The logit of each class; of pairs (no, yes) their difference, whose sigmoid is the softmax of the pair."""
    return logits[:, 1::2] - logits[:, ::2] if pairs else logits


def _same_scaling(first: Standardizer, second: Standardizer) -> bool:
    return torch.equal(first.mean, second.mean) and torch.equal(first.std, second.std)


FORMAT_VERSION = 1
_CONTENTS, _TENSORS = "baseline.json", "baseline.safetensors"
_DAMAGE = (OSError, safetensors.SafetensorError, LookupError, TypeError, AttributeError, ValueError, RuntimeError)
_NETWORK, _OPTIMIZER, _MEAN, _STD = "network.", "optimizer.", "scaling.mean", "scaling.std"


def save_baseline(folder: Path, trained: TrainedBaseline, overwrite: bool = False) -> None:
    """Write a trained baseline as a folder that exists whole or not at all.

    Raises
    ------
    InputError
        If `folder` exists and `overwrite` is False, the disk is full, or the place is not writable.
    """
    tensors = {_NETWORK + name: tensor for name, tensor in trained.network.state_dict().items()}
    tensors |= {_OPTIMIZER + name: tensor for name, tensor in trained.optimizer.items()}
    if trained.scaling is not None:
        tensors |= {_MEAN: trained.scaling.mean, _STD: trained.scaling.std}
    contents = {
        "format": "ssl-behavior baseline",
        "version": FORMAT_VERSION,
        "config": asdict(trained.config),
        "groups": dict(trained.layout.groups),
        "skeleton": trained.layout.skeleton.to_dict(),
        "num_individuals": trained.layout.num_individuals,
        "classes": list(trained.classes),
        "kind": trained.kind,
        "learned": list(trained.learned),
        "shares": list(trained.shares),
        "seed": trained.seed,
        "num_train_frames": trained.num_train_frames,
        "samples_seen": trained.samples_seen,
        "losses": list(trained.losses),
    }
    with atomic_folder(Path(folder), overwrite, _CONTENTS) as partial:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        (partial / _TENSORS).write_bytes(safetensors.torch.save(whole))
        write_json(partial / _CONTENTS, contents)


def load_baseline(folder: Path) -> TrainedBaseline:
    """The trained baseline that `save_baseline` wrote, on the processor.

    Raises
    ------
    InputError
        If the folder holds none, it is damaged, or was written by another version.
    """
    folder = Path(folder)
    contents = read_contents(folder, _CONTENTS, "baseline", FORMAT_VERSION, ", or train it again")
    try:
        tensors = safetensors.torch.load_file(folder / _TENSORS)
        return _trained(contents, tensors, f"{folder / _CONTENTS}")
    except InputError:
        raise
    except _DAMAGE as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise InputError(f"{folder} is damaged: {_CONTENTS} and {_TENSORS} do not fit ({reason})") from None


def _trained(contents: dict[str, Any], tensors: dict[str, Tensor], where: str) -> TrainedBaseline:
    config = config_from_dict(BaselineConfig, contents["config"], f"{where}: config")
    skeleton = Skeleton.from_dict(contents["skeleton"], source=where)
    groups = {str(name): int(count) for name, count in contents["groups"].items()}
    layout = Layout(groups, skeleton, int(contents["num_individuals"]))
    learned = tuple(int(index) for index in contents["learned"])
    return TrainedBaseline(
        config=config,
        network=_stored_network(config, layout, len(learned), _under(_NETWORK, tensors)),
        layout=layout,
        scaling=Standardizer(tensors[_MEAN], tensors[_STD]) if _MEAN in tensors else None,
        classes=tuple(str(name) for name in contents["classes"]),
        kind=str(contents["kind"]),
        learned=learned,
        shares=tuple(float(share) for share in contents["shares"]),
        optimizer=_under(_OPTIMIZER, tensors),
        seed=int(contents["seed"]),
        num_train_frames=int(contents["num_train_frames"]),
        samples_seen=int(contents["samples_seen"]),
        losses=tuple(float(loss) for loss in contents["losses"]),
    )


def _stored_network(
    config: BaselineConfig, layout: Layout, num_classes: int, tensors: dict[str, Tensor]
) -> FrameClassifier:
    num_logits = num_classes * (2 if config.paired_logits else 1)
    # The first weights are drawn only to be overwritten.
    network = config.network.build(layout, config.window.num_samples, num_logits, torch.Generator())
    network.to(tensors[f"{HEAD}.weight"].dtype)
    network.load_state_dict(tensors)
    return network.eval()


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


_STEP = "step"


def check_parent(config: BaselineConfig, inputs: Inputs, parent: TrainedBaseline | None) -> None:
    """Refuse a parent that a training has no use for, none where one is needed, and one of another kind.

    Raises
    ------
    InputError
        Saying what differs.
    """
    if (config.transfer is None) != (parent is None):
        wanted = "starts from nothing, and a parent was given" if parent else "starts from a parent, and none was given"
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


def inherited_classes(task: Task, parent: TrainedBaseline, shown: Sequence[int]) -> tuple[int, ...]:
    """Of a parent's last layer, the classes of `task`, by index, that its logits stand for.

    Parameters
    ----------
    shown : the classes that the training frames show.

    Raises
    ------
    InputError
        If parent and task do not tell the same classes apart.
    """
    names = [parent.classes[index] for index in parent.learned]
    unknown = [task.classes[index] for index in shown if task.classes[index] not in names]
    absent = [name for name in names if name not in task.classes]
    if unknown or absent or parent.kind != task.kind:
        raise InputError(
            f"the parent tells {names} apart ({parent.kind}), the task {task.name!r} has {list(task.classes)} "
            f"({task.kind}): its last layer cannot be kept; use a transfer with a new head"
        )
    return tuple(task.classes.index(name) for name in names)


def copy_parent_weights(network: FrameClassifier, parent: TrainedBaseline, head: Literal["kept", "new"]) -> None:
    """Put the parent's weights and moving statistics into `network`, those of the last layer only if it is kept."""
    with torch.no_grad():
        for (name, own), theirs in zip(network.state_dict().items(), parent.network.state_dict().values(), strict=True):
            if head == "kept" or not _is_head(name):
                own.copy_(theirs)


def set_training(network: FrameClassifier, trains: Literal["all", "head"]) -> None:
    """Make a network ready for a phase: see `Phase.trains`."""
    network.train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(trains == "all" or _is_head(name))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and trains == "head":
            module.eval()


def make_optimizer(
    network: FrameClassifier, config: Adam | Sgd, lr: float, tensors: Mapping[str, Tensor] | None = None
) -> torch.optim.Optimizer:
    """The optimizer of all parameters, going on with `tensors` of another one's `optimizer_tensors`."""
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
        # The library keeps the number of steps on the processor.
        optimizer.state[named[name]][what] = tensor.clone() if what == _STEP else tensor.to(named[name], copy=True)
    return optimizer


def optimizer_tensors(network: FrameClassifier, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimizer remembers of each parameter, as copies on the processor, "<parameter>.<what>"."""
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
    """What stays the same throughout a training."""

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
        """The annotated frames that an epoch learns from, and what they show."""
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
    """Learn from recordings, on the device of the inputs.

    Everything drawn comes from `seed`: on one processor with one number of threads two runs agree in every bit.

    Parameters
    ----------
    rows : recordings to learn from.
    inputs : of these recordings, and of others.
    precision : of the heavy operations in training; predictions are float32.
    parent : what `config.transfer` takes over from.
    advance : told after each step how many frames it learned from.

    Raises
    ------
    InputError
        If the recordings show one kind of frame only, the inputs lack one of them, the window is too short for the
        network, the parent does not fit, class weights name an unknown class, logits are paired where they compete,
        or the loss is no longer finite.
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
    """`fit_baseline` on the training recordings of a split, and what it says of the evaluated ones.

    Returns
    -------
    The trained baseline, and its probabilities as `probe.tables.score_row` takes them: "plain" as the network gives
    them, "balanced" divided by the classes' shares of the annotated training frames.
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
    chosen: Mapping[str, float] | Literal["balanced"] | None, task: Task, target: np.ndarray
) -> Weights | None:
    """What a frame's loss is multiplied by, for frames that do not show a class and for those that do.

    Of a multinomial task only the latter count. Keras's class weights: the mean is over frames, not over weights.

    Parameters
    ----------
    chosen : see `BaselineConfig.class_weights`.
    target : int8 [frames, class].

    Raises
    ------
    InputError
        If a named class is not the task's.
    """
    if chosen is None:
        return None
    if isinstance(chosen, Mapping):
        unknown = sorted(set(chosen) - set(task.classes))
        if unknown:
            raise InputError(f"class_weights name {unknown}; the task {task.name!r} has {list(task.classes)}")
        named = torch.tensor([float(chosen.get(name, 1.0)) for name in task.classes])
        return torch.stack([torch.ones_like(named), named])
    counts = torch.from_numpy(np.stack([(target == 0).sum(axis=0), (target == 1).sum(axis=0)]))
    counts = counts.to(torch.get_default_dtype())
    if task.kind == "multinomial":
        # Only the second row is looked at.
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
    """How many frames were learned from, and their mean loss."""
    frames, target = training.frames(epoch)
    device = training.inputs.values.device
    order = torch.from_numpy(numpy_generator(training.seed, "order", epoch).permutation(len(frames)))
    places, shown = (x[order].to(device) for x in (training.inputs.places(frames), torch.from_numpy(target)))
    total = torch.zeros((), device=device)
    for batch in _batches(len(frames), training.config.batch_size):
        total += (batch.stop - batch.start) * _step(
            network, optimizer, training, places[batch], shown[batch], generator
        )
        if training.advance is not None:
            training.advance(batch.stop - batch.start)
    loss = float(total) / len(frames)
    if not np.isfinite(loss):
        raise InputError(f"the loss of epoch {epoch + 1} is not finite: lower lr")
    return len(frames), loss


def _batches(count: int, size: int) -> list[slice]:
    """Batches of `size` frames; a last one left alone joins those before it, as one frame has no variance.

    Raises
    ------
    InputError
        If there is one frame or none at all.
    """
    if count < 2:
        raise InputError(f"an epoch learns from {count} annotated frame(s): lower train_stride, or annotate more")
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
    """Mean cross-entropy; `target` is 1 where a frame shows a class, 0 where it does not, -1 where nobody looked.

    "multinomial" frames show one class each; the classes of "binary" ones are told apart one by one, and those that
    nobody looked at do not count. `weights` are those of `loss_weights`.
    """
    if kind == "multinomial":
        shown = target.argmax(dim=1)
        losses = F.cross_entropy(logits, shown, reduction="none")
        return (losses if weights is None else losses * weights[1, shown]).mean()
    known = target != NOT_ANNOTATED
    losses = F.binary_cross_entropy_with_logits(logits, (target == 1).to(logits.dtype), reduction="none")
    if weights is not None:
        losses = losses * torch.where(target == 1, weights[1], weights[0])
    return losses[known].mean()
