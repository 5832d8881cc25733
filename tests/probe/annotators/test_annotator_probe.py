from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.annotators import AnnotatorConfig, add_annotator, annotated_frames, fit_annotators, style_transfer
from probe.annotators.annotator_probe import _Objective
from probe.experiment import FITS
from ssl_behavior.errors import InputError

from .conftest import CLASSES, FAST, THRESHOLDS, rows_in


def own_frames(styles, frames, annotator):
    store, array, task = styles
    rows = rows_in(store, "train", (annotator,))[:1]
    return annotated_frames(store, task, array, rows, [annotator], 1, 0, frames.scaling)


def test_labels_are_predicted_best_in_their_annotators_style(styles, probe):
    store, array, task = styles
    for fit in FITS:
        score = style_transfer(probe, array, store, task, rows_in(store, "test"), fit)
        others = score[~np.eye(len(score), dtype=bool)].reshape(len(score), -1)
        assert (np.diag(score) > 0.8).all() and (np.diag(score) >= others.max(axis=1) - 0.02).all()
        # 1 finds attack where 2 and 3 do not.
        assert score[0, 0] > score[0, 1] + 0.1


def test_fit_is_deterministic_and_keeps_the_global_generator(frames):
    before = torch.get_rng_state()
    one, two, other = (
        fit_annotators(frames, list(THRESHOLDS), CLASSES, replace(FAST, steps=5, dropout=0.5), seed, FITS[:1])
        for seed in (1, 1, 2)
    )
    states = [run.heads[FITS[0]].state_dict() for run in (one, two, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("per_annotator", [False, True])
def test_loss_weights_are_pooled_or_per_annotator(frames, probe, per_annotator):
    counts, chosen = frames.counts(len(THRESHOLDS), len(CLASSES)), torch.arange(0, len(frames), 211)
    config, head = replace(FAST, smoothing=0.2, per_annotator=per_annotator), probe.heads["plain"]
    losses = []
    for i in chosen:
        own = counts[frames.annotator[i]] if per_annotator else counts.sum(0)
        weights, prior = own.sum() / (len(CLASSES) * own), own / own.sum()
        log_p = head(frames.embedded[i], frames.annotator[i])["labels"].log_softmax(0)
        share = 0.8 * torch.eye(len(CLASSES))[frames.target[i]] + 0.2 * prior
        losses.append(-(share * weights * log_p).sum())
    objective = _Objective(frames, counts, (0, 1, 2), config, True)
    torch.testing.assert_close(objective(head, chosen), torch.stack(losses).mean())


def test_absent_class_is_not_learned(styles, frames):
    store, array, _ = styles
    kept = frames.target != 1
    fewer = replace(
        frames, embedded=frames.embedded[kept], target=frames.target[kept], annotator=frames.annotator[kept]
    )
    probe = fit_annotators(fewer, list(THRESHOLDS), CLASSES, replace(FAST, steps=3), 0)
    assert probe.learned == (0, 2)
    probability = probe.probabilities(array, store.rows[:1], "3")
    assert np.isnan(probability[:, 1]).all()
    np.testing.assert_allclose(probability[:, [0, 2]].sum(axis=1), 1, rtol=1e-5)


def test_added_annotator_keeps_the_others_bit_identical(styles, frames):
    store, array, task = styles
    known = [name for name in THRESHOLDS if name != "10"]
    kept = frames.annotator < 3
    three = replace(
        frames, embedded=frames.embedded[kept], target=frames.target[kept], annotator=frames.annotator[kept]
    )
    before = fit_annotators(three, known, CLASSES, FAST, 0)
    after = add_annotator(before, "10", own_frames(styles, frames, "10"), FAST, 0)
    assert after.annotators == ("1", "2", "3", "10") and before.annotators == tuple(known)
    for name in known:
        for fit in FITS:
            old, new = (p.probabilities(array, store.rows[:2], name, fit) for p in (before, after))
            np.testing.assert_array_equal(old, new)
    for fit in FITS:
        shared = before.heads[fit].state_dict()
        for name, tensor in after.heads[fit].state_dict().items():
            assert torch.equal(tensor[:3] if name == "annotator_matrix" else tensor, shared[name])
    score = style_transfer(after, array, store, task, rows_in(store, "test", ("10",)))[3]
    assert np.isfinite(score).all() and score[3] > score[:3].max() + 0.02


def test_invalid_annotator_fits_are_errors(styles, frames, probe):
    own = own_frames(styles, frames, "10")
    with pytest.raises(InputError, match="'3' already"):
        add_annotator(probe, "3", own, FAST, 0)
    fewer = replace(probe, learned=(0, 2))
    with pytest.raises(InputError, match="'mount'"):
        add_annotator(fewer, "7", own, FAST, 0)
    with pytest.raises(InputError, match=r"'7'.* no annotated"):
        fit_annotators(frames, [*THRESHOLDS, "7"], CLASSES, FAST, 0)
    one_class = replace(frames, target=torch.ones_like(frames.target))
    with pytest.raises(InputError, match="'mount'"):
        fit_annotators(one_class, list(THRESHOLDS), CLASSES, FAST, 0)
    with pytest.raises(InputError, match="no annotator '7'"):
        probe.number("7")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"dropout": 1.0}, "dropout"),
        ({"smoothing": -0.1}, "smoothing"),
        ({"weight_decay": -1.0}, "weight_decay"),
    ],
)
def test_invalid_annotator_settings_are_errors(change, words):
    with pytest.raises(InputError, match=words):
        AnnotatorConfig(**change)
