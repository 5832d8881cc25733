"""The configuration of a pretraining run, and the one way to read it from recipes, files, options and code."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from ssl_behavior.configs import config_from_layers
from ssl_behavior.device import DEVICES, PRECISIONS
from ssl_behavior.errors import InputError
from ssl_behavior.labeled_windows import Sampling
from ssl_behavior.methods import METHODS, CPCConfig, MethodConfig, method_name
from ssl_behavior.methods.joint import JointConfig, LabelsConfig

__all__ = [
    "DataConfig",
    "LoopConfig",
    "OptimConfig",
    "RunConfig",
    "run_config_from",
    "run_config_to_dict",
]


def _require(condition: bool, rule: str, got: object) -> None:
    if not condition:
        raise InputError(f"{rule}, got {got}")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Recordings, and the sampling of windows from them."""

    window_frames: int = 256
    batch_size: int = 32
    """Windows per step, over all processes together."""
    recordings_per_batch: int = 0
    """Recordings that share the windows of a step; 0 = every window comes from its own draw."""
    recordings: tuple[str, ...] = ()
    """Ids or globs; none = all."""
    subsets: tuple[str, ...] = ()
    """Subsets of the store ("train", "unlabeled" ...); none = all."""
    validation: tuple[str, ...] = ()
    """Ids or globs of the recordings held out; none = a seeded share of the recordings."""
    validation_share: float = 0.1
    """Share of the recordings to hold out, at least one recording; 0 = no validation."""
    validation_batches: int = 4
    labeled: tuple[str, ...] = ()
    """Ids or globs of the recordings with labels to learn; none = those of the subset "train"."""
    not_labeled: tuple[str, ...] = ()
    """Ids or globs of recordings with labels reserved for other uses, such as the other parts of a split."""
    streams: tuple[str, ...] = ()
    """Label streams to learn; none = all."""
    sampling: Sampling = field(default_factory=Sampling)
    """Shares of windows in a batch, for methods that learn labels."""

    def __post_init__(self) -> None:
        _require(self.window_frames >= 1, "data.window_frames must be at least 1", self.window_frames)
        _require(self.batch_size >= 1, "data.batch_size must be at least 1", self.batch_size)
        _require(
            self.recordings_per_batch >= 0, "data.recordings_per_batch must be 0 or more", self.recordings_per_batch
        )
        _require(0 <= self.validation_share < 1, "data.validation_share must be in [0, 1)", self.validation_share)
        _require(self.validation_batches >= 1, "data.validation_batches must be at least 1", self.validation_batches)


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """Optimizer, learning rates and their schedule."""

    optimizer: Literal["adamw", "madgrad", "muon"] = "adamw"
    """"muon": orthogonalized momentum for the weight matrices of the encoder, AdamW for everything else."""
    lr: float = 1e-3
    heads_lr: float = 1.0
    """Learning rate of the label heads, in multiples of lr: heads always start untrained, encoders may not."""
    matrix_lr: float = 5.0
    """Learning rate of Muon for the weight matrices of the encoder, in multiples of lr."""
    weight_decay: float = 1e-2
    """On weight matrices and kernels only, not on biases and normalization."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Betas of AdamW; the first one is the momentum of MADGRAD."""
    warmup_steps: int = 100
    schedule: Literal["cosine", "constant"] = "cosine"
    final_lr_share: float = 0.0
    """Last learning rate of the cosine, as a share of lr."""
    clip_norm: float = 1.0
    """Maximum norm of the gradient; 0 = no clipping."""
    ema_decay: float = 0.0
    """Decay per step of the weight average for validation and checkpoints; 0 = the weights themselves."""

    def __post_init__(self) -> None:
        _require(self.lr > 0, "optim.lr must be > 0", self.lr)
        _require(self.heads_lr >= 0, "optim.heads_lr must be >= 0", self.heads_lr)
        _require(self.matrix_lr >= 0, "optim.matrix_lr must be >= 0", self.matrix_lr)
        _require(self.weight_decay >= 0, "optim.weight_decay must be >= 0", self.weight_decay)
        _require(all(0 <= beta < 1 for beta in self.betas), "optim.betas must be in [0, 1)", self.betas)
        _require(self.warmup_steps >= 0, "optim.warmup_steps must be >= 0", self.warmup_steps)
        _require(0 <= self.final_lr_share <= 1, "optim.final_lr_share must be in [0, 1]", self.final_lr_share)
        _require(self.clip_norm >= 0, "optim.clip_norm must be >= 0", self.clip_norm)
        _require(0 <= self.ema_decay < 1, "optim.ema_decay must be in [0, 1)", self.ema_decay)


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Logging, validation and checkpoints; none of these changes the weights."""

    log_every: int = 10
    validate_every: int = 250
    checkpoint_every_steps: int = 0
    """Steps between checkpoints; 0 = by time only."""
    checkpoint_every_seconds: float = 120.0
    """Seconds between checkpoints; 0 = by steps only."""

    def __post_init__(self) -> None:
        _require(self.log_every >= 1, "loop.log_every must be at least 1", self.log_every)
        _require(self.validate_every >= 1, "loop.validate_every must be at least 1", self.validate_every)
        _require(
            self.checkpoint_every_steps >= 0, "loop.checkpoint_every_steps must be >= 0", self.checkpoint_every_steps
        )
        _require(
            self.checkpoint_every_seconds >= 0,
            "loop.checkpoint_every_seconds must be >= 0",
            self.checkpoint_every_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All that the numbers of a run depend on, except the data.

    `method` is the `Config` of one of METHODS; its class decides which method is trained.
    """

    method: MethodConfig
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    steps: int = 10_000
    init: str = ""
    """Run or checkpoint with the encoder to start from; "" = random weights."""
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "steps must be at least 1", self.steps)
        _require(self.seed >= 0, "seed must be >= 0", self.seed)
        _require(self.device in DEVICES, f"device must be one of {list(DEVICES)}", self.device)
        precisions = ["auto", *PRECISIONS]
        _require(self.precision in precisions, f"precision must be one of {precisions}", self.precision)
        rare = self.data.sampling.rare_share
        if self.labels is not None and self.labels.balanced and rare:
            raise InputError(
                f"data.sampling.rare_share {rare:g} and method.labels.balanced both make up for rare classes: the "
                "weights come from how often the recordings show a class, not from how often it is drawn; choose one, "
                "`method.labels.balanced=false` or `data.sampling.rare_share=0`"
            )

    @property
    def labels(self) -> LabelsConfig | None:
        """Settings for learning from labels; None for methods that learn from tracks alone."""
        return self.method.labels if isinstance(self.method, JointConfig) else None


