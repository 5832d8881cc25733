// A rule: a sentence of task programs, with the list of what it may be made of.

import { makeBanner } from "./app.js";

/** The form; `search(text)` returns a promise. */
export function makeRule(app, search) {
  const { programs } = app.project;
  const banner = makeBanner();
  const text = element("input", { name: "rule", autocomplete: "off", spellcheck: "false", required: true, "aria-label": "Rule", placeholder: exampleOf(programs) });
  const go = element("button", {}, "Search by rule");
  const form = element("form", { class: "bar" }, text, go);
  const list = element("dl", { class: "programs" }, ...programs.flatMap((one) => [element("dt", {}, nameButton(one, text)), element("dd", {}, one.description)]));
  const help = element("details", {}, element("summary", {}, "Programs and units"), list);
  const node = element("section", { class: "rule" }, element("h2", {}, "… or write a rule"), form, banner.node, help);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    banner.clear();
    go.disabled = true;
    await search(text.value.trim()).catch((error) => banner.show(error));
    go.disabled = false;
  });
  return { node };
}

/** Values of an example, by units. */
const USUAL = { rad: "< 0.5", deg: "< 30", length: "< 1", cm: "< 5", px: "< 50", "length/s": "> 1", "cm/s": "> 20", "px/s": "> 100" };

function exampleOf(programs) {
  const parts = programs.slice(0, 2).map(({ name, units }) => `${name} ${USUAL[units] || "> 0.7"}${units ? ` ${units}` : ""}`);
  return parts.length ? `such as: ${parts.join(" and ")}` : "";
}

function nameButton({ name, units }, text) {
  const put = () => {
    const { selectionStart: at, value } = text;
    const glue = value && !value.slice(0, at).endsWith(" ") ? " " : "";
    text.value = `${value.slice(0, at)}${glue}${name}${value.slice(at)}`;
    text.focus();
  };
  return element("button", { type: "button", class: "name", onclick: put, title: "Put it into the rule" }, name, units && element("small", {}, units));
}
