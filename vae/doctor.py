"""Whether this machine has what ELBO Room needs."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import torch

from vae import data, runs, torchvision_remedy
from vae.config import DATA_SHAPES
from vae.data import DataError
from vae.files import explain_os_error

#: What the app imports.
PACKAGES = (
    "torch", "torchvision", "numpy", "scikit-learn", "streamlit", "plotly", "pandas", "dask",
    "distributed", "safetensors", "pydantic", "tyro", "filelock", "pillow", "tqdm", "tensorboardX",
)  # fmt: skip
#: Less free space than this, in bytes, and a run may not find room for its checkpoints.
FREE_SPACE = 500_000_000


class Finding(NamedTuple):
    """One thing that was looked at: whether it is well, in one line."""

    ok: bool
    text: str


def examine() -> list[Finding]:
    """Looks at versions, torchvision, threads, device, data and the folder of runs.

    Returns:
        What was found, a line each.

    Example:
        >>> examine()[0].text.startswith("Python 3.")
        True
    """
    return [
        Finding(True, f"Python {platform.python_version()} on {platform.platform(terse=True)}"),
        *_packages(),
        _torchvision(),
        Finding(True, f"{os.cpu_count()} cores; a training run uses one thread"),
        Finding(True, _device()),
        _bundled(),
        Finding(True, _downloaded()),
        _runs_folder(),
    ]


def _packages() -> list[Finding]:
    """The versions on one line, and a line for what is missing."""
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    findings = [Finding(True, ", ".join(found))]
    if missing:
        hint = "pip install -r requirements.txt"
        findings.append(Finding(False, f"not installed: {', '.join(missing)} ({hint})"))
    return findings


def _torchvision() -> Finding:
    """Whether its data sets can be used."""
    try:
        trouble = torchvision_remedy.health()
    except ImportError as error:
        return Finding(False, f"torchvision does not import: {error}")
    return Finding(True, f"torchvision imports{trouble and f'; {trouble}'}")


def _device() -> str:
    """What a run with device auto trains on."""
    if torch.cuda.is_available():
        return f"device: CUDA, {torch.cuda.get_device_name()}"
    return "device: CPU (PyTorch sees no CUDA device)"


def _bundled() -> Finding:
    """Whether the data that come along are whole."""
    try:
        data.load("mnist-subset")
    except DataError as error:
        return Finding(False, str(error))
    return Finding(True, "the bundled data are whole")


def _downloaded() -> str:
    """Which of the other sets are here."""
    here, away = [], []
    for name in DATA_SHAPES:
        (here if data.available(name) else away).append(name)
    source = "VAE_DATA" if os.environ.get("VAE_DATA") else "set VAE_DATA to look elsewhere"
    text = f"data in {data.root()} ({source}): {', '.join(here)}"
    return text + (f"; fetched when first used: {', '.join(away)}" if away else "")


def _runs_folder() -> Finding:
    """Whether runs can be kept."""
    folder = runs.root()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"can this be written?")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(False, f"runs cannot be kept in {folder}. {explain_os_error(error)}")
    text = f"runs ({len(runs.ids())}) in {folder}, which can be written; {free / 1e9:.1f} GB free"
    return Finding(free >= FREE_SPACE, text + (", too little" if free < FREE_SPACE else ""))
