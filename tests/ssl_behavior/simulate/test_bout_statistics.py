"""The measured tables, against the real annotations."""

import csv
import gzip
import itertools
import json
from collections import Counter, defaultdict

import numpy as np
import pytest
from scipy.stats import norm

from ssl_behavior.simulate.bout_statistics import (
    BOUT_SCORES,
    BOUT_SECONDS,
    BOUTS_PER_MINUTE,
    PAUSE_SECONDS,
    SELF_BEHAVIORS,
    SNIFF_GAP_SECONDS,
    SOCIAL_BEHAVIORS,
)

FEWEST = 30
QUANTILES = norm.cdf(BOUT_SCORES)


def test_tables_are_whole():
    assert set(BOUT_SECONDS) == set(BOUTS_PER_MINUTE) == {*SELF_BEHAVIORS, *SOCIAL_BEHAVIORS}
    for seconds in (*BOUT_SECONDS.values(), PAUSE_SECONDS, SNIFF_GAP_SECONDS):
        assert seconds.shape == BOUT_SCORES.shape and (np.diff(seconds) >= 0).all() and seconds[0] > 0


@pytest.fixture(scope="module")
def annotations(real_data):
    """Videos by id, and bouts (lab, video, agent, target, action, start, stop) in seconds."""
    folder = real_data / "mabe2025_annotations"
    if not folder.is_dir():
        pytest.skip(f"no annotations at {folder}")
    with (folder / "train.csv").open(newline="") as file:
        videos = {row["video_id"]: row for row in csv.DictReader(file)}
    with gzip.open(folder / "bouts.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["video_id"] in videos]
    bouts = []
    for row in rows:
        fps = float(videos[row["video_id"]]["frames_per_second"])
        who = row["lab"], row["video_id"], row["agent_id"], row["target_id"], row["action"]
        bouts.append((*who, int(row["start_frame"]) / fps, int(row["stop_frame"]) / fps))
    return videos, bouts


def _weighted_quantiles(values, labs):
    """Quantiles in which each lab counts equally."""
    counts = Counter(labs)
    order = np.argsort(values)
    weights = np.array([1 / counts[lab] for lab in labs])[order]
    return np.interp(QUANTILES, (np.cumsum(weights) - weights / 2) / weights.sum(), np.array(values)[order])


@pytest.mark.data
@pytest.mark.parametrize("name", [*SELF_BEHAVIORS, *SOCIAL_BEHAVIORS])
def test_lengths_and_rates_agree_with_the_real_annotations(annotations, name):
    videos, bouts = annotations
    own = [bout for bout in bouts if bout[4] == name]
    counts = Counter(bout[0] for bout in own)
    own = [bout for bout in own if counts[bout[0]] >= FEWEST]
    seconds = [stop - start for *_, start, stop in own]
    np.testing.assert_allclose(_weighted_quantiles(seconds, [b[0] for b in own]), BOUT_SECONDS[name], atol=0.006)
    minutes = defaultdict(float)
    for video in videos.values():
        looked_for = [entry.replace("'", "").split(",") for entry in json.loads(video["behaviors_labeled"] or "[]")]
        pairs = {(agent, target) for agent, target, action in looked_for if action == name}
        minutes[video["lab_id"]] += len(pairs) * float(video["video_duration_sec"]) / 60
    rates = [counts[lab] / minutes[lab] for lab in counts if counts[lab] >= FEWEST and minutes[lab]]
    np.testing.assert_allclose(np.median(rates), BOUTS_PER_MINUTE[name], atol=0.006)


@pytest.mark.data
def test_gaps_between_sniffs_agree_with_the_real_annotations(annotations):
    spells = defaultdict(list)
    for lab, video, agent, target, action, start, stop in annotations[1]:
        if action == "sniff":
            spells[lab, video, agent, target].append((start, stop))
    counts = Counter(bout[0] for bout in annotations[1] if bout[4] == "sniff")
    gaps = [
        (after[0] - before[1], lab)
        for (lab, *_), own in spells.items()
        for before, after in itertools.pairwise(sorted(own))
        if counts[lab] >= FEWEST and after[0] > before[1]
    ]
    measured = _weighted_quantiles([gap for gap, _ in gaps], [lab for _, lab in gaps])
    np.testing.assert_allclose(measured, SNIFF_GAP_SECONDS, atol=0.006)


@pytest.mark.data
def test_pauses_agree_with_the_real_annotations(annotations):
    _, bouts = annotations
    meetings = defaultdict(list)
    for lab, video, agent, target, action, start, stop in bouts:
        # Fewer behaviors than are simulated: these are what was measured as interactions.
        if action in {*SOCIAL_BEHAVIORS, "disengage"} - {"sniffface", "sniffgenital"}:
            meetings[lab, video, frozenset((agent, target))].append((start, stop))
    pauses = defaultdict(list)
    for (lab, *_), spells in meetings.items():
        end = None
        for start, stop in sorted(spells):
            if end is not None and start > end + 1:
                pauses[lab].append(start - end)
            end = stop if end is None else max(end, stop)
    measured = np.median([np.quantile(own, QUANTILES) for own in pauses.values() if len(own) >= FEWEST], axis=0)
    np.testing.assert_allclose(measured, PAUSE_SECONDS, rtol=0.02)
