"""Plans of simulated recordings of dyads (any number, or the whole of CalMS21), and recordings from plans."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.simulate.annotators import REACTION_FRAMES, annotate, find_annotator
from ssl_behavior.simulate.directed_labels import (
    DYAD_BEHAVIORS,
    INTERACTIONS,
    SWAPS,
    check_not_looked_for,
    dyad_labels,
    swap_labels,
)
from ssl_behavior.simulate.group_plans import GroupPlan, check_share, left_out, simulate_group
from ssl_behavior.simulate.motion import body_keypoints, draw_bodies
from ssl_behavior.simulate.schedule import (
    BEHAVIORS,
    MOUNT,
    OTHER,
    RECORDING_FRAMES,
    TASK3_BEHAVIORS,
    TEMPERAMENT_SHARES,
    TEMPERAMENTS,
    Act,
    IntruderAct,
    Profile,
    Schedule,
    draw_schedule,
)
from ssl_behavior.simulate.subset_shares import DEFAULT_SUBSETS, check_shares, shared_out
from ssl_behavior.simulate.tracking import exchange_identities, track
from ssl_behavior.skeleton import SKELETONS, Skeleton

__all__ = [
    "DEFAULT_SUBSETS",
    "FPS",
    "FRAME_PX",
    "TASK3_PROFILES",
    "UNLABELED_FRAMES",
    "Plan",
    "calms21_files",
    "equal_plans",
    "simulate_plan",
    "simulate_recording",
]

FPS = 30.0
FRAME_PX = (1024.0, 570.0)
_ARENA_PX = (62.0, 32.0, 962.0, 548.0)
"""The cage floor of a usual recording; every recording's camera stands a little elsewhere."""

TASK3_PROFILES = {
    "approach": Profile(),
    "disengaged": Profile(),
    "groom": Profile(groom=0.29),
    "intromission": Profile(temperament="courting", bout_scores={MOUNT: 1.0, OTHER: -0.35}),
    "mount_attempt": Profile(temperament="courting", bout_scores={MOUNT: -0.35}),
    "sniff_face": Profile(sniff_face=0.165),
    "whiterearing": Profile(rear=0.102),
}
"""Task 3's recordings were chosen for one behavior each."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Parameters of a simulated recording; together with the seed they determine it.

    Parameters
    ----------
    id : the recording's name; the random numbers depend on it (and on the seed), not on its place in a list.
    num_frames : length.
    subset : "train", "test", "unlabeled" or any other name.
    annotator : annotator of "behavior" (0 to 5), or None.
    task3 : Task 3 behaviors that are annotated too.
    profile : how often the refinements happen.
    missing : share of the points lost as NaN.
    pair_labels : whether it also has the label stream "interactions", with agents and targets.
    not_looked_for : behaviors that are left out of that stream.
    swaps : share of the touches of both animals after which their tracks are exchanged for a while.
    exchangeable : whether the animals are anonymous.
    """

    id: str
    num_frames: int
    subset: str = ""
    annotator: int | None = 0
    task3: tuple[str, ...] = ()
    profile: Profile = field(default_factory=Profile)
    missing: float = 0.0
    pair_labels: bool = False
    not_looked_for: tuple[str, ...] = ()
    swaps: float = 0.0
    exchangeable: bool = False

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise InputError(f"recording {self.id!r}: a recording needs at least 1 frame, got {self.num_frames}")
        if not 0 <= self.missing < 1:
            raise InputError(f"recording {self.id!r}: the missing share must be in [0, 1), got {self.missing}")
        unknown = sorted(set(self.task3) - set(TASK3_BEHAVIORS))
        if unknown:
            raise InputError(f"recording {self.id!r}: unknown Task 3 behaviors {unknown}; known: {TASK3_BEHAVIORS}")
        if self.annotator is not None:
            find_annotator(self.annotator)
        check_share(self.swaps, "the share of touches with a swap", self.id)
        check_not_looked_for(self.not_looked_for, DYAD_BEHAVIORS, self.id)

    @property
    def skeleton(self) -> Skeleton:
        return replace(SKELETONS["calms21"], exchangeable=self.exchangeable)


