/** The panel beside the plane: the picture, its caption, and what went wrong. */
import { get, message } from "./load.js";
import { paint, readGrey } from "./picture.js";

/**
 * @typedef {{z: string, about: string}} Words
 */

export class Panel {
  /** @param {ParentNode} root */
  constructor(root) {
    const find = (/** @type {string} */ name) =>
      /** @type {HTMLElement} */ (root.querySelector(`.${name}`));
    this.canvas = /** @type {HTMLCanvasElement} */ (find("picture"));
    this.screen = find("screen");
    this.caption = find("caption");
    this.kind = find("kind");
    this.z = find("z");
    this.about = find("about");
    this.status = find("status");
    /** @type {{grey: import("./picture.js").Grey | null, kind: string, words: Words} | null} */
    this.settled = null;
    /** @type {Record<string, string>} */
    this.troubles = {};
    this.request = new AbortController();
  }

  /**
   * Show a picture for the moment; without one, what is shown fades.
   * @param {import("./picture.js").Grey | null} grey
   * @param {string} kind
   * @param {Words} words
   * @param {boolean} aloud  whether a screen reader should say it
   */
  show(grey, kind, words, aloud) {
    if (grey) {
      paint(this.canvas, grey);
      this.screen.classList.remove("empty");
    }
    this.screen.classList.toggle("stale", !grey);
    this.caption.setAttribute("aria-live", aloud ? "polite" : "off");
    this.kind.textContent = kind;
    this.kind.hidden = !kind;
    this.z.textContent = words.z;
    this.about.textContent = words.about;
  }

  /** Show the last decoded picture again. */
  rest() {
    if (this.settled) this.show(this.settled.grey, this.settled.kind, this.settled.words, true);
    else this.show(null, "", { z: "", about: "" }, true);
  }

  /**
   * Rest on a picture that is there already, or on none.
   * @param {import("./picture.js").Grey | null} grey
   * @param {Words} words
   */
  settle(grey, words) {
    this.request.abort();
    this.settled = { grey, kind: grey ? "Preview" : "", words };
    this.trouble("decode", "");
  }

  /** Rest on nothing, as at the beginning. */
  forget() {
    this.request.abort();
    this.settled = null;
    this.screen.classList.add("empty");
    this.trouble("decode", "");
    this.rest();
  }

  /**
   * Fetch one decoded picture to rest on; a later call makes an earlier one void.
   * @param {string} url
   * @param {Words} words
   * @param {import("./picture.js").Grey | null} meanwhile  what to rest on until it is there
   * @returns {Promise<void>}
   */
  async decode(url, words, meanwhile) {
    this.request.abort();
    const { signal } = (this.request = new AbortController());
    this.settled = { grey: meanwhile, kind: meanwhile ? "Preview" : "", words };
    try {
      const response = await get(url, signal);
      const grey = await readGrey(await response.blob());
      if (signal.aborted) return;
      this.settled = { grey, kind: "Decoded", words };
      this.trouble("decode", "");
    } catch (error) {
      if (signal.aborted) return;
      if (!meanwhile) this.settled.kind = "Not decoded";
      this.trouble("decode", `Could not decode this place: ${message(error)}.`);
    }
  }

  /**
   * Say or take back what went wrong with one thing.
   * @param {string} what
   * @param {string} sentence
   */
  trouble(what, sentence) {
    this.troubles[what] = sentence;
    this.status.textContent = Object.values(this.troubles).filter(Boolean).join(" ");
  }

  stop() {
    this.request.abort();
  }
}
