"""Training on small stores: it learns, it repeats itself, and it looks at nothing it should not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from probe.calms21.baselines import (
    BaselineConfig,
    Conv1dConfig,
    Phase,
    WindowSpan,
    assemble_inputs,
    run_baseline,
)
from probe.calms21.baselines.training import frame_loss
from probe.experiment import BALANCED, PLAIN, Experiment
from probe.scores import score_row
from probe.tasks import make_task, parse_macro
from ssl_behavior.errors import InputError
from ssl_behavior.recording import Labels
from ssl_behavior.splits import make_split
from ssl_behavior.store import write_store

SMALL = BaselineConfig(
    network=Conv1dConfig(channels=(13,), kernel_size=3, dropout=0.2),
    window=WindowSpan(past=5, future=3, gap=1),
    phases=(Phase(epochs=5, lr=3e-3),),
    batch_size=32,
)


def run(store, features=None, seed=0, config=SMALL, kind=None, **options):
    task, split = make_task(store, "behavior", kind), make_split(store)
    rows = [*split.train, *split.evaluate]
    inputs = assemble_inputs(store, rows, split.train, config.window, features)
    trained, predictions = run_baseline(store, task, split, config, inputs, seed, **options)
    return SimpleNamespace(trained=trained, predictions=predictions, network=trained.network, losses=trained.losses)


def brief(epochs=1, **changes):
    return replace(SMALL.with_epochs(epochs), **changes)


def scores(store, trained):
    """Average precision of every class by scikit-learn."""
    frames = np.concatenate([store.labels("behavior")[row.slice] for row in make_split(store).evaluate])
    return [
        average_precision_score(frames[frames >= 0] == k, trained.predictions.probability[PLAIN][frames >= 0, k])
        for k in range(trained.predictions.probability[PLAIN].shape[1])
    ]


def waving(store):
    """The same recordings with an animal that sways, fast, slowly, or not at all, as its label says: frames alone
    do not tell how fast."""
    periods = np.array([3.0, 7.0, np.inf, np.inf])
    recordings = []
    for recording in store:
        keypoints = recording.keypoints.copy()
        turn = 2 * np.pi / periods[recording.labels["behavior"].frames]
        keypoints[:, 0, :, 0] += 30 * np.sin(np.cumsum(turn))[:, None]
        recordings.append(replace(recording, keypoints=keypoints))
    return write_store(store.path.parent / "waving", recordings)


def test_baseline_learns_motion_from_keypoints(store):
    plain, moving = (scores(s, run(s))[:2] for s in (store, waving(store)))
    assert min(moving) > 0.7 and max(plain) < 0.5


def test_baseline_learns_from_features(store, array):
    beside = run(store, array)
    assert min(scores(store, beside)) > 0.8
    assert beside.losses[-1] < 0.7 * beside.losses[0]
    task, split = make_task(store, "behavior"), make_split(store)
    experiment = Experiment(store, task, split, parse_macro(task))
    row = score_row(experiment, [parse_macro(task)], "both", 47, 100.0, [beside.predictions])
    assert row.macros[0].ap.mean == pytest.approx(np.mean(scores(store, beside)[:2]))


def test_training_is_deterministic_per_seed(store, array):
    config = brief(1, network=replace(SMALL.network, dropout=0.5))
    torch.manual_seed(1)
    first = run(store, array, config=config)
    torch.manual_seed(2)
    again, other = run(store, array, config=config), run(store, array, seed=1, config=config)
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    assert np.array_equal(first.predictions.probability[PLAIN], again.predictions.probability[PLAIN])
    assert first.losses == again.losses != other.losses
    assert not np.array_equal(first.predictions.probability[PLAIN], other.predictions.probability[PLAIN])


def test_predictions_equal_window_logits(store, array, monkeypatch):
    from probe.calms21.baselines import trained_baseline as module

    config = brief(1)
    whole = run(store, array, config=config)
    monkeypatch.setattr(module, "PREDICTED_FRAMES", 97)
    pieces = run(store, array, config=config)
    np.testing.assert_allclose(pieces.predictions.probability[PLAIN], whole.predictions.probability[PLAIN], atol=1e-6)
    split = make_split(store)
    inputs = assemble_inputs(store, [*split.train, *split.evaluate], split.train, config.window, array)
    row = split.evaluate[0]
    places = inputs.starts[row.id] + torch.arange(row.frames)
    with torch.no_grad():
        slow = whole.network(config.window.gather(inputs.values, places)).softmax(dim=1)
    np.testing.assert_allclose(whole.predictions.probability[PLAIN][: row.frames], slow.numpy(), atol=1e-6)


def test_train_stride_samples_new_frames_each_epoch(store):
    train = make_split(store).train
    known = sum(int((store.labels("behavior")[row.slice] >= 0).sum()) for row in train)
    told = []
    trained = run(store, config=brief(2), advance=told.append)
    assert trained.trained.samples_seen == sum(told) == 2 * known and trained.predictions.num_train_frames == known
    assert max(told) == SMALL.batch_size and len(trained.losses) == 2
    strided = run(store, config=brief(3, train_stride=5))
    assert 3 * known / 5 == pytest.approx(strided.trained.samples_seen, rel=0.05)


def test_unannotated_and_scored_frames_do_not_change_training(store, array):
    config = brief(1)
    learned = run(store, array, config=config)
    evaluated = {row.id for row in make_split(store).evaluate}
    changed = array.copy()
    relabelled = []
    for recording in store:
        labels = recording.labels["behavior"]
        if recording.id in evaluated:
            changed[store.row(recording.id).slice] *= -1
            labels = replace(labels, frames=np.roll(labels.frames, 31))
        relabelled.append(replace(recording, labels={"behavior": labels}))
    twins = write_store(store.path.parent / "twins", relabelled)
    again = run(twins, changed, config=config)
    assert again.losses == learned.losses
    assert not np.array_equal(again.predictions.probability[PLAIN], learned.predictions.probability[PLAIN])


def test_binary_baseline_learns_each_class(store, array):
    trained = run(store, array, kind="binary")
    probability = trained.predictions.probability[PLAIN]
    assert probability.shape[1] == 2 and min(scores(store, trained)) > 0.8
    assert np.abs(probability.sum(axis=1) - 1).max() > 0.1


def test_absent_class_is_undefined_and_single_class_is_an_error(store, array):
    train = {row.id for row in make_split(store).train}

    def taught(name, shown):
        recordings = [
            replace(r, labels={"behavior": replace(r.labels["behavior"], frames=shown(r.labels["behavior"].frames))})
            if r.id in train
            else r
            for r in store
        ]
        return write_store(store.path.parent / name, recordings)

    trained = run(taught("no mount", lambda f: np.where(f == 1, 2, f)), array, config=brief(1))
    for probability in trained.predictions.probability.values():
        assert np.isnan(probability[:, 1]).all()
        np.testing.assert_allclose(probability[:, [0, 2]].sum(axis=1), 1, atol=1e-5)
    with pytest.raises(InputError, match="only 'other'"):
        run(taught("other alone", lambda f: np.where(f >= 0, 2, f)), array)


def test_recording_of_one_frame(store, array, dyad):
    labels = Labels(vocabulary=("attack", "mount", "other"), frames=np.array([1]), background="other")
    short = dyad("zz", 1, labels={"behavior": labels})
    both = write_store(store.path.parent / "both", [*store, short])
    trained = run(both, config=brief(1, train_stride=3))
    assert np.isfinite(trained.predictions.probability[PLAIN]).all()


def test_loss_ignores_unannotated_classes():
    logits = torch.randn(7, 3)
    chosen = torch.tensor([0, 2, 1, 1, 0, 2, 2])
    one = torch.nn.functional.one_hot(chosen, 3).to(torch.int8)
    slow = -torch.stack([row.log_softmax(0)[k] for row, k in zip(logits, chosen, strict=True)]).mean()
    torch.testing.assert_close(frame_loss(logits, one, "multinomial"), slow)
    target = torch.tensor([[1, 0, -1], [0, -1, -1], [1, 1, 0]], dtype=torch.int8)
    terms = []
    for row, wanted in zip(logits[:3], target, strict=True):
        for x, y in zip(row, wanted, strict=True):
            if y >= 0:
                terms.append(-torch.log(torch.sigmoid(x if y == 1 else -x)))
    torch.testing.assert_close(frame_loss(logits[:3], target, "binary"), torch.stack(terms).mean())


def test_bfloat16_training_agrees_with_float32(store, array):
    trained = run(store, array, precision=torch.bfloat16)
    assert min(scores(store, trained)) > 0.8
    assert trained.network.dense.weight.dtype == torch.float32
    assert set(trained.predictions.probability) == {PLAIN, BALANCED}
