"""Warm start: a run that begins with the encoder of another run (`init`)."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pretrain.config import RunConfig
from pretrain.run_folder import recorded_init
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.errors import InputError
from ssl_behavior.methods import Method, MethodConfig
from ssl_behavior.methods.conv_base import ConvConfig
from ssl_behavior.methods.cpc import PredictionConfig
from ssl_behavior.methods.joint import JointConfig
from ssl_behavior.methods.summary_prediction import SummaryTargetsConfig

__all__ = ["ENCODER_MODULES", "init_fingerprint", "settle_init", "take_encoder", "with_encoder_of"]


ENCODER_MODULES = ("featurizer", "embedder", "contexters", "prediction", "targets")
"""Modules that `take_encoder` copies if both methods have them."""


def settle_init(config: RunConfig, out: Path, begun: RunConfig | None) -> RunConfig:
    """The configuration with the absolute path of the encoder to start from (`init`).

    Parameters
    ----------
    begun : recorded configuration of a resumed run, None for a new one. A resumed run keeps its `init`; the same
        encoder under another path is accepted.

    Raises
    ------
    InputError
        If `config.init` names another encoder than the resumed run started from.
    """
    if begun is None:
        return replace(config, init=str(Path(config.init).absolute())) if config.init else config
    if config.init and not _is_init_of(config.init, out, begun):
        raise InputError(
            f"{out} cannot be resumed with `init={config.init}`: it has started from {begun.init or 'random weights'}; "
            "leave `init` out to continue it, or choose another `out` for a new run"
        )
    return replace(config, init=begun.init)


def _is_init_of(path: str, out: Path, begun: RunConfig) -> bool:
    if begun.init and Path(path).resolve() == Path(begun.init).resolve():
        return True
    known = recorded_init(out)
    return bool(known) and Path(path).is_dir() and init_fingerprint(path) == known


def init_fingerprint(path: str) -> str:
    """Fingerprint of the model in a run or checkpoint; "" for the path ""."""
    return load_checkpoint(path).fingerprint() if path else ""


def with_encoder_of(method: MethodConfig, other: ConvConfig) -> MethodConfig:
    """The configuration with features, encoder and prediction targets of another one.

    A joint method with an encoder without contexts predicts summaries from then on, even if the encoder has not
    learned them before.
    """
    if not isinstance(method, ConvConfig):
        raise InputError("`init`: only recipes on convolution stacks can start from another run's encoder")
    taken: dict[str, Any] = {"features": other.features, "encoder": other.encoder, "embedding": other.embedding}
    if isinstance(method, PredictionConfig) and isinstance(other, PredictionConfig):
        taken |= {"horizons_frames": other.horizons_frames, "key_dim": other.key_dim}
    targets = targets_of(other)
    if isinstance(method, JointConfig) and targets is not None and (method.summary or method.cpc):
        taken |= {"cpc": 0.0, "summary": method.summary or method.cpc, "targets": targets}
    return replace(method, **taken)


def targets_of(method: object) -> SummaryTargetsConfig | None:
    """Summaries that a method of this configuration predicts or could predict; None for prediction from contexts."""
    if isinstance(method, JointConfig):
        return method.targets if method.encoder.mixer is not None else None
    if not isinstance(method, SummaryTargetsConfig):
        return None
    return SummaryTargetsConfig(**{one.name: getattr(method, one.name) for one in fields(SummaryTargetsConfig)})


def take_encoder(method: Method, path: str) -> tuple[str, ...]:
    """Copy the encoder weights of another run into `method`. Returns the names of the copied modules.

    Raises
    ------
    InputError
        If the other encoder is for other keypoints or another frame rate.
    """
    other = load_checkpoint(path)
    if other.skeleton.keypoints != method.skeleton.keypoints or abs(other.fps / method.fps - 1) > 0.01:
        raise InputError(
            f"`init={path}`: its encoder is for {list(other.skeleton.keypoints)} at {other.fps:g} frames per "
            f"second, these recordings have {list(method.skeleton.keypoints)} at {method.fps:g}"
        )
    modules, others = dict(method.named_children()), dict(other.named_children())
    taken = [name for name in ENCODER_MODULES if name in modules and name in others]
    if "targets" in taken and targets_of(method.config) != targets_of(other.config):
        # The encoder has learned other summaries: fit the targets again.
        taken.remove("targets")
    for name in taken:
        modules[name].load_state_dict(others[name].state_dict())
    return tuple(taken)
