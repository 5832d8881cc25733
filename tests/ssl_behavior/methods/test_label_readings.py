"""Linear readout of a joint model: its regression, its penalty, and classes without labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from ssl_behavior.logistic import fit_head
from ssl_behavior.methods import joint
from ssl_behavior.methods.joint import MIDDLE_PENALTY, PENALTIES, LabeledPoints, LinearReadings

POINTS, LATENT, CLASSES, RECORDINGS, ANNOTATORS = 503, 7, 4, 11, 3


def scene(noise=1.0, seed=0):
    """What is read, and in two streams what it shows: one of four classes of which the third is never seen, and yes or
    no. Two of three annotators labeled."""
    generator = torch.Generator().manual_seed(seed)
    read = 5 + 3 * torch.randn(POINTS, LATENT, generator=generator)
    read[:, -1] = 2.0
    scores = (read - 5) @ torch.randn(LATENT, CLASSES, generator=generator)
    scores = scores + noise * torch.randn(POINTS, CLASSES, generator=generator)
    scores[:, 2] = -torch.inf
    answer = (read[:, 0] + noise * torch.randn(POINTS, generator=generator) > 5.5).long()
    answer[:101] = -1
    recording = torch.arange(POINTS) * RECORDINGS // POINTS
    return LabeledPoints(read, torch.stack([scores.argmax(dim=1), answer], dim=1), 2 * (recording % 2), recording)


@pytest.fixture
def chosen(monkeypatch):
    """The penalty of every last fit of a stream."""
    penalties = []

    def remember(design, penalty, *rest, **options):
        penalties.append(penalty)
        return fit_head(design, penalty, *rest, **options)

    monkeypatch.setattr(joint, "fit_head", remember)
    return penalties


def fitted(points, balanced=False, choose=True):
    readings = LinearReadings(LATENT, [CLASSES, 2], ANNOTATORS)
    readings.fit(points, balanced, choose)
    return readings


@pytest.mark.parametrize("balanced", [False, True])
def test_fit_equals_scikit_learn_on_standardized_columns(balanced, chosen):
    points = scene()
    logits = fitted(points, balanced)(points.read, points.annotator)
    # The penalties are tried in order, and the chosen one is fitted on everything.
    penalties = [chosen[len(PENALTIES)], chosen[-1]]
    one_hot = torch.nn.functional.one_hot(points.annotator, ANNOTATORS)
    columns = torch.cat([points.read, one_hot], dim=1).numpy()
    spread = columns.std(axis=0)
    columns = ((columns - columns.mean(axis=0)) / np.where(spread > 0, spread, np.inf)).astype(np.float64)
    for number, penalty in enumerate(penalties):
        known = (points.labels[:, number] >= 0).numpy()
        c, labels = 1 / (penalty * known.sum()), points.labels[known, number].numpy()
        # Of two classes scikit-learn has one weight, which is the difference of ours: half the square.
        c *= 2 if number == 1 else 1
        model = LogisticRegression(C=c, class_weight="balanced" if balanced else None, tol=1e-10, max_iter=10_000)
        expected = model.fit(columns[known], labels).predict_proba(columns[known])
        found = logits[number].softmax(dim=1).numpy()[known][:, np.unique(labels)]
        np.testing.assert_allclose(found / found.sum(axis=1, keepdims=True), expected, atol=5e-3)


def test_absent_class_has_probability_near_0():
    points = scene()
    assert fitted(points)(points.read, points.annotator)[0].softmax(dim=1)[:, 2].max() < 0.05


def test_noise_columns_choose_a_strong_penalty(chosen):
    for noise in (0.05, 300.0):
        fitted(scene(noise))
    assert chosen[len(PENALTIES)] < chosen[-1] == max(PENALTIES)


def test_annotator_has_an_own_bias():
    points = scene()
    fussy = replace(points, labels=torch.where((points.annotator == 2)[:, None], 1, points.labels))
    readings = fitted(fussy)
    own, other = (readings(points.read, torch.full((POINTS,), who))[1].softmax(dim=1)[:, 1] for who in (2, 0))
    assert (own > other).all()


def test_streams_of_one_class_and_of_none():
    points = scene()
    alone = replace(points, labels=torch.stack([points.labels[:, 0].clamp_max(0), torch.full((POINTS,), -1)], dim=1))
    one, none = fitted(alone)(points.read, points.annotator)
    assert one.softmax(dim=1)[:, 0].min() > 0.98
    assert (none == 0).all()


def test_one_recording_is_enough(chosen):
    fitted(replace(scene(), recording=torch.zeros(POINTS, dtype=torch.long)))
    assert chosen == [MIDDLE_PENALTY] * 2


def test_a_rough_fit_is_nearly_the_one_with_the_middle_penalty(monkeypatch, chosen):
    points = scene()
    rough = fitted(points, choose=False)(points.read, points.annotator)
    assert chosen == [MIDDLE_PENALTY] * 2
    monkeypatch.setattr(joint, "PENALTIES", (MIDDLE_PENALTY,))
    exact = fitted(points)(points.read, points.annotator)
    for one, other in zip(rough, exact, strict=True):
        np.testing.assert_allclose(one.softmax(dim=1), other.softmax(dim=1), atol=0.02)


def test_fit_does_not_change_its_input():
    points = scene()
    before = points.read.clone()
    fitted(points)
    assert torch.equal(points.read, before)
