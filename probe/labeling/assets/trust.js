// The Trust view: how good the labels are, as far as the random share of the answers can say.

import { chooseThreshold } from "./answers.js";
import { addressOf, makeBanner } from "./app.js";
import { get } from "./connection.js";
import { calibrationChart, historyChart, intervalBar } from "./trust_charts.js";

const SCORES = [
  ["precision", "Precision", "Of the frames that the model calls the behavior, how many are."],
  ["recall", "Recall", "Of the frames of the behavior, how many the model finds."],
  ["f1", "F1", "Precision and recall in one: their harmonic mean."],
  ["ap", "Average precision", "How well the model ranks frames, over all thresholds."],
  ["share", "Share of all frames", "How much of the recordings is the behavior."],
];

const CALIBRATION = "Of the frames to which the model gives a probability, how many are the behavior. On the diagonal, probabilities can be taken at their word. Lines: 95 % intervals.";
const GUESSED = "Until then, the best threshold is a guess from few answers, and it moves with each of them.";
const PAUSE = 300;
const HISTORY = "The estimate after so many answers, as far as it was worth something.";

/** The view: {node, open}. */
export function makeTrust(app) {
  const banner = makeBanner();
  const message = element("p", { class: "verdict", role: "status" });
  const body = element("div", { class: "trust-grid" });
  const target = makeTarget(() => refresh());
  const threshold = makeThreshold(choose, () => app.behavior);
  const choosing = []; // Behaviors whose threshold is on its way to the server.
  let asked = 0;
  const node = element("div", { class: "trust" }, banner.node, message, body);

  async function refresh() {
    if (app.view !== "trust") return;
    const { behavior } = app;
    if (!behavior) return say({ enough: false, message: "There is no behavior yet." });
    banner.clear();
    const mine = ++asked;
    try {
      const trust = await get("/api/trust", { behavior, target: target.value() });
      if (mine === asked && behavior === app.behavior) draw(trust);
    } catch (error) {
      banner.show(error);
    }
  }

  async function choose(probability, behavior) {
    const forget = () => choosing.splice(choosing.indexOf(behavior), 1);
    banner.clear();
    choosing.push(behavior);
    try {
      const given = await chooseThreshold(app, behavior, probability);
      if (given) await given.sent;
      forget();
      if (!given) await refresh();
    } catch (error) {
      forget();
      await refresh();
      banner.show(error);
    }
  }

  function say({ enough, message: text, answers }) {
    message.classList.toggle("enough", enough);
    message.replaceChildren(element("strong", {}, enough ? "✓ An honest estimate:" : "⚠ Not to be trusted yet:"), " ", text || `From ${answers} answers to bouts drawn at random, which no search and no model chose.`,
      ...(enough || !app.behavior ? [] : [" ", element("a", { href: addressOf(app, "learn") }, "Go on in Learn")]));
  }

  function draw(trust) {
    say(trust);
    body.classList.toggle("worthless", !trust.enough);
    target.show(trust);
    // An estimate from before the choice would move the slider back.
    if (!choosing.includes(app.behavior)) threshold.show(trust);
    const width = 460;
    const focused = document.activeElement;
    const known = trust.history.length > 1;
    const calibrated = trust.enough && trust.calibration.length > 0;
    const estimates = panel("Estimates", trust.best_threshold === null ? null : [threshold.node, trust.enough ? scores(trust) : element("p", { class: "hint" }, GUESSED)], basis(trust));
    const calibration = panel("Calibration", calibrated ? calibrationChart(trust.calibration, width) : later(), calibrated && CALIBRATION);
    const history = panel("Average precision over answers", known ? historyChart(trust.history, width, trust.enough) : later(), known && HISTORY);
    body.replaceChildren(element("div", {}, estimates, history), element("div", {}, panel("Time to go", target.node), calibration));
    if (body.contains(focused)) focused.focus();
  }

  app.on("behavior", () => (threshold.settle(), refresh()));
  for (const change of ["answers", "back"]) app.on(change, refresh);
  return { node, open: refresh };
}

