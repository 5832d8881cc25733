"""Text tables that a spreadsheet changed: the numbers must be the original's."""

import gzip

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.io import ReadOptions, detect_format, read_recordings
from ssl_behavior.io.delimited import decode_text, detect_dialect, plain_numbers, split_rows, trim_columns

PARTS = ("top", "body", "tail", "tail-m", "tail-e")


@pytest.fixture
def values(make):
    values = make.tracks(13)
    values[4, 1, 2] = np.nan
    values[0, 0, 0, 2] = 1.5e-5
    values[-1] = np.nan
    return values


def rows_of(text):
    return [line.split(",") for line in text.splitlines()]


def join(rows, separator=",", end="\n"):
    return end.join(separator.join(row) for row in rows) + end


def padded(text, columns=3, rows=2, header_only=False):
    """Empty cells at the end of each line, and empty lines at the end."""
    lines = rows_of(text)
    lines = [row + [""] * (columns if number < 4 or not header_only else 0) for number, row in enumerate(lines)]
    return join(lines) + ("," * (len(lines[0]) - 1) + "\n") * rows + "\n\n"


DIALECTS = {
    "semicolons": lambda t: t.replace(",", ";"),
    "semicolons and decimal commas": lambda t: t.replace(",", ";").replace(".", ","),
    "tabs": lambda t: t.replace(",", "\t"),
    "tabs and decimal commas": lambda t: t.replace(",", "\t").replace(".", ","),
    "bars": lambda t: t.replace(",", "|"),
    "all quoted": lambda t: join([[f'"{cell}"' for cell in row] for row in rows_of(t)]),
    "names quoted": lambda t: join([[f'"{c}"' if n < 4 else c for c in row] for n, row in enumerate(rows_of(t))]),
    "commas, quoted for their decimal commas": lambda t: join(
        [[f'"{c.replace(".", ",")}"' if "." in c else c for c in row] for row in rows_of(t)]
    ),
    "sep line": lambda t: "sep=,\n" + t,
    "sep line with semicolons": lambda t: "sep=;\n" + t.replace(",", ";"),
    "quoted sep line": lambda t: '"sep=;"\n' + t.replace(",", ";").replace(".", ","),
    "empty cells and lines at the end": padded,
    "empty lines of cells at the end": lambda t: t + ("," * 30 + "\n") * 3,
    "empty cells of the header": lambda t: padded(t, header_only=True, rows=0),
    "empty lines between": lambda t: t.replace("\n", "\n\n"),
    "spaces around": lambda t: t.replace(",", " , "),
    "frame numbers with a point": lambda t: join(
        [[row[0] + ".0", *row[1:]] if n > 3 else row for n, row in enumerate(rows_of(t))]
    ),
    "capital labels": lambda t: t.replace("scorer", "Scorer").replace("coords,x,y", "Coords,X,Y"),
    "no labels": lambda t: join([["", *row[1:]] if n < 4 else row for n, row in enumerate(rows_of(t))]),
    "name of the index": lambda t: (
        "\n".join([*t.splitlines()[:4], "frame" + "," * 30, *t.splitlines()[4:]]) + "\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_a_spreadsheet_writes_has_the_numbers_of_the_original(tmp_path, make, values, name, encoding):
    text = DIALECTS[name](make.dlc_csv_text(values))
    path = tmp_path / "x.csv"
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert detect_format(path).name == "dlc_csv"
    (recording,) = read_recordings(path)
    expected = values[..., :2].astype(np.float32)
    np.testing.assert_array_equal(recording.keypoints, expected)
    np.testing.assert_array_equal(recording.confidence, values[..., 2].astype(np.float32))
    assert recording.individuals == ("a", "b")


@pytest.mark.parametrize("word", ["NA", "#N/A", "n/a", "NaN", "nan", "None", "null", "-", "--", "?", "#WERT".lower()])
def test_words_for_missing_values(tmp_path, make, values, word):
    rows = rows_of(make.dlc_csv_text(values))
    rows = [[cell or word for cell in row] for row in rows]
    path = tmp_path / "x.csv"
    path.write_text(join(rows))
    if word == "#wert":
        with pytest.raises(InputError, match="is '#wert'; expected a number"):
            list(read_recordings(path))
        return
    (recording,) = read_recordings(path)
    np.testing.assert_array_equal(recording.keypoints, values[..., :2].astype(np.float32))


def test_umlauts_of_windows_are_read_with_a_note(tmp_path, make):
    text = make.dlc_csv_text(make.tracks(5), individuals=("Männchen", "Weibchen"))
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(text.encode("cp1252")))
    (recording,) = read_recordings(path)
    assert recording.individuals == ("Männchen", "Weibchen") and "text read as cp1252" in recording.notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace(",", ";").replace(".", ",").replace(";3", ";1.003"), "commas and points"),
        (lambda t: t.replace(",", ";")[:-40], "has .* cells, the header has 31|cut off"),
        (lambda t: t.replace(",", ";").replace("\n3;", "\nthree;"), "line 8, cell 1 is 'three'"),
        (lambda t: t.replace("coords,", "coords,,"), "header rows have"),
        (lambda t: t.replace(",", ";").replace("\n3;", "\n3;0;"), "line 8 has 32 cells"),
        (lambda t: "\x81\x8d" + t, "expected header rows|not a text file"),
    ],
)
def test_damage_is_found_in_every_dialect(tmp_path, make, change, message):
    path = tmp_path / "x.csv"
    path.write_bytes(change(make.dlc_csv_text(make.tracks(6))).encode("latin-1"))
    with pytest.raises(InputError, match=message) as error:
        list(read_recordings(path, ReadOptions(fps=30.0), format="dlc_csv"))
    assert "x.csv" in str(error.value)


def test_wide_headers_are_recognized(tmp_path, make):
    individuals = tuple(f"animal_with_a_long_name_{i}" for i in range(60))
    path = make.write_dlc_csv(
        tmp_path / "x.csv", make.tracks(3, 60, 27), individuals=individuals, parts=[f"p{i}" for i in range(27)]
    )
    path.write_text(path.read_text().replace("DLC_net", "DLC_network_with_a_name_of_forty_letters"))
    assert path.read_text().index("coords") > 1 << 16 and detect_format(path).name == "dlc_csv"


@pytest.mark.parametrize(
    ("lines", "separator", "skipped"),
    [
        (["a,b,c", "1,2,3"], ",", 0),
        (["", "a;b", "1,5;2,5"], ";", 1),
        (["a\tb;c\td", "1\t2\t3"], "\t", 0),
        (['"a;b",c', "1,2"], ",", 0),
        (["SEP=|", "a,b|c", "1,5|2"], "|", 1),
    ],
)
def test_dialects(lines, separator, skipped):
    dialect = detect_dialect(lines)
    assert (dialect.separator, dialect.skipped) == (separator, skipped)


def test_cells_and_numbers():
    assert list(split_rows(['a;"b;c" ; d', ""], ";")) == [["a", "b;c", "d"], []]
    assert plain_numbers(b"1,5;NA;-\n\n-2,25e-3;;3\n;;\n", ";", "x") == b"1.5,nan,nan\n-2.25e-3,,3\n"
    assert trim_columns(b"1,2,,\n3,4\n5,6,7,\n", 2) == b"1,2\n3,4\n5,6,7,\n"
    assert decode_text("ä\r\nb\rc".encode(), "x").text == "ä\nb\nc"
    assert decode_text("ä".encode()[:1], "x", is_head=True).text == ""
    with pytest.raises(InputError, match="x: not a text file"):
        decode_text(b"\x00\x01\x02\x81 binary", "x")
