/** The data in the plane: read them, find the one under the pointer, its ellipse. Pure. */

const COLUMNS = 7;

/**
 * @typedef {{count: number, x: Float32Array, y: Float32Array, sxx: Float32Array,
 *   sxy: Float32Array, syy: Float32Array, value: Float32Array, index: Float32Array}} Points
 * @typedef {{mode: "label" | "value", labels: string[], title: string,
 *   range: [number, number], url: string}} PointsMeta
 */

/**
 * Read little-endian float32 columns.
 * @param {ArrayBuffer} buffer
 * @returns {Points}
 */
export function parsePoints(buffer) {
  const count = buffer.byteLength / 4 / COLUMNS;
  if (!Number.isInteger(count)) throw new Error("they arrived incomplete");
  const column = (/** @type {number} */ k) => new Float32Array(buffer, 4 * count * k, count);
  return {
    count,
    x: column(0),
    y: column(1),
    sxx: column(2),
    sxy: column(3),
    syy: column(4),
    value: column(5),
    index: column(6),
  };
}

/**
 * The row of the datum nearest to a pixel, or -1 if none is within reach.
 * @param {Points} points
 * @param {(row: number) => boolean} visible
 * @param {import("./view.js").Place} place  the pixel's place in the plane
 * @param {number} reach  in units of the plane
 */
export function nearest(points, visible, [x, y], reach) {
  let best = reach * reach;
  let row = -1;
  for (let i = 0; i < points.count; i++) {
    const dx = points.x[i] - x;
    const dy = points.y[i] - y;
    const d = dx * dx + dy * dy;
    if (d < best && visible(i)) {
      best = d;
      row = i;
    }
  }
  return row;
}

/**
 * Half axes and turn of the ellipse one standard deviation from the mean.
 * @param {number} sxx
 * @param {number} sxy
 * @param {number} syy
 * @returns {{major: number, minor: number, angle: number}} angle in radians, y upwards
 */
export function ellipse(sxx, sxy, syy) {
  const middle = (sxx + syy) / 2;
  const spread = Math.hypot((sxx - syy) / 2, sxy);
  return {
    major: Math.sqrt(Math.max(0, middle + spread)),
    minor: Math.sqrt(Math.max(0, middle - spread)),
    angle: Math.atan2(2 * sxy, sxx - syy) / 2,
  };
}
