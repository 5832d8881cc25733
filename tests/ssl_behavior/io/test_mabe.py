"""MABe 2022 mouse triplets and the MABe 2025 long table."""

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, detect_format, read_recordings
from ssl_behavior.io.mabe import TRIPLET_KEYPOINTS
from ssl_behavior.skeleton import Skeleton

TRIPLET = Skeleton(name="triplet", keypoints=TRIPLET_KEYPOINTS)
RATS = ["top", "body", "tail", "tail-m", "tail-e"]
SHAPE = [
    (50, 0), (38, -9), (38, 9), (30, 0), (15, -8), (15, 8), (0, 0), (-15, -8), (-15, 8), (-35, 0), (-60, 2), (-85, 3),
]  # fmt: skip
"""A mouse that looks along x, in pixels with y down: its left is at smaller y."""


def read(path, **options):
    return list(read_recordings(path, ReadOptions(**options)))


@pytest.fixture
def mice():
    generator = np.random.default_rng(0)
    angle = generator.uniform(0, 6, (11, 3, 1))
    x, y = np.array(SHAPE, float).T
    turned = np.stack([np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y], axis=-1)
    return (turned + generator.uniform(100, 700, (11, 3, 1, 2))).round().astype(np.int32)


def write(path, mice, **more):
    sequence = {"keypoints": mice} | more
    contents = {"vocabulary": ["chases", "strain"], "sequences": {"A1": sequence, "B2": {"keypoints": mice[:4]}}}
    np.save(path, contents, allow_pickle=True)
    return path


@pytest.mark.parametrize("flipped", [True, False])
def test_triplets_in_both_orders(tmp_path, mice, flipped):
    path = write(tmp_path / "x.npy", mice[..., ::-1] if flipped else mice)
    assert detect_format(path).name == "mabe22"
    first, second = read(path, skeleton=TRIPLET)
    np.testing.assert_array_equal(first.keypoints, mice.astype(np.float32))
    np.testing.assert_array_equal(second.keypoints, mice[:4].astype(np.float32))
    assert (first.id, second.id, first.fps, first.resolution_px) == ("A1", "B2", 30.0, (850.0, 850.0))
    assert first.individuals == ("mouse1", "mouse2", "mouse3") and first.confidence is None
    assert ("coordinates are stored as (y, x), as the ears show" in first.notes) == flipped


def test_tasks_are_streams(tmp_path, mice):
    annotations = np.stack([np.arange(11) % 2, np.full(11, 7)])
    first, _ = read(write(tmp_path / "x.npy", mice, annotations=annotations), skeleton=TRIPLET)
    assert list(first.labels) == ["chases"] and first.labels["chases"].vocabulary == ("other", "chases")
    np.testing.assert_array_equal(first.labels["chases"].frames, np.arange(11) % 2)
    assert "left out 1 of 2 tasks, whose values are not 0 and 1" in first.notes


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"sequences": {}}, "it has no sequences"),
        ({"sequences": 3}, "it has no sequences"),
        ({"sequences": {"a": {"keypoints": np.zeros((0, 3, 12, 2))}}}, "keypoints of 'a' must be numbers"),
        ({"sequences": {"a": {"keypoints": np.zeros((9, 3, 11, 2))}}}, "keypoints of 'a' must be numbers"),
        ({"sequences": {"a": {"poses": np.zeros((9, 3, 12, 2))}}}, "keypoints of 'a' must be numbers"),
        ({"sequences": {"a": 1}}, "keypoints of 'a' must be numbers"),
    ],
)
def test_bad_triplets(tmp_path, contents, message):
    np.save(tmp_path / "x.npy", contents, allow_pickle=True)
    with pytest.raises(InputError, match=f"x.npy.*{message}"):
        list(read_recordings(tmp_path / "x.npy", ReadOptions(), format="mabe22"))


def test_hostile_and_cut_triplets(tmp_path, mice):
    np.save(tmp_path / "x.npy", {"sequences": {"a": ValueError("x")}, "keypoints": [3, 12, 2]}, allow_pickle=True)
    with pytest.raises(InputError, match=r"asks to run 'builtins\.ValueError'"):
        read(tmp_path / "x.npy")
    path = write(tmp_path / "x.npy", mice)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match="damaged pickle"):
        read(path)


pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def long_table(values, numbers=None, ids=(1, 2, 4), seed=0):
    """Rows of the observed points, in any order."""
    numbers = np.arange(len(values)) if numbers is None else np.asarray(numbers)
    time, animal, part = np.nonzero(np.isfinite(values[..., 0]))
    order = np.random.default_rng(seed).permutation(len(time))
    time, animal, part = time[order], animal[order], part[order]
    return {
        "video_frame": numbers[time].astype(np.int32), "mouse_id": np.array(ids, np.int8)[animal],
        "bodypart": np.array(RATS)[part], "x": values[time, animal, part, 0], "y": values[time, animal, part, 1],
    }  # fmt: skip


def write_parquet(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def values(make):
    values = make.tracks(11, 3)
    values[2, 1, 3] = values[4, 2] = np.nan
    return values


def test_long_table(tmp_path, values):
    path = write_parquet(tmp_path / "44.parquet", long_table(values))
    assert detect_format(path).name == "mabe25"
    (recording,) = read(path, fps=25.0)
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].astype(np.float32))
    assert recording.individuals == ("mouse1", "mouse2", "mouse4") and recording.id == "44"
    with pytest.raises(InputError, match="pass it as `fps`"):
        read(path)


def test_train_csv_gives_rate_scale_and_size(tmp_path, values):
    path = write_parquet(tmp_path / "train_tracking" / "lab" / "44.parquet", long_table(values, np.arange(11) * 2 + 3))
    header = "lab_id,video_id,frames_per_second,pix_per_cm_approx,video_width_pix,video_height_pix"
    (tmp_path / "train.csv").write_text(f"{header}\nlab,43,30,1,2,3\nlab,44,25.0,16.5,1228,1068\n")
    (recording,) = read(path)
    assert recording.fps == 25 and recording.px_per_cm == 16.5 and recording.resolution_px == (1228.0, 1068.0)
    np.testing.assert_array_equal(recording.keypoints[3::2], values[..., :2].astype(np.float32))
    assert recording.notes == ("first frame number 3; 13 of 24 frames are not in the file: missing",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c | {"x": c["x"].astype(str)}, "must be whole numbers"),
        (lambda c: c | {"video_frame": c["video_frame"] / 2}, "must be whole numbers"),
        (lambda c: c | {"video_frame": c["video_frame"] - 1}, "must be whole numbers"),
        (lambda c: {name: column[:0] for name, column in c.items()}, "it has no rows"),
        (lambda c: {name: np.concatenate([column, column[:1]]) for name, column in c.items()}, "occur twice"),
        (lambda c: {name: column for name, column in c.items() if name != "y"}, r"lacks the columns \['y'\]"),
        (lambda c: c | {"video_frame": c["video_frame"].astype(np.int64) + 10**9}, "GB of memory"),
    ],
)
def test_bad_tables(tmp_path, values, change, message):
    path = write_parquet(tmp_path / "x.parquet", change(long_table(values)))
    with pytest.raises(InputError, match=f"x.parquet.*{message}"):
        read(path, fps=25.0)


def test_a_cut_table(tmp_path, values):
    path = write_parquet(tmp_path / "x.parquet", long_table(values))
    content = path.read_bytes()
    path.write_bytes(content[:200] + content[260:])
    with pytest.raises(InputError, match="damaged Parquet file"):
        list(read_recordings(path, ReadOptions(fps=25.0), format="mabe25"))
