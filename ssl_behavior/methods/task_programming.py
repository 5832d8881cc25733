"""Task programming as published: a recurrent variational autoencoder of trajectories, supervised by programs.

Sun et al., CVPR 2021 (arXiv:2011.13917), as used for the features of CalMS21 (arXiv:2104.02710). A window of 21 frames
is encoded in 32 latents. They reconstruct the window's actions, their decoded trajectories keep the programs' values,
and they are similar for equal program classes. Differences from the published code, with reasons:

- The encoder gets only trajectories. The published one also got the programs' classes and need not learn them.
- The programs themselves judge the decoded trajectories: they are differentiable, so no network has to be trained to
  stand in for them.
  They are held to the attributes' values (Huber), where the stand-ins were to their classes (cross-entropy).
- Attributes of a transformed scene are those of the transformed scene, unless every program is invariant.
- Jitter of 1 px is always there, in place of 2 px in a quarter of the views; one mouse is not moved against the other.
- States and actions are scaled to unit size, and unknown values are masked, in the inputs and in every loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ssl_behavior.augment import AugmentConfig, geometric, hidden, moved
from ssl_behavior.collectives import all_sum, own_share
from ssl_behavior.errors import InputError
from ssl_behavior.methods.base import LossTerms, Method, mean_of
from ssl_behavior.methods.conv_base import EXTRAS
from ssl_behavior.methods.task_programming_heads import AttributeTargets, HeadsConfig, ProgramHeads, consistency_of
from ssl_behavior.nn import RecurrentEncoder, TrajectoryDecoder
from ssl_behavior.objectives import Sums, gaussian_nll, kl_to_standard_normal
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.tensor_types import FrameMask
from ssl_behavior.terminal import listed
from ssl_behavior.trajectory_coder import StateConfig, TrajectoryCoder
from ssl_behavior.windows import WindowBatch

__all__ = ["TaskProgramming", "TaskProgrammingConfig"]

_WINDOWS_TOGETHER = {"cpu": 512, "cuda": 16_384}
_PAPER_BATCH, _PAPER_PROGRAMS = 128, 10


def _paper_heads() -> HeadsConfig:
    return HeadsConfig(regression=0.0, classification=0.0, contrastive=10 * _PAPER_PROGRAMS / _PAPER_BATCH)


def _paper_augmentation() -> AugmentConfig:
    return AugmentConfig(rotate=1.0, translate=1.0, reflect=0.5, jitter_px=1.0, drop_keypoints=0.0)


@dataclass(frozen=True, kw_only=True)
class TaskProgrammingConfig:
    """Sizes and loss weights of the paper.

    There, likelihood, divergence and consistency are sums over a batch of 128 windows, the contrast is 10 times a mean
    over anchors, and consistency and contrast add up ten programs. Here everything is divided by the number of windows
    and a mean over programs, so that the balance depends on neither: the weights are 1, 1, 10 and 10 * 10 / 128.

    Parameters
    ----------
    state : how a pose becomes a state.
    programs : which programs, and how their values become classes.
    augment : of the second view of every window.
    window_frames : length of a window, odd; longer training windows are cut into as many as they hold.
    gru_dim, fc_dim, latent_dim : widths of the recurrent networks (each way), of the layers behind them, of the code.
    likelihood : weight of -log p(actions), in nats per window.
    kl : weight of the divergence from the prior, in nats per window.
    free_bits : nats per latent that cost nothing.
    augmented : likelihood and divergence of the second view, relative to those of the first.
    consistency : weight of the programs' values of decoded trajectories against the true ones (Huber, standardized).
    action_noise : of the decoded trajectories, in standard deviations of the decoded actions.
    heads : contrast of the programs' classes, and decoding of attributes from the code.
    extras : columns of the embedding that are not learned, see `EXTRAS`.
    """

    state: StateConfig = field(default_factory=StateConfig)
    programs: ProgramsConfig = field(default_factory=ProgramsConfig)
    augment: AugmentConfig = field(default_factory=_paper_augmentation)
    window_frames: int = 21
    gru_dim: int = 256
    fc_dim: int = 256
    latent_dim: int = 32
    likelihood: float = 1.0
    kl: float = 1.0
    free_bits: float = 1 / 32
    augmented: float = 1.0
    consistency: float = 10.0
    action_noise: float = 0.1
    heads: HeadsConfig = field(default_factory=_paper_heads)
    extras: tuple[str, ...] = ("time",)

    def __post_init__(self) -> None:
        if self.window_frames < 3 or self.window_frames % 2 == 0:
            raise InputError(
                f"task programming: window_frames must be odd (as many before as after the frame) and at least 3, "
                f"got {self.window_frames}"
            )
        if min(self.gru_dim, self.fc_dim, self.latent_dim) < 1:
            raise InputError(f"task programming: widths must be at least 1, got {self}")
        if min(self.likelihood, self.kl, self.free_bits, self.augmented, self.consistency, self.action_noise) < 0:
            raise InputError(f"task programming: weights, free bits and noise must be 0 or more, got {self}")
        if not (self.likelihood or self.consistency or self.uses_heads):
            raise InputError("task programming: likelihood, consistency and heads all have weight 0; give one a weight")
        unknown = [name for name in self.extras if name not in EXTRAS]
        if unknown or len(set(self.extras)) < len(self.extras):
            raise InputError(
                f"task programming: extras must be different ones of {sorted(EXTRAS)}, got {list(self.extras)}"
            )

    @property
    def uses_heads(self) -> bool:
        return bool(self.heads.contrastive or self.heads.regression or self.heads.classification)

    @property
    def uses_second_view(self) -> bool:
        return self.uses_heads or bool(self.augmented and (self.likelihood or self.kl))


class TaskProgramming(Method):
    """States -> recurrent encoder -> code -> recurrent decoder of actions.

    Of anonymous animals, both orders are encoded and their hidden states averaged, so the code cannot depend on which
    comes first. The decoder is judged in both orders, and learns from one of them, drawn by chance.

    Raises
    ------
    InputError
        If there are more than two exchangeable animals.
    """

    Config = TaskProgrammingConfig
    config: TaskProgrammingConfig
    fitted_modules = ("coder", "programs")

    def __init__(self, config: TaskProgrammingConfig, skeleton: Skeleton, fps: float) -> None:
        super().__init__(config, skeleton, fps)
        if skeleton.exchangeable and skeleton.num_individuals > 2:
            raise InputError(
                f"task programming: the autoencoder encodes every order of exchangeable animals, at most two; these "
                f"recordings have {skeleton.num_individuals} ({listed(skeleton.individuals)}). Choose recipe summaries "
                "or task_programming_conv, or two animals at import (`individuals`)"
            )
        self.coder = TrajectoryCoder(config.state, skeleton)
        self.programs = ProgramSet(config.programs, skeleton, fps)
        state_dim = skeleton.num_individuals * self.coder.num_states
        self.encoder = RecurrentEncoder(3 * state_dim, config.gru_dim, config.fc_dim, config.latent_dim)
        if config.likelihood or config.consistency:
            self.decoder = TrajectoryDecoder(state_dim, config.latent_dim, config.gru_dim, config.fc_dim)
        self.heads = ProgramHeads(config.heads, config.latent_dim, self.programs)

    def loss(self, batch: WindowBatch, generator: torch.Generator | None) -> LossTerms:
        """All configured terms, each the mean over its known values in all processes.

        With a generator, there is a second, augmented view of every window, codes are drawn from their posterior and
        decoded actions are noisy. Without, the code is the posterior's mean and actions are their means.

        Raises
        ------
        InputError
            If the batch is shorter than one window.
        """
        centers = self._centers(batch)
        with torch.no_grad(), torch.autocast(batch.keypoints.device.type, enabled=False):
            windows, targets = self._prepared(batch, centers, generator)
        mean, log_variance = self.encoder(windows.channels, windows.seen)
        rows = len(batch), len(centers)
        latents = _drawn(mean, log_variance, rows, generator)
        # To learn from, one order of the animals is enough for the decoder; to judge by, it has to be both.
        windows = windows if generator is None else windows.in_one_order(rows, generator)
        first = slice(0, len(batch) * len(centers))
        terms = self._bound(windows, (mean, log_variance), latents, first)
        terms |= self.heads.decode(mean, targets) | self.heads.contrast(mean, targets)
        if self.config.consistency:
            first_targets = targets.each(lambda values: values[first])
            terms |= self._consistency(batch, windows.part(first), latents[first], first_targets, generator)
        return terms

    def _centers(self, batch: WindowBatch) -> Int[Tensor, " window"]:
        """Middle frames of the windows that a batch is cut into."""
        length, frames = batch.valid.shape[1], self.config.window_frames
        if length < frames:
            raise InputError(
                f"task programming: windows of {length} frames are shorter than window_frames, which is {frames}"
            )
        return torch.arange(length // frames, device=batch.valid.device) * frames + frames // 2

    def _prepared(
        self, batch: WindowBatch, centers: Int[Tensor, " window"], generator: torch.Generator | None
    ) -> tuple["_Windows", AttributeTargets]:
        """Windows of all views, one view after the other, and attributes of their middle frames."""
        scenes, shown = [batch], [batch]
        if generator is not None and self.config.uses_second_view:
            scenes.append(moved(batch, self.config.augment, self.skeleton, generator))
            shown.append(hidden(scenes[1], self.config.augment, generator))
        windows = _Windows.joined([self._windows(*self.coder.states(view), view.valid, centers) for view in shown])
        attributes = [self.programs.attributes(batch)]
        if len(scenes) > 1:
            attributes.append(attributes[0] if self._attributes_stay else self.programs.attributes(scenes[1]))
        values, known = (torch.cat([x[:, centers].flatten(0, 1) for x in xs]) for xs in zip(*attributes, strict=True))
        known = known & windows.usable.unsqueeze(-1)
        return windows, AttributeTargets(self.programs.standardized(values), known, self.programs.classes(values))

    @property
    def _attributes_stay(self) -> bool:
        """Whether the augmentation changes none of the attributes."""
        stay = self.programs.invariant(geometric(self.config.augment)) | ~self.programs.informative
        return not self.config.augment.jitter_px and bool(stay.all())

    def _windows(
        self,
        states: Float[Tensor, "batch time individual state"],
        known: Bool[Tensor, "batch time individual state"],
        valid: FrameMask,
        centers: Int[Tensor, " window"],
    ) -> "_Windows":
        """Windows around the frames `centers` of every row; beyond the recording, the first or last frame repeats."""
        row = torch.arange(len(states), device=states.device).view(-1, 1, 1)
        around = row, _spans(valid, centers, self.config.window_frames)
        states, known = states[around].flatten(0, 1), known[around].flatten(0, 1)
        actions, moving = self.coder.actions(states, known)
        return _Windows(
            states=self._orders(states / self.coder.state_spread),
            known=self._orders(known),
            actions=self._orders(actions / self.coder.action_spread),
            moving=self._orders(moving),
            usable=valid[:, centers].flatten() & known.flatten(1).any(dim=1),
        )

    def _orders(self, values: Tensor) -> Tensor:
        """[window time individual state] -> [time order window state]; anonymous animals are there in both orders."""
        values = values.transpose(0, 1)
        orders = [values, values.flip(2)] if self.skeleton.exchangeable else [values]
        return torch.stack(orders, dim=1).flatten(-2)

    def _bound(self, windows: "_Windows", posterior: tuple[Tensor, Tensor], latents: Tensor, first: slice) -> LossTerms:
        """Likelihood of the actions and divergence from the prior, of the first view and of the augmented one."""
        config, terms, metrics = self.config, {}, {}
        parts = {"": (first, 1.0)}
        if config.augmented and len(windows.usable) > first.stop:
            parts["augmented_"] = slice(first.stop, None), config.augmented
        windows = windows if len(parts) > 1 else windows.part(first)
        decoded = self._decoded(windows, latents) if config.likelihood else None
        for name, (part, weight) in parts.items():
            mean, log_variance = (values[part] for values in posterior)
            usable = windows.usable[part]
            divergence = kl_to_standard_normal(mean, log_variance, config.free_bits, usable)
            metrics[f"{name}kl_nats"] = _ratio(divergence)
            if config.kl:
                terms[f"{name}kl"] = weight * config.kl * mean_of(divergence, self.training)
            if decoded is not None:
                shown = windows.part(part)
                known = shown.moving & usable.unsqueeze(-1)
                place, spread = (values[:, :, part] for values in decoded)
                likelihood = gaussian_nll(place, spread, shown.actions, known)
                per_window = Sums(likelihood.total / known.shape[1], divergence.count)
                terms[f"{name}likelihood"] = weight * config.likelihood * mean_of(per_window, self.training)
                metrics[f"{name}nats_per_number"] = _ratio(likelihood)
        return LossTerms(terms, metrics)

    def _decoded(self, windows: "_Windows", latents: Float[Tensor, "window latent"]) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the actions [step order window state], decoded from the true states."""
        orders = windows.actions.shape[1]
        steps = (x.flatten(1, 2) for x in (windows.states[:-1], windows.known[:-1], windows.actions))
        mean, log_variance = self.decoder(*steps, latents[: len(windows.usable)].repeat(orders, 1))
        return mean.unflatten(1, (orders, -1)), log_variance.unflatten(1, (orders, -1))

    def _consistency(
        self,
        batch: WindowBatch,
        windows: "_Windows",
        latents: Float[Tensor, "window latent"],
        targets: AttributeTargets,
        generator: torch.Generator | None,
    ) -> LossTerms:
        """The programs on freely decoded trajectories against the true attributes, both at the middle frame.

        Trajectories start from the true state, and count where it says where the animals are and look.
        """
        orders = windows.actions.shape[1]
        noise = torch.zeros_like(windows.actions)
        if generator is not None:
            rows, shape = (len(batch), len(latents) // len(batch)), noise.transpose(0, 2).shape[1:]
            noise = _chance(torch.randn, rows, len(latents), shape, generator).to(noise).transpose(0, 2)
            noise = noise * self.config.action_noise
        states = self.decoder.rollout(
            windows.states[0].flatten(0, 1), latents.repeat(orders, 1), self._action_size, noise.flatten(1, 2)
        )
        with torch.autocast(batch.keypoints.device.type, enabled=False):
            decoded_values = self._decoded_attributes(states, batch, orders)
        start = windows.known[0].unflatten(-1, (self.skeleton.num_individuals, -1))
        known = (targets.known & self.coder.placed(start).unsqueeze(-1)).flatten(0, 1)
        loss = consistency_of(self.programs, decoded_values, targets.values.repeat(orders, 1), known, self.training)
        return LossTerms({"consistency": self.config.consistency * loss})

    @property
    def _action_size(self) -> Float[Tensor, " state"]:
        """Change of the state for an action of size 1, both in units of their spread."""
        return (self.coder.action_spread / self.coder.state_spread).repeat(self.skeleton.num_individuals)

    def _decoded_attributes(
        self, states: Float[Tensor, "frame trajectory state"], batch: WindowBatch, orders: int
    ) -> Float[Tensor, "trajectory attribute"]:
        """Attributes of the middle frames of trajectories."""
        pattern = "frame trajectory (individual state) -> trajectory frame individual state"
        natural = rearrange(states, pattern, individual=self.skeleton.num_individuals) * self.coder.state_spread
        arena, scale = (
            repeat(
                x, "batch ... -> (order batch window) ...", order=orders, window=len(natural) // (orders * len(batch))
            )
            for x in (batch.arena, batch.px_per_cm)
        )
        keypoints = self.coder.keypoints(natural, arena)
        return self.programs.evaluate(keypoints, arena, scale)[:, natural.shape[1] // 2]

    def embed(self, batch: WindowBatch) -> Float[Tensor, "batch time latent"]:
        """The mean of the posterior of the window around every frame, and the extras."""
        with torch.autocast(batch.keypoints.device.type, enabled=False):
            states, known = self.coder.states(batch)
        frames = torch.arange(batch.valid.shape[1], device=batch.valid.device)
        orders = 2 if self.skeleton.exchangeable else 1
        # Few enough that a step's hidden states stay in the processor's cache; a GPU wants many.
        together = _WINDOWS_TOGETHER.get(frames.device.type, 512) // (orders * len(batch))
        means = []
        for centers in frames.split(max(1, together)):
            windows = self._windows(states, known, batch.valid, centers)
            mean, _ = self.encoder(windows.channels, windows.seen)
            means.append(mean.unflatten(0, (len(batch), -1)))
        # In the windows' precision, whatever that of the encoder: the extras are exact.
        columns = [
            torch.cat(means, dim=1),
            *(EXTRAS[name](batch, self.skeleton.exchangeable, None) for name in self.config.extras),
        ]
        return torch.cat([column.to(batch.keypoints.dtype) for column in columns], dim=-1)

    @property
    def channel_groups(self) -> dict[str, int]:
        return {"posterior": self.config.latent_dim} | dict.fromkeys(self.config.extras, 2)

    @property
    def learned_groups(self) -> tuple[str, ...]:
        return ("posterior",)

    @property
    def embedding_dim(self) -> int:
        return sum(self.channel_groups.values())

    @property
    def supervision(self) -> ProgramSet:
        return self.programs

    @property
    def receptive_field(self) -> tuple[int, int]:
        before, after = self.config.state.scene.receptive_field
        return before + self.config.window_frames // 2, after + self.config.window_frames // 2


@dataclass(frozen=True)
class _Windows:
    """Trajectories in units of their spread, time first, the animals of each in one order or in both."""

    states: Float[Tensor, "frame order window state"]
    known: Bool[Tensor, "frame order window state"]
    actions: Float[Tensor, "step order window state"]
    moving: Bool[Tensor, "step order window state"]
    """Where an action is known."""
    usable: Bool[Tensor, " window"]
    """The middle frame lies in the recording, and something is known."""

    @classmethod
    def joined(cls, views: Sequence["_Windows"]) -> "_Windows":
        """The windows of all views, one after the other."""
        names = ("states", "known", "actions", "moving")
        values = {name: torch.cat([getattr(view, name) for view in views], dim=2) for name in names}
        return cls(**values, usable=torch.cat([view.usable for view in views]))

    def in_one_order(self, rows: tuple[int, int], generator: torch.Generator) -> "_Windows":
        """Every window with its animals in one of its orders, drawn by chance."""
        orders = self.states.shape[1]
        if orders == 1:
            return self
        pick = (_chance(torch.rand, rows, len(self.usable), (), generator) * orders).long().to(self.usable.device)
        chosen = slice(None), pick, torch.arange(len(pick), device=pick.device)
        return self._each(lambda values: values[chosen].unsqueeze(1), self.usable)

    def part(self, windows: slice) -> "_Windows":
        return self._each(lambda values: values[:, :, windows], self.usable[windows])

    def _each(self, change: Callable[[Tensor], Tensor], usable: Bool[Tensor, " window"]) -> "_Windows":
        return _Windows(change(self.states), change(self.known), change(self.actions), change(self.moving), usable)

    @property
    def channels(self) -> Float[Tensor, "step order window channel"]:
        """Encoder inputs of every step: state, mask, action."""
        return torch.cat([self.states[:-1], self.known[:-1].to(self.states.dtype), self.actions], dim=-1)

    @property
    def seen(self) -> Bool[Tensor, "step window"]:
        """Steps at which anything is known."""
        return self.known[:-1, 0].any(dim=-1)


def _spans(valid: FrameMask, centers: Int[Tensor, " window"], frames: int) -> Int[Tensor, "batch window moment"]:
    """Frames around each center; those outside the recording are its first or last one."""
    index = torch.arange(valid.shape[1], device=valid.device)
    last = torch.where(valid, index, -1).amax(dim=1).clamp_min(0)
    first = torch.minimum(torch.where(valid, index, len(index)).amin(dim=1), last)
    spans = centers.unsqueeze(-1) + torch.arange(frames, device=valid.device) - frames // 2
    return torch.minimum(torch.maximum(spans, first.view(-1, 1, 1)), last.view(-1, 1, 1))


def _drawn(
    mean: Float[Tensor, "window latent"],
    log_variance: Float[Tensor, "window latent"],
    rows: tuple[int, int],
    generator: torch.Generator | None,
) -> Float[Tensor, "window latent"]:
    """Sample codes from their posterior, or the mean without a generator; `rows` is (rows, windows per row)."""
    if generator is None:
        return mean
    noise = _chance(torch.randn, rows, len(mean), mean.shape[1:], generator).to(mean)
    return mean + noise * (log_variance / 2).exp()


def _chance(
    draw: Callable[..., Tensor],
    rows: tuple[int, int],
    num_windows: int,
    shape: Sequence[int],
    generator: torch.Generator,
) -> Float[Tensor, "window ..."]:
    """Random numbers of the given shape for every window, the windows of one view after those of the other.

    A row of the batch gets the same ones on however many processes.
    """
    batch, windows = rows
    numbers = own_share(draw, generator, (batch, num_windows // (batch * windows), windows, *shape))
    return numbers.transpose(0, 1).flatten(0, 2)


def _ratio(sums: Sums) -> Tensor:
    """Value of a diagnostic: the mean over the items of all processes."""
    return (all_sum(sums.total.detach()) / all_sum(sums.count).clamp_min(1)).squeeze(0)
