"""The training loop: that it learns, how it ends, and what it leaves behind."""

from __future__ import annotations

import builtins
import errno
import io
import itertools
import math
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from PIL import Image

from vae import bounds, checkpoint, files, owners, recorder, runs, snapshots, train as training
from vae.config import RunConfig
from vae.model import VAE
from vae.runs import RunError
from vae.snapshots import keeps_snapshot
from vae.train import (
    Diverged,
    beta_at,
    learning_rate_at,
    new_trainer,
    objective,
    run_epoch,
    train,
    training_data,
)

CPU = torch.device("cpu")
OPEN = builtins.open
#: What a training took and when is the only thing that two equal ones may differ in.
CLOCK = {"seconds", "samples_per_second"}


def tiny(**fields: Any) -> RunConfig:
    return RunConfig(
        **{
            "dataset": "digits",
            "hidden": (16,),
            "epochs": 2,
            "batch_size": 64,
            "learning_rate": 3e-3,
            "seed": 1,
            **fields,
        }
    )


def trained(**fields: Any) -> str:
    run_id = runs.create(tiny(**fields))
    train(run_id)
    return run_id


def weights(run_id: str) -> dict[str, torch.Tensor]:
    return runs.load(run_id).model.state_dict()


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first.keys() | second.keys())


def recorded(run_id: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in m.items() if k not in CLOCK} for m in runs.metrics(run_id)]


def at_call(
    monkeypatch: pytest.MonkeyPatch,
    n: int,
    act: Any,
    name: str = "objective",
    module: Any = training,
) -> None:
    """Does something just before the n-th call, such as a batch, counted from 1."""
    calls, real = itertools.count(1), getattr(module, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == n:
            act()
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, wrapped)


# Learning


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"binarisation": "fixed"},
        {"activation": "tanh", "schedule": "cosine", "latent_dim": 1},
        {"objective": "iwae", "k": 5},
        {"beta": 2, "beta_warmup": 1},
        {"likelihood": "gaussian", "binarisation": "none"},
        {"likelihood": "continuous-bernoulli", "binarisation": "none"},
        {"body": "conv", "hidden": (4, 8, 16)},
        {
            "dataset": "gaussian-mixture",
            "likelihood": "gaussian",
            "binarisation": "none",
            "batch_size": 512,
        },
    ],
    ids=lambda fields: "-".join(str(value) for value in fields.values()) or "default",
)
def test_the_elbo_rises(fields):
    run_id = trained(**fields)
    status = runs.status(run_id)
    assert (status.state, status.epoch, status.progress) == ("finished", 2, 1)
    lines = runs.metrics(run_id)
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    for split in ("train", "held_out"):
        first, last = lines[0][split], lines[-1][split]
        # The same data and noise at every epoch, so the rise is the model's; four standard
        # errors of one of the two besides.
        assert last["elbo"] - first["elbo"] > 4 * last["elbo_se"]
        assert last["elbo"] == pytest.approx(-(last["rate"] + last["distortion"]))
    assert lines[-1]["step"] == 2 * status.steps and lines[-1]["seconds"] > 0
    run = runs.load(run_id)
    assert run.epoch == 2 and all(t.isfinite().all() for t in run.model.state_dict().values())


def test_the_gaussian_decoder_learns_its_scale():
    scale = runs.load(trained(likelihood="gaussian", binarisation="none")).model.log_scale
    assert scale != VAE(tiny(likelihood="gaussian", binarisation="none")).log_scale


def test_the_objective_is_the_bound_of_its_name():
    torch.manual_seed(0)
    config = tiny(objective="iwae", k=3)
    model, x = VAE(config), torch.rand(5, 1, 8, 8).round()
    torch.manual_seed(1)
    value = objective(model, x, config, beta=1.0)
    torch.manual_seed(1)
    assert torch.equal(value, bounds.iwae(model.log_weights(x, 3)).mean())
    values = []
    for beta in (0.0, 1.0, 3.0):
        torch.manual_seed(1)
        values.append(objective(model, x, tiny(), beta=beta))
    rate = bounds.rate(model.encode(x), model.prior()).mean()
    torch.testing.assert_close(values[0] - values[1], rate)
    torch.testing.assert_close(values[0] - values[2], 3 * rate)


