"""What lies behind the points, how far the mix is off, and what is said when something fails."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Route, expect

from tests.browser.test_canvas import Plane, scene
from tests.browser.test_plane_layers import Pixels, colour_at, module as joined, oklab
from tests.mixing import mixed
from ui import figures

HERE = Path(__file__).parent
GONE = "There is no run “digits”: it was deleted, or the link is wrong."


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "canvas_app.py").url


def asked(plane: Plane, what: str) -> int:
    """How many requests there were for something."""
    return sum(what in address for address in plane.requests)


def test_a_field_is_fetched_when_it_is_chosen_and_switched_without_a_rerun(page, url):
    plane = Plane(page, url, "fields=1&n=1")
    to = Pixels(plane)
    page.mouse.move(10, 10)
    ground = page.get_by_test_id("plane-ground")
    expect(ground.get_by_role("radio")).to_have_count(4)
    expect(ground.get_by_label("Decoded pictures")).to_be_checked()
    assert asked(plane, "/api/field") == 0
    runs = plane.report()["runs"]
    ground.get_by_label("log-magnification").check()
    expect(ground).to_contain_text("The log-magnification rises across.")
    for text in ("−3.50", "nats", "1.25"):
        expect(ground).to_contain_text(text)
    plane.wait_for(lambda: colour_at(scene(page), to(2.5, -1.05))[3] == 255)
    lightness = [oklab(colour_at(scene(page), to(x, -1.05))[:3])[0] for x in (-3.5, -1.5, 1.5, 3.5)]
    assert np.diff(lightness).max() < -0.1  # in the light theme more is darker
    assert np.ptp(colour_at(scene(page), to(1.5, -1.05))[:3]) < 4  # grey, for points have colours
    page.emulate_media(color_scheme="dark")
    plane.wait_for(lambda: colour_at(scene(page), to(3.5, -1.05))[0] > 200)
    page.emulate_media(color_scheme="light")
    plane.wait_for(lambda: colour_at(scene(page), to(3.5, -1.05))[0] < 100)  # the legend is new

    ground.get_by_label("aggregate posterior").focus()
    page.keyboard.press("Space")
    plane.wait_for(lambda: asked(plane, "/api/field") == 2)
    page.keyboard.press("ArrowUp")
    expect(ground.get_by_label("log-magnification")).to_be_checked()
    assert asked(plane, "/api/field") == 2 and plane.report()["runs"] == runs
    plane.rerun()
    expect(ground.get_by_label("log-magnification")).to_be_checked()
    ground.get_by_label("None").check()
    plane.wait_for(lambda: colour_at(scene(page), to(2.5, -1.05))[3] == 0)
    expect(ground).not_to_contain_text("nats")
    plane.move(300, 200)  # the image flows with every backdrop
    assert not plane.errors


def test_points_and_paths_are_switched_without_a_rerun(page, url):
    plane = Plane(page, url, "n=2000")
    to = Pixels(plane)
    plane.canvas.click(position=to(-3, -3))
    plane.picked(1)
    plane.canvas.click(position=to(-3, 3), modifiers=["Shift"])
    plane.picked(2)
    page.get_by_test_id("plane-ground").get_by_label("None").check()
    layers = page.get_by_test_id("plane-layers")
    path = layers.get_by_role("button", name="straight")
    expect(path).to_have_attribute("aria-pressed", "true")
    page.mouse.move(10, 10)
    plane.wait_for(lambda: abs(colour_at(plane.canvas, to(-3, 0.5))[0] - 0xD5) < 12)
    runs = plane.report()["runs"]
    path.click()
    plane.wait_for(lambda: colour_at(plane.canvas, to(-3, 0.5))[3] == 0)
    assert colour_at(scene(page), to(1.3, 0.0))[3] > 0
    layers.get_by_role("button", name="Data points").click()
    plane.wait_for(lambda: colour_at(scene(page), to(1.3, 0.05))[3] == 0)
    plane.canvas.click(position=to(3.2, -3.2))
    assert plane.picked(3)["index"] is None  # what is not seen is not hit
    assert plane.report()["runs"] <= runs + 2
    plane.rerun()
    assert colour_at(scene(page), to(1.3, 0.05))[3] == 0


def test_a_field_that_fails_gives_a_sentence_and_the_rest_works(page, url):
    plane = Plane(page, url, "fields=1&field_fails=1")
    page.get_by_test_id("plane-ground").get_by_label("aggregate posterior").check()
    expect(plane.status).to_have_text("Could not load the backdrop: this decoder has no metric.")
    page.get_by_test_id("plane-ground").get_by_label("Decoded pictures").check()
    expect(plane.status).to_have_text("")
    plane.move(300, 200)


def test_the_comparison_is_the_difference_of_mix_and_exact_picture(page, url):
    plane = Plane(page, url, "bent=1&n=1")
    button = page.get_by_test_id("plane-compare")
    expect(button).to_be_hidden()
    plane.canvas.click(position={"x": 180, "y": 120})
    p = plane.picked(1)["p"]
    expect(plane.caption).to_contain_text("Decoded")
    button.click()
    expect(plane.caption).to_contain_text("Difference")
    nodes = 4 * np.sinh(1.5 * np.linspace(-1, 1, 41)) / np.sinh(1.5)
    side = [int(np.searchsorted(nodes, v)) for v in p]
    xs, ys = (nodes[k - 1 : k + 1] for k in side)
    tiles = np.stack([[plane.expected([x, y]) for x in xs] for y in ys[::-1]])
    mix, exact = mixed(tiles, xs, ys, [p])[0].round().astype(np.uint8), plane.expected(p)
    apart = np.abs(mix.astype(float) - exact) / 2.55
    measure = page.get_by_test_id("plane-measure")
    expect(measure).to_contain_text("Blue: the mix lacks ink; orange: it has too much.")
    said = [float(n) for n in re.findall(r"([\d.]+) %", measure.inner_text())]
    assert said[0] == pytest.approx(apart.mean(), abs=0.03) and 0 < said[0] < 8
    assert said[1] == pytest.approx(apart.max(), abs=0.45)
    shown = page.get_by_test_id("plane-picture").evaluate(
        """canvas => [...canvas.getContext("2d").getImageData(0, 0, 28, 28).data]"""
    )
    rgb = np.reshape(shown, (28, 28, 4))[..., :3]
    assert np.abs(rgb - figures.difference(exact, mix).astype(int)).max() <= 2
    plane.move(400, 300)  # meanwhile the image flows as ever
    page.mouse.move(10, 10)
    expect(plane.caption).to_contain_text("Difference")
    button.click()
    expect(plane.caption).to_contain_text("Decoded")
    expect(measure).to_have_text("")


def test_without_a_backdrop_there_is_nothing_to_compare(page, url):
    plane = Plane(page, url, "sprite_fails=1&n=1")
    plane.canvas.click(position={"x": 180, "y": 120})
    expect(plane.caption).to_contain_text("Decoded")
    expect(page.get_by_test_id("plane-compare")).to_be_hidden()


def test_a_manifold_that_takes_long_is_announced_and_then_there(page, url):
    held: list[Route] = []
    page.route("**/api/sprite*", lambda route: held.append(route))
    plane = Plane(page, url, "n=1")
    expect(plane.status).to_have_text("Still on the way: the decoded manifold.")
    plane.canvas.click(position={"x": 180, "y": 120})
    expect(plane.caption).to_contain_text("Decoded")
    expect(page.get_by_test_id("plane-compare")).to_be_hidden()
    held[0].continue_()
    expect(plane.status).to_have_text("")
    expect(page.get_by_test_id("plane-compare")).to_be_visible()
    plane.move(300, 200)


def test_a_manifold_that_was_not_there_yet_is_asked_for_again(page, url):
    busy = [503, 503]
    page.route(
        "**/api/sprite*",
        lambda route: (
            route.fulfill(status=busy.pop(), body="it is being decoded.", content_type="text/plain")
            if busy
            else route.continue_()
        ),
    )
    plane = Plane(page, url, "n=1")
    expect(plane.status).to_have_text("Could not load the decoded manifold: it is being decoded.")
    expect(plane.status).to_have_text("")
    plane.move(300, 200)
    assert asked(plane, "/api/sprite") == 3


def test_a_deleted_run_is_said_once(page, url):
    plane = Plane(page, url, "n=1&fields=1")
    gone = {"status": 404, "body": GONE, "content_type": "text/plain; charset=utf-8"}
    page.route("**/api/*", lambda route: route.fulfill(**gone))
    plane.canvas.click(position={"x": 180, "y": 120})
    expect(plane.status).to_contain_text("Could not decode this place: " + GONE)
    plane.wait_for(lambda: plane.report()["picks"] and plane.report()["runs"] > 2)
    page.get_by_test_id("plane-ground").get_by_label("aggregate posterior").check()
    expect(plane.status).to_have_text(
        "Could not decode this place and load the backdrop: " + GONE,
    )
    plane.canvas.hover(position={"x": 300, "y": 200})  # what is there still flows
    plane.wait_for(lambda: plane.said()[0] > -2)
    page.wait_for_timeout(2500)
    assert asked(plane, "/api/field") == 1  # what is gone is not asked for again
    assert not plane.errors


def test_a_lost_connection_is_said_once_and_mends_itself(page, url):
    plane = Plane(page, url, "n=1&fields=1")
    page.route("**/api/*", lambda route: route.abort("internetdisconnected"))
    plane.canvas.click(position={"x": 180, "y": 120})
    page.get_by_test_id("plane-ground").get_by_label("aggregate posterior").check()
    expect(plane.status).to_have_text(
        "The server does not answer: you see what was there, and it is asked again until it does."
    )
    expect(plane.caption).to_contain_text("Preview")
    plane.canvas.hover(position={"x": 300, "y": 200})
    plane.wait_for(lambda: plane.said()[0] > -2)
    page.mouse.move(10, 10)
    page.unroute("**/api/*")
    expect(plane.status).to_have_text("")
    expect(plane.caption).to_contain_text("Decoded")
    pick = plane.report()["picks"][-1]
    assert np.array_equal(plane.picture(), plane.expected(pick["p"]))


def test_what_is_no_picture_is_refused_in_words(page, url):
    page.route(
        "**/api/sprite*", lambda route: route.fulfill(body="<html>", content_type="image/png")
    )
    plane = Plane(page, url, "n=1")
    expect(plane.status).to_have_text(
        "Could not load the decoded manifold: what came is no picture."
    )


def test_the_plane_says_how_it_is_used(page, url):
    plane = Plane(page, url, "n=1")
    expect(plane.canvas).to_have_role("application")
    expect(plane.canvas).to_have_accessible_name("Latent plane: z1 to the right, z2 upwards")
    expect(plane.canvas).to_have_accessible_description(re.compile("Arrows move the place"))
    page.get_by_text("Mouse, fingers, keys").click()
    expect(page.locator("#plane-help")).to_be_visible()


def test_as_many_tiles_are_shown_as_can_be_told_apart_and_none_overlap(page):
    uneven = (200 * np.sort(np.random.default_rng(0).standard_normal(33))).tolist()
    source = joined("spread", "view.js", "tiles.js")
    far, near, alone, pair = page.evaluate(
        """async ([source, uneven]) => {
            const { spread } = await import(source);
            return [spread(uneven, 24), spread(uneven.map((x) => 4 * x), 24), spread([7], 24),
                spread([0, 9], 24)];
        }""",
        [source, uneven],
    )
    for tiles, places in ((far, np.array(uneven)), (near, 4 * np.array(uneven))):
        at = places[[tile["index"] for tile in tiles]]
        half = np.array([tile["gap"] for tile in tiles]) / 2
        assert np.diff(at).min() >= 24
        assert (at[1:] - half[1:] >= at[:-1] + half[:-1] - 1e-9).all()
    assert {tile["index"] for tile in far} < {tile["index"] for tile in near}
    assert [tile["index"] for tile in alone] == [0] and len(pair) == 1
