from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior.clusters import frame_measures
from ssl_behavior.clusters.frame_measures import SEEN, fit_measures
from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, with_programs_of
from ssl_behavior.recording import Recording, observed_points
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import write_store
from ssl_behavior.windows import WindowReader

TWICE = '''
from ssl_behavior.programs import program

@program(units="{units}", invariant="translation rotation reflection", each_animal=True)
def hurry(pose):
    """Twice the speed."""
    return 2 * pose.own.speed
'''


@pytest.fixture(autouse=True)
def _single():
    torch.set_default_dtype(torch.float32)


def column(found, name):
    return [measure.name for measure in found.measures].index(name)


def all_values(found, pick):
    return np.concatenate([values for place, _, values in found.blocks() if place == pick])


def test_values_are_those_of_the_whole_recording_whatever_the_blocks(mice, monkeypatch):
    found = fit_measures(mice, mice.rows[:2])
    monkeypatch.setattr(frame_measures, "_BLOCK_FRAMES", 997)
    values = all_values(found, 1)
    assert values.shape == (2503, len(found.measures))
    measured = found.programs.measure(WindowReader([(mice, mice.rows[1])], 1).read([(0, 0, 2503)]))[0].double().numpy()
    for name in found.programs.names:
        wanted = measured[:, found.programs.names.index(name)]
        np.testing.assert_allclose(values[:, column(found, name)], wanted, rtol=1e-3, atol=1e-3, err_msg=name)
    sizes, signed = (values[:, column(found, name)] for name in ("turning.size.intruder", "turning.intruder"))
    np.testing.assert_allclose(sizes, np.abs(signed))
    assert (signed < 0).any()


def test_how_much_is_seen(labeled):
    found = fit_measures(labeled, labeled.rows)
    seen = observed_points(labeled.keypoints[labeled.rows[2].slice]).reshape(211, -1).mean(axis=1)
    np.testing.assert_allclose(all_values(found, 2)[:, column(found, SEEN)], seen, rtol=1e-6)


def test_sizes_of_anonymous_animals_are_the_greater_and_the_lesser_of_both(dyad, tmp_path):
    store = write_store(tmp_path / "rats", [dyad(f"r{n}", 211, "rat_dyads", seed=n) for n in range(3)])
    found = fit_measures(store, store.rows)
    values = all_values(found, 0)
    signed = values[:, [column(found, "turning.greater"), column(found, "turning.lesser")]]
    sizes = values[:, [column(found, "turning.size.greater"), column(found, "turning.size.lesser")]]
    known = np.isfinite(signed).all(axis=1)
    np.testing.assert_allclose(sizes[known], -np.sort(-np.abs(signed[known]), axis=1))
    # Where one turns left faster than the other right, the greater size is not that of the greater value.
    assert (np.abs(signed[known, 0]) < np.abs(signed[known, 1])).any()


def test_animals_have_the_names_of_the_store(dyad, tmp_path):
    recordings = [replace(dyad(f"r{n}", 101, seed=n), individuals=("black", "<white>")) for n in range(2)]
    store = write_store(tmp_path / "named", recordings)
    names = {measure.of for measure in fit_measures(store, store.rows).measures}
    assert names == {"", "black", "<white>"}


@pytest.mark.parametrize(("scale", "unit"), [(None, "px"), (12.5, "cm")])
def test_lengths_are_in_cm_where_the_scale_is_known(dyad, tmp_path, scale, unit):
    store = write_store(tmp_path / "store", [dyad("a", 211, px_per_cm=scale), dyad("b", 101, px_per_cm=scale, seed=1)])
    found = fit_measures(store, store.rows)
    assert found.unit == unit and found.measures[column(found, "speed.resident")].units == f"{unit}/s"
    assert found.body_length == pytest.approx(60 / (scale or 1), rel=0.2)


def test_what_cannot_be_measured_is_said(tmp_path):
    generator = np.random.default_rng(0)
    skeleton = Skeleton(name="worm", keypoints=("a", "b"), individuals=("one",))
    keypoints = generator.normal(size=(97, 1, 2, 2)).astype(np.float32)
    keypoints[generator.random((97, 1, 2)) < 0.3] = np.nan
    store = write_store(tmp_path / "worms", [Recording(id="w", keypoints=keypoints, fps=30.0, skeleton=skeleton)])
    found = fit_measures(store, store.rows)
    assert [measure.name for measure in found.measures] == [SEEN] and np.isnan(found.body_length)
    (note,) = found.notes
    assert note.startswith("no program is measured: ") and "two animals" in note


def test_programs_of_ones_own_are_measured_and_their_mistakes_told(labeled, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(TWICE.format(units="length/s"))
    found = fit_measures(labeled, labeled.rows, with_programs_of(ProgramsConfig(), file))
    values = all_values(found, 2)
    np.testing.assert_allclose(
        values[:, column(found, "hurry.resident")], 2 * values[:, column(found, "speed.resident")], rtol=1e-5
    )
    file.write_text(TWICE.format(units="length/s").replace("2 * pose.own.speed", "pose.own.points"))
    with pytest.raises(InputError, match="hurry"):
        fit_measures(labeled, labeled.rows, with_programs_of(ProgramsConfig(), file))


def test_recordings_of_several_rates_are_described_without_programs(dyad, tmp_path):
    store = write_store(
        tmp_path / "store", [dyad("a", 101, missing=0.1), dyad("b", 101, fps=25.0, seed=1, missing=0.1)]
    )
    found = fit_measures(store, store.rows)
    assert found.programs is None and "different frame rates" in found.notes[0]
