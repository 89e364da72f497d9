/** The code map of one image, from its input to its error, with codes that a hand can change. */
import { Assets } from "./codemapassets.js";
import { ranked } from "./codemapbars.js";
import { Chooser } from "./codemapchooser.js";
import { Decoder } from "./codemapdecode.js";
import { cellName, CodeGrid, inksOn } from "./codemapgrid.js";
import { historyOf, sameCodes } from "./codemaphistory.js";
import { Levels } from "./codemaplevels.js";
import { NearPanel } from "./codemapnear.js";
import { BoundNumbers } from "./codemapnumbers.js";
import { Pictures } from "./codemappictures.js";
import { SecondMap } from "./codemapsecond.js";
import { readTheme } from "./colour.js";
import { Troubles } from "./troubles.js";

/** How long the hand rests before the page is told. */
const EDIT_REST_MS = 200;
/** How large the cell of a map with one cell is. */
const SINGLE_PX = 280;
class CodeMap {
  /** @param {ParentNode} root */
  constructor(root) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.root = /** @type {HTMLElement} */ (find(".codemap"));
    this.find = find;
    this.troubles = new Troubles(find(".trouble"), () => this.again());
    this.pictures = new Pictures(root, this.troubles);
    this.numbers = new BoundNumbers(root);
    this.near = new NearPanel(root);
    this.chooser = new Chooser(root, (code) => this.put(code));
    this.grid = new CodeGrid(find(".map .cells"), {
      point: (cell) => this.chooser.open || this.look(cell),
      walk: (cell) => this.look(cell),
      choose: (cell, byKey) => this.open(cell, byKey),
    });
    this.levels = new Levels(find(".levels"), (level) => {
      this.level = level;
      this.draw();
    });
    this.second = new SecondMap(root, this.troubles, () => this.markTarget());
    this.assets = new Assets(this.root, this.troubles, () => this.drawCell());
    this.decoder = new Decoder(this.troubles, (now, own) => {
      this.root.classList.remove("stale");
      this.pictures.show(now.image, this.edited);
      this.numbers.show(now, own, this.edited);
    });
    this.data = /** @type {CodeMapData} */ (/** @type {unknown} */ (null));
    this.history = /** @type {import("./codemaphistory.js").CodeHistory} */ (/** @type {unknown} */ (null));
    this.api = /** @type {any} */ (null);
    this.level = this.cell = this.timer = 0;
    /** @type {string[][]} */
    this.inks = [];
    this.coloured = "";
    this.stopped = true;
    this.life = new AbortController();
  }

  get edited() {
    return !sameCodes(this.history.now, this.history.own);
  }

  /** Levels, rows, columns. */
  get shape() {
    const { codes } = this.data;
    return [codes.length, codes[0].length, codes[0][0].length];
  }

  /** Listen, for the first time or again. */
  start() {
    this.life = new AbortController();
    const { signal } = this.life;
    const act = (/** @type {any} */ event) => {
      const { act: name } = event.target.closest("[data-act]")?.dataset ?? {};
      if (name) this.act(name);
    };
    this.root.addEventListener("click", act, { signal });
    this.root.addEventListener("keydown", (event) => this.key(event), { signal });
    this.root.addEventListener("pointerenter", () => this.troubles.poke(), { signal });
    window.addEventListener("online", () => this.troubles.poke(), { signal });
  }

  /**
   * Take what the page sent; only other codes change what is edited.
   * @param {CodeMapData} data
   * @param {any} api
   */
  update(data, api) {
    const of = this.data?.of;
    this.data = data;
    this.api = api;
    if (this.stopped) this.start();
    const [levels, height, width] = this.shape;
    this.root.style.colorScheme = readTheme(this.root).dark ? "dark" : "light";
    const single = height * width === 1;
    this.root.classList.toggle("single", single);
    this.root.style.setProperty("--side", `${single ? Math.min(SINGLE_PX, data.side) : data.side}px`);
    const coloured = JSON.stringify(data.colours);
    if (coloured !== this.coloured) this.inks = data.colours.map((row) => inksOn(row));
    this.coloured = coloured;
    if (this.stopped || of !== data.of) this.begin();
    this.stopped = false;
    this.find(".size").textContent = `${height} × ${width}` + (levels > 1 ? `, ${levels} levels` : "");
    this.grid.shape(height, width);
    this.grid.element.setAttribute("aria-label", `The codes of the image, ${height} rows of ${width}`);
    this.pictures.update(data.pictures);
    this.levels.update(levels);
    this.second.update(data.second);
    this.markTarget();
    this.again();
    this.draw();
  }

  /** Another image. */
  begin() {
    clearTimeout(this.timer);
    this.history = historyOf(`${this.data.key} ${this.data.of}`, this.data.codes.flat(2));
    this.level = Math.min(this.level, this.shape[0] - 1);
    this.cell = 0;
    this.chooser.close();
    if (this.edited) this.report();
  }

  /** Ask for all that is missing. */
  again() {
    const { data, history } = this;
    const url = (/** @type {number[]} */ codes) => `${data.decode}&codes=${codes.join(",")}`;
    this.decoder.want(url(history.now), url(history.own));
    this.root.classList.toggle("stale", !this.decoder.now);
    this.pictures.again();
    const sprites = data.palettes.map((palette) => palette.url);
    this.assets.want(sprites, data.distances, history.own.length * data.palettes[0].n);
  }

  /** Where copied codes would go. */
  markTarget() {
    this.grid.mark("target", (cell) => this.second.holds(cell));
  }

  /** @param {number} cell */
  look(cell) {
    this.cell = cell;
    this.drawCell();
  }

  /**
   * @param {number} cell
   * @param {boolean} byKey
   */
  open(cell, byKey) {
    this.chooser.element.hidden = false;
    this.look(cell);
    if (byKey) this.chooser.focus();
    else this.chooser.buttons[0].scrollIntoView({ block: "nearest" });
  }

  /** Close the chooser; the keys go back to the cell if they were in there. */
  close() {
    const { focused } = this.chooser;
    this.chooser.close();
    this.drawCell();
    if (focused) this.grid.focus(this.cell);
  }

  /** @param {number} code  for the cell that is chosen */
  put(code) {
    const codes = [...this.history.now];
    codes[this.place(this.cell)] = code;
    this.history.put(codes);
    this.changed();
  }

  /**
   * Where a cell of the level shown is in the list of all codes.
   * @param {number} cell
   */
  place(cell) {
    const [, height, width] = this.shape;
    return this.level * height * width + cell;
  }

  /** @param {string} name */
  act(name) {
    const { history } = this;
    const before = history.now;
    if (name === "close") return this.close();
    if (name === "undo") history.step(-1);
    else if (name === "redo") history.step(1);
    else if (name === "reset") history.put(history.own);
    else if (name === "copy") history.put(this.second.into(before));
    if (history.now !== before) this.changed();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const undo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    if (undo) this.act(event.shiftKey ? "redo" : "undo");
    else if (event.key === "Escape" && this.chooser.open) this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The codes are others now. */
  changed() {
    this.draw();
    this.again();
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.report(), EDIT_REST_MS);
  }

  report() {
    const codes = this.edited ? this.history.now : null;
    this.api.setStateValue("edited", { of: this.data.of, codes });
  }

  draw() {
    const { data, history, level } = this;
    const [levels, height, width] = this.shape;
    const [from, to] = [this.place(0), this.place(height * width)];
    const own = history.own.slice(from, to);
    const now = history.now.slice(from, to);
    const was = (/** @type {number} */ k) => (now[k] === own[k] ? "" : `, changed from ${own[k]}`);
    this.grid.fill(now, data.colours[level], this.inks[level], was);
    this.grid.mark("edited", (k) => now[k] !== own[k]);
    this.second.draw(level, data.colours[level], this.inks[level]);
    this.levels.mark(level);
    const of = `${history.edits} of ${history.own.length}`;
    const count = levels > 1 ? `${of} codes edited, on all levels` : `${of} ${history.own.length === 1 ? "cell" : "cells"} edited`;
    const status = this.find(".count");
    if (status.textContent !== count) status.textContent = count;
    const can = { undo: history.canUndo, redo: history.canRedo, reset: history.edits > 0 };
    for (const [act, able] of Object.entries(can)) {
      // Not really disabled: a button that is so loses the keys, and Ctrl+Z would not be heard.
      this.find(`[data-act=${act}]`).setAttribute("aria-disabled", String(!able));
    }
    this.pictures.note(history.edits > 0);
    this.drawCell();
  }

  /** What is shown of the cell that is pointed at. */
  drawCell() {
    const { assets, cell, chooser, data, history, level } = this;
    const { n } = data.palettes[level];
    const [levels, height, width] = this.shape;
    const k = this.place(cell);
    const [chosen, own] = [history.now[k], history.own[k]];
    const where = cellName(cell, height, width) + (levels > 1 ? `, level ${level + 1}` : "");
    const near = {
      ranked: assets.distances && ranked(assets.distances.subarray(k * n, (k + 1) * n)),
      level,
      chosen,
      own,
      colours: data.colours[level],
      palette: data.palettes[level],
      name: (/** @type {number} */ code) => [code, data.names?.[level][code]].filter((v) => v != null).join(" "),
      where,
    };
    this.near.show(near);
    if (chooser.open) chooser.show(near);
    this.root.classList.toggle("choosing", chooser.open);
    this.grid.mark("looked", (i) => i === cell);
    const below = Array.from({ length: level }, (_, l) => cell + l * height * width);
    const moved = below.some((i) => history.now[i] !== history.own[i]);
    const left = level ? ", of what the levels before had left of it," : "";
    this.find(".about b").textContent = `${where[0].toUpperCase()}${where.slice(1)}: code ${near.name(chosen)}`;
    this.find(".about span").textContent =
      (chosen === own ? "" : ` (the encoder chose ${near.name(own)})`) +
      `. Squared distances of the encoder's vector${left}${moved ? " before your edits," : ""}` +
      ` to all ${n} codes:`;
  }

  stop() {
    clearTimeout(this.timer);
    this.life.abort();
    this.troubles.stop();
    this.decoder.stop();
    this.stopped = true;
  }
}

/** @type {WeakMap<object, CodeMap>} */
const codeMaps = new WeakMap();

/**
 * Called by Streamlit when the component appears and whenever its data or the theme change.
 * @param {any} component
 */
export default function render(component) {
  const { data, parentElement } = component;
  const map = codeMaps.get(parentElement) ?? new CodeMap(parentElement);
  codeMaps.set(parentElement, map);
  map.update(data, component);
  return () => map.stop();
}
