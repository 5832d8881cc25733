from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.io.track_formats import read_recordings
from ssl_behavior.pose_geometry import scale_of
from ssl_behavior.programs import (
    PAPER_THRESHOLDS,
    PROGRAMS,
    TASK_PROGRAMMING_2021,
    TRANSFORMATIONS,
    ProgramsConfig,
    ProgramSet,
    custom_programs,
    program_set,
)
from ssl_behavior.skeleton import SKELETONS, Skeleton
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader

CALMS21, RATS = SKELETONS["calms21"], SKELETONS["rat_dyads"]
OWN = """
import torch
from ssl_behavior.programs import program

@program(units="length/s", invariant="translation rotation reflection", each_animal=True)
def sprint(pose):
    'How much faster than 10 the animal is.'
    return (pose.own.speed - 10.0).clamp_min(0.0)

@program(units="length", invariant="translation rotation reflection scale", each_animal=False)
def sameness(pose):
    'Always 1.'
    return pose.own.speed * 0 + 1.0
"""


@pytest.fixture
def reader(dyad, tmp_path):
    """Of recordings in a new store."""

    def make(*recordings):
        store = write_store(tmp_path / f"store{len(list(tmp_path.iterdir()))}", recordings)
        return WindowReader([(store, row) for row in store.rows], 64)

    return make


@pytest.fixture
def mice(dyad, reader):
    """Three recordings with a few missing points."""
    return reader(*(dyad(f"r{seed}", 503, seed=seed, missing=0.05) for seed in range(3)))


def fitted(mice, **values):
    programs = ProgramSet(ProgramsConfig(**values), mice.skeleton, 30.0)
    programs.fit(mice)
    return programs, programs.notices


def config_of(tmp_path, text=OWN, **values):
    path = tmp_path / "mine.py"
    path.write_text(text)
    facts, digest = custom_programs(path)
    return ProgramsConfig(file=str(path), file_sha256=digest, custom=facts, **values)


def whole(mice, pick=0):
    return mice.read([(pick, 0, mice.sources[pick][1].frames)]).to("cpu", torch.float64)


def test_attribute_names_for_named_and_anonymous_animals_and_pairs():
    config = ProgramsConfig(names=("speed", "body_gap"))
    assert ProgramSet(config, CALMS21, 30.0).names == ("speed.resident", "speed.intruder", "body_gap")
    assert ProgramSet(config, RATS, 30.0).names == ("speed.greater", "speed.lesser", "body_gap")
    assert ProgramSet(ProgramsConfig(names=TASK_PROGRAMMING_2021), CALMS21, 30.0).num_attributes == 11


def test_columns_are_the_programs_of_each_animal(mice):
    programs, _ = fitted(mice)
    batch = whole(mice)
    keypoints = batch.keypoints.masked_fill(~batch.observed.unsqueeze(-1), torch.nan)
    values = programs.evaluate(keypoints, batch.arena, batch.px_per_cm)
    pose = program_set.Pose.of(keypoints, CALMS21, 30.0, batch.arena, float(programs.body_length))
    for name, column in zip(programs.names, values.unbind(-1), strict=True):
        program, _, animal = name.partition(".")
        expected = PROGRAMS[program](pose.swapped() if animal == "intruder" else pose)
        torch.testing.assert_close(column, expected, equal_nan=True)


def test_anonymous_animals_give_the_greater_and_the_lesser_whatever_their_order(dyad, reader):
    rats = reader(dyad("r", 301, skeleton="rat_dyads", missing=0.1))
    programs, _ = fitted(rats)
    batch = whole(rats)
    values, known = programs.attributes(batch)
    swapped, known_too = programs.attributes(batch.swapped())
    torch.testing.assert_close(values, swapped)
    assert torch.equal(known, known_too)
    greater = [i for i, name in enumerate(programs.names) if name.endswith(".greater")]
    lesser = [i + 1 for i in greater]
    assert (values[..., greater] >= values[..., lesser]).all() and torch.equal(known[..., greater], known[..., lesser])


def test_evaluation_takes_any_batch_and_pieces_change_nothing(mice, monkeypatch):
    programs, _ = fitted(mice)
    batch = mice.read([(pick, start, 61) for pick in range(3) for start in (0, 100)]).to("cpu", torch.float64)
    keypoints = batch.keypoints.masked_fill(~batch.observed.unsqueeze(-1), torch.nan)
    values = programs.evaluate(keypoints, batch.arena, batch.px_per_cm)
    deep = programs.evaluate(
        keypoints.unflatten(0, (2, 3)), batch.arena.unflatten(0, (2, 3)), batch.px_per_cm.unflatten(0, (2, 3))
    )
    torch.testing.assert_close(deep.flatten(0, 1), values, equal_nan=True)
    single = programs.evaluate(keypoints[4], batch.arena[4], batch.px_per_cm[4])
    torch.testing.assert_close(single, values[4], equal_nan=True)
    monkeypatch.setattr(program_set, "_CHUNK_FRAMES", 61 * 4)
    torch.testing.assert_close(programs.evaluate(keypoints, batch.arena, batch.px_per_cm), values, equal_nan=True)


