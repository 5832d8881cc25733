"""Honest estimates: average precision of weighted draws, calibration, intervals that hold the truth."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from probe.labeling.trust import (
    Calibration,
    Estimate,
    Trust,
    _average_precisions,
    _strength,
    assess,
    best_threshold,
    calibrate,
    held_out_heads,
    seconds_to_reach,
)


def test_average_precisions_are_expected_ones():
    generator = np.random.default_rng(0)
    shares = np.sort(generator.random((2, 4000)) ** 3)[:, ::-1]
    for share, value in zip(shares, _average_precisions(shares), strict=True):
        positive = generator.random(4000) < share
        assert value == pytest.approx(average_precision_score(positive, -np.arange(4000.0)), abs=0.03)


def test_no_threshold_has_a_better_expected_f1_than_the_best_one():
    generator = np.random.default_rng(0)
    for _ in range(50):
        probability = -np.sort(-(generator.random(60) ** generator.uniform(0.5, 6)))
        shares = np.clip(probability * generator.uniform(0.2, 1.5), 0, 1)

        def expected_f1(threshold, probability=probability, shares=shares):
            shown = probability >= threshold
            return 2 * shares[shown].sum() / (shown.sum() + shares.sum())

        best = best_threshold(probability, shares)
        others = probability[(probability >= 0.01) & (probability <= 0.99)]
        assert expected_f1(best) >= max(map(expected_f1, others)) - 1e-12


def test_calibration_finds_slope_and_offset():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, 60_000)
    shown = (generator.random(60_000) < Calibration(0.7, -1.5).probability(logits)).astype(float)
    found = calibrate(logits, shown, np.ones(60_000))
    assert (found.slope, found.offset) == (pytest.approx(0.7, abs=0.05), pytest.approx(-1.5, abs=0.08))


def test_frames_that_are_told_apart_leave_the_slope_finite():
    found = calibrate(np.array([2.0, -2.0]), np.array([1.0, 0.0]), np.ones(2))
    assert 1.0 < found.slope < 2.0


def test_strength_is_the_effective_number():
    np.testing.assert_allclose(_strength(np.full(5, 0.3)), np.ones(5))
    assert _strength(np.array([1.0, 1e-9])).sum() == pytest.approx(1.0)
    assert len(_strength(np.empty(0))) == 0


def test_too_few_answers_are_worth_nothing(session):
    found = session.trust(behavior="strike")
    assert not found["enough"] and "no positive yet" in found["message"] and found["precision"] is None


def test_estimates_hold_the_truth(taught, reply, shown):
    while taught.project()["behaviors"][0]["random"] < 60:
        reply(taught.proposals(behavior="strike", k=1)["proposals"][0])
    found = taught.trust(behavior="strike")
    assert found["enough"], found["message"]
    learner = taught.learner("strike")
    heads = held_out_heads(learner)
    logits = np.concatenate(
        [learner.frame_logits(heads[name], name, 0, row.frames) for name, row in taught.rows.items()]
    )
    positive = np.concatenate([shown(name) for name in taught.rows])
    ap = average_precision_score(positive, logits)
    assert found["ap"]["low"] <= ap <= found["ap"]["high"] + 0.02
    assert found["share"]["low"] <= positive.mean() <= found["share"]["high"]
    assert found["ap"]["high"] - found["ap"]["low"] < 0.5
    assert sum(point["weight"] for point in found["calibration"]) == pytest.approx(1.0, abs=1e-6)
    assert found["seconds_per_answer"] == 2.0


def test_an_estimate_is_repeated_exactly(taught):
    learner = taught.learner("strike")
    assert assess(learner, taught.decisions) == assess(learner, taught.decisions)


def test_one_recording_is_said_to_be_optimistic(store, embeddings, tmp_path):
    from probe.labeling.session import LabelSession

    alone = LabelSession(store, embeddings, tmp_path / "alone", recordings=["r0"], wait=True)
    alone.add_behavior("strike", "One attacks the other.", "Ann")
    learner = alone.learner("strike")
    hit = alone.proposals(behavior="strike", k=1)["proposals"][0]
    alone.answer(
        key="1", behavior="strike", annotator="Ann", row="r0", start=hit["start"], stop=hit["stop"],
        shown_start=hit["start"], shown_stop=hit["stop"], decision="yes", source="search", ticket="", seconds=1.0,
    )  # fmt: skip
    assert held_out_heads(learner) == {"r0": learner.head}
    alone.close()


@pytest.mark.parametrize(
    ("value", "low", "target", "expected"),
    [(0.95, 0.92, 0.9, 0.0), (0.7, 0.5, 0.9, None), (0.95, 0.85, 0.9, 40 * 3 * 4 * 2.0)],
)
def test_time_to_a_precision(value, low, target, expected):
    estimate = Estimate(value, low, 1.0)
    trust = Trust(enough=True, message="", answers=40, positives=20, precision=estimate)
    seconds, sentence = seconds_to_reach(trust, target, 2.0)
    assert seconds == (None if expected is None else pytest.approx(expected)) and sentence.endswith(".")
    assert seconds_to_reach(Trust(enough=False, message="", answers=0, positives=0), target, 2.0)[0] is None
