// Selection, coloring, hidden items, and their listeners. Every selection passes through here, so that a point, a bout
// and a card select the same thing everywhere. The address keeps the selection.

function makeState(data) {
  const listeners = [];
  const state = {
    /** {ethogram, value}: all frames that are emphasized, null for none. */
    highlight: null,
    /** {recording, start, stop, frame}: the moment that is selected, null for none. */
    moment: null,
    /** The example bout that plays, and whether it holds the selected moment or is only similar. */
    bout: null,
    exact: false,
    /** Whether a word was selected (a cluster, a label), and the moment is only its example. */
    ofValue: false,
    color: data.clusters >= 0 ? `e${data.clusters}` : data.ethograms.length ? "e0" : "recording",
    /** Recordings that are not ticked, and the animals to show: their numbers, null for any. */
    hiddenGroups: new Set(),
    agent: null,
    target: null,
    /** The rows that follow from these: recordings, animals or pairs that are left out. */
    hiddenRecordings: new Set(),
    hiddenValues: data.ethograms.map(() => new Set()),
  };

  function change(patch, reason) {
    Object.assign(state, patch);
    for (const listener of listeners) listener(reason);
    if (reason !== "address") writeAddress();
  }

  /** Leave out the rows of recordings that are not ticked, and of other animals than the chosen ones. */
  function filterRows() {
    const other = (chosen, number) => chosen !== null && number !== chosen;
    state.hiddenRecordings.clear();
    data.recordings.forEach((row, r) => {
      if (state.hiddenGroups.has(row.group) || other(state.agent, row.agentNumber) || other(state.target, row.targetNumber)) state.hiddenRecordings.add(r);
    });
  }

  const isShown = (row) => !state.hiddenRecordings.has(row);

  /** Show an agent and a target (null for any): a selected cluster has another example, a moment is seen from them. */
  function showAnimals(agent, target) {
    Object.assign(state, { agent, target });
    filterRows();
    change({}, "filter");
    const { moment, bout, highlight } = state;
    if (state.ofValue && highlight) selectValue(highlight.ethogram, highlight.value);
    else if (moment && !isShown(moment.recording)) {
      const row = data.groups[data.recordings[moment.recording].group].rows.find(isShown);
      if (row === undefined) clear();
      else selectFrame(row, moment.frame);
    } else if (!moment && bout !== null && !isShown(data.bouts[bout].recording)) change({ bout: example() }, "select");
  }

  function writeAddress() {
    const parts = new URLSearchParams();
    if (state.moment) {
      parts.set("recording", data.recordings[state.moment.recording].id);
      parts.set("frames", `${state.moment.start}-${state.moment.stop}`);
      parts.set("frame", state.moment.frame);
    }
    if (state.bout !== null) parts.set("bout", state.bout);
    if (state.highlight) parts.set("shown", `${data.ethograms[state.highlight.ethogram].name}:${state.highlight.value}`);
    parts.set("color", state.color);
    for (const role of ["agent", "target"]) if (state[role] !== null) parts.set(role, data.individuals[state[role]]);
    const address = `#${parts}`;
    if (address !== location.hash) history.replaceState(null, "", address);
  }

  function readAddress() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const patch = { moment: null, bout: null, highlight: null, exact: false, ofValue: false };
    const recording = data.recordings.findIndex((one) => one.id === parts.get("recording"));
    const [start, stop] = (parts.get("frames") || "").split("-").map(Number);
    const frame = Number(parts.get("frame"));
    if (recording >= 0 && start >= 0 && start < stop && stop <= data.recordings[recording].frames) {
      patch.moment = { recording, start, stop, frame: Math.min(Math.max(frame || start, start), stop - 1) };
    }
    const bout = data.bouts[parseInt(parts.get("bout"), 10)];
    if (bout) [patch.bout, patch.exact] = [bout.id, isMoment(bout, patch.moment)];
    const split = (parts.get("shown") || "").lastIndexOf(":");
    const ethogram = data.ethograms.findIndex((one) => one.name === (parts.get("shown") || "").slice(0, split));
    const value = Number((parts.get("shown") || "").slice(split + 1));
    if (ethogram >= 0 && value in data.ethograms[ethogram].words) patch.highlight = { ethogram, value };
    if (colorings(data).some((one) => one.id === parts.get("color"))) patch.color = parts.get("color");
    for (const role of ["agent", "target"]) {
      const animal = data.recordings.some((row) => row[role]) ? data.individuals.indexOf(parts.get(role)) : -1;
      patch[role] = animal < 0 ? null : animal;
    }
    const filtered = patch.agent !== state.agent || patch.target !== state.target;
    Object.assign(state, { agent: patch.agent, target: patch.target });
    filterRows();
    if (filtered) for (const listener of listeners) listener("filter");
    if (!patch.moment && !patch.highlight && patch.bout === null) patch.bout = example();
    change(patch, "address");
  }

  /** Something to look at before anything is selected: of the bouts compared with all bouts, the first of the best seen. */
  function example() {
    const compared = data.bouts.filter((bout) => bout.neighbors.length && !bout.amongExamples && isShown(bout.recording));
    return (d3.greatest(compared, (bout) => shareSeen(data.bouts, bout)) || { id: null }).id;
  }

  const isMoment = (bout, moment) => Boolean(moment && bout.recording === moment.recording && bout.start === moment.start && bout.stop === moment.stop);

  /** Select what a recording shows at a frame: the bout of its cluster, or of its first label. */
  function selectFrame(recording, frame) {
    const ethogram = data.clusters >= 0 ? data.clusters : 0;
    const run = data.ethograms.length ? runAt(data.ethograms[ethogram], recording, frame) : null;
    const moment = run ? { recording, frame, start: run.start, stop: run.stop } : secondAround(recording, frame);
    const shown = shownAt(recording, frame);
    const like = shown === null ? likeFrame(recording, frame) : shown;
    const highlight = run && run.value >= 0 && data.clusters >= 0 ? { ethogram, value: run.value } : null;
    change({ moment, highlight, bout: like, exact: shown !== null, ofValue: false }, "select");
  }

  function secondAround(recording, frame) {
    const { frames, fps } = data.recordings[recording];
    const half = Math.max(1, Math.round(fps / 2));
    return { recording, frame, start: Math.max(0, frame - half), stop: Math.min(frames, frame + half) };
  }

  /** The example bout that holds a frame; clusters' bouts, and bouts compared with all others, come first. */
  function shownAt(recording, frame) {
    const here = data.bouts.filter((bout) => bout.recording === recording && bout.start <= frame && frame < bout.stop);
    if (!here.length) return null;
    return d3.greatest(here, (bout) => 2 * (bout.ethogram === data.clusters) + !bout.amongExamples).id;
  }

  function likeFrame(recording, frame) {
    const point = data.points ? pointAt(data.points, recording, frame) : -1;
    return point >= 0 && data.points.nearest && data.points.nearest[point] >= 0 ? data.points.nearest[point] : null;
  }

  function selectBout(id) {
    const bout = data.bouts[id];
    const frame = Math.floor((bout.start + bout.stop) / 2);
    const moment = { recording: bout.recording, start: bout.start, stop: bout.stop, frame };
    const run = data.clusters >= 0 ? runAt(data.ethograms[data.clusters], bout.recording, frame) : null;
    const highlight = run && run.value >= 0 ? { ethogram: data.clusters, value: run.value } : null;
    change({ moment, highlight, bout: id, exact: true, ofValue: false }, "select");
  }

  /** Select a cluster, or another word of an ethogram, and its first example bout. */
  function selectValue(ethogram, value) {
    const own = examplesOf(data, ethogram, value).filter((id) => isShown(data.bouts[id].recording));
    const bout = own.length ? data.bouts[own[0]] : null;
    const patch = { highlight: { ethogram, value }, moment: null, bout: null, exact: false, ofValue: true };
    if (bout) {
      const frame = Math.floor((bout.start + bout.stop) / 2);
      Object.assign(patch, { bout: bout.id, exact: true, moment: { recording: bout.recording, start: bout.start, stop: bout.stop, frame } });
    }
    change(patch, "select");
  }

  const clear = () => change({ moment: null, bout: null, highlight: null, exact: false, ofValue: false }, "select");
  const listen = (listener) => listeners.push(listener);
  return { state, change, listen, isShown, filterRows, showAnimals, selectFrame, selectBout, selectValue, clear, readAddress, writeAddress };
}

/** The example bouts of a word in order of choice, bouts compared with all others first. */
function examplesOf(data, ethogram, value) {
  const own = data.bouts.filter((bout) => bout.ethogram === ethogram && bout.value === value);
  return d3.sort(own, (bout) => Number(bout.amongExamples)).map((bout) => bout.id);
}

/** Everything the map can be colored by: {id, name, group}. */
function colorings(data) {
  return [
    ...data.ethograms.map((one, i) => ({ id: `e${i}`, name: one.kind === "clusters" ? "Cluster" : `Label ${one.name}`, group: "What happens" })),
    { id: "recording", name: "Recording", group: "What happens" },
    ...(data.unit === "scene" ? [] : [{ id: "agent", name: data.unit === "pair" ? "Agent" : "Animal", group: "What happens" }]),
    ...(data.unit === "pair" ? [{ id: "target", name: "Target", group: "What happens" }] : []),
    ...(data.points ? data.points.channels : []).map((one, i) => ({
      id: `c${i}`, name: one.units ? `${one.name} [${one.units}]` : one.name, group: "Numbers",
    })),
  ];
}
