import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.pose_geometry import SceneConfig, rotate_into
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS, Skeleton
from ssl_behavior.store import write_store
from ssl_behavior.trajectory_coder import StateConfig, TrajectoryCoder
from ssl_behavior.windows import WindowReader

FRAMES, COMPONENTS = 101, 3
OFF = SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0)
CONFIG = StateConfig(pose_components=COMPONENTS, scene=OFF)
SIN, COS = 2, 3


@pytest.fixture
def reader_of(tmp_path):
    def make(*recordings):
        store = write_store(tmp_path / f"s{len(list(tmp_path.iterdir()))}", list(recordings))
        return WindowReader([(store, row) for row in store.rows], FRAMES)

    return make


@pytest.fixture(params=["calms21", "rat_dyads"])
def fitted(request, dyad, reader_of):
    """A coder, and a batch of complete poses."""
    recordings = [dyad(f"r{seed}", FRAMES, request.param, seed) for seed in range(3)]
    reader = reader_of(*recordings)
    coder = TrajectoryCoder(CONFIG, SKELETONS[request.param]).fit(reader)
    return coder, reader.read([(pick, 0, FRAMES) for pick in range(3)]).to("cpu", torch.float64)


def hide(batch, seen):
    observed = batch.observed & seen
    return replace(batch, observed=observed, keypoints=batch.keypoints * observed.unsqueeze(-1))


def angles(states):
    return torch.atan2(states[..., SIN], states[..., COS])


def own_frame(coder, batch):
    """Keypoints in body lengths less the front, turned by the body axis: the slow way, frame by frame."""
    front, back = (coder.skeleton.role(*roles) for roles in (("neck", "center"), ("tail_base",)))
    poses = []
    for animal in batch.keypoints.flatten(0, 2) / coder.scale_px:
        axis = animal[front] - animal[back]
        angle = math.atan2(axis[1], axis[0])
        cos, sin = math.cos(angle), math.sin(angle)
        turn = torch.tensor([[cos, sin], [-sin, cos]])
        poses.append(((animal - animal[front]) @ turn.T).flatten())
    return torch.stack(poses)


def test_of_complete_poses_it_is_plain_pca(fitted):
    coder, batch = fitted
    poses = own_frame(coder, batch)
    mean = poses.mean(0)
    _, singular, components = np.linalg.svd((poses - mean).numpy(), full_matrices=False)
    torch.testing.assert_close(coder.mean_pose, mean)
    share = (singular[:COMPONENTS] ** 2).sum() / (singular**2).sum()
    torch.testing.assert_close(float(coder.explained_variance), float(share))
    states, known = coder.states(batch)
    assert known.all()
    expected = (poses - mean) @ torch.from_numpy(components[:COMPONENTS]).T
    # Components are directions: up to their signs.
    torch.testing.assert_close(states[..., 4:].flatten(0, 2).abs(), expected.abs(), rtol=1e-6, atol=1e-9)


def test_poses_in_the_span_come_back_and_so_do_their_states(fitted):
    coder, batch = fitted
    angle = torch.rand(*batch.valid.shape, 2) * 2 * math.pi
    place = torch.randn(*batch.valid.shape, 2, 2)
    coefficients = torch.randn(*batch.valid.shape, 2, COMPONENTS) * coder.variances.sqrt()
    states = torch.cat([place, torch.stack([angle.sin(), angle.cos()], -1), coefficients], dim=-1)
    keypoints = coder.keypoints(states, batch.arena)
    back, known = coder.states(replace(batch, keypoints=keypoints))
    assert known.all()
    torch.testing.assert_close(back, states)
    torch.testing.assert_close(coder.keypoints(back, batch.arena), keypoints)
    # The length of sine and cosine says nothing.
    states[..., 2:4] *= 3.7
    torch.testing.assert_close(coder.keypoints(states, batch.arena), keypoints)


