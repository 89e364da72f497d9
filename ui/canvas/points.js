/** The data in the plane: read them, find the one under the pointer, its ellipse. Pure. */

/**
 * Columns, one entry a row, never changed in place: what was made of them is kept as long as they
 * are the same object. `index` is the datum's number in its split.
 *
 * @typedef {{count: number, x: Float32Array, y: Float32Array, sxx: Float32Array,
 *   sxy: Float32Array, syy: Float32Array, value: Float32Array | Uint8Array,
 *   index: Uint32Array}} Points
 * @typedef {{mode: "label" | "value", labels: string[], title: string,
 *   range: [number, number], url: string, note?: string, numbered?: boolean}} PointsMeta
 */

/**
 * Read what `/api/points` answers: two uint32 (how many, and bytes a value: 1 or 4), then the
 * columns x, y (float32), values (float32 if they have 4 bytes), the logarithms of the two standard
 * deviations in steps of 1/2048 from −16 (uint16), the inverse hyperbolic tangent of the correlation
 * in steps of 1/4096 (int16), and values that are labels (uint8).
 * @param {ArrayBuffer} buffer
 * @returns {Points}
 */
export function parsePoints(buffer) {
  const [count, bytes] = buffer.byteLength < 8 ? [] : new Uint32Array(buffer, 0, 2);
  if (buffer.byteLength !== 8 + count * (14 + bytes)) throw new Error("they arrived incomplete");
  const numbers = (/** @type {number} */ at) => new Float32Array(buffer, 8 + count * at, count);
  const wide = bytes === 4 ? 4 : 0;
  const scale = (/** @type {number} */ at) =>
    Float32Array.from(new Uint16Array(buffer, 8 + count * (8 + wide + at), count), (step) =>
      Math.exp(step / 2048 - 16),
    );
  const [sx, sy] = [scale(0), scale(2)];
  const leaning = new Int16Array(buffer, 8 + count * (12 + wide), count);
  return {
    count,
    x: numbers(0),
    y: numbers(4),
    sxx: sx.map((s) => s * s),
    sxy: sx.map((s, i) => s * sy[i] * Math.tanh(leaning[i] / 4096)),
    syy: sy.map((s) => s * s),
    value: wide ? numbers(8) : new Uint8Array(buffer, 8 + count * 14, count),
    index: Uint32Array.from({ length: count }, (_, row) => row),
  };
}

/**
 * At most so many points, evenly taken; all of them if there are no more.
 * @param {Points} points
 * @param {number} most
 * @returns {Points}
 */
export function thinned(points, most) {
  if (points.count <= most) return points;
  const rows = Uint32Array.from({ length: most }, (_, i) => Math.floor((i * points.count) / most));
  const pick = (/** @type {Float32Array} */ column) => Float32Array.from(rows, (r) => column[r]);
  return {
    count: most,
    x: pick(points.x),
    y: pick(points.y),
    sxx: pick(points.sxx),
    sxy: pick(points.sxy),
    syy: pick(points.syy),
    value: Float32Array.from(rows, (r) => points.value[r]),
    index: rows.map((r) => points.index[r]),
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
