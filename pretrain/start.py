"""What a run takes from its stores and from an earlier run before it can begin: label streams, and an encoder."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pretrain.config import RunConfig
from pretrain.data import chosen_sources, labeled_sources
from pretrain.own_programs import with_kept_programs
from pretrain.runfolder import recorded_init
from ssl_behavior.checkpoint import load_checkpoint
from ssl_behavior.errors import InputError
from ssl_behavior.labeled import LabelFacts, label_facts
from ssl_behavior.methods import Method
from ssl_behavior.methods.conv import ConvConfig
from ssl_behavior.methods.joint import JointConfig
from ssl_behavior.methods.summaries import SummaryTargetsConfig

__all__ = ["ENCODER_MODULES", "complete_config", "facts_of", "init_fingerprint", "settle_init", "take_encoder"]

ENCODER_MODULES = ("featurizer", "embedder", "contexters", "prediction", "targets")
"""What `take_encoder` takes over, as far as both sides have it."""


def settle_init(config: RunConfig, out: Path, begun: RunConfig | None) -> RunConfig:
    """The configuration with the encoder to start from as the run `out` records it, by its whole path.

    Parameters
    ----------
    begun : of a run that goes on, its configuration: it keeps what it has started from, whether it is named or not.
        The same encoder under another path is the same.

    Raises
    ------
    InputError
        If a run that goes on is asked to start from something else.
    """
    if begun is None:
        return replace(config, init=str(Path(config.init).absolute())) if config.init else config
    if config.init and not _is_init_of(config.init, out, begun):
        raise InputError(
            f"{out} cannot be resumed with --init {config.init}: it has started from {begun.init or 'random weights'}; "
            "leave --init out to continue it, or choose another --out for a new run"
        )
    return replace(config, init=begun.init)


def _is_init_of(path: str, out: Path, begun: RunConfig) -> bool:
    if begun.init and Path(path).resolve() == Path(begun.init).resolve():
        return True
    known = recorded_init(out)
    return bool(known) and Path(path).is_dir() and init_fingerprint(path) == known


def init_fingerprint(path: str) -> str:
    """Of the model to start from, "" if there is none."""
    return load_checkpoint(path).fingerprint() if path else ""


def complete_config(config: RunConfig, stores: Sequence[Path], begun: RunConfig | None = None) -> RunConfig:
    """The configuration with what only the data and the encoder to start from can tell written in.

    Parameters
    ----------
    begun : of a run that has a checkpoint, its configuration: it has the encoder that the run started from, which need
        not be there any more.

    Raises
    ------
    InputError
        If labels are to be learned and there are none, they are others than the configuration was made with, options
        for labels are given to a method that learns none, or the run to start from has another kind of encoder.
    """
    if config.init:
        other = begun.method if begun is not None else _encoder_config(config.init)
        config = replace(config, method=with_kept_programs(_with_encoder_of(config.method, other), Path(config.init)))
    labels = getattr(config.method, "labels", None)
    if labels is None:
        if config.data.labeled or config.data.streams:
            raise InputError("--labeled, --split and --streams: this recipe learns from no labels; choose joint")
        return config
    if config.data.recordings_per_batch:
        raise InputError("data.recordings_per_batch: windows with labels are drawn by data.sampling; leave it at 0")
    sources = labeled_sources(chosen_sources(stores, config.data), config.data)
    facts = label_facts(sources, config.data.streams or [stream.name for stream in labels.streams])
    if labels.streams:
        _check_same_labels(labels, facts)
        return config
    labels = replace(labels, streams=facts.streams, annotators=facts.annotators)
    return replace(config, method=replace(config.method, labels=labels))


def _check_same_labels(configured: LabelFacts, found: LabelFacts) -> None:
    """A configuration names classes by number: another order would teach other behaviours under their names."""
    if configured.streams != found.streams:
        raise InputError(
            f"the configuration learns the labels {_told(configured)}, these recordings have {_told(found)}; start "
            "from a recipe instead of another run's configuration"
        )


def _told(facts: LabelFacts) -> str:
    return "; ".join(f"{stream.name}: {', '.join(stream.classes)}" for stream in facts.streams)


def facts_of(config: RunConfig) -> LabelFacts | None:
    """The labels that the run learns, if it learns any."""
    labels: LabelFacts | None = getattr(config.method, "labels", None)
    return labels


def _encoder_config(path: str) -> ConvConfig:
    other = load_checkpoint(path).config
    if not isinstance(other, ConvConfig):
        raise InputError(f"--init {path}: it has no convolutional encoder to start from")
    return other


def _with_encoder_of(method: Any, other: ConvConfig) -> Any:
    """The configuration with the features, the encoder and what it predicts of another one.

    Learning from labels and tracks at once, an encoder without contexts goes on with summaries, whether it has learned
    them or not.
    """
    if not isinstance(method, ConvConfig):
        raise InputError("--init: only recipes on convolution stacks can start from another run's encoder")
    shared = {"features", "encoder", "embedding", "horizons_frames", "key_dim"}
    names = shared & {field.name for field in fields(method)} & {field.name for field in fields(other)}
    taken = {name: getattr(other, name) for name in names}
    targets = targets_of(other)
    if isinstance(method, JointConfig) and targets is not None and (method.summary or method.cpc):
        taken |= {"cpc": 0.0, "summary": method.summary or method.cpc, "targets": targets}
    return replace(method, **taken)


def targets_of(method: Any) -> SummaryTargetsConfig | None:
    """The summaries that an encoder predicts, or could predict; None of one that has contexts for the future."""
    if isinstance(method, JointConfig):
        return method.targets if method.encoder.mixer is not None else None
    if not isinstance(method, SummaryTargetsConfig):
        return None
    return SummaryTargetsConfig(**{one.name: getattr(method, one.name) for one in fields(SummaryTargetsConfig)})


def take_encoder(method: Method, path: str) -> tuple[str, ...]:
    """Give `method` the weights of another run's encoder; the names of the modules that were taken over.

    Raises
    ------
    InputError
        If it was made for other keypoints or another frame rate.
    """
    other = load_checkpoint(path)
    if other.skeleton.keypoints != method.skeleton.keypoints or abs(other.fps / method.fps - 1) > 0.01:
        raise InputError(
            f"--init {path}: its encoder was made for {list(other.skeleton.keypoints)} at {other.fps:g} frames per "
            f"second, these recordings have {list(method.skeleton.keypoints)} at {method.fps:g}"
        )
    taken = [name for name in ENCODER_MODULES if hasattr(method, name) and hasattr(other, name)]
    if "targets" in taken and targets_of(method.config) != targets_of(other.config):
        # Other summaries than the encoder has learned: fitted anew.
        taken.remove("targets")
    for name in taken:
        getattr(method, name).load_state_dict(getattr(other, name).state_dict())
    return tuple(taken)
