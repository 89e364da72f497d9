"""A sheet of pictures that can be clicked: which cell, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.serving import component

_JS = """
/** Shows the sheet at data.url and reports the clicked cell.
 * @typedef {{url: string, rows: number, columns: number, alt: string, chosen: ?number[],
 *   row_names: string[], column_names: string[]}} Data
 * @param {{data: Data, parentElement: HTMLElement, setTriggerValue: Function}} component */
export default function render({ data, parentElement, setTriggerValue }) {
  const image = parentElement.querySelector("img");
  const mark = parentElement.querySelector(".mark");
  image.alt = data.alt;
  const names = (where, words) => parentElement.querySelector(where).replaceChildren(
    ...words.map((word) => Object.assign(document.createElement("span"), { textContent: word })));
  names(".row-names", data.row_names);
  names(".column-names", data.column_names);
  const lines = parentElement.querySelector(".lines");
  lines.style.backgroundSize = `${100 / data.columns}% ${100 / data.rows}%`;
  if (image.getAttribute("src") !== data.url) image.src = data.url;
  const place = (row, column) => {
    mark.style.cssText = `left:${(100 * column) / data.columns}%;top:${(100 * row) / data.rows}%;` +
      `width:${100 / data.columns}%;height:${100 / data.rows}%;display:block`;
  };
  if (data.chosen) place(...data.chosen); else mark.style.display = "none";
  const pick = (row, column) => { place(row, column); setTriggerValue("cell", { row, column }); };
  image.onclick = (event) => {
    const box = image.getBoundingClientRect();
    const within = (part, whole, n) => Math.max(0, Math.min(n - 1, Math.floor((part / whole) * n)));
    pick(within(event.clientY - box.top, box.height, data.rows),
         within(event.clientX - box.left, box.width, data.columns));
  };
  image.onkeydown = (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (!step[event.key]) return;
    event.preventDefault();
    const [row, column] = data.chosen ?? [data.rows >> 1, data.columns >> 1];
    pick(Math.max(0, Math.min(data.rows - 1, row + step[event.key][0])),
         Math.max(0, Math.min(data.columns - 1, column + step[event.key][1])));
  };
}
"""

_CSS = """
.named { display: grid; grid-template-columns: auto 1fr; font: 14px/1.2 var(--st-font, sans-serif);
  color: var(--st-text-color); font-variant-numeric: tabular-nums; }
.row-names, .column-names { display: flex; }
.row-names { flex-direction: column; }
.column-names { grid-column: 2; }
.named span { flex: 1 1 0; min-width: 0; min-height: 0; display: flex; align-items: center;
  justify-content: center; white-space: nowrap; }
.row-names span { justify-content: end; padding-right: 8px; }
.column-names span { padding-bottom: 4px; }
.sheet { position: relative; width: 100%; line-height: 0; }
img { width: 100%; image-rendering: pixelated; cursor: crosshair; border-radius: 4px; }
img:focus-visible { outline: 3px solid var(--st-primary-color); }
.mark { position: absolute; box-sizing: border-box; border: 3px solid #d55e00; }
.lines { position: absolute; inset: 0; border-radius: 4px;
  background-image: linear-gradient(to right, #606060 1px, transparent 1px),
    linear-gradient(to bottom, #606060 1px, transparent 1px); }
.lines, .mark { pointer-events: none; }
"""

_component = component(
    "picture_sheet",
    html='<div class="named"><div class="column-names"></div><div class="row-names"></div>'
    '<div class="sheet"><img tabindex="0" data-testid="sheet"><div class="lines"></div>'
    '<div class="mark"></div></div></div>',
    css=_CSS,
    js=_JS,
)


def sheet(
    key: str,
    *,
    url: str,
    rows: int,
    columns: int,
    alt: str,
    chosen: tuple[int, int] | None = None,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
) -> tuple[int, int] | None:
    """Shows a picture of rows by columns cells; the cell (row, column) clicked now, or None.

    Arguments:
        key: Names this sheet on its page.
        url: Where the picture is.
        rows: Cells from top to bottom.
        columns: Cells from left to right.
        alt: What the picture shows, for those who cannot see it.
        chosen: The cell to mark.
        row_names: What stands to the left of each row; nothing if there are none.
        column_names: What stands above each column.

    Returns:
        The cell that was clicked, or reached with an arrow key, in this run of the script.
    """
    data: dict[str, Any] = {
        "url": url,
        "rows": rows,
        "columns": columns,
        "alt": alt,
        "chosen": chosen,
        "row_names": list(row_names),
        "column_names": list(column_names),
    }
    cell = _component(key=key, data=data, on_cell_change=lambda: None).cell
    return (int(cell["row"]), int(cell["column"])) if cell else None
