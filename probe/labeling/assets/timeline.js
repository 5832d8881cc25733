// A recording's time under the pointer and the keys: overview and lane, zoom, playhead, bouts and their edges.

import { rowOf } from "./actors.js";
import { get } from "./connection.js";
import { edited } from "./spans.js";
import { BANDS, LANE_HEIGHT, OVERVIEW_HEIGHT, drawLane, drawOverview } from "./timeline_draw.js";
import { drags } from "./trim.js";

const BINS = 6000;
const SHORTEST_VIEW = 12;
const FIRST_VIEW_SECONDS = 30;
const GRIP = 6;
const STILL = 4;

/** A timeline. `on`: seek(frame), select(bout), edge(bout, span), drawn(span), pick(span); those that are missing are not offered. */
export function makeTimeline(app, on) {
  const ui = makeParts();
  const state = { row: null, data: null, view: [0, 1], frame: 0, selected: null, span: null };
  const draw = oncePerFrame(paint);
  let asked = 0;

  function paint() {
    const width = ui.root.clientWidth;
    if (!state.data || !width) return;
    drawOverview(sized(ui.overview, width, OVERVIEW_HEIGHT), width, state);
    drawLane(sized(ui.lane, width, LANE_HEIGHT), width, state);
    ui.lane.setAttribute("aria-valuenow", state.frame);
    ui.lane.setAttribute("aria-valuemax", state.data.frames - 1);
    ui.lane.setAttribute("aria-valuetext", `${clock(state.frame / state.data.fps, 2)}, frame ${state.frame}`);
  }

  // --- what is shown

  /** Fetch a row's bouts, answers and probabilities; the same row keeps its view and its selected bout. */
  async function load(row, limits = {}) {
    const mine = ++asked;
    const { recording } = rowOf(app.project, row);
    const query = { behavior: app.behavior, row, bins: Math.min(BINS, recording.frames), ...limits };
    const data = app.behavior ? await get("/api/timeline", query) : { frames: recording.frames, fps: recording.fps, probability: null, bouts: [], answers: [] };
    if (mine !== asked) return false;
    const other = state.row !== row;
    Object.assign(state, { row, data: edited(data, onTheirWay(row)) });
    if (other) Object.assign(state, { view: firstView(), frame: 0, span: null, selected: null });
    reselect();
    draw();
    return true;
  }

  /** Edits of a row that the server has not acknowledged: what it says does not know them yet. */
  function onTheirWay(row) {
    const edits = app.outbox.bodies().flatMap((body) => body.edits || [body]);
    return edits.filter((one) => one.behavior === app.behavior && one.row === row);
  }

  const firstView = () => [0, Math.min(state.data.frames, FIRST_VIEW_SECONDS * state.data.fps)];

  /** The selected bout among newly fetched ones: the one that has most of its frames. */
  function reselect() {
    const old = state.selected;
    if (!old) return;
    const shared = (one) => Math.min(one.stop, old.stop) - Math.max(one.start, old.start);
    const best = d3.greatest(state.data.bouts, shared);
    state.selected = best && shared(best) > 0 ? best : null;
  }

  /** Show edits before the server has acknowledged them. */
  function expect(edits) {
    asked++;
    state.data = edited(state.data, edits);
    reselect();
    draw();
  }

  function setView(from, to) {
    if (!state.data) return;
    const { frames } = state.data;
    const length = Math.max(Math.min(SHORTEST_VIEW, frames), Math.min(frames, to - from));
    const start = Math.max(0, Math.min(frames - length, from));
    state.view = [start, start + length];
    draw();
  }

  function zoom(factor, around = state.frame) {
    const [from, to] = state.view;
    const middle = around >= from && around <= to ? around : (from + to) / 2;
    setView(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  function reveal(frame, { center = false } = {}) {
    const [from, to] = state.view;
    if (!center && frame >= from && frame < to) return;
    setView(frame - (to - from) * (center ? 0.5 : 0.1), frame + (to - from) * (center ? 0.5 : 0.9));
  }

  function setFrame(frame, follow = true) {
    state.frame = frame;
    if (follow) reveal(frame);
    draw();
  }

  function select(bout) {
    state.selected = bout;
    if (bout && (bout.start < state.view[0] || bout.stop > state.view[1])) reveal((bout.start + bout.stop) / 2, { center: true });
    draw();
    on.select?.(bout);
  }

  // --- the pointer

  const frameAt = (canvas, event, [from, to]) => {
    const box = canvas.getBoundingClientRect();
    return from + ((event.clientX - box.left) / box.width) * (to - from);
  };
  const laneFrame = (event) => frameAt(ui.lane, event, state.view);
  const within = (frame) => Math.max(0, Math.min(state.data.frames - 1, Math.floor(frame)));
  const snapped = (frame) => Math.max(0, Math.min(state.data.frames, Math.round(frame)));

  function seek(frame) {
    setFrame(within(frame), false);
    on.seek?.(state.frame);
  }

  drags(ui.overview, (event) => {
    if (!state.data) return;
    const frame = frameAt(ui.overview, event, [0, state.data.frames]);
    seek(frame);
    reveal(frame, { center: true });
  });

  /** What is under the pointer: the axis, the curve, a bout's edge or body, or empty space of the bouts. */
  function under(event) {
    const y = event.clientY - ui.lane.getBoundingClientRect().top;
    if (y < BANDS.axis[1]) return { part: "axis" };
    if (y < BANDS.bouts[0] || y > BANDS.bouts[1]) return { part: "curve" };
    const perPixel = (state.view[1] - state.view[0]) / ui.lane.clientWidth;
    const frame = laneFrame(event);
    return edgeAt(frame, GRIP * perPixel) || bodyAt(frame) || { part: "empty" };
  }

  function edgeAt(frame, near) {
    const spans = on.pick ? [state.span].filter(Boolean) : state.data.bouts.filter((one) => !one.hidden || one === state.selected);
    const edges = spans.flatMap((bout) => [["start", bout.start], ["stop", bout.stop]].map(([edge, at]) => ({ part: "edge", bout, edge, gap: Math.abs(at - frame) + (bout === state.selected ? 0 : 1e-3) + (edge === "start" && frame < at ? 1e-3 : 0) })));
    const nearest = d3.least(edges, (one) => one.gap);
    return nearest && nearest.gap <= near ? nearest : null;
  }

  function bodyAt(frame) {
    if (on.pick) return null;
    const inside = state.data.bouts.filter((one) => frame >= one.start && frame < one.stop);
    const bout = inside.find((one) => !one.hidden) || inside[0];
    return bout ? { part: "body", bout } : null;
  }

  const CURSORS = { axis: "ew-resize", curve: "grab", edge: "col-resize", body: "pointer", empty: "crosshair" };
  ui.lane.addEventListener("pointermove", (event) => state.data && !drag && (ui.lane.style.cursor = CURSORS[under(event).part]));

  let drag = null;
  drags(ui.lane, (event, phase) => {
    if (!state.data) return;
    if (phase === "press") drag = { ...under(event), x: event.clientX, frame: laneFrame(event), view: [...state.view], moved: false };
    drag.moved ||= Math.abs(event.clientX - drag.x) > STILL;
    if (drag.part === "axis") seek(laneFrame(event));
    else if (drag.moved) FOLLOW[drag.part](event);
  }, () => {
    const done = drag;
    drag = null;
    if (done) finish(done);
  });

  const pan = (event) => {
    const by = ((event.clientX - drag.x) / ui.lane.clientWidth) * (drag.view[1] - drag.view[0]);
    setView(drag.view[0] - by, drag.view[1] - by);
  };

  const FOLLOW = {
    curve: pan,
    body: pan,
    edge(event) {
      const at = snapped(laneFrame(event));
      const { start, stop } = drag.bout;
      drag.span = drag.edge === "start" ? { start: Math.min(at, stop - 1), stop } : { start, stop: Math.max(at, start + 1) };
      state.span = drag.span;
      seek(drag.edge === "start" ? drag.span.start : drag.span.stop - 1);
    },
    empty(event) {
      const [a, b] = [snapped(drag.frame), snapped(laneFrame(event))];
      drag.span = { start: Math.min(a, b), stop: Math.max(a, b, Math.min(a, b) + 1) };
      state.span = drag.span;
      draw();
    },
  };

  function finish({ part, bout, span, moved, frame }) {
    if (!on.pick) state.span = null;
    if (!moved && part === "body") {
      select(bout);
      return seek(bout.start);
    }
    if (!moved) return part !== "axis" && part !== "edge" ? (select(null), seek(frame)) : part === "edge" && !on.pick ? select(bout) : null;
    if (span && on.pick) return on.pick(span);
    if (part === "edge" && span) return on.edge?.(bout, span);
    return part === "empty" && span ? on.drawn?.(span) : draw();
  }

  const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageDown: -100, PageUp: 100 };
  ui.lane.addEventListener("keydown", (event) => {
    const by = STEPS[event.key];
    if (!by || !state.data || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    seek(state.frame + by * (event.shiftKey ? 10 : 1));
    reveal(state.frame);
  });

  ui.root.addEventListener("wheel", (event) => {
    if (!state.data || event.ctrlKey) return;
    event.preventDefault();
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
    const [from, to] = state.view;
    if (sideways) return setView(...[from, to].map((one) => one + (sideways / 800) * (to - from)));
    const overview = event.target === ui.overview;
    return zoom(Math.exp(event.deltaY / 500), overview ? frameAt(ui.overview, event, [0, state.data.frames]) : laneFrame(event));
  }, { passive: false });

  new ResizeObserver(draw).observe(ui.root);
  return { node: ui.root, state, load, expect, zoom, setView, reveal, setFrame, select, draw, setSpan: (span) => ((state.span = span), draw()), all: () => setView(0, state.data.frames) };
}

function makeParts() {
  const overview = element("canvas", { class: "overview", role: "img", "aria-label": "The whole recording: probability, bouts and answers. Click to go there." });
  const lane = element("canvas", { class: "lane", tabindex: "0", role: "slider", "aria-label": "Time", "aria-valuemin": "0" });
  return { overview, lane, root: element("div", { class: "timeline" }, overview, lane) };
}
