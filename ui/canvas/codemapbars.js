/** The distances of one cell to all codes as bars, nearest first. */

const TOP_PX = 22;
const FOOT_PX = 6;

/**
 * @typedef {{order: number[], values: ArrayLike<number>, rank: Map<number, number>}} Ranked
 *   order: the codes, nearest first; values: squared distances by code; rank: from 0, by code
 */

/**
 * The codes in the order of their distance.
 * @param {ArrayLike<number>} values  squared distances, by code
 * @returns {Ranked}
 */
export function ranked(values) {
  const order = Array.from({ length: values.length }, (_, code) => code);
  order.sort((a, b) => values[a] - values[b] || a - b);
  return { order, values, rank: new Map(order.map((code, i) => [code, i])) };
}

/**
 * Which bar is at a place, from 0, the nearest code's.
 * @param {HTMLCanvasElement} canvas
 * @param {number} n
 * @param {number} clientX
 */
export function barAt(canvas, n, clientX) {
  const box = canvas.getBoundingClientRect();
  return Math.min(n - 1, Math.max(0, Math.floor(((clientX - box.left) / box.width) * n)));
}

/**
 * Draw the bars: each in its code's colour, with a flag on the chosen one.
 * @param {HTMLCanvasElement} canvas
 * @param {Ranked} ranked
 * @param {string[]} colours  of the codes
 * @param {number} chosen
 * @param {number} read  the code that the pointer reads, or −1
 * @param {import("./colour.js").Theme} theme
 */
export function drawBars(canvas, { order, rank, values }, colours, chosen, read, theme) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const unit = window.devicePixelRatio;
  canvas.width = Math.round(width * unit);
  canvas.height = Math.round(height * unit);
  const context = canvas.getContext("2d");
  if (!context || !width) return;
  context.scale(unit, unit);
  const each = width / order.length;
  const gap = each > 4 ? 1 : 0;
  const most = Math.max(values[order[order.length - 1]], 1e-9);
  const floor = height - FOOT_PX;
  const top = (/** @type {number} */ code) =>
    floor - Math.max(2, (values[code] / most) * (floor - TOP_PX));
  order.forEach((code, i) => {
    context.globalAlpha = read < 0 || read === code || chosen === code ? 1 : 0.55;
    context.fillStyle = colours[code];
    context.fillRect(i * each, top(code), each - gap, floor - top(code));
  });
  context.globalAlpha = 1;
  context.fillStyle = theme.ink;
  context.fillRect(0, floor, width, 1);
  const at = rank.get(chosen);
  if (at === undefined) return;
  const middle = (at + 0.5) * each;
  context.fillStyle = theme.accent;
  context.fillRect(at * each - (gap ? 0 : 0.5), top(chosen), Math.max(2, each - gap), floor - top(chosen) + FOOT_PX);
  context.fillRect(middle - 1, 4, 2, top(chosen) - 4);
  context.fillStyle = theme.ink;
  context.font = `600 15px ${theme.font}`;
  context.textBaseline = "top";
  context.textAlign = middle > width / 2 ? "right" : "left";
  context.fillText(`code ${chosen}, chosen`, middle + (middle > width / 2 ? -7 : 7), 1);
}
