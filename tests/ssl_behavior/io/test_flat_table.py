"""SimBA's tables, and boxes of body parts."""

import csv
import gzip

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.importer import ImportOptions, import_recordings
from ssl_behavior.io import ReadOptions, detect_format, read_recordings
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import Store

PARTS = ("top", "body", "tail", "tail-m", "tail-e")


def read(path, **options):
    (recording,) = read_recordings(path, ReadOptions(**{"fps": 30.0} | options))
    return recording


@pytest.fixture
def values(make):
    return make.tracks(11, 3)


def simba_text(values, start=0, extra=True):
    header = [f"{part}_{animal}_{end}" for animal in (1, 2, 3) for part in PARTS for end in "xyp"]
    rows = values.reshape(len(values), -1)
    cells = [["" if np.isnan(v) else repr(float(v)) for v in row] for row in rows]
    lines = [["scorer", *header, *(["distance", "video"] if extra else [])]]
    lines += [[str(n), *row, *(["0.5", "a.mp4"] if extra else [])] for n, row in enumerate(cells, start=start)]
    return "\n".join(",".join(line) for line in lines) + "\n"


def test_simba(tmp_path, values):
    values[2, 1, 3] = np.nan
    path = tmp_path / "x.csv"
    path.write_text(simba_text(values))
    assert detect_format(path).name == "simba_csv"
    recording = read(path)
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].astype(np.float32))
    np.testing.assert_array_equal(recording.confidence, values[..., 2].astype(np.float32))
    assert recording.individuals == ("animal1", "animal2", "animal3")
    assert recording.notes == ("left out 2 columns that are no coordinates",)
    path.write_text(simba_text(values, start=4))
    np.testing.assert_array_equal(read(path).keypoints[4:], values[..., :2].astype(np.float32))
    with pytest.raises(InputError, match="pass it as `fps`"):
        read(path, fps=None)


def boxes_text(boxes, classes=None):
    sides = ("left_x", "top_y", "width", "height")
    header = ["Unnamed: 0", *(f"{p}-{a}-{s}" for a in (1, 2) for p in ("tail", "body", "head", "nose") for s in sides)]
    lines = [",".join([*header, *(["class"] if classes is not None else [])])]
    for number, row in enumerate(boxes.reshape(len(boxes), -1).tolist()):
        lines.append(",".join(map(str, [number, *row, *([] if classes is None else [classes[number]])])))
    return "\n".join(lines) + "\n"


def test_boxes(tmp_path):
    boxes = np.random.default_rng(0).integers(10, 500, (7, 2, 4, 4)).astype(float)
    boxes[3, 1, 2] = 0
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(boxes_text(boxes, [-1, 0, 0, 2, 2, -1, 1]).encode()))
    assert detect_format(path).name == "boxes_csv"
    recording = read(path)
    centers = boxes[..., :2] + boxes[..., 2:] / 2
    centers[3, 1, 2] = np.nan
    np.testing.assert_array_equal(recording.keypoints, centers.astype(np.float32))
    assert recording.skeleton.name == "mouse_boxes" and recording.individuals == ("mouse1", "mouse2")
    assert recording.labels["class"].frames.tolist() == [-1, 0, 0, 2, 2, -1, 1]
    assert recording.labels["class"].vocabulary == ("0", "1", "2")
    path.write_bytes(boxes_text(boxes, [-1] * 7).encode())
    assert not read(path).labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("nose-2-width,", "nose-2-depth,"), r"it lacks \['nose-2-width'\]"),
        (lambda t: t[:-20], "line 8 has .* cells, the header has 34"),
        (lambda t: t.partition("\n")[0] + "\n", "a header without frames"),
        (lambda t: t.replace("body-1-left_x", "tail-1-left_x"), "occur twice"),
        (lambda t: t.replace("\n3,", "\n2,"), "must increase, see line 5"),
        (lambda t: t.replace("\n3,", "\nx,"), "first column must be frame numbers"),
        (lambda t: t.replace(",1\n", ",1.5\n"), "class must hold whole numbers"),
        (lambda t: t.replace("\n6,", "\n60000000000,"), "GB of memory"),
    ],
)
def test_bad_boxes(tmp_path, change, message):
    boxes = np.arange(7 * 32, dtype=float).reshape(7, 2, 4, 4)
    text = change(boxes_text(boxes, [0, 0, 0, 0, 0, 0, 1]))
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=f"x.csv.*{message}"):
        read(tmp_path / "x.csv")


