/** How far the encoder's vector of one cell is from every code: bars, and the nearest codes. */
import { barAt, drawBars } from "./codemapbars.js";
import { patch } from "./codemappatch.js";
import { readTheme } from "./colour.js";
import { written } from "./view.js";

const NEAREST = 8;

/**
 * What is shown: `name` is what a code is called, `own` the encoder's choice.
 * @typedef {{ranked: import("./codemapbars.js").Ranked | null, level: number, chosen: number,
 *   own: number, colours: string[], palette: import("./codemappatch.js").Palette,
 *   name: (code: number) => string}} Near
 */

/**
 * A distance with three digits that matter.
 * @param {number} value
 */
export function distance(value) {
  if (!Number.isFinite(value)) return "?";
  const size = Math.abs(value);
  if (size && (size < 0.001 || size >= 100000)) return value.toExponential(1).replace("-", "\u2212");
  return written(value, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/**
 * First, second, third.
 * @param {number} rank  from 0
 * @param {number} n
 */
export function nearness(rank, n) {
  if (rank === 0) return "the nearest";
  const i = rank + 1;
  const ending = i % 100 > 10 && i % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][i % 10] ?? "th");
  return `the ${i}${ending} nearest of ${n}`;
}

export class NearPanel {
  /** @param {ParentNode} root */
  constructor(root) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.bars = /** @type {HTMLCanvasElement} */ (find(".bars"));
    this.reading = /** @type {HTMLElement} */ (find(".reading"));
    this.list = /** @type {HTMLOListElement} */ (find(".nearest"));
    /** @type {Near | null} */
    this.near = null;
    this.listed = "";
    const read = (/** @type {PointerEvent} */ event) => {
      const ranked = this.near?.ranked;
      if (ranked) this.draw(ranked.order[barAt(this.bars, ranked.order.length, event.clientX)]);
    };
    this.bars.addEventListener("pointermove", read);
    this.bars.addEventListener("pointerdown", read);
    this.bars.addEventListener("pointerleave", () => this.draw(-1));
    new ResizeObserver(() => this.draw(-1)).observe(this.bars);
  }

  /** @param {Near} near */
  show(near) {
    this.near = near;
    this.draw(-1);
    this.write();
  }

  /** @param {number} read  the code that the pointer reads, or −1 */
  draw(read) {
    const { near } = this;
    if (!near?.ranked) {
      this.bars.getContext("2d")?.clearRect(0, 0, this.bars.width, this.bars.height);
      return;
    }
    const { chosen, colours, name, ranked } = near;
    const { order, rank, values } = ranked;
    drawBars(this.bars, ranked, colours, chosen, read, readTheme(this.bars));
    const code = read < 0 ? chosen : read;
    const far = `at ${distance(values[code])}; the farthest is at ${distance(values[order[order.length - 1]])}`;
    const place = `${nearness(rank.get(code) ?? 0, order.length)}, ${far}`;
    const words = `Code ${name(code)}${code === chosen ? ", chosen" : ""}: ${place}.`;
    if (this.reading.textContent !== words) this.reading.textContent = words;
    if (read < 0) {
      const about = `Squared distances to all ${order.length} codes, nearest first. ${words}`;
      this.bars.setAttribute("aria-label", about);
    }
  }

  /** The nearest codes, and the chosen one if it is not among them. */
  write() {
    const near = /** @type {Near} */ (this.near);
    const { chosen, level, name, own, palette, ranked } = near;
    const codes = ranked ? ranked.order.slice(0, NEAREST) : [];
    if (ranked && !codes.includes(chosen)) codes.push(chosen);
    const listed = JSON.stringify([codes, codes.map((c) => ranked?.values[c]), chosen, own, level, palette]);
    if (listed === this.listed) return;
    this.listed = listed;
    this.list.replaceChildren(
      ...codes.map((code, i) => {
        const item = document.createElement("li");
        item.dataset.code = String(code);
        item.classList.toggle("apart", i === NEAREST);
        item.classList.toggle("chosen", code === chosen);
        const number = document.createElement("b");
        number.textContent = String(code);
        const far = document.createElement("span");
        far.textContent = distance(ranked?.values[code] ?? NaN);
        const notes = [code === chosen ? ", chosen" : "", code === own ? ", the encoder's choice" : ""];
        item.setAttribute("aria-label", `Code ${name(code)}, distance ${far.textContent}${notes.join("")}`);
        item.append(patch(palette, level, code), number, far);
        return item;
      }),
    );
  }
}
