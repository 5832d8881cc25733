"""Task programming on convolution stacks: targets are program values at the right time."""

from dataclasses import replace

import pytest
import torch

from ssl_behavior.errors import InputError
from ssl_behavior.features import FeatureConfig
from ssl_behavior.methods.conv_base import Encoded
from ssl_behavior.methods.task_programming_conv import (
    CPCPrograms,
    CPCProgramsConfig,
    TaskProgrammingConv,
    TaskProgrammingConvConfig,
    _picked_steps,
)
from ssl_behavior.methods.task_programming_heads import AttributeTargets, HeadsConfig, TrajectoryConfig, local_windows
from ssl_behavior.nn import EncoderConfig
from ssl_behavior.pose_geometry import SceneConfig, build_scene
from ssl_behavior.programs import ProgramsConfig
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader

FRAMES = 61
FIELDS = {
    "features": FeatureConfig(blocks=("pose", "relation"), scene=SceneConfig(fill_gap_frames=0, hold_frames=0)),
    "encoder": EncoderConfig(
        stride=3, latent_dim=7, embedder_dim=5, embedder_kernels=(3,), contexter_dim=11, contexter_dilations=(1,)
    ),
    "programs": ProgramsConfig(names=("speed", "nose_nose_distance", "wall_distance")),
    "context_horizons_frames": (0, 6),
}


def method_of(dyad, tmp_path, kind=TaskProgrammingConv, **fields):
    store = write_store(tmp_path / "store", [dyad(f"r{i}", 211, seed=i) for i in range(3)])
    reader = WindowReader([(store, row) for row in store.rows], FRAMES)
    torch.manual_seed(0)
    method = kind(kind.Config(**FIELDS | fields), SKELETONS["calms21"], 30.0)
    method.fit_inputs(reader)
    batch = reader.read([(0, 10, FRAMES), (1, 100, FRAMES), (2, 60, FRAMES)]).to("cpu", torch.float64)
    return method, batch


def test_targets_of_a_step_are_the_means_of_its_frames(dyad, tmp_path):
    method, batch = method_of(dyad, tmp_path)
    values, known = method.programs.attributes(batch)
    targets = method._step_targets(values, known, method.encode(batch))
    assert targets.values.shape == (3, 21, 5) and not known.all()
    for window, step, attribute in ((0, 0, 0), (1, 7, 3), (2, 20, 1)):
        frames = slice(3 * step, min(3 * step + 3, FRAMES))
        there = known[window, frames, attribute]
        assert targets.known[window, step, attribute] == there.any()
        if there.any():
            mean = values[window, frames, attribute][there].mean()
            expected = (mean - method.programs.median[attribute]) / method.programs.spread[attribute]
            torch.testing.assert_close(targets.values[window, step, attribute], expected.clamp(-4, 4))


def test_contexts_predict_attributes_on_their_own_side(dyad, tmp_path):
    """A past context that copies the attributes 2 steps ahead is decoded without error; one of 1 or 3 ahead is not."""
    errors = {}
    for shift in (1, 2, 3):
        method, _ = method_of(dyad, tmp_path / str(shift), heads=HeadsConfig(classification=0.0))
        batch_steps, width = 21, method.programs.num_attributes
        torch.manual_seed(1)
        targets = AttributeTargets(
            torch.randn(3, batch_steps, width),
            torch.ones(3, batch_steps, width, dtype=torch.bool),
            torch.zeros(3, batch_steps, width, dtype=torch.long),
        )
        contexts = {"past": targets.values.roll(-shift, 1), "future": targets.values.roll(shift, 1)}
        contexts = {name: torch.nn.functional.pad(c, (0, 11 - width)) for name, c in contexts.items()}
        inside = torch.ones(3, batch_steps, dtype=torch.bool)
        for head in method.context_heads.values():
            torch.nn.init.eye_(head.regression.weight)
            torch.nn.init.zeros_(head.regression.bias)
        metrics = method._read(Encoded(torch.zeros(3, batch_steps, 7), contexts, inside, inside), targets).metrics
        errors[shift] = {name: round(float(metrics[f"attribute_r2/{name}_6"]), 6) for name in ("past", "future")}
    assert errors[2]["past"] > 0.9 and errors[2]["future"] > 0.9, errors
    assert all(errors[shift][name] < 0.2 for shift in (1, 3) for name in ("past", "future")), errors


def test_hidden_points_change_inputs_but_not_targets(dyad, tmp_path):
    method, batch = method_of(dyad, tmp_path)
    augment = replace(method.config.augment, reflect=0.0, drop_keypoints=0.5)
    method.config = replace(method.config, augment=augment)
    view, encoded = method._views(batch, torch.Generator().manual_seed(0))
    assert torch.equal(view.observed, batch.observed) and torch.equal(view.keypoints, batch.keypoints)
    assert not torch.equal(encoded.latents, method.encode(batch).latents)


