"""Quality of labeling: the loop of `ssl-behavior label`, replayed with the true labels as annotator.

    python benchmarks/quality_labeling.py STORE EMBEDDINGS --stream S2 --learn '0?' '1?' --unseen '2?' [--behaviors ...]
        [--seeds 10] [--answers 200] [--strategies proposals uncertain random whole] --out DIR

A project is made of the recordings of --learn. It starts with one bout of the behavior, drawn at random, for which the
most similar segments are searched. The annotator sees a segment and answers "yes" if the behavior is in it for .1 s or
more, from its first to its last frame, and "no" otherwise. The strategies:

- proposals: the application, `LabelSession`: search, then its proposals;
- uncertain: always the segment that the head is least sure of;
- random: segments in random order;
- whole: whole recordings in random order, segment after segment.

All learn the same head after the same number of answers. Average precision is over the frames of --unseen, pooled; the
head of all labels of --learn is the reference. At the end of "proposals" the estimates of the application are compared
with the truth: on all frames of --learn without an answer, and on --unseen. The last line of stdout is one JSON object.
"""

import argparse
import json
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, f1_score

from probe.labeling.candidates import CandidateConfig
from probe.labeling.learner import Head, Learner
from probe.labeling.project import SpanDecision
from probe.labeling.session import LabelSession
from probe.labeling.state import SMOOTHING_SECONDS
from probe.labeling.trust import held_out_heads
from probe.postprocessing import moving_average, window_frames
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.files import write_json
from ssl_behavior.logistic import PENALTIES, Design, fit_head
from ssl_behavior.seeds import numpy_generator

CHECKPOINTS = (5, 10, 20, 30, 40, 60, 80, 100, 150, 200, 300, 400)
SEEN_SECONDS = 0.1
FIRST_HITS = 5
STRATEGIES = ("proposals", "uncertain", "random", "whole")


@dataclass
class Truth:
    """True labels of one behavior."""

    session: LabelSession
    stream: str
    behavior: str
    shown: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        vocabulary = self.session.store.streams[self.stream].vocabulary
        self.shown = np.asarray(self.session.store.labels(self.stream)) == vocabulary.index(self.behavior)

    def of(self, row: EmbeddingRow, start: int = 0, stop: int | None = None) -> np.ndarray:
        offset = self.session.store.row(row.recording).offset
        return self.shown[offset + start : offset + (row.frames if stop is None else stop)]

    def answer(self, row: EmbeddingRow, start: int, stop: int) -> tuple[int, int, str]:
        on = np.flatnonzero(self.of(row, start, stop))
        if len(on) < max(1, round(SEEN_SECONDS * row.fps)):
            return start, stop, "no"
        return start + int(on[0]), start + int(on[-1]) + 1, "yes"


