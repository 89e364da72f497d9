/**
 * Points without a graphics processor: every dot is copied by hand into one picture, the uppermost
 * first, so that what is covered already costs a look and no more. Sixty thousand dots take about
 * 6 ms so; as many calls of `drawImage` take some 400, and WebGL in software some 80.
 */

let copied = { of: "", offsets: new Int32Array(0), inks: new Uint32Array(0) };
let handSheet = new OffscreenCanvas(1, 1);
let handImage = new ImageData(1, 1);

/**
 * Draw the shown points on a sheet that is one stamp wider than the frame on each side.
 * @param {import("./dots.js").Dots} dots
 * @returns {OffscreenCanvas}
 */
export function stampByHand({ columns, height, shown, stamps, tints, unit, width, zero }) {
  if (handSheet.width !== width || handSheet.height !== height) {
    handSheet = new OffscreenCanvas(width, height);
    handImage = new ImageData(width, height);
  }
  const pixels = new Uint32Array(handImage.data.buffer);
  pixels.fill(0);
  const { inks, offsets } = takeApart(stamps, width);
  const { count, x, y } = columns;
  const n = offsets.length;
  const [left, top] = zero.map((v) => v - stamps.size / 2);
  const [right, bottom] = [width - stamps.size, height - stamps.size];
  for (let i = count - 1; i >= 0; i--) {
    const tint = tints[i];
    if (shown[tint] === 0) continue;
    const px = Math.round(left + x[i] * unit);
    const py = Math.round(top - y[i] * unit);
    if (!(px >= 0 && py >= 0 && px <= right && py <= bottom)) continue;
    const corner = py * width + px;
    for (let k = 0, from = tint * n; k < n; k++, from++) {
      const at = corner + offsets[k];
      const over = pixels[at];
      if (over >= 0xff000000) continue;
      pixels[at] = over === 0 ? inks[from] : over + faded(inks[from], 256 - (over >>> 24));
    }
  }
  divideByAlpha(pixels);
  handSheet.getContext("2d", { willReadFrequently: true })?.putImageData(handImage, 0, 0);
  return handSheet;
}

/**
 * All four bytes of a word times rest / 256.
 * @param {number} word
 * @param {number} rest
 */
function faded(word, rest) {
  const even = (Math.imul(word & 0xff00ff, rest) >>> 8) & 0xff00ff;
  const odd = Math.imul((word >>> 8) & 0xff00ff, rest) & 0xff00ff00;
  return (even | odd) >>> 0;
}

/**
 * Where the pixels of a stamp lie, counted from its corner on a sheet of some width, and their
 * colours times alpha, tint after tint.
 * @param {import("./stamps.js").Stamps} stamps
 * @param {number} width
 */
function takeApart({ count, name, sheet, size }, width) {
  const of = `${name} ${width}`;
  if (of === copied.of) return copied;
  const context = sheet.getContext("2d", { willReadFrequently: true });
  if (!context) return copied;
  const { data } = context.getImageData(0, 0, count * size, size);
  const byte = (/** @type {number} */ row, /** @type {number} */ column) =>
    4 * (row * count * size + column);
  /** @type {[number, number][]} */
  const inked = [];
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      if (data[byte(row, column) + 3]) inked.push([row, column]);
    }
  }
  const inks = new Uint32Array(count * inked.length);
  inks.forEach((_, i) => {
    const [row, column] = inked[i % inked.length];
    const at = byte(row, column + size * Math.floor(i / inked.length));
    const alpha = data[at + 3];
    const times = (/** @type {number} */ c) => Math.round((data[at + c] * alpha) / 255);
    inks[i] = times(0) | (times(1) << 8) | (times(2) << 16) | (alpha << 24);
  });
  copied = { of, offsets: Int32Array.from(inked, ([row, column]) => row * width + column), inks };
  return copied;
}

/**
 * From colours times alpha to colours, as image data want them.
 * @param {Uint32Array} pixels
 */
function divideByAlpha(pixels) {
  for (let i = 0; i < pixels.length; i++) {
    const word = pixels[i];
    const alpha = word >>> 24;
    if (alpha === 0 || alpha === 255) continue;
    const red = Math.min(255, ((word & 255) * 255) / alpha);
    const green = Math.min(255, (((word >>> 8) & 255) * 255) / alpha);
    const blue = Math.min(255, (((word >>> 16) & 255) * 255) / alpha);
    pixels[i] = red | (green << 8) | (blue << 16) | (alpha << 24);
  }
}
