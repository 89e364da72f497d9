/** The latent plane: keeps the parts together and talks to Streamlit. */
import { Camera } from "./camera.js";
import { Chosen } from "./chosen.js";
import { Codes } from "./codes.js";
import { readTheme } from "./colour.js";
import { marksOf, sceneOf } from "./compose.js";
import { listen } from "./gestures.js";
import { watchWebgl } from "./gl.js";
import { Ground } from "./ground.js";
import { Handle } from "./handle.js";
import { handlersOf } from "./hands.js";
import { Hover } from "./hover.js";
import { Lasso } from "./lasso.js";
import { Layers } from "./layers.js";
import { buildLegend } from "./legend.js";
import { drawMarks } from "./marks.js";
import { Panel } from "./panel.js";
import { Picks } from "./picks.js";
import { Race } from "./race.js";
import { Replay } from "./replay.js";
import { drawScene } from "./scene.js";
import { Shown } from "./shown.js";
import { Surface } from "./surface.js";
import { Troubles } from "./troubles.js";

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
    this.troubles = new Troubles(find(".status"), () => {
      this.layers.again();
      this.replay.film.again();
      this.chosen.again();
    });
    this.panel = new Panel(root, this.troubles);
    this.picks = new Picks((moved) => this.chosen.picksTaken(moved));
    this.codes = new Codes();
    this.layers = new Layers((what) => this.layerTaken(what), this.troubles);
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
    this.ground = new Ground(find(".ground"), () => {
      this.layers.takeField(this.ground.field, this.theme.dark);
      this.redraw();
    });
    this.shown = new Shown(find(".layers"), this.ground, () => {
      this.race.draw();
      this.redraw();
    });
    this.lasso = new Lasso(
      find(".lasso"),
      this.canvas,
      this.camera,
      () => this.redraw(false),
      (loop) => this.api.setTriggerValue("lasso", loop),
    );
    /** @type {[number, number] | null} the place whose picture a flipbook shows */
    this.walker = null;
    this.hover = new Hover(this);
    this.chosen = new Chosen(this);
    this.replay = new Replay(find(".replay"), this);
    this.sceneStale = true;
    this.drawing = 0;
    this.life = new AbortController();
    const { signal } = this.life;
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.stage);
    window.addEventListener("resize", () => this.layout(), { signal });
    window.addEventListener("online", () => this.troubles.poke(), { signal });
    this.root.addEventListener("pointermove", () => this.troubles.poke(), { signal });
    watchWebgl(() => this.redraw(), signal);
    document.addEventListener("latent-walk", (event) => this.walk(event), { signal });
    listen(this.canvas, handlersOf(this), signal);
    find(".reset").addEventListener("click", () => this.camera.reset(), { signal });
  }

  /** Free everything. */
  stop() {
    this.life.abort();
    this.observer.disconnect();
    const { camera, handle, layers, panel, picks, race, replay, troubles } = this;
    for (const part of [camera, handle, layers, panel, picks, race, replay, troubles]) part.stop();
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
    this.root.classList.toggle("still", !data.backdrop);
    const [across, upwards] = data.axes;
    this.canvas.ariaLabel = `Latent plane: ${across} to the right, ${upwards} upwards`;
    if (before?.view_key !== data.view_key) {
      this.camera.begin(data.view);
      if (before && !data.picks.length) this.chosen.forget();
    }
    this.codes.take(data.codes ?? null);
    if (!this.replay.take(data.replay ?? null)) {
      this.layers.takePoints(data.points);
      this.layers.takeBackdrop(data.backdrop, this.theme.ink);
    }
    this.layers.takeHeat(data.heat ?? null, this.theme.dark);
    this.shown.take(data, this.theme.dark);
    this.layers.takeField(this.ground.field, this.theme.dark);
    this.race.take(data.race ?? null, this.theme);
    this.handle.receive(data.handle ?? null);
    this.picks.receive(data.picks);
    this.lasso.take(data.lasso ?? null, data.polygons ?? []);
    this.chosen.refresh();
    this.layout();
  }

  /** @param {import("./layers.js").Fetched} what */
  layerTaken(what) {
    if (what === "backdrop") this.chosen.remix();
    if (what === "field") {
      this.ground.measure(this.layers.field?.grey.range ?? null, this.theme.dark);
    }
    if (what === "points") {
      const meta = this.layers.points?.meta ?? null;
      const legendOf = JSON.stringify(meta && { ...meta, url: "" });
      if (legendOf !== this.legendOf) {
        this.legendOf = legendOf;
        this.hover.hit = null;
        buildLegend(this.legend, meta, this.layers.hidden, () => this.redraw());
      }
    }
    this.redraw();
  }

  /** A flipbook shows another picture. @param {any} event */
  walk({ detail }) {
    this.walker = detail.p;
    this.redraw(false);
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
    const [scene, moving] = this.surfaces;
    this.hover.describe();
    if (this.sceneStale) drawScene(scene.clear(), sceneOf(this), scene.ratio);
    this.sceneStale = false;
    drawMarks(moving.clear(), marksOf(this));
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
