"""What a person does in the page, and sees."""

import time

from tests.probe.labeling.page.visitor import DEFINITION, PATIENCE_MS


def wait_until(page, expression, argument=None):
    """The page itself may not evaluate text, so it is asked from outside."""
    last = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(expression, argument):
        assert time.monotonic() < last, f"never: {expression} {argument}; {page.locator('body').inner_text()[:600]}"
        page.wait_for_timeout(20)


def new_behavior(page, name, definition=DEFINITION):
    page.locator("#new-behavior").click()
    page.locator("dialog [name=name]").fill(name)
    page.locator("dialog [name=definition]").fill(definition)
    page.locator("dialog button.main").click()


def name_annotator(page, name="Ada"):
    page.locator("#annotator").fill(name)
    page.locator("#annotator").press("Enter")


def go(page, view):
    page.locator("#tabs a", has_text=view).click()
    page.wait_for_selector(f".view.{view.lower().split()[0]}:not([hidden])")


def has_counts(page, yes, no, unsure):
    """Wait for the counts in the head of the page, all of them acknowledged."""
    expected = [f"✓ {yes}", f"✕ {no}", f"? {unsure}"]
    script = """(expected) => {
        const shown = [...document.querySelectorAll("#counts .count")].map((one) => one.textContent);
        const same = expected.every((text, i) => (shown[i] || "").startsWith(text + " "));
        return same && document.querySelector("#saving").textContent === "✓ Saved";
    }"""
    wait_until(page, script, expected)


def lane_point(page, view, frame, share=0.5):
    """Where a frame is in the lane of bouts."""
    box = page.locator(f".{view} canvas.lane").bounding_box()
    script = f"labels.views.{view}.timeline.state.view"
    first, last = page.evaluate(script)
    return box["x"] + (frame - first) / (last - first) * box["width"], box["y"] + 76 + 40 * share


def drag(page, start, stop):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + stop[0]) / 2, start[1])
    page.mouse.move(*stop)
    page.mouse.up()


def accepted(session, row, behavior="following"):
    """Spans of a row that are "yes" according to the server."""
    line = session.timeline(behavior=behavior, row=row, bins=10, minimum_frames=1, minimum_probability=0.5)
    return [(bout["start"], bout["stop"]) for bout in line["bouts"] if bout["decision"] == "yes"]


def waits_for(page, get, expected):
    last = time.monotonic() + PATIENCE_MS / 1000
    while (value := get()) != expected:
        assert time.monotonic() < last, f"{value} instead of {expected}"
        page.wait_for_timeout(20)


def first_row(session):
    return session.project()["recordings"][0]["rows"][0]["id"]


def mark(page, start, stop):
    """Mark frames in the Search view with the mouse."""
    wait_until(page, "labels.views.search?.timeline.state.data !== null")
    drag(page, lane_point(page, "search", start), lane_point(page, "search", stop))
