/** Another image's map beside the first, to copy a region of codes from. */
import { Region } from "./codemapregion.js";

/**
 * @typedef {{title: string, url: string | null, codes: number[][][]}} Second
 */

export class SecondMap {
  /**
   * @param {ParentNode} root
   * @param {import("./troubles.js").Troubles} troubles
   * @param {() => void} changed  when other cells are chosen
   */
  constructor(root, troubles, changed) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.element = /** @type {HTMLElement} */ (find(".second"));
    this.title = /** @type {HTMLElement} */ (find(".second .title"));
    this.image = /** @type {HTMLImageElement} */ (find(".second img"));
    this.copy = /** @type {HTMLButtonElement} */ (find("[data-act=copy]"));
    this.said = /** @type {HTMLElement} */ (find(".second .chosen"));
    this.region = new Region(find(".second .cells"), () => {
      this.say();
      changed();
    });
    this.image.onload = () => troubles.end("second");
    this.image.onerror = () => troubles.fail("second", "load the other image", new Error("it did not come"));
    /** @type {Second | null} */
    this.second = null;
    this.of = "";
  }

  /** @param {Second | null} second */
  update(second) {
    this.second = second;
    this.element.hidden = !second;
    const of = JSON.stringify(second?.codes ?? null);
    if (of !== this.of) this.region.clear();
    this.of = of;
    if (second) {
      const { codes, title, url } = second;
      this.title.textContent = title;
      this.image.hidden = !url;
      this.image.alt = title;
      if (url && this.image.getAttribute("src") !== url) this.image.src = url;
      this.region.grid.shape(codes[0].length, codes[0][0].length);
      this.region.grid.element.setAttribute("aria-label", `The codes of ${title}`);
    }
    this.say();
  }

  /** Which cells would be copied. */
  say() {
    const { count, words } = this.region;
    const all = count && (this.second?.codes.length ?? 1) > 1 ? " All levels are copied." : "";
    this.copy.disabled = !count;
    this.said.textContent = words + all;
  }

  /**
   * Write its codes into its cells.
   * @param {number} level
   * @param {string[]} colours
   * @param {string[]} inks
   */
  draw(level, colours, inks) {
    if (this.second) this.region.grid.fill(this.second.codes[level].flat(), colours, inks, () => "");
  }

  /** @param {number} cell */
  holds(cell) {
    return this.second !== null && this.region.holds(cell);
  }

  /**
   * The codes of another map with this one's in the chosen cells, at all levels.
   * @param {number[]} codes
   */
  into(codes) {
    const from = this.second?.codes.flat(2) ?? codes;
    const { height, width } = this.region.grid;
    return codes.map((code, k) => (this.holds(k % (height * width)) ? from[k] : code));
  }
}
