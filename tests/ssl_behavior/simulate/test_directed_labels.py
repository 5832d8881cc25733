"""Labels with agents and targets of simulated dyads."""

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.simulate.annotators import REACTION_FRAMES
from ssl_behavior.simulate.directed_labels import (
    DYAD_BEHAVIORS,
    INTERACTIONS,
    SWAPS,
    dyad_labels,
    group_labels,
    swap_labels,
)
from ssl_behavior.simulate.group_schedule import GroupAct, GroupSchedule, MouseSchedule
from ssl_behavior.simulate.recording_plans import Plan, equal_plans, simulate_plan
from ssl_behavior.simulate.schedule import ATTACK, INVESTIGATION, Act, IntruderAct, Profile, draw_schedule

RESIDENT, INTRUDER = 0, 1


def test_directed_labels_of_dyads_are_their_schedule_after_the_reaction():
    schedule = draw_schedule(numpy_generator(0, "s"), 9000, Profile(temperament="aggressive"))
    labels = dyad_labels(schedule)

    def shown(agent, target, *names):
        numbers = [DYAD_BEHAVIORS.index(name) for name in names]
        return np.max([labels.frames(agent, target, number, 9000) for number in numbers], axis=0)[REACTION_FRAMES:] == 1

    def true(frames):
        return frames[:-REACTION_FRAMES]

    assert (schedule.behavior == ATTACK).any()
    np.testing.assert_array_equal(shown(RESIDENT, INTRUDER, "attack"), true(schedule.behavior == ATTACK))
    sniffs = shown(RESIDENT, INTRUDER, "sniff", "sniffface", "sniffgenital")
    np.testing.assert_array_equal(sniffs, true(schedule.behavior == INVESTIGATION))
    np.testing.assert_array_equal(shown(INTRUDER, RESIDENT, "escape"), true(schedule.behavior == ATTACK))
    np.testing.assert_array_equal(shown(RESIDENT, RESIDENT, "selfgroom"), true(schedule.act == Act.GROOM))
    np.testing.assert_array_equal(shown(INTRUDER, INTRUDER, "rear"), true(schedule.intruder_act == IntruderAct.REAR))


def test_directed_labels_leave_the_rest_of_a_dyad_alone():
    plain, directed = (simulate_plan(Plan(id="m", num_frames=2003, pair_labels=on), 3) for on in (False, True))
    np.testing.assert_array_equal(plain.keypoints, directed.keypoints)
    np.testing.assert_array_equal(plain.labels["behavior"].frames, directed.labels["behavior"].frames)
    assert not plain.pair_labels and set(directed.pair_labels) == {INTERACTIONS}
    assert directed.individuals == ("resident", "intruder") and not directed.skeleton.exchangeable


def test_swaps_of_dyads_are_listed_and_can_be_undone():
    true, swapped = (simulate_plan(Plan(id="m", num_frames=4003, swaps=share), 3) for share in (0.0, 0.6))
    restored = swapped.keypoints.copy()
    swaps = swapped.pair_labels[SWAPS].bouts
    assert len(swaps)
    for i, j, _, start, stop in swaps.tolist():
        restored[start:stop, [i, j]] = restored[start:stop, [j, i]]
    np.testing.assert_array_equal(restored, true.keypoints)
    np.testing.assert_array_equal(true.labels["behavior"].frames, swapped.labels["behavior"].frames)


def test_plans_of_dyads_take_the_options():
    plans = equal_plans(
        10, 31, {"train": 0.5, "unlabeled": 0.5}, pair_labels=True, not_looked_for=0.3, swaps=0.1, exchangeable=True
    )
    assert {plan.subset for plan in plans if plan.pair_labels} == {"train"}
    assert sum(len(plan.not_looked_for) for plan in plans) == 3
    assert all(plan.swaps == 0.1 and plan.skeleton.exchangeable for plan in plans)
    with pytest.raises(InputError, match=r"unknown behaviors \['dance'\]"):
        Plan(id="m", num_frames=5, not_looked_for=("dance",))
    with pytest.raises(InputError, match="share of touches"):
        Plan(id="m", num_frames=5, swaps=-0.1)


def _mouse(*segments):
    nowhere = np.zeros(1, dtype=np.int64)
    return MouseSchedule(segments=np.array(segments), frames=nowhere, places=nowhere.astype(complex))


def test_group_labels_name_agents_and_targets_and_join_equal_bouts():
    first = _mouse(
        (0, 20, Act.ROAM, -1), (20, 31, Act.SNIFF_FACE, 1), (31, 40, Act.SNIFF_FACE, 1), (40, 60, Act.REST, -1)
    )
    second = _mouse((0, 50, GroupAct.STAY, 0), (50, 60, GroupAct.FLEE, 0))
    labels = group_labels(
        GroupSchedule(num_frames=60, mice=(first, second), disturbances=np.empty((0, 4), dtype=np.int64)), 3
    )
    found = [(a, b, labels.vocabulary[k], start, stop) for a, b, k, start, stop in labels.bouts.tolist()]
    late = REACTION_FRAMES
    assert found == [
        (0, 0, "rest", 40 + late, 60), (0, 1, "sniffface", 20 + late, 40 + late), (1, 0, "escape", 50 + late, 60),
    ]  # fmt: skip
    assert labels.looked_for.shape[:2] == (3, 3) and not labels.looked_for[2].any()


def test_no_swaps_are_an_empty_list():
    labels = swap_labels(np.empty((0, 4), dtype=np.int64), 2, 3)
    assert labels.bouts.shape == (0, 5) and labels.vocabulary == ("swapped",)
    assert labels.looked_for.shape == (3, 3, 1) and np.argwhere(labels.looked_for).tolist() == [[0, 1, 0]]
