import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.preprocessing import StandardScaler

from ssl_behavior.errors import InputError
from ssl_behavior.simulate.recording_plans import TASK3_PROFILES, Plan, simulate_plan, simulate_recording
from ssl_behavior.simulate.schedule import BEHAVIORS, CLASS_SHARES, TASK3_BEHAVIORS, TASK3_SHARES


def test_recording_has_its_documented_facts():
    recording = simulate_recording(0, 1009, task3=("groom",))
    assert recording.keypoints.shape == (1009, 2, 7, 2)
    assert recording.fps == 30.0
    assert recording.skeleton.name == "calms21"
    assert recording.individuals == ("resident", "intruder")
    assert recording.labels["behavior"].vocabulary == BEHAVIORS
    assert recording.labels["behavior"].background == "other"
    assert recording.labels["behavior"].annotator == "0"
    assert recording.labels["groom"].vocabulary == ("other", "groom")
    assert np.isfinite(recording.keypoints).all()
    assert recording.keypoints.min() >= 0
    assert recording.keypoints[..., 0].max() <= 1023 and recording.keypoints[..., 1].max() <= 569
    assert recording.confidence.min() >= 0 and recording.confidence.max() <= 1


def test_equal_seeds_give_equal_recordings():
    first, again = (simulate_recording(7, 2003) for _ in range(2))
    np.testing.assert_array_equal(first.keypoints, again.keypoints)
    np.testing.assert_array_equal(first.confidence, again.confidence)
    np.testing.assert_array_equal(first.labels["behavior"].frames, again.labels["behavior"].frames)
    assert not np.array_equal(first.keypoints, simulate_recording(8, 2003).keypoints)
    assert not np.array_equal(first.keypoints, simulate_recording(7, 2003, name="other").keypoints)


def test_dyads_are_those_of_earlier_versions():
    recording = simulate_recording(7, 2003, missing=0.1, task3=("groom", "whiterearing"), annotator=2)
    points = recording.keypoints.astype(float)
    mean, spread = (measure(points, axis=(0, 2)) for measure in (np.nanmean, np.nanstd))
    np.testing.assert_allclose(mean, [[455.89294, 305.71507], [443.22012, 291.25628]], rtol=1e-6)
    np.testing.assert_allclose(spread, [[189.11608, 132.32582], [240.17189, 117.6844]], rtol=1e-6)
    np.testing.assert_allclose(recording.confidence.astype(float).mean(), 0.6882208, rtol=1e-6)
    assert np.isnan(points).sum() == 5204
    assert list(np.bincount(recording.labels["behavior"].frames, minlength=4)) == [357, 381, 0, 1265]
    assert [recording.labels[name].frames.sum() for name in ("groom", "whiterearing")] == [66, 104]


def test_annotator_does_not_change_the_tracks():
    alone, watched = simulate_recording(0, 1999, annotator=None), simulate_recording(0, 1999, annotator=5)
    np.testing.assert_array_equal(alone.keypoints, watched.keypoints)
    assert not alone.labels
    assert watched.labels["behavior"].annotator == "5"


@pytest.mark.parametrize("num_frames", [1, 2, 3, 7])
def test_short_recordings(num_frames):
    recording = simulate_recording(0, num_frames, task3=TASK3_BEHAVIORS, missing=0.2)
    assert recording.num_frames == num_frames


def test_shares_of_the_labels_follow_the_real_ones():
    drawn = [simulate_recording(0, 6000, name=f"share{i}").labels["behavior"].frames for i in range(40)]
    shares = np.bincount(np.concatenate(drawn), minlength=4) / (40 * 6000)
    np.testing.assert_allclose(shares, CLASS_SHARES, atol=0.05)


@pytest.mark.parametrize("name", TASK3_BEHAVIORS)
def test_task3_behaviors_are_as_frequent_as_the_real_ones(name):
    plans = [Plan(id=f"{name}{i}", num_frames=6000, task3=(name,), profile=TASK3_PROFILES[name]) for i in range(12)]
    share = np.mean([simulate_plan(plan, 0).labels[name].frames.mean() for plan in plans])
    real = TASK3_SHARES[TASK3_BEHAVIORS.index(name)]
    assert 0.6 * real < share < 1.65 * real


def _measures(keypoints, confidence):
    """Medians per animal of what a tracked mouse looks like: lengths, speeds, jerkiness, confidence."""
    points = (keypoints[..., 0] + 1j * keypoints[..., 1]).astype(complex)
    return {
        "nose to tail": np.median(np.abs(points[:, :, 0] - points[:, :, 6]), axis=0),
        "ears": np.median(np.abs(points[:, :, 1] - points[:, :, 2]), axis=0),
        "hips": np.median(np.abs(points[:, :, 4] - points[:, :, 5]), axis=0),
        "speed": np.median(np.abs(np.diff(points, axis=0)), axis=(0, 2)),
        "fast": np.percentile(np.abs(np.diff(points, axis=0)), 90, axis=(0, 2)),
        "jerk": np.median(np.abs(np.diff(points, n=2, axis=0)), axis=(0, 2)),
        "apart": np.median(np.abs(points[:, 0].mean(axis=1) - points[:, 1].mean(axis=1))),
        "confidence": np.median(confidence, axis=(0, 2)),
    }