def test_lightning_pose_is_read_as_deeplabcut(tmp_path, make, values):
    text = make.dlc_csv_text(values[:, :1], individuals=("",), parts=PARTS)
    path = tmp_path / "x.csv"
    path.write_text(text.replace("DLC_net", "heatmap_tracker"))
    assert detect_format(path).name == "dlc_csv"
    np.testing.assert_array_equal(read(path).keypoints, values[:, :1, :, :2].astype(np.float32))


@pytest.mark.data
def test_real_tables(real_data):
    path = real_data / "formats" / "simba_features_crim13.csv"
    recording = read(path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for animal, part in ((0, "Nose"), (1, "Tail_end")):
        k = next(i for i, name in enumerate(recording.skeleton.keypoints) if name == part)
        theirs = np.array([[row[f"{part}_{animal + 1}_{end}"] for end in "xyp"] for row in rows], dtype=np.float32)
        np.testing.assert_array_equal(recording.keypoints[:, animal, k], theirs[:, :2])
        np.testing.assert_array_equal(recording.confidence[:, animal, k], theirs[:, 2])
    boxes = read(real_data / "mouse_boxes" / "A0153_1.csv.gz")
    assert boxes.num_frames == 27076 and len(boxes.labels["class"].vocabulary) == 10


def flattened(values, names, end="likelihood", separator=",", mark="."):
    header = ["", *(f"{name}_{e}" for name in names for e in ("x", "y", *([end] if end else [])))]
    cells = values.reshape(len(values), len(names), -1)[..., : 3 if end else 2].reshape(len(values), -1)
    shown = [[str(t), *(repr(float(v)).replace(".", mark) for v in row)] for t, row in enumerate(cells)]
    return "\n".join(separator.join(row) for row in [header, *shown]) + "\n"


FLAT = [f"{animal}_{part}" for animal in ("m1", "m2", "m3") for part in PARTS]


@pytest.mark.parametrize("end", ["likelihood", "confidence", "p", ""])
def test_a_table_with_one_header_row_is_read_and_its_animals_offered(tmp_path, values, end):
    path = tmp_path / "flat.csv"
    path.write_text(flattened(values, FLAT, end))
    assert detect_format(path).name == "simba_csv"
    recording = read(path)
    assert recording.skeleton.keypoints == tuple(FLAT) and recording.skeleton.name == "several_animals"
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].reshape(11, 1, 15, 2).astype(np.float32))
    assert (recording.confidence is None) == (end == "")
    with pytest.raises(InputError, match="pass `animals_from=names`"):
        import_recordings([path], tmp_path / "st", ImportOptions(fps=30.0))
    import_recordings([path], tmp_path / "st", ImportOptions(fps=30.0, animals_from="names"))
    store = Store(tmp_path / "st")
    assert store.individuals == ("m1", "m2", "m3") and store.skeleton.keypoints == PARTS


@pytest.mark.parametrize("separator, mark", [(";", ","), (";", "."), ("\t", ",")])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_flat_tables_in_other_dialects_have_the_same_numbers(tmp_path, values, separator, mark, encoding):
    path = tmp_path / "x.csv"
    text = flattened(values, [f"Mäuschen_{name}" for name in FLAT], separator=separator, mark=mark)
    surplus = separator * 2
    text = "sep=;\n" * (separator == ";") + text.replace("\n", f"{surplus}\n") + surplus + "\n"
    path.write_bytes(text.encode(encoding))
    given = Skeleton(name="flat", keypoints=tuple(f"Mäuschen_{name}" for name in FLAT))
    np.testing.assert_array_equal(
        read(path, skeleton=given).keypoints, values[..., :2].reshape(11, 1, 15, 2).astype(np.float32)
    )


def test_numbers_with_two_marks_are_refused(tmp_path, values):
    path = tmp_path / "x.csv"
    text = flattened(values, FLAT, separator=";", mark=",")
    path.write_text(text.replace(",", ".", 3))
    with pytest.raises(InputError, match=r"x\.csv: its numbers have commas and points"):
        read(path)


def test_numbers_behind_body_parts_that_are_no_animals_stay_in_their_names(tmp_path, values):
    names = ["nose", "neck", "tail_1", "tail_2", "tail_3"]
    path = tmp_path / "x.csv"
    path.write_text(flattened(values[:, :1], names))
    recording = read(path)
    assert recording.individuals == ("animal0",) and recording.skeleton.keypoints == tuple(names)


@pytest.mark.parametrize("header", ["frame,center_x,center_y,speed", "tl_x,tl_y,br_x,br_y"])
def test_tables_of_features_and_corners_are_no_tracks(tmp_path, header):
    (tmp_path / "features.csv").write_text(f"{header}\n0,1,2,3\n")
    with pytest.raises(InputError, match="not a known format"):
        detect_format(tmp_path / "features.csv")
