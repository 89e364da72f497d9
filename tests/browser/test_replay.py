"""The replay in Chromium: points glide, pictures switch, and the page is told where it rests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_plane_layers import module
from ui import canvas

HERE = Path(__file__).parent
#: The colour of label 5, that of the only point that moves.
BLUE = (0x00, 0x88, 0xE8)


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "replay_app.py").url


class Replay:
    """The bar under the plane, as a person uses it."""

    def __init__(self, page: Page, url: str, query: str = "") -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{url}/?{query}")
        self.play = page.get_by_test_id("replay-play")
        self.step = page.get_by_test_id("replay-step")
        self.count = page.get_by_test_id("replay-count")
        self.note = page.get_by_test_id("replay-note")
        self.caption = page.get_by_test_id("plane-caption")
        self.canvas = page.get_by_test_id("plane-canvas")
        expect(self.count).to_have_text(re.compile(r"^epoch \d+$"))
        self.settle()

    def blue(self) -> float | None:
        """The x in pixels of the middle of the moving point, if it is seen."""
        columns = self.page.locator("canvas.scene").evaluate(
            """(canvas, [r, g, b]) => {
                const { data, width } = canvas.getContext("2d").getImageData(
                    0, 0, canvas.width, canvas.height);
                const found = [];
                for (let i = 0; i < data.length; i += 4) {
                    const away = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) +
                        Math.abs(data[i + 2] - b);
                    if (away < 24 && data[i + 3] > 200) found.push((i / 4) % width);
                }
                return found;
            }""",
            list(BLUE),
        )
        return float(np.mean(columns)) if columns else None

    def grey(self) -> int:
        """The grey of the picture beside the plane."""
        return self.page.get_by_test_id("plane-picture").evaluate(
            'canvas => canvas.getContext("2d").getImageData(9, 9, 1, 1).data[0]'
        )

    def scrub(self, to: int) -> None:
        """Drags the slider to a frame and waits until it is shown."""
        self.step.fill(str(to))
        expect(self.count).to_have_text(f"epoch {to}")
        self.settle()

    def settle(self) -> None:
        """Waits until what was asked for is drawn."""
        self.page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        self.wait_for(lambda: self.blue() is not None)

    def report(self) -> dict[str, Any]:
        return json.loads(self.page.locator(".st-key-report").inner_text())

    def wait_for(self, condition: Callable[[], bool]) -> None:
        for _ in range(100):
            if condition():
                return
            self.page.wait_for_timeout(50)
        pytest.fail("what was waited for did not happen")


def test_scrubbing_shows_each_epochs_points_and_pictures_and_tells_the_page(page, url):
    replay = Replay(page, url)
    places = []
    for epoch in range(5):
        replay.scrub(epoch)
        places.append(replay.blue())
    gaps = np.diff(places)
    assert gaps.min() > 20 and np.ptp(gaps) < 2.1  # one unit an epoch, to a pixel at each end
    replay.wait_for(lambda: replay.report()["told"][-1:] == ["epoch 4"])
    replay.canvas.hover(position={"x": 300, "y": 300})
    expect(replay.caption).to_contain_text("Preview")
    assert replay.grey() == 150
    replay.scrub(1)
    replay.canvas.hover(position={"x": 301, "y": 300})
    replay.wait_for(lambda: replay.grey() == 60)
    replay.scrub(0)
    expect(replay.note).to_contain_text("No pictures were kept")
    assert not replay.errors


def test_play_moves_the_points_and_ends_at_the_newest_epoch(page, url):
    replay = Replay(page, url)
    expect(replay.count).to_have_text("epoch 0")
    replay.scrub(4)
    newest = replay.blue()
    replay.scrub(0)
    first = replay.blue()
    replay.play.click()
    seen, between = set(), []
    for _ in range(200):
        if replay.play.inner_text() == "Play":
            break
        seen.add(replay.count.inner_text())
        if (x := replay.blue()) is not None:
            between.append(x)
        page.wait_for_timeout(10)
    expect(replay.count).to_have_text("epoch 4")
    assert len(seen) >= 3
    steps = np.diff([first, *between, newest])
    assert (steps >= -1.1).all()  # to the right only
    share = (np.array(between) - first) / (newest - first) * 4
    assert (np.abs(share - share.round()) > 0.05).any()  # between two epochs too
    replay.wait_for(lambda: replay.report()["told"][-1] == "epoch 4")
    replay.play.click()  # again from the start
    expect(replay.count).to_have_text("epoch 0")
    replay.play.click()
    expect(replay.play).to_have_text("Play")


def test_a_pause_rests_at_an_epoch(page, url):
    replay = Replay(page, url)
    page.get_by_test_id("replay-pace").select_option("0.25")
    replay.play.click()
    expect(replay.count).to_have_text("epoch 1")
    replay.play.click()
    replay.settle()
    at = replay.blue()
    label = replay.count.inner_text()
    replay.scrub(0)
    replay.scrub(int(label.removeprefix("epoch ")))
    assert replay.blue() == at


def test_a_click_is_exact_where_weights_were_kept_and_a_mix_elsewhere(page, url):
    replay = Replay(page, url, "start=3")
    replay.canvas.click(position={"x": 300, "y": 300})
    expect(replay.caption).to_contain_text("Decoded")
    assert replay.grey() == 130
    page.mouse.move(5, 5)
    replay.scrub(2)
    expect(replay.caption).to_contain_text("Preview")
    replay.wait_for(lambda: replay.grey() == 90)
    expect(replay.note).to_contain_text("not kept")
    replay.scrub(4)
    expect(replay.caption).to_contain_text("Decoded")
    replay.wait_for(lambda: replay.grey() == 160)
    picks = replay.report()["picks"]
    assert len(picks) == 1 and picks[0]["index"] is None


def test_keys_step_and_play(page, url):
    replay = Replay(page, url)
    replay.step.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(replay.count).to_have_text("epoch 2")
    assert replay.step.get_attribute("aria-valuetext") == "epoch 2"
    page.keyboard.press("Home")
    expect(replay.count).to_have_text("epoch 0")
    page.keyboard.press("Space")
    expect(replay.play).to_have_text("Pause")
    page.keyboard.press("Space")
    expect(replay.play).to_have_text("Play")


def test_with_reduced_motion_points_hop(page, url):
    page.emulate_media(reduced_motion="reduce")
    replay = Replay(page, url)
    places = []
    for epoch in range(5):
        replay.scrub(epoch)
        places.append(replay.blue())
    replay.scrub(0)
    page.get_by_test_id("replay-pace").select_option("2")
    replay.play.click()
    while replay.play.inner_text() == "Pause":
        assert min(abs(replay.blue() - place) for place in places) < 0.6
        page.wait_for_timeout(10)


def test_a_datum_under_the_pointer_is_followed_while_it_plays(page, url):
    replay = Replay(page, url, "start=1")
    box = replay.canvas.bounding_box()
    scale = page.evaluate("devicePixelRatio")
    y = 10 + (box["height"] - 66) * 5.5 / 8  # z2 = −1.5 in a view from −4 to 4
    replay.canvas.hover(position={"x": replay.blue() / scale, "y": y})
    expect(replay.caption).to_contain_text("datum 0")
    # by keyboard, so that the pointer stays
    replay.step.focus()
    page.keyboard.press("Space")
    expect(replay.count).to_have_text("epoch 2")
    expect(replay.caption).to_contain_text("datum 0")


def test_new_frames_keep_the_epoch_but_the_newest_is_followed(page, url):
    replay = Replay(page, url, "start=2")
    page.get_by_role("button", name="Increment").click()
    expect(replay.step).to_have_attribute("max", "5")
    expect(replay.count).to_have_text("epoch 2")
    replay.scrub(5)
    page.get_by_role("button", name="Increment").click()
    expect(replay.count).to_have_text("epoch 6")


def test_without_a_replay_the_newest_points_come_back(page, url):
    replay = Replay(page, url, "start=4")
    newest = replay.blue()
    replay.scrub(0)
    assert replay.blue() < newest - 50
    page.locator("label", has_text="Replay").click()
    expect(page.get_by_test_id("plane-replay")).to_be_hidden()
    replay.wait_for(lambda: replay.blue() == newest)
    page.locator("label", has_text="Replay").click()
    expect(page.get_by_test_id("plane-replay")).to_be_visible()


def test_a_frame_that_cannot_be_had_is_said_and_the_others_play(page, url):
    replay = Replay(page, url, "fail=2")
    status = page.get_by_test_id("plane-status")
    expect(status).to_contain_text("epoch 2 of the replay: this epoch was not kept")
    assert not replay.errors


def test_points_between_two_epochs_are_mixed(page, url):
    page.goto("about:blank")
    mixed = page.evaluate(
        """async (source) => {
            const { glided } = await import(source);
            const column = (...v) => Float32Array.from(v);
            const made = (k) => ({ count: 2, x: column(k, 0), y: column(1, 2 * k),
                sxx: column(k, 1), sxy: column(0, k), syy: column(1, 1),
                value: Uint8Array.from([3, 4]), index: Uint32Array.from([0, 1]) });
            const { x, y, sxx, sxy, value } = glided(made(0), made(4), 0.25);
            return [x, y, sxx, sxy, value].map((v) => [...v]);
        }""",
        module("glided", *canvas.MODULES[: canvas.MODULES.index("film.js") + 1]),
    )
    assert mixed == [[1, 0], [1, 2], [1, 1], [0, 1], [3, 4]]