def test_what_comes_back_is_near_what_was_seen(fitted):
    coder, batch = fitted
    back = coder.keypoints(coder.states(batch)[0], batch.arena)
    left = (back - batch.keypoints).square().sum() / (batch.keypoints.shape[-2] * len(batch) * FRAMES * 2)
    expected = (1 - coder.explained_variance) * coder.variances.sum() / coder.explained_variance
    torch.testing.assert_close(left, expected * coder.scale_px**2 / batch.keypoints.shape[-2], rtol=1e-6, atol=0.0)


def test_moving_the_scene_changes_only_the_place(fitted):
    coder, batch = fitted
    states, _ = coder.states(batch)
    moved, _ = coder.states(replace(batch, keypoints=batch.keypoints + torch.tensor([31.0, -17.0])))
    torch.testing.assert_close(moved[..., 2:], states[..., 2:])
    offset = (torch.tensor([31.0, -17.0]) / coder.scale_px).expand(states[..., :2].shape)
    torch.testing.assert_close(moved[..., :2] - states[..., :2], offset)
    with_arena = replace(batch, keypoints=batch.keypoints + 31.0, arena=batch.arena + 31.0)
    torch.testing.assert_close(coder.states(with_arena)[0], states)


def test_turning_the_scene_turns_place_and_heading_only(fitted):
    coder, batch = fitted
    states, _ = coder.states(batch)
    turn = torch.tensor([math.cos(0.7), -math.sin(0.7)])
    middle = (batch.arena[:, :2] + batch.arena[:, 2:])[:, None, None, None] / 2
    turned, _ = coder.states(replace(batch, keypoints=rotate_into(batch.keypoints - middle, turn) + middle))
    torch.testing.assert_close(turned[..., 4:], states[..., 4:])
    torch.testing.assert_close(turned[..., :2], rotate_into(states[..., :2], turn))
    difference = (angles(turned) - angles(states) - 0.7).remainder(2 * math.pi)
    torch.testing.assert_close(torch.minimum(difference, 2 * math.pi - difference), torch.zeros_like(difference))
    torch.testing.assert_close(coder.keypoints(turned, batch.arena), rotate_into(
        coder.keypoints(states, batch.arena) - middle, turn) + middle)  # fmt: skip


def test_the_order_of_the_animals_is_kept_and_nothing_else_depends_on_it(fitted):
    coder, batch = fitted
    states, known = coder.states(batch)
    swapped = coder.states(batch.swapped())
    torch.testing.assert_close(swapped, (states.flip(2), known.flip(2)), rtol=0.0, atol=0.0)