def run_config_to_dict(config: RunConfig) -> dict[str, Any]:
    """JSON-ready mapping; its first key, `algorithm`, is the name of the method."""
    return {"algorithm": method_name(config.method), **asdict(config)}


def run_config_from(*layers: RunConfig | Mapping[str, Any], where: str) -> RunConfig:
    """The configuration made of several layers, such as recipe, file and options; for each key the last layer wins.

    Parameters
    ----------
    layers : configurations, and mappings with some of the keys: decoded JSON or YAML, nested ({"optim": {"lr": 1e-3}})
        or dotted ({"optim.lr": 1e-3}). The key `algorithm`, a name in METHODS, chooses the class of `method`; the
        method of an earlier layer with another class is replaced by the defaults of this class.
    where : source of the layers, for errors.

    Raises
    ------
    InputError
        If the method or a key is unknown, or a value is not acceptable.
    """
    items = [item for layer in layers for item in (vars(layer) if isinstance(layer, RunConfig) else layer).items()]
    tags = [value if key == "algorithm" else method_name(value) for key, value in items if _is_tag(key, value)]
    name = tags[-1] if tags else None
    if name not in list(METHODS):
        raise InputError(f"{where}: algorithm: expected one of {sorted(METHODS)}, got {name!r}")
    cls = METHODS[name].Config
    parts = [_nested(key, value) for key, value in items if key != "algorithm"]
    methods = [part.pop("method") for part in parts if "method" in part]
    ours = [cls() if _is_method_config(one) and type(one) is not cls else one for one in methods]
    method: MethodConfig = config_from_layers(cls, ours, where, "method")
    # A user's own method in METHODS is none of the classes that `RunConfig` names.
    config = config_from_layers(RunConfig, [*parts, {"method": CPCConfig()}], where)
    return replace(config, method=method)


def _is_tag(key: str, value: Any) -> bool:
    """Whether an item chooses the method."""
    return key == "algorithm" or (key == "method" and _is_method_config(value))


def _is_method_config(value: Any) -> bool:
    """Whether a value configures a method in METHODS, also a user's own one."""
    return any(type(value) is method.Config for method in METHODS.values())


def _nested(key: str, value: Any) -> dict[str, Any]:
    """
    >>> _nested("optim.lr", 0.1)
    {'optim': {'lr': 0.1}}
    """
    for part in reversed(str(key).split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested
