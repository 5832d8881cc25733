"""Labels with agents and targets: numbers of animals, stores, other frame rates, files of one animal each."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.individuals import IndividualsByName
from ssl_behavior.multi_animal import joined
from ssl_behavior.recording import FrameTimes, Labels, PairLabels, Recording
from ssl_behavior.resampling import removed_pair_bouts, resample, resample_labels, resample_pair_labels
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import Store, write_store

NAMES = ("m1", "m2", "m3")
WORDS = ("sniff", "attack")
FRAMES = 31


def random_labels(generator, num_individuals=3, words=WORDS, frames=FRAMES, stated=True):
    size = num_individuals
    looked_for = generator.random((size, size, len(words))) < 0.7
    starts = generator.integers(0, frames - 1, 11)
    bouts = np.stack(
        [
            *generator.integers(0, size, (2, 11)), generator.integers(0, len(words), 11), starts,
            np.minimum(starts + generator.integers(1, 9, 11), frames),
        ],
        axis=1,
    )  # fmt: skip
    if not stated:
        return PairLabels(vocabulary=words, bouts=bouts)
    return PairLabels(
        vocabulary=words, bouts=bouts[looked_for[tuple(bouts[:, :3].T)]], looked_for=looked_for, annotator="ann"
    )


def recording(name="r", names=NAMES, frames=FRAMES, **fields):
    keypoints = np.random.default_rng(len(names)).random((frames, len(names), 7, 2)) * 100
    skeleton = replace(SKELETONS["calms21"], individuals=tuple(names), exchangeable=False)
    return Recording(id=name, keypoints=keypoints, fps=30.0, skeleton=skeleton, **fields)


def named(labels, names, frames=FRAMES):
    """(agent, target, behavior) -> state of each frame, by names."""
    return {
        (agent, target, word): labels.frames(i, j, k, frames).tolist()
        for i, agent in enumerate(names) for j, target in enumerate(names) for k, word in enumerate(labels.vocabulary)
    }  # fmt: skip


def test_frames_are_shown_not_shown_or_not_looked_for():
    looked_for = np.zeros((2, 2, 2), dtype=bool)
    looked_for[0, 1, 0] = looked_for[1, 0, 0] = True
    labels = PairLabels(vocabulary=WORDS, bouts=np.array([[0, 1, 0, 2, 4], [0, 1, 0, 3, 5]]), looked_for=looked_for)
    assert labels.frames(0, 1, 0, 7).tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert labels.frames(1, 0, 0, 3).tolist() == [0, 0, 0] and labels.frames(0, 0, 0, 3).tolist() == [-1, -1, -1]
    assert labels.merged().bouts.tolist() == [[0, 1, 0, 2, 5]]


@pytest.mark.parametrize("stated", [True, False])
def test_labels_follow_their_animals(stated):
    generator = np.random.default_rng(5)
    for _ in range(23):
        labels = random_labels(generator, stated=stated)
        order = generator.permutation(3)
        moved = labels.of_individuals(order.tolist(), 3)
        assert named(moved, [NAMES[i] for i in order]) == named(labels, NAMES)
        back = moved.of_individuals(np.argsort(order).tolist(), 3)
        np.testing.assert_array_equal(back.bouts, labels.bouts)
        few = labels.of_individuals([2, -1, 0], 3)
        expected = {key: one for key, one in named(labels, NAMES).items() if "m2" not in key}
        new = {key: [-1] * FRAMES for key in named(few, ("m3", "new", "m1")) if "new" in key}
        assert named(few, ("m3", "new", "m1")) == expected | new
        assert len(labels.bouts) - len(few.bouts) == labels.num_about_others([2, 0])


def test_bouts_of_animals_that_are_left_out_are_counted():
    bouts = np.array([[0, 1, 0, 2, 5], [1, 1, 1, 0, 9], [2, 0, 0, 3, 4]])
    one = recording(pair_labels={"s": PairLabels(vocabulary=WORDS, bouts=bouts)})
    made = IndividualsByName({"b": "m3", "a": "m1"}).matched(one)
    assert made.pair_labels["s"].bouts.tolist() == [[0, 1, 0, 3, 4]]
    assert made.notes[-1] == "s: 2 bouts of animals that are left out, as agent or target, left out, too"


def test_a_store_gives_labels_back(tmp_path):
    generator = np.random.default_rng(7)
    first, second = random_labels(generator), random_labels(generator, words=("rear", "attack"), stated=False)
    made = [
        recording("a", pair_labels={"s": first, "t": second}), recording("b"),
        recording("c", names=("m3", "m1", "m2"), pair_labels={"s": second}),
    ]  # fmt: skip
    store = write_store(tmp_path / "store", made)
    assert store.pair_streams["s"].vocabulary == (*WORDS, "rear") and list(store.pair_streams["s"].recordings) == [
        "a",
        "c",
    ]
    for one in made:
        again = store.recording(one.id)
        assert set(again.pair_labels) == set(one.pair_labels)
        for name, labels in one.pair_labels.items():
            there, before = named(again.pair_labels[name], again.individuals), named(labels, one.individuals)
            assert {key: there[key] for key in before} == before
            assert {tuple(there[key]) for key in there if key not in before} <= {(-1,) * FRAMES}
            assert again.pair_labels[name].annotator == labels.annotator
    with pytest.raises(InputError, match=r"no label stream 'x' with agents and targets; it has \['s', 't'\]"):
        store.pair_labels("x", store.row("a"))
    with pytest.raises(InputError, match="recording 'b' has no labels 's'"):
        store.pair_labels("s", store.row("b"))


def test_animals_that_come_later_were_not_looked_for(tmp_path):
    bouts = np.array([[0, 1, 0, 2, 5]])
    first = recording("a", names=("m1", "m2"), pair_labels={"s": PairLabels(vocabulary=("sniff",), bouts=bouts)})
    late = np.array([[2, 0, 0, 1, 4]])
    store = write_store(
        tmp_path / "store", [first, recording("b", pair_labels={"s": PairLabels(vocabulary=("sniff",), bouts=late)})]
    )
    one, other = store
    assert one.absent == ("m3",) and one.pair_labels["s"].looked_for_of(3)[..., 0].tolist() == [
        [True, True, False], [True, True, False], [False, False, False],
    ]  # fmt: skip
    assert one.pair_labels["s"].bouts.tolist() == bouts.tolist()
    assert other.pair_labels["s"].looked_for is None and other.pair_labels["s"].bouts.tolist() == late.tolist()


def test_stores_without_agents_and_targets_are_as_before(tmp_path):
    path = write_store(tmp_path / "store", [recording("a")]).path
    assert "pair_streams" not in json.loads((path / "store.json").read_text())
    assert not (path / "pair_labels").exists() and Store(path).pair_streams == {}


def edited(path, **changes):
    contents = json.loads((path / "store.json").read_text())
    contents["pair_streams"]["s"].update(changes)
    (path / "store.json").write_text(json.dumps(contents))


def saved(path, array):
    np.save(path / "pair_labels" / "s" / "bouts.npy", array)


def cut(file):
    file.write_bytes(file.read_bytes()[:99])


DAMAGES = {
    "missing": (lambda path: (path / "pair_labels/s/bouts.npy").unlink(), "pair_labels/s/bouts.npy is missing"),
    "cut": (lambda path: cut(path / "pair_labels/s/bouts.npy"), "pair_labels/s/bouts.npy cannot be read"),
    "other shape": (lambda path: saved(path, np.zeros((3, 5), np.int64)), r"should be int64 \[2, 5\]"),
    "other type": (lambda path: saved(path, np.zeros((2, 5), np.int32)), r"got int32 \[2, 5\]"),
    "late": (lambda path: saved(path, np.array([[0, 1, 0, 2, 99]] * 2)), r"3 animals in 31 frames, got \[0, 1"),
    "many animals": (lambda path: saved(path, np.array([[0, 3, 0, 2, 9]] * 2)), "bouts of 3 animals in 31 frames"),
    "backwards": (lambda path: saved(path, np.array([[0, 1, 0, 9, 2]] * 2)), "'a': a bout of 'sniff'.*9 to 2"),
    "behavior": (lambda path: saved(path, np.array([[0, 1, 7, 2, 9]] * 2)), "'a': a bout has the behavior 7"),
    "not looked for": (lambda path: saved(path, np.array([[2, 2, 1, 2, 9]] * 2)), "'a'.*not looked for in this pair"),
    "vocabulary": (lambda path: edited(path, vocabulary=["sniff"]), "looked_for.npy should be bool"),
    "count": (lambda path: edited(path, recordings={"a": {"start": 0, "count": -1}}), "whole numbers from 0 on"),
    "place": (lambda path: edited(path, recordings={"a": {"start": 2, "count": 2}}), "got 0 bouts of 2"),
    "no place": (lambda path: edited(path, recordings={"a": 3}), "store.json is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_labels(tmp_path, damage):
    looked_for = np.ones((3, 3, 2), dtype=bool)
    looked_for[2, 2] = False
    bouts = np.array([[0, 1, 0, 2, 5], [1, 1, 1, 0, 9]])
    labels = PairLabels(vocabulary=WORDS, bouts=bouts, looked_for=looked_for)
    path = write_store(tmp_path / "store", [recording("a", pair_labels={"s": labels})]).path
    change, message = DAMAGES[damage]
    change(path)
    with pytest.raises(InputError, match=message):
        Store(path).recording("a")


@pytest.mark.parametrize("target", [10.0, 25.0, 60.0])
def test_bouts_at_another_rate_are_those_of_each_behavior_alone(target):
    generator = np.random.default_rng(11)
    for _ in range(7):
        one = recording(pair_labels={"s": random_labels(generator)})
        made = resample(one, target)
        labels, after = one.pair_labels["s"], made.pair_labels["s"]
        assert after.annotator == "ann" and (after.looked_for == labels.looked_for).all()
        gone: dict[str, int] = {}
        for agent, goal, word in np.argwhere(labels.looked_for).tolist():
            before = labels.frames(agent, goal, word, FRAMES)
            alone = Labels(vocabulary=("no", "yes"), frames=before.astype(np.int16))
            expected = resample_labels(alone, one.frame_times, made.frame_times).frames
            np.testing.assert_array_equal(after.frames(agent, goal, word, made.num_frames), expected)
            gone[WORDS[word]] = gone.get(WORDS[word], 0) + int(before.any() and not expected.any())
        removed = removed_pair_bouts(labels, one.frame_times, made.frame_times)
        assert all(removed.get(word, (0, 0))[0] >= count for word, count in gone.items())


def test_removed_bouts_are_counted():
    labels = PairLabels(vocabulary=WORDS, bouts=np.array([[0, 1, 0, 4, 5], [1, 0, 0, 6, 30], [0, 0, 1, 0, 1]]))
    source, target = FrameTimes(fps=30.0, num_frames=FRAMES), FrameTimes(fps=10.0, num_frames=11)
    assert removed_pair_bouts(labels, source, target) == {"sniff": (1, 2), "attack": (1, 1)}
    assert resample_pair_labels(labels, source, target).bouts.tolist() == [[1, 0, 0, 2, 10]]


def test_files_of_one_animal_keep_their_own_behavior():
    rear = PairLabels(vocabulary=("rear",), bouts=np.array([[0, 0, 0, 1, 4]]))
    groom = PairLabels(vocabulary=("groom", "rear"), bouts=np.array([[0, 0, 0, 2, 9], [0, 0, 1, 5, 7]]))
    one, other = (
        recording(name, names=("animal",), pair_labels={"s": own}) for name, own in (("a", rear), ("b", groom))
    )
    made = joined([one, other], "ab", ["m1", "m2"]).pair_labels["s"]
    assert made.vocabulary == ("rear", "groom")
    assert made.bouts.tolist() == [[0, 0, 0, 1, 4], [1, 1, 0, 5, 7], [1, 1, 1, 2, 9]]
    assert np.argwhere(made.looked_for).tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]
    styled = replace(other, pair_labels={"s": replace(groom, annotator="ben")})
    with pytest.raises(InputError, match="differ in their annotator"):
        joined([one, styled], "ab", ["m1", "m2"])


@pytest.mark.parametrize(
    ("bouts", "message"),
    [
        ([[0, 1, 0, 2, 99]], "a bout of 'sniff' has the frames 2 to 99, outside of the recording's 31"),
        ([[0, 3, 0, 2, 9]], r"is about 4 animals, the tracks have 3 \(m1, m2, m3\)"),
    ],
)
def test_labels_that_do_not_fit_the_tracks(bouts, message):
    with pytest.raises(InputError, match=message):
        recording(pair_labels={"s": PairLabels(vocabulary=WORDS, bouts=np.array(bouts))})