def test_with_missing_points_it_is_the_conditional_mean_of_a_normal_distribution(fitted):
    coder, batch = fitted
    torch.manual_seed(0)
    ends = [coder.skeleton.role("neck", "center"), coder.skeleton.role("tail_base")]
    seen = torch.rand(batch.observed.shape) < 0.5
    seen[..., ends] = True
    states, known = coder.states(hide(batch, seen))
    # Plain PCA of poses whose missing coordinates are at their expectation given the others.
    basis, mean = coder.components, coder.mean_pose
    covariance = basis.T @ torch.diag(coder.variances - coder.noise) @ basis + coder.noise * torch.eye(len(mean))
    poses, seen = own_frame(coder, batch), seen.flatten(0, 2).repeat_interleave(2, -1)
    for i in range(0, len(poses), 7):
        there, missing = seen[i].nonzero().flatten(), (~seen[i]).nonzero().flatten()
        gain = covariance[missing][:, there] @ torch.linalg.inv(covariance[there][:, there])
        filled = poses[i].clone()
        filled[missing] = mean[missing] + gain @ (poses[i] - mean)[there]
        left = covariance[missing][:, missing] - gain @ covariance[there][:, missing]
        open_variance = (basis[:, missing] @ left @ basis[:, missing].T).diagonal()
        determined = open_variance < coder.variances / 2
        frame, animal = divmod(i, 2)
        assert torch.equal(known[frame // FRAMES, frame % FRAMES, animal, 4:], determined)
        got = states[frame // FRAMES, frame % FRAMES, animal, 4:]
        torch.testing.assert_close(got, (basis @ (filled - mean)) * determined, rtol=1e-6, atol=1e-9)
    assert not known[..., 4:].all() and known[..., 4:].any()


def test_a_number_is_known_only_where_its_points_are(fitted):
    coder, batch = fitted
    front, back = coder.skeleton.role("neck", "center"), coder.skeleton.role("tail_base")
    seen = torch.ones_like(batch.observed)
    seen[:, 10:20, 0, front] = False
    seen[:, 30:40, 1, :] = False
    states, known = coder.states(hide(batch, seen))
    assert not known[:, 10:20, 0, :2].any() and not known[:, 30:40, 1].any()
    assert not known[:, 10:20, 0, 4:].any(), "without an origin there are no coefficients"
    assert known[:, 10:20, 1].all() and not states[~known].any()
    only_axis = torch.zeros_like(seen)
    only_axis[..., [front, back]] = True
    states, known = coder.states(hide(batch, only_axis))
    assert known[..., :4].all()
    torch.testing.assert_close(states[..., :4], coder.states(batch)[0][..., :4])


def test_far_points_are_not_the_animal_s(fitted):
    coder, batch = fitted
    point = coder.skeleton.role("nose", "head")
    far = batch.keypoints.clone()
    far[:, 5, 1, point] += 9 * coder.scale_px
    missing = batch.observed.clone()
    missing[:, 5, 1, point] = False
    torch.testing.assert_close(coder.states(replace(batch, keypoints=far))[0][:, 5, 0], coder.states(batch)[0][:, 5, 0])
    if coder.skeleton.name == "calms21":
        # Of the rats, the head has a say in the heading.
        hidden = coder.states(hide(batch, missing))
        torch.testing.assert_close(coder.states(replace(batch, keypoints=far)), hidden, rtol=0.0, atol=0.0)


def test_fitting_ignores_missing_points_and_finds_the_same_bodies(dyad, reader_of):
    full = [dyad(f"r{seed}", 997, "calms21", seed) for seed in range(3)]
    with_gaps = [dyad(f"g{seed}", 997, "calms21", seed, missing=0.3) for seed in range(3)]
    reader = reader_of(*full, *with_gaps)
    readers = [WindowReader(reader.sources[part], FRAMES) for part in (slice(3), slice(3, None))]
    one, two = (TrajectoryCoder(CONFIG, SKELETONS["calms21"]).fit(r) for r in readers)
    torch.testing.assert_close(one.mean_pose, two.mean_pose, rtol=0.0, atol=0.01)
    torch.testing.assert_close(one.variances, two.variances, rtol=0.15, atol=0.0)


def test_actions_are_differences_where_both_ends_are_known(fitted):
    coder, batch = fitted
    states, known = coder.states(batch)
    known[:, 17, 1, 5] = False
    actions, moved = coder.actions(states, known)
    expected = torch.ones_like(moved)
    expected[:, 16:18, 1, 5] = False
    assert torch.equal(moved, expected)
    for t in (0, 16, FRAMES - 2):
        torch.testing.assert_close(actions[:, t], (states[:, t + 1] - states[:, t]) * moved[:, t])


def test_an_exchange_of_the_animals_is_no_action(fitted):
    coder, batch = fitted
    states, known = coder.states(batch)
    states[:, 50:, 0, 0] += 4.0
    jumping = TrajectoryCoder(replace(CONFIG, scene=replace(OFF, max_jump=1.5)), coder.skeleton)
    _, moved = jumping.actions(states, known)
    assert not moved[:, 49, 0].any() and moved[:, 49, 1].all() and moved[:, :49].all() and moved[:, 50:].all()
    assert coder.actions(states, known)[1].all()
    known[:, 70, 0, :2] = False
    states[:, 70, 0, :2] = 0.0
    assert jumping.actions(states, known)[1][:, 69:71, 0, 2:].all(), "of a place that is not known nothing follows"


def test_spreads_make_states_and_actions_of_unit_size(fitted):
    coder, batch = fitted
    states, known = coder.states(batch)
    for values, spread in ((states, coder.state_spread), (coder.actions(states, known)[0], coder.action_spread)):
        squares = (values / spread).square().mean(dim=(0, 1, 2))
        torch.testing.assert_close(squares[:2].mean(), torch.tensor(1.0))
        torch.testing.assert_close(squares[2:4].mean(), torch.tensor(1.0))
        torch.testing.assert_close(squares[4:], torch.ones(COMPONENTS))
        assert spread[0] == spread[1] and spread[2] == spread[3]


def test_gaps_are_filled_and_headings_held_as_configured(dyad, batch_of, fitted):
    coder, batch = fitted
    filling = TrajectoryCoder(replace(CONFIG, scene=SceneConfig()), coder.skeleton)
    filling.load_state_dict(coder.state_dict())
    seen = torch.ones_like(batch.observed)
    seen[:, 40:44] = False
    states, known = filling.states(hide(batch, seen))
    assert known.all() and not coder.states(hide(batch, seen))[1][:, 40:44].any()
    steps = states[:, 40:45, :, :2] - states[:, 39:44, :, :2]
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), msg="interpolated linearly")


def test_padding_is_not_known_and_changes_nothing(fitted, dyad, reader_of):
    coder, _ = fitted
    recording = dyad("p", FRAMES, coder.skeleton.name, 5)
    reader = reader_of(recording)
    padded = coder.states(reader.read([(0, -13, FRAMES + 20)]).to("cpu", torch.float64))
    alone = coder.states(reader.read([(0, 0, FRAMES)]).to("cpu", torch.float64))
    # Some processors round a longer matrix product otherwise in the last bit.
    torch.testing.assert_close([part[:, 13 : 13 + FRAMES] for part in padded], list(alone), rtol=0.0, atol=1e-13)
    assert not padded[1][:, :13].any() and not padded[1][:, -7:].any()


@pytest.mark.parametrize("frames", [1, 3])
def test_nothing_to_see_gives_finite_numbers(fitted, batch_of, dyad, frames):
    coder, _ = fitted
    recording = dyad(frames=frames, skeleton=coder.skeleton.name)
    empty = replace(recording, keypoints=np.full_like(recording.keypoints, np.nan))
    same = replace(recording, keypoints=np.zeros_like(recording.keypoints) + 7)
    for one in (empty, same):
        states, known = coder.states(batch_of(one))
        assert torch.isfinite(states).all() and not known[..., 2:].any()
        assert torch.isfinite(coder.keypoints(states, batch_of(one).arena)).all()


def test_bodies_that_never_bend_are_fitted_too(reader_of, dyad):
    template = dyad(frames=53)
    angle = np.linspace(0, 3, 53)[:, None, None]
    body = template.keypoints[0, 0] - template.keypoints[0, 0, 3]
    turned = np.stack([body[:, 0] * np.cos(angle) - body[:, 1] * np.sin(angle),
                       body[:, 0] * np.sin(angle) + body[:, 1] * np.cos(angle)], -1)  # fmt: skip
    stiff = Recording(
        id="stiff", keypoints=(turned + 300).repeat(2, 1).astype(np.float32), skeleton=template.skeleton, fps=30.0
    )
    coder = TrajectoryCoder(CONFIG, stiff.skeleton).fit(reader_of(stiff))
    assert all(torch.isfinite(buffer).all() for buffer in coder.state_dict().values())
    batch = reader_of(stiff).read([(0, 0, 53)]).to("cpu", torch.float64)
    states, known = coder.states(batch)
    assert known.all()
    torch.testing.assert_close(coder.keypoints(states, batch.arena), batch.keypoints, rtol=0.0, atol=1e-3)


def test_more_components_than_a_pose_has_are_refused():
    with pytest.raises(InputError, match="7 degrees of freedom, but pose_components is 8"):
        TrajectoryCoder(StateConfig(pose_components=8), SKELETONS["rat_dyads"])
    with pytest.raises(InputError, match="pose_components must be at least 1"):
        StateConfig(pose_components=0)
    many = Skeleton(name="many", keypoints=tuple(f"k{i}" for i in range(63)))
    with pytest.raises(InputError, match="at most 62"):
        TrajectoryCoder(StateConfig(), many)
