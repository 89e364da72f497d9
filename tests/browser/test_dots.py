"""The points of the plane in Chromium: read, found, thinned, drawn by WebGL and without it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from ui.canvas.bundle import bundle
from ui.packing import packed

HARNESS = Path(__file__).parent / "harness" / "canvas_app.py"
MODULES = ("view.js", "colour.js", "points.js", "stamps.js", "stamping.js", "gl.js", "dots.js")
NAMES = "parsePoints, thinned, nearest, ellipse, stampsOf, tintsOf, drawDots, drawable, fit"

#: WebGL in software that says it is a graphics processor.
PRETEND = """for (const kind of [WebGLRenderingContext, WebGL2RenderingContext]) {
    const ask = kind.prototype.getParameter;
    kind.prototype.getParameter = function (name) {
        return name === 0x9246 ? "A graphics processor" : ask.call(this, name);
    };
}"""
#: No WebGL at all.
NONE = """{
    const get = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, wish) {
        return kind.startsWith("webgl") ? null : get.call(this, kind, wish);
    };
}"""
#: `draw(points)`: what `drawDots` leaves on an empty canvas, as a list of bytes.
DRAW = """window.frame = { left: 0, top: 0, width: 200, height: 150 };
window.view = [-3.3, 3.3, -2.475, 2.475];
window.draw = (source, mode = "label", hidden = [], dark = false) => {
    const canvas = new OffscreenCanvas(200, 150);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const points = m.drawable(source, { mode, labels: [], range: [-2, 2] });
    m.drawDots(context, points, new Set(hidden), view, frame, dark, 1);
    return [...context.getImageData(0, 0, 200, 150).data];
};"""


def load(page: Page, *before: str) -> None:
    """Bring the modules into an empty page, as `m`, after some scripts."""
    source = f"{bundle(*MODULES)}\nexport {{ {NAMES} }};"
    address = "data:text/javascript;base64," + base64.b64encode(source.encode()).decode()
    for script in before:
        page.evaluate(f"() => {{ {script} }}")
    page.evaluate("async (source) => { window.m = await import(source); }", address)
    page.evaluate(f"() => {{ {DRAW} }}")


def put(page: Page, loc: np.ndarray, covariance: np.ndarray, values: np.ndarray) -> None:
    """Parse points in the page, as `points`."""
    text = base64.b64encode(packed(loc, covariance, values)).decode()
    page.evaluate(
        """async (text) => {
            const answer = await fetch("data:application/octet-stream;base64," + text);
            window.points = m.parsePoints(await answer.arrayBuffer());
        }""",
        text,
    )


def some(n: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, covariances and labels."""
    rng = np.random.default_rng(n)
    scale = np.exp(rng.normal(-3, 1, size=(n, 2)))
    correlation = np.tanh(rng.normal(0, 2, size=n))
    xy = scale[:, 0] * scale[:, 1] * correlation
    covariance = np.stack([scale[:, 0] ** 2, xy, scale[:, 1] ** 2], axis=1)
    return spread * rng.normal(size=(n, 2)), covariance, rng.integers(10, size=n)


