"""Early signs that a representation collapses: few directions in use, or points that crowd together."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["collapse_warning", "effective_rank", "rank_limit", "uniformity"]


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


def rank_limit(num_columns: int) -> float:
    """The effective rank below which so many columns are warned of: an eighth of them, between 2 and 16."""
    return min(16.0, max(2.0, num_columns / 8))


def collapse_warning(rank: float, num_columns: int) -> str | None:
    """A sentence for the person where the effective rank is below `rank_limit`, or not a number, else None."""
    limit = rank_limit(num_columns)
    if rank >= limit:
        return None
    return (
        f"the embeddings may be collapsing: their effective rank is {rank:.1f} of {num_columns} columns, and below "
        f"{limit:.3g} little can be read from them; try a lower --optim.lr or a larger --data.batch_size, and look at "
        "the recordings (ssl-behavior import says what is missing in them)"
    )
