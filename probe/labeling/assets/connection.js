// Requests to the server, and the three ways in which they fail.

/** The server says no, with one sentence for the page. */
export class Refused extends Error {}

/** The server is still preparing: which stage, and which share of it is done. */
export class Preparing extends Error {
  constructor(message, { stage = "", share = 0 } = {}) {
    super(message);
    Object.assign(this, { stage, share });
  }
}

/** No answer, or an answer that says nothing about the request: it is worth another try. */
export class Lost extends Error {}

const LOST = "The application does not answer. Is it still running in the terminal?";

/** GET: an object from JSON. */
export async function get(path, query = {}, signal = null) {
  return (await ask(address(path, query), { signal })).json();
}

/** GET: bytes. */
export async function getBytes(path, query, signal = null) {
  return (await ask(address(path, query), { signal })).arrayBuffer();
}

/** POST of an object as JSON: an object. */
export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

/** An address with a query; null and undefined are left out. */
export function address(path, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return kept.length ? `${path}?${new URLSearchParams(kept)}` : path;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Lost(LOST);
  }
  if (response.ok) return response;
  throw await failure(response);
}

async function failure(response) {
  const { error, preparing } = await response.json().catch(() => ({}));
  if (response.status === 503) return new Preparing(error || "The recordings are being prepared.", preparing || {});
  if (response.status >= 500) return new Lost(error || `The application failed (${response.status}).`);
  return new Refused(error || `The application refused this (${response.status}). Reload the page with the address in the terminal.`);
}

/** Call `attempt` until it is not Lost or Preparing, after longer and longer pauses; `told` hears of each failure, and null at success. */
export async function persist(attempt, told, stopped = () => false) {
  for (let pause = 500; ; pause = Math.min(pause * 2, 10_000)) {
    try {
      const value = await attempt();
      told(null);
      return value;
    } catch (error) {
      if (!(error instanceof Lost || error instanceof Preparing) || stopped()) throw error;
      const wait = error instanceof Preparing ? 700 : pause;
      told(error, wait);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
