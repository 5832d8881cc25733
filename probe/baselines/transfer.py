"""Starting from a parent: whose weights are taken over, which of them train, and where the optimizer goes on."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from probe.baselines.config import Adam, BaselineConfig, Sgd
from probe.baselines.inputs import Inputs
from probe.baselines.network import HEAD, FrameClassifier
from probe.baselines.trained import TrainedBaseline
from probe.tasks import Task
from ssl_behavior.errors import InputError

__all__ = ["check_parent", "inherited_classes", "make_optimizer", "optimizer_tensors", "set_training", "take_over"]

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


def take_over(network: FrameClassifier, parent: TrainedBaseline, head: Literal["kept", "new"]) -> None:
    """Put the parent's weights and moving statistics into `network`, those of the last layer only if it is kept."""
    with torch.no_grad():
        for (name, own), theirs in zip(network.state_dict().items(), parent.network.state_dict().values(), strict=True):
            if head == "kept" or not _of_head(name):
                own.copy_(theirs)


def set_training(network: FrameClassifier, trains: Literal["all", "head"]) -> None:
    """Make a network ready for a phase: see `Phase.trains`."""
    network.train()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(trains == "all" or _of_head(name))
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


def _of_head(name: str) -> bool:
    return name.startswith(f"{HEAD}.")
