// Charts of the Trust view, as SVG.

const BLUE = "#0072b2";
const INK = "#15181c";
const LINE = "#d5d9de";
const SOFT = "#4d555f";

const svg = (width, height, label) => d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("role", "img").attr("aria-label", label);

/** A value with its interval on a scale from 0 to 1. */
export function intervalBar({ value, low, high }, name) {
  const [width, height] = [220, 22];
  const x = d3.scaleLinear([0, 1], [4, width - 4]);
  const chart = svg(width, height, `${name}: ${percent(value)}, between ${percent(low)} and ${percent(high)}`).attr("class", "interval-bar");
  chart.append("rect").attr("x", 4).attr("y", 9).attr("width", width - 8).attr("height", 4).attr("fill", "#e9ebee");
  chart.append("rect").attr("x", x(low)).attr("y", 7).attr("width", Math.max(2, x(high) - x(low))).attr("height", 8).attr("fill", "#9cc3dd");
  for (const end of [low, high]) chart.append("rect").attr("x", x(end) - 1).attr("y", 4).attr("width", 2).attr("height", 14).attr("fill", BLUE);
  chart.append("circle").attr("cx", x(value)).attr("cy", 11).attr("r", 5).attr("fill", INK);
  return chart.node();
}

/** Shares of yes over probabilities, with intervals; the size of a point is the weight of its bin. */
export function calibrationChart(bins, width) {
  const height = 290;
  const label = `Calibration: ${bins.map((bin) => `at ${percent(bin.probability)} ${percent(bin.share)} yes`).join(", ")}`;
  const chart = svg(width, height, label);
  const { x, y } = axes(chart, width, height, [0, 1], "probability of the model", "share of yes", ".0%");
  chart.append("line").attr("x1", x(0)).attr("y1", y(0)).attr("x2", x(1)).attr("y2", y(1)).attr("stroke", "#59616b").attr("stroke-dasharray", "5 4");
  chart.append("path").attr("d", d3.line((bin) => x(bin.probability), (bin) => y(bin.share))(bins)).attr("fill", "none").attr("stroke", BLUE).attr("stroke-width", 1.5);
  const radius = d3.scaleSqrt([0, d3.max(bins, (bin) => bin.weight) || 1], [3, 8]);
  for (const bin of bins) drawBin(chart, x(bin.probability), y(bin.low), y(bin.high), y(bin.share), radius(bin.weight), bin);
  return chart.node();
}

function drawBin(chart, x, low, high, middle, radius, bin) {
  const group = chart.append("g");
  group.append("title").text(`${percent(bin.probability)}: ${percent(bin.share)} yes (${percent(bin.low)} to ${percent(bin.high)})`);
  group.append("path").attr("d", `M${x} ${low}V${high}M${x - 5} ${low}h10M${x - 5} ${high}h10`).attr("stroke", BLUE).attr("stroke-width", 2);
  group.append("circle").attr("cx", x).attr("cy", middle).attr("r", radius).attr("fill", "#fff").attr("stroke", BLUE).attr("stroke-width", 2.5);
}

/** Average precision over the number of answers. */
export function historyChart(history, width, sure) {
  const height = 290;
  const last = history.at(-1);
  const known = history.filter(({ ap }) => ap !== null);
  const chart = svg(width, height, `Average precision ${last.ap === null ? "unknown" : percent(last.ap)} after ${last.answers} answers`);
  const { x, y } = axes(chart, width, height, [0, d3.max(history, ({ answers }) => answers) || 1], "answers", "average precision", "d");
  const color = sure ? BLUE : "#7a828b";
  chart.append("path").attr("d", d3.line(({ answers }) => x(answers), ({ ap }) => y(ap))(known)).attr("fill", "none").attr("stroke", color).attr("stroke-width", 2.5).attr("stroke-dasharray", sure ? null : "4 4");
  for (const one of known.length > 40 ? known.slice(-1) : known) chart.append("circle").attr("cx", x(one.answers)).attr("cy", y(one.ap)).attr("r", 3).attr("fill", color);
  return chart.node();
}

function axes(chart, width, height, domain, below, beside, format) {
  const box = { left: 62, right: 22, top: 10, bottom: 42 };
  const x = d3.scaleLinear(domain, [box.left, width - box.right]);
  const y = d3.scaleLinear([0, 1], [height - box.bottom, box.top]);
  for (const tick of y.ticks(5)) {
    chart.append("line").attr("x1", box.left).attr("x2", width - box.right).attr("y1", y(tick)).attr("y2", y(tick)).attr("stroke", LINE);
    text(chart, box.left - 7, y(tick), percent(tick), "end").attr("dominant-baseline", "middle");
  }
  const ticks = x.ticks(5).filter((tick) => format !== "d" || Number.isInteger(tick));
  for (const tick of ticks) text(chart, x(tick), height - box.bottom + 17, d3.format(format)(tick), "middle");
  text(chart, (box.left + width - box.right) / 2, height - 6, below, "middle");
  text(chart, 0, 0, beside, "middle").attr("transform", `translate(12 ${(box.top + height - box.bottom) / 2}) rotate(-90)`);
  return { x, y };
}

function text(chart, x, y, words, anchor) {
  return chart.append("text").attr("x", x).attr("y", y).attr("text-anchor", anchor).attr("fill", SOFT).attr("font-size", 12).text(words);
}
