import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior.clusters import FrameClusters
from ssl_behavior.clusters.cards import Cards, make_cards
from ssl_behavior.clusters.folder import ClusteredStore
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.store import write_store


@pytest.fixture(autouse=True)
def _single():
    torch.set_default_dtype(torch.float32)


def by_behavior(store):
    """Every behaviour a cluster of its own: other 0, mount 1 ... in the store's vocabulary."""
    rows = [EmbeddingRow(id=row.id, offset=row.offset, frames=row.frames, fps=row.fps) for row in store.rows]
    labels = np.asarray(store.labels("behavior")).astype(np.int32)
    return FrameClusters(rows, labels, len(store.streams["behavior"].vocabulary))


def cards_of(frames, store, **more):
    """Every cluster a corner of a simplex."""
    points = np.eye(frames.num_clusters + 1, dtype=np.float32)[frames.labels, : frames.num_clusters]
    return make_cards(
        ClusteredStore.of(frames, store), [(slice(0, len(points)), points)], np.eye(frames.num_clusters), **more
    )


@pytest.fixture(scope="module")
def mounting(mice):
    torch.set_default_dtype(torch.float32)
    return cards_of(by_behavior(mice), mice)


def card_of(cards, store, behavior):
    return cards.clusters[store.streams["behavior"].vocabulary.index(behavior)]


def test_shares_bouts_and_followers_are_those_of_the_clusters(clusters, labeled):
    cards = cards_of(clusters, labeled)
    assert [card.cluster for card in cards.clusters] == list(range(5))
    assert cards.num_frames == 365 and cards.of_no_cluster == (clusters.labels < 0).sum()
    shares = clusters.shares()
    for card in cards.clusters[:4]:
        bouts = [
            (stop - start) / 30 for row in clusters.rows for start, stop, k in clusters.bouts(row) if k == card.cluster
        ]
        assert card.frames == (clusters.labels == card.cluster).sum()
        assert list(card.shares.values()) == pytest.approx(shares[:, card.cluster].tolist())
        assert card.bouts.number == len(bouts) and card.bouts.median == pytest.approx(np.median(bouts))
        assert card.bouts.per_minute == pytest.approx(len(bouts) / (365 / 30 / 60))
        followed = sum(one.count for one in card.followers)
        assert followed + card.to_none + card.to_end == len(bouts)
        assert sum(one.probability for one in card.followers) == pytest.approx(1)
        assert all(one.cluster != card.cluster for one in card.followers)
        assert {one.recording for one in card.medoids} <= {"r0", "r1", "r2"} and 0 < len(card.medoids) <= 5
        for one in card.medoids:
            row = next(row for row in clusters.rows if row.id == one.recording)
            assert (clusters.of(row)[one.start : one.stop] == card.cluster).all()
            assert one.distance == pytest.approx(0, abs=1e-6)
    never = cards.clusters[4]
    assert never.bouts is None and never.sentence == "Not seen in these recordings" and not never.medoids


def test_sentences_of_simulated_behaviours_say_what_was_simulated(mounting, mice):
    mount = card_of(mounting, mice, "mount").sentence
    assert mount.startswith("Bodies on each other (overlap 0.") and "headings alike" in mount
    investigation = card_of(mounting, mice, "investigation").sentence
    assert "esident with the nose closer to intruder's tail base" in investigation
    assert "intruder with the nose" not in investigation


def test_labels_are_enriched_in_their_own_cluster_alone(mounting, mice):
    for card in mounting.clusters:
        if card.bouts is not None:
            own = mice.streams["behavior"].vocabulary[card.cluster]
            assert card.labels[0].behavior == own and card.labels[0].both == card.frames
            assert all(one.log2_ratio is None for one in card.labels[1:])


def test_names_follow_the_animals(mounting, mice, tmp_path):
    """With the tracks of the animals exchanged, the sentences say the same of the other one."""
    recordings = [replace(recording, keypoints=recording.keypoints[:, ::-1], confidence=None) for recording in mice]
    exchanged = write_store(tmp_path / "exchanged", recordings)
    cards = cards_of(by_behavior(mice), exchanged)
    swapped = {"resident": "intruder", "intruder": "resident", "": ""}
    for card, other in zip(mounting.clusters, cards.clusters, strict=True):
        own = {(one.program, one.size, one.of): one for one in other.differences}
        assert len(own) == len(card.differences)
        for one in card.differences:
            same = own[one.program, one.size, swapped[one.of]]
            assert same.difference == pytest.approx(one.difference, abs=1e-4), one.name
            assert same.median == pytest.approx(one.median, rel=1e-4, abs=1e-4)
    assert "resident facing intruder" in card_of(mounting, mice, "mount").sentence
    assert "intruder facing resident" in card_of(cards, mice, "mount").sentence


def test_anonymous_animals_have_no_names_and_no_order(mice, tmp_path):
    skeleton = replace(mice.skeleton, exchangeable=True)
    recordings = [replace(recording, skeleton=skeleton, confidence=None) for recording in mice]
    flips = [replace(one, keypoints=one.keypoints[:, ::-1]) if n % 2 else one for n, one in enumerate(recordings)]
    cards, flipped = (
        cards_of(by_behavior(mice), write_store(tmp_path / name, given))
        for name, given in (("as-they-are", recordings), ("flipped", flips))
    )
    assert [card.sentence for card in cards.clusters] == [card.sentence for card in flipped.clusters]
    text = " ".join(card.sentence for card in cards.clusters).lower()
    assert "resident" not in text and "intruder" not in text and cards.anonymous
    assert "one animal with the nose closer to the other's tail base" in text


def test_nothing_is_said_of_clusters_that_have_nothing_to_do_with_the_tracks(mice):
    """The bouts of one recording on the tracks of the next."""
    frames = by_behavior(mice)
    moved = replace(frames, labels=np.roll(frames.labels, mice.rows[0].frames))
    cards = cards_of(moved, mice, programs=None)
    for card in cards.clusters:
        assert card.bouts is None or card.sentence.startswith("Usual in everything measured; bouts of ")


def test_a_cluster_of_one_recording_says_so(mice):
    labels = np.zeros(mice.num_frames, np.int32)
    labels[mice.rows[2].slice] = np.repeat([1, 0], [1600, 903])
    frames = replace(by_behavior(mice), labels=labels, num_clusters=2)
    assert cards_of(frames, mice).clusters[1].sentence.endswith("; 100 % of it in recording m2")


def test_cards_come_back_from_their_file(mounting, tmp_path):
    mounting.save(tmp_path)
    assert Cards.load(tmp_path) == mounting


def test_cards_that_are_none_are_told(mounting, tmp_path):
    with pytest.raises(InputError, match=r"it has no cards\.json"):
        Cards.load(tmp_path)
    mounting.save(tmp_path)
    contents = json.loads((tmp_path / "cards.json").read_text())
    del contents["clusters"][1]["share"]
    (tmp_path / "cards.json").write_text(json.dumps(contents))
    with pytest.raises(InputError, match=r"cards\.json is not as expected .*clusters\[1\]: the key 'share' is missing"):
        Cards.load(tmp_path)


def test_progress_is_every_frame_in_both_passes(clusters, labeled):
    done = {"points": 0, "programs": 0}

    def progress(stage, frames, total):
        assert total == 365
        done[stage] += frames

    cards_of(clusters, labeled, progress=progress)
    assert done == {"points": 365, "programs": 365}
