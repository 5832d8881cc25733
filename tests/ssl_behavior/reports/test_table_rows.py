from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.reports import Channel, Ethogram, FrameMap
from ssl_behavior.reports.table_rows import channel_differences, difference_rows, discovery_rows, distinctive_labels

from .conftest import card, enrichment

CLUSTERS = [np.repeat([0, 1, 0, -1, 2], [5, 7, 3, 6, 10]), np.repeat([1, 0, 1], [11, 2, 10])]


def test_labels_are_ordered_by_divergence():
    rows = [
        enrichment(label, both=both, of_cluster=1000, expected=both / lift)
        for label, both, lift in (("rare", 1, 9.0), ("less", 900, 0.8), ("much", 500, 2.0), ("some", 300, 1.5))
    ]
    assert [row.behavior for row in distinctive_labels(rows)] == ["much", "some", "rare"]
    assert distinctive_labels([enrichment(both=0)]) == () == distinctive_labels([enrichment(both=0, expected=0.0)])


def test_differences_of_channels_are_in_standard_deviations_of_all_points():
    clusters = Ethogram(name="clusters", words=("0", "1", "2", "3"), frames=CLUSTERS)
    recording, frame = np.repeat([0, 1], [31, 23]), np.concatenate([np.arange(31), np.arange(23)])
    values = np.random.default_rng(0).normal(size=54)
    values[3] = np.nan
    channels = (Channel(name="v", values=values, units="px"), Channel(name="same", values=np.ones(54)))
    frames = FrameMap(method="m", xy=np.zeros((54, 2)), recording=recording, frame=frame, channels=channels)
    own = values[np.concatenate(CLUSTERS) == 1]
    (row,) = channel_differences(clusters, frames)[1]
    assert row.value == pytest.approx(own.mean()) and row.units == "px"
    assert row.difference == pytest.approx((own.mean() - np.nanmean(values)) / np.nanstd(values))


def test_a_described_difference_comes_before_those_of_channels(gathered):
    cards = (*gathered.report.cards[:4], card(4, differences=()))
    rows = difference_rows(replace(gathered.report, cards=cards))
    assert rows[3] == [("nose tail distance, greater", -1.5, 40.0, "px")]
    assert {row.name for row in rows[4]} <= {channel.name for channel in gathered.report.map.channels}
    difference = card(0).differences[0]
    cards = (card(0, differences=(replace(difference, units="share", median=0.25), replace(difference, units="1"))),)
    assert [(row.value, row.units) for row in difference_rows(replace(gathered.report, cards=cards))[0]] == [
        (25.0, "%"), (40.0, ""),
    ]  # fmt: skip


def test_discovery_rows_have_reasons(gathered):
    cluster, bout = discovery_rows(gathered.report)
    found = gathered.report.discovery.bouts[0]
    assert (cluster["cluster"], cluster["span"]) == (4, None)
    assert (cluster["reason"], cluster["score"]) == ("S1 explains 12% of it; 50% is base", "score 0.25")
    assert (bout["reason"], bout["score"]) == (f"cluster {found.cluster} during S1 social & more", "2.5 bits")
    # The bout of a recording that is not in the report is left out.
    assert bout["span"] == {"recording": 0, "start": found.start, "stop": found.stop}
    assert discovery_rows(replace(gathered.report, discovery=None)) == []
