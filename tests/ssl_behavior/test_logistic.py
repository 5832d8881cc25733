"""Logistic regression against scikit-learn: the same optimum, weighted or not, multinomial or binary."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from ssl_behavior.logistic import PENALTIES, Design, class_weights, fit_head, prior_logits

FRAMES, DIM, CLASSES = 601, 11, 4


def scene(seed=0):
    """Correlated dimensions and one rare class."""
    generator = torch.Generator().manual_seed(seed)
    mixing, weights = torch.randn(DIM, DIM, generator=generator), torch.randn(DIM, CLASSES, generator=generator)
    embedded = torch.randn(FRAMES, DIM, generator=generator) @ mixing
    embedded = (embedded - embedded.mean(0)) / embedded.std(0)
    noise = 2 * torch.randn(FRAMES, CLASSES, generator=generator)
    label = (embedded @ weights + noise + torch.tensor([0.0, 0, -1, -3])).argmax(1)
    return embedded, torch.nn.functional.one_hot(label, CLASSES), label.numpy()


def sklearn_fit(embedded, label, c, balanced):
    model = LogisticRegression(C=c, class_weight="balanced" if balanced else None, tol=1e-10, max_iter=10_000)
    return model.fit(embedded.numpy(), label)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("c", [1e-3, 0.1])
def test_multinomial_equals_scikit_learn(c, balanced):
    embedded, target, label = scene()
    head = fit_head(Design(embedded, target, "multinomial", balanced), 1 / (c * FRAMES), tolerance=1e-12, max_steps=500)
    expected = sklearn_fit(embedded, label, c, balanced)
    np.testing.assert_allclose(head.weights.T.numpy(), expected.coef_, atol=1e-4)
    probability = head.probabilities(embedded)
    np.testing.assert_allclose(probability.numpy(), expected.predict_proba(embedded.numpy()), atol=1e-4)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fewer_frames_than_dimensions_equal_scikit_learn_too(balanced, dtype):
    embedded, target, label = scene()
    few, c = slice(0, 97), 0.05
    generator = torch.Generator().manual_seed(1)
    wide = torch.cat([embedded[few], torch.randn(97, 211, generator=generator), embedded[few, :1]], dim=1)
    design = Design(wide.to(dtype), target[few], "multinomial", balanced)
    assert len(design.scale) == 97
    start = fit_head(design, 1.0)
    head = fit_head(design, 1 / (c * 97), start, tolerance=1e-12, max_steps=500)
    expected = sklearn_fit(wide, label[few], c, balanced)
    np.testing.assert_allclose(head.weights.T.numpy(), expected.coef_, atol=2e-3 if dtype == torch.float32 else 1e-4)


@pytest.mark.parametrize("balanced", [False, True])
def test_binary_equals_scikit_learn_class_by_class_with_gaps_and_a_c_for_each(balanced):
    embedded, target, _ = scene()
    target[50:117, 1] = -1
    grid = [0.01, 0.1, 0.3, 1.0]
    penalties = [1 / (c * FRAMES) for c in grid]
    head = fit_head(Design(embedded, target, "binary", balanced), penalties, tolerance=1e-12, max_steps=500)
    for column, c in enumerate(grid):
        known = target[:, column] >= 0
        expected = sklearn_fit(embedded[known], target[known, column].numpy(), c, balanced)
        np.testing.assert_allclose(head.weights[:, column].numpy(), expected.coef_[0], atol=2e-4)
        np.testing.assert_allclose(head.bias[column].item(), expected.intercept_[0], atol=2e-4)


def test_single_precision_and_a_warm_start_reach_the_same_place():
    embedded, target, _ = scene()
    exact = fit_head(Design(embedded, target, "multinomial", False), 0.01, tolerance=1e-12, max_steps=500)
    single = Design(embedded.float(), target, "multinomial", False)
    warm = fit_head(single, 0.01, fit_head(single, 1.0))
    assert warm.weights.dtype == torch.float32
    torch.testing.assert_close(
        warm.probabilities(embedded.float()).double(), exact.probabilities(embedded), atol=2e-3, rtol=0
    )


def test_the_gradient_is_the_derivative_of_the_loss():
    embedded, target, _ = scene()
    target[3:30, 0] = -1
    for kind in ("multinomial", "binary"):
        labeled = target.clamp_min(0) if kind == "multinomial" else target
        design = Design(embedded, labeled, kind, True)
        logits = torch.randn(CLASSES, FRAMES, generator=torch.Generator().manual_seed(1)).requires_grad_()
        loss, derivative = design.loss_and_gradient(logits)
        torch.testing.assert_close(torch.autograd.grad(loss, logits)[0], derivative.detach())


def test_balanced_weights_give_classes_equal_sums():
    _, target, label = scene()
    weights = class_weights(target, "multinomial")[:, 0]
    sums = torch.stack([weights[torch.from_numpy(label == k)].sum() for k in range(CLASSES)])
    torch.testing.assert_close(sums, torch.full((CLASSES,), FRAMES / CLASSES))


def test_constant_and_repeated_dimensions_do_no_harm():
    embedded, target, _ = scene()
    wide = torch.cat([embedded, embedded[:, :1], torch.zeros(FRAMES, 1)], dim=1)
    head = fit_head(Design(wide, target, "multinomial", False), 0.01)
    assert torch.isfinite(head.weights).all()
    torch.testing.assert_close(head.weights[0], head.weights[DIM], atol=1e-4, rtol=0)
    assert (head.weights[-1].abs() < 1e-6).all()


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("kind", ["multinomial", "binary"])
def test_as_the_penalty_grows_the_head_tends_to_the_class_shares(kind, balanced):
    embedded, target, _ = scene()
    prior = prior_logits(target, kind, balanced)
    shares = prior.softmax(0) if kind == "multinomial" else prior.sigmoid()
    if not balanced:
        torch.testing.assert_close(shares.float(), target.float().mean(0))
    design, far = Design(embedded, target, kind, balanced), []
    for penalty in (1e6, 1e3, *PENALTIES):
        head = fit_head(design, penalty, tolerance=1e-12, max_steps=500)
        far.append(float((head.probabilities(embedded) - shares.float()).abs().max()))
    assert far[0] < 1e-4 and far[1] < 1e-2 and far[:8] == sorted(far[:8])


@pytest.mark.parametrize("kind", ["multinomial", "binary"])
def test_a_shrunk_head_is_a_part_of_the_way_from_the_class_shares(kind):
    embedded, target, _ = scene()
    head, prior = fit_head(Design(embedded, target, kind, False), 1e-3), prior_logits(target, kind, False)
    torch.testing.assert_close(head.shrunk(torch.ones(CLASSES), prior).logits(embedded), head.logits(embedded))
    nothing = head.shrunk(torch.zeros(CLASSES), prior).probabilities(embedded)
    torch.testing.assert_close(nothing, target.to(nothing).mean(0).expand(FRAMES, CLASSES))
    half = head.shrunk(torch.full((CLASSES,), 0.5), prior).logits(embedded)
    torch.testing.assert_close(half, (head.logits(embedded) + prior.to(half)) / 2)
