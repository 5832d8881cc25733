// Dialogs: a new behavior, the annotator's name, and help.

import { post } from "./connection.js";
import { makeBanner } from "./app.js";

/** Open a dialog with a form; resolves with what `submit` returned, or null where it was closed. */
function ask(title, parts, action, submit) {
  const banner = makeBanner();
  const close = element("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const go = element("button", { class: "main" }, action);
  const form = element("form", { method: "dialog" }, element("h2", {}, title), ...parts, banner.node, element("div", { class: "buttons" }, close, go));
  const dialog = element("dialog", { "aria-label": title }, form);
  return new Promise((resolve) => {
    let result = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      banner.clear();
      go.disabled = true;
      try {
        result = await submit(new FormData(form));
        dialog.close();
      } catch (error) {
        banner.show(error);
      }
      go.disabled = false;
    });
    dialog.addEventListener("close", () => (dialog.remove(), resolve(result)));
    document.body.append(dialog);
    dialog.showModal();
  });
}

const field = (words, node, hint = null) => element("label", { class: "field" }, element("span", {}, words), node, hint && element("small", {}, hint));

/** Ask for a behavior's name and definition; the new behavior, or null. */
export function askForBehavior(app) {
  const name = element("input", { name: "name", required: true, maxlength: "60", autocomplete: "off", spellcheck: "false" });
  const definition = element("textarea", { name: "definition", required: true, rows: "3", maxlength: "400" });
  const parts = [
    field("Name", name, "Short, such as “clinch”: letters, digits, _ - and . only, because it names a label stream."),
    field("Definition", definition, "One sentence: what counts, and where it starts and stops. Other annotators decide by it."),
  ];
  return ask("New behavior", parts, "Create", (form) =>
    post("/api/behaviors", { name: form.get("name").trim(), definition: form.get("definition").trim(), annotator: app.annotator }));
}

/** Ask who answers; the name, or null. */
export function askForAnnotator(app) {
  const names = element("datalist", { id: "annotators" }, ...app.project.annotators.map((one) => element("option", { value: one })));
  const name = element("input", { name: "annotator", required: true, maxlength: "80", autocomplete: "off", list: "annotators" });
  const parts = [field("Your name", name, "Every answer is stored with the name of who gave it."), names];
  return ask("Who answers?", parts, "Go on", (form) => form.get("annotator").trim() || Promise.reject(new Error("Give a name.")));
}

const KEYS = [
  ["Answers (Learn, Search)", [["Y", "yes, the marked frames are the behavior"], ["N", "no"], ["U", "not sure"], ["Z", "undo"], ["Shift Z", "redo"]]],
  ["Player", [["Space", "play, pause"], ["← →", "one frame"], ["Shift ← →", "ten frames"], ["[ ]", "start, stop of the bout at the playhead"]]],
  ["Search", [["Enter", "find similar bouts"], ["↑ ↓ ← →", "move among the results"], ["Esc", "unmark"]]],
  ["Correct", [
    [", .", "previous, next bout"], ["Enter", "accept"], ["Delete", "remove"], ["S", "split at the playhead, its frame becomes “no”"], ["M", "merge with the next bout"],
    ["D", "draw a bout of a second at the playhead"], ["+ −", "zoom"], ["wheel", "zoom; with Shift: move"],
  ]],
];

/** The way from one example to labels. */
export const STEPS = [
  "Name the behavior, and say in one sentence what counts as it.",
  "Search: mark one example in a recording, or write a rule. Answer yes or no to the most similar bouts.",
  "Learn: answer to what the application proposes. After every answer it learns. Trim the marked frames where a bout starts or stops elsewhere.",
  "Trust: a share of the proposals is drawn at random. They say how good the labels are.",
  "Correct: go through the bouts of whole recordings. Take away: labels and model as files.",
];

/** The keys and the steps. */
export function showHelp() {
  const groups = KEYS.map(([title, keys]) => element("section", {}, element("h3", {}, title),
    element("dl", {}, ...keys.flatMap(([key, words]) => [element("dt", {}, ...key.split(" ").map((one) => element("kbd", {}, one))), element("dd", {}, words)]))));
  const close = element("button", { type: "submit", class: "main" }, "Close");
  const form = element("form", { method: "dialog" }, element("h2", {}, "From one example to labels"), element("ol", {}, ...STEPS.map((one) => element("li", {}, one))),
    element("div", { class: "keys" }, ...groups), element("div", { class: "buttons" }, close));
  const dialog = element("dialog", { class: "help", "aria-label": "Help" }, form);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => event.key === "?" && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}