@dataclass
class Loop:
    """One replay."""

    session: LabelSession
    truth: Truth
    behavior: str
    answers: int = 0
    positives: int = 0

    def reply(self, row: str, start: int, stop: int, source: str, ticket: str = "") -> None:
        first, last, decision = self.truth.answer(self.session.rows[row], start, stop)
        if source in ("random order", "whole"):
            # As `LabelSession.answer`, without a fit that nothing asks for.
            spans = [(first, last, decision), (start, first, "no"), (last, stop, "no")]
            written = [
                SpanDecision(behavior=self.behavior, row=row, start=a, stop=b, decision=one)
                for a, b, one in spans
                if a < b
            ]
            self.session.log.write(str(uuid.uuid4()), "answer", "truth", written, source=source)
        else:
            self.session.answer(
                key=str(uuid.uuid4()), behavior=self.behavior, annotator="truth", row=row, start=first, stop=last,
                shown_start=start, shown_stop=stop, decision=decision, source=source, ticket=ticket, seconds=1.0,
            )  # fmt: skip
        self.answers += 1
        self.positives += decision == "yes"

    def first_bout(self, generator: np.random.Generator) -> tuple[str, int, int]:
        """A random segment with the behavior in half of it or more."""
        candidates = self.session.candidates()
        share = np.array([
            self.truth.of(candidates.rows[row], start, stop).mean()
            for row, start, stop in zip(candidates.row, candidates.start, candidates.stop, strict=True)
        ])  # fmt: skip
        pick = int(generator.choice(np.flatnonzero(share >= min(0.5, share.max()))))
        return candidates.rows[candidates.row[pick]].id, int(candidates.start[pick]), int(candidates.stop[pick])

    def learner(self) -> Learner:
        return self.session.learner(self.behavior)

    def run(self, strategy: str, most: int, seed: int) -> Iterator[int]:
        """Answer, and yield the number of answers after each."""
        generator = numpy_generator(seed, "replay", self.truth.behavior)
        first = self.first_bout(generator)
        self.reply(*first, "search")
        yield self.answers
        following = self.shown(strategy, first, generator)
        while self.answers < most:
            row, start, stop, source, ticket = next(following)
            self.reply(row, start, stop, source, ticket)
            yield self.answers

    def shown(
        self, strategy: str, first: tuple[str, int, int], generator: np.random.Generator
    ) -> Iterator[tuple[str, int, int, str, str]]:
        if strategy in ("random", "whole"):
            candidates = self.session.candidates()
            order = generator.permutation(len(candidates))
            if strategy == "whole":
                rank = generator.permutation(len(candidates.rows))
                order = np.argsort(rank[candidates.row], kind="stable")
            answered = self.learner().answered()
            for pick in order:
                if not answered[pick]:
                    span = candidates.rows[candidates.row[pick]].id, candidates.start[pick], candidates.stop[pick]
                    yield span[0], int(span[1]), int(span[2]), "whole" if strategy == "whole" else "random order", ""
        elif strategy == "uncertain":
            while True:
                learner = self.learner()
                free = ~learner.answered()
                assert learner.head is not None
                pick = int(np.argmin(np.where(free, np.abs(learner.head.logits), np.inf)))
                candidates = learner.candidates
                row = candidates.rows[candidates.row[pick]].id
                yield row, int(candidates.start[pick]), int(candidates.stop[pick]), "uncertain", ""
        else:
            row, start, stop = first
            hits = self.session.search(behavior=self.behavior, row=row, start=start, stop=stop, k=FIRST_HITS)["hits"]
            for hit in hits:
                yield hit["row"], hit["start"], hit["stop"], hit["source"], hit["ticket"]
            while True:
                hit = self.session.proposals(behavior=self.behavior, k=1)["proposals"][0]
                yield hit["row"], hit["start"], hit["stop"], hit["source"], hit["ticket"]


def scored(learner: Learner, head: Head | None, truth: Truth, rows: list[EmbeddingRow]) -> float | None:
    """Average precision over the frames of rows."""
    shown = np.concatenate([truth.of(row) for row in rows])
    if head is None or not shown.any():
        return None
    logits = np.concatenate([frame_logits(learner, head, row) for row in rows])
    return float(average_precision_score(shown, logits))


def frame_logits(learner: Learner, head: Head, row: EmbeddingRow) -> np.ndarray:
    blocks = learner.candidates.space.blocks(learner.embeddings, row.slice)
    return np.concatenate([head.logits_of(points) for _, points in blocks])


def reference(session: LabelSession, truth: Truth, rows: list[EmbeddingRow]) -> float:
    """AP of the head of all labels, from every sixth frame; the best of all penalties, on the unseen recordings."""
    space, learned = session.candidates().space, list(session.rows.values())
    picks = np.concatenate([np.arange(row.offset, row.offset + row.frames, 6) for row in learned])
    points = torch.from_numpy(space.gather(session.embeddings, picks))
    target = torch.from_numpy(np.concatenate([truth.of(row)[::6] for row in learned]).astype(np.int64))[:, None]
    shown = np.concatenate([truth.of(row) for row in rows])
    unseen = [points for row in rows for _, points in space.blocks(session.embeddings, row.slice)]
    best = 0.0
    for balanced in (False, True):
        design = Design(points, target, "binary", balanced)
        for penalty in PENALTIES[2:11]:
            head = fit_head(design, penalty)
            logits = np.concatenate([head.logits(torch.from_numpy(one)).numpy()[:, 0] for one in unseen])
            best = max(best, float(average_precision_score(shown, logits)))
    return best


