"""Early signs that a representation collapses: few directions in use, or points that crowd together."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["collapse_warning", "effective_rank", "uniformity"]


def effective_rank(points: Float[Tensor, "point latent"]) -> Float[Tensor, ""]:
    """exp of the entropy of the normalised singular values of the centred points (Roy and Vetterli 2007).

    Between 1 (a line) and the latent dimension (equally spread); 0 where all points coincide.
    """
    singular = torch.linalg.svdvals(points - points.mean(dim=0))
    if singular.sum() <= torch.finfo(points.dtype).eps * len(points):
        return singular.new_zeros(())
    shares = singular / singular.sum()
    return torch.exp(torch.special.entr(shares).sum())


def uniformity(points: Float[Tensor, "point latent"]) -> Float[Tensor, ""]:
    """log of the mean of exp(-2 |x - y|^2) over pairs on the unit sphere (Wang and Isola 2020, arXiv:2005.10242).

    0 where all points coincide, about -4 where they cover a high-dimensional sphere evenly.
    """
    distances = F.pdist(F.normalize(points, dim=-1))
    return distances.square().mul(-2).exp().mean().log()


def collapse_warning(rank: float, latent_dim: int) -> str | None:
    """A sentence for the person where the effective rank is tiny, else None."""
    if rank >= max(2.0, 0.02 * latent_dim):
        return None
    return (
        f"the embeddings may be collapsing: their effective rank is {rank:.1f} of {latent_dim}; "
        "try a lower learning rate, a larger batch or another temperature"
    )
