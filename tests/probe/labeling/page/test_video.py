"""The picture of a video and the skeleton over it: always of one frame, as read from the pixels of the stage."""

from urllib.parse import quote

import pytest

from tests.probe.labeling.page.film import BIT_SIZE, BITS, COLUMN, COLUMNS, FILM_SIZE, FILMED, LEFT, ROWS
from tests.probe.labeling.page.steps import wait_until

WITHOUT_VIDEO_FRAMES = "delete window.VideoFrame;"
"""As in a page that comes from another machine without encryption."""

READ = """([width, height, bits, bitSize, left, column, columns, rows]) => {
  const stage = document.querySelector(".view:not([hidden]) .stage canvas");
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  // The arena is in the middle of the stage, 14 pixels from its nearest edges.
  const shot = () => {
    const k = Math.min((stage.width - 28) / width, (stage.height - 28) / height);
    const [w, h] = [k * width, k * height];
    copy.clearRect(0, 0, width, height);
    copy.drawImage(stage, (stage.width - w) / 2, (stage.height - h) / 2, w, h, 0, 0, width, height);
    return copy.getImageData(0, 0, width, height).data;
  };
  const numberOfPicture = (data) => {
    let number = 0;
    const middle = (bit) => 4 * ((bitSize / 2) * width + (bit + 0.5) * bitSize);
    for (let bit = 0; bit < bits; bit++) number |= (data[middle(bit)] > 128) << bit;
    return number;
  };
  // The strong pixels around a place; trails are pale.
  const ink = (data, x, y) => {
    let count = 0;
    for (let i = -5; i <= 5; i++) for (let j = -5; j <= 5; j++) {
      const at = 4 * ((y + j) * width + x + i);
      count += data[at + 3] > 200 && Math.min(data[at], data[at + 1], data[at + 2]) < 80;
    }
    return count;
  };
  const columnOf = (data, y) => {
    const inks = Array.from({ length: columns }, (_, i) => ink(data, left + column * i, y));
    return inks.filter(Boolean).length === 1 ? inks.findIndex(Boolean) : -1000;
  };
  window.look = () => {
    const data = shot();
    return { picture: numberOfPicture(data), skeleton: columnOf(data, rows[0]) + columns * columnOf(data, rows[1]) };
  };
  window.watch = (times) => new Promise((done) => {
    const seen = [];
    const next = () => (seen.push(look()), seen.length < times ? requestAnimationFrame(next) : done(seen));
    requestAnimationFrame(next);
  });
}"""
PLAYER = "labels.views.correct.player"
SEEK_OFTEN = f"""() => {{
  const timer = setInterval(() => {PLAYER}.seek(Math.floor(Math.random() * 239)), 37);
  return watch(60).then((seen) => (clearInterval(timer), seen));
}}"""


@pytest.fixture
def stage(data, shared, visit):
    """A tab that shows the filmed recording in the Correct view, and can read its stage."""
    if data["videos"] is None:
        pytest.skip("PyAV is not installed")
    address, _, session = shared
    recording = next(one for one in session.project()["recordings"] if one["id"] == FILMED)
    assert recording["video"], session.project()["notices"]

    def open_tab(script=""):
        visitor = visit(address)
        visitor.context.add_init_script(script)
        page = visitor.tab(f"#correct?row={quote(recording['rows'][0]['id'])}")
        wait_until(page, f"labels.views.correct?.player.clip()?.recording.id === {FILMED!r}")
        page.locator(".correct select[aria-label=View]").select_option("arena")
        assert page.evaluate(f"{PLAYER}.engine()") == "video"
        page.evaluate(READ, [*FILM_SIZE, BITS, BIT_SIZE, LEFT, COLUMN, COLUMNS, ROWS])
        return page

    return open_tab


def has_frame(page, frame):
    wait_until(
        page,
        "(frame) => { const { picture, skeleton } = look(); return picture === frame && skeleton === frame }",
        frame,
    )


def in_step(seen):
    """Frames that were seen; of picture and skeleton alike."""
    apart = [one for one in seen if one["picture"] != one["skeleton"]]
    assert not apart, f"{len(apart)} of {len(seen)}: {apart}"
    return {one["picture"] for one in seen}


@pytest.mark.parametrize("script", ["", WITHOUT_VIDEO_FRAMES], ids=["pictures", "copies"])
def test_a_video_is_in_step_with_the_skeleton_to_the_frame(stage, script):
    page = stage(script)
    frame = 0
    for key, step in [("ArrowRight", 1), ("Shift+ArrowRight", 10), ("ArrowLeft", -1), ("ArrowRight", 1)] * 3:
        page.keyboard.press(key)
        frame += step
        has_frame(page, frame)
    in_step(page.evaluate(SEEK_OFTEN))
    page.evaluate(f"{PLAYER}.seek(10)")
    has_frame(page, 10)
    page.locator(".correct select[aria-label=Speed]").select_option("0.5" if script else "2")
    page.keyboard.press("Space")
    seen = page.evaluate("watch(90)")
    page.keyboard.press("Space")
    assert len({one["picture"] for one in seen}) > 15
    # A busy browser may copy a picture that is newer than its time, as long as the video plays.
    in_step(seen if not script else [])
    # What the keys do is about the frame that is seen.
    last = page.evaluate("watch(20)")[-1]
    in_step([last])
    assert page.evaluate(f"{PLAYER}.frame()") == last["picture"]
    page.keyboard.press("ArrowRight")
    has_frame(page, last["picture"] + 1)


def test_a_late_picture_does_not_move_the_place_that_is_shown_next(stage):
    """Nor does it go wrong where nothing is shown next."""
    page = stage()
    has_frame(page, 0)
    script = """async ([player, at]) => {
      const load = labels.tracks.load;
      labels.tracks.load = (...piece) => load(...piece).then(() => new Promise((next) => setTimeout(next, 200)));
      player.seek(20);
      const { recording, row } = player.clip();
      await player.show({ recording: recording.id, row, first: 100, last: 200, at, autoplay: false });
      labels.tracks.load = load;
    }"""
    page.evaluate(f"(at) => ({script})([{PLAYER}, at])", 150)
    has_frame(page, 150)
    assert page.evaluate(f"{PLAYER}.frame()") == 150
    page.evaluate(f"() => ({PLAYER}.seek(120), {PLAYER}.clear())")
    page.wait_for_timeout(300)