def estimates(loop: Loop, rows: list[EmbeddingRow]) -> dict[str, Any]:
    """Estimates of the application beside the truth on learned and on unseen recordings.

    Truth is what the annotator would answer to every segment. On learned recordings it is that of heads that learned
    nothing of a recording, as the estimates are.
    """
    learner = loop.learner()
    found = loop.session.trust(behavior=loop.behavior)
    heads = held_out_heads(learner)
    result: dict[str, Any] = {name: found[name] for name in ("enough", "answers", "positives", "message", "threshold")}
    for where, own in (("learned", list(loop.session.rows.values())), ("unseen", rows)):
        positive = np.concatenate([answered_frames(loop.truth, row) for row in own])
        logit = np.concatenate([frame_logits(learner, heads.get(row.recording, learner.head), row) for row in own])
        probability = loop.session.estimates.calibration(learner.behavior).probability(logit)
        predicted = probability >= found["threshold"]
        hits = int((positive & predicted).sum())
        result[where] = {
            "ap": float(average_precision_score(positive, logit)),
            "precision": hits / max(1, int(predicted.sum())), "recall": hits / max(1, int(positive.sum())),
            "share": float(positive.mean()), "f1": f1_score(positive, predicted, zero_division=0.0),
            "f1 from one half": f1_score(positive, probability >= 0.5, zero_division=0.0),
            "f1 smoothed": f1_score(positive, smoothed(probability, own) >= found["threshold"], zero_division=0.0),
            "f1 of the best threshold": best_f1(positive, probability),
        }  # fmt: skip
    for name in ("ap", "precision", "recall", "f1", "share"):
        result[name] = found[name] and {key: found[name][key] for key in ("value", "low", "high")}
    return result


def smoothed(probability: np.ndarray, rows: list[EmbeddingRow]) -> np.ndarray:
    """Probabilities as the ethogram has them."""
    parts = np.split(probability, np.cumsum([row.frames for row in rows])[:-1])
    windows = [window_frames(SMOOTHING_SECONDS, row.fps) for row in rows]
    return np.concatenate([moving_average(one, window) for one, window in zip(parts, windows, strict=True)])


def best_f1(positive: np.ndarray, probability: np.ndarray) -> float:
    """F1 of the threshold that the true labels would choose."""
    hits = np.cumsum(positive[np.argsort(-probability, kind="stable")])
    return float((2 * hits / (np.arange(1, len(hits) + 1) + max(1, hits[-1]))).max())


