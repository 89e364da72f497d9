/** The bound of the shown picture in words and numbers. */
import { written } from "./view.js";

export class BoundNumbers {
  /** @param {ParentNode} root */
  constructor(root) {
    const find = (/** @type {string} */ name) =>
      /** @type {HTMLElement} */ (root.querySelector(`[data-testid=codemap-${name}]`));
    this.row = find("numbers");
    this.fields = { likelihood: find("likelihood"), prior: find("prior"), bound: find("bound") };
    this.change = find("change");
  }

  /**
   * @param {import("./codemapdecode.js").Decoded} now
   * @param {import("./codemapdecode.js").Decoded | null} own  None while it is not known
   * @param {boolean} edited
   */
  show(now, own, edited) {
    const bound = now.likelihood + now.prior;
    const text = (/** @type {number} */ v) => (Number.isFinite(v) ? written(v, 1) : "?");
    this.fields.likelihood.textContent = text(now.likelihood);
    this.fields.prior.textContent = text(now.prior);
    this.fields.bound.textContent = text(bound);
    const change = own ? bound - own.likelihood - own.prior : NaN;
    let words = edited ? "" : "by the encoder's own choice";
    if (edited && Number.isFinite(change)) {
      words = `${change > 0 ? "+" : ""}${written(change, 1)} nats against the encoder's own choice`;
    }
    this.change.textContent = words;
    this.change.classList.toggle("better", edited && change >= 0.05);
    this.change.classList.toggle("worse", edited && change <= -0.05);
    this.row.classList.add("known");
  }
}
