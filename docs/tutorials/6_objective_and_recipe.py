"""
Write an objective and a recipe
===============================

An *objective* is a loss, a *method* joins it with a network, and a *recipe* is a method with settings and a name. You
write these three; training, checkpoints, resume, embedding and probes come with the package.
"""

# %%
# The objective
# -------------
#
# A loss is a pure function of tensors. This one is VICReg (Bardes et al. 2022, arXiv:2105.04906): two views of a moment
# should have the same latent (invariance), every column should vary (variance), and columns should not repeat each
# other (covariance).

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

import ssl_behavior as sb


def vicreg(first, second):
    """Invariance, variance and covariance of latents [moment, latent] of two views."""
    invariance = F.mse_loss(first, second)
    variance = sum(F.relu(1 - (view.var(dim=0) + 1e-4).sqrt()).mean() for view in (first, second))
    covariance = 0.0
    for view in (first, second):
        centered = view - view.mean(dim=0)
        matrix = centered.T @ centered / (len(view) - 1)
        covariance = covariance + (matrix - matrix.diag().diag()).square().sum() / matrix.shape[1]
    return invariance, variance, covariance


# %%
# The method
# ----------
#
# ``ConvMethod`` has the features of pose, the convolutions, and everything that embedding needs. A method adds its
# ``Config`` and a ``loss``. ``encode`` gives one latent for each step of ``stride`` frames; ``seen`` says in which steps
# a keypoint was observed. With a generator the batch is augmented; validation passes none.

from ssl_behavior.augment import augment
from ssl_behavior.methods import LossTerms
from ssl_behavior.methods.conv_base import ConvConfig, ConvMethod, EmbeddingConfig


@dataclass(frozen=True, kw_only=True)
class TwoViewsConfig(ConvConfig):
    """Settings of `TwoViews`: weights of the three terms."""

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0


class TwoViews(ConvMethod):
    """An encoder that learns from two augmented views of each moment."""

    Config = TwoViewsConfig

    def loss(self, batch, generator):
        views = [batch, batch] if generator is None else [self.augmented(batch, generator) for _ in range(2)]
        encoded = [self.encode(view) for view in views]
        seen = encoded[0].seen & encoded[1].seen
        terms = vicreg(*(view.latents[seen] for view in encoded))
        weights = (self.config.invariance, self.config.variance, self.config.covariance)
        names = ("invariance", "variance", "covariance")
        return LossTerms({name: weight * term for name, weight, term in zip(names, weights, terms, strict=True)})

    def augmented(self, batch, generator):
        return augment(batch, self.config.augment, self.skeleton, generator)


# %%
# The recipe
# ----------
#
# ``METHODS`` and ``RECIPES`` are dictionaries: put yours in. A recipe is a function that returns a ``RunConfig``. This
# one takes the small network of ``cpc_tiny`` without its recurrent contexts, and stronger augmentation. The embedding
# has the learned columns alone.

from pretrain import RECIPES
from ssl_behavior.methods import METHODS


def two_views():
    """Two augmented views of each moment."""
    base = RECIPES["cpc_tiny"]()
    method = TwoViewsConfig(
        features=base.method.features,
        encoder=replace(base.method.encoder, directions="none"),
        embedding=EmbeddingConfig(feature_window_frames=(), extras=()),
        augment=replace(base.method.augment, drop_keypoints=0.3, jitter_px=2.0),
    )
    return replace(base, method=method)


METHODS["two_views"] = TwoViews
RECIPES["two_views"] = two_views

# %%
# Train it
# --------
#
# From here on it is a recipe like any other.

sb.simulate_tracks("lab", recordings=6, frames=1800, seed=3)
store = sb.read("lab", fps=30, out="store", verbose=False)
encoder = sb.pretrain(store, recipe="two_views", steps=60, out="run", verbose=False)
encoder

# %%
# Judge it
# --------
#
# A linear probe beside the same network without training says whether the objective taught anything; further references
# are in :doc:`/docs/probe`. With so few steps and recordings it says nothing about the method: on real recordings, use several
# seeds and recordings that neither the encoder nor you have looked at.

results = sb.probe(encoder, store, "behavior", seeds=1, references="untrained", verbose=False)
results.to_frame().groupby("representation", sort=False)["ap"].mean()

# %%
# Check it
# --------
#
# Two tests find most mistakes: the loss is finite where points are missing, and its gradient reaches every parameter.

import numpy as np

from ssl_behavior.windows import WindowReader

batch = WindowReader([(store, row) for row in store.rows], 256).read([(0, 0, 256), (1, 500, 256)])
batch = replace(batch, keypoints=batch.keypoints.float())
method = encoder.method.train()
loss = method.loss(batch, torch.Generator().manual_seed(0)).total
loss.backward()
without = [name for name, parameter in method.named_parameters() if parameter.grad is None]
print(f"loss {loss.item():.2f}; parameters without a gradient: {without or 'none'}")
assert np.isfinite(loss.item())

# %%
# To load such a run later, import the file that puts the method into ``METHODS`` first. To make a method part of the
# package, see the table in :doc:`/CONTRIBUTING`.
