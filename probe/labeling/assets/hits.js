// Results of a search: a grid of small players, answered with keys.

import { recordingOf } from "./actors.js";
import { DECISIONS, giveAnswer, makeStopwatch } from "./answers.js";
import { keyButton } from "./keys.js";
import { calm } from "./player.js";
import { playSmall } from "./still.js";

const [WIDTH, HEIGHT] = [188, 132];

/** The grid. `on`: show(hit) in the large player, failed(error), change("undo" or "redo"). */
export function makeHits(app, on) {
  const ui = makeParts();
  const watch = makeStopwatch();
  let tiles = [];
  let at = 0;
  let playing = !calm();
  ui.undo.addEventListener("click", () => on.change("undo"));
  ui.play.addEventListener("click", () => {
    playing = !playing;
    ui.play.textContent = playing ? "Pause all" : "Play all";
  });

  function show(hits, title, { meaning, share } = {}) {
    ui.wait.hidden = true;
    ui.root.classList.remove("none");
    ui.title.textContent = title;
    ui.meaning.textContent = meaning ? `Read as: ${meaning}. True in ${percent(share)} of the frames.` : hits.length ? "Answer each: is it the behavior?" : "";
    tiles = hits.map(makeTile);
    ui.grid.replaceChildren(...(tiles.length ? tiles.map(({ node }) => node) : [element("p", { class: "hint" }, "Nothing found.")]));
    ui.play.hidden = ui.undo.hidden = !tiles.length;
    ui.play.textContent = playing ? "Pause all" : "Play all";
    watch.restart();
    playAll();
    focus(0);
  }

  function playAll() {
    const films = tiles.map(({ hit, canvas }) => ({ hit, canvas, width: WIDTH, height: HEIGHT }));
    for (const { hit } of tiles) app.tracks.load(hit.recording, hit.start, hit.stop).catch(on.failed);
    const seen = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => (films.find(({ canvas }) => canvas === target).seen = isIntersecting)));
    films.forEach(({ canvas }) => seen.observe(canvas));
    playSmall(app, films, () => playing);
  }

  function makeTile(hit, number) {
    const canvas = element("canvas", { "aria-hidden": "true" });
    sized(canvas, WIDTH, HEIGHT);
    const { fps } = recordingOf(app.project, hit.recording);
    const place = `${hit.title}, ${clock(hit.start / fps)}`;
    const numbers = `${clock(hit.start / fps)} · ${numbersOf(hit, fps)}`;
    const buttons = Object.entries(DECISIONS).map(([decision, { sign, words, key }]) => {
      const button = keyButton(sign, null, () => (focus(number, false), answer(number, decision)), { class: decision, tabindex: "-1", title: `${words} (${key})`, "aria-label": words, "aria-pressed": "false" });
      return [decision, button];
    });
    const facts = element("small", { title: place }, element("span", { class: "name" }, hit.title), element("span", {}, numbers));
    const picture = element("div", { class: "picture", title: "Show it in the large player (Enter)", onclick: () => (focus(number, false), on.show(hit)) }, canvas, element("span", { class: "stamp", "aria-hidden": "true" }));
    const node = element("li", { class: "tile", tabindex: "-1", "aria-label": `Bout ${number + 1}: ${place}, ${numbersOf(hit, fps)}` }, picture, facts, element("div", { class: "buttons" }, ...buttons.map(([, button]) => button)));
    node.addEventListener("focus", () => setCurrent(number));
    const tile = { hit, node, canvas, buttons: Object.fromEntries(buttons), decision: hit.decision };
    draw(tile);
    return tile;
  }

  function draw({ node, buttons, decision }) {
    for (const [name, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(name === decision));
    for (const name of Object.keys(DECISIONS)) node.classList.toggle(name, name === decision);
    $(".stamp", node).textContent = decision ? `${DECISIONS[decision].sign} ${DECISIONS[decision].words}` : "";
  }

  function setCurrent(number) {
    tiles.forEach(({ node }, i) => {
      node.classList.toggle("current", i === number);
      node.tabIndex = i === number ? 0 : -1;
    });
    at = number;
  }

  function focus(number, scroll = true) {
    if (!tiles[number]) return;
    setCurrent(number);
    const { node } = tiles[number];
    node.focus({ preventScroll: true });
    if (scroll) scrollTo(node);
  }

  /** Scroll the grid, not the page. */
  function scrollTo({ offsetTop, offsetHeight }) {
    const { grid } = ui;
    const top = offsetTop - 8;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + offsetHeight + 16 > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + offsetHeight + 16 - grid.clientHeight;
  }

  async function answer(number, decision) {
    const tile = tiles[number];
    if (!tile) return;
    const given = await giveAnswer(app, tile.hit, decision, tile.hit, watch.seconds());
    if (!given) return;
    watch.restart();
    const before = tile.decision;
    tile.decision = decision;
    draw(tile);
    ui.said.textContent = `${DECISIONS[decision].words}: bout ${number + 1}`;
    const next = tiles.findIndex((one, i) => i > number && !one.decision);
    if (next >= 0) focus(next);
    given.sent.catch((error) => {
      tile.decision = before;
      draw(tile);
      on.failed(error);
    });
  }

  /** An answer was taken back, or given again: its tile says so. */
  function changed(what, { event, sentence }) {
    ui.said.textContent = sentence;
    const place = event && (event.row ? event : event.edits?.at(-1));
    const number = place ? tiles.findIndex(({ hit }) => hit.row === place.row && hit.start < place.stop && place.start < hit.stop) : -1;
    if (number < 0) return;
    tiles[number].decision = what === "redo" ? event.decision ?? place.decision : null;
    draw(tiles[number]);
    focus(number);
  }

  const columns = () => Math.max(1, tiles.findIndex(({ node }) => node.offsetTop > tiles[0].node.offsetTop) + 1 - 1 || tiles.length);
  const inGrid = (move) => () => focus(Math.max(0, Math.min(tiles.length - 1, at + move())));
  const moves = {
    ArrowLeft: inGrid(() => -1), ArrowRight: inGrid(() => 1), ArrowUp: inGrid(() => -columns()), ArrowDown: inGrid(() => columns()),
    Home: () => focus(0), End: () => focus(tiles.length - 1), Enter: () => on.show(tiles[at].hit),
  };

  /** Answers for the current bout from anywhere in the view; moves only while the grid has the focus. */
  function keys() {
    if (!tiles.length) return null;
    const answers = Object.fromEntries(Object.entries(DECISIONS).map(([name, { key }]) => [key.toLowerCase(), () => answer(at, name)]));
    return ui.grid.contains(document.activeElement) ? { ...answers, ...moves } : answers;
  }

  function clear() {
    tiles = [];
    ui.grid.replaceChildren();
    ui.root.classList.add("none");
    [ui.title.textContent, ui.meaning.textContent, ui.said.textContent] = ["Results", EMPTY, ""];
    ui.play.hidden = ui.undo.hidden = true;
  }

  clear();
  return { node: ui.root, show, clear, keys, changed, wait: () => (ui.wait.hidden = false), stop: () => (ui.wait.hidden = true), tiles: () => tiles };
}

const EMPTY = "The bouts most like the one you mark appear here, from all recordings, most similar first.";

function numbersOf({ probability, distance, start, stop }, fps) {
  const parts = [`${((stop - start) / fps).toFixed(1)} s`];
  if (probability !== null) parts.push(percent(probability));
  else if (distance !== null) parts.push(`distance ${short(distance)}`);
  return parts.join(" · ");
}

function makeParts() {
  const [title, meaning] = [element("h2", {}, "Results"), element("p", { class: "hint" })];
  const wait = element("progress", { hidden: true, "aria-label": "Searching" });
  const play = keyButton("Pause all", null, () => {});
  const undo = keyButton("Undo", "Z", () => {});
  const said = element("p", { class: "said", role: "status", "aria-live": "polite" });
  const grid = element("ol", { class: "hits", "aria-label": "Bouts found" });
  const root = element("section", { class: "results", "aria-label": "Results" }, element("div", { class: "bar" }, title, wait, element("span", { class: "spring" }), undo, play), element("div", { class: "bar tight" }, meaning, element("span", { class: "spring" }), said), grid);
  return { root, title, meaning, wait, play, undo, said, grid };
}
