"""Runs in the background: one executor a server, on Dask, which no other file names.

The executor is a scheduler and a few workers of our own on the loopback interface, or the scheduler
that ``VAE_SCHEDULER`` names. What a run does is read from its folder, where this file says only
that a worker died.

Ours are Dask's two commands on a leash: ``LocalCluster`` would import the running script again, and
``SubprocessCluster`` freeze once its log fills a pipe. The queue is kept here: Dask would hand
waiting tasks to busy workers, whose death takes them along.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, Security
from filelock import Timeout

from ui.leash import Children, ChildrenError
from vae import runs

JOB = "vae.train:train"  # imported in the workers, called with the id of the run
WORKERS = max(1, min(4, CPU_COUNT))
PATIENCE = 120.0  # seconds for the processes to come up, on a machine that is busy
ENDED = "The worker process ended before the run did; resume it to go on from its last checkpoint."

#: What the processes find in their environment, whatever the user's own says.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads starve the other runs
    # Dask's own value gives memory back after every step: a third of the training speed is lost.
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",  # a run is never silently begun again
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "None",  # it trusts the wall clock
    "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "500ms",
    "DASK_DISTRIBUTED__WORKER__PRELOAD": "['vae.train', 'torch._dynamo', 'sklearn.datasets']",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",  # a hog is ended at 95 % of its limit
}

log = logging.getLogger(__name__)


class JobsError(Exception):
    """The executor cannot take a run, in one sentence for a person."""


class JobsState(NamedTuple):
    """Whether runs can be taken, by how many workers, and if not, why."""

    ready: bool
    workers: int
    error: str | None


_starting = threading.Lock()
_stopping = threading.Event()
_executor: _Executor | None = None
_error: str | None = None
_attempts = 0


def start() -> None:
    """Brings the executor up, unless it is, and blocks until it is usable or has failed.

    Any number of threads may call it: one does the work, the others wait for the outcome.
    """
    global _executor, _error, _attempts
    seen = _attempts
    with _starting:
        if _attempts != seen or (_executor and _executor.alive()):
            return
        if _executor:
            _executor.close()
        try:
            _executor, _error = _Executor(), None
        except JobsError as error:
            _executor, _error = None, str(error)
        except (ChildrenError, OSError) as error:
            _executor, _error = None, f"The background workers do not start. {error}"
        _attempts += 1


def stop() -> None:
    """Ends the executor and its processes; runs that were active become interrupted."""
    global _executor, _error
    _stopping.set()
    with _starting:
        if _executor:
            _executor.close()
        _executor = _error = None
    _stopping.clear()


def submit(run_id: str) -> None:
    """Puts a run in the queue. A run that is already there or at work stays as it is.

    Raises:
        JobsError: If there is no executor and none can be started.
    """
    start()
    executor = _executor
    if executor is None:
        raise JobsError(_error or "The app is shutting down.")
    executor.submit(run_id)


def withdraw(run_id: str) -> bool:
    """Takes a run out of the queue: false if it is not there, or was handed to a worker."""
    executor = _executor
    return executor is not None and executor.withdraw(run_id)


def state() -> JobsState:
    """Where the executor stands; asks nobody, so it is quick enough for every page."""
    executor = _executor
    if executor is None:
        return JobsState(False, 0, _error)
    if not executor.alive():
        return JobsState(False, 0, "The background workers have ended; the next run starts others.")
    return JobsState(True, executor.workers, None)


class _Executor:
    """The queue, and the thread that hands runs to workers and notices how they ended."""

    def __init__(self) -> None:
        self.children = Children()  # none, if the scheduler is somebody else's
        self.waiting: deque[str] = deque()
        self.running: dict[str, Future] = {}
        self.lock = threading.Lock()
        self.wake = threading.Event()
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self._serve, name="jobs", daemon=True)
        address = os.environ.get("VAE_SCHEDULER")
        try:
            self.client = _connect(address or _bring_up(self.children))
            count = self.client.nthreads
            self.children.wait_for(lambda: address or count(), PATIENCE, _stopping)
            self.workers = len(count())
        except BaseException:
            self._tear_down()
            raise
        self.thread.start()

    def alive(self) -> bool:
        """Whether runs can be handed on."""
        served = self.thread.is_alive() and not self.closing.is_set()
        return served and self.client.status == "running" and self.children.alive()

    def close(self) -> None:
        """Ends everything; returns when it has ended."""
        self.closing.set()
        self.wake.set()
        self.thread.join()

    def submit(self, run_id: str) -> None:
        """Queues a run, unless it is queued or at work."""
        patience = time.monotonic() + 1  # its folder may say that it ended just before Dask does
        while run_id in self.running and time.monotonic() < patience:
            time.sleep(0.02)
        with self.lock:
            if self.closing.is_set():
                raise JobsError("The background workers have just ended; try again.")
            if run_id not in self.waiting and run_id not in self.running:
                self.waiting.append(run_id)
        self.wake.set()

    def withdraw(self, run_id: str) -> bool:
        """Drops a run that waits."""
        with self.lock:
            if waits := run_id in self.waiting:
                self.waiting.remove(run_id)
        return waits

    def _serve(self) -> None:
        """Looks after runs and workers until either the executor or its processes end."""
        try:
            while self.alive():
                try:
                    slots = self.client.nthreads()
                except Exception as error:  # of many kinds, when the scheduler is gone
                    log.warning("The scheduler does not answer: %s", error)
                else:
                    self.workers = len(slots)
                    self._take_back()
                    self._hand_out(sum(slots.values()))
                self.wake.wait(timeout=1)
                self.wake.clear()
        finally:
            self._tear_down()

    def _take_back(self) -> None:
        """Takes leave of the runs that no worker works on any more."""
        with self.lock:
            for run_id in [run_id for run_id, future in self.running.items() if future.done()]:
                future = self.running.pop(run_id)
                error = future.exception(timeout=1) if future.status == "error" else None
                if error is None or isinstance(error, KilledWorker):
                    # One that went through to its end may be queued again by now: leave that.
                    among = ("running",) if future.status == "finished" else runs.ACTIVE
                    _settle(run_id, among, "interrupted", ENDED)
                else:
                    log.error("The run %s raised an exception", run_id, exc_info=error)
                    reason = f"The run ended with an unexpected error: {repr(error)[:200]}"
                    _settle(run_id, runs.ACTIVE, "failed", reason)

    def _hand_out(self, slots: int) -> None:
        """Gives the runs that wait to the workers that are free."""
        with self.lock:
            while self.waiting and len(self.running) < slots:
                key = f"run-{uuid.uuid4().hex}"
                future = self.client.submit(_job(), self.waiting[0], key=key, pure=False, retries=0)
                self.running[self.waiting.popleft()] = future
                future.add_done_callback(lambda _: self.wake.set())

    def _tear_down(self) -> None:
        """Closes the client, ends the processes, and says in the folders what that did."""
        self.closing.set()
        with suppress(Exception):  # of many kinds, when the scheduler is gone
            self.client.close(timeout=1)
        self.children.end()
        with self.lock:
            for run_id in (*self.running, *self.waiting):
                _settle(run_id, runs.ACTIVE, "interrupted", ENDED)


def _bring_up(children: Children) -> str:
    """Starts scheduler and workers on the loopback interface; returns the scheduler's address."""
    contact = children.folder / "scheduler.json"
    common = (
        f"--scheduler-file={contact}",
        "--host=127.0.0.1",
        "--dashboard-address=127.0.0.1:0",  # opened even without a dashboard, else on 0.0.0.0
        "--no-dashboard",
    )
    own = (f"--nworkers={WORKERS}", "--nthreads=1", f"--memory-limit={0.9 / WORKERS}")
    environment = ENVIRONMENT | {"DASK_TEMPORARY_DIRECTORY": str(children.folder)}
    children.start("dask", "scheduler", *common, "--port=0", environment=environment)
    children.start("dask", "worker", *common, *own, environment=environment, niceness=10)
    children.wait_for(
        lambda: contact.exists() and contact.read_bytes().endswith(b"\n}"), PATIENCE, _stopping
    )
    return json.loads(contact.read_text())["address"]


