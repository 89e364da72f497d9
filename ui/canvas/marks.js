/** The marks that move: tip under the pointer, picks, outlines, race, what is in hand. */
import { drawCodeHit } from "./codeink.js";
import { strokeTwice, writeOn } from "./ink.js";
import { drawOutlines, drawWalker } from "./outlines.js";
import { drawMark } from "./overlays.js";
import { pixelsPerUnit, toPixel } from "./view.js";

/**
 * @typedef {{p: [number, number], label: string}} Pick
 * @typedef {{
 *   view: import("./view.js").View,
 *   frame: import("./view.js").Frame,
 *   theme: import("./colour.js").Theme,
 *   picks: Pick[],
 *   outlines: import("./outlines.js").Outlines,
 *   hit: import("./layers.js").Datum | null,
 *   code: import("./codeink.js").CodeHit | null,
 *   places: import("./overlays.js").Mark[],
 *   race: import("./race.js").Race | null,
 *   handle: import("./handle.js").Handle | null,
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
  drawCodeHit(context, marks, marks.code);
  drawOutlines(context, marks, marks.outlines);
  marks.race?.drawTracks(context, marks);
  drawEllipses(context, marks);
  for (const place of marks.places) drawMark(context, marks, place);
  marks.handle?.draw(context, marks);
  for (const pick of [...marks.picks].reverse()) drawPick(context, marks, pick);
  drawWalker(context, marks, marks.outlines.walker);
  drawTip(context, marks);
  context.restore();
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
