"""How fast is the quantiser, and a training step around it, beside vector-quantize-pytorch?

    VAE_DATA=... python benchmarks/vq.py [--turns 40] [--keep-memory]

Both quantise the same 7×7 maps to 512 codes of 64 dimensions, batch 128, one thread, from the same
k-means start. Steps take turns, one of each a turn, so that all meet the same machine; ratios
pair steps of one turn. ``--keep-memory`` lets the C library keep freed memory, as a long-lived or
a tuned process does: the peer's large intermediate tensors are then not paged in anew every step.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from vector_quantize_pytorch import VectorQuantize

sys.path.insert(0, str(Path(__file__).parents[1]))

from training import machine

from vae import data
from vae.config import RunConfig
from vae.vq import REVIVE_BELOW, VectorQuantizer
from vae.vqvae import VQVAE, initialise

BATCH, SIDE, N_CODES, DIM = 128, 7, 512, 64
VECTORS = BATCH * SIDE**2
BETA, DECAY = 0.25, 0.99
#: Turns that are not counted.
WARM_UP = 5
#: The settings that are compared, and what each asks of the two quantisers.
SETTINGS: dict[str, tuple[dict, dict]] = {
    "averages, straight-through": ({}, {}),
    "averages, rotation trick": ({"through": "rotation"}, {"rotation_trick": True}),
    "codebook by loss": (
        {"codebook": "loss"},
        {"learnable_codebook": True, "ema_update": False},
    ),
}
#: From mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

Step = Callable[[], None]


def configuration(options: dict) -> RunConfig:
    """The body of ``mnist-vq`` around the latents that are compared."""
    return RunConfig(
        model="vq-vae",
        dataset="mnist",
        body="conv",
        hidden=(16, 32, 64),
        map_side=SIDE,
        n_codes=N_CODES,
        latent_dim=DIM,
        batch_size=BATCH,
        commitment=BETA,
        decay=DECAY,
        **options,
    )


def peer_of(quantiser: VectorQuantizer, options: dict, *, maps: bool) -> VectorQuantize:
    """Theirs with equal settings and an equal start; dead codes by the same moving average."""
    peer = VectorQuantize(
        dim=DIM,
        codebook_size=N_CODES,
        decay=DECAY,
        commitment_weight=BETA,
        threshold_ema_dead_code=REVIVE_BELOW * VECTORS / N_CODES,
        accept_image_fmap=maps,
        **{"rotation_trick": False, **options},
    )
    book = peer._codebook
    book.embed.data.copy_(quantiser.vectors)
    book.embed_avg.copy_(quantiser.sums)
    book.cluster_size.copy_(quantiser.uses)
    return peer


def quantiser_steps(model: VQVAE, x: Tensor, options: dict) -> tuple[Step, Step]:
    """The quantisers alone, forward, backward and learning: vectors in, their gradient out."""
    own = copy.deepcopy(model.quantiser)
    peer = peer_of(own, options, maps=False)
    with torch.no_grad():
        vectors = model.latents(x).contiguous()
    gradient = torch.randn_like(vectors) / BATCH

    def step_own() -> None:
        own.zero_grad()
        z = vectors.detach().requires_grad_()
        q = own(z)
        pull = (q.codebook + BETA * q.commitment).sum() / BATCH
        torch.autograd.backward([q.quantised, pull], [gradient, None])
        own.learn(z, q)

    def step_peer() -> None:
        peer.zero_grad()
        z = vectors.view(BATCH, -1, DIM).detach().requires_grad_()
        quantised, _, pull = peer(z)
        torch.autograd.backward([quantised, pull], [gradient.view_as(z), None])

    return step_own, step_peer


def whole_steps(model: VQVAE, x: Tensor, options: dict) -> tuple[Step, Step]:
    """Training steps of one body, likelihood and optimiser around either quantiser."""
    own, other = model, copy.deepcopy(model)
    peer = peer_of(model.quantiser, options, maps=True)
    del other.quantiser
    mean_to_sum = DIM * SIDE**2  # their loss is a mean over numbers, ours a sum over a datum

    def objective_peer() -> Tensor:
        quantised, _, pull = peer(other.latents(x).permute(0, 3, 1, 2))
        log_p = other.decode_vectors(quantised.permute(0, 2, 3, 1)).log_prob(x).mean()
        return log_p - mean_to_sum * pull

    def step(parameters: list, objective: Callable[[], Tensor]) -> Step:
        optimiser = torch.optim.Adam(parameters, lr=1e-3, fused=True)

        def step() -> None:
            optimiser.zero_grad()
            (-objective()).backward()
            optimiser.step()

        return step

    return (
        step(list(own.parameters()), lambda: own.objective(x)),
        step([*other.parameters(), *peer.parameters()], objective_peer),
    )


def body_step(model: VQVAE, x: Tensor) -> Step:
    """What both sides share: the step without any quantiser."""
    body = copy.deepcopy(model)
    optimiser = torch.optim.Adam(body.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        (-body.decode_vectors(body.latents(x)).log_prob(x).mean()).backward()
        optimiser.step()

    return step


def take_turns(steps: dict[str, Step], turns: int) -> dict[str, np.ndarray]:
    """Milliseconds of processor time of each step in each turn, the warm-up left out."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(WARM_UP + turns):
        names = list(steps) if turn % 2 else list(steps)[::-1]
        for name in names:
            started = time.thread_time()
            steps[name]()
            taken[name].append(1e3 * (time.thread_time() - started))
    return {name: np.array(values[WARM_UP:]) for name, values in taken.items()}


def print_row(name: str, own: np.ndarray, peer: np.ndarray) -> None:
    """Median times, and the ratio with its quartiles."""
    low, ratio, high = np.percentile(peer / own, [25, 50, 75])
    print(
        f"| {name} | {np.median(own):.1f} | {np.median(peer):.1f} | {ratio:.2f} "
        f"| {low:.2f} to {high:.2f} | {len(own)} |",
        flush=True,
    )


def compare(turns: int) -> None:
    """Lets all steps take turns and prints the table."""
    dataset = "mnist" if data.available("mnist") else "mnist-subset"
    x = torch.from_numpy(data.load(dataset).train[:BATCH]) / 255
    x = (x > 0.5).float()
    print("\n| by own processor time | ours (ms) | theirs (ms) | times as fast | quartiles | n |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (own, peer) in SETTINGS.items():
        torch.manual_seed(0)
        config = configuration(own)
        model = VQVAE(config)
        with torch.no_grad():
            initialise(model, x, config)
        pairs = {
            "quantiser alone": quantiser_steps(model, x, peer),
            "whole step": whole_steps(copy.deepcopy(model), x, peer),
        }
        steps = {f"{part}, {i}": both[i] for part, both in pairs.items() for i in (0, 1)}
        steps["body"] = body_step(model, x)
        taken = take_turns(steps, turns)
        for part in pairs:
            print_row(f"{part}: {name}", taken[f"{part}, 0"], taken[f"{part}, 1"])
        print(f"| what both whole steps share | {np.median(taken['body']):.1f} | | | | {turns} |")


def main() -> None:
    """Reads the options and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=40, help="steps of each kind, after 5 more")
    parser.add_argument("--keep-memory", action="store_true", help="freed memory is kept (Linux)")
    options = parser.parse_args()
    if options.keep_memory:
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, 2**30)
        library.mallopt(M_MMAP_THRESHOLD, 2**30)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print(f"{machine()}; load {os.getloadavg()[0]:.1f} at the start.")
    compare(options.turns)
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
