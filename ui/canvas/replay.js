/** The training, replayed: points glide from frame to frame. Play, scrub, speed. */
import { Film, glided } from "./film.js";

/** How long a frame stands at normal speed: all together no longer than a quarter of a minute. */
const STAND_MS = 700;
const ALL_MS = 15000;
const LONGEST_STEP_MS = 100;
const MIX_ONLY = "The weights were not kept: a click shows the mix of the decoded pictures.";
const NO_PICTURES = "No pictures were kept for this plane: points only.";

/**
 * @typedef {{key: string, frames: import("./film.js").Frame[], start: number}} ReplayData
 */

export class Replay {
  /**
   * @param {HTMLElement} root
   * @param {import("./plane.js").Plane} plane
   */
  constructor(root, plane) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.root = root;
    this.plane = plane;
    this.button = /** @type {HTMLButtonElement} */ (find(".play"));
    this.slider = /** @type {HTMLInputElement} */ (find(".step"));
    this.pace = /** @type {HTMLSelectElement} */ (find(".pace"));
    this.count = /** @type {HTMLElement} */ (find(".count"));
    this.note = /** @type {HTMLElement} */ (find(".note"));
    /** @type {ReplayData | null} */
    this.data = null;
    this.film = new Film(() => this.show(), plane.troubles);
    /** The frame shown; between two while it plays. */
    this.place = 0;
    /** The frame that is in the plane. */
    this.shown = -1;
    this.ticking = 0;
    this.before = 0;
    this.button.onclick = () => this.toggle();
    this.slider.oninput = () => this.go(Number(this.slider.value));
    this.slider.onchange = () => this.tell();
    root.onkeydown = (event) => {
      event.stopPropagation();
      if (event.key !== " " || event.target !== this.slider) return;
      event.preventDefault();
      this.toggle();
    };
  }

  /** The number of the last frame. */
  get last() {
    return Math.max(0, (this.data?.frames.length ?? 0) - 1);
  }

  get playing() {
    return this.ticking !== 0;
  }

  /** The frame whose name and pictures are shown. */
  get frame() {
    return this.data?.frames[Math.round(this.place)] ?? null;
  }

  /** Where a click is decoded exactly; nowhere while it plays, or where weights were not kept. */
  get decode() {
    return this.playing ? "" : (this.frame?.decode ?? "");
  }

  /**
   * Take what the page sent. The same key keeps the frame; at the last one, new ones are followed.
   * @param {ReplayData | null} data
   * @returns {boolean} whether there is a replay
   */
  take(data) {
    const again = data && data.key === this.data?.key;
    const { frame, last, place } = this;
    this.data = data;
    this.root.hidden = !data;
    if (!again) this.rest();
    this.film.take(data?.frames ?? []);
    if (!data) return false;
    this.plane.layers.leaveToReplay();
    if (!again) this.place = Math.max(0, Math.min(data.start, this.last));
    else if (!this.playing) this.place = this.found(frame?.label, place >= last, place);
    this.place = Math.min(this.place, this.last);
    this.root.style.colorScheme = this.plane.theme.dark ? "dark" : "light";
    this.shown = -1;
    this.show();
    return true;
  }

  /**
   * The number of a frame among those there are now.
   * @param {string | undefined} label
   * @param {boolean} newest  whether it was the last one
   * @param {number} otherwise
   */
  found(label, newest, otherwise) {
    const index = this.data?.frames.findIndex((frame) => frame.label === label) ?? -1;
    return newest ? this.last : index < 0 ? otherwise : index;
  }

  /** Play, or rest at the nearest frame; from the start if it is at its end. */
  toggle() {
    if (this.playing) {
      this.go(Math.round(this.place));
      this.tell();
    } else if (this.last > 0) {
      if (this.place >= this.last) this.place = 0;
      this.before = performance.now();
      this.ticking = requestAnimationFrame((time) => this.tick(time));
      this.show();
    }
  }

  /** @param {number} time  in milliseconds */
  tick(time) {
    const passed = Math.min(LONGEST_STEP_MS, Math.max(0, time - this.before));
    const each = Math.min(STAND_MS, ALL_MS / this.last) / Number(this.pace.value);
    const next = Math.min(this.last, this.place + passed / each);
    this.before = time;
    if (this.film.shot(Math.ceil(next))) this.place = next; // else wait for it
    if (this.place >= this.last || this.film.isLost(Math.ceil(next))) {
      this.go(Math.round(this.place));
      this.tell();
    } else {
      this.ticking = requestAnimationFrame((later) => this.tick(later));
      this.show();
    }
  }

  /**
   * Rest at a frame.
   * @param {number} place
   */
  go(place) {
    this.rest();
    this.place = place;
    this.show();
    this.plane.chosen.refresh();
  }

  rest() {
    cancelAnimationFrame(this.ticking);
    this.ticking = 0;
  }

  stop() {
    this.rest();
    this.data = null;
    this.film.take([]);
  }

  /** Tell the page which frame is shown, so that its link shows the same. */
  tell() {
    if (this.frame) this.plane.api.setTriggerValue("frame", this.frame.label);
  }

  /** Bring the controls and the plane up to date. */
  show() {
    const { data, film, frame, last, place, plane } = this;
    if (!data || !frame) return;
    const at = Math.round(place);
    const there = film.shot(at);
    this.button.textContent = this.playing ? "Pause" : "Play";
    this.button.disabled = last < 1;
    this.slider.max = String(last);
    this.slider.value = String(at);
    this.slider.setAttribute("aria-valuetext", frame.label);
    this.count.textContent = there ? frame.label : `${frame.label} …`;
    const mixed = !frame.decode && !this.playing ? MIX_ONLY : "";
    this.note.textContent = frame.backdrop ? mixed : NO_PICTURES;
    film.seek(at);
    plane.data = { ...plane.data, decode: this.decode };
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    plane.codes.follow(data.frames, calm ? at : place);
    if (!there) return;
    const [i, j] = [Math.floor(place), Math.ceil(place)];
    const [from, to] = [film.shot(i), film.shot(j)];
    const gliding = from && to && !calm;
    const points = gliding ? glided(from.points, to.points, place - i) : there.points;
    plane.layers.putPoints(points, plane.data.points);
    plane.layers.putBackdrop(there.sprite, frame.backdrop, plane.theme.ink);
    if (this.shown !== at) {
      this.shown = at;
      plane.layerTaken("points");
      plane.layerTaken("backdrop");
    }
    plane.redraw();
  }
}
