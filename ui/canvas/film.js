/** The frames of a replay: fetched from the one shown onwards, and what lies between two of them. */
import { get } from "./load.js";
import { checkSprite, readGrey } from "./picture.js";
import { parsePoints } from "./points.js";

const AT_ONCE = 2;

/**
 * @typedef {import("./picture.js").Grey} Grey
 * @typedef {{label: string, points: string, decode: string,
 *   backdrop: import("./picture.js").BackdropMeta | null,
 *   codes?: import("./codes.js").Codebook | null}} Frame
 * @typedef {{points: import("./points.js").Points, sprite: Grey | null}} Shot
 */

/**
 * Points on their way from one frame to the next.
 * @param {import("./points.js").Points} from
 * @param {import("./points.js").Points} to  the same data in the same order
 * @param {number} share  0 at the first frame, 1 at the second
 * @returns {import("./points.js").Points}
 */
export function glided(from, to, share) {
  if (share === 0 || from.count !== to.count) return from;
  const way = (/** @type {Float32Array} */ a, /** @type {Float32Array} */ b) =>
    a.map((v, i) => v + (b[i] - v) * share);
  return {
    ...from,
    x: way(from.x, to.x),
    y: way(from.y, to.y),
    sxx: way(from.sxx, to.sxx),
    sxy: way(from.sxy, to.sxy),
    syy: way(from.syy, to.syy),
  };
}

export class Film {
  /**
   * @param {() => void} changed  called when another frame is there
   * @param {import("./troubles.js").Troubles} troubles
   */
  constructor(changed, troubles) {
    this.changed = changed;
    this.troubles = troubles;
    /** @type {Frame[]} */
    this.frames = [];
    /** @type {Map<string, Shot>} what is there, by the URLs of a frame */
    this.shots = new Map();
    /** @type {Set<string>} what is on its way */
    this.coming = new Set();
    /** @type {Set<string>} what could not be had */
    this.lost = new Set();
    this.from = 0;
  }

  /**
   * Take the frames; what is there of them already is kept.
   * @param {Frame[]} frames
   */
  take(frames) {
    this.frames = frames;
    const wanted = new Set(frames.map(nameOf));
    for (const name of [...this.shots.keys()]) if (!wanted.has(name)) this.shots.delete(name);
    if (!frames.length) this.troubles.end("replay");
    this.again();
  }

  /** @param {number} i */
  shot(i) {
    const frame = this.frames[i];
    return frame && this.shots.get(nameOf(frame));
  }

  /** @param {number} i */
  isLost(i) {
    const frame = this.frames[i];
    return Boolean(frame) && this.lost.has(nameOf(frame));
  }

  /**
   * Fetch from this frame on first.
   * @param {number} i
   */
  seek(i) {
    this.from = i;
    this.fetch();
  }

  /** Fetch what is missing, also what could not be had before. */
  again() {
    this.lost.clear();
    this.fetch();
  }

  fetch() {
    const { coming, frames, from, lost, shots } = this;
    for (let k = 0; k < frames.length && coming.size < AT_ONCE; k++) {
      const frame = frames[(from + k) % frames.length];
      const name = nameOf(frame);
      if (![shots, coming, lost].some((known) => known.has(name))) this.fetchFrame(frame, name);
    }
  }

  /**
   * @param {Frame} frame
   * @param {string} name
   */
  async fetchFrame(frame, name) {
    this.coming.add(name);
    if (!this.shots.size) this.troubles.wait("replay", "the replay");
    try {
      const [points, sprite] = await Promise.all([pointsOf(frame), spriteOf(frame)]);
      if (this.frames.some((other) => nameOf(other) === name)) {
        this.shots.set(name, { points, sprite });
        if (this.lost.size) this.troubles.arrive("replay");
        else this.troubles.end("replay");
      }
    } catch (error) {
      if (this.frames.some((other) => nameOf(other) === name)) {
        this.lost.add(name);
        this.troubles.fail("replay", `load ${frame.label} of the replay`, error);
      }
    }
    this.coming.delete(name);
    this.fetch();
    this.changed();
  }
}

/** @param {Frame} frame */
function nameOf({ backdrop, points }) {
  return `${points} ${backdrop?.url ?? ""}`;
}

/** @param {Frame} frame */
async function pointsOf({ points }) {
  return parsePoints(await (await get(points)).arrayBuffer());
}

/** @param {Frame} frame */
async function spriteOf({ backdrop }) {
  if (!backdrop) return null;
  const sprite = await readGrey(await (await get(backdrop.url)).blob());
  checkSprite(sprite, backdrop);
  return sprite;
}