def simulate_plan(plan: Plan | GroupPlan, seed: int) -> Recording:
    """Simulate the recording of a plan; equal plans and seeds give equal recordings."""
    if isinstance(plan, GroupPlan):
        return simulate_group(plan, seed)
    schedule = draw_schedule(numpy_generator(seed, "simulate", plan.id, "schedule"), plan.num_frames, plan.profile)
    keypoints, confidence, swaps = _tracks(plan, schedule, seed)
    pair_labels = {INTERACTIONS: dyad_labels(schedule, plan.not_looked_for)} if plan.pair_labels else {}
    if plan.swaps:
        pair_labels[SWAPS] = swap_labels(swaps, 2, 2)
    return Recording(
        id=plan.id,
        keypoints=keypoints,
        confidence=confidence,
        fps=FPS,
        skeleton=plan.skeleton,
        labels=_labels(plan, schedule, seed),
        pair_labels=pair_labels,
        subset=plan.subset,
        source=f"simulated, seed {seed}",
        resolution_px=FRAME_PX,
    )


def simulate_recording(
    seed: int,
    num_frames: int,
    *,
    name: str = "simulated",
    annotator: int | None = 0,
    task3: tuple[str, ...] = (),
    profile: Profile | None = None,
    missing: float = 0.0,
) -> Recording:
    """Simulate two mice of CalMS21: 30 fps, 1024 x 570 pixels, label stream "behavior" (and one per Task 3 behavior).

    Another annotator, or more streams, leave the tracks as they are.

    Raises
    ------
    InputError
        If `num_frames` is below 1, `missing` outside [0, 1), or a behavior or annotator unknown.
    """
    profile = profile or Profile()
    return simulate_plan(
        Plan(id=name, num_frames=num_frames, annotator=annotator, task3=task3, profile=profile, missing=missing), seed
    )


