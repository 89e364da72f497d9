/** Lines that the page lays over the plane: paths, closed outlines, and the ring that walks. */
import { drawSpot, strokeTwice } from "./ink.js";
import { toPixel } from "./view.js";

const OUTLINE_FILL = 0.14;

/**
 * @typedef {{label: string, colour: string, points: [number, number][], dash?: boolean}} Outline
 * @typedef {{paths: Outline[], polygons: Outline[], lasso: import("./lasso.js").Lasso,
 *   cursor: [number, number] | null, walker: [number, number] | null}} Outlines
 */

/**
 * Under the picks: closed outlines, the loop in hand, paths.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./ink.js").Sheet} sheet
 * @param {Outlines} outlines
 */
export function drawOutlines(context, sheet, { cursor, lasso, paths, polygons }) {
  drawPolygons(context, sheet, polygons);
  lasso.draw(context, sheet, cursor);
  drawPaths(context, sheet, paths);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./ink.js").Sheet} sheet
 * @param {Outline[]} paths
 */
function drawPaths(context, { frame, theme, view }, paths) {
  for (const { colour, dash, points } of paths) {
    if (points.length < 2) continue;
    context.beginPath();
    for (const place of points) context.lineTo(...toPixel(view, frame, place));
    strokeTwice(context, colour, theme.ground, 3, dash);
  }
}

/**
 * Closed outlines with a light fill: even-odd, as the page counts what lies inside.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./ink.js").Sheet} sheet
 * @param {Outline[]} polygons
 */
export function drawPolygons(context, { frame, theme, view }, polygons) {
  for (const { colour, points } of polygons) {
    if (points.length < 2) continue;
    context.beginPath();
    for (const place of points) context.lineTo(...toPixel(view, frame, place));
    context.closePath();
    context.globalAlpha = OUTLINE_FILL;
    context.fillStyle = colour;
    context.fill("evenodd");
    context.globalAlpha = 1;
    strokeTwice(context, colour, theme.ground, 2.5);
  }
}

/**
 * The ring at the place whose picture a flipbook shows.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./ink.js").Sheet} sheet
 * @param {[number, number] | null} walker
 */
export function drawWalker(context, { frame, theme, view }, walker) {
  if (!walker) return;
  const [x, y] = toPixel(view, frame, walker);
  drawSpot(context, x, y, 7, theme.accent, theme.ground, 3);
  context.beginPath();
  context.arc(x, y, 11, 0, 2 * Math.PI);
  strokeTwice(context, theme.ink, theme.ground, 2);
}
