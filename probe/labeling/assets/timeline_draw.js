// Drawing a recording's time: the overview of all of it, and the lane that shows a part of it.

const INK = "#15181c";
const SOFT = "#5b646e";
const LINE = "#d5d9de";
const CURVE = "#b9cfe4";
const YES = "#00695c";
const PREDICTED = "#0b57d0";
const HEAD = "#c5221f";
const SIGNS = { yes: "✓", no: "✕", unsure: "?" };
const ANSWERS = { yes: YES, no: "#8a3b12", unsure: "#6b5b00" };

/** Rows of the lane, in pixels from its top: [top, bottom]. */
export const BANDS = { axis: [0, 20], curve: [22, 70], bouts: [76, 116], answers: [122, 140] };
export const LANE_HEIGHT = 142;
export const OVERVIEW_HEIGHT = 46;

/** The overview: probability, bouts, answers, and the part that the lane shows. */
export function drawOverview(context, width, state) {
  const { data, view, frame } = state;
  const at = d3.scaleLinear([0, data.frames], [0, width]);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, OVERVIEW_HEIGHT);
  drawCurve(context, data, at, [0, width], [2, 24]);
  line(context, LINE, 0, 24.5, width, 24.5);
  for (const bout of data.bouts) if (!bout.hidden) block(context, at, bout, [27, 36], bout.decision === "yes" ? YES : "#7fa6dd", 2);
  for (const one of data.answers) block(context, at, one, one.decision === "yes" ? [38, 45] : [40, 44], ANSWERS[one.decision], 1);
  if (state.span) block(context, at, state.span, [0, OVERVIEW_HEIGHT], "rgba(0,105,92,.28)", 3);
  // Outside the lane's part all is veiled.
  const [from, to] = view.map(at);
  context.fillStyle = "rgba(70,78,88,.16)";
  context.fillRect(0, 0, from, OVERVIEW_HEIGHT);
  context.fillRect(to, 0, width - to, OVERVIEW_HEIGHT);
  context.strokeStyle = INK;
  context.lineWidth = 1.5;
  context.strokeRect(from + 0.75, 0.75, Math.max(3, to - from) - 1.5, OVERVIEW_HEIGHT - 1.5);
  line(context, HEAD, at(frame), 0, at(frame), OVERVIEW_HEIGHT, 2);
}

/** The lane: times, probability with the threshold, bouts with their edges, and answers with their signs. */
export function drawLane(context, width, state) {
  const { data, view, frame, span } = state;
  const at = d3.scaleLinear(view, [0, width]);
  drawAxis(context, at, width, data.fps);
  drawCurve(context, data, at, [0, width], BANDS.curve);
  const threshold = d3.scaleLinear([0, 1], [BANDS.curve[1], BANDS.curve[0]])(data.threshold);
  if (data.probability) dashed(context, () => line(context, "#8b939c", 0, threshold, width, threshold));
  else words(context, "No probabilities yet: the model needs a yes and a no.", 8, d3.mean(BANDS.curve), SOFT);
  line(context, LINE, 0, BANDS.curve[1] + 0.5, width, BANDS.curve[1] + 0.5);
  context.fillStyle = "#f4f5f6";
  context.fillRect(0, BANDS.bouts[0], width, BANDS.bouts[1] - BANDS.bouts[0]);
  const inView = (one) => one.stop > view[0] && one.start < view[1];
  for (const bout of data.bouts.filter(inView)) drawBout(context, at, bout, bout === state.selected);
  if (span) drawSpan(context, at, span);
  for (const one of data.answers.filter(inView)) drawAnswer(context, at, one);
  drawHead(context, at, frame);
}

function drawAxis(context, at, width, fps) {
  const [from, to] = at.domain().map((frame) => frame / fps);
  const digits = to - from < 3 ? 2 : to - from < 12 ? 1 : 0;
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const second of d3.ticks(from, to, Math.max(2, Math.floor(width / 110)))) {
    const x = Math.round(at(second * fps)) + 0.5;
    line(context, LINE, x, 16, x, LANE_HEIGHT);
    words(context, clock(second, digits), Math.min(width - 40, x + 4), 9, SOFT);
  }
}

/** Probability as an area; of the bins under a pixel, the highest. */
function drawCurve(context, data, at, [left, right], [top, bottom]) {
  const { probability, frames } = data;
  if (!probability) return;
  const bin = (x) => Math.max(0, Math.min(probability.length - 1, Math.floor((at.invert(x) / frames) * probability.length)));
  context.beginPath();
  context.moveTo(left, bottom);
  for (let x = left; x < right; x++) {
    const [from, to] = [bin(x), bin(x + 1)];
    let high = probability[from];
    for (let i = from + 1; i < to; i++) high = Math.max(high, probability[i]);
    context.lineTo(x, bottom - high * (bottom - top));
  }
  context.lineTo(right, bottom);
  context.fillStyle = CURVE;
  context.fill();
}

