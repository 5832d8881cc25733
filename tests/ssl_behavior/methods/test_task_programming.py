"""Trajectory autoencoder: its windows, decoded trajectories and attributes."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from ssl_behavior.augment import AugmentConfig
from ssl_behavior.errors import InputError
from ssl_behavior.methods.base import LossTerms
from ssl_behavior.methods.task_programming import TaskProgramming, TaskProgrammingConfig
from ssl_behavior.methods.task_programming_heads import HeadsConfig, ProgramHeads
from ssl_behavior.pose_geometry import SceneConfig
from ssl_behavior.programs import ProgramsConfig
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.trajectory_coder import StateConfig
from ssl_behavior.windows import WindowReader

FRAMES, WINDOW, LATENT = 67, 11, 3
NO_HEADS = HeadsConfig(regression=0.0, classification=0.0, contrastive=0.0)
ALL_HEADS = HeadsConfig(regression=0.5, classification=0.5, contrastive=0.5, projection_dim=5)
STILL = AugmentConfig(reflect=0.0, drop_keypoints=0.0)
CONFIG = TaskProgrammingConfig(
    state=StateConfig(pose_components=5, scene=SceneConfig(fill_gap_frames=0, hold_frames=0, max_jump=0.0)),
    programs=ProgramsConfig(names=("speed", "nose_movement", "facing_angle", "distance_change", "elongation")),
    augment=STILL, window_frames=WINDOW, gru_dim=7, fc_dim=13, latent_dim=LATENT, heads=ALL_HEADS,
)  # fmt: skip
SPEEDS = ProgramsConfig(names=("speed", "distance_change", "elongation"))


@pytest.fixture
def method_of(dyad, tmp_path):
    """A fitted method, and a reader of three recordings."""

    def make(skeleton="calms21", missing=0.0, **changes):
        folder = tmp_path / f"s{len(list(tmp_path.iterdir()))}"
        store = write_store(folder, [dyad(f"r{seed}", FRAMES, skeleton, seed, missing) for seed in range(3)])
        reader = WindowReader([(store, row) for row in store.rows], FRAMES)
        torch.manual_seed(0)
        method = TaskProgramming(replace(CONFIG, **changes), store.skeleton, 30.0)
        method.fit_inputs(reader)
        return method, reader

    return make


def read(reader, *spans):
    return reader.read(list(spans)).to("cpu", torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def freedom(skeleton):
    """Components with which poses come back exactly."""
    return StateConfig(pose_components={"calms21": 11, "rat_dyads": 7}[skeleton], scene=CONFIG.state.scene)


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_an_embedding_is_the_posterior_of_the_window_around_its_frame(method_of, missing):
    method, reader = method_of(missing=missing)
    batch = read(reader, (1, 0, FRAMES))
    states, known = (values[0].flatten(1) for values in method.coder.states(batch))
    sizes = [spread.repeat(2) for spread in (method.coder.state_spread, method.coder.action_spread)]
    embedded = method.embed(batch)
    for t in (0, 2, 5, 31, FRAMES - 1):
        frames = [min(max(t + k, 0), FRAMES - 1) for k in range(-5, 6)]
        steps, seen = [], []
        for now, after in pairwise(frames):
            action = (states[after] - states[now]) * (known[after] & known[now])
            steps.append(torch.cat([states[now] / sizes[0], known[now].double(), action / sizes[1]]))
            seen.append(known[now].any())
        mean, _ = method.encoder(torch.stack(steps)[:, None, None], torch.stack(seen)[:, None])
        torch.testing.assert_close(embedded[0, t, :LATENT], mean[0])


def test_embeddings_do_not_depend_on_how_many_windows_are_encoded_together(method_of, monkeypatch):
    method, reader = method_of("rat_dyads", missing=0.1)
    batch = read(reader, (0, 0, FRAMES), (2, 0, FRAMES))
    together = method.embed(batch)
    monkeypatch.setattr("ssl_behavior.methods.task_programming._WINDOWS_TOGETHER", {"cpu": 20})
    torch.testing.assert_close(method.embed(batch), together)


def test_encoder_input_excludes_program_values(method_of):
    method, reader = method_of()
    batch = read(reader, (0, 0, FRAMES))
    embedded = method.embed(batch)
    assert method.encoder.gru.input_size == 3 * 2 * method.coder.num_states
    with torch.no_grad():
        for buffer in (method.programs.thresholds, method.programs.median):
            buffer.add_(3.0)
    method.programs.evaluate = None
    assert torch.equal(method.embed(batch), embedded)


def test_long_windows_are_cut_into_short_ones(method_of):
    method, reader = method_of(programs=ProgramsConfig(names=("facing_angle", "elongation", "nose_tail_distance")))
    long = read(reader, (0, 3, 3 * WINDOW + 4), (1, 20, 3 * WINDOW + 4))
    starts = [(pick, start + k * WINDOW, WINDOW) for pick, start in ((0, 3), (1, 20)) for k in range(3)]
    one, two = method.loss(long, None), method.loss(read(reader, *starts), None)
    torch.testing.assert_close(one.terms, two.terms)
    torch.testing.assert_close(one.metrics, two.metrics)


def test_windows_whose_middle_is_padding_do_not_count(method_of):
    method, reader = method_of()
    padded, alone = read(reader, (0, -WINDOW, 3 * WINDOW)), read(reader, (0, 0, 2 * WINDOW))
    torch.testing.assert_close(method.loss(padded, None).terms, method.loss(alone, None).terms)


@pytest.fixture
def head_targets(monkeypatch):
    """What the heads were told, in the order of calls."""
    calls = []

    def decode(heads, points, targets):
        calls.append(targets)
        return LossTerms({})

    monkeypatch.setattr(ProgramHeads, "decode", decode)
    return calls


def test_attributes_are_those_of_the_middle_frame(method_of, head_targets):
    method, reader = method_of()
    batch = read(reader, (0, 0, 3 * WINDOW))
    method.loss(batch, None)
    values, known = method.programs.attributes(batch)
    middle = [5, 16, 27]
    torch.testing.assert_close(head_targets[0].values, method.programs.standardized(values[0, middle]))
    assert torch.equal(head_targets[0].known, known[0, middle])
    assert torch.equal(head_targets[0].classes, method.programs.classes(values[0, middle]))


@pytest.mark.parametrize(
    ("programs", "augment", "stay"),
    [
        ("speed", replace(STILL, rotate=1.0, translate=1.0, reflect=1.0), True),
        ("speed", replace(STILL, swap=1.0), False),
        ("speed", replace(STILL, jitter_px=1.0), False),
        ("head_body_angle", replace(STILL, rotate=1.0), True),
        ("head_body_angle", replace(STILL, reflect=1.0), False),
        ("wall_distance", replace(STILL, rotate=1.0), False),
        ("wall_distance", replace(STILL, drop_keypoints=0.5), True),
    ],
)
def test_attributes_that_an_augmentation_changes_are_evaluated_anew(method_of, head_targets, programs, augment, stay):
    method, reader = method_of(programs=ProgramsConfig(names=(programs,)), augment=augment)
    batch = read(reader, (0, 0, 5 * WINDOW))
    evaluated, evaluate = [], method.programs.attributes
    method.programs.attributes = lambda batch: evaluated.append(batch) or evaluate(batch)
    method.loss(batch, generator())
    assert len(evaluated) == (1 if stay else 2)
    first, second = head_targets[0].values.chunk(2)
    assert torch.equal(first, second) == stay
    if not stay:
        expected = method.programs.standardized(evaluate(evaluated[1])[0][0, 5::WINDOW])
        torch.testing.assert_close(second, expected)


def test_hidden_points_are_hidden_from_the_encoder_and_not_from_the_programs(method_of, head_targets):
    # Jitter, so that the attributes of the second view are evaluated for themselves.
    method, reader = method_of(augment=replace(STILL, drop_keypoints=0.2, drop_frames=3, jitter_px=1e-6))
    batch = read(reader, (0, 0, 5 * WINDOW))
    views = []
    method.encoder.register_forward_hook(lambda module, inputs, _: views.append(inputs[0]))
    method.loss(batch, generator())
    known = views[0][..., 18:36]
    assert (known == 0).any() and known.all(dim=0)[:, :5].all(), "the first view is as it is"
    assert head_targets[0].known.all()


def test_unobserved_windows_have_zero_loss(method_of, head_targets, monkeypatch):
    method, reader = method_of()
    batch = read(reader, (0, 0, 3 * WINDOW))
    nothing = torch.zeros_like(batch.observed)
    monkeypatch.setattr(
        "ssl_behavior.methods.task_programming.hidden",
        lambda view, *_: replace(view, observed=nothing, keypoints=torch.zeros_like(view.keypoints)),
    )
    method.loss(batch, generator())
    first, second = head_targets[0].known.chunk(2)
    assert first.all() and not second.any()


def true_rollout(method, batch):
    """A decoder that decodes the actions that were taken."""
    actions, _ = method.coder.actions(*method.coder.states(batch))
    orders = [actions, actions.flip(2)] if method.skeleton.exchangeable else [actions]
    steps = torch.cat([(order / method.coder.action_spread).flatten(2) for order in orders]).transpose(0, 1)
    return lambda first, latents, size, noise: torch.cat([first.unsqueeze(0), first + (steps * size).cumsum(0)])


@pytest.mark.parametrize("skeleton", ["calms21", "rat_dyads"])
def test_true_trajectories_are_consistent_and_others_are_not(method_of, skeleton, monkeypatch):
    method, reader = method_of(skeleton, programs=SPEEDS, state=freedom(skeleton))
    # The programs look two frames to each side, so a window of 11 says all there is to say of its middle.
    batch = read(reader, (0, 0, WINDOW), (1, 7, WINDOW), (2, 31, WINDOW))
    assert method.loss(batch, None).terms["consistency"] > 1e-3
    monkeypatch.setattr(method.decoder, "rollout", true_rollout(method, batch))
    torch.testing.assert_close(method.loss(batch, None).terms["consistency"], torch.tensor(0.0), rtol=0.0, atol=1e-12)
    forwards = true_rollout(method, batch)
    monkeypatch.setattr(method.decoder, "rollout", lambda *arguments: forwards(*arguments).flip(0))
    # Speeds at the middle are the same in both directions, whether the animals come nearer is not.
    assert method.loss(batch, None).terms["consistency"] > 1e-3


def test_consistency_has_gradients_in_encoder_and_decoder(method_of):
    method, reader = method_of(likelihood=0.0, kl=0.0, heads=NO_HEADS)
    method.loss(read(reader, (0, 0, FRAMES)), generator()).total.backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad.any(), name


def test_trajectories_with_unknown_start_do_not_count(method_of):
    method, reader = method_of(likelihood=0.0, kl=0.0, heads=NO_HEADS)
    batch = read(reader, (0, 0, WINDOW), (1, 7, WINDOW))
    observed = batch.observed.clone()
    observed[0, 0, 1] = False
    hidden = replace(batch, observed=observed, keypoints=batch.keypoints * observed.unsqueeze(-1))
    alone = method.loss(hidden.part(1, 2), None).terms["consistency"]
    torch.testing.assert_close(method.loss(hidden, None).terms["consistency"], alone)
    assert method.loss(hidden.part(0, 1), None).terms["consistency"] == 0


def test_decoded_actions_are_noisy_in_training_only(method_of, monkeypatch):
    method, reader = method_of(likelihood=0.0, kl=0.0, heads=NO_HEADS, action_noise=0.3)
    batch, drawn, rollout = read(reader, (0, 0, FRAMES), (1, 0, FRAMES)), [], method.decoder.rollout
    monkeypatch.setattr(method.decoder, "rollout", lambda *a: drawn.append(a[3]) or rollout(*a))
    method.loss(batch, generator())
    method.loss(batch, None)
    torch.testing.assert_close(drawn[0].std(), torch.tensor(0.3), rtol=0.05, atol=0.0)
    assert not drawn[1].any()


@pytest.mark.parametrize("skeleton", ["calms21", "rat_dyads"])
def test_the_likelihood_is_that_of_every_known_action(method_of, skeleton):
    """The sum over a window's known numbers, by the formula, from what the decoder says; the mean over orders."""
    method, reader = method_of(skeleton, missing=0.1, heads=NO_HEADS, consistency=0.0)
    batch = read(reader, (0, 0, WINDOW), (1, 7, WINDOW))
    decoded = []
    method.decoder.register_forward_hook(lambda module, inputs, output: decoded.append(output))
    terms = method.loss(batch, None)
    actions, known = method.coder.actions(*method.coder.states(batch))
    actions = actions / method.coder.action_spread
    orders = [(actions, known), (actions.flip(2), known.flip(2))][: 2 if method.skeleton.exchangeable else 1]
    actions, known = (torch.cat([values.flatten(2) for values in order]) for order in zip(*orders, strict=True))
    mean, log_variance = (values.transpose(0, 1) for values in decoded[0])
    normal = torch.distributions.Normal(mean, log_variance.exp().sqrt())
    expected = -(normal.log_prob(actions) * known).sum()
    torch.testing.assert_close(terms.terms["likelihood"], expected / len(actions))
    torch.testing.assert_close(terms.metrics["nats_per_number"], expected / known.sum())


