/** What a code map fetches besides pictures: the sprites of its codes, and the distances to them. */
import { spriteOf } from "./codemappatch.js";
import { once } from "./load.js";

/** @param {Response} response */
async function readSprite(response) {
  return URL.createObjectURL(await response.blob());
}

export class Assets {
  /**
   * @param {HTMLElement} root  whose style holds the sprites
   * @param {import("./troubles.js").Troubles} troubles
   * @param {() => void} arrived
   */
  constructor(root, troubles, arrived) {
    this.root = root;
    this.troubles = troubles;
    this.arrived = arrived;
    /** @type {string[]} the address of the sprite that each level has, and that it should have */
    this.sprites = [];
    /** @type {string[]} */
    this.wanted = [];
    this.url = "";
    /** @type {Float32Array | null} squared, by level, row, column and code */
    this.distances = null;
  }

  /**
   * Ask for what is missing.
   * @param {string[]} sprites  by level
   * @param {string} url  of the distances
   * @param {number} count  of distances
   */
  want(sprites, url, count) {
    if (url !== this.url) this.distances = null;
    this.url = url;
    this.wanted = sprites;
    sprites.forEach((sprite, level) => {
      if (this.sprites[level] === sprite) return;
      const current = () => this.wanted[level] === sprite;
      this.load(`sprite ${level}`, "the codes' pictures", sprite, readSprite, current, (blob) => {
        this.sprites[level] = sprite;
        this.root.style.setProperty(spriteOf(level), `url("${blob}")`);
      });
    });
    if (this.distances) return;
    const read = async (/** @type {Response} */ response) => {
      const buffer = await response.arrayBuffer();
      if (buffer.byteLength === 4 * count) return new Float32Array(buffer);
      throw new Error("they have an unexpected size");
    };
    this.load("distances", "the distances", url, read, () => this.url === url, (values) => {
      this.distances = values;
      this.arrived();
    });
  }

  /**
   * Fetch something once; what fails is said, and asked for again.
   * @template T
   * @param {string} what
   * @param {string} name
   * @param {string} url
   * @param {(response: Response) => Promise<T>} read
   * @param {() => boolean} current  whether it is still wanted
   * @param {(answer: T) => void} take
   */
  async load(what, name, url, read, current, take) {
    this.troubles.wait(what, name);
    try {
      const answer = await once(url, read);
      if (!current()) return;
      this.troubles.end(what);
      take(answer);
    } catch (error) {
      if (current()) this.troubles.fail(what, `load ${name}`, error);
    }
  }
}
