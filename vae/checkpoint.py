"""A trainer's state on disk: written so that a kill at any moment loses at most the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Adam

from vae import runs
from vae.config import RunConfig
from vae.files import DamagedFile, read_tensors, write_bytes, write_tensors
from vae.model import VAE, build
from vae.vqvae import VQVAE


class Position(NamedTuple):
    """Where in the training we are: the next batch to do, and seconds spent training so far."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0


@dataclass
class Trainer:
    """What changes while a run trains: weights, optimiser, position."""

    config: RunConfig
    model: VAE | VQVAE
    optimiser: Adam
    position: Position


def new_trainer(config: RunConfig, device: torch.device) -> Trainer:
    """Fresh weights from the seed, and their optimiser."""
    torch.manual_seed(config.seed)
    model = build(config).to(device)
    optimiser = Adam(model.parameters(), lr=config.learning_rate, fused=True)
    return Trainer(config, model, optimiser, Position())


def save(run_id: str, trainer: Trainer) -> None:
    """Writes a checkpoint: first the weights alone for readers, then the complete state.

    The order matters: after a crash between the two, resuming writes the weights once more.
    """
    path = runs.folder(run_id)
    epoch, step, seconds = trainer.position
    model = trainer.model.state_dict()
    tensors = {f"model.{name}": t for name, t in model.items()}
    for index, values in trainer.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": t for name, t in values.items()}
    tensors["rng"] = torch.get_rng_state()
    if trainer.model.device.type == "cuda":
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    notes = {"epoch": str(epoch), "step": str(step), "seconds": repr(seconds)}
    write_tensors(path / "model.safetensors", model, notes)
    current = path / "resume.safetensors"
    if current.exists():
        _keep_as_previous(current, path / "prev.safetensors")
    write_tensors(current, tensors, notes)


def _keep_as_previous(current: Path, previous: Path) -> None:
    """Gives the file a second name, replacing the one that had it; it never lacks the first."""
    link = previous.with_name(".prev.tmp")
    link.unlink(missing_ok=True)
    try:
        link.hardlink_to(current)
    except OSError:  # a file system without hard links
        write_bytes(link, current.read_bytes())
    link.replace(previous)
    link.unlink(missing_ok=True)  # where both were the same file, the system replaced nothing


def restore(run_id: str, trainer: Trainer) -> bool:
    """Puts a trainer where its run was left; true if there was something to go on from."""
    path = runs.folder(run_id)
    damage: DamagedFile | None = None
    for name in ("resume", "prev"):
        try:
            tensors, notes = read_tensors(path / f"{name}.safetensors")
            _put_back(tensors, notes, trainer)
        except FileNotFoundError:
            continue
        except DamagedFile as error:
            damage = damage or error
            continue
        except (RuntimeError, KeyError, ValueError):
            damage = damage or DamagedFile(f"{name}.safetensors holds no state of this run.")
            continue
        if damage:  # the good file may not be replaced by the damaged one, see save
            (path / "resume.safetensors").unlink()
        runs.forget_metrics_after(run_id, trainer.position.epoch)
        return True
    if damage:
        raise damage
    return False


def _put_back(tensors: dict[str, Tensor], notes: dict[str, str], trainer: Trainer) -> None:
    """Fills a trainer with what ``save`` wrote."""
    position = Position(int(notes["epoch"]), int(notes["step"]), float(notes["seconds"]))
    trainer.model.load_state_dict(runs.weights(tensors))
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = tensor
    groups = trainer.optimiser.state_dict()["param_groups"]
    trainer.optimiser.load_state_dict({"state": state, "param_groups": groups})
    torch.set_rng_state(tensors["rng"])
    if "rng.cuda" in tensors and trainer.model.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["rng.cuda"])
    trainer.position = position
