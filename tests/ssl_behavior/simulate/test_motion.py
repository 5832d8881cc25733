from dataclasses import replace

import numpy as np

from ssl_behavior.seeds import numpy_generator
from ssl_behavior.simulate.motion import body_keypoints, draw_bodies, turning
from ssl_behavior.simulate.schedule import ATTACK, INVESTIGATION, MOUNT, OTHER, Act, IntruderAct, Profile, draw_schedule

ARENA = (60.0, 30.0, 960.0, 545.0)
NOSE, LEFT_EAR, RIGHT_EAR, NECK, LEFT_HIP, RIGHT_HIP, TAIL = range(7)


def _bodies(index, num_frames=6000, temperament=""):
    schedule = draw_schedule(numpy_generator(1, "schedule", index), num_frames, Profile(temperament=temperament))
    return schedule, draw_bodies(numpy_generator(1, "motion", index), schedule, ARENA)


def _pooled(temperament):
    """Acts, behaviors and true points [time, 2, 7] of a few recordings."""
    drawn = [_bodies(index, temperament=temperament) for index in range(7)]
    points = [np.stack([body_keypoints(body, i) for i, body in enumerate(bodies)], axis=1) for _, bodies in drawn]
    schedules = [schedule for schedule, _ in drawn]
    join = lambda name: np.concatenate([getattr(s, name) for s in schedules])  # noqa: E731
    return join("act"), join("behavior"), join("intruder_act"), np.concatenate(points)


def test_centers_stay_in_the_arena_and_motion_is_smooth():
    for index in range(5):
        _, bodies = _bodies(index)
        for body in bodies:
            assert (body.center.real >= ARENA[0]).all() and (body.center.real <= ARENA[2]).all()
            assert (body.center.imag >= ARENA[1]).all() and (body.center.imag <= ARENA[3]).all()
            speed = np.abs(np.diff(body.center))
            assert np.percentile(speed, 50) < 8
            assert speed.max() < 110
            assert (body.trunk > 30).all() and (body.head > 15).all()


def test_animals_turn_the_shorter_way():
    direction = np.repeat([3.0, -3.0, 3.1, -2.9], 61)
    turned = turning(direction, 2.6)
    assert np.abs(np.diff(turned)).max() < 0.05
    np.testing.assert_allclose(np.exp(1j * turned[60::61]), np.exp(1j * direction[60::61]), atol=1e-6)


def test_the_body_is_built_as_named():
    _, (resident, _) = _bodies(2)
    straight = replace(resident, bend=np.zeros_like(resident.bend))
    points = body_keypoints(straight, 0)
    ahead = np.exp(1j * straight.heading)
    along = ((points - straight.center[:, None]) / ahead[:, None]).real
    assert (along[:, NOSE] > along[:, LEFT_EAR]).all()
    assert (along[:, LEFT_EAR] > along[:, NECK]).all()
    assert (along[:, NECK] > along[:, LEFT_HIP]).all()
    assert (along[:, LEFT_HIP] > along[:, TAIL]).all()
    np.testing.assert_allclose(np.abs(points[:, NECK] - points[:, TAIL]), straight.trunk)
    np.testing.assert_allclose(np.abs(points[:, NOSE] - points[:, NECK]), straight.head)
    across = ((points - straight.center[:, None]) / ahead[:, None]).imag
    np.testing.assert_allclose(across[:, LEFT_HIP], -across[:, RIGHT_HIP])
    assert (across[:, LEFT_EAR] > 0).all()


def testturning_the_body_turns_the_points():
    _, (resident, _) = _bodies(3, 503)
    turned = replace(resident, heading=resident.heading + 0.7, center=resident.center * np.exp(0.7j))
    np.testing.assert_allclose(body_keypoints(turned, 0), body_keypoints(resident, 0) * np.exp(0.7j), atol=1e-9)


def test_behaviors_look_like_themselves():
    act, behavior, _, points = _pooled("courting")
    nose_gap = np.abs(points[:, 0, :1] - points[:, 1]).min(axis=1)
    centers = points[:, :, 3:].mean(axis=2)
    apart = np.abs(centers[:, 0] - centers[:, 1])
    axes = points[:, :, NECK] - points[:, :, TAIL]
    aligned = np.cos(np.angle(axes[:, 0] / axes[:, 1]))
    assert np.median(nose_gap[behavior == INVESTIGATION]) < 60 < 120 < np.median(nose_gap[behavior == OTHER])
    assert np.median(apart[behavior == MOUNT]) < 90 < np.median(apart[behavior == INVESTIGATION])
    assert np.median(aligned[behavior == MOUNT]) > 0.9
    face = np.abs(points[:, 0, NOSE] - points[:, 1, NOSE])
    rear = np.abs(points[:, 0, NOSE] - points[:, 1, TAIL])
    assert np.median((face - rear)[act == Act.SNIFF_FACE]) < 0 < np.median((face - rear)[act == Act.SNIFF_REAR])


def test_attack_is_fast_and_close():
    _, behavior, _, points = _pooled("aggressive")
    centers = points[:, :, 3:].mean(axis=2)
    speed = np.abs(np.diff(centers, axis=0, prepend=centers[:1])).sum(axis=1)
    apart = np.abs(centers[:, 0] - centers[:, 1])
    assert np.median(speed[behavior == ATTACK]) > 2 * np.median(speed[behavior != ATTACK])
    assert np.median(apart[behavior == ATTACK]) < 180 < np.median(apart[behavior == OTHER])


def test_rearing_and_grooming_shorten_the_body():
    act, _, intruder_act, points = _pooled("calm")
    trunk = np.abs(points[:, :, NECK] - points[:, :, TAIL])
    assert np.median(trunk[intruder_act == IntruderAct.REAR, 1]) < 0.7 * np.median(trunk[intruder_act == 0, 1])
    assert np.median(trunk[act == Act.GROOM, 0]) < 0.8 * np.median(trunk[act == Act.ROAM, 0])
