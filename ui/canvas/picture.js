/** Pictures: the sprite of decoded pictures, the mix between four of them, painting one. */

/**
 * @typedef {{pixels: Uint8ClampedArray, height: number, width: number,
 *   range?: number[] | null}} Grey
 * @typedef {{url: string, xs: number[], ys: number[], tile: [number, number]}} BackdropMeta
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
  }).catch(() => {
    throw new Error("what came is no picture");
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
  const [h, w] = meta.tile;
  if (sprite.width !== meta.xs.length * w || sprite.height !== meta.ys.length * h) {
    throw new Error("it has an unexpected size");
  }
}

/**
 * Between which two nodes a number lies: the first one's index, and how far it is to the second.
 * @param {number[]} nodes  rising
 * @param {number} value
 * @returns {{index: number, share: number} | null} null outside
 */
export function between(nodes, value) {
  if (nodes.length === 1) return { index: 0, share: 0 };
  let [low, high] = [0, nodes.length - 1];
  if (!(value >= nodes[low] && value <= nodes[high])) return null;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (value < nodes[middle]) high = middle;
    else low = middle;
  }
  return { index: low, share: (value - nodes[low]) / (nodes[high] - nodes[low]) };
}

/**
 * The bilinear mix of the four decoded pictures around a place, or null outside the grid.
 * @param {Grey} sprite
 * @param {BackdropMeta} meta
 * @param {[number, number]} place
 * @returns {Grey | null}
 */
export function mix(sprite, meta, [x, y]) {
  const [h, w] = meta.tile;
  const column = between(meta.xs, x);
  const row = between(meta.ys, y);
  if (!column || !row) return null;
  const right = meta.xs.length > 1 ? w : 0;
  const up = meta.ys.length > 1 ? -h * sprite.width : 0;
  const [a, b] = [column.share, row.share];
  const weights = [(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b];
  const [left, top] = [column.index * w, (meta.ys.length - 1 - row.index) * h];
  const pixels = new Uint8ClampedArray(h * w);
  const from = sprite.pixels;
  for (let i = 0; i < h; i++) {
    let at = (top + i) * sprite.width + left;
    for (let j = 0; j < w; j++, at++) {
      pixels[i * w + j] =
        weights[0] * from[at] +
        weights[1] * from[at + right] +
        weights[2] * from[at + up] +
        weights[3] * from[at + up + right];
    }
  }
  return { pixels, height: h, width: w };
}

/**
 * The sprite on even nodes, each tile a mix: to look at, where uneven ones would look like a fault.
 * @param {Grey} sprite
 * @param {BackdropMeta} meta
 * @returns {{sheet: Grey, xs: number[], ys: number[]}}
 */
export function evened(sprite, meta) {
  const [h, w] = meta.tile;
  const even = (/** @type {number[]} */ nodes) => {
    const last = nodes.length - 1;
    const step = last ? (nodes[last] - nodes[0]) / last : 0;
    return nodes.map((node, i) => (i === last ? node : nodes[0] + i * step));
  };
  const [xs, ys] = [even(meta.xs), even(meta.ys)];
  const pixels = new Uint8ClampedArray(sprite.pixels.length);
  ys.forEach((y, row) =>
    xs.forEach((x, column) => {
      const tile = mix(sprite, meta, [x, y]);
      const top = (ys.length - 1 - row) * h;
      for (let i = 0; tile && i < h; i++) {
        const line = tile.pixels.subarray(i * w, (i + 1) * w);
        pixels.set(line, (top + i) * sprite.width + column * w);
      }
    }),
  );
  return { sheet: { ...sprite, pixels }, xs, ys };
}

/**
 * Show a picture at its own size; CSS enlarges it without smoothing.
 * @param {HTMLCanvasElement} canvas
 * @param {Grey | ImageData} picture
 */
export function paint(canvas, picture) {
  const { height, width } = picture;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    canvas.style.aspectRatio = `${width} / ${height}`;
  }
  const image = picture instanceof ImageData ? picture : opaque(picture);
  canvas.getContext("2d", { willReadFrequently: true })?.putImageData(image, 0, 0);
}

/** @param {Grey} grey */
function opaque({ height, pixels, width }) {
  const image = new ImageData(width, height);
  for (let i = 0; i < pixels.length; i++) {
    image.data.fill(pixels[i], 4 * i, 4 * i + 3);
    image.data[4 * i + 3] = 255;
  }
  return image;
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
