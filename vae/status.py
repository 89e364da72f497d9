"""Where a run stands: its state, its progress, and how long it will take."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

State = Literal["queued", "running", "finished", "stopped", "failed", "diverged", "interrupted"]
ACTIVE: tuple[State, ...] = ("queued", "running")


class Status(NamedTuple):
    """Where a run stands; times in seconds."""

    state: State
    reason: str = ""
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    samples_per_second: float = 0.0
    seconds: float = 0.0

    @property
    def progress(self) -> float:
        """Fraction done, 0 to 1."""
        steps = self.epochs * self.steps
        done = self.epoch * self.steps + self.step
        return min(1.0, done / steps) if steps else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds to go, judged by the seconds so far."""
        if self.state != "running" or not self.progress or not self.seconds:
            return None
        return self.seconds * (1 - self.progress) / self.progress


def check(status: Status) -> None:
    """Raises TypeError if a field holds what cannot stand there."""
    expected = Status("queued")._asdict()
    for name, value in status._asdict().items():
        kind = int | float if isinstance(expected[name], float) else type(expected[name])
        if not isinstance(value, kind):
            raise TypeError(name)
    if status.state not in get_args(State):
        raise TypeError("state")