def test_gradients_pass_through_evaluation(mice):
    programs, _ = fitted(mice)
    batch = mice.read([(0, 0, 61), (1, 7, 61)]).to("cpu", torch.float64)
    keypoints = batch.keypoints.masked_fill(~batch.observed.unsqueeze(-1), torch.nan).requires_grad_()
    values = programs.evaluate(keypoints, batch.arena, batch.px_per_cm)
    known = ~values.isnan()
    (gradient,) = torch.autograd.grad(values, keypoints, torch.where(known, 1.0, 0.0))
    assert gradient.isfinite().all() and gradient.any() and not gradient[~batch.observed].any()


def test_unknown_attributes_are_0_and_masked(mice):
    programs, _ = fitted(mice)
    batch = mice.read([(0, -20, 61), (1, 480, 61), (2, 100, 61)]).to("cpu", torch.float64)
    batch.keypoints[2, 30] = 0.0
    batch.observed[2, 30] = False
    values, known = programs.attributes(batch)
    assert not known[~batch.valid].any() and not values[~known].any() and values.isfinite().all()
    gap, speed = programs.names.index("body_gap"), programs.names.index("speed.resident")
    assert not known[2, 30, gap] and known[2, 29, gap]
    assert not known[0, 20:22, speed].any() and known[0, 22:-2, speed].all()
    assert not known[2, [28, 32], speed].any() and known[2, 30, speed]


def test_windows_give_the_attributes_of_the_recording(mice):
    programs, _ = fitted(mice)
    values, known = programs.attributes(whole(mice, 1))
    for start in (0, 57, 300):
        part, known_there = programs.attributes(mice.read([(1, start, 181)]).to("cpu", torch.float64))
        inside = slice(start, start + 181)
        assert (known[0, inside] | ~known_there[0]).all()
        torch.testing.assert_close(part[0], values[0, inside].masked_fill(~known_there[0], 0.0))


def test_classes_of_quantiles_are_equally_full_on_the_training_recordings(mice):
    programs, notices = fitted(mice, names=("speed", "facing_angle", "nose_nose_distance"), num_classes=4)
    assert programs.num_classes == 4 and not notices
    found = [programs.attributes(whole(mice, pick)) for pick in range(3)]
    values, known = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
    for column in range(programs.num_attributes):
        of_column = programs.classes(values)[..., column][known[..., column]]
        assert (torch.bincount(of_column) / len(of_column)).tolist() == pytest.approx([0.25] * 4, abs=0.02)
        scores = programs.standardized(values)[..., column][known[..., column]]
        assert abs(float(scores.median())) < 1e-6 and 0.5 < float(scores.std()) < 1.5
    assert float(programs.standardized(values).abs().max()) <= 4.0


def test_given_thresholds_are_the_classes(mice):
    thresholds = {"speed": (20.0, 40.0, 60.0), "facing_angle": (1.0,)}
    programs, _ = fitted(mice, names=("speed", "facing_angle", "body_gap"), units="px", thresholds=thresholds)
    assert programs.num_classes == 4 and programs.thresholds.isfinite().all()
    values = torch.tensor([[[19.9, 40.0, 0.99, 1.0, 0.0]]])
    assert programs.classes(values)[0, 0, :4].tolist() == [0, 2, 0, 1]


def test_the_papers_thresholds_fit_the_papers_programs(mice):
    programs, _ = fitted(mice, names=TASK_PROGRAMMING_2021, units="px", thresholds=PAPER_THRESHOLDS)
    for row, facts in zip(programs.thresholds, programs.attribute_facts, strict=True):
        assert tuple(row.tolist()) == PAPER_THRESHOLDS[facts.name]


def test_empty_class_gives_a_notice(mice):
    programs, notices = fitted(mice, names=("speed",), thresholds={"speed": (30.0, 1e5)}, units="px")
    assert len(notices) == 2 and "speed.resident" in notices[0] and "class 2" in notices[0] and "px/s" in notices[0]
    assert programs.informative.all()


