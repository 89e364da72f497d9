/** Drawing the codes of a VQ-VAE: cells, trails, a spot for each by usage, a cross for the dead. */
import { crowdOf, LARGEST_CODE, radiusOf } from "./codes.js";
import { drawSpot, strokeTwice, writeOn } from "./ink.js";
import { toPixel } from "./view.js";

/** Vermillion of Okabe and Ito: with the shape it says dead to every kind of colour vision. */
const DEAD = "#d55e00";
const DEAD_ARM = 5.5;
/** Reddish purple of Okabe and Ito: neither grey as the cells nor as dark as the codes. */
export const TRAIL = "#cc79a7";
/** An edge is drawn for the cells on both its sides, and then twice as dark. */
const LINE_ALPHA = 0.45;
/** What a trail has to move to be drawn on, in pixels. */
const SHORTEST_STEP = 3;
/** A ring is no smaller, so that the cross of a pick has room in it. */
const RING = { selected: 18, neighbour: 11 };

/**
 * @typedef {import("./codes.js").Codebook & {markers: boolean,
 *   cells: import("./cells.js").Cell[] | null, trails: import("./codes.js").Spot[][] | null,
 *   selected: number | null, neighbours: number[]}} CodesShown
 * @typedef {{index: number, place: import("./codes.js").Spot, usage: number, count: number,
 *   marked: boolean, cell: import("./cells.js").Cell | null}} CodeHit
 */

/**
 * @param {CanvasRenderingContext2D} context  clipped to the frame
 * @param {import("./ink.js").Sheet} sheet
 * @param {CodesShown | null} codes
 */
export function drawCodes(context, sheet, codes) {
  if (!codes) return;
  const { theme } = sheet;
  context.save();
  context.lineJoin = "bevel"; // many lines: round corners would take several times as long
  context.globalAlpha = LINE_ALPHA;
  if (codes.trails) drawTrails(context, sheet, codes.trails);
  if (codes.cells) {
    drawCells(context, sheet, codes.cells, theme.ground, 3);
    drawCells(context, sheet, codes.cells, theme.ink, 1.25);
  }
  context.globalAlpha = 1;
  context.lineJoin = context.lineCap = "round";
  if (codes.markers) drawMarkers(context, sheet, codes);
  context.restore();
}

/**
 * The way of each code, without the steps that are too short to be seen.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./ink.js").Sheet} sheet
 * @param {import("./codes.js").Spot[][]} trails
 */
function drawTrails(context, { frame, view }, trails) {
  context.strokeStyle = TRAIL;
  context.lineWidth = 2;
  for (const trail of trails) {
    let last = [Infinity, Infinity];
    context.beginPath();
    trail.forEach((place, k) => {
      const [x, y] = toPixel(view, frame, place);
      const near = Math.abs(x - last[0]) < SHORTEST_STEP && Math.abs(y - last[1]) < SHORTEST_STEP;
      if (near && k < trail.length - 1) return;
      context.lineTo(x, y);
      last = [x, y];
    });
    context.stroke();
  }
}

/**
 * The edges of the cells, those out of sight left out.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./ink.js").Sheet} sheet
 * @param {import("./cells.js").Cell[]} cells
 * @param {string} colour
 * @param {number} width
 */
function drawCells(context, { frame, view: [x0, x1, y0, y1], view }, cells, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  for (const cell of cells) {
    if (cell.every(([x]) => x < x0) || cell.every(([x]) => x > x1)) continue;
    if (cell.every(([, y]) => y < y0) || cell.every(([, y]) => y > y1)) continue;
    context.beginPath();
    for (const corner of cell) context.lineTo(...toPixel(view, frame, corner));
    context.closePath();
    context.stroke();
  }
}

/**
 * The most used first, so that none is covered whole; then the dead; then the rings.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./ink.js").Sheet} sheet
 * @param {CodesShown} codes
 */
