"""What the page can do: search, answer, correct, take away; and what it refuses."""

import json
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import numpy as np
import pytest

from probe.annotate import annotate
from probe.labeling.decisions import YES
from probe.labeling.session import LabelSession
from ssl_behavior.errors import InputError
from ssl_behavior.label_changes import add_labels
from ssl_behavior.recording import NOT_ANNOTATED
from ssl_behavior.store import Store, write_store
from ssl_behavior.units import actors_of


@pytest.fixture
def edit(session):
    def make(*spans, kind="draw", behavior="strike", annotator="Ann", row="r0"):
        edits = [
            {"behavior": behavior, "row": row, "start": start, "stop": stop, "decision": decision}
            for start, stop, decision in spans
        ]
        key = str(uuid.uuid4())
        return session.edit(key=key, behavior=behavior, annotator=annotator, kind=kind, edits=edits)

    return make


def answer(session, **changes):
    values = {
        "key": str(uuid.uuid4()), "behavior": "strike", "annotator": "Ann", "row": "r0", "start": 10, "stop": 30,
        "shown_start": 0, "shown_stop": 45, "decision": "yes", "source": "search", "ticket": "", "seconds": 1.0,
    }  # fmt: skip
    return session.answer(**values | changes)


def test_a_project_describes_itself_as_json(session):
    found = json.loads(json.dumps(session.project()))
    assert [one["id"] for one in found["recordings"]] == ["r0", "r1", "r2", "r3"]
    assert found["behaviors"] == [
        {"name": "strike", "definition": "One attacks the other.", "yes": 0, "no": 0, "unsure": 0, "random": 0}
    ]
    assert found["unit"] == "scene" and found["preparing"] is None and "boris" in found["formats"]
    assert {"name", "units", "description"} == set(found["programs"][0])


def test_a_trimmed_yes_leaves_no_around_it(session):
    found = answer(session)
    assert found["counts"] == {"yes": 1, "no": 0, "unsure": 0, "random": 0} and found["model"]["ready"]
    assert session.timeline(behavior="strike", row="r0")["answers"] == [
        {"start": 0, "stop": 10, "decision": "no"},
        {"start": 10, "stop": 30, "decision": "yes"},
        {"start": 30, "stop": 45, "decision": "no"},
    ]


def test_an_answer_that_is_sent_twice_counts_once(session):
    assert answer(session, key="same")["counts"] == answer(session, key="same")["counts"]


def test_search_finds_the_behavior_and_not_the_example(session, shown):
    frame = int(np.flatnonzero(shown("r1"))[0])
    hits = session.search(behavior="strike", row="r1", start=frame, stop=frame + 12, k=12)["hits"]
    assert len(hits) == 12
    distances = [hit["distance"] for hit in hits]
    assert distances == sorted(distances)
    assert all(hit["stop"] <= frame or hit["start"] >= frame + 12 for hit in hits if hit["recording"] == "r1")
    share = np.mean([shown(hit["recording"])[hit["start"] : hit["stop"]].mean() for hit in hits])
    assert share > 1.3 * np.mean([shown(name).mean() for name in session.rows])


def test_a_sentence_finds_bouts_to_answer(session):
    found = session.sentence(behavior="strike", text="speed > 1 px/s", k=3)
    assert found["hits"] and found["hits"][0]["source"] == "sentence" and "speed" in found["meaning"]
    assert 0 < found["share"] <= 1
    with pytest.raises(InputError, match="sped"):
        session.sentence(behavior="strike", text="sped > 1 px/s", k=3)


def test_undo_and_redo_are_steps_of_an_annotator(session, edit):
    answer(session)
    edit((20, 26, "no"), kind="split")
    assert session.undo(behavior="strike", annotator="Ben")["event"] is None
    assert "Taken back" in session.undo(behavior="strike", annotator="Ann")["sentence"]
    states = session.decisions.states("strike", "r0")
    assert (states[10:30] == 1).all()
    session.redo(behavior="strike", annotator="Ann")
    assert (session.decisions.states("strike", "r0")[20:26] == 0).all()


