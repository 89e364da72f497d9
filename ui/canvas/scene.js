/** The scene that hovering leaves alone: decoded manifold, heat, points, prior, overlays, axes. */
import { drawDots } from "./dots.js";
import { drawHeat } from "./heat.js";
import { drawOverlays } from "./overlays.js";
import { pixelsPerUnit, ticks, toPixel } from "./view.js";

const SMALLEST_TILE = 24;
const TEXT_SIZE = 14;
/** How much of the points is seen before a heat map, so that both are. */
const POINTS_ON_HEAT = 0.4;

/**
 * @typedef {{
 *   view: import("./view.js").View,
 *   frame: import("./view.js").Frame,
 *   theme: import("./colour.js").Theme,
 *   axes: [string, string],
 *   points: {columns: import("./points.js").Points, meta: import("./points.js").PointsMeta} | null,
 *   visible: (row: number) => boolean,
 *   backdrop: {ink: OffscreenCanvas, meta: import("./picture.js").BackdropMeta} | null,
 *   heat: {ink: OffscreenCanvas, meta: import("./heat.js").HeatMeta} | null,
 *   overlays: import("./overlays.js").Overlays,
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
  const { frame, points, theme, view, visible } = scene;
  context.save();
  context.beginPath();
  context.rect(frame.left, frame.top, frame.width, frame.height);
  context.clip();
  drawBackdrop(context, scene, ratio);
  drawHeat(context, scene);
  if (points) {
    context.globalAlpha = scene.heat ? POINTS_ON_HEAT : 1;
    drawDots(context, points, visible, view, frame, theme.dark, ratio);
    context.globalAlpha = 1;
  }
  drawPrior(context, scene);
  drawOverlays(context, scene, scene.overlays);
  context.restore();
  drawAxes(context, scene);
}

/**
 * Draw the decoded pictures at their places, as many of them as can be told apart.
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {number} ratio
 */
function drawBackdrop(context, { backdrop, frame, heat, points, theme, view }, ratio) {
  if (!backdrop) return;
  const { extent, rows, cols, tile } = backdrop.meta;
  const unit = pixelsPerUnit(view, frame);
  const dx = cols > 1 ? ((extent[1] - extent[0]) / (cols - 1)) * unit : tile[1];
  const dy = rows > 1 ? ((extent[3] - extent[2]) / (rows - 1)) * unit : tile[0];
  let stride = 1;
  while (stride * Math.min(dx, dy) < SMALLEST_TILE && stride < Math.max(rows, cols)) stride *= 2;
  const scale = stride * Math.min(dx / tile[1], dy / tile[0]);
  const [w, h] = [tile[1] * scale, tile[0] * scale];
  const [left, top] = toPixel(view, frame, [extent[0], extent[3]]);
  const snap = (/** @type {number} */ v) => Math.round(v * ratio) / ratio;
  context.save();
  context.globalAlpha = points || heat ? (theme.dark ? 0.36 : 0.38) : 0.9;
  context.imageSmoothingEnabled = scale * ratio < 4;
  context.imageSmoothingQuality = "medium";
  for (let r = ((rows - 1) >> 1) % stride; r < rows; r += stride) {
    const y = top + r * dy;
    if (y + h / 2 < frame.top || y - h / 2 > frame.top + frame.height) continue;
    for (let c = ((cols - 1) >> 1) % stride; c < cols; c += stride) {
      const x = left + c * dx;
      if (x + w / 2 < frame.left || x - w / 2 > frame.left + frame.width) continue;
      const [px, py] = [snap(x - w / 2), snap(y - h / 2)];
      const [qx, qy] = [snap(x + w / 2), snap(y + h / 2)];
      const [sx, sy] = [c * tile[1], r * tile[0]];
      context.drawImage(backdrop.ink, sx, sy, tile[1], tile[0], px, py, qx - px, qy - py);
    }
  }
  context.restore();
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
function drawAxes(context, { axes, frame, theme, view }) {
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
  const wide = frame.width > 380;
  const unit = wide ? " (standard deviations of the prior)" : " (sd of the prior)";
  const tall = frame.height > 380 ? unit : " (sd of the prior)";
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.fillText(axes[0] + unit, frame.left + frame.width / 2, bottom + 46);
  context.translate(18, frame.top + frame.height / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(axes[1] + tall, 0, 0);
  context.restore();
}
