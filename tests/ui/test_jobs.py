"""The executor on real processes: who works on what, and what is left when something dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from ui import jobs, queue
from vae import owners, results, runs, train
from vae.config import RunConfig
from vae.requests import Evidence, Request

HERE = Path(__file__).resolve().parent
LOOPBACK = ("127.0.0.1", "::1")


#: Processes that were there before, such as the driver of the browser tests.
STRANGERS: set[int] = set()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs in a folder of their own, two workers, and a stand-in for the training."""
    STRANGERS.update(child.pid for child in psutil.Process().children())
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("runs")
        patch.setenv("VAE_RUNS", str(path))
        patch.setenv("PYTHONPATH", str(HERE))
        patch.setattr(jobs, "WORKERS", 2)
        patch.setattr(jobs, "JOB", "stand_in:hold")
        patch.setattr(jobs, "ANALYSIS", "stand_in:analyse")
        patch.setitem(jobs.ENVIRONMENT, "DASK_DISTRIBUTED__WORKER__PRELOAD", "['stand_in']")
        yield path
        jobs.stop()


@pytest.fixture(autouse=True)
def runs_folder(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder for all tests of this file: the workers know only one."""
    monkeypatch.setenv("VAE_RUNS", str(world))
    return world


@pytest.fixture(scope="module")
def executor(world: Path) -> jobs._Executor:
    """Started by eight threads at once."""
    with ThreadPoolExecutor(8) as pool:
        for outcome in [pool.submit(jobs.start) for _ in range(8)]:
            outcome.result()
    until(lambda: jobs.state() == (True, 2, None))
    return jobs._executor


@pytest.fixture
def new_run(world: Path) -> Iterator[Callable[[], str]]:
    """Makes queued runs; those that still hold a worker are released at the end."""
    made: list[str] = []

    def make() -> str:
        made.append(runs.create(RunConfig(dataset="digits", hidden=(8,), epochs=1)))
        return made[-1]

    yield make
    for run_id in made:
        release(run_id)
    until(lambda: not jobs._executor or not jobs._executor.queue.running)


@pytest.fixture(scope="module")
def checkpoint(world: Path) -> str:
    """A run with weights, to be analysed."""
    run_id = runs.create(RunConfig(dataset="digits", hidden=(8,), epochs=1))
    train.train(run_id)
    return run_id


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Waits for a condition; a slow machine gets the time it needs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def began(run_id: str) -> list[dict]:
    """What the job said each time that it began."""
    path = runs.folder(run_id) / "began.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def release(run_id: str) -> None:
    """Lets a job finish."""
    (runs.folder(run_id) / "release").touch()


def analysed(run_id: str, ask: Request) -> list[dict]:
    """What the analysis said each time that it began."""
    path = runs.folder(run_id) / "analysed.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [began for line in lines if (began := json.loads(line))["stem"] == ask.stem]


def let_go(run_id: str, *asks: Request) -> None:
    """Lets analyses finish."""
    for ask in asks:
        (runs.folder(run_id) / f"release-{ask.stem}").touch()
        until(lambda ask=ask: results.read(run_id, ask) is not None)


def state(run_id: str) -> str:
    return runs.status(run_id).state


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still do something: one that waits for its parent's notice does not."""
    found = []
    for process in processes:
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def tree() -> list[psutil.Process]:
    """The processes of the executor: not those that other tests of the session left at work."""
    own = [child for child in psutil.Process().children() if child.pid not in STRANGERS]
    return alive([*own, *(below for child in own for below in child.children(recursive=True))])


def test_every_socket_listens_on_loopback(executor: jobs._Executor) -> None:
    sockets = [
        connection.laddr.ip
        for process in [psutil.Process(), *tree()]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(sockets) >= 4
    assert set(sockets) <= set(LOOPBACK)


def test_eight_callers_start_one_executor(executor: jobs._Executor) -> None:
    commands = [" ".join(process.cmdline()) for process in tree()]
    assert sum("dask scheduler" in command for command in commands) == 1
    assert sum("dask worker" in command for command in commands) == 1


def test_a_run_starts_within_a_second(executor: jobs._Executor, new_run) -> None:
    run_id = new_run()
    submitted = time.monotonic()
    jobs.submit(run_id)
    until(lambda: began(run_id))
    assert began(run_id)[0]["time"] - submitted < 1
    release(run_id)
    until(lambda: state(run_id) == "finished")


def test_a_worker_is_quiet_and_polite(executor: jobs._Executor, new_run) -> None:
    run_id = new_run()
    jobs.submit(run_id)
    until(lambda: began(run_id))
    (worker,) = began(run_id)
    assert worker["threads"] == 1
    assert worker["wait_policy"] == "PASSIVE"
    assert worker["niceness"] == 10
    assert int(worker["trim_threshold"]) > 1_000_000  # Dask's 65536 costs a third of the speed


def test_two_run_and_the_third_waits(executor: jobs._Executor, new_run) -> None:
    first, second, third = new_run(), new_run(), new_run()
    for run_id in (first, second, third, first, third):
        jobs.submit(run_id)
    until(lambda: began(first) and began(second))
    assert began(first)[0]["pid"] != began(second)[0]["pid"]
    time.sleep(0.3)
    assert not began(third) and state(third) == "queued"
    release(first)
    until(lambda: began(third))
    for run_id in (second, third):
        release(run_id)
    until(lambda: {state(second), state(third)} == {"finished"})
    assert [len(began(run_id)) for run_id in (first, second, third)] == [1, 1, 1]


def test_withdraw_takes_only_what_waits(executor: jobs._Executor, new_run) -> None:
    first, second, third = new_run(), new_run(), new_run()
    for run_id in (first, second, third):
        jobs.submit(run_id)
    until(lambda: began(first) and began(second))
    assert jobs.withdraw(third)
    assert not jobs.withdraw(third)
    assert not jobs.withdraw(first)
    for run_id in (first, second):
        release(run_id)
    until(lambda: not executor.queue.running)
    assert not began(third)


def test_a_run_can_be_queued_again_as_soon_as_its_folder_says_it_ended(
    executor: jobs._Executor, new_run
) -> None:
    run_id = new_run()
    for times in (1, 2, 3):
        release(run_id)
        jobs.submit(run_id)
        until(lambda times=times: len(began(run_id)) == times and state(run_id) == "finished")


def test_a_killed_worker_interrupts_its_run_only(executor: jobs._Executor, new_run) -> None:
    victim, neighbour, waiting = new_run(), new_run(), new_run()
    for run_id in (victim, neighbour, waiting):
        jobs.submit(run_id)
    until(lambda: began(victim) and began(neighbour))
    psutil.Process(began(victim)[0]["pid"]).kill()
    until(lambda: state(victim) == "interrupted")
    assert runs.status(victim).reason == queue.ENDED
    until(lambda: began(waiting))  # on the worker that took the dead one's place
    assert len({began(run_id)[0]["pid"] for run_id in (victim, neighbour, waiting)}) == 3
    assert len(began(victim)) == 1
    assert state(neighbour) == "running"


def test_an_analysis_waits_for_no_training(executor: jobs._Executor, new_run, checkpoint) -> None:
    first, second, third = new_run(), new_run(), new_run()
    for run_id in (first, second, third):
        jobs.submit(run_id)
    until(lambda: began(first) and began(second))
    ask, later = Evidence(seed=1), Evidence(seed=2)
    for _ in range(2):
        jobs.analyse(checkpoint, ask)
        jobs.analyse(checkpoint, later)
    until(lambda: analysed(checkpoint, ask))
    assert results.progress(checkpoint, ask).what == "holding"
    assert jobs.analysing(checkpoint, ask) and jobs.analysing(checkpoint, later)
    assert not jobs.withdraw_analysis(checkpoint, ask)
    release(first)  # whose place one more analysis takes, before the training that came first
    until(lambda: analysed(checkpoint, later))
    let_go(checkpoint, ask, later)
    until(lambda: began(third))
    assert not jobs.analysing(checkpoint, ask)
    assert [len(analysed(checkpoint, a)) for a in (ask, later)] == [1, 1]


def test_analyses_take_every_place_and_those_that_wait_can_be_withdrawn(
    executor: jobs._Executor, checkpoint
) -> None:
    asks = [Evidence(seed=seed) for seed in range(10, 14)]
    for ask in asks:
        jobs.analyse(checkpoint, ask)
    until(lambda: all(analysed(checkpoint, ask) for ask in asks[:3]))
    assert jobs.withdraw_analysis(checkpoint, asks[3])
    assert not jobs.withdraw_analysis(checkpoint, asks[3])
    results.cancel(checkpoint, asks[0])
    until(lambda: not jobs.analysing(checkpoint, asks[0]))
    assert results.progress(checkpoint, asks[0]).reason == results.CANCELLED
    let_go(checkpoint, *asks[1:3])
    assert not analysed(checkpoint, asks[3])


def test_a_killed_worker_fails_its_analysis(executor: jobs._Executor, checkpoint) -> None:
    ask = Evidence(seed=20)
    jobs.analyse(checkpoint, ask)
    until(lambda: analysed(checkpoint, ask))
    psutil.Process(analysed(checkpoint, ask)[0]["pid"]).kill()
    until(lambda: not jobs.analysing(checkpoint, ask))
    failed = results.progress(checkpoint, ask)
    assert (failed.state, failed.reason) == ("failed", queue.ANALYSIS_ENDED)
    results.forget(checkpoint, ask)
    jobs.analyse(checkpoint, ask)
    until(lambda: len(analysed(checkpoint, ask)) == 2)
    let_go(checkpoint, ask)


def test_an_unexpected_error_fails_the_run(
    executor: jobs._Executor, new_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "JOB", "stand_in:trip")
    run_id = new_run()
    jobs.submit(run_id)
    until(lambda: state(run_id) == "failed")
    assert "ZeroDivisionError" in runs.status(run_id).reason


def test_a_run_somebody_works_on_is_left_alone(executor: jobs._Executor, new_run) -> None:
    run_id = new_run()
    runs.set_status(run_id, "running")
    with runs.lock(run_id):
        queue.settle(run_id, runs.ACTIVE, "interrupted", "")
    assert state(run_id) == "running"


def test_a_deleted_run_stays_deleted(executor: jobs._Executor, new_run, world: Path) -> None:
    run_id = runs.create(RunConfig(dataset="digits", hidden=(8,), epochs=1))
    runs.delete(run_id)
    jobs.submit(run_id)
    until(lambda: not executor.queue.running and not executor.queue.waiting)
    assert not (world / run_id).exists()


def test_the_scheduler_survives_a_long_log(executor: jobs._Executor, new_run) -> None:
    def shout() -> None:
        os.write(2, b"x" * 1_000_000)

    executor.client.run_on_scheduler(shout)
    run_id = new_run()
    jobs.submit(run_id)
    until(lambda: began(run_id))


def test_somebody_elses_scheduler(
    executor: jobs._Executor, new_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: jobs.state() == (True, 2, None))  # one may still be on its way
    monkeypatch.setenv("VAE_SCHEDULER", executor.client.scheduler.address)
    before = len(tree())
    guest = jobs._Executor()
    assert len(tree()) == before and guest.workers == 2
    run_id = new_run()
    guest.submit(queue.Training(run_id))
    until(lambda: began(run_id))
    release(run_id)
    until(lambda: not guest.queue.running)
    guest.close()
    assert state(run_id) == "finished"
    assert executor.alive() and len(tree()) == before


def test_a_killed_scheduler_is_replaced_when_needed(
    executor: jobs._Executor, new_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "WORKERS", 1)
    run_id = new_run()
    jobs.submit(run_id)
    until(lambda: began(run_id))
    (scheduler,) = (p for p in tree() if "dask scheduler" in " ".join(p.cmdline()))
    scheduler.kill()
    until(lambda: state(run_id) == "interrupted")
    assert jobs.state().error and not jobs.state().ready
    runs.requeue(run_id)
    jobs.submit(run_id)
    assert jobs.state() == (True, 1, None)
    until(lambda: len(began(run_id)) == 2)


def test_stop_leaves_no_process(executor: jobs._Executor, new_run, checkpoint) -> None:
    working, waiting = new_run(), new_run()
    for run_id in (working, waiting):
        jobs.submit(run_id)
    ask = Evidence(seed=30)
    jobs.analyse(checkpoint, ask)
    until(lambda: began(working) and analysed(checkpoint, ask))
    processes, folder = tree(), jobs._executor.children.folder
    asked = time.monotonic()
    jobs.stop()
    assert time.monotonic() - asked < 3
    until(lambda: not alive(processes), seconds=2)
    assert not folder.exists()
    assert state(working) == state(waiting) == "interrupted"
    assert jobs.state() == (False, 0, None)
    assert results.progress(checkpoint, ask) is None  # it will be done when it is asked for


@pytest.mark.parametrize(
    ("address", "trouble"),
    [
        ("tcp://127.0.0.1:9", "No Dask scheduler answers at tcp://127.0.0.1:9"),
        ("tcp://127.0.0.1:99999", "No Dask scheduler answers"),
        ("tls://127.0.0.1:9", "TLS settings"),
        ("nonsense", "not nonsense"),
    ],
)
def test_a_scheduler_that_is_not_there(
    address: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_SCHEDULER", address)
    with pytest.raises(jobs.JobsError, match=trouble):
        jobs.submit("any")
    assert trouble in jobs.state().error
    jobs.stop()


def test_workers_that_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(jobs.ENVIRONMENT, "DASK_DISTRIBUTED__WORKER__PRELOAD", "['no_module']")
    with pytest.raises(jobs.JobsError, match="do not start"):
        jobs.submit("any")
    assert not tree()


def test_killing_the_app_leaves_no_orphan(world: Path, new_run) -> None:
    run_id = new_run()
    script = (
        "import sys, time; from ui import jobs; jobs.JOB = 'stand_in:hold'; jobs.WORKERS = 1;"
        "jobs.submit(sys.argv[1]); print(jobs._executor.children.folder, flush=True);"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", script, run_id]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as app:
        folder = Path(app.stdout.readline().strip())
        until(lambda: began(run_id))
        processes = psutil.Process(app.pid).children(recursive=True)
        assert len(alive(processes)) >= 3 and folder.is_dir()
        app.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        app.wait()
    until(lambda: not alive(processes) and not folder.exists(), seconds=5)
    until(lambda: run_id in owners.reconcile(), seconds=5)
