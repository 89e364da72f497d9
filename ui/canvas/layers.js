/** The points, manifold, heat map and field that are there now, while newer ones are on their way. */
import { drawable } from "./dots.js";
import { heated } from "./heat.js";
import { once } from "./load.js";
import { checkSprite, evened, inked, mix, readGrey } from "./picture.js";
import { ellipse, nearest, parsePoints } from "./points.js";
import { written } from "./view.js";

export class Layers {
  /**
   * @param {(what: Fetched) => void} changed
   * @param {import("./troubles.js").Troubles} troubles
   */
  constructor(changed, troubles) {
    this.changed = changed;
    this.troubles = troubles;
    /** @type {import("./scene.js").Scene["points"]} */
    this.points = null;
    /** @type {{sprite: import("./picture.js").Grey, ink: OffscreenCanvas, colour: string,
     *   meta: import("./picture.js").BackdropMeta} | null} */
    this.backdrop = null;
    /** @type {{grey: import("./picture.js").Grey, ink: OffscreenCanvas, dark: boolean,
     *   meta: import("./heat.js").HeatMeta} | null} */
    this.heat = null;
    /** @type {typeof this.heat} the field that is the backdrop, drawn as a heat map is */
    this.field = null;
    /** @type {Set<number>} labels switched off */
    this.hidden = new Set();
    this.wanted = { points: "", backdrop: "", heat: "", field: "" };
    /** @type {Map<Fetched, () => void>} how to ask again for what failed */
    this.missing = new Map();
    this.stopped = false;
  }

  /** @param {import("./points.js").PointsMeta | null} meta */
  takePoints(meta) {
    this.fetch("points", meta?.url, "the points", readPoints, (columns) => {
      this.putPoints(columns, meta);
    });
  }

  /**
   * @param {import("./points.js").Points | null} columns
   * @param {import("./points.js").PointsMeta | null} meta
   */
  putPoints(columns, meta) {
    const labels = JSON.stringify([meta?.mode, meta?.labels]);
    const before = JSON.stringify([this.points?.meta.mode, this.points?.meta.labels]);
    if (labels !== before) this.hidden.clear();
    this.points = meta && columns && drawable(columns, meta);
  }

  /**
   * @param {import("./picture.js").BackdropMeta | null} meta
   * @param {string} colour
   */
  takeBackdrop(meta, colour) {
    this.fetch("backdrop", meta?.url, "the decoded manifold", readPicture, (sprite) => {
      if (meta && sprite) checkSprite(sprite, meta);
      this.putBackdrop(sprite, meta, colour);
    });
  }

  /**
   * @param {import("./picture.js").Grey | null} sprite
   * @param {import("./picture.js").BackdropMeta | null} meta
   * @param {string} colour
   */
  putBackdrop(sprite, meta, colour) {
    const old = this.backdrop;
    this.backdrop = null;
    if (!meta || !sprite) return;
    const same = old?.sprite === sprite && old?.colour === colour && old;
    const { sheet, xs, ys } = same ? { sheet: null, ...same.even } : evened(sprite, meta);
    const ink = sheet ? inked(sheet, colour) : same.ink;
    this.backdrop = { sprite, ink, colour, meta, even: { xs, ys } };
  }

  /** A replay brings its own points and manifold: what is on its way is not wanted any more. */
  leaveToReplay() {
    for (const what of /** @type {const} */ (["points", "backdrop"])) {
      this.wanted[what] = "";
      this.missing.delete(what);
      this.troubles.end(what);
    }
  }

  /**
   * @param {import("./heat.js").HeatMeta | null} meta
   * @param {boolean} dark
   */
  takeHeat(meta, dark) {
    this.fetch("heat", meta?.url, "the heat map", readPicture, (grey) => {
      this.heat = coloured(this.heat, meta, grey, dark, false);
    });
  }

  /**
   * @param {import("./ground.js").Field | null} meta
   * @param {boolean} dark
   */
  takeField(meta, dark) {
    if (this.field && this.field.meta.url !== meta?.url) this.field = null;
    this.fetch("field", meta?.url, "the backdrop", readField, (grey) => {
      this.field = coloured(this.field, meta, grey, dark, true);
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
    if (url && !this.missing.has(what)) this.troubles.wait(what, name);
    try {
      const thing = url ? await once(url, read) : null;
      if (this.stopped || this.wanted[what] !== (url ?? "")) return;
      take(thing);
      this.missing.delete(what);
      this.troubles.end(what);
    } catch (error) {
      if (this.stopped || this.wanted[what] !== url) return;
      this.missing.set(what, () => this.fetch(what, url, name, read, take));
      this.troubles.fail(what, `load ${name}`, error);
    }
    this.changed(what);
  }

  /** Ask again for what failed. */
  again() {
    for (const ask of [...this.missing.values()]) ask();
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
    const { columns } = this.points;
    const row = nearest(columns, this.visible, place, reach);
    return row < 0 ? null : this.datum(row);
  }

  /**
   * What there is to say of a row.
   * @param {number} row
   * @returns {Datum | null}
   */
  datum(row) {
    if (!this.points || row >= this.points.columns.count) return null;
    const { columns, meta } = this.points;
    const value = columns.value[row];
    const byLabel = meta.mode === "label";
    const tip = byLabel ? meta.labels[value] : written(value, 2);
    const title = meta.title || (byLabel ? "label" : "value");
    return {
      p: [columns.x[row], columns.y[row]],
      index: meta.numbered === false ? null : columns.index[row],
      row,
      tip,
      about: (meta.numbered === false ? "" : `datum ${columns.index[row]}, `) + `${title}: ${tip}`,
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
 * @typedef {"points" | "backdrop" | "heat" | "field"} Fetched
 * @typedef {{p: [number, number], index: number, row: number, tip: string, about: string,
 *   major: number, minor: number, angle: number}} Datum
 */

/**
 * A grey picture in the colours of heat, made once.
 * @param {Layers["heat"]} old
 * @param {import("./heat.js").HeatMeta | null} meta
 * @param {import("./picture.js").Grey | null} grey
 * @param {boolean} dark
 * @param {boolean} plain  without the hue
 */
function coloured(old, meta, grey, dark, plain) {
  if (!meta || !grey) return null;
  const same = old?.grey === grey && old.dark === dark;
  return { grey, ink: same ? old.ink : heated(grey, dark, plain), dark, meta };
}

/** @param {Response} response */
async function readPoints(response) {
  return parsePoints(await response.arrayBuffer());
}

/**
 * A field's values, and what its lowest and highest grey stand for if the answer says so.
 * @param {Response} response
 */
async function readField(response) {
  const range = response.headers.get("x-range")?.split(",").map(Number) ?? null;
  return { ...(await readPicture(response)), range };
}

/** @param {Response} response */
async function readPicture(response) {
  return readGrey(await response.blob());
}
