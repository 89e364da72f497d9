"""The latent plane in Chromium, against routes whose answers are known."""

from __future__ import annotations

import base64
import io
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.mixing import mixed
from ui import cache, canvas
from vae import latent

HERE = Path(__file__).parent
SOURCES = Path(canvas.__file__).parent


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "canvas_app.py").url


class Plane:
    """The plane on a page, as a person uses it."""

    def __init__(self, page: Page, url: str, query: str = "") -> None:
        self.page, self.url = page, url
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{url}/?{query}")
        self.canvas = page.get_by_test_id("plane-canvas")
        self.caption = page.get_by_test_id("plane-caption")
        self.status = page.get_by_test_id("plane-status")
        expect(page.get_by_test_id("plane-legend")).not_to_be_empty()
        if "points=0" not in query:
            expect(page.locator(".labels")).not_to_be_empty()

    def move(self, x: float, y: float) -> tuple[float, float]:
        """Move the pointer to a pixel of the canvas; the place that the caption then says."""
        self.page.mouse.move(10, 10)
        expect(self.caption).not_to_contain_text("Preview")
        self.canvas.hover(position={"x": x, "y": y})
        expect(self.caption).to_contain_text("Preview")
        return self.said()

    def said(self) -> tuple[float, float]:
        """The place in the caption."""
        numbers = re.findall(r"z\d = ([−\d.]+)", self.caption.inner_text())
        return tuple(float(n.replace("−", "-")) for n in numbers)

    def pixel(self, place: tuple[float, float]) -> dict[str, float]:
        """Where a place is on the canvas, measured with two looks at the caption."""
        a, b = np.array(self.move(200, 400)), np.array(self.move(500, 100))
        share = (np.array(place) - a) / (b - a)
        return {"x": 200 + 300 * share[0], "y": 400 - 300 * share[1]}

    def picture(self) -> np.ndarray:
        """The grey values that the picture shows, with shape (28, 28)."""
        values = self.page.get_by_test_id("plane-picture").evaluate(
            """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width,
                canvas.height).data].filter((_, i) => i % 4 === 0)"""
        )
        return np.array(values).reshape(28, 28)

    def expected(self, p: list[float]) -> np.ndarray:
        """The picture that the route gives for a place."""
        with urllib.request.urlopen(f"{self.url}/api/decode?p={p[0]},{p[1]}") as answer:
            return np.asarray(Image.open(io.BytesIO(answer.read())), dtype=int)

    def report(self) -> dict[str, Any]:
        """What the page's Python has seen."""
        return json.loads(self.page.locator(".st-key-report").inner_text())

    def picked(self, count: int) -> dict[str, Any]:
        """The last pick, once there are so many."""
        self.wait_for(lambda: len(self.report()["picks"]) == count)
        return self.report()["picks"][-1]

    def wait_for(self, condition: Any, timeout: int = 8000) -> None:
        """Wait until something is so."""
        for _ in range(timeout // 50):
            if condition():
                return
            self.page.wait_for_timeout(50)
        pytest.fail("what was waited for did not happen")

    def rerun(self) -> None:
        """Run the script once more."""
        runs = self.report()["runs"]
        self.page.get_by_role("button", name="Rerun").click()
        self.wait_for(lambda: self.report()["runs"] > runs)


def scene(page: Page) -> Locator:
    """The canvas with points and axes."""
    return page.locator("canvas.scene")


def test_hover_shows_a_preview_near_the_exact_picture(page: Page, url: str) -> None:
    plane = Plane(page, url)
    assert plane.picture().max() == 0
    place = plane.move(400, 250)
    exact = plane.expected(list(place))
    assert exact.max() > 200
    assert np.abs(plane.picture() - exact).mean() < 8
    assert not any("/api/decode" in address for address in plane.requests)


def test_click_anywhere_decodes_that_place(page: Page, url: str) -> None:
    plane = Plane(page, url)
    said = plane.move(180, 120)
    plane.canvas.click(position={"x": 180, "y": 120})
    expect(plane.caption).to_contain_text("Decoded")
    pick = plane.picked(1)
    assert pick["index"] is None and pick["shift"] is False
    assert pick["p"] == pytest.approx(said, abs=0.006)
    assert np.array_equal(plane.picture(), plane.expected(pick["p"]))
    plane.move(500, 300)
    assert not np.array_equal(plane.picture(), plane.expected(pick["p"]))
    page.mouse.move(10, 10)
    expect(plane.caption).to_contain_text("Decoded")
    assert np.array_equal(plane.picture(), plane.expected(pick["p"]))
    page.get_by_role("textbox", name="Epoch").fill("2")
    page.keyboard.press("Enter")
    wanted = urllib.parse.quote(f"{pick['p'][0]},{pick['p'][1]}", safe=",")
    plane.wait_for(lambda: any("epoch=2" in a and wanted in a for a in plane.requests))
    assert not plane.errors


def test_click_on_a_point_gives_its_index_and_mean(page: Page, url: str) -> None:
    plane = Plane(page, url)
    spot = plane.pixel((3.2, -3.2))
    plane.canvas.click(position={"x": spot["x"] + 4, "y": spot["y"] - 3})
    pick = plane.picked(1)
    assert pick["index"] == 0
    assert pick["p"] == pytest.approx([3.2, -3.2], abs=1e-5)
    expect(plane.caption).to_contain_text("datum 0, digit: 0")
    page.get_by_test_id("plane-legend").get_by_role("button", name="0").click()
    plane.canvas.click(position=spot, modifiers=["Shift"])
    pick = plane.picked(2)
    assert pick["index"] is None and pick["shift"] is True


def test_drag_pans_without_clicking(page: Page, url: str) -> None:
    plane = Plane(page, url)
    before = plane.move(300, 200)
    box = plane.canvas.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 360, box["y"] + 250, steps=4)
    page.mouse.up()
    assert plane.move(360, 250) == pytest.approx(before, abs=0.011)
    plane.wait_for(lambda: plane.report()["view"] is not None)
    assert plane.report()["picks"] == []
    page.get_by_test_id("plane-reset").click()
    assert plane.move(300, 200) == pytest.approx(before, abs=0.011)


