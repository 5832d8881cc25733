"""The Correct view: bouts under mouse and keys."""

import json
from urllib.parse import quote

import pytest

from tests.probe.labeling.page.steps import (
    accepted,
    drag,
    first_row,
    go,
    has_counts,
    lane_point,
    name_annotator,
    wait_until,
    waits_for,
)
from tests.probe.labeling.page.visitor import DEFINITION, opened


# On a busy machine a step of the mouse is missed now and then.
@pytest.mark.slow
def test_bouts_are_drawn_moved_split_merged_relabeled_and_removed(data, tmp_path, visit):
    with opened(data, tmp_path / "project") as (address, _, session):
        for name in ("following", "biting"):
            session.add_behavior(name=name, definition=DEFINITION, annotator="Ada")
        visitor = visit(address)
        correct_bouts(visitor.tab(), session)
        visitor.close()


HAS_ACCEPTED = """(count) =>
    labels.views.correct.timeline.state.data.bouts.filter((one) => one.decision === "yes").length === count"""


def correct_bouts(page, session):
    row = first_row(session)
    name_annotator(page)
    page.locator("#behavior").select_option("following")
    go(page, "Correct")
    wait_until(page, "labels.views.correct.timeline.state.data !== null")

    def own(behavior="following"):
        return accepted(session, row, behavior)

    drag(page, lane_point(page, "correct", 200), lane_point(page, "correct", 300))
    wait_until(
        page, "labels.views.correct.timeline.state.data.bouts.filter((one) => one.decision === 'yes').length === 1"
    )
    waits_for(page, lambda: len(own()), 1)
    ((start, stop),) = own()
    assert abs(start - 200) <= 1 and abs(stop - 300) <= 1

    drag(page, lane_point(page, "correct", stop), lane_point(page, "correct", stop + 60))
    waits_for(page, lambda: abs(own()[0][1] - stop - 60) <= 1, True)
    stop = own()[0][1]
    page.evaluate("labels.views.correct.player.seek(250)")
    wait_until(page, "labels.views.correct.timeline.state.frame === 250")
    page.keyboard.press("s")
    waits_for(page, own, [(start, 250), (251, stop)])
    wait_until(
        page, "labels.views.correct.timeline.state.data.bouts.filter((one) => one.decision === 'yes').length === 2"
    )
    page.keyboard.press(",")
    page.keyboard.press("m")
    waits_for(page, own, [(start, stop)])
    wait_until(
        page, "labels.views.correct.timeline.state.data.bouts.filter((one) => one.decision === 'yes').length === 1"
    )
    page.evaluate("labels.views.correct.player.seek(220)")
    wait_until(page, "labels.views.correct.timeline.state.frame === 220")
    page.keyboard.press("[")
    waits_for(page, own, [(220, stop)])
    page.keyboard.press("z")
    waits_for(page, own, [(start, stop)])
    wait_until(page, "(start) => labels.views.correct.timeline.state.selected?.start === start", start)
    page.locator("select[aria-label='Relabel to']").select_option("biting")
    waits_for(page, own, [])
    assert own("biting") == [(start, stop)]
    page.keyboard.press("z")
    waits_for(page, lambda: own("biting"), [])
    waits_for(page, own, [(start, stop)])
    page.mouse.click(*lane_point(page, "correct", 260))
    page.keyboard.press("Delete")
    waits_for(page, own, [])
    for _ in range(2):
        page.keyboard.press("z")
    page.keyboard.press("Shift+Z")
    has_counts(page, 0, 0, 0)


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
        reply = {"frames": 1500, "fps": 30.0, "probability": [0.2] * 100, "bouts": shown, "answers": []}
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
