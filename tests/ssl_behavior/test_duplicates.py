from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.duplicates import (
    Overlap,
    OverlapConfig,
    check_split,
    check_subsets,
    find_overlaps,
    leak_messages,
    leaks,
)
from ssl_behavior.errors import InputError
from ssl_behavior.importer import import_recordings
from ssl_behavior.recording import Recording
from ssl_behavior.splits import make_split
from ssl_behavior.store import Store, write_store

HOST, CUT, AT, INTO = 1009, 401, 211, 307
LENGTH = 1301


def planted(host: Recording, keypoints: np.ndarray, into: int = INTO, **fields) -> Recording:
    """`host` with a stretch of its frames replaced."""
    values = host.keypoints.copy()
    values[into : into + len(keypoints)] = keypoints
    return replace(host, keypoints=values, **fields)


def rounded_to(digits):
    return lambda keypoints: np.round(keypoints, digits)


def jittered(keypoints):
    return keypoints + np.random.default_rng(0).uniform(-0.05, 0.05, keypoints.shape)


def thinned(keypoints):
    hidden = np.random.default_rng(0).random(keypoints.shape[:3]) < 0.17
    return np.where(hidden[..., None], np.nan, keypoints)


def one_animal_lost(keypoints):
    values = keypoints.copy()
    values[:, 1] = np.nan
    return values


def moved(keypoints):
    return keypoints + np.array([33.3, -12.7])


def renumbered(keypoints):
    return np.round(keypoints[:, ::-1], 1)


def a_few_frames_mended(keypoints):
    values = keypoints.copy()
    values[100:103] += 40
    return values


