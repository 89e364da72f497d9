/** Lines, ellipses and words that are seen on any ground. */
import { ellipse } from "./points.js";
import { pixelsPerUnit, toPixel } from "./view.js";

const DASH = [10, 7];

/**
 * What a mark is drawn on, and in which colours.
 * @typedef {{view: import("./view.js").View, frame: import("./view.js").Frame,
 *   theme: import("./colour.js").Theme}} Sheet
 * @typedef {{p: [number, number], cov: [number, number, number]}} Gaussian  cov: xx, xy, yy
 */

/**
 * Stroke the current path twice: a halo in the colour of the ground, then the line.
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 * @param {string} halo
 * @param {number} width
 * @param {boolean} [dashed]
 */
export function strokeTwice(context, colour, halo, width, dashed = false) {
  context.strokeStyle = halo;
  context.lineWidth = width + 3;
  context.stroke();
  if (dashed) context.setLineDash(DASH);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}

/**
 * A Gaussian's ellipses one and two standard deviations from its mean, and the mean.
 * @param {CanvasRenderingContext2D} context
 * @param {Sheet} sheet
 * @param {Gaussian} gaussian
 * @param {string} colour
 * @param {boolean} [dashed]
 */
export function drawGaussian(context, { frame, theme, view }, { p, cov }, colour, dashed = false) {
  const { angle, major, minor } = ellipse(...cov);
  const [x, y] = toPixel(view, frame, p);
  const unit = pixelsPerUnit(view, frame);
  context.save();
  context.lineCap = "butt";
  for (const deviations of [2, 1]) {
    const [a, b] = [major * unit * deviations, minor * unit * deviations];
    context.beginPath();
    context.ellipse(x, y, a, b, -angle, 0, 2 * Math.PI);
    strokeTwice(context, colour, theme.ground, deviations === 1 ? 3 : 2, dashed);
  }
  context.restore();
  drawSpot(context, x, y, 3.5, colour, theme.ground);
}

/**
 * A filled spot with a halo.
 * @param {CanvasRenderingContext2D} context
 * @param {number} x  in pixels
 * @param {number} y
 * @param {number} radius
 * @param {string} colour
 * @param {string} halo
 * @param {number} [rim]  how wide the halo is
 */
export function drawSpot(context, x, y, radius, colour, halo, rim = 1.5) {
  context.beginPath();
  context.arc(x, y, radius + rim, 0, 2 * Math.PI);
  context.fillStyle = halo;
  context.fill();
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}

/**
 * Words on a small plate, kept inside the frame.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./colour.js").Theme} theme
 * @param {import("./view.js").Frame} frame
 * @param {string} text
 * @param {number} x  left edge
 * @param {number} y  middle
 * @param {string} edge
 */
export function writeOn(context, theme, frame, text, x, y, edge) {
  context.font = `600 14px ${theme.font}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  const width = context.measureText(text).width + 12;
  const left = Math.max(frame.left + 2, Math.min(x, frame.left + frame.width - width - 2));
  const middle = Math.max(frame.top + 13, Math.min(y, frame.top + frame.height - 13));
  context.beginPath();
  context.roundRect(left, middle - 11, width, 22, 5);
  context.fillStyle = theme.ground;
  context.globalAlpha = 0.92;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = edge;
  context.lineWidth = 1;
  context.stroke();
  context.fillStyle = theme.ink;
  context.fillText(text, left + 6, middle + 1);
}
