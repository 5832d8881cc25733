// Transitions, profiles and scores: d3 and Observable Plot draw them.

/** Clusters as a graph: what follows what more often than chance, as arrows. */
function makeTransitions(data, store, looks) {
  const root = $("#transitions");
  if (!root) return;
  const { state } = store;
  const counts = data.transitions;
  const nodes = transitionNodes(data, counts);
  const slider = $("#arrows");
  const holder = $(".graph", root);
  const [width, height] = [760, 560];
  const svg = d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("role", "group").attr("aria-label", "Transition graph");
  const ends = svg.append("defs");
  const arrows = svg.append("g");
  const circles = svg.append("g");
  holder.replaceChildren(svg.node());
  place(nodes, counts);

  /** Frequent neighbors lie close together; d3-force has no chance in it. */
  function place(own, table) {
    const total = own.map((node) => d3.sum(table[node.id]) || 1);
    const links = own.flatMap((a, i) => own.map((b) => ({ source: a, target: b, share: table[a.id][b.id] / total[i] })).filter((link) => link.source !== link.target && link.share > 0.02));
    d3.forceSimulation(own)
      .force("link", d3.forceLink(links).distance((link) => 190 * (1 - Math.min(0.8, link.share * 2))).strength((link) => link.share))
      .force("charge", d3.forceManyBody().strength(-600))
      .force("collide", d3.forceCollide((node) => node.r + 12))
      .force("x", d3.forceX(0).strength(0.06))
      .force("y", d3.forceY(0).strength(0.09))
      .stop()
      .tick(400);
    const [x, y] = ["x", "y"].map((axis, i) => d3.scaleLinear(d3.extent(own, (node) => node[axis]), [44, [width, height][i] - 44]));
    for (const node of own) [node.x, node.y] = [x(node.x), y(node.y)];
  }

  function draw() {
    const chosen = state.highlight && state.highlight.ethogram === data.clusters ? state.highlight.value : null;
    const shown = nodes.filter((node) => !state.hiddenValues[data.clusters].has(node.id));
    const links = strongest(shown, counts, Number(slider.value), chosen);
    const markers = ends.selectAll("marker").data(["#59616b", "#b9bfc6", "#111"]).join("marker");
    markers.attr("id", (_, i) => `arrow${i}`).attr("viewBox", "0 0 8 8").attr("refX", 6).attr("refY", 4)
      .attr("markerWidth", 9).attr("markerHeight", 9).attr("markerUnits", "userSpaceOnUse").attr("orient", "auto");
    markers.selectAll("path").data((d) => [d]).join("path").attr("d", "M0,0L8,4L0,8Z").attr("fill", (d) => d);
    const about = (link) => chosen === null || link.source.id === chosen || link.target.id === chosen;
    const paths = arrows.selectAll("path").data(links, (link) => `${link.source.id}-${link.target.id}`).join("path");
    paths.attr("d", arc).attr("fill", "none").attr("stroke-width", (link) => 0.8 + 11 * link.share)
      .attr("stroke", (link) => (chosen === null ? "#59616b" : about(link) ? "#111" : "#dfe2e6"))
      .attr("marker-end", (link) => `url(#arrow${chosen === null ? 0 : about(link) ? 2 : 1})`);
    paths.selectAll("title").data((link) => [link]).join("title")
      .text((link) => `${link.source.id} to ${link.target.id}: ${percent(link.share)} of what follows ${link.source.id} (${link.count} times)`);
    drawNodes(shown, chosen);
    listSteps(chosen);
  }

  function drawNodes(shown, chosen) {
    const groups = circles.selectAll("g").data(shown, (node) => node.id).join((enter) => {
      const group = enter.append("g").attr("class", "node").attr("tabindex", 0).attr("role", "button");
      group.append("circle");
      group.append("text").attr("text-anchor", "middle").attr("dy", "0.35em");
      group.append("title");
      group.on("click", (_, node) => store.selectValue(data.clusters, node.id));
      group.on("keydown", (event, node) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        store.selectValue(data.clusters, node.id);
      });
      return group;
    });
    groups.attr("transform", (node) => `translate(${node.x},${node.y})`).attr("data-cluster", (node) => node.id)
      .attr("aria-label", (node) => `${wordOf(data, data.clusters, node.id)}, ${percent(node.share)} of the frames`)
      .attr("aria-pressed", (node) => String(node.id === chosen));
    groups.select("circle").attr("r", (node) => node.r).attr("fill", (node) => looks[data.clusters][node.id].color)
      .attr("stroke", (node) => (node.id === chosen ? "#111" : "#fff")).attr("stroke-width", (node) => (node.id === chosen ? 4 : 1.5));
    groups.select("text").text((node) => node.id).attr("fill", (node) => inkOn(looks[data.clusters][node.id].color));
    groups.select("title").text((node) => wordOf(data, data.clusters, node.id));
  }

  /** From edge to edge of the circles, bent to the right so that there and back are two arrows. */
  function arc({ source, target }) {
    const [dx, dy] = [target.x - source.x, target.y - source.y];
    const length = Math.hypot(dx, dy) || 1;
    const bend = 0.16 * length;
    const [mx, my] = [(source.x + target.x) / 2 - (dy / length) * bend, (source.y + target.y) / 2 + (dx / length) * bend];
    const edge = (node, gap) => {
      const far = Math.hypot(mx - node.x, my - node.y) || 1;
      return [node.x + ((mx - node.x) / far) * (node.r + gap), node.y + ((my - node.y) / far) * (node.r + gap)];
    };
    const [from, to] = [edge(source, 1), edge(target, 4)];
    return `M${from}Q${mx},${my} ${to}`;
  }

  function listSteps(chosen) {
    const list = $(".steps", root);
    if (chosen === null) return list.replaceChildren(element("p", { class: "how" }, "Select a cluster to see what comes before and after it."));
    const part = (title, rows) => [element("h3", {}, title), element("ol", {}, ...rows.map(([id, share, count]) => element("li", {},
      element("button", { type: "button", class: "bout", onclick: () => store.selectValue(data.clusters, id) }, wordOf(data, data.clusters, id)), ` ${percent(share)} (${count})`)))];
    const most = (row) => {
      const total = d3.sum(row) || 1;
      return d3.sort(d3.range(row.length).filter((id) => row[id] > 0), (id) => -row[id]).slice(0, 5).map((id) => [id, row[id] / total, row[id]]);
    };
    return replaceWithFocus(list, [...part(`After cluster ${chosen}`, most(counts[chosen])), ...part(`Before cluster ${chosen}`, most(counts.map((row) => row[chosen])))]);
  }

  slider.addEventListener("input", draw);
  store.listen(draw);
  draw();
}

