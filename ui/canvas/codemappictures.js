/** The pictures around the map: those of the page, the decoded one and its error. */
import { errorOf, readColour } from "./codemapdecode.js";
import { Passing } from "./load.js";
import { paint } from "./picture.js";

/**
 * @typedef {{title: string, url: string | null, caption: string | null}} Picture
 */

/** Which figures show the encoder's own choice, whatever has been edited. */
const OF_THE_ENCODER = [2, 3];
const ERROR_KEY = "Orange is too bright, blue too dark.";

export class Pictures {
  /**
   * @param {ParentNode} root
   * @param {import("./troubles.js").Troubles} troubles
   */
  constructor(root, troubles) {
    this.troubles = troubles;
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.decoded = /** @type {HTMLCanvasElement} */ (find(".decoded"));
    this.now = /** @type {HTMLElement} */ (find(".live .now"));
    this.error = /** @type {HTMLCanvasElement} */ (find(".error"));
    /** @type {Picture[]} */
    this.pictures = [];
    /** @type {{image: HTMLImageElement, title: HTMLElement, caption: HTMLElement, note: HTMLElement}[]} */
    this.figures = [0, 1, 2, 3, 4].map((i) => {
      const make = (/** @type {string} */ tag, /** @type {string} */ of) => {
        const element = document.createElement(tag);
        element.className = of;
        return element;
      };
      const image = /** @type {HTMLImageElement} */ (make("img", ""));
      image.dataset.testid = `codemap-picture-${i}`;
      const [title, caption, note] = [make("b", ""), make("span", ""), make("em", "")];
      const words = make("figcaption", "");
      words.append(title, " ", caption, " ", note);
      find(`[data-picture="${i}"]`).append(image, words);
      image.onload = () => this.arrived(i);
      image.onerror = () => this.failed(i);
      return { image, title, caption, note };
    });
    /** @type {Set<number>} */
    this.missing = new Set();
    /** @type {ImageData | null} the pixels of the input */
    this.input = null;
    /** @type {ImageData | null} what is decoded now */
    this.image = null;
  }

  /** @param {Picture[]} pictures */
  update(pictures) {
    pictures.forEach(({ caption, title, url }, i) => {
      const figure = this.figures[i];
      figure.title.textContent = title;
      figure.caption.textContent = caption ?? "";
      figure.image.alt = caption ? `${title}: ${caption}` : title;
      if (url === this.pictures[i]?.url) return;
      if (i === 0) this.input = null;
      this.missing.delete(i);
      this.troubles.end(`picture ${i}`);
      if (url) figure.image.src = url;
      else figure.image.removeAttribute("src");
    });
    this.pictures = pictures;
    this.drawError();
  }

  /** Ask again for those that did not come. */
  again() {
    for (const i of this.missing) this.figures[i].image.src = this.pictures[i].url ?? "";
  }

  /** @param {number} i */
  failed(i) {
    const { title, url } = this.pictures[i];
    if (!url) return;
    this.missing.add(i);
    this.troubles.fail(`picture ${i}`, `load “${title}”`, new Passing("it did not come", false));
  }

  /** @param {number} i */
  async arrived(i) {
    this.missing.delete(i);
    this.troubles.end(`picture ${i}`);
    if (i !== 0) return;
    this.input = await readColour(this.figures[0].image).catch(() => null);
    this.drawError();
  }

  /**
   * @param {ImageData} image  decoded
   * @param {boolean} edited  whether not by the encoder's choice
   */
  show(image, edited) {
    this.image = image;
    paint(this.decoded, image);
    this.now.textContent = edited ? "from your codes" : "from the encoder's own codes";
    this.decoded.setAttribute("aria-label", `The picture decoded ${this.now.textContent}`);
    this.drawError();
  }

  drawError() {
    const { image, input } = this;
    const fits = image && input && image.width === input.width && image.height === input.height;
    const { caption, image: given, title } = this.figures[4];
    this.error.hidden = !fits;
    given.hidden = !this.error.hidden;
    if (!fits) return;
    const { image: error, mean } = errorOf(image, input);
    paint(this.error, error);
    const share = `Mean ${(100 * mean).toFixed(1)} %.`;
    caption.textContent = `${share} ${ERROR_KEY}`;
    this.error.setAttribute("aria-label", `${title.textContent}: ${caption.textContent}`);
  }

  /** @param {boolean} edited */
  note(edited) {
    for (const i of OF_THE_ENCODER) {
      this.figures[i].note.textContent = edited ? "(before your edits)" : "";
    }
  }
}