const later = () => element("p", { class: "hint" }, "Appears with more answers.");
const basis = ({ answers, positives }) => `${answers} random answers so far, ${positives} of them yes.`;

function panel(title, content, hint = null) {
  return element("section", { class: "panel" }, element("h2", {}, title), ...[content].flat().filter(Boolean), hint ? element("p", { class: "hint" }, hint) : null);
}

function scores(trust) {
  const rows = SCORES.map(([key, name, words]) => {
    const value = trust[key];
    const cells = value
      ? [element("td", { class: "value" }, percent(value.value)), element("td", { class: "interval" }, `${percent(value.low)} – ${percent(value.high)}`), element("td", { class: "bar-cell" }, intervalBar(value, name))]
      : [element("td", { class: "value" }, "–"), element("td", { class: "interval" }, "unknown"), element("td", {})];
    return element("tr", {}, element("th", { scope: "row" }, name, element("small", {}, words)), ...cells);
  });
  const head = element("tr", {}, ...["", "Value", "95 % interval", ""].map((text) => (text ? element("th", { scope: "col" }, text) : element("td", {}))));
  return element("table", { class: "scores" }, element("thead", {}, head), element("tbody", {}, ...rows));
}

/** The probability from which a frame counts as the behavior; `chosen(probability, behavior)` hears of another one, and of null for the best. */
function makeThreshold(chosen, behavior) {
  const slider = element("input", { type: "range", min: "0.01", max: "0.99", step: "0.01", "aria-label": "Threshold" });
  const words = element("output", {});
  const best = element("button", { type: "button" });
  const draw = () => (words.textContent = percent(Number(slider.value)));
  let waiting = null;
  const settle = () => {
    if (!waiting) return;
    clearTimeout(waiting.timer);
    const about = waiting.about;
    waiting = null;
    chosen(Number(slider.value), about);
  };
  slider.addEventListener("input", draw);
  // With the arrow keys, many values pass by.
  slider.addEventListener("change", () => {
    clearTimeout(waiting?.timer);
    waiting = { about: behavior(), timer: setTimeout(settle, PAUSE) };
  });
  best.addEventListener("click", () => chosen(null, behavior()));
  const hint = element("p", { class: "hint" }, "A frame counts as the behavior from this probability on: in Correct, in files and in the saved model. Higher: fewer frames that are wrong. Lower: fewer that are missed.");
  const node = element("div", { class: "threshold" }, element("label", {}, "Threshold", slider, words), best, hint);
  return {
    node,
    settle,
    show({ threshold, best_threshold: known }) {
      if (!waiting) slider.value = threshold;
      draw();
      best.disabled = known === threshold;
      best.textContent = `${known === threshold ? "✓ " : ""}Best F1${known === null ? "" : `: ${percent(known)}`}`;
    },
  };
}

/** The wanted precision, and the time that it takes. */
function makeTarget(changed) {
  const field = element("input", { type: "number", min: "50", max: "99", step: "1", value: "90", "aria-label": "Wanted precision in percent" });
  const words = element("p", { class: "time-to-go", role: "status" });
  const pace = element("p", { class: "hint" });
  const node = element("div", {}, element("label", {}, "Wanted precision", field, "%"), words, pace);
  field.addEventListener("change", () => field.reportValidity() && changed());
  return {
    node,
    value: () => Math.min(0.99, Math.max(0.5, Number(field.value) / 100 || 0.9)),
    show({ target_message: text, seconds_to_target: seconds, seconds_per_answer: each }) {
      words.textContent = seconds === null || seconds === undefined ? text : `${duration(seconds)}. ${text}`;
      pace.textContent = each ? `An answer takes you ${each.toFixed(1)} s (median).` : "";
    },
  };
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(seconds / 3600).toFixed(1)} h`;
}
