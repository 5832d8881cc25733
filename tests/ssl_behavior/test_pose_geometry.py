from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.pose_geometry import (
    SceneConfig,
    build_scene,
    by_frame,
    lagged,
    length_of,
    nearest_known,
    or_nan,
    rotate_into,
    scale_of,
    transposed,
)
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowBatch, WindowReader

OFF = SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0)
NECK, TAIL, EAR = 3, 6, 1
OF_ANIMALS = (
    "points", "observed", "known", "center", "has_center", "center_age", "heading", "has_heading", "heading_age",
    "fresh_heading",
)  # fmt: skip


def scene_of(batch, skeleton="calms21", scale=60.0, **config):
    """The scene's values of animals, frame by frame."""
    scene = build_scene(batch, SKELETONS[skeleton], torch.tensor(scale), replace(OFF, **config))
    return SimpleNamespace(**{name: by_frame(getattr(scene, name)) for name in OF_ANIMALS})


def recorded(points, observed):
    """Windows of some points."""
    windows, frames, animals = observed.shape[:3]
    always, ones = torch.ones(windows, frames, dtype=torch.bool), torch.ones(windows)
    return WindowBatch(
        keypoints=points * observed.unsqueeze(-1), observed=observed, valid=always,
        arena=torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(windows, 4), frame=always.cumsum(1) - 1,
        length=torch.full((windows,), frames), fps=30 * ones, px_per_cm=ones, present=always[:, :animals],
    )  # fmt: skip


def hide(batch, frames, individual, keypoints):
    observed, points = batch.observed.clone(), batch.keypoints.clone()
    for keypoint in keypoints:
        observed[:, frames, individual, keypoint] = False
        points[:, frames, individual, keypoint] = 0.0
    return replace(batch, observed=observed, keypoints=points)


def test_complete_tracks_are_unchanged(dyad, batch_of):
    batch = batch_of(dyad(frames=23))
    scene = scene_of(batch, fill_gap_frames=5, hold_frames=7, max_jump=1.5)
    torch.testing.assert_close(scene.points * 60, batch.keypoints)
    assert scene.known.all() and scene.observed.all() and not scene.center_age.any()
    torch.testing.assert_close(scene.heading.norm(dim=-1), torch.ones(1, 23, 2))


@pytest.mark.parametrize("gap", [1, 4, 5, 6])
def test_short_gaps_are_interpolated_and_longer_ones_are_not(gap, dyad, batch_of):
    batch = batch_of(dyad(frames=31))
    hidden = hide(batch, slice(11, 11 + gap), 1, [EAR])
    scene = scene_of(hidden, fill_gap_frames=5)
    inside = scene.known[0, 11 : 11 + gap, 1, EAR]
    assert not scene.observed[0, 11 : 11 + gap, 1, EAR].any() and inside.all() == (gap <= 5)
    assert inside.any() == (gap <= 5)
    if gap <= 5:
        first, last = batch.keypoints[0, 10, 1, EAR] / 60, batch.keypoints[0, 11 + gap, 1, EAR] / 60
        for i in range(gap):
            expected = first + (last - first) * (i + 1) / (gap + 1)
            torch.testing.assert_close(scene.points[0, 11 + i, 1, EAR], expected)
    scene.known[0, 11 : 11 + gap, 1, EAR] = True
    assert scene.known.all()


@pytest.mark.parametrize("frames", [slice(0, 3), slice(28, 31)])
def test_gaps_at_the_ends_are_not_filled(frames, dyad, batch_of):
    scene = scene_of(hide(batch_of(dyad(frames=31)), frames, 0, [EAR]), fill_gap_frames=5)
    assert not scene.known[0, frames, 0, EAR].any()


def test_padding_is_never_filled_nor_a_neighbor(dyad, batch_of):
    batch = batch_of(dyad(frames=31))
    valid = batch.valid.clone()
    valid[:, 9:] = False
    scene = scene_of(replace(batch, valid=valid), fill_gap_frames=5)
    assert not scene.known[:, 9:].any() and scene.known[:, :9].all()


