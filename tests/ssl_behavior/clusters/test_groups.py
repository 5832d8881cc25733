import re

import pytest

from ssl_behavior.clusters.groups import groups_of, read_groups
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError

IDS = tuple(f"{n:02d}" for n in range(1, 9))


def rows_of(ids):
    return [EmbeddingRow(id=id, offset=n * 11, frames=11, fps=30.0) for n, id in enumerate(ids)]


@pytest.fixture
def read(tmp_path):
    def call(text, factor=None, recordings=IDS):
        file = tmp_path / "groups.csv"
        file.write_bytes(text.encode())
        return read_groups(file, rows_of(recordings), factor)

    return call


def lines(*rows, header="recording,animal,treatment"):
    return "\n".join([header, *rows]) + "\n"


FULL = lines(*(f"{id},rat{(n // 2)},{'drug' if n < 4 else 'saline'}" for n, id in enumerate(IDS)))


@pytest.mark.parametrize(
    "text",
    [
        FULL,
        "\ufeff" + FULL,
        FULL.replace("\n", "\r\n"),
        FULL.replace(",", ";"),
        FULL.replace(",", "\t"),
        FULL.replace(",", " , ").replace("recording", "Recording").replace("animal", "ANIMAL"),
        FULL + ",,\n\n",
    ],
)
def test_every_spreadsheets_csv_is_read(read, text):
    groups = read(text)
    assert groups.factor == "treatment" and groups.names == ("drug", "saline") and not groups.within
    assert groups.animals == {"drug": ["rat0", "rat1"], "saline": ["rat2", "rat3"]}
    assert groups.animal["08"] == "rat3" and groups.group["08"] == "saline" and groups.notes == ()


def test_what_is_left_out_is_noted(read):
    text = lines("01,a,x", "02,b,x", "03,c,y", "04,d,y", "05,e,")
    assert read(text).notes == (
        "3 recordings not in groups.csv: left out ('06', '07', '08')",
        "1 recording without treatment: left out ('05')",
    )
    assert set(read(text).group) == {"01", "02", "03", "04"}


def test_without_animals_every_recording_is_one(read):
    groups = read(lines("01,x", "02,x", "03,y", "04,y", header="recording,strain"), recordings=IDS[:4])
    assert groups.animals == {"x": ["01", "02"], "y": ["03", "04"]}
    assert groups.notes == ("groups.csv has no column 'animal': every recording counts as a separate animal",)


def test_animals_that_are_in_every_group_are_compared_with_themselves(read):
    text = lines("01,a,1", "02,a,2", "03,b,1", "04,b,2", "05,c,1", header="recording,animal,day")
    groups = read(text, recordings=IDS[:5])
    assert groups.within and groups.animals == {"1": ["a", "b"], "2": ["a", "b"]}
    assert groups.notes == ("1 animal not in every group: left out ('c')",)


@pytest.mark.parametrize(
    ("text", "factor", "told"),
    [
        ("", None, "the file is empty"),
        (lines("01,x", header="video,treatment"), None, "one of them 'recording', got ['video', 'treatment']"),
        (lines("01,a,b,c", header="recording,animal,x,x"), None, "expected distinct column names"),
        (lines("01,a,x,7"), None, "line 2: expected 3 cells as in the header, got 4"),
        (lines("", "01,a,x", "", "02,a"), None, "line 5: expected 3 cells as in the header, got 2"),
        (lines("01,a," + "x" * 200_000), None, "line 2: invalid CSV (field larger than"),
        (
            lines("01,a", header="recording,animal"),
            None,
            "`factor` must name the column to compare by; the file has none",
        ),
        (lines("01,a,x,1", header="recording,animal,dose,day"), None, "the file has ['dose', 'day']"),
        (FULL, "dose", "no column 'dose' to compare by; the file has ['treatment']"),
        (FULL, "animal", "no column 'animal' to compare by"),
        (lines("1,a,x"), None, "recording '1' was not clustered; did you mean '01'?"),
        (lines("mouse,a,x"), None, "recording 'mouse' was not clustered; known: '01', '02', '03', '04', '05' and 3"),
        (lines("01,a,x", "01,a,x"), None, "recording '01' is listed twice"),
        (lines("01,,x"), None, "recording '01' has no animal"),
        (lines("01,a,x", "02,b,x"), None, "treatment must have at least two values to compare, got ['x']"),
        (lines("01,a,x", "02,b,x", "03,c,y"), None, "group 'y' of treatment has 1 animal ('c')"),
        (lines("01,a,x", "02,a,x", "03,b,y", "04,b,y"), None, "group 'x' of treatment has 1 animal ('a')"),
        (lines("01,a,x", "02,a,y", "03,b,x", "04,c,y"), None, "animal 'a' is in several groups of treatment"),
    ],
)
def test_every_mistake_is_a_sentence(read, text, factor, told):
    with pytest.raises(InputError) as error:
        read(text, factor)
    message = str(error.value)
    assert told in message and "groups.csv" in message and "\n" not in message


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_groups(tmp_path / "nowhere.csv", rows_of(IDS))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00r")
    with pytest.raises(InputError, match="expected CSV in UTF-8"):
        read_groups(tmp_path / "binary.csv", rows_of(IDS))


@pytest.mark.parametrize("kind", ["frame", "mapping", "file"])
def test_tables_in_memory_are_read_like_files(kind, read, tmp_path):
    columns = {
        "Recording": IDS,
        "animal": [f"rat{n // 2}" for n in range(8)],
        "treatment": ["drug"] * 4 + ["saline"] * 4,
    }
    if kind == "file":
        groups = read(FULL)
    elif kind == "mapping":
        groups = groups_of(columns, rows_of(IDS))
    else:
        pandas = pytest.importorskip("pandas")
        groups = groups_of(pandas.DataFrame(columns), rows_of(IDS), "treatment")
    assert groups == read(FULL)


def test_missing_cells_of_a_data_frame_are_left_out():
    pandas = pytest.importorskip("pandas")
    treatment = ["drug", None, "drug", "drug", "saline", float("nan"), "saline", "saline"]
    for kind in (object, "string"):
        table = pandas.DataFrame({"recording": IDS, "treatment": pandas.array(treatment, dtype=kind)})
        groups = groups_of(table, rows_of(IDS))
        assert len(groups.group) == 6 and "2 recordings without treatment" in groups.notes[0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (3, "`groups` must be a CSV file, a data frame, or a mapping of columns"),
        ({"recording": IDS, "treatment": ["drug"]}, "`groups` must be a CSV file, a data frame, or a mapping"),
        ({"animal": IDS, "treatment": IDS}, "`groups`: expected distinct columns, one of them 'recording', got"),
        ({"recording": IDS, "Recording": IDS, "treatment": IDS}, "`groups`: expected distinct columns, one of them"),
        ({"recording": IDS[:2], "dose": ["1", "1"], "day": ["1", "2"]}, "`groups`: `factor` must name the column"),
        ({"recording": ["09"], "treatment": ["drug"]}, "`groups`: recording '09' was not clustered"),
    ],
)
def test_mistakes_in_tables_name_the_argument(table, message):
    with pytest.raises(InputError, match=re.escape(message)):
        groups_of(table, rows_of(IDS))
