/** A slider for each latent dimension; the picture follows the hand, the page hears of releases. */
import { get, message } from "./load.js";
import { paint, readGrey } from "./picture.js";
import { written } from "./view.js";

/**
 * @typedef {{name: string, about: string, used: boolean, from: number, to: number}} Dimension
 * @typedef {{z: number[], order: number[], first: number, reach: number, decode: string,
 *   dimensions: Dimension[]}} SlidersData
 */

/** How long the keys rest before the page is told, and how long its answer may take. */
const REST_MS = 120;
const PATIENCE_MS = 3000;

/** A place as the server reads it. @param {number[]} z */
function coded(z) {
  return z.map((value) => Number(value.toFixed(3))).join(",");
}

class Sliders {
  /** @param {ParentNode} root */
  constructor(root) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.picture = /** @type {HTMLCanvasElement} */ (find(".picture"));
    this.trouble = /** @type {HTMLElement} */ (find(".trouble"));
    this.rows = [find(".first"), find(".rest")];
    this.details = /** @type {HTMLDetailsElement} */ (find("details"));
    this.summary = /** @type {HTMLElement} */ (find("summary"));
    /** @type {HTMLInputElement[]} by dimension */
    this.inputs = [];
    /** @type {SlidersData | null} */
    this.data = null;
    /** @type {number[]} where the sliders are; exact, though each of them moves in steps */
    this.z = [];
    this.rowsOf = this.shown = this.wanted = "";
    this.fetching = false;
    /** The place that the page was told and has not answered yet, and since when. */
    this.told = { z: "", when: -Infinity };
    this.timer = 0;
    this.api = /** @type {any} */ (null);
  }

  /**
   * @param {SlidersData} data
   * @param {any} api
   */
  update(data, api) {
    this.api = api;
    this.data = data;
    const rowsOf = JSON.stringify([data.dimensions, data.order, data.first, data.reach]);
    if (rowsOf !== this.rowsOf) this.build(data);
    const answered = rowsOf !== this.rowsOf || coded(data.z) === this.told.z;
    if (answered || performance.now() - this.told.when > PATIENCE_MS) {
      this.told.when = -Infinity;
      this.z = [...data.z];
    }
    this.rowsOf = rowsOf;
    this.z.forEach((value, d) => this.write(d, value));
    this.decode();
  }

  /** @param {SlidersData} data */
  build({ dimensions, first, order, reach }) {
    this.inputs = [];
    const labels = order.map((d) => this.label(d, dimensions[d], reach));
    this.rows[0].replaceChildren(...labels.slice(0, first));
    this.rows[1].replaceChildren(...labels.slice(first));
    const rest = order.slice(first).map((d) => dimensions[d]);
    const unused = rest.filter(({ used }) => !used).length;
    this.details.hidden = !rest.length;
    const how = unused && unused < rest.length ? `${unused} of them not used` : "not used";
    const plural = rest.length === 1 ? "" : "s";
    this.summary.textContent = `The other ${rest.length} dimension${plural}` + (unused ? `, ${how}` : "");
  }

  /**
   * @param {number} d
   * @param {Dimension} dimension
   * @param {number} reach
   */
  label(d, { about, from, name, to, used }, reach) {
    const make = (/** @type {string} */ tag, /** @type {string} */ of, words = "") => {
      const element = document.createElement(tag);
      element.className = of;
      element.textContent = words;
      return element;
    };
    const label = make("label", used ? "" : "unused");
    const share = (/** @type {number} */ value) => String((value / reach + 1) / 2);
    label.style.setProperty("--from", share(from));
    label.style.setProperty("--to", share(to));
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: -reach, max: reach, step: 0.05 });
    input.setAttribute("aria-label", `${name}, ${about}`);
    input.oninput = () => this.move(d, input.valueAsNumber);
    input.onchange = () => this.tell();
    this.inputs[d] = input;
    const track = make("span", "track");
    track.append(make("i", "within"), make("i", "zero"), input);
    label.append(make("b", "", name), make("span", "rate", about), make("output", ""), track);
    return label;
  }

  /**
   * @param {number} d
   * @param {number} value
   */
  write(d, value) {
    const input = this.inputs[d];
    if (input.valueAsNumber !== value) input.value = String(value);
    const words = written(value, 2);
    input.setAttribute("aria-valuetext", words);
    const output = input.closest("label")?.querySelector("output");
    if (output) output.textContent = words;
  }

  /**
   * @param {number} d
   * @param {number} value
   */
  move(d, value) {
    this.z[d] = value;
    this.told = { z: "", when: performance.now() };
    this.write(d, value);
    this.decode();
  }

  /** Tell the page when the keys have come to rest; until it answers, the sliders stay. */
  tell() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.told = { z: coded(this.z), when: performance.now() };
      this.api.setTriggerValue("z", this.z);
    }, REST_MS);
  }

  /** Decode where the sliders are; while one picture is on its way, only the last place waits. */
  async decode() {
    this.wanted = `${this.data?.decode}&z=${coded(this.z)}`;
    if (this.fetching) return;
    this.fetching = true;
    while (this.shown !== this.wanted) {
      const url = this.wanted;
      try {
        paint(this.picture, await readGrey(await (await get(url)).blob()));
        this.trouble.textContent = "";
      } catch (error) {
        this.trouble.textContent = `Could not decode this place: ${message(error)}.`;
      }
      this.shown = url;
    }
    this.fetching = false;
    this.picture.setAttribute("aria-label", "The picture decoded where the sliders are");
  }
}

/** @type {WeakMap<object, Sliders>} */
const all = new WeakMap();

/** @param {any} component */
export default function render(component) {
  const { data, parentElement } = component;
  const sliders = all.get(parentElement) ?? new Sliders(parentElement);
  all.set(parentElement, sliders);
  sliders.update(data, component);
}
