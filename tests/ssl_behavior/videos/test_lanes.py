"""Lanes of ethograms: words, colors, and the choice among many."""

import numpy as np
import pytest

from ssl_behavior.clusters import load_frames
from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import class_colors
from ssl_behavior.videos.drawing import rgb
from ssl_behavior.videos.lanes import MOST_LANES, Deed, Lane, check_streams, lanes_of, picked_lanes

RED, GRAY, EMPTY = (200, 0, 0), (221, 221, 221), (250, 250, 250)


def lane(bouts, of_pair=False):
    deeds = (Deed("rest", GRAY, quiet=True), Deed("chase", RED), Deed("groom", (0, 0, 200)))
    return Lane(title="a", deeds=deeds, bouts=np.array(bouts, np.int64).reshape(-1, 3), of_pair=of_pair)


def test_words_are_those_of_the_frame():
    one = lane([(0, 10, 0), (10, 20, 1), (15, 18, 2)])
    assert [[deed.word for deed in one.at(frame)] for frame in (0, 9, 10, 17, 20)] == [
        ["rest"], ["rest"], ["chase"], ["chase", "groom"], [],
    ]  # fmt: skip


def test_colors_are_those_of_the_frames_and_short_bouts_stay_visible():
    one = lane([(0, 50, 0), (10, 20, 1), (70, 71, 2)])
    colors = one.colors_of(np.linspace(0, 100, 11), EMPTY)
    assert colors.tolist() == [
        [221] * 3,
        [200, 0, 0],
        *[[221] * 3] * 3,
        *[[250] * 3] * 2,
        [0, 0, 200],
        *[[250] * 3] * 2,
    ]
    half = one.colors_of(np.array([5.0, 15.0]), EMPTY)
    assert half[0].tolist() == pytest.approx([210, 110, 110], abs=1)


def test_a_page_shows_the_same_colors_whatever_lies_outside_it():
    generator = np.random.default_rng(0)
    start = np.sort(generator.integers(0, 1000, 200))
    stop = start + generator.choice([1, 5, 40, 400], 200)
    one = lane(np.stack([start, stop, generator.integers(0, 3, 200)], axis=1))
    for first, last in [(0, 1500), (300, 400), (399.5, 420.25), (990, 1400), (2000, 2100)]:
        inside = (stop > first) & (start < last)
        between, edges = one.bouts_between(first, last), np.linspace(first, last, 31)
        assert between[between[:, 1] > first].tolist() == one.bouts[inside].tolist()
        np.testing.assert_array_equal(one.colors_of(edges, EMPTY), lane(one.bouts[inside]).colors_of(edges, EMPTY))


def test_streams_pairs_and_clusters_have_lanes(store, clustered):
    frames = load_frames(clustered / "clusters")
    lanes = lanes_of(store, store.rows[0], ["S1", "acts"], frames)
    assert [one.title for one in lanes] == ["S1", "resident → intruder", "intruder", "clusters"]
    colors = class_colors(("rest", "fight"), ["rest"])
    assert lanes[0].at(0) == [Deed("rest", rgb(colors["rest"]), quiet=True)]
    assert lanes[0].at(15) == [Deed("fight", rgb(colors["fight"]))]
    (chase,) = lanes[1].at(10)
    assert (chase.word, chase.agent, chase.target) == ("chase", 0, 1) and lanes[1].at(30) == []
    assert [one.at(25)[0].word for one in lanes[2:]] == ["groom", "cluster 2"]
    assert lanes_of(store, store.rows[0], [], frames, ["a", "b", "c"])[0].at(25)[0].word == "c"


@pytest.mark.parametrize(("unit", "titles"), [("animal", ["m1", "m2", "m3"]), ("pair", ["m1 → m2", "m1 → m3"])])
def test_clusters_of_animals_and_pairs_have_a_lane_each(group, unit, titles):
    from ssl_behavior.store import Store

    store, frames = Store(group / "store"), load_frames(group / f"{unit}_clusters")
    lanes = lanes_of(store, store.rows[0], [], frames)
    assert [one.title for one in lanes][: len(titles)] == [f"{title}, clusters" for title in titles]
    assert lanes[1].at(0)[0].agent == (1 if unit == "animal" else 0)


def test_of_many_lanes_the_fullest_are_shown_and_empty_pairs_are_not():
    full = [lane([(0, number + 1, 1)], of_pair=True) for number in range(MOST_LANES + 2)]
    lanes = [lane([(0, 90, 0)]), *full, lane([(50, 60, 1)], of_pair=True)]
    picked, left_out = picked_lanes(lanes, 0, 40)
    assert picked == full[-MOST_LANES:] and left_out == 2
    assert picked_lanes(lanes[:1] + full[:2] + lanes[-1:], 0, 40) == (lanes[:1] + full[:2], 0)


def test_unknown_streams_are_refused(store):
    assert check_streams(store, ["acts", "S1", "S1"]) == ("acts", "S1")
    with pytest.raises(InputError, match=r"`labels` S9: .* has no such label stream; it has \['S1', 'acts'\]"):
        check_streams(store, ["S9"])
