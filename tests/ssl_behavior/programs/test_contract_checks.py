"""Faults of user programs: the error names the case and the numbers."""

from functools import wraps

import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.programs import MissingRole, check_program, load_programs, program
from ssl_behavior.skeleton import SKELETONS, Skeleton

CALMS21 = SKELETONS["calms21"]
calls = []


def made(function, invariant="", each_animal=True):
    function.__doc__ = "What a test needs."
    return program(units="length", invariant=invariant, each_animal=each_animal)(function)


def wrong_shape(pose):
    return pose.own.center


def wrong_batch(pose):
    return pose.own.speed.flatten()


def wrong_type(pose):
    return pose.own.speed > 3


def wrong_precision(pose):
    return pose.own.speed.double()


def breaks_in_single_precision(pose):
    return (pose.own.heading @ torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64))[..., 0]


def not_a_tensor(pose):
    return 3.0


def raises(pose):
    return pose.own.speed / {}["no such key"]


def raises_on_gaps(pose):
    if pose.own.points.isnan().any():
        raise RuntimeError("cannot cope")
    return pose.own.speed


def raises_on_one_frame(pose):
    return pose.own.speed + 0 * pose.own.points[..., 4:5, 0, 0].squeeze(-1).unsqueeze(-1)


def nothing_known(pose):
    return pose.own.speed * torch.nan


def infinite(pose):
    return 1 / (pose.own.speed * 0 + 0.0)


def infinite_where_they_meet(pose):
    x, y = pose.offset.unbind(-1)
    return 1 / (x * x + y * y)


def writes_into_keypoints(pose):
    pose.own.points[..., 0] += 1.0
    return pose.own.points[..., 0, 0] * 1.0


def writes_into_velocity(pose):
    return pose.own.velocity.mul_(2.0)[..., 0]


def rolls_dice(pose):
    return pose.own.speed + torch.rand(())


def counts_its_calls(pose):
    calls.append(1)
    return pose.own.speed + len(calls)


def looks_at_neighbors(pose):
    return pose.own.speed - pose.own.speed.nanmean()


def sums_from_the_start(pose):
    return pose.own.points[..., 0, 0].cumsum(-1)


def fills_gaps(pose):
    return pose.own.speed.nan_to_num(0.0)


def steep(pose):
    x = pose.own.points[..., 0, 0]
    return (x - x.detach()).abs().sqrt() + x


def sideways(pose):
    return pose.own.points[..., 0, 0] * 1.0


def keypoint_by_number(pose):
    return (pose.own.points[..., 1, :] - pose.own.points[..., 3, :]).square().sum(-1)


def signed(pose):
    own = pose.own
    ear, neck = own.part("left_ear"), own.part("neck")
    return (own.heading[..., 0] * (ear - neck)[..., 1]) - (own.heading[..., 1] * (ear - neck)[..., 0])


def one_sided(pose):
    return pose.own.speed * 1.0


def sized(pose):
    return pose.own.speed * 1.0


FAULTS = [
    (wrong_shape, "", ["shape [3, 5, 197, 2]", "expected [3, 5, 197]"]),
    (wrong_batch, "", ["shape [2955]", "one value per frame"]),
    (wrong_type, "", ["torch.bool", "expected torch.float32"]),
    (wrong_precision, "", ["torch.float64", "expected torch.float32"]),
    (breaks_in_single_precision, "", ["RuntimeError", "a scene without missing points"]),
    (not_a_tensor, "", ["float", "expected a tensor"]),
    (raises, "", ["KeyError", "no such key", f"line {raises.__code__.co_firstlineno + 1}"]),
    (raises_on_gaps, "", ["a scene with missing points", "RuntimeError", "cannot cope"]),
    (raises_on_one_frame, "", ["a scene of one frame", "RuntimeError"]),
    (nothing_known, "", ["NaN at all 197 frames"]),
    (infinite, "", ["infinite", "a scene without missing points"]),
    (infinite_where_they_meet, "", ["infinite", "one animal exactly on the other"]),
    (writes_into_keypoints, "", ["changes its input"]),
    (writes_into_velocity, "", ["changes pose.own.velocity"]),
    (rolls_dice, "", ["not deterministic"]),
    (counts_its_calls, "", ["not deterministic", "and then"]),
    (looks_at_neighbors, "", ["other items of the batch", "alone it gave"]),
    (sums_from_the_start, "", ["where a window starts"]),
    (fills_gaps, "", ["every point is missing", "gives 0"]),
    (steep, "", ["gradient is not finite", "angle_between"]),
    (sideways, "translation", ["invariant under translation", "moving", "changed", " to ", "frame"]),
    (sideways, "rotation", ["invariant under rotation, but turning the animals by 1.3 rad changed"]),
    (keypoint_by_number, "reflection", ["invariant under reflection, but mirroring the animals changed"]),
    (signed, "reflection", ["invariant under reflection"]),
    (sized, "translation scale", ["invariant under scale, but enlarging the picture 1.7 times changed"]),
    (one_sided, "swap", ["invariant under swap, but exchanging the animals changed"]),
]


