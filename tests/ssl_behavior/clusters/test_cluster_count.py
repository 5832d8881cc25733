import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from ssl_behavior.clusters import KMeansConfig, SmoothingConfig, fit_clusters
from ssl_behavior.clusters.cluster_count import (
    ChoiceConfig,
    NumberScores,
    explained_variance,
    score_numbers,
    silhouette,
    suggested_number,
)
from ssl_behavior.embedding_space import Space
from ssl_behavior.errors import InputError

FRAMES = (701, 503, 997, 809, 601)
CHOICE = ChoiceConfig(numbers=(3, 5, 11), resamples=3, sample=1500, silhouette_frames=701)


@pytest.fixture(scope="module")
def embeddings(embeddings_of, states, tmp_path_factory):
    _, points = states(sum(FRAMES), num_states=5, dim=7, stay=0.9)
    return embeddings_of(tmp_path_factory.mktemp("choosing") / "e", points, FRAMES)


def test_the_number_of_places_comes_back_and_is_suggested(embeddings):
    told = []
    scores = score_numbers(
        embeddings, Space.fit(embeddings), KMeansConfig(sample=1000), CHOICE,
        progress=lambda what, done, total: told.append((what, done / total)),
    )  # fmt: skip
    assert [one.clusters for one in scores] == [3, 5, 11]
    three, five, eleven = scores
    assert five.stability == pytest.approx(1) and five.agreement == pytest.approx(1)
    assert suggested_number(scores) == 5
    assert eleven.stability < 0.9 and five.silhouette > max(three.silhouette, eleven.silhouette)
    assert three.explained < five.explained <= eleven.explained < 1
    assert three.bout_seconds >= five.bout_seconds >= eleven.bout_seconds > 0
    assert sum(share for what, share in told if what == "stability") == pytest.approx(1)
    assert sum(share for what, share in told if what == "numbers") == pytest.approx(1)


def test_bouts_are_those_of_the_clustering_with_that_number(embeddings):
    smoothing = SmoothingConfig(minimum_bout_seconds=0.5)
    scores = score_numbers(
        embeddings, Space.fit(embeddings, seed=7), KMeansConfig(sample=1000), CHOICE, smoothing, seed=7
    )
    for one in scores:
        config = KMeansConfig(clusters=one.clusters, sample=1000)
        frames = fit_clusters(embeddings, config, smoothing=smoothing, seed=7).frames
        lengths = [(stop - start) / 30 for row in frames.rows for start, stop, _ in frames.bouts(row)]
        assert one.bout_seconds == pytest.approx(np.median(lengths), rel=0.15)


def test_a_single_recording_has_no_halves(embeddings):
    rows = embeddings.rows[2:3]
    scores = score_numbers(embeddings, Space.fit(embeddings, rows=rows), KMeansConfig(sample=500), CHOICE, rows=rows)
    assert all(one.stability is one.stability_std is one.agreement is None for one in scores)
    assert suggested_number(scores) is None and all(one.explained > 0 for one in scores)


def scored(clusters, stability, spread):
    return NumberScores(
        clusters=clusters, stability=stability, stability_std=spread, agreement=0.5, silhouette=0.1, explained=0.5,
        bout_seconds=1.0,
    )  # fmt: skip


def test_the_rule_takes_the_most_clusters_that_are_as_stable_as_the_best():
    scores = [scored(5, 0.6, 0.3), scored(10, 0.7, 0.1), scored(20, 0.61, 0.0), scored(40, 0.59, 0.5)]
    assert suggested_number(scores) == 20
    assert suggested_number(scores[::-1]) == 20
    assert suggested_number(scores[:1]) == 5


def test_measures_are_their_definitions():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(211, 5)) + 3, rng.integers(-1, 4, 211)
    within = sum(np.square(points[labels == n] - points[labels == n].mean(axis=0)).sum() for n in range(-1, 4))
    total = np.square(points - points.mean(axis=0)).sum()
    assert explained_variance(points, labels) == pytest.approx(1 - within / total)
    assert silhouette(points, labels) == pytest.approx(silhouette_score(points, labels))
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    each = []
    for n, own in enumerate(labels):
        means = {other: distances[n, (labels == other) & (np.arange(211) != n)].mean() for other in range(-1, 4)}
        nearest = min(mean for other, mean in means.items() if other != own)
        each.append((nearest - means[own]) / max(nearest, means[own]))
    assert silhouette(points, labels) == pytest.approx(np.mean(each))
    assert silhouette(points, np.zeros(211)) is None


def test_nonsense_is_refused():
    for wrong, words in (({"numbers": ()}, "`numbers` must list numbers"), ({"numbers": (1, 5)}, "each 2 or more"),
                         ({"numbers": (5,), "resamples": 0}, "`resamples` must be 1")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            ChoiceConfig(**wrong)
