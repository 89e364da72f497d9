"""Whole journeys, as a class would make them: click and see, train and watch, reload and go on."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from vae import runs, train
from vae.config import RunConfig

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journey-runs")


@pytest.fixture(scope="module")
def trained_here(folder: Path) -> str:
    """A small run on digits, trained before the server starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(folder))
        run_id = runs.create(RunConfig(name="small", dataset="digits", hidden=(64,), epochs=5))
        train.train(run_id)
    return run_id


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any], folder: Path, trained_here: str) -> str:
    return serve(ROOT / "app.py", {"VAE_RUNS": str(folder)}).url


@pytest.fixture(autouse=True)
def same_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test looks into the folder that the server uses."""
    monkeypatch.setenv("VAE_RUNS", str(folder))


@pytest.fixture
def requests(page: Page) -> list[str]:
    """Every address that the page asked for."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    return seen


def shown(page: Page) -> np.ndarray:
    """The picture beside the plane, as grey values."""
    png = page.get_by_test_id("plane-picture").evaluate("canvas => canvas.toDataURL()")
    image = Image.open(io.BytesIO(base64.b64decode(png.split(",")[1]))).convert("L")
    return np.asarray(image.resize((32, 32)), dtype=float)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of two pictures, in grey values of 255."""
    return float(np.abs(one - other).mean())


def click_plane(page: Page, x: float, y: float, **options: Any) -> None:
    """Clicks the plane at a share of its width and height, and waits for the exact decode."""
    canvas = page.get_by_test_id("plane-canvas")
    box = canvas.bounding_box()
    with page.expect_response(re.compile("/api/decode")) as answer:
        canvas.click(position={"x": x * box["width"], "y": y * box["height"]}, **options)
    assert answer.value.ok


def test_a_click_anywhere_decodes_and_the_link_keeps_it(page, url, trained_here, requests):
    page.goto(f"{url}/latent_space?run={trained_here}")
    page.get_by_test_id("plane-canvas").wait_for()
    expect(page.get_by_test_id("plane-legend")).not_to_be_empty()
    before = shown(page)
    click_plane(page, 0.5, 0.35)
    expect(page.get_by_test_id("plane-caption")).to_contain_text("Decoded")
    first = shown(page)
    click_plane(page, 0.6, 0.7)
    page.wait_for_function("/z=[^&]*(,|%2C)-/.test(document.location.search)")
    expect(page.get_by_role("heading", name="The chosen place")).to_be_visible()
    second = shown(page)
    assert apart(before, first) > 5 and apart(first, second) > 5

    place = re.search(r"[?&]z=([^&]+)", page.url)[1]
    page.reload()
    expect(page.get_by_test_id("plane-caption")).to_contain_text("Decoded")
    page.wait_for_timeout(300)
    assert re.search(r"[?&]z=([^&]+)", page.url)[1] == place
    assert apart(shown(page), second) < 1  # the link keeps z to three decimals
    local = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")
    assert all(address.startswith(local) for address in requests)


def test_a_link_to_a_past_epoch_replays_it_and_another_run_starts_afresh(
    page, url, trained_here, folder
):
    weights = runs.folder(trained_here) / "weights" / "00001.safetensors"
    weights.unlink(missing_ok=True)  # so that epoch 1 has the mix only
    page.goto(f"{url}/latent_space?run={trained_here}&z=0.5,0.5&epoch=1")
    caption, status = page.get_by_test_id("plane-caption"), page.get_by_test_id("plane-status")
    expect(page.get_by_test_id("replay-count")).to_have_text("epoch 1")
    expect(caption).to_contain_text("Preview")
    page.wait_for_timeout(500)
    early = shown(page)
    page.get_by_test_id("plane-canvas").click(position={"x": 200, "y": 150})
    expect(caption).to_contain_text("Preview")
    assert status.inner_text() == "" and "epoch=1" in page.url
    page.get_by_test_id("replay-step").fill("2")
    expect(caption).to_contain_text("Decoded")
    page.wait_for_function("document.location.search.includes('epoch=2')")

    page.goto(f"{url}/latent_space?run={trained_here}&z=0.5,0.5")
    expect(caption).to_contain_text("Decoded")
    assert apart(early, shown(page)) > 2 and status.inner_text() == ""

    other = runs.create(RunConfig(dataset="digits", hidden=(8,), latent_dim=3, epochs=1))
    train.train(other)
    page.reload()
    expect(caption).to_contain_text("Decoded")
    page.get_by_role("combobox", name="Run").click()
    page.get_by_role("option", name=other).click()
    expect(caption).not_to_contain_text("Decoded")
    assert "z=" not in page.url.split("?")[1].replace("axes", "")
    runs.delete(other)


def test_two_picks_draw_the_path_between_them(page, url, trained_here):
    page.goto(f"{url}/latent_space?run={trained_here}&z=0.5,0.5&tool=Path")
    page.get_by_test_id("plane-canvas").wait_for()
    expect(page.get_by_test_id("plane-legend")).not_to_be_empty()
    click_plane(page, 0.4, 0.6, modifiers=["Shift"])
    expect(page.get_by_role("heading", name="How long the paths are")).to_be_visible()
    assert "to=" in page.url


def test_the_decoded_sheet_can_be_clicked(page, url, trained_here):
    page.goto(f"{url}/latent_space?run={trained_here}&tool=Poster")
    sheet = page.get_by_test_id("sheet")
    sheet.scroll_into_view_if_needed()
    expect(sheet).to_have_js_property("complete", True)
    sheet.click(position={"x": 5, "y": 5})
    page.wait_for_function("document.location.search.includes('z=-3')")
    assert "z=-3%2C3" in page.url or "z=-3,3" in page.url


def test_train_from_the_sidebar_and_watch_the_curve_grow(page, url):
    page.goto(f"{url}/training")
    page.get_by_text("All settings").click()
    page.get_by_role("combobox", name=re.compile("Preset")).click()
    page.get_by_role("option", name="digits-2d").click()
    expect(page.get_by_text(re.compile("200 epochs of"))).to_be_visible()
    epochs = page.get_by_label("Epochs", exact=True)
    expect(epochs).to_have_count(1)
    epochs.fill("5000")
    epochs.press("Enter")
    expect(page.get_by_text(re.compile("5000 epochs of"))).to_be_visible()
    known = set(runs.ids())
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_text(re.compile(r"epoch \d+ of 5000")).first).to_be_visible(timeout=60_000)
    (run_id,) = set(runs.ids()) - known

    def epochs_shown() -> int:
        text = page.get_by_text(re.compile(r"held-out, epoch \d+")).first.inner_text()
        return int(re.search(r"epoch (\d+)\)", text)[1])

    expect(page.get_by_text(re.compile(r"held-out, epoch \d+")).first).to_be_visible()
    first = epochs_shown()
    deadline = time.monotonic() + 30
    while epochs_shown() <= first and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    assert epochs_shown() > first
    assert page.get_by_test_id("stEChartsChart").count() >= 6

    page.reload()  # nothing is lost: the run is in the link, and it goes on
    expect(page.get_by_text(re.compile(r"epoch \d+ of 5000")).first).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible(timeout=30_000)
    stopped = runs.status(run_id)
    assert stopped.state == "stopped" and 0 < stopped.epoch < 5000
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_text(re.compile(r"epoch \d+ of 5000")).first).to_be_visible()
    page.wait_for_timeout(1500)
    assert runs.status(run_id).epoch >= stopped.epoch

    page.get_by_role("button", name="Delete", exact=True).first.click()
    expect(page.get_by_text(re.compile(r"was deleted\."))).to_be_visible()
    assert run_id not in runs.ids()
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible()
    assert run_id in runs.ids()


def test_a_run_deleted_while_it_is_looked_at(page, url, folder):
    run_id = runs.create(RunConfig(name="short-lived", dataset="digits", hidden=(8,), epochs=1))
    train.train(run_id)
    page.goto(f"{url}/latent_space?run={run_id}")
    page.get_by_test_id("plane-canvas").wait_for()
    expect(page.get_by_test_id("plane-legend")).to_contain_text("9")
    runs.delete(run_id)
    page.get_by_test_id("plane-canvas").click(position={"x": 200, "y": 150})
    expect(page.get_by_text(re.compile("Another is shown instead"))).to_be_visible()
    expect(page.get_by_test_id("plane-status")).to_have_text("")
    assert page.get_by_text("encountered an error").count() == 0
    page.get_by_test_id("plane-canvas").wait_for()


def test_pages_keep_the_run_between_them(page, url, trained_here):
    page.goto(f"{url}/training?runs={trained_here}")
    expect(page.get_by_text(re.compile("held-out, epoch 5")).first).to_be_visible()
    page.get_by_role("link", name="Latent space").first.click()
    page.get_by_test_id("plane-canvas").wait_for()
    page.get_by_role("link", name="Overview").first.click()
    expect(page.get_by_role("heading", name=re.compile("How does a variational"))).to_be_visible()
    assert page.get_by_text(re.compile("traceback", re.I)).count() == 0
