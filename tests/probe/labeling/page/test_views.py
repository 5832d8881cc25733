"""The views in a real Chromium over a real server: a whole session, keys, names, sizes."""

import json
from urllib.parse import quote

from tests.probe.labeling.page.steps import (
    accepted,
    drag,
    go,
    has_counts,
    mark,
    name_annotator,
    new_behavior,
    wait_until,
    waits_for,
)
from tests.probe.labeling.page.visitor import EVIL, opened


def test_a_session_from_the_first_example_to_trust(data, tmp_path, visit):
    with opened(data, tmp_path / "project") as (address, _, session):
        visitor = visit(address)
        go_through_a_session(visitor.tab(), session)
        visitor.close()


def go_through_a_session(page, session):
    assert page.locator("#next-step").inner_text().startswith("Start with a behavior")
    new_behavior(page, "following")
    wait_until(page, "document.querySelector('#behavior').value === 'following'")
    assert page.locator("#next-step").inner_text().startswith("Find one example first")

    go(page, "Search")
    mark(page, 120, 180)
    page.locator("button", has_text="Find similar").click()
    page.wait_for_selector(".hits .tile.current")
    page.keyboard.press("y")
    page.locator("dialog [name=annotator]").fill("Ada")
    page.keyboard.press("Enter")
    has_counts(page, 1, 0, 0)
    assert page.locator("#annotator").input_value() == "Ada"
    page.keyboard.press("n")
    page.keyboard.press("u")
    has_counts(page, 1, 1, 1)
    page.keyboard.press("ArrowRight")
    page.locator(".tile.current .buttons .no").click()
    has_counts(page, 1, 2, 1)
    decided = [one.inner_text() for one in page.locator(".tile .stamp").all() if one.inner_text()]
    assert sorted(decided) == ["? Not sure", "✓ Yes", "✕ No", "✕ No"]

    go(page, "Learn")
    wait_until(page, "labels.views.learn.queue.current() !== null")
    hit = page.evaluate("labels.views.learn.queue.current()")
    page.keyboard.press("Space")
    page.evaluate("(frame) => labels.views.learn.player.seek(frame)", hit["start"])
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("[")
    handle = page.locator(".trim .handle.start")
    assert handle.get_attribute("aria-valuenow") == str(hit["start"] + 2)
    box = page.locator(".trim .handle.stop").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    drag(page, middle, (middle[0] - 20, middle[1]))
    stop = int(page.locator(".trim .handle.stop").get_attribute("aria-valuenow"))
    assert hit["start"] + 2 < stop < hit["stop"]
    page.keyboard.press("y")
    has_counts(page, 2, 2, 1)
    assert (hit["start"] + 2, stop) in accepted(session, hit["row"])
    is_shown = "(hit) => ['row', 'start'].every((name) => labels.views.learn.queue.current()?.[name] === hit[name])"
    wait_until(page, f"(hit) => !({is_shown})(hit)", hit)
    page.keyboard.press("z")
    has_counts(page, 1, 2, 1)
    wait_until(page, is_shown, hit)
    assert (hit["start"] + 2, stop) not in accepted(session, hit["row"])
    page.keyboard.press("Shift+Z")
    has_counts(page, 2, 2, 1)
    assert (hit["start"] + 2, stop) in accepted(session, hit["row"])

    go(page, "Trust")
    wait_until(page, "(document.querySelector('.verdict')?.textContent || '').includes('Not to be trusted yet')")
    assert page.locator(".scores").count() == 0


