"""The code map of one image in Chromium, by mouse, finger and keys."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from ui.canvas import codemap
from ui.canvas.bundle import read

HERE = Path(__file__).parent
N = 128


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "codemap_app.py").url


def own(datum: int = 0, side: int = 4, levels: int = 1) -> list[int]:
    """The encoder's choice in the harness."""
    return [(7 * k + 11 * datum + 3) % N for k in range(levels * side * side)]


def nats(codes: list[int]) -> tuple[str, str, str]:
    """The numbers that the harness answers, and their sum, as they are written."""
    terms = [-float(sum(codes)), -len(codes) * float(np.log(N))]
    likelihood, prior, bound = (f"{v:.1f}".replace("-", "−") for v in (*terms, sum(terms)))
    return likelihood, prior, bound


class Map:
    """The code map on a page, as a person uses it."""

    def __init__(self, page: Page, url: str, query: str = "") -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{url}/?{query}")
        self.cells = page.get_by_test_id("codemap-grid").get_by_role("gridcell")
        self.others = page.get_by_test_id("codemap-second-grid").get_by_role("gridcell")
        self.choices = page.get_by_test_id("codemap-choices").get_by_role("button")
        expect(self.get("numbers")).to_have_class("numbers known")
        expect(self.get("nearest").get_by_role("listitem")).to_have_count(8)

    def get(self, name: str) -> Locator:
        """A part of the component."""
        return self.page.get_by_test_id(f"codemap-{name}")

    def codes(self) -> list[int]:
        """What stands in the cells."""
        return self.cells.evaluate_all("cells => cells.map((cell) => Number(cell.dataset.code))")

    def shows(self, codes: list[int]) -> None:
        """Wait until the cells, the picture and the numbers are those of these codes."""
        assert self.codes() == codes
        for name, text in zip(("likelihood", "prior", "bound"), nats(codes), strict=True):
            expect(self.get(name)).to_have_text(text)
        side = round(len(codes) ** 0.5)
        middles = [(28 * (2 * i + 1)) // (2 * side) for i in range(side)]
        seen = self.get("decoded").evaluate(
            """(canvas, middles) => middles.flatMap((y) => middles.map((x) =>
                canvas.getContext("2d").getImageData(x, y, 1, 1).data[0]))""",
            middles,
        )
        assert seen == [round(255 * code / (N - 1)) for code in codes]

    def report(self) -> dict[str, Any]:
        """What the page's Python has seen."""
        return json.loads(self.page.locator(".st-key-report").inner_text())

    def reported(self, edited: list[int] | None) -> None:
        """Wait until the page knows these edits."""
        expect(self.page.locator(".st-key-report")).to_contain_text(
            f'"edited": {json.dumps(edited)}'
        )

    def choose(self, cell: int, code: int) -> None:
        """Put a code into a cell by mouse."""
        self.cells.nth(cell).click()
        self.get("choices").locator(f'[data-code="{code}"]').click()

    def press(self, name: str) -> None:
        """Press one of the page's buttons, and wait until the script has run."""
        runs = self.report()["runs"]
        self.page.get_by_role("button", name=name, exact=True).click()
        expect(self.page.locator(".st-key-report")).not_to_contain_text(f'"runs": {runs},')


def test_hovering_shows_the_distances_to_all_codes(page: Page, url: str) -> None:
    shown = Map(page, url)
    shown.cells.nth(6).hover()
    expect(shown.get("about")).to_contain_text("Row 2, column 3: code 45")
    expect(shown.get("about")).to_contain_text("to all 128 codes")
    near = shown.get("nearest").get_by_role("listitem")
    codes = near.evaluate_all("items => items.map((item) => Number(item.dataset.code))")
    assert codes == [45, 44, 46, 43, 47, 42, 48, 41]
    expect(near.first).to_have_class("chosen")
    expect(near.nth(2)).to_contain_text("0.011")
    assert (
        near.nth(3)
        .locator(".patch")
        .evaluate("patch => getComputedStyle(patch).backgroundImage")
        .startswith('url("blob:')
    )
    bars = shown.get("bars")
    expect(bars).to_have_attribute("aria-label", re.compile("all 128 codes.*Code 45, chosen"))
    bars.hover(position={"x": bars.bounding_box()["width"] - 2, "y": 80})
    expect(shown.get("reading")).to_contain_text("Code 127: the 128th nearest of 128, at 74.0")
    assert shown.report()["runs"] == 1 and not shown.errors


def test_another_code_is_decoded_at_once_without_a_rerun(page: Page, url: str) -> None:
    shown = Map(page, url)
    codes = own()
    shown.shows(codes)
    expect(shown.get("count")).to_have_text("0 of 16 cells edited")
    page.clock.install()
    page.clock.pause_at(time.time() + 60)  # no report while the clock stands
    shown.choose(5, 120)
    codes[5] = 120
    expect(shown.get("change")).to_have_text("−82.0 nats against the encoder's own choice")
    shown.shows(codes)
    expect(shown.get("error")).to_be_visible()
    assert shown.report() == {"runs": 1, "edited": None}
    page.clock.run_for(1000)
    page.clock.resume()
    shown.reported(codes)
    expect(shown.cells.nth(5)).to_have_class(re.compile("edited"))
    expect(shown.cells.nth(5)).to_have_attribute(
        "aria-label", "Row 2, column 2: code 120, changed from 38"
    )
    expect(shown.get("count")).to_have_text("1 of 16 cells edited")
    pressed = shown.get("choices").locator('[aria-pressed="true"]')
    expect(pressed).to_have_attribute("data-code", "120")
    shown.get("order").select_option("number")
    assert shown.choices.first.get_attribute("data-code") == "0"
    expect(shown.get("about")).to_contain_text("the encoder chose 38")
    assert not shown.errors


def test_undo_redo_and_reset(page: Page, url: str) -> None:
    shown = Map(page, url)
    first, both = own(), own()
    first[0] = both[0] = 100
    both[15] = 1
    shown.choose(0, 100)
    shown.choose(15, 1)
    shown.reported(both)
    shown.get("undo").click()
    shown.reported(first)
    shown.shows(first)
    page.keyboard.press("Control+z")
    expect(shown.get("undo")).to_be_disabled()
    expect(shown.get("change")).to_have_text("by the encoder's own choice")
    shown.shows(own())
    shown.reported(None)
    page.keyboard.press("Control+Shift+z")
    shown.get("redo").click()
    expect(shown.get("redo")).to_be_disabled()
    shown.reported(both)
    shown.get("reset").click()
    shown.reported(None)
    shown.get("undo").click()
    shown.reported(both)
    shown.shows(both)
    assert not shown.errors


def test_the_keys_do_all(page: Page, url: str) -> None:
    shown = Map(page, url)
    shown.cells.first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(shown.cells.nth(6)).to_be_focused()
    expect(shown.get("about")).to_contain_text("Row 2, column 3")
    page.keyboard.press("Enter")
    chosen = shown.get("choices").locator('[data-code="45"]')
    expect(chosen).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    codes = own()
    codes[6] = 44
    shown.reported(codes)
    page.keyboard.press("Escape")
    expect(shown.get("chooser")).to_be_hidden()
    expect(shown.cells.nth(6)).to_be_focused()
    shown.shows(codes)
    assert not shown.errors


def test_a_region_is_copied_by_mouse_and_by_keys(page: Page, url: str) -> None:
    shown = Map(page, url, "second=1")
    expect(shown.get("copy")).to_be_disabled()
    shown.others.nth(5).scroll_into_view_if_needed()
    shown.others.nth(10).drag_to(shown.others.nth(5))
    expect(shown.get("region")).to_have_text("4 cells: rows 2 to 3, columns 2 to 3.")
    expect(shown.cells.nth(9)).to_have_class(re.compile("target"))
    shown.get("copy").click()
    codes, other = own(), own(5)
    for cell in (5, 6, 9, 10):
        codes[cell] = other[cell]
    shown.reported(codes)
    shown.shows(codes)
    shown.others.nth(15).click()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowLeft")
    expect(shown.get("region")).to_have_text("2 cells: row 3, columns 3 to 4.")
    shown.get("copy").click()
    codes[11] = other[11]
    shown.reported(codes)
    shown.get("undo").click()
    codes[11] = own()[11]
    shown.reported(codes)
    assert not shown.errors


def test_a_finger_chooses_and_draws_a_region(page: Page, url: str) -> None:
    shown = Map(page, url, "second=1")
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *cells: Locator) -> None:
        points = []
        for box in (cell.bounding_box() for cell in cells):
            points.append({"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2})
        touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    shown.others.nth(15).scroll_into_view_if_needed()
    send("Start", shown.others.nth(1))
    send("Move", shown.others.nth(6))
    send("Move", shown.others.nth(14))
    send("End")
    expect(shown.get("region")).to_have_text("8 cells: rows 1 to 4, columns 2 to 3.")
    shown.cells.nth(3).scroll_into_view_if_needed()
    for _ in range(5):  # a busy machine may take a tap for a long press, which chooses nothing
        send("Start", shown.cells.nth(3))
        send("End")
        page.wait_for_timeout(500)
        if shown.get("chooser").is_visible():
            break
    expect(shown.get("chooser")).to_be_visible()
    expect(shown.get("about")).to_contain_text("Row 1, column 4: code 24")
    assert not shown.errors


def test_edits_stay_until_there_is_another_image(page: Page, url: str) -> None:
    shown = Map(page, url, "slow=1")
    codes = own()
    for cell, code in ((1, 90), (2, 91), (3, 92)):  # the page answers the first while others come
        shown.choose(cell, code)
        codes[cell] = code
    shown.reported(codes)
    shown.press("Rerun")
    shown.shows(codes)
    page.get_by_text("Put the map away").click()
    expect(shown.get("grid")).to_be_hidden()
    page.get_by_text("Put the map away").click()
    shown.reported(codes)
    expect(shown.get("count")).to_have_text("3 of 16 cells edited")
    for datum in (1, 0):
        page.get_by_label("Datum").fill(str(datum))
        page.get_by_label("Datum").press("Enter")
        expect(shown.cells.first).to_have_attribute("data-code", str(own(datum)[0]))
        expect(shown.get("likelihood")).to_have_text(nats(own(datum))[0])
        shown.shows(own(datum))
        shown.reported(None)
        expect(shown.get("undo")).to_be_disabled()
    assert not shown.errors


def test_a_decode_that_fails_is_said_and_tried_again(page: Page, url: str) -> None:
    shown = Map(page, url)
    page.request.get(f"{url}/fake/fail?times=1&status=503")
    page.clock.install()
    page.clock.pause_at(time.time() + 60)  # it is not asked again while the clock stands
    shown.choose(0, 99)
    trouble = shown.get("trouble")
    expect(trouble).to_have_text("Could not decode this map: the model is busy.")
    page.clock.run_for(2000)
    expect(trouble).to_have_text("")
    page.clock.resume()
    codes = own()
    codes[0] = 99
    shown.shows(codes)
    page.request.get(f"{url}/fake/fail?times=1&status=404")
    shown.choose(0, 98)
    expect(trouble).to_have_text("Could not decode this map: the model is busy.")
    shown.choose(0, 97)
    expect(trouble).to_have_text("")
    codes[0] = 97
    shown.shows(codes)
    assert not shown.errors


def test_levels_and_a_map_of_one_cell(page: Page, url: str) -> None:
    shown = Map(page, url, "levels=3&side=2&second=1")
    codes = own(0, 2, 3)
    shown.get("levels").get_by_role("button", name="Level 2").click()
    assert shown.codes() == codes[4:8]
    shown.choose(1, 77)
    codes[5] = 77
    shown.reported(codes)
    expect(shown.get("count")).to_have_text("1 of 12 codes edited, on all levels")
    shown.others.nth(0).click()
    expect(shown.get("region")).to_have_text("1 cell: row 1, column 1. All levels are copied.")
    shown.get("copy").click()
    for k in (0, 4, 8):
        codes[k] = own(5, 2, 3)[k]
    shown.reported(codes)
    assert not shown.errors
    single = Map(page, url, "side=1")
    expect(single.get("levels")).to_be_hidden()
    single.choose(0, 5)
    single.reported([5])
    expect(single.get("about")).to_contain_text("The only cell: code 5 (the encoder chose 3)")


def test_what_does_not_fit_is_refused() -> None:
    pictures = [{"title": "", "url": "", "caption": None}] * 5
    fits = {
        "pictures": pictures,
        "codes": np.zeros((1, 2, 2), int),
        "palette": {"url": "", "tile": (8, 8), "n": 4},
        "colours": [["#000"] * 4],
        "decode": "",
        "distances": "",
    }
    wrong = {
        "pictures": pictures[:4],
        "codes": np.full((1, 2, 2), 4),
        "palette": [fits["palette"]] * 2,
        "colours": [["#000"] * 3],
        "second": {"title": "", "pictures": [], "codes": np.zeros((1, 3, 2), int)},
        "names": [["a"]],
    }
    for name, value in wrong.items():
        with pytest.raises(ValueError):
            codemap.code_map("wrong", **{**fits, name: value})


def test_modules_share_no_name_and_stay_short() -> None:
    names: list[str] = []
    for module in codemap.MODULES:
        source = read(module)
        assert len(source.splitlines()) <= 300, module
        pattern = r"^(?:export )?(?:default )?(?:async )?(?:function|class|const|let) (\w+)"
        names += re.findall(pattern, source, re.MULTILINE)
        imported = re.findall(r"^import .* from \"./([\w.]+)\";$", source, re.MULTILINE)
        assert set(imported) <= set(codemap.MODULES[: codemap.MODULES.index(module)]), module
    assert len(names) == len(set(names))
