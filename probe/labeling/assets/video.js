// Playing a video: the video leads, and reports each frame that it shows, so that the skeleton over it is of the same frame.
// A callback of the video may be late by a frame. `capture` therefore takes picture and time together; the player draws both.

import { address, getBytes } from "./connection.js";
import { following } from "./ticker.js";

/** The frame whose time is nearest to `seconds`. */
function frameAt(times, seconds) {
  const after = d3.bisectLeft(times, seconds);
  if (after <= 0) return 0;
  if (after >= times.length) return times.length - 1;
  return seconds - times[after - 1] <= times[after] - seconds ? after - 1 : after;
}

/** The middle of the interval in which a frame is shown: a place that no rounding moves to a neighbor. */
function middleOf(times, frame) {
  if (frame + 1 < times.length) return (times[frame] + times[frame + 1]) / 2;
  return times[frame] + (frame > 0 ? (times[frame] - times[frame - 1]) / 2 : 0);
}

/** An engine as that of ticker.js, for a <video> element; `on.broken()` where the browser cannot play the file. */
export function makeVideoEngine(video, on) {
  const state = { frame: -1, wanted: 0, playing: false, range: { low: 0, high: 1, loop: null } };
  let [times, recording, opening] = [null, null, null];

  function open(id) {
    if (recording === id) return opening;
    [recording, times, state.frame] = [id, null, -1];
    video.src = address("/api/video", { recording: id });
    opening = getBytes("/api/frame-times", { recording: id }).then((bytes) => {
      if (recording === id) times = new Float64Array(bytes);
    });
    opening.then(() => recording === id && aim(), () => recording === id && on.broken());
    return opening;
  }

  video.addEventListener("error", () => recording && on.broken());
  video.addEventListener("loadedmetadata", () => aim());
  video.addEventListener("seeked", () => (Math.abs(video.currentTime - target()) > 1e-4 && !state.playing ? aim() : presentedWithoutCallback()));
  watch();

  function watch() {
    if (!video.requestVideoFrameCallback) return video.addEventListener("timeupdate", () => presented(video.currentTime));
    return video.requestVideoFrameCallback((_, { mediaTime }) => {
      presented(mediaTime);
      watch();
    });
  }

  /** Seeking within the frame on the screen shows no new one, and tells none. */
  function presentedWithoutCallback() {
    if (!state.playing && state.wanted === state.frame) on.frame(state.frame);
  }

  function target() {
    const middle = times ? middleOf(times, Math.min(state.wanted, times.length - 1)) : 0;
    return Math.min(middle, Number.isFinite(video.duration) ? video.duration : middle);
  }

  function aim() {
    if (!times || video.readyState < HTMLMediaElement.HAVE_METADATA || video.seeking) return;
    video.currentTime = target();
  }

  function presented(seconds) {
    if (!times) return;
    state.frame = frameAt(times, seconds);
    // On the way to another place, a frame of the old one may still come.
    if (video.seeking && state.frame !== state.wanted) return;
    on.frame(state.frame);
    if (state.playing && !video.seeking) keepInRange();
  }

  /** The picture on the screen now, and its frame: they belong together whenever this is called. Null where the browser has no such pictures. */
  function capture() {
    if (!times || typeof VideoFrame === "undefined" || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
    try {
      const picture = new VideoFrame(video);
      return { picture, frame: frameAt(times, picture.timestamp / 1e6) };
    } catch {
      return null;
    }
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
    state.wanted = Math.max(0, state.frame);
  }

  function close() {
    pause();
    recording = null;
    video.removeAttribute("src");
    video.load();
  }

  return {
    state, open, seek, play, pause, close, capture,
    speed: (value) => (video.playbackRate = value),
    range: (range) => (state.range = range),
  };
}
