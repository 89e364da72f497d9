/** Pointer, wheel and keys, told apart and handed on. */
import { ARROWS } from "./drift.js";

const CLICK_REACH = 4;
const TAP_REACH = 8;
const DOUBLE_CLICK_MS = 350;
const LONG_PRESS_MS = 350;
/** A wheel that scrolls the page goes on scrolling it when the plane comes under the pointer. */
const SCROLL_MS = 250;

/**
 * @typedef {{
 *   hover: (px: number, py: number) => void,
 *   leave: () => void,
 *   click: (px: number, py: number, shift: boolean, touch: boolean) => void,
 *   pan: (dx: number, dy: number) => void,
 *   zoom: (factor: number, px: number, py: number) => void,
 *   zoomCentre: (factor: number) => void,
 *   reset: () => void,
 *   press: (key: string, shift: boolean) => void,
 *   lift: (key: string) => void,
 *   enter: (shift: boolean) => void,
 *   blur: () => void,
 *   space: () => boolean,
 *   escape: () => boolean,
 *   grab: (px: number, py: number, touch: boolean) => boolean,
 *   drag: (px: number, py: number) => void,
 *   drop: () => void,
 * }} Handlers
 *
 * press, lift: an arrow key goes down, and up again; space, escape: whether it did anything; grab:
 * whether something was taken in hand, which drag and drop then move, and which is never a click
 */

/**
 * Listen on a canvas until the signal aborts.
 * @param {HTMLCanvasElement} canvas
 * @param {Handlers} on
 * @param {AbortSignal} signal
 */
export function listen(canvas, on, signal) {
  listenToPointer(canvas, on, signal);
  let scrolled = -Infinity;
  const scrolls = { capture: true, passive: true, signal };
  document.addEventListener("scroll", ({ timeStamp }) => (scrolled = timeStamp), scrolls);
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (event.timeStamp - scrolled < SCROLL_MS) return;
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      const amount = Math.max(-240, Math.min(240, event.deltaY * lines));
      on.zoom(Math.exp(-amount / 400), event.offsetX, event.offsetY);
    },
    { passive: false, signal },
  );
  canvas.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key in ARROWS) on.press(event.key, event.shiftKey);
      else if (event.key === "Enter") on.enter(event.shiftKey);
      else if (event.key === "+" || event.key === "=") on.zoomCentre(1.25);
      else if (event.key === "-") on.zoomCentre(1 / 1.25);
      else if (event.key === "0") on.reset();
      else if (!(event.key === " " && on.space()) && !(event.key === "Escape" && on.escape())) return;
      canvas.classList.remove("pointed");
      event.preventDefault();
      event.stopPropagation();
    },
    { signal },
  );
  canvas.addEventListener("keyup", ({ key }) => key in ARROWS && on.lift(key), { signal });
  canvas.addEventListener(
    "blur",
    () => {
      canvas.classList.remove("pointed");
      on.blur();
    },
    { signal },
  );
}

/**
 * One finger drags or clicks, two pinch; one that rests before it moves is followed as a mouse is,
 * and clicks where it is lifted.
 * @param {HTMLCanvasElement} canvas
 * @param {Handlers} on
 * @param {AbortSignal} signal
 */
