"""The flipbook in Chromium: its pictures, its keys, its ring in the plane, and what it costs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_canvas import Plane
from tests.browser.test_plane_layers import Pixels, near

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "walk_app.py").url


class Book:
    """A flipbook of nine greys on a page with a plane; picture i is at x = i / 2 − 2, y = 1."""

    def __init__(self, page: Page, url: str, query: str = "") -> None:
        self.page = page
        self.plane = Plane(page, url, f"points=0&backdrop=1&{query}")
        self.play = page.get_by_test_id("flipbook-play")
        self.step = page.get_by_test_id("flipbook-step")
        self.said = page.get_by_test_id("flipbook-said")
        self.strip = page.get_by_test_id("flipbook-strip")

    def grey(self) -> float:
        """The grey that the large picture shows, if it is one."""
        values = self.page.get_by_test_id("flipbook-page").evaluate(
            """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width,
                canvas.height).data].filter((_, i) => i % 4 === 0)"""
        )
        assert len(values) == 24 and len(set(values)) == 1
        return values[0]

    def shows(self, i: int) -> None:
        """Wait until picture i is said, shown and marked."""
        expect(self.said).to_have_text(f"picture {i}")
        self.plane.wait_for(lambda: self.grey() == 20 * i)
        expect(self.strip.locator("i").nth(i)).to_have_class("now")
        expect(self.step).to_have_js_property("value", str(i))

    def ring(self) -> Callable[[int], bool]:
        """A look whether the ring is at picture i, in the theme's colour."""
        accent = self.plane.canvas.evaluate(
            """canvas => {
                const context = new OffscreenCanvas(1, 1).getContext("2d");
                context.fillStyle = getComputedStyle(canvas).getPropertyValue("--st-primary-color");
                context.fillRect(0, 0, 1, 1);
                return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
            }"""
        )
        to = Pixels(self.plane)
        return lambda i: near(self.plane.canvas, to(i / 2 - 2, 1), tuple(accent))


def test_scrubber_thumbnails_and_keys_show_a_picture_and_its_place(page: Page, url: str) -> None:
    book = Book(page, url)
    book.shows(0)
    ring = book.ring()
    assert not ring(0)  # nobody asked for it yet
    book.step.focus()
    page.keyboard.press("ArrowRight")
    book.shows(1)
    book.plane.wait_for(lambda: ring(1))
    page.keyboard.press("End")
    book.shows(8)
    book.plane.wait_for(lambda: ring(8) and not ring(1))
    book.strip.locator("i").nth(3).click()
    book.shows(3)
    book.plane.wait_for(lambda: ring(3) and not ring(8))
    expect(book.strip).to_have_attribute("aria-label", "Nine greys")
    assert book.plane.report()["runs"] == 1 and not book.plane.errors
    page.get_by_text("Flipbook").click()  # it goes, and its ring with it
    expect(book.play).to_have_count(0)
    book.plane.wait_for(lambda: not ring(3))


def test_play_goes_through_all_pictures_rests_and_begins_again(page: Page, url: str) -> None:
    book = Book(page, url)
    book.shows(0)
    heard = "e => (window.heard = window.heard ?? []).push(e.detail.p)"
    page.evaluate(f"document.addEventListener('latent-walk', {heard})")
    page.get_by_test_id("flipbook-pace").select_option("2")
    book.play.click()
    expect(book.play).to_have_text("Pause")
    expect(book.said).to_have_text("picture 8")
    expect(book.play).to_have_text("Play")
    walked = np.array(page.evaluate("window.heard"))
    steps = np.diff(walked[:, 0])
    assert walked[0].tolist() == [-2, 1] and walked[-1].tolist() == [2, 1]
    assert set(steps.round(6)) <= {0, 0.5} and steps.sum() == 4
    page.get_by_test_id("flipbook-pace").select_option("0.5")
    book.step.focus()
    page.keyboard.press("Space")
    expect(book.play).to_have_text("Pause")
    expect(book.said).to_have_text(re.compile("picture [1-7]"))
    page.keyboard.press("Space")
    expect(book.play).to_have_text("Play")
    assert book.plane.report()["runs"] == 1


def test_reduced_motion_hops_through_a_few_pictures(page: Page, url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    book = Book(page, url, "start=4")
    book.shows(4)
    page.evaluate(
        "document.addEventListener('latent-walk', e => (window.heard ??= []).push(e.detail.p[0]))"
    )
    book.play.click()
    book.plane.wait_for(lambda: len(set(page.evaluate("window.heard"))) >= 2)
    assert sorted(set(page.evaluate("window.heard")))[:2] == [0, 1]  # two pictures on at once
    expect(book.said).to_have_text("picture 8")


def test_pictures_that_do_not_come_are_said(page: Page, url: str) -> None:
    book = Book(page, url, "fail=1")
    expect(page.get_by_test_id("flipbook-trouble")).to_contain_text("Could not load the pictures")
    book.step.focus()
    page.keyboard.press("ArrowRight")
    expect(book.said).to_have_text("picture 1")
    assert not book.plane.errors
