import math

import torch
import torch.nn.functional as F

from ssl_behavior.objectives import supervised_contrastive

PROGRAM, POINTS, LATENT = 3, 13, 5


def unit(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


def classes_of(num_points=POINTS):
    return torch.randint(-1, 3, (PROGRAM, num_points))


def within(points, classes, temperature=0.3):
    """Every point an anchor among all the others."""
    return supervised_contrastive(points, points, classes, classes, torch.arange(points.shape[1]), temperature)


def test_identical_points_cost_log_of_the_candidates():
    points = unit(1, 1, LATENT).expand(PROGRAM, POINTS, LATENT)
    classes = torch.randint(3, (PROGRAM, POINTS))
    sums = within(points, classes)
    torch.testing.assert_close(sums.total, sums.count * math.log(POINTS - 1))


def test_separated_classes_cost_only_the_choice_within_the_class():
    classes = torch.arange(POINTS).remainder(2).expand(PROGRAM, -1)
    points = torch.where(classes == 0, 1.0, -1.0).unsqueeze(-1) * torch.eye(LATENT)[0]
    sums = within(points, classes, temperature=0.01)
    sizes = [(POINTS + 1) // 2, POINTS // 2]
    expected = sum(size * math.log(size - 1) for size in sizes)
    torch.testing.assert_close(sums.total, torch.full((PROGRAM,), expected))


def test_the_order_and_the_names_of_classes_do_not_matter():
    torch.manual_seed(0)
    points, classes = unit(PROGRAM, POINTS, LATENT), classes_of()
    order, sums = torch.randperm(POINTS), within(points, classes)
    torch.testing.assert_close(vars(within(points[:, order], classes[:, order])), vars(sums))
    renamed = torch.where(classes >= 0, 7 - 2 * classes, classes)
    torch.testing.assert_close(vars(within(points, renamed)), vars(sums))


def test_a_point_is_never_its_own_positive_or_negative():
    points, classes = unit(PROGRAM, 2, LATENT), torch.tensor([[0, 0], [0, 1], [-1, 0]])
    sums = within(points, classes)
    assert sums.count.tolist() == [2, 0, 0]
    # The only candidate is the positive: certain, and so free.
    torch.testing.assert_close(sums.total, torch.zeros(PROGRAM))


def test_unknown_points_never_matter():
    torch.manual_seed(0)
    points, classes = unit(PROGRAM, POINTS, LATENT).requires_grad_(), classes_of()
    other = torch.where((classes >= 0).unsqueeze(-1), points.detach(), 31.0).requires_grad_()
    sums, changed = within(points, classes), within(other, classes)
    torch.testing.assert_close(vars(changed), vars(sums), rtol=0.0, atol=0.0)
    (gradient,) = torch.autograd.grad(sums.total.sum(), points)
    assert not gradient[classes < 0].any() and gradient[classes >= 0].any()


def test_programs_do_not_see_each_other():
    torch.manual_seed(0)
    points, classes = unit(PROGRAM, POINTS, LATENT), classes_of()
    sums = within(points, classes)
    for p in range(PROGRAM):
        alone = within(points[p : p + 1], classes[p : p + 1])
        torch.testing.assert_close(alone.total, sums.total[p : p + 1])


def test_parts_of_the_queries_add_up_to_the_whole():
    torch.manual_seed(0)
    points, classes = unit(PROGRAM, POINTS, LATENT), classes_of()
    parts = [
        supervised_contrastive(points[:, own], points, classes[:, own], classes, own, 0.3)
        for own in torch.arange(POINTS).split(5)
    ]
    whole = within(points, classes)
    torch.testing.assert_close(torch.stack([part.total for part in parts]).sum(0), whole.total)
    torch.testing.assert_close(torch.stack([part.count for part in parts]).sum(0), whole.count)


def test_unknown_points_have_zero_loss_and_gradient():
    points = unit(PROGRAM, POINTS, LATENT).requires_grad_()
    sums = within(points, torch.full((PROGRAM, POINTS), -1))
    assert not sums.total.any() and not sums.count.any()
    assert not torch.autograd.grad(sums.total.sum(), points)[0].any()


def test_half_precision_is_summed_in_single():
    torch.manual_seed(0)
    points, classes = unit(PROGRAM, POINTS, LATENT), classes_of()
    low = within(points.bfloat16(), classes, temperature=0.07)
    assert low.total.dtype == torch.float32
    torch.testing.assert_close(low.total.double(), within(points, classes, 0.07).total, rtol=0.03, atol=0.0)
