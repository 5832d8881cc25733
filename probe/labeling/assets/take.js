// The Take away view: labels into the store, labels as files, the model as a saved probe.

import { makeBanner } from "./app.js";
import { post } from "./connection.js";

/** The view: {node, open}. */
export function makeTake(app) {
  const choice = element("fieldset", {}, element("legend", {}, "Behaviors"));
  const boxes = element("div", { class: "boxes" });
  choice.append(boxes);
  const chosen = () => $$("input:checked", boxes).map(({ value }) => value);
  const cards = element("div", { class: "take-cards" }, toStore(app, chosen), toFiles(app, chosen), toProbe(app, chosen));
  const node = element("div", { class: "take" }, choice, cards);

  function drawChoice() {
    const off = new Set($$("input:not(:checked)", boxes).map(({ value }) => value));
    boxes.replaceChildren(...app.project.behaviors.map(({ name, yes }) =>
      element("label", {}, element("input", { type: "checkbox", value: name, checked: !off.has(name) }), name, element("small", {}, `${yes} yes`))));
    if (!app.project.behaviors.length) boxes.replaceChildren(element("p", { class: "hint" }, "There is no behavior yet."));
  }

  for (const change of ["project", "counts"]) app.on(change, () => app.view === "take" && drawChoice());
  return { node, open: drawChoice };
}

/** A card with a form; `body(form)` makes the request. */
function card(app, chosen, { title, words, parts, action, body, done = () => {} }) {
  const banner = makeBanner();
  const result = element("div", { role: "status", "aria-live": "polite" });
  const go = element("button", { class: "main" }, action);
  const form = element("form", {}, ...parts, go);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    banner.clear();
    result.replaceChildren();
    go.disabled = true;
    try {
      if (!chosen().length) throw new Error("Choose at least one behavior above.");
      await app.outbox.settled();
      const { sentence, notices } = await post("/api/take", { ...(await body(form)), behaviors: chosen() });
      result.replaceChildren(element("p", { class: "done" }, `✓ ${sentence}`), ...(notices || []).map((text) => element("p", { class: "notice" }, text)));
      done();
    } catch (error) {
      banner.show(error);
    }
    go.disabled = false;
  });
  return element("section", { class: "panel" }, element("h2", {}, title), element("p", {}, ...[words].flat()), form, banner.node, result);
}

function toStore(app, chosen) {
  const overwrite = element("input", { type: "checkbox", name: "overwrite" });
  const annotator = element("input", { name: "annotator", placeholder: "by those who answered", autocomplete: "off" });
  const { streams, store } = app.project;
  return card(app, chosen, {
    title: "Labels into the store",
    words: `Each behavior becomes a label stream of the store ${store}. Training, reports and benchmarks can use it.`,
    parts: [
      element("p", { class: "hint" }, streams.length ? `Streams in the store: ${streams.join(", ")}.` : "The store has no label streams yet."),
      element("label", {}, "Annotator", annotator),
      element("label", {}, overwrite, "Replace a stream of the same name"),
    ],
    action: "Write to the store",
    body: async () => ({ what: "store", annotator: annotator.value.trim(), overwrite: overwrite.checked }),
  });
}

const CONTENTS = { all: "Whole recordings: answers, and elsewhere predictions from the threshold on", answers: "Only what was answered" };

function toFiles(app, chosen) {
  const format = element("select", { name: "format" }, ...app.project.formats.map((one) => element("option", { value: one }, one)));
  const radios = Object.entries(CONTENTS).map(([value, words], i) =>
    element("label", { class: "radio" }, element("input", { type: "radio", name: "content", value, checked: i === 0 }), words));
  return card(app, chosen, {
    title: "Files for other programs",
    words: `One file for each recording, in the folder exports of ${app.project.project}.`,
    parts: [element("label", {}, "Format", format), element("fieldset", {}, element("legend", {}, "Content"), ...radios)],
    action: "Write files",
    body: async (form) => ({ what: "files", format: format.value, content: new FormData(form).get("content") }),
  });
}

function toProbe(app, chosen) {
  return card(app, chosen, {
    title: "The model",
    words: [`A saved probe in the folder probe of ${app.project.project}. The command `, element("code", {}, "ssl-behavior annotate"), " labels next week's recordings with it."],
    parts: [],
    action: "Save the model",
    body: async () => ({ what: "probe" }),
  });
}
