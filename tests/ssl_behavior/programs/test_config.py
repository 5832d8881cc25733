import json
from dataclasses import asdict

import pytest

from ssl_behavior.configs import config_from_dict
from ssl_behavior.errors import InputError
from ssl_behavior.programs import PAPER_THRESHOLDS, PROGRAMS, TASK_PROGRAMMING_2021, ProgramFacts, ProgramsConfig

MINE = ProgramFacts(
    name="sidling", units="length/s", invariant=("translation",), each_animal=True, description="Sideways."
)
OWN = {"file": "mine.py", "file_sha256": "ab", "custom": (MINE,)}


def test_all_programs_are_chosen_by_name_and_with_them_ones_own():
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
        ({"num_classes": 1}, ["num_classes", "at least 2", "1"]),
        ({"file": "mine.py"}, ["file", "custom", "'mine.py'"]),
        ({"custom": (MINE,)}, ["file", "together"]),
        (OWN | {"custom": (ProgramFacts(**asdict(MINE) | {"name": "speed"}),)}, ["mine.py", "'speed'", "built in"]),
    ],
)
def test_what_cannot_be_is_refused(values, words):
    with pytest.raises(InputError) as error:
        ProgramsConfig(**values)
    assert all(word in str(error.value) for word in words), str(error.value)
