"""Programs of one animal, of two, and of groups."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.programs import (
    PROGRAMS,
    MissingOther,
    Pose,
    ProgramsConfig,
    ProgramSet,
    check_program,
    custom_programs,
    load_programs,
)
from ssl_behavior.programs.contract_checks import random_scene
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.views import pairs_of, present_pairs
from ssl_behavior.windows import WindowReader, recording_window

FRAMES = 101
NAMES = ("m1", "m2", "m3", "m4")
OWN_PROGRAMS = {"speed", "nose_movement", "head_body_angle", "elongation", "turning", "acceleration", "wall_distance",
                "corner_distance"}  # fmt: skip
SYMMETRIC = {"nose_nose_distance", "distance_change", "relative_orientation", "body_gap", "body_overlap",
             "time_since_contact"}  # fmt: skip
MINE = """
from ssl_behavior.programs import length, program

@program(units="length/s", invariant="translation rotation reflection", each_animal=True)
def rush(pose):
    'Twice the speed.'
    return 2 * pose.own.speed

@program(units="length", invariant="translation rotation reflection swap", each_animal=False)
def tails(pose):
    'Distance of the tail bases.'
    return length(pose.own.tail_base - pose.other.tail_base)

@program(units="length", invariant="translation rotation reflection", each_animal=True)
def by_number(pose):
    'Distance of a keypoint from the other.'
    return length(pose.own.points[..., 40 % pose.own.points.shape[-2], :] - pose.other.center)
