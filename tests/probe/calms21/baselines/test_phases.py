"""What a configuration may ask of a training: phases, optimizers, augmentation, class weights, pairs of logits."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from probe.calms21.baselines import (
    Augmentation,
    BaselineConfig,
    Conv1dConfig,
    FullyConnectedConfig,
    LstmConfig,
    Phase,
    Sgd,
    WindowSpan,
    assemble_inputs,
    fit_baseline,
)
from probe.calms21.baselines.training import frame_loss, loss_weights
from probe.tasks import make_task
from ssl_behavior.errors import InputError

SMALL = BaselineConfig(
    network=Conv1dConfig(channels=(7,), kernel_size=3, dropout=0.2),
    window=WindowSpan(past=3, future=2, gap=1),
    phases=(Phase(epochs=1, lr=3e-3),),
    batch_size=32,
    train_stride=2,
)


def run(store, features=None, config=SMALL, kind=None, **options):
    """Learn from two recordings and predict another one."""
    task, rows, other = make_task(store, "behavior", kind), store.rows[:2], store.rows[3]
    inputs = assemble_inputs(store, [*rows, other], rows, config.window, features)
    trained = fit_baseline(store, task, rows, config, inputs, 0, **options)
    return SimpleNamespace(
        trained=trained, inputs=inputs, row=other, losses=trained.losses, probability=trained.predict(inputs, [other])
    )


def brief(epochs=1, **changes):
    return replace(SMALL.with_epochs(epochs), **changes)


def scores(store, ran):
    """Average precision of every class by scikit-learn."""
    frames = store.labels("behavior")[ran.row.slice]
    return [
        average_precision_score(frames[frames >= 0] == k, ran.probability[frames >= 0, k])
        for k in range(ran.probability.shape[1])
    ]


@pytest.mark.parametrize("network", [LstmConfig(units=7, widths=(5,)), FullyConnectedConfig(widths=(7,))])
def test_every_network_trains_deterministically_in_bfloat16(network, store, array):
    if isinstance(network, LstmConfig) and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("torch has no LSTM in bfloat16 for this processor")
    config = brief(network=network)
    first, again = (run(store, array, config=config, precision=torch.bfloat16) for _ in range(2))
    assert np.isfinite(first.probability).all() and first.losses == again.losses
    assert np.array_equal(first.probability, again.probability)


def test_augmentation_changes_the_losses(store):
    plain = run(store, config=brief())
    rotate_points, again = (run(store, config=brief(augment=Augmentation(about="middle"))) for _ in range(2))
    assert plain.losses != rotate_points.losses == again.losses


def test_phases_follow_each_other_with_one_optimizer(store):
    whole = run(store, config=brief(2))
    halves = run(store, config=replace(SMALL, phases=(Phase(epochs=1, lr=3e-3), Phase(epochs=1, lr=3e-3))))
    slower = run(store, config=replace(SMALL, phases=(Phase(epochs=1, lr=3e-3), Phase(epochs=1, lr=1e-9))))
    assert halves.losses == whole.losses and slower.losses[0] == whole.losses[0] != slower.losses[1]
    steps = {name: value for name, value in whole.trained.optimizer.items() if name.endswith(".step")}
    assert len(steps) == len(list(whole.trained.network.parameters())) and len(set(map(float, steps.values()))) == 1


def test_sgd_step_equals_the_formula(store, array):
    config = replace(SMALL, phases=(Phase(epochs=8, lr=0.1),), optimizer=Sgd(weight_decay=1e-5))
    assert min(scores(store, run(store, array, config=config))) > 0.8


def test_loss_weights_equal_keras(store):
    task = make_task(store, "behavior")
    target = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1], [-1, -1, -1], [0, 0, 1]], np.int8)
    named = loss_weights({"mount": 7.0, "other": 0.5}, task, target)
    assert named.tolist() == [[1, 1, 1], [1, 7, 0.5]]
    # n / (classes shown x frames of the class), 1 in the mean over frames.
    balanced = loss_weights("balanced", task, target)
    assert balanced[1, [0, 2]].tolist() == pytest.approx([2.0, 2 / 3])
    binary = loss_weights("balanced", make_task(store, "behavior", "binary"), target[:, :2])
    assert binary[:, 0].tolist() == pytest.approx([2 / 3, 2.0])
    assert loss_weights(None, task, target) is None
    with pytest.raises(InputError, match="'sleep'"):
        loss_weights({"sleep": 2.0}, task, target)


def test_a_frames_loss_is_multiplied_by_its_class_weight():
    logits, chosen = torch.randn(7, 3), torch.tensor([0, 2, 1, 1, 0, 2, 2])
    weights = torch.tensor([[1.0, 2.0, 1.0], [3.0, 1.0, 0.5]])
    one = torch.nn.functional.one_hot(chosen, 3).to(torch.int8)
    terms = [-weights[1, k] * row.log_softmax(0)[k] for row, k in zip(logits, chosen, strict=True)]
    torch.testing.assert_close(frame_loss(logits, one, "multinomial", weights), torch.stack(terms).mean())
    target = torch.tensor([[1, 0, -1], [0, -1, -1], [1, 1, 0]], dtype=torch.int8)
    terms = [
        -weights[int(target[i, k]), k] * torch.log(torch.sigmoid(logits[i, k] if target[i, k] else -logits[i, k]))
        for i in range(3)
        for k in range(3)
        if target[i, k] >= 0
    ]
    torch.testing.assert_close(frame_loss(logits[:3], target, "binary", weights), torch.stack(terms).mean())


def test_balanced_training_favors_rare_classes(store):
    plain = run(store, kind="binary", config=brief(6))
    fair = run(store, kind="binary", config=brief(6, class_weights={"attack": 5.0}))
    means = [one.probability.mean(axis=0) for one in (plain, fair)]
    assert means[1][0] > means[0][0] + 0.1 and abs(means[1][1] - means[0][1]) < 0.1


def test_a_pair_of_logits_is_a_softmax_of_two(store, array):
    paired = run(store, array, kind="binary", config=brief(8, paired_logits=True))
    assert paired.trained.network.dense.out_features == 4 and min(scores(store, paired)) > 0.8
    inputs, row = paired.inputs, paired.row
    places = inputs.starts[row.id] + torch.arange(row.frames)
    with torch.no_grad():
        pairs = paired.trained.network(SMALL.window.gather(inputs.values, places)).unflatten(1, (2, 2)).softmax(dim=2)
    np.testing.assert_allclose(paired.probability, pairs[..., 1], atol=1e-6)
    with pytest.raises(InputError, match="paired_logits"):
        run(store, array, config=brief(paired_logits=True))


def test_single_last_frame_joins_the_previous_batch(store):
    told = []
    config = brief(network=FullyConnectedConfig(widths=(5,)), train_stride=1)
    known = run(store, config=config).trained.num_train_frames
    config = replace(config, batch_size=known - 1)
    run(store, config=config, advance=told.append)
    assert told == [known]


def test_invalid_trainings_are_errors(store):
    with pytest.raises(InputError, match="lower lr"):
        run(store, config=replace(SMALL, phases=(Phase(epochs=3, lr=1e30),), optimizer=Sgd()))
    task, rows = make_task(store, "behavior"), store.rows[:2]
    inputs = assemble_inputs(store, rows, rows, SMALL.window)
    with pytest.raises(InputError, match="train_stride"):
        fit_baseline(store, task, rows[:1], replace(SMALL, train_stride=10**6), inputs, 0)
    with pytest.raises(InputError, match="recording"):
        fit_baseline(store, task, store.rows[2:3], SMALL, inputs, 0)