function transitionNodes(data, counts) {
  const shares = counts.map((_, id) => (data.cardOf.get(id) || { share: 0 }).share);
  const radius = d3.scaleSqrt([0, d3.max(shares) || 1], [9, 27]);
  return counts.map((_, id) => ({ id, share: shares[id], r: Math.max(11, radius(shares[id])) })).filter((node) => node.share > 0 || d3.sum(counts[node.id]) > 0);
}

/** The strongest arrows out of each node, and all of the chosen one's that are seen. */
function strongest(nodes, counts, each, chosen) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return nodes.flatMap((source) => {
    const total = d3.sum(counts[source.id]) || 1;
    const targets = d3.sort(nodes.filter((node) => node !== source && counts[source.id][node.id] > 0), (node) => -counts[source.id][node.id]);
    const number = source.id === chosen ? Math.max(each, 5) : each;
    return targets.slice(0, number).map((target) => ({ source, target: byId.get(target.id), count: counts[source.id][target.id], share: counts[source.id][target.id] / total }));
  });
}

const GROUP_SYMBOLS = ["circle", "triangle", "square", "diamond2", "star", "plus"];
const GROUP_COLORS = COLORS.filter((_, i) => i !== 1);

/** What the marks of a profile stand for. */
function groupLegend(groups, counts) {
  return groups.map((group, i) => {
    const shape = { circle: d3.symbolCircle, triangle: d3.symbolTriangle, square: d3.symbolSquare, diamond2: d3.symbolDiamond2, star: d3.symbolStar, plus: d3.symbolPlus }[GROUP_SYMBOLS[i % GROUP_SYMBOLS.length]];
    const icon = d3.create("svg").attr("width", 16).attr("height", 16).attr("aria-hidden", "true");
    icon.append("path").attr("transform", "translate(8,8)").attr("d", d3.symbol(shape, 60)()).attr("fill", "none").attr("stroke-width", 2).attr("stroke", GROUP_COLORS[i % GROUP_COLORS.length]);
    return element("span", { class: "key" }, icon.node(), `${group} (${counts.get(group)} animals)`);
  });
}