def test_a_relabeled_bout_changes_both_behaviors_in_one_step(session):
    session.add_behavior("climb", "One climbs on the other.", "Ann")
    answer(session)
    edits = [
        {"behavior": "strike", "row": "r0", "start": 10, "stop": 30, "decision": "no"},
        {"behavior": "climb", "row": "r0", "start": 10, "stop": 30, "decision": "yes"},
    ]
    session.edit(key="relabel", behavior="strike", annotator="Ann", kind="relabel", edits=edits)
    assert (session.decisions.states("climb", "r0")[8:32] == [-1] * 2 + [1] * 20 + [-1] * 2).all()
    session.undo(behavior="strike", annotator="Ann")
    assert session.timeline(behavior="climb", row="r0")["answers"] == []
    assert session.decisions.states("strike", "r0")[15] == 1


def test_short_and_improbable_bouts_are_hidden_not_deleted(taught):
    plain = taught.timeline(behavior="strike", row="r1", bins=50)
    strict = taught.timeline(behavior="strike", row="r1", bins=50, minimum_frames=30, minimum_probability=0.9)
    assert len(plain["bouts"]) == len(strict["bouts"]) and len(plain["probability"]) == 50
    predicted = [bout for bout in strict["bouts"] if bout["decision"] is None]
    assert predicted
    for bout in predicted:
        assert bout["hidden"] == (bout["stop"] - bout["start"] < 30 or bout["probability"] < 0.9)
    assert not any(bout["hidden"] for bout in strict["bouts"] if bout["decision"] == "yes")


def test_draws_wait_for_their_answer_and_are_logged_before_it(taught, embeddings, tmp_path):
    open_draws = [one for one in taught.decisions.draws("strike") if not taught.decisions.is_decided(one)]
    for _ in range(4):
        taught.proposals(behavior="strike", k=8)
    still = [one for one in taught.decisions.draws("strike") if not taught.decisions.is_decided(one)]
    # Two of eight turns are random: more never wait.
    assert len(open_draws) <= len(still) <= 2
    again = LabelSession(taught.store, embeddings, taught.log.folder, wait=True)
    random = [hit for hit in again.proposals(behavior="strike", k=8)["proposals"] if hit["source"] == "random"]
    assert {(one.row, one.start) for one in still} == {(hit["row"], hit["start"]) for hit in random}
    again.close()


def test_a_session_goes_on_where_another_ended(taught, embeddings):
    before = taught.learner("strike").head
    again = LabelSession(taught.store, embeddings, taught.log.folder, wait=True)
    assert again.project()["behaviors"] == taught.project()["behaviors"]
    np.testing.assert_allclose(again.learner("strike").head.logits, before.logits, atol=0.02)
    again.close()


def test_two_sessions_see_each_others_answers(session, embeddings):
    other = LabelSession(session.store, embeddings, session.log.folder, wait=True)
    answer(session)
    assert answer(other, annotator="Ben", start=60, stop=80, shown_start=45, shown_stop=90)["counts"]["yes"] == 2
    assert session.project()["annotators"] == ["Ann", "Ben"]
    other.close()


def test_labels_go_into_the_store(session):
    answer(session)
    answer(session, row="r2", annotator="Ben", decision="no", start=0, stop=45)
    assert "strike (2 recordings)" in session.take(what="store", behaviors=["strike"])["sentence"]
    labels = Store(session.store.path)["r0"].labels["strike"]
    assert labels.vocabulary == ("other", "strike") and labels.annotator == "Ann"
    assert labels.frames[:46].tolist() == [0] * 10 + [1] * 20 + [0] * 15 + [NOT_ANNOTATED]
    assert Store(session.store.path)["r2"].labels["strike"].annotator == "Ben"
    with pytest.raises(InputError, match="has labels 'strike' already"):
        session.take(what="store", behaviors=["strike"])
    session.take(what="store", behaviors=["strike"], overwrite=True)


def test_boris_files_come_back_as_they_were(session, edit, store, tmp_path):
    """Also a split bout, and one at the very end."""
    frames = session.rows["r1"].frames
    edit((0, frames, "no"), (40, 70, "yes"), (55, 56, "no"), (frames - 5, frames, "yes"), row="r1")
    found = session.take(what="files", behaviors=["strike"], format="boris")
    folder = session.log.folder / "exports" / "boris"
    assert str(folder) in found["sentence"]
    other = write_store(tmp_path / "copy", list(store))
    add_labels(other.path, [folder])
    back = Store(other.path)["r1"].labels
    (stream,) = [name for name in back if name != "behavior"]
    shown = np.array(back[stream].vocabulary)[back[stream].frames] == "strike"
    assert np.flatnonzero(shown).tolist() == [*range(40, 55), *range(56, 70), *range(frames - 5, frames)]