def test_beta_warms_up_and_the_reported_elbo_ignores_it():
    config = tiny(beta=4, beta_warmup=10)
    assert [beta_at(config, epoch) for epoch in (0, 5, 10, 20)] == [0, 2, 4, 4]
    assert beta_at(tiny(beta=4), 0) == 4
    lines = runs.metrics(trained(beta=4, beta_warmup=2))
    assert [line["beta"] for line in lines] == [0, 2, 4]
    # At epoch 0 nothing is trained: the same ELBO whatever β.
    assert recorded(trained())[0]["held_out"] == lines[0]["held_out"]


def test_the_learning_rate_falls_to_nothing_on_a_cosine():
    config = tiny(schedule="cosine", epochs=10, learning_rate=0.5)
    rates = [learning_rate_at(config, epoch / 4) for epoch in range(41)]
    assert rates[0] == 0.5 and rates[-1] == pytest.approx(0, abs=1e-15)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert learning_rate_at(tiny(), 1.7) == tiny().learning_rate


def test_the_optimiser_sees_the_schedule():
    trainer = new_trainer(tiny(schedule="cosine"), CPU)
    x = training_data(trainer.config, CPU)
    run_epoch(trainer, x, lambda: False, lambda trainer: None)
    steps = math.ceil(len(x) / 64)
    expected = learning_rate_at(trainer.config, (steps - 1) / steps)
    assert trainer.optimiser.param_groups[0]["lr"] == expected


def test_an_epoch_sees_every_datum_once(monkeypatch):
    trainer = new_trainer(tiny(), CPU)
    x = torch.arange(1437, dtype=torch.int64).reshape(-1, 1)
    seen = []

    def look(batch: torch.Tensor, *_: object) -> torch.Tensor:
        seen.append(batch.flatten())
        return torch.zeros(len(batch), 1, 8, 8)

    monkeypatch.setattr(training, "present", look)
    for _ in range(2):
        assert run_epoch(trainer, x, lambda: False, lambda trainer: None)
    first, second = torch.cat(seen).chunk(2)
    for order in (first, second):
        assert torch.equal(order.sort().values, x.flatten())
    assert not torch.equal(first, second)


# Equal runs


def test_the_seed_decides_everything():
    first, second, other = trained(), trained(), trained(seed=2)
    assert same(weights(first), weights(second)) and recorded(first) == recorded(second)
    assert not same(weights(first), weights(other))


def test_how_often_is_recorded_does_not_change_the_weights():
    often, seldom = trained(epochs=6), trained(epochs=6, evaluate_every=5)
    assert same(weights(often), weights(seldom))
    assert [m["epoch"] for m in runs.metrics(seldom)] == [0, 5, 6]
    assert recorded(seldom)[1:] == recorded(often)[5:]
    assert runs.snapshots(seldom) == [0, 5, 6]


def test_fixed_binarisation_is_drawn_once_from_the_seed():
    first = training_data(tiny(binarisation="fixed"), CPU)
    assert first.dtype == torch.uint8 and set(first.unique().tolist()) == {0, 255}
    assert torch.equal(first, training_data(tiny(binarisation="fixed"), CPU))
    assert not torch.equal(first, training_data(tiny(binarisation="fixed", seed=2), CPU))
    grey = training_data(tiny(), CPU)
    assert len(grey.unique()) > 2


def test_denormals_are_flushed_while_training():
    smallest = torch.tensor(torch.finfo(torch.float64).tiny, dtype=torch.float64)
    torch.set_flush_denormal(False)
    try:
        assert smallest / 2 > 0
        trained(epochs=1)
        assert smallest / 2 == 0
    finally:
        torch.set_flush_denormal(True)


# What is kept


def test_snapshots_hold_the_plane_of_each_epoch():
    run_id = trained(latent_dim=5)
    assert runs.snapshots(run_id) == [0, 1, 2]
    path = runs.folder(run_id) / "snapshots" / "00002.safetensors"
    tensors, notes = files.read_tensors(path)
    assert notes["epoch"] == "2"
    assert tensors["loc"].shape == tensors["scale"].shape == (360, 5)
    assert tensors["loc"].dtype == torch.float16 and len(tensors["labels"]) == 360
    first, second = tensors["axes"].tolist()
    rates = runs.metrics(run_id)[-1]["held_out"]["rates"]
    assert first < second and {first, second} == set(sorted(range(5), key=rates.__getitem__)[-2:])
    with Image.open(io.BytesIO(tensors["grid"].numpy().tobytes()), formats=("WEBP",)) as grid:
        assert grid.size == (15 * 8, 15 * 8)


