"""The run folder: the only truth about a run, for the app, the terminal and a second browser."""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from vae import data, reading
from vae.config import ConfigError, RunConfig
from vae.files import (
    DamagedFile,
    explain_os_error,
    read_json,
    read_tensors,
    sync_folder,
    write_bytes,
    write_json,
)
from vae.model import VAE, build, count_parameters, refuse_absurd
from vae.status import ACTIVE, State, Status, check
from vae.vqvae import VQVAE

#: Runs that come with the project: they may be looked at, not trained, stopped or deleted.
SHIPPED = (
    "mnist-2d",
    "mnist-2d-conv",
    "mnist-50d",
    "digits-2d",
    "digits-conditional-2d",
    "mnist-vq",
    "mnist-vq-2d",
    "digits-vq",
    "digits-vq-no-revival",
    "digits-vq-no-kmeans",
    "digits-vq-bare",
    "digits-vq-loss",
    "digits-vq-rotation",
    "digits-vq-residual",
)

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_TRASH = ".trash"


class RunError(Exception):
    """Trouble with a run, in one sentence for a person."""


@dataclass(frozen=True)
class Run:
    """A run as read from its folder: configuration, trained model, and what to know about it."""

    id: str
    config: RunConfig
    model: VAE | VQVAE
    epoch: int
    notice: str = ""


def root() -> Path:
    """The folder of all runs: ``VAE_RUNS``, else ``checkpoints/`` of this project."""
    default = Path(__file__).resolve().parent.parent / "checkpoints"
    return Path(os.environ.get("VAE_RUNS") or default)


def folder(run_id: str) -> Path:
    """The folder of one run.

    Raises:
        RunError: If the id is not one, or there is no such run.
    """
    path = root() / run_id if _ID.fullmatch(run_id) else None
    if path is None or path.is_symlink() or not path.is_dir():
        raise RunError(f"There is no run “{run_id:.60}”: it was deleted, or the link is wrong.")
    return path


def ids() -> list[str]:
    """All runs: the shipped ones in their order, then the newest first."""
    try:
        found = [p for p in root().iterdir() if _ID.fullmatch(p.name) and not p.is_symlink()]
    except OSError:
        return []
    shipped = [name for name in SHIPPED if any(p.name == name and p.is_dir() for p in found)]
    made = {}
    for path in found:
        with suppress(OSError):  # no run, or deleted a moment ago
            made[path.name] = (path / "config.json").stat().st_mtime_ns
    own = sorted(made.keys() - set(SHIPPED), key=lambda name: (made[name], name), reverse=True)
    return shipped + own


def is_shipped(run_id: str) -> bool:
    """Whether a run came with the project."""
    return run_id in SHIPPED


def create(config: RunConfig) -> str:
    """Makes the folder of a new run, queued.

    Arguments:
        config: The whole truth of the run.

    Returns:
        The id of the run, made here; the display name is only data.

    Raises:
        ConfigError: If the model is absurdly large.
        DataError: If the data set is there and damaged.
        RunError: If the folder cannot be written.

    Source:
        ``os.mkdir`` decides between two that start at once.

    Example:
        >>> import tempfile
        >>> os.environ["VAE_RUNS"] = tempfile.mkdtemp()
        >>> run_id = create(RunConfig(dataset="digits"))
        >>> status(run_id).state
        'queued'
    """
    refuse_absurd(config)
    size = f"vq{config.n_codes}" if config.is_vq else f"{config.latent_dim}d"
    parts = (config.dataset, size, config.body, config.family)
    stem = "-".join(p for p in parts if p not in ("mlp", "diagonal")) + "-cond" * config.conditional
    checksum = data.load(config.dataset).sha256 if data.available(config.dataset) else ""
    path = None
    try:
        root().mkdir(parents=True, exist_ok=True)
        path = _new_folder(stem)
        write_status(path.name, Status("queued", epochs=config.all_epochs))
        about = {
            "config": config.model_dump(mode="json"),
            "parameters": count_parameters(config),
            "dataset_sha256": checksum,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
        }
        write_json(path / "config.json", about)
    except OSError as error:
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)
        raise RunError(f"The run cannot be created. {explain_os_error(error)}") from error
    return path.name


def _new_folder(stem: str) -> Path:
    """A folder that nobody had before: ``os.mkdir`` decides between two that ask at once."""
    while True:
        path = root() / f"{stem}-{secrets.token_hex(2)}"
        if (root() / _TRASH / path.name).exists():
            continue
        with suppress(FileExistsError):
            path.mkdir()
            return path


