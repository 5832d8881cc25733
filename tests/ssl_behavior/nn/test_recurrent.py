import pytest
import torch

from ssl_behavior.nn import RecurrentEncoder, TrajectoryDecoder

STEPS, ORDER, BATCH, CHANNEL = 5, 2, 3, 7
HIDDEN, FC, LATENT = 11, 13, 17


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return RecurrentEncoder(CHANNEL, HIDDEN, FC, LATENT)


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return TrajectoryDecoder(CHANNEL, LATENT, HIDDEN, FC)


def steps_of(order=1):
    return torch.randn(STEPS, order, BATCH, CHANNEL)


def all_known():
    return torch.ones(STEPS, BATCH, dtype=torch.bool)


def trajectories():
    states, actions = torch.randn(2, STEPS, BATCH, CHANNEL)
    return states, torch.rand(STEPS, BATCH, CHANNEL) < 0.7, actions, torch.randn(BATCH, LATENT)


def test_encoder_equals_bidirectional_gru_mean_and_two_layers(encoder):
    steps, known = steps_of(), torch.rand(STEPS, BATCH) < 0.6
    known[0] = True
    mean, log_variance = encoder(steps, known)
    for i in range(BATCH):
        hidden, _ = encoder.gru(steps[:, 0, i])
        code = encoder.layers(hidden[known[:, i]].mean(0))
        torch.testing.assert_close(torch.cat([mean[i], log_variance[i]]), code)


def test_every_step_is_seen_from_both_sides(encoder):
    steps = steps_of().requires_grad_()
    known = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    known[2] = True
    mean, _ = encoder(steps, known)
    (gradient,) = torch.autograd.grad(mean[1].sum(), steps)
    assert gradient[:, :, 1].all() and not gradient[:, :, [0, 2]].any()


def test_the_order_of_the_orders_does_not_matter(encoder):
    steps = steps_of(ORDER)
    one, two = encoder(steps, all_known()), encoder(steps.flip(1), all_known())
    torch.testing.assert_close(one, two, rtol=0.0, atol=1e-12)
    alone = encoder(steps[:, :1], all_known())
    assert (alone[0] - one[0]).abs().max() > 1e-4
    torch.testing.assert_close(encoder(steps[:, :1].expand(-1, 3, -1, -1), all_known()), alone)


def test_nothing_known_gives_finite_latents(encoder):
    steps = steps_of().requires_grad_()
    mean, log_variance = encoder(steps, ~all_known())
    assert torch.isfinite(mean).all() and torch.isfinite(log_variance).all()
    assert not torch.autograd.grad(mean.sum() + log_variance.sum(), steps)[0].any()


def test_variances_stay_in_bounds(encoder, decoder):
    with torch.no_grad():
        for last in (encoder.layers[-1], decoder.layers[-1]):
            last.bias.copy_(torch.linspace(-1e4, 1e4, len(last.bias)))
    for log_variance in (encoder(steps_of(), all_known())[1], decoder(*trajectories())[1]):
        assert log_variance.abs().max() == 16.0


def test_an_action_is_decoded_from_its_state_the_latents_and_what_was_before(decoder):
    states, known, actions, latents = trajectories()
    inputs = [states.requires_grad_(), actions.requires_grad_(), latents.requires_grad_()]
    mean, log_variance = decoder(states, known, actions, latents)
    total = (mean[3, 1] + log_variance[3, 1]).sum()
    by_state, by_action, by_latent = torch.autograd.grad(total, inputs)
    assert by_state[:4, 1].all() and not by_state[4:].any() and not by_state[:, [0, 2]].any()
    assert by_action[:3, 1].all() and not by_action[3:].any() and not by_action[:, [0, 2]].any()
    assert by_latent[1].all() and not by_latent[[0, 2]].any()


def test_masks_change_the_decoded_action(decoder):
    states, known, actions, latents = trajectories()
    other = known.clone()
    other[0, 1, 4] = ~other[0, 1, 4]
    changed = (decoder(states, other, actions, latents)[0] != decoder(states, known, actions, latents)[0]).any(-1)
    assert changed[:, 1].all() and not changed[:, [0, 2]].any()


@pytest.mark.parametrize("noisy", [False, True])
def test_a_rollout_is_the_decoder_fed_with_its_own_actions(decoder, noisy):
    states, _, _, latents = trajectories()
    size, noise = torch.rand(CHANNEL) + 0.5, torch.randn(STEPS, BATCH, CHANNEL) * noisy
    rolled = decoder.rollout(states[0], latents, size, noise)
    assert rolled.shape == (STEPS + 1, BATCH, CHANNEL)
    torch.testing.assert_close(rolled[0], states[0], rtol=0.0, atol=0.0)
    # Teacher-forced along what was rolled out, the decoder says the actions that were taken.
    actions = (rolled[1:] - rolled[:-1]) / size
    mean, log_variance = decoder(rolled[:-1], torch.ones(STEPS, BATCH, CHANNEL, dtype=torch.bool), actions, latents)
    torch.testing.assert_close(actions, mean + noise * (log_variance / 2).exp())


def test_gradients_of_a_rollout_reach_latents_and_start(decoder):
    states, _, _, latents = trajectories()
    first, latents = states[0].requires_grad_(), latents.requires_grad_()
    rolled = decoder.rollout(first, latents, torch.ones(CHANNEL), torch.zeros(STEPS, BATCH, CHANNEL))
    gradients = torch.autograd.grad(rolled[-1, 1].sum(), (first, latents))
    assert all(gradient[1].all() and not gradient[[0, 2]].any() for gradient in gradients)