CHANGES = {
    "cut": np.copy,
    "rounded to .1": rounded_to(1),
    "rounded to whole pixels": rounded_to(0),
    "jittered": jittered,
    "thinned": thinned,
    "one animal lost": one_animal_lost,
    "moved in the picture": moved,
    "animals the other way round": renumbered,
    "a few frames mended": a_few_frames_mended,
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("skeleton", ["calms21", "rat_dyads"])
def test_a_common_stretch_is_found_wherever_it_lies(dyad, tmp_path, name, skeleton):
    one = dyad("one", LENGTH, skeleton, seed=1)
    cut = CHANGES[name](one.keypoints[AT : AT + CUT].astype(np.float64)).astype(np.float32)
    other = planted(dyad("other", HOST, skeleton, seed=2), cut)
    (found,) = find_overlaps(write_store(tmp_path / "store", [one, other]))
    assert (found.first, found.second, found.is_copy) == ("one", "other", False)
    assert found.first_start - found.second_start == AT - INTO
    assert abs(found.first_start - AT) <= 9 and abs(found.frames - CUT) <= 19
    assert found.seconds == found.frames / 30
    assert found.is_swapped == (name == "animals the other way round")
    np.testing.assert_allclose(found.shift_px, (-33.3, 12.7) if name == "moved in the picture" else (0, 0), atol=0.06)


def test_different_recordings_share_nothing(dyad, tmp_path):
    store = write_store(tmp_path / "store", [dyad(f"walk{seed}", LENGTH + seed, seed=seed) for seed in range(7)])
    assert find_overlaps(store) == []


@pytest.mark.parametrize("scale", [1 / 600, 1 / 15])
@pytest.mark.parametrize("name", ["cut", "jittered", "moved in the picture", "animals the other way round"])
def test_overlaps_are_found_in_any_unit(dyad, tmp_path, name, scale):
    source = dyad("source", LENGTH)
    copy = planted(dyad("host", HOST, seed=1), CHANGES[name](source.keypoints)[AT : AT + CUT], id="host")
    scaled = [replace(r, keypoints=r.keypoints * np.float32(scale)) for r in (source, copy)]
    store = write_store(tmp_path / "store", scaled)
    (found,) = find_overlaps(store)
    assert (found.first, found.second) == ("source", "host") and abs(found.frames - CUT) <= 5
    assert abs(found.first_start - AT) <= 5
    if name == "moved in the picture":
        np.testing.assert_allclose(found.shift_px, np.array([-33.3, 12.7]) * scale, rtol=0.02)
    different = [replace(r, keypoints=r.keypoints * np.float32(scale)) for r in (source, dyad("other", HOST, seed=2))]
    assert find_overlaps(write_store(tmp_path / "different", different)) == []


def test_stretch_below_min_seconds_is_not_reported(dyad, tmp_path):
    one = dyad("one", LENGTH, seed=1)
    other = planted(dyad("other", HOST, seed=2), one.keypoints[AT : AT + 211])
    store = write_store(tmp_path / "store", [one, other])
    assert find_overlaps(store) == []
    (found,) = find_overlaps(store, config=OverlapConfig(min_seconds=5.0))
    assert (found.first_start, found.second_start, found.frames) == (AT, INTO, 211)


def test_of_a_short_recording_most_is_enough(dyad, tmp_path):
    one = dyad("one", LENGTH, seed=1)
    short = replace(one, id="short", keypoints=np.round(one.keypoints[53 : 53 + 97], 1))
    (found,) = find_overlaps(write_store(tmp_path / "store", [short, one]))
    assert (found.first, found.first_start, found.second_start, found.frames) == ("short", 0, 53, 97)


@pytest.mark.parametrize("points", ["all on one point", "each on its own", "one animal"])
def test_frozen_tracking_is_no_evidence(dyad, tmp_path, points):
    recordings = []
    for seed in range(3):
        recording = dyad(f"walk{seed}", LENGTH, seed=seed)
        values = recording.keypoints.copy()
        at = 100 + 10 * seed
        still = np.array([411.0, 307.0], np.float32)
        if points == "each on its own":
            still = np.random.default_rng(0).uniform(200, 400, values.shape[1:]).astype(np.float32)
        values[at : at + 500, slice(0, 1) if points == "one animal" else slice(None)] = (
            still[:1] if still.ndim == 3 and points == "one animal" else still
        )
        recordings.append(replace(recording, keypoints=values))
    assert find_overlaps(write_store(tmp_path / "store", recordings)) == []


def test_a_scene_of_which_one_animal_is_another_is_not_the_same(dyad, tmp_path):
    one, other = dyad("one", LENGTH, seed=1), dyad("other", HOST, seed=2)
    values = other.keypoints.copy()
    values[INTO : INTO + CUT, 0] = one.keypoints[AT : AT + CUT, 0]
    assert find_overlaps(write_store(tmp_path / "store", [one, replace(other, keypoints=values)])) == []


def test_slow_animals_are_found_once_at_the_true_offset(tmp_path, dyad):
    walk = dyad("one", LENGTH, seed=3)
    columns, at = walk.keypoints.reshape(LENGTH, -1).T, np.arange(2 * LENGTH) / 20
    smooth = np.stack([np.interp(at, np.arange(LENGTH), column) for column in columns], 1).reshape(-1, 2, 7, 2)
    one = replace(walk, keypoints=smooth[:LENGTH].astype(np.float32))
    other = replace(walk, id="other", keypoints=np.round(smooth[500 : 500 + 701], 1).astype(np.float32))
    (found,) = find_overlaps(write_store(tmp_path / "store", [one, other]))
    assert (found.first_start, found.second_start, found.frames) == (500, 0, 701)


def test_stretches_of_a_pair_are_sorted(dyad, tmp_path):
    one = dyad("one", LENGTH, seed=1)
    other = planted(dyad("other", HOST, seed=2), one.keypoints[700:1031], 13)
    other = planted(other, one.keypoints[:359], 500)
    first, second = find_overlaps(write_store(tmp_path / "store", [one, other]))
    assert (first.first_start, first.second_start, first.frames) == (0, 500, 359)
    assert (second.first_start, second.second_start, second.frames) == (700, 13, 331)


def test_equal_recordings_share_their_overlaps(dyad, tmp_path):
    one = dyad("one", HOST, seed=1)
    cut = replace(one, id="cut", keypoints=np.round(one.keypoints[100:701], 1))
    cuts = [replace(one, id=f"cut{start}", keypoints=one.keypoints[start : start + 601]) for start in (17, 71, 211)]
    recordings = [cut, one, replace(one, id="two"), *cuts, replace(cut, id="cut again")]
    found = find_overlaps(write_store(tmp_path / "store", recordings))
    assert [(o.first, o.second) for o in found if o.is_copy] == [("cut", "cut again"), ("one", "two")]
    names = [recording.id for recording in recordings]
    assert [(o.first, o.second) for o in found] == [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    last = next(o for o in found if (o.first, o.second) == ("two", "cut again"))
    assert (last.first_start, last.second_start, last.frames) == (100, 0, 601)
    assert "'one' has the very tracks of 'two'" in [str(overlap) for overlap in found]


def test_stores_are_compared_with_each_other(dyad, tmp_path):
    one = write_store(tmp_path / "one", [dyad("a", 503, seed=1), dyad("b", 509, seed=2)])
    two = write_store(tmp_path / "two", [dyad("c", 521, seed=3), dyad("a", 509, seed=2)])
    done = []
    (found,) = find_overlaps(one, (two, two.rows[1:]), progress=lambda *told: done.append(told[1]))
    assert (found.first, found.second, found.first_store, found.second_store) == (
        "b", "a", str(one.path), str(two.path),
    )  # fmt: skip
    assert found.is_copy and sum(done) == 503 + 509
    assert find_overlaps(one, (two, two.rows[:1])) == []


def test_reversed_overlap_exchanges_both_sides(dyad, tmp_path):
    one = dyad("one", LENGTH, seed=1)
    other = planted(dyad("other", HOST, seed=2), moved(one.keypoints[AT : AT + CUT]))
    (found,) = find_overlaps(write_store(tmp_path / "store", [one, other]))
    (back,) = find_overlaps(write_store(tmp_path / "back", [other, one]))
    turned = found.reversed()
    assert (turned.first, turned.first_start, turned.frames) == (back.first, back.first_start, back.frames)
    np.testing.assert_allclose(turned.shift_px, back.shift_px, atol=1e-3)
    assert turned.reversed() == found and Overlap(**found.to_dict() | {"shift_px": found.shift_px}) == found


def test_leaks_of_a_split_give_messages(dyad, tmp_path):
    train, test = dyad("train", LENGTH, seed=1, subset="train"), dyad("test", HOST, seed=2, subset="test")
    fine = dyad("fine", HOST, seed=3, subset="train")
    store = write_store(tmp_path / "store", [train, fine, planted(test, train.keypoints[AT : AT + CUT])])
    overlaps = find_overlaps(store)
    (message,) = check_split(overlaps, make_split(store))
    assert "'test' shows from frame 307 on what 'train' shows from frame 211 on, for 13 s (401 frames)" in message
    assert "leave one of the two out" in message
    assert check_subsets(overlaps, store.rows) == [message]
    # Two that are both scored, or both learned from, are no leak.
    assert check_subsets(overlaps, [replace(row, subset="test") for row in store.rows]) == []
    assert leaks(overlaps, {"test"}, {"fine"}) == []


def test_message_has_the_longest_stretch_of_a_pair(dyad, tmp_path):
    one = dyad("one", LENGTH, seed=1, subset="unlabeled")
    other = planted(dyad("other", HOST, seed=2, subset="test"), one.keypoints[700:1031], 13)
    other = planted(other, one.keypoints[:359], 500)
    found = find_overlaps(write_store(tmp_path / "store", [one, other]))
    (message,) = leak_messages(leaks(found, {"other"}, {"one"}))
    assert "359 frames" in message


def test_invalid_arguments_raise(dyad, tmp_path):
    mice = write_store(tmp_path / "mice", [dyad("a", 31)])
    rats = write_store(tmp_path / "rats", [dyad("a", 31, "rat_dyads")])
    with pytest.raises(InputError, match=r"2 animals of 5 keypoints, .*mice has 2 of 7"):
        find_overlaps(mice, rats)
    with pytest.raises(InputError, match="no recordings"):
        find_overlaps((mice, []))
    with pytest.raises(InputError, match="min_seconds must be above 0, got 0"):
        OverlapConfig(min_seconds=0.0)
    assert find_overlaps(mice) == []


@pytest.mark.data
def test_real_rats(real_data, tmp_path):
    sources = [real_data / "rat_dyads" / f"{name}_dlc_tracks.csv.gz" for name in ("14", "25", "38")]
    import_recordings(sources, tmp_path / "rats")
    store = Store(tmp_path / "rats")
    # Each of the three has both animals frozen on one point for more than a hundred frames.
    assert find_overlaps(store) == []
    one, other, _ = store
    cut = np.round(one.keypoints[5003 : 5003 + 601], 1)
    (found,) = find_overlaps(write_store(tmp_path / "planted", [one, planted(other, cut)]))
    assert found.first_start - found.second_start == 5003 - INTO and found.frames > 500
