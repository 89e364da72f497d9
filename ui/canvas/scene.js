/** The scene that hovering leaves alone: decoded manifold, heat, points, prior, codes, axes. */
import { drawCodes } from "./codeink.js";
import { drawDots } from "./dots.js";
import { drawHeat } from "./heat.js";
import { drawOverlays } from "./overlays.js";
import { drawTiles } from "./tiles.js";
import { pixelsPerUnit, ticks, toPixel } from "./view.js";

const TEXT_SIZE = 14;
/** How much of the points is seen before a heat map or a field, so that both are. */
const POINTS_ON_HEAT = 0.4;
const POINTS_ON_FIELD = 0.75;

/**
 * @typedef {{
 *   view: import("./view.js").View,
 *   frame: import("./view.js").Frame,
 *   theme: import("./colour.js").Theme,
 *   axes: [string, string],
 *   unit?: string,
 *   prior?: boolean,
 *   points: {columns: import("./points.js").Points, meta: import("./points.js").PointsMeta} | null,
 *   hidden: Set<number>,
 *   backdrop: {ink: OffscreenCanvas, meta: import("./picture.js").BackdropMeta} | null,
 *   heat: {ink: OffscreenCanvas, meta: import("./heat.js").HeatMeta} | null,
 *   field: {ink: OffscreenCanvas, meta: import("./heat.js").HeatMeta} | null,
 *   overlays: import("./overlays.js").Overlays,
 *   codes: import("./codeink.js").CodesShown | null,
 * }} Scene
 */

/**
 * Make room for the axes.
 * @param {number} width
 * @param {number} height
 * @returns {import("./view.js").Frame}
 */
export function frameOf(width, height) {
  const [left, top, right, bottom] = [66, 10, 12, 56];
  return {
    left,
    top,
    width: Math.max(40, width - left - right),
    height: Math.max(40, height - top - bottom),
  };
}

/**
 * @param {CanvasRenderingContext2D} context  in CSS pixels
 * @param {Scene} scene
 * @param {number} ratio  device pixels per CSS pixel
 */
export function drawScene(context, scene, ratio) {
  const { frame, hidden, points, theme, view } = scene;
  context.save();
  context.beginPath();
  context.rect(frame.left, frame.top, frame.width, frame.height);
  context.clip();
  drawTiles(context, scene, ratio);
  drawHeat(context, scene, scene.field);
  drawHeat(context, scene, scene.heat);
  if (points) {
    context.globalAlpha = scene.heat ? POINTS_ON_HEAT : scene.field ? POINTS_ON_FIELD : 1;
    drawDots(context, points, hidden, view, frame, theme.dark, ratio);
    context.globalAlpha = 1;
  }
  if (scene.prior !== false) drawPrior(context, scene);
  drawCodes(context, scene, scene.codes);
  drawOverlays(context, scene, scene.overlays);
  context.restore();
  drawAxes(context, scene);
}

/**
 * Circles one, two and three standard deviations from the centre of N(0, I).
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 */
function drawPrior(context, { frame, theme, view }) {
  const [x, y] = toPixel(view, frame, [0, 0]);
  const unit = pixelsPerUnit(view, frame);
  context.save();
  context.strokeStyle = theme.ink;
  context.lineWidth = 1;
  context.globalAlpha = 0.14;
  context.beginPath();
  context.moveTo(x, frame.top);
  context.lineTo(x, frame.top + frame.height);
  context.moveTo(frame.left, y);
  context.lineTo(frame.left + frame.width, y);
  context.stroke();
  context.font = `13px ${theme.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = theme.ink;
  for (const radius of [1, 2, 3]) {
    context.globalAlpha = 0.45;
    context.strokeStyle = theme.ink;
    context.lineWidth = 1;
    context.beginPath();
    context.arc(x, y, radius * unit, 0, 2 * Math.PI);
    context.stroke();
    if (unit < 28) continue;
    context.globalAlpha = 0.9;
    context.strokeStyle = theme.ground;
    context.lineWidth = 4;
    context.strokeText(`${radius} sd`, x, y - radius * unit);
    context.fillText(`${radius} sd`, x, y - radius * unit);
  }
  context.restore();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 */
function drawAxes(context, { axes, frame, theme, unit, view }) {
  const right = frame.left + frame.width;
  const bottom = frame.top + frame.height;
  context.save();
  context.font = `${TEXT_SIZE}px ${theme.font}`;
  context.fillStyle = theme.ink;
  context.strokeStyle = theme.ink;
  context.globalAlpha = 0.35;
  context.lineWidth = 1;
  context.strokeRect(frame.left - 0.5, frame.top - 0.5, frame.width + 1, frame.height + 1);
  context.globalAlpha = 0.9;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const { value, text } of ticks(view[0], view[1], frame.width / 70)) {
    const [px] = toPixel(view, frame, [value, 0]);
    context.fillRect(Math.round(px), bottom, 1, 5);
    if (px > frame.left + 8 && px < right - 8) context.fillText(text, px, bottom + 9);
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { value, text } of ticks(view[2], view[3], frame.height / 70)) {
    const [, py] = toPixel(view, frame, [0, value]);
    context.fillRect(frame.left - 5, Math.round(py), 5, 1);
    if (py > frame.top + 6 && py < bottom - 6) context.fillText(text, frame.left - 9, py);
  }
  const short = unit ?? " (sd of the prior)";
  const long = unit ?? " (standard deviations of the prior)";
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  const [wide, tall] = [frame.width > 380, Math.min(frame.width, frame.height) > 380];
  context.fillText(axes[0] + (wide ? long : short), frame.left + frame.width / 2, bottom + 46);
  context.translate(18, frame.top + frame.height / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(axes[1] + (tall ? long : short), 0, 0);
  context.restore();
}
