// The player: a recording's skeletons, over its video where there is one, with every frame within reach.

import { actorsOf, actorNames, animalsOf, recordingOf } from "./actors.js";
import { animalsBox, arenaOf, eased, onScreen, placement } from "./camera.js";
import { keyButton } from "./keys.js";
import { makeTicker } from "./ticker.js";
import { drawTrails } from "./trails.js";
import { makeVideoEngine } from "./video.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
const AHEAD = 256;
const LONG_SECONDS = 30;

/** Whether the visitor asked for little motion: then nothing plays by itself. */
export const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Start and stop of the frames around a bout that are shown with it: a second on each side. */
export function withContext(recording, start, stop) {
  const second = Math.round(recording.fps);
  return { first: Math.max(0, start - second), last: Math.min(recording.frames, stop + second) };
}

/** A player. `on.frame(frame)` hears of each frame shown; `extra` are more controls. */
export function makePlayer(app, on = {}, extra = []) {
  const ui = makeStage(extra);
  const engines = { ticker: makeTicker(events("ticker")), video: makeVideoEngine(ui.video, { ...events("video"), broken }) };
  let engine = engines.ticker;
  let clip = null;
  let frame = 0; // Where the playhead is.
  let drawn = 0; // What the stage shows: an earlier frame while a video is on its way.
  let box = null;
  const playing = () => engine.state.playing;

  function events(name) {
    const own = () => engine === engines[name];
    return {
      frame: (shown) => own() && present(shown),
      ended: () => own() && sayPlaying(),
      ready: (next) => Boolean(app.tracks.pose(clip.recording.id, next)),
    };
  }

  /** Show frames `first` to `last` of a recording, with the bout `start` to `stop` marked in them; play, if nothing is against it. */
  async function show({ recording: id, row, start, stop, first, last, at = null, autoplay = true }) {
    const recording = recordingOf(app.project, id);
    engine.pause();
    const made = { recording, row, start, stop, first, last, actors: actorsOf(app.project, row), waits: true };
    clip = made;
    box = null;
    ui.say("");
    ui.who.replaceChildren(...actorNames(app.project, row));
    chooseEngine();
    frame = at ?? first;
    await load(frame);
    if (clip !== made) return;
    made.waits = false;
    if (isShort()) clip.box = animalsBox(app, id, clip.actors, first, last);
    seek(frame);
    if (autoplay && !calm()) play();
    else sayPlaying();
  }

  function chooseEngine() {
    const { video } = clip.recording;
    const usable = Boolean(video) && !clip.recording.broken;
    engine = usable ? engines.video : engines.ticker;
    ui.video.hidden = !usable;
    if (usable) engines.video.open(clip.recording.id);
    if (video && video.notice) ui.say(video.notice);
    applyRange();
    engine.speed(Number(ui.speed.value));
  }

  function broken() {
    if (!clip || !clip.recording.video || engine !== engines.video) return;
    clip.recording.broken = true;
    chooseEngine();
    ui.say("The browser cannot play this video: skeletons alone.");
    seek(frame);
  }

  const isShort = () => clip.last - clip.first <= LONG_SECONDS * clip.recording.fps;

  function load(at) {
    const [from, to] = isShort() ? [clip.first, clip.last] : [at - AHEAD / 2, at + AHEAD];
    return app.tracks.load(clip.recording.id, from, to).catch((error) => ui.say(error.message));
  }

  function applyRange() {
    const bout = clip.loop || { start: clip.first, stop: clip.last };
    engine.range({ low: clip.first, high: clip.last, loop: ui.loop.checked ? bout : null }, clip.recording.fps);
  }

  function seek(to) {
    if (!clip) return;
    frame = Math.max(clip.first, Math.min(clip.last - 1, Math.round(to)));
    load(frame).then(() => draw());
    engine.seek(frame);
  }

  function present(shown) {
    // A frame of the clip before may still come: it is no place in this one.
    if (!clip || clip.waits) return;
    frame = Math.max(clip.first, Math.min(clip.last - 1, shown));
    if (clip.last - clip.first > AHEAD && frame % 32 === 0) load(frame);
    draw();
    if (on.frame) on.frame(frame);
  }

  function play() {
    if (!clip) return;
    if (frame >= clip.last - 1) seek(clip.first);
    engine.play();
    sayPlaying();
  }

  function pause() {
    engine.pause();
    sayPlaying();
  }

  function step(frames) {
    pause();
    const from = engine === engines.video && engine.state.wanted !== undefined ? engine.state.wanted : frame;
    seek(from + frames);
  }

  function sayPlaying() {
    const text = playing() ? "Pause" : "Play";
    if (ui.play.firstChild.textContent !== text) ui.play.firstChild.textContent = text;
  }

  // --- drawing

  function viewBox() {
    const { recording, actors, last } = clip;
    if (ui.zoom.value === "arena") return arenaOf(app, recording);
    const half = recording.fps / 2;
    const near = () => animalsBox(app, recording.id, actors, Math.round(Math.max(0, drawn - half)), Math.round(Math.min(last, drawn + half)));
    return (isShort() ? clip.box : near()) || box || arenaOf(app, recording);
  }

  function draw() {
    const [width, height] = [ui.stage.clientWidth, ui.stage.clientHeight];
    if (!clip || !width) return;
    const picture = engine === engines.video ? engine.picture() : null;
    drawn = picture ? picture.frame : frame;
    const wanted = viewBox();
    box = playing() && ui.zoom.value === "animals" ? eased(box, wanted, 0.12) : wanted;
    const view = placement(box, width, height);
    const context = sized(ui.canvas, width, height);
    if (picture) drawPicture(context, picture.image, view);
    drawAnimals(context, view, width, height);
    sayFrame();
  }

  function drawPicture(context, image, { k, x, y }) {
    const { width, height } = clip.recording.video;
    context.drawImage(image, x, y, k * width, k * height);
  }

  function drawAnimals(context, view, width, height) {
    const pose = app.tracks.pose(clip.recording.id, drawn);
    if (!pose) return;
    drawTrails(context, app, clip, drawn, onScreen(view));
    const animals = animalsOf(app.project, clip.actors).length;
    const line = Math.max(2, Math.min(5, (view.k * bodyLength(pose)) / 28, width / 160));
    if (animals <= 4) drawNames(context, app.project, pose, onScreen(view), clip.actors, width, height);
    if (boxOf(pose)) drawPose(context, app.project, pose, onScreen(view), { line, dot: line }, clip.actors);
    else sayUnseen(context, width, height);
  }

  /** A rough length of the animals: the side of the largest box around one. */
  function bodyLength(pose) {
    const size = 2 * app.project.skeleton.keypoints.length;
    const boxes = app.project.individuals.map((_, i) => boxOf(pose.subarray(i * size, (i + 1) * size))).filter(Boolean);
    return d3.max(boxes, ([x0, y0, x1, y1]) => Math.hypot(x1 - x0, y1 - y0)) || 1;
  }

  function sayFrame() {
    const { recording, start, stop } = clip;
    ui.time.textContent = `${clock(drawn / recording.fps, 2)} · frame ${drawn.toLocaleString("en")}`;
    const marked = start !== null && start !== undefined;
    const where = !marked ? "" : drawn < start ? "before" : drawn >= stop ? "after" : "inside";
    if (ui.root.dataset.where === where) return;
    ui.root.dataset.where = where;
    ui.badge.textContent = { before: "before the bout", after: "after the bout", inside: "bout", "": "" }[where];
  }

  function mark(start, stop) {
    Object.assign(clip, { start, stop });
    draw();
  }

  // --- controls

  const keys = {
    Space: () => (playing() ? pause() : play()),
    ArrowLeft: () => step(-1), ArrowRight: () => step(1),
    "Shift+ArrowLeft": () => step(-10), "Shift+ArrowRight": () => step(10),
  };
  ui.play.addEventListener("click", keys.Space);
  ui.back.addEventListener("click", keys.ArrowLeft);
  ui.forth.addEventListener("click", keys.ArrowRight);
  ui.speed.addEventListener("change", () => engine.speed(Number(ui.speed.value)));
  ui.loop.addEventListener("change", () => clip && applyRange());
  ui.zoom.addEventListener("change", () => ((box = null), draw()));
  for (const select of [ui.speed, ui.zoom]) select.addEventListener("change", () => select.blur());
  new ResizeObserver(() => draw()).observe(ui.stage);

  return {
    node: ui.root, keys, show, seek, pause, play, mark, draw, clear,
    frame: () => frame,
    clip: () => clip,
    engine: () => (engine === engines.video ? "video" : "ticker"),
    loopOver(span) {
      clip.loop = span;
      applyRange();
    },
  };

  function clear() {
    engine.pause();
    clip = null;
    ui.video.hidden = true;
    sized(ui.canvas, ui.stage.clientWidth, ui.stage.clientHeight);
  }
}