def test_wheel_zooms_at_the_pointer_and_reruns_keep_the_view(page: Page, url: str) -> None:
    plane = Plane(page, url)
    elsewhere = plane.move(450, 300)
    before = plane.move(250, 200)
    page.mouse.wheel(0, -300)
    plane.wait_for(lambda: plane.report()["view"] is not None)
    assert plane.move(250, 200) == pytest.approx(before, abs=0.011)
    zoomed = plane.move(450, 300)
    ratio = (zoomed[0] - before[0]) / (elsewhere[0] - before[0])
    assert ratio == pytest.approx(np.exp(-240 / 400), abs=0.02)
    view = plane.report()["view"]
    plane.rerun()
    assert plane.report()["view"] == view
    assert plane.move(450, 300) == pytest.approx(zoomed, abs=0.011)
    page.get_by_label("View key").fill("two")
    page.keyboard.press("Enter")
    plane.wait_for(lambda: plane.report()["runs"] > 3)
    assert plane.move(450, 300) == pytest.approx(elsewhere, abs=0.011)


def decodes(plane: Plane) -> int:
    """How many exact pictures were asked for."""
    return sum("/api/decode" in address for address in plane.requests)


def test_keys_step_and_letting_go_decodes(page: Page, url: str) -> None:
    plane = Plane(page, url, "n=1")
    plane.canvas.focus()
    page.keyboard.press("ArrowRight")
    expect(plane.caption).to_contain_text("Decoded")
    pick = plane.picked(1)
    assert pick == {"p": [0.16, 0.0], "index": None, "shift": False}
    assert np.array_equal(plane.picture(), plane.expected(pick["p"]))
    said = page.get_by_test_id("plane-said")
    density = f"{-0.5 * 0.16**2 - np.log(2 * np.pi):.2f}".replace("-", "−")
    expect(said).to_have_text(f"Decoded; z1 = 0.16, z2 = 0.00; log p(z) = {density} nats")
    page.keyboard.press("Enter")
    assert plane.picked(2)["p"] == [0.16, 0.0]
    page.keyboard.press("Shift+ArrowUp")  # the second place, beside the first
    pick = plane.picked(3)
    assert pick["p"] == pytest.approx([0.16, 0.16]) and pick["shift"]
    page.keyboard.press("Shift+ArrowUp")
    assert plane.picked(4)["p"] == pytest.approx([0.16, 0.32])
    page.keyboard.press("+")
    plane.wait_for(lambda: plane.report()["view"] is not None)
    low, high = plane.report()["view"][2:]
    assert high - low == pytest.approx(8 / 1.25, abs=1e-4)


