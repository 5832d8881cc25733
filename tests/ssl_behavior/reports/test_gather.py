from itertools import combinations

import numpy as np
import pytest

from ssl_behavior.clusters import FrameClusters, load_frames
from ssl_behavior.clusters.cards import Cards
from ssl_behavior.clusters.frame_clusters import transitions
from ssl_behavior.embeddings_folder import Embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.reports import ReportConfig, gather_report
from ssl_behavior.store import Store, write_store


def test_full_report_has_every_part(gathered, folders):
    report = gathered.report
    assert [recording.frames for recording in report.recordings] == [211, 307, 101]
    assert report.clusters.name == "clusters" and [one.name for one in report.labels] == ["S1", "S2"]
    assert len(report.map.xy) == 619 and gathered.points.shape == (619, 13)
    assert [card.sentence for card in report.cards] == [f"Sentence of <u>{k}</u>" for k in range(5)]
    assert report.transitions.shape == (5, 5) and report.profiles and report.scores and report.discovery
    assert {channel.name for channel in report.map.channels} == {
        "speed, greater", "speed, lesser", "body gap", "points seen", "confidence",
    }  # fmt: skip


def test_labels_and_clusters_are_those_of_the_files(gathered, folders):
    store, clusters = Store(folders["store"]), load_frames(folders["clusters"])
    for number, row in enumerate(store.rows):
        np.testing.assert_array_equal(gathered.report.clusters.frames[number], clusters.of(clusters.rows[number]))
        np.testing.assert_array_equal(gathered.report.labels[0].frames[number], store.labels("S1")[row.slice])
    assert gathered.report.labels[1].frames[2] is None
    assert (store.labels("S2")[store.rows[2].slice] == NOT_ANNOTATED).all()


def test_points_of_the_map_are_sampled_frames_with_their_poses(gather, folders):
    gathered, store = gather(points=97, seed=5), Store(folders["store"])
    frames = gathered.report.map
    assert len(frames.xy) == 97
    rows = np.array([store.rows[r].offset for r in frames.recording]) + frames.frame
    assert len(set(rows.tolist())) == 97
    np.testing.assert_array_equal(frames.poses, store.keypoints[rows])
    again = gather(points=97, seed=5)
    np.testing.assert_array_equal(again.report.map.xy, frames.xy)
    np.testing.assert_array_equal(again.report.map.nearest, frames.nearest)
    assert not np.array_equal(gather(points=97, seed=6).report.map.frame, frames.frame)


def test_example_bouts_have_tracks_and_neighbors_of_their_cluster(gathered, folders):
    report, store = gathered.report, Store(folders["store"])
    for bout in report.bouts:
        row = store.row(bout.recording)
        track = store.keypoints[row.offset + bout.first :][: len(bout.track)]
        np.testing.assert_array_equal(bout.track, track)
        assert bout.first <= bout.start and bout.first + len(bout.track) >= bout.stop
        assert bout.first == max(0, bout.start - 15)
    clusters = [bout for bout in report.bouts if bout.ethogram == "clusters" and not bout.among_examples]
    # Clusters lie many spreads apart here, so that the nearest bout is of the same.
    same_cluster = [report.bouts[bout.neighbors[0].bout].value == bout.value for bout in clusters if bout.neighbors]
    assert np.mean(same_cluster) > 0.9 and len(same_cluster) > 5
    for bout in report.bouts:
        distances = [neighbor.distance for neighbor in bout.neighbors]
        assert distances == sorted(distances)
        for neighbor in bout.neighbors:
            other = report.bouts[neighbor.bout]
            assert other.recording != bout.recording or abs(other.start - bout.start) >= 300
        near = [report.bouts[neighbor.bout] for neighbor in bout.neighbors]
        for one, other in combinations(near, 2):
            assert one.recording != other.recording or one.stop < other.start or other.stop < one.start


