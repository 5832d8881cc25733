"""Contract of every method in METHODS, for any configuration."""

from copy import deepcopy
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from ssl_behavior.augment import AugmentConfig
from ssl_behavior.checkpoint import load_checkpoint, save_checkpoint
from ssl_behavior.features import FEATURE_BLOCKS, FeatureConfig
from ssl_behavior.labeled_windows import LabeledBatch, LabeledReader, Sampling, StreamFacts
from ssl_behavior.methods import METHODS, CPCConfig, group_slices
from ssl_behavior.methods.conv_base import EmbeddingConfig
from ssl_behavior.methods.joint import JointConfig, LabelsConfig
from ssl_behavior.methods.summary_prediction import SummaryPredictionConfig, SummaryTargetsConfig
from ssl_behavior.methods.task_programming import TaskProgrammingConfig
from ssl_behavior.methods.task_programming_conv import CPCProgramsConfig, TaskProgrammingConvConfig
from ssl_behavior.methods.task_programming_heads import HeadsConfig, TrajectoryConfig
from ssl_behavior.nn import EncoderConfig, MixerConfig
from ssl_behavior.pose_geometry import SceneConfig
from ssl_behavior.recording import Labels
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.trajectory_coder import StateConfig
from ssl_behavior.window_statistics import SummariesConfig, WindowsConfig
from ssl_behavior.windows import WindowReader, recording_window

FRAMES = 79

ENCODER = EncoderConfig(
    stride=1, latent_dim=5, embedder_dim=7, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1, 2)
)
FEATURES = FeatureConfig(
    blocks=("pose", "relation", "motion", "visibility"), lags_frames=(1, 3),
    scene=SceneConfig(fill_gap_frames=2, hold_frames=3),
)  # fmt: skip
SMALL = CPCConfig(
    features=FEATURES, encoder=ENCODER, horizons_frames=(2, 6), key_dim=3,
    augment=AugmentConfig(reflect=0.5, swap=0.5, drop_keypoints=0.1, drop_frames=4, jitter_px=1.0),
)  # fmt: skip
TAUGHT = {
    "features": FEATURES, "encoder": ENCODER, "context_horizons_frames": (0, 6),
    "augment": AugmentConfig(reflect=0.5, swap=0.5, drop_keypoints=0.1, drop_frames=4, rotate=0.5, translate=0.5),
    "heads": HeadsConfig(regression=1.0, classification=0.5, contrastive=0.1, projection_dim=4),
    "trajectory": TrajectoryConfig(
        likelihood=1.0, consistency=0.5, latent_dim=4, frames=9, steps_per_window=7, hidden_dim=13
    ),
}  # fmt: skip
WINDOWED = TaskProgrammingConfig(
    state=StateConfig(pose_components=3, scene=SceneConfig(fill_gap_frames=2, hold_frames=3)),
    augment=AugmentConfig(reflect=0.5, swap=0.5, drop_keypoints=0.1, drop_frames=4, rotate=0.5, jitter_px=1.0),
    heads=HeadsConfig(regression=0.5, classification=0.5, contrastive=0.5, projection_dim=4),
    window_frames=11, gru_dim=7, fc_dim=5, latent_dim=3,
)  # fmt: skip
STREAMS = {"what": ("attack", "mount", "other"), "groom": ("other", "groom")}
LABELS = LabelsConfig(
    streams=tuple(StreamFacts(name=name, classes=classes, background="other") for name, classes in STREAMS.items()),
    annotators=("1", "2"), hidden_dim=6,
)  # fmt: skip
JOINT = JointConfig(
    features=FEATURES, encoder=ENCODER, augment=SMALL.augment, horizons_frames=(2, 6), key_dim=3, labels=LABELS,
    cpc=0.7, embedding=EmbeddingConfig(feature_window_frames=(7,), extras=("time", "walls")),
)  # fmt: skip
WINDOWS = WindowsConfig(around_frames=(3, 11), past_frames=(4,), future_frames=(6,))
SUMMARIES = SummaryPredictionConfig(
    features=FEATURES,
    encoder=EncoderConfig(
        stride=2, latent_dim=5, directions="none",
        mixer=MixerConfig(view_dim=7, dim=6, windows_dim=4, dilations=(1,), blocks=2, windows=WINDOWS,
                          quantiles=(0.25, 0.75), codes=9),
    ),
    augment=AugmentConfig(reflect=0.5, swap=0.5, jitter_px=1.0),
    summaries=SummariesConfig(windows=WINDOWS, components=8),
    drop_channels=0.3, drop_spans=0.3, span_frames=5, every_steps=3, part_frames=15,
)  # fmt: skip
EVERY_BLOCK = tuple(name for name in FEATURE_BLOCKS if name != "all_distances")