@pytest.mark.parametrize(
    ("changes", "training", "validation"),
    [
        (
            {},
            "kl likelihood augmented_kl augmented_likelihood regression classification contrastive consistency",
            "kl likelihood regression classification contrastive consistency",
        ),
        ({"augmented": 0.0, "heads": NO_HEADS}, "kl likelihood consistency", "kl likelihood consistency"),
        ({"kl": 0.0, "consistency": 0.0, "heads": NO_HEADS}, "likelihood augmented_likelihood", "likelihood"),
        (
            {"likelihood": 0.0, "consistency": 0.0, "augmented": 0.0},
            "kl regression classification contrastive",
            "kl regression classification contrastive",
        ),
    ],
)
def test_loss_with_weight_0_is_not_a_term(method_of, changes, training, validation):
    method, reader = method_of(**changes)
    batch = read(reader, (0, 0, FRAMES))
    assert method.loss(batch, generator()).terms.keys() == set(training.split())
    assert method.loss(batch, None).terms.keys() == set(validation.split())
    decodes = bool({"likelihood", "consistency"} & set(training.split()))
    assert hasattr(method, "decoder") == decodes


def test_weights_are_factors(method_of):
    one, reader = method_of()
    two, _ = method_of(likelihood=2.0, kl=3.0, augmented=0.5, consistency=70.0)
    two.load_state_dict(one.state_dict())
    batch = read(reader, (0, 0, FRAMES))
    before, after = (method.loss(batch, generator()).terms for method in (one, two))
    factors = {
        "likelihood": 2.0,
        "kl": 3.0,
        "augmented_likelihood": 1.0,
        "augmented_kl": 1.5,
        "consistency": 7.0,
        "regression": 1.0,
        "classification": 1.0,
        "contrastive": 1.0,
    }
    assert before.keys() == factors.keys()
    for name, factor in factors.items():
        torch.testing.assert_close(after[name], factor * before[name])


