// The Correct view: the bouts of a whole recording, looked at one after the other and put right.

import { rowOf } from "./actors.js";
import { giveEdits, takeBack } from "./answers.js";
import { makeBanner, writeAddress } from "./app.js";
import { firstRow, makeRowChooser, zoomControls } from "./choosers.js";
import { makeBoutPanel } from "./bout_panel.js";
import { makePlayer, withContext } from "./player.js";
import { editsOf, neighborOf } from "./spans.js";
import { makeTimeline } from "./timeline.js";

/** The view: {node, keys, open, close}. */
export function makeCorrect(app) {
  const banner = makeBanner();
  let changing = null; // An undo or redo under way.
  const player = makePlayer(app, { frame: (frame) => timeline.setFrame(frame) });
  const timeline = makeTimeline(app, {
    seek: (frame) => (player.pause(), player.seek(frame)),
    select: showBout,
    edge: (bout, span) => correct("move", (edits) => edits.move(bout, span), span),
    drawn: (span) => correct("draw", (edits) => edits.draw(span), span),
  });
  const { state } = timeline;
  const panel = makeBoutPanel(app, {
    ...afterUndo({ go, accept, remove, split, merge, draw, relabel }), undo: () => change("undo"), redo: () => change("redo"), limits: () => refresh(),
  });
  const chooser = makeRowChooser(app, (row) => open(row));
  const zoom = zoomControls(timeline);
  const hint = element("p", { class: "hint" }, "Drag an edge to move it, drag in the empty lane to draw a bout, drag the curve to move in time. The wheel zooms.");
  const node = element("div", { class: "correct" }, banner.node,
    element("div", { class: "bar" }, chooser.node, panel.limits),
    element("div", { class: "columns" }, player.node, panel.node),
    element("div", { class: "bar tight" }, hint, element("span", { class: "spring" }), zoom.node), timeline.node);

  // --- the recording

  async function open(row = app.query.get("row")) {
    const id = row && rowOf(app.project, row) ? row : state.row || firstRow(app);
    if (!id) return banner.show("The embeddings have no rows.");
    const { recording, row: chosen } = rowOf(app.project, id);
    chooser.set(id);
    const same = state.row === id && player.clip();
    const frame = app.query.get("row") === id && app.query.get("frame") ? Number(app.query.get("frame")) : null;
    writeAddress(app, { row: id, frame: null });
    if (!same) {
      state.selected = null;
      const at = Math.min(frame || 0, recording.frames - 1);
      await player.show({ recording: recording.id, row: chosen, start: null, stop: null, first: 0, last: recording.frames, at, autoplay: false });
    } else if (frame !== null) player.seek(frame);
    await refresh(id);
    showBout(state.selected);
    return timeline.setFrame(player.frame());
  }

  /** Fetch bouts again: the limits, the answers or the model have changed. */
  async function refresh(row = state.row) {
    if (!row || app.view !== "correct") return;
    banner.clear();
    try {
      if (await timeline.load(row, panel.chosenLimits())) panel.show(state);
    } catch (error) {
      banner.show(error);
    }
  }

  function showBout(bout) {
    panel.show(state);
    const clip = player.clip();
    if (!clip) return;
    clip.start = bout ? bout.start : null;
    clip.stop = bout ? bout.stop : null;
    const range = bout && withContext(clip.recording, bout.start, bout.stop);
    player.loopOver(range && { start: range.first, stop: range.last });
    player.draw();
  }

  // --- steps

  const visible = () => state.data.bouts.filter((one) => !one.hidden);

  function go(way) {
    if (!state.data) return;
    const from = state.selected ? state.selected.start : state.frame;
    const bout = neighborOf(visible(), from, way);
    if (!bout) return panel.say(way > 0 ? "No bout after this one." : "No bout before this one.");
    timeline.select(bout);
    player.seek(bout.start);
  }

  /** Send a correction, and show it at once with `span` selected; true if it was sent. */
  async function correct(kind, make, span = null) {
    if (!app.behavior) return Boolean(panel.say("Make a behavior first."));
    banner.clear();
    const edits = make(editsOf(app.behavior, state.row));
    const given = await giveEdits(app, kind, edits);
    if (!given) return Boolean(timeline.draw());
    if (span) state.selected = { ...state.selected, ...span };
    timeline.expect(edits.filter((one) => one.behavior === app.behavior));
    showBout(state.selected);
    panel.say(SAID[kind]);
    given.sent.catch((error) => refresh().then(() => banner.show(error)));
    return true;
  }

  const withBout = (use) => () => (state.selected ? use(state.selected) : panel.say("Select a bout first: click it, or press . for the next one."));

  /** Accept a bout, and go on to the next one that is only predicted. */
  function accept() {
    withBout(async (bout) => {
      if (!(await correct("accept", (edits) => edits.accept(bout), bout))) return;
      const next = visible().find((one) => one.start >= bout.stop && one.decision !== "yes");
      if (!next) return;
      timeline.select(next);
      player.seek(next.start);
    })();
  }

  function remove() {
    withBout((bout) => {
      state.selected = null;
      correct("remove", (edits) => edits.remove(bout));
    })();
  }

  function split() {
    const { frame } = state;
    const inside = (one) => !one.hidden && frame > one.start && frame < one.stop - 1;
    const bout = state.data?.bouts.find(inside);
    if (!bout) return panel.say("Move the playhead into a bout: there it is split.");
    return correct("split", (edits) => edits.split(bout, frame), { start: frame + 1, stop: bout.stop });
  }

  function merge() {
    withBout((bout) => {
      const next = visible().find((one) => one.start >= bout.stop);
      if (!next) return panel.say("No bout after this one.");
      return correct("merge", (edits) => edits.merge(bout, next), { start: bout.start, stop: next.stop });
    })();
  }

  function draw() {
    if (!state.data) return;
    const start = state.frame;
    const span = { start, stop: Math.min(state.data.frames, start + Math.round(state.data.fps)) };
    correct("draw", (edits) => edits.draw(span), span);
  }

  function relabel(other) {
    withBout((bout) => {
      state.selected = null;
      correct("relabel", (edits) => edits.relabel(bout, other));
    })();
  }

  const moveEdge = (edge) => withBout((bout) => {
    const span = edge === "start" ? { start: Math.min(state.frame, bout.stop - 1), stop: bout.stop } : { start: bout.start, stop: Math.max(state.frame + 1, bout.start + 1) };
    if (span.start !== bout.start || span.stop !== bout.stop) correct("move", (edits) => edits.move(bout, span), span);
  });

  /** Undo or redo; the keys after it wait for the bouts that it brings. */
  function change(what) {
    const mine = (changing ? changing.then(() => changeNow(what)) : changeNow(what)).then(() => changing === mine && (changing = null));
    changing = mine;
  }

  async function changeNow(what) {
    if (!app.behavior) return;
    try {
      const reply = await takeBack(app, what);
      await refresh();
      if (reply) panel.say(reply.sentence);
    } catch (error) {
      banner.show(error);
    }
  }

  /** Actions that are about the bouts as they are after an undo under way. */
  function afterUndo(actions) {
    const late = (act) => (...values) => (changing ? changing.then(() => act(...values)) : act(...values));
    return Object.fromEntries(Object.entries(actions).map(([name, act]) => [name, late(act)]));
  }

  const keys = {
    ...afterUndo({
      ",": () => go(-1), ".": () => go(1), ArrowUp: () => go(-1), ArrowDown: () => go(1), Enter: accept, Delete: remove, Backspace: remove,
      s: split, m: merge, d: draw, "[": moveEdge("start"), "]": moveEdge("stop"), Escape: () => timeline.select(null),
    }),
    z: () => change("undo"), "Shift+z": () => change("redo"), ...zoom.keys,
  };
  for (const change of ["answers", "back"]) app.on(change, () => refresh());
  app.on("behavior", () => {
    state.selected = null;
    if (app.view === "correct") refresh().then(() => showBout(null));
  });
  return { node, keys: () => [keys, player.keys], open: () => open(), moved: () => open(), close: () => player.pause(), player, timeline };
}

const SAID = {
  move: "Boundary moved.", split: "Split at the playhead.", merge: "Merged with the next bout.", relabel: "Relabeled.",
  draw: "Bout drawn.", remove: "Bout removed: its frames are “no” now.", accept: "Accepted.",
};
