"""Every bout of MABe 2025's training set, as labels of 1 to 4 mice and back, and what is odd in them."""

import csv
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.io.annotation_readers import read_annotations
from ssl_behavior.io.mabe25_annotations import looked_for
from ssl_behavior.io.mabe25_submission import conflicting_frames, submission_rows
from ssl_behavior.io.pair_annotation import Animals, behavior_kinds, pair_labels_from_annotation
from ssl_behavior.mabe25_score import mabe25_score

MICE = tuple(f"mouse{number}" for number in range(1, 5))


pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def videos(real_data):
    """Video -> its row of train.csv."""
    with (real_data / "mabe2025_annotations" / "train.csv").open(newline="") as file:
        return {row["video_id"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def streams(real_data):
    """Video -> its annotation, with what was looked for in it."""
    folder = real_data / "mabe2025_annotations"
    lists = looked_for(folder / "train.csv")
    found = {}
    for annotation in read_annotations(folder / "bouts.csv.gz"):
        (video,) = annotation.names
        (one,) = annotation.streams.values()
        found[video] = replace(annotation, streams={"behavior": replace(one, looked_for=lists.get(video))})
    return found


def listed_mice(video, videos):
    return {mouse for mouse in MICE if video in videos and videos[video][f"{mouse}_strain"]}


def mice_of(video, videos, annotation):
    """The mice of a video: those that train.csv lists and those of its bouts."""
    (one,) = annotation.streams.values()
    return tuple(sorted({*one.subject, *one.target, *listed_mice(video, videos)}))


def labels_of(annotation, mice, num_frames=1 << 24):
    (one,) = annotation.streams.values()
    return pair_labels_from_annotation(
        annotation, "behavior", Animals(individuals=mice), num_frames, behavior_kinds([one])
    )


def test_all_bouts_are_kept(streams, videos):
    bouts, sizes, unlisted, unknown, asked, empty, touching, conflicts = 0, Counter(), [], [], [], 0, 0, 0
    for video, annotation in streams.items():
        mice = mice_of(video, videos, annotation)
        labels, notices = labels_of(annotation, mice)
        (one,) = annotation.streams.values()
        expected = {
            (video, *who, word, int(start), int(stop) - 1)
            for *who, (start, stop, word) in zip(one.subject, one.target, one.intervals(), strict=True)
        }
        made = {
            (*row[:2], row.agent if row.target == "self" else row.target, *row[3:])
            for row in submission_rows(video, labels, mice)
        }
        assert made == expected and len(expected) == len(labels.bouts) == len(one)
        unlisted += [video] if any("not known what was looked for" in notice for notice in notices) else []
        asked += [video] if any("looked for in animals without tracks" in notice for notice in notices) else []
        assert len(notices) == (video in unlisted) + (video in asked)
        unknown += [video] if listed_mice(video, videos) and set(mice) - listed_mice(video, videos) else []
        bouts, sizes = bouts + len(labels.bouts), sizes + Counter([len(mice)])
        lengths = labels.bouts[:, 4] - labels.bouts[:, 3]
        empty += int((lengths == 1).sum())
        touching += sum(len(own) for own in shared_frames(labels).values())
        conflicts += conflicting_frames(labels)
    assert (bouts, len(streams), unlisted) == (83578, 846, ["1733903958"])
    assert sizes == {2: 829, 3: 4, 4: 13}
    # Three videos of three mice have bouts of mouse4, of which train.csv states nothing.
    assert unknown == ["1260392287", "1351098077", "1643942986"]
    # One more such video lists behaviors of mouse4 as looked for, and has no bouts of it.
    assert asked == ["351967631"]
    # A bout that states one frame as start and stop has one frame; the competition's metric does not count it.
    assert empty == 59
    # Frames of a pair with two actions: always the last of one bout and the first of the next, which the metric does
    # not count twice.
    assert touching == 4231 and conflicts == 0


def shared_frames(labels):
    """Pair -> frames in which it has two actions."""
    seen = defaultdict(Counter)
    for agent, target, _, start, stop in labels.bouts.tolist():
        seen[agent, target].update(range(start, stop))
    return {pair: [frame for frame, count in own.items() if count > 1] for pair, own in seen.items()}


def test_bouts_after_the_stated_end_of_a_video_are_counted(streams, videos):
    late = Counter()
    for video, annotation in streams.items():
        if video in videos:
            row = videos[video]
            end = int(np.floor(float(row["frames_per_second"]) * float(row["video_duration_sec"]) + 0.5))
            _, notices = labels_of(annotation, mice_of(video, videos, annotation), end)
            (one,) = annotation.streams.values()
            count = int((one.stop > end).sum())
            said = [notice for notice in notices if "after the end of the tracks" in notice]
            assert [f"{count:,} bout" in notice for notice in said] == [True] * bool(count)
            late[row["lab_id"]] += count
    assert late.total() == 1428 and len([lab for lab, count in late.items() if count]) == 12


def test_the_truth_scores_one_and_a_shifted_one_less(streams, videos):
    labs = {video: row["lab_id"] for video, row in videos.items()}
    lists, truth = {}, []
    for video, annotation in streams.items():
        if video in labs:
            mice = mice_of(video, videos, annotation)
            labels, _ = labels_of(annotation, mice)
            truth += submission_rows(video, labels, mice)
            lists[video] = annotation.streams["behavior"].looked_for
    made = mabe25_score(truth, truth, lists, labs)
    assert made.score == 1.0 and len(made.labs) == 19
    shifted = [row._replace(start=row.start + 5, stop=row.stop + 5) for row in truth]
    later = mabe25_score(truth, shifted, lists, labs)
    assert 0.88 < later.score < 0.89 and max(later.labs.values()) < 0.98
