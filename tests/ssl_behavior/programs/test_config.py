import json
from dataclasses import asdict

import pytest

from ssl_behavior.configs import config_from_dict
from ssl_behavior.errors import InputError
from ssl_behavior.programs import (
    PAPER_THRESHOLDS,
    PROGRAMS,
    TASK_PROGRAMMING_2021,
    ProgramFacts,
    ProgramsConfig,
    with_programs_of,
)

MINE = ProgramFacts(
    name="sidling", units="length/s", invariant=("translation",), each_animal=True, description="Sideways."
)
OWN = {"file": "mine.py", "file_sha256": "ab", "custom": (MINE,)}


def test_default_names_include_user_programs():
    assert ProgramsConfig().names == tuple(PROGRAMS)
    assert ProgramsConfig(**OWN).names == (*PROGRAMS, "sidling")
    assert ProgramsConfig(names=("sid*",), **OWN).facts == (MINE,)


def test_names_are_patterns_in_the_order_asked_and_once_each():
    assert ProgramsConfig(names=("wall_distance", "*_distance", "speed")).names == (
        "wall_distance", "nose_nose_distance", "nose_tail_distance", "corner_distance", "speed",
    )  # fmt: skip


def test_a_saved_configuration_comes_back_and_names_what_it_named():
    config = ProgramsConfig(names=TASK_PROGRAMMING_2021, units="px", thresholds=PAPER_THRESHOLDS, **OWN)
    again = config_from_dict(ProgramsConfig, json.loads(json.dumps(asdict(config))), "test")
    assert again == config and again.names == TASK_PROGRAMMING_2021


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"names": ("sped",)}, ["'sped'", "did you mean 'speed'"]),
        ({"names": ("body*", "nose_tial*")}, ["'nose_tial*'", "did you mean 'nose_tail_distance'"]),
        ({"names": ("qqqq",)}, ["'qqqq'", "known", "speed"]),
        ({"names": ()}, ["none is chosen"]),
        ({"thresholds": {"sped": (1.0,)}}, ["'sped'", "no program", "'speed'"]),
        ({"thresholds": {"speed": (2.0, 1.0)}}, ["'speed'", "rise", "[2.0, 1.0]"]),
        ({"thresholds": {"speed": (1.0, 1.0)}}, ["'speed'", "rise"]),
        ({"thresholds": {"speed": ()}}, ["'speed'", "rise"]),
        ({"thresholds": {"speed": (1.0, float("nan"))}}, ["'speed'", "finite"]),
        ({"thresholds": {"speed": (75.0,)}}, ["[75.0] of 'speed' are px/s or cm/s", "set units to px or cm"]),
        ({"num_classes": 1}, ["num_classes", "at least 2", "1"]),
        ({"file": "mine.py"}, ["file", "custom", "'mine.py'"]),
        ({"custom": (MINE,)}, ["file", "together"]),
        (OWN | {"custom": (ProgramFacts(**asdict(MINE) | {"name": "speed"}),)}, ["mine.py", "'speed'", "built in"]),
    ],
)
def test_invalid_configurations_raise(values, words):
    with pytest.raises(InputError) as error:
        ProgramsConfig(**values)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_thresholds_of_angles_need_no_unit_of_length():
    thresholds = {"facing_angle": (0.5, 1.5), "body_overlap": (0.1,)}
    assert ProgramsConfig(thresholds=thresholds).thresholds == thresholds
    for units in ("px", "cm"):
        assert ProgramsConfig(thresholds={"speed": (75.0,)}, units=units).units == units


def mine(path, name):
    path.write_text(
        "from ssl_behavior.programs import program\n"
        "@program(units='length/s', invariant='', each_animal=True)\n"
        f"def {name}(pose):\n    'How fast.'\n    return pose.own.speed\n"
    )
    return path


def test_the_programs_of_a_file_are_added_and_those_of_another_take_their_place(tmp_path):
    chosen = ProgramsConfig(names=("speed",), units="px", num_classes=5)
    one = with_programs_of(chosen, mine(tmp_path / "one.py", "rush"))
    assert one.names == ("speed", "rush") and one.file == str(tmp_path / "one.py") and one.num_classes == 5
    two = with_programs_of(one, str(mine(tmp_path / "two.py", "dash")))
    assert two.names == ("speed", "dash") and [facts.name for facts in two.custom] == ["dash"]
    assert two.file_sha256 != one.file_sha256
    with pytest.raises(InputError, match="nowhere"):
        with_programs_of(chosen, tmp_path / "nowhere.py")


def test_only_the_word_length_is_a_unit_of_length():
    def of(units):
        return ProgramFacts(name="a", units=units, invariant=(), each_animal=True, description="One.")

    assert of("length^2/s").units_in("cm") == "cm^2/s" and of("1/length").units_in("px") == "1/px"
    for units in ("wavelength", "lengths", "body_length"):
        assert of(units).units_in("px") == units and not of(units).of_length