"""


def skeleton_of(number, exchangeable=False):
    return replace(SKELETONS["calms21"], individuals=NAMES[:number], exchangeable=exchangeable)


def group(number, exchangeable=False, missing=0.1, seed=0):
    """A recording of some animals that meet now and then, some of their points missing."""
    generator = torch.Generator().manual_seed(seed)
    scenes = [random_scene(SKELETONS["calms21"], 30.0, (), FRAMES, generator).keypoints for _ in range(2)]
    keypoints = torch.cat(scenes, dim=1)[:, :number].clone()
    keypoints[torch.rand(keypoints.shape[:-1], generator=generator) < missing] = torch.nan
    skeleton = skeleton_of(number, exchangeable)
    size = (700.0, 500.0)
    return Recording(id="g", keypoints=keypoints.float().numpy(), fps=30.0, skeleton=skeleton, resolution_px=size)


def batch_of(recording, order=None, absent=()):
    batch = recording_window(recording, 0, FRAMES).to("cpu", torch.float64)
    if order is not None:
        batch = replace(batch, keypoints=batch.keypoints[:, :, order], observed=batch.observed[:, :, order])
    seen = torch.tensor([name not in absent for name in recording.individuals])
    hidden = batch.observed & seen[:, None]
    keypoints = batch.keypoints.masked_fill(~hidden.unsqueeze(-1), 0.0)
    return replace(batch, keypoints=keypoints, observed=hidden, present=seen.unsqueeze(0))


def set_of(number, exchangeable=False, unit="scene", **config):
    programs = ProgramSet(ProgramsConfig(**config), skeleton_of(number, exchangeable), 30.0, unit)
    programs.body_length.fill_(60.0)
    return programs


def among(number, agent, target=None):
    """Pairs of one window in which all animals are present: those of an animal, or one pair."""
    return pairs_of(torch.ones(1, number, dtype=torch.bool), agent, target)


def columns(programs, batch, pairs=None):
    """Name -> values at every frame."""
    values = programs.measure(batch, pairs)[0]
    return dict(zip(programs.names, values.unbind(-1), strict=True))


def assert_equal(one, other):
    assert set(one) == set(other)
    for name, values in one.items():
        torch.testing.assert_close(values, other[name], rtol=1e-9, atol=1e-9, equal_nan=True, msg=name)


def test_programs_that_need_another_animal_are_found():
    needing = {name for name, entry in PROGRAMS.items() if entry.needs_other}
    assert needing == set(PROGRAMS) - OWN_PROGRAMS and needing >= SYMMETRIC
    assert {name for name in PROGRAMS if not PROGRAMS[name].facts.each_animal} == SYMMETRIC


def test_an_animal_alone_has_no_other():
    pose = random_scene(SKELETONS["calms21"], 30.0, (), 11, torch.Generator().manual_seed(0)).pose()
    lone = Pose.of(pose.keypoints[..., :1, :, :], pose.skeleton, 30.0, pose.arena, 60.0)
    assert torch.equal(lone.own.points, pose.own.points)
    for ask in ("other", "keypoints", "gap", "offset", "toward"):
        with pytest.raises(MissingOther, match="needs another animal, and the recordings have one"):
            getattr(lone, ask)
    with pytest.raises(MissingOther):
        lone.swapped()


NAMED = {
    (1, "nearest"): ["speed.m1"],
    (2, "each"): ["speed.m1", "speed.m2", "facing_angle.m1", "facing_angle.m2", "body_gap"],
    (3, "nearest"): [f"{program}.m{n}" for program in ("speed", "facing_angle", "body_gap") for n in (1, 2, 3)],
    (3, "each"): [
        *(f"speed.m{n}" for n in (1, 2, 3)),
        *(f"facing_angle.m{i}.m{j}" for i, j in permutations((1, 2, 3), 2)),
        "body_gap.m1.m2", "body_gap.m1.m3", "body_gap.m2.m3",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("number", "others"), NAMED)
def test_attribute_names(number, others):
    def names(**more):
        return set_of(number, others=others, names=("speed", "facing_angle", "body_gap"), **more).names

    assert list(names()) == NAMED[number, others]
    ends = {1: (".m1",), 2: (".greater", ".lesser"), 3: (".greatest", ".least")}[number]
    of_groups = [f"body_gap{end}" for end in ends] if number == 3 else ["body_gap"]
    social = [*(f"facing_angle{end}" for end in ends), *of_groups] if number > 1 else []
    assert list(names(exchangeable=True)) == [*(f"speed{end}" for end in ends), *social]
    if number > 1:
        assert names(unit="animal", exchangeable=True) == ("speed", "facing_angle", "body_gap")
        assert names(unit="pair") == (
            "speed.agent", "speed.target", "facing_angle.agent", "facing_angle.target", "body_gap"
        )  # fmt: skip


def test_a_single_animal_has_its_own_programs_and_notices_of_the_others():
    programs = set_of(1)
    assert {facts.name for facts in programs.facts} == OWN_PROGRAMS
    assert "facing_angle is left out: it needs another animal, and the recordings have one" in programs.notices
    assert len(programs.notices) == len(PROGRAMS) - len(OWN_PROGRAMS)
    with pytest.raises(InputError, match=r"none of the programs \['facing_angle', 'body_gap'\] can run: facing_angle "):
        set_of(1, names=("facing_angle", "body_gap"))


def test_own_programs_of_a_single_animal_are_those_of_it_in_a_dyad():
    dyad = group(2)
    alone = replace(dyad, keypoints=dyad.keypoints[:, :1], skeleton=skeleton_of(1), individuals=("m1",))
    together = columns(set_of(2), batch_of(dyad))
    for name, values in columns(set_of(1), batch_of(alone)).items():
        assert torch.equal(values.nan_to_num(), together[name].nan_to_num()), name
    # A store of two, one of which a recording lacks, measures that animal, too.
    lacking = columns(set_of(2), batch_of(dyad, absent=("m2",)))
    for name, values in lacking.items():
        program, _, animal = name.partition(".")
        if program in OWN_PROGRAMS and animal == "m1":
            assert torch.equal(values.nan_to_num(), together[name].nan_to_num())
        else:
            assert values.isnan().all(), name


@pytest.mark.parametrize("others", ["nearest", "each"])
def test_permuted_animals_that_are_told_apart_permute_their_attributes(others):
    programs, recording, order = set_of(3, others=others), group(3), [2, 0, 1]
    before = columns(programs, batch_of(recording))
    new_name = {NAMES[place]: NAMES[order.index(place)] for place in range(3)}
    moved = {}
    for name, values in before.items():
        program, *animals = name.split(".")
        now = [new_name[animal] for animal in animals]
        now = sorted(now) if program in SYMMETRIC else now
        moved[".".join([program, *now])] = values
    assert_equal(columns(programs, batch_of(recording, order)), moved)


@pytest.mark.parametrize("others", ["nearest", "each"])
@pytest.mark.parametrize("number", [2, 3, 4])
def test_permuted_exchangeable_animals_change_nothing(number, others):
    programs, recording = set_of(number, exchangeable=True, others=others), group(number, exchangeable=True)
    before = columns(programs, batch_of(recording))
    for order in ([*range(1, number), 0], [*range(number)][::-1]):
        assert_equal(columns(programs, batch_of(recording, order)), before)
    assert all(values.isfinite().any() for values in before.values())


@pytest.mark.parametrize("others", ["nearest", "each"])
def test_an_absent_third_animal_changes_no_number_of_a_dyad(others):
    recording = group(3)
    dyad = replace(recording, keypoints=recording.keypoints[:, :2], skeleton=skeleton_of(2), individuals=NAMES[:2])
    expected = columns(set_of(2), batch_of(dyad))
    found = columns(set_of(3, others=others), batch_of(recording, absent=("m3",)))
    for name, values in expected.items():
        program, _, animal = name.partition(".")
        other = {"m1": "m2", "m2": "m1", "": "m1.m2"}[animal]
        toward_each = f"{program}.{other if not animal else f'{animal}.{other}'}"
        key = name if name in found else toward_each if toward_each in found else f"{program}.m1"
        torch.testing.assert_close(found[key], values, rtol=0.0, atol=0.0, equal_nan=True, msg=name)
    assert all(values.isnan().all() for name, values in found.items() if "m3" in name)


def test_an_absent_third_animal_changes_no_extreme_of_an_exchangeable_dyad():
    recording = group(3, exchangeable=True)
    pair = skeleton_of(2, exchangeable=True)
    dyad = replace(recording, keypoints=recording.keypoints[:, :2], skeleton=pair, individuals=NAMES[:2])
    expected = columns(set_of(2, exchangeable=True), batch_of(dyad))
    found = columns(set_of(3, exchangeable=True), batch_of(recording, absent=("m3",)))
    for name, values in expected.items():
        program, _, which = name.partition(".")
        ours = found[f"{program}.{'least' if which == 'lesser' else 'greatest'}"]
        known = ~values.isnan()
        assert torch.equal(ours[known], values[known]) and known.any(), name


def test_a_subset_of_two_animals():
    for exchangeable in (False, True):
        programs, whole = set_of(2, exchangeable), columns(set_of(2), batch_of(group(2)))
        for agent, name in enumerate(NAMES[:2]):
            pairs = among(2, agent)
            found = columns(programs, batch_of(group(2)), pairs)
            for attribute, values in found.items():
                program, _, which = attribute.partition(".")
                if not which:
                    expected = whole[program]
                elif exchangeable:
                    expected = whole[f"{program}.{name}"]
                else:
                    expected = whole[attribute] if which == name else values * torch.nan
                assert torch.equal(values.nan_to_num(9e9), expected.nan_to_num(9e9)), (attribute, agent)


def test_all_pairs_are_what_is_measured_without_a_choice():
    for number, exchangeable in ((1, False), (2, False), (2, True), (3, False), (3, True)):
        programs, batch = set_of(number, exchangeable), batch_of(group(number, exchangeable))
        found = columns(programs, batch, present_pairs(batch.present))
        for name, values in columns(programs, batch).items():
            assert torch.equal(values.nan_to_num(9e9), found[name].nan_to_num(9e9)), name


@pytest.mark.parametrize("exchangeable", [False, True])
@pytest.mark.parametrize("number", [2, 4])
def test_every_window_has_pairs_of_its_own(number, exchangeable):
    # So many points are missing that noses are known without a center, which an only target does not need.
    batch, programs = batch_of(group(number, exchangeable, missing=0.45)), set_of(number, exchangeable)
    rows = [*(among(number, agent) for agent in range(number)), among(number, 0, 1), present_pairs(batch.present)]
    several = replace(
        batch, **{name: values.expand(len(rows), *values.shape[1:]) for name, values in vars(batch).items()}
    )
    together = programs.measure(several, torch.cat(rows))
    for place, pairs in enumerate(rows):
        alone = programs.measure(batch, pairs)[0]
        torch.testing.assert_close(together[place], alone, rtol=0.0, atol=0.0, equal_nan=True)


@pytest.mark.parametrize("exchangeable", [False, True])
def test_attributes_of_an_animal_are_its_own_and_those_toward_its_nearest(exchangeable):
    recording = group(3, exchangeable)
    batch, whole = batch_of(recording), columns(set_of(3), batch_of(recording))
    programs = set_of(3, exchangeable, unit="animal")
    for agent in range(3):
        found = columns(programs, batch, among(3, agent))
        assert_equal(found, {name: whole[f"{name}.{NAMES[agent]}"] for name in found})


def test_attributes_of_a_pair_are_those_of_its_agent_and_its_target():
    recording = group(3)
    batch, whole = batch_of(recording), columns(set_of(3, others="each"), batch_of(recording))
    programs = set_of(3, exchangeable=True, unit="pair")
    for places in permutations(range(3), 2):
        agent, target = (NAMES[place] for place in places)
        expected = {}
        for name in programs.names:
            program, _, side = name.partition(".")
            if program in SYMMETRIC:
                names = sorted((agent, target))
            elif program in OWN_PROGRAMS:
                names = [agent if side == "agent" else target]
            else:
                names = [agent, target] if side == "agent" else [target, agent]
            expected[name] = whole[".".join([program, *names])]
        assert_equal(columns(programs, batch, among(3, *places)), expected)


def test_of_an_animal_with_itself_only_own_programs_are_known():
    recording = group(3)
    pairs = torch.zeros(1, 3, 3, dtype=torch.bool)
    pairs[0, 1, 1] = True
    found = columns(set_of(3), batch_of(recording), pairs)
    for name, values in found.items():
        program, _, animal = name.partition(".")
        assert values.isfinite().any() == (program in OWN_PROGRAMS and animal == "m2"), name


def test_only_pairs_that_count_are_computed(monkeypatch):
    calls = []
    angle = PROGRAMS["facing_angle"]
    counted = replace(angle, function=lambda pose: calls.append("facing") or angle.function(pose))
    counted.__dict__["needs_other"] = True
    monkeypatch.setitem(PROGRAMS, "facing_angle", counted)
    programs, batch = set_of(4, names=("facing_angle", "body_gap")), batch_of(group(4))
    for pairs, number in ((None, 12), (among(4, 1), 3), (among(4, 1, 3), 1)):
        calls.clear()
        programs.measure(batch, pairs)
        assert len(calls) == number


def test_gradients_of_groups_are_finite_and_go_to_the_nearest_alone():
    batch = batch_of(group(3))
    keypoints = batch.keypoints.masked_fill(~batch.observed.unsqueeze(-1), torch.nan).requires_grad_()
    for exchangeable in (False, True):
        programs = set_of(3, exchangeable)
        values = programs.evaluate(keypoints, batch.arena, batch.px_per_cm)
        (gradient,) = torch.autograd.grad(values, keypoints, torch.where(values.isnan(), 0.0, 1.0))
        assert gradient.isfinite().all() and gradient.any() and not gradient[~batch.observed].any()


def test_the_swap_of_animals_keeps_no_attribute_of_named_groups():
    for number, exchangeable, kept in ((1, False, True), (3, False, False), (3, True, True)):
        programs = set_of(number, exchangeable)
        assert bool(programs.invariant(["swap"]).all()) == kept and bool(programs.invariant(["swap"]).any()) == kept
        assert programs.invariant(["rotation"]).any()


@pytest.mark.parametrize("unit", ["scene", "animal", "pair"])
@pytest.mark.parametrize("number", [1, 3])
def test_fitting_and_attributes_of_groups(number, unit, tmp_path):
    recordings = [replace(group(number, seed=seed), id=f"g{seed}") for seed in range(3)]
    recordings[2].keypoints[:, 1:] = float("nan")
    store = write_store(tmp_path / "store", recordings)
    reader = WindowReader([(store, row) for row in store.rows], 1)
    programs = ProgramSet(ProgramsConfig(), store.skeleton, 30.0, unit)
    programs.fit(reader)
    assert programs.informative.all() and float(programs.body_length) == pytest.approx(60, rel=0.2)
    batch = reader.read([(0, 0, FRAMES), (2, 0, FRAMES)])
    target = 1 if unit == "pair" and number > 1 else None
    pairs = None if unit == "scene" else pairs_of(batch.present, 0, target)
    values, known = programs.attributes(batch, pairs)
    assert values.isfinite().all() and not values[~known].any()
    for column, name in enumerate(programs.names):
        social = programs.attribute_facts[column].needs_other
        assert known[0, :, column].any(), name
        # The second recording has the first animal alone; the pair has no target in it.
        lives = unit != "pair" and not social and not name.endswith((".m2", ".m3"))
        assert number == 1 or bool(known[1, :, column].any()) == lives, name


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    facts, digest = custom_programs(path)
    return {"file": str(path), "file_sha256": digest, "custom": facts}


def test_what_own_programs_need_is_found_out_when_their_file_is_added(mine, tmp_path):
    assert {facts.name: facts.needs_other for facts in mine["custom"]} == {
        "rush": False, "tails": True, "by_number": True
    }  # fmt: skip
    assert "needs_other" not in repr(ProgramsConfig(**mine)) and "others" not in repr(ProgramsConfig(others="each"))


def test_own_programs_of_a_single_animal(mine, tmp_path):
    store = write_store(tmp_path / "store", [group(1)])
    programs = ProgramSet(ProgramsConfig(**mine, names=("speed", "rush", "tails")), store.skeleton, 30.0)
    programs.fit(WindowReader([(store, row) for row in store.rows], 1))
    assert programs.notices == ("tails is left out: it needs another animal, and the recordings have one",)
    found = columns(programs, batch_of(group(1)))
    torch.testing.assert_close(found["rush.m1"], 2 * found["speed.m1"], equal_nan=True)
    assert not programs.informative[programs.names.index("tails.m1")]
    with pytest.raises(InputError, match="tails is left out: it needs another animal"):
        ProgramSet(ProgramsConfig(**mine, names=("tails",)), store.skeleton, 30.0).fit(
            WindowReader([(store, row) for row in store.rows], 1)
        )
    with pytest.raises(MissingOther):
        check_program(load_programs(mine["file"])[0]["tails"], skeleton_of(1), 30.0)


def test_own_programs_of_groups(mine):
    batch = batch_of(group(3))
    names = ("speed", "rush", "tails", "by_number")
    near = columns(set_of(3, **mine, names=names), batch)
    torch.testing.assert_close(near["rush.m2"], 2 * near["speed.m2"], equal_nan=True)
    each = columns(set_of(3, **mine, names=names, others="each"), batch)
    assert set(each) == {
        *(f"{program}.m{n}" for program in ("speed", "rush") for n in (1, 2, 3)),
        "tails.m1.m2", "tails.m1.m3", "tails.m2.m3", *(f"by_number.m{i}.m{j}" for i, j in permutations((1, 2, 3), 2)),
    }  # fmt: skip
    choices = torch.stack([each["tails.m1.m3"], each["tails.m2.m3"]])
    known = ~near["tails.m3"].isnan()
    assert (near["tails.m3"] == choices)[:, known].any(0).all() and known.any()


def test_exchangeable_animals_may_be_fewer_than_the_attributes_are_of():
    recording, programs = group(3, exchangeable=True), set_of(3, exchangeable=True)
    for number in (1, 2):
        batch = batch_of(recording, absent=NAMES[number:3])
        few = {name: getattr(batch, name)[:, :, :number] for name in ("keypoints", "observed")}
        fewer = replace(batch, present=batch.present[:, :number], **few)
        assert_equal(columns(programs, fewer), columns(programs, batch))
    lone = columns(set_of(2, exchangeable=True), batch_of(group(1, exchangeable=True)))
    assert torch.equal(lone["speed.greater"].nan_to_num(), lone["speed.lesser"].nan_to_num())
    assert lone["speed.greater"].isfinite().any() and lone["body_gap"].isnan().all()
    with pytest.raises(InputError, match="they measure 2 animals, and these windows have 3; name the store with the"):
        columns(set_of(2, exchangeable=True), batch_of(group(3, exchangeable=True)))
    with pytest.raises(InputError, match="they measure 3 animals, and these windows have 2"):
        columns(set_of(3), batch_of(group(2)))
