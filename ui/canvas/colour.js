/** Colours: labels, values and the theme. */

/**
 * Label colours. The first ten were searched for the largest least distance in OKLab, as seen
 * with normal, deuteranopic, protanopic and tritanopic sight, among colours that stand out from
 * grey and from both themes' backgrounds; the other sixteen follow greedily, for letters.
 */
export const LABEL_COLOURS = [
  "#b01000", "#f89878", "#988800", "#e8d800", "#38f0e0", "#0088e8", "#4028f8", "#a8b0f8",
  "#8828a8", "#f838a0", "#b86060", "#00c800", "#e040f0", "#b8e0a0", "#c888d0", "#7860c0",
  "#c82088", "#983068", "#388040", "#80d0e8", "#c88058", "#8880c0", "#d80830", "#f87080",
  "#7820d8", "#f0a8c0",
];

/** Viridis, ten knots. */
const VIRIDIS = [
  "#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58",
  "#b5de2b", "#fde725",
];

export const VALUE_GRADIENT = `linear-gradient(to right, ${VIRIDIS.join(", ")})`;

/** @param {string} hex */
function channels(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

/**
 * Viridis in `count` steps.
 * @param {number} count
 * @returns {string[]}
 */
export function valueColours(count) {
  return Array.from({ length: count }, (_, i) => {
    const at = (i / Math.max(1, count - 1)) * (VIRIDIS.length - 1);
    const k = Math.min(VIRIDIS.length - 2, Math.floor(at));
    const [a, b] = [channels(VIRIDIS[k]), channels(VIRIDIS[k + 1])];
    return `rgb(${a.map((v, c) => Math.round(v + (b[c] - v) * (at - k))).join(" ")})`;
  });
}

/**
 * The colours of Streamlit's theme that are in force around an element.
 *
 * @typedef {{ink: string, ground: string, accent: string, font: string, dark: boolean}} Theme
 * @param {Element} element
 * @returns {Theme}
 */
export function readTheme(element) {
  const style = getComputedStyle(element);
  const get = (/** @type {string} */ name, /** @type {string} */ otherwise) =>
    style.getPropertyValue(name).trim() || otherwise;
  const ground = get("--st-background-color", "#ffffff");
  return {
    ink: get("--st-text-color", "#31333f"),
    ground,
    accent: get("--st-primary-color", "#ff4b4b"),
    font: get("--st-font", "sans-serif"),
    dark: luminance(ground) < 0.3,
  };
}

/**
 * How bright a CSS colour is, from 0 to 1.
 * @param {string} colour
 */
function luminance(colour) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  if (!context) return 1;
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}
