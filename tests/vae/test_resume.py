"""A trainer that is killed at any moment goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vae import files, owners, runs
from vae.config import RunConfig
from vae.train import train

ROOT = Path(__file__).resolve().parents[2]
CONFIG = RunConfig(
    dataset="digits",
    hidden=(8,),
    epochs=3,
    batch_size=256,
    learning_rate=1e-2,
    schedule="cosine",
    beta_warmup=2,
)
#: What a training took and when is the only thing that two equal ones may differ in.
CLOCK = {"seconds", "samples_per_second"}

#: Trains runs in children of its own, each of which kills itself at its n-th step of a kind: just
#: before a batch, before a name is replaced, before something is forced to disk, or half-way
#: through a write. PyTorch is imported once for all of them. Answers how often a whole training
#: does each. A child that nobody killed must have ended well.
ASSASSIN = """
import builtins, collections, json, os, signal, sys
import torch
torch.set_num_threads(1)
from vae import evaluate, files, runs, train
from vae.config import RunConfig
evaluate.K_IWAE = 2  # quicker, and no part of what is tested here
train.REPORT_EVERY = 1e9  # else the clock decides how often the status is written

# What is imported at its first use, here for all children; without a backward pass, whose
# threads would not survive the fork where there is a GPU.
trainer = train.new_trainer(RunConfig(dataset="digits"), torch.device("cpu"))
for parameter in trainer.model.parameters():
    parameter.grad = torch.zeros_like(parameter)
trainer.optimiser.step()
evaluate.record(trainer.model, {"train": evaluate.examples(trainer.config, n=9)})


