"""The drawing board in Chromium, by mouse, finger and keys; and a drawing in the real app."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from vae import pictures, preparation, runs, train
from vae.config import RunConfig

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BOARD = 112


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "sketch_app.py").url


class Board:
    """The drawing board on a page, as a person uses it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.canvas = page.get_by_test_id("sketch")

    def open(self, url: str) -> Board:
        """Go to the harness."""
        self.page.goto(url)
        expect(self.page.locator(".st-key-report")).to_contain_text("runs")
        self.canvas.scroll_into_view_if_needed()
        return self

    def spot(self, x: float, y: float) -> tuple[float, float]:
        """A place of the picture on the page."""
        box = self.canvas.bounding_box()
        return box["x"] + x * box["width"] / BOARD, box["y"] + y * box["height"] / BOARD

    def stroke(self, *places: tuple[float, float]) -> None:
        """Press, go from place to place, let go."""
        self.page.mouse.move(*self.spot(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.spot(*place), steps=6)
        self.page.mouse.up()

    def touch(self, *places: tuple[float, float]) -> None:
        """The same with a finger."""
        finger = self.page.context.new_cdp_session(self.page)
        kinds = ["touchStart", *["touchMove"] * (len(places) - 1)]
        for kind, place in zip(kinds, places, strict=True):
            x, y = self.spot(*place)
            points = [{"x": x, "y": y}]
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def press(self, name: str) -> None:
        """Press a button of the page or of the board."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def report(self) -> dict[str, Any]:
        """What the page's Python has."""
        return json.loads(self.page.locator(".st-key-report").inner_text())

    def known(self) -> np.ndarray:
        """The picture that the page's Python has, with shape (112, 112)."""
        png = base64.b64decode(self.report()["png"])
        return pictures.read(png) if png else np.zeros((BOARD, BOARD), np.uint8)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        for _ in range(160):
            if condition():
                return
            self.page.wait_for_timeout(50)
        pytest.fail("what was waited for did not happen")

    def painted(self) -> np.ndarray:
        """What the board shows, brought to (112, 112)."""
        red = self.canvas.evaluate(
            """canvas => {
                const small = new OffscreenCanvas(112, 112).getContext("2d");
                small.drawImage(canvas, 0, 0, 112, 112);
                return [...small.getImageData(0, 0, 112, 112).data].filter((_, k) => k % 4 === 0);
            }"""
        )
        return np.array(red).reshape(BOARD, BOARD)


def test_a_one_drawn_with_the_mouse_arrives_small_and_grey(page: Page, url: str) -> None:
    board = Board(page).open(url)
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    board.stroke((40, 38), (58, 20), (58, 95))
    board.wait_for(lambda: board.known()[20:95, 58].min() == 255)
    drawn = board.known()
    assert drawn[50, 30] == drawn[100, 90] == 0
    assert len(np.unique(drawn)) > 4  # soft edges
    assert abs(drawn[70].sum() / 255 - 10) < 0.6  # as wide as the pen
    assert len(board.report()["png"]) < 8_192
    assert preparation.as_datum(drawn, "mnist")[0].max() == 255
    board.stroke((30, 100), (90, 100))
    board.wait_for(lambda: board.known()[100, 80] == 255)
    board.press("Undo")
    board.wait_for(lambda: np.array_equal(board.known(), drawn))
    board.press("Clear")
    board.wait_for(lambda: board.report()["png"] == "")
    expect(page.get_by_text("Draw here")).to_be_visible()
    board.press("Undo")
    board.wait_for(lambda: np.array_equal(board.known(), drawn))
    assert not board.errors


def test_it_is_sent_while_the_stroke_goes_on(page: Page, url: str) -> None:
    board = Board(page).open(url)
    page.mouse.move(*board.spot(20, 20))
    page.mouse.down()
    page.mouse.move(*board.spot(20, 90), steps=4)
    board.wait_for(lambda: board.known()[80, 20] == 255)
    page.mouse.move(*board.spot(90, 90), steps=4)
    board.wait_for(lambda: board.known()[90, 80] == 255)
    page.mouse.up()
    runs = board.report()["runs"]
    page.mouse.move(*board.spot(60, 60))
    page.wait_for_timeout(400)
    assert board.report()["runs"] <= runs + 1  # the end of the stroke, and nothing after it


def test_a_page_full_of_scribble_stays_small(page: Page, url: str) -> None:
    board = Board(page).open(url)
    page.get_by_test_id("sketch-width").press("Home")
    turns = np.linspace(0, 40, 160)
    board.page.mouse.move(*board.spot(56, 56))
    page.mouse.down()
    for t in turns:
        page.mouse.move(*board.spot(56 + 52 * np.sin(1.31 * t), 56 + 52 * np.sin(1.73 * t + 1)))
    page.mouse.up()
    board.wait_for(lambda: (board.known() > 0).mean() > 0.5)
    assert len(board.report()["png"]) < 8_192


def test_a_finger_draws(page: Page, url: str) -> None:
    board = Board(page).open(url)
    board.touch((30, 30), (30, 60), (80, 60))
    board.wait_for(lambda: board.known()[60, 70] == 255)
    assert board.known()[40, 30] == 255


def test_keys_draw(page: Page, url: str) -> None:
    board = Board(page).open(url)
    board.canvas.focus()
    for key in ("ArrowLeft", "ArrowLeft", "1", "Space", "ArrowDown", "ArrowDown", "Space"):
        page.keyboard.press(key)
    said = page.get_by_test_id("sketch-said")
    expect(said).to_have_text("Pen up, 43 % from the left, 57 % from the top.")
    page.keyboard.press("ArrowDown")  # lifted: it draws nothing
    board.wait_for(lambda: board.known()[56:64, 48].min() == 255)
    assert abs(board.known()[60].sum() / 255 - 5) < 0.6 and board.known()[70:].max() == 0
    page.keyboard.press("u")
    board.wait_for(lambda: board.report()["png"] == "")


def test_the_drawing_outlives_the_board_and_reruns(page: Page, url: str) -> None:
    board = Board(page).open(url)
    board.stroke((30, 30), (80, 80))
    board.wait_for(lambda: board.known()[60, 60] == 255)
    drawn = board.known()
    board.press("Rerun")
    page.get_by_text("Put the board away").click()
    expect(board.canvas).to_have_count(0)
    page.get_by_text("Put the board away").click()
    expect(board.canvas).to_be_visible()
    board.wait_for(lambda: np.abs(board.painted() - drawn).max() < 90 and board.painted().max() > 0)
    board.stroke((80, 30), (80, 40))
    board.wait_for(lambda: board.known()[35, 80] == 255)
    assert board.known()[60, 60] == 255


def test_the_page_gives_a_picture_to_begin_with(page: Page, url: str) -> None:
    board = Board(page).open(url)
    board.stroke((30, 20), (80, 20))
    board.wait_for(lambda: board.known()[20, 60] == 255)
    board.press("Begin with a bar")
    board.wait_for(lambda: board.painted()[56, 56] == 255 and board.painted()[20].max() == 0)
    board.stroke((56, 20), (56, 90))
    board.wait_for(lambda: board.known()[30, 56] == 255 and board.known()[56, 30] == 255)
    board.press("Undo")
    board.wait_for(lambda: board.known()[30, 56] == 0 and board.known()[56, 30] == 255)
    board.press("Clear")
    board.wait_for(lambda: board.report()["png"] == "")
    assert not board.errors


@pytest.fixture(scope="module")
def app(serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The app's address, and a small run on digits that was trained before it started."""
    folder = tmp_path_factory.mktemp("own-runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(folder))
        run_id = runs.create(RunConfig(name="small", dataset="digits", hidden=(32,), epochs=3))
        train.train(run_id)
    return serve(ROOT / "app.py", {"VAE_RUNS": str(folder)}).url, run_id


def test_a_drawing_lands_in_the_plane_and_is_resampled(page: Page, app: tuple[str, str]) -> None:
    url, run_id = app
    board = Board(page)
    page.goto(f"{url}/latent_space?run={run_id}&tool=Draw")
    expect(page.get_by_text("Draw a digit, as large as the board")).to_be_visible(timeout=60_000)
    yours = page.get_by_text("q of yours", exact=True)
    expect(yours).to_have_count(0)
    expect(board.canvas).to_be_visible(timeout=60_000)
    board.canvas.scroll_into_view_if_needed()
    board.stroke((40, 38), (58, 20), (58, 95))
    expect(yours).to_be_visible()
    landed = page.locator("table").first
    expect(landed).to_contain_text("±")
    one = landed.inner_text()
    board.canvas.scroll_into_view_if_needed()
    board.touch((30, 95), (60, 96), (90, 95))  # a bar below it
    expect(landed).not_to_have_text(one)
    again = page.get_by_role("button", name="Resample ε")
    again.click()
    drawn = page.locator("img[src^='data:image/png']")
    expect(page.get_by_text("draw 8", exact=True)).to_be_visible()
    page.wait_for_function("/eps=1/.test(document.location.search)")
    before = drawn.evaluate_all("images => images.map((image) => image.src)")
    again.click()
    page.wait_for_function("/eps=2/.test(document.location.search)")
    after = drawn.evaluate_all("images => images.map((image) => image.src)")
    board.wait_for(lambda: sum(a != b for a, b in zip(before, _sources(drawn), strict=False)) >= 7)
    assert len(after) == len(before) == 19  # x, what comes back, the difference; 8 and 8
    page.get_by_role("radio", name="Place").click()
    expect(board.canvas).to_have_count(0)
    page.get_by_role("radio", name="Draw", exact=True).click()
    expect(yours).to_be_visible()
    board.wait_for(lambda: board.painted()[60, 58] > 200)
    assert not board.errors


def _sources(images: Any) -> list[str]:
    """What pictures are shown."""
    return images.evaluate_all("images => images.map((image) => image.src)")
