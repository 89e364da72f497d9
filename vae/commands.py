"""What the terminal does: one function a command, each returning the exit code."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch

from vae import (
    data,
    export as exports,
    owners,
    runs,
    terminal,
    train as training,
)
from vae.config import RunConfig
from vae.data import DataError
from vae.doctor import examine
from vae.export import ExportError
from vae.files import DamagedFile, explain_os_error
from vae.model import refuse_absurd
from vae.report import evaluate as evaluate
from vae.runs import RunError
from vae.standalone import script
from vae.terminal import CommandError


def sentence(error: Exception) -> str | None:
    """What to tell a person about an error that was to be expected; nothing about any other.

    Example:
        >>> sentence(RunError("There is no such run.")), sentence(KeyError("run"))
        ('There is no such run.', None)
    """
    if isinstance(error, (RunError, DataError, DamagedFile, ExportError, CommandError)):
        return str(error)
    return explain_os_error(error) if isinstance(error, OSError) else None


def train(config: RunConfig) -> int:
    """Trains a new run in this process.

    Arguments:
        config: The whole truth of the run; its data set may be replaced by the bundled one.

    Returns:
        0 if it finished or was stopped, 1 if it failed or diverged, 130 if it was cut off.

    Raises:
        ConfigError: If there is no such device, or the model is absurdly large.
        DataError: If not even the bundled data can be read.
        RunError: If the run folder cannot be written.
    """
    training.choose_device(config)
    refuse_absurd(config)
    with terminal.download(config.dataset) as told:
        dataset, notice = data.ensure(config.dataset, told)
    if notice:
        print(notice, file=sys.stderr)
        config = RunConfig(
            **{
                **config.model_dump(),
                "dataset": dataset,
                "name": f"{config.name} on {dataset}"[:80],
            }
        )
    run_id = runs.create(config)
    print(run_id, flush=True)
    return _train(run_id)


def resume(run_id: str) -> int:
    """Goes on with a run that ended early; as ``train``.

    Raises:
        RunError: If the run is gone, shipped, under way or finished.
        DataError: If its data set cannot be had.
    """
    owners.reconcile()
    runs.refuse_shipped(run_id)
    dataset = runs.read_config(run_id).dataset
    with terminal.download(dataset) as told:
        data.fetch(dataset, told)
    runs.requeue(run_id)
    return _train(run_id)


def list_runs(*, as_json: bool) -> int:
    """Prints all runs, as a table or as a JSON array."""
    owners.reconcile()
    rows = []
    for run_id in runs.ids():
        with suppress(RunError):  # deleted a moment ago
            rows.append(_about(run_id))
    if as_json:
        print(json.dumps(rows, indent=1))
        return 0
    table = [("RUN", "STATE", "EPOCH", "DATA", "D", "HELD-OUT ELBO")]
    for row in rows:
        elbo = "" if row["elbo"] is None else f"{row['elbo']:.2f} ± {row['standard_error']:.2f}"
        epoch = f"{row['epoch']}/{row['epochs']}"
        latent_dim = f"{row['n_codes']} codes" if row["n_codes"] else str(row["latent_dim"] or "")
        table.append((row["run"], row["state"], epoch, row["dataset"] or "", latent_dim, elbo))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
    return 0


def _about(run_id: str) -> dict[str, Any]:
    """A run in a line; what cannot be read is null, and the reason says why."""
    state, reason, epoch, epochs, *_ = runs.status(run_id)
    about = {"run": run_id, "name": "", "state": state, "reason": reason}
    about |= {"epoch": epoch, "epochs": epochs, "dataset": None, "latent_dim": None}
    about["n_codes"] = None  # of a VQ-VAE only
    try:
        config = runs.read_config(run_id)
        about |= {"name": config.name, "dataset": config.dataset, "latent_dim": config.latent_dim}
        about["n_codes"] = config.n_codes if config.is_vq else None
    except RunError as error:
        about["reason"] = str(error)
    last = [record["held_out"] for record in runs.metrics(run_id)[-1:]]
    elbo, error = (last[0]["elbo"], last[0]["elbo_se"]) if last else (None, None)
    return about | {"elbo": elbo, "standard_error": error}


def delete(run_id: str) -> int:
    """Moves a run to the trash.

    Raises:
        RunError: If the run is gone or shipped, or the folder cannot be written.
    """
    runs.delete(run_id)
    print(f"{run_id} was moved to the trash, in {runs.root()}.")
    return 0


def export(
    run_id: str, to: Literal["tensorboard", "projector", "onnx", "script"], out: Path | None
) -> int:
    """Writes a run in the format of another tool and prints the files.

    Arguments:
        run_id: The id of the run.
        to: The format.
        out: The folder; ``exports/RUN/TO`` if not given.

    Raises:
        ExportError: If there is nothing to export, or a package is missing.
        RunError: If the run has no checkpoint that can be read.
        DataError: If its data set cannot be had.
    """
    run = runs.load(run_id)
    if run.notice:
        print(run.notice, file=sys.stderr)
    if run.config.is_vq and to != "tensorboard":
        raise ExportError(
            f"{run_id} is a VQ-VAE, and --to {to} writes VAEs: its curves can go to tensorboard, "
            "and its weights are in model.safetensors."
        )
    if to == "projector":
        terminal.have(run.config.dataset)
    folder = out or Path("exports") / run_id / to
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write = {
            "tensorboard": exports.tensorboard,
            "projector": exports.projector,
            "onnx": exports.onnx,
            "script": script,
        }[to]
        for path in write(run, folder):
            print(path)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written ({error.strerror}).") from error
    return 0


def doctor() -> int:
    """Prints what this machine has; 1 if something is missing."""
    findings = examine()
    for finding in findings:
        print(f"{'ok' if finding.ok else 'FAIL':4}  {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1


def _train(run_id: str) -> int:
    """Trains with a bar, one thread as in the app, and says how it ended."""
    torch.set_num_threads(1)  # so that a run may go on here or in the app, to the same weights
    try:
        with terminal.stop_on_interrupt(run_id), terminal.progress(run_id):
            training.train(run_id)
    except KeyboardInterrupt:
        runs.set_status(run_id, "interrupted", "It was cut off at the terminal; resume it.")
    status = runs.status(run_id)
    if status.state in ("failed", "diverged"):
        raise CommandError(status.reason)
    if status.state in runs.ACTIVE:
        raise CommandError(
            f"{run_id} is being trained by another process, or its folder cannot be written."
        )
    for record in runs.metrics(run_id)[-1:]:
        elbo, error = record["held_out"]["elbo"], record["held_out"]["elbo_se"]
        print(
            f"{run_id} {status.state} at epoch {status.epoch} of {status.epochs}. Held-out ELBO at "
            f"epoch {record['epoch']}: {elbo:.2f} ± {error:.2f} nats."
        )
    if status.state != "finished":
        print(f"To go on: python -m vae resume {run_id}", file=sys.stderr)
    return 130 if status.state == "interrupted" else 0
