"""The sliders of the latent dimensions in Chromium, by mouse and by keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any]) -> str:
    """The harness's address."""
    return serve(HERE / "harness" / "sliders_app.py").url


def reported(page: Page) -> dict[str, Any]:
    """What the page knows."""
    return json.loads(page.locator(".st-key-report").inner_text())


def grey(page: Page) -> int:
    """How bright the picture is."""
    return page.get_by_test_id("sliders-picture").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, 1, 1).data[0]"
    )


def wait_for(page: Page, seen: Callable[[], bool]) -> None:
    """Poll until something is seen."""
    for _ in range(300):
        if seen():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not come")


@pytest.fixture
def opened(page: Page, url: str) -> Page:
    """The harness, its picture decoded."""
    page.goto(url)
    expect(page.locator(".st-key-report")).to_contain_text("runs")
    wait_for(page, lambda: grey(page) == 128)
    return page


def test_the_picture_follows_the_hand_and_the_page_hears_of_the_release(opened: Page) -> None:
    slider = opened.get_by_label("z1, 2.00 nats")
    box, runs = slider.bounding_box(), reported(opened)["runs"]

    def x(value: float) -> float:
        return box["x"] + 10 + (box["width"] - 20) * (value / 4 + 1) / 2

    y = box["y"] + box["height"] / 2
    opened.mouse.move(x(0), y)
    opened.mouse.down()
    for step in range(1, 11):
        opened.mouse.move(x(0.2 * step), y)
    wait_for(opened, lambda: grey(opened) == 168)
    assert reported(opened)["runs"] == runs, "no rerun while it moves"
    opened.mouse.up()
    wait_for(opened, lambda: reported(opened)["z"] == [2, 0, 0.123])
    assert opened.locator("label", has_text="z1").locator("output").inner_text() == "2.00"


def test_keys_lose_no_step_while_the_page_answers_slowly(opened: Page) -> None:
    opened.get_by_text("Answer slowly").click()
    slider = opened.get_by_label("z1, 2.00 nats")
    slider.focus()
    for _ in range(12):
        opened.keyboard.press("ArrowRight")
        opened.wait_for_timeout(130)  # longer than the rest after which the page is told
    wait_for(opened, lambda: (reported(opened)["z"] or [0])[0] == 0.6)
    opened.wait_for_timeout(800)
    assert slider.input_value() == "0.6" and grey(opened) == 140


def test_what_the_page_says_is_taken_and_the_rest_is_behind_a_click(opened: Page) -> None:
    opened.get_by_role("button", name="Set z1 to 3").click()
    wait_for(opened, lambda: grey(opened) == 188)
    assert opened.get_by_label("z1, 2.00 nats").input_value() == "3"
    unused = opened.get_by_label("z2, 0.00 nats, not used")
    expect(unused).not_to_be_visible()
    opened.get_by_text("The other 1 dimension, not used").click()
    expect(unused).to_be_visible()
