/**
 * The heat map: a density as one colour, the denser the further from the ground.
 *
 * One hue, with lightness even in OKLCH from the ground of the theme to the other end, so that
 * equal steps of density look equal, in every kind of colour vision; nothing is transparent.
 * A field of values has the same lightness without the hue, so that coloured points stand out.
 */
import { toPixel } from "./view.js";

const HUE = (262 * Math.PI) / 180;
const LIGHT_ENDS = { from: 0.95, to: 0.36 };
const DARK_ENDS = { from: 0.27, to: 0.93 };
const FULL_CHROMA = 0.17;
/** The share of the highest density from which on the colour is opaque. */
const OPAQUE_FROM = 0.2;

/** @typedef {{url: string, extent: [number, number, number, number], title: string}} HeatMeta */

/**
 * OKLCH at the hue of the heat map to linear sRGB.
 * @param {number} lightness
 * @param {number} chroma
 * @returns {number[]}
 */
function toLinear(lightness, chroma) {
  const [a, b] = [chroma * Math.cos(HUE), chroma * Math.sin(HUE)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

/**
 * The colour of a share of the highest density: red, green, blue, alpha, from 0 to 255.
 * @param {number} share
 * @param {boolean} dark
 * @param {boolean} [grey]  as for a field of values, opaque: the lowest is something too
 */
export function heatColour(share, dark, grey = false) {
  const ends = dark ? DARK_ENDS : LIGHT_ENDS;
  const lightness = ends.from + (ends.to - ends.from) * share;
  let chroma = grey ? 0 : FULL_CHROMA * Math.min(1, 0.25 + 1.5 * share);
  const outside = (/** @type {number} */ v) => v < 0 || v > 1;
  while (chroma > 0 && toLinear(lightness, chroma).some(outside)) chroma -= 0.002;
  const encode = (/** @type {number} */ v) =>
    255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);
  const alpha = grey ? 255 : 255 * Math.min(1, share / OPAQUE_FROM);
  return [...toLinear(lightness, chroma).map(encode), alpha].map(Math.round);
}

/**
 * A CSS gradient from nothing to the highest density.
 * @param {boolean} dark
 * @param {boolean} [grey]
 */
export function heatGradient(dark, grey = false) {
  const stops = Array.from({ length: 17 }, (_, i) => {
    const [r, g, b, alpha] = heatColour(i / 16, dark, grey);
    return `rgb(${r} ${g} ${b} / ${(alpha / 255).toFixed(3)})`;
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

/**
 * Colour the values of a picture.
 * @param {import("./picture.js").Grey} values
 * @param {boolean} dark
 * @param {boolean} [grey]
 */
export function heated(values, dark, grey = false) {
  const ramp = Array.from({ length: 256 }, (_, v) => heatColour(v / 255, dark, grey));
  const image = new ImageData(values.width, values.height);
  for (let i = 0; i < values.pixels.length; i++) image.data.set(ramp[values.pixels[i]], 4 * i);
  const canvas = new OffscreenCanvas(values.width, values.height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

/**
 * Draw a coloured picture at its place, smoothly. Its extent runs from pixel centre to centre.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./scene.js").Scene} scene
 * @param {{ink: OffscreenCanvas, meta: HeatMeta} | null} heat
 */
export function drawHeat(context, { frame, view }, heat) {
  if (!heat) return;
  const { height, width } = heat.ink;
  const [x0, x1, y0, y1] = heat.meta.extent;
  const dx = width > 1 ? (x1 - x0) / (width - 1) / 2 : 0;
  const dy = height > 1 ? (y1 - y0) / (height - 1) / 2 : 0;
  const [left, top] = toPixel(view, frame, [x0 - dx, y1 + dy]);
  const [right, bottom] = toPixel(view, frame, [x1 + dx, y0 - dy]);
  context.save();
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(heat.ink, left, top, right - left, bottom - top);
  context.restore();
}
