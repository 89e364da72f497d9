"""The run folder: ids, damage, deletion."""

from __future__ import annotations

import errno
import json
import os
import secrets
import threading
from pathlib import Path

import pytest
import torch

from vae import files, owners, runs
from vae.config import CONFIG_VERSION, ConfigError, RunConfig
from vae.files import write_tensors
from vae.model import VAE
from vae.runs import RunError, Status
from vae.train import train

TINY = RunConfig(name="β <b>", dataset="digits", hidden=(8,), epochs=2, batch_size=256)


@pytest.fixture
def run_id() -> str:
    return runs.create(TINY)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a finished run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(tmp_path_factory.mktemp("trained")))
        run_id = runs.create(TINY)
        train(run_id)
        return {p.name: p.read_bytes() for p in runs.folder(run_id).iterdir() if p.is_file()}


@pytest.fixture
def finished(trained: dict[str, bytes]) -> str:
    """A copy of a finished run."""
    run_id = runs.create(TINY)
    for name, content in trained.items():
        (runs.folder(run_id) / name).write_bytes(content)
    return run_id


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def flip(path: Path, place: int = -20) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


# Making and listing


def test_a_new_run_is_queued_and_says_what_it_is(run_id, runs_folder):
    assert (runs_folder / run_id).is_dir() and run_id.startswith("digits-2d-")
    assert runs.read_config(run_id) == TINY
    assert runs.status(run_id) == Status("queued", epochs=2)
    about = json.loads((runs_folder / run_id / "config.json").read_text())
    assert {"parameters", "dataset_sha256", "created", "versions"} < set(about)
    assert runs.metrics(run_id) == [] and runs.snapshots(run_id) == []


def test_twenty_threads_make_twenty_runs(monkeypatch):
    # Only 32 names for 20 runs: threads collide, and mkdir decides.
    names = [f"{number:04x}" for number in range(32)]
    monkeypatch.setattr(secrets, "token_hex", lambda _: secrets.choice(names))
    made, start = [], threading.Barrier(20)

    def make() -> None:
        start.wait()
        made.append(runs.create(TINY))

    threads = [threading.Thread(target=make) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20 and set(runs.ids()) == set(made)


def test_a_deleted_run_keeps_its_id(monkeypatch, run_id):
    runs.delete(run_id)
    tokens = iter([run_id[-4:], "beef"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(tokens))
    assert runs.create(TINY) == "digits-2d-beef"


def test_absurd_models_leave_no_folder(runs_folder):
    with pytest.raises(ConfigError):
        runs.create(RunConfig(hidden=(8192,) * 6))
    assert not any(runs_folder.iterdir())


@pytest.mark.parametrize("module", [Path, os], ids=["mkdir", "write"])
def test_a_run_that_cannot_be_written_is_refused_and_leaves_no_folder(
    monkeypatch, runs_folder, module
):
    monkeypatch.setattr(*((Path, "mkdir") if module is Path else (os, "replace")), fail)
    with pytest.raises(RunError, match=r"cannot be created\. .*may not be written"):
        runs.create(TINY)
    monkeypatch.undo()
    assert not any(runs_folder.iterdir())


def test_shipped_runs_come_first_then_the_newest(runs_folder):
    made = [runs.create(TINY) for _ in range(3)]
    for age, run_id in enumerate(made):
        os.utime(runs_folder / run_id / "config.json", (1_000 + age, 1_000 + age))
    for name in ("mnist-50d", "mnist-2d"):
        (runs_folder / name).mkdir()
    assert runs.ids() == ["mnist-2d", "mnist-50d", *reversed(made)]


def test_what_is_no_run_is_not_listed(run_id, runs_folder):
    (runs_folder / "Not A Run").mkdir()
    (runs_folder / "half-made").mkdir()
    (runs_folder / "file").write_text("x")
    (runs_folder / "link").symlink_to(runs_folder / run_id)
    assert runs.ids() == [run_id]


def test_without_a_folder_there_are_no_runs(monkeypatch, runs_folder):
    monkeypatch.setenv("VAE_RUNS", str(runs_folder / "nowhere"))
    assert runs.ids() == [] and owners.reconcile() == []


@pytest.mark.parametrize(
    "hostile",
    ["", ".", "..", "../x", "/etc", "a/b", "a" * 100, "UPPER", "-x", "a\n", "a\x00", "é", ".trash"],
    ids=ascii,
)
def test_hostile_ids_are_unknown_runs(hostile):
    for view in (
        runs.folder,
        runs.read_config,
        runs.load,
        runs.status,
        runs.metrics,
        runs.snapshots,
        runs.stamp,
        runs.request_stop,
        runs.requeue,
        runs.delete,
        runs.restore,
        train,
    ):
        with pytest.raises(RunError) as caught:
            view(hostile)
        assert len(str(caught.value)) < 200


def test_a_link_out_of_the_folder_is_not_followed(runs_folder, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (runs_folder / "link").symlink_to(tmp_path)
    with pytest.raises(RunError, match="There is no run"):
        runs.folder("link")


# Damage


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b"{}", "object"),
        (b'{"config": {"latent_dim": 0}}', "latent_dim"),
        (b'{"config": {"epoch": 3}}', "no such field"),
        (b'{"config": {"version": %d, "x": 1}}' % (CONFIG_VERSION + 1), "newer ELBO Room"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(finished, content, reason):
    (runs.folder(finished) / "config.json").write_bytes(content)
    for view in (runs.read_config, runs.load):
        with pytest.raises(RunError, match=reason) as caught:
            view(finished)
        assert "Errno" not in str(caught.value)


def test_a_configuration_that_is_gone_is_one_sentence(finished):
    (runs.folder(finished) / "config.json").unlink()
    with pytest.raises(RunError, match="cannot be read") as caught:
        runs.read_config(finished)
    assert "Errno" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"state": "runninh"}',
        b'{"state": 3}',
        b'{"state": ["queued"]}',
        b'{"state": "running", "epoch": "three"}',
        b'{"state": "running", "seconds": null}',
        b'{"state": "running", "reason": 5}',
        b'{"state": "running", "epochs": 1.5}',
    ],
)
def test_a_damaged_status_is_an_interrupted_run(run_id, content):
    (runs.folder(run_id) / "status.json").write_bytes(content)
    status = runs.status(run_id)
    assert status.state == "interrupted" and "damaged" in status.reason
    assert status.progress == 0 and status.eta is None
    runs.requeue(run_id)
    assert runs.status(run_id).state == "queued"