@pytest.mark.parametrize("epochs", [1, 2, 60, 61, 200, 1_000, 10_000])
@pytest.mark.parametrize("every", [1, 2, 7])
def test_a_run_keeps_a_bounded_number_of_snapshots(epochs, every):
    config = tiny(epochs=epochs, evaluate_every=every)
    evaluated = {0, epochs, *range(0, epochs + 1, every)}
    kept = [epoch for epoch in sorted(evaluated) if keeps_snapshot(config, epoch)]
    # the 60, and those of epoch 0 and of the last one
    assert {0, epochs} <= set(kept) and len(kept) <= snapshots.MAX_SNAPSHOTS + 2
    if len(evaluated) <= snapshots.MAX_SNAPSHOTS:
        assert set(kept) == evaluated


def test_a_finished_run_holds_no_litter():
    names = {path.name for path in runs.folder(trained()).iterdir()}
    assert names == {
        "config.json",
        "status.json",
        "metrics.jsonl",
        "model.safetensors",
        "resume.safetensors",
        "prev.safetensors",
        "snapshots",
        "weights",
        "lock",
    }


def test_a_finished_run_is_not_trained_again():
    run_id = trained()
    before = (runs.folder(run_id) / "status.json").read_bytes()
    train(run_id)
    assert (runs.folder(run_id) / "status.json").read_bytes() == before


# Divergence


def test_a_diverged_run_keeps_its_last_finite_checkpoint_and_says_what_to_try():
    run_id = trained(learning_rate=1e6, max_grad_norm=1e9)
    status = runs.status(run_id)
    assert status.state == "diverged" and "smaller learning rate" in status.reason
    run = runs.load(run_id)
    assert all(tensor.isfinite().all() for tensor in run.model.state_dict().values())
    for line in runs.metrics(run_id):
        assert math.isfinite(line["held_out"]["elbo"])
    train(run_id)  # going on from there ends the same way, and keeps it
    assert runs.status(run_id).state == "diverged"
    assert same(weights(run_id), run.model.state_dict())


def test_a_stop_after_the_loss_was_lost_keeps_no_broken_checkpoint(monkeypatch):
    run_id = runs.create(tiny(batch_size=16))

    def break_it() -> None:  # a few batches before anybody looks at the loss
        runs.request_stop(run_id)
        with torch.no_grad():
            broken[0].decoder[0][0].weight.fill_(math.nan)

    broken: list[VAE] = []
    real = training.new_trainer
    monkeypatch.setattr(
        training,
        "new_trainer",
        lambda *args: (trainer := real(*args), broken.append(trainer.model))[0],
    )
    at_call(monkeypatch, 5, break_it)
    train(run_id)
    assert runs.status(run_id).state == "diverged"
    for name in ("model", "resume"):
        tensors, _ = files.read_tensors(runs.folder(run_id) / f"{name}.safetensors")
        assert all(tensor.isfinite().all() for tensor in tensors.values())


@pytest.mark.parametrize("broken", ["loss", "weights"])
def test_an_epoch_that_ends_in_nonsense_is_noticed(broken):
    trainer = new_trainer(tiny(), CPU)
    x = training_data(trainer.config, CPU)
    if broken == "loss":
        x = x.float() * math.nan  # taken for points, and shown as they are
    else:
        with torch.no_grad():
            trainer.model.decoder[0][-1].bias.fill_(math.inf)
    with pytest.raises(Diverged):
        run_epoch(trainer, x, lambda: False, lambda trainer: None)


# Stops


@pytest.mark.parametrize("batch", [1, 7, 30])
def test_a_stop_is_obeyed_within_a_batch_and_resuming_changes_nothing(monkeypatch, batch):
    whole = trained()
    run_id = runs.create(tiny())
    with monkeypatch.context() as patch:
        at_call(patch, batch, lambda: runs.request_stop(run_id))
        train(run_id)
    status = runs.status(run_id)
    steps = status.steps
    assert status.state == "stopped" and "resume" in status.reason
    assert status.epoch * steps + status.step == batch
    runs.requeue(run_id)
    train(run_id)
    assert runs.status(run_id).state == "finished"
    assert same(weights(run_id), weights(whole)) and recorded(run_id) == recorded(whole)


def test_a_run_stopped_before_it_began_has_a_checkpoint():
    run_id = runs.create(tiny())
    runs.request_stop(run_id)
    train(run_id)
    assert runs.status(run_id).state == "stopped" and runs.load(run_id).epoch == 0


