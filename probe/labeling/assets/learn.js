// The Learn view: one proposal after the other, answered with a key.

import { recordingOf } from "./actors.js";
import { DECISIONS, giveAnswer, makeStopwatch, sourceBadge, takeBack } from "./answers.js";
import { addressOf, makeBanner } from "./app.js";
import { STEPS } from "./dialogs.js";
import { newBehavior } from "./header.js";
import { keyButton } from "./keys.js";
import { calm, makePlayer, withContext } from "./player.js";
import { makeProposals } from "./proposals.js";
import { stillPose } from "./still.js";
import { makeTrim } from "./trim.js";

/** The view: {node, keys, open, close}. */
export function makeLearn(app) {
  const banner = makeBanner();
  const watch = makeStopwatch();
  const ui = makeParts();
  const player = makePlayer(app, { frame: (frame) => trim.setFrame(frame) });
  const trim = makeTrim({
    seek: (frame) => (player.pause(), player.seek(frame)),
    trim: (start, stop) => (player.mark(start, stop), queue.keep({ start, stop })),
  });
  const queue = makeProposals(app, { current: showBout, next: drawNext, failed: (error) => banner.show(error) });
  let [begun, busy] = [null, false];

  const buttons = Object.entries(DECISIONS).map(([decision, { key, words, sign }]) =>
    keyButton(element("span", {}, element("span", { class: "sign", "aria-hidden": "true" }, sign), words), key, () => decide(decision), { class: `answer ${decision}` }));
  const back = [["undo", "Undo", "Z"], ["redo", "Redo", "⇧Z"]].map(([what, words, key]) => keyButton(words, key, () => change(what)));
  const answers = element("div", { class: "answers", role: "group", "aria-label": "Answer" }, ...buttons, element("span", { class: "spring" }), ...back);
  const stage = element("div", {}, ui.question, player.node, trim.node, answers);
  const node = element("div", { class: "learn" }, banner.node, ui.empty, element("div", { class: "columns" }, stage, ui.side));
  ui.said.before(ui.facts);

  // --- the bout shown

  function showBout(hit, span) {
    banner.clear();
    watch.restart();
    const shown = Boolean(hit);
    stage.hidden = !shown;
    ui.side.hidden = !app.behavior;
    ui.empty.hidden = shown;
    drawFacts(hit);
    if (!hit) {
      player.clear();
      return sayEmpty();
    }
    const recording = recordingOf(app.project, hit.recording);
    const range = withContext(recording, hit.start, hit.stop);
    trim.show({ ...range, ...span, shown: [hit.start, hit.stop], fps: recording.fps });
    return player.show({ recording: hit.recording, row: hit, ...span, ...range, at: range.first, autoplay: app.view === "learn" });
  }

  function sayEmpty() {
    if (app.behavior && queue.asking()) return ui.empty.replaceChildren(element("p", {}, "Looking for the next bout …"));
    if (app.behavior) {
      return ui.empty.replaceChildren(element("p", {}, "No proposal at the moment."), element("a", { class: "button main", href: addressOf(app, "search") }, "Search for an example"));
    }
    const begin = element("button", { type: "button", class: "main", onclick: () => newBehavior(app) }, "New behavior …");
    return ui.empty.replaceChildren(element("h2", {}, "From one example to labels"), element("ol", {}, ...STEPS.map((one) => element("li", {}, one))), begin);
  }

  function drawFacts(hit) {
    const { behavior } = app;
    const definition = behavior ? app.behaviorNamed(behavior).definition : "";
    ui.question.replaceChildren(...(behavior ? [element("h2", {}, `Is this ${behavior}?`), element("p", { class: "hint" }, definition)] : []));
    if (!hit) return ui.facts.replaceChildren();
    const { fps } = recordingOf(app.project, hit.recording);
    const rows = [
      ["Why this one", element("span", {}, sourceBadge(hit.source), ` ${hit.reason}`)],
      ["Model says", saidOf(hit)],
      ["Where", hit.title],
      ["When", `${clock(hit.start / fps, 1)} to ${clock(hit.stop / fps, 1)}, ${((hit.stop - hit.start) / fps).toFixed(1)} s`],
      ...(hit.decision ? [["Answered before", `${DECISIONS[hit.decision].sign} ${DECISIONS[hit.decision].words}`]] : []),
    ];
    return ui.facts.replaceChildren(...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  }

  // --- the next ones

  function drawNext(hits) {
    ui.next.replaceChildren(...hits.slice(0, 6).map(card));
    ui.nextTitle.hidden = !hits.length;
    const { model } = app;
    ui.model.textContent = model ? model.message || `Model ${model.version}: learned from ${model.answers} answers, ${model.positives} of them yes.` : "";
    ui.model.classList.toggle("notice", Boolean(model && model.message));
  }

  function card(hit) {
    const place = `${hit.title}, ${clock(hit.start / recordingOf(app.project, hit.recording).fps)}`;
    const button = element("button", { type: "button", class: "next", onclick: () => queue.choose(hit), "aria-label": `Show now: ${place}, ${hit.reason}` },
      stillPose(app, hit, 92, 66), element("span", { class: "words" }, element("span", {}, sourceBadge(hit.source), isKeptBack(hit) || hit.probability === null ? "" : ` ${percent(hit.probability)}`), element("small", {}, place)));
    button.addEventListener("mousedown", (event) => event.preventDefault());
    return element("li", {}, button);
  }

  // --- answers

  async function decide(decision) {
    const hit = queue.current();
    if (!hit || busy) return;
    busy = true;
    const { start, stop } = trim.state;
    const span = decision === "yes" ? { start, stop } : { start: hit.start, stop: hit.stop };
    const given = await giveAnswer(app, hit, decision, span, watch.seconds());
    busy = false;
    if (!given) return;
    say(`${DECISIONS[decision].sign} ${DECISIONS[decision].words}`);
    queue.answer(given.sent);
  }

  async function change(what) {
    if (!app.behavior) return;
    try {
      const reply = await takeBack(app, what);
      if (!reply) return;
      say(reply.sentence);
      banner.clear();
      if (what === "undo") queue.reopen(reply.event);
      else queue.fetchNext();
    } catch (error) {
      banner.show(error);
    }
  }

  function say(text) {
    ui.said.textContent = text;
  }

  const marks = {
    "[": () => trim.setStart(player.frame()),
    "]": () => trim.setStop(player.frame() + 1),
    y: () => decide("yes"), n: () => decide("no"), u: () => decide("unsure"),
    z: () => change("undo"), "Shift+z": () => change("redo"),
  };

  async function begin() {
    banner.clear();
    begun = app.behavior;
    say("");
    await queue.begin();
  }

  app.on("behavior", () => app.view === "learn" && begin());
  app.on("back", () => app.view === "learn" && queue.fetchNext());
  return {
    node,
    keys: () => [marks, player.keys],
    open: () => (begun !== app.behavior || !queue.current() ? begin() : calm() || player.play()),
    close: () => player.pause(),
    player, trim, queue,
  };
}

/** Of bouts drawn at random the probability is not shown: the answer must not follow the model that it judges. */
const isKeptBack = ({ source }) => source === "random";

function saidOf(hit) {
  if (isKeptBack(hit)) return "not shown: this answer judges the model";
  return hit.probability === null ? "nothing yet" : meter(hit.probability);
}

function meter(probability) {
  const bar = element("meter", { min: "0", max: "1", value: probability, "aria-label": "Probability" });
  return element("span", { class: "probability" }, bar, ` ${percent(probability)}`);
}

function makeParts() {
  const question = element("div", { class: "question" });
  const facts = element("dl", { class: "facts" });
  const said = element("p", { class: "said", role: "status", "aria-live": "polite" });
  const model = element("p", { class: "model" });
  const next = element("ol", { class: "queue" });
  const nextTitle = element("h3", { hidden: true }, "Next");
  const side = element("aside", { "aria-label": "About this proposal" }, said, model, nextTitle, next);
  const empty = element("div", { class: "empty", hidden: true });
  return { question, facts, said, model, next, nextTitle, side, empty };
}
