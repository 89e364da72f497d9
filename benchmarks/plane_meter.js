/**
 * Runs in the page before anything else: how long its scripts run for each frame, and how far
 * frames are apart. Every listener, frame callback and timer of the page is wrapped by a clock.
 */
(() => {
  const meter = { on: false, script: 0, last: 0, frames: [] };
  window.meter = meter;
  let depth = 0;
  const timed = (f) =>
    function (...given) {
      const from = performance.now();
      depth++;
      try {
        return f.apply(this, given);
      } finally {
        if (--depth === 0) meter.script += performance.now() - from;
      }
    };
  const frame = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (f) => frame(timed(f));
  const later = window.setTimeout.bind(window);
  window.setTimeout = (f, ...rest) => later(typeof f === "function" ? timed(f) : f, ...rest);
  const wrapped = new WeakMap();
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  EventTarget.prototype.addEventListener = function (name, f, options) {
    if (typeof f !== "function") return addEventListener.call(this, name, f, options);
    if (!wrapped.has(f)) wrapped.set(f, timed(f));
    return addEventListener.call(this, name, wrapped.get(f), options);
  };
  EventTarget.prototype.removeEventListener = function (name, f, options) {
    return removeEventListener.call(this, name, wrapped.get(f) ?? f, options);
  };

  // A message sent in a frame arrives after all its callbacks: then the frame's script is known.
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data: now }) => {
    const before = meter.frames[meter.frames.length - 1];
    if (before) before[1] = now - meter.last; // what this frame did delays the next one
    if (meter.on) meter.frames.push([meter.script, 0]);
    meter.script = 0;
    meter.last = now;
  };
  const tick = (now) => {
    port2.postMessage(now);
    frame(tick);
  };
  frame(tick);
  meter.start = () => Object.assign(meter, { on: true, script: 0, frames: [] });
  meter.stop = () => {
    meter.on = false;
    return meter.frames.slice(0, -1);
  };
})();
