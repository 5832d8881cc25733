// The page comes to life.

async function start() {
  const data = await readData();
  const store = makeState(data);
  const counts = {};
  const map = data.points ? makeMap(data, store, counts) : null;
  const looks = map ? map.looks : data.ethograms.map((ethogram) => looksOf(ethogram));
  const ethogram = makeEthogram(data, store, looks);
  const player = $("#player") ? makePlayer(data, store, looks, ethogram) : null;
  makeCards(data, store, looks);
  makeTransitions(data, store, looks);
  makeProfiles(data, store, looks);
  makeScores(data);
  makeFilters(data, store);
  makeAnimalChoice(data, store);
  makeSelection(data, store);
  makeDiscoveries(data, store);
  store.readAddress();
  // A link to a part of the page selects nothing: what is selected stays so, and in the address.
  const leadsToPart = () => location.hash.length > 1 && !location.hash.includes("=");
  window.addEventListener("hashchange", () => (leadsToPart() ? store.writeAddress() : store.readAddress()));
  document.addEventListener("keydown", (event) => event.key === "Escape" && store.clear());
  document.documentElement.dataset.ready = "yes";
  // For whoever wants to look from the browser's console.
  window.report = { data, store, map, player, ethogram, counts };
}

/** The line that says what is selected. */
function makeSelection(data, store) {
  const { state } = store;
  const line = $("#selection");
  const text = $(".text", line);
  $("[data-act=clear]", line).addEventListener("click", store.clear);
  const say = () => {
    const parts = [];
    if (state.highlight) parts.push(wordOf(data, state.highlight.ethogram, state.highlight.value));
    if (state.moment) {
      const { recording, start, stop, frame } = state.moment;
      const { title, fps } = data.recordings[recording];
      parts.push(`${title}, ${clock(start / fps)} to ${clock(stop / fps)} (frames ${start} to ${stop - 1})`);
      data.ethograms.forEach((ethogram, e) => {
        const run = ethogram.kind === "labels" ? runAt(ethogram, recording, frame) : null;
        if (run && run.value >= 0) parts.push(`${ethogram.name}: ${ethogram.words[run.value]}`);
      });
    }
    line.classList.toggle("empty", !parts.length);
    text.textContent = parts.length ? parts.join(" · ") : "Nothing is selected";
    $("[data-act=clear]", line).disabled = !parts.length;
  };
  store.listen(say);
  say();
}

/** The ranked list of what is worth a look. */
function makeDiscoveries(data, store) {
  for (const button of $$("#discoveries button")) {
    const one = data.discoveries[Number(button.dataset.rank)];
    const shown = one.span ? data.bouts.find((bout) => bout.recording === one.span.recording && bout.start === one.span.start && bout.stop === one.span.stop) : null;
    button.addEventListener("click", () => {
      if (shown) store.selectBout(shown.id);
      else if (one.span) store.selectFrame(one.span.recording, Math.floor((one.span.start + one.span.stop) / 2));
      else store.selectValue(data.clusters, one.cluster);
    });
  }
}

start().catch((error) => {
  const old = typeof DecompressionStream === "undefined";
  $("#trouble").hidden = false;
  $("#trouble").textContent = old ? "This browser is too old for this page: Chrome 80, Firefox 113 or Safari 16.4, or newer." : `This page could not be drawn: ${error.message}`;
  throw error;
});
