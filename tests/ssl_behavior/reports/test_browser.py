"""The page in a real browser: clicks and keys, and their visible effects. Skipped without a browser."""

import time
from dataclasses import replace

import numpy as np
import pytest

from ssl_behavior.reports import (
    AnimalProfiles,
    Ethogram,
    ExampleBout,
    Neighbor,
    ProfileTest,
    Report,
    ReportRecording,
    write_report,
)
from ssl_behavior.skeleton import SKELETONS, Skeleton, with_individuals

from .conftest import EVIL, S1
from .test_units import report_of

_PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def window(browser):
    """One window for all tests: another for each would take as long as the tests."""
    window = browser.new_page()
    window.set_default_timeout(_PATIENCE_MS)
    yield window
    window.close()


@pytest.fixture
def show(window):
    """Open a file; in the end nothing may have been asked of the network, or gone wrong."""
    opened, requests, complaints = [], [], []

    def remember(message):
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    listeners = {
        "request": lambda request: requests.append(request.url),
        "console": remember,
        "pageerror": lambda error: complaints.append(str(error)),
    }
    for event, listener in listeners.items():
        window.on(event, listener)

    def make(path, size=(1280, 720), fragment=""):
        window.goto("about:blank")
        window.set_viewport_size({"width": size[0], "height": size[1]})
        opened.append(path.as_uri())
        window.goto(path.as_uri() + fragment)
        window.wait_for_selector("html[data-ready]")
        return window

    yield make
    for event, listener in listeners.items():
        window.remove_listener(event, listener)
    assert not complaints
    assert [url.partition("#")[0] for url in requests if url != "about:blank"] == opened


@pytest.fixture
def page(show, page_file):
    return show(page_file)


def text(page, selector):
    return page.locator(selector).first.inner_text()


def selected_text(page):
    return text(page, "#selection .text")


def place_of(page, point):
    """Where a point of the map is in the window."""
    box = page.locator("#map .stage").bounding_box()
    x, y = page.evaluate(f"report.map.screen({point})")
    return box["x"] + x, box["y"] + y


def lonely_point(page):
    """A point that no other is near to, so that a click on it is a click on it alone."""
    places = np.array(page.evaluate("Array.from({length: report.data.points.count}, (_, i) => report.map.screen(i))"))
    size = page.evaluate(
        "[document.querySelector('#map .stage').clientWidth, document.querySelector('#map .stage').clientHeight]"
    )
    inside = ((places > 15) & (places < np.array(size) - 15)).all(axis=1)
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(len(places), 1e9))
    return int(np.where(inside, gaps.min(axis=1), -1).argmax())


def wait_until(page, expression):
    """The page itself may not evaluate text, so it is asked from outside."""
    last = time.monotonic() + _PATIENCE_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < last, f"never: {expression}"
        page.wait_for_timeout(20)


INK = (0x55, 0x55, 0x55)
ANIMALS = ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00))


def drawn(page, selector, colors=ANIMALS):
    """How many dots of a picture have the color of an animal, or one of others."""
    return page.evaluate(
        """([selector, colors]) => {
          const canvas = document.querySelector(selector);
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
          let dots = 0;
          for (let i = 0; i < data.length; i += 4)
            dots += data[i + 3] === 255 && colors.some((color) => color.every((value, c) => data[i + c] === value));
          return dots;
        }""",
        [selector, colors],
    )


def moment(page):
    return page.evaluate("report.store.state.moment")


def picture(page, selector):
    return page.evaluate(f"document.querySelector({selector!r}).toDataURL()")


def test_a_click_on_a_point_selects_it_everywhere(page, gathered):
    point = lonely_point(page)
    page.mouse.click(*place_of(page, point))
    frames, report = gathered.report.map, gathered.report
    recording, frame = int(frames.recording[point]), int(frames.frame[point])
    cluster = int(report.clusters.at(frames.recording[[point]], frames.frame[[point]])[0])
    assert moment(page)["recording"] == recording and moment(page)["start"] <= frame < moment(page)["stop"]
    assert f"Cluster {cluster}" in selected_text(page) and report.recordings[recording].id in selected_text(page)
    assert page.locator(".card.selected").get_attribute("data-cluster") == str(cluster)
    assert page.locator("#recording").input_value() == str(recording)
    assert page.locator(f"#transitions .node[data-cluster='{cluster}']").get_attribute("aria-pressed") == "true"
    assert page.locator("#player .panel").count() > 1
    assert f"frame={frame}" in page.url


