/** The decoded pictures at their nodes, as many of them as can be told apart. */
import { pixelsPerUnit, toPixel } from "./view.js";

const SMALLEST_TILE = 24;
/** Device pixels a pixel of all tiles takes, from which on its edges are drawn. */
const CRISP_FROM = 4;

/**
 * Which nodes of one axis to show: the ends, then again and again the one nearest to the middle
 * between two neighbours, if it is far enough from both. Coming closer thus only adds nodes.
 * @param {number[]} places  of the nodes, rising, in pixels
 * @param {number} least  pixels between two that are shown
 * @returns {{index: number, gap: number}[]} with the distance to the nearer neighbour shown
 */
export function spread(places, least) {
  const last = places.length - 1;
  const apart = (/** @type {number} */ i, /** @type {number} */ j) => places[j] - places[i];
  const few = apart(0, last) < least || last === 0;
  const kept = few ? [last >> 1] : [0];
  /** @type {(from: number, to: number) => void} */
  const split = (from, to) => {
    let best = from;
    let room = least;
    for (let i = from + 1; i < to; i++) {
      const free = Math.min(apart(from, i), apart(i, to));
      if (free >= room) [best, room] = [i, free];
    }
    if (best === from) return;
    split(from, best);
    kept.push(best);
    split(best, to);
  };
  if (!few) {
    split(0, last);
    kept.push(last);
  }
  return kept.map((index, k) => {
    const before = k > 0 ? apart(kept[k - 1], index) : Infinity;
    const after = k < kept.length - 1 ? apart(index, kept[k + 1]) : Infinity;
    return { index, gap: Math.min(before, after) };
  });
}

/**
 * Each tile is as large as the nearer of its neighbours allows, so that none overlap.
 * @param {CanvasRenderingContext2D} context  clipped to the frame
 * @param {import("./scene.js").Scene} scene
 * @param {number} ratio  device pixels per CSS pixel
 */
export function drawTiles(context, { backdrop, frame, heat, points, theme, view }, ratio) {
  if (!backdrop) return;
  const { tile } = backdrop.meta;
  const { xs, ys } = backdrop.even;
  const unit = pixelsPerUnit(view, frame);
  const columns = spread(xs.map((x) => x * unit), SMALLEST_TILE);
  const rows = spread(ys.map((y) => y * unit), SMALLEST_TILE);
  const snap = (/** @type {number} */ v) => Math.round(v * ratio) / ratio;
  context.save();
  context.globalAlpha = points || heat ? (theme.dark ? 0.36 : 0.38) : 0.9;
  context.imageSmoothingQuality = "medium";
  const scales = [...columns.map((c) => c.gap / tile[1]), ...rows.map((r) => r.gap / tile[0])];
  context.imageSmoothingEnabled = Math.min(...scales) * ratio < CRISP_FROM;
  for (const row of rows) {
    const [, y] = toPixel(view, frame, [0, ys[row.index]]);
    const top = (ys.length - 1 - row.index) * tile[0];
    for (const column of columns) {
      const [x] = toPixel(view, frame, [xs[column.index], 0]);
      const room = Math.min(column.gap / tile[1], row.gap / tile[0]);
      const scale = Number.isFinite(room) ? room : 1;
      const [w, h] = [tile[1] * scale, tile[0] * scale];
      if (x + w / 2 < frame.left || x - w / 2 > frame.left + frame.width) continue;
      if (y + h / 2 < frame.top || y - h / 2 > frame.top + frame.height) continue;
      const [px, py] = [snap(x - w / 2), snap(y - h / 2)];
      const [wide, tall] = [snap(x + w / 2) - px, snap(y + h / 2) - py];
      const left = column.index * tile[1];
      context.drawImage(backdrop.ink, left, top, tile[1], tile[0], px, py, wide, tall);
    }
  }
  context.restore();
}