def test_a_held_key_flows_at_the_rate_of_the_screen_and_asks_for_nothing(
    page: Page, url: str
) -> None:
    plane = Plane(page, url)
    plane.canvas.focus()
    page.keyboard.down("ArrowRight")
    page.keyboard.down("ArrowUp")
    seen = {plane.said() for _ in range(40) if page.wait_for_timeout(20) is None}
    assert len(seen) > 8  # steps of a repeating key would be fewer, and larger
    assert decodes(plane) == 0 and plane.report()["picks"] == []
    page.keyboard.up("ArrowRight")
    page.wait_for_timeout(200)
    assert decodes(plane) == 0
    page.keyboard.up("ArrowUp")
    expect(plane.caption).to_contain_text("Decoded")
    pick = plane.picked(1)
    assert pick["p"][0] > 0.5 and pick["p"][1] > pick["p"][0]
    assert np.array_equal(plane.picture(), plane.expected(pick["p"]))
    page.wait_for_timeout(400)
    assert plane.said() == pytest.approx(pick["p"], abs=0.006)


def test_enter_takes_the_datum_within_reach_and_arrows_do_not(page: Page, url: str) -> None:
    plane = Plane(page, url)
    spot = plane.pixel((3.2, -3.2))
    plane.canvas.click(position={"x": spot["x"] + 12, "y": spot["y"]})
    assert plane.picked(1)["index"] is None
    page.keyboard.press("ArrowLeft")
    said = page.get_by_test_id("plane-said")
    expect(said).to_contain_text("near datum 0, digit: 0; Enter takes it")
    assert plane.picked(2)["index"] is None
    page.keyboard.press("Enter")
    pick = plane.picked(3)
    assert pick["index"] == 0 and pick["p"] == pytest.approx([3.2, -3.2], abs=1e-5)
    expect(said).to_contain_text("datum 0, digit: 0")
    expect(said).not_to_contain_text("near")


def test_the_caption_stands_still_while_its_numbers_change(page: Page, url: str) -> None:
    plane = Plane(page, url)
    boxes = []
    for x, y in ((220, 100), (420, 380), (301, 247)):
        place = plane.move(x, y)
        log_p = -0.5 * np.sum(np.square(place)) - np.log(2 * np.pi)
        text = plane.caption.locator(".density").inner_text()
        assert float(text.split("=")[1].split()[0].replace("−", "-")) == pytest.approx(
            log_p, abs=0.06
        )
        numbers = plane.caption.locator("i").all()
        boxes.append([[box["x"], box["width"]] for box in map(Locator.bounding_box, numbers)])
    assert np.ptp(boxes, axis=0).max() < 0.6


