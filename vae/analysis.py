"""A heavy analysis, as a worker does it: computed once, kept, and every trouble said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from vae import data, results, runs
from vae.data import DataError
from vae.files import explain_os_error, write_json, write_tensors
from vae.progress import Report
from vae.requests import (
    Annealing,
    Embedding,
    Evidence,
    Gaps,
    History,
    Request,
    read_request,
)
from vae.runs import Run, RunError

#: Seconds between two looks at the stop file, and between two words on how far it is.
INTERVAL = 0.25
#: Seconds to wait for the lock of a result: one who only looks whether it is held lets go at once.
PATIENCE = 1.0
#: Why there is no analysis of a conditional run, and what there is instead.
CONDITIONAL = (
    "{run} is told the label y of each datum, and what is asked here is log p(x) without one. Its "
    "log p(x | y) is printed by `python -m vae evaluate {run} --estimator {estimator}`."
)


class Cancelled(Exception):
    """Somebody asked for an early end."""


def perform(run_id: str, request_json: str) -> None:
    """Makes a result and keeps it; what a worker calls.

    Every outcome is written beside the checkpoint: the arrays, or a failure with its reason.
    Nothing happens if the result is there, or if somebody else is at it.

    Arguments:
        run_id: The id of the run.
        request_json: A request, as JSON.

    Raises:
        RequestError: If the request makes no sense.
        Exception: What nobody expected, after the failure was written down.

    Source:
        One lock a result: two that ask at once compute once.

    Example:
        >>> import os, tempfile
        >>> from vae.train import train
        >>> os.environ["VAE_RUNS"] = tempfile.mkdtemp()
        >>> run_id = runs.create(runs.RunConfig(dataset="digits", hidden=(8,), epochs=1))
        >>> train(run_id)
        >>> ask = Evidence(n=3, k=10)
        >>> perform(run_id, ask.model_dump_json())
        >>> results.read(run_id, ask)["elbo"].shape
        (3,)
    """
    request = read_request(request_json)
    with suppress(RunError, DataError):  # whoever asks reads the run too, and is told
        run = runs.load(run_id, request.epoch)
        name = results.key(run, request)
        with suppress(Timeout), _lock(run_id, request):
            if results.kept(run_id, name) is None:
                _perform(run, request, name)


def _perform(run: Run, request: Request, name: str) -> None:
    """Computes, says how far it is, and keeps the arrays or the reason why there are none."""
    folder, began = results.home(run.id), time.monotonic()
    try:
        arrays = _compute(run, request, _reporter(folder, request, name))
        notes = {
            "request": request.model_dump_json(),
            "run": run.id,
            "epoch": str(run.epoch),
            "dataset": data.at_hand(run.config.dataset).name,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": f"{time.monotonic() - began:.1f}",
        }
        tensors = {k: torch.tensor(a) for k, a in arrays.items()}
        write_tensors(folder / f"{name}.safetensors", tensors, notes)
    except Exception as error:
        runs.folder(run.id)  # deleted meanwhile: there is nobody to tell
        sentence = _sentence(error)
        unexpected = f"It ended with an unexpected error: {error!r:.200}"
        results.fail(run.id, request, name, sentence or unexpected)
        if sentence is None:
            raise
    else:
        results.forget(run.id, request)
        results.drop_older(run.id, request, name)
    finally:
        (folder / f"{request.stem}.stop").unlink(missing_ok=True)


def _compute(run: Run, request: Request, report: Report) -> dict[str, np.ndarray]:
    """The arrays. What computes is imported late: it may take seconds."""
    report("loading", 0.0)
    if run.config.is_vq:
        raise ValueError(f"{run.id} is a VQ-VAE, and this analysis is of VAEs.")
    if run.config.conditional and not isinstance(request, Embedding):
        raise ValueError(about_conditional(run))
    match request:
        case Evidence():
            from vae.evidence import compute
        case History():
            from vae.history import compute
        case Gaps():
            from vae.gap_table import compute
        case Annealing():
            from vae.annealing import compute
        case Embedding():
            from vae.embedding import compute
    return {"epoch": np.array(run.epoch), **compute(run, request, report)}


def about_conditional(run: Run) -> str:
    """Why there is no analysis of a conditional run, and what there is instead."""
    estimator = "exact" if run.config.latent_dim <= 2 else "iwae"
    return CONDITIONAL.format(run=run.id, estimator=estimator)


def _reporter(folder: Path, request: Request, name: str) -> Report:
    """Writes down how far it is now and then, and looks whether to end early."""
    began, last, said = time.monotonic(), 0.0, ""

    def report(what: str, share: float) -> None:
        nonlocal last, said
        now = time.monotonic()
        if what == said and now - last < INTERVAL:
            return
        last, said = now, what
        if (folder / f"{request.stem}.stop").exists():
            raise Cancelled
        where = results.Progress("running", name, min(1.0, share), what, seconds=now - began)
        write_json(folder / f"{request.stem}.json", where._asdict(), durable=False)

    return report


def _sentence(error: Exception) -> str | None:
    """What to tell a person about an error that was to be expected; nothing about any other."""
    if isinstance(error, Cancelled):
        return results.CANCELLED
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return "There is not enough memory for it: choose fewer data or fewer samples."
    if isinstance(error, OSError):
        return explain_os_error(error)
    ours = type(error).__module__.startswith("vae.")
    return str(error) if ours or isinstance(error, ValueError) else None


@contextmanager
def _lock(run_id: str, request: Request) -> Iterator[None]:
    """Held by the one at work on a result; its file goes when it ends."""
    path = results.home(run_id) / f"{request.stem}.lock"
    with FileLock(path, timeout=PATIENCE):
        try:
            yield
        finally:
            with suppress(OSError):  # some systems remove no open file
                path.unlink()
