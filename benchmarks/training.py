"""How fast is the training loop, beside its peers and beside what the matrix products allow?

    VAE_DATA=... python benchmarks/training.py [--threads 1] [--seconds 20] [--two]

Every loop trains 784-400-20-400-784 on MNIST (the full set under VAE_DATA, else the bundled one),
batch 128, Adam 1e-3, in a thread of its own that stands still outside its windows; the windows
take turns, so that all meet the same machine. Ratios pair windows of one turn.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import logging
import math
import multiprocessing
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

import training_loops as loops
from training_loops import BATCH, Loop

from vae import data, train

#: Batches before anything is timed: Adam's denormal moments appear in the first thousand steps.
WARM_UP = 1_000
#: Seconds of a window. Two processes start theirs within milliseconds, so those are longer.
WINDOW, WINDOW_OF_TWO = 0.5, 2.0
#: A window over a whole epoch takes long, and comes once in so many turns.
WHOLE_EVERY = 8

OWN, EXAMPLE, PYTHAE = "ELBO Room", "pytorch/examples", "pythae"
WHOLE = f"{OWN}, whole epochs: evaluation, snapshot, checkpoint"
LIMIT = "matrix products, fused Adam"


class Window(NamedTuple):
    """Data trained per second by the clock, and per second of processor time."""

    by_clock: float
    by_cpu: float


class Contestant(threading.Thread):
    """A training loop that runs during its windows only."""

    def __init__(self, name: str, loop: Loop) -> None:
        super().__init__(name=name, daemon=True)
        self.loop = loop
        self.start_window, self.window_ended = threading.Semaphore(0), threading.Semaphore(0)
        self.n, self.deadline, self.least, self.over = 0, 0.0, 0, False
        self.windows: dict[int, Window] = {}
        self.start()

    def run(self) -> None:
        """The thread: a loop that ends at all has failed."""
        try:
            self.start_window.acquire()
            self.loop(self.turn)
        finally:
            self.over = True
            self.window_ended.release()

    def turn(self, n: int) -> None:
        """Called by the loop before each batch."""
        if self.n >= self.least and time.perf_counter() >= self.deadline:
            self.window_ended.release()
            self.start_window.acquire()
        self.n += n

    def window(self, seconds: float, least: int = 0) -> Window:
        """Lets the loop run for some seconds and at least so many data."""
        self.n, self.least = 0, least
        started, cpu = time.perf_counter(), time.process_time()
        self.deadline = started + seconds
        self.start_window.release()
        self.window_ended.acquire()
        if self.over:
            raise RuntimeError(f"{self.name} ended; what it said is above")
        return Window(
            self.n / (time.perf_counter() - started), self.n / (time.process_time() - cpu)
        )


def in_turn(run_epoch: Callable) -> Callable:
    """``train.run_epoch`` for contestants: before asking whether to stop, it waits its turn."""

    def run_epoch_in_turn(trainer: train.Trainer, x: Tensor, should_stop, *rest) -> bool:
        contestant = threading.current_thread()

        def wait_then_ask() -> bool:
            contestant.turn(min(BATCH, len(x) - trainer.position.step * BATCH))
            return should_stop()

        return run_epoch(trainer, x, wait_then_ask, *rest)

    return run_epoch_in_turn


def compare(dataset: str, seconds: float) -> None:
    """Lets all loops take turns and prints what each reached."""
    mnist = data.load(dataset)
    images, labels = torch.from_numpy(mnist.train), torch.from_numpy(mnist.train_labels)
    contest = {
        OWN: loops.own_run(dataset, "fixed"),
        f"{OWN}, dynamic binarisation": loops.own_run(dataset, "dynamic"),
        WHOLE: loops.own_run(dataset, "fixed", evaluate_every=1),
        EXAMPLE: loops.pytorch_example(images, labels),
        f"{EXAMPLE}, denormals flushed": loops.pytorch_example(images, labels, flush=True),
        LIMIT: loops.matrix_products,
    }
    if importlib.util.find_spec("pythae"):
        contest[PYTHAE] = loops.pythae(images, labels)
    else:
        print("pythae is not installed, so its row is left out: see benchmarks/requirements.txt.")
    contestants = [Contestant(name, loop) for name, loop in contest.items()]
    epoch = len(images)
    for contestant in contestants:
        unit = epoch if contestant.name == WHOLE else BATCH
        contestant.window(0.0, least=math.ceil(WARM_UP * BATCH / unit) * unit)
    for turn in range(math.ceil(seconds / WINDOW)):
        for contestant in contestants:
            if contestant.name != WHOLE:
                contestant.windows[turn] = contestant.window(WINDOW)
            elif turn % WHOLE_EVERY == 0:
                contestant.windows[turn] = contestant.window(0.0, least=epoch)
    windows = {contestant.name: contestant.windows for contestant in contestants}
    references = (EXAMPLE, PYTHAE, LIMIT)
    print_table("By the clock: samples/s", windows, lambda w: w.by_clock, references)
    print_table("By own processor time: samples/s", windows, lambda w: w.by_cpu, references)


def print_table(
    title: str,
    windows: dict[str, dict[int, Window]],
    rate: Callable[[Window], float],
    references: Sequence[str],
) -> None:
    """One row a loop: median rate, quartiles, and ratios paired by turn."""
    references = [name for name in references if name in windows]
    print(f"\n| {title} | median | quartiles | n |", end="")
    print("".join(f" of {name} |" for name in references))
    print("|---|" + "---:|" * (3 + len(references)))
    for name, own in windows.items():
        low, median, high = np.percentile([rate(w) for w in own.values()], [25, 50, 75])
        cells = [f"{median:,.0f}", f"{low:,.0f} to {high:,.0f}", str(len(own))]
        for reference in references:
            ratios = [rate(w) / rate(windows[reference][turn]) for turn, w in own.items()]
            cells.append(f"{np.median(ratios):.2f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def compare_two(dataset: str, seconds: float) -> None:
    """Two runs at once, in processes of one thread each, against one of them alone."""
    context = multiprocessing.get_context("spawn")
    ends = []
    for _ in range(2):
        end, other = context.Pipe()
        context.Process(target=serve_windows, args=(other, dataset), daemon=True).start()
        ends.append(end)
    ask(ends, 0.0)
    alone, together = [], []
    for turn in range(math.ceil(seconds / WINDOW_OF_TWO)):
        alone += ask([ends[turn % 2]], WINDOW_OF_TWO)
        together.append(ask(ends, WINDOW_OF_TWO))
    for title, rate in (("the clock", 0), ("own processor time", 1)):
        one = [window[rate] for window in alone]
        two = [first[rate] + second[rate] for first, second in together]
        ratios = np.divide(two, one)
        low, high = np.percentile(ratios, [25, 75])
        print(
            f"By {title}: one run {np.median(one):,.0f} samples/s, two at once "
            f"{np.median(two):,.0f}: {np.median(ratios):.2f} times ({low:.2f} to {high:.2f}, "
            f"n = {len(ratios)})."
        )


def ask(ends: list[Connection], seconds: float) -> list[Window]:
    """One window of each of these processes, all at the same time."""
    for end in ends:
        end.send(seconds)
    return [end.recv() for end in ends]


def serve_windows(end: Connection, dataset: str) -> None:
    """A process with one run: a window for each number of seconds that arrives."""
    with mock.patch.object(train, "run_epoch", in_turn(train.run_epoch)):
        torch.set_num_threads(1)
        contestant = Contestant(OWN, loops.own_run(dataset, "fixed"))
        contestant.window(0.0, least=WARM_UP * BATCH)
        with contextlib.suppress(EOFError):  # the other side has seen enough
            while True:
                end.send(contestant.window(end.recv()))


def machine() -> str:
    """What the numbers were taken on."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line[13:] for line in lines if line.startswith("model name")), model)
    return (
        f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} threads used, "
        f"PyTorch {torch.__version__}, Python {platform.python_version()}"
    )


def main() -> None:
    """Reads the options and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20, help="per loop, after the warm-up")
    parser.add_argument("--two", action="store_true", help="two runs at once against one")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.INFO)
    dataset = "mnist" if data.available("mnist") else "mnist-subset"
    n = len(data.load(dataset).train)
    print(f"{machine()}; load {os.getloadavg()[0]:.1f} at the start; {dataset}, {n:,} images.")
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, VAE_RUNS=folder),
        mock.patch.object(train, "run_epoch", in_turn(train.run_epoch)),
    ):
        (compare_two if options.two else compare)(dataset, options.seconds)
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
