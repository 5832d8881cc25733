import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pretrain.run_log import RunLog
from ssl_behavior.errors import InputError


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


@pytest.mark.parametrize("terminal", [True, False])
def test_live_line_shows_loss_speed_and_remaining_time(tmp_path, terminal):
    screen = console(terminal)
    with RunLog(tmp_path, screen, steps=3, steps_done=0, frames_per_step=1000) as log:
        for step in (1, 2, 3):
            log.training(step, {"loss": 4.0 - step})
        log.validation(3, {"loss": 0.5, "effective_rank": 7.0, "uniformity": -2.0})
    text = screen.file.getvalue()
    for piece in ("loss 1.0000", "frames/s", "ETA", "validation loss 0.5000", "effective rank 7.0"):
        assert piece in text
    assert ("step 2/3" in text) is False


def test_numbers_reach_the_file_and_tensorboard(tmp_path):
    with RunLog(tmp_path, console(False), steps=9, steps_done=4, frames_per_step=1000) as log:
        log.training(5, {"loss": 2.0})
        log.validation(5, {"loss": float("nan"), "effective_rank": 7.0, "uniformity": -2.0})
    train, validation = (json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert (train["step"], train["split"], train["loss"]) == (5, "train", 2.0)
    assert validation["loss"] is None
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(5, 2.0)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_full_disk_raises_input_error(tmp_path):
    with RunLog(tmp_path, console(False), steps=9, steps_done=0, frames_per_step=1) as log:
        log.path = tmp_path / "full"
        log.path.symlink_to("/dev/full")
        with pytest.raises(InputError, match=r"the disk is full\. The last checkpoint is kept"):
            log.training(1, {"loss": 1.0})
