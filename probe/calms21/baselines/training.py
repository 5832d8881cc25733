"""Training of baselines from random weights or a parent network, their predictions, and their files.

`baseline.json` describes a baseline, `baseline.safetensors` has its tensors.
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

from probe.calms21.baselines.base import HEAD, OBSERVED, FrameClassifier, Layout
from probe.calms21.baselines.config import Adam, BaselineConfig, Sgd
from probe.calms21.baselines.inputs import Inputs, augment
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
    """A trained baseline with everything that predictions and transfers need, and facts about its training.

    Parameters
    ----------
    network : network after the last epoch, in evaluation mode.
    layout, scaling : of its inputs, see `Inputs`.
    classes, kind : of the task.
    learned : indices of the classes of its logits, in order.
    shares : share of each class in the annotated training frames.
    optimizer : tensors of the optimizer after the last step, "<parameter>.<name>", for transfers.
    num_train_frames : annotated frames of the training recordings.
    samples_seen : number of training samples over all epochs.
    losses : mean training loss of each epoch, with dropout and class weights.
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
        """Probabilities of every frame of `rows`, concatenated.

        Parameters
        ----------
        inputs : inputs of these recordings, on any device; features have the scaling of the training.

        Returns
        -------
        float32 [frames, classes]; NaN for classes that were not learned. Exclusive classes sum to 1.

        Raises
        ------
        InputError
            If the inputs lack a recording, have other channels than in training, or too narrow margins.
        """
        inputs.check(rows, self.config.window)
        self.check_layout(inputs)
        parts = [self._probabilities(inputs, row) for row in rows]
        found = np.concatenate(parts) if parts else np.empty((0, len(self.learned)), np.float32)
        return expand_classes(found, self.learned, len(self.classes))

    def balanced(self, probability: np.ndarray) -> np.ndarray:
        """Probabilities of `predict` for equally frequent classes."""
        return balance_probabilities(probability, np.array(self.shares), self.kind)

    def check_layout(self, inputs: Inputs) -> None:
        """Raise an InputError if the channels or the scaling of `inputs` differ from those of the training."""
        if inputs.layout != self.layout:
            raise InputError(
                f"the network reads {dict(self.layout.groups)} of {self.layout.skeleton.name!r}, the inputs hold "
                f"{dict(inputs.layout.groups)} of {inputs.layout.skeleton.name!r}: assemble them as in its training "
                f"(observed={OBSERVED in self.layout.groups}, and the same features)"
            )
        if (self.scaling is None) != (inputs.scaling is None) or (
            self.scaling is not None and inputs.scaling is not None and not _same_scaling(self.scaling, inputs.scaling)
        ):
            raise InputError(
                "the inputs' features are standardized differently than in training: assemble them with its scaling"
            )

    @torch.inference_mode()
    def _probabilities(self, inputs: Inputs, row: StoreRow) -> np.ndarray:
        """Probabilities of the learned classes, float32 [time, learned class]."""
        logits = [
            self._logits(inputs, inputs.starts[row.id] + start, min(PREDICTED_FRAMES, row.frames - start))
            for start in range(0, row.frames, PREDICTED_FRAMES)
        ]
        by_class = class_logits(torch.cat(logits), self.config.paired_logits)
        probability = by_class.softmax(dim=1) if self.kind == "multinomial" else by_class.sigmoid()
        return probability.float().cpu().numpy()

    def _logits(self, inputs: Inputs, first: int, count: int) -> Float[Tensor, "frame class"]:
        """Logits of `count` frames from the place `first` on."""
        span, every = self.config.window, self.config.predict_stride
        before, after = span.receptive_field
        device = self.network.dense.weight.device
        values = inputs.values[first - before : first + count + after].to(device)
        if every == 1:
            return self.network.slide(values, span)
        known = _strided_frames(count, every).to(device)
        return _interpolated(self.network.at(before + known, values, span), known, count)


def _strided_frames(count: int, every: int) -> Int[Tensor, " known"]:
    """Every `every`-th of `count` frames, and the last one."""
    known = torch.arange(0, count, every)
    return known if known[-1] == count - 1 else torch.cat([known, torch.tensor([count - 1])])


def _interpolated(
    logits: Float[Tensor, "known class"], known: Int[Tensor, " known"], count: int
) -> Float[Tensor, "frame class"]:
    """Logits of all frames, interpolated linearly between known frames."""
    frames = torch.arange(count, device=known.device)
    left = (torch.searchsorted(known, frames, right=True) - 1).clamp(max=max(0, len(known) - 2))
    right = (left + 1).clamp(max=len(known) - 1)
    share = ((frames - known[left]) / (known[right] - known[left]).clamp(min=1)).to(logits.dtype)
    return torch.lerp(logits[left], logits[right], share[:, None])


def class_logits(logits: Float[Tensor, "batch out"], pairs: bool) -> Float[Tensor, "batch class"]:
    """The logit of each class; for pairs (no, yes) their difference, whose sigmoid is the softmax of the pair."""
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
    """The trained baseline that `save_baseline` wrote, on the CPU.

    Raises
    ------
    InputError
        If the folder holds no baseline, is damaged, or was written by another version.
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
    config = config_from_dict(BaselineConfig, contents["config"], where, "config")
    skeleton = Skeleton.from_dict(contents["skeleton"], source=where)
    groups = {str(name): int(count) for name, count in contents["groups"].items()}
    layout = Layout(groups, skeleton, int(contents["num_individuals"]))
    learned = tuple(int(index) for index in contents["learned"])
    return TrainedBaseline(
        config=config,
        network=_stored_network(config, layout, len(learned), _with_prefix(_NETWORK, tensors)),
        layout=layout,
        scaling=Standardizer(tensors[_MEAN], tensors[_STD]) if _MEAN in tensors else None,
        classes=tuple(str(name) for name in contents["classes"]),
        kind=str(contents["kind"]),
        learned=learned,
        shares=tuple(float(share) for share in contents["shares"]),
        optimizer=_with_prefix(_OPTIMIZER, tensors),
        seed=int(contents["seed"]),
        num_train_frames=int(contents["num_train_frames"]),
        samples_seen=int(contents["samples_seen"]),
        losses=tuple(float(loss) for loss in contents["losses"]),
    )


def _stored_network(
    config: BaselineConfig, layout: Layout, num_classes: int, tensors: dict[str, Tensor]
) -> FrameClassifier:
    num_logits = num_classes * (2 if config.paired_logits else 1)
    # The random initial weights are overwritten.
    network = config.network.build(layout, config.window.num_samples, num_logits, torch.Generator())
    network.to(tensors[f"{HEAD}.weight"].dtype)
    network.load_state_dict(tensors)
    return network.eval()


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


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
