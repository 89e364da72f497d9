/** Which layers are shown: a switch for each, named, in the colour in which it is drawn. */
import { TRAIL } from "./codeink.js";
import { heatGradient } from "./heat.js";

const HELP =
  "Drag its centre to move it, a knob to stretch and turn it. Keys: arrows, + −, [ ], comma, full stop.";
const CODES_HELP =
  "The larger a code, the more latents use it. A cross is a dead code: no latent uses it.";

/**
 * @typedef {{name: string, text: string, look: "heat" | "dot" | "line" | "dash" | "plain",
 *   colour: string, help?: string}} Item
 */

/**
 * The layers of a codebook; what its marks mean is said once, after the last of them.
 * @param {any} data
 * @returns {Item[]}
 */
function codeItems({ codes, replay }) {
  if (!codes) return [];
  const line = { look: /** @type {"line"} */ ("line"), colour: "" };
  const moves = replay?.frames.some((/** @type {any} */ frame) => frame.codes);
  /** @type {Item[]} */
  const items = [{ name: "codes", text: codes.title || "Codes", look: "dot", colour: "" }];
  if (codes.cells) items.push({ name: "cells", text: "Cells", ...line });
  if (codes.trails || moves) items.push({ name: "trails", text: "Trails", ...line, colour: TRAIL });
  items[items.length - 1].help = [CODES_HELP, codes.unit_note].filter(Boolean).join(" ");
  return items;
}

/**
 * What the page's data have layers for.
 * @param {any} data
 * @returns {Item[]}
 */
function itemsOf(data) {
  const { backdrop, draws, ellipses, handle, heat, layers, points, race } = data;
  const { paths = [], polygons = [] } = data;
  /** @type {Item[]} */
  const items = [];
  const add = (/** @type {Item} */ item) =>
    items.some(({ name }) => name === item.name) || items.push(item);
  const plain = { look: /** @type {"plain"} */ ("plain"), colour: "" };
  if (heat && layers.heat !== false) add({ name: "heat", text: heat.title, look: "heat", colour: "" });
  if (points && layers.points) add({ name: "points", text: "Data points", ...plain });
  if (heat && backdrop && layers.backdrop) add({ name: "backdrop", text: "Decoded pictures", ...plain });
  codeItems(data).forEach(add);
  if (draws) add({ name: "draws", text: draws.label, look: "dot", colour: draws.colour });
  for (const { colour, dash, label } of ellipses ?? []) {
    add({ name: `ellipse ${label}`, text: label, look: dash ? "dash" : "line", colour });
  }
  for (const { colour, label } of race?.tracks ?? []) {
    add({ name: `track ${label}`, text: label, look: "line", colour });
  }
  for (const { colour, dash, label } of paths) {
    add({ name: `path ${label}`, text: label, look: dash ? "dash" : "line", colour });
  }
  for (const { colour, label } of polygons) {
    add({ name: `polygon ${label}`, text: label, look: "line", colour });
  }
  const { colour, label } = handle ?? {};
  if (handle) add({ name: "handle", text: label, look: "line", colour, help: HELP });
  return items;
}

export class Shown {
  /**
   * @param {HTMLElement} root
   * @param {import("./ground.js").Ground} ground
   * @param {() => void} changed
   */
  constructor(root, ground, changed) {
    this.root = root;
    this.ground = ground;
    this.changed = changed;
    /** @type {Map<string, boolean>} what was switched by hand */
    this.switched = new Map();
    this.data = /** @type {any} */ (null);
    this.built = "";
  }

  /**
   * Whether a layer is on. The decoded pictures are one of several backdrops; where there is a
   * heat map, they wait to be asked for.
   * @param {string} name
   * @returns {boolean}
   */
  on(name) {
    if (this.data?.layers[name] === false) return false;
    if (name === "backdrop" && !this.data?.heat) return this.ground.name === "backdrop";
    return this.switched.get(name) ?? name !== "backdrop";
  }

  /**
   * @param {any} data
   * @param {boolean} dark
   */
  take(data, dark) {
    this.data = data;
    this.ground.take(data, dark);
    const items = itemsOf(data);
    const text = JSON.stringify([items, dark]);
    if (text === this.built) return;
    this.built = text;
    this.root.replaceChildren(...items.flatMap((item) => this.row(item, dark)));
  }

  /**
   * A layer's switch, and what there is to say about it.
   * @param {Item} item
   * @param {boolean} dark
   */
  row({ colour, help, look, name, text }, dark) {
    const button = document.createElement("button");
    const swatch = document.createElement("i");
    button.type = "button";
    button.title = `Show or hide: ${text}`;
    swatch.className = look;
    swatch.style.color = colour;
    if (look === "heat") swatch.style.background = heatGradient(dark);
    button.append(swatch, text);
    const show = () => button.setAttribute("aria-pressed", String(this.on(name)));
    button.onclick = () => {
      this.switched.set(name, !this.on(name));
      show();
      this.changed();
    };
    show();
    if (look === "heat") return [button, this.scale(dark)];
    if (!help) return [button];
    const words = document.createElement("p");
    words.textContent = help;
    return [button, words];
  }

  /**
   * The colour bar.
   * @param {boolean} dark
   */
  scale(dark) {
    const box = document.createElement("div");
    box.className = "heat-scale";
    box.innerHTML = '<div class="bar"></div><div class="numbers"><i>0</i><i>highest</i></div>';
    const bar = /** @type {HTMLElement} */ (box.firstElementChild);
    bar.style.background = heatGradient(dark);
    return box;
  }
}
