/** What pointer and keys do to the plane. */
import { Drift } from "./drift.js";

const CALM = 4;

/**
 * @param {import("./plane.js").Plane} plane
 * @returns {import("./gestures.js").Handlers}
 */
export function handlersOf(plane) {
  const { camera, chosen, handle, hover, lasso, picks, race } = plane;
  /** @type {(second?: boolean) => [number, number]} where the cursor of the keys is */
  const spot = (second = hover.second) => {
    const pick = (second && picks.list[1]?.p) || picks.current;
    return hover.pending ?? (lasso.drawing ? lasso.last : pick) ?? camera.centre;
  };
  const move = (/** @type {number} */ dx, /** @type {number} */ dy) => {
    const [x, y] = spot();
    hover.pending = [x + dx * camera.span, y + dy * camera.span];
    hover.pointer = null;
    plane.redraw(false);
  };
  const drift = new Drift(move, () => {
    if (hover.pending && !lasso.drawing) chosen.commit(hover.pending, hover.second, false);
  });
  plane.life.signal.addEventListener("abort", () => drift.drop());
  const afterLoop = (/** @type {boolean} */ done) => {
    if (!lasso.drawing) hover.pending = null;
    return done;
  };
  const inHand = () => plane.shown.on("handle");
  return {
    hover: (px, py) => {
      plane.canvas.classList.toggle("graspable", inHand() && handle.at(px, py, false) >= 0);
      const { clicked } = hover;
      if (clicked && Math.hypot(px - clicked[0], py - clicked[1]) < CALM) return;
      hover.clicked = null;
      hover.pointer = [px, py];
      plane.redraw(false);
    },
    leave: () => {
      hover.clicked = hover.pointer = hover.hit = null;
      plane.redraw(false);
    },
    click: (px, py, shift, touch) => {
      hover.clicked = [px, py];
      chosen.commit(camera.place([px, py]), shift, true, touch);
    },
    pan: (dx, dy) => {
      hover.clicked = null;
      camera.pan(dx, dy);
    },
    zoom: (factor, px, py) => camera.zoom(factor, camera.place([px, py])),
    zoomCentre: (factor) => camera.zoom(factor, camera.centre),
    reset: () => camera.reset(),
    press: (key, shift) => {
      if (!hover.pending) hover.second = shift;
      drift.press(key);
    },
    lift: (key) => drift.lift(key),
    enter: (shift) => lasso.corner(spot()) || chosen.commit(spot(shift), shift, true),
    blur: () => {
      drift.drop();
      hover.pending = null;
      plane.redraw(false);
    },
    escape: () => afterLoop(lasso.giveUp()),
    space: () => {
      if (lasso.drawing) return afterLoop(lasso.close());
      if (race.data) race.toggle();
      return race.data !== null;
    },
    grab: (px, py, touch) => lasso.begin(px, py) || (inHand() && handle.grab(px, py, touch)),
    drag: (px, py) => (lasso.drawing ? lasso.add(px, py) : handle.drag(px, py)),
    drop: () => (lasso.drawing ? lasso.close() : handle.drop()),
  };
}
