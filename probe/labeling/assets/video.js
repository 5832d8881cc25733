// Playing a video: the video leads. The player draws its pictures itself, each with the skeleton of the same frame:
// the video on the page may be a frame ahead of what its callbacks say.

import { address, getBytes } from "./connection.js";
import { makePictures } from "./pictures.js";
import { following } from "./ticker.js";

const SETTLED_MS = 100;

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
  const state = { frame: -1, wanted: 0, playing: false, range: { low: 0, high: 1, loop: null } };
  let [times, recording, opening] = [null, null, null];

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
  video.addEventListener("seeked", () => (Math.abs(video.currentTime - target()) > 1e-4 && !state.playing ? aim() : settle()));
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

  /** Whether the video may be at a later frame already. Pictures that know their time are of no wrong one. */
  function isLate({ mediaTime, expectedDisplayTime }) {
    if (pictures.knowsTime || video.paused) return false;
    return false;
  }

  /** The frame on the screen is the wanted one, and a browser that has shown it before does not tell of it again. */
  function settle() {
    if (state.playing || !times) return;
    const landed = () => !state.playing && !video.seeking && state.frame !== state.wanted && present(times[Math.min(state.wanted, times.length - 1)]);
    if (state.frame === state.wanted) on.frame(state.frame);
    else if (pictures.knowsTime) landed();
    else setTimeout(landed, SETTLED_MS);
  }

  function target() {
    const middle = times ? middleOf(times, Math.min(state.wanted, times.length - 1)) : 0;
    return Math.min(middle, Number.isFinite(video.duration) ? video.duration : middle);
  }

  function aim() {
    if (!times || video.readyState < HTMLMediaElement.HAVE_METADATA || video.seeking) return;
    video.currentTime = target();
  }

  /** Take the picture of a time, and show it. */
  function present(seconds) {
    // On the way to another place, a frame of the old one may still come.
    if (video.seeking && frameAt(times, seconds) !== state.wanted) return;
    if (!pictures.take(seconds)) return;
    state.frame = picture().frame;
    if (!state.playing || video.seeking) on.frame(state.frame);
    else if (state.frame < state.range.high) {
      on.frame(state.frame);
      keepInRange();
    } else keepInRange();
  }

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
    if (times) video.currentTime = target();
  }

  function seek(frame) {
    state.wanted = frame;
    if (frame === state.frame && !video.seeking) on.frame(frame);
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
    if (!video.seeking) state.wanted = Math.max(0, state.frame);
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
