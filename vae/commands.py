"""What the terminal does: one function a command, each returning the exit code."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from vae import (
    data,
    evaluate as evaluation,
    export as exports,
    owners,
    runs,
    terminal,
    train as training,
)
from vae.config import RunConfig
from vae.data import DataError
from vae.doctor import examine
from vae.evaluate import Split
from vae.export import ExportError
from vae.files import DamagedFile, explain_os_error, write_bytes
from vae.model import refuse_absurd
from vae.runs import RunError
from vae.standalone import script


class CommandError(Exception):
    """Something that cannot be done, in one sentence for a person."""


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
        latent_dim = str(row["latent_dim"] or "")
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
    try:
        config = runs.read_config(run_id)
        about |= {"name": config.name, "dataset": config.dataset, "latent_dim": config.latent_dim}
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


def evaluate(
    run_id: str,
    estimator: Literal["elbo", "iwae"],
    *,
    k: int,
    n: int | None,
    split: Split,
    as_json: bool,
    out: Path | None,
) -> int:
    """Prints an estimator of log p(x) over the first n data of a split, in nats.

    Arguments:
        run_id: The id of the run.
        estimator: ``"elbo"`` or ``"iwae"``.
        k: Samples per datum.
        n: How many data; all if not given.
        split: ``"held_out"`` or ``"train"``.
        as_json: Whether to print one line of JSON instead of text.
        out: Where to keep data and values, as npz.

    Raises:
        CommandError: If k or n is below 1, or the file cannot be written.
        RunError: If the run has no checkpoint that can be read.
        DataError: If its data set cannot be had.
    """
    for name, value in (("k", k), ("n", n)):
        if value is not None and value < 1:
            raise CommandError(f"{name} must be at least 1 (not {value}).")
    if out and (out.is_dir() or not os.access(out.parent, os.W_OK)):
        raise CommandError(f"{out} cannot be written: name a file in a folder that can.")
    run = runs.load(run_id)
    if run.notice:
        print(run.notice, file=sys.stderr)
    dataset = _have(run.config.dataset)
    total = min(n or sys.maxsize, len(getattr(data.load(dataset), split)))
    with terminal.bar(total=total, unit="datum", desc=f"{estimator}, k = {k}") as bar:
        found = evaluation.evaluate(
            run.model, run.config, estimator, k=k, n=n, split=split, progress=bar.update
        )
    if out:
        content = io.BytesIO()
        np.savez_compressed(content, x=found.x, values=found.values)
        write_bytes(out, content.getvalue())
    binarisation = "none" if run.config.binarisation == "none" else "fixed"
    error = found.standard_error if total > 1 else None
    if as_json:
        result = {
            "run": run_id,
            "epoch": run.epoch,
            "dataset": dataset,
            "split": split,
            "estimator": estimator,
            "k": k,
            "n": total,
            "binarisation": binarisation,
            "mean": found.mean,
            "standard_error": error,
            "median": found.median,
        }
        print(json.dumps(result))
    else:
        spread = "" if error is None else f" ± {error:.2f}"
        print(
            f"{run_id}, epoch {run.epoch}: {estimator.upper()} with k = {k} of the first {total:,} "
            f"{split.replace('_', '-')} data of {dataset}, binarisation {binarisation}: "
            f"{found.mean:.2f}{spread} nats, median {found.median:.2f}."
        )
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
    if to == "projector":
        _have(run.config.dataset)
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


def _have(dataset: str) -> str:
    """Fetches a set if that is needed; names the one that will stand in for it if it must."""
    try:
        with terminal.download(dataset) as told:
            data.fetch(dataset, told)
    except DataError as error:
        if data.at_hand(dataset).name == dataset:
            raise
        print(f"{error} The bundled cut of it is used instead.", file=sys.stderr)
    return data.at_hand(dataset).name
