"""CPC: exact horizons, contexts that do not see their targets, and the choice of anchors."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from ssl_behavior.augment import AugmentConfig
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods import CPC, CPCConfig
from ssl_behavior.methods.conv_base import EmbeddingConfig, Encoded
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.pose_geometry import SceneConfig
from ssl_behavior.skeleton import SKELETONS

FRAMES, WINDOWS = 47, 3
ENCODER = EncoderConfig(
    stride=1, latent_dim=5, embedder_dim=7, embedder_kernels=(), contexter_dim=11, contexter_dilations=(1, 2)
)
CONFIG = CPCConfig(
    features=FeatureConfig(
        blocks=("pose", "relation"), scene=SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0)
    ),
    encoder=ENCODER,
    augment=AugmentConfig(reflect=0.0, drop_keypoints=0.0),
    horizons_frames=(2, 5),
    key_dim=FRAMES,
)


def method_of(**changes):
    torch.manual_seed(0)
    return CPC(replace(CONFIG, **changes), SKELETONS["calms21"], 30.0)


@pytest.fixture
def everything():
    return torch.ones(WINDOWS, FRAMES, dtype=torch.bool)


@pytest.mark.parametrize("name", ["past", "future"])
@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_horizons_count_frames_exactly(name, shift, everything):
    """Every window has the same keys, so other windows cannot help: what is told apart is time alone."""
    method = method_of(own_negatives_every=1, own_guard_frames=1)
    keys = torch.eye(FRAMES).expand(WINDOWS, -1, -1)
    direction = 1 if name == "past" else -1
    per_horizon = [torch.roll(keys, -direction * (h + shift), dims=1).transpose(0, 1) for h in (2, 5)]
    one = torch.zeros(WINDOWS, FRAMES, dtype=torch.bool)
    one[0] = True
    metrics = terms_of(method, {name: per_horizon}, keys, everything & one, everything & one).metrics
    for horizon in (2, 5):
        accuracy, loss = (float(metrics[f"{what}/{name}_{horizon}"]) for what in ("accuracy", "info_nce"))
        assert accuracy == (shift == 0), "retrieved exactly where the prediction is of the horizon's own time"
        assert (loss < 0.01) == (shift == 0)


@pytest.mark.parametrize("order", [(2, 5), (5, 2)])
def test_horizons_keep_their_predictors_in_short_windows(order, everything):
    """A window of 5 steps has no room for a horizon of 5; horizon 2 is still predicted by its own predictor."""
    method = method_of(horizons_frames=order, own_negatives_every=1, own_guard_frames=1)
    keys = torch.eye(FRAMES)[:5].expand(1, -1, -1)
    per_horizon = [torch.roll(keys, -h, dims=1).transpose(0, 1) for h in order]
    inside = everything[:1, :5]
    metrics = terms_of(method, {"past": per_horizon}, keys, inside, inside).metrics
    assert metrics.keys() == {"info_nce/past_2", "accuracy/past_2"} and metrics["accuracy/past_2"] == 1


@pytest.mark.parametrize(("group", "first", "last"), [("past_context", 0, 20), ("future_context", 20, FRAMES - 1)])
def test_a_context_never_sees_the_side_it_predicts(group, first, last, dyad, batch_of):
    method = method_of()
    features = torch.randn(WINDOWS, FRAMES, 2, method.featurizer.num_channels, requires_grad=True)
    batch = batch_of(*(dyad(f"r{i}", FRAMES, seed=i) for i in range(WINDOWS)))
    method.featurizer.forward = lambda *_: features
    columns = columns_of(method, group)
    (gradient,) = torch.autograd.grad(method.embed(batch)[:, 20, columns].square().sum(), features)
    seen = gradient.abs().sum((0, 2, 3)).nonzero().flatten()
    assert seen.min() >= first and seen.max() <= last and 20 in seen.tolist() and len(seen) == 7


def test_the_features_look_back_only_where_nothing_is_filled(dyad, batch_of):
    method = method_of()
    batch = batch_of(dyad(frames=FRAMES))
    later = batch.keypoints.clone()
    later[:, 21:] += torch.randn(later[:, 21:].shape) * 50
    columns = columns_of(method, "past_context")
    changed = method.embed(replace(batch, keypoints=later))[..., columns]
    torch.testing.assert_close(changed[:, :21], method.embed(batch)[:, :21, columns], rtol=0.0, atol=1e-12)
    assert not torch.equal(changed[:, 21:], method.embed(batch)[:, 21:, columns])


def columns_of(method, group):
    start = 0
    for name, width in method.channel_groups.items():
        if name == group:
            return slice(start, start + width)
        start += width
    raise KeyError(group)


@pytest.mark.parametrize("own_negatives_every", [0, 2])
def test_unobserved_steps_are_neither_anchors_nor_negatives(own_negatives_every, everything):
    method = method_of(own_negatives_every=own_negatives_every, own_guard_frames=1, key_dim=11)
    torch.manual_seed(1)
    keys, queries = (F.normalize(torch.randn(WINDOWS, FRAMES, 11), dim=-1) for _ in range(2))
    predictions = {"past": [queries.transpose(0, 1)] * 2, "future": [queries.transpose(0, 1)] * 2}
    seen = torch.rand(WINDOWS, FRAMES) < 0.6
    other_keys = torch.where(seen.unsqueeze(-1), keys, F.normalize(torch.ones(11), dim=0))
    one, two = (terms_of(method, predictions, k, everything, seen).total for k in (keys, other_keys))
    assert torch.equal(one, two) and not torch.equal(
        one, terms_of(method, predictions, keys, everything, everything).total
    )


def test_own_negatives_keep_away_from_the_target(everything):
    """With a guard as wide as the window no own time is left, and only the other windows are negatives."""
    wide = method_of(own_negatives_every=1, own_guard_frames=FRAMES, key_dim=11)
    none = method_of(own_negatives_every=0, key_dim=11)
    keys = F.normalize(torch.randn(WINDOWS, FRAMES, 11), dim=-1)
    predictions = {"past": [keys.transpose(0, 1)] * 2}
    torch.testing.assert_close(*(terms_of(m, predictions, keys, everything, everything).total for m in (wide, none)))


def test_a_loss_is_the_mean_over_anchors_directions_and_horizons(dyad, batch_of):
    method = method_of()
    terms = method.loss(batch_of(*(dyad(f"r{i}", FRAMES, seed=i) for i in range(WINDOWS))), None)
    losses = [value for name, value in terms.metrics.items() if name.startswith("info_nce/")]
    assert len(losses) == 4
    torch.testing.assert_close(terms.total.detach(), torch.stack(losses).mean())


def test_window_shorter_than_every_horizon_raises(dyad, batch_of):
    with pytest.raises(InputError, match="shorter than every horizon"):
        method_of().loss(batch_of(dyad(frames=2)), None)


def terms_of(method, predictions, keys, inside, seen):
    return method.prediction._loss_terms(predictions, keys, Encoded(keys, {}, inside, seen))


WRONG = {
    "temperature": ({"temperature": 0.0}, "temperature must be above 0"),
    "off the stride": ({"encoder": replace(ENCODER, stride=3)}, "multiples of the encoder's stride"),
    "horizon 0": ({"horizons_frames": (0, 2)}, "above 0"),
    "no horizon": ({"horizons_frames": ()}, "horizons_frames"),
    "key": ({"key_dim": 0}, "key_dim"),
    "own negatives": ({"own_negatives_every": -1}, "own_"),
}


@pytest.mark.parametrize("case", WRONG)
def test_impossible_settings_are_refused(case):
    changes, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        replace(CONFIG, **changes)


def test_impossible_embeddings_are_refused():
    with pytest.raises(InputError, match=r"unknown extras \['weather'\]; known: \['time', 'walls'\]"):
        EmbeddingConfig(extras=("weather",))
    for twice in ({"feature_window_frames": (30, 30)}, {"extras": ("time", "time")}):
        with pytest.raises(InputError, match="duplicate"):
            EmbeddingConfig(**twice)
    with pytest.raises(InputError, match="latent_window_frames must be at least 1"):
        EmbeddingConfig(latent_window_frames=(0,))
    with pytest.raises(InputError, match="feature_window_frames must be at least 1"):
        EmbeddingConfig(feature_window_frames=(0,))
