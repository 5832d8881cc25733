// The head of the page: behavior, counts, who answers, whether all is saved, the views, and what to do next.

import { VIEWS, addressOf, chooseBehavior, refreshProject, scopeOf, writeAddress } from "./app.js";
import { setOptions } from "./choosers.js";
import { askForAnnotator, askForBehavior, showHelp } from "./dialogs.js";
import { storage } from "./outbox.js";

const FEW = 10;

/** Fill the head, and keep it up to date. */
export function makeHeader(app) {
  const [select, name] = [$("#behavior"), $("#annotator")];
  $("#title").textContent = app.project.title;
  document.title = `${app.project.title} · labels`;
  app.annotator = storage((all) => all.getItem(`${scopeOf(app.project)}/annotator`)) || app.project.annotator;
  name.value = app.annotator;
  name.addEventListener("change", () => setAnnotator(app, name.value.trim()));
  name.addEventListener("keydown", (event) => event.key === "Enter" && name.blur());
  select.addEventListener("change", () => {
    chooseBehavior(app, select.value);
    select.blur();
  });
  $("#new-behavior").addEventListener("click", () => newBehavior(app));
  $("#help").addEventListener("click", showHelp);
  for (const change of ["project", "behavior", "counts", "address"]) app.on(change, () => draw(app));
  app.on("behavior", () => writeAddress(app));
  for (const notice of app.project.notices) $("#notices").append(noticeOf(notice));
  draw(app);
}

function noticeOf(text) {
  const close = element("button", { type: "button", "aria-label": "Close this notice", onclick: () => node.remove() }, "✕");
  const node = element("p", { class: "notice" }, element("span", {}, text), close);
  return node;
}

/** Ask for a new behavior and choose it. */
export async function newBehavior(app) {
  const made = await askForBehavior(app);
  if (!made) return;
  await refreshProject(app);
  chooseBehavior(app, made.name);
}

function setAnnotator(app, value) {
  app.annotator = value;
  $("#annotator").value = value;
  storage((all) => all.setItem(`${scopeOf(app.project)}/annotator`, value));
}

/** The annotator's name, asked for where there is none; "" where it was not given. */
export async function annotatorOf(app) {
  if (!app.annotator) {
    const value = await askForAnnotator(app);
    if (value) setAnnotator(app, value);
  }
  return app.annotator;
}

function draw(app) {
  drawBehaviors(app);
  drawCounts(app);
  drawTabs(app);
  $("#next-step").textContent = nextStep(app);
}

function drawBehaviors(app) {
  const select = $("#behavior");
  const options = app.project.behaviors.map(({ name }) => [name, name]);
  setOptions(select, options.length ? options : [["", "none yet"]]);
  select.value = app.behavior || "";
  select.disabled = !options.length;
  select.title = app.behavior ? app.behaviorNamed(app.behavior).definition : "";
}

function drawCounts(app) {
  const one = app.behavior && app.behaviorNamed(app.behavior);
  const line = $("#counts");
  if (!one) return line.replaceChildren();
  const parts = [["yes", `✓ ${one.yes}`, "yes"], ["no", `✕ ${one.no}`, "no"], ["unsure", `? ${one.unsure}`, "not sure"], ["random", `⚂ ${one.random}`, "at random"]];
  const texts = parts.flat().join(" ");
  // The same text is not read aloud again.
  if (line.dataset.said === texts) return null;
  line.dataset.said = texts;
  return line.replaceChildren(...parts.map(([kind, text, words]) => element("span", { class: `count ${kind}`, title: kind === "random" ? "Answers to proposals drawn at random: they make the estimate honest" : `Bouts answered ${words}` }, `${text} `, element("span", { class: "word" }, words))));
}

function drawTabs(app) {
  const links = Object.entries(VIEWS).map(([view, title]) =>
    element("a", { href: addressOf(app, view), "aria-current": view === app.view ? "page" : null }, title));
  replaceWithFocus($("#tabs"), links);
}

/** One sentence: what to do next. */
function nextStep(app) {
  const one = app.behavior && app.behaviorNamed(app.behavior);
  if (!one) return "Start with a behavior: name it, and say in one sentence what counts as it.";
  const answers = one.yes + one.no + one.unsure;
  if (!one.yes) return "Find one example first: in Search, mark a bout and find similar ones, or write a rule.";
  if (answers < FEW) return "Answer yes, no or not sure to a few more bouts: the proposals get better with every answer.";
  if (!one.random) return "Go on in Learn: proposals drawn at random make an honest estimate possible.";
  return "Go on in Learn until Trust is satisfied, then go through whole recordings in Correct.";
}

/** Say whether all is saved: only what the server acknowledged is. */
export function saySaving(waiting, error, wait) {
  const line = $("#saving");
  const kind = !waiting ? "saved" : error ? "kept" : "saving";
  const answers = `${waiting} answer${waiting === 1 ? "" : "s"}`;
  const text = { saved: "✓ Saved", saving: "Saving …", kept: `⚠ ${answers} not saved yet` }[kind];
  if (line.textContent !== text) line.textContent = text;
  line.className = kind;
  sayLost(error, wait);
}

/** The banner of a lost connection; null takes it away. */
export function sayLost(error, wait = 0) {
  const lost = $("#lost");
  const preparing = error && error.share !== undefined;
  lost.hidden = !error || preparing;
  if (!lost.hidden) lost.textContent = `${error.message.replace(/\.?$/, ".")} Trying again in ${Math.round(wait / 1000) || 1} s; answers that are not saved are kept in this browser.`;
  sayPreparing(preparing ? error : null);
}

/** The progress of the preparation; null takes it away. */
export function sayPreparing(state) {
  const box = $("#preparing");
  box.hidden = !state;
  if (!state) return;
  $("p", box).textContent = `Preparing: ${state.stage || "reading the embeddings"}. This takes a moment, only the first time.`;
  $("progress", box).value = state.share || 0;
}