def read_config(run_id: str) -> RunConfig:
    """The configuration of a run.

    Raises:
        RunError: If the run is gone, or its configuration is damaged or of a newer version.
    """
    path = folder(run_id) / "config.json"
    try:
        return reading.read_config(json.dumps(read_json(path).get("config")))
    except (ConfigError, DamagedFile) as error:
        reason = str(error)
    except OSError as error:
        reason = explain_os_error(error)
    raise RunError(f"The configuration of {run_id} cannot be read. {reason}")


def load(run_id: str, epoch: int | None = None) -> Run:
    """Reads a run with its trained model, ready to encode and decode on the CPU.

    Arguments:
        run_id: The id of the run.
        epoch: One of ``past(run_id)``, whose weights were rounded to float16; the newest
            checkpoint if not given.

    Returns:
        The run. If the newest checkpoint is damaged, the one before, with a notice that says so.

    Raises:
        RunError: If the run is gone, has no checkpoint yet, or none can be read; if the weights
            of that epoch were not kept.

    Source:
        Checkpoints are safetensors with a checksum; nothing is ever unpickled.

    Example:
        >>> _ = os.environ.pop("VAE_RUNS", None)
        >>> load("mnist-2d").model.latent_dim
        2
    """
    config = read_config(run_id)
    path = folder(run_id)
    trouble = []
    for name in ("model", "resume", "prev") if epoch is None else (f"weights/{epoch:05d}",):
        try:
            tensors, notes = read_tensors(path / f"{name}.safetensors")
            model = build(config)
            model.load_state_dict(weights(tensors))
            found = int(notes["epoch"])
        except FileNotFoundError:
            continue
        except ConfigError as error:
            raise RunError(f"{run_id} cannot be loaded. {error}") from error
        except DamagedFile as error:
            trouble.append(str(error))
        except OSError as error:
            trouble.append(f"{name}.safetensors cannot be read. {explain_os_error(error)}")
        except (RuntimeError, KeyError, ValueError):
            trouble.append(f"{name}.safetensors holds no checkpoint of this run.")
        else:
            notice = f"{trouble[0]} Showing epoch {found} instead." if trouble else ""
            return Run(run_id, config, model.eval().requires_grad_(False), found, notice)
    if epoch is not None:
        why = trouble[0] if trouble else "They were not kept."
        raise RunError(f"Epoch {epoch} of {run_id} cannot be shown. {why} Choose another epoch.")
    if trouble:
        raise RunError(f"No checkpoint of {run_id} can be read. {trouble[0]} Train it again.")
    raise RunError(f"{run_id} has no checkpoint yet: it appears as soon as the run starts.")


