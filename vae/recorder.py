"""What is written down and kept of an epoch while a run trains."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from vae import code_record, code_snapshots, data, evaluate, past, runs, snapshots
from vae.checkpoint import Trainer
from vae.outcome import Diverged
from vae.schedule import beta_at, learning_rate_at
from vae.vqvae import VQVAE


def record(
    run_id: str,
    trainer: Trainer,
    sets: dict[str, Tensor],
    labels: dict[str, Tensor],
    rate: float,
) -> None:
    """Appends an epoch to the metrics, and keeps what a replay of the training needs.

    Arguments:
        run_id: The run.
        trainer: Where its training stands.
        sets: Fixed data of each split, on the model's device.
        labels: Theirs.
        rate: Data trained per second since the last record.

    Raises:
        Diverged: If the bound is not a finite number.
    """
    config, (epoch, _, seconds) = trainer.config, trainer.position
    if isinstance(trainer.model, VQVAE):
        measured = code_record.record(trainer.model, sets, config.batch_size)
    else:
        measured = evaluate.record(trainer.model, sets, labels)
    if not math.isfinite(measured["train"]["elbo"] + measured["held_out"]["elbo"]):
        raise Diverged
    line: dict[str, Any] = {
        "epoch": epoch,
        "step": epoch * math.ceil(len(data.load(config.dataset).train) / config.batch_size),
        "seconds": round(seconds, 3),
        "samples_per_second": round(rate, 1),
        "learning_rate": learning_rate_at(config, epoch),
        "beta": beta_at(config, epoch),
        **measured,
    }
    if config.is_vq:
        if epoch <= config.epochs and snapshots.keeps_snapshot(config, epoch):
            write = code_snapshots.write_snapshot
            write(run_id, trainer.model, sets["held_out"], labels["held_out"], epoch)
    else:
        if snapshots.keeps_snapshot(config, epoch):
            x = sets["held_out"][: snapshots.N_SNAPSHOT]
            snapshots.write_snapshot(run_id, trainer.model, x, labels["held_out"], epoch)
        if past.keeps_weights(config, epoch):
            past.write_weights(run_id, trainer.model, epoch)
    runs.append_metrics(run_id, line)
