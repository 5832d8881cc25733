from dataclasses import fields, replace

import pytest
import torch

from ssl_behavior import augment as augment_module
from ssl_behavior.augment import AugmentConfig, augment, drop_keypoints, jitter, reflect, swap_animals
from ssl_behavior.errors import InputError
from ssl_behavior.skeleton import SKELETONS

CALMS21 = SKELETONS["calms21"]
EVERYTHING = AugmentConfig(reflect=0.5, swap=0.5, drop_keypoints=0.3, drop_frames=4, jitter_px=2.0)
PARTS = {
    "reflect": AugmentConfig(reflect=0.5, drop_keypoints=0.0),
    "swap": AugmentConfig(reflect=0.0, drop_keypoints=0.0, swap=0.5),
    "drop": AugmentConfig(reflect=0.0, drop_keypoints=0.3, drop_frames=4),
    "jitter": AugmentConfig(reflect=0.0, drop_keypoints=0.0, jitter_px=2.0),
    "everything": EVERYTHING,
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def equal(one, two):
    return all(torch.equal(getattr(one, field.name), getattr(two, field.name)) for field in fields(one))


@pytest.fixture
def batch(dyad, batch_of):
    """Six windows, the last frames of which are padding."""
    whole = batch_of(*(dyad(f"r{seed}", 29, seed=seed, missing=0.2) for seed in range(6)))
    valid = whole.valid.clone()
    valid[2:, 23:] = False
    observed = whole.observed & valid[..., None, None]
    return replace(whole, valid=valid, observed=observed, keypoints=whole.keypoints * observed.unsqueeze(-1))


@pytest.mark.parametrize("name", PARTS)
def test_augmentations_are_pure_and_repeatable(name, batch):
    copy = replace(batch, **{field.name: getattr(batch, field.name).clone() for field in fields(batch)})
    one, two = (augment(batch, PARTS[name], CALMS21, generator()) for _ in range(2))
    assert equal(batch, copy) and equal(one, two)
    assert not equal(one, batch) and not equal(one, augment(batch, PARTS[name], CALMS21, generator(1)))


@pytest.mark.parametrize("name", PARTS)
def test_what_is_hidden_stays_zero_and_padding_stays_padding(name, batch):
    after = augment(batch, PARTS[name], CALMS21, generator())
    assert not after.keypoints[~after.observed].any() and not after.observed[~after.valid].any()
    for field in ("valid", "arena", "frame", "length", "fps"):
        assert torch.equal(getattr(after, field), getattr(batch, field))


def test_nothing_asked_nothing_done(batch):
    assert equal(augment(batch, AugmentConfig(reflect=0.0, drop_keypoints=0.0), CALMS21, generator()), batch)


def test_reflecting_twice_is_nothing(batch):
    chosen = torch.tensor([True, False, True, True, False, True])
    once = reflect(batch, chosen, CALMS21)
    twice = reflect(once, chosen, CALMS21)
    torch.testing.assert_close(twice.keypoints, batch.keypoints)
    assert torch.equal(twice.observed, batch.observed)
    assert torch.equal(once.keypoints[~chosen], batch.keypoints[~chosen])


def test_a_reflection_is_about_the_middle_of_the_arena_and_exchanges_left_and_right(batch):
    image = reflect(batch, torch.ones(6, dtype=torch.bool), CALMS21)
    left, right = CALMS21.index("left_ear"), CALMS21.index("right_ear")
    seen = batch.observed[..., left]
    assert torch.equal(image.observed[..., right], seen)
    middle = (batch.arena[:, 0] + batch.arena[:, 2]).view(-1, 1, 1).expand_as(seen)
    there, here = image.keypoints[..., right, :], batch.keypoints[..., left, :]
    torch.testing.assert_close(there[seen][:, 0], (middle - here[..., 0])[seen])
    assert torch.equal(there[seen][:, 1], here[seen][:, 1])


def test_a_swap_exchanges_the_animals_of_the_chosen(batch):
    chosen = torch.tensor([True, False, True, True, False, True])
    swapped = swap_animals(batch, chosen)
    for i, pick in enumerate(chosen):
        expected = batch.keypoints[i].flip(1) if pick else batch.keypoints[i]
        assert torch.equal(swapped.keypoints[i], expected)
    assert equal(swap_animals(swapped, chosen), batch)


def test_dropping_only_hides_and_for_whole_pieces(batch):
    full = replace(batch, observed=torch.ones_like(batch.observed), valid=torch.ones_like(batch.valid))
    after = drop_keypoints(full, 0.3, 4, generator())
    pieces = after.observed[:, :28].unflatten(1, (7, 4))
    assert (pieces.all(2) == pieces.any(2)).all() and not after.observed.all()
    partly = drop_keypoints(batch, 0.3, 4, generator())
    assert not (partly.observed & ~batch.observed).any()
    assert torch.equal(partly.keypoints[partly.observed], batch.keypoints[partly.observed])


def test_the_share_dropped_is_what_was_asked(dyad, batch_of):
    batch = batch_of(*(dyad(f"r{seed}", 29, seed=seed) for seed in range(2)))
    many = replace(batch, **{f.name: getattr(batch, f.name).repeat_interleave(300, 0) for f in fields(batch)})
    hidden = 1 - drop_keypoints(many, 0.15, 4, generator()).observed.double().mean(dim=(1, 2, 3))
    assert hidden.mean() == pytest.approx(0.15, abs=0.01)
    assert hidden.min() < 0.02 and 0.28 < hidden.max() < 0.42


def test_jitter_moves_observed_points_by_so_much(batch):
    after = jitter(batch, 2.0, generator())
    moved = (after.keypoints - batch.keypoints)[batch.observed]
    assert moved.std() == pytest.approx(2.0, rel=0.05) and abs(moved.mean()) < 0.1


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("world", [2, 3])
def test_the_shares_of_processes_are_the_draw_of_one(name, world, batch, monkeypatch):
    whole = augment(batch, PARTS[name], CALMS21, generator())
    monkeypatch.setattr(augment_module, "world_size", lambda: world)
    size = 6 // world
    for number in range(world):
        monkeypatch.setattr(augment_module, "rank", lambda number=number: number)
        share = batch.part(number * size, (number + 1) * size)
        expected = whole.part(number * size, (number + 1) * size)
        assert equal(augment(share, PARTS[name], CALMS21, generator()), expected)


@pytest.mark.parametrize(
    "values", [{"reflect": 1.5}, {"swap": -0.1}, {"drop_keypoints": 2.0}, {"drop_frames": 0}, {"jitter_px": -1.0}]
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        AugmentConfig(**values)
