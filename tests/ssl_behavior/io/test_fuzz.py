"""Damaged files give a valid recording or an InputError, never another exception or a hang."""

import gzip
import signal
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, read_recordings
from ssl_behavior.io.annotation import labels_from_annotation
from ssl_behavior.io.annotation_readers import read_annotations
from ssl_behavior.io.caltech import caltech_text, read_caltech
from ssl_behavior.io.discovery import discover
from ssl_behavior.io.mabe25_annotations import looked_for
from ssl_behavior.io.track_quality import clean, inspect_quality
from ssl_behavior.skeleton import SKELETONS, Skeleton

from .test_annotation_readers import TABLES
from .track_files import write_jabs, write_sleap_h5, write_slp

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SECONDS = 20
NAMES = [
    "calms21.json", "calms21.zip", "official.npy", "aicrowd.npy", "dlc.csv", "dlc.csv.gz", "fixed.h5", "table.h5",
    "generic.npz",
]  # fmt: skip

FLIPS = st.tuples(st.just("flip"), st.floats(0, 1), st.integers(1, 255))
CUTS = st.tuples(st.just("cut"), st.floats(0, 1), st.just(0))
INSERTS = st.tuples(
    st.just("insert"),
    st.floats(0, 1),
    st.sampled_from([b"\0", b'"', b"{", b"]", b",", b"\n", b"-", b"nan", b"1e999", b"\xff" * 8, b"9" * 30, b"null"]),
)
DROPS = st.tuples(st.just("drop"), st.floats(0, 1), st.integers(1, 64))
DAMAGE = st.lists(FLIPS | CUTS | INSERTS | DROPS, min_size=1, max_size=4)


def damaged(content, damage):
    content = bytearray(content)
    for kind, place, what in damage:
        at = int(place * max(0, len(content) - 1))
        if kind == "flip" and content:
            content[at] ^= what
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = what
        elif kind == "drop":
            del content[at : at + what]
    return bytes(content)


