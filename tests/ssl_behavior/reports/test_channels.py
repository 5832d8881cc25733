import numpy as np
import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.recording import observed_points
from ssl_behavior.reports import map_channels
from ssl_behavior.reports.map_channels import program_channels, tracking_channels
from ssl_behavior.store import Store, write_store
from ssl_behavior.windows import WindowReader


@pytest.fixture
def store(folders):
    return Store(folders["store"])


def sampled(store, step=5):
    recording = np.concatenate([np.full(len(range(0, row.frames, step)), n) for n, row in enumerate(store.rows)])
    frame = np.concatenate([np.arange(0, row.frames, step) for row in store.rows])
    return recording, frame


def test_chunked_programs_equal_the_whole(store, monkeypatch):
    monkeypatch.setattr(map_channels, "_CHUNK_FRAMES", 64)
    monkeypatch.setattr(map_channels, "_MARGIN_SECONDS", 5.5)
    recording, frame = sampled(store)
    found, notes = program_channels(store, store.rows, ("speed", "following"), recording, frame)
    assert [one.name for one in found] == [
        "speed, greater",
        "speed, lesser",
        "following, greater",
        "following, lesser",
    ] and not notes
    programs = ProgramSet(ProgramsConfig(names=("speed", "following")), store.skeleton, 30.0)
    reader = WindowReader([(store, row) for row in store.rows], 1)
    programs.fit(reader)
    with torch.inference_mode():
        whole = [programs.measure(reader.read([(n, 0, row.frames)]))[0].numpy() for n, row in enumerate(store.rows)]
    expected = np.stack([whole[n][f] for n, f in zip(recording, frame, strict=True)])
    for column, channel in enumerate(found):
        np.testing.assert_allclose(channel.values, expected[:, column], rtol=1e-4, atol=1e-4)
    assert found[0].units == "px/s" and found[0].about == "How fast the animal moves."


def test_tracking_channels_are_means_over_the_points_seen(store):
    frames = np.arange(0, store.num_frames, 7)
    share, confidence = tracking_channels(store, frames)
    for row, frame in enumerate(frames[:40]):
        seen = observed_points(store.keypoints[frame])
        assert share.values[row] == pytest.approx(100 * seen.mean())
        if seen.any():
            assert confidence.values[row] == pytest.approx(store.confidence[frame][seen].mean(), rel=1e-5)


def test_a_store_without_confidence_has_only_the_share(dyad, tmp_path):
    write_store(tmp_path / "s", [dyad("one", 31)])
    assert [one.name for one in tracking_channels(Store(tmp_path / "s"), np.arange(31))] == ["points seen"]


def test_unmeasurable_programs_give_notes_and_no_channels(dyad, tmp_path, store):
    write_store(tmp_path / "s", [dyad("one", 31), dyad("two", 17, fps=60.0)])
    mixed = Store(tmp_path / "s")
    found, notes = program_channels(mixed, mixed.rows, ("speed",), *sampled(mixed))
    assert not found and "different frame rates" in notes[0]
    assert program_channels(store, store.rows, (), *sampled(store)) == ((), ())
    with pytest.raises(InputError, match="no program matches 'spede'"):
        program_channels(store, store.rows, ("spede",), *sampled(store))
