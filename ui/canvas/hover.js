/** What lies under the pointer, or under the cursor that the keys move, and what is said of it. */
import { written } from "./view.js";

const REACH = 8;
const LOG_TWO_PI = Math.log(2 * Math.PI);

/** @typedef {{dim: number, rest: number}} Density  of the prior, over the whole latent space */

/**
 * The log-density of the prior N(0, I) at a point of the plane, in nats.
 * @param {Density} density
 * @param {[number, number]} p
 */
export function logPrior({ dim, rest }, [x, y]) {
  const square = x * x + (dim > 1 ? y * y : 0) + rest;
  return -0.5 * square - (dim / 2) * LOG_TWO_PI;
}

export class Hover {
  /** @param {import("./plane.js").Plane} plane */
  constructor(plane) {
    this.plane = plane;
    /** @type {[number, number] | null} */
    this.pointer = null;
    /** @type {[number, number] | null} a pixel whose decoded picture stays until it is left */
    this.clicked = null;
    /** @type {[number, number] | null} where the keys have moved a pick, not decoded yet */
    this.pending = null;
    /** Whether it is the second pick that the keys move. */
    this.second = false;
    /** @type {import("./layers.js").Datum | null} */
    this.hit = null;
    /** Where the pointer was when the hit was found: in a replay it follows a datum from there. */
    this.followed = this.pointer;
  }

  forget() {
    this.pending = this.pointer = this.clicked = this.hit = null;
  }

  /** @param {[number, number]} place */
  datumAt(place) {
    const { camera, layers, shown } = this.plane;
    return shown.on("points") ? layers.datumAt(place, REACH / camera.unit) : null;
  }

  /**
   * @param {[number, number]} place
   * @param {string} about
   * @returns {import("./panel.js").Words}
   */
  words(place, about) {
    const { axes, density } = this.plane.data;
    const z = place.map((value, i) => ({ name: axes[i], value: written(value, 2) }));
    if (density?.dim === 1) z.pop();
    return { z, density: density ? written(logPrior(density, place), 2) : "", about };
  }

  /** Show what lies under the pointer or the moved pick; without either, the decoded picture. */
  describe() {
    const { camera, data, layers, panel, replay } = this.plane;
    const place = this.pointer ? camera.place(this.pointer) : this.pending;
    if (!place) {
      panel.rest();
      return;
    }
    const same = this.pointer && this.pointer === this.followed && replay.playing;
    this.followed = this.pointer;
    this.hit = (same && this.hit && layers.datum(this.hit.row)) || this.datumAt(place);
    const grey = layers.preview(place);
    const act = data.decode === null ? "" : this.pointer ? "Click to decode." : "Let go to decode.";
    const words = this.words(place, this.hit?.about ?? (grey ? "" : act));
    panel.show(grey, grey ? "Preview" : "", words);
  }
}
