// The strip under a player: the frames shown, the bout in them with handles at its start and stop, and the playhead.

const NUDGES = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

/** A strip. `on.trim(start, stop)` hears of a moved handle, `on.seek(frame)` of a click or drag beside the handles. */
export function makeTrim(on) {
  const ui = makeStrip();
  const state = { first: 0, last: 1, start: 0, stop: 1, shown: [0, 1], fps: 30, frame: 0 };

  function show({ first, last, start, stop, shown = [start, stop], fps }) {
    Object.assign(state, { first, last, start, stop, shown, fps, frame: start });
    draw();
  }

  const share = (frame) => (frame - state.first) / (state.last - state.first);
  const place = (node, from, to = null) => {
    node.style.left = `${100 * share(from)}%`;
    if (to !== null) node.style.width = `${100 * (share(to) - share(from))}%`;
  };

  function draw() {
    const { start, stop, shown, fps, frame } = state;
    place(ui.bout, start, stop);
    place(ui.shown, ...shown);
    place(ui.start, start);
    place(ui.stop, stop);
    place(ui.head, Math.min(frame + 0.5, state.last));
    sayHandle(ui.start, start, state.first, stop - 1);
    sayHandle(ui.stop, stop, start + 1, state.last);
    ui.length.textContent = `${((stop - start) / fps).toFixed(2)} s`;
    const trimmed = start !== shown[0] || stop !== shown[1];
    ui.root.classList.toggle("trimmed", trimmed);
    ui.words.textContent = trimmed ? `trimmed from ${((shown[1] - shown[0]) / fps).toFixed(2)} s` : "";
  }

  function sayHandle(handle, value, low, high) {
    handle.setAttribute("aria-valuenow", value);
    handle.setAttribute("aria-valuemin", low);
    handle.setAttribute("aria-valuemax", high);
    handle.setAttribute("aria-valuetext", `${clock(value / state.fps, 2)}, frame ${value}`);
  }

  function setStart(frame) {
    state.start = Math.max(state.first, Math.min(frame, state.stop - 1));
    changed();
  }

  function setStop(frame) {
    state.stop = Math.min(state.last, Math.max(frame, state.start + 1));
    changed();
  }

  function changed() {
    draw();
    on.trim(state.start, state.stop);
  }

  function frameOfPointer(event) {
    const box = ui.track.getBoundingClientRect();
    return state.first + ((event.clientX - box.left) / box.width) * (state.last - state.first);
  }

  drags(ui.track, (event) => on.seek(Math.min(state.last - 1, Math.max(state.first, Math.floor(frameOfPointer(event))))));
  drags(ui.start, (event) => move(setStart, Math.round(frameOfPointer(event))));
  drags(ui.stop, (event) => move(setStop, Math.round(frameOfPointer(event)), -1));
  ui.start.addEventListener("keydown", (event) => nudge(event, state.start, setStart));
  ui.stop.addEventListener("keydown", (event) => nudge(event, state.stop, setStop, -1));

  /** Move a handle, and let the player show its frame: of a stop, the last frame of the bout. */
  function move(set, frame, offset = 0) {
    set(frame);
    on.seek((set === setStart ? state.start : state.stop) + offset);
  }

  function nudge(event, value, set, offset = 0) {
    const by = NUDGES[event.key];
    if (!by) return;
    event.preventDefault();
    move(set, value + by * (event.shiftKey ? 10 : 1), offset);
  }

  return {
    node: ui.root, show, setStart, setStop, state,
    setFrame(frame) {
      state.frame = frame;
      place(ui.head, frame + 0.5);
    },
  };
}

/** Follow a pointer from its press on a node to its release. */
export function drags(node, follow, release = null) {
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    node.setPointerCapture(event.pointerId);
    follow(event, "press");
    const moved = (next) => follow(next, "move");
    node.addEventListener("pointermove", moved);
    const over = (next) => {
      node.removeEventListener("pointermove", moved);
      if (release) release(next);
    };
    node.addEventListener("lostpointercapture", over, { once: true });
  });
}

function makeStrip() {
  const bout = element("div", { class: "bout" });
  const shown = element("div", { class: "shown" });
  const head = element("div", { class: "head" });
  const handle = (name) => element("div", { class: `handle ${name}`, role: "slider", tabindex: "0", "aria-label": `${name === "start" ? "Start" : "Stop"} of the bout`, title: `Drag to trim, or ${name === "start" ? "[" : "]"} at the playhead` });
  const [start, stop] = [handle("start"), handle("stop")];
  const track = element("div", { class: "track" }, shown, bout, head, start, stop);
  const [length, words] = [element("span", { class: "length" }), element("span", {})];
  const root = element("div", { class: "trim" }, track, element("p", { class: "hint" }, length, words));
  return { root, track, bout, shown, head, start, stop, length, words };
}