function listenToPointer(canvas, on, signal) {
  /** @type {Map<number, [number, number]>} */
  const down = new Map();
  let start = [0, 0];
  let dragged = false;
  let last = { time: -Infinity, x: 0, y: 0 };
  let holding = -1;
  let flowing = -1;
  let pressing = 0;
  let reach = CLICK_REACH;
  const far = (/** @type {number} */ dx, /** @type {number} */ dy) => Math.hypot(dx, dy) >= reach;
  signal.addEventListener("abort", () => clearTimeout(pressing));

  /** The finger rests: the image is to flow under it. */
  const flow = (/** @type {number} */ id) => {
    if (dragged || down.size !== 1) return;
    flowing = id;
    down.delete(id);
    follow(start[0], start[1]);
  };

  /** Classes say where the finger is, so that the picture is not under it. */
  const follow = (/** @type {number} */ px, /** @type {number} */ py) => {
    canvas.classList.toggle("flowing", flowing !== -1);
    canvas.classList.toggle("leftwards", px < canvas.clientWidth / 2);
    on.hover(px, py);
  };

  /** A finger that was followed is gone, or another one came. */
  const still = () => {
    clearTimeout(pressing);
    if (flowing === -1) return;
    flowing = -1;
    canvas.classList.remove("flowing");
    on.leave();
  };

  const release = (/** @type {PointerEvent} */ event) => {
    if (holding !== event.pointerId) return;
    holding = -1;
    canvas.classList.remove("dragging");
    on.drop();
  };

  canvas.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0) return;
      canvas.classList.add("pointed");
      canvas.setPointerCapture(event.pointerId);
      if (holding !== -1) return;
      still();
      const touch = event.pointerType === "touch";
      reach = touch ? TAP_REACH : CLICK_REACH;
      if (down.size === 0 && on.grab(event.offsetX, event.offsetY, touch)) {
        holding = event.pointerId;
        canvas.classList.add("dragging");
        return;
      }
      if (down.size === 0) {
        start = [event.offsetX, event.offsetY];
        dragged = false;
        if (touch) pressing = window.setTimeout(() => flow(event.pointerId), LONG_PRESS_MS);
      } else {
        dragged = true;
      }
      down.set(event.pointerId, [event.offsetX, event.offsetY]);
    },
    { signal },
  );

  canvas.addEventListener(
    "pointermove",
    (event) => {
      if (holding !== -1) {
        if (holding === event.pointerId) on.drag(event.offsetX, event.offsetY);
        return;
      }
      const before = down.get(event.pointerId);
      if (!before) {
        if (event.pointerType !== "touch" || flowing === event.pointerId)
          follow(event.offsetX, event.offsetY);
        return;
      }
      const now = /** @type {[number, number]} */ ([event.offsetX, event.offsetY]);
      dragged ||= far(now[0] - start[0], now[1] - start[1]);
      if (!dragged) return;
      canvas.classList.add("dragging");
      const others = [...down].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      down.set(event.pointerId, now);
      const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
      if (others.length === 0) {
        on.pan(dx, dy);
      } else {
        const [ox, oy] = others[0];
        const was = Math.hypot(before[0] - ox, before[1] - oy) || 1;
        on.pan(dx / 2, dy / 2);
        on.zoom(Math.hypot(now[0] - ox, now[1] - oy) / was, (now[0] + ox) / 2, (now[1] + oy) / 2);
      }
    },
    { signal },
  );

  canvas.addEventListener(
    "pointerup",
    (event) => {
      release(event);
      clearTimeout(pressing);
      const touch = event.pointerType === "touch";
      if (flowing === event.pointerId) {
        flowing = -1;
        canvas.classList.remove("flowing");
        on.click(event.offsetX, event.offsetY, event.shiftKey, touch);
      }
      if (!down.delete(event.pointerId) || down.size > 0) return;
      canvas.classList.remove("dragging");
      if (dragged) return;
      const [x, y] = start;
      const again = event.timeStamp - last.time < DOUBLE_CLICK_MS && !far(x - last.x, y - last.y);
      last = { time: again ? -Infinity : event.timeStamp, x, y };
      if (again) on.reset();
      else on.click(x, y, event.shiftKey, touch);
    },
    { signal },
  );

  canvas.addEventListener(
    "pointercancel",
    (event) => {
      release(event);
      still();
      down.delete(event.pointerId);
      canvas.classList.remove("dragging");
    },
    { signal },
  );
  canvas.addEventListener("contextmenu", (event) => flowing !== -1 && event.preventDefault(), {
    signal,
  });
  canvas.addEventListener(
    "pointerleave",
    (event) => event.pointerType !== "touch" && on.leave(),
    { signal },
  );
}
