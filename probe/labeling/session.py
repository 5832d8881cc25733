"""`LabelSession`: what the page of the labeling application can do, as methods that take and return plain values.

Frames are those of the store. Rows are named by their ids in the embeddings. Methods may be called from several
threads; several sessions, also in other processes, may work on one project.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import RLock, Thread
from typing import Any

import numpy as np

from probe.labeling.candidates import Candidates, find_candidates
from probe.labeling.decisions import NO, OPEN, UNSURE, YES, Decisions, spans_of
from probe.labeling.learner import Learner, Pick, warm_up
from probe.labeling.opening import NotReadyError
from probe.labeling.project import DECISIONS, Behavior, Event, Project, SpanDecision, check_behavior
from probe.labeling.take_away import Labeled, write_files, write_heads, write_to_store
from probe.labeling.trust import Estimates
from probe.postprocessing import moving_average, window_frames
from ssl_behavior.arguments import several
from ssl_behavior.embeddings_folder import EmbeddingRow, Embeddings, open_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation_writers import FRAME_FORMATS, PAIR_FORMATS
from ssl_behavior.programs import PROGRAMS, load_programs
from ssl_behavior.retrieval import SentenceSearch
from ssl_behavior.seeds import numpy_generator
from ssl_behavior.skeleton import front_and_back
from ssl_behavior.store import Store, open_store
from ssl_behavior.terminal import quoted

__all__ = ["LabelSession"]

SMOOTHING_SECONDS = 0.2
"""Predicted probabilities are averaged over this time, here and in the saved probe."""
_LONG_ROW = 300_000
"""Frames of a row up to which each has its own probability on the ethogram; of longer rows, segments have."""
_MOST_DRAWS = 20
"""Random draws that may meet answered segments before a turn goes to another proposal."""
_RESERVED_SECONDS = 60.0
"""A proposal that one annotator sees is not shown to another for this time."""
_STALE_EVENTS = 10
"""Events after which the calibration is made anew."""
_REASONS = {
    "uncertain": "between your yes and your no answers",
    "confident": "most like your yes answers",
    "unseen": "like your yes answers, in a recording with few answers",
    "diverse": "unlike everything answered so far",
    "random": "drawn at random, for the estimate",
    "search": "similar to the example",
    "sentence": "fits the sentence",
}


class LabelSession:
    """A labeling project that is open.

    Parameters
    ----------
    store, embeddings : recordings and their embeddings, or their folders.
    project : folder of the project; it is made if it does not exist.
    videos : folder with the recordings' videos; None = skeletons alone.
    recordings : ids or globs of the recordings to label; none = all.
    annotator : name that the page offers.
    programs : Python file with task programs of your own, for sentences.
    seed : of random draws.
    wait : prepare before the call returns; otherwise in the background.

    Raises
    ------
    InputError
        If the embeddings are of another store, or the project is locked, damaged or of another store.
    """

    def __init__(
        self,
        store: Store | str | Path,
        embeddings: Embeddings | str | Path,
        project: str | Path,
        *,
        videos: str | Path | None = None,
        recordings: str | Sequence[str] = (),
        annotator: str = "",
        programs: str | Path | None = None,
        seed: int = 0,
        wait: bool = False,
    ) -> None:
        self.store, self.embeddings = open_store(store), open_embeddings(embeddings)
        self.annotator, self.programs, self.seed = annotator, programs, seed
        self.fingerprint = self.store.fingerprint()
        if self.embeddings.store != self.fingerprint:
            raise InputError(
                f"{self.embeddings.path} was made from another store than {self.store.path}, or the store changed "
                "since: embed this store, or name the store that the embeddings are of"
            )
        chosen = several(recordings, "recordings")
        self.rows = {row.id: row for row in (self.embeddings.select(chosen) if chosen else self.embeddings.rows)}
        self.notices: list[str] = []
        self.videos = self._find_videos(videos)
        # Random draws are of these rows: with others, their chances would be wrong.
        names, columns = "\n".join(self.rows), json.dumps([self.embeddings.unit, dict(self.embeddings.groups)])
        facts = {
            "store": self.fingerprint,
            "set of embeddings": f"{self.embeddings.checkpoint} {_digest(columns)}",
            "selection of recordings": f"{len(self.rows)} rows {_digest(names)}",
        }
        self.log = Project(project, facts)
        self._lock = RLock()
        self.decisions = Decisions({name: row.frames for name, row in self.rows.items()})
        self._learners: dict[str, Learner] = {}
        self._fitted: dict[str, int] = {}
        self.estimates = Estimates(self.decisions, seed)
        self._sentences: SentenceSearch | None = None
        self._shown: dict[tuple[str, int], tuple[str, float]] = {}
        self._own_programs = load_programs(programs)[0] if programs is not None else {}
        self._failure: Exception | None = None
        self._preparing: dict[str, Any] | None = {"stage": "opening", "share": 0.0}
        self._candidates: Candidates | None = None
        self._thread = Thread(target=self._prepare, daemon=True, name="prepare labeling")
        self._thread.start()
        if wait:
            self._thread.join()
            self.candidates()

    def close(self) -> None:
        """Close the project's file."""
        self.log.close()

    # --- preparing

    def _prepare(self) -> None:
        def progress(stage: str, done: int, total: int) -> None:
            self._preparing = {"stage": stage, "share": min(1.0, done / max(total, 1))}

        try:
            found = find_candidates(
                self.embeddings, self.log.folder / "segments", list(self.rows.values()), progress=progress
            )
            warm_up(found)
            self._candidates = found
        except Exception as error:  # noqa: BLE001 - raised by the next request
            self._failure = error
        finally:
            self._preparing = None

    def candidates(self) -> Candidates:
        if self._failure is not None:
            raise self._failure
        if self._candidates is None:
            raise NotReadyError(self._preparing or {"stage": "opening", "share": 0.0})
        return self._candidates

    def _find_videos(self, folder: str | Path | None) -> dict[str, Any]:
        if folder is None:
            return {}
        from ssl_behavior.videos import find_videos

        return dict(find_videos(self.store, folder, refused=lambda name, why: self.notices.append(why)))

    # --- what there is

    def project(self) -> dict[str, Any]:
        """Recordings, animals, behaviors and what is being prepared."""
        with self._lock:
            self._follow()
            skeleton, unit = self.store.skeleton, self.embeddings.unit
            front, back = front_and_back(skeleton)
            places = {name: number for number, name in enumerate(skeleton.keypoints)}
            return {
                "title": self.log.folder.resolve().name,
                "store": str(self.store.path), "embeddings": str(self.embeddings.path),
                "project": str(self.log.folder.resolve()), "unit": unit, "annotator": self.annotator,
                "recordings": self._recordings(), "individuals": list(self.store.individuals),
                "skeleton": {
                    "keypoints": list(skeleton.keypoints), "front": front, "back": back,
                    "edges": [[places[a], places[b]] for a, b in skeleton.edges],
                },
                "behaviors": [self._shown_behavior(one) for one in self.log.behaviors()],
                "annotators": self.decisions.annotators(), "programs": self._programs(),
                "streams": [*self.store.streams, *self.store.pair_streams],
                "formats": list(FRAME_FORMATS if unit == "scene" else PAIR_FORMATS),
                "preparing": self._preparing, "notices": list(self.notices),
            }  # fmt: skip

    def _recordings(self) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows.values():
            one = found.setdefault(
                row.recording,
                {"id": row.recording, "frames": row.frames, "fps": row.fps, "rows": [],
                 "video": self._shown_video(row.recording)},
            )  # fmt: skip
            one["rows"].append({"id": row.id, "agent": row.agent, "target": row.target, "title": row.title})
        return list(found.values())

    def _shown_video(self, recording: str) -> dict[str, Any] | None:
        video = self.videos.get(recording)
        if video is None:
            return None
        return {name: getattr(video, name) for name in ("width", "height", "fps", "frames", "notice")}

    def _shown_behavior(self, behavior: Behavior) -> dict[str, Any]:
        return asdict(behavior) | asdict(self.decisions.counts(behavior.name))

    def _programs(self) -> list[dict[str, str]]:
        facts = [program.facts for program in {**PROGRAMS, **self._own_programs}.values()]
        return [{"name": one.name, "units": one.units, "description": one.description} for one in facts]

    def add_behavior(self, name: str, definition: str, annotator: str) -> dict[str, Any]:
        """Add a behavior.

        Raises
        ------
        InputError
            If the name cannot be a label stream's, or is in use: in the project with another definition, or in the
            store.
        """
        name, definition = name.strip(), definition.strip()
        known = {one.name for one in self.log.behaviors()}
        check_behavior(name, definition, known)
        if name not in known and name in (*self.store.streams, *self.store.pair_streams):
            raise InputError(
                f"{self.store.path} has a label stream {name!r}, which may mean something else: choose another name"
            )
        behavior = self.log.add_behavior(name, definition, annotator)
        with self._lock:
            self._follow()
            return self._shown_behavior(behavior)

    # --- the log

    def _follow(self) -> None:
        self.decisions.follow(self.log.events(after=self.decisions.last))

    def _row(self, name: str) -> EmbeddingRow:
        if name not in self.rows:
            raise InputError(f"{self.embeddings.path} has no row {name!r}; it has {quoted(self.rows)}")
        return self.rows[name]

    def _check_behavior(self, name: str) -> str:
        known = [one.name for one in self.log.behaviors()]
        if name not in known:
            raise InputError(f"the project has no behavior {name!r}; it has {quoted(known) or 'none yet: add one'}")
        return name

    def _checked_span(self, row: str, start: int, stop: int) -> tuple[int, int]:
        frames = self._row(row).frames
        if not 0 <= start < stop <= frames:
            raise InputError(
                f"row {row!r} has {frames:,} frames: expected 0 <= start < stop <= {frames}, got {start} to {stop}"
            )
        return start, stop

    def learner(self, behavior: str) -> Learner:
        """The learner with a head that knows all events."""
        candidates = self.candidates()
        self._follow()
        learner = self._learners.get(behavior)
        if learner is None:
            learner = self._learners[behavior] = Learner(
                self._check_behavior(behavior), self.embeddings, candidates, self.decisions
            )
        version = self.decisions.version(behavior)
        if self._fitted.get(behavior) != version:
            learner.fit()
            self._fitted[behavior] = version
        return learner

    def _model(self, behavior: str) -> dict[str, Any]:
        counts, learner = self.decisions.counts(behavior), self._learners.get(behavior)
        ready = learner is not None and learner.head is not None
        message = ""
        if not ready:
            message = "There is no positive yet: search for a first example, and answer yes."
        elif counts.no == 0:
            message = "There is no negative yet: answer no where a proposal does not show the behavior."
        return {
            "version": self._fitted.get(behavior, 0), "answers": counts.answers,
            "positives": counts.yes, "ready": ready, "message": message,
        }  # fmt: skip

    def answer(
        self, *, key: str, behavior: str, annotator: str, row: str, start: int, stop: int, shown_start: int,
        shown_stop: int, decision: str, source: str, ticket: str, seconds: float,
    ) -> dict[str, Any]:  # fmt: skip
        """Store an answer, and refit the head. An answer whose key is stored already is not stored again.

        Of a "yes", the shown frames outside of start and stop are "no".

        Raises
        ------
        InputError
            If a name or span is unknown, the project is locked, or the disk is full. Nothing is stored then.
        """
        self._check_behavior(behavior)
        self._check_author(key, annotator)
        self._checked_span(row, start, stop)
        self._checked_span(row, shown_start, shown_stop)
        if decision not in DECISIONS:
            raise InputError(f"`decision` must be one of {list(DECISIONS)}, got {decision!r}")
        spans = [(start, stop, decision)]
        if decision == "yes":
            outside = ((shown_start, min(start, shown_stop)), (max(stop, shown_start), shown_stop))
            spans += [(first, last, "no") for first, last in outside if first < last]
        written = [
            SpanDecision(behavior=behavior, row=row, start=first, stop=last, decision=one) for first, last, one in spans
        ]
        about = _read_ticket(ticket)
        event = self.log.write(
            key, "answer", annotator, written, source=source, model=about["model"],
            probability=about["probability"], seconds=float(seconds),
        )  # fmt: skip
        return self._after(behavior, event)

    def edit(
        self, *, key: str, behavior: str, annotator: str, kind: str, edits: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Store the edits of one step; arguments and errors as of `answer`."""
        self._check_behavior(behavior)
        self._check_author(key, annotator)
        written = []
        for one in edits:
            self._checked_span(one["row"], one["start"], one["stop"])
            if one["decision"] not in DECISIONS:
                raise InputError(f"`decision` must be one of {list(DECISIONS)}, got {one['decision']!r}")
            names = ("row", "start", "stop", "decision")
            span = SpanDecision(behavior=self._check_behavior(one["behavior"]), **{name: one[name] for name in names})
            written.append(span)
        if not written:
            raise InputError("`edits` is empty: there is nothing to change")
        event = self.log.write(key, "edit", annotator, written, source=kind)
        return self._after(behavior, event)

    def _check_author(self, key: str, annotator: str) -> None:
        if not key:
            raise InputError("`key` is empty: every answer needs its own")
        if not annotator.strip():
            raise InputError("`annotator` is empty: say who answers")

    def _after(self, behavior: str, event: int) -> dict[str, Any]:
        with self._lock:
            self._follow()
            if self._candidates is not None:
                self.learner(behavior)
            return {
                "event": event, "model": self._model(behavior), "counts": asdict(self.decisions.counts(behavior)),
            }  # fmt: skip

    def undo(self, *, behavior: str, annotator: str) -> dict[str, Any]:
        """Take back the annotator's last answer or edit of a behavior."""
        return self._turn_back("undo", behavior, annotator)

    def redo(self, *, behavior: str, annotator: str) -> dict[str, Any]:
        """Bring back what the annotator took back last."""
        return self._turn_back("redo", behavior, annotator)

    def _turn_back(self, kind: str, behavior: str, annotator: str) -> dict[str, Any]:
        self._check_behavior(behavior)
        with self._lock:
            self._follow()
            choose = self.decisions.to_undo if kind == "undo" else self.decisions.to_redo
            events = choose(annotator, behavior)
            if not events:
                nothing = {"undo": f"{annotator or 'Nobody'} has nothing to undo.", "redo": "There is nothing to redo."}
                return {"event": None, "sentence": nothing[kind], "model": self._model(behavior)}
            first = events[0]
            self.log.write(first.action, kind, annotator, [_span_of(event) for event in events])
            model = self._after(behavior, first.id)["model"]
            what = {"undo": "Taken back", "redo": "Brought back"}[kind]
            row = self._row(first.row)
            start, stop = first.start / row.fps, first.stop / row.fps
            sentence = f"{what}: {first.decision} for {row.title}, {start:.1f} to {stop:.1f} s."
            return {"event": asdict(first), "sentence": sentence, "model": model}

    # --- search and proposals

    def search(self, *, behavior: str, row: str, start: int, stop: int, k: int) -> dict[str, Any]:
        """The segments most similar to a bout: by the cosine between mean standardized embeddings.

        Segments that touch the bout or a better hit are left out, in all rows of the recording.
        """
        self._check_behavior(behavior)
        self._checked_span(row, start, stop)
        with self._lock:
            learner = self.learner(behavior)
            similarity = learner.similarity(row, start, stop)
            hits: list[dict[str, Any]] = []
            taken = [(self._row(row).recording, start, stop)]
            for segment in _falling(similarity):
                first, last = int(learner.candidates.start[segment]), int(learner.candidates.stop[segment])
                own = learner.candidates.rows[learner.candidates.row[segment]]
                if any(own.recording == name and first <= b and a <= last for name, a, b in taken):
                    continue
                taken.append((own.recording, first, last))
                hits.append(self._hit(learner, segment, "search", distance=float(1 - similarity[segment])))
                if len(hits) == k:
                    break
            return {"hits": hits}

    def sentence(self, *, behavior: str, text: str, k: int) -> dict[str, Any]:
        """The bouts that a sentence over task programs describes.

        Raises
        ------
        InputError
            If the sentence cannot be read; it says where.
        """
        self._check_behavior(behavior)
        self.candidates()
        found = self._sentence_search().find(text, k)
        with self._lock:
            learner = self.learner(behavior)
            hits = [self._hit_of_span(learner, bout.recording, bout.start, bout.stop, "sentence") for bout in found]
        return {"hits": hits, "meaning": found.meaning, "share": found.share}

    def _sentence_search(self) -> SentenceSearch:
        with self._lock:
            if self._sentences is None:
                self._sentences = SentenceSearch(self.store, list(self.rows.values()), programs=self.programs)
            return self._sentences

    def proposals(self, *, behavior: str, annotator: str = "", k: int = 6) -> dict[str, Any]:
        """What to look at next. What another annotator was shown within a minute is left out."""
        with self._lock:
            learner = self.learner(behavior)
            now = time.monotonic()
            busy = {
                segment
                for (name, segment), (who, when) in self._shown.items()
                if name == behavior and who != annotator and now - when < _RESERVED_SECONDS
            }
            used: set[int] = set()
            answers = self.decisions.counts(behavior).answers
            picks = learner.propose(k, answers, lambda free: self._draw(learner, free, used), busy)
            self._shown |= {(behavior, pick.segment): (annotator, now) for pick in picks}
            hits = [self._hit(learner, pick.segment, pick.source) for pick in picks]
            return {"proposals": hits, "model": self._model(behavior)}

    def _draw(self, learner: Learner, free: np.ndarray, used: set[int]) -> Pick | None:
        """A random segment without decision: one that was drawn before and waits, or a new one.

        A draw is in the log before it is shown: whether it is answered has no influence on it.
        """
        for _ in range(_MOST_DRAWS):
            drawn = self.decisions.draws(learner.behavior)
            for event in drawn:
                segment = learner.candidates.at(learner.numbers[event.row], event.start, event.stop).start
                if free[segment] and event.id not in used:
                    used.add(event.id)
                    return Pick(segment, "random", event.weight)
            if not free.any():
                return None
            pick = learner.draw(numpy_generator(self.seed, "draws", learner.behavior, len(drawn)))
            # Not beside a draw of another process: both would be the same one.
            self.log.write(
                f"draw-{uuid.uuid4()}", "draw", "", [self._span_of_segment(learner, pick.segment)],
                after=self.decisions.last, source="random", model=self._fitted.get(learner.behavior, 0),
                weight=pick.weight,
            )  # fmt: skip
            self._follow()
        return None

    def _span_of_segment(self, learner: Learner, segment: int) -> SpanDecision:
        candidates = learner.candidates
        return SpanDecision(
            behavior=learner.behavior, row=candidates.rows[candidates.row[segment]].id,
            start=int(candidates.start[segment]), stop=int(candidates.stop[segment]), decision="",
        )  # fmt: skip

    def _hit(self, learner: Learner, segment: int, source: str, distance: float | None = None) -> dict[str, Any]:
        span = self._span_of_segment(learner, segment)
        return self._hit_of_span(learner, span.row, span.start, span.stop, source, distance)

    def _hit_of_span(
        self, learner: Learner, name: str, start: int, stop: int, source: str, distance: float | None = None
    ) -> dict[str, Any]:
        row, probability = self._row(name), None
        if learner.head is not None:
            self.estimates.of(learner, stale=_STALE_EVENTS)
            segments = learner.candidates.at(learner.numbers[name], start, stop)
            calibration = self.estimates.calibration(learner.behavior)
            probability = float(calibration.probability(learner.head.logits[segments]).mean())
        model = self._fitted.get(learner.behavior, 0)
        return {
            "row": name, "recording": row.recording, "agent": row.agent, "target": row.target, "title": row.title,
            "start": start, "stop": stop, "probability": probability, "distance": distance, "source": source,
            "reason": _REASONS[source], "decision": self._decision(learner.behavior, name, start, stop),
            "ticket": json.dumps({"model": model, "probability": probability}),
        }  # fmt: skip

    def _decision(self, behavior: str, row: str, start: int, stop: int) -> str | None:
        states = self.decisions.states(behavior, row)[start:stop]
        if 2 * (states != OPEN).sum() < len(states):
            return None
        return "yes" if (states == YES).any() else "unsure" if (states == UNSURE).any() else "no"

    def trust(self, *, behavior: str, target: float = 0.9) -> dict[str, Any]:
        """How good the labels are, estimated from random draws, and the time that a wanted precision may take."""
        with self._lock:
            return self.estimates.facts(self.learner(behavior), target)

    # --- the ethogram

    def timeline(
        self, *, behavior: str, row: str, bins: int = 1500, minimum_frames: int = 1, minimum_probability: float = 0.5
    ) -> dict[str, Any]:
        """Probability, bouts and answers along a row."""
        own = self._row(row)
        with self._lock:
            learner = self.learner(behavior)
            states = self.decisions.states(behavior, row).copy()
            if learner.head is not None:
                self.estimates.of(learner, stale=_STALE_EVENTS)
            probability = self.probability(learner, row)
        bouts: list[dict[str, Any]] = [
            {"start": start, "stop": stop, "probability": None, "decision": "yes", "hidden": False}
            for start, stop, _ in spans_of(states, (YES,))
        ]
        if probability is not None:
            for start, stop, _ in spans_of(np.where(states == OPEN, probability >= 0.5, False).astype(np.int8), (1,)):
                mean = float(probability[start:stop].mean())
                hidden = stop - start < minimum_frames or mean < minimum_probability
                bouts.append({"start": start, "stop": stop, "probability": mean, "decision": None, "hidden": hidden})
        named = {YES: "yes", NO: "no", UNSURE: "unsure"}
        return {
            "frames": own.frames, "fps": own.fps,
            "probability": None if probability is None else _most(probability, bins),
            "bouts": sorted(bouts, key=lambda bout: bout["start"]),
            "answers": [
                {"start": start, "stop": stop, "decision": named[state]}
                for start, stop, state in spans_of(states, tuple(named))
            ],
        }  # fmt: skip

    def probability(self, learner: Learner, row: str) -> np.ndarray | None:
        """Smoothed, calibrated probability of each frame of a row, float64 [time]; None without a head."""
        if learner.head is None:
            return None
        own = self._row(row)
        if own.frames > _LONG_ROW:
            segments = learner.candidates.of_row(learner.numbers[row])
            logits = np.repeat(learner.head.logits[segments], learner.candidates.frames[segments])
        else:
            logits = learner.frame_logits(learner.head, row, 0, own.frames)
        found = self.estimates.calibration(learner.behavior).probability(logits.astype(np.float64))
        return np.asarray(moving_average(found, window_frames(SMOOTHING_SECONDS, own.fps)))

    # --- tracks and video

    def tracks(self, *, recording: str, start: int, stop: int) -> np.ndarray:
        """Keypoints, float32 [frames, individual, keypoint, space]; NaN = missing. `stop` is cut to the recording."""
        row = self.store.row(recording)
        first, last = max(0, start), min(stop, row.frames)
        return np.asarray(self.store.keypoints[row.offset + first : row.offset + max(first, last)], np.float32)

    def video(self, recording: str) -> Path | None:
        """The recording's video; None = there is none."""
        found = self.videos.get(recording)
        return None if found is None else Path(found.path)

    def frame_times(self, *, recording: str) -> np.ndarray:
        """Seconds at which the recording's video shows each frame of the store, float64 [time]."""
        row = self.store.row(recording)
        if recording not in self.videos:
            return row.frame_times.seconds()
        from ssl_behavior.videos import shown_times

        return np.asarray(shown_times(self.store, recording, self.videos[recording]), np.float64)

    # --- taking labels away

    def take(
        self, *, what: str, behaviors: Sequence[str], annotator: str = "", overwrite: bool = False, format: str = "",
        content: str = "answers",
    ) -> dict[str, Any]:  # fmt: skip
        """Write labels to the store, to files of another program, or the heads as a saved probe.

        Raises
        ------
        InputError
            If the store changed, a name is in use, a format cannot hold the labels, or there is nothing to write.
        """
        chosen = list(dict.fromkeys(self._check_behavior(name) for name in behaviors))
        if not chosen:
            raise InputError("`behaviors` is empty: choose at least one behavior")
        rows = list(self.rows.values())
        with self._lock:
            self._check_store()
            if what == "probe":
                return self._take_probe(chosen)
            whole = (what == "files" and content == "all") or self.embeddings.unit != "scene"
            labeled = [self._labeled(name, annotator, whole) for name in chosen]
            # Two writers of one store would undo each other.
            if what == "store":
                return write_to_store(self.store, rows, labeled, overwrite)
        return write_files(self.store, rows, labeled, self.log.folder / "exports" / format, format)

    def _check_store(self) -> None:
        if Store(self.store.path).fingerprint() != self.fingerprint:
            raise InputError(
                f"{self.store.path} changed since this project was opened: the frames may be others. Close the "
                "application, embed the store again, and start a new project"
            )

    def _labeled(self, behavior: str, annotator: str, whole: bool) -> Labeled:
        """States of all rows of a behavior; with `whole`, predictions where nobody decided.

        Labels of animals and pairs have no frames that are not annotated: "not sure" is predicted there, too.
        """
        learner = self.learner(behavior)
        whole = whole and learner.head is not None
        unknown = (OPEN, UNSURE) if self.embeddings.unit != "scene" else (OPEN,)
        if whole:
            self.estimates.of(learner)
        states = {}
        for row in self.rows:
            own = self.decisions.states(behavior, row).copy()
            probability = self.probability(learner, row) if whole else None
            if probability is not None:
                own = np.where(np.isin(own, unknown), np.where(probability >= 0.5, YES, NO), own).astype(np.int8)
            states[row] = own
        return Labeled(behavior, states, annotator, self.decisions.annotators, whole)

    def _take_probe(self, behaviors: Sequence[str]) -> dict[str, Any]:
        heads, calibrations = [], []
        for name in behaviors:
            learner = self.learner(name)
            if learner.head is None:
                raise InputError(f"behavior {name!r} has no model yet: answer yes at least once")
            self.estimates.of(learner)
            heads.append(learner.head.linear)
            calibrations.append(self.estimates.calibration(learner.behavior))
        out = self.log.folder / "probe"
        space = self.candidates().space
        write_heads(out, self.embeddings, space, behaviors, heads, calibrations, SMOOTHING_SECONDS)
        return {
            "sentence": f"The model of {quoted(behaviors)} is in {out}.",
            "notices": [
                "To label other recordings, give `annotate` this folder as `probe`, and the run of these embeddings."
            ],
        }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _span_of(event: Event) -> SpanDecision:
    return SpanDecision(
        behavior=event.behavior, row=event.row, start=event.start, stop=event.stop, decision=event.decision
    )


def _read_ticket(ticket: str) -> dict[str, Any]:
    try:
        found = json.loads(ticket or "{}")
        model, probability = int(found.get("model", 0)), found.get("probability")
        if probability is not None:
            probability = float(probability)
        # The log holds integers of 64 bits.
        if not 0 <= model < 2**63 or not (probability is None or 0 <= probability <= 1):
            raise ValueError(ticket)
        return {"model": model, "probability": probability}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InputError("`ticket` is not one that this application gave out: load the page again") from None


def _falling(values: np.ndarray) -> Any:
    """Indices by falling value, the first ones without sorting all."""
    most = min(len(values), 4096)
    first = np.argpartition(-values, most - 1)[:most]
    yield from first[np.argsort(-values[first], kind="stable")].tolist()
    rest = np.setdiff1d(np.arange(len(values)), first)
    yield from rest[np.argsort(-values[rest], kind="stable")].tolist()


def _most(values: np.ndarray, bins: int) -> list[float]:
    """Largest value of each of at most `bins` equal stretches."""
    edges = np.unique(np.linspace(0, len(values), min(bins, len(values)) + 1).astype(int)[:-1])
    return [round(float(one), 4) for one in np.maximum.reduceat(values, edges)]
