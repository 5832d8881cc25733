from pathlib import Path

import pytest

from ssl_behavior.io.reader_helpers import id_from_name, stem


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
        ("pilot_DLC_day1_m1DLC_resnet50_socialMay1shuffle1_500000.csv", "pilot_DLC_day1_m1"),
        ("pilot_DLC_day1_m1.csv", "pilot_DLC_day1_m1"),
        ("DLC_aDLC_HrnetW32_pMay1shuffle1_detector_150_snapshot_200_el.h5", "DLC_a"),
        ("aDLC_TopDownResnet50_pMay1shuffle1_snapshot_best-200_filtered.h5", "a"),
        ("aDLC_CtdCoamW32_pMay1shuffle12_snapshot_010_ctd.h5", "a"),
        ("aDLC_mobnet_100_pMay1shuffle1_30000filtered.csv", "a"),
        ("aDLC_newnet_pMay1shuffle1_30000.csv", "a"),
        ("a.bDeepCut_resnet50_pMay1shuffle1_1030000.h5", "a.b"),
        ("v1_superanimal_topviewmouse_hrnet_w32_fasterrcnn_resnet50_fpn_v2_.csv", "v1"),
        ("a_dlc_b_dlc_tracks.csv", "a_dlc_b"),
        ("day_dlc_m1.csv", "day_dlc_m1"),
        ("no extension", "no extension"),
        (".csv", ".csv"),
    ],
)
def test_ids_from_names(name, expected):
    assert id_from_name(Path("folder") / name) == expected


def test_stem_takes_all_known_endings_off():
    assert stem(Path("a/b.c.csv.gz")) == "b.c"
