import math

import torch
import torch.nn.functional as F

from ssl_behavior.objectives import dense_info_nce

TIME, SEQUENCES, LATENT = 7, 5, 11


def usable(*shape):
    return torch.ones(*shape, dtype=torch.bool)


def test_identical_keys_cost_log_of_the_batch():
    query, key = torch.randn(TIME, SEQUENCES, LATENT), torch.ones(TIME, SEQUENCES, LATENT)
    parts = dense_info_nce(query, key, usable(TIME, SEQUENCES), usable(TIME, SEQUENCES), 0.1)
    torch.testing.assert_close(parts.loss / parts.count, torch.tensor(math.log(SEQUENCES)))
    assert parts.correct == 0, "a collapsed encoder retrieves nothing"


def test_perfect_predictions_of_orthogonal_keys():
    key = torch.eye(LATENT)[:SEQUENCES].expand(TIME, -1, -1)
    parts = dense_info_nce(key, key, usable(TIME, SEQUENCES), usable(TIME, SEQUENCES), 0.5)
    torch.testing.assert_close(parts.loss / parts.count, torch.tensor(math.log(1 + (SEQUENCES - 1) * math.exp(-2))))
    assert parts.correct == parts.count == TIME * SEQUENCES


def test_unusable_points_never_matter():
    torch.manual_seed(0)
    query, key = torch.randn(TIME, SEQUENCES, LATENT), torch.randn(TIME, SEQUENCES, LATENT)
    negatives, allowed = torch.randn(SEQUENCES, 3, LATENT), torch.rand(TIME, SEQUENCES, 3) < 0.5
    allowed[:, :, 1] = False
    usable_query, usable_key = torch.rand(TIME, SEQUENCES) < 0.6, torch.rand(TIME, SEQUENCES) < 0.6
    first = dense_info_nce(query, key, usable_query, usable_key, 0.3, 0, negatives, allowed)
    other_query = torch.where(usable_query.unsqueeze(-1), query, 9.0)
    other_key = torch.where(usable_key.unsqueeze(-1), key, -7.0)
    other_negatives = negatives.clone()
    other_negatives[:, 1] = 5.0
    second = dense_info_nce(other_query, other_key, usable_query, usable_key, 0.3, 0, other_negatives, allowed)
    torch.testing.assert_close(vars(second), vars(first), rtol=0.0, atol=0.0)


def test_gradients_stay_finite_where_nothing_is_usable():
    query = torch.randn(TIME, SEQUENCES, LATENT, requires_grad=True)
    key = torch.randn(TIME, SEQUENCES, LATENT, requires_grad=True)
    usable_key = usable(TIME, SEQUENCES)
    usable_key[2] = False
    negatives, allowed = torch.randn(SEQUENCES, 3, LATENT), torch.zeros(TIME, SEQUENCES, 3, dtype=torch.bool)
    parts = dense_info_nce(query, key, usable(TIME, SEQUENCES), usable_key, 0.1, 0, negatives, allowed)
    gradients = torch.autograd.grad(parts.loss, (query, key))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert not gradients[0][2].any() and gradients[0][3].any() and parts.count == (TIME - 1) * SEQUENCES


def test_no_usable_point_has_zero_loss():
    query = torch.randn(TIME, SEQUENCES, LATENT, requires_grad=True)
    nothing = torch.zeros(TIME, SEQUENCES, dtype=torch.bool)
    parts = dense_info_nce(query, query.detach(), usable(TIME, SEQUENCES), nothing, 0.1)
    assert parts.loss == 0 and parts.count == 0 and parts.correct == 0
    assert not torch.autograd.grad(parts.loss, query)[0].any()


def test_bfloat16_scores_are_summed_in_float32():
    torch.manual_seed(0)
    query, key = (F.normalize(torch.randn(TIME, SEQUENCES, LATENT), dim=-1) for _ in range(2))
    mask = usable(TIME, SEQUENCES)
    low = dense_info_nce(query.bfloat16(), key.bfloat16(), mask, mask, 0.1)
    assert low.loss.dtype == torch.float32
    torch.testing.assert_close(low.loss.double(), dense_info_nce(query, key, mask, mask, 0.1).loss, rtol=0.02, atol=0.0)
