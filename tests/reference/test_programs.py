"""Every program against its formula, one frame at a time in plain Python."""

import math
from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch

from ssl_behavior.programs import PROGRAMS, ProgramsConfig, ProgramSet
from ssl_behavior.programs.contract_checks import random_scene
from ssl_behavior.programs.vectors import overlap
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.views import pairs_of

FPS, BODY_LENGTH = 30.0, 60.0
NAN = float("nan")


class Mouse:
    """One animal of a scene [time individual keypoint space]; every quantity is None where it is not known."""

    def __init__(self, scene, skeleton, individual):
        self.points, self.skeleton = scene[:, individual], skeleton
        tails = [skeleton.role(role) for role in ("tail_middle", "tail_tip") if role in skeleton.roles]
        self.trunk = [k for k in range(skeleton.num_keypoints) if k not in tails]

    def at(self, frame, keypoint):
        if not 0 <= frame < len(self.points) or np.isnan(self.points[frame, keypoint]).any():
            return None
        return self.points[frame, keypoint]

    def part(self, frame, *roles):
        return self.at(frame, self.skeleton.role(*roles))

    def center(self, frame):
        if "center" in self.skeleton.roles:
            return self.part(frame, "center")
        known = [self.at(frame, k) for k in self.trunk if self.at(frame, k) is not None]
        return sum(known) / len(known) if len(known) > len(self.trunk) / 2 else None

    def moved(self, start, end):
        pairs = [(self.at(start, k), self.at(end, k)) for k in self.trunk]
        steps = [b - a for a, b in pairs if a is not None and b is not None]
        return sum(steps) / len(steps) if steps else None

    def velocity(self, frame):
        moved = self.moved(frame - 2, frame + 2)
        return None if moved is None else moved * FPS / 4

    def axes(self, frame):
        front, back = self.part(frame, "neck", "center", "head", "nose"), self.part(frame, "tail_base")
        pairs = [(front, back)]
        if "neck" not in self.skeleton.roles:
            head = self.part(frame, "head", "nose")
            pairs += [(head, back), (head, front)]
        return [None if a is None or b is None else a - b for a, b in pairs]

    def axis(self, frame):
        return next((axis for axis in self.axes(frame) if axis is not None), None)

    def nose(self, frame):
        return self.part(frame, "nose", "head")

    def tail(self, frame):
        return self.part(frame, "tail_base")


def unknown(*values):
    return any(value is None for value in values)


def angle(vector):
    return math.atan2(vector[1], vector[0])


def wrapped(radians):
    return math.remainder(radians, 2 * math.pi)


def speed(own, _, t):
    v = own.velocity(t)
    return NAN if v is None else math.hypot(*v)


def facing_angle(own, other, t):
    axis, here, there = own.axis(t), own.center(t), other.center(t)
    return NAN if unknown(axis, here, there) else abs(wrapped(angle(there - here) - angle(axis)))


def nose_movement(own, _, t):
    before, after, v = own.nose(t - 2), own.nose(t + 2), own.velocity(t)
    return NAN if unknown(before, after, v) else math.hypot(*((after - before) * FPS / 4 - v))


def nose_nose_distance(own, other, t):
    return NAN if unknown(own.nose(t), other.nose(t)) else math.dist(own.nose(t), other.nose(t))


def nose_tail_distance(own, other, t):
    return NAN if unknown(own.nose(t), other.tail(t)) else math.dist(own.nose(t), other.tail(t))


def head_body_angle(own, _, t):
    nose, neck, tail = own.nose(t), own.part(t, "neck", "center"), own.tail(t)
    return NAN if unknown(nose, neck, tail) else wrapped(angle(nose - neck) - angle(neck - tail))


def approach_velocity(own, other, t):
    v, here, there = own.velocity(t), own.center(t), other.center(t)
    return NAN if unknown(v, here, there) else float(v @ (there - here)) / math.dist(here, there)


def distance_change(own, other, t):
    v, w, here, there = own.velocity(t), other.velocity(t), own.center(t), other.center(t)
    return NAN if unknown(v, w, here, there) else float((w - v) @ (there - here)) / math.dist(here, there)


def following(own, other, t):
    axis, here, there, path = own.axis(t), own.center(t), other.center(t), other.moved(t - 15, t)
    if unknown(axis, here, there, path):
        return NAN
    heads = max(0.0, math.cos(angle(axis) - angle(path)))
    ahead = math.cos(angle(there - here) - angle(path))
    square = float(path @ path)
    return heads * ahead * square / (square + (BODY_LENGTH / 4) ** 2)


