/** What a brush covers, and how a picture's bits and bytes are written. Pure. */

/**
 * @typedef {[number, number]} Spot  in pixels of the picture, from its left and its top edge
 */

/**
 * Go through the pixels that a brush covers on its way: row-major index, and how much (0 to 1).
 * @param {Spot} from
 * @param {Spot} to
 * @param {{height: number, width: number, size: number, soft: boolean}} how
 * @param {(index: number, cover: number) => void} cover
 */
export function sweep(from, to, { height, size, soft, width }, cover) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const steps = Math.max(1, Math.ceil(4 * Math.hypot(dx, dy)));
  for (let k = 0; k <= steps; k++) {
    const [x, y] = [from[0] + (dx * k) / steps, from[1] + (dy * k) / steps];
    // A hard brush sits on whole pixels, a soft one where the hand is.
    const half = size / 2;
    const [cx, cy] = soft ? [x, y] : [x, y].map((v) => Math.round(v - half) + half);
    for (let i = Math.floor(cy - half - 1); i <= cy + half + 1; i++) {
      for (let j = Math.floor(cx - half - 1); j <= cx + half + 1; j++) {
        if (i < 0 || j < 0 || i >= height || j >= width) continue;
        const away = Math.hypot(j + 0.5 - cx, i + 0.5 - cy);
        const share = soft ? Math.min(1, (half + 0.8 - away) / 1.2) : Number(away <= half + 0.1);
        if (share > 0) cover(i * width + j, share);
      }
    }
  }
}

/**
 * Bits as base64url without padding, the first in the highest place.
 * @param {Uint8Array} bits  0 or 1 each
 */
export function packBits(bits) {
  const bytes = new Uint8Array(Math.ceil(bits.length / 8));
  bits.forEach((bit, i) => (bytes[i >> 3] |= bit << (7 - (i & 7))));
  return packBytes(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Bytes as base64.
 * @param {Uint8Array} bytes
 */
export function packBytes(bytes) {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}
