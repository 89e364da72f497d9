/** What the colours mean: labels to switch on and off, or a scale. */
import { LABEL_COLOURS, VALUE_GRADIENT } from "./colour.js";
import { written } from "./view.js";

/**
 * Build the legend.
 * @param {HTMLElement} root
 * @param {import("./points.js").PointsMeta | null} meta
 * @param {Set<number>} hidden  labels switched off; changed in place
 * @param {() => void} changed
 */
export function buildLegend(root, meta, hidden, changed) {
  root.replaceChildren();
  if (!meta) return;
  const title = document.createElement("div");
  title.className = "legend-title";
  title.textContent = meta.title;
  if (meta.title) root.append(title);
  if (meta.mode === "value") root.append(colourBar(VALUE_GRADIENT, meta.range));
  else root.append(switches(meta.labels, hidden, changed));
  if (!meta.note) return;
  const note = document.createElement("p");
  note.className = "points-note";
  note.textContent = meta.note;
  root.append(note);
}

/**
 * One button a label: a click switches it, a double click shows it alone or all again.
 * @param {string[]} labels
 * @param {Set<number>} hidden
 * @param {() => void} changed
 */
function switches(labels, hidden, changed) {
  const row = document.createElement("div");
  row.className = "switches";
  const buttons = labels.map((label, k) => {
    const button = document.createElement("button");
    const swatch = document.createElement("i");
    button.type = "button";
    button.title = `Show or hide ${label}; double-click to show it alone`;
    swatch.style.background = LABEL_COLOURS[k % LABEL_COLOURS.length];
    button.append(swatch, label);
    button.onclick = () => {
      if (!hidden.delete(k)) hidden.add(k);
      show();
    };
    button.ondblclick = () => {
      const alone = hidden.size === labels.length - 1 && !hidden.has(k);
      hidden.clear();
      if (!alone) labels.forEach((_, other) => other !== k && hidden.add(other));
      show();
    };
    return button;
  });
  const show = () => {
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", String(!hidden.has(k))));
    changed();
  };
  show();
  row.append(...buttons);
  return row;
}

/**
 * Colours with the numbers they stand for; where there is a unit, it takes the middle.
 * @param {string} gradient
 * @param {number[]} range
 * @param {string} [unit]
 */
export function colourBar(gradient, [lo, hi], unit = "") {
  const box = document.createElement("div");
  const bar = document.createElement("div");
  const numbers = document.createElement("div");
  const digits = Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(Math.abs(hi - lo) || 1))));
  box.className = "colour-bar";
  bar.className = "bar";
  bar.style.background = gradient;
  numbers.className = "numbers";
  for (const text of [written(lo, digits), unit || written((lo + hi) / 2, digits), written(hi, digits)]) {
    const number = document.createElement("span");
    number.textContent = text;
    numbers.append(number);
  }
  box.append(bar, numbers);
  return box;
}
