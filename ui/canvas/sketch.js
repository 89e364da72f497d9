/** The drawing board: strokes of a mouse, a pen, a finger or the keys; a small picture goes out. */
import { readTheme } from "./colour.js";
import { BOARD, paintPen, paintStroke, penWidth, pressed, smallPng } from "./strokes.js";

/** While a stroke is drawn it is sent so often, if the page has answered the last time. */
const LIVE_MS = 250;
/** After so long without an answer it is sent all the same. */
const UNHEARD_MS = 1500;
const KEYS_REST_MS = 250;
const PEN_STEP = 4;
/** @type {Record<string, [number, number]>} */
const PEN_WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SKETCH_HELP =
  "Draw with mouse, pen or finger. Keys: arrows move the pen (Shift: finely), Space puts it down " +
  "and lifts it, 1 to 5 set its width, U undoes.";

/**
 * `of` names the picture that the page gave to begin with; `heard` is the last report it knows.
 * @typedef {{picture: string, of: number, heard: number, alt: string}} SketchData
 */

/**
 * @typedef {{ground: CanvasImageSource | null, strokes: import("./strokes.js").Stroke[]}} Drawn
 *   ground: what the page gave to begin with
 * @type {Drawn}
 */
const NOTHING = { ground: null, strokes: [] };

