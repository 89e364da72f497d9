"""The plane's codebook in Chromium: codes and cells that are hit, said, replayed and hidden."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_canvas import Finger, Plane, scene
from tests.browser.test_plane_layers import Pixels, colour_at, module, near
from ui import canvas

HERE = Path(__file__).parent
VERMILLION = (0xD5, 0x5E, 0x00)
#: The first code is dead, as every ninth.
DEAD, LIVE = 0, 5


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "codes_app.py").url


class Codes(Plane):
    """The plane with a codebook, and where everything is on it."""

    def __init__(self, page: Page, url: str, query: str = "") -> None:
        super().__init__(page, url, query)
        self.layers = page.get_by_test_id("plane-layers")
        self.epochs = self.report()["codes"]
        self.to = Pixels(self)

    def places(self, epoch: int = -1) -> np.ndarray:
        """The codes of an epoch, with shape (codes, 2)."""
        return np.array(self.epochs[epoch]["places"])

    def usage(self, epoch: int = -1) -> np.ndarray:
        """Their shares of the latents, with shape (codes,)."""
        return np.array(self.epochs[epoch]["usage"])

    def spot(self, code: int, epoch: int = -1, dx: float = 0, dy: float = 0) -> dict[str, float]:
        """The pixel of a code, or one so far from it."""
        at = self.to(*self.places(epoch)[code])
        return {"x": at["x"] + dx, "y": at["y"] + dy}

    def nearest(self, p: np.ndarray | list[float], epoch: int = -1) -> int:
        """The code nearest to a place, by brute force."""
        return int(((self.places(epoch) - p) ** 2).sum(1).argmin())

    def scrub(self, epoch: int) -> None:
        """Show an epoch of the replay."""
        self.page.get_by_test_id("replay-step").fill(str(epoch))
        expect(self.page.get_by_test_id("replay-count")).to_have_text(f"epoch {epoch}")
        self.page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def purple(self) -> int:
        """How many pixels have the hue of the trails."""
        return scene(self.page).evaluate(
            """canvas => {
                const { data } = canvas.getContext("2d").getImageData(
                    0, 0, canvas.width, canvas.height);
                let count = 0;
                for (let i = 0; i < data.length; i += 4) {
                    const middle = (data[i] + data[i + 2]) / 2;
                    if (data[i + 3] > 60 && middle - data[i + 1] > 12) count++;
                }
                return count;
            }"""
        )


def tinted(surface: Locator, spot: dict[str, float]) -> int:
    """How opaque the marks are a little beside a spot."""
    return int(colour_at(surface, {"x": spot["x"] + 9, "y": spot["y"] + 9})[3])


def free(plane: Codes) -> tuple[float, float]:
    """A place that is far from every code."""
    grid = np.stack(np.meshgrid(*[np.linspace(-3, 3, 61)] * 2), -1).reshape(-1, 1, 2)
    away = np.linalg.norm(grid - plane.places(), axis=2).min(1)
    return tuple(grid[away.argmax(), 0].tolist())


def test_a_code_says_its_usage_and_a_click_reports_it(page: Page, url: str) -> None:
    plane = Codes(page, url)
    plane.canvas.hover(position=plane.spot(DEAD))
    expect(plane.caption).to_contain_text(f"code {DEAD}: dead, no latent uses it")
    plane.canvas.hover(position=plane.spot(LIVE))
    share = f"{100 * plane.usage()[LIVE]:.1f}"
    expect(plane.caption).to_contain_text(f"code {LIVE}: used by {share} % of the latents")
    assert near(scene(page), plane.spot(DEAD), VERMILLION)
    assert not near(scene(page), plane.spot(LIVE), VERMILLION)
    alone = np.linalg.norm(plane.places()[:, None] - plane.places(), axis=2)
    code = int((alone + 9 * np.eye(len(alone))).min(1).argmax())
    plane.canvas.click(position=plane.spot(code, dx=6, dy=-6))
    pick = plane.picked(1)
    assert pick["code"] == code
    assert (pick["index"], pick["shift"]) == (None, False)
    x, y = plane.places()[code] + np.array([6, 6]) / plane.to.scale
    assert pick["p"] == pytest.approx([x, y], abs=0.02)  # the place clicked, not the code's
    expect(plane.caption).to_contain_text(f"code {code}: ")
    expect(plane.caption).to_contain_text("Decoded")
    accent = plane.canvas.evaluate(
        "canvas => getComputedStyle(canvas).getPropertyValue('--st-primary-color')"
    )
    ring = tuple(int(accent.strip()[i : i + 2], 16) for i in (1, 3, 5))
    plane.wait_for(lambda: near(scene(page), plane.spot(code, dy=18), ring))
    assert not plane.errors


def test_a_cell_is_said_and_a_click_in_it_reports_its_code(page: Page, url: str) -> None:
    plane = Codes(page, url)
    places = np.random.default_rng(1).uniform(-3.4, 3.4, (20, 2))
    for place in places:
        plane.canvas.hover(position=plane.to(*place))
        expect(plane.caption).to_contain_text(f"code {plane.nearest(place)}: ")
    for count, place in enumerate(places[::3], 1):
        plane.canvas.click(position=plane.to(*place))
        pick = plane.picked(count)
        assert pick["p"] == pytest.approx(place, abs=0.02)
        assert pick["code"] == plane.nearest(pick["p"])
    page.mouse.move(10, 10)
    far = plane.to(-3.4, 3.4)
    still = tinted(plane.canvas, far)
    plane.canvas.hover(position=far)
    plane.wait_for(lambda: tinted(plane.canvas, far) > still)  # the cell under the pointer
    assert not plane.errors


def test_a_replay_moves_the_codes_and_their_trails_grow(page: Page, url: str) -> None:
    plane = Codes(page, url, "case=replay")
    lengths = []
    for epoch in range(4):
        plane.scrub(epoch)
        for code in (DEAD, LIVE):
            plane.canvas.hover(position=plane.spot(code, epoch))
            expect(plane.caption).to_contain_text(re.compile(rf"(?<!of )code {code}: "))
        assert near(scene(page), plane.spot(DEAD, epoch), VERMILLION)
        lengths.append(plane.purple())
    assert (np.diff(lengths) > 100).all()
    assert not near(scene(page), plane.spot(DEAD, 1), VERMILLION)
    plane.scrub(1)
    place = free(plane)
    plane.canvas.click(position=plane.to(*place))
    pick = plane.picked(1)
    assert pick["code"] == plane.nearest(pick["p"], 1)
    trails = plane.layers.get_by_role("button", name="Trails")
    trails.click()
    plane.wait_for(lambda: plane.purple() < lengths[0] + 20)
    page.get_by_test_id("replay-play").click()
    expect(page.get_by_test_id("replay-count")).to_have_text("epoch 3")
    assert not plane.errors


def test_the_legend_hides_codes_and_cells(page: Page, url: str) -> None:
    plane = Codes(page, url)
    expect(plane.layers).to_contain_text("Measured on held-out digits.")
    inked = """canvas => canvas.getContext("2d").getImageData(250, 120, 300, 300)
        .data.filter((v, i) => i % 4 === 3 && v > 60).length"""
    both = scene(page).evaluate(inked)
    plane.layers.get_by_role("button", name="Code vectors").click()
    plane.wait_for(lambda: not near(scene(page), plane.spot(DEAD), VERMILLION))
    cells = scene(page).evaluate(inked)
    assert 0 < cells < both
    plane.canvas.click(position=plane.spot(LIVE))
    assert plane.picked(1)["code"] == LIVE  # by its cell
    plane.layers.get_by_role("button", name="Cells").click()
    plane.wait_for(lambda: scene(page).evaluate(inked) == 0)
    plane.canvas.click(position=plane.spot(DEAD))
    assert plane.picked(2)["code"] is None
    plane.layers.get_by_role("button", name="Code vectors").click()
    plane.wait_for(lambda: near(scene(page), plane.spot(DEAD), VERMILLION))
    assert plane.layers.get_by_role("button", name="Trails").count() == 0


def test_without_cells_a_finger_reaches_further_than_a_pointer(page: Page, url: str) -> None:
    plane = Codes(page, url, "case=pca")
    assert plane.layers.get_by_role("button", name="Cells").count() == 0
    plane.canvas.click(position=plane.to(*free(plane)))
    assert plane.picked(1)["code"] is None
    codes = np.array([list(plane.spot(k).values()) for k in range(len(plane.places()))])
    beside = codes[DEAD] + 17 * np.stack(
        [np.cos(turns := np.arange(0, 6.3, 0.1)), np.sin(turns)], 1
    )
    away = np.linalg.norm(beside[:, None] - np.delete(codes, DEAD, 0), axis=2).min(1)
    assert away.max() > 22
    spot = dict(zip("xy", beside[away.argmax()].tolist(), strict=True))
    plane.canvas.click(position=spot)
    assert plane.picked(2)["code"] is None
    finger = Finger(plane)
    finger.send("touchStart", (spot["x"], spot["y"]))
    finger.send("touchEnd")
    assert plane.picked(3)["code"] == DEAD


def test_a_collapsed_codebook_is_shown_all_the_same(page: Page, url: str) -> None:
    plane = Codes(page, url, "case=collapsed")
    plane.canvas.hover(position=plane.spot(0))
    expect(plane.caption).to_contain_text("code 0: used by 100.0 % of the latents")
    plane.canvas.click(position=plane.to(-2.0, -2.0))
    assert plane.picked(1)["code"] == 0
    assert not plane.errors


def test_without_codes_a_pick_is_what_it_was(page: Page, url: str) -> None:
    plane = Codes(page, url, "case=none&n=50")
    expect(plane.layers).to_have_text("Data points")
    plane.canvas.click(position={"x": 200, "y": 150})
    assert set(plane.picked(1)) == {"p", "index", "shift"}
    assert not plane.errors


def inside(cell: np.ndarray, place: np.ndarray) -> bool:
    """Whether a place lies in a convex cell whose corners turn to the left."""
    along, to = np.roll(cell, -1, 0) - cell, place - cell
    return bool((along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0] >= -1e-12).all())


def area(cell: list[list[float]]) -> float:
    """The area of a polygon."""
    x, y = np.array(cell).reshape(-1, 2).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def test_cells_are_exact(page: Page) -> None:
    rng = np.random.default_rng(2)
    apart = rng.normal(size=(80, 2)).round(3)
    cases = {
        "apart": apart,
        "twins": np.concatenate([apart[:40], apart[:40]]),
        "on a line": apart * [0, 1] + [1, 0],
        "collapsed": np.full((80, 2), 0.25),
        "all outside the box": apart + 30,
    }
    page.goto("about:blank")
    answers = page.evaluate(
        """async ([source, cases]) => {
            const { cellsOf } = await import(source);
            return cases.map((places) => cellsOf(places, [-4, 4, -3, 3]));
        }""",
        [module("cellsOf", "view.js", "cells.js"), [places.tolist() for places in cases.values()]],
    )
    for (case, places), cells in zip(cases.items(), answers, strict=True):
        assert sum(map(area, cells)) == pytest.approx(48, rel=1e-9), case
        for place in rng.uniform([-4, -3], [4, 3], (300, 2)):
            code = ((places - place) ** 2).sum(1).argmin()  # of equal places, the first
            assert inside(np.array(cells[code]), place), case


def test_cells_of_a_large_codebook_take_no_time(page: Page) -> None:
    places = np.random.default_rng(4).normal(size=(512, 2)).tolist()
    page.goto("about:blank")
    spent = page.evaluate(
        """async ([source, places]) => {
            const { Codes } = await import(source);
            const codes = new Codes();
            const take = () =>
                codes.take({ places: [...places], usage: places.map(() => 1 / 512), cells: true });
            const timed = (act) => {
                const before = performance.now();
                act();
                return performance.now() - before;
            };
            const view = (k) => [-4 + k / 100, 4 + k / 100, -3, 3];
            const first = Math.min(...[1, 2, 3, 4, 5].map(() => {
                take();
                return timed(() => codes.cells(view(0)));
            }));
            const panned = timed(() => { for (let k = 0; k < 100; k++) codes.cells(view(k)); });
            return [first, panned / 100];
        }""",
        [module("Codes", *canvas.MODULES[: canvas.MODULES.index("codes.js") + 1]), places],
    )
    assert spent[0] < 150 and spent[1] < 1, spent
