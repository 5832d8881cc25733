"""A simulated folder of DeepLabCut tracks and labels is read back as the recordings that were simulated."""

import numpy as np
import pytest

import ssl_behavior as sb
from ssl_behavior import cli
from ssl_behavior.simulate import equal_plans, simulate_plan


@pytest.mark.parametrize("animals", [1, 2, 3])
def test_a_folder_of_tracks_is_read_with_its_labels_and_missing_points(animals, tmp_path):
    store = sb.read(sb.simulate_tracks(tmp_path / "tracks", 2, 300, animals=animals), fps=30.0, verbose=False)
    assert [row.frames for row in store.rows] == [300, 300] and len(store.individuals) == animals
    first = store.recording(store.rows[0].id)
    assert 0.01 < np.isnan(first.keypoints).mean() < 0.1
    # A video in which nothing happens has no table of bouts.
    assert any(one.labels for one in store) == (animals == 2)
    assert any(one.pair_labels for one in store) == (animals != 2)


def test_tracks_and_labels_are_those_that_were_simulated(tmp_path):
    (plan,) = equal_plans(1, 300, {"video": 1.0}, missing=0.05)
    made = simulate_plan(plan, seed=3)
    (read,) = sb.read(sb.simulate_tracks(tmp_path / "tracks", 1, 300, seed=3), fps=30.0, verbose=False)
    assert read.id == "mouse001" and read.individuals == ("resident", "intruder")
    np.testing.assert_allclose(read.keypoints, made.keypoints, atol=1e-4)
    own, expected = read.labels["behavior"], made.labels["behavior"]
    assert [own.vocabulary[one] for one in own.frames] == [expected.vocabulary[one] for one in expected.frames]


def test_the_command_writes_the_folder_and_refuses_another(tmp_path, capsys):
    command = ["simulate", "--layout", "dlc", "--recordings", "2", "--frames", "60", "--out", str(tmp_path / "tracks")]
    assert cli.main(command) == 0 and len(list((tmp_path / "tracks").glob("*DLC*.csv"))) == 2
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    assert cli.main([*command[:-1], str(tmp_path / "other"), "--overwrite"]) == 2
    assert (tmp_path / "other" / "mine.txt").exists() and "holds something else" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"animals": 5}, "animals"), ({"recordings": 0}, "recordings"), ({"missing": 2.0}, "missing")],
)
def test_bad_arguments_are_named(arguments, named, tmp_path):
    with pytest.raises(sb.InputError, match=named):
        sb.simulate_tracks(tmp_path / "tracks", **arguments)
