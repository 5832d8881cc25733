"""Recipes: named configurations to start from. Each docstring states purpose and measured scores."""

from collections.abc import Callable
from dataclasses import replace

from pretrain.config import DataConfig, LoopConfig, OptimConfig, RunConfig
from ssl_behavior.augment import AugmentConfig
from ssl_behavior.features import MABE2021_FEATURES
from ssl_behavior.labeled_windows import Sampling
from ssl_behavior.methods.conv_base import EmbeddingConfig
from ssl_behavior.methods.cpc import CPCConfig
from ssl_behavior.methods.joint import JointConfig, LabelsConfig
from ssl_behavior.methods.summary_prediction import SummaryPredictionConfig
from ssl_behavior.methods.task_programming import TaskProgrammingConfig
from ssl_behavior.methods.task_programming_conv import CPCProgramsConfig, TaskProgrammingConvConfig
from ssl_behavior.methods.task_programming_heads import HeadsConfig, TrajectoryConfig
from ssl_behavior.nn import EncoderConfig, MixerConfig
from ssl_behavior.programs import PAPER_THRESHOLDS, TASK_PROGRAMMING_2021, ProgramsConfig
from ssl_behavior.window_statistics import SummariesConfig, WindowsConfig

__all__ = [
    "RECIPES", "cpc", "cpc_mabe2021", "cpc_programs", "cpc_tiny", "finetune", "joint", "joint_mabe2021",
    "summaries", "summaries_tiny", "task_programming", "task_programming_2021", "task_programming_conv",
]  # fmt: skip


def summaries() -> RunConfig:
    """The default: 128 learned columns that summarize behavior in windows of time around every frame.

    ssl-behavior pretrain STORE --out RUN

    An encoder predicts how features and task programs are distributed in windows of time, see
    `methods.summary_prediction`.
    The embedding excludes means of the inputs and the time; `ssl-behavior embed --groups` adds them.

    On the 38 rat recordings, 5 seeds, halves: aggression and social AP .744 +- .002, with the labels of four recordings
    .733 +- .001, of one .630 +- .002 (untrained .546, .497, .423), see benchmarks/results/representation.md. Three
    minutes on two cores.
    """
    return RunConfig(
        method=SummaryPredictionConfig(),
        data=DataConfig(window_frames=3072, batch_size=4),
        optim=OptimConfig(
            optimizer="muon", lr=4e-3, betas=(0.9, 0.95), weight_decay=1e-2, warmup_steps=50, ema_decay=0.99
        ),
        steps=450,
    )


def summaries_tiny() -> RunConfig:
    """Small version of `summaries` for tests and the demo; one or two minutes on one core."""
    windows = WindowsConfig(around_frames=(30, 90, 300), past_frames=(30, 90), future_frames=(30, 90))
    encoder = EncoderConfig(
        directions="none",
        latent_dim=32,
        mixer=MixerConfig(view_dim=64, dim=64, windows_dim=32, windows=windows, codes=64),
    )
    return replace(
        summaries(),
        method=SummaryPredictionConfig(
            encoder=encoder, summaries=SummariesConfig(windows=windows, components=64), program_codes=24
        ),
        data=DataConfig(window_frames=384, batch_size=16, validation_batches=2),
        optim=replace(summaries().optim, warmup_steps=20, ema_decay=0.98),
        loop=LoopConfig(validate_every=100),
        steps=300,
    )


def cpc() -> RunConfig:
    """Two-directional contrastive predictive coding (arXiv:1807.03748) on dyads at about 30 frames per second.

    ssl-behavior pretrain STORE --out RUN --recipe cpc

    On the 38 rat recordings: two and a half minutes on two cores with bf16; frozen linear probe on held-out recordings
    S1 macro AP .766 +- .001 over 3 seeds (untrained .748), see benchmarks/results/quality_rats.md.
    """
    return RunConfig(
        method=CPCConfig(),
        data=DataConfig(window_frames=768, batch_size=24),
        optim=OptimConfig(lr=2e-3, betas=(0.9, 0.95), weight_decay=1e-2, warmup_steps=50, ema_decay=0.998),
        steps=800,
    )


def cpc_tiny() -> RunConfig:
    """Small version of `cpc` for tests and the demo; about a minute on the CPU."""
    encoder = EncoderConfig(latent_dim=32, embedder_dim=48, embedder_kernels=(3,), contexter_dim=64)
    return replace(
        cpc(),
        method=CPCConfig(encoder=encoder, horizons_frames=(24, 48, 72), key_dim=32),
        data=DataConfig(window_frames=384, batch_size=16, validation_batches=2),
        optim=OptimConfig(lr=2e-3, warmup_steps=20),
        loop=LoopConfig(validate_every=100),
        steps=300,
    )