def test_a_heading_is_held_only_so_long(dyad, batch_of):
    batch = batch_of(dyad(frames=41))
    scene = scene_of(hide(batch, slice(11, 30), 0, [TAIL]), hold_frames=5)
    full = scene_of(batch)
    assert scene.has_heading[0, :, 0].tolist() == [not 16 <= t <= 24 for t in range(41)]
    for t, source, age in ((12, 10, 2), (15, 10, 5), (25, 30, 5), (29, 30, 1), (10, 10, 0)):
        torch.testing.assert_close(scene.heading[0, t, 0], full.heading[0, source, 0])
        assert scene.heading_age[0, t, 0] == age
    assert (scene.heading_age[0, 16:25, 0] == 6).all() and scene.has_heading[0, :, 1].all()
    assert scene.fresh_heading[0, :, 0].tolist() == [t <= 14 or t >= 26 for t in range(41)]


def test_nearest_known_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 47, 3, 2, generator=generator)
    known = torch.rand(2, 47, 3, generator=generator) < 0.15
    found = nearest_known(values.movedim(1, -1), known.movedim(1, -1), 4)
    held, age, near = (by_frame(part) for part in found)
    for b in range(2):
        for t in range(47):
            for i in range(3):
                distances = [(abs(s - t), s > t, s) for s in range(47) if known[b, s, i] and abs(s - t) <= 4]
                assert near[b, t, i] == bool(distances)
                if distances:
                    best = min(distances)
                    assert age[b, t, i] == best[0] and torch.equal(held[b, t, i], values[b, best[2], i])
                else:
                    assert age[b, t, i] == 5


def test_one_jump_is_not_observed_but_a_new_place_is(dyad, batch_of):
    batch = batch_of(dyad(frames=41))
    points = batch.keypoints.clone()
    points[0, 13, 0, EAR] += 200.0
    points[0, 25:, 1] += 200.0
    scene = scene_of(replace(batch, keypoints=points), max_jump=1.5)
    expected = torch.ones_like(scene.observed)
    expected[0, 13, 0, EAR] = False
    assert torch.equal(scene.observed, expected)


def test_rats_know_their_place_from_either_end(dyad, batch_of):
    batch = batch_of(dyad(frames=23, skeleton="rat_dyads"))
    top, body, tail = 0, 1, 2
    no_body = scene_of(hide(batch, slice(None), 0, [body]), "rat_dyads")
    guess = no_body.points[0, :, 0, tail] + no_body.heading[0, :, 0]
    assert no_body.has_center.all() and no_body.has_heading.all()
    torch.testing.assert_close(no_body.center[0, :, 0], guess)
    only_tail = scene_of(hide(batch, slice(None), 0, [body, top]), "rat_dyads")
    assert not only_tail.has_heading[:, :, 0].any() and torch.isfinite(only_tail.center).all()


def test_coinciding_points_have_no_heading_and_stay_finite(dyad, batch_of):
    batch = batch_of(dyad(frames=11))
    one = replace(batch, keypoints=torch.full_like(batch.keypoints, 7.0))
    scene = scene_of(one)
    assert not scene.has_heading.any() and torch.isfinite(scene.heading).all() and torch.isfinite(scene.center).all()


def test_vectors_turn_into_the_own_frame():
    ahead, left = torch.tensor([[0.6, 0.8]]), torch.tensor([[-0.8, 0.6]])
    torch.testing.assert_close(rotate_into(ahead * 3, ahead), torch.tensor([[3.0, 0.0]]))
    torch.testing.assert_close(rotate_into(left * 2, ahead), torch.tensor([[0.0, 2.0]]))


def test_lagged_looks_back():
    lags = (1, 3, 11, 50)
    found = lagged(torch.arange(11.0).view(1, 11), lags)
    assert found.shape == (len(lags), 1, 11)
    for lag, then in zip(lags, found, strict=True):
        np.testing.assert_array_equal(then[0].numpy(), [t - lag if t >= lag else np.nan for t in range(11)])


