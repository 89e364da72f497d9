"""The loops that benchmarks/training.py compares: this project's, its peers', and the limit.

Each is a function that never returns by itself and announces every batch before it trains it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).parents[1]))

from vae import runs, torchvision_remedy, train
from vae.config import RunConfig

BATCH, LEARNING_RATE = 128, 1e-3

#: Announces a batch of so many data, and waits until it may be trained.
Turn = Callable[[int], None]
Loop = Callable[[Turn], None]


def own_run(dataset: str, binarisation: str, *, evaluate_every: int = 1_000) -> Loop:
    """The shipped loop: ``vae.train.train`` on a run folder, stop file, reports and all."""
    config = RunConfig(
        dataset=dataset,
        binarisation=binarisation,
        hidden=(400,),
        latent_dim=20,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        epochs=10_000,
        device="cpu",
        evaluate_every=evaluate_every,
    )

    def loop(turn: Turn) -> None:
        run_id = runs.create(config)
        train.train(run_id)
        print(f"{run_id}: {runs.status(run_id)}", file=sys.stderr)

    return loop


def pytorch_example(images: Tensor, labels: Tensor, *, flush: bool = False) -> Loop:
    """The loop of pytorch/examples, vae/main.py (BSD-3-Clause), in our words; it logs nothing."""
    torchvision_remedy.mend()
    from torchvision import datasets, transforms

    mnist = datasets.MNIST.__new__(datasets.MNIST)  # with these images, whatever is on the disk
    mnist.data, mnist.targets = images.squeeze(1), labels
    mnist.transform, mnist.target_transform = transforms.ToTensor(), None

    class ExampleVAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc21 = nn.Linear(784, 400), nn.Linear(400, 20)
            self.fc22, self.fc3 = nn.Linear(400, 20), nn.Linear(20, 400)
            self.fc4 = nn.Linear(400, 784)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            h = F.relu(self.fc1(x.view(-1, 784)))
            mu, logvar = self.fc21(h), self.fc22(h)
            std = torch.exp(0.5 * logvar)
            z = mu + torch.randn_like(std) * std
            return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar

    def loop(turn: Turn) -> None:
        torch.set_flush_denormal(flush)
        model = ExampleVAE()
        optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        total = 0.0
        for x, _ in endless(DataLoader(mnist, batch_size=BATCH, shuffle=True)):
            turn(len(x))
            optimiser.zero_grad()
            reconstruction, mu, logvar = model(x)
            bce = F.binary_cross_entropy(reconstruction, x.view(-1, 784), reduction="sum")
            kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
            loss = bce + kld
            loss.backward()
            total += loss.item()
            optimiser.step()

    return loop


def pythae(images: Tensor, labels: Tensor) -> Loop:
    """pythae's trainer, its ``train_step`` as it is, with networks of the common size; no bar."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import CallbackHandler, TrainingCallback

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(784, 400), nn.ReLU())
            self.loc, self.log_var = nn.Linear(400, 20), nn.Linear(400, 20)

        def forward(self, x: Tensor) -> ModelOutput:
            h = self.body(x.reshape(-1, 784))
            return ModelOutput(embedding=self.loc(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid()
            )

        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.body(z).reshape(-1, 1, 28, 28))

    class EndlessLoader:
        """The trainer's own loader, epoch after epoch, in turn."""

        def __init__(self, loader: DataLoader, turn: Turn) -> None:
            self.loader, self.dataset, self.turn = loader, loader.dataset, turn

        def __iter__(self) -> Iterator:
            for batch in endless(self.loader):
                self.turn(len(batch["data"]))
                yield batch

    def loop(turn: Turn) -> None:
        config = VAEConfig(input_dim=(1, 28, 28), latent_dim=20, reconstruction_loss="bce")
        trainer = BaseTrainer(
            VAE(config, Encoder(), Decoder()),
            BaseDataset(images.float() / 255, labels),
            training_config=BaseTrainerConfig(
                output_dir=os.environ["VAE_RUNS"],
                per_device_train_batch_size=BATCH,
                learning_rate=LEARNING_RATE,
                no_cuda=True,
            ),
        )
        trainer.prepare_training()
        trainer.callback_handler = CallbackHandler([TrainingCallback()], trainer.model)
        trainer.train_loader = EndlessLoader(trainer.train_loader, turn)
        trainer.train_step(epoch=1)

    return loop


def matrix_products(turn: Turn) -> None:
    """What no such step can do without: its products, forward and backward, and fused Adam.

    The data need no gradient, so eleven of the twelve products remain.
    """
    torch.set_flush_denormal(True)
    layers = [nn.Linear(*sizes) for sizes in ((784, 400), (400, 40), (20, 400), (400, 784))]
    parameters = [p for layer in layers for p in layer.parameters()]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimiser = torch.optim.Adam(parameters, lr=0.0, fused=True)
    x = [torch.randn(BATCH, layer.in_features) for layer in layers]
    y = [torch.randn(BATCH, layer.out_features) for layer in layers]
    d_x, d_y = [torch.empty_like(t) for t in x], [torch.randn_like(t) for t in y]
    with torch.no_grad():
        while True:
            turn(BATCH)
            for i, layer in enumerate(layers):
                torch.mm(x[i], layer.weight.T, out=y[i])
            for i, layer in enumerate(layers):
                torch.mm(d_y[i].T, x[i], out=layer.weight.grad)
                if i > 0:
                    torch.mm(d_y[i], layer.weight, out=d_x[i])
            optimiser.step()


def endless(loader: DataLoader) -> Iterator:
    """Epoch after epoch."""
    while True:
        yield from loader
