// Requests to the server, and the ways in which they fail.

/** The server says no, with one sentence for the page. */
export class Refused extends Error {}

/** The server is still preparing: which stage, and which share of it is done. */
export class Preparing extends Error {
  constructor(message, { stage = "", share = 0 } = {}) {
    super(message);
    Object.assign(this, { stage, share });
  }
}

/** No answer: it is worth another try. */
export class Lost extends Error {}

/** An answer that says nothing about the request: a full disk, a locked project, a fault, an old address. Another try may succeed. */
export class Failed extends Lost {}

/** The server does not know this browser any more: it was started again. */
const UNKNOWN_HERE = [401, 403, 421];
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
    throw heard(new Lost(LOST));
  }
  if (response.ok) return response;
  throw heard(await failure(response));
}

let listener = () => {};

/** `listen(error)` hears of each request that found no server, or one that prepares. */
export const onLost = (listen) => (listener = listen);

function heard(error) {
  if (error instanceof Preparing || (error instanceof Lost && !(error instanceof Failed))) listener(error);
  return error;
}

async function failure(response) {
  const { error, preparing } = await response.json().catch(() => ({}));
  if (preparing) return new Preparing(error, preparing);
  const Kind = response.status >= 500 || UNKNOWN_HERE.includes(response.status) ? Failed : Refused;
  return new Kind(error || `The application answered with error ${response.status}.`);
}

/** Call `attempt` until it is not Lost or Preparing, after longer and longer pauses. `onState(error, pause)` is called after each failure, and with null at success.
 * It throws the error where `enough(error, tries)` is true. */
export async function persist(attempt, onState, enough = () => false) {
  for (let [pause, tries] = [500, 1]; ; [pause, tries] = [Math.min(pause * 2, 10_000), tries + 1]) {
    try {
      const value = await attempt();
      onState(null);
      return value;
    } catch (error) {
      if (!(error instanceof Lost || error instanceof Preparing) || enough(error, tries)) throw error;
      const wait = error instanceof Preparing ? 700 : pause;
      onState(error, wait);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
