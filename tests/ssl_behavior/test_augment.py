import math
from dataclasses import fields, replace

import pytest
import torch

from ssl_behavior import collectives
from ssl_behavior.augment import (
    AugmentConfig,
    augment,
    drop_keypoints,
    geometric,
    hidden,
    jitter,
    moved,
    reflect,
    rotate,
    swap_animals,
    translate,
)
from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, ProgramSet
from ssl_behavior.skeleton import SKELETONS

CALMS21 = SKELETONS["calms21"]
NOTHING = {"reflect": 0.0, "drop_keypoints": 0.0}
EVERYTHING = AugmentConfig(
    reflect=0.5, swap=0.5, drop_keypoints=0.3, drop_frames=4, jitter_px=2.0, rotate=0.5, translate=0.5
)
PARTS = {
    "reflect": AugmentConfig(reflect=0.5, drop_keypoints=0.0),
    "swap": AugmentConfig(reflect=0.0, drop_keypoints=0.0, swap=0.5),
    "drop": AugmentConfig(reflect=0.0, drop_keypoints=0.3, drop_frames=4),
    "jitter": AugmentConfig(reflect=0.0, drop_keypoints=0.0, jitter_px=2.0),
    "rotate": AugmentConfig(**NOTHING, rotate=0.5),
    "translate": AugmentConfig(**NOTHING, translate=0.7),
    "everything": EVERYTHING,
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def equal(one, two):
    return all(torch.equal(getattr(one, field.name), getattr(two, field.name)) for field in fields(one))


@pytest.fixture
def batch(dyad, batch_of):
    """Six windows, the last frames of which are padding."""
    room = (800.0, 600.0)
    whole = batch_of(*(dyad(f"r{seed}", 29, seed=seed, missing=0.2, resolution_px=room) for seed in range(6)))
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
def test_hidden_points_stay_zero_and_padding_stays_padding(name, batch):
    after = augment(batch, PARTS[name], CALMS21, generator())
    assert not after.keypoints[~after.observed].any() and not after.observed[~after.valid].any()
    for field in ("valid", "arena", "frame", "length", "fps"):
        assert torch.equal(getattr(after, field), getattr(batch, field))


def test_zero_strengths_change_nothing(batch):
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


def test_jitter_has_its_standard_deviation(batch):
    after = jitter(batch, 2.0, generator())
    moved = (after.keypoints - batch.keypoints)[batch.observed]
    assert moved.std() == pytest.approx(2.0, rel=0.05) and abs(moved.mean()) < 0.1


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("world", [2, 3])
def test_the_shares_of_processes_are_the_draw_of_one(name, world, batch, monkeypatch):
    whole = augment(batch, PARTS[name], CALMS21, generator())
    monkeypatch.setattr(collectives, "world_size", lambda: world)
    size = 6 // world
    for number in range(world):
        monkeypatch.setattr(collectives, "rank", lambda number=number: number)
        share = batch.part(number * size, (number + 1) * size)
        expected = whole.part(number * size, (number + 1) * size)
        assert equal(augment(share, PARTS[name], CALMS21, generator()), expected)


@pytest.mark.parametrize(
    "values",
    [
        {"reflect": 1.5},
        {"swap": -0.1},
        {"drop_keypoints": 2.0},
        {"drop_frames": 0},
        {"jitter_px": -1.0},
        {"rotate": 1.1},
        {"translate": -0.5},
    ],
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(InputError, match=next(iter(values))):
        AugmentConfig(**values)


def distances(batch):
    """Between all points of a frame, 0 where either is missing."""
    points, seen = batch.keypoints.flatten(2, 3), batch.observed.flatten(2, 3)
    return torch.cdist(points, points) * (seen.unsqueeze(-1) & seen.unsqueeze(-2))


def test_turning_keeps_every_distance_and_the_middle_of_the_arena(batch):
    turns = torch.tensor([0.0, 0.7, -2.0, math.pi, 3.0, -0.1])
    after = rotate(batch, turns)
    torch.testing.assert_close(distances(after), distances(batch))
    assert torch.equal(after.keypoints[0], batch.keypoints[0]) and not torch.equal(after.keypoints, batch.keypoints)
    middle = (batch.arena[:, :2] + batch.arena[:, 2:]) / 2
    at_middle = middle[:, None, None, None, :].expand_as(batch.keypoints) * batch.observed.unsqueeze(-1)
    still = rotate(replace(batch, keypoints=at_middle), turns).keypoints
    torch.testing.assert_close(still, at_middle)
    torch.testing.assert_close(rotate(after, -turns).keypoints, batch.keypoints)


def test_a_quarter_turn_takes_x_to_y(batch):
    after = rotate(batch, torch.full((6,), math.pi / 2))
    middle = ((batch.arena[:, :2] + batch.arena[:, 2:]) / 2)[:, None, None, None, :]
    before, behind = (batch.keypoints - middle)[batch.observed], (after.keypoints - middle)[batch.observed]
    torch.testing.assert_close(behind, torch.stack([-before[:, 1], before[:, 0]], dim=-1))


def test_angles_are_drawn_from_the_whole_circle(batch):
    many = replace(batch, **{f.name: getattr(batch, f.name).repeat_interleave(300, 0) for f in fields(batch)})
    after = moved(many, AugmentConfig(**NOTHING, rotate=1.0), CALMS21, generator())
    both = many.observed[:, :, 0, 3] & many.observed[:, :, 0, 6]
    axes = [item.keypoints[:, :, 0, 3] - item.keypoints[:, :, 0, 6] for item in (many, after)]
    first = both.to(torch.uint8).argmax(dim=1)
    before, behind = (torch.atan2(axis[..., 1], axis[..., 0])[torch.arange(1800), first] for axis in axes)
    turned = torch.remainder(behind - before, 2 * math.pi)
    assert (turned.histc(8, 0, 2 * math.pi) / 1800 - 1 / 8).abs().max() < 0.03
    share = moved(many, AugmentConfig(**NOTHING, rotate=0.3), CALMS21, generator()).keypoints
    assert (share != many.keypoints).flatten(1).any(1).double().mean() == pytest.approx(0.3, abs=0.04)


def test_a_shift_moves_what_is_observed_and_nothing_else(batch):
    shifts = torch.arange(12.0).view(6, 2) - 3.0
    after = translate(batch, shifts)
    steps = after.keypoints - batch.keypoints
    for i in range(6):
        torch.testing.assert_close(steps[i][batch.observed[i]], shifts[i].expand(int(batch.observed[i].sum()), 2))
    assert not after.keypoints[~batch.observed].any()


def test_shifted_animals_stay_in_the_arena_and_are_left_alone_where_they_do_not_fit(batch):
    roomy = replace(batch, arena=torch.tensor([-200.0, -300.0, 900.0, 800.0]).expand(6, 4))
    narrow = replace(batch, arena=torch.tensor([0.0, 0.0, 50.0, 2000.0]).expand(6, 4))
    config = AugmentConfig(**NOTHING, translate=1.0)
    after = moved(roomy, config, CALMS21, generator())
    seen = after.keypoints[after.observed]
    assert (seen[:, 0] >= -200).all() and (seen[:, 0] <= 900).all()
    assert (seen[:, 1] >= -300).all() and (seen[:, 1] <= 800).all()
    steps = [(after.keypoints - roomy.keypoints)[i][batch.observed[i]] for i in range(6)]
    assert all(step.std(dim=0).max() < 1e-9 and step[0].abs().min() > 1e-3 for step in steps)
    assert equal(moved(narrow, config, CALMS21, generator()), narrow)
    unseen = replace(roomy, observed=torch.zeros_like(batch.observed), keypoints=torch.zeros_like(batch.keypoints))
    assert equal(moved(unseen, config, CALMS21, generator()), unseen)


def test_augment_is_moved_then_hidden(batch):
    together = augment(batch, EVERYTHING, CALMS21, generator())
    one = generator()
    assert equal(hidden(moved(batch, EVERYTHING, CALMS21, one), EVERYTHING, one), together)
    assert torch.equal(moved(batch, EVERYTHING, CALMS21, generator()).observed.sum(), batch.observed.sum())
    after = hidden(batch, EVERYTHING, generator())
    assert torch.equal(after.keypoints[after.observed], batch.keypoints[after.observed])


def test_settings_that_are_off_draw_nothing(batch):
    old = AugmentConfig(reflect=0.5, swap=0.5, drop_keypoints=0.3, drop_frames=4, jitter_px=2.0)
    one, two = generator(), generator()
    before = batch
    for step in (
        lambda b: reflect(b, torch.rand(6, generator=one) < 0.5, CALMS21),
        lambda b: swap_animals(b, torch.rand(6, generator=one) < 0.5),
        lambda b: jitter(b, 2.0, one),
        lambda b: drop_keypoints(b, 0.3, 4, one),
    ):
        before = step(before)
    assert equal(augment(batch, old, CALMS21, two), before)


def test_geometric_lists_the_active_transformations():
    assert geometric(EVERYTHING) == {"rotation", "reflection", "translation", "swap"}
    assert geometric(AugmentConfig(**NOTHING, jitter_px=3.0)) == set()
    assert geometric(AugmentConfig(**NOTHING, translate=0.1)) == {"translation"}


@pytest.mark.parametrize("skeleton", ["calms21", "rat_dyads"])
@pytest.mark.parametrize("name", ["reflect", "swap", "rotate", "translate", "all"])
def test_movements_change_exactly_the_attributes_that_are_not_invariant(name, skeleton, dyad, batch_of):
    certain = {"rotate": 1.0, "reflect": 1.0, "translate": 1.0, "swap": 1.0}
    config = AugmentConfig(drop_keypoints=0.0, **{"reflect": 0.0} | (certain if name == "all" else {name: 1.0}))
    batch = batch_of(*(dyad(f"r{seed}", 61, skeleton=skeleton, seed=seed, missing=0.1) for seed in range(3)))
    batch = replace(batch, arena=torch.tensor([-900.0, -900.0, 1800.0, 1700.0]).expand(3, 4))
    programs = ProgramSet(ProgramsConfig(), SKELETONS[skeleton], 30.0)
    programs.body_length.fill_(60.0)
    (before, known), (after, known_after) = (
        programs.attributes(item) for item in (batch, moved(batch, config, SKELETONS[skeleton], generator()))
    )
    kept = programs.invariant(geometric(config))
    torch.testing.assert_close(after[..., kept], before[..., kept])
    assert torch.equal(known_after[..., kept], known[..., kept])
    for column in (~kept & known.flatten(0, 1).any(0)).nonzero().flatten():
        assert not torch.allclose(after[..., column], before[..., column]), programs.names[column]
