/** A grid of codes: coloured cells that one points at, walks over with the arrow keys and chooses. */

/** @type {Record<string, [number, number]>} rows, columns */
const CELL_WAYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * Black or white, whichever is read better on each of these CSS colours.
 * @param {string[]} colours
 * @returns {string[]}
 */
export function inksOn(colours) {
  const context = new OffscreenCanvas(colours.length, 1).getContext("2d");
  if (!context) return colours.map(() => "#000");
  colours.forEach((colour, i) => {
    context.fillStyle = colour;
    context.fillRect(i, 0, 1, 1);
  });
  const { data } = context.getImageData(0, 0, colours.length, 1);
  const linear = (/** @type {number} */ v) => (v / 255) ** 2.2;
  return colours.map((_, i) => {
    const [r, g, b] = [0, 1, 2].map((c) => linear(data[4 * i + c]));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000" : "#fff";
  });
}

/**
 * Where a cell is, in words.
 * @param {number} cell
 * @param {number} height
 * @param {number} width
 */
export function cellName(cell, height, width) {
  if (height * width === 1) return "the only cell";
  return `row ${Math.floor(cell / width) + 1}, column ${(cell % width) + 1}`;
}

export class CodeGrid {
  /**
   * @param {HTMLElement} element
   * @param {{point?: (cell: number) => void, choose?: (cell: number, byKey: boolean) => void,
   *   walk?: (cell: number, shift: boolean) => void}} heard
   */
  constructor(element, heard) {
    this.element = element;
    this.heard = heard;
    this.height = this.width = 0;
    /** @type {HTMLElement[]} row by row */
    this.cells = [];
    /** The cell that Tab leads to. */
    this.at = 0;
    element.addEventListener("pointerover", (event) => {
      const cell = this.of(event);
      if (cell >= 0 && event.pointerType !== "touch") heard.point?.(cell);
    });
    element.addEventListener("focusin", (event) => {
      const cell = this.of(event);
      if (cell < 0) return;
      this.rove(cell);
      heard.point?.(cell);
    });
    element.addEventListener("click", (event) => {
      const cell = this.of(event);
      if (cell >= 0) heard.choose?.(cell, false);
    });
    element.addEventListener("keydown", (event) => this.key(event));
  }

  /**
   * The cell in which something happened, or −1.
   * @param {Event} event
   */
  of(event) {
    return this.cells.indexOf(/** @type {any} */ (event.target).closest?.("[role=gridcell]"));
  }

  /**
   * Which cell is at a place of the screen, or the nearest one.
   * @param {{clientX: number, clientY: number}} place
   */
  under({ clientX, clientY }) {
    const box = this.element.getBoundingClientRect();
    const part = (/** @type {number} */ share, /** @type {number} */ n) =>
      Math.min(n - 1, Math.max(0, Math.floor(share * n)));
    const row = part((clientY - box.top) / box.height, this.height);
    return row * this.width + part((clientX - box.left) / box.width, this.width);
  }

  /**
   * As many cells as the map has.
   * @param {number} height
   * @param {number} width
   */
  shape(height, width) {
    if (height === this.height && width === this.width) return;
    [this.height, this.width] = [height, width];
    this.cells = Array.from({ length: height * width }, () => {
      const cell = document.createElement("div");
      cell.setAttribute("role", "gridcell");
      cell.append(document.createElement("span"));
      return cell;
    });
    this.element.style.setProperty("--rows", String(height));
    this.element.style.setProperty("--columns", String(width));
    this.element.replaceChildren(
      ...Array.from({ length: height }, (_, i) => {
        const row = document.createElement("div");
        row.setAttribute("role", "row");
        row.append(...this.cells.slice(i * width, (i + 1) * width));
        return row;
      }),
    );
    this.rove(0);
  }

  /**
   * Write the codes into the cells.
   * @param {number[]} codes  row by row
   * @param {string[]} colours  of the codes
   * @param {string[]} inks  to write on them
   * @param {(cell: number) => string} about  what is said of a cell after its code
   */
  fill(codes, colours, inks, about) {
    this.cells.forEach((cell, k) => {
      const code = codes[k];
      cell.style.background = colours[code];
      cell.style.color = inks[code];
      const number = /** @type {HTMLElement} */ (cell.firstChild);
      number.textContent = cell.dataset.code = String(code);
      const name = cellName(k, this.height, this.width);
      cell.setAttribute("aria-label", `${name[0].toUpperCase()}${name.slice(1)}: code ${code}${about(k)}`);
    });
  }

  /**
   * Give some cells a class, and take it from the others.
   * @param {string} name
   * @param {(cell: number) => boolean} which
   */
  mark(name, which) {
    this.cells.forEach((cell, k) => cell.classList.toggle(name, which(k)));
  }

  /**
   * Have Tab lead to a cell.
   * @param {number} to
   */
  rove(to) {
    this.at = to;
    this.cells.forEach((cell, k) => (cell.tabIndex = k === to ? 0 : -1));
  }

  /** @param {number} cell */
  focus(cell) {
    this.rove(cell);
    this.cells[cell]?.focus();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const from = this.of(event);
    if (from < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const way = CELL_WAYS[event.key];
    if (way) {
      const row = Math.min(this.height - 1, Math.max(0, Math.floor(from / this.width) + way[0]));
      const column = Math.min(this.width - 1, Math.max(0, (from % this.width) + way[1]));
      const to = row * this.width + column;
      this.focus(to);
      this.heard.walk?.(to, event.shiftKey);
    } else if (event.key === "Enter" || event.key === " ") {
      this.heard.choose?.(from, true);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
