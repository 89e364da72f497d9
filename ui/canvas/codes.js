/** The codes that are in the plane now: their places, usage, cells and the way they came. */
import { cellsOf, nearestOf } from "./cells.js";

/** How many views wide the box is in which cells are kept, and how wide it may be at most. */
const BOX_VIEWS = 3;
const BOX_MOST = 40;
/** How near to a marker a click, or a finger, has to be, in pixels. */
const MARKER_REACH = 12;
const FINGER_REACH = 20;

/**
 * `usage` is each code's share of the latents; 0 is a dead code. What is here is never changed in
 * place: what was made of it is kept as long as it is the same object.
 *
 * @typedef {import("./cells.js").Spot} Spot
 * @typedef {{places: Spot[], usage: number[]}} Codebook
 * @typedef {Codebook & {cells: boolean, title?: string, selected?: number | null,
 *   neighbours?: number[] | null, trails?: Spot[][] | null, unit_note?: string | null}} CodesData
 */

/**
 * Codes on their way from one frame to the next.
 * @param {Codebook} from
 * @param {Codebook} to
 * @param {number} share  0 at the first frame, 1 at the second
 * @returns {Codebook}
 */
export function moved(from, to, share) {
  if (share === 0 || from.places.length !== to.places.length) return from;
  const way = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * share;
  return {
    places: from.places.map(([x, y], i) => [way(x, to.places[i][0]), way(y, to.places[i][1])]),
    usage: from.usage.map((u, i) => way(u, to.usage[i])),
  };
}

/**
 * What is said of a code, counted from 0.
 * @param {number} index
 * @param {number} usage
 */
export function codeWords(index, usage) {
  if (!(usage > 0)) return `code ${index}: dead, no latent uses it`;
  const percent = 100 * usage;
  const digits = percent >= 0.1 ? 1 : 2;
  const said = percent < 0.01 ? "less than 0.01" : percent.toFixed(digits);
  return `code ${index}: used by ${said} % of the latents`;
}

export class Codes {
  constructor() {
    /** @type {CodesData | null} what the page sent */
    this.data = null;
    /** @type {Codebook} what is shown of it */
    this.now = { places: [], usage: [] };
    /** @type {Spot[][]} the way of each code up to now */
    this.trails = [];
    /** @type {{places: Spot[], box: import("./view.js").View,
     *   cells: import("./cells.js").Cell[]} | null} */
    this.kept = null;
  }

  /** @param {CodesData | null} data */
  take(data) {
    this.data = data;
    this.now = data ?? { places: [], usage: [] };
    this.trails = data?.trails ?? [];
  }

  /**
   * Take what a replay shows; nothing in a frame without codes, if there are some with them.
   * @param {import("./film.js").Frame[]} frames
   * @param {number} place  the frame shown; between two while it plays
   */
  follow(frames, place) {
    const [i, j] = [Math.floor(place), Math.ceil(place)];
    const [from, to] = [frames[i]?.codes, frames[j]?.codes];
    if (!this.data || !frames.some(({ codes }) => codes)) return;
    if (!from) {
      this.now = { places: [], usage: [] };
      this.trails = [];
      return;
    }
    this.now = to ? moved(from, to, place - i) : from;
    const seen = frames.slice(0, i + 1).flatMap(({ codes }) => (codes ? [codes.places] : []));
    if (this.now !== from) seen.push(this.now.places);
    this.trails = from.places.map((_, k) => seen.map((places) => places[k]).filter(Boolean));
  }

  /**
   * The code whose marker is within reach of a place, the most used where several lie on one
   * another, or -1.
   * @param {Spot} place
   * @param {number} unit  pixels a unit of the plane takes
   * @param {boolean} touch
   */
  markerAt(place, unit, touch) {
    const { places, usage } = this.now;
    let index = nearestOf(places, place);
    if (index < 0) return -1;
    const [x, y] = places[index];
    places.forEach(([px, py], i) => {
      if (px === x && py === y && usage[i] > usage[index]) index = i;
    });
    const away = Math.hypot(x - place[0], y - place[1]) * unit;
    const reach = touch ? FINGER_REACH : MARKER_REACH;
    return away <= Math.max(reach, radiusOf(usage[index], places.length)) ? index : -1;
  }

  /**
   * The code in whose cell a place lies, or -1.
   * @param {Spot} place
   */
  cellAt(place) {
    return this.data?.cells ? nearestOf(this.now.places, place) : -1;
  }

  /** @param {number} index */
  words(index) {
    return index < 0 ? "" : codeWords(index, this.now.usage[index]);
  }

  /**
   * The cells, exact in a box around the view that is kept while the view stays inside.
   * @param {import("./view.js").View} view
   */
  cells([x0, x1, y0, y1]) {
    const { places } = this.now;
    const old = this.kept;
    if (old?.places === places) {
      const [l, r, b, t] = old.box;
      if (l < x0 && x1 < r && b < y0 && y1 < t && r - l < BOX_MOST * (x1 - x0)) return old.cells;
    }
    const [dx, dy] = [((x1 - x0) * BOX_VIEWS) / 2, ((y1 - y0) * BOX_VIEWS) / 2];
    const [cx, cy] = [(x0 + x1) / 2, (y0 + y1) / 2];
    /** @type {import("./view.js").View} */
    const box = [cx - dx, cx + dx, cy - dy, cy + dy];
    this.kept = { places, box, cells: cellsOf(places, box) };
    return this.kept.cells;
  }
}

/** Radii in pixels: of a code that is hardly used, of one of average usage, and the largest. */
const LEAST_CODE = 4;
const AVERAGE_CODE = 6.5;
export const LARGEST_CODE = 22;

/**
 * How large a code is drawn: its area grows with its usage, from one that is always seen.
 * @param {number} usage
 * @param {number} count  of codes: where there are many, they are smaller
 */
export function radiusOf(usage, count) {
  const square = LEAST_CODE ** 2 + (AVERAGE_CODE ** 2 - LEAST_CODE ** 2) * usage * count;
  return Math.min(LARGEST_CODE, crowdOf(count) * Math.sqrt(square));
}

/**
 * By how much marks grow where there are few, and shrink where there are many.
 * @param {number} count
 */
export function crowdOf(count) {
  return Math.min(1.3, Math.max(0.6, Math.sqrt(128 / Math.max(1, count))));
}
