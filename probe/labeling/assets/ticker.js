// Playing without a video: frames by the clock of the screen.

/** The frame after `frame`: the next one, the loop's first, or null at the end. Outside the loop, playing goes on. */
export function following(frame, { high, loop }) {
  if (loop && frame >= loop.start && frame < loop.stop && frame + 1 >= loop.stop) return loop.start;
  return frame + 1 < high ? frame + 1 : null;
}

/** An engine: `on.frame(frame)` at each frame to be drawn, `on.ended()` at the end, `on.ready(frame)` says whether one can be drawn. */
export function makeTicker(on) {
  const state = { frame: 0, playing: false, speed: 1, fps: 30, range: { low: 0, high: 1, loop: null } };
  let [since, rest] = [0, 0];

  function play() {
    state.playing = true;
    since = performance.now();
    rest = 0;
    requestAnimationFrame(tick);
  }

  function tick(now) {
    if (!state.playing) return;
    // A tab that was hidden does not leap.
    rest += (Math.min(250, Math.max(0, now - since)) / 1000) * state.fps * state.speed;
    since = now;
    let next = state.frame;
    for (; rest >= 1 && next !== null; rest--) next = following(next, state.range);
    if (next === null) pause(true);
    else if (next !== state.frame && on.ready(next)) seek(next);
    if (state.playing) requestAnimationFrame(tick);
  }

  function pause(ended = false) {
    state.playing = false;
    if (ended) on.ended();
  }

  function seek(frame) {
    state.frame = frame;
    on.frame(frame);
  }

  return {
    state, play, seek,
    pause: () => pause(),
    speed: (value) => (state.speed = value),
    range: (range, fps) => Object.assign(state, { range, fps }),
  };
}
