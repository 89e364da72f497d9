"""What a terminal shows and hears while something runs: progress bars, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from tqdm import tqdm

from vae import data, runs
from vae.data import DataError
from vae.runs import RunError, Status


class CommandError(Exception):
    """Something that cannot be done, in one sentence for a person."""


def bar(**options: Any) -> tqdm:
    """A bar on stderr: lively at a terminal, a line every half minute in a log."""
    interval = 0.5 if sys.stderr.isatty() else 30.0
    return tqdm(mininterval=interval, miniters=0, dynamic_ncols=True, **options)


@contextmanager
def download(dataset: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for the download of a data set, if there will be one.

    Yields:
        What to tell the bytes done and the bytes in all.
    """
    with bar(desc=dataset, unit="B", unit_scale=True, disable=data.available(dataset)) as shown:

        def told(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield told


def have(dataset: str) -> str:
    """Fetches a set if that is needed; names the one that will stand in for it if it must.

    Raises:
        DataError: If neither can be had.
    """
    try:
        with download(dataset) as told:
            data.fetch(dataset, told)
    except DataError as error:
        if data.at_hand(dataset).name == dataset:
            raise
        print(f"{error} The bundled cut of it is used instead.", file=sys.stderr)
    return data.at_hand(dataset).name


@contextmanager
def progress(run_id: str) -> Iterator[None]:
    """A bar that follows what the folder of a run says, until the block ends."""
    over, done = threading.Event(), _steps_done(runs.status(run_id))

    def follow() -> None:
        layout = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        with suppress(RunError), bar(bar_format=layout, initial=done, total=max(1, done)) as shown:
            while not over.wait(0.5):
                _show(run_id, shown)
            _show(run_id, shown)

    follower = threading.Thread(target=follow, name="progress", daemon=True)
    follower.start()
    try:
        yield
    finally:
        over.set()
        follower.join()


def _show(run_id: str, shown: tqdm) -> None:
    """Brings a bar up to date."""
    status = runs.status(run_id)
    facts = [f"{status.samples_per_second:,.0f}/s"]
    for record in runs.metrics(run_id)[-1:]:
        facts.append(f"held-out ELBO {record['held_out']['elbo']:.2f}")
    shown.set_postfix_str(", ".join(facts), refresh=False)
    epoch = min(status.epoch + 1, status.epochs)
    shown.set_description_str(f"epoch {epoch}/{status.epochs}", refresh=False)
    shown.total = max(1, status.epochs * status.steps)
    shown.update(_steps_done(status) - shown.n)


def _steps_done(status: Status) -> int:
    """Batches done since the run began, in all the times it was resumed."""
    return status.epoch * status.steps + status.step


@contextmanager
def stop_on_interrupt(run_id: str) -> Iterator[None]:
    """Turns the first Ctrl-C into a request to stop; the second ends the training at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(RunError):
            runs.request_stop(run_id)
        print("\nStopping with a checkpoint; Ctrl-C again to end at once.", file=sys.stderr)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
