/** The marked places: what the page says, and what was just clicked and it cannot know yet. */

const PATIENCE_MS = 2000;
const SAME = 1e-3;
const ANSWERED = 0.01;

/**
 * @param {[number, number] | undefined} a
 * @param {[number, number] | undefined} b
 * @param {number} within
 */
function near(a, b, within) {
  return a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) <= within : a === b;
}

export class Picks {
  /**
   * @param {(currentMoved: boolean) => void} changed  called when the page's picks are taken
   */
  constructor(changed) {
    /** @type {import("./marks.js").Pick[]} */
    this.list = [];
    this.changed = changed;
    this.received = "";
    /** @type {{p: [number, number], until: number} | null} */
    this.sent = null;
    this.timer = 0;
  }

  /** The current pick's place. */
  get current() {
    return this.list[0]?.p;
  }

  /**
   * Mark a place at once; the page's answer will follow.
   * @param {[number, number]} p
   * @param {boolean} shift  the second pick
   */
  choose(p, shift) {
    this.list = this.moved(p, shift);
    this.sent = { p, until: performance.now() + PATIENCE_MS };
  }

  /**
   * The picks with one of them elsewhere; the first, as long as there is none.
   * @param {[number, number]} p
   * @param {boolean} second
   */
  moved(p, second) {
    const which = second && this.list.length > 0 ? 1 : 0;
    const list = [...this.list];
    list[which] = { p, label: list[which]?.label ?? "AB"[which] };
    return list;
  }

  /**
   * Take the page's picks. While a click is unanswered, picks from before it wait.
   * @param {import("./marks.js").Pick[]} picks
   */
  receive(picks) {
    const text = JSON.stringify(picks);
    if (text === this.received) return;
    this.received = text;
    clearTimeout(this.timer);
    const { sent } = this;
    const wait = sent ? sent.until - performance.now() : 0;
    if (sent && wait > 0 && !picks.some((pick) => near(pick.p, sent.p, ANSWERED))) {
      this.timer = window.setTimeout(() => this.take(picks), wait);
    } else {
      this.take(picks);
    }
  }

  /** @param {import("./marks.js").Pick[]} picks */
  take(picks) {
    const moved = !near(picks[0]?.p, this.current, SAME);
    this.list = picks;
    this.sent = null;
    this.changed(moved);
  }

  stop() {
    clearTimeout(this.timer);
  }
}