def test_thresholds_without_effect_leave_a_program_out(mice):
    thresholds = {"speed": (1e5,)}
    programs, notices = fitted(mice, names=("speed", "body_gap"), thresholds=thresholds, units="px")
    assert programs.informative.tolist() == [False, False, True]
    assert all("left out" in notice and "class 0" in notice and "[100000.0] px/s" in notice for notice in notices)


def test_fitting_anew_forgets_what_was_fitted_before(dyad, reader, mice):
    frozen = np.repeat(dyad("still", 301).keypoints[:1], 301, axis=0)
    frozen[:, 1] += np.arange(301)[:, None, None]
    still = reader(replace(dyad("still", 301), keypoints=frozen, px_per_cm=8.0))
    programs, notices = fitted(still)
    assert notices and programs.unit == "cm"
    programs.fit(mice)
    assert not programs.notices and programs.informative.all() and programs.unit == "px"
    again, _ = fitted(mice)
    for name, value in again.state_dict().items():
        torch.testing.assert_close(programs.state_dict()[name], value)


def test_nothing_is_known_in_padding_whatever_a_program_remembers(dyad, reader):
    together = dyad("together", 301).keypoints.copy()
    together[:200, 1] = together[:200, 0]
    mice = reader(replace(dyad("together", 301), keypoints=together))
    programs, _ = fitted(mice)
    since = programs.names.index("time_since_contact")
    _, known = programs.attributes(mice.read([(0, 150, 201)]).to("cpu", torch.float64))
    assert known[0, :151, since].all() and not known[0, 151:].any()


def test_units_are_cm_where_every_scale_is_known(dyad, reader):
    known = reader(*(dyad(f"r{scale}", 211, seed=1, px_per_cm=scale) for scale in (8.0, 16.0)))
    partly = reader(dyad("a", 211, px_per_cm=8.0), dyad("b", 211))
    cm, _ = fitted(known)
    assert cm.unit == "cm" and cm.units[0] == "cm/s"
    assert fitted(partly)[0].unit == "px" and fitted(known, units="px")[0].unit == "px"
    with pytest.raises(InputError, match=r"1 of 2 recordings is not known \('b'\)"):
        fitted(partly, units="cm")
    # Of equal tracks, that with the larger scale is half as large.
    values, seen = cm.attributes(known.read([(0, 0, 211), (1, 0, 211)]).to("cpu", torch.float64))
    for name in ("speed.resident", "nose_nose_distance", "wall_distance.intruder", "acceleration.intruder"):
        column = cm.names.index(name)
        torch.testing.assert_close(values[0, :, column], 2 * values[1, :, column])
        assert seen[..., column].any()
    angle = cm.names.index("facing_angle.resident")
    torch.testing.assert_close(values[0, :, angle], values[1, :, angle])
    assert float(cm.body_length) == pytest.approx(scale_of(known, CALMS21) * (1 / 8 + 1 / 16) / 2, rel=1e-5)
    with pytest.raises(InputError, match="window 1 of 2"):
        cm.evaluate(torch.zeros(2, 5, 2, 7, 2), torch.zeros(2, 4), torch.tensor([8.0, 0.0]))


def test_a_constant_attribute_is_left_out_with_a_notice(dyad, reader):
    still = dyad("still", 301).keypoints.copy()
    still[:, 0] = still[:1, 0]
    mice = reader(replace(dyad("still", 301), keypoints=still))
    programs, notices = fitted(mice)
    left_out = {name for name, kept in zip(programs.names, programs.informative, strict=True) if not kept}
    assert {"speed.resident", "elongation.resident", "turning.resident", "wall_distance.resident"} <= left_out
    assert "speed.intruder" not in left_out and "facing_angle.resident" not in left_out
    assert len(notices) == len(left_out) and all("always the same" in notice for notice in notices)
    _, known = programs.attributes(whole(mice))
    assert not known[..., ~programs.informative].any() and known[..., programs.informative].any()
    with pytest.raises(InputError, match=r"the programs \['elongation'\].*elongation\.resident"):
        frozen = np.repeat(still[:1], 301, axis=0)
        fitted(reader(replace(dyad("still", 301), keypoints=frozen)), names=("elongation",))


def test_program_with_missing_role_is_left_out_with_a_notice(dyad):
    short = Skeleton(name="short", keypoints=("a", "b"), roles={"nose": "a", "tail_base": "b"})
    programs = ProgramSet(ProgramsConfig(names=("speed", "head_body_angle")), short, 30.0)
    assert programs.names == ("speed.animal0", "speed.animal1")
    assert len(programs.notices) == 1
    assert all(word in programs.notices[0] for word in ("head_body_angle", "'neck' or 'center'", "'short'"))
    with pytest.raises(InputError, match=r"none of the programs.*can run.*'blob'"):
        ProgramSet(ProgramsConfig(names=("body_*",)), Skeleton(name="blob", keypoints=("a",)), 30.0)