/** Cluster use of each animal, by group. */
function makeProfiles(data, store, looks) {
  const { state } = store;
  data.profiles.forEach((profile, number) => {
    const root = $(`#profile-${number}`);
    const groups = [...new Set(profile.groups)];
    // Of several pairs of groups, the one that differs most surely.
    const tests = new Map(d3.sort(profile.tests, (test) => -test.q).map((test) => [test.cluster, test]));
    const order = $("select", root);
    $(".legend", root).replaceChildren(...groupLegend(groups, d3.rollup(profile.groups, (own) => own.length, (group) => group)));
    const draw = () => {
      const clusters = d3.range(profile.shares[0].length).filter((cluster) => !state.hiddenValues[data.clusters].has(cluster));
      const byQ = (cluster) => (tests.has(cluster) ? tests.get(cluster).q ?? 1 : 1);
      const sorted = order.value === "q" ? d3.sort(clusters, byQ, (cluster) => cluster) : clusters;
      const plot = profilePlot(data, profile, groups, sorted, tests, Math.max(340, Math.min(900, root.clientWidth)));
      for (const text of $$("[aria-label='y-axis tick label'] text", plot)) {
        const cluster = Number(text.textContent);
        text.setAttribute("tabindex", 0);
        text.setAttribute("role", "button");
        text.setAttribute("aria-label", wordOf(data, data.clusters, cluster));
        const chosen = state.highlight && state.highlight.ethogram === data.clusters && state.highlight.value === cluster;
        text.classList.toggle("chosen", Boolean(chosen));
        text.addEventListener("click", () => store.selectValue(data.clusters, cluster));
        text.addEventListener("keydown", (event) => event.key === "Enter" && store.selectValue(data.clusters, cluster));
      }
      replaceWithFocus($(".plot", root), [plot]);
    };
    order.addEventListener("change", draw);
    store.listen((reason) => reason !== "color" && draw());
    new ResizeObserver(() => root.clientWidth !== draw.width && ((draw.width = root.clientWidth), draw())).observe(root);
    draw();
  });
}

