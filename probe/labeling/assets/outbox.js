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
  const idle = [];
  let running = false;

  function put(path, body) {
    const entry = { key: body.key, path, body, time: Date.now() };
    const reply = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    write(prefix, entry);
    waiting.push(entry);
    run();
    return reply;
  }

  async function run() {
    if (running) return;
    running = true;
    while (waiting.length) await sendFirst();
    running = false;
    on.state(0, null);
    idle.splice(0).forEach((resolve) => resolve());
  }

  async function sendFirst() {
    const entry = waiting[0];
    on.state(waiting.length, null);
    try {
      const onState = (error, wait) => on.state(waiting.length, error, wait);
      const reply = await persist(() => post(entry.path, entry.body), onState, (error, tries) => error instanceof Failed && tries >= TRIES && waiting.length > 1);
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

  function forget(entry) {
    waiting.splice(waiting.indexOf(entry), 1);
    storage((all) => all.removeItem(prefix + entry.key));
  }

  /** Resolves when nothing waits any more. */
  function settled() {
    return waiting.length ? new Promise((resolve) => idle.push(resolve)) : Promise.resolve();
  }

  return { put, run, settled, bodies: () => waiting.map(({ body }) => body) };
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