def weights(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The model's part of a checkpoint, by parameter name."""
    others = ("optimiser.", "rng")
    return {k.removeprefix("model."): t for k, t in tensors.items() if not k.startswith(others)}


def stamp(run_id: str) -> int:
    """Changes whenever the weights of a run change: the key of every cache."""
    try:
        return (folder(run_id) / "model.safetensors").stat().st_mtime_ns
    except OSError:
        return 0


def status(run_id: str) -> Status:
    """Where a run stands.

    Raises:
        RunError: If the run is gone.
    """
    path = folder(run_id)
    try:
        fields = read_json(path / "status.json")
        found = Status(**{k: v for k, v in fields.items() if k in Status._fields})
        check(found)
        return found
    except (DamagedFile, TypeError):
        return Status("interrupted", "Its status file is damaged; its checkpoints are separate.")
    except OSError as error:
        return Status("interrupted", f"Its status cannot be read. {explain_os_error(error)}")


def write_status(run_id: str, status: Status, *, durable: bool = True) -> None:
    """Writes where a run stands, with the server that answers for it."""
    fields = {**status._asdict(), "server": os.environ.get("VAE_SERVER", ""), "at": time.time()}
    write_json(root() / run_id / "status.json", fields, durable=durable)


def set_status(run_id: str, state: State, reason: str = "") -> None:
    """Changes the state of a run and keeps its progress.

    Raises:
        RunError: If the run is gone.
    """
    write_status(run_id, status(run_id)._replace(state=state, reason=reason))


def metrics(run_id: str) -> list[dict[str, Any]]:
    """What was recorded, one dictionary an evaluated epoch, in order.

    A torn last line, as a crash leaves it, is ignored, and so is anything else unreadable.

    Raises:
        RunError: If the run is gone.
    """
    try:
        lines = (folder(run_id) / "metrics.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    by_epoch: dict[int, dict[str, Any]] = {}
    for line in lines:
        try:
            record = json.loads(line)
            if isinstance(record["epoch"], int):
                by_epoch[record["epoch"]] = record
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def append_metrics(run_id: str, record: dict[str, Any]) -> None:
    """Adds one line; a torn line before it is closed first, so that it spoils nothing."""
    path = root() / run_id / "metrics.jsonl"
    with open(path, "ab+") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            file.write(b"\n")
        file.write(json.dumps(record).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def forget_metrics_after(run_id: str, epoch: int) -> None:
    """Drops the epochs that a resumed run will record again."""
    kept = [record for record in metrics(run_id) if record["epoch"] <= epoch]
    text = "".join(json.dumps(record) + "\n" for record in kept)
    write_bytes(root() / run_id / "metrics.jsonl", text.encode())


def snapshots(run_id: str) -> list[int]:
    """The epochs whose latents and decoded grid were kept, in order."""
    found = (folder(run_id) / "snapshots").glob("*.safetensors")
    return sorted(int(p.stem) for p in found if p.stem.isdecimal())


def past(run_id: str) -> list[int]:
    """The past epochs whose weights were kept, in order; see ``vae.past``."""
    found = (folder(run_id) / "weights").glob("*.safetensors")
    return sorted(int(p.stem) for p in found if p.stem.isdecimal())


def lock(run_id: str) -> FileLock:
    """The lock that a trainer holds for its whole life: one writer, always."""
    return FileLock(root() / run_id / "lock", timeout=0)


def request_stop(run_id: str) -> None:
    """Asks the trainer to stop: it looks for this file before every batch.

    Raises:
        RunError: If the run is shipped or gone, or its folder cannot be written.
    """
    refuse_shipped(run_id)
    with _writing(f"{run_id} cannot be stopped."):
        (folder(run_id) / "stop").touch()


def stop_requested(run_id: str) -> bool:
    """Whether a run was asked to stop."""
    return (root() / run_id / "stop").exists()


def requeue(run_id: str) -> None:
    """Puts a run that ended early back in the queue, to go on from its last checkpoint.

    Raises:
        RunError: If the run is shipped, gone, or has nothing left to do, or its folder cannot be
            written.
    """
    refuse_shipped(run_id)
    state = status(run_id).state
    if state in ACTIVE or state == "finished":
        raise RunError(f"{run_id} is {state}: there is nothing to resume.")
    with _writing(f"{run_id} cannot be resumed."):
        (folder(run_id) / "stop").unlink(missing_ok=True)
        set_status(run_id, "queued")


def delete(run_id: str) -> None:
    """Moves a run to the trash, from where ``restore`` brings it back; its trainer stops.

    Raises:
        RunError: If the run is shipped or gone, or the folder cannot be written.
    """
    refuse_shipped(run_id)
    path = folder(run_id)
    with _writing(f"{run_id} cannot be deleted."):
        (path / "stop").touch()
        trash = root() / _TRASH
        trash.mkdir(exist_ok=True)
        shutil.rmtree(trash / run_id, ignore_errors=True)
        os.replace(path, trash / run_id)
        sync_folder(root())


def empty_trash(older_than: float = 7 * 86_400) -> None:
    """Removes for good what was deleted more than so many seconds ago."""
    for path in (root() / _TRASH).glob("*"):
        with suppress(OSError):  # somebody else was faster, or the folder is read-only
            if time.time() - path.stat().st_ctime > older_than:
                shutil.rmtree(path)


def restore(run_id: str) -> None:
    """Brings a deleted run back.

    Raises:
        RunError: If it is not in the trash, or cannot be moved back.
    """
    source = root() / _TRASH / run_id
    if not _ID.fullmatch(run_id) or not source.is_dir():
        raise RunError(f"{run_id:.60} is not in the trash.")
    with _writing(f"{run_id} cannot be restored."):
        os.replace(source, root() / run_id)
        (root() / run_id / "stop").unlink(missing_ok=True)
        if status(run_id).state in ACTIVE:
            set_status(run_id, "stopped", "It was deleted while it ran, and restored; resume it.")


@contextmanager
def _writing(failure: str) -> Iterator[None]:
    """Turns what the file system answers into a sentence, after this one."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{failure} {explain_os_error(error)}") from error


def refuse_shipped(run_id: str) -> None:
    """Shipped runs are for looking at."""
    if is_shipped(run_id):
        raise RunError(f"{run_id} comes with ELBO Room and is read-only: train your own copy.")
