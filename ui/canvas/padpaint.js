/** Painting the pad: large pixels, stripes where one is rubbed out, the brush. */

const CELL = 14;
/** Nothing in a grey picture has these colours. */
const HATCH = { ground: "#0072b2", stripe: "#9fd3f2" };

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{pixels: ArrayLike<number>, seen: Uint8Array | null, height: number, width: number,
 *   cursor: import("./brush.js").Spot | null, size: number}} what
 */
export function paintPad(canvas, { cursor, height, pixels, seen, size, width }) {
  const cell = Math.max(2, Math.round(CELL * window.devicePixelRatio));
  if (canvas.width !== width * cell) canvas.width = width * cell;
  if (canvas.height !== height * cell) canvas.height = height * cell;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const hatch = hatching(context, cell);
  for (let k = 0; k < height * width; k++) {
    const gone = seen && !seen[k];
    context.fillStyle = gone ? hatch : `rgb(${pixels[k]} ${pixels[k]} ${pixels[k]})`;
    context.fillRect((k % width) * cell, Math.floor(k / width) * cell, cell, cell);
  }
  if (!cursor) return;
  const [x, y] = cursor.map((v) => Math.round(v - size / 2) * cell);
  for (const [colour, thick] of /** @type {[string, number][]} */ ([["#000", 5], ["#fff", 2]])) {
    context.strokeStyle = colour;
    context.lineWidth = (thick * cell) / CELL;
    context.strokeRect(x, y, size * cell, size * cell);
  }
}

/**
 * Stripes for what is not seen.
 * @param {CanvasRenderingContext2D} context
 * @param {number} side  of one tile, in device pixels
 */
function hatching(context, side) {
  const tile = new OffscreenCanvas(side, side);
  const ink = tile.getContext("2d");
  if (!ink) return HATCH.ground;
  ink.fillStyle = HATCH.ground;
  ink.fillRect(0, 0, side, side);
  ink.strokeStyle = HATCH.stripe;
  ink.lineWidth = side / 4;
  ink.beginPath();
  for (const shift of [-side, 0, side]) {
    ink.moveTo(shift - side / 4, side * 1.25);
    ink.lineTo(shift + side * 1.25, -side / 4);
  }
  ink.stroke();
  return /** @type {CanvasPattern} */ (context.createPattern(tile, "repeat"));
}
