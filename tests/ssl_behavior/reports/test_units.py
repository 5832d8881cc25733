"""Reports of animals and pairs: contents, and the page's facts."""

import json
import re

import numpy as np
import pytest

from ssl_behavior.bouts import BoutTable
from ssl_behavior.clusters import load_frames
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.reports import Report, ReportConfig, ReportRecording, gather_report, render_report, write_projector
from ssl_behavior.reports.examples import similar_bouts
from ssl_behavior.reports.page import packed_report
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store

from ..conftest import write_group

UNITS = ("scene", "animal", "pair")


def report_of(folder, unit, rows=None, **config):
    store = Store(folder / "store")
    return gather_report(
        store,
        Embeddings(folder / unit),
        ReportConfig(**{"bouts": 20, "neighbors": 3, "programs": ()} | config),
        rows=rows,
        clusters=load_frames(folder / f"{unit}_clusters"),
    )


@pytest.fixture(params=UNITS, scope="module")
def gathered(group, request):
    return report_of(group, request.param)


def test_entries_are_the_rows_of_the_embedding(group, gathered):
    report = gathered.report
    rows = Embeddings(group / report.unit).rows
    assert [one.id for one in report.recordings] == [row.id for row in rows]
    assert [one.title for one in report.recordings] == [row.title for row in rows]
    assert [one.recording for one in report.groups] == ["cage1", "cage2", "cage3"]
    facts = dict(report.facts)
    assert facts["Recordings"] == "3, 469 frames, 0 h 0 min"
    assert ("Unit" in facts) == (report.unit != "scene")
    if report.unit == "pair":
        assert facts["Unit"] == "pair: 3 recordings, 14 pairs, 2,410 frames of a pair"


def test_ethograms_have_an_entry_for_each_row(group, gathered):
    report = gathered.report
    clusters = load_frames(group / f"{report.unit}_clusters")
    for row, own in zip(clusters.rows, report.clusters.frames, strict=True):
        np.testing.assert_array_equal(own, clusters.of(row))
    (labels,) = report.labels
    assert labels.of_recording and not report.clusters.of_recording
    store = Store(group / "store")
    for one, own in zip(report.recordings, labels.frames, strict=True):
        np.testing.assert_array_equal(own, store.labels("S1")[store.row(one.recording).slice])


def test_points_of_the_map_have_the_poses_and_numbers_of_their_recording(group):
    report = report_of(group, "pair", programs=("speed",)).report
    store, frames = Store(group / "store"), report.map
    for point in (0, 700, len(frames.xy) - 1):
        own = store.row(report.recordings[frames.recording[point]].recording)
        np.testing.assert_array_equal(frames.poses[point], store.keypoints[own.offset + frames.frame[point]])


def speeds(folder, unit, channel, role):
    """(recording, animal, frame) -> speed of the animal that has a role in the rows of the map's points."""
    report = report_of(folder, unit, programs=("speed",)).report
    (values,) = [one.values for one in report.map.channels if one.name == channel]
    entries = [report.recordings[row] for row in report.map.recording]
    places = [(one.recording, getattr(one, role)) for one in entries]
    return {(*place, frame): value for place, frame, value in zip(places, report.map.frame, values, strict=True)}


def test_programs_color_the_map_by_what_the_rows_animals_do(group):
    animals = speeds(group, "animal", "speed", "agent")
    assert len(animals) == 3 * (211 + 157) + 2 * 101
    for role in ("agent", "target"):
        pairs = speeds(group, "pair", f"speed, {role}", role)
        assert pairs.keys() == animals.keys()
        places = list(animals)
        np.testing.assert_allclose([pairs[one] for one in places], [animals[one] for one in places], rtol=1e-4)
    assert np.std([value for value in animals.values() if np.isfinite(value)]) > 0


def test_examples_play_the_tracks_of_all_animals(group, gathered):
    report, store = gathered.report, Store(group / "store")
    entry = {one.id: one for one in report.recordings}
    for bout in report.bouts:
        own = store.row(entry[bout.recording].recording)
        first = own.offset + bout.first
        np.testing.assert_array_equal(bout.track, store.keypoints[first : first + len(bout.track)])


def test_neighbors_are_of_other_moments_whichever_animal_saw_them(gathered):
    report = gathered.report
    entry = {one.id: one for one in report.recordings}
    compared = 0
    for bout in report.bouts:
        own = entry[bout.recording]
        for near in (report.bouts[one.bout] for one in bout.neighbors):
            if entry[near.recording].recording == own.recording:
                assert near.start >= bout.stop + 10 * own.fps or near.stop <= bout.start - 10 * own.fps
            compared += 1
        every = [report.bouts[one.bout] for one in bout.neighbors]
        moments = [(entry[one.recording].recording, one) for one in every]
        for place, (recording, one) in enumerate(moments):
            for other_recording, other in moments[:place]:
                assert recording != other_recording or one.start > other.stop or one.stop < other.start
    assert compared > 20


