/** The picture that a map of codes decodes to: the newest map wins. */
import { get, once } from "./load.js";

/**
 * @typedef {{image: ImageData, likelihood: number, prior: number}} Decoded  in nats; NaN: not said
 */

/**
 * The pixels of an image, untouched by colour management.
 * @param {ImageBitmapSource} source
 * @returns {Promise<ImageData>}
 */
export async function readColour(source) {
  const image = await createImageBitmap(source, {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  }).catch(() => {
    throw new Error("what came is no picture");
  });
  const { height, width } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser cannot read pictures");
  context.drawImage(image, 0, 0);
  image.close();
  return context.getImageData(0, 0, width, height);
}

/**
 * @param {Response} response
 * @returns {Promise<Decoded>}
 */
async function readDecoded(response) {
  const nats = (/** @type {string} */ name) => Number(response.headers.get(name) ?? NaN);
  const image = await readColour(await response.blob());
  return { image, likelihood: nats("X-Log-Likelihood"), prior: nats("X-Log-Prior") };
}

/**
 * Decoded minus input: orange where it is too bright, blue where it is too dark, black where right.
 * @param {ImageData} decoded
 * @param {ImageData} input  as large
 * @returns {{image: ImageData, mean: number}} mean: of |error|, as a share of the range
 */
export function errorOf(decoded, input) {
  const image = new ImageData(decoded.width, decoded.height);
  const [a, b] = [decoded.data, input.data];
  let sum = 0;
  for (let i = 0; i < a.length; i += 4) {
    const error = (a[i] + a[i + 1] + a[i + 2] - b[i] - b[i + 1] - b[i + 2]) / 3;
    const share = Math.abs(error) / 255;
    sum += share;
    image.data.set((error > 0 ? [255, 140, 0] : [60, 160, 255]).map((v) => v * share), i);
    image.data[i + 3] = 255;
  }
  return { image, mean: sum / (a.length / 4) };
}

export class Decoder {
  /**
   * @param {import("./troubles.js").Troubles} troubles
   * @param {(now: Decoded, own: Decoded | null) => void} shown
   */
  constructor(troubles, shown) {
    this.troubles = troubles;
    this.shown = shown;
    this.ownUrl = this.url = "";
    /** @type {Decoded | null} */
    this.own = null;
    /** @type {Decoded | null} what `url` answered */
    this.now = null;
    /** @type {AbortController | null} of the request on its way */
    this.asking = null;
    this.asked = "";
  }

  /**
   * @param {string} url  of the map as it is now
   * @param {string} ownUrl  of the encoder's own
   */
  want(url, ownUrl) {
    if (ownUrl !== this.ownUrl) this.own = null;
    if (url !== this.url || ownUrl !== this.ownUrl) this.now = null;
    [this.url, this.ownUrl] = [url, ownUrl];
    this.again();
  }

  /** Ask for what is missing and not on its way. */
  again() {
    if (!this.own) this.askOwn();
    if (this.asked && this.asked !== this.url) this.asking?.abort();
    if (this.now) return;
    if (this.url !== this.ownUrl) this.ask();
    else if (this.own) this.take(this.own);
  }

  async askOwn() {
    const url = this.ownUrl;
    this.troubles.wait("own", "the picture");
    try {
      const own = await once(url, readDecoded);
      if (url !== this.ownUrl || this.own) return;
      this.own = own;
      this.troubles.end("own");
      if (this.url === url) this.take(own);
      else if (this.now) this.shown(this.now, own);
    } catch (error) {
      if (url === this.ownUrl) this.troubles.fail("own", "decode the encoder's own map", error);
    }
  }

  async ask() {
    const { url } = this;
    if (this.asked === url) return;
    this.asked = url;
    const asking = new AbortController();
    this.asking = asking;
    const { signal } = asking;
    this.troubles.wait("decode", "the picture");
    try {
      const now = await readDecoded(await get(url, signal));
      if (!signal.aborted && url === this.url) this.take(now);
    } catch (error) {
      if (!signal.aborted && url === this.url) this.troubles.fail("decode", "decode this map", error);
    }
    if (this.asking === asking) this.asked = "";
  }

  /** @param {Decoded} now */
  take(now) {
    this.now = now;
    this.troubles.end("decode");
    this.shown(now, this.own);
  }

  stop() {
    this.asking?.abort();
  }
}
