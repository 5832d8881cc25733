// Bouts as spans of frames, and the edits that corrections are made of. Nothing here draws or sends.

/** What is left of spans when frames `start` to `stop` are cut out of them. */
function without(spans, { start, stop }) {
  return spans.flatMap((one) => {
    if (one.stop <= start || one.start >= stop) return [one];
    const parts = [];
    if (one.start < start) parts.push({ ...one, stop: start });
    if (one.stop > stop) parts.push({ ...one, start: stop });
    return parts;
  });
}

const sorted = (spans) => spans.sort((a, b) => a.start - b.start || a.stop - b.stop);

/** A timeline's bouts and answers as they are after edits of its behavior and row: shown until the server says so itself. */
export function edited(data, edits) {
  let { bouts, answers } = data;
  for (const { start, stop, decision } of edits) {
    bouts = without(bouts, { start, stop });
    answers = [...without(answers, { start, stop }), { start, stop, decision }];
    if (decision === "yes") bouts = [...bouts, { start, stop, decision: "yes", probability: null, hidden: false }];
  }
  return { ...data, bouts: sorted([...bouts]), answers: sorted([...answers]) };
}

/** The edits of each kind of correction, for the bouts of one behavior and row. */
export function editsOf(behavior, row) {
  const edit = ({ start, stop }, decision, name = behavior) => ({ behavior: name, row, start, stop, decision });
  return {
    /** Frames that leave the bout become "no". */
    move(bout, { start, stop }) {
      const left = without([{ start: bout.start, stop: bout.stop }], { start, stop });
      return [...left.map((one) => edit(one, "no")), edit({ start, stop }, "yes")];
    },
    /** The frame between the parts becomes "no": labels of frames have no other way to hold two bouts apart. */
    split: (bout, frame) => [edit({ start: bout.start, stop: frame }, "yes"), edit({ start: frame, stop: frame + 1 }, "no"), edit({ start: frame + 1, stop: bout.stop }, "yes")],
    merge: (bout, next) => [edit({ start: bout.start, stop: next.stop }, "yes")],
    relabel: (bout, other) => [edit(bout, "no"), edit(bout, "yes", other)],
    draw: (span) => [edit(span, "yes")],
    remove: (bout) => [edit(bout, "no")],
    accept: (bout) => [edit(bout, "yes")],
  };
}

/** The bout that is nearest after (`way` 1) or before (-1) a frame. */
export function neighborOf(bouts, frame, way) {
  return way > 0 ? bouts.find((one) => one.start > frame) : bouts.findLast((one) => one.start < frame);
}