export class Sketch {
  /** @param {ParentNode} root */
  constructor(root) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.root = /** @type {HTMLElement} */ (find(".sketch"));
    this.canvas = /** @type {HTMLCanvasElement} */ (find("canvas"));
    this.width = /** @type {HTMLInputElement} */ (find("input"));
    this.said = /** @type {HTMLElement} */ (find(".said"));
    this.buttons = { undo: find("[data-act=undo]"), clear: find("[data-act=clear]") };
    find(".help").textContent = SKETCH_HELP;
    this.data = /** @type {SketchData} */ (/** @type {unknown} */ (null));
    this.api = /** @type {any} */ (null);
    this.unit = 4 * Math.min(2, Math.ceil(window.devicePixelRatio));
    this.canvas.width = this.canvas.height = BOARD * this.unit;
    /** What is drawn, without the pen of the keys. */
    this.ink = new OffscreenCanvas(BOARD * this.unit, BOARD * this.unit);
    /** @type {Drawn[]} what was there after each act; the last is what is there now */
    this.past = [NOTHING];
    /** @type {import("./strokes.js").Stroke | null} on its way */
    this.stroke = null;
    this.pointer = -1;
    /** @type {[number, number] | null} where the keys have the pen */
    this.pen = null;
    this.sent = { at: 0, when: 0 };
    this.timer = 0;
    this.frame = 0;
    this.life = new AbortController();
    this.listen(this.life.signal);
  }

  get now() {
    return this.past[this.past.length - 1];
  }

  get empty() {
    return !this.now.ground && !this.now.strokes.length;
  }

  /**
   * Take what the page sent; only another picture to begin with changes what is drawn.
   * @param {SketchData} data
   * @param {any} api
   */
  update(data, api) {
    const before = this.data;
    this.data = data;
    this.api = api;
    this.root.style.colorScheme = readTheme(this.root).dark ? "dark" : "light";
    this.canvas.setAttribute("aria-label", `${data.alt}. ${SKETCH_HELP}`);
    if (before?.of !== data.of) this.begin(data.picture);
    this.redraw();
  }

  /** @param {string} picture  a PNG in base64, or "" */
  async begin(picture) {
    const { of } = this.data;
    clearTimeout(this.timer);
    this.stroke = null;
    this.past = [NOTHING];
    this.repaint();
    if (!picture) return;
    const image = new Image();
    image.src = `data:image/png;base64,${picture}`;
    await image.decode().catch(() => null);
    if (this.data.of !== of || !image.naturalWidth) return;
    this.past = this.past.map(({ strokes }) => ({ ground: image, strokes }));
    this.repaint();
  }

  /** @param {AbortSignal} signal */
  listen(signal) {
    const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ act) =>
      this.canvas.addEventListener(name, act, { signal });
    on("pointerdown", (event) => {
      if (event.button !== 0 || this.pointer >= 0) return;
      if (this.stroke) this.end();
      this.canvas.setPointerCapture(event.pointerId);
      this.pointer = event.pointerId;
      this.pen = null;
      this.start(this.spot(event));
    });
    on("pointermove", (event) => {
      if (!this.stroke || event.pointerId !== this.pointer) return;
      const parts = event.getCoalescedEvents?.() ?? [];
      for (const part of parts.length ? parts : [event]) this.extend(this.spot(part));
      this.reportSoon();
    });
    const up = (/** @type {PointerEvent} */ event) => {
      if (event.pointerId !== this.pointer) return;
      this.pointer = -1;
      this.end();
    };
    on("pointerup", up);
    on("pointercancel", up);
    on("keydown", (event) => this.key(event));
    on("blur", () => {
      if (!this.pen) return;
      this.pen = null;
      this.end();
    });
    const click = (/** @type {any} */ event) => {
      const { act } = event.target.closest("[data-act]")?.dataset ?? {};
      if (act) this.act(act);
    };
    this.root.addEventListener("click", click, { signal });
  }

  /**
   * Where an event is, in pixels of the picture, and how hard it presses.
   * @param {PointerEvent} event
   * @returns {import("./strokes.js").Ink}
   */
  spot(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * BOARD;
    const y = ((event.clientY - box.top) / box.height) * BOARD;
    return [x, y, pressed(event)];
  }

  /** @param {import("./strokes.js").Ink} place */
  start(place) {
    this.stroke = { width: penWidth(Number(this.width.value)), places: [place] };
    const { ground, strokes } = this.now;
    this.past.push({ ground, strokes: [...strokes, this.stroke] });
    this.paintNew(0);
  }

  /** @param {import("./strokes.js").Ink} place */
  extend(place) {
    if (!this.stroke) return;
    this.stroke.places.push(place);
    this.paintNew(this.stroke.places.length - 1);
  }

  end() {
    if (!this.stroke) return this.redraw();
    this.stroke = null;
    this.report();
    this.redraw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const undo = event.key === "u" || ((event.ctrlKey || event.metaKey) && event.key === "z");
    if (event.altKey || (!undo && (event.ctrlKey || event.metaKey))) return;
    const way = PEN_WAYS[event.key];
    const from = this.pen ?? [BOARD / 2, BOARD / 2];
    if (undo) this.act("undo");
    else if (event.key >= "1" && event.key <= "5") this.width.value = event.key;
    else if (way) {
      const step = event.shiftKey ? 1 : PEN_STEP;
      const [x, y] = [0, 1].map((i) => Math.min(BOARD, Math.max(0, from[i] + step * way[i])));
      this.pen = [x, y];
      this.extend([x, y, 1]);
      if (this.stroke) this.reportSoon(KEYS_REST_MS);
    } else if (event.key === " " && this.stroke) this.end();
    else if (event.key === " ") {
      this.pen = [from[0], from[1]];
      this.start([from[0], from[1], 1]);
      this.reportSoon(KEYS_REST_MS);
    } else return;
    event.preventDefault();
    event.stopPropagation();
    this.redraw();
  }

  /** @param {string} name */
  act(name) {
    this.stroke = null;
    if (name === "clear" && !this.empty) this.past.push(NOTHING);
    else if (name === "undo" && this.past.length > 1) this.past.pop();
    else return;
    this.repaint();
    this.report();
  }

  /** Send the drawing before long, though the stroke goes on. */
  reportSoon(rest = 0) {
    clearTimeout(this.timer);
    const { at, when } = this.sent;
    const answered = this.data.heard >= at;
    const ready = when + (answered ? LIVE_MS : UNHEARD_MS);
    this.timer = window.setTimeout(() => this.report(), Math.max(rest, ready - Date.now()));
  }

  report() {
    clearTimeout(this.timer);
    const when = Date.now();
    this.sent = { at: Math.max(when, this.sent.at + 1), when };
    const { of } = this.data;
    const png = smallPng(this.ink, this.empty);
    this.api.setStateValue("drawing", { of, at: this.sent.at, png });
  }

  /**
   * Paint what the stroke on its way has gained.
   * @param {number} from
   */
  paintNew(from) {
    if (this.stroke) paintStroke(this.brush(), this.stroke, from, this.unit);
    this.redraw();
  }

  brush() {
    return /** @type {OffscreenCanvasRenderingContext2D} */ (this.ink.getContext("2d"));
  }

  /** Paint everything anew. */
  repaint() {
    const side = BOARD * this.unit;
    const brush = this.brush();
    brush.clearRect(0, 0, side, side);
    const { ground, strokes } = this.now;
    if (ground) brush.drawImage(ground, 0, 0, side, side);
    for (const stroke of strokes) paintStroke(brush, stroke, 0, this.unit);
    this.redraw();
  }

  /** Show it with the next frame. */
  redraw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    const { canvas, ink, pen, stroke, unit } = this;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(ink, 0, 0);
    const width = penWidth(Number(this.width.value));
    if (pen) paintPen(context, { at: pen, down: stroke !== null, width, unit });
    const share = (/** @type {number} */ v) => `${Math.round((100 * v) / BOARD)} %`;
    const where = pen ? `${share(pen[0])} from the left, ${share(pen[1])} from the top` : "";
    const words = pen ? `Pen ${stroke ? "down" : "up"}, ${where}.` : "";
    if (this.said.textContent !== words) this.said.textContent = words;
    this.root.classList.toggle("drawn", !this.empty);
    this.buttons.undo.disabled = this.past.length < 2;
    this.buttons.clear.disabled = this.empty;
  }

  stop() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    this.life.abort();
  }
}

/** @type {WeakMap<object, Sketch>} */
const sketches = new WeakMap();

/**
 * Called by Streamlit when the component appears and whenever its data or the theme change.
 * @param {any} component
 */
export default function render(component) {
  const { data, parentElement } = component;
  const sketch = sketches.get(parentElement) ?? new Sketch(parentElement);
  sketches.set(parentElement, sketch);
  sketch.update(data, component);
  return () => {
    sketch.stop();
    sketches.delete(parentElement);
  };
}
