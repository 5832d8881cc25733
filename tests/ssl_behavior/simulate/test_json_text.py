import json

import numpy as np
import pytest

from ssl_behavior.recording import Labels, Recording
from ssl_behavior.simulate import simulate_recording, write
from ssl_behavior.simulate.write import recording_json
from ssl_behavior.skeleton import SKELETONS


@pytest.mark.parametrize("num_frames", [1, 13, 4099])
def test_the_text_reads_back_as_the_recording(num_frames, monkeypatch):
    monkeypatch.setattr(write, "_CHUNK_FRAMES", 1000)
    recording = simulate_recording(0, num_frames)
    read = json.loads(recording_json(recording, "behavior"))
    assert list(read) == ["keypoints", "scores", "annotations", "metadata"]
    keypoints, scores = np.array(read["keypoints"]), np.array(read["scores"])
    assert keypoints.shape == (num_frames, 2, 2, 7) and scores.shape == (num_frames, 2, 7)
    np.testing.assert_allclose(np.swapaxes(keypoints, 2, 3), recording.keypoints, atol=0.0051)
    np.testing.assert_allclose(scores, recording.confidence, atol=0.00051)
    np.testing.assert_array_equal(read["annotations"], recording.labels["behavior"].frames)
    assert read["metadata"] == {
        "annotator-id": 0,
        "vocab": {"attack": 0, "investigation": 1, "mount": 2, "other": 3},
    }


def test_every_digit_is_right():
    numbers = np.array([0.0, 0.01, 0.99, 1.0, 9.99, 10.0, 99.99, 100.0, 102.4, 999.99, 1000.0, 1023.0, 7.07, 70.7])
    keypoints = np.tile(numbers.reshape(1, 2, 7, 1), (3, 1, 1, 2))
    scores = np.tile(np.linspace(0, 1, 14).reshape(1, 2, 7), (3, 1, 1))
    labels = Labels(vocabulary=("other", "groom"), frames=np.array([0, 1, 0]), annotator="0")
    recording = Recording(
        id="digits", keypoints=keypoints, confidence=scores, fps=30.0, skeleton=SKELETONS["calms21"],
        labels={"groom": labels},
    )  # fmt: skip
    read = json.loads(recording_json(recording, "groom"))
    np.testing.assert_allclose(np.swapaxes(np.array(read["keypoints"]), 2, 3), keypoints, rtol=0, atol=1e-9)
    np.testing.assert_allclose(read["scores"], scores, atol=0.00051)
    assert read["annotations"] == [0, 1, 0]


def test_without_labels_there_are_no_annotations():
    read = json.loads(recording_json(simulate_recording(0, 17, annotator=None), None))
    assert set(read) == {"keypoints", "scores", "metadata"}
