"""Heads that predict labels from a representation in the style of each annotator."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssl_behavior.errors import InputError

__all__ = ["AnnotatorHead"]

OUTPUT_STD = 0.01
"""Of the output layers' first weights, as in Wild's entry: the head starts without an opinion."""


class AnnotatorHead(nn.Module):
    """Shared body with the annotator as an input, and several output layers.

    The head of the MABe 2021 Task 1 and 2 winner (Sun et al. 2021, arXiv:2104.02710): x' = LayerNorm(x), then
    x' + MLP([x', a]) with two linear layers, each followed by LeakyReLU, where a is the annotator's row of a learned
    matrix that starts as the identity; then one linear layer per name.

    Parameters
    ----------
    in_dim : columns of x.
    class_counts : name of an output -> number of its logits.
    hidden_dim : width between the two layers of the MLP; `in_dim` if None.
    dropout : share of the hidden units left out in training.
    extra_dim : number of last columns of x that are not normalized (the winner's time and walls).

    Attributes
    ----------
    annotator_matrix : [annotator style], one row per annotator.

    Raises
    ------
    InputError
        If a size is below 1, there is no output, a name holds a dot, or dropout is no share.
    """

    annotator_matrix: Float[Tensor, "annotator style"]

    def __init__(
        self,
        in_dim: int,
        class_counts: Mapping[str, int],
        num_annotators: int,
        hidden_dim: int | None = None,
        dropout: float = 0.0,
        extra_dim: int = 0,
    ) -> None:
        super().__init__()
        hidden_dim = in_dim if hidden_dim is None else hidden_dim
        sizes = {"in_dim": in_dim - extra_dim, "num_annotators": num_annotators, "hidden_dim": hidden_dim}
        _check(sizes, class_counts, dropout, extra_dim)
        self.extra_dim = extra_dim
        self.norm = nn.LayerNorm(in_dim - extra_dim)
        self.annotator_matrix = nn.Parameter(torch.eye(num_annotators))
        self.layers = nn.Sequential(
            nn.Linear(in_dim + num_annotators, hidden_dim), nn.LeakyReLU(0.01), nn.Dropout(dropout),
            nn.Linear(hidden_dim, in_dim), nn.LeakyReLU(0.01),
        )  # fmt: skip
        self.outputs = nn.ModuleDict({name: _output(in_dim, count) for name, count in class_counts.items()})

    @property
    def num_annotators(self) -> int:
        return len(self.annotator_matrix)

    def forward(
        self, x: Float[Tensor, "*batch latent"], annotator: Int[Tensor, "*batch"]
    ) -> dict[str, Float[Tensor, "*batch class"]]:
        """Output name -> logits of x in the style of the annotators (rows of the matrix, counted from 0)."""
        body = self.body(x, annotator)
        return {name: output(body) for name, output in self.outputs.items()}

    def body(self, x: Float[Tensor, "*batch latent"], annotator: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch body"]:
        """Input of the output layers."""
        own = x.shape[-1] - self.extra_dim
        x = torch.cat([self.norm(x[..., :own]), x[..., own:]], dim=-1) if self.extra_dim else self.norm(x)
        style = F.embedding(annotator, self.annotator_matrix).to(x.dtype)
        return x + self.layers(torch.cat([x, style], dim=-1))

    def add_annotator(self) -> int:
        """Add a row, the mean of the others; returns its number. The matrix is a new parameter for the optimizer."""
        rows = self.annotator_matrix.detach()
        self.annotator_matrix = nn.Parameter(torch.cat([rows, rows.mean(dim=0, keepdim=True)]))
        return len(rows)


def _output(in_dim: int, num_classes: int) -> nn.Linear:
    output = nn.Linear(in_dim, num_classes)
    nn.init.normal_(output.weight, std=OUTPUT_STD)
    nn.init.zeros_(output.bias)
    return output


def _check(sizes: Mapping[str, int], class_counts: Mapping[str, int], dropout: float, extra_dim: int) -> None:
    small = {name: size for name, size in sizes.items() if size < 1}
    small |= {f"classes of {name!r}": count for name, count in class_counts.items() if count < 1}
    if small or extra_dim < 0:
        raise InputError(f"an annotator head needs sizes of at least 1 (extra_dim 0), got {small or extra_dim}")
    if not class_counts or any("." in name or not name for name in class_counts):
        raise InputError(f"an annotator head needs outputs with names without dots, got {list(class_counts)}")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout is a share from 0 to below 1, got {dropout}")