def answered_frames(truth: Truth, row: EmbeddingRow) -> np.ndarray:
    """Frames that the annotator would call the behavior, segment after segment, bool [time]."""
    found, step = np.zeros(row.frames, bool), round(CandidateConfig().seconds * row.fps)
    for begin in range(0, row.frames, step):
        start, stop, decision = truth.answer(row, begin, min(begin + step, row.frames))
        found[start:stop] = decision == "yes"
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("store", type=Path)
    add("embeddings", type=Path)
    add("--out", type=Path, required=True)
    add("--stream", default="S2")
    add("--behaviors", nargs="+", default=["clinch", "keepdown", "lateralthreat"])
    add("--learn", nargs="+", required=True, metavar="ID", help="recordings to label")
    add("--unseen", nargs="+", required=True, metavar="ID", help="recordings to score")
    add("--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    add("--seeds", type=int, default=10)
    add("--answers", type=int, default=200)
    return parser.parse_args()


def replay(options: argparse.Namespace, behavior: str, strategy: str, seed: int) -> dict[str, Any]:
    folder = options.out / "project"
    segments, kept = folder / "segments", options.out / "segments"
    shutil.rmtree(folder, ignore_errors=True)
    if kept.exists():
        shutil.copytree(kept, segments)
    learned = annotated(options, options.learn)
    session = LabelSession(options.store, options.embeddings, folder, recordings=learned, seed=seed, wait=True)
    if not kept.exists():
        shutil.copytree(segments, kept)
    name = f"{behavior}_again"
    session.add_behavior(name, "As in the store.", "truth")
    truth = Truth(session, options.stream, behavior)
    unseen = session.embeddings.select(annotated(options, options.unseen))
    loop, curve, started = Loop(session, truth, name), dict[str, float | None](), time.perf_counter()
    for answers in loop.run(strategy, options.answers, seed):
        if answers in CHECKPOINTS or answers == options.answers:
            curve[str(answers)] = scored(loop.learner(), loop.learner().head, truth, unseen)
    found = {"behavior": behavior, "strategy": strategy, "seed": seed, "ap": curve, "positives": loop.positives}
    if strategy == "proposals":
        found["estimate"] = estimates(loop, unseen)
    found["seconds"] = round(time.perf_counter() - started, 1)
    session.close()
    return found


def annotated(options: argparse.Namespace, patterns: list[str]) -> list[str]:
    """Recordings with the stream."""
    from ssl_behavior.store import Store

    return [row.id for row in Store(options.store).select(patterns) if options.stream in row.annotators]


def references(options: argparse.Namespace) -> dict[str, float]:
    folder = options.out / "reference"
    learned = annotated(options, options.learn)
    session = LabelSession(options.store, options.embeddings, folder, recordings=learned, wait=True)
    unseen = session.embeddings.select(annotated(options, options.unseen))
    found = {one: reference(session, Truth(session, options.stream, one), unseen) for one in options.behaviors}
    session.close()
    return found


def summary(runs: list[dict[str, Any]], whole: dict[str, float]) -> dict[str, Any]:
    """Mean AP, and share of the AP of all labels, by number of answers; coverage of the intervals."""
    found: dict[str, Any] = {}
    for strategy in dict.fromkeys(run["strategy"] for run in runs):
        own = [run for run in runs if run["strategy"] == strategy]
        counts = list(own[0]["ap"])
        share = {
            count: [(run["ap"].get(count) or 0.0) / whole[run["behavior"]] for run in own] for count in counts
        }  # fmt: skip
        found[strategy] = {
            "share_of_all_labels": {count: round(float(np.mean(values)), 3) for count, values in share.items()},
            "std": {count: round(float(np.std(values)), 3) for count, values in share.items()},
            "answers_to_90_percent": {
                one: answers_to(own, one, 0.9 * whole[one]) for one in whole
            },
        }  # fmt: skip
    estimated = [run["estimate"] for run in runs if "estimate" in run]
    for where in ("learned", "unseen"):
        for name in ("ap", "precision", "recall", "f1", "share"):
            known = [one for one in estimated if one[name]]
            inside = [one[name]["low"] <= one[where][name] <= one[name]["high"] for one in known]
            enough = [yes for yes, one in zip(inside, known, strict=True) if one["enough"]]
            found[f"coverage {name} {where}"] = {
                "all": [int(sum(inside)), len(inside)], "enough": [int(sum(enough)), len(enough)],
            }  # fmt: skip
    return found


def answers_to(runs: list[dict[str, Any]], behavior: str, wanted: float) -> int | None:
    """First number of answers at which the mean AP over the seeds is as wanted."""
    own = [run["ap"] for run in runs if run["behavior"] == behavior]
    for count in own[0] if own else ():
        if np.mean([one.get(count) or 0.0 for one in own]) >= wanted:
            return int(count)
    return None


def main() -> None:
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    whole, runs = references(options), list[dict[str, Any]]()
    print("all labels", {name: round(value, 3) for name, value in whole.items()}, flush=True)
    for seed in range(options.seeds):
        for strategy in options.strategies:
            for behavior in options.behaviors:
                runs.append(replay(options, behavior, strategy, seed))
                write_json(options.out / "runs.json", {"all_labels": whole, "runs": runs})
                shown = {count: None if ap is None else round(ap, 3) for count, ap in runs[-1]["ap"].items()}
                print(
                    seed,
                    strategy,
                    behavior,
                    shown,
                    runs[-1].get("estimate", ""),
                    f"{runs[-1]['seconds']} s",
                    flush=True,
                )
    print(json.dumps({"benchmark": "quality_labeling", "all_labels": whole, **summary(runs, whole)}))


if __name__ == "__main__":
    main()
