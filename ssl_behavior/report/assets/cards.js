// Cluster cards: the page holds their words and tables; here they get colors, pictures, and what happens on a click.

function makeCards(data, store, looks) {
  const { state } = store;
  const root = $("#clusters");
  if (!root) return;
  const ethogram = data.clusters;
  const number = data.individuals.length * data.skeleton.keypoints.length;
  const cards = $$(".card", root);
  for (const card of cards) fill(card, Number(card.dataset.cluster));
  sortBy("cluster");
  $("#sort").addEventListener("change", (event) => sortBy(event.target.value));

  function fill(card, cluster) {
    const look = looks[ethogram][cluster];
    const badge = $(".badge", card);
    badge.style.background = look.color;
    badge.style.color = inkOn(look.color);
    $(".badge + .marker-slot", card).replaceChildren(markerIcon(look));
    const bouts = examplesOf(data, ethogram, cluster).slice(0, 4);
    $(".examples", card).replaceChildren(...bouts.map((id) => exampleButton(id)));
    $(".by-recording", card).replaceChildren(sharesPicture(cluster, look.color));
    card.addEventListener("click", (event) => {
      if (!event.target.closest("button, summary, details")) store.selectValue(ethogram, cluster);
    });
    $("button.choose", card).addEventListener("click", () => store.selectValue(ethogram, cluster));
  }

  function exampleButton(id) {
    const bout = data.bouts[id];
    const { id: name, fps } = data.recordings[bout.recording];
    const middle = Math.min(bout.frames - 1, Math.max(0, Math.floor((bout.start + bout.stop) / 2) - bout.first));
    const pose = frameOf(trackOf(data.bouts, bout), middle, number);
    const where = `${name}, ${clock(bout.start / fps)}`;
    return element("button", { type: "button", class: "example", "data-bout": id, "aria-label": `Play the bout at ${where}`, title: where, onclick: () => store.selectBout(id) }, poseCanvas(data, pose, 62, 50));
  }

  /** The cluster's share of each recording, as bars. */
  function sharesPicture(cluster, color) {
    const shares = data.ethograms[ethogram].runs.map((runs) => {
      if (!runs) return null;
      let frames = 0;
      for (let i = 0; i < runs.starts.length; i++) {
        if (runs.values[i] === cluster) frames += (i + 1 < runs.starts.length ? runs.starts[i + 1] : runs.frames) - runs.starts[i];
      }
      return frames / runs.frames;
    });
    const [width, height] = [228, 30];
    const top = d3.max(shares) || 1;
    const svg = d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("preserveAspectRatio", "none").attr("role", "img")
      .attr("aria-label", `Share of each recording, at most ${percent(top)}`);
    const x = d3.scaleBand(d3.range(shares.length), [0, width]).paddingInner(shares.length > 60 ? 0 : 0.15);
    svg.selectAll("rect").data(shares).join("rect").attr("x", (_, i) => x(i)).attr("width", x.bandwidth())
      .attr("y", (share) => height - (height * (share || 0)) / top).attr("height", (share) => (height * (share || 0)) / top)
      .attr("fill", color)
      .append("title").text((share, i) => `${data.recordings[i].id}: ${share === null ? "not clustered" : percent(share)}`);
    return svg.node();
  }

  function sortBy(kind) {
    const keys = {
      cluster: (card) => Number(card.dataset.cluster),
      share: (card) => -Number(card.dataset.share),
      length: (card) => -Number(card.dataset.seconds),
    };
    $(".cards", root).append(...d3.sort(cards, keys[kind]));
  }

  function mark() {
    const chosen = state.highlight && state.highlight.ethogram === ethogram ? state.highlight.value : null;
    for (const card of cards) {
      const cluster = Number(card.dataset.cluster);
      card.classList.toggle("selected", cluster === chosen);
      $("button.choose", card).setAttribute("aria-pressed", String(cluster === chosen));
      card.hidden = state.hiddenValues[ethogram].has(cluster);
      for (const example of $$(".example", card)) example.classList.toggle("selected", Number(example.dataset.bout) === state.bout);
    }
  }

  store.listen(mark);
  mark();
}
