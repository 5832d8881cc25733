// The start: the project, then the view that the address names.

import { makeApp, readAddress, refreshProject, scopeOf, takeReply, writeAddress } from "./app.js";
import { Failed, Preparing, Refused, get, onLost, persist } from "./connection.js";
import { showHelp } from "./dialogs.js";
import { makeHeader, sayLost, sayPreparing, saySaving } from "./header.js";
import { listenForKeys } from "./keys.js";
import { makeLearn } from "./learn.js";
import { makeOutbox, storage } from "./outbox.js";
import { makeCorrect } from "./correct.js";
import { makeSearch } from "./search.js";
import { makeTake } from "./take.js";
import { makeTracks } from "./tracks.js";
import { makeTrust } from "./trust.js";

const MAKERS = { learn: makeLearn, search: makeSearch, correct: makeCorrect, trust: makeTrust, take: makeTake };

async function start() {
  const app = makeApp();
  app.project = await prepared();
  app.tracks = makeTracks(app.project);
  const kept = storage((all) => all.getItem(`${scopeOf(app.project)}/behavior`));
  app.behavior = app.behaviorNamed(kept) ? kept : (app.project.behaviors[0] || { name: null }).name;
  readAddress(app);
  app.outbox = makeOutbox(scopeOf(app.project), outboxEvents(app));
  makeHeader(app);
  makeViews(app);
  followOthers(app);
  watchConnection(app);
  followHeight();
  app.outbox.run();
  document.documentElement.dataset.ready = "yes";
  // For whoever wants to look from the browser's console.
  window.labels = app;
}

/** The project, as soon as the server has prepared it. */
async function prepared() {
  return persist(async () => {
    const project = await get("/api/project");
    if (project.preparing) throw new Preparing("The recordings are being prepared.", project.preparing);
    return project;
  }, sayLost, (error) => error instanceof Failed);
}

function outboxEvents(app) {
  const others = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("ssl-behavior-labels");
  let lost = false;
  if (others) others.onmessage = ({ data }) => data === app.project.project && heard(app);
  return {
    state(waiting, error, wait) {
      saySaving(waiting, error, wait);
      if (lost && !error) app.tell("back");
      lost = Boolean(error);
    },
    kept(entry, reply) {
      takeReply(app, entry.body.behavior, reply);
      others?.postMessage(app.project.project);
      app.tell("answers");
    },
    refused: (entry, error) => app.tell("refused", error),
  };
}

/** Another tab has stored an answer. */
const heard = (app) => refreshProject(app).then(() => app.tell("answers"), () => null);

/** The stages of the players take the height that head and banners leave. */
function followHeight() {
  const measure = () => document.documentElement.style.setProperty("--top", `${$("#view").offsetTop}px`);
  const watch = new ResizeObserver(measure);
  for (const part of [$("#header"), $("#banners")]) watch.observe(part);
  measure();
}

/** After a request without an answer: ask until there is one, then let the views ask again. */
function watchConnection(app) {
  let asking = false;
  onLost(async () => {
    if (asking) return;
    asking = true;
    await persist(() => get("/api/project"), sayLost).catch(() => null);
    asking = false;
    app.tell("back");
  });
}

/** Answers of other annotators and tabs: looked for when this tab comes back to the front. */
function followOthers(app) {
  document.addEventListener("visibilitychange", () => !document.hidden && heard(app));
}

function makeViews(app) {
  const views = {};
  let shown = null;
  const root = $("#view");
  function show() {
    readAddress(app);
    views[app.view] ||= addView(app, root);
    const view = views[app.view];
    if (shown && shown !== view) {
      shown.close?.();
      shown.node.hidden = true;
    }
    view.node.hidden = false;
    const changed = shown !== view;
    shown = view;
    writeAddress(app);
    app.tell("address");
    if (changed) view.open?.();
    else view.moved?.();
  }
  app.views = views;
  window.addEventListener("hashchange", show);
  listenForKeys(() => [...(shown?.keys ? shown.keys() : []), { "?": showHelp }]);
  show();
}

function addView(app, root) {
  const view = MAKERS[app.view](app);
  view.node.classList.add("view");
  root.append(view.node);
  return view;
}

start().catch((error) => {
  sayPreparing(null);
  const lost = $("#lost");
  lost.hidden = false;
  lost.textContent = error instanceof Refused || error instanceof Failed ? error.message : `This page could not be drawn: ${error.message}`;
  throw error;
});
