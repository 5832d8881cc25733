import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation import labels_from_annotation
from ssl_behavior.io.caltech import read_caltech, sniff_caltech


def write(path, text):
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_intervals_are_counted_from_one_and_include_both_ends(tmp_path, make, newline):
    text = make.caltech_text({"S1": [(1, 3, "base"), (4, 4, "aggression"), (5, 7, "social")]}, newline=newline)
    path = write(tmp_path / "x.txt", text)
    assert sniff_caltech(path)
    labels, span = labels_from_annotation(read_caltech(path), "S1", 7)
    assert labels.vocabulary == ("base", "aggression", "social")
    assert labels.frames.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert (span.clipped, span.uncovered, span.after_end) == (0, 0, 0) and labels.background == ""


def test_annotations_past_the_tracks_are_clipped_and_counted(tmp_path, make):
    path = write(tmp_path / "x.txt", make.caltech_text({"S1": [(1, 3, "base"), (4, 9, "social"), (10, 12, "base")]}))
    labels, span = labels_from_annotation(read_caltech(path), "S1", 5)
    assert labels.frames.tolist() == [0, 0, 0, 1, 1] and span.clipped == 7


def test_frames_after_the_last_annotation_are_not_annotated(tmp_path, make):
    path = write(tmp_path / "x.txt", make.caltech_text({"S1": [(1, 3, "other"), (4, 4, "social")]}))
    labels, span = labels_from_annotation(read_caltech(path), "S1", 7)
    social, other = labels.vocabulary.index("social"), labels.vocabulary.index("other")
    assert labels.frames.tolist() == [other] * 3 + [social] + [-1] * 3 and span.after_end == 3


@pytest.mark.parametrize(("behavior", "background", "gap"), [("other", "", 1), ("base", "", -1), ("base", "base", 0)])
def test_gaps_are_background_where_there_is_one(tmp_path, make, behavior, background, gap):
    path = write(tmp_path / "x.txt", make.caltech_text({"S1": [(2, 2, "social"), (5, 6, behavior)]}))
    labels, span = labels_from_annotation(read_caltech(path), "S1", 6, background)
    assert labels.frames[[0, 2, 3]].tolist() == [gap] * 3 and span.uncovered == 3


def test_streams_have_their_own_vocabulary(tmp_path, make):
    path = write(tmp_path / "x.txt", make.caltech_text({"S1": [(1, 2, "social")], "S2": [(1, 2, "base")], "S3": []}))
    annotation = read_caltech(path)
    assert labels_from_annotation(annotation, "S1", 2)[0].vocabulary == ("social",)
    assert labels_from_annotation(annotation, "S2", 2)[0].vocabulary == ("base",)
    assert len(annotation.streams["S3"]) == 0


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ({"S1": [(1, 3, "base"), (3, 4, "social")]}, "overlap"),
        ({"S1": [(4, 3, "base")]}, "line 11 .*first frame <= last frame"),
        ({"S1": [(0, 3, "base")]}, "1 <= first frame"),
        ({"S1": [(1, 3, "dance")]}, "'dance' is outside the vocabulary"),
        ({"S1": [(1, "x", "base")]}, "expected first frame, last frame and behavior"),
        ({"S1": [(1, 2**70, "base")]}, "expected first frame, last frame and behavior"),
    ],
)
def test_damaged_file_raises(tmp_path, make, streams, message):
    with pytest.raises(InputError, match=message):
        read_caltech(write(tmp_path / "x.txt", make.caltech_text(streams)))


def test_repeated_stream_and_other_text(tmp_path, make):
    text = make.caltech_text({"S1": [(1, 3, "base")]})
    with pytest.raises(InputError, match="S1 occurs twice"):
        read_caltech(write(tmp_path / "x.txt", text + "\r\nS1:\tstart\tend\ttype\r\n"))
    with pytest.raises(InputError, match="first line"):
        read_caltech(write(tmp_path / "x.txt", "hello\n"))
    (tmp_path / "x.txt").write_bytes(b"Caltech Behavior Annotator\n\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        read_caltech(tmp_path / "x.txt")


@pytest.mark.data
def test_real_annotation_against_a_slow_reading(real_data):
    path = real_data / "rat_dyads" / "01_annot.txt"
    annotation = read_caltech(path)
    slow, stream = {"S1": {}, "S2": {}}, None
    for line in path.read_text().splitlines():
        words = line.split()
        if line[:3] in ("S1:", "S2:"):
            stream = line[:2]
        elif stream and len(words) == 3:
            for frame in range(int(words[0]), int(words[1]) + 1):
                slow[stream][frame - 1] = words[2]
    for name, frames in slow.items():
        labels, _ = labels_from_annotation(annotation, name, 14734)
        assert [labels.vocabulary[i] for i in labels.frames] == [frames[t] for t in range(14734)]
        assert np.all(labels.frames >= 0)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_umlauts_of_windows_are_read(tmp_path, encoding, make):
    text = make.caltech_text({"S1": [(1, 3, "beißen")]}, behaviors=("beißen",))
    (tmp_path / "x.txt").write_bytes(text.encode(encoding))
    assert "beißen" in str(read_caltech(tmp_path / "x.txt").streams)
