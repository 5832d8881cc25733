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
    fillExamples(card, cluster);
    sayWho($(".who", card), cluster);
    $(".by-recording", card).replaceChildren(sharesPicture(cluster, look.color));
    card.addEventListener("click", (event) => {
      if (!event.target.closest("button, summary, details")) store.selectValue(ethogram, cluster);
    });
    $("button.choose", card).addEventListener("click", () => store.selectValue(ethogram, cluster));
  }

  function fillExamples(card, cluster) {
    const bouts = examplesOf(data, ethogram, cluster).filter((id) => store.isShown(data.bouts[id].recording)).slice(0, 4);
    $(".examples", card).replaceChildren(...bouts.map((id) => exampleButton(id)));
  }

  /** Whose frames the cluster holds most; names of anonymous animals say that within one recording only. */
  function sayWho(line, cluster) {
    if (!line || (data.skeleton.exchangeable && data.groups.length > 1)) return;
    const frames = d3.rollup(data.recordings, (rows) => d3.sum(rows, (row) => framesIn(data.recordings.indexOf(row), cluster) || 0), (row) => row.actors);
    const total = d3.sum(frames.values());
    const most = d3.sort([...frames].filter(([, own]) => own > 0), ([, own]) => -own).slice(0, 3);
    line.textContent = most.map(([actors, own]) => `${actors} ${percent(own / total)}`).join(" · ");
  }

  function exampleButton(id) {
    const bout = data.bouts[id];
    const row = data.recordings[bout.recording];
    const middle = Math.min(bout.frames - 1, Math.max(0, Math.floor((bout.start + bout.stop) / 2) - bout.first));
    const pose = frameOf(trackOf(data.bouts, bout), middle, number);
    const where = `${row.title}, ${timeText(data, bout.recording, bout.start)}`;
    return element("button", { type: "button", class: "example", "data-bout": id, "aria-label": `Play the bout at ${where}`, title: where, onclick: () => store.selectBout(id) }, poseCanvas(data, pose, 62, 50, row));
  }

  /** Frames of a row in a cluster; null where it is not clustered. */
  function framesIn(row, cluster) {
    const runs = data.ethograms[ethogram].runs[row];
    if (!runs) return null;
    let frames = 0;
    for (let i = 0; i < runs.starts.length; i++) {
      if (runs.values[i] === cluster) frames += (i + 1 < runs.starts.length ? runs.starts[i + 1] : runs.frames) - runs.starts[i];
    }
    return frames;
  }

  /** The cluster's share of each recording, as bars. */
  function sharesPicture(cluster, color) {
    const shares = data.groups.map(({ frames, rows }) => {
      const own = rows.map((row) => framesIn(row, cluster)).filter((count) => count !== null);
      return own.length ? d3.sum(own) / (frames * own.length) : null;
    });
    const [width, height] = [228, 30];
    const top = d3.max(shares) || 1;
    const svg = d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("preserveAspectRatio", "none").attr("role", "img")
      .attr("aria-label", `Share of each recording, at most ${percent(top)}`);
    const x = d3.scaleBand(d3.range(shares.length), [0, width]).paddingInner(shares.length > 60 ? 0 : 0.15);
    svg.selectAll("rect").data(shares).join("rect").attr("x", (_, i) => x(i)).attr("width", x.bandwidth())
      .attr("y", (share) => height - (height * (share || 0)) / top).attr("height", (share) => (height * (share || 0)) / top)
      .attr("fill", color)
      .append("title").text((share, i) => `${data.groups[i].id}: ${share === null ? "not clustered" : percent(share)}`);
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

  function mark(reason) {
    if (reason === "filter") for (const card of cards) fillExamples(card, Number(card.dataset.cluster));
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
