/** What pointer and keys do to the plane. */

const CALM = 4;
const STEP = 0.02;

/**
 * @param {import("./plane.js").Plane} plane
 * @returns {import("./gestures.js").Handlers}
 */
export function handlersOf(plane) {
  const { camera, handle, picks, race } = plane;
  /** @type {() => [number, number]} */
  const spot = () => plane.pending ?? picks.current ?? camera.centre;
  const inHand = () => plane.shown.on("handle");
  return {
    hover: (px, py) => {
      plane.canvas.classList.toggle("graspable", inHand() && handle.at(px, py, false) >= 0);
      const { clicked } = plane;
      if (clicked && Math.hypot(px - clicked[0], py - clicked[1]) < CALM) return;
      plane.clicked = null;
      plane.pointer = [px, py];
      plane.redraw(false);
    },
    leave: () => {
      plane.clicked = plane.pointer = plane.hit = null;
      plane.redraw(false);
    },
    click: (px, py, shift) => {
      plane.clicked = [px, py];
      plane.commit(camera.place([px, py]), shift);
    },
    pan: (dx, dy) => camera.pan(dx, dy),
    zoom: (factor, px, py) => camera.zoom(factor, camera.place([px, py])),
    zoomCentre: (factor) => camera.zoom(factor, camera.centre),
    reset: () => camera.reset(),
    nudge: (dx, dy) => {
      const [x, y] = spot();
      plane.pending = [x + dx * STEP * camera.span, y + dy * STEP * camera.span];
      plane.pointer = null;
      plane.redraw(false);
    },
    enter: (shift) => plane.commit(spot(), shift),
    blur: () => {
      plane.pending = null;
      plane.redraw(false);
    },
    space: () => {
      if (race.data) race.toggle();
      return race.data !== null;
    },
    grab: (px, py, touch) => inHand() && handle.grab(px, py, touch),
    drag: (px, py) => handle.drag(px, py),
    drop: () => handle.drop(),
  };
}