def test_a_click_on_a_card_selects_its_cluster_and_plays_a_bout_of_it(page):
    page.locator(".card[data-cluster='2'] .choose").click()
    assert selected_text(page).startswith("Cluster 2 · ")
    assert page.locator(".card.selected").get_attribute("data-cluster") == "2"
    bout = page.evaluate("report.data.bouts[report.store.state.bout]")
    assert bout["value"] == 2 and moment(page)["start"] == bout["start"]
    assert page.evaluate("report.store.state.highlight.value") == 2
    assert page.locator("#map .key[aria-pressed='true']").inner_text() == "2"
    page.locator(".card[data-cluster='4'] .numbers").click()
    assert selected_text(page).startswith("Cluster 4 · ")


def test_click_selects_a_bout_or_its_neighbor(page):
    page.locator(".card[data-cluster='1'] .example").nth(1).click()
    first = page.locator("#player .panel.selected").get_attribute("data-bout")
    assert page.locator(f".example.selected[data-bout='{first}']").count() == 1
    neighbor = page.locator("#player .panel.neighbor").first
    wanted = neighbor.get_attribute("data-bout")
    neighbor.click()
    assert page.locator("#player .panel.selected").get_attribute("data-bout") == wanted != first
    bout = page.evaluate(f"report.data.bouts[{wanted}]")
    assert (moment(page)["recording"], moment(page)["start"]) == (bout["recording"], bout["start"])


def test_a_click_on_the_ethogram_selects_the_bout_there(page, gathered):
    page.locator("#recording").select_option(str(1))
    box = page.locator("#ethogram .stage").bounding_box()
    page.locator("#ethogram .stage").scroll_into_view_if_needed()
    box = page.locator("#ethogram .stage").bounding_box()
    width = box["width"] - 84 - 6
    page.mouse.click(box["x"] + 84 + 0.5 * width, box["y"] + 15)
    frame = moment(page)["frame"]
    assert moment(page)["recording"] == 1 and abs(frame - 307 / 2) < 3
    run = gathered.report.clusters.at(np.array([1]), np.array([frame]))[0]
    assert page.locator(".card.selected").get_attribute("data-cluster") == str(run)
    page.locator("#ethogram .overview").scroll_into_view_if_needed()
    strips = page.locator("#ethogram .overview canvas").bounding_box()
    page.mouse.click(strips["x"] + 90, strips["y"] + 2 * 15 + 6)
    assert moment(page)["recording"] == 2 and moment(page)["frame"] < 5
    assert page.locator("#recording").input_value() == "2"


def test_the_ethogram_is_ticked_as_clocks_are(show, tmp_path):
    long = Report(
        title="long", recordings=(ReportRecording(id="r", frames=15_000, fps=30.0),), skeleton=SKELETONS["calms21"],
        individuals=("a", "b"),
    )  # fmt: skip
    write_report(long, tmp_path / "long.html")
    page = show(tmp_path / "long.html", (1440, 900))
    ticks = page.locator("#ethogram .axis text").all_text_contents()
    assert ticks == [f"{minute}:00" for minute in range(9)]
    for _ in range(9):
        page.locator("#ethogram [data-act=in]").click()
        page.wait_for_timeout(300)
    ticks = page.locator("#ethogram .axis text").all_text_contents()
    first = int(ticks[0].removeprefix("4:"))
    assert 4 < len(ticks) < 14 and ticks == [f"4:{second:02}" for second in range(first, first + len(ticks))]


def test_worth_a_look_rows_select_their_bout(page, gathered):
    bout = gathered.report.discovery.bouts[0]
    page.locator("#discoveries button").nth(1).click()
    assert (moment(page)["recording"], moment(page)["start"], moment(page)["stop"]) == (
        gathered.report.numbers[bout.recording],
        bout.start,
        bout.stop,
    )
    page.locator("#discoveries button").nth(0).click()
    assert selected_text(page).startswith("Cluster 4")


def test_transitions_and_profiles_select_clusters(page):
    node = page.locator("#transitions .node[data-cluster='3'] circle")
    node.scroll_into_view_if_needed()
    node.click()
    assert selected_text(page).startswith("Cluster 3")
    assert "After cluster 3" in text(page, "#transitions .steps")
    tick = page.locator("#profile-0 [aria-label='y-axis tick label'] text", has_text="1").first
    tick.scroll_into_view_if_needed()
    tick.click()
    assert selected_text(page).startswith("Cluster 1")
    page.locator("#transitions .steps .bout").first.click()
    assert not selected_text(page).startswith("Cluster 1")


