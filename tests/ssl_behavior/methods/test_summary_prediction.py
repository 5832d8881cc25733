"""Summary prediction: targets from known values, hidden inputs, and a readout that preserves distances."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior.augment import AugmentConfig
from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods.summary_prediction import Readout, SummaryPrediction, SummaryPredictionConfig
from ssl_behavior.nn import EncoderConfig, MixerConfig, pad_to_multiple
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.window_statistics import SummariesConfig, WindowsConfig
from ssl_behavior.windows import WindowReader

WINDOWS = WindowsConfig(around_frames=(6, 18), past_frames=(6,), future_frames=())
CONFIG = SummaryPredictionConfig(
    features=FeatureConfig(blocks=("pose", "relation", "visibility")),
    encoder=EncoderConfig(
        stride=3,
        latent_dim=8,
        directions="none",
        mixer=MixerConfig(view_dim=9, dim=10, windows_dim=5, windows=WINDOWS, codes=12),
    ),
    augment=AugmentConfig(reflect=0.0, drop_keypoints=0.0),
    summaries=SummariesConfig(windows=WINDOWS, components=9),
)


@pytest.fixture
def fitted(dyad, tmp_path):
    """A method fitted to a few recordings, its reader, and what it said of the inputs."""

    def make(config=CONFIG, skeleton="calms21", change=lambda keypoints: keypoints, fps=30.0):
        recordings = [dyad(f"r{n}", n, skeleton, n, missing=0.1, fps=fps) for n in (90, 151)]
        recordings = [replace(one, keypoints=change(one.keypoints.copy())) for one in recordings]
        store = write_store(tmp_path / f"{len(list(tmp_path.iterdir()))}", recordings)
        reader = WindowReader([(store, row) for row in store.rows], 60)
        torch.manual_seed(0)
        method = SummaryPrediction(config, SKELETONS[skeleton], fps)
        return method, reader, method.fit_inputs(reader)

    return make


def without_body_of_the_second(keypoints):
    """A prey with two points: the others of its keypoints, neck and tail base among them, are never seen."""
    keypoints[:, 1, 2:] = np.nan
    return keypoints


def test_an_animal_without_heading_is_masked_in_inputs_and_targets(fitted):
    method, reader, notices = fitted(change=without_body_of_the_second)
    assert any("never observed" in notice for notice in notices)
    batch = reader.sample(4, np.random.default_rng(0))
    loss = method.loss(method._own(batch), None)
    assert 0 < loss.total < 5
    features, known = method.featurizer.with_known(method._own(batch))
    pose = slice(0, 2 * method.skeleton.num_keypoints)
    assert not known[:, :, 1, pose].any() and not features[:, :, 1, pose].any() and known[:, :, 0, pose].any()


def test_distances_in_the_embedding_are_those_between_predicted_summaries():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(400, 6, generator=generator, dtype=torch.float64) * torch.arange(1, 7) + 3
    head = torch.randn(20, 6, generator=generator, dtype=torch.float64)
    readout = Readout(6).double()
    readout.fit(latents, head)
    columns, predicted = readout(latents), latents @ head.T
    ratio = torch.cdist(columns[:20], columns[:20])[0, 1:] / torch.cdist(predicted[:20], predicted[:20])[0, 1:]
    torch.testing.assert_close(ratio, ratio[0].expand(19))
    torch.testing.assert_close(columns.std(dim=0, correction=0), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(columns.mean(dim=0), torch.zeros(6, dtype=torch.float64), atol=1e-9, rtol=0)


def test_a_collapsed_encoder_has_a_finite_readout():
    readout = Readout(4).double()
    readout.fit(torch.ones(10, 4, dtype=torch.float64), torch.zeros(3, 4, dtype=torch.float64))
    assert torch.isfinite(readout(torch.randn(5, 4, dtype=torch.float64))).all()


def test_hidden_features_are_hidden_in_all_of_a_window_or_all_of_a_span(fitted):
    for channels, spans, along in ((0.4, 0.0, 1), (0.0, 0.4, 3)):
        method, reader, _ = fitted(replace(CONFIG, drop_channels=channels, drop_spans=spans, span_frames=6))
        batch = reader.read([(0, start, 12) for start in range(50)])
        kept = method._kept(batch, torch.Generator().manual_seed(0))
        assert kept.shape == (50, 12, 1, method.featurizer.num_channels)
        assert torch.equal(kept, kept.narrow(along, 0, 1).expand(kept.shape)) and abs(1 - kept.mean() - 0.4) < 0.1
        assert torch.equal(kept[:, :6], kept[:, :1].expand(-1, 6, -1, -1)) and set(kept.unique().tolist()) == {0.0, 1.0}


def test_readings_are_the_same_however_few_windows_are_read_at_a_time(fitted, monkeypatch):
    method, reader, _ = fitted(CONFIG)
    batch = reader.read([(0, 0, 40), (1, 50, 40), (1, 71, 40)])
    views, kept = method.featurizer.views(batch), torch.rand(3, 40, 1, method.featurizer.num_channels).round()
    features, valid, _ = method._inputs(batch)
    hidden = pad_to_multiple(method.featurizer(batch) * kept, method.targets.stride)
    expected = method.embedder.readings(features, valid, views), method.embedder.readings(hidden, valid, views)
    for most in (1, 160, 100_000):
        monkeypatch.setattr("ssl_behavior.methods.summary_prediction._READ_FRAMES", most)
        for found, want in zip(method._readings(batch, views, kept), expected, strict=True):
            torch.testing.assert_close(found, want, rtol=0.0, atol=0.0)
    assert not torch.equal(expected[0][0], expected[1][0])


def test_parts_of_a_window_are_seen_each_by_itself_and_predict_summaries_of_all_of_it(fitted):
    method, reader, _ = fitted(replace(CONFIG, part_frames=35))
    batch = reader.read([(0, 0, 90), (1, 0, 90), (1, 61, 90)]).to("cpu", torch.float64)
    features, valid, _ = method._inputs(batch)
    whole, _ = method.embedder(features, valid)
    moments, codes, inside = method.embedder.readings(features, valid)
    latents = method._by_parts(moments, codes, inside)
    assert latents.shape[:2] == inside.shape == (3, 30) and inside.all()
    for start, stop in ((0, 36), (36, 72), (72, 90)):
        alone, _ = method.embedder(features[:, start:stop], valid[:, start:stop])
        torch.testing.assert_close(latents[:, start // 3 : stop // 3], alone)
    generator = torch.Generator().manual_seed(0)
    expected = method.targets(batch, codes, latents, inside, torch.Generator().manual_seed(0)).total
    assert torch.equal(method.loss(batch, generator).total, expected) and not torch.allclose(whole, latents)
    assert torch.equal(method.loss(batch, None).total, method.targets(batch, codes, whole, inside, None).total)


def test_a_recording_shorter_than_its_window_is_seen_in_parts_too(fitted):
    method, reader, _ = fitted(replace(CONFIG, part_frames=36))
    batch = reader.read([(0, 0, 300)]).to("cpu", torch.float64)
    terms = method.loss(batch, torch.Generator().manual_seed(0))
    terms.total.backward()
    assert torch.isfinite(terms.total) and all(torch.isfinite(p.grad).all() for p in method.targets.parameters())
    readings = method.embedder.readings(*method._inputs(batch))
    inside, latents = readings[-1], method._by_parts(*readings)
    assert inside.sum() == 30 and torch.isfinite(latents).all()


def test_programs_in_cm_are_unknown_without_scale(fitted):
    method, reader, _ = fitted()
    batch = reader.read([(0, 0, 90), (1, 0, 90)]).to("cpu", torch.float64)
    method.targets.program_codes.programs.in_cm.fill_(True)
    method.targets.program_codes.programs._fitted = None
    codes = method.targets.program_codes(replace(batch, px_per_cm=torch.tensor([0.0, 9.0])))
    assert not codes[0].any() and codes[1].any()


def test_skeleton_without_usable_programs_gives_a_notice(fitted, monkeypatch):
    def refuse(*_):
        raise InputError("none of the programs can run")

    monkeypatch.setattr("ssl_behavior.methods.summary_prediction.ProgramSet", refuse)
    method, _, notices = fitted()
    assert not method.targets.program_codes.num_codes
    assert any("summaries are of features alone: none of the programs" in notice for notice in notices)


def test_constant_and_never_observed_features_are_reported_and_harmless(fitted):
    def freeze(keypoints):
        keypoints[:, 0, 3] = np.nan
        keypoints[:, 1, :] = keypoints[:1, 1, :]
        return keypoints

    method, reader, notices = fitted(change=freeze)
    assert any("never observed" in notice for notice in notices) and any("hardly change" in n for n in notices)
    batch = reader.sample(3, np.random.default_rng(0)).to("cpu", torch.float64)
    terms = method.loss(batch, torch.Generator().manual_seed(0))
    terms.total.backward()
    assert torch.isfinite(terms.total)
    assert all(torch.isfinite(parameter.grad).all() for parameter in method.parameters())
    assert torch.isfinite(method.embed(batch)).all()


def test_programs_are_targets_of_a_stated_weight_and_no_inputs(fitted):
    method, reader, _ = fitted(replace(CONFIG, program_weight=0.5, program_codes=6))
    batch = reader.read([(0, 0, 90), (1, 0, 90), (1, 61, 90)]).to("cpu", torch.float64)
    with torch.no_grad():
        _, codes, _ = method.embedder.readings(*method._inputs(batch))
        both = method.targets.codes(batch, codes)
    width = method.embedder.coding.num_codes
    assert torch.equal(both[..., :width], codes) and both.shape[-1] == width + 6
    spread = [part.flatten(0, 1).var(dim=0).sum().sqrt() for part in (codes, both[..., width:])]
    torch.testing.assert_close(spread[1] / spread[0], torch.tensor(0.5, dtype=torch.float64), rtol=0.1, atol=0)
    method.eval()
    before = method.embed(batch)
    method.targets.program_codes.programs.median += 100
    assert torch.equal(before, method.embed(batch))


def test_without_known_programs_targets_are_features_alone(fitted):
    method, reader, notices = fitted(replace(CONFIG, program_weight=0.0))
    assert (
        method.targets.program_codes.programs is None
        and not method.targets.program_codes.num_codes
        and not any("program" in notice for notice in notices)
    )
    wrong = replace(CONFIG.programs, names=("speed",), thresholds={"speed": (1e6,)}, units="px")
    method, reader, notices = fitted(replace(CONFIG, programs=wrong))
    assert any("summaries are of features alone: the programs" in notice for notice in notices)
    batch = reader.sample(3, np.random.default_rng(0)).to("cpu", torch.float64)
    assert torch.isfinite(method.loss(batch, torch.Generator().manual_seed(0)).total)
    assert not method.targets.codes(batch, method.embedder.readings(*method._inputs(batch))[1])[..., -6:].any()


def test_unobserved_minutes_have_zero_loss(fitted):
    def lose(keypoints):
        keypoints[10:80] = np.nan
        return keypoints

    method, reader, _ = fitted(change=lose)
    batch = reader.read([(1, 10, 60)]).to("cpu", torch.float64)
    method.eval()
    assert method.loss(batch, None).terms["summaries"].isnan(), "nothing was seen: validation has nothing to say"
    assert torch.isfinite(method.embed(batch)).all()


def test_notice_converts_windows_to_seconds(fitted):
    _, _, notices = fitted(fps=6.0)
    assert any("6 frames per second" in notice and "1, 3 s" in notice for notice in notices)
    assert not any("frames per second" in notice for notice in fitted()[2])


def test_training_explains_the_summaries(fitted):
    method, reader, _ = fitted(replace(CONFIG, drop_channels=0.0, drop_spans=0.0))
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    batch = reader.read([(0, 0, 90), (1, 0, 90), (1, 61, 90)]).to("cpu", torch.float64)
    before = method.loss(batch, None).metrics["explained"]
    for step in range(150):
        optimizer.zero_grad()
        method.loss(batch, torch.Generator().manual_seed(step)).total.backward()
        optimizer.step()
    assert before < 0.1 and method.loss(batch, None).metrics["explained"] > 0.6


@pytest.mark.parametrize("wrong", [{"drop_channels": 0.6}, {"drop_spans": -0.1}, {"whitening": 2.0},
                                   {"every_steps": 0}, {"span_frames": 0}, {"program_weight": -1.0},
                                   {"program_codes": 0}, {"part_frames": -6}])  # fmt: skip
def test_invalid_settings_raise(wrong):
    with pytest.raises(InputError, match="summaries: "):
        SummaryPredictionConfig(**wrong)


@pytest.mark.parametrize("wrong", [{"quantiles": (0.5, 0.2)}, {"quantiles": ()}, {"quantiles": (0.0, 0.5)},
                                   {"codes": 0}, {"blocks": 0}])  # fmt: skip
def test_invalid_mixers_raise(wrong):
    with pytest.raises(InputError, match="mixer: "):
        MixerConfig(**wrong)


def test_an_encoder_without_mixer_or_with_contexts_is_refused():
    for encoder in (EncoderConfig(), EncoderConfig(mixer=MixerConfig()), EncoderConfig(directions="none")):
        with pytest.raises(InputError, match="summaries: the encoder"):
            SummaryPredictionConfig(encoder=encoder)


def test_no_components_are_refused():
    with pytest.raises(InputError, match="summaries: "):
        SummariesConfig(components=0)
