// Drawing animals: the player's frames, the thumbnails of cards and tooltips.

const FADED = 0.28;

/** How strongly an animal is drawn in a row: its agent and target stand out; of a scene, all animals are alike. */
function weightOf(row, animal) {
  if (!row || row.agentNumber < 0) return { alpha: 1, thick: 1, order: 0 };
  if (animal === row.agentNumber) return { alpha: 1, thick: 1.5, order: 2 };
  return animal === row.targetNumber ? { alpha: 1, thick: 1, order: 1 } : { alpha: FADED, thick: 0.8, order: 0 };
}

/** Draw a pose. `at` gives the screen's coordinates of a point's; points that were not seen, and edges to them, are left out. */
function drawPose(context, data, pose, at, style = {}, row = null) {
  const { skeleton, individuals } = data;
  const keypoints = skeleton.keypoints.length;
  const { line = 3, dot = 3 } = style;
  context.lineCap = "round";
  // Who acts is drawn last, on top of the others.
  for (const animal of d3.sort(d3.range(individuals.length), (one) => weightOf(row, one).order)) {
    const color = ANIMALS[animal % ANIMALS.length];
    const { alpha, thick } = weightOf(row, animal);
    const places = d3.range(keypoints).map((k) => placeOf(pose, animal * keypoints + k, at));
    context.globalAlpha = alpha;
    context.strokeStyle = color;
    context.lineWidth = line * thick;
    context.beginPath();
    for (const [a, b] of skeleton.edges) {
      if (!places[a] || !places[b]) continue;
      context.moveTo(...places[a]);
      context.lineTo(...places[b]);
    }
    context.stroke();
    places.forEach((place, k) => place && drawPoint(context, place, k === skeleton.front ? dot * 1.7 : dot, color, animal));
  }
  context.globalAlpha = 1;
}

/** The name of each animal that is seen, above it: of a row's animals, or of all. Names keep clear of each other. */
function drawNames(context, data, pose, at, row, width, height) {
  const keypoints = data.skeleton.keypoints.length;
  const chosen = (animal) => !row || row.agentNumber < 0 || animal === row.agentNumber || animal === row.targetNumber;
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "bottom";
  context.lineJoin = "round";
  context.lineWidth = 3;
  const taken = [];
  data.individuals.forEach((name, animal) => {
    const places = d3.range(keypoints).map((k) => placeOf(pose, animal * keypoints + k, at)).filter(Boolean);
    const inside = places.filter(([x, y]) => x > 0 && y > 0 && x < width && y < height - 12);
    if (!chosen(animal) || !inside.length) return;
    const half = context.measureText(name).width / 2 + 2;
    const x = Math.min(Math.max(d3.mean(inside, (place) => place[0]), half), Math.max(half, width - half));
    let y = Math.max(13, d3.min(inside, (place) => place[1]) - 7);
    const meets = () => taken.find((one) => Math.abs(one.x - x) < one.half + half && Math.abs(one.y - y) < 12);
    for (let tries = 0; meets() && tries < data.individuals.length; tries++) y = meets().y + 12;
    taken.push({ x, y, half });
    context.strokeStyle = "rgba(255,255,255,.92)";
    context.strokeText(name, x, y);
    context.fillStyle = d3.color(ANIMALS[animal % ANIMALS.length]).darker(0.5);
    context.fillText(name, x, y);
  });
  context.textAlign = "start";
  context.textBaseline = "alphabetic";
}

/** A keypoint: filled for the first animal, open for the second, and so on, so color is not the only distinction. */
function drawPoint(context, [x, y], radius, color, animal) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = animal % 2 ? "#fff" : color;
  context.fill();
  context.lineWidth = Math.max(1, radius * 0.5);
  context.strokeStyle = color;
  context.stroke();
}

function placeOf(pose, point, at) {
  const [x, y] = [pose[point * 2], pose[point * 2 + 1]];
  return Number.isNaN(x) || Number.isNaN(y) ? null : at(x, y);
}

/** The box around the seen points of a pose or track: [x0, y0, x1, y1], null where nothing was seen. */
function boxOf(coordinates) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < coordinates.length; i += 2) {
    const [x, y] = [coordinates[i], coordinates[i + 1]];
    if (Number.isNaN(x) || Number.isNaN(y)) continue;
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x);
    box[3] = Math.max(box[3], y);
  }
  return box[0] <= box[2] ? box : null;
}

/** Coordinates -> screen: a box in the middle of width x height, never blown up beyond `smallest` px to the width. */
function intoBox(box, width, height, margin, smallest) {
  const k = Math.min((width - 2 * margin) / Math.max(box[2] - box[0], smallest), (height - 2 * margin) / Math.max(box[3] - box[1], smallest));
  const [cx, cy] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  return (x, y) => [width / 2 + (x - cx) * k, height / 2 + (y - cy) * k];
}

/** Where there would be animals, that there are none. */
function sayUnseen(context, width, height) {
  context.fillStyle = "#555";
  context.font = `${Math.min(12, width / 5)}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.fillText("not seen", width / 2, height / 2);
}

/** A small picture of a pose. */
function poseCanvas(data, pose, width, height, row = null) {
  const canvas = element("canvas", { class: "pose", "aria-hidden": "true" });
  const context = sized(canvas, width, height);
  const box = boxOf(pose);
  if (!box) {
    sayUnseen(context, width, height);
    return canvas;
  }
  drawPose(context, data, pose, intoBox(box, width, height, 9, 1), { line: 2, dot: 2 }, row);
  return canvas;
}

/** The pose of a track's frame. */
function frameOf(track, frame, points) {
  return track.subarray(frame * points * 2, (frame + 1) * points * 2);
}
