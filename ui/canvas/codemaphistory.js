/** The codes of a map while they are edited: Undo, Redo, and what the encoder had chosen. */

const MOST_EDITS = 200;
const MOST_KEPT = 8;

/**
 * Whether two maps hold the same codes.
 * @param {number[]} a
 * @param {number[]} b
 */
export function sameCodes(a, b) {
  return a.length === b.length && a.every((code, k) => code === b[k]);
}

export class CodeHistory {
  /** @param {number[]} own  the encoder's choice: level by level, row by row */
  constructor(own) {
    this.own = own;
    /** @type {number[][]} */
    this.states = [own];
    this.at = 0;
  }

  /** The codes as they are now; never changed in place. */
  get now() {
    return this.states[this.at];
  }

  /** How many codes differ from the encoder's choice. */
  get edits() {
    return this.now.reduce((sum, code, k) => sum + (code === this.own[k] ? 0 : 1), 0);
  }

  get canUndo() {
    return this.at > 0;
  }

  get canRedo() {
    return this.at < this.states.length - 1;
  }

  /**
   * An edit; what had been undone is gone.
   * @param {number[]} codes
   */
  put(codes) {
    if (sameCodes(codes, this.now)) return;
    this.states = [...this.states.slice(0, this.at + 1), codes].slice(-MOST_EDITS);
    this.at = this.states.length - 1;
  }

  /** @param {1 | -1} way  back or forth */
  step(way) {
    this.at = Math.min(this.states.length - 1, Math.max(0, this.at + way));
  }
}

/**
 * By component and image: the module outlives a page that is left and opened again.
 * @type {Map<string, CodeHistory>}
 */
const histories = new Map();

/**
 * What was done to a map so far; nothing if it is another one under the same name.
 * @param {string} name
 * @param {number[]} own  the encoder's choice
 */
export function historyOf(name, own) {
  const kept = histories.get(name);
  const history = kept && sameCodes(kept.own, own) ? kept : new CodeHistory(own);
  histories.delete(name);
  histories.set(name, history);
  for (const old of [...histories.keys()].slice(0, -MOST_KEPT)) histories.delete(old);
  return history;
}
