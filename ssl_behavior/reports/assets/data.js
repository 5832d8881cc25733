// From the text in the page to arrays and the few questions that everything asks of them.

const ARRAY_TYPES = {
  uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, uint32: Uint32Array, int32: Int32Array,
  float32: Float32Array, float64: Float64Array,
};

/** What `pack` wrote: base64 of deflated byte planes. */
async function unpack(node) {
  const text = atob(node.textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const type = ARRAY_TYPES[node.dataset.type];
  const [size, count] = [type.BYTES_PER_ELEMENT, planes.length / type.BYTES_PER_ELEMENT];
  if (size === 1) return new type(planes.buffer);
  const joined = new Uint8Array(planes.length);
  for (let plane = 0; plane < size; plane++) {
    const from = plane * count;
    for (let i = 0; i < count; i++) joined[i * size + plane] = planes[from + i];
  }
  return new type(joined.buffer);
}

async function readData() {
  const facts = JSON.parse($("#facts").textContent);
  const nodes = $$("script[data-array]");
  const read = await Promise.all(nodes.map(unpack));
  const arrays = Object.fromEntries(nodes.map((node, i) => [node.dataset.array, read[i]]));
  nodes.forEach((node) => node.remove());
  const data = { ...facts, arrays };
  data.groups = groupsOf(data);
  data.ethograms = facts.ethograms.map((one) => readEthogram(one, facts.recordings, arrays));
  data.clusters = data.ethograms.findIndex((one) => one.kind === "clusters");
  data.bouts = readBouts(facts.bouts, arrays, data);
  data.points = facts.map ? readPoints(facts.map, arrays, data) : null;
  data.cardOf = new Map(facts.cards.map((card) => [card.cluster, card]));
  return data;
}

/** The recordings, each with its rows: one of a scene, several of animals or pairs. Rows get the numbers of their animals. */
function groupsOf({ recordings, individuals }) {
  const groups = new Map();
  recordings.forEach((row, r) => {
    if (!groups.has(row.recording)) groups.set(row.recording, { id: row.recording, frames: row.frames, fps: row.fps, number: groups.size, rows: [] });
    const group = groups.get(row.recording);
    group.rows.push(r);
    row.group = group.number;
    [row.agentNumber, row.targetNumber] = [row.agent, row.target].map((name) => (name ? individuals.indexOf(name) : -1));
  });
  return [...groups.values()];
}

/** The time of a frame; of animals and pairs in seconds, as long as they are fewer than 60. */
function timeText(data, row, frame) {
  const seconds = frame / data.recordings[row].fps;
  return data.unit !== "scene" && seconds < 59.95 ? `${seconds.toFixed(1)} s` : clock(seconds);
}

function readEthogram(facts, recordings, arrays) {
  const [lengths, values] = [arrays[facts.lengths], arrays[facts.values]];
  let at = 0;
  const runs = facts.counts.map((count, recording) => {
    if (count < 0) return null;
    const starts = new Uint32Array(count);
    for (let i = 1; i < count; i++) starts[i] = starts[i - 1] + lengths[at + i - 1];
    const own = { starts, values: values.subarray(at, at + count), frames: recordings[recording].frames };
    at += count;
    return own;
  });
  return { ...facts, runs, quiet: facts.background ? facts.words.indexOf(facts.background) : -1 };
}

/** The run of an ethogram that holds a frame: {index, start, stop, value}, null where it has none. */
function runAt(ethogram, recording, frame) {
  const runs = ethogram.runs[recording];
  if (!runs || !runs.starts.length) return null;
  return runOf(runs, place(runs.starts, frame));
}

function runOf(runs, index) {
  const stop = index + 1 < runs.starts.length ? runs.starts[index + 1] : runs.frames;
  return { index, start: runs.starts[index], stop, value: runs.values[index] };
}

function readBouts(facts, arrays, data) {
  if (!facts.count) return [];
  const { individuals, skeleton } = data;
  const [n, points] = [facts.count, individuals.length * skeleton.keypoints.length];
  const column = (i) => arrays.bouts.subarray(i * n, (i + 1) * n);
  const [recording, start, stop, ethogram, value, first, frames, degree, among] = d3.range(9).map(column);
  const bouts = [];
  let [at, near] = [0, 0];
  for (let i = 0; i < n; i++) {
    const neighbors = d3.range(degree[i]).map((j) => ({ bout: arrays.neighbors[near + j], distance: arrays.distances[near + j] }));
    near += degree[i];
    bouts.push({
      id: i, recording: recording[i], start: start[i], stop: stop[i], ethogram: ethogram[i], value: value[i],
      first: first[i], frames: frames[i], at, neighbors, amongExamples: among[i] === 1,
    });
    at += frames[i];
  }
  bouts.track = { steps: arrays.tracks, observed: arrays.observed, step: facts.step, points };
  return bouts;
}

/** The share of a bout's points that were seen. */
function shareSeen(bouts, bout) {
  const { observed, points } = bouts.track;
  const [from, to] = [bout.at * points, (bout.at + bout.frames) * points];
  return d3.sum(d3.range(from, to), (seen) => (observed[seen >> 3] >> (seen & 7)) & 1) / (to - from);
}

/** The track of a bout: coordinates [frame, point, 2] in px, NaN where a point was not seen. */
function trackOf(bouts, bout) {
  if (bout.track) return bout.track;
  const { steps, observed, step, points } = bouts.track;
  const track = new Float32Array(bout.frames * points * 2);
  const sums = new Uint16Array(points * 2);
  for (let frame = 0; frame < bout.frames; frame++) {
    for (let point = 0; point < points; point++) {
      const seen = (bout.at + frame) * points + point;
      const there = (observed[seen >> 3] >> (seen & 7)) & 1;
      for (let axis = 0; axis < 2; axis++) {
        sums[point * 2 + axis] += steps[seen * 2 + axis];
        track[(frame * points + point) * 2 + axis] = there ? sums[point * 2 + axis] * step : NaN;
      }
    }
  }
  bout.track = track;
  return track;
}

function readPoints(facts, arrays, data) {
  const count = facts.points;
  const xy = arrays.map_xy;
  const [x, y] = [new Float32Array(count), new Float32Array(count)];
  const wide = [facts.far[0] - facts.edge[0], facts.far[1] - facts.edge[1]];
  for (let i = 0; i < count; i++) {
    x[i] = facts.edge[0] + (xy[i] / 65535) * wide[0];
    // Up on the screen is where y grows.
    y[i] = -(facts.edge[1] + (xy[count + i] / 65535) * wide[1]);
  }
  const frame = arrays.map_frame;
  for (let i = 1; i < count; i++) frame[i] += frame[i - 1];
  const recording = arrays.map_recording;
  const starts = data.recordings.map((_, r) => d3.bisectLeft(recording, r));
  const values = data.ethograms.map((ethogram) => valuesAt(ethogram, recording, frame));
  const channels = facts.channels.map((channel) => ({ ...channel, values: arrays[channel.values] }));
  const [group, agent, target] = ["group", "agentNumber", "targetNumber"].map((name) => Int32Array.from(recording, (r) => data.recordings[r][name]));
  return {
    count, x, y, recording, group, agent, target, frame, values, channels, starts: [...starts, count], nearest: arrays.map_nearest || null,
    poses: arrays.map_poses || null, poseSizes: arrays.map_pose_sizes || null, poseSize: facts.pose_size,
  };
}

/** The value of an ethogram at every point; points are in order of time. */
function valuesAt(ethogram, recording, frame) {
  const values = new Int16Array(frame.length).fill(-1);
  let [at, last] = [0, -1];
  for (let i = 0; i < frame.length; i++) {
    const runs = ethogram.runs[recording[i]];
    if (!runs || !runs.starts.length) continue;
    if (recording[i] !== last) [at, last] = [0, recording[i]];
    while (at + 1 < runs.starts.length && runs.starts[at + 1] <= frame[i]) at++;
    values[i] = runs.values[at];
  }
  return values;
}

/** The point of the map nearest in time to a frame, -1 if the recording has none. */
function pointAt(points, recording, frame) {
  const [from, to] = [points.starts[recording], points.starts[recording + 1]];
  if (from === to) return -1;
  const next = Math.min(d3.bisectLeft(points.frame, frame, from, to), to - 1);
  const before = Math.max(from, next - 1);
  return frame - points.frame[before] <= Math.abs(points.frame[next] - frame) ? before : next;
}

/** The pose of a point, coordinates [point, 2] in px, NaN where one was not seen; null where there is none. */
function poseOf(points, index, size) {
  if (!points.poses) return null;
  const pose = new Float32Array(size * 2);
  const side = (points.poseSizes[index] / 65535) * points.poseSize;
  for (let i = 0; i < size * 2; i++) {
    const step = points.poses[index * size * 2 + i];
    pose[i] = step === 255 ? NaN : (step / 254) * side;
  }
  return pose;
}
