// Where the animals were in the last second.

import { animalsOf, ofAnimals } from "./actors.js";

const STEP = 2;

/** Draw the way of each of a row's animals, up to the frame shown. */
export function drawTrails(context, app, { recording, actors }, frame, at) {
  const first = Math.max(0, frame - Math.round(recording.fps));
  for (const animal of animalsOf(app.project, actors)) {
    context.strokeStyle = ANIMALS[animal % ANIMALS.length];
    context.globalAlpha = 0.3;
    context.lineWidth = 2;
    context.beginPath();
    let drawing = false;
    for (let i = frame - STEP * Math.floor((frame - first) / STEP); i <= frame; i += STEP) {
      const pose = app.tracks.pose(recording.id, i);
      const center = pose && middleOf(ofAnimals(app.project, pose, [animal]));
      if (center) context[drawing ? "lineTo" : "moveTo"](...at(...center));
      drawing = Boolean(center);
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** The mean of the points that were seen; null for none. */
function middleOf(points) {
  let [x, y, count] = [0, 0, 0];
  for (let i = 0; i < points.length; i += 2) {
    if (Number.isNaN(points[i]) || Number.isNaN(points[i + 1])) continue;
    x += points[i];
    y += points[i + 1];
    count++;
  }
  return count ? [x / count, y / count] : null;
}
