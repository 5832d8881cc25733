"""Answers reach the project: from two tabs, after reloads, and when the server is away."""

import json
import sqlite3
from contextlib import closing
from urllib.parse import quote

import pytest

from tests.probe.labeling.page.steps import first_row, go, has_counts, name_annotator, wait_until, waits_for
from tests.probe.labeling.page.visitor import DEFINITION, opened, ready


def test_two_tabs_show_two_views_and_answer_into_one_project(shared, behavior, visit):
    address, _, session = shared
    session.add_behavior(name="biting", definition=DEFINITION, annotator="Ada")
    visitor = visit(address)
    learn = visitor.tab(f"#learn?behavior={behavior}")
    name_annotator(learn)
    other = visitor.tab(f"#correct?behavior=biting&row={quote(first_row(session))}")
    third = visitor.tab(f"#learn?behavior={behavior}")
    assert other.locator("#behavior").input_value() == "biting"
    assert other.locator("#annotator").input_value() == "Ada"
    for page in (learn, third):
        wait_until(page, "labels.views.learn.queue.current() !== null")
    learn.bring_to_front()
    learn.keyboard.press("n")
    third.bring_to_front()
    third.keyboard.press("u")
    for page in (learn, third):
        has_counts(page, 0, 1, 1)
    assert other.locator("#behavior").input_value() == "biting"
    other.locator("#behavior").select_option(behavior)
    has_counts(other, 0, 1, 1)
    assert f"behavior={behavior}" in other.url and "#correct" in other.url


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_reload_in_the_middle_of_an_answer_loses_nothing(shared, behavior, visit, moment):
    """`before`: the server has not stored the answer yet; `after`: it has, and its acknowledgment is on the way."""
    address, hold, session = shared
    visitor = visit(address)
    visitor.expected.append("status of 500|ERR_EMPTY_RESPONSE")
    page = visitor.tab(f"#learn?behavior={behavior}")
    name_annotator(page)
    wait_until(page, "labels.views.learn.queue.current() !== null")
    hit = page.evaluate("labels.views.learn.queue.current()")
    setattr(hold, moment, True)
    page.keyboard.press("n")
    wait_until(page, "document.querySelector('#saving').textContent.startsWith('Saving')")
    page.wait_for_timeout(100)
    shown = page.evaluate("labels.views.learn.queue.current()")
    page.reload()
    ready(page)
    assert page.locator("#saving").inner_text() != "✓ Saved"
    again = page.evaluate("labels.views.learn.queue.current()")
    assert not again or (again["row"], again["start"]) == (shown["row"], shown["start"])
    setattr(hold, moment, False)
    has_counts(page, 0, 1, 0)
    line = session.timeline(behavior=behavior, row=hit["row"], bins=10, minimum_frames=1, minimum_probability=0.5)
    assert {"start": hit["start"], "stop": hit["stop"], "decision": "no"} in line["answers"]
    assert page.evaluate("Object.keys(localStorage).filter((name) => name.includes('/waiting/')).length") == 0


def test_answers_given_without_a_connection_are_kept_and_sent(shared, behavior, visit):
    address = shared[0]
    visitor = visit(address)
    visitor.expected.append("ERR_INTERNET_DISCONNECTED")
    page = visitor.tab(f"#learn?behavior={behavior}")
    name_annotator(page)
    wait_until(page, "labels.views.learn.queue.current() !== null")
    visitor.context.set_offline(True)
    page.keyboard.press("n")
    wait_until(page, "document.querySelector('#saving').textContent.includes('1 answer not saved yet')")
    assert "does not answer" in page.locator("#lost").inner_text()
    page.keyboard.press("u")
    wait_until(page, "document.querySelector('#saving').textContent.includes('2 answers not saved yet')")
    visitor.context.set_offline(False)
    has_counts(page, 0, 1, 1)
    assert page.locator("#lost").is_hidden()


def test_what_goes_wrong_after_an_answer_takes_no_other_one_with_it(shared, behavior, visit):
    page = visit(shared[0]).tab(f"#learn?behavior={behavior}")
    name_annotator(page)
    wait_until(page, "labels.views.learn.queue.current() !== null")
    routes = []
    page.route("**/api/answers", lambda route: routes.append(route))
    page.evaluate("labels.on('answers', () => { throw new Error('A view cannot be drawn.') })")
    for key in "nnu":
        page.keyboard.press(key)
    for _ in range(3):
        waits_for(page, lambda: len(routes), 1)
        routes.pop().continue_()
    has_counts(page, 0, 2, 1)


def test_an_answer_to_a_locked_project_is_kept_and_sent_again(data, tmp_path, visit):
    with opened(data, tmp_path / "project") as (address, _, session):
        session.add_behavior(name="following", definition=DEFINITION, annotator="Ada")
        visitor = visit(address)
        page = visitor.tab()
        name_annotator(page)
        wait_until(page, "labels.views.learn.queue.current() !== null")
        session.log._connection.execute("PRAGMA busy_timeout = 20")
        with closing(sqlite3.connect(session.log.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            page.keyboard.press("n")
            wait_until(page, "document.querySelector('#saving').textContent.includes('1 answer not saved yet')")
            assert "is locked: another program" in page.locator("#lost").inner_text()
            assert page.locator("#preparing").is_hidden()
            other.execute("ROLLBACK")
        has_counts(page, 0, 1, 0)
        visitor.close()


def test_a_restart_of_the_server_loses_no_answer(data, tmp_path, visit):
    with opened(data, tmp_path / "project") as (address, _, session):
        session.add_behavior(name="following", definition=DEFINITION, annotator="Ada")
        visitor = visit(address)
        visitor.expected += ["ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_REFUSED", "status of 401"]
        page = visitor.tab()
        name_annotator(page)
        wait_until(page, "labels.views.learn.queue.current() !== null")
        visitor.context.set_offline(True)
        page.keyboard.press("n")
        wait_until(page, "document.querySelector('#saving').textContent.includes('1 answer not saved yet')")
    with opened(data, tmp_path / "project", port=int(visitor.origin.rpartition(":")[2])) as (address, _, _):
        visitor.context.set_offline(False)
        wait_until(page, "document.querySelector('#lost').textContent.includes('address that the terminal shows')")
        assert "not saved yet" in page.locator("#saving").inner_text()
        has_counts(visitor.tab(), 0, 1, 0)
        has_counts(page, 0, 1, 0)
        visitor.close()


def test_the_next_bout_comes_after_a_refused_answer(shared, behavior, visit):
    visitor = visit(shared[0])
    visitor.expected.append("status of 400")
    page = visitor.tab(f"#take?behavior={behavior}")
    name_annotator(page)

    def only_one(route):
        answer = route.fetch()
        reply = answer.json()
        route.fulfill(response=answer, json=reply | {"proposals": reply["proposals"][:1]})

    refusal = json.dumps({"error": "The answer is refused."})
    page.route("**/api/proposals", only_one)
    page.route("**/api/answers", lambda route: route.fulfill(status=400, content_type="application/json", body=refusal))
    go(page, "Learn")
    wait_until(page, "labels.views.learn.queue.current() !== null")
    page.keyboard.press("n")
    wait_until(page, "document.querySelector('.learn .trouble').textContent === 'The answer is refused.'")
    wait_until(page, "labels.views.learn.queue.current() !== null && !labels.views.learn.queue.asking()")
    assert page.locator(".learn .trouble").inner_text() == "The answer is refused."
    page.unroute_all(behavior="wait")
    page.keyboard.press("n")
    has_counts(page, 0, 1, 0)
