from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior.clusters import frame_measures
from ssl_behavior.clusters.distinctive import compare_clusters, differences_of
from ssl_behavior.clusters.frame_clusters import FrameClusters
from ssl_behavior.clusters.frame_measures import SEEN, fit_measures
from ssl_behavior.clusters.sentences import sentence, subjects_of
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, with_programs_of
from ssl_behavior.recording import Recording, observed_points
from ssl_behavior.skeleton import Skeleton
from ssl_behavior.store import write_store
from ssl_behavior.units import actors_of
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
    assert note.startswith("no program is measured: ") and "tail_base" in note


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


NAMES = ("m1", "m2", "m3")


@pytest.fixture
def groups(dyad, tmp_path):
    """A store of three animals; the third is absent from the second recording."""

    def make(number=3, exchangeable=False):
        recordings = []
        for n in range(2):
            parts = [dyad(f"r{n}", 211, seed=10 * n + seed, missing=0.05) for seed in range(2)]
            keypoints = np.concatenate([part.keypoints for part in parts], axis=1)[:, :number].copy()
            if n == 1:
                keypoints[:, 2:] = np.nan
            skeleton = replace(parts[0].skeleton, individuals=NAMES[:number], exchangeable=exchangeable)
            recordings.append(Recording(id=f"r{n}", keypoints=keypoints, fps=30.0, skeleton=skeleton))
        return write_store(tmp_path / f"groups{len(list(tmp_path.iterdir()))}", recordings)

    return make


def rows_of(store, unit):
    """Each recording's row in the store and the animals, for every animal or pair that is there."""
    rows = [
        (row, actors)
        for row in store.rows
        for actors in actors_of(unit, [name for name in store.individuals if name not in row.absent])
    ]
    return [row for row, _ in rows], [actors for _, actors in rows]


def of_rows(found):
    """Values of every row; each is one block."""
    return [values for _, _, values in found.blocks()]


def test_a_single_animal_is_measured(groups):
    store = groups(1)
    found = fit_measures(store, store.rows)
    names = {measure.name for measure in found.measures}
    assert {"speed.m1", "turning.m1", "turning.size.m1", SEEN} <= names and not any("facing" in name for name in names)
    assert "facing_angle is left out: it needs another animal, and the recordings have one" in found.notes
    for unit in ("animal", "pair"):
        of_animal = fit_measures(store, *rows_of(store, unit)[:1], actors=rows_of(store, unit)[1])
        assert {"speed", "turning.size"} <= {measure.name for measure in of_animal.measures}
        assert {measure.of for measure in of_animal.measures} == {"the animal", ""}
        np.testing.assert_array_equal(
            of_rows(of_animal)[1][:, column(of_animal, "speed")], of_rows(found)[1][:, column(found, "speed.m1")]
        )


@pytest.mark.parametrize("exchangeable", [False, True])
def test_rows_of_animals_and_pairs_are_measured_for_their_animals(groups, exchangeable):
    store = groups(3, exchangeable)
    named = groups(3)
    scene = fit_measures(named, named.rows, ProgramsConfig(others="each"))
    whole_of = dict(zip((row.id for row in store.rows), of_rows(scene), strict=True))
    for unit in ("animal", "pair"):
        rows, actors = rows_of(store, unit)
        found = fit_measures(store, rows, actors=actors)
        for row, own, values in zip(rows, actors, of_rows(found), strict=True):
            whole = whole_of[row.id]
            name = {"animal": "speed", "pair": "speed.agent"}[unit]
            np.testing.assert_array_equal(values[:, column(found, name)], whole[:, column(scene, f"speed.{own.agent}")])
            recording = store.recording(row.id)
            counted = [store.individuals.index(one) for one in {own.agent, own.target} - {""}]
            seen = observed_points(recording.keypoints[:, counted]).reshape(row.frames, -1).mean(axis=1)
            np.testing.assert_allclose(values[:, column(found, SEEN)], seen, rtol=1e-6)
            if unit == "pair":
                back = f"facing_angle.{own.target}.{own.agent}"
                np.testing.assert_array_equal(
                    values[:, column(found, "facing_angle.target")], whole[:, column(scene, back)]
                )


