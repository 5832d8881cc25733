"""DeepLabCut CSV and H5: one table in three files must give one recording."""

import gzip
import re
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, detect_format, read_recordings
from ssl_behavior.skeleton import SKELETONS, Skeleton, load_skeleton

PARTS = ("top", "body", "tail", "tail-m", "tail-e")
THREE = Skeleton(name="three", keypoints=("c", "a", "b"), individuals=("only",))


def read(path, **options):
    (recording,) = read_recordings(path, ReadOptions(**options))
    return recording


def write(make, path, values, **kwargs):
    writers = {".csv": make.write_dlc_csv, ".fixed": make.write_dlc_h5_fixed, ".table": make.write_dlc_h5_table}
    return writers[path.suffix](path, values, **kwargs)


@pytest.fixture(params=[".csv", ".fixed", ".table"])
def kind(request):
    return request.param


def test_columns_go_to_their_axes(tmp_path, make, kind):
    values = make.tracks(13)
    values[4, 1, 2] = np.nan
    recording = read(write(make, tmp_path / f"x{kind}", values))
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].astype(np.float32))
    np.testing.assert_array_equal(recording.confidence, values[..., 2].astype(np.float32))
    assert recording.individuals == ("a", "b") and recording.fps == 30.0
    assert detect_format(tmp_path / f"x{kind}").name == ("dlc_csv" if kind == ".csv" else "dlc_h5")


def test_single_animal_has_one_individual(tmp_path, make, kind):
    values = make.tracks(7, 1, 3)
    path = write(make, tmp_path / f"x{kind}", values, individuals=("",), parts=("a", "b", "c"))
    recording = read(path, fps=25.0, skeleton=THREE)
    assert recording.individuals == ("animal0",) and recording.fps == 25.0
    # The skeleton's order, not the file's.
    np.testing.assert_array_equal(recording.keypoints, values[:, :, [2, 0, 1], :2].astype(np.float32))


def test_rows_are_placed_by_frame_number(tmp_path, make, kind):
    values = make.tracks(5)
    recording = read(write(make, tmp_path / f"x{kind}", values, start=2))
    assert recording.num_frames == 7 and np.isnan(recording.keypoints[:2]).all()
    np.testing.assert_array_equal(recording.keypoints[2:], values[..., :2].astype(np.float32))
    assert any("first frame number 2" in note for note in recording.notes)


def test_fps_is_mandatory_elsewhere(tmp_path, make, kind):
    path = write(make, tmp_path / f"x{kind}", make.tracks(5, 2, 3), parts=("a", "b", "c"))
    with pytest.raises(InputError, match="`fps`"):
        read(path, skeleton=THREE)
    rats = write(make, tmp_path / f"rats{kind}", make.tracks(5))
    assert read(rats, fps=15.0).fps == 15.0 and read(rats, fps=15.0).notes == ()
    with pytest.raises(InputError, match=r"fps must be a number from 0\.01 to 100,000"):
        read(rats, fps=0.0)


def test_body_parts_with_usual_names_have_roles(tmp_path, make, kind):
    parts = ("Snout", "left ear", "RightEar", "belly", "TailBase")
    path = write(make, tmp_path / f"x{kind}", make.tracks(5), parts=parts)
    skeleton = read(path, fps=30.0).skeleton
    assert skeleton.keypoints == parts and skeleton.mirror_pairs == (("left ear", "RightEar"),)
    assert skeleton.roles == {"nose": "Snout", "left_ear": "left ear", "right_ear": "RightEar", "tail_base": "TailBase"}


def test_body_parts_without_usual_names_give_the_lines_to_write(tmp_path, make, kind):
    parts = ("Snout", "left ear", "RightEar", "belly", "p5")
    path = write(make, tmp_path / f"x{kind}", make.tracks(5), parts=parts)
    with pytest.raises(InputError, match="`skeleton`") as error:
        read(path, fps=30.0)
    file = tmp_path / "skeleton.toml"
    file.write_text(str(error.value).split("\n\n", 1)[1])
    skeleton = load_skeleton(str(file))
    assert skeleton.roles == {"nose": "Snout", "left_ear": "left ear", "right_ear": "RightEar"}
    assert read(path, fps=30.0, skeleton=skeleton).keypoints.shape == (5, 2, 5, 2)


