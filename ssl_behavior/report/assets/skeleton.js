// Drawing animals: the player's frames, the thumbnails of cards and tooltips.

/** Draw a pose. `at` gives the screen's coordinates of a point's; points that were not seen, and edges to them, are left out. */
function drawPose(context, data, pose, at, style = {}) {
  const { skeleton, individuals } = data;
  const keypoints = skeleton.keypoints.length;
  const { line = 3, dot = 3, alpha = 1 } = style;
  context.lineCap = "round";
  individuals.forEach((_, animal) => {
    const color = ANIMALS[animal % ANIMALS.length];
    const places = d3.range(keypoints).map((k) => placeOf(pose, animal * keypoints + k, at));
    context.globalAlpha = alpha;
    context.strokeStyle = color;
    context.lineWidth = line;
    context.beginPath();
    for (const [a, b] of skeleton.edges) {
      if (!places[a] || !places[b]) continue;
      context.moveTo(...places[a]);
      context.lineTo(...places[b]);
    }
    context.stroke();
    places.forEach((place, k) => place && drawPoint(context, place, k === skeleton.front ? dot * 1.7 : dot, color, animal));
  });
  context.globalAlpha = 1;
}

/** A keypoint: filled for the first animal, open for the second, so color is not the only distinction. */
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
function poseCanvas(data, pose, width, height) {
  const canvas = element("canvas", { class: "pose", "aria-hidden": "true" });
  const context = sized(canvas, width, height);
  const box = boxOf(pose);
  if (!box) {
    sayUnseen(context, width, height);
    return canvas;
  }
  drawPose(context, data, pose, intoBox(box, width, height, 9, 1), { line: 2, dot: 2 });
  return canvas;
}

/** The pose of a track's frame. */
function frameOf(track, frame, points) {
  return track.subarray(frame * points * 2, (frame + 1) * points * 2);
}
