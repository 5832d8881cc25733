"""Laws over the whole table of programs."""

from dataclasses import replace

import pytest
import torch

from ssl_behavior.programs import PAPER_THRESHOLDS, PROGRAMS, TASK_PROGRAMMING_2021, TRANSFORMATIONS, check_program
from ssl_behavior.programs.contract_checks import random_scene, transformed
from ssl_behavior.programs.pose import MissingRole, Pose
from ssl_behavior.skeleton import SKELETONS, Skeleton

CALMS21 = SKELETONS["calms21"]
EVERYTHING = frozenset(CALMS21.keypoints)
ENDS, AXIS = {"nose", "tail_base"}, {"neck", "tail_base"}
# Which keypoints of the own and the other animal a program looks at, and at which frames from the own one.
LOOKS_AT = {
    "speed": (EVERYTHING, set(), {-2, 2}),
    "facing_angle": (EVERYTHING, EVERYTHING, {0}),
    "nose_movement": (EVERYTHING, set(), {-2, 2}),
    "nose_nose_distance": ({"nose"}, {"nose"}, {0}),
    "nose_tail_distance": ({"nose"}, {"tail_base"}, {0}),
    "head_body_angle": ({"nose", "neck", "tail_base"}, set(), {0}),
    "approach_velocity": (EVERYTHING, EVERYTHING, {-2, 0, 2}),
    "distance_change": (EVERYTHING, EVERYTHING, {-2, 0, 2}),
    "following": (EVERYTHING, EVERYTHING, {-15, 0}),
    "relative_orientation": (AXIS, AXIS, {0}),
    "body_gap": (ENDS, ENDS, {0}),
    "body_overlap": (ENDS, ENDS, {0}),
    "elongation": (ENDS, set(), {0}),
    "turning": (AXIS, set(), {-2, 2}),
    "acceleration": (EVERYTHING, set(), {-4, 0, 4}),
    "wall_distance": (EVERYTHING, set(), {0}),
    "corner_distance": (EVERYTHING, set(), {0}),
}
BEYOND_THE_FRAME = {"time_since_contact": 150}