def test_extra_body_parts_are_left_out_with_a_note(tmp_path, make, kind):
    values = make.tracks(5, 2, 4)
    path = write(make, tmp_path / f"x{kind}", values, parts=("a", "b", "extra", "c"))
    recording = read(path, fps=30.0, skeleton=THREE)
    np.testing.assert_array_equal(recording.keypoints, values[:, :, [3, 0, 1], :2].astype(np.float32))
    assert any("['extra']" in note for note in recording.notes)
    with pytest.raises(InputError, match=r"names .* but the file's body parts are"):
        read(path, fps=30.0, skeleton=Skeleton(name="more", keypoints=("a", "whisker")))


def test_other_names_of_the_calms21_keypoints(tmp_path, make, kind):
    parts = ("tail", "righthip", "Left_Hip", "neck", "snout", "leftear", "R-ear")
    values = make.tracks(5, 2, 7)
    recording = read(write(make, tmp_path / f"x{kind}", values, parts=parts), fps=30.0)
    assert recording.skeleton.name == "calms21"
    np.testing.assert_array_equal(recording.keypoints, values[:, :, [4, 5, 6, 3, 2, 1, 0], :2].astype(np.float32))


def test_points_of_no_animal_are_left_out(tmp_path, make):
    values = make.tracks(5, 3, 5)
    notices = []
    path = make.write_dlc_csv(tmp_path / "x.csv", values, individuals=("a", "b", "single"))
    assert read(path, notice=notices.append).individuals == ("a", "b") and "single" in notices[0]
    named = replace(SKELETONS["rat_dyads"], individuals=("a", "b", "single"))
    for chosen in ({"individuals": ("single",)}, {"skeleton": named}):
        assert read(path, notice=notices.append, fps=30.0, **chosen).individuals == ("a", "b", "single")
    assert len(notices) == 1


def test_duplicate_frame_numbers(tmp_path, make):
    lines = make.dlc_csv_text(make.tracks(5)).splitlines()
    path = tmp_path / "x.csv"
    path.write_text("\n".join([*lines, lines[-1]]))
    with pytest.raises(InputError, match="must be distinct and 0 or more, got 4"):
        read(path)


def test_line_ends_byte_order_mark_and_gzip_change_nothing(tmp_path, make):
    values = make.tracks(7)
    values[0] = np.nan
    plain = read(make.write_dlc_csv(tmp_path / "x.csv", values))
    for newline in ("\n", "\r\n", "\r"):
        text = b"\xef\xbb\xbf" + make.dlc_csv_text(values, newline=newline).encode()
        for name, content in (("y.csv", text), ("z.csv.gz", gzip.compress(text))):
            (tmp_path / name).write_bytes(content)
            if newline != "\r":
                assert detect_format(tmp_path / name).name == "dlc_csv"
            (other,) = read_recordings(tmp_path / name, format="dlc_csv")
            assert other.content_hash() == plain.content_hash()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[:-40], "has .* cells, the header has 31|cut off"),
        (lambda t: t.replace("\n3,", "\n3,abc"), "line 8, cell 2 is 'abc.*expected a number"),
        (lambda t: t.replace("\n3,", "\nthree,"), "line 8, cell 1 is 'three'"),
        (lambda t: t.replace("\n3,", "\n3.5,"), "line 8 begins with 3.5"),
        (lambda t: t.replace("\n3,", "\n-3,"), "must be distinct and 0 or more"),
        (lambda t: t.replace("\n3,", "\n,"), "line 8 begins with nan"),
        (lambda t: t.replace("\n3,", "\n1e18,"), "whole frame number"),
        (lambda t: t.replace("\n3,", "\n99999999,"), "frame numbers .* up to 99999999"),
        (lambda t: t.replace("\n3,", "\n3,1 2 "), "expected a number"),
        (lambda t: re.sub("\n3,[^,]*", "\n3,1e99", t), "infinite"),
        (lambda t: "\n".join(t.splitlines()[:4]) + "\n", "a header without frames"),
        (lambda t: t.replace("likelihood", "w"), r"coordinates x, y and likelihood, got \['w'\]"),
        (lambda t: t.replace("coords,x,y", "coords,x,x"), "occurs twice"),
        (lambda t: t.replace("coords,x,", "coords,"), "header rows have"),
    ],
)
def test_damaged_csv_raises(tmp_path, make, change, message):
    path = tmp_path / "x.csv"
    path.write_text(change(make.dlc_csv_text(make.tracks(6))))
    with pytest.raises(InputError, match=message) as error:
        list(read_recordings(path, format="dlc_csv"))
    assert "x.csv" in str(error.value)


