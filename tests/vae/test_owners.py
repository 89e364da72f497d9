"""Who works on a run: trainers and servers that live, and those that died."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vae import owners, runs
from vae.config import RunConfig

TINY = RunConfig(dataset="digits", hidden=(8,), epochs=2, batch_size=256)


@pytest.fixture
def run_id() -> str:
    return runs.create(TINY)


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


HOLDER = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Starts processes that hold a lock until they are killed."""
    started = []

    def start(path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_nobody_works_on_is_interrupted(run_id, state):
    runs.set_status(run_id, state)
    assert owners.reconcile() == [run_id]
    status = runs.status(run_id)
    assert status.state == "interrupted" and "resume it" in status.reason
    assert owners.reconcile() == []


@pytest.mark.parametrize("state", ["finished", "stopped", "failed", "diverged", "interrupted"])
def test_a_run_that_ended_is_left_alone(run_id, state):
    runs.set_status(run_id, state, "because")
    assert owners.reconcile() == [] and runs.status(run_id).reason == "because"


def test_a_run_is_its_trainers_until_that_dies(run_id, hold):
    runs.set_status(run_id, "running")
    trainer = hold(runs.folder(run_id) / "lock")
    assert owners.reconcile() == [] and runs.status(run_id).state == "running"
    trainer.kill()
    trainer.wait()
    assert owners.reconcile() == [run_id]


def test_a_queued_run_is_its_servers_until_that_dies(run_id, hold, runs_folder, monkeypatch):
    (runs_folder / ".servers").mkdir()
    name = "0123456789abcdef"
    server = hold(runs_folder / ".servers" / f"{name}.lock")
    monkeypatch.setenv("VAE_SERVER", name)
    runs.set_status(run_id, "queued")
    assert owners.reconcile() == [] and runs.status(run_id).state == "queued"
    server.kill()
    server.wait()
    assert owners.reconcile() == [run_id]


def test_a_living_server_does_not_answer_for_a_dead_trainer(run_id):
    held = owners.serve()
    runs.set_status(run_id, "running")
    assert owners.reconcile() == [run_id]
    held.release()


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "x" * 16, None, 5])
def test_a_server_with_a_hostile_name_is_none(run_id, name):
    path = runs.folder(run_id) / "status.json"
    path.write_text(json.dumps({"state": "queued", "server": name}))
    assert owners.reconcile() == [run_id]


def test_a_run_that_finishes_while_it_is_judged_stays_finished(run_id, monkeypatch):
    runs.set_status(run_id, "running")
    judged = owners._abandoned

    def finish_in_between(run_id: str) -> bool:
        verdict = judged(run_id)
        runs.set_status(run_id, "finished")
        return verdict

    monkeypatch.setattr(owners, "_abandoned", finish_in_between)
    assert owners.reconcile() == [] and runs.status(run_id).state == "finished"


def test_a_run_that_cannot_be_written_does_not_keep_the_others(monkeypatch):
    first, second = runs.create(TINY), runs.create(TINY)
    real = runs.set_status
    monkeypatch.setattr(runs, "set_status", lambda i, *a: fail() if i == first else real(i, *a))
    assert owners.reconcile() == [second]


def test_servers_know_each_other_and_clear_up_after_the_dead(runs_folder, hold):
    first = owners.serve()
    name = os.environ["VAE_SERVER"]
    servers = runs_folder / ".servers"
    fresh, old, alive = (servers / f"{digit * 16}.lock" for digit in "abc")
    for path in (fresh, old, alive):
        path.touch()
    holder = hold(alive)
    for path in (old, alive, servers / f"{name}.lock"):
        os.utime(path, (0, 0))  # older than SERVER_START
    second = owners.serve()
    assert os.environ["VAE_SERVER"] != name
    assert {p.stem for p in servers.iterdir()} == {
        name, os.environ["VAE_SERVER"], fresh.stem, alive.stem
    }  # fmt: skip
    for lock in (first, second):
        lock.release()
    holder.kill()
