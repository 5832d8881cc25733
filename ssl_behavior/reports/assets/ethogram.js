// Ethograms: one recording in detail, clusters above labels, a lane for each animal or pair, and all recordings at a
// glance.

function makeEthogram(data, store, looks) {
  const { state } = store;
  const root = $("#ethogram");
  const stage = $(".stage", root);
  const canvas = $("canvas.lanes", stage);
  const cursor = $("canvas.cursor", stage);
  const axis = d3.select($("svg.axis", stage));
  const readout = $(".readout", root);
  const choice = $("#recording");
  const scene = data.unit === "scene";
  const [lane, gap, head, foot] = [30, 8, 19, 24];
  const row = scene ? lane : 20;
  const gutter = scene ? 84 : actorsWidth(data, 13) + 26;
  let lanes = [];
  let height = 0;
  let width = 0;
  let group = 0;
  let view = d3.zoomIdentity;
  let pointer = null;
  let playhead = null;

  data.groups.forEach((one, n) => choice.append(element("option", { value: n }, one.id)));
  choice.addEventListener("change", () => show(Number(choice.value)));
  const rowsOf = (number) => data.groups[number].rows.filter(store.isShown);
  const step = (by) => {
    const open = d3.range(data.groups.length).filter((number) => rowsOf(number).length);
    if (open.length) show(open[(open.indexOf(group) + by + open.length) % open.length]);
  };
  $("[data-act=previous]", root).addEventListener("click", () => step(-1));
  $("[data-act=next]", root).addEventListener("click", () => step(1));

  const frames = () => data.groups[group].frames;
  const fps = () => data.groups[group].fps;
  const whole = () => d3.scaleLinear([0, frames()], [gutter, Math.max(width - 6, gutter + 1)]);
  const scale = () => view.rescaleX(whole());

  /** The lanes of the recording: of a scene one for each ethogram; of animals or pairs one for each of them, too. */
  function layOut() {
    const rows = scene ? data.groups[group].rows : rowsOf(group);
    let top = 0;
    lanes = data.ethograms.flatMap((ethogram, e) => {
      const whole = scene || ethogram.shared;
      const first = top + (whole ? 0 : head);
      const own = (whole ? rows.slice(0, 1) : rows).map((r, n) => (
        { e, r, whole, high: whole ? lane : row, top: first + n * (row + 3), label: whole ? ethogram.name : data.recordings[r].actors }));
      const title = whole || !own.length ? [] : [{ e, r: -1, title: ethogram.kind === "clusters" ? "Clusters" : ethogram.name, top, high: head }];
      top = own.length ? own[own.length - 1].top + own[0].high + gap : top;
      return [...title, ...own];
    });
    height = Math.max(top, scene ? 0 : lane + gap) + foot;
    stage.style.height = `${height}px`;
    if (width) zoom.extent([[gutter, 0], [width - 6, height]]).translateExtent([[gutter, 0], [width - 6, height]]);
  }

  const laneAt = (y) => lanes.find((one) => one.r >= 0 && y >= one.top - 2 && y <= one.top + one.high + 2);

  /** The row that a pointer means: that of its lane, or in lanes of all animals the selected one's. */
  function rowUnder(y) {
    const found = laneAt(y);
    if (found && !(found.whole && !scene)) return found.r;
    const { moment } = state;
    if (moment && data.recordings[moment.recording].group === group && store.isShown(moment.recording)) return moment.recording;
    const first = found || lanes.find((one) => one.r >= 0);
    return first ? first.r : data.groups[group].rows[0];
  }

  // --- drawing

  function drawLanes() {
    const context = sized(canvas, width, height);
    const x = scale();
    context.textBaseline = "middle";
    for (const one of lanes) one.title ? drawTitle(context, one) : drawLane(context, one, x);
    const seconds = x.copy().domain(x.domain().map((frame) => frame / fps()));
    const wanted = Math.max(2, width / 110);
    const apart = ticksApart((seconds.domain()[1] - seconds.domain()[0]) / wanted);
    const ticks = d3.range(Math.ceil(seconds.domain()[0] / apart), seconds.domain()[1] / apart + 1e-9).map((n) => n * apart);
    axis.attr("width", width).attr("height", foot).attr("viewBox", `0 0 ${width} ${foot}`)
      .call(d3.axisBottom(seconds).tickValues(ticks).tickFormat((s) => clock(s, apart < 1 ? 1 : 0)));
    axis.select(".domain").remove();
    drawCursor();
  }

  function drawTitle(context, { title, top, high }) {
    context.fillStyle = "#111";
    context.font = "600 13px system-ui, sans-serif";
    context.fillText(clipped(context, title, width - 10), 0, top + high / 2);
  }

  function drawLane(context, { e, r, top, high, label, whole }, x) {
    const ethogram = data.ethograms[e];
    const runs = ethogram.runs[r];
    context.save();
    context.beginPath();
    context.rect(gutter, top, width - gutter - 6, high);
    context.clip();
    context.fillStyle = "#f4f5f6";
    context.fillRect(gutter, top, width, high);
    if (runs && runs.starts.length) drawRuns(context, ethogram, e, runs, x, top, high);
    else {
      context.fillStyle = "#555";
      context.font = "12px system-ui, sans-serif";
      context.fillText(ethogram.kind === "clusters" ? "not clustered" : "not annotated", gutter + 8, top + high / 2);
    }
    context.restore();
    context.fillStyle = "#111";
    if (whole) {
      context.font = "600 13px system-ui, sans-serif";
      context.fillText(clipped(context, label, gutter - 10), 0, top + high / 2);
    } else drawActors(context, data.recordings[r], 0, top + high / 2, gutter - 10, 13);
  }

  function drawRuns(context, ethogram, e, runs, x, top, high) {
    const [from, to] = x.domain();
    const first = Math.max(0, place(runs.starts, from));
    context.font = "12px system-ui, sans-serif";
    let painted = 0;
    for (let i = first; i < runs.starts.length && runs.starts[i] <= to; i++) {
      const { start, stop, value } = runOf(runs, i);
      const [left, right] = [Math.max(x(start), gutter), Math.min(x(stop), width)];
      // Of many runs in one pixel, one is enough.
      if (value < 0 || right < painted + 0.3) continue;
      painted = right;
      const hidden = state.hiddenValues[e].has(value);
      const other = state.highlight && state.highlight.ethogram === e && state.highlight.value !== value;
      context.fillStyle = hidden ? "#f4f5f6" : looks[e][value].color;
      context.globalAlpha = other && !hidden ? 0.28 : 1;
      context.fillRect(left, top, Math.max(right - left, 0.7), high);
      context.globalAlpha = 1;
      if (hidden || right - left < 14) continue;
      const word = ethogram.words[value];
      if (context.measureText(word).width > right - left - 6) continue;
      context.fillStyle = other ? "#333" : inkOn(looks[e][value].color);
      context.fillText(word, left + 4, top + high / 2);
    }
  }

  function drawCursor() {
    const context = sized(cursor, width, height);
    const x = scale();
    const bottom = height - foot;
    const { moment } = state;
    if (moment && data.recordings[moment.recording].group === group) {
      const [left, right] = [Math.max(gutter, x(moment.start)), Math.min(width - 6, x(moment.stop))];
      if (right >= gutter && left <= width) {
        context.strokeStyle = "#111";
        context.lineWidth = 2.5;
        const box = (top, high) => context.strokeRect(left - 1, top, Math.max(right - left, 2) + 2, high);
        if (scene) box(1, bottom - gap);
        else for (const one of lanes) if (one.r === moment.recording && !one.whole) box(one.top - 1, one.high + 2);
      }
    }
    if (playhead && data.recordings[playhead.recording].group === group) line(context, x(playhead.frame), bottom, "#d00", 2);
    if (pointer !== null) line(context, pointer, bottom, "#111", 1);
  }

  function line(context, at, bottom, color, wide) {
    if (at < gutter || at > width) return;
    context.strokeStyle = color;
    context.lineWidth = wide;
    context.beginPath();
    context.moveTo(at, 0);
    context.lineTo(at, bottom);
    context.stroke();
  }

  const draw = oncePerFrame(drawLanes);
  const redrawCursor = oncePerFrame(drawCursor);

  // --- the pointer and the keyboard

  const zoom = d3.zoom()
    .clickDistance(4)
    // A wheel alone scrolls the page.
    .filter((event) => (event.type === "wheel" ? event.ctrlKey || event.shiftKey : !event.button))
    .wheelDelta((event) => -(event.deltaY || event.deltaX) * (event.deltaMode === 1 ? 0.05 : event.deltaMode ? 1 : 0.002))
    .on("zoom", (event) => {
      view = event.transform;
      draw();
    });
  const selection = d3.select(stage).call(zoom);

  const frameUnder = (x) => Math.min(frames() - 1, Math.max(0, Math.floor(scale().invert(x))));

  stage.addEventListener("pointermove", (event) => {
    const [x, y] = d3.pointer(event, stage);
    pointer = x >= gutter && x <= width - 6 ? x : null;
    redrawCursor();
    readout.textContent = pointer === null ? "" : momentText(rowUnder(y), frameUnder(x));
  });
  stage.addEventListener("pointerleave", () => {
    pointer = null;
    readout.textContent = "";
    redrawCursor();
  });
  stage.addEventListener("click", (event) => {
    const [x, y] = d3.pointer(event, stage);
    if (x >= gutter && x <= width - 6) store.selectFrame(rowUnder(y), frameUnder(x));
  });

  function momentText(r, frame) {
    const words = data.ethograms.map((ethogram, e) => {
      const run = runAt(ethogram, r, frame);
      return run && run.value >= 0 ? (ethogram.kind === "clusters" ? wordOf(data, e, run.value) : `${ethogram.name}: ${ethogram.words[run.value]}`) : null;
    });
    return [data.recordings[r].actors, `${clock(frame / fps())} (frame ${frame})`, ...words].filter(Boolean).join(" · ");
  }

  /** Select the bout before or after the selected one. */
  function neighborBout(by) {
    const ethogram = data.ethograms[Math.max(0, data.clusters)];
    const r = rowUnder(-1);
    const runs = ethogram && ethogram.runs[r];
    if (!runs || !runs.starts.length) return;
    const here = state.moment && state.moment.recording === r ? place(runs.starts, state.moment.frame) + by : 0;
    const next = runOf(runs, Math.min(runs.starts.length - 1, Math.max(0, here)));
    store.selectFrame(r, Math.floor((next.start + next.stop - 1) / 2));
  }

  const keys = {
    ArrowLeft: () => neighborBout(-1), ArrowRight: () => neighborBout(1),
    "+": () => zoom.scaleBy(selection, 1.6), "=": () => zoom.scaleBy(selection, 1.6), "-": () => zoom.scaleBy(selection, 1 / 1.6),
    0: () => zoom.transform(selection, d3.zoomIdentity),
  };
  stage.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  $("[data-act=in]", root).addEventListener("click", keys["+"]);
  $("[data-act=out]", root).addEventListener("click", keys["-"]);
  $("[data-act=whole]", root).addEventListener("click", keys[0]);

  // --- what is shown

  function show(number) {
    group = number;
    choice.value = number;
    layOut();
    zoom.scaleExtent([1, limit()]);
    zoom.transform(selection, d3.zoomIdentity);
    overview.draw();
    draw();
  }

  /** Bring a moment into view, with twenty seconds around it where it would be too small to see. */
  function reveal(moment) {
    if (data.recordings[moment.recording].group !== group) {
      group = data.recordings[moment.recording].group;
      choice.value = group;
      layOut();
      zoom.scaleExtent([1, limit()]);
      zoom.transform(selection, d3.zoomIdentity);
    }
    const x = scale();
    const wide = x(moment.stop) - x(moment.start);
    const there = x(moment.start) >= gutter && x(moment.stop) <= width - 6 && wide >= 3;
    if (there) return;
    const room = Math.max(10 * fps(), 2 * (moment.stop - moment.start));
    const [from, to] = [Math.max(0, moment.start - room), Math.min(frames(), moment.stop + room)];
    const [left] = whole().range();
    const k = Math.min(frames() / Math.max(1, to - from), limit());
    zoom.transform(selection, d3.zoomIdentity.translate(left - k * whole()(from), 0).scale(k));
  }

  /** So far that a frame is 20 px wide. */
  const limit = () => Math.max(1, (20 * frames()) / Math.max(1, width - gutter));

  function resize() {
    const wide = stage.clientWidth;
    if (!wide || wide === width) return;
    width = wide;
    layOut();
    zoom.scaleExtent([1, limit()]);
    overview.resize();
    draw();
  }

  const overview = makeOverview(data, store, looks, () => group);
  store.listen((reason) => {
    if (reason === "select" || reason === "address") {
      if (state.moment) {
        reveal(state.moment);
      }
    }
    if (reason === "filter") {
      layOut();
      if (!rowsOf(group).length) step(1);
    }
    overview.draw();
    draw();
  });
  new ResizeObserver(resize).observe(stage);
  resize();
  return {
    play(bout, frame) {
      playhead = bout && { recording: bout.recording, frame };
      redrawCursor();
    },
    lanes: () => lanes.map(({ e, r, title, whole, top, high }) => ({ ethogram: data.ethograms[e].name, row: r, title: Boolean(title), shared: whole && !scene, top, high })),
  };
}