def test_fitted_numbers_are_finite_and_travel_with_the_state(mice):
    programs, _ = fitted(mice)
    state = programs.state_dict()
    assert all(value.isfinite().all() for value in state.values())
    again = ProgramSet(programs.config, CALMS21, 30.0)
    assert again.unit == "px"
    again.load_state_dict(state)
    batch = whole(mice)
    assert all(torch.equal(*pair) for pair in zip(again.attributes(batch), programs.attributes(batch), strict=True))
    assert float(again.body_length) == float(programs.body_length) > 1


def test_fitting_twice_gives_the_same(mice):
    programs, notices = fitted(mice)
    state = {name: value.clone() for name, value in programs.state_dict().items()}
    programs.fit(mice)
    assert programs.notices == notices
    assert all(torch.equal(value, state[name]) for name, value in programs.state_dict().items())


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_invariance_of_an_attribute_is_that_of_its_program(transformation):
    named, anonymous = (ProgramSet(ProgramsConfig(), skeleton, 30.0) for skeleton in (CALMS21, RATS))
    for name, kept in zip(named.names, named.invariant([transformation]), strict=True):
        assert bool(kept) == (transformation in PROGRAMS[name.split(".")[0]].facts.invariant)
    if transformation == "swap":
        assert anonymous.invariant(["swap"]).all()
    assert named.invariant([]).all()
    both = named.invariant(["rotation"]) & named.invariant([transformation])
    assert torch.equal(named.invariant({"rotation", transformation}), both)


def test_own_programs_are_checked_fitted_and_used(mice, tmp_path):
    config = config_of(tmp_path, names=("speed", "sprint", "sameness"))
    programs = ProgramSet(config, CALMS21, 30.0)
    programs.fit(mice)
    notices = programs.notices
    assert len(notices) == 1 and notices[0].startswith("sameness is left out") and "1 px" in notices[0]
    values, known = programs.attributes(whole(mice))
    sprint, speed = (programs.names.index(f"{name}.intruder") for name in ("sprint", "speed"))
    there = known[..., sprint]
    torch.testing.assert_close(values[..., sprint][there], (values[..., speed][there] - 10).clamp_min(0.0))


def test_a_bad_program_is_refused_before_training(mice, tmp_path):
    config = config_of(tmp_path, OWN.replace("reflection scale", "reflection").replace("rotation", "scale", 1))
    with pytest.raises(InputError, match=r"'sprint' \(.*mine\.py:5\): it says it is invariant under scale"):
        ProgramSet(config, CALMS21, 30.0).fit(mice)


def test_an_own_program_whose_part_is_missing_is_left_out(mice, tmp_path):
    text = OWN + OWN.replace("sprint", "wag").replace("sameness", "other").replace(
        "pose.own.speed - 10.0", "pose.own.part('tail_tip')[..., 0]"
    )
    programs = ProgramSet(config_of(tmp_path, text, names=("speed", "wag")), CALMS21, 30.0)
    programs.fit(mice)
    notices = programs.notices
    assert len(notices) == 1 and notices[0].startswith("wag is left out: no keypoint of the skeleton 'calms21'")
    assert "'tail_tip'" in notices[0]
    assert programs.informative.tolist() == [True, True, False, False]


def test_loading_a_model_runs_no_file_and_a_changed_file_is_refused(mice, tmp_path):
    marker = tmp_path / "ran"
    config = config_of(tmp_path, f"open({str(marker)!r}, 'w').close()\n" + OWN)
    programs = ProgramSet(config, CALMS21, 30.0)
    programs.fit(mice)
    marker.unlink()
    again = ProgramSet(config, CALMS21, 30.0)
    again.load_state_dict(programs.state_dict())
    assert again.names == programs.names and not marker.exists()
    assert again.attributes(whole(mice))[0].isfinite().all() and marker.exists()
    (tmp_path / "mine.py").write_text(OWN)
    late = ProgramSet(config, CALMS21, 30.0)
    with pytest.raises(InputError, match="has changed"):
        late.attributes(whole(mice))


def test_order_dependent_pair_program_raises_for_anonymous_animals(tmp_path):
    config = config_of(tmp_path, names=("sameness",))
    with pytest.raises(InputError, match=r"'sameness' depends on which of the animals comes first.*rat_dyads"):
        ProgramSet(config, RATS, 30.0)
    assert ProgramSet(config, CALMS21, 30.0).names == ("sameness",)


