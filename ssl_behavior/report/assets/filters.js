// What is left out everywhere: recordings, clusters and labels that are not ticked.

function makeFilters(data, store) {
  const { state } = store;
  const root = $("#filters");
  for (const group of $$("fieldset", root)) {
    const boxes = $$("input[type=checkbox]", group);
    const hidden = group.dataset.kind === "recordings" ? state.hiddenRecordings : state.hiddenValues[Number(group.dataset.ethogram)];
    const apply = () => {
      hidden.clear();
      for (const box of boxes) if (!box.checked) hidden.add(Number(box.value));
      summarize();
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
