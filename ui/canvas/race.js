/** The race: Gaussians that move over the plane while their ELBO climbs. Play, scrub, speed. */
import { drawGaussian, strokeTwice } from "./ink.js";
import { chartRange, drawChart, elboAt } from "./racechart.js";
import { Surface } from "./surface.js";
import { toPixel, written } from "./view.js";

const WHOLE_MS = 8000;
const HOPS = 16;
const LONGEST_FRAME_MS = 100;

/**
 * @typedef {import("./racechart.js").Track} Track
 * @typedef {{key: string, tracks: Track[], top: number, cap: number | null,
 *   steps_per_frame: number}} RaceData
 */

export class Race {
  /**
   * @param {HTMLElement} root
   * @param {(track: Track) => boolean} shown  whether a track is switched on
   * @param {() => void} changed  called when the plane must be drawn again
   */
  constructor(root, shown, changed) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.root = root;
    this.shown = shown;
    this.changed = changed;
    this.button = /** @type {HTMLButtonElement} */ (find(".play"));
    this.slider = /** @type {HTMLInputElement} */ (find(".step"));
    this.pace = /** @type {HTMLSelectElement} */ (find(".pace"));
    this.count = /** @type {HTMLElement} */ (find(".count"));
    this.now = /** @type {HTMLElement} */ (find(".now"));
    this.note = /** @type {HTMLElement} */ (find(".note"));
    this.surface = new Surface(find(".chart"));
    /** @type {RaceData | null} */
    this.data = null;
    this.theme = /** @type {import("./colour.js").Theme | null} */ (null);
    /** The frame shown; between two while it plays. */
    this.place = 0;
    this.ticking = 0;
    this.before = 0;
    this.button.onclick = () => this.toggle();
    this.slider.oninput = () => this.go(Number(this.slider.value));
    this.root.onkeydown = (event) => {
      event.stopPropagation();
      const { button, pace } = this;
      if (event.key !== " " || event.target === button || event.target === pace) return;
      event.preventDefault();
      this.toggle();
    };
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(/** @type {Element} */ (this.surface.canvas.parentElement));
  }

  /** The number of the last frame. */
  get last() {
    return Math.max(0, ...(this.data?.tracks ?? []).map(({ frames }) => frames.length - 1));
  }

  get playing() {
    return this.ticking !== 0;
  }

  /** The tracks that are switched on. */
  get tracks() {
    return (this.data?.tracks ?? []).filter((t) => t.frames.length && this.shown(t));
  }

  /** The frame to draw: with reduced motion it hops. */
  get still() {
    if (!this.playing || !matchMedia("(prefers-reduced-motion: reduce)").matches) return this.place;
    const hop = Math.max(1, Math.round(this.last / HOPS));
    return Math.floor(this.place / hop) * hop;
  }

  /**
   * @param {RaceData | null} data
   * @param {import("./colour.js").Theme} theme
   */
  take(data, theme) {
    const again = data && data.key === this.data?.key;
    this.data = data;
    this.theme = theme;
    this.root.hidden = !data;
    this.root.style.colorScheme = theme.dark ? "dark" : "light";
    if (again) this.place = Math.min(this.place, this.last);
    else this.go(0);
    this.draw();
  }

  /** Play, or rest; from the start if it is at its end. */
  toggle() {
    if (this.playing) {
      this.rest();
    } else if (this.last > 0) {
      if (this.place >= this.last) this.place = 0;
      this.before = performance.now();
      this.ticking = requestAnimationFrame((time) => this.tick(time));
    }
    this.draw();
  }

  /** @param {number} time  in milliseconds */
  tick(time) {
    const passed = Math.min(LONGEST_FRAME_MS, Math.max(0, time - this.before));
    this.before = time;
    this.place += (passed / WHOLE_MS) * this.last * Number(this.pace.value);
    if (this.place >= this.last) {
      this.rest();
      this.place = this.last;
    } else {
      this.ticking = requestAnimationFrame((next) => this.tick(next));
    }
    this.draw();
    this.changed();
  }

  /**
   * Rest at a frame.
   * @param {number} place
   */
  go(place) {
    this.rest();
    this.place = place;
    this.draw();
    this.changed();
  }

  rest() {
    cancelAnimationFrame(this.ticking);
    this.ticking = 0;
  }

  /** Bring the controls and the chart up to date. */
  draw() {
    const { data, last, theme, tracks } = this;
    const box = this.surface.canvas.parentElement;
    if (!data || !theme || !box?.clientWidth) return;
    const place = this.still;
    const perFrame = data.steps_per_frame;
    const step = Math.floor(place) * perFrame;
    this.button.textContent = this.playing ? "Pause" : "Play";
    this.slider.max = String(last);
    this.slider.value = String(Math.floor(place));
    this.slider.setAttribute("aria-valuetext", `step ${step}`);
    this.count.textContent = `step ${step} of ${last * perFrame}`;
    const range = chartRange(tracks, [data.top, data.cap]);
    const cut = range.lowest < range.lo;
    this.note.textContent = cut ? `Values down to ${written(range.lowest, 1)} are cut off.` : "";
    this.now.replaceChildren(...tracks.map((track) => this.said(track, place)));
    this.surface.fit(box.clientWidth, box.clientHeight);
    const race = { tracks, place, last, perFrame, top: data.top, cap: data.cap };
    drawChart(this.surface.clear(), this.surface, race, range, theme);
  }

  /**
   * A track's name and ELBO, in words.
   * @param {Track} track
   * @param {number} place
   */
  said({ colour, elbo, label }, place) {
    const words = document.createElement("span");
    const swatch = document.createElement("i");
    swatch.style.background = colour;
    words.append(swatch, `${label}: ${written(elboAt(elbo, place), 2)}`);
    return words;
  }

  /**
   * Draw each track in the plane: where its mean has been, and its ellipses now.
   * @param {CanvasRenderingContext2D} context
   * @param {import("./ink.js").Sheet} sheet
   */
  drawTracks(context, sheet) {
    const place = this.still;
    for (const { colour, frames } of this.tracks) {
      const i = Math.min(Math.floor(place), frames.length - 1);
      const next = frames[Math.min(i + 1, frames.length - 1)];
      const share = Math.min(1, place - i);
      const [x, y, xx, xy, yy] = frames[i].map((v, k) => v + (next[k] - v) * share);
      context.beginPath();
      for (const frame of [...frames.slice(0, i + 1), [x, y]]) {
        context.lineTo(...toPixel(sheet.view, sheet.frame, [frame[0], frame[1]]));
      }
      strokeTwice(context, colour, sheet.theme.ground, 2.5);
      drawGaussian(context, sheet, { p: [x, y], cov: [xx, xy, yy] }, colour);
    }
  }

  stop() {
    this.rest();
    this.observer.disconnect();
  }
}
