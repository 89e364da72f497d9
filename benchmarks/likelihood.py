"""How fast is log p(x), beside a peer and the bare matrix products, and how far off is sampling?

    VAE_DATA=... python benchmarks/likelihood.py [--part sampling|exact] [--threads 1]

Part one: importance sampling with K = 5,000 in windows that take turns, so that all meet the same
machine; ratios pair windows of one turn. Part two: exact log p(x) of the held-out images under
mnist-2d, and what importance sampling says of the same images; in turns too.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

import likelihood_work as work_of
from likelihood_work import FINE_STEP, Work
from training import Window, machine, print_table

from vae import data, evaluate, importance, quadrature, runs
from vae.config import RunConfig
from vae.model import VAE

#: Seconds of a window.
WINDOW = 0.5

OWN, PYTHAE, NAIVE = "ELBO Room, `judge`", "pythae `get_nll`", "a loop over images, sigmoid and BCE"
LIMIT, FAST_LIMIT = "the decoder's matrix products", "the same products by oneDNN"

#: How often each row of part two is timed, and how many images judge the exact values.
TURNS, CHECKED = 3, 200


def window(work: Work, seconds: float) -> Window:
    """Works for some seconds: image-samples a second, by the clock and by processor time."""
    n, started, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < started + seconds:
        n += work()
    return Window(n / (time.perf_counter() - started), n / (time.process_time() - cpu))


def sampling(name: str, model: VAE, x: Tensor, seconds: float) -> None:
    """Lets all take turns and prints what each reached."""
    contest = {
        OWN: work_of.own(model, x),
        NAIVE: work_of.naive(model, x),
        LIMIT: work_of.products(model, fast=False),
        FAST_LIMIT: work_of.products(model, fast=True),
    }
    if importlib.util.find_spec("pythae"):
        contest |= {
            PYTHAE: work_of.pythae(model, x, 100),
            f"{PYTHAE}, batch_size=1000": work_of.pythae(model, x, 1_000),
        }
        print(f"\n{name}. {work_of.agreement(model, x)}")
    else:
        print("pythae is not installed, so its rows are left out: see benchmarks/requirements.txt.")
    windows: dict[str, dict[int, Window]] = {name: {} for name in contest}
    for work in contest.values():
        window(work, WINDOW)
    for turn in range(math.ceil(seconds / WINDOW)):
        for contestant, work in contest.items():
            windows[contestant][turn] = window(work, WINDOW)
    references = (PYTHAE, NAIVE, LIMIT, FAST_LIMIT)
    unit = "images × samples/s"
    print_table(f"{name}, by the clock: {unit}", windows, lambda w: w.by_clock, references)
    print_table(f"{name}, by own processor time: {unit}", windows, lambda w: w.by_cpu, references)


def exact(model: VAE, x: Tensor, n_sampled: int) -> None:
    """Exact values of all images, sampled ones of some, their times and their errors."""
    sampled = x[:n_sampled]
    importance.judge(model, x[:1], 100)  # loads what it needs before anything is timed
    found: dict[str, np.ndarray | quadrature.Evidence | importance.Judged] = {}
    with work_of.Recorded() as recorded:
        quadrature.evidence(model, x)
    rows: dict[str, tuple[Callable[[], object], int]] = {
        "exact": (lambda: quadrature.evidence(model, x), len(x)),
        "its matrix products alone": (lambda: work_of.replay(recorded.shapes), len(x)),
        "IS, K = 1,000": (lambda: importance.judge(model, sampled, 1_000), n_sampled),
        "IS, K = 5,000": (lambda: importance.judge(model, sampled, 5_000), n_sampled),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for _ in range(TURNS):
        for name, (work, n) in rows.items():
            started, cpu = time.perf_counter(), time.process_time()
            found[name] = work()
            taken = time.perf_counter() - started, time.process_time() - cpu
            seconds[name].append(tuple(len(x) / n * t for t in taken))
    print_times(seconds, len(x), n_sampled)
    print_errors(model, x, found)


def print_times(seconds: dict[str, list[tuple[float, float]]], n: int, n_sampled: int) -> None:
    """One row a method: medians, and ratios paired by turn."""
    names = list(seconds)
    print(f"\n| log p(x) of {n:,} images under mnist-2d | seconds | of processor time |", end="")
    print(f" of {names[1]} | of {names[2]} |\n|---|" + "---:|" * 4)
    for name, own_times in seconds.items():
        clock, cpu = np.median(own_times, axis=0)
        ratios = [
            np.median(
                [mine[1] / other[1] for mine, other in zip(own_times, seconds[r], strict=True)]
            )
            for r in names[1:3]
        ]
        print(f"| {name} | {clock:,.1f} | {cpu:,.1f} | {ratios[0]:.2f} | {ratios[1]:.3f} |")
    print(f"\nIS was timed on {n_sampled:,} of the images and scaled; ratios by processor time.")


def print_errors(model: VAE, x: Tensor, found: dict) -> None:
    """How far each is off: exact values from brute force, sampled ones from exact values."""
    evidence = found["exact"]
    values, estimated = evidence.log_evidence.numpy(), evidence.error.numpy()
    truth = work_of.brute_force(model, x[:CHECKED]).numpy()
    print("\n| error in nats | images | mean | mean size | worst |\n|---|" + "---:|" * 4)
    rows = {
        "exact, as it estimates itself": estimated,
        f"exact, against a lattice with step 1/{1 / FINE_STEP:.0f}": values[: len(truth)] - truth,
    }
    for name in ("IS, K = 1,000", "IS, K = 5,000"):
        off = found[name].log_evidence
        rows[f"{name}, against exact"] = off - values[: len(off)]
    for name, off in rows.items():
        size = np.abs(off)
        cells = [f"{off.mean():+.5f}", f"{size.mean():.5f}", f"{off[size.argmax()]:+.4f}"]
        print(f"| {name} | {len(off):,} | " + " | ".join(cells) + " |")
    judged = found["IS, K = 5,000"]
    off = np.abs(judged.log_evidence - values[: len(judged.trusted)])[judged.trusted]
    print(
        f"\nIS with K = 5,000 trusts {judged.trusted.mean():.0%} of its values: those are off by "
        f"{off.mean():.4f} nats in the mean, and the worst by {off.max():.3f}."
    )


def model_of(run_id: str) -> VAE:
    """The weights of a shipped run."""
    return runs.load(run_id).model


def untrained() -> VAE:
    """784-400-20-400-784 with fresh weights: what weights say does not change what they cost."""
    torch.manual_seed(0)
    return VAE(RunConfig(dataset="mnist", hidden=(400,), latent_dim=20))


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["sampling", "exact"], help="both if not given")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20, help="per row of part one")
    parser.add_argument("--images", type=int, help="of part two; all held-out ones if not given")
    parser.add_argument("--subset", type=int, default=500, help="images of part two to sample")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    logging.disable(logging.INFO)
    dataset = "mnist" if data.available("mnist") else "mnist-subset"
    x = evaluate.examples(RunConfig(dataset=dataset), n=options.images)
    print(f"{machine()}; load {os.getloadavg()[0]:.1f} at the start; {dataset}, {len(x):,} images.")
    if options.part != "exact":
        for name, model in (
            ("mnist-2d (784-400-200-2)", model_of("mnist-2d")),
            ("784-400-20, untrained", untrained()),
            ("mnist-50d (784-200-200-50, tanh)", model_of("mnist-50d")),
        ):
            sampling(name, model, x, options.seconds)
    if options.part != "sampling":
        exact(model_of("mnist-2d"), x, options.subset)
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
