// The panel of the Correct view: what the selected bout is, and all that can be done with it.

import { addressOf } from "./app.js";
import { setOptions } from "./choosers.js";
import { keyButton } from "./keys.js";

const PAUSE = 150;

/** The panel beside the player (`node`) and the limits above it (`limits`); `on` has a function for each button. */
export function makeBoutPanel(app, on) {
  const facts = element("dl", { class: "facts" });
  const title = element("h2", { "aria-live": "polite" }, "No bout selected");
  const said = element("p", { class: "said", role: "status", "aria-live": "polite" });
  const relabel = element("select", { "aria-label": "Relabel to" });
  relabel.addEventListener("change", () => (relabel.blur(), relabel.value && on.relabel(relabel.value), (relabel.value = "")));
  const buttons = [
    [["Previous", ",", () => on.go(-1)], ["Next", ".", () => on.go(1)]],
    [["Accept", "Enter", on.accept], ["Remove", "Del", on.remove]],
    [["Split here", "S", on.split], ["Merge next", "M", on.merge]],
    [["Draw", "D", on.draw], ["Undo", "Z", on.undo], ["Redo", "⇧Z", on.redo]],
  ].map((group) => element("div", { class: "operations" }, ...group.map(([words, key, press]) => keyButton(words, key, press))));
  const edges = element("p", { class: "hint" }, element("kbd", {}, "["), " ", element("kbd", {}, "]"), " set start and stop at the playhead");
  const holder = element("label", {}, "Relabel to", relabel);
  const node = element("aside", { class: "bout-panel", "aria-label": "Selected bout" }, title, facts, ...buttons, holder, edges, said);
  const limits = makeLimits(app, on.limits);

  function show({ data, selected }) {
    const bouts = data ? data.bouts.filter((one) => !one.hidden) : [];
    const hidden = data ? data.bouts.length - bouts.length : 0;
    limits.say(`${bouts.length} bout${bouts.length === 1 ? "" : "s"}${hidden ? `, ${hidden} hidden` : ""}`, data);
    const number = bouts.indexOf(selected) + 1;
    title.textContent = !selected ? "No bout selected" : number ? `Bout ${number} of ${bouts.length}` : "Hidden bout";
    facts.replaceChildren(...(selected ? factsOf(data, selected) : [element("dt", {}, ""), element("dd", {}, "Click a bout, or press . for the next one.")]));
    drawRelabel();
  }

  function drawRelabel() {
    const others = app.project.behaviors.filter(({ name }) => name !== app.behavior);
    holder.hidden = !others.length;
    setOptions(relabel, [["", "another behavior …"], ...others.map(({ name }) => [name, name])]);
  }

  return { node, limits: limits.node, show, say: (text) => (said.textContent = text), chosenLimits: limits.chosen };
}

function factsOf(data, { start, stop, decision, probability }) {
  const state = decision === "yes" ? "✓ accepted" : "predicted";
  const rows = [
    ["Time", `${clock(start / data.fps, 2)} to ${clock(stop / data.fps, 2)}`], ["Frames", `${start} to ${stop - 1}`], ["Length", `${((stop - start) / data.fps).toFixed(2)} s`],
    ["State", probability === null ? state : `${state}, ${percent(probability)}`],
  ];
  return rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
}

/** Two sliders: bouts shorter, or less probable, are hidden; nothing is deleted. */
function makeLimits(app, changed) {
  const length = element("input", { type: "range", min: "1", max: "60", value: "1", "aria-label": "Hide bouts shorter than" });
  const probability = element("input", { type: "range", min: "0", max: "0.99", step: "0.01", value: "0", "aria-label": "Hide bouts below probability" });
  const [lengthWords, probabilityWords, count] = [element("output", {}), element("output", {}), element("span", { class: "count", role: "status" })];
  const threshold = element("a", { title: "Frames from this probability on are predicted. It is chosen in Trust." });
  const node = element("div", { class: "limits" },
    element("label", {}, "Hide bouts shorter than", length, lengthWords), element("label", {}, "below probability", probability, probabilityWords), threshold, count);
  let [fps, least, timer] = [30, 0, null];
  // The browser writes .50 as .5: texts differ where numbers do not.
  const hidesNone = () => Number(probability.value) === Number(probability.min);
  const draw = () => {
    lengthWords.textContent = `${(length.value / fps).toFixed(2)} s`;
    probabilityWords.textContent = percent(Math.max(least, Number(probability.value)));
    length.setAttribute("aria-valuetext", lengthWords.textContent);
    probability.setAttribute("aria-valuetext", probabilityWords.textContent);
  };
  for (const slider of [length, probability]) {
    slider.addEventListener("input", () => {
      draw();
      clearTimeout(timer);
      timer = setTimeout(changed, PAUSE);
    });
  }
  draw();

  /** No bout has a lower probability than the threshold. */
  function follow(data) {
    [fps, least] = [data.fps, data.probability ? data.threshold : 0];
    length.max = Math.max(30, Math.round(3 * fps));
    threshold.textContent = `Threshold ${percent(data.threshold)}`;
    const all = hidesNone();
    probability.min = (Math.floor(least * 100) / 100).toFixed(2);
    if (all) probability.value = probability.min;
  }

  return {
    node,
    chosen: () => ({ minimum_frames: length.value, minimum_probability: hidesNone() ? "0" : probability.value }),
    say(text, data) {
      count.textContent = text;
      threshold.hidden = !data?.probability;
      threshold.href = addressOf(app, "trust");
      if (data) follow(data);
      draw();
    },
  };
}