def test_an_absent_animal_is_not_counted_as_unseen(groups):
    store = groups(3)
    found = fit_measures(store, store.rows)
    seen = observed_points(store.recording("r1").keypoints[:, :2]).reshape(211, -1).mean(axis=1)
    np.testing.assert_allclose(of_rows(found)[1][:, column(found, SEEN)], seen, rtol=1e-6)


def test_sizes_of_exchangeable_groups_are_the_greatest_and_the_least_of_all(groups):
    named, store = groups(3), groups(3, exchangeable=True)
    found, each = fit_measures(store, store.rows), fit_measures(named, named.rows)
    sizes = of_rows(each)[0][:, [column(each, f"turning.size.{name}") for name in NAMES]]
    known = np.isfinite(sizes).any(axis=1)
    values = of_rows(found)[0]
    np.testing.assert_allclose(
        values[known, column(found, "turning.size.greatest")], np.nanmax(sizes[known], axis=1), rtol=1e-6
    )
    np.testing.assert_allclose(
        values[known, column(found, "turning.size.least")], np.nanmin(sizes[known], axis=1), rtol=1e-6
    )
    assert {measure.of for measure in found.measures} == {
        "greatest", "least", "greatest of pairs", "least of pairs", ""
    }  # fmt: skip


def test_subjects_of_named_groups(groups):
    store = groups(3)
    near = {measure.of for measure in fit_measures(store, store.rows).measures}
    assert near == {"", *NAMES, *(f"{name} and its nearest" for name in NAMES)}
    each = {measure.of for measure in fit_measures(store, store.rows, ProgramsConfig(others="each")).measures}
    assert {"m1", "m1 and m3", "m3 → m1"} <= each and "m3 and m1" not in each


@pytest.mark.parametrize(
    ("unit", "number", "exchangeable"),
    [
        ("scene", 1, True), ("scene", 3, False), ("scene", 3, True), ("animal", 1, False), ("animal", 2, True),
        ("animal", 3, True), ("pair", 1, True), ("pair", 2, False), ("pair", 3, True),
    ],
)  # fmt: skip
def test_clusters_of_any_unit_get_sentences(groups, unit, number, exchangeable):
    store = groups(number, exchangeable)
    rows, actors = rows_of(store, unit)
    found = fit_measures(store, rows, actors=actors)
    speed = next(place for place, measure in enumerate(found.measures) if measure.program == "speed")
    fast = [values[:, speed] > found.center[speed] for values in of_rows(found)]
    frames = [row.frames for row in rows]
    places = [
        EmbeddingRow(
            id=own.row_id(row.id), recording=row.id, agent=own.agent, target=own.target, offset=sum(frames[:n]),
            frames=row.frames, fps=row.fps,
        )
        for n, (row, own) in enumerate(zip(rows, actors, strict=True))
    ]  # fmt: skip
    clusters = FrameClusters(places, np.concatenate(fast).astype(np.int32), 2)
    compared = compare_clusters(clusters, found)
    (_, quick) = differences_of(compared, found.measures, np.bincount(clusters.labels))
    text = sentence(quick, subjects_of(found, store.skeleton), 0.5)
    assert "moving fast" in text and ("the agent" in text.lower()) == (unit == "pair" and number > 1)
    if unit != "scene" and number == 1:
        # All rows are about the same animal.
        assert "M1 moving fast" in text
    if unit == "animal" and number > 1:
        assert "the animal moving fast" in text.lower()
    if unit == "scene" and number == 3:
        assert ("one of the animals" in text.lower() or "all moving" in text.lower()) == exchangeable
