"""`LabelSession`: what the page of the labeling application can do, as methods that take and return plain values.

Frames are those of the store. Rows are named by their ids in the embeddings. Methods may be called from several
threads; several sessions, also in other processes, may work on one project.
"""

import atexit
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from probe.labeling.candidates import Candidates, find_candidates
from probe.labeling.decisions import NO, OPEN, UNSURE, YES
from probe.labeling.finding import Finder, read_ticket
from probe.labeling.footage import Footage
from probe.labeling.learner import Learner, warm_up
from probe.labeling.project import DECISIONS, Behavior, Event, Project, SpanDecision, check_behavior
from probe.labeling.state import SMOOTHING_SECONDS, LabelState
from probe.labeling.take_away import Labeled, write_files, write_heads, write_to_store
from probe.labeling.timeline import timeline
from probe.labeling.trust import THRESHOLDS
from ssl_behavior.arguments import several
from ssl_behavior.embeddings_folder import Embeddings, open_embeddings
from ssl_behavior.errors import InputError
from ssl_behavior.io.annotation_writers import FRAME_FORMATS, PAIR_FORMATS
from ssl_behavior.programs import PROGRAMS, load_programs
from ssl_behavior.skeleton import front_and_back
from ssl_behavior.store import Store, open_store
from ssl_behavior.terminal import quoted