def test_written_labels_do_not_depend_on_what_was_looked_at(taught, reply, embeddings):
    taught.timeline(behavior="strike", row="r1")
    for _ in range(4):
        reply(taught.proposals(behavior="strike", k=1)["proposals"][0])
    again = LabelSession(taught.store, embeddings, taught.log.folder, wait=True)
    for session in (taught, again):
        session.take(what="files", behaviors=["strike"], format="frames", content="all")
    ours, theirs = (session._labeled("strike", "", True).states for session in (taught, again))
    assert np.mean([np.mean(ours[row] != theirs[row]) for row in ours]) < 0.01
    again.close()


def test_what_was_undone_leaves_the_store(session):
    answer(session)
    answer(session, row="r2")
    session.take(what="store", behaviors=["strike"])
    session.undo(behavior="strike", annotator="Ann")
    session.take(what="store", behaviors=["strike"], overwrite=True)
    assert "strike" in Store(session.store.path)["r0"].labels and "strike" not in Store(session.store.path)["r2"].labels
    session.undo(behavior="strike", annotator="Ann")
    assert "emptied strike" in session.take(what="store", behaviors=["strike"], overwrite=True)["sentence"]
    assert "strike" not in Store(session.store.path)["r0"].labels


def test_two_that_write_to_the_store_at_once_both_succeed(session):
    session.add_behavior("climb", "One climbs on the other.", "Ann")
    answer(session)
    answer(session, behavior="climb", start=100, stop=110, shown_start=90, shown_stop=120)
    failures = []

    def take(name):
        try:
            session.take(what="store", behaviors=[name])
        except InputError as error:
            failures.append(error)

    threads = [threading.Thread(target=take, args=(name,)) for name in ("strike", "climb")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and {"strike", "climb"} <= set(Store(session.store.path)["r0"].labels)


@pytest.mark.parametrize("format", ["csv", "frames", "bento", "simba", "caltech", "npy"])
def test_files_of_every_format(taught, format):
    for content in ("answers", "all"):
        taught.take(what="files", behaviors=["strike"], format=format, content=content)
        facts = json.loads((taught.log.folder / "exports" / format / "labels.json").read_text())
        threshold = {"strike": taught.estimates.threshold("strike")} if content == "all" else {}
        assert facts["thresholds"] == threshold


def test_the_saved_probe_labels_as_the_page_does(taught, embeddings):
    taught.take(what="probe", behaviors=["strike"])
    labeled = annotate(embeddings, taught.store, taught.log.folder / "probe", verbose=False)
    learner = taught.learner("strike")
    probability = taught.state.probability(learner, "r3")
    shown = probability >= taught.estimates.threshold("strike")
    assert shown.any() and (shown != (probability > 0.5)).any()
    assert (labeled["r3"].labels["strike"].frames == shown).mean() > 0.995
    # With equal weight of yes and no, the threshold means nothing.
    balanced = annotate(embeddings, taught.store, taught.log.folder / "probe", balanced=True, verbose=False)
    assert balanced["r3"].labels["strike"].frames.sum() != shown.sum()
    file = taught.log.folder / "probe" / "probe.json"
    for wrong, message in (([0.1, 0.2], "1 classes, 2 thresholds"), ([0.0], "threshold of 0 is no probability")):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"thresholds": wrong}))
        with pytest.raises(InputError, match=f"is damaged.*{message}"):
            annotate(embeddings, taught.store, file.parent, verbose=False)


