/** The pixel pad: a picture whose pixels one rubs out, or draws. */
import { packBits, packBytes, sweep } from "./brush.js";
import { readTheme } from "./colour.js";
import { paintPad } from "./padpaint.js";

const UNDO_LEVELS = 60;
const KEPT_SENT = 20;
const KEY_REST_MS = 250;
/** @type {Record<string, [number, number]>} */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS =
  "Keys: arrows move, Space and Shift with an arrow do the same, 1 to 4 set the brush, U undoes.";
const HELP = {
  erase: `Rub out pixels with mouse or finger. ${KEYS}`,
  draw: `Draw with mouse or finger. ${KEYS}`,
};

/**
 * `of` names what the page gave; a report names it too, so that one that comes late is known.
 * @typedef {{pixels: number[], mask: number[] | null, height: number, width: number,
 *   mode: "erase" | "draw", alt: string, of: number}} PadData
 */

export class Pad {
  /** @param {ParentNode} root */
  constructor(root) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.root = /** @type {HTMLElement} */ (find(".pad"));
    this.canvas = /** @type {HTMLCanvasElement} */ (find("canvas"));
    this.brush = /** @type {HTMLInputElement} */ (find(".brush input"));
    this.softness = /** @type {HTMLInputElement} */ (find(".soft input"));
    this.size = /** @type {HTMLElement} */ (find(".brush b"));
    this.said = /** @type {HTMLElement} */ (find(".said"));
    this.help = /** @type {HTMLElement} */ (find(".help"));
    this.undoButton = /** @type {HTMLButtonElement} */ (find("[data-act=undo]"));
    this.data = /** @type {PadData} */ (/** @type {unknown} */ (null));
    this.api = /** @type {any} */ (null);
    this.received = "";
    /** What the hand works on: in erase mode 1 where a pixel is seen, else the grey values. */
    this.content = new Uint8Array();
    /** @type {Uint8Array[]} */
    this.past = [];
    /** @type {string[]} */
    this.sent = [];
    /** @type {import("./brush.js").Spot | null} where the pointer presses */
    this.last = null;
    this.pointer = -1;
    /** @type {import("./brush.js").Spot | null} where the brush is shown */
    this.cursor = null;
    this.timer = 0;
    this.life = new AbortController();
    this.listen(this.life.signal);
  }

  get erasing() {
    return this.data.mode === "erase";
  }

  /**
   * Take what the page sent. What it only repeats of what the hand did is no news.
   * @param {PadData} data
   * @param {any} api
   */
  update(data, api) {
    const before = this.data;
    this.data = data;
    this.api = api;
    const { alt, height, mask, mode, pixels, width } = data;
    this.root.className = `pad ${mode}`;
    this.root.style.colorScheme = readTheme(this.root).dark ? "dark" : "light";
    this.help.textContent = HELP[mode];
    this.canvas.setAttribute("aria-label", `${alt}. ${HELP[mode]}`);
    const same = before && before.mode === mode && (mode === "draw" || alike(before.pixels, pixels));
    const shape = before && before.height === height && before.width === width;
    if (!same || !shape || before.of !== data.of) {
      const given = Uint8Array.from(mode === "draw" ? pixels : (mask ?? pixels.map(() => 1)));
      const echo = same && shape ? this.sent.indexOf(this.outline(given)) : -1;
      this.sent = this.sent.slice(echo + 1);
      if (echo < 0) this.begin(given);
      else if (!this.last && this.outline(given) !== this.outline(this.content)) this.report();
    }
    this.draw();
  }

  /**
   * Another picture, or one that the page has changed.
   * @param {Uint8Array} content
   */
  begin(content) {
    clearTimeout(this.timer);
    this.content = content;
    this.past = [];
    this.sent = [];
    this.last = null;
  }

  /** @param {AbortSignal} signal */
  listen(signal) {
    const { canvas } = this;
    const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ act) =>
      canvas.addEventListener(name, act, { signal });
    on("pointerdown", (event) => {
      if (event.button !== 0 || this.last) return;
      canvas.setPointerCapture(event.pointerId);
      this.pointer = event.pointerId;
      this.remember();
      this.last = this.cursor = this.spot(event);
      this.stroke(this.last, this.last);
    });
    on("pointermove", (event) => {
      if (this.last && event.pointerId !== this.pointer) return;
      this.cursor = this.spot(event);
      if (this.last) this.stroke(this.last, this.cursor);
      else this.draw();
      if (this.last) this.last = this.cursor;
    });
    const up = (/** @type {PointerEvent} */ event) => {
      if (event.pointerId !== this.pointer || !this.last) return;
      this.last = null;
      if (event.pointerType === "touch") this.cursor = null;
      this.report();
      this.draw();
    };
    on("pointerup", up);
    on("pointercancel", up);
    on("pointerleave", () => {
      if (!this.last) this.cursor = null;
      this.draw();
    });
    on("keydown", (event) => this.key(event));
    on("blur", () => {
      this.cursor = null;
      this.draw();
    });
    const act = (/** @type {any} */ event) => {
      const { act: name } = event.target.closest("[data-act]")?.dataset ?? {};
      if (name) this.act(name);
    };
    this.root.addEventListener("click", act, { signal });
    this.brush.addEventListener("input", () => this.draw(), { signal });
  }

  /**
   * Where an event is, in pixels of the picture.
   * @param {PointerEvent} event
   * @returns {import("./brush.js").Spot}
   */
  spot(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.data.width,
      ((event.clientY - box.top) / box.height) * this.data.height,
    ];
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { height, width } = this.data;
    const from = this.cursor ?? [Math.floor(width / 2) + 0.5, Math.floor(height / 2) + 0.5];
    const way = WAYS[event.key];
    const rub = event.key === " " || (way && event.shiftKey);
    const inside = (/** @type {number} */ v, /** @type {number} */ n) =>
      Math.min(n - 0.5, Math.max(0.5, Math.floor(v) + 0.5));
    if (way) this.cursor = [inside(from[0] + way[0], width), inside(from[1] + way[1], height)];
    else if (event.key >= "1" && event.key <= "4") this.brush.value = event.key;
    else if (event.key === "u") this.act("undo");
    else if (event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    if (!rub) return this.draw();
    this.cursor ??= /** @type {import("./brush.js").Spot} */ (from);
    this.remember();
    this.stroke(way ? [from[0], from[1]] : this.cursor, this.cursor);
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.report(), KEY_REST_MS);
  }

  /** @param {string} name */
  act(name) {
    const { height, width } = this.data;
    const clear = (/** @type {(i: number, j: number) => boolean} */ gone) => {
      this.content = this.content.map((v, k) => (gone(Math.floor(k / width), k % width) ? 0 : v));
    };
    const before = this.past.at(-1);
    if (name !== "undo") this.remember();
    if (name === "undo" && before) this.content = /** @type {Uint8Array} */ (this.past.pop());
    else if (name === "undo") return;
    else if (name === "restore") this.content = this.content.map(() => 1);
    else if (name === "clear") clear(() => true);
    else if (name === "left") clear((_, j) => j < width / 2);
    else if (name === "right") clear((_, j) => j >= width / 2);
    else if (name === "top") clear((i) => i < height / 2);
    else if (name === "bottom") clear((i) => i >= height / 2);
    this.report();
    this.draw();
  }

  /** Keep what is there, for Undo. */
  remember() {
    this.past = [...this.past.slice(1 - UNDO_LEVELS), this.content.slice()];
  }

  /**
   * @param {import("./brush.js").Spot} from
   * @param {import("./brush.js").Spot} to
   */
  stroke(from, to) {
    const { content, data, erasing } = this;
    const how = { ...data, size: Number(this.brush.value), soft: !erasing && this.softness.checked };
    sweep(from, to, how, (k, cover) => {
      content[k] = erasing ? 0 : Math.max(content[k], Math.round(255 * cover));
    });
    this.draw();
  }

  /**
   * What is white or seen: by this a page's echo is known, though it may keep bits of a drawing.
   * @param {Uint8Array} content
   */
  outline(content) {
    return packBits(this.erasing ? content : content.map((v) => Number(v > 127)));
  }

  report() {
    clearTimeout(this.timer);
    const packed = this.erasing ? packBits(this.content) : packBytes(this.content);
    this.sent = [...this.sent.slice(1 - KEPT_SENT), this.outline(this.content)];
    const name = this.erasing ? "mask" : "pixels";
    this.api.setStateValue(name, { of: this.data.of, at: Date.now(), packed });
  }

  draw() {
    const { canvas, content, cursor, data, erasing } = this;
    const size = Number(this.brush.value);
    const seen = erasing ? content : null;
    paintPad(canvas, { ...data, pixels: erasing ? data.pixels : content, seen, cursor, size });
    const gone = content.reduce((sum, v) => sum + (v ? 0 : 1), 0);
    const words = erasing ? `${gone} of ${content.length} pixels rubbed out` : "";
    this.size.textContent = `${size} ${size === 1 ? "pixel" : "pixels"}`;
    if (this.said.textContent !== words) this.said.textContent = words;
    this.undoButton.disabled = this.past.length === 0;
  }

  stop() {
    clearTimeout(this.timer);
    this.life.abort();
  }
}

/**
 * Whether two lists hold the same.
 * @param {number[]} a
 * @param {number[]} b
 */
function alike(a, b) {
  return a.length === b.length && a.every((v, i) => v === b[i]);
}

/** @type {WeakMap<object, Pad>} */
const pads = new WeakMap();

/**
 * Called by Streamlit when the component appears and whenever its data or the theme change.
 * @param {any} component
 */
export default function render(component) {
  const { data, parentElement } = component;
  const pad = pads.get(parentElement) ?? new Pad(parentElement);
  pads.set(parentElement, pad);
  pad.update(data, component);
  return () => {
    pad.stop();
    pads.delete(parentElement);
  };
}
