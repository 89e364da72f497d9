"""A conditional run in a browser: another label, the same place, another picture."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from vae import runs, train
from vae.config import RunConfig

ROOT = Path(__file__).resolve().parents[2]


def shown(page: Page) -> np.ndarray:
    """The picture beside the plane, as grey values."""
    png = page.get_by_test_id("plane-picture").evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png.split(",")[1]))).convert("L"))


def test_another_label_paints_the_same_place_anew(
    page: Page, serve: Callable[..., Any], runs_folder: Path
):
    config = RunConfig(
        dataset="digits",
        hidden=(32,),
        epochs=20,
        evaluate_every=20,
        batch_size=64,
        learning_rate=1e-2,
        conditional=True,
    )
    run_id = runs.create(config)
    train.train(run_id)
    url = serve(ROOT / "app.py", {"VAE_RUNS": str(runs_folder)}).url
    page.goto(f"{url}/latent_space?run={run_id}&z=0.6,0.9")
    caption = page.get_by_test_id("plane-caption")
    expect(caption).to_contain_text("Decoded", timeout=60_000)  # a server's first page is slow
    zero = shown(page)
    with page.expect_response(re.compile(r"/api/decode\?.*y=7")) as answer:
        page.get_by_role("radio", name="7", exact=True).click()
    assert answer.value.ok
    expect(caption).to_contain_text("Decoded")
    page.wait_for_function("/[?&]y=7/.test(document.location.search)")
    page.wait_for_timeout(300)
    seven = shown(page)
    assert np.abs(zero.astype(float) - seven).mean() > 5  # of 255
    assert re.search(r"z=0\.6(%2C|,)0\.9", page.url), "the place stays where it was"
    page.reload()
    expect(caption).to_contain_text("Decoded")
    expect(page.get_by_role("radio", name="7", exact=True)).to_be_checked()
    page.wait_for_timeout(300)
    assert np.abs(shown(page).astype(float) - seven).mean() < 1
