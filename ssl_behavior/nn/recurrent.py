"""Recurrent encoder and decoder of a variational autoencoder of trajectories.

After the trajectory VAE of task programming (Sun et al., CVPR 2021, arXiv:2011.13917).
"""

import torch
import torch.nn.functional as F
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["RecurrentEncoder", "TrajectoryDecoder"]

_LARGEST_LOG_VARIANCE = 16.0

Gaussian = tuple[Tensor, Tensor]


class RecurrentEncoder(nn.Module):
    """Window -> mean and log-variance of its latents: a bidirectional GRU, averaged over time, and two layers.

    A window may be given with its animals in several orders; the averaged hidden states of all orders are averaged
    too, so that which is which cannot matter.

    Parameters
    ----------
    in_dim : channels of a step.
    hidden_dim : of the GRU, each way.
    fc_dim : width of the two layers between the averaged hidden states and the latents.
    """

    def __init__(self, in_dim: int, hidden_dim: int, fc_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.gru = nn.GRU(in_dim, hidden_dim, bidirectional=True)
        self.layers = nn.Sequential(
            nn.Linear(2 * hidden_dim, fc_dim), nn.ReLU(), nn.Linear(fc_dim, fc_dim), nn.ReLU(),
            nn.Linear(fc_dim, 2 * latent_dim),
        )  # fmt: skip

    def forward(
        self, steps: Float[Tensor, "step order batch channel"], known: Bool[Tensor, "step batch"]
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """Encode windows, time first as in GRU; hidden states are averaged over steps with known values."""
        hidden, _ = self.gru(steps.flatten(1, 2))
        weight = known / known.sum(dim=0).clamp_min(1)
        orders = hidden.unflatten(1, steps.shape[1:3])
        pooled = einsum(orders, weight.to(hidden.dtype), "step order batch hidden, step batch -> batch hidden")
        pooled = pooled / steps.shape[1]
        mean, log_variance = self.layers(pooled).chunk(2, dim=-1)
        return mean, _clamped(log_variance)


class TrajectoryDecoder(nn.Module):
    """State, latents and hidden state -> mean and log-variance of the next action.

    A GRU over states and actions is the memory; two layers read state, latents and memory.

    Parameters
    ----------
    state_dim : numbers of a state, and of an action. The mask of each is a further input.
    """

    def __init__(self, state_dim: int, latent_dim: int, hidden_dim: int, fc_dim: int) -> None:
        super().__init__()
        self.hidden_dim = hidden_dim
        self.memory = nn.GRU(3 * state_dim, hidden_dim)
        self.entry = nn.Linear(2 * state_dim + hidden_dim, fc_dim)
        # What the latents say is the same at every step, and computed once.
        self.latents = nn.Linear(latent_dim, fc_dim, bias=False)
        self.layers = nn.Sequential(nn.Linear(fc_dim, fc_dim), nn.ReLU(), nn.Linear(fc_dim, 2 * state_dim))

    def forward(
        self,
        states: Float[Tensor, "step batch state"],
        known: Bool[Tensor, "step batch state"],
        actions: Float[Tensor, "step batch state"],
        latents: Float[Tensor, "batch latent"],
    ) -> tuple[Float[Tensor, "step batch state"], Float[Tensor, "step batch state"]]:
        """Actions at every step from true states up to it and true actions before it (teacher forcing)."""
        seen = torch.cat([states, known.to(states.dtype)], dim=-1)
        memory, _ = self.memory(torch.cat([seen, actions], dim=-1)[:-1])
        before = F.pad(memory, (0, 0, 0, 0, 1, 0))
        return self._action(seen, before, self.latents(latents))

    def rollout(
        self,
        first: Float[Tensor, "batch state"],
        latents: Float[Tensor, "batch latent"],
        action_size: Float[Tensor, " state"],
        noise: Float[Tensor, "step batch state"],
    ) -> Float[Tensor, "frame batch state"]:
        """Free-running decoding: each state is the previous one plus `action_size` times the action decoded there.

        Parameters
        ----------
        first : the state everything starts from, and the first one of the result.
        noise : added to each action, in its standard deviations; 0 follows the means.
        """
        code, known = self.latents(latents), torch.ones_like(first)
        memory = first.new_zeros(1, len(first), self.hidden_dim)
        states = [first]
        for step_noise in noise.unbind(0):
            seen = torch.cat([states[-1], known], dim=-1)
            mean, log_variance = self._action(seen, memory[0], code)
            action = mean + step_noise * (log_variance / 2).exp()
            _, memory = self.memory(torch.cat([seen, action], dim=-1).unsqueeze(0), memory)
            states.append(states[-1] + action_size * action)
        return torch.stack(states)

    def _action(self, seen: Tensor, memory: Tensor, code: Tensor) -> Gaussian:
        hidden = F.relu(self.entry(torch.cat([seen, memory], dim=-1)) + code)
        mean, log_variance = self.layers(hidden).chunk(2, dim=-1)
        return mean, _clamped(log_variance)


def _clamped(log_variance: Tensor) -> Tensor:
    return log_variance.clamp(-_LARGEST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE)
