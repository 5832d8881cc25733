"""One simulated recording: schedule, bodies, tracker and annotators put together."""

from dataclasses import dataclass, field

import numpy as np

from ssl_behavior.errors import InputError
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.simulate.annotators import REACTION_FRAMES, annotate, find_annotator
from ssl_behavior.simulate.fitted import BEHAVIORS, TASK3_BEHAVIORS
from ssl_behavior.simulate.motion import body_keypoints, draw_bodies
from ssl_behavior.simulate.schedule import MOUNT, OTHER, Act, IntruderAct, Profile, Schedule, draw_schedule
from ssl_behavior.simulate.tracking import track
from ssl_behavior.skeleton import SKELETONS

__all__ = ["FPS", "FRAME_PX", "TASK3_PROFILES", "Plan", "simulate_plan", "simulate_recording"]

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
"""Task 3's recordings were chosen for one behaviour each."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to simulate: everything a recording depends on, besides the seed.

    Parameters
    ----------
    id : the recording's name; the random numbers depend on it (and on the seed), not on its place in a list.
    num_frames : length.
    subset : "train", "test", "unlabeled" or any other name.
    annotator : who annotates "behavior" (0 to 5), or None.
    task3 : Task 3 behaviours that are annotated too.
    profile : how often the refinements happen.
    missing : share of the points lost as NaN.
    """

    id: str
    num_frames: int
    subset: str = ""
    annotator: int | None = 0
    task3: tuple[str, ...] = ()
    profile: Profile = field(default_factory=Profile)
    missing: float = 0.0

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise InputError(f"recording {self.id!r}: a recording needs at least 1 frame, got {self.num_frames}")
        if not 0 <= self.missing < 1:
            raise InputError(f"recording {self.id!r}: the missing share must be in [0, 1), got {self.missing}")
        unknown = sorted(set(self.task3) - set(TASK3_BEHAVIORS))
        if unknown:
            raise InputError(f"recording {self.id!r}: unknown Task 3 behaviours {unknown}; known: {TASK3_BEHAVIORS}")
        if self.annotator is not None:
            find_annotator(self.annotator)


def simulate_plan(plan: Plan, seed: int) -> Recording:
    """The recording a plan asks for; equal plans and seeds give equal recordings."""
    schedule = draw_schedule(numpy_generator(seed, "simulate", plan.id, "schedule"), plan.num_frames, plan.profile)
    keypoints, confidence = _tracks(plan, schedule, seed)
    return Recording(
        id=plan.id,
        keypoints=keypoints,
        confidence=confidence,
        fps=FPS,
        skeleton=SKELETONS["calms21"],
        labels=_labels(plan, schedule, seed),
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
    """Two mice of CalMS21's kind: 30 fps, 1024 x 570 pixels, label stream "behavior" (and one per Task 3 behaviour).

    Another annotator, or more streams, leave the tracks as they are.

    Raises
    ------
    InputError
        If `num_frames` is below 1, `missing` outside [0, 1), or a behaviour or annotator unknown.
    """
    profile = profile or Profile()
    return simulate_plan(
        Plan(id=name, num_frames=num_frames, annotator=annotator, task3=task3, profile=profile, missing=missing), seed
    )


def _tracks(plan: Plan, schedule: Schedule, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = numpy_generator(seed, "simulate", plan.id, "motion")
    shift = np.tile(np.clip(7.0 * generator.standard_normal(2), -14, 14), 2)
    x0, y0, x1, y1 = (float(edge) for edge in np.array(_ARENA_PX) + shift)
    bodies = draw_bodies(generator, schedule, (x0, y0, x1, y1))
    points = np.stack([body_keypoints(body, individual) for individual, body in enumerate(bodies)], axis=1)
    points = np.clip(points.real, x0, x1) + 1j * np.clip(points.imag, y0, y1)
    tracker = numpy_generator(seed, "simulate", plan.id, "tracker")
    return track(tracker, points, FRAME_PX, plan.missing)


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