def test_a_status_from_a_later_version_keeps_what_is_known(run_id):
    fields = {"state": "finished", "epoch": 2, "epochs": 2, "mood": "good", "seconds": 3}
    (runs.folder(run_id) / "status.json").write_text(json.dumps(fields))
    assert runs.status(run_id) == Status("finished", epoch=2, epochs=2, seconds=3)


def test_progress_and_eta():
    status = Status("running", epoch=2, epochs=4, step=5, steps=10, seconds=50.0)
    assert status.progress == 25 / 40 and status.eta == pytest.approx(30)
    assert status._replace(state="stopped").eta is None
    assert Status("running").progress == 0 and Status("running").eta is None
    assert Status("finished", epoch=4, epochs=4, steps=10).progress == 1


def test_metrics_are_read_in_order_and_the_last_word_counts(run_id):
    for epoch, value in ((0, 1), (2, 2), (1, 3), (2, 4)):
        runs.append_metrics(run_id, {"epoch": epoch, "value": value})
    assert [(m["epoch"], m["value"]) for m in runs.metrics(run_id)] == [(0, 1), (1, 3), (2, 4)]


@pytest.mark.parametrize("kept", range(0, 26, 5))
def test_a_torn_tail_is_ignored_and_spoils_nothing(run_id, kept):
    runs.append_metrics(run_id, {"epoch": 0, "value": 0.5})
    path = runs.folder(run_id) / "metrics.jsonl"
    torn = json.dumps({"epoch": 1, "value": 0.25}).encode()[:kept]
    path.write_bytes(path.read_bytes() + torn)
    assert [m["epoch"] for m in runs.metrics(run_id)] == [0]
    runs.append_metrics(run_id, {"epoch": 1, "value": 0.75})
    assert [m["value"] for m in runs.metrics(run_id)] == [0.5, 0.75]


def test_lines_that_are_no_records_are_ignored(run_id):
    lines = [
        b'{"epoch": 1}',
        b"",
        b"null",
        b"[1]",
        b"5",
        b'"epoch"',
        b'{"epoch": "2"}',
        b'{"epoch": Infinity}',
        b'{"epoch": null}',
        b'{"step": 2}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"epoch": 3}',
    ]
    (runs.folder(run_id) / "metrics.jsonl").write_bytes(b"\n".join(lines))
    assert [m["epoch"] for m in runs.metrics(run_id)] == [1, 3]
    runs.forget_metrics_after(run_id, 2)
    assert [m["epoch"] for m in runs.metrics(run_id)] == [1]


def test_snapshots_are_listed_by_epoch(run_id):
    folder = runs.folder(run_id) / "snapshots"
    folder.mkdir()
    for name in ("00010", "00002", "100000", "x", "²", ".00003"):
        (folder / f"{name}.safetensors").touch()
    (folder / ".00004.safetensors.12-34.tmp").touch()
    assert runs.snapshots(run_id) == [2, 10, 100_000]


# Loading


def test_a_loaded_run_is_the_trained_model(finished):
    run = runs.load(finished)
    assert (run.id, run.config, run.epoch, run.notice) == (finished, TINY, 2, "")
    assert not run.model.training and not any(p.requires_grad for p in run.model.parameters())
    stored, _ = files.read_tensors(runs.folder(finished) / "model.safetensors")
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, stored[name])
    assert run.model.log_weights(torch.zeros(3, 1, 8, 8), K=2).shape == (2, 3)


def test_a_run_without_a_checkpoint_says_so(run_id):
    with pytest.raises(RunError, match="no checkpoint yet"):
        runs.load(run_id)


