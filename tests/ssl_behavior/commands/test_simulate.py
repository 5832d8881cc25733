import numpy as np
import pytest

from ssl_behavior.commands.simulate import main
from ssl_behavior.errors import InputError
from ssl_behavior.store import Store


def test_store_is_written_and_summarized(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "s"), "--recordings", "5", "--frames", "127", "--missing", "0.2"]) == 0
    output = capsys.readouterr().out
    assert "train" in output and "investigation" in output
    store = Store(tmp_path / "s")
    assert len(store) == 5 and store.num_frames == 5 * 127
    assert len(store.streams) == 8


def test_scale_makes_all_of_calms21(tmp_path):
    assert main(["--out", str(tmp_path / "s"), "--scale", "0.001"]) == 0
    assert main(["--out", str(tmp_path / "j"), "--scale", "0.001", "--layout", "calms21", "--seed", "3"]) == 0
    assert {row.subset for row in Store(tmp_path / "s").rows} == {"train", "test", "unlabeled"}
    assert len(list((tmp_path / "j").rglob("calms21_*.json"))) == 10


def test_groups_of_any_number_of_mice(tmp_path, capsys):
    many = ["--recordings", "5", "--frames", "307", "--animals", "1", "3", "--swaps", "0.5", "--not-looked-for", "0.4"]
    assert main(["--out", str(tmp_path / "s"), *many]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "bouts of interactions" in output and "mount" not in output
    store = Store(tmp_path / "s")
    assert store.individuals == ("mouse1", "mouse2", "mouse3") and store.skeleton.exchangeable
    assert [row.absent for row in store.rows if row.subset == "train"] == [
        ("mouse2", "mouse3"),
        (),
        ("mouse2", "mouse3"),
    ]
    assert set(store.pair_streams) == {"interactions", "identity_swaps"} and not store.streams
    assert main(["--out", str(tmp_path / "t"), "--animals", "3", "--frames", "31", "--no-exchangeable"]) == 0
    assert not Store(tmp_path / "t").skeleton.exchangeable


def test_two_mice_are_as_before_unless_asked_for_more(tmp_path):
    few = ["--recordings", "2", "--frames", "307"]
    assert main(["--out", str(tmp_path / "s"), *few, "--animals", "2"]) == 0
    assert main(["--out", str(tmp_path / "t"), *few, "--pair-labels", "--exchangeable"]) == 0
    plain, directed = Store(tmp_path / "s"), Store(tmp_path / "t")
    assert plain.individuals == ("resident", "intruder") and not plain.pair_streams
    assert not plain.skeleton.exchangeable and directed.skeleton.exchangeable
    assert set(directed.pair_streams) == {"interactions"} and directed.streams == plain.streams
    np.testing.assert_array_equal(directed.keypoints, plain.keypoints)
    scaled = ["--scale", "0.001", "--pair-labels", "--not-looked-for", "0.5"]
    assert main(["--out", str(tmp_path / "u"), *scaled]) == 0
    annotated = Store(tmp_path / "u").pair_streams["interactions"].recordings
    assert {row.id for row in Store(tmp_path / "u").rows if row.subset != "unlabeled"} == set(annotated)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--animals", "5"], "--animals must be numbers from 1 to 4, got 5"),
        (["--animals", "2", "0"], "--animals must be numbers from 1 to 4, got 2 0"),
        (["--animals", "3", "--scale", "0.1"], "leave --animals out"),
        (["--animals", "3", "--layout", "calms21"], "--layout store with --animals"),
        (["--layout", "calms21", "--swaps", "0.1"], "--layout store with --swaps"),
        (["--layout", "calms21", "--pair-labels"], "--layout store with --pair-labels"),
        (["--layout", "calms21", "--exchangeable"], "--layout store with --exchangeable"),
        (["--not-looked-for", "0.1"], "give --pair-labels, too"),
        (["--animals", "3", "--not-looked-for", "2"], "share of the recordings"),
        (["--animals", "3", "--swaps", "2"], "share of touches"),
        (["--animals", "3", "--missing", "1"], "missing share"),
        (["--scale", "0.1", "--frames", "5"], "--scale sets"),
        (["--layout", "calms21", "--recordings", "5"], "give --scale"),
        (["--layout", "calms21", "--missing", "0.1"], "no missing points"),
        (["--recordings", "0"], "at least 1 recording"),
        (["--frames", "-7"], "at least 1 frame"),
        (["--missing", "1.5"], "missing share"),
        (["--scale", "0"], "above 0"),
        (["--workers", "0"], "workers"),
    ],
)
def test_invalid_options_raise_and_write_nothing(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        main(["--out", str(tmp_path / "s"), *options])
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_kept(tmp_path):
    with pytest.raises(InputError, match="exists already"):
        main(["--out", str(tmp_path), "--recordings", "1", "--frames", "5"])