function profilePlot(data, profile, groups, clusters, tests, width) {
  const rows = clusters.flatMap((cluster) => profile.animals.map((animal, i) => ({ cluster: String(cluster), animal, group: profile.groups[i], share: profile.shares[i][cluster] })));
  const means = clusters.flatMap((cluster) => groups.map((group) => ({ cluster: String(cluster), group, share: d3.mean(rows.filter((row) => row.cluster === String(cluster) && row.group === group), (row) => row.share) })));
  const nudge = (row) => ((groups.indexOf(row.group) + 0.5) / groups.length - 0.5) * 16;
  const tested = clusters.filter((cluster) => tests.has(cluster)).map((cluster) => ({ ...tests.get(cluster), cluster: String(cluster) }));
  const longest = d3.max(tested, (row) => testText(profile, groups, row).length) || 0;
  const room = Math.min(Math.max(150, 20 + 8 * longest), width * 0.6);
  const perGroup = groups.flatMap((group) => [
    Plot.dot(rows.filter((row) => row.group === group), { x: "share", y: "cluster", stroke: "group", symbol: "group", dy: nudge({ group }), r: 3, strokeOpacity: 0.75, title: (row) => `${row.animal} (${row.group}): ${percent(row.share)}` }),
    Plot.tickX(means.filter((row) => row.group === group), { x: "share", y: "cluster", stroke: "group", strokeWidth: 3, insetTop: groups.length > 1 ? 13 + nudge({ group }) - 7 : 4, insetBottom: groups.length > 1 ? 13 - nudge({ group }) - 7 : 4 }),
  ]);
  return Plot.plot({
    width, height: 70 + 30 * clusters.length, marginLeft: 44, marginRight: room, marginBottom: 44,
    x: { label: "share of the animal's frames", labelOffset: 38, tickFormat: percent, grid: true, zero: true },
    y: { label: "cluster", domain: clusters.map(String), tickSize: 0 },
    color: { domain: groups, range: groups.map((_, i) => GROUP_COLORS[i % GROUP_COLORS.length]) },
    symbol: { domain: groups, range: groups.map((_, i) => GROUP_SYMBOLS[i % GROUP_SYMBOLS.length]) },
    style: { fontSize: "13px", background: "transparent" },
    marks: [
      Plot.ruleY(clusters.map(String), { stroke: "#e4e6e9" }), ...perGroup,
      ...[true, false].map((found) => Plot.text(tested.filter((row) => row.q <= profile.level === found), {
        frameAnchor: "right", y: "cluster", dx: room - 8, textAnchor: "end", text: (row) => testText(profile, groups, row), fontWeight: found ? 700 : 400,
      })),
    ],
  });
}

function testText(profile, groups, { effect, q, between }) {
  const who = groups.length > 2 ? `${between[1]} less ${between[0]}: ` : "";
  return `${q <= profile.level ? "● " : ""}${who}${d3.format("+.2f")(effect)}, q ${q < 0.001 ? "< .001" : d3.format(".3f")(q)}`;
}

/** The headline score of each row of a probe or benchmark. */
function makeScores(data) {
  data.scores.forEach((scores, number) => {
    const root = $(`#scores-${number} .plot`);
    if (!root || !scores.bars.length) return;
    const rows = scores.bars.map(([name, mean, spread, low, high]) => ({ name, mean, low: low ?? mean - spread, high: high ?? mean + spread }));
    const draw = () => root.replaceChildren(Plot.plot({
      width: Math.max(320, Math.min(760, root.clientWidth)), height: 70 + 30 * rows.length, marginLeft: Math.min(300, 20 + 7.4 * d3.max(rows, (row) => row.name.length)), marginRight: 56, marginBottom: 44,
      x: { label: scores.score, labelOffset: 38, domain: [0, 1], grid: true }, y: { label: null, domain: rows.map((row) => row.name), tickSize: 0 },
      style: { fontSize: "13px", background: "transparent" },
      marks: [
        Plot.barX(rows, { x: "mean", y: "name", fill: (_, i) => (i === 0 ? COLORS[0] : "#9aa3ad"), insetTop: 4, insetBottom: 4 }),
        Plot.ruleY(rows, { x1: "low", x2: "high", y: "name", stroke: "#111", strokeWidth: 1.5 }),
        Plot.text(rows, { x: (row) => Math.max(row.mean, row.high), y: "name", text: (row) => d3.format(".3f")(row.mean), dx: 6, textAnchor: "start" }),
      ],
    }));
    new ResizeObserver(() => root.clientWidth !== draw.width && ((draw.width = root.clientWidth), draw())).observe(root);
    draw();
  });
}