def test_values_that_are_not_known_are_nan():
    known = torch.tensor([True, False, True])
    found = or_nan(known, torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    np.testing.assert_array_equal(found.numpy(), [[1, np.nan, 3], [4, np.nan, 6]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bool])
def test_transposed_exchanges_the_last_two_axes(dtype):
    values = torch.arange(3 * 5 * 7).view(3, 5, 7).to(dtype)
    found = transposed(values)
    assert found.is_contiguous() and torch.equal(found, values.mT)
    assert torch.equal(transposed(values[:, :1]), values[:, :1].mT) and transposed(values[:0]).shape == (0, 7, 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lengths_are_those_of_the_vector_norm(dtype):
    vectors = torch.randn(1001, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = torch.linalg.vector_norm(vectors, dim=-1)
    rtol = 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(length_of(*vectors.unbind(-1)), expected, rtol=rtol, atol=0.0)


def test_jumps_and_gaps_against_a_loop():
    """Of points with gaps, at whose edges animals jump, those far from both known neighbors in time are left out."""
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(2, 90, 1, 7, 2, generator=generator).cumsum(1) * 0.1
    points += 5 * (torch.rand(2, 90, 1, 7, 1, generator=generator) < 0.1)
    observed = torch.rand(2, 90, 1, 7, generator=generator) < 0.8
    observed[:, 30:50, 0, :3] = False
    windows = recorded(points, observed)
    scene = build_scene(windows, SKELETONS["calms21"], torch.tensor(1.0), replace(OFF, max_jump=1.5))
    expected = observed.clone()
    for b, t, k in observed[:, :, 0].nonzero().tolist():
        seen = observed[b, :, 0, k].nonzero().flatten().tolist()
        place = seen.index(t)
        around = seen[place - 1 : place] + seen[place + 1 : place + 2] if place else []
        moved = [torch.linalg.vector_norm(points[b, t, 0, k] - points[b, s, 0, k]) for s in around if abs(s - t) <= 15]
        expected[b, t, 0, k] = not (len(moved) == 2 and min(moved) > 1.5)
    assert torch.equal(by_frame(scene.observed), expected) and not torch.equal(expected, observed)
    filled = build_scene(windows, SKELETONS["calms21"], torch.tensor(1.0), replace(OFF, fill_gap_frames=2))
    for b, t, k in (~observed[:, :, 0]).nonzero().tolist():
        seen = observed[b, :, 0, k].nonzero().flatten().tolist()
        before, after = max((s for s in seen if s < t), default=-1), min((s for s in seen if s > t), default=-1)
        near = before >= 0 and after >= 0 and after - before <= 3
        assert filled.known[b, 0, k, t] == near
        if near:
            share = (t - before) / (after - before)
            between = points[b, before, 0, k] * (1 - share) + points[b, after, 0, k] * share
            torch.testing.assert_close(filled.points[b, 0, k, :, t], between)


def test_the_scale_is_the_median_body_length(dyad, tmp_path):
    recordings = [dyad("a", 101, missing=0.3), dyad("b", 53, seed=1)]
    store = write_store(tmp_path / "store", recordings)
    reader = WindowReader([(store, row) for row in store.rows], 1)
    keypoints = np.concatenate([r.keypoints for r in recordings])
    lengths = np.linalg.norm(keypoints[:, :, NECK] - keypoints[:, :, TAIL], axis=-1).ravel()
    lengths = np.sort(lengths[np.isfinite(lengths)])
    assert scale_of(reader, SKELETONS["calms21"]) == pytest.approx(lengths[(len(lengths) - 1) // 2])


def test_unmeasurable_body_length_raises(dyad, tmp_path):
    recording = dyad("a", 11)
    keypoints = recording.keypoints.copy()
    keypoints[:, :, NECK] = np.nan
    store = write_store(tmp_path / "store", [replace(recording, keypoints=keypoints)])
    with pytest.raises(InputError, match="'neck' and 'tail_base' are never seen together"):
        scale_of(WindowReader([(store, store.rows[0])], 1), SKELETONS["calms21"])


def test_skeleton_without_needed_role_raises(dyad, batch_of):
    roles = {"nose": "nose"}
    skeleton = replace(SKELETONS["calms21"], roles=roles)
    with pytest.raises(InputError, match=r"need a keypoint at the base of the tail .* has the role nose for"):
        build_scene(batch_of(dyad(frames=3)), skeleton, torch.tensor(60.0), OFF)


@pytest.mark.parametrize("field", ["fill_gap_frames", "hold_frames"])
def test_negative_settings_are_refused(field):
    with pytest.raises(InputError, match="0 or more"):
        SceneConfig(**{field: -1})
