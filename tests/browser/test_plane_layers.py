"""The plane's heat map, Gaussians, race and handle in Chromium, against what is known."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_canvas import Plane, scene
from ui import canvas
from ui.canvas import pad
from ui.canvas.bundle import bundle, read

HERE = Path(__file__).parent
ORANGE, YELLOW = (0xD5, 0x5E, 0x00), (0xE6, 0x9F, 0x00)
GREEN, PINK = (0x00, 0x9E, 0x73), (0xCC, 0x79, 0xA7)


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "layers_app.py").url


def colour_at(surface: Locator, spot: dict[str, float]) -> np.ndarray:
    """Red, green, blue, alpha of a pixel."""
    values = surface.evaluate(
        """(canvas, [x, y]) => [...canvas.getContext("2d").getImageData(
            Math.round(x * devicePixelRatio), Math.round(y * devicePixelRatio), 1, 1).data]""",
        [spot["x"], spot["y"]],
    )
    return np.array(values)


def near(surface: Locator, spot: dict[str, float], colour: tuple[int, ...], reach: int = 2) -> bool:
    """Whether a colour is drawn within a few pixels of a spot."""
    values = surface.evaluate(
        """(canvas, [x, y, n]) => [...canvas.getContext("2d").getImageData(
            Math.round(x * devicePixelRatio) - n, Math.round(y * devicePixelRatio) - n,
            2 * n + 1, 2 * n + 1).data]""",
        [spot["x"], spot["y"], reach],
    )
    rgb = np.array(values).reshape(-1, 4)
    return bool((np.abs(rgb[:, :3] - colour).max(1) < 12)[rgb[:, 3] > 250].any())


class Pixels:
    """Where places are on the canvas, measured once with two looks at the caption."""

    def __init__(self, plane: Plane) -> None:
        (x0, y0), (x1, y1) = plane.move(200, 400), plane.move(500, 100)
        self.scale = 600 / (x1 - x0 + y1 - y0)
        self.at = (200 - self.scale * x0, 400 + self.scale * y0)

    def __call__(self, x: float, y: float) -> dict[str, float]:
        return {"x": self.at[0] + self.scale * x, "y": self.at[1] - self.scale * y}


def module(exported: str, *names: str) -> str:
    """Some modules as an address that a page can import one name from."""
    source = bundle(*names) + f"\nexport {{ {exported} }};"
    return "data:text/javascript;base64," + base64.b64encode(source.encode()).decode()


def ramps(page: Page) -> np.ndarray:
    """The heat map's colours in the light and the dark theme, with shape (2, 256, 4)."""
    colours = page.evaluate(
        """async (source) => {
            const { heatColour } = await import(source);
            return [false, true].map(dark =>
                Array.from({ length: 256 }, (_, v) => heatColour(v / 255, dark)));
        }""",
        module("heatColour", "view.js", "heat.js"),
    )
    return np.array(colours)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB from 0 to 255 as OKLab, with shape (*, 3)."""
    v = rgb / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    to_lms = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(linear @ np.transpose(to_lms)) @ np.transpose(to_lab)


def told(plane: Plane) -> dict[str, Any]:
    """The last q that the page's Python was told."""
    plane.wait_for(lambda: plane.report()["told"])
    return plane.report()["told"][-1]


def drag(
    plane: Plane, start: dict[str, float], end: dict[str, float], *, drop: bool = True
) -> None:
    """Drag with the mouse from one pixel of the canvas to another."""
    box = plane.canvas.bounding_box()
    plane.page.mouse.move(box["x"] + start["x"], box["y"] + start["y"])
    plane.page.mouse.down()
    plane.page.mouse.move(box["x"] + end["x"], box["y"] + end["y"], steps=6)
    if drop:
        plane.page.mouse.up()


