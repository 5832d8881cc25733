"""What to learn from unlabeled tracks: one small network, many objectives, one judge.

    python benchmarks/search_representation.py STORE --judge quick_probe.py --out DIR [--variants summary ...]
        [--seeds 0 1] [--steps 500]

STORE holds the 38 rat recordings. Every variant trains the same network (a `MixingEmbedder` on the package's features,
128 latents) on the tracks of all recordings, without labels, for the same number of steps, and is judged by
`quick_probe.py` on halves (odd against even recordings and back) and on 31-38. Choose on halves: 31-38 are eight
recordings, and half of their aggression is in one. Lines are appended to DIR/results.jsonl; what is there already is
not made again. The last line of stdout is one JSON object.

Families: `fixed` (no training: statistics compressed to 128 columns), `summary` (histograms in windows), `masked`
(what was hidden, or its cluster), `teacher` (latents of the averaged network), `agreement` (two corrupted views),
`contrast` and `forecast` (the future), `programs` (task programs in windows), and mixtures of two.
"""

import argparse
import copy
import importlib.util
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor, nn

from pretrain.config import OptimConfig
from pretrain.optim import WeightAverage, learning_rate, make_optimizer, set_learning_rate
from ssl_behavior.features import FeatureConfig, Featurizer
from ssl_behavior.methods.summary_prediction import Readout
from ssl_behavior.nn import EncoderConfig, MixerConfig, MixingEmbedder
from ssl_behavior.numerics import equal_variance_rotation, principal_axes
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.store import Store
from ssl_behavior.window_statistics import (
    QUANTILES,
    QuantileCodes,
    Summaries,
    SummariesConfig,
    WindowsConfig,
    joined_moments,
    scene_moments,
    sliding_means,
    step_moments,
)
from ssl_behavior.windows import WindowReader

STRIDE, LATENTS, WINDOW_STEPS, BATCH, CODES, PROGRAM_CODES, NUM_CHANNELS = 6, 128, 256, 8, 192, 64, 132
OPTIM = OptimConfig(optimizer="muon", lr=4e-3, betas=(0.9, 0.95), warmup_steps=50, ema_decay=0.99)


@dataclass
class Cache:
    """Everything about the recordings that does not change from step to step, one row per step of six frames."""

    moments: list[Tensor]
    """[step individual 2*channel] float16 of every recording: what the network reads."""
    scene: list[tuple[Tensor, Tensor]]
    """Pooled moments over known frames [step channel] float16, and which are known."""
    programs: list[tuple[Tensor, Tensor]]
    """Moments of the task programs' attributes [step attribute] float16, and which are known."""


def cached(store: Store, folder: Path) -> Cache:
    """The cache of a store, made once."""
    file = folder / "cache.pt"
    if not file.exists():
        torch.save(_features_of(store), file)
    return Cache(**torch.load(file, weights_only=True))


