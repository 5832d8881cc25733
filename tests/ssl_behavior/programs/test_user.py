import ast
import hashlib
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from ssl_behavior import programs
from ssl_behavior.errors import InputError
from ssl_behavior.programs import PROGRAMS, ProgramFacts, check_program, custom_programs, load_programs
from ssl_behavior.programs.user_file import programs_with_hash
from ssl_behavior.skeleton import SKELETONS

GOOD = """
from ssl_behavior.programs import Pose, cross, program

@program(units="length/s", invariant="translation rotation reflection", each_animal=True)
def sidling(pose: Pose):
    '''How fast the animal moves sideways.'''
    return cross(pose.own.heading, pose.own.velocity).abs()
"""


@pytest.fixture
def file(tmp_path):
    def write(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


def test_a_file_gives_its_programs_and_its_hash(file):
    path = file(GOOD)
    found, digest = load_programs(path)
    assert list(found) == ["sidling"] and digest == hashlib.sha256(path.read_bytes()).hexdigest()
    facts, again = custom_programs(path)
    assert again == digest
    assert facts == (
        ProgramFacts(
            name="sidling",
            units="length/s",
            invariant=("translation", "rotation", "reflection"),
            each_animal=True,
            description="How fast the animal moves sideways.",
        ),
    )


def test_the_documented_example_is_a_program_that_keeps_its_contract(file):
    lines = programs.__doc__.splitlines()
    block = [line[4:] for line in lines if line.startswith("    ") or not line]
    text = "\n".join(block).strip()
    assert len([line for line in text.splitlines() if line]) <= 10
    ast.parse(text)
    found, _ = load_programs(file(text))
    for skeleton in SKELETONS.values():
        check_program(found["sidling"], skeleton, 30.0)


def test_imported_programs_are_not_the_users(file):
    found, _ = load_programs(file("from ssl_behavior.programs.builtin import speed\n" + GOOD))
    assert list(found) == ["sidling"]


def test_an_edit_is_seen_at_once_and_leaves_nothing_behind(file, tmp_path):
    path = file(GOOD)
    load_programs(path)
    path.write_text(GOOD.replace("sideways", "askew"), encoding="utf-8")
    assert load_programs(path)[0]["sidling"].facts.description == "How fast the animal moves askew."
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.py"]


def test_dataclasses_work_in_a_file(file):
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    b: int = 1\n"
    )
    assert load_programs(file(text + GOOD))[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\ny = (\n", ["mine.py:2", "not Python"]),
        ("x = 1\n\n\ny = x / 0\n", ["mine.py:4", "ZeroDivisionError", "division by zero"]),
        ("import no_such_package_at_all\n", ["mine.py:1", "ModuleNotFoundError"]),
        ("import sys\nsys.exit(3)\n", ["mine.py:2", "SystemExit"]),
        ("x = 1\n", ["mine.py", "no program", "@program"]),
        (GOOD.replace("sidling", "speed"), ["mine.py:4", "'speed'", "built in already"]),
        (GOOD.replace("rotation", "roration"), ["mine.py:4", "'roration'", "known", "'sidling'"]),
        (GOOD.replace("'''How fast the animal moves sideways.'''", ""), ["mine.py", "docstring", "'sidling'"]),
        (GOOD.replace('units="length/s"', 'units=""'), ["mine.py", "units", "'sidling'"]),
    ],
    ids=["syntax", "raises", "import", "exit", "empty", "taken", "transformation", "docstring", "units"],
)
def test_a_bad_file_is_named_with_the_line(file, text, words):
    before = {name for name in sys.modules if name.startswith("ssl_behavior_programs_")}
    with pytest.raises(InputError) as error:
        load_programs(file(text))
    assert all(word in str(error.value) for word in words), str(error.value)
    if "no program" not in words and "built in already" not in words:
        assert {name for name in sys.modules if name.startswith("ssl_behavior_programs_")} == before


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.py.*cannot be read"):
        load_programs(tmp_path / "nothing.py")
    (tmp_path / "binary.py").write_bytes(b"x = '\xff\xfe'\n")
    with pytest.raises(InputError, match=r"binary\.py"):
        load_programs(tmp_path / "binary.py")


