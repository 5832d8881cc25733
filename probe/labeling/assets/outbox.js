// Answers on their way: each is kept in this browser until the server acknowledged it, and sent again after a reload.
// The key of an answer makes a second arrival harmless, also where two tabs send the same one.

import { Failed, persist, post } from "./connection.js";

const TRIES = 3;

/** A new key: random, also where `randomUUID` is missing. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return crypto.randomUUID ? crypto.randomUUID() : [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The outbox of a project. `on.state(waiting, error, wait)` hears of each change, `on.kept(entry, reply)` of each acknowledgment. */
export function makeOutbox(scope, on) {
  const prefix = `${scope}/waiting/`;
  const waiting = readEntries(prefix);
  const answers = () => waiting.filter(({ task }) => !task);
  let running = false;

  function put(path, body) {
    const entry = { key: body.key, path, body, time: Date.now() };
    const reply = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    write(prefix, entry);
    waiting.push(entry);
    run();
    return reply;
  }

  /** Do something when all that was put before is acknowledged, and before all that is put later: the server hears of steps in the order of the keys. */
  function inTurn(task) {
    return new Promise((resolve, reject) => {
      waiting.push({ task, resolve, reject, after: answers() });
      run();
    });
  }

  async function run() {
    if (running) return;
    running = true;
    while (waiting.length) await sendFirst();
    running = false;
    on.state(0, null);
  }

  async function sendFirst() {
    const entry = waiting[0];
    if (entry.task) return runFirst(entry);
    on.state(answers().length, null);
    try {
      const onState = (error, wait) => on.state(answers().length, error, wait);
      const reply = await persist(() => post(entry.path, entry.body), onState, (error, tries) => error instanceof Failed && tries >= TRIES && answers().length > 1);
      forget(entry);
      on.kept(entry, reply);
      entry.resolve?.(reply);
    } catch (error) {
      // What fails again and again lets the others pass, and stays.
      if (error instanceof Failed) return waiting.push(waiting.shift());
      forget(entry);
      on.refused(entry, error);
      entry.reject?.(error);
    }
    return null;
  }

  async function runFirst(entry) {
    // An answer before it that failed has let it pass.
    if (entry.after.some((one) => waiting.includes(one))) return waiting.push(waiting.shift());
    await entry.task().then(entry.resolve, entry.reject);
    return waiting.splice(waiting.indexOf(entry), 1);
  }

  function forget(entry) {
    if (waiting.includes(entry)) waiting.splice(waiting.indexOf(entry), 1);
    storage((all) => all.removeItem(prefix + entry.key));
  }

  /** Resolves when all that was put before is acknowledged. */
  const settled = () => inTurn(() => Promise.resolve());

  return { put, run, inTurn, settled, bodies: () => answers().map(({ body }) => body) };
}

function readEntries(prefix) {
  const entries = storage((all) => Object.keys(all).filter((name) => name.startsWith(prefix)).map((name) => JSON.parse(all.getItem(name)))) || [];
  return entries.sort((a, b) => a.time - b.time);
}

function write(prefix, { key, path, body, time }) {
  storage((all) => all.setItem(prefix + key, JSON.stringify({ key, path, body, time })));
}

/** The browser's storage, or null where it is full or forbidden. */
export function storage(use, where = "localStorage") {
  try {
    return use(window[where]);
  } catch {
    return null;
  }
}
