from pathlib import Path

import pytest

from ssl_behavior.io.source import id_from_name, stem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("01_dlc_tracks.csv.gz", "01"),
        ("e3v813a-20210610DLC_dlcrnetms5_pilotshuffle1_100000_el_filtered.csv", "e3v813a-20210610"),
        ("madlc_2mice.h5", "madlc_2mice"),
        ("dlc_single_mouse.csv", "dlc_single_mouse"),
        ("DLC_resnet50.csv", "DLC_resnet50"),
        ("mouse.v2.csv", "mouse.v2"),
        ("mouse-dlc.h5", "mouse"),
        ("no extension", "no extension"),
        (".csv", ".csv"),
    ],
)
def test_ids_from_names(name, expected):
    assert id_from_name(Path("folder") / name) == expected


def test_stem_takes_all_known_endings_off():
    assert stem(Path("a/b.c.csv.gz")) == "b.c"
