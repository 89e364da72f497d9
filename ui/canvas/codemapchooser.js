/** All codes to choose one from, by what they decode to. */
import { distance } from "./codemapnear.js";
import { patch } from "./codemappatch.js";

export class Chooser {
  /**
   * @param {ParentNode} root
   * @param {(code: number) => void} choose
   */
  constructor(root, choose) {
    const find = (/** @type {string} */ name) => /** @type {any} */ (root.querySelector(name));
    this.element = /** @type {HTMLElement} */ (find(".chooser"));
    this.what = /** @type {HTMLElement} */ (find(".chooser .what"));
    this.order = /** @type {HTMLSelectElement} */ (find(".chooser select"));
    this.choices = /** @type {HTMLElement} */ (find(".choices"));
    /** @type {(import("./codemapnear.js").Near & {where: string}) | null} */
    this.near = null;
    this.built = "";
    this.order.onchange = () => this.near && this.show(this.near);
    this.choices.addEventListener("click", (event) => {
      const code = this.code(event.target);
      if (code >= 0) choose(code);
    });
    this.choices.addEventListener("keydown", (event) => this.key(event));
  }

  get open() {
    return !this.element.hidden;
  }

  get buttons() {
    return /** @type {HTMLButtonElement[]} */ ([...this.choices.children]);
  }

  /**
   * The code on whose button an element is, or −1.
   * @param {any} element
   */
  code(element) {
    const button = element?.closest?.("[data-code]");
    return button ? Number(button.dataset.code) : -1;
  }

  /** @param {import("./codemapnear.js").Near & {where: string}} near */
  show(near) {
    this.near = near;
    this.element.hidden = false;
    const { chosen, level, own, palette, ranked, where } = near;
    const byNear = this.order.value === "near" && ranked !== null;
    const built = JSON.stringify([byNear, where, level, ranked !== null, palette]);
    const focused = this.built === built ? null : this.code(deepFocus(this.choices));
    if (this.built !== built) {
      const codes = byNear ? ranked.order : Array.from({ length: palette.n }, (_, i) => i);
      this.choices.replaceChildren(...codes.map((code) => this.button(code)));
      this.choices.scrollTop = 0;
    }
    this.built = built;
    this.what.textContent = `Choose a code for ${where}`;
    this.element.setAttribute("aria-label", this.what.textContent);
    for (const button of this.buttons) {
      const code = Number(button.dataset.code);
      const notes = [code === chosen ? ", chosen" : "", code === own ? ", the encoder's choice" : ""];
      button.setAttribute("aria-pressed", String(code === chosen));
      button.classList.toggle("own", code === own);
      button.tabIndex = code === chosen ? 0 : -1;
      const far = ranked ? `, distance ${distance(ranked.values[code])}` : "";
      button.setAttribute("aria-label", `Code ${near.name(code)}${far}${notes.join("")}`);
    }
    if (focused !== null && focused >= 0) this.focus();
  }

  /** @param {number} code */
  button(code) {
    const { level, palette, ranked } = /** @type {import("./codemapnear.js").Near} */ (this.near);
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.code = String(code);
    const number = document.createElement("b");
    number.textContent = String(code);
    const far = document.createElement("span");
    far.textContent = ranked ? distance(ranked.values[code]) : "";
    button.append(patch(palette, level, code), number, far);
    return button;
  }

  /** Bring the keys to the chosen code. */
  focus() {
    const button = this.choices.querySelector('[aria-pressed="true"]');
    if (button instanceof HTMLElement) button.focus();
  }

  /** Whether the keys are in here. */
  get focused() {
    return deepFocus(this.element) !== null;
  }

  close() {
    this.element.hidden = true;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { buttons } = this;
    const from = buttons.findIndex((button) => button === deepFocus(this.choices));
    if (from < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const top = buttons[0].offsetTop;
    const columns = Math.max(1, buttons.filter((button) => button.offsetTop === top).length);
    /** @type {Record<string, number>} */
    const ways = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const to = { Home: 0, End: buttons.length - 1 }[event.key] ?? from + (ways[event.key] ?? 0);
    if (!(event.key in ways || event.key === "Home" || event.key === "End")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!buttons[to]) return;
    buttons[from].tabIndex = -1;
    buttons[to].tabIndex = 0;
    buttons[to].focus();
  }
}

/**
 * What has the keys within an element, or null.
 * @param {HTMLElement} element
 */
function deepFocus(element) {
  const active = /** @type {ShadowRoot | Document} */ (element.getRootNode()).activeElement;
  return active && element.contains(active) ? active : null;
}
