import numpy as np

from ssl_behavior.seeds import numpy_generator
from ssl_behavior.simulate.schedule import CONFIDENCE
from ssl_behavior.simulate.tracking import exchange_identities, track

FRAME_PX = (1024.0, 570.0)


def _still(num_frames, apart=400.0):
    """Two motionless animals, their points 40 px from each other."""
    shape = 40.0 * np.arange(7) * np.exp(0.3j)
    return np.tile(np.stack([150 + 150j + shape, 150 + apart + 150j + shape]), (num_frames, 1, 1))


def test_confidence_is_in_range_and_near_the_real_quantiles():
    keypoints, confidence = track(numpy_generator(0, "t"), _still(20_011), FRAME_PX, 0.0)
    assert keypoints.shape == (20_011, 2, 7, 2) and keypoints.dtype == np.float32
    assert confidence.shape == (20_011, 2, 7) and confidence.dtype == np.float32
    assert confidence.min() >= 0 and confidence.max() <= 1
    quantiles = np.percentile(confidence, [15.87, 50, 84.13], axis=(0, 1))
    np.testing.assert_allclose(quantiles, CONFIDENCE[:, [3, 5, 7]].T, atol=0.03)


def test_errors_grow_as_confidence_falls():
    truth = _still(30_011)
    keypoints, confidence = track(numpy_generator(1, "t"), truth, FRAME_PX, 0.0)
    error = np.abs(keypoints[..., 0] + 1j * keypoints[..., 1] - truth)
    nose, doubt = error[..., 0].ravel(), confidence[..., 0].ravel()
    assert np.median(error) < 4
    assert np.median(nose[(doubt > 0.4) & (doubt < 0.55)]) > 1.2 * np.median(nose[doubt > 0.72])
    assert np.mean(nose[doubt < 0.2] > 25) > 0.2
    assert np.mean(nose[doubt > 0.6] > 25) < 0.01


def test_no_point_is_missing_unless_asked_for_and_all_lie_in_the_frame():
    keypoints, _ = track(numpy_generator(2, "t"), _still(5003) - 140, FRAME_PX, 0.0)
    assert np.isfinite(keypoints).all()
    assert keypoints.min() >= 0 and keypoints[..., 0].max() < 1024 and keypoints[..., 1].max() < 570


def test_the_missing_share_is_the_one_asked_for():
    for share in (0.05, 0.30):
        keypoints, confidence = track(numpy_generator(3, "t"), _still(20_011), FRAME_PX, share)
        lost = np.isnan(keypoints)
        assert (lost[..., 0] == lost[..., 1]).all()
        np.testing.assert_allclose(lost.mean(), share, rtol=0.15)
        assert confidence[lost[..., 0]].mean() < confidence[~lost[..., 0]].mean()


def test_one_animal_over_the_other_is_tracked_with_less_confidence():
    _, apart = track(numpy_generator(4, "t"), _still(4001), FRAME_PX, 0.0)
    _, together = track(numpy_generator(4, "t"), _still(4001, apart=8.0), FRAME_PX, 0.0)
    assert together.mean() < apart.mean() - 0.03


def test_the_truth_is_left_alone():
    truth = _still(997)
    before = truth.copy()
    track(numpy_generator(5, "t"), truth, FRAME_PX, 0.1)
    np.testing.assert_array_equal(truth, before)


def test_any_number_of_animals_is_tracked_and_covered_by_the_nearest():
    points = _still(4001)
    four = np.concatenate([points, points + 300j], axis=1)
    _, apart = track(numpy_generator(7, "t"), four, FRAME_PX, 0.0)
    four[:, 3] = four[:, 1] + 5
    _, covered = track(numpy_generator(7, "t"), four, FRAME_PX, 0.0)
    assert covered.shape == (4001, 4, 7)
    assert covered[:, [1, 3]].mean() < apart[:, [1, 3]].mean() - 0.03
    np.testing.assert_allclose(covered[:, [0, 2]], apart[:, [0, 2]])
    keypoints, _ = track(numpy_generator(7, "t"), points[:, :1], FRAME_PX, 0.1)
    assert keypoints.shape == (4001, 1, 7, 2)


def test_hidden_points_are_lost_more_often_at_the_same_share():
    points = np.concatenate([_still(10_007), _still(10_007)[:, :1] + 8], axis=1)
    lost = np.isnan(track(numpy_generator(8, "t"), points, FRAME_PX, 0.1, more_if_hidden=True)[0][..., 0])
    np.testing.assert_allclose(lost.mean(), 0.1, rtol=0.15)
    assert lost[:, [0, 2]].mean() > 3 * lost[:, 1].mean()


def _passing(num_frames):
    """Two animals that pass each other closely once, and a third far away."""
    points = np.concatenate([_still(num_frames), _still(num_frames)[:, :1] + 400j], axis=1)
    points[:, 1] += np.linspace(0, -800, num_frames)[:, None] + 5j
    return points


def test_identities_are_exchanged_where_animals_are_closest():
    points = _passing(203)
    tracks = track(numpy_generator(9, "t"), points, FRAME_PX, 0.0)
    before = [array.copy() for array in tracks]
    keypoints, confidence, swaps = exchange_identities(numpy_generator(9, "s"), points, tracks, 1.0)
    assert len(swaps) == 1
    i, j, start, stop = swaps[0].tolist()
    assert (i, j) == (0, 1) and abs(start - 101) < 2 and stop > start
    np.testing.assert_array_equal(keypoints[start:stop, 0], tracks[0][start:stop, 1])
    np.testing.assert_array_equal(confidence[start:stop, 1], tracks[1][start:stop, 0])
    np.testing.assert_array_equal(keypoints[stop:], tracks[0][stop:])
    np.testing.assert_array_equal(keypoints[:, 2], tracks[0][:, 2])
    for array, kept in zip(tracks, before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_no_swaps_change_nothing():
    points = _passing(307)
    tracks = track(numpy_generator(9, "t"), points, FRAME_PX, 0.0)
    keypoints, confidence, swaps = exchange_identities(numpy_generator(9, "s"), points, tracks, 0.0)
    assert keypoints is tracks[0] and confidence is tracks[1] and swaps.shape == (0, 4)


def test_one_frame_can_be_tracked():
    keypoints, _ = track(numpy_generator(6, "t"), _still(1), FRAME_PX, 0.5)
    assert keypoints.shape == (1, 2, 7, 2)