def test_names_are_text_and_a_refusal_is_shown_in_its_dialog(shared, behavior, visit):
    address, _, session = shared
    visitor = visit(address)
    visitor.expected.append("status of 400")
    page = visitor.tab(f"#learn?behavior={behavior}")
    new_behavior(page, EVIL)
    banner = page.locator("dialog .trouble")
    banner.wait_for()
    assert EVIL in banner.inner_text()
    page.locator("dialog [name=name]").fill("evil")
    page.locator("dialog [name=definition]").fill(f"{EVIL} & more")
    page.locator("dialog button.main").click()
    wait_until(page, "document.querySelector('#behavior').value === 'evil'")
    name_annotator(page, EVIL)
    wait_until(page, "labels.views.learn.queue.current() !== null")
    assert page.locator(".question p").inner_text() == f"{EVIL} & more"
    page.keyboard.press("n")
    has_counts(page, 0, 1, 0)
    row = next(one["rows"][0] for one in session.project()["recordings"] if one["id"] == EVIL)
    for view in ("search", "correct"):
        page.goto(f"{visitor.origin}/#{view}?row={quote(row['id'])}")
        wait_until(page, f"(row) => labels.views.{view}?.timeline.state.row === row", row["id"])
        assert page.locator(f".{view} select[aria-label=Recording] option:checked").inner_text() == EVIL
    for view in ("Trust", "Take away"):
        go(page, view)
        page.wait_for_timeout(150)
    new_behavior(page, "evil", "Another definition.")
    banner.wait_for()
    assert "'evil'" in banner.inner_text()
    page.keyboard.press("Escape")
    assert not page.evaluate("'hacked' in window")
    assert page.locator("main img").count() == 0


def test_keys_rest_while_somebody_types(shared, behavior, visit):
    address = shared[0]
    page = visit(address).tab(f"#learn?behavior={behavior}")
    wait_until(page, "labels.views.learn.queue.current() !== null")
    page.locator("#annotator").click()
    page.keyboard.type("nyu zoom?")
    page.keyboard.press("Enter")
    has_counts(page, 0, 0, 0)
    assert page.locator("dialog").count() == 0
    page.keyboard.press("?")
    assert page.locator("dialog.help").is_visible()
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    has_counts(page, 0, 0, 0)
    page.keyboard.press("n")
    has_counts(page, 0, 1, 0)


def test_nothing_moves_by_itself_where_little_motion_is_wanted(shared, behavior, visit):
    page = visit(shared[0]).tab("#take")
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    go(page, "Learn")
    wait_until(page, "labels.views.learn.player.clip() !== null")
    page.wait_for_timeout(200)
    assert page.locator(".learn .play").inner_text().startswith("Play")
    frame = page.evaluate("labels.views.learn.player.frame()")
    page.keyboard.press("Space")
    wait_until(page, "(frame) => labels.views.learn.player.frame() !== frame", frame)


def test_estimates_are_shown_with_intervals_when_they_are_worth_something(shared, behavior, visit):
    address, _, session = shared
    page = visit(address).tab(f"#learn?behavior={behavior}")
    name_annotator(page)
    estimate = {"value": 0.8, "low": 0.7, "high": 0.9}
    trust = {
        "enough": True, "message": "", "answers": 80, "positives": 20, "threshold": 0.5, "precision": estimate,
        "best_threshold": 0.3, "f1": estimate,
        "recall": estimate, "ap": estimate, "share": None, "seconds_per_answer": 3.0, "target": 0.95,
        "calibration": [{"probability": 0.2, "share": 0.2, "low": 0.1, "high": 0.3, "weight": 0.5}],
        "seconds_to_target": 600.0, "target_message": "200 more answers.",
        "history": [{"answers": 0, "ap": None}, {"answers": 40, "ap": 0.6}, {"answers": 80, "ap": 0.8}],
    }  # fmt: skip
    asked = []

    def fulfill(route):
        asked.append(route.request.url)
        route.fulfill(status=200, content_type="application/json", body=json.dumps(trust))

    page.route("**/api/trust*", fulfill)
    go(page, "Trust")
    page.wait_for_selector(".verdict.enough")
    rows = page.locator(".scores tbody tr").all_inner_texts()
    assert "Precision" in rows[0] and "80%" in rows[0] and "70% – 90%" in rows[0]
    assert "unknown" in rows[4]
    assert page.locator(".interval-bar").count() == 4
    assert page.locator(".time-to-go").inner_text() == "10 min. 200 more answers."
    page.locator("[aria-label='Wanted precision in percent']").fill("95")
    page.keyboard.press("Enter")
    wait_until(page, "true")
    waits_for(page, lambda: "target=0.95" in asked[-1], True)
    requests = len(asked)
    assert page.locator(".threshold output").inner_text() == "50%"
    page.locator("[aria-label=Threshold]").fill("0.6")
    waits_for(page, lambda: session.decisions.threshold(behavior), 0.6)
    waits_for(page, lambda: len(asked), requests + 1)
    page.locator("button", has_text="Best F1: 30%").click()
    waits_for(page, lambda: session.decisions.threshold(behavior), None)