/** A row's animals with a dot each in its tint, as much as fits. */
function drawActors(context, row, left, middle, width, size) {
  let x = left;
  for (const animal of [row.agentNumber, row.targetNumber].filter((one) => one >= 0)) {
    context.beginPath();
    context.arc(x + 4, middle, 3.5, 0, 2 * Math.PI);
    context.fillStyle = animal % 2 ? "#fff" : ANIMALS[animal % ANIMALS.length];
    context.fill();
    context.strokeStyle = ANIMALS[animal % ANIMALS.length];
    context.lineWidth = 2;
    context.stroke();
    x += 10;
  }
  context.fillStyle = "#111";
  context.font = `${size}px system-ui, sans-serif`;
  context.fillText(clipped(context, row.actors, width - (x - left) - 2), x + 2, middle);
}

/** The width of the longest names of animals or pairs, with their dots; not more than names may take of a page. */
function actorsWidth(data, size) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = `${size}px system-ui, sans-serif`;
  return Math.min(190, 24 + d3.max(new Set(data.recordings.map((row) => row.actors)), (actors) => context.measureText(actors).width));
}

/** Every recording as a strip, of animals and pairs a strip for each, colored by one of the ethograms. */
function makeOverview(data, store, looks, current) {
  const { state } = store;
  const root = $("#ethogram .overview");
  const canvas = $("canvas", root);
  const choice = $("#strip");
  const ids = 84;
  const gutter = data.unit === "scene" ? ids : ids + actorsWidth(data, 11) + 8;
  let row = 15;
  let width = 0;
  let rows = [];
  let tops = [];
  data.ethograms.forEach((one, e) => choice.append(element("option", { value: e }, one.name)));
  choice.addEventListener("change", () => paint());

  function draw() {
    rows = d3.range(data.recordings.length).filter(store.isShown);
    row = rows.length > 24 ? 12 : 15;
    // Browsers draw no higher pictures.
    const most = Math.floor(32000 / (row * Math.min(window.devicePixelRatio || 1, 2)));
    $("#ethogram .too-many").textContent = rows.length > most ? `the first ${d3.format(",")(most)} of ${d3.format(",")(rows.length)}: filters choose others` : "";
    rows = rows.slice(0, most);
    // Some room between recordings of several strips.
    const room = gutter > ids ? 4 : 0;
    tops = [];
    rows.forEach((r, n) => tops.push(n ? tops[n - 1] + row + (data.recordings[r].group === data.recordings[rows[n - 1]].group ? 0 : room) : 0));
    const height = Math.max(row, (tops.length ? tops[tops.length - 1] : 0) + row);
    const context = sized(canvas, Math.max(width, 1), height);
    const longest = d3.max(rows, (r) => data.recordings[r].frames / data.recordings[r].fps) || 1;
    const x = d3.scaleLinear([0, longest], [gutter, Math.max(width - 6, gutter + 1)]);
    rows.forEach((r, n) => drawStrip(context, r, n, x));
  }

  function drawStrip(context, r, n, x) {
    const top = tops[n];
    const ethogram = data.ethograms[Number(choice.value)];
    const { recording: id, fps, frames, group } = data.recordings[r];
    context.fillStyle = "#f4f5f6";
    context.fillRect(gutter, top + 1, x(frames / fps) - gutter, row - 2);
    const runs = ethogram && ethogram.runs[r];
    const e = Number(choice.value);
    let painted = 0;
    for (let i = 0; runs && i < runs.starts.length; i++) {
      const { start, stop, value } = runOf(runs, i);
      const right = x(stop / fps);
      if (value < 0 || right < painted + 0.3 || state.hiddenValues[e].has(value)) continue;
      painted = right;
      const other = state.highlight && state.highlight.ethogram === e && state.highlight.value !== value;
      context.globalAlpha = other ? 0.25 : 1;
      context.fillStyle = looks[e][value].color;
      context.fillRect(x(start / fps), top + 1, Math.max(0.5, right - x(start / fps)), row - 2);
    }
    context.globalAlpha = 1;
    context.fillStyle = "#111";
    const size = row - 2 > 11 ? 12 : 11;
    context.font = `${group === current() ? "700" : "400"} ${size}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const before = rows[n - 1];
    if (before === undefined || data.recordings[before].group !== group) context.fillText(clipped(context, id, ids - 10), 0, top + row / 2);
    if (gutter > ids) drawActors(context, data.recordings[r], ids, top + row / 2, gutter - ids - 6, size);
    if (state.moment && state.moment.recording === r) {
      const at = x(state.moment.frame / fps);
      context.fillStyle = "#111";
      context.fillRect(at - 1, top - 1, 2.5, row + 1);
    }
  }

  canvas.addEventListener("click", (event) => {
    const [px, py] = d3.pointer(event, canvas);
    const r = rows[place(tops, py)];
    if (r === undefined) return;
    const { fps, frames } = data.recordings[r];
    const longest = d3.max(rows, (one) => data.recordings[one].frames / data.recordings[one].fps);
    const frame = Math.floor(d3.scaleLinear([gutter, width - 6], [0, longest])(px) * fps);
    store.selectFrame(r, Math.min(frames - 1, Math.max(0, frame)));
  });

  const paint = oncePerFrame(draw);
  const resize = () => {
    width = root.clientWidth;
    paint();
  };
  return { draw: paint, resize };
}

/** The round step of a clock, in seconds, that is nearest above: 50 s is none. */
function ticksApart(least) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];
  return steps.find((step) => step >= least) || Math.ceil(least / 3600) * 3600;
}

/** As much of a text as fits. */
function clipped(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length--;
  return `${text.slice(0, length)}…`;
}
