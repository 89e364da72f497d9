"""The latent plane under the finger: hover, pan, click, and what travels for them.

    VAE_DATA=../shared/data .venv/bin/python benchmarks/plane.py [--clicks 40] [--seconds 5]

Starts the app with the shipped runs on a free port and drives its latent page in headless Chromium
at 1440 × 900: 10,000 points are the test images of MNIST, 60,000 the training images (the bundled
cut has fewer; the table says how many). Beside it, in the same browser, plotly pans a `scattergl`
figure of as many points in an otherwise empty page. Script time is that of all listeners, timers
and frame callbacks of the page for one frame; frame time is from one frame to the next.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plotly
from plane_traffic import BEFORE, Traffic
from playwright.sync_api import Page, sync_playwright

from pages import PORT, ROOT, RUN, WATCH_CLICK, end, start, train_two
from tests.browser.chromium import FLAGS, find

URL = f"http://127.0.0.1:{PORT}/latent_space?run={RUN}"
METER = (Path(__file__).parent / "plane_meter.js").read_text(encoding="utf-8")
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
SPLITS = {"held-out": "test", "training": "training"}

#: A scatter of as many points as the plane's, in ten colours, in a box of the plane's size.
PEER = """async ([n, width, height]) => {
  let state = 1;
  const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(6.283185307 * uniform());
  const column = (f) => Float32Array.from({ length: n }, f);
  const marker = { color: column(() => Math.floor(10 * uniform())), size: 5 };
  await Plotly.newPlot("box",
    [{ type: "scattergl", mode: "markers", x: column(normal), y: column(normal), marker }],
    { width, height, dragmode: "pan", hovermode: false }, { displayModeBar: false });
}"""


class Frames(NamedTuple):
    """Script time and frame time of frames, in ms."""

    script: np.ndarray
    frame: np.ndarray


def opened(page: Page, split: str) -> dict[str, float]:
    """Opens the plane of a split and waits until all is drawn; where its canvas is."""
    page.goto(f"{URL}&split={split}")
    plane = page.get_by_test_id("plane-canvas")
    plane.wait_for()
    page.wait_for_function("""() => {
        const wanted = ["points", "sprite"];
        const got = performance.getEntriesByType("resource").map((entry) => entry.name);
        return wanted.every((name) => got.some((url) => url.includes(`/api/${name}`)));
    }""")
    page.wait_for_timeout(3000)
    return plane.bounding_box()


def metered(page: Page, move: Callable[[float], None], seconds: float) -> Frames:
    """Moves the pointer along for a while, one step a frame, and reads the clock."""
    page.evaluate("s => { meter.start(); window.until = performance.now() + 1e3 * s; }", seconds)
    step = 0
    while page.evaluate("performance.now() < until"):
        for _ in range(10):
            move(step)
            step += 1
    frames = np.array(page.evaluate("meter.stop()"))
    return Frames(*frames[frames[:, 0] > 0].T)  # of frames in which anything was done


def circling(page: Page, box: dict[str, float], reach: float) -> Callable[[float], None]:
    """Pointer moves on a circle around the middle of a box."""
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def move(step: float) -> None:
        turn = step / 23
        page.mouse.move(x + reach * math.cos(turn), y + reach * math.sin(1.3 * turn))

    return move


def panning(page: Page, box: dict[str, float], seconds: float) -> Frames:
    """Drags a plane or a figure to and fro."""
    move = circling(page, box, 90)
    move(0)
    page.mouse.down()
    frames = metered(page, move, seconds)
    page.mouse.up()
    return frames


def clicks(
    page: Page, box: dict[str, float], n: int, traffic: Traffic
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Milliseconds from the pointer's release to the exact picture painted; bytes, by kind."""
    rng, waits, travelled = np.random.default_rng(0), [], []
    page.mouse.click(box["x"] + 100, box["y"] + 100)
    for x, y in rng.uniform(0.25, 0.75, size=(n, 2)):
        page.evaluate(f"() => {{ window.waited = ({WATCH_CLICK})(); }}")  # not awaited yet
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.wait_for_timeout(600)  # a person looks before the next click
        traffic.take()
        page.mouse.down()
        page.mouse.up()
        waits.append(page.evaluate("window.waited"))
        page.wait_for_timeout(400)
        travelled.append(traffic.take())
    return np.array(waits), travelled


def amounts(travelled: list[dict[str, float]], kinds: list[str]) -> np.ndarray:
    """Bytes of some kinds together, one sum a click."""
    return np.array([sum(taken.get(kind, 0) for kind in kinds) for taken in travelled])


