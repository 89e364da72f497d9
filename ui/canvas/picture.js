/** Pictures: the sprite of decoded pictures, the mix between four of them, painting one. */

/**
 * @typedef {{pixels: Uint8ClampedArray, height: number, width: number}} Grey
 * @typedef {{url: string, rows: number, cols: number, extent: [number, number, number, number],
 *   tile: [number, number]}} BackdropMeta
 */

/**
 * Decode an image file to grey values, untouched by colour management.
 * @param {Blob} blob
 * @returns {Promise<Grey>}
 */
export async function readGrey(blob) {
  const image = await createImageBitmap(blob, {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const { width, height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser cannot read pictures");
  context.drawImage(image, 0, 0);
  image.close();
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Uint8ClampedArray(width * height);
  for (let i = 0; i < pixels.length; i++) pixels[i] = data[4 * i];
  return { pixels, height, width };
}

/**
 * Check that a sprite holds the tiles it should.
 * @param {Grey} sprite
 * @param {BackdropMeta} meta
 */
export function checkSprite(sprite, meta) {
  if (sprite.width !== meta.cols * meta.tile[1] || sprite.height !== meta.rows * meta.tile[0]) {
    throw new Error("it has an unexpected size");
  }
}

/**
 * The bilinear mix of the four decoded pictures around a place, or null outside the grid.
 * @param {Grey} sprite
 * @param {BackdropMeta} meta
 * @param {[number, number]} place
 * @returns {Grey | null}
 */
export function mix(sprite, meta, [x, y]) {
  const { rows, cols } = meta;
  const [x0, x1, y0, y1] = meta.extent;
  const [h, w] = meta.tile;
  const u = cols > 1 ? ((x - x0) / (x1 - x0)) * (cols - 1) : 0;
  const v = rows > 1 ? ((y1 - y) / (y1 - y0)) * (rows - 1) : 0;
  if (!(u >= 0 && v >= 0 && u <= cols - 1 && v <= rows - 1)) return null;
  const c = Math.min(Math.max(0, cols - 2), Math.floor(u));
  const r = Math.min(Math.max(0, rows - 2), Math.floor(v));
  const right = cols > 1 ? w : 0;
  const down = rows > 1 ? h * sprite.width : 0;
  const [a, b] = [u - c, v - r];
  const weights = [(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b];
  const pixels = new Uint8ClampedArray(h * w);
  const from = sprite.pixels;
  for (let i = 0; i < h; i++) {
    let at = (r * h + i) * sprite.width + c * w;
    for (let j = 0; j < w; j++, at++) {
      pixels[i * w + j] =
        weights[0] * from[at] +
        weights[1] * from[at + right] +
        weights[2] * from[at + down] +
        weights[3] * from[at + down + right];
    }
  }
  return { pixels, height: h, width: w };
}

/**
 * Show a picture at its own size; CSS enlarges it without smoothing.
 * @param {HTMLCanvasElement} canvas
 * @param {Grey} grey
 */
export function paint(canvas, grey) {
  if (canvas.width !== grey.width || canvas.height !== grey.height) {
    canvas.width = grey.width;
    canvas.height = grey.height;
    canvas.style.aspectRatio = `${grey.width} / ${grey.height}`;
  }
  const image = new ImageData(grey.width, grey.height);
  for (let i = 0; i < grey.pixels.length; i++) {
    image.data.fill(grey.pixels[i], 4 * i, 4 * i + 3);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d", { willReadFrequently: true })?.putImageData(image, 0, 0);
}

/**
 * The sprite as ink of one colour, the brighter the denser, for the backdrop in either theme.
 * @param {Grey} sprite
 * @param {string} ink
 * @returns {OffscreenCanvas}
 */
export function inked(sprite, ink) {
  const canvas = new OffscreenCanvas(sprite.width, sprite.height);
  const context = canvas.getContext("2d");
  if (!context) return canvas;
  const image = new ImageData(sprite.width, sprite.height);
  for (let i = 0; i < sprite.pixels.length; i++) image.data[4 * i + 3] = sprite.pixels[i];
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = ink;
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}
