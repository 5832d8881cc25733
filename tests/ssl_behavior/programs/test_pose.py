from dataclasses import replace

import pytest
import torch

from ssl_behavior.programs import Animal, MissingRole
from ssl_behavior.programs.contract_checks import random_scene
from ssl_behavior.skeleton import SKELETONS


def scene_of(skeleton="calms21", fps=30.0):
    return random_scene(SKELETONS[skeleton], fps, (3,), 43, torch.Generator().manual_seed(0))


def test_a_part_is_the_first_role_that_the_skeleton_has():
    calms21, rats = scene_of().pose().own, scene_of("rat_dyads").pose().own
    assert torch.equal(calms21.part("nose", "head"), calms21.points[..., 0, :])
    assert torch.equal(rats.part("nose", "head"), rats.points[..., 0, :])
    with pytest.raises(MissingRole, match=r"rat_dyads.*'nose' or 'neck'.*tail_base"):
        rats.part("nose", "neck")


def test_the_tail_is_no_part_of_the_trunk():
    animal = scene_of("rat_dyads").pose().own
    assert animal.trunk.shape == (2, 3, 3, 43)
    assert torch.equal(animal.trunk.movedim((0, 1), (-1, -2)), animal.points[..., :3, :])


@pytest.mark.parametrize(("fps", "half_lag"), [(1.0, 1), (15.0, 1), (25.0, 2), (30.0, 2), (60.0, 4), (120.0, 8)])
def test_velocities_are_over_about_an_eighth_of_a_second(fps, half_lag):
    animal = scene_of(fps=fps).pose().own
    assert animal.half_lag == half_lag
    expected = (animal.center[:, 2 * half_lag :] - animal.center[:, : -2 * half_lag]) * fps / (2 * half_lag)
    torch.testing.assert_close(animal.velocity[:, half_lag:-half_lag], expected)


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_complete_and_masked_paths_agree(skeleton):
    scene = scene_of(skeleton)
    holes = scene.keypoints.clone()
    holes[2, 20, 0, 0] = torch.nan
    full, partly = scene.pose().own, replace(scene, keypoints=holes).pose().own
    assert full.complete and not partly.complete
    for name in ("center", "velocity", "axis", "heading"):
        torch.testing.assert_close(getattr(partly, name)[:2], getattr(full, name)[:2], equal_nan=True)


def test_a_center_needs_more_than_half_of_the_trunk():
    scene = scene_of()
    for hidden, known in ((3, True), (4, False)):
        holes = scene.keypoints.clone()
        holes[:, 5, 0, :hidden] = torch.nan
        assert replace(scene, keypoints=holes).pose().own.center[:, 5].isnan().all() != known


def test_hidden_center_leaves_the_heading_to_the_head():
    scene = scene_of("rat_dyads")
    holes = scene.keypoints.clone()
    holes[:, 5, 0, 1] = torch.nan
    animal = replace(scene, keypoints=holes).pose().own
    head, tail = scene.keypoints[:, 5, 0, 0], scene.keypoints[:, 5, 0, 2]
    torch.testing.assert_close(animal.axis[:, 5], head - tail)
    assert animal.center[:, 5].isnan().all() and not animal.turned[:, 7].isnan().any()


def test_swapping_exchanges_the_animals_and_computes_nothing_twice():
    pose = scene_of().pose()
    velocity = pose.own.velocity
    swapped = pose.swapped()
    assert swapped.other.velocity is velocity and swapped.own is pose.other
    assert torch.equal(swapped.keypoints, pose.keypoints.flip(-3))
    torch.testing.assert_close(swapped.offset, -pose.offset)


def test_an_animal_can_be_made_of_any_points():
    points = torch.randn(43, 7, 2, generator=torch.Generator().manual_seed(0))
    animal = Animal(points, SKELETONS["calms21"], 30.0)
    assert animal.speed.shape == (43,) and animal.heading.shape == (43, 2)
