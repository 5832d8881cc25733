"""Heads of answers, the rule of proposals, and random draws with known chances."""

import numpy as np
import pytest
import torch

from probe.labeling.learner import BANDS, Head, Learner, Strategy, bands_of
from ssl_behavior.logistic import Design, LinearHead, fit_head


def test_weights_of_frames_count_as_copies():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(60, 4, generator=generator)
    target = (torch.rand(60, 1, generator=generator) < 0.4).long()
    weight = torch.tensor([1.0, 2.0, 3.0]).repeat(20)
    copies = torch.repeat_interleave(torch.arange(60), weight.long())
    weighted = fit_head(Design(points, target, "binary", False, weight / weight.mean()), 0.1, tolerance=1e-12)
    copied = fit_head(Design(points[copies], target[copies], "binary", False), 0.1, tolerance=1e-12)
    torch.testing.assert_close(weighted.weights, copied.weights, rtol=1e-4, atol=1e-5)


def test_a_warm_start_gives_the_head_of_a_cold_one(taught):
    learner = taught.learner("strike")
    warm = learner.head
    learner.head = None
    cold = learner.fit()
    assert np.corrcoef(warm.logits, cold.logits)[0, 1] > 0.9999


def test_answers_teach_the_behavior(taught, shown):
    learner = taught.learner("strike")
    candidates = learner.candidates
    share = np.array([
        shown(candidates.rows[row].id)[start:stop].mean()
        for row, start, stop in zip(candidates.row, candidates.start, candidates.stop, strict=True)
    ])  # fmt: skip
    logits = learner.head.logits
    assert logits[share > 0.6].min() > np.median(logits[share == 0])
    assert np.corrcoef(logits, share)[0, 1] > 0.7


def test_a_head_without_recordings_learned_nothing_of_them(taught):
    learner = taught.learner("strike")
    before = learner.head
    left_out = learner.fit(leave_out=["r0"])
    assert learner.head is before
    # The same as if nobody had answered there.
    spans = list(learner._spans({"r0"}))
    assert spans and all(row != "r0" for row, *_ in spans)
    assert not np.allclose(left_out.logits, before.logits)


def test_no_head_without_a_positive(session, reply):
    assert session.learner("strike").head is None
    hit = session.proposals(behavior="strike", k=1)["proposals"][0]
    assert hit["source"] == "diverse" and hit["probability"] is None
    reply(hit, "no")
    assert session.learner("strike").head is None


def test_proposals_follow_the_rule(taught):
    learner = taught.learner("strike")
    strategy = Strategy(turns=("uncertain",))
    learner.strategy = strategy
    answered = learner.answered()
    (pick,) = learner.propose(1, 0, lambda free: None)
    p, points = learner.head.probability, learner.candidates.points
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    diversity = np.clip(1 - (unit @ unit[answered].T).max(axis=1), 1e-3, 1)
    length = np.sqrt(np.minimum(1, learner.candidates.frames / 30))
    rule = np.where(answered, -1, 4 * p * (1 - p) * diversity * length)
    assert rule[pick.segment] == pytest.approx(rule.max(), rel=1e-4)


def test_proposals_of_one_call_differ_and_take_turns(taught):
    learner = taught.learner("strike")
    learner.strategy = Strategy(turns=("uncertain", "confident", "unseen"))
    picks = learner.propose(9, 0, lambda free: None)
    assert [pick.source for pick in picks] == ["uncertain", "confident", "unseen"] * 3
    assert len({pick.segment for pick in picks}) == 9
    assert not learner.answered()[[pick.segment for pick in picks]].any()


def test_nothing_is_left_to_propose_when_all_is_answered(taught):
    for row in taught.rows.values():
        span = {"row": row.id, "start": 0, "stop": row.frames, "decision": "no", "behavior": "strike"}
        taught.edit(key=f"all {row.id}", behavior="strike", annotator="Ann", kind="draw", edits=[span])
    assert taught.proposals(behavior="strike", k=4)["proposals"] == []


def test_bands_hold_their_shares():
    generator = np.random.default_rng(0)
    logits, frames = generator.normal(size=4000), generator.integers(1, 60, 4000)
    bands = bands_of(logits, frames)
    shares = np.bincount(bands, weights=frames) / frames.sum()
    np.testing.assert_allclose(shares, BANDS, atol=0.002)
    assert logits[bands == 0].min() >= logits[bands == 1].max()


def test_weights_of_draws_are_one_over_their_chance(session):
    """The weighted mean of any value over draws is its mean over all frames."""
    candidates = session.candidates()
    learner = Learner("strike", session.embeddings, candidates, session.decisions)
    logits = np.random.default_rng(1).normal(size=len(candidates)).astype(np.float32)
    linear = LinearHead(torch.ones(1, 1).float(), torch.zeros(1).float(), "binary")
    learner.head = Head(1, linear, logits[:, None])
    generator = np.random.default_rng(0)
    picks = [learner.draw(generator) for _ in range(6_000)]
    weight = np.array([pick.weight for pick in picks])
    segments = np.array([pick.segment for pick in picks])
    assert weight.mean() == pytest.approx(1.0, abs=0.06)
    value = logits > 1.0
    truth = (value * candidates.frames).sum() / candidates.frames.sum()
    assert (weight * value[segments]).mean() == pytest.approx(truth, abs=0.02)


def test_all_of_a_long_span_is_learned_from(session):
    frames = session.rows["r1"].frames
    span = {"row": "r1", "start": 0, "stop": frames, "decision": "no", "behavior": "strike"}
    session.edit(key="whole", behavior="strike", annotator="Ann", kind="draw", edits=[span])
    learner = session.learner("strike")
    points = learner._span_points("r1", 0, frames)
    last = session.candidates().space.gather(session.embeddings, np.array([session.rows["r1"].offset + frames - 5]))
    assert 60 <= len(points) <= 80
    assert not np.allclose(points[0], points[-1]) and last.shape[1] == points.shape[1]


def test_heads_that_leave_recordings_out_leave_out_their_background(session):
    learner = session.learner("strike")
    inside = np.isin(session.candidates().background_row, [1, 2, 3])
    assert len(learner._background({"r0"})) == inside.sum() < len(learner._background(set()))


def test_what_another_annotator_sees_is_not_shown(taught):
    first = taught.proposals(behavior="strike", annotator="Ann", k=3)["proposals"]
    other = taught.proposals(behavior="strike", annotator="Ben", k=3)["proposals"]
    assert not {(hit["row"], hit["start"]) for hit in first} & {(hit["row"], hit["start"]) for hit in other}
    again = taught.proposals(behavior="strike", annotator="Ann", k=3)["proposals"]
    assert {(hit["row"], hit["start"]) for hit in first} == {(hit["row"], hit["start"]) for hit in again}