def test_free_bits_are_the_minimum_of_kl(method_of):
    method, reader = method_of(free_bits=0.7)
    with torch.no_grad():
        method.encoder.layers[-1].weight.zero_()
        method.encoder.layers[-1].bias.zero_()
    terms = method.loss(read(reader, (0, 0, FRAMES)), None).terms
    torch.testing.assert_close(terms["kl"], torch.tensor(0.7 * LATENT))


def test_anonymous_animals_are_decoded_in_one_order_in_training_and_in_both_to_judge(method_of):
    method, reader = method_of("rat_dyads", heads=NO_HEADS, consistency=0.0, augmented=0.0)
    batch = read(reader, *[(pick, start, WINDOW) for pick in range(3) for start in range(0, 55, 5)])
    views = []
    method.decoder.register_forward_hook(lambda module, inputs, _: views.append(inputs[0]))
    method.loss(batch, None)
    method.loss(batch, generator())
    both, drawn = views
    one, other = both.chunk(2, dim=1)
    torch.testing.assert_close(other, torch.cat(one.chunk(2, dim=-1)[::-1], dim=-1))
    as_one, as_other = ((drawn == order).all(dim=-1).all(dim=0) for order in (one, other))
    assert (as_one ^ as_other).all() and as_one.any() and as_other.any()


