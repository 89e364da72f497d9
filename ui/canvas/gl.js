/** Points by WebGL: positions are uploaded once, a view is a few numbers. */

const VERTEX = /* glsl */ `
  attribute float x, y, tint;
  uniform vec2 centre, middle, sheet;
  uniform float unit, size, shown[64];
  varying float column;
  void main() {
    vec2 pixel = floor((vec2(x, y) - centre) * vec2(unit, -unit) + middle + 0.5);
    bool on = shown[int(tint + 0.5)] > 0.5;
    gl_Position = on ? vec4(pixel / sheet * vec2(2, -2) + vec2(-1, 1), 0, 1) : vec4(2, 2, 2, 1);
    gl_PointSize = size;
    column = tint;
  }`;

const FRAGMENT = /* glsl */ `
  precision highp float;
  uniform sampler2D stamps;
  uniform float count;
  varying float column;
  void main() {
    vec2 place = vec2((floor(column + 0.5) + gl_PointCoord.x) / count, gl_PointCoord.y);
    gl_FragColor = texture2D(stamps, place);
  }`;

const GL_SOURCES = /** @type {const} */ ([
  ["VERTEX_SHADER", VERTEX],
  ["FRAGMENT_SHADER", FRAGMENT],
]);
const GL_ATTRIBUTES = ["x", "y", "tint"];

const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** The one canvas for WebGL of a page: browsers allow few. Told of what happens to it. */
const glEvents = new EventTarget();
/** @type {{kind: "hardware" | "software" | "none", painter: Painter | null} | null} */
let webgl = null;

/**
 * What there is: WebGL on a graphics processor, in software (slower than `stamping.js`), or none.
 * @returns {"hardware" | "software" | "none"}
 */
export function webglKind() {
  webgl ??= openWebgl();
  return webgl.kind;
}

function openWebgl() {
  const canvas = document.createElement("canvas");
  const wish = { antialias: false, depth: false, stencil: false };
  const gl = /** @type {WebGLRenderingContext | null} */ (
    canvas.getContext("webgl2", wish) ?? canvas.getContext("webgl", wish)
  );
  if (!gl) return { kind: /** @type {const} */ ("none"), painter: null };
  const about = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(about ? about.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  if (!SOFTWARE.test(name)) {
    return { kind: /** @type {const} */ ("hardware"), painter: new Painter(canvas, gl) };
  }
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return { kind: /** @type {const} */ ("software"), painter: null };
}

/**
 * Be told when the graphics processor is lost or there again: what it drew may be blank.
 * @param {() => void} changed
 * @param {AbortSignal} signal
 */
export function watchWebgl(changed, signal) {
  glEvents.addEventListener("changed", changed, { signal });
}

/**
 * Draw the shown points as `stampByHand` does, or return null if that has to.
 * @param {import("./dots.js").Dots} dots
 * @returns {HTMLCanvasElement | null}
 */
export function drawByGl(dots) {
  return webglKind() === "hardware" ? (webgl?.painter?.draw(dots) ?? null) : null;
}

class Painter {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {WebGLRenderingContext} gl
   */
  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    /** @type {Map<string, WebGLUniformLocation | null>} */
    this.uniforms = new Map();
    /** @type {Map<string, WebGLBuffer | null>} */
    this.buffers = new Map();
    /** What has been uploaded. */
    this.held = { columns: /** @type {any} */ (null), tints: /** @type {any} */ (null), name: "" };
    this.ready = this.prepare();
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // or it would never be restored
      this.ready = false;
      glEvents.dispatchEvent(new Event("changed"));
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.ready = this.prepare();
      glEvents.dispatchEvent(new Event("changed"));
    });
  }

  /** Compile, and set what stays as it is; false if this WebGL cannot do it. */
  prepare() {
    const { gl } = this;
    const program = gl.createProgram();
    if (!program) return false;
    for (const [type, source] of GL_SOURCES) {
      const shader = gl.createShader(gl[type]);
      if (!shader) return false;
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    GL_ATTRIBUTES.forEach((name, place) => gl.bindAttribLocation(program, place, name));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return false;
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    this.buffers = new Map(GL_ATTRIBUTES.map((name) => [name, gl.createBuffer()]));
    const uniforms = ["centre", "middle", "sheet", "unit", "size", "count", "shown"];
    this.uniforms = new Map(uniforms.map((name) => [name, gl.getUniformLocation(program, name)]));
    this.held = { columns: null, tints: null, name: "" };
    return true;
  }

  /**
   * One number a point.
   * @param {"x" | "y" | "tint"} name
   * @param {Float32Array | Uint8Array} numbers
   */
  upload(name, numbers) {
    const { gl } = this;
    const place = GL_ATTRIBUTES.indexOf(name);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.get(name) ?? null);
    gl.bufferData(gl.ARRAY_BUFFER, numbers, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 1, name === "tint" ? gl.UNSIGNED_BYTE : gl.FLOAT, false, 0, 0);
  }

  /** @param {import("./dots.js").Dots} dots */
  draw({ columns, height, shown, stamps, tints, unit, view, width, zero }) {
    const { canvas, gl, held } = this;
    if (!this.ready || gl.isContextLost()) return null;
    if (held.columns !== columns) {
      this.upload("x", columns.x);
      this.upload("y", columns.y);
      held.columns = columns;
    }
    if (held.tints !== tints) {
      this.upload("tint", tints);
      held.tints = tints;
    }
    if (held.name !== stamps.name) {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, stamps.sheet);
      held.name = stamps.name;
    }
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const at = (/** @type {string} */ name) => this.uniforms.get(name) ?? null;
    // Counted from the middle of the view, single precision is enough however near one comes.
    const [cx, cy] = [(view[0] + view[1]) / 2, (view[2] + view[3]) / 2].map(Math.fround);
    gl.viewport(0, 0, width, height);
    gl.uniform2f(at("centre"), cx, cy);
    gl.uniform2f(at("middle"), zero[0] + cx * unit, zero[1] - cy * unit);
    gl.uniform2f(at("sheet"), width, height);
    gl.uniform1f(at("unit"), unit);
    gl.uniform1f(at("size"), stamps.size);
    gl.uniform1f(at("count"), stamps.count);
    gl.uniform1fv(at("shown"), Float32Array.from(shown));
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.drawArrays(gl.POINTS, 0, columns.count);
    return canvas;
  }
}