def _tracks(plan: Plan, schedule: Schedule, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keypoints, confidence and identity swaps."""
    generator = numpy_generator(seed, "simulate", plan.id, "motion")
    shift = np.tile(np.clip(7.0 * generator.standard_normal(2), -14, 14), 2)
    x0, y0, x1, y1 = (float(edge) for edge in np.array(_ARENA_PX) + shift)
    bodies = draw_bodies(generator, schedule, (x0, y0, x1, y1))
    points = np.stack([body_keypoints(body, individual) for individual, body in enumerate(bodies)], axis=1)
    points = np.clip(points.real, x0, x1) + 1j * np.clip(points.imag, y0, y1)
    tracker = numpy_generator(seed, "simulate", plan.id, "tracker")
    tracks = track(tracker, points, FRAME_PX, plan.missing)
    return exchange_identities(numpy_generator(seed, "simulate", plan.id, "swaps"), points, tracks, plan.swaps)


def _labels(plan: Plan, schedule: Schedule, seed: int) -> dict[str, Labels]:
    labels = {}
    if plan.annotator is not None:
        generator = numpy_generator(seed, "simulate", plan.id, "annotator", plan.annotator)
        frames = annotate(generator, schedule, find_annotator(plan.annotator))
        labels["behavior"] = Labels(
            vocabulary=BEHAVIORS, frames=frames, annotator=str(plan.annotator), background="other"
        )
    for name in plan.task3:
        frames = _task3_frames(schedule, name).astype(np.int16)
        labels[name] = Labels(vocabulary=("other", name), frames=frames, annotator="0", background="other")
    return labels


_TASK3_ACTS = {
    "approach": Act.APPROACH,
    "disengaged": Act.DISENGAGE,
    "groom": Act.GROOM,
    "intromission": Act.INTROMISSION,
    "mount_attempt": Act.MOUNT_ATTEMPT,
    "sniff_face": Act.SNIFF_FACE,
}


def _task3_frames(schedule: Schedule, name: str) -> np.ndarray:
    rearing = schedule.intruder_act == IntruderAct.REAR
    happens = rearing if name == "whiterearing" else schedule.act == _TASK3_ACTS[name]
    return np.concatenate([np.zeros(REACTION_FRAMES, dtype=bool), happens])[: len(happens)]


UNLABELED_FRAMES = 6_000_000
_UNLABELED_RECORDINGS = 282
_TASK1 = {"train": (70, 507_738), "test": (19, 262_107)}
"""Recordings and frames."""
_TASK2, _TASK2_FRAMES = {"train": 6, "test": 3}, 18_000
"""Recordings per annotator, and the frames of each."""
_TASK3, _TASK3_FRAMES = {"train": 3, "test": 2}, 12_000
_FEWEST_FRAMES = 300


def equal_plans(
    num_recordings: int,
    frames: int,
    subsets: Mapping[str, float] = DEFAULT_SUBSETS,
    tasks: Sequence[str] = ("behavior",),
    annotators: Sequence[int] = (0,),
    missing: float = 0.0,
    *,
    pair_labels: bool = False,
    not_looked_for: float = 0.0,
    swaps: float = 0.0,
    exchangeable: bool = False,
) -> list[Plan]:
    """Plans of `frames` frames each, distributed over subsets; a plan does not depend on how many follow.

    Parameters
    ----------
    subsets : name -> share; recordings of "unlabeled" get no labels.
    tasks : label streams: "behavior" and any of Task 3's behaviors.
    annotators : annotators of "behavior", in turn.
    not_looked_for : share of the recordings of which the stream "interactions" leaves out one behavior.
    missing, pair_labels, swaps, exchangeable : see `Plan`.

    Raises
    ------
    InputError
        If a number is below 1, a share is negative or all are 0, or a task is unknown.
    """
    _check_equal(num_recordings, subsets, tasks, annotators)
    plans = []
    for index, (subset, made) in enumerate(shared_out(num_recordings, subsets)):
        labeled = subset != "unlabeled"
        plan = Plan(
            id=f"{subset}/mouse{index + 1:03d}",
            num_frames=frames,
            subset=subset,
            annotator=annotators[index % len(annotators)] if labeled and "behavior" in tasks else None,
            task3=tuple(task for task in tasks if task != "behavior") if labeled else (),
            profile=_spread_temperament(Profile(), made),
            missing=missing,
            pair_labels=pair_labels and labeled,
            not_looked_for=left_out(index, not_looked_for, DYAD_BEHAVIORS),
            swaps=swaps,
            exchangeable=exchangeable,
        )
        plans.append(plan)
    return plans


def _check_equal(
    num_recordings: int, subsets: Mapping[str, float], tasks: Sequence[str], annotators: Sequence[int]
) -> None:
    check_shares(num_recordings, subsets)
    unknown = sorted(set(tasks) - {"behavior", *TASK3_BEHAVIORS})
    if unknown:
        raise InputError(f"unknown tasks {unknown}; known: {['behavior', *TASK3_BEHAVIORS]}")
    if not annotators:
        raise InputError("at least one annotator is needed (0 to 5)")


def _spread_temperament(profile: Profile, index: int) -> Profile:
    """Temperament of the index-th recording of a set; small sets also get each in proportion."""
    calm, _, aggressive = TEMPERAMENT_SHARES
    # Multiples of an irrational number fill the unit interval evenly, however many are taken.
    position = (0.75 + index * (math.sqrt(2) - 1)) % 1
    which = 2 if position < aggressive else 0 if position < aggressive + calm else 1
    return replace(profile, temperament=profile.temperament or TEMPERAMENTS[which])


def _lengths(count: int, total: int) -> list[int]:
    """Recording lengths distributed like the real ones, with `total` frames together."""
    drawn = [RECORDING_FRAMES[(27 * index + 35) % len(RECORDING_FRAMES)] for index in range(count)]
    ends = [round(sum(drawn[: i + 1]) / sum(drawn) * total) for i in range(count)]
    return [max(1, stop - start) for start, stop in zip([0, *ends[:-1]], ends, strict=True)]


def _scaled(count: int, total: int, scale: float) -> list[int]:
    """Fewer and shorter recordings, by the square root of the scale each; at least two, of 300 frames on average."""
    fewer = max(2, round(count * math.sqrt(scale)))
    return _lengths(fewer, max(_FEWEST_FRAMES * fewer, round(total * scale)))


def _even(count: int, frames: int, scale: float) -> list[int]:
    """`_scaled` for recordings of equal length."""
    fewer = max(min(count, 2), round(count * math.sqrt(scale)))
    return [max(_FEWEST_FRAMES, round(count * frames * scale / fewer))] * fewer


def calms21_files(scale: float, unlabeled_frames: int | None = None) -> dict[str, dict[str, list[Plan]]]:
    """File name without ".json" -> group -> recordings, named and (at scale 1) sized like the CalMS21 release.

    Raises
    ------
    InputError
        If `scale` is not above 0, or `unlabeled_frames` is below 0.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"the scale must be a number above 0 (1 is the size of CalMS21), got {scale}")
    if unlabeled_frames is None:
        unlabeled_frames = round(UNLABELED_FRAMES * scale)
    if unlabeled_frames < 0:
        raise InputError(f"the number of unlabeled frames must be 0 or more, got {unlabeled_frames}")
    files = {}
    for subset in ("train", "test"):
        files[f"task1_classic_classification/calms21_task1_{subset}"] = _task1(subset, scale)
        files[f"task2_annotation_styles/calms21_task2_{subset}"] = _task2(subset, scale)
        files[f"task3_new_behaviors/calms21_task3_{subset}"] = _task3(subset, scale)
    return files | dict(_unlabeled(unlabeled_frames, scale))


