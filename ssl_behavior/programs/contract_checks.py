"""Contract checks of a task program on random scenes: shape, missing points, gradients, invariances."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ssl_behavior.errors import InputError
from ssl_behavior.programs.pose import MissingOther, MissingRole, Pose
from ssl_behavior.programs.program import Program
from ssl_behavior.programs.user_file import line_in
from ssl_behavior.seeds import torch_generator
from ssl_behavior.skeleton import Skeleton

__all__ = ["TRANSFORMED_BY", "RandomScene", "check_program", "random_scene", "transformed", "values_of"]

_BODY_PX = {
    "nose": (48.0, 0.0), "head": (40.0, 1.0), "left_ear": (34.0, 12.0), "right_ear": (35.0, -13.0),
    "neck": (25.0, 1.0), "center": (0.0, -1.0), "left_hip": (-20.0, 14.0), "right_hip": (-21.0, -15.0),
    "tail_base": (-35.0, 0.0), "tail_middle": (-70.0, 3.0), "tail_tip": (-103.0, -2.0),
}  # fmt: skip
_BODY_LENGTH = 60.0
_ARENA = (13.0, 7.0, 653.0, 487.0)
_SHIFT, _TURN, _FACTOR = (31.0, -17.0), 1.3, 1.7

TRANSFORMED_BY = {
    "translation": f"moving the animals by {_SHIFT}",
    "rotation": f"turning the animals by {_TURN} rad",
    "reflection": "mirroring the animals",
    "scale": f"enlarging the picture {_FACTOR} times",
    "swap": "exchanging the animals",
}
"""What `transformed` does, in words."""


@dataclass(frozen=True)
class RandomScene:
    """Keypoints of one or two animals in an arena, from which poses are made."""

    keypoints: Float[Tensor, "*batch time individual keypoint space"]
    arena: Float[Tensor, "*batch corner"]
    skeleton: Skeleton
    fps: float

    def pose(self) -> Pose:
        """Pose from the first animal's view; each call returns a new one, without cached values."""
        return Pose.of(self.keypoints, self.skeleton, self.fps, self.arena, _BODY_LENGTH)

    def to(self, dtype: torch.dtype) -> "RandomScene":
        """The scene in another precision."""
        return replace(self, keypoints=self.keypoints.to(dtype), arena=self.arena.to(dtype))


def random_scene(
    skeleton: Skeleton, fps: float, batch: Sequence[int], frames: int, generator: torch.Generator
) -> RandomScene:
    """Two animals that walk, turn, bend, and meet now and then; complete, in double precision."""
    shape = (*batch, frames, 2)

    def noise(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator, dtype=torch.float64)

    heading = (noise(*shape) * 0.1).cumsum(-2) + noise(*batch, 1, 2) * 3
    body = torch.tensor([_BODY_PX.get(role, (0.0, 0.0)) for role in _roles(skeleton)], dtype=torch.float64)
    body = body + noise(*shape, skeleton.num_keypoints, 2) * 2
    cos, sin = heading.cos().unsqueeze(-1), heading.sin().unsqueeze(-1)
    x, y = body.unbind(-1)
    turned = torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)
    place = torch.tensor([300.0, 250.0], dtype=torch.float64) + (noise(*shape, 2) * 2).cumsum(-3)
    # The second animal is somewhere around the first, now on it and now apart.
    phase = torch.arange(frames, dtype=torch.float64) / fps * 4 + noise(*batch, 1)
    apart = 90 * (1 - phase.cos()) + 5
    around = torch.stack([apart * (phase / 3).cos(), apart * (phase / 3).sin()], dim=-1)
    place = torch.stack([place[..., 0, :], place[..., 0, :] + around], dim=-2)
    arena = torch.tensor(_ARENA, dtype=torch.float64).expand(*batch, 4)
    return RandomScene(turned + place.unsqueeze(-2), arena, skeleton, fps)