def test_a_threshold_is_chosen_for_the_estimate_the_ethogram_and_files(taught):
    best = taught.trust(behavior="strike")
    assert best["threshold"] == best["best_threshold"] < 0.5
    asked = {"behavior": "strike", "row": "r3"}
    bouts = taught.timeline(**asked)["bouts"]
    assert any(bout["probability"] and bout["probability"] < 0.5 for bout in bouts)
    taught.set_threshold(key="t1", behavior="strike", annotator="Ann", probability=0.9)
    high = taught.trust(behavior="strike")
    assert (high["threshold"], high["best_threshold"]) == (0.9, best["best_threshold"])
    assert high["recall"]["value"] < best["recall"]["value"] and high["ap"] == best["ap"]
    line = taught.timeline(**asked)
    predicted = [bout for bout in line["bouts"] if bout["probability"] is not None]
    assert line["threshold"] == 0.9 and all(bout["probability"] >= 0.9 for bout in predicted)
    few = (taught._labeled("strike", "", True).states["r3"] == YES).sum()
    # It is in the log, counts as no answer, and is not what "undo" takes back.
    event = taught.log.events()[-1]
    assert (event.kind, event.probability, event.annotator) == ("threshold", 0.9, "Ann")
    assert taught.undo(behavior="strike", annotator="Ann")["event"]["kind"] == "answer"
    taught.redo(behavior="strike", annotator="Ann")
    taught.set_threshold(key="t2", behavior="strike", annotator="Ann")
    assert taught.trust(behavior="strike")["threshold"] == pytest.approx(best["threshold"], rel=1e-5)
    assert (taught._labeled("strike", "", True).states["r3"] == YES).sum() > few


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"probability": 0.0}, "between 0.01 and 0.99, got 0"), ({"behavior": "climb"}, "no behavior 'climb'"),
     ({"annotator": " "}, "`annotator` is empty")],
)  # fmt: skip
def test_thresholds_that_cannot_be_are_refused(session, wrong, message):
    usual = {"key": "t", "behavior": "strike", "annotator": "Ann", "probability": 0.3}
    with pytest.raises(InputError, match=message):
        session.set_threshold(**usual | wrong)
    assert session.log.events() == []
    session.set_threshold(**usual)
    # Before there is an estimate, it is kept for later.
    assert session.trust(behavior="strike")["threshold"] == 0.3


def test_pairs_are_labeled_by_who_does_it(store, write_embeddings, array, tmp_path):
    rows, offset, parts = [], 0, []
    for row in store.rows:
        for one in actors_of("pair", store.individuals):
            rows.append(
                {"id": one.row_id(row.id), "recording": row.id, "agent": one.agent, "target": one.target,
                 "offset": offset, "frames": row.frames, "fps": row.fps}
            )  # fmt: skip
            offset += row.frames
            parts.append(array[row.slice])
    pairs = write_embeddings(store, tmp_path / "pairs", np.concatenate(parts), recordings=rows)
    session = LabelSession(store, pairs, tmp_path / "of pairs", wait=True)
    session.add_behavior("strike", "One attacks the other.", "Ann")
    for what in ("files", "store"):
        with pytest.raises(InputError, match="nothing is decided yet"):
            session.take(what=what, behaviors=["strike"], format="csv")
    # Without a model, only the pair with an answer was looked for.
    answer(session, row=rows[1]["id"], decision="no")
    assert 'are "no"' in session.take(what="store", behaviors=["strike"])["notices"][0]
    only = Store(store.path)["r0"].pair_labels["strike"]
    assert (
        only.looked_for.sum() == 1
        and len(only.bouts) == 0
        and "r1" not in Store(store.path).pair_streams["strike"].recordings
    )
    answer(session, row=rows[1]["id"])
    taken = session.take(what="store", behaviors=["strike"], overwrite=True)
    assert "those of the model" in taken["notices"][0]
    labels = Store(store.path)["r0"].pair_labels["strike"]
    number = [store.individuals.index(rows[1][name]) for name in ("agent", "target")]
    own = labels.bouts[(labels.bouts[:, :2] == number).all(axis=1)]
    assert [10, 30] in own[:, 3:].tolist() or any(a <= 10 and b >= 30 for a, b in own[:, 3:].tolist())
    session.take(what="files", behaviors=["strike"], format="csv")
    session.take(what="probe", behaviors=["strike"])
    with pytest.raises(InputError, match="has agents and targets"):
        session.take(what="files", behaviors=["strike"], format="simba")
    session.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"behavior": "groom"}, "no behavior 'groom'; it has 'strike'"),
        ({"row": "r9"}, "no row 'r9'"),
        ({"start": 30, "stop": 30}, "0 <= start < stop"),
        ({"stop": 10**6}, "0 <= start < stop"),
        ({"decision": "maybe"}, "must be one of"),
        ({"annotator": " "}, "say who answers"),
        ({"key": ""}, "needs its own"),
        ({"ticket": "{broken"}, "load the page again"),
    ],
)
def test_a_wrong_answer_is_refused_in_one_sentence(session, changes, message):
    with pytest.raises(InputError, match=message):
        answer(session, **changes)
    assert session.log.events() == []


@pytest.mark.parametrize(
    ("name", "definition", "message"),
    [
        ("strike", "Something else.", "another definition"),
        ("behavior", "What they do.", "has a label stream 'behavior'"),
        ("<b>", "Bold.", "letters, digits"),
        ("groom", " ", "needs a definition"),
        ("Other", "The rest.", "stands for all other behaviors"),
        ("Strike", "One attacks the other.", "differ"),
        ("x" * 61, "Long.", "at most 60"),
    ],
)
def test_a_behavior_needs_a_free_name_and_a_definition(session, name, definition, message):
    with pytest.raises(InputError, match=message):
        session.add_behavior(name, definition, "Ann")


