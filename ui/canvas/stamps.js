/** One ready dot for each colour, which both ways of drawing points copy. */
import { LABEL_COLOURS, valueColours } from "./colour.js";

const VALUE_STEPS = 64;

/** Rims part a dot from its neighbours, or from a ground as dark as the lowest values. */
const LIGHT_RIM = "rgb(0 0 0 / 0.4)";
const DARK_RIM = { label: "rgb(0 0 0 / 0.6)", value: "rgb(255 255 255 / 0.2)" };

/**
 * Dots in a row on a sheet, each `size` pixels wide and high; `name` tells sheets apart.
 * @typedef {{name: string, size: number, count: number, sheet: OffscreenCanvas}} Stamps
 */

/** @type {Stamps} */
let lastStamps = { name: "", size: 2, count: 1, sheet: new OffscreenCanvas(2, 2) };

/**
 * One dot for each tint, the same object as long as the same is asked for.
 * @param {"label" | "value"} mode
 * @param {boolean} dark
 * @param {number} radius  in device pixels
 * @returns {Stamps}
 */
export function stampsOf(mode, dark, radius) {
  const name = `${mode} ${dark} ${radius}`;
  if (name === lastStamps.name) return lastStamps;
  const colours = mode === "label" ? LABEL_COLOURS : valueColours(VALUE_STEPS);
  const size = 2 * Math.ceil(radius + 1);
  const sheet = new OffscreenCanvas(size * colours.length, size);
  const context = sheet.getContext("2d", { willReadFrequently: true });
  if (!context) return lastStamps;
  context.lineWidth = Math.max(Math.min(0.75, radius / 3), radius * 0.22);
  context.strokeStyle = dark ? DARK_RIM[mode] : LIGHT_RIM;
  colours.forEach((colour, k) => {
    context.beginPath();
    context.arc(size * (k + 0.5), size / 2, radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.stroke();
  });
  lastStamps = { name, size, count: colours.length, sheet };
  return lastStamps;
}

/** @type {WeakMap<object, {of: string, tints: Uint8Array}>} */
const knownTints = new WeakMap();

/**
 * Which stamp each row gets, the same array as long as the same is asked for.
 * @param {import("./points.js").Points} columns
 * @param {import("./points.js").PointsMeta} meta
 * @returns {Uint8Array}
 */
export function tintsOf(columns, { mode, range: [lo, hi] }) {
  const of = mode === "label" ? mode : `${lo} ${hi}`;
  const known = knownTints.get(columns);
  if (known?.of === of) return known.tints;
  const last = VALUE_STEPS - 1;
  const steps = hi > lo ? last / (hi - lo) : 0;
  const tints =
    mode === "label"
      ? Uint8Array.from(columns.value, (label) => label % LABEL_COLOURS.length)
      : Uint8Array.from(columns.value, (v) =>
          Math.min(last, Math.max(0, Math.round((v - lo) * steps))),
        );
  knownTints.set(columns, { of, tints });
  return tints;
}

/**
 * Which tints are shown, one byte each: a label's tint is the label.
 * @param {"label" | "value"} mode
 * @param {Set<number>} hidden  labels
 * @returns {Uint8Array}
 */
export function shownTints(mode, hidden) {
  const shown = new Uint8Array(VALUE_STEPS).fill(1);
  if (mode === "label") for (const label of hidden) shown[label % LABEL_COLOURS.length] = 0;
  return shown;
}
