"""The Correct view: bouts under mouse and keys."""

import json
from urllib.parse import quote

from tests.probe.labeling.page.steps import (
    accepted,
    drag,
    first_row,
    go,
    lane_point,
    name_annotator,
    wait_until,
    waits_for,
)
from tests.probe.labeling.page.visitor import DEFINITION

SHOWN = """() => labels.views.correct.timeline.state.data.bouts
    .filter((one) => one.decision === "yes").map((one) => [one.start, one.stop])"""


def correct(visit, address, behavior, row):
    """A tab with the Correct view of a row."""
    page = visit(address).tab(f"#correct?behavior={behavior}&row={quote(row)}")
    name_annotator(page)
    wait_until(page, "labels.views.correct.timeline.state.data !== null")
    return page


def seek(page, frame):
    page.evaluate("(frame) => labels.views.correct.player.seek(frame)", frame)
    wait_until(page, "(frame) => labels.views.correct.timeline.state.frame === frame", frame)


PRESS = """async (keys) => {
  for (const name of keys) {
    const [key, shiftKey] = [name.replace("Shift+", ""), name.startsWith("Shift+")];
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true, cancelable: true }));
    await new Promise((next) => setTimeout(next));
  }
}"""


def press(page, keys):
    """Faster than anybody types, and than the server answers."""
    page.evaluate(PRESS, keys.split())


def test_bouts_are_drawn_moved_split_merged_relabeled_and_removed(shared, behavior, visit):
    address, _, session = shared
    session.add_behavior(name="other_bouts", definition=DEFINITION, annotator="Ada")
    row = first_row(session)
    page = correct(visit, address, behavior, row)

    def has(*spans):
        """On the screen, and in the project."""
        waits_for(page, lambda: [tuple(span) for span in page.evaluate(SHOWN)], list(spans))
        waits_for(page, lambda: accepted(session, row, behavior), list(spans))

    drag(page, lane_point(page, "correct", 200), lane_point(page, "correct", 300))
    waits_for(page, lambda: len(accepted(session, row, behavior)), 1)
    ((start, stop),) = accepted(session, row, behavior)
    assert abs(start - 200) <= 1 and abs(stop - 300) <= 1
    drag(page, lane_point(page, "correct", stop), lane_point(page, "correct", stop + 60))
    waits_for(page, lambda: abs(accepted(session, row, behavior)[0][1] - stop - 60) <= 1, True)
    stop = accepted(session, row, behavior)[0][1]
    seek(page, 250)
    press(page, "s")
    has((start, 250), (251, stop))
    press(page, ", m")
    has((start, stop))
    seek(page, 220)
    press(page, "[")
    has((220, stop))
    press(page, "z")
    has((start, stop))
    page.locator("select[aria-label='Relabel to']").select_option("other_bouts")
    has()
    assert accepted(session, row, "other_bouts") == [(start, stop)]
    press(page, "z")
    has((start, stop))
    assert accepted(session, row, "other_bouts") == []
    page.mouse.click(*lane_point(page, "correct", 260))
    press(page, "Delete")
    has()


def test_quick_keys_are_taken_in_their_order(shared, behavior, visit):
    address, _, session = shared
    row = first_row(session)
    page = correct(visit, address, behavior, row)

    def has(*spans):
        waits_for(page, lambda: accepted(session, row, behavior), list(spans))
        wait_until(page, "document.querySelector('#saving').textContent === '✓ Saved'")

    seek(page, 40)
    press(page, "d Shift+ArrowRight s , m")
    has((40, 70))
    # Each undo brings back bouts, which the next key is about.
    press(page, "z z Shift+Z z Delete")
    has()
    press(page, "z z Shift+Z")
    has((40, 70))


def test_a_bout_stays_on_the_screen_while_it_is_not_stored(shared, behavior, visit):
    address, _, session = shared
    page = correct(visit, address, behavior, first_row(session))
    asked, loads = [], []

    def let_the_first_pass(route):
        asked.append(route)
        if len(asked) == 1:
            route.continue_()

    page.route("**/api/edits", let_the_first_pass)
    page.on("requestfinished", lambda request: "/api/timeline" in request.url and loads.append(request))
    for frame in (40, 140):
        seek(page, frame)
        press(page, "d")
    waits_for(page, lambda: len(asked) == 2 and bool(loads), True)
    page.wait_for_timeout(50)
    assert page.evaluate(SHOWN) == [[40, 70], [140, 170]]
    asked[1].continue_()
    waits_for(page, lambda: len(accepted(session, first_row(session), behavior)), 2)


