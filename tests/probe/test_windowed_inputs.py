"""References made of windowed inputs: against loops, fitted on the training recordings, blind to the animals' order."""

import numpy as np
import pytest
import torch

from probe.references import histogram_components, histogram_windows, input_means
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig, Featurizer
from ssl_behavior.nn import pad_to_multiple, to_frames
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import write_store
from ssl_behavior.window_statistics import QUANTILES, QuantileCodes, Summaries, SummariesConfig, scene_moments
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


def test_chunks_equal_whole_recordings(tmp_path, monkeypatch):
    store = rats(tmp_path / "s")
    train = store.rows[:2]
    reader = WindowReader([(store, row) for row in train], 1)
    featurizer = Featurizer(FEATURES, store.skeleton).fit(reader)

    def moments(batch):
        padded = [pad_to_multiple(part, 6) for part in (*featurizer.with_known(batch), batch.valid)]
        return scene_moments(*padded, 6, pooled=True)

    pieces = [moments(batch) for batch in reader.pieces()]
    config = SummariesConfig(windows=histogram_windows(30.0), components=7)
    coding = QuantileCodes(QUANTILES, 192, pieces[0][0].shape[-1]).fit(pieces)
    summaries = Summaries(config, coding.num_codes, 6).fit([coding(*piece) for piece in pieces])
    monkeypatch.setattr("probe.references.CHUNK_FRAMES", 59)
    made = histogram_components(store, train, tmp_path, 7, FEATURES)[0].arrays[0]
    means = input_means(store, train, tmp_path, FEATURES).arrays[0]
    monkeypatch.setattr("probe.references.CHUNK_FRAMES", 10_000)
    np.testing.assert_allclose(means, input_means(store, train, tmp_path / "b", FEATURES).arrays[0], atol=2e-3)
    whole = WindowReader([(store, row) for row in store.rows], 1)
    for pick, row in enumerate(store.rows):
        values, known = moments(whole.read([(pick, 0, row.frames)]))
        inside = torch.ones(values.shape[:2], dtype=torch.bool)
        expected = to_frames(summaries(coding(values, known), inside), inside, 6, row.frames)[0]
        np.testing.assert_allclose(made[row.slice], expected.numpy(), atol=1e-4)


def test_histogram_components_are_uncorrelated_and_keep_their_variances(tmp_path):
    store = rats(tmp_path / "s")
    made, _ = histogram_components(store, store.rows[:2], tmp_path, 12, FEATURES)
    assert made.name == "PCA-12 of windowed histograms" and made.dim == 12
    train = made.arrays[0][: store.rows[2].offset]
    spread = train.std(axis=0)
    assert np.isfinite(made.arrays[0]).all()
    assert (np.diff(spread) < 0.1 * spread[0]).all() and spread[0] > 2 * spread[-1]
    np.testing.assert_allclose(np.corrcoef(train.T) - np.eye(12), 0, atol=0.25)
    np.testing.assert_allclose((train**2).mean(), 1, atol=0.2)


def test_rotated_components_have_one_variance_and_the_same_distances(tmp_path):
    store = rats(tmp_path / "s")
    plain, rotated = histogram_components(store, store.rows[:2], tmp_path, 12, FEATURES)
    assert rotated.name == "PCA-12 of windowed histograms, equal variances" and rotated.dim == 12
    variances = np.array(rotated.arrays[0][: store.rows[2].offset], dtype=np.float64).var(axis=0)
    np.testing.assert_allclose(variances, variances.mean(), rtol=1e-4)
    before, after = (torch.from_numpy(np.array(one.arrays[0][::37])) for one in (plain, rotated))
    torch.testing.assert_close(torch.cdist(after, after), torch.cdist(before, before), atol=1e-3, rtol=0)


def test_frame_rates_below_and_above_the_steps(tmp_path):
    assert len(histogram_windows(0.2)) == 4 and histogram_windows(1.0).around_frames == (1, 3, 10)
    for fps in (0.2, 1.0, 117.0):
        made = [Recording(id=one.id, keypoints=one.keypoints, fps=fps, skeleton=one.skeleton)
                for one in (make_recording(f"r{n}", n, skeleton="rat_dyads") for n in (61, 83))]  # fmt: skip
        store = write_store(tmp_path / f"s{fps:g}", made)
        for representation in histogram_components(store, store.rows[:1], tmp_path / f"{fps:g}", 5, FEATURES):
            array = representation.arrays[0]
            assert np.isfinite(array).all() and array[store.rows[1].slice].any()


@pytest.mark.parametrize("make", [input_means, lambda *given: histogram_components(*given[:3], 9, *given[3:])[0]])
def test_references_are_invariant_to_order_of_exchangeable_animals(tmp_path, make):
    arrays = []
    for swap in (False, True):
        store = rats(tmp_path / f"s{swap}", swap)
        arrays.append(np.array(make(store, store.rows[:2], tmp_path / f"f{swap}", FEATURES).arrays[0], np.float32))
    # A component's sign is free; the differences are rounding.
    np.testing.assert_allclose(*arrays, atol=0.02)


@pytest.mark.parametrize("make", [input_means, lambda *given: histogram_components(*given[:3], 9, *given[3:])[0]])
def test_evaluated_recordings_do_not_change_the_fit(tmp_path, make):
    def changed(number, keypoints):
        return keypoints * 2 + 50 if number == 2 else keypoints

    arrays = []
    for name, change in (("a", lambda number, keypoints: keypoints), ("b", changed)):
        store = rats(tmp_path / name, change=change)
        arrays.append(np.array(make(store, store.rows[:2], tmp_path / f"f{name}", FEATURES).arrays[0]))
    np.testing.assert_array_equal(arrays[0][: 411 + 257], arrays[1][: 411 + 257])
    assert not np.array_equal(*arrays)


def test_unobserved_recording_and_subset_of_rows(tmp_path):
    def unseen(number, keypoints):
        return np.full_like(keypoints, np.nan) if number == 2 else keypoints

    store = rats(tmp_path / "s", change=unseen)
    blocks = FeatureConfig(blocks=("relation",))
    for one in histogram_components(store, store.rows[:2], tmp_path, 5, blocks):
        np.testing.assert_allclose(one.arrays[0][store.rows[2].slice], 0, atol=1e-6)
    for one in histogram_components(store, store.rows[:1], tmp_path / "some", 5, blocks, store.rows[1:2]):
        some = one.arrays[0]
        assert some[store.rows[1].slice].any() and not some[store.rows[0].slice].any()


def test_identified_animals_have_separate_columns(store, tmp_path):
    means = input_means(store, store.rows[:2], tmp_path, FEATURES)
    channels = Featurizer(FEATURES, store.skeleton).num_channels
    assert means.dim == 3 * 2 * channels and means.arrays[0].dtype == np.float16


def test_skeleton_without_roles_is_an_error(tmp_path):
    skeleton = Skeleton(name="two points", keypoints=("a", "b"))
    keypoints = np.zeros((29, 2, 2, 2), dtype=np.float32)
    made = write_store(tmp_path / "s", [Recording(id="x", keypoints=keypoints, fps=30.0, skeleton=skeleton)])
    for make in (input_means, lambda *given: histogram_components(*given, 3)):
        with pytest.raises(InputError, match="role"):
            make(made, made.rows, tmp_path)