def test_every_point_has_its_nearest_example_bout(gathered):
    report = gathered.report
    cluster = report.clusters.at(report.map.recording, report.map.frame)
    examples = np.array([bout.value if bout.ethogram == "clusters" else -1 for bout in report.bouts])[
        report.map.nearest
    ]
    assert (examples == cluster)[examples >= 0].mean() > 0.9


def test_discovered_bouts_are_examples(gathered):
    found = gathered.report.discovery.bouts[0]
    assert str(found) in map(str, gathered.report.bouts)


def test_minimal_inputs_give_a_report(gather):
    report = gather(clusters=False, description=False, probe=False, programs=(), bouts=4, neighbors=0).report
    assert report.clusters is None and not report.cards and report.transitions is None and len(report.labels) == 2
    assert len(report.bouts) >= 4
    assert all(bout.among_examples is False and bout.ethogram != "clusters" for bout in report.bouts)
    none = gather(clusters=False, description=False, probe=False, bouts=0).report
    assert not none.bouts and (none.map.nearest == -1).all()


def test_without_a_description_cards_are_counted(gather, folders):
    report, clusters = gather(description=False, probe=False, programs=()).report, load_frames(folders["clusters"])
    assert [card.frames for card in report.cards] == np.bincount(clusters.labels).tolist()
    assert all(card.labels and card.bouts and not card.sentence and not card.differences for card in report.cards)
    own = [card.bouts.number for card in report.cards]
    assert own == [sum(k == cluster for row in clusters.rows for *_, k in clusters.bouts(row)) for cluster in range(5)]
    np.testing.assert_array_equal(report.transitions, transitions(clusters).counts)


def test_description_of_other_recordings_raises(gather, folders):
    rows = Store(folders["store"]).select(["third/one", "walk"])
    report, whole = gather(rows=rows).report, gather().report
    of = "the 3 recordings that were described, not of the 2 in this report"
    assert whole.notes[-1] == "Described <b>briefly</b>." and report.cards == whole.cards
    assert report.notes[-2:] == ("Described <b>briefly</b>.", f"Sentences and numbers of clusters are of {of}.")


def test_report_of_selected_recordings(gather, folders):
    rows = Store(folders["store"]).select(["third/one", "walk"])
    report = gather(rows=rows).report
    assert [one.id for one in report.recordings] == ["walk", "third/one"] and len(report.map.xy) == 312
    assert len(report.clusters.frames[1]) == 101


def test_track_of_a_long_bout_is_its_middle(dyad, tmp_path, folders, gather):
    report = gather(clusters=False, description=False, probe=False).report
    assert max(len(bout.track) for bout in report.bouts) <= 120


def test_inconsistent_inputs_raise(folders, tmp_path, dyad):
    store, embeddings = Store(folders["store"]), Embeddings(folders["embeddings"])
    write_store(tmp_path / "other", [dyad("walk", 31), dyad("more", 17)])
    other = Store(tmp_path / "other")
    config = ReportConfig(programs=())
    with pytest.raises(InputError, match="'walk' has 31 frames in"):
        gather_report(other, embeddings, config, rows=other.select(["walk"]))
    with pytest.raises(InputError, match="has no recording 'more': embed it"):
        gather_report(other, embeddings, config, rows=other.rows)
    clusters = load_frames(folders["clusters"])
    short = FrameClusters([clusters.rows[2]], clusters.labels[: clusters.rows[2].frames], 5)
    with pytest.raises(InputError, match=r"none of the recordings of .* has clusters"):
        gather_report(store, embeddings, config, rows=store.select(["walk"]), clusters=short)
    more, described = FrameClusters(clusters.rows, clusters.labels, 6), Cards.load(folders["described"])
    with pytest.raises(InputError, match="the description has 5 clusters, but there are 6: describe these"):
        gather_report(store, embeddings, config, clusters=more, description=described)
    with pytest.raises(InputError, match="1 to 100,000, got 100,001"):
        ReportConfig(points=100_001)
    with pytest.raises(InputError, match="`bouts` must be 0 or more"):
        ReportConfig(bouts=-1)