def _numbered(folder: str, suffix: str, lengths: list[int], first: int, template: Plan) -> list[Plan]:
    """Plans like `template`, called folder/mouse<NNN>_suffix."""
    return [
        replace(
            template,
            id=f"{folder}/mouse{first + index:03d}_{suffix}",
            num_frames=length,
            profile=_spread_temperament(template.profile, index),
        )
        for index, length in enumerate(lengths)
    ]


def _first(subset: str, num_train: int) -> int:
    return 1 if subset == "train" else 1 + num_train


def _task1(subset: str, scale: float) -> dict[str, list[Plan]]:
    template = Plan(id="task1", num_frames=1, subset=subset)
    lengths, first = _scaled(*_TASK1[subset], scale), _first(subset, _TASK1["train"][0])
    return {"annotator-id_0": _numbered(f"task1/{subset}", "task1_annotator1", lengths, first, template)}


def _task2(subset: str, scale: float) -> dict[str, list[Plan]]:
    lengths, first = _even(_TASK2[subset], _TASK2_FRAMES, scale), _first(subset, _TASK2["train"])
    groups = {}
    for number in range(1, 6):
        template = Plan(id="task2", num_frames=1, subset=subset, annotator=number)
        folder, suffix = f"task2/annotator{number}/{subset}", f"task2_annotator{number}"
        groups[f"annotator-id_{number}"] = _numbered(folder, suffix, lengths, first, template)
    return groups


def _task3(subset: str, scale: float) -> dict[str, list[Plan]]:
    groups = {}
    for name in TASK3_BEHAVIORS:
        # One behavior of the release has a single training recording.
        count = 1 if (name, subset) == ("intromission", "train") else _TASK3[subset]
        lengths, first = _even(count, _TASK3_FRAMES, scale), _first(subset, _TASK3["train"])
        profile = TASK3_PROFILES[name]
        template = Plan(id="task3", num_frames=1, subset=subset, annotator=None, task3=(name,), profile=profile)
        groups[name] = _numbered(f"task3/{name}/{subset}", f"task3_{name}", lengths, first, template)
    return groups


def _unlabeled(frames: int, scale: float) -> Iterator[tuple[str, dict[str, list[Plan]]]]:
    if not frames:
        return
    count = max(4, round(_UNLABELED_RECORDINGS * math.sqrt(scale)))
    template = Plan(id="unlabeled", num_frames=1, subset="unlabeled", annotator=None)
    plans = _numbered("unlabeled_videos", "unlabeled", _lengths(count, frames), 1, template)
    quarters = [round(quarter * count / 4) for quarter in range(5)]
    for part in range(4):
        name = f"unlabeled_videos/calms21_unlabeled_videos_part{part + 1}"
        yield name, {"unlabeled_videos": plans[quarters[part] : quarters[part + 1]]}
