// Small things that every part of the page needs. Text enters the page as text only: nothing is ever parsed as HTML.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element; `attributes` beginning with "on" are listeners, null and false leave an attribute out. */
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Put other children into an element; what has the place of the child that had the focus gets it, or `heir`. */
function replaceWithFocus(parent, children, heir = null) {
  const open = () => $$("button, [tabindex]", parent);
  const at = open().indexOf(document.activeElement);
  parent.replaceChildren(...children);
  if (at < 0) return;
  const next = heir || open()[Math.min(at, open().length - 1)];
  if (next) next.focus({ preventScroll: true });
}

/** Make a canvas so wide and high on the page, sharp on the screen it is on; returns its context in page pixels. */
function sized(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Call `draw` at most once per picture that the screen shows. */
function oncePerFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}

/** Seconds as 1:02.4, or 1:02:03 from an hour on. */
function clock(seconds, digits = 1) {
  // Rounded before it is divided: 59.97 s are 1:00.0, not 0:60.0.
  const rounded = digits ? Number(seconds.toFixed(digits)) : Math.floor(seconds + 1e-9);
  const [h, m] = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60];
  const s = (rounded % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return h ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

const short = d3.format(".3~g");
const percent = (share) => (share >= 0.0995 || share === 0 ? d3.format(".0%")(share) : d3.format(".1%")(share));

/** The last place in a rising array whose value is not above `value`; -1 if there is none. */
const place = (array, value) => d3.bisectRight(array, value) - 1;

/** Where a tooltip stands: beside the pointer, inside the window. */
function standBeside(tooltip, event) {
  const { innerWidth, innerHeight } = window;
  const { offsetWidth, offsetHeight } = tooltip;
  const left = event.clientX + 16 + offsetWidth > innerWidth ? event.clientX - 16 - offsetWidth : event.clientX + 16;
  const top = Math.min(event.clientY + 12, innerHeight - offsetHeight - 8);
  tooltip.style.left = `${Math.max(4, left)}px`;
  tooltip.style.top = `${Math.max(4, top)}px`;
}
