/** The points, decoded manifold and heat map that are there now, while newer ones are on their way. */
import { heated } from "./heat.js";
import { message, once } from "./load.js";
import { checkSprite, inked, mix, readGrey } from "./picture.js";
import { ellipse, nearest, parsePoints } from "./points.js";
import { written } from "./view.js";

export class Layers {
  /**
   * @param {(what: Fetched) => void} changed
   * @param {(what: string, sentence: string) => void} trouble  "" takes a sentence back
   */
  constructor(changed, trouble) {
    this.changed = changed;
    this.trouble = trouble;
    /** @type {import("./scene.js").Scene["points"]} */
    this.points = null;
    /** @type {{sprite: import("./picture.js").Grey, ink: OffscreenCanvas, colour: string,
     *   meta: import("./picture.js").BackdropMeta} | null} */
    this.backdrop = null;
    /** @type {{grey: import("./picture.js").Grey, ink: OffscreenCanvas, dark: boolean,
     *   meta: import("./heat.js").HeatMeta} | null} */
    this.heat = null;
    /** @type {Set<number>} labels switched off */
    this.hidden = new Set();
    this.wanted = { points: "", backdrop: "", heat: "" };
    this.stopped = false;
  }

  /** @param {import("./points.js").PointsMeta | null} meta */
  takePoints(meta) {
    this.fetch("points", meta?.url, "the points", readPoints, (columns) => {
      const labels = JSON.stringify([meta?.mode, meta?.labels]);
      const before = JSON.stringify([this.points?.meta.mode, this.points?.meta.labels]);
      if (labels !== before) this.hidden.clear();
      this.points = meta && columns && { columns, meta };
    });
  }

  /**
   * @param {import("./picture.js").BackdropMeta | null} meta
   * @param {string} colour
   */
  takeBackdrop(meta, colour) {
    this.fetch("backdrop", meta?.url, "the decoded manifold", readPicture, (sprite) => {
      if (meta && sprite) checkSprite(sprite, meta);
      const old = this.backdrop;
      const ink = old?.sprite === sprite && old?.colour === colour ? old?.ink : null;
      this.backdrop = meta && sprite && { sprite, ink: ink ?? inked(sprite, colour), colour, meta };
    });
  }

  /**
   * @param {import("./heat.js").HeatMeta | null} meta
   * @param {boolean} dark
   */
  takeHeat(meta, dark) {
    this.fetch("heat", meta?.url, "the heat map", readPicture, (grey) => {
      const old = this.heat;
      const ink = old?.grey === grey && old?.dark === dark ? old?.ink : null;
      this.heat = meta && grey && { grey, ink: ink ?? heated(grey, dark), dark, meta };
    });
  }

  /**
   * Fetch a thing by its URL and take it, unless another is wanted by then.
   * @param {Fetched} what
   * @param {string | undefined} url
   * @param {string} name
   * @param {(response: Response) => Promise<any>} read
   * @param {(thing: any) => void} take
   */
  async fetch(what, url, name, read, take) {
    this.wanted[what] = url ?? "";
    let sentence = "";
    try {
      const thing = url ? await once(url, read) : null;
      if (this.stopped || this.wanted[what] !== (url ?? "")) return;
      take(thing);
    } catch (error) {
      if (this.stopped || this.wanted[what] !== url) return;
      sentence = `Could not load ${name}: ${message(error)}.`;
    }
    this.trouble(what, sentence);
    this.changed(what);
  }

  /** Whether a row is switched on in the legend. */
  visible = (/** @type {number} */ row) =>
    this.points?.meta.mode !== "label" || !this.hidden.has(this.points.columns.value[row]);

  /**
   * The visible datum nearest to a place.
   * @param {[number, number]} place
   * @param {number} reach
   * @returns {Datum | null}
   */
  datumAt(place, reach) {
    if (!this.points) return null;
    const { columns, meta } = this.points;
    const row = nearest(columns, this.visible, place, reach);
    if (row < 0) return null;
    const value = columns.value[row];
    const byLabel = meta.mode === "label";
    const tip = byLabel ? meta.labels[value] : written(value, 2);
    const title = meta.title || (byLabel ? "label" : "value");
    return {
      p: [columns.x[row], columns.y[row]],
      index: columns.index[row],
      tip,
      about: `datum ${columns.index[row]}, ${title}: ${tip}`,
      ...ellipse(columns.sxx[row], columns.sxy[row], columns.syy[row]),
    };
  }

  /**
   * The mix of decoded pictures at a place, or null where there is none.
   * @param {[number, number]} place
   */
  preview(place) {
    return this.backdrop && mix(this.backdrop.sprite, this.backdrop.meta, place);
  }

  stop() {
    this.stopped = true;
  }
}

/**
 * @typedef {"points" | "backdrop" | "heat"} Fetched
 * @typedef {{p: [number, number], index: number, tip: string, about: string,
 *   major: number, minor: number, angle: number}} Datum
 */

/** @param {Response} response */
async function readPoints(response) {
  return parsePoints(await response.arrayBuffer());
}

/** @param {Response} response */
async function readPicture(response) {
  return readGrey(await response.blob());
}
