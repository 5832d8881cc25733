import numpy as np
import pytest
import torch

from ssl_behavior.clusters.embedding_quality import (
    QualityConfig,
    compare_embeddings,
    judge_embeddings,
)
from ssl_behavior.errors import InputError
from ssl_behavior.numerics import effective_rank, uniformity

FRAMES = (701, 503, 997)
CONFIG = QualityConfig(sample=1009, lags_seconds=(0.1, 2.0, 60.0), clusters=5, neighbors=7, fitting_sample=1500)


@pytest.fixture(scope="module")
def embeddings(embeddings_of, states, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judging")
    _, points = states(sum(FRAMES), num_states=5, dim=7)
    rng = np.random.default_rng(0)
    turned = points @ np.linalg.qr(rng.normal(size=(7, 7)))[0]
    arrays = {
        "own": points, "turned": turned[:, :7], "noise": rng.normal(size=points.shape),
        "collapsed": np.outer(points[:, 0], np.ones(7)) + 1e-4 * points,
    }  # fmt: skip
    return {name: embeddings_of(folder / name, array.astype(np.float32), FRAMES) for name, array in arrays.items()}


def test_an_embedding_by_itself(embeddings):
    own, noise, collapsed = (
        judge_embeddings(embeddings[name], config=CONFIG) for name in ("own", "noise", "collapsed")
    )
    near, later, never = (value for _, value in own.coherence)
    assert near > 0.6 > later > -0.2 and never is None
    assert all(abs(value) < 0.15 for _, value in noise.coherence[:2])
    assert own.dim == 7 and collapsed.effective_rank < 1.1 < own.effective_rank < noise.effective_rank < 7
    assert collapsed.participation_ratio < 1.1 and noise.participation_ratio == pytest.approx(7, abs=0.2)
    assert noise.uniformity < own.uniformity < collapsed.uniformity
    whole = np.array(embeddings["noise"].array)
    standard = torch.from_numpy((whole - whole.mean(axis=0)) / whole.std(axis=0)).double()
    assert noise.effective_rank == pytest.approx(effective_rank(standard, 1e-7).item(), rel=0.02)
    assert noise.uniformity == pytest.approx(uniformity(standard).item(), rel=0.02)


def test_two_embeddings_of_the_same_recordings(embeddings):
    same = compare_embeddings(embeddings["own"], embeddings["own"], config=CONFIG)
    assert (same.mutual_information, same.rand, same.overlap) == pytest.approx((1, 1, 1))
    turned = compare_embeddings(embeddings["own"], embeddings["turned"], config=CONFIG)
    noise = compare_embeddings(embeddings["own"], embeddings["noise"], config=CONFIG)
    assert turned.mutual_information > 0.8 > noise.mutual_information and noise.rand == pytest.approx(0, abs=0.05)
    assert turned.overlap > 0.2 > noise.overlap and noise.overlap == pytest.approx(noise.overlap_by_chance, rel=0.4)
    assert 7 / 1009 < noise.overlap_by_chance < 7 / 500


def test_what_cannot_be_compared_is_refused(embeddings, embeddings_of, states, tmp_path):
    other = embeddings_of(tmp_path / "o", states(31, dim=7)[1], (31,))
    with pytest.raises(InputError, match="are of different recordings"):
        compare_embeddings(embeddings["own"], other, config=CONFIG)
    with pytest.raises(InputError, match="a sample of 31 frames is too small for 31 neighbors"):
        config = QualityConfig(neighbors=31, clusters=3)
        compare_embeddings(other, other, config=config)
    for wrong, words in (({"clusters": 1}, "`clusters` must be 2"), ({"neighbors": 0}, "`neighbors` must be 1"),
                         ({"sample": 10}, "`sample` must be greater than `neighbors`, 10, got 10")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            QualityConfig(**wrong)
