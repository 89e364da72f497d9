/** What each code decodes to, as a small picture cut from one sprite. */

/**
 * @typedef {{url: string, tile: [number, number], n: number, columns: number}} Palette
 *   tile: height and width
 */

/**
 * The name under which the root's style holds the sprite of a level, once it is there.
 * @param {number} level
 */
export function spriteOf(level) {
  return `--codemap-sprite-${level}`;
}

/**
 * The picture of one code; it appears when the sprite does.
 * @param {Palette} palette
 * @param {number} level
 * @param {number} code
 */
export function patch({ columns, n, tile }, level, code) {
  const rows = Math.ceil(n / columns);
  const share = (/** @type {number} */ i, /** @type {number} */ of) => `${(100 * i) / Math.max(1, of - 1)}%`;
  const picture = document.createElement("i");
  picture.className = "patch";
  picture.style.aspectRatio = `${tile[1]} / ${tile[0]}`;
  picture.style.backgroundImage = `var(${spriteOf(level)}, none)`;
  picture.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
  picture.style.backgroundPosition = `${share(code % columns, columns)} ${share(Math.floor(code / columns), rows)}`;
  return picture;
}
