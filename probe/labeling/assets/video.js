// Playing a video: the video leads. The player draws its pictures itself, each with the skeleton of the same frame:
// the video on the page may be a frame ahead of what its callbacks say.

import { address, getBytes } from "./connection.js";
import { makePictures } from "./pictures.js";
import { following } from "./ticker.js";

const LANDED_MS = 500;
const SCREEN_MS = 17; // A screen's picture.
const LONGEST_WAIT_MS = 1000; // Rather a picture beside its skeleton by a frame than none.

/** The frame whose time is nearest to `seconds`. */
function frameAt(times, seconds) {
  const after = d3.bisectLeft(times, seconds);
  if (after <= 0) return 0;
  if (after >= times.length) return times.length - 1;
  return seconds - times[after - 1] <= times[after] - seconds ? after - 1 : after;
}

/** The frame that is shown at `seconds`. */
const frameDuring = (times, seconds) => Math.max(0, d3.bisectRight(times, seconds) - 1);

/** The middle of the interval in which a frame is shown: a place that no rounding moves to a neighbor. */
function middleOf(times, frame) {
  if (frame + 1 < times.length) return (times[frame] + times[frame + 1]) / 2;
  return times[frame] + (frame > 0 ? (times[frame] - times[frame - 1]) / 2 : 0);
}

/** An engine as that of ticker.js, for a <video> element. `picture()` is what it shows, and the frame of that; `on.broken()` where the browser cannot
 * play the file. */
export function makeVideoEngine(video, on) {
  const pictures = makePictures(video);
  const state = { frame: -1, wanted: 0, aimed: false, moved: false, playing: false, range: { low: 0, high: 1, loop: null } };
  let [times, recording, opening, taken, landing] = [null, null, null, 0, null];

  function open(id) {
    if (recording === id) return opening;
    [recording, times, state.frame] = [id, null, -1];
    pictures.forget();
    video.src = address("/api/video", { recording: id });
    opening = getBytes("/api/frame-times", { recording: id }).then((bytes) => {
      if (recording === id) times = new Float64Array(bytes);
    });
    opening.then(() => recording === id && aim(), () => recording === id && on.broken());
    return opening;
  }

  video.addEventListener("error", () => recording && on.broken());
  video.addEventListener("loadedmetadata", () => aim());
  video.addEventListener("seeked", () => (state.moved || (!state.playing && Math.abs(video.currentTime - target()) > 1e-4) ? aim() : settle()));
  watch();

  function watch() {
    if (!video.requestVideoFrameCallback) return video.addEventListener("play", poll);
    return video.requestVideoFrameCallback((now, shown) => {
      if (times && !isLate(shown)) present(times[frameAt(times, shown.mediaTime)]);
      watch();
    });
  }

  /** Where the browser does not tell of frames. */
  function poll() {
    if (times) present(times[frameDuring(times, video.currentTime)]);
    if (!video.paused) requestAnimationFrame(poll);
  }

  /** Whether the video may be at a later frame by now: then a copy would be of the wrong one. */
  function isLate({ mediaTime, expectedDisplayTime }) {
    const now = performance.now();
    if (pictures.knowsTime || video.paused || now - taken > LONGEST_WAIT_MS) return false;
    const frame = frameAt(times, mediaTime);
    const shownFor = (1000 * (times[Math.min(frame + 1, times.length - 1)] - times[frame])) / video.playbackRate;
    return now > expectedDisplayTime + Math.max(0, shownFor - 2 * SCREEN_MS);
  }

  /** The wanted frame is there. A browser that showed it before does not tell of it again. */
  function settle() {
    if (state.playing || !times) return;
    if (state.frame === state.wanted) return tell();
    if (pictures.knowsTime) present(video.currentTime);
    clearTimeout(landing);
    landing = setTimeout(() => {
      if (!state.aimed || state.playing || video.seeking) return;
      state.aimed = false;
      present(times[state.wanted]);
    }, LANDED_MS);
  }

  function target() {
    const middle = times ? middleOf(times, state.wanted) : 0;
    return Math.min(middle, Number.isFinite(video.duration) ? video.duration : middle);
  }

  function aim() {
    if (!times || video.readyState < HTMLMediaElement.HAVE_METADATA) return;
    state.moved = video.seeking; // Then it aims again when it has arrived.
    if (state.moved) return;
    state.wanted = Math.min(state.wanted, times.length - 1);
    state.aimed = true;
    clearTimeout(landing);
    video.currentTime = target();
  }

  /** Take the picture, which is of the time `seconds` where it does not know better, and tell of its frame. */
  function present(seconds) {
    const onTheWay = (frame) => state.aimed && frame !== state.wanted && (video.seeking || !state.playing);
    // On the way to another place, frames of the old one still come: late ones even after the arrival.
    if ((video.seeking || !pictures.knowsTime) && onTheWay(frameAt(times, seconds))) return;
    if (!pictures.take(seconds)) return;
    taken = performance.now();
    state.frame = picture().frame;
    if (onTheWay(state.frame)) return;
    if (!video.seeking) [state.aimed, state.wanted] = [false, state.frame];
    tell();
    if (state.playing && !video.seeking) keepInRange();
  }

  const tell = () => on.frame(state.frame);

  /** The picture taken last, and its frame; null where there is none yet. */
  function picture() {
    const held = times && pictures.latest();
    return held ? { image: held.image, frame: frameAt(times, held.seconds) } : null;
  }

  function keepInRange() {
    const next = following(state.frame, state.range);
    const { loop, high } = state.range;
    if (next !== null && next === state.frame + 1 && state.frame < high) return;
    if (next !== null && loop) return jump(loop.start);
    pause();
    on.ended();
  }

  function jump(frame) {
    state.wanted = frame;
    aim();
  }

  function seek(frame) {
    state.wanted = frame;
    if (frame === state.frame && !video.seeking) tell();
    else aim();
  }

  async function play() {
    state.playing = true;
    await opening;
    if (state.playing) await video.play().catch(() => {});
  }

  function pause() {
    if (!state.playing) return;
    state.playing = false;
    video.pause();
  }

  function close() {
    pause();
    recording = null;
    pictures.forget();
    video.removeAttribute("src");
    video.load();
  }

  return {
    state, open, seek, play, pause, close, picture,
    speed: (value) => (video.playbackRate = value),
    range: (range) => (state.range = range),
  };
}