def row(name: str, what: np.ndarray, aim: str, digits: int = 1, unit: str = "ms") -> None:
    """One line of the table."""
    p50, p95 = np.percentile(what, [50, 95])
    print(f"| {name} ({unit}) | {p50:,.{digits}f} | {p95:,.{digits}f} | {len(what)} | {aim} |")


def first_load(page: Page, traffic: Traffic) -> None:
    """What one visitor's first look at the page takes, part by part."""
    opened(page, "held-out")
    taken = traffic.take()
    streamlit, _ = taken.pop("Streamlit"), taken.pop(BEFORE)
    parts = ", ".join(f"{name} {n / 1e3:,.0f}" for name, n in sorted(taken.items()))
    total = sum(taken.values()) / 1e3
    print(f"| first load, our own data (kB): {parts} | {total:,.0f} | – | 1 | 1,500 |")
    print(f"| first load, Streamlit's own files (kB) | {streamlit / 1e3:,.0f} | – | 1 | – |")


def n_points(page: Page) -> int:
    """How many points the plane has fetched, from the size of the answer."""
    return page.evaluate("""async () => {
        const urls = performance.getEntriesByType("resource").map((entry) => entry.name);
        const url = urls.findLast((name) => name.includes("/api/points"));
        return new Uint32Array((await (await fetch(url)).arrayBuffer()).slice(0, 4))[0];
    }""")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=5)
    ask = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    for run in (ROOT / "checkpoints").iterdir():
        if (run / "model.safetensors").exists():
            shutil.copytree(run, folder / run.name)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start\n")
    print("| | p50 | p95 | n | to reach |")
    print("|---|---:|---:|---:|---|", flush=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=FLAGS)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.add_init_script(METER)
        page = context.new_page()
        page.set_default_timeout(90_000)
        traffic = Traffic(context.new_cdp_session(page))
        server, _ = start(folder)
        try:
            page.goto(f"http://127.0.0.1:{PORT}/_stcore/health")
            measure(page, traffic, ask)
        finally:
            browser.close()
            end(server)
            shutil.rmtree(folder, ignore_errors=True)


def measure(page: Page, traffic: Traffic, ask: argparse.Namespace) -> None:
    """All rows, one after the other."""
    first_load(page, traffic)
    ratios = []
    for split, name in SPLITS.items():
        box = opened(page, split)
        n = n_points(page)
        traffic.take()
        hover = metered(page, circling(page, box, 120), ask.seconds)
        hovered = sum(traffic.take().values())
        row(f"hover over {n:,} points: script", hover.script, "p95 4")
        row(f"hover over {n:,} points: frame", hover.frame, "–")
        print(f"| bytes while hovering, {len(hover.frame)} frames | {hovered:.0f} | – | 1 | 0 |")
        ours = panning(page, box, ask.seconds)
        aim = "p95 16.7" if n <= 10_000 else "p95 33"
        row(f"pan {n:,} points ({name} images): script", ours.script, aim)
        row(f"pan {n:,} points ({name} images): frame", ours.frame, aim)
        theirs = peer(page, n, box, ask.seconds)
        row(f"plotly `scattergl`, pan {n:,} points: script", theirs.script, "–")
        row(f"plotly `scattergl`, pan {n:,} points: frame", theirs.frame, "–")
        pairs = zip(ours, theirs, strict=True)
        ratios.append((n, *(np.median(mine) / np.median(other) for mine, other in pairs)))
    box = opened(page, "held-out")
    waits, travelled = clicks(page, box, ask.clicks, traffic)
    row("click to exact picture", waits, "p95 100", 0)
    kinds = sorted(set().union(*travelled))
    for kind in kinds:
        row(f"click: {kind}", amounts(travelled, [kind]), "–", 0, "bytes")
    kinds.remove(BEFORE)
    row("click: all that travels", amounts(travelled, kinds), "8,000", 0, "bytes")
    train_two(page)
    box = opened(page, "held-out")
    waits, _ = clicks(page, box, ask.clicks, traffic)
    row("click to exact picture, two runs training", waits, "p95 250", 0)
    print()
    for n, script, frame in ratios:
        print(f"Panning {n:,} points, ours over plotly's: script {script:.2f}, frame {frame:.2f}.")


def peer(page: Page, n: int, box: dict[str, float], seconds: float) -> Frames:
    """Plotly's own panning, in a page with nothing else."""
    page.goto(f"http://127.0.0.1:{PORT}/_stcore/health")
    page.set_content('<div id="box" style="position: absolute; left: 0; top: 0"></div>')
    page.add_script_tag(path=PLOTLY)
    page.evaluate(PEER, [n, box["width"], box["height"]])
    page.wait_for_timeout(2000)
    return panning(page, {**box, "x": 0, "y": 0}, seconds)


if __name__ == "__main__":
    main()
