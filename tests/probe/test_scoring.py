"""A row of results against scikit-learn on the pooled annotated frames."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import average_precision_score, f1_score

from probe.scoring import score_row
from probe.tables import csv_text, markdown_text, rich_table, table_cells
from probe.tasks import macro_of, make_task
from probe.trial import BALANCED, PLAIN, Outcome, Trial
from ssl_behavior.splits import make_split


@pytest.fixture
def trial(store):
    task = make_task(store, "behavior")
    split = replace(make_split(store), evaluate=tuple(store.rows[-2:]))
    return Trial(store, task, split, macro_of(task))


@pytest.fixture
def labels(trial):
    return np.concatenate([trial.store.labels("behavior")[row.slice] for row in trial.split.evaluate])


def outcome(labels, seed, hidden=()):
    """Probabilities that lean towards the labels."""
    generator = np.random.default_rng(seed)
    made = {}
    for fit in (PLAIN, BALANCED):
        noise = generator.random((len(labels), 3)) + 0.7 * (labels[:, None] == np.arange(3))
        made[fit] = (noise / noise.sum(axis=1, keepdims=True)).astype(np.float32)
        made[fit][:, list(hidden)] = np.nan
    return Outcome(made, {}, {PLAIN: (0.1,) * 3, BALANCED: (1.0,) * 3}, {}, {}, 101)


def score(trial, outcomes, **options):
    macros = [macro_of(trial.task), macro_of(trial.task, "other,attack")]
    return score_row(trial, macros, "thing", 5, 100.0, outcomes, **options)


def test_scores_are_scikit_learns_over_all_annotated_frames_pooled(trial, labels):
    outcomes = [outcome(labels, seed) for seed in range(3)]
    row = score(trial, outcomes)
    known = labels >= 0
    assert not known.all()
    shown = labels[known][:, None] == np.arange(3)
    plain, balanced = ([o.probability[fit][known] for o in outcomes] for fit in (PLAIN, BALANCED))
    ap = np.array([[average_precision_score(shown[:, k], p[:, k]) for k in range(3)] for p in plain])
    f1 = np.array([[f1_score(shown[:, k], p.argmax(1) == k) for k in range(3)] for p in balanced])
    for k, name in enumerate(trial.task.classes):
        assert row.classes[name]["ap"].mean == pytest.approx(ap[:, k].mean())
        assert row.classes[name]["f1_balanced"].std == pytest.approx(f1[:, k].std(ddof=0))
        assert row.support[name] == (labels == k).sum()
    first, second = row.macros
    # Without the background, which is the last class.
    assert first.ap.mean == pytest.approx(ap[:, :2].mean()) and first.ap.std == pytest.approx(ap[:, :2].mean(1).std())
    assert first.f1_balanced.mean == pytest.approx(f1[:, :2].mean())
    assert second.ap.mean == pytest.approx(ap[:, [0, 2]].mean())
    assert first.ap_interval.low <= first.ap.mean <= first.ap_interval.high
    assert first.ap_interval.low < first.ap_interval.high
    alone = replace(trial, split=replace(trial.split, evaluate=trial.split.evaluate[:1]))
    assert score(alone, [outcome(labels[: alone.split.evaluate[0].frames], 0)]).macros[0].ap_interval is None


def test_an_undefined_class_is_marked_and_left_out_of_the_mean(trial, labels):
    row = score(trial, [outcome(labels, 0, hidden=[1]), outcome(labels, 1, hidden=[1])])
    assert row.undefined == ("mount",) and row.classes["mount"]["f1"].mean is None
    assert row.macros[0].ap.mean == pytest.approx(row.classes["attack"]["ap"].mean)
    header, cells = table_cells([row])
    assert cells[0][0] == "thing †" and cells[0][header.index("AP mount")] == "undefined"
    assert json.loads(json.dumps(row.to_dict(), allow_nan=False))["classes"]["mount"]["support"] > 0


def test_nothing_learned_is_undefined_throughout(trial, labels):
    row = score(trial, [outcome(labels, 0, hidden=[0, 1, 2])])
    assert row.macros[0].ap.mean is None and row.macros[0].ap_interval is None
    assert "undefined" in markdown_text([row], "nothing", ["a note"])


def test_tables_name_every_row_and_number(trial, labels):
    row = score(trial, [outcome(labels, 0), outcome(labels, 1)])
    text = markdown_text([row], "Title", ["a note"])
    assert f"{row.macros[0].ap.mean:.3f} ± {row.macros[0].ap.std:.3f} [" in text and "- a note" in text
    lines = csv_text([row]).splitlines()
    assert len(lines) == 1 + 2 * 3 + 3 * 5 and lines[1].startswith("thing,5,100,False,macro:all,ap,")
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(rich_table([row] * 7, "Title"))
    shown = console.export_text()
    assert shown.count("thing") == 7 and f"{row.macros[0].ap.mean:.3f} ± {row.macros[0].ap.std:.3f}" in shown
