"""Results of heavy analyses, kept beside the checkpoint: found again by what was asked of which
weights.

A result is a file ``analysis/<request>-<model>.safetensors`` in the folder of its run, or, where
that may not be written, of the user's cache. Its name changes with the request, the weights, the
data and the format, so that nothing is ever shown for what it is not. While it is made,
``<request>.json`` says how far it is, or why it failed, ``<request>.stop`` asks for an early end,
and ``<request>.lock`` is held.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from vae import data, runs
from vae.config import CODE_FIELDS
from vae.files import DamagedFile, explain_os_error, read_json, read_tensors, write_json
from vae.owners import held
from vae.requests import History, Request
from vae.runs import Run, RunError

CANCELLED = "It was cancelled."
#: Seconds in which a process that was killed lets go of its lock: its connections may close before.
DYING = 1.0


class Progress(NamedTuple):
    """How far an analysis is, or why it failed; ``key`` is that of the result it is to have."""

    state: Literal["running", "failed"]
    key: str = ""
    share: float = 0.0
    what: str = ""
    reason: str = ""
    seconds: float = 0.0

    @property
    def eta(self) -> float | None:
        """Seconds to go, judged by the seconds so far."""
        return self.seconds * (1 / self.share - 1) if self.share > 0.02 else None


def key(run: Run, request: Request) -> str:
    """The name of a result: it changes with all that the numbers depend on.

    Arguments:
        run: The run, loaded at the epoch of the request.
        request: What is asked.

    Returns:
        ``<request>-<model>``, short sha256 sums: of the request and the version of its format, and
        of weights, configuration and data (and of the epochs kept, if all of them matter).

    Raises:
        DataError: If the data of the run cannot be had.

    Source:
        Content addressing, as in git.

    Example:
        >>> from vae.requests import Evidence
        >>> _ = os.environ.pop("VAE_RUNS", None)
        >>> len(key(runs.load("digits-2d"), Evidence()))
        25
    """
    # Fields that are newer than many results that are kept, where they say nothing.
    newer = set() if run.config.is_vq else {"model", *CODE_FIELDS}
    newer |= set() if run.config.conditional else {"conditional"}
    digest = hashlib.sha256(run.config.model_dump_json(exclude=newer).encode())
    digest.update(data.at_hand(run.config.dataset).sha256.encode())
    if isinstance(request, History):
        digest.update(repr(runs.past(run.id)).encode())
    for name, t in sorted(run.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(t.contiguous().numpy().data)
    return f"{request.stem}-{digest.hexdigest()[:12]}"


def read(run_id: str, request: Request) -> dict[str, np.ndarray] | None:
    """The arrays of a result, if it is kept for the weights as they are now.

    Raises:
        RunError: If the run is gone, or the weights of that epoch were not kept.
        DataError: If its data cannot be had.
    """
    return kept(run_id, key(runs.load(run_id, request.epoch), request))


def kept(run_id: str, key: str) -> dict[str, np.ndarray] | None:
    """The arrays of a result by its key; a damaged file counts as none, and is made anew."""
    for folder in _folders(run_id):
        with suppress(DamagedFile, OSError):
            tensors, _ = read_tensors(folder / f"{key}.safetensors")
            return {name: t.numpy() for name, t in tensors.items()}
    return None


def earlier(run_id: str, request: Request) -> dict[str, np.ndarray] | None:
    """The newest result of this request for any weights of the run: its ``epoch`` says which."""
    found = [p for folder in _folders(run_id) for p in folder.glob(f"{request.stem}-*.safetensors")]
    with suppress(OSError):  # replaced a moment ago
        for path in sorted(found, key=lambda p: p.stat().st_mtime_ns, reverse=True):
            if (arrays := kept(run_id, path.stem)) is not None:
                return arrays
    return None


def progress(run_id: str, request: Request) -> Progress | None:
    """How far an analysis is, or how it failed; nothing if nobody is at it any more.

    Raises:
        RunError: If the run is gone.
    """
    for folder in _folders(run_id):
        with suppress(DamagedFile, OSError, TypeError, ValueError):
            fields = read_json(folder / f"{request.stem}.json")
            found = Progress(**{k: v for k, v in fields.items() if k in Progress._fields})
            if found.state == "failed" or held(folder / f"{request.stem}.lock"):
                return found._replace(share=float(found.share), seconds=float(found.seconds))
    return None


def fail(run_id: str, request: Request, key: str, reason: str) -> None:
    """Writes down why there is no result; it stays until ``forget``."""
    with suppress(RunError, OSError):  # deleted; disk full
        failed = Progress("failed", key, reason=reason)
        write_json(home(run_id) / f"{request.stem}.json", failed._asdict())


def abandon(run_id: str, request: Request, reason: str) -> None:
    """Fails what was begun for a request and nobody works on any more: its process ended.

    Source:
        The lock of the one at work, which the system frees when its holder dies.
    """
    with suppress(RunError, DamagedFile, OSError):
        folder = home(run_id)
        begun = read_json(folder / f"{request.stem}.json")
        lock = folder / f"{request.stem}.lock"
        if begun.get("state") == "running" and not held(lock, DYING):
            fail(run_id, request, str(begun.get("key")), reason)


def cancel(run_id: str, request: Request) -> None:
    """Asks the one at work to end early.

    Raises:
        RunError: If the run is gone, or the folder may not be written.
    """
    try:
        (home(run_id) / f"{request.stem}.stop").touch()
    except OSError as error:
        raise RunError(f"It cannot be cancelled. {explain_os_error(error)}") from error


def forget(run_id: str, request: Request) -> None:
    """Drops what is said about a request, so that it may be tried again."""
    with suppress(RunError, OSError):
        for folder in _folders(run_id):
            for suffix in ("json", "stop"):
                (folder / f"{request.stem}.{suffix}").unlink(missing_ok=True)


def drop_older(run_id: str, request: Request, key: str = "") -> None:
    """Removes what the same request found for weights, or data, that are no more; of a shipped run
    nothing, for its weights never change."""
    if runs.is_shipped(run_id):
        return
    for folder in _folders(run_id):
        for path in folder.glob(f"{request.stem}-*.safetensors"):
            if path.stem != key:
                with suppress(OSError):
                    path.unlink()


def _folders(run_id: str) -> tuple[Path, Path]:
    """Where results of a run may lie: beside its checkpoint, or in the user's cache."""
    return runs.folder(run_id) / "analysis", data.root() / "analysis" / run_id


def home(run_id: str) -> Path:
    """Where results of a run are written: beside its checkpoint, if that is allowed."""
    beside, cache = _folders(run_id)
    with suppress(OSError):
        beside.mkdir(exist_ok=True)
        if os.access(beside, os.W_OK):
            return beside
    cache.mkdir(parents=True, exist_ok=True)
    return cache