@pytest.mark.data
def test_tracks_look_like_the_real_excerpt(real_data):
    read = json.loads((real_data / "calms21" / "calms21_task1_excerpt.json").read_text())
    (sequence,) = read["annotator-id_0"].values()
    real = _measures(np.swapaxes(np.array(sequence["keypoints"]), 2, 3), np.array(sequence["scores"]))
    drawn = [simulate_recording(0, 6000, name=f"excerpt{i}") for i in range(11)]
    made = _measures(np.concatenate([r.keypoints for r in drawn]), np.concatenate([r.confidence for r in drawn]))
    for name in real:
        loose = 0.15 if name in ("nose to tail", "ears", "hips", "confidence") else 0.45
        np.testing.assert_allclose(made[name], real[name], rtol=loose, err_msg=name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_frames": 0}, "at least 1 frame"),
        ({"num_frames": -3}, "at least 1 frame"),
        ({"num_frames": 5, "missing": 1.0}, r"missing share must be in \[0, 1\)"),
        ({"num_frames": 5, "missing": -0.1}, r"missing share must be in \[0, 1\)"),
        ({"num_frames": 5, "task3": ("dance",)}, "unknown Task 3 behaviors"),
        ({"num_frames": 5, "annotator": 9}, "no annotator 9"),
    ],
)
def test_invalid_arguments_raise(arguments, message):
    with pytest.raises(InputError, match=message):
        simulate_recording(0, **arguments)


def _single_frame(recording):
    """Points seen from the resident's neck, in its direction, and nine distances."""
    points = (recording.keypoints[..., 0] + 1j * recording.keypoints[..., 1]).astype(complex)
    ahead = points[:, 0, 3] - points[:, 0, 6]
    seen = (points.reshape(-1, 14) - points[:, 0, 3:4]) / np.maximum(np.abs(ahead), 1e-6)[:, None]
    seen = seen * np.exp(-1j * np.angle(ahead))[:, None] * np.abs(ahead)[:, None] / 100
    marks = points[:, :, [0, 3, 6]]
    distances = np.abs(marks[:, 0, :, None] - marks[:, 1, None, :]).reshape(-1, 9)
    return np.concatenate([seen.real, seen.imag, np.log(distances + 10)], axis=1)


def _windowed(recording, half_window=30):
    """The same, with mean and standard deviation of distances and log speeds over a second on each side."""
    points = (recording.keypoints[..., 0] + 1j * recording.keypoints[..., 1]).astype(complex).reshape(-1, 14)
    now = _single_frame(recording)
    speeds = np.log1p(np.abs(np.diff(points, axis=0, prepend=points[:1])))
    moving = np.pad(
        np.concatenate([now[:, 28:], speeds], axis=1), ((half_window + 1, half_window), (0, 0)), mode="edge"
    )
    sums = [np.cumsum(moving**power, axis=0) for power in (1, 2)]
    width = 2 * half_window + 1
    mean, square = ((total[width:] - total[:-width]) / width for total in sums)
    return np.concatenate([now, mean, np.sqrt(np.maximum(square - mean**2, 0))], axis=1)


def _linear_probe(features, recordings, num_train):
    sets = recordings[:num_train], recordings[num_train:]
    x, unseen = (np.concatenate([features(r)[::10] for r in part]) for part in sets)
    y, truth = (np.concatenate([r.labels["behavior"].frames[::10] for r in part]) for part in sets)
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(max_iter=200, C=0.1).fit(scaler.transform(x), y)
    chances = model.predict_proba(scaler.transform(unseen))
    f1 = np.mean([f1_score(truth == c, chances.argmax(axis=1) == c) for c in range(3)])
    return f1, np.mean([average_precision_score(truth == c, chances[:, c]) for c in range(3)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_labels_are_learnable_but_not_from_one_frame():
    recordings = [simulate_recording(5, 6000, name=f"l{i}") for i in range(72)]
    single_f1, single_ap = _linear_probe(_single_frame, recordings, 48)
    windowed_f1, windowed_ap = _linear_probe(_windowed, recordings, 48)
    assert 0.35 < single_f1 < 0.62 and 0.42 < single_ap < 0.68
    assert 0.65 < windowed_f1 < 0.90 and 0.72 < windowed_ap < 0.94
    assert windowed_f1 > single_f1 + 0.15