def relative_orientation(own, other, t):
    return NAN if unknown(own.axis(t), other.axis(t)) else abs(wrapped(angle(own.axis(t)) - angle(other.axis(t))))


def body_gap(own, other, t):
    """Over many points of each line; the true minimum is at most one step of the finer grid below."""
    ends = own.tail(t), own.nose(t), other.tail(t), other.nose(t)
    if unknown(*ends):
        return NAN
    share = np.linspace(0, 1, 301)[:, None]
    one, two = ends[0] + share * (ends[1] - ends[0]), ends[2] + share * (ends[3] - ends[2])
    return float(np.linalg.norm(one[:, None] - two[None], axis=-1).min())


def body_overlap(own, other, t):
    ends = own.tail(t), own.nose(t), other.tail(t), other.nose(t)
    if unknown(*ends):
        return NAN
    means, covariances = [], []
    for tail, nose in (ends[:2], ends[2:]):
        along = (nose - tail) / math.dist(nose, tail)
        across = np.array([-along[1], along[0]])
        length = math.dist(nose, tail)
        means.append((nose + tail) / 2)
        # A uniform ellipse: its variances are a quarter of its squared half-axes.
        covariances.append(
            (length / 2) ** 2 / 4 * np.outer(along, along) + (length / 6) ** 2 / 4 * np.outer(across, across)
        )
    mean = (covariances[0] + covariances[1]) / 2
    offset = means[1] - means[0]
    distance = offset @ np.linalg.inv(mean) @ offset / 8
    determinants = [np.linalg.det(each) for each in covariances]
    distance += math.log(np.linalg.det(mean) / math.sqrt(determinants[0] * determinants[1])) / 2
    return math.exp(-distance)


def elongation(own, _, t):
    return NAN if unknown(own.nose(t), own.tail(t)) else math.dist(own.nose(t), own.tail(t))


def turning(own, _, t):
    for before, after in zip(own.axes(t - 2), own.axes(t + 2), strict=True):
        if not unknown(before, after):
            return wrapped(angle(after) - angle(before)) * FPS / 4
    return NAN


def acceleration(own, other, t):
    return (speed(own, other, t + 2) - speed(own, other, t - 2)) * FPS / 4


def wall_distance(own, _, t, arena):
    here = own.center(t)
    return NAN if here is None else min(here[0] - arena[0], arena[2] - here[0], here[1] - arena[1], arena[3] - here[1])


def corner_distance(own, _, t, arena):
    here = own.center(t)
    return NAN if here is None else min(math.dist(here, (x, y)) for x in arena[::2] for y in arena[1::2])


def time_since_contact(gaps, t):
    touched = [s for s in range(t + 1) if gaps[s] < 0.3 * BODY_LENGTH]
    if touched:
        return min((t - touched[-1]) / FPS, 5.0)
    known = [s for s in range(t + 1) if not math.isnan(gaps[s])]
    return 5.0 if known and t - known[0] >= 150 else NAN


FORMULAS = {
    formula.__name__: formula
    for formula in (
        speed, facing_angle, nose_movement, nose_nose_distance, nose_tail_distance, head_body_angle, approach_velocity,
        distance_change, following, relative_orientation, body_gap, body_overlap, elongation, turning, acceleration,
        wall_distance, corner_distance, time_since_contact,
    )
}  # fmt: skip


@pytest.fixture(scope="module")
def scenes():
    """Of each skeleton a complete scene and one with a quarter of the points missing."""
    made = {}
    for name in SKELETONS:
        generator = torch.Generator().manual_seed(3)
        complete = random_scene(SKELETONS[name], FPS, (), 43, generator)
        missing = torch.rand(complete.keypoints.shape[:-1], generator=generator) < 0.25
        holes = replace(complete, keypoints=complete.keypoints.masked_fill(missing.unsqueeze(-1), NAN))
        made[name] = {"complete": complete, "holes": holes}
    return made


def test_every_program_has_a_formula():
    assert set(FORMULAS) == set(PROGRAMS)