function drawMarkers(context, sheet, { neighbours, places, selected, usage }) {
  const { frame, theme, view } = sheet;
  const pixels = places.map((place) => toPixel(view, frame, place));
  const radii = usage.map((share) => radiusOf(share, places.length));
  const seen = pixels.map(([x, y]) => isSeen(frame, x, y));
  const order = usage.map((_, i) => i).filter((i) => seen[i]);
  order.sort((i, j) => usage[j] - usage[i]);
  for (const i of order) {
    const [x, y] = pixels[i];
    if (usage[i] > 0) drawSpot(context, x, y, radii[i], theme.ink, theme.ground, 2);
    else drawDead(context, theme, x, y, DEAD_ARM * crowdOf(places.length));
  }
  for (const i of neighbours) {
    if (seen[i]) drawNeighbour(context, theme, pixels[i], radii[i]);
  }
  if (selected === null || !seen[selected]) return;
  const [x, y] = pixels[selected];
  const radius = Math.max(RING.selected, radii[selected] + 5);
  drawRing(context, theme.accent, theme.ground, [x, y], radius, 3.5);
  writeOn(context, theme, frame, `code ${selected}`, x + radius + 8, y, theme.accent);
}

/**
 * What of a code is under the pointer: its cell tinted, and a ring and its number if it is meant.
 * @param {CanvasRenderingContext2D} context  clipped to the frame
 * @param {import("./ink.js").Sheet} sheet
 * @param {CodeHit | null} hit
 */
export function drawCodeHit(context, sheet, hit) {
  if (!hit) return;
  const { frame, theme, view } = sheet;
  if (hit.cell?.length) {
    context.beginPath();
    for (const corner of hit.cell) context.lineTo(...toPixel(view, frame, corner));
    context.closePath();
    context.globalAlpha = 0.18;
    context.fillStyle = theme.accent;
    context.fill();
    context.globalAlpha = 1;
    strokeTwice(context, theme.ink, theme.ground, 1.5);
  }
  if (!hit.marked) return;
  const [x, y] = toPixel(view, frame, hit.place);
  const radius = radiusOf(hit.usage, hit.count);
  drawRing(context, theme.ink, theme.ground, [x, y], radius + 3, 2);
  writeOn(context, theme, frame, `code ${hit.index}`, x + radius + 10, y + 18, theme.ink);
}

/**
 * Whether a marker reaches into the frame.
 * @param {import("./view.js").Frame} frame
 * @param {number} x
 * @param {number} y
 */
function isSeen({ height, left, top, width }, x, y) {
  const out = Math.max(left - x, x - left - width, top - y, y - top - height);
  return out < LARGEST_CODE;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./colour.js").Theme} theme
 * @param {number} x
 * @param {number} y
 * @param {number} arm
 */
function drawDead(context, theme, x, y, arm) {
  context.beginPath();
  for (const way of [arm, -arm]) {
    context.moveTo(x - arm, y - way);
    context.lineTo(x + arm, y + way);
  }
  strokeTwice(context, DEAD, theme.ground, 3);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 * @param {string} halo
 * @param {[number, number]} pixel
 * @param {number} radius
 * @param {number} width
 */
function drawRing(context, colour, halo, [x, y], radius, width) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  strokeTwice(context, colour, halo, width);
}

/**
 * A ring in six pieces.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./colour.js").Theme} theme
 * @param {[number, number]} pixel
 * @param {number} radius  of the code
 */
function drawNeighbour(context, theme, [x, y], radius) {
  const around = Math.max(RING.neighbour, radius + 5);
  context.beginPath();
  for (let k = 0; k < 6; k++) {
    const from = (k * Math.PI) / 3;
    context.moveTo(x + around * Math.cos(from), y + around * Math.sin(from));
    context.arc(x, y, around, from, from + 0.62);
  }
  strokeTwice(context, theme.accent, theme.ground, 3);
}