def test_a_changed_file_is_refused_without_running_it(file, tmp_path):
    path = file(GOOD)
    _, digest = load_programs(path)
    assert list(programs_with_hash(str(path), digest)) == ["sidling"]
    marker = tmp_path / "ran"
    path.write_text(f"open({str(marker)!r}, 'w').close()\n" + GOOD, encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.py.*has changed"):
        programs_with_hash(str(path), digest)
    assert not marker.exists()
    path.unlink()
    with pytest.raises(InputError, match="not there any more"):
        programs_with_hash(str(path), digest)


def test_names_of_built_in_programs_are_those_of_their_functions():
    assert all(name == entry.name == entry.function.__name__ for name, entry in PROGRAMS.items())


def test_hashed_bytes_are_the_ones_that_run(file, monkeypatch):
    path = file(GOOD)
    _, digest = load_programs(path)
    contents = iter([GOOD.encode(), GOOD.replace("sideways", "askew").encode()])
    monkeypatch.setattr(Path, "read_bytes", lambda _: next(contents))
    found = programs_with_hash(str(path), digest)
    assert found["sidling"].facts.description == "How fast the animal moves sideways."


TWICE = GOOD + GOOD.replace("from ssl_behavior.programs import Pose, cross, program", "").replace("sideways", "askew")
TWO_VARIABLES = """
from ssl_behavior.programs import length, program

def made(role):
    @program(units="length", invariant="", each_animal=True)
    def size(pose):
        'How far a part is from the tail.'
        return length(pose.own.part(role) - pose.own.tail_base)
    return size

nose = made("nose")
neck = made("neck")
"""


@pytest.mark.parametrize(
    ("text", "place"), [(TWICE, "mine.py:11: a program 'sidling' is in line 4"), (TWO_VARIABLES, "'size' is in line 5")]
)
def test_two_programs_of_one_name_are_refused(file, text, place):
    with pytest.raises(InputError) as error:
        load_programs(file(text))
    assert place in str(error.value)


def test_one_program_under_two_names_is_one(file):
    assert list(load_programs(file(GOOD + "\nalias = sidling\n"))[0]) == ["sidling"]


HEAD = '@program(units="length/s", invariant="translation rotation reflection", each_animal=True)'


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (HEAD.replace('"length/s"', "3"), ["units must be a string", "got 3"]),
        (HEAD.replace('units="length/s", ', ""), ["units must be a string", "got nothing"]),
        (HEAD.replace("True", '"no"'), ["each_animal must be True or False", "got 'no'"]),
        (HEAD.replace("True", "1"), ["each_animal must be True or False", "got 1"]),
        (
            HEAD.replace('"translation rotation reflection"', '["translation"]'),
            ["invariant must be a string of transformations", "got ['translation']"],
        ),
        ("@program", ["@program needs its arguments by name", "write @program(units=..."]),
    ],
)
def test_arguments_of_another_type_are_named_in_a_plain_sentence(file, head, words):
    with pytest.raises(InputError) as error:
        load_programs(file(GOOD.replace(HEAD, head)))
    message = str(error.value)
    assert "mine.py:4: program 'sidling': " in message and all(word in message for word in words), message


def test_a_function_of_something_else_is_refused(file):
    with pytest.raises(InputError, match=r"mine\.py:4: program 'sidling': it must take one argument, .* not \(\)"):
        load_programs(file(GOOD.replace("pose: Pose", "")))
    with pytest.raises(InputError, match=r"mine\.py:10: @program\(\.\.\.\) is above <built.*, which is no function"):
        load_programs(file(GOOD + "\n\nprogram(units='1', invariant='', each_animal=True)(len)\n"))


def test_messages_hold_no_class_names(file):
    with pytest.raises(InputError) as error:
        load_programs(file(GOOD.replace("rotation", "roration")))
    assert "InputError" not in str(error.value) and "mine.py:4: program 'sidling': unknown" in str(error.value)