function block(context, at, { start, stop }, [top, bottom], color, least) {
  context.fillStyle = color;
  context.fillRect(at(start), top, Math.max(least, at(stop) - at(start)), bottom - top);
}

/** A bout: accepted ones are full, predicted ones light and dashed, hidden ones only a faint outline. */
function drawBout(context, at, bout, selected) {
  const [top, bottom] = BANDS.bouts;
  const [x, width] = [at(bout.start), Math.max(3, at(bout.stop) - at(bout.start))];
  const sure = bout.decision === "yes";
  const draw = () => {
    context.beginPath();
    context.roundRect(x + 0.75, top + 4, Math.max(1.5, width - 1.5), bottom - top - 8, Math.min(4, width / 2));
    context.fillStyle = bout.hidden ? "rgba(255,255,255,.6)" : sure ? YES : "#d8e6f9";
    context.fill();
    context.lineWidth = bout.hidden ? 1 : 1.5;
    context.strokeStyle = bout.hidden ? "#9aa2ab" : sure ? YES : PREDICTED;
    context.stroke();
  };
  if (sure) draw();
  else dashed(context, draw, bout.hidden ? [2, 3] : [5, 3]);
  if (width > 34 && !bout.hidden) sayBout(context, bout, x, width, sure);
  if (selected) outline(context, x, width);
}

function sayBout(context, bout, x, width, sure) {
  const text = sure ? "✓" : bout.probability === null ? "" : percent(bout.probability);
  context.textAlign = "center";
  words(context, text, Math.max(20, x + width / 2), d3.mean(BANDS.bouts), sure ? "#fff" : INK);
  context.textAlign = "start";
}

function outline(context, x, width) {
  const [top, bottom] = BANDS.bouts;
  context.strokeStyle = INK;
  context.lineWidth = 2.5;
  context.strokeRect(x - 1, top + 1.5, width + 2, bottom - top - 3);
  context.fillStyle = INK;
  for (const edge of [x - 1, x + width + 1]) context.fillRect(edge - 2.5, d3.mean(BANDS.bouts) - 9, 5, 18);
}

function drawSpan(context, at, span) {
  const [top, bottom] = BANDS.bouts;
  const [x, width] = [at(span.start), Math.max(3, at(span.stop) - at(span.start))];
  context.fillStyle = "rgba(0,105,92,.25)";
  context.fillRect(x, BANDS.curve[0], width, bottom - BANDS.curve[0]);
  context.fillStyle = YES;
  context.fillRect(x, top + 6, width, bottom - top - 12);
  outline(context, x, width);
}

function drawAnswer(context, at, one) {
  const [top, bottom] = BANDS.answers;
  const [x, width] = [at(one.start), Math.max(2, at(one.stop) - at(one.start))];
  context.fillStyle = ANSWERS[one.decision];
  context.fillRect(x, one.decision === "yes" ? top + 1 : bottom - 5, width, one.decision === "yes" ? bottom - top - 2 : 3);
  if (width < 16) return;
  context.textAlign = "center";
  words(context, SIGNS[one.decision], Math.max(8, x + width / 2), one.decision === "yes" ? (top + bottom) / 2 : top + 6, one.decision === "yes" ? "#fff" : ANSWERS[one.decision]);
  context.textAlign = "start";
}

function drawHead(context, at, frame) {
  const [x, next] = [at(frame), at(frame + 1)];
  // Zoomed in, the playhead is as wide as its frame.
  if (next - x > 3) {
    context.fillStyle = "rgba(197,34,31,.13)";
    context.fillRect(x, 16, next - x, LANE_HEIGHT);
  }
  line(context, HEAD, x, 10, x, LANE_HEIGHT, 2);
  context.fillStyle = HEAD;
  context.beginPath();
  context.moveTo(x - 6, 4);
  context.lineTo(x + 6, 4);
  context.lineTo(x, 15);
  context.fill();
}

function dashed(context, draw, pattern = [4, 4]) {
  context.setLineDash(pattern);
  draw();
  context.setLineDash([]);
}

function line(context, color, x0, y0, x1, y1, thick = 1) {
  context.strokeStyle = color;
  context.lineWidth = thick;
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function words(context, text, x, y, color) {
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.fillStyle = color;
  context.fillText(text, x, y);
}