__all__ = ["LabelSession"]


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
        self.annotator = annotator
        self.fingerprint = self.store.fingerprint()
        if self.embeddings.store != self.fingerprint:
            raise InputError(
                f"{self.embeddings.path} was made from another store than {self.store.path}, or the store changed "
                "since: embed this store, or name the store that the embeddings are of"
            )
        chosen = several(recordings, "recordings")
        self.rows = {row.id: row for row in (self.embeddings.select(chosen) if chosen else self.embeddings.rows)}
        self.footage = Footage(self.store, videos)
        # Random draws are of these rows: with others, their chances would be wrong.
        names, columns = "\n".join(self.rows), json.dumps([self.embeddings.unit, dict(self.embeddings.groups)])
        facts = {
            "store": self.fingerprint,
            "set of embeddings": f"{self.embeddings.checkpoint} {_digest(columns)}",
            "selection of recordings": f"{len(self.rows)} rows {_digest(names)}",
        }
        self._own_programs = load_programs(programs)[0] if programs is not None else {}
        self.log = Project(project, facts)
        self.state = LabelState(self.log, self.embeddings, self.rows, seed)
        self.decisions, self.estimates = self.state.decisions, self.state.estimates
        self._finder = Finder(self.state, self.store, programs)
        self._closing = False
        self._thread = Thread(target=self._prepare, daemon=True, name="prepare labeling")
        # A script may end without `close`; a thread in the middle of a tensor would end the process with an error.
        atexit.register(self.close)
        self._thread.start()
        if wait:
            self._thread.join()
            self.candidates()

    def close(self) -> None:
        """Stop what is being prepared, wait for requests that compute, and close the project's file."""
        self._closing = True
        self._thread.join()
        self._finder.close()
        with self.state.lock:
            self.log.close()
        atexit.unregister(self.close)

    # --- preparing

    def _prepare(self) -> None:
        state = self.state

        def progress(stage: str, done: int, total: int) -> None:
            if self._closing:
                raise InputError("the project was closed")
            state.preparing = {"stage": stage, "share": min(1.0, done / max(total, 1))}

        try:
            found = find_candidates(
                self.embeddings, self.log.folder / "segments", list(self.rows.values()), progress=progress
            )
            warm_up(found)
            state.set_candidates(found)
            self._finder.prepare()
        except Exception as error:  # noqa: BLE001 - raised by the next request
            state.failure = error
        finally:
            state.preparing = None

    def candidates(self) -> Candidates:
        """The segments, see `LabelState.candidates`."""
        return self.state.candidates()

    def learner(self, behavior: str) -> Learner:
        """The learner of a behavior, with a head that knows all events."""
        return self.state.learner(behavior)

    # --- what there is

    def project(self) -> dict[str, Any]:
        """Recordings, animals, behaviors and what is being prepared."""
        with self.state.lock:
            self.state.follow()
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
                "preparing": self.state.preparing, "notices": list(self.footage.notices),
            }  # fmt: skip

    def _recordings(self) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows.values():
            one = found.setdefault(
                row.recording,
                {"id": row.recording, "frames": row.frames, "fps": row.fps, "rows": [],
                 "video": self.footage.facts(row.recording)},
            )  # fmt: skip
            one["rows"].append({"id": row.id, "agent": row.agent, "target": row.target, "title": row.title})
        return list(found.values())

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
        with self.state.lock:
            self.state.follow()
            return self._shown_behavior(behavior)

    # --- the log

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
        self.state.check_behavior(behavior)
        self._check_author(key, annotator)
        self.state.check_span(row, start, stop)
        self.state.check_span(row, shown_start, shown_stop)
        if decision not in DECISIONS:
            raise InputError(f"`decision` must be one of {list(DECISIONS)}, got {decision!r}")
        spans = [(start, stop, decision)]
        if decision == "yes":
            outside = ((shown_start, min(start, shown_stop)), (max(stop, shown_start), shown_stop))
            spans += [(first, last, "no") for first, last in outside if first < last]
        written = [
            SpanDecision(behavior=behavior, row=row, start=first, stop=last, decision=one) for first, last, one in spans
        ]
        about = read_ticket(ticket)
        event = self.log.write(
            key, "answer", annotator, written, source=source, model=about["model"],
            probability=about["probability"], seconds=float(seconds),
        )  # fmt: skip
        return self._after(behavior, event)

    def edit(
        self, *, key: str, behavior: str, annotator: str, kind: str, edits: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Store the edits of one step; arguments and errors as of `answer`."""
        self.state.check_behavior(behavior)
        self._check_author(key, annotator)
        written = []
        for one in edits:
            self.state.check_span(one["row"], one["start"], one["stop"])
            if one["decision"] not in DECISIONS:
                raise InputError(f"`decision` must be one of {list(DECISIONS)}, got {one['decision']!r}")
            names = ("row", "start", "stop", "decision")
            behavior_of_span = self.state.check_behavior(one["behavior"])
            written.append(SpanDecision(behavior=behavior_of_span, **{name: one[name] for name in names}))
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
        with self.state.lock:
            self.state.follow()
            if self.state.is_ready:
                self.learner(behavior)
            counts = asdict(self.decisions.counts(behavior))
            return {"event": event, "model": self.state.model_facts(behavior), "counts": counts}

    def undo(self, *, behavior: str, annotator: str) -> dict[str, Any]:
        """Take back the annotator's last answer or edit of a behavior."""
        return self._turn_back("undo", behavior, annotator)

    def redo(self, *, behavior: str, annotator: str) -> dict[str, Any]:
        """Bring back what the annotator took back last."""
        return self._turn_back("redo", behavior, annotator)

    def _turn_back(self, kind: str, behavior: str, annotator: str) -> dict[str, Any]:
        self.state.check_behavior(behavior)
        with self.state.lock:
            self.state.follow()
            choose = self.decisions.to_undo if kind == "undo" else self.decisions.to_redo
            events = choose(annotator, behavior)
            if not events:
                nothing = {"undo": f"{annotator or 'Nobody'} has nothing to undo.", "redo": "There is nothing to redo."}
                return {"event": None, "sentence": nothing[kind], "model": self.state.model_facts(behavior)}
            first = events[0]
            self.log.write(first.action, kind, annotator, [_span_of(event) for event in events])
            model = self._after(behavior, first.id)["model"]
            what = {"undo": "Taken back", "redo": "Brought back"}[kind]
            row = self.state.row(first.row)
            start, stop = first.start / row.fps, first.stop / row.fps
            sentence = f"{what}: {first.decision} for {row.title}, {start:.1f} to {stop:.1f} s."
            return {"event": asdict(first), "sentence": sentence, "model": model}

    # --- search and proposals

    def search(self, *, behavior: str, row: str, start: int, stop: int, k: int) -> dict[str, Any]:
        """The segments most similar to a bout, see `Finder.search`."""
        return self._finder.search(behavior=behavior, row=row, start=start, stop=stop, k=k)

    def sentence(self, *, behavior: str, text: str, k: int) -> dict[str, Any]:
        """The bouts that a sentence over task programs describes, see `Finder.sentence`."""
        return self._finder.sentence(behavior=behavior, text=text, k=k)

    def proposals(self, *, behavior: str, annotator: str = "", k: int = 6) -> dict[str, Any]:
        """What to look at next, see `Finder.proposals`."""
        return self._finder.proposals(behavior=behavior, annotator=annotator, k=k)

    def trust(self, *, behavior: str, target: float = 0.9) -> dict[str, Any]:
        """How good the labels are, estimated from random draws, and the time that a wanted precision may take."""
        with self.state.lock:
            return self.estimates.facts(self.learner(behavior), target)

    def set_threshold(
        self, *, key: str, behavior: str, annotator: str, probability: float | None = None
    ) -> dict[str, Any]:
        """Choose the probability from which frames count as the behavior.

        Parameters
        ----------
        key : of the choice; one whose key is stored already is not stored again.
        probability : from .01 to .99; None = the one with the best expected F1.

        Raises
        ------
        InputError
            If the behavior is unknown, the name is empty, the probability is out of range, the project is locked, or
            the disk is full. Nothing is stored then.
        """
        self.state.check_behavior(behavior)
        self._check_author(key, annotator)
        if probability is not None and not THRESHOLDS[0] <= probability <= THRESHOLDS[1]:
            raise InputError(f"`probability` must be between {THRESHOLDS[0]} and {THRESHOLDS[1]}, got {probability:g}")
        nowhere = SpanDecision(behavior=behavior, row="", start=0, stop=0, decision="")
        event = self.log.write(key, "threshold", annotator, [nowhere], probability=probability)
        with self.state.lock:
            self.state.follow()
        return {"event": event}

    # --- the ethogram

    def timeline(
        self, *, behavior: str, row: str, bins: int = 1500, minimum_frames: int = 1, minimum_probability: float = 0.0
    ) -> dict[str, Any]:
        """Probability, bouts and answers along a row, see `probe.labeling.timeline`."""
        return timeline(
            self.state, behavior=behavior, row=row, bins=bins, minimum_frames=minimum_frames,
            minimum_probability=minimum_probability,
        )  # fmt: skip

    # --- tracks and video

    def tracks(self, *, recording: str, start: int, stop: int) -> np.ndarray:
        """Keypoints, see `Footage.tracks`."""
        return self.footage.tracks(recording, start, stop)

    def video(self, recording: str) -> Path | None:
        """The recording's video; None = there is none."""
        return self.footage.path(recording)

    def frame_times(self, *, recording: str) -> np.ndarray:
        """Seconds of the video at which each frame is shown, see `Footage.frame_times`."""
        return self.footage.frame_times(recording)

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
        chosen = list(dict.fromkeys(self.state.check_behavior(name) for name in behaviors))
        if not chosen:
            raise InputError("`behaviors` is empty: choose at least one behavior")
        rows = list(self.rows.values())
        with self.state.lock:
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
        unknown = (OPEN, UNSURE) if self.embeddings.unit != "scene" else (OPEN,)
        threshold = self.estimates.of(learner).threshold if whole and learner.head is not None else None
        states = {}
        for row in self.rows:
            own = self.decisions.states(behavior, row).copy()
            probability = self.state.probability(learner, row) if threshold is not None else None
            if probability is not None:
                own = np.where(np.isin(own, unknown), np.where(probability >= threshold, YES, NO), own).astype(np.int8)
            states[row] = own
        return Labeled(behavior, states, annotator, self.decisions.annotators, threshold)

    def _take_probe(self, behaviors: Sequence[str]) -> dict[str, Any]:
        heads, trusts = [], []
        for name in behaviors:
            learner = self.learner(name)
            if learner.head is None:
                raise InputError(f"behavior {name!r} has no model yet: answer yes at least once")
            heads.append(learner.head.linear)
            trusts.append(self.estimates.of(learner))
        out = self.log.folder / "probe"
        space = self.candidates().space
        write_heads(out, self.embeddings, space, behaviors, heads, trusts, SMOOTHING_SECONDS)
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