function makeStage(extra) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const video = element("video", { muted: true, playsinline: true, preload: "auto", "aria-hidden": "true", tabindex: "-1", hidden: true });
  video.muted = true;
  const badge = element("span", { class: "where" });
  const who = element("span", { class: "who" });
  const stage = element("div", { class: "stage", role: "img", "aria-label": "Animals of the frame shown" }, video, canvas, badge, who);
  const word = (text) => element("span", { class: "word" }, text);
  const still = (button) => (button.addEventListener("mousedown", (event) => event.preventDefault()), button);
  const play = keyButton("Play", "space", () => {}, { class: "play" });
  const back = still(element("button", { type: "button", "aria-label": "One frame back (left arrow)", title: "One frame back (←)" }, "◂"));
  const forth = still(element("button", { type: "button", "aria-label": "One frame on (right arrow)", title: "One frame on (→)" }, "▸"));
  const time = element("span", { class: "clock" });
  const speed = element("select", { "aria-label": "Speed" }, ...SPEEDS.map((value) => element("option", { value, selected: value === 1 }, `${value} ×`)));
  const zoom = element("select", { "aria-label": "View" }, element("option", { value: "animals" }, "animals"), element("option", { value: "arena" }, "arena"));
  const loop = element("input", { type: "checkbox", checked: true });
  const said = element("p", { class: "hint", role: "status", hidden: true });
  const controls = element("div", { class: "controls" }, play, back, forth, time, element("span", { class: "spring" }), ...extra,
    element("label", {}, word("Speed"), speed), element("label", {}, word("View"), zoom), element("label", {}, loop, "Loop"));
  const root = element("section", { class: "player", "aria-label": "Player" }, stage, controls, said);
  const say = (text) => Object.assign(said, { textContent: text, hidden: !text });
  return { root, stage, canvas, video, badge, who, play, back, forth, time, speed, zoom, loop, say };
}
