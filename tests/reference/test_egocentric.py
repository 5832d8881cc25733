"""Egocentric alignment and the MABe 2021 Task 1 winner's 37 features, frame by frame in plain Python."""

import math

import numpy as np
import torch

from ssl_behavior.features import FeatureConfig, Featurizer
from ssl_behavior.pose_geometry import SceneConfig
from ssl_behavior.skeleton import SKELETONS

NECK, TAIL = 3, 6
OFF = SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0)


def body_angle(mouse):
    return math.atan2(*(mouse[NECK] - mouse[TAIL])[::-1])


def turned(vector, angle):
    """The vector in a frame whose x axis points along `angle`."""
    x, y = vector
    return [x * math.cos(angle) + y * math.sin(angle), -x * math.sin(angle) + y * math.cos(angle)]


def own_frame(mouse):
    """Keypoints less the tail-neck midpoint, rotated by minus the body angle: 14 numbers."""
    middle = (mouse[NECK] + mouse[TAIL]) / 2
    return [value for point in mouse for value in turned(point - middle, body_angle(mouse))]


def social(own, before, other):
    """Forward velocity, body-angle change, and direction and length from the neck to the other's neck and tail base."""
    axis = own[NECK] - own[TAIL]
    turn = body_angle(own) - body_angle(before)
    values = [float(axis @ (own - before).mean(axis=0)), math.cos(turn), math.sin(turn)]
    for target in (other[NECK], other[TAIL]):
        offset = target - own[NECK]
        length = math.hypot(*offset)
        values += [*turned(offset / length, body_angle(own)), length]
    return values


def test_mabe2021_features_equal_the_formula(dyad, batch_of):
    recording = dyad(frames=31)
    scene = recording.keypoints.astype(np.float64)
    config = FeatureConfig(blocks=("pose", "other_own_pose", "mabe2021_social"), scene=OFF)
    values, known = Featurizer(config, SKELETONS["calms21"]).raw_channels(batch_of(recording))
    assert values.shape[-1] == 37
    # Lengths are in units of a scale of 1 here; poses are limited to 4 units, so they are compared at scale 60.
    small = Featurizer(config, SKELETONS["calms21"])
    small.scale_px.fill_(60.0)
    poses = small.raw_channels(batch_of(recording))[0][..., :28] * 60
    for frame in range(1, 31):
        for i in range(2):
            own, other = scene[frame, i], scene[frame, 1 - i]
            expected = own_frame(own) + own_frame(other)
            np.testing.assert_allclose(poses[0, frame, i], expected, atol=1e-9)
            np.testing.assert_allclose(values[0, frame, i, 28:], social(own, scene[frame - 1, i], other), rtol=1e-9)
    # The first frame has no difference to the one before it.
    assert not known[0, 0, :, 28:31].any() and known[0, 0, :, 31:].all() and known[:, 1:].all()


def test_all_distances_equal_the_formula(dyad, batch_of):
    recording = dyad(frames=5)
    config = FeatureConfig(blocks=("distances",), scene=OFF)
    values, _ = Featurizer(config, SKELETONS["calms21"]).raw_channels(batch_of(recording))
    points = recording.keypoints.astype(np.float64)
    for frame in range(5):
        for i in range(2):
            own, other = points[frame, i], points[frame, 1 - i]
            pairs = [(a, b) for a in own for b in other] + [(own[a], own[b]) for a in range(7) for b in range(a)]
            expected = [math.log(math.dist(a, b) + 0.1) for a, b in pairs]
            torch.testing.assert_close(values[0, frame, i], torch.tensor(expected))