def test_heat_is_where_the_density_is_and_can_be_switched(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=heat&points=0")
    to = Pixels(plane)
    ramp = ramps(page)
    for dark in (False, True):
        page.emulate_media(color_scheme="dark" if dark else "light")
        for x, y in ((0.2, 1.1), (-0.8, 0.8), (1.5, -1.4)):
            bent = np.exp(-((x / 0.9) ** 2) - ((y - 1 + 0.5 * x**2) / 0.3) ** 2)
            share = bent + 0.6 * np.exp(-((x - 1.5) ** 2 + (y + 1.4) ** 2) / (2 * 0.2**2))
            wanted = ramp[int(dark), round(255 * share)]
            plane.wait_for(
                lambda x=x, y=y, wanted=wanted: (
                    np.abs(colour_at(scene(page), to(x, y)) - wanted).max() < 16
                )
            )
        assert colour_at(scene(page), to(-3.1, -2.9))[3] == 0
    layers = page.get_by_test_id("plane-layers")
    expect(layers).to_contain_text("highest")
    expect(layers.get_by_role("button", name="Decoded pictures")).to_have_attribute(
        "aria-pressed", "false"
    )
    inked = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
        .data.filter((_, i) => i % 4 === 3).reduce((a, b) => a + b, 0)"""
    before = scene(page).evaluate(inked)
    layers.get_by_role("button", name="Decoded pictures").click()
    plane.wait_for(lambda: scene(page).evaluate(inked) > before + 200_000)
    layers.get_by_role("button", name="Decoded pictures").click()
    layers.get_by_role("button", name="true posterior").click()
    plane.wait_for(lambda: colour_at(scene(page), to(1.5, -1.4))[3] == 0)
    plane.rerun()
    assert colour_at(scene(page), to(1.5, -1.4))[3] == 0
    assert sum("/api/heat" in address for address in plane.requests) == 1
    assert not plane.errors


def test_the_ramp_is_even_and_of_one_hue(page: Page) -> None:
    for colours, sign in zip(ramps(page)[:, ::8], (-1, 1), strict=True):
        lightness, a, b = oklab(colours[:, :3]).T
        steps = sign * np.diff(lightness)
        assert steps.min() > 0.7 * steps.mean() and steps.max() < 1.3 * steps.mean()
        assert np.ptp(np.degrees(np.arctan2(b, a))[4:]) < 10
        assert colours[0, 3] == 0 and colours[-1, 3] == 255


def test_a_heat_map_that_fails_gives_a_sentence(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=heat&heat_fails=1")
    expect(plane.status).to_have_text(
        "Could not load the heat map: this posterior is not there yet."
    )
    plane.canvas.click(position={"x": 180, "y": 120})
    expect(plane.caption).to_contain_text("Decoded")


def test_ellipses_draws_and_marks_are_where_they_should_be(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=heat,ellipses,draws,marks&points=0")
    to = Pixels(plane)
    page.mouse.move(10, 10)
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for deviations in (1, 2):
        round_it = [
            to(-1.5 + 0.7 * deviations * np.cos(t), -1.5 + 0.3 * deviations * np.sin(t))
            for t in turns
        ]
        assert all(near(scene(page), spot, ORANGE) for spot in round_it)
    assert not near(scene(page), to(-1.5 + 1.5 * 0.7, -1.5), ORANGE)
    root = np.linalg.cholesky([[0.25, -0.06], [-0.06, 0.06]])
    dashed = [
        near(scene(page), to(*([0.2, 0.9] + 2 * root @ [np.cos(t), np.sin(t)])), PINK)
        for t in turns
    ]
    assert 0.4 < np.mean(dashed) < 0.95
    layers = page.get_by_test_id("plane-layers")
    for name in ("samples of a flow q", "the encoder's q", "best Gaussian q*"):
        expect(layers.get_by_role("button", name=name)).to_be_visible()
    assert near(scene(page), to(1.5, -1.4), YELLOW, reach=12)
    assert colour_at(plane.canvas, {**to(1.5, -1.4), "x": to(1.5, -1.4)["x"] + 8})[3] == 255
    layers.get_by_role("button", name="the encoder's q").click()
    plane.wait_for(lambda: not near(scene(page), to(-0.8, -1.5), ORANGE))
    expect(page.get_by_test_id("plane-race")).to_be_hidden()


def test_a_race_plays_rests_and_keeps_its_frame(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=heat,race&points=0")
    to = Pixels(plane)
    page.mouse.move(10, 10)
    play, step = page.get_by_test_id("race-play"), page.get_by_test_id("race-step")
    count = page.get_by_test_id("race-count")
    expect(count).to_have_text("step 0 of 400")
    assert near(plane.canvas, to(-1.5 + 0.8**0.5, -1.5), ORANGE)
    play.click()
    expect(count).to_have_text(re.compile(r"step [1-9]\d+ of 400"))
    play.click()
    expect(play).to_have_text("Play")
    rested = count.inner_text()
    plane.rerun()
    assert count.inner_text() == rested
    step.focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(count).to_have_text("step 30 of 400")
    page.keyboard.press("End")
    expect(count).to_have_text("step 400 of 400")
    expect(page.get_by_test_id("race-now")).to_contain_text("from the encoder: −122.1")
    rightmost = to(0.3**0.5, 1 + 0.1 * np.sin(5) / 0.3**0.5)
    plane.wait_for(lambda: near(plane.canvas, rightmost, YELLOW))
    page.keyboard.press("Space")
    expect(play).to_have_text("Pause")
    page.keyboard.press("Space")
    expect(play).to_have_text("Play")
    plane.canvas.focus()
    page.keyboard.press("Space")
    expect(play).to_have_text("Pause")
    page.get_by_label("Race key").fill("two")
    page.keyboard.press("Enter")
    expect(count).to_have_text("step 0 of 400")
    expect(play).to_have_text("Play")
    assert plane.report()["picks"] == [] and not plane.errors


def test_the_race_chart_shows_the_end_and_says_what_it_cuts(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=race")
    expect(page.get_by_test_id("race-note")).to_have_text("Values down to −1022.1 are cut off.")
    page.get_by_test_id("plane-layers").get_by_role("button", name="from the prior").click()
    expect(page.get_by_test_id("race-note")).not_to_contain_text("1022")
    page.get_by_test_id("race-step").focus()
    page.keyboard.press("End")
    drawn = """canvas => { const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width,
        canvas.height); let n = 0;
        for (let i = 0; i < data.length; i += 4) n += data[i] === 213 && data[i + 1] === 94;
        return n; }"""
    plane.wait_for(lambda: page.get_by_test_id("race-chart").evaluate(drawn) > 500)
    cases = {
        "far": [[-1000, -300, -125, -123, -122.5, -122.4], [-120, -122]],
        "short": [[-5], [None, None]],
        "odd": [[None, -3, -2], [-1, None]],
        "none": [[], [None, None]],
        "flat": [[-7, -7, -7], [-7, -7]],
    }
    got = page.evaluate(
        """async ([source, cases]) => {
            const { chartRange } = await import(source);
            return Object.fromEntries(Object.entries(cases).map(([name, [elbo, levels]]) =>
                [name, chartRange([{ elbo: elbo.map(v => v ?? NaN) }], levels)]));
        }""",
        [module("chartRange", "view.js", "points.js", "ink.js", "racechart.js"), cases],
    )
    for name, values in got.items():
        assert values["lo"] < values["hi"], name
    assert -135 < got["far"]["lo"] < -122.5 and -120 < got["far"]["hi"] < -118
    assert got["far"]["lowest"] == -1000


def test_a_race_hops_where_less_motion_is_wanted(page: Page, url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    Plane(page, url, "with=race")
    page.evaluate("""() => { window.steps = [];
        const find = (root) => { for (const e of root.querySelectorAll("*")) {
            if (e.dataset?.testid === "race-count") return e;
            const inner = e.shadowRoot && find(e.shadowRoot); if (inner) return inner; } };
        const count = find(document);
        new MutationObserver(() => window.steps.push(parseInt(count.innerText.slice(5))))
            .observe(count, { childList: true, characterData: true, subtree: true }); }""")
    page.get_by_test_id("race-pace").select_option("4")
    page.get_by_test_id("race-play").click()
    expect(page.get_by_test_id("race-count")).to_have_text("step 400 of 400")
    seen = set(page.evaluate("window.steps"))
    assert len(seen) > 4 and all(step % 30 == 0 for step in seen - {400})


@pytest.mark.parametrize("echo", ["1", "0"])
def test_dragging_the_handle_reports_q_and_never_picks(page: Page, url: str, echo: str) -> None:
    plane = Plane(page, url, f"with=heat,handle&points=0&echo={echo}")
    to = Pixels(plane)
    drag(plane, to(1.0, 1.0), to(-1.0, 0.5))
    plane.wait_for(lambda: plane.report()["told"])
    plane.wait_for(lambda: told(plane)["p"] == pytest.approx([-1.0, 0.5], abs=0.02))
    assert told(plane)["cov"] == pytest.approx([0.16, 0.0, 0.04], rel=1e-6, abs=1e-9)
    page.mouse.move(10, 10)
    assert near(plane.canvas, to(-1.0 + 0.4, 0.5), GREEN)
    # The first knob stands 20 pixels beyond two standard deviations; turned by 90°, to 0.5.
    stalk = 20 / to.scale
    drag(plane, to(-1.0 + 0.8 + stalk, 0.5), to(-1.0, 0.5 + 1.0 + stalk))
    plane.wait_for(lambda: told(plane)["cov"][2] == pytest.approx(0.25, abs=0.01))
    assert told(plane)["cov"][:2] == pytest.approx([0.04, 0.0], abs=2e-3)
    plane.rerun()
    page.mouse.move(10, 10)
    assert near(plane.canvas, to(-1.0, 0.5 + 0.5), GREEN)
    # Into the centre: the scale ends at its least, and the covariance is still one.
    drag(plane, to(-1.0, 0.5 + 1.0 + stalk), to(-0.999, 0.5))
    plane.wait_for(lambda: np.linalg.eigvalsh(matrix(told(plane)["cov"]))[0] < 1.01e-6)
    assert np.linalg.eigvalsh(matrix(told(plane)["cov"]))[0] == pytest.approx(1e-6, rel=1e-3)
    plane.canvas.click(position=to(*told(plane)["p"]))
    assert plane.report()["picks"] == []
    page.get_by_label("Handle key").fill("two")
    page.keyboard.press("Enter")
    plane.wait_for(lambda: near(plane.canvas, to(1.0 + 0.4, 1.0), GREEN))
    plane.canvas.click(position=to(-3.0, -3.0))
    plane.wait_for(lambda: plane.report()["picks"])
    assert not plane.errors


def test_a_late_echo_of_the_last_movement_does_not_undo_this_one(page: Page) -> None:
    names = canvas.MODULES[: canvas.MODULES.index("handle.js") + 1]
    pose = page.evaluate(
        """async (source) => {
            const { Handle } = await import(source);
            const camera = { view: [-4, 4, -4, 4], unit: 75, place: ([x, y]) => [x / 75, -y / 75],
                frame: { left: 0, top: 0, width: 600, height: 600, right: 600, bottom: 600 } };
            const q = (x) => ({ p: [x, 0], cov: [0.16, 0, 0.04], colour: "red", label: "q" });
            const told = [];
            const grip = document.createElement("div");
            const handle = new Handle(grip, camera, () => {}, (said) => told.push(said));
            handle.receive(q(0));
            for (const [knob, dx, dy] of [[0, 75, 0], [1, 40, -90]]) {
                const [x, y] = handle.spots[knob];
                handle.grab(x, y, false);
                handle.drag(x + dx, y + dy);
                handle.drop();
            }
            handle.receive({ ...q(0), ...told[0] });
            return [handle.pose, told.length];
        }""",
        module("Handle", *names),
    )
    assert pose[1] == 2
    assert pose[0]["angle"] > 0.3


def matrix(cov: list[float]) -> np.ndarray:
    """xx, xy, yy as a matrix."""
    return np.array([[cov[0], cov[1]], [cov[1], cov[2]]])


def test_the_page_is_told_while_the_hand_moves(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=heat,handle&points=0")
    to = Pixels(plane)
    drag(plane, to(1.0, 1.0), to(0.0, 0.0), drop=False)
    plane.wait_for(lambda: told(plane)["p"] == pytest.approx([0.0, 0.0], abs=0.02))
    runs = plane.report()["runs"]
    page.mouse.up()
    plane.wait_for(lambda: plane.report()["runs"] > runs)
    assert told(plane)["p"] == pytest.approx([0.0, 0.0], abs=0.02)


def test_a_finger_drags_the_handle(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=heat,handle&points=0")
    to = Pixels(plane)
    box = plane.canvas.bounding_box()
    touch = page.context.new_cdp_session(page)
    places = [to(1.0 - 0.5 * k, 1.0) for k in range(5)]
    for k, place in enumerate(places):
        # A finger is broad: it takes hold 15 pixels beside.
        point = {"x": box["x"] + place["x"] + 15, "y": box["y"] + place["y"] + 10}
        kind = "touchStart" if k == 0 else "touchMove"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    plane.wait_for(lambda: told(plane)["p"] == pytest.approx([-1.0, 1.0], abs=0.02))
    assert plane.report()["picks"] == []


def test_keys_move_scale_and_turn_the_handle(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=handle")
    page.get_by_test_id("plane-grip").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    plane.wait_for(lambda: told(plane)["p"] == pytest.approx([1.16, 1.08]))
    page.keyboard.press("+")
    cov = np.array([0.16, 0.0, 0.04])
    plane.wait_for(lambda: told(plane)["cov"] == pytest.approx(1.21 * cov))
    page.keyboard.press("-")
    page.keyboard.press(".")
    plane.wait_for(lambda: told(plane)["cov"] == pytest.approx([0.16 * 1.21, 0, 0.04 / 1.21]))
    page.keyboard.press(",")
    for _ in range(9):
        page.keyboard.press("[")
    plane.wait_for(lambda: told(plane)["cov"] == pytest.approx([0.1, 0.06, 0.1]))
    page.keyboard.press("]")
    plane.wait_for(lambda: told(plane)["cov"] != pytest.approx([0.1, 0.06, 0.1]))
    assert np.linalg.eigvalsh(matrix(told(plane)["cov"])) == pytest.approx([0.04, 0.16])
    assert not plane.errors


def test_without_a_decoder_there_is_no_picture_and_picks_go_on(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=heat&points=0&backdrop=0&decode=0")
    expect(page.get_by_test_id("plane-picture")).to_be_hidden()
    plane.canvas.click(position={"x": 180, "y": 120})
    plane.wait_for(lambda: plane.report()["picks"])
    assert not any("/api/decode" in address for address in plane.requests)
    assert not plane.errors


def test_absent_layers_leave_the_plane_as_it_was(page: Page, url: str) -> None:
    plane = Plane(page, url, "with=none")
    for name in ("plane-race", "plane-grip"):
        expect(page.get_by_test_id(name)).to_be_hidden()
    expect(page.get_by_test_id("plane-layers")).to_have_text("Data points")
    plane.canvas.click(position={"x": 180, "y": 120})
    expect(plane.caption).to_contain_text("Decoded")
    plane.canvas.focus()
    page.keyboard.press("Space")
    assert not plane.errors


@pytest.mark.parametrize("modules", [canvas.MODULES, pad.MODULES])
def test_modules_share_no_name_and_stay_short(modules: tuple[str, ...]) -> None:
    names: list[str] = []
    for module in modules:
        source = read(module)
        assert len(source.splitlines()) <= 300, module
        pattern = r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)"
        names += re.findall(pattern, source, re.MULTILINE)
        imported = re.findall(r"^import .* from \"./([\w.]+)\";$", source, re.MULTILINE)
        assert set(imported) <= set(modules[: modules.index(module)]), module
    assert len(names) == len(set(names))
