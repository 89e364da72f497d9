/**
 * Coordinates: from the plane to the screen and back. Pure.
 *
 * A view is the part of the plane that is shown; a frame is the part of the canvas that shows
 * it, in CSS pixels. One unit is as long in x as in y, so that the prior's circles are round.
 *
 * @typedef {[number, number, number, number]} View  x0, x1, y0, y1
 * @typedef {{left: number, top: number, width: number, height: number}} Frame
 * @typedef {[number, number]} Place
 */

const SMALLEST_SPAN = 1e-3;
const LARGEST_SPAN = 400;

/**
 * Widen a view until its units are square in the frame; its centre stays.
 * @param {View} view
 * @param {Frame} frame
 * @returns {View}
 */
export function fit(view, frame) {
  const [x0, x1, y0, y1] = view;
  const unit = Math.max((x1 - x0) / frame.width, (y1 - y0) / frame.height);
  const [cx, cy] = [(x0 + x1) / 2, (y0 + y1) / 2];
  const [dx, dy] = [(unit * frame.width) / 2, (unit * frame.height) / 2];
  return [cx - dx, cx + dx, cy - dy, cy + dy];
}

/**
 * Pixels a unit of the plane takes.
 * @param {View} view
 * @param {Frame} frame
 */
export function pixelsPerUnit(view, frame) {
  return frame.width / (view[1] - view[0]);
}

/**
 * @param {View} view
 * @param {Frame} frame
 * @param {Place} place
 * @returns {Place} pixel
 */
export function toPixel(view, frame, [x, y]) {
  return [
    frame.left + ((x - view[0]) / (view[1] - view[0])) * frame.width,
    frame.top + ((view[3] - y) / (view[3] - view[2])) * frame.height,
  ];
}

/**
 * @param {View} view
 * @param {Frame} frame
 * @param {Place} pixel
 * @returns {Place} place in the plane
 */
export function toPlane(view, frame, [px, py]) {
  return [
    view[0] + ((px - frame.left) / frame.width) * (view[1] - view[0]),
    view[3] - ((py - frame.top) / frame.height) * (view[3] - view[2]),
  ];
}

/**
 * Move the plane with the finger, by dx, dy pixels.
 * @param {View} view
 * @param {Frame} frame
 * @param {number} dx
 * @param {number} dy
 * @returns {View}
 */
export function pan([x0, x1, y0, y1], frame, dx, dy) {
  const mx = (dx / frame.width) * (x1 - x0);
  const my = (dy / frame.height) * (y1 - y0);
  return [x0 - mx, x1 - mx, y0 + my, y1 + my];
}

/**
 * Enlarge by a factor; the given place stays where it is on the screen.
 * @param {View} view
 * @param {number} factor  above 1 comes closer
 * @param {Place} place
 * @returns {View}
 */
export function zoomAt([x0, x1, y0, y1], factor, [x, y]) {
  const span = x1 - x0;
  const wanted = Math.min(LARGEST_SPAN, Math.max(SMALLEST_SPAN, span / factor));
  const k = wanted / span;
  return [x + (x0 - x) * k, x + (x1 - x) * k, y + (y0 - y) * k, y + (y1 - y) * k];
}

/**
 * Round numbers between lo and hi, about `count` of them, as they are written on an axis.
 * @param {number} lo
 * @param {number} hi
 * @param {number} count
 * @returns {{value: number, text: string}[]}
 */
export function ticks(lo, hi, count) {
  const rough = (hi - lo) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((m) => m * power >= rough) ?? 10);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let k = Math.ceil(lo / step); k * step <= hi; k++) {
    found.push({ value: k * step, text: written(k * step, digits) });
  }
  return found;
}

/**
 * A number with a real minus sign and no negative zero.
 * @param {number} value
 * @param {number} digits
 */
export function written(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
}
