"""Journeys over the codebook page: click a code, exchange one, train a VQ-VAE from the sidebar."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from vae import runs, train
from vae.config import RunConfig

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("coded-runs")


@pytest.fixture(scope="module")
def run_id(folder: Path) -> str:
    """A small VQ-VAE on digits, trained before the server starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(folder))
        config = RunConfig(
            name="small",
            model="vq-vae",
            dataset="digits",
            hidden=(64,),
            n_codes=32,
            map_side=2,
            epochs=5,
            prior_epochs=1,
        )
        made = runs.create(config)
        train.train(made)
    return made


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any], folder: Path, run_id: str) -> str:
    return serve(ROOT / "app.py", {"VAE_RUNS": str(folder)}).url


@pytest.fixture(autouse=True)
def same_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test looks into the folder that the server uses."""
    monkeypatch.setenv("VAE_RUNS", str(folder))


def picture(page: Page, name: str) -> str:
    """What a canvas shows, as text."""
    return page.get_by_test_id(name).evaluate("canvas => canvas.toDataURL()")


def test_a_clicked_code_tells_what_it_draws(page: Page, url: str, run_id: str) -> None:
    page.goto(f"{url}/codebook?run={run_id}")
    canvas = page.get_by_test_id("plane-canvas")
    expect(canvas).to_be_visible(timeout=60_000)
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    page.wait_for_url(re.compile(r"[?&]code=\d+"))
    code = int(re.search(r"[?&]code=(\d+)", page.url).group(1))
    expect(page.get_by_role("heading", name=f"Code {code}", exact=True)).to_be_visible()
    expect(page.get_by_role("img", name=f"Code {code} decoded at each place")).to_be_visible()
    page.reload()  # the link says all
    expect(page.get_by_role("heading", name=f"Code {code}", exact=True)).to_be_visible()


def test_another_code_in_a_cell_changes_the_image(page: Page, url: str, run_id: str) -> None:
    page.goto(f"{url}/codebook?run={run_id}&section=Code+map")
    bound = page.get_by_test_id("codemap-bound")
    expect(bound).to_have_text(re.compile(r"\d"), timeout=60_000)
    before, own = picture(page, "codemap-decoded"), bound.inner_text()
    page.get_by_test_id("codemap-grid").get_by_role("gridcell").first.click()
    choices = page.get_by_test_id("codemap-choices").get_by_role("button")
    expect(choices).to_have_count(32)
    with page.expect_response(re.compile("/api/vq/decode")) as answer:
        choices.last.click()
    assert answer.value.ok and "x-log-prior" in answer.value.headers
    expect(page.get_by_test_id("codemap-count")).to_contain_text("1 of 4")
    expect(bound).not_to_have_text(own)
    assert picture(page, "codemap-decoded") != before
    page.get_by_test_id("codemap-undo").click()
    expect(bound).to_have_text(own)
    assert picture(page, "codemap-decoded") == before


def test_a_vq_vae_is_trained_from_the_sidebar(page: Page, url: str, run_id: str) -> None:
    page.goto(f"{url}/training")
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_role("combobox", name="Preset").click(timeout=60_000)
    page.get_by_role("option", name="digits-vq", exact=True).click()
    expect(sidebar.get_by_text("140 epochs of 1,437 data")).to_be_visible()
    sidebar.get_by_role("button", name="Train", exact=True).click()
    stage = sidebar.get_by_text("stage 1 of 2, codes")
    expect(stage.first).to_be_visible(timeout=90_000)
    expect(page.get_by_role("heading", name="Perplexity of the codebook")).to_be_visible()
    sidebar.get_by_role("button", name="Stop").click()
    expect(sidebar.get_by_text("stopped at epoch")).to_be_visible(timeout=60_000)
    made = next(i for i in runs.ids() if i != run_id)
    assert runs.read_config(made).is_vq and runs.metrics(made)
