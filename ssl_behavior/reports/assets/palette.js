// Okabe and Ito's colors for color-blind readers, without yellow, which is invisible on white. With more categories
// than colors, marker shapes and numbers distinguish them.

const COLORS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#332288", "#7f6000"];
const QUIET = "#c9cdd2";
const UNKNOWN = "#e4e6e9";
const ANIMALS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#332288", "#7f6000"];
const MARKERS = ["disc", "cross", "ring", "diagonal", "triangle", "bar"];
const CONTINUOUS = d3.interpolateViridis;

/** For each of `count` things a color and a marker; those that lie close together get different colors. */
function lookOf(count, centers) {
  const looks = [];
  const used = COLORS.map(() => 0);
  for (let i = 0; i < count; i++) {
    let color = i % COLORS.length;
    if (centers && centers[i]) color = mostApart(i, centers, looks, used);
    looks.push({ color: COLORS[color], marker: MARKERS[used[color] % MARKERS.length], index: color });
    used[color]++;
  }
  return looks;
}

/** Among the least used colors, the one whose nearest user is farthest away. */
function mostApart(i, centers, looks, used) {
  const fewest = d3.min(used);
  const gaps = COLORS.map((_, color) => {
    if (used[color] > fewest) return -1;
    const same = looks.map((look, j) => (look.index === color && centers[j] ? j : -1)).filter((j) => j >= 0);
    return same.length ? d3.min(same, (j) => Math.hypot(centers[i][0] - centers[j][0], centers[i][1] - centers[j][1])) : 1e9 - color;
  });
  return d3.maxIndex(gaps);
}

/** The tint of each animal, the same in player, map and ethogram, and a marker. */
function animalLooks(count) {
  return d3.range(count).map((animal) => ({ color: ANIMALS[animal % ANIMALS.length], marker: MARKERS[animal % MARKERS.length] }));
}

/** Colors and markers of an ethogram's words: the background is gray. */
function looksOf(ethogram, centers) {
  if (ethogram.kind === "clusters") return lookOf(ethogram.words.length, centers);
  const loud = ethogram.words.filter((_, i) => i !== ethogram.quiet).length;
  const looks = lookOf(loud);
  let at = 0;
  return ethogram.words.map((_, i) => (i === ethogram.quiet ? { color: QUIET, marker: "disc" } : looks[at++]));
}

const packed = new Map();

/** A color as canvases store it, 0xAABBGGRR; `fade` mixes it with white. */
function pixel(color, fade = 0) {
  const key = `${color}${fade}`;
  if (!packed.has(key)) {
    const { r, g, b } = d3.rgb(color);
    const mix = (v) => Math.round(v + (255 - v) * fade);
    packed.set(key, ((255 << 24) | (mix(b) << 16) | (mix(g) << 8) | mix(r)) >>> 0);
  }
  return packed.get(key);
}

/** Black or white, whichever reads better on a color. */
function inkOn(color) {
  const { r, g, b } = d3.rgb(color);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff";
}

/** Which of the size x size dots around a point belong to its marker: [dx, dy] pairs. */
function dotsOf(marker, size) {
  const half = (size - 1) / 2;
  const thin = Math.max(0.5, size / 7);
  const shapes = {
    disc: (x, y) => Math.hypot(x, y) <= half + 0.3,
    cross: (x, y) => Math.abs(x) <= thin || Math.abs(y) <= thin,
    ring: (x, y) => Math.hypot(x, y) <= half + 0.3 && Math.hypot(x, y) >= half - thin,
    diagonal: (x, y) => Math.abs(Math.abs(x) - Math.abs(y)) <= thin,
    triangle: (x, y) => Math.abs(x) <= (y + half) / 2 + 0.3,
    bar: (x, y) => Math.abs(y) <= Math.max(thin, size / 5),
  };
  const dots = [];
  for (let dy = 0; dy < size; dy++) for (let dx = 0; dx < size; dx++) if (shapes[marker](dx - half, dy - half)) dots.push([dx - Math.floor(half), dy - Math.floor(half)]);
  return dots;
}

/** The dots of a small square. */
function blockOf(size) {
  return d3.cross(d3.range(size), d3.range(size)).map(([x, y]) => [x - (size >> 1), y - (size >> 1)]);
}

/** A marker as a small picture for legends. */
function markerIcon(look) {
  const side = 11;
  const canvas = element("canvas", { class: "marker", "aria-hidden": "true" });
  const context = sized(canvas, side + 2, side + 2);
  context.fillStyle = look.color;
  for (const [dx, dy] of dotsOf(look.marker, side)) context.fillRect(dx + (side + 1) / 2, dy + (side + 1) / 2, 1, 1);
  return canvas;
}
