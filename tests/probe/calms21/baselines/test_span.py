"""Windows against a loop over their samples."""

import pytest
import torch

from probe.calms21.baselines.layers import WindowSpan
from ssl_behavior.errors import InputError


def test_the_papers_window_is_201_samples_over_200_frames_to_either_side():
    span = WindowSpan()
    assert (span.num_samples, span.receptive_field) == (201, (200, 200))


@pytest.mark.parametrize("past,future,gap", [(3, 2, 5), (0, 4, 1), (7, 0, 2), (0, 0, 3)])
def test_gather_is_a_loop_over_samples(past, future, gap):
    span = WindowSpan(past=past, future=future, gap=gap)
    values = torch.randn(61, 11)
    places = torch.tensor([past * gap, 23, 60 - future * gap, 23])
    windows = span.gather(values, places)
    assert windows.shape == (4, span.num_samples, 11) and windows.is_contiguous()
    for window, place in zip(windows, places.tolist(), strict=True):
        for sample, step in enumerate(range(-past, future + 1)):
            assert torch.equal(window[sample], values[place + step * gap])


@pytest.mark.parametrize("wrong", [{"past": -1}, {"future": -1}, {"gap": 0}])
def test_invalid_windows_are_errors(wrong):
    with pytest.raises(InputError, match="past"):
        WindowSpan(**wrong)
