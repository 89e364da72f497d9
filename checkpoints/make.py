"""Trains the shipped runs again and keeps of each what the app needs to show it.

    VAE_DATA=/path/to/mnist python checkpoints/make.py              # all of them, about three hours
    VAE_DATA=/path/to/mnist python checkpoints/make.py digits-2d    # one of them

A run is trained under its preset in a folder of its own (``VAE_WORK``, else ``.work`` beside this
file; an unfinished one is resumed from there). What is kept: configuration, status, metrics, the
last weights, a few snapshots, and the weights of a few past epochs. What only a resumption needs
stays behind.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch  # noqa: E402

from vae import data, runs, train  # noqa: E402
from vae.presets import PRESETS  # noqa: E402

#: How many snapshots each keeps; fifty dimensions, or a grid for every label, take more room.
SNAPSHOTS = {
    "mnist-2d": 16,
    "mnist-2d-conv": 16,
    "mnist-50d": 3,
    "digits-2d": 16,
    "digits-conditional-2d": 9,
    "mnist-vq": 8,
    "mnist-vq-2d": 16,
    "digits-vq": 6,
    "digits-vq-no-revival": 3,
    "digits-vq-no-kmeans": 3,
    "digits-vq-bare": 3,
    "digits-vq-loss": 3,
    "digits-vq-rotation": 3,
    "digits-vq-residual": 4,
}
#: And of which past epochs each keeps the weights.
PAST = {"mnist-2d": (2, 6, 16, 42), "mnist-50d": (2, 10, 42), "digits-2d": range(200)}


def make(name: str, work: Path) -> None:
    """Trains one run to its end, or goes on with it, and keeps what is shown."""
    os.environ["VAE_RUNS"] = str(work / name)
    config = PRESETS[name]
    data.load(config.dataset)
    run_id = next(iter(runs.ids()), None) or runs.create(config)
    if runs.status(run_id).state != "finished":
        train.train(run_id)
    status = runs.status(run_id)
    if status.state != "finished" or runs.read_config(run_id) != config:
        sys.exit(f"{name}: {status.state}. {status.reason} (in {work / name / run_id})")
    past = set(runs.past(run_id)) & set(PAST.get(name, ()))
    keep(runs.folder(run_id), HERE / name, SNAPSHOTS[name], past)


def keep(source: Path, target: Path, n: int, past: set[int]) -> None:
    """Copies what is shown, with n of the snapshots: the first, the last, and ever fewer late."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "snapshots").mkdir(parents=True)
    (target / "weights").mkdir()
    for epoch in past:
        file = f"weights/{epoch:05d}.safetensors"
        shutil.copyfile(source / file, target / file)
    for file in ("config.json", "status.json", "metrics.jsonl", "model.safetensors"):
        shutil.copyfile(source / file, target / file)
    epochs = sorted((source / "snapshots").glob("*.safetensors"))
    chosen = {round(((len(epochs)) ** (i / (n - 1))) - 1) for i in range(n)}
    for index in sorted(chosen):
        shutil.copyfile(epochs[index], target / "snapshots" / epochs[index].name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    place = Path(os.environ.get("VAE_WORK") or HERE / ".work")
    for preset in sys.argv[1:] or SNAPSHOTS:
        make(preset, place)
        print(f"{preset}: in {HERE / preset}")
