/** A rectangle of cells in a grid of codes, drawn with mouse, finger or keys. */
import { CodeGrid } from "./codemapgrid.js";

export class Region {
  /**
   * @param {HTMLElement} element
   * @param {() => void} changed
   */
  constructor(element, changed) {
    this.changed = changed;
    this.grid = new CodeGrid(element, {
      walk: (cell, shift) => this.span(shift && this.from >= 0 ? this.from : cell, cell),
      choose: (cell, byKey) => byKey && this.span(cell, cell),
    });
    /** Two opposite corners; −1 while there is no rectangle. */
    this.from = this.to = -1;
    this.pointer = -1;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.pointer >= 0) return;
      element.setPointerCapture(event.pointerId);
      this.pointer = event.pointerId;
      const cell = this.grid.under(event);
      this.grid.focus(cell);
      this.span(event.shiftKey && this.from >= 0 ? this.from : cell, cell);
      event.preventDefault();
    });
    element.addEventListener("pointermove", (event) => {
      const cell = this.grid.under(event);
      if (event.pointerId === this.pointer && cell !== this.to) this.span(this.from, cell);
    });
    const up = (/** @type {PointerEvent} */ event) => {
      if (event.pointerId === this.pointer) this.pointer = -1;
    };
    element.addEventListener("pointerup", up);
    element.addEventListener("pointercancel", up);
    element.addEventListener("focusin", () => {
      if (this.from < 0 && this.pointer < 0) this.span(this.grid.at, this.grid.at);
    });
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  span(from, to) {
    [this.from, this.to] = [from, to];
    this.grid.mark("within", (cell) => this.holds(cell));
    this.changed();
  }

  /** Rows and columns, first and last of each; null without a rectangle. */
  get box() {
    if (this.from < 0) return null;
    const { width } = this.grid;
    const [i, j] = [Math.floor(this.from / width), Math.floor(this.to / width)];
    const [u, v] = [this.from % width, this.to % width];
    return { rows: [Math.min(i, j), Math.max(i, j)], columns: [Math.min(u, v), Math.max(u, v)] };
  }

  /** How many cells the rectangle has. */
  get count() {
    const { box } = this;
    if (!box) return 0;
    return (box.rows[1] - box.rows[0] + 1) * (box.columns[1] - box.columns[0] + 1);
  }

  /** @param {number} cell */
  holds(cell) {
    const { box } = this;
    if (!box) return false;
    const [row, column] = [Math.floor(cell / this.grid.width), cell % this.grid.width];
    const inside = (/** @type {number} */ v, /** @type {number[]} */ [lo, hi]) => v >= lo && v <= hi;
    return inside(row, box.rows) && inside(column, box.columns);
  }

  /** The rectangle in words. */
  get words() {
    const { box, count } = this;
    if (!box) return "No cells chosen yet.";
    const range = (/** @type {string} */ name, /** @type {number[]} */ [lo, hi]) =>
      lo === hi ? `${name} ${lo + 1}` : `${name}s ${lo + 1} to ${hi + 1}`;
    const cells = count === 1 ? "1 cell" : `${count} cells`;
    return `${cells}: ${range("row", box.rows)}, ${range("column", box.columns)}.`;
  }

  clear() {
    this.from = this.to = -1;
    this.grid.mark("within", () => false);
  }
}
