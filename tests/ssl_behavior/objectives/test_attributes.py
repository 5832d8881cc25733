import math

import pytest
import torch

from ssl_behavior.objectives import attribute_classification, attribute_regression

POINTS, ATTRIBUTE, CLASS = 11, 5, 3


def some_known():
    known = torch.rand(POINTS, ATTRIBUTE) < 0.6
    known[:, 2] = False
    return known


def test_huber_is_0_at_the_target_and_linear_far_away():
    target, known = torch.randn(POINTS, ATTRIBUTE), torch.ones(POINTS, ATTRIBUTE, dtype=torch.bool)
    assert not attribute_regression(target, target, known).total.any()
    losses = [attribute_regression(target + off, target, known).total for off in (50.0, 51.0)]
    torch.testing.assert_close(losses[1] - losses[0], torch.full((ATTRIBUTE,), float(POINTS)))


def test_uniform_logits_cost_log_of_the_number_of_classes():
    known, classes = some_known(), torch.randint(CLASS, (POINTS, ATTRIBUTE))
    sums = attribute_classification(torch.zeros(POINTS, ATTRIBUTE, CLASS), classes, known)
    torch.testing.assert_close(sums.total, sums.count * math.log(CLASS))
    torch.testing.assert_close(sums.count, known.sum(dim=0).double())


@pytest.mark.parametrize("garbage", [1e30, math.nan, math.inf])
def test_unknown_values_never_matter(garbage):
    torch.manual_seed(0)
    known, target = some_known(), torch.randn(POINTS, ATTRIBUTE)
    predicted = torch.randn(POINTS, ATTRIBUTE, requires_grad=True)
    logits = torch.randn(POINTS, ATTRIBUTE, CLASS, requires_grad=True)
    classes = torch.randint(CLASS, (POINTS, ATTRIBUTE))
    losses = []
    for fill, wrong in ((0.0, 0), (garbage, -1)):
        values = attribute_regression(predicted, torch.where(known, target, fill), known)
        chosen = attribute_classification(logits, torch.where(known, classes, wrong), known)
        total = values.total.sum() + chosen.total.sum()
        losses.append((total, *torch.autograd.grad(total, (predicted, logits))))
    torch.testing.assert_close(losses[1], losses[0], rtol=0.0, atol=0.0)
    assert not losses[0][1][~known].any() and not losses[0][2][~known].any()
    assert losses[0][1][known].all() and losses[0][2][known].all()


def test_unknown_attribute_adds_no_loss():
    known = some_known()
    values, classes = torch.randn(POINTS, ATTRIBUTE), torch.randint(CLASS, (POINTS, ATTRIBUTE))
    for sums in (
        attribute_regression(values, values + 1, known),
        attribute_classification(torch.randn(POINTS, ATTRIBUTE, CLASS), classes, known),
    ):
        assert sums.total[2] == 0 and sums.count[2] == 0 and (sums.total != 0).sum() == ATTRIBUTE - 1


def test_parts_add_up_to_the_whole():
    known, values, classes = some_known(), torch.randn(POINTS, ATTRIBUTE), torch.randint(CLASS, (POINTS, ATTRIBUTE))
    logits = torch.randn(POINTS, ATTRIBUTE, CLASS)
    for loss, arguments in (
        (attribute_regression, (values, values.flip(0), known)),
        (attribute_classification, (logits, classes, known)),
    ):
        whole, parts = loss(*arguments), [loss(*(a[part] for a in arguments)) for part in (slice(4), slice(4, None))]
        torch.testing.assert_close(parts[0].total + parts[1].total, whole.total)
        torch.testing.assert_close(parts[0].count + parts[1].count, whole.count)


def test_half_precision_is_summed_in_single():
    known, values = some_known(), torch.randn(POINTS, ATTRIBUTE)
    sums = attribute_regression(values.bfloat16(), torch.zeros(POINTS, ATTRIBUTE).bfloat16(), known)
    assert sums.total.dtype == sums.count.dtype == torch.float32
    logits, classes = torch.randn(POINTS, ATTRIBUTE, CLASS), torch.randint(CLASS, (POINTS, ATTRIBUTE))
    low = attribute_classification(logits.bfloat16(), classes, known)
    assert low.total.dtype == torch.float32
    expected = attribute_classification(logits, classes, known).total
    torch.testing.assert_close(low.total.double(), expected, rtol=0.02, atol=1e-9)
