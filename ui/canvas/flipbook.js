/** The flipbook: pictures one after the other, by hand or by itself, with a ring in the plane. */
import { readTheme } from "./colour.js";

/** How long one picture stands at normal speed: so that all take about four seconds. */
const WHOLE_MS = 4000;
const SHORTEST_MS = 120;
const LONGEST_MS = 500;
/** With reduced motion only so many pictures are shown, each this long. */
const HOPS = 6;
const HOP_MS = 800;
/** As many thumbnails stand in one row; more in two, where there is room. */
const ONE_ROW = 16;

/**
 * @typedef {{url: string, n: number, tile: [number, number], places: [number, number][] | null,
 *   captions: string[] | null, alt: string, start: number}} Book  tile: height and width
 */

export class Flipbook {
  /** @param {ParentNode} root */
  constructor(root) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.root = /** @type {HTMLElement} */ (find(".book"));
    this.page = /** @type {HTMLCanvasElement} */ (find(".page"));
    this.button = /** @type {HTMLButtonElement} */ (find(".play"));
    this.slider = /** @type {HTMLInputElement} */ (find(".step"));
    this.pace = /** @type {HTMLSelectElement} */ (find(".pace"));
    this.said = /** @type {HTMLElement} */ (find(".said"));
    this.strip = /** @type {HTMLElement} */ (find(".strip"));
    this.trouble = /** @type {HTMLElement} */ (find(".trouble"));
    this.data = /** @type {Book} */ (/** @type {unknown} */ (null));
    /** @type {HTMLImageElement | null} the mosaic, once it is there */
    this.mosaic = null;
    this.asked = "";
    /** The picture shown. */
    this.at = 0;
    /** Whether somebody played or chose: before that no ring is in the plane. */
    this.touched = false;
    this.timer = 0;
    this.button.onclick = () => this.toggle();
    this.slider.oninput = () => this.choose(Number(this.slider.value));
    this.root.onkeydown = (event) => {
      if (event.key !== " " || event.target !== this.slider) return;
      event.preventDefault();
      this.toggle();
    };
    const pick = (/** @type {any} */ event) => {
      const i = event.target.dataset.i;
      if (i !== undefined && (event.type === "click" || event.buttons === 1)) this.choose(Number(i));
    };
    this.strip.onclick = this.strip.onpointerover = pick;
  }

  get playing() {
    return this.timer !== 0;
  }

  /** @param {Book} data */
  update(data) {
    const shape = this.data && [this.data.n, ...this.data.tile].join() === [data.n, ...data.tile].join();
    this.data = data;
    if (!shape && !this.touched) this.at = data.start;
    this.at = Math.min(this.at, data.n - 1);
    this.root.style.colorScheme = readTheme(this.root).dark ? "dark" : "light";
    this.slider.max = String(data.n - 1);
    this.strip.setAttribute("aria-label", data.alt);
    if (!shape) this.layOut();
    if (data.url !== this.asked) this.fetch(data.url);
    this.show();
  }

  /** As many thumbnails as there are pictures. */
  layOut() {
    const { n, tile } = this.data;
    [this.page.height, this.page.width] = tile;
    this.mosaic = null;
    this.strip.style.setProperty("--columns", String(n > ONE_ROW ? Math.ceil(n / 2) : n));
    this.strip.replaceChildren(
      ...Array.from({ length: n }, (_, i) => {
        const thumbnail = document.createElement("i");
        thumbnail.dataset.i = String(i);
        thumbnail.style.aspectRatio = `${tile[1]} / ${tile[0]}`;
        thumbnail.style.backgroundSize = `${n * 100}% 100%`;
        thumbnail.style.backgroundPosition = `${(i / Math.max(1, n - 1)) * 100}% 0`;
        return thumbnail;
      }),
    );
  }

  /** @param {string} url */
  fetch(url) {
    this.asked = url;
    const image = new Image();
    image.onload = () => {
      if (url !== this.asked) return;
      this.mosaic = image;
      this.trouble.textContent = "";
      for (const thumbnail of this.thumbnails) thumbnail.style.backgroundImage = `url("${url}")`;
      this.show();
    };
    image.onerror = () => {
      if (url !== this.asked) return;
      this.asked = "";
      this.trouble.textContent = "Could not load the pictures: reload the page to try again.";
    };
    image.src = url;
  }

  get thumbnails() {
    return /** @type {HTMLElement[]} */ ([...this.strip.children]);
  }

  /** Play, or rest; from the first picture if the last is shown. */
  toggle() {
    if (this.playing) {
      this.rest();
    } else if (this.data.n > 1) {
      if (this.at >= this.data.n - 1) this.at = 0;
      this.touched = true;
      this.wait();
    }
    this.show();
  }

  /** Let the picture stand for its time, then turn the page. */
  wait() {
    const { n } = this.data;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const each = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, WHOLE_MS / (n - 1)));
    const hop = calm ? Math.max(1, Math.ceil((n - 1) / HOPS)) : 1;
    const time = (calm ? Math.max(HOP_MS, each) : each) / Number(this.pace.value);
    this.timer = window.setTimeout(() => {
      this.at = Math.min(this.at + hop, this.data.n - 1);
      if (this.at < this.data.n - 1) this.wait();
      else this.rest();
      this.show();
    }, time);
  }

  rest() {
    clearTimeout(this.timer);
    this.timer = 0;
  }

  /**
   * Stop at a picture.
   * @param {number} at
   */
  choose(at) {
    this.rest();
    this.touched = true;
    this.at = Math.max(0, Math.min(at, this.data.n - 1));
    this.show();
  }

  /** Bring picture, controls, thumbnails and the ring in the plane up to date. */
  show() {
    const { at } = this;
    const { captions, n, places, tile } = this.data;
    const said = captions?.[at] ?? `${at + 1} of ${n}`;
    this.button.textContent = this.playing ? "Pause" : "Play";
    this.button.disabled = n < 2;
    this.slider.value = String(at);
    this.slider.setAttribute("aria-valuetext", said);
    this.said.textContent = said;
    this.page.setAttribute("aria-label", said);
    this.thumbnails.forEach((thumbnail, i) => thumbnail.classList.toggle("now", i === at));
    if (this.mosaic) {
      const [height, width] = tile;
      const context = this.page.getContext("2d");
      context?.drawImage(this.mosaic, at * width, 0, width, height, 0, 0, width, height);
    }
    if (this.touched && places) walk(places[at]);
  }

  stop() {
    this.rest();
    if (this.touched && this.data.places) walk(null);
  }
}

/**
 * Tell the planes of this page where to draw the ring.
 * @param {[number, number] | null} p
 */
function walk(p) {
  document.dispatchEvent(new CustomEvent("latent-walk", { detail: { p } }));
}

/** @type {WeakMap<object, Flipbook>} */
const books = new WeakMap();

/**
 * Called by Streamlit when the component appears and whenever its data or the theme change.
 * @param {any} component
 */
export default function render({ data, parentElement }) {
  const book = books.get(parentElement) ?? new Flipbook(parentElement);
  books.set(parentElement, book);
  book.update(data);
  return () => {
    book.stop();
    books.delete(parentElement);
  };
}
