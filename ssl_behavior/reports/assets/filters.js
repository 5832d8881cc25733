// What is left out everywhere: recordings, clusters and labels that are not ticked.

function makeFilters(data, store) {
  const { state } = store;
  const root = $("#filters");
  for (const group of $$("fieldset", root)) {
    const boxes = $$("input[type=checkbox]", group);
    const hidden = group.dataset.kind === "recordings" ? state.hiddenGroups : state.hiddenValues[Number(group.dataset.ethogram)];
    const apply = () => {
      hidden.clear();
      for (const box of boxes) if (!box.checked) hidden.add(Number(box.value));
      summarize();
      store.filterRows();
      store.change({}, "filter");
    };
    for (const box of boxes) box.addEventListener("change", apply);
    const all = (on) => () => {
      for (const box of boxes) box.checked = on;
      apply();
    };
    $("[data-act=all]", group).addEventListener("click", all(true));
    $("[data-act=none]", group).addEventListener("click", all(false));
  }

  function summarize() {
    const off = $$("input[type=checkbox]:not(:checked)", root).length;
    $(".state", root).textContent = off ? `${off} left out` : "nothing left out";
    root.classList.toggle("active", off > 0);
  }
  summarize();
}

/** The choice of an animal, or of an agent and a target: the others are left out everywhere. */
function makeAnimalChoice(data, store) {
  const { state } = store;
  const choices = ["agent", "target"].map((role) => $(`#${role}`)).filter(Boolean);
  if (!choices.length) return;
  const value = (choice) => (choice && choice.value !== "" ? Number(choice.value) : null);
  for (const choice of choices) {
    const numbers = new Set(data.recordings.map((row) => row[`${choice.id}Number`]));
    data.individuals.forEach((name, animal) => numbers.has(animal) && choice.append(element("option", { value: animal }, name)));
    choice.addEventListener("change", () => store.showAnimals(value(choices[0]), value(choices[1])));
  }
  const say = () => {
    for (const choice of choices) choice.value = state[choice.id] === null ? "" : state[choice.id];
    const rows = data.recordings.length - state.hiddenRecordings.size;
    $(".animal-choice .rows").textContent = rows === data.recordings.length ? "" : `${d3.format(",")(rows)} of ${d3.format(",")(data.recordings.length)} ${data.unit}s`;
  };
  store.listen(say);
  say();
}
