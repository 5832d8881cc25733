import numpy as np

from ssl_behavior.seeds import numpy_generator
from ssl_behavior.simulate.schedule import (
    ATTACK,
    BOUT_FRAMES,
    CLASS_SHARES,
    INVESTIGATION,
    MOUNT,
    OTHER,
    Act,
    IntruderAct,
    Profile,
    draw_schedule,
)


def _draw(index, num_frames=9000, **profile):
    return draw_schedule(numpy_generator(0, "schedule", index), num_frames, Profile(**profile))


def test_shares_and_bout_lengths_follow_the_fit():
    schedules = [_draw(index) for index in range(150)]
    shares = np.bincount(np.concatenate([s.behavior for s in schedules]), minlength=4) / (150 * 9000)
    np.testing.assert_allclose(shares, CLASS_SHARES, atol=0.035)
    for behavior in range(4):
        lengths = []
        for schedule in schedules:
            edges = np.concatenate([[0], np.flatnonzero(np.diff(schedule.behavior)) + 1])
            names = schedule.behavior[edges[:-1]]
            lengths += list(np.diff(edges)[names == behavior])
        np.testing.assert_allclose(
            np.log(np.percentile(lengths, [15.87, 50, 84.13])), np.log(BOUT_FRAMES[behavior, [3, 5, 7]]), atol=0.35
        )


def test_temperaments_keep_to_their_behaviors():
    for index in range(11):
        assert set(_draw(index, temperament="calm").behavior) <= {INVESTIGATION, OTHER}
        assert ATTACK not in _draw(index, temperament="courting").behavior
    fights = [(_draw(index, temperament="aggressive").behavior == ATTACK).any() for index in range(23)]
    assert np.mean(fights) > 0.7
    mounts = [(_draw(index, temperament="courting").behavior == MOUNT).any() for index in range(23)]
    assert np.mean(mounts) > 0.7


def test_acts_refine_behaviors():
    families = {OTHER: range(6), INVESTIGATION: range(6, 9), MOUNT: range(9, 12), ATTACK: range(12, 14)}
    for index in range(13):
        schedule = _draw(index, 4001)
        for behavior, acts in families.items():
            assert set(schedule.act[schedule.behavior == behavior]) <= set(acts)
        assert set(schedule.intruder_act) <= set(range(IntruderAct.COUNT))
        assert (schedule.intruder_act[schedule.behavior == ATTACK] == IntruderAct.FLEE).all()


def test_moves_are_numbered_without_gaps_and_never_span_two_acts():
    schedule = _draw(3, 5003)
    for move, act in ((schedule.move, schedule.act), (schedule.intruder_move, schedule.intruder_act)):
        assert move[0] == 0
        assert set(np.diff(move)) <= {0, 1}
        assert (np.diff(move)[np.diff(act) != 0] == 1).all()
    assert len(np.unique(schedule.intensity)) == schedule.move[-1] + 1


def test_one_frame_is_a_schedule_too():
    schedule = _draw(0, 1)
    assert schedule.behavior.shape == schedule.act.shape == schedule.move.shape == (1,)


def test_grooming_follows_its_profile():
    share = [np.mean([(_draw(i, groom=g).act == Act.GROOM).mean() for i in range(17)]) for g in (0.05, 0.4)]
    assert share[0] < 0.06 < 0.15 < share[1]
