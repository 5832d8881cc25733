"""Invariances of the features, and the meaning of their masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior.augment import reflect
from ssl_behavior.errors import InputError
from ssl_behavior.features import FEATURE_BLOCKS, MABE2021_FEATURES, FeatureConfig, Featurizer
from ssl_behavior.pose_geometry import SceneConfig
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader, recording_window

LAGS, SPEED_LAGS = (1, 5), (2,)
SCALE = 60.0
OFF = SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0)
SKELETON_NAMES = ("calms21", "rat_dyads")
BLOCKS = list(FEATURE_BLOCKS)


def config_of(*blocks, scene=None, **fields):
    scene = scene or SceneConfig(fill_gap_frames=3, hold_frames=4, max_jump=1.5)
    return FeatureConfig(blocks=blocks, lags_frames=LAGS, speed_lags_frames=SPEED_LAGS, scene=scene, **fields)


def featurizer_of(skeleton, *blocks, scale=SCALE, **fields):
    featurizer = Featurizer(config_of(*blocks, **fields), SKELETONS[skeleton])
    featurizer.scale_px.fill_(scale)
    return featurizer


def masked(featurizer, batch):
    values, known = featurizer.raw_channels(batch)
    assert torch.isfinite(values).all()
    return values.masked_fill(~known, 0.0), known


def moved(batch, matrix=None, shift=(0.0, 0.0)):
    matrix, shift = torch.eye(2) if matrix is None else matrix, torch.tensor(shift)
    keypoints = (batch.keypoints @ matrix.T + shift) * batch.observed.unsqueeze(-1)
    return replace(batch, keypoints=keypoints, arena=batch.arena + shift.repeat(2))


def hide(batch, mask):
    return replace(batch, observed=batch.observed & ~mask, keypoints=batch.keypoints * ~mask.unsqueeze(-1))


@pytest.fixture(params=SKELETON_NAMES)
def scene(request, dyad, batch_of):
    """Two windows with gaps, short and long, of a skeleton."""
    name = request.param
    parts = [dyad(f"r{seed}", 61, name, seed, missing=0.15) for seed in range(2)]
    batch = batch_of(*parts)
    long_gap = torch.zeros_like(batch.observed)
    long_gap[0, 20:41, 0] = True
    return name, hide(batch, long_gap)


@pytest.mark.parametrize("block", BLOCKS)
def test_moving_the_scene_changes_nothing(block, scene):
    name, batch = scene
    featurizer = featurizer_of(name, block)
    torch.testing.assert_close(masked(featurizer, moved(batch, shift=(-170.0, 91.0))), masked(featurizer, batch))


@pytest.mark.parametrize("angle", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("block", [name for name in BLOCKS if name not in ("raw", "walls")])
def test_turning_the_scene_changes_nothing(block, angle, scene):
    name, batch = scene
    featurizer = featurizer_of(name, block)
    turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    torch.testing.assert_close(masked(featurizer, moved(batch, turn)), masked(featurizer, batch))


@pytest.mark.parametrize("block", BLOCKS)
def test_all_lengths_are_in_body_lengths(block, scene):
    name, batch = scene
    twice = replace(batch, keypoints=batch.keypoints * 2, arena=batch.arena * 2)
    expected = masked(featurizer_of(name, block), batch)
    torch.testing.assert_close(masked(featurizer_of(name, block, scale=2 * SCALE), twice), expected)


@pytest.mark.parametrize("block", BLOCKS)
def test_swapping_the_animals_swaps_the_points_of_view(block, scene):
    name, batch = scene
    featurizer = featurizer_of(name, block)
    values, known = masked(featurizer, batch)
    torch.testing.assert_close(masked(featurizer, batch.swapped()), (values.flip(2), known.flip(2)), rtol=0.0, atol=0.0)


def mirror_image(block, values, skeleton):
    """What the mirror law says of a block: left and right keypoints exchanged, y reversed."""
    order, n = skeleton.mirror_order(), skeleton.num_keypoints
    across = torch.tensor([1.0, -1.0])

    def points(part):
        return (part.unflatten(-1, (-1, n, 2))[..., order, :] * across).flatten(-3)

    def within(part):
        i, j = torch.tril_indices(n, n, offset=-1)
        square = torch.zeros(*part.shape[:-1], n, n)
        square[..., i, j] = square[..., j, i] = part
        return square[..., order, :][..., order][..., i, j]

    def pairs(part):
        between = part[..., : n * n].unflatten(-1, (n, n))[..., order, :][..., order].flatten(-2)
        rest = part[..., n * n :].split(n * (n - 1) // 2, dim=-1)
        return torch.cat([between, *(within(each) for each in rest)], dim=-1)

    def places(part):
        x, y = part.unflatten(-1, (2, n, 2))[..., order, :].unbind(-1)
        return torch.stack([1 - x, y], dim=-1).flatten(-3)

    def sign(*signs):
        return lambda part: part * torch.tensor(signs).double().repeat(part.shape[-1] // len(signs))

    def visible(part):
        seen = part[..., : 2 * n].unflatten(-1, (2, n))[..., order].flatten(-2)
        return torch.cat([seen, part[..., 2 * n :]], dim=-1)

    laws = {
        "pose": points, "other_pose": points, "other_own_pose": points, "distances": pairs, "all_distances": pairs,
        "raw": places,
        "visibility": visible, "speeds": lambda part: part[..., order], "time": sign(1),
        "relation": sign(1, 1, -1, 1, -1, 1, -1), "motion": sign(1, -1, 1, -1, 1, -1, 1),
        "walls": sign(1, 1, 1, -1), "mabe2021_social": sign(1, 1, -1, 1, -1, 1, 1, -1, 1),
    }  # fmt: skip
    return laws[block](values)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_mirrored_scene_has_mirrored_features(block, scene):
    name, batch = scene
    featurizer = featurizer_of(name, block)
    values, known = masked(featurizer, batch)
    image = reflect(batch, torch.tensor([True, True]), SKELETONS[name])
    expected = mirror_image(block, values, SKELETONS[name])
    if block == "raw":
        expected = expected * (expected != 1.0)
    got, got_known = masked(featurizer, image)
    torch.testing.assert_close(got, expected * got_known, atol=1e-6, rtol=1e-6)
    assert got_known.sum() == known.sum()


@pytest.mark.parametrize("block", BLOCKS)
def test_values_under_the_mask_never_matter(block, scene):
    name, batch = scene
    featurizer = featurizer_of(name, block)
    noise = torch.randn(batch.keypoints.shape, generator=torch.Generator().manual_seed(0)) * 300
    garbage = replace(batch, keypoints=torch.where(batch.observed.unsqueeze(-1), batch.keypoints, noise))
    torch.testing.assert_close(masked(featurizer, garbage), masked(featurizer, batch), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("block", BLOCKS)
def test_hiding_a_point_changes_only_what_becomes_masked(block, dyad, batch_of):
    batch = batch_of(dyad(frames=37))
    featurizer = featurizer_of("calms21", block, scene=OFF)
    before, known_before = featurizer.raw_channels(batch)
    for keypoint in range(7):
        mask = torch.zeros_like(batch.observed)
        mask[0, 17, 1, keypoint] = True
        after, known = featurizer.raw_channels(hide(batch, mask))
        assert torch.isfinite(after).all() and not (known & ~known_before).any()
        if block == "visibility":
            assert (after != before).sum() >= 2
        elif block != "mabe2021_social":
            torch.testing.assert_close(after[known], before[known], rtol=0.0, atol=0.0)
        standardized = featurizer(hide(batch, mask))
        assert not standardized[~known].any() and torch.isfinite(standardized).all()


@pytest.mark.parametrize("name", SKELETON_NAMES)
@pytest.mark.parametrize("block", BLOCKS)
def test_coinciding_animals_and_points_give_finite_features(block, name, dyad, batch_of):
    batch = batch_of(dyad(frames=23, skeleton=name))
    same = batch.keypoints[:, :, :1].expand_as(batch.keypoints)
    point = torch.full_like(batch.keypoints, 31.0)
    nowhere = torch.zeros_like(batch.observed)
    for other in (replace(batch, keypoints=same), replace(batch, keypoints=point), hide(batch, ~nowhere)):
        featurizer = featurizer_of(name, block)
        assert torch.isfinite(featurizer.raw_channels(other)[0]).all() and torch.isfinite(featurizer(other)).all()


def test_nothing_observed_is_the_mean_everywhere(dyad, batch_of):
    batch = batch_of(dyad(frames=23))
    featurizer = featurizer_of("calms21", "pose", "other_pose", "distances", "relation", "motion", "speeds", "walls")
    featurizer.mean.normal_(), featurizer.std.uniform_(1, 2)
    assert not featurizer(hide(batch, torch.ones_like(batch.observed))).any()


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("frames", [1, 3])
def test_the_shortest_recordings_have_features(block, frames, dyad, batch_of):
    batch = batch_of(dyad(frames=frames))
    assert torch.isfinite(featurizer_of("calms21", block)(batch)).all()


LAGGING = ("motion", "speeds", "mabe2021_social")
SCENES = (
    OFF,
    SceneConfig(fill_gap_frames=3, hold_frames=0, max_jump=0.0),
    SceneConfig(fill_gap_frames=0, hold_frames=4, max_jump=0.0),
    SceneConfig(fill_gap_frames=3, hold_frames=4),
)


@pytest.mark.parametrize("config", SCENES, ids=lambda c: f"fill{c.fill_gap_frames}hold{c.hold_frames}jump{c.max_jump}")
@pytest.mark.parametrize("lagging", [False, True])
def test_features_depend_only_on_their_receptive_field(lagging, config, dyad, batch_of):
    batch = batch_of(dyad(frames=113, missing=0.4))
    blocks = [name for name in BLOCKS if name not in LAGGING] if not lagging else LAGGING
    featurizer = featurizer_of("calms21", *blocks, scene=config)
    before, after = featurizer.receptive_field
    base = featurizer(batch)
    generator = torch.Generator().manual_seed(0)
    for frame in range(3, 113, 11):
        noise = torch.randn(2, 7, 2, generator=generator) * 120
        keypoints, observed = batch.keypoints.clone(), batch.observed.clone()
        keypoints[0, frame] = batch.keypoints[0, frame] + noise
        observed[0, frame] = ~observed[0, frame]
        changed = featurizer(replace(batch, keypoints=keypoints * observed.unsqueeze(-1), observed=observed)) != base
        touched = changed[0].any(-1).any(-1).nonzero().flatten()
        assert len(touched) == 0 or (touched.min() >= frame - after and touched.max() <= frame + before)


def test_receptive_field_is_tight(dyad, batch_of):
    batch = batch_of(dyad(frames=61))
    featurizer = featurizer_of("calms21", "motion", "speeds", scene=OFF)
    assert featurizer.receptive_field == (max(LAGS + SPEED_LAGS), 0)
    keypoints = batch.keypoints.clone()
    keypoints[:, 40] += 3.0 * torch.randn(1, 2, 7, 2, generator=torch.Generator().manual_seed(0))
    changed = (featurizer(replace(batch, keypoints=keypoints)) != featurizer(batch))[0].any(-1).any(-1)
    assert changed.nonzero().flatten().tolist() == sorted({40, *(40 + lag for lag in LAGS + SPEED_LAGS)})


@pytest.fixture
def two_stores(dyad, tmp_path):
    return write_store(tmp_path / "s", [dyad("a", 211, missing=0.1), dyad("b", 307, seed=5), dyad("c", 101, seed=3)])


def reader_of(store, *ids):
    return WindowReader([(store, store.row(name)) for name in ids], 1)


def test_the_standardizer_is_fitted_on_what_was_observed_in_the_given_recordings(two_stores):
    config = config_of("pose", "relation", "motion", clip=1e6)
    featurizer = Featurizer(config, SKELETONS["calms21"]).fit(reader_of(two_stores, "a", "b"))
    values, known = [], []
    for name in ("a", "b"):
        batch = recording_window(two_stores.recording(name), 0, two_stores.row(name).frames).to("cpu", torch.float64)
        values.append(featurizer(batch).flatten(0, 2))
        known.append(featurizer.raw_channels(batch)[1].flatten(0, 2))
    values, known = torch.cat(values), torch.cat(known)
    mean = values.sum(0) / known.sum(0)
    std = (values.square().sum(0) / known.sum(0) - mean.square()).sqrt()
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(std, torch.ones_like(std), atol=1e-5, rtol=0.0)
    other = Featurizer(config, SKELETONS["calms21"]).fit(reader_of(two_stores, "a", "b", "c"))
    assert (
        (other.mean != featurizer.mean).sum() > len(other.mean) // 2
        and featurizer.fitted
        and other.scale_px != featurizer.scale_px
    )


@pytest.mark.parametrize("components", [3, 13])
def test_components_explain_their_variance(components, two_stores):
    config = config_of("pose", "distances", distance_components=components, clip=1e6)
    featurizer = Featurizer(config, SKELETONS["calms21"]).fit(reader_of(two_stores, "b"))
    batch = recording_window(two_stores.recording("b"), 0, 307).to("cpu", torch.float64)
    full = replace(config, distance_components=0)
    whole = Featurizer(full, SKELETONS["calms21"]).fit(reader_of(two_stores, "b"))(batch)[..., 14:].flatten(0, 2)
    variances = np.linalg.svd(whole.numpy(), compute_uv=False) ** 2
    assert float(featurizer.explained_variance) == pytest.approx(
        variances[:components].sum() / variances.sum(), rel=1e-5
    )
    projected = featurizer(batch)[..., 14:].flatten(0, 2)
    assert projected.shape[1] == components == featurizer.num_channels - 14
    torch.testing.assert_close(projected.T @ projected / len(projected), torch.eye(components), atol=1e-5, rtol=0.0)


def test_what_was_fitted_travels_in_the_state_dict(two_stores, dyad, batch_of):
    config = config_of("pose", "distances", "motion", distance_components=5)
    fitted = Featurizer(config, SKELETONS["calms21"]).fit(reader_of(two_stores, "a"))
    copy = Featurizer(config, SKELETONS["calms21"])
    copy.load_state_dict(fitted.state_dict(), strict=True)
    batch = batch_of(dyad(frames=23, seed=9))
    torch.testing.assert_close(copy(batch), fitted(batch), rtol=0.0, atol=0.0)
    assert set(fitted.state_dict()) == {"scale_px", "mean", "std", "components", "explained_variance", "fitted"}


@pytest.mark.parametrize("name", SKELETON_NAMES)
@pytest.mark.parametrize("block", BLOCKS)
def test_masks_have_the_shape_of_the_values(block, name, dyad, batch_of):
    batch = batch_of(dyad(frames=11, skeleton=name), dyad(frames=11, skeleton=name, seed=1))
    featurizer = featurizer_of(name, block)
    values, known = featurizer.raw_channels(batch)
    assert values.shape == known.shape == (2, 11, 2, featurizer.num_channels) and known.dtype == torch.bool


def test_the_winners_features_number_37_and_the_components():
    featurizer = Featurizer(MABE2021_FEATURES, SKELETONS["calms21"])
    assert featurizer.num_channels == 37 + MABE2021_FEATURES.distance_components


@pytest.mark.parametrize("config", [FeatureConfig(), MABE2021_FEATURES], ids=["default", "mabe2021"])
def test_features_are_the_same_in_slices_and_never_in_half_precision(config, dyad, batch_of, monkeypatch):
    windows = batch_of(*(dyad(f"r{seed}", 61, "calms21", seed, missing=0.1) for seed in range(3)))
    batch = windows.to("cpu", torch.float32)
    featurizer = Featurizer(config, SKELETONS["calms21"]).float()
    featurizer.scale_px.fill_(SCALE)
    featurizer.components.copy_(torch.randn(featurizer.components.shape, generator=torch.Generator().manual_seed(0)))
    expected = featurizer.with_known(batch)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(featurizer.with_known(batch), expected, rtol=0.0, atol=0.0)
    monkeypatch.setattr("ssl_behavior.features._CACHE_FRAMES", 1)
    torch.testing.assert_close(featurizer.with_known(batch), expected, rtol=0.0, atol=0.0)
    torch.testing.assert_close(featurizer(batch), expected[0], rtol=0.0, atol=0.0)
    assert featurizer(windows.to("cpu", torch.float64)).dtype == torch.float64


WRONG = {
    "unknown block": (lambda: FeatureConfig(blocks=("poses",)), r"unknown blocks \['poses'\]; known: \["),
    "no block": (lambda: FeatureConfig(blocks=()), "known:"),
    "lag 0": (lambda: FeatureConfig(lags_frames=(0,)), "at least 1 frame"),
    "clip": (lambda: FeatureConfig(clip=-1.0), "clip must be"),
    "no lags": (lambda: FeatureConfig(lags_frames=()), "the block 'motion' needs at least one of lags_frames"),
    "components without distances": (lambda: FeatureConfig(blocks=("pose",), distance_components=2), "'distances'"),
    "components": (lambda: featurizer_of("calms21", "distances", distance_components=71), "has only 70 distances"),
    "no tail": (
        lambda: Featurizer(FeatureConfig(), replace(SKELETONS["calms21"], roles={"nose": "nose"})),
        "role tail_base",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_impossible_settings_are_refused(case):
    make, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        make()