@pytest.mark.parametrize(("function", "invariant", "words"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_error_names_program_file_case_and_numbers(function, invariant, words):
    with pytest.raises(InputError) as error:
        check_program(made(function, invariant), CALMS21, 30.0)
    message = str(error.value)
    place = f"program {function.__name__!r} ({__file__}:{function.__code__.co_firstlineno})"
    assert message.startswith(place), message
    assert all(word in message for word in words), message


def test_the_numbers_of_a_broken_promise_are_those_of_the_scene():
    with pytest.raises(InputError, match=r"changed -?\d+\.\d+ to -?\d+\.\d+ \(frame \d+\)"):
        check_program(made(sideways, "rotation"), CALMS21, 30.0)


def test_a_missing_part_is_not_a_fault_of_the_program():
    blob = Skeleton(name="blob", keypoints=("a", "b", "c"))
    with pytest.raises(MissingRole, match="blob"):
        check_program(made(lambda pose: pose.own.elongation if False else pose.own.nose[..., 0]), blob, 30.0)


def test_the_line_is_that_of_the_users_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from ssl_behavior.programs import program, length\n\n\n"
        "@program(units='length', invariant='', each_animal=True)\n"
        "def broken(pose):\n    'One line.'\n    three = 3\n    return length(three)\n"
    )
    found, _ = load_programs(path)
    with pytest.raises(InputError, match=rf"program 'broken' \({path}:\d\).*in line 8"):
        check_program(found["broken"], CALMS21, 30.0)


def with_a_matrix(pose):
    return (pose.own.heading @ torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float32) * pose.toward).sum(-1)


def filled_in(pose):
    values = torch.zeros(pose.own.speed.shape, dtype=torch.float32)
    values += pose.own.speed.detach()
    return values


def in_single_precision(pose):
    return pose.own.speed.float()


@pytest.mark.parametrize("function", [with_a_matrix, filled_in, in_single_precision])
def test_float32_constants_pass_and_invariances_are_still_checked(function):
    kept = "translation rotation" if function is with_a_matrix else "translation rotation reflection"
    check_program(made(function, kept), CALMS21, 30.0)
    broken = "reflection" if function is with_a_matrix else "scale"
    with pytest.raises(InputError, match=f"invariant under {broken}, but"):
        check_program(made(function, broken), CALMS21, 30.0)


def test_what_fails_outside_of_the_users_file_has_no_line_of_it():
    @wraps(torch.nn.functional.relu)
    def elsewhere(pose):
        raise RuntimeError("cannot cope")

    with pytest.raises(InputError, match="raises RuntimeError: cannot cope") as error:
        check_program(made(elsewhere), CALMS21, 30.0)
    assert "line 0" not in str(error.value)


def looks_up_a_role(pose):
    raise InputError("a sentence of ours")


def test_messages_hold_no_class_names():
    line = looks_up_a_role.__code__.co_firstlineno + 1
    with pytest.raises(InputError, match=f"it fails in line {line}: a sentence of ours"):
        check_program(made(looks_up_a_role), CALMS21, 30.0)
