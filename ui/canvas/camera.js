/** Which part of the plane is seen: by the page's wish, by hand, by the canvas's size. */
import { frameOf } from "./scene.js";
import { fit, pan, pixelsPerUnit, toPlane, zoomAt } from "./view.js";

const REST_MS = 400;

export class Camera {
  /**
   * @param {(moved: boolean) => void} changed  whether it was moved by hand
   * @param {(view: import("./view.js").View) => void} rested  called when it has come to rest
   */
  constructor(changed, rested) {
    this.changed = changed;
    this.rested = rested;
    this.frame = frameOf(100, 100);
    /** @type {import("./view.js").View} */
    this.home = [-4, 4, -4, 4];
    /** Before it is fitted to the frame, so that resizing to and fro loses nothing. */
    this.wanted = this.home;
    this.view = this.home;
    this.timer = 0;
  }

  /** @param {import("./view.js").View} home */
  begin(home) {
    this.home = this.wanted = home;
    this.view = fit(home, this.frame);
    this.changed(false);
  }

  /**
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    this.frame = frameOf(width, height);
    this.view = fit(this.wanted, this.frame);
  }

  /** @param {import("./view.js").View} view */
  look(view) {
    this.wanted = this.view = view;
    this.changed(true);
    this.report();
  }

  reset() {
    this.begin(this.home);
    this.report();
  }

  report() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.rested(this.view), REST_MS);
  }

  /**
   * @param {number} dx  in pixels
   * @param {number} dy
   */
  pan(dx, dy) {
    this.look(pan(this.view, this.frame, dx, dy));
  }

  /**
   * @param {number} factor
   * @param {[number, number]} place  that stays where it is
   */
  zoom(factor, place) {
    this.look(zoomAt(this.view, factor, place));
  }

  /** @returns {[number, number]} */
  get centre() {
    const [x0, x1, y0, y1] = this.view;
    return [(x0 + x1) / 2, (y0 + y1) / 2];
  }

  /** The shorter side, in units of the plane. */
  get span() {
    return Math.min(this.view[1] - this.view[0], this.view[3] - this.view[2]);
  }

  /** Pixels a unit of the plane takes. */
  get unit() {
    return pixelsPerUnit(this.view, this.frame);
  }

  /**
   * @param {[number, number]} pixel
   * @returns {[number, number]}
   */
  place(pixel) {
    return toPlane(this.view, this.frame, pixel);
  }

  stop() {
    clearTimeout(this.timer);
  }
}
