// Keys of the views. They rest while somebody types, and while a dialog is open.

const TYPING = "input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";
const PRESSABLE = "button, a[href], summary, input[type=checkbox], input[type=radio]";
const OF_SLIDERS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"];

/** The name of a key as the maps of keys have it: "y", "Shift+Z", "ArrowLeft", "Shift+ArrowLeft", "Space". */
function nameOf(event) {
  const key = event.key === " " ? "Space" : event.key;
  const named = key.length > 1 || /[a-z]/i.test(key);
  const plain = key.length === 1 ? key.toLowerCase() : key;
  return event.shiftKey && named ? `Shift+${plain}` : plain;
}

/** Whether the focused thing needs this key itself. */
function taken(event, name) {
  const { target } = event;
  if (!(target instanceof Element)) return false;
  if (target.closest(TYPING)) return true;
  const bare = name.replace("Shift+", "");
  if (OF_SLIDERS.includes(bare) && target.closest("input[type=range], [role=slider], [role=tablist]")) return true;
  return ["Space", "Enter"].includes(bare) && Boolean(target.closest(PRESSABLE));
}

/** Listen for keys; `current()` gives the maps of keys in force, the first that knows a key has it. */
export function listenForKeys(current) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const name = nameOf(event);
    if (taken(event, name)) return;
    const map = current().find((one) => one && one[name]);
    if (!map) return;
    event.preventDefault();
    // A held key moves on, but never answers twice.
    if (event.repeat && !name.includes("Arrow")) return;
    map[name](event);
  });
}

/** A button that a click leaves without the focus, so that the keys of the view go on working; with the key beside the words. */
export function keyButton(words, key, press, attributes = {}) {
  const cap = key ? element("kbd", { "aria-hidden": "true" }, key) : null;
  const button = element("button", { type: "button", "aria-keyshortcuts": key ? shortcut(key) : null, ...attributes }, words, cap);
  button.addEventListener("mousedown", (event) => event.preventDefault());
  button.addEventListener("click", press);
  return button;
}

const SHORTCUTS = { space: "Space", Del: "Delete", "⇧Z": "Shift+Z" };

function shortcut(key) {
  return SHORTCUTS[key] || key;
}
