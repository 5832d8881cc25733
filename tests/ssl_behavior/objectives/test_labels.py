import math

import pytest
import torch
import torch.nn.functional as F

from ssl_behavior.objectives import (
    balanced_class_weights,
    binary_label_cross_entropy,
    class_prior,
    label_cross_entropy,
)

BATCH, TIME, CLASS, TASK = 3, 11, 5, 7
SMOOTHING = 0.2


@pytest.fixture
def example():
    torch.manual_seed(0)
    target = torch.randint(-1, CLASS, (BATCH, TIME))
    return torch.randn(BATCH, TIME, CLASS), target, torch.rand(CLASS) + 0.1, torch.rand(CLASS).softmax(0)


@pytest.fixture
def binary():
    torch.manual_seed(0)
    target = torch.randint(-1, 2, (BATCH, TIME, TASK))
    target[..., 3] = -1
    return torch.randn(BATCH, TIME, TASK), target, *torch.rand(3, TASK)


def test_label_cross_entropy_equals_the_formula(example):
    logits, target, weights, prior = example
    losses = []
    for b in range(BATCH):
        for t in range(TIME):
            probability = logits[b, t].exp() / logits[b, t].exp().sum()
            loss = 0.0
            for c in range(CLASS):
                share = (1 - SMOOTHING) * (target[b, t] == c) + SMOOTHING * prior[c]
                loss -= share * weights[c] * probability[c].log()
            losses += [loss] if target[b, t] >= 0 else []
    sums = label_cross_entropy(logits, target, weights, prior, SMOOTHING)
    torch.testing.assert_close(sums.total / sums.count, torch.stack(losses).mean().view(1))
    assert sums.count == len(losses)


def test_without_smoothing_and_weights_it_is_cross_entropy(example):
    logits, target, weights, prior = example
    sums = label_cross_entropy(logits, target, torch.ones(CLASS), prior, 0.0)
    expected = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-1, reduction="sum")
    torch.testing.assert_close(sums.total, expected.view(1))
    weighted = F.cross_entropy(logits.flatten(0, 1), target.flatten(), weights, ignore_index=-1, reduction="sum")
    torch.testing.assert_close(label_cross_entropy(logits, target, weights, prior, 0.0).total, weighted.view(1))


def test_smoothing_to_equal_shares_is_the_usual_label_smoothing(example):
    logits, target, _, _ = example
    sums = label_cross_entropy(logits, target, torch.ones(CLASS), torch.full((CLASS,), 1 / CLASS), SMOOTHING)
    flat = logits.flatten(0, 1), target.flatten()
    expected = F.cross_entropy(*flat, ignore_index=-1, reduction="sum", label_smoothing=SMOOTHING)
    torch.testing.assert_close(sums.total, expected.view(1))


def test_smoothed_to_the_end_the_best_guess_is_the_prior(example):
    _, target, _, prior = example
    logits = prior.log().expand(BATCH, TIME, CLASS).clone().requires_grad_()
    total = label_cross_entropy(logits, target, torch.ones(CLASS), prior, 1.0).total.sum()
    (gradient,) = torch.autograd.grad(total, logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0.0, atol=1e-12)


def test_each_frame_may_have_its_own_weights_and_prior(example):
    logits, target, _, _ = example
    weights, prior = torch.rand(BATCH, CLASS) + 0.1, torch.rand(BATCH, CLASS).softmax(-1)
    apart = [label_cross_entropy(*part, SMOOTHING).total for part in zip(logits, target, weights, prior, strict=True)]
    frames = weights.unsqueeze(1).expand_as(logits), prior.unsqueeze(1).expand_as(logits)
    together = label_cross_entropy(logits, target, *frames, SMOOTHING)
    torch.testing.assert_close(together.total, torch.stack(apart).sum(0))


@pytest.mark.parametrize("garbage", [1e30, math.nan, math.inf])
def test_unknown_frames_never_matter(example, binary, garbage):
    for loss, (logits, target, *rest) in ((label_cross_entropy, example), (binary_label_cross_entropy, binary)):
        known = target >= 0
        mask = known.unsqueeze(-1) if logits.dim() > target.dim() else known
        results = []
        for fill in (0.0, garbage):
            values = torch.where(mask, logits, fill).requires_grad_()
            total = loss(values, target, *rest, SMOOTHING).total.sum()
            results.append((total, *torch.autograd.grad(total, values)))
        torch.testing.assert_close(results[1], results[0], rtol=0.0, atol=0.0)
        assert not results[0][1][~known].any() and results[0][1][known].all()


def test_binary_is_the_formula_of_two_classes(binary):
    logits, target, positive, negative, prior = binary
    sums = binary_label_cross_entropy(logits, target, positive, negative, prior, SMOOTHING)
    for k in range(TASK):
        pair = torch.stack([torch.zeros(BATCH, TIME), logits[..., k]], dim=-1)
        weights, shares = torch.stack([negative[k], positive[k]]), torch.stack([1 - prior[k], prior[k]])
        own = label_cross_entropy(pair, target[..., k], weights, shares, SMOOTHING)
        torch.testing.assert_close((sums.total[k], sums.count[k]), (own.total[0], own.count[0]))
    assert sums.total[3] == 0 and sums.count[3] == 0 and (sums.count > 0).sum() == TASK - 1


def test_far_logits_stay_finite(binary):
    _, target, positive, negative, prior = binary
    logits = torch.full((BATCH, TIME, TASK), 1e4, dtype=torch.float32)
    sums = binary_label_cross_entropy(logits, target, positive, negative, prior, SMOOTHING)
    assert sums.total.isfinite().all() and sums.total[0] > 0


def test_parts_add_up_to_the_whole(example, binary):
    for loss, (logits, target, *rest) in ((label_cross_entropy, example), (binary_label_cross_entropy, binary)):
        whole = loss(logits, target, *rest, SMOOTHING)
        parts = [loss(logits[part], target[part], *rest, SMOOTHING) for part in (slice(1), slice(1, None))]
        torch.testing.assert_close(parts[0].total + parts[1].total, whole.total)
        torch.testing.assert_close(parts[0].count + parts[1].count, whole.count)


def test_half_precision_is_summed_in_single(example, binary):
    for loss, (logits, *rest) in ((label_cross_entropy, example), (binary_label_cross_entropy, binary)):
        sums = loss(logits.bfloat16(), *rest, SMOOTHING)
        assert sums.total.dtype == sums.count.dtype == torch.float32


def test_with_balanced_weights_all_classes_that_occur_weigh_the_same():
    counts = torch.tensor([[37.0, 5.0, 0.0], [2.0, 3.0, 11.0]])
    weights = balanced_class_weights(counts)
    torch.testing.assert_close(weights[0] * counts[0], torch.tensor([21.0, 21.0, 0.0]))
    torch.testing.assert_close((weights * counts).sum(-1), counts.sum(-1))
    torch.testing.assert_close(weights[1] * counts[1], torch.full((3,), 16 / 3))


def test_a_prior_sums_to_one_even_where_nothing_was_counted():
    prior = class_prior(torch.tensor([[6.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(prior, torch.tensor([[0.75, 0.25, 0.0, 0.0], [0.25] * 4]))