def cpc_mabe2021() -> RunConfig:
    """Encoder size and features of the MABe 2021 Task 1 winner, trained without labels, for comparison and speed.

    13 M parameters, causal, undilated, 32 windows of 512 frames, seven horizons of 32 to 224 frames, negatives from
    other sequences only, MADGRAD with a cosine. Departures: true horizons, every step is an anchor, and the loss has
    no labels (theirs added cross-entropies to CPC). Their final learning rate is unknown.
    """
    return RunConfig(
        method=_mabe2021_method(),
        data=DataConfig(window_frames=512, batch_size=32),
        optim=OptimConfig(optimizer="madgrad", lr=1e-3, weight_decay=1e-5, warmup_steps=200),
        steps=34_000,
    )


def _mabe2021_method() -> CPCConfig:
    encoder = EncoderConfig(
        stride=1,
        animals="first",
        latent_dim=128,
        embedder_dim=128,
        embedder_kernels=(1, 1, 3, 3, 3),
        contexter_dim=512,
        contexter_kernel=3,
        contexter_second_kernel=3,
        contexter_dilations=(1,) * 8,
        directions="forward",
    )
    return CPCConfig(
        features=MABE2021_FEATURES,
        augment=AugmentConfig(reflect=0.0, drop_keypoints=0.0),
        encoder=encoder,
        horizons_frames=(32, 64, 96, 128, 160, 192, 224),
        key_dim=128,
        temperature=0.07,
        embedding=EmbeddingConfig(feature_window_frames=()),
    )


def task_programming() -> RunConfig:
    """The paper's trajectory autoencoder on any two animals: windows of 21 frames, a code of 32, its six programs.

    Quantiles of the training recordings split values into classes. The likelihood is divided by its number of terms
    (20 steps of about 18 values): with the paper's weights, the contrast of the programs has almost no gradient.
    `task_programming_2021` has the paper's thresholds and weights. On the 38 rat recordings, 3 seeds: S1 .594 +- .036,
    S2 .066 +- .008, far behind the convolutions; beside keypoints its 32 columns help the CalMS21 paper's 1-D
    convolution there (aggression and social: AP .358 to .469), see benchmarks/results/ablation_programs.md.
    """
    method = TaskProgrammingConfig(
        programs=ProgramsConfig(names=TASK_PROGRAMMING_2021),
        likelihood=1 / 360,
        kl=1 / 360,
        consistency=0.5,
        heads=HeadsConfig(regression=0.0, classification=0.0, contrastive=1.0),
    )
    return RunConfig(
        method=method,
        data=DataConfig(window_frames=105, batch_size=26),
        optim=OptimConfig(lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0, warmup_steps=50, clip_norm=10.0),
        steps=800,
    )


def task_programming_2021() -> RunConfig:
    """The paper's configuration for CalMS21 as far as published: thresholds in pixels, Adam at 2e-4, 300 epochs.

    Six million frames in windows of 21 and batches of 130 make 2,200 steps an epoch. Departures: see
    `ssl_behavior.methods.task_programming`.
    """
    programs = ProgramsConfig(names=TASK_PROGRAMMING_2021, units="px", thresholds=PAPER_THRESHOLDS)
    optim = OptimConfig(
        lr=2e-4, betas=(0.9, 0.999), weight_decay=0.0, warmup_steps=0, schedule="constant", clip_norm=10.0
    )
    return replace(task_programming(), method=TaskProgrammingConfig(programs=programs), optim=optim, steps=660_000)


_HEADS = HeadsConfig(regression=1.0, classification=0.5, contrastive=0.1)
_TRAJECTORY = TrajectoryConfig(likelihood=1.0, kl=1.0, consistency=0.5)


def task_programming_conv() -> RunConfig:
    """Task programming on the convolution stacks of `cpc`: programs are the only objective.

    On the 38 rat recordings, 3 seeds: S1 macro AP .760 +- .001, S2 .241 +- .004 (cpc: .766 +- .001, .221 +- .003), see
    benchmarks/results/ablation_programs.md.
    """
    return replace(cpc(), method=TaskProgrammingConvConfig(heads=_HEADS, trajectory=_TRAJECTORY))


def cpc_programs() -> RunConfig:
    """Task programming together with contrastive prediction on one encoder.

    On the 38 rat recordings, 3 seeds: S1 macro AP .760 +- .002, S2 .230 +- .003: on both below the better of the two
    methods alone, see benchmarks/results/ablation_programs.md.
    """
    return replace(cpc(), method=CPCProgramsConfig(heads=_HEADS, trajectory=_TRAJECTORY, cpc=0.1))


