"""What waits for a worker, whose turn it is, and what is said when a worker ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from filelock import Timeout

from vae import results, runs
from vae.requests import Request

ENDED = "The worker process ended before the run did; resume it to go on from its last checkpoint."
ANALYSIS_ENDED = (
    "The worker process ended before the analysis did, perhaps for want of memory: try again, "
    "with fewer data or samples."
)


class Training(NamedTuple):
    """A run that is to be trained."""

    run_id: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """What a worker is told."""
        return (self.run_id,)

    def ended(self, finished: bool) -> None:
        """The call returned, or its process died: a run that says it is active is not."""
        # One that went through to its end may be queued again by now: leave that.
        settle(self.run_id, ("running",) if finished else runs.ACTIVE, "interrupted", ENDED)

    def left(self) -> None:
        """The executor ends."""
        self.ended(finished=False)

    def failed(self, error: BaseException) -> None:
        """The call raised what nobody expected."""
        reason = f"The run ended with an unexpected error: {repr(error)[:200]}"
        settle(self.run_id, runs.ACTIVE, "failed", reason)


class Analysis(NamedTuple):
    """A question about a run that takes more than a moment."""

    run_id: str
    request: Request

    @property
    def arguments(self) -> tuple[str, ...]:
        """What a worker is told."""
        return (self.run_id, self.request.model_dump_json())

    def ended(self, finished: bool) -> None:
        """The call returned, or its process died: what says that it is under way is not."""
        results.abandon(self.run_id, self.request, ANALYSIS_ENDED)

    def left(self) -> None:
        """The executor ends: nothing is said, so that it is done anew when it is asked for."""

    def failed(self, error: BaseException) -> None:
        """The call raised what nobody expected, after it wrote that down."""
        self.ended(finished=False)


Job = Training | Analysis


def for_trainings(slots: int) -> int:
    """How many of the places of all workers trainings may take: all but one, and at least one."""
    return max(1, slots - 1)


class Queue:
    """The jobs that wait and those at work. Analyses come before trainings, which leave one worker
    to them: an answer that takes seconds shall not wait for a training that takes hours.

    Example:
        >>> from vae.requests import History
        >>> queue = Queue()
        >>> for job in (Training("a"), Training("b"), Analysis("a", History())):
        ...     queue.submit(job)
        >>> [queue.start(2, lambda job: None) for _ in range(3)]
        [Analysis(run_id='a', ...), Training(run_id='a'), None]
    """

    def __init__(self) -> None:
        self.waiting: list[Job] = []
        self.running: dict[Job, Any] = {}
        self.lock = threading.RLock()

    def __contains__(self, job: Job) -> bool:
        with self.lock:
            return job in self.waiting or job in self.running

    def submit(self, job: Job, patience: float = 0) -> None:
        """Lines a job up, unless it waits or, for longer than that, is at work."""
        deadline = time.monotonic() + patience
        while job in self.running and time.monotonic() < deadline:
            time.sleep(0.02)
        with self.lock:
            if job not in self:
                self.waiting.append(job)

    def withdraw(self, job: Job) -> bool:
        """Drops a job that waits: false if it does not."""
        with self.lock:
            if waits := job in self.waiting:
                self.waiting.remove(job)
        return waits

    def start(self, slots: int, begin: Callable[[Job], Any]) -> Job | None:
        """Begins the job whose turn it is, if one may be at work; keeps what ``begin`` returned."""
        with self.lock:
            trainings = sum(isinstance(job, Training) for job in self.running)
            ahead = [job for job in self.waiting if isinstance(job, Analysis)]
            if trainings < for_trainings(slots):
                ahead += self.waiting
            if not ahead or len(self.running) >= slots:
                return None
            self.running[ahead[0]] = begin(ahead[0])
            self.waiting.remove(ahead[0])
            return ahead[0]


def settle(run_id: str, among: tuple[runs.State, ...], state: runs.State, reason: str) -> None:
    """Writes how a run ended into its folder, if that does not know, and nobody works on it."""
    with suppress(runs.RunError, Timeout, OSError):  # deleted; still at work; disk full
        if runs.status(run_id).state in among:
            with runs.lock(run_id).acquire(timeout=0.3):
                if runs.status(run_id).state in among:
                    runs.set_status(run_id, state, reason)