def transformed(scene: RandomScene, name: str) -> RandomScene:
    """The scene after one of the `TRANSFORMATIONS` of programs."""
    keypoints, arena = scene.keypoints, scene.arena[..., None, None, None, :]
    middle = (arena[..., :2] + arena[..., 2:]) / 2
    if name == "translation":
        return replace(scene, keypoints=keypoints + keypoints.new_tensor(_SHIFT))
    if name == "rotation":
        cos, sin = math.cos(_TURN), math.sin(_TURN)
        turn = keypoints.new_tensor([[cos, sin], [-sin, cos]])
        return replace(scene, keypoints=middle + (keypoints - middle) @ turn)
    if name == "reflection":
        mirrored = torch.stack([2 * middle[..., 0] - keypoints[..., 0], keypoints[..., 1]], dim=-1)
        return replace(scene, keypoints=mirrored[..., scene.skeleton.mirror_order(), :])
    if name == "scale":
        return replace(scene, keypoints=keypoints * _FACTOR, arena=scene.arena * _FACTOR)
    assert name == "swap", name
    return replace(scene, keypoints=keypoints.flip(-3))


def _roles(skeleton: Skeleton) -> list[str]:
    roles = {keypoint: role for role, keypoint in skeleton.roles.items()}
    return [roles.get(keypoint, "") for keypoint in skeleton.keypoints]


_BATCH = (3, 5)
_SECONDS = 6.5
# Rounding, relative to the largest value; in single precision that of differences of coordinates of hundreds.
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}
_AGAIN = 1e-6
_NAN_HINT = "a missing point must give NaN, and everything else a number"


def check_program(entry: Program, skeleton: Skeleton, fps: float) -> None:
    """Run a program on random scenes: complete ones, with missing points, with one animal on the other, of one frame.

    It has to run in single precision, in which it is used. Numbers are compared in double precision where the program
    keeps it, and in single, less strictly, where it does not (constants of its own in float32).

    Raises
    ------
    InputError
        If it raises, returns another shape or type, gives NaN everywhere or infinite values, changes its input, gives
        two results for one input, depends on other items of the batch or on where a window starts, has no finite
        gradients, or does not have an invariance it declares. Program, file, case and numbers are named.
    MissingRole
        If the skeleton lacks a body part it asks for.
    MissingOther
        If it needs another animal, and the skeleton names one.
    """
    generator = torch_generator(0, "programs", "contract")
    complete = random_scene(skeleton, fps, _BATCH, _prime(_SECONDS * fps), generator)
    if skeleton.num_individuals == 1:
        complete = replace(complete, keypoints=complete.keypoints[..., :1, :, :])
    subject, used = _Subject(entry), complete.to(torch.float32)
    subject.check_known(subject.run(used, "a scene without missing points"))
    subject.check_gaps(used, generator)
    subject.check_short(used)
    scene = complete if subject.keeps_precision(complete) else used
    values = subject.run(scene, "a scene without missing points")
    subject.check_repeats(scene, values)
    subject.check_batch(scene, values)
    subject.check_windows(scene, values)
    subject.check_gradients(used)
    for name in entry.facts.invariant:
        subject.check_invariance(scene, values, name)


def values_of(entry: Program, pose: Pose, case: str) -> Tensor:
    """A program's values, one per frame.

    Raises
    ------
    InputError
        If it raises, or returns another shape or type. Program, file, case and line are named.
    MissingRole, MissingOther
        If there is no such body part, or no other animal.
    """
    try:
        values: object = entry.function(pose)
    except (MissingRole, MissingOther):
        raise
    except Exception as error:
        raise InputError(f"{_place(entry)}: on {case} it {_fails(entry, error)}") from error
    if not isinstance(values, Tensor):
        raise InputError(f"{_place(entry)}: on {case} it returns {type(values).__name__}, expected a tensor")
    expected = pose.own.points.shape[:-2]
    if values.shape != expected:
        raise InputError(
            f"{_place(entry)}: on {case} it returns the shape {list(values.shape)}, expected {list(expected)}: one "
            "value per frame, [*batch time]"
        )
    return values


