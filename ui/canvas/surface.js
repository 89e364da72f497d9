/** A canvas that is as sharp as the screen and is drawn in CSS pixels. */
export class Surface {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.width = 0;
    this.height = 0;
    /** Device pixels per CSS pixel, as of the last fit. */
    this.ratio = 1;
  }

  /**
   * Follow the size of the box that the canvas fills.
   * @param {number} width
   * @param {number} height
   */
  fit(width, height) {
    [this.width, this.height] = [width, height];
    this.ratio = window.devicePixelRatio;
    const [w, h] = [width, height].map((side) => Math.round(side * this.ratio));
    if (this.canvas.width !== w) this.canvas.width = w;
    if (this.canvas.height !== h) this.canvas.height = h;
  }

  /** Empty the canvas; what is drawn on it next counts in CSS pixels. */
  clear() {
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    return context;
  }
}
