"""Schedules of one to four mice that live together: what each does to whom, and where it goes.

Mice take turns at deciding. Between its own acts (walking, resting, grooming, rearing, running) a mouse now and then
goes to another one and sniffs, mounts, chases or attacks it; the other one stays, defends itself, flees or leaves. A
third mouse sometimes comes to two that are at it, and ends their interaction. Lengths and pauses are drawn from
`bout_statistics`.

Places here are rough, one per move. `group_motion` makes smooth paths of them, and brings those close that meet.
"""

import cmath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ssl_behavior.simulate.bout_statistics import (
    BOUT_SCORES,
    BOUT_SECONDS,
    BOUTS_PER_MINUTE,
    PAUSE_SECONDS,
    SNIFF_GAP_SECONDS,
)
from ssl_behavior.simulate.schedule import Act

__all__ = ["GROUP_FPS", "GroupAct", "GroupSchedule", "MouseSchedule", "draw_group_schedule", "is_relational"]

GROUP_FPS = 30.0
_SHORTEST_FRAMES = 6
"""Shorter bouts are not simulated: bodies move more slowly."""
_LONGEST_ESCAPE_FRAMES = 150
"""Some labs have longer ones, in which the animal stays away."""
_PAUSE_FACTOR = 1.5
"""`PAUSE_SECONDS` ends when either of two animals starts; a single one starts later."""
_ROAM_SECONDS = (5.0, 0.8)
"""Median, and standard deviation of the logarithm."""
_APPROACH_FROM_PX = 190.0
_APPROACH_PX_PER_FRAME = 20.0
_SETTLE_FRAMES = 14
"""Time in which a walking mouse comes to rest."""


class GroupAct(Act):
    """Acts of a mouse in a group: those of `Act` toward another mouse, and these of its own."""

    REAR, RUN, STAY, HOLD, FLEE, DEFEND, LEAVE = range(14, 21)
    COUNT = 21


_STEP_PX = {
    Act.ROAM: 150.0, Act.REST: 4.0, Act.GROOM: 4.0, GroupAct.REAR: 8.0, GroupAct.RUN: 270.0, GroupAct.STAY: 14.0,
    GroupAct.HOLD: 12.0, GroupAct.FLEE: 230.0, GroupAct.DEFEND: 35.0, GroupAct.LEAVE: 170.0,
}  # fmt: skip
"""Median length of a move, per act without a goal on another's body."""
_MOVE_FRAMES = {
    Act.ROAM: 26.0, Act.REST: 90.0, Act.GROOM: 60.0, GroupAct.REAR: 30.0, GroupAct.RUN: 14.0, GroupAct.STAY: 24.0,
    GroupAct.HOLD: 60.0, GroupAct.FLEE: 11.0, GroupAct.DEFEND: 9.0, GroupAct.LEAVE: 18.0,
}  # fmt: skip
_OWN_ACTS = {"rear": GroupAct.REAR, "rest": Act.REST, "run": GroupAct.RUN, "selfgroom": Act.GROOM}
_SNIFFS = {"sniff": Act.SNIFF_FLANK, "sniffface": Act.SNIFF_FACE, "sniffgenital": Act.SNIFF_REAR}
_WAITS = (Act.REST, Act.GROOM)
"""Acts that a mouse may go on with while it is sniffed."""

_LOG_SECONDS = {name: np.log(seconds) for name, seconds in BOUT_SECONDS.items()} | {
    "gap": np.log(SNIFF_GAP_SECONDS),
    "pause": np.log(PAUSE_SECONDS),
}


def is_relational(act: np.ndarray) -> np.ndarray:
    """Whether acts have a goal on another mouse's body."""
    return (act >= Act.LINGER) & (act <= Act.TUSSLE)


@dataclass(frozen=True, kw_only=True)
class MouseSchedule:
    """Life of one mouse.

    Parameters
    ----------
    segments : int64 [segment, (start, stop, act, other)], without gaps from 0 to the end; `other` is the number of the
        mouse that the act is directed at, -1 if none.
    frames, places : int64 and complex [waypoint]: from this frame on, the mouse goes to this place, pixels.
    """

    segments: np.ndarray
    frames: np.ndarray
    places: np.ndarray

    def expanded(self, column: int) -> np.ndarray:
        """A column of `segments` [time]."""
        return np.repeat(self.segments[:, column], self.segments[:, 1] - self.segments[:, 0])


@dataclass(frozen=True, kw_only=True)
class GroupSchedule:
    """Lives of all mice of a recording.

    Parameters
    ----------
    disturbances : int64 [disturbance, (frame, disturber, agent, target)]: a third mouse has come and ends an
        interaction.
    """

    num_frames: int
    mice: tuple[MouseSchedule, ...]
    disturbances: np.ndarray


