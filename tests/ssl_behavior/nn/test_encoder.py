from dataclasses import replace

import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.nn import Contexters, Embedder, EncoderConfig, pad_to_multiple, to_frames

BATCH, STEPS, ANIMALS, CHANNELS = 2, 19, 2, 5
CONFIG = EncoderConfig(
    stride=3, latent_dim=7, embedder_dim=11, embedder_kernels=(3, 5), contexter_dim=13, contexter_dilations=(1, 2)
)


def features_of(stride, steps=STEPS):
    return torch.randn(BATCH, steps * stride, ANIMALS, CHANNELS)


def all_valid(features):
    return torch.ones(features.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize("stride", [1, 3])
def test_latents_depend_on_their_receptive_field(stride):
    embedder = Embedder(replace(CONFIG, stride=stride), CHANNELS, ANIMALS, False)
    features = features_of(stride).requires_grad_()
    latents, inside = embedder(features, all_valid(features))
    assert latents.shape == (BATCH, STEPS, 7) and inside.all()
    (gradient,) = torch.autograd.grad(latents[:, 9].square().sum(), features)
    frames = gradient.abs().sum((0, 2, 3)).nonzero().flatten()
    before, after = embedder.receptive_field
    assert (before, after) == (6, 6)
    assert (int(frames.min()), int(frames.max())) == ((9 - before) * stride, (9 + after + 1) * stride - 1)


@pytest.mark.parametrize("animals", ["pooled", "concatenated"])
def test_only_pooled_views_have_no_order(animals):
    embedder = Embedder(replace(CONFIG, animals=animals), CHANNELS, ANIMALS, False)
    features = features_of(3)
    latents, _ = embedder(features, all_valid(features))
    swapped, _ = embedder(features.flip(2), all_valid(features))
    if animals == "pooled":
        torch.testing.assert_close(swapped, latents, rtol=0.0, atol=1e-12)
    else:
        assert (swapped - latents).abs().mean() > 1e-2


@pytest.mark.parametrize(("exchangeable", "animals"), [(True, "pooled"), (False, "concatenated")])
def test_skeleton_decides_auto_pooling(exchangeable, animals):
    assert Embedder(CONFIG, CHANNELS, ANIMALS, exchangeable).views.animals == animals
    assert Embedder(replace(CONFIG, animals="first"), CHANNELS, ANIMALS, exchangeable).views.animals == "first"


@pytest.mark.parametrize("animals", ["pooled", "concatenated", "first"])
def test_padding_never_matters_to_the_embedder(animals):
    embedder = Embedder(replace(CONFIG, animals=animals), CHANNELS, ANIMALS, False)
    features = features_of(3)[:, :, : 1 if animals == "first" else ANIMALS]
    valid = torch.zeros(features.shape[:2], dtype=torch.bool)
    valid[:, 12:30] = True
    latents, inside = embedder(features, valid)
    alone, _ = embedder(features[:, 12:30], all_valid(features)[:, 12:30])
    assert inside[0].nonzero().flatten().tolist() == list(range(4, 10))
    torch.testing.assert_close(latents[:, 4:10], alone, rtol=0.0, atol=1e-12)


def test_a_step_is_inside_if_any_of_its_frames_is():
    embedder = Embedder(CONFIG, CHANNELS, ANIMALS, False)
    features = features_of(3, 3)
    valid = all_valid(features)
    valid[0, 4:] = False
    assert embedder(features, valid)[1].tolist() == [[True, True, False], [True, True, True]]


@pytest.mark.parametrize("directions", ["forward", "backward", "both"])
def test_contexts_look_one_way_each(directions):
    contexters = Contexters(replace(CONFIG, directions=directions))
    latents = torch.randn(BATCH, STEPS, 7, requires_grad=True)
    contexts = contexters(latents, torch.ones(BATCH, STEPS, dtype=torch.bool))
    wanted = {"forward": {"past"}, "backward": {"future"}, "both": {"past", "future"}}[directions]
    assert contexts.keys() == wanted
    for name, context in contexts.items():
        (gradient,) = torch.autograd.grad(context[:, 9].square().sum(), latents, retain_graph=True)
        steps = gradient.abs().sum((0, 2)).nonzero().flatten().tolist()
        receptive_field = 2 * (1 + 2)
        assert (min(steps), max(steps)) == ((9 - receptive_field, 9) if name == "past" else (9, 9 + receptive_field))
    assert contexters.receptive_field == (6 * ("past" in wanted), 6 * ("future" in wanted))


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_latents_linear_in_time_stay_linear_and_ends_are_held(stride):
    steps, slope = 7, torch.tensor([1.0, -2.0, 0.5])
    middles = torch.arange(steps) * stride + (stride - 1) / 2
    latents = (middles.unsqueeze(-1) * slope).expand(BATCH, -1, -1)
    frames = to_frames(latents, torch.ones(BATCH, steps, dtype=torch.bool), stride, steps * stride)
    clamped = torch.arange(steps * stride).double().clamp(middles[0], middles[-1])
    torch.testing.assert_close(frames[1], clamped.unsqueeze(-1) * slope)


def test_interpolation_never_reaches_outside_the_recording():
    latents = torch.randn(BATCH, 7, 5)
    inside = torch.zeros(BATCH, 7, dtype=torch.bool)
    inside[:, 2:5] = True
    frames = to_frames(latents, inside, 3, 21)
    changed = torch.where(inside.unsqueeze(-1), latents, torch.tensor(99.0))
    assert torch.equal(to_frames(changed, inside, 3, 21), frames)
    torch.testing.assert_close(frames[:, 6:15], to_frames(latents[:, 2:5], inside[:, 2:5], 3, 9))


def test_interpolation_is_as_exact_late_as_early():
    torch.set_default_dtype(torch.float32)
    steps = torch.randn(1, 11, 3)
    late = torch.cat([torch.zeros(1, 400_000, 3), steps], dim=1)
    frames = to_frames(late, torch.ones(1, 400_011, dtype=torch.bool), 3, 1_200_033)
    expected = to_frames(steps, torch.ones(1, 11, dtype=torch.bool), 3, 33)
    assert torch.equal(frames[:, 1_200_002:], expected[:, 2:])


def test_padding_to_a_multiple_appends_zeros():
    values = torch.ones(2, 7, 3)
    assert pad_to_multiple(values, 7) is values
    padded = pad_to_multiple(values, 5)
    assert padded.shape == (2, 10, 3) and padded[:, :7].all() and not padded[:, 7:].any()
    assert not pad_to_multiple(torch.ones(2, 7, dtype=torch.bool), 4)[:, 7:].any()


@pytest.mark.parametrize(
    "values",
    [{"stride": 0}, {"latent_dim": 0}, {"embedder_kernels": (3, 0)}, {"contexter_dilations": ()},
     {"contexter_dilations": (0,)}, {"contexter_second_kernel": 0}],
)  # fmt: skip
def test_impossible_sizes_are_refused(values):
    with pytest.raises(InputError, match="encoder: "):
        replace(CONFIG, **values)


def test_an_even_kernel_of_the_embedder_is_refused():
    with pytest.raises(InputError, match="odd kernel"):
        Embedder(replace(CONFIG, embedder_kernels=(4,)), CHANNELS, ANIMALS, False)
