// Choosing a recording, and in it the animals that a row is about.

import { rowOf } from "./actors.js";
import { keyButton } from "./keys.js";

/** Give a list its options, [value, words] of each. Where they are the same ones, it stays as it is: new ones would close it while it is open. */
export function setOptions(select, options) {
  const known = JSON.stringify(options);
  if (select.dataset.options === known) return;
  select.dataset.options = known;
  select.replaceChildren(...options.map(([value, words]) => element("option", { value }, words)));
}

/** Two lists: recordings and, where a recording has several rows, its rows. `changed(row)` hears of a choice. */
export function makeRowChooser(app, changed) {
  const recordings = element("select", { "aria-label": "Recording" });
  const rows = element("select", { "aria-label": "Animals" });
  const holder = element("label", {}, "Animals", rows);
  const node = element("div", { class: "choosers" }, element("label", {}, "Recording", recordings), holder);
  recordings.replaceChildren(...app.project.recordings.map(({ id }) => element("option", { value: id }, id)));

  function set(id) {
    const { recording } = rowOf(app.project, id);
    recordings.value = recording.id;
    rows.replaceChildren(...recording.rows.map((row) => element("option", { value: row.id }, wordsOf(row))));
    rows.value = id;
    holder.hidden = recording.rows.length < 2;
  }

  recordings.addEventListener("change", () => {
    const recording = app.project.recordings.find(({ id }) => id === recordings.value);
    choose(recording.rows[0].id);
  });
  rows.addEventListener("change", () => choose(rows.value));

  function choose(id) {
    set(id);
    for (const select of [recordings, rows]) select.blur();
    changed(id);
  }

  return { node, set };
}

const wordsOf = ({ agent, target, title }) => (agent && target ? `${agent} → ${target}` : agent || title);

/** The first row of a project: where views begin. */
export const firstRow = (app) => app.project.recordings.find(({ rows }) => rows.length)?.rows[0].id ?? null;

/** Buttons that zoom a timeline, and the keys that do the same. */
export function zoomControls(timeline) {
  const keys = { "+": () => timeline.zoom(0.6), "=": () => timeline.zoom(0.6), "-": () => timeline.zoom(1 / 0.6), 0: () => timeline.all() };
  const node = element("span", { class: "buttons", role: "group", "aria-label": "Zoom of the time" },
    keyButton("", "+", keys["+"], { "aria-label": "Zoom in", title: "Zoom in (+)" }), keyButton("", "-", keys["-"], { "aria-label": "Zoom out", title: "Zoom out (-)" }), keyButton("All", "0", keys[0], { title: "The whole recording (0)" }));
  return { node, keys };
}