def test_the_player_plays_and_stops(page):
    page.locator(".card[data-cluster='2'] .choose").click()
    wait_until(page, "report.player.playing() && report.player.seconds() > 0.15")
    panel = "#player .panel canvas"
    before = picture(page, panel)
    page.wait_for_timeout(250)
    assert picture(page, panel) != before
    page.keyboard.press("Escape")
    page.locator(".card[data-cluster='2'] .choose").click()
    page.locator("[data-act=play]").click()
    assert not page.evaluate("report.player.playing()") and text(page, "[data-act=play]") == "Play"
    still, seconds = picture(page, panel), page.evaluate("report.player.seconds()")
    page.wait_for_timeout(200)
    assert picture(page, panel) == still and page.evaluate("report.player.seconds()") == seconds


def test_the_space_bar_and_the_arrows_drive_the_player(page):
    page.locator(".card[data-cluster='2'] .choose").click()
    page.locator("#player .panel").first.focus()
    page.keyboard.press("Space")
    assert not page.evaluate("report.player.playing()")
    page.locator("#time").fill("0.5")
    page.locator("#player .panel").first.focus()
    start = page.evaluate("report.player.seconds()")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("report.player.seconds()") == pytest.approx(start + 2 / 30, abs=0.002)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("report.player.seconds()") == pytest.approx(start + 1 / 30, abs=0.002)
    page.keyboard.press("Space")
    wait_until(page, f"report.player.playing() && report.player.seconds() > {start + 0.1}")


def test_without_a_loop_the_player_stops_at_the_end(page):
    page.locator(".card[data-cluster='2'] .choose").click()
    page.locator("#loop").uncheck()
    page.locator("#speed").select_option("2")
    wait_until(page, "!report.player.playing()")
    longest = float(page.locator("#time").get_attribute("max"))
    assert page.evaluate("report.player.seconds()") == pytest.approx(longest)
    page.locator("[data-act=play]").click()
    wait_until(page, "report.player.seconds() < 1")


def test_the_views_differ(page):
    page.locator(".card[data-cluster='2'] .choose").click()
    page.locator("[data-act=play]").click()
    page.locator("#time").fill("0.7")
    pictures = []
    for view in ("0", "1", "arena"):
        page.locator("#view").select_option(view)
        pictures.append(picture(page, "#player .panel canvas"))
        assert drawn(page, "#player .panel canvas") > 50
    assert len(set(pictures)) == 3


def test_filters_leave_out_what_is_not_ticked(page, gathered):
    frames, report = gathered.report.map, gathered.report
    page.locator("#filters summary").click()
    page.locator("#filters [data-kind=recordings] input").nth(1).uncheck()
    kept = frames.recording != 1
    assert page.evaluate("report.counts.visible") == kept.sum()
    assert f"{kept.sum()} of 619 frames" in text(page, "#map .count") and "1 left out" in text(page, "#filters .state")
    hidden = int(np.flatnonzero(~kept)[0])
    assert not page.evaluate(f"report.map.visible({hidden})")
    group = page.locator("#filters fieldset[data-ethogram='0']")
    group.locator("input[value='3']").uncheck()
    kept &= report.clusters.at(frames.recording, frames.frame) != 3
    assert page.evaluate("report.counts.visible") == kept.sum()
    assert page.locator(".card[data-cluster='3']").is_hidden() and page.locator(".card[data-cluster='2']").is_visible()
    label = page.locator("#filters fieldset[data-ethogram='1']")
    label.locator("[data-act=none]").click()
    assert page.evaluate("report.counts.visible") == 0
    label.locator("input[value='2']").check()
    kept &= report.labels[0].at(frames.recording, frames.frame) == 2
    assert page.evaluate("report.counts.visible") == kept.sum() > 0
    for act in page.locator("#filters [data-act=all]").all():
        act.click()
    assert page.evaluate("report.counts.visible") == 619 and page.locator(".card[data-cluster='3']").is_visible()


def test_hidden_points_cannot_be_clicked(page):
    point = lonely_point(page)
    recording = page.evaluate(f"report.data.points.recording[{point}]")
    page.locator("#filters summary").click()
    page.locator("#filters [data-kind=recordings] input").nth(recording).uncheck()
    page.locator("#filters summary").click()
    page.mouse.click(*place_of(page, point))
    assert (moment(page) or {}).get("recording") != recording


def test_the_map_can_be_colored_moved_and_zoomed(page):
    pictures = [picture(page, "#map canvas.points")]
    for color in ("recording", "c0", "e1"):
        page.locator("#color").select_option(color)
        page.wait_for_timeout(60)
        pictures.append(picture(page, "#map canvas.points"))
    assert len(set(pictures)) == 4
    before = page.evaluate("report.map.screen(0)")
    box = page.locator("#map .stage").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 340, box["y"] + 170, steps=4)
    page.mouse.up()
    after = page.evaluate("report.map.screen(0)")
    assert np.subtract(after, before) == pytest.approx([40, -30], abs=1) and moment(page) is None
    page.mouse.wheel(0, -300)
    wait_until(page, f"Math.abs(report.map.screen(0)[0] - {after[0]}) > 2")
    page.locator("#map [data-act=whole]").click()
    wait_until(page, f"Math.abs(report.map.screen(0)[0] - {before[0]}) < 1")


