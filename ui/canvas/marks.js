/** The marks that move with the pointer: ellipse, tip, picks and the path between them. */
import { pixelsPerUnit, toPixel } from "./view.js";

/**
 * @typedef {{p: [number, number], label: string}} Pick
 * @typedef {{
 *   view: import("./view.js").View,
 *   frame: import("./view.js").Frame,
 *   theme: import("./colour.js").Theme,
 *   picks: Pick[],
 *   path: [number, number][] | null,
 *   hit: import("./layers.js").Datum | null,
 * }} Marks
 */

/**
 * @param {CanvasRenderingContext2D} context  in CSS pixels
 * @param {Marks} marks
 */
export function drawMarks(context, marks) {
  const { frame } = marks;
  context.save();
  context.beginPath();
  context.rect(frame.left, frame.top, frame.width, frame.height);
  context.clip();
  context.lineJoin = "round";
  context.lineCap = "round";
  drawPath(context, marks);
  drawEllipses(context, marks);
  for (const pick of [...marks.picks].reverse()) drawPick(context, marks, pick);
  drawTip(context, marks);
  context.restore();
}

/**
 * Stroke the current path twice, so that it is seen on any ground.
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 * @param {string} halo
 * @param {number} width
 */
function strokeTwice(context, colour, halo, width) {
  context.strokeStyle = halo;
  context.lineWidth = width + 3;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Marks} marks
 */
function drawPath(context, { frame, path, theme, view }) {
  if (!path || path.length < 2) return;
  context.beginPath();
  for (const place of path) context.lineTo(...toPixel(view, frame, place));
  strokeTwice(context, theme.accent, theme.ground, 2.5);
}

/**
 * Where the encoder's q lies: one and two standard deviations.
 * @param {CanvasRenderingContext2D} context
 * @param {Marks} marks
 */
function drawEllipses(context, { frame, hit, theme, view }) {
  if (!hit) return;
  const [x, y] = toPixel(view, frame, hit.p);
  const unit = pixelsPerUnit(view, frame);
  for (const deviations of [2, 1]) {
    const [a, b] = [hit.major * unit * deviations, hit.minor * unit * deviations];
    context.beginPath();
    context.ellipse(x, y, a, b, -hit.angle, 0, 2 * Math.PI);
    context.globalAlpha = 0.12;
    context.fillStyle = theme.ink;
    context.fill();
    context.globalAlpha = 1;
    strokeTwice(context, theme.ink, theme.ground, deviations === 1 ? 2 : 1.25);
  }
  context.beginPath();
  context.arc(x, y, 5, 0, 2 * Math.PI);
  strokeTwice(context, theme.ink, theme.ground, 2);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Marks} marks
 * @param {Pick} pick
 */
function drawPick(context, { frame, picks, theme, view }, pick) {
  const [x, y] = toPixel(view, frame, pick.p);
  const current = pick === picks[0];
  const arm = current ? 13 : 10;
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [0, 1], [-1, 0], [0, -1]]) {
    context.moveTo(x + 4 * dx, y + 4 * dy);
    context.lineTo(x + arm * dx, y + arm * dy);
  }
  strokeTwice(context, theme.accent, theme.ground, current ? 3 : 2.5);
  if (current) {
    context.beginPath();
    context.arc(x, y, 8, 0, 2 * Math.PI);
    strokeTwice(context, theme.accent, theme.ground, 2);
  }
  if (pick.label) writeOn(context, theme, frame, pick.label, x + 12, y - 20, theme.accent);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Marks} marks
 */
function drawTip(context, { frame, hit, theme, view }) {
  if (!hit) return;
  const [x, y] = toPixel(view, frame, hit.p);
  writeOn(context, theme, frame, hit.tip, x + 14, y + 20, theme.ink);
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
function writeOn(context, theme, frame, text, x, y, edge) {
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
