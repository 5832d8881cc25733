import pytest

from ssl_behavior.errors import InputError
from ssl_behavior.retrieval.frame_index import FLAT_FRAMES, KINDS, choose_kind, index_gb


@pytest.mark.parametrize(
    ("frames", "memory_gb", "kind"),
    [
        (FLAT_FRAMES, 4.0, "flat"),
        (FLAT_FRAMES + 1, 4.0, "ivf"),
        (6_000_000, 4.0, "ivf"),
        (6_000_000, 1.0, "ivfpq"),
        (300_000, 0.1, "ivf"),
        (300_000, 0.05, "ivfpq"),
        (100, 4.0, "flat"),
    ],
)
def test_size_and_memory_choose(frames, memory_gb, kind):
    assert choose_kind("auto", frames, 128, memory_gb) == kind
    assert index_gb(kind, frames, 128) <= memory_gb


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_is_asked_for_is_taken_if_it_fits(kind):
    assert choose_kind(kind, 1_000_000, 128, 10.0) == kind
    with pytest.raises(InputError, match=rf"kind {kind} of 1,000,000 frames x 128 takes .* GB, more than `memory_gb="):
        choose_kind(kind, 1_000_000, 128, 0.001)


def test_what_is_too_small_or_too_large_is_refused():
    with pytest.raises(InputError, match="needs 256 frames or more, got 99: use `kind=flat`"):
        choose_kind("ivfpq", 99, 128, 4.0)
    with pytest.raises(InputError, match=r"ivfpq of 6,000,000 frames x 128 takes 0.43 GB, more than `memory_gb=0.2`"):
        choose_kind("auto", 6_000_000, 128, 0.2)


@pytest.mark.parametrize(("dim", "code"), [(128, 64), (12, 6), (13, 13), (121, 121), (2, 1), (1, 1)])
def test_codes_of_a_product_quantiser_divide_the_dimensions(dim, code):
    assert KINDS["ivfpq"].factory(10_000, dim).endswith(f",PQ{code}np")
