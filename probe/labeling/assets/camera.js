// Which part of the arena a player shows.

import { animalsOf, ofAnimals } from "./actors.js";

const MARGIN = 0.12;
const SAMPLES = 60;
const TAIL = 0.01; // Misplaced points do not shrink the rest.

/** Placement of a box in the middle of a stage: screen = k * place + (x, y). */
export function placement(box, width, height, margin = 14) {
  const [x0, y0, x1, y1] = box;
  const k = Math.min((width - 2 * margin) / Math.max(x1 - x0, 1e-6), (height - 2 * margin) / Math.max(y1 - y0, 1e-6));
  return { k, x: width / 2 - (k * (x0 + x1)) / 2, y: height / 2 - (k * (y0 + y1)) / 2 };
}

/** A function from places in the arena to the screen, as drawPose takes it. */
export const onScreen = ({ k, x, y }) => (px, py) => [k * px + x, k * py + y];

/** The box of the arena: the picture of the video, or whatever of the recording was seen so far. */
export function arenaOf(app, recording) {
  if (recording.video) return [0, 0, recording.video.width, recording.video.height];
  return app.tracks.box(recording.id) || [0, 0, 1, 1];
}

/** The box of a row's animals over frames `first` to `last`, with a margin; null where none is loaded or seen. */
export function animalsBox(app, id, actors, first, last) {
  const animals = animalsOf(app.project, actors);
  const step = Math.max(1, Math.floor((last - first) / SAMPLES));
  const [xs, ys] = [[], []];
  for (let frame = first; frame < last; frame += step) {
    const pose = app.tracks.pose(id, frame);
    const points = pose ? ofAnimals(app.project, pose, animals) : [];
    points.forEach((value, i) => Number.isNaN(value) || (i % 2 ? ys : xs).push(value));
  }
  return xs.length ? widened([d3.quantile(xs, TAIL), d3.quantile(ys, TAIL), d3.quantile(xs, 1 - TAIL), d3.quantile(ys, 1 - TAIL)]) : null;
}

function widened([x0, y0, x1, y1]) {
  const pad = MARGIN * Math.max(x1 - x0, y1 - y0, 1);
  return [x0 - pad, y0 - pad, x1 + pad, y1 + pad];
}

/** A step from one box to another, so that the view glides. */
export function eased(from, to, share) {
  return from ? from.map((value, i) => value + share * (to[i] - value)) : to;
}
