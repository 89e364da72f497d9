/**
 * A Gaussian to take in hand: its mean moves, its axes stretch and turn. Only the browser draws
 * meanwhile; the page is told now and then, and at the end.
 */
import { drawGaussian, drawSpot, strokeTwice } from "./ink.js";
import { ellipse } from "./points.js";
import { toPixel } from "./view.js";

const SMALLEST_SCALE = 1e-3;
const LARGEST_SCALE = 100;
/** Knobs stand this far beyond two standard deviations, in pixels, so that all can be had. */
const STALK = 20;
const MOUSE_REACH = 12;
const TOUCH_REACH = 24;
const REPORT_MS = 125;
/** How long the next report waits for an answer to the last: a slow page is not driven on. */
const ANSWER_MS = 400;
const SETTLE_MS = 2000;
const NUDGE = 0.01;
const GROWTH = 1.1;
const TURN = Math.PI / 36;
const EQUAL = 0.01;
const KEPT_REPORTS = 40;
const KEYS =
  "arrow keys move it, plus and minus scale it, square brackets turn it, comma and full stop " +
  "make its first axis shorter and longer.";
/** @type {Record<string, [number, number]>} */
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** @typedef {import("./ink.js").Gaussian & {colour: string, label: string, key?: string}} HandleData */

/**
 * A Gaussian as its mean, the scales along two axes at right angles, and the first one's angle.
 * @typedef {{x: number, y: number, scales: [number, number], angle: number}} Pose
 */

/** @param {number} scale */
function bounded(scale) {
  return Math.min(LARGEST_SCALE, Math.max(SMALLEST_SCALE, scale));
}

/**
 * @param {import("./ink.js").Gaussian} gaussian
 * @returns {Pose}
 */
export function poseOf({ cov, p }) {
  const { angle, major, minor } = ellipse(...cov);
  return { x: p[0], y: p[1], scales: [bounded(major), bounded(minor)], angle };
}

/**
 * @param {Pose} pose
 * @returns {import("./ink.js").Gaussian}
 */
export function gaussianOf({ angle, scales, x, y }) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const [a, b] = scales.map((v) => v * v);
  const cov = [c * c * a + s * s * b, c * s * (a - b), s * s * a + c * c * b];
  return { p: [x, y], cov: /** @type {[number, number, number]} */ (cov) };
}

/**
 * Whether two Gaussians are the same to the eye.
 * @param {import("./ink.js").Gaussian} a
 * @param {import("./ink.js").Gaussian} b
 */
function alike(a, b) {
  const size = Math.sqrt(b.cov[0] + b.cov[2]);
  const apart = Math.hypot(a.p[0] - b.p[0], a.p[1] - b.p[1]);
  const unlike = Math.max(...a.cov.map((v, i) => Math.abs(v - b.cov[i])));
  return apart <= EQUAL * size + 2e-3 && unlike <= EQUAL * size * size;
}

export class Handle {
  /**
   * @param {HTMLElement} grip  takes the focus for the keys
   * @param {import("./camera.js").Camera} camera
   * @param {() => void} changed
   * @param {(q: import("./ink.js").Gaussian) => void} report
   */
  constructor(grip, camera, changed, report) {
    this.grip = grip;
    this.camera = camera;
    this.changed = changed;
    this.report = report;
    /** @type {HandleData | null} */
    this.data = null;
    this.received = "";
    /** @type {Pose} */
    this.pose = { x: 0, y: 0, scales: [1, 1], angle: 0 };
    /** @type {{knob: number, dx: number, dy: number, moved: boolean} | null} what, and how far off */
    this.held = null;
    /** @type {import("./ink.js").Gaussian[]} what the page was told of late, and may still echo */
    this.told = [];
    this.toldAt = -Infinity;
    this.answered = true;
    this.timer = 0;
    this.grip.onkeydown = (event) => this.key(event);
  }

  /**
   * Take what the page says; what it only says after us, while the hand moves on, is no news.
   * @param {HandleData | null} data
   */
  receive(data) {
    const before = this.data;
    const text = JSON.stringify(data);
    this.answered = true;
    this.data = data;
    this.grip.hidden = !data;
    if (!data) this.held = null;
    if (!data) this.received = "";
    if (!data || text === this.received) return;
    this.received = text;
    this.grip.setAttribute("aria-label", `${data.label}: ${KEYS}`);
    const echo = this.held !== null || this.told.some((q) => alike(data, q));
    const busy = this.held !== null || performance.now() - this.toldAt < SETTLE_MS;
    if (before && before.key === data.key && echo && busy) return;
    this.held = null;
    this.pose = poseOf(data);
  }

  /** Where the centre and the four knobs are, in pixels: the centre first. */
  get spots() {
    const { frame, unit, view } = this.camera;
    const { angle, scales, x, y } = this.pose;
    const centre = toPixel(view, frame, [x, y]);
    const knobs = [0, 1, 2, 3].map((k) => {
      const reach = 2 * scales[k % 2] * unit + STALK;
      const turn = angle + (k * Math.PI) / 2;
      return [centre[0] + reach * Math.cos(turn), centre[1] - reach * Math.sin(turn)];
    });
    return [centre, ...knobs];
  }

