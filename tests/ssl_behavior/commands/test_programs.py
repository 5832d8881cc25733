from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.cli import main
from ssl_behavior.commands.programs_table import measure_programs
from ssl_behavior.programs import PROGRAMS
from ssl_behavior.recording import Labels
from ssl_behavior.store import write_store
from ssl_behavior.terminal import make_console

MINE = '''
from ssl_behavior.programs import length, program

@program(units="length", invariant="translation rotation reflection {more}", each_animal=False)
def tail_to_tail(pose):
    """Distance between the two tail bases."""
    return length(pose.own.tail_base - pose.other.tail_base)
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


def test_all_programs_are_listed_with_what_they_measure(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["programs"]) == 0
    out = capsys.readouterr().out
    assert all(name in out and entry.facts.units in out for name, entry in PROGRAMS.items())


def test_ones_own_are_checked_and_listed(mine, capsys):
    assert main(["programs", "--programs", str(mine())]) == 0
    assert "tail_to_tail" in capsys.readouterr().out
    assert main(["programs", "--programs", str(mine("scale"))]) == 2
    told = capsys.readouterr().err
    assert "tail_to_tail" in told and "scale" in told and "mine.py" in told


def test_what_a_store_measures(store, capsys):
    measured = measure_programs(store, ["speed", "nose_*"], None, make_console())
    out = capsys.readouterr().out
    assert all(name in out for name in measured.programs.names) and "px/s" in out
    assert {name.partition(".")[0] for name in measured.programs.names} == {
        "speed", "nose_movement", "nose_nose_distance", "nose_tail_distance"
    }  # fmt: skip


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_a_figure_is_drawn(store, tmp_path, ending, mine, capsys):
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
    "no picture": (["{store}", "--figure", "x.docx"], "ends in one of"),
    "no file": (["--programs", "nowhere.py"], "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told_and_leave_nothing(case, store, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, message = WRONG[case]
    assert main(["programs", *(a.format(store=store) for a in arguments)]) == 2
    assert message in " ".join(capsys.readouterr().err.split()) and not list(tmp_path.glob("x.*"))


def test_recordings_of_different_rates_are_refused(dyad, tmp_path, capsys):
    store = write_store(tmp_path / "rates", [dyad("one", 101), dyad("two", 211, seed=1, fps=25.0)]).path
    assert main(["programs", str(store), "--names", "speed"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "different frame rates: 'two' 25, 'one' 30 per second" in told and "a store of its own" in told