def test_the_slider_of_the_threshold_stays_under_the_fingers(shared, behavior, visit):
    visitor = visit(shared[0])
    visitor.expected.append("status of 400")
    page = visitor.tab(f"#learn?behavior={behavior}")
    name_annotator(page)
    trust = {
        "enough": False, "message": "", "answers": 9, "positives": 2, "best_threshold": 0.5, "history": [],
        "calibration": [], "target_message": "", "seconds_to_target": None, "seconds_per_answer": None,
    }  # fmt: skip
    estimates, choices, slider = [], [], page.locator("[aria-label=Threshold]")
    page.route("**/api/trust*", lambda route: estimates.append(route))
    page.route("**/api/threshold", lambda route: choices.append(route))

    def reply(threshold):
        waits_for(page, lambda: len(estimates), 1)
        text = json.dumps(trust | {"threshold": threshold})
        estimates.pop().fulfill(status=200, content_type="application/json", body=text)

    def focused():
        return page.evaluate("document.activeElement.getAttribute('aria-label')")

    go(page, "Trust")
    reply(0.5)
    slider.focus()
    page.keyboard.press("ArrowRight")
    waits_for(page, lambda: len(choices), 1)
    page.keyboard.press("ArrowRight")
    choices.pop().continue_()
    waits_for(page, lambda: len(choices), 1)
    reply(0.51)
    page.wait_for_timeout(100)
    assert (slider.input_value(), focused()) == ("0.52", "Threshold")
    choices.pop().continue_()
    reply(0.52)
    page.wait_for_timeout(100)
    assert (slider.input_value(), focused()) == ("0.52", "Threshold")
    page.keyboard.press("ArrowRight")
    waits_for(page, lambda: len(choices), 1)
    choices.pop().fulfill(status=400, content_type="application/json", body='{"error": "No."}')
    reply(0.52)
    waits_for(page, slider.input_value, "0.52")
    assert page.locator(".trust .trouble").inner_text() == "No."


def test_labels_for_the_store_are_by_those_who_answered(shared, behavior, visit):
    page = visit(shared[0]).tab(f"#take?behavior={behavior}")
    name_annotator(page, "Clicker")
    sent = []

    def fulfill(route):
        sent.append(route.request.post_data_json)
        reply = {"sentence": "Written.", "notices": []}
        route.fulfill(status=200, content_type="application/json", body=json.dumps(reply))

    page.route("**/api/take", fulfill)
    field, write = page.locator(".take input[name=annotator]"), page.locator("button", has_text="Write to the store")
    assert field.get_attribute("placeholder") == "by those who answered"
    write.click()
    waits_for(page, lambda: [one["annotator"] for one in sent], [""])
    field.fill(" Dr. Lab ")
    write.click()
    waits_for(page, lambda: [one["annotator"] for one in sent], ["", "Dr. Lab"])


def test_views_fit_on_the_screen(shared, behavior, visit):
    address = shared[0]
    page = visit(address).tab(f"#learn?behavior={behavior}")
    name_annotator(page)
    wait_until(page, "labels.views.learn.queue.current() !== null")
    for width, height in [(1440, 900), (1024, 768)]:
        page.set_viewport_size({"width": width, "height": height})
        for view in ("Search", "Correct", "Trust", "Take away", "Learn"):
            go(page, view)
            page.wait_for_timeout(100)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), view
        answers = page.locator(".answers").bounding_box()
        assert answers["y"] + answers["height"] <= height