CASES = {
    "cpc": ("cpc", "calms21", SMALL),
    "cpc exchangeable": ("cpc", "rat_dyads", SMALL),
    "cpc stride 3": ("cpc", "calms21", replace(SMALL, encoder=replace(ENCODER, stride=3), horizons_frames=(3, 6))),
    "cpc stride 4, nothing filled": (
        "cpc", "calms21",
        replace(
            SMALL, encoder=replace(ENCODER, stride=4), horizons_frames=(4, 8),
            features=replace(FEATURES, scene=SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0)),
        ),
    ),
    "cpc forward": ("cpc", "calms21", replace(SMALL, encoder=replace(ENCODER, directions="forward"))),
    "cpc backward": ("cpc", "calms21", replace(SMALL, encoder=replace(ENCODER, directions="backward"))),
    "cpc first animal": ("cpc", "calms21", replace(SMALL, encoder=replace(ENCODER, animals="first"))),
    "cpc without own negatives": ("cpc", "calms21", replace(SMALL, own_negatives_every=0)),
    "cpc with components": (
        "cpc", "calms21",
        replace(SMALL, features=replace(FEATURES, blocks=("pose", "distances"), distance_components=3)),
    ),
    "cpc with everything": (
        "cpc", "calms21",
        replace(
            SMALL, features=replace(FEATURES, blocks=EVERY_BLOCK), encoder=replace(ENCODER, stride=2),
            embedding=EmbeddingConfig(latent_window_frames=(5, 11), feature_window_frames=(7,), extras=("time",)),
        ),
    ),
    "programs": ("task_programming_conv", "calms21", TaskProgrammingConvConfig(**TAUGHT)),
    "programs exchangeable": ("task_programming_conv", "rat_dyads", TaskProgrammingConvConfig(**TAUGHT)),
    "programs stride 3, decoded only": (
        "task_programming_conv", "calms21",
        TaskProgrammingConvConfig(
            features=FEATURES, encoder=replace(ENCODER, stride=3, directions="forward"), context_horizons_frames=(3,),
            heads=HeadsConfig(regression=0.0, classification=1.0, contrastive=0.0),
        ),
    ),
    "cpc and trajectories": (
        "cpc_programs", "rat_dyads",
        CPCProgramsConfig(
            features=FEATURES, encoder=ENCODER, context_horizons_frames=(), horizons_frames=(4,), key_dim=3,
            heads=HeadsConfig(regression=0.0, classification=0.0, contrastive=1.0),
            trajectory=TrajectoryConfig(likelihood=1.0, consistency=1.0, latent_dim=4, frames=9, steps_per_window=5),
        ),
    ),
    "programs and cpc": ("cpc_programs", "calms21", CPCProgramsConfig(**TAUGHT, horizons_frames=(2, 6), key_dim=3)),
    "programs and cpc exchangeable": (
        "cpc_programs", "rat_dyads", CPCProgramsConfig(**TAUGHT, horizons_frames=(2, 6), key_dim=3)
    ),
    "summaries": ("summaries", "calms21", SUMMARIES),
    "summaries exchangeable": ("summaries", "rat_dyads", SUMMARIES),
    "summaries and averages": (
        "summaries", "rat_dyads",
        replace(
            SUMMARIES, encoder=replace(SUMMARIES.encoder, stride=1), drop_channels=0.0, drop_spans=0.0,
            embedding=EmbeddingConfig(feature_window_frames=(7,), extras=("time",)),
        ),
    ),
    "joint": ("joint", "calms21", JOINT),
    "joint with summaries": (
        "joint", "rat_dyads",
        replace(
            JOINT, cpc=0.0, summary=0.5, encoder=SUMMARIES.encoder,
            targets=SummaryTargetsConfig(summaries=SUMMARIES.summaries, program_codes=6, every_steps=2),
        ),
    ),
    "joint exchangeable": ("joint", "rat_dyads", JOINT),
    "labels alone": (
        "joint", "calms21",
        replace(JOINT, cpc=0.0, encoder=replace(ENCODER, stride=3), labels=replace(LABELS, reads="contexts")),
    ),
    "recurrent": ("task_programming", "calms21", WINDOWED),
    "recurrent exchangeable": ("task_programming", "rat_dyads", WINDOWED),
    "recurrent, contrast only": (
        "task_programming", "calms21",
        replace(
            WINDOWED, likelihood=0.0, consistency=0.0, augmented=0.0,
            heads=HeadsConfig(regression=0.0, classification=0.0, contrastive=1.0),
        ),
    ),
    "recurrent, likelihood only": (
        "task_programming", "rat_dyads",
        replace(
            WINDOWED, augmented=0.0, consistency=0.0, extras=(),
            heads=HeadsConfig(regression=0.0, classification=0.0, contrastive=0.0),
        ),
    ),
    "recurrent, consistency only": (
        "task_programming", "rat_dyads",
        replace(
            WINDOWED, likelihood=0.0, kl=0.0,
            heads=HeadsConfig(regression=0.0, classification=0.0, contrastive=0.0),
        ),
    ),
}  # fmt: skip


