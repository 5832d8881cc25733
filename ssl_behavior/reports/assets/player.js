// The player: the animals of a bout and of its nearest neighbors, side by side, all at the same time.

const VIEW_SMOOTHING = 7;
const MOST_NAMES = 4;

function makePlayer(data, store, looks, ethogram) {
  const { state } = store;
  const root = $("#player");
  const stage = $(".stage", root);
  const slider = $("#time");
  const button = $("[data-act=play]", root);
  const [speed, loop, view] = [$("#speed"), $("#loop"), $("#view")];
  const caption = $(".caption", root);
  const number = data.individuals.length * data.skeleton.keypoints.length;
  const reduced = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const named = data.unit !== "scene" || (data.individuals.length > 2 && data.individuals.length <= MOST_NAMES);
  let panels = [];
  let seconds = 0;
  let longest = 0;
  let playing = false;
  let last = null;

  if (data.unit !== "scene") view.append(element("option", { value: "agent" }, data.unit === "pair" ? "follow the agent" : "follow the animal"));
  data.individuals.forEach((name, i) => view.append(element("option", { value: i }, `follow ${name}`)));
  view.append(element("option", { value: "arena" }, "arena"));

  // --- which bouts

  function load() {
    const bout = state.bout === null ? null : data.bouts[state.bout];
    const first = state.exact ? "selected" : state.moment ? "like" : "opening";
    const whole = bout ? [{ bout, distance: 0, role: first }, ...bout.neighbors.map((one) => ({ bout: data.bouts[one.bout], distance: one.distance, role: "neighbor" }))] : [];
    panels = whole.map(makePanel);
    if (panels.length) panels.forEach((panel) => matchAnimals(panel, panels[0]));
    replaceWithFocus(stage, panels.map((panel) => panel.node), panels.length ? panels[0].node : null);
    longest = d3.max(panels, (panel) => panel.bout.frames / panel.fps) || 0;
    slider.max = longest;
    explain(bout);
    root.classList.toggle("empty", !panels.length);
    for (const control of $$("button, select, input", $(".controls", root))) control.disabled = !panels.length;
    seek(0);
    setPlaying(Boolean(panels.length) && !reduced);
  }

  function explain(bout) {
    const still = state.moment && !state.exact ? stillOf(state.moment) : null;
    const texts = [];
    if (!bout && state.highlight && !state.moment) texts.push("The page has no bout of it to play.");
    else if (!bout && !state.moment) texts.push("Select a point, a bout or a cluster: its animals move here, with those of the bouts that are most like it.");
    else if (!bout) texts.push("There are no tracks for this in the page.");
    else if (bout && !state.moment) texts.push("An example, and the bouts most like it. Select a point, a bout or a cluster.");
    else if (!state.exact) texts.push("Of this moment the page has the pose, not the tracks: the bout most like it plays instead.");
    if (bout && bout.frames < bout.stop - bout.start) texts.push(middleText(bout));
    if (bout && bout.amongExamples && bout.neighbors.length) texts.push("Its neighbors are the nearest of the bouts in this page.");
    caption.replaceChildren(...(still ? [still] : []), element("span", {}, texts.join(" ")));
  }

  /** Of a long bout the page has the middle. */
  function middleText({ recording, start, stop, first, frames }) {
    const { fps } = data.recordings[recording];
    return `Of its ${short((stop - start) / fps)} s the page has the middle: ${clock(first / fps)} to ${clock((first + frames) / fps)}.`;
  }

  function stillOf(moment) {
    const point = data.points ? pointAt(data.points, moment.recording, moment.frame) : -1;
    const pose = point >= 0 ? poseOf(data.points, point, number) : null;
    return pose ? poseCanvas(data, pose, 72, 54, data.recordings[moment.recording]) : null;
  }

  function makePanel({ bout, distance, role }) {
    const row = data.recordings[bout.recording];
    const { title, recording, fps } = row;
    const canvas = element("canvas", { "aria-hidden": "true" });
    const box = element("span", { class: "screen" }, canvas);
    const [start, stop] = [bout.start, bout.stop].map((frame) => timeText(data, bout.recording, frame));
    const place = `${title}, ${start} to ${stop}`;
    const words = element("span", { class: "words" }, ...wordsOf(bout, role === "selected" ? state.moment.frame : Math.floor((bout.start + bout.stop) / 2)));
    const is = $$(".word", words).map((word) => word.title).join(", ");
    const relation = { selected: "selected", like: "most like it", opening: "example", neighbor: `distance ${short(distance)}` }[role];
    const line = element("span", { class: "line", title: place }, element("span", { class: "place" }, element("span", { class: "name" }, recording), `, ${start}`), element("span", { class: "relation" }, relation));
    const who = row.agentNumber < 0 ? null : element("span", { class: "line who" }, ...actorsOf(row));
    const node = element("button", {
      type: "button", class: `panel ${role}`, "data-bout": bout.id, "aria-label": `Bout ${place}, ${relation}${is && `, ${is}`}${role === "neighbor" ? ", select it" : ""}`,
      onclick: () => (role === "neighbor" ? store.selectBout(bout.id) : setPlaying(!playing)),
    }, ...[box, line, who, words].filter(Boolean));
    const track = trackOf(data.bouts, bout);
    return { bout, row, fps, canvas, box, node, track, role, swapped: false, frames: framesOfReference(track) };
  }

  /** The names of a row's animals in their tints. */
  function actorsOf(row) {
    const name = (animal, text) => element("span", { class: `animal a${animal % ANIMALS.length}` }, text);
    if (row.targetNumber < 0) return [name(row.agentNumber, row.agent)];
    return [name(row.agentNumber, row.agent), element("span", { class: "to" }, "→"), name(row.targetNumber, row.target)];
  }

  /** What a bout is at a frame: its cluster, and its labels. */
  function wordsOf(bout, frame) {
    return data.ethograms.map((one, e) => {
      const run = runAt(one, bout.recording, frame);
      if (!run || run.value < 0) return null;
      const title = one.kind === "clusters" ? wordOf(data, e, run.value) : `${one.name}: ${one.words[run.value]}`;
      return element("span", { class: "word", title }, markerIcon(looks[e][run.value]), one.kind === "clusters" ? String(run.value) : one.words[run.value]);
    }).filter(Boolean);
  }

  // --- where each animal looks

  /** For each animal and frame: center and direction, smoothed over a few frames, held where it was not seen; null for an animal that is never seen. */
  function framesOfReference(track) {
    const { front, back, keypoints } = data.skeleton;
    const count = track.length / (number * 2);
    return data.individuals.map((_, animal) => {
      const point = (frame, k) => [0, 1].map((axis) => track[(frame * number + animal * keypoints.length + k) * 2 + axis]);
      const raw = d3.range(count).map((frame) => {
        const seen = keypoints.map((_, k) => point(frame, k)).filter(([x]) => !Number.isNaN(x));
        const [nose, tail] = [point(frame, front), point(frame, back)];
        const way = [nose[0] - tail[0], nose[1] - tail[1]];
        const length = Math.hypot(...way);
        return {
          center: seen.length ? [d3.mean(seen, (p) => p[0]), d3.mean(seen, (p) => p[1])] : null,
          way: length > 0 ? [way[0] / length, way[1] / length] : null,
        };
      });
      return raw.some((one) => one.center) ? smoothed(raw) : null;
    });
  }

  function smoothed(raw) {
    const mean = (name, frame, fallback) => {
      const near = raw.slice(Math.max(0, frame - VIEW_SMOOTHING), frame + VIEW_SMOOTHING + 1).map((one) => one[name]).filter(Boolean);
      return near.length ? [d3.mean(near, (v) => v[0]), d3.mean(near, (v) => v[1])] : fallback;
    };
    const first = (name, otherwise) => (raw.find((one) => one[name]) || { [name]: otherwise })[name];
    let [center, way] = [first("center", [0, 0]), first("way", [0, -1])];
    return raw.map((_, frame) => {
      center = mean("center", frame, center);
      way = mean("way", frame, way);
      return { center, angle: Math.atan2(way[1], way[0]) };
    });
  }

  /** Anonymous animals: match a neighbor's animals by position. */
  function matchAnimals(panel, reference) {
    if (data.unit !== "scene" || !data.skeleton.exchangeable || data.individuals.length !== 2) return;
    if (![panel, reference].every((one) => one.frames.every(Boolean))) return;
    const own = [0, 1].map((animal) => placement(panel, animal));
    const wanted = placement(reference, 0);
    const gap = (a, b) => d3.sum(a, (value, i) => (value - b[i]) ** 2);
    panel.swapped = panel !== reference && gap(own[1], wanted) < gap(own[0], wanted);
  }

  /** Where the other is, as an animal sees it, and how fast both are: means over the bout, in units of the gap. */
  function placement(panel, animal) {
    const [me, other] = [panel.frames[animal], panel.frames[1 - animal]];
    const rows = d3.range(1, me.length).map((frame) => {
      const [dx, dy] = [other[frame].center[0] - me[frame].center[0], other[frame].center[1] - me[frame].center[1]];
      const [cos, sin] = [Math.cos(-me[frame].angle), Math.sin(-me[frame].angle)];
      const pace = (one) => 10 * Math.hypot(one[frame].center[0] - one[frame - 1].center[0], one[frame].center[1] - one[frame - 1].center[1]);
      return [dx * cos - dy * sin, Math.abs(dx * sin + dy * cos), pace(me), pace(other)];
    });
    return d3.range(4).map((i) => d3.mean(rows, (one) => one[i]) || 0);
  }

  // --- drawing

  function drawPanel(panel) {
    const width = panel.box.clientWidth;
    const height = Math.round(width * 0.7);
    if (!width) return;
    const context = sized(panel.canvas, width, height);
    const frame = Math.min(panel.bout.frames - 1, Math.floor(seconds * panel.fps + 1e-6));
    const pose = frameOf(panel.track, frame, number);
    const animal = followed(panel);
    const at = animal === null ? inArena(panel, width, height) : around(panel, animal, frame, width, height);
    drawTrails(context, panel, frame, at);
    if (!boxOf(pose)) sayUnseen(context, width, height);
    const drawn = turnedPose(panel, pose);
    // Names lie under the animals; of many, they would hide each other, and the tints say who is who.
    if (named) drawNames(context, data, drawn, at, panel.row, width, height);
    drawPose(context, data, drawn, at, { line: Math.max(2, width / 90), dot: Math.max(2, width / 90) }, panel.row);
    drawBar(context, panel, frame, width, height);
  }

  /** The pose with the animals in the order of the selected bout. */
  function turnedPose(panel, pose) {
    if (!panel.swapped) return pose;
    const half = pose.length / 2;
    const swapped = new Float32Array(pose.length);
    swapped.set(pose.subarray(half), 0);
    swapped.set(pose.subarray(0, half), half);
    return swapped;
  }

  /** The number of the animal in the middle, in the panel's own order; null for the arena, also where it is never seen. */
  function followed(panel) {
    if (view.value === "arena") return null;
    const chosen = view.value === "agent" ? panel.row.agentNumber : Number(view.value);
    const own = panel.swapped && data.individuals.length === 2 ? 1 - chosen : chosen;
    return panel.frames[own] ? own : null;
  }

  function inArena(panel, width, height) {
    panel.extent = panel.extent || boxOf(panel.track) || [0, 0, 1, 1];
    return intoBox(panel.extent, width, height, 16, 1);
  }

  /** An animal in the middle, looking up. All panels have one scale: that which shows the animals nearly always. */
  function around(panel, animal, frame, width, height) {
    const { center, angle } = panel.frames[animal][frame];
    // Of several animals one is always the farthest: some room to the edge, and to the bar below.
    const k = ((data.individuals.length > 2 ? 0.84 : 1) * Math.min(width, height)) / (2 * reach());
    const [cos, sin] = [Math.cos(-angle - Math.PI / 2), Math.sin(-angle - Math.PI / 2)];
    return (x, y) => {
      const [dx, dy] = [x - center[0], y - center[1]];
      return [width / 2 + k * (dx * cos - dy * sin), height / 2 + k * (dx * sin + dy * cos)];
    };
  }

  /** How far from an animal's middle the points of the others are in nine of ten frames, over all panels; of a pair, those of its target. */
  function reach() {
    if (panels.reach) return panels.reach;
    const size = data.skeleton.keypoints.length;
    const far = [];
    for (const panel of panels) {
      const { agentNumber, targetNumber } = panel.row;
      const middle = panel.frames[Math.max(agentNumber, 0)] || panel.frames.find(Boolean);
      const shown = d3.range(number).filter((i) => targetNumber < 0 || [agentNumber, targetNumber].includes(Math.floor(i / size)));
      for (let frame = 0; middle && frame < panel.bout.frames; frame += 3) {
        const pose = frameOf(panel.track, frame, number);
        const { center } = middle[frame];
        const gaps = shown.map((i) => Math.hypot(pose[2 * i] - center[0], pose[2 * i + 1] - center[1]));
        // Of single points, nothing but their way has a size.
        if (size === 1) gaps.push(Math.hypot(...[0, 1].map((axis) => middle[Math.max(0, frame - Math.round(panel.fps))].center[axis] - center[axis])));
        far.push(d3.max(gaps.filter((gap) => !Number.isNaN(gap))) || 0);
      }
    }
    panels.reach = Math.max(1e-6, d3.quantile(far, 0.9) || 1);
    return panels.reach;
  }

  /** Where the animals' middles were in the last second. */
  function drawTrails(context, panel, frame, at) {
    const first = Math.max(0, frame - Math.round(panel.fps));
    panel.frames.forEach((own, animal) => {
      if (!own) return;
      const drawn = panel.swapped && data.individuals.length === 2 ? 1 - animal : animal;
      context.strokeStyle = ANIMALS[drawn % ANIMALS.length];
      context.globalAlpha = 0.25 * weightOf(panel.row, animal).alpha;
      context.lineWidth = 2;
      context.beginPath();
      for (let i = first; i <= frame; i++) context[i === first ? "moveTo" : "lineTo"](...at(...own[i].center));
      context.stroke();
    });
    context.globalAlpha = 1;
  }

  /** The time of the panel below it: the bout is the thick part. */
  function drawBar(context, panel, frame, width, height) {
    const { bout } = panel;
    const x = d3.scaleLinear([0, bout.frames], [6, width - 6]);
    const [from, to] = [x(Math.max(0, bout.start - bout.first)), x(Math.min(bout.frames, bout.stop - bout.first))];
    context.fillStyle = "#d5d8dc";
    context.fillRect(6, height - 6, width - 12, 2);
    context.fillStyle = "#59616b";
    context.fillRect(from, height - 7, Math.max(2, to - from), 4);
    context.fillStyle = "#d00";
    context.fillRect(x(frame + 0.5) - 1.5, height - 10, 3, 10);
    const inside = bout.first + frame >= bout.start && bout.first + frame < bout.stop;
    panel.node.classList.toggle("inside", inside);
  }

  function draw() {
    panels.forEach(drawPanel);
    const lead = panels[0];
    slider.value = seconds;
    $(".clock", root).textContent = lead ? `${seconds.toFixed(1)} / ${longest.toFixed(1)} s` : "";
    ethogram.play(lead && lead.bout, lead ? lead.bout.first + Math.min(lead.bout.frames - 1, Math.floor(seconds * lead.fps)) : 0);
  }

  // --- time

  function tick(now) {
    if (!playing) return;
    if (last !== null) seconds += ((now - last) / 1000) * Number(speed.value);
    last = now;
    if (seconds >= longest) {
      if (loop.checked) seconds = longest ? seconds % longest : 0;
      else {
        seconds = longest;
        setPlaying(false);
      }
    }
    draw();
    if (playing) requestAnimationFrame(tick);
  }

  function setPlaying(on) {
    if (on && seconds >= longest && !loop.checked) seconds = 0;
    const begins = on && !playing;
    playing = on;
    button.textContent = on ? "Pause" : "Play";
    if (begins) {
      last = null;
      requestAnimationFrame(tick);
    }
  }

  function seek(to) {
    seconds = Math.min(Math.max(0, to), longest);
    draw();
  }

  /** One frame of the selected bout forward or back. */
  function step(by) {
    setPlaying(false);
    if (panels.length) seek((Math.floor(seconds * panels[0].fps + 1e-6) + by) / panels[0].fps + 1e-6);
  }

  button.addEventListener("click", () => setPlaying(!playing));
  slider.addEventListener("input", () => {
    setPlaying(false);
    seek(Number(slider.value));
  });
  view.addEventListener("change", draw);
  $("[data-act=back]", root).addEventListener("click", () => step(-1));
  $("[data-act=forward]", root).addEventListener("click", () => step(1));
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input[type=range], input[type=checkbox]")) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else return;
    event.preventDefault();
  });
  // The space bar plays and stops wherever nothing else wants it.
  document.addEventListener("keydown", (event) => {
    const busy = event.target.matches("input, select, textarea, button:not(.panel), summary, a");
    if (event.key !== " " || busy || !panels.length || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    setPlaying(!playing);
  });
  document.addEventListener("keyup", (event) => event.key === " " && event.target.matches(".panel") && event.preventDefault());

  store.listen((reason) => (reason === "select" || reason === "address") && load());
  new ResizeObserver(() => draw()).observe(stage);
  load();
  return { playing: () => playing, seconds: () => seconds };
}
