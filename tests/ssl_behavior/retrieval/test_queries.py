import numpy as np
import pytest

from ssl_behavior.bouts import Span
from ssl_behavior.embedding_space import Space, SpaceConfig
from ssl_behavior.errors import InputError
from ssl_behavior.retrieval.search import Query, query_point, recording_of


def test_mistakes_in_queries_are_told(embeddings):
    with pytest.raises(InputError, match="has no recording 'd'"):
        recording_of(Span.parse("d:12"), embeddings)
    for text in ("b:389", "b:0-390"):
        with pytest.raises(InputError, match=rf"{text}: recording 'b' has 389 frames, from 0 to 388"):
            recording_of(Span.parse(text), embeddings)
    assert {recording_of(Span.parse(text), embeddings).offset for text in ("b:388", "b:0-389")} == {701}
    with pytest.raises(InputError, match="b:3 is both in `query` and in `unlike`"):
        Query((Span.parse("b:3"),), (Span.parse("b:4"), Span.parse("b:3")))
    with pytest.raises(InputError, match="a search needs an example in `query`"):
        Query(())


@pytest.mark.parametrize("unit", [True, False])
def test_examples_are_means_of_means_and_what_is_unlike_pushes_away(embeddings, array, unit):
    space = Space.fit(embeddings, SpaceConfig(unit=unit))
    points = space.points(array).astype(np.float64)

    def scaled(point):
        return point / np.linalg.norm(point) if unit else point

    def point(like, unlike=()):
        query = Query(tuple(map(Span.parse, like)), tuple(map(Span.parse, unlike)))
        return query_point(query, space, embeddings)

    frame, bout, other = points[4], scaled(points[701 + 7 : 701 + 30].mean(axis=0)), points[1090 + 2]
    np.testing.assert_allclose(point(["a:1/x:4"]), frame, atol=1e-5)
    np.testing.assert_allclose(point(["b:7-30"]), bout, atol=1e-5)
    both = scaled((frame + bout) / 2)
    np.testing.assert_allclose(point(["b:7-30", "a:1/x:4"]), both, atol=1e-5)
    pushed = point(["b:7-30", "a:1/x:4"], ["c:2"])
    np.testing.assert_allclose(pushed, scaled(1.3 * both - 0.3 * other), atol=1e-5)
    assert np.linalg.norm(pushed - other) > np.linalg.norm(both - other)
