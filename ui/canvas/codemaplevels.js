/** Which level of a residual quantiser is shown: a button for each, if there are several. */

export class Levels {
  /**
   * @param {HTMLElement} element
   * @param {(level: number) => void} choose
   */
  constructor(element, choose) {
    this.element = element;
    this.choose = choose;
  }

  /** @param {number} count */
  update(count) {
    const { element } = this;
    element.hidden = count < 2;
    if (element.children.length === count) return;
    element.replaceChildren(
      ...Array.from({ length: count }, (_, level) => {
        const button = document.createElement("button");
        Object.assign(button, { type: "button", textContent: `Level ${level + 1}` });
        button.onclick = () => this.choose(level);
        return button;
      }),
    );
  }

  /** @param {number} shown */
  mark(shown) {
    [...this.element.children].forEach((button, level) =>
      button.setAttribute("aria-pressed", String(level === shown)),
    );
  }
}