def test_what_the_server_packs_is_read(page: Page) -> None:
    """Places to single precision, half axes of ellipses to half a per cent: those that lean most,
    where the variance across is a difference of nearly equal numbers."""
    loc, covariance, labels = some(500)
    covariance[0] = [0.25, 0, 0]  # a run of one dimension has no second one
    load(page)
    for values in (labels, -100 - 10 * loc[:, 0]):
        put(page, loc, covariance, values)
        got = page.evaluate(
            """() => ({ ...Object.fromEntries(Object.entries(points).map(([k, v]) =>
                [k, v.length ? [...v] : v])), axes: [...points.x].map((_, i) => {
                const e = m.ellipse(points.sxx[i], points.sxy[i], points.syy[i]);
                return [e.minor ** 2, e.major ** 2]; }) })"""
        )
        assert got["count"] == 500 and got["index"] == list(range(500))
        np.testing.assert_array_equal(np.stack([got["x"], got["y"]], 1), loc.astype("f4"))
        np.testing.assert_array_equal(got["value"], np.asarray(values, "f4"))
        matrices = covariance[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
        variances = np.linalg.eigvalsh(matrices)
        np.testing.assert_allclose(np.array(got["axes"])[1:], variances[1:], rtol=1e-2)
        np.testing.assert_allclose(got["axes"][0], [0, 0.25], rtol=1e-3, atol=1e-12)


def test_what_is_cut_off_is_refused(page: Page) -> None:
    load(page)
    for size in (0, 7, 158 + 1, 158 - 1):
        said = page.evaluate(
            """(bytes) => { try { m.parsePoints(Uint8Array.from(bytes).buffer); }
                catch (error) { return error.message; } }""",
            [*packed(np.zeros((10, 2)), np.ones((10, 3)), np.arange(10)), 0][:size],
        )
        assert said == "they arrived incomplete"


def test_the_nearest_visible_datum_is_found(page: Page) -> None:
    loc, covariance, labels = some(3000)
    load(page)
    put(page, loc, covariance, labels)
    places = np.random.default_rng(1).uniform(-3, 3, size=(200, 2))
    rows = page.evaluate(
        """places => places.map(p => m.nearest(points, i => points.value[i] !== 3, p, 0.2))""",
        places.tolist(),
    )
    apart = np.linalg.norm(loc.astype("f4") - places[:, None], axis=2)
    apart[:, labels == 3] = np.inf
    expected = np.where(apart.min(axis=1) < 0.2, apart.argmin(axis=1), -1)
    np.testing.assert_array_equal(rows, expected)
    assert 0 < (expected < 0).sum() < 200


def test_a_few_of_many_points_are_taken_evenly(page: Page) -> None:
    loc, covariance, labels = some(1000)
    load(page)
    put(page, loc, covariance, labels)
    got = page.evaluate(
        """() => { const few = m.thinned(points, 300);
            return [few.count, [...few.index], [...few.x], [...few.value],
                m.thinned(points, 1000) === points]; }"""
    )
    index = np.array(got[1])
    assert got[0] == len(index) == 300 and got[4]
    assert index[0] == 0 and set(np.diff(index)) == {3, 4}
    np.testing.assert_array_equal(got[2], loc.astype("f4")[index, 0])
    np.testing.assert_array_equal(got[3], labels[index])


@pytest.mark.parametrize(
    ("mode", "dark", "hidden"),
    [("label", False, []), ("label", True, [3, 4]), ("value", True, [])],
)
def test_dots_are_drawn_one_after_the_other(page: Page, mode: str, dark: bool, hidden) -> None:
    """By hand as by `drawImage`, but for rounding, which adds up where many rims meet."""
    loc, covariance, labels = some(3000)
    load(page)
    put(page, loc, covariance, labels if mode == "label" else 1.5 * loc[:, 0])
    ask = [mode, hidden, dark]
    by_hand = page.evaluate("ask => draw(points, ...ask)", ask)
    one_by_one = page.evaluate(
        """([mode, hidden, dark]) => {
            const unit = 200 / 6.6;
            const radius = Math.round(Math.max(2, 0.34 * Math.sqrt(unit)) * 4) / 4;
            const { size, sheet } = m.stampsOf(mode, dark, radius);
            const tints = m.tintsOf(points, { mode, range: [-2, 2] });
            const canvas = new OffscreenCanvas(200, 150);
            const context = canvas.getContext("2d", { willReadFrequently: true });
            for (let i = 0; i < points.count; i++) {
                if (mode === "label" && hidden.includes(points.value[i])) continue;
                const [x, y] = [100 + points.x[i] * unit, 75 - points.y[i] * unit];
                context.drawImage(sheet, tints[i] * size, 0, size, size,
                    Math.round(x - size / 2), Math.round(y - size / 2), size, size);
            }
            return [...context.getImageData(0, 0, 200, 150).data];
        }""",
        ask,
    )
    assert difference(by_hand, one_by_one).max() <= 6 and max(by_hand) == 255


def difference(one: list[int], other: list[int]) -> np.ndarray:
    """How much what is seen of two pictures differs, pixel by pixel: colour times alpha."""
    seen = [np.reshape(p, (150, 200, 4)).astype(float) for p in (one, other)]
    for picture in seen:
        picture[..., :3] *= picture[..., 3:] / 255
    return np.abs(seen[0] - seen[1]).max(axis=2)


@pytest.mark.parametrize("mode", ["label", "value"])
def test_webgl_draws_what_is_drawn_by_hand(page: Page, mode: str) -> None:
    """The same dots; a few of them a pixel aside, where places in single precision round apart."""
    loc, covariance, labels = some(5000)
    values = labels if mode == "label" else 1.5 * loc[:, 0]
    pictures = []
    for before in ("", PRETEND):
        page.goto("about:blank")
        load(page, before)
        put(page, loc, covariance, values)
        pictures.append(page.evaluate("mode => draw(points, mode, [1, 2], true)", mode))
    assert page.evaluate("() => m.drawable(points, {}).columns === points")
    assert (difference(*pictures) > 6).mean() < 0.003
    assert 0.2 < (np.array(pictures[0][3::4]) > 0).mean() < 0.95


def test_a_lost_graphics_processor_is_survived(page: Page) -> None:
    """By hand while it is away, and by WebGL again when it is back."""
    loc, covariance, labels = some(5000)
    page.add_init_script(PRETEND)
    page.goto("about:blank")
    load(page)
    put(page, loc, covariance, labels)
    drawn = page.evaluate(
        """async () => {
            const found = [];
            const get = HTMLCanvasElement.prototype.getContext;
            HTMLCanvasElement.prototype.getContext = function (...ask) {
                const context = get.apply(this, ask);
                found.push(context);
                return context;
            };
            const before = draw(points);
            const [gl] = found;
            let calls = 0;
            const arrays = gl.drawArrays;
            gl.drawArrays = function (...ask) { calls++; return arrays.apply(this, ask); };
            const lose = gl.getExtension("WEBGL_lose_context");
            const event = (name) => new Promise(done => gl.canvas.addEventListener(name, done));
            const lost = event("webglcontextlost");
            lose.loseContext();
            const atOnce = draw(points);
            await lost;
            const away = draw(points);
            const whileAway = calls;
            const back = event("webglcontextrestored");
            setTimeout(() => lose.restoreContext());
            await back;
            return [before, atOnce, away, draw(points), whileAway, calls];
        }"""
    )
    for picture in drawn[1:4]:
        assert (difference(picture, drawn[0]) > 6).mean() < 0.003
    assert drawn[4:] == [0, 1]


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HARNESS).url


