// What all views share: the project, the chosen behavior, who answers, and who listens for changes.

import { Failed, Lost, Preparing, get } from "./connection.js";
import { storage } from "./outbox.js";

export const VIEWS = { learn: "Learn", search: "Search", correct: "Correct", trust: "Trust", take: "Take away" };

/** The state of this tab. Listeners hear of a change by its name: "project", "behavior", "counts", "model", "address", "answers". */
export function makeApp() {
  const listeners = {};
  const app = {
    project: null, behavior: null, model: null, tracks: null, outbox: null,
    annotator: "", view: "learn", query: new URLSearchParams(),
    on: (name, listener) => (listeners[name] ||= []).push(listener),
    tell: (name, value) => (listeners[name] || []).forEach((listener) => listener(value)),
    behaviorNamed: (name) => app.project.behaviors.find((one) => one.name === name),
  };
  return app;
}

/** Name of what this browser keeps for a project: another project at the same address has another. */
export const scopeOf = (project) => `ssl-behavior/${project.project}`;

/** Fetch the project again: counts, behaviors, annotators. */
export async function refreshProject(app) {
  const project = await get("/api/project");
  const broken = new Set(app.project.recordings.filter((one) => one.broken).map((one) => one.id));
  project.recordings.forEach((one) => (one.broken = broken.has(one.id)));
  app.project = project;
  app.tell("project");
}

/** Choose a behavior for this tab. */
export function chooseBehavior(app, name) {
  if (app.behavior === name) return;
  app.behavior = name;
  app.model = null;
  storage((all) => all.setItem(`${scopeOf(app.project)}/behavior`, name || ""), "localStorage");
  app.tell("behavior");
}

/** The numbers that came with an answer's acknowledgment. */
export function takeReply(app, behavior, { counts, model }) {
  const known = app.behaviorNamed(behavior);
  if (known && counts) Object.assign(known, counts);
  if (behavior === app.behavior && model) app.model = model;
  app.tell("counts");
}

// --- the address: #VIEW?behavior=NAME&row=ROW&frame=NUMBER

/** Read view, behavior and the view's own settings from the address. */
export function readAddress(app) {
  const [name, query] = location.hash.replace(/^#\/?/, "").split("?");
  app.view = VIEWS[name] ? name : "learn";
  app.query = new URLSearchParams(query || "");
  const wanted = app.query.get("behavior");
  if (wanted && app.behaviorNamed(wanted)) chooseBehavior(app, wanted);
}

/** The address of a view with settings. */
export function addressOf(app, view, settings = {}) {
  const entries = Object.entries({ behavior: app.behavior, ...settings }).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#${view}${entries.length ? `?${new URLSearchParams(entries)}` : ""}`;
}

/** Change the settings of this view in the address, without a step in the history. */
export function writeAddress(app, settings = {}) {
  const hash = addressOf(app, app.view, { ...Object.fromEntries(app.query), ...settings, behavior: app.behavior });
  app.query = new URLSearchParams(hash.split("?")[1] || "");
  if (hash !== location.hash) history.replaceState(null, "", hash);
}

/** A sentence beside what failed: it stays until the next attempt. Of a lost connection, the head of the page speaks. */
export function makeBanner() {
  const node = element("p", { class: "trouble", role: "alert", hidden: true });
  const elsewhere = (error) => error instanceof Preparing || (error instanceof Lost && !(error instanceof Failed));
  return {
    node,
    show(error) {
      Object.assign(node, { textContent: error.message || String(error), hidden: elsewhere(error) });
      node.scrollIntoView({ block: "nearest" });
    },
    clear: () => Object.assign(node, { textContent: "", hidden: true }),
  };
}
