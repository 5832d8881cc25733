import re
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.commands import programs, programs_figure
from ssl_behavior.commands.programs import measure_programs
from ssl_behavior.programs import PROGRAMS
from ssl_behavior.recording import Labels, Recording
from ssl_behavior.store import Store, write_store
from ssl_behavior.terminal import make_console

MINE = '''
from ssl_behavior.programs import length, program

@program(units="length", invariant="translation rotation reflection {more}", each_animal=False)
def tail_to_tail(pose):
    """Distance between the two tail bases."""
    return length(pose.own.tail_base - pose.other.tail_base)
'''

TAILLESS = '''

@program(units="length", invariant="translation rotation reflection", each_animal=True)
def whiskering(pose):
    """Distance from the nose to the whiskers."""
    return length(pose.own.part("nose") - pose.own.part("whiskers"))
'''


@pytest.fixture
def mine(tmp_path):
    def write(more="swap"):
        path = tmp_path / "mine.py"
        path.write_text(MINE.replace("{more}", more))
        return path

    return write


@pytest.fixture
def store(dyad, tmp_path):
    frames = np.repeat([0, 1, 2, -1], [40, 30, 20, 11])
    labels = {"behavior": Labels(vocabulary=("other", "mount", "[chase]"), frames=frames, background="other")}
    recordings = [replace(dyad("one", 101), labels=labels), dyad("two", 211, seed=1)]
    return write_store(tmp_path / "store", recordings).path


@pytest.fixture
def group(dyad, tmp_path):
    """A store of one, two or three animals that are told apart."""

    def make(number, exchangeable=False):
        parts = [dyad("cage", 211, seed=seed, missing=0.02) for seed in (1, 2)]
        keypoints = np.concatenate([part.keypoints for part in parts], axis=1)[:, :number]
        skeleton = replace(parts[0].skeleton, individuals=("m1", "m2", "m3")[:number], exchangeable=exchangeable)
        recording = Recording(id="cage", keypoints=keypoints, fps=30.0, skeleton=skeleton)
        return write_store(tmp_path / f"group{number}{exchangeable}", [recording]).path

    return make


def test_all_programs_are_listed_with_descriptions(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["programs"]) == 0
    out = capsys.readouterr().out
    assert all(name in out and entry.facts.units in out for name, entry in PROGRAMS.items())


def test_user_programs_are_checked_and_listed(mine, capsys):
    assert main(["programs", "--programs", str(mine())]) == 0
    assert "tail_to_tail" in capsys.readouterr().out
    assert main(["programs", "--programs", str(mine("scale"))]) == 2
    output = capsys.readouterr().err
    assert "tail_to_tail" in output and "scale" in output and "mine.py" in output