def draw_group_schedule(
    generator: np.random.Generator, num_mice: int, num_frames: int, inset: tuple[float, float, float, float]
) -> GroupSchedule:
    """Draw the schedule of a recording; `inset` is x0, y0, x1, y1 in pixels, where the centers of mice may be."""
    cage = _Cage(generator, num_mice, inset)
    while (mouse := min(cage.mice, key=lambda one: one.until)).until < num_frames:
        cage.decide(mouse)
    for mouse in cage.mice:
        mouse.cut(num_frames)
    happened = [row for row in cage.disturbances if row[0] < num_frames]
    return GroupSchedule(
        num_frames=num_frames,
        mice=tuple(mouse.schedule() for mouse in cage.mice),
        disturbances=np.array(happened, dtype=np.int64).reshape(-1, 4),
    )


class _Numbers:
    """Random numbers one by one, drawn in blocks."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.normal = self._drawn(lambda: generator.standard_normal(1024)).__next__
        self.uniform = self._drawn(lambda: generator.random(1024)).__next__
        self.exponential = self._drawn(lambda: generator.standard_exponential(1024)).__next__

    @staticmethod
    def _drawn(block: Callable[[], np.ndarray]) -> Iterator[float]:
        while True:
            yield from block().tolist()


@dataclass(eq=False)
class _Meeting:
    """Interaction of two mice, from `contact` (when the agent has come) to `stop`."""

    agent: "_Mouse"
    target: "_Mouse"
    contact: int
    stop: int


@dataclass(eq=False)
class _Mouse:
    """A mouse while its schedule is drawn; it is planned up to the frame `until`."""

    number: int
    place: complex
    direction: float
    aggression: float
    courtship: float
    next_meeting: int
    segments: list[list[int]] = field(default_factory=list)
    waypoints: list[tuple[int, complex]] = field(init=False)
    until: int = 0
    busy_until: int = 0
    meeting: _Meeting | None = None

    def __post_init__(self) -> None:
        self.waypoints = [(0, self.place)]

    @property
    def act(self) -> int:
        return self.segments[-1][2] if self.segments else -1

    def go_to(self, frame: int, place: complex) -> None:
        self.waypoints.append((frame, place))
        self.place = place

    def cut(self, frame: int) -> None:
        """Forget what is planned from `frame` on."""
        while self.segments and self.segments[-1][0] >= frame:
            self.segments.pop()
        while len(self.waypoints) > 1 and self.waypoints[-1][0] >= frame:
            self.waypoints.pop()
        if self.segments and self.until > frame:
            self.segments[-1][1] = frame
        self.place = self.waypoints[-1][1]
        self.until = min(self.until, frame)

    def schedule(self) -> MouseSchedule:
        return MouseSchedule(
            segments=np.array(self.segments, dtype=np.int64),
            frames=np.array([frame for frame, _ in self.waypoints], dtype=np.int64),
            places=np.array([place for _, place in self.waypoints], dtype=np.complex128),
        )


class _Cage:
    """The mice of a recording and what they decide."""

    def __init__(self, generator: np.random.Generator, num_mice: int, inset: tuple[float, float, float, float]) -> None:
        self.random, self.inset = _Numbers(generator), inset
        self.disturbances: list[tuple[int, int, int, int]] = []
        self.mice = [self._new_mouse(number) for number in range(num_mice)]
        self.liking = np.exp(0.4 * generator.standard_normal((num_mice, num_mice))).tolist()

    def _new_mouse(self, number: int) -> _Mouse:
        x0, y0, x1, y1 = self.inset
        place = complex(x0 + self.random.uniform() * (x1 - x0), y0 + self.random.uniform() * (y1 - y0))
        aggression, courtship = (float(np.exp(0.6 * self.random.normal() - 0.18)) for _ in range(2))
        first = round(self.random.uniform() * self.frames("pause"))
        turn = 2 * cmath.pi * self.random.uniform()
        return _Mouse(number, place, turn, aggression, courtship, first)

    def frames(self, name: str) -> int:
        """A drawn length of a bout, or of a pause, in frames."""
        return self._frames_at(name, self.random.normal())

    @staticmethod
    def _frames_at(name: str, score: float) -> int:
        seconds = np.exp(np.interp(score, BOUT_SCORES, _LOG_SECONDS[name]))
        return max(_SHORTEST_FRAMES, round(float(seconds) * GROUP_FPS))

    def decide(self, mouse: _Mouse) -> None:
        """Plan the next act of a mouse, from the end of its plan on."""
        if mouse.until >= mouse.next_meeting and len(self.mice) > 1 and self._seek(mouse):
            return
        if mouse.act != Act.ROAM:
            median, spread = _ROAM_SECONDS
            self.add(mouse, round(GROUP_FPS * median * float(np.exp(spread * self.random.normal()))), Act.ROAM)
            return
        name = self._choose(_OWN_ACTS)
        if name != "run":
            self.add(mouse, _SETTLE_FRAMES, GroupAct.STAY)
        self.add(mouse, self.frames(name), _OWN_ACTS[name])

    def _choose(self, names: dict[str, int]) -> str:
        """One of these behaviors, by how often they happen."""
        left = self.random.uniform() * sum(BOUTS_PER_MINUTE[name] for name in names)
        for name in names:
            left -= BOUTS_PER_MINUTE[name]
            if left <= 0:
                return name
        return name

    def _seek(self, mouse: _Mouse) -> bool:
        """Go to another mouse, if one is free, or to two that interact; False if neither can be."""
        now, others = mouse.until, [other for other in self.mice if other is not mouse]
        free = [other for other in others if other.busy_until <= now]
        running = [m for m in {id(o.meeting): o.meeting for o in others}.values() if m and m.contact <= now < m.stop]
        if running and (not free or self.random.uniform() < 0.3) and self._disturb(mouse, running[0]):
            return True
        if not free:
            mouse.next_meeting = now + round(GROUP_FPS * (1 + self.random.uniform()))
            return False
        appeal = [
            self.liking[mouse.number][other.number] * np.exp(-abs(other.place - mouse.place) / 250.0) for other in free
        ]
        drawn = int(np.searchsorted(np.cumsum(appeal), self.random.uniform() * sum(appeal)))
        self._meet(mouse, free[min(drawn, len(free) - 1)])
        return True

    def _approach(self, mouse: _Mouse, other: _Mouse, always: bool = False) -> None:
        apart = abs(other.place - mouse.place)
        if always or apart > _APPROACH_FROM_PX:
            needed = round((apart - 150.0) / _APPROACH_PX_PER_FRAME)
            self.add(mouse, max(self.frames("approach"), needed), Act.APPROACH, other)

    def _meet(self, agent: _Mouse, target: _Mouse) -> None:
        self._approach(agent, target)
        contact = agent.until
        stays = target.act in _WAITS and target.until > contact + 30 and self.random.uniform() < 0.6
        if not stays:
            target.cut(contact)
        if target.until < contact:
            self.add(target, contact - target.until, Act.ROAM)
        if self.random.uniform() < 0.2 * agent.aggression:
            self._fight(agent, target)
        else:
            self._investigate(agent, target)
        self._end(_Meeting(agent, target, contact, agent.until))

    def _end(self, meeting: _Meeting) -> None:
        """Note until when the mice of a planned interaction have no time for others."""
        for mouse in (meeting.agent, meeting.target):
            mouse.meeting, mouse.busy_until = meeting, max(meeting.stop, mouse.busy_until)
            mouse.next_meeting = max(mouse.next_meeting, meeting.stop + 15)
        meeting.agent.next_meeting = meeting.stop + round(_PAUSE_FACTOR * self.frames("pause"))

    def _investigate(self, agent: _Mouse, target: _Mouse) -> None:
        while True:
            name = self._choose(_SNIFFS)
            self._sniff(agent, target, name)
            drawn = self.random.uniform()
            if drawn < 0.09 * agent.courtship:
                self._both(agent, target, self.frames("mount"), Act.MOUNT, GroupAct.HOLD)
                if self.random.uniform() < 0.75:
                    break
            elif drawn > 1 - 0.035 * agent.aggression:
                self._fight(agent, target)
                return
            elif drawn > 0.80:
                break
            self._both(agent, target, self._short_gap(), Act.LINGER, GroupAct.STAY)
        if self.random.uniform() < 0.05:
            self._leave(target, agent)

    def _sniff(self, agent: _Mouse, target: _Mouse, name: str) -> None:
        self._both(agent, target, self.frames(name), _SNIFFS[name], GroupAct.STAY)

    def _short_gap(self) -> int:
        """Pause within an interaction, one of the shorter third of those between two sniffs; frames."""
        return self._frames_at("gap", -0.43 - abs(self.random.normal()))

    def _fight(self, agent: _Mouse, target: _Mouse) -> None:
        while True:
            self._both(agent, target, self.frames("attack"), Act.TUSSLE, GroupAct.DEFEND)
            drawn = self.random.uniform()
            if drawn < 0.22:
                self._both(agent, target, self.frames("chase"), Act.CHASE, GroupAct.FLEE)
                if self.random.uniform() < 0.5:
                    return
            elif drawn < 0.52:
                frames = min(self.frames("escape"), _LONGEST_ESCAPE_FRAMES)
                self.add(target, frames, GroupAct.FLEE, agent)
                self.add(agent, min(frames, 20), Act.ROAM)
                return
            elif drawn < 0.75:
                self._both(agent, target, self._short_gap(), Act.LINGER, GroupAct.STAY)
            else:
                return

    def _leave(self, mouse: _Mouse, other: _Mouse) -> None:
        mouse.cut(other.until)
        self.add(mouse, self.frames("avoid"), GroupAct.LEAVE, other)
        mouse.busy_until = mouse.until

    def _disturb(self, mouse: _Mouse, meeting: _Meeting) -> bool:
        """Come to an interaction and end it; False if it will be over by then."""
        agent, target = meeting.agent, meeting.target
        first, second = (agent, target) if self.random.uniform() < 0.5 else (target, agent)
        start = mouse.until
        self._approach(mouse, first, always=True)
        now = mouse.until
        if now > meeting.stop - 20:
            mouse.cut(start)
            return False
        self.disturbances.append((now, mouse.number, agent.number, target.number))
        for one in (first, second):
            one.cut(now)
            one.busy_until = now
            if one.until < now:
                self.add(one, now - one.until, Act.ROAM)
        meeting.stop = now
        self._after_disturbance(mouse, first, second)
        return True

    def _after_disturbance(self, mouse: _Mouse, first: _Mouse, second: _Mouse) -> None:
        now, drawn = mouse.until, self.random.uniform()
        if drawn < 0.45:
            if self.random.uniform() < 0.5:
                self._leave(second, mouse)
            self._sniff(mouse, first, self._choose(_SNIFFS))
            self._end(_Meeting(mouse, first, now, mouse.until))
        elif drawn < 0.65:
            self._both(first, mouse, self.frames("chase"), Act.CHASE, GroupAct.FLEE)
            self._end(_Meeting(first, mouse, now, first.until))
        else:
            self._leave(first, mouse)
            self._both(mouse, second, self._short_gap(), Act.LINGER, GroupAct.STAY)
            self._end(_Meeting(mouse, second, now, mouse.until))

    def _both(self, agent: _Mouse, target: _Mouse, frames: int, act: int, reaction: int) -> None:
        """The agent acts on the target for this long, and the target reacts; one that only stays may go on resting."""
        start = agent.until
        if reaction != GroupAct.STAY:
            target.cut(start)
        if target.until < start + frames:
            self.add(target, start + frames - target.until, reaction, agent)
        self.add(agent, frames, act, target)

    def add(self, mouse: _Mouse, frames: int, act: int, other: _Mouse | None = None) -> None:
        """Append an act to a mouse's plan, and the places to which it goes meanwhile."""
        start = mouse.until
        mouse.until = start + frames
        mouse.segments.append([start, mouse.until, act, -1 if other is None else other.number])
        if act == Act.APPROACH:
            mouse.go_to(start, mouse.place)
            return
        if Act.LINGER <= act <= Act.TUSSLE and other is not None:
            beside = other.place + 100.0 * cmath.exp(2j * cmath.pi * self.random.uniform())
            mouse.go_to(start, _folded(beside, self.inset))
            return
        while start < mouse.until:
            mouse.go_to(start, self._next_place(mouse, act, other))
            start += 1 + int(_MOVE_FRAMES[act] * self.random.exponential())

    def _next_place(self, mouse: _Mouse, act: int, other: _Mouse | None) -> complex:
        step = _STEP_PX[act] * float(np.exp(0.6 * self.random.normal()))
        if act in (GroupAct.FLEE, GroupAct.LEAVE) and other is not None:
            place = self._away(mouse, other, step, first=mouse.waypoints[-1][0] < mouse.segments[-1][0])
        else:
            place = self._free_place(mouse, step)
        if abs(place - mouse.place) > 1:
            mouse.direction = cmath.phase(place - mouse.place)
        return place

    def _away(self, mouse: _Mouse, other: _Mouse, step: float, first: bool) -> complex:
        """Where a fleeing mouse goes next: away from the other, then straight on, unless there is a wall."""
        ahead = cmath.phase(mouse.place - other.place) if first else mouse.direction
        turns = [ahead + 0.6 * self.random.normal() for _ in range(3)] + [ahead + 2.4 * self.random.normal()]
        places = [_folded(mouse.place + step * cmath.exp(1j * turn), self.inset) for turn in turns]
        return max(places, key=lambda one: abs(one - mouse.place))

    def _free_place(self, mouse: _Mouse, step: float) -> complex:
        """Where an undisturbed mouse goes next; it rather keeps away from the others."""
        for _ in range(2):
            turn = mouse.direction + self.random.normal()
            place = _folded(mouse.place + step * cmath.exp(1j * turn), self.inset)
            if all(other is mouse or abs(other.place - place) > 140 for other in self.mice):
                break
        return place


def _folded(place: complex, inset: tuple[float, float, float, float]) -> complex:
    """A place reflected at the walls."""
    x0, y0, x1, y1 = inset
    width, height = x1 - x0, y1 - y0
    x = x1 - abs((place.real - x0) % (2 * width) - width)
    return complex(x, y1 - abs((place.imag - y0) % (2 * height) - height))