@contextmanager
def no_hang():
    def stop(*_):
        raise TimeoutError(f"still reading after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def survive(path, skeleton=None):
    with no_hang():
        try:
            recordings = list(read_recordings(path, ReadOptions(fps=30.0, skeleton=skeleton)))
        except InputError as error:
            assert str(error)
            return
        for recording in recordings:
            assert not np.isinf(recording.keypoints).any() and recording.num_frames > 0
            inspect_quality(clean(recording)[0])


@pytest.fixture
def small_files(tmp_path, make):
    values = make.tracks(7)
    values[2, 0, 1] = np.nan
    contents = {
        "annotator-id_0": {"task1/train/a": make.calms21_sequence(3, 1, [3, 0, 1])},
        "groom": {"task3/groom/train/b": make.calms21_sequence(2, 2, [0, 1])},
    }
    plain = make.write_calms21_json(tmp_path / "calms21.json", contents)
    make.write_zip(tmp_path / "calms21.zip", {"task1/calms21_task1_train.json": plain.read_bytes(), "readme.md": "x"})
    make.write_npy(tmp_path / "official.npy", contents)
    make.write_npy(
        tmp_path / "aicrowd.npy",
        {"vocabulary": ["a", "b", "c", "other"], "sequences": {"x": make.calms21_sequence(3, 1, [3, 0, 1])}},
        protocol=2,
    )
    text = make.write_dlc_csv(tmp_path / "dlc.csv", values).read_bytes()
    (tmp_path / "dlc.csv.gz").write_bytes(gzip.compress(text))
    make.write_dlc_h5_fixed(tmp_path / "fixed.h5", values)
    make.write_dlc_h5_table(tmp_path / "table.h5", values)
    names = list(SKELETONS["rat_dyads"].keypoints)
    labels = {"labels__S1": np.zeros(7, dtype=int), "vocabulary__S1": ["x"]}
    np.savez(tmp_path / "generic.npz", keypoints=values[..., :2], keypoint_names=names, fps=30, **labels)
    return {name: (tmp_path / name).read_bytes() for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_small_files(tmp_path, small_files, name):
    target = tmp_path / f"damaged_{name}"

    @SETTINGS
    @given(DAMAGE)
    @example([("cut", 0.0, 0)])
    def run(damage):
        target.write_bytes(damaged(small_files[name], damage))
        survive(target)

    run()


TRACKERS = [
    "x.slp", "analysis.h5", "jabs.h5", "triplets.npy", "boxes.csv", "simba.csv", "trex.npz", "idtracker.npy",
    "idtracker.h5", "ethovision.txt", "mabe.parquet", "position.nc", "classic.nc", "pose.nwb",
]  # fmt: skip
ONE_POINT = {
    "trex.npz": "wcentroid",
    "idtracker.npy": "centroid",
    "idtracker.h5": "centroid",
    "ethovision.txt": "center",
}
SLOW_TO_READ = {"mabe.parquet": 10, "position.nc": 6, "classic.nc": 6, "pose.nwb": 3}
MUTATIONS = 10_000
"""Of all formats together."""


def _write_tables(folder, values):
    """Text, pickles and zips."""
    sides = ("left_x", "top_y", "width", "height")
    boxes = ",".join(["", *(f"{part}-{a}-{side}" for a in (1, 2) for part in ("tail", "nose") for side in sides)])
    rows = "".join(f"{t},{','.join(['3.5'] * 16)}\n" for t in range(4))
    (folder / "boxes.csv").write_text(f"{boxes}\n{rows}")
    header = ",".join(["", *(f"{part}_{a}_{end}" for a in (1, 2) for part in ("nose", "tail") for end in "xyp")])
    (folder / "simba.csv").write_text(f"{header}\n" + "".join(f"{t},{','.join(['0.5'] * 12)}\n" for t in range(4)))
    shown = "Number of header lines:;5\nSubject name;a\n\nTrial time;X center;Y center\n(s);(cm);(cm)\n"
    (folder / "ethovision.txt").write_text(shown + "".join(f"{t / 25};{t};-\n" for t in range(5)))
    np.save(folder / "triplets.npy", {"sequences": {"a": {"keypoints": np.ones((4, 3, 12, 2))}}}, allow_pickle=True)
    session = {"trajectories": values[:, :, 0, :2], "frames_per_second": 30.0, "identities_labels": ["a", "b"]}
    np.save(folder / "idtracker.npy", session, allow_pickle=True)
    with h5py.File(folder / "idtracker.h5", "w") as file:
        file["trajectories"] = session["trajectories"]
        file.attrs["frames_per_second"] = 30.0
    x, y = values[:, 0, 0, 0], values[:, 0, 0, 1]
    np.savez(folder / "trex.npz", frame=np.arange(7), time=np.arange(7) / 25, **{"X#wcentroid": x, "Y#wcentroid": y})


def _write_with_libraries(folder, values):
    """What libraries of other formats write, as far as they are installed."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
        import xarray

        from .test_nwb import write as write_nwb
    except (ImportError, pytest.skip.Exception):
        return
    columns = {"video_frame": np.arange(4), "mouse_id": [1, 2, 1, 2], "bodypart": ["nose", "tail"] * 2}
    parquet.write_table(pa.table(columns | {"x": np.ones(4), "y": np.ones(4)}), folder / "mabe.parquet")
    dims = ("time", "individuals", "keypoints", "space")
    coords = {"time": np.arange(7) / 25, "keypoints": list(SKELETONS["rat_dyads"].keypoints), "space": ["x", "y"]}
    data = xarray.Dataset({"position": (dims, values[..., :2])}, coords=coords, attrs={"fps": 25.0})
    data.to_netcdf(folder / "position.nc", engine="h5netcdf")
    data.to_netcdf(folder / "classic.nc", engine="scipy")
    write_nwb(folder / "pose.nwb", values, ["a", "b"])


@pytest.fixture(scope="module")
def tracker_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trackers")
    generator = np.random.default_rng(0)
    values = generator.uniform(10, 500, (7, 2, 5, 3))
    write_slp(folder / "x.slp", values)
    write_sleap_h5(folder / "analysis.h5", values)
    write_jabs(folder / "jabs.h5", generator.uniform(10, 500, (7, 2, 12, 3)), 4, np.tile([1, 2], (7, 1)))
    _write_tables(folder, values)
    _write_with_libraries(folder, values)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def random_damage(generator):
    kinds = [("flip", 255), ("cut", 1), ("insert", 1), ("drop", 64)]
    words = [b"\0", b'"', b",", b"\n", b"nan", b"1e999", b"\xff" * 8, b"9" * 30]
    damage = []
    for _ in range(generator.integers(1, 5)):
        kind, most = kinds[generator.integers(4)]
        what = words[generator.integers(len(words))] if kind == "insert" else int(generator.integers(1, most + 1))
        damage.append((kind, generator.random(), what))
    return damage


def skeleton_of(name):
    return Skeleton(name="dot", keypoints=(ONE_POINT[name],)) if name in ONE_POINT else None


def survive_many(content, target, many, seed):
    generator = np.random.default_rng(seed)
    for _ in range(many):
        target.write_bytes(damaged(content, random_damage(generator)))
        survive(target, skeleton_of(target.name))


@pytest.mark.parametrize("name", TRACKERS)
def test_tracker_files(tmp_path, tracker_files, name):
    if name not in tracker_files:
        pytest.skip("the library that writes it is not installed")
    (tmp_path / name).write_bytes(tracker_files[name])
    assert list(read_recordings(tmp_path / name, ReadOptions(fps=30.0, skeleton=skeleton_of(name))))
    survive_many(tracker_files[name], tmp_path / name, SLOW_TO_READ.get(name, 25), 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACKERS)
def test_tracker_files_at_length(tmp_path, tracker_files, name):
    if name not in tracker_files:
        pytest.skip("the library that writes it is not installed")
    survive_many(tracker_files[name], tmp_path / name, MUTATIONS // len(TRACKERS), 2)


def test_small_annotations(tmp_path, make):
    content = make.caltech_text({"S1": [(1, 3, "base"), (4, 6, "social")], "S2": [(1, 6, "other")]}).encode()
    target = tmp_path / "x.txt"

    @SETTINGS
    @given(DAMAGE)
    def run(damage):
        target.write_bytes(damaged(content, damage))
        with no_hang():
            try:
                annotation = read_caltech(target)
            except InputError:
                return
            for stream, intervals in annotation.streams.items():
                if len(intervals):
                    labels, _ = labels_from_annotation(annotation, stream, 7)
                    assert len(labels.frames) == 7

    run()


@pytest.mark.parametrize("name", TABLES)
def test_small_label_files(tmp_path, name):
    content, target = TABLES[name].encode(), tmp_path / name

    @settings(SETTINGS, max_examples=30)
    @given(DAMAGE)
    def run(damage):
        target.write_bytes(damaged(content, damage))
        with no_hang():
            try:
                annotations = read_annotations(target)
            except InputError as error:
                assert str(error)
                return
            for annotation in annotations:
                for stream in annotation.streams:
                    assert len(labels_from_annotation(annotation, stream, 7, fps=30.0)[0].frames) == 7

    run()


LABELS = [
    *TABLES, "caltech.txt", "deepethogram.csv", "numbers.npy", "words.npy", "one_hot.npy", "intervals.csv",
    "intervals.parquet", "train.csv",
]  # fmt: skip
FRAMES = 7


@pytest.fixture(scope="module")
def label_files(tmp_path_factory):
    """A small file of every label format."""
    folder = tmp_path_factory.mktemp("labels")
    for name, text in TABLES.items():
        (folder / name).write_text(text)
    streams = {"S1": [(0, 3, "base"), (3, 6, "social")], "S2": [(0, 6, "other")]}
    (folder / "caltech.txt").write_text(caltech_text(["base", "social", "other"], streams), newline="")
    (folder / "deepethogram.csv").write_text(",background,groom\n0,1,0\n1,0,1\n2,-1,-1\n")
    np.save(folder / "numbers.npy", np.array([0, 1, -1, 1, 2, 0, 0], dtype=np.int16))
    np.save(folder / "words.npy", np.array(["base", "", "social", "base", "", "", "base"]))
    np.save(folder / "one_hot.npy", np.eye(3, dtype=np.uint8)[[0, 1, 2, 1, 0, 0, 2]])
    intervals = {"agent_id": [1, 2], "target_id": [2, 2], "action": ["sniff", "rear"], "start_frame": [0, 2],
                 "stop_frame": [1, 5]}  # fmt: skip
    rows = zip(*intervals.values(), strict=True)
    text = "\n".join([",".join(intervals), *(",".join(map(str, row)) for row in rows)]) + "\n"
    (folder / "intervals.csv").write_text(text)
    (folder / "train.csv").write_text('video_id,behaviors_labeled\nx,"[""mouse1,mouse2,sniff""]"\n')
    with suppress(ImportError):
        import pyarrow as pa
        import pyarrow.parquet as parquet

        parquet.write_table(pa.table(intervals), folder / "intervals.parquet")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def survive_as_labels(path):
    with no_hang():
        try:
            if path.name == "train.csv":
                looked_for(path)
                return
            annotations = read_annotations(path)
        except InputError as error:
            assert str(error)
            return
        for annotation in annotations:
            for stream in annotation.streams:
                with suppress(InputError):  # such as two behaviors at one frame
                    assert len(labels_from_annotation(annotation, stream, FRAMES, fps=30.0)[0].frames) == FRAMES


def labels_survive_many(content, target, many, seed):
    generator = np.random.default_rng(seed)
    for _ in range(many):
        target.write_bytes(damaged(content, random_damage(generator)))
        survive_as_labels(target)


@pytest.mark.parametrize("name", LABELS)
def test_label_files(tmp_path, label_files, name):
    if name not in label_files:
        pytest.skip("the library that writes it is not installed")
    (tmp_path / name).write_bytes(label_files[name])
    assert looked_for(tmp_path / name) if name == "train.csv" else read_annotations(tmp_path / name)
    labels_survive_many(label_files[name], tmp_path / name, 25, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", LABELS)
def test_label_files_at_length(tmp_path, label_files, name):
    if name not in label_files:
        pytest.skip("the library that writes it is not installed")
    labels_survive_many(label_files[name], tmp_path / name, MUTATIONS // len(LABELS), 2)


def real_files(folder: Path) -> list[Path]:
    chosen = ["calms21/calms21_task1_excerpt.json", "rat_dyads/01_dlc_tracks.csv.gz", "rat_dyads/01_annot.txt"]
    chosen += [
        f"formats/{name}" for name in ("madlc_2mice_100frames.csv", "madlc_2mice_100frames.h5", "madlc_3mice.h5")
    ]
    chosen += [f"formats/{name}" for name in ("sleap_analysis_flies.h5", "jabs_pose_est_v3.h5", "movement_single.nc")]
    chosen += [f"formats/{name}" for name in ("ethome_sample.nwb", "dlc_single_mouse.csv", "jabs_pose_est_v5.h5")]
    chosen += ["formats/sleap_3mice.slp", "formats/sleap_predictions.slp", "formats/simba_features_crim13.csv"]
    return [folder / name for name in [*chosen, "formats/mabe22_triplet_dlc.h5", "mouse_boxes/A0152_1.csv.gz"]]


@pytest.mark.data
@pytest.mark.parametrize("number", range(17))
def test_real_files(tmp_path, real_data, number):
    source = real_files(real_data)[number]
    content = source.read_bytes()
    target = tmp_path / source.name

    @settings(SETTINGS, max_examples=12)
    @given(DAMAGE)
    def run(damage):
        target.write_bytes(damaged(content, damage))
        survive(target)
        with no_hang():
            try:
                tracks, annotations = discover([target], [], "auto", lambda notice: None)
            except InputError:
                return
            assert len(tracks) + len(annotations.unused()) == 1

    run()