def open_plane(page: Page, url: str, query: str) -> Any:
    """The plane of the harness, with its points."""
    page.goto(f"{url}/?{query}")
    expect(page.get_by_test_id("plane-legend")).not_to_be_empty()
    return page.get_by_test_id("plane-canvas")


def test_without_webgl_fewer_points_are_drawn_and_found(page: Page, url: str) -> None:
    sentence = "WebGL is not available here: 20,000 of 30,000 points are drawn."
    open_plane(page, url, "n=30000")
    expect(page.get_by_test_id("plane-legend")).not_to_contain_text("WebGL")
    page.add_init_script(NONE)
    canvas = open_plane(page, url, "n=30000")
    expect(page.get_by_test_id("plane-legend")).to_contain_text(sentence)
    canvas.click(position={"x": 300, "y": 250})
    expect(page.get_by_test_id("plane-caption")).to_contain_text("Decoded")
    open_plane(page, url, "n=20000")
    expect(page.get_by_test_id("plane-legend")).not_to_contain_text("WebGL")


def test_hovering_does_not_draw_the_points_again(page: Page, url: str) -> None:
    page.add_init_script("""window.stamped = 0;
        const put = OffscreenCanvasRenderingContext2D.prototype.putImageData;
        OffscreenCanvasRenderingContext2D.prototype.putImageData = function (image, ...at) {
            if (image.width > 300) window.stamped++;
            return put.call(this, image, ...at);
        };""")
    canvas = open_plane(page, url, "n=60000&backdrop=0")
    page.wait_for_function("stamped > 0")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    expect(page.get_by_test_id("plane-caption")).to_contain_text("z1")
    before = page.evaluate("stamped")
    page.mouse.move(box["x"] + 500, box["y"] + 300, steps=20)
    assert page.evaluate("stamped") == before
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 200, steps=4)
    page.mouse.up()
    page.wait_for_function("before => stamped > before", arg=before)
