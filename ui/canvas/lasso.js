/** The lasso: loops round data, one a group, drawn by pointer or corner by corner with the keys. */
import { drawPolygons } from "./outlines.js";
import { drawSpot } from "./ink.js";
import { toPixel } from "./view.js";

const MOST_CORNERS = 200;
const STIR_PX = 3;
const LASSO_HELP =
  "Drag a loop round the data. Keys: arrows move, Enter sets a corner, Space closes the loop, Escape gives up.";

/**
 * @typedef {{label: string, colour: string}} Group
 * @typedef {[number, number]} Place
 */

export class Lasso {
  /**
   * @param {HTMLElement} root  the toolbar
   * @param {HTMLElement} canvas  takes the keys once a group is chosen
   * @param {import("./camera.js").Camera} camera
   * @param {() => void} changed  called when the plane must be drawn again
   * @param {(loop: {group: number, points: Place[]}) => void} done
   */
  constructor(root, canvas, camera, changed, done) {
    this.root = root;
    this.canvas = canvas;
    this.camera = camera;
    this.changed = changed;
    this.done = done;
    /** @type {Group[]} */
    this.groups = [];
    this.built = "";
    /** The group that the next loop is for; -1 while the plane is moved. */
    this.mode = -1;
    /** @type {Place[]} the corners so far */
    this.loop = [];
    /** @type {import("./outlines.js").Outline | null} told to the page, which has not answered yet */
    this.sent = null;
    this.received = "";
  }

  /**
   * Take what the page sent; outlines that are news to us answer the last loop.
   * @param {{groups: Group[]} | null} lasso
   * @param {import("./outlines.js").Outline[]} polygons
   */
  take(lasso, polygons) {
    this.groups = lasso?.groups ?? [];
    this.root.hidden = !this.groups.length;
    const received = JSON.stringify(polygons);
    if (received !== this.received || !this.groups.length) this.sent = null;
    this.received = received;
    const text = JSON.stringify(this.groups);
    if (text === this.built) return;
    this.built = text;
    this.loop = [];
    this.hint = document.createElement("span");
    this.hint.className = "hint-words";
    this.hint.setAttribute("role", "status");
    const choices = [{ label: "Move", colour: "" }, ...this.groups];
    const buttons = choices.map((group, i) => this.button(group, i - 1));
    this.root.replaceChildren(...buttons, this.hint);
    this.turnTo(-1, false);
  }

  /**
   * @param {Group} group
   * @param {number} mode
   */
  button({ colour, label }, mode) {
    const button = document.createElement("button");
    button.type = "button";
    if (colour) {
      const swatch = document.createElement("i");
      swatch.style.background = colour;
      button.append(swatch);
    }
    button.append(label);
    button.title = mode < 0 ? "Move the plane and choose places" : `Draw a loop: ${label}`;
    button.onclick = () => this.turnTo(mode, true);
    return button;
  }

  /**
   * Move, or draw the loop of a group.
   * @param {number} mode
   * @param {boolean} focus  whether the plane takes the keys
   */
  turnTo(mode, focus) {
    this.mode = mode;
    this.loop = [];
    this.root.querySelectorAll("button").forEach((button, i) => {
      button.setAttribute("aria-pressed", String(i - 1 === mode));
    });
    this.canvas.classList.toggle("lassoing", mode >= 0);
    this.say();
    if (focus) this.canvas.focus({ preventScroll: true });
    this.changed();
  }

  /** Say what can be done, and how far it is. */
  say() {
    if (!this.hint) return;
    const n = this.loop.length;
    const corners = `${n} ${n === 1 ? "corner" : "corners"}. Space closes the loop from three on.`;
    this.hint.textContent = this.mode < 0 ? "" : n ? corners : LASSO_HELP;
  }

  /** The last corner. */
  get last() {
    return this.loop.length ? this.loop[this.loop.length - 1] : null;
  }

  get drawing() {
    return this.mode >= 0;
  }

  /**
   * Begin a loop where the pointer is pressed; false while the plane is moved.
   * @param {number} px
   * @param {number} py
   */
  begin(px, py) {
    if (!this.drawing) return false;
    this.loop = [this.camera.place([px, py])];
    this.changed();
    return true;
  }

  /**
   * @param {number} px
   * @param {number} py
   */
  add(px, py) {
    const place = this.camera.place([px, py]);
    const last = this.last ?? place;
    if (Math.hypot(place[0] - last[0], place[1] - last[1]) * this.camera.unit < STIR_PX) return;
    this.loop.push(place);
    this.changed();
  }

  /**
   * Set a corner by key; false while the plane is moved.
   * @param {Place} place
   */
  corner(place) {
    if (!this.drawing) return false;
    this.loop.push(place);
    this.say();
    this.changed();
    return true;
  }

  /** Close the loop and tell the page; what has no area is dropped. False if there is none. */
  close() {
    if (!this.drawing) return false;
    const { groups, loop, mode } = this;
    if (loop.length < 3) {
      this.loop = [];
      this.say();
      this.changed();
      return true;
    }
    const every = Math.ceil(loop.length / MOST_CORNERS);
    const points = loop
      .filter((_, i) => i % every === 0)
      .map(([x, y]) => /** @type {Place} */ ([Number(x.toFixed(4)), Number(y.toFixed(4))]));
    this.sent = { ...groups[mode], points };
    this.turnTo(-1, false);
    this.done({ group: mode, points });
    return true;
  }

  /** Forget the loop and move again; false if the plane is moved already. */
  giveUp() {
    if (!this.drawing) return false;
    this.turnTo(-1, false);
    return true;
  }

  /**
   * The loop in hand, or the one that the page has not answered yet.
   * @param {CanvasRenderingContext2D} context
   * @param {import("./ink.js").Sheet} sheet
   * @param {Place | null} cursor  where the keys would set the next corner
   */
  draw(context, sheet, cursor) {
    if (this.sent) drawPolygons(context, sheet, [this.sent]);
    if (!this.drawing) return;
    const { colour, label } = this.groups[this.mode];
    const points = cursor ? [...this.loop, cursor] : this.loop;
    drawPolygons(context, sheet, [{ label, colour, points }]);
    for (const place of points.length < 12 ? points : points.slice(0, 1)) {
      const [x, y] = toPixel(sheet.view, sheet.frame, place);
      drawSpot(context, x, y, place === cursor ? 6 : 3.5, colour, sheet.theme.ground);
    }
  }
}
