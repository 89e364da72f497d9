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
    /** @type {import("./codeink.js").CodeHit | null} */
    this.code = null;
    /** Where the pointer was when the hit was found: in a replay it follows a datum from there. */
    this.followed = this.pointer;
  }

  forget() {
    this.pending = this.pointer = this.clicked = this.hit = this.code = null;
  }

  /** @param {[number, number]} place */
  datumAt(place) {
    const { camera, layers, shown } = this.plane;
    return shown.on("points") ? layers.datumAt(place, REACH / camera.unit) : null;
  }

  /**
   * The code whose marker is at a place, else the one in whose cell it lies; only what is seen.
   * @param {[number, number]} place
   * @returns {import("./codeink.js").CodeHit | null}
   */
  codeAt(place) {
    const { camera, codes } = this.plane;
    const marker = this.markerAt(place, false);
    const index = marker < 0 ? this.cellAt(place) : marker;
    if (index < 0) return null;
    const { places, usage } = codes.now;
    return {
      index,
      place: places[index],
      usage: usage[index],
      count: places.length,
      marked: marker >= 0,
      cell: this.cellAt(place) < 0 ? null : codes.cells(camera.view)[index],
    };
  }

  /**
   * @param {[number, number]} place
   * @param {boolean} touch
   */
  markerAt(place, touch) {
    const { camera, codes, shown } = this.plane;
    return shown.on("codes") ? codes.markerAt(place, camera.unit, touch) : -1;
  }

  /** @param {[number, number]} place */
  cellAt(place) {
    return this.plane.shown.on("cells") ? this.plane.codes.cellAt(place) : -1;
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
    const { camera, codes, data, layers, panel, replay } = this.plane;
    const place = this.pointer ? camera.place(this.pointer) : this.pending;
    this.code = place && this.codeAt(place);
    if (!place) {
      panel.rest();
      return;
    }
    const same = this.pointer && this.pointer === this.followed && replay.playing;
    this.followed = this.pointer;
    this.hit = (same && this.hit && layers.datum(this.hit.row)) || this.datumAt(place);
    if (this.code?.marked) this.hit = null;
    const grey = layers.preview(place);
    const act = data.decode === null ? "" : this.pointer ? "Click to decode." : "Let go to decode.";
    const { index, marked } = this.code ?? { index: -1, marked: false };
    const cell = index < 0 ? "" : `cell of ${codes.words(index)}`;
    const code = marked ? codes.words(index) : "";
    const words = this.words(place, code || this.hit?.about || cell || (grey ? "" : act));
    panel.show(grey, grey ? "Preview" : "", words);
  }
}
