"""Laws of the scores of bouts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_behavior.bout_metrics import (
    BOUT_SCORES,
    IOU_THRESHOLDS,
    bout_scores,
    bout_spans,
    compare_bouts,
    pooled_bout_scores,
)
from ssl_behavior.errors import InputError

FPS = 20.0


def frames(spans, size=200):
    shown = np.zeros(size, bool)
    for start, stop in spans:
        shown[start:stop] = True
    return shown


SPANS = ((20, 60), (80, 95), (120, 121), (150, 180))


def scores(true, predicted, **options):
    return bout_scores(true.astype(int), predicted, FPS, **options)


def test_perfect_bouts_have_perfect_scores():
    found = scores(frames(SPANS), frames(SPANS))
    ones = [name for name in BOUT_SCORES if not name.startswith(("onset", "offset", "true", "predicted"))]
    assert {found[name] for name in ones} == {1.0}
    assert [found[name] for name in ("onset", "onset_absolute", "offset", "offset_absolute")] == [0.0] * 4
    assert found["true_bouts"] == found["predicted_bouts"] == 4
    assert found["true_duration"] == found["predicted_duration"] == (15 + 30) / 2 / FPS


@pytest.mark.parametrize("shift", [-7, -1, 0, 3, 9])
def test_a_shift_is_the_error_of_onset_and_offset(shift):
    spans = SPANS[:2] + SPANS[3:]
    found = scores(frames(spans), frames([(start + shift, stop + shift) for start, stop in spans]))
    assert found["onset"] == found["offset"] == shift / FPS
    assert found["onset_absolute"] == found["offset_absolute"] == abs(shift) / FPS
    assert found["temporal_precision"] == pytest.approx(1 / (1 + 2 * abs(shift)))
    assert found["f1_10"] == 1.0 and found["fragments"] == 1.0 and found["merged"] == 1.0


def test_early_onsets_and_late_offsets_have_their_sign():
    found = scores(frames([(50, 80)]), frames([(48, 83)]))
    assert (found["onset"], found["offset"]) == (-2 / FPS, 3 / FPS)


def test_a_bout_in_three_pieces_has_three_fragments():
    true, pieces = frames([(30, 90), (100, 110)]), frames([(30, 49), (50, 69), (70, 90), (100, 110)])
    found, swapped = scores(true, pieces), scores(pieces, true)
    assert found["fragments"] == 2.0 and found["merged"] == 1.0  # three pieces of one bout, one of the other
    assert scores(frames([(30, 90)]), frames([(30, 49), (50, 69), (70, 90)]))["fragments"] == 3.0
    assert swapped["fragments"] == 1.0 and swapped["merged"] == 2.0
    assert found["recall_25"] == 1.0 and found["recall_50"] == 0.5 and found["precision_10"] == 0.5
    assert found["continuity"] == pytest.approx((1 - 4 / 59 + 1) / 2)


def test_a_missed_bout_is_no_fragment_and_a_missing_score_is_none():
    found = scores(frames(SPANS), frames([]))
    assert found["f1_50"] == found["recall_50"] == found["detection_f1"] == 0.0 and found["precision_50"] is None
    assert found["fragments"] is found["merged"] is found["onset"] is found["segment_overlap"] is None
    assert found["continuity"] == 1.0 and found["predicted_duration"] is None and found["predicted_bouts"] == 0
    absent = scores(frames([]), frames(SPANS))
    assert absent["f1_50"] is absent["recall_50"] is absent["continuity"] is None and absent["precision_50"] == 0.0


def test_matches_are_one_to_one_and_the_best_comes_first():
    # The long prediction overlaps both bouts by more than a quarter; it finds the longer one.
    found = scores(frames([(20, 60), (61, 100)]), frames([(20, 100)]))
    assert found["recall_25"] == 0.5 and found["precision_25"] == 1.0 and found["merged"] == 2.0
    assert found["offset_absolute"] == 40 / FPS
    comparison = compare_bouts(bout_spans(frames([(10, 30), (40, 100)])), bout_spans(frames([(20, 60), (70, 101)])))
    assert comparison.pairs.tolist() == [[0, 0], [1, 0], [1, 1]]
    # The second pair has a smaller IoU than the third, so the first is free for it.
    assert comparison.iou.tolist() == pytest.approx([10 / 50, 20 / 80, 30 / 61])
    assert comparison.matched.tolist() == [True, False, True]


def test_the_earlier_of_equal_pairs_is_matched():
    halves = scores(frames([(20, 40)]), frames([(20, 29), (31, 40)]))
    assert (halves["onset"], halves["offset"]) == (0.0, -11 / FPS)
    covered = scores(frames([(20, 29), (31, 40)]), frames([(20, 40)]))
    assert (covered["onset"], covered["offset"]) == (0.0, 11 / FPS)


def test_frames_without_annotation_cut_bouts_and_hide_edges():
    target = frames([(20, 60)]).astype(int)
    target[30:35] = -1
    predicted = frames([(18, 62)])
    found = bout_scores(target, predicted, FPS)
    assert found["true_bouts"] == found["predicted_bouts"] == 2
    # The first piece has an onset only, the second one an offset only.
    assert (found["onset"], found["offset"]) == (-2 / FPS, 2 / FPS)
    assert found["true_duration"] == (10 + 25) / 2 / FPS
    hidden = np.where(np.arange(200) < 30, 0, -1)
    outside = bout_scores(hidden, frames([(50, 90)]), FPS)
    assert outside["predicted_bouts"] == outside["true_bouts"] == 0


def test_bouts_end_with_their_recording():
    shown = frames([(90, 110)])
    spans = bout_spans(shown, lengths=[100, 0, 100])
    assert (spans.start.tolist(), spans.stop.tolist(), spans.recording.tolist()) == ([90, 100], [100, 110], [0, 2])
    assert spans.start_seen.tolist() == [True, False] and spans.stop_seen.tolist() == [False, True]
    assert scores(shown, shown, lengths=[100, 100])["true_bouts"] == 2
    # The neighboring recording does not show where a bout begins or ends.
    borders = bout_spans(frames([(80, 100), (150, 170)]), lengths=[100, 50, 50])
    assert borders.start_seen.tolist() == [True, False] and borders.stop_seen.tolist() == [False, True]
    whole = bout_spans(np.ones(7, bool))
    assert len(whole) == 1 and not whole.start_seen.any() and not whole.stop_seen.any()
    assert len(bout_spans(np.zeros(0, bool))) == 0


_RUNS = st.lists(st.tuples(st.sampled_from([0, 1, -1]), st.integers(1, 13)), min_size=1, max_size=17)


@settings(max_examples=100, deadline=None)
@given(_RUNS, _RUNS)
def test_true_and_predicted_bouts_have_symmetric_roles(first, second):
    first, second = (np.concatenate([np.full(length, one) for one, length in runs]) for runs in (first, second))
    size = min(len(first), len(second))
    known = first[:size] >= 0
    shown, claimed = first[:size] == 1, second[:size] == 1
    found = bout_scores(np.where(known, shown, -1), claimed, FPS)
    back = bout_scores(np.where(known, claimed, -1), shown, FPS)
    for least in IOU_THRESHOLDS:
        name = round(100 * least)
        assert found[f"precision_{name}"] == back[f"recall_{name}"]
        if found[f"f1_{name}"] is not None and back[f"f1_{name}"] is not None:
            assert found[f"f1_{name}"] == back[f"f1_{name}"]
    assert found["fragments"] == back["merged"] and found["segment_overlap"] == back["segment_overlap"]
    assert found["temporal_precision"] == back["temporal_precision"]
    assert found["true_duration"] == back["predicted_duration"]
    f1 = [found[f"f1_{round(100 * least)}"] or 0.0 for least in IOU_THRESHOLDS]
    assert f1 == sorted(f1, reverse=True) and (found["detection_f1"] or 0.0) >= f1[0]


def test_pooling_recordings_is_scoring_them_one_after_the_other():
    generator = np.random.default_rng(0)
    target = np.repeat(generator.integers(-1, 2, 300), generator.integers(1, 30, 300))
    predicted = np.roll(target, 3) == 1
    lengths = [len(target) // 3, len(target) - len(target) // 3]
    spans = [bout_spans(shown, target >= 0, lengths) for shown in (target == 1, predicted)]
    pooled = pooled_bout_scores(compare_bouts(*spans), np.array([FPS, FPS]))
    alone = [
        bout_scores(target[part], predicted[part], FPS) for part in (slice(0, lengths[0]), slice(lengths[0], None))
    ]
    counts = np.array([[1, 1], [2, 0], [0, 1]])
    for name, score in pooled.items():
        whole, first, second = score.resampled(counts).tolist()
        assert whole == score.value() == bout_scores(target, predicted, FPS, lengths)[name]
        assert score.by_recording().tolist() == [alone[0][name], alone[1][name]]
        # Nothing changes if a recording counts twice, but numbers of bouts.
        assert first == pytest.approx(alone[0][name] * (2 if name.endswith("_bouts") else 1)), name
        assert second == pytest.approx(alone[1][name])
    together = pooled_bout_scores(compare_bouts(*spans), np.array([FPS, FPS]), group=np.array([0, 0]))
    assert {name: score.value() for name, score in together.items()} == {n: s.value() for n, s in pooled.items()}
    assert together["onset"].num_recordings == 1


def test_seconds_are_of_each_recording():
    shown = frames([(20, 40), (120, 140)])
    spans = bout_spans(shown, lengths=[100, 100])
    late = bout_spans(np.roll(shown, 5), lengths=[100, 100])
    found = pooled_bout_scores(compare_bouts(spans, late), np.array([10.0, 50.0]))
    assert found["onset"].by_recording().tolist() == [0.5, 0.1]
    assert found["true_duration"].by_recording().tolist() == [2.0, 0.4]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bout_scores(np.zeros(5, int), np.zeros(6, bool), FPS), "`target` has 5 frames, `predicted` 6"),
        (lambda: bout_spans(np.zeros(5, bool), lengths=[2, 2]), "`shown` has 5 frames, `known` 5 and `lengths` 4"),
        (lambda: bout_spans(np.zeros(5, bool), np.zeros(4, bool)), "`shown` has 5 frames, `known` 4"),
    ],
)
def test_frames_must_fit(call, message):
    with pytest.raises(InputError, match=message):
        call()
