"""Few labels: nested draws, what is undefined, and a figure of it."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from probe.calms21.learning_curves import (
    covering_rows,
    draw_curves,
    draw_streams,
    label_curve,
    nested_rows,
)
from probe.calms21.prediction_cache import cached_predictions
from probe.calms21.systems import PostprocessingConfig
from probe.tasks import parse_macro
from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import check_figure


@pytest.fixture
def macros(problem):
    return [parse_macro(problem.task), parse_macro(problem.task, "mount")]


def test_draws_are_nested_within_a_seed_and_differ_between_seeds(problem):
    rows = problem.store.rows
    for seed in range(3):
        drawn = [{row.id for row in nested_rows(rows, count, seed)} for count in (1, 2, 4, 7)]
        assert [len(some) for some in drawn] == [1, 2, 4, 7]
        assert drawn[0] < drawn[1] < drawn[2] < drawn[3]
    assert len({nested_rows(rows, 2, seed)[0].id for seed in range(9)}) > 1


def test_covering_draws_are_nested_and_start_with_all_selected_classes(problem, relabeled):
    def change(row, frames):
        hidden = {"r0": (0, 1), "r1": (0, 1), "r2": (0,), "r3": (1,), "r4": (0,), "r5": (1,), "r6": (0, 1)}[row.id]
        return np.where(np.isin(frames, hidden), 2, frames)

    store = relabeled(problem.store, change)
    sparse = type(problem)(store, problem.task, problem.selection)
    neither, either = {"r0", "r1", "r6"}, {"r2", "r3", "r4", "r5"}
    firsts = set()
    for seed in range(6):
        drawn = [{row.id for row in covering_rows(sparse, store.rows, count, seed)} for count in (1, 2, 4, 7)]
        assert [len(some) for some in drawn] == [1, 2, 4, 7] and drawn[0] < drawn[1] < drawn[2] < drawn[3]
        assert drawn[2] == either and not drawn[1] & neither
        assert len(drawn[1] & {"r2", "r4"}) == 1, "two recordings show both classes"
        firsts |= drawn[0]
    assert len(firsts) > 1


def test_covering_curve_trains_on_covering_draws(centroids, problem, split, macros):
    label_curve(centroids, problem, split, macros, [3], counts=[2], covering=True)
    assert centroids.learned_from == [[row.id for row in covering_rows(problem, split.train, 2, 3)]]


def test_stream_figure_has_a_panel_per_stream(centroids, problem, split, macros, tmp_path):
    pytest.importorskip("matplotlib")
    curve = label_curve(centroids, problem, split, macros, [0, 1])
    other = replace(curve, system="another system")
    draw_streams({"S1": [curve, other], "S2": [other]}, tmp_path / "streams.svg", "Simulated")
    text = (tmp_path / "streams.svg").read_text()
    assert text.startswith("<?xml") and "#0072b2" in text.lower() and "#d55e00" in text.lower()
    draw_streams({"S1": [curve]}, tmp_path / "one.png", score="f1_balanced")
    with pytest.raises(InputError, match="no curve"):
        draw_streams({"S1": []}, tmp_path / "none.png")


def test_curve_has_counts_from_one_to_all_recordings(centroids, problem, split, macros):
    told = []
    curve = label_curve(centroids, problem, split, macros, [0, 1], advance=told.append)
    assert [point.num_recordings for point in curve.points] == [1, 2, 4, 6][: len(curve.points)]
    assert curve.points[-1].num_recordings == len(split.train) and sum(told) == 2 * len(curve.points)
    labels = problem.store.labels("behavior")
    for point in curve.points:
        for index, seed in enumerate((0, 1)):
            drawn = nested_rows(split.train, point.num_recordings, seed)
            for column, name in enumerate(problem.task.classes):
                shown = sum((labels[row.slice] == column).sum() for row in drawn)
                assert point.positive[name][index] == shown
    assert curve.points[-1].row.macros[0].ap.std == 0
    assert json.loads(json.dumps(curve.to_dict()))["points"][0]["num_recordings"] == 1


def test_curve_point_scores_its_own_recordings(centroids, problem, split, macros):
    label_curve(centroids, problem, split, macros, [3], counts=[2])
    assert centroids.learned_from == [[row.id for row in nested_rows(split.train, 2, 3)]]


def test_class_absent_from_the_draw_is_undefined_and_named(centroids, problem, split, relabeled, macros):
    only = nested_rows(split.train, 2, 0)
    (first,) = nested_rows(split.train, 1, 0)
    (second,) = [row.id for row in only if row.id != first.id]
    scored = {row.id for row in split.evaluate}
    store = relabeled(
        problem.store, lambda row, frames: frames if row.id in {second, *scored} else np.where(frames == 1, 2, frames)
    )
    problem = type(problem)(store, problem.task, problem.selection)
    curve = label_curve(centroids, problem, split, macros, [0], counts=[1, 2])
    few, more = curve.points
    assert few.positive["mount"] == (0,) and few.row.undefined == ("mount",) and more.row.undefined == ()
    assert few.row.macros[1].ap.mean is None and more.row.macros[1].ap.mean > 0


def test_curves_use_postprocessing_and_cached_predictions(centroids, problem, split, macros, tmp_path):
    postprocessing = PostprocessingConfig(folds=2, smooth=True)
    run = partial(cached_predictions, tmp_path)
    first = label_curve(centroids, problem, split, macros, [0], postprocessing, [2, 4], run)
    learned = len(centroids.learned_from)
    again = label_curve(centroids, problem, split, macros, [0], postprocessing, [2, 4], run)
    assert len(centroids.learned_from) == learned and first.to_dict() == again.to_dict()
    assert all(point.row.smoothed for point in first.points)


@pytest.mark.parametrize("counts", [[0, 1], [1, 99], []])
def test_curve_counts_must_not_exceed_the_recordings(centroids, problem, split, macros, counts):
    with pytest.raises(InputError, match="from 1 to"):
        label_curve(centroids, problem, split, macros, [0], counts=counts)


def test_figure_errors_come_before_training(centroids, problem, split, macros, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    curve = label_curve(centroids, problem, split, macros, [0, 1])
    draw_curves([curve, curve], tmp_path / "curves.png", "Simulated", ("ap", "f1", "f1_balanced"))
    assert (tmp_path / "curves.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(InputError, match="no curve"):
        draw_curves([], tmp_path / "none.png")
    with pytest.raises(InputError, match="ends in"):
        check_figure(tmp_path / "curves.doc")
    monkeypatch.setattr("ssl_behavior.plots.style.find_spec", lambda name: None)
    with pytest.raises(InputError, match="matplotlib"):
        check_figure(tmp_path / "curves.png")