def _connect(address: str) -> Client:
    """A client; what can be known is checked first, for one that fails is never quite gone."""
    parts = re.fullmatch(r"(tcp|tls)://(.+):(\d{1,5})", address)
    if parts is None:
        raise JobsError(f"VAE_SCHEDULER is tcp://HOST:PORT or tls://HOST:PORT, not {address:.60}.")
    try:
        security = Security().get_connection_args("client")
        tls = parts[1] == "tls"
        if (tls and not security["ssl_context"]) or (security["require_encryption"] and not tls):
            raise JobsError(f"Dask's TLS settings (distributed.comm.tls) do not suit {address}.")
        socket.create_connection((parts[2].strip("[]"), int(parts[3])), timeout=3).close()
        return Client(address, timeout=3, set_as_default=False)
    except (OSError, OverflowError) as error:
        raise JobsError(f"No Dask scheduler answers at {address}: {error}") from error


def _job() -> Callable[[str], None]:
    """What a worker calls. An inner function travels by value: the scheduler needs no ``vae``."""
    module, _, name = JOB.partition(":")

    def job(run_id: str) -> None:
        getattr(importlib.import_module(module), name)(run_id)

    return job


def _settle(run_id: str, among: tuple[runs.State, ...], state: runs.State, reason: str) -> None:
    """Writes how a run ended into its folder, if that does not know, and nobody works on it."""
    with suppress(runs.RunError, Timeout, OSError):  # deleted; still at work; disk full
        if runs.status(run_id).state in among:
            with runs.lock(run_id).acquire(timeout=0.3):
                if runs.status(run_id).state in among:
                    runs.set_status(run_id, state, reason)