def _place(entry: Program) -> str:
    return f"program {entry.name!r} ({entry.file}:{entry.line})"


def _fails(entry: Program, error: Exception) -> str:
    line = line_in(entry.file, error)
    where = f" in line {line}" if line else ""
    # An InputError is shown unchanged.
    return (
        f"fails{where}: {error}" if isinstance(error, InputError) else f"raises {type(error).__name__}{where}: {error}"
    )


@dataclass(frozen=True)
class _Subject:
    """Program under test."""

    entry: Program

    @property
    def place(self) -> str:
        return _place(self.entry)

    def run(self, scene: RandomScene, case: str, pose: Pose | None = None) -> Tensor:
        """Run the program on a scene and check shape, type and finiteness."""
        values = values_of(self.entry, pose or scene.pose(), case)
        if values.dtype != scene.keypoints.dtype:
            raise InputError(
                f"{self.place}: on {case} it returns {values.dtype}, expected {scene.keypoints.dtype} as its input"
            )
        if bool(values.isinf().any()):
            raise InputError(f"{self.place}: on {case} it gives infinite values; {_NAN_HINT}")
        return values

    def keeps_precision(self, scene: RandomScene) -> bool:
        """Whether the program runs in the scene's precision, which differs from the one in use."""
        try:
            values = values_of(self.entry, scene.pose(), "a scene in double precision")
        except InputError:
            return False
        return values.dtype == scene.keypoints.dtype

    def check_known(self, values: Tensor) -> None:
        """Check that some values are known on a complete scene."""
        if bool(values.isnan().all()):
            raise InputError(
                f"{self.place}: on a scene without missing points it gives NaN at all {values.shape[-1]} frames"
            )

    def check_repeats(self, scene: RandomScene, values: Tensor) -> None:
        """Check that the program changes no input and repeats its output."""
        before, pose = scene.keypoints.clone(), scene.pose()
        again = self.run(scene, "a scene it has seen before", pose)
        if not _same(scene.keypoints, before, _AGAIN) or not _same(pose.arena, scene.pose().arena, _AGAIN):
            raise InputError(f"{self.place}: it changes its input; work on a copy, others read the same keypoints")
        if changed := _changed_quantity(pose, scene.pose()):
            raise InputError(f"{self.place}: it changes pose.{changed}; work on a copy, other programs read it too")
        self._compare(values, again, "is not deterministic: the same scene gave", "and then", _AGAIN)

    def check_gaps(self, scene: RandomScene, generator: torch.Generator) -> None:
        """Check missing points, all points missing, and coinciding animals."""
        missing = torch.rand(scene.keypoints.shape[:-1], generator=generator) < 0.2
        holes = replace(scene, keypoints=scene.keypoints.masked_fill(missing.unsqueeze(-1), torch.nan))
        self.run(holes, "a scene with missing points")
        nothing = replace(scene, keypoints=torch.full_like(scene.keypoints, torch.nan))
        values = self.run(nothing, "a scene in which every point is missing")
        if not bool(values.isnan().all()):
            known = values[~values.isnan()]
            raise InputError(
                f"{self.place}: on a scene in which every point is missing it gives {known[0]:.4g}; {_NAN_HINT}"
            )
        onto = replace(scene, keypoints=scene.keypoints[..., :1, :, :].expand_as(scene.keypoints).clone())
        self.run(onto, "a scene with one animal exactly on the other")
        point = replace(scene, keypoints=scene.keypoints[..., :1, :].expand_as(scene.keypoints).clone())
        self.run(point, "a scene with all points of an animal in one place")

    def check_short(self, scene: RandomScene) -> None:
        """Check recordings of one frame."""
        self.run(replace(scene, keypoints=scene.keypoints[..., :1, :, :, :]), "a scene of one frame")

    def check_batch(self, scene: RandomScene, values: Tensor) -> None:
        """Check that batch items are independent."""
        alone = RandomScene(scene.keypoints[1, 2], scene.arena[1, 2], scene.skeleton, scene.fps)
        single = self.run(alone, "a scene without batch axes")
        self._compare(single, values[1, 2], "depends on other items of the batch: alone it gave", "and among others")

    def check_windows(self, scene: RandomScene, values: Tensor) -> None:
        """Check that known values in a window equal those of the whole recording."""
        frames = scene.keypoints.shape[-4]
        start, stop = frames // 7, frames - frames // 11
        window = replace(scene, keypoints=scene.keypoints[..., start:stop, :, :, :])
        inside = self.run(window, "a window cut from a longer scene")
        whole = values[..., start:stop].where(~inside.isnan(), torch.nan)
        self._compare(inside, whole, "depends on where a window starts or ends: in a window it gave", "in the whole")

    def check_gradients(self, scene: RandomScene) -> None:
        """Check that gradients on complete keypoints are finite."""
        leaf = scene.keypoints.clone().requires_grad_()
        values = self.run(replace(scene, keypoints=leaf), "keypoints that require gradients")
        if not values.requires_grad:
            return
        (gradient,) = torch.autograd.grad(values[values.isfinite()].sum(), leaf)
        if not bool(gradient.isfinite().all()):
            raise InputError(
                f"{self.place}: its gradient is not finite on complete keypoints; the functions of "
                "ssl_behavior.programs (length, unit, dot, cross, angle_between, turn) have finite ones"
            )

    def check_invariance(self, scene: RandomScene, values: Tensor, name: str) -> None:
        """Check the declared invariances."""
        case = f"a scene after {TRANSFORMED_BY[name]}"
        self._compare(
            values,
            self.run(transformed(scene, name), case),
            f"says it is invariant under {name}, but {TRANSFORMED_BY[name]} changed",
            "to",
        )

    def _compare(self, one: Tensor, two: Tensor, before: str, between: str, tolerance: float = 0.0) -> None:
        if _same(one, two, tolerance or _TOLERANCE[one.dtype]):
            return
        known = one.detach().nan_to_num(0.0), two.detach().nan_to_num(0.0)
        far = (known[0] - known[1]).abs().masked_fill(one.isnan() != two.isnan(), torch.inf)
        worst = int(far.flatten().argmax())
        first, second = (float(values.flatten()[worst]) for values in (one, two))
        frame = worst % one.shape[-1]
        raise InputError(f"{self.place}: it {before} {first:.6g} {between} {second:.6g} (frame {frame})")


def _same(one: Tensor, two: Tensor, tolerance: float) -> bool:
    """Whether values are equal up to rounding, with NaN at the same places."""
    size = float(one.detach().nan_to_num(0.0).abs().max()) if one.numel() else 0.0
    return torch.allclose(one, two, rtol=tolerance, atol=tolerance * max(size, tolerance), equal_nan=True)


def _changed_quantity(used: Pose, fresh: Pose) -> str:
    """Name of a cached quantity of a pose that the program changed; "" if none."""
    sides: list[tuple[str, Callable[[Pose], object]]] = [
        ("", lambda pose: pose),
        ("own.", lambda pose: pose.own),
    ]
    if used.partner is not None:
        sides.append(("other.", lambda pose: pose.other))
    for prefix, side in sides:
        for name, value in vars(side(used)).items():
            if isinstance(value, Tensor) and not _same(getattr(side(fresh), name), value, _AGAIN):
                return prefix + name
    return ""


def _prime(least: float) -> int:
    number = max(2, int(least))
    while any(number % divisor == 0 for divisor in range(2, int(number**0.5) + 1)):
        number += 1
    return number
