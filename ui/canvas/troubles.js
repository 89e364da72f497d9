/** What is amiss, in one line; and asking again, for what may have passed. */
import { message, Passing } from "./load.js";

const SLOW_MS = 1500;
const FIRST_MS = 1500;
const LAST_MS = 12000;
const POKE_MS = 1000;
const SILENT = "The server does not answer: you see what was there, and it is asked again until it does.";

/**
 * Words in a row: a, b and c.
 * @param {string[]} words
 */
function listed(words) {
  const last = words[words.length - 1];
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${last}` : last;
}

export class Troubles {
  /**
   * @param {HTMLElement} status
   * @param {() => void} again  asks for all that is missing
   */
  constructor(status, again) {
    this.status = status;
    this.again = again;
    /** @type {Map<string, {task: string, error: unknown}>} what failed */
    this.failed = new Map();
    /** @type {Map<string, {name: string, timer: number, slow: boolean}>} what is on its way */
    this.awaited = new Map();
    this.tries = 0;
    this.triedAt = 0;
    this.timer = 0;
  }

  /**
   * Something was asked for; if it takes long, that is said.
   * @param {string} what
   * @param {string} name
   */
  wait(what, name) {
    if (this.awaited.has(what)) return;
    const awaited = { name, slow: false, timer: 0 };
    awaited.timer = window.setTimeout(() => {
      awaited.slow = true;
      this.show();
    }, SLOW_MS);
    this.awaited.set(what, awaited);
  }

  /** @param {string} what */
  arrive(what) {
    clearTimeout(this.awaited.get(what)?.timer);
    this.awaited.delete(what);
  }

  /**
   * It is there, or no longer wanted.
   * @param {string} what
   */
  end(what) {
    this.arrive(what);
    this.failed.delete(what);
    if (!this.passing) this.rest();
    this.show();
  }

  /**
   * It failed: the sentence is "Could not (task): (error)."
   * @param {string} what
   * @param {string} task
   * @param {unknown} error
   */
  fail(what, task, error) {
    this.arrive(what);
    this.failed.set(what, { task, error });
    if (this.passing) this.later();
    else this.rest();
    this.show();
  }

  /** Whether anything failed that may have passed by now. */
  get passing() {
    return [...this.failed.values()].some(({ error }) => error instanceof Passing);
  }

  /** Ask again after a while, ever longer. */
  later() {
    const wait = Math.min(LAST_MS, FIRST_MS * 2 ** this.tries);
    this.timer ||= window.setTimeout(() => this.retry(), wait);
  }

  retry() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.tries += 1;
    this.triedAt = performance.now();
    this.again();
  }

  /** Somebody is there, or the network is back: ask again at once. */
  poke() {
    if (this.timer && performance.now() - this.triedAt > POKE_MS) this.retry();
  }

  /** Nothing is to be asked for. */
  rest() {
    clearTimeout(this.timer);
    this.timer = this.tries = 0;
  }

  /** Say it all: each reason once, with what it keeps from being done. */
  show() {
    /** @type {Map<string, string[]>} */
    const reasons = new Map();
    let silent = false;
    for (const { error, task } of this.failed.values()) {
      if (error instanceof Passing && error.silent) silent = true;
      else reasons.set(message(error), [...(reasons.get(message(error)) ?? []), task]);
    }
    const said = [...reasons].map(([reason, tasks]) => `Could not ${listed(tasks)}: ${reason}.`);
    const slow = [...this.awaited].filter(([what, { slow }]) => slow && !this.failed.has(what));
    if (silent) said.unshift(SILENT);
    if (slow.length) said.push(`Still on the way: ${listed(slow.map(([, { name }]) => name))}.`);
    const text = said.join(" ");
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  stop() {
    this.rest();
    for (const what of [...this.awaited.keys()]) this.arrive(what);
  }
}