def test_embeddings_of_another_store_are_refused(store, write_embeddings, array, tmp_path):
    other = write_embeddings(store, tmp_path / "other", array, store="f" * 64)
    with pytest.raises(InputError, match="made from another store"):
        LabelSession(store, other, tmp_path / "project")


def test_embeddings_of_another_model_are_refused(session, write_embeddings, array, tmp_path):
    other = write_embeddings(session.store, tmp_path / "other", array, checkpoint="beef")
    with pytest.raises(InputError, match="project of another set of embeddings"):
        LabelSession(session.store, other, session.log.folder)


def test_a_store_that_changed_is_not_written_to(session):
    answer(session)
    contents = json.loads((session.store.path / "store.json").read_text())
    contents["recordings"][0]["content_hash"] = "0" * 64
    (session.store.path / "store.json").write_text(json.dumps(contents))
    with pytest.raises(InputError, match="changed since"):
        session.take(what="store", behaviors=["strike"])


def test_nothing_to_take_yet(session):
    for what in ("store", "files", "probe"):
        with pytest.raises(InputError, match=r"nothing is decided|no model"):
            session.take(what=what, behaviors=["strike"], format="csv")


def test_a_draw_does_not_make_the_head_look_new_to_other_answers(session, embeddings):
    """Answers of another session that come with a draw are learned."""
    answer(session)
    other = LabelSession(session.store, embeddings, session.log.folder, wait=True)
    session.proposals(behavior="strike", k=1)
    answer(other, start=60, stop=80, shown_start=45, shown_stop=90, annotator="Ben")
    session.proposals(behavior="strike", k=8)
    assert session.learner("strike").head.version >= session.decisions.version("strike")
    other.close()


def test_a_project_keeps_to_its_recordings(session, embeddings):
    with pytest.raises(InputError, match="another selection of recordings"):
        LabelSession(session.store, embeddings, session.log.folder, recordings=["r1"])


def test_a_session_that_is_closed_leaves_no_thread_behind(store, embeddings, tmp_path):
    before = set(threading.enumerate())
    for name in ("first", "second"):
        session = LabelSession(store, embeddings, tmp_path / name, wait=name == "second")
        session.close()
        assert set(threading.enumerate()) == before


def test_a_chosen_threshold_is_there_for_others_and_after_the_end(store, embeddings, tmp_path):
    opened = [LabelSession(store, embeddings, tmp_path / "project", wait=True) for _ in range(2)]
    opened[0].add_behavior("strike", "One hits the other.", "Ann")
    for number, chosen in enumerate((0.3, None, 0.2)):
        opened[0].set_threshold(key=f"t{number}", behavior="strike", annotator="Ann", probability=chosen)
        # A second arrival of a choice is none.
        opened[0].set_threshold(key="t0", behavior="strike", annotator="Ann", probability=0.3)
        assert opened[1].trust(behavior="strike")["threshold"] == (chosen or 0.5)
    for session in opened:
        session.close()
    later = LabelSession(store, embeddings, tmp_path / "project", wait=True)
    assert later.timeline(behavior="strike", row="r1")["threshold"] == 0.2
    later.close()


def test_the_end_waits_for_a_request_that_computes(store, embeddings, tmp_path):
    """A head that is fitted while Python ends would abort the process."""
    session = LabelSession(store, embeddings, tmp_path / "project", wait=True)
    closing = threading.Thread(target=session.close)
    with session.state.lock:
        closing.start()
        closing.join(0.2)
        assert closing.is_alive() and session.log.behaviors() == []
    closing.join(10)
    assert not closing.is_alive()


def test_a_script_may_end_without_closing(store, embeddings, tmp_path):
    """Its threads end before the interpreter does."""
    code = f"""
import time
from probe.labeling import session

def slow(embeddings, folder, rows, progress):
    print("began", flush=True)
    try:
        for part in range(100):
            time.sleep(0.05)
            progress("cutting", part, 100)
    finally:
        print("ended", flush=True)

session.find_candidates = slow
session.LabelSession({str(store.path)!r}, {str(embeddings.path)!r}, {str(tmp_path / "project")!r})
time.sleep(0.2)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["began", "ended"]), done.stderr
