"""Ethograms and hits of a search show the bouts that they are given."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ssl_behavior.bouts import Bout
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.plots import ethogram, search_hits
from ssl_behavior.plots.style import BACKGROUND, PALETTE
from ssl_behavior.recording import Labels
from ssl_behavior.retrieval.search import NearBout

FRAMES = np.array([2, 2, 2, 0, 0, -1, -1, 1, 1, 1, 1, 2])
NAMES = ("attack", "mount", "other")
BOUTS = [(0, 3, "other"), (3, 5, "attack"), (7, 11, "mount"), (11, 12, "other")]
LABELS = Labels(vocabulary=NAMES, frames=FRAMES, background="other")


def bars(ax):
    """Label of each class and row -> (left, right, bottom, top) of its bars."""
    return {
        one.get_label(): [
            (*path.vertices[:, 0][[0, 2]].round(6).tolist(), *sorted({*path.vertices[:, 1].tolist()}))
            for path in one.get_paths()
        ]
        for one in ax.collections
    }


def test_bars_are_the_bouts_of_each_class(ax, legend, pyplot):
    assert ethogram({"anna": LABELS, "ben": LABELS}, fps=2.0, ax=ax) is ax and not pyplot.get_fignums()
    drawn = bars(ax)
    spans = {"attack": [(1.5, 2.5)], "mount": [(3.5, 5.5)], "other": [(0.0, 1.5), (5.5, 6.0)]}
    for height, title in enumerate(("anna", "ben")):
        for name, own in spans.items():
            assert [bar[:2] for bar in drawn[f"{title}: {name}"]] == own
            assert drawn[f"{title}: {name}"][0][2:] == (height - 0.4, height + 0.4)
    assert legend(ax) == ["attack", "mount", "other"] and ax.get_xlabel() == "time (s)"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["anna", "ben"] and ax.get_ylim() == (1.5, -0.5)
    shades = {one.get_label(): to_hex(one.get_facecolor()[0]).upper() for one in ax.collections}
    assert (shades["ben: attack"], shades["ben: mount"], shades["ben: other"]) == (*PALETTE[:2], BACKGROUND)


@pytest.mark.parametrize(
    "stream",
    [
        FRAMES,
        FRAMES.tolist(),
        [(0, 3, "other"), (11, 12, "other"), (3, 5, "attack"), (7, 11, "mount")],
        [Bout(stream="S", behavior=n, start=a, stop=b) for a, b, n in BOUTS],
    ],
    ids=["array", "list", "tuples", "bouts"],
)  # fmt: skip
def test_kinds_of_streams_are_drawn_alike(stream, ax):
    ethogram(stream, NAMES, ax=ax)
    assert bars(ax) == {"other": [(0, 3, -0.4, 0.4), (11, 12, -0.4, 0.4)], "attack": [(3, 5, -0.4, 0.4)],
                        "mount": [(7, 11, -0.4, 0.4)]}  # fmt: skip
    assert ax.get_xlabel() == "frame"


def test_a_row_for_each_class(ax, legend):
    ethogram({"anna": LABELS, "clusters": np.array([0, 1, 1])}, rows="classes", ax=ax)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["attack", "mount", "clusters: 0", "clusters: 1"]
    assert bars(ax)["anna: mount"] == [(7, 11, 0.6, 1.4)] and not legend(ax) and "anna: other" not in bars(ax)


def test_a_part_is_cut_at_its_ends(ax, legend):
    ethogram(LABELS, fps=2.0, frames=(4, 9), time="min", ax=ax)
    expected = {"attack": [(4, 5)], "mount": [(7, 9)]}
    for name, spans in expected.items():
        np.testing.assert_allclose([bar[:2] for bar in bars(ax)[name]], np.array(spans) / 120, atol=1e-6)
    np.testing.assert_allclose(ax.get_xlim(), (4 / 120, 9 / 120))
    assert legend(ax) == ["attack", "mount"] and ax.get_xlabel() == "time (min)"


@pytest.mark.parametrize(("seconds", "unit"), [(300, "s"), (301, "min"), (18_001, "h")])
def test_the_unit_of_time_fits_the_length(seconds, unit, ax):
    assert ethogram(np.zeros(seconds, int), fps=1.0, ax=ax).get_xlabel() == f"time ({unit})"


@pytest.mark.parametrize("rows", ["streams", "classes"])
def test_nothing_to_draw_is_an_empty_plot(rows, ax):
    for stream in ([], np.full(7, -1), np.full(7, 1)):
        ethogram(stream, ("attack", "other"), background="other", rows=rows, ax=ax)
        ax.figure.canvas.draw()


def test_twenty_clusters_and_long_names_stay_inside_the_figure(legend):
    names = [f"a behavior of a long name, {number} $x$" for number in range(20)]
    ax = ethogram(np.repeat(np.arange(20), 5), names, fps=10.0)
    ax.figure.canvas.draw()
    box, whole = ax.get_legend().get_window_extent(), ax.figure.bbox
    assert len(legend(ax)) == 20 and box.x1 <= whole.x1 and box.y0 >= 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"streams": {}}, "`streams` is empty"),
        ({"streams": "labels"}, "must be labels or bouts, got str"),
        ({"streams": np.zeros((3, 2))}, r"whole numbers \[time\] or bouts"),
        ({"streams": [(5, 3, "attack")]}, r"has the bout \(5, 3, 'attack'\)"),
        ({"names": ["attack"]}, "`names` has 1 classes, but the stream has the label 2"),
        ({"rows": "colors"}, "`rows` must be 'streams' or 'classes'"),
        ({"frames": (9, 9)}, "`frames` must be a first frame and a later stop"),
        ({"time": "days"}, "`time` must be one of"),
        ({"time": "s"}, "`fps` must be a number above 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, pyplot):
    with pytest.raises(InputError, match=message):
        ethogram(**{"streams": FRAMES} | arguments)
    assert not pyplot.get_fignums()


def test_hits_are_drawn_in_their_recordings(ax):
    rows = [EmbeddingRow(id=f"r{n}", offset=0, frames=600 + n, fps=30.0) for n in (0, 1, 0)]
    bouts = [
        NearBout(recording=row.id, start=start, stop=start + 30, frame=start + 6, distance=distance)
        for row, start, distance in zip(rows, (60, 90, 300), (0.5, 0.7, 1.1), strict=True)
    ]
    found = SimpleNamespace(bouts=bouts, rows=rows)
    assert search_hits(found, ax=ax) is ax
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets(), [[2.2, 0], [3.2, 1], [10.2, 0]])
    np.testing.assert_allclose(points.get_array(), [0.5, 0.7, 1.1])
    spans = [(patch.get_x(), patch.get_width()) for patch in ax.patches[-3:]]
    np.testing.assert_allclose(spans, [(2, 1), (3, 1), (10, 1)])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["r0", "r1"]
    with pytest.raises(InputError, match="no bout to draw"):
        search_hits(SimpleNamespace(bouts=(), rows=()))
