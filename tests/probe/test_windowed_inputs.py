"""References made of windowed inputs: against loops, fitted on the training recordings, blind to the animals' order."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from probe.windowed_inputs import (
    _blocks,
    _interpolated,
    _leading_components,
    histogram_components,
    input_means,
    windowed_shares,
)
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig, Featurizer
from ssl_behavior.histograms import QUANTILES, bin_edges
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader
from tests.probe.conftest import make_recording

FEATURES = FeatureConfig(blocks=("relation", "visibility"))


@pytest.fixture(autouse=True)
def _single_precision():
    torch.set_default_dtype(torch.float32)


def rats(folder, swap=False, change=lambda number, keypoints: keypoints, frames=(411, 257, 19)):
    made = [make_recording(f"r{i}", n, skeleton="rat_dyads") for i, n in enumerate(frames)]
    kept = [
        Recording(id=one.id, keypoints=change(i, one.keypoints[:, ::-1] if swap else one.keypoints), fps=30.0,
                  skeleton=one.skeleton)
        for i, one in enumerate(made)
    ]  # fmt: skip
    return write_store(folder, kept)


def test_input_means_equal_a_loop_over_the_inputs(tmp_path):
    store = rats(tmp_path / "s")
    made = input_means(store, store.rows[:2], tmp_path, FEATURES).arrays[0]
    featurizer = Featurizer(FEATURES, store.skeleton).fit(WindowReader([(store, row) for row in store.rows[:2]], 1))
    reader = WindowReader([(store, row) for row in store.rows], 1)
    for pick, row in enumerate(store.rows):
        views = featurizer(reader.read([(pick, 0, row.frames)]))[0]
        joined = torch.cat([views.mean(1), views.amax(1)], dim=1)
        for t in range(0, row.frames, 7):
            slow = [joined[max(0, t - half) : t + half + 1].mean(0) for half in (15, 45, 150)]
            np.testing.assert_allclose(made[row.offset + t], torch.cat(slow).numpy(), atol=5e-3)


def test_windowed_shares_equal_a_double_loop():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(67, 3, generator=generator)
    values[torch.rand(67, 3, generator=generator) < 0.3] = torch.nan
    values[:40, 1] = torch.nan
    values[:, 2] = 1.5
    edges = bin_edges(values, ~values.isnan())
    made = windowed_shares(values, edges, fps=4.0, step=3)
    for w, (first, last) in enumerate(((-4, -1), (1, 4), (-2, 2), (-6, 6), (-20, 20))):
        for step, t in enumerate(range(0, 67, 3)):
            for q in range(len(QUANTILES)):
                for c in range(3):
                    inside = [float(values[s, c]) for s in range(max(0, t + first), min(67, t + last + 1))]
                    known = [value for value in inside if value == value]
                    share = np.mean([value > edges[q, c] for value in known]) if known else np.nan
                    np.testing.assert_allclose(made[w, step, q * 3 + c], share, atol=1e-6)


def test_blocks_give_what_the_whole_recording_gives(tmp_path, monkeypatch):
    row = replace(rats(tmp_path / "s").rows[0], offset=3)
    array = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    values = torch.from_numpy(array[row.slice])
    edges = bin_edges(values, ~values.isnan())
    whole = windowed_shares(values, edges, row.fps, step=6)
    monkeypatch.setattr("probe.windowed_inputs.BLOCK_STEPS", 11)
    parts = list(_blocks(array, row, edges))
    assert len(parts) == 7 and torch.equal(
        torch.cat([shares for _, shares in parts], dim=1).nan_to_num(9), whole.nan_to_num(9)
    )


def test_components_are_those_of_the_largest_variance():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(400, 60, generator=generator) @ torch.diag(0.8 ** torch.arange(60.0))
    values -= values.mean(0)
    components = _leading_components(values, 7)
    _, singular, vectors = torch.linalg.svd(values, full_matrices=False)
    torch.testing.assert_close((components.T @ vectors[:7].T).abs(), torch.eye(7), atol=2e-2, rtol=0)
    torch.testing.assert_close((values @ components).norm(dim=0), singular[:7], rtol=1e-3, atol=0)
    assert torch.equal(components, _leading_components(values, 7))


def test_steps_are_joined_by_lines():
    steps = torch.tensor([[0.0], [3.0], [0.0]])
    assert _interpolated(steps, 8, 3)[:, 0].tolist() == pytest.approx([0, 1, 2, 3, 2, 1, 0, 0])


def test_histogram_components_are_uncorrelated_and_keep_their_variances(tmp_path):
    store = rats(tmp_path / "s")
    made = histogram_components(store, store.rows[:2], tmp_path, 12, FEATURES)
    assert made.name == "PCA-12 of windowed histograms" and made.dim == 12
    train = made.arrays[0][: store.rows[2].offset]
    spread = train.std(axis=0)
    assert (
        np.isfinite(made.arrays[0]).all() and (np.diff(spread) < 0.02 * spread[0]).all() and spread[0] > 2 * spread[-1]
    )
    correlation = np.corrcoef(train.T)
    np.testing.assert_allclose(correlation - np.eye(12), 0, atol=0.25)
    # Five windows of total variance 1 each.
    assert 2.5 < (spread**2).sum() < 5.5


@pytest.mark.parametrize("make", [input_means, lambda *given: histogram_components(*given[:3], 9, *given[3:])])
def test_the_order_of_anonymous_animals_changes_nothing(tmp_path, make):
    arrays = []
    for swap in (False, True):
        store = rats(tmp_path / f"s{swap}", swap)
        arrays.append(np.array(make(store, store.rows[:2], tmp_path / f"f{swap}", FEATURES).arrays[0], np.float32))
    # A component's sign is free; the differences are rounding.
    np.testing.assert_allclose(*arrays, atol=0.02)


@pytest.mark.parametrize("make", [input_means, lambda *given: histogram_components(*given[:3], 9, *given[3:])])
def test_evaluated_recordings_change_nothing_that_is_fitted(tmp_path, make):
    def changed(number, keypoints):
        return keypoints * 2 + 50 if number == 2 else keypoints

    arrays = []
    for name, change in (("a", lambda number, keypoints: keypoints), ("b", changed)):
        store = rats(tmp_path / name, change=change)
        arrays.append(np.array(make(store, store.rows[:2], tmp_path / f"f{name}", FEATURES).arrays[0]))
    np.testing.assert_array_equal(arrays[0][: 411 + 257], arrays[1][: 411 + 257])
    assert not np.array_equal(*arrays)


def test_a_recording_of_which_nothing_is_known_and_only_some_that_are_wanted(tmp_path):
    def unseen(number, keypoints):
        return np.full_like(keypoints, np.nan) if number == 2 else keypoints

    store = rats(tmp_path / "s", change=unseen)
    blocks = FeatureConfig(blocks=("relation",))
    made = histogram_components(store, store.rows[:2], tmp_path, 5, blocks).arrays[0]
    np.testing.assert_allclose(made[store.rows[2].slice], 0, atol=1e-6)
    some = histogram_components(store, store.rows[:1], tmp_path / "some", 5, blocks, store.rows[1:2]).arrays[0]
    assert some[store.rows[1].slice].any() and not some[store.rows[0].slice].any()


def test_animals_told_apart_stand_side_by_side(store, tmp_path):
    means = input_means(store, store.rows[:2], tmp_path, FEATURES)
    channels = Featurizer(FEATURES, store.skeleton).num_channels
    assert means.dim == 3 * 2 * channels and means.arrays[0].dtype == np.float16


def test_a_skeleton_without_the_roles_is_refused(tmp_path):
    skeleton = Skeleton(name="two points", keypoints=("a", "b"))
    keypoints = np.zeros((29, 2, 2, 2), dtype=np.float32)
    made = write_store(tmp_path / "s", [Recording(id="x", keypoints=keypoints, fps=30.0, skeleton=skeleton)])
    for make in (input_means, lambda *given: histogram_components(*given, 3)):
        with pytest.raises(InputError, match="role"):
            make(made, made.rows, tmp_path)