def hook(counts, kind, n):
    def counted(name, real):
        def wrapped(*args, **kwargs):
            counts[name] += 1
            if name == kind and counts[name] == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)
        return wrapped

    class Torn:
        def __init__(self, file):
            self.file = file
        def __getattr__(self, name):
            return getattr(self.file, name)
        def __enter__(self):
            return self
        def __exit__(self, *_):
            self.file.close()
        def write(self, content):
            counts["write"] += 1
            if kind == "write" and counts["write"] == n:
                self.file.write(content[: len(content) // 2])
                self.file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return self.file.write(content)

    os.replace = counted("replace", os.replace)
    os.fsync = counted("fsync", os.fsync)
    train.objective = counted("batch", train.objective)
    for module in (files, runs):
        module.open = lambda *args: Torn(builtins.open(*args))


def child(run_id, kind=None, n=0):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            counts = collections.Counter()
            hook(counts, kind, n)
            train.train(run_id)
            os.write(writing, json.dumps(counts).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        counts = pipe.read()
    status = os.waitpid(pid, 0)[1]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, status
    return None if killed else json.loads(counts)


for line in sys.stdin:
    print(json.dumps(child(*json.loads(line))), flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs of this file lie."""
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(autouse=True)
def in_folder(runs_folder: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_RUNS", str(folder))


@pytest.fixture(scope="module")
def trainer(folder: Path):
    """A function that trains a run in a process, which may be told when to die."""
    process = subprocess.Popen(
        [sys.executable, "-c", ASSASSIN],
        cwd=ROOT,
        env={**os.environ, "VAE_RUNS": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def go(run_id: str, kind: str | None = None, n: int = 0) -> dict[str, int] | None:
        process.stdin.write(json.dumps([run_id, kind, n]) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield go
    process.stdin.close()
    assert process.wait(timeout=10) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def whole(folder: Path, trainer: Callable) -> tuple[str, dict[str, int]]:
    """A run that nobody disturbed, and how often it did each kind of step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(folder))
        run_id = runs.create(CONFIG)
    return run_id, trainer(run_id)


def outcome(run_id: str) -> tuple[Any, ...]:
    """Everything that a training leaves, but for the clock: weights, optimiser, metrics, replay."""
    path = runs.folder(run_id)
    metrics = [{k: v for k, v in m.items() if k not in CLOCK} for m in runs.metrics(run_id)]
    kept = [*path.glob("*.safetensors"), *(path / "snapshots").glob("*.safetensors")]
    tensors = {str(file.relative_to(path)): files.read_tensors(file)[0] for file in kept}
    return runs.status(run_id).state, metrics, tensors


def assert_same(run_id: str, whole_id: str) -> None:
    state, metrics, tensors = outcome(run_id)
    expected_state, expected_metrics, expected_tensors = outcome(whole_id)
    assert state == expected_state == "finished"
    assert metrics == expected_metrics
    # “prev” may be an older one where the last checkpoint was written by a trainer that resumed
    for name in expected_tensors.keys() - {"prev.safetensors"}:
        assert tensors[name].keys() == expected_tensors[name].keys()
        for key, tensor in expected_tensors[name].items():
            assert torch.equal(tensors[name][key], tensor), (name, key)
    assert not [*runs.folder(run_id).rglob(".*.safetensors.*")], "half-written checkpoints"
    run = runs.load(run_id)
    assert run.epoch == CONFIG.epochs and run.notice == ""


#: Of all moments of a kind every third is tried: each takes two trainings.
EVERY = 3


def test_the_hooks_see_every_batch(whole):
    assert whole[1]["batch"] == CONFIG.epochs * runs.status(whole[0]).steps


@pytest.mark.parametrize("kind", ["batch", "replace", "fsync", "write"])
def test_killed_at_a_moment_and_resumed(whole, trainer, kind):
    for n in range(1, whole[1][kind] + 1, EVERY):
        run_id = runs.create(CONFIG)
        assert trainer(run_id, kind, n) is None, (kind, n)
        if (runs.folder(run_id) / "model.safetensors").exists():
            assert runs.load(run_id).notice == ""
        if runs.status(run_id).state != "finished":  # killed just after it said so
            assert owners.reconcile() == [run_id]
            runs.requeue(run_id)
        assert trainer(run_id) is not None
        assert_same(run_id, whole[0])


@pytest.fixture
def killed(whole, trainer) -> str:
    """A run killed in its third epoch: its last checkpoint is of epoch 2, the one before of 1."""
    run_id = runs.create(CONFIG)
    assert trainer(run_id, "batch", 14) is None
    owners.reconcile()
    return run_id


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def test_killed_again_and_again(killed, whole, trainer):
    for kind, n in (("batch", 2), ("replace", 2), ("write", 3), ("fsync", 5)):
        assert trainer(killed, kind, n) is None
    assert trainer(killed) is not None
    assert_same(killed, whole[0])


@pytest.mark.parametrize("damage", ["flipped", "truncated", "foreign"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(killed, whole, trainer, damage):
    path = runs.folder(killed) / "resume.safetensors"
    if damage == "flipped":
        flip(path)
    elif damage == "truncated":
        os.truncate(path, 100)
    else:  # whole, but only weights
        path.write_bytes((path.parent / "model.safetensors").read_bytes())
    assert trainer(killed) is not None
    assert_same(killed, whole[0])


@pytest.mark.parametrize("n", range(1, 8))
def test_a_damaged_checkpoint_never_takes_the_place_of_the_good_one(killed, whole, trainer, n):
    flip(runs.folder(killed) / "resume.safetensors")
    assert trainer(killed, "replace", n) is None
    assert trainer(killed) is not None
    assert_same(killed, whole[0])


@pytest.mark.parametrize("previous", ["damaged", "gone"])
def test_with_no_good_checkpoint_nothing_is_overwritten(killed, previous):
    path = runs.folder(killed)
    flip(path / "resume.safetensors")
    if previous == "damaged":
        flip(path / "prev.safetensors")
    else:
        (path / "prev.safetensors").unlink()
    names = ("model.safetensors", "resume.safetensors", "metrics.jsonl")
    before = [(path / name).read_bytes() for name in names]
    train(killed)
    status = runs.status(killed)
    assert status.state == "failed" and "resume.safetensors is damaged" in status.reason
    assert [(path / name).read_bytes() for name in names] == before
    assert runs.load(killed).epoch == 2


def test_killed_in_the_middle_of_a_real_process(whole):
    """The same once more without hooks: SIGKILL from outside, whenever it comes."""
    slow = CONFIG.model_copy(update={"batch_size": 64, "epochs": 12})
    undisturbed, run_id = runs.create(slow), runs.create(slow)
    train(undisturbed)
    code = f"import torch; torch.set_num_threads(1); from vae.train import train; train({run_id!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 60
    while len(runs.metrics(run_id)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert owners.reconcile() == [run_id]
    runs.requeue(run_id)
    train(run_id)
    found, expected = (runs.load(i).model.state_dict() for i in (run_id, undisturbed))
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert outcome(run_id)[1] == outcome(undisturbed)[1]