def joint() -> RunConfig:
    """Labels and tracks together: the encoder of `cpc` predicts the future of every window, and labels where known.

    ssl-behavior pretrain STORE --out RUN --recipe joint --split FILE --init CPC_RUN

    Best from a run of `cpc`. The learning rate of the heads is twenty times that of the encoder, and half of each
    probability comes from a linear reading. On the rats (tracks and labels of 01-30, scored on 31-38), 3 seeds:
    aggression and social AP .671 +- .005, balanced F1 .622 +- .004; S1 AP .769 +- .001, S2 .244 +- .015 (the same
    encoders frozen, linear: .661 +- .004, .598 +- .003, .759 +- .002, .213 +- .001), see
    benchmarks/results/benchmark_rats.md. With more labels than these half a million frames, more --steps may help: 400
    are no better here (.665, S2 .228).
    """
    return replace(
        cpc(),
        method=_joint_method(cpc=0.5),
        data=DataConfig(window_frames=768, batch_size=24, sampling=Sampling(labeled_share=0.5)),
        optim=replace(cpc().optim, lr=5e-4, heads_lr=20.0),
        loop=LoopConfig(validate_every=50),
        steps=200,
    )


def _joint_method(cpc: float) -> JointConfig:
    return JointConfig(labels=LabelsConfig(balanced=False, smoothing=0.1, dropout=0.3, linear=0.5), cpc=cpc)


def finetune() -> RunConfig:
    """Labels alone, from the encoder of another run (--init RUN) or from scratch.

    ssl-behavior pretrain STORE --out RUN --recipe finetune --init PRETRAINED --split FILE

    On the rats (labels of 01-30, scored on 31-38), 3 seeds, S1 alone: aggression and social AP .675 +- .006, S1
    macro AP .769 +- .002. Linear heads on the same frozen encoders have .661 +- .004 and .759 +- .002, see
    benchmarks/results/benchmark_rats.md.
    """
    recipe = joint()
    sampling = replace(recipe.data.sampling, labeled_share=1.0)
    return replace(recipe, method=_joint_method(cpc=0.0), data=replace(recipe.data, sampling=sampling))


def joint_mabe2021() -> RunConfig:
    """The MABe 2021 Task 1 and 2 winner as published (B. Wild): size and features of its encoder, 14 M parameters.

    Batches of 32 windows of 512 frames: 16 from all recordings, 8 from recordings with labels, 8 with one for each
    head. Weights: CPC 1, cross-entropy 1 on the four classes and .1 on each behavior of Task 3; classes are balanced,
    smoothing is .2 toward the class prior. Time and wall distances enter as plain floats, the head reads contexts, the
    optimizer is MADGRAD with a cosine.

    Departures: true horizons; every step is an anchor; padding instead of cropping; AP without background, not F1,
    chooses the checkpoint of each task, on 10 % of the labeled recordings, not 15 %; labels of these are in no class
    weight; the cross-entropy is a mean over the frames of each task; initial weights are Kaiming fan-in, not fan-out;
    200 steps of warm-up; gradients clipped to a norm of 1; no decay on biases and norms; unknown annotators count as
    one more annotator. The learning rate of their final run is unknown (the default of the code was .01 for SGD); ours
    is 1e-3.

    Published: Task 1 macro F1 .864, AP .914; Task 2 .809, .857 (means over 5 runs). Their unlabeled pool was the tracks
    of the test recordings, which our benchmark excludes unless --transductive.
    """
    base, alone = cpc_mabe2021(), _mabe2021_method()
    labels = LabelsConfig(binary_weight=0.1, smoothing=0.2, reads="contexts", hidden_dim=0, scale=False)
    method = JointConfig(
        features=alone.features,
        augment=alone.augment,
        encoder=alone.encoder,
        horizons_frames=alone.horizons_frames,
        key_dim=alone.key_dim,
        temperature=alone.temperature,
        embedding=EmbeddingConfig(feature_window_frames=(), extras=("time", "walls")),
        labels=labels,
    )
    sampling = Sampling(labeled_share=0.5)
    return replace(base, method=method, data=replace(base.data, sampling=sampling))


RECIPES: dict[str, Callable[[], RunConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        summaries,
        summaries_tiny,
        cpc,
        cpc_tiny,
        cpc_mabe2021,
        task_programming,
        task_programming_2021,
        task_programming_conv,
        cpc_programs,
        joint,
        finetune,
        joint_mabe2021,
    )
}
