import base64
import json
import zlib

import numpy as np
import pytest

from ssl_behavior.reports import Channel, Ethogram, ExampleBout, FrameMap, Report, ReportRecording
from ssl_behavior.reports.page import pack, packed_report, safe_json
from ssl_behavior.skeleton import SKELETONS


def unpacked(packed):
    """What the page does, in numpy."""
    dtype = np.dtype(packed["dtype"])
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed["text"])), np.uint8)
    joined = np.ascontiguousarray(planes.reshape(dtype.itemsize, -1).T)
    return joined.reshape(-1).view(dtype.newbyteorder("<")).reshape(packed["shape"])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "int32", "float32"])
def test_packed_array_round_trips(dtype):
    array = (np.random.default_rng(0).normal(size=(7, 11)) * 50).astype(dtype)
    again = unpacked(pack(array))
    np.testing.assert_array_equal(again, array)
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(unpacked(pack(array.T)), array.T)


def test_json_can_stand_in_a_script_whatever_it_holds():
    nasty = {
        "a": ["</script><!--", "<SCRIPT>", "&amp;", "\u2028\u2029", 'quote"'],
        "n": [np.float32(np.nan), np.inf, 1.5, np.int16(3)],
    }
    text = safe_json(nasty)
    assert not set("<>&\u2028\u2029") & set(text)
    again = json.loads(text)
    assert again["a"] == nasty["a"] and again["n"] == [None, None, 1.5, 3]


def small_report(track, **fields):
    recording = ReportRecording(id="a", frames=50, fps=30.0)
    values = np.repeat([0, 2, 1], [20, 25, 5])
    clusters = Ethogram(name="clusters", words=("0", "1", "2"), frames=[values])
    bouts = tuple(
        ExampleBout(recording="a", start=s, stop=s + 4, ethogram="clusters", value=1, first=s, track=own)
        for s, own in enumerate(track)
    )
    return Report(
        title="t", recordings=(recording,), skeleton=SKELETONS["rat_dyads"], individuals=("x", "y"), clusters=clusters,
        bouts=bouts, **fields,
    )  # fmt: skip


def test_tracks_are_kept_to_a_step_and_missing_points_stay_missing():
    generator = np.random.default_rng(0)
    tracks = [generator.uniform(100, 900, (frames, 2, 5, 2)).astype(np.float32) for frames in (5, 7)]
    tracks[0][generator.random((5, 2, 5)) < 0.3] = np.nan
    tracks[1][:, 1] = np.nan
    facts, arrays = packed_report(small_report(tracks))
    step, at = facts["bouts"]["step"], 0
    steps = np.cumsum(arrays["tracks"].astype(np.int64), axis=0)
    observed = np.unpackbits(arrays["observed"], bitorder="little")[: 12 * 10].reshape(12, 2, 5).astype(bool)
    for track in tracks:
        span = slice(at, at + len(track))
        seen = np.isfinite(track).all(axis=-1)
        np.testing.assert_array_equal(observed[span], seen)
        own = np.cumsum(arrays["tracks"][span].astype(np.int64), axis=0) % 65536 * step
        origin = np.nanmin(track.reshape(-1, 2), axis=0)
        np.testing.assert_allclose((own + origin)[seen], track[seen], atol=0.51 * step)
        at += len(track)
    assert len(steps) == 12 and step < 0.11


def test_a_bout_without_any_point_is_packed_as_well():
    facts, arrays = packed_report(small_report([np.full((3, 2, 5, 2), np.nan, np.float32)]))
    assert facts["bouts"]["count"] == 1 and not arrays["observed"].any()


def make_map(**fields):
    generator = np.random.default_rng(1)
    count = 40
    defaults = {
        "method": "m",
        "xy": generator.normal(size=(count, 2)),
        "recording": np.zeros(count, int),
        "frame": np.arange(count),
    }
    return FrameMap(**defaults | fields)


def test_a_map_is_kept_but_for_far_outliers():
    frames = make_map()
    frames.xy[7] = 1e6, 0
    facts, arrays = packed_report(small_report([], map=frames))
    where = facts["map"]
    again = where["edge"] + arrays["map_xy"].T / 65535 * (where["far"] - where["edge"])
    np.testing.assert_allclose(
        again, np.clip(frames.xy, where["edge"], where["far"]), atol=(where["far"] - where["edge"]).max() / 65535
    )
    np.testing.assert_array_equal(np.cumsum(arrays["map_frame"]), frames.frame)


def test_frames_of_several_recordings_come_back():
    frame = np.array([3, 9, 40, 0, 7])
    frames = FrameMap(method="m", xy=np.eye(5)[:, :2], recording=np.array([0, 0, 0, 1, 1]), frame=frame)
    recordings = tuple(ReportRecording(id=i, frames=50, fps=30.0) for i in "ab")
    skeleton = SKELETONS["calms21"]
    report = Report(title="t", recordings=recordings, skeleton=skeleton, individuals=("x", "y"), map=frames)
    _, arrays = packed_report(report)
    np.testing.assert_array_equal(np.cumsum(arrays["map_frame"], dtype=np.uint32), frame)


def test_a_channel_has_254_steps_between_its_tails_and_one_for_unknown():
    values = np.linspace(-3, 5, 40)
    values[[2, 30]] = np.nan
    facts, arrays = packed_report(small_report([], map=make_map(channels=(Channel(name="v", values=values),))))
    channel = facts["map"]["channels"][0]
    steps = arrays[channel["values"]]
    assert (steps == 255).tolist() == np.isnan(values).tolist()
    again = channel["low"] + steps / 254 * (channel["high"] - channel["low"])
    known = np.isfinite(values)
    expected = np.clip(values, channel["low"], channel["high"])
    np.testing.assert_allclose(again[known], expected[known], atol=(channel["high"] - channel["low"]) / 500)
    facts, arrays = packed_report(
        small_report([], map=make_map(channels=(Channel(name="v", values=np.full(40, np.nan)),)))
    )
    assert (arrays["channel0"] == 255).all()


def test_poses_keep_their_shape_and_size():
    generator = np.random.default_rng(2)
    poses = generator.uniform(0, 300, (40, 2, 5, 2))
    poses[5, 1, 2] = np.nan
    poses[6] = np.nan
    facts, arrays = packed_report(small_report([], map=make_map(poses=poses)))
    steps, sides = arrays["map_poses"].astype(float), arrays["map_pose_sizes"] / 65535 * facts["map"]["pose_size"]
    assert (steps[5, 1, 2] == 255).all() and (steps[6] == 255).all() and sides[6] == 0
    for index in (0, 39):
        low = poses[index].reshape(-1, 2).min(axis=0)
        again = steps[index] / 254 * sides[index] + low
        np.testing.assert_allclose(again, poses[index], atol=sides[index] / 254)


def test_runs_of_an_ethogram_are_counted_per_recording():
    facts, arrays = packed_report(small_report([]))
    own = facts["ethograms"][0]
    assert own["counts"] == [3] and own["kind"] == "clusters"
    assert arrays[own["lengths"]].tolist() == [20, 25, 5] and arrays[own["values"]].tolist() == [0, 2, 1]
