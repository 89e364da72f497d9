"""Training at a terminal: progress, Ctrl-C, going on, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from vae import commands, data, runs
from vae.__main__ import main
from vae.config import RunConfig
from vae.data import DataError

ROOT = Path(__file__).parents[2]
TINY = ("--dataset", "digits", "--hidden", "8")
ENDLESS = (*TINY, "--epochs", "10000", "--evaluate-every", "1000")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Training sets the number of threads of its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def start(*words: str) -> subprocess.Popen[str]:
    """A terminal, without a screen."""
    command = [sys.executable, "-m", "vae", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe)


def terminal(*words: str) -> tuple[int | None, str, str]:
    """What a command of its own process answers: exit code, stdout, stderr."""
    process = start(*words)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def wait_until(true: Callable[[], bool]) -> None:
    """Waits for something that another process or thread does."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_train_and_evaluate(tmp_path: Path) -> None:
    code, out, err = terminal("train", *TINY, "--epochs", "1")
    run_id, last = out.splitlines()
    assert code == 0 and runs.status(run_id).state == "finished"
    record = runs.metrics(run_id)[-1]["held_out"]
    assert f"{record['elbo']:.2f} ± {record['elbo_se']:.2f} nats" in last
    assert "epoch 1/1: 100%" in err

    kept = tmp_path / "values.npz"
    words = ("--estimator", "iwae", "--k", "20", "--n", "30", "--json", "--out", str(kept))
    code, out, _ = terminal("evaluate", run_id, *words)
    answer = json.loads(out.splitlines()[-1])
    assert code == 0
    stated = {"run": run_id, "estimator": "iwae", "k": 20, "n": 30, "binarisation": "fixed"}
    assert stated.items() <= answer.items()
    with np.load(kept, allow_pickle=False) as arrays:
        values, x = arrays["values"], arrays["x"]
    assert values.shape == (30,) and values.dtype == np.float64
    assert x.shape == (30, 1, 8, 8) and set(np.unique(x)) == {0, 1}
    assert answer["mean"] == values.mean() and answer["median"] == np.median(values)
    assert answer["standard_error"] == pytest.approx(values.std(ddof=1) / 30**0.5, rel=1e-12)
    assert list(tmp_path.iterdir()) == [kept]
    code, out, err = terminal("train", "--latent-dim", "0")
    assert (code, out) == (1, "") and err.startswith("latent_dim must ") and err.count("\n") == 1


def test_interrupt_stops_with_a_checkpoint_and_resume_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    process = start("train", *ENDLESS)
    assert process.stdout
    try:
        run_id = process.stdout.readline().strip()
        wait_until(lambda: runs.status(run_id).epoch >= 2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in err
    assert f"python -m vae resume {run_id}" in err
    stopped = runs.load(run_id)
    assert runs.status(run_id).state == "stopped" and stopped.epoch >= 2

    def interrupt() -> None:
        wait_until(lambda: runs.status(run_id).epoch > stopped.epoch)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    before = signal.getsignal(signal.SIGINT)
    assert main(["resume", run_id]) == 0
    assert signal.getsignal(signal.SIGINT) is before
    assert runs.status(run_id).state == "stopped" and runs.load(run_id).epoch > stopped.epoch
    assert f"{run_id} stopped at epoch" in capsys.readouterr().out


def test_a_second_interrupt_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(run_id: str) -> None:
        runs.set_status(run_id, "running")
        os.kill(os.getpid(), signal.SIGINT)
        wait_until(lambda: runs.stop_requested(run_id))
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    monkeypatch.setattr(commands.training, "train", train)
    assert main(["train", *TINY]) == 130
    (run_id,) = runs.ids()
    assert runs.status(run_id).state == "interrupted"
    assert f"resume {run_id}" in capsys.readouterr().err


def test_without_a_network_the_bundled_data_are_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetch(name: str, progress: object = None) -> None:
        raise DataError(f"{name} could not be downloaded: no server sent it.")

    monkeypatch.setattr(data, "fetch", fetch)
    assert main(["train", "--preset", "mnist-2d", "--hidden", "8", "--epochs", "1"]) == 0
    (run_id,) = runs.ids()
    assert runs.read_config(run_id).dataset == "mnist-subset"
    assert "the bundled MNIST subset is used instead." in capsys.readouterr().err

    mnist = runs.create(RunConfig(dataset="mnist", hidden=(8,)))
    for name in ("model.safetensors", "metrics.jsonl"):
        (runs.folder(mnist) / name).write_bytes((runs.folder(run_id) / name).read_bytes())
    assert main(["evaluate", mnist, "--n", "10", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["dataset"] == "mnist-subset" and "could not be downloaded" in err


def test_divergence_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *TINY, "--learning-rate", "1e6", "--epochs", "3"]) == 1
    assert "smaller learning rate" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_that_was_killed_can_be_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    run_id = runs.create(RunConfig(dataset="digits", hidden=(8,), epochs=1))
    runs.set_status(run_id, "running")
    assert main(["resume", run_id]) == 0
    assert f"{run_id} finished at epoch 1 of 1" in capsys.readouterr().out
