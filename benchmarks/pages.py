"""How long a person waits: from start to first plot, from click to picture, from page to page.

    .venv/bin/python benchmarks/pages.py [--clicks 60] [--switches 20]

Starts the app with the shipped runs on a free port, drives it in headless Chromium at
1440 × 900, and measures inside the page with its own clock: a click counts from the pointer's
release to the exact decode painted, a page switch from the click on the link to the new page's
first figure. Then the same again while two runs train in the background.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.chromium import FLAGS, find  # noqa: E402

RUN = "mnist-2d"
OPTIONS = ("--server.headless", "true", "--server.port")
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    PORT = probe.getsockname()[1]  # one that nobody listens on

#: Resolves with the milliseconds from the next pointer release to “Decoded” painted.
WATCH_CLICK = """() => new Promise((resolve) => {
  const find = (root, id) => {
    const hit = root.querySelector(`[data-testid="${id}"]`);
    if (hit) return hit;
    for (const node of root.querySelectorAll("*"))
      if (node.shadowRoot) { const inner = find(node.shadowRoot, id); if (inner) return inner; }
    return null;
  };
  const caption = find(document, "plane-caption");
  addEventListener("pointerup", () => {
    const start = performance.now();
    const look = () => {
      if (/Decoded/.test(caption.textContent))
        requestAnimationFrame(() => resolve(performance.now() - start));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, { once: true, capture: true });
})"""


def start(folder: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Starts the app; returns when its port answers."""
    began = time.monotonic()
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", *OPTIONS, str(PORT)],
        cwd=ROOT,
        env={**os.environ, "VAE_RUNS": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_stcore/health", timeout=1).close()
            return server, began
        except OSError:
            time.sleep(0.05)


def end(server: subprocess.Popen[bytes]) -> None:
    """Ends the app and its workers."""
    family = psutil.Process(server.pid).children(recursive=True)
    server.terminate()
    server.wait(10)
    for child in psutil.wait_procs(family, timeout=5)[1]:
        child.kill()


def clicks(page: Page, n: int) -> np.ndarray:
    """Milliseconds from click to picture, at places all over the plane."""
    page.goto(f"http://127.0.0.1:{PORT}/latent_space?run={RUN}")
    plane = page.get_by_test_id("plane-canvas")
    plane.wait_for()
    page.wait_for_timeout(3000)
    box, rng, waits = plane.bounding_box(), np.random.default_rng(0), []
    for x, y in rng.uniform(0.25, 0.75, size=(n, 2)):
        page.evaluate(f"() => {{ window.waited = ({WATCH_CLICK})(); }}")  # not awaited yet
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.wait_for_timeout(100)
        page.mouse.down()
        page.mouse.up()
        waits.append(page.evaluate("window.waited"))
        page.wait_for_timeout(700)  # a person looks before the next click
    return np.array(waits)


def switches(page: Page, n: int) -> np.ndarray:
    """Milliseconds from a click on a page's link to that page's first figure."""
    marks = {"Training": "[data-testid=stEChartsChart] canvas", "Latent space": "canvas.scene"}
    waits = []
    for i in range(n):
        name = list(marks)[i % 2]
        link = page.get_by_role("link", name=name, exact=True).first
        began = time.monotonic()
        link.click()
        page.locator(marks[name]).first.wait_for()
        waits.append(1000 * (time.monotonic() - began))
        page.wait_for_timeout(500)
    return np.array(waits)


def row(name: str, waits: np.ndarray, target: str) -> None:
    """One line of the table."""
    p50, p95 = np.percentile(waits, [50, 95])
    print(f"| {name} | {p50:.0f} | {p95:.0f} | {len(waits)} | {target} |", flush=True)


def train_two(page: Page) -> None:
    """Starts two long runs from the sidebar."""
    page.goto(f"http://127.0.0.1:{PORT}/")
    page.get_by_text("All settings").click()
    epochs = page.get_by_role("spinbutton", name="Epochs", exact=True)
    epochs.fill("5000")
    epochs.press("Enter")
    page.get_by_text(re.compile("5000 epochs of")).wait_for()
    for _ in range(2):
        page.get_by_role("button", name="Train", exact=True).click()
        page.wait_for_timeout(3000)
    page.get_by_text(re.compile(r"epoch [1-9]\d*/5000")).nth(1).wait_for(timeout=120_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=60)
    parser.add_argument("--switches", type=int, default=20)
    ask = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    for run in (ROOT / "checkpoints").iterdir():
        if (run / "model.safetensors").exists():
            shutil.copytree(run, folder / run.name)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start\n")
    print("| what a person waits for (ms) | p50 | p95 | n | to reach |")
    print("|---|---|---|---|---|", flush=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(60_000)
        server, began = start(folder)
        try:
            page.goto(f"http://127.0.0.1:{PORT}/latent_space?run={RUN}")
            page.locator("canvas.scene").wait_for()
            first = np.array([1000 * (time.monotonic() - began)])
            row("`streamlit run` to first plot", first, "8,000")
            row("click to decoded image", clicks(page, ask.clicks), "p95 150")
            row("page switch", switches(page, ask.switches), "p95 700")
            train_two(page)
            row("click, two runs training", clicks(page, ask.clicks), "p95 300")
            row("page switch, two runs training", switches(page, ask.switches), "p95 1,400")
        finally:
            browser.close()
            end(server)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
