"""Changed windows against loops, and what must not change."""

import math

import pytest
import torch

from probe.calms21.baselines.augmentation import Augmentation, augment, rotate_points

BATCH, SAMPLE = 13, 11
NONE = {"rotate": 0.0, "shift": 0.0}


def windows_of(layout, seed=0):
    x = torch.rand(BATCH, SAMPLE, layout.num_channels, generator=torch.Generator().manual_seed(seed)) + 0.1
    if "observed" in layout.groups:
        seen = torch.rand(BATCH, SAMPLE, 2, layout.skeleton.num_keypoints) > 0.3
        layout.observed(x)[:] = seen
        layout.points(x)[:] *= seen[..., None]
    return x


def run(x, layout, seed=1, **config):
    sizes = torch.tensor([[1024.0, 570.0]]).expand(len(x), 2)
    return augment(x, layout, Augmentation(**config), sizes, torch.Generator().manual_seed(seed))


def paper(x, layout, seed=1):
    """One angle, then one shift, of every window; drawn in the same order."""
    generator = torch.Generator().manual_seed(seed)
    angles = (2 * torch.rand(BATCH, generator=generator) - 1) * math.pi
    shifts = (2 * torch.rand(BATCH, 2, generator=generator) - 1) * 0.25
    y = x.clone()
    for b in range(BATCH):
        cos, sin = math.cos(angles[b]), math.sin(angles[b])
        for s in range(SAMPLE):
            for point in range(14):
                px, py = x[b, s, 2 * point], x[b, s, 2 * point + 1]
                y[b, s, 2 * point] = px * cos - py * sin + shifts[b, 0]
                y[b, s, 2 * point + 1] = px * sin + py * cos + shifts[b, 1]
    return y


def test_published_augmentation_rotates_about_the_corner(points):
    layout = points(features=3)
    x = windows_of(layout)
    x[:, :2, :28] = 0
    before = x.clone()
    y = run(x, layout)
    torch.testing.assert_close(y, paper(x, layout))
    assert torch.equal(x, before) and torch.equal(y[..., 28:], x[..., 28:])
    # Padding is shifted too, and that is all that happens to it.
    assert (y[:, :2, :28] != 0).all() and torch.equal(y[:, 0, :2], y[:, 1, 26:28])


def test_augmentation_draws_per_window_from_the_generator(points):
    layout = points()
    x = windows_of(layout)[:1].expand(BATCH, -1, -1)
    state = torch.get_rng_state()
    first, again, other = (run(x, layout, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(first[:, 0, 0].unique()) == BATCH


def test_missing_points_stay_zero_and_unseen(points):
    layout = points(observed=True, features=3)
    x = windows_of(layout)
    for about in ("corner", "middle"):
        y = run(x, layout, about=about, reflect=0.5, swap=0.5)
        assert torch.equal(layout.points(y).abs().sum(-1) == 0, ~layout.seen(y))
        assert layout.seen(y).sum() == layout.seen(x).sum() and torch.equal(y[..., 42:], x[..., 42:])
    assert torch.equal(run(x, layout)[..., 28:], x[..., 28:])


def test_move_outside_false_keeps_zeros(points):
    layout = points()
    x = windows_of(layout)
    x[:, :2] = 0
    y = run(x, layout, move_outside=False)
    assert not y[:, :2].any()
    torch.testing.assert_close(y[:, 2:], run(x, layout)[:, 2:])


def test_rotations_about_the_center_keep_pixel_distances(points):
    layout = points()
    x = windows_of(layout)
    size = torch.tensor([1024.0, 570.0])

    def distances(values):
        return torch.pdist((layout.points(values)[3, 5] * size).flatten(0, 1))

    torch.testing.assert_close(distances(run(x, layout, about="middle")), distances(x))
    assert (distances(run(x, layout)) - distances(x)).abs().max() > 10
    middle = torch.full((1, 1, 1, 1, 2), 0.5)
    stays = rotate_points(middle, torch.tensor([1.3]), "middle", size[None])
    torch.testing.assert_close(stays, middle)
    quarter = rotate_points(
        torch.tensor([1.0, 0.5]).view(1, 1, 1, 1, 2), torch.tensor([math.pi / 2]), "middle", size[None]
    )
    # Half the width in pixels, now downwards from the middle.
    torch.testing.assert_close(quarter.flatten(), torch.tensor([0.5, 0.5 + 512 / 570]))


def test_a_mirror_image_exchanges_left_and_right_and_is_its_own_inverse(points):
    layout = points(observed=True)
    x = windows_of(layout)
    y = run(x, layout, reflect=1.0, **NONE)
    left, right = (layout.skeleton.index(name) for name in ("left_ear", "right_ear"))
    seen = layout.seen(x)[:, :, :, left]
    assert torch.equal(layout.seen(y)[:, :, :, right], seen)
    wanted = layout.points(x)[:, :, :, left] * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])
    torch.testing.assert_close(layout.points(y)[:, :, :, right], wanted * seen[..., None])
    torch.testing.assert_close(run(y, layout, reflect=1.0, **NONE), x)


def test_swap_exchanges_animals_with_its_probability(points):
    layout = points(observed=True)
    x = windows_of(layout)
    y = run(x, layout, swap=1.0, **NONE)
    assert torch.equal(layout.points(y), layout.points(x).flip(2))
    assert torch.equal(layout.seen(y), layout.seen(x).flip(2))
    some = (run(x, layout, swap=0.5, **NONE) != x).flatten(1).any(dim=1)
    assert 0 < some.sum() < BATCH


@pytest.mark.parametrize("about", ["corner", "middle"])
def test_augmentation_with_all_off_is_identity(points, about):
    layout = points()
    x = windows_of(layout)
    torch.testing.assert_close(run(x, layout, about=about, **NONE), x)
