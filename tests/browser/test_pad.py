"""The pixel pad in Chromium, by mouse, finger and keys; and its masks as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from ui.canvas.pad import pack, unpack

HERE = Path(__file__).parent
SIDE = 28


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "pad_app.py").url


class Pad:
    """The pad on a page, as a person uses it."""

    def __init__(self, page: Page, url: str, query: str = "") -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{url}/?{query}")
        self.canvas = page.get_by_test_id("pad")
        self.said = page.get_by_test_id("pad-said")
        expect(page.locator(".st-key-report")).to_contain_text("runs")
        self.canvas.scroll_into_view_if_needed()

    def spot(self, row: float, column: float) -> tuple[float, float]:
        """Where a pixel of the picture has its middle on the page."""
        box = self.canvas.bounding_box()
        cell = box["width"] / SIDE
        return box["x"] + (column + 0.5) * cell, box["y"] + (row + 0.5) * cell

    def rub(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at one pixel, move to another, let go."""
        self.page.mouse.move(*self.spot(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.spot(*end), steps=5)
        self.page.mouse.up()

    def brush(self, size: int) -> None:
        """Set the brush."""
        self.page.get_by_test_id("pad-brush").focus()
        self.page.keyboard.press("Home")
        for _ in range(size - 1):
            self.page.keyboard.press("ArrowRight")
        expect(self.page.get_by_test_id("pad-size")).to_contain_text(str(size))

    def press(self, name: str) -> None:
        """Press one of the pad's buttons."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def report(self) -> dict[str, Any]:
        """What the page's Python has seen."""
        return json.loads(self.page.locator(".st-key-report").inner_text())

    def gone(self) -> np.ndarray:
        """Which pixels the page's Python knows to be rubbed out, with shape (28, 28)."""
        text = self.report()["mask"]
        seen = np.ones(SIDE * SIDE, bool) if text is None else unpack(text, SIDE * SIDE)
        assert seen is not None
        return ~seen.reshape(SIDE, SIDE)

    def drawn(self) -> np.ndarray:
        """The picture that the page's Python knows, with shape (28, 28)."""
        return np.array(self.report()["pixels"] or np.zeros(SIDE * SIDE)).reshape(SIDE, SIDE)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        for _ in range(160):
            if condition():
                return
            self.page.wait_for_timeout(50)
        pytest.fail("what was waited for did not happen")

    def rerun(self) -> None:
        """Run the script once more."""
        runs = self.report()["runs"]
        self.press("Rerun")
        self.wait_for(lambda: self.report()["runs"] > runs)


def block(rows: slice, columns: slice) -> np.ndarray:
    """A picture that is true in one block."""
    picture = np.zeros((SIDE, SIDE), bool)
    picture[rows, columns] = True
    return picture


def test_the_mouse_rubs_out_what_it_goes_over(page: Page, url: str) -> None:
    pad = Pad(page, url)
    expect(pad.said).to_have_text("0 of 784 pixels rubbed out")
    pad.brush(1)
    pad.rub((5, 3), (5, 9))
    expect(pad.said).to_have_text("7 of 784 pixels rubbed out")
    row = block(slice(5, 6), slice(3, 10))
    pad.wait_for(lambda: np.array_equal(pad.gone(), row))
    pad.brush(3)
    pad.rub((20, 20), (20, 20))
    both = row | block(slice(19, 22), slice(19, 22))
    pad.wait_for(lambda: np.array_equal(pad.gone(), both))
    pad.rerun()
    expect(pad.said).to_have_text("16 of 784 pixels rubbed out")
    pad.press("Undo")
    pad.wait_for(lambda: np.array_equal(pad.gone(), row))
    pad.press("Undo")
    pad.wait_for(lambda: not pad.gone().any())
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    assert not pad.errors


def test_what_is_hidden_is_neither_black_nor_white(page: Page, url: str) -> None:
    pad = Pad(page, url)
    pad.press("Rub out the left half")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        pixels = pad.canvas.evaluate(
            """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width / 2 - 1,
                canvas.height).data]"""
        )
        rgb = np.array(pixels).reshape(-1, 4)[:, :3]
        assert (np.ptp(rgb, axis=1) > 60).all()
        assert np.ptp(rgb.mean(1)) > 60  # a hatch, not a plain ground


def test_halves(page: Page, url: str) -> None:
    pad = Pad(page, url)
    every = slice(None)
    halves = {
        "left": block(every, slice(0, 14)),
        "right": block(every, slice(14, 28)),
        "top": block(slice(0, 14), every),
        "bottom": block(slice(14, 28), every),
    }
    for name, half in halves.items():
        pad.press(f"Rub out the {name} half")
        pad.wait_for(lambda half=half: np.array_equal(pad.gone(), half))
        pad.press("Restore all")
        pad.wait_for(lambda: not pad.gone().any())


def test_a_finger_rubs(page: Page, url: str) -> None:
    pad = Pad(page, url)
    pad.brush(2)
    touch = page.context.new_cdp_session(page)
    for kind, place in (("touchStart", (9.5, 9.5)), ("touchMove", (9.5, 14.5))):
        x, y = pad.spot(*place)
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    pad.wait_for(lambda: np.array_equal(pad.gone(), block(slice(9, 11), slice(9, 16))))


def test_keys_rub(page: Page, url: str) -> None:
    pad = Pad(page, url)
    pad.canvas.focus()
    page.keyboard.press("1")
    for key in ("ArrowUp", "ArrowLeft", "Space", "Shift+ArrowLeft", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    pad.wait_for(lambda: np.array_equal(pad.gone(), block(slice(13, 14), slice(11, 14))))
    page.keyboard.press("u")
    pad.wait_for(lambda: np.array_equal(pad.gone(), block(slice(13, 14), slice(12, 14))))


def shown(pad: Pad) -> np.ndarray:
    """What the pad shows in a strip of its lower half."""
    return np.array(
        pad.canvas.evaluate(
            """canvas => [...canvas.getContext("2d").getImageData(0, 0.7 * canvas.height,
                canvas.width, 1).data]"""
        )
    )


def test_another_datum_begins_anew(page: Page, url: str) -> None:
    pad = Pad(page, url)
    pad.press("Rub out the top half")
    pad.wait_for(lambda: pad.gone().any())
    for datum in ("3", "0"):
        before = shown(pad)
        page.get_by_label("Datum").fill(datum)
        page.keyboard.press("Enter")
        pad.wait_for(lambda before=before: not np.array_equal(shown(pad), before))
        expect(pad.said).to_have_text("0 of 784 pixels rubbed out")
        pad.wait_for(lambda: pad.report()["mask"] is None)
    pad.press("Rub out the top half")
    pad.wait_for(lambda: np.array_equal(pad.gone(), block(slice(0, 14), slice(None))))


def test_a_page_that_gives_the_mask_back_can_also_take_it_away(page: Page, url: str) -> None:
    pad = Pad(page, url, "echo=1")
    pad.brush(1)
    for row in (2, 4, 6):
        pad.rub((row, 2), (row, 20))
    expect(pad.said).to_have_text("57 of 784 pixels rubbed out")
    pad.wait_for(lambda: pad.gone().sum() == 57)
    pad.press("Undo")
    pad.wait_for(lambda: pad.gone().sum() == 38)
    pad.press("See all")
    expect(pad.said).to_have_text("0 of 784 pixels rubbed out")
    pad.wait_for(lambda: pad.report()["mask"] is None)
    pad.press("Rub out the left half")
    pad.wait_for(lambda: np.array_equal(pad.gone(), block(slice(None), slice(0, 14))))
    assert not pad.errors


def test_drawing_soft_and_hard(page: Page, url: str) -> None:
    pad = Pad(page, url, "mode=draw")
    pad.brush(2)
    pad.rub((8, 5), (8, 20))
    pad.wait_for(lambda: pad.drawn().max() == 255)
    soft = pad.drawn()
    assert soft[8, 5:21].min() == 255 and ((soft > 0) & (soft < 255)).any()
    assert soft[12:].max() == 0
    page.get_by_test_id("pad-soft").uncheck()
    pad.rub((20, 5), (20, 20))
    pad.wait_for(lambda: pad.drawn()[12:].max() == 255)
    hard = pad.drawn()
    assert set(np.unique(hard[12:])) == {0, 255}
    assert np.array_equal(hard[:12], soft[:12])
    pad.press("Undo")
    pad.wait_for(lambda: np.array_equal(pad.drawn(), soft))
    pad.press("Clear")
    pad.wait_for(lambda: pad.drawn().max() == 0)
    pad.rerun()
    pad.press("Undo")
    pad.wait_for(lambda: np.array_equal(pad.drawn(), soft))
    assert not pad.errors


def test_a_drawing_given_back_as_black_and_white_keeps_its_greys(page: Page, url: str) -> None:
    pad = Pad(page, url, "mode=draw&echo=1")
    greys = """canvas => new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width,
        canvas.height).data).size"""
    page.get_by_test_id("pad-brush").press("End")
    for row in (6, 12, 18):
        pad.rub((row, 5), (row, 20))
    page.mouse.move(5, 5)
    pad.wait_for(lambda: pad.report()["drawn"] and known(pad)[[6, 12, 18]].sum() >= 48)
    pad.rerun()
    assert pad.canvas.evaluate(greys) > 3
    pad.press("Undo")
    pad.wait_for(lambda: not known(pad)[18].any())
    assert known(pad)[6].any()


def known(pad: Pad) -> np.ndarray:
    """The black and white drawing that the page keeps, with shape (28, 28)."""
    drawing = unpack(pad.report()["drawn"], SIDE * SIDE)
    assert drawing is not None
    return drawing.reshape(SIDE, SIDE)


def test_masks_as_text() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 7, 8, 9, 784):
        mask = rng.random(n) < 0.5
        assert np.array_equal(unpack(pack(mask), n), mask)
    assert pack([1, 0, 0, 0, 0, 0, 0, 0, 1, 1]) == "gMA"
    for wrong in ("", "gMA", "!!", "é" * 131, "A" * 130, pack(np.ones(785))):
        assert unpack(wrong, 784) is None
    assert unpack(pack(np.ones(16)), 12) is None  # bits beyond the picture
