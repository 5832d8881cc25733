"""Which channel is what, against counting them."""

import torch


def test_views_are_the_channels_they_name(points):
    layout = points("rat_dyads", observed=True, features=3)
    assert layout.num_channels == 2 * 5 * 3 + 3
    assert [layout.part(name) for name in ("keypoints", "observed", "features")] == [
        slice(0, 20), slice(20, 30), slice(30, 33),
    ]  # fmt: skip
    x = torch.arange(7 * 33.0).view(7, 33)
    for individual in range(2):
        for keypoint in range(5):
            place = 5 * individual + keypoint
            assert torch.equal(layout.points(x)[:, individual, keypoint], x[:, 2 * place : 2 * place + 2])
            assert torch.equal(layout.observed(x)[:, individual, keypoint], x[:, 20 + place])
    layout.points(x)[:] = -1
    assert (x[:, :20] == -1).all()


def test_absent_groups_have_no_channels(points):
    layout = points()
    assert layout.part("observed") == layout.part("features") == slice(0, 0)


def test_seen_mask_uses_observed_channels_or_nonzero_points(points):
    told, untold = points(observed=True), points()
    x = torch.rand(11, told.num_channels) + 0.1
    x[3, 28 + 9], x[5, :28] = 0, 0
    seen = told.seen(x)
    assert not seen[3, 1, 2] and seen[5].all() and int((~seen).sum()) == 1
    plain = untold.seen(x[:, :28])
    assert not plain[5].any() and int((~plain).sum()) == 14
