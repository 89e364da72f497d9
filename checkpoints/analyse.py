"""Computes what the pages ask of the shipped runs first, and keeps it.

    python checkpoints/analyse.py              # all of them, about five minutes
    python checkpoints/analyse.py digits-2d    # one of them

Without ``VAE_DATA``: the results belong to the data that come with the project, as everybody has
them. They are found again only for the very same weights and data.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from vae import analysis, results, runs
from vae.requests import Annealing, Embedding, Evidence, Gaps, History, Request

FAMILIES = ("diagonal", "full", "flow")


def asked(name: str) -> list[Request]:
    """What the pages ask when they are opened, with the values they propose."""
    if runs.read_config(name).conditional:
        return []  # pages about log p(x) are closed to it
    n = 360 if name == "digits-2d" else 500
    requests: list[Request] = [Evidence(n=n)]
    if name in ("mnist-2d", "digits-2d"):
        requests.append(Gaps(n=100, families=FAMILIES))
    if runs.past(name):
        requests.append(History())
    if name == "mnist-50d":
        requests += [Annealing(), Embedding()]
    return requests


if __name__ == "__main__":
    torch.set_num_threads(1)
    for run_id in sys.argv[1:] or runs.SHIPPED:
        for request in asked(run_id):
            analysis.perform(run_id, request.model_dump_json())
            kept = results.read(run_id, request) is not None
            print(
                f"{run_id}, {request.kind}: {'kept' if kept else results.progress(run_id, request)}"
            )
