// The proposals of the Learn view: the one shown, and the next ones.

import { recordingOf } from "./actors.js";
import { scopeOf, takeReply } from "./app.js";
import { post } from "./connection.js";
import { storage } from "./outbox.js";
import { withContext } from "./player.js";

const AT_ONCE = 7;

const overlap = (a, b) => a.row === b.row && a.start < b.stop && b.start < a.stop;

/** The queue of a behavior. `on.current(hit, span)` hears of another bout to be shown, `on.next(hits)` of others behind it, `on.failed(error)`. */
export function makeProposals(app, on) {
  const given = [];
  let asking = false;
  let [current, next, behavior, turn] = [null, [], null, 0];

  /** Whether an answer to a hit is on its way. */
  const sending = (hit) => app.outbox.bodies().some((body) => body.behavior === behavior && overlap({ row: body.row, start: body.shown_start, stop: body.shown_stop }, hit));

  /** Begin with a behavior: with the bout that a reload interrupted, if there is one. */
  async function begin() {
    [behavior, next, current] = [app.behavior, [], null];
    given.length = 0;
    if (!behavior) return on.current(null);
    const kept = keptBout();
    asking = true;
    if (kept) set(kept.hit, kept);
    else on.current(null);
    return fetchNext();
  }

  async function fetchNext() {
    const mine = ++turn;
    asking = true;
    try {
      const reply = await post("/api/proposals", { behavior, annotator: app.annotator, k: AT_ONCE });
      if (mine !== turn || behavior !== app.behavior) return;
      asking = false;
      takeReply(app, behavior, reply);
      const open = (hit) => !sending(hit) && !(current && overlap(current, hit));
      next = reply.proposals.filter(open);
      prefetch();
      if (current || !next.length) on.next(next);
      if (!current) advance();
    } catch (error) {
      if (mine === turn) on.failed(error);
    }
  }

  /** Tracks of the next bouts: each starts at once. */
  function prefetch() {
    for (const hit of next) {
      const { first, last } = withContext(recordingOf(app.project, hit.recording), hit.start, hit.stop);
      app.tracks.load(hit.recording, first, last).catch(() => null);
    }
  }

  function set(hit, span = hit) {
    current = hit;
    keep(span);
    on.current(hit, span && { start: span.start, stop: span.stop });
    on.next(next);
  }

  function advance() {
    set(next.shift() || null);
  }

  /** The shown bout was answered: show the next one, and ask for better ones when the answer has arrived. */
  function answer(sent) {
    given.push(current);
    asking = true;
    advance();
    // A refusal is said after the fetch: the next bout would clear it.
    sent.then(fetchNext, (error) => fetchNext().then(() => on.failed(error)));
  }

  /** Show the bout of an answer that was taken back, if it was given here; then ask for other proposals. */
  function reopen(event) {
    const place = event && (event.row ? event : (event.edits || []).at(-1));
    const at = place ? given.findLastIndex((hit) => overlap(hit, place)) : -1;
    if (at >= 0) choose(...given.splice(at, 1));
    return fetchNext();
  }

  /** Show another bout now; the one shown goes to the front of the next ones. */
  function choose(hit) {
    next = [...(current ? [current] : []), ...next.filter((one) => one !== hit)];
    set(hit);
  }

  const slot = () => `${scopeOf(app.project)}/learn/${behavior}`;
  function keep(span) {
    storage((all) => (current ? all.setItem(slot(), JSON.stringify({ hit: current, start: span.start, stop: span.stop })) : all.removeItem(slot())), "sessionStorage");
  }

  function keptBout() {
    const kept = storage((all) => JSON.parse(all.getItem(slot())), "sessionStorage");
    return kept && recordingOf(app.project, kept.hit.recording) && !sending(kept.hit) ? kept : null;
  }

  return { asking: () => asking, begin, fetchNext, answer, choose, reopen, keep, current: () => current };
}