def test_local_windows_round_trip_to_the_scene(dyad, batch_of):
    skeleton = SKELETONS["calms21"]
    batch = batch_of(dyad("a", FRAMES, seed=1), dyad("b", FRAMES, seed=2))
    scene = build_scene(batch, skeleton, torch.tensor(60.0), SceneConfig())
    middle = torch.tensor([[5, 30, 58], [0, 17, 60]])
    windows = local_windows(scene, middle, 9)
    back = windows.to_scene(windows.points)
    for row, (window, frame) in enumerate((w, int(f)) for w in range(2) for f in middle[w]):
        for offset in range(-4, 5):
            here = frame + offset
            inside = 0 <= here < FRAMES
            known = windows.known[row, offset + 4]
            assert known.all() if inside else not known.any()
            if inside:
                torch.testing.assert_close(back[row, offset + 4], scene.points[window, ..., here])
    # At the middle every animal stands at its own origin and looks along x.
    neck, tail = skeleton.role("neck"), skeleton.role("tail_base")
    axis = windows.points[:, 4, :, neck] - windows.points[:, 4, :, tail]
    torch.testing.assert_close(axis[..., 1], torch.zeros_like(axis[..., 1]), rtol=0.0, atol=1e-9)
    assert (axis[..., 0] > 0).all()


def test_true_trajectories_have_zero_consistency_loss(dyad, tmp_path):
    """Programs on the true trajectories, carried through the own frames, say what they said of the recording."""
    trajectory = TrajectoryConfig(likelihood=1.0, consistency=1.0, frames=13)
    method, batch = method_of(dyad, tmp_path, trajectory=trajectory)
    scene = build_scene(batch, method.skeleton, method.featurizer.scale_px, method.config.features.scene)
    middle = torch.tensor([[9, 30], [7, 17], [20, 40]])
    windows = local_windows(scene, middle, 13)
    values, known = method.programs.attributes(batch)
    target = method._judged((values, known), middle)
    assert trajectory.judged_frames == (3, 9) and target[1].all()
    expected = method.programs.standardized(values[1, [7 - 3, 7 + 3]])
    torch.testing.assert_close(target[0][2], expected)
    place = batch.arena.repeat_interleave(2, 0), batch.px_per_cm.repeat_interleave(2, 0)
    scale = method.featurizer.scale_px
    exact = method.trajectory.consistency(windows.points, windows, method.programs, scale, place, target)
    assert exact["consistency"] < 1e-9
    moved = windows.points.clone().requires_grad_()
    other = method.trajectory.consistency(moved * 1.1, windows, method.programs, scale, place, target)["consistency"]
    (gradient,) = torch.autograd.grad(other, moved)
    assert other > 1e-4 and torch.isfinite(gradient).all() and gradient.abs().sum() > 0


def test_still_animals_are_inconsistent_at_judged_frames(dyad, tmp_path):
    """What the animals do away from the middle is what consistency is about: standing still is not consistent."""
    method, batch = method_of(dyad, tmp_path, trajectory=TrajectoryConfig(likelihood=1.0, consistency=1.0, frames=13))
    scene = build_scene(batch, method.skeleton, method.featurizer.scale_px, method.config.features.scene)
    middle = torch.tensor([[9, 30], [7, 17], [20, 40]])
    windows = local_windows(scene, middle, 13)
    target = method._judged(method.programs.attributes(batch), middle)
    place = batch.arena.repeat_interleave(2, 0), batch.px_per_cm.repeat_interleave(2, 0)
    still = windows.points[:, 6:7].expand_as(windows.points)
    for attribute in range(method.programs.num_attributes):
        only = target[0], target[1] & (torch.arange(method.programs.num_attributes) == attribute)
        loss = method.trajectory.consistency(still, windows, method.programs, method.featurizer.scale_px, place, only)
        assert loss["consistency"] > 1e-3, method.programs.names[attribute]


def test_judged_frames_outside_the_window_are_unknown(dyad, tmp_path):
    method, batch = method_of(dyad, tmp_path, trajectory=TrajectoryConfig(consistency=1.0, frames=13))
    _, known = method._judged(method.programs.attributes(batch), torch.tensor([[1, 59], [30, 31], [30, 31]]))
    assert not known[0, 0].any() and not known[1, 1].any() and known[2:].all()


