"""Who works on a run: trainers and servers hold locks, which the system frees when they die."""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vae import runs
from vae.files import DamagedFile, read_json
from vae.runs import RunError

#: Seconds after which a server that made its lock file holds the lock.
SERVER_START = 60


def reconcile() -> list[str]:
    """Marks as interrupted what says that it is active though nobody works on it.

    A running run is its trainer's, who holds its lock. A queued one belongs to the server that
    queued it as long as that lives (it holds a lock of its own, see ``serve``).

    Returns:
        The ids of the runs that were marked.

    Raises:
        Nothing: runs that cannot be read are left alone.

    Source:
        File locks, which the system frees when their holder dies.

    Example:
        >>> import tempfile
        >>> os.environ["VAE_RUNS"] = tempfile.mkdtemp()
        >>> run_id = runs.create(runs.RunConfig(dataset="digits"))
        >>> reconcile() == [run_id], runs.status(run_id).state
        (True, 'interrupted')
    """
    marked = []
    for run_id in runs.ids():
        with suppress(RunError, DamagedFile, OSError):  # deleted; at work (Timeout); read-only
            if runs.is_shipped(run_id) or not _abandoned(run_id):
                continue
            with runs.lock(run_id):
                if _abandoned(run_id):  # still, now that nobody else can write
                    reason = "The app ended while this run was under way; resume it."
                    runs.set_status(run_id, "interrupted", reason)
                    marked.append(run_id)
    return marked


def _abandoned(run_id: str) -> bool:
    """Whether a run says that it is active and no server answers for it: its lock must decide."""
    state = runs.status(run_id).state
    if state == "queued":
        server = read_json(runs.folder(run_id) / "status.json").get("server", "")
        return not held(_server_lock(str(server)))
    return state == "running"


def serve() -> FileLock:
    """Gives this server a name that other servers on the same folder can tell is alive.

    Returns:
        The lock, held; release it when the server ends.
    """
    name = secrets.token_hex(8)
    os.environ["VAE_SERVER"] = name
    path = _server_lock(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob("*.lock"):
        with suppress(FileNotFoundError):  # another server was faster
            if time.time() - old.stat().st_mtime > SERVER_START and not held(old):
                old.unlink()
    lock = FileLock(path)
    lock.acquire()
    return lock


def _server_lock(name: str) -> Path | None:
    """The lock file of a server, if the name can be one."""
    if not re.fullmatch(r"[0-9a-f]{16}", name):
        return None
    return runs.root() / ".servers" / f"{name}.lock"


def held(path: Path | None, patience: float = 0) -> bool:
    """Whether a living process holds a lock file, and still does after some seconds of patience."""
    if path is None or not path.exists():
        return False
    try:
        with FileLock(path, timeout=patience):
            return False
    except Timeout:
        return True