def test_tooltip_describes_a_point(page, gathered):
    point = lonely_point(page)
    page.mouse.move(*place_of(page, point))
    tip = page.locator("#tooltip")
    tip.wait_for(state="visible")
    frames = gathered.report.map
    assert gathered.report.recordings[frames.recording[point]].id in tip.inner_text() and "Cluster" in tip.inner_text()
    assert tip.locator("canvas.pose").count() == 1
    page.mouse.move(5, 5)
    tip.wait_for(state="hidden")


def test_everything_can_be_done_with_the_keyboard(page):
    order = []
    for _ in range(45):
        page.keyboard.press("Tab")
        order.append(page.evaluate("(e => e.id || e.dataset.act || e.className || e.tagName)(document.activeElement)"))
    wanted = ["SUMMARY", "color", "stage", "play", "time", "view", "speed", "loop", "panel neighbor", "recording"]
    places = [next(i for i, name in enumerate(order) if name.startswith(one)) for one in wanted]
    assert places == sorted(places)
    page.locator("#map .stage").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    first = moment(page)
    assert first is not None and page.locator(".card.selected").count() == 1
    page.locator("#ethogram .stage").focus()
    page.keyboard.press("ArrowRight")
    second = moment(page)
    assert second["recording"] == first["recording"] and second["start"] == first["stop"]
    page.keyboard.press("ArrowLeft")
    assert moment(page)["start"] == first["start"]
    page.locator("#transitions .node[data-cluster='0']").focus()
    page.keyboard.press("Enter")
    assert selected_text(page).startswith("Cluster 0")
    page.keyboard.press("Escape")
    assert moment(page) is None and selected_text(page) == "Nothing is selected"


def test_pressed_control_keeps_the_focus_after_redrawing(page):
    def focus():
        return page.evaluate("[document.activeElement.className, document.activeElement.textContent]")

    page.locator(".card[data-cluster='2'] .choose").click()
    neighbor = page.locator("#player .panel.neighbor").nth(1)
    wanted = neighbor.get_attribute("data-bout")
    neighbor.press("Enter")
    assert focus()[0].startswith("panel selected")
    assert page.evaluate("document.activeElement.dataset.bout") == wanted
    page.locator("#map .legend .key").nth(3).press("Enter")
    assert focus() == ["key", "3"] and selected_text(page).startswith("Cluster 3")
    page.locator("#transitions .steps .bout").nth(1).press("Enter")
    assert focus()[0] == "bout"
    tick = page.locator("#profile-0 [aria-label='y-axis tick label'] text").nth(1)
    shown_text = tick.text_content()
    tick.press("Enter")
    assert focus()[1] == shown_text and selected_text(page).startswith(f"Cluster {shown_text}")


