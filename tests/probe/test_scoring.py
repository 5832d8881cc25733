"""A row of results against scikit-learn on the pooled annotated frames."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from probe.experiment import BALANCED, DECISION, PLAIN, Experiment, Predictions
from probe.postprocessing import reweigh
from probe.scores import score_parts, score_row
from probe.tables import csv_text, markdown_text, rich_table, table_cells
from probe.tasks import make_task, parse_macro
from ssl_behavior.bout_metrics import BOUT_SCORES
from ssl_behavior.splits import make_split


@pytest.fixture
def experiment(store):
    task = make_task(store, "behavior")
    split = replace(make_split(store), evaluate=tuple(store.rows[-2:]))
    return Experiment(store, task, split, parse_macro(task))


@pytest.fixture
def labels(experiment):
    return np.concatenate([experiment.store.labels("behavior")[row.slice] for row in experiment.split.evaluate])


def predictions(labels, seed, hidden=()):
    """Probabilities that lean towards the labels."""
    generator = np.random.default_rng(seed)
    made = {}
    for fit in (PLAIN, BALANCED):
        noise = generator.random((len(labels), 3)) + 0.7 * (labels[:, None] == np.arange(3))
        made[fit] = (noise / noise.sum(axis=1, keepdims=True)).astype(np.float32)
        made[fit][:, list(hidden)] = np.nan
    return Predictions(made, {}, {PLAIN: (0.1,) * 3, BALANCED: (1.0,) * 3}, {}, {}, 101)


def score(experiment, seed_predictions, **options):
    macros = [parse_macro(experiment.task), parse_macro(experiment.task, "other,attack")]
    return score_row(experiment, macros, "thing", 5, 100.0, seed_predictions, **options)


def test_scores_equal_scikit_learn_on_pooled_frames(experiment, labels):
    seed_predictions = [predictions(labels, seed) for seed in range(3)]
    row = score(experiment, seed_predictions)
    known = labels >= 0
    assert not known.all()
    shown = labels[known][:, None] == np.arange(3)
    plain, balanced = ([o.probability[fit][known] for o in seed_predictions] for fit in (PLAIN, BALANCED))
    ap = np.array([[average_precision_score(shown[:, k], p[:, k]) for k in range(3)] for p in plain])
    f1 = np.array([[f1_score(shown[:, k], p.argmax(1) == k) for k in range(3)] for p in balanced])
    for k, name in enumerate(experiment.task.classes):
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
    alone = replace(experiment, split=replace(experiment.split, evaluate=experiment.split.evaluate[:1]))
    assert score(alone, [predictions(labels[: alone.split.evaluate[0].frames], 0)]).macros[0].ap_interval is None


def test_an_undefined_class_is_marked_and_left_out_of_the_mean(experiment, labels):
    row = score(experiment, [predictions(labels, 0, hidden=[1]), predictions(labels, 1, hidden=[1])])
    assert row.undefined == ("mount",) and row.classes["mount"]["f1"].mean is None
    assert row.macros[0].ap.mean == pytest.approx(row.classes["attack"]["ap"].mean)
    header, cells = table_cells([row])
    assert cells[0][0] == "thing †" and cells[0][header.index("AP mount")] == "undefined"
    assert json.loads(json.dumps(row.to_dict(), allow_nan=False))["classes"]["mount"]["support"] > 0


def test_undefined_predictions_have_undefined_scores(experiment, labels):
    row = score(experiment, [predictions(labels, 0, hidden=[0, 1, 2])])
    assert row.macros[0].ap.mean is None and row.macros[0].ap_interval is None
    assert "undefined" in markdown_text([row], "nothing", ["a note"])


def test_tables_name_every_row_and_number(experiment, labels):
    row = score(experiment, [predictions(labels, 0), predictions(labels, 1)])
    text = markdown_text([row], "Title", ["a note"])
    assert f"{row.macros[0].ap.mean:.3f} ± {row.macros[0].ap.std:.3f} [" in text and "- a note" in text
    lines = csv_text([row]).splitlines()
    # Brier scores are of three classes, bouts of two means and of two classes without the background.
    bouts = 3 + 4 * len(BOUT_SCORES)
    assert len(lines) == 1 + 2 * 5 + 3 * 5 + bouts and lines[2].startswith("thing,5,100,False,False,,macro:all,ap,")
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(rich_table([row] * 7, "Title"))
    shown = console.export_text()
    assert shown.count("thing") == 7 and f"{row.macros[0].ap.mean:.3f} ± {row.macros[0].ap.std:.3f}" in shown


def made_of_parts(experiment, num_seeds=3):
    """Rows of three "annotators" with their own recordings, and what they were scored from."""
    rows, pooled = {}, {}
    for number, picked in enumerate(((5, 6), (0, 3), (1, 2))):
        evaluate = tuple(experiment.store.rows[index] for index in picked)
        own = replace(experiment, split=replace(experiment.split, evaluate=evaluate))
        labels = np.concatenate([experiment.store.labels("behavior")[row.slice] for row in evaluate])
        seed_predictions = [predictions(labels, 10 * number + seed) for seed in range(num_seeds)]
        rows[f"annotator {number}"] = score(own, seed_predictions)
        pooled[f"annotator {number}"] = labels, seed_predictions
    return rows, pooled


def test_scores_are_averaged_over_parts_per_seed(experiment):
    """Sun et al. 2021: pool the frames of a part's recordings, F1 and AP per class, mean over classes that are not
    background, mean over parts, and only then mean and population standard deviation over seeds."""
    rows, pooled = made_of_parts(experiment)
    together = score_parts(rows)
    values = {"ap": [], "f1": [], "f1_balanced": [], "precision": [], "recall": []}
    for seed in range(3):
        per_part = {name: [] for name in values}
        for labels, seed_predictions in pooled.values():
            known = labels >= 0
            plain, balanced = (seed_predictions[seed].probability[fit][known] for fit in (PLAIN, BALANCED))
            shown, claimed = labels[known], plain.argmax(axis=1)
            classes = [0, 1]
            per_part["ap"].append(np.mean([average_precision_score(shown == k, plain[:, k]) for k in classes]))
            for name, of in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
                per_part[name].append(of(shown, claimed, labels=classes, average="macro"))
            per_part["f1_balanced"].append(f1_score(shown, balanced.argmax(1), labels=classes, average="macro"))
        for name, parts in per_part.items():
            values[name].append(np.mean(parts))
    for name, over_seeds in values.items():
        assert getattr(together.macros[0], name).mean == pytest.approx(np.mean(over_seeds)), name
        assert getattr(together.macros[0], name).std == pytest.approx(np.std(over_seeds, ddof=0)), name
        assert together.macros[0].by_seed[name] == pytest.approx(over_seeds)


def test_classes_of_parts_are_means_too_and_supports_add_up(experiment):
    rows, _ = made_of_parts(experiment)
    together = score_parts(rows)
    for name in experiment.task.classes:
        for seed in range(3):
            expected = np.mean([row.by_seed[name]["f1"][seed] for row in rows.values()])
            assert together.by_seed[name]["f1"][seed] == pytest.approx(expected)
        assert together.support[name] == sum(row.support[name] for row in rows.values())
    assert together.num_train_frames == (303, 303, 303) and list(together.parts) == list(rows)
    values = json.loads(json.dumps(together.to_dict()))
    assert values["parts"]["annotator 1"]["macros"][0]["name"] == "all" and "resampled" not in values["macros"][0]


def test_interval_of_a_task_is_narrower_than_of_its_parts(experiment):
    rows, _ = made_of_parts(experiment, num_seeds=1)
    widths = [row.macros[0].ap_interval.high - row.macros[0].ap_interval.low for row in rows.values()]
    together = score_parts(rows).macros[0].ap_interval
    assert 0 < together.high - together.low < np.mean(widths)


def test_row_of_a_single_part_is_the_row_of_the_task(experiment, labels):
    row = score(experiment, [predictions(labels, 0)])
    assert score_parts({"behavior": row}) is row


def test_undefined_part_is_left_out_and_named(experiment):
    rows, _ = made_of_parts(experiment)
    _, *others = rows.values()
    nothing = replace(experiment, split=replace(experiment.split, evaluate=(experiment.store.rows[4],)))
    lost = experiment.store.labels("behavior")[experiment.store.rows[4].slice]
    rows["annotator 0"] = score(nothing, [predictions(lost, seed, hidden=[0, 1]) for seed in range(3)])
    together = score_parts(rows)
    expected = [np.mean([row.macros[0].by_seed["ap"][seed] for row in others]) for seed in range(3)]
    assert together.macros[0].by_seed["ap"] == pytest.approx(expected)
    assert together.undefined == ("annotator 0: attack", "annotator 0: mount")
    assert "†" in markdown_text([together], "Title", [])


def test_behaviors_as_parts_are_classes_of_the_task(experiment):
    parts = {}
    for number, name in enumerate(("attack", "mount")):
        task = replace(experiment.task, name=name, classes=(name,), kind="binary", background="")
        own = replace(experiment, task=task, selection=parse_macro(task))
        shown = np.concatenate([experiment.store.labels("behavior")[row.slice] for row in own.split.evaluate])
        lean = np.random.default_rng(number).random((len(shown), 1)) + 0.5 * (shown == number)[:, None]
        probability = {fit: (lean / 2).astype(np.float32) for fit in (PLAIN, BALANCED)}
        own_outcome = Predictions(probability, {}, {}, {}, {}, 11)
        parts[name] = score_row(own, [parse_macro(task)], "thing", 5, 100.0, [own_outcome])
    together = score_parts(parts)
    assert list(together.classes) == ["attack", "mount"]
    assert together.classes["mount"] == parts["mount"].classes["mount"]
    expected = np.mean([parts[name].classes[name]["ap"].mean for name in parts])
    assert together.macros[0].ap.mean == pytest.approx(expected)
    header, cells = table_cells([together])
    assert header[-2:] == ["AP attack", "AP mount"] and len(cells[0]) == len(header)


def test_tables_have_columns_for_annotators_and_a_section_for_each(experiment):
    rows, _ = made_of_parts(experiment)
    together = score_parts(rows)
    header, cells = table_cells([together])
    assert header[-2:] == ["AP annotator 2", "F1 annotator 2"]
    assert cells[0][-1].startswith(f"{rows['annotator 2'].macros[0].f1.mean:.3f}")
    text = markdown_text([together], "Title", ["a note"])
    assert "## By class" in text and text.count("## annotator") == 3
    lines = csv_text([together]).splitlines()
    assert sum(",annotator 1," in line for line in lines) == len(lines) // 4


def test_tuned_decisions_change_f1_and_no_ranking(experiment, labels):
    plain = predictions(labels, 0)
    postprocessed = dict(plain.probability) | {
        DECISION: reweigh(plain.probability[PLAIN], [4.0, 1.0, 0.2], "multinomial")
    }
    tuned = replace(plain, postprocessed=postprocessed, weights=(4.0, 1.0, 0.2))
    before, after = score(experiment, [tuned]), score(experiment, [tuned], postprocessed=True)
    assert after.tuned and not after.smoothed and not before.tuned and after.weights == ((4.0, 1.0, 0.2),)
    assert before.macros[0].ap == after.macros[0].ap and before.macros[0].f1_balanced == after.macros[0].f1_balanced
    known = labels >= 0
    claimed = (plain.probability[PLAIN] * np.array([4.0, 1.0, 0.2])).argmax(axis=1)
    assert after.classes["attack"]["f1"].mean == pytest.approx(f1_score(labels[known] == 0, claimed[known] == 0))
    assert after.classes["attack"]["recall"].mean > before.classes["attack"]["recall"].mean
    assert table_cells([after])[1][0][0] == "thing, tuned"