def scene_of(skeleton="calms21", batch=(3, 5), frames=211, fps=30.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return random_scene(SKELETONS[skeleton], fps, batch, frames, generator)


def with_holes(scene, share=0.3):
    missing = torch.rand(scene.keypoints.shape[:-1], generator=torch.Generator().manual_seed(1)) < share
    return replace(scene, keypoints=scene.keypoints.masked_fill(missing.unsqueeze(-1), torch.nan))


def same(one, two):
    size = float(one.nan_to_num(0.0).abs().max())
    return torch.allclose(one, two, rtol=1e-9, atol=1e-9 * size, equal_nan=True)


@pytest.mark.parametrize("skeleton", SKELETONS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_keeps_its_contract_on_every_skeleton(name, skeleton):
    check_program(PROGRAMS[name], SKELETONS[skeleton], 30.0)


@pytest.mark.parametrize("fps", [6.0, 25.0, 120.0])
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_keeps_its_contract_at_any_frame_rate(name, fps):
    check_program(PROGRAMS[name], CALMS21, fps)


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_invariances_are_exactly_those_declared(name, transformation):
    for scene in (scene_of(), with_holes(scene_of())):
        before = PROGRAMS[name](scene.pose())
        after = PROGRAMS[name](transformed(scene, transformation).pose())
        assert same(before, after) == (transformation in PROGRAMS[name].facts.invariant)


@pytest.mark.parametrize("name", PROGRAMS)
def test_window_values_equal_the_recording(name):
    scene = with_holes(scene_of(batch=(2,), frames=401))
    whole = PROGRAMS[name](scene.pose())
    known = 0
    for start, stop in ((0, 401), (7, 190), (131, 401), (200, 211)):
        window = PROGRAMS[name](replace(scene, keypoints=scene.keypoints[:, start:stop]).pose())
        part = whole[:, start:stop]
        known += int((~window.isnan()).sum())
        assert same(window, part.where(~window.isnan(), torch.nan))
        # Away from the edges nothing is lost.
        receptive_field = BEYOND_THE_FRAME.get(name, 15)
        inner = slice(receptive_field, None if stop == 401 else -receptive_field)
        if name not in BEYOND_THE_FRAME:
            assert torch.equal(window[:, inner].isnan(), part[:, inner].isnan())
    assert known > 100


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_reach_what_a_program_looks_at_and_nothing_else(name):
    scene = scene_of(batch=(31,), frames=61)
    keypoints = scene.keypoints.clone().requires_grad_()
    values = PROGRAMS[name](replace(scene, keypoints=keypoints).pose())[:, 29]
    if name == "time_since_contact":
        assert not values.requires_grad
        return
    (gradient,) = torch.autograd.grad(values.sum(), keypoints)
    assert gradient.isfinite().all()
    own, other, frames = LOOKS_AT[name]
    reached = gradient.abs().sum(dim=(0, 1, 4)) > 0
    for individual, expected in enumerate((own, other)):
        assert {CALMS21.keypoints[i] for i in reached[individual].nonzero().flatten()} == set(expected)
    assert {int(t) - 29 for t in gradient.abs().sum(dim=(0, 2, 3, 4)).nonzero()} == frames


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", sorted(LOOKS_AT))
def test_gradients_are_finite_where_everything_coincides(name, dtype):
    scene = scene_of(batch=(2,), frames=41)
    onto = scene.keypoints[..., :1, :, :].expand_as(scene.keypoints)
    point = scene.keypoints[..., :1, :].expand_as(scene.keypoints)
    still = scene.keypoints[:, :1].expand_as(scene.keypoints)
    nothing = torch.full_like(scene.keypoints, 100.0)
    for keypoints in (onto, point, still, nothing):
        leaf = keypoints.to(dtype).clone().requires_grad_()
        moved = replace(scene, keypoints=leaf, arena=scene.arena.to(dtype))
        values = PROGRAMS[name](moved.pose())
        assert not values.isinf().any()
        known = ~values.isnan()
        assert known[:, 15:-4].all()
        (gradient,) = torch.autograd.grad(values[known].sum(), leaf)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", sorted(LOOKS_AT))
def test_missing_points_cost_the_others_no_gradient(name):
    scene = with_holes(scene_of(batch=(3,), frames=61), 0.2)
    leaf = scene.keypoints.clone().requires_grad_()
    values = PROGRAMS[name](replace(scene, keypoints=leaf).pose())
    known = ~values.isnan()
    assert known.any() and not known.all()
    # As a masked loss sends it back: exactly 0 into what is unknown.
    (gradient,) = torch.autograd.grad(values, leaf, torch.where(known, 1.0, 0.0))
    assert gradient.isfinite().all() and gradient.any()
    assert not gradient[leaf.isnan()].any()


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_are_the_same_with_and_without_gradients(name):
    scene = with_holes(scene_of(batch=(2,), frames=211), 0.1)
    leaf = scene.keypoints.clone().requires_grad_()
    tracked = PROGRAMS[name](replace(scene, keypoints=leaf).pose())
    assert torch.equal(tracked.isnan(), PROGRAMS[name](scene.pose()).isnan())
    torch.testing.assert_close(tracked.detach(), PROGRAMS[name](scene.pose()), equal_nan=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_points_a_program_does_not_look_at_may_be_missing(name):
    if name not in LOOKS_AT or LOOKS_AT[name][0] == EVERYTHING:
        return
    scene = scene_of(batch=(2,), frames=41)
    keypoints = scene.keypoints.clone()
    for individual, seen in enumerate(LOOKS_AT[name][:2]):
        hidden = [i for i, keypoint in enumerate(CALMS21.keypoints) if keypoint not in seen]
        keypoints[..., individual, hidden, :] = torch.nan
    after = PROGRAMS[name](replace(scene, keypoints=keypoints).pose())
    torch.testing.assert_close(after, PROGRAMS[name](scene.pose()), equal_nan=True)


def test_one_vanishing_keypoint_is_no_movement():
    scene = scene_of(batch=(2,), frames=41)
    # Stiff animals that do not turn: every keypoint moves as the body does.
    stiff = scene.keypoints[:, :1] + (scene.keypoints - scene.keypoints[:, :1]).mean(dim=-2, keepdim=True)
    holes = stiff.clone()
    holes[:, 20:, 0, 0] = torch.nan
    for name in ("speed", "acceleration"):
        before, after = (PROGRAMS[name](replace(scene, keypoints=points).pose()) for points in (stiff, holes))
        torch.testing.assert_close(after, before, equal_nan=True)


def test_every_program_runs_on_the_built_in_skeletons():
    for skeleton in SKELETONS:
        scene = scene_of(skeleton, batch=(2,))
        for entry in PROGRAMS.values():
            assert not entry(scene.pose()).isnan().all()


@pytest.mark.parametrize("name", PROGRAMS)
def test_skeleton_without_the_roles_raises(name):
    skeleton = Skeleton(name="blob", keypoints=("a", "b", "c"))
    scene = random_scene(skeleton, 30.0, (2,), 41, torch.Generator().manual_seed(0))
    if name in ("speed", "acceleration", "distance_change", "approach_velocity", "wall_distance", "corner_distance"):
        # Only the mean of the body is needed.
        assert not PROGRAMS[name](scene.pose()).isnan().all()
    else:
        with pytest.raises(MissingRole, match="'blob'"):
            PROGRAMS[name](scene.pose())


def test_the_papers_programs_have_the_papers_thresholds():
    assert len(TASK_PROGRAMMING_2021) == 6 and set(PAPER_THRESHOLDS) == set(TASK_PROGRAMMING_2021)
    assert set(TASK_PROGRAMMING_2021) <= set(PROGRAMS)
    assert sum(2 if PROGRAMS[name].facts.each_animal else 1 for name in TASK_PROGRAMMING_2021) == 11


def test_facing_is_0_and_looking_away_is_pi():
    keypoints = torch.zeros(1, 2, 7, 2)
    keypoints[:, 0, :, 0] = torch.linspace(10, -10, 7)
    for place, expected in (((100.0, 0.0), 0.0), ((-100.0, 0.0), torch.pi), ((0.0, 100.0), torch.pi / 2)):
        keypoints[:, 1] = torch.tensor(place)
        scene = replace(scene_of(batch=(), frames=1), keypoints=keypoints)
        torch.testing.assert_close(PROGRAMS["facing_angle"](scene.pose()), torch.tensor([expected]))


def follower(own_x, other_x, frames=61):
    """Two mice on one line, both heading along it; the positions are those of their middles."""
    body = torch.linspace(30, -30, 7)
    x = torch.stack([own_x.expand(frames), other_x.expand(frames)], dim=-1).unsqueeze(-1) + body
    scene = replace(scene_of(batch=(), frames=frames), keypoints=torch.stack([x, torch.full_like(x, 200.0)], dim=-1))
    return PROGRAMS["following"](scene.pose())


def test_following_distinguishes_behind_ahead_and_standing():
    walk = torch.arange(61) * 8.0
    assert (follower(walk - 90, walk)[20:] > 0.9).all()
    assert (follower(walk + 90, walk)[20:] < -0.9).all()
    assert (follower(walk - 90, walk.new_zeros(61) + 300)[20:].abs() < 1e-9).all()
    # Against the other's path nobody follows.
    assert not follower(walk.new_zeros(61), -walk + 700)[20:].any()


def test_time_since_contact_counts_from_contact_and_is_nan_before():
    frames = 401
    gaps = torch.full((frames,), 100.0)
    gaps[[170, 171, 200]] = 2.0
    keypoints = torch.zeros(frames, 2, 7, 2)
    keypoints[..., 0] = torch.linspace(20, -20, 7)
    keypoints[:, 1, :, 1] = gaps.unsqueeze(-1)
    keypoints[180:190] = torch.nan
    scene = replace(scene_of(batch=(), frames=frames), keypoints=keypoints)
    values = PROGRAMS["time_since_contact"](scene.pose())
    assert values[:150].isnan().all() and (values[150:170] == 5.0).all()
    torch.testing.assert_close(values[170:173], torch.tensor([0.0, 0.0, 1 / 30]))
    # While nothing is seen the clock runs on.
    torch.testing.assert_close(values[180:200], torch.arange(9, 29) / 30)
    torch.testing.assert_close(values[200:], torch.arange(201).clamp(max=150) / 30)
    young = replace(scene, keypoints=keypoints[172:])
    late = PROGRAMS["time_since_contact"](young.pose())
    assert late[:28].isnan().all() and torch.equal(late[28:], values[200:])


def test_turning_and_bending_clockwise_on_the_screen_is_positive():
    # On the screen y points down: looking right and then down is clockwise.
    frames = torch.arange(7) * 0.1
    directions = torch.stack([frames.cos(), frames.sin()], -1)[:, None, None]
    body = torch.tensor([0.0 if name == "tail_base" else 25.0 for name in CALMS21.keypoints])
    scene = directions * body[None, None, :, None].expand(-1, 2, -1, -1)
    scene[..., CALMS21.role("nose"), :] += torch.tensor([10.0, 30.0])
    pose = Pose.of(scene, CALMS21, 30.0, torch.tensor([0.0, 0.0, 1.0, 1.0]), 25.0)
    turning = PROGRAMS["turning"](pose)
    torch.testing.assert_close(turning[2:-2], torch.full((3,), 3.0))
    assert (PROGRAMS["head_body_angle"](pose) > 0).all()
    for name in ("turning", "head_body_angle"):
        assert "positive clockwise" in PROGRAMS[name].facts.description


def test_wall_distance_documents_the_calms21_arena():
    assert "border of the picture" in (PROGRAMS["wall_distance"].function.__doc__ or "")
