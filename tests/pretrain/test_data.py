from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from pretrain.config import DataConfig
from pretrain.data import batch_recordings, check_batch_size, open_data, training_batches, validation_batches
from ssl_behavior import collectives
from ssl_behavior.errors import InputError
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.store import write_store

CONFIG = DataConfig(window_frames=41, batch_size=6, validation_batches=2)


def ids(reader):
    return [row.id for _, row in reader.sources]


def same(one, other):
    return all(torch.equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))


def test_a_seeded_share_is_held_out_and_nothing_is_on_both_sides(store):
    data = open_data([store], CONFIG, 0)
    assert len(ids(data.validation)) == 1 and len(ids(data.train)) == 4
    assert sorted(ids(data.train) + ids(data.validation)) == [f"rec{i}" for i in range(5)]
    assert ids(open_data([store], CONFIG, 0).validation) == ids(data.validation)
    assert len({tuple(ids(open_data([store], CONFIG, seed).validation)) for seed in range(9)}) > 1
    assert data.fps == 30.0


@pytest.mark.parametrize(
    ("options", "train", "validation"),
    [
        ({"validation": ("rec1", "rec[34]")}, ["rec0", "rec2"], ["rec1", "rec3", "rec4"]),
        ({"recordings": ("rec[0-2]",), "validation": ("rec1",)}, ["rec0", "rec2"], ["rec1"]),
        ({"subsets": ("a",), "validation": ("rec0",)}, ["rec2", "rec4"], ["rec0"]),
        ({"validation_share": 0.0}, ["rec0", "rec1", "rec2", "rec3", "rec4"], None),
    ],
)
def test_recordings_are_chosen_by_name_and_subset(store, options, train, validation):
    data = open_data([store], DataConfig(**options), 0)
    assert ids(data.train) == train
    assert (data.validation and ids(data.validation)) == validation


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": ("mouse*",)}, r"`validation`: .*no recording matches 'mouse\*'"),
        ({"recordings": ("rec9",)}, "`recordings`: .*no recording matches 'rec9'"),
        ({"subsets": ("c",)}, r"`subsets`: no recording has the subset 'c'; there are \['a', 'b'\]"),
        ({"validation": ("*",)}, "none is left to train on"),
    ],
)
def test_empty_choice_of_recordings_raises(store, options, message):
    with pytest.raises(InputError, match=message):
        open_data([store], DataConfig(**options), 0)


def test_stores_are_joined_and_equal_ids_stay_distinct(store, make_recording, tmp_path):
    write_store(tmp_path / "more", [make_recording("rec0", 61, seed=1), make_recording("new", 67)])
    data = open_data([store, tmp_path / "more"], DataConfig(validation=("new",)), 0)
    assert len(data.train.sources) == 6 and ids(data.validation) == ["new"]
    assert data.fingerprint != open_data([store], DataConfig(), 0).fingerprint


def test_stores_of_other_animals_are_read_by_name_in_any_order(tmp_path, make_recording):
    """Of animals that are told apart, the store with most of them names all, wherever it comes."""
    both = make_recording("both", 61)
    alone = replace(
        make_recording("alone", 67), keypoints=make_recording("alone", 67).keypoints[:, 1:], individuals=("b",)
    )
    paths = [write_store(tmp_path / one.id, [one]).path for one in (both, alone)]
    for order in (paths, paths[::-1]):
        reader = open_data(order, DataConfig(validation_share=0.0), 0).train
        assert reader.skeleton.individuals == ("a", "b")
        batch = reader.sample(20, np.random.default_rng(0))
        short = batch.length == 67
        assert short.any() and not batch.present[short, 0].any() and batch.present[~short].all()


def test_copies_in_a_store_with_more_animals_are_held_out_together(tmp_path, make_recording):
    recordings = [make_recording(f"rec{n}", 61 + n) for n in range(4)]
    tracks = make_recording("group", 71).keypoints
    group = replace(
        recordings[0], id="group", keypoints=np.tile(tracks, (1, 2, 1, 1))[:, :3], individuals=("b", "c", "a")
    )
    write_store(tmp_path / "pairs", recordings)
    write_store(tmp_path / "groups", [group, *recordings])
    for seed in range(5):
        data = open_data([tmp_path / "pairs", tmp_path / "groups"], DataConfig(validation_share=0.2), seed)
        held_out = ids(data.validation)
        assert not set(held_out) & set(ids(data.train)) and all(
            held_out.count(id) == 2 for id in held_out if id != "group"
        )


def test_recordings_of_another_rate_are_refused(store, make_recording, tmp_path):
    write_store(tmp_path / "slow", [make_recording("slow", 61, fps=25.0)])
    with pytest.raises(InputError, match=r"different frame rates: 'slow' 25, 'rec0' 30 per second"):
        open_data([store, tmp_path / "slow"], CONFIG, 0)


def test_fingerprint_depends_on_contents_and_split(store, tmp_path):
    assert open_data([store], CONFIG, 0).fingerprint == open_data([store], CONFIG, 0).fingerprint
    other = open_data([store], DataConfig(validation=("rec1", "rec2")), 0)
    assert other.fingerprint != open_data([store], CONFIG, 0).fingerprint


def test_batch_k_depends_on_the_seed_and_k_alone(store):
    reader = open_data([store], CONFIG, 0).train
    whole = dict(training_batches(reader, 6, 0, range(5)))
    rest = dict(training_batches(reader, 6, 0, range(3, 5)))
    assert list(whole) == [0, 1, 2, 3, 4] and list(rest) == [3, 4]
    assert same(whole[3], rest[3]) and same(whole[4], rest[4])
    assert not same(whole[3], whole[4])
    assert not same(whole[3], dict(training_batches(reader, 6, 1, range(3, 4)))[3])


def test_processes_share_one_batch(store, monkeypatch):
    reader = open_data([store], CONFIG, 0).train
    ((_, whole),) = training_batches(reader, 6, 0, range(1))
    monkeypatch.setattr(collectives, "world_size", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr(collectives, "rank", lambda rank=rank: rank)
        ((_, part),) = training_batches(reader, 6, 0, range(1))
        assert same(part, whole.part(2 * rank, 2 * rank + 2))
    with pytest.raises(InputError, match="batch_size 7 cannot be shared evenly by 3 processes"):
        check_batch_size(DataConfig(batch_size=7))


def test_validation_sees_the_same_windows_every_time(store):
    reader = open_data([store], CONFIG, 0).validation
    first, again = (list(validation_batches(reader, CONFIG, 0)) for _ in range(2))
    assert len(first) == 2 and all(map(same, first, again))
    assert not same(*first)


def test_the_recordings_of_a_batch_are_named(store):
    reader = open_data([store], CONFIG, 0).train
    batch = reader.sample(6, numpy_generator(0, "batch", 3))
    lengths = {row.frames: row.id for _, row in reader.sources}
    assert batch_recordings(reader, 6, 0, 3) == sorted({lengths[int(length)] for length in batch.length})
