"""From embeddings to a page in Python: clusters, their description and the report, each in one call."""

import numpy as np
import pytest

import ssl_behavior
from ssl_behavior.errors import InputError


@pytest.fixture(scope="module")
def clustering(folders):
    return ssl_behavior.cluster(folders["embeddings"], 5, verbose=False)


@pytest.fixture(scope="module")
def description(clustering, folders):
    return ssl_behavior.describe(clustering, folders["embeddings"], folders["store"], examples=2, verbose=False)


def test_a_description_as_a_data_frame(clustering, description):
    frame = description.to_frame()
    np.testing.assert_allclose(frame["share"], clustering.sizes / clustering.sizes.sum())
    assert list(frame["cluster"]) == [card.cluster for card in description.clusters] == list(range(5))
    assert (frame["label_share"] > 0).all() and (frame["label"] != "").all()
    assert max(len(card.medoids) for card in description.clusters) == 2
    said = repr(description)
    assert said.startswith("Description of 5 clusters of 619 frames in 3 recordings")


def test_a_page_of_everything(clustering, description, folders, tmp_path, capsys):
    page = ssl_behavior.report(
        ssl_behavior.Store(folders["store"]), folders["embeddings"], tmp_path / "r.html", clusters=clustering,
        description=description, results=[folders["results"]], bouts=3, title="Our rats", verbose=False,
    )  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert "Our rats" in text and len(text) > 10_000 and capsys.readouterr() == ("", "")
    with pytest.raises(InputError, match=r"r.html exists already: choose another `out`, or pass `overwrite`"):
        ssl_behavior.report(folders["store"], folders["embeddings"], page)
    ssl_behavior.report(folders["store"], folders["embeddings"], page, overwrite=True, bouts=0, verbose=False)
    assert "Our rats" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, c: ssl_behavior.describe(c, f["embeddings"], f["store"], examples=-1), "`examples` must be a whole"),
        (lambda f, c: ssl_behavior.describe(f["store"], f["embeddings"], f["store"]), "clusters.json"),
        (lambda f, c: ssl_behavior.report(f["store"], f["embeddings"], "x", points=0), "`points` must be 1 to"),
        (lambda f, c: ssl_behavior.report(f["store"], f["embeddings"], "x", colour="red"), "unknown key 'colour'"),
        (lambda f, c: ssl_behavior.report(f["store"], f["store"], "x"), "embeddings.json"),
    ],
)
def test_mistakes_name_the_argument(call, message, folders, clustering, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        call(folders, clustering)
    assert not list(tmp_path.iterdir())


def test_a_description_of_other_clusters_is_refused(description, folders, tmp_path):
    others = ssl_behavior.cluster(folders["embeddings"], 5, seed=1, minimum_bout_seconds=1.0, verbose=False)
    with pytest.raises(InputError, match="the description is of other clusters of these frames"):
        ssl_behavior.report(
            folders["store"], folders["embeddings"], tmp_path / "x", clusters=others, description=description,
            verbose=False,
        )  # fmt: skip


def test_a_description_needs_its_clusters(description, folders, tmp_path):
    with pytest.raises(InputError, match="`description` describes clusters: give them as `clusters`, too"):
        ssl_behavior.report(folders["store"], folders["embeddings"], tmp_path / "x", description=description)
