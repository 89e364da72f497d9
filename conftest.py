"""What every test, and every doctest of `vae`, stands on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# Before torch is imported, here and in the processes that tests start: one thread, and no
# spinning while it waits, so that sums come out the same and two cores are not fought over.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import torch

torch.set_num_threads(1)
torch.set_flush_denormal(True)


@pytest.fixture(autouse=True)
def runs_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the runs of this test alone; the project's own is never touched."""
    folder = tmp_path_factory.mktemp("runs")
    monkeypatch.setenv("VAE_RUNS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def plain_environment(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No data, scheduler or server of the developer's own: every machine tests the same."""
    monkeypatch.setenv("VAE_DATA", str(tmp_path_factory.getbasetemp() / "data"))
    for name in ("VAE_SCHEDULER", "VAE_SERVER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def names_in_examples(doctest_namespace: dict[str, object]) -> None:
    """Examples in docstrings may say ``torch`` without importing it."""
    doctest_namespace["torch"] = torch


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two small runs on digits, trained once: two latent dimensions, and five."""
    from vae import runs, train
    from vae.config import RunConfig

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(folder))
        for latent_dim in (5, 2):
            config = RunConfig(
                name="small", dataset="digits", hidden=(32,), latent_dim=latent_dim, epochs=3
            )
            train.train(runs.create(config))
    return folder


@pytest.fixture
def trained(_trained: Path, runs_folder: Path) -> dict[int, str]:
    """Ids of the two small runs, by latent dimension, in this test's own folder."""
    shutil.copytree(_trained, runs_folder, dirs_exist_ok=True)
    from vae import runs

    configs = {run_id: runs.read_config(run_id) for run_id in runs.ids()}
    return {config.latent_dim: run_id for run_id, config in configs.items() if not config.is_vq}


@pytest.fixture(scope="session")
def _coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two small VQ-VAEs on digits, trained once: of one level with a prior, of two
    without."""
    from vae import runs, train
    from vae.config import RunConfig

    folder = tmp_path_factory.mktemp("coded")
    config = RunConfig(
        name="small codes",
        model="vq-vae",
        dataset="digits",
        hidden=(32,),
        latent_dim=2,
        n_codes=16,
        map_side=2,
        epochs=3,
        prior_epochs=1,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_RUNS", str(folder))
        for changes in ({"levels": 2, "latent_dim": 3, "prior_epochs": 0}, {}):
            train.train(runs.create(config.model_copy(update=changes)))
    return folder


@pytest.fixture
def coded(_coded: Path, runs_folder: Path) -> dict[int, str]:
    """Ids of the two small VQ-VAEs, by their levels, in this test's own folder."""
    shutil.copytree(_coded, runs_folder, dirs_exist_ok=True)
    from vae import runs

    configs = {run_id: runs.read_config(run_id) for run_id in runs.ids()}
    return {config.levels: run_id for run_id, config in configs.items() if config.is_vq}