def test_hidden_bouts_are_drawn_and_not_deleted(shared, behavior, visit):
    address = shared[0]
    page = visit(address).tab(f"#learn?behavior={behavior}")
    bouts = [
        {"start": 30, "stop": 60, "probability": 0.9, "decision": None, "hidden": False},
        {"start": 90, "stop": 100, "probability": 0.6, "decision": None, "hidden": False},
    ]
    asked = []

    def timeline(route):
        query = dict(part.split("=") for part in route.request.url.partition("?")[2].split("&"))
        asked.append(query)
        shown = [b | {"hidden": b["probability"] < float(query["minimum_probability"])} for b in bouts]
        reply = {
            "frames": 1500, "fps": 30.0, "probability": [0.2] * 100, "threshold": 0.5, "bouts": shown, "answers": [],
        }  # fmt: skip
        route.fulfill(status=200, content_type="application/json", body=json.dumps(reply))

    page.route("**/api/timeline*", timeline)
    go(page, "Correct")
    wait_until(page, "document.querySelector('.limits .count').textContent === '2 bouts'")
    page.locator("input[aria-label='Hide bouts below probability']").fill("0.7")
    wait_until(page, "document.querySelector('.limits .count').textContent === '1 bout, 1 hidden'")
    page.keyboard.press(".")
    assert page.locator(".bout-panel h2").inner_text() == "Bout 1 of 1"
    page.keyboard.press(".")
    assert page.locator(".bout-panel .said").inner_text() == "No bout after this one."
    page.mouse.click(*lane_point(page, "correct", 95))
    assert page.locator(".bout-panel h2").inner_text() == "Hidden bout"


def test_an_address_leads_to_a_frame(shared, behavior, visit):
    address, _, session = shared
    page = visit(address).tab(f"#correct?behavior={behavior}&row={quote(first_row(session))}&frame=700")
    wait_until(page, "labels.views.correct.player.frame() === 700")
    shown = """() => {
        const { data, frame, view } = labels.views.correct.timeline.state;
        return data !== null && frame === 700 && view[0] <= 700 && 700 < view[1];
    }"""
    wait_until(page, shown)


def test_a_lower_threshold_hides_no_bout(shared, behavior, visit):
    page = visit(shared[0]).tab(f"#learn?behavior={behavior}")
    thresholds, asked = [0.5, 0.2], []
    bout = {"start": 30, "stop": 60, "probability": 0.3, "decision": None, "hidden": False}

    def timeline(route):
        threshold = thresholds[min(len(asked), 1)]
        asked.append(float(route.request.url.partition("minimum_probability=")[2].partition("&")[0]))
        found = [bout | {"hidden": asked[-1] > 0.3}] if threshold < 0.3 else []
        reply = {"frames": 1500, "fps": 30.0, "probability": [0.2] * 100, "threshold": threshold, "bouts": found}
        route.fulfill(status=200, content_type="application/json", body=json.dumps(reply | {"answers": []}))

    page.route("**/api/timeline*", timeline)
    go(page, "Correct")
    for words in ("0 bouts", "1 bout"):
        wait_until(page, "(words) => document.querySelector('.limits .count').textContent === words", words)
        page.evaluate("labels.tell('answers')")
    assert set(asked) == {0.0}


def test_the_time_is_zoomed_with_the_wheel_and_moved_with_the_mouse(shared, behavior, visit):
    address, _, session = shared
    page = visit(address).tab(f"#correct?behavior={behavior}&row={quote(first_row(session))}")
    wait_until(page, "labels.views.correct?.timeline.state.data !== null")
    view = "labels.views.correct.timeline.state.view"
    page.keyboard.press("0")
    assert page.evaluate(view) == [0, 900]
    x, y = lane_point(page, "correct", 300)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    wait_until(page, f"{view}[1] - {view}[0] < 450")
    assert abs(lane_point(page, "correct", 300)[0] - x) < 2
    first = page.evaluate(view)
    drag(page, (x, y - 50), (x - 100, y - 50))
    moved = page.evaluate(view)
    assert moved[0] > first[0] and abs((moved[1] - moved[0]) - (first[1] - first[0])) < 1e-6
    page.mouse.click(*lane_point(page, "correct", moved[0] + 50.5))
    frame = page.evaluate("labels.views.correct.player.frame()")
    assert frame == int(moved[0] + 50.5)
    page.keyboard.press("Shift+ArrowLeft")
    wait_until(page, "(frame) => labels.views.correct.timeline.state.frame === frame", frame - 10)
    page.keyboard.press("+")
    assert page.evaluate(f"{view}[1] - {view}[0]") < moved[1] - moved[0]
