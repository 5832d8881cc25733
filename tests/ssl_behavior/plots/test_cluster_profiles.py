"""Profiles show differences from all frames, and shares of labels."""

from types import SimpleNamespace

import numpy as np
import pytest

from ssl_behavior.clusters.cards import BoutLengths, Card
from ssl_behavior.clusters.distinctive import Difference
from ssl_behavior.clusters.enrichment import Enrichment
from ssl_behavior.errors import InputError
from ssl_behavior.plots import cluster_profile


def difference(program, size, error=0.1):
    return Difference(
        name=program, program=program, of="m1", units="px", description="", known=5, share_known=1.0, bouts=3,
        difference=size, error=error, median=1.0, usual=2.0, below=0.5,
    )  # fmt: skip


def enrichment(behavior, both, of_behavior, background=False):
    return Enrichment(
        stream="S1", behavior=behavior, background=background, cluster=0, both=both, of_behavior=of_behavior,
        of_cluster=20, annotated=100, expected=1.0, log2_ratio=None, low=None, high=None, cluster_bouts=1,
        behavior_bouts=1, recordings=1,
    )  # fmt: skip


def card(number, differences, labels, bouts=True):
    lengths = BoutLengths(number=7, per_minute=1.0, lower=0.5, median=1.25, upper=2.0) if bouts else None
    return Card(
        cluster=number, frames=20, share=0.125, recordings=1, bouts=lengths, followers=(), to_none=0, to_end=0,
        labels=tuple(labels), differences=tuple(differences), shares={},
    )  # fmt: skip


LABELS = [enrichment("attack", 15, 20), enrichment("other", 5, 80, background=True)]
MEASURED = [difference("body_gap", -2.0), difference("speed", 1.0, None)]
CARDS = SimpleNamespace(clusters=(card(0, MEASURED, LABELS), card(1, [], [], False)))


def widths(ax):
    return [patch.get_width() for patch in ax.patches]


def names(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_programs_are_bars_with_their_errors(ax, pyplot):
    assert cluster_profile(CARDS, 0, ax=ax) is ax and not pyplot.get_fignums()
    assert widths(ax) == [-2.0, 1.0] and names(ax) == ["body gap (m1)", "speed (m1)"]
    assert ax.get_title(loc="left") == "cluster 0: 12.5% of the frames\n7 bouts of 1.2 s (0.5–2.0 s)"
    errors = ax.collections[0].get_segments()
    np.testing.assert_allclose(errors[0][:, 0], [-2.1, -1.9])


def test_labels_are_shares_beside_those_of_all_frames(ax):
    cluster_profile(CARDS, 0, content="labels", ax=ax)
    # The most frequent behavior of all frames comes first.
    assert names(ax) == ["other", "attack"] and widths(ax) == [25.0, 75.0]
    assert [segment[0][0] for segment in ax.collections[0].get_segments()] == [80.0, 20.0]


def test_all_clusters_share_a_scale(pyplot):
    axes = cluster_profile(CARDS, most=1)
    assert len(axes) == 2 and len(pyplot.get_fignums()) == 1 and widths(axes[0]) == [-2.0] and not widths(axes[1])
    assert axes[0].get_xlim() == axes[1].get_xlim() and axes[1].get_title(loc="left").endswith("no bouts")
    axes[0].figure.canvas.draw()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cluster": 7}, "`cluster` 7: the clusters are 0, 1"),
        ({"content": "bouts"}, "`content` must be"),
        ({"content": "labels", "stream": "S9"}, "`stream` 'S9': the cards have the label streams 'S1'"),
        ({"cards": SimpleNamespace(clusters=(card(0, [], LABELS),)), "content": "programs"}, "were not measured"),
        ({"cards": SimpleNamespace(clusters=(card(0, [], []),))}, "label streams none"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, pyplot):
    with pytest.raises(InputError, match=message):
        cluster_profile(**{"cards": CARDS} | arguments)
    assert not pyplot.get_fignums()


def test_axes_hold_one_cluster(ax):
    with pytest.raises(InputError, match="`ax` holds one cluster"):
        cluster_profile(CARDS, ax=ax)
