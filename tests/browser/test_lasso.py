"""The lasso and the lines that the page lays over the plane, in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_canvas import Plane
from tests.browser.test_plane_layers import GREEN, ORANGE, PINK, YELLOW, Pixels, near

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "walk_app.py").url


def open_plane(page: Page, url: str, query: str = "backdrop=1") -> Plane:
    """The harness's plane, which has no points."""
    return Plane(page, url, f"points=0&{query}")


def group(page: Page, name: str) -> Locator:
    """A button of the toolbar."""
    return page.get_by_test_id("plane-lasso").get_by_role("button", name=name)


def draw(plane: Plane, pixels: np.ndarray) -> None:
    """Drag along pixels of the canvas, given as x and y."""
    box = plane.canvas.bounding_box()
    at = np.add(pixels, [box["x"], box["y"]])
    plane.page.mouse.move(*at[0])
    plane.page.mouse.down()
    for spot in at[1:]:
        plane.page.mouse.move(*spot)
    plane.page.mouse.up()


def loops(plane: Plane, n: int) -> list[dict[str, Any]]:
    """The loops that the page's Python was told, once there are so many."""
    plane.wait_for(lambda: len(plane.report()["loops"]) == n)
    return plane.report()["loops"]


def test_a_drag_in_a_groups_mode_tells_the_loop_and_does_not_pan(page: Page, url: str) -> None:
    plane = open_plane(page, url)
    to = Pixels(plane)
    group(page, "group 2").click()
    turn = np.linspace(0, 2 * np.pi, 60)[:-1]
    places = np.stack([1.5 * np.cos(turn), 1 + np.sin(turn)], axis=1)
    draw(plane, np.array([[*to(x, y).values()] for x, y in places]))
    (loop,) = loops(plane, 1)
    told = np.array(loop["points"])
    assert loop["group"] == 1 and 40 <= len(told) <= 200
    off = np.linalg.norm(told[:, None] - places[None], axis=-1).min(axis=1)
    assert off.max() < 1.5 / to.scale  # whole pixels, by a caption of two decimals
    assert plane.report()["view"] is None and plane.report()["picks"] == []
    expect(group(page, "Move")).to_have_attribute("aria-pressed", "true")
    plane.wait_for(lambda: near(plane.canvas, to(0, 2), PINK))
    assert not near(plane.canvas, to(0, 2.3), PINK)
    box = plane.canvas.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 380, box["y"] + 300, steps=4)
    page.mouse.up()
    plane.wait_for(lambda: plane.report()["view"] is not None)
    assert len(plane.report()["loops"]) == 1 and not plane.errors


def test_a_long_drag_keeps_at_most_200_corners(page: Page, url: str) -> None:
    plane = open_plane(page, url)
    group(page, "group 1").click()
    turn = np.linspace(0, 6 * np.pi, 241)[:-1]
    radius = np.linspace(60, 150, 240)
    draw(plane, np.stack([320 + radius * np.cos(turn), 220 + radius * np.sin(turn)], axis=1))
    (loop,) = loops(plane, 1)
    assert loop["group"] == 0 and 100 < len(loop["points"]) <= 200


def test_a_loop_by_keyboard_has_its_corners_where_enter_was_pressed(page: Page, url: str) -> None:
    plane = open_plane(page, url)
    to = Pixels(plane)
    page.mouse.move(5, 5)
    group(page, "group 1").focus()
    page.keyboard.press("Enter")
    expect(plane.canvas).to_be_focused()
    corners = []
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft"):
        for _ in range(5):
            page.keyboard.press(key)
        expect(plane.caption).to_contain_text("Preview")
        page.wait_for_timeout(60)
        corners.append(plane.said())
        page.keyboard.press("Enter")
    expect(page.get_by_test_id("plane-lasso")).to_contain_text("3 corners")
    page.keyboard.press("Space")
    (loop,) = loops(plane, 1)
    assert loop["group"] == 0
    assert np.array(loop["points"]) == pytest.approx(np.array(corners), abs=0.006)
    middle = np.mean([corners[0], corners[1]], axis=0)
    plane.wait_for(lambda: near(plane.canvas, to(*middle), GREEN))
    assert plane.report()["picks"] == []
    page.keyboard.press("ArrowUp")  # the plane takes the keys again
    plane.wait_for(lambda: plane.report()["picks"] != [])


def test_escape_and_a_loop_without_area_tell_nothing(page: Page, url: str) -> None:
    plane = open_plane(page, url)
    group(page, "group 1").click()
    plane.canvas.click(position={"x": 200, "y": 200})
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    expect(group(page, "group 1")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(group(page, "Move")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(400)
    assert plane.report()["loops"] == [] and plane.report()["picks"] == []
    plane.canvas.click(position={"x": 200, "y": 200})  # a click picks again
    plane.wait_for(lambda: plane.report()["picks"] != [])


def test_paths_are_drawn_and_switched_by_the_legend(page: Page, url: str) -> None:
    plane = open_plane(page, url)
    to = Pixels(plane)
    along = np.linspace(-2.6, 2.6, 60)
    assert all(near(plane.canvas, to(-3, y), ORANGE) for y in along)
    dashed = [near(plane.canvas, to(x, 3), YELLOW, reach=0) for x in along]
    assert 0.3 < np.mean(dashed) < 0.9
    layers = page.get_by_test_id("plane-layers")
    layers.get_by_role("button", name="up").click()
    plane.wait_for(lambda: not near(plane.canvas, to(-3, 0), ORANGE))
    assert near(plane.canvas, to(-3, 3), YELLOW, reach=6)
