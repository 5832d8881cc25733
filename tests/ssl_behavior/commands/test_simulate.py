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


@pytest.mark.parametrize(
    ("options", "message"),
    [
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