def test_a_panel_says_what_its_bout_is(page, gathered):
    page.locator(".card[data-cluster='2'] .choose").click()
    bout = page.evaluate("report.data.bouts[report.store.state.bout]")
    at = np.array([bout["recording"]]), np.array([(bout["start"] + bout["stop"]) // 2])
    label = S1[int(gathered.report.labels[0].at(*at)[0])]
    found = page.locator("#player .panel").first.get_attribute("aria-label")
    assert "selected, Cluster 2, " in found and f"S1: {label}" in found


def test_panel_notes_unseen_animals_and_truncated_tracks(show, tmp_path):
    track = np.full((30, 2, 7, 2), np.nan)
    bouts = (
        ExampleBout(recording="r", start=1, stop=25, ethogram="", value=-1, first=0, track=track),
        ExampleBout(recording="r", start=30, stop=150, ethogram="", value=-1, first=75, track=track + 1),
    )
    report = Report(
        title="unseen", recordings=(ReportRecording(id="r", frames=200, fps=10.0),), skeleton=SKELETONS["calms21"],
        individuals=("a", "b"), bouts=bouts,
    )  # fmt: skip
    write_report(report, tmp_path / "unseen.html")
    page = show(tmp_path / "unseen.html", fragment="#recording=r&frames=1-25&bout=0")
    assert drawn(page, "#player .panel canvas", [INK]) > 5 and "middle" not in text(page, "#player .caption")
    page = show(tmp_path / "unseen.html", fragment="#recording=r&frames=30-150&bout=1")
    assert "Of its 12 s the page has the middle: 0:07.5 to 0:10.5." in text(page, "#player .caption")


def test_the_page_opens_with_a_bout_of_animals_that_were_seen(page, gathered):
    shares = {
        number: np.isfinite(bout.track).mean()
        for number, bout in enumerate(gathered.report.bouts)
        if bout.neighbors and not bout.among_examples
    }
    opened = page.evaluate("report.store.state.bout")
    assert shares[opened] == max(shares.values()) > min(shares.values())


def test_a_long_name_leaves_room_for_the_time_and_the_distance(show, tmp_path):
    track, name = np.ones((60, 2, 7, 2)) * np.arange(60)[:, None, None, None], "a very long name " * 5
    bout, near = (
        ExampleBout(recording=name, start=own, stop=own + 20, ethogram="", value=-1, first=own, track=track[:20])
        for own in (5, 30)
    )
    bouts = (replace(bout, neighbors=(Neighbor(bout=1, distance=1.25),)), near)
    report = Report(
        title="long name", recordings=(ReportRecording(id=name, frames=60, fps=10.0),),
        skeleton=SKELETONS["calms21"], individuals=("a", "b"), bouts=bouts,
    )  # fmt: skip
    write_report(report, tmp_path / "long.html")
    page = show(tmp_path / "long.html", (1024, 768))
    line = page.locator("#player .panel.neighbor .line")
    assert ", 0:03.0" in line.inner_text() and "distance 1.25" in line.inner_text()
    room, time, found = (
        page.locator(f"#player .panel.neighbor {own}").bounding_box() for own in ("", ".place", ".relation")
    )
    assert time["y"] + time["height"] <= found["y"], "on a line of its own"
    assert max(one["x"] + one["width"] for one in (time, found)) <= room["x"] + room["width"]
    assert page.evaluate("(e => e.scrollWidth <= e.clientWidth + 1)(document.querySelector('.panel.neighbor .place'))")


def test_selected_panel_and_selection_line_agree(page, gathered):
    labels, clusters = gathered.report.labels[0], gathered.report.clusters
    recording, frame, value = next(
        (gathered.report.numbers[bout.recording], frame, own[frame])
        for bout in gathered.report.bouts
        for own in [labels.frames[gathered.report.numbers[bout.recording]]]
        for frame in range(bout.start, bout.stop)
        if bout.ethogram == clusters.name and not bout.among_examples
        and own[frame] != own[(bout.start + bout.stop) // 2]
    )  # fmt: skip
    page.evaluate(f"report.store.selectFrame({recording}, {frame})")
    label = S1[value]
    assert page.locator("#player .panel.selected").count() == 1 and f"S1: {label}" in selected_text(page)
    assert f"S1: {label}" in page.locator("#player .panel.selected").get_attribute("aria-label")


def test_profile_of_three_groups_names_the_differing_ones(show, tmp_path):
    groups = ("saline solution", "oxytocin <high>", "a third group")
    tests = tuple(
        ProfileTest(cluster=0, effect=-0.5, p=0.01, q=q, between=(groups[pair], groups[pair + 1]))
        for pair, q in enumerate((0.011, 0.3))
    )
    profile = AnimalProfiles(
        name="dose", animals=tuple("abcdef"), groups=groups * 2, shares=np.linspace(0, 1, 6)[:, None], tests=tests
    )
    clusters = Ethogram(name="clusters", words=("0",), frames=[np.zeros(9, int)])
    report = Report(
        title="groups", recordings=(ReportRecording(id="r", frames=9, fps=3.0),), skeleton=SKELETONS["calms21"],
        individuals=("a", "b"), clusters=clusters, profiles=(profile,),
    )  # fmt: skip
    write_report(report, tmp_path / "groups.html")
    page = show(tmp_path / "groups.html")
    found = page.get_by_text("oxytocin <high> less saline solution: −0.50, q 0.011")
    dots = page.locator("#profile-0 [aria-label=dot] path, #profile-0 [aria-label=dot] circle")
    rights = [box["x"] + box["width"] for box in (dot.bounding_box() for dot in dots.all())]
    assert len(rights) == 6 and found.bounding_box()["x"] > max(rights)


def test_focused_control_is_visible(page):
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    style = page.evaluate(
        "(s => [s.outlineStyle, parseFloat(s.outlineWidth)])(getComputedStyle(document.activeElement))"
    )
    assert style[0] == "solid" and style[1] >= 2


def test_the_address_keeps_the_selection(page, show, page_file):
    page.locator("#color").select_option("c1")
    page.locator(".card[data-cluster='1'] .example").nth(2).click()
    fragment, shown_text = "#" + page.url.partition("#")[2], selected_text(page)
    bout = page.locator("#player .panel.selected").get_attribute("data-bout")
    show(page_file, fragment=fragment)
    assert selected_text(page) == shown_text and page.locator("#color").input_value() == "c1"
    assert page.locator("#player .panel.selected").get_attribute("data-bout") == bout
    show(page_file, fragment="#recording=nobody&frames=9-2&bout=99999&shown=x:y&color=zzz")
    assert selected_text(page) == "Nothing is selected"


def test_a_link_to_a_part_of_the_page_keeps_the_selection(page):
    page.locator(".card[data-cluster='1'] .example").nth(1).click()
    shown_text, bout, address = selected_text(page), page.evaluate("report.store.state.bout"), page.url
    page.locator("nav a[href='#scores']").click()
    wait_until(page, "document.querySelector('#scores').getBoundingClientRect().top < innerHeight")
    wait_until(page, "location.hash !== '#scores'")
    assert (
        selected_text(page) == shown_text and page.evaluate("report.store.state.bout") == bout and page.url == address
    )


def test_a_time_just_before_a_minute_is_rounded_to_the_minute(show, tmp_path):
    minutes = Report(
        title="minutes", recordings=(ReportRecording(id="r", frames=120_000, fps=30.0),),
        skeleton=SKELETONS["calms21"], individuals=("a", "b"),
    )  # fmt: skip
    write_report(minutes, tmp_path / "minutes.html")
    page = show(tmp_path / "minutes.html", fragment="#recording=r&frames=1799-107999")
    assert "1:00.0 to 1:00:00.0" in selected_text(page)


def test_names_with_html_in_them_are_shown_and_not_run(page):
    page.locator("#filters summary").click()
    assert EVIL in text(page, "#filters [data-kind=recordings]")
    assert S1[1] in text(page, "#filters fieldset[data-ethogram='1']")
    page.locator("#recording").select_option("1")
    box = page.locator("#ethogram .stage").bounding_box()
    page.locator("#ethogram .stage").click(position={"x": box["width"] / 2, "y": 15})
    assert EVIL in selected_text(page) and "Sentence of <u>1</u>" in text(page, ".card[data-cluster='1']")
    assert "drug<i>" in text(page, "#profiles") and "trained <encoder>" in text(page, "#scores")
    for point in range(0, 619, 60):
        page.mouse.move(*place_of(page, point))
    page.locator("#color").select_option("e1")
    page.wait_for_timeout(100)
    assert (
        page.evaluate("window.hacked") is None
        and page.locator("img").count() == 0
        and page.locator("main u").count() == 0
    )


def test_injected_code_cannot_run_or_load(browser, page_file):
    """The page's policy, apart from its escaping: a second lock."""
    page = browser.new_page()
    page.goto(page_file.as_uri())
    page.evaluate(f"document.body.insertAdjacentHTML('beforeend', {EVIL!r} + '<b onclick=window.hacked=1>x</b>')")
    page.evaluate("document.querySelector('b').click()")
    reached = page.evaluate("fetch('https://localhost/x').then(() => 'out', () => 'blocked')")
    assert reached == "blocked" and page.evaluate("window.hacked") is None
    page.close()


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (400, 800)])
def test_nothing_sticks_out_at_any_size(show, page_file, size):
    page = show(page_file, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    outside = page.evaluate(
        "[...document.querySelectorAll('section > *, .card, .panel, .card *, .panel > *')].filter((e) => "
        "e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"
    )
    assert not outside


def test_the_words_of_a_bout_are_not_cut_off(show, page_file):
    page = show(page_file)
    page.locator(".card[data-cluster='2'] .choose").click()
    cut = page.evaluate(
        "[...document.querySelectorAll('.panel .words')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
    )
    assert cut == 0 and page.locator(".panel .words").count() > 1


def test_print_style_keeps_notes_and_hides_controls(page):
    page.emulate_media(media="print")
    try:
        assert page.get_by_text("Few animals.").is_visible() and page.get_by_text("Every dot is a frame").is_visible()
        assert page.get_by_text("Hedges' g: drug<i> less control").is_visible()
        assert not page.get_by_text("the wheel zooms").first.is_visible()
    finally:
        page.emulate_media(media="screen")


def test_minimal_report_is_a_working_page(show, gather, tmp_path):
    write_report(
        gather(clusters=False, description=False, probe=False, programs=(), bouts=5).report, tmp_path / "a.html"
    )
    page = show(tmp_path / "a.html")
    page.mouse.click(*place_of(page, lonely_point(page)))
    assert moment(page) is not None and page.locator("#clusters").count() == 0
    bare = Report(
        title="bare", recordings=(ReportRecording(id="r", frames=9, fps=3.0),), skeleton=SKELETONS["calms21"],
        individuals=("a", "b"),
    )  # fmt: skip
    write_report(bare, tmp_path / "b.html")
    page = show(tmp_path / "b.html")
    assert "bare" in text(page, "h1") and page.locator("#map").count() == 0


TINTS = ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73))