class Finger:
    """One finger on the canvas."""

    def __init__(self, plane: Plane) -> None:
        self.box = plane.canvas.bounding_box()
        self.session = plane.page.context.new_cdp_session(plane.page)

    def send(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": self.box["x"] + x, "y": self.box["y"] + y} for x, y in places]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def slide(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        for place in np.linspace(start, end, 6):
            self.send("touchMove", tuple(place.tolist()))


def test_a_finger_taps_pans_and_lets_the_image_flow(page: Page, url: str) -> None:
    plane = Plane(page, url, "n=1")
    at = plane.move(250, 200)
    to = plane.move(400, 320)
    page.mouse.move(10, 10)
    finger = Finger(plane)
    finger.send("touchStart", (250, 200))
    finger.send("touchMove", (253, 202))  # a finger is never quite still
    finger.send("touchEnd")
    assert plane.picked(1)["p"] == pytest.approx(at, abs=0.011)
    expect(plane.caption).to_contain_text("Decoded")
    asked = decodes(plane)

    finger.send("touchStart", (300, 200))
    page.wait_for_timeout(600)
    expect(plane.caption).to_contain_text("Preview")
    finger.slide((300, 200), (400, 320))
    plane.wait_for(lambda: plane.said() == pytest.approx(to, abs=0.011))
    expect(plane.caption).to_contain_text("Preview")
    assert decodes(plane) == asked
    finger.send("touchEnd")
    pick = plane.picked(2)
    assert pick["p"] == pytest.approx(to, abs=0.011) and plane.report()["view"] is None
    expect(plane.caption).to_contain_text("Decoded")
    assert np.array_equal(plane.picture(), plane.expected(pick["p"]))

    finger.send("touchStart", (250, 200))
    finger.slide((250, 200), (400, 320))
    finger.send("touchEnd")
    plane.wait_for(lambda: plane.report()["view"] is not None)
    assert plane.move(400, 320) == pytest.approx(at, abs=0.011)
    assert len(plane.report()["picks"]) == 2 and not plane.errors


def test_what_fails_gives_a_sentence_and_the_rest_works(page: Page, url: str) -> None:
    plane = Plane(page, url, "decode_fails=1&sprite_fails=1")
    expect(plane.status).to_have_text(
        "Could not load the decoded manifold: the grid is not there yet."
    )
    plane.canvas.click(position={"x": 180, "y": 120})
    expect(plane.status).to_contain_text("Could not decode this place: the run was deleted.")
    expect(plane.caption).to_contain_text("Not decoded")
    assert plane.picked(1)["index"] is None
    page.route("**/api/decode*", lambda route: route.abort())
    plane.canvas.click(position={"x": 500, "y": 120})
    expect(plane.status).to_contain_text("The server does not answer: ")
    assert plane.picked(2)
    assert not plane.errors


def test_a_late_answer_does_not_replace_a_newer_one(page: Page, url: str) -> None:
    plane = Plane(page, url, "slow=1&n=1")
    plane.canvas.click(position={"x": 150, "y": 120})
    plane.canvas.click(position={"x": 550, "y": 120})
    expect(plane.caption).to_contain_text("Decoded")
    page.wait_for_timeout(900)
    pick = plane.report()["picks"][-1]
    assert pick["p"][0] > 0
    assert np.array_equal(plane.picture(), plane.expected(pick["p"]))


def test_the_theme_is_followed_live(page: Page, url: str) -> None:
    """Axis numbers are dark on light, and light on dark."""
    plane = Plane(page, url)
    brightest = """canvas => Math.max(...canvas.getContext("2d").getImageData(0, 0,
        40 * devicePixelRatio, canvas.height).data.filter((_, i) => i % 4 !== 3))"""
    assert scene(page).evaluate(brightest) < 120
    page.emulate_media(color_scheme="dark")
    plane.wait_for(lambda: scene(page).evaluate(brightest) > 180)


def test_one_mount_and_one_fetch_over_five_reruns(page: Page, url: str) -> None:
    """Nothing asks another host, either."""
    plane = Plane(page, url)
    plane.canvas.evaluate("canvas => { canvas.marked = true }")
    for _ in range(5):
        plane.rerun()
    assert plane.canvas.evaluate("canvas => canvas.marked") is True
    for route in ("/api/points", "/api/sprite"):
        assert sum(route in address for address in plane.requests) == 1
    hosts = {urllib.parse.urlsplit(address).hostname for address in plane.requests}
    assert hosts - {None} == {"127.0.0.1"}
    assert not plane.errors


def test_values_have_a_scale_with_numbers(page: Page, url: str) -> None:
    Plane(page, url, "mode=value")
    legend = page.get_by_test_id("plane-legend")
    for text in ("ELBO (nats)", "−190", "−165", "−140"):
        expect(legend).to_contain_text(text)


def module(name: str) -> str:
    """A module's source as an address that a page can import."""
    source = (SOURCES / name).read_bytes()
    return "data:text/javascript;base64," + base64.b64encode(source).decode()


def test_view_maths(page: Page) -> None:
    got = page.evaluate(
        """async (source) => {
            const m = await import(source);
            const frame = { left: 60, top: 10, width: 600, height: 400 };
            const view = m.fit([-3, 3, -3, 3], frame);
            const pixel = m.toPixel(view, frame, [1.2, -0.7]);
            const moved = m.pan(view, frame, 30, -20);
            const zoomed = m.zoomAt(view, 2, [1.2, -0.7]);
            return { view, back: m.toPlane(view, frame, pixel),
                again: m.fit(view, frame),
                moved: m.toPixel(moved, frame, [1.2, -0.7]), pixel,
                zoomed: m.toPixel(zoomed, frame, [1.2, -0.7]), span: zoomed[1] - zoomed[0],
                ticks: m.ticks(-1, 1, 4).map(t => t.text),
                fine: m.ticks(0.1, 0.16, 3).map(t => t.text),
                least: m.zoomAt(view, 1e12, [0, 0]) };
        }""",
        module("view.js"),
    )
    assert got["view"] == pytest.approx([-4.5, 4.5, -3, 3])
    assert got["again"] == pytest.approx(got["view"])
    assert got["back"] == pytest.approx([1.2, -0.7])
    assert np.subtract(got["moved"], got["pixel"]) == pytest.approx([30, -20])
    assert got["zoomed"] == pytest.approx(got["pixel"])
    assert got["span"] == pytest.approx(4.5)
    assert got["ticks"] == ["−1.0", "−0.5", "0.0", "0.5", "1.0"]
    assert got["fine"] == ["0.10", "0.12", "0.14", "0.16"]
    assert got["least"][1] - got["least"][0] == pytest.approx(1e-3)


def test_mix_is_bilinear(page: Page) -> None:
    rng = np.random.default_rng(1)
    rows, cols, h, w = 3, 4, 2, 5
    xs, ys = np.array([-1, -0.5, 0.7, 2]), np.array([-1, 0.6, 1])
    tiles = rng.integers(256, size=(rows, cols, h, w))
    sprite = tiles.transpose(0, 2, 1, 3).reshape(rows * h, cols * w)
    places = [[-1, 1], [2, -1], [0.3, 0.4], [-0.5, 0.6], [1.9, 0.95], [2.01, 0], [0, 1.5]]
    got = page.evaluate(
        """async ([source, pixels, xs, ys, places]) => {
            const { mix } = await import(source);
            const sprite = { pixels: Uint8ClampedArray.from(pixels), width: 20, height: 6 };
            const meta = { xs, ys, tile: [2, 5] };
            return places.map(p => mix(sprite, meta, p)).map(g => g && [...g.pixels]);
        }""",
        [module("picture.js"), sprite.ravel().tolist(), xs.tolist(), ys.tolist(), places],
    )
    for (x, y), pixels in zip(places[:5], got, strict=False):
        assert pixels == pytest.approx(mixed(tiles, xs, ys, [(x, y)]).ravel(), abs=0.51)
    assert got[5:] == [None, None]


def test_the_browser_mixes_as_the_test_that_bounds_the_mix_does(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """See tests/ui/test_backdrop.py: one grey level, for numbers are rounded differently."""
    monkeypatch.delenv("VAE_RUNS")
    xs, ys = cache.nodes("digits-2d", "0,1", None, 17, 3.0)
    model, where = cache.model("digits-2d"), cache.plane("digits-2d", "0,1")
    tiles = latent.decoded_grid(model, where, xs, ys)
    places = np.random.default_rng(3).uniform(-3, 3, (50, 2))
    got = page.evaluate(
        """async ([source, png, xs, ys, places]) => {
            const { mix, readGrey } = await import(source);
            const sprite = await readGrey(await (await fetch(png)).blob());
            return places.map(p => [...mix(sprite, { xs, ys, tile: [8, 8] }, p).pixels]);
        }""",
        [
            module("picture.js"),
            "data:image/png;base64," + base64.b64encode(latent.png(latent.mosaic(tiles))).decode(),
            xs.tolist(),
            ys.tolist(),
            places.tolist(),
        ],
    )
    assert np.abs(np.reshape(got, (50, 8, 8)) - mixed(tiles, xs, ys, places)).max() < 1


def test_ellipse_is_the_covariance(page: Page) -> None:
    sxx, sxy, syy = 0.9, -0.35, 0.4
    got = page.evaluate(
        """async ([source, s]) => (await import(source)).ellipse(...s)""",
        [module("points.js"), [sxx, sxy, syy]],
    )
    c, s = np.cos(got["angle"]), np.sin(got["angle"])
    turn = np.array([[c, -s], [s, c]])
    spread = turn @ np.diag([got["major"] ** 2, got["minor"] ** 2]) @ turn.T
    assert spread == pytest.approx(np.array([[sxx, sxy], [sxy, syy]]))
    assert got["major"] >= got["minor"]