def test_a_few_steps_make_trajectories_likelier_and_attributes_readable(method_of):
    method, reader = method_of(latent_dim=8, gru_dim=32, fc_dim=32, heads=ALL_HEADS)
    batch = read(reader, (0, 0, FRAMES), (1, 0, FRAMES))
    optimizer = torch.optim.Adam(method.parameters(), 1e-2)
    before = method.loss(batch, None)
    for step in range(20):
        optimizer.zero_grad()
        method.loss(batch, generator(step)).total.backward()
        optimizer.step()
    after = method.loss(batch, None)
    for name in ("likelihood", "regression", "classification", "consistency"):
        assert after.terms[name] < 0.95 * before.terms[name], name


def test_columns_and_receptive_field(method_of):
    method, _ = method_of(state=StateConfig(scene=SceneConfig(fill_gap_frames=2, hold_frames=3)), extras=())
    before, after = SceneConfig(fill_gap_frames=2, hold_frames=3).receptive_field
    assert method.channel_groups == {"posterior": LATENT} and method.receptive_field == (before + 5, after + 5)
    assert CONFIG.extras == ("time",) and method_of()[0].embedding_dim == LATENT + 2


def test_windows_too_short_to_cut_are_refused(method_of):
    method, reader = method_of()
    with pytest.raises(InputError, match=f"windows of 10 frames are shorter than window_frames, which is {WINDOW}"):
        method.loss(read(reader, (0, 0, 10)), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"window_frames": 10}, {"window_frames": 1}, {"gru_dim": 0}, {"kl": -1.0}, {"action_noise": -0.1},
        {"likelihood": 0.0, "consistency": 0.0, "heads": NO_HEADS}, {"extras": ("tide",)}, {"extras": ("time", "time")},
    ],
)  # fmt: skip
def test_impossible_configurations_are_refused(changes):
    with pytest.raises(InputError, match="task programming: "):
        replace(CONFIG, **changes)


def test_three_exchangeable_animals_have_too_many_orders():
    skeleton = replace(SKELETONS["calms21"], individuals=("a", "b", "c"), exchangeable=True)
    with pytest.raises(InputError, match=r"at most two; these recordings have 3 \(a, b, c\)"):
        TaskProgramming(TaskProgrammingConfig(), skeleton, 30.0)