@pytest.fixture(scope="module")
def group_pages(group, tmp_path_factory):
    """Unit -> page of three mice; the third is absent from cage2."""
    folder = tmp_path_factory.mktemp("pages")
    for unit in ("scene", "animal", "pair"):
        write_report(report_of(group, unit, bouts=60).report, folder / f"{unit}.html")
    return {unit: folder / f"{unit}.html" for unit in ("scene", "animal", "pair")}


def play_bout(page, where):
    """Select an example bout whose row fits a JavaScript condition on `row`; returns the row."""
    row_of = "const row = report.data.recordings[bout.recording]"
    found = page.evaluate(f"report.data.bouts.findIndex((bout) => {{ {row_of}; return {where}; }})")
    assert found >= 0
    page.evaluate(f"report.store.selectBout({found})")
    page.locator("#view").select_option("arena")
    if text(page, "[data-act=play]") == "Pause":
        page.locator("[data-act=play]").click()
    return page.evaluate(f"report.data.recordings[report.data.bouts[{found}].recording]")


def seen(page):
    """Which of the three animals are drawn in full color in the first panel."""
    return [drawn(page, "#player .panel canvas", [tint]) > 30 for tint in TINTS]


def test_the_player_draws_every_animal_that_is_there(show, group_pages):
    page = show(group_pages["scene"])
    play_bout(page, "row.recording === 'cage1'")
    assert seen(page) == [True, True, True]
    play_bout(page, "row.recording === 'cage2'")
    assert seen(page) == [True, True, False]
    legend = page.locator("#player .animals .animal").all_inner_texts()
    assert legend == ["m1", "m2", "m3"]