@torch.no_grad()
def _features_of(store: Store) -> dict[str, Any]:
    reader = WindowReader([(store, row) for row in store.rows], 1)
    featurizer = Featurizer(FeatureConfig(), store.skeleton).fit(reader)
    programs = ProgramSet(ProgramsConfig(), store.skeleton, store.rows[0].fps)
    programs.fit(reader)
    found: dict[str, Any] = {"moments": [], "scene": [], "programs": []}
    for pick, row in enumerate(store.rows):
        batch = reader.read([(pick, 0, row.frames // STRIDE * STRIDE)])
        features, known = featurizer.with_known(batch)
        views = step_moments(features, known, batch.valid, STRIDE)
        found["moments"].append(views[0][0].half())
        values, seen = joined_moments(*views, pooled=True)
        found["scene"].append((values[0].half(), seen[0]))
        attributes, told = programs.attributes(batch)
        steps = scene_moments(
            programs.standardized(attributes).unsqueeze(2), told.unsqueeze(2), batch.valid, STRIDE, False
        )
        found["programs"].append((steps[0][0].half(), steps[1][0]))
    return found


def with_codes(cache: Cache) -> Cache:
    """The cache with quantile codes of the scene behind the moments of every view."""
    codes = codes_of(cache.scene)
    moments = [
        torch.cat([one, code.half()[:, None].expand(-1, one.shape[1], -1)], dim=-1)
        for one, code in zip(cache.moments, codes, strict=True)
    ]
    return replace(cache, moments=moments)


def codes_of(
    values: list[tuple[Tensor, Tensor]], quantiles: tuple[float, ...] = QUANTILES, num_codes: int = CODES
) -> list[Tensor]:
    """Quantile codes [step code] of every recording."""
    pieces = [(value.float()[None], known[None]) for value, known in values]
    coding = QuantileCodes(quantiles, num_codes, pieces[0][0].shape[-1]).fit(pieces)
    return [coding(*piece)[0] for piece in pieces]


@dataclass
class Batch:
    """Windows of a step: what the network reads, and rows of whatever targets an objective has."""

    moments: Tensor
    targets: Tensor
    generator: torch.Generator


class Objective(nn.Module):
    """A loss on windows. `targets` are computed once: one float16 tensor [step component] per recording."""

    drop_channels, drop_spans, span_steps = 0.1, 0.05, 8

    def targets(self, cache: Cache) -> list[Tensor]:
        return [moments.new_zeros(len(moments), 0) for moments in cache.moments]

    def prepare(self, num_targets: int) -> None:
        """Make the heads."""
        self.head = nn.Linear(LATENTS, max(1, num_targets))

    def corrupted(self, moments: Tensor, generator: torch.Generator) -> Tensor:
        """Some channels of each window and some spans of time at 0, the mean."""
        batch, steps, _, channels = moments.shape

        def keep(share: float, *shape: int) -> Tensor:
            rate = 2 * share * torch.rand(batch, 1, 1, 1, generator=generator)
            return (torch.rand(batch, *shape, generator=generator) >= rate).to(moments.dtype)

        spans = keep(self.drop_spans, -(-steps // self.span_steps), 1, 1)
        kept = spans.repeat_interleave(self.span_steps, dim=1)[:, :steps]
        return moments * keep(self.drop_channels, 1, 1, channels // 2).repeat(1, 1, 1, 2) * kept

    def loss(self, network: MixingEmbedder, batch: Batch) -> Tensor:
        raise NotImplementedError

    def after_step(self, network: MixingEmbedder, step: int) -> None:
        """Whatever follows the network's weights."""

    @property
    def metric(self) -> Tensor | None:
        """The linear map whose metric the readout takes; None: that of the latents."""
        return self.head.weight.detach()


def encode(network: MixingEmbedder, moments: Tensor) -> Tensor:
    """Latents; codes stand behind the moments, or are 0."""
    width = 2 * NUM_CHANNELS
    codes = moments[:, :, 0, width:]
    if not codes.shape[-1]:
        codes = codes.new_zeros(*codes.shape[:2], CODES)
    return network.latents(moments[..., :width], codes, torch.ones(moments.shape[:2], dtype=torch.bool))


def summaries_of(config: SummariesConfig, values: list[tuple[Tensor, Tensor]], quantiles: tuple[float, ...] = QUANTILES
                 ) -> list[Tensor]:  # fmt: skip
    return summed(config, codes_of(values, quantiles))


def summed(config: SummariesConfig, codes: list[Tensor]) -> list[Tensor]:
    """Summaries [step component] of codes [step code] of every recording."""
    pieces = [one[None] for one in codes]
    made = Summaries(config, pieces[0].shape[-1], STRIDE).fit(pieces)
    return [made(one, torch.ones(one.shape[:2], dtype=torch.bool))[0] for one in pieces]


def codes_with_programs(cache: Cache, weight: float, quantiles: tuple[float, ...] = QUANTILES) -> list[Tensor]:
    """Codes of the scene, and of its programs with `weight` times their standard deviation, as the package has them."""
    sides = codes_of(cache.scene, quantiles), codes_of(cache.programs, quantiles, PROGRAM_CODES)
    scene, programs = (torch.cat(side).var(dim=0).sum().sqrt() for side in sides)
    return [torch.cat([one, weight * scene / programs * two], dim=-1) for one, two in zip(*sides, strict=True)]


def whitened(targets: list[Tensor], power: float) -> list[Tensor]:
    """Principal components times (variance + a tenth of the tenth's)^(-power/2)."""
    together = torch.cat(targets)
    mean, variance = together.mean(dim=0), together.var(dim=0)
    scale = (variance + 0.1 * variance[min(10, len(variance) - 1)]) ** (-power / 2)
    scaled = [(target - mean) * scale for target in targets]
    size = torch.cat(scaled).square().mean().sqrt()
    return [target / size for target in scaled]


class Summary(Objective):
    """Histograms in windows, predicted from a corrupted view."""

    def __init__(self, config: SummariesConfig | None = None, power: float = 0.0, every: int = 4, mlp: bool = False,
                 quantiles: tuple[float, ...] = QUANTILES, programs: float = 0.0, view: int = WINDOW_STEPS,
                 **drops: float) -> None:  # fmt: skip
        super().__init__()
        self.view = view
        self.config, self.power, self.every, self.mlp = config or SummariesConfig(), power, every, mlp
        self.quantiles, self.programs = quantiles, programs
        for name, value in drops.items():
            setattr(self, name, value)

    def targets(self, cache: Cache) -> list[Tensor]:
        if self.programs:
            natural = summed(self.config, codes_with_programs(cache, self.programs, self.quantiles))
        else:
            natural = summaries_of(self.config, self.source(cache), self.quantiles)
        made = whitened(natural, self.power)
        # Undone in the readout: whitening is for the training alone.
        self.spread = torch.cat(natural).std(dim=0) / torch.cat(made).std(dim=0).clamp_min(1e-6)
        return [t.half() for t in made]

    def source(self, cache: Cache) -> list[tuple[Tensor, Tensor]]:
        return cache.scene

    def prepare(self, num_targets: int) -> None:
        super().prepare(num_targets)
        if self.mlp:
            self.head = nn.Sequential(nn.Linear(LATENTS, 256), nn.GELU(), nn.Linear(256, num_targets))

    def loss(self, network: MixingEmbedder, batch: Batch) -> Tensor:
        parts = self.corrupted(batch.moments, batch.generator).unflatten(1, (-1, self.view)).flatten(0, 1)
        latents = encode(network, parts).unflatten(0, (len(batch.moments), -1)).flatten(1, 2)
        first = int(torch.randint(self.every, (), generator=batch.generator))
        return F.mse_loss(self.head(latents[:, first :: self.every]), batch.targets[:, first :: self.every])

    @property
    def metric(self) -> Tensor | None:
        return None if self.mlp else self.head.weight.detach() * self.spread[:, None]


class ProgramSummary(Summary):
    """The same of task programs in place of features."""

    def source(self, cache: Cache) -> list[tuple[Tensor, Tensor]]:
        return cache.programs


class BothSummaries(Summary):
    """Features and task programs, each with half of the weight."""

    def targets(self, cache: Cache) -> list[Tensor]:
        sides = [whitened(summaries_of(self.config, values), 0.0) for values in (cache.scene, cache.programs)]
        self.spread = torch.ones(sum(side[0].shape[1] for side in sides))
        return [torch.cat(pair, dim=-1).half() for pair in zip(*sides, strict=True)]


def principal_scene(cache: Cache, components: int, power: float) -> list[Tensor]:
    """Whitened principal components of the scene's moments."""
    scenes = [value.float() * known for value, known in cache.scene]
    together = torch.cat(scenes)[::5]
    std = together.std(dim=0).clamp_min(1e-3)
    axes = principal_axes((together - together.mean(dim=0)) / std, components)
    return whitened([((scene - together.mean(dim=0)) / std) @ axes for scene in scenes], power)


class Masked(Objective):
    """Spans of time are hidden; the loss is on what was hidden: whitened inputs, or the cluster of summaries."""

    drop_channels, span_steps = 0.0, 5

    def __init__(self, kind: str, share: float = 0.3) -> None:
        super().__init__()
        self.kind, self.drop_spans = kind, share

    def targets(self, cache: Cache) -> list[Tensor]:
        if self.kind == "inputs":
            return [t.half() for t in principal_scene(cache, 96, 0.8)]
        made = [t[:, :64] for t in whitened(summaries_of(SummariesConfig(), cache.scene), 0.5)]
        kmeans = MiniBatchKMeans(256, random_state=0, batch_size=4096, n_init=1).fit(torch.cat(made)[::3].numpy())
        return [torch.from_numpy(kmeans.predict(t.numpy()))[:, None].half() for t in made]

    def prepare(self, num_targets: int) -> None:
        super().prepare(256 if self.kind == "clusters" else num_targets)

    def loss(self, network: MixingEmbedder, batch: Batch) -> Tensor:
        seen = self.corrupted(batch.moments, batch.generator)
        hidden = ~(seen != 0).any(dim=(2, 3))
        predicted = self.head(encode(network, seen))[hidden]
        if self.kind == "clusters":
            return F.cross_entropy(predicted, batch.targets[hidden][:, 0].long())
        return F.smooth_l1_loss(predicted, batch.targets[hidden])


class Forecast(Objective):
    """Whitened inputs 1, 3 and 6 s ahead and behind, at every fourth step, none of them seen in between."""

    def targets(self, cache: Cache) -> list[Tensor]:
        return [t.half() for t in principal_scene(cache, 64, 0.8)]

    def prepare(self, num_targets: int) -> None:
        super().prepare(6 * num_targets)

    def loss(self, network: MixingEmbedder, batch: Batch) -> Tensor:
        predicted = self.head(encode(network, self.corrupted(batch.moments, batch.generator))).chunk(6, dim=-1)
        terms = []
        for ahead, forward, backward in zip((5, 15, 30), predicted[:3], predicted[3:], strict=True):
            terms += [F.mse_loss(forward[:, :-ahead], batch.targets[:, ahead:])]
            terms += [F.mse_loss(backward[:, ahead:], batch.targets[:, :-ahead])]
        return torch.stack(terms).mean()


class Teacher(Objective):
    """Latents of the averaged network on the whole view, from a view with hidden spans (data2vec)."""

    drop_channels, drop_spans, span_steps = 0.1, 0.25, 5

    def prepare(self, num_targets: int) -> None:
        self.head = nn.Linear(LATENTS, LATENTS)
        self.teacher: MixingEmbedder | None = None

    def loss(self, network: MixingEmbedder, batch: Batch) -> Tensor:
        if self.teacher is None:
            self.teacher = copy.deepcopy(network).requires_grad_(False)
        with torch.no_grad():
            target = F.layer_norm(encode(self.teacher, batch.moments), (LATENTS,))
            target = (target - target.mean(dim=(0, 1))) / target.std(dim=(0, 1)).clamp_min(1e-3)
        return F.smooth_l1_loss(self.head(encode(network, self.corrupted(batch.moments, batch.generator))), target)

    @torch.no_grad()
    def after_step(self, network: MixingEmbedder, step: int) -> None:
        assert self.teacher is not None
        for old, new in zip(self.teacher.parameters(), network.parameters(), strict=True):
            old.lerp_(new, 0.005)

    @property
    def metric(self) -> Tensor | None:
        return None


class Agreement(Objective):
    """Two corrupted views of one moment agree; variance and covariance terms keep them from collapsing (VICReg)."""

    drop_channels, drop_spans = 0.3, 0.1

    def prepare(self, num_targets: int) -> None:
        self.head = nn.Sequential(nn.Linear(LATENTS, 384), nn.GELU(), nn.Linear(384, 384))

    def loss(self, network: MixingEmbedder, batch: Batch) -> Tensor:
        sides = [self.head(encode(network, self.corrupted(batch.moments, batch.generator))[:, 2::4]) for _ in range(2)]
        apart = F.mse_loss(*sides)
        return 25 * apart + sum(25 * _variance(side) + _covariance(side) for side in (s.flatten(0, 1) for s in sides))

    @property
    def metric(self) -> Tensor | None:
        return None


def _variance(rows: Tensor) -> Tensor:
    return F.relu(1 - (rows.var(dim=0) + 1e-4).sqrt()).mean()


def _covariance(rows: Tensor) -> Tensor:
    centered = rows - rows.mean(dim=0)
    covariance = centered.T @ centered / (len(rows) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / rows.shape[1]


class Contrast(Objective):
    """Latents tell the moment 1 to 3 s later from other moments, of the same window (hard) or of all windows."""

    def __init__(self, within: bool) -> None:
        super().__init__()
        self.within = within

    def prepare(self, num_targets: int) -> None:
        self.query, self.key = nn.Linear(LATENTS, 64), nn.Linear(LATENTS, 64)

    def loss(self, network: MixingEmbedder, batch: Batch) -> Tensor:
        latents = encode(network, self.corrupted(batch.moments, batch.generator))
        other = encode(network, self.corrupted(batch.moments, batch.generator))
        ahead = int(torch.randint(5, 16, (), generator=batch.generator))
        queries = F.normalize(self.query(latents[:, :-ahead:8]), dim=-1)
        keys = F.normalize(self.key(other[:, ahead::8]), dim=-1)
        if not self.within:
            queries, keys = queries.flatten(0, 1)[None], keys.flatten(0, 1)[None]
        scores = queries @ keys.mT / 0.1
        return F.cross_entropy(scores.flatten(0, 1), torch.arange(scores.shape[1]).repeat(len(scores)))

    @property
    def metric(self) -> Tensor | None:
        return None


class Mixture(Objective):
    """The first objective, and another one with a weight."""

    def __init__(self, first: Objective, second: Objective, weight: float) -> None:
        super().__init__()
        self.first, self.second, self.weight = first, second, weight

    def targets(self, cache: Cache) -> list[Tensor]:
        sides = self.first.targets(cache), self.second.targets(cache)
        self.widths = [side[0].shape[1] for side in sides]
        return [torch.cat(pair, dim=1) for pair in zip(*sides, strict=True)]

    def prepare(self, num_targets: int) -> None:
        self.first.prepare(self.widths[0])
        self.second.prepare(self.widths[1])

    def loss(self, network: MixingEmbedder, batch: Batch) -> Tensor:
        sides = batch.targets.split(self.widths, dim=-1)
        losses = [
            one.loss(network, Batch(batch.moments, side, batch.generator))
            for one, side in zip((self.first, self.second), sides, strict=True)
        ]
        return losses[0] + self.weight * losses[1]

    def after_step(self, network: MixingEmbedder, step: int) -> None:
        self.second.after_step(network, step)

    @property
    def metric(self) -> Tensor | None:
        return self.first.metric


@dataclass(frozen=True)
class Variant:
    """An experiment: its family, its objective (None: no training), and the network's sizes."""

    family: str
    objective: Callable[[], Objective] | None
    mixer: MixerConfig = field(default_factory=MixerConfig)
    fixed: Callable[[Cache], list[Tensor]] | None = None
    coded: bool = False
    """The network also reads the scene's quantile codes of every step."""
    whiten: bool = False
    steps: float = 1.0
    """Multiple of the common number of steps."""


def window_means(cache: Cache) -> list[Tensor]:
    """Means of the scene's channels over 1, 3 and 10 s, standardized: the reference of old."""
    spans = WindowsConfig(around_frames=(30, 90, 300), past_frames=(), future_frames=()).spans(STRIDE)
    scenes = [(value.float() * known)[None] for value, known in cache.scene]
    means = [torch.cat([m for m, _ in sliding_means(s, torch.ones_like(s[..., :1]), spans)], -1)[0] for s in scenes]
    together = torch.cat(means)
    return [(one - together.mean(dim=0)) / together.std(dim=0).clamp_min(1e-3) for one in means]


def fixed_summaries(config: SummariesConfig) -> Callable[[Cache], list[Tensor]]:
    return lambda cache: summaries_of(config, cache.scene)


SHORT = WindowsConfig(around_frames=(30, 90), past_frames=(30,), future_frames=(30,))
SKETCH = WindowsConfig(around_frames=(30, 90, 300), past_frames=(30,), future_frames=(30,))
LONG = WindowsConfig(around_frames=(30, 90, 300, 900), past_frames=(30, 150, 450), future_frames=(30, 150, 450))
FAR = WindowsConfig(around_frames=(300, 900), past_frames=(450,), future_frames=(450,))


def of(windows: WindowsConfig, **others: Any) -> SummariesConfig:
    return SummariesConfig(windows=windows, **others)


OPEN = {"drop_channels": 0.0, "drop_spans": 0.0}
WIDE = MixerConfig(view_dim=320, dim=256, windows_dim=160)

VARIANTS: dict[str, Variant] = {
    "means, all columns": Variant("fixed", None, fixed=window_means, whiten=True),
    "means, PCA": Variant("fixed", None, fixed=window_means, whiten=True),
    "means, PCA, equal variances": Variant("fixed", None, fixed=window_means),
    "histograms, PCA": Variant("fixed", None, fixed=fixed_summaries(of(SKETCH)), whiten=True),
    "histograms, PCA, equal variances": Variant("fixed", None, fixed=fixed_summaries(of(SKETCH))),
    "histograms to 30 s, PCA, equal variances": Variant("fixed", None, fixed=fixed_summaries(SummariesConfig())),
    "histograms with programs, PCA, equal variances": Variant(
        "fixed", None, fixed=lambda cache: summed(SummariesConfig(), codes_with_programs(cache, 0.4))
    ),
    "summary": Variant("summary", Summary),
    "summary, nothing hidden": Variant("summary", lambda: Summary(**OPEN)),
    "summary, nothing hidden, half whitened": Variant("summary", lambda: Summary(power=0.5, **OPEN)),
    "summary, nothing hidden, half whitened, wide": Variant("summary", lambda: Summary(power=0.5, **OPEN), WIDE),
    "summary, nothing hidden, two blocks": Variant("summary", lambda: Summary(**OPEN), MixerConfig(blocks=2)),
    "summary, nothing hidden, 4 x steps": Variant("summary", lambda: Summary(**OPEN), steps=4.0),
    "summary, nothing hidden, half whitened, codes read": Variant(
        "summary", lambda: Summary(power=0.5, **OPEN), coded=True
    ),
    "summary, codes read, untrained": Variant("untrained", Summary, coded=True, steps=0.0),
    "summary and programs, codes read": Variant(
        "mixture", lambda: Summary(power=0.5, programs=0.4, **OPEN), coded=True
    ),
    "summary and programs (x .8), codes read": Variant(
        "mixture", lambda: Summary(power=0.5, programs=0.8, **OPEN), coded=True
    ),
    "summary and programs, codes read, one convolution": Variant(
        "mixture", lambda: Summary(power=0.5, programs=0.4, **OPEN), MixerConfig(dilations=(1,)), coded=True
    ),
    "summary and programs, codes read, parts of 13 s": Variant(
        "mixture", lambda: Summary(power=0.5, programs=0.4, view=64, **OPEN), coded=True
    ),
    "summary and programs, codes read, parts of 6 s": Variant(
        "mixture", lambda: Summary(power=0.5, programs=0.4, view=32, **OPEN), coded=True
    ),
    "summary and programs, codes read, parts of 3 s": Variant(
        "mixture", lambda: Summary(power=0.5, programs=0.4, view=16, **OPEN), coded=True
    ),
    "summary, codes read, parts of 6 s": Variant("summary", lambda: Summary(power=0.5, view=32, **OPEN), coded=True),
    "summary, parts of 6 s": Variant("summary", lambda: Summary(power=0.5, view=32, **OPEN)),
    "summary, codes read, and masked clusters": Variant(
        "mixture", lambda: Mixture(Summary(power=0.5, **OPEN), Masked("clusters"), 0.1), coded=True
    ),
    "summary and masked clusters": Variant(
        "mixture", lambda: Mixture(Summary(power=0.5, **OPEN), Masked("clusters"), 0.1)
    ),
    "summary, more hidden": Variant("summary", lambda: Summary(drop_channels=0.2, drop_spans=0.2)),
    "summary, short windows": Variant("summary", lambda: Summary(of(SHORT)), MixerConfig(windows=SHORT)),
    "summary, to 10 s": Variant("summary", lambda: Summary(of(SKETCH)), MixerConfig(windows=SKETCH)),
    "summary, longer past and future": Variant("summary", lambda: Summary(of(LONG)), MixerConfig(windows=LONG)),
    "summary, long windows alone": Variant("summary", lambda: Summary(of(FAR))),
    "summary, three quantiles": Variant("summary", lambda: Summary(quantiles=(0.2, 0.5, 0.8))),
    "summary, half whitened": Variant("summary", lambda: Summary(power=0.5)),
    "summary, whitened": Variant("summary", lambda: Summary(power=1.0)),
    "summary, whitened, MLP": Variant("summary", lambda: Summary(power=1.0, mlp=True)),
    "summary, MLP": Variant("summary", lambda: Summary(mlp=True)),
    "summary, convolution": Variant("summary", Summary, MixerConfig(dilations=(1,))),
    "summary, two blocks": Variant("summary", Summary, MixerConfig(blocks=2)),
    "summary, wide": Variant("summary", Summary, WIDE),
    "summary, 4 x steps": Variant("summary", Summary, steps=4.0),
    "masked inputs": Variant("masked", lambda: Masked("inputs")),
    "masked clusters": Variant("masked", lambda: Masked("clusters")),
    "teacher": Variant("teacher", Teacher),
    "agreement": Variant("agreement", Agreement),
    "contrast, other windows": Variant("contrast", lambda: Contrast(within=False)),
    "contrast, own window": Variant("contrast", lambda: Contrast(within=True)),
    "forecast": Variant("forecast", Forecast),
    "programs": Variant("programs", ProgramSummary),
    "summary and programs": Variant("mixture", BothSummaries),
    "summary and forecast": Variant("mixture", lambda: Mixture(Summary(), Forecast(), 0.3)),
    "summary and masked inputs": Variant("mixture", lambda: Mixture(Summary(), Masked("inputs"), 0.3)),
    "summary and agreement": Variant("mixture", lambda: Mixture(Summary(), Agreement(), 0.01)),
    "summary and contrast": Variant("mixture", lambda: Mixture(Summary(), Contrast(within=True), 0.03)),
    "untrained": Variant("untrained", Summary, steps=0.0),
}


def train(variant: Variant, cache: Cache, seed: int, steps: int) -> tuple[MixingEmbedder, Objective, float, float]:
    """Network, objective, last mean loss, and seconds."""
    torch.manual_seed(seed)
    assert variant.objective is not None
    encoder = EncoderConfig(stride=STRIDE, latent_dim=LATENTS, directions="none", mixer=variant.mixer)
    network = MixingEmbedder(encoder, NUM_CHANNELS, 2, exchangeable=True)
    objective = variant.objective()
    targets = objective.targets(cache)
    objective.prepare(targets[0].shape[1])
    module = nn.ModuleDict({"embedder": network, "objective": objective})
    optimizer, average = make_optimizer(OPTIM, module), WeightAverage(module, OPTIM.ema_decay)
    random = np.random.default_rng(seed)
    lengths = np.array([len(one) for one in cache.moments])
    begun, smooth = time.time(), math.nan
    for step in range(steps):
        picks = random.choice(len(lengths), BATCH, p=lengths / lengths.sum())
        starts = [int(random.integers(0, lengths[pick] - WINDOW_STEPS + 1)) for pick in picks]
        cut = [slice(start, start + WINDOW_STEPS) for start in starts]
        parts = ([values[pick][part].float() for pick, part in zip(picks, cut, strict=True)]
                 for values in (cache.moments, targets))  # fmt: skip
        batch = Batch(*(torch.stack(part) for part in parts), torch.Generator().manual_seed(seed * 10**6 + step))
        set_learning_rate(optimizer, learning_rate(OPTIM, steps, step))
        loss = objective.loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        average.update(step)
        objective.after_step(network, step)
        smooth = loss.item() if math.isnan(smooth) else 0.95 * smooth + 0.05 * loss.item()
    seconds = time.time() - begun
    if steps:
        # For good: nothing is trained after this.
        with average.in_place():
            weights = {name: value.clone() for name, value in module.state_dict().items()}
        module.load_state_dict(weights)
    return network, objective, smooth, seconds


@torch.no_grad()
def embedded(network: MixingEmbedder, objective: Objective, cache: Cache) -> list[Tensor]:
    """Latents of every recording, through the readout."""
    latents = [encode(network, moments.float()[None])[0] for moments in cache.moments]
    readout = Readout(LATENTS)
    metric = objective.metric
    readout.fit(torch.cat(latents)[::2], torch.eye(LATENTS) if metric is None else metric)
    return [readout(one) for one in latents]


def compressed(columns: list[Tensor], whiten: bool) -> list[Tensor]:
    """128 principal components: as they are (the judge standardizes them), or rotated to equal variances."""
    together = torch.cat(columns)
    mean = together.mean(dim=0)
    axes = principal_axes((together - mean)[::2], LATENTS)
    points = [(one - mean) @ axes for one in columns]
    if whiten:
        return points
    covariance = torch.cov(torch.cat(points)[::2].T)
    rotation = equal_variance_rotation(covariance)
    return [one @ rotation for one in points]


def columns_of(variant: Variant, name: str, cache: Cache, seed: int, steps: int) -> tuple[list[Tensor], float, float]:
    """[step column] of every recording, last mean loss, and seconds of training."""
    if variant.fixed is not None:
        made = variant.fixed(cache)
        return (made if "all columns" in name else compressed(made, variant.whiten)), math.nan, 0.0
    if variant.coded:
        cache = with_codes(cache)
    network, objective, loss, seconds = train(variant, cache, seed, round(steps * variant.steps))
    return embedded(network, objective, cache), loss, seconds


def judged(columns: list[Tensor], store: Store, judge: Any, file: Path) -> dict[str, dict[str, float]]:
    """The judge's numbers on halves and on 31-38, of a file with one row per frame."""
    frames = np.zeros((sum(row.frames for row in store.rows), columns[0].shape[1]), np.float16)
    for row, values in zip(store.rows, columns, strict=True):
        whole = values.half().repeat_interleave(STRIDE, dim=0).numpy()
        frames[row.offset : row.offset + len(whole)] = whole
    np.save(file, frames)
    return on_both_splits(judge, judge.load(file, store.path, [], []))


def on_both_splits(judge: Any, loaded: Any) -> dict[str, dict[str, float]]:
    """The judge's numbers on halves and on 31-38; `loaded` is the result of its `load`."""
    every = list(range(1, 39))
    halves = [judge.judge(*loaded, *pair) for pair in ((every[::2], every[1::2]), (every[1::2], every[::2]))]
    later = judge.judge(*loaded, every[:30], every[30:])
    mean = {name: float(np.mean([half[name] for half in halves])) for name in halves[0]}
    return {"halves": mean, "later": {name: float(value) for name, value in later.items()}}


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown: mean over seeds, and half their range, of every variant: halves | 31-38."""
    scores = ("AP2", "S1", "S2", "F1", "four", "one")
    rows = ["| variant | family | seeds | " + " | ".join(scores) + " |", "|---" * (len(scores) + 3) + "|"]
    variants: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for line in lines:
        variants.setdefault((line["variant"], line["steps"]), []).append(line)
    for (name, _), own in variants.items():
        cells = []
        for score in scores:
            sides = (np.array([one[side][score] for one in own]) for side in ("halves", "later"))
            cells.append(
                " \\| ".join(f"{v.mean():.3f}" + (f" ± {np.ptp(v) / 2:.3f}" if len(v) > 1 else "") for v in sides)
            )
        rows.append(f"| {name} | {own[0]['family']} | {len(own)} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def load_judge(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("quick_probe", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    store, judge, results = Store(options.store), load_judge(options.judge), options.out / "results.jsonl"
    cache = cached(store, options.out)
    for name in options.variants:
        for seed in options.seeds if VARIANTS[name].fixed is None else [0]:
            key = {"variant": name, "seed": seed, "steps": options.steps}
            lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
            if any(key.items() <= line.items() for line in lines):
                continue
            columns, loss, seconds = columns_of(VARIANTS[name], name, cache, seed, options.steps)
            file = options.out / f"{name.replace(' ', '-')}-{seed}.npy"
            scores = judged(columns, store, judge, file)
            file.unlink()
            line = {**key, "family": VARIANTS[name].family, "columns": columns[0].shape[1], "loss": round(loss, 4),
                    "seconds": round(seconds), **scores}  # fmt: skip
            with results.open("a") as handle:
                handle.write(json.dumps(line) + "\n")
            print(name, seed, {side: {k: round(v, 3) for k, v in scores[side].items()} for side in scores}, flush=True)
    print(table([json.loads(line) for line in results.read_text().splitlines()]))
    print(json.dumps({"benchmark": "search_representation", "results": str(results)}))


if __name__ == "__main__":
    main()