def test_a_run_deleted_while_it_trains_ends_quietly_and_can_be_brought_back(monkeypatch):
    whole = trained()
    run_id = runs.create(tiny())
    with monkeypatch.context() as patch:
        at_call(patch, 30, lambda: runs.delete(run_id))
        train(run_id)
    assert not (runs.root() / run_id).exists()
    runs.restore(run_id)
    assert runs.status(run_id).state == "stopped" and runs.load(run_id).epoch == 1
    runs.requeue(run_id)
    train(run_id)
    assert same(weights(run_id), weights(whole)) and recorded(run_id) == recorded(whole)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (recorder, "record"),
        (checkpoint, "save"),
        (training, "training_data"),
        (snapshots, "write_snapshot"),
    ],
)
def test_a_run_deleted_at_any_other_moment_leaves_nothing(monkeypatch, module, name):
    run_id = runs.create(tiny())
    n = 1 if name == "training_data" else 2
    at_call(monkeypatch, n, lambda: runs.delete(run_id), name, module)
    train(run_id)
    assert not (runs.root() / run_id).exists()


# Company


def test_a_second_trainer_leaves_at_once(monkeypatch):
    run_id = runs.create(tiny())
    with runs.lock(run_id):
        started = time.monotonic()
        train(run_id)
        assert time.monotonic() - started < training.LOCK_PATIENCE + 1
    assert runs.status(run_id).state == "queued"


def test_a_look_at_the_lock_does_not_send_a_trainer_away():
    run_id = runs.create(tiny(epochs=1))
    looking = FileLock(runs.folder(run_id) / "lock", thread_local=False)
    looking.acquire()
    threading.Timer(0.2, looking.release).start()
    train(run_id)
    assert runs.status(run_id).state == "finished"


# Trouble


class Full:
    """A file on a disk that is full."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, content: bytes) -> None:
        self.file.write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("name", "nth"),
    [("model", 1), ("model", 2), ("resume", 1), ("resume", 3), ("00001", 1), ("status", 2)],
)
def test_a_full_disk_is_one_sentence_and_nothing_saved_is_lost(monkeypatch, name, nth):
    whole = trained()
    run_id = runs.create(tiny())
    writes = itertools.count(1)

    def full(path: Path, *args: Any) -> Any:
        file = OPEN(path, *args)
        return Full(file) if name in Path(path).name and next(writes) == nth else file

    with monkeypatch.context() as patch:
        patch.setattr(files, "open", full, raising=False)
        train(run_id)
    status = runs.status(run_id)
    assert status.state == "failed" and "disk is full" in status.reason
    if (name, nth) != ("model", 1):  # before the first checkpoint there is none
        assert runs.load(run_id).notice == ""
    assert not [path.name for path in runs.folder(run_id).rglob("*.tmp")]
    runs.requeue(run_id)
    train(run_id)
    assert same(weights(run_id), weights(whole)) and recorded(run_id) == recorded(whole)


def test_a_disk_that_stays_full_ends_the_run_without_an_exception(monkeypatch):
    run_id = runs.create(tiny())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        train(run_id)
    assert runs.status(run_id).state == "queued"  # nothing could be written


def test_a_read_only_folder_is_one_sentence(monkeypatch):
    run_id = runs.create(tiny())

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunError, match=r"cannot be trained\. .*may not be written"):
        train(run_id)


def test_cuda_without_a_gpu_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status = runs.status(trained(device="cuda"))
    assert status.state == "failed" and "set device to auto or cpu" in status.reason
    assert runs.status(trained(device="auto")).state == "finished"


def test_a_data_set_that_is_not_there_is_one_sentence():
    status = runs.status(trained(dataset="kmnist"))
    assert status.state == "failed" and status.reason.endswith(".")


def test_too_little_memory_is_one_sentence(monkeypatch):
    def ask_for_too_much() -> None:
        torch.empty(2**50)

    at_call(monkeypatch, 3, ask_for_too_much)
    status = runs.status(trained())
    assert status.state == "failed" and "not enough memory" in status.reason


def test_a_mistake_of_ours_is_not_hidden(monkeypatch):
    def fail() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    at_call(monkeypatch, 3, fail)
    with pytest.raises(RuntimeError, match="mat1"):
        trained()
    (run_id,) = runs.ids()
    assert owners.reconcile() == [run_id]  # nobody holds its lock


@pytest.mark.parametrize("run_id", ["nowhere", "../x"])
def test_an_unknown_run_is_one_sentence(run_id, runs_folder):
    with pytest.raises(RunError, match="There is no run"):
        train(run_id)
    assert not any(runs_folder.iterdir())
