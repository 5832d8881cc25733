from dataclasses import replace

import pytest
import torch

from probe.annotators import (
    AnnotatorConfig,
    agreement,
    annotated_frames,
    annotator_similarity,
    closest_pair,
    find_annotators,
    fit_annotators,
    mean_similarity,
    style_similarity,
)
from probe.experiment import FITS
from probe.references import hand_features, pca_reference
from probe.tasks import make_task
from ssl_behavior.simulate.recording_plans import calms21_files
from ssl_behavior.simulate.write import write_plans

from .conftest import FAST

ANNOTATOR, STYLE = 5, 3


def test_annotator_similarity_is_cosine():
    matrix = torch.randn(ANNOTATOR, STYLE, generator=torch.Generator().manual_seed(0))
    similarity = annotator_similarity(matrix)
    for i in range(ANNOTATOR):
        for j in range(ANNOTATOR):
            expected = matrix[i] @ matrix[j] / (matrix[i].norm() * matrix[j].norm())
            torch.testing.assert_close(similarity[i, j], expected)
    torch.testing.assert_close(annotator_similarity(torch.eye(ANNOTATOR)), torch.eye(ANNOTATOR))


def test_agreement_is_the_shared_probability(frames, probe):
    some = frames.embedded[:11]
    similarity = agreement(probe, some)
    predicted = [probe.predict(some, name) for name in probe.annotators]
    for i, one in enumerate(predicted):
        for j, other in enumerate(predicted):
            differ = [0.5 * (p - q).abs().sum() for p, q in zip(one, other, strict=True)]
            torch.testing.assert_close(similarity[i, j], 1 - torch.stack(differ).mean())
    assert similarity.diag() == pytest.approx(1)


def test_style_similarity_is_the_cosine_of_deviations(frames, probe):
    some, names = frames.embedded[:11], probe.annotators
    similarity = style_similarity(probe, some)
    logs = [probe.log_probabilities(some, name) for name in names]
    torch.testing.assert_close(logs[1].exp(), probe.predict(some, names[1]))
    mean = sum(logs) / len(names)
    for i in range(len(names)):
        for j in range(len(names)):
            one, other = (logs[i] - mean).flatten(), (logs[j] - mean).flatten()
            torch.testing.assert_close(similarity[i, j], one @ other / (one.norm() * other.norm()))


def test_closest_pair_is_the_most_similar(frames, probe):
    matrix = probe.heads["plain"].annotator_matrix
    alike = (probe.annotators.index("2"), probe.annotators.index("3"))
    assert closest_pair(annotator_similarity(matrix)) == alike
    assert closest_pair(agreement(probe, frames.embedded)) == alike
    assert closest_pair(style_similarity(probe, frames.embedded)) == alike


def test_the_mean_is_over_seeds_and_fits(frames, probe):
    other = fit_annotators(frames, probe.annotators, probe.classes, replace(FAST, steps=5), 1)
    heads = [one.heads[fit] for one in (probe, other) for fit in FITS]
    expected = sum(annotator_similarity(head.annotator_matrix) for head in heads) / 4
    torch.testing.assert_close(mean_similarity([probe, other]), expected)


@pytest.mark.slow
def test_similar_simulated_annotators_are_the_closest_pair(tmp_path):
    """Five simulated data sets of two recordings for each of five annotators, three heads each."""
    for seed in range(5):
        plans = [
            p for name, groups in calms21_files(0.1, 0).items() if "task2" in name for g in groups.values() for p in g
        ]
        store = write_plans(tmp_path / f"{seed}", plans, seed)
        task, train = make_task(store, "calms21_task2"), [row for row in store.rows if row.subset == "train"]
        array = pca_reference(hand_features(store, train, tmp_path), train, tmp_path).arrays[0]
        names = find_annotators(store, task)
        probes = [
            fit_annotators(
                annotated_frames(store, task, array, train, names, 4, head),
                names,
                task.classes,
                AnnotatorConfig(),
                head,
            )
            for head in range(3)
        ]
        assert [names[i] for i in closest_pair(mean_similarity(probes))] == ["3", "4"]


def test_closest_pair_has_different_annotators():
    similarity = torch.tensor([[1.0, 0.1, 0.3], [0.1, 1.0, 0.3], [0.3, 0.3, 1.0]])
    assert closest_pair(similarity) == (0, 2)
