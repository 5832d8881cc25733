import numpy as np
import pytest

from ssl_behavior.report import Channel, ClusterCard, Enrichment, Ethogram, FrameMap, ReportRecording, Runs, Span
from ssl_behavior.report.summary import completed, count_transitions, most_telling, plain_cards

RECORDINGS = (ReportRecording(id="a", frames=31, fps=10.0), ReportRecording(id="b", frames=23, fps=20.0))
CLUSTERS = [np.repeat([0, 1, 0, -1, 2], [5, 7, 3, 6, 10]), np.repeat([1, 0, 1], [11, 2, 10])]
LABELS = [np.repeat([0, 1, -1, 1], [6, 9, 2, 14]), None]


@pytest.fixture
def clusters():
    return Ethogram(name="clusters", words=("0", "1", "2", "3"), runs=[Runs.of(own) for own in CLUSTERS])


@pytest.fixture
def labels():
    return Ethogram(name="S", words=("rest", "bite"), runs=[Runs.of(LABELS[0]), None])


def test_transitions_are_counted_within_recordings_and_not_across_gaps(clusters):
    expected = np.zeros((4, 4), int)
    expected[0, 1], expected[1, 0] = 2, 2
    np.testing.assert_array_equal(count_transitions(clusters), expected)


def test_shares_and_bouts(clusters):
    cards = plain_cards(clusters, (), RECORDINGS, None, {1: [Span(recording=0, start=5, stop=12)]})
    whole = np.concatenate(CLUSTERS)
    for card in cards:
        assert card.share == pytest.approx((whole == card.cluster).mean())
    assert [card.num_bouts for card in cards] == [3, 3, 1, 0]
    assert cards[0].bout_seconds == pytest.approx(tuple(np.percentile([0.5, 0.3, 0.1], (25, 50, 75))))
    assert cards[3].bout_seconds == (0, 0, 0) and cards[1].medoids[0].start == 5 and not cards[0].medoids


def test_labels_are_counted_frame_by_frame(clusters, labels):
    cards = plain_cards(clusters, (labels,), RECORDINGS, None, {})
    annotated = LABELS[0] >= 0
    overall = (LABELS[0][annotated] == 1).mean()
    inside = LABELS[0][annotated & (CLUSTERS[0] == 2)]
    (row,) = cards[2].enrichment
    assert (row.stream, row.label, row.frames) == ("S", "bite", (inside == 1).sum())
    assert row.share == 1.0 and row.lift == pytest.approx(1 / overall)
    # In cluster 0 it is rest that is more frequent than elsewhere.
    assert [one.label for one in cards[0].enrichment] == ["rest"]


def test_what_tells_most_comes_first():
    rows = [
        Enrichment(stream="S", label=label, frames=1, share=share, lift=lift)
        for label, share, lift in (("rare", 0.001, 9.0), ("less", 0.9, 0.8), ("much", 0.5, 2.0), ("some", 0.3, 1.5))
    ]
    assert [row.label for row in most_telling(rows)] == ["much", "some", "rare"]


def test_differences_are_in_standard_deviations_of_all_points(clusters):
    recording, frame = np.repeat([0, 1], [31, 23]), np.concatenate([np.arange(31), np.arange(23)])
    values = np.random.default_rng(0).normal(size=54)
    values[3] = np.nan
    channels = (Channel(name="v", values=values, units="px"), Channel(name="same", values=np.ones(54)))
    frames = FrameMap(method="m", xy=np.zeros((54, 2)), recording=recording, frame=frame, channels=channels)
    card = plain_cards(clusters, (), RECORDINGS, frames, {})[1]
    own = values[np.concatenate(CLUSTERS) == 1]
    (row,) = card.differences
    assert row.value == pytest.approx(own.mean()) and row.units == "px"
    assert row.difference == pytest.approx((own.mean() - np.nanmean(values)) / np.nanstd(values))


def test_somebodys_own_card_says_more_and_the_plain_one_the_rest():
    first = ClusterCard(cluster=0, share=0.5, num_bouts=3, bout_seconds=(1.0, 2.0, 3.0))
    plain = (first, ClusterCard(cluster=1, share=0.25))
    whole = completed([ClusterCard(cluster=0, sentence="Near.", bout_seconds=(2.0, 3.0, 4.0))], plain)
    assert whole[0] == ClusterCard(cluster=0, sentence="Near.", share=0.5, num_bouts=3, bout_seconds=(2.0, 3.0, 4.0))
    assert whole[1] == plain[1]
