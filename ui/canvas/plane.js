/** The latent plane: keeps the parts together and talks to Streamlit. */
import { Camera } from "./camera.js";
import { readTheme } from "./colour.js";
import { listen } from "./gestures.js";
import { Handle } from "./handle.js";
import { handlersOf } from "./hands.js";
import { Layers } from "./layers.js";
import { buildLegend } from "./legend.js";
import { drawMarks } from "./marks.js";
import { Panel } from "./panel.js";
import { Picks } from "./picks.js";
import { Race } from "./race.js";
import { drawScene } from "./scene.js";
import { Shown } from "./shown.js";
import { Surface } from "./surface.js";
import { written } from "./view.js";

const REACH = 8;
const PICK_DELAY_MS = 250;
const ACTS = ["Click to decode.", "Enter decodes."];

export class Plane {
  /** @param {ParentNode} root */
  constructor(root) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.root = /** @type {HTMLElement} */ (find(".plane"));
    this.stage = /** @type {HTMLElement} */ (find(".stage"));
    this.canvas = /** @type {HTMLCanvasElement} */ (find(".marks"));
    this.surfaces = [find(".scene"), this.canvas].map((canvas) => new Surface(canvas));
    this.legend = /** @type {HTMLElement} */ (find(".labels"));
    this.legendOf = "";
    /** What the page sent last, and how to answer it. */
    this.data = /** @type {any} */ (null);
    this.api = /** @type {any} */ (null);
    this.theme = readTheme(this.root);
    this.panel = new Panel(root);
    this.picks = new Picks((moved) => this.picksTaken(moved));
    this.layers = new Layers(
      (what) => this.layerTaken(what),
      (what, sentence) => this.panel.trouble(what, sentence),
    );
    this.camera = new Camera(
      (moved) => {
        this.root.classList.toggle("moved", moved);
        this.redraw();
      },
      (view) => this.api.setStateValue("view", view.map((v) => Number(v.toFixed(6)))),
    );
    this.handle = new Handle(
      find(".grip"),
      this.camera,
      () => this.redraw(false),
      (q) => this.api.setTriggerValue("q", q),
    );
    this.race = new Race(
      find(".race"),
      ({ label }) => this.shown.on(`track ${label}`),
      () => this.redraw(false),
    );
    this.shown = new Shown(find(".layers"), () => {
      this.race.draw();
      this.redraw();
    });
    /** @type {[number, number] | null} */
    this.pointer = null;
    /** @type {[number, number] | null} a pixel whose decoded picture stays until it is left */
    this.clicked = null;
    /** @type {[number, number] | null} where the keys have moved the pick, not decoded yet */
    this.pending = null;
    /** @type {import("./layers.js").Datum | null} */
    this.hit = null;
    /** Where the resting picture was decoded, and by which URL. */
    this.resting = { p: /** @type {[number, number] | null} */ (null), by: "" };
    this.lastPick = /** @type {object | null} */ (null);
    this.sceneStale = true;
    this.drawing = 0;
    this.life = new AbortController();
    const { signal } = this.life;
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.stage);
    window.addEventListener("resize", () => this.layout(), { signal });
    listen(this.canvas, handlersOf(this), signal);
    find(".reset").addEventListener("click", () => this.camera.reset(), { signal });
  }

  /** Free everything. */
  stop() {
    this.life.abort();
    this.observer.disconnect();
    const { camera, handle, layers, panel, picks, race } = this;
    for (const part of [camera, handle, layers, panel, picks, race]) part.stop();
    cancelAnimationFrame(this.drawing);
  }

  /**
   * Take what the page sent; called on every change of data or theme.
   * @param {any} data
   * @param {any} api
   */
  update(data, api) {
    const before = this.data;
    this.data = data;
    this.api = api;
    this.theme = readTheme(this.root);
    this.root.style.setProperty("--height", `${data.height}px`);
    this.root.classList.toggle("undecoded", data.decode === null);
    if (before?.view_key !== data.view_key) {
      this.camera.begin(data.view);
      if (before && !data.picks.length) this.forget();
    }
    this.layers.takePoints(data.points);
    this.layers.takeBackdrop(data.backdrop, this.theme.ink);
    this.layers.takeHeat(data.heat ?? null, this.theme.dark);
    this.shown.take(data, this.theme.dark);
    this.race.take(data.race ?? null, this.theme);
    this.handle.receive(data.handle ?? null);
    this.picks.receive(data.picks);
    if (this.resting.p && this.resting.by !== data.decode) this.decode(this.resting.p, "");
    this.layout();
  }

  /** Another space: what was picked in the last one means nothing here. */
  forget() {
    this.resting = { p: null, by: "" };
    this.pending = this.pointer = this.clicked = this.hit = null;
    this.panel.forget();
  }

  /** @param {import("./layers.js").Fetched} what */
  layerTaken(what) {
    if (what === "backdrop" && !this.data.decode && this.resting.p) this.decode(this.resting.p, "");
    if (what === "points") {
      const meta = this.layers.points?.meta ?? null;
      const legendOf = JSON.stringify(meta && { ...meta, url: "" });
      if (legendOf !== this.legendOf) {
        this.legendOf = legendOf;
        this.hit = null;
        buildLegend(this.legend, meta, this.layers.hidden, () => this.redraw());
      }
    }
    this.redraw();
  }

  /** @param {boolean} moved */
  picksTaken(moved) {
    this.pending = null;
    if (moved && this.picks.current) this.decode(this.picks.current, "");
    this.redraw(false);
  }

  /**
   * Mark a place (or the datum there), decode it, then tell the page.
   * @param {[number, number]} place
   * @param {boolean} shift
   */
  async commit(place, shift) {
    const hit = this.datumAt(place);
    const [x, y] = hit?.p ?? place;
    const p = /** @type {[number, number]} */ ([Number(x.toFixed(6)), Number(y.toFixed(6))]);
    const pick = { p, index: hit?.index ?? null, shift };
    this.lastPick = pick;
    this.pending = this.pointer = null;
    this.hit = hit;
    this.picks.choose(p, shift);
    const slow = new Promise((done) => setTimeout(done, PICK_DELAY_MS));
    await Promise.race([this.decode(p, hit?.about ?? ""), slow]);
    if (this.lastPick === pick && !this.life.signal.aborted) this.api.setTriggerValue("pick", pick);
  }

  /**
   * Fetch the exact picture of a place; the mix stands in for it, and where the page names no
   * decoder (the weights of a past epoch are gone) the mix is all there is.
   * @param {[number, number]} p
   * @param {string} about
   */
  async decode(p, about) {
    const by = this.data.decode;
    this.resting = { p, by };
    const words = { z: this.words(p), about };
    if (!by) {
      this.panel.settle(this.layers.preview(p), words);
      this.redraw(false);
      this.describe();
      return;
    }
    const done = this.panel.decode(`${by}&p=${p[0]},${p[1]}`, words, this.layers.preview(p));
    this.redraw(false);
    await done;
    this.describe();
  }

  /** @param {[number, number]} place */
  datumAt(place) {
    return this.shown.on("points") ? this.layers.datumAt(place, REACH / this.camera.unit) : null;
  }

  /** @param {[number, number]} place */
  words(place) {
    const [a, b] = this.data.axes;
    return `${a} = ${written(place[0], 2)}, ${b} = ${written(place[1], 2)}`;
  }

  /** Show what lies under the pointer or the moved pick; without either, the decoded picture. */
  describe() {
    const place = this.pointer ? this.camera.place(this.pointer) : this.pending;
    if (!place) {
      this.panel.rest();
      return;
    }
    this.hit = this.datumAt(place);
    const grey = this.layers.preview(place);
    const act = this.data.decode === null ? "" : ACTS[this.pointer ? 0 : 1];
    const about = this.hit?.about ?? (grey ? "" : act);
    const words = { z: this.words(place), about };
    this.panel.show(grey, grey ? "Preview" : "", words, !this.pointer);
  }

  /** Follow the size of the stage. */
  layout() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    for (const surface of this.surfaces) surface.fit(width, height);
    this.camera.resize(width, height);
    this.redraw();
  }

  /**
   * Draw in the next frame: the marks, and the scene too unless told otherwise.
   * @param {boolean} scene
   */
  redraw(scene = true) {
    this.sceneStale ||= scene;
    this.drawing ||= requestAnimationFrame(() => {
      this.drawing = 0;
      this.draw();
    });
  }

  draw() {
    const { layers, pending, picks, shown, theme } = this;
    const { axes, draws, ellipses, marks, path } = this.data;
    const { frame, view } = this.camera;
    const [scene, moving] = this.surfaces;
    this.describe();
    if (this.sceneStale) {
      this.sceneStale = false;
      const overlays = {
        draws: shown.on("draws") ? (draws ?? null) : null,
        ellipses: (ellipses ?? []).filter((/** @type {any} */ e) => shown.on(`ellipse ${e.label}`)),
      };
      const points = shown.on("points") ? layers.points : null;
      const backdrop = shown.on("backdrop") ? layers.backdrop : null;
      const heat = shown.on("heat") ? layers.heat : null;
      const { visible } = layers;
      const all = { view, frame, theme, axes, points, visible, backdrop, heat, overlays };
      drawScene(scene.clear(), all, scene.ratio);
    }
    const moved = pending && { p: pending, label: picks.list[0]?.label ?? "A" };
    const list = moved ? [moved, ...picks.list.slice(1)] : picks.list;
    const race = this.race.data && this.race;
    const handle = shown.on("handle") ? this.handle : null;
    const places = marks ?? [];
    const all = { view, frame, theme, picks: list, path, hit: this.hit, places, race, handle };
    drawMarks(moving.clear(), all);
  }
}

/** @type {WeakMap<object, Plane>} */
const planes = new WeakMap();

/**
 * Called by Streamlit when the component appears and whenever its data or the theme change.
 * @param {any} component
 */
export default function render(component) {
  const { data, parentElement } = component;
  const plane = planes.get(parentElement) ?? new Plane(parentElement);
  planes.set(parentElement, plane);
  plane.update(data, component);
  return () => {
    plane.stop();
    planes.delete(parentElement);
  };
}
