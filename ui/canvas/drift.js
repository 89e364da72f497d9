/** The arrow keys: a step at once, then on and on at the screen's own rate while they are held. */

const STEP = 0.02;
const PACE = 0.4;
const HOLD_MS = 280;
const LONGEST_MS = 50;

/** @type {Record<string, [number, number]>} */
export const ARROWS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

export class Drift {
  /**
   * @param {(dx: number, dy: number) => void} move  by shares of the view's shorter side
   * @param {() => void} rested  called when the last key is let go
   */
  constructor(move, rested) {
    this.move = move;
    this.rested = rested;
    /** @type {Set<string>} */
    this.held = new Set();
    this.ticking = 0;
    this.from = 0;
  }

  /** @param {string} key */
  press(key) {
    if (this.held.has(key)) return;
    this.held.add(key);
    const [dx, dy] = ARROWS[key];
    this.move(dx * STEP, dy * STEP);
    this.from = performance.now() + HOLD_MS;
    this.ticking ||= requestAnimationFrame((now) => this.tick(now));
  }

  /** @param {number} now */
  tick(now) {
    this.ticking = requestAnimationFrame((next) => this.tick(next));
    if (now < this.from) return;
    const way = (PACE * Math.min(LONGEST_MS, now - this.from)) / 1000;
    this.from = now;
    for (const key of this.held) this.move(ARROWS[key][0] * way, ARROWS[key][1] * way);
  }

  /** @param {string} key */
  lift(key) {
    if (!this.held.delete(key) || this.held.size) return;
    this.drop();
    this.rested();
  }

  /** Let go of all keys, without resting. */
  drop() {
    this.held.clear();
    cancelAnimationFrame(this.ticking);
    this.ticking = 0;
  }
}
