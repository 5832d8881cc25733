"""Scores of bouts in a row of results are those of the library, for decisions of the plain fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from probe.bout_scores import RECORDING_SCORES, EvaluatedFrames
from probe.experiment import BALANCED, DECISION, PLAIN, Experiment, Predictions
from probe.scores import score_parts, score_row
from probe.tables import bout_cells, bout_summary, markdown_text
from probe.tasks import make_task, parse_macro
from ssl_behavior.bout_metrics import BOUT_SCORES, bout_scores
from ssl_behavior.recording import PairLabels
from ssl_behavior.splits import make_split
from ssl_behavior.store import write_store
from tests.probe.conftest import CLASSES, make_recording


@pytest.fixture
def experiment(store):
    task = make_task(store, "behavior")
    split = replace(make_split(store), evaluate=tuple(store.rows[4:]))
    return Experiment(store, task, split, parse_macro(task))


@pytest.fixture
def labels(experiment):
    return np.concatenate([experiment.store.labels("behavior")[row.slice] for row in experiment.split.evaluate])


def predictions(labels, seed, hidden=()):
    """Probabilities that follow the labels for most frames."""
    generator = np.random.default_rng(seed)
    noise = np.repeat(generator.random((len(labels) // 5 + 1, 3)), 5, axis=0)[: len(labels)]
    noise += 0.8 * (labels[:, None] == np.arange(3))
    probability = (noise / noise.sum(axis=1, keepdims=True)).astype(np.float32)
    probability[:, list(hidden)] = np.nan
    return Predictions({PLAIN: probability, BALANCED: probability[:, ::-1]}, {}, {}, {}, {}, 101)


def score(experiment, seed_predictions, **options):
    macros = [parse_macro(experiment.task)]
    return score_row(experiment, macros, "thing", 5, 100.0, seed_predictions, **options)


def expected(labels, claimed, column, lengths):
    target = np.where(labels < 0, -1, labels == column)
    return bout_scores(target, claimed == column, 30.0, lengths)


def test_scores_are_of_the_decisions_of_the_plain_fit(experiment, labels):
    seeds = [predictions(labels, seed) for seed in range(3)]
    row = score(experiment, seeds)
    lengths = [row.frames for row in experiment.split.evaluate]
    assert list(row.bouts.classes) == ["attack", "mount"] and list(row.bouts.brier) == [*CLASSES]
    assert (labels < 0).any()
    for column, name in enumerate(row.bouts.classes):
        found = [expected(labels, one.probability[PLAIN].argmax(axis=1), column, lengths) for one in seeds]
        assert set(row.bouts.classes[name]) == set(BOUT_SCORES)
        for one, made in row.bouts.classes[name].items():
            values = [scores[one] for scores in found]
            assert made.by_seed == tuple(values), one
            assert made.summary.mean == pytest.approx(np.mean(values))
            assert made.interval.low <= made.summary.mean <= made.interval.high
    for number, one in enumerate(seeds):
        known = labels >= 0
        for column, name in enumerate(CLASSES):
            theirs = brier_score_loss(labels[known] == column, one.probability[PLAIN][known, column])
            assert row.bouts.brier[name].by_seed[number] == pytest.approx(theirs)
    both = [row.bouts.classes[name]["f1_50"].summary.mean for name in row.bouts.classes]
    assert row.bouts.macros["all"]["f1_50"].summary.mean == pytest.approx(np.mean(both))


def test_scores_of_each_recording_are_means_over_seeds(experiment, labels):
    seeds = [predictions(labels, seed) for seed in range(2)]
    row = score(experiment, seeds)
    columns = row.bouts.recordings["mount"]
    assert list(columns) == ["recording", *RECORDING_SCORES]
    assert columns["recording"] == [one.id for one in experiment.split.evaluate]
    stop = experiment.split.evaluate[0].frames
    first = [expected(labels[:stop], one.probability[PLAIN][:stop].argmax(axis=1), 1, [stop]) for one in seeds]
    for name in RECORDING_SCORES[1:]:
        assert columns[name][0] == pytest.approx(np.mean([one[name] for one in first])), name
    assert list(row.bouts.recordings["other"]) == ["recording", "brier"]


def test_a_recording_without_annotation_is_not_listed(experiment, labels, relabeled):
    def change(row, frames):
        return np.full_like(frames, -1) if row.id == "r5" else frames

    own = replace(experiment, store=relabeled(experiment.store, change))
    row = score(own, [predictions(labels, 0)])
    assert row.bouts.recordings["attack"]["recording"] == ["r4", "r6"]
    whole = score(experiment, [predictions(labels, 0)])
    assert (
        row.bouts.classes["attack"]["true_bouts"].summary.mean
        < whole.bouts.classes["attack"]["true_bouts"].summary.mean
    )


def test_a_single_recording_has_no_interval(experiment, labels):
    alone = replace(experiment, split=replace(experiment.split, evaluate=experiment.split.evaluate[:1]))
    row = score(alone, [predictions(labels[: alone.split.evaluate[0].frames], 0)])
    assert row.bouts.classes["attack"]["f1_50"].interval is None and row.bouts.brier["other"].interval is None


def test_postprocessed_decisions_count(experiment, labels):
    plain = predictions(labels, 0)
    swapped = dict(plain.probability) | {DECISION: plain.probability[PLAIN][:, [1, 0, 2]]}
    row = score(experiment, [replace(plain, postprocessed=swapped)], postprocessed=True)
    lengths = [row.frames for row in experiment.split.evaluate]
    found = expected(labels, swapped[DECISION].argmax(axis=1), 0, lengths)
    assert row.bouts.classes["attack"]["f1_10"].by_seed == (found["f1_10"],)
    # Probabilities are those of the plain fit.
    assert row.bouts.brier == score(experiment, [plain]).bouts.brier


def test_a_class_that_was_not_learned_has_no_score(experiment, labels):
    row = score(experiment, [predictions(labels, 0), predictions(labels, 1, hidden=[1])])
    assert row.bouts.classes["mount"]["f1_50"].summary.num_defined == 1
    assert row.bouts.classes["mount"]["f1_50"].by_seed[1] is None
    never = score(experiment, [predictions(labels, 0, hidden=[1])])
    assert list(never.bouts.classes) == ["attack"] and list(never.bouts.brier) == ["attack", "other"]
    assert never.bouts.macros["all"]["f1_50"].summary == never.bouts.classes["attack"]["f1_50"].summary
    nothing = score(experiment, [predictions(labels, 0, hidden=[0, 1, 2])])
    assert not nothing.bouts.classes and not nothing.bouts.brier and not nothing.bouts.macros["all"]
    assert "## Bouts" not in markdown_text([nothing], "nothing") and not bout_summary([nothing]).renderables
    assert json.loads(json.dumps(nothing.to_dict(), allow_nan=False))["bouts"] == {}


def test_results_hold_all_scores(experiment, labels):
    values = json.loads(json.dumps(score(experiment, [predictions(labels, 0)]).to_dict(), allow_nan=False))
    one = values["bouts"]["attack"]["f1_50"]
    assert set(one) == {"mean", "std", "num_defined", "interval", "by_seed"} and set(one["interval"]) == {"low", "high"}
    assert set(values["bout_macros"]["all"]) == set(BOUT_SCORES) and set(values["brier"]) == {*CLASSES}
    assert len(values["recordings"]["attack"]["brier"]) == 3


def test_parts_are_averaged_and_their_recordings_listed(experiment):
    rows = {}
    for number, picked in enumerate(((5, 6), (0, 3))):
        evaluate = tuple(experiment.store.rows[index] for index in picked)
        own = replace(experiment, split=replace(experiment.split, evaluate=evaluate))
        labels = np.concatenate([experiment.store.labels("behavior")[row.slice] for row in evaluate])
        rows[f"annotator {number}"] = score(own, [predictions(labels, number), predictions(labels, 7 + number)])
    together = score_parts(rows).bouts
    for name in ("f1_50", "onset_absolute", "fragments"):
        for seed in range(2):
            parts = [row.bouts.classes["attack"][name].by_seed[seed] for row in rows.values()]
            assert together.classes["attack"][name].by_seed[seed] == pytest.approx(np.mean(parts))
    narrow, *wide = (one.classes["attack"]["f1_50"].interval for one in (together, *(r.bouts for r in rows.values())))
    assert narrow.high - narrow.low < max(one.high - one.low for one in wide)
    assert together.recordings["attack"]["recording"] == ["r5", "r6", "r0", "r3"]
    assert rows["annotator 0"].bouts.recordings["attack"]["recording"] == ["r5", "r6"]
    assert set(together.brier) == {*CLASSES} and together.macros["all"]["f1_25"].interval is not None


def test_tables_of_bouts(experiment, labels):
    row = score(experiment, [predictions(labels, 0), predictions(labels, 1)])
    header, cells = bout_cells([row])
    assert len(cells) == 2 and {len(line) for line in cells} == {len(header)}
    attack = row.bouts.classes["attack"]
    assert cells[0][header.index("at 0.5")].startswith(f"{attack['f1_50'].summary.mean:.3f} ± ")
    assert cells[0][header.index("predicted bouts")].startswith(f"{attack['predicted_bouts'].summary.mean:.0f} ± ")
    (table,) = bout_summary([row]).renderables
    assert table.row_count == 1 and [column.header for column in table.columns][-1].plain == "fragments"


def test_pairs_of_a_recording_are_one_recording(tmp_path):
    """Bouts end with their pair, and intervals resample recordings."""
    from probe.pair_store import PairStore

    def pairs_recording(name, number):
        made = make_recording(name, 300 + number)
        bouts = np.array([[0, 1, 0, 280, 300 + number], [1, 0, 0, 0, 20], [1, 0, 0, 50, 90]], np.int64)
        return replace(made, labels={}, pair_labels={"acts": PairLabels(vocabulary=("sniff",), bouts=bouts)})

    store = PairStore(write_store(tmp_path / "store", [pairs_recording(f"p{n}", n) for n in range(3)]), "acts")
    task = make_task(store, "acts")
    experiment = Experiment(store, task, replace(make_split(store), evaluate=tuple(store.rows)), parse_macro(task))
    evaluated = EvaluatedFrames.of(experiment)
    assert evaluated.names == ("p0", "p1", "p2") and evaluated.row_recording.tolist() == [0, 0, 1, 1, 2, 2]
    probability = (evaluated.target == 1).astype(np.float32)
    made = Predictions({PLAIN: probability, BALANCED: probability}, {}, {}, {}, {}, 1)
    row = score_row(experiment, [parse_macro(task)], "pairs", 3, 100.0, [made])
    assert row.bouts.classes["sniff"]["true_bouts"].summary.mean == 9
    assert row.bouts.classes["sniff"]["f1_75"].summary.mean == 1 and row.bouts.brier["sniff"].summary.mean == 0
    assert row.bouts.recordings["sniff"]["true_bouts"] == [3, 3, 3]