@pytest.mark.parametrize("kind", ["complete", "holes"])
@pytest.mark.parametrize("skeleton", SKELETONS)
@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "time_since_contact"])
def test_a_program_is_its_formula(name, skeleton, kind, scenes):
    scene = scenes[skeleton][kind]
    values = PROGRAMS[name](scene.pose()).numpy()
    own, other = (Mouse(scene.keypoints.numpy(), scene.skeleton, i) for i in (0, 1))
    extra = (scene.arena.numpy(),) if name in ("wall_distance", "corner_distance") else ()
    expected = [FORMULAS[name](own, other, t, *extra) for t in range(len(values))]
    # The gap's formula looks at points of both lines a quarter of a pixel apart.
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=0.2 if name == "body_gap" else 1e-9)
    assert np.isfinite(expected).any()


def test_the_time_since_contact_is_its_formula():
    scene = random_scene(SKELETONS["calms21"], FPS, (), 311, torch.Generator().manual_seed(5))
    keypoints = scene.keypoints.clone()
    keypoints[:, 1] += 400.0 * (torch.arange(311) < 200).view(-1, 1, 1)
    keypoints[20:31] = NAN
    keypoints[240:251, 0, 0] = NAN
    scene = replace(scene, keypoints=keypoints)
    values = PROGRAMS["time_since_contact"](scene.pose()).numpy()
    own, other = (Mouse(keypoints.numpy(), scene.skeleton, i) for i in (0, 1))
    gaps = [body_gap(own, other, t) for t in range(311)]
    np.testing.assert_allclose(values, [time_since_contact(gaps, t) for t in range(311)], atol=1e-9)
    assert np.isnan(values).any() and (values == 5.0).any() and (values == 0.0).any()


def test_a_gap_is_exact_where_it_is_known_by_construction():
    def gap(*ends):
        keypoints = torch.zeros(1, 2, 7, 2)
        for individual, (tail, nose) in enumerate((ends[:2], ends[2:])):
            keypoints[0, individual, 6], keypoints[0, individual, 0] = torch.tensor(tail), torch.tensor(nose)
        scene = random_scene(SKELETONS["calms21"], FPS, (), 1, torch.Generator())
        return float(PROGRAMS["body_gap"](replace(scene, keypoints=keypoints).pose()))

    assert gap((0.0, 0.0), (10.0, 0.0), (5.0, -3.0), (5.0, 3.0)) == 0.0
    assert gap((0.0, 0.0), (10.0, 0.0), (5.0, 3.0), (5.0, 9.0)) == 3.0
    assert gap((0.0, 0.0), (10.0, 0.0), (13.0, 4.0), (20.0, 4.0)) == 5.0
    assert gap((0.0, 0.0), (10.0, 0.0), (2.0, 4.0), (8.0, 4.0)) == 4.0
    assert gap((0.0, 0.0), (10.0, 0.0), (4.0, 0.0), (20.0, 0.0)) == 0.0
    assert gap((0.0, 0.0), (10.0, 0.0), (12.0, 0.0), (20.0, 0.0)) == 2.0
    assert gap((1.0, 1.0), (1.0, 1.0), (4.0, 5.0), (4.0, 5.0)) == 5.0


def test_an_overlap_is_1_on_itself_and_falls_with_the_distance():
    tail, nose = torch.tensor([[0.0, 0.0]]), torch.tensor([[80.0, 0.0]])
    shifts = torch.linspace(0, 200, 41)
    values = [float(overlap(tail, nose, tail + s, nose + s)) for s in shifts]
    assert values[0] == pytest.approx(1.0) and all(a > b for a, b in pairwise(values))
    assert values[-1] < 1e-6


ARENA = np.array([13.0, 7.0, 653.0, 487.0])
IN_GROUPS = tuple(name for name in FORMULAS if name not in ("body_gap", "time_since_contact"))
ALONE = {
    "speed", "nose_movement", "head_body_angle", "elongation", "turning", "acceleration", "wall_distance",
    "corner_distance",
}  # fmt: skip


@pytest.fixture(scope="module")
def four():
    """Four mice [time individual keypoint space], a fifth of their points missing."""
    generator = torch.Generator().manual_seed(7)
    parts = [random_scene(SKELETONS["calms21"], FPS, (), 23, generator).keypoints for _ in range(2)]
    together = torch.cat(parts, dim=1)
    together[:, 2:] += torch.linspace(-60.0, 60.0, 23).view(-1, 1, 1, 1)
    return together.masked_fill((torch.rand(together.shape[:-1], generator=generator) < 0.2).unsqueeze(-1), NAN)


def value(name, own, other, t):
    extra = (ARENA,) if name in ("wall_distance", "corner_distance") else ()
    return FORMULAS[name](own, other, t, *extra)


