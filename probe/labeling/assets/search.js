// The Search view: mark a bout or write a rule, and answer the bouts that are most like it.

import { rowOf } from "./actors.js";
import { takeBack } from "./answers.js";
import { makeBanner, writeAddress } from "./app.js";
import { firstRow, makeRowChooser, zoomControls } from "./choosers.js";
import { post } from "./connection.js";
import { makeHits } from "./hits.js";
import { keyButton } from "./keys.js";
import { calm, makePlayer } from "./player.js";
import { makeRule } from "./rule.js";
import { makeTimeline } from "./timeline.js";

const HITS = 24;

/** The view: {node, keys, open, close}. */
export function makeSearch(app) {
  const banner = makeBanner();
  const player = makePlayer(app, { frame: (frame) => timeline.setFrame(frame) });
  const timeline = makeTimeline(app, { seek: (frame) => (player.pause(), player.seek(frame)), pick: (marked) => (pick(marked), replay(marked)) });
  const { state } = timeline;
  const chooser = makeRowChooser(app, (row) => open(row));
  const zoom = zoomControls(timeline);
  const span = element("span", { class: "span", role: "status" });
  const find = keyButton("Find similar", "Enter", similar, { class: "main", disabled: true });
  const rule = makeRule(app, sentence);
  const hits = makeHits(app, { show: showHit, failed: (error) => banner.show(error), change });
  const marking = element("section", {}, element("div", { class: "bar" }, element("h2", {}, "Mark a bout"), chooser.node),
    player.node, timeline.node, element("div", { class: "bar find" }, span, zoom.node, find));
  const node = element("div", { class: "search" }, banner.node,
    element("div", { class: "columns" }, element("div", {}, marking, rule.node), hits.node));

  async function open(row = app.query.get("row")) {
    const id = row && rowOf(app.project, row) ? row : state.row || firstRow(app);
    if (!id) return banner.show("The embeddings have no rows.");
    const { recording, row: chosen } = rowOf(app.project, id);
    chooser.set(id);
    writeAddress(app, { row: id });
    if (state.row !== id || !player.clip()) await player.show({ recording: recording.id, row: chosen, start: null, stop: null, first: 0, last: recording.frames, autoplay: false });
    return refresh(id);
  }

  async function refresh(row = state.row) {
    if (!row || app.view !== "search") return;
    try {
      await timeline.load(row);
      drawSpan();
    } catch (error) {
      banner.show(error);
    }
  }

  // --- the marked bout

  function pick(marked) {
    timeline.setSpan(marked);
    const clip = player.clip();
    if (clip) [clip.start, clip.stop] = marked ? [marked.start, marked.stop] : [null, null];
    player.loopOver(marked);
    drawSpan();
    player.draw();
  }

  /** Play a marked bout from its start. */
  function replay(marked) {
    player.seek(marked.start);
    if (!calm()) player.play();
  }

  function mark(edge) {
    if (!state.data) return;
    const { frame } = state;
    const second = Math.round(state.data.fps);
    const old = state.span || { start: Math.max(0, frame - second), stop: Math.min(state.data.frames, frame + second) };
    if (edge === "start") pick({ start: frame, stop: old.stop > frame ? old.stop : Math.min(state.data.frames, frame + second) });
    else pick({ start: old.start <= frame ? old.start : Math.max(0, frame - second), stop: frame + 1 });
  }

  function drawSpan() {
    const { span: marked, data } = state;
    find.disabled = !marked;
    if (marked) span.textContent = `Marked: ${clock(marked.start / data.fps, 2)} to ${clock(marked.stop / data.fps, 2)}, ${((marked.stop - marked.start) / data.fps).toFixed(2)} s`;
    else span.replaceChildren("Drag in the gray lane, or press ", element("kbd", {}, "["), " and ", element("kbd", {}, "]"), " at the first and last frame.");
  }

  // --- searching

  async function ask(path, body, title) {
    if (!app.behavior) return banner.show("Make a behavior first: the button is in the head of the page.");
    banner.clear();
    hits.wait();
    try {
      const reply = await post(path, { behavior: app.behavior, k: HITS, ...body });
      hits.show(reply.hits, title, reply);
    } catch (error) {
      hits.stop();
      throw error;
    }
    return null;
  }

  function similar() {
    if (!state.span) return;
    const { row } = rowOf(app.project, state.row);
    const { start, stop } = state.span;
    const title = `Most like ${row.title}, ${clock(start / state.data.fps)} to ${clock(stop / state.data.fps)}`;
    ask("/api/search", { row: state.row, start, stop }, title).catch((error) => banner.show(error));
  }

  function sentence(text) {
    return ask("/api/sentence", { text }, `Where ${text}`);
  }

  /** A hit in the player: marked there, so that it can be trimmed and searched with. */
  async function showHit(hit) {
    await open(hit.row);
    pick({ start: hit.start, stop: hit.stop });
    timeline.reveal((hit.start + hit.stop) / 2, { center: true });
    replay(hit);
  }

  async function change(what) {
    if (!app.behavior) return;
    try {
      const reply = await takeBack(app, what);
      if (reply) hits.changed(what, reply);
    } catch (error) {
      banner.show(error);
    }
  }

  const keys = {
    "[": () => mark("start"), "]": () => mark("stop"), Enter: similar, ...zoom.keys,
    z: () => change("undo"), "Shift+z": () => change("redo"), Escape: () => pick(null),
  };
  for (const change of ["answers", "back"]) app.on(change, () => refresh());
  app.on("behavior", () => (hits.clear(), refresh()));
  return { node, keys: () => [hits.keys(), keys, player.keys], open: () => open(), moved: () => open(), close: () => player.pause(), player, timeline, hits };
}