def test_third_coordinate_is_left_out(tmp_path, make):
    text = make.dlc_csv_text(make.tracks(6))
    for name, content in (("flat.csv", text), ("deep.csv", text.replace("likelihood", "z"))):
        (tmp_path / name).write_text(content)
    flat, deep = (read(tmp_path / name) for name in ("flat.csv", "deep.csv"))
    np.testing.assert_array_equal(deep.keypoints, flat.keypoints)
    assert deep.confidence is None and "3-D tracks: x and y are read, the third coordinate is left out" in deep.notes


def test_truncated_gzip(tmp_path, make):
    content = gzip.compress(make.dlc_csv_text(make.tracks(500)).encode())
    path = tmp_path / "x.csv.gz"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged gzip"):
        read(path)


def test_truncated_h5(tmp_path, make):
    path = make.write_dlc_h5_fixed(tmp_path / "x.h5", make.tracks(50))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError):
        read(path)


def test_hostile_column_names_run_nothing(tmp_path, make):
    import h5py

    path = make.write_dlc_h5_table(tmp_path / "x.h5", make.tracks(5))
    trace = tmp_path / "trace"
    with h5py.File(path, "a") as file:
        file["tracks/table"].attrs["values_block_0_kind"] = np.bytes_(f"cos\nsystem\n(S'touch {trace}'\ntR.")
    with pytest.raises(InputError, match=r"asks to run 'os\.system'|asks to run 'posix\.system'"):
        read(path)
    assert not trace.exists()


@pytest.mark.data
def test_real_csv_and_h5_of_one_video_agree(real_data):
    folder = real_data / "formats"
    a, b = (read(folder / f"madlc_2mice_100frames{e}", fps=30.0) for e in (".csv", ".h5"))
    assert a.skeleton == b.skeleton and {"nose", "neck", "center", "tail_base"} <= set(a.skeleton.roles)
    # The CSV holds the first 97 of the 100 frames.
    assert b.keypoints.shape == (100, 2, 14, 2) and a.individuals == b.individuals
    np.testing.assert_array_equal(a.keypoints, b.keypoints[:97])
    np.testing.assert_allclose(a.confidence, b.confidence[:97], rtol=1e-6)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("dlc_single_mouse.csv", (None, 1, 14, 2)),
        ("madlc_3mice.h5", (2330, 3, 12, 2)),
        ("mabe22_triplet_dlc.h5", (1800, 3, 12, 2)),
    ],
)
def test_real_files(real_data, name, shape):
    recording = read(real_data / "formats" / name, fps=30.0)
    assert recording.keypoints.shape[1:] == shape[1:] and shape[0] in (None, recording.num_frames)


@pytest.mark.data
def test_ethome_names_map_to_calms21(real_data):
    (path,) = (real_data / "ethome").glob("*DLC*.csv")
    recording = read(path, fps=30.0)
    assert recording.skeleton.name == "calms21" and recording.individuals == ("adult", "juvenile")
    assert recording.num_frames == 5700 and recording.id == "e3v813a-20210610T122332-122642"
    # Row 0 of the file: nose 606.248, 718.07; tail (our tail_base) 732.793, 572.314.
    np.testing.assert_allclose(recording.keypoints[0, 0, [0, 6]], [[606.248, 718.07], [732.793, 572.314]], rtol=1e-6)
