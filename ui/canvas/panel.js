/** The panel beside the plane: the picture, its caption, and how far the mix is from the truth. */
import { difference, measured } from "./compare.js";
import { get } from "./load.js";
import { paint, readGrey } from "./picture.js";

/**
 * @typedef {import("./picture.js").Grey} Grey
 * @typedef {{name: string, value: string}} Coordinate
 * @typedef {{z: Coordinate[], density: string, about: string}} Words
 * @typedef {{grey: Grey | null, kind: string, words: Words, mix: Grey | null,
 *   difference: import("./compare.js").Difference | null}} Settled
 */

/** @type {Words} */
const NO_WORDS = { z: [], density: "", about: "" };

export class Panel {
  /**
   * @param {ParentNode} root
   * @param {import("./troubles.js").Troubles} troubles
   */
  constructor(root, troubles) {
    const find = (/** @type {string} */ name) =>
      /** @type {HTMLElement} */ (root.querySelector(`.${name}`));
    this.troubles = troubles;
    this.canvas = /** @type {HTMLCanvasElement} */ (find("picture"));
    this.screen = find("screen");
    this.kind = find("kind");
    this.z = find("z");
    this.density = find("density");
    this.about = find("about");
    this.said = find("said");
    this.button = /** @type {HTMLButtonElement} */ (find("compare"));
    this.measure = find("measure");
    this.comparing = false;
    this.button.onclick = () => this.compare(!this.comparing);
    /** What is shown while nothing is pointed at. @type {Settled | null} */
    this.settled = null;
    this.request = new AbortController();
  }

  /**
   * Show a picture for the moment; without one, what is shown fades.
   * @param {Grey | ImageData | null} picture
   * @param {string} kind
   * @param {Words} words
   */
  show(picture, kind, words) {
    if (picture) {
      paint(this.canvas, picture);
      this.screen.classList.remove("empty");
    }
    this.screen.classList.toggle("stale", !picture);
    this.kind.textContent = kind;
    this.kind.hidden = !kind;
    this.write(words);
  }

  /**
   * Numbers keep their width, so that the line stands still while they change.
   * @param {Words} words
   */
  write({ about, density, z }) {
    const names = z.map(({ name }, i) => `${i ? ", " : ""}${name} = `);
    if (this.z.dataset.names !== names.join("")) {
      this.z.dataset.names = names.join("");
      this.z.replaceChildren(...names.flatMap((name) => [name, document.createElement("i")]));
    }
    z.forEach(({ value }, i) => (this.z.children[i].textContent = value));
    this.density.hidden = !density;
    /** @type {Element} */ (this.density.firstElementChild).textContent = density;
    this.about.textContent = about;
  }

  /** Show the last decoded picture again, or how the mix differs from it. */
  rest() {
    if (!this.settled) {
      this.show(null, "", NO_WORDS);
      return;
    }
    const { difference: apart, grey, kind, words } = this.settled;
    if (apart && this.comparing) this.show(apart.image, "Difference", words);
    else this.show(grey, kind, words);
  }

  /**
   * Rest on something, and say it to those who do not see it.
   * @param {Omit<Settled, "difference">} settled
   */
  settle(settled) {
    const { grey, kind, mix, words } = settled;
    const exact = kind === "Decoded" ? grey : null;
    this.settled = { ...settled, difference: exact && mix && difference(mix, exact) };
    this.compare(this.comparing);
    const place = words.z.map(({ name, value }) => `${name} = ${value}`).join(", ");
    const density = words.density && `log p(z) = ${words.density} nats`;
    this.said.textContent = [kind, place, density, words.about].filter(Boolean).join("; ");
  }

  /**
   * Rest on a picture that is there already, or on none.
   * @param {Grey | null} grey
   * @param {Words} words
   */
  settleOn(grey, words) {
    this.request.abort();
    this.settle({ grey, kind: grey ? "Preview" : "", words, mix: null });
    this.troubles.end("decode");
  }

  /** The manifold is there now, or another one. @param {Grey | null} mix */
  mixed(mix) {
    if (this.settled) this.settle({ ...this.settled, mix });
  }

  /**
   * Show the difference, or the picture.
   * @param {boolean} comparing
   */
  compare(comparing) {
    const apart = this.settled?.difference ?? null;
    this.comparing = comparing;
    this.button.hidden = !apart;
    this.button.setAttribute("aria-pressed", String(comparing));
    this.measure.textContent = apart && comparing ? measured(apart) : "";
    if (apart) this.rest();
  }

  /** Rest on nothing, as at the beginning. */
  forget() {
    this.request.abort();
    this.settled = null;
    this.said.textContent = "";
    this.screen.classList.add("empty");
    this.troubles.end("decode");
    this.compare(this.comparing);
    this.rest();
  }

  /**
   * Fetch one decoded picture to rest on; a later call makes an earlier one void.
   * @param {string} url
   * @param {Words} words
   * @param {Grey | null} mix  what to rest on until it is there
   * @returns {Promise<boolean>} whether it came
   */
  async decode(url, words, mix) {
    this.request.abort();
    const { signal } = (this.request = new AbortController());
    this.settled = { grey: mix, kind: mix ? "Preview" : "", words, mix, difference: null };
    this.troubles.wait("decode", "the exact picture");
    try {
      const grey = await readGrey(await (await get(url, signal)).blob());
      if (signal.aborted) return false;
      this.settle({ grey, kind: "Decoded", words, mix });
      this.troubles.end("decode");
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      this.settle({ grey: mix, kind: mix ? "Preview" : "Not decoded", words, mix });
      this.troubles.fail("decode", "decode this place", error);
      return false;
    }
  }

  stop() {
    this.request.abort();
  }
}