def test_likelihood_and_divergence_are_the_bound_however_much_is_missing(dyad, tmp_path):
    """Half of the coordinates unknown: half the likelihood, the same divergence."""
    method, batch = method_of(dyad, tmp_path, trajectory=TrajectoryConfig(likelihood=1.0, free_bits=0.0, frames=9))
    scene = build_scene(batch, method.skeleton, method.featurizer.scale_px, method.config.features.scene)
    windows = local_windows(scene, torch.tensor([[9, 30], [7, 17], [20, 40]]), 9)
    latents = torch.randn(6, 7)
    whole, _ = method.trajectory(latents, windows, None)
    parts = []
    for kept in (slice(0, 4), slice(4, 7)):
        known = torch.zeros_like(windows.known)
        known[..., kept] = windows.known[..., kept]
        parts.append(method.trajectory(latents, replace(windows, known=known), None)[0])
    torch.testing.assert_close(parts[0]["likelihood"] + parts[1]["likelihood"], whole["likelihood"])
    torch.testing.assert_close(parts[0]["kl"], whole["kl"])


def test_horizon_as_long_as_the_window_raises(dyad, tmp_path):
    method, batch = method_of(dyad, tmp_path, context_horizons_frames=(0, 63))
    with pytest.raises(InputError, match="not longer than the context horizon 63"):
        method.loss(batch, None)


def test_a_loss_without_weight_is_neither_computed_nor_built(dyad, tmp_path):
    heads = HeadsConfig(regression=1.0, classification=0.0, contrastive=0.0)
    method, batch = method_of(dyad, tmp_path, heads=heads)
    assert method.loss(batch, None).terms.keys() == {"regression"}
    assert "posterior" not in method.channel_groups
    assert not any("classification" in name or "trajectory" in name for name, _ in method.named_parameters())


def test_the_weights_are_factors(dyad, tmp_path):
    one, batch = method_of(dyad, tmp_path / "1", heads=HeadsConfig(contrastive=1.0))
    two, _ = method_of(dyad, tmp_path / "2", heads=HeadsConfig(regression=2.0, classification=3.0, contrastive=5.0))
    two.load_state_dict(one.state_dict())
    first, second = one.loss(batch, None).terms, two.loss(batch, None).terms
    for name, factor in (("regression", 2.0), ("classification", 3.0), ("contrastive", 5.0)):
        torch.testing.assert_close(second[name], factor * first[name])


def test_with_prediction_the_terms_are_those_of_both(dyad, tmp_path):
    method, batch = method_of(dyad, tmp_path, CPCPrograms, horizons_frames=(6,), key_dim=3, cpc=0.5)
    terms = method.loss(batch, None)
    alone = method.prediction(method.encode(batch)).terms["info_nce"]
    torch.testing.assert_close(terms.terms["info_nce"], 0.5 * alone)
    assert {"regression", "classification", "info_nce"} == terms.terms.keys()


def test_steps_are_picked_all_over_the_window():
    inside = torch.ones(5, 128, dtype=torch.bool)
    encoded = Encoded(torch.zeros(5, 128, 3), {}, inside, inside)
    picked = _picked_steps(encoded, 8, torch.Generator().manual_seed(0))
    assert picked.shape == (5, 8) and (picked // 16 == torch.arange(8)).all() and len(picked.unique()) > 20
    assert torch.equal(_picked_steps(encoded, 8, None)[0], torch.arange(8) * 16 + 8)
    few = Encoded(torch.zeros(5, 3, 3), {}, inside[:, :3], inside[:, :3])
    assert torch.equal(_picked_steps(few, 8, None)[0], torch.arange(3))


WRONG = {
    "horizon between steps": (
        TaskProgrammingConvConfig,
        {"context_horizons_frames": (4,)},
        "multiples of the encoder's",
    ),
    "contexts untaught": (
        TaskProgrammingConvConfig,
        {"context_horizons_frames": ()},
        "no loss trains the contexts",
    ),
    "nothing at all": (
        CPCProgramsConfig,
        {"heads": HeadsConfig(regression=0.0, classification=0.0), "horizons_frames": (6,)},
        "all their losses have weight 0",
    ),
    "prediction of no weight": (CPCProgramsConfig, {"cpc": 0.0, "horizons_frames": (6,)}, "weight must be above 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_contradictory_settings_raise(case):
    kind, fields, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        kind(**FIELDS | fields)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (HeadsConfig, {"regression": -1.0}, "weights of losses must be 0 or more"),
        (HeadsConfig, {"temperature": 0.0}, "temperature above 0"),
        (TrajectoryConfig, {"kl": -1.0}, "0 or more"),
        (TrajectoryConfig, {"frames": 20}, "frames must be odd"),
        (TrajectoryConfig, {"latent_dim": 0}, "at least 1"),
    ],
)
def test_invalid_weights_and_widths_raise(kind, fields, message):
    with pytest.raises(InputError, match=message):
        kind(**fields)
