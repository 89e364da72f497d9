/**
 * Drawing the points. Ten thousand `drawImage` calls take up to 70 ms where there is no GPU, so
 * the dots are copied into one picture by hand and that is drawn: a few milliseconds anywhere.
 */
import { LABEL_COLOURS, valueColours } from "./colour.js";
import { pixelsPerUnit, toPixel } from "./view.js";

const VALUE_STEPS = 64;

/** Rims part a dot from its neighbours, or from a ground as dark as the lowest values. */
const LIGHT_RIM = "rgb(0 0 0 / 0.4)";
const DARK_RIM = { label: "rgb(0 0 0 / 0.6)", value: "rgb(255 255 255 / 0.2)" };

/** @typedef {{size: number, pixels: Uint8ClampedArray[]}} Stamps  one RGBA dot a colour */

let stampsFor = "";
/** @type {Stamps} */
let kept = { size: 0, pixels: [] };
const sheet = new OffscreenCanvas(1, 1);

/**
 * One ready dot for each colour.
 * @param {"label" | "value"} mode
 * @param {boolean} dark
 * @param {number} radius  in device pixels
 * @returns {Stamps}
 */
function stamps(mode, dark, radius) {
  const wanted = `${mode} ${dark} ${radius}`;
  if (wanted === stampsFor) return kept;
  const size = 2 * Math.ceil(radius + 1);
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return kept;
  context.lineWidth = Math.max(0.75, radius * 0.22);
  context.strokeStyle = dark ? DARK_RIM[mode] : LIGHT_RIM;
  const colours = mode === "label" ? LABEL_COLOURS : valueColours(VALUE_STEPS);
  const pixels = colours.map((colour) => {
    context.clearRect(0, 0, size, size);
    context.beginPath();
    context.arc(size / 2, size / 2, radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.stroke();
    return context.getImageData(0, 0, size, size).data;
  });
  stampsFor = wanted;
  kept = { size, pixels };
  return kept;
}

/**
 * Lay one dot over what is there.
 * @param {ImageData} image
 * @param {Uint8ClampedArray} dot
 * @param {number} size
 * @param {number} left
 * @param {number} top
 */
function lay({ data, height, width }, dot, size, left, top) {
  const [first, last] = [Math.max(0, -left), Math.min(size, width - left)];
  for (let i = Math.max(0, -top); i < Math.min(size, height - top); i++) {
    let from = 4 * (i * size + first);
    let to = 4 * ((top + i) * width + left + first);
    for (let j = first; j < last; j++, from += 4, to += 4) {
      const alpha = dot[from + 3];
      if (alpha === 0) continue;
      const under = (data[to + 3] * (255 - alpha)) / 255;
      const sum = alpha + under;
      const a = alpha / sum;
      data[to] = dot[from] * a + data[to] * (1 - a);
      data[to + 1] = dot[from + 1] * a + data[to + 1] * (1 - a);
      data[to + 2] = dot[from + 2] * a + data[to + 2] * (1 - a);
      data[to + 3] = sum;
    }
  }
}

/**
 * Draw every visible point.
 * @param {CanvasRenderingContext2D} context  in CSS pixels
 * @param {NonNullable<import("./scene.js").Scene["points"]>} points
 * @param {(row: number) => boolean} visible
 * @param {import("./view.js").View} view
 * @param {import("./view.js").Frame} frame
 * @param {boolean} dark
 * @param {number} ratio  device pixels per CSS pixel
 */
export function drawDots(context, { columns, meta }, visible, view, frame, dark, ratio) {
  const { count, x, y, value } = columns;
  const unit = pixelsPerUnit(view, frame) * ratio;
  const crowd = count > 4000 ? 0.27 : 0.34;
  const radius = Math.min(6, Math.max(2, crowd * Math.sqrt(unit / ratio))) * ratio;
  const { size, pixels } = stamps(meta.mode, dark, Math.round(radius * 4) / 4);
  const [width, height] = [frame.width, frame.height].map((side) => Math.ceil(side * ratio));
  const image = new ImageData(width, height);
  const [zeroX, zeroY] = toPixel(view, frame, [0, 0]);
  const left = (zeroX - frame.left) * ratio - size / 2;
  const top = (zeroY - frame.top) * ratio - size / 2;
  const [lo, hi] = meta.range;
  const steps = hi > lo ? (VALUE_STEPS - 1) / (hi - lo) : 0;
  for (let i = 0; i < count; i++) {
    const px = Math.round(left + x[i] * unit);
    const py = Math.round(top - y[i] * unit);
    if (!(px > -size && py > -size && px < width && py < height) || !visible(i)) continue;
    const step = Math.min(VALUE_STEPS - 1, Math.max(0, Math.round((value[i] - lo) * steps)));
    const colour = meta.mode === "label" ? value[i] % pixels.length : step;
    lay(image, pixels[colour] ?? pixels[0], size, px, py);
  }
  if (sheet.width !== width || sheet.height !== height) {
    sheet.width = width;
    sheet.height = height;
  }
  sheet.getContext("2d", { willReadFrequently: true })?.putImageData(image, 0, 0);
  context.drawImage(sheet, frame.left, frame.top, width / ratio, height / ratio);
}
