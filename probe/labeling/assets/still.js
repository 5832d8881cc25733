// Small pictures of bouts: a still pose, and poses that move.

import { actorsOf, recordingOf } from "./actors.js";
import { animalsBox, onScreen, placement } from "./camera.js";

/** Draw a frame of a hit into a small canvas; false where its tracks are not here yet. */
function drawSmall(app, canvas, hit, frame, width, height) {
  const pose = app.tracks.pose(hit.recording, frame);
  if (!pose) return false;
  const actors = actorsOf(app.project, hit);
  hit.box ||= animalsBox(app, hit.recording, actors, hit.start, hit.stop);
  const context = sized(canvas, width, height);
  if (!hit.box || !boxOf(pose)) sayUnseen(context, width, height);
  else {
    const line = Math.max(1.5, width / 90);
    drawPose(context, app.project, pose, onScreen(placement(hit.box, width, height, 8)), { line, dot: line }, actors);
  }
  return true;
}

/** A canvas with the pose in the middle of a hit, drawn as soon as its tracks are here. */
export function stillPose(app, hit, width, height) {
  const canvas = element("canvas", { class: "pose", "aria-hidden": "true" });
  sized(canvas, width, height);
  const middle = Math.floor((hit.start + hit.stop) / 2);
  app.tracks.load(hit.recording, hit.start, hit.stop).then(() => drawSmall(app, canvas, hit, middle, width, height), () => null);
  return canvas;
}

/** Let canvases play their hits in a loop, all by one clock, as long as `playing()` and they are in the page. */
export function playSmall(app, films, playing) {
  let frozen = 0;
  let last = performance.now();
  const draw = (now) => {
    if (!films.some(({ canvas }) => canvas.isConnected)) return;
    if (!playing()) frozen += now - last;
    last = now;
    for (const film of films) if (film.seen !== false) drawFilm(app, film, (now - frozen) / 1000);
    requestAnimationFrame(draw);
  };
  requestAnimationFrame(draw);
}

function drawFilm(app, film, seconds) {
  const { hit, canvas, width, height } = film;
  const { fps } = recordingOf(app.project, hit.recording);
  const length = hit.stop - hit.start;
  // A pause of a third of a second after each round shows where the bout begins.
  const round = length + Math.round(fps / 3);
  const frame = hit.start + Math.min(length - 1, Math.floor(seconds * fps) % round);
  if (film.drawn === frame) return;
  if (drawSmall(app, canvas, hit, frame, width, height)) film.drawn = frame;
}
