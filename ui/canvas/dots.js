/** Drawing the points: by WebGL where there is a graphics processor, else by hand. */
import { drawByGl, webglKind } from "./gl.js";
import { thinned } from "./points.js";
import { shownTints, stampsOf, tintsOf } from "./stamps.js";
import { stampByHand } from "./stamping.js";
import { pixelsPerUnit, toPixel } from "./view.js";

/**
 * What is drawn, on a sheet of width × height device pixels that is one stamp wider than the frame
 * on each side; `zero` is the pixel of the place (0, 0) there, `unit` the pixels of a unit.
 * @typedef {{columns: import("./points.js").Points, tints: Uint8Array, shown: Uint8Array,
 *   stamps: import("./stamps.js").Stamps, view: import("./view.js").View,
 *   zero: [number, number], unit: number, width: number, height: number}} Dots
 */

/** [more points than this, radius at one pixel a unit, least radius in CSS pixels] */
const CROWDS = [
  [20_000, 0.2, 1.5],
  [4_000, 0.27, 2],
  [-1, 0.34, 2],
];

/** Where there is no WebGL at all the machine is a weak one, and draws no more points than these. */
const WITHOUT_WEBGL = 20_000;

/** @type {WeakMap<object, import("./points.js").Points>} */
const thinnedOf = new WeakMap();

/**
 * The points that are drawn here, and found under the pointer; the note says if they are not all.
 * @param {import("./points.js").Points} columns
 * @param {import("./points.js").PointsMeta} meta
 * @returns {NonNullable<import("./scene.js").Scene["points"]>}
 */
export function drawable(columns, meta) {
  if (columns.count <= WITHOUT_WEBGL || webglKind() !== "none") return { columns, meta };
  const few = thinnedOf.get(columns) ?? thinned(columns, WITHOUT_WEBGL);
  thinnedOf.set(columns, few);
  const [some, all] = [few.count, columns.count].map((n) => n.toLocaleString("en"));
  const said = `WebGL is not available here: ${some} of ${all} points are drawn.`;
  return { columns: few, meta: { ...meta, note: [meta.note, said].filter(Boolean).join(" ") } };
}

/**
 * Draw every point whose label is not hidden, later ones over earlier ones.
 * @param {CanvasRenderingContext2D} context  in CSS pixels, clipped to the frame
 * @param {NonNullable<import("./scene.js").Scene["points"]>} points
 * @param {Set<number>} hidden
 * @param {import("./view.js").View} view
 * @param {import("./view.js").Frame} frame
 * @param {boolean} dark
 * @param {number} ratio  device pixels per CSS pixel
 */
export function drawDots(context, { columns, meta }, hidden, view, frame, dark, ratio) {
  const perUnit = pixelsPerUnit(view, frame);
  const [, share, least] = CROWDS.find(([most]) => columns.count > most) ?? CROWDS[2];
  const radius = Math.min(6, Math.max(least, share * Math.sqrt(perUnit))) * ratio;
  const stamps = stampsOf(meta.mode, dark, Math.round(radius * 4) / 4);
  const { size } = stamps;
  const [x, y] = toPixel(view, frame, [0, 0]);
  const [left, top] = [frame.left, frame.top].map((side) => Math.round(side * ratio) - size);
  const dots = {
    columns,
    tints: tintsOf(columns, meta),
    shown: shownTints(meta.mode, hidden),
    stamps,
    view,
    zero: /** @type {[number, number]} */ ([x * ratio - left, y * ratio - top]),
    unit: perUnit * ratio,
    width: Math.ceil(frame.width * ratio) + 2 * size,
    height: Math.ceil(frame.height * ratio) + 2 * size,
  };
  const sheet = drawByGl(dots) ?? stampByHand(dots);
  const [width, height] = [dots.width, dots.height].map((side) => side / ratio);
  context.drawImage(sheet, left / ratio, top / ratio, width, height);
}
