import numpy as np
import pytest

from ssl_behavior import duplicates
from ssl_behavior.duplicates import fingerprint, meetings

LAG = 13


def as_set(prints, first=0):
    hashes, frames = prints
    return set(zip(hashes.tolist(), (frames - first).tolist(), strict=True))


def test_fingerprints_do_not_depend_on_where_a_recording_begins(dyad):
    keypoints = dyad(frames=503).keypoints
    whole, part = as_set(fingerprint(keypoints, LAG), 101), as_set(fingerprint(keypoints[101:], LAG))
    assert len(part) > 300
    assert len(part - whole) <= 0.1 * len(part)


def test_fingerprints_do_not_depend_on_chunks(dyad, monkeypatch):
    keypoints = dyad(frames=503, missing=0.1).keypoints
    whole = as_set(fingerprint(keypoints, LAG))
    monkeypatch.setattr(duplicates, "_CHUNK_FRAMES", 97)
    assert len(whole & as_set(fingerprint(keypoints, LAG))) > 0.7 * len(whole)


@pytest.mark.parametrize(
    "change",
    [lambda k: k + np.float32(123.45), lambda k: k[:, ::-1], lambda k: np.round(k, 1)],
    ids=["shifted", "exchanged", "rounded"],
)
def test_fingerprints_do_not_depend_on_place_order_or_last_digits(dyad, change):
    keypoints = dyad(frames=503).keypoints
    one, other = as_set(fingerprint(keypoints, LAG)), as_set(fingerprint(change(keypoints), LAG))
    assert len(one & other) > 0.7 * len(one)


def test_fingerprints_are_few(dyad):
    hashes, frames = fingerprint(dyad(frames=2003).keypoints, LAG)
    assert 0.7 * 2003 < len(hashes) < 1.5 * 2003 and hashes.dtype == np.uint64
    assert (frames >= 0).all() and (frames < 2003).all()


def test_too_short_or_empty_recordings_have_none(dyad):
    for keypoints in (dyad(frames=7).keypoints, np.full((503, 2, 7, 2), np.nan, np.float32)):
        hashes, frames = fingerprint(keypoints, LAG)
        assert len(hashes) == len(frames) == 0
    nothing = np.empty(0, np.uint64), np.empty(0, np.int32)
    assert meetings([nothing, nothing]) == {}


@pytest.mark.parametrize("individuals, keypoints", [(1, 1), (1, 3), (3, 2)])
def test_any_number_of_animals_and_points(individuals, keypoints):
    walk = np.cumsum(np.random.default_rng(0).normal(0, 5, (601, individuals, keypoints, 2)), axis=0).astype(np.float32)
    found = meetings([fingerprint(walk, LAG), fingerprint(np.round(walk[151:], 1), LAG)])
    assert found[0, 1][0] == 151


def slow_votes(prints):
    votes = {}
    for one, (hashes, frames) in enumerate(prints):
        for other in range(one + 1, len(prints)):
            for hash, frame in zip(hashes, frames, strict=True):
                for at in prints[other][1][prints[other][0] == hash]:
                    key = one, other, int(frame) - int(at)
                    votes[key] = votes.get(key, 0) + 1
    return votes


def test_meetings_are_those_of_a_slow_count():
    rng = np.random.default_rng(0)
    # Each hash once per recording, so that none is common enough to be left out.
    prints = [(rng.permutation(53)[:37].astype(np.uint64), rng.integers(0, 7, 37).astype(np.int32)) for _ in range(5)]
    votes = {key: count for key, count in slow_votes(prints).items() if count >= 3}
    found = meetings(prints)
    assert {(*pair, offset) for pair, offsets in found.items() for offset in offsets} == set(votes)
    for (one, other), offsets in found.items():
        counts = [votes[one, other, offset] for offset in offsets]
        assert counts == sorted(counts, reverse=True)


def test_recurring_fingerprints_are_ignored():
    often = np.zeros(11, np.uint64), np.arange(11, dtype=np.int32)
    assert meetings([often, often]) == {}