def test_a_flipped_bit_falls_back_with_a_notice(finished):
    path, weights = runs.folder(finished), runs.load(finished).model.state_dict()
    flip(path / "model.safetensors")
    run = runs.load(finished)  # the complete state holds the same weights
    assert run.epoch == 2 and "model.safetensors is damaged" in run.notice
    assert all(torch.equal(weights[name], t) for name, t in run.model.state_dict().items())
    flip(path / "resume.safetensors")
    run = runs.load(finished)
    assert run.epoch == 1 and "Showing epoch 1 instead" in run.notice


def test_when_every_checkpoint_is_truncated_it_is_one_sentence(finished):
    for path in runs.folder(finished).glob("*.safetensors"):
        os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(RunError, match=r"No checkpoint of .* can be read\. .*damaged"):
        runs.load(finished)


def test_a_checkpoint_of_another_model_is_not_shown(finished):
    other = VAE(TINY.model_copy(update={"latent_dim": 3}))
    path = runs.folder(finished) / "model.safetensors"
    write_tensors(path, other.state_dict(), {"epoch": "9"})
    assert "no checkpoint of this run" in runs.load(finished).notice
    write_tensors(path, runs.load(finished).model.state_dict(), {})  # no epoch in its header
    assert runs.load(finished).epoch == 2 and runs.load(finished).notice


def test_a_configuration_edited_to_an_absurd_size_is_one_sentence(finished):
    path = runs.folder(finished) / "config.json"
    about = json.loads(path.read_text())
    about["config"]["hidden"] = [8192] * 6
    path.write_text(json.dumps(about))
    with pytest.raises(RunError, match="parameters and the limit is"):
        runs.load(finished)


def test_the_stamp_changes_with_the_weights(run_id):
    assert runs.stamp(run_id) == 0
    path = runs.folder(run_id) / "model.safetensors"
    seen = set()
    for time in (10**9, 2 * 10**9, 2 * 10**9 + 1):
        write_tensors(path, {"w": torch.zeros(1)}, {})
        os.utime(path, ns=(time, time))
        seen.add(runs.stamp(run_id))
    assert len(seen) == 3


# Stopping, deleting, shipping


def test_a_stop_is_a_file_that_requeueing_takes_away(run_id):
    assert not runs.stop_requested(run_id)
    runs.request_stop(run_id)
    assert runs.stop_requested(run_id) and (runs.folder(run_id) / "stop").exists()
    runs.set_status(run_id, "stopped", "by hand")
    runs.requeue(run_id)
    assert not runs.stop_requested(run_id)
    assert runs.status(run_id) == Status("queued", epochs=2)


@pytest.mark.parametrize("state", ["queued", "running", "finished"])
def test_only_a_run_that_ended_early_is_resumed(run_id, state):
    runs.set_status(run_id, state)
    with pytest.raises(RunError, match="nothing to resume"):
        runs.requeue(run_id)


def test_a_deleted_run_comes_back_whole(finished):
    before = {p.name: p.read_bytes() for p in runs.folder(finished).iterdir()}
    runs.delete(finished)
    assert finished not in runs.ids()
    for view in (runs.load, runs.status, runs.delete, runs.read_config):
        with pytest.raises(RunError, match="There is no run"):
            view(finished)
    runs.restore(finished)
    assert {p.name: p.read_bytes() for p in runs.folder(finished).iterdir()} == before
    with pytest.raises(RunError, match="not in the trash"):
        runs.restore(finished)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_deleted_at_work_comes_back_stopped(run_id, state):
    runs.set_status(run_id, state)
    runs.delete(run_id)
    runs.restore(run_id)
    assert runs.status(run_id).state == "stopped" and not runs.stop_requested(run_id)


def test_a_run_is_not_restored_over_another(run_id, runs_folder):
    runs.delete(run_id)
    (runs_folder / run_id).mkdir()
    (runs_folder / run_id / "config.json").write_text("precious")
    with pytest.raises(RunError, match="cannot be restored"):
        runs.restore(run_id)
    assert (runs_folder / run_id / "config.json").read_text() == "precious"


@pytest.mark.parametrize("action", [runs.request_stop, runs.requeue, runs.delete, runs.restore])
def test_a_read_only_disk_is_one_sentence(run_id, monkeypatch, action):
    if action is runs.restore:
        runs.delete(run_id)
    else:
        runs.set_status(run_id, "failed")
    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr(Path, "touch", fail)
    with pytest.raises(RunError, match=r"cannot be .*may not be written"):
        action(run_id)


def test_shipped_runs_are_read_only(run_id, runs_folder):
    shipped = runs.SHIPPED[0]
    (runs_folder / run_id).rename(runs_folder / shipped)
    runs.set_status(shipped, "stopped")
    for action in (runs.request_stop, runs.requeue, runs.delete, train):
        with pytest.raises(RunError, match="read-only"):
            action(shipped)
    assert runs.is_shipped(shipped) and runs.status(shipped).state == "stopped"