_FITTED = {}
"""Case -> its method and reader, fitted once; every test gets a copy of the method."""


@pytest.fixture(params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request, dyad, tmp_path_factory):
    """A fitted method, its reader, and a batch with missing points and padding, in float64."""
    name, skeleton, config = CASES[request.param]
    if request.param not in _FITTED:
        lengths = (211, 157, 61)
        recordings = [dyad(f"r{n}", n, skeleton, n, missing=0.15, labels=labels_of(n)) for n in lengths]
        store = write_store(tmp_path_factory.mktemp("store") / "s", recordings)
        reader = reader_of(store, config)
        torch.manual_seed(0)
        method = METHODS[name](config, SKELETONS[skeleton], 30.0)
        method.fit_inputs(reader)
        _FITTED[request.param] = method, reader
    method, reader = _FITTED[request.param]
    batch = reader.read([(0, 0, FRAMES), (0, 90, FRAMES), (1, 40, FRAMES), (2, 0, FRAMES), (1, 0, FRAMES)])
    return deepcopy(method), reader, batch.to("cpu", torch.float64)


def labels_of(frames):
    """Labels of some frames, by one annotator of two."""
    who = str(1 + frames % 4 // 3)
    return {
        name: Labels(
            vocabulary=classes, frames=(np.arange(frames) + frames) // 7 % (len(classes) + 1) - 1, annotator=who,
            background="other",
        )
        for name, classes in STREAMS.items()
    }  # fmt: skip


def reader_of(store, config):
    """Windows of a store, with labels for a method that learns them."""
    sources = [(store, row) for row in store.rows]
    if not hasattr(config, "labels"):
        return WindowReader(sources, FRAMES)
    labeled = {(str(store.path), row.id) for row in store.rows}
    return LabeledReader(sources, FRAMES, labeled, config.labels, Sampling())


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_gradient_reaches_every_parameter(case):
    method, _, batch = case
    method.loss(batch, generator()).total.backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_the_loss_is_finite_and_names_its_parts(case):
    method, _, batch = case
    terms = method.loss(batch, generator())
    torch.testing.assert_close(terms.total, torch.stack(list(terms.terms.values())).sum())
    assert torch.isfinite(terms.total) and terms.total > 0
    assert terms.metrics and all(torch.isfinite(v).all() and not v.requires_grad for v in terms.metrics.values())


def test_equal_generators_give_equal_losses(case):
    method, _, batch = case
    one, two = (method.loss(batch, generator(5)).total for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(one, method.loss(batch, generator(6)).total)
    assert torch.equal(method.loss(batch, None).total, method.loss(batch, None).total)


def test_embeddings_are_deterministic_finite_and_have_embedding_dim_columns(case):
    method, _, batch = case
    method.eval()
    torch.manual_seed(1)
    one = method.embed(batch)
    torch.manual_seed(2)
    assert torch.equal(one, method.embed(batch)) and torch.isfinite(one).all()
    assert one.shape == (len(batch), FRAMES, method.embedding_dim)
    assert sum(method.channel_groups.values()) == method.embedding_dim


def test_the_learned_columns_are_those_that_training_changes(case):
    method, _, batch = case
    fresh, given = method.fresh(1), set(method.channel_groups) - set(method.learned_groups)
    changed = (fresh.eval().embed(batch) != method.eval().embed(batch)).flatten(0, 1).any(dim=0)
    for name, columns in group_slices(method.channel_groups).items():
        assert not changed[columns].any() if name in given else changed[columns].all(), name
    assert method.learned(method.embed(batch)).shape[-1] == method.learned_dim == int(changed.sum())


def test_with_groups_adds_unlearned_groups(case):
    method, _, batch = case
    method.eval()
    names = ["features_12_frames", "time", "walls"]
    more = method.with_groups(names)
    if not method.more_groups:
        assert more is method
        return
    assert {*names} <= {*more.channel_groups} and more.learned_groups == method.learned_groups
    assert more.fingerprint() == method.fingerprint() and more.embedding_dim == sum(more.channel_groups.values())
    with torch.no_grad():
        wide, own = more.embed(batch), method.embed(batch)
    assert wide.shape[-1] == more.embedding_dim
    columns, before = group_slices(more.channel_groups), group_slices(method.channel_groups)
    for name in before:
        assert torch.equal(wide[..., columns[name]], own[..., before[name]]), name


def test_save_and_load_are_bit_exact(case, tmp_path):
    method, _, batch = case
    save_checkpoint(tmp_path / "model", method.eval())
    loaded = load_checkpoint(tmp_path / "model")
    assert type(loaded) is type(method) and loaded.config == method.config
    assert loaded.fingerprint() == method.fingerprint()
    assert torch.equal(loaded.embed(batch), method.embed(batch)) and loaded.receptive_field == method.receptive_field


def test_fresh_method_has_new_weights_and_the_same_fitted_inputs(case):
    method, _, batch = case
    torch.manual_seed(3)
    state = torch.get_rng_state()
    fresh, again = method.fresh(1), method.fresh(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert fresh.fingerprint() == again.fingerprint() != method.fingerprint()
    for name in method.fitted_modules:
        kept, fitted = (getattr(one, name).state_dict() for one in (fresh, method))
        assert all(torch.equal(kept[key], value) for key, value in fitted.items())
    assert not torch.equal(fresh.embed(batch), method.embed(batch))


def test_values_in_padding_or_under_the_mask_never_matter(case):
    method, _, batch = case
    noise = torch.randn(batch.keypoints.shape, generator=generator()) * 300
    garbage = replace(batch, keypoints=torch.where(batch.observed.unsqueeze(-1), batch.keypoints, noise))
    torch.testing.assert_close(method.loss(garbage, None).total, method.loss(batch, None).total, rtol=0.0, atol=0.0)
    torch.testing.assert_close(method.embed(garbage), method.embed(batch), rtol=0.0, atol=0.0)
    padded = replace(garbage, observed=batch.observed | ~batch.valid[..., None, None])
    assert not torch.equal(padded.observed, batch.observed)
    embedded, expected = method.embed(padded), method.embed(batch)
    torch.testing.assert_close(embedded[batch.valid], expected[batch.valid], rtol=0.0, atol=0.0)


def test_padded_window_equals_the_unpadded_recording(case):
    method, reader, _ = case
    alone = reader.read([(2, 0, 61)]).to("cpu", torch.float64)
    padding = 4 * method.alignment
    padded = reader.read([(2, -padding, 61 + padding + 7)]).to("cpu", torch.float64)
    inside = method.embed(padded)[:, padding : padding + 61]
    torch.testing.assert_close(inside, method.embed(alone), rtol=0.0, atol=1e-12)


def test_windows_of_a_batch_are_independent(case):
    method, _, batch = case
    together = method.embed(batch)
    for i in range(len(batch)):
        torch.testing.assert_close(method.embed(batch.part(i, i + 1)), together[i : i + 1], rtol=0.0, atol=1e-12)


def test_embeddings_depend_only_on_their_receptive_field(case):
    method, _, batch = case
    before, after = method.receptive_field
    batch = batch.part(1, 2)
    base = method.embed(batch)
    for frame in (11, 40, 66):
        keypoints, observed = batch.keypoints.clone(), batch.observed.clone()
        keypoints[0, frame] += torch.randn(keypoints.shape[2:], generator=generator()) * 90
        observed[0, frame] = ~observed[0, frame]
        other = method.embed(replace(batch, keypoints=keypoints * observed.unsqueeze(-1), observed=observed))
        touched = (other != base)[0].any(-1).nonzero().flatten()
        assert len(touched) and touched.min() >= frame - after and touched.max() <= frame + before


def test_embeddings_ignore_the_order_of_exchangeable_animals(case):
    method, _, batch = case
    difference = (method.embed(batch.swapped()) - method.embed(batch)).abs()
    if method.skeleton.exchangeable:
        assert difference.max() < 1e-12
        torch.testing.assert_close(method.loss(batch.swapped(), None).total, method.loss(batch, None).total)
    else:
        assert difference.max() > 1e-3


@pytest.mark.parametrize("frames", [1, 3])
def test_one_frame_and_unobserved_recordings_have_embeddings(case, frames, dyad):
    method, _, _ = case
    name = method.skeleton.name
    for recording in (dyad(frames=frames, skeleton=name), replace_all(dyad(frames=FRAMES, skeleton=name))):
        batch = recording_window(recording, 0, recording.num_frames).to("cpu", torch.float64)
        assert torch.isfinite(method.embed(batch)).all()


def test_unobserved_batch_has_zero_loss(case, dyad):
    method, _, _ = case
    recording = replace_all(dyad(frames=FRAMES, skeleton=method.skeleton.name))
    batch = recording_window(recording, 0, FRAMES).to("cpu", torch.float64)
    if hasattr(method.config, "labels"):
        batch = without_labels(batch, len(method.config.labels.streams))
    total = method.loss(batch, generator()).total
    total.backward()
    assert total == 0 and all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


def without_labels(batch, num_streams):
    labels = torch.full((*batch.valid.shape, num_streams), -1)
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return LabeledBatch(**values, labels=labels, annotator=torch.zeros(len(batch), dtype=torch.int64))


def replace_all(recording):
    return replace(recording, keypoints=np.full_like(recording.keypoints, np.nan))
