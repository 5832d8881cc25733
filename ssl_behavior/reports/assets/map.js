// The map: d3 pans, zooms and finds points; the points themselves are written into a picture dot by dot, because that
// is what stays smooth with 100,000 of them on a machine without a graphics card.

function makeMap(data, store, counts) {
  const { state } = store;
  const points = data.points;
  const root = $("#map");
  const stage = $(".stage", root);
  const [canvas, overlay] = [$("canvas.points", stage), $("canvas.overlay", stage)];
  const tooltip = $("#tooltip");
  const order = shuffled(points.count);
  const centers = data.ethograms.map((ethogram, e) => centersOf(points, e, ethogram.words.length));
  const looks = data.ethograms.map((ethogram, e) => looksOf(ethogram, centers[e]));
  const recordingLooks = lookOf(data.groups.length);
  const animals = animalLooks(data.individuals.length);
  const poseSize = data.individuals.length * data.skeleton.keypoints.length;
  let [width, height] = [0, 0];
  let base = { k: 1, x: 0, y: 0 };
  let view = d3.zoomIdentity;
  let visible = new Uint8Array(points.count).fill(1);
  let tree = null;
  let hovered = -1;

  const screen = (i) => [
    (points.x[i] * base.k + base.x) * view.k + view.x,
    (points.y[i] * base.k + base.y) * view.k + view.y,
  ];
  const unscreen = (x, y) => [((x - view.x) / view.k - base.x) / base.k, ((y - view.y) / view.k - base.y) / base.k];

  /** The part of the map that holds nearly all points, as large as fits. */
  function fitBase() {
    const [left, right] = extentOf(points.x);
    const [top, bottom] = extentOf(points.y);
    const k = 0.94 * Math.min(width / Math.max(right - left, 1e-9), height / Math.max(bottom - top, 1e-9));
    base = { k, x: width / 2 - (k * (left + right)) / 2, y: height / 2 - (k * (top + bottom)) / 2 };
  }

  /** What colors the points: {values, looks} of words, {values, low, high} of numbers. */
  function coloring() {
    if (state.color === "recording") return { values: points.group, looks: recordingLooks, names: data.groups.map((one) => one.id) };
    if (state.color === "agent" || state.color === "target") return { values: points[state.color], looks: animals, names: data.individuals };
    const index = Number(state.color.slice(1));
    if (state.color[0] === "e") return { values: points.values[index], looks: looks[index], ethogram: index };
    return { values: points.channels[index].values, channel: points.channels[index] };
  }

  /** Packed colors and dots for every value, plain and faded. */
  function tables(size) {
    const { looks: own, channel } = coloring();
    const square = size < 4 ? blockOf(size) : dotsOf("disc", size);
    if (channel) {
      const colors = d3.range(256).map((i) => (i === 255 ? UNKNOWN : CONTINUOUS(i / 254)));
      return { colors: [...colors, UNKNOWN], dots: colors.map(() => square).concat([square]) };
    }
    // Of smaller dots nobody can see the shape.
    const dots = own.map((look) => (size < 5 ? square : dotsOf(look.marker, size)));
    return { colors: [...own.map((look) => look.color), UNKNOWN], dots: [...dots, square] };
  }

  function pointSize() {
    const ratio = canvas.width / Math.max(width, 1);
    const crowd = Math.sqrt((width * height) / Math.max(points.count, 1));
    const size = Math.min(9, Math.max(1.6, crowd)) * Math.min(4, view.k ** 0.6);
    const rounded = Math.round(Math.min(size, 9) * ratio);
    return rounded < 5 ? Math.max(2, rounded) : rounded | 1;
  }

  function drawPoints() {
    const context = sized(canvas, width, height);
    const ratio = canvas.width / width;
    const [w, h] = [canvas.width, canvas.height];
    const picture = context.createImageData(w, h);
    const buffer = new Uint32Array(picture.data.buffer);
    const size = pointSize();
    const { values, channel } = coloring();
    const { colors, dots } = tables(size);
    const unknown = colors.length - 1;
    const plain = colors.map((color) => pixel(color));
    const faded = colors.map((color) => pixel(color, 0.82));
    const bright = brightPoints();
    const [sx, ox] = [base.k * view.k * ratio, (base.x * view.k + view.x) * ratio];
    const [sy, oy] = [base.k * view.k * ratio, (base.y * view.k + view.y) * ratio];
    const paint = (palette, wanted) => {
      for (let n = 0; n < order.length; n++) {
        const i = order[n];
        if (!visible[i] || !wanted(i)) continue;
        const px = Math.round(points.x[i] * sx + ox);
        const py = Math.round(points.y[i] * sy + oy);
        if (px < -size || py < -size || px >= w + size || py >= h + size) continue;
        const value = values[i];
        const index = value < 0 ? unknown : value;
        const color = palette[index];
        for (const [dx, dy] of dots[index]) {
          const [x, y] = [px + dx, py + dy];
          if (x >= 0 && y >= 0 && x < w && y < h) buffer[y * w + x] = color;
        }
      }
    };
    if (bright) {
      paint(faded, (i) => !bright[i]);
      paint(plain, (i) => bright[i]);
    } else if (channel) {
      paint(plain, (i) => values[i] === 255);
      paint(plain, (i) => values[i] !== 255);
    } else paint(plain, () => true);
    context.putImageData(picture, 0, 0);
  }

  /** Which points are emphasized, null where all are alike. */
  function brightPoints() {
    if (!state.highlight) return null;
    const values = points.values[state.highlight.ethogram];
    const bright = new Uint8Array(points.count);
    for (let i = 0; i < points.count; i++) bright[i] = values[i] === state.highlight.value ? 1 : 0;
    return bright;
  }

  function drawOverlay() {
    const context = sized(overlay, width, height);
    drawMoment(context);
    drawNumbers(context);
    if (hovered >= 0) ring(context, hovered, 6, "#111", 2);
    if (document.activeElement === stage && stage.matches(":focus-visible")) drawCross(context);
  }

  /** The points of the selected moment as a path with its start, and the bout that plays in its place. */
  function drawMoment(context) {
    if (!state.moment) return;
    const { recording, start, stop, frame } = state.moment;
    const own = pointsIn(recording, start, stop);
    context.lineJoin = "round";
    for (const [color, line] of [["#fff", 5], ["#111", 2]]) {
      context.strokeStyle = color;
      context.lineWidth = line;
      context.beginPath();
      own.forEach((i, n) => context[n ? "lineTo" : "moveTo"](...screen(i)));
      context.stroke();
    }
    const here = pointAt(points, recording, frame);
    if (here >= 0) ring(context, here, 8, "#111", 3);
  }

  function pointsIn(recording, start, stop) {
    const [from, to] = [points.starts[recording], points.starts[recording + 1]];
    return d3.range(d3.bisectLeft(points.frame, start, from, to), d3.bisectLeft(points.frame, stop, from, to));
  }

  function ring(context, i, radius, color, line) {
    const [x, y] = screen(i);
    for (const [ink, wide] of [["#fff", line + 3], [color, line]]) {
      context.strokeStyle = ink;
      context.lineWidth = wide;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  /** The number of each cluster, in its middle. */
  function drawNumbers(context) {
    const { ethogram } = coloring();
    if (ethogram === undefined || data.ethograms[ethogram].kind !== "clusters") return;
    context.font = "600 14px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 4;
    context.lineJoin = "round";
    centers[ethogram].forEach((center, value) => {
      if (!center || state.hiddenValues[ethogram].has(value)) return;
      if (state.highlight && state.highlight.ethogram === ethogram && state.highlight.value !== value) return;
      const [x, y] = [(center[0] * base.k + base.x) * view.k + view.x, (center[1] * base.k + base.y) * view.k + view.y];
      context.strokeStyle = "rgba(255,255,255,.9)";
      context.strokeText(value, x, y);
      context.fillStyle = "#111";
      context.fillText(value, x, y);
    });
  }

  function drawCross(context) {
    context.strokeStyle = "#111";
    context.lineWidth = 1.5;
    context.beginPath();
    for (const [x, y] of [[10, 0], [0, 10]]) {
      context.moveTo(width / 2 - x, height / 2 - y);
      context.lineTo(width / 2 + x, height / 2 + y);
    }
    context.stroke();
  }

  const draw = oncePerFrame(() => {
    drawPoints();
    drawOverlay();
  });
  const redrawOverlay = oncePerFrame(drawOverlay);

  // --- finding points

  function plant() {
    const seen = Array.from(order).filter((i) => visible[i]);
    tree = d3.quadtree(seen, (i) => points.x[i], (i) => points.y[i]);
  }

  /** The visible point within 14 px of a place on the stage; -1 for none. */
  function find(x, y) {
    if (!tree) plant();
    const [px, py] = unscreen(x, y);
    const reach = 14 / (base.k * view.k);
    const found = tree.find(px, py, reach);
    return found === undefined ? -1 : found;
  }

  function hover(event) {
    const [x, y] = d3.pointer(event, stage);
    const found = find(x, y);
    if (found !== hovered) {
      hovered = found;
      redrawOverlay();
      if (found >= 0) fillTooltip(found);
    }
    tooltip.hidden = found < 0;
    if (found >= 0) standBeside(tooltip, event);
  }

  function fillTooltip(i) {
    const row = data.recordings[points.recording[i]];
    const lines = [element("strong", {}, `${row.title}, ${timeText(data, points.recording[i], points.frame[i])}`)];
    data.ethograms.forEach((ethogram, e) => {
      const value = points.values[e][i];
      if (value >= 0) lines.push(element("span", {}, `${ethogram.kind === "clusters" ? "" : `${ethogram.name}: `}${wordOf(data, e, value)}`));
    });
    const { channel } = coloring();
    if (channel) lines.push(element("span", {}, `${channel.name}: ${channelText(channel, i)}`));
    const pose = poseOf(points, i, poseSize);
    const picture = pose ? poseCanvas(data, pose, 130, 96, row) : null;
    tooltip.replaceChildren(...(picture ? [picture] : []), ...lines);
  }

  // --- the pointer and the keyboard

  const zoom = d3.zoom()
    .scaleExtent([0.5, 60])
    .clickDistance(4)
    .on("zoom", (event) => {
      view = event.transform;
      hideTooltip();
      draw();
    });
  const selection = d3.select(stage).call(zoom).on("dblclick.zoom", null);

  function hideTooltip() {
    tooltip.hidden = true;
    hovered = -1;
  }

  stage.addEventListener("pointermove", (event) => event.buttons === 0 && hover(event));
  stage.addEventListener("pointerleave", () => {
    hideTooltip();
    redrawOverlay();
  });
  stage.addEventListener("click", (event) => {
    const found = find(...d3.pointer(event, stage));
    hideTooltip();
    if (found >= 0) selectPoint(found);
  });

  function selectPoint(i) {
    store.selectFrame(points.recording[i], points.frame[i]);
  }

  const keys = {
    ArrowLeft: () => zoom.translateBy(selection, 40 / view.k, 0),
    ArrowRight: () => zoom.translateBy(selection, -40 / view.k, 0),
    ArrowUp: () => zoom.translateBy(selection, 0, 40 / view.k),
    ArrowDown: () => zoom.translateBy(selection, 0, -40 / view.k),
    "+": () => zoom.scaleBy(selection, 1.4),
    "=": () => zoom.scaleBy(selection, 1.4),
    "-": () => zoom.scaleBy(selection, 1 / 1.4),
    0: () => zoom.transform(selection, d3.zoomIdentity),
    Enter: () => {
      const [x, y] = unscreen(width / 2, height / 2);
      if (!tree) plant();
      const found = tree.find(x, y);
      if (found !== undefined) selectPoint(found);
    },
  };
  stage.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  for (const name of ["focus", "blur"]) stage.addEventListener(name, redrawOverlay);
  $("[data-act=in]", root).addEventListener("click", () => zoom.scaleBy(selection, 1.6));
  $("[data-act=out]", root).addEventListener("click", () => zoom.scaleBy(selection, 1 / 1.6));
  $("[data-act=whole]", root).addEventListener("click", keys[0]);

  // --- color and legend

  const choice = $("#color");
  for (const [group, options] of d3.group(colorings(data), (one) => one.group)) {
    choice.append(element("optgroup", { label: group }, ...options.map((one) => element("option", { value: one.id }, one.name))));
  }
  choice.addEventListener("change", () => store.change({ color: choice.value }, "color"));

  function drawLegend() {
    const legend = $(".legend", root);
    const { ethogram, channel, names, looks: own } = coloring();
    if (channel) return legend.replaceChildren(...numberLegend(channel));
    if (names) return legend.replaceChildren(...names.map((name, i) => element("span", { class: "key" }, markerIcon(own[i]), name)));
    const { words } = data.ethograms[ethogram];
    const seen = new Set(points.values[ethogram]);
    const rows = d3.range(words.length).filter((value) => seen.has(value)).map((value) => {
      const on = Boolean(state.highlight && state.highlight.ethogram === ethogram && state.highlight.value === value);
      const press = () => (on ? store.clear() : store.selectValue(ethogram, value));
      return element("button", { type: "button", class: "key", "aria-pressed": String(on), onclick: press },
        markerIcon(looks[ethogram][value]), wordOf(data, ethogram, value, true));
    });
    if (seen.has(-1)) rows.push(element("span", { class: "key" }, markerIcon({ color: UNKNOWN, marker: "disc" }), "none"));
    return replaceWithFocus(legend, rows);
  }

  function numberLegend(channel) {
    const bar = element("canvas", { class: "ramp", "aria-hidden": "true" });
    const context = sized(bar, 160, 12);
    for (let i = 0; i < 160; i++) {
      context.fillStyle = CONTINUOUS(i / 159);
      context.fillRect(i, 0, 1.5, 12);
    }
    const units = channel.units ? ` ${channel.units}` : "";
    return [
      element("span", { class: "key" }, `≤ ${short(channel.low)}${units}`), bar, element("span", { class: "key" }, `≥ ${short(channel.high)}${units}`),
      element("span", { class: "key" }, markerIcon({ color: UNKNOWN, marker: "disc" }), "not known"),
      element("span", { class: "about" }, channel.about),
    ];
  }

  // --- what others change

  function filter() {
    visible = new Uint8Array(points.count);
    let shown = 0;
    for (let i = 0; i < points.count; i++) {
      let on = !state.hiddenRecordings.has(points.recording[i]);
      for (let e = 0; on && e < points.values.length; e++) on = !state.hiddenValues[e].has(points.values[e][i]);
      visible[i] = on ? 1 : 0;
      shown += visible[i];
    }
    tree = null;
    // Ready before somebody points: 100,000 points take a tenth of a second.
    (window.requestIdleCallback || setTimeout)(() => tree || plant());
    $(".count", root).textContent = shown === points.count ? `${d3.format(",")(shown)} frames` : `${d3.format(",")(shown)} of ${d3.format(",")(points.count)} frames`;
    counts.visible = shown;
  }

  function resize() {
    const box = stage.getBoundingClientRect();
    if (!box.width || (Math.abs(box.width - width) < 0.5 && Math.abs(box.height - height) < 0.5)) return;
    [width, height] = [box.width, box.height];
    zoom.extent([[0, 0], [width, height]]);
    fitBase();
    draw();
  }

  store.listen((reason) => {
    if (reason === "filter") filter();
    choice.value = state.color;
    drawLegend();
    draw();
  });
  new ResizeObserver(resize).observe(stage);
  filter();
  resize();
  return { looks, recordingLooks, screen, visible: (i) => visible[i] === 1 };
}

/** 0 .. count - 1 in an order that is always the same and like chance, so that no cluster lies on top of the others. */
function shuffled(count) {
  const order = new Uint32Array(count).map((_, i) => i);
  const random = d3.randomLcg(0.5);
  return d3.shuffler(random)(order);
}

/** From where to where nearly all numbers lie, a little wider. */
function extentOf(values) {
  const some = Float32Array.from(d3.range(0, values.length, Math.max(1, Math.floor(values.length / 20000))), (i) => values[i]).sort();
  const [low, high] = [d3.quantileSorted(some, 0.002), d3.quantileSorted(some, 0.998)];
  const room = (high - low || 1) * 0.04;
  return [low - room, high + room];
}

/** The medians of each word's points, null where there are none. */
function centersOf(points, ethogram, count) {
  const own = d3.range(count).map(() => []);
  const values = points.values[ethogram];
  const stride = Math.max(1, Math.floor(points.count / 30000));
  for (let i = 0; i < points.count; i += stride) if (values[i] >= 0) own[values[i]].push(i);
  return own.map((some) => (some.length ? [d3.median(some, (i) => points.x[i]), d3.median(some, (i) => points.y[i])] : null));
}

/** A word for people: clusters by number. */
function wordOf(data, ethogram, value, brief = false) {
  const { kind, words } = data.ethograms[ethogram];
  if (kind !== "clusters") return words[value];
  return brief ? String(value) : `Cluster ${value}`;
}

function channelText(channel, i) {
  const step = channel.values[i];
  if (step === 255) return "not known";
  const value = channel.low + (step / 254) * (channel.high - channel.low);
  return `${step === 0 ? "≤ " : step === 254 ? "≥ " : ""}${short(value)}${channel.units ? ` ${channel.units}` : ""}`;
}
