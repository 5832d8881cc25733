// Tracks of the recordings, fetched in pieces and kept while there is room.

import { getBytes } from "./connection.js";

const PIECE = 512;
const MOST_PIECES = 400;

/** Tracks of a project: `load` fetches frames, `pose` gives a loaded frame's coordinates, `box` the extent of all that was seen. */
export function makeTracks(project) {
  const points = project.individuals.length * project.skeleton.keypoints.length;
  const pieces = new Map();
  const boxes = new Map();
  const lengths = new Map(project.recordings.map((one) => [one.id, one.frames]));

  function load(recording, start, stop) {
    const last = Math.min(stop, lengths.get(recording)) - 1;
    const wanted = d3.range(Math.floor(Math.max(0, start) / PIECE), Math.floor(Math.max(0, last) / PIECE) + 1);
    return Promise.all(wanted.map((number) => piece(recording, number)));
  }

  function piece(recording, number) {
    const name = `${number}/${recording}`;
    const known = pieces.get(name);
    if (known) {
      // The order of a Map is the order of its last use.
      pieces.delete(name);
      pieces.set(name, known);
      return known.promise;
    }
    const made = { poses: null };
    made.promise = fetchPiece(recording, number).then((poses) => {
      made.poses = poses;
      grow(recording, poses);
    });
    made.promise.catch(() => pieces.delete(name));
    pieces.set(name, made);
    if (pieces.size > MOST_PIECES) pieces.delete(pieces.keys().next().value);
    return made.promise;
  }

  async function fetchPiece(recording, number) {
    const stop = Math.min((number + 1) * PIECE, lengths.get(recording));
    return new Float32Array(await getBytes("/api/tracks", { recording, start: number * PIECE, stop }));
  }

  function grow(recording, poses) {
    const [old, own] = [boxes.get(recording), boxOf(poses)];
    boxes.set(recording, joined(old, own));
  }

  /** Coordinates of one frame, [x, y] of each point; null where they are not here yet. */
  function pose(recording, frame) {
    const found = pieces.get(`${Math.floor(frame / PIECE)}/${recording}`);
    return found && found.poses ? frameOf(found.poses, frame % PIECE, points) : null;
  }

  return { load, pose, box: (recording) => boxes.get(recording) || null };
}

/** The smallest box around two; either may be null. */
function joined(a, b) {
  if (!a || !b) return a || b || null;
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
}