def test_in_pairs_the_agent_and_the_target_stand_out(show, group_pages):
    page = show(group_pages["pair"])
    row = play_bout(page, "row.recording === 'cage1' && row.agent === 'm3' && row.target === 'm1'")
    assert seen(page) == [True, False, True]
    panel = page.locator("#player .panel").first
    assert panel.locator(".who .animal").all_inner_texts() == ["m3", "m1"]
    assert "a2" in panel.locator(".who .animal").first.get_attribute("class")
    assert f"Bout {row['title']}, " in panel.get_attribute("aria-label") and row["title"] == "cage1, m3 → m1"
    page.locator("#view").select_option("agent")
    assert seen(page) == [True, False, True]


def test_of_animals_the_others_are_faded(show, group_pages):
    page = show(group_pages["animal"])
    play_bout(page, "row.recording === 'cage3' && row.agent === 'm2'")
    assert seen(page) == [False, True, False]
    assert page.locator("#target").count() == 0 and text(page, "#view option[value=agent]") == "follow the animal"


def test_a_chosen_pair_is_alone_on_map_examples_and_ethogram(show, group_pages):
    page = show(group_pages["pair"])
    assert page.evaluate("report.counts.visible") == 6 * (211 + 157) + 2 * 101
    lanes = page.evaluate("report.ethogram.lanes()")
    rows = [lane["row"] for lane in lanes if not lane["title"] and not lane["shared"]]
    assert rows == [0, 1, 2, 3, 4, 5] and [lane["ethogram"] for lane in lanes if lane["shared"]] == ["S1"]
    page.locator("#agent").select_option("m2")
    assert page.evaluate("report.counts.visible") == 2 * (211 + 157) + 101
    page.locator("#target").select_option("m3")
    assert page.evaluate("report.counts.visible") == 211 + 157
    assert "368 of 2,410 frames" in text(page, "#map .count") and "2 of 14 pairs" in text(page, ".animal-choice .rows")
    who = "report.data.recordings[report.data.bouts[e.dataset.bout].recording].actors"
    examples = page.evaluate(f"[...document.querySelectorAll('.example')].map((e) => {who})")
    assert examples and set(examples) == {"m2 → m3"}
    titles = [one.get_attribute("title") for one in page.locator(".example").all()]
    assert all(title.startswith(("cage1, m2 → m3, ", "cage3, m2 → m3, ")) and title.endswith(" s") for title in titles)
    lanes = page.evaluate("report.ethogram.lanes()")
    assert [lane["row"] for lane in lanes if not lane["title"] and not lane["shared"]] == [3]
    page.locator("[data-act=next]").first.click()
    assert page.locator("#recording option:checked").inner_text() == "cage3"
    page.locator("#target").select_option("")
    page.locator("#agent").select_option("")
    assert page.evaluate("report.counts.visible") == 2410 and text(page, ".animal-choice .rows") == ""


