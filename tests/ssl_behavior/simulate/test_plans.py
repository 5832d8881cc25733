from collections import Counter

import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.simulate.recording_plans import calms21_files, equal_plans
from ssl_behavior.simulate.schedule import TASK3_BEHAVIORS

GROUPS = {
    "task1_classic_classification/calms21_task1_{}": ["annotator-id_0"],
    "task2_annotation_styles/calms21_task2_{}": [f"annotator-id_{number}" for number in range(1, 6)],
    "task3_new_behaviors/calms21_task3_{}": list(TASK3_BEHAVIORS),
}


def _plans(groups):
    return [plan for group in groups.values() for plan in group]


def test_calms21_has_its_files_groups_and_names():
    files = calms21_files(1.0)
    labeled = {name.format(subset): groups for name, groups in GROUPS.items() for subset in ("train", "test")}
    parts = {f"unlabeled_videos/calms21_unlabeled_videos_part{part}": ["unlabeled_videos"] for part in range(1, 5)}
    assert {name: list(groups) for name, groups in files.items()} == labeled | parts
    task1 = files["task1_classic_classification/calms21_task1_test"]["annotator-id_0"]
    assert task1[0].id == "task1/test/mouse071_task1_annotator1"
    task2 = files["task2_annotation_styles/calms21_task2_train"]["annotator-id_3"]
    assert task2[1].id == "task2/annotator3/train/mouse002_task2_annotator3"
    assert {plan.annotator for plan in task2} == {3}
    task3 = files["task3_new_behaviors/calms21_task3_test"]["groom"]
    assert task3[0].id == "task3/groom/test/mouse004_task3_groom"
    assert task3[0].task3 == ("groom",) and task3[0].annotator is None


def test_calms21_has_its_sizes():
    files = calms21_files(1.0)
    sizes = {name: (len(_plans(g)), sum(p.num_frames for p in _plans(g))) for name, g in files.items()}
    assert sizes["task1_classic_classification/calms21_task1_train"] == (70, 507_738)
    assert sizes["task1_classic_classification/calms21_task1_test"] == (19, 262_107)
    assert sizes["task2_annotation_styles/calms21_task2_train"] == (30, 30 * 18_000)
    pool = [size for name, size in sizes.items() if name.startswith("unlabeled")]
    assert (sum(count for count, _ in pool), sum(frames for _, frames in pool)) == (282, 6_000_000)


@pytest.mark.parametrize("scale", [0.001, 0.01, 0.3, 2.0])
def test_any_scale_has_unique_names_and_about_its_share_of_the_frames(scale):
    plans = [plan for groups in calms21_files(scale).values() for plan in _plans(groups)]
    assert len({plan.id for plan in plans}) == len(plans)
    task1 = [plan.num_frames for plan in plans if plan.id.startswith("task1/train")]
    assert sum(task1) == max(600, round(507_738 * scale))


def test_the_pool_has_the_size_asked_for():
    files = calms21_files(0.01, unlabeled_frames=12_345)
    assert sum(p.num_frames for n, g in files.items() if n.startswith("unl") for p in _plans(g)) == 12_345
    assert not any(name.startswith("unlabeled") for name in calms21_files(0.01, unlabeled_frames=0))


def test_more_recordings_leave_the_first_ones_alone():
    few, many = equal_plans(11, 503), equal_plans(97, 503)
    assert many[:11] == few
    counts = Counter(plan.subset for plan in many)
    assert abs(counts["train"] - 58) <= 1 and abs(counts["test"] - 19) <= 1


def test_every_subset_has_its_share_of_temperaments():
    plans = [plan for plan in equal_plans(200, 100) if plan.subset == "train"]
    counts = Counter(plan.profile.temperament for plan in plans)
    assert abs(counts["aggressive"] / len(plans) - 0.185) < 0.03
    assert {plan.profile.temperament for plan in plans[:2]} == {"courting", "aggressive"}


def test_unlabeled_recordings_have_no_labels_and_annotators_take_turns():
    plans = equal_plans(
        10, 100, subsets={"train": 0.5, "unlabeled": 0.5}, tasks=("behavior", "groom"), annotators=(1, 2, 3)
    )
    for plan in plans:
        assert (plan.annotator is None) == (plan.subset == "unlabeled")
        assert plan.task3 == (() if plan.subset == "unlabeled" else ("groom",))
    assert {plan.annotator for plan in plans} == {1, 2, 3, None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_recordings": 0, "frames": 5}, "at least 1 recording"),
        ({"num_recordings": 2, "frames": 0}, "at least 1 frame"),
        ({"num_recordings": 2, "frames": 5, "subsets": {}}, "shares"),
        ({"num_recordings": 2, "frames": 5, "subsets": {"train": -1.0}}, "shares"),
        ({"num_recordings": 2, "frames": 5, "tasks": ("dance",)}, "unknown tasks"),
        ({"num_recordings": 2, "frames": 5, "annotators": ()}, "annotator"),
        ({"num_recordings": 2, "frames": 5, "missing": 2.0}, "missing share"),
    ],
)
def test_invalid_plans_raise(arguments, message):
    with pytest.raises(InputError, match=message):
        equal_plans(**arguments)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_invalid_scale_raises(scale):
    with pytest.raises(InputError, match="scale must be a number above 0"):
        calms21_files(scale)


def test_negative_pool_raises():
    with pytest.raises(InputError, match="unlabeled frames"):
        calms21_files(0.1, unlabeled_frames=-1)
