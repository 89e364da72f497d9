/** What the page lays over the points: samples, Gaussians, marked places. */
import { drawGaussian, drawSpot, strokeTwice, writeOn } from "./ink.js";
import { toPixel } from "./view.js";

/**
 * @typedef {import("./ink.js").Gaussian & {colour: string, label: string, dash: boolean}} Oval
 * @typedef {{points: [number, number][], colour: string, label: string}} Draws
 * @typedef {{p: [number, number], label: string, shape: "cross" | "ring"}} Mark
 * @typedef {{ellipses: Oval[], draws: Draws | null}} Overlays
 */

/**
 * @param {CanvasRenderingContext2D} context  clipped to the frame
 * @param {import("./ink.js").Sheet} sheet
 * @param {Overlays} overlays
 */
export function drawOverlays(context, sheet, { draws, ellipses }) {
  const { frame, theme, view } = sheet;
  context.save();
  if (draws) {
    const radius = Math.max(2, Math.min(5, 20 / Math.sqrt(draws.points.length))); // a few are large
    for (const place of draws.points) {
      drawSpot(context, ...toPixel(view, frame, place), radius, draws.colour, theme.ground, 0.75);
    }
  }
  for (const oval of ellipses) drawGaussian(context, sheet, oval, oval.colour, oval.dash);
  context.restore();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./ink.js").Sheet} sheet
 * @param {Mark} mark
 */
export function drawMark(context, { frame, theme, view }, mark) {
  const [x, y] = toPixel(view, frame, mark.p);
  const [dx, dy] = [x - frame.left, y - frame.top];
  if (dx < 0 || dy < 0 || dx > frame.width || dy > frame.height) return;
  context.beginPath();
  if (mark.shape === "ring") {
    context.arc(x, y, 8, 0, 2 * Math.PI);
  } else {
    for (const way of [7, -7]) {
      context.moveTo(x - 7, y - way);
      context.lineTo(x + 7, y + way);
    }
  }
  strokeTwice(context, theme.ink, theme.ground, 2.5);
  if (mark.label) writeOn(context, theme, frame, mark.label, x + 12, y - 16, theme.ink);
}
