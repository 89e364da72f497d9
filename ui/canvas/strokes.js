/** Strokes of a pen: how wide they are, how they are painted, how they become a small picture. */

/** Side of the picture that is sent; strokes are kept in its pixels. */
export const BOARD = 112;
/** Widths of the pen, from fine to broad. */
const PENS = [5, 7, 10, 13, 17];

/**
 * Places with the pressure there, 0 to 1.
 * @typedef {[number, number, number]} Ink
 * @typedef {{width: number, places: Ink[]}} Stroke
 */

/** @param {number} size  1 to 5 */
export function penWidth(size) {
  return PENS[Math.min(PENS.length, Math.max(1, Math.round(size))) - 1];
}

/**
 * How hard somebody presses: a mouse or a finger that cannot tell counts as an even pen.
 * @param {PointerEvent} event
 */
export function pressed(event) {
  return event.pointerType === "pen" && event.pressure > 0 ? 0.55 + 0.9 * event.pressure : 1;
}

/**
 * Paint a stroke from one of its places on, white.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
 * @param {Stroke} stroke
 * @param {number} from
 * @param {number} unit  device pixels for each of the picture's
 */
export function paintStroke(context, { places, width }, from, unit) {
  context.strokeStyle = "#fff";
  context.lineCap = context.lineJoin = "round";
  for (let k = Math.max(0, from); k < places.length; k++) {
    const [x, y, press] = places[k];
    const [x0, y0] = places[Math.max(0, k - 1)];
    context.lineWidth = width * press * unit;
    context.beginPath();
    context.moveTo(x0 * unit, y0 * unit);
    context.lineTo(x * unit, y * unit);
    context.stroke();
  }
}

/**
 * The drawing as a PNG in base64, or "" where nothing is drawn.
 * @param {OffscreenCanvas} ink
 * @param {boolean} empty
 */
export function smallPng(ink, empty) {
  if (empty) return "";
  const small = document.createElement("canvas");
  small.width = small.height = BOARD;
  const context = /** @type {CanvasRenderingContext2D} */ (small.getContext("2d"));
  context.fillStyle = "#000";
  context.fillRect(0, 0, BOARD, BOARD);
  context.imageSmoothingQuality = "high";
  context.drawImage(ink, 0, 0, BOARD, BOARD);
  // Sixteen greys are enough for soft edges, and take two thirds of the room.
  const pixels = context.getImageData(0, 0, BOARD, BOARD);
  const { data } = pixels;
  for (let k = 0; k < data.length; k++) data[k] = 17 * Math.round(data[k] / 17);
  context.putImageData(pixels, 0, 0);
  return small.toDataURL("image/png").split(",")[1];
}

/**
 * Paint the place where the keys have moved the pen: a ring, filled while it is down.
 * @param {CanvasRenderingContext2D} context
 * @param {{at: [number, number], down: boolean, width: number, unit: number}} pen
 */
export function paintPen(context, { at, down, unit, width }) {
  context.beginPath();
  context.arc(at[0] * unit, at[1] * unit, (width / 2 + 1) * unit, 0, 2 * Math.PI);
  if (down) {
    context.fillStyle = "#D55E00";
    context.fill();
  }
  for (const [colour, thick] of /** @type {const} */ ([["#000", 1.2], ["#E69F00", 0.7]])) {
    context.strokeStyle = colour;
    context.lineWidth = thick * unit;
    context.stroke();
  }
}