def test_without_the_numbers_of_recordings_every_row_is_one(group):
    rows = Embeddings(group / "pair").rows
    bouts = BoutTable.of([(0, 10, 20, 0), (1, 10, 20, 0), (7, 10, 20, 0)], rows)
    points = np.array([[0.0], [1.0], [2.0]], np.float32)
    assert [[i for i, _ in one] for one in similar_bouts(bouts, points, bouts, points, 2, 1.0)] == [
        [1, 2], [0, 2], [1, 0],
    ]  # fmt: skip
    numbers = np.array([0] * 6 + [1] * 2 + [2] * 6)
    found = similar_bouts(bouts, points, bouts, points, 2, 1.0, numbers)
    assert [[i for i, _ in one] for one in found] == [[2], [2], [1]]


def test_a_report_of_some_recordings_has_all_their_rows(group):
    store = Store(group / "store")
    report = report_of(group, "pair", rows=store.select(["cage2"])).report
    assert [one.title for one in report.recordings] == ["cage2, m1 → m2", "cage2, m2 → m1"]


def test_facts_of_the_page_say_who_is_who(gathered):
    report = gathered.report
    facts, _ = packed_report(report)
    assert facts["unit"] == report.unit and facts["individuals"] == ("m1", "m2", "m3")
    for one, own in zip(report.recordings, facts["recordings"], strict=True):
        assert (own["recording"], own["agent"], own["target"]) == (one.recording, one.agent, one.target)
        assert own["title"] == one.title
    assert [one["shared"] for one in facts["ethograms"]] == [False, True]


def test_the_page_has_choices_of_animals_and_boxes_of_recordings(gathered):
    page, unit = render_report(gathered.report), gathered.report.unit
    assert ('id="agent"' in page, 'id="target"' in page) == (unit != "scene", unit == "pair")
    boxes = re.search(r'data-kind="recordings".*?</fieldset>', page, re.DOTALL)[0]
    assert len(re.findall("<input", boxes)) == 3 and "@" not in boxes


def test_the_projector_says_who_acts(gathered, tmp_path):
    write_projector(gathered.report, gathered.points, tmp_path / "p")
    header, first, *_ = (tmp_path / "p" / "metadata.tsv").read_text().splitlines()
    actors = {"scene": [], "animal": ["agent"], "pair": ["agent", "target"]}[gathered.report.unit]
    assert header.split("\t") == ["recording", *actors, "frame", "seconds", "clusters", "S1"]
    assert first.split("\t")[: 1 + len(actors)] == ["cage1", *["m1", "m2"][: len(actors)]]


@pytest.mark.parametrize("animals", [1, 2, 4])
def test_every_number_of_animals_has_a_page(tmp_path, animals):
    folder = write_group(tmp_path / "few", animals=animals)
    for unit in UNITS:
        report = report_of(folder, unit, programs=("speed", "body_gap")).report
        assert json.dumps(packed_report(report)[0]["recordings"])
        assert render_report(report).startswith("<!doctype html>")


def test_a_report_is_of_one_unit_and_of_animals_of_the_tracks():
    def report(*recordings):
        return Report(title="r", recordings=recordings, skeleton=SKELETONS["rat_dyads"], individuals=("a", "b"))

    scene = ReportRecording(id="x", frames=7, fps=30.0)
    pair = ReportRecording(id="x@a,b", recording="x", agent="a", target="b", frames=7, fps=30.0)
    assert report(scene).unit == "scene" and report(pair).unit == "pair"
    with pytest.raises(InputError, match="'x, a → b' is a pair, but 'x' a scene"):
        report(scene, pair)
    with pytest.raises(InputError, match="'c' is none of the animals"):
        report(ReportRecording(id="x@c", recording="x", agent="c", frames=7, fps=30.0))


def test_behaviors_of_pairs_have_a_lane_for_each(tmp_path):
    folder = write_group(tmp_path / "acting", units=("pair",), acts=True)
    report = report_of(folder, "pair").report
    acts = report.labels[1]
    assert (acts.name, acts.words, acts.background) == ("acts", ("chase", "sniff", "other"), "other")
    assert not acts.of_recording
    shown = {one.title: own for one, own in zip(report.recordings, acts.frames, strict=True) if own is not None}
    assert list(shown) == ["cage1, m1 → m2", "cage1, m2 → m1"]
    assert np.flatnonzero(shown["cage1, m2 → m1"] == 0).tolist() == list(range(55, 90))
    assert any(bout.ethogram == "acts" and bout.recording == "cage1@m1,m2" for bout in report.bouts)