def test_evaluation_is_in_full_precision_under_autocast(mice):
    programs, _ = fitted(mice, names=("nose_nose_distance",))
    batch = mice.read([(0, 0, 61)])
    with torch.autocast("cpu", torch.bfloat16):
        values, _ = programs.attributes(batch)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, programs.attributes(batch)[0])


def test_nothing_is_written_into_a_batch(mice):
    programs, _ = fitted(mice)
    batch = whole(mice)
    before = {field.name: getattr(batch, field.name).clone() for field in fields(batch)}
    programs.attributes(batch)
    assert all(torch.equal(getattr(batch, name), value) for name, value in before.items())


@pytest.mark.data
def test_thresholds_of_real_rats_rise_and_every_attribute_is_informative(real_data, tmp_path):
    path = real_data / "rat_dyads" / "02_dlc_tracks.csv.gz"
    store = write_store(tmp_path / "rats", read_recordings(path))
    programs, notices = fitted(WindowReader([(store, row) for row in store.rows], 64))
    assert not notices and programs.informative.all()
    for row in programs.thresholds.tolist():
        assert all(low < high for low, high in pairwise(row))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    return pose.own.speed / {}['no such key']", ["'rash' (", "mine.py:4)", "KeyError in line 8", "no such"]),
        ("    return 3.0", ["'rash' (", "returns float, expected a tensor"]),
        ("    return pose.own.speed[..., :1]", ["'rash' (", "returns the shape", "one value per frame"]),
    ],
    ids=["raises", "no tensor", "shape"],
)
def test_failing_user_program_is_named_in_the_error(mice, tmp_path, body, words):
    text = f"""
from ssl_behavior.programs import program

@program(units="length/s", invariant="", each_animal=True)
def rash(pose):
    'Fails on what it is trained with.'
    if pose.keypoints.shape[-4] > 200:
    {body}
    return pose.own.speed * 1.0
"""
    with pytest.raises(InputError) as error:
        ProgramSet(config_of(tmp_path, text, names=("rash",)), CALMS21, 30.0).fit(mice)
    message = str(error.value)
    assert "on the recordings it " in message and all(word in message for word in words), message


@pytest.mark.parametrize(
    ("units", "code", "kept"),
    [
        ("1/length", "1 / (pose.own.speed + 50)", True),
        ("1/length", "pose.own.speed * 1e-9 + 5e-3", False),
        ("%", "pose.own.speed * 1e-4 + 40.0", False),
        ("deg", "pose.own.speed", True),
        ("length^2", "pose.own.speed * 50.0", True),
        ("length^2", "pose.own.speed * 1e-2", False),
        ("wavelength", "pose.own.speed * 1e-3", True),
        ("rad/s", "pose.own.speed * 1e-6", False),
    ],
)
def test_constancy_depends_on_the_units(mice, tmp_path, units, code, kept):
    text = f"""
from ssl_behavior.programs import program

@program(units="{units}", invariant="", each_animal=True)
def measured(pose):
    'What a test needs.'
    return {code}
"""
    programs, notices = fitted(mice, **own(config_of(tmp_path, text)), names=("measured", "body_gap"))
    assert programs.informative.tolist() == [kept, kept, True]
    assert kept or all("the same" in notice for notice in notices)


def own(config):
    return {name: getattr(config, name) for name in ("file", "file_sha256", "custom")}


def test_units_keep_every_word_but_length(mice, tmp_path):
    text = OWN.replace('units="length"', 'units="wavelength/length"')
    programs = ProgramSet(config_of(tmp_path, text, names=("speed", "sameness")), CALMS21, 30.0)
    assert programs.units == ("px/s", "px/s", "wavelength/px")


def test_error_without_usable_programs_is_short(dyad, reader):
    frozen = np.repeat(dyad("still", 301).keypoints[:1], 301, axis=0)
    with pytest.raises(InputError) as error:
        fitted(reader(replace(dyad("still", 301), keypoints=frozen)))
    message = str(error.value)
    assert len(message) < 400 and "'speed'" in message and f"and {len(PROGRAMS) - 3} more" in message
    assert message.count("is left out") == 1 and "more like it" in message


def test_set_without_runnable_programs_raises_with_the_role(mice, tmp_path):
    text = OWN.replace("(pose.own.speed - 10.0).clamp_min(0.0)", "pose.own.part('tail_tip')[..., 0]")
    with pytest.raises(InputError, match=r"\['sprint'\] are all constant .*: sprint is left out: .*'tail_tip'"):
        ProgramSet(config_of(tmp_path, text, names=("sprint",)), CALMS21, 30.0).fit(mice)
