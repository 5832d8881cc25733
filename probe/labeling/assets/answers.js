// Giving answers, and taking them back.

import { refreshProject, takeReply } from "./app.js";
import { post } from "./connection.js";
import { annotatorOf } from "./header.js";
import { newKey } from "./outbox.js";

/** The decisions: their keys, words and signs. */
export const DECISIONS = {
  yes: { key: "Y", words: "Yes", sign: "✓" },
  no: { key: "N", words: "No", sign: "✕" },
  unsure: { key: "U", words: "Not sure", sign: "?" },
};

/** Words and sign of where a proposal comes from. */
const SOURCES = {
  search: ["≈", "similar"], sentence: ["§", "rule"], uncertain: ["½", "uncertain"], confident: ["▲", "confident"],
  unseen: ["◇", "new recording"], diverse: ["✧", "different"], random: ["⚂", "at random"],
};

/** The source of a proposal as a small sign with a word. */
export function sourceBadge(source) {
  const [sign, word] = SOURCES[source] || ["·", source];
  return element("span", { class: `source ${source}` }, element("span", { "aria-hidden": "true" }, sign), word);
}

/** Seconds that a bout was looked at: a hidden tab does not count. */
export function makeStopwatch() {
  let [total, since] = [0, performance.now()];
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) total += performance.now() - since;
    since = performance.now();
  });
  return {
    restart: () => ([total, since] = [0, performance.now()]),
    seconds: () => Math.round(total + (document.hidden ? 0 : performance.now() - since)) / 1000,
  };
}

/** Send an answer; null where nobody's name was given, else a promise of the reply in `sent`. */
export async function giveAnswer(app, hit, decision, { start, stop }, seconds) {
  const annotator = await annotatorOf(app);
  if (!annotator) return null;
  const { row, source, ticket } = hit;
  const body = { key: newKey(), behavior: app.behavior, annotator, row, start, stop, shown_start: hit.start, shown_stop: hit.stop, decision, source, ticket, seconds };
  return { sent: app.outbox.put("/api/answers", body) };
}

/** Send edits of bouts as one step; null where nobody's name was given. */
export async function giveEdits(app, kind, edits) {
  const annotator = await annotatorOf(app);
  if (!annotator) return null;
  return { sent: app.outbox.put("/api/edits", { key: newKey(), behavior: app.behavior, annotator, kind, edits }) };
}

/** Choose the probability from which frames count as a behavior, null for the best; null where nobody's name was given. */
export async function chooseThreshold(app, behavior, probability) {
  const annotator = await annotatorOf(app);
  if (!annotator) return null;
  const body = { key: newKey(), behavior, annotator, ...(probability === null ? {} : { probability }) };
  return { sent: app.outbox.put("/api/threshold", body) };
}

/** Take back the last step of this annotator, or give it again ("undo", "redo"); the reply. */
export async function takeBack(app, what) {
  const annotator = await annotatorOf(app);
  if (!annotator) return null;
  const { behavior } = app;
  const reply = await app.outbox.inTurn(() => post(`/api/${what}`, { behavior, annotator }));
  takeReply(app, behavior, reply);
  await refreshProject(app);
  app.tell("answers");
  return reply;
}