def nearest_of(animals, agent, targets, t):
    """The target with the nearest center, None where no distance is known; an only target is always the nearest."""
    if len(targets) == 1:
        return targets[0]
    distances = {
        target: math.dist(animals[agent].center(t), animals[target].center(t))
        for target in targets
        if not unknown(animals[agent].center(t), animals[target].center(t))
    }
    return min(distances, key=distances.get) if distances else None


def toward_nearest(name, animals, agent, targets, t):
    if name in ALONE:
        return value(name, animals[agent], None, t)
    target = nearest_of(animals, agent, targets, t)
    return NAN if target is None else value(name, animals[agent], animals[target], t)


def extremes(values):
    known = [one for one in values if not math.isnan(one)]
    return [max(known), min(known)] if known else [NAN, NAN]


def measured(four, number, exchangeable, others, pairs=None):
    skeleton = replace(
        SKELETONS["calms21"], individuals=tuple(f"m{n}" for n in range(number)), exchangeable=exchangeable
    )
    programs = ProgramSet(ProgramsConfig(names=IN_GROUPS, others=others), skeleton, FPS)
    programs.body_length.fill_(BODY_LENGTH)
    values = programs.evaluate(four[:, :number], torch.from_numpy(ARENA), torch.zeros(()), pairs)
    animals = [Mouse(four.numpy(), skeleton, n) for n in range(number)]
    return {name: column.numpy() for name, column in zip(programs.names, values.unbind(-1), strict=True)}, animals


def assert_measured(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-8, atol=1e-8, err_msg=name)
        assert np.isfinite(values).any(), name


@pytest.mark.parametrize("exchangeable", [False, True])
@pytest.mark.parametrize("number", [3, 4])
def test_programs_toward_the_nearest_animal_are_those_of_a_loop(four, number, exchangeable):
    found, animals = measured(four, number, exchangeable, "nearest")
    expected = {}
    for name in IN_GROUPS:
        rows = [
            [
                toward_nearest(name, animals, agent, [n for n in range(number) if n != agent], t)
                for agent in range(number)
            ]
            for t in range(len(four))
        ]
        if exchangeable:
            expected[f"{name}.greatest"], expected[f"{name}.least"] = zip(*map(extremes, rows), strict=True)
        else:
            expected |= {f"{name}.m{agent}": values for agent, values in enumerate(zip(*rows, strict=True))}
    assert_measured(found, expected)


@pytest.mark.parametrize("exchangeable", [False, True])
def test_programs_toward_each_animal_are_those_of_a_loop(four, exchangeable):
    number = 3
    found, animals = measured(four, number, exchangeable, "each")
    expected = {}
    for name in IN_GROUPS:
        if name in ALONE:
            rows = {f"m{n}": [value(name, animals[n], None, t) for t in range(len(four))] for n in range(number)}
        else:
            symmetric = not PROGRAMS[name].facts.each_animal
            rows = {
                f"m{i}.m{j}": [value(name, animals[i], animals[j], t) for t in range(len(four))]
                for i, j in permutations(range(number), 2)
                if i < j or not symmetric
            }
        if exchangeable:
            every = map(extremes, zip(*rows.values(), strict=True))
            expected[f"{name}.greatest"], expected[f"{name}.least"] = zip(*every, strict=True)
        else:
            expected |= {f"{name}.{who}": values for who, values in rows.items()}
    assert_measured(found, expected)


def test_programs_of_a_subset_of_the_pairs_are_those_of_a_loop(four):
    """The second of four animals toward two of the others; the fourth toward one."""
    targets = {1: [0, 3], 3: [2]}
    pairs = torch.zeros(4, 4, dtype=torch.bool)
    for agent, some in targets.items():
        pairs[agent, some] = True
    found, animals = measured(four, 4, True, "nearest", pairs)
    expected = {}
    for name in IN_GROUPS:
        rows = [
            [toward_nearest(name, animals, agent, some, t) for agent, some in targets.items()] for t in range(len(four))
        ]
        expected[f"{name}.greatest"], expected[f"{name}.least"] = zip(*map(extremes, rows), strict=True)
    assert_measured(found, expected)
    named, _ = measured(four, 4, False, "nearest", pairs_of(torch.ones(1, 4, dtype=torch.bool), 1)[0])
    everything, _ = measured(four, 4, False, "nearest")
    for name, values in named.items():
        np.testing.assert_array_equal(values, everything[name] if name.endswith(".m1") else NAN)