def test_unchosen_user_programs_are_counted(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace("{more}", "swap") + TAILLESS)
    assert main(["programs", "--programs", str(path)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "whiskering cannot run on calms21, and was not checked: " in output
    assert "mine.py: 1 program of your own passed all checks; 1 cannot run on calms21" in output
    assert main(["programs", "--programs", str(path), "--names", "tail_to_tail"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "mine.py: 1 program of your own passed all checks; 1 not chosen by --names" in output
    assert "whiskering" not in output and "nose_nose" not in output


def test_names_option_selects_programs(capsys):
    assert main(["programs", "--names", "nose_*", "speed"]) == 0
    out = capsys.readouterr().out
    assert {name for name in PROGRAMS if f"{name} " in out} == {
        "speed", "nose_movement", "nose_nose_distance", "nose_tail_distance"
    }  # fmt: skip


def measured_rows(capsys, *arguments):
    """Attribute -> its cells after the name."""
    assert main(["programs", *map(str, arguments)]) == 0
    lines = [re.split(r"  +", line.strip()) for line in capsys.readouterr().out.splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) >= 5}


def test_attribute_without_known_values_has_no_quantiles(dyad, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    recording = dyad("one", 101)
    keypoints = recording.keypoints.copy()
    keypoints[:, :, recording.skeleton.keypoints.index("nose")] = np.nan
    noseless = write_store(tmp_path / "noseless", [replace(recording, keypoints=keypoints)]).path
    rows = measured_rows(capsys, noseless, "--names", "nose_nose_distance", "speed")
    assert rows["nose_nose_distance"][:4] == ["0%", "-", "-", "-"] and rows["speed.resident"][0] != "0%"
    # Too short for a velocity.
    short = write_store(tmp_path / "short", [dyad("one", 3)]).path
    rows = measured_rows(capsys, short, "--names", "nose_nose_distance", "speed")
    assert rows["speed.resident"][:4] == ["0%", "-", "-", "-"] and rows["nose_nose_distance"][0] == "100%"


def test_program_with_a_missing_role_has_no_quantiles(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    path = tmp_path / "mine.py"
    path.write_text(MINE.replace("{more}", "swap") + TAILLESS)
    rows = measured_rows(capsys, store, "--names", "tail_to_tail", "whiskering", "--programs", path)
    assert rows["whiskering.resident"][:4] == ["0%", "-", "-", "-"] and rows["tail_to_tail"][0] == "100%"


def test_count_of_one_recording_is_singular(dyad, tmp_path, capsys):
    assert main(["programs", str(write_store(tmp_path / "one", [dyad()]).path), "--names", "speed"]) == 0
    assert "1 recording " in capsys.readouterr().out


def test_store_statistics_are_printed(store, capsys):
    measured = measure_programs(Store(store), ["speed", "nose_*"], None, make_console())
    out = capsys.readouterr().out
    assert all(name in out for name in measured.programs.names) and "px/s" in out
    assert {name.partition(".")[0] for name in measured.programs.names} == {
        "speed", "nose_movement", "nose_nose_distance", "nose_tail_distance"
    }  # fmt: skip


def test_a_single_animal_is_measured_and_the_other_programs_are_named(group, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["programs", str(group(1))]) == 0
    out = capsys.readouterr().out
    assert "facing_angle is left out: it needs another animal, and the recordings have one" in out
    assert "speed.m1" in out and "facing_angle.m1" not in out


def test_groups_are_measured_toward_the_nearest_or_toward_each(group, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    choice = ["--names", "speed", "facing_angle", "body_gap"]
    store = group(3)
    near, each = measured_rows(capsys, store, *choice), measured_rows(capsys, store, *choice, "--others", "each")
    assert {"speed.m3", "facing_angle.m3", "body_gap.m3"} <= set(near) and "facing_angle.m3.m1" not in near
    assert {"speed.m3", "facing_angle.m3.m1", "body_gap.m1.m3"} <= set(each) and "body_gap.m3" not in each
    extremes = measured_rows(capsys, group(3, exchangeable=True), *choice)
    assert {"speed.greatest", "facing_angle.least", "body_gap.least"} <= set(extremes)


@pytest.mark.parametrize(("number", "others"), [(1, "nearest"), (3, "nearest"), (3, "each")])
def test_figure_of_any_number_of_animals(group, number, others, tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    drawn = []
    monkeypatch.setattr(programs_figure, "_legend", lambda figure, axes, *_: drawn.append(axes))
    names = ["--names", "speed", *(["facing_angle", "body_gap"] if number > 1 else [])]
    picture = tmp_path / "group.png"
    assert main(["programs", str(group(number)), *names, "--others", others, "--figure", str(picture)]) == 0
    (axes,) = drawn
    labels = [[line.get_label() for line in axis.get_lines()] for axis in axes]
    animals = [f"m{n + 1}" for n in range(number)]
    if others == "each":
        toward = [f"{one} → {other}" for one in animals for other in animals if one != other]
        assert labels == [animals, toward, ["m1, m2", "m1, m3", "m2, m3"]]
    else:
        assert labels == [animals] * len(axes)
    styles = {line.get_label(): (line.get_color(), line.get_linestyle()) for axis in axes for line in axis.get_lines()}
    assert len(set(styles.values())) == len(styles) and picture.stat().st_size > 5000


def test_own_program_that_needs_another_animal_is_not_checked_on_one(mine, tmp_path, capsys):
    path = tmp_path / "alone.toml"
    roles = '[roles]\nnose = "nose"\ntail_base = "tail"\n'
    path.write_text(f'name = "alone"\nkeypoints = ["nose", "tail"]\nindividuals = ["m1"]\n{roles}')
    assert main(["programs", "--programs", str(mine()), "--names", "tail_to_tail", "--skeleton", str(path)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert (
        f"tail_to_tail cannot run on {path}, and was not checked: it needs another animal, and the skeleton names one"
        in output
    )


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_figure_is_written(store, tmp_path, ending, mine, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / f"figure{ending}"
    own = ["--programs", str(mine()), "--names", "speed", "tail_to_tail"]
    assert main(["programs", str(store), *own, "--figure", str(picture), "--frames", "10:95"]) == 0
    assert str(picture) in capsys.readouterr().out.replace("\n", "")
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG" if ending == ".png" else b"<?xml") and len(content) > 5000


WRONG = {
    "no store": (["--figure", "x.png"], "needs a STORE"),
    "unknown program": (["{store}", "--names", "sped"], "did you mean 'speed'"),
    "unknown recording": (["{store}", "--figure", "x.png", "--recording", "three"], "no recording 'three'"),
    "unknown stream": (["{store}", "--figure", "x.png", "--stream", "S1"], "no label stream 'S1'"),
    "beyond the end": (["{store}", "--figure", "x.png", "--frames", "400:500"], "has 101 frames"),
    "end beyond the end": (["{store}", "--figure", "x.png", "--frames", "80:102"], "--frames 80:102: 'one' has 101 fr"),
    "listed unknown": (["--names", "sped"], "did you mean 'speed'"),
    "skeleton for nothing": (["--skeleton", "nope"], "add --programs FILE, or leave it out"),
    "skeleton of a store": (["{store}", "--skeleton", "calms21"], "a store has its own skeleton"),
    "recording undrawn": (["{store}", "--recording", "one"], "--recording says what to draw: add --figure"),
    "frames undrawn": (["{store}", "--frames", "0:9"], "--frames says what to draw: add --figure"),
    "others of no store": (["--others", "each"], "--others says toward whom the animals of a STORE are measured"),
    "social programs of one animal": (
        ["{alone}", "--names", "facing_angle", "body_gap"],
        "none of the programs ['facing_angle', 'body_gap'] can run: facing_angle is left out: it needs another animal",
    ),
    "stream undrawn": (["{store}", "--stream", "behavior"], "--stream says what to draw: add --figure"),
    "recording listed": (["--recording", "one"], "--recording says what to draw: add --figure"),
    "no picture": (["{store}", "--figure", "x.docx"], "ends in one of"),
    "no file": (["--programs", "nowhere.py"], "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_user_errors_exit_2_and_write_nothing(case, store, group, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, message = WRONG[case]
    alone = group(1)
    assert main(["programs", *(a.format(store=store, alone=alone) for a in arguments)]) == 2
    assert message in " ".join(capsys.readouterr().err.split()) and not list(tmp_path.glob("x.*"))


def test_recordings_of_different_rates_are_refused(dyad, tmp_path, capsys):
    store = write_store(tmp_path / "rates", [dyad("one", 101), dyad("two", 211, seed=1, fps=25.0)]).path
    assert main(["programs", str(store), "--names", "speed"]) == 2
    output = " ".join(capsys.readouterr().err.split())
    assert "different frame rates: 'two' 25, 'one' 30 per second" in output and "a store of its own" in output


UNDRAWABLE = {case: WRONG[case] for case in ("unknown recording", "unknown stream", "beyond the end", "no picture")}


@pytest.mark.parametrize("case", [*UNDRAWABLE, "no matplotlib"])
def test_figure_errors_come_before_measuring(case, store, capsys, monkeypatch):
    def measure(*_):
        raise AssertionError("measured first")

    monkeypatch.setattr(programs, "measure_programs", measure)
    arguments, message = UNDRAWABLE.get(case, (["{store}", "--figure", "x.png"], "pip install 'ssl-behavior[plots]'"))
    if case == "no matplotlib":
        monkeypatch.setattr("ssl_behavior.plots.style.find_spec", lambda _: None)
    assert main(["programs", *(a.format(store=store) for a in arguments)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_find_prints_the_bouts_of_a_sentence(store, tmp_path, capsys):
    table = tmp_path / "bouts.csv"
    assert main(["programs", str(store), "--find", "speed > 30 and body_gap < 150", "--csv", str(table)]) == 0
    shown = capsys.readouterr().out
    assert "speed of any animal > 30 px/s and body_gap of the two animals < 150 px, for at least 0.2 s" in shown
    assert "The search looked at 2 of 2 recordings" in shown
    lines = table.read_text().splitlines()
    assert lines[0] == "rank,recording,start_frame,stop_frame,start_s,stop_s,margin"
    rank, recording, start, stop, *_, margin = lines[1].split(",")
    assert rank == "1" and f"{start}-{stop}" in shown and f"{float(margin):.3f}" in shown and recording in shown


def test_find_takes_units_recordings_numbers_and_own_programs(store, mine, tmp_path, capsys):
    table = tmp_path / "bouts.csv"
    words = ["--find", "tail_to_tail < 1000 and speed.agent > 0 for .1 s", "--unit", "pair", "--recordings", "tw*"]
    assert main(["programs", str(store), *words, "-k", "all", "--programs", str(mine()), "--csv", str(table)]) == 0
    assert "tail_to_tail of the agent and the target < 1000 px" in capsys.readouterr().out
    rows = [line.split(",")[1:4] for line in table.read_text().splitlines()[1:]]
    assert {tuple(row) for row in rows} == {("two", "resident", "intruder"), ("two", "intruder", "resident")}
    assert main(["programs", str(store), *words, "-k", "1", "--programs", str(mine()), "--csv", str(table)]) == 0
    assert len(table.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["STORE", "--find", "sped > 2"],
            "--find 'sped > 2', at character 1: there is no 'sped'; did you mean 'speed'",
        ),
        (["STORE", "--find", "speed > 2 cm/s"], "write px/s, or import with --px-per-cm"),
        (["STORE", "--find", ""], "--find is empty"),
        (["--find", "speed > 2"], "--find needs a STORE"),
        (["STORE", "--unit", "pair"], "--unit is for a search: add --find"),
        (["STORE", "-k", "3"], "-k is for a search: add --find"),
        (["STORE", "--find", "speed > 2", "--names", "speed"], "--names and --find are different jobs"),
        (["STORE", "--find", "speed > 2", "--csv", "STORE"], "is a folder: choose another --csv"),
    ],
)
def test_searches_that_cannot_be(store, capsys, words, message):
    assert main(["programs", *(str(store) if word == "STORE" else word for word in words)]) == 2
    assert message in capsys.readouterr().err
