"""Journeys over Likelihood and Inference: the worst image, the race, rubbing out, dragging q."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from vae import analysis, results, runs, train
from vae.config import RunConfig
from vae.requests import Evidence

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gap-runs")


@pytest.fixture(scope="module")
def run_id(folder: Path) -> str:
    """A small run on digits, trained before the server starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(folder))
        made = runs.create(RunConfig(name="small", dataset="digits", hidden=(64,), epochs=5))
        train.train(made)
    return made


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any], folder: Path, run_id: str) -> str:
    return serve(ROOT / "app.py", {"VAE_RUNS": str(folder)}).url


@pytest.fixture(autouse=True)
def same_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test looks into the folder that the server uses."""
    monkeypatch.setenv("VAE_RUNS", str(folder))


def open_inference(page: Page, url: str, run_id: str, **query: str) -> None:
    """Opens the Inference page and waits for its heat map."""
    asked = "&".join(f"{name}={value}" for name, value in {"run": run_id, **query}.items())
    with page.expect_response(re.compile("/api/posterior")) as answer:
        page.goto(f"{url}/inference?{asked}")
    assert answer.value.ok


def look(page: Page, name: str) -> None:
    """Chooses what to do with the datum."""
    page.get_by_role("radio", name=name).click()


def test_the_worst_image_opens_with_its_posterior(page, url, run_id):
    ask = Evidence(n=100, k=100)
    analysis.perform(run_id, ask.model_dump_json())
    found = results.read(run_id, ask)
    worst = int(found["index"][(found["exact"] - found["elbo_exact"]).argmax()])
    page.goto(f"{url}/likelihood?run={run_id}&n=100&k=100")
    sheet = page.get_by_test_id("sheet").first
    expect(sheet).to_be_visible(timeout=60_000)
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    with page.expect_response(re.compile("/api/posterior")):
        sheet.click(position={"x": box["width"] / 16, "y": box["height"] / 4})
    expect(page.get_by_role("heading", name="What does the encoder get wrong?")).to_be_visible()
    expect(page.get_by_label("Datum", exact=True)).to_have_value(str(worst))
    expect(page.get_by_text("Amortisation gap", exact=True)).to_be_visible()
    assert f"datum={worst}" in page.url


def test_svi_is_played_to_its_end(page, url, run_id):
    open_inference(page, url, run_id, datum="3")
    look(page, "SVI race")
    step = page.get_by_test_id("race-step")
    expect(page.get_by_test_id("race-play")).to_be_visible()
    assert step.input_value() == "0"
    page.get_by_test_id("race-pace").select_option("4")
    page.get_by_test_id("race-play").click()
    last = step.get_attribute("max")
    expect(step).to_have_value(last)
    expect(page.get_by_test_id("race-now")).to_contain_text("encoder")


def test_rubbing_out_half_of_the_pixels_moves_the_posterior(page, url, run_id):
    open_inference(page, url, run_id, datum="3")
    with page.expect_response(re.compile(r"/api/posterior")):
        look(page, "Rub out evidence")
        page.get_by_role("button", name=re.compile("left", re.IGNORECASE)).wait_for()
        with page.expect_response(re.compile(r"/api/posterior.*observed=\w")) as answer:
            page.get_by_role("button", name=re.compile("left", re.IGNORECASE)).click()
    assert answer.value.ok
    page.wait_for_function("/seen=/.test(document.location.search)")
    expect(page.get_by_text("the average over the posterior")).to_be_visible()


def test_dragging_q_moves_the_bound(page, url, run_id):
    open_inference(page, url, run_id, datum="3")
    look(page, "Hands on q")
    grip = page.get_by_test_id("plane-grip")
    expect(grip).to_be_visible()
    page.wait_for_timeout(500)
    slider = page.get_by_role("slider", name="mean, z1")
    before = slider.get_attribute("aria-valuetext")
    assert before
    box = grip.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 20, steps=6)
    page.mouse.up()
    expect(page.get_by_text("You are behind the encoder by (nats)")).to_be_visible()
    expect(slider).not_to_have_attribute("aria-valuetext", before)
