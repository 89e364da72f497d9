/** What lies behind the points: decoded pictures, a field of values, or nothing. */
import { heatGradient } from "./heat.js";
import { colourBar } from "./legend.js";

const NONE = "none";

/**
 * @typedef {import("./heat.js").HeatMeta & {name: string, range: [number, number] | null,
 *   unit: string, note: string}} Field
 */

export class Ground {
  /**
   * @param {HTMLElement} root
   * @param {() => void} changed  called when another is chosen
   */
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    /** What was chosen by hand; it is kept while the page's data have it. */
    this.choice = "";
    /** @type {{name: string, text: string}[]} */
    this.choices = [];
    /** @type {Field[]} */
    this.fields = [];
    /** @type {number[] | null} what the answer to the field's URL says its range is */
    this.range = null;
    this.built = "";
  }

  /** The name of what is shown: the decoded pictures until something else is chosen. */
  get name() {
    const wanted = this.choices.find(({ name }) => name === this.choice);
    return (wanted ?? this.choices[0])?.name ?? NONE;
  }

  /** The field that is shown, if it is one. */
  get field() {
    return this.fields.find(({ name }) => `field ${name}` === this.name) ?? null;
  }

  /**
   * Take the page's data; with a heat map, that is the backdrop and there is nothing to choose.
   * @param {any} data
   * @param {boolean} dark
   */
  take({ backdrop, fields, heat, layers }, dark) {
    this.fields = heat ? [] : (fields ?? []);
    const pictures = backdrop && layers.backdrop && !heat;
    this.choices = this.fields.map(({ name, title }) => ({ name: `field ${name}`, text: title }));
    if (pictures) this.choices.unshift({ name: "backdrop", text: "Decoded pictures" });
    if (this.choices.length) this.choices.push({ name: NONE, text: "None" });
    const { root } = this;
    root.hidden = !this.choices.length;
    const text = JSON.stringify([this.choices, this.fields.map((f) => ({ ...f, url: "" })), dark]);
    if (text === this.built) return;
    this.built = text;
    const title = document.createElement("legend");
    title.textContent = "Backdrop";
    this.key = document.createElement("div");
    root.replaceChildren(title, ...this.choices.map((choice) => this.radio(choice, dark)), this.key);
    this.explain(dark);
  }

  /**
   * @param {{name: string, text: string}} choice
   * @param {boolean} dark
   */
  radio({ name, text }, dark) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "ground";
    input.checked = name === this.name;
    input.onchange = () => {
      this.choice = name;
      this.range = null;
      this.explain(dark);
      this.changed();
    };
    label.append(input, text);
    return label;
  }

  /**
   * Take the range that came with the field.
   * @param {number[] | null} range
   * @param {boolean} dark
   */
  measure(range, dark) {
    this.range = range;
    this.explain(dark);
  }

  /**
   * What the colours of the field mean.
   * @param {boolean} dark
   */
  explain(dark) {
    const { field, key } = this;
    if (!field) {
      key?.replaceChildren();
      return;
    }
    const note = document.createElement("p");
    note.textContent = field.note;
    const range = field.range ?? this.range;
    const bar = range ? [colourBar(heatGradient(dark, true), range, field.unit)] : [];
    key?.replaceChildren(...bar, note);
  }
}