  /**
   * Which spot a pixel is on: 0 the centre, 1 to 4 a knob, -1 none.
   * @param {number} px
   * @param {number} py
   * @param {boolean} touch
   */
  at(px, py, touch) {
    if (!this.data) return -1;
    const away = this.spots.map(([x, y]) => Math.hypot(px - x, py - y));
    const nearest = away.indexOf(Math.min(...away));
    return away[nearest] <= (touch ? TOUCH_REACH : MOUSE_REACH) ? nearest : -1;
  }

  /**
   * Take hold if there is something to hold.
   * @param {number} px
   * @param {number} py
   * @param {boolean} touch
   */
  grab(px, py, touch) {
    const knob = this.at(px, py, touch);
    if (knob < 0) return false;
    const [x, y] = this.spots[knob];
    this.held = { knob, dx: x - px, dy: y - py, moved: false };
    return true;
  }

  /**
   * @param {number} px
   * @param {number} py
   */
  drag(px, py) {
    if (!this.held) return;
    const { dx, dy, knob } = this.held;
    this.held.moved = true;
    const spot = /** @type {[number, number]} */ ([px + dx, py + dy]);
    if (knob === 0) {
      [this.pose.x, this.pose.y] = this.camera.place(spot);
    } else {
      const [cx, cy] = this.spots[0];
      const away = Math.hypot(spot[0] - cx, spot[1] - cy);
      const turn = Math.atan2(cy - spot[1], spot[0] - cx);
      this.pose.angle = turn - ((knob - 1) * Math.PI) / 2;
      this.pose.scales[(knob - 1) % 2] = bounded((away - STALK) / (2 * this.camera.unit));
    }
    this.moved(false);
  }

  drop() {
    const { moved } = this.held ?? {};
    this.held = null;
    if (this.data) this.grip.focus({ preventScroll: true });
    if (moved) this.moved(true);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.data) return;
    const { pose } = this;
    const step = NUDGE * this.camera.span * (event.shiftKey ? 0.2 : 1);
    const scale = (/** @type {number} */ first, /** @type {number} */ second) => {
      pose.scales = [bounded(pose.scales[0] * first), bounded(pose.scales[1] * second)];
    };
    if (event.key in MOVES) {
      pose.x += MOVES[event.key][0] * step;
      pose.y += MOVES[event.key][1] * step;
    } else if (event.key === "+" || event.key === "=") scale(GROWTH, GROWTH);
    else if (event.key === "-") scale(1 / GROWTH, 1 / GROWTH);
    else if (event.key === "[") pose.angle += TURN;
    else if (event.key === "]") pose.angle -= TURN;
    else if (event.key === ".") scale(GROWTH, 1 / GROWTH);
    else if (event.key === ",") scale(1 / GROWTH, GROWTH);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.moved(false);
  }

  /**
   * Draw, and tell the page: at once if the hand let go, else when it is time.
   * @param {boolean} released
   */
  moved(released) {
    this.changed();
    if (released) {
      this.tell();
    } else if (!this.timer) {
      const since = performance.now() - this.toldAt;
      this.timer = window.setTimeout(() => this.due(), Math.max(0, REPORT_MS - since));
    }
  }

  /** Tell, unless the page is still busy with the last report. */
  due() {
    const late = performance.now() - this.toldAt >= ANSWER_MS;
    if (this.answered || late) this.tell();
    else this.timer = window.setTimeout(() => this.due(), REPORT_MS / 5);
  }

  tell() {
    clearTimeout(this.timer);
    this.timer = 0;
    const { cov, p } = gaussianOf(this.pose);
    const [x, y] = p.map((v) => Number(v.toFixed(6)));
    const q = { p: /** @type {[number, number]} */ ([x, y]), cov };
    this.told = [...this.told.slice(-KEPT_REPORTS), q];
    this.toldAt = performance.now();
    this.answered = false;
    this.report(q);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {import("./ink.js").Sheet} sheet
   */
  draw(context, sheet) {
    if (!this.data) return;
    const { colour } = this.data;
    const { ground } = sheet.theme;
    const [centre, ...knobs] = this.spots;
    for (const [x, y] of knobs) {
      context.beginPath();
      context.moveTo(centre[0], centre[1]);
      context.lineTo(x, y);
      strokeTwice(context, colour, ground, 1.5);
    }
    drawGaussian(context, sheet, gaussianOf(this.pose), colour);
    for (const [x, y] of knobs) drawSpot(context, x, y, 6, colour, ground);
    drawSpot(context, centre[0], centre[1], 9, colour, ground);
    drawSpot(context, centre[0], centre[1], 3, ground, colour);
    const { height, left, top, width } = sheet.frame;
    const x = Math.max(left, Math.min(centre[0], left + width));
    const y = Math.max(top, Math.min(centre[1], top + height));
    this.grip.style.translate = `${x}px ${y}px`;
  }

  stop() {
    clearTimeout(this.timer);
  }
}
