"""Work in the background: one executor a server, on Dask, which no other file names.

The executor is a scheduler and a few workers of our own on the loopback interface, or the scheduler
that ``VAE_SCHEDULER`` names. What a job does is read from its run's folder, not from here.

Ours are Dask's two commands on a leash: ``LocalCluster`` would import the running script again, and
``SubprocessCluster`` freeze once its log fills a pipe. The queue is our own (``ui.queue``): Dask
would hand waiting tasks to busy workers, whose death takes them along.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, Security
from distributed.system import MEMORY_LIMIT

from ui.leash import Children, ChildrenError
from ui.queue import Analysis, Job, Queue, Training, for_trainings
from vae.requests import Request

JOB = "vae.train:train"  # imported in the workers, called with the id of the run
ANALYSIS = "vae.analysis:perform"  # called with the id of the run and the request as JSON
#: What workers import before their first job.
PRELOAD = "vae.train vae.evidence vae.gap_table arviz_stats.base torch._dynamo sklearn.datasets"
WORKERS = max(1, min(4, CPU_COUNT))  # for trainings; one more is kept for analyses
PATIENCE = 120.0  # seconds for the processes to come up, on a machine that is busy
ROOM = 2e9  # bytes that a worker may use at least: PyTorch, and a gigabyte of arrays

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
    "DASK_DISTRIBUTED__WORKER__PRELOAD": f"{PRELOAD.split()}",
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
    _ready().submit(Training(run_id), patience=1)  # its folder knows its end before Dask does


def withdraw(run_id: str) -> bool:
    """Takes a run out of the queue: false if it is not there, or was handed to a worker."""
    executor = _executor
    return executor is not None and executor.queue.withdraw(Training(run_id))


def analyse(run_id: str, request: Request) -> None:
    """Puts an analysis in the queue, before all trainings; one that is there stays as it is.

    Raises:
        JobsError: If there is no executor and none can be started.
    """
    _ready().submit(Analysis(run_id, request))


def withdraw_analysis(run_id: str, request: Request) -> bool:
    """Takes an analysis out of the queue: false if it is not there, or was handed to a worker."""
    executor = _executor
    return executor is not None and executor.queue.withdraw(Analysis(run_id, request))


def analysing(run_id: str, request: Request) -> bool:
    """Whether an analysis is in the queue or at work."""
    executor = _executor
    return executor is not None and Analysis(run_id, request) in executor.queue


def _ready() -> _Executor:
    """The executor, brought up if it is not."""
    start()
    if (executor := _executor) is None:
        raise JobsError(_error or "The app is shutting down.")
    return executor


def state() -> JobsState:
    """Where the executor stands; asks nobody, so it is quick enough for every page."""
    executor = _executor
    if executor is None:
        return JobsState(False, 0, _error)
    if not executor.alive():
        return JobsState(False, 0, "The background workers have ended; the next run starts others.")
    return JobsState(True, executor.workers, None)


class _Executor:
    """The thread that hands the jobs of a queue to workers and notices how they ended."""

    def __init__(self) -> None:
        self.children = Children()  # none, if the scheduler is somebody else's
        self.queue = Queue()
        self.wake = threading.Event()
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self._serve, name="jobs", daemon=True)
        address = os.environ.get("VAE_SCHEDULER")
        try:
            self.client = _connect(address or _bring_up(self.children))
            count = self.client.nthreads
            self.children.wait_for(lambda: address or count(), PATIENCE, _stopping)
            self.workers = for_trainings(sum(count().values()))
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

    def submit(self, job: Job, patience: float = 0) -> None:
        """Queues a job, unless it is queued or, for longer than that, at work."""
        self.queue.submit(job, patience)
        if self.closing.is_set() and self.queue.withdraw(job):
            raise JobsError("The background workers have just ended; try again.")
        self.wake.set()

    def _serve(self) -> None:
        """Looks after jobs and workers until either the executor or its processes end."""
        try:
            while self.alive():
                try:
                    slots = sum(self.client.nthreads().values())
                except Exception as error:  # of many kinds, when the scheduler is gone
                    log.warning("The scheduler does not answer: %s", error)
                else:
                    self.workers = for_trainings(slots)
                    self._take_back()
                    while self.queue.start(slots, self._begin):
                        pass
                self.wake.wait(timeout=1)
                self.wake.clear()
        finally:
            self._tear_down()

    def _take_back(self) -> None:
        """Takes leave of the jobs that no worker works on any more."""
        with self.queue.lock:
            running = self.queue.running
            for job in [job for job, future in running.items() if future.done()]:
                future = running.pop(job)
                error = future.exception(timeout=1) if future.status == "error" else None
                if error is None or isinstance(error, KilledWorker):
                    job.ended(finished=future.status == "finished")
                else:
                    log.error("%s raised an exception", job, exc_info=error)
                    job.failed(error)

    def _begin(self, job: Job) -> Future:
        """Gives a job to a worker that is free."""
        call, key = _call(job), f"job-{uuid.uuid4().hex}"
        future = self.client.submit(call, *job.arguments, key=key, pure=False, retries=0)
        future.add_done_callback(lambda _: self.wake.set())
        return future

    def _tear_down(self) -> None:
        """Closes the client, ends the processes, and says in the folders what that did."""
        self.closing.set()
        with suppress(Exception):  # of many kinds, when the scheduler is gone
            self.client.close(timeout=1)
        self.children.end()
        with self.queue.lock:
            for job in (*self.queue.running, *self.queue.waiting):
                job.left()


def _bring_up(children: Children) -> str:
    """Starts scheduler and workers on the loopback interface; returns the scheduler's address."""
    contact = children.folder / "scheduler.json"
    common = (
        f"--scheduler-file={contact}",
        "--host=127.0.0.1",
        "--dashboard-address=127.0.0.1:0",  # opened even without a dashboard, else on 0.0.0.0
        "--no-dashboard",
    )
    share = max(0.9 / (WORKERS + 1), min(0.9, ROOM / MEMORY_LIMIT))
    own = (f"--nworkers={WORKERS + 1}", "--nthreads=1", f"--memory-limit={share}")
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


def _call(job: Job) -> Callable[..., None]:
    """What a worker calls. An inner function travels by value: the scheduler needs no ``vae``."""
    module, _, name = (JOB if isinstance(job, Training) else ANALYSIS).partition(":")

    def call(*arguments: str) -> None:
        getattr(importlib.import_module(module), name)(*arguments)

    return call
