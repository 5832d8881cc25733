from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.pose_geometry import SceneConfig, build_scene, lagged, nearest_known, rotate_into, scale_of
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader

OFF = SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0)
NECK, TAIL, EAR = 3, 6, 1


def scene_of(batch, skeleton="calms21", scale=60.0, **config):
    return build_scene(batch, SKELETONS[skeleton], torch.tensor(scale), replace(OFF, **config))


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
    held, age, near = nearest_known(values, known, 4)
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


@pytest.mark.parametrize("lag", [1, 3, 11, 50])
def test_lagged_looks_back(lag):
    values, mask = torch.arange(1.0, 12).view(1, 11, 1), torch.ones(1, 11, 1, dtype=torch.bool)
    then = lagged(values, lag)[0, :, 0].tolist()
    assert then == [max(1.0, t + 1 - lag) for t in range(11)]
    assert lagged(mask, lag)[0, :, 0].tolist() == [t >= lag for t in range(11)]


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
    with pytest.raises(InputError, match=r"no keypoint with the role 'tail_base' .*under \[roles\]"):
        build_scene(batch_of(dyad(frames=3)), skeleton, torch.tensor(60.0), OFF)


@pytest.mark.parametrize("field", ["fill_gap_frames", "hold_frames"])
def test_negative_settings_are_refused(field):
    with pytest.raises(InputError, match="0 or more"):
        SceneConfig(**{field: -1})