def test_a_moment_is_seen_from_the_chosen_animals_and_a_cluster_has_their_example(show, group_pages):
    page = show(group_pages["pair"])
    page.evaluate("report.store.selectFrame(0, 100)")
    page.locator("#agent").select_option("m3")
    assert "cage1, m3 → m1, " in selected_text(page) and moment(page)["frame"] == 100
    page.locator("#agent").select_option("")
    page.locator(".card[data-cluster='1'] .choose").click()
    page.locator("#target").select_option("m2")
    assert selected_text(page).startswith("Cluster 1 · ") and " → m2, " in selected_text(page)


def test_a_click_on_a_lane_selects_its_animals(show, group_pages):
    page = show(group_pages["pair"])
    lane = next(lane for lane in page.evaluate("report.ethogram.lanes()") if lane["row"] == 4)
    stage = page.locator("#ethogram .stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + lane["top"] + lane["high"] / 2)
    assert moment(page)["recording"] == 4 and "cage1, m3 → m1, " in selected_text(page)
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + lane["top"] - 20)
    assert text(page, "#ethogram .readout").startswith("m2 → m3 · 0:0")


def test_the_address_keeps_the_chosen_animals(show, group_pages):
    page = show(group_pages["pair"])
    page.locator("#agent").select_option("m2")
    page.locator("#target").select_option("m1")
    page.evaluate("report.store.selectFrame(2, 60)")
    page = show(group_pages["pair"], fragment="#" + page.evaluate("location.hash").removeprefix("#"))
    assert page.locator("#agent option:checked").inner_text() == "m2" and moment(page)["recording"] == 2
    assert page.evaluate("report.counts.visible") == 211 + 101 + 157


def test_the_map_can_be_colored_by_agent_and_target(show, group_pages):
    page = show(group_pages["pair"])
    page.locator("#color").select_option("agent")
    assert page.locator("#map .legend .key").all_inner_texts() == ["m1", "m2", "m3"]
    agents = picture(page, "#map canvas.points")
    page.locator("#color").select_option("target")
    assert picture(page, "#map canvas.points") != agents
    page.locator("#color").select_option("recording")
    assert page.locator("#map .legend .key").all_inner_texts() == ["cage1", "cage2", "cage3"]


@pytest.mark.parametrize("unit", ["scene", "animal", "pair"])
@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)])
def test_groups_fit_on_every_screen(show, group_pages, unit, size):
    page = show(group_pages[unit], size=size)
    page.locator(".card .choose").first.click()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


TINT_OF = "getComputedStyle(document.querySelectorAll('#player .animals .animal')[{}], '::before').borderTopColor"


@pytest.mark.parametrize("animals", [1, 3, 8])
@pytest.mark.parametrize("points", [1, 5])
def test_any_number_of_animals_and_points_is_played(show, tmp_path, animals, points):
    names, space = tuple(f"animal {n}" for n in range(animals)), np.arange(points)[:, None]
    bare = Skeleton(name="points", keypoints=tuple(f"k{n}" for n in range(points)))
    track = np.arange(60)[:, None, None, None] + 40 * np.arange(animals)[:, None, None] + 9 * space + np.zeros(2)
    bout = ExampleBout(recording="r", start=0, stop=40, ethogram="", value=-1, first=0, track=track)
    report = Report(
        title="any", recordings=(ReportRecording(id="r", frames=60, fps=30.0),),
        skeleton=with_individuals(bare, names, True), individuals=names, bouts=(bout,),
    )  # fmt: skip
    write_report(report, tmp_path / "any.html")
    page = show(tmp_path / "any.html", fragment="#recording=r&frames=0-40&bout=0", size=(1900, 900))
    page.locator("#time").fill("0.7")
    assert page.locator("#player .animals .animal").all_inner_texts() == list(names)
    page.locator("#view").select_option("arena")
    tints = [page.evaluate(TINT_OF.format(animal)) for animal in range(animals)]
    assert len(set(tints)) == animals
    for tint in tints:
        assert drawn(page, "#player .panel canvas", [[int(part) for part in tint[4:-1].split(",")]]) > 3, tint
    page.locator("#view").select_option("0")
    assert drawn(page, "#player .panel canvas") > 3
